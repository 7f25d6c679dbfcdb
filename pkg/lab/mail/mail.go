// Package mail is the transport of one Exchange organization in the lab. Messages travel over SMTP
// between the organizations. Connectors are objects of package organization, and every message
// reads them anew. What the two sides do differently is in onprem.go and online.go.
package mail

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/mail"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/hybridge-cli/hybridge/pkg/lab/organization"
	"github.com/hybridge-cli/hybridge/pkg/wire/dns"
	"github.com/hybridge-cli/hybridge/pkg/wire/smtp"
)

// Address is what an organization knows of an address.
type Address struct {
	Known   bool
	Here    bool   // a mailbox of this organization
	Primary string // of the recipient
	Target  string // where its mail goes when it is not here
}

// Config is one side's transport.
type Config struct {
	Organization *organization.Organization // nil: of Amazon WorkMail
	// Own are the domains of which WorkMail alone has the recipients.
	Own    []string
	Host   string // name of the server, in its greeting and in Received headers
	Build  string // "15.2.2562.17", of Received headers
	Tenant string // id of the tenant; empty on-premises
	// Certificates are the certificates with their keys that the server has.
	Certificates func() []tls.Certificate
	Find         func(address string) Address
	Now          func() time.Time
	// Alter changes the configuration of sessions: a device in front of the server. May be nil.
	Alter func(*smtp.Config)
	// Origin is the address at which the internet sees a client; nil: the client's own.
	Origin func(net.Addr) netip.Addr
	// Edge says what makes the server an Edge server; nil: a Mailbox server, or Exchange Online.
	Edge *Edge
	// Trusts recognizes the certificates of the organization's other transport servers. Trusted is
	// what this one shows to them.
	Trusts  func(*x509.Certificate) bool
	Trusted *tls.Certificate
	// Peer is the host of another transport server of the organization by its name; empty: there is
	// none. nil: the organization has no other.
	Peer func(server string) string
	// At is the transport of the server that a cmdlet is about; nil: this one.
	At func(c organization.Call) (*Transport, error)
	// Home is the transport of the server with a recipient's mailbox: what arrives for the recipient
	// is handed to it. nil: this one.
	Home func(address string) *Transport
	// Mailboxes are those of the organization, which its servers share; nil: of this server alone.
	Mailboxes *Mailboxes
	Retry     time.Duration // pause before a message is sent again; five seconds when 0
}

// Edge is an Edge server: it hands on what it takes, and has its connectors and domains from the
// organization.
type Edge struct {
	From   *organization.Organization // of EdgeSync
	Inside string                     // host of a Mailbox server
	// Synced reports whether EdgeSync has brought the connectors. May be nil.
	Synced func() bool
}

func (e *Edge) synced() bool { return e.Synced == nil || e.Synced() }

// Transport receives, routes and delivers mail.
type Transport struct {
	Config
	side   side
	names  *dns.Client
	dial   func(ctx context.Context, network, address string) (net.Conn, error)
	roots  *x509.CertPool
	server *smtp.Server

	ctx  context.Context
	stop context.CancelFunc
	wait sync.WaitGroup

	mu     sync.Mutex
	number int // of queues
	events []event
	queues map[string]*queue // of what waits, by next hop
	closed bool
}

// Mailboxes hold the messages that arrived. The zero value is empty.
type Mailboxes struct {
	mu     sync.Mutex
	number int
	inbox  map[string][]Message // by primary address, in lower case
}

// side is what Exchange on-premises and Exchange Online do differently.
type side interface {
	// session is the configuration of an SMTP session that begins.
	session(remote net.Addr) smtp.Config
	// admit judges a message that has arrived: its verdict, or the reply that refuses it.
	admit(m smtp.Message, header *Header) (verdict, string)
	// route finds the way to a domain.
	route(domain string) (way, error)
	// unknown is the status of a recipient that an authoritative domain does not have.
	unknown(address string) string
	// explain words a failure to hand over.
	explain(host string, err error) string
}

// verdict is how a message is taken.
type verdict struct {
	internal  bool
	promoted  bool   // the other side's headers were taken over
	connector string // at which the message came in
	trusted   bool   // from another server of the organization: the headers stay
}

// way is the way to a domain.
type way struct {
	connector   string
	hosts       []string // of smart hosts; empty: the domain's mail exchangers
	requireTLS  bool
	validate    bool   // the certificate must be valid
	tlsDomain   string // that the certificate must name; empty: the host
	certificate *tls.Certificate
	hello       string
	cloud       bool // Exchange's own headers go along
	trusted     bool // to another server of the organization
}

// Message is a message in a mailbox.
type Message struct {
	ID       string // of the item
	From     string
	Subject  string
	Header   Header
	Body     string
	Received time.Time
}

