//go:build linux

package directory

import (
	"crypto/tls"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	lab "github.com/hybridge-cli/hybridge/pkg/lab/directory"
)

// client is OpenLDAP's ldapsearch, pointed at one server.
type client struct {
	url, ca, user, password string
	more                    []string
}

// comments are the lines that ldapsearch prints between pages.
var comments = regexp.MustCompile(`(?m)^#.*\n?`)

// search runs ldapsearch. It returns the records, one string each, and the exit code, which is the
// LDAP result.
func (c client) search(t *testing.T, base, scope, filter string, attributes ...string) (records []string, code int,
	stderr string) {
	t.Helper()
	args := append([]string{"-LLL", "-o", "ldif_wrap=no", "-H", c.url, "-x", "-b", base, "-s", scope}, c.more...)
	if c.user != "" {
		args = append(args, "-D", c.user, "-w", c.password)
	}
	cmd := exec.CommandContext(t.Context(), "ldapsearch", append(append(args, filter), attributes...)...)
	cmd.Env = append(os.Environ(), "LDAPTLS_CACERT="+c.ca, "LDAPNOINIT=1")
	if c.ca != "" {
		cmd.Env = append(os.Environ(), "LDAPTLS_CACERT="+c.ca)
	}
	var diagnostics strings.Builder
	cmd.Stderr = &diagnostics
	out, err := cmd.Output()
	if err != nil && cmd.ProcessState == nil {
		t.Fatal(err)
	}
	text := comments.ReplaceAllString(string(out), "")
	for r := range strings.SplitSeq(text, "\n\n") {
		if r = strings.TrimSpace(r); r != "" {
			records = append(records, r)
		}
	}
	slices.Sort(records)
	return records, cmd.ProcessState.ExitCode(), diagnostics.String()
}

