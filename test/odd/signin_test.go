package odd_test

import (
	"context"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hybridge-cli/hybridge/pkg/config/answers"
	"github.com/hybridge-cli/hybridge/pkg/config/secret"
	"github.com/hybridge-cli/hybridge/pkg/estate/entra"
	"github.com/hybridge-cli/hybridge/pkg/wire/link"
	"github.com/hybridge-cli/hybridge/pkg/wire/oauth"
)

const (
	loginHost    = "login.microsoftonline.com"
	loginTenant  = "9d1f2c3b-4a5e-4f60-8b7c-112233445566"
	loginAt      = "https://" + loginHost + "/" + loginTenant
	loginClient  = "6d1a2b3c-4e5f-4a6b-8c7d-0e1f2a3b4c5d"
	clientSecret = "Zm9yYmlkZGVu~secret"
	resource     = "https://graph.microsoft.com"
)

// loginTemper is one odd sign-in service. Each nil answer is a good one.
type loginTemper struct {
	name     string
	device   bool // signs a person in with a device code
	metadata http.HandlerFunc
	code     http.HandlerFunc
	token    http.HandlerFunc

	class error // nil: a token comes back
	says  string
	hint  string // part of the hint of an *oauth.Error
	asked int    // times the token endpoint is asked; 0 is not judged
}

func document(status int, body string, headers ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		for i := 0; i+1 < len(headers); i += 2 {
			w.Header().Set(headers[i], headers[i+1])
		}
		w.WriteHeader(status)
		fmt.Fprint(w, body)
	}
}

func page200(status int, kind, body string) http.HandlerFunc {
	return document(status, body, "Content-Type", kind)
}

func refusedWith(status int, kind string, code int, text string) http.HandlerFunc {
	return document(status, fmt.Sprintf(`{"error":%q,"error_description":"AADSTS%d: %s Trace ID: a Correlation ID: b",`+
		`"error_codes":[%d],"correlation_id":"c0ffee"}`, kind, code, text, code))
}

func leadsTo(status int, address string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Location", address)
		w.WriteHeader(status)
	}
}

func abort(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }

// cut announces more than it sends.
func cut(body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "5000")
		fmt.Fprint(w, body)
		panic(http.ErrAbortHandler)
	}
}

// turns answers each request with the next one; the last one stays.
func turns(answers ...http.HandlerFunc) http.HandlerFunc {
	var mu sync.Mutex
	n := 0
	return func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		a := answers[min(n, len(answers)-1)]
		n++
		mu.Unlock()
		a(w, r)
	}
}

func goodToken() string {
	part := func(s string) string { return base64.RawURLEncoding.EncodeToString([]byte(s)) }
	return part(`{"alg":"RS256","typ":"JWT"}`) + "." + part(`{"aud":"`+resource+`","roles":["Application.Read.All"]}`) +
		"." + part("signature")
}

func tokenDocument(more string) http.HandlerFunc {
	return document(http.StatusOK, `{"access_token":"`+goodToken()+`","token_type":"Bearer","expires_in":3599`+more+`}`)
}

func configuration(issuer, token string) http.HandlerFunc {
	return document(http.StatusOK, fmt.Sprintf(`{"issuer":%q,"authorization_endpoint":"`+loginAt+
		`/oauth2/v2.0/authorize","token_endpoint":%q,"device_authorization_endpoint":"`+loginAt+
		`/oauth2/v2.0/devicecode","jwks_uri":"`+loginAt+`/discovery/v2.0/keys"}`, issuer, token))
}

func deviceDocument(change func(string) string) http.HandlerFunc {
	return document(http.StatusOK, change(`{"user_code":"ABC123","device_code":"code","verification_uri":"https://`+
		loginHost+`/device","expires_in":900,"interval":1,"message":"enter ABC123"}`))
}

// elsewhere is a place that must never see a credential.
const elsewhere = "https://sts.elsewhere.example"

