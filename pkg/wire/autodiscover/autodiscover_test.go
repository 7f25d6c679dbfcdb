package autodiscover

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hybridge-cli/hybridge/pkg/config/secret"
	"github.com/hybridge-cli/hybridge/pkg/wire/link"
)

// world is hosts behind one TLS and one plain server, distinguished by the Host header. Hosts that
// are not in it refuse the connection.
type world struct {
	secure, plain map[string]http.Handler
	srv           map[string][]*net.SRV
	credentials   []string // "scheme host" of every request with an Authorization header
}

func (w *world) client(t *testing.T) *Client {
	t.Helper()
	serve := func(hosts map[string]http.Handler, scheme string) http.Handler {
		return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
			if r.Header.Get("Authorization") != "" {
				w.credentials = append(w.credentials, scheme+" "+r.Host)
			}
			hosts[r.Host].ServeHTTP(rw, r)
		})
	}
	secure := httptest.NewUnstartedServer(serve(w.secure, "https"))
	secure.Config.ErrorLog = log.New(io.Discard, "", 0)
	secure.TLS = &tls.Config{}
	secure.Config.ConnContext = link.ConnContext
	secure.StartTLS()
	plain := httptest.NewServer(serve(w.plain, "http"))
	t.Cleanup(secure.Close)
	t.Cleanup(plain.Close)
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed.Close()
	var o link.Options
	for host := range w.secure {
		o.ConnectTo = append(o.ConnectTo, host+":443="+secure.Listener.Addr().String())
		o.InsecureHosts = append(o.InsecureHosts, host)
	}
	for host := range w.plain {
		o.ConnectTo = append(o.ConnectTo, host+":80="+plain.Listener.Addr().String())
	}
	o.ConnectTo = append(o.ConnectTo, ":="+closed.Addr().String())
	o.Timeout = 5 * time.Second
	l, err := link.New(o)
	if err != nil {
		t.Fatal(err)
	}
	return &Client{
		HTTP:      l.Client(link.Basic{User: "alice", Password: secret.NewValue("hunter2")}),
		Anonymous: l.Client(nil),
		LookupSRV: func(_ context.Context, name string) ([]*net.SRV, error) {
			if r, ok := w.srv[name]; ok {
				return r, nil
			}
			return nil, &net.DNSError{Err: "no such host", Name: name, IsNotFound: true}
		},
	}
}

// people is a backend: settings or errors by address.
type people map[string]any

func (p people) UserSettings(_ context.Context, q Query) (Settings, error) {
	switch v := p[strings.ToLower(q.Address)].(type) {
	case Settings:
		return v, nil
	case error:
		return Settings{}, v
	}
	return Settings{}, &CodeError{Code: InvalidUser}
}

func (p people) DomainSettings(_ context.Context, q Query) (map[string]string, error) {
	if q.Domain != "contoso.com" {
		return nil, &CodeError{Code: InvalidDomain, Message: "not here"}
	}
	return map[string]string{"ExternalEwsUrl": "https://mail.contoso.com/EWS/Exchange.asmx"}, nil
}

func (p people) FederationInformation(_ context.Context, domain string) (Federation, error) {
	if domain != "contoso.com" {
		return Federation{}, &CodeError{Code: NotFederated}
	}
	return Federation{ApplicationURI: "contoso.com", TokenIssuers: []string{"https://login.example/x"},
		Domains: []string{"contoso.com", "a&b.example"}}, nil
}

var aliceSettings = Settings{
	Address: "alice@contoso.com", DisplayName: "Alice & Co", LegacyDN: "/o=Contoso/cn=alice",
	Server: "guid@contoso.com", Version: "15.2.1544",
	ExternalEWS: "https://mail.contoso.com/EWS/Exchange.asmx",
	InternalEWS: "https://ex1.contoso.local/EWS/Exchange.asmx", ExternalAuth: "Ntlm",
}

func here(p people) http.Handler {
	accept := &link.Accept{Basic: true, Realm: "r", Anonymous: Anonymous,
		Password: func(u string) (string, bool) { return "hunter2", u == "alice" }}
	return Advertise(accept.Handler(&Handler{Backend: p, Unauthorized: accept.Challenge}))
}

