package directory

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strconv"
	"strings"
	"time"

	ber "github.com/go-asn1-ber/asn1-ber"
	"github.com/go-ldap/ldap/v3"

	"github.com/hybridge-cli/hybridge/pkg/wire/link"
)

// Limits on what a server can make the client do.
const (
	pageSize      = 1000    // Active Directory's MaxPageSize; it would cap more silently
	maxEmptyPages = 1000    // pages without an entry, one after the other
	maxValues     = 100_000 // values of one attribute, fetched by ranges

	// The largest directories hold some million users. A server that exceeds these limits, or sends
	// almost empty pages without end, never finishes.
	maxEntries   = 10_000_000
	maxThinPages = 10_000
	thin         = pageSize / 20
)

const (
	oidStartTLS   = "1.3.6.1.4.1.1466.20037"
	oidDisconnect = "1.3.6.1.4.1.1466.20036"
)

// conn is one encrypted LDAP connection with one operation at a time. go-ldap's Conn builds a tree
// of packets for every entry and stops without an error when a search is cancelled; this reads the
// answers in place and reports everything that is not a complete answer. After an error other than
// a *ResultError it must be closed.
type conn struct {
	net     net.Conn
	reader  *reader
	patient *patience
	address string // HOST:PORT
	limit   time.Duration
	lastID  int64
	log     *slog.Logger // nil: nothing is logged
	// estimated gets the server's own estimate of how many entries a search finds; may be nil.
	estimated func(n int64)
}

// patience reads from a connection with a time limit for each message, and gives up when ctx is
// done.
type patience struct {
	conn     net.Conn
	ctx      context.Context
	limit    time.Duration
	deadline time.Time // for the message being read; zero between messages
}

func (p *patience) Read(b []byte) (int, error) {
	if p.deadline.IsZero() {
		p.deadline = time.Now().Add(p.limit)
	}
	if err := p.conn.SetReadDeadline(p.deadline); err != nil {
		return 0, err
	}
	// The check follows the setting of the deadline. A later cancel moves the deadline into the
	// past; an earlier one is seen here.
	if err := p.ctx.Err(); err != nil {
		return 0, err
	}
	return p.conn.Read(b)
}

func (c *conn) attach(nc net.Conn) {
	c.net = nc
	c.patient = &patience{conn: nc, ctx: context.Background(), limit: c.limit}
	c.reader = newReader(c.patient)
}

// dial makes an encrypted connection to address ("HOST:PORT"), not yet bound.
func dial(ctx context.Context, cfg *Config, address string) (*conn, error) {
	c := &conn{address: address, limit: cfg.Timeout}
	if cfg.Link != nil {
		c.log = cfg.Link.Log()
	}
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	if cfg.Directory.Security != securityStartTLS {
		nc, err := cfg.Link.DialTLS(ctx, address, host)
		if err != nil {
			return nil, cancelled(ctx, err)
		}
		c.attach(nc)
		return c, nil
	}
	nc, err := cfg.Link.DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, cancelled(ctx, err)
	}
	c.attach(nc)
	if err := c.startTLS(ctx, cfg.Link.TLS(host)); err != nil {
		_ = nc.Close()
		return nil, fmt.Errorf("start TLS with %s: %w", address, err)
	}
	return c, nil
}

func cancelled(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return err
}

func (c *conn) startTLS(ctx context.Context, config *tls.Config) error {
	request := ber.Encode(ber.ClassApplication, ber.TypeConstructed, ldap.ApplicationExtendedRequest, nil, "")
	request.AppendChild(ber.NewString(ber.ClassContext, ber.TypePrimitive, 0, oidStartTLS, ""))
	r, err := c.roundTrip(ctx, request, tagExtAnswer)
	if err != nil {
		return err
	}
	if r.code != resultSuccess {
		return newResultError(r)
	}
	if c.reader.buffered.Buffered() > 0 {
		return fmt.Errorf("%w: data after the answer, before the handshake", errMalformed)
	}
	limited, cancel := context.WithTimeout(ctx, c.limit)
	defer cancel()
	if err := c.net.SetDeadline(time.Time{}); err != nil {
		return err
	}
	secured := tls.Client(c.net, config)
	if err := secured.HandshakeContext(limited); err != nil {
		return connectionError(ctx, err, c.limit)
	}
	c.attach(secured)
	return nil
}

