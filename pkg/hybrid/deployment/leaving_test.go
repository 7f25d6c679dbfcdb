package deployment

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/hybridge-cli/hybridge/pkg/engine/apply"
	"github.com/hybridge-cli/hybridge/pkg/engine/change"
	"github.com/hybridge-cli/hybridge/pkg/estate/exchange"
)

// lists returns the domains of the objects of the tenant that name a domain of contoso, by noun.
func (v verbs) lists() map[string][]string {
	v.Helper()
	session, err := v.d.tenant.online.get(v.Context())
	if err != nil {
		v.Fatal(err)
	}
	out := map[string][]string{}
	for noun, property := range map[string]string{"OrganizationRelationship": "DomainNames",
		"IntraOrganizationConnector": "TargetAddressDomains", "OutboundConnector": "RecipientDomains",
		"OnPremisesOrganization": "HybridDomains"} {
		found, err := session.Run(v.Context(), exchange.Command{Name: "Get-" + noun})
		if err != nil {
			v.Fatal(err)
		}
		for _, o := range found {
			if domains, _ := o.Strings(property); slices.Contains(domains, "contoso.example") {
				slices.Sort(domains)
				out[noun] = domains
			}
		}
	}
	return out
}

// TestDomainLeaves: a domain that leaves the answers file is taken out of the lists where a run of
// hybridge put it, with consent. What others put there stays and is named. A rollback brings it
// back.
func TestDomainLeaves(t *testing.T) {
	d := open(t)
	v := verbs{t, d}
	all := []string{"contoso.example", "old.contoso.example"}
	d.answers.Forests[0].Domains = all
	first, _ := v.plan()
	v.apply(first)
	for noun, domains := range v.lists() {
		if !slices.Equal(domains, all) {
			t.Fatalf("%s has %v", noun, domains)
		}
	}
	session, err := d.tenant.online.get(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	const guid = "1f3a7c52-9b1e-4c37-8a54-2d6e0f9b1c01"
	if _, err := session.Run(t.Context(), exchange.Command{Name: "Set-OrganizationRelationship",
		Parameters: map[string]any{"Identity": "O365 to On-premises - " + guid,
			"DomainNames": append(slices.Clone(all), "hand.example")}}); err != nil {
		t.Fatal(err)
	}
	if p, _ := v.plan(); len(p.Changes) > 0 {
		t.Fatalf("before the domain leaves: %v", slices.Collect(ids(p)))
	}

	d.answers.Forests[0].Domains = all[:1]
	p, warnings := v.plan()
	if len(p.Changes) != 4+3 { // of the tenant, and of contoso: its record, and two of its auth server
		t.Errorf("%v", slices.Collect(ids(p)))
	}
	for _, c := range p.Changes {
		if c.Action != change.Update || len(c.Removes) != 1 {
			t.Errorf("%s %s takes out %v", c.Action, c.ID, c.Removes)
		}
	}
	if !slices.ContainsFunc(warnings, func(w string) bool {
		return strings.Contains(w, "also lists hand.example") && !strings.Contains(w, "old.contoso.example")
	}) {
		t.Errorf("warnings: %v", warnings)
	}
	scripts, err := d.Scripts(t.Context(), p)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range scripts { // the whole list, and only while it is as planned
		if text := string(s.Content); !s.Rollback && strings.Contains(text, "'DomainNames'; As = 'DomainList'") {
			t.Errorf("%s takes nothing out of DomainNames", s.Name)
		}
	}
	var refused *apply.NotAccepted
	if _, err := d.Apply(t.Context(), p, apply.Options{}, &events{}); !errors.As(err, &refused) ||
		refused.ID != apply.AcceptRemovals || !strings.Contains(refused.Error(), "old.contoso.example of DomainNames") {
		t.Errorf("without consent: %v", err)
	}
	edited := p
	edited.Changes = slices.Clone(p.Changes)
	edited.Changes[0].Removes = nil
	if _, err := d.Apply(t.Context(), edited.Sealed(), apply.Options{Accept: []string{apply.AcceptRemovals}},
		&events{}); !errors.Is(err, change.ErrEdited) {
		t.Errorf("a plan that hides what it takes out: %v", err)
	}
	v.apply(p, apply.AcceptRemovals)
	for noun, domains := range v.lists() {
		want := all[:1]
		if noun == "OrganizationRelationship" {
			want = []string{"contoso.example", "hand.example"}
		}
		if !slices.Equal(domains, want) {
			t.Errorf("%s has %v", noun, domains)
		}
	}
	if again, _ := v.plan(); len(again.Changes) > 0 {
		t.Errorf("not converged: %v", slices.Collect(ids(again)))
	}
	if _, err := d.Rollback(t.Context(), "", apply.Options{}, &events{}); err != nil {
		t.Fatal(err)
	}
	for noun, domains := range v.lists() {
		want := slices.Clone(all)
		if noun == "OrganizationRelationship" {
			want = []string{"contoso.example", "hand.example", "old.contoso.example"}
		}
		if !slices.Equal(domains, want) {
			t.Errorf("after the rollback %s has %v", noun, domains)
		}
	}
	if back, _ := v.plan(); !slices.Equal(slices.Collect(ids(back)), slices.Collect(ids(p))) {
		t.Errorf("after the rollback: %v", slices.Collect(ids(back)))
	}
}
