package ews_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hybridge-cli/hybridge/pkg/config/secret"
	"github.com/hybridge-cli/hybridge/pkg/wire/ews"
	"github.com/hybridge-cli/hybridge/pkg/wire/link"
)

const apacheConf = `
ServerRoot "%[1]s"
ServerName mail.contoso.test
PidFile "%[1]s/httpd.pid"
ErrorLog "%[1]s/error.log"
DefaultRuntimeDir "%[1]s"
Mutex posixsem
LoadModule mpm_event_module %[2]s/mod_mpm_event.so
LoadModule authz_core_module %[2]s/mod_authz_core.so
LoadModule authz_user_module %[2]s/mod_authz_user.so
LoadModule authn_core_module %[2]s/mod_authn_core.so
LoadModule auth_gssapi_module %[2]s/mod_auth_gssapi.so
LoadModule ssl_module %[2]s/mod_ssl.so
LoadModule proxy_module %[2]s/mod_proxy.so
LoadModule proxy_http_module %[2]s/mod_proxy_http.so
LoadModule headers_module %[2]s/mod_headers.so
Listen %[3]s
%[5]s
SSLEngine on
SSLCertificateFile "%[1]s/cert.pem"
SSLCertificateKeyFile "%[1]s/key.pem"
KeepAlive On
<Location /EWS>
  AuthType GSSAPI
  AuthName contoso
  GssapiAllowedMech ntlmssp
  GssapiConnectionBound On
  Require valid-user
  RequestHeader unset Authorization
</Location>
ProxyPass /EWS %[4]s/EWS
`

// TestNTLMAgainstApache runs Apache with gss-ntlmssp in front of the server half. Apache verifies
// our NTLM messages.
func TestNTLMAgainstApache(t *testing.T) {
	apache := program(t, "apache2", "apache2-bin")
	const modules = "/usr/lib/apache2/modules"
	if _, err := os.Stat(modules + "/mod_auth_gssapi.so"); err != nil {
		missing(t, "mod_auth_gssapi", "libapache2-mod-auth-gssapi")
	}
	if found, _ := filepath.Glob("/usr/lib/*/gssntlmssp/gssntlmssp.so"); len(found) == 0 {
		missing(t, "gss-ntlmssp", "gss-ntlmssp")
	}
	backend := httptest.NewServer(ewsHandler())
	t.Cleanup(backend.Close)

	// Not t.TempDir: Apache's workers are another user and must be able to enter.
	dir, err := os.MkdirTemp("", "apache-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil { //nolint:gosec // as above
		t.Fatal(err)
	}
	ca := writeCertificate(t, dir)
	users := filepath.Join(dir, "users")
	write(t, users, "CONTOSO:alice:"+password+"\n")
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := listener.Addr().String()
	listener.Close()
	user := ""
	if os.Getuid() == 0 {
		user = "User www-data\nGroup www-data"
	}
	write(t, filepath.Join(dir, "apache.conf"), fmt.Sprintf(apacheConf, dir, modules, address, backend.URL, user))
	c := exec.CommandContext(t.Context(), apache, "-DFOREGROUND", "-f", filepath.Join(dir, "apache.conf"))
	c.Env = append(os.Environ(), "NTLM_USER_FILE="+users)
	c.Cancel = func() error { return c.Process.Signal(os.Interrupt) }
	c.WaitDelay = 10 * time.Second
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Wait() })
	waitFor(t, address, dir)

	l, err := link.New(link.Options{CAFile: ca, ConnectTo: []string{"mail.contoso.test:443=" + address}})
	if err != nil {
		t.Fatal(err)
	}
	request := ews.Request{Mailboxes: []string{"alice@contoso.test"}, Window: window, View: ews.MergedOnly,
		Interval: time.Hour}
	ask := func(user, password string) (ews.Response, error) {
		client := ews.Client{URL: "https://mail.contoso.test/EWS/Exchange.asmx",
			HTTP: l.Client(link.NTLM{User: user, Password: secret.NewValue(password)})}
		return client.Availability(t.Context(), request)
	}
	for _, name := range []string{`CONTOSO\alice`, `CONTOSO\ALICE`} {
		got, err := ask(name, password)
		if err != nil {
			log, _ := os.ReadFile(filepath.Join(dir, "error.log"))
			t.Fatalf("%s: %v\n%s", name, err, log)
		}
		if got.Mailboxes[0].Merged != "000000000200033000000000" {
			t.Errorf("%s: %+v", name, got.Mailboxes[0])
		}
	}
	for name, pw := range map[string]string{`CONTOSO\alice`: "wrong", `CONTOSO\mallory`: password} {
		var status *link.StatusError
		if _, err := ask(name, pw); !errors.Is(err, link.ErrAccess) || !errors.As(err, &status) ||
			status.StatusCode != http.StatusUnauthorized {
			t.Errorf("%s with password %q: %v", name, pw, err)
		}
	}
}

func write(t *testing.T, file, text string) {
	t.Helper()
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil { //nolint:gosec // Apache's workers are another user
		t.Fatal(err)
	}
}

// writeCertificate makes a self-signed certificate of mail.contoso.test.
func writeCertificate(t *testing.T, dir string) string {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "mail.contoso.test"},
		DNSNames:  []string{"mail.contoso.test"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true,
		BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, "cert.pem"), string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})))
	write(t, filepath.Join(dir, "key.pem"), string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER})))
	return filepath.Join(dir, "cert.pem")
}

func waitFor(t *testing.T, address, dir string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	for {
		conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", address)
		if err == nil {
			conn.Close()
			return
		}
		if ctx.Err() != nil {
			log, _ := os.ReadFile(filepath.Join(dir, "error.log"))
			t.Fatalf("Apache does not listen: %v\n%s", err, strings.TrimSpace(string(log)))
		}
		time.Sleep(50 * time.Millisecond)
	}
}
