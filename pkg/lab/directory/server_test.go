package directory

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"math/big"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-ldap/ldap/v3"
	"github.com/google/go-cmp/cmp"
)

const password = "correct horse"

// serve starts a domain controller and returns its addresses and what clients need to trust it.
func serve(t *testing.T, change func(*Config)) (plain, secure string, client *tls.Config) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "dc1"},
		DNSNames:  []string{"dc1.contoso.example"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true,
		BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	cert, _ := x509.ParseCertificate(der)
	pool := x509.NewCertPool()
	pool.AddCert(cert)

	cfg := Config{Domain: "contoso.example",
		TLS: &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}},
		Users: func() []User {
			return []User{
				{Name: "Anna Ek", UPN: "anna@contoso.example", Password: password, Mail: "anna@contoso.example",
					ProxyAddresses: []string{"SMTP:anna@contoso.example", "smtp:a@contoso.example"}, RecipientType: 1},
				{Name: "Off", UPN: "off@contoso.example", Password: password, Disabled: true},
				{Name: "Locked", UPN: "locked@contoso.example", Password: password, LogonError: "775"},
				{Name: "Bob", SAMAccountName: "bob", OU: "OU=Sales,OU=People"},
			}
		},
		Exchange: func() *Organization {
			return &Organization{Name: "Contoso",
				Servers: []ExchangeServer{{FQDN: "ex1.contoso.example", Major: 15, Minor: 2, Build: 2562,
					Revision: 17}}}
		}}
	if change != nil {
		change(&cfg)
	}
	s, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	var addresses []string
	for _, run := range []func(net.Listener) error{s.Serve, s.ServeTLS} {
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		addresses = append(addresses, ln.Addr().String())
		go func() {
			if err := run(ln); err != nil {
				t.Error(err)
			}
		}()
	}
	t.Cleanup(func() { s.Close() })
	return addresses[0], addresses[1], &tls.Config{RootCAs: pool, ServerName: "dc1.contoso.example"}
}

// bound is a third-party client, bound as Anna.
func bound(t *testing.T, change func(*Config)) *ldap.Conn {
	t.Helper()
	_, secure, trust := serve(t, change)
	c, err := ldap.DialURL("ldaps://"+secure, ldap.DialWithTLSConfig(trust))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	if err := c.Bind("anna@contoso.example", password); err != nil {
		t.Fatal(err)
	}
	return c
}

func TestBind(t *testing.T) {
	plain, secure, trust := serve(t, nil)
	for _, c := range []struct {
		name, user, password string
		secure               bool
		code                 uint16
		text                 string
	}{
		{"UPN", "Anna@Contoso.Example", password, true, 0, ""},
		{"NetBIOS name", `contoso\anna.ek`, password, true, 0, ""},
		{"account name at domain", "anna.ek@contoso.example", password, true, 0, ""},
		{"DN", "cn=Anna Ek, cn=Users,DC=contoso,DC=example", password, true, 0, ""},
		{"bare account name", "anna.ek", password, true, 49, "data 52e"},
		{"wrong password", "anna@contoso.example", "x", true, 49, "data 52e"},
		{"account without password", `contoso\bob`, "x", true, 49, "data 52e"},
		{"unknown user", "nobody@contoso.example", "x", true, 49, "data 52e"},
		{"disabled", "off@contoso.example", password, true, 49, "data 533"},
		{"disabled and wrong", "off@contoso.example", "x", true, 49, "data 52e"},
		{"locked", "locked@contoso.example", password, true, 49, "data 775"},
		{"without TLS", "anna@contoso.example", password, false, 8, "00002028"},
	} {
		t.Run(c.name, func(t *testing.T) {
			url := "ldap://" + plain
			if c.secure {
				url = "ldaps://" + secure
			}
			conn, err := ldap.DialURL(url, ldap.DialWithTLSConfig(trust))
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			err = conn.Bind(c.user, c.password)
			if c.code == 0 {
				if err != nil {
					t.Fatal(err)
				}
				return
			}
			if !ldap.IsErrorWithCode(err, c.code) || !strings.Contains(err.Error(), c.text) {
				t.Errorf("got %v, want %d and %q", err, c.code, c.text)
			}
		})
	}
}

