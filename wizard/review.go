package wizard

import (
	"slices"
	"strings"
	"time"

	tea "github.com/charmbracelet/bubbletea"
	"github.com/charmbracelet/x/ansi"

	"github.com/hybridge-cli/hybridge/pkg/engine/check"
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

// enter reads what earlier runs left, and when the certificates in files end.
func (*reviewScreen) enter(m *model) tea.Cmd {
	read, a, ctx := m.options.Certificates, m.answers, m.ctx
	if read == nil {
		return m.recall()
	}
	return tea.Batch(m.recall(), func() tea.Msg { return dated(read(ctx, a)) })
}

// dated are the ends of certificates in files.
type dated []deployment.End

func (s *reviewScreen) other(_ *model, k tea.KeyMsg) tea.Cmd {
	s.scroll.key(k)
	return nil
}

func (s *reviewScreen) render(m *model, width, height int) []string {
	lines := m.past.notice(m, width)
	lines = append(lines, "", m.styles.title.Render(m.words("These are the answers:")), "")
	rows, labels := slices.Concat(m.standing(), m.reviewed(), m.ends(), m.attention()), 13
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
	ends := deployment.Ends(m.answers)
	var later *deployment.End // the first certificate of those that have time
	for _, e := range m.dated {
		switch {
		case e.From.Sub(m.options.now()) <= soon:
			ends = append(ends, e)
		case later == nil || e.Last < later.Last:
			later = &e
		}
	}
	for _, e := range ends {
		rows = append(rows, [2]string{m.words("! Ends"), m.ending(e)})
	}
	if later != nil {
		rows = append(rows, [2]string{m.words("Certificates"), m.ending(*later)})
	}
	return rows
}

// soon is how long before its end each certificate has a line. Of the others, the first has one.
const soon = 90 * 24 * time.Hour

func (m *model) ending(e deployment.End) string {
	if days := int(e.From.Sub(m.options.now()) / (24 * time.Hour)); days > 0 {
		return m.words("%s ends on %s, in %s", m.term(e.What), e.Last, m.count(days, "%d day", "%d days"))
	}
	return m.words("%s has ended on %s", m.term(e.What), e.Last)
}

// standing says how the deployment stands: its last run, and the checks of this session.
func (m *model) standing() (rows [][2]string) {
	if len(m.past.runs) > 0 {
		e := m.past.runs[0]
		rows = append(rows, [2]string{m.words("Last run"), m.words("%s of %s: %s", m.term(e.Action),
			e.Started.Local().Format("2006-01-02 15:04"), m.term(e.Outcome))})
	}
	if r := m.outcome.Check; r != nil {
		rows = append(rows, [2]string{m.words("Checks"), m.words("%d pass, %d warn, %d fail, %d skip, %d error",
			r.Summary.Pass, r.Summary.Warn, r.Summary.Fail, r.Summary.Skip, r.Summary.Error)})
	}
	return rows
}

// attention are the dates that no calendar has: what the checks of this session found about
// certificates, and about mail of servers that Exchange Online finds too old.
func (m *model) attention() (rows [][2]string) {
	enforcement := check.ID("transport.enforcement")
	looked := false
	if r := m.outcome.Check; r != nil {
		for _, c := range r.Results {
			found := c.Status == check.StatusFail || c.Status == check.StatusWarn
			looked = looked || c.ID == enforcement && (found || c.Status == check.StatusPass)
			if found && (c.ID == enforcement || c.ID.Category() == "certificates") {
				rows = append(rows, [2]string{m.words("! Attention"), clean(c.Scope) + ": " + clean(m.in(c.Summary))})
			}
		}
	}
	if m.answers.ExchangeOnline != nil && !looked {
		rows = append(rows, [2]string{m.words("! Mail"), m.words("since September 2026, Exchange Online " +
			"delays, then refuses " +
			"mail of Exchange servers without the updates of October 2025; the checks look at yours")})
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
