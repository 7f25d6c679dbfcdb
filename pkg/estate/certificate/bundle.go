// Package certificate reads certificates, with or without their keys, from PKCS#12 and PEM files
// and from servers, and knows what Exchange and Exchange Online ask of them: names, lifetimes,
// chains, the "<I>issuer<S>subject" of connectors.
package certificate

import (
	"bytes"
	"crypto"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	pkcs12 "software.sslmate.com/src/go-pkcs12"

	"github.com/hybridge-cli/hybridge/pkg/config/secret"
)

// What can be wrong with a certificate file; test with errors.Is.
var (
	ErrPassword    = errors.New("wrong password")
	ErrNoKey       = errors.New("no private key")
	ErrKeyMismatch = errors.New("the private key belongs to none of the certificates")
	ErrFormat      = errors.New("neither PKCS#12 nor PEM")
)

// maxFile bounds a certificate file; one with a long chain is some 20 KiB.
const maxFile = 1 << 20

// Bundle is a certificate with its key and chain, where they came along. It prints as its subject,
// never its key.
type Bundle struct {
	Leaf  *x509.Certificate
	Chain []*x509.Certificate // the others, the leaf's issuer first as far as they link up
	Key   crypto.Signer       // nil when there was none
	Bare  bool                // the file has the key without a password

	Staple []byte // OCSP response that a server sent along
}

func (b Bundle) String() string {
	if b.Leaf == nil {
		return "no certificate"
	}
	return Subject(b.Leaf)
}

// GoString keeps %#v from walking into the key.
func (b Bundle) GoString() string { return "certificate.Bundle{" + b.String() + "}" }

// TLS is the bundle as crypto/tls takes it.
func (b Bundle) TLS() tls.Certificate {
	t := tls.Certificate{Leaf: b.Leaf, PrivateKey: b.Key, Certificate: [][]byte{b.Leaf.Raw}}
	for _, c := range b.Chain {
		t.Certificate = append(t.Certificate, c.Raw)
	}
	return t
}

// Load reads a PKCS#12 or PEM file. Errors name the file and wrap ErrPassword, ErrNoKey,
// ErrKeyMismatch or ErrFormat where one fits. A PEM file needs no key: Key is then nil.
func Load(path string, password secret.Value) (Bundle, error) {
	// The file is examined before it is opened: opening a pipe would wait for a writer.
	if info, err := os.Stat(path); err == nil && !info.Mode().IsRegular() {
		return Bundle{}, fmt.Errorf("certificate file %s: not a regular file", path)
	}
	f, err := os.Open(path)
	if err != nil {
		return Bundle{}, fmt.Errorf("certificate file: %w", err)
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return Bundle{}, fmt.Errorf("certificate file: %w", err)
	}
	if len(data) > maxFile {
		return Bundle{}, fmt.Errorf("certificate file %s: larger than %d KiB: %w", path, maxFile>>10, ErrFormat)
	}
	b, err := Parse(data, password)
	if err != nil {
		return Bundle{}, fmt.Errorf("certificate file %s: %w", path, err)
	}
	return b, nil
}

// Parse reads a PKCS#12 or PEM file's content.
func Parse(data []byte, password secret.Value) (Bundle, error) {
	if bytes.Contains(data, []byte("-----BEGIN ")) {
		return parsePEM(data)
	}
	return parsePKCS12(data, password)
}

// derivation is how long a PKCS#12 file may take to open. The file itself says how many rounds its
// keys are derived in, up to 2^31: honest ones take well under a second.
const derivation = 20 * time.Second

var errRounds = fmt.Errorf("not opened within %s: it asks for more rounds of key derivation than any honest file; "+
	"export it again", derivation)

// decoded is what a PKCS#12 file holds.
type decoded struct {
	key    any
	first  *x509.Certificate
	others []*x509.Certificate
	err    error
}

// within abandons decode after a time limit, because decode cannot be stopped.
func within(limit time.Duration, decode func() decoded) decoded {
	done := make(chan decoded, 1)
	go func() { done <- decode() }()
	timer := time.NewTimer(limit)
	defer timer.Stop()
	select {
	case d := <-done:
		return d
	case <-timer.C:
		return decoded{err: errRounds}
	}
}

func parsePKCS12(data []byte, password secret.Value) (Bundle, error) {
	d := within(derivation, func() (d decoded) {
		defer func() {
			if recover() != nil { // would end the process from here
				d = decoded{err: ErrFormat}
			}
		}()
		d.key, d.first, d.others, d.err = pkcs12.DecodeChain(data, password.Reveal())
		return d
	})
	key, first, others, err := d.key, d.first, d.others, d.err
	switch {
	case errors.Is(err, pkcs12.ErrIncorrectPassword), errors.Is(err, pkcs12.ErrDecryption):
		return Bundle{}, ErrPassword
	case err != nil:
		return Bundle{}, explainPKCS12(err)
	}
	signer, ok := key.(crypto.Signer)
	if !ok {
		return Bundle{}, fmt.Errorf("private key of type %T is not supported", key)
	}
	b, err := assemble(append([]*x509.Certificate{first}, others...), signer)
	b.Bare = password.IsZero()
	return b, err
}

