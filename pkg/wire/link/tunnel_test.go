package link

import (
	"bufio"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/hybridge-cli/hybridge/pkg/config/secret"
	"github.com/hybridge-cli/hybridge/pkg/wire/link/ntlm"
)

// TestOddProxies dials through proxies that fail in every way that was seen: the fault is the
// proxy's, it ends in time, and no text rewrites the screen.
func TestOddProxies(t *testing.T) {
	answer := func(s string) func(net.Conn) {
		return func(c net.Conn) {
			if _, err := http.ReadRequest(bufio.NewReader(c)); err == nil {
				io.WriteString(c, s)
			}
		}
	}
	silent := func(c net.Conn) { _, _ = io.Copy(io.Discard, c) }
	for _, tt := range []struct {
		name   string
		handle func(net.Conn)
		says   string
	}{
		{"closed at once", func(net.Conn) {}, ""},
		{"closed after the request", answer(""), "the connection"},
		{"silent", silent, "time limit"},
		{"half an answer, then silent", func(c net.Conn) { io.WriteString(c, "HTTP/1.1 200 O"); silent(c) },
			"time limit"},
		{"half an answer", answer("HTTP/1.1 2"), ""},
		{"400", answer("HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n"), "HTTP 400"},
		{"401", answer("HTTP/1.1 401 Unauthorized\r\n\r\n"), "HTTP 401"},
		{"403", answer("HTTP/1.1 403 Forbidden\r\n\r\n"), "HTTP 403"},
		{"404", answer("HTTP/1.1 404 Not Found\r\n\r\n"), "HTTP 404"},
		{"405", answer("HTTP/1.1 405 Method Not Allowed\r\n\r\n"), "HTTP 405"},
		{"407 without a scheme", answer("HTTP/1.1 407 Proxy Authentication Required\r\n\r\n"),
			"requires a sign-in: set network.proxyCredential"},
		{"407 Basic", answer("HTTP/1.1 407 x\r\nProxy-Authenticate: Basic realm=\"p\"\r\n\r\n"), "(offers Basic)"},
		{"407 NTLM", answer("HTTP/1.1 407 x\r\nProxy-Authenticate: NTLM\r\n\r\n"), "(offers NTLM)"},
		{"407 Negotiate and more", answer("HTTP/1.1 407 x\r\nProxy-Authenticate: Negotiate\r\nProxy-Authenticate: " +
			"NTLM\r\n\r\n"), "(offers Negotiate, NTLM)"},
		{"407 Digest", answer("HTTP/1.1 407 x\r\nProxy-Authenticate: Digest realm=\"p\", nonce=\"n\"\r\n\r\n"),
			"(offers Digest)"},
		{"407 with a long page", answer("HTTP/1.1 407 x\r\nContent-Length: 9000\r\n\r\n" + strings.Repeat("x", 9000)),
			"requires a sign-in"},
		{"407 with a page that does not come", answer("HTTP/1.1 407 x\r\nContent-Length: 9000\r\n\r\nx"),
			"closed the connection"},
		{"429", answer("HTTP/1.1 429 Too Many Requests\r\nRetry-After: 5\r\n\r\n"), "HTTP 429"},
		{"500", answer("HTTP/1.1 500 x\r\n\r\n"), "HTTP 500"},
		{"502", answer("HTTP/1.1 502 Bad Gateway\r\n\r\n"), "HTTP 502"},
		{"503", answer("HTTP/1.1 503 Service Unavailable\r\n\r\n"), "HTTP 503"},
		{"504", answer("HTTP/1.1 504 Gateway Timeout\r\n\r\n"), "HTTP 504"},
		{"a redirect to a log-on page", answer("HTTP/1.1 302 Found\r\nLocation: http://login.proxy/\r\n\r\n"),
			"HTTP 302"},
		{"an odd status", answer("HTTP/1.1 299 Fine\r\n\r\n"), "HTTP 299"},
		{"no HTTP: SMTP", func(c net.Conn) { io.WriteString(c, "220 mail ESMTP\r\n") }, "not HTTP"},
		{"no HTTP: SOCKS", func(c net.Conn) { c.Write([]byte{5, 0}); silent(c) }, "time limit"},
		{"no HTTP: TLS", func(c net.Conn) { c.Write([]byte{21, 3, 3, 0, 2, 2, 40}) }, ""},
		{"control characters", answer("HTTP/1.1 403 \x1b[2Jno\x07\r\n\r\n"), "HTTP 403"},
		{"endless headers", answer("HTTP/1.1 200 OK\r\n" + strings.Repeat("X: y\r\n", 1<<17)), ""},
		{"a header of a megabyte", answer("HTTP/1.1 200 OK\r\nX: " + strings.Repeat("y", 1<<20)), ""},
		{"200, then silent", func(c net.Conn) { io.WriteString(c, "HTTP/1.1 200 OK\r\n\r\n"); silent(c) }, "-"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			l := newLink(t, Options{Proxy: "http://" + listen(t, tt.handle), Timeout: 700 * time.Millisecond})
			start := time.Now()
			c, err := l.DialContext(t.Context(), "tcp", "mail.contoso.example:25")
			if tt.says == "-" {
				if err != nil {
					t.Fatal(err)
				}
				c.Close()
				return
			}
			if err == nil {
				c.Close()
				t.Fatal("no error")
			}
			if !ByProxy(err) || !strings.Contains(err.Error(), tt.says) ||
				!strings.Contains(err.Error(), "proxy 127.0.0.1:") {
				t.Errorf("%v, want one of the proxy with %q", err, tt.says)
			}
			if strings.ContainsAny(err.Error(), "\x1b\x07\r\n") || time.Since(start) > 5*time.Second {
				t.Errorf("after %s: %q", time.Since(start), err)
			}
		})
	}
}

