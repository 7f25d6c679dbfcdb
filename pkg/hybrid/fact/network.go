package fact

import (
	"cmp"
	"context"
	"fmt"
	"net"
	"time"

	"github.com/hybridge-cli/hybridge/pkg/estate/certificate"
	"github.com/hybridge-cli/hybridge/pkg/wire/dns"
	"github.com/hybridge-cli/hybridge/pkg/wire/ews"
	"github.com/hybridge-cli/hybridge/pkg/wire/link"
	"github.com/hybridge-cli/hybridge/pkg/wire/smtp"
)

// DNS records. dns.ErrAbsent and dns.ErrEmpty say that there is none.
var (
	TXT = FromNetwork(DNS, "TXT {key}", func(ctx context.Context, s *Side, domain string) ([]string, error) {
		a, err := s.lookup(ctx, domain, dns.TXT)
		var out []string
		for _, r := range a.Records {
			out = append(out, r.Text)
		}
		return out, err
	})

	// MX are the mail exchangers of a domain, best first.
	MX = FromNetwork(DNS, "MX {key}", func(ctx context.Context, s *Side, domain string) ([]string, error) {
		a, err := s.lookup(ctx, domain, dns.MX)
		var out []string
		for _, r := range a.Records {
			out = append(out, r.Target)
		}
		return out, err
	})

	// Aliases are the names in the CNAME chain of a host name.
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

// defaultTimeout limits one question to a server.
const defaultTimeout = 30 * time.Second

// MailServer is what a mail server shows to a client that has not signed in.
type MailServer struct {
	smtp.Report
	Err         error              // why the probe ended early
	Certificate certificate.Bundle // as served after STARTTLS, not judged; zero without it
}

// connectLimit limits a connection to a mail server: outbound port 25 is often closed.
const connectLimit = 10 * time.Second

// MailServers are what mail servers show on port 25 by host.
var MailServers = FromNetwork(SMTP, "EHLO, STARTTLS at {key}:25", readMailServer)

func readMailServer(ctx context.Context, s *Side, host string) (MailServer, error) {
	return with(ctx, s, s.Link, func(ctx context.Context, l *link.Link) (MailServer, error) {
		dial := func(ctx context.Context, network, address string) (net.Conn, error) {
			ctx, cancel := context.WithTimeout(ctx, connectLimit)
			defer cancel()
			return l.DialContext(ctx, network, address)
		}
		var out MailServer
		o := smtp.Options{Dial: dial, Hello: s.EHLOName, Timeout: cmp.Or(s.Timeout, defaultTimeout)}
		out.Report, out.Err = smtp.Probe(ctx, o, net.JoinHostPort(host, "25"), host)
		if err := ctx.Err(); err != nil {
			return out, err
		}
		if out.TLS == nil {
			return out, nil
		}
		var err error
		out.Certificate, err = certificate.FromPeer(out.TLS.Certificates)
		out.Certificate.Staple = out.TLS.Staple
		return out, err
	})
}

// AutodiscoverHosts are what hosts answer at /autodiscover/autodiscover.xml without credentials.
var AutodiscoverHosts = front("/autodiscover/autodiscover.xml")

// EWSHosts are what hosts answer at /EWS/Exchange.asmx without credentials.
var EWSHosts = front("/EWS/Exchange.asmx")

// front asks hosts at a path of Exchange without credentials.
func front(path string) *Keyed[ews.Front] {
	return FromNetwork(HTTP, "GET https://{key}"+path,
		func(ctx context.Context, s *Side, host string) (ews.Front, error) {
			return with(ctx, s, s.Link, func(ctx context.Context, l *link.Link) (ews.Front, error) {
				client := l.Client(nil) // presents no credential and follows no redirect
				defer client.CloseIdleConnections()
				ctx, cancel := context.WithTimeout(ctx, cmp.Or(s.Timeout, defaultTimeout))
				defer cancel()
				return ews.Look(ctx, client, "https://"+host+path)
			})
		})
}

// DeadAddresses are the addresses at which nothing answers, for hosts with several addresses, by
// HOST:PORT.
var DeadAddresses = FromNetwork(DNS, "A, AAAA {key}",
	func(ctx context.Context, s *Side, address string) (DeadOf, error) {
		return with(ctx, s, s.Link, func(ctx context.Context, l *link.Link) (DeadOf, error) {
			host, port, err := net.SplitHostPort(address)
			if err != nil {
				return DeadOf{}, err
			}
			var out DeadOf
			out.Dead, out.All = l.DeadAddresses(ctx, host, port)
			return out, nil
		})
	})

// DeadOf holds the dead addresses of a host, among all its addresses.
type DeadOf struct {
	Dead []link.Dead
	All  int
}

// Redirects are the addresses to which hosts redirect clients that look for autodiscover over plain
// http; empty: the host answers and redirects to nothing.
var Redirects = FromNetwork(HTTP, "GET http://{key}/autodiscover/autodiscover.xml",
	func(ctx context.Context, s *Side, host string) (string, error) {
		return with(ctx, s, s.Link, func(ctx context.Context, l *link.Link) (string, error) {
			client := l.Client(nil) // follows no redirect
			defer client.CloseIdleConnections()
			ctx, cancel := context.WithTimeout(ctx, cmp.Or(s.Timeout, defaultTimeout))
			defer cancel()
			f, err := ews.Look(ctx, client, "http://"+host+"/autodiscover/autodiscover.xml")
			if err != nil || f.Status/100 != 3 {
				return "", err
			}
			return f.Location, nil
		})
	})
