//go:build linux

package windows

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hybridge-cli/hybridge/test/peer"
)

// TestWindowsLogon opens the session to Exchange through SSPI as the user who runs hybridge, with
// tickets of a real KDC. SSPI is here Wine's kerberos.dll over MIT's libraries. Only https is
// tested: for messages sealed over http, Wine 8 requests a smaller buffer than the seal of AES
// fills.
func TestWindowsLogon(t *testing.T) {
	k := peer.StartKDC(t, "CONTOSO.EXAMPLE", "aes256-cts-hmac-sha1-96")
	k.Principal("svc-hybridge", "correct horse")
	keytab := k.Keytab("exchange.keytab", "HTTP/ex1.contoso.example")
	cache := k.TicketCache("svc-hybridge", "correct horse")
	e := startLab(t, "--keytab", keytab)
	answers := filepath.Join(e.dir, "answers.yaml")
	original, err := os.ReadFile(answers)
	if err != nil {
		t.Fatal(err)
	}
	conf, err := os.ReadFile(k.Conf)
	if err != nil {
		t.Fatal(err)
	}
	text := strings.Replace(string(conf), "[libdefaults]\n", "[libdefaults]\n dns_canonicalize_hostname = false\n", 1)
	if err := os.WriteFile(k.Conf, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	const basic = "        kind: basic\n        user: svc-hybridge@contoso.example\n" +
		"        password: file:secrets/contoso-svc-hybridge\n"
	const credential = "        kind: kerberos\n"
	text = strings.Replace(string(original), basic, credential, 1)
	if !strings.Contains(text, credential) {
		t.Fatal("the lab's answers look different now")
	}
	if err := os.WriteFile(answers, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	r := finish(t, 0, func(ctx context.Context) *exec.Cmd {
		// MIT's libraries read the environment of Linux, hybridge that of Windows: cmd empties the
		// latter.
		c := e.start(ctx, "cmd", "/c", "set KRB5_CONFIG=&& set KRB5CCNAME=&& "+path(e.program)+
			" check --only access.onprem* -f answers.yaml")
		c.Dir = e.dir
		c.Env = append(c.Env, "KRB5_CONFIG="+k.Conf, "KRB5CCNAME=FILE:"+cache)
		return c
	})
	if !r.says("PASS access.onprem-read contoso") {
		t.Error(r.stdout)
	}
}