// twin starts a lab domain controller with the same plan as f and with f's certificate.
func twin(t *testing.T, f *Forest) (ldap, ldaps string) {
	t.Helper()
	pair, err := tls.LoadX509KeyPair(filepath.Join(f.Dir, "private/tls/cert.pem"),
		filepath.Join(f.Dir, "private/tls/key.pem"))
	if err != nil {
		t.Fatal(err)
	}
	p := Planted(f.Name)
	users := append([]lab.User{{Name: "reader", UPN: f.Reader, Password: f.Password},
		{Name: "gone", UPN: f.Gone, Password: f.Password, Disabled: true}}, p.Users...)
	s, err := lab.New(lab.Config{Domain: f.Domain, Host: f.Host,
		TLS: &tls.Config{Certificates: []tls.Certificate{pair}}, UPNSuffixes: p.UPNSuffixes, Level: 4,
		Users: func() []lab.User { return users }, Exchange: func() *lab.Organization { return &p.Organization }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	var addresses []string
	for _, run := range []func(net.Listener) error{s.Serve, s.ServeTLS} {
		ln, err := net.Listen("tcp", f.Address+":0") // the certificate is valid for this address
		if err != nil {
			t.Fatal(err)
		}
		addresses = append(addresses, ln.Addr().String())
		go run(ln)
	}
	return addresses[0], addresses[1]
}

// testLab sends the same searches to the lab and to Samba, which have the same content, with a
// third-party client.
func testLab(t *testing.T, f *Forest) {
	ldap, ldaps := twin(t, f)
	samba := client{url: "ldaps://" + f.Address, ca: f.CAFile, user: f.Reader, password: f.Password}
	ours := client{url: "ldaps://" + ldaps, ca: f.CAFile, user: f.Reader, password: f.Password}
	domain, configuration := f.DomainDN(), "CN=Configuration,"+f.DomainDN()
	exchange := "CN=Microsoft Exchange,CN=Services," + configuration

	for _, q := range []struct {
		base, scope, filter string
		attributes          []string
	}{
		{domain, "sub", "(&(objectCategory=person)(objectClass=user)(proxyAddresses=*))",
			[]string{"sAMAccountName", "userPrincipalName", "mail", "proxyAddresses", "targetAddress",
				"msExchRecipientTypeDetails", "msExchRemoteRecipientType"}},
		{domain, "sub", "(proxyAddresses=smtp:SHARED.80@merged.example)", []string{"cn"}},
		{domain, "sub", "(&(objectClass=user)(mail=c00*))", []string{"mail"}},
		{domain, "sub", "(&(objectClass=user)(mail=*5@contoso.example))", []string{"mail"}},
		{domain, "sub", "(&(objectClass=user)(mail=c*9*@contoso.example)(!(mail=*1*)))", []string{"mail"}},
		{domain, "sub", "(&(objectCategory=person)(mail=*)(!(userPrincipalName=*)))", []string{"sAMAccountName"}},
		{domain, "sub", "(msExchRecipientTypeDetails=2147483648)", []string{"cn"}},
		{domain, "sub", "(msExchRecipientTypeDetails>=2)", []string{"cn"}},
		{domain, "sub", "(&(mail=*)(userAccountControl:1.2.840.113556.1.4.803:=2))", []string{"cn"}},
		{domain, "sub", "(objectCategory=organizationalUnit)", []string{"ou"}},
		{"OU=People," + domain, "one", "(ou=D*)", []string{"ou", "distinguishedName", "name"}},
		{"OU=D1,OU=People," + domain, "base", "(objectClass=*)", []string{"objectClass", "objectCategory"}},
		{"CN=Users," + domain, "one", "(sAMAccountName=reader)",
			[]string{"userPrincipalName", "objectClass", "objectCategory"}},
		{exchange, "sub", "(objectClass=msExchVirtualDirectory)",
			[]string{"msExchInternalHostName", "msExchExternalHostName", "msExchMRSProxyFlags"}},
		{exchange, "sub", "(objectClass=msExchExchangeServer)",
			[]string{"serialNumber", "networkAddress", "msExchServerSite", "msExchServerInternalTLSCert",
				"objectCategory"}},
		{exchange, "sub", "(objectClass=*)", []string{"cn", "name"}},
		{configuration, "sub", "(&(objectClass=serviceConnectionPoint)(keywords=77378f46-2c66-4aa9-a6a6-3e7a48b19596))",
			[]string{"serviceBindingInformation", "keywords", "objectClass"}},
		{"CN=Partitions," + configuration, "one", "(&(objectClass=crossRef)(systemFlags:1.2.840.113556.1.4.803:=3))",
			[]string{"nCName", "dnsRoot", "nETBIOSName"}},
		{"CN=Partitions," + configuration, "base", "(objectClass=*)", []string{"uPNSuffixes"}},
		{"CN=Nothing," + domain, "base", "(objectClass=*)", nil},
		{"", "base", "(objectClass=*)",
			[]string{"dnsHostName", "defaultNamingContext", "rootDomainNamingContext", "configurationNamingContext",
				"schemaNamingContext"}},
	} {
		want, wantCode, _ := samba.search(t, q.base, q.scope, q.filter, q.attributes...)
		got, gotCode, text := ours.search(t, q.base, q.scope, q.filter, q.attributes...)
		if gotCode != wantCode {
			t.Errorf("%s %s: result %d (%s), Samba's %d", q.base, q.filter, gotCode, text, wantCode)
		}
		if diff := cmp.Diff(normal(want), normal(got)); diff != "" {
			t.Errorf("%s %s: %s", q.base, q.filter, diff)
		}
		if len(want) == 0 && wantCode == 0 {
			t.Errorf("%s %s: Samba found nothing, so nothing was compared", q.base, q.filter)
		}
	}

	paged := ours
	paged.more = []string{"-E", "pr=50/noprompt"}
	if got, code, text := paged.search(t, domain, "sub", "(mail=*)", "mail"); code != 0 ||
		len(normal(got)) < ForestSize {
		t.Errorf("pages: %d records, result %d: %s", len(got), code, text)
	}
	starttls := ours
	starttls.url, starttls.more = "ldap://"+ldap, []string{"-ZZ"}
	if got, code, text := starttls.search(t, domain, "sub", "(sAMAccountName=reader)", "cn"); code != 0 ||
		len(normal(got)) != 1 {
		t.Errorf("StartTLS: %v, result %d: %s", got, code, text)
	}
	for name, c := range map[string]struct {
		change func(*client)
		code   int
		text   string
	}{
		"wrong password": {func(c *client) { c.password = "wrong" }, 49, "data 52e"},
		"disabled":       {func(c *client) { c.user = f.Gone }, 49, "data 533"},
		"without TLS":    {func(c *client) { c.url = "ldap://" + ldap }, 8, "integrity checking"},
		"anonymous":      {func(c *client) { c.user = "" }, 1, "successful bind"},
	} {
		changed := ours
		c.change(&changed)
		_, code, text := changed.search(t, domain, "sub", "(cn=reader)", "cn")
		if code != c.code || !strings.Contains(text, c.text) {
			t.Errorf("%s: result %d, %s; want %d, %s", name, code, text, c.code, c.text)
		}
	}
}

// normal sorts the lines of each record and drops continuation references, whose host names differ.
func normal(records []string) []string {
	var out []string
	for _, r := range records {
		lines := strings.Split(r, "\n")
		if strings.HasPrefix(lines[0], "ref: ") {
			continue
		}
		slices.Sort(lines[1:])
		for i := range lines {
			if strings.HasPrefix(lines[i], "dnsHostName") {
				lines[i] = strings.ToLower(lines[i])
			}
		}
		out = append(out, strings.Join(lines, "\n"))
	}
	slices.Sort(out)
	return out
}
