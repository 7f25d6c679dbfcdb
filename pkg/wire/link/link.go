// Package link is how a connection is made: where a name is really connected to, who resolves it,
// which certificate authorities are trusted, through which proxy, within what time, and how the
// caller authenticates.
//
// A Link is made once from the answers' network section and shared by everything that connects.
// Credentials are not part of it: Clients share no connections. NTLM and often Kerberos
// authenticate a connection and not a request. A connection shared by two callers would answer the
// second with the rights of the first.
package link

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/hybridge-cli/hybridge/pkg/config/secret"
)

// The classes of failure that every package above distinguishes. Test with errors.Is.
var (
	ErrAccess      = errors.New("access refused")       // wrong password, missing role, 401, 403, LDAP 49
	ErrUntrusted   = errors.New("certificate refused")  // TLS verification failed
	ErrUnreachable = errors.New("server not reachable") // no address, refused, no route
)

// The limits that hold where Options name none.
const (
	DefaultTimeout         = 30 * time.Second
	DefaultResponseTimeout = 2 * time.Minute
	DefaultMaxBody         = 64 << 20
)

// Options say how to connect. The zero Options connect directly, with the system's resolver and
// authorities.
type Options struct {
	// ConnectTo maps requested addresses to those that are connected to, "HOST:PORT=HOST:PORT". The
	// first match wins. An empty HOST or PORT matches any on the left, and keeps the requested one
	// on the right. Names in URLs, TLS and HTTP do not change, as with curl's --connect-to.
	ConnectTo []string

	// LookupHost returns the addresses of a host that is no IP address; the system's resolver when
	// nil. Its errors are shown as they are, and are ErrUnreachable.
	LookupHost func(ctx context.Context, host string) ([]string, error)

	CAFile string         // PEM file of authorities trusted besides the system's
	CAs    *x509.CertPool // authorities trusted instead of the system's; CAFile is added

	// Proxy is an HTTP proxy, "http://[USER:PASSWORD@]HOST[:PORT]" or https. TCP goes through it by
	// CONNECT, except for loopback addresses and the hosts of NoProxy ("host", ".suffix",
	// "10.0.0.0/8"). Nothing is taken from the environment.
	Proxy   string
	NoProxy []string
	// ProxyUser and ProxyPassword sign in to the proxy when it asks, by NTLM or Basic.
	ProxyUser     string
	ProxyPassword secret.Value

	InsecureHosts []string // hosts whose certificate is not verified; a report must list them

	Timeout time.Duration // to have a connection: name, TCP, proxy, TLS; DefaultTimeout when 0
	// of a request until its answer begins, and again until it has ended; DefaultResponseTimeout
	// when 0
	ResponseTimeout time.Duration
	MaxBody         int64 // bytes of an answer's body, unpacked; DefaultMaxBody when 0

	// Log takes one line per call at debug, and bodies at LevelTrace. May be nil.
	Log *slog.Logger
}

// Link makes connections. It is safe for concurrent use.
type Link struct {
	routes          []route
	lookupHost      func(ctx context.Context, host string) ([]string, error)
	roots           *x509.CertPool
	proxy           *url.URL
	noProxy         []string
	proxyUser       string
	proxyPassword   secret.Value
	insecure        []string
	timeout         time.Duration
	responseTimeout time.Duration
	maxBody         int64

	log *slog.Logger // nil: nothing is logged

	mu   sync.Mutex
	idle []func() // closes the idle connections of a client
}

