package e2e

import (
	"slices"
	"testing"

	"github.com/hybridge-cli/hybridge/pkg/hybrid/diagnose"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/prereq"
	"github.com/hybridge-cli/hybridge/pkg/lab"
)

// TestFaultsNameIDsOfTheProduct: the lab does not import the product, so its ids are compared here.
func TestFaultsNameIDsOfTheProduct(t *testing.T) {
	checks := map[lab.CheckID]bool{}
	for _, c := range prereq.Checks() {
		checks[lab.CheckID(c.ID)] = true
	}
	for _, f := range lab.Faults() {
		for _, id := range append(slices.Clone(f.Turns), f.May...) {
			if !checks[id] {
				t.Errorf("%s: there is no check %s", f.ID, id)
			}
		}
		if !slices.Contains(diagnose.IDs(), diagnose.ID(f.Diagnosis)) {
			t.Errorf("%s: there is no diagnosis %q", f.ID, f.Diagnosis)
		}
	}
}

// TestChecksFindTheirFaultAlone plants each fault that a check can find: its checks report it, and
// no other check does.
func TestChecksFindTheirFaultAlone(t *testing.T) {
	for _, f := range lab.Faults() {
		if len(f.Turns) == 0 {
			continue // TestLookupFaults, TestApplyCopes
		}
		t.Run(f.ID, func(t *testing.T) {
			e := startLab(t, "--fault", f.ID)
			r := e.run(t, "check", "-o", "json")
			report := decode[struct {
				Results []struct{ ID, Status, Scope, Summary string }
			}](t, r.stdout)
			verdict := f.Verdict
			if verdict == "" {
				verdict = lab.Fails
			}
			var found []lab.CheckID
			for _, result := range report.Results {
				id := lab.CheckID(result.ID)
				turned := slices.Contains(f.Turns, id) && result.Status == string(verdict)
				if turned {
					found = append(found, id)
				}
				if result.Status == "fail" || result.Status == "error" {
					t.Logf("%s %s %s: %s", result.Status, result.ID, result.Scope, result.Summary)
					if !turned && !slices.Contains(f.May, id) {
						t.Errorf("%s: %s, which the fault does not turn", id, result.Status)
					}
				}
			}
			for _, id := range f.Turns {
				if !slices.Contains(found, id) {
					t.Errorf("%s does not say %s", id, verdict)
				}
			}
			if r.code != f.Exit() {
				t.Errorf("exit %d, want %d", r.code, f.Exit())
			}
		})
	}
}

// TestLookupFaults plants each fault that only a lookup can find: apply succeeds, and the lookups
// fail.
func TestLookupFaults(t *testing.T) {
	for _, f := range lab.Faults() {
		if len(f.Turns) > 0 || f.Passes || f.Message {
			continue
		}
		t.Run(f.ID, func(t *testing.T) {
			e := startLab(t, "--fault", f.ID)
			e.must(t, 0, "apply", "--yes")
			report := decode[struct {
				Matrix []struct {
					Error     string
					Diagnosis []struct{ ID lab.DiagnosisID }
				}
			}](t, e.must(t, 3, "test", "-o", "json").stdout)
			named := false
			for _, a := range report.Matrix {
				for _, d := range a.Diagnosis {
					named = named || d.ID == f.Diagnosis
				}
				if a.Error != "" {
					t.Logf("%v: %s", a.Diagnosis, a.Error)
				}
			}
			if !named {
				t.Errorf("no lookup names %s", f.Diagnosis)
			}
		})
	}
}

// TestApplyCopes plants each fault that an apply must survive.
func TestApplyCopes(t *testing.T) {
	for _, f := range lab.Faults() {
		if !f.Passes || f.Message {
			continue
		}
		t.Run(f.ID, func(t *testing.T) {
			id := f.ID
			if f.ID == "entra.lag" {
				id += "=75s" // longer than the 30 s that apply waits for other kinds
			}
			e := startLab(t, "--fault", id)
			e.must(t, 0, "apply", "--yes")
			e.must(t, 0, "plan", "--detailed-exitcode")
			e.must(t, 0, "test")
		})
	}
}

// TestFaultsAndDiagnosesAgree: a check that reports a fault is among those of its diagnosis.
func TestFaultsAndDiagnosesAgree(t *testing.T) {
	for _, f := range lab.Faults() {
		row, known := diagnose.Find(diagnose.ID(f.Diagnosis))
		if !known || len(f.Turns) == 0 {
			continue // TestFaultsNameIDsOfTheProduct, TestLookupFaults
		}
		if !slices.ContainsFunc(f.Turns, func(id lab.CheckID) bool { return slices.Contains(row.Checks, string(id)) }) {
			t.Errorf("%s: none of %v is among the checks of %s", f.ID, f.Turns, row.ID)
		}
	}
}
