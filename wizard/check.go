package wizard

import (
	"context"
	"slices"

	tea "github.com/charmbracelet/bubbletea"

	"github.com/hybridge-cli/hybridge/pkg/engine/check"
	"github.com/hybridge-cli/hybridge/pkg/engine/msg"
	"github.com/hybridge-cli/hybridge/pkg/engine/observe"
	"github.com/hybridge-cli/hybridge/pkg/engine/report"
	"github.com/hybridge-cli/hybridge/wizard/stage"
)

// checkScreen shows the prerequisites as they are checked.
type checkScreen struct {
	listed
	results  []check.Result // so far; those of the report once there is one
	problems bool           // only those are shown
	place    string         // only its results are shown; "" for all
}

func (*checkScreen) about() about {
	return about{
		step: "Prerequisites", does: "Reads every system and says what is not ready. Nothing is changed.",
		help: "PASS, WARN and FAIL are findings. ERR means that the check could not be made; it says nothing about " +
			"what is there. SKIP means that it does not apply here, or needs what failed before.",
	}
}

// enter checks, if that was not done with these answers.
func (s *checkScreen) enter(m *model) tea.Cmd {
	if m.outcome.Check != nil && s.err == nil && m.fresh() {
		return nil
	}
	return s.again(m)
}

func (s *checkScreen) again(m *model) tea.Cmd {
	if m.run != nil {
		return nil
	}
	*s = checkScreen{problems: s.problems, place: s.place}
	s.list.follow = true
	m.outcome.Check, m.outcome.Plan = nil, nil
	return m.begin()
}

func (*checkScreen) run(*model) work {
	return func(ctx context.Context, e stage.Engine, o observe.Observer) (any, error) { return e.Check(ctx, o) }
}

func (s *checkScreen) observe(e observe.Event) {
	r, ok := e.(check.Result)
	if !ok {
		s.staged.observe(e)
		return
	}
	s.changed()
	for i := range s.results {
		if s.results[i].ID == r.ID && s.results[i].Scope == r.Scope { // tried again
			s.results[i] = r
			return
		}
	}
	s.results = append(s.results, r)
}

func (s *checkScreen) end(m *model, v any, err error) {
	s.err, m.outcome.Check = err, result[check.Report](v)
	if r := m.outcome.Check; r != nil && len(r.Results) > 0 {
		s.results = r.Results
	}
	s.list = list{}
	s.changed()
}

func (s *checkScreen) actions(m *model) []action {
	only := on("p", onlyProblems(s.problems), s.toggle)
	place := on("f", "forest", s.turn)
	if m.run != nil {
		return s.list.actions(only, place, backward(m))
	}
	own := []action{only, place, on("r", "check again", s.again), backward(m)}
	if r := s.selected(); r != nil && (r.Status == check.StatusFail || r.Status == check.StatusWarn) {
		own = append(own, on("a", "acknowledge", s.acknowledge))
	}
	if m.outcome.Check != nil && s.err == nil {
		own = append([]action{forward("plan")}, own...)
	}
	return s.list.actions(own...)
}

// selected is the result that is selected; nil when there is none.
func (s *checkScreen) selected() *check.Result {
	at := s.list.index()
	if at >= len(s.list.items) {
		return nil
	}
	for i := range s.results {
		if resultID(s.results[i]) == s.list.items[at].id {
			return &s.results[i]
		}
	}
	return nil
}

func resultID(r check.Result) string { return string(r.ID) + "\x00" + r.Scope }

func (s *checkScreen) acknowledge(m *model) tea.Cmd {
	if r := s.selected(); r != nil {
		m.over = append([]pane{newAcknowledgePane(m, *r)}, m.over...)
	}
	return nil
}

// turn shows the results of the next place alone, and of all places after the last.
func (s *checkScreen) turn(m *model) tea.Cmd {
	places := []string{""}
	for _, r := range s.results {
		if !slices.Contains(places, r.Scope) {
			places = append(places, r.Scope)
		}
	}
	s.place = places[(slices.Index(places, s.place)+1)%len(places)]
	m.note = m.words("All results.")
	if s.place != "" {
		m.note = m.words("Only %s.", clean(s.place))
	}
	s.changed()
	return nil
}

func (s *checkScreen) toggle(*model) tea.Cmd {
	s.problems = !s.problems
	s.changed()
	return nil
}

// onlyProblems is what the key p does next.
func onlyProblems(on bool) string {
	if on {
		return "show all"
	}
	return "problems only"
}

func (s *checkScreen) render(m *model, width, height int) []string {
	title := m.words("Checking the prerequisites")
	results := s.results
	if r := m.outcome.Check; r != nil {
		title = m.words("%d pass, %d warn, %d fail, %d skip, %d error", r.Summary.Pass, r.Summary.Warn,
			r.Summary.Fail, r.Summary.Skip, r.Summary.Error)
		if n := r.Summary.Acknowledged; n > 0 {
			title += m.words(", %d acknowledged", n)
		}
		if len(r.Results) > 0 {
			results = r.Results // in the order of declaration
		}
	}
	lines := append([]string{m.styles.title.Render(title)}, m.problemLines(s.staged, width)...)
	lines = append(lines, "")
	items := s.items(width, func() []item { return s.findings(m, results, width-gutter) })
	if s.list.follow && len(items) > 0 {
		s.list.selected = items[len(items)-1].id
	}
	return append(lines, s.list.render(m, items, width, height-len(lines))...)
}

func (s *checkScreen) findings(m *model, results []check.Result, width int) []item {
	var items []item
	hinted := map[string]bool{}
	for _, r := range results {
		if s.problems && (r.Status == check.StatusPass || r.Status == check.StatusSkip ||
			r.Status == check.StatusAcknowledged) || s.place != "" && r.Scope != s.place {
			continue
		}
		f := r.Block()
		// The cause that prevented the check has its own hint. The same hint is shown once.
		if hint := m.options.Hint(r.Cause); r.Status == check.StatusError && hint != "" && !hinted[hint] {
			hinted[hint] = true
			f.Details = append(f.Details, report.Paragraph{Label: msg.Of("hint"), Text: msg.Plain(hint)})
		}
		it := m.item(resultID(r), width, f)
		it.detail = func(width int) []string { // the list cuts what a check that passed saw
			title := report.Paragraph{Text: f.Title, Tone: report.Strong}
			if r.Status == check.StatusPass {
				return m.blocks(width, title, f, report.Paragraph{Text: f.Summary})
			}
			return m.blocks(width, title, f)
		}
		items = append(items, it)
	}
	return items
}
