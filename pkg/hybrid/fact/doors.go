package fact

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/hybridge-cli/hybridge/pkg/engine/broken"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/snapshot"
	"github.com/hybridge-cli/hybridge/pkg/wire/ews"
	"github.com/hybridge-cli/hybridge/pkg/wire/link"
)

// Door is what one Exchange server answers under its own name. A load balancer answers with one
// server of many, so that a fault of another one is not seen.
type Door struct {
	Server, Host string
	// Gone reports that DNS has no address of the host, and has addresses of other servers.
	Gone bool
	Err  error // no connection; the fields below are then zero

	EWS, Autodiscover, MRSProxy ews.Front
	// Build is the installed one, of X-OWA-Version; zero when it is not shown.
	Build Build
	// Ahead is by how much the clock of the server is ahead of the clock here; nil: no Date.
	Ahead *time.Duration
	// Presented are the certificates for the names of the forest's web services, by name.
	Presented map[string][]*x509.Certificate
}

// MailDoor is what one Exchange server shows on port 25 under its own name.
type MailDoor struct {
	Server, Host string
	Gone         bool
	Mail         MailServer
	Err          error
}

// atOnce limits how many servers are asked at a time.
const atOnce = 8

// Doors are the web services of every Mailbox server, each asked without credentials.
var Doors = Derive(AtForest, List(PlacedServers), askDoors,
	Source{System: HTTP, Ask: "GET https://SERVER/EWS/Exchange.asmx, /autodiscover/autodiscover.xml, " +
		"/EWS/mrsproxy.svc, /owa/auth/logon.aspx"})

// MailDoors are the mail services of every Mailbox server.
var MailDoors = Derive(AtForest, List(PlacedServers), askMailDoors,
	Source{System: SMTP, Ask: "EHLO, STARTTLS at SERVER:25"})

func askDoors(ctx context.Context, side *Side) ([]Door, error) {
	return snapshot.Read(ctx, side.set.Tape, side.Name(), string(HTTP), "GET of every Mailbox server",
		func(ctx context.Context) ([]Door, error) { return lookAtDoors(ctx, side) })
}

func lookAtDoors(ctx context.Context, side *Side) ([]Door, error) {
	network := side.set.Network
	return with(ctx, network, network.Link, func(ctx context.Context, l *link.Link) ([]Door, error) {
		return perHost(ctx, side, func(ctx context.Context, s Placed) (d Door) {
			d = Door{Server: s.Name, Host: s.FQDN, Gone: s.Gone}
			defer broken.Into(&d.Err, "ask "+s.FQDN)
			if !s.Gone {
				d.Err = d.look(ctx, l, side)
			}
			return d
		})
	})
}

func askMailDoors(ctx context.Context, side *Side) ([]MailDoor, error) {
	return perHost(ctx, side, func(ctx context.Context, s Placed) (d MailDoor) {
		d = MailDoor{Server: s.Name, Host: s.FQDN, Gone: s.Gone}
		defer broken.Into(&d.Err, "ask "+s.FQDN)
		if !s.Gone {
			d.Mail, d.Err = MailServers.In(ctx, side.set.Network, s.FQDN)
		}
		return d
	})
}

// perHost asks the Mailbox servers of a forest, several at a time, in their order.
func perHost[T any](ctx context.Context, side *Side, ask func(ctx context.Context, s Placed) T) ([]T, error) {
	servers, err := PlacedServers.In(ctx, side)
	if err != nil {
		return nil, err
	}
	servers = slices.DeleteFunc(slices.Clone(servers), func(s Placed) bool { return s.FQDN == "" })
	out := make([]T, len(servers))
	slots := make(chan struct{}, atOnce)
	var wait sync.WaitGroup
	for i, s := range servers {
		wait.Go(func() {
			slots <- struct{}{}
			defer func() { <-slots }()
			out[i] = ask(ctx, s)
		})
	}
	wait.Wait()
	return out, ctx.Err()
}