func answers(status int, header map[string]string, body string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		for k, v := range header {
			w.Header().Set(k, v)
		}
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	})
}

func redirect(to string) http.Handler { return answers(302, map[string]string{"Location": to}, "") }

func toAddress(a string) error { return &CodeError{Code: CodeRedirectAddress, Target: a} }
func toURL(u string) error     { return &CodeError{Code: CodeRedirectURL, Target: u} }

// steps is a trace without what differs from run to run.
func steps(trace []Attempt) []string {
	var all []string
	for _, a := range trace {
		u := strings.TrimSuffix(strings.TrimSuffix(a.URL, "/autodiscover/autodiscover.xml"),
			"/autodiscover/autodiscover.svc")
		all = append(all, a.Method+" "+u+" "+string(a.Outcome))
	}
	return all
}

func TestFind(t *testing.T) {
	const found = "https://mail.contoso.com/EWS/Exchange.asmx"
	alice := here(people{"alice@contoso.com": aliceSettings})
	tests := []struct {
		name   string
		world  world
		set    func(*Client)
		trace  []string
		class  error
		reason string
	}{
		{
			name:  "service connection point",
			world: world{secure: map[string]http.Handler{"ex1.contoso.com": alice}},
			set: func(c *Client) {
				c.SCP = []string{"https://gone.contoso.com/autodiscover/autodiscover.xml",
					"https://ex1.contoso.com/Autodiscover/Autodiscover.xml"}
			},
			trace: []string{"POST https://gone.contoso.com unreachable",
				"POST https://ex1.contoso.com/Autodiscover/Autodiscover.xml found"},
		},
		{
			name:  "domain",
			world: world{secure: map[string]http.Handler{"contoso.com": alice}},
			trace: []string{"POST https://contoso.com found"},
		},
		{
			name: "website at the domain",
			world: world{secure: map[string]http.Handler{"contoso.com": answers(200, nil,
				"<html><title>Welcome</title>"), "autodiscover.contoso.com": alice}},
			trace: []string{"POST https://contoso.com not-autodiscover", "POST https://autodiscover.contoso.com found"},
		},
		{
			name: "http redirect inside the domain",
			world: world{
				secure: map[string]http.Handler{"mail.contoso.com": alice, "contoso.com": answers(404, nil, "")},
				plain:  map[string]http.Handler{"autodiscover.contoso.com": redirect("https://mail.contoso.com/autodiscover/autodiscover.xml")},
			},
			trace: []string{"POST https://contoso.com not-found", "POST https://autodiscover.contoso.com unreachable",
				"GET http://autodiscover.contoso.com redirect-url", "POST https://mail.contoso.com found"},
		},
		{
			name: "http redirect to a stranger",
			world: world{
				secure: map[string]http.Handler{"evil.example": alice},
				plain:  map[string]http.Handler{"autodiscover.contoso.com": redirect("https://evil.example/autodiscover/autodiscover.xml")},
			},
			trace: []string{"POST https://contoso.com unreachable", "POST https://autodiscover.contoso.com unreachable",
				"GET http://autodiscover.contoso.com redirect-url", "POST https://evil.example refused-redirect",
				"SRV _autodiscover._tcp.contoso.com no-record"},
			class: errNone,
		},
		{
			name: "http redirect to a host that is known",
			world: world{
				secure: map[string]http.Handler{"autodiscover-s.outlook.example": alice},
				plain:  map[string]http.Handler{"autodiscover.contoso.com": redirect("https://autodiscover-s.outlook.example/autodiscover/autodiscover.xml")},
			},
			set: func(c *Client) { c.Hosts = []string{".outlook.example"} },
			trace: []string{"POST https://contoso.com unreachable", "POST https://autodiscover.contoso.com unreachable",
				"GET http://autodiscover.contoso.com redirect-url",
				"POST https://autodiscover-s.outlook.example found"},
		},
		{
			name:  "http redirects that lead nowhere",
			world: world{plain: map[string]http.Handler{"autodiscover.contoso.com": redirect("http://mail.contoso.com/autodiscover/autodiscover.xml")}},
			trace: []string{"POST https://contoso.com unreachable", "POST https://autodiscover.contoso.com unreachable",
				"GET http://autodiscover.contoso.com refused-redirect", "SRV _autodiscover._tcp.contoso.com no-record"},
			class: errNone,
		},
		{
			name: "SRV",
			world: world{
				secure: map[string]http.Handler{"mail.contoso.com": alice},
				srv: map[string][]*net.SRV{"_autodiscover._tcp.contoso.com": {
					{Target: "other.contoso.com.", Port: 8443, Priority: 0},
					{Target: "third.contoso.com.", Port: 443, Priority: 2},
					{Target: "mail.contoso.com.", Port: 443, Priority: 1, Weight: 10},
					{Target: "light.contoso.com.", Port: 443, Priority: 1, Weight: 5},
				}},
			},
			trace: []string{"POST https://contoso.com unreachable", "POST https://autodiscover.contoso.com unreachable",
				"GET http://autodiscover.contoso.com unreachable", "SRV _autodiscover._tcp.contoso.com redirect-url",
				"POST https://mail.contoso.com found"},
		},
		{
			name: "redirected to another address",
			world: world{secure: map[string]http.Handler{
				"contoso.com":                 here(people{"alice@contoso.com": toAddress("alice@tenant.example")}),
				"autodiscover.tenant.example": here(people{"alice@tenant.example": aliceSettings}),
			}},
			set: func(c *Client) { c.SCP = []string{"https://contoso.com/autodiscover/autodiscover.xml"} },
			trace: []string{"POST https://contoso.com redirect-address", "POST https://tenant.example unreachable",
				"POST https://autodiscover.tenant.example found"},
		},
		{
			name: "redirected to another URL",
			world: world{secure: map[string]http.Handler{
				"contoso.com":        here(people{"alice@contoso.com": toURL("https://mail.cloud.example/autodiscover/autodiscover.xml")}),
				"mail.cloud.example": alice,
			}},
			trace: []string{"POST https://contoso.com redirect-url", "POST https://mail.cloud.example found"},
		},
		{
			name:  "redirected by https",
			world: world{secure: map[string]http.Handler{"contoso.com": redirect("https://mail.contoso.com/Autodiscover/Autodiscover.xml"), "mail.contoso.com": alice}},
			trace: []string{"POST https://contoso.com redirect-url",
				"POST https://mail.contoso.com/Autodiscover/Autodiscover.xml found"},
		},
		{
			name:  "redirected to http and to a log-on page",
			world: world{secure: map[string]http.Handler{"contoso.com": redirect("http://contoso.com/autodiscover/autodiscover.xml"), "autodiscover.contoso.com": redirect("/owa/auth/logon.aspx?x=y")}},
			trace: []string{
				"POST https://contoso.com redirect-url", "POST http://contoso.com refused-redirect",
				"POST https://autodiscover.contoso.com redirect-url",
				"POST https://autodiscover.contoso.com/owa/auth/logon.aspx refused-redirect",
				"GET http://autodiscover.contoso.com unreachable", "SRV _autodiscover._tcp.contoso.com no-record",
			},
			class: errNone,
		},
		{
			name: "addresses in a circle",
			world: world{secure: map[string]http.Handler{
				"contoso.com":    here(people{"alice@contoso.com": toAddress("alice@tenant.example")}),
				"tenant.example": here(people{"alice@tenant.example": toAddress("ALICE@contoso.com")}),
			}},
			trace: []string{"POST https://contoso.com redirect-address",
				"POST https://tenant.example redirect-address"},
			class:  errNone,
			reason: "redirected in a circle",
		},
		{
			name:  "URL to itself",
			world: world{secure: map[string]http.Handler{"contoso.com": here(people{"alice@contoso.com": toURL("https://contoso.com/autodiscover/autodiscover.xml")})}},
			trace: []string{"POST https://contoso.com redirect-url",
				"POST https://autodiscover.contoso.com unreachable", "GET http://autodiscover.contoso.com unreachable",
				"SRV _autodiscover._tcp.contoso.com no-record"},
			class: link.ErrUnreachable,
		},
		{
			name: "wrong password",
			world: world{secure: map[string]http.Handler{"autodiscover.contoso.com": answers(401,
				map[string]string{"WWW-Authenticate": "NTLM"}, "")}},
			trace: []string{"POST https://contoso.com unreachable",
				"POST https://autodiscover.contoso.com access-refused",
				"GET http://autodiscover.contoso.com unreachable", "SRV _autodiscover._tcp.contoso.com no-record"},
			class: link.ErrAccess,
		},
		{
			name:  "no such mailbox",
			world: world{secure: map[string]http.Handler{"contoso.com": here(people{})}},
			trace: []string{"POST https://contoso.com no-such-mailbox",
				"POST https://autodiscover.contoso.com unreachable", "GET http://autodiscover.contoso.com unreachable",
				"SRV _autodiscover._tcp.contoso.com no-record"},
			class: errNone,
		},
	}
	for _, tt := range tests {
		for _, soap := range []bool{false, true} {
			if soap && (tt.name == "website at the domain" || tt.name == "service connection point") {
				continue // the same but for the URLs
			}
			t.Run(fmt.Sprintf("%s/soap=%t", tt.name, soap), func(t *testing.T) {
				w := tt.world
				w.credentials = nil
				c := w.client(t)
				c.SOAP = soap
				if tt.set != nil {
					tt.set(c)
				}
				got, err := c.Find(t.Context(), "alice@contoso.com")
				want := tt.trace
				if soap {
					want = nil
					for _, s := range tt.trace {
						want = append(want, strings.ReplaceAll(s, "Autodiscover/Autodiscover.xml",
							"Autodiscover/Autodiscover.svc"))
					}
				}
				if diff := cmp.Diff(want, steps(got.Trace)); diff != "" {
					t.Error(diff)
				}
				for _, s := range w.credentials {
					if strings.HasPrefix(s, "http ") || strings.Contains(s, "evil") {
						t.Errorf("credentials went to %s", s)
					}
				}
				if tt.class == nil {
					if err != nil || got.EWS() != found {
						t.Fatalf("%q, %v", got.EWS(), err)
					}
					return
				}
				var search *SearchError
				if !errors.As(err, &search) || !strings.Contains(err.Error(), tt.reason) ||
					strings.Contains(err.Error(), "hunter2") {
					t.Fatalf("got %v", err)
				}
				for _, class := range []error{link.ErrAccess, link.ErrUntrusted, link.ErrUnreachable} {
					if errors.Is(err, class) != errors.Is(tt.class, class) {
						t.Errorf("%v: is it %v? %t", err, class, errors.Is(err, class))
					}
				}
			})
		}
	}
}