// New makes the transport of one side. It serves once Link has connected it.
func New(c Config) *Transport {
	if c.Retry == 0 {
		c.Retry = 5 * time.Second
	}
	if c.Mailboxes == nil {
		c.Mailboxes = &Mailboxes{}
	}
	t := &Transport{Config: c, queues: map[string]*queue{}}
	t.ctx, t.stop = context.WithCancel(context.Background())
	switch {
	case c.Organization == nil:
		t.side = amazon{t}
	case c.Tenant == "":
		t.side = onPremises{t}
	default:
		t.side = online{t}
	}
	t.server = &smtp.Server{Hostname: c.Host, Each: func(conn net.Conn) smtp.Config {
		config := t.side.session(conn.RemoteAddr())
		if c.Alter != nil {
			c.Alter(&config)
		}
		return config
	}}
	if c.Organization != nil {
		t.track()
	}
	return t
}

// Link gives the transport its way to others.
func (t *Transport) Link(names *dns.Client, dial func(ctx context.Context, network, address string) (net.Conn, error),
	roots *x509.CertPool) {
	t.names, t.dial, t.roots = names, dial, roots
}

// Serve receives mail until Close.
func (t *Transport) Serve(l net.Listener) error { return t.server.Serve(l) }

// Close ends sessions and drops what waits.
func (t *Transport) Close() {
	t.mu.Lock()
	t.closed = true
	t.mu.Unlock()
	t.stop()
	t.server.Close()
	t.wait.Wait()
}

// Submit sends a message of a mailbox of this organization, and returns its message id.
func (t *Transport) Submit(from string, to []string, subject, body string) (id string, err error) {
	sender := t.Find(from)
	if !sender.Here {
		return "", fmt.Errorf("%s has no mailbox here", from)
	}
	t = t.home(sender.Primary)
	id = "<" + rand.Text() + "@" + t.Host + ">"
	h := Header{}
	h.Set("Received", t.receivedLine(t.Host, nil))
	h.Set("From", "<"+sender.Primary+">")
	h.Set("To", "<"+strings.Join(to, ">, <")+">")
	h.Set("Subject", subject)
	h.Set("Date", t.Now().UTC().Format(time.RFC1123Z))
	h.Set("Message-ID", id)
	_, domain, _ := strings.Cut(sender.Primary, "@")
	h.Set("X-OriginatorOrg", domain)
	h.set(organizationPrefix, "AuthAs", "Internal")
	h.set(organizationPrefix, "AuthMechanism", "04")
	h.set(organizationPrefix, "AuthSource", t.Host)
	h.set(organizationPrefix, "MessageDirectionality", "Originating")
	m := queued{from: sender.Primary, header: h, body: body, id: id, subject: subject, internal: true}
	t.record(event{id: "RECEIVE", source: "STOREDRIVER"}, m, to...)
	t.forward(m, to)
	return id, nil
}

// Inbox lists the messages of a mailbox with a subject; all with "".
func (t *Transport) Inbox(address, subject string) []Message {
	b := t.Mailboxes
	b.mu.Lock()
	defer b.mu.Unlock()
	var out []Message
	for _, m := range b.inbox[strings.ToLower(t.Find(address).Primary)] {
		if subject == "" || m.Subject == subject {
			out = append(out, m)
		}
	}
	return out
}

// Delete removes a message of a mailbox; found is false when there is none.
func (t *Transport) Delete(address, id string) (found bool) {
	b := t.Mailboxes
	b.mu.Lock()
	defer b.mu.Unlock()
	key := strings.ToLower(t.Find(address).Primary)
	before := len(b.inbox[key])
	b.inbox[key] = slices.DeleteFunc(b.inbox[key], func(m Message) bool { return m.ID == id })
	return len(b.inbox[key]) < before
}

// home is the transport that carries what arrives for an address.
func (t *Transport) home(address string) *Transport {
	if t.Home != nil {
		if h := t.Home(address); h != nil {
			return h
		}
	}
	return t
}

// queued is a message on its way.
type queued struct {
	from, id, subject string
	header            Header
	body              string
	internal          bool
	report            bool // about another message: no report is sent about it
}

// maxHops ends loops.
const maxHops = 30

// take takes over a message that arrived by SMTP. It returns the reply that refuses it.
func (t *Transport) take(m smtp.Message) string {
	parsed, err := mail.ReadMessage(strings.NewReader(m.Data))
	if err != nil {
		return "550 5.6.0 M2MCVT.StorageError; the message cannot be read"
	}
	h, body := parseHeader(m.Data)
	q := queued{from: m.From, id: parsed.Header.Get("Message-Id"), subject: parsed.Header.Get("Subject"), body: body,
		report: m.From == ""}
	v, refusal := t.side.admit(m, &h)
	if refusal != "" {
		return refusal
	}
	if len(h.All("Received")) > maxHops {
		return "554 5.4.14 Hop count exceeded - possible mail loop"
	}
	h.Prepend("Received", t.receivedLine(m.Hello, m.TLS))
	if !v.trusted {
		t.judge(&h, v)
	}
	q.header, q.internal = h, v.internal
	if len(m.To) > 0 {
		t = t.home(m.To[0]) // the front end of one server passes it to the transport of another one
	}
	t.record(event{id: "RECEIVE", source: "SMTP", connector: v.connector, client: m.Hello, tls: m.TLS}, q, m.To...)
	t.forward(q, m.To)
	return ""
}