// look asks the web services of a server. An address that does not answer is an answer of its own,
// unless none does.
func (d *Door) look(ctx context.Context, l *link.Link, side *Side) error {
	ctx, cancel := context.WithTimeout(ctx, cmp.Or(side.set.Network.Timeout, defaultTimeout))
	defer cancel()
	client := unverified(l)
	defer client.CloseIdleConnections()
	var err error
	if d.EWS, err = ews.Look(ctx, client, "https://"+d.Host+"/EWS/Exchange.asmx"); err != nil {
		return err
	}
	if d.Autodiscover, err = ews.Look(ctx, client, "https://"+d.Host+"/autodiscover/autodiscover.xml"); err != nil {
		return err
	}
	if d.MRSProxy, err = ews.Look(ctx, client, "https://"+d.Host+"/EWS/mrsproxy.svc"); err != nil {
		return err
	}
	if err := d.readHeaders(ctx, client); err != nil {
		return err
	}
	d.Presented = map[string][]*x509.Certificate{}
	for _, name := range []string{side.Answers.Namespace.EWS, side.Answers.Namespace.Autodiscover} {
		if name == "" || d.Presented[name] != nil {
			continue
		}
		conn, err := handshake(ctx, l, net.JoinHostPort(d.Host, "443"), name)
		if err != nil {
			continue // the server does not know the name; what answers for it is another machine
		}
		d.Presented[name] = conn.ConnectionState().PeerCertificates
		conn.Close()
	}
	return nil
}

// readHeaders reads the clock and the build of a server from the log-on page.
func (d *Door) readHeaders(ctx context.Context, client *http.Client) error {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://"+d.Host+"/owa/auth/logon.aspx", nil)
	if err != nil {
		return err
	}
	asked := time.Now()
	resp, err := client.Transport.RoundTrip(r)
	if err != nil {
		return link.Classify(err)
	}
	answered := time.Now()
	_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, 64<<10)) // so that the connection can be used again
	resp.Body.Close()
	if b, err := ParseBuild(resp.Header.Get("X-OWA-Version")); err == nil {
		d.Build = b
	}
	if told, err := http.ParseTime(resp.Header.Get("Date")); err == nil {
		ahead := told.Sub(asked.Add(answered.Sub(asked) / 2)).Truncate(time.Second) // Date has whole seconds
		d.Ahead = &ahead
	}
	return nil
}

// unverified returns a client that takes every certificate: servers seldom have their own names in
// the certificate of the web services. It sends no credential.
func unverified(l *link.Link) *http.Client {
	return &http.Client{Transport: &http.Transport{
		DialTLSContext: func(ctx context.Context, _, address string) (net.Conn, error) {
			host, _, err := net.SplitHostPort(address)
			if err != nil {
				return nil, err
			}
			return handshake(ctx, l, address, host)
		},
		TLSNextProto:          map[string]func(string, *tls.Conn) http.RoundTripper{}, // no HTTP/2
		ResponseHeaderTimeout: defaultTimeout,
	}}
}

// handshake connects to an address and asks for a name. The certificate is judged by the caller.
func handshake(ctx context.Context, l *link.Link, address, name string) (*tls.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, connectLimit)
	defer cancel()
	raw, err := l.DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	config := l.TLS(name)
	config.InsecureSkipVerify = true //nolint:gosec // nothing is sent that a stranger may not see
	conn := tls.Client(raw, config)
	if err := conn.HandshakeContext(ctx); err != nil {
		raw.Close()
		return nil, fmt.Errorf("connect to %s: %w", address, link.Classify(&link.HostError{Host: name, Err: err}))
	}
	return conn, nil
}

// Install is the installed build of a server.
type Install struct {
	Server string
	Build  Build
	// Told reports that the build shows the security update. Get-ExchangeServer shows the
	// cumulative update alone.
	Told bool
}

// Installed are the builds of the Mailbox servers. The log-on page of Outlook on the web shows the
// security update. A server whose build cannot be read is left out.
var Installed = Derive(AtForest, List(PlacedServers, Doors), func(ctx context.Context, s *Side) ([]Install, error) {
	servers, err := PlacedServers.In(ctx, s)
	if err != nil {
		return nil, err
	}
	doors, err := Doors.In(ctx, s)
	if err != nil {
		return nil, err
	}
	var out []Install
	for _, server := range servers {
		b, err := server.Build()
		if err != nil || server.Gone {
			continue
		}
		line, known := b.Line()
		i := Install{server.Name, b, !known || b != line.First}
		for _, d := range doors {
			if d.Server == server.Name && d.Build.Build == b.Build && d.Build.Compare(b) >= 0 {
				i.Build, i.Told = d.Build, true
			}
		}
		out = append(out, i)
	}
	return out, nil
})
