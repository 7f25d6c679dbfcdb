package odd_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/hybridge-cli/hybridge/pkg/config/answers"
	"github.com/hybridge-cli/hybridge/pkg/config/cloud"
	"github.com/hybridge-cli/hybridge/pkg/engine/check"
	"github.com/hybridge-cli/hybridge/pkg/estate/certificate"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/fact"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/prereq"
	resolver "github.com/hybridge-cli/hybridge/pkg/wire/dns"
	"github.com/hybridge-cli/hybridge/pkg/wire/link"
)

const webHost = "mail.contoso.example"

// webTemper is a server in the place of Exchange's web services, and what the checks of
// reachability say of it.
type webTemper struct {
	name string
	// serve answers a connection; nil: the port is closed.
	serve func(c net.Conn, config *tls.Config)
	alter func(*x509.Certificate)
	// want are the verdicts on POST, on long tokens and on the bare domain.
	post, token, root check.Status
	says              string // of the first that is no pass
}

// web answers one request over TLS.
func web(answer string) func(net.Conn, *tls.Config) {
	return func(c net.Conn, config *tls.Config) {
		secure := tls.Server(c, config)
		buffer := make([]byte, 64<<10)
		for read := 0; ; { // to the end of the request's header
			n, err := secure.Read(buffer[read:])
			if err != nil {
				return
			}
			if read += n; strings.Contains(string(buffer[:read]), "\r\n\r\n") {
				break
			}
		}
		_, _ = io.WriteString(secure, answer)
		_ = secure.Close()
	}
}

func webTempers() []webTemper {
	const unknown, fails, warns, passes = check.StatusError, check.StatusFail, check.StatusWarn, check.StatusPass
	page := func(status, header, body string) string {
		return fmt.Sprintf("HTTP/1.1 %s\r\n%sContent-Length: %d\r\nConnection: close\r\n\r\n%s", status, header,
			len(body), body)
	}
	exchange := "WWW-Authenticate: Bearer client_id=\"00000002-0000-0ff1-ce00-000000000000\"\r\n" +
		"WWW-Authenticate: Negotiate\r\nWWW-Authenticate: NTLM\r\nX-FEServer: EX1\r\n"
	return []webTemper{
		{name: "Exchange", serve: web(page("401 Unauthorized", exchange, "")), post: passes, token: passes,
			root: passes},
		{name: "the port is closed", post: unknown, token: unknown, root: passes, says: "refused"},
		{name: "nothing is ever sent", serve: func(c net.Conn, _ *tls.Config) { _, _ = io.Copy(io.Discard, c) },
			post: unknown, token: unknown, root: passes, says: webHost},
		{name: "the connection ends at once", serve: func(net.Conn, *tls.Config) {},
			post: unknown, token: unknown, root: passes, says: webHost},
		{name: "one side is closed", serve: func(c net.Conn, _ *tls.Config) {
			_ = c.(*net.TCPConn).CloseWrite()
			_, _ = io.Copy(io.Discard, c)
		}, post: unknown, token: unknown, root: passes, says: webHost},
		{name: "garbage in place of TLS", serve: func(c net.Conn, _ *tls.Config) {
			_, _ = io.WriteString(c, "\x1b[31m\x00\xff garbage \x07\r\n\r\n")
		}, post: unknown, token: unknown, root: passes, says: webHost},
		{name: "garbage in place of HTTP", serve: web("\x1b[31mgarbage\r\n\r\n"), post: unknown, token: unknown,
			root: passes,
			says: webHost},
		{name: "the certificate is for another host", serve: web(page("401 Unauthorized", exchange, "")),
			alter: func(c *x509.Certificate) { c.DNSNames = []string{"other.example"} },
			post:  unknown, token: unknown, root: warns, says: "other.example"},
		{name: "the certificate has ended", serve: web(page("401 Unauthorized", exchange, "")),
			alter: func(c *x509.Certificate) { c.NotAfter = time.Now().Add(-time.Minute) },
			post:  unknown, token: unknown, root: warns, says: "outside its validity"},
		{name: "a page", serve: web(page("200 OK", "Content-Type: text/html\r\n", "<title>\x1b[31mWelcome</title>")),
			post: fails, token: passes, root: warns, says: "200"},
		{name: "forbidden", serve: web(page("403 Forbidden", "", "Request blocked.")), post: fails, token: warns,
			root: passes,
			says: "403"},
		{name: "the method is not allowed", serve: web(page("405 Method Not Allowed", "", "")), post: fails,
			token: warns,
			root:  passes, says: "405"},
		{name: "an answer that is cut", serve: web("HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n<html>"),
			post:  fails,
			token: passes, root: warns, says: "200"},
	}
}

