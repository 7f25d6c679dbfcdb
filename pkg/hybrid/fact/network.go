package fact

import (
	"cmp"
	"context"
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"time"

	"github.com/hybridge-cli/hybridge/pkg/estate/certificate"
	"github.com/hybridge-cli/hybridge/pkg/wire/dns"
	"github.com/hybridge-cli/hybridge/pkg/wire/link"
	"github.com/hybridge-cli/hybridge/pkg/wire/smtp"
)

// DNS records. dns.ErrAbsent and dns.ErrEmpty tell that there is none.
var (
	TXT = FromNetwork(DNS, "TXT {key}", func(ctx context.Context, s *Side, domain string) ([]string, error) {
		a, err := s.lookup(ctx, domain, dns.TXT)
		var out []string
		for _, r := range a.Records {
			out = append(out, r.Text)
		}
		return out, err
	})

	// Aliases are the names that a host name's CNAMEs lead over.
	Aliases = FromNetwork(DNS, "A {key}", func(ctx context.Context, s *Side, host string) ([]string, error) {
		a, err := s.lookup(ctx, host, dns.A)
		return a.Chain, err
	})
)

func (s *Side) lookup(ctx context.Context, name string, t dns.Type) (dns.Answer, error) {
	if s.Lookup == nil {
		return dns.Answer{}, fmt.Errorf("DNS: %w", ErrNotConfigured)
	}
	return s.Lookup(ctx, name, t)
}

// defaultTimeout is how long one question to a server may take.
const defaultTimeout = 30 * time.Second

// MailServer is what a mail server shows to a client that has not signed in.
type MailServer struct {
	Banner       string
	Capabilities smtp.Capabilities
	StartTLS     bool
	Certificate  certificate.Bundle // as served after STARTTLS, not judged; zero without it
}

// MailServers are what mail servers show on port 25 by host.
var MailServers = FromNetwork(SMTP, "EHLO, STARTTLS at {key}:25", readMailServer)

func readMailServer(ctx context.Context, s *Side, host string) (MailServer, error) {
	return with(ctx, s, s.Link, func(ctx context.Context, l *link.Link) (MailServer, error) {
		o := smtp.Options{Dial: l.DialContext, Timeout: cmp.Or(s.Timeout, defaultTimeout)}
		r, err := smtp.Probe(ctx, o, net.JoinHostPort(host, "25"), host)
		out := MailServer{Banner: r.Banner, Capabilities: r.Capabilities, StartTLS: r.Capabilities.Has("STARTTLS")}
		if r.TLS == nil {
			return out, err
		}
		// What a server does after it has shown its certificate is no reason not to look at that.
		out.Certificate, err = certificate.FromPeer(r.TLS.Certificates)
		return out, err
	})
}

// Autodiscover is an unauthenticated answer of an autodiscover service.
type Autodiscover struct {
	Status      int
	Schemes     []string // that it can be signed in with
	Location    string   // where it redirects to
	Certificate *x509.Certificate
}

// maxAnswer is how much of an unauthenticated answer is read, so that the connection can be reused.
const maxAnswer = 64 << 10

// AutodiscoverHosts are what hosts answer at /autodiscover/autodiscover.xml without credentials.
var AutodiscoverHosts = FromNetwork(HTTP, "GET https://{key}/autodiscover/autodiscover.xml", readAutodiscover)

func readAutodiscover(ctx context.Context, s *Side, host string) (Autodiscover, error) {
	return with(ctx, s, s.Link, func(ctx context.Context, l *link.Link) (Autodiscover, error) {
		client := l.Client(nil) // presents no credential and follows no redirect
		defer client.CloseIdleConnections()
		ctx, cancel := context.WithTimeout(ctx, cmp.Or(s.Timeout, defaultTimeout))
		defer cancel()
		u := url.URL{Scheme: "https", Host: host, Path: "/autodiscover/autodiscover.xml"}
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
		if err != nil {
			return Autodiscover{}, err
		}
		response, err := client.Do(request)
		if err != nil {
			return Autodiscover{}, fmt.Errorf("autodiscover at %s: %w", host, link.Classify(err))
		}
		defer response.Body.Close()
		_, _ = io.CopyN(io.Discard, response.Body, maxAnswer)
		out := Autodiscover{Status: response.StatusCode, Location: link.Printable(response.Header.Get("Location"))}
		for _, c := range link.Challenges(response.Header) {
			if !slices.Contains(out.Schemes, c.Scheme) {
				out.Schemes = append(out.Schemes, c.Scheme)
			}
		}
		if response.TLS != nil && len(response.TLS.PeerCertificates) > 0 {
			out.Certificate = response.TLS.PeerCertificates[0]
		}
		return out, nil
	})
}
