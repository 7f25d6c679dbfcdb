package smtp

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hybridge-cli/hybridge/pkg/wire/link"
)

func newCertificate(t testing.TB, name string) *tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name},
		DNSNames: []string{name}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

func serve(t *testing.T, s *Server) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- s.Serve(l) }()
	t.Cleanup(func() {
		l.Close()
		s.Close()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return l.Addr().String()
}

var dial = new(net.Dialer).DialContext

func TestProbe(t *testing.T) {
	cert, client := newCertificate(t, "mail.contoso.example"), newCertificate(t, "client.contoso.example")
	s := &Server{Hostname: "mail.contoso.example"}
	address := serve(t, s)
	s.Configure(Config{Certificate: cert, Capabilities: []string{"XRDST"}, SecureCapabilities: []string{"XOORG"}})
	r, err := Probe(t.Context(), Options{Dial: dial}, address, "mail.contoso.example")
	if err != nil {
		t.Fatal(err)
	}
	if r.Hostname != "mail.contoso.example" || !strings.Contains(r.Banner, "Microsoft ESMTP MAIL Service ready") {
		t.Errorf("greeting %q", r.Banner)
	}
	if !r.Capabilities.Has("starttls") || r.Capabilities.Has("mail.contoso.example") || r.Capabilities.Has("XOORG") ||
		!r.Capabilities.Has("XRDST") {
		t.Errorf("before TLS: %v", r.Capabilities)
	}
	if r.TLS == nil || r.TLS.Version != tls.VersionTLS13 || !r.TLS.Capabilities.Has("XOORG") ||
		r.TLS.Capabilities.Has("STARTTLS") || r.TLS.CertificateRequested {
		t.Fatalf("after TLS: %+v", r.TLS)
	}
	if len(r.TLS.Certificates) != 1 || r.TLS.Certificates[0].Subject.CommonName != "mail.contoso.example" {
		t.Error("the served certificate is another")
	}
	for _, c := range r.Capabilities {
		if c.Keyword == "SIZE" {
			if diff := cmp.Diff([]string{"37748736"}, c.Parameters); diff != "" {
				t.Error(diff)
			}
		}
	}

	s.Configure(Config{Certificate: cert, RequestCA: &tls.Config{ClientAuth: tls.RequireAnyClientCert}})
	if r, err = Probe(t.Context(), Options{Dial: dial, Certificate: client}, address, "x"); err != nil ||
		!r.TLS.CertificateRequested {
		t.Errorf("with a client certificate: %+v, %v", r.TLS, err)
	}
	if _, err = Probe(t.Context(), Options{Dial: dial}, address, "x"); err == nil {
		t.Error("no client certificate where one is required: no error")
	}

	s.Configure(Config{})
	if r, err = Probe(t.Context(), Options{Dial: dial}, address, "x"); err != nil || r.TLS != nil ||
		r.Capabilities.Has("STARTTLS") {
		t.Errorf("without STARTTLS: %+v, %v", r, err)
	}

	s.Configure(Config{Certificate: cert, StartTLSReply: "454 4.7.0 TLS not available"})
	_, err = Probe(t.Context(), Options{Dial: dial}, address, "x")
	var refused *ReplyError
	if !errors.As(err, &refused) || refused.Code != 454 || refused.Enhanced != "4.7.0" ||
		refused.Text != "TLS not available" || refused.Command != "STARTTLS" {
		t.Errorf("%v", err)
	}

	s.Configure(Config{Greeting: "554 5.7.1 go away"})
	if _, err = Probe(t.Context(), Options{Dial: dial}, address, "x"); !errors.As(err, &refused) ||
		refused.Code != 554 || refused.Command != "greeting" {
		t.Errorf("%v", err)
	}
}

func TestProbeReachesNobody(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	if _, err := Probe(t.Context(), Options{Dial: dial}, l.Addr().String(), "x"); !errors.Is(err, link.ErrUnreachable) {
		t.Errorf("%v", err)
	}
}

// script plays a server that sends its lines, whatever the client does.
func script(t *testing.T, lines ...string) string {
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
			go func() {
				defer c.Close()
				r := bufio.NewReader(c)
				for i, line := range lines {
					if i > 0 {
						if _, err := r.ReadString('\n'); err != nil {
							return
						}
					}
					io.WriteString(c, line)
				}
				io.Copy(io.Discard, r)
			}()
		}
	}()
	return l.Addr().String()
}

