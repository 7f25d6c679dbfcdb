// Package dns asks chosen resolvers questions and distinguishes what a resolver may mean by having
// no answer: that the name does not exist, that it has no record of the type, or that the resolver
// could not find out.
package dns

import (
	"cmp"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"slices"
	"sort"
	"strings"
	"sync"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/miekg/dns"
	"golang.org/x/net/idna"

	"github.com/hybridge-cli/hybridge/pkg/config/sorting"
	"github.com/hybridge-cli/hybridge/pkg/wire/link"
)

// Why there is no answer; test with errors.Is. ErrFailed is not a statement about the name.
var (
	ErrAbsent = errors.New("no such name")              // NXDOMAIN
	ErrEmpty  = errors.New("no record of this type")    // NODATA: the name exists
	ErrFailed = errors.New("resolver could not answer") // SERVFAIL, REFUSED, time-out, no resolver
)

// Type is a record type.
type Type string

// The record types that can be asked for.
const (
	A     Type = "A"
	AAAA  Type = "AAAA"
	CNAME Type = "CNAME"
	MX    Type = "MX"
	TXT   Type = "TXT"
	SRV   Type = "SRV"
	TLSA  Type = "TLSA"
)

// Record is one record of an answer. Names are lower case and without the final dot.
type Record struct {
	Name     string
	Type     Type
	TTL      time.Duration
	Address  netip.Addr // A, AAAA
	Target   string     // CNAME, MX, SRV
	Text     string     // TXT, its strings joined
	Priority uint16     // MX preference, SRV priority
	Weight   uint16     // SRV
	Port     uint16     // SRV
	Pin      *Pin       // TLSA
}

// Pin is what a TLSA record says of the certificate of a server (RFC 6698, RFC 7672).
type Pin struct {
	Usage    uint8 // 2: an authority in the chain; 3: the certificate itself
	Selector uint8 // 0: the certificate; 1: its public key
	Matching uint8 // 0: as it is; 1: its SHA-256; 2: its SHA-512
	Data     []byte
}

// Answer is a resolver's answer that has at least one record of the type asked for.
type Answer struct {
	Question string
	Type     Type
	Chain    []string // the names that aliases led over, the last one holding the records; empty without CNAME
	Records  []Record // of the type asked for; MX and SRV by priority, the others as sent
	Resolver string   // that answered
	Verified bool     // the resolver says that DNSSEC vouches for it (AD)
}

// Error is a question without an answer. It wraps ErrAbsent, ErrEmpty or ErrFailed and, when no
// resolver could be reached, link.ErrUnreachable.
type Error struct {
	Question string
	Type     Type
	Resolver string // the last one asked
	Detail   string // SERVFAIL, "time-out"
	Chain    []string
	class    error
	cause    error
}

func (e *Error) Error() string {
	text := fmt.Sprintf("look up %s %s", e.Type, link.Printable(e.Question))
	if len(e.Chain) > 0 {
		text += " (alias of " + e.Chain[len(e.Chain)-1] + ")"
	}
	if e.Resolver != "" {
		text += " at " + e.Resolver
	}
	text += ": " + e.class.Error()
	if e.Detail != "" {
		text += ": " + e.Detail
	}
	return text
}

// Unwrap returns the class and the cause.
func (e *Error) Unwrap() []error {
	if e.cause != nil {
		return []error{e.class, e.cause}
	}
	return []error{e.class}
}

// Client asks resolvers one after the other. It asks the next one after a failure, not after an
// answer without records. From then on, a silent resolver is asked last and with a shorter time
// limit, so keep one Client for many questions. The zero Client asks the system's resolvers.
type Client struct {
	Resolvers []string      // HOST or HOST:PORT
	Timeout   time.Duration // of one question to one resolver; 5 s when 0
	// Log takes one line per question at debug. May be nil.
	Log *slog.Logger
	// Dial replaces the way connections are made (tests, a proxy). network is "udp" or "tcp".
	Dial func(ctx context.Context, network, address string) (net.Conn, error)

	mu     sync.Mutex
	silent map[string]bool // resolvers that did not answer the last time
}

