package link

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
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
			// A proxy that inspects TLS shows a certificate of its own.
			failed = &ProxyError{l.proxy.Host,
				fmt.Errorf("the certificate that came through it may be its own: %w", failed)}
		}
		return nil, l.dialError(address, after(failed, began))
	}
	return conn, nil
}

// after says how long a time-out was waited for.
func after(err error, began time.Time) error {
	if !errors.Is(err, context.DeadlineExceeded) && !errors.Is(err, os.ErrDeadlineExceeded) {
		return err
	}
	return fmt.Errorf("%w, after %.1f s", Classify(err), time.Since(began).Seconds())
}

// dialError names the address asked for and, when it differs, where it was connected to.
func (l *Link) dialError(address string, err error) error {
	if target, mapped := l.Target(address); mapped && target != address {
		address += " (connect-to " + target + ")"
	}
	return fmt.Errorf("connect to %s: %w", address, Classify(err))
}

func (l *Link) dial(ctx context.Context, network, address string) (net.Conn, error) {
	target, _ := l.Target(address)
	if l.proxied(network, target) {
		return l.dialProxy(ctx, target)
	}
	return l.dialDirect(ctx, network, target)
}

// proxied tells whether target is reached through the proxy.
func (l *Link) proxied(network, target string) bool {
	return l.proxy != nil && strings.HasPrefix(network, "tcp") && !l.bypassesProxy(target)
}

// bypassesProxy tells whether target is reached directly: loopback and the hosts of NoProxy.
func (l *Link) bypassesProxy(target string) bool {
	host, _, err := net.SplitHostPort(target)
	if err != nil {
		return false
	}
	host = canonicalHost(host)
	addr, addrErr := netip.ParseAddr(host)
	if host == "localhost" || addrErr == nil && addr.IsLoopback() {
		return true
	}
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

// dialProxy asks the proxy for a tunnel to target.
func (l *Link) dialProxy(ctx context.Context, target string) (net.Conn, error) {
	conn, err := l.dialDirect(ctx, "tcp", l.proxy.Host)
	if err != nil {
		return nil, &ProxyError{l.proxy.Host, Classify(err)}
	}
	if l.proxy.Scheme == "https" {
		secured := tls.Client(conn, l.TLS(l.proxy.Hostname()))
		if err := secured.HandshakeContext(ctx); err != nil {
			conn.Close()
			return nil, &ProxyError{l.proxy.Host,
				Classify(&HostError{Host: l.proxy.Hostname(), Err: &handshakeError{err}})}
		}
		conn = secured
	}
	tunnel, err := connect(ctx, conn, l.proxy, target)
	if err != nil {
		conn.Close()
		return nil, &ProxyError{l.proxy.Host, Classify(err)}
	}
	return tunnel, nil
}

// connect speaks CONNECT (RFC 9110, 9.3.6) on conn.
func connect(ctx context.Context, conn net.Conn, proxy *url.URL, target string) (net.Conn, error) {
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	req := &http.Request{Method: http.MethodConnect, URL: &url.URL{Opaque: target}, Host: target, Header: http.Header{}}
	if u := proxy.User; u != nil {
		password, _ := u.Password()
		req.Header.Set("Proxy-Authorization",
			"Basic "+base64.StdEncoding.EncodeToString([]byte(u.Username()+":"+password)))
	}
	err := req.Write(conn)
	var resp *http.Response
	reader := bufio.NewReader(io.LimitReader(conn, 64<<10))
	if err == nil {
		resp, err = http.ReadResponse(reader, req) //nolint:bodyclose // what follows is the tunnel
	}
	if err != nil {
		if ctx.Err() != nil {
			err = ctx.Err()
		}
		return nil, fmt.Errorf("CONNECT %s: %w", target, err)
	}
	if resp.StatusCode != http.StatusOK {
		return nil, &StatusError{Method: http.MethodConnect, URL: target, StatusCode: resp.StatusCode,
			Status: resp.Status, Header: resp.Header}
	}
	if !stop() { // the deadline was, or is being, moved into the past
		return nil, fmt.Errorf("CONNECT %s: %w", target, context.Cause(ctx))
	}
	if n := reader.Buffered(); n > 0 { // a server that speaks first (SMTP) may have been quick
		early, _ := reader.Peek(n)
		return &prefixedConn{Conn: conn, early: append([]byte(nil), early...)}, nil
	}
	return conn, nil
}

// prefixedConn gives back what was read ahead of time.
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
