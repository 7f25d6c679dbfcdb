package wizard

import (
	"fmt"
	"slices"
	"testing"

	"github.com/hybridge-cli/hybridge/pkg/engine/apply"
	"github.com/hybridge-cli/hybridge/pkg/engine/change"
	"github.com/hybridge-cli/hybridge/pkg/engine/check"
	"github.com/hybridge-cli/hybridge/pkg/engine/msg"
	"github.com/hybridge-cli/hybridge/wizard/stage"
)

var _ = pass[*confirmScreen]("y applies it", "y")

func TestConfirmScreen(t *testing.T) {
	b, _ := open[*confirmScreen](t, given{outcome: stage.Outcome{Plan: &newFake().plan}})
	b.walk(step{"", "y applies it"})
	b.goldens("confirm")
	b.walk(step{"y", "1 done, 0 skipped, 1 failed"})
}

// From the question there are ways back, and nothing is applied by taking one.
func TestConfirmBack(t *testing.T) {
	for _, key := range []string{"<esc>", "n", "<enter>"} {
		b, _ := open[*confirmScreen](t, given{outcome: stage.Outcome{Plan: &newFake().plan}})
		b.walk(step{"", "y applies it"})
		b.press(key)
		if back := b.m.screen == screen(find[*planScreen](b.m)); b.m.run != nil || back != (key != "<enter>") {
			t.Errorf("%s: run %v, at %T", key, b.m.run, b.m.screen)
		}
	}
}

// The checks that the changes depend on are rerun. What failed stands above the question, and the
// answer is the consent to it.
func TestChecksBeforeTheChanges(t *testing.T) {
	engine := newFake()
	engine.objections = []check.Result{
		{ID: "certificates.auth", Title: "Auth certificate", Scope: "contoso", Status: check.StatusFail,
			Severity: check.Fail, Summary: msg.Plain("the auth certificate has expired")},
		{ID: "servers.build", Title: "Builds", Scope: "fabrikam", Status: check.StatusPass, Severity: check.Fail},
		{ID: "domains.accepted", Title: "Domains", Scope: "organization", Status: check.StatusError,
			Severity: check.Fail, Summary: msg.Plain("nothing answers")},
	}
	b, _ := open[*confirmScreen](t, given{engine: engine, outcome: stage.Outcome{Plan: &engine.plan}})
	b.walk(step{"", "2 checks that the changes depend on failed or could not look"},
		step{"", "the auth certificate has expired"}, step{"", "nothing answers"}, step{"", "y apply all the same"},
		step{"y", "1 done, 0 skipped, 1 failed"})
	if !slices.Equal(engine.accepted, []string{apply.AcceptFailedChecks}) {
		t.Errorf("accepted %v", engine.accepted)
	}
}

// Nothing is applied while the checks run, nor when they cannot run at all.
func TestNothingIsAppliedBeforeTheChecks(t *testing.T) {
	engine := newFake()
	engine.stuck = "recheck"
	b, _ := open[*confirmScreen](t, given{engine: engine, outcome: stage.Outcome{Plan: &engine.plan}})
	b.walk(step{"", "Checking again what the changes depend on"})
	b.press("y")
	if b.m.screen != screen(find[*confirmScreen](b.m)) || b.m.run == nil {
		t.Errorf("at %T", b.m.screen)
	}
	b.press("<esc>")
	b.walk(step{"", "enter apply"})
	if b.m.screen != screen(find[*planScreen](b.m)) {
		t.Errorf("at %T", b.m.screen)
	}
}

// A plan that removes something is not applied by one key; typing the name allows it. The question
// stays in view in the smallest window, for every length of the text.
func TestSevere(t *testing.T) {
	engine := newFake()
	engine.plan.Summary.Delete = 1
	for i := range 30 {
		c := engine.plan.Changes[0]
		c.ID, c.Kind, c.Action = fmt.Sprint("online/K/", i), fmt.Sprint("Kind", i), change.Delete
		engine.plan.Changes = append(engine.plan.Changes, c)
	}
	b, _ := open[*confirmScreen](t, given{engine: engine, outcome: stage.Outcome{Plan: &engine.plan}})
	b.walk(step{"", "Type the organization's name"}, step{"y<enter>", "not the organization's name"},
		step{"<backspace>Contoso", "> Contoso"}, step{"<pgdown>", "lines 1"}, step{"<enter>", "1 done"})
	if !engine.allowedDelete {
		t.Error("the removals were agreed to and yet not allowed")
	}
}

// What is removed to be created anew is gone for a while, and for good when the second half fails.
func TestReplacementIsSevere(t *testing.T) {
	for _, test := range []struct {
		summary change.Summary
		want    bool
	}{
		{change.Summary{Create: 1, Update: 1}, false},
		{change.Summary{Delete: 1}, true},
		{change.Summary{Replace: 1}, true},
	} {
		if got := severe(&change.Plan{Summary: test.summary}); got != test.want {
			t.Errorf("%+v: %v", test.summary, got)
		}
	}
}
