package ews

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/hybridge-cli/hybridge/pkg/wire/finding"
	"github.com/hybridge-cli/hybridge/pkg/wire/link"
)

func isCloud(host string) bool { return strings.HasSuffix(host, ".outlook.com") }

// TestFront looks at what may stand at the address of an Exchange web service.
func TestFront(t *testing.T) {
	const (
		bearer = `Bearer client_id="00000002-0000-0ff1-ce00-000000000000", trusted_issuers="00000001-0000-0000-c000-000000000000@*"`
		path   = "/autodiscover/autodiscover.xml"
	)
	type header map[string]string
	for _, tt := range []struct {
		name   string
		status int
		header header
		offers []string
		body   string
		level  finding.Level
		id     string
		says   string
	}{
		{name: "Exchange", status: 401, offers: []string{bearer, "Negotiate", "NTLM", `Basic realm="mail"`}},
		{name: "Exchange with OAuth alone", status: 401, offers: []string{bearer}},
		{name: "Exchange without OAuth", status: 401, offers: []string{"Negotiate", "NTLM"}},
		{name: "Exchange, all in one field", status: 401, offers: []string{bearer + `, Negotiate, NTLM`}},
		{name: "no challenge", status: 401, level: finding.Wrong, id: "pre-authentication", says: "no way to sign in"},
		{name: "Basic alone", status: 401, offers: []string{`Basic realm="WAF"`}, level: finding.Wrong,
			id: "pre-authentication", says: "by Basic alone"},
		{name: "Digest alone", status: 401, offers: []string{`Digest realm="x", nonce="y"`}, level: finding.Wrong,
			id: "pre-authentication", says: "by Digest alone"},
		{name: "Basic and Digest", status: 401, offers: []string{"Basic", "Digest"}, level: finding.Wrong,
			id: "pre-authentication", says: "Basic, Digest"},
		{name: "another Bearer", status: 401,
			offers: []string{`Bearer realm="api", client_id="11111111-0000-0000-0000-000000000000"`},
			level:  finding.Wrong, id: "pre-authentication", says: "by Bearer alone"},
		{name: "AD FS", status: 302, header: header{"Location": "https://sts.contoso.example/adfs/ls/?wa=secret"},
			level: finding.Wrong, id: "pre-authentication", says: "AD FS (https://sts.contoso.example/adfs/ls/)"},
		{name: "Outlook on the web", status: 302,
			header: header{"Location": "https://mail.contoso.example/owa/auth/logon.aspx?url=secret"},
			level:  finding.Wrong, id: "pre-authentication", says: "Outlook on the web"},
		{name: "Entra", status: 302, header: header{"Location": "https://login.microsoftonline.com/x/oauth2/authorize?client_id=secret"}, level: finding.Wrong, id: "pre-authentication", says: "log-on page"},
		{name: "F5", status: 302, header: header{"Location": "/my.policy"}, level: finding.Wrong,
			id: "pre-authentication", says: "log-on page"},
		{name: "NetScaler", status: 302, header: header{"Location": "/vpn/index.html"}, level: finding.Wrong,
			id: "pre-authentication", says: "log-on page"},
		{name: "SAML", status: 303, header: header{"Location": "https://idp.contoso.example/saml2/sso?SAMLRequest=secret"}, level: finding.Wrong, id: "pre-authentication", says: "log-on page"},
		{name: "plain http", status: 301, header: header{"Location": "http://mail.contoso.example" + path},
			level: finding.Wrong, id: "redirect", says: "plain http"},
		{name: "itself", status: 302, header: header{"Location": path}, level: finding.Wrong, id: "redirect",
			says: "itself"},
		{name: "nowhere", status: 302, level: finding.Wrong, id: "redirect", says: "leads nowhere"},
		{name: "no URL", status: 302, header: header{"Location": "https://%zz/"}, level: finding.Wrong, id: "redirect",
			says: "leads nowhere"},
		{name: "home page", status: 301, header: header{"Location": "https://www.contoso.example/"},
			level: finding.Wrong, id: "redirect", says: "another service"},
		{name: "Exchange Online", status: 302, header: header{"Location": "https://autodiscover-s.outlook.com" + path},
			level: finding.Wrong, id: "redirect-cloud", says: "Exchange Online (autodiscover-s.outlook.com)"},
		{name: "another autodiscover", status: 302, header: header{"Location": "https://mail.contoso.example" + path},
			level: finding.Doubtful, id: "redirect-elsewhere", says: "https://mail.contoso.example"},
		{name: "log-on page", status: 200, header: header{"Content-Type": "text/html"},
			body: `<html><title>Sign in</title><input type="password">`, level: finding.Wrong, id: "pre-authentication",
			says: `a log-on page ("Sign in")`},
		{name: "home page with 200", status: 200, header: header{"Content-Type": "text/html"},
			body: "<html><title>Contoso</title>", level: finding.Wrong, id: "pre-authentication",
			says: `an HTML page ("Contoso")`},
		{name: "help page", status: 200, header: header{"Content-Type": "text/html"},
			body: "<html>You have created a service.", level: finding.Wrong, id: "pre-authentication",
			says: "You have created a service"},
		{name: "empty", status: 200, level: finding.Wrong, id: "pre-authentication", says: "an empty answer"},
		{name: "JSON", status: 200, header: header{"Content-Type": "application/json"}, body: "{}",
			level: finding.Wrong, id: "pre-authentication", says: "JSON"},
		{name: "forbidden by Exchange", status: 403,
			header: header{"X-MS-Diagnostics": `4010002;reason="EWS is disabled"`}, level: finding.Wrong, id: "refused",
			says: "EWS is disabled"},
		{name: "forbidden by a firewall", status: 403, header: header{"Content-Type": "text/html"},
			body: "<html><title>Web Page Blocked</title>", level: finding.Wrong, id: "pre-authentication",
			says: "Web Page Blocked"},
		{name: "forms sign-in", status: 440, level: finding.Wrong, id: "pre-authentication", says: "log-on form"},
		{name: "absent", status: 404, level: finding.Wrong, id: "not-published", says: "404 Not Found"},
		{name: "bad request", status: 400, level: finding.Wrong, id: "not-published", says: "400"},
		{name: "method refused", status: 405, level: finding.Wrong, id: "not-published", says: "405"},
		{name: "server error", status: 500, level: finding.Wrong, id: "server-error", says: "500"},
		{name: "no back end", status: 502, level: finding.Wrong, id: "server-error", says: "502"},
		{name: "switched off", status: 503, level: finding.Wrong, id: "server-error", says: "503"},
		{name: "escapes", status: 302, header: header{"Location": "https://x.example/\u202eowa"}, level: finding.Wrong,
			says: ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			asked, times := "", 0
			srv := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				asked = r.Header.Get("Authorization")
				times++
				for k, v := range tt.header {
					w.Header()[k] = []string{v}
				}
				for _, o := range tt.offers {
					w.Header().Add("WWW-Authenticate", o)
				}
				w.WriteHeader(tt.status)
				_, _ = io.WriteString(w, tt.body)
			}))
			defer srv.Close()
			f, err := Look(t.Context(), srv.Client(), srv.URL+path)
			if err != nil {
				t.Fatal(err)
			}
			if asked != "Bearer" || times != 1 {
				t.Errorf("asked %d times, with %q", times, asked)
			}
			worst, _ := finding.Worst(f.Judge(isCloud))
			text := ""
			if worst.Format != "" {
				text = worst.String()
			}
			if worst.Level != tt.level || tt.id != "" && worst.ID != tt.id || !strings.Contains(text, tt.says) ||
				strings.Contains(text, "secret") || strings.Contains(text, "\u202e") {
				t.Errorf("%s %s %q, want %s %s with %q", worst.Level, worst.ID, text, tt.level, tt.id, tt.says)
			}
			if worst.Level != 0 && worst.Fix == "" {
				t.Errorf("%q has no remedy", text)
			}
		})
	}
}

