package oauth

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hybridge-cli/hybridge/pkg/config/secret"
	"github.com/hybridge-cli/hybridge/pkg/wire/link"
)

var now = time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC)

func newCertificate(t testing.TB) (*x509.Certificate, *rsa.PrivateKey) {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test"}, NotBefore: now,
		NotAfter: now.AddDate(5, 0, 0)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	c, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return c, key
}

// forge makes a token with any header and body, signed by sign (nil: no signature).
func forge(t testing.TB, header, body string, sign func(digest []byte) []byte) string {
	t.Helper()
	signed := base64.RawURLEncoding.EncodeToString([]byte(header)) + "." +
		base64.RawURLEncoding.EncodeToString([]byte(body))
	if sign == nil {
		return signed + "."
	}
	sum := sha256.Sum256([]byte(signed))
	return signed + "." + base64.RawURLEncoding.EncodeToString(sign(sum[:]))
}

func TestVerify(t *testing.T) {
	c, key := newCertificate(t)
	_, otherKey := newCertificate(t)
	k, err := CertificateKey(c)
	if err != nil {
		t.Fatal(err)
	}
	rs256 := func(sum []byte) []byte {
		s, err := rsa.SignPKCS1v15(rand.Reader, key, crypto.SHA256, sum)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	byOther := func(sum []byte) []byte {
		s, err := rsa.SignPKCS1v15(rand.Reader, otherKey, crypto.SHA256, sum)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	ps256 := func(sum []byte) []byte {
		s, err := rsa.SignPSS(rand.Reader, key, crypto.SHA256, sum,
			&rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash})
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	x5t := X5T(c)
	head := `{"alg":"RS256","x5t":"` + x5t + `"}`
	body := func(more string) string {
		return fmt.Sprintf(`{"iss":"me","aud":"you","nbf":%d,"exp":%d%s}`, now.Add(-time.Minute).Unix(),
			now.Add(time.Minute).Unix(), more)
	}
	std := base64.StdEncoding.EncodeToString
	sum256 := sha256.Sum256(c.Raw)
	for _, test := range []struct {
		name, token string
		want        error
	}{
		{"good", forge(t, head, body(""), rs256), nil},
		{"by kid", forge(t, `{"alg":"RS256","kid":"`+x5t+`"}`, body(""), rs256), nil},
		{"PS256 under x5t#S256 in plain base64",
			forge(t, `{"alg":"PS256","x5t#S256":"`+std(sum256[:])+`"}`, body(""), ps256), nil},
		{"audience in a list, other case",
			forge(t, head, strings.Replace(body(""), `"you"`, `["they","YOU"]`, 1), rs256), nil},
		{"fraction of a second", forge(t, head, fmt.Sprintf(`{"iss":"me","aud":"you","exp":%d.5}`, now.Unix()+60),
			rs256), nil},
		{"none", forge(t, `{"alg":"none"}`, body(""), nil), ErrAlgorithm},
		{"None with our key named", forge(t, `{"alg":"nOnE","x5t":"`+x5t+`"}`, body(""), nil), ErrAlgorithm},
		{"HS256 with the public key", forge(t, `{"alg":"HS256","x5t":"`+x5t+`"}`, body(""), rs256), ErrAlgorithm},
		{"RS512", forge(t, `{"alg":"RS512","x5t":"`+x5t+`"}`, body(""), rs256), ErrAlgorithm},
		{"critical extension", forge(t, `{"alg":"RS256","x5t":"`+x5t+`","crit":["b64"]}`, body(""), rs256),
			ErrAlgorithm},
		{"unknown kid", forge(t, `{"alg":"RS256","kid":"other"}`, body(""), rs256), ErrUnknownKey},
		{"no key named", forge(t, `{"alg":"RS256"}`, body(""), rs256), ErrUnknownKey},
		{"signed by another", forge(t, head, body(""), byOther), ErrSignature},
		{"no signature", forge(t, head, body(""), nil), ErrSignature},
		{"RS256 signature sold as PS256", forge(t, `{"alg":"PS256","x5t":"`+x5t+`"}`, body(""), rs256), ErrSignature},
		{"expired", forge(t, head, fmt.Sprintf(`{"iss":"me","aud":"you","exp":%d}`, now.Unix()), rs256), ErrExpired},
		{"never expires", forge(t, head, `{"iss":"me","aud":"you"}`, rs256), ErrExpired},
		{"expiry is text", forge(t, head, `{"iss":"me","aud":"you","exp":"9999999999"}`, rs256), ErrMalformed},
		{"expiry out of range", forge(t, head, `{"iss":"me","aud":"you","exp":1e300}`, rs256), ErrMalformed},
		{"from the future", forge(t, head,
			fmt.Sprintf(`{"iss":"me","aud":"you","nbf":%d,"exp":%d}`, now.Unix()+10, now.Unix()+60), rs256),
			ErrNotYetValid},
		{"start is a list", forge(t, head, fmt.Sprintf(`{"iss":"me","aud":"you","nbf":[],"exp":%d}`, now.Unix()+60),
			rs256), ErrMalformed},
		{"other issuer", forge(t, head, strings.Replace(body(""), `"me"`, `"them"`, 1), rs256), ErrIssuer},
		{"issuer is a list", forge(t, head, strings.Replace(body(""), `"me"`, `["me"]`, 1), rs256), ErrIssuer},
		{"other audience", forge(t, head, strings.Replace(body(""), `"you"`, `"us"`, 1), rs256), ErrAudience},
		{"no audience", forge(t, head, strings.Replace(body(""), `"you"`, `null`, 1), rs256), ErrAudience},
		{"empty", "", ErrMalformed},
		{"two parts", "e30.e30", ErrMalformed},
		{"five parts", "e30.e30.e30.e30.e30", ErrMalformed},
		{"claims are null", forge(t, head, `null`, rs256), ErrMalformed},
		{"claims are a list", forge(t, head, `[]`, rs256), ErrMalformed},
		{"two objects", forge(t, head, body("")+`{}`, rs256), ErrMalformed},
		{"header without algorithm", forge(t, `{}`, body(""), rs256), ErrMalformed},
		{"too long", strings.Repeat("a", maxToken+1), ErrMalformed},
		{"padding", forge(t, head, body(""), rs256) + "==", ErrMalformed},
	} {
		t.Run(test.name, func(t *testing.T) {
			v := Verifier{
				Keys: []Key{k}, Algorithms: []string{"RS256", "PS256"}, Issuers: []string{"me"},
				Audiences: []string{"you"}, Now: func() time.Time { return now },
			}
			_, err := v.Verify(test.token)
			if !errors.Is(err, test.want) {
				t.Fatalf("%v, want %v", err, test.want)
			}
			if err != nil && len(test.token) > 20 && strings.Contains(err.Error(), test.token[:20]) {
				t.Error("the error holds the token")
			}
		})
	}
	v := Verifier{Keys: []Key{k}, Now: func() time.Time { return now }}
	if _, err := v.Verify(forge(t, `{"alg":"PS256","x5t":"`+x5t+`"}`, body(""), ps256)); !errors.Is(err, ErrAlgorithm) {
		t.Errorf("PS256 unasked for: %v", err)
	}
	v.Leeway = time.Minute
	if _, err := v.Verify(forge(t, head, fmt.Sprintf(`{"exp":%d}`, now.Unix()-30), rs256)); err != nil {
		t.Errorf("within the leeway: %v", err)
	}
}

func TestSignerNeedsRSA(t *testing.T) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := (Signer{Key: key}).Sign(Claims{}); err == nil {
		t.Error("an ECDSA key signed RS256")
	}
	if _, err := (Signer{}).Sign(Claims{}); err == nil {
		t.Error("no key signed")
	}
}

func TestAssertion(t *testing.T) {
	c, key := newCertificate(t)
	text, err := Assertion(c, key, "app", "https://login.example/t/oauth2/v2.0/token", now)
	if err != nil {
		t.Fatal(err)
	}
	got, err := Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	if strings.ContainsAny(got.Header.X5T, "+/=") || got.Header.X5T != X5T(c) || got.Header.Algorithm != "RS256" {
		t.Errorf("header %+v", got.Header)
	}
	if got.Claims.String("jti") == "" {
		t.Error("no jti")
	}
	delete(got.Claims, "jti")
	want := Claims{
		"iss": "app", "sub": "app", "aud": "https://login.example/t/oauth2/v2.0/token",
		"iat": json.Number("1795341600"), "nbf": json.Number("1795341600"), "exp": json.Number("1795342200"),
	}
	if diff := cmp.Diff(want, got.Claims); diff != "" {
		t.Error(diff)
	}
	if s := fmt.Sprintf("%v %+v %#v", got, got, AccessToken{Value: secret.NewValue(text)}); strings.Contains(s, "eyJ") {
		t.Errorf("the token is printed: %s", s)
	}
}

func TestTokenAnswers(t *testing.T) {
	c, key := newCertificate(t)
	entra := `{"error":"invalid_client","error_description":"AADSTS700027: The certificate is not registered.\u001b[2J eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJhIn0.c2lnbmF0dXJlc2lnbmF0dXJl Trace ID: x\r\nCorrelation ID: y","error_codes":[700027],"trace_id":"x","correlation_id":"y"}`
	for _, test := range []struct {
		name   string
		status int
		body   string
		want   string // of the error; empty: a token
		class  error
	}{
		{"token", 200, `{"token_type":"bearer","expires_in":3600,"access_token":"abc"}`, "", nil},
		{"version 1", 200, `{"token_type":"Bearer","expires_in":"3600","access_token":"abc"}`, "", nil},
		{"refused", 401, entra, "request a token from HOST: AADSTS700027: The certificate is not registered. [2J " +
			"[token]", link.ErrAccess},
		{"plain OAuth", 400, `{"error":"invalid_scope"}`, "request a token from HOST: invalid_scope", link.ErrAccess},
		{"gateway", 502, `<html>`, "request a token from HOST: status 502", link.ErrUnreachable},
		{"page of a portal", 200, `<html>`, "request a token from HOST: the answer (text/html) holds no token", nil},
		{"other type", 200, `{"token_type":"PoP","access_token":"abc"}`,
			`request a token from HOST: token type "PoP" instead of Bearer`, nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			srv := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", "text/html; charset=utf-8")
				w.WriteHeader(test.status)
				fmt.Fprint(w, test.body)
			}))
			defer srv.Close()
			g := ClientCredentials{TokenURL: srv.URL, ClientID: "app", Scope: "x/.default", Certificate: c, Key: key,
				Now: func() time.Time { return now }}
			got, err := g.Token(t.Context(), srv.Client())
			if test.want == "" {
				if err != nil || got.Value.Reveal() != "abc" || !got.Expires.Equal(now.Add(time.Hour)) {
					t.Fatalf("%v until %s, %v", got.Value, got.Expires, err)
				}
				return
			}
			want := strings.Replace(test.want, "HOST", srv.Listener.Addr().String(), 1)
			if err == nil || err.Error() != want {
				t.Errorf("%v\nwant %s", err, want)
			}
			if test.class != nil && !errors.Is(err, test.class) {
				t.Errorf("%v is not %v", err, test.class)
			}
		})
	}
}

