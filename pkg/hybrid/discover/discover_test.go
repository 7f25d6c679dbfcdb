package discover

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/hybridge-cli/hybridge/pkg/config/answers"
	"github.com/hybridge-cli/hybridge/pkg/config/cloud"
	"github.com/hybridge-cli/hybridge/pkg/engine/observe"
	"github.com/hybridge-cli/hybridge/pkg/estate/directory"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/fact"
	"github.com/hybridge-cli/hybridge/pkg/wire/dns"
)

// forest is a directory with an Exchange organization.
type forest struct {
	exchange directory.Exchange
	trusts   []directory.Trust
	users    []directory.User
	err      error
	unread   error // of Recipients
}

func (f forest) RootDSE() directory.RootDSE { return directory.RootDSE{} }

func (f forest) Setup(context.Context) (directory.Setup, error) { return directory.Setup{}, nil }

func (f forest) Exchange(context.Context) (*directory.Exchange, error) { return &f.exchange, f.err }

func (f forest) Facts(context.Context) (directory.Facts, error) {
	return directory.Facts{Trusts: f.trusts}, nil
}

func (f forest) Users(context.Context) iter.Seq2[directory.User, error] {
	return func(yield func(directory.User, error) bool) {
		for _, u := range f.users {
			if !yield(u, nil) {
				return
			}
		}
	}
}

// Recipients knows users by the user principal name alone.
func (f forest) Recipients(_ context.Context, account string) ([]directory.User, error) {
	if f.unread != nil {
		return nil, f.unread
	}
	return slices.DeleteFunc(slices.Clone(f.users), func(u directory.User) bool { return u.UPN != account }), nil
}

func version(text string) directory.Version {
	var v directory.Version
	_, _ = fmt.Sscanf(text, "%d.%d.%d.%d", &v.Major, &v.Minor, &v.Build, &v.Revision)
	return v
}

// world is what DNS, the directory and the sign-in hosts know.
type world struct {
	forest  forest
	bind    answers.Credential
	records map[string]string         // "TYPE name" -> target
	tenants map[string]fact.Residence // "login host/domain"
	broken  map[string]error          // "TYPE name"
	silent  bool                      // the sign-in hosts
}

func contoso() world {
	return world{
		forest: forest{exchange: directory.Exchange{
			Organization: directory.Organization{Object: directory.Object{Name: "Contoso"}},
			AcceptedDomains: []directory.AcceptedDomain{{Domain: "sub.contoso.com"},
				{Domain: "Contoso.com", Default: true}, {Domain: "relay.example", Type: directory.InternalRelay},
				{Domain: "contoso.mail.onmicrosoft.com"}, {Domain: "local"}},
			Servers: []directory.Server{
				{Object: directory.Object{Name: "OLD"}, FQDN: "old.contoso.com", Version: version("15.1.2507.1")},
				{Object: directory.Object{Name: "EX1"}, FQDN: "EX1.contoso.com", Version: version("15.2.2562.17"),
					Roles: directory.RoleMailbox},
				{Object: directory.Object{Name: "EDGE"}, FQDN: "edge.contoso.com", Version: version("15.2.9999.1"),
					Roles: directory.RoleEdge}},
			VirtualDirectories: []directory.VirtualDirectory{
				{Kind: "EWS", Server: "EX1", ExternalURL: "https://mail.contoso.com/EWS/Exchange.asmx"},
				{Kind: "PowerShell", Server: "EX1"}},
		}, users: []directory.User{
			{Type: directory.UserMailbox, Primary: []string{"off@contoso.com"}, Account: directory.AccountDisabled},
			{Type: directory.UserMailbox, Primary: []string{"anna@contoso.com"}, UPN: "anna@contoso.com"},
			{Type: directory.RemoteUserMailbox, Primary: []string{"bob@contoso.com"}, UPN: "bob@contoso.com"},
		}},
		bind: answers.Credential{Kind: answers.CredentialKerberos},
		records: map[string]string{"SRV _ldap._tcp.dc._msdcs.contoso.com": "dc1.contoso.com",
			"A autodiscover.contoso.com": "192.0.2.1", "MX contoso.com": "mx.contoso.com"},
		tenants: map[string]fact.Residence{
			"https://login.microsoftonline.com/contoso.com":     {ID: "t1", Region: "EU"},
			"https://login.microsoftonline.com/sub.contoso.com": {ID: "t1", Region: "EU"}},
		broken: map[string]error{},
	}
}

