package prereq

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
	"net"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hybridge-cli/hybridge/pkg/config/answers"
	"github.com/hybridge-cli/hybridge/pkg/config/cloud"
	"github.com/hybridge-cli/hybridge/pkg/engine/check"
	"github.com/hybridge-cli/hybridge/pkg/estate/certificate"
	"github.com/hybridge-cli/hybridge/pkg/estate/directory"
	"github.com/hybridge-cli/hybridge/pkg/estate/entra"
	"github.com/hybridge-cli/hybridge/pkg/estate/exchange"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/desired"
	"github.com/hybridge-cli/hybridge/pkg/wire/dns"
	"github.com/hybridge-cli/hybridge/pkg/wire/link"
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
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, NotBefore: today.AddDate(-5, 0, 0), NotAfter: today.AddDate(5, 0, 0), IsCA: true, BasicConstraintsValid: true}
	a.cert = sign(t, template, template, a.key, a.key)
	a.pool.AddCert(a.cert)
	return a
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
		l.from = today.AddDate(-1, 0, 0)
	}
	if l.to.IsZero() {
		l.to = today.AddDate(0, 0, 180)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: l.cn}, DNSNames: l.names, NotBefore: l.from, NotAfter: l.to, ExtKeyUsage: l.usage}
	if l.selfSigned {
		return certificate.Bundle{Leaf: sign(t, template, template, key, key)}
	}
	return certificate.Bundle{Leaf: sign(t, template, a.cert, key, a.key)}
}

// healthy is a deployment of two forests in which every check passes.
func healthy(t *testing.T) (*Facts, *authority) {
	t.Helper()
	ca := newAuthority(t)
	c, ok := cloud.Get("worldwide")
	if !ok {
		t.Fatal("no cloud worldwide")
	}
	on := true
	f := &Facts{
		Answers: answers.Answers{ExchangeOnline: &answers.ExchangeOnline{Cloud: "worldwide", Tenant: "contoso.onmicrosoft.com", RichCoexistence: "graph"}},
		Cloud:   c, Now: func() time.Time { return today }, Roots: ca.pool,
		Duplicates: Known[[]Duplicate](nil),
		TXT:        NewKeyed(func(context.Context, string) ([]string, error) { return []string{"v=spf1 -all"}, nil }),
		Aliases:    NewKeyed(func(context.Context, string) ([]string, error) { return nil, nil }),
		Tenant: Tenant{
			Organization: Known(entra.Organization{ID: "11111111-2222-3333-4444-555555555555", DisplayName: "Contoso"}),
			Permissions:  Known([]string{"Application.ReadWrite.All", "AppRoleAssignment.ReadWrite.All", "Directory.Read.All"}),

			ExchangePrincipal: Known(entra.ServicePrincipal{}),
			Applications:      NewKeyed(func(context.Context, string) ([]map[string]any, error) { return nil, nil }),
			Verification: NewKeyed(func(context.Context, string) ([]entra.DomainRecord, error) {
				return []entra.DomainRecord{{RecordType: "Txt", Text: "MS=ms123"}}, nil
			}),
			Config: Known(OnlineConfig{EwsEnabled: &on, EwsAllowedAppIDs: []string{"other"}, ListKnown: true}),
			Rights: Known(allow(Cmdlets(desired.Online))),
		},
	}
	online := []AcceptedDomain{{Name: "contoso.mail.onmicrosoft.com", Type: "Authoritative", Coexistence: true}}
	var domains []entra.Domain
	for _, name := range []string{"contoso", "fabrikam"} {
		domain := name + ".com"
		online = append(online, AcceptedDomain{Name: domain, Type: "Authoritative"})
		domains = append(domains, entra.Domain{ID: domain, IsVerified: true})
		transport := ca.issue(t, leaf{cn: "mail." + domain, names: []string{"mail." + domain, "autodiscover." + domain, "ex1." + domain}})
		auth := ca.issue(t, leaf{cn: "Microsoft Exchange Server Auth Certificate", selfSigned: true, to: today.AddDate(2, 0, 0)}).Leaf
		f.Forests = append(f.Forests, &Forest{
			Answers: answers.Forest{
				Name: name, Domains: []string{domain}, Namespace: answers.Namespace{Autodiscover: "autodiscover." + domain, EWS: "mail." + domain, SMTP: "mail." + domain},
				Exchange: answers.Exchange{Server: "ex1." + domain},
			},
			Directory:         Known(directory.RootDSE{DNSHostName: "dc1." + domain}),
			Users:             Known(UserScan{Users: 3, SignIn: 3, Mailboxes: 3}),
			Organization:      Known(Organization{Name: name, GUID: name + "-guid"}),
			Servers:           Known([]Server{{Name: "EX1", Version: "Version 15.2 (Build 2562.46)", Mailbox: true}}),
			AcceptedDomains:   Known([]AcceptedDomain{{Name: domain, Type: "Authoritative"}, {Name: "contoso.mail.onmicrosoft.com", Type: "Authoritative"}}),
			Auth:              Known(Auth{Current: certificate.Thumbprint(auth), Servers: map[string][]*x509.Certificate{"EX1": {auth}}}),
			Rights:            Known(allow(Cmdlets(desired.OnPremises))),
			CertificateFile:   Known(transport),
			CertificateServed: Known(transport),
			Autodiscover: NewKeyed(func(context.Context, string) (Autodiscover, error) {
				return Autodiscover{Status: 401, Schemes: []string{"Negotiate", "NTLM"}}, nil
			}),
			Objects: printed(map[string][]exchange.Object{
				"Get-SettingOverride": {exchange.NewObject(nil, "", "Name", "EnableExchangeHybrid3PAppFeature", "SectionName", "ExchangeOnpremAsThirdPartyAppId")},
			}),
			VirtualDirectories: Known([]VirtualDirectory{
				{Noun: ewsDirectory, Identity: `EX1\EWS (Default Web Site)`, OAuth: true, ExternalURL: "https://Mail." + domain + "/EWS/Exchange.asmx"},
				{Noun: autodiscoverDirectory, Identity: `EX1\Autodiscover (Default Web Site)`, OAuth: true},
			}),
		})
	}
	f.Tenant.AcceptedDomains, f.Tenant.Domains = Known(online), Known(domains)
	return f, ca
}

