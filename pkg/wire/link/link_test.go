package link

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hybridge-cli/hybridge/pkg/config/secret"
)

// authority is a CA of a test.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	file string
}

func newAuthority(t testing.TB) *authority {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "Test CA"}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	return &authority{cert, key, file}
}

func (a *authority) issue(t testing.TB, until time.Time, names ...string) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: names[0]}, DNSNames: names,
		NotBefore: until.Add(-48 * time.Hour), NotAfter: until,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, &key.PublicKey, a.key)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}
}

// serve starts an https server and returns its address.
func serve(t testing.TB, cert tls.Certificate, h http.Handler) string {
	t.Helper()
	s := httptest.NewUnstartedServer(h)
	s.TLS = &tls.Config{Certificates: []tls.Certificate{cert}}
	s.Config.ConnContext = ConnContext
	s.Config.ErrorLog = nil
	s.Config.ErrorLog = discardLog()
	s.StartTLS()
	t.Cleanup(s.Close)
	return s.Listener.Addr().String()
}

func newLink(t testing.TB, o Options) *Link {
	t.Helper()
	if o.Timeout == 0 {
		o.Timeout = 10 * time.Second
	}
	l, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func ok(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "ok") }

func get(t testing.TB, c *http.Client, url string) (string, error) {
	t.Helper()
	resp, err := c.Get(url)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	return fmt.Sprintf("%d %s", resp.StatusCode, b), err
}

func TestParseRoute(t *testing.T) {
	for _, tt := range []struct {
		in   string
		want route
		bad  bool
	}{
		{in: "mail.contoso.com:443=10.0.0.4:8443", want: route{"mail.contoso.com", "443", "10.0.0.4", "8443"}},
		{in: "Mail.Contoso.com.:443=10.0.0.4:", want: route{"mail.contoso.com", "443", "10.0.0.4", ""}},
		{in: ":25=:2525", want: route{"", "25", "", "2525"}},
		{in: ":=127.0.0.1:", want: route{"", "", "127.0.0.1", ""}},
		{in: "[2001:db8::1]:443=[::1]:8443", want: route{"2001:db8::1", "443", "::1", "8443"}},
		{in: " a:1 = b:2 ", want: route{"a", "1", "b", "2"}},
		{in: "a:1", bad: true},
		{in: "a=b", bad: true},
		{in: "a:1=:", bad: true},
		{in: "a:99999=b:1", bad: true},
		{in: "a:0=b:1", bad: true},
		{in: "a:https=b:1", bad: true},
		{in: "2001:db8::1:443=b:1", bad: true},
		{in: "a b:1=c:1", bad: true},
		{in: "a:1=b:1=c:1", bad: true},
		{in: "", bad: true},
	} {
		got, err := parseRoute(tt.in)
		if (err != nil) != tt.bad {
			t.Errorf("parseRoute(%q): error %v, want one: %t", tt.in, err, tt.bad)
		} else if err == nil && got != tt.want {
			t.Errorf("parseRoute(%q) = %+v, want %+v", tt.in, got, tt.want)
		}
	}
}

func TestTarget(t *testing.T) {
	l := newLink(t, Options{ConnectTo: []string{"mail.contoso.com:443=127.0.0.1:8443", "mail.contoso.com:=127.0.0.2:",
		":25=:2525"}})
	for in, want := range map[string]string{
		"mail.contoso.com:443":  "127.0.0.1:8443",
		"MAIL.contoso.com.:443": "127.0.0.1:8443",
		"mail.contoso.com:80":   "127.0.0.2:80",
		"mx.contoso.com:25":     "mx.contoso.com:2525",
		"other:443":             "other:443",
	} {
		if got, _ := l.Target(in); got != want {
			t.Errorf("Target(%s) = %s, want %s", in, got, want)
		}
	}
}