// New checks o and makes a Link. It reads CAFile and connects to nothing.
func New(o Options) (*Link, error) {
	l := &Link{log: o.Log, lookupHost: o.LookupHost, timeout: o.Timeout, responseTimeout: o.ResponseTimeout,
		maxBody: o.MaxBody}
	if l.timeout <= 0 {
		l.timeout = DefaultTimeout
	}
	if l.responseTimeout <= 0 {
		l.responseTimeout = DefaultResponseTimeout
	}
	if l.maxBody <= 0 {
		l.maxBody = DefaultMaxBody
	}
	for _, s := range o.ConnectTo {
		r, err := parseRoute(s)
		if err != nil {
			return nil, err
		}
		l.routes = append(l.routes, r)
	}
	if err := l.loadRoots(o); err != nil {
		return nil, err
	}
	if o.Proxy != "" {
		u, err := parseProxy(o.Proxy)
		if err != nil {
			return nil, err
		}
		l.proxy, l.proxyUser, l.proxyPassword = u, o.ProxyUser, o.ProxyPassword
	}
	for _, s := range o.NoProxy {
		l.noProxy = append(l.noProxy, strings.ToLower(strings.TrimSpace(s)))
	}
	for _, h := range o.InsecureHosts {
		host := canonicalHost(h)
		if host == "" || strings.ContainsAny(host, "*/@ ") {
			return nil, fmt.Errorf("insecure host %q: want one host name, without port or wildcard", h)
		}
		l.insecure = append(l.insecure, host)
	}
	slices.Sort(l.insecure)
	l.insecure = slices.Compact(l.insecure)
	return l, nil
}

func (l *Link) loadRoots(o Options) error {
	switch {
	case o.CAs != nil:
		l.roots = o.CAs.Clone()
	case o.CAFile == "":
		return nil // nil roots: the system's
	default:
		pool, err := x509.SystemCertPool()
		if err != nil { // a system without any store is usable with an own authority
			pool = x509.NewCertPool()
		}
		l.roots = pool
	}
	if o.CAFile == "" {
		return nil
	}
	pem, err := ReadFile(o.CAFile)
	if err != nil {
		return fmt.Errorf("read certificate authorities: %w", err)
	}
	if !l.roots.AppendCertsFromPEM(pem) {
		return fmt.Errorf("read certificate authorities: %s holds no PEM certificate", o.CAFile)
	}
	return nil
}

// maxFile is far above any list of authorities (the system's has some 200 KiB), configuration,
// keytab or ticket cache.
const maxFile = 16 << 20

// ReadFile reads regular files up to 16 MiB. A pipe without a writer would hang, and a device never
// ends.
func ReadFile(path string) ([]byte, error) {
	info, err := os.Stat(path)
	switch {
	case err != nil:
		return nil, err
	case !info.Mode().IsRegular():
		return nil, fmt.Errorf("%s is not a regular file", path)
	case info.Size() > maxFile:
		return nil, fmt.Errorf("%s is larger than %d MiB", path, maxFile>>20)
	}
	return os.ReadFile(path)
}

// Insecure lists the hosts whose certificates are not verified, sorted.
func (l *Link) Insecure() []string { return slices.Clone(l.insecure) }

// Roots are the authorities trusted, nil for the system's alone.
func (l *Link) Roots() *x509.CertPool {
	if l.roots == nil {
		return nil
	}
	return l.roots.Clone()
}

// TLS is the configuration for a connection to serverName (a host name or address without port):
// TLS 1.2 or better, verified unless serverName is one of the insecure hosts.
func (l *Link) TLS(serverName string) *tls.Config {
	return &tls.Config{
		ServerName: strings.TrimSuffix(serverName, "."),
		RootCAs:    l.roots,
		MinVersion: tls.VersionTLS12,
		InsecureSkipVerify: slices.Contains(l.insecure,
			canonicalHost(serverName)), //nolint:gosec // asked for by name, listed in reports
	}
}

// canonicalHost folds a host name for comparison.
func canonicalHost(h string) string {
	h = strings.TrimSpace(h)
	if strings.HasPrefix(h, "[") && strings.HasSuffix(h, "]") {
		h = h[1 : len(h)-1]
	}
	return strings.ToLower(strings.TrimSuffix(h, "."))
}

// parseProxy never puts the text into an error, because it may hold a password.
func parseProxy(s string) (*url.URL, error) {
	u, err := url.Parse(s)
	if err != nil || u.Host == "" || u.Hostname() == "" {
		return nil, errors.New("proxy: not a URL of the form http://HOST:PORT")
	}
	if u.Scheme != "http" && u.Scheme != "https" {
		return nil, fmt.Errorf("proxy %s: scheme %q is not supported, use http or https", u.Host, u.Scheme)
	}
	if u.Port() == "" {
		port := "80"
		if u.Scheme == "https" {
			port = "443"
		}
		u.Host = net.JoinHostPort(u.Hostname(), port)
	}
	return &url.URL{Scheme: u.Scheme, User: u.User, Host: u.Host}, nil
}
