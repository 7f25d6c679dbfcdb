package wizard

import (
	"fmt"
	"strings"

	tea "github.com/charmbracelet/bubbletea"

	"github.com/hybridge-cli/hybridge/pkg/config/answers"
)

// reviewScreen shows the answers before anything is connected to.
type reviewScreen struct{ page }

func (*reviewScreen) about() about { return (*scenarioScreen)(nil).about() }

func (*reviewScreen) actions(*model) []action {
	return []action{forward("check the prerequisites"), on("e", "edit the answers", show[*formScreen]),
		on("d", "look for more answers", show[*discoverScreen])}
}

// enter reads what earlier runs left.
func (*reviewScreen) enter(m *model) tea.Cmd { return m.recall() }

func (*reviewScreen) render(m *model, width, _ int) []string {
	lines := m.past.notice(m, width)
	lines = append(lines, "", m.styles.title.Render("These are the answers:"), "")
	for _, row := range reviewed(m.answers) {
		what := row[0]
		for _, line := range m.text(width-16, clean(row[1])) {
			lines = append(lines, fmt.Sprintf("  %-13s %s", what, line))
			what = ""
		}
	}
	return append(lines, "", "Checking the prerequisites reads every system and changes nothing.")
}

// reviewed are the answers in short, each with its label.
func reviewed(a answers.Answers) (rows [][2]string) {
	row := func(what, value string) { rows = append(rows, [2]string{what, value}) }
	row("Organization", a.Organization)
	if e := a.ExchangeOnline; e != nil {
		row("Tenant", fmt.Sprintf("%s, cloud %s, signing in with %s", e.Tenant, e.Cloud, e.Credential.Kind))
	}
	if w := a.WorkMail; w != nil {
		row("WorkMail", w.Organization+" in "+w.Region)
	}
	for _, f := range a.Forests {
		row("Forest", fmt.Sprintf("%s with %s; Exchange at %s as %s", f.Name, enumerate(f.Domains), f.Exchange.Server,
			f.Exchange.Credential.Kind))
	}
	row("Lookups", fmt.Sprintf("%d to ask", len(a.Tests.Pairs)))
	for _, host := range a.Network.InsecureHosts {
		row("! Insecure", "the certificate of "+host+" is not verified")
	}
	return rows
}

// enumerate names the domains of a forest, the first of many.
func enumerate(domains []string) string {
	switch n := len(domains); {
	case n == 0:
		return "no domains"
	case n <= 3:
		return strings.Join(domains, ", ")
	}
	return fmt.Sprintf("%s and %d more", domains[0], len(domains)-1)
}
