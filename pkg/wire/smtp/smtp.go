// Package smtp looks at SMTP servers the way Exchange Online's and Exchange's own connectors meet them: banner, EHLO capabilities before and
// after STARTTLS (RFC 3207), the certificates that are served. It sends no mail. Its server half is a small receiver for simulated estates and tests.
package smtp

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"time"

	"github.com/hybridge-cli/hybridge/pkg/wire/link"
)

// ErrProtocol is a reply that is not SMTP: often a middlebox that masks EHLO or STARTTLS.
var ErrProtocol = errors.New("not an SMTP reply")

// ReplyError is a reply other than the one that a command needs.
type ReplyError struct {
	Command  string // "connect", "EHLO", "STARTTLS"
	Code     int
	Enhanced string // RFC 3463, "4.7.0"; may be empty
	Text     string // cleaned; one line
}

func (e *ReplyError) Error() string {
	status := strconv.Itoa(e.Code)
	if e.Enhanced != "" {
		status += " " + e.Enhanced
	}
	return fmt.Sprintf("%s answered %s %s", e.Command, status, e.Text)
}

// Capability is one line of an EHLO answer: "SIZE 37748736" is {"SIZE", ["37748736"]}.
type Capability struct {
	Keyword    string // upper case
	Parameters []string
}

// Capabilities are an EHLO answer.
type Capabilities []Capability

// Has tells whether a keyword is there: "STARTTLS", "XOORG" (the server takes cloud services mail from this client).
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
	Version              uint16 // tls.VersionTLS13
	CipherSuite          uint16
	Certificates         []*x509.Certificate // as served, leaf first; not judged
	CertificateRequested bool                // the server asked for a client certificate
	Capabilities         Capabilities        // of the EHLO after STARTTLS
}

// Report is what a server showed, as far as the probe came.
type Report struct {
	Address      string
	Banner       string // text of the greeting, cleaned
	Hostname     string // first word of the greeting
	Capabilities Capabilities
	TLS          *TLS // nil when the server does not offer STARTTLS or the probe did not get there
}

// Options for Probe. Dial is needed; link's DialContext is one.
type Options struct {
	Dial        func(ctx context.Context, network, address string) (net.Conn, error)
	Hello       string           // name given in EHLO; "hybridge.invalid" when empty
	Certificate *tls.Certificate // presented when the server asks, as Exchange does with its transport certificate
	Timeout     time.Duration    // of the whole probe; 30 s when 0
}

// maxReply bounds the lines of one reply.
const maxReply = 200

// Probe connects to HOST:PORT, looks at the greeting and capabilities, does STARTTLS when it is offered, looks again, and quits. The certificates are
// not judged: the caller verifies them for the name it wants. On an error the Report holds what was learned before it.
func Probe(ctx context.Context, o Options, address, serverName string) (Report, error) {
	if o.Timeout == 0 {
		o.Timeout = 30 * time.Second
	}
	if o.Hello == "" {
		o.Hello = "hybridge.invalid"
	}
	ctx, cancel := context.WithTimeout(ctx, o.Timeout)
	defer cancel()
	r := Report{Address: address}
	conn, err := o.Dial(ctx, "tcp", address)
	if err != nil {
		return r, fmt.Errorf("probe SMTP server %s: %w", address, link.Classify(err))
	}
	defer conn.Close()
	stop := context.AfterFunc(ctx, func() { conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	if err := probe(ctx, o, conn, serverName, &r); err != nil {
		if ctx.Err() != nil {
			err = fmt.Errorf("%w (%w)", err, ctx.Err())
		}
		return r, fmt.Errorf("probe SMTP server %s: %w", address, link.Classify(err))
	}
	return r, nil
}

func probe(ctx context.Context, o Options, conn net.Conn, serverName string, r *Report) error {
	s := &session{conn: conn, r: bufio.NewReaderSize(conn, 4096)}
	lines, err := s.reply("connect", 220)
	if err != nil {
		return err
	}
	r.Banner = link.Printable(strings.Join(lines, " "))
	r.Hostname, _, _ = strings.Cut(r.Banner, " ")
	if r.Capabilities, err = s.hello(o.Hello); err != nil {
		return err
	}
	if !r.Capabilities.Has("STARTTLS") {
		s.quit()
		return nil
	}
	if _, err = s.command("STARTTLS", "STARTTLS", 220); err != nil {
		return err
	}
	if s.r.Buffered() > 0 {
		// Text that came before the handshake must not count as said after it.
		return fmt.Errorf("%w: the server went on in clear text after STARTTLS", ErrProtocol)
	}
	t := &TLS{}
	config := &tls.Config{
		ServerName:         serverName,
		InsecureSkipVerify: true, //nolint:gosec // looked at, not relied on; no mail is sent
		MinVersion:         tls.VersionTLS12,
		GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
			t.CertificateRequested = true
			if o.Certificate != nil {
				return o.Certificate, nil
			}
			return &tls.Certificate{}, nil
		},
	}
	secure := tls.Client(conn, config)
	if err := secure.HandshakeContext(ctx); err != nil {
		return fmt.Errorf("TLS handshake after STARTTLS: %w", err)
	}
	state := secure.ConnectionState()
	t.Version, t.CipherSuite, t.Certificates = state.Version, state.CipherSuite, state.PeerCertificates
	r.TLS = t
	s.conn, s.r = secure, bufio.NewReaderSize(secure, 4096)
	if t.Capabilities, err = s.hello(o.Hello); err != nil {
		return err
	}
	s.quit()
	return nil
}

type session struct {
	conn net.Conn
	r    *bufio.Reader
}

func (s *session) hello(name string) (Capabilities, error) {
	lines, err := s.command("EHLO", "EHLO "+name, 250)
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

// quit is a courtesy: a server that has hung up already has lost nothing.
func (s *session) quit() { _, _ = s.command("QUIT", "QUIT", 221) }

func (s *session) command(name, line string, want int) ([]string, error) {
	if _, err := s.conn.Write([]byte(line + "\r\n")); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return s.reply(name, want)
}

// reply reads a reply's lines (RFC 5321 section 4.2) without code and separator.
func (s *session) reply(command string, want int) ([]string, error) {
	var lines []string
	for {
		raw, err := s.r.ReadSlice('\n')
		if errors.Is(err, bufio.ErrBufferFull) {
			return nil, fmt.Errorf("%s: %w: a line longer than 4096 bytes", command, ErrProtocol)
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", command, err)
		}
		line := strings.TrimRight(string(raw), "\r\n")
		code, text, last, ok := parseReplyLine(line)
		if !ok {
			return nil, fmt.Errorf("%s: %w: %q", command, ErrProtocol, excerpt(line))
		}
		if lines = append(lines, text); len(lines) > maxReply {
			return nil, fmt.Errorf("%s: %w: more than %d lines", command, ErrProtocol, maxReply)
		}
		if !last {
			continue
		}
		if code != want {
			e := &ReplyError{Command: command, Code: code, Text: excerpt(strings.Join(lines, " "))}
			if first, rest, ok := strings.Cut(e.Text, " "); ok && enhanced(first) {
				e.Enhanced, e.Text = first, rest
			}
			return nil, e
		}
		return lines, nil
	}
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

// enhanced tells whether a word is an enhanced status code, class.subject.detail.
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
