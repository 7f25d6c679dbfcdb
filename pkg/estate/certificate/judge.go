package certificate

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/x509"
	"encoding/asn1"
	"errors"
	"slices"
	"strings"
	"time"

	"golang.org/x/crypto/ocsp"

	"github.com/hybridge-cli/hybridge/pkg/wire/finding"
)

// The thresholds of lifetimes, in days. Source: HealthChecker (CSS-Exchange).
const (
	WarnDays = 60
	FailDays = 30
)

// maxPublicDays is the longest validity of a certificate that a public authority may still have
// issued (CA/Browser Forum: 398 days until 2026-03-14, 200 since).
const maxPublicDays = 398

// Use is what a certificate is judged for.
type Use struct {
	What  any            // the certificate's name in a sentence; "the certificate" when nil
	Roots *x509.CertPool // the system's when nil
	Hosts []string       // names that it has to hold
	Now   time.Time
	Mail  bool // as transport certificate: the server presents it as a client too
	// Served reports that a server presented it, so that the absence of an OCSP response means
	// something.
	Served bool
}

// The fixes of certificates.
const (
	fixReplace = "Get a certificate from a public authority with the server's names (RSA with 2048 bits or more), " +
		"import it on every server, and enable it for the service; " +
		"answer No when asked to overwrite the default SMTP certificate."
	fixRenew = "Renew it: import the new certificate on every server, enable it for the service, and set " +
		"TlsCertificateName of the connectors again where issuer or subject changed."
	fixChain = "Install the right intermediate certificates on the server, so that it sends them along."
	fixKey   = "Replace it with a certificate that has an RSA key of 2048 bits or more, or an ECDSA key on P-256."
	fixNames = "Get a certificate that has these names among its alternative names, and enable it for the service."
)

// Judge says what is wrong with a certificate for a TLS server that Exchange Online connects to,
// the worst first within each of chain, key, purpose, names and time. A faultless certificate has
// no finding.
func Judge(b Bundle, u Use) []finding.Finding {
	if u.What == nil {
		u.What = "the certificate"
	}
	if b.Leaf == nil {
		return []finding.Finding{finding.Of(finding.Wrong, "no-certificate",
			"the server presents no certificate").WithFix(fixReplace)}
	}
	var out []finding.Finding
	out = append(out, judgeTime(b.Leaf, u)...)
	out = append(out, judgeChain(b, u)...)
	out = append(out, judgeKey(b.Leaf, u)...)
	out = append(out, judgePurpose(b.Leaf, u)...)
	out = append(out, judgeNames(b.Leaf, u)...)
	return append(out, judgeStaple(b, u)...)
}

func judgeTime(leaf *x509.Certificate, u Use) []finding.Finding {
	var out []finding.Finding
	left := int(leaf.NotAfter.Sub(u.Now).Hours() / 24)
	switch {
	case u.Now.After(leaf.NotAfter):
		out = append(out, finding.Of(finding.Wrong, "expired", "%s ended on %s", u.What,
			day(leaf.NotAfter)).WithFix(fixRenew))
	case u.Now.Before(leaf.NotBefore):
		out = append(out, finding.Of(finding.Wrong, "not-yet-valid", "%s is not valid before %s", u.What,
			day(leaf.NotBefore)).
			WithFix("Use the previous certificate until then, and check the server's clock."))
	case left == 1:
		out = append(out, finding.Of(finding.Wrong, "ends-soon", "%s ends in one day, on %s", u.What,
			day(leaf.NotAfter)).WithFix(fixRenew))
	case left < FailDays:
		out = append(out, finding.Of(finding.Wrong, "ends-soon", "%s ends in %d days, on %s", u.What, left,
			day(leaf.NotAfter)).WithFix(fixRenew))
	case left < WarnDays:
		out = append(out, finding.Of(finding.Doubtful, "ends", "%s ends in %d days, on %s", u.What, left,
			day(leaf.NotAfter)).WithFix(fixRenew))
	}
	if days := int(leaf.NotAfter.Sub(leaf.NotBefore).Hours() / 24); days > maxPublicDays && !SelfSigned(leaf) {
		out = append(out, finding.Of(finding.Doubtful, "long-validity",
			"%s is valid for %d days: public authorities issue for %d at most (200 since March 2026), so its "+
				"authority is a private one, which Exchange Online may not trust", u.What, days, maxPublicDays).
			WithFix(fixReplace))
	}
	return out
}

