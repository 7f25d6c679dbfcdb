package deployment

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/hybridge-cli/hybridge/pkg/engine/apply"
	"github.com/hybridge-cli/hybridge/pkg/engine/change"
)

func changeIDs(p change.Plan) (out []string) {
	for _, c := range p.Changes {
		out = append(out, c.ID)
	}
	return out
}

// A plan of one forest touches no other, says what it needs besides, and converges. The rest is
// planned afterwards as if there had been no narrow plan.
func TestPlanOfOneForest(t *testing.T) {
	d := open(t)
	whole, err := d.Plan(t.Context(), &events{})
	if err != nil {
		t.Fatal(err)
	}
	d.options.Forests = []string{"CONTOSO"} // as the answers write it, in lower case
	narrow, err := d.Plan(t.Context(), &events{})
	if err != nil {
		t.Fatal(err)
	}
	if len(narrow.Changes) == 0 || len(narrow.Changes) >= len(whole.Changes) || len(narrow.LeftOut) > 0 {
		t.Fatalf("%d of %d changes, left out %v", len(narrow.Changes), len(whole.Changes), narrow.LeftOut)
	}
	targets := map[string]int{}
	var said []string
	for _, n := range narrow.Notes {
		said = append(said, n.Text.String())
	}
	notes := strings.Join(said, "\n")
	for _, c := range narrow.Changes {
		targets[c.Target]++
		if !slices.Contains(changeIDs(whole), c.ID) {
			t.Errorf("%s is not in the whole plan", c.ID)
		}
		if strings.HasPrefix(c.Target, "onprem/") && c.Target != "onprem/contoso" {
			t.Errorf("%s is of another forest", c.ID)
		}
	}
	if targets["onprem/contoso"] == 0 || targets["entra"] == 0 || targets["online"] == 0 ||
		!strings.Contains(notes, "this plan is narrowed to what belongs to forest contoso") {
		t.Errorf("%v\n%s", targets, notes)
	}
	t.Logf("%d of %d changes: %v\n%s", len(narrow.Changes), len(whole.Changes), targets, notes)
	if _, err := d.Apply(t.Context(), narrow, apply.Options{StateDir: d.options.StateDir, Wait: 1}, &events{}); err != nil {
		t.Fatal(err)
	}
	if again, err := d.Plan(t.Context(), &events{}); err != nil || len(again.Changes) > 0 {
		t.Errorf("%v %v", changeIDs(again), err)
	}
	d.options.Forests = nil
	rest, err := d.Plan(t.Context(), &events{})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range rest.Changes {
		if c.Target == "onprem/contoso" && c.Action == change.Create {
			t.Errorf("%s is planned again", c.ID)
		}
	}
	if _, err := d.Apply(t.Context(), rest, apply.Options{StateDir: d.options.StateDir, Wait: 1}, &events{}); err != nil {
		t.Fatal(err)
	}
	if end, err := d.Plan(t.Context(), &events{}); err != nil || len(end.Changes) > 0 {
		t.Errorf("%v %v", changeIDs(end), err)
	}
}

// One domain, one kind, and names that the answers do not know.
func TestPlanOfOneDomain(t *testing.T) {
	d := open(t)
	domain := d.answers.Forests[1].Domains[0]
	d.options.Domains = []string{domain}
	narrow, err := d.Plan(t.Context(), &events{})
	if err != nil {
		t.Fatal(err)
	}
	if len(narrow.Changes) == 0 {
		t.Fatal("nothing is planned")
	}
	t.Logf("%s: %v", domain, changeIDs(narrow))
	for _, c := range narrow.Changes {
		if c.Target == "onprem/"+d.answers.Forests[0].Name {
			t.Errorf("%s is of another forest", c.ID)
		}
	}
	d.options.Domains = nil
	d.options.Only = []string{"onprem/contoso/IntraOrganizationConnector/*"}
	one, err := d.Plan(t.Context(), &events{})
	if err != nil {
		t.Fatal(err)
	}
	last := one.Changes[len(one.Changes)-1]
	if last.Kind != "IntraOrganizationConnector" || len(one.Changes) < 2 || len(one.Notes) < len(one.Changes)-1 {
		t.Errorf("%v, %d notes", changeIDs(one), len(one.Notes))
	}
	d.options.Only = nil
	for name, says := range map[string]string{"contosso": `did you mean "contoso"?`, "partner": "there are contoso, fabrikam"} {
		d.options.Forests = []string{name}
		if _, err := d.Plan(t.Context(), &events{}); !errors.Is(err, ErrNotInAnswers) || !strings.Contains(err.Error(), says) {
			t.Errorf("forest %s: %v", name, err)
		}
	}
	d.options.Forests, d.options.Domains = nil, []string{"example.org"}
	if _, err := d.Plan(t.Context(), &events{}); !errors.Is(err, ErrNotInAnswers) || !strings.Contains(err.Error(), "there are") {
		t.Errorf("domain: %v", err)
	}
}
