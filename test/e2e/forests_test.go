package e2e

import "testing"

// TestAnyNumberOfForests runs the loop with one forest and with five.
func TestAnyNumberOfForests(t *testing.T) {
	for _, n := range []string{"1", "5"} {
		t.Run(n, func(t *testing.T) {
			e := startLab(t, "--forests", n, "--users", "30")
			e.must(t, 0, "check")
			e.must(t, 0, "apply", "--yes")
			e.must(t, 0, "plan", "--detailed-exitcode")
			e.must(t, 0, "test")
		})
	}
}