// errNone is a search error of no class of link.
var errNone = errors.New("none")

// TestRedirectCap has a server that always knows another address.
func TestRedirectCap(t *testing.T) {
	n := 0
	endless := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		n++
		writePOX(w, fmt.Sprintf(`<Account><Action>redirectAddr</Action><RedirectAddr>alice%d@contoso.com</RedirectAddr></Account>`, n))
	})
	w := world{secure: map[string]http.Handler{"contoso.com": endless}}
	got, err := w.client(t).Find(t.Context(), "alice@contoso.com")
	if err == nil || !strings.Contains(err.Error(), "redirected more than 10 times") || len(got.Trace) != 11 {
		t.Errorf("%d steps, %v", len(got.Trace), err)
	}
}

func TestCancelled(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	w := world{secure: map[string]http.Handler{"contoso.com": http.HandlerFunc(func(http.ResponseWriter,
		*http.Request) {
		cancel()
		time.Sleep(10 * time.Millisecond)
	})}}
	_, err := w.client(t).Find(ctx, "alice@contoso.com")
	if !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

func TestUntrusted(t *testing.T) {
	s := httptest.NewUnstartedServer(answers(200, nil, ""))
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	s.StartTLS()
	t.Cleanup(s.Close)
	l, err := link.New(link.Options{ConnectTo: []string{":443=" + s.Listener.Addr().String(), ":80=127.0.0.1:1"}})
	if err != nil {
		t.Fatal(err)
	}
	c := &Client{HTTP: l.Client(nil), Anonymous: l.Client(nil)}
	if _, err := c.Find(t.Context(), "alice@contoso.com"); !errors.Is(err, link.ErrUntrusted) {
		t.Errorf("got %v", err)
	}
	for _, bad := range []string{"", "alice", "@contoso.com", "alice@", "alice@con toso.com", "alice@evil/.com"} {
		if got, err := c.Find(t.Context(), bad); err == nil || len(got.Trace) != 0 {
			t.Errorf("%q: %v, %v", bad, err, got.Trace)
		}
	}
}

// TestBothHalves asks for everything that the server half publishes.
func TestBothHalves(t *testing.T) {
	w := world{secure: map[string]http.Handler{"contoso.com": here(people{
		"alice@contoso.com": aliceSettings, "moved@contoso.com": toAddress("x@tenant.example"),
		"broken@contoso.com": errors.New("password=hunter2"),
	})}}
	c := w.client(t)
	const xml, svc = "https://contoso.com/autodiscover/autodiscover.xml",
		"https://contoso.com/AUTODISCOVER/Autodiscover.SVC"
	got, err := c.FindAt(t.Context(), xml, "alice@contoso.com")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(aliceSettings, got.Settings); diff != "" {
		t.Error("POX", diff)
	}
	got, err = c.FindAt(t.Context(), svc, "alice@contoso.com")
	if err != nil {
		t.Fatal(err)
	}
	want := aliceSettings
	want.ExternalAuth, want.Version = "", "15.02.1544.009"
	got.Settings.Values = nil
	if diff := cmp.Diff(want, got.Settings); diff != "" {
		t.Error("SOAP", diff)
	}
	if _, err := c.UserSettings(t.Context(), svc, "broken@contoso.com", "ExternalEwsUrl"); err == nil ||
		!strings.Contains(err.Error(), "InternalServerError") || strings.Contains(err.Error(), "hunter2") {
		t.Errorf("broken: %v", err)
	}
	domain, err := c.DomainSettings(t.Context(), svc, "contoso.com", "ExternalEwsUrl", "ExternalEwsVersion")
	if diff := cmp.Diff(map[string]string{"ExternalEwsUrl": "https://mail.contoso.com/EWS/Exchange.asmx"},
		domain); diff != "" || err != nil {
		t.Error(diff, err)
	}
	var code *CodeError
	if _, err := c.DomainSettings(t.Context(), svc, "other.example", "ExternalEwsUrl"); !errors.As(err, &code) ||
		code.Code != InvalidDomain || code.Message != "not here" {
		t.Errorf("other domain: %v", err)
	}
	if _, err := c.UserSettings(t.Context(), svc, "alice@contoso.com"); !errors.As(err, &code) ||
		code.Code != InvalidRequest {
		t.Errorf("no settings: %v", err)
	}
	federation, err := c.FederationInformation(t.Context(), svc, "contoso.com")
	if diff := cmp.Diff(Federation{"contoso.com", []string{"https://login.example/x"},
		[]string{"contoso.com", "a&b.example"}}, federation); diff != "" || err != nil {
		t.Error(diff, err)
	}
	if _, err := c.FederationInformation(t.Context(), svc, "other.example"); !errors.As(err, &code) ||
		code.Code != NotFederated {
		t.Errorf("not federated: %v", err)
	}
	v2, err := c.V2(t.Context(), "contoso.com", "alice@contoso.com", "EWS")
	if err != nil || v2 != aliceSettings.ExternalEWS {
		t.Errorf("V2: %q, %v", v2, err)
	}
	var v2err *V2Error
	for address, want := range map[string]string{"nobody@contoso.com": "UserNotFound", "alice": "InvalidUserId"} {
		if _, err := c.V2(t.Context(), "contoso.com", address, "EWS"); !errors.As(err, &v2err) ||
			v2err.ErrorCode != want {
			t.Errorf("V2 of %s: %v", address, err)
		}
	}
	if _, err := c.V2(t.Context(), "contoso.com", "alice@contoso.com", "Gopher"); !errors.As(err, &v2err) ||
		v2err.ErrorCode != "InvalidProtocol" {
		t.Errorf("V2 by another protocol: %v", err)
	}
	anonymous := &Client{HTTP: c.Anonymous, Anonymous: c.Anonymous}
	if _, err := anonymous.FindAt(t.Context(), svc, "alice@contoso.com"); !errors.Is(err, link.ErrAccess) {
		t.Errorf("anonymous user settings: %v", err)
	}
}

// TestProbes are what clients look at before they ask.
func TestProbes(t *testing.T) {
	h := here(people{})
	for _, tt := range []struct {
		method, path string
		status       int
		soap         string
	}{
		{"GET", "/autodiscover/autodiscover.xml", 401, "True"},
		{"HEAD", "/Autodiscover/Autodiscover.XML", 401, "True"},
		{"HEAD", "/autodiscover/autodiscover.svc", 401, "True"},
		{"POST", "/autodiscover/autodiscover.svc", 401, "True"},
		{"GET", "/autodiscover/autodiscover.json/v1.0/a@b?Protocol=EWS", 404, "True"},
		{"PUT", "/autodiscover/autodiscover.json", 405, "True"},
		{"GET", "/autodiscover/other", 401, ""},
	} {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest(tt.method, tt.path, nil))
		if w.Code != tt.status || w.Header().Get("X-SOAP-Enabled") != tt.soap {
			t.Errorf("%s %s: %d, X-SOAP-Enabled %q", tt.method, tt.path, w.Code, w.Header().Get("X-SOAP-Enabled"))
		}
	}
	r := Redirect("https://mail/autodiscover/autodiscover.xml")
	for path, want := range map[string]int{"/autodiscover/autodiscover.xml": 302, "/": 404,
		"/autodiscover/autodiscover.svc": 404} {
		w := httptest.NewRecorder()
		r.ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, nil))
		if w.Code != want {
			t.Errorf("http %s: %d", path, w.Code)
		}
	}
}

