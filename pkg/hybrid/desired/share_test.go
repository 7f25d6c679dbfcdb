package desired

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
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
		want map[string][]string // domains by object
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
		"no room in any": {[]map[string]any{object("One", append([]string{"a.example"}, many...)...)},
			map[string][]string{"One": append([]string{"a.example"}, many...), name: {"b.example", "c.example"}}},
		"no room in the wizard's": {[]map[string]any{object(name, append([]string{"a.example"}, many...)...)},
			map[string][]string{name: append([]string{"a.example"}, many...), name + " 2": {"b.example", "c.example"}}},
		"room for one in the wizard's": {[]map[string]any{object(name, append([]string{"a.example"}, many[1:]...)...)},
			map[string][]string{name: append(append([]string{"a.example"}, many[1:]...), "b.example"),
				name + " 2": {"c.example"}}},
		"the next name is another's": {[]map[string]any{object(name, append([]string{"a.example"}, many...)...),
			object(name + " 2")}, map[string][]string{name: append([]string{"a.example"}, many...),
			name + " 2": nil, name + " 3": {"b.example", "c.example"}}},
		"the next of the series has room": {[]map[string]any{object(name, append([]string{"a.example"}, many...)...),
			object(name+" 2", "old.example")}, map[string][]string{name: append([]string{"a.example"}, many...),
			name + " 2": {"old.example", "b.example", "c.example"}}},
		"the limit is just filled": {[]map[string]any{object("One", append([]string{"a.example"}, many[:235]...)...)},
			map[string][]string{"One": append(append([]string{"a.example"}, many[:235]...), "b.example", "c.example")}},
	} {
		t.Run(title, func(t *testing.T) {
			w, f, a := newWorld(t), testFacts(), testAnswers()
			a.Forests[0].Domains = []string{"a.example", "b.example", "c.example"}
			w.online.objects["IntraOrganizationConnector"] = test.live
			w.known(&f)
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

// From any distribution of domains, a plan leaves every domain where it was, places each missing
// one exactly once, never beyond the limit, and a second plan is empty.
func TestDomainsAreShared(t *testing.T) {
	name := "HybridIOC - " + strings.ToLower(contosoOrg)
	random := rand.New(rand.NewPCG(1, 2))
	for round := range 15 {
		w, f, a := newWorld(t), testFacts(), testAnswers()
		var domains []string
		for i := range 1 + random.IntN(600) {
			domains = append(domains, fmt.Sprintf("d%03d.example", i))
		}
		a.Forests[0].Domains = domains
		was, rest := map[string]string{}, slices.Clone(domains)
		random.Shuffle(len(rest), func(i, j int) { rest[i], rest[j] = rest[j], rest[i] })
		for i, title := range []string{"One", name, name + " 3", "Two"} {
			if random.IntN(2) == 0 {
				continue
			}
			n := random.IntN(min(len(rest), maxDomains) + 1)
			held := append([]string{fmt.Sprintf("theirs%d.example", i)}, rest[:n]...)[:min(n+1, maxDomains)]
			rest = rest[len(held)-1:]
			for _, d := range held {
				was[d] = title
			}
			w.online.objects["IntraOrganizationConnector"] = append(w.online.objects["IntraOrganizationConnector"],
				map[string]any{"Name": title, "TargetAddressDomains": held, "Enabled": true})
		}
		w.known(&f)
		w.carryOut(t, makePlan(t, w, f, a))
		placed := map[string][]string{}
		for _, o := range w.online.objects["IntraOrganizationConnector"] {
			held := texts(o["TargetAddressDomains"])
			if len(held) > maxDomains {
				t.Errorf("round %d: %s holds %d domains", round, o["Name"], len(held))
			}
			for _, d := range held {
				placed[d] = append(placed[d], o["Name"].(string))
			}
		}
		for _, d := range domains {
			if len(placed[d]) != 1 {
				t.Errorf("round %d: %s is in %v", round, d, placed[d])
			}
		}
		for d, title := range was {
			if !slices.Equal(placed[d], []string{title}) {
				t.Errorf("round %d: %s was in %s and is in %v", round, d, title, placed[d])
			}
		}
		w.known(&f)
		if again := makePlan(t, w, f, a); len(again.Changes) != 0 {
			t.Errorf("round %d: not converged: %s", round, ids(again))
		}
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

// The tenant leads people to an address at which the forest publishes Outlook on the web. One that
// is published stays, a name of the past does not, and nothing is replaced where it is not known.
func TestAddressOfOutlookOnTheWeb(t *testing.T) {
	published := func(addresses ...string) (out []fact.ClientDirectory) {
		for i, a := range addresses {
			out = append(out, fact.ClientDirectory{Noun: fact.OWADirectory, Identity: fmt.Sprintf(`EX%d\owa`, i+1),
				ExternalURL: a})
		}
		return append(out, fact.ClientDirectory{Noun: fact.ActiveSyncDirectory, Identity: `EX1\eas`,
			ExternalURL: "https://eas.contoso.com/Microsoft-Server-ActiveSync"})
	}
	const own = "https://mail.contoso.com/owa"
	for name, test := range map[string]struct {
		clients    []fact.ClientDirectory
		unknown    error
		live, want string
	}{
		"published elsewhere, stays": {published("https://Webmail.contoso.com/owa/"), nil,
			"https://webmail.contoso.com/owa", "https://webmail.contoso.com/owa"},
		"published elsewhere, new": {published("https://webmail.contoso.com/owa"), nil, "",
			"https://webmail.contoso.com/owa"},
		"name of the past": {published("https://webmail.contoso.com/owa"), nil, "https://old.contoso.com/owa",
			"https://webmail.contoso.com/owa"},
		"at the host of EWS":  {published("https://webmail.contoso.com/owa"), nil, own, own},
		"the wizard's":        {published(own), nil, "", own},
		"one of several":      {published("https://a.contoso.com/owa", own), nil, "", own},
		"none is published":   {published(""), nil, "https://old.contoso.com/owa", own},
		"a server's own name": {published("https://ex1.contoso.internal/owa"), nil, "", own},
		"not known, stays":    {nil, errors.New("no answer"), "https://x.contoso.com/owa", "https://x.contoso.com/owa"},
		"not known, new":      {nil, errors.New("no answer"), "", own},
	} {
		t.Run(name, func(t *testing.T) {
			w, f := newWorld(t), testFacts()
			f.Forests[0].Clients, f.Forests[0].ClientsUnknown = test.clients, test.unknown
			o := map[string]any{"Name": "R", "DomainNames": []string{"contoso.com"}}
			if test.live != "" {
				o["TargetOwaURL"] = test.live
			}
			w.online.objects["OrganizationRelationship"] = []map[string]any{o}
			w.known(&f)
			w.carryOut(t, makePlan(t, w, f, testAnswers()))
			if got := w.online.objects["OrganizationRelationship"][0]["TargetOwaURL"]; got != test.want {
				t.Errorf("TargetOwaURL is %v", got)
			}
		})
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
