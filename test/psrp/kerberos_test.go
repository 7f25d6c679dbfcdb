package psrp_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/hybridge-cli/hybridge/pkg/config/secret"
	"github.com/hybridge-cli/hybridge/pkg/wire/kerberos"
	"github.com/hybridge-cli/hybridge/pkg/wire/link"
	"github.com/hybridge-cli/hybridge/pkg/wire/psrp"
	"github.com/hybridge-cli/hybridge/test/peer"
)

// exchange is our server, with cmdlets that return what was transmitted. endless signals that
// Get-Endless runs.
func exchange() (server *psrp.Server, endless chan struct{}) {
	endless = make(chan struct{}, 1)
	return &psrp.Server{
		Name: "EX1", MaxPoll: 200 * time.Millisecond, AllowUnencrypted: true,
		Authenticate: func(_ context.Context, user, pw string) error {
			if user != "front" || pw != "front" {
				return errors.New("no")
			}
			return nil
		},
		Run: func(ctx context.Context, c psrp.Caller, p psrp.Pipeline, w *psrp.Writer) error {
			switch p.Commands[0].Name {
			case "Get-Caller":
				return w.Output(c.User)
			case "Get-Large":
				return w.Output(strings.Repeat("x", 1_000_000))
			case "Test-Secret":
				v, _ := p.Commands[0].Parameters[0].Value.(psrp.Credential)
				return w.Output(v.User + "/" + v.Password.Reveal())
			case "Get-Endless":
				endless <- struct{}{}
				<-ctx.Done()
				return ctx.Err()
			}
			return psrp.CommandNotFound(p.Commands[0].Name)
		},
	}, endless
}

// wiretap records the bytes of a listener's connections, and counts the connections.
type wiretap struct {
	net.Listener
	mu    sync.Mutex
	seen  bytes.Buffer
	conns int
}

type tapped struct {
	net.Conn
	tap *wiretap
}

func (w *wiretap) Accept() (net.Conn, error) {
	c, err := w.Listener.Accept()
	if err != nil {
		return nil, err
	}
	w.mu.Lock()
	w.conns++
	w.mu.Unlock()
	return &tapped{c, w}, nil
}

func (c *tapped) note(b []byte) {
	c.tap.mu.Lock()
	defer c.tap.mu.Unlock()
	c.tap.seen.Write(b)
}

func (c *tapped) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	c.note(b[:n])
	return n, err
}

func (c *tapped) Write(b []byte) (int, error) {
	c.note(b)
	return c.Conn.Write(b)
}

func (w *wiretap) text() (string, int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.seen.String(), w.conns
}

func start(t *testing.T, s *psrp.Server, withTLS bool) (*httptest.Server, *wiretap) {
	t.Helper()
	ts := httptest.NewUnstartedServer(s)
	tap := &wiretap{Listener: ts.Listener}
	ts.Listener = tap
	ts.Config.ConnContext = s.ConnContext
	if withTLS {
		ts.StartTLS()
	} else {
		ts.Start()
	}
	t.Cleanup(func() { s.Close(); ts.Close() })
	return ts, tap
}

