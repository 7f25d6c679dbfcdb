package wizard

import (
	"fmt"

	tea "github.com/charmbracelet/bubbletea"

	"github.com/hybridge-cli/hybridge/pkg/config/answers"
	"github.com/hybridge-cli/hybridge/wizard/stage"
)

// startScreen shows the answers that were found, or asks which scenario to begin with.
type startScreen struct {
	review    bool
	scenarios []answers.Scenario
	at        int
	fault     string
}

func (*startScreen) stage() stage.ID { return stage.Answers }

func (s *startScreen) help() string {
	return "The answers are kept in one YAML file, the same that every other command takes with -f. Secrets are never in it: only where they are kept."
}

func (s *startScreen) keys(*model) []hint {
	switch {
	case s.review:
		return []hint{{"enter", "check the prerequisites"}, {"e", "edit the answers"}}
	case len(s.scenarios) > 0:
		return []hint{{"up/down", "choose"}, {"enter", "begin"}}
	}
	return nil
}

func (s *startScreen) key(m *model, k tea.KeyMsg) tea.Cmd {
	name := k.String()
	if s.review {
		switch name {
		case "enter":
			return m.check.begin(m)
		case "e":
			m.form.open(m)
			m.screen = m.form
		}
		return nil
	}
	switch name {
	case "up", "k":
		s.at = max(0, s.at-1)
	case "down", "j":
		s.at = min(len(s.scenarios)-1, s.at+1)
	case "enter":
		if len(s.scenarios) == 0 {
			return nil
		}
		d, err := answers.New(m.path, s.scenarios[s.at].ID)
		if err != nil {
			m.note = clean(err.Error())
			return nil
		}
		m.document, m.edits = d, 1
		s.review = true
		m.form.open(m)
		m.screen = m.form
	}
	return nil
}

func (s *startScreen) render(m *model, width, _ int) []string {
	if s.review && m.document != nil {
		return s.summary(m, width)
	}
	if len(s.scenarios) == 0 {
		return []string{"", "Reading " + clean(m.path)}
	}
	lines := []string{""}
	if s.fault != "" {
		lines = append(lines, wrap(s.fault, width, "  ")...)
		lines = append(lines, wrap("That file is left alone. New answers go to "+clean(m.path)+".", width, "")...)
	} else {
		lines = append(lines, wrap("There is no "+clean(m.path)+" yet. Which organization comes closest to yours?", width, "")...)
	}
	lines = append(lines, "")
	for i, scenario := range s.scenarios {
		line := fmt.Sprintf("  %-14s %s", scenario.ID, scenario.Title)
		if i == s.at {
			line = m.styles.focus.Render("> " + line[2:])
		}
		lines = append(lines, line)
	}
	return lines
}

func (s *startScreen) summary(m *model, width int) []string {
	a := m.answers
	lines := []string{"", m.styles.title.Render("These are the answers:"), ""}
	row := func(what, value string) {
		for i, line := range wrap(clean(value), width-16, "") {
			if i > 0 {
				what = ""
			}
			lines = append(lines, fmt.Sprintf("  %-13s %s", what, line))
		}
	}
	row("Organization", a.Organization)
	if e := a.ExchangeOnline; e != nil {
		row("Tenant", fmt.Sprintf("%s, cloud %s, signing in with %s", e.Tenant, e.Cloud, e.Credential.Kind))
	}
	if w := a.WorkMail; w != nil {
		row("WorkMail", w.Organization+" in "+w.Region+"; nothing is checked or set up there so far")
	}
	for _, f := range a.Forests {
		row("Forest", fmt.Sprintf("%s with %s; Exchange at %s as %s", f.Name, join(f.Domains), f.Exchange.Server, f.Exchange.Credential.Kind))
	}
	row("Lookups", fmt.Sprintf("%d to ask", len(a.Tests.Pairs)))
	for _, host := range a.Network.InsecureHosts {
		row("! Insecure", "the certificate of "+host+" is not verified")
	}
	return append(lines, "", "Checking the prerequisites reads every system and changes nothing.")
}

func join(list []string) string {
	switch len(list) {
	case 0:
		return "no domains"
	case 1, 2, 3:
		out := list[0]
		for _, s := range list[1:] {
			out += ", " + s
		}
		return out
	}
	return fmt.Sprintf("%s and %d more", list[0], len(list)-1)
}