func (w world) set(c cloud.Cloud) *fact.Set {
	set := fact.New(answers.Answers{Forests: []answers.Forest{{Name: "", Directory: answers.Directory{
		Domain: "contoso.com", Bind: w.bind}}}}, c)
	set.Forests[0].Directory = func(context.Context) (fact.Directory, error) { return w.forest, nil }
	set.Network.Lookup = func(_ context.Context, name string, t dns.Type) (dns.Answer, error) {
		key := string(t) + " " + name
		if err := w.broken[key]; err != nil {
			return dns.Answer{}, err
		}
		target, ok := w.records[key]
		switch {
		case !ok:
			return dns.Answer{}, fmt.Errorf("%s: %w", key, dns.ErrAbsent)
		case t == dns.TXT:
			return dns.Answer{Chain: []string{target}}, nil
		}
		return dns.Answer{Records: []dns.Record{{Type: t, Target: target}}}, nil
	}
	fact.DomainTenants.SeedAll(set.Network, func(domain string) (fact.Residence, error) {
		if w.silent {
			return fact.Residence{}, errors.New("no route")
		}
		if r, ok := w.tenants[c.Login+"/"+domain]; ok {
			return r, nil
		}
		return fact.Residence{}, fact.ErrNoTenant
	})
	return set
}

func (w world) look() Found {
	worldwide, _ := cloud.Get("worldwide")
	return Run(context.Background(), w.set(worldwide), func(id string) *fact.Set {
		c, _ := cloud.Get(id)
		return w.set(c)
	}, observe.Func(func(observe.Event) {}))
}

func values(f Found) map[string]string {
	out := map[string]string{}
	for _, p := range f.Proposals {
		out[p.Question] = strings.Join(p.Values, " ")
	}
	return out
}

func TestWhole(t *testing.T) {
	found := contoso().look()
	want := map[string]string{
		"organization": "Contoso", "forests[].name": "contoso", "forests[].directory.domain": "contoso.com",
		"forests[].domains":         "contoso.com sub.contoso.com",
		"forests[].exchange.server": "ex1.contoso.com", "forests[].exchange.credential.kind": "kerberos",
		"forests[].namespace.autodiscover": "autodiscover.contoso.com", "forests[].namespace.ews": "mail.contoso.com",
		"forests[].namespace.smtp": "mx.contoso.com", "exchangeOnline.cloud": "worldwide",
		"exchangeOnline.tenant": "contoso.onmicrosoft.com", "exchangeOnline.credential.kind": "deviceCode",
		"tests.pairs[].from": "anna@contoso.com", "tests.pairs[].to": "bob@contoso.com",
	}
	if diff := cmp.Diff(want, values(found)); diff != "" || len(found.Gaps) != 1 ||
		!strings.HasPrefix(found.Gaps[0].What, "who asks for free/busy in ") {
		t.Errorf("gaps %v, -want +got:\n%s", found.Gaps, diff)
	}
	for _, p := range found.Proposals {
		if p.From.String() == "" {
			t.Errorf("%s does not say where it comes from", p.Question)
		}
	}
}

