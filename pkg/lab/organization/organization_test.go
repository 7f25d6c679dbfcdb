package organization

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"errors"
	"fmt"
	"math/big"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hybridge-cli/hybridge/pkg/estate/exchange"
)

const (
	tenant = "6a1b2c3d-0000-4000-8000-00000000abcd"
	appID  = "11111111-2222-4333-8444-555555555555"
)

var noon = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

func selfSigned(t *testing.T, name string) []byte {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(7),
		Subject: pkix.Name{CommonName: name,
			Organization: []string{"O"}}, NotBefore: noon.Add(-time.Hour), NotAfter: noon.Add(time.Hour),
		DNSNames: []string{name}}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

const acsURL = "https://accounts.accesscontrol.windows.net/" + tenant + "/metadata/json/1"
const stsURL = "https://login.windows.net/contoso.onmicrosoft.com/federationmetadata/2007-06/federationmetadata.xml"

func fetch(t *testing.T) func(context.Context, string) ([]byte, error) {
	cert := base64.StdEncoding.EncodeToString(selfSigned(t, "signing"))
	return func(_ context.Context, url string) ([]byte, error) {
		switch url {
		case acsURL:
			return fmt.Appendf(nil, `{"realm":%q,"issuer":"00000001-0000-0000-c000-000000000000@%s","keys":[{"usage":"signing","keyvalue":{"type":"x509Certificate","value":%q}}],
				"endpoints":[{"location":"https://accounts.accesscontrol.windows.net/tokens/OAuth/2","protocol":"OAuth2","usage":"issuance"}]}`, tenant, tenant, cert), nil
		case stsURL:
			return fmt.Appendf(nil, `<?xml version="1.0"?><EntityDescriptor xmlns="urn:oasis:names:tc:SAML:2.0:metadata" entityID="https://sts.windows.net/%s/"><RoleDescriptor xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xmlns:fed="http://docs.oasis-open.org/wsfed/federation/200706" xsi:type="fed:SecurityTokenServiceType"><KeyDescriptor use="signing"><KeyInfo xmlns="http://www.w3.org/2000/09/xmldsig#"><X509Data><X509Certificate>%s</X509Certificate></X509Data></KeyInfo></KeyDescriptor><fed:PassiveRequestorEndpoint><EndpointReference xmlns="http://www.w3.org/2005/08/addressing"><Address>https://login.windows.net/x/wsfed</Address></EndpointReference></fed:PassiveRequestorEndpoint></RoleDescriptor></EntityDescriptor>`, tenant, cert), nil
		}
		return nil, errors.New("The remote server returned an error: (404) Not Found.")
	}
}

func onprem(t *testing.T) *Organization {
	t.Helper()
	o := New(Config{Side: exchange.OnPremises, Name: "Contoso", FQDN: "contoso.com", Fetch: fetch(t),
		Clock: func() time.Time { return noon }})
	o.Seed("AcceptedDomain", "Name", "contoso.com", "DomainName", "contoso.com", "Default", true)
	o.Seed("ExchangeServer", "Name", "EX1", "Fqdn", "ex1.contoso.com")
	o.Seed("WebServicesVirtualDirectory", "Server", "EX1", "InternalUrl", "https://EX1.contoso.com/EWS/Exchange.asmx")
	return o
}

func cloud(t *testing.T) *Organization {
	t.Helper()
	return New(Config{Side: exchange.Online, Name: "contoso.onmicrosoft.com", FQDN: "prod.outlook.com", Tenant: tenant,
		Clock: func() time.Time { return noon }})
}

func cmd(name string, pairs ...any) exchange.Command {
	c := exchange.Command{Name: name, Parameters: map[string]any{}}
	for i := 0; i < len(pairs); i += 2 {
		c.Parameters[pairs[i].(string)] = pairs[i+1]
	}
	return c
}

func mustRun(t *testing.T, o *Organization, c exchange.Command) []exchange.Object {
	t.Helper()
	objects, _, err := o.Run(t.Context(), Caller{User: "admin"}, c)
	if err != nil {
		t.Fatalf("%s: %v", c.Name, err)
	}
	return objects
}

