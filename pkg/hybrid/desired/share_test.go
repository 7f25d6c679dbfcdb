package desired

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/hybridge-cli/hybridge/pkg/hybrid/fact"
)

func holders(objects []map[string]any, domains string) []fact.Holder {
	var out []fact.Holder
	for _, o := range objects {
		epr, _ := o["TargetSharingEpr"].(string)
		endpoint, _ := o["DiscoveryEndpoint"].(string)
		owa, _ := o["TargetOwaURL"].(string)
		out = append(out, fact.Holder{
			Name: o["Name"].(string), Domains: texts(o[domains]), TargetSharingEpr: epr, DiscoveryEndpoint: endpoint,
			TargetOwaURL: owa,
		})
	}
	return out
}

// known copies the objects of the world to the facts.
func (w *world) known(f *facts) {
	f.Tenant.Relationships = holders(w.online.objects["OrganizationRelationship"], "DomainNames")
	f.Tenant.Connectors = holders(w.online.objects["IntraOrganizationConnector"], "TargetAddressDomains")
	f.Forests[0].Relationships = holders(w.contoso.objects["OrganizationRelationship"], "DomainNames")
	f.Forests[0].Connectors = holders(w.contoso.objects["IntraOrganizationConnector"], "TargetAddressDomains")
}

// Domains that are split over several objects stay where they are; a missing domain goes to one of
// them. An object with the name of the new one is extended. A second plan finds nothing.
func TestDomainsStayWhereTheyAre(t *testing.T) {
	name := "HybridIOC - " + strings.ToLower(contosoOrg)
	many := make([]string, 237)
	for i := range many {
		many[i] = fmt.Sprintf("d%03d.example", i)
	}
	object := func(name string, domains ...string) map[string]any {
		return map[string]any{"Name": name, "TargetAddressDomains": domains, "Enabled": true}
	}
	for title, test := range map[string]struct {
		live []map[string]any
		want map[string][]string // domains by object; nil: refused
	}{
		"split over two": {[]map[string]any{object("One", "a.example"),
			object("Two", "b.example", "theirs.example")}, map[string][]string{"One": {"a.example",
			"c.example"}, "Two": {"b.example", "theirs.example"}}},
		"the wizard's name": {[]map[string]any{object(name, "old.example")},
			map[string][]string{name: {"old.example", "a.example", "b.example", "c.example"}}},
		"others only": {[]map[string]any{object("Partner", "partner.example")},
			map[string][]string{"Partner": {"partner.example"}, name: {"a.example", "b.example", "c.example"}}},
		"no room in the first": {[]map[string]any{object("One", append([]string{"a.example"}, many...)...),
			object("Two", "b.example")}, map[string][]string{"One": append([]string{"a.example"},
			many...), "Two": {"b.example", "c.example"}}},
		"no room in any": {[]map[string]any{object("One", append([]string{"a.example"}, many...)...)}, nil},
		"the limit is just filled": {[]map[string]any{object("One", append([]string{"a.example"}, many[:235]...)...)},
			map[string][]string{"One": append(append([]string{"a.example"}, many[:235]...), "b.example", "c.example")}},
	} {
		t.Run(title, func(t *testing.T) {
			w, f, a := newWorld(t), testFacts(), testAnswers()
			a.Forests[0].Domains = []string{"a.example", "b.example", "c.example"}
			w.online.objects["IntraOrganizationConnector"] = test.live
			w.known(&f)
			if test.want == nil {
				if _, err := resourcesOf(t, f, a, worldwide(t)); err == nil ||
					!strings.Contains(err.Error(), "at most 238") {
					t.Errorf("error = %v, want one about the limit", err)
				}
				return
			}
			w.carryOut(t, makePlan(t, w, f, a))
			got := map[string][]string{}
			for _, o := range w.online.objects["IntraOrganizationConnector"] {
				if !strings.Contains(o["Name"].(string), fabrikam) {
					got[o["Name"].(string)] = texts(o["TargetAddressDomains"])
				}
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Error(diff)
			}
			w.known(&f)
			if again := makePlan(t, w, f, a); len(again.Changes) != 0 {
				t.Errorf("not converged: %s", ids(again))
			}
		})
	}
}

