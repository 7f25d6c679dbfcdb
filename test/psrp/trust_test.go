package psrp_test

import (
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/hybridge-cli/hybridge/pkg/config/secret"
	"github.com/hybridge-cli/hybridge/pkg/wire/kerberos"
	"github.com/hybridge-cli/hybridge/pkg/wire/link"
	"github.com/hybridge-cli/hybridge/test/peer"
)

// The referral of the user's domain controller leads to a service of a trusted realm, without
// domain_realm on this machine. The result must agree with MIT's kvno.
func TestReferralAcrossATrust(t *testing.T) {
	const encryption = "aes256-cts-hmac-sha1-96"
	home, other := peer.StartKDC(t, realm, encryption), peer.StartKDC(t, "FABRIKAM.LAB", encryption)
	trust := "krbtgt/FABRIKAM.LAB@" + realm
	home.Admin("addprinc", "-pw", "trust", trust)
	other.Admin("addprinc", "-pw", "trust", trust)
	home.Principal("admin", password)
	other.Keytab("http.keytab", "HTTP/ex1.fabrikam.lab")
	realms := fmt.Sprintf("[libdefaults]\n default_realm = %s\n dns_lookup_kdc = false\n dns_lookup_realm = false\n "+
		"rdns = false\n"+
		" dns_canonicalize_hostname = false\n[realms]\n %s = {\n  kdc = 127.0.0.1:%d\n }\n FABRIKAM.LAB = {\n  kdc = "+
		"127.0.0.1:%d\n }\n",
		realm, realm, home.Port(), other.Port())
	time.Sleep(1100 * time.Millisecond) // the domain controller compares times by the second
	home.Write("krb5.conf", realms+"[domain_realm]\n .fabrikam.lab = FABRIKAM.LAB\n")
	conf := home.Write("client.conf", realms)

	kvno := exec.CommandContext(t.Context(), peer.Program(t, "kvno", "krb5-user"), "-c",
		home.TicketCache("admin", password), "-S", "HTTP", "ex1.fabrikam.lab")
	kvno.Env = append(home.Environment(), "KRB5_CONFIG="+conf)
	if out, err := kvno.CombinedOutput(); err != nil {
		t.Fatalf("kvno finds no way, so this test proves nothing: %v\n%s", err, out)
	}
	c, err := kerberos.New(kerberos.Config{User: "admin", Password: secret.NewValue(password), Krb5Config: conf})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	ours, err := c.Context(t.Context(), "HTTP/ex1.fabrikam.lab")
	if err != nil {
		t.Fatal(err)
	}
	defer ours.Close()
	k := kdc{other}
	theirs := k.acceptor(t).Context()
	token, _, err := ours.Step(nil)
	if err != nil {
		t.Fatal(err)
	}
	reply, _, err := theirs.Step(token)
	if err != nil {
		t.Fatal(err)
	}
	if _, done, err := ours.Step(reply); err != nil || !done {
		t.Errorf("done %t, %v", done, err)
	}
	if _, err := c.Context(t.Context(), "HTTP/absent.fabrikam.lab"); !errors.Is(err, kerberos.ErrUnknownService) {
		t.Errorf("a service that neither realm has: %v", err)
	}
}

// An expired account is an access error.
func TestExpiredAccount(t *testing.T) {
	k := startKDC(t, "aes256-cts-hmac-sha1-96")
	k.Admin("modprinc", "-expire", "2001-01-01", "admin")
	_, err := k.client(t, kerberos.Config{User: "admin", Password: secret.NewValue(password)}).Context(t.Context(),
		"HTTP/localhost")
	if !errors.Is(err, link.ErrAccess) || !strings.Contains(err.Error(), "account has expired") {
		t.Errorf("got %v", err)
	}
}