// TestHeaders: the action names the operation and the version is sent, or there is no answer.
func TestHeaders(t *testing.T) {
	h := &Handler{Backend: people{"alice@contoso.com": aliceSettings}}
	good := soapRequest("https://x/", "GetUserSettings",
		`<a:Users><a:User><a:Mailbox>alice@contoso.com</a:Mailbox></a:User></a:Users>`+settingsList(defaultSettings))
	for _, tt := range []struct {
		name, old, new string
		status         int
		says           string
	}{
		{"as it is", "", "", 200, "https://mail.contoso.com/EWS/Exchange.asmx"},
		{"another action", "Autodiscover/GetUserSettings<", "Autodiscover/GetDomainSettings<", 500,
			"ActionNotSupported"},
		{"no action", "wsa:Action", "wsa:Other", 500, "ActionNotSupported"},
		{"an unknown operation", "GetUserSettings", "GetUser", 500, "ActionNotSupported"},
		{"no version", "RequestedServerVersion", "Other", 200, "<ErrorCode>InvalidRequest</ErrorCode>"},
	} {
		body := strings.ReplaceAll(good, tt.old, tt.new)
		if tt.old == "" {
			body = good
		}
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest(http.MethodPost, "/autodiscover/autodiscover.svc", strings.NewReader(body)))
		if w.Code != tt.status || !strings.Contains(w.Body.String(), tt.says) {
			t.Errorf("%s: %d %s", tt.name, w.Code, w.Body)
		}
	}
}

