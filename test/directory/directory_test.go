//go:build linux

package directory

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/hybridge-cli/hybridge/pkg/config/answers"
	"github.com/hybridge-cli/hybridge/pkg/config/secret"
	"github.com/hybridge-cli/hybridge/pkg/estate/directory"
	"github.com/hybridge-cli/hybridge/pkg/wire/link"
)

// need skips a test that cannot run here, and says why. Under CI=true it fails the test.
func need(t *testing.T, missing string) {
	t.Helper()
	if missing == "" {
		return
	}
	if os.Getenv("CI") == "true" {
		t.Fatalf("REAL PEER MISSING: %s", missing)
	}
	t.Skipf("REAL PEER MISSING, not tested against Samba: %s", missing)
}

// config reads f with an ordinary account, by name and password over LDAPS.
func config(t *testing.T, f *Forest) directory.Config {
	t.Helper()
	l, err := link.New(link.Options{CAFile: f.CAFile, ConnectTo: []string{f.Host + ":=" + f.Address + ":"},
		Timeout: 10 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	return directory.Config{
		Name: f.Name, Link: l, Timeout: 20 * time.Second, Password: secret.NewValue(f.Password),
		Directory: answers.Directory{Domain: f.Domain, Servers: []string{f.Host},
			Bind: answers.Credential{Kind: answers.CredentialPassword, User: f.Reader}},
	}
}

func open(t *testing.T, c directory.Config) *directory.Forest {
	t.Helper()
	f, err := directory.Open(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(f.Close)
	return f
}

// The answers files must be valid, even where no forest can run.
func TestAnswersFiles(t *testing.T) {
	dir := t.TempDir()
	ca := filepath.Join(dir, "one.pem")
	if err := os.WriteFile(ca, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	var forests []*Forest
	for i, name := range []string{"contoso", "fabrikam"} {
		forests = append(forests, &Forest{Name: name, Domain: name + ".example", Host: "dc1." + name + ".example",
			Address: fmt.Sprintf("127.0.10.%d", i+1), CAFile: ca,
			Reader: "reader@" + name + ".example", Keytab: "/dir/reader.keytab", Krb5Config: "/dir/krb5.conf"})
	}
	if err := WriteAnswers(dir, forests); err != nil {
		t.Fatal(err)
	}
	for name, kind := range map[string]answers.CredentialKind{"answers.yaml": answers.CredentialPassword,
		"answers-kerberos.yaml": answers.CredentialKeytab} {
		a, err := answers.Load(t.Context(), filepath.Join(dir, name))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if len(a.Forests) != 2 || a.Forests[1].Directory.Bind.Kind != kind {
			t.Errorf("%s: %+v", name, a.Forests)
		}
	}
}

func TestSamba(t *testing.T) {
	need(t, Missing())
	if testing.Short() {
		t.Skip("short")
	}
	dir, err := os.MkdirTemp("", "forests")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	forests, err := Pair(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range forests {
		t.Cleanup(f.Down)
	}

	t.Run("binds", func(t *testing.T) { testBinds(t, forests[0]) })
	t.Run("refusals", func(t *testing.T) { testRefusals(t, forests) })
	for _, f := range forests {
		t.Run("facts of "+f.Name, func(t *testing.T) { testFacts(t, f) })
		t.Run("exchange of "+f.Name, func(t *testing.T) { testExchange(t, f) })
		t.Run("users of "+f.Name, func(t *testing.T) { testUsers(t, f) })
	}
	t.Run("across forests", func(t *testing.T) { testAcross(t, forests) })
	t.Run("check", func(t *testing.T) { testCheck(t, dir, forests) })
	t.Run("the lab answers as Samba", func(t *testing.T) { testLab(t, forests[0]) })
	t.Run("hidden properties", func(t *testing.T) { testHidden(t, forests[0]) })
	t.Run("stopped", func(t *testing.T) { testStopped(t, forests[1]) })
}

// Every way to bind must read the same users.
func testBinds(t *testing.T, f *Forest) {
	cache, err := f.TicketCache(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		bind     answers.Credential
		password string
	}{
		"password": {answers.Credential{Kind: answers.CredentialPassword, User: f.Reader}, f.Password},
		"NetBIOS name": {answers.Credential{Kind: answers.CredentialPassword, User: f.NetBIOS + `\reader`},
			f.Password},
		"Kerberos, password": {answers.Credential{Kind: answers.CredentialKerberos, User: "reader@" + f.Realm,
			Krb5Config: f.Krb5Config}, f.Password},
		"Kerberos, lower": {answers.Credential{Kind: answers.CredentialKerberos, User: f.Reader,
			Krb5Config: f.Krb5Config}, f.Password},
		"Kerberos, keytab": {answers.Credential{Kind: answers.CredentialKeytab, User: f.Reader, Keytab: f.Keytab,
			Krb5Config: f.Krb5Config}, ""},
		"Kerberos, from kinit": {answers.Credential{Kind: answers.CredentialKerberos, TicketCache: cache,
			Krb5Config: f.Krb5Config}, ""},
	} {
		for _, security := range []string{"ldaps", "starttls"} {
			t.Run(name+" over "+security, func(t *testing.T) {
				cfg := config(t, f)
				cfg.Directory.Security, cfg.Directory.Bind, cfg.Password = security, c.bind, secret.NewValue(c.password)
				n := 0
				for _, err := range open(t, cfg).Users(t.Context()) {
					if err != nil {
						t.Fatal(err)
					}
					n++
				}
				if n != Planted(f.Name).Expect.Users {
					t.Errorf("%d users", n)
				}
			})
		}
	}
	t.Run("by address", func(t *testing.T) { // the principal's name comes from the server
		cfg := config(t, f)
		cfg.Directory.Servers = []string{f.Address}
		cfg.Directory.Bind = answers.Credential{Kind: answers.CredentialKerberos, User: f.Reader,
			Krb5Config: f.Krb5Config}
		open(t, cfg)
	})
}

func testRefusals(t *testing.T, forests []*Forest) {
	f := forests[0]
	kerberos := func(user string) answers.Credential {
		return answers.Credential{Kind: answers.CredentialKerberos, User: user, Krb5Config: f.Krb5Config}
	}
	// A realm whose key distribution center is down.
	conf, err := os.ReadFile(f.Krb5Config)
	if err != nil {
		t.Fatal(err)
	}
	down := filepath.Join(t.TempDir(), "krb5.conf")
	if err := os.WriteFile(down, []byte(strings.ReplaceAll(string(conf), "kdc = "+f.Address, "kdc = 127.0.0.1:9")),
		0o600); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		change func(*directory.Config)
		class  error
		want   string
	}{
		"no key distribution center": {func(c *directory.Config) {
			c.Directory.Bind = answers.Credential{Kind: answers.CredentialKerberos, User: f.Reader, Krb5Config: down}
		}, link.ErrUnreachable, "key distribution center"},
		"wrong password": {func(c *directory.Config) { c.Password = secret.NewValue("wrong") }, link.ErrAccess,
			"wrong user name or password"},
		"unknown user": {func(c *directory.Config) { c.Directory.Bind.User = "nobody@" + f.Domain }, link.ErrAccess,
			"wrong user name or password"},
		"disabled": {func(c *directory.Config) { c.Directory.Bind.User = f.Gone }, link.ErrAccess,
			"the account is disabled"},
		"wrong password, Kerberos": {func(c *directory.Config) {
			c.Directory.Bind, c.Password = kerberos(f.Reader), secret.NewValue("wrong")
		}, link.ErrAccess, "wrong user name or password"},
		"unknown user, Kerberos": {func(c *directory.Config) { c.Directory.Bind = kerberos("nobody@" + f.Domain) },
			link.ErrAccess, "no such user in this realm"},
		"disabled, Kerberos": {func(c *directory.Config) { c.Directory.Bind = kerberos(f.Gone) }, link.ErrAccess,
			"the account is disabled, expired or locked out"},
		"untrusted": {func(c *directory.Config) {
			l, err := link.New(link.Options{CAFile: forests[1].CAFile,
				ConnectTo: []string{f.Host + ":=" + f.Address + ":"}})
			if err != nil {
				t.Fatal(err)
			}
			c.Link = l
		}, link.ErrUntrusted, "not trusted"},
		"another forest's server": {func(c *directory.Config) {
			l, err := link.New(link.Options{CAFile: forests[1].CAFile,
				ConnectTo: []string{f.Host + ":=" + forests[1].Address + ":"}})
			if err != nil {
				t.Fatal(err)
			}
			c.Link = l
		}, link.ErrUntrusted, "the certificate is not for " + f.Host},
	} {
		for _, security := range []string{"ldaps", "starttls"} {
			cfg := config(t, f)
			cfg.Directory.Security = security
			c.change(&cfg)
			opened, err := directory.Open(t.Context(), cfg)
			if err == nil {
				opened.Close()
				t.Errorf("%s over %s: opened", name, security)
				continue
			}
			t.Logf("%s over %s: %v", name, security, err)
			if !errors.Is(err, c.class) || !strings.Contains(err.Error(), c.want) ||
				strings.Contains(err.Error(), "\n") {
				t.Errorf("%s over %s: %v; want %q of class %v", name, security, err, c.want, c.class)
			}
		}
	}
}

func testFacts(t *testing.T, f *Forest) {
	got, err := open(t, config(t, f)).Facts(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	want := directory.Facts{
		Domains:     []directory.Domain{{DN: f.DomainDN(), DNSName: f.Domain, NetBIOS: f.NetBIOS}},
		UPNSuffixes: Planted(f.Name).UPNSuffixes, SchemaVersion: 17003,
	}
	if diff := cmp.Diff(want, got, cmpopts.IgnoreFields(directory.Facts{}, "Level"),
		cmpopts.IgnoreFields(directory.Domain{}, "Level")); diff != "" {
		t.Error(diff)
	}
	if got.Level < 4 || got.Level == directory.LevelUnknown { // Samba provisions 2008 R2
		t.Errorf("functional level %d", got.Level)
	}
}

func testExchange(t *testing.T, f *Forest) {
	x, err := open(t, config(t, f)).Exchange(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	planted := Planted(f.Name).Organization
	if x.Organization.Name != planted.Name || x.Organization.GUID == (directory.GUID{}) ||
		x.Organization.ObjectVersion != 16763 {
		t.Errorf("organization %+v", x.Organization)
	}
	var servers []string
	for _, s := range x.Servers {
		servers = append(servers, fmt.Sprint(s.FQDN, " ", s.Version, " ", s.Site, " ", len(s.InternalTLSCertificate),
			s.Hidden))
	}
	if diff := cmp.Diff([]string{"ex1." + f.Domain + " 15.2.2562.17 Default-First-Site-Name 27 []",
		"ex2." + f.Domain + " 15.1.2507.6 Default-First-Site-Name 0 []"}, servers); diff != "" {
		t.Error(diff)
	}
	ignore := cmpopts.IgnoreTypes(directory.Object{})
	a := planted.AuthServers[0]
	want := &directory.Exchange{
		AcceptedDomains: []directory.AcceptedDomain{{Domain: f.Domain, Default: true},
			{Domain: f.Name + ".mail.onmicrosoft.com", Type: directory.InternalRelay}},
		RemoteDomains: []directory.RemoteDomain{{Domain: "*"}},
		Relationships: []directory.OrganizationRelationship{{Domains: []string{f.Name + ".mail.onmicrosoft.com",
			f.Name + ".onmicrosoft.com"}, Enabled: true,
			Actions:        []string{"MSExchange.MailTipsAccessEnabled", "MSExchange.SharingCalendarFreeBusyEnabled"},
			ApplicationURI: "outlook.com", AutodiscoverURL: planted.Relationships[0].AutodiscoverURL}},
		Connectors: []directory.IntraOrganizationConnector{{Domains: []string{f.Name + ".mail.onmicrosoft.com"},
			DiscoveryEndpoint: planted.Connectors[0].DiscoveryEndpoint, Enabled: true}},
		AddressSpaces: []directory.AvailabilityAddressSpace{{Forest: "other.example", AccessMethod: "OrgWideFB",
			User: `OTHER\svc`, UseServiceAccount: true, ProxyURL: "https://proxy.example/EWS",
			AutodiscoverURL: "https://autodiscover.other.example/autodiscover/autodiscover.xml"}},
		Auth: &directory.AuthConfig{Thumbprints: planted.AuthThumbprints,
			IssuerName: "00000002-0000-0ff1-ce00-000000000000"},
		AuthServers: []directory.AuthServer{{IssuerName: a.IssuerName, MetadataURL: a.MetadataURL, Realm: a.Realm,
			ApplicationIdentifier: a.ApplicationIdentifier, Type: "AzureAD",
			Enabled: true, DefaultAuthorization: true, Domains: []string{f.Domain}}},
		PartnerApplications: []directory.PartnerApplication{{ApplicationIdentifier: "00000002-0000-0ff1-ce00-000000000000", Enabled: true, UseAuthServer: true}},
		Hybrid: &directory.HybridConfiguration{Domains: []string{f.Domain},
			TLSCertificateName: "<I>CN=Example CA<S>CN=mail." + f.Domain, SmartHost: "mail." + f.Domain,
			Features: directory.HybridFreeBusy | directory.HybridMoveMailbox | directory.HybridMailTips | directory.HybridSecureMail},
		SendConnectors: []directory.SendConnector{{AddressSpaces: []string{"SMTP:" + f.Name +
			".mail.onmicrosoft.com;1"}}},
	}
	if diff := cmp.Diff(want, x, ignore,
		cmpopts.IgnoreFields(directory.Exchange{}, "Organization", "Servers", "VirtualDirectories", "AddressPolicies",
			"ServicePoints"),
		cmpopts.SortSlices(func(a, b string) bool { return a < b })); diff != "" {
		t.Error(diff)
	}
	ews := slices.IndexFunc(x.VirtualDirectories,
		func(v directory.VirtualDirectory) bool { return v.Kind == "EWS" && v.Server == "EX1" })
	if len(x.VirtualDirectories) != 16 || ews < 0 ||
		x.VirtualDirectories[ews].ExternalURL != "https://mail."+f.Domain+"/EWS/Exchange.asmx" ||
		!x.VirtualDirectories[ews].MRSProxy {
		t.Errorf("virtual directories: %+v", x.VirtualDirectories)
	}
	if urls := directory.RankServicePoints(x.ServicePoints, ""); len(urls) != 2 ||
		urls[0] != "https://autodiscover."+f.Domain+"/Autodiscover/Autodiscover.xml" {
		t.Errorf("service connection points: %v", urls)
	}
}

// testUsers compares every user with the plan.
func testUsers(t *testing.T, f *Forest) {
	want := map[string]directory.User{}
	for _, p := range Planted(f.Name).Users {
		u := directory.User{UPN: p.UPN, SAMAccountName: p.SAMAccountName, Mail: p.Mail, TargetAddress: p.TargetAddress,
			Type: directory.RecipientType(p.RecipientType), RemoteType: p.RemoteType,
			Account: directory.AccountEnabled, Addressed: len(p.ProxyAddresses) > 0, Nickname: p.SAMAccountName}
		if p.Disabled {
			u.Account = directory.AccountDisabled
		}
		for _, a := range p.ProxyAddresses {
			if address, ok := strings.CutPrefix(a, "SMTP:"); ok {
				u.Primary = append(u.Primary, address)
			} else if address, ok := strings.CutPrefix(a, "smtp:"); ok {
				u.Aliases = append(u.Aliases, address)
			} else {
				u.Others = append(u.Others, strings.ToLower(a))
			}
		}
		want[u.SAMAccountName] = u
	}
	got := map[string]directory.User{}
	for u, err := range open(t, config(t, f)).Users(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		if u.GUID == (directory.GUID{}) || !strings.HasSuffix(u.DN, f.DomainDN()) {
			t.Errorf("user %+v", u)
		}
		u.GUID, u.DN = directory.GUID{}, ""
		if _, twice := got[u.SAMAccountName]; twice {
			t.Errorf("%s came twice", u.SAMAccountName)
		}
		got[u.SAMAccountName] = u
	}
	if diff := cmp.Diff(want, got, cmpopts.SortSlices(func(a, b string) bool { return a < b })); diff != "" {
		t.Error(diff)
	}
	// OpenLDAP's client must count the same.
	cmd := exec.CommandContext(t.Context(), "ldapsearch", "-LLL", "-o", "ldif_wrap=no", "-E", "pr=1000/noprompt", "-H",
		"ldaps://"+f.Address, "-x", "-D", f.Reader, "-w", f.Password, "-b", f.DomainDN(),
		"(&(objectCategory=person)(objectClass=user)(|(msExchRecipientTypeDetails=*)(proxyAddresses=*)(mail=*)))",
		"sAMAccountName")
	cmd.Env = append(os.Environ(), "LDAPTLS_CACERT="+f.CAFile)
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("ldapsearch: %v", err)
	}
	if n := strings.Count(string(out), "\nsAMAccountName: "); n != len(got) {
		t.Errorf("ldapsearch sees %d users, we %d", n, len(got))
	}
}

// testAcross finds exactly the planted faults, with the stream alone.
func testAcross(t *testing.T, forests []*Forest) {
	owners := map[string]map[string][]string{} // address -> forest -> users
	for _, f := range forests {
		var got Expect
		for u, err := range open(t, config(t, f)).Users(t.Context()) {
			if err != nil {
				t.Fatal(err)
			}
			got.Users++
			switch {
			case len(u.Primary) > 1:
				got.ManyPrimaries = append(got.ManyPrimaries, u.SAMAccountName)
			case len(u.Primary) == 0:
				got.NoPrimary = append(got.NoPrimary, u.SAMAccountName)
			case !strings.EqualFold(u.Primary[0], u.UPN):
				got.UPNMismatch = append(got.UPNMismatch, u.SAMAccountName)
			}
			if u.Type.Remote() {
				got.Remote++
			}
			if u.Account == directory.AccountDisabled {
				got.Disabled++
			}
			for _, a := range append(u.Primary, u.Aliases...) {
				a = strings.ToLower(a)
				if owners[a] == nil {
					owners[a] = map[string][]string{}
				}
				owners[a][f.Name] = append(owners[a][f.Name], u.SAMAccountName)
			}
		}
		for a, by := range owners {
			if len(by[f.Name]) > 1 {
				got.DuplicatesHere = append(got.DuplicatesHere, a)
			}
		}
		if diff := cmp.Diff(Planted(f.Name).Expect, got, cmpopts.IgnoreFields(Expect{}, "DuplicatesBoth"),
			cmpopts.SortSlices(func(a, b string) bool { return a < b })); diff != "" {
			t.Errorf("%s: %s", f.Name, diff)
		}
	}
	var both []string
	for a, by := range owners {
		if len(by) > 1 {
			both = append(both, a)
		}
	}
	if diff := cmp.Diff(Planted(forests[0].Name).Expect.DuplicatesBoth, both,
		cmpopts.SortSlices(func(a, b string) bool { return a < b })); diff != "" {
		t.Error(diff)
	}
}

func testStopped(t *testing.T, f *Forest) {
	opened := open(t, config(t, f))
	f.Down()
	if _, err := opened.Facts(t.Context()); !errors.Is(err, link.ErrUnreachable) {
		t.Errorf("a server that went away: %v", err)
	}
	for _, security := range []string{"ldaps", "starttls"} {
		cfg := config(t, f)
		cfg.Directory.Security = security
		_, err := directory.Open(t.Context(), cfg)
		t.Log(err)
		if !errors.Is(err, link.ErrUnreachable) || !strings.Contains(err.Error(), "refused") {
			t.Errorf("a stopped server over %s: %v", security, err)
		}
	}
}