func TestStartTLS(t *testing.T) {
	plain, _, trust := serve(t, nil)
	c, err := ldap.DialURL("ldap://" + plain)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := c.StartTLS(trust); err != nil {
		t.Fatal(err)
	}
	if err := c.Bind("anna@contoso.example", password); err != nil {
		t.Fatal(err)
	}
}

func TestAnonymousSeesTheRootAlone(t *testing.T) {
	plain, _, _ := serve(t, nil)
	c, err := ldap.DialURL("ldap://" + plain)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	r, err := c.Search(ldap.NewSearchRequest("", ldap.ScopeBaseObject, 0, 0, 0, false, "(objectClass=*)",
		[]string{"defaultNamingContext"}, nil))
	if err != nil || len(r.Entries) != 1 ||
		r.Entries[0].GetAttributeValue("defaultNamingContext") != "DC=contoso,DC=example" {
		t.Fatal(r, err)
	}
	_, err = c.Search(ldap.NewSearchRequest("DC=contoso,DC=example", ldap.ScopeWholeSubtree, 0, 0, 0, false,
		"(objectClass=*)", nil, nil))
	if !ldap.IsErrorWithCode(err, 1) || !strings.Contains(err.Error(), "successful bind") {
		t.Error(err)
	}
}

func TestFilters(t *testing.T) {
	c := bound(t, nil)
	for filter, want := range map[string][]string{
		"(sAMAccountName=anna.ek)":                                {"Anna Ek"},
		"(samaccountname=ANNA.EK)":                                {"Anna Ek"},
		"(proxyAddresses=smtp:A@contoso.example)":                 {"Anna Ek"},
		"(&(objectClass=user)(mail=*))":                           {"Anna Ek"},
		"(&(objectCategory=person)(objectClass=user)(!(mail=*)))": {"Bob", "Locked", "Off"},
		"(objectCategory=CN=Person,CN=Schema,CN=Configuration,DC=contoso,DC=example)": {"Anna Ek", "Bob", "Locked",
			"Off"},
		"(|(cn=Bob)(cn=off))": {"Bob", "Off"},
		"(cn=*n*k)":           {"Anna Ek"},
		"(cn=a*a*)":           {"Anna Ek"},
		"(cn=ek*)":            nil,
		"(userAccountControl:1.2.840.113556.1.4.803:=2)": {"Off"},
		"(userAccountControl:1.2.840.113556.1.4.803:=6)": nil,
		"(userAccountControl:1.2.840.113556.1.4.804:=3)": {"Off"},
		"(cn=a*a)": nil,
		"(&(objectClass=user)(userAccountControl>=513))":                       {"Off"},
		"(&(objectClass=user)(userAccountControl>=514))":                       {"Off"},
		"(&(objectClass=user)(userAccountControl>=515))":                       nil,
		"(&(objectClass=user)(userAccountControl<=512))":                       {"Anna Ek", "Bob", "Locked"},
		"(&(objectClass=user)(userAccountControl<=511))":                       nil,
		"(&(objectClass=user)(userAccountControl>=9))":                         {"Anna Ek", "Bob", "Locked", "Off"},
		"(distinguishedName=cn=bob, ou=Sales,OU=People,DC=contoso,DC=example)": {"Bob"},
		"(noSuchAttribute=*)":                                                  nil,
	} {
		r, err := c.Search(ldap.NewSearchRequest("DC=contoso,DC=example", ldap.ScopeWholeSubtree, 0, 0, 0, false,
			filter, []string{"cn"}, nil))
		if err != nil {
			t.Errorf("%s: %v", filter, err)
			continue
		}
		var got []string
		for _, e := range r.Entries {
			got = append(got, e.GetAttributeValue("cn"))
		}
		slices.Sort(got)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: %s", filter, diff)
		}
	}
}

