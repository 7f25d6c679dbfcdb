package deployment

import (
	"fmt"
	"path/filepath"
	"slices"
	"testing"

	"github.com/hybridge-cli/hybridge/pkg/config/answers"
	"github.com/hybridge-cli/hybridge/pkg/engine/check"
	"github.com/hybridge-cli/hybridge/pkg/lab"
)

// A healthy lab of one, two and three forests, and of every starting state, gives no finding in
// these categories. Older checks find what hybridge plan changes in the states.
func TestHealthyLabs(t *testing.T) {
	quiet := []string{"domains", "dns", "autodiscover", "ews", "reachability", "tenant"}
	known := []check.ID{"tenant.ews-switch", "tenant.shared-keys"} // EWS ends, and the states hold old keys
	for _, state := range lab.States() {
		for forests := 1; forests <= 3; forests++ {
			if forests == 2 && state.ID != lab.Half && state.ID != lab.Manual {
				continue // the fault tests begin with those of two forests
			}
			t.Run(fmt.Sprintf("%s-%d", state.ID, forests), func(t *testing.T) {
				l, err := lab.Start(t.Context(), lab.Options{Dir: t.TempDir(), Users: 20, Forests: forests, State: state.ID})
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() { _ = l.Close() })
				a, err := answers.Load(t.Context(), l.Answers())
				if err != nil {
					t.Fatal(err)
				}
				d, err := Open(a, Options{Dir: filepath.Dir(l.Answers()), StateDir: t.TempDir(), Version: "test"})
				if err != nil {
					t.Fatal(err)
				}
				r, err := d.Check(t.Context(), &events{})
				if err != nil {
					t.Fatal(err)
				}
				looked := 0
				for _, result := range r.Results {
					if !slices.Contains(quiet, result.Category) || slices.Contains(known, result.ID) {
						continue
					}
					looked++
					if result.Status != check.StatusPass && result.Status != check.StatusSkip || len(result.MissingRights) > 0 {
						t.Errorf("%s %s (%s): %s", result.Status, result.ID, result.Scope, result.Summary)
					}
				}
				if looked < 50 {
					t.Errorf("%d results", looked)
				}
			})
		}
	}
}
