package wizard

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	tea "github.com/charmbracelet/bubbletea"
	"github.com/charmbracelet/x/ansi"

	"github.com/hybridge-cli/hybridge/pkg/engine/apply"
	"github.com/hybridge-cli/hybridge/pkg/engine/change"
	"github.com/hybridge-cli/hybridge/pkg/engine/msg"
	"github.com/hybridge-cli/hybridge/pkg/engine/observe"
	"github.com/hybridge-cli/hybridge/pkg/engine/report"
	"github.com/hybridge-cli/hybridge/wizard/stage"
)

// applyScreen shows the changes as they are made.
type applyScreen struct {
	listed
	outcomes map[string]apply.Outcome // so far, by the id of the change
	report   *apply.Report            // of the last run; nil when it was refused before it began
	gate     *gate                    // of the run
	started  time.Time
	took     time.Duration // the run, once it is over
}

func (*applyScreen) about() about {
	return about{
		step: "Apply", once: true, does: (*confirmScreen)(nil).about().does,
		help: "DONE is made and read back. SKIP was in effect already. FAIL says why; what needs it stays PEND. " +
			"hybridge apply goes on where this ended, hybridge rollback undoes it.\np pauses before the next change. s " +
			"ends the run when the changes that were begun are done; the next plan has the rest.",
	}
}

func (s *applyScreen) enter(m *model) tea.Cmd {
	if m.run != nil || m.outcome.Plan == nil || m.spent {
		return nil
	}
	*s = applyScreen{gate: &gate{}, started: m.options.now()}
	s.list.follow = true
	return m.begin()
}

func (s *applyScreen) run(m *model) work {
	plan, o := *m.outcome.Plan, m.options.Apply
	if s.gate != nil {
		o.Proceed = s.gate.proceed
	}
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
	if !s.started.IsZero() {
		s.took = m.options.now().Sub(s.started)
	}
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
	s.touched(o.ID)
}

// whole reports whether nothing failed and nothing is left to do.
func (s *applyScreen) whole() bool {
	return s.err == nil && s.report != nil && s.report.Summary.Failed+s.report.Summary.Pending == 0
}

func (s *applyScreen) actions(m *model) []action {
	switch {
	case m.run != nil:
		does := "pause"
		if paused, _ := s.gate.state(); paused {
			does = "go on"
		}
		return s.list.actions(on("p", does, s.pause), on("s", "stop after this change", s.stop),
			on("ctrl+c", "end the current change and leave", nil))
	case s.whole():
		return s.list.actions(on("enter", "free/busy", (*model).next, "enter", "t"),
			on("esc", "plan again", (*model).back, "esc", "r"))
	}
	return s.list.actions(on("r", "plan again", (*model).back, "r", "esc"),
		on("t", "free/busy as it is", (*model).next))
}

func (s *applyScreen) pause(*model) tea.Cmd {
	s.gate.turn()
	return nil
}

func (s *applyScreen) stop(*model) tea.Cmd {
	s.gate.stop()
	return nil
}

// title says how the run stands.
func (s *applyScreen) title(m *model) string {
	switch {
	case s.report != nil:
		c := s.report.Summary
		return m.words("%d done, %d skipped, %d failed, %d pending", c.Done, c.Skipped, c.Failed, c.Pending)
	case s.err != nil:
		return m.words("Nothing was changed")
	case m.run != nil && s.gate != nil:
		switch paused, stopped := s.gate.state(); {
		case stopped:
			return m.words("Stopping: what was begun is done first")
		case paused:
			return m.words("Paused: nothing more begins until p")
		}
	}
	return m.words("Applying")
}

// times says how long the run has taken, and what is left of it about; "" when neither is known.
func (s *applyScreen) times(m *model, changes []change.Change) string {
	switch {
	case m.run == nil && s.took > 0:
		return m.words("It took %s.", elapsed(s.took))
	case m.run == nil || m.run.screen != screen(s):
		return ""
	}
	text := m.words("%s so far", elapsed(m.options.now().Sub(m.run.started)))
	if left, known := s.left(changes); known {
		text += m.words(", about %s left", elapsed(left))
	}
	return text
}

