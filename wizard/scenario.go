package wizard

import (
	tea "github.com/charmbracelet/bubbletea"

	"github.com/hybridge-cli/hybridge/pkg/config/answers"
)

// scenarioScreen asks which organization to begin with, when there are no answers yet.
type scenarioScreen struct {
	page
	scenarios []answers.Scenario // nil until the answers file was looked for
	at        int
	fault     string // of a file that cannot be read
}

func (*scenarioScreen) about() about {
	return about{
		step: "Answers", does: "What hybridge needs to know. Nothing is connected to.",
		help: "The answers are kept in one YAML file, the same that every other command takes with -f. Secrets are " +
			"never in it: only where they are kept.",
	}
}

func (s *scenarioScreen) enter(m *model) tea.Cmd {
	s.scenarios = answers.Scenarios()
	m.document, m.edits = nil, 0
	return nil
}

func (s *scenarioScreen) actions(*model) []action {
	if len(s.scenarios) == 0 {
		return nil
	}
	return []action{on("up/down", "choose", nil), on("enter", "begin", s.begin)}
}

func (s *scenarioScreen) begin(m *model) tea.Cmd {
	d, err := answers.New(m.file.name(), s.scenarios[s.at].ID)
	if err != nil {
		m.note = clean(err.Error())
		return nil
	}
	m.document, m.edits = d, 1
	return m.next()
}

func (s *scenarioScreen) other(_ *model, k tea.KeyMsg) tea.Cmd {
	switch k.String() {
	case "up", "k":
		s.at = max(0, s.at-1)
	case "down", "j":
		s.at = max(0, min(len(s.scenarios)-1, s.at+1))
	}
	return nil
}

func (s *scenarioScreen) render(m *model, width, _ int) []string {
	path := clean(m.file.name())
	if len(s.scenarios) == 0 {
		return []string{"", m.words("Reading %s", path)}
	}
	lines := []string{""}
	if s.fault != "" {
		lines = append(lines, m.text(width, s.fault)...)
		lines = append(lines, m.text(width, m.words("That file is left alone. New answers go to %s.", path))...)
	} else {
		lines = append(lines, m.text(width,
			m.words("There is no %s yet. Which organization comes closest to yours?", path))...)
	}
	lines = append(lines, "")
	for i, scenario := range s.scenarios {
		line := "  " + pad(scenario.ID, 14) + " " + m.term(scenario.Title)
		if i == s.at {
			line = m.styles.focus.Render("> " + line[2:])
		}
		lines = append(lines, line)
	}
	return lines
}
