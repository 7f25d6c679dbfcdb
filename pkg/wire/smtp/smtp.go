// Package smtp looks at SMTP servers the way Exchange Online's and Exchange's own connectors meet
// them: banner, EHLO capabilities before and after STARTTLS (RFC 3207), the certificates that are
// served. Probe sends no mail. Send and the server half are for simulated estates and tests.
package smtp

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/hybridge-cli/hybridge/pkg/wire/link"
)

// ErrProtocol is a reply that is not SMTP: often a middlebox that masks EHLO or STARTTLS.
var ErrProtocol = errors.New("not an SMTP reply")

// ReplyError is a reply other than the one that a command needs.
type ReplyError struct {
	Command  string // of a Step: "greeting", "EHLO", "STARTTLS"
	Code     int
	Enhanced string // RFC 3463, "4.7.0"; may be empty
	Text     string // cleaned; one line
}

func (e *ReplyError) Error() string {
	s := "the server answered " + e.Status()
	if e.Text != "" {
		s += " (" + e.Text + ")"
	}
	return s
}

// Status is the code, with the enhanced one where there is one: "454 4.7.0".
func (e *ReplyError) Status() string {
	if e.Enhanced != "" {
		return strconv.Itoa(e.Code) + " " + e.Enhanced
	}
	return strconv.Itoa(e.Code)
}

// Capability is one line of an EHLO answer: "SIZE 37748736" is {"SIZE", ["37748736"]}.
type Capability struct {
	Keyword    string // upper case
	Parameters []string
}

// Capabilities are an EHLO answer.
type Capabilities []Capability

// Has reports whether a keyword is there: "STARTTLS", "XOORG" (the server takes cloud services mail
// from this client).
func (c Capabilities) Has(keyword string) bool {
	for _, x := range c {
		if strings.EqualFold(x.Keyword, keyword) {
			return true
		}
	}
	return false
}

// TLS is what the session was after STARTTLS.
type TLS struct {
	Version              uint16 // tls.VersionTLS13; 0 when the handshake ended early
	CipherSuite          uint16
	Certificates         []*x509.Certificate // as served, leaf first; not judged
	Staple               []byte              // OCSP response that was sent along
	CertificateRequested bool                // the server asked for a client certificate
	Capabilities         Capabilities        // of the EHLO after STARTTLS
}

// Report is what a server showed until the probe ended.
type Report struct {
	Address      string
	Hello        string // name said in EHLO
	Banner       string // text of the greeting, cleaned
	Hostname     string // first word of the greeting
	Capabilities Capabilities
	TLS          *TLS // nil when no certificate was seen after STARTTLS
	// ImplicitTLS reports that the server gave no greeting and does a TLS handshake at once (port
	// 465).
	ImplicitTLS bool
}

// Step is where a session was when it ended.
type Step string

// The steps of a probe, in this order.
const (
	Connect     Step = "connect"
	Greeting    Step = "greeting"
	Hello       Step = "EHLO"
	StartTLS    Step = "STARTTLS"
	Handshake   Step = "TLS handshake"
	SecureHello Step = "EHLO after STARTTLS"
)

// StepError is a probe that ended before its last step. Err is a *ReplyError, of ErrProtocol, or an
// error of the connection.
type StepError struct {
	Address string
	Step    Step
	Waited  time.Duration // since the step began
	Heard   bool          // something of an answer had come
	Err     error
}

func (e *StepError) Error() string {
	return fmt.Sprintf("probe SMTP server %s: %s: %v", e.Address, e.Step, e.Err)
}

func (e *StepError) Unwrap() error { return e.Err }

// Silent reports whether the step ended by its time limit.
func (e *StepError) Silent() bool {
	var timeout net.Error
	return errors.Is(e.Err, context.DeadlineExceeded) || errors.Is(e.Err, os.ErrDeadlineExceeded) ||
		errors.As(e.Err, &timeout) && timeout.Timeout()
}

