package oauth

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1" // x5t is defined over SHA-1 (RFC 7515 section 4.1.7)
	"crypto/sha256"
	"crypto/subtle"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"
)

// maxToken bounds a token's text. Real ones, group claims included, stay well under it.
const maxToken = 64 << 10

// Header is a token's JOSE header.
type Header struct {
	Algorithm string   `json:"alg"`
	Type      string   `json:"typ,omitempty"`
	KeyID     string   `json:"kid,omitempty"`
	X5T       string   `json:"x5t,omitempty"`      // base64url of the certificate's SHA-1
	X5TS256   string   `json:"x5t#S256,omitempty"` // base64url of the certificate's SHA-256
	Critical  []string `json:"crit,omitempty"`
}

// Claims are a token's claims as decoded from JSON; numbers are json.Number in parsed tokens.
type Claims map[string]any

// String returns a claim that is text; "" when it is absent or something else.
func (c Claims) String(name string) string {
	s, _ := c[name].(string)
	return s
}

// Strings returns a claim that is a text or a list of texts ("aud", "roles").
func (c Claims) Strings(name string) []string {
	switch v := c[name].(type) {
	case string:
		return []string{v}
	case []string:
		return v
	case []any:
		var out []string
		for _, e := range v {
			if s, ok := e.(string); ok {
				out = append(out, s)
			}
		}
		return out
	}
	return nil
}

// Time returns a claim that is a NumericDate ("exp", "nbf", "iat"). ok is false when it is absent;
// err is set when it is not such a number.
func (c Claims) Time(name string) (t time.Time, ok bool, err error) {
	v, present := c[name]
	if !present {
		return time.Time{}, false, nil
	}
	var seconds float64
	switch n := v.(type) {
	case json.Number:
		if seconds, err = n.Float64(); err != nil {
			return time.Time{}, true, fmt.Errorf("%w: claim %s is no time", ErrMalformed, name)
		}
	case float64:
		seconds = n
	case int64:
		seconds = float64(n)
	case int:
		seconds = float64(n)
	default:
		return time.Time{}, true, fmt.Errorf("%w: claim %s is no time", ErrMalformed, name)
	}
	// 253402300799 is the last second of the year 9999.
	if math.IsNaN(seconds) || seconds < 0 || seconds > 253402300799 {
		return time.Time{}, true, fmt.Errorf("%w: claim %s is out of range", ErrMalformed, name)
	}
	return time.Unix(int64(seconds), 0).UTC(), true, nil
}

// Token is a parsed token. Parsing proves nothing; a Verifier does. It prints as its claims, never
// as its text.
type Token struct {
	Header    Header
	Claims    Claims
	signed    string // the part of the text that is signed
	signature []byte
}

func (t Token) String() string {
	return fmt.Sprintf("token iss=%q aud=%q", t.Claims.String("iss"), t.Claims.Strings("aud"))
}

// Parse decodes a compact JWT without verifying anything, as one does to look at a token's claims.
// Unsigned tokens ("alg": "none") parse.
func Parse(text string) (Token, error) {
	if len(text) > maxToken {
		return Token{}, fmt.Errorf("%w: longer than %d bytes", ErrMalformed, maxToken)
	}
	parts := strings.Split(text, ".")
	if len(parts) != 3 {
		return Token{}, fmt.Errorf("%w: %d parts instead of 3", ErrMalformed, len(parts))
	}
	t := Token{signed: text[:len(parts[0])+1+len(parts[1])]}
	if err := decodePart(parts[0], &t.Header); err != nil {
		return Token{}, fmt.Errorf("%w: header: %w", ErrMalformed, err)
	}
	if t.Header.Algorithm == "" {
		return Token{}, fmt.Errorf("%w: header names no algorithm", ErrMalformed)
	}
	if err := decodePart(parts[1], &t.Claims); err != nil {
		return Token{}, fmt.Errorf("%w: claims: %w", ErrMalformed, err)
	}
	if t.Claims == nil {
		return Token{}, fmt.Errorf("%w: claims are no object", ErrMalformed)
	}
	signature, err := base64.RawURLEncoding.Strict().DecodeString(parts[2])
	if err != nil {
		return Token{}, fmt.Errorf("%w: signature is not base64url", ErrMalformed)
	}
	t.signature = signature
	return t, nil
}

