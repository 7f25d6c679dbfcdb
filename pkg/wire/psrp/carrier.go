package psrp

import (
	"bytes"
	"cmp"
	"context"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/net/publicsuffix"

	"github.com/hybridge-cli/hybridge/pkg/wire/kerberos"
	"github.com/hybridge-cli/hybridge/pkg/wire/link"
)

const (
	maxRedirects = 5
	maxAnswer    = 4 << 20          // bytes of one HTTP answer; envelopes are of 500 kB at most
	requestGrace = 30 * time.Second // what a request may take beyond the server's operation timeout
	dialTimeout  = 30 * time.Second
)

// carrier posts envelopes one after another over one connection that it does not share.
// Authentication is bound to that connection.
type carrier struct {
	options   Options
	host      string // of the first URL
	client    *http.Client
	requests  atomic.Int64
	wait      time.Duration // for one request
	mu        sync.Mutex    // one exchange at a time
	url       *url.URL
	security  securityContext // nil until the connection is authenticated with Kerberos
	lost      atomic.Bool     // the connection that security belongs to is closed
	negotiate bool            // the server offers Kerberos within Negotiate alone
	newSecure func(ctx context.Context, spn string) (securityContext, error)
}

// securityContext is a *kerberos.Context.
type securityContext interface {
	sealer
	Step(in []byte) (out []byte, done bool, err error)
	Close()
}

func newCarrier(o Options) (*carrier, error) {
	u, err := url.Parse(o.URL)
	if err == nil && u.User != nil || strings.Contains(o.URL, "@") {
		return nil, errors.New("the address of remote PowerShell must not hold a user or password")
	}
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return nil, fmt.Errorf("not an http or https address of remote PowerShell: %.200q", o.URL)
	}
	c := &carrier{options: o, host: u.Hostname(), url: u, wait: o.OperationTimeout + requestGrace}
	switch {
	case o.Kerberos != nil && o.User != "":
		return nil, errors.New("give either Kerberos tickets or a user with a password, not both")
	case o.Kerberos != nil:
		c.newSecure = func(ctx context.Context, spn string) (securityContext, error) {
			s, err := o.Kerberos.Context(ctx, spn)
			if err != nil {
				return nil, err // not a nil *Context within the interface
			}
			return s, nil
		}
	case o.User == "":
		return nil, errors.New("remote PowerShell needs Kerberos tickets or a user with a password")
	case strings.Contains(o.User, ":"):
		return nil, errors.New("a user name with a colon cannot be used with Basic authentication")
	case u.Scheme != "https":
		return nil, fmt.Errorf("%s: a password is not sent without TLS: use https or Kerberos", u.Host)
	}
	jar, _ := cookiejar.New(nil) // never fails
	c.client = &http.Client{
		Jar:           jar,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport: &http.Transport{
			DialContext: c.dial, DialTLSContext: c.dialTLS,
			MaxConnsPerHost: 1, MaxIdleConnsPerHost: 1, IdleConnTimeout: 15 * time.Minute,
			// IIS before Exchange compresses otherwise, wrongly
			DisableCompression: true,
			// authentication is bound to the connection: no HTTP/2
			TLSNextProto: map[string]func(string, *tls.Conn) http.RoundTripper{},
			// proxies are link's matter
			Proxy:                  func(*http.Request) (*url.URL, error) { return nil, nil },
			MaxResponseHeaderBytes: 1 << 20,
		},
	}
	if o.transport != nil {
		c.client.Transport = o.transport
	}
	return c, nil
}

// watched notifies the carrier when its connection is closed.
type watched struct {
	net.Conn
	closed func()
}

func (w *watched) Close() error {
	w.closed()
	return w.Conn.Close()
}

func (c *carrier) dial(ctx context.Context, network, address string) (net.Conn, error) {
	dial := c.options.Dial
	if dial == nil {
		dial = (&net.Dialer{Timeout: dialTimeout}).DialContext
	}
	conn, err := dial(ctx, network, address)
	if err != nil {
		return nil, link.Classify(err)
	}
	return &watched{conn, func() { c.lost.Store(true) }}, nil
}

