package prereq

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hybridge-cli/hybridge/pkg/engine/check"
	"github.com/hybridge-cli/hybridge/pkg/estate/entra"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/fact"
)

// hidden returns the outcome of checks whose attribute contoso's directory hides.
func hidden(attribute string, ids ...string) (out []string) {
	for _, id := range ids {
		scope := "contoso"
		if strings.HasPrefix(id, "directory.unique-") {
			scope = "organization"
		}
		out = append(out, "skip "+id+" "+scope+": Read property "+attribute+" of users in contoso")
	}
	slices.Sort(out)
	return out
}

// ruleIDs returns the rules for an attribute, or all.
func ruleIDs(attribute string) (out []string) {
	for _, r := range fact.Rules {
		if attribute == "" || r.Attribute == attribute {
			out = append(out, r.ID)
		}
	}
	return out
}

// Each rule turns its own check and no other, with the severity that it declares.
func TestEveryRuleIsChecked(t *testing.T) {
	for _, r := range fact.Rules {
		t.Run(r.ID, func(t *testing.T) {
			set, _ := healthy(t)
			alter(t, fact.Users, set.Forests[0], func(s *fact.UserScan) {
				s.Applied = map[string]int{r.ID: 3}
				s.Counts = map[string]int{r.ID: 1}
				s.Findings = map[string][]check.Finding{r.ID: {{Forest: "contoso", DN: "CN=x", Attribute: r.Attribute,
					Value: "wrong", Rule: check.ID(r.ID)}}}
				s.Shown = map[string]int{"homeMDB": 3, "mailNickname": 3, "targetAddress": 3}
			})
			got, report := outcome(t, set)
			want := "fail " + r.ID + " contoso"
			if r.Warn {
				want = "warn " + r.ID + " contoso"
			}
			if !slices.Equal(got, []string{want}) {
				t.Errorf("%v, want %s", got, want)
			}
			for _, result := range report.Results {
				if string(result.ID) != r.ID || result.Scope != "contoso" {
					continue
				}
				if !strings.Contains(result.Summary.String(), "1 of 3 recipients") {
					t.Error(result.Summary)
				}
				if result.Remedy.Considerations.IsZero() {
					t.Error("no consideration")
				}
			}
		})
	}
}

// An attribute that no recipient shows is no verdict.
func TestRuleOfHiddenAttribute(t *testing.T) {
	set, _ := healthy(t)
	alter(t, fact.Users, set.Forests[0], func(s *fact.UserScan) {
		s.Applied = map[string]int{"directory.nickname-missing": 3, "directory.target-missing": 3}
		s.Counts = map[string]int{"directory.nickname-missing": 3}
		s.Locals = 3
	})
	want := slices.Concat(hidden("mailNickname", ruleIDs("mailNickname")...), hidden("homeMDB", ruleIDs("homeMDB")...),
		hidden("targetAddress", ruleIDs("targetAddress")...))
	slices.Sort(want)
	if got, _ := outcome(t, set); !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}

