package smtp

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Server receives mail, reports it to Received and throws it away. Hostname and Received are set
// before Serve; the rest, by Configure, at any time.
type Server struct {
	Hostname string // greeting and EHLO name
	// Received is called for each message, may be nil.
	Received func(Message)
	// Each gives the configuration of one session, in place of Configure's. May be nil.
	Each func(net.Conn) Config

	mu     sync.Mutex
	config Config
	open   map[net.Conn]bool
	closed bool
	wg     sync.WaitGroup
}

// Config is what may change while a Server runs.
type Config struct {
	Certificate *tls.Certificate // nil: STARTTLS is not offered
	RequestCA   *tls.Config      // when set, its ClientCAs and ClientAuth are used to ask for a client certificate
	// Capabilities are EHLO lines beside the server's own; SecureCapabilities come only after
	// STARTTLS ("XOORG").
	Capabilities, SecureCapabilities []string
	RequireTLS                       bool
	// when set, the answer to STARTTLS instead of a handshake: "454 4.7.0 TLS not available"
	StartTLSReply string
	Greeting      string // when set, instead of "220 HOSTNAME ..."
	// Accepts reports whether the server takes mail for a domain. Without it, the server takes
	// none: it relays for no one.
	Accepts func(domain string) bool
	// Recognizes returns EHLO lines for a client that did STARTTLS, beside SecureCapabilities. May
	// be nil.
	Recognizes func(tls.ConnectionState) []string
	// Refuses returns the reply that refuses a recipient, or "". When set, Accepts does not count.
	Refuses func(m Message, recipient string) string
	// Takes takes over a message, and returns the reply that refuses it, or "". May be nil.
	Takes func(Message) string
}

// Message is a message that was received.
type Message struct {
	Hello  string // name that the client gave
	From   string
	To     []string
	Data   string
	TLS    *tls.ConnectionState // nil when it came in clear text
	Remote net.Addr
}

// Configure replaces the configuration, for sessions that begin afterwards.
func (s *Server) Configure(c Config) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.config = c
}

// Serve answers on a listener until Close; it returns nil then.
func (s *Server) Serve(l net.Listener) error {
	defer l.Close()
	for {
		conn, err := l.Accept()
		if err != nil {
			s.mu.Lock()
			closed := s.closed
			s.mu.Unlock()
			if closed || errors.Is(err, net.ErrClosed) {
				return nil
			}
			return fmt.Errorf("SMTP server: %w", err)
		}
		s.mu.Lock()
		if s.closed {
			s.mu.Unlock()
			conn.Close()
			return nil
		}
		if s.open == nil {
			s.open = map[net.Conn]bool{}
		}
		s.open[conn] = true
		c := s.config
		if s.Each != nil {
			c = s.Each(conn)
		}
		s.wg.Add(1)
		s.mu.Unlock()
		go func() {
			defer s.wg.Done()
			r := &receiver{server: s, config: c, conn: conn, r: bufio.NewReader(conn)}
			r.run()
			r.conn.Close() // over TLS says goodbye first: clients take a bare end for an attack
			s.mu.Lock()
			delete(s.open, conn)
			s.mu.Unlock()
		}()
	}
}

// Close ends every session. The listener that Serve was given is the caller's to close first.
func (s *Server) Close() {
	s.mu.Lock()
	s.closed = true
	for c := range s.open {
		c.Close()
	}
	s.mu.Unlock()
	s.wg.Wait()
}

type receiver struct {
	server *Server
	config Config
	conn   net.Conn
	r      *bufio.Reader
	state  *tls.ConnectionState
	hello  bool
	name   string // given in EHLO or HELO
	from   *string
	to     []string
	chunks *strings.Builder // of BDAT; nil when none has come
}

// Limits of one session: what a peer may send before it is cut off.
const (
	maxLine    = 4096
	maxMessage = 37748736 // the SIZE that Exchange offers
	idle       = 2 * time.Minute
)

func (s *receiver) say(lines ...string) bool {
	_, err := s.conn.Write([]byte(strings.Join(lines, "\r\n") + "\r\n"))
	return err == nil
}

func (s *receiver) line() (string, bool) {
	s.conn.SetDeadline(time.Now().Add(idle))
	var b []byte
	for {
		part, err := s.r.ReadSlice('\n')
		if b = append(b, part...); len(b) > maxLine {
			s.say("500 5.5.2 line too long")
			return "", false
		}
		if err == nil {
			return strings.TrimRight(string(b), "\r\n"), true
		}
		if !errors.Is(err, bufio.ErrBufferFull) {
			return "", false
		}
	}
}

