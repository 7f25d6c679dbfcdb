package wizard

import (
	"testing"

	"github.com/hybridge-cli/hybridge/pkg/engine/change"
	"github.com/hybridge-cli/hybridge/pkg/engine/observe"
	"github.com/hybridge-cli/hybridge/wizard/stage"
)

var _ = pass[*planScreen]("1 to create, 1 to update, 4 unchanged", "<enter>")

func TestPlanScreen(t *testing.T) {
	b, _ := open[*planScreen](t,
		given{result: newFake().plan, events: []observe.Event{observe.Warning{Text: "fabrikam has no Edge\x1b[31m " +
			"server"}}})
	b.until("1 to create, 1 to update, 4 unchanged")
	b.goldens("plan")
	b.press("<space>")
	b.goldens("plan-detail")
	b.walk(step{"<esc>", "1 to create"}, step{"t", "2 ok, 1 failed"})
}

func TestEmptyPlan(t *testing.T) {
	b, _ := open[*planScreen](t, given{result: change.Plan{}})
	b.walk(step{"", "nothing to change"}, step{"<enter>", "2 ok, 1 failed"})
}

// Esc ends what runs and goes back, once it has ended.
func TestStop(t *testing.T) {
	engine := newFake()
	engine.stuck = stage.Plan
	b, _ := open[*planScreen](t, given{engine: engine})
	b.walk(step{"", "Comparing"}, step{"<esc>", checkSummary})
}
