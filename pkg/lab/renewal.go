package lab

import (
	"cmp"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/hybridge-cli/hybridge/pkg/config/secret"
)

// Renewal says what a new transport certificate has other than the present one.
type Renewal struct {
	CommonName string   // the present one when empty; the names of the present one stay
	Issuer     string   // of an intermediate authority of the lab; the present issuer when empty
	Only       []string // its alternative names; those of the present one when nil
	Days       int      // until it ends; 350 when 0
}

// Renew issues a transport certificate for a forest, as a person buys one. It returns the file and
// the reference of its password. Nothing uses it yet.
func (l *Lab) Renew(forest string, r Renewal) (file string, password secret.Ref, err error) {
	for _, f := range l.forests {
		if f.name != forest {
			continue
		}
		leaf := f.transportLeaf()
		if r.CommonName != "" {
			leaf.subject.CommonName = r.CommonName
			leaf.names = append(leaf.names, r.CommonName)
		}
		if r.Only != nil {
			leaf.names = r.Only
		}
		leaf.to = l.now().AddDate(0, 0, cmp.Or(r.Days, 350))
		by := l.authority
		if r.Issuer != "" {
			if by, err = l.authority.below(r.Issuer); err != nil {
				return "", "", err
			}
		}
		key, err := l.authority.rsa.take()
		if err != nil {
			return "", "", err
		}
		made, err := by.sign(leaf, key)
		if err != nil {
			return "", "", err
		}
		l.renewed++
		file, password, err := l.pfx(fmt.Sprintf("%s-transport-%d", f.name, l.renewed), made)
		if err == nil {
			file = filepath.Join(l.dir, file)
			password = secret.Ref("file:" + filepath.Join(l.dir, strings.TrimPrefix(string(password), "file:")))
		}
		return file, password, err
	}
	return "", "", fmt.Errorf("lab: no forest %s", forest)
}

// below makes an authority under this one.
func (a *authority) below(name string) (*authority, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("lab authority: %w", err)
	}
	child := &authority{name: pkix.Name{CommonName: name, Organization: a.name.Organization}, key: key, now: a.now,
		above: append([]*x509.Certificate{a.cert}, a.above...)}
	template := &x509.Certificate{
		SerialNumber: serial(), Subject: child.name, NotBefore: a.cert.NotBefore, NotAfter: a.cert.NotAfter,
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, key.Public(), a.key)
	if err != nil {
		return nil, fmt.Errorf("lab authority: %w", err)
	}
	child.cert, err = x509.ParseCertificate(der)
	return child, err
}

// Publish adds a record to DNS, in the form of a zone file.
func (l *Lab) Publish(record string) error { return l.zone.Add(record) }
