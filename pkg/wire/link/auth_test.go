package link

import (
	"bytes"
	"context"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/Azure/go-ntlmssp"

	"github.com/hybridge-cli/hybridge/pkg/config/secret"
	"github.com/hybridge-cli/hybridge/pkg/wire/link/ntlm"
)

func discardLog() *log.Logger { return log.New(io.Discard, "", 0) }

// who answers with the caller and the length of the body.
func who(w http.ResponseWriter, r *http.Request) {
	caller, _ := CallerOf(r.Context())
	body, _ := io.ReadAll(r.Body)
	fmt.Fprintf(w, "%s %s %d", caller.Scheme, caller.User, len(body))
}

type guarded struct {
	link     *Link
	url      string
	requests []string // Authorization schemes seen
	mu       sync.Mutex
}

// guardedServer serves who behind a, for alice and bob.
func guardedServer(t *testing.T, a *Accept) *guarded {
	t.Helper()
	g := &guarded{url: "https://mail.contoso.com/EWS/Exchange.asmx"}
	ca := newAuthority(t)
	cert := ca.issue(t, time.Now().Add(time.Hour), "mail.contoso.com")
	if a.Password == nil {
		passwords := map[string]string{`CONTOSO\alice`: "Passw0rd!", "alice@contoso.com": "Passw0rd!",
			`CONTOSO\bob`: "Hunter2!", "jürgen@contoso.com": "pässwört"}
		a.Password = func(user string) (string, bool) { p, ok := passwords[user]; return p, ok }
	}
	a.Certificate = func(*http.Request) *x509.Certificate { return cert.Leaf }
	a.Names.Domain, a.Names.Computer, a.Names.DNSDomain, a.Names.DNSComputer = "CONTOSO", "EX1", "contoso.com",
		"ex1.contoso.com"
	accept := a.Handler(http.HandlerFunc(who))
	address := serve(t, cert, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		scheme, _, _ := strings.Cut(r.Header.Get("Authorization"), " ")
		g.mu.Lock()
		g.requests = append(g.requests, scheme)
		g.mu.Unlock()
		accept.ServeHTTP(w, r)
	}))
	g.link = newLink(t, Options{CAFile: ca.file, ConnectTo: []string{":443=" + address}})
	return g
}

