package oauth

import (
	"context"
	"crypto"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/hybridge-cli/hybridge/pkg/config/secret"
	"github.com/hybridge-cli/hybridge/pkg/wire/link"
)

// AssertionType is the value of client_assertion_type for a signed client assertion (RFC 7523
// section 2.2).
const AssertionType = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"

// assertionLifetime is how long an assertion is valid. Entra allows up to an hour. A request needs
// seconds, and clocks differ by minutes.
const assertionLifetime = 10 * time.Minute

// Assertion makes the signed statement with which an application proves that it holds a
// certificate's key: iss = sub = the application's id, aud = the token endpoint, x5t in the header.
// key must be the certificate's and RSA.
func Assertion(certificate *x509.Certificate, key crypto.Signer, clientID, tokenURL string, now time.Time) (string,
	error) {
	return Signer{Key: key, Certificate: certificate}.Sign(Claims{
		"iss": clientID,
		"sub": clientID,
		"aud": tokenURL,
		"jti": newID(),
		"iat": now.Unix(),
		"nbf": now.Unix(),
		"exp": now.Add(assertionLifetime).Unix(),
	})
}

// newID returns a random (version 4) UUID.
func newID() string {
	var b [16]byte
	rand.Read(b[:]) // never fails (crypto/rand)
	b[6] = b[6]&0x0f | 0x40
	b[8] = b[8]&0x3f | 0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[0:4], b[4:6], b[6:8], b[8:10], b[10:])
}

// ClientCredentials asks for tokens as an application (RFC 6749 section 4.4), proven by a
// certificate's key or, without one, by a secret.
type ClientCredentials struct {
	TokenURL    string // https://login.microsoftonline.com/{tenantId}/oauth2/v2.0/token
	ClientID    string
	Scope       string // https://outlook.office365.com/.default
	Certificate *x509.Certificate
	Key         crypto.Signer
	Secret      secret.Value     // used when Key is nil
	Now         func() time.Time // time.Now when nil
}

// AccessToken is a token for a resource. Claims can be looked at when it is a JWT; it prints
// redacted.
type AccessToken struct {
	Value   secret.Value
	Expires time.Time
}

// Claims parses the token, unverified: the resource verifies it, a client only looks (aud, appid,
// tid, roles).
func (t AccessToken) Claims() (Claims, error) {
	parsed, err := Parse(t.Value.Reveal())
	return parsed.Claims, err
}

// patience is how long an authorization server may take to answer.
const patience = 30 * time.Second

// Token asks for a token, once. Refusals are *Error.
func (c ClientCredentials) Token(ctx context.Context, client *http.Client) (AccessToken, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	now := time.Now
	if c.Now != nil {
		now = c.Now
	}
	form := url.Values{"client_id": {c.ClientID}, "scope": {c.Scope}, "grant_type": {"client_credentials"}}
	if c.Key != nil {
		if c.Certificate == nil {
			return AccessToken{}, fmt.Errorf("request a token for %s: a key without its certificate", c.ClientID)
		}
		assertion, err := Assertion(c.Certificate, c.Key, c.ClientID, c.TokenURL, now())
		if err != nil {
			return AccessToken{}, err
		}
		form.Set("client_assertion_type", AssertionType)
		form.Set("client_assertion", assertion)
	} else {
		form.Set("client_secret", c.Secret.Reveal())
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.TokenURL, strings.NewReader(form.Encode()))
	if err != nil {
		return AccessToken{}, fmt.Errorf("request a token: %w", err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("Accept", "application/json")
	req.Header.Set("Client-Request-Id", newID())
	resp, err := client.Do(req)
	if err != nil {
		return AccessToken{}, fmt.Errorf("request a token from %s: %w", req.URL.Host, bare(err))
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxDocument))
	if err != nil {
		return AccessToken{}, fmt.Errorf("request a token from %s: %w", req.URL.Host, err)
	}
	if resp.StatusCode != http.StatusOK {
		return AccessToken{}, ParseError(req.URL.Host, resp.StatusCode, body)
	}
	var answer struct {
		AccessToken string      `json:"access_token"`
		TokenType   string      `json:"token_type"`
		ExpiresIn   json.Number `json:"expires_in"` // v1 endpoints quote it; json.Number takes both
	}
	if err := json.Unmarshal(body, &answer); err != nil || answer.AccessToken == "" {
		return AccessToken{}, fmt.Errorf("request a token from %s: the answer (%s) holds no token", req.URL.Host,
			mediaType(resp.Header))
	}
	if !strings.EqualFold(answer.TokenType, "Bearer") {
		return AccessToken{}, fmt.Errorf("request a token from %s: token type %q instead of Bearer", req.URL.Host,
			clean(answer.TokenType))
	}
	seconds, err := answer.ExpiresIn.Int64()
	if err != nil || seconds < 0 || seconds > 7*24*3600 {
		seconds = 0 // use it once
	}
	return AccessToken{Value: secret.NewValue(answer.AccessToken),
		Expires: now().Add(time.Duration(seconds) * time.Second)}, nil
}

// Source returns a function that returns a valid token, for link.Bearer. A token is kept until five
// minutes before it expires. The function is safe for concurrent use.
func (c ClientCredentials) Source(client *http.Client) func(ctx context.Context) (string, error) {
	now := time.Now
	if c.Now != nil {
		now = c.Now
	}
	var mu sync.Mutex
	var kept AccessToken
	return func(ctx context.Context) (string, error) {
		mu.Lock()
		defer mu.Unlock()
		if now().Add(5 * time.Minute).Before(kept.Expires) {
			return kept.Value.Reveal(), nil
		}
		t, err := c.Token(ctx, client)
		if err != nil {
			return "", err
		}
		kept = t
		return t.Value.Reveal(), nil
	}
}

// bare removes the URL from an http.Client's error, because the caller's sentence names it in a
// shorter way, and classifies the error.
func bare(err error) error {
	var u *url.Error
	if errors.As(err, &u) {
		err = u.Err
	}
	return link.Classify(err)
}

func mediaType(h http.Header) string {
	t, _, err := mime.ParseMediaType(h.Get("Content-Type"))
	if err != nil {
		return "no media type"
	}
	return t
}

var aadsts = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`AADSTS(\d{4,9})`)
})

// ParseError reads the error document of a token endpoint. Bodies that are no such document give an
// Error with only a status.
func ParseError(host string, status int, body []byte) *Error {
	e := &Error{Host: host, Status: status}
	var doc struct {
		Error         string        `json:"error"`
		Description   string        `json:"error_description"`
		Codes         []json.Number `json:"error_codes"`
		CorrelationID string        `json:"correlation_id"`
		TraceID       string        `json:"trace_id"`
	}
	if json.Unmarshal(body, &doc) != nil {
		return e
	}
	e.Code, e.CorrelationID, e.TraceID = clean(doc.Error), clean(doc.CorrelationID), clean(doc.TraceID)
	description := doc.Description
	// Entra appends "Trace ID: ... Correlation ID: ... Timestamp: ..." which are separate fields as
	// well.
	if at := strings.Index(description, "Trace ID:"); at > 0 {
		description = description[:at]
	}
	e.Description = clean(description)
	for _, c := range doc.Codes {
		if n, err := strconv.Atoi(c.String()); err == nil {
			e.Codes = append(e.Codes, n)
		}
	}
	for _, m := range aadsts().FindAllStringSubmatch(doc.Description, 16) {
		if n, err := strconv.Atoi(m[1]); err == nil && !slices.Contains(e.Codes, n) {
			e.Codes = append(e.Codes, n)
		}
	}
	return e
}
