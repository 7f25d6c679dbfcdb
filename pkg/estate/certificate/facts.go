package certificate

import (
	"bytes"
	"crypto/sha1" // thumbprints are SHA-1 in Windows and Exchange
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/hybridge-cli/hybridge/pkg/wire/link"
)

// Thumbprint is the SHA-1 of the certificate in upper-case hexadecimal, as Windows shows it and
// Entra stores it in customKeyIdentifier.
func Thumbprint(c *x509.Certificate) string { return ThumbprintOf(c.Raw) }

// ThumbprintOf is the Thumbprint of a certificate in DER.
func ThumbprintOf(der []byte) string {
	sum := sha1.Sum(der)
	return strings.ToUpper(hex.EncodeToString(sum[:]))
}

// NormalThumbprint brings a thumbprint as people copy it (spaces, colons, lower case, the invisible
// mark that the Windows dialog puts in front) into the form of Thumbprint; "" when it is none.
func NormalThumbprint(s string) string {
	out := strings.Map(func(r rune) rune {
		switch {
		case r >= '0' && r <= '9' || r >= 'A' && r <= 'F':
			return r
		case r >= 'a' && r <= 'f':
			return r - 'a' + 'A'
		case r == ' ' || r == ':' || r == 0x200e || r == 0xfeff:
			return -1
		}
		return 'x'
	}, s)
	if len(out) != 40 || strings.ContainsRune(out, 'x') {
		return ""
	}
	return out
}

// SelfSigned reports whether a certificate is its own issuer, signature included.
func SelfSigned(c *x509.Certificate) bool {
	return bytes.Equal(c.RawSubject, c.RawIssuer) &&
		c.CheckSignature(c.SignatureAlgorithm, c.RawTBSCertificate, c.Signature) == nil
}

// Names are the DNS names that a certificate speaks for, lower case, without repetition: the
// subject alternative names, then the common name when it looks like a host name. Exchange Online
// looks at both.
func Names(c *x509.Certificate) []string {
	var out []string
	add := func(name string) {
		name = strings.ToLower(strings.TrimSuffix(name, "."))
		if name != "" && !slices.Contains(out, name) {
			out = append(out, name)
		}
	}
	for _, n := range c.DNSNames {
		add(n)
	}
	if cn := c.Subject.CommonName; strings.Contains(cn, ".") && !strings.ContainsAny(cn, " @/:") {
		add(cn)
	}
	return out
}

// Covers reports whether a certificate's subject alternative names match a host name. A wildcard
// stands for exactly one whole label. The common name does not count: no current TLS client looks
// at it. An alternative name that ends with a dot matches nothing (RFC 5280 knows no such name).
func Covers(c *x509.Certificate, host string) bool {
	return slices.ContainsFunc(c.DNSNames,
		func(n string) bool { return !strings.HasSuffix(n, ".") && Matches(n, host) })
}

// Matches reports whether a certificate's name, which may begin with "*.", matches a host name.
func Matches(name, host string) bool {
	name, host = strings.ToLower(strings.TrimSuffix(name, ".")), strings.ToLower(strings.TrimSuffix(host, "."))
	if name == "" || host == "" {
		return false
	}
	parent, wildcard := strings.CutPrefix(name, "*.")
	if !wildcard {
		return name == host && !strings.Contains(host, "*")
	}
	label, rest, ok := strings.Cut(host, ".")
	return ok && label != "" && label != "*" && rest == parent && strings.Contains(parent, ".")
}

// NameUnder returns a name of the certificate that lies in one of the domains, the domain itself
// and hosts and wildcards under it alike, with that domain: what makes Exchange Online attribute a
// connection to the tenant that holds the domain. ok is false when there is none.
func NameUnder(c *x509.Certificate, domains []string) (name, domain string, ok bool) {
	for _, n := range Names(c) {
		plain := strings.TrimPrefix(n, "*.")
		for _, d := range domains {
			d = strings.ToLower(strings.TrimSuffix(d, "."))
			if plain == d || strings.HasSuffix(plain, "."+d) {
				return n, d, true
			}
		}
	}
	return "", "", false
}