// close sends an unbind request and closes the connection.
func (c *conn) close() {
	_ = c.net.SetWriteDeadline(time.Now().Add(time.Second))
	_, _ = c.send(ber.Encode(ber.ClassApplication, ber.TypePrimitive, ldap.ApplicationUnbindRequest, nil, ""), nil)
	_ = c.net.Close()
}

// under makes reads and writes end when ctx does; call the function it returns when the operation
// is over.
func (c *conn) under(ctx context.Context) func() bool {
	c.patient.ctx = ctx
	return context.AfterFunc(ctx, func() { _ = c.net.SetDeadline(time.Unix(1, 0)) })
}

func (c *conn) send(operation, controls *ber.Packet) (id int64, err error) {
	c.lastID++
	p := ber.Encode(ber.ClassUniversal, ber.TypeConstructed, ber.TagSequence, nil, "")
	p.AppendChild(ber.NewInteger(ber.ClassUniversal, ber.TypePrimitive, ber.TagInteger, c.lastID, ""))
	p.AppendChild(operation)
	if controls != nil {
		p.AppendChild(controls)
	}
	_, err = c.net.Write(p.Bytes())
	return c.lastID, err
}

func (c *conn) request(ctx context.Context, operation, controls *ber.Packet) (int64, error) {
	if err := c.net.SetWriteDeadline(time.Now().Add(c.limit)); err != nil {
		return 0, connectionError(ctx, err, c.limit)
	}
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	id, err := c.send(operation, controls)
	return id, connectionError(ctx, err, c.limit)
}

// receive reads the next message that belongs to operation id.
func (c *conn) receive(ctx context.Context, id int64) (message, error) {
	for {
		// Buffered messages are read without touching the connection: look here, or a cancel would
		// be seen only at the next read.
		if err := ctx.Err(); err != nil {
			return message{}, err
		}
		c.patient.deadline = time.Time{}
		m, err := c.reader.next()
		if err != nil {
			return m, connectionError(ctx, err, c.limit)
		}
		switch {
		case m.id == id && m.tag == tagInterim: // RFC 4511, 4.13: may come and be ignored
		case m.id == id:
			return m, nil
		case m.id == 0 && m.tag == tagExtAnswer:
			r, err := parseResult(m.body)
			if err != nil {
				return m, err
			}
			if r.oid == oidDisconnect {
				return m, fmt.Errorf("the server ended the connection: %w", newResultError(r))
			}
		default:
			return m, fmt.Errorf("%w: answer to message %d, expected %d", errMalformed, m.id, id)
		}
	}
}

// roundTrip sends a request that has one answer.
func (c *conn) roundTrip(ctx context.Context, operation *ber.Packet, answer byte) (result, error) {
	defer link.Await(ctx, "the directory at "+c.address)()
	stop := c.under(ctx)
	defer stop()
	id, err := c.request(ctx, operation, nil)
	if err != nil {
		return result{}, err
	}
	m, err := c.receive(ctx, id)
	if err != nil {
		return result{}, err
	}
	if m.tag != answer {
		return result{}, fmt.Errorf("%w: unexpected answer 0x%02x", errMalformed, m.tag)
	}
	return parseResult(m.body)
}

// query is a search.
type query struct {
	base       string
	scope      int // ldap.ScopeBaseObject, ScopeSingleLevel, ScopeWholeSubtree
	filter     string
	attributes []string
	// between is called after each page, when the connection is free for another operation.
	between func() error
}