func loginTempers() []loginTemper {
	const portal = "<html><head><title>Log in to the guest network</title></head><body><form></form></body></html>"
	good := tokenDocument("")
	pending := refusedWith(400, "authorization_pending", 70016, "pending")
	issuer, endpoint := loginAt+"/v2.0", loginAt+"/oauth2/v2.0/token"
	unreachable, access, untrusted := link.ErrUnreachable, link.ErrAccess, link.ErrUntrusted
	diverted := entra.ErrNotSignIn
	return []loginTemper{
		{name: "good", asked: 1},

		// The token endpoint refuses.
		{name: "wrong secret", token: refusedWith(401, "invalid_client", 7000215, "Invalid client secret provided."),
			class: access, says: "AADSTS7000215", hint: "secret", asked: 1},
		{name: "expired secret", token: refusedWith(401, "invalid_client", 7000222, "The provided client secret keys "+
			"are expired."), class: access, says: "AADSTS7000222", hint: "secret", asked: 1},
		{name: "unknown application", token: refusedWith(400, "unauthorized_client", 700016,
			"Application was not found."),
			class: access, says: "AADSTS700016", asked: 1},
		{name: "unknown tenant", token: refusedWith(400, "invalid_request", 90002, "Tenant not found."), class: access,
			says: "AADSTS90002", asked: 1},
		{name: "Conditional Access", token: refusedWith(400, "access_denied", 53003, "Access has been blocked."),
			class: access, says: "AADSTS53003", asked: 1},
		{name: "certificate not registered", token: refusedWith(401, "invalid_client", 700027, "not registered"),
			class: access, says: "AADSTS700027", asked: 1},
		{name: "disabled application",
			token: refusedWith(400, "unauthorized_client", 7000112, "Application is disabled."),
			class: access, says: "AADSTS7000112", asked: 1},
		{name: "a refusal with escape sequences", token: document(400,
			`{"error":"invalid_client","error_description":"AADSTS7000215: \u001b[31mno\u202e\r\nway"}`), class: access,
			says: "AADSTS7000215", asked: 1},
		{name: "a refusal that repeats the secret", token: refusedWith(401, "invalid_client", 7000215,
			"Invalid client secret "+clientSecret), class: access, says: "AADSTS7000215", asked: 1},
		{name: "a log-on page with 401", token: page200(401, "text/html", portal), class: diverted,
			says: "guest network", asked: 1},
		{name: "an empty refusal", token: page200(400, "text/plain", ""), class: diverted, says: "400", asked: 1},
		{name: "403 of a firewall", token: page200(403, "text/html", "<html>Blocked by policy 7</html>"),
			class: diverted,
			says:  "403", asked: 1},
		{name: "404", token: page200(404, "text/html", "not found"), class: diverted, says: "404"},
		{name: "407 of a proxy", token: page200(407, "text/html", "proxy"), class: diverted, says: "407"},

		// The token endpoint is in trouble.
		{name: "500", token: page200(500, "text/html", "oops"), class: unreachable, says: "500"},
		{name: "502 of a gateway", token: page200(502, "text/html", "bad gateway"), class: unreachable, says: "502"},
		{name: "503, then good", token: turns(document(503, "", "Retry-After", "1"), good)},
		{name: "429, then good", token: turns(document(429, "", "Retry-After", "1"), good)},
		{name: "hangs up, then good", token: turns(abort, good)},
		{name: "always hangs up", token: abort, class: unreachable},
		{name: "half an answer", token: cut(`{"access_token":"`), class: unreachable},

		// The token endpoint answers something else.
		{name: "a portal with 200", token: page200(200, "text/html", portal), class: diverted, says: loginHost},
		{name: "an empty 200", token: page200(200, "application/json", ""), class: diverted, says: loginHost},
		{name: "no token", token: document(200, `{"token_type":"Bearer","expires_in":3599}`), class: diverted,
			says: loginHost},
		{name: "a list", token: document(200, `[]`), class: diverted, says: loginHost},
		{name: "a refusal with 200", token: document(200,
			`{"error":"invalid_client","error_description":"AADSTS1: x"}`),
			class: diverted, says: loginHost},
		{name: "a lifetime as text", token: document(200, `{"access_token":"`+goodToken()+
			`","token_type":"Bearer","expires_in":"3599"}`)},
		{name: "a token that is no JWT", token: document(200, `{"access_token":"opaque","token_type":"Bearer",`+
			`"expires_in":3599}`)},
		{name: "an endless answer", token: func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			fmt.Fprint(w, `{"x":"`)
			chunk := strings.Repeat("x", 1<<16)
			for r.Context().Err() == nil {
				if _, err := fmt.Fprint(w, chunk); err != nil {
					return
				}
			}
		}, class: diverted, says: loginHost},

		// Redirects: no credential leaves the login host.
		{name: "token endpoint moved for good", token: leadsTo(308, elsewhere+"/token"), class: diverted},
		{name: "token endpoint moved for now", token: leadsTo(307, elsewhere+"/token"), class: diverted},
		{name: "redirect to a federation server", token: leadsTo(302, elsewhere+"/adfs/ls/?wa=wsignin1.0"),
			class: diverted},
		{name: "redirect to plain http", token: leadsTo(307, "http://"+loginHost+"/token"), class: diverted},
		{name: "redirect to itself", token: leadsTo(307, endpoint), class: diverted},
		{name: "redirect to nowhere", token: leadsTo(307, ""), class: diverted},

		// The OpenID document.
		{name: "metadata names another host", metadata: configuration(issuer, elsewhere+"/token"), class: untrusted,
			says: "points to"},
		{name: "metadata names plain http", metadata: configuration(issuer, "http://"+loginHost+"/token"),
			class: untrusted, says: "points to"},
		{name: "metadata names another port", metadata: configuration(issuer, "https://"+loginHost+":444/token"),
			class: untrusted, says: "points to"},
		{name: "metadata of another issuer", metadata: configuration("https://sts.elsewhere.example/v2.0", endpoint),
			class: diverted, says: "sts.elsewhere.example"},
		{name: "metadata without a token endpoint", metadata: configuration(issuer, ""), class: diverted},
		{name: "metadata is a portal", metadata: page200(200, "text/html", portal), class: diverted, says: loginHost},
		{name: "metadata is empty", metadata: page200(200, "application/json", ""), class: diverted, says: loginHost},
		{name: "metadata is cut short", metadata: cut(`{"issuer":"`), class: unreachable},
		{name: "metadata redirects to a portal", metadata: leadsTo(302, elsewhere+"/portal"), class: diverted},
		{name: "metadata unknown tenant", metadata: refusedWith(400, "invalid_tenant", 90002, "Tenant 'x' not found."),
			class: access, says: "AADSTS90002"},
		{name: "metadata 500", metadata: page200(500, "text/html", "oops"), class: unreachable, says: "500"},

		// Device codes.
		{name: "device code", device: true, token: turns(pending, good)},
		{name: "device code declined", device: true, token: turns(pending, refusedWith(400, "authorization_declined",
			65004, "User declined to consent.")), class: access, says: "AADSTS65004", hint: "declined"},
		{name: "device code expired", device: true,
			token: refusedWith(400, "expired_token", 70020, "The code has expired."),
			class: access, says: "AADSTS70020", hint: "Conditional Access"},
		{name: "device code unconfirmed", device: true, code: deviceDocument(func(s string) string {
			return strings.Replace(s, "900", "2", 1)
		}), token: pending, class: access, says: "not confirmed in time", hint: "not confirmed in time"},
		{name: "device code blocked", device: true, token: refusedWith(400, "access_denied", 53003, "Blocked."),
			class: access, says: "AADSTS53003", hint: "Conditional Access"},
		{name: "device codes not allowed", device: true, code: refusedWith(400, "unauthorized_client", 7000218,
			"The request body must contain client_secret."), class: access, says: "AADSTS7000218"},
		{name: "device code endpoint is a portal", device: true, code: page200(200, "text/html", portal),
			class: diverted, says: loginHost},
		{name: "device code endpoint redirects", device: true, code: leadsTo(307, elsewhere+"/devicecode"),
			class: diverted},
		{name: "device code without a code", device: true, code: document(200, `{"expires_in":900,"interval":1}`),
			class: diverted},
		{name: "device code with escape sequences", device: true, code: deviceDocument(func(s string) string {
			return strings.Replace(s, "enter ABC123", `enter \u001b]0;x\u0007ABC123\u202e`, 1)
		})},
		{name: "device code of no lifetime", device: true, code: deviceDocument(func(s string) string {
			return strings.Replace(s, "900", "0", 1)
		}), token: pending, class: diverted},
		{name: "device code, slow down", device: true, token: turns(refusedWith(400, "slow_down", 70016, "slow down"),
			good)},
		{name: "device code, hangs up while polling", device: true, token: turns(pending, abort, good)},
	}
}

