package e2e

import (
	"slices"
	"testing"

	"github.com/hybridge-cli/hybridge/pkg/lab"
)

// TestEachTopicFailsOnItsFaultAlone plants each fault of a prerequisite and wants its check to fail, and no other.
func TestEachTopicFailsOnItsFaultAlone(t *testing.T) {
	for _, f := range lab.Faults() {
		if f.Turns == "" {
			continue // one of the lookups': TestLookupFaults
		}
		t.Run(f.ID, func(t *testing.T) {
			e := startLab(t, "--fault", f.ID)
			r := e.run(t, "check", "-o", "json")
			report := decode[struct {
				Results []struct{ ID, Status, Scope, Summary string }
			}](t, r.stdout)
			var failed []string
			for _, result := range report.Results {
				if result.Status == "fail" || result.Status == "error" {
					failed = append(failed, result.ID)
					t.Logf("%s %s %s: %s", result.Status, result.ID, result.Scope, result.Summary)
				}
			}
			failed = slices.Compact(failed)
			if len(failed) != 1 || failed[0] != f.Turns {
				t.Errorf("failed: %v, want %s alone", failed, f.Turns)
			}
			if r.code != 3 {
				t.Errorf("exit %d, want 3", r.code)
			}
		})
	}
}

// TestLookupFaults plants each fault that only a lookup can find: everything is applied, and the lookups tell.
func TestLookupFaults(t *testing.T) {
	for _, f := range lab.Faults() {
		if f.Turns != "" {
			continue
		}
		t.Run(f.ID, func(t *testing.T) {
			e := startLab(t, "--fault", f.ID)
			e.must(t, 0, "apply", "--yes")
			e.must(t, 3, "test")
		})
	}
}