func (q query) encode() (*ber.Packet, error) {
	filter, err := ldap.CompileFilter(q.filter)
	if err != nil {
		return nil, fmt.Errorf("filter %s: %w", q.filter, err)
	}
	p := ber.Encode(ber.ClassApplication, ber.TypeConstructed, ldap.ApplicationSearchRequest, nil, "")
	p.AppendChild(ber.NewString(ber.ClassUniversal, ber.TypePrimitive, ber.TagOctetString, q.base, ""))
	p.AppendChild(ber.NewInteger(ber.ClassUniversal, ber.TypePrimitive, ber.TagEnumerated, q.scope, ""))
	p.AppendChild(ber.NewInteger(ber.ClassUniversal, ber.TypePrimitive, ber.TagEnumerated, ldap.NeverDerefAliases, ""))
	// size limit: the server's
	p.AppendChild(ber.NewInteger(ber.ClassUniversal, ber.TypePrimitive, ber.TagInteger, 0, ""))
	// time limit: the server's
	p.AppendChild(ber.NewInteger(ber.ClassUniversal, ber.TypePrimitive, ber.TagInteger, 0, ""))
	p.AppendChild(ber.NewBoolean(ber.ClassUniversal, ber.TypePrimitive, ber.TagBoolean, false, ""))
	p.AppendChild(filter)
	list := ber.Encode(ber.ClassUniversal, ber.TypeConstructed, ber.TagSequence, nil, "")
	for _, a := range q.attributes {
		list.AppendChild(ber.NewString(ber.ClassUniversal, ber.TypePrimitive, ber.TagOctetString, a, ""))
	}
	p.AppendChild(list)
	return p, nil
}

// search runs q, page by page, and calls each for every entry; the entry is valid until each
// returns. It returns nil only when the server said that the answer is complete. Continuation
// references are skipped: they lead to other naming contexts, which callers enumerate themselves
// from the crossRef objects.
func (c *conn) search(ctx context.Context, q query, each func(entry) error) (err error) {
	defer link.Await(ctx, "the directory at "+c.address)()
	operation, err := q.encode()
	if err != nil {
		return err
	}
	if c.log != nil && c.log.Enabled(ctx, slog.LevelDebug) {
		found, began, inner := 0, time.Now(), each
		each = func(e entry) error { found++; return inner(e) }
		defer func() {
			attributes := []slog.Attr{slog.String("server", c.address), slog.String("base", link.Line(q.base)),
				slog.String("filter", link.Line(q.filter)), slog.Int("scope", q.scope), slog.Int("entries", found),
				slog.Duration("took", time.Since(began).Round(time.Millisecond))}
			if err != nil {
				attributes = append(attributes, slog.String("error", link.Line(err.Error())))
			}
			c.log.LogAttrs(ctx, slog.LevelDebug, "ldap search", attributes...)
		}()
	}
	stop := c.under(ctx)
	defer stop()
	var cookie []byte
	var turns circle
	entries, pages, thinPages := 0, 0, 0
	for empty := 0; ; {
		var controls *ber.Packet
		if q.scope != ldap.ScopeBaseObject {
			paging := ldap.NewControlPaging(pageSize)
			paging.SetCookie(cookie)
			controls = ber.Encode(ber.ClassContext, ber.TypeConstructed, 0, nil, "")
			controls.AppendChild(paging.Encode())
		}
		id, err := c.request(ctx, operation, controls)
		if err != nil {
			return err
		}
		n, next, err := c.page(ctx, id, func(e entry, first bool) error {
			if first && turns.again(e.dn) {
				return fmt.Errorf("%w: the pages run in a circle, at %s again", errMalformed, link.Line(string(e.dn)))
			}
			return each(e)
		})
		if err != nil {
			return err
		}
		if q.between != nil {
			if err := q.between(); err != nil {
				return err
			}
			c.patient.ctx = ctx // between may have searched under another
		}
		if cookie = next; len(cookie) == 0 {
			return nil
		}
		if entries, pages = entries+n, pages+1; n < thin {
			thinPages++
		}
		if entries > maxEntries || thinPages > maxThinPages {
			return fmt.Errorf("%w: the answer has no end: %d entries in %d pages so far", errMalformed, entries, pages)
		}
		if n > 0 {
			empty = 0
		} else if empty++; empty > maxEmptyPages {
			return fmt.Errorf("%w: %d pages without an entry", errMalformed, empty)
		}
	}
}

