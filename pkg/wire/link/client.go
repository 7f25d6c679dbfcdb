package link

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"time"
)

// Authenticator makes requests carry a credential. Wrap receives a transport that has no other
// user.
type Authenticator interface {
	Wrap(base *http.Transport) http.RoundTripper
}

// Client is an HTTP client. Its connections are never shared with another credential. A nil
// Authenticator is anonymous. It speaks HTTP/1.1 (connection-bound authentication knows no
// streams), follows no redirect by itself, limits what it reads of a body and classifies errors.
func (l *Link) Client(a Authenticator) *http.Client {
	transport := l.transport()
	l.mu.Lock()
	l.idle = append(l.idle, transport.CloseIdleConnections)
	l.mu.Unlock()
	var rt http.RoundTripper = transport
	if a != nil {
		rt = a.Wrap(transport)
	}
	if l.log != nil {
		rt = &logging{log: l.log, next: rt}
	}
	return &http.Client{
		Transport: &guard{next: rt, maxBody: l.maxBody, patience: l.responseTimeout,
			idle: transport.CloseIdleConnections},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// CloseIdleConnections closes the connections that no request uses, of every client made so far.
// The clients stay usable.
func (l *Link) CloseIdleConnections() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, closeIdle := range l.idle {
		closeIdle()
	}
}

func (l *Link) transport() *http.Transport {
	t := &http.Transport{
		DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			if l.proxy != nil && address == l.proxy.Host { // the transport itself talks to the proxy, see Proxy
				ctx, cancel := context.WithTimeout(ctx, l.timeout)
				defer cancel()
				conn, err := l.dialDirect(ctx, network, address)
				if err != nil {
					return nil, &ProxyError{address, Classify(err)}
				}
				return conn, nil
			}
			return l.DialContext(ctx, network, address)
		},
		DialTLSContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			host, _, err := net.SplitHostPort(address)
			if err != nil {
				return nil, l.dialError(address, err)
			}
			config := l.TLS(host)
			config.NextProtos = []string{"http/1.1"}
			return l.dialTLS(ctx, network, address, config)
		},
		TLSNextProto:          map[string]func(string, *tls.Conn) http.RoundTripper{}, // no HTTP/2
		ResponseHeaderTimeout: l.responseTimeout,
		IdleConnTimeout:       90 * time.Second,
		MaxIdleConnsPerHost:   8,
		ExpectContinueTimeout: time.Second,
	}
	if l.proxy != nil && l.proxy.Scheme == "http" {
		// Proxies commonly refuse CONNECT to port 80, so plain http goes to them as a request.
		t.Proxy = func(r *http.Request) (*url.URL, error) {
			if r.URL.Scheme != "http" {
				return nil, nil
			}
			address := hostPort(r.URL)
			if target, mapped := l.Target(address); mapped || l.bypassesProxy(target) {
				return nil, nil
			}
			return l.proxy, nil
		}
	}
	return t
}

// hostPort is the address that u is connected to.
func hostPort(u *url.URL) string {
	port := u.Port()
	if port == "" {
		port = "80"
		if u.Scheme == "https" {
			port = "443"
		}
	}
	return net.JoinHostPort(u.Hostname(), port)
}

// guard is the outermost round tripper of every client.
type guard struct {
	next     http.RoundTripper
	maxBody  int64
	patience time.Duration // until the answer begins, and again until it has ended
	idle     func()
}

// RoundTrip gives every answer an end, whatever time the caller's context leaves: a server may take
// the request and never answer, never read the request to its end, or send its answer a byte a
// minute.
func (g *guard) RoundTrip(r *http.Request) (*http.Response, error) {
	ctx, cancel := context.WithCancelCause(r.Context())
	tooLate := &classified{ErrUnreachable, fmt.Sprintf("no answer within %s", g.patience), context.DeadlineExceeded}
	timer := time.AfterFunc(g.patience, func() { cancel(tooLate) })
	answered := Await(ctx, r.Method+" "+r.URL.Host)
	resp, err := g.next.RoundTrip(r.WithContext(ctx))
	if err != nil {
		answered()
		timer.Stop()
		if errors.Is(context.Cause(ctx), tooLate) && r.Context().Err() == nil { // the transport wraps causes
			err = tooLate
		}
		cancel(nil)
		return nil, Classify(err)
	}
	timer.Reset(g.patience)
	resp.Body = &limitedBody{
		ReadCloser: resp.Body, left: g.maxBody, host: r.URL.Host, max: g.maxBody,
		ctx: ctx, done: func() { answered(); timer.Stop(); cancel(nil) },
	}
	return resp, nil
}

// CloseIdleConnections makes http.Client.CloseIdleConnections work through the guard.
func (g *guard) CloseIdleConnections() {
	g.idle()
	if c, ok := g.next.(interface{ CloseIdleConnections() }); ok {
		c.CloseIdleConnections()
	}
}

// limitedBody fails, and does not end, when a body is too long or its request is over: a cut answer
// must not look complete.
type limitedBody struct {
	io.ReadCloser
	left, max int64
	whole     bool // the end was seen
	host      string
	ctx       context.Context // of this answer: ends with the request's, or when the answer takes too long
	done      func()
}

func (b *limitedBody) Close() error {
	defer b.done()
	return b.ReadCloser.Close()
}

func (b *limitedBody) Read(p []byte) (int, error) {
	if b.whole {
		return 0, io.EOF
	}
	n, err := b.read(p)
	switch {
	case err == nil:
	case b.ctx.Err() != nil: // also at an end: a server that sees the connection close may end its answer regularly
		err = Classify(context.Cause(b.ctx))
	case err == io.EOF: //nolint:errorlint // readers return io.EOF itself
		b.whole = true
	}
	return n, err
}

func (b *limitedBody) read(p []byte) (int, error) {
	if b.left <= 0 {
		var one [1]byte
		for {
			n, err := b.ReadCloser.Read(one[:])
			if n > 0 {
				return 0, fmt.Errorf("%s: the answer is larger than %d bytes", b.host, b.max)
			}
			if err != nil {
				return 0, classifyRead(err)
			}
		}
	}
	if int64(len(p)) > b.left {
		p = p[:b.left]
	}
	n, err := b.ReadCloser.Read(p)
	b.left -= int64(n)
	return n, classifyRead(err)
}

// classifyRead leaves io.EOF alone: it is the end, not a failure.
func classifyRead(err error) error {
	switch {
	case err == nil || err == io.EOF: //nolint:errorlint // readers return io.EOF itself
		return err
	// shorter than its Content-Length, without its last chunk, or with truncated compression
	case errors.Is(err, io.ErrUnexpectedEOF):
		return &classified{ErrUnreachable, "the server closed the connection in the middle of its answer", err}
	}
	return Classify(err)
}