// An absurd lifetime does not count: the token is used once, and not kept for ever.
func TestLifetimesThatNobodyMeans(t *testing.T) {
	for _, lifetime := range []string{"-1", "999999999999", `"soon"`, "1e3"} {
		srv := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			fmt.Fprintf(w, `{"token_type":"Bearer","expires_in":%s,"access_token":"abc"}`, lifetime)
		}))
		c := ClientCredentials{TokenURL: srv.URL, Secret: secret.NewValue("s"), Now: func() time.Time { return now }}
		got, err := c.Token(t.Context(), srv.Client())
		srv.Close()
		if err == nil && !got.Expires.Equal(now) {
			t.Errorf("%s: until %s", lifetime, got.Expires)
		}
	}
}

func TestSourceKeepsTokens(t *testing.T) {
	n := 0
	srv := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		n++
		fmt.Fprintf(w, `{"token_type":"Bearer","expires_in":3600,"access_token":"token %d"}`, n)
	}))
	defer srv.Close()
	at := now
	source := ClientCredentials{TokenURL: srv.URL, Secret: secret.NewValue("s"),
		Now: func() time.Time { return at }}.Source(srv.Client())
	for i, step := range []struct {
		after time.Duration
		want  string
	}{{0, "token 1"}, {54 * time.Minute, "token 1"}, {56 * time.Minute, "token 2"}} {
		at = now.Add(step.after)
		if got, err := source(t.Context()); err != nil || got != step.want {
			t.Errorf("step %d: %q, %v", i, got, err)
		}
	}
}

