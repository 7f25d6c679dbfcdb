package deployment

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"math/big"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	pkcs12 "software.sslmate.com/src/go-pkcs12"

	"github.com/hybridge-cli/hybridge/pkg/config/answers"
	"github.com/hybridge-cli/hybridge/pkg/config/secret"
	"github.com/hybridge-cli/hybridge/pkg/engine/observe"
)

// A private key or a keytab that others can read gets one warning. A PKCS#12 file with a password
// gets none, nor does a certificate without a key.
func TestExposedKeys(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("file modes say nothing on Windows")
	}
	dir := t.TempDir()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "mail.contoso.com"},
		NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	public := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	both := bytes.Join([][]byte{public, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private})}, nil)
	pfx := func(password string) []byte {
		data, err := pkcs12.Modern.Encode(key, certificate, nil, password)
		if err != nil {
			t.Fatal(err)
		}
		return data
	}
	if err := os.WriteFile(filepath.Join(dir, "pw"), []byte("pw"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		data     []byte
		password string
		mode     os.FileMode
		warns    bool
	}{
		"open.pem": {both, "", 0o644, true}, "group.pem": {both, "", 0o640, true}, "own.pem": {both, "", 0o600, false},
		"certificate.pem": {public, "", 0o644, false}, "password.pfx": {pfx("pw"), "pw", 0o644, false},
		"bare.pfx": {pfx(""), "", 0o644, true}, "own.pfx": {pfx(""), "", 0o600, false},
	} {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, test.data, test.mode); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(path, test.mode); err != nil { // whatever the umask is
			t.Fatal(err)
		}
		d, heard := &Deployment{options: Options{Dir: dir}}, []string{}
		d.observer = observe.Func(func(e observe.Event) { heard = append(heard, e.(observe.Warning).Text) })
		for range 2 {
			if _, err := d.bundle("file:"+name, secret.NewValue(test.password)); err != nil {
				t.Fatalf("%s: %v", name, err)
			}
		}
		if test.warns != (len(heard) == 1) || test.warns && !strings.Contains(heard[0],
			name+" holds a private key without a password and others than its owner may read it") {
			t.Errorf("%s: %q", name, heard)
		}

		// A rotation takes PKCS#12 alone, and warns alike.
		d, heard = &Deployment{options: Options{Dir: dir}, secrets: map[string]secret.Value{}}, nil
		d.observer = observe.Func(func(e observe.Event) { heard = append(heard, e.(observe.Warning).Text) })
		r := Rotation{PFX: path}
		if test.password != "" {
			r.Password = "file:pw"
		}
		_, err := d.newTransport(t.Context(), r)
		if filepath.Ext(name) == ".pem" {
			if !errors.Is(err, ErrRotation) || !strings.Contains(err.Error(), "is PEM") {
				t.Errorf("%s: %v", name, err)
			}
		} else if err != nil || test.warns != (len(heard) == 1) {
			t.Errorf("%s: %v, %q", name, err, heard)
		}
	}

	path := filepath.Join(dir, "a.keytab")
	if err := os.WriteFile(path, []byte{5, 2}, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, 0o644); err != nil {
		t.Fatal(err)
	}
	d, heard := &Deployment{options: Options{Dir: dir}}, ""
	d.observer = observe.Func(func(e observe.Event) { heard += e.(observe.Warning).Text })
	kerberosConfig(d, answers.Credential{Kind: answers.CredentialKeytab, User: "svc@contoso.com", Keytab: "a.keytab"},
		secret.Value{})
	if !strings.Contains(heard, "a.keytab holds the keys of svc@contoso.com and others") {
		t.Error(heard)
	}
}