// impatience is the time limit of a resolver that did not answer the last time.
const impatience = time.Second

// maxChain bounds the aliases that are followed with further questions.
const maxChain = 8

// Lookup asks for the records of a type. Aliases are followed, also when the resolver does not do
// so itself. A name is taken as fully qualified; letters beyond ASCII are asked for in punycode.
// With an error, the Answer has the Chain of aliases as far as it is known.
func (c *Client) Lookup(ctx context.Context, name string, t Type) (Answer, error) {
	question, fault := ascii(name)
	defer link.Await(ctx, "DNS, "+string(t)+" of "+question)()
	fail := func(detail string, cause error) (Answer, error) {
		return Answer{}, &Error{Question: question, Type: t, class: ErrFailed, Detail: detail, cause: cause}
	}
	if _, ok := dns.StringToType[string(t)]; !ok {
		return fail("record type not supported", nil)
	}
	if fault != "" {
		return fail(fault, nil)
	}
	resolvers, err := c.resolvers()
	if errors.Is(err, errNoConfiguration) {
		return c.system(ctx, question, t)
	}
	if err != nil {
		return fail("no resolver", err)
	}
	var last *Error
	for _, r := range c.inOrder(resolvers) {
		a, err := c.follow(ctx, r, question, t)
		if err == nil {
			return a, nil
		}
		if ctx.Err() != nil {
			return Answer{Question: question, Type: t, Chain: err.Chain}, fmt.Errorf("look up %s %s: %w", t, question,
				context.Cause(ctx))
		}
		if last != nil && len(err.Chain) < len(last.Chain) {
			err.Chain = last.Chain
		}
		last = err
		if !errors.Is(err, ErrFailed) {
			break
		}
	}
	return Answer{Question: question, Type: t, Chain: last.Chain, Resolver: last.Resolver}, last
}

// inOrder puts silent resolvers behind the others.
func (c *Client) inOrder(resolvers []string) []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	out := slices.Clone(resolvers)
	sorting.Stable(out, func(a, b string) int {
		switch {
		case c.silent[a] == c.silent[b]:
			return 0
		case c.silent[b]:
			return -1
		}
		return 1
	})
	return out
}

// patience is how long a question to a resolver may take.
func (c *Client) patience(resolver string) time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	limit := cmp.Or(c.Timeout, 5*time.Second)
	if c.silent[resolver] {
		limit = min(limit, impatience)
	}
	return limit
}

func (c *Client) noteSilence(resolver string, silent bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.silent == nil {
		c.silent = map[string]bool{}
	}
	c.silent[resolver] = silent
}

// Name brings a domain name into the form that this package returns and compares: lower case, no
// final dot.
func Name(s string) string { return strings.ToLower(strings.TrimSuffix(strings.TrimSpace(s), ".")) }

// profile maps names as browsers do; underscores of services are left alone.
var profile = idna.New(idna.MapForLookup(), idna.StrictDomainName(false), idna.Transitional(false), idna.BidiRule())

// ascii is a name as it is asked for, and what is wrong with it.
func ascii(name string) (question, fault string) {
	question = Name(name)
	if strings.ContainsFunc(question, func(r rune) bool { return unicode.IsSpace(r) || unicode.IsControl(r) }) {
		return question, "not a domain name: it holds a blank or a control character"
	}
	if strings.ContainsFunc(question, func(r rune) bool { return r >= utf8.RuneSelf }) {
		mapped, err := profile.ToASCII(question)
		if err != nil {
			return question, "not a domain name: " + strings.TrimPrefix(err.Error(), "idna: ")
		}
		question = mapped
	}
	if _, ok := dns.IsDomainName(question); !ok || question == "" {
		return question, "not a domain name"
	}
	return question, ""
}