func day(t time.Time) string { return t.UTC().Format(time.DateOnly) }

// judgeChain verifies the chain. It walks the certificates that were sent along to report every
// fault.
func judgeChain(b Bundle, u Use) []finding.Finding {
	if SelfSigned(b.Leaf) {
		return []finding.Finding{finding.Of(finding.Wrong, "self-signed",
			"%s is self-signed: Exchange Online does not trust it", u.What).WithFix(fixReplace)}
	}
	intermediates := x509.NewCertPool()
	for _, c := range b.Chain {
		intermediates.AddCert(c)
	}
	// The leaf's own times have separate findings, so the chain is judged within them.
	at := u.Now
	if at.After(b.Leaf.NotAfter) {
		at = b.Leaf.NotAfter
	}
	if at.Before(b.Leaf.NotBefore) {
		at = b.Leaf.NotBefore
	}
	any := x509.VerifyOptions{Roots: u.Roots, Intermediates: intermediates, CurrentTime: at,
		KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny}}
	chains, err := b.Leaf.Verify(any)
	if err == nil {
		server := any
		server.KeyUsages = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
		if _, err := b.Leaf.Verify(server); err != nil {
			for _, c := range chains[0][1:] {
				if forServers, _ := Usable(c); !forServers {
					return []finding.Finding{finding.Of(finding.Wrong, "issuer-purpose",
						"%s goes back to %s, which may not issue certificates for servers (its extended key usage)",
						u.What, Subject(c)).WithFix(fixReplace)}
				}
			}
		}
		return nil
	}
	out := walkChain(b, any, u)
	var invalid x509.CertificateInvalidError
	if errors.As(err, &invalid) && invalid.Reason == x509.CANotAuthorizedForThisName {
		out = append(out, finding.Of(finding.Wrong, "name-constraints",
			"the authority that issued %s may not issue for these names (name constraints)",
			u.What).WithFix(fixReplace))
	}
	if w, ok := finding.Worst(out); !ok || w.Level < finding.Wrong {
		out = append(out, finding.Of(finding.Wrong, "chain", "%s is not trusted: %s", u.What,
			strings.TrimPrefix(explain(err, b, at), "x509: ")).WithFix(fixChain))
	}
	return out
}