// judge writes the verdict into the headers. What others claim in Exchange's own headers is gone
// before.
func (t *Transport) judge(h *Header, v verdict) {
	h.firewall(v.promoted)
	if t.Organization == nil {
		return // WorkMail writes none of Exchange's headers
	}
	if v.promoted {
		h.Set("X-CrossPremisesHeadersPromoted", t.Host)
	}
	as, direction := "Anonymous", "Incoming"
	if v.internal {
		as, direction = "Internal", "Originating"
	}
	h.set(organizationPrefix, "AuthAs", as)
	if !v.promoted {
		h.set(organizationPrefix, "AuthSource", t.Host)
	}
	h.set(organizationPrefix, "MessageDirectionality", direction)
	if t.Tenant != "" && v.connector != "" {
		h.Set("X-EOPTenantAttributedMessage", t.Tenant+":0")
	}
}

// forward delivers a message to each recipient.
func (t *Transport) forward(m queued, to []string) {
	for _, recipient := range to {
		t.mu.Lock()
		if t.closed {
			t.mu.Unlock()
			return
		}
		t.wait.Add(1)
		t.mu.Unlock()
		go func() {
			defer t.wait.Done()
			t.deliver(m, recipient)
		}()
	}
}

// deliver puts a message into a mailbox, or sends it on until it is taken or refused for good.
func (t *Transport) deliver(m queued, recipient string) {
	to, address := t.Find(recipient), recipient
	_, domain, _ := strings.Cut(strings.ToLower(recipient), "@")
	switch {
	case t.Edge != nil:
	case to.Here:
		t.store(m, to.Primary)
		t.record(event{id: "DELIVER", source: "STOREDRIVER", status: "250 2.1.5 Recipient OK"}, m, recipient)
		return
	case to.Known && to.Target != "":
		address = to.Target
		if !strings.EqualFold(address, recipient) {
			t.record(event{id: "RESOLVE", source: "ROUTING", status: address}, m, recipient)
		}
	case t.authoritative(domain):
		t.fail(m, recipient, t.side.unknown(recipient))
		return
	}
	_, domain, _ = strings.Cut(strings.ToLower(address), "@")
	for last := ""; ; {
		hop, status, done := t.attempt(m, address, domain)
		t.leave(m)
		switch {
		case done:
			return
		case strings.HasPrefix(status, "5"):
			t.fail(m, address, status)
			return
		}
		t.enqueue(hop, status, m)
		if status != last && t.Tenant != "" {
			// Exchange Online's traces tell of each new reason. On-premises, the queue alone knows
			// it.
			t.record(event{id: "DEFER", source: "SMTP", status: status}, m, address)
		}
		last = status
		select {
		case <-t.ctx.Done():
			return
		case <-time.After(t.Retry):
		}
	}
}

// attempt hands a message over once. done is false with the status of a failure. hop is where the
// message goes next: a domain, or smart hosts.
func (t *Transport) attempt(m queued, address, domain string) (hop, status string, done bool) {
	w, err := t.side.route(domain)
	if err != nil {
		return "Unreachable Domain", err.Error(), false
	}
	hosts, hop := w.hosts, strings.Join(w.hosts, ",")
	if len(hosts) == 0 {
		hop = domain
		found, err := t.names.Lookup(t.ctx, domain, dns.MX)
		if err != nil {
			return hop, t.side.explain(domain, err), false
		}
		for _, r := range found.Records {
			hosts = append(hosts, r.Target)
		}
	}
	h := m.header.clone()
	if !w.trusted {
		h.cross(w.cloud, t.Host)
	}
	_, organization, _ := strings.Cut(m.from, "@")
	out := smtp.Outgoing{From: m.from, To: []string{address}, Data: h.String() + "\r\n" + m.body,
		RequireTLS: w.requireTLS}
	if w.cloud {
		out.Organization = organization
	}
	for _, host := range hosts {
		host = strings.TrimSuffix(strings.Trim(host, "[]"), ".")
		out.ServerName = host
		out.Verify = func(s tls.ConnectionState) error { return t.verify(w, host, s.PeerCertificates) }
		sent, failure := smtp.Send(t.ctx, smtp.Options{Dial: t.dial, Hello: w.hello, Certificate: w.certificate,
			Timeout: 10 * time.Second}, net.JoinHostPort(host, "25"), out)
		if failure == nil {
			id := "SENDEXTERNAL"
			if w.trusted {
				id = "SEND"
			}
			t.record(event{id: id, source: "SMTP", connector: w.connector, server: host, status: sent.Reply,
				tls: sent.TLS}, m, address)
			return hop, "", true
		}
		status = t.side.explain(host, failure)
		var reply *smtp.ReplyError
		if errors.As(failure, &reply) && reply.Code >= 500 {
			break
		}
	}
	return hop, status, false
}