// Options for Probe. Dial is needed; link's DialContext is one.
type Options struct {
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
	// Hello is the name given in EHLO. When empty it is this machine's own name where that is fully
	// qualified and may be public, else the connection's own address as a literal: strict servers
	// refuse other names.
	Hello       string
	Certificate *tls.Certificate // presented when the server asks, as Exchange does with its transport certificate
	Timeout     time.Duration    // of one step; 30 s when 0
}

// The bounds of one reply.
const (
	maxReply     = 200
	maxReplyLine = 4096
	maxBytes     = 64 << 10
)

// Probe connects to HOST:PORT, looks at the greeting and capabilities, does STARTTLS when it is
// offered, looks again, and quits. Certificates and TLS versions are taken as they come: Judge and
// the caller judge them. An error is a *StepError, and the Report holds what was learned before it.
func Probe(ctx context.Context, o Options, address, serverName string) (Report, error) {
	if o.Timeout == 0 {
		o.Timeout = 30 * time.Second
	}
	r := Report{Address: address}
	s := &session{ctx: ctx, limit: o.Timeout, step: Connect, began: time.Now()}
	err := s.probe(o, serverName, &r)
	s.close()
	if err == nil {
		return r, nil
	}
	if ctx.Err() != nil {
		err = fmt.Errorf("%w (%w)", err, context.Cause(ctx))
	}
	failed := &StepError{Address: address, Step: s.step, Waited: time.Since(s.began), Heard: s.heard,
		Err: link.Classify(err)}
	if s.step == Greeting && !s.heard && failed.Silent() && ctx.Err() == nil {
		r.ImplicitTLS = implicitTLS(ctx, o, address, serverName)
	}
	return r, failed
}

// implicitTLS reports whether a server that does not greet does a TLS handshake at once.
func implicitTLS(ctx context.Context, o Options, address, serverName string) bool {
	ctx, cancel := context.WithTimeout(ctx, min(o.Timeout, 5*time.Second))
	defer cancel()
	conn, err := o.Dial(ctx, "tcp", address)
	if err != nil {
		return false
	}
	defer conn.Close()
	return tls.Client(conn, &tls.Config{ServerName: serverName, InsecureSkipVerify: true,
		MinVersion: tls.VersionTLS10}).HandshakeContext(ctx) == nil //nolint:gosec // looked at, not relied on
}

// suites are what Exchange Online offers below TLS 1.3 (ECDHE, then RSA key exchange), and what old
// versions need so that the suite identifies the version.
var suites = []uint16{
	tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384, tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
	tls.TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384, tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
	tls.TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA256, tls.TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA256,
	tls.TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA, tls.TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA,
	tls.TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA, tls.TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA,
	tls.TLS_RSA_WITH_AES_256_GCM_SHA384, tls.TLS_RSA_WITH_AES_128_GCM_SHA256,
	tls.TLS_RSA_WITH_AES_128_CBC_SHA256, tls.TLS_RSA_WITH_AES_256_CBC_SHA, tls.TLS_RSA_WITH_AES_128_CBC_SHA,
}

