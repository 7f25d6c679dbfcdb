package deployment

import (
	"fmt"
	"path/filepath"
	"testing"

	"github.com/hybridge-cli/hybridge/pkg/config/answers"
	"github.com/hybridge-cli/hybridge/pkg/engine/check"
	"github.com/hybridge-cli/hybridge/pkg/lab"
)

// expectedWarning reports whether a healthy lab warns of it: EWS and WorkMail end, and Microsoft's
// wizard leaves keys.
func expectedWarning(id check.ID, state string) bool {
	return id == "tenant.ews-switch" || id == "workmail.end-of-support" ||
		id == "tenant.shared-keys" && state == lab.Wizard
}

// A healthy lab of one, two and three forests, and of every starting state, gives no finding.
func TestHealthyLabs(t *testing.T) {
	for _, state := range lab.States() {
		for forests := 1; forests <= 3; forests++ {
			t.Run(fmt.Sprintf("%s-%d", state.ID, forests), func(t *testing.T) {
				l, err := lab.Start(t.Context(),
					lab.Options{Dir: t.TempDir(), Users: 20, Forests: forests, State: state.ID})
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
					looked++
					if expectedWarning(result.ID, state.ID) && result.Status == check.StatusWarn {
						continue
					}
					if result.Status != check.StatusPass && result.Status != check.StatusSkip ||
						len(result.MissingRights) > 0 {
						t.Errorf("%s %s (%s): %s", result.Status, result.ID, result.Scope, result.Summary)
					}
				}
				if looked < 120 {
					t.Errorf("%d results", looked)
				}
			})
		}
	}
}