// follow asks one resolver, and again for where an alias ends when the answer stops there.
func (c *Client) follow(ctx context.Context, resolver, question string, t Type) (Answer, *Error) {
	a := Answer{Question: question, Type: t, Resolver: resolver, Verified: true}
	name := question
	seen := map[string]bool{name: true}
	fail := func(class error, detail string) (Answer, *Error) {
		return Answer{}, &Error{Question: question, Type: t, Resolver: resolver, class: class, Detail: detail,
			Chain: a.Chain}
	}
	for range maxChain {
		reply, err := c.exchange(ctx, resolver, name, t)
		if err != nil {
			// the resolver answered: it may know the alias whose end it cannot resolve
			if t != CNAME && err.cause == nil {
				c.aliases(ctx, resolver, name, seen, &a.Chain)
			}
			err.Question, err.Chain = question, a.Chain
			return Answer{}, err
		}
		a.Verified = a.Verified && reply.AuthenticatedData
		end := name
		if t != CNAME {
			var loop bool
			if end, loop = walk(reply.Answer, name, seen, &a.Chain); loop {
				return fail(ErrFailed, "aliases run in a circle")
			}
		}
		other := ""
		for _, rr := range reply.Answer {
			r, ok := record(rr)
			switch owner := Name(rr.Header().Name); {
			case ok && r.Type == t && owner == end:
				a.Records = append(a.Records, r)
			case !seen[owner]:
				other = owner
			}
		}
		switch {
		case len(a.Records) > 0:
			sort.SliceStable(a.Records, func(i, j int) bool { return a.Records[i].Priority < a.Records[j].Priority })
			return a, nil
		case reply.Rcode == dns.RcodeNameError:
			return fail(ErrAbsent, "")
		case end == name && other != "":
			return fail(ErrFailed, "the answer is about another name, "+link.Line(other))
		case end == name && refers(reply):
			return fail(ErrFailed, "the server refers to other name servers and does not resolve")
		case end == name && len(reply.Answer) > 0 && !inClass(reply.Answer):
			return fail(ErrFailed, "the answer is of another class")
		case end == name:
			return fail(ErrEmpty, "")
		}
		name = end
	}
	return fail(ErrFailed, "too many aliases")
}

// aliases asks for the aliases of a name that does not resolve.
func (c *Client) aliases(ctx context.Context, resolver, name string, seen map[string]bool, chain *[]string) {
	for range maxChain {
		reply, err := c.exchange(ctx, resolver, name, CNAME)
		if err != nil {
			return
		}
		end, loop := walk(reply.Answer, name, seen, chain)
		if loop || end == name {
			return
		}
		name = end
	}
}

// walk follows the aliases of one reply from a name to where they end.
func walk(answer []dns.RR, name string, seen map[string]bool, chain *[]string) (end string, loop bool) {
	for {
		next := ""
		for _, rr := range answer {
			if alias, ok := rr.(*dns.CNAME); ok && Name(alias.Hdr.Name) == name {
				next = Name(alias.Target)
				break
			}
		}
		if next == "" {
			return name, false
		}
		*chain = append(*chain, next)
		if seen[next] {
			return next, true
		}
		seen[next] = true
		name = next
	}
}

