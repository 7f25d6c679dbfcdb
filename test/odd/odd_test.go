// Package odd_test runs checks and sign-in against servers that misbehave: domain controllers, name
// servers and login hosts of odd tempers. Each temper has the verdict that an administrator
// expects.
package odd_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"math/big"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/hybridge-cli/hybridge/pkg/wire/link"
)

// issuer is an authority for the certificates of odd servers.
type issuer struct {
	certificate *x509.Certificate
	key         crypto.Signer
	pool        *x509.CertPool
}

func newIssuer(t *testing.T) *issuer {
	t.Helper()
	i := &issuer{pool: x509.NewCertPool()}
	template := &x509.Certificate{Subject: pkix.Name{CommonName: "Odd authority"}, IsCA: true,
		BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign, NotBefore: time.Now().Add(-time.Hour),
		NotAfter: time.Now().Add(time.Hour)}
	i.certificate, i.key = i.sign(t, template, nil)
	i.pool.AddCert(i.certificate)
	return i
}

// sign makes a certificate. Without a parent it signs itself.
func (i *issuer) sign(t *testing.T, c *x509.Certificate, parent *issuer) (*x509.Certificate, crypto.Signer) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c.SerialNumber = big.NewInt(time.Now().UnixNano())
	above, signer := c, crypto.Signer(key)
	if parent != nil {
		above, signer = parent.certificate, parent.key
	}
	der, err := x509.CreateCertificate(rand.Reader, c, above, key.Public(), signer)
	if err != nil {
		t.Fatal(err)
	}
	made, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return made, key
}

// server makes a server's certificate; change may alter it.
func (i *issuer) server(t *testing.T, host string, change func(*x509.Certificate)) tls.Certificate {
	t.Helper()
	template := &x509.Certificate{Subject: pkix.Name{CommonName: host}, DNSNames: []string{host},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}}
	if change != nil {
		change(template)
	}
	made, key := i.sign(t, template, i)
	return tls.Certificate{Certificate: [][]byte{made.Raw}, PrivateKey: key}
}

// listen serves each connection in a goroutine of its own until the test ends.
func listen(t *testing.T, serve func(net.Conn)) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				serve(c)
			}()
		}
	}()
	return l.Addr().String()
}

// fit reports texts that must not reach a terminal.
func fit(t *testing.T, name, text string) {
	t.Helper()
	if strings.ContainsAny(text, "\x00\x1b\x07\u202e\r\n") {
		t.Errorf("%s: control characters in %q", name, text)
	}
}

func isAccess(err error) bool { return errors.Is(err, link.ErrAccess) }