var errNotJSON = errors.New("not a JSON object") // without encoding/json's words, which quote the input

func decodePart(part string, into any) error {
	raw, err := base64.RawURLEncoding.Strict().DecodeString(part)
	if err != nil {
		return errors.New("not base64url")
	}
	d := json.NewDecoder(strings.NewReader(string(raw)))
	d.UseNumber()
	if err := d.Decode(into); err != nil {
		return errNotJSON
	}
	if d.More() {
		return errNotJSON
	}
	return nil
}

// Signer signs tokens with RS256.
type Signer struct {
	Key         crypto.Signer     // RSA
	Certificate *x509.Certificate // its thumbprint goes into the header as x5t
	KeyID       string            // kid; left out when empty
}

// Sign returns the compact JWT of the claims.
func (s Signer) Sign(c Claims) (string, error) {
	if s.Key == nil {
		return "", errors.New("sign a token: no private key")
	}
	if _, ok := s.Key.Public().(*rsa.PublicKey); !ok {
		return "", fmt.Errorf("sign a token: the key is %T, RS256 needs RSA", s.Key.Public())
	}
	h := Header{Algorithm: "RS256", Type: "JWT", KeyID: s.KeyID}
	if s.Certificate != nil {
		h.X5T = X5T(s.Certificate)
	}
	head, err := json.Marshal(h)
	if err != nil {
		return "", fmt.Errorf("sign a token: %w", err)
	}
	body, err := json.Marshal(c)
	if err != nil {
		return "", fmt.Errorf("sign a token: %w", err)
	}
	signed := base64.RawURLEncoding.EncodeToString(head) + "." + base64.RawURLEncoding.EncodeToString(body)
	sum := sha256.Sum256([]byte(signed))
	signature, err := s.Key.Sign(rand.Reader, sum[:], crypto.SHA256)
	if err != nil {
		return "", fmt.Errorf("sign a token: %w", err)
	}
	return signed + "." + base64.RawURLEncoding.EncodeToString(signature), nil
}

