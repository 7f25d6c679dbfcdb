package link

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strings"
	"time"
)

// DialContext connects to address ("HOST:PORT"): connect-to applied, name resolved, through the
// proxy where there is one and network is TCP, within the time limit. Errors are classified and
// name the address asked for.
func (l *Link) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, l.timeout)
	defer cancel()
	defer Await(ctx, "connect to "+address)()
	began := time.Now()
	conn, err := l.dial(ctx, network, address)
	if err != nil {
		return nil, l.dialError(address, after(err, began))
	}
	return conn, nil
}

// DialTLS is DialContext and a TLS handshake with serverName. When serverName is empty the host of
// address is taken.
func (l *Link) DialTLS(ctx context.Context, address, serverName string) (*tls.Conn, error) {
	if serverName == "" {
		host, _, err := net.SplitHostPort(address)
		if err != nil {
			return nil, l.dialError(address, err)
		}
		serverName = host
	}
	return l.dialTLS(ctx, "tcp", address, l.TLS(serverName))
}

func (l *Link) dialTLS(ctx context.Context, network, address string, config *tls.Config) (*tls.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, l.timeout)
	defer cancel()
	defer Await(ctx, "connect to "+address)()
	began := time.Now()
	raw, err := l.dial(ctx, network, address)
	if err != nil {
		return nil, l.dialError(address, after(err, began))
	}
	conn := tls.Client(raw, config)
	if err := conn.HandshakeContext(ctx); err != nil {
		raw.Close()
		failed := Classify(&HostError{Host: config.ServerName, Err: &handshakeError{err}})
		if target, _ := l.Target(address); errors.Is(failed, ErrUntrusted) && l.proxied(network, target) {
			// A proxy that inspects TLS shows its own certificate.
			failed = &ProxyError{l.proxy.Host,
				fmt.Errorf("the certificate that came through it may be its own: %w", failed)}
		}
		return nil, l.dialError(address, after(failed, began))
	}
	return conn, nil
}

// after adds the waiting time to a time-out.
func after(err error, began time.Time) error {
	if !errors.Is(err, context.DeadlineExceeded) && !errors.Is(err, os.ErrDeadlineExceeded) {
		return err
	}
	return fmt.Errorf("%w, after %.1f s", Classify(err), time.Since(began).Seconds())
}

// dialError names the address asked for and, when it differs, where it was connected to.
func (l *Link) dialError(address string, err error) error {
	err = Classify(err)
	if target, mapped := l.Target(address); mapped && target != address {
		address += " (connect-to " + target + ")"
		if errors.Is(err, ErrUnreachable) {
			err = &redirectedError{target, err}
		}
	}
	return fmt.Errorf("connect to %s: %w", address, err)
}

// redirectedError is an error of a connection that connect-to led to another address.
type redirectedError struct {
	target string
	err    error
}

func (e *redirectedError) Error() string { return e.err.Error() }
func (e *redirectedError) Unwrap() error { return e.err }

// Hint is what to do when nothing answers there. The answers file of a lab leads all connections to
// this machine.
func (e *redirectedError) Hint() string {
	hint := "check the address that network.connectTo leads to"
	host, _, err := net.SplitHostPort(e.target)
	if err == nil && loopback(canonicalHost(host)) {
		hint += "; a lab that has stopped is started anew with: hybridge lab start --dir DIR"
	}
	return hint
}

func (l *Link) dial(ctx context.Context, network, address string) (net.Conn, error) {
	target, _ := l.Target(address)
	if l.proxied(network, target) {
		return l.dialProxy(ctx, target)
	}
	return l.dialDirect(ctx, network, target)
}

// proxied reports whether target is reached through the proxy.
func (l *Link) proxied(network, target string) bool {
	return l.proxy != nil && strings.HasPrefix(network, "tcp") && !l.bypassesProxy(target)
}

func loopback(host string) bool {
	addr, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && addr.IsLoopback()
}

// bypassesProxy reports whether target is reached directly: loopback and the hosts of NoProxy.
func (l *Link) bypassesProxy(target string) bool {
	host, _, err := net.SplitHostPort(target)
	if err != nil {
		return false
	}
	host = canonicalHost(host)
	if loopback(host) {
		return true
	}
	addr, addrErr := netip.ParseAddr(host)
	for _, p := range l.noProxy {
		if prefix, err := netip.ParsePrefix(p); err == nil {
			if addrErr == nil && prefix.Contains(addr.Unmap()) {
				return true
			}
			continue
		}
		if suffix, ok := strings.CutPrefix(p, "*"); ok {
			p = suffix
		}
		if host == canonicalHost(p) || strings.HasPrefix(p, ".") && strings.HasSuffix(host, p) {
			return true
		}
	}
	return false
}

// prefixedConn returns first what was read ahead.
type prefixedConn struct {
	net.Conn
	early []byte
}

func (c *prefixedConn) Read(p []byte) (int, error) {
	if len(c.early) > 0 {
		n := copy(p, c.early)
		c.early = c.early[n:]
		return n, nil
	}
	return c.Conn.Read(p)
}