// TestPOXAnswers reads documents as various servers send them.
func TestPOXAnswers(t *testing.T) {
	account := func(s string) string {
		return `<Autodiscover><Response><Account>` + s + `</Account></Response></Autodiscover>`
	}
	for _, tt := range []struct {
		name, body, target, ews string
		outcome                 Outcome
	}{
		{"EXPR first", account(`<Protocol><Type>EXCH</Type><EwsUrl>https://in/</EwsUrl></Protocol><Protocol><Type>EXPR</Type><EwsUrl>https://out/</EwsUrl></Protocol>`), "", "https://out/", Found},
		{"ASUrl", account(`<Protocol><Type>EXPR</Type><ASUrl>https://out/</ASUrl></Protocol>`), "", "https://out/",
			Found},
		{"inside alone", account(`<Protocol Type="EXCH"><EwsUrl>https://in/</EwsUrl></Protocol>`), "", "https://in/",
			Found},
		{"RedirectURL", account(`<Action>redirectUrl</Action><RedirectURL>https://x/</RedirectURL>`), "https://x/", "",
			RedirectURL},
		{"RedirectUrl without action", account(`<RedirectUrl>https://x/</RedirectUrl>`), "https://x/", "", RedirectURL},
		{"RedirectAddr", account(`<Action>redirectAddr</Action><RedirectAddr>a@b</RedirectAddr>`), "a@b", "",
			RedirectAddress},
		{"error 500", `<Autodiscover><Response><Error><ErrorCode>500</ErrorCode></Error></Response></Autodiscover>`, "",
			"", NoSuchMailbox},
		{"error 600", `<Autodiscover><Response><Error><ErrorCode>600</ErrorCode><Message>Invalid Request</Message></Error></Response></Autodiscover>`, "", "", ServerError},
		{"no account", `<Autodiscover><Response/></Autodiscover>`, "", "", NotAutodiscover},
		{"another document", `<feed/>`, "", "", NotAutodiscover},
		{"DTD", `<!DOCTYPE x>` + account(""), "", "", NotAutodiscover},
	} {
		got := parsePOX([]byte(tt.body))
		if got.attempt.Outcome != tt.outcome || got.target != tt.target || got.settings.EWS() != tt.ews {
			t.Errorf("%s: %s, target %q, EWS %q", tt.name, got.attempt.Outcome, got.target, got.settings.EWS())
		}
	}
}

