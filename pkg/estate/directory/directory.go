// Package directory reads one Active Directory forest over LDAP: its domains and trusts, the
// Exchange configuration that is kept in it, and its users as a stream. It changes nothing.
//
// Connections are always encrypted (LDAPS or StartTLS). A bind is Kerberos (ticket cache, keytab,
// password; the logged-on user on Windows) or a name with a password. Errors wrap link.ErrAccess,
// link.ErrUntrusted and link.ErrUnreachable; a read is complete or it is an error.
package directory

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hybridge-cli/hybridge/pkg/config/answers"
	"github.com/hybridge-cli/hybridge/pkg/config/secret"
	"github.com/hybridge-cli/hybridge/pkg/wire/link"
)

// Config says which forest to read, and how to reach it.
type Config struct {
	Name string // of the forest, for errors
	// Directory is the forest's section of the answers. Servers are tried in their order; without
	// servers they are found by DNS (_ldap._tcp.dc._msdcs.DOMAIN). Paths in Bind must be absolute
	// or relative to the working directory.
	Directory answers.Directory
	Password  secret.Value // of Directory.Bind, resolved; zero when it has none
	Link      *link.Link
	// LookupSRV finds domain controllers; net.DefaultResolver's when nil.
	LookupSRV func(ctx context.Context, service, proto, name string) (string, []*net.SRV, error)
	// Timeout is how long a server may be silent; link.DefaultTimeout when 0. A read of
	// configuration as a whole may take readTime; a stream of users is limited by its context
	// alone.
	Timeout time.Duration
}

// Forest is one Active Directory forest, read through one domain controller. It is safe for
// concurrent use: small reads take turns on one connection, each stream of users has its own.
type Forest struct {
	cfg     Config
	address string // of the domain controller chosen at Open
	root    RootDSE

	mu   sync.Mutex
	idle *conn // nil when none is open

	expected atomic.Int64
}

// Expected is about how many users a running pass of Users meets, as the server estimates it; 0
// when it does not, and in a forest of several domains.
func (f *Forest) Expected() int { return int(f.expected.Load()) }

// Open connects to the first domain controller that answers, binds, and reads its root DSE. The
// next server is tried only when one cannot be reached. After a refused sign-in or an untrusted
// certificate no other server is tried.
func Open(ctx context.Context, cfg Config) (*Forest, error) {
	if cfg.Timeout <= 0 {
		cfg.Timeout = link.DefaultTimeout
	}
	if cfg.LookupSRV == nil {
		cfg.LookupSRV = net.DefaultResolver.LookupSRV
	}
	f := &Forest{cfg: cfg}
	if cfg.Link == nil {
		return nil, f.wrap(errors.New("no link to connect through"))
	}
	switch cfg.Directory.Security {
	case "", securityLDAPS, securityStartTLS:
	default:
		return nil, f.wrap(fmt.Errorf("directory security %q: want ldaps or starttls", cfg.Directory.Security))
	}
	servers, err := f.servers(ctx)
	if err != nil {
		return nil, f.wrap(err)
	}
	c, err := f.connect(ctx, servers)
	if err != nil {
		return nil, f.wrap(err)
	}
	f.address = c.address
	if f.root, err = readRootDSE(ctx, c); err != nil {
		c.close()
		return nil, f.wrap(fmt.Errorf("read root DSE of %s: %w", c.address, err))
	}
	f.idle = c
	return f, nil
}

// Close ends the connection. A Forest that is used after it connects again.
func (f *Forest) Close() {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.idle != nil {
		f.idle.close()
		f.idle = nil
	}
}

// Name is the forest's name in the answers.
func (f *Forest) Name() string { return f.cfg.Name }

// Server is the domain controller in use, HOST:PORT.
func (f *Forest) Server() string { return f.address }

// RootDSE is what the domain controller said about itself at Open.
func (f *Forest) RootDSE() RootDSE { return f.root }

func (f *Forest) wrap(err error) error {
	if err == nil || f.cfg.Name == "" {
		return err
	}
	return fmt.Errorf("%s: %w", f.cfg.Name, err)
}

// servers lists the addresses to try, HOST:PORT, the preferred one first.
func (f *Forest) servers(ctx context.Context) ([]string, error) {
	var out []string
	for _, s := range f.cfg.Directory.Servers {
		out = append(out, f.withPort(s))
	}
	if len(out) > 0 {
		return out, nil
	}
	if f.cfg.Directory.Domain == "" {
		return nil, errors.New("neither servers nor a domain to find them in")
	}
	return f.discover(ctx, f.cfg.Directory.Domain)
}

func (f *Forest) withPort(server string) string {
	if _, _, err := net.SplitHostPort(server); err == nil {
		return server
	}
	port := "636"
	if f.cfg.Directory.Security == securityStartTLS {
		port = "389"
	}
	return net.JoinHostPort(strings.Trim(server, "[]"), port)
}