func TestVariants(t *testing.T) {
	for name, test := range map[string]struct {
		change func(*world)
		want   map[string]string // "": no proposal
		gap    string
	}{
		"the name of setup says nothing": {func(w *world) {
			w.forest.exchange.Organization.Name = "First Organization"
		}, map[string]string{"organization": ""}, ""},
		"mail goes to the cloud first": {func(w *world) {
			w.records["MX contoso.com"] = "contoso-com.mail.protection.outlook.com"
		}, map[string]string{"forests[].namespace.smtp": "mail.contoso.com"}, ""},
		"mail goes to a filter first": {func(w *world) {
			w.records["MX contoso.com"] = "mx1.filter.example"
		}, map[string]string{"forests[].namespace.smtp": "mail.contoso.com"}, ""},
		"21Vianet": {func(w *world) {
			w.forest.exchange.AcceptedDomains[3].Domain = "contoso.partner.mail.onmschina.cn"
		}, map[string]string{"exchangeOnline.tenant": "contoso.partner.onmschina.cn",
			"forests[].domains": "contoso.com sub.contoso.com"}, ""},
		"a domain that no tenant has": {func(w *world) {
			delete(w.tenants, "https://login.microsoftonline.com/sub.contoso.com")
		}, map[string]string{"forests[].domains": "contoso.com"}, "no tenant has verified this domain"},
		"a domain of another tenant": {func(w *world) {
			w.tenants["https://login.microsoftonline.com/sub.contoso.com"] = fact.Residence{ID: "t2"}
		}, map[string]string{"forests[].domains": "contoso.com"}, "belongs to another tenant, t2"},
		"GCC High": {func(w *world) {
			w.tenants = map[string]fact.Residence{"https://login.microsoftonline.us/contoso.com": {ID: "t1",
				Region: "USGov", SubScope: "DODCON"}, "https://login.microsoftonline.us/sub.contoso.com": {ID: "t1"}}
		}, map[string]string{"exchangeOnline.cloud": "gcc-high", "forests[].domains": "contoso.com sub.contoso.com"}, ""},
		"DoD, whose sign-in host is that of GCC High": {func(w *world) {
			w.tenants = map[string]fact.Residence{"https://login.microsoftonline.us/contoso.com": {ID: "t1",
				Region: "USGov", SubScope: "DOD"}, "https://login.microsoftonline.us/sub.contoso.com": {ID: "t1"}}
		}, map[string]string{"exchangeOnline.cloud": "dod", "forests[].domains": "contoso.com sub.contoso.com"}, ""},
		"the initial domain by DKIM": {func(w *world) {
			w.forest.exchange.AcceptedDomains = w.forest.exchange.AcceptedDomains[:2]
			w.records["TXT selector1._domainkey.contoso.com"] =
				"selector1-contoso-com._domainkey.contoso.onmicrosoft.com"
		}, map[string]string{"exchangeOnline.tenant": "contoso.onmicrosoft.com"}, ""},
		"no sign of the initial domain": {func(w *world) {
			w.forest.exchange.AcceptedDomains = w.forest.exchange.AcceptedDomains[:2]
		}, map[string]string{"exchangeOnline.tenant": ""}, "initial domain"},
		"no autodiscover": {func(w *world) { delete(w.records, "A autodiscover.contoso.com") },
			map[string]string{"forests[].namespace.autodiscover": ""}, "DNS has no autodiscover.contoso.com"},
		"a resolver that fails is no absence": {func(w *world) {
			for _, name := range []string{"A", "AAAA"} {
				w.broken[name+" autodiscover.contoso.com"] = fmt.Errorf("SERVFAIL: %w", dns.ErrFailed)
			}
		}, map[string]string{"forests[].namespace.autodiscover": ""}, "SERVFAIL"},
		"sign-in hosts that do not answer": {func(w *world) { w.silent = true },
			map[string]string{"forests[].domains": "contoso.com sub.contoso.com", "exchangeOnline.cloud": ""},
			"no route"},
		"no directory": {func(w *world) { w.forest.err = errors.New("access refused") },
			map[string]string{"organization": "", "forests[].exchange.server": "",
				"forests[].namespace.smtp": "mx.contoso.com"}, "access refused"},
		"an account with a password where remote PowerShell takes Basic": {func(w *world) {
			w.bind = answers.Credential{Kind: answers.CredentialPassword, User: "svc@contoso.com", Password: "prompt"}
			w.forest.exchange.VirtualDirectories[1].InternalAuth = basicAuthentication
		}, map[string]string{"forests[].exchange.credential.kind": "basic",
			"forests[].exchange.credential.user": "svc@contoso.com", "forests[].exchange.credential.password": "prompt",
			"forests[].exchange.url": "https://ex1.contoso.com/PowerShell/"}, ""},
		"an account with a password": {func(w *world) {
			w.bind = answers.Credential{Kind: answers.CredentialPassword, User: "svc@contoso.com", Password: "prompt"}
		}, map[string]string{"forests[].exchange.credential.kind": "password", "forests[].exchange.url": "",
			"forests[].exchange.ews.kind": "password", "forests[].exchange.ews.user": "anna@contoso.com",
			"forests[].exchange.ews.password": "prompt"}, ""},
		"an account with a mailbox asks itself": {func(w *world) {
			w.bind = answers.Credential{Kind: answers.CredentialPassword, User: "anna@contoso.com", Password: "prompt"}
		}, map[string]string{"forests[].exchange.ews.kind": "", "forests[].exchange.ews.user": ""}, ""},
		"a file for runs without a person asks for nothing": {func(w *world) {
			w.bind = answers.Credential{Kind: answers.CredentialPassword, User: "svc@contoso.com", Password: "env:P"}
		}, map[string]string{"forests[].exchange.ews.kind": "", "forests[].exchange.ews.password": ""},
			"forests[].exchange.ews, such as anna@contoso.com"},
		"a remote mailbox is none that asks": {func(w *world) {
			w.bind = answers.Credential{Kind: answers.CredentialPassword, User: "bob@contoso.com", Password: "prompt"}
		}, map[string]string{"forests[].exchange.ews.user": "anna@contoso.com"}, ""},
		"an account whose mailbox is not known": {func(w *world) {
			w.bind = answers.Credential{Kind: answers.CredentialPassword, User: "svc@contoso.com", Password: "prompt"}
			w.forest.unread = errors.New("the search failed")
		}, map[string]string{"forests[].exchange.ews.kind": ""}, "who asks for free/busy in contoso.com: the search failed"},
		"no person has a mailbox on premises": {func(w *world) {
			w.bind = answers.Credential{Kind: answers.CredentialPassword, User: "svc@contoso.com", Password: "prompt"}
			w.forest.users = w.forest.users[2:]
		}, map[string]string{"forests[].exchange.ews.kind": ""}, "svc@contoso.com has no mailbox"},
		"no one in the cloud": {func(w *world) { w.forest.users = w.forest.users[:2] },
			map[string]string{"tests.pairs[].from": "", "tests.pairs[].to": ""}, ""},
		"hybrid already": {func(w *world) {
			w.forest.exchange.Hybrid = &directory.HybridConfiguration{
				Features: directory.HybridFreeBusy | directory.HybridCentralizedTransport}
		}, map[string]string{"features": "freeBusy centralizedTransport"}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			w := contoso()
			test.change(&w)
			found := w.look()
			got := values(found)
			for key, want := range test.want {
				if got[key] != want {
					t.Errorf("%s: %q, want %q", key, got[key], want)
				}
			}
			var gaps []string
			for _, g := range found.Gaps {
				if w.bind.Kind == answers.CredentialKerberos && strings.HasPrefix(g.What, "who asks") {
					continue // TestWhole
				}
				gaps = append(gaps, g.What+": "+g.Why.String())
			}
			if text := strings.Join(gaps, "\n"); test.gap == "" && text != "" || !strings.Contains(text, test.gap) {
				t.Errorf("gaps %q, want %q", gaps, test.gap)
			}
		})
	}
}

