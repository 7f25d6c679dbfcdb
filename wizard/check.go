package wizard

import (
	"cmp"
	"context"
	"slices"
	"strings"

	tea "github.com/charmbracelet/bubbletea"

	"github.com/hybridge-cli/hybridge/pkg/config/sorting"
	"github.com/hybridge-cli/hybridge/pkg/engine/check"
	"github.com/hybridge-cli/hybridge/pkg/engine/msg"
	"github.com/hybridge-cli/hybridge/pkg/engine/observe"
	"github.com/hybridge-cli/hybridge/pkg/engine/report"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/deployment"
	"github.com/hybridge-cli/hybridge/wizard/stage"
)

// checkScreen shows the prerequisites as they are checked.
type checkScreen struct {
	listed
	results  []check.Result // so far; those of the report once there is one, the worst first
	problems bool           // only those are shown
	place    string         // only its results are shown; "" for all
	anew     check.ID       // the one check that is run again; "" for all
	reads    map[check.ID][]string
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

// one runs the selected check again, wherever it looks.
func (s *checkScreen) one(m *model) tea.Cmd {
	r := s.selected()
	if r == nil || m.run != nil {
		return nil
	}
	s.anew = r.ID
	return m.begin()
}

func (s *checkScreen) run(*model) work {
	if id := s.anew; id != "" {
		return func(ctx context.Context, e stage.Engine, o observe.Observer) (any, error) {
			return e.CheckAgain(ctx, id, o)
		}
	}
	return func(ctx context.Context, e stage.Engine, o observe.Observer) (any, error) { return e.Check(ctx, o) }
}

func (s *checkScreen) observe(e observe.Event) {
	r, ok := e.(check.Result)
	if !ok {
		s.staged.observe(e)
		return
	}
	s.touched(resultID(r))
	for i := range s.results {
		if s.results[i].ID == r.ID && s.results[i].Scope == r.Scope { // tried again
			s.results[i] = r
			return
		}
	}
	s.results = append(s.results, r)
}

func (s *checkScreen) end(m *model, v any, err error) {
	if s.anew != "" {
		s.merge(m, result[check.Report](v), err)
		return
	}
	s.err, m.outcome.Check, m.checked = err, result[check.Report](v), m.opened
	if r := m.outcome.Check; r != nil && len(r.Results) > 0 {
		s.results = r.WorstFirst()
	}
	s.list = list{}
	s.changed()
}

// merge takes the results of one check into the report.
func (s *checkScreen) merge(m *model, again *check.Report, err error) {
	id := s.anew
	s.anew = ""
	s.changed()
	whole := m.outcome.Check
	if whole == nil {
		return
	}
	if err != nil || again == nil {
		s.take(whole.Results) // what was seen of it before it was cut off is no result
		if err != nil {
			m.note = m.words("%s was not checked again: %s", string(id), clean(firstLine(err.Error())))
		}
		return
	}
	results := slices.Clone(whole.Results)
	at := slices.IndexFunc(results, func(r check.Result) bool { return r.ID == id })
	results = slices.DeleteFunc(results, func(r check.Result) bool { return r.ID == id })
	merged := *whole
	merged.Results = slices.Insert(results, max(at, 0), again.Results...)
	merged.Summary = check.Count(merged.Results)
	m.outcome.Check = &merged
	s.take(merged.Results)
	m.note = m.words("%s was checked again.", string(id))
}

// take shows other results of the same checks, each in its place: what was fixed stays in view.
func (s *checkScreen) take(results []check.Result) {
	place := map[string]int{}
	for i, r := range s.results {
		place[resultID(r)] = i
	}
	s.results = slices.Clone(results)
	sorting.Stable(s.results, func(a, b check.Result) int {
		at, known := place[resultID(a)]
		behind, other := place[resultID(b)]
		if !known {
			at = len(place)
		}
		if !other {
			behind = len(place)
		}
		return cmp.Compare(at, behind)
	})
}

func (s *checkScreen) actions(m *model) []action {
	only := on("p", onlyProblems(s.problems), s.toggle)
	place := on("f", "forest", s.turn)
	if m.run != nil {
		return s.list.actions(only, place, backward(m))
	}
	own := []action{only, place, on("r", "check again", s.again), backward(m)}
	if m.outcome.Check != nil && s.err == nil && s.selected() != nil {
		one := on("r", "check this again", s.one)
		if s.list.opened {
			return append(s.list.actions(), one)
		}
		own = []action{only, place, one, on("R", "check all again", s.again), backward(m)}
	}
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
	s.built = nil
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
		if len(results) == 0 {
			results = r.WorstFirst()
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
		hint := ""
		if r.Status == check.StatusError { // the cause that prevented the check has its own hint
			if hint = m.options.Hint(r.Cause); hinted[hint] {
				hint = "" // it is shown once
			}
			hinted[hint] = true
		}
		items = append(items, s.item(resultID(r), func() item { return s.finding(m, r, hint, width) }))
	}
	return items
}

// finding is one result.
func (s *checkScreen) finding(m *model, r check.Result, hint string, width int) item {
	f := r.Block()
	if hint != "" {
		f.Details = append(f.Details, report.Paragraph{Label: msg.Of("hint"), Text: msg.Plain(hint)})
	}
	it := m.item(resultID(r), width, f)
	it.detail = func(width int) []string { // the list cuts what a check that passed saw
		blocks := []report.Block{report.Paragraph{Text: f.Title, Tone: report.Strong}, f}
		if r.Status == check.StatusPass {
			blocks = append(blocks, report.Paragraph{Text: f.Summary})
		}
		if reads := s.asked(r.ID); len(reads) > 0 {
			blocks = append(blocks, report.Paragraph{Label: msg.Of("reads"),
				Text: msg.Plain(strings.Join(reads, "; "))})
		}
		return m.blocks(width, blocks...)
	}
	return it
}

// asked is what a check reads: what it asks of which system, when it is run again too.
func (s *checkScreen) asked(id check.ID) []string {
	if s.reads == nil {
		s.reads = map[check.ID][]string{}
		for _, c := range deployment.Checks() {
			s.reads[c.ID] = c.Reads
		}
	}
	return s.reads[id]
}