func TestScopesAndNamingContexts(t *testing.T) {
	c := bound(t, nil)
	search := func(base string, scope int, filter string) (*ldap.SearchResult, error) {
		return c.Search(ldap.NewSearchRequest(base, scope, 0, 0, 0, false, filter, []string{"objectClass"}, nil))
	}
	r, err := search("DC=contoso,DC=example", ldap.ScopeWholeSubtree, "(objectClass=*)")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range r.Entries {
		if strings.Contains(e.DN, "CN=Configuration") {
			t.Errorf("a search of the domain found %s", e.DN)
		}
	}
	want := []string{"ldaps://contoso.example/CN=Configuration,DC=contoso,DC=example",
		"ldaps://DomainDnsZones.contoso.example/DC=DomainDnsZones,DC=contoso,DC=example",
		"ldaps://ForestDnsZones.contoso.example/DC=ForestDnsZones,DC=contoso,DC=example"}
	if diff := cmp.Diff(want, r.Referrals); diff != "" {
		t.Error(diff)
	}
	if r, err := search("CN=Configuration,DC=contoso,DC=example", ldap.ScopeWholeSubtree,
		"(objectClass=msExchVirtualDirectory)"); err != nil || len(r.Entries) != 8 {
		t.Error(r, err)
	}
	if r, err := search("OU=People,DC=contoso,DC=example", ldap.ScopeSingleLevel, "(objectClass=*)"); err != nil ||
		len(r.Entries) != 1 || r.Entries[0].DN != "OU=Sales,OU=People,DC=contoso,DC=example" {
		t.Error(r, err)
	}
	if r, err := search("ou=sales, ou=People,DC=contoso,DC=example", ldap.ScopeBaseObject,
		"(objectClass=*)"); err != nil || len(r.Entries) != 1 {
		t.Error(r, err)
	}
	if _, err := search("OU=None,DC=contoso,DC=example", ldap.ScopeWholeSubtree,
		"(objectClass=*)"); !ldap.IsErrorWithCode(err, 32) || !strings.Contains(err.Error(), "NO_OBJECT") {
		t.Error(err)
	}
	if _, err := search("DC=fabrikam,DC=example", ldap.ScopeWholeSubtree, "(objectClass=*)"); !ldap.IsErrorWithCode(err,
		10) {
		t.Error(err)
	}
	if _, err := search("nonsense", ldap.ScopeWholeSubtree, "(objectClass=*)"); !ldap.IsErrorWithCode(err, 34) {
		t.Error(err)
	}
}

func many(n int) func(*Config) {
	return func(c *Config) {
		users := c.Users()
		for i := range n {
			users = append(users, User{Name: fmt.Sprintf("user%04d", i)})
		}
		c.Users = func() []User { return users }
	}
}

func TestPagesAndLimits(t *testing.T) {
	c := bound(t, many(2100))
	request := func(size int) *ldap.SearchRequest {
		return ldap.NewSearchRequest("CN=Users,DC=contoso,DC=example", ldap.ScopeSingleLevel, 0, size, 0, false,
			"(cn=user*)", []string{"cn"}, nil)
	}
	r, err := c.Search(request(0))
	if !ldap.IsErrorWithCode(err, 4) || len(r.Entries) != 1000 {
		t.Errorf("without pages: %d entries, %v", len(r.Entries), err)
	}
	if r, err = c.Search(request(7)); !ldap.IsErrorWithCode(err, 4) || len(r.Entries) != 7 {
		t.Errorf("size limit of the client: %d entries, %v", len(r.Entries), err)
	}
	for _, size := range []uint32{100, 1000, 5000} { // the last is cut to 1000, silently
		r, err := c.SearchWithPaging(request(0), size)
		if err != nil || len(r.Entries) != 2100 {
			t.Errorf("pages of %d: %d entries, %v", size, len(r.Entries), err)
		}
	}
	paging := ldap.NewControlPaging(10)
	paging.SetCookie([]byte("from another connection"))
	q := request(0)
	q.Controls = []ldap.Control{paging}
	if _, err := c.Search(q); !ldap.IsErrorWithCode(err, 12) {
		t.Error(err)
	}
}

