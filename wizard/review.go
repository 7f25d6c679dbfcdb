package wizard

import (
	"fmt"
	"strings"
	"time"

	tea "github.com/charmbracelet/bubbletea"

	"github.com/hybridge-cli/hybridge/pkg/config/answers"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/deployment"
)

// reviewScreen shows the answers before anything is connected to.
type reviewScreen struct {
	page
	scroll scroll
}

func (*reviewScreen) about() about { return (*scenarioScreen)(nil).about() }

func (*reviewScreen) actions(m *model) []action {
	own := []action{forward("check"), on("e", "edit", show[*formScreen]),
		on("d", "find more answers", show[*discoverScreen])}
	if len(m.past.runs) > 0 {
		own = append(own, on("h", "history", show[*historyScreen]))
	}
	return own
}

// enter reads what earlier runs left.
func (*reviewScreen) enter(m *model) tea.Cmd { return m.recall() }

func (s *reviewScreen) other(_ *model, k tea.KeyMsg) tea.Cmd {
	s.scroll.key(k)
	return nil
}

func (s *reviewScreen) render(m *model, width, height int) []string {
	lines := m.past.notice(m, width)
	lines = append(lines, "", m.styles.title.Render("These are the answers:"), "")
	for _, row := range append(reviewed(m.answers), ends(m.answers, m.options.now())...) {
		what := row[0]
		for _, line := range m.text(width-16, clean(row[1])) {
			lines = append(lines, fmt.Sprintf("  %-13s %s", what, line))
			what = ""
		}
	}
	lines = append(lines, "", "Checking the prerequisites reads every system and changes nothing.")
	return m.window(&s.scroll, lines, height)
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

// ends are the dates on which something that the answers use ends.
func ends(a answers.Answers, now time.Time) (rows [][2]string) {
	for _, e := range deployment.Ends(a) {
		text := e.What + " has ended on " + e.Last
		if days := int(e.From.Sub(now) / (24 * time.Hour)); days > 0 {
			text = fmt.Sprintf("%s ends on %s, in %s", e.What, e.Last, counted(days, "day"))
		}
		rows = append(rows, [2]string{"! Ends", text})
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
