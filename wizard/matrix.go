package wizard

import (
	"fmt"
	"slices"
	"strings"

	tea "github.com/charmbracelet/bubbletea"
	"github.com/charmbracelet/x/ansi"

	"github.com/hybridge-cli/hybridge/pkg/engine/observe"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/freebusy"
	"github.com/hybridge-cli/hybridge/wizard/stage"
)

// testScreen shows the free/busy matrix as it fills: who can see whom, and below every lookup.
type testScreen struct {
	answers  []freebusy.Answer
	warnings []string
	report   *freebusy.Report
	err      error
	problems bool
	view     view
}

func (*testScreen) stage() stage.ID { return stage.Test }

func (s *testScreen) help() string {
	return "A row asks, a column is asked about; a cell counts the lookups that came back. UNKNOWN means that the question could not be put: nothing is said about the route. " +
		"Changes to connectors take effect within minutes; ask again."
}

func (s *testScreen) keys(m *model) []hint {
	if m.run != nil {
		return []hint{{"up/down", "scroll"}, {"esc", "stop and go back"}}
	}
	return []hint{{"r", "ask again"}, {"p", onlyProblems(s.problems)}, {"up/down", "scroll"}, {"esc", "back"}}
}

func (s *testScreen) begin(m *model) tea.Cmd {
	if m.run != nil {
		return nil
	}
	*s = testScreen{problems: s.problems}
	m.screen = s
	return m.begin(stage.Test)
}

func (s *testScreen) observe(e observe.Event) {
	switch e := e.(type) {
	case freebusy.Answer:
		for i, a := range s.answers {
			if a.From == e.From && a.To == e.To && a.Probe == e.Probe { // asked again
				s.answers[i] = e
				return
			}
		}
		s.answers = append(s.answers, e)
	case observe.Warning:
		s.warnings = append(s.warnings, clean(e.Text))
	}
}

func (s *testScreen) end(m *model, msg finished) {
	s.err = msg.err
	if msg.outcome.Test != nil && msg.err == nil {
		s.report, m.outcome.Test = msg.outcome.Test, msg.outcome.Test
		s.answers = s.report.Matrix
	}
}

func (s *testScreen) key(m *model, k tea.KeyMsg) tea.Cmd {
	switch name := k.String(); name {
	case "r":
		return s.begin(m)
	case "p":
		s.problems = !s.problems
	case "esc":
		return m.back(m.plan)
	default:
		s.view.key(name)
	}
	return nil
}

func (s *testScreen) render(m *model, width, height int) []string {
	title := "Asking"
	if s.report != nil {
		c := s.report.Summary
		title = fmt.Sprintf("%d ok, %d failed, %d unknown", c.OK, c.Failed, c.Unknown)
	}
	lines := []string{m.styles.title.Render(title)}
	if s.report != nil {
		lines = append(lines, wrap(s.verdict(m), width, "")...)
	}
	lines = append(lines, m.problemLines(s.err, s.warnings, width)...)
	lines = append(lines, "")
	lines = append(lines, m.grid(s.answers, width)...)
	lines = append(lines, "")
	var list []string
	asked := ""
	for _, a := range s.answers {
		if s.problems && a.Status == freebusy.OK {
			continue
		}
		if question := a.Direction + "\x00" + a.From + "\x00" + a.To; question != asked {
			asked = question
			direction, who := clean(a.Direction), clean(a.From)+" sees "+clean(a.To)
			if line := m.styles.title.Render(direction) + "  " + who; ansi.StringWidth(line) <= width {
				list = append(list, line)
			} else {
				list = append(append(list, m.styles.title.Render(direction)), wrap("  "+who, width, "  ")...)
			}
		}
		list = append(list, m.lookup(a, width)...)
	}
	return append(lines, m.window(&s.view, list, height-len(lines))...)
}