func TestOptionsRefused(t *testing.T) {
	empty := filepath.Join(t.TempDir(), "empty.pem")
	if err := os.WriteFile(empty, []byte("no certificate"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, o := range map[string]Options{
		"no CA file":      {CAFile: empty + ".missing"},
		"empty CA file":   {CAFile: empty},
		"proxy scheme":    {Proxy: "socks5://user:hunter2@proxy:1080"},
		"proxy no URL":    {Proxy: "user:hunter2@proxy:3128"},
		"proxy bad":       {Proxy: "http://user:hun%zzter2@proxy"},
		"insecure any":    {InsecureHosts: []string{"*"}},
		"insecure nobody": {InsecureHosts: []string{""}},
	} {
		_, err := New(o)
		if err == nil {
			t.Errorf("%s: accepted", name)
		} else if strings.Contains(err.Error(), "hunter2") || strings.Contains(err.Error(), "ter2") {
			t.Errorf("%s: the error tells the password: %v", name, err)
		}
	}
}

// TestFailures reads the class and the sentence of everything that keeps a connection from being
// made.
func TestFailures(t *testing.T) {
	ca := newAuthority(t)
	handler := http.HandlerFunc(ok)
	good := serve(t, ca.issue(t, time.Now().Add(time.Hour), "mail.contoso.com"), handler)
	expired := serve(t, ca.issue(t, time.Now().Add(-time.Hour), "mail.contoso.com"), handler)
	plain := httptest.NewServer(handler)
	t.Cleanup(plain.Close)
	silent := listen(t, func(c net.Conn) { _, _ = io.Copy(io.Discard, c) })
	closing := listen(t, func(c net.Conn) { c.Close() })
	reserved, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	refused := reserved.Addr().String()
	reserved.Close()

	for _, tt := range []struct {
		name, url, to string
		trust         bool
		timeout       time.Duration
		class         error
		sentence      string
	}{
		{name: "fine", url: "https://mail.contoso.com/", to: good, trust: true},
		{name: "unknown authority", url: "https://mail.contoso.com/", to: good, class: ErrUntrusted,
			sentence: "authority that is not trusted here (issuer CN=Test CA)"},
		{name: "wrong name", url: "https://other.contoso.com/", to: good, trust: true, class: ErrUntrusted,
			sentence: "the certificate is not for other.contoso.com, it is for mail.contoso.com"},
		{name: "expired", url: "https://mail.contoso.com/", to: expired, trust: true, class: ErrUntrusted,
			sentence: "outside its validity"},
		{name: "no TLS", url: "https://mail.contoso.com/", to: plain.Listener.Addr().String(), class: ErrUnreachable,
			sentence: "does not speak TLS"},
		{name: "closed", url: "https://mail.contoso.com/", to: closing, class: ErrUnreachable,
			sentence: "closed the connection during the TLS handshake"},
		{name: "refused", url: "https://mail.contoso.com/", to: refused, class: ErrUnreachable,
			sentence: "connection refused"},
		{name: "silent", url: "https://mail.contoso.com/", to: silent, timeout: 200 * time.Millisecond,
			class: ErrUnreachable, sentence: "no TLS handshake within the time limit"},
		{name: "no such host", url: "https://missing.contoso.com/", class: ErrUnreachable,
			sentence: "look up A missing.contoso.com at 10.0.0.53:53: no such name"},
		{name: "server failure", url: "https://broken.contoso.com/", class: ErrUnreachable, sentence: "SERVFAIL"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			o := Options{LookupHost: failing, Timeout: tt.timeout}
			if tt.to != "" {
				o.ConnectTo = []string{":443=" + tt.to}
			}
			if tt.trust {
				o.CAFile = ca.file
			}
			_, err := get(t, newLink(t, o).Client(nil), tt.url)
			if tt.class == nil {
				if err != nil {
					t.Fatal(err)
				}
				return
			}
			if !errors.Is(err, tt.class) || !strings.Contains(fmt.Sprint(err), tt.sentence) {
				t.Fatalf("got %v, want the class %v and %q", err, tt.class, tt.sentence)
			}
			host := strings.TrimSuffix(strings.TrimPrefix(tt.url, "https://"), "/")
			if !strings.Contains(err.Error(), "connect to "+host+":443") {
				t.Errorf("%v does not name the place", err)
			}
			if at := new(HostError); errors.Is(tt.class, ErrUntrusted) && (!errors.As(err, &at) || at.Host != host) {
				t.Errorf("%v is told to be of the host %q", err, at.Host)
			}
			for _, other := range []error{ErrAccess, ErrUntrusted, ErrUnreachable} {
				if !errors.Is(tt.class, other) && errors.Is(err, other) {
					t.Errorf("%v is %v too", err, other)
				}
			}
		})
	}
}

// TestSelfSigned needs a certificate that is its own issuer.
func TestSelfSigned(t *testing.T) {
	s := httptest.NewTLSServer(http.HandlerFunc(ok))
	t.Cleanup(s.Close)
	s.Config.ErrorLog = discardLog()
	l := newLink(t, Options{InsecureHosts: []string{"Insecure.contoso.com."},
		ConnectTo: []string{":443=" + s.Listener.Addr().String()}})
	if _, err := get(t, l.Client(nil), "https://example.com/"); !errors.Is(err, ErrUntrusted) ||
		!strings.Contains(err.Error(), "self-signed") {
		t.Errorf("self-signed: %v", err)
	}
	if got, err := get(t, l.Client(nil), "https://insecure.contoso.com/"); err != nil || got != "200 ok" {
		t.Errorf("a host whose certificate is not to be verified: %q, %v", got, err)
	}
	if diff := cmp.Diff([]string{"insecure.contoso.com"}, l.Insecure()); diff != "" {
		t.Error(diff)
	}
}

func TestCancelledIsNotUnreachable(t *testing.T) {
	silent := listen(t, func(c net.Conn) { _, _ = io.Copy(io.Discard, c) })
	l := newLink(t, Options{})
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	_, err := l.DialTLS(ctx, silent, "mail.contoso.com")
	if !errors.Is(err, context.Canceled) || errors.Is(err, ErrUnreachable) {
		t.Errorf("got %v", err)
	}
}

// failing is a resolver that knows no host.
func failing(_ context.Context, host string) ([]string, error) {
	if strings.HasPrefix(host, "broken.") {
		return nil, errors.New("look up A " + host + " at 10.0.0.53:53: resolver could not answer: SERVFAIL")
	}
	return nil, errors.New("look up A " + host + " at 10.0.0.53:53: no such name")
}

// TestAddresses connects to the first of a host's addresses that answers.
func TestAddresses(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(ok))
	t.Cleanup(server.Close)
	there := port(t, server.Listener.Addr())
	for name, tt := range map[string]struct {
		addresses []string
		good      bool
	}{
		"one":                        {[]string{"127.0.0.1"}, true},
		"the second, after refusal":  {[]string{"127.0.0.9", "127.0.0.1"}, true},
		"the second, beside silence": {[]string{"198.51.100.1", "127.0.0.1"}, true},
		"none that listens":          {[]string{"127.0.0.8", "127.0.0.9"}, false},
		"none":                       {nil, false},
	} {
		t.Run(name, func(t *testing.T) {
			l := newLink(t, Options{Timeout: 2 * time.Second,
				LookupHost: func(context.Context, string) ([]string, error) { return tt.addresses, nil }})
			got, err := get(t, l.Client(nil), "http://there.contoso.com:"+there+"/")
			if tt.good != (err == nil && got == "200 ok") || err != nil && !errors.Is(err, ErrUnreachable) {
				t.Errorf("%q, %v", got, err)
			}
		})
	}
}