// exchange asks one resolver one question, over TCP when the answer does not fit UDP, or no datagram
// leaves this computer. The reply's code is NOERROR or NXDOMAIN.
func (c *Client) exchange(ctx context.Context, resolver, name string, t Type) (*dns.Msg, *Error) {
	fail := func(detail string, cause error) *Error {
		return &Error{Type: t, Resolver: resolver, class: ErrFailed, Detail: detail, cause: cause}
	}
	m := new(dns.Msg)
	m.SetQuestion(dns.Fqdn(name), dns.StringToType[string(t)])
	m.SetEdns0(1232, false)    // DNS flag day 2020: fits every path without fragments
	m.AuthenticatedData = true // asks whether the resolver verified the answer (RFC 6840, 5.7)
	reply, err := c.roundTrip(ctx, "udp", resolver, m)
	if err == nil && refusesEDNS(reply) {
		plain := m.Copy()
		plain.Extra = nil // a server that knows no EDNS (RFC 6891 section 7)
		if second, err := c.roundTrip(ctx, "udp", resolver, plain); err == nil && answers(second) {
			reply, m = second, plain
		}
	}
	var opened *net.OpError
	if err == nil && reply.Truncated || errors.As(err, &opened) && opened.Op == "dial" {
		reply, err = c.roundTrip(ctx, "tcp", resolver, m)
	}
	if err != nil {
		var timeout net.Error
		if errors.As(err, &timeout) && timeout.Timeout() || errors.Is(err, context.DeadlineExceeded) {
			if ctx.Err() == nil {
				c.noteSilence(resolver, true)
			}
			return nil, fail("time-out", errors.Join(link.ErrUnreachable, err))
		}
		var op *net.OpError
		if errors.As(err, &op) {
			return nil, fail(op.Err.Error(), errors.Join(link.ErrUnreachable, err))
		}
		if errors.Is(err, errOtherQuestion) {
			return nil, fail(errOtherQuestion.Error(), err)
		}
		return nil, fail("malformed reply", err)
	}
	c.noteSilence(resolver, false)
	if !answers(reply) {
		code, ok := dns.RcodeToString[reply.Rcode]
		switch {
		case reply.Rcode == dns.RcodeBadVers: // the table has the code's other name, BADSIG
			code = "BADVERS"
		case !ok:
			code = fmt.Sprintf("code %d", reply.Rcode)
		}
		return nil, fail(code, nil)
	}
	return reply, nil
}

// answers reports whether a reply says something about the name.
func answers(reply *dns.Msg) bool {
	return reply.Rcode == dns.RcodeSuccess || reply.Rcode == dns.RcodeNameError
}

// refusesEDNS reports whether a reply may be the refusal of a server that does not take EDNS.
// SERVFAIL is one among old servers and firewalls.
func refusesEDNS(reply *dns.Msg) bool {
	switch reply.Rcode {
	case dns.RcodeFormatError, dns.RcodeNotImplemented, dns.RcodeServerFailure, dns.RcodeBadVers:
		return true
	}
	return false
}

func (c *Client) log(ctx context.Context, network, resolver string, m, reply *dns.Msg, err error, took time.Duration) {
	if c.Log == nil || !c.Log.Enabled(ctx, slog.LevelDebug) {
		return
	}
	attributes := []slog.Attr{slog.String("resolver", resolver), slog.String("network", network),
		slog.Duration("took", took.Round(time.Millisecond))}
	for _, q := range m.Question {
		attributes = append(attributes, slog.String("name", q.Name), slog.String("type", dns.TypeToString[q.Qtype]))
	}
	switch {
	case err != nil:
		attributes = append(attributes, slog.String("error", link.Line(err.Error())))
	case reply != nil:
		attributes = append(attributes, slog.String("code", dns.RcodeToString[reply.Rcode]),
			slog.Int("answers", len(reply.Answer)))
	}
	c.Log.LogAttrs(ctx, slog.LevelDebug, "dns", attributes...)
}

func (c *Client) roundTrip(ctx context.Context, network, resolver string, m *dns.Msg) (*dns.Msg, error) {
	limit := c.patience(resolver)
	if network != "udp" {
		return c.once(ctx, network, resolver, m, limit)
	}
	reply, err := c.once(ctx, network, resolver, m, limit/2)
	if errors.Is(err, context.DeadlineExceeded) && ctx.Err() == nil { // one datagram may get lost
		reply, err = c.once(ctx, network, resolver, m, limit/2)
	}
	return reply, err
}

