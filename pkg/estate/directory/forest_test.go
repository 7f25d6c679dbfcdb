package directory_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hybridge-cli/hybridge/pkg/config/answers"
	"github.com/hybridge-cli/hybridge/pkg/config/secret"
	"github.com/hybridge-cli/hybridge/pkg/estate/directory"
	lab "github.com/hybridge-cli/hybridge/pkg/lab/directory"
	"github.com/hybridge-cli/hybridge/pkg/wire/link"
)

// authority makes a certificate for names, and the pool that trusts it.
func authority(t *testing.T, names ...string) (*tls.Config, *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: names[0]}, DNSNames: names,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(cert)
	return &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}, pool
}

func listen(t *testing.T) net.Listener {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	return ln
}

const (
	host     = "dc1.contoso.example"
	reader   = "svc@contoso.example"
	password = "correct horse"
)

// estate is a lab domain controller, and what is needed to open it.
type estate struct {
	ldap, ldaps string // addresses that listen
	pool        *x509.CertPool
	users       atomic.Pointer[[]lab.User]
	server      *lab.Server
	tls         *tls.Config
}

func start(t *testing.T, change func(*lab.Config)) *estate {
	t.Helper()
	e := &estate{}
	conf, pool := authority(t, host)
	e.pool, e.tls = pool, conf
	cfg := lab.Config{Domain: "contoso.example", TLS: conf, Users: func() []lab.User {
		all := []lab.User{{Name: "svc", UPN: reader, Password: password}}
		if more := e.users.Load(); more != nil {
			all = append(all, *more...)
		}
		return all
	}}
	if change != nil {
		change(&cfg)
	}
	s, err := lab.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	e.server = s
	plain, secure := listen(t), listen(t)
	e.ldap, e.ldaps = plain.Addr().String(), secure.Addr().String()
	go s.Serve(plain)
	go s.ServeTLS(secure)
	t.Cleanup(func() { s.Close() })
	return e
}

