package wizard

import (
	"fmt"
	"testing"

	"github.com/hybridge-cli/hybridge/pkg/engine/change"
	"github.com/hybridge-cli/hybridge/wizard/stage"
)

var _ = pass[*confirmScreen]("Apply this plan?", "y")

func TestConfirmScreen(t *testing.T) {
	b, _ := open[*confirmScreen](t, given{outcome: stage.Outcome{Plan: &newFake().plan}})
	b.goldens("confirm")
	b.walk(step{"y", "1 done, 0 skipped, 1 failed"})
}

// From the question there are ways back, and nothing is applied by taking one.
func TestConfirmBack(t *testing.T) {
	for _, key := range []string{"<esc>", "n", "<enter>"} {
		b, _ := open[*confirmScreen](t, given{outcome: stage.Outcome{Plan: &newFake().plan}})
		b.press(key)
		if back := b.m.screen == screen(find[*planScreen](b.m)); b.m.run != nil || back != (key != "<enter>") {
			t.Errorf("%s: run %v, at %T", key, b.m.run, b.m.screen)
		}
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
