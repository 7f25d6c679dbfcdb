package directory_test

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/hybridge-cli/hybridge/pkg/estate/directory"
	lab "github.com/hybridge-cli/hybridge/pkg/lab/directory"
)

const organizationGUID = "6f2c1d7e-9a4b-4c3d-8e5f-0a1b2c3d4e5f"

func organization() *lab.Organization {
	return &lab.Organization{
		Name: "Contoso", GUID: organizationGUID,
		Servers: []lab.ExchangeServer{{FQDN: "ex1.contoso.example", Major: 15, Minor: 2, Build: 2562, Revision: 17,
			TLSCertificate:  []byte{0x30, 0x03, 0x02, 0x01, 0x01},
			ExternalURL:     "https://mail.contoso.example",
			AutodiscoverURL: "https://autodiscover.contoso.example/Autodiscover/Autodiscover.xml", MRSProxy: true}},
		AcceptedDomains: []lab.AcceptedDomain{{Domain: "contoso.example", Default: true},
			{Domain: "contoso.mail.onmicrosoft.com", Type: 2}},
		Relationships: []lab.Relationship{{Name: "On-premises to O365",
			Domains: []string{"contoso.mail.onmicrosoft.com"}, Enabled: true,
			Actions:         []string{"MSExchange.SharingCalendarFreeBusyEnabled"},
			ApplicationURI:  "outlook.com",
			AutodiscoverURL: "https://autodiscover-s.outlook.com/autodiscover/autodiscover.svc/WSSecurity"}},
		Connectors: []lab.Connector{{Name: "HybridIOC - 1", Domains: []string{"b.example", "a.example"},
			DiscoveryEndpoint: "https://autodiscover-s.outlook.com/autodiscover/autodiscover.svc", Enabled: true}},
		AddressSpaces: []lab.AddressSpace{{Forest: "fabrikam.example", AccessMethod: "OrgWideFB",
			User: "FABRIKAM\\svc", AutodiscoverURL: "https://autodiscover.fabrikam.example/autodiscover/autodiscover.xml"}},
		AuthThumbprints: []string{"0102030405060708090a0b0c0d0e0f1011121314"},
		AuthServers: []lab.AuthServer{{Name: "EvoSts", Realm: "9c2b", ApplicationIdentifier: "app",
			Type: "AzureAD", Enabled: true, DefaultAuthorization: true, Domains: []string{"contoso.example"}}},
		PartnerApplications: []lab.PartnerApplication{{Name: "Exchange Online",
			ApplicationIdentifier: "00000002-0000-0ff1-ce00-000000000000", Enabled: true, UseAuthServer: true}},
		Hybrid: &lab.Hybrid{Domains: []string{"contoso.example"},
			TLSCertificateName: "<I>CN=CA<S>CN=mail.contoso.example", Features: 1 | 64, ServiceInstance: 0},
		AddressTemplates: []string{"SMTP:%m@contoso.example", "smtp:%m@contoso.mail.onmicrosoft.com"},
		SendConnectors: []lab.SendConnector{{Name: "Outbound to Office 365",
			AddressSpaces: []string{"SMTP:contoso.mail.onmicrosoft.com;1"}}},
	}
}