// TestDeadAddresses reports which of a host's addresses does not answer.
func TestDeadAddresses(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(ok))
	t.Cleanup(server.Close)
	there := port(t, server.Listener.Addr())
	for name, tt := range map[string]struct {
		addresses []string
		proxy     string
		dead      []string
		all       int
	}{
		"one of two":   {[]string{"127.0.0.1", "127.0.0.9"}, "", []string{"127.0.0.9"}, 2},
		"none of two":  {[]string{"127.0.0.1", "127.0.0.1"}, "", nil, 2},
		"one address":  {[]string{"127.0.0.9"}, "", nil, 1},
		"by the proxy": {[]string{"127.0.0.1", "127.0.0.9"}, "http://127.0.0.1:1", nil, 0},
	} {
		l := newLink(t, Options{Proxy: tt.proxy,
			LookupHost: func(context.Context, string) ([]string, error) { return tt.addresses, nil }})
		dead, all := l.DeadAddresses(t.Context(), "mail.contoso.example", there)
		var got []string
		for _, d := range dead {
			got = append(got, d.Address)
			if !errors.Is(d.Err, ErrUnreachable) {
				t.Errorf("%s: %v", name, d.Err)
			}
		}
		if strings.Join(got, " ") != strings.Join(tt.dead, " ") || all != tt.all {
			t.Errorf("%s: %v of %d", name, got, all)
		}
	}
}

