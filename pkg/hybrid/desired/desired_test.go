package desired

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hybridge-cli/hybridge/pkg/config/answers"
	"github.com/hybridge-cli/hybridge/pkg/config/cloud"
	"github.com/hybridge-cli/hybridge/pkg/engine/change"
	"github.com/hybridge-cli/hybridge/pkg/estate/certificate"
	"github.com/hybridge-cli/hybridge/pkg/estate/exchange"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/fact"
	"github.com/hybridge-cli/hybridge/pkg/wire/oauth"
)

var update = flag.Bool("update", false, "write goldens")

var now = time.Date(2026, 11, 22, 0, 0, 0, 0, time.UTC)

func worldwide(t *testing.T) cloud.Cloud {
	t.Helper()
	c, ok := cloud.Get("worldwide")
	if !ok {
		t.Fatal("no cloud worldwide")
	}
	return c
}

func build(major, minor, number, revision int) fact.Build {
	return fact.Build{Major: major, Minor: minor, Build: number, Revision: revision}
}

func server(name string, b fact.Build) fact.MailboxServer {
	return fact.MailboxServer{Name: name, Build: b}
}

func testAnswers() answers.Answers {
	return answers.Answers{
		Organization:   "Contoso",
		Features:       allowances, // tests of mail flow add their own
		ExchangeOnline: &answers.ExchangeOnline{Cloud: "worldwide", Tenant: "contoso.onmicrosoft.com"},
		Forests: []answers.Forest{
			{Name: "contoso", Domains: []string{"Contoso.com"},
				Namespace: answers.Namespace{Autodiscover: "autodiscover.contoso.com", EWS: "mail.contoso.com",
					SMTP: "mail.contoso.com"}},
			{Name: "fabrikam", Domains: []string{"fabrikam.example", "o'neil.example"},
				Namespace: answers.Namespace{Autodiscover: "autodiscover.fabrikam.example",
					EWS: "mail.fabrikam.example"}},
		},
	}
}

func testFacts() facts {
	old := build(15, 2, 1748, 39)
	return facts{
		Now: now,
		Tenant: tenantFacts{
			ID: tenantID, OrganizationGUID: "CCCCCCCC-0000-0000-0000-000000000003",
			CoexistenceDomain: "contoso.mail.onmicrosoft.com",
			Exchange: resource{ID: "eeeeeeee-0000-0000-0000-000000000005",
				Roles: map[string]string{"full_access_as_app": "dc890d15-9560-4a4c-9b7f-a736ec74ec40"}},
			Graph: resource{ID: "eeeeeeee-0000-0000-0000-000000000006", Roles: map[string]string{
				"Calendars.Read":         "00000000-aaaa-0000-0000-000000000001",
				"MailboxSettings.Read":   "00000000-aaaa-0000-0000-000000000002",
				"MailTips.ReadBasic.All": "00000000-aaaa-0000-0000-000000000003",
				"ProfilePhoto.Read.All":  "00000000-aaaa-0000-0000-000000000004",
			}},
		},
		Forests: []forestFacts{
			{Name: "contoso", OrganizationGUID: contosoOrg, RootDomain: "contoso.com",
				Servers: []fact.MailboxServer{server("EX1", old)},
				AuthCertificates: []authCertificate{{der: []byte("contoso auth certificate"),
					end: now.AddDate(2, 0, 0)}, {der: []byte("contoso next"), end: now.AddDate(5, 0, 0)}}},
			{Name: "fabrikam", OrganizationGUID: fabrikam, Servers: []fact.MailboxServer{server("FX1", old)},
				AuthCertificates: []authCertificate{{der: []byte("fabrikam auth certificate"),
					end: now.AddDate(1, 0, 0)}}},
		},
	}
}

