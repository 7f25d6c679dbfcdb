package link

import (
	"fmt"
	"net"
	"strconv"
	"strings"
	"unicode"
)

// route is one parsed connect-to entry. Empty strings are wildcards on the left and "as asked" on
// the right.
type route struct {
	fromHost, fromPort string
	toHost, toPort     string
}

// parseRoute reads "HOST:PORT=HOST:PORT".
func parseRoute(s string) (route, error) {
	left, right, ok := strings.Cut(s, "=")
	if !ok {
		return route{}, fmt.Errorf("connect-to %q: want HOST:PORT=HOST:PORT", s)
	}
	var r route
	var err error
	if r.fromHost, r.fromPort, err = splitRoute(left); err != nil {
		return route{}, fmt.Errorf("connect-to %q: %w", s, err)
	}
	if r.toHost, r.toPort, err = splitRoute(right); err != nil {
		return route{}, fmt.Errorf("connect-to %q: %w", s, err)
	}
	if r.toHost == "" && r.toPort == "" {
		return route{}, fmt.Errorf("connect-to %q: nothing on the right to connect to", s)
	}
	r.fromHost = canonicalHost(r.fromHost)
	return r, nil
}

// splitRoute is net.SplitHostPort with both parts optional, and a port that must be a number.
func splitRoute(s string) (host, port string, err error) {
	s = strings.TrimSpace(s)
	host, port, err = net.SplitHostPort(s)
	if err != nil {
		return "", "", fmt.Errorf("%q is not HOST:PORT (write an IPv6 address in brackets)", s)
	}
	// An empty label is not a name, and "." alone must not become the wildcard.
	if strings.ContainsFunc(host, notInName) || strings.HasPrefix(host, ".") || strings.Contains(host, "..") {
		return "", "", fmt.Errorf("%q is not a host name", host)
	}
	if port != "" {
		if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
			return "", "", fmt.Errorf("%q is not a port between 1 and 65535", port)
		}
	}
	return host, port, nil
}

func notInName(r rune) bool {
	return unicode.IsSpace(r) || unicode.IsControl(r) || r == unicode.ReplacementChar ||
		strings.ContainsRune("/@=[]", r)
}

func (r route) match(host, port string) bool {
	return (r.fromHost == "" || r.fromHost == canonicalHost(host)) && (r.fromPort == "" || r.fromPort == port)
}

// Target returns where address ("HOST:PORT") is really connected to, and whether an entry of
// ConnectTo said so.
func (l *Link) Target(address string) (target string, mapped bool) {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return address, false
	}
	for _, r := range l.routes {
		if !r.match(host, port) {
			continue
		}
		if r.toHost != "" {
			host = r.toHost
		}
		if r.toPort != "" {
			port = r.toPort
		}
		return net.JoinHostPort(host, port), true
	}
	return address, false
}
