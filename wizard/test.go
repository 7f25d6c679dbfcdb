package wizard

import (
	"context"

	tea "github.com/charmbracelet/bubbletea"

	"github.com/hybridge-cli/hybridge/pkg/engine/observe"
	"github.com/hybridge-cli/hybridge/pkg/engine/report"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/deployment"
	"github.com/hybridge-cli/hybridge/wizard/stage"
)

// testScreen shows the free/busy matrix as it fills: who can see whom, and below it every lookup.
type testScreen struct {
	listed
	answers  []deployment.Answer // so far; those of the report once there is one
	problems bool
}

func (*testScreen) about() about {
	return about{
		step: "Free/busy", does: "Asks every lookup from both sides. Nothing is changed.",
		help: "A row asks, a column is asked about; a cell counts the lookups that came back. ERR and unknown mean " +
			"that the question could not be asked: nothing is said about the route. " +
			"Changes to connectors take effect within minutes; ask again.",
	}
}

func (s *testScreen) enter(m *model) tea.Cmd {
	if m.run != nil {
		return nil
	}
	*s = testScreen{problems: s.problems}
	return m.begin()
}

func (*testScreen) run(m *model) work {
	o := m.options.Test
	return func(ctx context.Context, e stage.Engine, obs observe.Observer) (any, error) {
		return e.Test(ctx, o, obs)
	}
}

func (s *testScreen) observe(e observe.Event) {
	a, ok := e.(deployment.Answer)
	if !ok {
		s.staged.observe(e)
		return
	}
	s.changed()
	for i := range s.answers {
		if s.answers[i].From == a.From && s.answers[i].To == a.To && s.answers[i].Probe == a.Probe { // asked again
			s.answers[i] = a
			return
		}
	}
	s.answers = append(s.answers, a)
}

func (s *testScreen) end(m *model, v any, err error) {
	if s.err = err; err == nil {
		m.outcome.Test = result[deployment.TestReport](v)
		s.answers, s.list = m.outcome.Test.Matrix, list{}
		s.changed()
	}
}

func (s *testScreen) actions(m *model) []action {
	if m.run != nil {
		return s.list.actions(backward(m))
	}
	return s.list.actions(on("r", "ask again", s.enter),
		on("p", onlyProblems(s.problems), s.toggle), backward(m))
}

func (s *testScreen) toggle(*model) tea.Cmd {
	s.problems = !s.problems
	s.changed()
	return nil
}

// done reports whether the last run of the screen came to its end.
func (s *testScreen) done(m *model) bool {
	return m.run == nil && s.err == nil && m.outcome.Test != nil
}

func (s *testScreen) render(m *model, width, height int) []string {
	title := m.words("Asking")
	done := s.done(m)
	if done {
		c := m.outcome.Test.Summary
		title = m.words("%d ok, %d failed, %d unknown", c.OK, c.Failed, c.Unknown)
	}
	lines := []string{m.styles.title.Render(title)}
	if done {
		lines = append(lines, m.text(width, m.term(s.verdict(m)))...)
	}
	lines = append(lines, m.problemLines(s.staged, width)...)
	lines = append(lines, "")
	if t := grid(s.answers); len(t.Rows) > 0 {
		lines = append(lines, m.blocks(width, t)...)
	}
	lines = append(lines, "")
	items := s.items(width, func() []item { return s.lookups(m, width-gutter) })
	return append(lines, s.list.render(m, items, width, height-len(lines))...)
}

func (s *testScreen) lookups(m *model, width int) []item {
	var items []item
	for _, a := range s.answers {
		if s.problems && a.Status == deployment.OK {
			continue
		}
		it := m.item(a.Direction+"\x00"+a.From+"\x00"+a.To+"\x00"+a.Probe, width,
			report.Matrix{Lookups: []report.Lookup{a.Lookup()}})
		if a.Status != deployment.OK { // with all that the server said
			it.detail = func(width int) []string {
				return append(m.blocks(width, report.Matrix{Lookups: []report.Lookup{a.Lookup()}}),
					append([]string{""}, m.text(width, a.Error)...)...)
			}
		}
		items = append(items, it)
	}
	return items
}

// verdict says what the matrix means, and what to do next.
func (s *testScreen) verdict(m *model) string {
	c := m.outcome.Test.Summary
	switch {
	case c.OK+c.Failed+c.Unknown == 0:
		return "There was nothing to ask: name pairs of people in the answers (esc, esc, esc, e)."
	case c.Failed+c.Unknown == 0 && len(s.warnings) > 0:
		return "Every lookup that was asked works."
	case c.Failed+c.Unknown == 0:
		return "Every lookup works, in every direction asked. You are done: q leaves."
	case c.Failed == 0:
		return "Some lookups could not be made; the reason is below. r asks again."
	case m.outcome.Apply != nil:
		return "Changes take minutes to take effect, some of them hours (the plan's risks say which). r asks again."
	}
	return "esc goes back to the plan, which shows what is missing. r asks again."
}

func (s *testScreen) farewell(m *model, c commands) []string {
	if !m.finished() || m.unfinished() {
		return nil
	}
	return append([]string{m.words("ask again with: %s", c.line("test"))}, m.undo(c)...)
}
