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
	"net/url"
	"strings"
	"time"

	"github.com/hybridge-cli/hybridge/pkg/wire/link/ntlm"
)

// dialProxy asks the proxy for a tunnel to target.
func (l *Link) dialProxy(ctx context.Context, target string) (net.Conn, error) {
	scheme := ""
	for {
		conn, err := l.openProxy(ctx)
		if err != nil {
			return nil, &ProxyError{l.proxy.Host, Classify(err)}
		}
		t := &tunnel{conn: conn, reader: bufio.NewReader(io.LimitReader(conn, 256<<10)), target: target}
		tunnelled, err := t.open(ctx, l, scheme)
		if err == nil {
			return tunnelled, nil
		}
		conn.Close()
		var again *signInAgain
		if errors.As(err, &again) && scheme == "" {
			scheme = again.scheme // the proxy closes the connection with each 407
			continue
		}
		return nil, &ProxyError{l.proxy.Host, Classify(err)}
	}
}

// openProxy connects to the proxy itself.
func (l *Link) openProxy(ctx context.Context) (net.Conn, error) {
	conn, err := l.dialDirect(ctx, "tcp", l.proxy.Host)
	if err != nil || l.proxy.Scheme != "https" {
		return conn, err
	}
	secured := tls.Client(conn, l.TLS(l.proxy.Hostname()))
	if err := secured.HandshakeContext(ctx); err != nil {
		conn.Close()
		return nil, &HostError{Host: l.proxy.Hostname(), Err: &handshakeError{err}}
	}
	return secured, nil
}

// signInAgain says that a new connection is needed to sign in.
type signInAgain struct{ scheme string }

func (e *signInAgain) Error() string { return "the proxy closed the connection in the sign-in" }

// tunnel speaks CONNECT (RFC 9110, 9.3.6) on one connection.
type tunnel struct {
	conn   net.Conn
	reader *bufio.Reader
	target string
}

// open signs in with a scheme of the proxy. scheme is known from an earlier connection, or empty.
func (t *tunnel) open(ctx context.Context, l *Link, scheme string) (net.Conn, error) {
	stop := context.AfterFunc(ctx, func() { _ = t.conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	resp, err := t.signIn(ctx, l, scheme) //nolint:bodyclose // what follows is the tunnel, or is drained
	if err != nil {
		return nil, err
	}
	if resp.StatusCode != http.StatusOK {
		return nil, t.refused(resp, l.proxyUser != "" || l.proxy.User != nil)
	}
	if !stop() { // the deadline was, or is being, moved into the past
		return nil, fmt.Errorf("CONNECT %s: %w", t.target, context.Cause(ctx))
	}
	if n := t.reader.Buffered(); n > 0 { // a server that speaks first (SMTP) may have been quick
		early, _ := t.reader.Peek(n)
		return &prefixedConn{Conn: t.conn, early: append([]byte(nil), early...)}, nil
	}
	return t.conn, nil
}

func (t *tunnel) signIn(ctx context.Context, l *Link, scheme string) (*http.Response, error) {
	if u := l.proxy.User; u != nil {
		password, _ := u.Password()
		return t.ask(ctx, basicValue(u.Username(), password))
	}
	if scheme == "" {
		resp, err := t.ask(ctx, "")
		if err != nil || resp.StatusCode != http.StatusProxyAuthRequired || l.proxyUser == "" {
			return resp, err
		}
		if scheme = pickProxyScheme(resp.Header); scheme == "" {
			return resp, nil
		}
		if resp.Close {
			return nil, &signInAgain{scheme}
		}
	}
	if scheme == "Basic" {
		return t.ask(ctx, basicValue(l.proxyUser, l.proxyPassword.Reveal()))
	}
	domain, user := ntlm.SplitUser(l.proxyUser)
	c := &ntlm.Client{Domain: domain, User: user, Hash: ntlm.HashOf(l.proxyPassword.Reveal()),
		Target: "HTTP/" + l.proxy.Hostname()}
	resp, err := t.ask(ctx, scheme+" "+base64.StdEncoding.EncodeToString(c.Negotiate()))
	if err != nil || resp.StatusCode != http.StatusProxyAuthRequired {
		return resp, err
	}
	challenge, ok := answerToken(proxyChallenges(resp.Header), scheme)
	if !ok || resp.Close {
		return resp, nil
	}
	last, err := c.Authenticate(challenge)
	if err != nil {
		return nil, fmt.Errorf("CONNECT %s: %w", t.target, err)
	}
	return t.ask(ctx, scheme+" "+base64.StdEncoding.EncodeToString(last))
}

func basicValue(user, password string) string {
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(user+":"+password))
}

// pickProxyScheme prefers schemes that do not reveal the password. Negotiate is answered with bare
// NTLM messages, which Windows takes.
func pickProxyScheme(h http.Header) string {
	offers := proxyChallenges(h)
	for _, scheme := range []string{"NTLM", "Negotiate", "Basic"} {
		for _, c := range Challenges(offers) {
			if strings.EqualFold(c.Scheme, scheme) {
				return scheme
			}
		}
	}
	return ""
}

// proxyChallenges are the proxy's challenges as Challenges reads them.
func proxyChallenges(h http.Header) http.Header {
	return http.Header{"Www-Authenticate": h.Values("Proxy-Authenticate")}
}

// ask sends CONNECT once. The body of a refusal is read, so that the connection can be used again.
func (t *tunnel) ask(ctx context.Context, authorization string) (*http.Response, error) {
	req := &http.Request{Method: http.MethodConnect, URL: &url.URL{Opaque: t.target}, Host: t.target,
		Header: http.Header{}}
	if authorization != "" {
		req.Header.Set("Proxy-Authorization", authorization)
	}
	err := req.Write(t.conn)
	var resp *http.Response
	if err == nil {
		resp, err = http.ReadResponse(t.reader, req)
	}
	if err == nil && resp.StatusCode == http.StatusProxyAuthRequired {
		// ReadResponse takes the answer to CONNECT for a tunnel and gives it no body: read what it
		// announces.
		if resp.ContentLength > 0 {
			_, err = io.CopyN(io.Discard, t.reader, min(resp.ContentLength, maxDrain))
		} else if resp.ContentLength < 0 {
			resp.Close = true // its end is that of the connection
		}
	}
	if err != nil {
		if ctx.Err() != nil {
			err = ctx.Err()
		}
		return nil, fmt.Errorf("CONNECT %s: %w", t.target, err)
	}
	return resp, nil
}

// refused says why the proxy refuses the tunnel.
func (t *tunnel) refused(resp *http.Response, credential bool) error {
	e := &StatusError{Method: http.MethodConnect, URL: t.target, StatusCode: resp.StatusCode, Status: resp.Status,
		Header: resp.Header}
	if resp.StatusCode != http.StatusProxyAuthRequired {
		return e
	}
	var offers []string
	for _, c := range Challenges(proxyChallenges(resp.Header)) {
		offers = append(offers, Printable(c.Scheme))
	}
	what := "the proxy requires a sign-in"
	if credential {
		what = "the proxy refuses the sign-in"
	}
	if len(offers) > 0 {
		what += " (offers " + strings.Join(offers, ", ") + ")"
	}
	if !credential {
		what += ": set network.proxyCredential"
	}
	e.Detail = what
	return e
}