func TestIdentityAndForests(t *testing.T) {
	on, off := true, false
	tenant := func(change func(*entra.Organization)) func(*testing.T, *fact.Set) {
		return func(t *testing.T, f *fact.Set) { alter(t, fact.Tenant, f.Tenant, change) }
	}
	ran := func(ago time.Duration) func(*testing.T, *fact.Set) {
		last := today.Add(-ago)
		return tenant(func(o *entra.Organization) { o.OnPremisesLastSyncDateTime = &last })
	}
	var unknown []string // rules that need the domains of the tenant
	for _, r := range fact.Rules {
		if r.Tenant {
			unknown = append(unknown, "error "+r.ID+" contoso")
		}
	}
	slices.Sort(unknown)
	for name, test := range map[string]struct {
		disturb func(*testing.T, *fact.Set)
		want    []string
	}{
		"never synchronized": {tenant(func(o *entra.Organization) { o.OnPremisesSyncEnabled = nil }),
			[]string{"fail identity.synchronization tenant"}},
		"switched off": {tenant(func(o *entra.Organization) { o.OnPremisesSyncEnabled = &off }),
			[]string{"fail identity.synchronization tenant"}},
		"never ran": {tenant(func(o *entra.Organization) { o.OnPremisesLastSyncDateTime = nil }),
			[]string{"fail identity.synchronization-recent tenant"}},
		"ran two hours ago":  {ran(2 * time.Hour), nil},
		"ran four hours ago": {ran(4 * time.Hour), []string{"warn identity.synchronization-recent tenant"}},
		"ran two days ago":   {ran(48 * time.Hour), []string{"fail identity.synchronization-recent tenant"}},
		"managed on-premises": {func(_ *testing.T,
			f *fact.Set) {
			fact.CloudManagedByDefault.Seed(f.Tenant, &off, nil)
		},
			nil},
		"managed in the cloud": {func(_ *testing.T,
			f *fact.Set) {
			fact.CloudManagedByDefault.Seed(f.Tenant, &on, nil)
		},
			[]string{"fail identity.attribute-authority tenant"}},
		"federated in both forests": {func(t *testing.T, f *fact.Set) {
			alter(t, fact.TenantDomains, f.Tenant, func(d *[]entra.Domain) {
				for i := range *d {
					(*d)[i].AuthenticationType = "Federated"
				}
			})
		}, []string{"warn identity.federated-sign-in contoso", "warn identity.federated-sign-in fabrikam"}},
		"federated in one forest": {func(t *testing.T, f *fact.Set) {
			alter(t, fact.TenantDomains, f.Tenant, func(d *[]entra.Domain) { (*d)[0].AuthenticationType = "Federated" })
		}, nil},
		"one organization twice": {func(t *testing.T, f *fact.Set) {
			alter(t, fact.Organization, f.Forests[1], func(o *fact.OnPremisesOrganization) { o.GUID = "contoso-guid" })
		}, []string{"fail forests.organizations organization"}},
		"public folders in one forest": {func(t *testing.T, f *fact.Set) {
			alter(t, fact.Users, f.Forests[1], func(s *fact.UserScan) { s.PublicFolders = 4 })
		}, nil},
		"public folders in both forests": {func(t *testing.T, f *fact.Set) {
			for _, side := range f.Forests {
				alter(t, fact.Users, side, func(s *fact.UserScan) { s.PublicFolders = 4 })
			}
		}, []string{"fail forests.public-folders organization"}},
		"a resource forest": {func(t *testing.T, f *fact.Set) {
			alter(t, fact.Users, f.Forests[0], func(s *fact.UserScan) { s.Linked = 3 })
			alter(t, fact.Users, f.Forests[1], func(s *fact.UserScan) { *s = fact.UserScan{Users: 3, Named: 3} })
		}, []string{"warn forests.resource-forest organization"}},
		"domains of the tenant unknown": {func(t *testing.T, f *fact.Set) {
			alter(t, fact.Users, f.Forests[0], func(s *fact.UserScan) { s.DomainsUnknown = errors.New("no answer") })
		}, unknown},
		"a domain shared": {func(_ *testing.T, f *fact.Set) {
			f.Forests[1].Answers.Domains = append(f.Forests[1].Answers.Domains, "contoso.com")
		}, []string{"fail domains.accepted fabrikam", "fail forests.own-domain contoso"}},
		"a sign-in name twice": {func(_ *testing.T, f *fact.Set) {
			fact.Duplicates.Seed(f.Organization, []fact.Duplicate{{Address: "a@contoso.com", Owners: []fact.Owner{
				{Forest: "contoso", DN: "CN=a", SignIn: true}, {Forest: "fabrikam", DN: "CN=b"}}}}, nil)
		}, []string{"fail directory.unique-sign-in organization"}},
	} {
		t.Run(name, func(t *testing.T) {
			set, _ := healthy(t)
			test.disturb(t, set)
			got, _ := outcome(t, set)
			if !slices.Equal(got, test.want) {
				t.Errorf("%v, want %v", got, test.want)
			}
		})
	}
}

// A forest in which no user is seen is no account forest.
func TestForestWithoutUsers(t *testing.T) {
	set, _ := healthy(t)
	alter(t, fact.Users, set.Forests[0], func(s *fact.UserScan) { s.Linked = 3 })
	alter(t, fact.Users, set.Forests[1], func(s *fact.UserScan) { *s = fact.UserScan{} })
	at := slices.IndexFunc(recipientChecks, func(c Check) bool { return c.ID == "forests.resource-forest" })
	if r := recipientChecks[at].Run(t.Context(), Input{Set: set}); r.Status != check.StatusPass {
		t.Errorf("%s: %s", r.Status, r.Summary)
	}
}

// The list for a repair names the attribute that holds the name.
func TestDuplicatesAreListed(t *testing.T) {
	set, _ := healthy(t)
	fact.Duplicates.Seed(set.Organization, []fact.Duplicate{{Address: "a@contoso.com", Owners: []fact.Owner{
		{Forest: "contoso", DN: "CN=a", SignIn: true}, {Forest: "fabrikam", DN: "CN=b"}}}}, nil)
	var got []string
	for _, f := range judgeDuplicates(t.Context(), Input{Set: set}, true).Findings {
		got = append(got, f.DN+" "+f.Attribute)
	}
	if want := []string{"CN=a userPrincipalName", "CN=b proxyAddresses"}; !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}

// A build of the answers is that of its server, however the name is written.
func TestOutdatedBuilds(t *testing.T) {
	servers := []fact.Server{{Name: "EX1", Version: "Version 15.2 (Build 2562.17)",
		Given: fact.Build{Major: 15, Minor: 2, Build: 2562, Revision: 53}}}
	for given, want := range map[string]int{"EX1=15.2.2562.53": 0, "ex1.contoso.com=15.2.2562.53": 0,
		"15.2.2562.53": 0, "EX1=15.2.2562.49": 1, "EX2=15.2.2562.53": 1, "15.2.1748.39": 1} {
		if got := outdatedBuilds([]string{given}, servers); len(got) != want {
			t.Errorf("%s: %v", given, got)
		}
	}
}

// A check says what may break when its finding is fixed.
func TestConsiderations(t *testing.T) {
	for _, c := range Checks() {
		switch c.ID.Category() {
		case "identity", "forests":
			if c.Consider == "" {
				t.Errorf("%s has no considerations", c.ID)
			}
		}
	}
}