func (s *session) probe(o Options, serverName string, r *Report) error {
	defer link.Await(s.ctx, "SMTP at "+r.Address)()
	ctx, cancel := context.WithTimeout(s.ctx, s.limit)
	raw, err := o.Dial(ctx, "tcp", r.Address)
	cancel()
	if err != nil {
		return err
	}
	s.use(raw)
	s.raw = raw
	s.stop = context.AfterFunc(s.ctx, func() { raw.SetDeadline(time.Unix(1, 0)) })
	s.begin(Greeting)
	lines, err := s.reply(220)
	if err != nil {
		return err
	}
	r.Banner = link.Line(strings.Join(lines, " "))
	r.Hostname, _, _ = strings.Cut(r.Banner, " ")
	switch address, err := netip.ParseAddr(o.Hello); {
	case o.Hello == "":
		r.Hello = ownName(raw)
	case err == nil:
		r.Hello = literal(address)
	default:
		r.Hello = o.Hello
	}
	s.begin(Hello)
	if r.Capabilities, err = s.hello(r.Hello); err != nil {
		return err
	}
	if !r.Capabilities.Has("STARTTLS") {
		s.quit()
		return nil
	}
	s.begin(StartTLS)
	if _, err = s.command("STARTTLS", 220); err != nil {
		return err
	}
	if s.r.Buffered() > 0 {
		// Text that came before the handshake must not count as said after it.
		return ErrInjected
	}
	s.begin(Handshake)
	t := &TLS{}
	secure := tls.Client(raw, &tls.Config{
		ServerName:         serverName,
		InsecureSkipVerify: true,             //nolint:gosec // looked at, not relied on; no mail is sent
		MinVersion:         tls.VersionTLS10, // so that an old server shows what it has
		CipherSuites:       suites,
		// Called as soon as the certificate has come: a server that then refuses the client has
		// shown it.
		VerifyPeerCertificate: func(raw [][]byte, _ [][]*x509.Certificate) error {
			for _, der := range raw {
				c, err := x509.ParseCertificate(der)
				if err != nil {
					return err
				}
				t.Certificates = append(t.Certificates, c)
			}
			r.TLS = t
			return nil
		},
		GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
			t.CertificateRequested = true
			if o.Certificate != nil {
				return o.Certificate, nil
			}
			return &tls.Certificate{}, nil
		},
	})
	ctx, cancel = context.WithTimeout(s.ctx, s.limit)
	err = secure.HandshakeContext(ctx)
	cancel()
	if err != nil {
		return err
	}
	state := secure.ConnectionState()
	t.Version, t.CipherSuite, t.Staple = state.Version, state.CipherSuite, state.OCSPResponse
	s.use(secure)
	s.begin(SecureHello)
	if t.Capabilities, err = s.hello(r.Hello); err != nil {
		return err
	}
	s.quit()
	return nil
}

// ErrInjected is clear text behind the answer to STARTTLS.
var ErrInjected = fmt.Errorf("%w: the server went on in clear text after STARTTLS", ErrProtocol)

// session is one connection, and the step that it is at.
type session struct {
	ctx   context.Context // of the whole probe
	limit time.Duration   // of one step
	raw   net.Conn
	conn  net.Conn // raw, or TLS over it
	r     *bufio.Reader
	stop  func() bool
	step  Step
	began time.Time
	heard bool
}

func (s *session) use(conn net.Conn) {
	s.conn, s.r = conn, bufio.NewReaderSize(conn, maxReplyLine)
}

// begin starts a step and its time limit.
func (s *session) begin(step Step) {
	s.step, s.began, s.heard = step, time.Now(), false
	s.raw.SetDeadline(s.began.Add(s.limit))
	if s.ctx.Err() != nil { // it may have ended just before the deadline was moved
		s.raw.SetDeadline(time.Unix(1, 0))
	}
}

func (s *session) close() {
	if s.raw != nil {
		s.stop()
		s.raw.Close()
	}
}

func (s *session) hello(name string) (Capabilities, error) {
	lines, err := s.command("EHLO "+name, 250)
	if err != nil {
		return nil, err
	}
	c := Capabilities{}
	for _, l := range lines[1:] {
		if words := strings.Fields(link.Printable(l)); len(words) > 0 {
			c = append(c, Capability{Keyword: strings.ToUpper(words[0]), Parameters: words[1:]})
		}
	}
	return c, nil
}

// quit is a courtesy, so an error of a closed connection is ignored.
func (s *session) quit() {
	s.raw.SetDeadline(time.Now().Add(min(s.limit, 5*time.Second)))
	_, _ = s.command("QUIT", 221)
}

func (s *session) command(line string, want int) ([]string, error) {
	if _, err := s.conn.Write([]byte(line + "\r\n")); err != nil {
		return nil, err
	}
	return s.reply(want)
}