func (g *guarded) post(t *testing.T, c *http.Client, body string) string {
	t.Helper()
	resp, err := c.Post(g.url, "text/xml", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("%d %s", resp.StatusCode, text)
}

func TestBasic(t *testing.T) {
	g := guardedServer(t, &Accept{Basic: true, Realm: "mail"})
	if got := g.post(t, g.link.Client(Basic{"alice@contoso.com", secret.NewValue("Passw0rd!")}),
		"12345"); got != "200 Basic alice@contoso.com 5" {
		t.Error(got)
	}
	if got := g.post(t, g.link.Client(Basic{"alice@contoso.com", secret.NewValue("wrong")}), "12345"); got != "401 " {
		t.Error(got)
	}
	if got := g.post(t, g.link.Client(Basic{"nobody", secret.NewValue("")}), "12345"); got != "401 " {
		t.Error(got)
	}
}

func TestNTLM(t *testing.T) {
	g := guardedServer(t, &Accept{NTLM: true})
	alice := g.link.Client(NTLM{`CONTOSO\alice`, secret.NewValue("Passw0rd!")})
	for range 2 {
		if got := g.post(t, alice, strings.Repeat("x", 100_000)); got != `200 NTLM CONTOSO\alice 100000` {
			t.Fatal(got)
		}
	}
	// the second request rides on the authenticated connection
	if got, want := strings.Join(g.requests, ","), ",NTLM,NTLM,"; got != want {
		t.Errorf("requests %q, want %q", got, want)
	}
	if got := g.post(t, g.link.Client(NTLM{`CONTOSO\alice`, secret.NewValue("wrong")}), "x"); got != "401 " {
		t.Errorf("wrong password: %s", got)
	}
	if got := g.post(t, g.link.Client(NTLM{"jürgen@contoso.com", secret.NewValue("pässwört")}),
		"x"); got != "200 NTLM jürgen@contoso.com 1" {
		t.Errorf("user principal name: %s", got)
	}
	if got := g.post(t, g.link.Client(nil), "x"); got != "401 " {
		t.Errorf("anonymous: %s", got)
	}
}

// TestNTLMInParallel has each request finish its handshake on its own connection.
func TestNTLMInParallel(t *testing.T) {
	g := guardedServer(t, &Accept{NTLM: true})
	alice := g.link.Client(NTLM{`CONTOSO\alice`, secret.NewValue("Passw0rd!")})
	var wait sync.WaitGroup
	for i := range 20 {
		wait.Go(func() {
			if got, want := g.post(t, alice, strings.Repeat("x", i)), fmt.Sprintf(`200 NTLM CONTOSO\alice %d`,
				i); got != want {
				t.Errorf("got %s, want %s", got, want)
			}
		})
	}
	wait.Wait()
	alice.CloseIdleConnections()
}

func TestNTLMWithoutOffer(t *testing.T) {
	g := guardedServer(t, &Accept{Basic: true, Realm: "r"})
	_, err := g.link.Client(NTLM{"alice", secret.NewValue("x")}).Get(g.url)
	if !errors.Is(err, ErrAccess) || !strings.Contains(err.Error(), "does not offer NTLM, it offers Basic") {
		t.Error(err)
	}
}

// TestNTLMInNegotiate: Windows servers that offer Negotiate alone take a bare NTLM message for it.
func TestNTLMInNegotiate(t *testing.T) {
	g := guardedServer(t, &Accept{NTLM: true})
	client := g.link.Client(onlyNegotiate{NTLM{`CONTOSO\alice`, secret.NewValue("Passw0rd!")}})
	if got := g.post(t, client, "x"); got != `200 NTLM CONTOSO\alice 1` {
		t.Error(got)
	}
}

type onlyNegotiate struct{ NTLM }

func (n onlyNegotiate) Wrap(base *http.Transport) http.RoundTripper {
	rt, _ := n.NTLM.Wrap(base).(*lanes)
	rt.schemes = []string{"Negotiate"}
	return rt
}

// TestExtendedProtection: the server insists on channel bindings; go-ntlmssp, which sends none, is
// refused, and so are bindings of another certificate.
func TestExtendedProtection(t *testing.T) {
	g := guardedServer(t, &Accept{NTLM: true, Names: ntlm.Server{Protection: ntlm.ProtectionRequire}})
	if got := g.post(t, g.link.Client(NTLM{`CONTOSO\alice`, secret.NewValue("Passw0rd!")}),
		"x"); got != `200 NTLM CONTOSO\alice 1` {
		t.Error(got)
	}
	if got := g.foreign(t, `CONTOSO\alice`, "Passw0rd!"); got != 401 {
		t.Errorf("without channel bindings: %d", got)
	}
	var refused []error
	stolen := &Accept{NTLM: true, Names: ntlm.Server{Protection: ntlm.ProtectionAllow},
		Refused: func(_ *http.Request, err error) { refused = append(refused, err) }}
	g = guardedServer(t, stolen)
	other := newAuthority(t).cert
	stolen.Certificate = func(*http.Request) *x509.Certificate { return other }
	if got := g.post(t, g.link.Client(NTLM{`CONTOSO\alice`, secret.NewValue("Passw0rd!")}), "x"); got != "401 " {
		t.Errorf("relayed from another TLS connection: %s", got)
	}
	if len(refused) != 1 || !errors.Is(refused[0], ntlm.ErrChannelBinding) {
		t.Errorf("refused for %v", refused)
	}
	if got := g.foreign(t, `CONTOSO\alice`, "Passw0rd!"); got != 200 {
		t.Errorf("a client without bindings where they are not required: %d", got)
	}
}

// foreign authenticates with another implementation's client.
func (g *guarded) foreign(t *testing.T, user, password string) int {
	t.Helper()
	client := &http.Client{Transport: ntlmssp.Negotiator{RoundTripper: g.link.transport()}}
	r, err := http.NewRequestWithContext(context.Background(), http.MethodPost, g.url, bytes.NewReader([]byte("x")))
	if err != nil {
		t.Fatal(err)
	}
	r.SetBasicAuth(user, password)
	resp, err := client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	return resp.StatusCode
}

func TestForeignNTLMClient(t *testing.T) {
	g := guardedServer(t, &Accept{NTLM: true})
	if got := g.foreign(t, `CONTOSO\alice`, "Passw0rd!"); got != 200 {
		t.Errorf("right password: %d", got)
	}
	if got := g.foreign(t, `CONTOSO\alice`, "wrong"); got != 401 {
		t.Errorf("wrong password: %d", got)
	}
}

// TestConnectionIsVerifiedAnew: on a connection that alice authenticated, another credential must
// prove itself.
func TestConnectionIsVerifiedAnew(t *testing.T) {
	g := guardedServer(t, &Accept{NTLM: true, Basic: true})
	transport := g.link.transport()
	transport.MaxConnsPerHost = 1
	round := func(header string) (*http.Response, []byte) {
		r, err := http.NewRequestWithContext(context.Background(), http.MethodPost, g.url, strings.NewReader("x"))
		if err != nil {
			t.Fatal(err)
		}
		if header != "" {
			r.Header.Set("Authorization", header)
		}
		resp, err := transport.RoundTrip(r)
		if err != nil {
			t.Fatal(err)
		}
		token, _ := answerToken(resp.Header, "NTLM")
		drain(resp)
		return resp, token
	}
	send := func(password string, user string) int {
		domain, name := ntlm.SplitUser(user)
		c := &ntlm.Client{Domain: domain, User: name, Hash: ntlm.HashOf(password)}
		_, challenge := round("NTLM " + b64(c.Negotiate()))
		answer, err := c.Authenticate(challenge)
		if err != nil {
			t.Fatal(err)
		}
		resp, _ := round("NTLM " + b64(answer))
		return resp.StatusCode
	}
	plain := func(header string) int {
		resp, _ := round(header)
		return resp.StatusCode
	}
	if got := send("Passw0rd!", `CONTOSO\alice`); got != 200 {
		t.Fatalf("alice: %d", got)
	}
	if got := plain(""); got != 200 {
		t.Errorf("alice's connection: %d", got)
	}
	if got := plain("Basic " + b64([]byte(`CONTOSO\bob:wrong`))); got != 401 {
		t.Errorf("Basic with a wrong password on alice's connection: %d", got)
	}
	if got := plain("Nonsense x"); got != 401 {
		t.Errorf("an unknown scheme on alice's connection: %d", got)
	}
	if got := send("wrong", `CONTOSO\bob`); got != 401 {
		t.Errorf("bob with a wrong password on alice's connection: %d", got)
	}
	if got := plain(""); got != 401 {
		t.Errorf("after bob failed the connection is nobody's: %d", got)
	}
}

// proof is a GSS-API exchange of two legs, with a server that proves its identity.
type proof struct{}

func (p *proof) Step(in []byte) ([]byte, bool, error) {
	switch string(in) {
	case "":
		return []byte("ticket for the server"), false, nil
	case "server's proof":
		return nil, true, nil
	}
	return nil, false, fmt.Errorf("%w: another server", ErrUntrusted)
}

type acceptProof struct{ reply string }

func (a acceptProof) Accept(in []byte) ([]byte, string, error) {
	if string(in) != "ticket for the server" {
		return nil, "", errors.New("no ticket")
	}
	return []byte(a.reply), "alice@CONTOSO.COM", nil
}

func TestNegotiate(t *testing.T) {
	for _, tt := range []struct {
		reply string
		class error
	}{{"server's proof", nil}, {"a lie", ErrUntrusted}} {
		g := guardedServer(t, &Accept{Negotiate: func() Acceptor { return acceptProof{tt.reply} }})
		var asked string
		client := g.link.Client(Negotiate{func(_ context.Context, spn string) (SecurityContext,
			error) {
			asked = spn
			return &proof{}, nil
		}})
		resp, err := client.Post(g.url, "text/xml", strings.NewReader("12345"))
		if asked != "HTTP/mail.contoso.com" {
			t.Errorf("asked for %q", asked)
		}
		if tt.class != nil {
			if !errors.Is(err, tt.class) {
				t.Errorf("%q: %v", tt.reply, err)
			}
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		if string(body) != "Negotiate alice@CONTOSO.COM 5" {
			t.Errorf("%s", body)
		}
	}
}

// TestNegotiateOverPlainHTTP: without TLS the server's proof is the only one.
func TestNegotiateOverPlainHTTP(t *testing.T) {
	for reply, class := range map[string]error{"server's proof": nil, "": ErrUntrusted} {
		a := &Accept{Negotiate: func() Acceptor { return acceptProof{reply} }}
		s := httptest.NewUnstartedServer(a.Handler(http.HandlerFunc(who)))
		s.Config.ConnContext = ConnContext
		s.Start()
		t.Cleanup(s.Close)
		client := newLink(t, Options{}).Client(Negotiate{func(context.Context, string) (SecurityContext,
			error) {
			return &proof{}, nil
		}})
		_, err := get(t, client, s.URL)
		if class == nil && err != nil || class != nil && !errors.Is(err, class) {
			t.Errorf("proof %q: %v", reply, err)
		}
	}
}

func TestBearer(t *testing.T) {
	a := &Accept{
		Bearer: func(_ context.Context, token string) (string, any, error) {
			if token != "good" {
				return "", nil, errors.New("bad token")
			}
			return "app", "claims", nil
		},
		Offers: func(*http.Request) []string { return []string{`Bearer client_id="x"`} },
	}
	g := guardedServer(t, a)
	token := func(s string) Bearer { return Bearer{func(context.Context) (string, error) { return s, nil }} }
	if got := g.post(t, g.link.Client(token("good")), "x"); got != "200 Bearer app 1" {
		t.Error(got)
	}
	for _, bad := range []string{"bad", ""} {
		if got := g.post(t, g.link.Client(token(bad)), "x"); got != "401 " {
			t.Errorf("%q: %s", bad, got)
		}
	}
	failing := g.link.Client(Bearer{func(context.Context) (string, error) {
		return "",
			fmt.Errorf("%w: AADSTS700027", ErrAccess)
	}})
	if _, err := get(t, failing, g.url); !errors.Is(err, ErrAccess) || !strings.Contains(err.Error(), "AADSTS700027") {
		t.Error(err)
	}
}

func b64(b []byte) string { return base64.StdEncoding.EncodeToString(b) }

// A client with a wrong password does not continue as anonymous.
func TestRefusedIsNotAnonymous(t *testing.T) {
	g := guardedServer(t, &Accept{Basic: true, Realm: "mail", Anonymous: func(*http.Request) bool { return true }})
	if got := g.post(t, g.link.Client(nil), "12345"); !strings.HasPrefix(got, "200 ") {
		t.Errorf("anonymous: %s", got)
	}
	if got := g.post(t, g.link.Client(Basic{"alice@contoso.com", secret.NewValue("wrong")}), "12345"); got != "401 " {
		t.Error(got)
	}
}

// A scheme that is not offered is not accepted either.
func TestBasicIsNotTakenUnoffered(t *testing.T) {
	g := guardedServer(t, &Accept{NTLM: true, Realm: "mail"})
	if got := g.post(t, g.link.Client(Basic{"alice@contoso.com", secret.NewValue("Passw0rd!")}),
		"12345"); got != "401 " {
		t.Error(got)
	}
}