func TestBearerChallenge(t *testing.T) {
	want := BearerChallenge{
		ClientID: AppExchangeOnline, TrustedIssuers: []string{AppAccessControlService + "@6d1a2b3c",
			AppExchangeOnline + "@contoso.example"},
		TokenTypes: []string{"a", "b"}, AuthorizationURI: "https://login.example/common/oauth2/authorize",
		Error: "invalid_token", Realm: `x "y"`,
	}
	got, ok := FindBearer(http.Header{"Www-Authenticate": {"Negotiate", want.Format()}})
	if !ok {
		t.Fatal("not found")
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if !got.TrustsTenant("6D1A2B3C") || got.TrustsTenant("other") ||
		!(BearerChallenge{TrustedIssuers: []string{"a@*"}}).TrustsTenant("other") {
		t.Error("trust is wrong")
	}
	if _, ok := FindBearer(http.Header{"Www-Authenticate": {"Basic realm=x"}}); ok {
		t.Error("found a Bearer challenge in Basic")
	}
}

func TestDiagnostics(t *testing.T) {
	d := Diagnostics{2000003, "The audience claim value 'https://x' is invalid.", "invalid_resource"}
	got, ok := FindDiagnostics(http.Header{"X-Ms-Diagnostics": {d.Format()}})
	if !ok || got != d {
		t.Errorf("%+v, %v", got, ok)
	}
	if _, ok := FindDiagnostics(http.Header{"X-Ms-Diagnostics": {"what"}}); ok {
		t.Error("nonsense was read")
	}
}

func TestMetadataDocuments(t *testing.T) {
	c, _ := newCertificate(t)
	for name, m := range map[string]AuthMetadata{
		"ACS": ACSMetadata("6d1a2b3c", "https://accounts.example/tokens/OAuth/2", c),
		"Exchange": ExchangeMetadata("id", "contoso.example",
			"https://mail.contoso.example/autodiscover/metadata/json/1", c),
	} {
		raw, err := json.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		// Servers differ in the case of these names.
		got, err := ParseAuthMetadata([]byte(strings.NewReplacer("keyInfo", "keyinfo", "keyValue", "keyvalue",
			`"signing"`, `"Signing"`).Replace(string(raw))))
		if err != nil {
			t.Fatal(err)
		}
		keys, err := got.SigningKeys()
		if err != nil || len(keys) != 1 || !keys[0].Certificate.Equal(c) || got.Issuer != m.Issuer {
			t.Errorf("%s: %d keys of %q, %v", name, len(keys), got.Issuer, err)
		}
		got.Keys[0].KeyValue.Value = "AAAA"
		if _, err := got.SigningKeys(); err == nil {
			t.Errorf("%s: a broken key was left out", name)
		}
	}
	for _, bad := range []string{"", "[]", "{}", "<html>", `{"issuer": 7}`} {
		if _, err := ParseAuthMetadata([]byte(bad)); err == nil {
			t.Errorf("%q was read", bad)
		}
	}
	f := FederationMetadata{EntityID: "https://sts.windows.net/6d1a2b3c-4e5f-4a6b-8c7d-0e1f2a3b4c5d/?a=1&b=2",
		Certificates: []*x509.Certificate{c}, Endpoint: "https://login.example/<wsfed>"}
	got, err := ParseFederationMetadata(f.Format())
	if err != nil {
		t.Fatal(err)
	}
	if got.EntityID != f.EntityID || got.Endpoint != f.Endpoint || len(got.Certificates) != 1 ||
		got.TenantID() != "6d1a2b3c-4e5f-4a6b-8c7d-0e1f2a3b4c5d" {
		t.Errorf("%+v", got)
	}
	for _, bad := range []string{"", "<html/>", "<EntityDescriptor/>",
		strings.Replace(string(f.Format()), "MII", "!!!", 1)} {
		if _, err := ParseFederationMetadata([]byte(bad)); err == nil {
			t.Errorf("%.40q was read", bad)
		}
	}
}

func TestKeySets(t *testing.T) {
	c, _ := newCertificate(t)
	k, err := CertificateKey(c)
	if err != nil {
		t.Fatal(err)
	}
	bare := Key{ID: "bare", Public: k.Public}
	got, err := ParseKeys(FormatKeys([]Key{k, bare}))
	if err != nil || len(got) != 2 || !got[0].Certificate.Equal(c) || !got[1].Public.Equal(k.Public) {
		t.Fatalf("%d keys, %v", len(got), err)
	}
	_, other := newCertificate(t)
	mixed := string(FormatKeys([]Key{{ID: "x", Public: &other.PublicKey, Certificate: c}}))
	for name, bad := range map[string]string{
		"no set":                     `{}`,
		"certificate of another key": mixed,
		"exponent 1": `{"keys":[{"kty":"RSA","n":"` +
			base64.RawURLEncoding.EncodeToString(k.Public.N.Bytes()) + `","e":"AQ"}]}`,
		"short modulus": `{"keys":[{"kty":"RSA","n":"AQAB","e":"AQAB"}]}`,
		"long exponent": `{"keys":[{"kty":"RSA","n":"` +
			base64.RawURLEncoding.EncodeToString(k.Public.N.Bytes()) + `","e":"AQABAQABAQAB"}]}`,
	} {
		if _, err := ParseKeys([]byte(bad)); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	if got, err := ParseKeys([]byte(`{"keys":[{"kty":"EC","crv":"P-256"},{"kty":"RSA","use":"enc"}]}`)); err != nil ||
		len(got) != 0 {
		t.Errorf("keys of other kinds: %d, %v", len(got), err)
	}
}

func TestFetchRefusals(t *testing.T) {
	srv := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/moved":
			http.Redirect(w, r, "/elsewhere", http.StatusFound)
		case "/denied":
			w.WriteHeader(http.StatusForbidden)
		case "/broken":
			w.WriteHeader(http.StatusServiceUnavailable)
		case "/big":
			w.Write(make([]byte, maxDocument+1))
		}
	}))
	defer srv.Close()
	client := srv.Client()
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	for path, class := range map[string]error{"/moved": nil, "/denied": link.ErrAccess, "/broken": link.ErrUnreachable,
		"/big": nil} {
		_, err := FetchAuthMetadata(t.Context(), client, srv.URL+path)
		if err == nil || class != nil && !errors.Is(err, class) {
			t.Errorf("%s: %v", path, err)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, seed := range []string{"", "..", "e30.e30.", "eyJhbGciOiJub25lIn0.eyJleHAiOjF9.",
		"eyJhbGciOiJSUzI1NiJ9.eyJhdWQiOlsiYSJdfQ.AA"} {
		f.Add(seed)
	}
	c, key := newCertificate(f)
	if good, err := (Signer{Key: key, Certificate: c}).Sign(Claims{"iss": "a", "exp": 9999999999}); err == nil {
		f.Add(good)
	}
	k, err := CertificateKey(c)
	if err != nil {
		f.Fatal(err)
	}
	v := Verifier{Keys: []Key{k}, Now: func() time.Time { return now }, Issuers: []string{"nobody"}}
	f.Fuzz(func(t *testing.T, text string) {
		token, err := Parse(text)
		if err == nil && token.Claims == nil {
			t.Error("parsed to no claims")
		}
		if _, err := v.Verify(text); err == nil {
			t.Error("a token of nobody was believed")
		} else if strings.ContainsAny(err.Error(), "\x1b\n\r") {
			t.Errorf("control characters in %q", err)
		}
	})
}

func FuzzChallenges(f *testing.F) {
	f.Add(`Bearer client_id="x", trusted_issuers="a@b,c@d", authorization_uri=https://x`)
	f.Add(`Negotiate YII=, Basic realm="a\"b", NTLM`)
	f.Add(`a =b, c d, e"`)
	f.Fuzz(func(t *testing.T, field string) {
		if b, ok := FindBearer(http.Header{"Www-Authenticate": {field}}); ok {
			if _, ok := FindBearer(http.Header{"Www-Authenticate": {b.Format()}}); !ok {
				t.Errorf("%q: what is formatted does not parse", field)
			}
		}
		FindDiagnostics(http.Header{"X-Ms-Diagnostics": {field}})
	})
}

func FuzzMetadata(f *testing.F) {
	c, _ := newCertificate(f)
	acs, err := json.Marshal(ACSMetadata("t", "https://x", c))
	if err != nil {
		f.Fatal(err)
	}
	k, err := CertificateKey(c)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(acs)
	f.Add(FormatKeys([]Key{k}))
	f.Add(FederationMetadata{EntityID: "https://sts.windows.net/x/", Certificates: []*x509.Certificate{c}}.Format())
	f.Add([]byte(`{"error":"invalid_client","error_description":"AADSTS70002: x","error_codes":[70002]}`))
	f.Fuzz(func(t *testing.T, document []byte) {
		if m, err := ParseAuthMetadata(document); err == nil {
			m.SigningKeys()
		}
		ParseKeys(document)
		ParseFederationMetadata(document)
		if text := ParseError("host", 400, document).Error(); strings.ContainsAny(text, "\x1b\n\r") {
			t.Errorf("control characters in %q", text)
		}
	})
}

// A text that is far too long for a token is not parsed.
func TestParseBoundsTheText(t *testing.T) {
	head := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"none"}`))
	for _, test := range []struct {
		length int
		want   error
	}{{maxToken / 2, nil}, {maxToken, ErrMalformed}} {
		text := head + "." + base64.RawURLEncoding.EncodeToString([]byte(`{"x":"`+strings.Repeat("x",
			test.length)+`"}`)) + "."
		if _, err := Parse(text); !errors.Is(err, test.want) {
			t.Errorf("%d bytes: got %v, want %v", len(text), err, test.want)
		}
	}
}

