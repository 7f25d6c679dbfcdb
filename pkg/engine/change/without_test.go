package change

import (
	"slices"
	"testing"
)

// What needs a change that is left out is left out too. The rest is a plan that can be carried out.
func TestWithout(t *testing.T) {
	made := func(id string, needs ...string) Change {
		return Change{ID: "x/Kind/" + id, Target: "x", Kind: "Kind", Action: Create, Command: Command{Name: "New-Kind"},
			Needs: needs}
	}
	whole := Plan{APIVersion: PlanVersion, Kind: "Plan", Live: map[string]string{"x/Kind": "f"},
		Summary: Summary{Create: 4, Unchanged: 3}, Changes: []Change{made("a"), made("b", "x/Kind/a"),
			made("c", "x/Kind/b"), made("d")}}.Sealed()
	if err := whole.Validate(); err != nil {
		t.Fatal(err)
	}
	rest, left := whole.Without("x/Kind/a")
	if !slices.Equal(left, []string{"x/Kind/a", "x/Kind/b", "x/Kind/c"}) || len(rest.Changes) != 1 ||
		rest.Summary != (Summary{Create: 1, Unchanged: 3}) || rest.Digest == whole.Digest {
		t.Errorf("left %v, rest %+v", left, rest)
	}
	if err := rest.Validate(); err != nil {
		t.Error(err)
	}
	if same, left := whole.Without(); same.Digest != whole.Digest || len(left) > 0 || len(whole.Changes) != 4 {
		t.Error("a plan without nothing is another plan")
	}
}