// config points at e under the name that its certificate has.
func (e *estate) config(t *testing.T) directory.Config {
	t.Helper()
	l, err := link.New(link.Options{CAs: e.pool, ConnectTo: []string{host + ":636=" + e.ldaps, host + ":389=" + e.ldap},
		Timeout: 5 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	return directory.Config{
		Name: "contoso", Link: l, Password: secret.NewValue(password), Timeout: 5 * time.Second,
		Directory: answers.Directory{Servers: []string{host},
			Bind: answers.Credential{Kind: answers.CredentialPassword, User: reader}},
		LookupSRV: func(context.Context, string, string, string) (string, []*net.SRV, error) {
			return "", nil, &net.DNSError{Err: "no such host", Name: "x", IsNotFound: true}
		},
	}
}

func open(t *testing.T, cfg directory.Config) *directory.Forest {
	t.Helper()
	f, err := directory.Open(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(f.Close)
	return f
}

func collect(t *testing.T, f *directory.Forest) []directory.User {
	t.Helper()
	var out []directory.User
	for u, err := range f.Users(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, u)
	}
	return out
}

func TestFacts(t *testing.T) {
	for _, security := range []string{"ldaps", "starttls"} {
		t.Run(security, func(t *testing.T) {
			e := start(t, func(c *lab.Config) {
				c.UPNSuffixes = []string{"contoso.com", "Fabrikam.COM"}
				c.Trusts = []lab.Trust{{Partner: "fabrikam.example", NetBIOS: "FABRIKAM", Direction: 3, Attributes: 8}}
				c.Exchange = func() *lab.Organization { return &lab.Organization{Name: "Contoso"} }
			})
			cfg := e.config(t)
			cfg.Directory.Security = security
			f := open(t, cfg)
			got, err := f.Facts(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			want := directory.Facts{
				Level: 7,
				Domains: []directory.Domain{{DN: "DC=contoso,DC=example", DNSName: "contoso.example",
					NetBIOS: "CONTOSO", Level: 7}},
				UPNSuffixes: []string{"contoso.com", "Fabrikam.COM"},
				Trusts: []directory.Trust{{Partner: "fabrikam.example", FlatName: "FABRIKAM", Direction: 3,
					Type: 2, Attributes: 8}},
				SchemaVersion: 17003,
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Error(diff)
			}
			if diff := cmp.Diff([]string{"contoso.com", "contoso.example", "fabrikam.com"},
				got.AllUPNSuffixes()); diff != "" {
				t.Error(diff)
			}
			if !got.Trusts[0].ForestWide() || got.Trusts[0].Direction.String() != "bidirectional" ||
				got.Level.String() != "Windows Server 2016" {
				t.Error(got.Trusts[0], got.Level)
			}
			if r := f.RootDSE(); r.DNSHostName != host || r.Configuration != "CN=Configuration,DC=contoso,DC=example" ||
				!r.GlobalCatalog {
				t.Errorf("root DSE: %+v", r)
			}
		})
	}
}

func TestUsers(t *testing.T) {
	e := start(t, nil)
	self := "\x01\x01\x00\x00\x00\x00\x00\x05\x0a\x00\x00\x00"
	e.users.Store(&[]lab.User{
		{Name: "Anna", UPN: "anna@contoso.example", Mail: "anna@contoso.example",
			ProxyAddresses: []string{"SMTP:anna@contoso.example", "smtp:a@contoso.example", "X500:/o=c"},
			RecipientType:  1},
		{Name: "Two, Primaries", SAMAccountName: "two",
			ProxyAddresses: []string{"SMTP:one@contoso.example", "SMTP:two@contoso.example"}, RecipientType: 1,
			Disabled: true, OU: "OU=Sales"},
		{Name: "Remote", TargetAddress: "SMTP:r@contoso.mail.onmicrosoft.com", RecipientType: 2147483648,
			RemoteType: 4},
		{Name: "Linked", RecipientType: 2, MasterSID: self},
		{Name: "No mail"},
		{Name: "Only mail", Mail: "only@contoso.example"},
	})
	got := collect(t, open(t, e.config(t)))
	for i := range got {
		if got[i].GUID == (directory.GUID{}) {
			t.Errorf("%s: no GUID", got[i].DN)
		}
		got[i].GUID = directory.GUID{}
	}
	want := []directory.User{
		{DN: "CN=Anna,CN=Users,DC=contoso,DC=example", UPN: "anna@contoso.example", SAMAccountName: "anna",
			Mail: "anna@contoso.example", Primary: []string{"anna@contoso.example"},
			Aliases: []string{"a@contoso.example"}, Others: []string{"x500:/o=c"},
			Type: directory.UserMailbox, Account: directory.AccountEnabled, Nickname: "anna",
			Addressed: true},
		{DN: `CN=Two\, Primaries,OU=Sales,DC=contoso,DC=example`, SAMAccountName: "two",
			Primary: []string{"one@contoso.example", "two@contoso.example"}, Type: directory.UserMailbox,
			Addressed: true,
			Account:   directory.AccountDisabled, Nickname: "two"},
		{DN: "CN=Remote,CN=Users,DC=contoso,DC=example", SAMAccountName: "remote",
			TargetAddress: "SMTP:r@contoso.mail.onmicrosoft.com", Type: directory.RemoteUserMailbox, RemoteType: 4,
			Account: directory.AccountEnabled, Nickname: "remote"},
		{DN: "CN=Linked,CN=Users,DC=contoso,DC=example", SAMAccountName: "linked", Type: directory.LinkedMailbox,
			MasterAccountSID: "S-1-5-10", Account: directory.AccountEnabled, Nickname: "linked"},
		{DN: "CN=Only mail,CN=Users,DC=contoso,DC=example", SAMAccountName: "only.mail", Mail: "only@contoso.example",
			Account: directory.AccountEnabled},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	for account, want := range map[string]string{"anna@contoso.example": "Anna", `CONTOSO\Two`: "Two, Primaries",
		"two@contoso.example": "Two, Primaries", "No mail": "", "*": "", "remote": "Remote"} {
		found, err := open(t, e.config(t)).Recipients(t.Context(), account)
		if err != nil || want == "" && len(found) > 0 ||
			want != "" && (len(found) != 1 || !strings.HasPrefix(strings.ReplaceAll(found[0].DN, `\`, ""), "CN="+want)) {
			t.Errorf("%s: %v, %v; want %q", account, found, err, want)
		}
	}
}

// Groups, contacts and public folders are read with the users: they share the addresses.
func TestOtherRecipients(t *testing.T) {
	const root = "DC=contoso,DC=example"
	entries := []lab.Entry{
		lab.NewEntry("CN=Team,CN=Users,"+root, "objectClass", "group", "groupType", "8", "sAMAccountName", "team",
			"proxyAddresses", "SMTP:team@contoso.example"),
		lab.NewEntry("CN=Guest,CN=Users,"+root, "objectClass", "contact", "mail", "guest@other.example",
			"proxyAddresses", "SMTP:guest@other.example"),
		lab.NewEntry("CN=Partner,CN=Users,"+root, "objectClass", "contact", "msExchRecipientTypeDetails", "64",
			"targetAddress", "SMTP:partner@other.example"),
		lab.NewEntry("CN=Folder,CN=Users,"+root, "objectClass", "publicFolder", "msExchRecipientTypeDetails", "4096",
			"proxyAddresses", "SMTP:folder@contoso.example", "proxyAddresses", "no prefix"),
		lab.NewEntry("CN=Printer,CN=Users,"+root, "objectClass", "printQueue", "mail", "p@contoso.example"),
	}
	e := start(t, func(c *lab.Config) { c.Entries = func() []lab.Entry { return entries } })
	var got []string
	for _, u := range collect(t, open(t, e.config(t))) {
		got = append(got, fmt.Sprint(u.Kind, u.Primary, u.Others))
	}
	slices.Sort(got)
	want := []string{"contact [] []", "contact [guest@other.example] []", "group [team@contoso.example] []",
		"public folder [folder@contoso.example] [no prefix]"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func crowd(n int) *[]lab.User {
	users := make([]lab.User, n)
	for i := range users {
		name := fmt.Sprintf("user%05d", i)
		users[i] = lab.User{Name: name, UPN: name + "@contoso.example", Mail: name + "@contoso.example",
			ProxyAddresses: []string{"SMTP:" + name + "@contoso.example"}, RecipientType: 1}
	}
	return &users
}

// The lab refuses more than 1,000 entries without pages, as Active Directory does.
func TestUsersBeyondOnePage(t *testing.T) {
	e := start(t, nil)
	e.users.Store(crowd(2500))
	seen := map[string]bool{}
	for _, u := range collect(t, open(t, e.config(t))) {
		seen[u.UPN] = true
	}
	if len(seen) != 2500 {
		t.Fatalf("%d users, want 2500", len(seen))
	}
}

func TestUsersWithRanges(t *testing.T) {
	e := start(t, func(c *lab.Config) { c.MaxValRange = 4 })
	users := *crowd(3)
	for i := range 11 {
		users[1].ProxyAddresses = append(users[1].ProxyAddresses, fmt.Sprintf("smtp:alias%d@contoso.example", i))
	}
	// exactly one range
	users[2].ProxyAddresses = append(users[2].ProxyAddresses, "smtp:x@contoso.example", "smtp:y@contoso.example",
		"smtp:z@contoso.example")
	e.users.Store(&users)
	counts := map[string]int{}
	for _, u := range collect(t, open(t, e.config(t))) {
		counts[u.SAMAccountName] = len(u.Primary) + len(u.Aliases)
	}
	if diff := cmp.Diff(map[string]int{"user00000": 1, "user00001": 12, "user00002": 4}, counts); diff != "" {
		t.Error(diff)
	}
}

// A scan that was cut short must not look complete.
func TestCancelledUsersAreAnError(t *testing.T) {
	e := start(t, nil)
	e.users.Store(crowd(2500))
	f := open(t, e.config(t))
	for _, after := range []int{0, 1, 500, 1000, 2499} {
		ctx, cancel := context.WithCancel(t.Context())
		n := 0
		var last error
		if after == 0 {
			cancel()
		}
		for u, err := range f.Users(ctx) {
			if last = err; err != nil {
				if u.DN != "" {
					t.Errorf("a user beside an error: %+v", u)
				}
				continue
			}
			if n++; n == after {
				cancel()
			}
		}
		cancel()
		if !errors.Is(last, context.Canceled) {
			t.Errorf("cancelled after %d: %d users, last error %v", after, n, last)
		}
	}
}

func TestUsersStoppedByTheCaller(t *testing.T) {
	e := start(t, nil)
	e.users.Store(crowd(1500))
	f := open(t, e.config(t))
	n := 0
	for _, err := range f.Users(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		if n++; n == 1200 {
			break
		}
	}
	if n != 1200 {
		t.Fatal(n)
	}
	if got := len(collect(t, f)); got != 1500 {
		t.Fatalf("the next stream has %d users", got)
	}
}

func TestUsersOfTwoStreamsAtOnce(t *testing.T) {
	e := start(t, nil)
	e.users.Store(crowd(1200))
	f := open(t, e.config(t))
	n := 0
	for _, err := range f.Users(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		if n++; n == 600 {
			if got := len(collect(t, f)); got != 1200 {
				t.Fatalf("inner stream: %d", got)
			}
			if _, err := f.Facts(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
	}
	if n != 1200 {
		t.Fatal(n)
	}
}

func TestRefusals(t *testing.T) {
	e := start(t, nil)
	e.users.Store(&[]lab.User{
		{Name: "locked", UPN: "locked@contoso.example", Password: password, LogonError: "775"},
		{Name: "off", UPN: "off@contoso.example", Password: password, Disabled: true},
	})
	_, stranger := authority(t, "somebody else")
	gone := listen(t).Addr().String()
	for name, c := range map[string]struct {
		change func(*directory.Config, *link.Options)
		class  error
		want   string
	}{
		"wrong password": {func(c *directory.Config, _ *link.Options) { c.Password = secret.NewValue("wrong") },
			link.ErrAccess,
			"contoso: bind to dc1.contoso.example as svc@contoso.example: wrong user name or password"},
		"empty password": {func(c *directory.Config, _ *link.Options) { c.Password = secret.NewValue("") },
			link.ErrAccess, ""},
		"locked": {func(c *directory.Config, _ *link.Options) { c.Directory.Bind.User = "locked@contoso.example" },
			link.ErrAccess,
			"contoso: bind to dc1.contoso.example as locked@contoso.example: the account is locked out"},
		"disabled": {func(c *directory.Config, _ *link.Options) { c.Directory.Bind.User = "off@contoso.example" },
			link.ErrAccess,
			"contoso: bind to dc1.contoso.example as off@contoso.example: the account is disabled"},
		"untrusted": {func(_ *directory.Config, o *link.Options) { o.CAs = stranger }, link.ErrUntrusted, ""},
		"untrusted, StartTLS": {func(c *directory.Config,
			o *link.Options) {
			o.CAs = stranger
			c.Directory.Security = "starttls"
		}, link.ErrUntrusted, ""},
		"wrong name": {func(c *directory.Config, o *link.Options) {
			c.Directory.Servers = []string{"other.example"}
			o.ConnectTo = []string{":636=" + e.ldaps}
		}, link.ErrUntrusted, ""},
		"stopped": {func(_ *directory.Config, o *link.Options) { o.ConnectTo = []string{":636=127.0.0.1:1"} },
			link.ErrUnreachable, ""},
		"no TLS there": {func(_ *directory.Config, o *link.Options) { o.ConnectTo = []string{":636=" + e.ldap} },
			link.ErrUnreachable, ""},
		"silent": {func(_ *directory.Config, o *link.Options) {
			o.ConnectTo = []string{":636=" + gone}
			o.Timeout = 200 * time.Millisecond
		}, link.ErrUnreachable, ""},
		"not in DNS": {func(c *directory.Config, _ *link.Options) {
			c.Directory = answers.Directory{Domain: "contoso.example", Bind: c.Directory.Bind}
		}, link.ErrUnreachable, ""},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := e.config(t)
			o := link.Options{CAs: e.pool, ConnectTo: []string{host + ":636=" + e.ldaps, host + ":389=" + e.ldap},
				Timeout: 5 * time.Second}
			c.change(&cfg, &o)
			l, err := link.New(o)
			if err != nil {
				t.Fatal(err)
			}
			cfg.Link = l
			f, err := directory.Open(t.Context(), cfg)
			if err == nil {
				f.Close()
				t.Fatal("opened")
			}
			if !errors.Is(err, c.class) {
				t.Errorf("class of %v is not %v", err, c.class)
			}
			if got := strings.ReplaceAll(err.Error(), ":636", ""); c.want != "" && got != c.want {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
			if strings.Contains(err.Error(), password) || strings.ContainsAny(err.Error(), "\n\x00") {
				t.Errorf("unfit to print: %q", err)
			}
		})
	}
}

// One server down: the next. Credentials refused: never the next, which would lock the account
// twice as fast.
func TestFallOver(t *testing.T) {
	e := start(t, nil)
	cfg := e.config(t)
	var dials atomic.Int32
	refusing := listen(t)
	go func() {
		for {
			c, err := refusing.Accept()
			if err != nil {
				return
			}
			dials.Add(1)
			c.Close()
		}
	}()
	down := refusing.Addr().String()
	l, err := link.New(link.Options{CAs: e.pool,
		ConnectTo: []string{"dc0.contoso.example:636=" + down, host + ":636=" + e.ldaps,
			"dc2.contoso.example:636=" + down}})
	if err != nil {
		t.Fatal(err)
	}
	cfg.Link = l
	cfg.Directory.Servers = nil
	cfg.Directory.Domain = "contoso.example"
	cfg.LookupSRV = func(_ context.Context, service, proto, name string) (string, []*net.SRV, error) {
		if service != "ldap" || proto != "tcp" || name != "dc._msdcs.contoso.example" {
			t.Errorf("asked for _%s._%s.%s", service, proto, name)
		}
		return "", []*net.SRV{{Target: "dc0.contoso.example.", Port: 389}, {Target: host + ".", Port: 389},
			{Target: "dc2.contoso.example.", Port: 389}}, nil
	}
	f := open(t, cfg)
	if f.Server() != host+":636" || dials.Load() != 1 {
		t.Errorf("server %s after %d dials", f.Server(), dials.Load())
	}
	cfg.Password = secret.NewValue("wrong")
	if _, err := directory.Open(t.Context(), cfg); !errors.Is(err, link.ErrAccess) {
		t.Error(err)
	}
	if dials.Load() != 2 { // dc0 again, dc2 never
		t.Errorf("%d dials: a refused password was offered to the next server", dials.Load())
	}
	cfg.Directory.Servers = []string{"dc0.contoso.example", "dc2.contoso.example"}
	if _, err := directory.Open(t.Context(), cfg); !errors.Is(err, link.ErrUnreachable) ||
		!strings.Contains(err.Error(), "dc0") || !strings.Contains(err.Error(), "dc2") {
		t.Error(err)
	}
}

// relay leads to an address, until it is cut; the next connection leads there again.
type relay struct {
	address string
	mu      sync.Mutex
	open    []net.Conn
}

func newRelay(t *testing.T, to string) *relay {
	ln := listen(t)
	r := &relay{address: ln.Addr().String()}
	go func() {
		for {
			near, err := ln.Accept()
			if err != nil {
				return
			}
			far, err := net.Dial("tcp", to)
			if err != nil {
				near.Close()
				return
			}
			r.mu.Lock()
			r.open = append(r.open, near, far)
			r.mu.Unlock()
			go func() { _, _ = io.Copy(near, far); near.Close() }()
			go func() { _, _ = io.Copy(far, near); far.Close() }()
		}
	}()
	t.Cleanup(r.cut)
	return r
}

func (r *relay) cut() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, c := range r.open {
		c.Close()
	}
	r.open = nil
}

func TestConnectionClosedByTheServerIsReplaced(t *testing.T) {
	e := start(t, nil)
	r := newRelay(t, e.ldaps)
	cfg := e.config(t)
	var err error
	if cfg.Link, err = link.New(link.Options{CAs: e.pool, ConnectTo: []string{host + ":636=" + r.address},
		Timeout: 5 * time.Second}); err != nil {
		t.Fatal(err)
	}
	f := open(t, cfg)
	for range 2 {
		if _, err := f.Facts(t.Context()); err != nil {
			t.Fatal(err)
		}
		r.cut()
	}
	f.Close()
	if _, err := f.Facts(t.Context()); err != nil {
		t.Fatal(err)
	}
	e.server.Close()
	if _, err := f.Facts(t.Context()); !errors.Is(err, link.ErrUnreachable) {
		t.Fatal(err)
	}
}

// Every domain of the forest is read, each from its own server; one that cannot be read makes the
// whole stream an error.
func TestUsersOfChildDomains(t *testing.T) {
	e := start(t, func(c *lab.Config) {
		c.Entries = func() []lab.Entry {
			return []lab.Entry{lab.NewEntry("CN=EMEA,CN=Partitions,CN=Configuration,DC=contoso,DC=example",
				"objectClass", "crossRef", "systemFlags", "3",
				"nCName", "DC=emea,DC=contoso,DC=example", "dnsRoot", "emea.contoso.example", "nETBIOSName", "EMEA")}
		}
	})
	e.users.Store(crowd(3))
	child, err := lab.New(lab.Config{Domain: "emea.contoso.example", TLS: e.tls, Users: func() []lab.User {
		return []lab.User{{Name: "svc", UPN: reader, Password: password}, {Name: "Emil", Mail: "emil@contoso.example"}}
	}})
	if err != nil {
		t.Fatal(err)
	}
	ln := listen(t)
	go child.Serve(ln)
	t.Cleanup(func() { child.Close() })

	cfg := e.config(t)
	cfg.Directory.Security = "starttls"
	if cfg.Link, err = link.New(link.Options{CAs: e.pool,
		ConnectTo: []string{host + ":389=" + e.ldap, host + ":3890=" + ln.Addr().String()},
		Timeout:   5 * time.Second}); err != nil {
		t.Fatal(err)
	}
	notFound := cfg.LookupSRV
	cfg.LookupSRV = func(ctx context.Context, service, proto, name string) (string, []*net.SRV, error) {
		if name != "dc._msdcs.emea.contoso.example" {
			return notFound(ctx, service, proto, name)
		}
		return "", []*net.SRV{{Target: host + ".", Port: 3890}}, nil
	}
	var names []string
	for _, u := range collect(t, open(t, cfg)) {
		names = append(names, u.SAMAccountName)
	}
	if diff := cmp.Diff([]string{"user00000", "user00001", "user00002", "emil"}, names); diff != "" {
		t.Error(diff)
	}

	cfg.LookupSRV = notFound
	n := 0
	var last error
	for _, err := range open(t, cfg).Users(t.Context()) {
		if last = err; err == nil {
			n++
		}
	}
	if n != 3 || !errors.Is(last, link.ErrUnreachable) || !strings.Contains(last.Error(), "emea.contoso.example") {
		t.Errorf("%d users, then %v", n, last)
	}
}

// A name from DNS gets the password only when it lies in the forest.
func TestForgedDomainControllers(t *testing.T) {
	e := start(t, nil)
	for target, refused := range map[string]bool{"dc1.evil.example.": true, "contoso.example.evil.example.": true,
		"dc1.notcontoso.example.": true, host + ".": false} {
		cfg := e.config(t)
		cfg.Directory.Servers, cfg.Directory.Domain = nil, "contoso.example"
		cfg.LookupSRV = func(context.Context, string, string, string) (string, []*net.SRV, error) {
			return "", []*net.SRV{{Target: target, Port: 389}}, nil
		}
		f, err := directory.Open(t.Context(), cfg)
		if err == nil {
			f.Close()
		}
		if told := err != nil && strings.Contains(err.Error(), "outside the domain"); told != refused || !refused &&
			err != nil {
			t.Errorf("%s: %v", target, err)
		}
	}
}

// The error names the port of the other kind of encryption.
func TestOtherPort(t *testing.T) {
	e := start(t, nil)
	for _, tt := range []struct{ security, port, says string }{
		{"ldaps", "389", "starttls, or use port 636"}, {"", "3268", "starttls, or use port 636"},
		{"starttls", "636", "ldaps, or use port 389"}, {"starttls", "3269", "ldaps"},
	} {
		cfg := e.config(t)
		cfg.Directory.Security, cfg.Directory.Servers, cfg.Timeout = tt.security, []string{host + ":" +
			tt.port}, time.Second
		target := e.ldap
		if tt.security == "starttls" {
			target = e.ldaps
		}
		var err error
		if cfg.Link, err = link.New(link.Options{CAs: e.pool, ConnectTo: []string{":=" + target},
			Timeout: time.Second}); err != nil {
			t.Fatal(err)
		}
		if _, err := directory.Open(t.Context(), cfg); err == nil || !strings.Contains(err.Error(), tt.says) {
			t.Errorf("%s at %s: %v", tt.security, tt.port, err)
		}
	}
}