// dialTLS speaks TLS 1.2 first: IIS asks for client certificates in a renegotiation, which TLS 1.3
// does not have.
func (c *carrier) dialTLS(ctx context.Context, network, address string) (net.Conn, error) {
	conn, err := c.handshake(ctx, network, address, tls.VersionTLS12)
	// crypto/tls keeps the type of the alert to itself.
	if err != nil && strings.Contains(err.Error(), "tls: protocol version not supported") {
		conn, err = c.handshake(ctx, network, address, tls.VersionTLS13)
	}
	if err != nil {
		return nil, link.Classify(err)
	}
	return conn, nil
}

func (c *carrier) handshake(ctx context.Context, network, address string, highest uint16) (net.Conn, error) {
	raw, err := c.dial(ctx, network, address)
	if err != nil {
		return nil, err
	}
	config := &tls.Config{}
	if c.options.TLS != nil {
		config = c.options.TLS.Clone()
	}
	if host, _, err := net.SplitHostPort(address); err == nil &&
		(config.ServerName == "" || !strings.EqualFold(host, c.host)) {
		config.ServerName = host // also after a redirect to another server
	}
	if !strings.EqualFold(config.ServerName, c.host) && !strings.EqualFold(hostOf(address), c.host) {
		config.InsecureSkipVerify = false // was asked for the server of the options, not for where it leads
	}
	if config.MaxVersion == 0 || config.MaxVersion > highest {
		config.MaxVersion = highest
	}
	config.NextProtos = nil
	config.Renegotiation = tls.RenegotiateOnceAsClient
	conn := tls.Client(raw, config)
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	if err := conn.HandshakeContext(ctx); err != nil {
		raw.Close()
		return nil, &link.HostError{Host: config.ServerName, Err: err}
	}
	return conn, nil
}

func hostOf(address string) string {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return address
	}
	return host
}

// answer is an HTTP answer, unsealed.
type answer struct {
	status int
	header http.Header
	body   []byte
}

// post sends an envelope and returns the answer's. Over https, redirects to a server of the same
// domain are followed.
func (c *carrier) post(ctx context.Context, envelope func(to string) []byte) (*answer, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for range maxRedirects {
		a, err := c.exchange(ctx, envelope(c.url.String()))
		if err != nil {
			return nil, c.place(err)
		}
		switch a.status {
		case http.StatusMovedPermanently, http.StatusFound, http.StatusTemporaryRedirect, http.StatusPermanentRedirect:
			next, err := c.redirect(a.header.Get("Location"))
			if err != nil {
				return nil, c.place(err)
			}
			c.options.notice(fmt.Sprintf("%s redirects remote PowerShell to %s", c.url.Host, link.Line(next.Host)))
			c.url, c.negotiate = next, false
			c.forget()
			c.client.CloseIdleConnections()
			continue
		}
		return a, nil
	}
	return nil, fmt.Errorf("redirected more than %d times", maxRedirects)
}

// place names the server when it is not the one that the caller configured.
func (c *carrier) place(err error) error {
	if strings.EqualFold(c.url.Hostname(), c.host) {
		return err
	}
	return fmt.Errorf("redirected to %s: %w", c.url.Hostname(), err)
}

// redirect checks a redirect's target: a server of the same domain, by https alone. A redirect over
// http is outside of the sealed channel, so any machine on the way can forge it.
func (c *carrier) redirect(location string) (*url.URL, error) {
	next, err := c.url.Parse(location)
	if err != nil || location == "" || next.Host == "" || next.User != nil || next.Scheme != "http" &&
		next.Scheme != "https" {
		return nil, errors.New("redirected to an address that does not parse")
	}
	if c.url.Scheme != "https" {
		return nil, fmt.Errorf("redirected over unencrypted http to %s, which anyone could have sent; "+
			"use that server's own address if it is right", link.Line(next.Host))
	}
	if next.Scheme != "https" {
		return nil, fmt.Errorf("redirected from https to http at %s", link.Line(next.Host))
	}
	if from, to := c.url.Hostname(), next.Hostname(); !strings.EqualFold(from, to) && !SameOwner(from, to) {
		return nil, fmt.Errorf("redirected to %s, which is not of the same domain; use that address if it is right",
			link.Line(next.Host))
	}
	return next, nil
}