func TestRanges(t *testing.T) {
	c := bound(t, func(c *Config) {
		c.MaxValRange = 3
		users := c.Users()
		users[0].ProxyAddresses = []string{"a", "b", "c", "d", "e", "f", "g"}
		c.Users = func() []User { return users }
	})
	for attribute, want := range map[string]map[string][]string{
		"proxyAddresses":           {"proxyAddresses": {}, "proxyAddresses;range=0-2": {"a", "b", "c"}},
		"proxyAddresses;range=3-*": {"proxyAddresses;range=3-5": {"d", "e", "f"}},
		"proxyAddresses;range=6-*": {"proxyAddresses;range=6-*": {"g"}},
		"proxyaddresses;Range=1-1": {"proxyAddresses;range=1-1": {"b"}},
		"mail":                     {"mail": {"anna@contoso.example"}},
	} {
		r, err := c.Search(ldap.NewSearchRequest("CN=Anna Ek,CN=Users,DC=contoso,DC=example", ldap.ScopeBaseObject, 0,
			0, 0, false, "(objectClass=*)", []string{attribute}, nil))
		if err != nil {
			t.Fatal(err)
		}
		got := map[string][]string{}
		for _, a := range r.Entries[0].Attributes {
			got[a.Name] = append([]string{}, a.Values...)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: %s", attribute, diff)
		}
	}
}

func TestWritesAreRefused(t *testing.T) {
	c := bound(t, nil)
	q := ldap.NewModifyRequest("CN=Bob,OU=Sales,OU=People,DC=contoso,DC=example", nil)
	q.Replace("mail", []string{"x"})
	if err := c.Modify(q); !ldap.IsErrorWithCode(err, 50) {
		t.Error(err)
	}
	if err := c.Del(ldap.NewDelRequest("CN=Bob,OU=Sales,OU=People,DC=contoso,DC=example",
		nil)); !ldap.IsErrorWithCode(err, 50) {
		t.Error(err)
	}
}

// The directory follows the lab: the next search sees every change.
func TestLiveEntries(t *testing.T) {
	name := "Contoso"
	c := bound(t, func(c *Config) {
		c.Exchange = func() *Organization {
			if name == "" {
				return nil
			}
			return &Organization{Name: name}
		}
		c.Entries = func() []Entry {
			return []Entry{NewEntry("CN=Bob,OU=Sales,OU=People,DC=contoso,DC=example", "objectClass", "user", "mail",
				"replaced@contoso.example")}
		}
	})
	find := func(filter string) int {
		r, err := c.Search(ldap.NewSearchRequest("CN=Configuration,DC=contoso,DC=example", ldap.ScopeWholeSubtree, 0, 0,
			0, false, filter, nil, nil))
		if err != nil {
			t.Fatal(err)
		}
		return len(r.Entries)
	}
	if find("(&(objectClass=msExchOrganizationContainer)(cn=Contoso))") != 1 {
		t.Error("no organization")
	}
	name = "Fabrikam"
	// the NetBIOS crossRef is left
	if find("(&(objectClass=msExchOrganizationContainer)(cn=Fabrikam))") != 1 || find("(cn=Contoso)") != 1 {
		t.Error("the organization was not renamed")
	}
	name = ""
	if find("(objectClass=msExchOrganizationContainer)") != 0 {
		t.Error("the organization is still there")
	}
	r, err := c.Search(ldap.NewSearchRequest("DC=contoso,DC=example", ldap.ScopeWholeSubtree, 0, 0, 0, false,
		"(cn=Bob)", []string{"mail"}, nil))
	if err != nil || len(r.Entries) != 1 || r.Entries[0].GetAttributeValue("mail") != "replaced@contoso.example" {
		t.Error(r, err)
	}
}

