package lab

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"time"
)

// authority is the lab's own certificate authority; nothing outside the lab trusts it.
type authority struct {
	name pkix.Name
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	now  time.Time
	rsa  ring
	// above are the authorities above one that is not a root, nearest first.
	above []*x509.Certificate
}

// issued is a certificate with its key.
type issued struct {
	cert  *x509.Certificate
	chain []*x509.Certificate // above it, nearest first
	key   crypto.Signer
}

func newAuthority(now time.Time) (*authority, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("lab authority: %w", err)
	}
	a := &authority{key: key, now: now,
		name: pkix.Name{CommonName: "hybridge lab CA", Organization: []string{"hybridge lab"}}}
	template := &x509.Certificate{
		SerialNumber: serial(), Subject: a.name,
		NotBefore: now.Add(-time.Hour), NotAfter: now.AddDate(5, 0, 0),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, fmt.Errorf("lab authority: %w", err)
	}
	a.cert, err = x509.ParseCertificate(der)
	return a, err
}

// twin is the same authority with RSA keys of its own.
func (a *authority) twin(now time.Time) *authority {
	return &authority{name: a.name, cert: a.cert, key: a.key, now: now}
}

// leaf describes a certificate to issue.
type leaf struct {
	subject    pkix.Name
	names      []string
	from, to   time.Time // one hour ago and 300 days ahead when zero
	rsa        bool      // RSA 2048 as Exchange has it; ECDSA otherwise, which is quicker to make
	selfSigned bool
}

func (a *authority) issue(l leaf) (*issued, error) {
	var key crypto.Signer
	var err error
	if l.rsa {
		key, err = a.rsa.take()
	} else {
		key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	}
	if err != nil {
		return nil, fmt.Errorf("lab certificate %s: %w", l.subject.CommonName, err)
	}
	return a.sign(l, key)
}

func (a *authority) sign(l leaf, key crypto.Signer) (*issued, error) {
	if l.from.IsZero() {
		l.from = a.now.Add(-time.Hour)
	}
	if l.to.IsZero() {
		l.to = a.now.AddDate(0, 0, 300)
	}
	template := &x509.Certificate{
		SerialNumber: serial(), Subject: l.subject, NotBefore: l.from, NotAfter: l.to,
		KeyUsage:    x509.KeyUsageDigitalSignature | x509.KeyUsageKeyEncipherment,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	for _, n := range l.names {
		if ip := net.ParseIP(n); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else {
			template.DNSNames = append(template.DNSNames, n)
		}
	}
	parent, signer := a.cert, crypto.Signer(a.key)
	var chain []*x509.Certificate
	if l.selfSigned {
		parent, signer = template, key
	} else {
		chain = append([]*x509.Certificate{a.cert}, a.above...)
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), signer)
	if err != nil {
		return nil, fmt.Errorf("lab certificate %s: %w", l.subject.CommonName, err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fmt.Errorf("lab certificate %s: %w", l.subject.CommonName, err)
	}
	return &issued{cert: cert, chain: chain, key: key}, nil
}

func (a *authority) pem() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: a.cert.Raw})
}

func (a *authority) pool() *x509.CertPool {
	p := x509.NewCertPool()
	p.AddCert(a.cert)
	return p
}

func (c *issued) tls() tls.Certificate {
	t := tls.Certificate{Certificate: [][]byte{c.cert.Raw}, PrivateKey: c.key, Leaf: c.cert}
	for _, above := range c.chain {
		t.Certificate = append(t.Certificate, above.Raw)
	}
	return t
}

func serial() *big.Int {
	n, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		panic(err) // the system's random source is gone: no certificate can be made
	}
	return n.Add(n, big.NewInt(1))
}