// Usable reports for which TLS roles a certificate's extended key usages allow it; a certificate
// without the extension is for all.
func Usable(c *x509.Certificate) (server, client bool) {
	if len(c.ExtKeyUsage) == 0 && len(c.UnknownExtKeyUsage) == 0 {
		return true, true
	}
	for _, u := range c.ExtKeyUsage {
		switch u {
		case x509.ExtKeyUsageAny:
			return true, true
		case x509.ExtKeyUsageServerAuth:
			server = true
		case x509.ExtKeyUsageClientAuth:
			client = true
		}
	}
	return server, client
}

// NameAndIssuer is the common name and the issuer, in lower case. Exchange finds a connector's
// certificate by them. Exchange Online finds by them the organization that a connection belongs to.
// Forests that share a tenant must differ in it.
func NameAndIssuer(c *x509.Certificate) string {
	return strings.ToLower(c.Subject.CommonName + " of " + Issuer(c))
}

// VerifyRevocations checks that the leaf's issuer signed a list of revoked certificates, and that the
// list holds at a moment. Authorities publish lists over plain http: who is on the way can send
// another one, or an old one. Errors wrap link.ErrUntrusted.
func VerifyRevocations(b Bundle, list *x509.RevocationList, roots *x509.CertPool, now time.Time) error {
	issuer, _ := issuerOf(b.Leaf, b.Chain)
	if issuer == nil { // it may be a root, which no server sends
		chains, err := b.Leaf.Verify(x509.VerifyOptions{Roots: roots, CurrentTime: now,
			KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny}})
		if err != nil || len(chains[0]) < 2 {
			return fmt.Errorf("%w: the certificate of its signer, %s, is not known", link.ErrUntrusted, Issuer(b.Leaf))
		}
		issuer = chains[0][1]
	}
	switch {
	case list.CheckSignatureFrom(issuer) != nil:
		return fmt.Errorf("%w: %s did not sign it", link.ErrUntrusted, Issuer(b.Leaf))
	case now.After(list.NextUpdate):
		return fmt.Errorf("%w: it held until %s", link.ErrUntrusted, list.NextUpdate.UTC().Format(time.DateOnly))
	}
	return nil
}

// Verify checks that a certificate leads to one of the roots (the system's when nil) at a moment
// and, unless host is empty, that it covers the host. Errors wrap link.ErrUntrusted and say which
// part failed.
func Verify(b Bundle, roots *x509.CertPool, host string, now time.Time) error {
	if b.Leaf == nil {
		return fmt.Errorf("%w: no certificate", link.ErrUntrusted)
	}
	intermediates := x509.NewCertPool()
	for _, c := range b.Chain {
		intermediates.AddCert(c)
	}
	_, err := b.Leaf.Verify(x509.VerifyOptions{
		Roots: roots, Intermediates: intermediates, CurrentTime: now,
		KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny},
	})
	if err != nil {
		return fmt.Errorf("%w: %s", link.ErrUntrusted, explain(err, b, now))
	}
	if host != "" && !Covers(b.Leaf, host) {
		return fmt.Errorf("%w: the certificate is for %s, not for %s", link.ErrUntrusted, listNames(b.Leaf), host)
	}
	return nil
}

func explain(err error, b Bundle, now time.Time) string {
	var invalid x509.CertificateInvalidError
	var unknown x509.UnknownAuthorityError
	switch {
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		c := invalid.Cert
		if c == nil {
			c = b.Leaf
		}
		if now.Before(c.NotBefore) {
			return fmt.Sprintf("%s is valid only from %s", Subject(c), c.NotBefore.UTC().Format(time.RFC3339))
		}
		return fmt.Sprintf("%s expired on %s", Subject(c), c.NotAfter.UTC().Format(time.RFC3339))
	case errors.As(err, &unknown) && SelfSigned(b.Leaf):
		return fmt.Sprintf("%s is self-signed and not among the trusted roots", Subject(b.Leaf))
	case errors.As(err, &unknown) && len(b.Chain) == 0:
		return fmt.Sprintf("the issuer %s is not trusted, and no intermediate certificate was sent along",
			Issuer(b.Leaf))
	case errors.As(err, &unknown):
		return fmt.Sprintf("the chain of %s ends at no trusted root", Subject(b.Leaf))
	}
	return err.Error()
}

func listNames(c *x509.Certificate) string {
	names := c.DNSNames
	if len(names) == 0 {
		return "no host name"
	}
	if len(names) > 5 {
		return strings.Join(names[:5], ", ") + fmt.Sprintf(" and %d more", len(names)-5)
	}
	return strings.Join(names, ", ")
}