// roundTrip is a transport made of a function.
type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// A silent authorization server does not block without end, whatever the caller's context allows.
func TestTokenRequestEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		silent := &http.Client{Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
			select {
			case <-r.Context().Done():
				return nil, r.Context().Err()
			case <-time.After(time.Hour):
				return nil, errors.New("waited for an hour")
			}
		})}
		_, err := ClientCredentials{TokenURL: "https://login.example/token",
			Secret: secret.NewValue("s")}.Token(t.Context(), silent)
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v", err)
		}
	})
}

// The key that a token names decides which keys are tried: all that may match, and no others.
func TestKeysThatATokenNames(t *testing.T) {
	c, key := newCertificate(t)
	stranger, _ := newCertificate(t)
	mine, other := Key{ID: "a", Public: &key.PublicKey}, Key{ID: "a", Public: stranger.PublicKey.(*rsa.PublicKey)}
	good, err := CertificateKey(c)
	if err != nil {
		t.Fatal(err)
	}
	foreign, err := CertificateKey(stranger)
	if err != nil {
		t.Fatal(err)
	}
	claims := Claims{"exp": now.Add(time.Hour).Unix()}
	byID, err := Signer{Key: key, KeyID: "a"}.Sign(claims)
	if err != nil {
		t.Fatal(err)
	}
	byThumbprint, err := Signer{Key: key, Certificate: c}.Sign(claims)
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name, token string
		keys        []Key
		want        error
	}{
		{"the second of one id", byID, []Key{other, mine}, nil},
		{"the first of one id", byID, []Key{mine, other}, nil},
		{"another of that id", byID, []Key{other}, ErrSignature},
		{"thumbprint", byThumbprint, []Key{foreign, good}, nil},
		{"thumbprint of no certificate here", byThumbprint, []Key{foreign}, ErrUnknownKey},
	} {
		_, err := Verifier{Keys: test.keys, Now: func() time.Time { return now }}.Verify(test.token)
		if !errors.Is(err, test.want) {
			t.Errorf("%s: got %v, want %v", test.name, err, test.want)
		}
	}
}

// Some endpoints name the code only in the sentence.
func TestCodeInTheSentence(t *testing.T) {
	e := ParseError("login.example", 401,
		[]byte(`{"error":"invalid_client","error_description":"AADSTS7000215: Invalid client secret provided. Trace ID: x"}`))
	if diff := cmp.Diff([]int{7000215}, e.Codes); diff != "" {
		t.Error(diff)
	}
}

// An error names the host. The rest of the address belongs in no report.
func TestTokenErrorNamesTheHostAlone(t *testing.T) {
	dead := &http.Client{Transport: roundTrip(func(*http.Request) (*http.Response, error) {
		return nil,
			errors.New("connection cut")
	})}
	_, err := ClientCredentials{TokenURL: "https://login.example/tenant/token?hint=me",
		Secret: secret.NewValue("s")}.Token(t.Context(), dead)
	if err == nil || !strings.Contains(err.Error(), "login.example") || strings.Contains(err.Error(), "hint") {
		t.Errorf("got %v", err)
	}
}