func TestNewRefuses(t *testing.T) {
	for name, c := range map[string]Config{
		"no domain":    {},
		"not a domain": {Domain: "contoso,DC=example"},
		"entry outside": {Domain: "contoso.example",
			Entries: func() []Entry { return []Entry{NewEntry("DC=other", "objectClass", "top")} }},
		"entry without sense": {Domain: "contoso.example",
			Entries: func() []Entry { return []Entry{NewEntry("nonsense")} }},
		"organization's GUID": {Domain: "contoso.example",
			Exchange: func() *Organization { return &Organization{Name: "x", GUID: "y"} }},
	} {
		if _, err := New(c); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func TestGUIDs(t *testing.T) {
	const s = "6f2c1d7e-9a4b-4c3d-8e5f-0a1b2c3d4e5f"
	b, err := ParseGUID(s)
	if err != nil || b != "\x7e\x1d\x2c\x6f\x4b\x9a\x3d\x4c\x8e\x5f\x0a\x1b\x2c\x3d\x4e\x5f" {
		t.Errorf("%x %v", b, err)
	}
	if guid("CN=a") != guid("cn=A") || guid("CN=a") == guid("CN=b") {
		t.Error("GUIDs must follow from names")
	}
	if got := sid("contoso.example", 500); len(got) != 28 || got[1] != 5 {
		t.Errorf("%x", got)
	}
}

// On any input a session answers or ends. It never crashes the lab.
func FuzzSession(f *testing.F) {
	s, err := New(Config{Domain: "contoso.example"})
	if err != nil {
		f.Fatal(err)
	}
	f.Add([]byte("\x30\x0c\x02\x01\x01\x60\x07\x02\x01\x03\x04\x00\x80\x00"))
	f.Add([]byte("\x30\x25\x02\x01\x02\x63\x20\x04\x00\x0a\x01\x00\x0a\x01\x00\x02\x01\x00\x02\x01\x00\x01\x01\x00\x87\x0bobjectClass\x30\x00"))
	f.Add([]byte("\x30\x05\x02\x01\x03\x42\x00"))
	f.Fuzz(func(t *testing.T, b []byte) {
		near, far := net.Pipe()
		go func() {
			near.SetDeadline(time.Now().Add(time.Second))
			near.Write(b)
			near.Close()
		}()
		go func() { // take the answers
			buffer := make([]byte, 4096)
			for {
				if _, err := near.Read(buffer); err != nil {
					return
				}
			}
		}()
		s.session(far, false)
		far.Close()
	})
}

// What other clients ask of a domain controller: compare, controls, referrals, the root's
// attributes.
func TestOtherOperations(t *testing.T) {
	c := bound(t, nil)
	const anna = "CN=Anna Ek,CN=Users,DC=contoso,DC=example"
	for value, want := range map[string]bool{"anna@contoso.example": true, "ANNA@contoso.example": true,
		"bob@contoso.example": false} {
		if got, err := c.Compare(anna, "mail", value); err != nil || got != want {
			t.Errorf("mail=%s: %v, %v", value, got, err)
		}
	}
	if _, err := c.Compare(anna, "telephoneNumber", "1"); !ldap.IsErrorWithCode(err, ldap.LDAPResultNoSuchAttribute) {
		t.Errorf("an absent attribute: %v", err)
	}
	if _, err := c.Compare("CN=Gone,DC=contoso,DC=example", "mail", "x"); !ldap.IsErrorWithCode(err,
		ldap.LDAPResultNoSuchObject) {
		t.Errorf("an absent object: %v", err)
	}
	search := func(base string, controls ...ldap.Control) (*ldap.SearchResult, error) {
		return c.Search(ldap.NewSearchRequest(base, ldap.ScopeBaseObject, 0, 0, 0, false, "(objectClass=*)", nil,
			controls))
	}
	if _, err := search(anna, ldap.NewControlString("1.2.3.4", true, "")); !ldap.IsErrorWithCode(err,
		ldap.LDAPResultUnavailableCriticalExtension) {
		t.Errorf("an unknown critical control: %v", err)
	}
	if _, err := search(anna, ldap.NewControlString("1.2.3.4", false, "")); err != nil {
		t.Errorf("an unknown control: %v", err)
	}
	d := ldap.NewDelRequest(anna, []ldap.Control{ldap.NewControlString("1.2.3.4", true, "")})
	if err := c.Del(d); !ldap.IsErrorWithCode(err, ldap.LDAPResultUnavailableCriticalExtension) {
		t.Errorf("a write with an unknown critical control: %v", err)
	}
	if _, err := search("DC=fabrikam,DC=example"); !ldap.IsErrorWithCode(err, ldap.LDAPResultReferral) {
		t.Errorf("another domain: %v", err)
	}
	root, err := search("")
	if err != nil || root.Entries[0].GetAttributeValue("currentTime") == "" ||
		len(root.Entries[0].GetAttributeValues("supportedSASLMechanisms")) < 2 {
		t.Errorf("root DSE: %v", err)
	}
	person, err := search(anna)
	if err != nil || person.Entries[0].GetAttributeValue("whenChanged") == "" ||
		len(person.Entries[0].GetRawAttributeValue("msExchMailboxGuid")) != 16 {
		t.Errorf("person: %v", err)
	}
}