func port(t *testing.T, a net.Addr) string {
	t.Helper()
	_, p, err := net.SplitHostPort(a.String())
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// listen runs a raw TCP server.
func listen(t *testing.T, serve func(net.Conn)) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() { defer c.Close(); serve(c) }()
		}
	}()
	return l.Addr().String()
}

func TestNoRedirectAndLimits(t *testing.T) {
	ca := newAuthority(t)
	address := serve(t, ca.issue(t, time.Now().Add(time.Hour), "mail.contoso.com"),
		http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/redirect" {
				http.Redirect(w, r, "/", http.StatusFound)
				return
			}
			fmt.Fprint(w, strings.Repeat("x", 1000))
		}))
	l := newLink(t, Options{CAFile: ca.file, ConnectTo: []string{":443=" + address}, MaxBody: 1000})
	if got, err := get(t, l.Client(nil), "https://mail.contoso.com/redirect"); err != nil ||
		!strings.HasPrefix(got, "302 ") {
		t.Errorf("redirect: %q, %v", got, err)
	}
	if got, err := get(t, l.Client(nil), "https://mail.contoso.com/"); err != nil || len(got) != 1004 {
		t.Errorf("a body of the longest length: %d bytes, %v", len(got), err)
	}
	l = newLink(t, Options{CAFile: ca.file, ConnectTo: []string{":443=" + address}, MaxBody: 999})
	if _, err := get(t, l.Client(nil), "https://mail.contoso.com/"); err == nil ||
		!strings.Contains(err.Error(), "larger than 999 bytes") {
		t.Errorf("a body one byte too long: %v", err)
	}
}

func TestSecretsStayOffPlainHTTP(t *testing.T) {
	var seen []string
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter,
		r *http.Request) {
		seen = append(seen, r.Header.Get("Authorization"))
	}))
	t.Cleanup(s.Close)
	l := newLink(t, Options{})
	for name, a := range map[string]Authenticator{
		"basic":  Basic{"user", secret.NewValue("hunter2")},
		"ntlm":   NTLM{"user", secret.NewValue("hunter2")},
		"bearer": Bearer{func(context.Context) (string, error) { return "token", nil }},
	} {
		if _, err := get(t, l.Client(a), s.URL); err == nil || !strings.Contains(err.Error(), "unencrypted") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if len(seen) != 0 {
		t.Errorf("requests were sent: %q", seen)
	}
}