func (k kdc) acceptor(t *testing.T) *kerberos.Acceptor {
	t.Helper()
	keys, err := os.ReadFile(k.Path("http.keytab"))
	if err != nil {
		t.Fatal(err)
	}
	a, err := kerberos.NewAcceptor(keys)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func (k kdc) client(t *testing.T, c kerberos.Config) *kerberos.Client {
	t.Helper()
	if c.Krb5Config == "" {
		c.Krb5Config = k.Conf
	}
	client, err := kerberos.New(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	return client
}

// address names the server by the name that its service is registered under.
func address(url string) string {
	return strings.Replace(url, "127.0.0.1", "localhost", 1) + "/PowerShell/"
}

// loopback dials 127.0.0.1 whatever localhost resolves to.
func loopback(ctx context.Context, network, addr string) (net.Conn, error) {
	_, port, _ := net.SplitHostPort(addr)
	return (&net.Dialer{}).DialContext(ctx, network, "127.0.0.1:"+port)
}

// session opens a pool and checks both directions.
func session(t *testing.T, o psrp.Options, caller string, endless <-chan struct{}) {
	t.Helper()
	o.Dial = loopback
	pool, err := psrp.Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	defer pool.Close(context.Background())
	run := func(name string, parameters ...psrp.Parameter) []any {
		t.Helper()
		out, err := pool.Invoke(t.Context(),
			psrp.Pipeline{Commands: []psrp.Command{{Name: name, Parameters: parameters}}})
		if err != nil {
			t.Fatal(err)
		}
		return out.Objects
	}
	if diff := cmp.Diff([]any{caller}, run("Get-Caller")); diff != "" {
		t.Errorf("caller: %s", diff)
	}
	if diff := cmp.Diff([]any{strings.Repeat("x", 1_000_000)}, run("Get-Large")); diff != "" {
		t.Error("a large answer was changed")
	}
	if diff := cmp.Diff([]any{`FABRIKAM\svc/hush-hush`},
		run("Test-Secret", psrp.Parameter{Name: "Credential",
			Value: psrp.Credential{User: `FABRIKAM\svc`, Password: secret.NewValue("hush-hush")}})); diff != "" {
		t.Error(diff)
	}
	var e *psrp.ErrorRecord
	if _, err := pool.Invoke(t.Context(), psrp.Pipeline{Commands: []psrp.Command{{Name: "Get-Nope"}}}); !errors.As(err,
		&e) || e.ID != "CommandNotFoundException" {
		t.Errorf("unknown cmdlet: %v", err)
	}
	// A cancel closes the connection: the next request must authenticate again automatically.
	polled := make(chan struct{})
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	go func() {
		defer close(polled)
		<-endless
		before := pool.Requests()
		for pool.Requests() == before { // until the answer to Command came and a poll is on its way
			time.Sleep(time.Millisecond)
		}
		cancel()
	}()
	if _, err := pool.Invoke(ctx, psrp.Pipeline{Commands: []psrp.Command{{Name: "Get-Endless"}}}); !errors.Is(err,
		context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	<-polled
	if diff := cmp.Diff([]any{caller}, run("Get-Caller")); diff != "" {
		t.Errorf("caller after a cancel: %s", diff)
	}
	if err := pool.Close(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestKerberos(t *testing.T) {
	for _, encryption := range []string{"aes256-cts-hmac-sha1-96", "aes128-cts-hmac-sha1-96",
		"aes256-cts-hmac-sha384-192", "aes128-cts-hmac-sha256-128"} {
		t.Run(encryption, func(t *testing.T) {
			k := startKDC(t, encryption)
			for _, user := range []struct {
				name, caller string
				config       kerberos.Config
			}{
				{"password", "admin@" + realm,
					kerberos.Config{User: "admin@contoso.lab", Password: secret.NewValue(password)}},
				{"keytab", "robot@" + realm, kerberos.Config{User: "robot", Keytab: k.Path("robot.keytab")}},
				{"ticket cache", "admin@" + realm,
					kerberos.Config{TicketCache: "FILE:" + k.TicketCache("admin", password)}},
			} {
				for _, withTLS := range []bool{false, true} {
					for _, scheme := range []string{"Kerberos", "Negotiate"} {
						if encryption != "aes256-cts-hmac-sha1-96" &&
							(user.name != "password" || withTLS || scheme != "Kerberos") {
							continue // the other types differ only in sealing
						}
						t.Run(fmt.Sprintf("%s TLS=%v %s", user.name, withTLS, scheme), func(t *testing.T) {
							s, endless := exchange()
							s.Kerberos = k.acceptor(t)
							ts, tap := start(t, s, withTLS)
							o := psrp.Options{URL: address(ts.URL), Kerberos: k.client(t, user.config), Scheme: scheme}
							if withTLS {
								o.TLS = ts.Client().Transport.(*http.Transport).TLSClientConfig.Clone()
								// the name in httptest's certificate
								o.TLS.ServerName = "example.com"
							}
							session(t, o, user.caller, endless)
							if n := s.Shells(); n != 0 {
								t.Errorf("%d shells left", n)
							}
							text, conns := tap.text()
							for _, leak := range []string{"Get-Caller", "Envelope", user.caller, "hush"} {
								if strings.Contains(text, leak) {
									t.Errorf("%q went over the wire in clear", leak)
								}
							}
							if conns > 2 { // one, and one more after the cancel, unless that hit between two requests
								t.Errorf("%d connections", conns)
							}
						})
					}
				}
			}
		})
	}
}

// TestKerberosAgainstGSSAPI puts MIT's GSS-API between our client and our server. Each must unseal
// the messages of the other.
func TestKerberosAgainstGSSAPI(t *testing.T) {
	python := ""
	for _, p := range []string{"/usr/bin/python3", "python3"} {
		if exec.Command(p, "-c", "import gssapi").Run() == nil {
			python = p
			break
		}
	}
	if python == "" {
		peer.Missing(t, "GSS-API for Python", "python3-gssapi")
	}
	for _, encryption := range []string{"aes256-cts-hmac-sha1-96", "aes256-cts-hmac-sha384-192"} {
		k := startKDC(t, encryption)
		for _, scheme := range []string{"Kerberos", "Negotiate"} {
			t.Run(encryption+" "+scheme, func(t *testing.T) {
				s, endless := exchange()
				ts, _ := start(t, s, false)
				cmd := exec.Command(python, "testdata/front.py", ts.URL+"/PowerShell/",
					"Basic "+base64.StdEncoding.EncodeToString([]byte("front:front")), scheme)
				cmd.Env = append(k.Environment(), "KRB5_KTNAME="+k.Path("http.keytab"))
				var log bytes.Buffer
				cmd.Stderr = &log
				out, err := cmd.StdoutPipe()
				if err != nil {
					t.Fatal(err)
				}
				if err := cmd.Start(); err != nil {
					t.Fatal(err)
				}
				stopped := false
				stop := func() {
					if !stopped {
						stopped = true
						cmd.Process.Kill()
						cmd.Wait()
					}
				}
				defer stop()
				line, err := bufio.NewReader(out).ReadString('\n')
				if err != nil {
					stop()
					t.Fatalf("front: %v %s", err, log.String())
				}
				url := "http://localhost:" + strings.TrimSpace(line) + "/PowerShell/?serializationLevel=Full"
				session(t, psrp.Options{URL: url,
					Kerberos: k.client(t, kerberos.Config{User: "admin", Password: secret.NewValue(password)}),
					Scheme:   scheme}, "front", endless)
				stop()
				if !strings.Contains(log.String(), "authenticated admin@"+realm) ||
					strings.Contains(log.String(), "Traceback") {
					t.Errorf("front: %s", log.String())
				}
			})
		}
	}
}

// TestKerberosFailures checks the messages that an admin reads.
func TestKerberosFailures(t *testing.T) {
	k := startKDC(t, "aes256-cts-hmac-sha1-96")
	s, _ := exchange()
	s.Kerberos = k.acceptor(t)
	ts, _ := start(t, s, false)
	k.Write("gone.conf", k.Config(peer.FreePort(t)))
	for _, test := range []struct {
		name   string
		config kerberos.Config
		spn    string
		is     error
		text   string
	}{
		{"wrong password", kerberos.Config{User: "admin", Password: secret.NewValue("secret-wrong")}, "",
			link.ErrAccess, "wrong user name or password"},
		{"unknown user", kerberos.Config{User: "nobody", Password: secret.NewValue("secret-wrong")}, "", link.ErrAccess,
			"does not know this user"},
		{"wrong keytab", kerberos.Config{User: "admin", Keytab: k.Path("robot.keytab")}, "", link.ErrAccess, "keytab"},
		{"unknown service", kerberos.Config{User: "admin", Password: secret.NewValue(password)},
			"HTTP/nowhere.contoso.lab", kerberos.ErrUnknownService, "HTTP/nowhere.contoso.lab"},
		{"no domain controller", kerberos.Config{User: "admin", Password: secret.NewValue(password),
			Krb5Config: k.Path("gone.conf")}, "", link.ErrUnreachable, "domain controller"},
	} {
		t.Run(test.name, func(t *testing.T) {
			pool, err := psrp.Open(t.Context(),
				psrp.Options{URL: address(ts.URL), Kerberos: k.client(t, test.config), SPN: test.spn, Dial: loopback})
			if err == nil {
				pool.Close(t.Context())
				t.Fatal("opened")
			}
			if !errors.Is(err, test.is) || !strings.Contains(err.Error(), test.text) ||
				strings.Contains(err.Error(), "secret-wrong") {
				t.Errorf("got %v", err)
			}
			t.Log(err)
		})
	}
	t.Run("ticket for another service", func(t *testing.T) {
		// The server cannot read it.
		k.Admin("addprinc", "-randkey", "HTTP/other")
		_, err := psrp.Open(t.Context(),
			psrp.Options{URL: address(ts.URL),
				Kerberos: k.client(t, kerberos.Config{User: "admin", Password: secret.NewValue(password)}),
				SPN:      "HTTP/other", Dial: loopback})
		if !errors.Is(err, link.ErrAccess) || !strings.Contains(err.Error(), "the server offers Kerberos") {
			t.Errorf("got %v", err)
		}
	})
	t.Run("replayed ticket and connection", func(t *testing.T) { replayed(t, k, ts) })
	t.Run("time limit", func(t *testing.T) {
		silent, err := net.Listen("tcp", "127.0.0.1:0") // a KDC that never answers
		if err != nil {
			t.Fatal(err)
		}
		defer silent.Close()
		k.Write("silent.conf", k.Config(silent.Addr().(*net.TCPAddr).Port))
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		client := k.client(t, kerberos.Config{User: "admin", Password: secret.NewValue(password),
			Krb5Config: k.Path("silent.conf")})
		if _, err := client.Context(ctx, "HTTP/localhost"); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v", err)
		}
	})
}

// replayed sends a recorded ticket again, and a message on a connection that was never
// authenticated.
func replayed(t *testing.T, k kdc, ts *httptest.Server) {
	c, err := k.client(t, kerberos.Config{User: "admin", Password: secret.NewValue(password)}).Context(t.Context(),
		"HTTP/localhost")
	if err != nil {
		t.Fatal(err)
	}
	token, _, err := c.Step(nil)
	if err != nil {
		t.Fatal(err)
	}
	post := func(client *http.Client, authorization, body string) *http.Response {
		t.Helper()
		r, _ := http.NewRequest("POST", ts.URL, strings.NewReader(body))
		if authorization != "" {
			r.Header.Set("Authorization", authorization)
		}
		resp, err := client.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
		return resp
	}
	fresh := func() *http.Client { return &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{}}} }
	authorization := "Kerberos " + base64.StdEncoding.EncodeToString(token)
	mine := fresh()
	resp := post(mine, authorization, "")
	if resp.StatusCode != 200 {
		t.Fatalf("first use: %d", resp.StatusCode)
	}
	if resp := post(mine, "", "<clear/>"); resp.StatusCode != 500 {
		t.Errorf("unencrypted message: %d", resp.StatusCode)
	}
	if resp := post(fresh(), "", "<clear/>"); resp.StatusCode != 401 {
		t.Errorf("another connection: %d", resp.StatusCode)
	}
	if resp := post(fresh(), authorization, ""); resp.StatusCode != 401 {
		t.Errorf("second use: %d", resp.StatusCode)
	}
}
