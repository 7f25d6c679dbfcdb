package desired

import (
	"context"
	"errors"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/hybridge-cli/hybridge/pkg/config/answers"
	"github.com/hybridge-cli/hybridge/pkg/engine/change"
	"github.com/hybridge-cli/hybridge/pkg/estate/entra"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/fact"
	"github.com/hybridge-cli/hybridge/pkg/wire/oauth"
)

func TestTopics(t *testing.T) {
	seen := map[string]bool{}
	for _, topic := range Topics() {
		if seen[topic.ID] || topic.ID == "" || topic.Title == "" || len(topic.Features) == 0 || len(topic.Kinds) == 0 ||
			topic.Derive == nil {
			t.Errorf("topic %q: an id of its own, a title, features, kinds and a derivation", topic.ID)
		}
		seen[topic.ID] = true
		if !strings.Contains(string(Markdown()), "<a id=\""+topic.ID+"\"></a>") {
			t.Errorf("topic %s is not on the reference page", topic.ID)
		}
	}
}

// lookupTopics are the topics that these tests are about. A topic that is added later has tests of
// its own and breaks none of these.
var lookupTopics = []string{"host-names", "oauth", "dedicated-application", "ews-switch", "relationships",
	"connectors", "application-switch", "graph-route"}

// topicsOf returns the lookup topics that resources belong to, in the sequence of the resources.
func topicsOf(resources []change.Resource) []string {
	var out []string
	for _, r := range resources {
		if slices.Contains(lookupTopics, r.Topic) && !slices.Contains(out, r.Topic) {
			out = append(out, r.Topic)
		}
	}
	return out
}

// A feature that is not wanted adds nothing.
func TestFeaturesSwitchTopics(t *testing.T) {
	all := []string{"host-names", "oauth", "dedicated-application", "ews-switch", "relationships", "connectors",
		"application-switch"}
	for name, test := range map[string]struct {
		features []answers.Feature
		topics   []string
		set      map[string]string // properties of contoso's relationships, by side
	}{
		"none named": {nil, all, nil},
		"all":        {append(answers.DefaultFeatures(), answers.CentralizedTransport), all, nil},
		"mail only":  {[]answers.Feature{answers.SecureMail, answers.CentralizedTransport}, nil, nil},
		"free/busy only": {[]answers.Feature{answers.FreeBusy}, all,
			map[string]string{"onprem/contoso": "DomainNames Enabled FreeBusyAccessEnabled FreeBusyAccessLevel " +
				"TargetSharingEpr", "online": "DomainNames Enabled FreeBusyAccessEnabled FreeBusyAccessLevel"}},
		"moves only": {[]answers.Feature{answers.MoveMailbox}, []string{"relationships"},
			map[string]string{"onprem/contoso": "DomainNames Enabled MailboxMoveEnabled"}},
		"moves and mail": {[]answers.Feature{answers.SecureMail, answers.MoveMailbox, answers.OWARedirection},
			[]string{"relationships"}, map[string]string{"onprem/contoso": "DomainNames Enabled MailboxMoveEnabled " +
				"TargetOwaURL", "online": "DomainNames Enabled TargetOwaURL"}},
		"archive": {[]answers.Feature{answers.OnlineArchive}, all,
			map[string]string{"onprem/contoso": "ArchiveAccessEnabled DomainNames Enabled TargetSharingEpr"}},
	} {
		t.Run(name, func(t *testing.T) {
			w, f, a := mailWorld(t)
			a.Features = test.features
			resources, err := resourcesOf(t, f, a, worldwide(t))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.topics, topicsOf(resources)); diff != "" {
				t.Errorf("topics (-want +got):\n%s", diff)
			}
			got := map[string]string{}
			for _, r := range resources {
				if r.Kind == organizationRelationship && !strings.Contains(r.ID(), "fabrikam") &&
					!strings.Contains(r.Key, fabrikam) {
					got[r.Target] = strings.Join(sortedKeys(r.Properties), " ")
				}
			}
			if diff := cmp.Diff(test.set, got); test.set != nil && diff != "" {
				t.Errorf("relationships (-want +got):\n%s", diff)
			}
			w.carryOut(t, makePlan(t, w, f, a))
			if again := makePlan(t, w, f, a); len(again.Changes) != 0 {
				t.Errorf("not converged: %s", ids(again))
			}
		})
	}
}