// SameOwner reports whether two hosts belong to one owner: the same name below a public suffix
// (co.uk, com).
func SameOwner(a, b string) bool {
	if net.ParseIP(a) != nil || net.ParseIP(b) != nil {
		return false
	}
	owner, err := publicsuffix.EffectiveTLDPlusOne(strings.ToLower(strings.TrimSuffix(a, ".")))
	if err != nil {
		return false
	}
	other, err := publicsuffix.EffectiveTLDPlusOne(strings.ToLower(strings.TrimSuffix(b, ".")))
	return err == nil && owner == other
}

func (c *carrier) forget() {
	if c.security != nil {
		c.security.Close()
		c.security = nil
	}
}

// exchange authenticates as the options say and posts one body.
func (c *carrier) exchange(ctx context.Context, body []byte) (*answer, error) {
	if c.newSecure == nil {
		a, err := c.send(ctx, body, soapType,
			func(r *http.Request) { r.SetBasicAuth(c.options.User, c.options.Password.Reveal()) })
		return c.refused(a, err)
	}
	for attempt := 0; ; attempt++ {
		if c.lost.Load() {
			c.forget()
		}
		fresh := c.security == nil
		var a *answer
		var err error
		if c.url.Scheme == "https" {
			a, err = c.overTLS(ctx, body)
		} else {
			a, err = c.sealed(ctx, body)
		}
		if err == nil && a.status == http.StatusUnauthorized && !fresh && attempt == 0 {
			c.forget() // the server closed the connection, or no longer knows it; it has not taken the message
			continue
		}
		if err == nil && a.status == http.StatusUnauthorized && c.offersNegotiateAlone(a.header) {
			c.negotiate = true
			continue
		}
		return c.refused(a, err)
	}
}

func (c *carrier) scheme() string {
	switch {
	case c.options.Scheme != "":
		return c.options.Scheme
	case c.negotiate:
		return "Negotiate"
	}
	return "Kerberos"
}

// offersNegotiateAlone reports whether a refusal means that the scheme was not understood: servers
// with the provider list "Negotiate" know nothing of "Kerberos".
func (c *carrier) offersNegotiateAlone(h http.Header) bool {
	if c.options.Scheme != "" || c.negotiate {
		return false
	}
	offers := link.Challenges(h)
	has := func(scheme string) bool {
		return slices.ContainsFunc(offers, func(o link.Challenge) bool { return strings.EqualFold(o.Scheme, scheme) })
	}
	return has("Negotiate") && !has("Kerberos")
}

// begin starts a security context and returns the Authorization header for it.
func (c *carrier) begin(ctx context.Context) (securityContext, string, error) {
	spn := c.options.SPN
	if spn == "" {
		spn = "HTTP/" + c.url.Hostname()
	}
	s, err := c.newSecure(ctx, spn)
	if err != nil {
		return nil, "", err
	}
	token, _, err := s.Step(nil)
	if err != nil {
		s.Close()
		return nil, "", err
	}
	return s, c.scheme() + " " + base64.StdEncoding.EncodeToString(token), nil
}

// establish checks the server's proof in its answer. After it the connection counts as
// authenticated.
func (c *carrier) establish(s securityContext, a *answer) error {
	for _, value := range a.header.Values("WWW-Authenticate") {
		for part := range strings.SplitSeq(value, ",") {
			scheme, text, _ := strings.Cut(strings.TrimSpace(part), " ")
			if !strings.EqualFold(scheme, c.scheme()) || text == "" {
				continue
			}
			token, err := base64.StdEncoding.DecodeString(strings.TrimSpace(text))
			if err != nil {
				return errors.New("the server's token is not in base64")
			}
			_, done, err := s.Step(token)
			if err != nil {
				return err
			}
			if !done {
				return errors.New("the server asks for more steps than Kerberos has")
			}
			c.security = s
			return nil
		}
	}
	return fmt.Errorf("the server did not prove itself: %w", link.ErrAccess)
}