func (c *Client) once(ctx context.Context, network, resolver string, m *dns.Msg, limit time.Duration) (reply *dns.Msg,
	err error) {
	began := time.Now()
	defer func() { c.log(ctx, network, resolver, m, reply, err, time.Since(began)) }()
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	dial := c.Dial
	if dial == nil {
		dial = (&net.Dialer{}).DialContext
	}
	raw, err := dial(ctx, network, resolver)
	if err != nil {
		return nil, err
	}
	defer raw.Close()
	stop := context.AfterFunc(ctx, func() { raw.SetDeadline(time.Unix(1, 0)) }) // ends a read that is under way
	defer stop()
	reply, _, err = (&dns.Client{Net: network, UDPSize: 1232, Timeout: limit}).ExchangeWithConnContext(ctx, m,
		&dns.Conn{Conn: raw, UDPSize: 1232})
	if err != nil {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		var timeout net.Error
		if errors.As(err, &timeout) && timeout.Timeout() {
			return nil, context.DeadlineExceeded
		}
		return nil, err
	}
	if !reply.Response || len(reply.Question) != 1 || Name(reply.Question[0].Name) != Name(m.Question[0].Name) ||
		reply.Question[0].Qtype != m.Question[0].Qtype {
		if answers(reply) || len(reply.Question) > 0 { // refusals may leave out the question
			return nil, errOtherQuestion
		}
	}
	return reply, nil
}

// inClass reports whether one of the records is of the Internet's class.
func inClass(list []dns.RR) bool {
	return slices.ContainsFunc(list, func(rr dns.RR) bool { return rr.Header().Class == dns.ClassINET })
}

var errOtherQuestion = errors.New("the reply is to another question")

// refers reports whether a reply without records only names other name servers: it comes from a
// server that does not resolve, and says nothing about the name.
func refers(reply *dns.Msg) bool {
	if reply.Authoritative || reply.Rcode != dns.RcodeSuccess {
		return false
	}
	servers := false
	for _, rr := range reply.Ns {
		switch rr.(type) {
		case *dns.SOA:
			return false
		case *dns.NS:
			servers = true
		}
	}
	return servers
}

// record converts a resource record.
func record(rr dns.RR) (Record, bool) {
	h := rr.Header()
	if h.Class != dns.ClassINET {
		return Record{}, false
	}
	r := Record{Name: Name(h.Name), TTL: time.Duration(h.Ttl) * time.Second}
	switch rr := rr.(type) {
	case *dns.A:
		r.Type = A
		address, ok := netip.AddrFromSlice(rr.A.To4())
		r.Address = address
		return r, ok
	case *dns.AAAA:
		r.Type = AAAA
		address, ok := netip.AddrFromSlice(rr.AAAA.To16())
		r.Address = address
		return r, ok
	case *dns.CNAME:
		r.Type, r.Target = CNAME, Name(rr.Target)
	case *dns.MX:
		r.Type, r.Target, r.Priority = MX, Name(rr.Mx), rr.Preference
	case *dns.TXT:
		r.Type, r.Text = TXT, unescape(strings.Join(rr.Txt, ""))
	case *dns.SRV:
		r.Type, r.Target, r.Priority, r.Weight, r.Port = SRV, Name(rr.Target), rr.Priority, rr.Weight, rr.Port
	case *dns.TLSA:
		data, err := hex.DecodeString(rr.Certificate)
		if err != nil {
			return Record{}, false
		}
		r.Type, r.Pin = TLSA, &Pin{rr.Usage, rr.Selector, rr.MatchingType, data}
	default:
		return Record{}, false
	}
	return r, true
}

