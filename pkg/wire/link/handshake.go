package link

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"strings"
	"sync"

	"github.com/hybridge-cli/hybridge/pkg/config/secret"
	"github.com/hybridge-cli/hybridge/pkg/wire/link/ntlm"
)

// NTLM authenticates connections with NTLMv2 (MS-NLMP), over https alone, bound to the server's
// certificate as Extended Protection demands. User is DOMAIN\user, user@domain or user.
type NTLM struct {
	User     string
	Password secret.Value
}

// Wrap implements Authenticator.
func (n NTLM) Wrap(base *http.Transport) http.RoundTripper {
	domain, user := ntlm.SplitUser(n.User)
	hash := ntlm.HashOf(n.Password.Reveal())
	return &lanes{
		base: base, name: "NTLM", tlsOnly: true,
		schemes: []string{"NTLM", "Negotiate"}, // Windows takes a bare NTLM message for Negotiate too
		begin: func(_ context.Context, host string, state *tls.ConnectionState) (SecurityContext, error) {
			c := &ntlm.Client{Domain: domain, User: user, Hash: hash, Target: "HTTP/" + host}
			if state != nil && len(state.PeerCertificates) > 0 {
				c.ChannelBinding, _ = ntlm.EndPointBinding(state.PeerCertificates[0])
			}
			return &ntlmContext{client: c}, nil
		},
	}
}

// ntlmContext is NTLM as a SecurityContext.
type ntlmContext struct {
	client *ntlm.Client
	step   int
}

func (c *ntlmContext) Step(in []byte) ([]byte, bool, error) {
	c.step++
	switch c.step {
	case 1:
		return c.client.Negotiate(), false, nil
	case 2:
		out, err := c.client.Authenticate(in)
		return out, true, err
	}
	return nil, true, errors.New("the server went on after the last NTLM message")
}

// SecurityContext is the client's side of a GSS-API exchange: Step takes the server's token (nil
// first) and returns the next one to send. done says that the client's side is complete. An error
// means that the server did not prove its identity, or refused.
type SecurityContext interface {
	Step(in []byte) (out []byte, done bool, err error)
}

// Negotiate authenticates connections with SPNEGO (RFC 4559), over http too: Kerberos sends no
// secret. Context makes a fresh exchange for a service ("HTTP/mail.contoso.com").
type Negotiate struct {
	Context func(ctx context.Context, spn string) (SecurityContext, error)
}

// Wrap implements Authenticator.
func (n Negotiate) Wrap(base *http.Transport) http.RoundTripper {
	return &lanes{
		base: base, name: "Negotiate", schemes: []string{"Negotiate"},
		begin: func(ctx context.Context, host string, _ *tls.ConnectionState) (SecurityContext, error) {
			return n.Context(ctx, "HTTP/"+host)
		},
	}
}

const (
	maxSteps     = 5        // messages of one exchange
	maxDrain     = 1 << 20  // bytes read of a 401 so that its connection can be kept
	maxReplay    = 64 << 20 // bytes of a request body kept for sending it again
	maxIdleLanes = 8
)

// lanes runs a handshake on each connection. http.Transport hides which connection a request gets,
// so each lane is a transport that has one connection at most and serves one request at a time.
// Simultaneous requests get separate lanes.
type lanes struct {
	base    *http.Transport
	name    string
	schemes []string // the preferred one first
	tlsOnly bool
	begin   func(ctx context.Context, host string, state *tls.ConnectionState) (SecurityContext, error)

	mu   sync.Mutex
	idle []*lane
}

type lane struct {
	key       string // scheme and address
	transport *http.Transport
	conn      net.Conn // what the last request went over
}

func (p *lanes) take(key string) *lane {
	p.mu.Lock()
	defer p.mu.Unlock()
	for i := len(p.idle) - 1; i >= 0; i-- {
		if l := p.idle[i]; l.key == key {
			p.idle = append(p.idle[:i], p.idle[i+1:]...)
			return l
		}
	}
	t := p.base.Clone()
	t.MaxConnsPerHost = 1
	t.MaxIdleConnsPerHost = 1
	return &lane{key: key, transport: t}
}

func (p *lanes) give(l *lane) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.idle) >= maxIdleLanes {
		p.idle[0].transport.CloseIdleConnections()
		p.idle = append(p.idle[:0], p.idle[1:]...)
	}
	p.idle = append(p.idle, l)
}

// CloseIdleConnections closes the lanes that wait.
func (p *lanes) CloseIdleConnections() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, l := range p.idle {
		l.transport.CloseIdleConnections()
	}
	p.idle = nil
}

// RoundTrip implements http.RoundTripper.
func (p *lanes) RoundTrip(r *http.Request) (*http.Response, error) {
	if p.tlsOnly {
		if err := requireTLS(r, p.name); err != nil {
			return nil, err
		}
	}
	body, err := replayable(r)
	if err != nil {
		return nil, err
	}
	l := p.take(r.URL.Scheme + "://" + hostPort(r.URL))
	resp, err := p.roundTrip(l, r, body)
	if err != nil {
		l.transport.CloseIdleConnections()
		return nil, err
	}
	resp.Request = r
	resp.Body = &laneBody{ReadCloser: resp.Body, done: sync.OnceFunc(func() { p.give(l) })}
	return resp, nil
}

// laneBody returns the lane when the answer was read.
type laneBody struct {
	io.ReadCloser
	done func()
}

func (b *laneBody) Close() error {
	err := b.ReadCloser.Close()
	b.done()
	return err
}