func TestVersion(t *testing.T) {
	for hex, want := range map[string]string{"73C28608": "15.2.1544", "73C0834F": "15.0.847", "": "", "x": ""} {
		if got := decodeVersion(hex); got != want {
			t.Errorf("%s: %s, want %s", hex, got, want)
		}
	}
	if got := encodeVersion(15, 2, 1544); got != "73C28608" {
		t.Error(got)
	}
}

// TestOtherServer reads the answer of another implementation (gromox).
func TestOtherServer(t *testing.T) {
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(filepath.Join(dir, "..", "..", "..", "..", "shared", "fixtures", "ews-captures",
		"gromox-resp-pox.txt"))
	if err != nil {
		t.Skipf("the recordings are not here: %v", err)
	}
	_, body, _ := strings.Cut(strings.ReplaceAll(string(data), "\r\n", "\n"), "\n\n")
	got := parsePOX([]byte(body))
	want := Settings{
		Address: "alice@fabrikam.test", DisplayName: "alice Fabrikam",
		LegacyDN: "/o=Gromox default/ou=Exchange Administrative Group " +
			"(FYDIBOHF23SPDLT)/cn=Recipients/cn=0100000001000000-alice",
		Server: "616c6963-6540-6661-6272-696b01000000@fabrikam.test", Version: "15.0.847",
		ServerDN: "/o=Gromox default/ou=Exchange Administrative Group " +
			"(FYDIBOHF23SPDLT)/cn=Configuration/cn=Servers/cn=616c6963-6540-6661-6272-696b01000000@fabrikam.test",
		ExternalEWS:  "https://mail.fabrikam.test/EWS/Exchange.asmx",
		InternalEWS:  "https://mail.fabrikam.test/EWS/Exchange.asmx",
		ExternalAuth: "basic", OAB: "https://mail.fabrikam.test/OAB/", ECP: "https://mail.fabrikam.test/EWS/",
	}
	if diff := cmp.Diff(want, got.settings); diff != "" || got.attempt.Outcome != Found {
		t.Error(got.attempt.Outcome, diff)
	}
}