// TestOddSignIn signs in at each odd sign-in service, with a secret or a device code.
func TestOddSignIn(t *testing.T) {
	authority := newIssuer(t)
	certificate := authority.server(t, loginHost, nil)
	foreign := authority.server(t, "sts.elsewhere.example", nil)
	for _, temper := range loginTempers() {
		t.Run(temper.name, func(t *testing.T) {
			t.Parallel()
			or := func(h, otherwise http.HandlerFunc) http.HandlerFunc {
				if h == nil {
					return otherwise
				}
				return h
			}
			metadata := or(temper.metadata, configuration(loginAt+"/v2.0", loginAt+"/oauth2/v2.0/token"))
			code := or(temper.code, deviceDocument(func(s string) string { return s }))
			token := or(temper.token, tokenDocument(""))
			var mu sync.Mutex
			asked, leaked := 0, ""
			serve := func(cert tls.Certificate, home bool) string {
				s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					_ = r.ParseForm()
					sent := r.URL.String() + " " + r.PostForm.Encode() + " " + r.Header.Get("Authorization")
					mu.Lock()
					if !home || r.TLS == nil {
						if strings.Contains(sent, "secret") || strings.Contains(sent, "device_code") {
							leaked = sent
						}
					}
					if strings.HasSuffix(r.URL.Path, "/token") {
						asked++
					}
					mu.Unlock()
					switch {
					case !home:
						tokenDocument("")(w, r)
					case strings.HasSuffix(r.URL.Path, "/openid-configuration"):
						metadata(w, r)
					case strings.HasSuffix(r.URL.Path, "/devicecode"):
						code(w, r)
					default:
						token(w, r)
					}
				}))
				s.TLS = &tls.Config{Certificates: []tls.Certificate{cert}}
				s.StartTLS()
				t.Cleanup(s.Close)
				return s.Listener.Addr().String()
			}
			home, away := serve(certificate, true), serve(foreign, false)
			plain := listen(t, func(c net.Conn) {
				buffer := make([]byte, 8192)
				n, _ := c.Read(buffer)
				mu.Lock()
				defer mu.Unlock()
				if strings.Contains(string(buffer[:n]), "secret") {
					leaked = "plain http"
				}
			})
			line, err := link.New(link.Options{CAs: authority.pool, Timeout: 5 * time.Second, ConnectTo: []string{
				loginHost + ":443=" + home, loginHost + ":444=" + away, loginHost + ":80=" + plain,
				"sts.elsewhere.example:=" + away}})
			if err != nil {
				t.Fatal(err)
			}
			client := line.Client(nil)
			shown := ""
			credential := entra.Credential{Kind: answers.CredentialSecret, ClientID: loginClient,
				Secret: secret.NewValue(clientSecret)}
			if temper.device {
				credential = entra.Credential{Kind: answers.CredentialDeviceCode,
					Say: func(text string) { shown = text }}
			}
			identity, err := entra.NewIdentity(entra.IdentityOptions{Tenant: loginTenant, Login: "https://" + loginHost,
				Graph: resource, HTTP: client, Credential: credential})
			if err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithTimeout(t.Context(), 25*time.Second)
			defer cancel()
			begun := time.Now()
			_, err = identity.Token(ctx, resource)
			temper.judge(t, err, shown)
			mu.Lock()
			defer mu.Unlock()
			if leaked != "" {
				t.Errorf("a credential went elsewhere: %s", leaked)
			}
			if temper.asked > 0 && asked != temper.asked {
				t.Errorf("the token endpoint was asked %d times, want %d", asked, temper.asked)
			}
			if took := time.Since(begun); took > 20*time.Second {
				t.Errorf("took %v", took)
			}
		})
	}
}