// reply reads a reply's lines (RFC 5321 section 4.2) without code and separator.
func (s *session) reply(want int) ([]string, error) {
	var lines []string
	size := 0
	for {
		raw, err := s.r.ReadSlice('\n')
		s.heard = s.heard || len(raw) > 0
		if errors.Is(err, bufio.ErrBufferFull) {
			return nil, fmt.Errorf("%w: a line of more than %d bytes, where 512 are allowed", ErrProtocol, maxReplyLine)
		}
		if err != nil {
			return nil, err
		}
		line := strings.TrimRight(string(raw), "\r\n")
		code, text, last, ok := parseReplyLine(line)
		switch {
		case !ok && strings.HasPrefix(line, "HTTP/"):
			return nil, fmt.Errorf("%w: a web server answers: %s", ErrProtocol, excerpt(line))
		case !ok:
			return nil, fmt.Errorf("%w: a line without reply code: %q", ErrProtocol, excerpt(line))
		}
		size += len(raw)
		if lines = append(lines, text); len(lines) > maxReply || size > maxBytes {
			return nil, fmt.Errorf("%w: it does not end after %d lines", ErrProtocol, len(lines))
		}
		if !last {
			continue
		}
		if code != want {
			e := &ReplyError{Command: string(s.step), Code: code, Text: excerpt(strings.Join(lines, " "))}
			if first, rest, ok := strings.Cut(e.Text, " "); ok && enhanced(first) {
				e.Enhanced, e.Text = first, rest
			}
			return nil, e
		}
		return lines, nil
	}
}

// notPublic are last labels of names that public DNS lacks (RFC 6761, 6762, 8375, and what networks
// use).
var notPublic = map[string]bool{
	"invalid": true, "test": true, "example": true, "localhost": true, "local": true, "localdomain": true, "arpa": true,
	"internal": true, "intranet": true, "lan": true, "home": true, "corp": true, "private": true, "ad": true,
}

var hostLabel = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`^[a-z0-9]([a-z0-9-]*[a-z0-9])?$`)
})

// ownName returns this machine's name for EHLO on a connection.
func ownName(conn net.Conn) string {
	if name, err := os.Hostname(); err == nil && publicName(name) {
		return strings.TrimSuffix(name, ".")
	}
	host, _, err := net.SplitHostPort(conn.LocalAddr().String())
	if err != nil {
		return "[127.0.0.1]"
	}
	address, err := netip.ParseAddr(host)
	if err != nil {
		return "[127.0.0.1]"
	}
	return literal(address)
}

// literal is an address as EHLO takes it (RFC 5321 section 4.1.3).
func literal(address netip.Addr) string {
	if address = address.Unmap(); address.Is4() {
		return "[" + address.String() + "]"
	}
	return "[IPv6:" + address.WithZone("").String() + "]"
}

// publicName reports whether a name is fully qualified and may be in public DNS.
func publicName(name string) bool {
	labels := strings.Split(strings.ToLower(strings.TrimSuffix(name, ".")), ".")
	last := labels[len(labels)-1]
	if len(labels) < 2 || notPublic[last] || strings.Trim(last, "0123456789") == "" {
		return false
	}
	for _, l := range labels {
		if !hostLabel().MatchString(l) {
			return false
		}
	}
	return true
}

func parseReplyLine(line string) (code int, text string, last, ok bool) {
	if len(line) < 3 {
		return 0, "", false, false
	}
	code, err := strconv.Atoi(line[:3])
	if err != nil || code < 200 || code > 599 {
		return 0, "", false, false
	}
	switch {
	case len(line) == 3:
		return code, "", true, true
	case line[3] == ' ':
		return code, line[4:], true, true
	case line[3] == '-':
		return code, line[4:], false, true
	}
	return 0, "", false, false
}

// enhanced reports whether a word is an enhanced status code, class.subject.detail.
func enhanced(word string) bool {
	parts := strings.Split(word, ".")
	if len(parts) != 3 || parts[0] != "2" && parts[0] != "4" && parts[0] != "5" {
		return false
	}
	for _, p := range parts {
		if n, err := strconv.Atoi(p); err != nil || n < 0 || n > 999 {
			return false
		}
	}
	return true
}

func excerpt(s string) string {
	s = strings.TrimSpace(link.Printable(s))
	if r := []rune(s); len(r) > 300 {
		return string(r[:300]) + "..."
	}
	return s
}
