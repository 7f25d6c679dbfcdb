package e2e

import (
	"os"
	"path/filepath"
	"testing"
)

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

// TestValidateBetweenForests: a help desk sees the way between two forests, and the cause where the
// account is refused.
func TestValidateBetweenForests(t *testing.T) {
	type report struct {
		Matrix []struct {
			Direction, Status, Probe string
			Route                    []string
			Diagnosis                []struct{ ID string }
		}
	}
	e := startLab(t, "--between", "--users", "30")
	e.must(t, 0, "apply", "--yes")
	for _, direction := range [][]string{{"contoso", "fabrikam"}, {"fabrikam", "contoso"}} {
		from, to := e.person(t, direction[0]), e.person(t, direction[1])
		answer := decode[report](t, e.must(t, 0, "validate", "freebusy", from, to, "-o", "json").stdout).Matrix
		if len(answer) != 1 || answer[0].Direction != direction[0]+" -> "+direction[1] || answer[0].Probe != "ews" ||
			len(answer[0].Route) == 0 || answer[0].Route[0] != "availability address space "+direction[1]+".example" {
			t.Errorf("%v: %+v", direction, answer)
		}
	}

	e = startLab(t, "--fault", "between.password-changed", "--users", "30")
	e.must(t, 0, "apply", "--yes")
	answer := decode[report](t, e.must(t, 3, "validate", "freebusy", e.person(t, "contoso"), e.person(t, "fabrikam"),
		"-o",
		"json").stdout).Matrix
	if len(answer) != 1 || len(answer[0].Diagnosis) == 0 || answer[0].Diagnosis[0].ID != "between.account-refused" {
		t.Errorf("%+v", answer)
	}
}

// person is the address of the user of a forest in lab.json.
func (e *estate) person(t *testing.T, forest string) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(e.dir, "lab.json"))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range decode[struct {
		Forests []struct{ Name, User string }
	}](t, string(data)).Forests {
		if f.Name == forest {
			return f.User
		}
	}
	t.Fatalf("no forest %s", forest)
	return ""
}