// An address for sharing that leads to no host of the forest is removed. The Hybrid Agent's and the
// forest's own stay.
func TestStaleSharing(t *testing.T) {
	for epr, stays := range map[string]bool{
		"": true, "https://mail.contoso.com/EWS/Exchange.asmx": true, "https://autodiscover.contoso.com/x": true,
		"https://12345.resource.mailboxmigration.his.msappproxy.net/ews/exchange.asmx": true,
		"https://old.contoso.com/EWS/Exchange.asmx":                                    false,
		"https://mail.fabrikam.example/EWS/Exchange.asmx":                              false,
	} {
		w, f := newWorld(t), testFacts()
		w.online.objects["OrganizationRelationship"] = []map[string]any{{"Name": "R",
			"DomainNames": []string{"contoso.com"}, "TargetSharingEpr": epr}}
		w.online.objects["IntraOrganizationConnector"] = []map[string]any{{"Name": "C",
			"TargetAddressDomains": []string{"contoso.com"}, "TargetSharingEpr": epr}}
		w.known(&f)
		w.carryOut(t, makePlan(t, w, f, testAnswers()))
		for _, noun := range []string{"OrganizationRelationship", "IntraOrganizationConnector"} {
			if got := w.online.objects[noun][0]["TargetSharingEpr"]; (got == epr) != stays {
				t.Errorf("%s: TargetSharingEpr %q became %v", noun, epr, got)
			}
		}
		w.known(&f)
		if again := makePlan(t, w, f, testAnswers()); len(again.Changes) != 0 {
			t.Errorf("%s: not converged: %s", epr, ids(again))
		}
	}
}

// What works stays: a discovery endpoint at the host of Exchange Online's EWS, an address of
// Outlook on the web as old wizards wrote it.
func TestOldFormsStay(t *testing.T) {
	w, f := newWorld(t), testFacts()
	w.contoso.objects["OrganizationRelationship"] = []map[string]any{{"Name": "R",
		"DomainNames": []string{"contoso.mail.onmicrosoft.com"}, "TargetOwaURL": "http://outlook.com/owa/contoso.com"}}
	w.contoso.objects["IntraOrganizationConnector"] = []map[string]any{{"Name": "C",
		"TargetAddressDomains": []string{"contoso.mail.onmicrosoft.com"},
		"DiscoveryEndpoint":    "https://outlook.office365.com/autodiscover/autodiscover.svc"}}
	w.known(&f)
	w.carryOut(t, makePlan(t, w, f, testAnswers()))
	if got := w.contoso.objects["OrganizationRelationship"][0]["TargetOwaURL"]; got != "http://outlook.com/owa/contoso.com" {
		t.Errorf("TargetOwaURL became %v", got)
	}
	if got := w.contoso.objects["IntraOrganizationConnector"][0]["DiscoveryEndpoint"]; got != "https://outlook.office365.com/autodiscover/autodiscover.svc" {
		t.Errorf("DiscoveryEndpoint became %v", got)
	}
}

// A partner application with the wizard's name that is limited to one realm is reported: creating
// another one would fail.
func TestNameOfThePartnerIsTaken(t *testing.T) {
	f := testFacts()
	f.Forests[0].Partners = []fact.PartnerApplication{{Name: "Exchange Online",
		ApplicationIdentifier: "00000002-0000-0ff1-ce00-000000000000", Realm: "other.example"}}
	_, left, err := Resources(t.Context(), f.set(testAnswers(), worldwide(t)))
	if err != nil || len(left) == 0 || left[0].Topic != "oauth" ||
		!strings.Contains(left[0].Reason.String(), "other.example") {
		t.Errorf("%v, %v", left, err)
	}
}