func (s *receiver) run() {
	greeting := s.config.Greeting
	if greeting == "" {
		greeting = "220 " + s.server.Hostname + " Microsoft ESMTP MAIL Service ready"
	}
	if !s.say(greeting) {
		return
	}
	for {
		l, ok := s.line()
		if !ok {
			return
		}
		verb, argument, _ := strings.Cut(l, " ")
		if !s.handle(strings.ToUpper(verb), strings.TrimSpace(argument)) {
			return
		}
	}
}

// handle answers one command; false ends the session.
func (s *receiver) handle(verb, argument string) bool {
	switch verb {
	case "EHLO":
		s.hello, s.name = true, argument
		s.reset()
		return s.say(s.capabilities()...)
	case "HELO":
		s.hello, s.name = true, argument
		return s.say("250 " + s.server.Hostname)
	case "STARTTLS":
		return s.startTLS()
	case "NOOP":
		return s.say("250 2.0.0 OK")
	case "RSET":
		s.reset()
		return s.say("250 2.0.0 Resetting")
	case "QUIT":
		s.say("221 2.0.0 Service closing transmission channel")
		return false
	case "MAIL":
		address, ok := path(argument, "FROM:")
		switch {
		case !ok:
			return s.say("501 5.5.4 Invalid arguments")
		case !s.hello:
			return s.say("503 5.5.2 Send hello first")
		case s.config.RequireTLS && s.state == nil:
			return s.say("451 5.7.3 Must issue a STARTTLS command first")
		case s.from != nil:
			return s.say("503 5.5.2 Sender already specified")
		}
		if refusal := parameters(argument); refusal != "" {
			return s.say(refusal)
		}
		s.reset()
		s.from = &address
		return s.say("250 2.1.0 Sender OK")
	case "RCPT":
		address, ok := path(argument, "TO:")
		switch {
		case s.from == nil:
			return s.say("503 5.5.2 Need mail command")
		case !ok || address == "":
			return s.say("501 5.5.4 Invalid arguments")
		case len(s.to) >= 500:
			return s.say("452 4.5.3 Too many recipients")
		}
		_, domain, ok := cutLast(address, "@")
		if !ok || domain == "" {
			return s.say("550 5.1.1 Recipient address has no domain")
		}
		if s.config.Refuses != nil {
			if refusal := s.config.Refuses(s.message(""), address); refusal != "" {
				return s.say(refusal)
			}
		} else if s.config.Accepts == nil || !s.config.Accepts(strings.ToLower(domain)) {
			return s.say("550 5.7.54 SMTP; Unable to relay recipient in non-accepted domain")
		}
		s.to = append(s.to, address)
		return s.say("250 2.1.5 Recipient OK")
	case "DATA":
		if len(s.to) == 0 {
			return s.say("503 5.5.2 Need rcpt command")
		}
		if s.chunks != nil {
			return s.say("503 5.5.1 DATA after BDAT")
		}
		return s.data()
	case "BDAT":
		return s.chunk(argument)
	}
	return s.say("500 5.3.3 Unrecognized command")
}

func (s *receiver) capabilities() []string {
	words := []string{s.server.Hostname + " Hello", "SIZE " + strconv.Itoa(maxMessage), "PIPELINING", "DSN",
		"ENHANCEDSTATUSCODES",
		"CHUNKING"}
	if s.state == nil && s.config.Certificate != nil {
		words = append(words, "STARTTLS")
	}
	words = append(words, s.config.Capabilities...)
	if s.state != nil {
		words = append(words, s.config.SecureCapabilities...)
		if s.config.Recognizes != nil {
			words = append(words, s.config.Recognizes(*s.state)...)
		}
	}
	words = append(words, "8BITMIME")
	for i := range words {
		separator := "-"
		if i == len(words)-1 {
			separator = " "
		}
		words[i] = "250" + separator + words[i]
	}
	return words
}

func (s *receiver) startTLS() bool {
	switch {
	case s.config.Certificate == nil || s.state != nil:
		return s.say("500 5.3.3 Unrecognized command")
	case s.config.StartTLSReply != "":
		return s.say(s.config.StartTLSReply)
	case s.r.Buffered() > 0: // commands sent before the handshake must not run after it
		s.say("503 5.5.1 Pipelining after STARTTLS")
		return false
	}
	if !s.say("220 2.0.0 SMTP server ready") {
		return false
	}
	config := &tls.Config{Certificates: []tls.Certificate{*s.config.Certificate}, MinVersion: tls.VersionTLS12}
	if s.config.RequestCA != nil {
		config.ClientCAs, config.ClientAuth = s.config.RequestCA.ClientCAs, s.config.RequestCA.ClientAuth
	}
	secure := tls.Server(s.conn, config)
	ctx, cancel := context.WithTimeout(context.Background(), idle)
	defer cancel()
	if secure.HandshakeContext(ctx) != nil {
		return false
	}
	state := secure.ConnectionState()
	s.conn, s.r, s.state = secure, bufio.NewReader(secure), &state
	s.hello = false
	s.reset()
	return true
}

