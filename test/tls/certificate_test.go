package tls_test

import (
	"crypto/x509"
	"encoding/base64"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hybridge-cli/hybridge/pkg/config/secret"
	"github.com/hybridge-cli/hybridge/pkg/estate/certificate"
	"github.com/hybridge-cli/hybridge/pkg/wire/link"
	"github.com/hybridge-cli/hybridge/pkg/wire/oauth"
)

// PKCS#12 files as OpenSSL writes them, with current and legacy encryption.
func TestOpenSSLFiles(t *testing.T) {
	need(t, "openssl")
	dir := authority(t)
	at := func(name string) string { return filepath.Join(dir, name) }
	for name, more := range map[string][]string{
		"modern": nil,
		"legacy": {"-legacy", "-certpbe", "PBE-SHA1-RC2-40", "-keypbe", "PBE-SHA1-3DES", "-macalg", "SHA1"},
		"3des":   {"-certpbe", "PBE-SHA1-3DES", "-keypbe", "PBE-SHA1-3DES", "-macalg", "SHA1"},
	} {
		t.Run(name, func(t *testing.T) {
			args := append([]string{"pkcs12", "-export", "-in", at("leaf.pem"), "-inkey", at("leaf.key"), "-certfile",
				at("intermediate.pem"), "-out", at(name + ".pfx"), "-passout", "pass:pä ss"}, more...)
			run(t, "openssl", args...)
			b, err := certificate.Load(at(name+".pfx"), secret.NewValue("pä ss"))
			if err != nil {
				t.Fatal(err)
			}
			if b.Key == nil || len(b.Chain) != 1 ||
				certificate.CommonName(certificate.Subject(b.Leaf)) != "mail.contoso.example" {
				t.Errorf("%s with %d others", b, len(b.Chain))
			}
			if _, err := certificate.Load(at(name+".pfx"), secret.NewValue("wrong")); !errors.Is(err,
				certificate.ErrPassword) {
				t.Errorf("wrong password: %v", err)
			}
		})
	}
	b, err := certificate.Load(at("chain.pem"), secret.Value{})
	if err != nil {
		t.Fatal(err)
	}
	fingerprint := run(t, "openssl", "x509", "-in", at("leaf.pem"), "-noout", "-fingerprint", "-sha1")
	if _, want, _ := strings.Cut(strings.TrimSpace(fingerprint),
		"="); certificate.NormalThumbprint(want) != certificate.Thumbprint(b.Leaf) {
		t.Errorf("thumbprint %s, OpenSSL has %s", certificate.Thumbprint(b.Leaf), want)
	}
	// With the right options OpenSSL prints names in the order and with the separators of .NET. It
	// differs in two keywords.
	for option, got := range map[string]string{"-subject": certificate.Subject(b.Leaf),
		"-issuer": certificate.Issuer(b.Leaf)} {
		printed := run(t, "openssl", "x509", "-in", at("leaf.pem"), "-noout", option, "-nameopt",
			"sname,dn_rev,sep_comma_plus_space,utf8")
		_, want, _ := strings.Cut(strings.TrimSpace(printed), "=")
		want = strings.NewReplacer("emailAddress=", "E=", "ST=", "S=").Replace(want)
		if got != want {
			t.Errorf("%s %q, OpenSSL has %q", option, got, want)
		}
	}
	roots := x509.NewCertPool()
	pem, err := os.ReadFile(at("root.pem"))
	if err != nil {
		t.Fatal(err)
	}
	roots.AppendCertsFromPEM(pem)
	if err := certificate.Verify(b, roots, "autodiscover.contoso.example", time.Now()); err != nil {
		t.Error(err)
	}
	b.Chain = nil
	if err := certificate.Verify(b, roots, "", time.Now()); !errors.Is(err, link.ErrUntrusted) {
		t.Errorf("without the intermediate: %v", err)
	}
}

// A client assertion, checked by OpenSSL: the signature under the certificate's key, and the
// thumbprint that names it.
func TestOpenSSLVerifiesAssertion(t *testing.T) {
	need(t, "openssl")
	dir := authority(t)
	at := func(name string) string { return filepath.Join(dir, name) }
	run(t, "openssl", "pkcs12", "-export", "-in", at("leaf.pem"), "-inkey", at("leaf.key"), "-out", at("auth.pfx"),
		"-passout", "pass:p")
	b, err := certificate.Load(at("auth.pfx"), secret.NewValue("p"))
	if err != nil {
		t.Fatal(err)
	}
	text, err := oauth.Assertion(b.Leaf, b.Key, "app", "https://login.example/token", time.Now())
	if err != nil {
		t.Fatal(err)
	}
	parts := strings.Split(text, ".")
	signature, err := base64.RawURLEncoding.DecodeString(parts[2])
	if err != nil {
		t.Fatal(err)
	}
	write(t, dir, "signed", parts[0]+"."+parts[1])
	write(t, dir, "signature", string(signature))
	write(t, dir, "public.pem", run(t, "openssl", "x509", "-in", at("leaf.pem"), "-noout", "-pubkey"))
	if out := run(t, "openssl", "dgst", "-sha256", "-verify", at("public.pem"), "-signature", at("signature"),
		at("signed")); !strings.Contains(out, "Verified OK") {
		t.Error(out)
	}
	parsed, err := oauth.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := base64.RawURLEncoding.DecodeString(parsed.Header.X5T)
	if err != nil {
		t.Fatal(err)
	}
	fingerprint := run(t, "openssl", "x509", "-in", at("leaf.pem"), "-noout", "-fingerprint", "-sha1")
	_, want, _ := strings.Cut(strings.TrimSpace(fingerprint), "=")
	if got := strings.ToUpper(hexOf(raw)); got != strings.ReplaceAll(want, ":", "") {
		t.Errorf("x5t is %s, OpenSSL has %s", got, want)
	}
}

func hexOf(b []byte) string {
	const digits = "0123456789abcdef"
	var s strings.Builder
	for _, c := range b {
		s.WriteByte(digits[c>>4])
		s.WriteByte(digits[c&15])
	}
	return s.String()
}
