package desired

import (
	"slices"
	"strings"
	"testing"

	"github.com/hybridge-cli/hybridge/pkg/config/cloud"
	"github.com/hybridge-cli/hybridge/pkg/engine/change"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/fact"
	"github.com/hybridge-cli/hybridge/pkg/wire/oauth"
)

// in is the world of a cloud, with the first forest alone.
func in(t *testing.T, id string) (*world, func() change.Plan) {
	t.Helper()
	c, ok := cloud.Get(id)
	if !ok {
		t.Fatalf("no cloud %s", id)
	}
	w, f, a := newWorld(t), testFacts(), testAnswers()
	f.live, f.Forests, a.Forests = w, f.Forests[:1], a.Forests[:1]
	a.ExchangeOnline.Cloud, a.ExchangeOnline.Tenant = id, "contoso.partner.onmschina.cn"
	f.Tenant.CoexistenceDomain = "contoso.partner.mail.onmschina.cn"
	plan := func() change.Plan {
		w.known(&f)
		resources, err := resourcesOf(t, f, a, c)
		if err != nil {
			t.Fatal(err)
		}
		p, err := change.Make(t.Context(), w.places, resources, change.Options{})
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	return w, plan
}

// The published procedure for 21Vianet, step by step: what it makes, with the means of today.
func TestProcedureFor21Vianet(t *testing.T) {
	w, plan := in(t, "21vianet")
	p := plan()
	after := func(id string) map[string]any {
		for _, c := range p.Changes {
			if c.ID == id {
				return c.After
			}
		}
		t.Errorf("no change %s in %s", id, ids(p))
		return nil
	}
	guid := strings.ToLower(contosoOrg)
	has := func(step, id, property string, want any) {
		t.Helper()
		got := after(id)[property]
		if list, ok := got.([]string); ok && slices.Contains(list, want.(string)) {
			return
		}
		if got != want {
			t.Errorf("step %s: %s %s is %v, want %v", step, id, property, got, want)
		}
	}
	const coexistence = "contoso.partner.mail.onmschina.cn"
	has("1", "onprem/contoso/AuthServer/acs", "AuthMetadataUrl",
		"https://accounts.accesscontrol.chinacloudapi.cn/contoso.partner.onmschina.cn/metadata/json/1")
	has("2", "onprem/contoso/PartnerApplication/"+oauth.AppExchangeOnline, "Enabled", true)
	after("entra/KeyCredential/" + fact.ApplicationName(contosoOrg)) // steps 3 and 4
	for _, host := range []string{"mail", "autodiscover"} {
		has("5", "entra/ServicePrincipalName/"+oauth.AppExchangeOnline, "servicePrincipalNames",
			"https://"+host+".contoso.com/")
	}
	has("6", "onprem/contoso/IntraOrganizationConnector/"+coexistence, "TargetAddressDomains", coexistence)
	has("7", "online/IntraOrganizationConnector/"+guid, "DiscoveryEndpoint",
		"https://autodiscover.contoso.com/autodiscover/autodiscover.svc")
	has("7", "online/IntraOrganizationConnector/"+guid, "TargetAddressDomains", "contoso.com")
	has("8", "onprem/contoso/AvailabilityAddressSpace/"+coexistence, "AccessMethod", "InternalProxy")
	for _, c := range p.Changes {
		if strings.Contains(c.Kind, "Federat") {
			t.Errorf("a federation trust is of no use there: %s", c.ID)
		}
	}
	w.carryOut(t, p)
	if again := plan(); len(again.Changes) != 0 {
		t.Errorf("not converged: %s", ids(again))
	}
}

// What the procedure made by hand is taken over under the names that it gives.
func TestProcedureFor21VianetIsAdopted(t *testing.T) {
	w, plan := in(t, "21vianet")
	here := w.contoso.objects
	here["AuthServer"] = []map[string]any{
		{"Name": "MicrosoftAzureACS", "Type": "MicrosoftACS", "Realm": tenantID, "Enabled": true,
			"AuthMetadataUrl": "https://accounts.accesscontrol.chinacloudapi.cn/contoso.cn/metadata/json/1"},
		{"Name": "evoSTS", "Type": "AzureAD", "Realm": tenantID, "Enabled": true},
	}
	here["IntraOrganizationConnector"] = []map[string]any{{"Name": "ExchangeHybridOnPremisesToOnline", "Enabled": true,
		"DiscoveryEndpoint":    "https://partner.outlook.cn/autodiscover/autodiscover.svc",
		"TargetAddressDomains": []string{"contoso.partner.mail.onmschina.cn"}}}
	here["AvailabilityAddressSpace"] = []map[string]any{{"Name": "contoso.partner.mail.onmschina.cn",
		"ForestName": "contoso.partner.mail.onmschina.cn", "AccessMethod": "InternalProxy", "UseServiceAccount": true,
		"ProxyUrl": "https://ews.contoso.com/EWS/Exchange.asmx"}}
	w.online.objects["IntraOrganizationConnector"] = []map[string]any{{"Name": "ExchangeHybridOnlineToOnPremises",
		"Enabled": true, "DiscoveryEndpoint": "https://autodiscover.contoso.com/autodiscover/autodiscover.svc",
		"TargetAddressDomains": []string{"contoso.com"}}}
	p := plan()
	for _, c := range p.Changes {
		switch c.Kind {
		case "IntraOrganizationConnector", "AvailabilityAddressSpace":
			t.Errorf("%s %s: %v -> %v", c.Action, c.ID, c.Before, c.After)
		case "AuthServer":
			if c.Action == change.Create {
				t.Errorf("a second auth server: %s", c.ID)
			}
		}
	}
	w.carryOut(t, p)
	if again := plan(); len(again.Changes) != 0 {
		t.Errorf("not converged: %s", ids(again))
	}
	for noun, n := range map[string]int{"AuthServer": 2, "IntraOrganizationConnector": 1,
		"AvailabilityAddressSpace": 1} {
		if len(here[noun]) != n {
			t.Errorf("%s: %d objects, want %d", noun, len(here[noun]), n)
		}
	}
}

// A plan says which of its values no source confirms, and which answer overrides each.
func TestUnconfirmedValuesAreShown(t *testing.T) {
	for id, want := range map[string]map[string]string{
		"worldwide": {},
		"21vianet":  {"onprem/contoso/AuthServer/evosts": "evoSTSMetadataURL"},
		"bleu": {"onprem/contoso/AuthServer/evosts": "evoSTSMetadataURL",
			"onprem/contoso/AuthServer/acs":                                               "acsMetadataURL",
			"onprem/contoso/IntraOrganizationConnector/contoso.partner.mail.onmschina.cn": "discoveryEndpoint"},
		"delos": {"onprem/contoso/AuthServer/evosts": "evoSTSMetadataURL"},
	} {
		_, plan := in(t, id)
		p := plan()
		for _, c := range p.Changes {
			shown := strings.Contains(c.Reason.String(), "not confirmed for this cloud")
			if key := want[c.ID]; key != "" && !strings.Contains(c.Reason.String(), "exchangeOnline.hosts."+key) {
				t.Errorf("%s: %s: %s", id, c.ID, c.Reason)
			}
			if shown && id == "worldwide" {
				t.Errorf("%s: %s: %s", id, c.ID, c.Reason)
			}
		}
	}
	// A value of the answers file is theirs.
	c, _ := cloud.Get("21vianet")
	own, err := c.With(map[string]string{"owa": "https://owa.example/"})
	if err != nil || slices.Contains(own.Unconfirmed, "owa") || !slices.Contains(c.Unconfirmed, "owa") {
		t.Errorf("%v %v: %v", own.Unconfirmed, c.Unconfirmed, err)
	}
}
