package deployment

import (
	"fmt"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/hybridge-cli/hybridge/pkg/engine/apply"
)

// A forest with more domains than one relationship holds gets several. Lookups work, a second plan
// is empty, and rollback restores the earlier state.
func TestManyDomains(t *testing.T) {
	d := open(t)
	for i := range 500 {
		d.answers.Forests[0].Domains = append(d.answers.Forests[0].Domains, fmt.Sprintf("d%03d.example", i))
	}
	d.forests = nil
	d.connect()
	first, err := d.Plan(t.Context(), &events{})
	if err != nil {
		t.Fatal(err)
	}
	made := map[string]int{}
	for _, c := range first.Changes {
		made[c.Target+" "+c.Kind]++
	}
	for _, kind := range []string{"online OrganizationRelationship", "online IntraOrganizationConnector"} {
		if made[kind] != 4 { // three for contoso, one for fabrikam
			t.Errorf("%s: %d", kind, made[kind])
		}
	}
	if _, err := d.Apply(t.Context(), first, apply.Options{}, &events{}); err != nil {
		t.Fatal(err)
	}
	if again, err := d.Plan(t.Context(), &events{}); err != nil || len(again.Changes) != 0 {
		t.Errorf("not converged: %v %v", slices.Collect(ids(again)), err)
	}
	tested, err := d.Test(t.Context(), TestOptions{}, &events{})
	if err != nil || tested.Summary.OK == 0 || tested.Summary.Failed+tested.Summary.Unknown > 0 {
		t.Errorf("lookups: %+v, error %v", tested.Summary, err)
	}
	accept := apply.Options{Accept: []string{apply.AcceptRemovals}}
	if _, err := d.Rollback(t.Context(), "", accept, &events{}); err != nil {
		t.Fatal(err)
	}
	after, err := d.Plan(t.Context(), &events{})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(slices.Collect(ids(first)), slices.Collect(ids(after))); diff != "" {
		t.Errorf("the plan after the rollback differs from the first:\n%s", diff)
	}
}