// circle notices pages that repeat themselves, in constant memory (Brent's algorithm over the name
// of each page's first entry). Cookies do not show it: Samba's stay the same from page to page.
type circle struct {
	mark         []byte
	steps, limit int
}

func (c *circle) again(dn []byte) bool {
	if c.mark != nil && bytes.Equal(c.mark, dn) {
		return true
	}
	if c.steps++; c.steps > c.limit {
		c.mark, c.steps, c.limit = append([]byte{}, dn...), 0, max(1, 2*c.limit)
	}
	return false
}

// page reads the answers to one search request: how many entries, and the cookie of the next page.
func (c *conn) page(ctx context.Context, id int64, each func(e entry, first bool) error) (n int, cookie []byte,
	err error) {
	for {
		m, err := c.receive(ctx, id)
		if err != nil {
			return n, nil, err
		}
		switch m.tag {
		case tagEntry:
			e, err := parseEntry(m.body)
			if err != nil {
				return n, nil, err
			}
			if err := each(e, n == 0); err != nil {
				return n, nil, err
			}
			n++
		case tagReference:
		case tagDone:
			r, err := parseResult(m.body)
			if err != nil {
				return n, nil, err
			}
			if r.code != resultSuccess {
				return n, nil, newResultError(r)
			}
			size, cookie, err := pagingCookie(m.controls)
			if c.estimated != nil && size > 0 {
				c.estimated(size)
			}
			return n, cookie, err
		default:
			return n, nil, fmt.Errorf("%w: unexpected answer 0x%02x to a search", errMalformed, m.tag)
		}
	}
}

// splitRange splits "proxyAddresses;range=0-1499". next is where the rest begins, 0 when there is
// no rest ("range=1500-*"). ranged is false for a name without a range, and then base is the name
// without other options (";binary").
func splitRange(name string) (base string, next int, ranged bool, err error) {
	base, options, found := strings.Cut(name, ";")
	if !found {
		return base, 0, false, nil
	}
	for option := range strings.SplitSeq(options, ";") {
		if len(option) < 6 || !strings.EqualFold(option[:6], "range=") {
			continue
		}
		_, high, ok := strings.Cut(option[6:], "-")
		if !ok {
			return base, 0, true, fmt.Errorf("%w: %s", errMalformed, link.Line(name))
		}
		if high == "*" {
			return base, 0, true, nil
		}
		n, err := strconv.ParseUint(high, 10, 31)
		if err != nil {
			return base, 0, true, fmt.Errorf("%w: %s", errMalformed, link.Line(name))
		}
		return base, int(n) + 1, true, nil
	}
	return base, 0, false, nil
}

// rest fetches the values of a large attribute from position from on (MS-ADTS 3.1.1.3.1.3.3, range
// retrieval).
func (c *conn) rest(ctx context.Context, dn, attribute string, from int, each func(value []byte)) error {
	for from > 0 {
		if from > maxValues {
			return fmt.Errorf("%s has more than %d values of %s", link.Line(dn), maxValues, attribute)
		}
		next, found := 0, false
		q := query{base: dn, scope: ldap.ScopeBaseObject, filter: "(objectClass=*)",
			attributes: []string{fmt.Sprintf("%s;range=%d-*", attribute, from)}}
		err := c.search(ctx, q, func(e entry) error {
			return e.each(func(name, values []byte) error {
				base, n, ranged, err := splitRange(string(name))
				if err != nil || !ranged || !strings.EqualFold(base, attribute) {
					return err
				}
				next, found = n, true
				for len(values) > 0 {
					v, after, err := value(values)
					if err != nil {
						return err
					}
					each(v)
					values = after
				}
				return nil
			})
		})
		if err != nil {
			return fmt.Errorf("values of %s from %d on: %w", attribute, from, err)
		}
		if !found || next != 0 && next <= from {
			return fmt.Errorf("values of %s of %s from %d on: %w", attribute, link.Line(dn), from, errMalformed)
		}
		from = next
	}
	return nil
}