func (x loginTemper) judge(t *testing.T, err error, shown string) {
	t.Helper()
	fit(t, x.name, shown)
	if x.class == nil {
		if err != nil {
			t.Errorf("%v", err)
		}
		return
	}
	if err == nil {
		t.Fatal("signed in")
	}
	said := err.Error()
	t.Log(said)
	fit(t, x.name, said)
	if !errors.Is(err, x.class) {
		t.Errorf("%q is not %v", said, x.class)
	}
	classes := 0
	for _, class := range []error{link.ErrUnreachable, link.ErrAccess, link.ErrUntrusted, entra.ErrNotSignIn} {
		if errors.Is(err, class) {
			classes++
		}
	}
	if classes != 1 {
		t.Errorf("%q is of %d classes", said, classes)
	}
	if !strings.Contains(said, x.says) || !strings.Contains(said, loginHost) {
		t.Errorf("%q names neither %q nor the host", said, x.says)
	}
	if strings.Contains(said, clientSecret) || strings.Contains(said, goodToken()) {
		t.Errorf("a secret is in %q", said)
	}
	if len(said) > 1000 {
		t.Errorf("%d characters", len(said))
	}
	var refused *oauth.Error
	if errors.As(err, &refused) {
		fit(t, x.name, refused.Hint())
		if !strings.Contains(refused.Hint(), x.hint) {
			t.Errorf("hint %q does not contain %q", refused.Hint(), x.hint)
		}
	}
}