// Rights to write follow from the features.
func TestRights(t *testing.T) {
	reads, writes := Rights(OnPremises, &answers.Answers{ExchangeOnline: &answers.ExchangeOnline{},
		Features: []answers.Feature{answers.OWARedirection}})
	if diff := cmp.Diff([]string{"Get-HybridConfiguration", "Get-OrganizationRelationship"}, reads); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"New-HybridConfiguration", "New-OrganizationRelationship",
		"Remove-HybridConfiguration", "Remove-OrganizationRelationship", "Set-HybridConfiguration",
		"Set-OrganizationRelationship"}, writes); diff != "" {
		t.Error(diff)
	}
	if _, all := Rights(OnPremises, nil); !slices.Contains(all, "New-SettingOverride") {
		t.Errorf("writes of all features: %v", all)
	}
}

// Without a tenant nothing should exist, and nothing is asked.
func TestNoTenant(t *testing.T) {
	a := testAnswers()
	a.ExchangeOnline = nil
	resources, left, err := Resources(t.Context(), fact.New(a, worldwide(t)))
	if err != nil || len(resources)+len(left) > 0 {
		t.Errorf("%v, %v, %v", resources, left, err)
	}
}

// A forest that is down does not stop the other forest's topics, unless they depend on it.
func TestForestDown(t *testing.T) {
	for name, test := range map[string]struct {
		build   fact.Build
		answer  string
		planned []string // topics
		left    []string // topic, place
	}{
		// EWS is the only route that contoso's server can take. The allow list would block
		// fabrikam's application.
		"known route": {build(15, 2, 1748, 39), "auto",
			[]string{"host-names", "oauth", "dedicated-application", "relationships", "connectors"}, []string{
				"oauth onprem/fabrikam", "dedicated-application onprem/fabrikam", "ews-switch ",
				"relationships onprem/fabrikam", "connectors onprem/fabrikam",
				"application-switch onprem/fabrikam", "connectors onprem/contoso", "application-switch onprem/contoso",
			}},
		// fabrikam's servers decide whether the route is Microsoft Graph.
		"unknown route": {build(15, 2, 2562, 46), "auto",
			[]string{"host-names", "oauth", "relationships", "connectors"}, []string{
				"oauth onprem/fabrikam", "dedicated-application onprem/contoso",
				"dedicated-application onprem/fabrikam",
				"ews-switch ", "relationships onprem/fabrikam",
				"connectors onprem/fabrikam", "application-switch onprem/fabrikam", "graph-route onprem/contoso",
				"graph-route onprem/fabrikam",
				"connectors onprem/contoso", "application-switch onprem/contoso",
			}},
		"the route that the answers ask for": {build(15, 2, 2562, 46), "graph", []string{
			"host-names", "oauth", "dedicated-application", "relationships", "connectors", "application-switch",
			"graph-route"}, []string{
			"oauth onprem/fabrikam", "dedicated-application onprem/fabrikam", "relationships onprem/fabrikam",
			"connectors onprem/fabrikam", "application-switch onprem/fabrikam", "graph-route onprem/fabrikam",
		}},
	} {
		t.Run(name, func(t *testing.T) {
			down := errors.New("fabrikam: connection refused")
			f, a := testFacts(), testAnswers()
			f.Forests[1].Unknown = down
			f.Forests[0].Servers[0].Build, a.ExchangeOnline.RichCoexistence = test.build, test.answer
			resources, left, err := Resources(t.Context(), f.set(a, worldwide(t)))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.planned, topicsOf(resources)); diff != "" {
				t.Errorf("topics (-want +got):\n%s", diff)
			}
			var places []string
			for _, l := range left {
				at := l.Topic + " " + l.Place
				if slices.Contains(lookupTopics, l.Topic) && !slices.Contains(places, at) {
					places = append(places, at)
				}
				if l.Err != nil && !errors.Is(l.Err, down) {
					t.Errorf("%s: %v", at, l.Err)
				}
				if l.Err == nil && (len(l.Resources) == 0 ||
					!strings.Contains(l.Reason.String(), "which is left out")) {
					t.Errorf("%s: %+v says neither what it needs nor what it is", at, l)
				}
			}
			slices.Sort(places)
			slices.Sort(test.left)
			if diff := cmp.Diff(test.left, places); diff != "" {
				t.Errorf("left out (-want +got):\n%s", diff)
			}
			for _, r := range resources {
				if strings.Contains(r.ID(), "fabrikam/") || strings.Contains(r.Key, fabrikam) || r.Absent {
					t.Errorf("%s is planned", r.ID())
				}
			}
			// The plan can be applied, and then nothing is left to plan.
			w := newWorld(t)
			plan := func() change.Plan {
				t.Helper()
				p, err := change.Make(t.Context(), w.places, resources, change.Options{LeftOut: left})
				if err != nil {
					t.Fatal(err)
				}
				return p
			}
			w.carryOut(t, plan())
			if again := plan(); len(again.Changes) != 0 || len(again.LeftOut) == 0 {
				t.Errorf("not converged: %s, left out %v", ids(again), again.LeftOut)
			}
		})
	}
}