// verdict says what the matrix means, and what to do next.
func (s *testScreen) verdict(m *model) string {
	c := s.report.Summary
	switch {
	case c.OK+c.Failed+c.Unknown == 0:
		return "There was nothing to ask: name pairs of people in the answers (esc, esc, esc, e)."
	case c.Failed+c.Unknown == 0 && len(s.warnings) > 0:
		return "Every lookup that was asked works."
	case c.Failed+c.Unknown == 0:
		return "Every lookup works, in every direction asked. You are done: q leaves."
	case c.Failed == 0:
		return "Some could not be asked; what stood in the way is said below. r asks again."
	case m.outcome.Apply != nil:
		return "Changes take minutes to take effect, some of them hours (the plan's risks say which). r asks again."
	}
	return "esc goes back to the plan, which shows what is missing. r asks again."
}

// grid draws who sees whom: places by places.
func (m *model) grid(all []freebusy.Answer, width int) []string {
	type cell struct{ ok, total, unknown int }
	cells := map[[2]string]*cell{}
	var places []string
	for _, a := range all {
		from, to, found := strings.Cut(a.Direction, " -> ")
		if !found {
			continue
		}
		for _, p := range []string{from, to} {
			if !slices.Contains(places, p) {
				places = append(places, p)
			}
		}
		c := cells[[2]string{from, to}]
		if c == nil {
			c = &cell{}
			cells[[2]string{from, to}] = c
		}
		c.total++
		switch a.Status {
		case freebusy.OK:
			c.ok++
		case freebusy.Unknown:
			c.unknown++
		}
	}
	if len(places) == 0 {
		return nil
	}
	slices.SortFunc(places, func(a, b string) int { // clouds last
		if (a == "online") != (b == "online") {
			if a == "online" {
				return 1
			}
			return -1
		}
		return strings.Compare(a, b)
	})
	column := min(20, max(12, (width-18)/len(places)))
	head := pad(m.styles.faint.Render("asks \\ about"), 18)
	for _, p := range places {
		head += pad(clean(p), column)
	}
	lines := []string{head}
	for _, from := range places {
		line := pad(clean(from), 17) + " "
		for _, to := range places {
			c := cells[[2]string{from, to}]
			switch {
			case c == nil:
				line += pad(m.styles.faint.Render("-"), column)
			case c.ok == c.total:
				line += pad(m.styles.good.Render(fmt.Sprintf("ok %d/%d", c.ok, c.total)), column)
			case c.ok+c.unknown == c.total:
				line += pad(m.styles.warn.Render(fmt.Sprintf("unknown %d/%d", c.ok, c.total)), column)
			default:
				line += pad(m.styles.bad.Render(fmt.Sprintf("FAILED %d/%d", c.ok, c.total)), column)
			}
		}
		lines = append(lines, line)
	}
	return lines
}

// lookup draws one lookup, and of one that failed the route, the error and what is suspected.
func (m *model) lookup(a freebusy.Answer, width int) []string {
	style := m.styles.bad
	switch a.Status {
	case freebusy.OK:
		style = m.styles.good
	case freebusy.Unknown:
		style = m.styles.warn
	}
	word := style.Render(fmt.Sprintf("%-7s", strings.ToUpper(string(a.Status))))
	lines := []string{fmt.Sprintf("  %s by %s  %s", word, clean(a.Probe), m.styles.faint.Render(fmt.Sprintf("%d ms", a.LatencyMS)))}
	if a.Status == freebusy.OK {
		return lines
	}
	add := func(label, text string) {
		for _, line := range wrap(label+clean(text), width-8, strings.Repeat(" ", len(label))) {
			lines = append(lines, "        "+line)
		}
	}
	if len(a.Route) > 0 {
		add("route  ", strings.Join(a.Route, " > "))
	}
	if a.Error != "" {
		add("error  ", strings.ReplaceAll(a.Gist(), "\n", "; "))
	}
	for _, d := range a.Diagnosis {
		add("cause  ", fmt.Sprintf("%s (%.0f %%)", d.ID, 100*d.Confidence))
	}
	return lines
}