func makePlan(t *testing.T, w *world, f facts, a answers.Answers) change.Plan {
	t.Helper()
	resources, err := resourcesOf(t, f, a, worldwide(t))
	if err != nil {
		t.Fatal(err)
	}
	p, err := change.Make(t.Context(), w.places, resources, change.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// Convergence: an applied plan leaves nothing to plan, on both routes and from partial states.
func TestConvergence(t *testing.T) {
	se := build(15, 2, 2562, 46)
	tests := map[string]struct {
		prepare func(*world, *facts, *answers.Answers)
		verify  func(*testing.T, *world)
	}{
		"green field": {
			prepare: func(w *world, _ *facts, _ *answers.Answers) { w.entra.late = 3 },
			verify: func(t *testing.T, w *world) {
				config := w.online.objects["OrganizationConfig"][0]
				if config["EwsEnabled"] != true || strings.Count(config["EwsAllowedAppIDs"].(string), ",") != 1 {
					t.Errorf("OrganizationConfig = %v", config)
				}
				evo := w.contoso.objects["AuthServer"][1]
				if evo["ApplicationIdentifier"] != w.entra.objects["applications"][0]["appId"] {
					t.Errorf("EvoSts = %v", evo)
				}
				if got := len(w.entra.objects["applications"][0]["keyCredentials"].([]any)); got != 2 {
					t.Errorf("%d key credentials, want the current and the next", got)
				}
				want := []string{oauth.AppExchangeOnline, "https://outlook.office365.com",
					"https://autodiscover.contoso.com/", "https://mail.contoso.com/",
					"https://autodiscover.fabrikam.example/", "https://mail.fabrikam.example/"}
				if diff := cmp.Diff(want, texts(w.entra.objects["servicePrincipals"][0]["servicePrincipalNames"])); diff != "" {
					t.Errorf("names of Exchange Online's principal (-want +got):\n%s", diff)
				}
			},
		},
		"graph route": {
			prepare: func(_ *world, f *facts, _ *answers.Answers) {
				f.Forests[0].Servers[0].Build, f.Forests[1].Servers[0].Build = se, se
			},
			verify: func(t *testing.T, w *world) {
				if got := len(w.contoso.objects["SettingOverride"]); got != 2 {
					t.Errorf("%d setting overrides, want 2", got)
				}
				if v := w.online.objects["OrganizationConfig"][0]["EwsEnabled"]; v != nil {
					t.Errorf("EwsEnabled = %v: the Graph route needs no EWS", v)
				}
				if got := len(w.entra.objects["applications"]); got != 2 {
					t.Errorf("%d applications", got)
				}
			},
		},
		"what others put there stays": {
			prepare: func(w *world, _ *facts, _ *answers.Answers) {
				w.online.objects["OrganizationConfig"][0]["EwsAllowedAppIDs"] = "99999999-0000-0000-0000-000000000009"
				w.online.objects["OrganizationRelationship"] = []map[string]any{{"Name": "Contoso by hand",
					"DomainNames": []string{"contoso.com", "other.example"}, "Enabled": false}}
				w.online.objects["IntraOrganizationConnector"] = []map[string]any{{"Name": "ExchangeHybridOnlineToOnPremises", "TargetAddressDomains": []string{"CONTOSO.COM"}, "DiscoveryEndpoint": "https://Autodiscover.contoso.com/autodiscover/autodiscover.svc/", "Enabled": true}}
				w.contoso.objects["AuthServer"] = []map[string]any{{"Name": "evoSTS", "Type": "AzureAD",
					"Realm": strings.ToUpper(tenantID), "AuthMetadataUrl": "https://login.microsoftonline.com/x",
					"Enabled": true, "DomainName": []string{"legacy.example"}}}
				w.fabrikam.objects["AuthServer"] = []map[string]any{{"Name": "evoSTS by hand", "Type": "AzureAD",
					"Realm": tenantID, "AuthMetadataUrl": "https://login.microsoftonline.com/x", "Enabled": true}}
			},
			verify: func(t *testing.T, w *world) {
				if got := w.online.objects["OrganizationConfig"][0]["EwsAllowedAppIDs"].(string); !strings.HasPrefix(got, "99999999-") || strings.Count(got, ",") != 2 {
					t.Errorf("EwsAllowedAppIDs = %s", got)
				}
				relation := w.online.objects["OrganizationRelationship"][0]
				if relation["Name"] != "Contoso by hand" || relation["Enabled"] != true {
					t.Errorf("organization relationship %v", relation)
				}
				if diff := cmp.Diff([]string{"contoso.com", "other.example"},
					texts(relation["DomainNames"])); diff != "" {
					t.Errorf("domain names (-want +got):\n%s", diff)
				}
				if got := len(w.online.objects["IntraOrganizationConnector"]); got != 2 {
					t.Errorf("%d connectors, want the one that was there and fabrikam's", got)
				}
				if other := w.fabrikam.objects["AuthServer"][0]; other["Name"] != "evoSTS by hand" ||
					other["ApplicationIdentifier"] == nil {
					t.Errorf("fabrikam's auth server %v, want the one that was there to get the application", other)
				}
				evo := w.contoso.objects["AuthServer"][0]
				if got := texts(evo["DomainName"]); !slices.Contains(got, "legacy.example") || len(got) != 3 {
					t.Errorf("EvoSts domains = %v", got)
				}
			},
		},
		"an application that is there": {
			prepare: func(w *world, f *facts, _ *answers.Answers) {
				old := map[string]any{"keyId": "k1", "type": "AsymmetricX509Cert", "usage": "Verify",
					"customKeyIdentifier": strings.Repeat("AB", 20), "endDateTime": "2030-01-01T00:00:00Z"}
				gone := map[string]any{"keyId": "k0", "type": "AsymmetricX509Cert", "usage": "Verify",
					"customKeyIdentifier": strings.Repeat("CD", 20), "endDateTime": "2020-01-01T00:00:00Z"}
				access := []any{map[string]any{"resourceAppId": oauth.AppGraph,
					"resourceAccess": []any{map[string]any{"id": "u1", "type": "Scope"}}}}
				w.entra.objects["applications"] = []map[string]any{{"id": "app-object", "appId": "app-id",
					"displayName": fact.ApplicationName(contosoOrg), "keyCredentials": []any{old, gone},
					"requiredResourceAccess": access}}
				f.Forests[0].Application = &fact.Application{ID: "app-object", AppID: "app-id",
					KeyCredentials: []any{old, gone}, RequiredResourceAccess: access}
			},
			verify: func(t *testing.T, w *world) {
				app := w.entra.objects["applications"][0]
				keys := app["keyCredentials"].([]any)
				if len(keys) != 3 || keys[0].(map[string]any)["keyId"] != "k1" {
					t.Errorf("key credentials = %v, want the valid old one and two new ones", keys)
				}
				if got := len(app["requiredResourceAccess"].([]any)); got != 2 {
					t.Errorf("required access to %d resources, want Graph's to stay beside Exchange's", got)
				}
			},
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			w, f, a := newWorld(t), testFacts(), testAnswers()
			tt.prepare(w, &f, &a)
			first := makePlan(t, w, f, a)
			if len(first.Changes) == 0 {
				t.Fatal("nothing to change at first")
			}
			w.carryOut(t, first)
			if second := makePlan(t, w, f, a); len(second.Changes) != 0 {
				t.Errorf("not converged: %s", ids(second))
				for _, c := range second.Changes {
					t.Logf("%s %s before %v after %v", c.Action, c.ID, c.Before, c.After)
				}
			}
			tt.verify(t, w)
		})
	}
}

func ids(p change.Plan) string {
	var out []string
	for _, c := range p.Changes {
		out = append(out, c.ID)
	}
	return strings.Join(out, "\n")
}

// A first plan's order: what grants trust before what uses it.
func TestOrder(t *testing.T) {
	p := makePlan(t, newWorld(t), testFacts(), testAnswers())
	at := map[string]int{}
	for i, c := range p.Changes {
		at[c.ID] = i + 1
	}
	app := "ExchangeServerApp-" + strings.ToLower(contosoOrg)
	for _, pair := range [][2]string{
		{"entra/Application/" + app, "entra/KeyCredential/" + app},
		{"entra/ServicePrincipal/" + app, "entra/AppRoleAssignment/" + app + ":full_access_as_app"},
		{"entra/AppRoleAssignment/" + app + ":full_access_as_app", "online/OrganizationConfig/ews"},
		{"entra/ServicePrincipalName/" + oauth.AppExchangeOnline,
			"online/IntraOrganizationConnector/" + strings.ToLower(contosoOrg)},
		{"online/OrganizationConfig/ews", "onprem/contoso/AuthServerApplication/evosts"},
		{"onprem/contoso/AuthServer/evosts", "onprem/contoso/AuthServerApplication/evosts"},
		{"onprem/contoso/AuthServerApplication/evosts",
			"onprem/contoso/SettingOverride/ExchangeOnpremAsThirdPartyAppId"},
		{"onprem/contoso/PartnerApplication/" + oauth.AppExchangeOnline,
			"online/IntraOrganizationConnector/" + strings.ToLower(contosoOrg)},
		{"onprem/contoso/IntraOrganizationConnector/contoso.mail.onmicrosoft.com",
			"onprem/contoso/SettingOverride/ExchangeOnpremAsThirdPartyAppId"},
	} {
		if at[pair[0]] == 0 || at[pair[1]] == 0 || at[pair[0]] > at[pair[1]] {
			t.Errorf("%s (%d) is not before %s (%d)", pair[0], at[pair[0]], pair[1], at[pair[1]])
		}
	}
}

func TestResourcesRefuseTheUnknown(t *testing.T) {
	tests := map[string]func(*facts, *answers.Answers){
		"tenant id":         func(f *facts, _ *answers.Answers) { f.Tenant.ID = "" },
		"organization GUID": func(f *facts, _ *answers.Answers) { f.Forests[1].OrganizationGUID = "" },
		"forest":            func(f *facts, _ *answers.Answers) { f.Forests = f.Forests[:1] },
		"auth certificate":  func(f *facts, _ *answers.Answers) { f.Forests[0].AuthCertificates = nil },
		"permission":        func(f *facts, _ *answers.Answers) { f.Tenant.Exchange.Roles = nil },
		"resource":          func(f *facts, _ *answers.Answers) { f.Tenant.Exchange.ID = "" },
		"servers":           func(f *facts, _ *answers.Answers) { f.Forests[0].Servers = nil },
	}
	for name, spoil := range tests {
		t.Run(name, func(t *testing.T) {
			f, a := testFacts(), testAnswers()
			spoil(&f, &a)
			if _, err := resourcesOf(t, f, a, worldwide(t)); !errors.Is(err, ErrUnknown) {
				t.Errorf("error = %v, want ErrUnknown", err)
			}
		})
	}
	f, a := testFacts(), testAnswers()
	f.Forests[1].OrganizationGUID = strings.ToLower(contosoOrg)
	if _, err := resourcesOf(t, f, a, worldwide(t)); err == nil ||
		!strings.Contains(err.Error(), "same Exchange organization") {
		t.Errorf("two forests of one organization: %v", err)
	}
}

func TestResourcesRefuse(t *testing.T) {
	for name, tt := range map[string]struct {
		spoil func(*facts, *answers.Answers)
		want  string
	}{
		"one domain in two forests": {func(_ *facts,
			a *answers.Answers) {
			a.Forests[1].Domains = []string{"CONTOSO.com."}
		},
			"both name the domain contoso.com"},
		"the coexistence domain as one's own": {func(_ *facts,
			a *answers.Answers) {
			a.Forests[0].Domains = []string{"contoso.mail.onmicrosoft.com"}
		},
			"coexistence domain"},
		"a server that knows no application": {func(f *facts, _ *answers.Answers) {
			f.Forests[1].Servers = append(f.Forests[1].Servers, server("OLD", build(15, 2, 1258, 12)))
		}, "OLD in fabrikam is at 15.2.1258.12"},
	} {
		t.Run(name, func(t *testing.T) {
			f, a := testFacts(), testAnswers()
			tt.spoil(&f, &a)
			if _, err := resourcesOf(t, f, a, worldwide(t)); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error = %v, want one with %q", err, tt.want)
			}
		})
	}
}

