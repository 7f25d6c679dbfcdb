package deployment

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/hybridge-cli/hybridge/pkg/engine/apply"
	"github.com/hybridge-cli/hybridge/pkg/estate/exchange"
)

// An object that is switched off by hand after the setup fails the check of its kind, and no other.
func TestChecksFindWhatIsSwitchedOff(t *testing.T) {
	d := open(t)
	plan, err := d.Plan(t.Context(), &events{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := d.Apply(t.Context(), plan, apply.Options{}, &events{}); err != nil {
		t.Fatal(err)
	}
	look := func() []string {
		t.Helper()
		r, err := d.Check(t.Context(), &events{})
		if err != nil {
			t.Fatal(err)
		}
		failed, unknown := found(r)
		if len(unknown) > 0 {
			t.Errorf("unknown: %v", unknown)
		}
		return failed
	}
	if failed := look(); len(failed) > 0 {
		t.Fatalf("after an apply: %v", failed)
	}
	s, err := d.forests[0].exchange.get(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, noun := range []string{"IntraOrganizationConnector", "PartnerApplication"} {
		objects, err := s.Run(t.Context(), exchange.Command{Name: "Get-" + noun})
		if err != nil || len(objects) == 0 {
			t.Fatal(noun, err)
		}
		name, _ := objects[0].String("Name")
		set := exchange.Command{Name: "Set-" + noun, Parameters: map[string]any{"Identity": name, "Enabled": false}}
		if _, err := s.Run(t.Context(), set); err != nil {
			t.Fatal(err)
		}
	}
	failed := slices.DeleteFunc(look(), func(id string) bool { return id == "tenant.ews-switch" })
	if diff := cmp.Diff([]string{"hybrid.intra-organization-connector", "hybrid.partner-application"},
		failed); diff != "" {
		t.Error(diff)
	}
}