// left estimates the rest of the run. Places work in parallel, each as fast as its changes so far.
func (s *applyScreen) left(changes []change.Change) (time.Duration, bool) {
	type pace struct {
		spent   time.Duration
		done, n int
	}
	var all pace
	places := map[string]*pace{}
	for _, c := range changes {
		p := places[c.Target]
		if p == nil {
			p = &pace{}
			places[c.Target] = p
		}
		o, settled := s.outcomes[c.ID]
		if !settled {
			p.n++
			continue
		}
		if o.Status == apply.Done {
			took := time.Duration(o.DurationMS) * time.Millisecond
			p.spent, p.done = p.spent+took, p.done+1
			all.spent, all.done = all.spent+took, all.done+1
		}
	}
	var longest time.Duration
	for _, p := range places {
		if p.done == 0 {
			p.spent, p.done = all.spent, all.done
		}
		if p.done > 0 {
			longest = max(longest, p.spent*time.Duration(p.n)/time.Duration(p.done))
		}
	}
	return longest, all.done > 0
}

// waiting are the changes that cannot be made because one failed: those that need it, and those
// that need these.
func waiting(changes []change.Change, failed string) []string {
	var out []string
	for _, c := range changes { // a change comes after what it needs
		if slices.ContainsFunc(c.Needs, func(id string) bool { return id == failed || slices.Contains(out, id) }) {
			out = append(out, c.ID)
		}
	}
	return out
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
	times := s.times(m, p.Changes)
	beside := ansi.StringWidth(times)
	if m.run != nil && times != "" { // the bar keeps its width when the rest is known: about 1:02 min left
		beside = max(beside, 36)
	}
	bar := m.bar(settled, len(p.Changes), width-beside-2)
	if times != "" {
		bar += "  " + times
	}
	lines := []string{m.styles.title.Render(s.title(m)), fit(bar, width)}
	problems := s.staged
	if errors.Is(s.err, apply.ErrStopped) {
		problems.err = nil
		lines = append(lines, m.words("You stopped it. r plans the rest."))
	}
	lines = append(lines, m.problemLines(problems, width)...)
	if s.report != nil && s.report.Journal != "" {
		lines = append(lines, m.labelled(width, m.words("journal:"), report.Plain, clean(s.report.Journal))...)
	}
	lines = append(lines, "")
	items := s.items(width, func() []item {
		var items []item
		for _, c := range p.Changes {
			items = append(items, s.item(c.ID, func() item { return s.made(m, p.Changes, c, width-gutter) }))
		}
		return items
	})
	if s.list.follow {
		s.list.selected = s.newest(p.Changes)
	}
	return append(lines, s.list.render(m, items, width, height-len(lines))...)
}

// made is one change, with what became of it.
func (s *applyScreen) made(m *model, changes []change.Change, c change.Change, width int) item {
	o, known := s.outcomes[c.ID]
	if !known {
		o = apply.Outcome{ID: c.ID, Target: c.Target, Kind: c.Kind, Name: c.Name, Action: c.Action,
			Status: apply.Pending}
	}
	it := m.item(c.ID, width, o.Block())
	var held []report.Block
	if o.Status == apply.Failed {
		if ids := waiting(changes, c.ID); len(ids) > 0 {
			wait := m.count(len(ids), "%d change waits for it", "%d changes wait for it")
			it.lines = append(slices.Clip(it.lines), "      "+wait)
			held = append(held, report.Paragraph{Label: msg.Of("waiting for it"),
				Text: msg.Plain(clean(strings.Join(ids, ", ")))})
		}
	}
	it.detail = func(width int) []string {
		blocks := append([]report.Block{o.Block()}, held...)
		return m.blocks(width, append(blocks, report.Diff{Changes: []report.Change{c.Diff()}})...)
	}
	return it
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
