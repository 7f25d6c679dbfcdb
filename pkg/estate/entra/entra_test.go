package entra_test

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hybridge-cli/hybridge/pkg/config/answers"
	"github.com/hybridge-cli/hybridge/pkg/config/secret"
	"github.com/hybridge-cli/hybridge/pkg/estate/certificate"
	"github.com/hybridge-cli/hybridge/pkg/estate/entra"
	"github.com/hybridge-cli/hybridge/pkg/wire/link"
)

const graph = "https://graph.microsoft.com"

// serveGraph puts a handler behind TLS; every connection of the client leads there.
func serveGraph(t *testing.T, graphHost http.Handler) *http.Client {
	t.Helper()
	srv := httptest.NewTLSServer(graphHost)
	t.Cleanup(srv.Close)
	client := &http.Client{
		Transport: &http.Transport{
			DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
				return new(net.Dialer).DialContext(ctx, network, srv.Listener.Addr().String())
			},
			TLSClientConfig: &tls.Config{InsecureSkipVerify: true},
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	t.Cleanup(client.CloseIdleConnections)
	return client
}

func newBundle(t *testing.T, name string, to time.Time) certificate.Bundle {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: to}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	c, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return certificate.Bundle{Leaf: c, Key: key}
}

// scripted answers each request in turn.
func scripted(t *testing.T, steps ...http.HandlerFunc) *http.Client {
	n := 0
	return serveGraph(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if n == len(steps) {
			t.Errorf("one request too many: %s %s", r.Method, r.URL)
			w.WriteHeader(http.StatusTeapot)
			return
		}
		n++
		steps[n-1](w, r)
	}))
}

func answer(status int, body string, headers ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		for i := 0; i < len(headers); i += 2 {
			w.Header().Set(headers[i], headers[i+1])
		}
		w.WriteHeader(status)
		fmt.Fprint(w, body)
	}
}

func scriptedClient(t *testing.T, waits *[]time.Duration, steps ...http.HandlerFunc) *entra.Client {
	t.Helper()
	c, err := entra.New(entra.Options{
		Graph: graph, HTTP: scripted(t, steps...),
		Token: func(context.Context) (string, error) { return "secret-token", nil },
		Wait:  func(_ context.Context, d time.Duration) error { *waits = append(*waits, d); return nil },
		Now:   func() time.Time { return time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC) },
	})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestThrottling(t *testing.T) {
	busy := func(status int, after string) http.HandlerFunc {
		if after == "" {
			return answer(status, `{"error":{"code":"TooManyRequests","message":"slow down"}}`)
		}
		return answer(status, `{"error":{"code":"TooManyRequests","message":"slow down"}}`, "Retry-After", after)
	}
	fine := answer(200, `{"id":"x","n":3,"f":1.5}`)
	cut := func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }
	for _, test := range []struct {
		name   string
		method string
		steps  []http.HandlerFunc
		waits  []time.Duration
		fails  error
	}{
		{"seconds", "GET", []http.HandlerFunc{busy(429, "7"), fine}, []time.Duration{7 * time.Second}, nil},
		{"a date", "PATCH", []http.HandlerFunc{busy(429, "Sun, 22 Nov 2026 10:00:30 GMT"), fine},
			[]time.Duration{30 * time.Second}, nil},
		{"no word of when", "POST", []http.HandlerFunc{busy(429, ""), busy(429, ""), fine},
			[]time.Duration{time.Second, 2 * time.Second}, nil},
		{"again and again", "GET", []http.HandlerFunc{busy(429, "1"), busy(429, "1"), busy(429, "1"), busy(429, "1")},
			[]time.Duration{time.Second, time.Second, time.Second}, entra.ErrThrottled},
		{"too long", "GET", []http.HandlerFunc{busy(429, "3600")}, nil, entra.ErrThrottled},
		{"failing read", "GET", []http.HandlerFunc{busy(503, ""), busy(504, ""), fine},
			[]time.Duration{time.Second, 2 * time.Second}, nil},
		{"failing write is not repeated", "POST", []http.HandlerFunc{busy(503, "")}, nil, link.ErrUnreachable},
		{"write that was put off", "POST", []http.HandlerFunc{busy(503, "2"), fine}, []time.Duration{2 * time.Second},
			nil},
		{"cut read", "GET", []http.HandlerFunc{cut, fine}, nil, nil},
		{"cut read, twice", "GET", []http.HandlerFunc{cut, cut}, nil, link.ErrUnreachable},
		{"cut write is not repeated", "POST", []http.HandlerFunc{cut}, nil, link.ErrUnreachable},
		{"failing gateway on a write", "DELETE", []http.HandlerFunc{busy(504, "2")}, nil, link.ErrUnreachable},
	} {
		t.Run(test.name, func(t *testing.T) {
			var waits []time.Duration
			c := scriptedClient(t, &waits, test.steps...)
			got, err := c.Do(t.Context(), test.method, "/applications", nil)
			if !errors.Is(err, test.fails) {
				t.Fatalf("%v, want %v", err, test.fails)
			}
			if diff := cmp.Diff(test.waits, waits); diff != "" {
				t.Error(diff)
			}
			if test.fails == nil {
				if diff := cmp.Diff(map[string]any{"id": "x", "n": int64(3), "f": 1.5}, got); diff != "" {
					t.Error(diff)
				}
			}
		})
	}
}

