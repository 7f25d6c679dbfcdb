package desired

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"maps"
	"math/big"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hybridge-cli/hybridge/pkg/config/answers"
	"github.com/hybridge-cli/hybridge/pkg/engine/change"
	"github.com/hybridge-cli/hybridge/pkg/estate/certificate"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/fact"
)

// purchased makes a certificate of an authority.
func purchased(t *testing.T, commonName string, names ...string) *x509.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	authority := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "Example CA",
		Organization: []string{"Example, Inc"}}}
	leaf := &x509.Certificate{SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: commonName},
		DNSNames: append(names, commonName), NotBefore: now.AddDate(0, -1, 0), NotAfter: now.AddDate(0, 3, 0)}
	der, err := x509.CreateCertificate(rand.Reader, leaf, authority, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	c, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// mailWorld is the world with what Exchange's setup leaves, and answers that want mail flow.
func mailWorld(t *testing.T, features ...answers.Feature) (*world, facts, answers.Answers) {
	t.Helper()
	w, f, a := newWorld(t), testFacts(), testAnswers()
	f.live, a.Features = w, append(features, answers.SecureMail)
	a.Forests[1].Namespace.SMTP = "mx.fabrikam.example"
	f.Tenant.Exchangers = []string{"contoso-mail-onmicrosoft-com.mail.protection.outlook.com"}
	f.Forests[0].Transport = purchased(t, "mail.contoso.com")
	f.Forests[1].Transport = purchased(t, "*.fabrikam.example")
	f.Forests[0].Servers = append(f.Forests[0].Servers, server("EX2", build(15, 2, 2562, 17)))
	frontend := func(name string) map[string]any {
		return map[string]any{"Name": name + `\Default Frontend ` + name, "Server": name,
			"TransportRole": "FrontendTransport", "Bindings": []string{"[::]:25", "0.0.0.0:25"},
			"RemoteIPRanges": []string{"::-ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "0.0.0.0-255.255.255.255"},
			"Enabled":        true}
	}
	relay := frontend("EX1")
	relay["Name"], relay["RemoteIPRanges"] = `EX1\Relay`, []string{"10.0.0.0/8"}
	w.contoso.objects["ReceiveConnector"] = []map[string]any{relay, frontend("EX1"), frontend("EX2")}
	w.fabrikam.objects["ReceiveConnector"] = []map[string]any{frontend("FX1")}
	return w, f, a
}

func objectNamed(o *organization, noun, name string) map[string]any {
	for _, m := range o.objects[noun] {
		if m["Name"] == name {
			return m
		}
	}
	return nil
}

func holds(t *testing.T, what string, have, want map[string]any) {
	t.Helper()
	got := map[string]any{}
	for name := range want {
		got[name] = have[name]
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

// What hybridge makes has the names and values of Microsoft's wizard.
func TestMailFlowLikeTheWizard(t *testing.T) {
	w, f, a := mailWorld(t, allowances...)
	f.Tenant.Dehydrated = true
	w.online.objects["OrganizationConfig"][0]["IsDehydrated"] = true
	w.carryOut(t, makePlan(t, w, f, a))
	f.Tenant.Dehydrated = false
	if again := makePlan(t, w, f, a); len(again.Changes) != 0 {
		for _, c := range again.Changes {
			t.Logf("%s before %v after %v", c.ID, c.Before, c.After)
		}
		t.Fatalf("not converged: %s", ids(again))
	}
	const tenantGUID, orgGUID = "cccccccc-0000-0000-0000-000000000003", "aaaaaaaa-0000-0000-0000-000000000001"
	id := certificate.IdentifierOf(f.Forests[0].Transport).String()
	holds(t, "accepted domain", objectNamed(w.contoso, "AcceptedDomain", "contoso.mail.onmicrosoft.com"),
		map[string]any{"DomainName": "contoso.mail.onmicrosoft.com"})
	holds(t, "remote domain", objectNamed(w.contoso, "RemoteDomain", "Hybrid Domain - contoso.mail.onmicrosoft.com"),
		map[string]any{"DomainName": "contoso.mail.onmicrosoft.com", "TargetDeliveryDomain": true,
			"TrustedMailInboundEnabled": nil})
	holds(t, "remote domain", objectNamed(w.contoso, "RemoteDomain", "Hybrid Domain - contoso.onmicrosoft.com"),
		map[string]any{"DomainName": "contoso.onmicrosoft.com", "TargetDeliveryDomain": nil,
			"TrustedMailInboundEnabled": true})
	holds(t, "address space", objectNamed(w.contoso, "AvailabilityAddressSpace", "contoso.mail.onmicrosoft.com"),
		map[string]any{"AccessMethod": "InternalProxy", "UseServiceAccount": true,
			"ProxyUrl": "https://mail.contoso.com/EWS/Exchange.asmx"})
	holds(t, "send connector", objectNamed(w.contoso, "SendConnector", "Outbound to Office 365 - "+tenantGUID),
		map[string]any{"AddressSpaces": []string{"smtp:contoso.mail.onmicrosoft.com;1"}, "RequireTLS": true,
			"TlsAuthLevel": "DomainValidation", "TlsDomain": "mail.protection.outlook.com", "Fqdn": "mail.contoso.com",
			"CloudServicesMailEnabled": true, "DNSRoutingEnabled": true, "TlsCertificateName": id,
			"SourceTransportServers": []string{"EX1", "EX2"}, "SmartHosts": nil, "IgnoreSTARTTLS": false})
	for _, server := range []string{"EX1", "EX2"} {
		holds(t, "receive connector", objectNamed(w.contoso, "ReceiveConnector", server+`\Default Frontend `+server),
			map[string]any{"TlsDomainCapabilities": []string{"mail.protection.outlook.com:AcceptCloudServicesMail"},
				"TlsCertificateName": id})
	}
	if relay := objectNamed(w.contoso, "ReceiveConnector", `EX1\Relay`); relay["TlsDomainCapabilities"] != nil {
		t.Errorf("another connector was changed: %v", relay)
	}
	holds(t, "inbound connector", objectNamed(w.online, "InboundConnector", "Inbound from "+orgGUID),
		map[string]any{"ConnectorType": "OnPremises", "ConnectorSource": "HybridWizard",
			"CloudServicesMailEnabled": true, "RequireTls": true, "SenderDomains": []string{"smtp:*;1"},
			"TlsSenderCertificateName": "mail.contoso.com", "TreatMessagesAsInternal": nil})
	holds(t, "inbound connector of the wildcard", objectNamed(w.online, "InboundConnector", "Inbound from "+fabrikam),
		map[string]any{"TlsSenderCertificateName": "*.fabrikam.example"})
	holds(t, "outbound connector", objectNamed(w.online, "OutboundConnector", "Outbound to "+orgGUID),
		map[string]any{"ConnectorType": "OnPremises", "ConnectorSource": "HybridWizard",
			"CloudServicesMailEnabled": true, "RecipientDomains": []string{"contoso.com"},
			"SmartHosts": []string{"mail.contoso.com"}, "TlsSettings": "DomainValidation",
			"TlsDomain": "mail.contoso.com", "UseMXRecord": false, "RouteAllMessagesViaOnPremises": nil})
	holds(t, "organization", objectNamed(w.online, "OnPremisesOrganization", orgGUID),
		map[string]any{"OrganizationGuid": orgGUID, "HybridDomains": []string{"contoso.com"},
			"InboundConnector": "Inbound from " + orgGUID, "OutboundConnector": "Outbound to " + orgGUID,
			"OrganizationRelationship": "O365 to On-premises - " + orgGUID})
	holds(t, "record", w.contoso.objects["HybridConfiguration"][0],
		map[string]any{"Domains": []string{"contoso.com"}, "OnPremisesSmartHost": "mail.contoso.com",
			"TlsCertificateName": id, "SendingTransportServers": []string{"EX1", "EX2"},
			"ReceivingTransportServers": []string{"EX1", "EX2"}, "EdgeTransportServers": nil,
			"Features": []string{"FreeBusy", "MoveMailbox", "Mailtips", "MessageTracking", "OwaRedirection",
				"OnlineArchive", "SecureMail", "Photos"}})
}

// A state that others made is taken over: nothing is made twice, and what they put into lists
// stays.
func TestMailFlowAdopts(t *testing.T) {
	w, f, a := mailWorld(t, answers.CentralizedTransport)
	a.Forests, f.Forests = a.Forests[:1], f.Forests[:1]
	id := certificate.IdentifierOf(f.Forests[0].Transport)
	w.contoso.objects["AcceptedDomain"] = []map[string]any{{"Name": "Cloud",
		"DomainName": "Contoso.mail.onmicrosoft.com",
		"DomainType": "InternalRelay"}}
	w.contoso.objects["RemoteDomain"] = []map[string]any{
		{"Name": "Default", "DomainName": "*", "TargetDeliveryDomain": false, "TrustedMailInboundEnabled": false},
		{"Name": "Office 365", "DomainName": "contoso.mail.onmicrosoft.com", "TargetDeliveryDomain": false,
			"TrustedMailInboundEnabled": true},
	}
	w.contoso.objects["SendConnector"] = []map[string]any{
		{"Name": "Internet", "AddressSpaces": []string{"smtp:*;1"}, "CloudServicesMailEnabled": false},
		{"Name": "To the cloud", "AddressSpaces": []string{"smtp:CONTOSO.mail.onmicrosoft.com;5",
			"smtp:partner.example;1"}, "SourceTransportServers": []string{"EX2"}, "RequireTLS": false, "Enabled": true,
			"TlsCertificateName": "<i>" + id.Issuer + "<s>" + strings.ToUpper(id.Subject)},
	}
	front := objectNamed(w.contoso, "ReceiveConnector", `EX1\Default Frontend EX1`)
	front["TlsDomainCapabilities"] = []string{"partner.example:AcceptOorgProtocol"}
	w.contoso.objects["HybridConfiguration"] = []map[string]any{{"Name": "Hybrid Configuration",
		"Features": []string{"FreeBusy", "Centralized"}, "Domains": []string{"autod:contoso.com", "old.example"},
		"ReceivingTransportServers": []string{"contoso.com/Servers/EX1"}}}
	w.online.objects["InboundConnector"] = []map[string]any{
		{"Name": "Partner", "ConnectorType": "Partner", "TlsSenderCertificateName": "mail.contoso.com"},
		{"Name": "From us", "ConnectorType": "OnPremises", "TlsSenderCertificateName": "MAIL.contoso.com",
			"SenderDomains": []string{"smtp:contoso.com;1"}, "TreatMessagesAsInternal": true, "Enabled": true},
	}
	w.online.objects["OutboundConnector"] = []map[string]any{{"Name": "To us", "ConnectorType": "OnPremises",
		"SmartHosts": []string{"Mail.contoso.com", "mail2.contoso.com"}, "Enabled": true,
		"RecipientDomains": []string{"sub.contoso.com"},
		"TlsSettings":      "DomainValidation", "TlsDomain": "*.contoso.com"}}
	counts := map[string]int{}
	for _, o := range []*organization{w.contoso, w.online} {
		for noun, list := range o.objects {
			counts[noun] = len(list)
		}
	}
	w.carryOut(t, makePlan(t, w, f, a))
	if again := makePlan(t, w, f, a); len(again.Changes) != 0 {
		for _, c := range again.Changes {
			t.Logf("%s before %v after %v", c.ID, c.Before, c.After)
		}
		t.Fatalf("not converged: %s", ids(again))
	}
	counts["RemoteDomain"]++ // the initial domain's
	delete(counts, "OrganizationConfig")
	for noun, n := range counts {
		if got := len(w.contoso.objects[noun]) + len(w.online.objects[noun]); got != n {
			t.Errorf("%s: %d objects, want %d", noun, got, n)
		}
	}
	holds(t, "send connector", objectNamed(w.contoso, "SendConnector", "To the cloud"), map[string]any{
		"AddressSpaces": []string{"smtp:CONTOSO.mail.onmicrosoft.com;5", "smtp:partner.example;1"}, "RequireTLS": true,
		"SourceTransportServers": []string{"EX2"}, "CloudServicesMailEnabled": true,
		"TlsCertificateName": "<i>" + id.Issuer + "<s>" + strings.ToUpper(id.Subject)})
	holds(t, "receive connector", front, map[string]any{"TlsDomainCapabilities": []string{
		"partner.example:AcceptOorgProtocol", "mail.protection.outlook.com:AcceptCloudServicesMail"}})
	if other := objectNamed(w.contoso, "ReceiveConnector",
		`EX2\Default Frontend EX2`); other["TlsDomainCapabilities"] != nil {
		t.Error("EX2 receives although the record names EX1 alone")
	}
	holds(t, "inbound connector", objectNamed(w.online, "InboundConnector", "From us"), map[string]any{
		"CloudServicesMailEnabled": true, "TreatMessagesAsInternal": false, "RequireTls": true,
		"SenderDomains": []string{"smtp:contoso.com;1", "*"}})
	holds(t, "outbound connector", objectNamed(w.online, "OutboundConnector", "To us"), map[string]any{
		"RecipientDomains": []string{"sub.contoso.com", "*"}, "RouteAllMessagesViaOnPremises": true,
		"TlsDomain": "*.contoso.com", "SmartHosts": []string{"Mail.contoso.com", "mail2.contoso.com"}})
	holds(t, "organization", w.online.objects["OnPremisesOrganization"][0], map[string]any{
		"InboundConnector": "From us", "OutboundConnector": "To us"})
	holds(t, "record", w.contoso.objects["HybridConfiguration"][0], map[string]any{
		"Features": []string{"FreeBusy", "Centralized", "SecureMail"},
		"Domains":  []string{"autod:contoso.com", "old.example"}})
	holds(t, "accepted domain", w.contoso.objects["AcceptedDomain"][0], map[string]any{"DomainType": "InternalRelay"})
	holds(t, "remote domain", objectNamed(w.contoso, "RemoteDomain", "Office 365"), map[string]any{
		"TargetDeliveryDomain": true, "TrustedMailInboundEnabled": true})
}

// The tenant attributes mail by a name in one of its domains. The name of the inbound connector is
// the common name where it is such a one, else a wildcard, as Microsoft's wizard writes it. A
// wildcard that is there stays, unless it fits another forest's servers too.
func TestSenderNameOfInboundConnector(t *testing.T) {
	for title, test := range map[string]struct {
		common     string
		names      []string
		live, want string
		other      string // mail host of the other forest
	}{
		"common name":     {"mail.contoso.com", nil, "", "mail.contoso.com", "mx.fabrikam.example"},
		"wildcard":        {"*.contoso.com", nil, "", "*.contoso.com", "mx.fabrikam.example"},
		"wizard's stays":  {"mail.contoso.com", nil, "*.contoso.com", "*.contoso.com", "mx.fabrikam.example"},
		"of both forests": {"mail.contoso.com", nil, "*.contoso.com", "mail.contoso.com", "mx.contoso.com"},
		"without a star":  {"*.contoso.com", nil, "contoso.com", "*.contoso.com", "mx.fabrikam.example"},
		"old name":        {"mail.contoso.com", nil, "old.contoso.com", "mail.contoso.com", "mx.fabrikam.example"},
		"of a domain that is not the tenant's": {"mail.corp.example", []string{"mail.contoso.com"}, "",
			"*.contoso.com", "mx.fabrikam.example"},
		"of another domain, wizard's stays": {"mail.corp.example", []string{"mail.contoso.com"}, "*.contoso.com",
			"*.contoso.com", "mx.fabrikam.example"},
		"of another domain, and both forests": {"mail.corp.example", []string{"mail.contoso.com"}, "",
			"mail.contoso.com", "mx.contoso.com"},
		"of no domain of the tenant": {"mail.corp.example", nil, "", "mail.corp.example", "mx.fabrikam.example"},
	} {
		t.Run(title, func(t *testing.T) {
			w, f, a := mailWorld(t)
			a.Forests[1].Namespace.SMTP = test.other
			names := append([]string{test.common, a.Forests[0].Namespace.SMTP}, test.names...)
			if test.common == "mail.corp.example" && test.names == nil {
				a.Forests[0].Namespace.SMTP = "mail.corp.example"
				names = []string{test.common}
			}
			f.Forests[0].Transport = purchased(t, test.common, names...)
			f.Forests[1].Transport = purchased(t, test.other, test.other)
			if test.live != "" {
				w.online.objects["InboundConnector"] = []map[string]any{{"Name": "Inbound from " +
					strings.ToLower(contosoOrg), "ConnectorType": "OnPremises", "Enabled": true,
					"TlsSenderCertificateName": test.live}}
			}
			p := makePlan(t, w, f, a)
			w.carryOut(t, p)
			holds(t, "inbound connector", objectNamed(w.online, "InboundConnector", "Inbound from "+
				strings.ToLower(contosoOrg)), map[string]any{"TlsSenderCertificateName": test.want})
		})
	}
}

// A relay to the tenant that is off stays off: switched on, it would take all mail to the internet.
// One that is on carries the mail to the tenant, too.
func TestRelayConnectorThatIsOff(t *testing.T) {
	for _, on := range []bool{false, true} {
		w, f, a := mailWorld(t)
		relay := map[string]any{"Name": "Relay", "AddressSpaces": []string{"smtp:*;10"}, "Enabled": on,
			"CloudServicesMailEnabled": true, "SmartHosts": []string{"contoso-com.mail.protection.outlook.com"}}
		w.contoso.objects["SendConnector"] = []map[string]any{relay}
		w.carryOut(t, makePlan(t, w, f, a))
		if got, want := len(w.contoso.objects["SendConnector"]), map[bool]int{false: 2, true: 1}[on]; got != want {
			t.Errorf("on: %t: %d connectors", on, got)
		}
		holds(t, "relay", objectNamed(w.contoso, "SendConnector", "Relay"), map[string]any{"Enabled": on,
			"AddressSpaces": []string{"smtp:*;10"}})
	}
}

// An address space that others made for the coexistence domain stays.
func TestAddressSpaceOfOthers(t *testing.T) {
	w, f, a := mailWorld(t, answers.FreeBusy)
	other := map[string]any{"Name": "x", "ForestName": "contoso.mail.onmicrosoft.com", "AccessMethod": "OrgWideFB"}
	w.contoso.objects["AvailabilityAddressSpace"] = []map[string]any{other}
	if p := ids(makePlan(t, w, f, a)); strings.Contains(p, "onprem/contoso/AvailabilityAddressSpace/") ||
		!strings.Contains(p, "onprem/fabrikam/AvailabilityAddressSpace/") {
		t.Errorf("planned: %s", p)
	}
}

// Each feature adds its own objects and no others.
func TestMailFeaturesAddTheirObjects(t *testing.T) {
	mail := "customization coexistence-domain mail-flow hybrid-configuration"
	for feature, want := range map[answers.Feature]string{
		answers.SecureMail:           mail,
		answers.CentralizedTransport: mail,
		answers.MoveMailbox:          "customization coexistence-domain relationships hybrid-configuration",
		answers.OWARedirection:       "customization relationships hybrid-configuration",
	} {
		t.Run(string(feature), func(t *testing.T) {
			w, f, a := mailWorld(t)
			f.Tenant.Dehydrated, a.Features = true, []answers.Feature{feature}
			w.online.objects["OrganizationConfig"][0]["IsDehydrated"] = true
			resources, err := resourcesOf(t, f, a, worldwide(t))
			if err != nil {
				t.Fatal(err)
			}
			var topics []string
			for _, r := range resources {
				if !slices.Contains(topics, r.Topic) {
					topics = append(topics, r.Topic)
				}
			}
			wanted := strings.Fields(want)
			slices.Sort(topics)
			slices.Sort(wanted)
			if diff := cmp.Diff(wanted, topics); diff != "" {
				t.Errorf("topics (-want +got):\n%s", diff)
			}
		})
	}
}

// Trust comes before what uses it, and the record is last.
func TestMailFlowOrder(t *testing.T) {
	w, f, a := mailWorld(t, answers.FreeBusy)
	f.Tenant.Dehydrated = true
	w.online.objects["OrganizationConfig"][0]["IsDehydrated"] = true
	p := makePlan(t, w, f, a)
	at := map[string]int{}
	for i, c := range p.Changes {
		at[c.ID] = i + 1
	}
	guid := strings.ToLower(contosoOrg)
	for _, pair := range [][2]string{
		{"online/OrganizationCustomization/tenant", "online/InboundConnector/" + guid},
		{"online/InboundConnector/" + guid, "onprem/contoso/SendConnector/contoso.mail.onmicrosoft.com"},
		{"onprem/contoso/ReceiveConnector/ex2", "online/OutboundConnector/" + guid},
		{"online/OutboundConnector/" + guid, "online/OnPremisesOrganization/" + guid},
		{"online/OrganizationRelationship/" + guid, "online/OnPremisesOrganization/" + guid},
		{"online/OnPremisesOrganization/" + guid, "onprem/contoso/HybridConfiguration/record"},
	} {
		if at[pair[0]] == 0 || at[pair[1]] == 0 || at[pair[0]] > at[pair[1]] {
			t.Errorf("%s (%d) is not before %s (%d)", pair[0], at[pair[0]], pair[1], at[pair[1]])
		}
	}
}

// With Edge servers, mail flows through them alone.
func TestEdgeOrMailboxServers(t *testing.T) {
	w, f, a := mailWorld(t)
	a.Forests[0].Edge = []string{"edge1.contoso.com"}
	f.Forests[0].Edge = []fact.Server{{Name: "EDGE1", FQDN: "edge1.contoso.com", Edge: true}}
	w.contoso.objects["HybridConfiguration"] = []map[string]any{{"Name": "Hybrid Configuration",
		"SendingTransportServers": []string{"EX1"}, "ReceivingTransportServers": []string{"EX1"}}}
	w.carryOut(t, makePlan(t, w, f, a))
	if again := makePlan(t, w, f, a); len(again.Changes) != 0 {
		t.Fatalf("not converged: %s", ids(again))
	}
	holds(t, "record", w.contoso.objects["HybridConfiguration"][0], map[string]any{
		"EdgeTransportServers": []string{"EDGE1"}, "SendingTransportServers": nil, "ReceivingTransportServers": nil})
	holds(t, "send connector", w.contoso.objects["SendConnector"][0], map[string]any{
		"SourceTransportServers": []string{"EDGE1"}})
	for _, c := range w.contoso.objects["ReceiveConnector"] {
		if c["TlsDomainCapabilities"] != nil {
			t.Errorf("%s was changed", c["Name"])
		}
	}
	f.Forests[0].Edge = nil
	if _, err := resourcesOf(t, f, a, worldwide(t)); err == nil ||
		!strings.Contains(err.Error(), "New-EdgeSubscription") {
		t.Errorf("an Edge server that is not subscribed: %v", err)
	}
}

// Each fault is reported with the object and the next step, and mail flow of that forest is left
// out.
func TestMailFlowIsLeftOut(t *testing.T) {
	for name, test := range map[string]struct {
		spoil func(*testing.T, *world, *facts, *answers.Answers)
		want  string
	}{
		"no frontend connector": {func(_ *testing.T, w *world, _ *facts, _ *answers.Answers) {
			objectNamed(w.contoso, "ReceiveConnector", `EX2\Default Frontend EX2`)["Bindings"] = []string{"0.0.0.0:25"}
		}, "server EX2 has no frontend receive connector for port 25"},
		"two send connectors": {func(_ *testing.T, w *world, _ *facts, _ *answers.Answers) {
			for _, name := range []string{"A", "B"} {
				w.contoso.objects["SendConnector"] = append(w.contoso.objects["SendConnector"],
					map[string]any{"Name": name, "AddressSpaces": []string{"contoso.mail.onmicrosoft.com"}})
			}
		}, `the send connectors "A", "B" are for one address space`},
		"certificate of another host": {func(t *testing.T, _ *world, f *facts, _ *answers.Answers) {
			f.Forests[0].Transport = purchased(t, "www.contoso.com")
		}, "does not speak for mail.contoso.com"},
		"certificate without a name": {func(t *testing.T, _ *world, f *facts, _ *answers.Answers) {
			f.Forests[0].Transport = purchased(t, "", "mail.contoso.com")
		}, "has no common name"},
		"no certificate": {func(_ *testing.T, _ *world, f *facts, _ *answers.Answers) {
			f.Forests[0].Transport = nil
		}, "no certificate of an authority that speaks for mail.contoso.com is on all servers"},
		"one name for two forests": {func(t *testing.T, _ *world, f *facts, a *answers.Answers) {
			f.Forests[1].Transport = purchased(t, "mail.contoso.com", "mx.fabrikam.example")
		}, "present certificates of one name"},
		"no mail host": {func(_ *testing.T, _ *world, _ *facts, a *answers.Answers) {
			a.Forests[0].Namespace.SMTP = ""
		}, "namespace.smtp"},
	} {
		t.Run(name, func(t *testing.T) {
			w, f, a := mailWorld(t)
			test.spoil(t, w, &f, &a)
			_, left, err := Resources(t.Context(), f.set(a, worldwide(t)))
			var reasons []string
			for _, l := range left {
				if l.Err != nil {
					reasons = append(reasons, l.Err.Error())
				}
			}
			if err != nil {
				reasons = append(reasons, err.Error())
			}
			if !strings.Contains(strings.Join(reasons, "\n"), test.want) {
				t.Errorf("left out for %q, want %q", reasons, test.want)
			}
		})
	}
}

// A server that DNS does not know was not asked for its certificates: nothing says that it lacks
// one.
func TestCertificateOfServerThatIsGone(t *testing.T) {
	for _, given := range []bool{true, false} {
		_, f, a := mailWorld(t)
		if !given {
			f.Forests[0].Stored, f.Forests[0].Transport = []*x509.Certificate{f.Forests[0].Transport}, nil
		}
		set := f.set(a, worldwide(t))
		auth, err := fact.Auth.In(t.Context(), set.Forests[0])
		if err != nil {
			t.Fatal(err)
		}
		delete(auth.Servers, "EX2")
		_, left, err := Resources(t.Context(), set)
		if err != nil {
			t.Fatal(err)
		}
		i := slices.IndexFunc(left, func(l change.LeftOut) bool { return l.Topic == mailFlow.ID })
		if i < 0 || !errors.Is(left[i].Err, ErrUnknown) || !strings.Contains(left[i].Err.Error(), "servers.gone") {
			t.Errorf("given: %t, left out: %+v", given, left)
		}
	}
}

// The certificate of the answers file is the one; without it, the one that all servers have.
func TestMailCertificateOfTheStores(t *testing.T) {
	w, f, a := mailWorld(t)
	one, other := f.Forests[0].Transport, purchased(t, "mail2.contoso.com", "mail.contoso.com")
	f.Forests[0].Transport, f.Forests[0].Stored = nil, []*x509.Certificate{one}
	w.carryOut(t, makePlan(t, w, f, a))
	if again := makePlan(t, w, f, a); len(again.Changes) != 0 {
		t.Fatalf("not converged: %s", ids(again))
	}
	// A second one that would do changes nothing: the record says which one is in use.
	f.Forests[0].Stored = []*x509.Certificate{other, one}
	if again := makePlan(t, w, f, a); len(again.Changes) != 0 {
		t.Fatalf("another certificate in the stores: %s", ids(again))
	}
	w.contoso.objects["HybridConfiguration"] = nil
	if _, err := resourcesOf(t, f, a, worldwide(t)); err == nil ||
		!strings.Contains(err.Error(), "several certificates") {
		t.Errorf("two certificates: %v", err)
	}
	// One that has ended is none.
	f.Now = now.Add(400 * 24 * time.Hour)
	if _, err := resourcesOf(t, f, a, worldwide(t)); err == nil || !strings.Contains(err.Error(), "no certificate of") {
		t.Errorf("ended certificates: %v", err)
	}
}

// The TLS domain follows from the exchanger of the coexistence domain.
func TestTLSDomain(t *testing.T) {
	w, f, a := mailWorld(t)
	domain := func() any {
		t.Helper()
		resources, err := resourcesOf(t, f, a, worldwide(t))
		if err != nil {
			return err.Error()
		}
		i := slices.IndexFunc(resources, func(r change.Resource) bool { return r.Kind == sendConnector })
		return resources[i].Properties["TlsDomain"]
	}
	_ = w
	for exchanger, want := range map[string]string{
		"contoso-mail.mail.protection.office365.us.": "mail.protection.office365.us",
		"contoso-com.x-v1.mx.microsoft":              "mail.protection.outlook.com", // proves nothing
		"":                                           "mail.protection.outlook.com",
	} {
		f.Tenant.Exchangers = []string{exchanger}
		if got := domain(); got != want {
			t.Errorf("%s: %v, want %s", exchanger, got, want)
		}
	}
	a.ExchangeOnline.Hosts = map[string]string{"tlsDomain": "mail.protection.partner.outlook.cn"}
	if got := domain(); got != "mail.protection.partner.outlook.cn" {
		t.Errorf("overridden: %v", got)
	}
}

// Rollback of a change restores what was there before: aspects and lists are emptied again.
func TestMailFlowUndone(t *testing.T) {
	w, f, a := mailWorld(t, allowances...)
	before := snapshot(w)
	p := makePlan(t, w, f, a)
	w.carryOut(t, p)
	for _, c := range slices.Backward(p.Changes) {
		if !slices.Contains([]string{"mail-flow", "coexistence-domain", "hybrid-configuration", "address-space"},
			topicOfKind(c.Kind)) {
			continue
		}
		kind := kindNamed(c.Kind)
		live, err := w.places[c.Target].Read(t.Context(), kind)
		if err != nil {
			t.Fatal(err)
		}
		i := slices.IndexFunc(live, func(l change.Live) bool { return strings.EqualFold(l.Name, c.Name) })
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
	after := snapshot(w)
	for noun := range after {
		if slices.Contains([]string{"mail-flow", "coexistence-domain", "hybrid-configuration", "address-space"},
			topicOfKind(noun)) {
			if diff := cmp.Diff(before[noun], after[noun]); diff != "" {
				t.Errorf("%s (-before +after):\n%s", noun, diff)
			}
		}
	}
}

func topicOfKind(noun string) string {
	for _, t := range Topics() {
		if slices.ContainsFunc(t.Kinds, func(k *Kind) bool { return k.Noun == noun }) {
			return t.ID
		}
	}
	return ""
}

// snapshot is what is set of the objects of a world, by noun.
func snapshot(w *world) map[string][]map[string]any {
	out := map[string][]map[string]any{}
	for _, o := range []*organization{w.contoso, w.fabrikam, w.online} {
		for noun, list := range o.objects {
			for _, m := range list {
				m = maps.Clone(m)
				maps.DeleteFunc(m, func(_ string, v any) bool { return nothing(v) })
				out[noun] = append(out[noun], m)
			}
		}
	}
	return out
}