// unescape turns the presentation format, in which miekg/dns holds texts (\" and \DDD), back into
// bytes.
func unescape(s string) string {
	if !strings.Contains(s, `\`) {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] != '\\' || i+1 == len(s) {
			b.WriteByte(s[i])
			continue
		}
		if i+3 < len(s) && digit(s[i+1]) && digit(s[i+2]) && digit(s[i+3]) {
			b.WriteByte((s[i+1]-'0')*100 + (s[i+2]-'0')*10 + s[i+3] - '0')
			i += 3
			continue
		}
		i++
		b.WriteByte(s[i])
	}
	return b.String()
}

func digit(b byte) bool { return b >= '0' && b <= '9' }

var errNoConfiguration = errors.New("the system has no resolv.conf")

// resolvers are the addresses to ask.
func (c *Client) resolvers() ([]string, error) {
	if len(c.Resolvers) == 0 {
		return systemResolvers("/etc/resolv.conf")
	}
	out := make([]string, len(c.Resolvers))
	for i, r := range c.Resolvers {
		out[i] = withPort(r)
	}
	return out, nil
}

func systemResolvers(path string) ([]string, error) {
	conf, err := dns.ClientConfigFromFile(path)
	if errors.Is(err, os.ErrNotExist) || err == nil && len(conf.Servers) == 0 {
		return nil, errNoConfiguration
	}
	if err != nil {
		return nil, err
	}
	out := make([]string, len(conf.Servers))
	for i, s := range conf.Servers {
		out[i] = net.JoinHostPort(s, conf.Port)
	}
	return out, nil
}

func withPort(resolver string) string {
	if _, _, err := net.SplitHostPort(resolver); err == nil {
		return resolver
	}
	return net.JoinHostPort(strings.Trim(resolver, "[]"), "53")
}

// system asks through the operating system where it does not say which resolvers it uses (Windows).
// TTLs and chains are not known there, and what it reports as "not found" may be either of absent
// and empty: ErrEmpty is then reported only when the name is seen to exist.
func (c *Client) system(ctx context.Context, question string, t Type) (Answer, error) {
	a := Answer{Question: question, Type: t, Resolver: "the system's resolver"}
	name := question + "."
	var err error
	add := func(r Record) { r.Name, r.Type = question, t; a.Records = append(a.Records, r) }
	r := net.DefaultResolver
	switch t {
	case A, AAAA:
		network := "ip4"
		if t == AAAA {
			network = "ip6"
		}
		var addresses []netip.Addr
		addresses, err = r.LookupNetIP(ctx, network, name)
		for _, address := range addresses {
			add(Record{Address: address.Unmap()})
		}
	case CNAME:
		var target string
		if target, err = r.LookupCNAME(ctx, name); err == nil && Name(target) != question {
			add(Record{Target: Name(target)})
		}
	case MX:
		var found []*net.MX
		found, err = r.LookupMX(ctx, name)
		for _, m := range found {
			add(Record{Target: Name(m.Host), Priority: m.Pref})
		}
	case TXT:
		var found []string
		found, err = r.LookupTXT(ctx, name)
		for _, text := range found {
			add(Record{Text: text})
		}
	case SRV:
		var found []*net.SRV
		_, found, err = r.LookupSRV(ctx, "", "", name)
		for _, s := range found {
			add(Record{Target: Name(s.Target), Priority: s.Priority, Weight: s.Weight, Port: s.Port})
		}
	default:
		err = fmt.Errorf("the system's resolver answers no %s: set network.resolvers in the answers file", t)
	}
	if len(a.Records) > 0 {
		sort.SliceStable(a.Records, func(i, j int) bool { return a.Records[i].Priority < a.Records[j].Priority })
		return a, nil
	}
	e := &Error{Question: question, Type: t, Resolver: a.Resolver, class: ErrFailed, cause: err}
	var not *net.DNSError
	switch {
	case err == nil:
		e.class, e.cause = ErrEmpty, nil
	case errors.As(err, &not) && not.IsNotFound:
		e.class, e.cause = ErrAbsent, nil
		if _, err := r.LookupNetIP(ctx, "ip", name); err == nil {
			e.class = ErrEmpty
		}
	case errors.As(err, &not) && not.IsTimeout:
		e.Detail, e.cause = "time-out", errors.Join(link.ErrUnreachable, err)
	}
	return Answer{}, e
}