func text(t *testing.T, o exchange.Object, name string) string {
	t.Helper()
	s, err := exchange.Optional(o.String(name))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// The declared nouns and the catalogue's cmdlets agree.
func TestNounsAgreeWithCatalogue(t *testing.T) {
	catalogue := exchange.Catalogue()
	for _, n := range nouns() {
		if n.name == "ArbitrationMailbox" {
			continue // what Get-Mailbox -Arbitration shows
		}
		get, ok := catalogue.Find("Get-" + n.name)
		if !ok {
			t.Errorf("%s has no Get cmdlet", n.name)
			continue
		}
		if n.netType == "" || n.class == "" || n.container == "" {
			t.Errorf("%s lacks its type, class or place", n.name)
		}
		for _, u := range n.union {
			if nouns()[strings.ToLower(u)] == nil {
				t.Errorf("%s shows %s, which is no noun", n.name, u)
			}
		}
		for _, a := range n.ask {
			if _, ok := get.Parameter(a); !ok {
				t.Errorf("Get-%s has no -%s", n.name, a)
			}
		}
		var all []exchange.Parameter
		for _, verb := range []string{"New", "Add", "Set", "Update"} {
			if c, ok := catalogue.Find(verb + "-" + n.name); ok {
				all = append(append(all, c.Parameters(exchange.OnPremises)...), c.Parameters(exchange.Online)...)
			}
		}
		has := func(name string) bool {
			return slices.ContainsFunc(all, func(p exchange.Parameter) bool { return strings.EqualFold(p.Name, name) })
		}
		for _, name := range n.ignore {
			if !has(name) {
				t.Errorf("%s ignores -%s, which no cmdlet has", n.name, name)
			}
		}
		for name, property := range n.from {
			if !has(name) {
				t.Errorf("%s takes %s from -%s, which no cmdlet has", n.name, property, name)
			}
			if _, ok := n.property(property, exchange.OnPremises); !ok {
				t.Errorf("%s has no property %s", n.name, property)
			}
		}
		// a declared property and the parameter of its name agree on lists and Booleans
		for _, p := range n.properties {
			for _, parameter := range all {
				if !strings.EqualFold(parameter.Name, p.name) || parameter.Switch() {
					continue
				}
				if parameter.List() != p.list && !strings.HasPrefix(p.kind, "enum:") {
					t.Errorf("%s.%s: a list: %v; its parameter is %s", n.name, p.name, p.list, parameter.Type)
				}
				if (parameter.Type == "Boolean") != (p.kind == "bool") {
					t.Errorf("%s.%s is %s, its parameter %s", n.name, p.name, p.kind, parameter.Type)
				}
			}
		}
	}
	for name := range rules {
		if nouns()[strings.ToLower(name)] == nil {
			t.Errorf("a rule for %s, which is no noun", name)
		}
	}
}

// Every property that real servers print has the same kind here.
func TestPropertiesAsRecorded(t *testing.T) {
	dir, err := filepath.Abs("../../../../shared/fixtures/clixml")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(dir); err != nil {
		t.Skip("needs ../shared/fixtures/clixml beside the checkout")
	}
	for _, name := range []string{"AcceptedDomain", "AuthConfig", "ExchangeServer", "HybridConfiguration",
		"PartnerApplication", "SendConnector", "SettingOverride", "WebServicesVirtualDirectory"} {
		recorded, err := os.ReadFile(filepath.Join(dir, "Get"+name+".xml"))
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range nouns()[strings.ToLower(name)].properties {
			if !strings.Contains(string(recorded), `N="`+p.name+`"`) {
				t.Errorf("%s prints %s, which no server did", name, p.name)
			}
		}
		if !strings.Contains(string(recorded), nouns()[strings.ToLower(name)].netType) {
			t.Errorf("%s is of another type", name)
		}
	}
}

func TestLifeOfAnObject(t *testing.T) {
	o := onprem(t)
	var changes []string
	o.OnChange(func(c Change) { changes = append(changes, c.Verb+" "+c.Noun+" "+c.Record.String("Name")) })
	made := mustRun(t, o, cmd("New-OrganizationRelationship", "Name", "To cloud", "DomainNames",
		[]string{"contoso.mail.onmicrosoft.com"}, "FreeBusyAccessEnabled", true, "FreeBusyAccessLevel",
		"limiteddetails", "TargetApplicationUri", "outlook.com", "TargetOwaURL", "https://Outlook.office.com"))
	if len(made) != 1 || text(t, made[0], "TargetOwaURL") != "https://outlook.office.com/" ||
		text(t, made[0], "FreeBusyAccessLevel") != "LimitedDetails" {
		t.Fatalf("%+v", made)
	}
	guid := text(t, made[0], "Guid")
	mustRun(t, o, cmd("Set-OrganizationRelationship", "Identity", guid, "DomainNames",
		exchange.ListChange{Add: []string{"b.com", "B.COM"},
			Remove: []string{"CONTOSO.mail.onmicrosoft.com", "gone.com"}}))
	mustRun(t, o, cmd("Set-OrganizationRelationship", "Identity", "to CLOUD", "TargetOwaURL", nil, "Name", "Renamed"))
	got := mustRun(t, o, cmd("Get-OrganizationRelationship", "Identity", "Renamed"))
	list, _ := got[0].Strings("DomainNames")
	if d := cmp.Diff([]string{"b.com"}, list); d != "" {
		t.Error(d)
	}
	if !got[0].Null("TargetOwaURL") || text(t, got[0], "Guid") != guid || text(t, got[0], "Identity") != "Renamed" {
		t.Errorf("%v", got[0])
	}
	if want := "CN=Renamed,CN=Federation,CN=Contoso,CN=Microsoft " +
		"Exchange,CN=Services,CN=Configuration,DC=contoso,DC=com"; text(t, got[0], "DistinguishedName") != want {
		t.Errorf("%s", text(t, got[0], "DistinguishedName"))
	}
	_, warnings, err := o.Run(t.Context(), Caller{},
		cmd("Set-OrganizationRelationship", "Identity", "Renamed", "FreeBusyAccessEnabled", true))
	if err != nil || len(warnings) != 1 ||
		!strings.Contains(warnings[0], "no settings of 'Renamed' have been modified") {
		t.Errorf("%q, %v", warnings, err)
	}
	mustRun(t, o, cmd("Remove-OrganizationRelationship", "Identity", "Renamed", "WhatIf", true))
	mustRun(t, o, cmd("Remove-OrganizationRelationship", "Identity", "Renamed", "Confirm", false))
	if left := mustRun(t, o, cmd("Get-OrganizationRelationship")); len(left) != 0 {
		t.Errorf("%v", left)
	}
	want := []string{"New OrganizationRelationship To cloud", "Set OrganizationRelationship To cloud",
		"Set OrganizationRelationship Renamed", "Remove OrganizationRelationship Renamed"}
	if d := cmp.Diff(want, changes); d != "" {
		t.Error(d)
	}
}

func TestRefusals(t *testing.T) {
	o, c := onprem(t), cloud(t)
	mustRun(t, o, cmd("New-IntraOrganizationConnector", "Name", "A", "DiscoveryEndpoint", "https://a/",
		"TargetAddressDomains", []string{"a.com"}))
	mustRun(t, o, cmd("New-SettingOverride", "Name", "A", "Component", "Global", "Section",
		"ExchangeOnpremAsThirdPartyAppId", "Parameters", []string{"Enabled=true"}, "Reason", "x"))
	mustRun(t, o, cmd("Add-AvailabilityAddressSpace", "ForestName", "a.com", "AccessMethod", "InternalProxy",
		"UseServiceAccount", true, "ProxyUrl", "https://a/EWS/Exchange.asmx"))
	tests := []struct {
		name, exception string
		org             *Organization
		cmd             exchange.Command
		text            string
	}{
		{"not found", "ManagementObjectNotFoundException", o, cmd("Get-AuthServer", "Identity", "X"),
			"The operation couldn't be performed because object 'X' couldn't be found on 'dc1.contoso.com'."},
		{"set of nothing", "ManagementObjectNotFoundException", o,
			cmd("Set-AuthServer", "Identity", "X", "Enabled", true), "couldn't be found"},
		{"remove of nothing", "ManagementObjectNotFoundException", o, cmd("Remove-AuthServer", "Identity", "*"),
			"couldn't be found"},
		{"name taken", "ADObjectAlreadyExistsException", o,
			cmd("New-IntraOrganizationConnector", "Name", "a", "DiscoveryEndpoint", "https://a/",
				"TargetAddressDomains", []string{"b.com"}), "already exists"},
		{"domain taken", "DuplicateIntraOrganizationConnectorDomainException", o,
			cmd("New-IntraOrganizationConnector", "Name", "B", "DiscoveryEndpoint", "https://a/",
				"TargetAddressDomains", []string{"b.com", "A.com"}), "'A.com'"},
		{"unknown cmdlet", "CommandNotFoundException", o, cmd("Get-Weather"), "is not recognized"},
		{"of the other side", "CommandNotFoundException", c, cmd("New-AuthServer", "Name", "x"),
			"'New-AuthServer' is not recognized"},
		{"no such parameter", "ParameterBindingException", o, cmd("Set-OrganizationConfig", "EwsAllowedAppIDs", appID),
			"A parameter cannot be found that matches parameter name 'EwsAllowedAppIDs'."},
		{"no Set", "CommandNotFoundException", o, cmd("Set-AvailabilityAddressSpace", "Identity", "a.com"),
			"is not recognized"},
		{"second address space", "ADObjectAlreadyExistsException", o,
			cmd("Add-AvailabilityAddressSpace", "ForestName", "A.COM", "AccessMethod", "InternalProxy",
				"UseServiceAccount", true), "already"},
		{"override's syntax", "SettingOverrideInvalidParameterSyntaxException", o,
			cmd("New-SettingOverride", "Name", "B", "Component", "SettingOverride", "Section", "RouteThroughMSGraph",
				"Parameters", []string{"Enabled"}, "Reason", "x"), "name=value"},
		{"override's component", "SettingOverrideInvalidComponentNameException", o,
			cmd("New-SettingOverride", "Name", "B", "Component", "Nowhere", "Section", "X", "Parameters",
				[]string{"a=b"}, "Reason", "x"), "Nowhere"},
		{"override's parameter", "SettingOverrideInvalidParameterNameException", o,
			cmd("New-SettingOverride", "Name", "B", "Component", "SettingOverride", "Section", "RouteThroughMSGraph",
				"Parameters", []string{"Enable=true"}, "Reason", "x"), "'Enable'"},
		{"override's value", "SettingOverrideInvalidParameterValueException", o,
			cmd("Set-SettingOverride", "Identity", "A", "Parameters", []string{"Enabled=yes"}), "'yes'"},
		{"domain that is none", "ParameterBindingArgumentTransformationException", o,
			cmd("New-OrganizationRelationship", "Name", "B", "DomainNames", []string{"b.com", "anna@b.com"}),
			"parameter 'DomainNames'. Cannot convert value \"anna@b.com\" to type \"SmtpDomain\"."},
		{"domain with a wildcard", "ParameterBindingArgumentTransformationException", o,
			cmd("Set-IntraOrganizationConnector", "Identity", "A", "TargetAddressDomains",
				exchange.ListChange{Add: []string{"*.b.com"}}), "parameter 'TargetAddressDomains'"},
		{"address that is relative", "DataValidationException", o,
			cmd("Set-IntraOrganizationConnector", "Identity", "A", "DiscoveryEndpoint",
				"autodiscover.b.com/autodiscover/autodiscover.svc"), "isn't of kind Absolute"},
		{"no such level", "ParameterBindingArgumentTransformationException", c,
			cmd("New-OrganizationRelationship", "Name", "B", "DomainNames", "b.com", "FreeBusyAccessLevel",
				"FullDetails"), "None, AvailabilityOnly, LimitedDetails"},
		{"no such level of tips", "ParameterBindingArgumentTransformationException", o,
			cmd("New-OrganizationRelationship", "Name", "B", "DomainNames", "b.com", "MailTipsAccessLevel", "Most"),
			"All, Limited, None"},
		{"no such type of domain", "ParameterBindingArgumentTransformationException", o,
			cmd("New-AcceptedDomain", "Name", "B", "DomainName", "b.com", "DomainType", "Relay"), "InternalRelay"},
		{"a removal that asks", "HostException", o, cmd("Remove-IntraOrganizationConnector", "Identity", "A"),
			"does not support user interaction"},
		{"a change that asks", "HostException", o,
			cmd("Set-IntraOrganizationConnector", "Identity", "A", "Enabled", false, "Confirm", true),
			"does not support user interaction"},
		{"an empty identity", "ParameterBindingArgumentTransformationException", o,
			cmd("Get-OrganizationRelationship", "Identity", ""), "can't be empty"},
		{"an empty name", "ParameterBindingArgumentTransformationException", o,
			cmd("New-OrganizationRelationship", "Name", "", "DomainNames", "b.com"), "can't be empty"},
		{"a long name", "DataValidationException", o,
			cmd("New-OrganizationRelationship", "Name", strings.Repeat("x", 65), "DomainNames", "b.com"),
			"maximum length is 64"},
		{"a name with a line break", "DataValidationException", o,
			cmd("New-OrganizationRelationship", "Name", "a\nb", "DomainNames", "b.com"), "control characters"},
		{"a name with outer blanks", "DataValidationException", o,
			cmd("New-OrganizationRelationship", "Name", " a", "DomainNames", "b.com"), "whitespace"},
		{"too many domains", "DataValidationException", o,
			cmd("New-OrganizationRelationship", "Name", "B", "DomainNames", manyDomains(239)), "maximum is 238"},
		{"a preference that is none", "ParameterBindingException", o,
			cmd("Get-OrganizationRelationship", "ErrorAction", "Panic"), "ActionPreference"},
		{"a domain controller that is none", "SuitabilityDirectoryException", o,
			cmd("Get-OrganizationRelationship", "DomainController", "gone.contoso.com"),
			"suitability of server 'gone.contoso.com'"},
		{"no endpoint", "DataValidationException", o,
			cmd("Set-IntraOrganizationConnector", "Identity", "A", "DiscoveryEndpoint", nil), "DiscoveryEndpoint"},
		{"an auth server of nothing", "TaskInvalidOperationException", o, cmd("New-AuthServer", "Name", "X"),
			"AuthMetadataUrl"},
		{"versions the wrong way round", "SettingOverrideMinVersionGreaterThanMaxVersionException", o,
			cmd("Set-SettingOverride", "Identity", "A", "MinVersion", "15.2.2562.17", "MaxVersion", "15.2.1748.10"),
			"greater"},
		{"a type of connector that is none", "ParameterBindingArgumentTransformationException", c,
			cmd("New-InboundConnector", "Name", "in", "SenderDomains", "*", "ConnectorType", "Foo"),
			"OnPremises, Partner"},
		{"default domain", "TaskInvalidOperationException", o, cmd("Remove-AcceptedDomain", "Identity", "contoso.com"),
			"default accepted domain"},
		{"metadata gone", "AuthMetadataClientException", o,
			cmd("New-AuthServer", "Name", "x", "AuthMetadataUrl", "https://nowhere/"),
			"Cannot acquire auth metadata document from 'https://nowhere/'. Error: The remote server returned an " +
				"error: (404)"},
		{"metadata in the clear", "AuthMetadataClientException", o,
			cmd("New-AuthServer", "Name", "x", "AuthMetadataUrl", "http://nowhere/"), "HTTPS"},
		{"metadata of another kind", "AuthMetadataClientException", o,
			cmd("New-AuthServer", "Name", "x", "AuthMetadataUrl", stsURL), "Type"},
		{"list of applications", "DataValidationException", c, cmd("Set-OrganizationConfig", "EwsAllowedAppIDs", "a,b"),
			"'a'"},
		{"connector of nothing", "ManagementObjectNotFoundException", c,
			cmd("New-OnPremisesOrganization", "Name", "x", "OrganizationGuid", appID, "HybridDomains", "a.com",
				"InboundConnector", "in", "OutboundConnector", "out"), "couldn't be found"},
		{"not simulated", "NotImplementedException", o, cmd("Get-Recipient", "Filter", "Name -eq 'x'"),
			"doesn't simulate"},
		{"singleton made twice", "ADObjectAlreadyExistsException", hybrid(t), cmd("New-HybridConfiguration"),
			"already exists"},
		{"singleton that is not there", "ManagementObjectNotFoundException", o,
			cmd("Set-HybridConfiguration", "Features", []string{"FreeBusy"}), "couldn't be found"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			before, err := tt.org.Snapshot()
			if err != nil {
				t.Fatal(err)
			}
			_, _, err = tt.org.Run(t.Context(), Caller{User: "admin"}, tt.cmd)
			var e *exchange.Error
			if !errors.As(err, &e) {
				t.Fatalf("%v", err)
			}
			if !strings.HasSuffix(e.ExceptionType, "."+tt.exception) || !strings.Contains(e.Message, tt.text) ||
				e.FullyQualifiedID == "" || e.Cmdlet == "" {
				t.Errorf("%+v", *e)
			}
			after, err := tt.org.Snapshot()
			if err != nil {
				t.Fatal(err)
			}
			if string(stripMade(before)) != string(stripMade(after)) {
				t.Error("a refused cmdlet changed something")
			}
		})
	}
}