func TestErrors(t *testing.T) {
	var waits []time.Duration
	c := scriptedClient(t, &waits,
		answer(403, "{\"error\":{\"code\":\"Authorization_RequestDenied\",\"message\":\"Insufficient "+
			"\\u001b[31mprivileges\\nto complete\",\"innerError\":{\"request-id\":\"abc\"}}}"))
	_, err := c.Do(t.Context(), "PATCH", "/applications/1?$select=x", map[string]any{"displayName": "x"})
	var e *entra.Error
	if !errors.As(err, &e) || !errors.Is(err, link.ErrAccess) || e.RequestID != "abc" || e.ClientRequestID == "" ||
		e.Code != "Authorization_RequestDenied" {
		t.Fatalf("%#v", err)
	}
	if got, want := err.Error(), "PATCH /applications/1 at graph.microsoft.com: 403 Authorization_RequestDenied: "+
		"Insufficient [31mprivileges to complete (request id abc)"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	for name, step := range map[string]http.HandlerFunc{
		"no JSON":        answer(200, "<html>Welcome</html>"),
		"no list":        answer(200, `{"value": {}}`),
		"no value":       answer(200, `{}`),
		"page of a gate": answer(502, "<html><title>Bad gateway</title></html>"),
		"redirect":       answer(302, "", "Location", "https://elsewhere.example/"),
	} {
		steps := []http.HandlerFunc{step, step, step, step}
		if name != "page of a gate" {
			steps = steps[:1]
		}
		if _, err := scriptedClient(t, &waits, steps...).Domains(t.Context()); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

// A firewall that refuses says nothing about the account.
func TestRefusalOnTheWay(t *testing.T) {
	for _, status := range []int{401, 403} {
		var waits []time.Duration
		c := scriptedClient(t, &waits, answer(status, "<html><title>Blocked by policy 7</title></html>"))
		_, err := c.Do(t.Context(), "GET", "/organization", nil)
		if err == nil || errors.Is(err, link.ErrAccess) || !strings.Contains(err.Error(), "not from Microsoft Graph") ||
			!strings.Contains(err.Error(), "Blocked by policy 7") {
			t.Errorf("%d: %v", status, err)
		}
	}
}

// A next link to another host would carry the token away.
func TestNextLinkStaysAtHome(t *testing.T) {
	for _, next := range []string{
		"https://evil.example/v1.0/domains?$skiptoken=1", "http://graph.microsoft.com/v1.0/domains",
		"https://graph.microsoft.com@evil.example/v1.0/domains",
		"https://user@graph.microsoft.com/v1.0/domains", "https://graph.microsoft.com:444/x", "//evil.example/x", "%zz",
	} {
		var waits []time.Duration
		c := scriptedClient(t, &waits,
			answer(200, fmt.Sprintf(`{"value":[{"id":"contoso.example"}],"@odata.nextLink":%q}`, next)), answer(200,
				`{"value":[]}`))
		if strings.HasPrefix(next, "//") { // a path on Graph itself: harmless
			if _, err := c.Domains(t.Context()); err != nil {
				t.Errorf("%s: %v", next, err)
			}
			continue
		}
		if _, err := c.Domains(t.Context()); !errors.Is(err, entra.ErrForeign) {
			t.Errorf("%s: %v, want ErrForeign", next, err)
		}
	}
}

// TestListsEnd: a list whose pages lead back to themselves, and an answer that never ends, with a
// context that sets no limit.
func TestListsEnd(t *testing.T) {
	var waits []time.Duration
	circle := answer(200, `{"value":[{"id":"contoso.example"}],"@odata.nextLink":"https://graph.microsoft.com/v1.0/domains?$skiptoken=1"}`)
	if _, err := scriptedClient(t, &waits, circle, circle).Domains(t.Context()); err == nil ||
		!strings.Contains(err.Error(), "does not end") {
		t.Errorf("pages in a circle: %v", err)
	}
	crowd := func(n int, next string) http.HandlerFunc {
		return answer(200, `{"value":[`+strings.Repeat(`{},`, n)+`{}]`+next+`}`)
	}
	if _, err := scriptedClient(t, &waits, crowd(4<<20+1, "")).Domains(t.Context()); err == nil ||
		!strings.Contains(err.Error(), "values") {
		t.Errorf("a crowd of objects: %v", err)
	}
	next := `,"@odata.nextLink":"https://graph.microsoft.com/v1.0/domains?$skiptoken=1"`
	if _, err := scriptedClient(t, &waits, crowd(3<<20, next), crowd(3<<20, "")).Domains(t.Context()); err == nil ||
		!strings.Contains(err.Error(), "values") {
		t.Errorf("a crowd of objects, in pages: %v", err)
	}
	c, err := entra.New(entra.Options{
		Graph: "https://graph.microsoft.com", Timeout: 50 * time.Millisecond,
		Token: func(context.Context) (string, error) { return "t", nil },
		HTTP: serveGraph(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.(http.Flusher).Flush()
			<-r.Context().Done()
		})),
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Domains(t.Context()); !errors.Is(err, link.ErrUnreachable) {
		t.Errorf("an answer without end: %v", err)
	}
}

func TestKeyCredentials(t *testing.T) {
	now := time.Now()
	a := newBundle(t, "a", now.Add(time.Hour)).Leaf
	thumbprint := certificate.Thumbprint(a)
	raw, err := hex.DecodeString(thumbprint)
	if err != nil {
		t.Fatal(err)
	}
	for name, k := range map[string]entra.KeyCredential{
		"certificate":           {Key: a.Raw},
		"hexadecimal":           {CustomKeyIdentifier: strings.ToLower(thumbprint)},
		"base64 of the hash":    {CustomKeyIdentifier: base64.StdEncoding.EncodeToString(raw)},
		"base64 of hexadecimal": {CustomKeyIdentifier: base64.StdEncoding.EncodeToString([]byte(thumbprint))},
	} {
		if got := k.Thumbprint(); got != thumbprint {
			t.Errorf("%s: %s, want %s", name, got, thumbprint)
		}
	}
	if got := (entra.KeyCredential{CustomKeyIdentifier: "not one"}).Thumbprint(); got != "" {
		t.Errorf("nonsense has thumbprint %q", got)
	}
}

// Without a token no request is sent.
func TestNoToken(t *testing.T) {
	refused := errors.New("refused")
	c, err := entra.New(entra.Options{Graph: graph, HTTP: scripted(t),
		Token: func(context.Context) (string, error) { return "", refused }})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Do(t.Context(), "GET", "/organization", nil); !errors.Is(err, refused) {
		t.Errorf("got %v", err)
	}
}

// Reads of keyCredentials are counted by the minute: a refusal without a time is waited out, others
// are not so long.
func TestKeyReadsBackOff(t *testing.T) {
	refused, fine := answer(429, `{"error":{"code":"TooManyRequests"}}`), answer(200, `{"id":"x"}`)
	for path, want := range map[string]time.Duration{
		"/applications/1?$select=id,keyCredentials": 65 * time.Second, "/applications/1?$select=id": time.Second,
	} {
		var waits []time.Duration
		if _, err := scriptedClient(t, &waits, refused, fine).Do(t.Context(), "GET", path, nil); err != nil {
			t.Error(err)
		}
		if len(waits) != 1 || waits[0] != want {
			t.Errorf("%s: waited %v, want %s", path, waits, want)
		}
	}
}

// An error never shows a certificate that Graph repeats from the request.
func TestErrorsShowNoCertificate(t *testing.T) {
	var waits []time.Duration
	c := scriptedClient(t, &waits,
		answer(400, `{"error":{"code":"Request_BadRequest","message":"Invalid value `+strings.Repeat("MIIC", 200)+
			`== for key"}}`))
	if _, err := c.Do(t.Context(), "PATCH", "/applications/1", nil); err == nil ||
		strings.Contains(err.Error(), "MIIC") || !strings.Contains(err.Error(), "Invalid value ... for key") {
		t.Errorf("got %v", err)
	}
}

// A wait that the caller has no time for does not begin.
func TestNoTimeToWait(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	var waits []time.Duration
	c := scriptedClient(t, &waits, answer(429, `{}`, "Retry-After", "60"))
	if _, err := c.Do(ctx, "GET", "/organization", nil); !errors.Is(err, entra.ErrThrottled) ||
		!strings.Contains(err.Error(), "longer than there is time") || len(waits) > 0 {
		t.Errorf("got %v after %v", err, waits)
	}
}

// An error names the path that was asked, without the names that a filter holds.
func TestErrorsLeaveTheQueryOut(t *testing.T) {
	var waits []time.Duration
	c := scriptedClient(t, &waits, answer(404, `{"error":{"code":"NotFound","message":"no"}}`))
	_, err := c.Do(t.Context(), "GET", "/users?$filter=mail%20eq%20'anna@contoso.com'", nil)
	if err == nil || strings.Contains(err.Error(), "anna") || !strings.Contains(err.Error(), "/users") {
		t.Errorf("got %v", err)
	}
}

// hosts records the hosts that a client connects to, and refuses everything.
type hosts map[string]bool

func (h hosts) RoundTrip(r *http.Request) (*http.Response, error) {
	h[r.URL.Host] = true
	return &http.Response{
		StatusCode: http.StatusBadRequest, Header: http.Header{"Content-Type": {"application/json"}}, Request: r,
		Body: io.NopCloser(strings.NewReader(`{"error":"invalid_request","error_description":"AADSTS900144: no","error_codes":[900144]}`)),
	}, nil
}

// Signing in takes the cloud's login host and no other: many networks let only that through.
func TestLoginHostAlone(t *testing.T) {
	for _, login := range []string{"https://login.microsoftonline.com", "https://login.sovcloud-identity.example"} {
		asked := hosts{}
		identity, err := entra.NewIdentity(entra.IdentityOptions{
			Tenant: "contoso.onmicrosoft.com", Login: login, Graph: graph, HTTP: &http.Client{Transport: asked},
			Credential: entra.Credential{Kind: answers.CredentialSecret,
				ClientID: "6d1a2b3c-4e5f-4a6b-8c7d-0e1f2a3b4c5d", Secret: secret.NewValue("s")},
		})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := identity.Token(t.Context(), graph); err == nil {
			t.Error("a token of nobody")
		}
		if diff := cmp.Diff(hosts{strings.TrimPrefix(login, "https://"): true}, asked); diff != "" {
			t.Error(diff)
		}
	}
}

// unsteady hands out device codes and is then cut off.
type unsteady struct{}

func (unsteady) RoundTrip(r *http.Request) (*http.Response, error) {
	const login = "https://login.microsoftonline.com/contoso.onmicrosoft.com"
	body := ""
	switch {
	case strings.HasSuffix(r.URL.Path, "/openid-configuration"):
		body = `{"issuer":"` + login + `/v2.0","authorization_endpoint":"` + login +
			`/oauth2/v2.0/authorize","token_endpoint":"` + login + `/oauth2/v2.0/token"}`
	case strings.HasSuffix(r.URL.Path, "/devicecode"):
		body = `{"user_code":"ABC123","device_code":"code","verification_uri":"https://login.microsoftonline.com/device","expires_in":900,"interval":1,"message":"enter ABC123"}`
	default:
		return nil, &net.OpError{Op: "read", Err: errors.New("connection reset")}
	}
	return &http.Response{StatusCode: http.StatusOK, Header: http.Header{"Content-Type": {"application/json"}},
		Request: r, Body: io.NopCloser(strings.NewReader(body))}, nil
}

// A person who has entered a device code is not asked for another one because a connection broke.
func TestDeviceCodeIsAskedForOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		said := 0
		identity, err := entra.NewIdentity(entra.IdentityOptions{
			Tenant: "contoso.onmicrosoft.com", Login: "https://login.microsoftonline.com", Graph: graph,
			HTTP:       &http.Client{Transport: unsteady{}},
			Credential: entra.Credential{Kind: answers.CredentialDeviceCode, Say: func(string) { said++ }},
		})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := identity.Token(t.Context(), graph); !errors.Is(err, link.ErrUnreachable) || said != 1 {
			t.Errorf("asked %d times: %v", said, err)
		}
	})
}

