package smtp

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/hybridge-cli/hybridge/pkg/wire/link"
)

// The steps of a message, after those of a probe.
const (
	Sender    Step = "MAIL"
	Recipient Step = "RCPT"
	Content   Step = "DATA"
)

// ErrNoTLS says that the server offers no STARTTLS, and that the message needs it.
var ErrNoTLS = errors.New("the server offers no STARTTLS")

// Outgoing is a message to hand over to one server.
type Outgoing struct {
	From       string // empty for a report about another message
	To         []string
	Data       string // header and body
	ServerName string // for SNI
	RequireTLS bool
	// Organization is the domain of the sending Exchange organization. It goes to servers that
	// recognize the sender as one of its own (XOORG).
	Organization string
	// Verify looks at the TLS session before anything is sent in it. May be nil.
	Verify func(tls.ConnectionState) error
}

// Sent is what is known of a message that a server took, or refused.
type Sent struct {
	Reply      string               // the server's last one
	TLS        *tls.ConnectionState // nil: in clear text
	Recognized bool                 // the server offered XOORG
}

// Send hands a message over to HOST:PORT. It uses STARTTLS where the server offers it. An error is
// a
// *StepError; a refusal is a *ReplyError in it.
func Send(ctx context.Context, o Options, address string, m Outgoing) (Sent, error) {
	if o.Timeout == 0 {
		o.Timeout = 30 * time.Second
	}
	s := &session{ctx: ctx, limit: o.Timeout, step: Connect, began: time.Now()}
	sent, err := s.send(o, address, m)
	s.close()
	if err == nil {
		return sent, nil
	}
	if ctx.Err() != nil {
		err = fmt.Errorf("%w (%w)", err, context.Cause(ctx))
	}
	return sent, &StepError{Address: address, Step: s.step, Waited: time.Since(s.began), Heard: s.heard,
		Err: link.Classify(err)}
}

func (s *session) send(o Options, address string, m Outgoing) (sent Sent, err error) {
	defer link.Await(s.ctx, "mail to "+address)()
	ctx, cancel := context.WithTimeout(s.ctx, s.limit)
	raw, err := o.Dial(ctx, "tcp", address)
	cancel()
	if err != nil {
		return sent, err
	}
	s.use(raw)
	s.raw = raw
	s.stop = context.AfterFunc(s.ctx, func() { raw.SetDeadline(time.Unix(1, 0)) })
	s.begin(Greeting)
	if _, err := s.reply(220); err != nil {
		return sent, err
	}
	s.begin(Hello)
	capabilities, err := s.hello(o.Hello)
	if err != nil {
		return sent, err
	}
	s.begin(StartTLS)
	switch {
	case capabilities.Has("STARTTLS"):
		if sent.TLS, err = s.secure(o, m); err != nil {
			return sent, err
		}
		s.begin(SecureHello)
		if capabilities, err = s.hello(o.Hello); err != nil {
			return sent, err
		}
	case m.RequireTLS:
		return sent, ErrNoTLS
	}
	s.begin(Sender)
	command := "MAIL FROM:<" + m.From + ">"
	if sent.Recognized = capabilities.Has("XOORG"); sent.Recognized && m.Organization != "" {
		command += " XOORG=" + m.Organization
	}
	if _, err := s.command(command, 250); err != nil {
		return sent, err
	}
	s.begin(Recipient)
	for _, to := range m.To {
		if _, err := s.command("RCPT TO:<"+to+">", 250); err != nil {
			return sent, err
		}
	}
	s.begin(Content)
	if _, err := s.command("DATA", 354); err != nil {
		return sent, err
	}
	lines, err := s.command(stuff(m.Data)+".", 250)
	if err != nil {
		return sent, err
	}
	sent.Reply = "250 " + link.Line(strings.Join(lines, " "))
	s.quit()
	return sent, nil
}

// secure does STARTTLS.
func (s *session) secure(o Options, m Outgoing) (*tls.ConnectionState, error) {
	if _, err := s.command("STARTTLS", 220); err != nil {
		return nil, err
	}
	if s.r.Buffered() > 0 {
		return nil, ErrInjected
	}
	s.begin(Handshake)
	config := &tls.Config{
		ServerName:         m.ServerName,
		InsecureSkipVerify: true, //nolint:gosec // Verify judges; without it, any encryption is better than none
		MinVersion:         tls.VersionTLS12,
		CipherSuites:       suites,
	}
	if o.Certificate != nil {
		config.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
			return o.Certificate, nil
		}
	}
	conn := tls.Client(s.raw, config)
	ctx, cancel := context.WithTimeout(s.ctx, s.limit)
	defer cancel()
	if err := conn.HandshakeContext(ctx); err != nil {
		return nil, err
	}
	state := conn.ConnectionState()
	if m.Verify != nil {
		if err := m.Verify(state); err != nil {
			return &state, err
		}
	}
	s.use(conn)
	return &state, nil
}

// stuff ends lines with CRLF and doubles the dot that begins one (RFC 5321 section 4.5.2).
func stuff(data string) string {
	var b strings.Builder
	for line := range strings.Lines(data) {
		line = strings.TrimRight(line, "\r\n")
		if strings.HasPrefix(line, ".") {
			b.WriteByte('.')
		}
		b.WriteString(line + "\r\n")
	}
	return b.String()
}