// Two auth servers of the tenant, or two overrides of a section: it is unknown which one applies,
// so nothing is planned.
func TestDuplicatesAreRefused(t *testing.T) {
	evo := func(name string) map[string]any {
		return map[string]any{"Name": name, "Type": "AzureAD", "Realm": tenantID,
			"AuthMetadataUrl": "https://login.windows.net/x", "Enabled": true}
	}
	override := func(name string) map[string]any {
		return map[string]any{"Name": name, "ComponentName": "Global", "SectionName": "ExchangeOnpremAsThirdPartyAppId",
			"Parameters": []string{"Enabled=true"}}
	}
	for noun, objects := range map[string][]map[string]any{
		"AuthServer": {evo("EvoSts"), evo("EvoSts - old")}, "SettingOverride": {override("one"), override("two")},
	} {
		w := newWorld(t)
		w.contoso.objects[noun] = objects
		resources, err := resourcesOf(t, testFacts(), testAnswers(), worldwide(t))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := change.Make(t.Context(), w.places, resources, change.Options{}); !errors.Is(err,
			change.ErrAmbiguous) {
			t.Errorf("two of %s: %v", noun, err)
		}
	}
}

// The list of allowed applications is written whole: a hidden list is not an empty one. What needs
// it is left out too.
func TestHiddenAllowList(t *testing.T) {
	w := newWorld(t)
	delete(w.online.objects["OrganizationConfig"][0], "EwsAllowedAppIDs")
	resources, err := resourcesOf(t, testFacts(), testAnswers(), worldwide(t))
	if err != nil {
		t.Fatal(err)
	}
	p, err := change.Make(t.Context(), w.places, resources, change.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if len(p.LeftOut) == 0 || p.LeftOut[0].Topic != "ews-switch" || !errors.Is(p.LeftOut[0].Err, change.ErrUnreadable) {
		t.Errorf("left out: %v, want that the list cannot be read", p.LeftOut)
	}
	for _, id := range []string{"online/OrganizationConfig/ews", "onprem/contoso/AuthServerApplication/evosts",
		"onprem/contoso/SettingOverride/ExchangeOnpremAsThirdPartyAppId"} {
		if strings.Contains(ids(p), id) {
			t.Errorf("%s is planned", id)
		}
	}
	if !strings.Contains(ids(p), "entra/Application/") {
		t.Errorf("nothing of the rest is planned: %s", ids(p))
	}
}

// An existing object that works is left as it is.
func TestChoicesOfOthersStay(t *testing.T) {
	w, f, a := newWorld(t), testFacts(), testAnswers()
	f.Forests[0].AcceptedDomains, f.Tenant.VerifiedDomains = []string{"contoso.com", "also.example",
		"internal.local"}, []string{"Also.example", "contoso.com", "contoso.onmicrosoft.com"}
	w.online.objects["OrganizationRelationship"] = []map[string]any{{"Name": "Contoso by hand",
		"DomainNames": []string{"contoso.com"}, "FreeBusyAccessLevel": "AvailabilityOnly", "MailTipsAccessLevel": "Limited"}}
	w.contoso.objects["PartnerApplication"][0]["LinkedAccount"] = ""
	w.fabrikam.objects["PartnerApplication"][0]["LinkedAccount"] = "fabrikam.example/Services/exo"
	f.Forests[1].RootDomain = "fabrikam.example"
	w.carryOut(t, makePlan(t, w, f, a))
	holds(t, "somebody chose to show less", w.online.objects["OrganizationRelationship"][0], map[string]any{
		"FreeBusyAccessLevel": "AvailabilityOnly", "MailTipsAccessLevel": "Limited"})
	for o, want := range map[*organization]string{w.contoso: "contoso.com/Users/Exchange Online-ApplicationAccount",
		w.fabrikam: "fabrikam.example/Services/exo"} {
		if got := o.objects["PartnerApplication"][0]["LinkedAccount"]; got != want {
			t.Errorf("LinkedAccount = %v, want %s", got, want)
		}
	}
	if diff := cmp.Diff([]string{"contoso.mail.onmicrosoft.com", "contoso.com", "also.example"},
		texts(w.contoso.objects["AuthServer"][1]["DomainName"])); diff != "" {
		t.Errorf("domains of the Entra auth server (-want +got):\n%s", diff)
	}
}

// A read that fails is not an absence: what depends on it is left out, and the rest is planned.
func TestReadFailureIsNoAbsence(t *testing.T) {
	w := newWorld(t)
	denied := errors.New("denied")
	w.online.fail["Get-OrganizationRelationship"] = denied
	resources, err := resourcesOf(t, testFacts(), testAnswers(), worldwide(t))
	if err != nil {
		t.Fatal(err)
	}
	p, err := change.Make(t.Context(), w.places, resources, change.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if len(p.LeftOut) < 1 || !errors.Is(p.LeftOut[0].Err, denied) || p.LeftOut[0].Topic != "relationships" ||
		len(p.LeftOut[0].Resources) != 2 || slices.ContainsFunc(p.LeftOut[1:], func(l change.LeftOut) bool {
		return l.Topic != hybridRecord.ID
	}) {
		t.Errorf("left out: %+v, want the two relationships, with the read's error", p.LeftOut)
	}
	if strings.Contains(ids(p), "online/OrganizationRelationship/") ||
		!strings.Contains(ids(p), "online/IntraOrganizationConnector/") {
		t.Errorf("planned: %s", ids(p))
	}
}

func TestUnreadableProperty(t *testing.T) {
	live := image(organizationRelationship,
		exchange.NewObject(nil, "x", "Name", "x", "DomainNames", exchange.Unreadable{Reason: "odd"}, "Enabled", true))
	if _, ok := live.Properties["DomainNames"].(change.Unreadable); !ok {
		t.Errorf("DomainNames = %#v, want Unreadable", live.Properties["DomainNames"])
	}
	if _, there := live.Properties["TargetOwaURL"]; there {
		t.Error("an absent property was made up")
	}
}

// The tenant's own switch of Get-OrganizationConfig is omitted only where the server does not know
// it.
func TestGetWithoutUnknownParameter(t *testing.T) {
	for name, tt := range map[string]struct {
		err  error
		want int
	}{
		"unknown parameter": {&exchange.Error{Cmdlet: "Get-OrganizationConfig",
			FullyQualifiedID: "NamedParameterNotFound,Get-OrganizationConfig"}, 2},
		"other error": {&exchange.Error{Cmdlet: "Get-OrganizationConfig", Message: "busy"}, 1},
	} {
		t.Run(name, func(t *testing.T) {
			s := &picky{err: tt.err}
			p := change.NewPlace("online", Exchange, func(context.Context) (exchange.Session, error) { return s, nil },
				nil)
			_, err := p.Read(t.Context(), organizationConfig)
			if s.calls != tt.want || (err == nil) != (tt.want == 2) {
				t.Errorf("%d calls, error %v", s.calls, err)
			}
		})
	}
}

type picky struct {
	organization
	err   error
	calls int
}

func (p *picky) Run(_ context.Context, c exchange.Command) ([]exchange.Object, error) {
	p.calls++
	if len(c.Parameters) > 0 {
		return nil, p.err
	}
	return []exchange.Object{exchange.NewObject(nil, "x", "Name", "x")}, nil
}

func TestChooseRoute(t *testing.T) {
	se := build(15, 2, 2562, 41)
	old := build(15, 2, 1748, 39)
	china, _ := cloud.Get("21vianet")
	tests := []struct {
		name, answer string
		cloud        cloud.Cloud
		builds       []fact.Build
		want         fact.Route
		fails        bool
	}{
		{"all new", "auto", worldwide(t), []fact.Build{se, build(15, 2, 2562, 46)}, fact.RouteGraph, false},
		{"one old", "auto", worldwide(t), []fact.Build{se, old}, fact.RouteEWS, false},
		{"update level not told", "auto", worldwide(t), []fact.Build{build(15, 2, 2562, 17)}, fact.RouteEWS, false},
		{"update level not told, insisted", "graph", worldwide(t), []fact.Build{build(15, 2, 2562, 17)},
			fact.RouteGraph, false},
		{"china", "auto", china, []fact.Build{se}, fact.RouteEWS, false},
		{"china, insisted", "graph", china, []fact.Build{se}, "", true},
		{"old, insisted", "graph", worldwide(t), []fact.Build{old}, "", true},
		{"ews", "ews", worldwide(t), []fact.Build{se}, fact.RouteEWS, false},
		{"nonsense", "fax", worldwide(t), []fact.Build{se}, "", true},
		{"no servers known", "auto", worldwide(t), nil, "", true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f := Forest{Name: "contoso"}
			for _, b := range tt.builds {
				f.Servers = append(f.Servers, server("EX", b))
			}
			got, err := ChooseRoute(tt.answer, nil, tt.cloud, []Forest{f}, cloud.EWSEnds.Add(-time.Second))
			if got.Route != tt.want || (err != nil) != tt.fails {
				t.Errorf("route %q, error %v; want %q, error %v", got.Route, err, tt.want, tt.fails)
			}
		})
	}
}

// Once EWS of Exchange Online has ended, Graph is the only route. Answers that ask for EWS are
// refused.
func TestRouteAfterTheEndOfEWS(t *testing.T) {
	china, _ := cloud.Get("21vianet")
	for name, tt := range map[string]struct {
		answer string
		cloud  cloud.Cloud
		build  fact.Build
		want   fact.Route
	}{
		"update level not told": {"auto", worldwide(t), build(15, 2, 2562, 17), fact.RouteGraph},
		"too old":               {"auto", worldwide(t), build(15, 2, 1748, 39), fact.RouteEWS},
		"china":                 {"auto", china, build(15, 2, 2562, 41), fact.RouteEWS},
		"insisted on":           {"ews", worldwide(t), build(15, 2, 2562, 41), fact.RouteEWS},
	} {
		t.Run(name, func(t *testing.T) {
			f, a := testFacts(), testAnswers()
			f.Now, a.ExchangeOnline.RichCoexistence = cloud.EWSEnds, tt.answer
			for i := range f.Forests {
				f.Forests[i].Servers = []fact.MailboxServer{server("EX", tt.build)}
			}
			if got, err := ChooseRoute(tt.answer, nil, tt.cloud,
				[]Forest{{Name: "contoso", Servers: f.Forests[0].Servers}}, f.Now); got.Route != tt.want || err != nil {
				t.Errorf("route %q, error %v; want %q", got.Route, err, tt.want)
			}
			_, err := resourcesOf(t, f, a, tt.cloud)
			if refused := err != nil && strings.Contains(err.Error(),
				"ended on 2027-04-01"); refused != (tt.want == fact.RouteEWS) {
				t.Errorf("resources: %v", err)
			}
			if f.Now = cloud.EWSEnds.Add(-time.Second); tt.want == fact.RouteEWS {
				if _, err := resourcesOf(t, f, a, tt.cloud); err != nil {
					t.Errorf("the day before: %v", err)
				}
			}
		})
	}
}

func TestThumbprintOf(t *testing.T) {
	der := []byte("a certificate")
	want := certificate.ThumbprintOf(der)
	for name, c := range map[string]map[string]any{
		"key":         {"key": "YSBjZXJ0aWZpY2F0ZQ==", "customKeyIdentifier": "0000"},
		"hexadecimal": {"customKeyIdentifier": strings.ToLower(want)},
		"Base64":      {"customKeyIdentifier": "f8CTUuPtGfEc6TDpMJiZfPYP8tE="},
		// a form that Graph has also printed
		"both": {"customKeyIdentifier": base64.StdEncoding.EncodeToString([]byte(want))},
	} {
		if got := fact.Credential(c).Thumbprint(); name != "Base64" && got != want || len(got) != 40 {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	if got := fact.Credential(map[string]any{"customKeyIdentifier": "not one"}).Thumbprint(); got != "" {
		t.Errorf("nonsense: %q", got)
	}
}

func TestRequest(t *testing.T) {
	method, path, body, err := request(change.Command{Name: "PATCH /applications/{id}",
		Parameters: map[string]any{"id": "a/b", "keyCredentials": []any{}}})
	if err != nil || method != "PATCH" || path != "/applications/a%2Fb" {
		t.Errorf("%s %s, %v", method, path, err)
	}
	if diff := cmp.Diff(map[string]any{"keyCredentials": []any{}}, body); diff != "" {
		t.Error(diff)
	}
	for _, c := range []change.Command{{Name: "PATCH /applications/{id}"}, {Name: "Set-Mailbox"}, {Name: ""}} {
		if _, _, _, err := request(c); err == nil {
			t.Errorf("%q was accepted", c.Name)
		}
	}
}

// Everything that a plan does can be undone with the same declarations.
func TestDeleteUndoesCreate(t *testing.T) {
	w, f, a := newWorld(t), testFacts(), testAnswers()
	before, _ := json.Marshal(w.contoso.objects["AuthServer"])
	p := makePlan(t, w, f, a)
	w.carryOut(t, p)
	for _, c := range slices.Backward(p.Changes) {
		kind := kindNamed(c.Kind)
		live, err := w.places[c.Target].Read(t.Context(), kind)
		if err != nil {
			t.Fatal(err)
		}
		name, _, _ := strings.Cut(c.Name, " full_access_as_app")
		i := slices.IndexFunc(live, func(l change.Live) bool {
			return strings.HasPrefix(l.Name, name) ||
				c.Kind == "OrganizationConfig"
		})
		if i < 0 {
			t.Fatalf("%s is not live", c.ID)
		}
		action, want := change.Delete, change.Properties(nil)
		if c.Action == change.Update {
			action, want = change.Update, c.Before
		}
		command, err := kind.Command(action, c.Name, want, &live[i])
		if err != nil {
			t.Fatalf("%s: %v", c.ID, err)
		}
		if _, err := w.places[c.Target].Run(t.Context(), command); err != nil {
			t.Fatalf("%s: %v", c.ID, err)
		}
	}
	for noun, left := range w.contoso.objects {
		if len(left) != len(newOrganization(exchange.OnPremises).objects[noun]) {
			t.Errorf("contoso still has %s: %v", noun, left)
		}
	}
	if after, _ := json.Marshal(w.contoso.objects["AuthServer"]); len(w.contoso.objects["AuthServer"]) != 0 {
		t.Errorf("auth servers before %s, after %s", before, after)
	}
	if got := texts(w.entra.objects["servicePrincipals"][0]["servicePrincipalNames"]); len(got) != 2 {
		t.Errorf("names of Exchange Online's principal: %v, want the two that were there", got)
	}
	if left := w.entra.objects["applications"]; len(left) != 0 {
		t.Errorf("applications left: %v", left)
	}
	if config := w.online.objects["OrganizationConfig"][0]; config["EwsEnabled"] != nil ||
		config["EwsAllowedAppIDs"] != "" && config["EwsAllowedAppIDs"] != nil {
		t.Errorf("OrganizationConfig = %v", config)
	}
}

// A script that is run by hand does not ask for confirmation at every removal: the person has
// agreed to the run.
func TestRemovalsDoNotAsk(t *testing.T) {
	for _, k := range Kinds() {
		c, err := k.Command(change.Delete, "x", nil, &change.Live{Identity: "x"})
		if errors.Is(err, change.ErrNoOperation) {
			continue
		} else if err != nil {
			t.Fatal(err)
		}
		if asks, given := c.Parameters["Confirm"]; strings.HasPrefix(c.Name, "Remove-") && (!given || asks != false) {
			t.Errorf("%s: %v", c.Name, c.Parameters)
		}
	}
}

// A kind without New and Set: an address space is added, and one that differs is removed and added
// anew.
func TestKindThatIsAdded(t *testing.T) {
	k := Exchange.Declare(Kind{
		Noun: "AvailabilityAddressSpace", Places: []string{OnPremises},
		Properties: map[string]Property{"ForestName": {Type: text, Write: change.Key}, "AccessMethod": {Type: text}},
	}, Cmdlets{Verbs: Add | Remove})
	place := addressSpaces{{Identity: "x", Name: "fabrikam.com",
		Properties: change.Properties{"ForestName": "fabrikam.com", "AccessMethod": "OrgWideFB"}}}
	p, err := change.Make(t.Context(), map[string]change.Place{"here": place}, []change.Resource{{
		Kind: k, Target: "here", Key: "fabrikam.com", Name: "fabrikam.com",
		Properties: change.Properties{"ForestName": "fabrikam.com", "AccessMethod": "InternalProxy"},
	}}, change.Options{})
	if err != nil || len(p.Changes) != 1 {
		t.Fatalf("%v, %v", p.Changes, err)
	}
	want := []change.Command{
		{Name: "Remove-AvailabilityAddressSpace", Parameters: map[string]any{"Identity": "x", "Confirm": false}},
		{Name: "Add-AvailabilityAddressSpace",
			Parameters: map[string]any{"ForestName": "fabrikam.com", "AccessMethod": "InternalProxy"}},
	}
	if diff := cmp.Diff(want, p.Changes[0].Commands()); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"Get-AvailabilityAddressSpace", "Add-AvailabilityAddressSpace",
		"Remove-AvailabilityAddressSpace"}, slices.Concat(k.Reads, k.Writes)); diff != "" {
		t.Error(diff)
	}
}

type addressSpaces []change.Live

func (p addressSpaces) Read(context.Context, *change.Kind) ([]change.Live, error) { return p, nil }
func (p addressSpaces) Run(context.Context, change.Command) (change.Properties, error) {
	return nil, nil
}

func TestKinds(t *testing.T) {
	seen := map[string]bool{}
	for _, k := range Kinds() {
		if seen[k.Noun] {
			t.Errorf("%s is declared twice", k.Noun)
		}
		seen[k.Noun] = true
		if k.Title == "" || k.Why == "" || k.Risk == "" || len(k.Places) == 0 || len(k.Properties) == 0 {
			t.Errorf("%s: a declaration has a title, a reason, a risk, places and properties", k.Noun)
		}
		for _, place := range k.Places {
			if !slices.ContainsFunc(k.System().Places, func(s change.PlaceSort) bool { return s.Name == place }) {
				t.Errorf("%s: its system has no places %s", k.Noun, place)
			}
		}
		for _, side := range []struct {
			place string
			side  exchange.Side
		}{{OnPremises, exchange.OnPremises}, {Online, exchange.Online}} {
			if !slices.Contains(k.Places, side.place) {
				continue
			}
			for _, name := range slices.Concat(k.Reads, k.Writes) {
				c, ok := exchange.Catalogue().Find(name)
				if !ok || !c.On(side.side) {
					t.Errorf("%s: %s does not exist %s", k.Noun, name, side.side)
				}
				verb, _, _ := strings.Cut(name, "-")
				for p, d := range k.Properties {
					sent := !d.Derived && (verb == "New" || verb == "Add" || verb == "Set" && d.Write != change.Key &&
						d.Write != change.CreateOnly)
					if k == intraOrganizationConnector && p == "TargetSharingEpr" && side.place == OnPremises {
						continue // exists online only, and is planned there only
					}
					if k == authConfig {
						continue // each stage has parameters of its own
					}
					if parameter, ok := c.Parameter(p); sent && (!ok || !slices.Contains(parameter.Sides, side.side)) {
						t.Errorf("%s: %s has no parameter %s %s; what only Set takes is a kind of its own (Of)", k.Noun,
							name, p, side.side)
					}
				}
			}
		}
		if !strings.Contains(string(Markdown()), "\n## "+k.Noun+"\n") {
			t.Errorf("%s is not on the reference page", k.Noun)
		}
	}
}

func golden(t *testing.T, path string, got []byte) {
	t.Helper()
	if *update {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("%s (-want +got; go test -update writes it):\n%s", path, diff)
	}
}
