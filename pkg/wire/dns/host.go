package dns

import (
	"bufio"
	"context"
	"errors"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"strings"
)

// LookupHost returns the addresses of a host, IPv4 first, as net.Resolver's method does. The
// address of an IP address is itself. IPv4 and IPv6 are separate questions, and a failure of one
// never counts as the absence of the host. The hosts file has precedence. The system's own resolver
// is asked first by a Client without Resolvers and for names of one label, which search lists
// complete.
func (c *Client) LookupHost(ctx context.Context, host string) ([]string, error) {
	if address, err := netip.ParseAddr(strings.Trim(host, "[]")); err == nil {
		return []string{address.String()}, nil
	}
	if found := hostsFile(host); len(found) > 0 {
		return found, nil
	}
	type result struct {
		found []string
		err   error
	}
	ask := func(t Type) result {
		if len(c.Resolvers) == 0 || !strings.Contains(host, ".") {
			if found := systemAddresses(ctx, host, t); len(found) > 0 {
				return result{found: found}
			}
		}
		a, err := c.Lookup(ctx, host, t)
		r := result{err: err}
		for _, record := range a.Records {
			r.found = append(r.found, record.Address.String())
		}
		return r
	}
	six := make(chan result, 1)
	go func() { six <- ask(AAAA) }()
	v4 := ask(A)
	v6 := <-six
	if found := append(v4.found, v6.found...); len(found) > 0 {
		return found, nil
	}
	// A failure says nothing about the host, so it precedes an absence. The name exists where
	// either answer says that it does.
	for _, class := range []error{ErrFailed, ErrEmpty, ErrAbsent} {
		for _, err := range []error{v4.err, v6.err} {
			if errors.Is(err, class) {
				return nil, err
			}
		}
	}
	return nil, v4.err
}

// systemAddresses asks the operating system, which may know the host from elsewhere than DNS.
func systemAddresses(ctx context.Context, host string, t Type) []string {
	network := "ip4"
	if t == AAAA {
		network = "ip6"
	}
	addresses, err := net.DefaultResolver.LookupNetIP(ctx, network, host)
	if err != nil {
		return nil
	}
	out := make([]string, len(addresses))
	for i, a := range addresses {
		out[i] = a.Unmap().String()
	}
	return out
}

// hostsFile returns the addresses that the hosts file has for a host.
func hostsFile(host string) []string {
	path := "/etc/hosts"
	if runtime.GOOS == "windows" {
		path = filepath.Join(os.Getenv("SystemRoot"), "System32", "drivers", "etc", "hosts")
	}
	f, err := os.Open(path)
	if err != nil {
		return nil
	}
	defer f.Close()
	var out []string
	for lines := bufio.NewScanner(f); lines.Scan(); {
		line, _, _ := strings.Cut(lines.Text(), "#")
		words := strings.Fields(line)
		if len(words) < 2 {
			continue
		}
		address, err := netip.ParseAddr(words[0])
		if err != nil {
			continue
		}
		for _, name := range words[1:] {
			if Name(name) == Name(host) {
				out = append(out, address.String())
			}
		}
	}
	return out
}
