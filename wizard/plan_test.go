package wizard

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"os"
	"strconv"
	"strings"
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

// Changes are folded, searched, left out with what needs them, and taken back with what they need.
func TestPlanTree(t *testing.T) {
	engine := newFake()
	engine.plan.Changes[1].Needs = []string{engine.plan.Changes[0].ID}
	for i := range engine.plan.Changes {
		c := &engine.plan.Changes[i]
		c.Command = change.Command{Name: "Set-Thing", Parameters: map[string]any{"Enabled": true}}
	}
	b, s := open[*planScreen](t, given{engine: engine, result: engine.plan})
	b.walk(step{"", "why   lookups from contoso"}, step{"<left>", "MailTipsAccessEnabled"})
	if strings.Contains(b.m.View(), "lookups from contoso") {
		t.Errorf("not folded:\n%s", b.m.View())
	}
	b.walk(step{"x", "2 left out"}, step{"", "left out, because it needs onprem/contoso"})
	b.goldens("plan-left-out")
	if len(b.m.outcome.Plan.Changes) != 0 || strings.Contains(b.m.View(), "enter apply") {
		t.Errorf("what is left out is applied: %v", b.m.outcome.Plan.Changes)
	}
	b.walk(step{"<down><down>x", "1 to create, 1 to update, 4 unchanged"}) // what it needs comes back
	if len(s.left) > 0 || b.m.outcome.Plan.Changes[1].ID != engine.plan.Changes[1].ID {
		t.Errorf("left %v", s.left)
	}
	b.walk(step{"x", "1 left out"}, step{"<space>", "Set-Thing -Enabled true"}, step{"<esc>", "1 left out"},
		step{"s", "The plan is saved: hybridge apply plan.json"}, step{"/mailtips<enter>", "1 of"})
	data, err := os.ReadFile("plan.json")
	if err != nil || !bytes.Equal(data, b.m.outcome.Plan.Encode()) {
		t.Errorf("saved %s, %v", data, err)
	}
	b.walk(step{"<esc>s", "plan-2.json"})
}

// A long plan begins folded. What the selected item says is copied by the terminal.
func TestLongPlan(t *testing.T) {
	engine := newFake()
	for i := range 20 {
		c := engine.plan.Changes[0]
		c.ID += strconv.Itoa(i)
		engine.plan.Changes = append(engine.plan.Changes, c)
	}
	b, _ := open[*planScreen](t, given{result: engine.plan})
	b.until("onprem/contoso")
	if strings.Contains(b.m.View(), "DiscoveryEndpoint") {
		t.Errorf("not folded:\n%s", b.m.View())
	}
	var out strings.Builder
	b.m.options.Out = &out
	b.walk(step{"<down>c", "Copied, where"})
	_, text, _ := strings.Cut(out.String(), "52;c;")
	copied, _ := base64.StdEncoding.DecodeString(strings.TrimRight(text, "\x07\x1b\\"))
	if !strings.Contains(string(copied), "autodiscover-s.outlook.com") || strings.Contains(string(copied), "\x1b") {
		t.Errorf("copied %q of %q", copied, out.String())
	}
	b.walk(step{"z", "DiscoveryEndpoint"})
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

// w writes the scripts into a folder that holds nothing else, and says where; a failure is said too.
func TestPlanScripts(t *testing.T) {
	engine := newFake()
	b, _ := open[*planScreen](t, given{engine: engine, result: engine.plan})
	b.until("1 to create")
	if strings.Contains(b.m.View(), "write scripts") {
		t.Error("offered although nothing writes them")
	}
	var into []string
	fails := errors.New("disk\x1b[31m full")
	b.m.options.Scripts = func(_ context.Context, e stage.Engine, p change.Plan, dir string) error {
		if into = append(into, dir); e != stage.Engine(engine) || len(p.Changes) != 2 {
			t.Errorf("engine %v, %d changes", e, len(p.Changes))
		}
		if len(into) > 2 {
			return fails
		}
		return os.Mkdir(dir, 0o755)
	}
	b.walk(step{"w", "The scripts are written: scripts"}, step{"w", "The scripts are written: scripts-2"},
		step{"w", "The scripts are not written: disk full"}, step{"r", "1 to create"})
	if d := strings.Join(into, " "); d != "scripts scripts-2 scripts-3" {
		t.Errorf("into %s", d)
	}
}
