package prereq

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"errors"
	"fmt"
	"math/big"
	"net"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hybridge-cli/hybridge/pkg/config/answers"
	"github.com/hybridge-cli/hybridge/pkg/config/cloud"
	"github.com/hybridge-cli/hybridge/pkg/engine/change"
	"github.com/hybridge-cli/hybridge/pkg/engine/check"
	"github.com/hybridge-cli/hybridge/pkg/engine/msg"
	"github.com/hybridge-cli/hybridge/pkg/estate/certificate"
	"github.com/hybridge-cli/hybridge/pkg/estate/directory"
	"github.com/hybridge-cli/hybridge/pkg/estate/entra"
	"github.com/hybridge-cli/hybridge/pkg/estate/exchange"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/desired"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/fact"
	"github.com/hybridge-cli/hybridge/pkg/wire/dns"
	"github.com/hybridge-cli/hybridge/pkg/wire/ews"
	"github.com/hybridge-cli/hybridge/pkg/wire/link"
	"github.com/hybridge-cli/hybridge/pkg/wire/oauth"
	"github.com/hybridge-cli/hybridge/pkg/wire/smtp"
)

var today = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

// authority issues the certificates of a test.
type authority struct {
	key  *ecdsa.PrivateKey
	cert *x509.Certificate
	pool *x509.CertPool
}

func newAuthority(t *testing.T) *authority { return authorityNamed(t, "Test Root") }

func authorityNamed(t *testing.T, name string) *authority {
	t.Helper()
	a := &authority{key: newKey(t), pool: x509.NewCertPool()}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name},
		NotBefore: today.AddDate(-5, 0, 0), NotAfter: today.AddDate(5, 0, 0), IsCA: true, BasicConstraintsValid: true}
	a.cert = sign(t, template, template, a.key, a.key)
	a.pool.AddCert(a.cert)
	return a
}

// below returns an intermediate authority that the root signs.
func (a *authority) below(t *testing.T, name string) *authority {
	t.Helper()
	b := &authority{key: newKey(t), pool: a.pool}
	template := &x509.Certificate{SerialNumber: big.NewInt(3), Subject: pkix.Name{CommonName: name},
		NotBefore: today.AddDate(-1, 0, 0), NotAfter: today.AddDate(1, 0, 0), IsCA: true, BasicConstraintsValid: true}
	b.cert = sign(t, template, a.cert, b.key, a.key)
	return b
}

func newKey(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func sign(t *testing.T, template, parent *x509.Certificate, key, parentKey *ecdsa.PrivateKey) *x509.Certificate {
	t.Helper()
	der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, parentKey)
	if err != nil {
		t.Fatal(err)
	}
	c, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

type leaf struct {
	cn         string
	names      []string
	from, to   time.Time
	selfSigned bool
	usage      []x509.ExtKeyUsage
}

func (a *authority) issue(t *testing.T, l leaf) certificate.Bundle {
	t.Helper()
	key := newKey(t)
	if l.from.IsZero() {
		l.from = today.AddDate(0, 0, -200)
	}
	if l.to.IsZero() {
		l.to = today.AddDate(0, 0, 180)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: l.cn}, DNSNames: l.names,
		NotBefore: l.from, NotAfter: l.to, ExtKeyUsage: l.usage}
	if l.selfSigned {
		return certificate.Bundle{Leaf: sign(t, template, template, key, key)}
	}
	return certificate.Bundle{Leaf: sign(t, template, a.cert, key, a.key)}
}

// healthy returns a deployment of two forests in which every check passes.
func healthy(t *testing.T) (*fact.Set, *authority) {
	t.Helper()
	ca := newAuthority(t)
	c, ok := cloud.Get("worldwide")
	if !ok {
		t.Fatal("no cloud worldwide")
	}
	a := answers.Answers{ExchangeOnline: &answers.ExchangeOnline{Cloud: "worldwide", Tenant: "contoso.onmicrosoft.com",
		RichCoexistence: "graph"}}
	for _, name := range []string{"contoso", "fabrikam"} {
		domain := name + ".com"
		a.Forests = append(a.Forests, answers.Forest{
			Name: name, Domains: []string{domain},
			Namespace: answers.Namespace{Autodiscover: "autodiscover." + domain, EWS: "mail." + domain,
				SMTP: "mail." + domain},
			Exchange: answers.Exchange{Server: "ex1." + domain},
		})
	}
	f := fact.New(a, c)
	f.Now, f.Roots, f.Cmdlets = func() time.Time { return today }, ca.pool, Cmdlets()
	fact.Duplicates.Seed(f.Organization, nil, nil)
	desired.Comparison.Seed(f.Organization, change.Plan{}, nil)
	seedNames(t, f, ca)
	fact.Aliases.SeedAll(f.Network, func(string) ([]string, error) { return nil, nil })
	exchange := func(string) (ews.Front, error) {
		return ews.Front{Status: 401, Exchange: true, Schemes: []string{"Negotiate", "NTLM"}}, nil
	}
	fact.AutodiscoverHosts.SeedAll(f.Network, exchange)
	fact.EWSHosts.SeedAll(f.Network, exchange)
	fact.DeadAddresses.SeedAll(f.Network, func(string) (fact.DeadOf, error) { return fact.DeadOf{}, nil })

	on := true
	synced := today.AddDate(2, 0, 0) // some tests set the clock forward
	fact.Tenant.Seed(f.Tenant, entra.Organization{ID: "11111111-2222-3333-4444-555555555555", DisplayName: "Contoso",
		OnPremisesSyncEnabled: &on, OnPremisesLastSyncDateTime: &synced}, nil)
	fact.CloudManagedByDefault.Seed(f.Tenant, nil, nil)
	fact.Permissions.Seed(f.Tenant,
		fact.Grant{Permissions: []string{"Application.ReadWrite.All", "AppRoleAssignment.ReadWrite.All",
			"Directory.Read.All"}}, nil)
	fact.Principal.SeedAll(f.Tenant,
		func(string) (entra.ServicePrincipal, error) { return entra.ServicePrincipal{}, nil })
	fact.DomainProofs.SeedAll(f.Tenant, func(string) ([]entra.DomainRecord, error) {
		return []entra.DomainRecord{{RecordType: "Txt", Text: "MS=ms123"}}, nil
	})
	fact.OnlineConfig.Seed(f.Tenant,
		fact.OnlineOrganization{EwsEnabled: &on, EwsAllowedAppIDs: []string{"other"}, ListKnown: true}, nil)
	fact.OnlineRelationships.Seed(f.Tenant, nil, nil)
	fact.OnlineConnectors.Seed(f.Tenant, nil, nil)
	fact.InboundConnectors.Seed(f.Tenant, nil, nil)
	fact.MigrationEndpoints.Seed(f.Tenant, nil, nil)
	fact.EndpointTest.SeedAll(f.Tenant, func(string) (fact.EndpointAnswer, error) {
		return fact.EndpointAnswer{OK: true}, nil
	})
	fact.OnlineRights.Seed(f.Tenant, all(fact.Online), nil)
	online := []fact.AcceptedDomain{{Name: "contoso.mail.onmicrosoft.com", Type: "Authoritative", Coexistence: true}}
	var domains []entra.Domain
	for _, forest := range f.Forests {
		name, domain := forest.Name(), forest.Answers.Domains[0]
		online = append(online, fact.AcceptedDomain{Name: domain, Type: "Authoritative"})
		domains = append(domains, entra.Domain{ID: domain, IsVerified: true})
		transport := ca.issue(t, leaf{cn: "mail." + domain,
			names: []string{"mail." + domain, "autodiscover." + domain, "ex1." + domain}})
		auth := ca.issue(t, leaf{cn: "Microsoft Exchange fact.Server Auth Certificate", selfSigned: true,
			to: today.AddDate(2, 0, 0)}).Leaf
		fact.DedicatedApplication.Seed(forest, fact.Dedicated{Name: "app"}, nil)
		fact.RootDSE.Seed(forest, directory.RootDSE{DNSHostName: "dc1." + domain, Synchronized: "TRUE"}, nil)
		fact.Users.Seed(forest, fact.UserScan{Users: 3, SignIn: 3, Mailboxes: 3, Addressed: 3, Named: 3}, nil)
		fact.Organization.Seed(forest, fact.OnPremisesOrganization{Name: name, GUID: name + "-guid"}, nil)
		fact.FederationTrusts.Seed(forest, nil, nil)
		fact.AddressPolicies.Seed(forest, nil, nil)
		fact.Servers.Seed(forest, []fact.Server{{Name: "EX1", Version: "Version 15.2 (Build 2562.53)", Mailbox: true}},
			nil)
		fact.AcceptedDomains.Seed(forest,
			[]fact.AcceptedDomain{{Name: domain, Type: "Authoritative"},
				{Name: "contoso.mail.onmicrosoft.com", Type: "Authoritative"}}, nil)
		fact.Auth.Seed(forest, fact.AuthConfig{Current: certificate.Thumbprint(auth),
			Servers: map[string][]*x509.Certificate{"EX1": {auth}}}, nil)
		fact.OnPremisesRights.Seed(forest, all(fact.OnPremises), nil)
		fact.CertificateFile.Seed(forest, transport, nil)
		fact.SendConnectors.Seed(forest, []fact.SendConnector{{Name: "Internet", AddressSpaces: []string{"smtp:*;1"}},
			{Name: "Cloud", AddressSpaces: []string{"smtp:Contoso.mail.onmicrosoft.com;1"}}}, nil)
		fact.ReceiveConnectors.Seed(forest, []fact.ReceiveConnector{frontend("EX1"), frontend("EX2")}, nil)
		fact.HybridConfigurations.Seed(forest, fact.HybridConfiguration{Exists: true, Sending: []string{"EX1"}}, nil)
		fact.MailServers.Seed(f.Network, "mail."+domain, served(transport), nil)
		fact.SettingOverrides.Seed(forest,
			[]fact.SettingOverride{{Name: "EnableExchangeHybrid3PAppFeature",
				Section: "ExchangeOnpremAsThirdPartyAppId"}}, nil)
		fact.VirtualDirectories.Seed(forest, []fact.VirtualDirectory{
			{Noun: fact.EWSDirectory, Identity: `EX1\EWS (Default Web Site)`, OAuth: true,
				ExternalURL: "https://Mail." + domain + "/EWS/Exchange.asmx"},
			{Noun: fact.AutodiscoverDirectory, Identity: `EX1\fact.Autodiscover (Default Web Site)`, OAuth: true},
		}, nil)
	}
	sameMailPolicy(f)
	fact.OnlineAcceptedDomains.Seed(f.Tenant, online, nil)
	fact.TenantDomains.Seed(f.Tenant, domains, nil)
	kept(f)
	return f, ca
}