// TestOddWebServers: what was seen is a finding, and what was not seen is unknown, within the time
// limit.
func TestOddWebServers(t *testing.T) {
	authority := newIssuer(t)
	for _, temper := range webTempers() {
		t.Run(temper.name, func(t *testing.T) {
			t.Parallel()
			both := func(c *x509.Certificate) {
				c.DNSNames = append(c.DNSNames, "contoso.example")
				if temper.alter != nil {
					temper.alter(c)
				}
			}
			config := &tls.Config{Certificates: []tls.Certificate{authority.server(t, webHost, both)},
				NextProtos: []string{"http/1.1"}}
			address := "127.0.0.1:1"
			if temper.serve != nil {
				address = listen(t, func(c net.Conn) { temper.serve(c, config) })
			}
			set := reachSet(t, authority, []string{webHost + ":443=" + address, "contoso.example:443=" + address})
			begun := time.Now()
			report, err := prereq.Run(t.Context(), set, check.Options{Only: []string{"reachability.ews-post",
				"reachability.long-token", "autodiscover.root-domain"}}, nil)
			if err != nil || len(report.Results) != 3 {
				t.Fatalf("%d results, %v", len(report.Results), err)
			}
			said := ""
			for _, r := range report.Results {
				want := map[check.ID]check.Status{"reachability.ews-post": temper.post,
					"reachability.long-token": temper.token, "autodiscover.root-domain": temper.root}[r.ID]
				text := r.Summary.String()
				if r.Status != want {
					t.Errorf("%s: %s, want %s: %s", r.ID, r.Status, want, text)
				}
				if r.ID == "reachability.ews-post" && r.Status != check.StatusPass {
					said = text
				}
				fit(t, temper.name, text)
			}
			t.Logf("%s", said)
			if !strings.Contains(said, temper.says) {
				t.Errorf("%q does not contain %q", said, temper.says)
			}
			if took := time.Since(begun); took > 15*time.Second {
				t.Errorf("took %v", took)
			}
		})
	}
}

// reachSet is a deployment of one forest without a tenant.
func reachSet(t *testing.T, authority *issuer, rules []string) *fact.Set {
	t.Helper()
	line, err := link.New(link.Options{CAs: authority.pool, ConnectTo: rules, Timeout: silent})
	if err != nil {
		t.Fatal(err)
	}
	set := fact.New(answers.Answers{Forests: []answers.Forest{{Name: "contoso", Domains: []string{"contoso.example"},
		Namespace: answers.Namespace{EWS: webHost, Autodiscover: "autodiscover.contoso.example"}}}}, cloud.Cloud{})
	set.Roots = authority.pool
	set.Network.Clients = fact.Clients{Timeout: 2 * time.Second,
		Link: func(context.Context) (*link.Link, error) { return line, nil },
		Lookup: func(context.Context, string, resolver.Type) (resolver.Answer, error) {
			return resolver.Answer{Records: []resolver.Record{{}}}, nil
		}}
	fact.CertificateFile.Seed(set.Forests[0], certificate.Bundle{}, fact.ErrNotConfigured)
	return set
}

// TestOddResolversInChecks: a resolver that fails is never an absence, for any question of the new
// checks. An answer that there is nothing is one.
func TestOddResolversInChecks(t *testing.T) {
	asks := []string{"dns.mx", "dns.spf", "dns.dmarc", "dns.wildcard", "autodiscover.service-record"}
	for _, temper := range dnsTempers() {
		if temper.want != failed || strings.HasPrefix(temper.name, "IPv4") || strings.HasPrefix(temper.name, "forty") {
			continue // these two fail for addresses alone
		}
		t.Run(temper.name, func(t *testing.T) {
			t.Parallel()
			set := reachSet(t, newIssuer(t), nil)
			client := &resolver.Client{Resolvers: []string{temper.start(t)}, Timeout: time.Second}
			set.Network.Lookup = client.Lookup
			report, err := prereq.Run(t.Context(), set, check.Options{Only: asks}, nil)
			if err != nil || len(report.Results) != len(asks) {
				t.Fatalf("%d results, %v", len(report.Results), err)
			}
			for _, r := range report.Results {
				if r.Status == check.StatusFail || r.Status == check.StatusWarn {
					t.Errorf("%s: %s: %s", r.ID, r.Status, r.Summary)
				}
				fit(t, temper.name, r.Summary.String())
			}
		})
	}
}
