package wizard

import (
	"strings"
	"testing"
	"time"

	tea "github.com/charmbracelet/bubbletea"

	"github.com/hybridge-cli/hybridge/pkg/engine/apply"
)

var _ = pass[*reviewScreen]("These are the answers", "<enter>")

func TestReviewScreen(t *testing.T) {
	b, _ := open[*reviewScreen](t, given{})
	b.goldens("review")
	b.walk(step{"e", "for reports"})
}

// The first screen says how the deployment stands, and what ends when: services, certificates, mail
// of old servers.
func TestHome(t *testing.T) {
	b, _ := open[*reviewScreen](t, given{})
	day := func(text string) time.Time { d, _ := time.Parse(time.DateOnly, text); return d }
	b.m.options.now = func() time.Time { return day("2026-11-27") }
	b.m.past = past{runs: []apply.Entry{{Action: "apply", Outcome: "complete", Started: day("2026-11-20")}}}
	b.send(dated{{What: "contoso: mail.pfx", Last: "2026-12-07", From: day("2026-12-07")},
		{What: "later: b.pfx", Last: "2028-01-01", From: day("2028-01-01")},
		{What: "first: a.pfx", Last: "2027-06-01", From: day("2027-06-01")}})
	b.send(tea.WindowSizeMsg{Width: 200, Height: 60})
	for _, want := range []string{"apply of 2026-11-20", "EWS in Exchange Online ends on 2027-04-01, in 125 days",
		"contoso: mail.pfx ends on 2026-12-07, in 10 days", "since September 2026, Exchange Online delays",
		"Certificates  first: a.pfx ends on 2027-06-01"} {
		b.until(want)
	}
	if strings.Contains(b.m.View(), "later: b.pfx") {
		t.Errorf("a certificate that has time has a line:\n%s", b.m.View())
	}
	checked := newFake().checked()
	checked.Results[0].ID = "transport.enforcement"
	b.m.outcome.Check = &checked
	b.until("1 pass, 1 warn, 1 fail, 1 skip, 2 error")
	if shown := b.m.View(); strings.Contains(shown, "since September 2026") || !strings.Contains(shown,
		"contoso: expires in 20 days") {
		t.Errorf("shown:\n%s", shown)
	}
}