func FuzzPOX(f *testing.F) {
	f.Add([]byte(`<Autodiscover><Response><Account><Action>redirectAddr</Action><RedirectAddr>a@b</RedirectAddr></Account></Response></Autodiscover>`))
	f.Add([]byte(`<Autodiscover><Response><Error><ErrorCode>500</ErrorCode></Error></Response></Autodiscover>`))
	w := httptest.NewRecorder()
	(&Handler{Backend: people{"alice@contoso.com": aliceSettings}}).pox(w,
		httptest.NewRequest(http.MethodPost, "/", strings.NewReader(poxRequest("alice@contoso.com"))))
	f.Add(w.Body.Bytes())
	f.Fuzz(func(t *testing.T, b []byte) {
		a := parsePOX(b)
		if strings.ContainsAny(a.attempt.Detail+a.settings.EWS()+a.settings.Server, "\x1b\n\x00") {
			t.Fatalf("control characters came through: %+v", a)
		}
	})
}

func FuzzHandler(f *testing.F) {
	h := &Handler{Backend: people{"alice@contoso.com": aliceSettings}}
	f.Add("/autodiscover/autodiscover.xml", poxRequest("alice@contoso.com"))
	f.Add("/autodiscover/autodiscover.svc",
		soapRequest("https://x/", "GetUserSettings",
			`<a:Users><a:User><a:Mailbox>alice@contoso.com</a:Mailbox></a:User></a:Users>`+
				settingsList(defaultSettings)))
	f.Add("/autodiscover/autodiscover.svc",
		soapRequest("https://x/", "GetDomainSettings",
			`<a:Domains><a:Domain>contoso.com</a:Domain></a:Domains>`+settingsList([]string{"ExternalEwsUrl"})))
	f.Add("/autodiscover/autodiscover.svc",
		soapRequest("https://x/", "GetFederationInformation", `<a:Domain>contoso.com</a:Domain>`))
	f.Fuzz(func(t *testing.T, path, body string) {
		r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(body))
		r.URL = &url.URL{Path: path}
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if w.Code >= 502 {
			t.Fatalf("HTTP %d", w.Code)
		}
	})
}