// sealed authenticates with an empty request if need be, and posts a sealed message.
func (c *carrier) sealed(ctx context.Context, body []byte) (*answer, error) {
	if c.security == nil {
		s, header, err := c.begin(ctx)
		if err != nil {
			return nil, err
		}
		c.lost.Store(false)
		a, err := c.send(ctx, nil, soapType, func(r *http.Request) { r.Header.Set("Authorization", header) })
		if err == nil && a.status == http.StatusOK {
			c.lost.Store(a.header.Get("Connection") == "close")
			err = c.establish(s, a)
		}
		if c.security != s {
			s.Close()
		}
		if err != nil || a.status != http.StatusOK {
			return a, err
		}
	}
	contentType, message, err := sealBody(c.security, c.scheme(), body)
	if err != nil {
		return nil, err
	}
	a, err := c.send(ctx, message, contentType, nil)
	if err != nil {
		c.forget() // sequence numbers may differ
		return nil, err
	}
	if kind := a.header.Get("Content-Type"); isSealed(kind) {
		a.body, err = unsealBody(c.security, kind, a.body)
		if err != nil {
			c.forget()
			return nil, err
		}
		return a, nil
	}
	if a.status == http.StatusOK || a.status == http.StatusInternalServerError {
		// An answer that is not sealed may be forged, so it does not count.
		c.forget()
		return nil, fmt.Errorf("HTTP %d: the server's answer is not encrypted", a.status)
	}
	return a, nil
}

// overTLS authenticates with the message itself if need be: TLS protects both.
func (c *carrier) overTLS(ctx context.Context, body []byte) (*answer, error) {
	if c.security != nil {
		return c.send(ctx, body, soapType, nil)
	}
	s, header, err := c.begin(ctx)
	if err != nil {
		return nil, err
	}
	c.lost.Store(false)
	a, err := c.send(ctx, body, soapType, func(r *http.Request) { r.Header.Set("Authorization", header) })
	if err == nil && (a.status == http.StatusOK || a.status == http.StatusInternalServerError) {
		err = c.establish(s, a)
	}
	if c.security != s {
		s.Close()
	}
	return a, err
}

// refused turns a refusal by HTTP into an error.
func (c *carrier) refused(a *answer, err error) (*answer, error) {
	if err != nil {
		return nil, err
	}
	who, tried := c.options.User, "Basic"
	if c.options.Kerberos != nil {
		who, tried = c.options.Kerberos.User(), c.scheme()
	}
	switch a.status {
	case http.StatusUnauthorized:
		offered := cmp.Or(link.Schemes(a.header), "nothing")
		return nil, fmt.Errorf("sign in as %s: HTTP 401, tried %s, the server offers %s: %w", who, tried, offered,
			link.ErrAccess)
	case http.StatusForbidden:
		return nil, fmt.Errorf("sign in as %s: HTTP 403: %w", who, link.ErrAccess)
	}
	return a, nil
}

func (c *carrier) send(ctx context.Context, body []byte, contentType string, edit func(*http.Request)) (*answer,
	error) {
	ctx, cancel := context.WithTimeoutCause(ctx, c.wait,
		fmt.Errorf("no answer within %s: %w", c.wait, link.ErrUnreachable))
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, c.url.String(), bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	r.GetBody = nil // the transport never sends it twice
	r.Header.Set("Content-Type", contentType)
	r.Header.Set("User-Agent", "Microsoft WinRM Client")
	r.Header.Set("Accept-Encoding", "identity")
	if edit != nil {
		edit(r)
	}
	c.requests.Add(1)
	resp, err := c.client.Do(r)
	if err != nil {
		return nil, sendError(ctx, err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	if err != nil || ctx.Err() != nil { // a server that sees the connection close may end its answer regularly
		return nil, sendError(ctx, err)
	}
	if len(text) > maxAnswer {
		return nil, fmt.Errorf("answer of more than %d bytes", maxAnswer)
	}
	return &answer{status: resp.StatusCode, header: resp.Header, body: text}, nil
}

// sendError names the cause: the caller's cancel or time limit before all else, then the class of
// the failure.
func sendError(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	var outer *url.Error
	if errors.As(err, &outer) {
		err = outer.Err
	}
	return link.Classify(err)
}

func (c *carrier) close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.forget()
	c.client.CloseIdleConnections()
}

var _ securityContext = (*kerberos.Context)(nil)