func TestProxy(t *testing.T) {
	ca := newAuthority(t)
	origin := serve(t, ca.issue(t, time.Now().Add(time.Hour), "mail.contoso.com"), http.HandlerFunc(ok))
	var authorization []string
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		authorization = append(authorization, r.Method+" "+r.Host+" "+r.Header.Get("Proxy-Authorization"))
		switch {
		case r.Header.Get("Proxy-Authorization") != "Basic dTpodW50ZXIy": // u:hunter2
			w.WriteHeader(http.StatusProxyAuthRequired)
		case r.Method != http.MethodConnect:
			fmt.Fprint(w, "proxied "+r.URL.String())
		default:
			up, err := (&net.Dialer{}).DialContext(r.Context(), "tcp", origin)
			if err != nil {
				w.WriteHeader(http.StatusBadGateway)
				return
			}
			defer up.Close()
			down, _, err := http.NewResponseController(w).Hijack()
			if err != nil {
				return
			}
			defer down.Close()
			fmt.Fprint(down, "HTTP/1.1 200 Connection established\r\n\r\n")
			go func() { _, _ = io.Copy(up, down) }()
			_, _ = io.Copy(down, up)
		}
	}))
	t.Cleanup(proxy.Close)
	address := proxy.Listener.Addr().String()

	l := newLink(t, Options{CAFile: ca.file, Proxy: "http://u:hunter2@" + address,
		NoProxy: []string{".direct.example"}})
	if got, err := get(t, l.Client(nil), "https://mail.contoso.com/"); err != nil || got != "200 ok" {
		t.Errorf("https: %q, %v", got, err)
	}
	if got, err := get(t, l.Client(nil), "http://www.contoso.com/x"); err != nil ||
		got != "200 proxied http://www.contoso.com/x" {
		t.Errorf("http: %q, %v", got, err)
	}
	want := []string{"CONNECT mail.contoso.com:443 Basic dTpodW50ZXIy", "GET www.contoso.com Basic dTpodW50ZXIy"}
	if diff := cmp.Diff(want, authorization); diff != "" {
		t.Error(diff)
	}
	if _, err := get(t, l.Client(nil), "https://"+origin+"/"); !errors.Is(err, ErrUntrusted) {
		t.Errorf("loopback must be reached directly, and its certificate is for another name: %v", err)
	}
	_, err := get(t, newLink(t, Options{Proxy: "http://u:wrong-hunter2@" + address}).Client(nil),
		"https://mail.contoso.com/")
	if !errors.Is(err, ErrAccess) || !strings.Contains(err.Error(), "proxy "+address) ||
		strings.Contains(err.Error(), "hunter2") {
		t.Errorf("wrong proxy password: %v", err)
	}
	reserved, _ := net.Listen("tcp", "127.0.0.1:0")
	gone := reserved.Addr().String()
	reserved.Close()
	_, err = get(t, newLink(t, Options{Proxy: "http://u:hunter2@" + gone}).Client(nil), "https://mail.contoso.com/")
	if !errors.Is(err, ErrUnreachable) || !strings.Contains(err.Error(), "proxy "+gone) ||
		strings.Contains(err.Error(), "hunter2") {
		t.Errorf("no proxy: %v", err)
	}
}

func TestStatusError(t *testing.T) {
	r := httptest.NewRequest(http.MethodPost, "https://mail.contoso.com/EWS/Exchange.asmx?code=secret", nil)
	resp := &http.Response{StatusCode: http.StatusForbidden, Status: "403 For\x1bbidden", Request: r,
		Header: http.Header{"Content-Type": {"text/html"}}}
	err := NewStatusError(resp, []byte("<html><head><TITLE>Pre-\x1b[31mauthentication\nrequired</TITLE></head>"))
	want := "POST https://mail.contoso.com/EWS/Exchange.asmx: HTTP 403 For bidden: Pre- [31mauthentication required"
	if err.Error() != want {
		t.Errorf("got  %s\nwant %s", err, want)
	}
	if !errors.Is(err, ErrAccess) || errors.Is(err, ErrUnreachable) {
		t.Error("403 is a refusal of access and nothing else")
	}
}