func TestHostileServers(t *testing.T) {
	for name, test := range map[string]struct {
		lines []string
		class error
	}{
		"another protocol": {[]string{"HTTP/1.1 400 Bad Request\r\n"}, ErrProtocol},
		"masked":           {[]string{"220 ********\r\n", "XXXX\r\n"}, ErrProtocol},
		"endless line":     {[]string{"220 " + strings.Repeat("x", 10000) + "\r\n"}, ErrProtocol},
		"endless reply":    {[]string{"220 x\r\n", strings.Repeat("250-x\r\n", 1000)}, ErrProtocol},
		"text before TLS": {[]string{"220 x\r\n", "250-x\r\n250 STARTTLS\r\n", "220 go\r\n250 injected\r\n"},
			ErrProtocol},
		"no handshake":         {[]string{"220 x\r\n", "250-x\r\n250 STARTTLS\r\n", "220 go\r\n", "hello\r\n"}, nil},
		"code out of range":    {[]string{"999 x\r\n"}, ErrProtocol},
		"another separator":    {[]string{"220=x\r\n220 x\r\n", "250 x\r\n", "221 x\r\n"}, ErrProtocol},
		"control characters":   {[]string{"421 \x1b[2Jgo\x07 away\r\n"}, nil},
		"EHLO is not known":    {[]string{"220 x\r\n", "502 5.5.1 what\r\n"}, nil},
		"nothing after accept": {[]string{""}, os.ErrDeadlineExceeded},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Probe(t.Context(), Options{Dial: dial, Timeout: 500 * time.Millisecond}, script(t, test.lines...),
				"x")
			if err == nil || test.class != nil && !errors.Is(err, test.class) {
				t.Fatalf("%v, want %v", err, test.class)
			}
			if strings.ContainsAny(err.Error(), "\x1b\x07\r\n") {
				t.Errorf("control characters in %q", err)
			}
		})
	}
}