func (s *receiver) data() bool {
	if !s.say("354 Start mail input; end with <CRLF>.<CRLF>") {
		return false
	}
	var b strings.Builder
	for {
		l, ok := s.line()
		if !ok {
			return false
		}
		if l == "." {
			break
		}
		if b.Len()+len(l) > maxMessage {
			s.say("552 5.3.4 Message size exceeds fixed maximum message size")
			return false
		}
		b.WriteString(strings.TrimPrefix(l, ".")) // dot-stuffing, RFC 5321 section 4.5.2
		b.WriteString("\r\n")
	}
	return s.received(b.String())
}

func (s *receiver) reset() { s.from, s.to, s.chunks = nil, nil, nil }

// message is what is known of a message so far.
func (s *receiver) message(data string) Message {
	return Message{Hello: s.name, From: *s.from, To: s.to, Data: data, TLS: s.state, Remote: s.conn.RemoteAddr()}
}

func (s *receiver) received(data string) bool {
	m := s.message(data)
	s.reset()
	if s.config.Takes != nil {
		if refusal := s.config.Takes(m); refusal != "" {
			return s.say(refusal)
		}
	}
	if s.server.Received != nil {
		s.server.Received(m)
	}
	return s.say("250 2.6.0 Queued mail for delivery")
}

// chunk reads one BDAT (RFC 3030): its octets follow the command at once, also when it is refused.
func (s *receiver) chunk(argument string) bool {
	size, word, last := strings.Cut(argument, " ")
	n, err := strconv.ParseInt(size, 10, 64)
	if err != nil || n < 0 || last && !strings.EqualFold(word, "LAST") {
		s.say("501 5.5.4 Invalid arguments")
		return false // where the next command begins is not known
	}
	if n > maxMessage {
		s.say("552 5.3.4 Message size exceeds fixed maximum message size")
		return false
	}
	s.conn.SetDeadline(time.Now().Add(idle))
	octets := make([]byte, n)
	if _, err := io.ReadFull(s.r, octets); err != nil {
		return false
	}
	if len(s.to) == 0 {
		return s.say("503 5.5.2 Need rcpt command")
	}
	if s.chunks == nil {
		s.chunks = &strings.Builder{}
	}
	if s.chunks.Len()+len(octets) > maxMessage {
		s.reset()
		return s.say("552 5.3.4 Message size exceeds fixed maximum message size")
	}
	s.chunks.Write(octets)
	if last {
		return s.received(s.chunks.String())
	}
	return s.say("250 2.0.0 " + size + " octets received")
}

// parameters checks the parameters of MAIL. It returns the refusal, or "".
func parameters(argument string) string {
	_, rest, _ := strings.Cut(argument, ">")
	for _, p := range strings.Fields(rest) {
		name, value, _ := strings.Cut(p, "=")
		switch strings.ToUpper(name) {
		case "SIZE":
			switch n, err := strconv.ParseInt(value, 10, 64); {
			case err != nil || n < 0:
				return "501 5.5.4 Invalid arguments"
			case n > maxMessage:
				return "552 5.3.4 Message size exceeds fixed maximum message size"
			}
		case "BODY", "RET", "ENVID", "AUTH", "XOORG":
		default:
			return "501 5.5.4 Unrecognized parameter"
		}
	}
	return ""
}

func cutLast(s, sep string) (before, after string, found bool) {
	if i := strings.LastIndex(s, sep); i >= 0 {
		return s[:i], s[i+len(sep):], true
	}
	return s, "", false
}

// path reads "FROM:<a@b> SIZE=1".
func path(argument, keyword string) (string, bool) {
	if len(argument) < len(keyword) || !strings.EqualFold(argument[:len(keyword)], keyword) {
		return "", false
	}
	rest, ok := strings.CutPrefix(strings.TrimSpace(argument[len(keyword):]), "<")
	if !ok {
		return "", false
	}
	address, _, ok := strings.Cut(rest, ">")
	return address, ok
}