// When no forest is known there is nothing to connect: the plan fails with the reasons, each once.
func TestNoForestIsKnown(t *testing.T) {
	down := errors.New("connection refused")
	f := testFacts()
	f.Forests[0].Unknown, f.Forests[1].Unknown = down, down
	if _, left, err := Resources(t.Context(), f.set(testAnswers(), worldwide(t))); len(left) > 0 || err == nil ||
		err.Error() != down.Error() {
		t.Errorf("%v, %v", left, err)
	}
}

// When a tenant lets nothing be read, the plan fails with the reason.
func TestTenantIsUnknown(t *testing.T) {
	set := testFacts().set(testAnswers(), worldwide(t))
	fact.Tenant.Seed(set.Tenant, entra.Organization{}, os.ErrPermission)
	fact.OnlineConfig.Seed(set.Tenant, fact.OnlineOrganization{}, os.ErrPermission)
	fact.OnlineAcceptedDomains.Seed(set.Tenant, nil, os.ErrPermission)
	for _, forest := range set.Forests {
		fact.DedicatedApplication.Seed(forest, fact.Dedicated{}, os.ErrPermission)
	}
	if _, _, err := Resources(t.Context(), set); !errors.Is(err, os.ErrPermission) {
		t.Errorf("Resources = %v", err)
	}
}

// Refused answers stop the plan, and are not reported as unknown.
func TestRefusalsStop(t *testing.T) {
	f, a := testFacts(), testAnswers()
	a.ExchangeOnline.RichCoexistence = "fax"
	if _, left, err := Resources(t.Context(), f.set(a, worldwide(t))); err == nil || len(left) > 0 {
		t.Errorf("%v, %v", left, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	set := testFacts().set(testAnswers(), worldwide(t))
	fact.Tenant.Seed(set.Tenant, entra.Organization{}, context.Canceled)
	if _, _, err := Resources(ctx, set); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}

// A permission that is switched off cannot be granted.
func TestDisabledPermission(t *testing.T) {
	set := testFacts().set(testAnswers(), worldwide(t))
	fact.Principal.Seed(set.Tenant, oauth.AppExchangeOnline,
		entra.ServicePrincipal{ID: "exo", AppRoles: []entra.AppRole{{ID: "r1", Value: "full_access_as_app"}}}, nil)
	_, left, err := Resources(t.Context(), set)
	if err != nil || len(left) == 0 || !errors.Is(left[0].Err, ErrUnknown) || left[0].Topic != "dedicated-application" {
		t.Errorf("%+v, %v", left, err)
	}
}