func TestReceive(t *testing.T) {
	got := make(chan Message, 1)
	s := &Server{Hostname: "mail.contoso.example", Received: func(m Message) { got <- m }}
	accepts := func(domain string) bool { return domain == "fabrikam.example" }
	s.Configure(Config{Accepts: accepts})
	address := serve(t, s)
	talk := func(lines ...string) (replies []string) {
		c, err := net.Dial("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		r := bufio.NewReader(c)
		read := func() {
			for {
				l, err := r.ReadString('\n')
				if err != nil || len(l) < 4 {
					replies = append(replies, "closed")
					return
				}
				if l[3] == ' ' {
					replies = append(replies, l[:3])
					return
				}
			}
		}
		read()
		for _, l := range lines {
			if !strings.HasPrefix(l, "BDAT") { // its octets end it
				l += "\r\n"
			}
			fmt.Fprint(c, l)
			read()
		}
		return replies
	}
	replies := talk("EHLO me", "MAIL FROM:<a@contoso.example> SIZE=10", "RCPT TO:<b@fabrikam.example>", "DATA",
		"Subject: x\r\n\r\n..dot\r\n.", "QUIT")
	if diff := cmp.Diff([]string{"220", "250", "250", "250", "354", "250", "221"}, replies); diff != "" {
		t.Fatal(diff)
	}
	m := <-got
	if m.From != "a@contoso.example" || m.Data != "Subject: x\r\n\r\n.dot\r\n" ||
		!cmp.Equal(m.To, []string{"b@fabrikam.example"}) || m.TLS != nil {
		t.Errorf("%+v", m)
	}
	replies = talk("MAIL FROM:<a@b>", "EHLO me", "MAIL a", "RCPT TO:<a@b>", "DATA", "STARTTLS", "VRFY x", "NOOP",
		"RSET", strings.Repeat("x", 5000))
	if diff := cmp.Diff([]string{"220", "503", "250", "501", "503", "503", "500", "500", "250", "250", "500"},
		replies); diff != "" {
		t.Error(diff)
	}
	hello := []string{"EHLO me", "MAIL FROM:<a@contoso.example>"}
	for name, c := range map[string]struct {
		lines []string
		want  []string // after the greeting
	}{
		"mail larger than SIZE": {[]string{"EHLO me", "MAIL FROM:<a@b> SIZE=37748737"}, []string{"250", "552"}},
		"a size that is none":   {[]string{"EHLO me", "MAIL FROM:<a@b> SIZE=x"}, []string{"250", "501"}},
		"an unknown parameter":  {[]string{"EHLO me", "MAIL FROM:<a@b> COLOUR=red"}, []string{"250", "501"}},
		"a second sender":       {append(hello, "MAIL FROM:<a@b>"), []string{"250", "250", "503"}},
		"relay":                 {append(hello, "RCPT TO:<a@elsewhere.example>"), []string{"250", "250", "550"}},
		"relay by a routed name": {append(hello, "RCPT TO:<a%fabrikam.example@elsewhere.example>"),
			[]string{"250", "250", "550"}},
		"no domain": {append(hello, "RCPT TO:<postmaster>"), []string{"250", "250", "550"}},
		"chunks": {append(hello, "RCPT TO:<b@FABRIKAM.example>", "BDAT 3\r\na\r\n", "BDAT 4 LAST\r\n.\r\n."),
			[]string{"250", "250", "250", "250", "250"}},
		"a chunk before a recipient": {append(hello, "BDAT 3 LAST\r\nabc", "NOOP"),
			[]string{"250", "250", "503", "250"}},
		"DATA after a chunk": {append(hello, "RCPT TO:<b@fabrikam.example>", "BDAT 2\r\n..", "DATA"),
			[]string{"250", "250", "250", "250", "503"}},
		"a chunk too large": {append(hello, "RCPT TO:<b@fabrikam.example>", "BDAT 99999999\r\n"),
			[]string{"250", "250", "250", "552"}},
		"a chunk of no size": {append(hello, "RCPT TO:<b@fabrikam.example>", "BDAT many\r\n"),
			[]string{"250", "250", "250", "501"}},
	} {
		if diff := cmp.Diff(c.want, talk(c.lines...)[1:]); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
		if name == "chunks" {
			if m := <-got; m.Data != "a\r\n.\r\n." {
				t.Errorf("%s: %q", name, m.Data)
			}
		}
	}
	s.Configure(Config{RequireTLS: true})
	if replies := talk("EHLO me", "MAIL FROM:<a@b>"); replies[2] != "451" {
		t.Error(replies)
	}
}

func FuzzReplyLine(f *testing.F) {
	for _, seed := range []string{"220 mail", "250-SIZE 1", "250", "99 x", "250x", "-50 x"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, line string) {
		code, _, _, ok := parseReplyLine(line)
		if ok && (code < 200 || code > 599) {
			t.Errorf("%q has code %d", line, code)
		}
		enhanced(line)
	})
}

// A server's texts are shown to people, so they must not control the terminal.
func TestGreetingIsCleaned(t *testing.T) {
	r, err := Probe(t.Context(), Options{Dial: dial},
		script(t, "220 mail\x1b[2J.example \x07ready\r\n", "250-mail\r\n250 X\x1b[31m\x07Y\r\n", "221 bye\r\n"), "x")
	if err != nil {
		t.Fatal(err)
	}
	if text := fmt.Sprint(r.Banner, r.Hostname, r.Capabilities); strings.ContainsAny(text, "\x1b\x07") ||
		!strings.Contains(text, "ready") {
		t.Errorf("%q", text)
	}
}