// replayable reads the request's body so that it can be sent on every leg.
func replayable(r *http.Request) ([]byte, error) {
	if r.Body == nil || r.Body == http.NoBody {
		return nil, nil
	}
	defer r.Body.Close()
	body, err := io.ReadAll(io.LimitReader(r.Body, maxReplay+1))
	if err != nil {
		return nil, err
	}
	if len(body) > maxReplay {
		return nil, fmt.Errorf("%s %s: a request body above %d bytes cannot be authenticated", r.Method,
			PrintableURL(r.URL.String()), maxReplay)
	}
	return body, nil
}

func (p *lanes) roundTrip(l *lane, r *http.Request, body []byte) (*http.Response, error) {
	// A kept connection is usually authenticated already; a new one answers what it offers.
	resp, err := l.send(r, body, "")
	if err != nil || resp.StatusCode != http.StatusUnauthorized {
		return resp, err
	}
	scheme, ok := p.pick(resp.Header)
	if !ok {
		offered := Schemes(resp.Header)
		drain(resp)
		if offered == "" {
			offered = "nothing"
		}
		return nil, fmt.Errorf("%s %s: %w: the server does not offer %s, it offers %s", r.Method,
			PrintableURL(r.URL.String()), ErrAccess, p.name, offered)
	}
	state := resp.TLS
	drain(resp)

	exchange, err := p.begin(r.Context(), r.URL.Hostname(), state)
	if err != nil {
		return nil, err
	}
	var token []byte
	var conn net.Conn
	for step := range maxSteps {
		out, done, err := exchange.Step(token)
		if err != nil {
			return nil, p.stepError(r, err)
		}
		leg := body
		if !done {
			leg = nil // a further leg follows: the body accompanies the message that may be the last
		}
		if p.name != "NTLM" {
			leg = body // one leg is the usual case for Kerberos, whether or not the client awaits the server's proof
		}
		resp, err := l.send(r, leg, scheme+" "+base64.StdEncoding.EncodeToString(out))
		if err != nil {
			return nil, err
		}
		if step > 0 && l.conn != conn {
			drain(resp)
			return nil, fmt.Errorf("%s %s: %w: the server closed the connection in the middle of %s", r.Method,
				PrintableURL(r.URL.String()), ErrUnreachable, p.name)
		}
		conn = l.conn
		token, ok = answerToken(resp.Header, scheme)
		if resp.StatusCode != http.StatusUnauthorized {
			if err := p.finish(r, exchange, done, token); err != nil {
				resp.Body.Close()
				return nil, err
			}
			return resp, nil
		}
		if !ok || len(token) == 0 || p.name == "NTLM" && done {
			return resp, nil // refused: a plain 401, as with any other credential
		}
		drain(resp)
	}
	return nil, fmt.Errorf("%s %s: %w: %s came to no end", r.Method, PrintableURL(r.URL.String()), ErrAccess, p.name)
}

// finish lets the exchange verify the server's last token. Over plain http it is the only proof of
// the server's identity, so it is required.
func (p *lanes) finish(r *http.Request, exchange SecurityContext, done bool, token []byte) error {
	if p.name == "NTLM" || done && len(token) == 0 {
		return nil
	}
	if len(token) == 0 {
		if r.URL.Scheme == "https" {
			return nil
		}
		return fmt.Errorf("%s %s: %w: the server did not prove who it is", r.Method, PrintableURL(r.URL.String()),
			ErrUntrusted)
	}
	if _, _, err := exchange.Step(token); err != nil {
		return p.stepError(r, err)
	}
	return nil
}

func (p *lanes) stepError(r *http.Request, err error) error {
	if c := Classify(err); errors.Is(c, ErrAccess) || errors.Is(c, ErrUntrusted) || errors.Is(c, ErrUnreachable) {
		return fmt.Errorf("%s %s: %s: %w", r.Method, PrintableURL(r.URL.String()), p.name, c)
	}
	return fmt.Errorf("%s %s: %w: %s: %w", r.Method, PrintableURL(r.URL.String()), ErrAccess, p.name, err)
}

// pick chooses a scheme that the server offers.
func (p *lanes) pick(h http.Header) (string, bool) {
	offers := Challenges(h)
	for _, want := range p.schemes {
		for _, c := range offers {
			if strings.EqualFold(c.Scheme, want) {
				return want, true
			}
		}
	}
	return "", false
}

func answerToken(h http.Header, scheme string) ([]byte, bool) {
	for _, c := range Challenges(h) {
		if strings.EqualFold(c.Scheme, scheme) && c.Token != "" {
			token, err := base64.StdEncoding.DecodeString(c.Token)
			return token, err == nil
		}
	}
	return nil, false
}

// send sends r on the lane's connection and records which connection that was.
func (l *lane) send(r *http.Request, body []byte, authorization string) (*http.Response, error) {
	ctx := httptrace.WithClientTrace(r.Context(), &httptrace.ClientTrace{
		GotConn: func(info httptrace.GotConnInfo) { l.conn = info.Conn },
	})
	out := r.Clone(ctx)
	out.Body, out.GetBody, out.ContentLength = nil, nil, 0
	if len(body) > 0 {
		out.Body = io.NopCloser(bytes.NewReader(body))
		out.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(body)), nil }
		out.ContentLength = int64(len(body))
	}
	if authorization != "" {
		out.Header.Set("Authorization", authorization)
	}
	return l.transport.RoundTrip(out)
}

// drain reads an answer to its end, so that the connection can carry the next message.
func drain(resp *http.Response) {
	_, _ = io.CopyN(io.Discard, resp.Body, maxDrain)
	resp.Body.Close()
}