func stripMade(s []byte) []byte {
	_, rest, _ := strings.Cut(string(s), "\n  \"objects\"")
	return []byte(rest)
}

func hybrid(t *testing.T) *Organization {
	o := onprem(t)
	mustRun(t, o, cmd("New-HybridConfiguration"))
	mustRun(t, o, cmd("Set-HybridConfiguration", "Features", []string{"FreeBusy", "Photos"}, "Domains",
		[]string{"contoso.com"}))
	return o
}

func TestAuthServer(t *testing.T) {
	o := onprem(t)
	acs := mustRun(t, o, cmd("New-AuthServer", "Name", "ACS", "AuthMetadataUrl", acsURL, "DomainName",
		[]string{"contoso.com"}))[0]
	sts := mustRun(t, o, cmd("New-AuthServer", "Name", "EvoSts", "Type", "AzureAD", "AuthMetadataUrl", stsURL))[0]
	got := map[string]string{}
	for _, p := range []string{"Type", "Realm", "IssuerIdentifier", "TokenIssuingEndpoint"} {
		got["ACS "+p], got["STS "+p] = text(t, acs, p), text(t, sts, p)
	}
	want := map[string]string{
		"ACS Type": "MicrosoftACS", "ACS Realm": tenant, "ACS IssuerIdentifier": accessControl,
		"ACS TokenIssuingEndpoint": "https://accounts.accesscontrol.windows.net/tokens/OAuth/2",
		"STS Type":                 "AzureAD", "STS Realm": tenant,
		"STS IssuerIdentifier":     "https://sts.windows.net/" + tenant + "/",
		"STS TokenIssuingEndpoint": "https://login.windows.net/" + tenant + "/oauth2/token",
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	if certs, _ := sts.Strings("CertificateStrings"); len(certs) != 1 {
		t.Errorf("%d certificates", len(certs))
	}
	mustRun(t, o, cmd("Set-AuthServer", "Identity", "EvoSts", "ApplicationIdentifier", appID, "DomainName",
		[]string{"contoso.com"}))
	mustRun(t, o, cmd("Set-AuthServer", "Identity", "EvoSts", "GraphBaseUrl", "https://graph.microsoft.com"))
	r := o.Object("AuthServer", "evosts")
	if r.String("ApplicationIdentifier") != appID || r.String("GraphBaseUrl") != "https://graph.microsoft.com" {
		t.Errorf("%v", r.values)
	}
	mustRun(t, o, cmd("Set-AuthServer", "Identity", "EvoSts", "ApplicationIdentifier", nil, "DomainName", nil))
	if r.Get("ApplicationIdentifier") != nil || len(r.Strings("DomainName")) != 0 {
		t.Errorf("%v", r.values)
	}
	mustRun(t, o, cmd("Set-AuthServer", "Identity", "EvoSts", "RefreshAuthMetadata", true))
}

func FuzzMetadata(f *testing.F) {
	f.Add([]byte(`{"realm":"r","issuer":"i@r","keys":[{"keyvalue":{"type":"x509Certificate","value":"AA=="}}]}`))
	f.Add([]byte(`<EntityDescriptor entityID="https://sts/x/"><RoleDescriptor type="a:SecurityTokenServiceType"/></EntityDescriptor>`))
	f.Fuzz(func(t *testing.T, text []byte) {
		if m, err := parseMetadata(text); err == nil && (m.issuer == "" || len(m.certificates) == 0) {
			t.Fatalf("%q gives %+v", text, m)
		}
	})
}

func TestOrganizationConfig(t *testing.T) {
	o := cloud(t)
	mustRun(t, o, cmd("Set-OrganizationConfig", "EwsEnabled", true, "EwsAllowedAppIDs",
		appID+", "+strings.ToUpper(tenant)+","+appID))
	plain := mustRun(t, o, cmd("Get-OrganizationConfig"))[0]
	if plain.Has("EwsAllowedAppIDs") {
		t.Error("the list is shown unasked")
	}
	asked := mustRun(t, o, cmd("Get-OrganizationConfig", "RetrieveEwsOperationAccessPolicy", true))[0]
	if got := text(t, asked, "EwsAllowedAppIDs"); got != appID+","+tenant {
		t.Errorf("%q", got)
	}
	mustRun(t, o, cmd("Set-OrganizationConfig", "EwsEnabled", nil))
	if !mustRun(t, o, cmd("Get-OrganizationConfig"))[0].Null("EwsEnabled") {
		t.Error("EwsEnabled is not null")
	}
}

func TestCertificates(t *testing.T) {
	o := onprem(t)
	o.Seed("ExchangeCertificate", "Server", "EX1", "RawData", selfSigned(t, "mail.contoso.com"), "Services",
		"IIS, SMTP")
	o.Seed("ExchangeCertificate", "Server", "EX2", "RawData", selfSigned(t, "mail.contoso.com"))
	got := mustRun(t, o, cmd("Get-ExchangeCertificate", "Server", "ex1"))
	if len(got) != 1 {
		t.Fatalf("%d certificates", len(got))
	}
	thumbprint := text(t, got[0], "Thumbprint")
	if len(thumbprint) != 40 || text(t, got[0], "Subject") != "CN=mail.contoso.com, O=O" ||
		text(t, got[0], "Identity") != `EX1\`+thumbprint {
		t.Errorf("%s %s %s", thumbprint, text(t, got[0], "Subject"), text(t, got[0], "Identity"))
	}
	if got := mustRun(t, o, cmd("Get-ExchangeCertificate", "Thumbprint", thumbprint)); len(got) != 1 {
		t.Errorf("%d certificates", len(got))
	}
	mustRun(t, o, cmd("Set-AuthConfig", "NewCertificateThumbprint", thumbprint, "NewCertificateEffectiveDate",
		"2026-11-23", "Force", true))
	mustRun(t, o, cmd("Set-AuthConfig", "PublishCertificate", true))
	config := mustRun(t, o, cmd("Get-AuthConfig"))[0]
	if text(t, config, "CurrentCertificateThumbprint") != thumbprint ||
		text(t, config, "NextCertificateThumbprint") != "" || config.Has("PublishCertificate") {
		t.Errorf("%+v", config)
	}
}

func TestRights(t *testing.T) {
	o := onprem(t)
	o.Deny("Set-AuthServer")
	o.Deny("New-AuthServer", "DomainName")
	for _, tt := range []struct {
		caller Caller
		cmd    exchange.Command
		id     string
	}{
		{Caller{}, cmd("Set-AuthServer", "Identity", "x"), "CommandNotFoundException"},
		{Caller{}, cmd("New-AuthServer", "Name", "x", "domainname", "a.com"), "NamedParameterNotFound,New-AuthServer"},
		{Caller{ReadOnly: true}, cmd("Remove-AuthServer", "Identity", "x"), "CommandNotFoundException"},
		{Caller{Cmdlets: []string{"Get-AuthConfig"}}, cmd("Get-AuthServer"), "CommandNotFoundException"},
	} {
		_, _, err := o.Run(t.Context(), tt.caller, tt.cmd)
		var e *exchange.Error
		if !errors.As(err, &e) || e.FullyQualifiedID != tt.id || strings.Contains(e.Message, "0'") {
			t.Errorf("%s: %v", tt.cmd.Name, err)
		}
	}
	o.Allow("Set-AuthServer")
	if got := o.Cmdlets(Caller{ReadOnly: true}); slices.Contains(got, "Set-AuthServer") ||
		!slices.Contains(got, "Get-AuthServer") {
		t.Errorf("%v", got)
	}
	if _, _, err := o.Run(t.Context(), Caller{}, cmd("Set-AuthServer", "Identity", "x")); !errors.Is(err,
		exchange.ErrNotFound) {
		t.Errorf("%v", err)
	}
	if o.Runs("set-authserver") != 2 {
		t.Errorf("%d runs", o.Runs("Set-AuthServer"))
	}
}

func TestRecipients(t *testing.T) {
	o := onprem(t)
	o.Seed("Mailbox", "Name", "Anna", "Alias", "anna", "PrimarySmtpAddress", "anna@contoso.com", "EmailAddresses",
		[]string{"SMTP:anna@contoso.com", "smtp:a@contoso.com"})
	o.Seed("RemoteMailbox", "Name", "Bob", "PrimarySmtpAddress", "bob@contoso.com", "RemoteRoutingAddress",
		"bob@contoso.mail.onmicrosoft.com")
	if got := mustRun(t, o, cmd("Get-Recipient")); len(got) != 2 {
		t.Errorf("%v", got)
	}
	if got := mustRun(t, o, cmd("Get-Recipient", "ResultSize", "1")); len(got) != 1 {
		t.Errorf("%v", got)
	}
	if got := mustRun(t, o, cmd("Get-Mailbox", "Identity", "A@contoso.com")); len(got) != 1 {
		t.Errorf("%v", got)
	}
	got := mustRun(t, o, cmd("Get-Recipient", "RecipientTypeDetails", "RemoteUserMailbox", "ResultSize", "Unlimited"))
	if len(got) != 1 || text(t, got[0], "RemoteRoutingAddress") != "SMTP:bob@contoso.mail.onmicrosoft.com" {
		t.Errorf("%v", got)
	}
}

func TestSnapshotRestores(t *testing.T) {
	o := hybrid(t)
	o.Seed("ExchangeCertificate", "Server", "EX1", "RawData", selfSigned(t, "x"))
	mustRun(t, o, cmd("New-AuthServer", "Name", "ACS", "AuthMetadataUrl", acsURL))
	mustRun(t, o, cmd("Set-OrganizationConfig", "MapiHttpEnabled", false))
	before, err := o.Snapshot()
	if err != nil {
		t.Fatal(err)
	}
	shown := mustRun(t, o, cmd("Get-HybridConfiguration"))[0]
	mustRun(t, o, cmd("Remove-AuthServer", "Identity", "ACS", "Confirm", false))
	mustRun(t, o, cmd("Set-HybridConfiguration", "Features", nil))
	if err := o.Restore(before); err != nil {
		t.Fatal(err)
	}
	after, err := o.Snapshot()
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(string(before), string(after)); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff(shown, mustRun(t, o, cmd("Get-HybridConfiguration"))[0],
		cmp.AllowUnexported(exchange.Object{})); d != "" {
		t.Error(d)
	}
	for _, bad := range []string{"", "{", `{"objects":{"Nothing":[{}]}}`,
		`{"objects":{"AuthServer":[{"Enabled":"x"}]}}`} {
		if err := o.Restore([]byte(bad)); err == nil {
			t.Errorf("%q is restored", bad)
		}
	}
}

func TestMatches(t *testing.T) {
	for _, tt := range []struct {
		pattern, s string
		want       bool
	}{{"a", "A", true}, {"a*", "abc", true}, {"*c", "abc", true}, {"a*c", "abc", true}, {"a*b*c", "axbyc", true},
		{"a*b", "ac", false}, {"*", "", true}, {"ab*ba", "aba", false}, {"", "a", false}} {
		if got := matches(tt.pattern, tt.s); got != tt.want {
			t.Errorf("%q ~ %q: %v", tt.pattern, tt.s, got)
		}
	}
}

// A value in a list is not added again, whatever its case and whether or not the noun declares the
// property.
func TestAddMakesNoDoubles(t *testing.T) {
	r := &Record{noun: &noun{}, values: map[string]any{"names": []string{"a", "b"}}}
	got, err := changed(property{}, r, "Names",
		exchange.ListChange{Add: []string{"B", "c"}, Remove: []string{"A", "x"}})
	if diff := cmp.Diff([]string{"b", "c"}, got); diff != "" || err != nil {
		t.Error(diff, err)
	}
}

func manyDomains(n int) []string {
	list := make([]string, n)
	for i := range list {
		list[i] = fmt.Sprintf("d%d.example", i)
	}
	return list
}

// Cmdlets that show recipients stop at 1,000 and say so.
func TestRecipientsStopAtAThousand(t *testing.T) {
	o := onprem(t)
	for i := range 1001 {
		o.Seed("Mailbox", "Name", fmt.Sprintf("m%d", i), "PrimarySmtpAddress", fmt.Sprintf("m%d@contoso.com", i))
	}
	for want, c := range map[int]exchange.Command{
		1000: cmd("Get-Mailbox"), 1001: cmd("Get-Mailbox", "ResultSize", "Unlimited"),
		7: cmd("Get-Mailbox", "ResultSize", "7"),
	} {
		found, warnings, err := o.Run(t.Context(), Caller{}, c)
		if err != nil || len(found) != want || (len(warnings) == 1) != (want < 1001) {
			t.Errorf("%d: %d objects, %q, %v", want, len(found), warnings, err)
		}
	}
}
