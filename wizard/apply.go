package wizard

import (
	"context"
	"strings"

	tea "github.com/charmbracelet/bubbletea"
	"github.com/charmbracelet/x/ansi"

	"github.com/hybridge-cli/hybridge/pkg/engine/apply"
	"github.com/hybridge-cli/hybridge/pkg/engine/change"
	"github.com/hybridge-cli/hybridge/pkg/engine/observe"
	"github.com/hybridge-cli/hybridge/pkg/engine/report"
	"github.com/hybridge-cli/hybridge/wizard/stage"
)

// applyScreen shows the changes as they are made.
type applyScreen struct {
	listed
	outcomes map[string]apply.Outcome // so far, by the id of the change
	report   *apply.Report            // of the last run; nil when it was refused before it began
}

func (*applyScreen) about() about {
	return about{
		step: "Apply", once: true, does: (*confirmScreen)(nil).about().does,
		help: "DONE is made and read back. SKIP was in effect already. FAIL says why; what needs it stays PEND. " +
			"hybridge apply goes on where this ended, hybridge rollback undoes it.",
	}
}

func (s *applyScreen) enter(m *model) tea.Cmd {
	if m.run != nil || m.outcome.Plan == nil || m.spent {
		return nil
	}
	*s = applyScreen{}
	s.list.follow = true
	return m.begin()
}

func (*applyScreen) run(m *model) work {
	plan, o := *m.outcome.Plan, m.options.Apply
	return func(ctx context.Context, e stage.Engine, obs observe.Observer) (any, error) {
		return e.Apply(ctx, plan, o, obs)
	}
}

func (s *applyScreen) observe(e observe.Event) {
	if o, ok := e.(apply.Outcome); ok {
		s.settle(o)
		return
	}
	s.staged.observe(e)
}

// end takes in the report. The plan is then spent: the live state is no longer the one that it was
// made from.
func (s *applyScreen) end(m *model, v any, err error) {
	s.err, m.spent = err, true
	if r := result[apply.Report](v); r != nil && (r.RunID != "" || err == nil) {
		s.report, m.outcome.Apply = r, r
		for _, o := range r.Changes {
			s.settle(o)
		}
	}
}

func (s *applyScreen) settle(o apply.Outcome) {
	if s.outcomes == nil {
		s.outcomes = map[string]apply.Outcome{}
	}
	s.outcomes[o.ID] = o
	s.changed()
}

// whole reports whether nothing failed and nothing is left to do.
func (s *applyScreen) whole() bool {
	return s.err == nil && s.report != nil && s.report.Summary.Failed+s.report.Summary.Pending == 0
}

func (s *applyScreen) actions(m *model) []action {
	switch {
	case m.run != nil:
		return s.list.actions(on("ctrl+c", "end the current change and leave", nil))
	case s.whole():
		return s.list.actions(on("enter", "free/busy", (*model).next, "enter", "t"),
			on("esc", "plan again", (*model).back, "esc", "r"))
	}
	return s.list.actions(on("r", "plan again", (*model).back, "r", "esc"),
		on("t", "free/busy as it is", (*model).next))
}

func (s *applyScreen) render(m *model, width, height int) []string {
	p := m.outcome.Plan
	if p == nil {
		return nil
	}
	settled := 0
	for _, o := range s.outcomes {
		if o.Status != apply.Pending {
			settled++
		}
	}
	title := m.words("Applying")
	switch {
	case s.report == nil && s.err != nil:
		title = m.words("Nothing was changed")
	case s.report != nil:
		c := s.report.Summary
		title = m.words("%d done, %d skipped, %d failed, %d pending", c.Done, c.Skipped, c.Failed, c.Pending)
	}
	lines := []string{m.styles.title.Render(title), m.bar(settled, len(p.Changes), width)}
	lines = append(lines, m.problemLines(s.staged, width)...)
	if s.report != nil && s.report.Journal != "" {
		lines = append(lines, m.labelled(width, m.words("journal:"), report.Plain, clean(s.report.Journal))...)
	}
	lines = append(lines, "")
	items := s.items(width, func() []item {
		var items []item
		for _, c := range p.Changes {
			o, known := s.outcomes[c.ID]
			if !known {
				o = apply.Outcome{ID: c.ID, Target: c.Target, Kind: c.Kind, Name: c.Name, Action: c.Action,
					Status: apply.Pending}
			}
			it := m.item(c.ID, width-gutter, o.Block())
			it.detail = func(width int) []string {
				return m.blocks(width, o.Block(), report.Diff{Changes: []report.Change{c.Diff()}})
			}
			items = append(items, it)
		}
		return items
	})
	if s.list.follow {
		s.list.selected = s.newest(p.Changes)
	}
	return append(lines, s.list.render(m, items, width, height-len(lines))...)
}

// newest is the change to keep in view: the first that failed, else the last that is settled.
func (s *applyScreen) newest(changes []change.Change) string {
	id := ""
	for _, c := range changes {
		switch s.outcomes[c.ID].Status {
		case apply.Failed:
			return c.ID
		case apply.Done, apply.Skipped:
			id = c.ID
		}
	}
	return id
}

// bar draws progress; the numbers say the same.
func (m *model) bar(done, total, width int) string {
	label := " " + m.words("%d of %d", done, total)
	cells := max(10, min(50, width-ansi.StringWidth(label)-2))
	filled := 0
	if total > 0 {
		filled = cells * done / total
	}
	return "[" + strings.Repeat("#", filled) + strings.Repeat(".", cells-filled) + "]" + label
}

// unfinished reports whether changes were begun and not all are made.
func (m *model) unfinished() bool {
	r := m.outcome.Apply
	if r != nil && r.Summary.Failed+r.Summary.Pending > 0 {
		return true
	}
	return m.run != nil && m.run.screen == screen(find[*applyScreen](m))
}

// undo is how to take back what the last apply made.
func (m *model) undo(c commands) []string {
	if r := m.outcome.Apply; r != nil && r.Summary.Done > 0 {
		return []string{m.words("undo what is made with: %s", c.line("rollback "+r.RunID))}
	}
	return nil
}

func (s *applyScreen) farewell(m *model, c commands) []string {
	r := m.outcome.Apply
	switch {
	case m.unfinished():
		var lines []string
		if r != nil && r.Journal != "" {
			lines = append(lines, m.words("journal: %s", clean(r.Journal)))
		}
		return append(lines, m.words("not all changes are made; go on with: %s", c.line("apply")),
			m.words("or undo what is made with:           %s", c.line("rollback")))
	case r != nil:
		return append([]string{m.words("see whether it works with: %s", c.line("test"))}, m.undo(c)...)
	}
	return nil
}