// object is an entry with all of its values, for the configuration objects of which there are few.
type object struct {
	dn     string
	values map[string][][]byte // by name in lower case
}

func (o object) all(name string) [][]byte { return o.values[strings.ToLower(name)] }

func (o object) has(name string) bool { return len(o.all(name)) > 0 }

func (o object) bytes(name string) []byte {
	if v := o.all(name); len(v) > 0 {
		return v[0]
	}
	return nil
}

func (o object) text(name string) string { return string(o.bytes(name)) }

func (o object) texts(name string) []string {
	var out []string
	for _, v := range o.all(name) {
		out = append(out, string(v))
	}
	return out
}

func (o object) number(name string) int64 {
	n, _ := strconv.ParseInt(o.text(name), 10, 64)
	return n
}

func (o object) boolean(name string) bool { return strings.EqualFold(o.text(name), "TRUE") }

func (o object) isA(class string) bool {
	for _, c := range o.all("objectClass") {
		if strings.EqualFold(string(c), class) {
			return true
		}
	}
	return false
}

// maxObjects and maxObjectBytes bound what objects keeps in memory.
const (
	maxObjects     = 100_000
	maxObjectBytes = 256 << 20
)

// objects collects the answer to q, ranges completed.
func (c *conn) objects(ctx context.Context, q query) ([]object, error) {
	type gap struct {
		object    int
		attribute string
		from      int
	}
	var (
		found []object
		gaps  []gap
	)
	q.between = func() error {
		for _, g := range gaps {
			o := found[g.object]
			key := strings.ToLower(g.attribute)
			err := c.rest(ctx, o.dn, g.attribute, g.from,
				func(v []byte) { o.values[key] = append(o.values[key], append([]byte(nil), v...)) })
			if err != nil {
				return err
			}
		}
		gaps = gaps[:0]
		return nil
	}
	if q.scope == ldap.ScopeBaseObject && q.base == "" {
		q.between = nil // rootDSE: no ranges
	}
	size := 0
	err := c.search(ctx, q, func(e entry) error {
		if len(found) == maxObjects {
			return fmt.Errorf("more than %d objects under %s", maxObjects, link.Line(q.base))
		}
		if size += len(e.dn) + len(e.attributes); size > maxObjectBytes {
			return fmt.Errorf("the objects under %s are larger than %d MiB", link.Line(q.base), maxObjectBytes>>20)
		}
		o := object{dn: string(e.dn), values: map[string][][]byte{}}
		err := e.each(func(name, values []byte) error {
			base, next, _, err := splitRange(string(name))
			if err != nil {
				return err
			}
			key := strings.ToLower(base)
			for len(values) > 0 {
				v, after, err := value(values)
				if err != nil {
					return err
				}
				o.values[key] = append(o.values[key], append([]byte(nil), v...))
				values = after
			}
			if next > 0 {
				gaps = append(gaps, gap{len(found), base, next})
			}
			return nil
		})
		found = append(found, o)
		return err
	})
	if err != nil {
		return nil, err
	}
	return found, nil
}

// usable reports whether a connection can carry further requests after err.
func usable(err error) bool {
	var refused *ResultError
	return err == nil || errors.As(err, &refused)
}

const (
	securityLDAPS    = "ldaps"
	securityStartTLS = "starttls"
)