// What Graph says of a recipient, what it does not say, and what it refuses are three things.
func TestMailTips(t *testing.T) {
	none, no := "", false
	for name, tt := range map[string]struct {
		answer string
		want   entra.MailTips
		err    string
	}{
		"both": {`{"value":[{"emailAddress":{"name":"","address":"b@contoso.com"},` +
			`"automaticReplies":{"message":""},"mailboxFull":false}]}`, entra.MailTips{Replies: &none, Full: &no}, ""},
		"nothing": {`{"value":[{"emailAddress":{"name":"","address":"b@contoso.com"}}]}`, entra.MailTips{}, ""},
		"refused": {`{"value":[{"error":{"code":"ErrorInvalidRecipients","message":"no\u001b[31m"}}]}`,
			entra.MailTips{Err: &entra.ScheduleError{Code: "ErrorInvalidRecipients", Message: link.Line("no\x1b[31m")}}, ""},
		"of no one": {`{"value":[]}`, entra.MailTips{}, "getMailTips"},
		"no JSON":   {`<html>`, entra.MailTips{}, "getMailTips"},
	} {
		t.Run(name, func(t *testing.T) {
			asked := ""
			c := scriptedClient(t, nil, func(w http.ResponseWriter, r *http.Request) {
				body, _ := io.ReadAll(r.Body)
				asked = r.Method + " " + r.URL.EscapedPath() + " " + string(body)
				fmt.Fprint(w, tt.answer)
			})
			got, err := c.MailTips(t.Context(), "a/b@contoso.com", "b@contoso.com")
			if want := `POST /v1.0/users/a%2Fb@contoso.com/getMailTips {"EmailAddresses":["b@contoso.com"],` +
				`"MailTipsOptions":"automaticReplies, mailboxFullStatus"}`; asked != want {
				t.Errorf("asked %s", asked)
			}
			if tt.err != "" && (err == nil || !strings.Contains(err.Error(), tt.err)) || tt.err == "" && err != nil {
				t.Errorf("error %v", err)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}