// walkChain goes from the leaf over the issuers that were sent along. It reports every fault on the
// way, and where the chain ends.
func walkChain(b Bundle, o x509.VerifyOptions, u Use) []finding.Finding {
	var out []finding.Finding
	at := o.CurrentTime
	name := func(c *x509.Certificate) any {
		if c == b.Leaf {
			return u.What
		}
		return "the intermediate certificate " + Subject(c)
	}
	wrong := func(id, fix, format string, args ...any) {
		out = append(out, finding.Of(finding.Wrong, id, format, args...).WithFix(fix))
	}
	current := b.Leaf
	for range len(b.Chain) + 1 {
		if weakSignature(current) {
			wrong("weak-signature", fixReplace, "%s is signed with %s, which Exchange Online does not accept",
				name(current), current.SignatureAlgorithm)
		}
		issuer, candidate := issuerOf(current, b.Chain)
		if issuer == nil {
			// Roots do not show whose issuer they are. Verifying shows that a chain ends at one.
			_, err := current.Verify(o)
			if err == nil || weakSignature(current) {
				return out
			}
		}
		switch {
		case issuer == nil && candidate != nil && candidate.NotAfter.Before(at):
			wrong("issuer-expired", fixChain, "%s came with the intermediate certificate %s, which ended on %s", u.What,
				Subject(candidate), day(candidate.NotAfter))
			return out
		case issuer == nil && current == b.Leaf && len(b.Chain) == 0:
			wrong("no-intermediate", fixChain,
				"%s came without intermediate certificate, and its issuer %s is no trusted root", u.What,
				Issuer(current))
			return out
		case issuer == nil && current == b.Leaf:
			wrong("wrong-chain", fixChain,
				"%s came with an intermediate certificate that did not issue it: the issuer %s is missing, and the "+
					"chain ends at no trusted root", u.What, Issuer(current))
			return out
		case issuer == nil:
			wrong("chain-incomplete", fixChain,
				"the chain of %s ends at %s, whose issuer %s is neither sent along nor a trusted root", u.What,
				Subject(current), Issuer(current))
			return out
		}
		switch {
		case !issuer.BasicConstraintsValid || !issuer.IsCA:
			wrong("issuer-no-authority", fixReplace, "%s was issued by %s, which is no authority", name(current),
				Subject(issuer))
		case issuer.KeyUsage != 0 && issuer.KeyUsage&x509.KeyUsageCertSign == 0:
			wrong("issuer-no-authority", fixReplace,
				"%s was issued by %s, whose key usage does not allow to sign certificates", name(current),
				Subject(issuer))
		}
		if issuer.NotAfter.Before(at) {
			wrong("issuer-expired", fixChain, "%s came with the intermediate certificate %s, which ended on %s", u.What,
				Subject(issuer), day(issuer.NotAfter))
			return out
		}
		if forServers, _ := Usable(issuer); !forServers {
			wrong("issuer-purpose", fixReplace,
				"%s was issued by %s, which may not issue certificates for servers (its extended key usage)",
				name(current), Subject(issuer))
		}
		if bytes.Equal(issuer.RawSubject, issuer.RawIssuer) {
			if len(out) == 0 { // with another fault on the way, whether the root is trusted is not known
				wrong("untrusted-root", fixReplace, "the chain of %s ends at %s, which is no trusted root", u.What,
					Subject(issuer))
			}
			return out
		}
		current = issuer
	}
	return out
}

// issuerOf finds the certificate among the others that signed c. candidate is a certificate with
// the issuer's name whose signature it need not be.
func issuerOf(c *x509.Certificate, others []*x509.Certificate) (issuer, candidate *x509.Certificate) {
	for _, o := range others {
		if !bytes.Equal(c.RawIssuer, o.RawSubject) {
			continue
		}
		candidate = o
		err := o.CheckSignature(c.SignatureAlgorithm, c.RawTBSCertificate, c.Signature)
		var insecure x509.InsecureAlgorithmError
		if err == nil || errors.As(err, &insecure) {
			return o, o
		}
	}
	return nil, candidate
}

func weakSignature(c *x509.Certificate) bool {
	switch c.SignatureAlgorithm {
	case x509.MD2WithRSA, x509.MD5WithRSA, x509.SHA1WithRSA, x509.DSAWithSHA1, x509.ECDSAWithSHA1:
		return !bytes.Equal(c.RawSubject, c.RawIssuer)
	}
	return false
}

// oidPSS is RSASSA-PSS as the algorithm of a key.
var oidPSS = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 10}