func TestExchange(t *testing.T) {
	e := start(t, func(c *lab.Config) { c.Exchange = organization })
	got, err := open(t, e.config(t)).Exchange(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	o := func(name string) directory.Object { return directory.Object{Name: name} }
	vdir := func(name, kind, internal, external string) directory.VirtualDirectory {
		v := directory.VirtualDirectory{Object: o(name + " (Default Web Site)"), Kind: kind, Server: "EX1",
			InternalURL: internal, ExternalURL: external}
		v.MRSProxy = kind == "EWS"
		return v
	}
	powershell := vdir("PowerShell", "PowerShell", "http://ex1.contoso.example/powershell", "")
	powershell.InternalAuth = 1 // Basic
	want := &directory.Exchange{
		Organization: directory.Organization{Object: o("Contoso"), ProductID: "15.02.2562.017", ObjectVersion: 16763},
		Servers: []directory.Server{{Object: o("EX1"), FQDN: "ex1.contoso.example",
			Version:      directory.Version{Major: 15, Minor: 2, Build: 2562, Revision: 17},
			SerialNumber: "Version 15.2 (Build 32562.17)", Roles: 16439, Site: "Default-First-Site-Name",
			InternalTLSCertificate: []byte{0x30, 0x03, 0x02, 0x01, 0x01}}},
		AcceptedDomains: []directory.AcceptedDomain{{Object: o("contoso.example"), Domain: "contoso.example",
			Default: true},
			{Object: o("contoso.mail.onmicrosoft.com"), Domain: "contoso.mail.onmicrosoft.com",
				Type: directory.InternalRelay}},
		RemoteDomains: []directory.RemoteDomain{{Object: o("Default"), Domain: "*"}},
		AddressPolicies: []directory.AddressPolicy{{Object: o("Default Policy"),
			Templates: []string{"SMTP:%m@contoso.example", "smtp:%m@contoso.mail.onmicrosoft.com"}}},
		Relationships: []directory.OrganizationRelationship{{Object: o("On-premises to O365"),
			Domains: []string{"contoso.mail.onmicrosoft.com"}, Enabled: true,
			Actions: []string{"MSExchange.SharingCalendarFreeBusyEnabled"}, ApplicationURI: "outlook.com",
			AutodiscoverURL: "https://autodiscover-s.outlook.com/autodiscover/autodiscover.svc/WSSecurity"}},
		Connectors: []directory.IntraOrganizationConnector{{Object: o("HybridIOC - 1"),
			Domains:           []string{"a.example", "b.example"},
			DiscoveryEndpoint: "https://autodiscover-s.outlook.com/autodiscover/autodiscover.svc", Enabled: true}},
		AddressSpaces: []directory.AvailabilityAddressSpace{{Object: o("fabrikam.example"), Forest: "fabrikam.example",
			AccessMethod: "OrgWideFB", User: "FABRIKAM\\svc",
			AutodiscoverURL: "https://autodiscover.fabrikam.example/autodiscover/autodiscover.xml"}},
		Auth: &directory.AuthConfig{Object: o("Auth Configuration"),
			Thumbprints: []string{"0102030405060708090A0B0C0D0E0F1011121314"},
			IssuerName:  "00000002-0000-0ff1-ce00-000000000000"},
		AuthServers: []directory.AuthServer{{Object: o("EvoSts"), Realm: "9c2b", ApplicationIdentifier: "app",
			Type: "AzureAD", Enabled: true, DefaultAuthorization: true,
			Domains: []string{"contoso.example"}}},
		PartnerApplications: []directory.PartnerApplication{{Object: o("Exchange Online"),
			ApplicationIdentifier: "00000002-0000-0ff1-ce00-000000000000", Enabled: true, UseAuthServer: true}},
		Hybrid: &directory.HybridConfiguration{Object: o("Hybrid Configuration"), Domains: []string{"contoso.example"},
			TLSCertificateName: "<I>CN=CA<S>CN=mail.contoso.example",
			Features:           directory.HybridFreeBusy | directory.HybridSecureMail},
		VirtualDirectories: []directory.VirtualDirectory{
			vdir("Autodiscover", "Autodiscover", "", ""),
			vdir("ecp", "ECP", "https://ex1.contoso.example/ecp", "https://mail.contoso.example/ecp"),
			vdir("EWS", "EWS", "https://ex1.contoso.example/EWS/Exchange.asmx",
				"https://mail.contoso.example/EWS/Exchange.asmx"),
			vdir("mapi", "MAPI", "https://ex1.contoso.example/mapi", "https://mail.contoso.example/mapi"),
			vdir("Microsoft-Server-ActiveSync", "ActiveSync", "https://ex1.contoso.example/Microsoft-Server-ActiveSync",
				"https://mail.contoso.example/Microsoft-Server-ActiveSync"),
			vdir("OAB", "OAB", "https://ex1.contoso.example/OAB", "https://mail.contoso.example/OAB"),
			vdir("owa", "OWA", "https://ex1.contoso.example/owa", "https://mail.contoso.example/owa"),
			powershell,
		},
		SendConnectors: []directory.SendConnector{{Object: o("Outbound to Office 365"),
			AddressSpaces: []string{"SMTP:contoso.mail.onmicrosoft.com;1"}}},
		ServicePoints: []directory.ServiceConnectionPoint{{Object: o("EX1"),
			URL:   "https://autodiscover.contoso.example/Autodiscover/Autodiscover.xml",
			Sites: []string{"Default-First-Site-Name"}}},
	}
	if diff := cmp.Diff(want, got, cmpopts.IgnoreFields(directory.Object{}, "DN", "GUID")); diff != "" {
		t.Error(diff)
	}
	if got.Organization.GUID.String() != organizationGUID {
		t.Errorf("organization GUID %s", got.Organization.GUID)
	}
	if r := got.Servers[0].Roles; r&directory.RoleMailbox == 0 || r&directory.RoleEdge != 0 {
		t.Errorf("roles %s", r)
	}
}

// Absent, empty and hidden attributes differ.
func TestExchangeAbsentEmptyHidden(t *testing.T) {
	var org *lab.Organization
	var more []lab.Entry
	e := start(t, func(c *lab.Config) {
		c.Exchange = func() *lab.Organization { return org }
		c.Entries = func() []lab.Entry { return more }
	})
	f := open(t, e.config(t))
	if _, err := f.Exchange(t.Context()); !errors.Is(err, directory.ErrNoExchange) {
		t.Errorf("absent: %v", err)
	}
	org = &lab.Organization{Name: "Contoso"}
	x, err := f.Exchange(t.Context())
	if err != nil || len(x.Servers)+len(x.AcceptedDomains) > 0 || x.Hybrid != nil {
		t.Errorf("empty: %+v, %v", x, err)
	}
	more = []lab.Entry{lab.NewEntry("CN=EX9,CN=Servers,CN=Exchange Administrative Group "+
		"(FYDIBOHF23SPDLT),CN=Administrative Groups,CN=Contoso,CN=Microsoft "+
		"Exchange,CN=Services,CN=Configuration,DC=contoso,DC=example",
		"objectClass", "msExchExchangeServer")}
	x, err = f.Exchange(t.Context())
	if err != nil || len(x.Servers) != 1 || !cmp.Equal(x.Servers[0].Hidden, []string{"serialNumber"}) {
		t.Errorf("hidden: %+v, %v", x, err)
	}
}

func TestRankServicePoints(t *testing.T) {
	points := []directory.ServiceConnectionPoint{
		{URL: "https://far", Sites: []string{"B"}}, {URL: "https://any"}, {URL: "LDAP://other", Pointer: true},
		{URL: "https://near", Sites: []string{"a"}},
	}
	if diff := cmp.Diff([]string{"https://near", "https://any", "https://far"},
		directory.RankServicePoints(points, "A")); diff != "" {
		t.Error(diff)
	}
}
