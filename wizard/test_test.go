package wizard

import (
	"strings"
	"testing"

	"github.com/hybridge-cli/hybridge/pkg/hybrid/deployment"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/diagnose"
)

var _ = pass[*testScreen]("2 ok, 1 failed, 1 unknown", "")

func TestTestScreen(t *testing.T) {
	b, _ := open[*testScreen](t, given{result: newFake().tested()})
	b.until("2 ok, 1 failed, 1 unknown")
	b.goldens("test")
	b.press("p")
	if shown := b.m.View(); strings.Contains(shown, "340 ms") || !strings.Contains(shown, "FAIL ") {
		t.Errorf("problems only:\n%s", shown)
	}
	if text := strings.Join(b.m.farewell(nil), "\n"); !strings.Contains(text,
		"ask again with: hybridge test -f answers.yaml") || !b.m.finished() {
		t.Errorf("farewell: %s", text)
	}
	b.walk(step{"<esc>", "1 to create"})
}

// A lookup opens with its way, what the server said, and what the checks say about it. o asks that
// one again; the others stay.
func TestLookupInDetail(t *testing.T) {
	engine := newFake()
	report := engine.tested()
	report.Verdict = &diagnose.Verdict{Causes: []diagnose.Cause{{Decided: true, Diagnosis: diagnose.Diagnosis{Confidence: 0.9,
		ID: "oauth.partner-application-disabled", Cause: "the partner application is disabled",
		Owner: "Exchange administrator", Fix: "enable it"}}}}
	b, s := open[*testScreen](t, given{engine: engine, result: report})
	b.walk(step{"", "2 ok, 1 failed, 1 unknown"}, step{"p<space>", "RBAC roles"}, step{"", "sign-in with a token"},
		step{"", "(90%): the partner application"}, step{"<end>", "enable it"})
	engine.cells = engine.cells[2:3]
	engine.cells[0].Status, engine.cells[0].Error = deployment.OK, ""
	b.walk(step{"o", "gina@fabrikam.example was asked again about bob@contoso.com."},
		step{"", "3 ok, 0 failed, 1 unknown"})
	if n := len(s.answers); n != 4 || engine.asked.From != "gina@fabrikam.example" || engine.asked.To != "bob@contoso.com" {
		t.Errorf("%d answers, asked %+v", n, engine.asked)
	}
}