// Forests that are trusted, or asked for free/busy, may take part too.
func TestFurtherForests(t *testing.T) {
	w := contoso()
	w.forest.trusts = []directory.Trust{{Partner: "Fabrikam.example", Attributes: 8}, {Partner: "child.contoso.com"}}
	w.forest.exchange.AddressSpaces = []directory.AvailabilityAddressSpace{{Forest: "adatum.example"},
		{Forest: "contoso.com"}}
	if found := w.look(); !slices.Equal(found.Forests, []string{"adatum.example", "fabrikam.example"}) {
		t.Errorf("%v", found.Forests)
	}
}

// Answers that a person gave stay.
func TestInto(t *testing.T) {
	d, err := answers.New("answers.yaml", "single-forest")
	if err != nil {
		t.Fatal(err)
	}
	d.Set("organization", "Mine")
	taken := contoso().look().Into(d)
	d.Prune()
	a, err := d.Answers()
	if err != nil {
		t.Fatal(err)
	}
	if a.Organization != "Mine" || a.Forests[0].Exchange.Server != "ex1.contoso.com" || len(a.Tests.Pairs) != 2 {
		t.Errorf("%+v", a)
	}
	if slices.ContainsFunc(taken, func(p Proposal) bool { return p.Question == "organization" }) || len(taken) < 10 {
		t.Errorf("taken: %v", taken)
	}
}