// X5T is a certificate's SHA-1 thumbprint in base64url, as token headers carry it.
func X5T(c *x509.Certificate) string {
	sum := sha1.Sum(c.Raw)
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// X5TS256 is a certificate's SHA-256 thumbprint in base64url.
func X5TS256(c *x509.Certificate) string {
	sum := sha256.Sum256(c.Raw)
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// Key is a public key that verifies tokens. A key with a certificate is found by its thumbprints as
// well as by its ID.
type Key struct {
	ID          string
	Public      *rsa.PublicKey
	Certificate *x509.Certificate // may be nil
}

// CertificateKey is the key of a certificate, its x5t as ID (as Entra publishes its own); an error
// when it is not RSA.
func CertificateKey(c *x509.Certificate) (Key, error) {
	public, ok := c.PublicKey.(*rsa.PublicKey)
	if !ok {
		return Key{}, fmt.Errorf("certificate %s holds no RSA key", c.Subject.CommonName)
	}
	return Key{ID: X5T(c), Public: public, Certificate: c}, nil
}

func (k Key) answers(h Header) bool {
	if k.Certificate != nil {
		if h.X5T != "" && equal(h.X5T, X5T(k.Certificate)) || h.X5TS256 != "" &&
			equal(h.X5TS256, X5TS256(k.Certificate)) {
			return true
		}
	}
	return h.KeyID != "" && k.ID != "" && equal(h.KeyID, k.ID)
}

// equal compares thumbprints and key ids. Some libraries (MSAL for Go among them) write thumbprints
// in plain base64 instead of base64url.
func equal(a, b string) bool {
	return subtle.ConstantTimeCompare([]byte(urlAlphabet.Replace(a)), []byte(urlAlphabet.Replace(b))) == 1
}

var urlAlphabet = strings.NewReplacer("+", "-", "/", "_", "=", "")

// Verifier decides which tokens are valid. It is safe for concurrent use.
type Verifier struct {
	Keys       []Key
	Algorithms []string         // RS256 alone when empty; PS256 may be added, others are never accepted
	Issuers    []string         // the accepted "iss"; any when empty
	Audiences  []string         // the accepted "aud", compared without case; any when empty
	Now        func() time.Time // time.Now when nil
	Leeway     time.Duration    // tolerated difference of clocks
	TextTimes  bool             // takes "exp" and "nbf" as texts too: MSAL.NET writes them so, and Entra takes them
}

// Verify parses a token and checks algorithm, key, signature, times, issuer and audience, in
// that order. The error wraps one of the Err values of this package. The parsed token is
// returned with errors other than ErrMalformed, so that a refusal can be explained by what the
// token claims; it must not be believed then.
func (v Verifier) Verify(text string) (Token, error) {
	t, err := Parse(text)
	if err != nil {
		return Token{}, err
	}
	accepted := v.Algorithms
	if len(accepted) == 0 {
		accepted = []string{"RS256"}
	}
	if !slices.Contains(accepted, t.Header.Algorithm) || t.Header.Algorithm != "RS256" &&
		t.Header.Algorithm != "PS256" {
		return t, fmt.Errorf("%w: %q", ErrAlgorithm, clean(t.Header.Algorithm))
	}
	if len(t.Header.Critical) > 0 {
		return t, fmt.Errorf("%w: the header has critical extensions", ErrAlgorithm)
	}
	if err := v.verifySignature(t); err != nil {
		return t, err
	}
	if v.TextTimes {
		for _, name := range []string{"exp", "nbf"} {
			if s, ok := t.Claims[name].(string); ok {
				t.Claims[name] = json.Number(s)
			}
		}
	}
	now := time.Now()
	if v.Now != nil {
		now = v.Now()
	}
	expires, ok, err := t.Claims.Time("exp")
	if err != nil {
		return t, err
	}
	if !ok {
		return t, fmt.Errorf("%w: it does not say when it expires", ErrExpired)
	}
	if !now.Before(expires.Add(v.Leeway)) {
		return t, fmt.Errorf("%w at %s, it is %s", ErrExpired, expires.Format(time.RFC3339),
			now.UTC().Format(time.RFC3339))
	}
	starts, ok, err := t.Claims.Time("nbf")
	if err != nil {
		return t, err
	}
	if ok && now.Add(v.Leeway).Before(starts) {
		return t, fmt.Errorf("%w: only from %s, it is %s", ErrNotYetValid, starts.Format(time.RFC3339),
			now.UTC().Format(time.RFC3339))
	}
	if issuer := t.Claims.String("iss"); len(v.Issuers) > 0 && !slices.Contains(v.Issuers, issuer) {
		return t, fmt.Errorf("%w: %q", ErrIssuer, clean(issuer))
	}
	if audience := t.Claims.Strings("aud"); len(v.Audiences) > 0 && !intersects(audience, v.Audiences) {
		return t, fmt.Errorf("%w: %q", ErrAudience, clean(strings.Join(audience, ", ")))
	}
	return t, nil
}

func intersects(a, b []string) bool {
	return slices.ContainsFunc(a, func(x string) bool {
		return slices.ContainsFunc(b, func(y string) bool { return strings.EqualFold(x, y) })
	})
}

func (v Verifier) verifySignature(t Token) error {
	sum := sha256.Sum256([]byte(t.signed))
	found := false
	for _, k := range v.Keys {
		if !k.answers(t.Header) {
			continue
		}
		found = true
		var err error
		if t.Header.Algorithm == "PS256" {
			err = rsa.VerifyPSS(k.Public, crypto.SHA256, sum[:], t.signature,
				&rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthAuto})
		} else {
			err = rsa.VerifyPKCS1v15(k.Public, crypto.SHA256, sum[:], t.signature)
		}
		if err == nil {
			return nil
		}
	}
	if !found {
		return fmt.Errorf("%w: kid %q, x5t %q", ErrUnknownKey, clean(t.Header.KeyID),
			clean(t.Header.X5T+t.Header.X5TS256))
	}
	return ErrSignature
}