// A server that redirects without end is abandoned.
func TestV2RedirectsEnd(t *testing.T) {
	asked := 0
	w := &world{secure: map[string]http.Handler{"contoso.com": http.HandlerFunc(func(w http.ResponseWriter,
		r *http.Request) {
		if asked++; asked > 3*MaxRedirects {
			w.WriteHeader(http.StatusTeapot)
			return
		}
		http.Redirect(w, r, fmt.Sprintf("https://contoso.com/autodiscover/autodiscover.json/v1.0/alice@contoso.com?n=%d", asked), http.StatusFound)
	})}}
	if _, err := w.client(t).V2(t.Context(), "contoso.com", "alice@contoso.com", "EWS"); err == nil ||
		!strings.Contains(err.Error(), "redirected more than") {
		t.Errorf("after %d requests: %v", asked, err)
	}
}

// Outlook follows 301, 302, 303 and 307 from plain http; so does this package, and no other status.
func TestPlainRedirects(t *testing.T) {
	for status, want := range map[int]Outcome{301: RedirectURL, 302: RedirectURL, 303: RedirectURL, 307: RedirectURL,
		308: NotFound, 200: NotFound} {
		w := &world{plain: map[string]http.Handler{"autodiscover.contoso.com": answers(status,
			map[string]string{"Location": "https://contoso.com/autodiscover/autodiscover.xml"}, "")}}
		attempt, target := w.client(t).getRedirect(t.Context(),
			"http://autodiscover.contoso.com/autodiscover/autodiscover.xml")
		if attempt.Outcome != want || (target != "") != (want == RedirectURL) {
			t.Errorf("%d: %s to %q", status, attempt.Outcome, target)
		}
	}
}