func judgeKey(leaf *x509.Certificate, u Use) []finding.Finding {
	one := func(level finding.Level, id, format string, args ...any) []finding.Finding {
		return []finding.Finding{finding.Of(level, id, format, args...).WithFix(fixKey)}
	}
	switch k := leaf.PublicKey.(type) {
	case *rsa.PublicKey:
		if bits := k.N.BitLen(); bits < 2048 {
			return one(finding.Wrong, "short-key", "the RSA key of %s has %d bits; 2048 are the least", u.What, bits)
		}
		return nil
	case *ecdsa.PublicKey:
		switch k.Curve {
		case elliptic.P256(), elliptic.P384():
			return nil
		case elliptic.P521():
			return one(finding.Doubtful, "curve",
				"the key of %s is on the curve P-521, which Windows does not offer by default: Exchange Online may "+
					"be unable to shake hands", u.What)
		}
		return one(finding.Wrong, "curve",
			"the key of %s is on the curve %s, which Windows does not offer: Exchange Online cannot shake hands",
			u.What, k.Params().Name)
	case ed25519.PublicKey:
		return one(finding.Wrong, "ed25519",
			"%s has an Ed25519 key, which Windows does not know: Exchange Online cannot shake hands", u.What)
	}
	var info struct {
		Algorithm struct {
			Algorithm  asn1.ObjectIdentifier
			Parameters asn1.RawValue `asn1:"optional"`
		}
		Key asn1.BitString
	}
	if _, err := asn1.Unmarshal(leaf.RawSubjectPublicKeyInfo, &info); err == nil &&
		info.Algorithm.Algorithm.Equal(oidPSS) {
		return one(finding.Wrong, "pss-key",
			"the key of %s is restricted to RSASSA-PSS, which Exchange does not support", u.What)
	}
	return one(finding.Wrong, "key-type", "the key of %s is of a kind that Exchange does not support (%s)", u.What,
		leaf.PublicKeyAlgorithm)
}

func judgePurpose(leaf *x509.Certificate, u Use) []finding.Finding {
	var out []finding.Finding
	const forTLS = x509.KeyUsageDigitalSignature | x509.KeyUsageKeyEncipherment
	_, ec := leaf.PublicKey.(*ecdsa.PublicKey)
	switch {
	case leaf.IsCA && leaf.BasicConstraintsValid:
		out = append(out, finding.Of(finding.Wrong, "authority", "%s is one of an authority (CA:TRUE), not of a server",
			u.What).WithFix(fixReplace))
	case leaf.KeyUsage != 0 && leaf.KeyUsage&forTLS == 0, ec && leaf.KeyUsage != 0 &&
		leaf.KeyUsage&x509.KeyUsageDigitalSignature == 0:
		out = append(out, finding.Of(finding.Wrong, "key-usage",
			"the key usage of %s does not allow TLS (digitalSignature or keyEncipherment is missing)",
			u.What).WithFix(fixReplace))
	case leaf.KeyUsage != 0 && leaf.KeyUsage&x509.KeyUsageDigitalSignature == 0:
		out = append(out, finding.Of(finding.Doubtful, "key-usage",
			"the key usage of %s lacks digitalSignature: it works with RSA key exchange alone, which modern TLS no "+
				"longer offers", u.What).WithFix(fixReplace))
	}
	switch server, client := Usable(leaf); {
	case slices.Contains(leaf.ExtKeyUsage, x509.ExtKeyUsageAny) &&
		!slices.Contains(leaf.ExtKeyUsage, x509.ExtKeyUsageServerAuth):
		out = append(out, finding.Of(finding.Doubtful, "any-purpose",
			"the extended key usage of %s is \"any\" and not serverAuth: Windows takes it, other senders refuse it",
			u.What).WithFix(fixReplace))
	case !server:
		out = append(out, finding.Of(finding.Wrong, "not-for-servers",
			"%s is not made for servers (its extended key usage lacks serverAuth)", u.What).WithFix(fixReplace))
	case !client && u.Mail:
		out = append(out, finding.Of(finding.Doubtful, "not-for-clients",
			"%s is made for servers alone (its extended key usage lacks clientAuth): mail from Exchange Online "+
				"arrives, but the server may be unable to present it when it sends there", u.What).
			WithFix("Send a message to a cloud mailbox and read its headers: while it arrives as internal, "+
				"nothing needs to be done."))
	}
	return out
}