// explainPKCS12 turns the decoder's texts into errors of this package. The decoder has no typed
// errors for them.
func explainPKCS12(err error) error {
	switch text := err.Error(); {
	case strings.Contains(text, "private key missing"):
		return fmt.Errorf("%w: export it again with its private key", ErrNoKey)
	case strings.Contains(text, "exactly one key bag"):
		return errors.New("holds more than one private key: export one certificate alone")
	case strings.Contains(text, "certificate missing"):
		return errors.New("holds no certificate")
	case strings.Contains(text, "error reading P12 data"), strings.Contains(text, "asn1:"):
		return ErrFormat
	}
	return err
}

func parsePEM(data []byte) (Bundle, error) {
	var certificates []*x509.Certificate
	var key crypto.Signer
	for {
		var block *pem.Block
		if block, data = pem.Decode(data); block == nil {
			break
		}
		switch {
		case block.Type == "CERTIFICATE" || block.Type == "TRUSTED CERTIFICATE":
			c, err := x509.ParseCertificate(block.Bytes)
			if err != nil {
				return Bundle{}, fmt.Errorf("certificate %d of the file does not parse", len(certificates)+1)
			}
			certificates = append(certificates, c)
		case block.Type == "ENCRYPTED PRIVATE KEY" || block.Headers["DEK-Info"] != "":
			return Bundle{}, errors.New("its private key is encrypted PEM: convert it with openssl pkcs12 -export")
		case strings.HasSuffix(block.Type, "PRIVATE KEY"):
			if key != nil {
				return Bundle{}, errors.New("holds more than one private key")
			}
			k, err := parseKey(block.Bytes)
			if err != nil {
				return Bundle{}, err
			}
			key = k
		}
	}
	if len(certificates) == 0 {
		return Bundle{}, fmt.Errorf("holds no certificate: %w", ErrFormat)
	}
	b, err := assemble(certificates, key)
	b.Bare = key != nil
	return b, err
}

func parseKey(der []byte) (crypto.Signer, error) {
	if k, err := x509.ParsePKCS8PrivateKey(der); err == nil {
		if s, ok := k.(crypto.Signer); ok {
			return s, nil
		}
	}
	if k, err := x509.ParsePKCS1PrivateKey(der); err == nil {
		return k, nil
	}
	if k, err := x509.ParseECPrivateKey(der); err == nil {
		return k, nil
	}
	return nil, errors.New("its private key does not parse") // the parsers' texts could quote it
}

// assemble finds the leaf: the certificate of the key or, without a key, the one that issued none
// of the others. The rest is put in chain order.
func assemble(certificates []*x509.Certificate, key crypto.Signer) (Bundle, error) {
	leaf := -1
	for i, c := range certificates {
		if key != nil && publicEqual(key.Public(), c.PublicKey) || key == nil && !issuedOther(c, certificates) {
			// Renewed with the same key: the newer one.
			if leaf < 0 || key != nil && c.NotAfter.After(certificates[leaf].NotAfter) {
				leaf = i
			}
		}
	}
	if leaf < 0 {
		if key != nil {
			return Bundle{}, ErrKeyMismatch
		}
		leaf = 0
	}
	b := Bundle{Leaf: certificates[leaf], Key: key}
	var rest []*x509.Certificate
	for i, c := range certificates {
		if i != leaf && !c.Equal(b.Leaf) {
			rest = append(rest, c)
		}
	}
	for last := b.Leaf; ; {
		next := -1
		for i, c := range rest {
			if bytes.Equal(last.RawIssuer, c.RawSubject) && last.CheckSignatureFrom(c) == nil {
				next = i
				break
			}
		}
		if next < 0 || SelfSigned(last) {
			break
		}
		last = rest[next]
		b.Chain = append(b.Chain, last)
		rest = append(rest[:next:next], rest[next+1:]...)
	}
	b.Chain = append(b.Chain, rest...)
	return b, nil
}

func publicEqual(a, b crypto.PublicKey) bool {
	k, ok := a.(interface{ Equal(crypto.PublicKey) bool })
	return ok && k.Equal(b)
}

func issuedOther(c *x509.Certificate, all []*x509.Certificate) bool {
	for _, other := range all {
		if other != c && !other.Equal(c) && bytes.Equal(other.RawIssuer, c.RawSubject) {
			return true
		}
	}
	return false
}

// FromPeer makes a Bundle of what a peer presented, in the order it did: whether the chain is
// complete shows in it.
func FromPeer(certificates []*x509.Certificate) (Bundle, error) {
	if len(certificates) == 0 {
		return Bundle{}, errors.New("the peer presented no certificate")
	}
	return Bundle{Leaf: certificates[0], Chain: certificates[1:]}, nil
}