// TestProxySignIn signs in by what the proxy offers, also when it closes the connection with each
// refusal.
func TestProxySignIn(t *testing.T) {
	tunnel := func(c net.Conn, r *bufio.Reader) {
		io.WriteString(c, "HTTP/1.1 200 OK\r\n\r\n220 mail ESMTP\r\n")
		_, _ = io.Copy(io.Discard, r)
	}
	basic := func(close bool) func(net.Conn) {
		return func(c net.Conn) {
			for r := bufio.NewReader(c); ; {
				req, err := http.ReadRequest(r)
				if err != nil {
					return
				}
				if req.Header.Get("Proxy-Authorization") == "Basic "+
					base64.StdEncoding.EncodeToString([]byte(`CONTOSO\anna:hunter2`)) {
					tunnel(c, r)
					return
				}
				if close {
					io.WriteString(c, "HTTP/1.0 407 x\r\nProxy-Authenticate: Basic realm=p\r\n\r\n<html>")
					return
				}
				io.WriteString(c, "HTTP/1.1 407 x\r\nProxy-Authenticate: Basic realm=p\r\nContent-Length: "+
					"6\r\n\r\n<html>")
			}
		}
	}
	withNTLM := func(scheme string) func(net.Conn) {
		return func(c net.Conn) {
			s := &ntlm.Server{}
			for r := bufio.NewReader(c); ; {
				req, err := http.ReadRequest(r)
				if err != nil {
					return
				}
				value := ""
				if token, ok := strings.CutPrefix(req.Header.Get("Proxy-Authorization"), scheme+" "); ok {
					message, _ := base64.StdEncoding.DecodeString(token)
					if ntlm.MessageType(message) == 1 {
						challenge, err := s.Challenge(message)
						if err != nil {
							return
						}
						value = " " + base64.StdEncoding.EncodeToString(challenge)
					} else if _, err := s.Verify(message,
						func(ntlm.Identity) (ntlm.Hash, bool) { return ntlm.HashOf("hunter2"), true }); err == nil {
						tunnel(c, r)
						return
					}
				}
				fmt.Fprintf(c, "HTTP/1.1 407 x\r\nProxy-Authenticate: %s%s\r\nContent-Length: 0\r\n\r\n", scheme, value)
			}
		}
	}
	for name, handle := range map[string]func(net.Conn){
		"Basic": basic(false), "Basic, closing": basic(true), "NTLM": withNTLM("NTLM"),
		"NTLM as Negotiate": withNTLM("Negotiate"),
	} {
		t.Run(name, func(t *testing.T) {
			for password, good := range map[string]bool{"hunter2": true, "wrong": false} {
				l := newLink(t, Options{Proxy: "http://" + listen(t, handle), ProxyUser: `CONTOSO\anna`,
					ProxyPassword: secret.NewValue(password), Timeout: 5 * time.Second})
				c, err := l.DialContext(t.Context(), "tcp", "mail.contoso.example:25")
				if !good {
					if !ByProxy(err) || !errors.Is(err, ErrAccess) ||
						!strings.Contains(err.Error(), "refuses the sign-in") ||
						strings.Contains(err.Error(), password) {
						t.Errorf("wrong password: %v", err)
					}
					continue
				}
				if err != nil {
					t.Fatal(err)
				}
				if line, err := bufio.NewReader(c).ReadString('\n'); err != nil || line != "220 mail ESMTP\r\n" {
					t.Errorf("%q, %v", line, err)
				}
				c.Close()
			}
		})
	}
}
