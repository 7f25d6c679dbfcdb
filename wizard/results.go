package wizard

import (
	"fmt"
	"strings"

	tea "github.com/charmbracelet/bubbletea"
	"github.com/charmbracelet/lipgloss"

	"github.com/hybridge-cli/hybridge/pkg/engine/check"
	"github.com/hybridge-cli/hybridge/pkg/engine/observe"
	"github.com/hybridge-cli/hybridge/wizard/stage"
)

// checkScreen shows the prerequisites as they are checked.
type checkScreen struct {
	results  []check.Result
	warnings []string
	report   *check.Report
	err      error
	problems bool // only those are shown
	follow   bool // the end stays in view
	view     view
}

func (*checkScreen) stage() stage.ID { return stage.Check }

func (s *checkScreen) help() string {
	return "PASS and FAIL are findings. ERROR means that it could not be looked at, and says nothing about what is there. SKIP means that it does not apply here, or needs what failed before."
}

func (s *checkScreen) keys(m *model) []hint {
	if m.run != nil {
		return []hint{{"up/down", "scroll"}, {"p", onlyProblems(s.problems)}, {"esc", "stop and go back"}}
	}
	hints := []hint{{"up/down", "scroll"}, {"p", onlyProblems(s.problems)}, {"r", "check again"}, {"esc", "back"}}
	if s.report != nil && s.err == nil {
		return append([]hint{{"enter", "plan"}}, hints...)
	}
	return hints
}

// onlyProblems is what the key p does next.
func onlyProblems(on bool) string {
	if on {
		return "show all"
	}
	return "problems only"
}

// begin shows the screen and checks, if that was not done with these answers.
func (s *checkScreen) begin(m *model) tea.Cmd {
	m.screen = s
	if s.report != nil && s.err == nil && m.opened == string(m.document.Bytes()) {
		return nil
	}
	return s.again(m)
}

func (s *checkScreen) again(m *model) tea.Cmd {
	if m.run != nil {
		return nil
	}
	*s = checkScreen{problems: s.problems, follow: true}
	m.outcome.Check, m.outcome.Plan = nil, nil
	return m.begin(stage.Check)
}

func (s *checkScreen) observe(e observe.Event) {
	switch e := e.(type) {
	case check.Result:
		for i, r := range s.results {
			if r.ID == e.ID && r.Scope == e.Scope { // tried again
				s.results[i] = e
				return
			}
		}
		s.results = append(s.results, e)
	case observe.Warning:
		s.warnings = append(s.warnings, clean(e.Text))
	}
}

func (s *checkScreen) end(m *model, msg finished) {
	s.err = msg.err
	if msg.outcome.Check != nil {
		s.report, m.outcome.Check = msg.outcome.Check, msg.outcome.Check
		if len(s.report.Results) > 0 {
			s.results = s.report.Results // in the order of declaration
		}
	}
	s.follow = false
	s.view.offset = 0
}

func (s *checkScreen) key(m *model, k tea.KeyMsg) tea.Cmd {
	switch name := k.String(); name {
	case "p":
		s.problems = !s.problems
	case "r":
		return s.again(m)
	case "enter":
		if m.run == nil && s.report != nil && s.err == nil {
			return m.plan.begin(m)
		}
	case "esc":
		return m.back(m.start)
	default:
		if s.view.key(name) {
			s.follow = false
		}
	}
	return nil
}

// back goes to an earlier screen; what runs is stopped first.
func (m *model) back(to screen) tea.Cmd {
	if m.run == nil {
		return m.show(to)
	}
	m.run.cancel()
	m.asks, m.returning = nil, to
	return nil
}

// show goes to a screen. A plan that was carried out is made anew: what is live is no longer what it was made from.
func (m *model) show(to screen) tea.Cmd {
	if to == screen(m.plan) {
		return m.plan.begin(m)
	}
	m.screen = to
	return nil
}

func (s *checkScreen) render(m *model, width, height int) []string {
	var lines []string
	if s.report != nil {
		c := s.report.Summary
		lines = append(lines, m.styles.title.Render(fmt.Sprintf("%d pass, %d warn, %d fail, %d skip, %d error", c.Pass, c.Warn, c.Fail, c.Skip, c.Error)))
	} else {
		lines = append(lines, m.styles.title.Render("Checking the prerequisites"))
	}
	lines = append(lines, m.problemLines(s.err, s.warnings, width)...)
	lines = append(lines, "")
	var list []string
	hinted := map[string]bool{}
	for _, r := range s.results {
		if s.problems && (r.Status == check.StatusPass || r.Status == check.StatusSkip) {
			continue
		}
		list = append(list, m.result(r, width)...)
		// What stood in the way has no remedy of the check's; the same advice is given once.
		if hint := m.options.Hint(r.Cause); r.Status == check.StatusError && hint != "" && !hinted[hint] {
			hinted[hint] = true
			list = append(list, labelled("hint  ", hint, width)...)
		}
	}
	if s.follow {
		s.view.offset = 1 << 30
	}
	return append(lines, m.window(&s.view, list, height-len(lines))...)
}

// problemLines shows what went wrong with a stage as a whole.
func (m *model) problemLines(err error, warnings []string, width int) []string {
	var lines []string
	for _, w := range warnings {
		for _, line := range wrap("warning: "+w, width, "  ") {
			lines = append(lines, m.styles.warn.Render(line))
		}
	}
	if err != nil {
		for _, line := range wrap("error: "+clean(err.Error()), width, "  ") {
			lines = append(lines, m.styles.bad.Render(line))
		}
		if hint := m.options.Hint(err); hint != "" {
			lines = append(lines, wrap("hint: "+clean(hint), width, "  ")...)
		}
	}
	return lines
}

func (m *model) statusStyle(s check.Status) lipgloss.Style {
	switch s {
	case check.StatusPass:
		return m.styles.good
	case check.StatusWarn:
		return m.styles.warn
	case check.StatusFail, check.StatusError:
		return m.styles.bad
	}
	return m.styles.faint
}

// labelled draws what is said beneath a result; nothing when nothing is.
func labelled(label, text string, width int) []string {
	if text = clean(text); text == "" {
		return nil
	}
	lines := wrap(label+text, width-6, strings.Repeat(" ", len(label)))
	for i := range lines {
		lines[i] = "      " + lines[i]
	}
	return lines
}

// result draws one result: what and where, and for what is not in order why it matters and what to do.
func (m *model) result(r check.Result, width int) []string {
	word := m.statusStyle(r.Status).Render(fmt.Sprintf("%-5s", strings.ToUpper(string(r.Status))))
	lines := []string{fmt.Sprintf("%s %s  %s", word, clean(string(r.ID)), m.styles.faint.Render(clean(r.Scope)))}
	add := func(label, text string) { lines = append(lines, labelled(label, text, width)...) }
	if r.Status == check.StatusPass {
		if !r.Summary.IsZero() { // what was seen, as far as the line goes
			lines[0] += "  " + m.styles.faint.Render(clean(r.Summary.String()))
		}
		return lines
	}
	add("", r.Summary.String())
	if r.Status == check.StatusSkip {
		return lines
	}
	add("", r.Detail.String())
	add("fix   ", r.Remedy.Text.String())
	for _, c := range r.Remedy.Commands {
		add("      ", c)
	}
	add("see   ", r.Remedy.Docs)
	return lines
}
