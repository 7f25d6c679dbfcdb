package deployment

import (
	"testing"

	"github.com/hybridge-cli/hybridge/pkg/engine/check"
	"github.com/hybridge-cli/hybridge/pkg/engine/observe"
)

// One check is run again, in every forest, and no other. It reads anew, and says what the whole run
// said.
func TestCheckAgain(t *testing.T) {
	d := open(t)
	quiet := observe.Func(func(observe.Event) {})
	whole, err := d.Check(t.Context(), quiet)
	if err != nil {
		t.Fatal(err)
	}
	const id = check.ID("servers.build")
	want := map[string]check.Status{}
	for _, r := range whole.Results {
		if r.ID == id {
			want[r.Scope] = r.Status
		}
	}
	again, err := d.CheckAgain(t.Context(), id, quiet)
	if err != nil || len(again.Results) != len(want) || len(want) < 2 {
		t.Fatalf("%d results, want %d, %v", len(again.Results), len(want), err)
	}
	for _, r := range again.Results {
		if r.ID != id || r.Status != want[r.Scope] || r.Attempts == 0 {
			t.Errorf("%s %s: %s after %d attempts, want %s", r.ID, r.Scope, r.Status, r.Attempts, want[r.Scope])
		}
	}
	if _, err := d.CheckAgain(t.Context(), "no.such", quiet); err == nil {
		t.Error("a check that does not exist")
	}
}