func TestChallenges(t *testing.T) {
	for _, tt := range []struct {
		in   []string
		want []Challenge
	}{
		{[]string{"Negotiate", "NTLM", `Basic realm="mail.contoso.com"`},
			[]Challenge{{Scheme: "Negotiate"}, {Scheme: "NTLM"},
				{Scheme: "Basic", Params: map[string]string{"realm": "mail.contoso.com"}}}},
		{[]string{"Negotiate, NTLM,Basic realm=x"},
			[]Challenge{{Scheme: "Negotiate"}, {Scheme: "NTLM"},
				{Scheme: "Basic", Params: map[string]string{"realm": "x"}}}},
		{[]string{"NTLM TlRMTVNTUAAC=="}, []Challenge{{Scheme: "NTLM", Token: "TlRMTVNTUAAC=="}}},
		{[]string{"Negotiate oYG2/+A=, NTLM"}, []Challenge{{Scheme: "Negotiate", Token: "oYG2/+A="}, {Scheme: "NTLM"}}},
		{[]string{`Basic realm="msrpc realm", charset="utf-8"`},
			[]Challenge{{Scheme: "Basic", Params: map[string]string{"realm": "msrpc realm", "charset": "utf-8"}}}},
		{
			[]string{`Bearer client_id="00000002-0000-0ff1-ce00-000000000000", trusted_issuers="00000001-0000-0000-c000-000000000000@a,00000001@b", token_types="app_asserted_user_v1 service_asserted_app_v1", error="invalid_token"`},
			[]Challenge{{Scheme: "Bearer", Params: map[string]string{
				"client_id":       "00000002-0000-0ff1-ce00-000000000000",
				"trusted_issuers": "00000001-0000-0000-c000-000000000000@a,00000001@b",
				"token_types":     "app_asserted_user_v1 service_asserted_app_v1", "error": "invalid_token",
			}}},
		},
		{[]string{`Basic realm="a \"b\", c", NTLM`},
			[]Challenge{{Scheme: "Basic", Params: map[string]string{"realm": `a "b", c`}}, {Scheme: "NTLM"}}},
		{[]string{`Bearer authorization_uri=https://login.example/x, error=invalid_token`}, []Challenge{
			{Scheme: "Bearer", Params: map[string]string{"authorization_uri": "https://login.example/x",
				"error": "invalid_token"}},
		}},
		{[]string{`Bearer realm="not closed`}, []Challenge{{Scheme: "Bearer"}}},
		{[]string{`Bearer a=1, A=2`}, []Challenge{{Scheme: "Bearer", Params: map[string]string{"a": "1"}}}},
		{[]string{"", " , ", `"`, "=", `"x"`}, nil},
	} {
		got := Challenges(http.Header{"Www-Authenticate": tt.in})
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("%q: %s", tt.in, diff)
		}
	}
}

func FuzzConnectTo(f *testing.F) {
	for _, s := range []string{"a:1=b:2", ":=:", "[::1]:443=x:", "=", ":25=:2525"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		l, err := New(Options{ConnectTo: []string{s}})
		if err != nil {
			return
		}
		r := l.routes[0]
		target, mapped := l.Target(net.JoinHostPort(orElse(r.fromHost, "h"), orElse(r.fromPort, "1")))
		if !mapped {
			t.Fatalf("%q does not match what it names", s)
		}
		if _, _, err := net.SplitHostPort(target); err != nil {
			t.Fatalf("%q leads to %q", s, target)
		}
	})
}

func orElse(s, other string) string {
	if s == "" {
		return other
	}
	return s
}

func FuzzChallenges(f *testing.F) {
	for _, s := range []string{"Negotiate, NTLM", `Basic realm="x", charset=utf-8`, "NTLM TlRM==", `Bearer a="b`,
		"a=,=,b c=d e"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		for _, c := range parseChallenges(s) {
			if c.Scheme == "" {
				t.Fatalf("%q has a challenge without scheme", s)
			}
		}
	})
}
