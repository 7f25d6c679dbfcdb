package wizard

import (
	"context"
	"time"

	tea "github.com/charmbracelet/bubbletea"

	"github.com/hybridge-cli/hybridge/pkg/engine/apply"
	"github.com/hybridge-cli/hybridge/pkg/engine/msg"
	"github.com/hybridge-cli/hybridge/pkg/engine/observe"
	"github.com/hybridge-cli/hybridge/pkg/engine/report"
	"github.com/hybridge-cli/hybridge/wizard/stage"
)

// historyScreen lists the runs of the deployment. One of them can be undone, after a look at what
// that would do.
type historyScreen struct {
	listed
	scroll scroll
	looked string        // that is looked at; "" for the list
	undo   *apply.Undo   // what its rollback would do
	agreed bool          // the rollback was agreed to
	report *apply.Report // of the rollback
}

func (*historyScreen) about() about {
	return about{
		step: "History", does: "Lists what was applied and undone. Undoing shows first what it does.",
		help: "complete: all changes are made. partial: some failed. cancelled: the run was stopped. unfinished: it " +
			"was cut off. The next plan has the rest. A rollback leaves an object that has changed since as it is, " +
			"and says so.",
	}
}

func (s *historyScreen) enter(m *model) tea.Cmd {
	*s = historyScreen{}
	return m.recall()
}

func (s *historyScreen) run(m *model) work {
	id, o, undo := s.looked, m.options.Apply, s.agreed
	o.Accept = nil
	switch {
	case id == "":
		return nil
	case undo:
		return func(ctx context.Context, e stage.Engine, obs observe.Observer) (any, error) {
			return e.Rollback(ctx, id, o, obs)
		}
	}
	return func(ctx context.Context, e stage.Engine, obs observe.Observer) (any, error) {
		return e.PreviewRollback(ctx, id, o, obs)
	}
}

func (s *historyScreen) end(m *model, v any, err error) {
	s.err = err
	if u := result[apply.Undo](v); u != nil && err == nil {
		s.undo = u
	}
	if r := result[apply.Report](v); r != nil && (r.RunID != "" || err == nil) {
		s.report = r
		m.outcome.Plan, m.outcome.Check, m.spent = nil, nil, false // what is live has changed
	}
	if s.err != nil && s.report == nil {
		s.agreed = false
	}
}

func (s *historyScreen) actions(m *model) []action {
	home := on("esc", "back", show[*reviewScreen])
	list := on("esc", "all runs", s.enter)
	switch {
	case m.run != nil && s.agreed:
		return []action{on("ctrl+c", "end the current change and leave", nil)}
	case m.run != nil:
		return []action{on("esc", "stop", func(m *model) tea.Cmd { m.run.cancel(); return nil })}
	case s.looked == "":
		return s.list.actions(on("u", "undo", s.look), home)
	case s.report != nil || s.undo == nil:
		return []action{list, on("up/down", "scroll", nil)}
	}
	return []action{on("y", "undo it", s.agree), on("n", "leave it", s.enter, "n", "esc"), on("up/down", "scroll", nil)}
}

// look shows what undoing the selected run would do.
func (s *historyScreen) look(m *model) tea.Cmd {
	i := s.list.index()
	if i >= len(s.list.items) {
		return nil
	}
	s.looked = s.list.items[i].id
	s.scroll = scroll{}
	return m.begin()
}

func (s *historyScreen) agree(m *model) tea.Cmd {
	s.agreed, s.scroll = true, scroll{}
	return m.begin()
}

func (s *historyScreen) other(m *model, k tea.KeyMsg) tea.Cmd {
	if s.looked == "" {
		return s.listed.other(m, k)
	}
	s.scroll.key(k)
	return nil
}

func (s *historyScreen) render(m *model, width, height int) []string {
	lines := m.problemLines(s.staged, width)
	switch {
	case s.report != nil:
		c := s.report.Summary
		lines = append([]string{m.styles.title.Render(m.words("Undone: %d done, %d skipped, %d failed, %d pending",
			c.Done, c.Skipped, c.Failed, c.Pending)), ""}, lines...)
		return append(lines, m.window(&s.scroll, m.viewed(width, s.report.View()), height-len(lines))...)
	case s.undo != nil:
		question := m.words("Undo run %s? y undoes it, n leaves it.", clean(s.looked))
		if s.agreed {
			question = m.words("Undoing run %s", clean(s.looked))
		}
		lines = append([]string{m.styles.title.Render(question), ""}, lines...)
		return append(lines, m.window(&s.scroll, m.viewed(width, s.undo.View()), height-len(lines))...)
	case s.looked != "":
		title := m.words("Looking at what undoing run %s would do", clean(s.looked))
		return append([]string{m.styles.title.Render(title)}, lines...)
	case len(m.past.runs) == 0:
		return append(lines, m.words("Nothing was applied yet."))
	}
	lines = append([]string{m.styles.title.Render(m.count(len(m.past.runs), "%d run", "%d runs")), ""}, lines...)
	s.changed()
	items := s.items(width, func() []item { return runs(m, width-gutter) })
	return append(lines, s.list.render(m, items, width, height-len(lines))...)
}

// viewed renders a document into lines.
func (m *model) viewed(width int, v report.View) []string {
	return m.style(width).View(v)
}

// ran says how a run ended.
func ran(m *model, e apply.Entry) string {
	c := e.Summary
	text := m.words("%s, %s: %d done, %d skipped, %d failed, %d pending", m.term(e.Action), m.term(e.Outcome), c.Done,
		c.Skipped, c.Failed, c.Pending)
	if e.UndoneBy != "" {
		text += m.words("; undone by %s", e.UndoneBy)
	}
	return text
}

// runs are the runs of the deployment, newest first.
func runs(m *model, width int) []item {
	var items []item
	for _, e := range m.past.runs {
		text := ran(m, e)
		tone := report.Plain
		if e.Outcome != "complete" {
			tone = report.Caution
		}
		started := e.Started.Local().Format(time.DateTime)
		it := m.item(e.RunID, width, report.Paragraph{Label: msg.Plain(started), Text: msg.Plain(clean(text)),
			Tone: tone})
		it.detail = func(width int) []string {
			blocks := []report.Block{report.Paragraph{Label: msg.Of("run"), Text: msg.Plain(e.RunID)},
				report.Paragraph{Text: msg.Plain(clean(text))},
				report.Paragraph{Label: msg.Of("journal"), Text: msg.Plain(clean(e.Journal))}}
			if e.Error != "" {
				blocks = append(blocks, report.Paragraph{Label: msg.Of("error"), Text: msg.Plain(clean(e.Error))})
			}
			return m.blocks(width, blocks...)
		}
		items = append(items, it)
	}
	return items
}
