package wizard

import (
	"strings"
	"time"

	tea "github.com/charmbracelet/bubbletea"
	"github.com/charmbracelet/x/ansi"

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
	lines = append(lines, "", m.styles.title.Render(m.words("These are the answers:")), "")
	rows, labels := append(m.reviewed(), m.ends()...), 13
	for _, row := range rows {
		labels = max(labels, ansi.StringWidth(row[0]))
	}
	for _, row := range rows {
		what := row[0]
		for _, line := range m.text(width-labels-3, clean(row[1])) {
			lines = append(lines, "  "+pad(what, labels)+" "+line)
			what = ""
		}
	}
	lines = append(lines, "", m.words("Checking the prerequisites reads every system and changes nothing."))
	return m.window(&s.scroll, lines, height)
}

// reviewed are the answers in short, each with its label.
func (m *model) reviewed() (rows [][2]string) {
	a := m.answers
	row := func(what, value string) { rows = append(rows, [2]string{m.term(what), value}) }
	row("Organization", a.Organization)
	if e := a.ExchangeOnline; e != nil {
		row("Tenant", m.words("%s, cloud %s, signing in with %s", e.Tenant, e.Cloud, e.Credential.Kind))
	}
	if w := a.WorkMail; w != nil {
		row("WorkMail", m.words("%s in %s", w.Organization, w.Region))
	}
	for _, f := range a.Forests {
		row("Forest", m.words("%s with %s; Exchange at %s as %s", f.Name, m.enumerate(f.Domains), f.Exchange.Server,
			f.Exchange.Credential.Kind))
	}
	row("Lookups", m.words("%d to ask", len(a.Tests.Pairs)))
	for _, host := range a.Network.InsecureHosts {
		row("! Insecure", m.words("the certificate of %s is not verified", host))
	}
	return rows
}

// ends are the dates on which something that the answers use ends.
func (m *model) ends() (rows [][2]string) {
	for _, e := range deployment.Ends(m.answers) {
		text := m.words("%s has ended on %s", m.term(e.What), e.Last)
		if days := int(e.From.Sub(m.options.now()) / (24 * time.Hour)); days > 0 {
			text = m.words("%s ends on %s, in %s", m.term(e.What), e.Last, m.count(days, "%d day", "%d days"))
		}
		rows = append(rows, [2]string{m.words("! Ends"), text})
	}
	return rows
}

// enumerate names the domains of a forest, the first of many.
func (m *model) enumerate(domains []string) string {
	switch n := len(domains); {
	case n == 0:
		return m.words("no domains")
	case n <= 3:
		return strings.Join(domains, ", ")
	}
	return m.words("%s and %d more", domains[0], len(domains)-1)
}