// printed is what Get cmdlets print; any other one, and one that the check of rights leaves out, is an error.
func printed(objects map[string][]exchange.Object) *Keyed[[]exchange.Object] {
	return NewKeyed(func(_ context.Context, cmdlet string) ([]exchange.Object, error) {
		o, ok := objects[cmdlet]
		if !ok || !slices.Contains(Cmdlets(desired.OnPremises), cmdlet) {
			return nil, fmt.Errorf("%s: give what it prints, and list it among the cmdlets that the account must be able to run (readCmdlets)", cmdlet)
		}
		return o, nil
	})
}

func allow(cmdlets []string) map[string]exchange.Allowance {
	out := map[string]exchange.Allowance{}
	for _, c := range cmdlets {
		out[c] = exchange.Allowance{}
	}
	return out
}

// outcome is what is not a pass: "ID scope status".
func outcome(t *testing.T, f *Facts) (out []string, report check.Report) {
	t.Helper()
	report, err := check.Run(t.Context(), Declarations(), Scopes(f), check.Options{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	sides := map[check.ID]exchange.Side{}
	for _, c := range Checks() {
		sides[c.ID] = sideOf(c.Scope)
	}
	for _, r := range report.Results {
		if r.Status != check.StatusPass && r.Status != check.StatusSkip {
			out = append(out, fmt.Sprintf("%s %s %s", r.Status, r.ID, r.Scope))
		}
		if (r.Status == check.StatusFail || r.Status == check.StatusWarn) && (r.Detail.IsZero() || r.Remedy.Text.IsZero() || r.Remedy.Docs == "") {
			t.Errorf("%s: a finding says why it matters, what to do and where to read", r.ID)
		}
		for _, text := range append([]string{r.Summary.String(), r.Detail.String(), r.Remedy.Text.String()}, r.Remedy.Commands...) {
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
	if report.Summary.Skip > 0 {
		t.Errorf("skipped: %+v", report.Summary)
	}
}

// Each disorder turns the check that is for it, and only that.
func TestDisorders(t *testing.T) {
	graphless := func(f *Facts) { f.Answers.ExchangeOnline.RichCoexistence = "ews" }
	config := func(c OnlineConfig) func(*testing.T, *Facts, *authority) {
		return func(_ *testing.T, f *Facts, _ *authority) {
			graphless(f)
			f.Tenant.Config = Known(c)
		}
	}
	on, off := true, false
	organization := func(change func(*Organization)) func(*testing.T, *Facts, *authority) {
		return func(t *testing.T, f *Facts, _ *authority) {
			o, err := f.Forests[0].Organization.Get(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			change(&o)
			f.Forests[0].Organization = Known(o)
		}
	}
	overridden := func(pairs ...any) func(*testing.T, *Facts, *authority) {
		return func(t *testing.T, f *Facts, _ *authority) {
			have, err := f.Forests[0].Objects.Get(t.Context(), "Get-SettingOverride")
			if err != nil {
				t.Fatal(err)
			}
			f.Forests[0].Objects = printed(map[string][]exchange.Object{"Get-SettingOverride": append(have, exchange.NewObject(nil, "", pairs...))})
		}
	}
	tests := []struct {
		name    string
		disturb func(t *testing.T, f *Facts, ca *authority)
		want    []string
	}{
		{"cmdlet not allowed on-premises", func(_ *testing.T, f *Facts, _ *authority) {
			allowed := allow(Cmdlets(desired.OnPremises))
			delete(allowed, "Set-AuthServer")
			f.Forests[0].Rights = Known(allowed)
		}, []string{"fail access.onprem contoso"}},
		{"cmdlet names differ in case", func(_ *testing.T, f *Facts, _ *authority) {
			var lower []string
			for _, c := range Cmdlets(desired.OnPremises) {
				lower = append(lower, strings.ToLower(c))
			}
			f.Forests[0].Rights = Known(allow(lower))
		}, nil},
		{"removing not allowed", func(_ *testing.T, f *Facts, _ *authority) {
			allowed := allow(Cmdlets(desired.Online))
			delete(allowed, "Remove-OrganizationRelationship")
			f.Tenant.Rights = Known(allowed)
		}, []string{"warn access.online tenant"}},
		{"cmdlet not allowed online", func(_ *testing.T, f *Facts, _ *authority) { f.Tenant.Rights = Known(allow(nil)) }, []string{"fail access.online tenant"}},
		{"permission missing", func(_ *testing.T, f *Facts, _ *authority) {
			f.Tenant.Permissions = Known([]string{"Application.ReadWrite.OwnedBy", "AppRoleAssignment.ReadWrite.All", "Directory.Read.All"})
		}, []string{"fail access.entra tenant"}},
		{"permission to read domains missing", func(_ *testing.T, f *Facts, _ *authority) {
			f.Tenant.Permissions = Known([]string{"Application.ReadWrite.All", "AppRoleAssignment.ReadWrite.All", "Organization.Read.All"})
		}, []string{"fail access.entra tenant"}},
		{"permissions not told", func(_ *testing.T, f *Facts, _ *authority) { f.Tenant.Permissions = Known[[]string](nil) }, nil},

		{"UPN mismatch", func(_ *testing.T, f *Facts, _ *authority) {
			f.Forests[1].Users = Known(UserScan{SignIn: 10_000, MismatchCount: 203, Mismatches: []Mismatch{{"CN=r", "r.neri@fabrikam.com", "ricarda.neri@fabrikam.com"}}})
		}, []string{"fail directory.upn-matches-primary fabrikam"}},
		{"no primary", func(_ *testing.T, f *Facts, _ *authority) {
			f.Forests[0].Users = Known(UserScan{Mailboxes: 5, PrimaryCount: 1, Primaries: []Primaries{{DN: "CN=x"}}})
		}, []string{"fail directory.one-primary contoso"}},
		{"duplicate address", func(_ *testing.T, f *Facts, _ *authority) {
			f.Duplicates = Known([]Duplicate{{"a@contoso.com", []Owner{{"contoso", "CN=a", ""}, {"fabrikam", "CN=b", ""}}}})
		}, []string{"fail directory.unique-addresses organization"}},

		{"domain not accepted on-premises", func(_ *testing.T, f *Facts, _ *authority) {
			f.Forests[0].Answers.Domains = append(f.Forests[0].Answers.Domains, "extra.com")
			f.Tenant.Domains = Known([]entra.Domain{{ID: "contoso.com", IsVerified: true}, {ID: "extra.com", IsVerified: true}, {ID: "fabrikam.com", IsVerified: true}})
		}, []string{"fail domains.accepted contoso"}},
		{"domain not accepted online", func(_ *testing.T, f *Facts, _ *authority) {
			f.Tenant.AcceptedDomains = Known([]AcceptedDomain{{Name: "contoso.com"}, {Name: "contoso.mail.onmicrosoft.com", Coexistence: true}})
		}, []string{"fail domains.accepted fabrikam"}},
		{"not authoritative", func(_ *testing.T, f *Facts, _ *authority) {
			f.Forests[1].AcceptedDomains = Known([]AcceptedDomain{{Name: "fabrikam.com", Type: "InternalRelay"}})
		}, []string{"fail domains.authoritative organization"}},
		{"shared and authoritative", func(_ *testing.T, f *Facts, _ *authority) {
			f.Forests[1].AcceptedDomains = Known([]AcceptedDomain{{Name: "fabrikam.com", Type: "Authoritative"}, {Name: "Contoso.com", Type: "InternalRelay"}})
		}, []string{"fail domains.authoritative organization"}},
		{"shared as relay in both", func(_ *testing.T, f *Facts, _ *authority) {
			for _, forest := range f.Forests {
				forest.AcceptedDomains = Known([]AcceptedDomain{{Name: forest.Answers.Domains[0], Type: "Authoritative"}, {Name: "shared.com", Type: "InternalRelay"}})
			}
		}, nil},
		{"accepted with its subdomains", func(_ *testing.T, f *Facts, _ *authority) {
			f.Forests[0].Answers.Domains = []string{"mail.contoso.com"}
			f.Forests[0].AcceptedDomains = Known([]AcceptedDomain{{Name: "contoso.com", Type: "Authoritative", SubDomains: true}})
			f.Tenant.AcceptedDomains = Known([]AcceptedDomain{{Name: "mail.contoso.com"}, {Name: "fabrikam.com"}, {Name: "contoso.mail.onmicrosoft.com", Coexistence: true}})
			f.Tenant.Domains = Known([]entra.Domain{{ID: "mail.contoso.com", IsVerified: true}, {ID: "fabrikam.com", IsVerified: true}})
		}, nil},
		{"accepted without its subdomains", func(_ *testing.T, f *Facts, _ *authority) {
			f.Forests[0].Answers.Domains = []string{"contoso.com", "mail.contoso.com"}
			f.Tenant.AcceptedDomains = Known([]AcceptedDomain{{Name: "contoso.com"}, {Name: "mail.contoso.com"}, {Name: "fabrikam.com"}, {Name: "contoso.mail.onmicrosoft.com", Coexistence: true}})
			f.Tenant.Domains = Known([]entra.Domain{{ID: "contoso.com", IsVerified: true}, {ID: "mail.contoso.com", IsVerified: true}, {ID: "fabrikam.com", IsVerified: true}})
		}, []string{"fail domains.accepted contoso"}},
		{"subdomain of another forest's domain", func(_ *testing.T, f *Facts, _ *authority) {
			f.Forests[0].AcceptedDomains = Known([]AcceptedDomain{{Name: "contoso.com", Type: "Authoritative", SubDomains: true}})
			f.Forests[1].AcceptedDomains = Known([]AcceptedDomain{{Name: "fabrikam.com", Type: "Authoritative"}, {Name: "sales.contoso.com", Type: "InternalRelay"}})
		}, []string{"fail domains.authoritative organization"}},
		{"domain not verified", func(_ *testing.T, f *Facts, _ *authority) {
			f.Tenant.Domains = Known([]entra.Domain{{ID: "contoso.com"}, {ID: "fabrikam.com", IsVerified: true}})
		}, []string{"fail domains.verified contoso"}},
		{"domain not in the tenant", func(_ *testing.T, f *Facts, _ *authority) {
			f.Tenant.Domains = Known([]entra.Domain{{ID: "contoso.com", IsVerified: true}})
		}, []string{"fail domains.verified fabrikam"}},
		{"no coexistence domain", func(_ *testing.T, f *Facts, _ *authority) {
			f.Tenant.AcceptedDomains = Known([]AcceptedDomain{{Name: "contoso.com"}, {Name: "fabrikam.com"}})
			for _, forest := range f.Forests {
				forest.AcceptedDomains = Known([]AcceptedDomain{{Name: forest.Answers.Domains[0], Type: "Authoritative"}})
			}
		}, []string{"fail domains.coexistence tenant"}},

		{"autodiscover: nobody", autodiscovered(Autodiscover{}, fmt.Errorf("dial: %w", syscall.ECONNREFUSED)), []string{"fail autodiscover.answers contoso"}},
		{"autodiscover: no such name", autodiscovered(Autodiscover{}, &net.DNSError{IsNotFound: true}), []string{"fail autodiscover.answers contoso"}},
		{"autodiscover: time ran out", autodiscovered(Autodiscover{}, fmt.Errorf("dial: %w: %w", link.ErrUnreachable, context.DeadlineExceeded)), []string{"error autodiscover.answers contoso"}},
		{"autodiscover: untrusted", autodiscovered(Autodiscover{}, fmt.Errorf("autodiscover.contoso.com: %w", link.ErrUntrusted)), []string{"fail autodiscover.answers contoso"}},
		{"autodiscover: 404", autodiscovered(Autodiscover{Status: 404}, nil), []string{"fail autodiscover.answers contoso"}},
		{"autodiscover: open", autodiscovered(Autodiscover{Status: 200}, nil), []string{"fail autodiscover.answers contoso"}},
		{"autodiscover: pre-authentication", autodiscovered(Autodiscover{Status: 401}, nil), []string{"fail autodiscover.answers contoso"}},
		{"autodiscover: to the cloud", autodiscovered(Autodiscover{Status: 302, Location: "https://autodiscover-s.outlook.com/x"}, nil), []string{"fail autodiscover.answers contoso"}},
		{"autodiscover: elsewhere", autodiscovered(Autodiscover{Status: 302, Location: "https://other.contoso.com/x"}, nil), []string{"warn autodiscover.answers contoso"}},
		{"autodiscover: alias to the cloud", func(_ *testing.T, f *Facts, _ *authority) {
			f.Aliases = NewKeyed(func(_ context.Context, host string) ([]string, error) {
				if host == "autodiscover.contoso.com" {
					return []string{"autodiscover.outlook.com"}, nil
				}
				return nil, dns.ErrEmpty
			})
		}, []string{"fail autodiscover.answers contoso"}},

		{"transport: ended", transport(leaf{to: today.AddDate(0, 0, -1)}), []string{"fail certificates.transport contoso"}},
		{"transport: not yet", transport(leaf{from: today.AddDate(0, 0, 1)}), []string{"fail certificates.transport contoso"}},
		{"transport: ends soon", transport(leaf{to: today.AddDate(0, 0, 40)}), []string{"warn certificates.transport contoso"}},
		{"transport: ends in less than 30 days", transport(leaf{to: today.AddDate(0, 0, 29)}), []string{"fail certificates.transport contoso"}},
		{"transport: self-signed", transport(leaf{selfSigned: true}), []string{"fail certificates.transport contoso"}},
		{"transport: name missing", transport(leaf{names: []string{"mail.contoso.com"}}), []string{"fail certificates.transport contoso"}},
		{"transport: wildcard", transport(leaf{names: []string{"*.contoso.com"}}), nil},
		{"transport: servers only", transport(leaf{usage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}}), []string{"warn certificates.transport contoso"}},
		{"transport: untrusted", func(t *testing.T, f *Facts, _ *authority) {
			transport(leaf{})(t, f, newAuthority(t))
		}, []string{"fail certificates.transport contoso"}},
		{"transport: alike", transport(leaf{cn: "mail.fabrikam.com"}), []string{"fail certificates.transport-distinct organization"}},
		{"transport: alike, but of another issuer", func(t *testing.T, f *Facts, _ *authority) {
			other := authorityNamed(t, "Other Root")
			f.Roots = f.Roots.Clone()
			f.Roots.AddCert(other.cert)
			transport(leaf{cn: "mail.fabrikam.com"})(t, f, other)
		}, []string{"warn certificates.transport-distinct organization"}},
		{"transport: served, where no file is named", func(_ *testing.T, f *Facts, _ *authority) {
			f.Forests[0].CertificateFile = Failing[certificate.Bundle](fmt.Errorf("contoso: %w", ErrNoSource))
			f.Forests[0].CertificateServed = Failing[certificate.Bundle](link.ErrUnreachable)
		}, []string{"error certificates.transport contoso"}},
		{"transport: the file is in order, what is served is not", func(t *testing.T, f *Facts, ca *authority) {
			f.Forests[0].CertificateServed = Known(ca.issue(t, leaf{cn: "mail.contoso.com", names: []string{"mail.contoso.com"}, to: today.AddDate(0, 0, -3)}))
		}, []string{"fail certificates.transport contoso"}},
		{"transport: remote PowerShell is served with the one that ended", func(t *testing.T, f *Facts, ca *authority) {
			transport(leaf{to: today.AddDate(0, 0, -1)})(t, f, ca)
			f.Forests[0].Rights = Failing[map[string]exchange.Allowance](fmt.Errorf("contoso: %w", &link.HostError{Host: "EX1.contoso.com", Err: link.ErrUntrusted}))
		}, []string{"fail certificates.transport contoso"}},
		{"transport: autodiscover answers with the one that ended", func(t *testing.T, f *Facts, ca *authority) {
			transport(leaf{to: today.AddDate(0, 0, -1)})(t, f, ca)
			autodiscovered(Autodiscover{}, &link.HostError{Host: "autodiscover.contoso.com", Err: link.ErrUntrusted})(t, f, ca)
		}, []string{"fail certificates.transport contoso"}},
		{"transport: another host is not trusted, whose error only mentions the server", func(t *testing.T, f *Facts, ca *authority) {
			transport(leaf{to: today.AddDate(0, 0, -1)})(t, f, ca)
			f.Forests[0].Rights = Failing[map[string]exchange.Allowance](&link.HostError{Host: "proxy.contoso.com", Err: fmt.Errorf("connect to ex1.contoso.com: %w", link.ErrUntrusted)})
		}, []string{"error access.onprem contoso", "fail certificates.transport contoso"}},

		{"auth: none", authChanged(func(a *Auth, _ *x509.Certificate) { a.Current = "" }), []string{"fail certificates.auth contoso"}},
		{"auth: on no server", authChanged(func(a *Auth, _ *x509.Certificate) { a.Servers["EX1"] = nil }), []string{"fail certificates.auth contoso"}},
		{"auth: missing on one", authChanged(func(a *Auth, _ *x509.Certificate) { a.Servers["EX2"] = nil }), []string{"fail certificates.auth contoso"}},
		{"auth: ends in 20 days", authEnds(20, 0), []string{"fail certificates.auth contoso"}},
		{"auth: ends in 40 days", authEnds(40, 0), []string{"warn certificates.auth contoso"}},
		{"auth: ended", authEnds(-1, 0), []string{"fail certificates.auth contoso"}},
		{"auth: ends in 20 days, next staged", authEnds(20, 1000), nil},
		{"auth: ends in 20 days, next has 120", authEnds(20, 120), []string{"fail certificates.auth contoso"}},
		{"auth: ends in 20 days, next has 121", authEnds(20, 121), nil},
		{"auth: ends in 20 days, next ends soon too", authEnds(20, 100), []string{"fail certificates.auth contoso"}},
		{"auth: next nowhere", authChanged(func(a *Auth, _ *x509.Certificate) { a.Next = strings.Repeat("AB", 20) }), []string{"warn certificates.auth contoso"}},

		{"server too old", build("Version 15.2 (Build 1258.12)"), []string{"fail servers.build contoso"}},
		{"server too old, EWS route", func(t *testing.T, f *Facts, ca *authority) {
			build("Version 15.2 (Build 1258.12)")(t, f, ca)
			graphless(f)
		}, []string{"fail servers.build contoso", "warn tenant.ews-switch tenant"}},
		{"hotfix not told", build("Version 15.2 (Build 2562.17)"), []string{"warn servers.build contoso"}},
		{"version without support", func(t *testing.T, f *Facts, ca *authority) {
			build("Version 15.2 (Build 1748.39)")(t, f, ca)
			graphless(f)
		}, []string{"warn servers.build contoso", "warn tenant.ews-switch tenant"}},
		{"no servers", func(_ *testing.T, f *Facts, _ *authority) {
			graphless(f)
			f.Forests[0].Servers = Known([]Server{{Name: "EDGE", Version: "?", Edge: true}})
		}, []string{"fail servers.build contoso", "warn tenant.ews-switch tenant"}},
		{"version not readable", build("eleven"), []string{"error servers.build contoso"}},

		{"EWS off", config(OnlineConfig{EwsEnabled: &off}), []string{"fail tenant.ews-switch tenant"}},
		{"EWS not set", config(OnlineConfig{}), []string{"warn tenant.ews-switch tenant"}},
		{"EWS on, empty list", config(OnlineConfig{EwsEnabled: &on, ListKnown: true}), []string{"fail tenant.ews-switch tenant"}},
		{"EWS on, empty list, before October 2026", func(t *testing.T, f *Facts, ca *authority) {
			config(OnlineConfig{EwsEnabled: &on, ListKnown: true})(t, f, ca)
			f.Now = func() time.Time { return cloud.EWSRestricted.Add(-time.Second) }
		}, []string{"warn tenant.ews-switch tenant"}},
		{"keys at the shared application", func(_ *testing.T, f *Facts, _ *authority) {
			f.Tenant.ExchangePrincipal = Known(entra.ServicePrincipal{KeyCredentials: make([]entra.KeyCredential, 2)})
		}, []string{"warn tenant.shared-keys tenant"}},

		{"a policy for EWS online without lookups", config(OnlineConfig{EwsEnabled: &on, ListKnown: true, EwsAllowedAppIDs: []string{"other"}, EwsPolicy: EwsPolicy{Mode: "EnforceAllowList", Allow: []string{"OWA/*"}}}), []string{"warn tenant.ews-switch tenant"}},
		{"EWS off on-premises", organization(func(o *Organization) { o.EwsEnabled = &off }), []string{"fail oauth.virtual-directories contoso"}},
		{"EWS on on-premises", organization(func(o *Organization) { o.EwsEnabled = &on }), nil},
		{"a list of programs without lookups", organization(func(o *Organization) { o.EwsPolicy = EwsPolicy{Mode: "EnforceAllowList", Block: []string{"ASProxy/*"}} }), []string{"warn oauth.virtual-directories contoso"}},
		{"a list of programs with lookups", organization(func(o *Organization) {
			o.EwsPolicy = EwsPolicy{Mode: "EnforceAllowList", Allow: []string{"OWA/*", "asproxy/*"}}
		}), nil},
		{"a list of programs with lookups as the logs show them", organization(func(o *Organization) {
			o.EwsPolicy = EwsPolicy{Mode: "EnforceAllowList", Allow: []string{"ASProxy/CrossForest/EmailDomain/EXCH/*"}}
		}), nil},
		{"lookups blocked", organization(func(o *Organization) {
			o.EwsPolicy = EwsPolicy{Mode: "EnforceBlockList", Block: []string{"*CrossForest*"}}
		}), []string{"warn oauth.virtual-directories contoso"}},
		{"others blocked", organization(func(o *Organization) {
			o.EwsPolicy = EwsPolicy{Mode: "EnforceBlockList", Block: []string{"Archiver/*"}, Allow: []string{"x"}}
		}), nil},
		{"two overrides of one feature", overridden("Name", "Again", "SectionName", "exchangeonpremasthirdpartyappid"), []string{"fail oauth.overrides contoso"}},
		{"override for one server", overridden("Name", "G", "SectionName", "RouteThroughMSGraph", "Server", []any{"EX1"}), []string{"fail oauth.overrides contoso"}},
		{"override up to a version", overridden("Name", "G", "SectionName", "RouteThroughMSGraph", "MaxVersion", "15.2.1748.0"), []string{"fail oauth.overrides contoso"}},
		{"override from a version", overridden("Name", "G", "SectionName", "RouteThroughMSGraph", "MinVersion", "15.2.1748.0"), []string{"fail oauth.overrides contoso"}},
		{"overrides of two features", overridden("Name", "G", "SectionName", "RouteThroughMSGraph"), nil},
		{"transport: of a domain that the tenant does not accept", func(t *testing.T, f *Facts, ca *authority) {
			transport(leaf{cn: "mail.other.example", names: []string{"mail.other.example"}})(t, f, ca)
			f.Forests[0].Answers.Namespace = answers.Namespace{Autodiscover: "mail.other.example", EWS: "mail.other.example", SMTP: "mail.other.example"}
			directories(func(d []VirtualDirectory) { d[0].ExternalURL = "https://mail.other.example/EWS/Exchange.asmx" })(t, f, ca)
		}, []string{"warn certificates.transport contoso"}},

		{"transport: two levels under an accepted domain", func(t *testing.T, f *Facts, ca *authority) {
			transport(leaf{cn: "mail.eu.contoso.com", names: []string{"mail.eu.contoso.com"}})(t, f, ca)
			f.Forests[0].Answers.Namespace = answers.Namespace{Autodiscover: "mail.eu.contoso.com", EWS: "mail.eu.contoso.com", SMTP: "mail.eu.contoso.com"}
			directories(func(d []VirtualDirectory) { d[0].ExternalURL = "https://mail.eu.contoso.com/EWS/Exchange.asmx" })(t, f, ca)
		}, []string{"warn certificates.transport contoso"}},

		{"autodiscover takes no tokens", directories(func(d []VirtualDirectory) { d[1].OAuth = false }), []string{"fail oauth.virtual-directories contoso"}},
		{"EWS takes no tokens", directories(func(d []VirtualDirectory) { d[0].OAuth = false }), []string{"fail oauth.virtual-directories contoso"}},
		{"EWS publishes nothing", directories(func(d []VirtualDirectory) { d[0].ExternalURL = "" }), []string{"fail oauth.virtual-directories contoso"}},
		{"EWS publishes another name", directories(func(d []VirtualDirectory) { d[0].ExternalURL = "https://eu.contoso.com/EWS/Exchange.asmx" }), []string{"warn oauth.virtual-directories contoso"}},
		{"EWS on, list not told", config(OnlineConfig{EwsEnabled: &on}), []string{"warn tenant.ews-switch tenant"}},
		{"EWS on, application not listed", func(t *testing.T, f *Facts, ca *authority) {
			config(OnlineConfig{EwsEnabled: &on, ListKnown: true, EwsAllowedAppIDs: []string{"other"}})(t, f, ca)
			f.Tenant.Applications = NewKeyed(func(context.Context, string) ([]map[string]any, error) {
				return []map[string]any{{"appId": "mine"}}, nil
			})
		}, []string{"fail tenant.ews-switch tenant"}},
		{"EWS on, application listed", func(t *testing.T, f *Facts, ca *authority) {
			config(OnlineConfig{EwsEnabled: &on, ListKnown: true, EwsAllowedAppIDs: []string{"other", " MINE"}})(t, f, ca)
			f.Tenant.Applications = NewKeyed(func(context.Context, string) ([]map[string]any, error) {
				return []map[string]any{{"appId": "mine"}}, nil
			})
		}, []string{"warn tenant.ews-switch tenant"}},
		{"EWS gone", func(_ *testing.T, f *Facts, _ *authority) {
			graphless(f)
			f.Now = func() time.Time { return time.Date(2027, 4, 1, 0, 0, 0, 0, time.UTC) }
		}, []string{"fail tenant.ews-switch tenant", "warn certificates.transport contoso", "warn certificates.transport fabrikam"}},
		{"EWS gone, hotfix not told", func(t *testing.T, f *Facts, ca *authority) {
			build("Version 15.2 (Build 2562.17)")(t, f, ca)
			f.Answers.ExchangeOnline.RichCoexistence = "auto"
			f.Now = func() time.Time { return time.Date(2027, 4, 1, 0, 0, 0, 0, time.UTC) }
		}, []string{"warn certificates.transport contoso", "warn certificates.transport fabrikam", "warn servers.build contoso"}},
		{"EWS gone, too old for Graph", func(t *testing.T, f *Facts, ca *authority) {
			build("Version 15.2 (Build 1748.39)")(t, f, ca)
			f.Answers.ExchangeOnline.RichCoexistence = "auto"
			f.Now = func() time.Time { return time.Date(2027, 4, 1, 0, 0, 0, 0, time.UTC) }
		}, []string{"fail servers.build contoso", "fail tenant.ews-switch tenant", "warn certificates.transport contoso", "warn certificates.transport fabrikam"}},
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

func autodiscovered(a Autodiscover, err error) func(*testing.T, *Facts, *authority) {
	return func(_ *testing.T, f *Facts, _ *authority) {
		f.Forests[0].Autodiscover = NewKeyed(func(context.Context, string) (Autodiscover, error) { return a, err })
	}
}

func transport(l leaf) func(*testing.T, *Facts, *authority) {
	return func(t *testing.T, f *Facts, ca *authority) {
		if l.cn == "" {
			l.cn = "mail.contoso.com"
		}
		if l.names == nil {
			l.names = []string{"mail.contoso.com", "autodiscover.contoso.com", "ex1.contoso.com"}
		}
		f.Forests[0].CertificateFile = Known(ca.issue(t, l))
		f.Forests[0].CertificateServed = Failing[certificate.Bundle](link.ErrUnreachable)
	}
}

func directories(change func([]VirtualDirectory)) func(*testing.T, *Facts, *authority) {
	return func(t *testing.T, f *Facts, _ *authority) {
		list, err := f.Forests[0].VirtualDirectories.Get(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		list = slices.Clone(list)
		change(list)
		f.Forests[0].VirtualDirectories = Known(list)
	}
}

func authChanged(change func(*Auth, *x509.Certificate)) func(*testing.T, *Facts, *authority) {
	return func(t *testing.T, f *Facts, ca *authority) {
		a, err := f.Forests[0].Auth.Get(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		change(&a, a.Servers["EX1"][0])
		f.Forests[0].Auth = Known(a)
	}
}

// authEnds gives contoso an auth certificate with so many days left, and a next one when next is not 0.
func authEnds(left, next int) func(*testing.T, *Facts, *authority) {
	return func(t *testing.T, f *Facts, ca *authority) {
		current := ca.issue(t, leaf{cn: "auth", selfSigned: true, to: today.AddDate(0, 0, left)}).Leaf
		a := Auth{Current: certificate.Thumbprint(current), Servers: map[string][]*x509.Certificate{"EX1": {current}}}
		if next != 0 {
			coming := ca.issue(t, leaf{cn: "auth", selfSigned: true, to: today.AddDate(0, 0, next)}).Leaf
			a.Next = certificate.Thumbprint(coming)
			a.Servers["EX1"] = append(a.Servers["EX1"], coming)
		}
		f.Forests[0].Auth = Known(a)
	}
}

func build(version string) func(*testing.T, *Facts, *authority) {
	return func(_ *testing.T, f *Facts, _ *authority) {
		f.Forests[0].Servers = Known([]Server{{Name: "EX1", Version: version, Mailbox: true}})
	}
}

// What cannot be looked at is never a finding, and keeps its cause for the exit code.
func TestUnknownIsNoFinding(t *testing.T) {
	for name, cause := range map[string]error{"access": link.ErrAccess, "untrusted": link.ErrUntrusted, "unreachable": link.ErrUnreachable} {
		t.Run(name, func(t *testing.T) {
			f, _ := healthy(t)
			f.Answers.ExchangeOnline.RichCoexistence = "ews"
			err := fmt.Errorf("somewhere: %w", cause)
			t2 := &f.Tenant
			t2.Organization, t2.Domains, t2.Permissions = Failing[entra.Organization](err), Failing[[]entra.Domain](err), Failing[[]string](err)
			t2.AcceptedDomains, t2.Config, t2.Rights = Failing[[]AcceptedDomain](err), Failing[OnlineConfig](err), Failing[map[string]exchange.Allowance](err)
			f.Duplicates = Failing[[]Duplicate](err)
			for _, forest := range f.Forests {
				forest.Directory, forest.Users = Failing[directory.RootDSE](err), Failing[UserScan](err)
				forest.Servers, forest.AcceptedDomains, forest.Auth, forest.Rights = Failing[[]Server](err), Failing[[]AcceptedDomain](err), Failing[Auth](err), Failing[map[string]exchange.Allowance](err)
				forest.CertificateFile, forest.VirtualDirectories = Failing[certificate.Bundle](err), Failing[[]VirtualDirectory](err)
				forest.Objects = NewKeyed(func(context.Context, string) ([]exchange.Object, error) { return nil, err })
			}
			t2.ExchangePrincipal = Failing[entra.ServicePrincipal](err)
			// Every check by itself: what one needs is not to hide it.
			for _, declaration := range Declarations() {
				declaration.Needs = nil
				report, runErr := check.Run(t.Context(), []check.Check[Input]{declaration}, Scopes(f), check.Options{}, nil)
				if runErr != nil {
					t.Fatal(runErr)
				}
				for _, r := range report.Results {
					if r.ID == "autodiscover.answers" {
						continue // looks at something else
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
		"published":     {[]string{"MS=MS123"}, nil, "waits to be verified"},
		"missing":       {[]string{"v=spf1"}, nil, "lacks its TXT record MS=ms123"},
		"another":       {[]string{"MS=ms999"}, nil, "another tenant's"},
		"no such name":  {nil, dns.ErrAbsent, "lacks its TXT record"},
		"nobody to ask": {nil, dns.ErrFailed, ""},
	} {
		t.Run(name, func(t *testing.T) {
			f, _ := healthy(t)
			f.TXT = NewKeyed(func(context.Context, string) ([]string, error) { return tt.txt, tt.err })
			got, err := proof(t.Context(), Input{Facts: f}, "contoso.com")
			if !strings.Contains(got, tt.want) || (err != nil) != (tt.want == "") {
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

func TestCount(t *testing.T) {
	for n, want := range map[int]string{0: "0", 999: "999", 1000: "1,000", 1234567: "1,234,567"} {
		if got := count(n); got != want {
			t.Errorf("count(%d) = %s", n, got)
		}
	}
}

// A tenant where the switch is not set is told whether EWS ends for it or has ended.
func TestEWSSwitchSaysSinceWhen(t *testing.T) {
	for _, test := range []struct {
		now  time.Time
		want string
	}{{cloud.EWSRestricted.Add(-time.Second), "from 2026-10-01 on"}, {cloud.EWSRestricted, "since 2026-10-01"}} {
		f, _ := healthy(t)
		f.Answers.ExchangeOnline.RichCoexistence = "ews"
		f.Tenant.Config = Known(OnlineConfig{})
		f.Now = func() time.Time { return test.now }
		_, report := outcome(t, f)
		at := slices.IndexFunc(report.Results, func(r check.Result) bool { return r.ID == "tenant.ews-switch" })
		if got := report.Results[at]; got.Status != check.StatusWarn || !strings.Contains(got.Summary.String(), test.want) {
			t.Errorf("%s: %s %s", test.now, got.Status, got.Summary)
		}
	}
}

// An application's token names roles, a person's scopes.
func TestTokenPermissions(t *testing.T) {
	for claims, want := range map[string][]string{
		`{"roles":["A.Read","B.Read"]}`:         {"A.Read", "B.Read"},
		`{"scp":"A.Read B.Read"}`:               {"A.Read", "B.Read"},
		`{"roles":["A.Read"],"scp":"C.Read  "}`: {"A.Read", "C.Read"},
		`{}`:                                    nil,
		`no claims`:                             nil,
	} {
		encode := base64.RawURLEncoding.EncodeToString
		token := encode([]byte(`{"alg":"RS256"}`)) + "." + encode([]byte(claims)) + "." + encode([]byte("signature"))
		if diff := cmp.Diff(want, TokenPermissions(token)); diff != "" {
			t.Errorf("%s: %s", claims, diff)
		}
	}
}
