package wizard

import (
	"context"
	"slices"

	tea "github.com/charmbracelet/bubbletea"

	"github.com/hybridge-cli/hybridge/pkg/engine/msg"
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
	again    *deployment.Answer // the one lookup that is asked again; nil for all
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

// one asks the selected lookup again, by every probe.
func (s *testScreen) one(m *model) tea.Cmd {
	at := s.list.index()
	if m.run != nil || at >= len(s.list.items) {
		return nil
	}
	for i := range s.answers {
		if answerID(s.answers[i]) == s.list.items[at].id {
			s.again = &s.answers[i]
			return m.begin()
		}
	}
	return nil
}

func answerID(a deployment.Answer) string {
	return a.Direction + "\x00" + a.From + "\x00" + a.To + "\x00" + a.Probe
}

func (s *testScreen) run(m *model) work {
	o := m.options.Test
	if s.again != nil {
		o.From, o.To = s.again.From, s.again.To
	}
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
	if s.again != nil {
		s.merge(m, result[deployment.TestReport](v), err)
		return
	}
	if s.err = err; err == nil {
		m.outcome.Test = result[deployment.TestReport](v)
		s.answers, s.list = m.outcome.Test.Matrix, list{}
		s.changed()
	}
}

// merge takes the answers to one question into the report.
func (s *testScreen) merge(m *model, again *deployment.TestReport, err error) {
	from, to := s.again.From, s.again.To
	s.again = nil
	s.changed()
	whole := m.outcome.Test
	switch {
	case whole == nil:
		return
	case err != nil || again == nil:
		s.answers = whole.Matrix
		if err != nil {
			m.note = m.words("It was not asked again: %s", clean(firstLine(err.Error())))
		}
		return
	}
	merged := *whole
	merged.Matrix = slices.Clone(whole.Matrix)
	for _, a := range again.Matrix {
		if i := slices.IndexFunc(merged.Matrix, func(o deployment.Answer) bool {
			return answerID(o) == answerID(a)
		}); i >= 0 {
			merged.Matrix[i] = a
		}
	}
	merged.Count()
	if merged.Summary.Failed == 0 || again.Summary.Failed > 0 {
		merged.Verdict = again.Verdict
	}
	m.outcome.Test, s.answers = &merged, merged.Matrix
	m.note = m.words("%s was asked again about %s.", clean(from), clean(to))
}

func (s *testScreen) actions(m *model) []action {
	if m.run != nil {
		return s.list.actions(backward(m))
	}
	own := []action{on("r", "ask again", s.enter)}
	if s.done(m) && len(s.answers) > 1 {
		one := on("o", "ask this one again", s.one)
		if s.list.opened {
			return append(s.list.actions(), one)
		}
		own = append(own, one)
	}
	return s.list.actions(append(own, on("p", onlyProblems(s.problems), s.toggle), backward(m))...)
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
	if t := grid(s.answers); len(t.Rows) > 0 && !s.list.opened {
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
		it := m.item(answerID(a), width, report.Matrix{Lookups: []report.Lookup{a.Lookup()}})
		it.detail = func(width int) []string { return s.whole(m, a, width) }
		items = append(items, it)
	}
	return items
}

// whole is a lookup with its way, all that the server said, and what explains it: cause, owner and
// fix.
func (s *testScreen) whole(m *model, a deployment.Answer, width int) []string {
	lines := m.blocks(width, report.Matrix{Lookups: []report.Lookup{a.Lookup()}})
	if a.Status == deployment.OK {
		if len(a.Route) > 0 {
			lines = append(lines, m.blocks(width, report.Path{Label: msg.Of("way"), Hops: a.Route})...)
		}
		return lines
	}
	if t := m.outcome.Test; t != nil && t.Verdict != nil {
		if notes := t.Verdict.Notes(); len(notes) > 0 {
			lines = append(lines, "", m.styles.title.Render(m.words("What the checks say about the failures")))
			lines = append(lines, m.blocks(width, notes...)...)
		}
	}
	return append(append(lines, ""), m.text(width, a.Error)...)
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