// discover finds the domain controllers of a domain, best first. The records name the port of plain
// LDAP, which LDAPS does not use. DNS can be forged, and the servers found get a password. So names
// outside the domain are left out.
func (f *Forest) discover(ctx context.Context, domain string) ([]string, error) {
	ctx, cancel := context.WithTimeout(ctx, f.cfg.Timeout)
	defer cancel()
	_, records, err := f.cfg.LookupSRV(ctx, "ldap", "tcp", "dc._msdcs."+domain)
	if err != nil {
		return nil, fmt.Errorf("find domain controllers of %s: %w", domain, link.Classify(err))
	}
	var out, outside []string
	for _, r := range records {
		host := strings.TrimSuffix(r.Target, ".")
		if host == "" {
			continue
		}
		if !f.inForest(host, domain) {
			outside = append(outside, link.Line(host))
			continue
		}
		if f.cfg.Directory.Security == securityStartTLS && r.Port != 0 {
			out = append(out, net.JoinHostPort(host, strconv.Itoa(int(r.Port))))
		} else {
			out = append(out, f.withPort(host))
		}
	}
	switch {
	case len(out) == 0 && len(outside) > 0:
		return nil, fmt.Errorf("find domain controllers of %s: %w: DNS lists %s, outside the domain; name the "+
			"servers in the answers (directory.servers) if they are right",
			domain, link.ErrUnreachable, strings.Join(outside, ", "))
	case len(out) == 0:
		return nil, fmt.Errorf("find domain controllers of %s: %w: DNS lists none", domain, link.ErrUnreachable)
	}
	return out, nil
}

// inForest reports whether a host is in or below a domain, or another domain of the forest that the
// answers or an authenticated server named.
func (f *Forest) inForest(host, domain string) bool {
	for _, d := range []string{domain, f.cfg.Directory.Domain, DomainName(f.root.RootDomain),
		DomainName(f.root.DefaultNamingContext)} {
		if d = strings.ToLower(strings.Trim(d, ".")); d != "" && strings.HasSuffix("."+strings.ToLower(host), "."+d) {
			return true
		}
	}
	return false
}

// connect dials and binds to the first server that answers.
func (f *Forest) connect(ctx context.Context, servers []string) (*conn, error) {
	var failures []error
	for _, address := range servers {
		c, err := f.connectTo(ctx, address)
		if err == nil {
			return c, nil
		}
		if ctx.Err() != nil || !errors.Is(err, link.ErrUnreachable) {
			return nil, err
		}
		failures = append(failures, err)
	}
	if len(failures) == 1 {
		return nil, failures[0]
	}
	return nil, &unreachableError{failures}
}

// unreachableError lists every server that was tried, on one line.
type unreachableError struct{ failures []error }

func (e *unreachableError) Error() string {
	texts := make([]string, len(e.failures))
	for i, f := range e.failures {
		texts[i] = f.Error()
	}
	return "no domain controller answers: " + strings.Join(texts, "; ")
}

func (e *unreachableError) Unwrap() []error { return e.failures }

func (f *Forest) connectTo(ctx context.Context, address string) (*conn, error) {
	c, err := dial(ctx, &f.cfg, address)
	if err != nil {
		return nil, otherPort(err, address, f.cfg.Directory.Security)
	}
	if err := c.bind(ctx, &f.cfg); err != nil {
		c.close()
		as := ""
		if f.cfg.Directory.Bind.User != "" {
			as = " as " + f.cfg.Directory.Bind.User
		}
		return nil, fmt.Errorf("bind to %s%s: %w", address, as, err)
	}
	return c, nil
}

// plainPorts and securePorts are those of LDAP and the global catalogue.
var (
	plainPorts  = map[string]bool{"389": true, "3268": true}
	securePorts = map[string]bool{"636": true, "3269": true}
)

// otherPort adds to a failed connection that the port is that of the other kind of encryption.
func otherPort(err error, address, security string) error {
	if errors.Is(err, link.ErrUntrusted) || errors.Is(err, context.Canceled) {
		return err // TLS was spoken
	}
	_, port, _ := net.SplitHostPort(address)
	switch {
	case security != securityStartTLS && plainPorts[port]:
		return fmt.Errorf("%w; port %s is that of LDAP without TLS: set directory.security to starttls, or use port "+
			"636", err, port)
	case security == securityStartTLS && securePorts[port]:
		return fmt.Errorf("%w; port %s is that of LDAP over TLS: set directory.security to ldaps, or use port 389", err,
			port)
	}
	return err
}

// readTime is what a read of configuration may take: a server that sends a little now and then is
// never silent.
const readTime = 5 * time.Minute

// read runs one operation on the shared connection. A connection that the server has closed since
// (Active Directory does after 15 minutes without use) is replaced once.
func (f *Forest) read(ctx context.Context, what string, run func(*conn) error) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	for {
		c, used := f.idle, f.idle != nil
		if c == nil {
			var err error
			if c, err = f.connectTo(ctx, f.address); err != nil {
				return f.wrap(err)
			}
			f.idle = c
		}
		err := run(c)
		if !usable(err) {
			c.close()
			f.idle = nil
			if used && ctx.Err() == nil && errors.Is(err, link.ErrUnreachable) {
				continue
			}
		}
		if err != nil {
			return f.wrap(fmt.Errorf("read %s from %s: %w", what, f.address, err))
		}
		return nil
	}
}

// search is read for one query.
func (f *Forest) search(ctx context.Context, what string, q query) (found []object, err error) {
	ctx, cancel := context.WithTimeout(ctx, readTime)
	defer cancel()
	err = f.read(ctx, what, func(c *conn) error {
		found, err = c.objects(ctx, q)
		return err
	})
	return found, err
}