func judgeNames(leaf *x509.Certificate, u Use) []finding.Finding {
	var out []finding.Finding
	var lacking []string
	for _, host := range u.Hosts {
		if !Covers(leaf, host) {
			lacking = append(lacking, host)
		}
	}
	if len(lacking) > 0 {
		names := strings.Join(lacking, ", ")
		dotted := false
		for _, n := range leaf.DNSNames {
			dotted = dotted || strings.HasSuffix(n, ".")
		}
		f := finding.Of(finding.Wrong, "names", "%s does not name %s: it is for %s", u.What, names, listNames(leaf))
		switch {
		case dotted:
			f = finding.Of(finding.Wrong, "names", "%s does not name %s: its alternative names end with a dot", u.What,
				names)
		case len(leaf.DNSNames) == 0 && len(leaf.IPAddresses) > 0:
			f = finding.Of(finding.Wrong, "names",
				"%s does not name %s: its alternative names are IP addresses, and the common name alone is not enough",
				u.What, names)
		case len(leaf.DNSNames) == 0:
			f = finding.Of(finding.Wrong, "names",
				"%s does not name %s: it has no alternative names, and the common name alone is not enough", u.What,
				names)
		}
		out = append(out, f.WithFix(fixNames))
	}
	if !u.Mail {
		return out
	}
	switch names := commonNames(leaf); {
	case len(names) == 0:
		out = append(out, finding.Of(finding.Wrong, "no-common-name",
			"%s has no common name: connectors cannot name it", u.What).WithFix(fixReplace))
	case len(names) > 1:
		out = append(out, finding.Of(finding.Doubtful, "common-names",
			"%s has %d common names (%s): connectors and the tenant may know the server by the wrong one", u.What,
			len(names), strings.Join(names, ", ")).
			WithFix("Get a certificate with one common name, that of the host."))
	}
	return out
}

func commonNames(c *x509.Certificate) []string {
	attributes, err := ParseName(Subject(c))
	if err != nil {
		return nil
	}
	var out []string
	for _, a := range attributes {
		if strings.EqualFold(a.Type, "CN") && a.Value != "" {
			out = append(out, a.Value)
		}
	}
	return out
}

// oidTLSFeature is the extension that demands features of TLS; 5 is status_request (must-staple).
var oidTLSFeature = asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 1, 24}

func judgeStaple(b Bundle, u Use) []finding.Finding {
	if len(b.Staple) == 0 {
		if u.Served && mustStaple(b.Leaf) {
			return []finding.Finding{finding.Of(finding.Doubtful, "must-staple",
				"%s demands an OCSP response (must-staple) and the server sends none: Exchange Online does not mind, "+
					"other senders may refuse it", u.What).
				WithFix("Get a certificate without must-staple, or let the server staple.")}
		}
		return nil
	}
	response, err := ocsp.ParseResponseForCert(b.Staple, b.Leaf, nil)
	if err == nil && response.Status == ocsp.Revoked && vouched(response, b) {
		return []finding.Finding{finding.Of(finding.Wrong, "revoked",
			"%s was revoked on %s: the OCSP response that the server sends along says so", u.What,
			day(response.RevokedAt)).
			WithFix("Get a new certificate with a new key, and enable it on every server.")}
	}
	return nil
}

// vouched reports whether the leaf's issuer signed an OCSP response, itself or through its
// responder. ParseResponseForCert has checked the signature where the response brings the signer's
// certificate.
func vouched(r *ocsp.Response, b Bundle) bool {
	issuer, _ := issuerOf(b.Leaf, b.Chain)
	switch {
	case issuer == nil:
		return false
	case r.Certificate == nil:
		return r.CheckSignatureFrom(issuer) == nil
	case publicEqual(r.Certificate.PublicKey, issuer.PublicKey):
		return true
	}
	return slices.Contains(r.Certificate.ExtKeyUsage, x509.ExtKeyUsageOCSPSigning) &&
		r.Certificate.CheckSignatureFrom(issuer) == nil
}

func mustStaple(c *x509.Certificate) bool {
	for _, e := range c.Extensions {
		var features []int
		if !e.Id.Equal(oidTLSFeature) {
			continue
		}
		if _, err := asn1.Unmarshal(e.Value, &features); err == nil {
			for _, f := range features {
				if f == 5 {
					return true
				}
			}
		}
	}
	return false
}
