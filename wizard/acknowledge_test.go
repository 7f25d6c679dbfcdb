package wizard

import (
	"os"
	"strings"
	"testing"
	"time"
)

// A finding is acknowledged with its reason, owner and last day; the answers have it, and the
// checks run again. What is not valid changes nothing.
func TestAcknowledge(t *testing.T) {
	engine := newFake()
	b, _ := open[*checkScreen](t, given{engine: engine, result: engine.checked()})
	b.m.options.now = func() time.Time { return time.Date(2026, 11, 27, 0, 0, 0, 0, time.UTC) }
	b.press("<end>")
	if shown := b.m.View(); strings.Contains(shown, "a acknowledge") {
		t.Errorf("what was skipped is acknowledged:\n%s", shown)
	}
	b.walk(step{"<home>a", "Acknowledge this finding"})
	b.goldens("acknowledge")
	b.walk(step{"<enter>anna@contoso.com<enter><enter>", "!  answers.yaml"})
	if b.m.document.Len("checks") != 0 {
		t.Error("an acknowledgement without a reason is in the answers")
	}
	b.walk(step{"<up><up>ticket 4711<down><down>", "ticket 4711"}, step{"<enter>", checkSummary})
	b.wait("never saved", func() bool {
		data, _ := os.ReadFile("answers.yaml")
		return strings.Contains(string(data), "ticket 4711")
	})
	a := b.m.answers.Checks
	if len(a) != 1 || a[0].ID != "directory.upn-matches-primary" || a[0].Scope != "fabrikam" ||
		a[0].Owner != "anna@contoso.com" || a[0].Expires != "2026-12-27" {
		t.Errorf("%+v", a)
	}
	if b.m.runs != 1 {
		t.Errorf("%d runs, want one more check", b.m.runs)
	}
}

// The results of one place are shown alone.
func TestCheckPlaces(t *testing.T) {
	b, _ := open[*checkScreen](t, given{result: newFake().checked()})
	b.walk(step{"f", "Only fabrikam."}) // the worst is there
	if strings.Contains(b.m.View(), "directory.reachable") || !strings.Contains(b.m.View(), "exchange.rights") {
		t.Errorf("fabrikam alone:\n%s", b.m.View())
	}
	b.walk(step{"f", "Only contoso."}, step{"ff", "All results."}, step{"", "directory.upn"})
}