// certificateError is a certificate that a connector does not take.
type certificateError struct {
	reason              string // "SubjectMismatch", "UntrustedRoot", "CertExpired"
	expected            string
	subject, thumbprint string
}

func (e *certificateError) Error() string {
	return "certificate validation failure, Reason:" + e.reason
}

// authoritative reports whether the organization alone has a domain's recipients.
func (t *Transport) authoritative(domain string) bool {
	if t.Organization == nil {
		return slices.Contains(t.Own, domain)
	}
	d := t.accepted(domain)
	return d != nil && d.String("DomainType") != "InternalRelay" && d.String("DomainType") != "ExternalRelay"
}

// accepted finds the accepted domain of a name.
func (t *Transport) accepted(domain string) *organization.Record {
	from := t.Organization
	if t.Edge != nil {
		from = t.Edge.From
	}
	for _, d := range from.Objects("AcceptedDomain") {
		if t.Edge != nil && !t.Edge.synced() && !d.Bool("Default") {
			continue // came after the last run of EdgeSync
		}
		name := d.String("DomainName")
		parent := strings.TrimPrefix(name, "*.")
		if strings.EqualFold(name, domain) || (d.Bool("MatchSubDomains") || parent != name) &&
			strings.HasSuffix(strings.ToLower(domain), "."+strings.ToLower(parent)) {
			return d
		}
	}
	return nil
}

func (t *Transport) store(m queued, mailbox string) {
	b := t.Mailboxes
	b.mu.Lock()
	defer b.mu.Unlock()
	b.number++
	if b.inbox == nil {
		b.inbox = map[string][]Message{}
	}
	key := strings.ToLower(mailbox)
	b.inbox[key] = append(b.inbox[key], Message{ID: fmt.Sprintf("AAMkMail%04d", b.number), From: m.from,
		Subject: m.subject,
		Header:  m.header, Body: m.body, Received: t.Now()})
}

// fail ends a message for a recipient, and reports that to the sender.
func (t *Transport) fail(m queued, recipient, status string) {
	t.record(event{id: "FAIL", source: "SMTP", status: status}, m, recipient)
	if m.report || m.from == "" {
		return
	}
	id := "<" + rand.Text() + "@" + t.Host + ">"
	h := Header{}
	h.Set("Received", t.receivedLine(t.Host, nil))
	h.Set("From", "<postmaster@"+strings.ToLower(t.Host)+">")
	h.Set("To", "<"+m.from+">")
	h.Set("Subject", "Undeliverable: "+m.subject)
	h.Set("Message-ID", id)
	h.Set("In-Reply-To", m.id)
	h.set(organizationPrefix, "AuthAs", "Internal")
	h.set(organizationPrefix, "AuthSource", t.Host)
	h.set(organizationPrefix, "MessageDirectionality", "Originating")
	report := queued{id: id, subject: "Undeliverable: " + m.subject, header: h, report: true, internal: true,
		body: "Delivery has failed to these recipients or groups:\r\n\r\n" + recipient +
			"\r\n\r\nDiagnostic information for administrators:\r\n\r\nGenerating server: " + t.Host + "\r\n\r\n" +
			recipient +
			"\r\nRemote server returned '" + status + "'\r\n"}
	t.record(event{id: "DSN", source: "DSN"}, report, m.from)
	t.forward(report, []string{m.from})
}

// receivedLine is a Received header as Exchange writes it.
func (t *Transport) receivedLine(from string, s *tls.ConnectionState) string {
	how := ""
	if t.Organization == nil {
		return fmt.Sprintf("from %s by %s with SMTP id %s; %s", from, t.Host, rand.Text(),
			t.Now().UTC().Format("Mon, 02 Jan 2006 15:04:05 +0000 (UTC)"))
	}
	if s != nil {
		how = fmt.Sprintf(" (version=%s, cipher=%s)", strings.NewReplacer("TLS 1.", "TLS1_").Replace(
			tls.VersionName(s.Version)), tls.CipherSuiteName(s.CipherSuite))
	}
	return fmt.Sprintf("from %s by %s with Microsoft SMTP Server%s id %s; %s", from, t.Host, how, t.Build,
		t.Now().UTC().Format(time.RFC1123Z))
}