// all returns all rights that hybridge queries in a system, except those named.
func all(system fact.System, without ...string) fact.Rights {
	asked := Cmdlets()[system]
	return fact.NewRights(asked, slices.DeleteFunc(slices.Clone(asked),
		func(c string) bool { return slices.Contains(without, c) }))
}

// alter changes what a side answers.
func alter[T any](t *testing.T, q *fact.Query[T], s *fact.Side, f func(v *T)) {
	t.Helper()
	v, err := q.In(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	f(&v)
	q.Seed(s, v, nil)
}

// outcome returns the results that are not a pass: "ID scope status".
func outcome(t *testing.T, f *fact.Set) (out []string, report check.Report) {
	t.Helper()
	report, err := Run(t.Context(), f, check.Options{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	sides := map[check.ID]exchange.Side{}
	for _, c := range Checks() {
		sides[c.ID] = sideOf(c.Scope)
	}
	for _, r := range report.Results {
		if len(r.MissingRights) > 0 {
			out = append(out, fmt.Sprintf("%s %s %s: %s", r.Status, r.ID, r.Scope, msg.Join(r.MissingRights, ", ")))
		}
		if r.Status != check.StatusPass && r.Status != check.StatusSkip {
			out = append(out, fmt.Sprintf("%s %s %s", r.Status, r.ID, r.Scope))
		}
		if (r.Status == check.StatusFail || r.Status == check.StatusWarn) &&
			(r.Detail.IsZero() || r.Remedy.Text.IsZero() || r.Remedy.Docs == "") {
			t.Errorf("%s: a finding says why it matters, what to do and where to read", r.ID)
		}
		for _, text := range append([]string{r.Summary.String(), r.Detail.String(), r.Remedy.Text.String()},
			r.Remedy.Commands...) {
			if wrong := wrongCommands(text, sides[r.ID]); len(wrong) > 0 {
				t.Errorf("%s: %q names what does not exist: %s", r.ID, text, strings.Join(wrong, ", "))
			}
		}
		if strings.HasSuffix(r.Summary.String(), ".") {
			t.Errorf("%s: %q ends in a full stop", r.ID, r.Summary)
		}
	}
	slices.Sort(out)
	return out, report
}

func TestHealthy(t *testing.T) {
	f, _ := healthy(t)
	got, report := outcome(t, f)
	if len(got) > 0 {
		t.Errorf("findings in a healthy deployment: %v", got)
	}
	for _, r := range report.Results {
		// There is no Edge server, and the answers name no rule to copy.
		if r.Status == check.StatusSkip && !slices.Contains([]check.ID{"transport.edge-subscription",
			"transport.edge-server", "hybrid.transport-rule", "hybrid.journal-rule"}, r.ID) {
			t.Errorf("skipped: %s %s", r.ID, r.Scope)
		}
	}
}

// Each fault fails the check that covers it, and no other check.
func TestDisorders(t *testing.T) {
	graphless := func(f *fact.Set) { f.Answers.ExchangeOnline.RichCoexistence = "ews" }
	config := func(c fact.OnlineOrganization) func(*testing.T, *fact.Set, *authority) {
		return func(_ *testing.T, f *fact.Set, _ *authority) {
			graphless(f)
			fact.OnlineConfig.Seed(f.Tenant, c, nil)
		}
	}
	on, off := true, false
	organization := func(change func(*fact.OnPremisesOrganization)) func(*testing.T, *fact.Set, *authority) {
		return func(t *testing.T, f *fact.Set, _ *authority) { alter(t, fact.Organization, f.Forests[0], change) }
	}
	overridden := func(o fact.SettingOverride) func(*testing.T, *fact.Set, *authority) {
		return func(t *testing.T, f *fact.Set, _ *authority) {
			alter(t, fact.SettingOverrides, f.Forests[0],
				func(have *[]fact.SettingOverride) { *have = append(*have, o) })
		}
	}
	hidingProxies := hidden("proxyAddresses", append(ruleIDs("proxyAddresses"), "directory.mail-matches-primary",
		"directory.one-primary", "directory.unique-addresses", "directory.unique-sign-in",
		"directory.upn-matches-primary")...)
	tests := []struct {
		name    string
		disturb func(t *testing.T, f *fact.Set, ca *authority)
		want    []string
	}{
		{"write cmdlet not allowed on-premises", func(_ *testing.T, f *fact.Set, _ *authority) {
			fact.OnPremisesRights.Seed(f.Forests[0], all(fact.OnPremises, "Set-AuthServer"), nil)
		}, []string{"warn access.onprem-write contoso"}},
		{"read cmdlet not allowed on-premises", func(_ *testing.T, f *fact.Set, _ *authority) {
			fact.OnPremisesRights.Seed(f.Forests[0], all(fact.OnPremises, "Get-AuthConfig"), nil)
		}, skipped(fact.OnPremises, "Get-AuthConfig", "warn access.onprem-read contoso")},
		{"read cmdlet not allowed online", func(_ *testing.T, f *fact.Set, _ *authority) {
			fact.OnlineRights.Seed(f.Tenant, all(fact.Online, "Get-AcceptedDomain"), nil)
		}, skipped(fact.Online, "Get-AcceptedDomain", "warn access.online-read tenant")},
		{"cmdlet names differ in case", func(_ *testing.T, f *fact.Set, _ *authority) {
			asked := Cmdlets()[fact.OnPremises]
			var lower []string
			for _, c := range asked {
				lower = append(lower, strings.ToLower(c))
			}
			fact.OnPremisesRights.Seed(f.Forests[0], fact.NewRights(asked, lower), nil)
		}, nil},
		{"rights that were not asked for", func(_ *testing.T, f *fact.Set, _ *authority) {
			fact.OnPremisesRights.Seed(f.Forests[0], fact.Rights{}, nil)
		}, nil},
		{"removing not allowed", func(_ *testing.T, f *fact.Set, _ *authority) {
			fact.OnlineRights.Seed(f.Tenant, all(fact.Online, "Remove-OrganizationRelationship"), nil)
		}, []string{"warn access.online-write tenant"}},
		{"permission to write missing", func(_ *testing.T, f *fact.Set, _ *authority) {
			fact.Permissions.Seed(f.Tenant, fact.Grant{Permissions: []string{"Application.ReadWrite.OwnedBy",
				"AppRoleAssignment.ReadWrite.All", "Directory.Read.All"}}, nil)
		}, []string{"warn access.entra-write tenant"}},
		{"permission to read domains missing", func(_ *testing.T, f *fact.Set, _ *authority) {
			fact.Permissions.Seed(f.Tenant, fact.Grant{Permissions: []string{"Application.ReadWrite.All",
				"AppRoleAssignment.ReadWrite.All", "Organization.Read.All"}}, nil)
		}, skipped(fact.Entra, "Domain.Read.All", "warn access.entra-read tenant")},
		{"a person's own rights", func(_ *testing.T, f *fact.Set, _ *authority) {
			fact.Permissions.Seed(f.Tenant,
				fact.Grant{Permissions: []string{"Directory.AccessAsUser.All"}, Delegated: true}, nil)
		}, nil},
		{"permissions not told", func(_ *testing.T, f *fact.Set,
			_ *authority) {
			fact.Permissions.Seed(f.Tenant, fact.Grant{}, nil)
		}, nil},
		{"nothing but reading", func(_ *testing.T, f *fact.Set, _ *authority) {
			viewOnly(f)
		}, []string{"warn access.entra-write tenant", "warn access.online-write tenant",
			"warn access.onprem-write contoso", "warn access.onprem-write fabrikam"}},
		{"no Exchange Online", func(_ *testing.T, f *fact.Set, _ *authority) { withoutTenant(f) }, nil},

		{"UPN mismatch", func(_ *testing.T, f *fact.Set, _ *authority) {
			fact.Users.Seed(f.Forests[1], fact.UserScan{Users: 10_000, SignIn: 10_000, Mailboxes: 10_000,
				Addressed: 10_000, Named: 10_000, MismatchCount: 203,
				Mismatches: []fact.Mismatch{{DN: "CN=r", UPN: "r.neri@fabrikam.com",
					Primary: "ricarda.neri@fabrikam.com"}}}, nil)
		}, []string{"fail directory.upn-matches-primary fabrikam"}},
		{"no primary", func(_ *testing.T, f *fact.Set, _ *authority) {
			fact.Users.Seed(f.Forests[0], fact.UserScan{Users: 5, Mailboxes: 5, Addressed: 4, PrimaryCount: 1,
				Primaries: []fact.Primaries{{DN: "CN=x"}}}, nil)
		}, []string{"fail directory.one-primary contoso"}},
		{"no user shown", func(_ *testing.T, f *fact.Set, _ *authority) {
			fact.Users.Seed(f.Forests[0], fact.UserScan{}, nil)
		}, hidden("objectCategory", append(ruleIDs(""), "directory.one-primary", "directory.unique-addresses",
			"directory.unique-sign-in", "directory.upn-matches-primary")...)},
		{"no address shown", func(_ *testing.T, f *fact.Set, _ *authority) {
			fact.Users.Seed(f.Forests[0], fact.UserScan{Users: 2608, Mailboxes: 2608, PrimaryCount: 2608, Named: 2608,
				Primaries: []fact.Primaries{{DN: "CN=x"}}}, nil)
		}, hidingProxies},
		{"no user principal name shown", func(_ *testing.T, f *fact.Set, _ *authority) {
			fact.Users.Seed(f.Forests[0], fact.UserScan{Users: 5, SignIn: 5, Mailboxes: 5, Addressed: 5,
				MismatchCount: 5, Mismatches: []fact.Mismatch{{DN: "CN=x"}}}, nil)
		}, hidden("userPrincipalName", append(ruleIDs("userPrincipalName"), "directory.upn-matches-primary")...)},
		{"addresses of one part hidden", func(_ *testing.T, f *fact.Set, _ *authority) {
			fact.Users.Seed(f.Forests[0], fact.UserScan{Users: 5, SignIn: 4, Mailboxes: 4, Addressed: 4, Named: 5,
				Hidden: []string{"CN=x"}, HiddenCount: 1}, nil)
		}, hidingProxies},
		{"first replication under way", func(_ *testing.T, f *fact.Set, _ *authority) {
			fact.RootDSE.Seed(f.Forests[0], directory.RootDSE{DNSHostName: "dc1", Synchronized: "FALSE"}, nil)
		}, []string{"error directory.reachable contoso"}},
		{"no Active Directory", func(_ *testing.T, f *fact.Set, _ *authority) {
			fact.RootDSE.Seed(f.Forests[0], directory.RootDSE{DNSHostName: "dc1"}, nil)
		}, []string{"warn directory.reachable contoso"}},
		{"duplicate address", func(_ *testing.T, f *fact.Set, _ *authority) {
			fact.Duplicates.Seed(f.Organization,
				[]fact.Duplicate{{Address: "a@contoso.com",
					Owners: []fact.Owner{{Forest: "contoso", DN: "CN=a"}, {Forest: "fabrikam", DN: "CN=b"}}}}, nil)
		}, []string{"fail directory.unique-addresses organization"}},

		{"domain not accepted on-premises", func(_ *testing.T, f *fact.Set, _ *authority) {
			f.Forests[0].Answers.Domains = append(f.Forests[0].Answers.Domains, "extra.com")
			fact.TenantDomains.Seed(f.Tenant,
				[]entra.Domain{{ID: "contoso.com", IsVerified: true}, {ID: "extra.com", IsVerified: true},
					{ID: "fabrikam.com", IsVerified: true}}, nil)
		}, []string{"fail domains.accepted contoso"}},
		{"domain not accepted online", func(_ *testing.T, f *fact.Set, _ *authority) {
			fact.OnlineAcceptedDomains.Seed(f.Tenant,
				[]fact.AcceptedDomain{{Name: "contoso.com"},
					{Name: "contoso.mail.onmicrosoft.com", Coexistence: true}}, nil)
		}, []string{"fail domains.accepted fabrikam"}},
		{"not authoritative", func(_ *testing.T, f *fact.Set, _ *authority) {
			fact.AcceptedDomains.Seed(f.Forests[1],
				[]fact.AcceptedDomain{{Name: "fabrikam.com", Type: "InternalRelay"}}, nil)
		}, []string{"fail domains.authoritative organization", "fail domains.relay-route fabrikam"}},
		{"relayed to the tenant, which is authoritative", func(t *testing.T, f *fact.Set, _ *authority) {
			fact.AcceptedDomains.Seed(f.Forests[1],
				[]fact.AcceptedDomain{{Name: "fabrikam.com", Type: "InternalRelay"}}, nil)
			alter(t, fact.SendConnectors, f.Forests[1], func(c *[]fact.SendConnector) {
				*c = append(*c, fact.SendConnector{Name: "Unknown people", Enabled: true, CloudHeader: true,
					AddressSpaces: []string{"smtp:Fabrikam.com;1"}})
			})
		}, nil},
		{"relayed to another system", func(t *testing.T, f *fact.Set, _ *authority) {
			fact.AcceptedDomains.Seed(f.Forests[1],
				[]fact.AcceptedDomain{{Name: "fabrikam.com", Type: "InternalRelay"}}, nil)
			alter(t, fact.SendConnectors, f.Forests[1], func(c *[]fact.SendConnector) {
				*c = append(*c, fact.SendConnector{Name: "Other", Enabled: true,
					AddressSpaces: []string{"smtp:fabrikam.com;1"}, SmartHosts: []string{"mx.other.example"}})
			})
		}, []string{"fail domains.authoritative organization"}},
		{"shared and authoritative", func(_ *testing.T, f *fact.Set, _ *authority) {
			fact.AcceptedDomains.Seed(f.Forests[1],
				[]fact.AcceptedDomain{{Name: "fabrikam.com", Type: "Authoritative"},
					{Name: "Contoso.com", Type: "Authoritative"}}, nil)
		}, []string{"fail domains.authoritative organization"}},
		{"relayed to the other forest", func(_ *testing.T, f *fact.Set, _ *authority) {
			fact.AcceptedDomains.Seed(f.Forests[1],
				[]fact.AcceptedDomain{{Name: "fabrikam.com", Type: "Authoritative"},
					{Name: "Contoso.com", Type: "InternalRelay"}}, nil)
		}, []string{"fail domains.relay-route fabrikam"}},
		{"shared as relay in both", func(_ *testing.T, f *fact.Set, _ *authority) {
			for _, forest := range f.Forests {
				fact.AcceptedDomains.Seed(forest,
					[]fact.AcceptedDomain{{Name: forest.Answers.Domains[0], Type: "Authoritative"},
						{Name: "shared.com", Type: "InternalRelay"}}, nil)
			}
		}, nil},
		{"accepted with its subdomains", func(_ *testing.T, f *fact.Set, _ *authority) {
			f.Forests[0].Answers.Domains = []string{"mail.contoso.com"}
			fact.AcceptedDomains.Seed(f.Forests[0],
				[]fact.AcceptedDomain{{Name: "contoso.com", Type: "Authoritative", SubDomains: true}}, nil)
			fact.OnlineAcceptedDomains.Seed(f.Tenant,
				[]fact.AcceptedDomain{{Name: "mail.contoso.com"}, {Name: "fabrikam.com"},
					{Name: "contoso.mail.onmicrosoft.com", Coexistence: true}}, nil)
			fact.TenantDomains.Seed(f.Tenant,
				[]entra.Domain{{ID: "mail.contoso.com", IsVerified: true}, {ID: "fabrikam.com", IsVerified: true}}, nil)
		}, nil},
		{"accepted without its subdomains", func(_ *testing.T, f *fact.Set, _ *authority) {
			f.Forests[0].Answers.Domains = []string{"contoso.com", "mail.contoso.com"}
			fact.OnlineAcceptedDomains.Seed(f.Tenant,
				[]fact.AcceptedDomain{{Name: "contoso.com"}, {Name: "mail.contoso.com"}, {Name: "fabrikam.com"},
					{Name: "contoso.mail.onmicrosoft.com", Coexistence: true}}, nil)
			fact.TenantDomains.Seed(f.Tenant,
				[]entra.Domain{{ID: "contoso.com", IsVerified: true}, {ID: "mail.contoso.com", IsVerified: true},
					{ID: "fabrikam.com", IsVerified: true}}, nil)
		}, []string{"fail domains.accepted contoso"}},
		{"subdomain of another forest's domain", func(_ *testing.T, f *fact.Set, _ *authority) {
			fact.AcceptedDomains.Seed(f.Forests[0],
				[]fact.AcceptedDomain{{Name: "contoso.com", Type: "Authoritative", SubDomains: true}}, nil)
			fact.AcceptedDomains.Seed(f.Forests[1],
				[]fact.AcceptedDomain{{Name: "fabrikam.com", Type: "Authoritative"},
					{Name: "sales.contoso.com", Type: "InternalRelay"}}, nil)
		}, []string{"warn domains.subdomains contoso"}},
		{"domain not verified", func(_ *testing.T, f *fact.Set, _ *authority) {
			fact.TenantDomains.Seed(f.Tenant,
				[]entra.Domain{{ID: "contoso.com"}, {ID: "fabrikam.com", IsVerified: true}}, nil)
		}, []string{"fail domains.verified contoso"}},
		{"domain not in the tenant", func(_ *testing.T, f *fact.Set, _ *authority) {
			fact.TenantDomains.Seed(f.Tenant, []entra.Domain{{ID: "contoso.com", IsVerified: true}}, nil)
		}, []string{"fail domains.verified fabrikam"}},
		{"no coexistence domain", func(_ *testing.T, f *fact.Set, _ *authority) {
			fact.OnlineAcceptedDomains.Seed(f.Tenant,
				[]fact.AcceptedDomain{{Name: "contoso.com"}, {Name: "fabrikam.com"}}, nil)
			for _, forest := range f.Forests {
				fact.AcceptedDomains.Seed(forest,
					[]fact.AcceptedDomain{{Name: forest.Answers.Domains[0], Type: "Authoritative"}}, nil)
			}
		}, []string{"fail domains.coexistence tenant"}},

		{"autodiscover: nobody", autodiscovered(ews.Front{}, fmt.Errorf("dial: %w", syscall.ECONNREFUSED)),
			[]string{"fail autodiscover.answers contoso"}},
		{"autodiscover: no such name", autodiscovered(ews.Front{}, &net.DNSError{IsNotFound: true}),
			[]string{"fail autodiscover.answers contoso"}},
		{"autodiscover: time ran out",
			autodiscovered(ews.Front{}, fmt.Errorf("dial: %w: %w", link.ErrUnreachable, context.DeadlineExceeded)),
			[]string{"error autodiscover.answers contoso"}},
		{"autodiscover: untrusted", autodiscovered(ews.Front{},
			fmt.Errorf("autodiscover.contoso.com: %w", link.ErrUntrusted)),
			[]string{"fail autodiscover.answers contoso"}},
		{"autodiscover: 404", autodiscovered(ews.Front{Status: 404}, nil),
			[]string{"fail autodiscover.answers contoso"}},
		{"autodiscover: open", autodiscovered(ews.Front{Status: 200}, nil),
			[]string{"fail autodiscover.answers contoso"}},
		{"autodiscover: pre-authentication", autodiscovered(ews.Front{Status: 401}, nil),
			[]string{"fail autodiscover.answers contoso"}},
		{"autodiscover: to the cloud",
			autodiscovered(ews.Front{Status: 302, Location: "https://autodiscover-s.outlook.com/x"}, nil),
			[]string{"fail autodiscover.answers contoso"}},
		{"autodiscover: elsewhere", redirected("https://other.contoso.com/autodiscover/autodiscover.xml"),
			[]string{"warn autodiscover.answers contoso"}},
		{"autodiscover: another service",
			autodiscovered(ews.Front{URL: "https://autodiscover.contoso.com/autodiscover/autodiscover.xml", Status: 302,
				Location: "https://other.contoso.com/x"}, nil), []string{"fail autodiscover.answers contoso"}},
		{"autodiscover: AD FS", redirected("https://sts.contoso.com/adfs/ls/"),
			[]string{"fail autodiscover.answers contoso"}},
		{"autodiscover: one of two addresses is dead", func(_ *testing.T, f *fact.Set, _ *authority) {
			dead := fact.DeadOf{All: 2, Dead: []link.Dead{{Address: "192.0.2.9", Err: link.ErrUnreachable}}}
			fact.DeadAddresses.Seed(f.Network, "autodiscover.contoso.com:443", dead, nil)
		}, []string{"warn autodiscover.answers contoso"}},
		{"autodiscover: Basic alone", autodiscovered(ews.Front{Status: 401, Schemes: []string{"Basic"}}, nil),
			[]string{"fail autodiscover.answers contoso"}},
		{"autodiscover: the proxy is dead",
			autodiscovered(ews.Front{}, &link.ProxyError{Proxy: "proxy:8080",
				Err: fmt.Errorf("dial: %w: %w", link.ErrUnreachable, syscall.ECONNREFUSED)}),
			[]string{"error autodiscover.answers contoso"}},
		{"autodiscover: the proxy shows a certificate of its own",
			autodiscovered(ews.Front{}, &link.ProxyError{Proxy: "proxy:8080", Err: link.ErrUntrusted}),
			[]string{"error autodiscover.answers contoso"}},
		{"autodiscover: alias to the cloud", func(_ *testing.T, f *fact.Set, _ *authority) {
			fact.Aliases.SeedAll(f.Network, func(string) ([]string, error) { return nil, dns.ErrEmpty })
			fact.Aliases.Seed(f.Network, "autodiscover.contoso.com", []string{"autodiscover.outlook.com"}, nil)
		}, []string{"fail autodiscover.answers contoso"}},

		{"transport: ended", transport(leaf{to: today.AddDate(0, 0, -1)}),
			[]string{"fail certificates.transport contoso"}},
		{"transport: not yet", transport(leaf{from: today.AddDate(0, 0, 1)}),
			[]string{"fail certificates.transport contoso"}},
		{"transport: ends soon", transport(leaf{to: today.AddDate(0, 0, 40)}),
			[]string{"warn certificates.transport contoso"}},
		{"transport: ends in less than 30 days", transport(leaf{to: today.AddDate(0, 0, 29)}),
			[]string{"fail certificates.transport contoso"}},
		{"transport: self-signed", transport(leaf{selfSigned: true}), []string{"fail certificates.transport contoso"}},
		{"transport: name missing", transport(leaf{names: []string{"mail.contoso.com"}}),
			[]string{"fail certificates.transport contoso"}},
		{"transport: wildcard", transport(leaf{names: []string{"*.contoso.com"}}), nil},
		{"transport: servers only", transport(leaf{usage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}}),
			[]string{"warn certificates.transport contoso"}},
		{"transport: untrusted", func(t *testing.T, f *fact.Set, _ *authority) {
			transport(leaf{})(t, f, newAuthority(t))
		}, []string{"fail certificates.transport contoso"}},
		{"transport: alike", transport(leaf{cn: "mail.fabrikam.com"}),
			[]string{"fail certificates.transport-distinct organization"}},
		{"transport: alike, but of another issuer", func(t *testing.T, f *fact.Set, _ *authority) {
			other := authorityNamed(t, "Other Root")
			f.Roots = f.Roots.Clone()
			f.Roots.AddCert(other.cert)
			transport(leaf{cn: "mail.fabrikam.com"})(t, f, other)
		}, []string{"warn certificates.transport-distinct organization"}},
		{"transport: the file cannot be opened", func(_ *testing.T, f *fact.Set, _ *authority) {
			fact.CertificateFile.Seed(f.Forests[0], certificate.Bundle{}, certificate.ErrPassword)
		}, []string{"error certificates.transport contoso"}},
		{"transport: served, where no file is named", func(_ *testing.T, f *fact.Set, _ *authority) {
			fact.CertificateFile.Seed(f.Forests[0], certificate.Bundle{},
				fmt.Errorf("contoso: %w", fact.ErrNotConfigured))
			mailFails(smtp.Connect, link.ErrUnreachable)(t, f, nil)
		}, []string{"error certificates.transport contoso"}},
		{"transport: the file is in order, what is served is not", func(t *testing.T, f *fact.Set, ca *authority) {
			old := ca.issue(t, leaf{cn: "mail.contoso.com", names: []string{"mail.contoso.com"},
				to: today.AddDate(0, 0, -3)})
			fact.MailServers.Seed(f.Network, "mail.contoso.com", served(old), nil)
		}, []string{"fail certificates.transport contoso"}},
		{"transport: no STARTTLS, with a file", func(_ *testing.T, f *fact.Set, _ *authority) {
			fact.MailServers.Seed(f.Network, "mail.contoso.com",
				fact.MailServer{Report: smtp.Report{Banner: "mail.contoso.com"}}, nil)
		}, []string{"fail certificates.transport contoso"}},
		{"transport: no STARTTLS, without a file", func(_ *testing.T, f *fact.Set, _ *authority) {
			fact.CertificateFile.Seed(f.Forests[0], certificate.Bundle{},
				fmt.Errorf("contoso: %w", fact.ErrNotConfigured))
			fact.MailServers.Seed(f.Network, "mail.contoso.com",
				fact.MailServer{Report: smtp.Report{Banner: "mail.contoso.com"}}, nil)
		}, []string{"fail certificates.transport contoso"}},
		{"transport: STARTTLS is refused, with a file",
			mailFails(smtp.StartTLS, &smtp.ReplyError{Command: "STARTTLS", Code: 454, Text: "TLS not available"}),
			[]string{"fail certificates.transport contoso"}},
		{"transport: no SMTP, with a file",
			mailFails(smtp.Greeting, fmt.Errorf("%w: a web server answers", smtp.ErrProtocol)),
			[]string{"fail certificates.transport contoso"}},
		{"transport: silent, with a file", mailFails(smtp.Greeting, os.ErrDeadlineExceeded),
			[]string{"warn certificates.transport contoso"}},
		{"transport: refused here, with a file", mailFails(smtp.Greeting, &smtp.ReplyError{Code: 554, Text: "go away"}),
			nil},
		{"transport: port closed, with a file", mailFails(smtp.Connect, syscall.ECONNREFUSED), nil},
		{"transport: silent, without a file", func(t *testing.T, f *fact.Set, ca *authority) {
			mailFails(smtp.Greeting, os.ErrDeadlineExceeded)(t, f, ca)
			fact.CertificateFile.Seed(f.Forests[0], certificate.Bundle{},
				fmt.Errorf("contoso: %w", fact.ErrNotConfigured))
		}, []string{"error certificates.transport contoso"}},
		{"transport: TLS 1.0, with a file", func(_ *testing.T, f *fact.Set, _ *authority) {
			file, _ := fact.CertificateFile.In(context.Background(), f.Forests[0])
			m := served(file)
			m.TLS.Version = tls.VersionTLS10
			fact.MailServers.Seed(f.Network, "mail.contoso.com", m, nil)
		}, []string{"fail certificates.transport contoso"}},
		{"transport: the file is in order, the server sends no intermediate",
			func(t *testing.T, f *fact.Set, ca *authority) {
				between := ca.below(t, "Issuing CA")
				leaf := between.issue(t, leaf{cn: "mail.contoso.com",
					names: []string{"mail.contoso.com", "autodiscover.contoso.com"}})
				fact.CertificateFile.Seed(f.Forests[0],
					certificate.Bundle{Leaf: leaf.Leaf, Chain: []*x509.Certificate{between.cert}}, nil)
				fact.MailServers.Seed(f.Network, "mail.contoso.com", served(certificate.Bundle{Leaf: leaf.Leaf}), nil)
			}, []string{"fail certificates.transport contoso"}},
		{"transport: remote PowerShell is served with the one that ended",
			func(t *testing.T, f *fact.Set, ca *authority) {
				transport(leaf{to: today.AddDate(0, 0, -1)})(t, f, ca)
				fact.OnPremisesRights.Seed(f.Forests[0], fact.Rights{},
					fmt.Errorf("contoso: %w", &link.HostError{Host: "EX1.contoso.com", Err: link.ErrUntrusted}))
			}, []string{"fail certificates.transport contoso"}},
		{"transport: autodiscover answers with the one that ended", func(t *testing.T, f *fact.Set, ca *authority) {
			transport(leaf{to: today.AddDate(0, 0, -1)})(t, f, ca)
			autodiscovered(ews.Front{}, &link.HostError{Host: "autodiscover.contoso.com", Err: link.ErrUntrusted})(t, f,
				ca)
		}, []string{"fail certificates.transport contoso"}},
		{"transport: another host is not trusted, whose error only mentions the server",
			func(t *testing.T, f *fact.Set, ca *authority) {
				transport(leaf{to: today.AddDate(0, 0, -1)})(t, f, ca)
				fact.OnPremisesRights.Seed(f.Forests[0], fact.Rights{},
					&link.HostError{Host: "proxy.contoso.com",
						Err: fmt.Errorf("connect to ex1.contoso.com: %w", link.ErrUntrusted)})
			}, []string{"error access.onprem-read contoso", "fail certificates.transport contoso"}},

		{"auth: none", authChanged(func(a *fact.AuthConfig, _ *x509.Certificate) { a.Current = "" }),
			[]string{"fail certificates.auth contoso"}},
		{"auth: on no server", authChanged(func(a *fact.AuthConfig, _ *x509.Certificate) { a.Servers["EX1"] = nil }),
			[]string{"fail certificates.auth contoso"}},
		{"auth: missing on one", authChanged(func(a *fact.AuthConfig, _ *x509.Certificate) { a.Servers["EX2"] = nil }),
			[]string{"fail certificates.auth contoso"}},
		{"auth: ends in 20 days", authEnds(20, 0), []string{"fail certificates.auth contoso"}},
		{"auth: ends in 40 days", authEnds(40, 0), []string{"warn certificates.auth contoso"}},
		{"auth: ends in 30 days", authEnds(30, 0), []string{"warn certificates.auth contoso"}},
		{"auth: ends in 60 days", authEnds(60, 0), nil},
		{"auth: ended", authEnds(-1, 0), []string{"fail certificates.auth contoso"}},
		{"auth: ends in 20 days, next staged", authEnds(20, 1000), nil},
		{"auth: ends in 20 days, next has 120", authEnds(20, 120), []string{"fail certificates.auth contoso"}},
		{"auth: ends in 20 days, next has 121", authEnds(20, 121), nil},
		{"auth: ends in 20 days, next ends soon too", authEnds(20, 100), []string{"fail certificates.auth contoso"}},
		{"auth: next nowhere", authChanged(func(a *fact.AuthConfig,
			_ *x509.Certificate) {
			a.Next = strings.Repeat("AB", 20)
		}), []string{"warn certificates.auth contoso"}},

		{"server too old", build("Version 15.2 (Build 1258.12)"),
			[]string{"fail servers.build contoso", "fail transport.enforcement contoso"}},
		{"server too old, EWS route", func(t *testing.T, f *fact.Set, ca *authority) {
			build("Version 15.2 (Build 1258.12)")(t, f, ca)
			graphless(f)
		}, []string{"fail servers.build contoso", "fail transport.enforcement contoso",
			"warn tenant.ews-switch tenant"}},
		{"hotfix not told", build("Version 15.2 (Build 2562.17)"), []string{"warn servers.build contoso",
			"warn servers.updates contoso"}},
		{"version without support", func(t *testing.T, f *fact.Set, ca *authority) {
			build("Version 15.2 (Build 1748.39)")(t, f, ca)
			graphless(f)
		}, []string{"warn servers.build contoso", "warn servers.mitigation-files contoso",
			"warn servers.updates contoso", "warn tenant.ews-switch tenant", "warn transport.enforcement contoso"}},
		{"an old server without mailboxes", func(t *testing.T, f *fact.Set, _ *authority) {
			alter(t, fact.Servers, f.Forests[0], func(s *[]fact.Server) {
				*s = append(*s, fact.Server{Name: "UM1", Version: "Version 14.3 (Build 123.4)"})
			})
		}, nil},
		{"no servers", func(_ *testing.T, f *fact.Set, _ *authority) {
			graphless(f)
			fact.Servers.Seed(f.Forests[0], []fact.Server{{Name: "EDGE", Version: "?", Edge: true}}, nil)
		}, []string{"fail servers.build contoso", "warn tenant.ews-switch tenant"}},
		{"version not readable", build("eleven"),
			[]string{"error oauth.overrides contoso", "error servers.build contoso",
				"error transport.enforcement contoso"}},

		{"EWS off", config(fact.OnlineOrganization{EwsEnabled: &off}), []string{"fail tenant.ews-switch tenant"}},
		{"EWS not set", config(fact.OnlineOrganization{}), []string{"warn tenant.ews-switch tenant"}},
		{"EWS on, empty list", config(fact.OnlineOrganization{EwsEnabled: &on, ListKnown: true}),
			[]string{"fail tenant.ews-switch tenant"}},
		{"EWS on, empty list, before October 2026", func(t *testing.T, f *fact.Set, ca *authority) {
			config(fact.OnlineOrganization{EwsEnabled: &on, ListKnown: true})(t, f, ca)
			f.Now = func() time.Time { return cloud.EWSRestricted.Add(-time.Second) }
		}, []string{"warn tenant.ews-switch tenant"}},
		{"keys at the shared application", func(_ *testing.T, f *fact.Set, _ *authority) {
			fact.Principal.Seed(f.Tenant, oauth.AppExchangeOnline,
				entra.ServicePrincipal{KeyCredentials: make([]entra.KeyCredential, 2)}, nil)
		}, []string{"warn tenant.shared-keys tenant"}},

		{"a policy for EWS online without lookups",
			config(fact.OnlineOrganization{EwsEnabled: &on, ListKnown: true, EwsAllowedAppIDs: []string{"other"},
				EwsPolicy: fact.EwsPolicy{Mode: "EnforceAllowList", Allow: []string{"OWA/*"}}}),
			[]string{"warn tenant.ews-switch tenant"}},
		{"EWS off on-premises", organization(func(o *fact.OnPremisesOrganization) { o.EwsEnabled = &off }),
			[]string{"fail oauth.virtual-directories contoso"}},
		{"EWS on on-premises", organization(func(o *fact.OnPremisesOrganization) { o.EwsEnabled = &on }), nil},
		{"a list of programs without lookups", organization(func(o *fact.OnPremisesOrganization) {
			o.EwsPolicy = fact.EwsPolicy{Mode: "EnforceAllowList", Block: []string{"ASProxy/*"}}
		}), []string{"warn oauth.virtual-directories contoso"}},
		{"a list of programs with lookups", organization(func(o *fact.OnPremisesOrganization) {
			o.EwsPolicy = fact.EwsPolicy{Mode: "EnforceAllowList", Allow: []string{"OWA/*", "asproxy/*"}}
		}), nil},
		{"a list of programs with lookups as the logs show them", organization(func(o *fact.OnPremisesOrganization) {
			o.EwsPolicy = fact.EwsPolicy{Mode: "EnforceAllowList",
				Allow: []string{"ASProxy/CrossForest/EmailDomain/EXCH/*"}}
		}), nil},
		{"lookups blocked", organization(func(o *fact.OnPremisesOrganization) {
			o.EwsPolicy = fact.EwsPolicy{Mode: "EnforceBlockList", Block: []string{"*CrossForest*"}}
		}), []string{"warn oauth.virtual-directories contoso"}},
		{"others blocked", organization(func(o *fact.OnPremisesOrganization) {
			o.EwsPolicy = fact.EwsPolicy{Mode: "EnforceBlockList", Block: []string{"Archiver/*"}, Allow: []string{"x"}}
		}), nil},
		{"two overrides of one feature",
			overridden(fact.SettingOverride{Name: "Again", Section: "exchangeonpremasthirdpartyappid"}),
			[]string{"fail oauth.overrides contoso"}},
		{"override for one server", overridden(fact.SettingOverride{Name: "G", Section: "RouteThroughMSGraph",
			Servers: []string{"ex1.contoso.com"}}), nil},
		{"override for another server", overridden(fact.SettingOverride{Name: "G", Section: "RouteThroughMSGraph",
			Servers: []string{"EX2"}}), []string{"fail oauth.overrides contoso"}},
		{"override per server", func(t *testing.T, f *fact.Set, _ *authority) {
			alter(t, fact.Servers, f.Forests[0], func(have *[]fact.Server) {
				*have = append(*have, fact.Server{Name: "EX2", Version: "Version 15.2 (Build 2562.53)", Mailbox: true})
			})
			alter(t, fact.Auth, f.Forests[0], func(have *fact.AuthConfig) { have.Servers["EX2"] = have.Servers["EX1"] })
			fact.SettingOverrides.Seed(f.Forests[0], []fact.SettingOverride{
				{Name: "FlightingServiceOverride_EX1_F1.1", Section: "ExchangeOnpremAsThirdPartyAppId",
					Servers: []string{"EX1"}},
				{Name: "FlightingServiceOverride_EX2_F1.1", Section: "ExchangeOnpremAsThirdPartyAppId",
					Servers: []string{"EX2"}},
			}, nil)
		}, nil},
		{"the Graph route beside a plan for EWS", func(t *testing.T, f *fact.Set, ca *authority) {
			f.Answers.ExchangeOnline.RichCoexistence = "ews"
			overridden(fact.SettingOverride{Name: "G", Section: "RouteThroughMSGraph",
				Parameters: []string{"Enabled=true"}})(t, f, ca)
			fact.Principal.Seed(f.Tenant, oauth.AppGraph, entra.ServicePrincipal{
				AppRoles: []entra.AppRole{{ID: "r1", Value: "Calendars.Read"}}}, nil)
		}, []string{"fail oauth.graph-route contoso", "warn tenant.ews-switch tenant"}},
		{"the Graph route with its permission", func(t *testing.T, f *fact.Set, ca *authority) {
			f.Answers.ExchangeOnline.RichCoexistence = "ews"
			overridden(fact.SettingOverride{Name: "G", Section: "RouteThroughMSGraph",
				Parameters: []string{"Enabled = true"}})(t, f, ca)
			fact.Principal.Seed(f.Tenant, oauth.AppGraph, entra.ServicePrincipal{
				AppRoles: []entra.AppRole{{ID: "r1", Value: "Calendars.Read"}}}, nil)
			alter(t, fact.DedicatedApplication, f.Forests[0],
				func(d *fact.Dedicated) { d.Consents = []string{"Microsoft Graph R1"} })
		}, []string{"warn oauth.graph-route contoso", "warn tenant.ews-switch tenant"}},
		{"another service name", func(t *testing.T, f *fact.Set, _ *authority) {
			alter(t, fact.Auth, f.Forests[0], func(a *fact.AuthConfig) { a.ServiceName = "other" })
		}, []string{"fail oauth.auth-config contoso"}},
		{"another realm", func(t *testing.T, f *fact.Set, _ *authority) {
			alter(t, fact.Auth, f.Forests[0], func(a *fact.AuthConfig) { a.Realm = "other.example" })
		}, []string{"fail oauth.auth-config contoso"}},
		{"its own realm", func(t *testing.T, f *fact.Set, _ *authority) {
			alter(t, fact.Auth, f.Forests[0], func(a *fact.AuthConfig) { a.Realm = "Contoso.com" })
		}, nil},
		{"override up to a version", overridden(fact.SettingOverride{Name: "G", Section: "RouteThroughMSGraph",
			MaxVersion: "15.2.1748.0"}), []string{"fail oauth.overrides contoso"}},
		{"override from an update on that the build does not show", func(t *testing.T, f *fact.Set, ca *authority) {
			build("Version 15.2 (Build 2562.17)")(t, f, ca)
			overridden(fact.SettingOverride{Name: "G", Section: "RouteThroughMSGraph",
				MinVersion: "15.2.2562.41"})(t, f, ca)
		}, []string{"error oauth.overrides contoso", "warn servers.build contoso", "warn servers.updates contoso"}},
		{"override from a version", overridden(fact.SettingOverride{Name: "G", Section: "RouteThroughMSGraph",
			MinVersion: "15.2.1748.0"}), nil},
		{"overrides of two features", overridden(fact.SettingOverride{Name: "G", Section: "RouteThroughMSGraph"}), nil},
		{"transport: of a domain that the tenant does not accept", func(t *testing.T, f *fact.Set, ca *authority) {
			transport(leaf{cn: "mail.other.example", names: []string{"mail.other.example"}})(t, f, ca)
			f.Forests[0].Answers.Namespace = answers.Namespace{Autodiscover: "mail.other.example",
				EWS: "mail.other.example", SMTP: "mail.other.example"}
			publishedAt("https://mail.other.example/EWS/Exchange.asmx")(t, f, ca)
		}, []string{"warn certificates.transport contoso"}},

		{"transport: two levels under a domain that is accepted with its subdomains",
			func(t *testing.T, f *fact.Set, ca *authority) {
				transport(leaf{cn: "mail.eu.contoso.com", names: []string{"mail.eu.contoso.com"}})(t, f, ca)
				f.Forests[0].Answers.Namespace = answers.Namespace{Autodiscover: "mail.eu.contoso.com",
					EWS: "mail.eu.contoso.com", SMTP: "mail.eu.contoso.com"}
				publishedAt("https://mail.eu.contoso.com/EWS/Exchange.asmx")(t, f, ca)
				for _, q := range []struct {
					query *fact.Query[[]fact.AcceptedDomain]
					side  *fact.Side
				}{{fact.OnlineAcceptedDomains, f.Tenant}, {fact.AcceptedDomains, f.Forests[0]}} {
					alter(t, q.query, q.side, func(list *[]fact.AcceptedDomain) {
						*list = slices.Clone(*list)
						for i := range *list {
							(*list)[i].SubDomains = (*list)[i].Name == "contoso.com"
						}
					})
				}
			}, nil},
		{"transport: two levels under an accepted domain", func(t *testing.T, f *fact.Set, ca *authority) {
			transport(leaf{cn: "mail.eu.contoso.com", names: []string{"mail.eu.contoso.com"}})(t, f, ca)
			f.Forests[0].Answers.Namespace = answers.Namespace{Autodiscover: "mail.eu.contoso.com",
				EWS: "mail.eu.contoso.com", SMTP: "mail.eu.contoso.com"}
			publishedAt("https://mail.eu.contoso.com/EWS/Exchange.asmx")(t, f, ca)
		}, []string{"warn certificates.transport contoso"}},

		{"autodiscover takes no tokens", directories(func(d []fact.VirtualDirectory) { d[1].OAuth = false }),
			[]string{"fail oauth.virtual-directories contoso"}},
		{"EWS takes no tokens", directories(func(d []fact.VirtualDirectory) { d[0].OAuth = false }),
			[]string{"fail oauth.virtual-directories contoso"}},
		{"EWS publishes nothing", directories(func(d []fact.VirtualDirectory) { d[0].ExternalURL = "" }),
			[]string{"fail oauth.virtual-directories contoso"}},
		{"EWS publishes without TLS", publishedAt("http://mail.contoso.com/EWS/Exchange.asmx"),
			[]string{"fail oauth.virtual-directories contoso"}},
		{"EWS publishes the other forest's name", publishedAt("https://mail.fabrikam.com/EWS/Exchange.asmx"),
			[]string{"fail oauth.virtual-directories contoso"}},
		{"EWS publishes another port", publishedAt("https://mail.contoso.com:8443/EWS/Exchange.asmx"),
			[]string{"fail oauth.virtual-directories contoso"}},
		{"Outlook shut out", organization(func(o *fact.OnPremisesOrganization) {
			o.EwsPolicy = fact.EwsPolicy{Closed: []string{"EwsAllowOutlook"}}
		}), []string{"warn oauth.virtual-directories contoso"}},
		{"EWS publishes another name",
			publishedAt("https://eu.contoso.com/EWS/Exchange.asmx"),
			[]string{"warn oauth.virtual-directories contoso"}},
		{"EWS on, list not told", config(fact.OnlineOrganization{EwsEnabled: &on}),
			[]string{"warn tenant.ews-switch tenant"}},
		{"EWS on, application not listed", func(t *testing.T, f *fact.Set, ca *authority) {
			config(fact.OnlineOrganization{EwsEnabled: &on, ListKnown: true, EwsAllowedAppIDs: []string{"other"}})(t, f,
				ca)
			seedApplication(f, fact.Application{AppID: "mine"})
		}, []string{"fail tenant.ews-switch tenant"}},
		{"EWS on, application listed", func(t *testing.T, f *fact.Set, ca *authority) {
			config(fact.OnlineOrganization{EwsEnabled: &on, ListKnown: true,
				EwsAllowedAppIDs: []string{"other", " MINE"}})(t, f, ca)
			seedApplication(f, fact.Application{AppID: "mine"})
		}, []string{"warn tenant.ews-switch tenant"}},
		{"EWS gone", func(_ *testing.T, f *fact.Set, _ *authority) {
			graphless(f)
			f.Now = func() time.Time { return time.Date(2027, 4, 1, 0, 0, 0, 0, time.UTC) }
		}, []string{"fail tenant.ews-switch tenant", "warn certificates.transport contoso",
			"warn certificates.transport fabrikam"}},
		{"EWS gone, hotfix not told", func(t *testing.T, f *fact.Set, ca *authority) {
			build("Version 15.2 (Build 2562.17)")(t, f, ca)
			f.Answers.ExchangeOnline.RichCoexistence = "auto"
			f.Now = func() time.Time { return time.Date(2027, 4, 1, 0, 0, 0, 0, time.UTC) }
		}, []string{"warn certificates.transport contoso", "warn certificates.transport fabrikam",
			"warn servers.build contoso", "warn servers.updates contoso"}},
		{"EWS gone, too old for Graph", func(t *testing.T, f *fact.Set, ca *authority) {
			build("Version 15.2 (Build 1748.39)")(t, f, ca)
			f.Answers.ExchangeOnline.RichCoexistence = "auto"
			f.Now = func() time.Time { return time.Date(2027, 4, 1, 0, 0, 0, 0, time.UTC) }
		}, []string{"fail servers.build contoso", "fail tenant.ews-switch tenant",
			"warn certificates.transport contoso", "warn certificates.transport fabrikam",
			"warn servers.mitigation-files contoso", "warn servers.updates contoso",
			"warn transport.enforcement contoso"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f, ca := healthy(t)
			tt.disturb(t, f, ca)
			got, report := outcome(t, f)
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("findings (-want +got):\n%s", diff)
				for _, r := range report.Results {
					t.Logf("%s %s %s: %s", r.Status, r.ID, r.Scope, r.Summary)
				}
			}
		})
	}
}

// served returns a mail server without faults that presents a certificate.
func served(b certificate.Bundle) fact.MailServer {
	starttls := smtp.Capabilities{{Keyword: "STARTTLS"}}
	sent := []*x509.Certificate{b.Leaf}
	sent = append(sent, b.Chain...)
	return fact.MailServer{Certificate: b, Report: smtp.Report{
		Banner: "mail", Capabilities: starttls,
		TLS: &smtp.TLS{Version: tls.VersionTLS13, CipherSuite: tls.TLS_AES_128_GCM_SHA256, Certificates: sent,
			Capabilities: smtp.Capabilities{{Keyword: "CHUNKING"}, {Keyword: "8BITMIME"},
				{Keyword: "ENHANCEDSTATUSCODES"}}},
	}}
}

// mailFails makes the probe of contoso's mail server fail at a step.
func mailFails(step smtp.Step, err error) func(*testing.T, *fact.Set, *authority) {
	return func(_ *testing.T, f *fact.Set, _ *authority) {
		fact.MailServers.Seed(f.Network, "mail.contoso.com",
			fact.MailServer{Err: &smtp.StepError{Step: step, Err: err}}, nil)
	}
}

func autodiscovered(a ews.Front, err error) func(*testing.T, *fact.Set, *authority) {
	return func(_ *testing.T, f *fact.Set, _ *authority) {
		fact.AutodiscoverHosts.Seed(f.Network, "autodiscover.contoso.com", a, err)
	}
}

func transport(l leaf) func(*testing.T, *fact.Set, *authority) {
	return func(t *testing.T, f *fact.Set, ca *authority) {
		if l.cn == "" {
			l.cn = "mail.contoso.com"
		}
		if l.names == nil {
			l.names = []string{"mail.contoso.com", "autodiscover.contoso.com", "ex1.contoso.com"}
		}
		fact.CertificateFile.Seed(f.Forests[0], ca.issue(t, l), nil)
		mailFails(smtp.Connect, link.ErrUnreachable)(t, f, ca)
	}
}

func directories(change func([]fact.VirtualDirectory)) func(*testing.T, *fact.Set, *authority) {
	return func(t *testing.T, f *fact.Set, _ *authority) {
		alter(t, fact.VirtualDirectories, f.Forests[0], func(list *[]fact.VirtualDirectory) { change(*list) })
	}
}

// publishedAt changes the address that contoso's EWS publishes.
func publishedAt(address string) func(*testing.T, *fact.Set, *authority) {
	return directories(func(d []fact.VirtualDirectory) { d[0].ExternalURL = address })
}

// redirected makes contoso's autodiscover name redirect elsewhere.
func redirected(location string) func(*testing.T, *fact.Set, *authority) {
	const address = "https://autodiscover.contoso.com/autodiscover/autodiscover.xml"
	return autodiscovered(ews.Front{URL: address, Status: 302, Location: location}, nil)
}

func authChanged(change func(*fact.AuthConfig, *x509.Certificate)) func(*testing.T, *fact.Set, *authority) {
	return func(t *testing.T, f *fact.Set, _ *authority) {
		alter(t, fact.Auth, f.Forests[0], func(a *fact.AuthConfig) { change(a, a.Servers["EX1"][0]) })
	}
}

// authEnds gives contoso an auth certificate with the given days left, and a next one when next is
// not 0.
func authEnds(left, next int) func(*testing.T, *fact.Set, *authority) {
	return func(t *testing.T, f *fact.Set, ca *authority) {
		current := ca.issue(t, leaf{cn: "auth", selfSigned: true, to: today.AddDate(0, 0, left)}).Leaf
		a := fact.AuthConfig{Current: certificate.Thumbprint(current),
			Servers: map[string][]*x509.Certificate{"EX1": {current}}}
		if next != 0 {
			coming := ca.issue(t, leaf{cn: "auth", selfSigned: true, to: today.AddDate(0, 0, next)}).Leaf
			a.Next = certificate.Thumbprint(coming)
			a.Servers["EX1"] = append(a.Servers["EX1"], coming)
		}
		fact.Auth.Seed(f.Forests[0], a, nil)
	}
}

func build(version string) func(*testing.T, *fact.Set, *authority) {
	return func(_ *testing.T, f *fact.Set, _ *authority) {
		fact.Servers.Seed(f.Forests[0], []fact.Server{{Name: "EX1", Version: version, Mailbox: true}}, nil)
	}
}

// viewOnly leaves every account the rights to read.
func viewOnly(f *fact.Set) {
	reading := func(system fact.System) fact.Rights {
		asked := Cmdlets()[system]
		return fact.NewRights(asked, slices.DeleteFunc(slices.Clone(asked),
			func(c string) bool { return !strings.HasPrefix(c, "Get-") }))
	}
	fact.OnlineRights.Seed(f.Tenant, reading(fact.Online), nil)
	for _, forest := range f.Forests {
		fact.OnPremisesRights.Seed(forest, reading(fact.OnPremises), nil)
	}
	fact.Permissions.Seed(f.Tenant, fact.Grant{Permissions: []string{"Directory.Read.All"}}, nil)
}

// withoutTenant removes Exchange Online from the answers, and its domain from the forests.
func withoutTenant(f *fact.Set) {
	f.Answers.ExchangeOnline, f.Tenant = nil, nil
	for _, forest := range f.Forests {
		fact.AcceptedDomains.Seed(forest,
			[]fact.AcceptedDomain{{Name: forest.Answers.Domains[0], Type: "Authoritative"}}, nil)
	}
}

// broken returns the healthy deployment with every connection failing.
func broken(t *testing.T, err error) *fact.Set {
	t.Helper()
	known, _ := healthy(t)
	known.Answers.WorkMail = &answers.WorkMail{Region: "us-east-1", Organization: "contoso", Directory: "d-906781cc3a",
		Account: &answers.WorkMailAccount{User: "svc@contoso.example"}, Users: []string{"bob@" +
			known.Answers.Forests[0].Domains[0]}}
	for i := range known.Answers.Forests {
		known.Answers.Forests[i].WorkMail = &answers.Provider{User: "svc"}
	}
	f := fact.New(known.Answers, known.Cloud)
	f.Now, f.Roots, f.Cmdlets = known.Now, known.Roots, known.Cmdlets
	failing := fact.Clients{
		Exchange:         func(context.Context) (exchange.Reader, error) { return nil, err },
		Directory:        func(context.Context) (fact.Directory, error) { return nil, err },
		Certificate:      func(context.Context) (certificate.Bundle, error) { return certificate.Bundle{}, err },
		Graph:            func(context.Context) (fact.Graph, error) { return nil, err },
		Token:            func(context.Context) (string, error) { return "", err },
		Lookup:           func(context.Context, string, dns.Type) (dns.Answer, error) { return dns.Answer{}, err },
		Link:             func(context.Context) (*link.Link, error) { return nil, err },
		WorkMail:         func(context.Context) (fact.WorkMailAPI, error) { return nil, err },
		ProviderPassword: func(context.Context) (fact.PasswordForm, error) { return fact.PasswordForm{}, err },
	}
	f.Tenant.Clients, f.Network.Clients, f.WorkMail.Clients = failing, failing, failing
	for _, forest := range f.Forests {
		forest.Clients = failing
	}
	return f
}

// What cannot be read is never a finding, and keeps its cause for the exit code.
func TestUnknownIsNoFinding(t *testing.T) {
	for name, cause := range map[string]error{"access": link.ErrAccess, "untrusted": link.ErrUntrusted,
		"unreachable": link.ErrUnreachable} {
		t.Run(name, func(t *testing.T) {
			f := broken(t, fmt.Errorf("somewhere: %w", cause))
			f.Answers.ExchangeOnline.RichCoexistence = "ews"
			for i := range f.Forests {
				f.Answers.Forests[i].Lookups = &answers.Lookups{Access: answers.AccessOrgWide, User: `X\svc`}
				f.Forests[i].Answers.Lookups = f.Answers.Forests[i].Lookups
			}
			// Every check runs alone: otherwise an unmet need would skip it.
			for _, declaration := range Checks() {
				declaration.Needs = nil
				f.Answers.WorkMail.State, f.Answers.Hybrid = "", nil
				if declaration.ID == "workmail.way-out" {
					f.Answers.WorkMail.State = answers.Leaving
				}
				if declaration.ofHybridExit() {
					f.Answers.Hybrid = &answers.Hybrid{State: answers.Leaving}
				}
				report, runErr := run(t.Context(), []Check{declaration}, f, check.Options{}, nil)
				if runErr != nil {
					t.Fatal(runErr)
				}
				for _, r := range report.Results {
					switch r.ID {
					case "autodiscover.answers", "ews.answers", "workmail.end-of-support", "workmail.one-directory",
						"forests.own-domain", "autodiscover.domain", "autodiscover.domain-online",
						"autodiscover.domain-certificate", "autodiscover.plain-redirect",
						"transport.edge-subscription", "transport.edge-server", "hybrid.transport-rule",
						"hybrid.journal-rule":
						continue // reads something else, or nothing
					}
					if r.Status != check.StatusError || !errors.Is(r.Cause, cause) {
						t.Errorf("%s %s: %s %s (%v)", r.ID, r.Scope, r.Status, r.Summary, r.Cause)
					}
				}
			}
		})
	}
}

func TestProof(t *testing.T) {
	for name, tt := range map[string]struct {
		txt  []string
		err  error
		want string
	}{
		"published":      {[]string{"MS=MS123"}, nil, "waits to be verified"},
		"trailing blank": {[]string{"MS=ms123 "}, nil, "waits to be verified"},
		"quotes":         {[]string{`"MS=ms123"`}, nil, "waits to be verified"},
		"curly quotes":   {[]string{"\u201cMS=ms123\u201d"}, nil, "waits to be verified"},
		"prefix missing": {[]string{"ms123"}, nil, `"ms123", which differs from the wanted MS=ms123`},
		"blank inside":   {[]string{"MS= ms123"}, nil, "differs from the wanted"},
		"two in one":     {[]string{"v=spf1 -all MS=ms123"}, nil, "differs from the wanted"},
		"by MX":          {[]string{"v=spf1 by-mx"}, nil, "MX record ms123.msv1.invalid and waits"},
		"missing":        {[]string{"v=spf1"}, nil, "lacks its TXT record MS=ms123"},
		"another":        {[]string{"MS=ms999"}, nil, "another tenant's"},
		"another, small": {[]string{"ms=ms999"}, nil, "another tenant's"},
		"no such name":   {nil, dns.ErrAbsent, "lacks its TXT record"},
		"nobody to ask":  {nil, dns.ErrFailed, ""},
	} {
		t.Run(name, func(t *testing.T) {
			f, _ := healthy(t)
			fact.TXT.SeedAll(f.Network, func(string) ([]string, error) { return tt.txt, tt.err })
			fact.DomainProofs.SeedAll(f.Tenant, func(string) ([]entra.DomainRecord, error) {
				return []entra.DomainRecord{{RecordType: "Txt", Text: "MS=ms123"},
					{RecordType: "Mx", MailExchange: "ms123.msv1.invalid."}}, nil
			})
			fact.MX.SeedAll(f.Network, func(string) ([]string, error) {
				if name == "by MX" {
					return []string{"ms123.msv1.invalid"}, nil
				}
				return []string{"mail.contoso.com"}, nil
			})
			got, err := proof(t.Context(), Input{Set: f}, "contoso.com")
			if !strings.Contains(got.String(), tt.want) || (err != nil) != (tt.want == "") {
				t.Errorf("%q, %v; want %q", got, err, tt.want)
			}
		})
	}
}

func TestDeclarations(t *testing.T) {
	if err := check.Validate(Declarations()); err != nil {
		t.Error(err)
	}
	page := string(Markdown())
	for _, c := range Checks() {
		if c.Title == "" || c.Why == "" || c.Fix == "" {
			t.Errorf("%s: a declaration has a title, a reason and a remedy", c.ID)
		}
		if !strings.Contains(page, fmt.Sprintf("<a id=%q></a>", c.ID.Anchor())) {
			t.Errorf("%s has no anchor on the reference page", c.ID)
		}
	}
}

// Where the switch is not set, the finding says whether EWS ends for the tenant or has ended.
func TestEWSSwitchSaysSinceWhen(t *testing.T) {
	for _, test := range []struct {
		now  time.Time
		want string
	}{{cloud.EWSRestricted.Add(-time.Second), "from 2026-10-01 on"}, {cloud.EWSRestricted, "since 2026-10-01"}} {
		f, _ := healthy(t)
		f.Answers.ExchangeOnline.RichCoexistence = "ews"
		fact.OnlineConfig.Seed(f.Tenant, fact.OnlineOrganization{}, nil)
		f.Now = func() time.Time { return test.now }
		_, report := outcome(t, f)
		at := slices.IndexFunc(report.Results, func(r check.Result) bool { return r.ID == "tenant.ews-switch" })
		if got := report.Results[at]; got.Status != check.StatusWarn ||
			!strings.Contains(got.Summary.String(), test.want) {
			t.Errorf("%s: %s %s", test.now, got.Status, got.Summary)
		}
	}
}

// seedApplication gives contoso a dedicated application with the key of its auth certificate.
func seedApplication(f *fact.Set, app fact.Application) {
	auth, err := fact.Auth.In(context.Background(), f.Forests[0])
	if err != nil {
		panic(err)
	}
	for _, c := range auth.Certificates() {
		app.KeyCredentials = append(app.KeyCredentials,
			map[string]any{"keyId": "k", "key": base64.StdEncoding.EncodeToString(c.Raw)})
	}
	fact.DedicatedApplication.Seed(f.Forests[0], fact.Dedicated{Name: "app", Application: app, Proven: true}, nil)
}