// TestFrontConnection judges connections that fail: what the server shows is Wrong, what happens on
// the way is not.
func TestFrontConnection(t *testing.T) {
	cert := httptest.NewUnstartedServer(nil)
	cert.StartTLS()
	served := cert.TLS.Certificates[0]
	cert.Close()
	serve := func(t *testing.T, handle func(net.Conn)) string {
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
				go func() { defer c.Close(); handle(c) }()
			}
		}()
		return l.Addr().String()
	}
	overTLS := func(config *tls.Config) func(net.Conn) {
		return func(c net.Conn) {
			s := tls.Server(c, config)
			if s.Handshake() == nil {
				_, _ = io.Copy(io.Discard, s)
			}
		}
	}
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed.Close()
	for _, tt := range []struct {
		name   string
		handle func(net.Conn)
		proxy  bool
		level  finding.Level
		id     string
	}{
		{"plain http on 443", func(c net.Conn) { io.WriteString(c, "HTTP/1.1 400 Bad Request\r\n\r\n") }, false,
			finding.Wrong, "no-tls"},
		{"SMTP on 443", func(c net.Conn) { io.WriteString(c, "220 mail ESMTP\r\n"); io.Copy(io.Discard, c) }, false,
			finding.Wrong, "no-tls"},
		{"TLS 1.1", overTLS(&tls.Config{Certificates: []tls.Certificate{served}, MaxVersion: tls.VersionTLS11,
			MinVersion: tls.VersionTLS10}), false, finding.Wrong, "tls-version"},
		{"client certificate", overTLS(&tls.Config{Certificates: []tls.Certificate{served},
			ClientAuth: tls.RequireAnyClientCert}), false, finding.Wrong, "client-certificate"},
		{"client certificate in TLS 1.2",
			overTLS(&tls.Config{Certificates: []tls.Certificate{served}, ClientAuth: tls.RequireAnyClientCert,
				MaxVersion: tls.VersionTLS12}), false, finding.Wrong, "handshake"},
		{"name refused", overTLS(&tls.Config{GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate,
			error) {
			return nil, errors.New("no")
		}}), false, finding.Wrong, "handshake"},
		{"unrecognized name", func(c net.Conn) {
			_, _ = c.Read(make([]byte, 4096))
			_,
				_ = c.Write([]byte{21, 3, 3, 0, 2, 2, 112})
		}, false, finding.Wrong, "sni"},
		{"no common suite", func(c net.Conn) {
			_, _ = c.Read(make([]byte, 4096))
			_,
				_ = c.Write([]byte{21, 3, 3, 0, 2, 2, 40})
		}, false, finding.Wrong, "handshake"},
		{"closed in the handshake", func(c net.Conn) { _, _ = c.Read(make([]byte, 4096)) }, false, finding.Unseen,
			"unreachable"},
		{"silent", func(c net.Conn) { _, _ = io.Copy(io.Discard, c) }, false, finding.Unseen, "unreachable"},
		{"dead proxy", nil, true, finding.Blind, "proxy"},
		{"proxy that refuses", func(c net.Conn) { io.WriteString(c, "HTTP/1.1 403 Forbidden\r\n\r\n") }, true,
			finding.Blind, "proxy"},
		{"proxy that wants a sign-in", func(c net.Conn) {
			io.WriteString(c, "HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: NTLM\r\n\r\n")
		}, true, finding.Blind, "proxy"},
		{"proxy that cannot reach the host", func(c net.Conn) { io.WriteString(c, "HTTP/1.1 502 Bad Gateway\r\n\r\n") },
			true, finding.Blind, "proxy"},
		{"proxy that hangs up", func(net.Conn) {}, true, finding.Blind, "proxy"},
		{"proxy that is none", func(c net.Conn) { io.WriteString(c, "220 mail ESMTP\r\n") }, true, finding.Blind,
			"proxy"},
		{"proxy that is silent", func(c net.Conn) { _, _ = io.Copy(io.Discard, c) }, true, finding.Blind, "proxy"},
		{"proxy that inspects", func(c net.Conn) {
			_, _ = c.Read(make([]byte, 4096))
			io.WriteString(c, "HTTP/1.1 200 OK\r\n\r\n")
			overTLS(&tls.Config{Certificates: []tls.Certificate{served}})(c)
		}, true, finding.Blind, "proxy"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			address := closed.Addr().String()
			if tt.handle != nil {
				address = serve(t, tt.handle)
			}
			o := link.Options{Timeout: time.Second, ResponseTimeout: 5 * time.Second, CAs: x509.NewCertPool()}
			if tt.proxy {
				o.Proxy = "http://" + address
			} else {
				o.ConnectTo = []string{":=" + address}
				o.InsecureHosts = []string{"mail.contoso.example"}
			}
			l, err := link.New(o)
			if err != nil {
				t.Fatal(err)
			}
			_, err = Look(context.WithoutCancel(t.Context()), l.Client(nil),
				"https://mail.contoso.example/EWS/Exchange.asmx")
			if err == nil {
				t.Fatal("no error")
			}
			f := JudgeConnection("mail.contoso.example", err)
			if f.Level != tt.level || f.ID != tt.id || f.Fix == "" {
				t.Errorf("%s %s %q, want %s %s", f.Level, f.ID, fmt.Sprint(f), tt.level, tt.id)
			}
		})
	}
}
