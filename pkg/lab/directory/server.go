// Package directory is an Active Directory domain controller for the lab, as far as its LDAP goes:
// root DSE, simple binds over TLS, searches in the domain, configuration and schema naming
// contexts, with Active Directory's limits and error texts. The tree is read-only. It is built from
// the lab's state at each search.
package directory

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	ber "github.com/go-asn1-ber/asn1-ber"
	"github.com/go-ldap/ldap/v3"
)

// Limits of Active Directory's default query policy.
const (
	defaultMaxPageSize   = 1000
	defaultMaxValRange   = 1500
	maxResultSetsPerConn = 10
	maxRequest           = 10 << 20
)

// Server answers LDAP for one forest with one domain.
type Server struct {
	cfg    Config
	layout layout

	mu        sync.Mutex
	closed    bool
	listeners map[net.Listener]struct{}
	conns     map[net.Conn]struct{}
	sessions  sync.WaitGroup
}

// New checks cfg. Serve or ServeTLS make the server answer.
func New(cfg Config) (*Server, error) {
	l, err := cfg.complete()
	if err != nil {
		return nil, err
	}
	s := &Server{cfg: cfg, layout: l, listeners: map[net.Listener]struct{}{}, conns: map[net.Conn]struct{}{}}
	if s.cfg.MaxPageSize <= 0 {
		s.cfg.MaxPageSize = defaultMaxPageSize
	}
	if s.cfg.MaxValRange <= 0 {
		s.cfg.MaxValRange = defaultMaxValRange
	}
	if _, err := s.tree(); err != nil {
		return nil, err
	}
	return s, nil
}

// Serve answers plain LDAP, with StartTLS when Config.TLS is set, until Close. It returns nil after
// Close.
func (s *Server) Serve(ln net.Listener) error { return s.serve(ln, false) }

// ServeTLS answers LDAPS until Close.
func (s *Server) ServeTLS(ln net.Listener) error {
	if s.cfg.TLS == nil {
		return errors.New("serve LDAPS: no TLS configuration")
	}
	return s.serve(ln, true)
}

// Close stops listening, hangs up, and waits until every session has ended.
func (s *Server) Close() error {
	s.mu.Lock()
	s.closed = true
	for ln := range s.listeners {
		_ = ln.Close()
	}
	for c := range s.conns {
		_ = c.Close()
	}
	s.mu.Unlock()
	s.sessions.Wait()
	return nil
}

func (s *Server) serve(ln net.Listener, secure bool) error {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		_ = ln.Close()
		return nil
	}
	s.listeners[ln] = struct{}{}
	s.mu.Unlock()
	for {
		c, err := ln.Accept()
		s.mu.Lock()
		if s.closed {
			s.mu.Unlock()
			if err == nil {
				_ = c.Close()
			}
			return nil
		}
		if err != nil {
			delete(s.listeners, ln)
			s.mu.Unlock()
			return fmt.Errorf("accept LDAP connection: %w", err)
		}
		s.conns[c] = struct{}{}
		s.sessions.Add(1)
		s.mu.Unlock()
		go func() {
			defer s.sessions.Done()
			s.session(c, secure)
			_ = c.Close()
			s.mu.Lock()
			delete(s.conns, c)
			s.mu.Unlock()
		}()
	}
}

// session is one connection.
type session struct {
	server  *Server
	conn    net.Conn
	secure  bool
	user    string // bound as; empty for anonymous
	results []resultSet
	lastSet int
}

// resultSet is what is left of a paged search.
type resultSet struct {
	cookie string
	rest   []*record
}

func (s *Server) session(c net.Conn, secure bool) {
	ses := &session{server: s, conn: c}
	if secure && ses.startTLS() != nil {
		return
	}
	for {
		_ = ses.conn.SetReadDeadline(time.Now().Add(15 * time.Minute)) // MaxConnIdleTime
		p, err := ber.ReadPacket(io.LimitReader(ses.conn, maxRequest))
		if err != nil || !ses.handle(p) {
			return
		}
	}
}

func (ses *session) startTLS() error {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	t := tls.Server(ses.conn, ses.server.cfg.TLS)
	if err := t.HandshakeContext(ctx); err != nil {
		return err
	}
	ses.conn, ses.secure = t, true
	return nil
}

// handle answers one request; false ends the session.
func (ses *session) handle(p *ber.Packet) bool {
	if p.ClassType != ber.ClassUniversal || p.Tag != ber.TagSequence || len(p.Children) < 2 {
		return false
	}
	id, ok := p.Children[0].Value.(int64)
	request := p.Children[1]
	if !ok || request.ClassType != ber.ClassApplication {
		return false
	}
	var controls []*ber.Packet
	if len(p.Children) > 2 {
		controls = p.Children[2].Children
	}
	var err error
	if known := request.Tag == ldap.ApplicationSearchRequest; !known && request.Tag != ldap.ApplicationUnbindRequest &&
		request.Tag != ldap.ApplicationAbandonRequest && critical(controls) {
		return ses.result(id, request.Tag+1, unknownControl) == nil
	}
	switch request.Tag {
	case ldap.ApplicationBindRequest:
		r := ses.bind(request)
		err = ses.result(id, ldap.ApplicationBindResponse, r)
	case ldap.ApplicationUnbindRequest:
		return false
	case ldap.ApplicationAbandonRequest: // one request at a time: there is nothing left to abandon
	case ldap.ApplicationSearchRequest:
		err = ses.search(id, request, controls)
	case ldap.ApplicationCompareRequest:
		err = ses.result(id, ldap.ApplicationCompareResponse, ses.compare(request))
	case ldap.ApplicationExtendedRequest:
		return ses.extended(id, request)
	case ldap.ApplicationModifyRequest, ldap.ApplicationAddRequest, ldap.ApplicationDelRequest,
		ldap.ApplicationModifyDNRequest:
		r := outcome{code: ldap.LDAPResultInsufficientAccessRights,
			text: "00002098: SecErr: DSID-03150F94, problem 4003 (INSUFF_ACCESS_RIGHTS), data 0\n"}
		err = ses.result(id, request.Tag+1, r)
	default:
		return false
	}
	return err == nil
}

// outcome is an LDAPResult.
type outcome struct {
	code     int
	matched  string
	text     string
	referral string // URL
}

var unknownControl = outcome{code: ldap.LDAPResultUnavailableCriticalExtension,
	text: "00000057: LdapErr: DSID-0C090AE8, comment: Error processing control, data 0, v4563"}

// critical reports whether one of the controls must be understood. Only searches have one that is:
// paging.
func critical(controls []*ber.Packet) bool {
	return slices.ContainsFunc(controls, func(c *ber.Packet) bool {
		return slices.ContainsFunc(c.Children[min(1, len(c.Children)):], func(part *ber.Packet) bool {
			on, _ := part.Value.(bool)
			return part.Tag == ber.TagBoolean && on
		})
	})
}

// compare reports whether an object has a value.
func (ses *session) compare(request *ber.Packet) outcome {
	if len(request.Children) != 2 || len(request.Children[1].Children) != 2 {
		return outcome{code: ldap.LDAPResultProtocolError, text: "malformed compare request"}
	}
	if ses.user == "" {
		return unbound
	}
	t, err := ses.server.tree()
	if err != nil {
		return outcome{code: ldap.LDAPResultOther, text: err.Error()}
	}
	found, _, fault := t.find(searchRequest{
		base: content(request.Children[0]), scope: ldap.ScopeBaseObject, match: func(*record) bool { return true },
	})
	if fault != nil {
		return *fault
	}
	name, want := content(request.Children[1].Children[0]), content(request.Children[1].Children[1])
	values := found[0].values(name)
	switch {
	case values == nil:
		return outcome{code: ldap.LDAPResultNoSuchAttribute,
			text: "00002080: AtrErr: DSID-03080155, #1:\n\t0: 00002080: DSID-03080155, problem 1001 " +
				"(NO_ATTRIBUTE_OR_VAL), data 0\n"}
	case slices.ContainsFunc(values, func(v string) bool { return strings.EqualFold(v, want) }):
		return outcome{code: ldap.LDAPResultCompareTrue}
	}
	return outcome{code: ldap.LDAPResultCompareFalse}
}

func (ses *session) write(id int64, operation *ber.Packet, controls ...*ber.Packet) error {
	p := ber.NewSequence("")
	p.AppendChild(ber.NewInteger(ber.ClassUniversal, ber.TypePrimitive, ber.TagInteger, id, ""))
	p.AppendChild(operation)
	if len(controls) > 0 {
		list := ber.Encode(ber.ClassContext, ber.TypeConstructed, 0, nil, "")
		for _, c := range controls {
			list.AppendChild(c)
		}
		p.AppendChild(list)
	}
	_ = ses.conn.SetWriteDeadline(time.Now().Add(2 * time.Minute))
	_, err := ses.conn.Write(p.Bytes())
	return err
}

func response(tag ber.Tag, r outcome) *ber.Packet {
	p := ber.Encode(ber.ClassApplication, ber.TypeConstructed, tag, nil, "")
	p.AppendChild(ber.NewInteger(ber.ClassUniversal, ber.TypePrimitive, ber.TagEnumerated, r.code, ""))
	p.AppendChild(octets(r.matched))
	p.AppendChild(octets(r.text))
	if r.referral != "" {
		list := ber.Encode(ber.ClassContext, ber.TypeConstructed, 3, nil, "")
		list.AppendChild(octets(r.referral))
		p.AppendChild(list)
	}
	return p
}

func (ses *session) result(id int64, tag ber.Tag, r outcome, controls ...*ber.Packet) error {
	return ses.write(id, response(tag, r), controls...)
}

func octets(s string) *ber.Packet {
	return ber.NewString(ber.ClassUniversal, ber.TypePrimitive, ber.TagOctetString, s, "")
}

func (ses *session) bind(request *ber.Packet) outcome {
	ses.user = ""
	if len(request.Children) != 3 {
		return outcome{code: ldap.LDAPResultProtocolError, text: "malformed bind request"}
	}
	name, proof := content(request.Children[1]), request.Children[2]
	if proof.Tag != 0 {
		return outcome{code: ldap.LDAPResultAuthMethodNotSupported,
			text: "00002027: LdapErr: DSID-0C0905E5, comment: the lab's domain controller accepts simple binds " +
				"alone, data 0, v4563"}
	}
	password := content(proof)
	if name == "" && password == "" {
		return outcome{} // anonymous
	}
	if !ses.secure {
		return outcome{code: ldap.LDAPResultStrongAuthRequired,
			text: `00002028: LdapErr: DSID-0C090259, comment: The server requires binds to turn on integrity checking if SSL\TLS are not already active on the connection, data 0, v4563`}
	}
	// RFC 4513, 5.1.2: unauthenticated; Active Directory lets it pass as anonymous
	if password == "" {
		return outcome{}
	}
	code := ses.server.authenticate(name, password)
	if code != "" {
		return outcome{code: ldap.LDAPResultInvalidCredentials,
			text: "80090308: LdapErr: DSID-0C090449, comment: AcceptSecurityContext error, data " + code +
				", v4563\x00"}
	}
	ses.user = name
	return outcome{}
}

// authenticate returns Active Directory's data code, or "" when name and password are right. Names
// are a UPN, NETBIOS\sam or a DN.
func (s *Server) authenticate(name, password string) string {
	dn, _ := canonical(name)
	for _, u := range s.users() {
		matches := u.UPN != "" && strings.EqualFold(u.UPN, name) ||
			strings.EqualFold(s.cfg.NetBIOS+`\`+u.sam(), name) ||
			strings.EqualFold(u.sam()+"@"+s.cfg.Domain, name)
		if !matches && dn != "" {
			own, err := canonical(u.dn(s.layout.domain))
			matches = err == nil && own == dn
		}
		if !matches {
			continue
		}
		switch {
		case u.Password == "" || u.Password != password:
			return "52e"
		case u.Disabled:
			return "533"
		}
		return u.LogonError
	}
	return "52e" // as a domain controller answers for a user principal name that it does not find
}

func (ses *session) extended(id int64, request *ber.Packet) bool {
	name := ""
	if len(request.Children) > 0 {
		name = content(request.Children[0])
	}
	r := outcome{}
	switch {
	case name != oidStartTLS:
		r = outcome{code: ldap.LDAPResultProtocolError,
			text: "0000203D: LdapErr: DSID-0C090F2D, comment: Unknown extended request OID, data 0, v4563"}
	case ses.server.cfg.TLS == nil:
		r = outcome{code: ldap.LDAPResultUnavailable,
			text: "00000000: LdapErr: DSID-0C09114A, comment: Error initializing SSL/TLS, data 0, v4563"}
	case ses.secure:
		r = outcome{code: ldap.LDAPResultOperationsError, text: "TLS is already active"}
	}
	p := response(ldap.ApplicationExtendedResponse, r)
	p.AppendChild(ber.NewString(ber.ClassContext, ber.TypePrimitive, 10, name, ""))
	if ses.write(id, p) != nil {
		return false
	}
	return r.code != 0 || ses.startTLS() == nil
}

const (
	oidStartTLS = "1.3.6.1.4.1.1466.20037"
	oidPaging   = "1.2.840.113556.1.4.319"
)

// searchRequest is a decoded search.
type searchRequest struct {
	base       string
	scope      int64
	sizeLimit  int64
	typesOnly  bool
	match      matcher
	attributes []string

	paged    bool
	pageSize int
	cookie   string
}

func decodeSearch(p *ber.Packet, controls []*ber.Packet) (searchRequest, *outcome) {
	malformed := &outcome{code: ldap.LDAPResultProtocolError, text: "malformed search request"}
	var q searchRequest
	if len(p.Children) != 8 {
		return q, malformed
	}
	var ok bool
	q.base = content(p.Children[0])
	if q.scope, ok = p.Children[1].Value.(int64); !ok || q.scope < ldap.ScopeBaseObject ||
		q.scope > ldap.ScopeWholeSubtree {
		return q, malformed
	}
	if q.sizeLimit, ok = p.Children[3].Value.(int64); !ok {
		return q, malformed
	}
	q.typesOnly, _ = p.Children[5].Value.(bool)
	var err error
	if q.match, err = compile(p.Children[6], 0); err != nil {
		return q, malformed
	}
	for _, a := range p.Children[7].Children {
		q.attributes = append(q.attributes, content(a))
	}
	for _, c := range controls {
		if len(c.Children) == 0 {
			return q, malformed
		}
		critical, value := false, ""
		for _, part := range c.Children[1:] {
			if part.Tag == ber.TagBoolean {
				critical, _ = part.Value.(bool)
			} else {
				value = content(part)
			}
		}
		if content(c.Children[0]) != oidPaging {
			if critical {
				return q, &unknownControl
			}
			continue
		}
		inner, err := ber.DecodePacketErr([]byte(value))
		if err != nil || len(inner.Children) != 2 {
			return q, malformed
		}
		size, ok := inner.Children[0].Value.(int64)
		if !ok || size < 0 {
			return q, malformed
		}
		q.paged, q.pageSize, q.cookie = true, int(size), content(inner.Children[1])
	}
	return q, nil
}

var unbound = outcome{code: ldap.LDAPResultOperationsError,
	text: "000004DC: LdapErr: DSID-0C090A5C, comment: In order to perform this operation a successful bind must be " +
		"completed on the connection., data 0, v4563"}

func (ses *session) search(id int64, p *ber.Packet, controls []*ber.Packet) error {
	done := func(r outcome, controls ...*ber.Packet) error {
		return ses.result(id, ldap.ApplicationSearchResultDone, r, controls...)
	}
	q, fault := decodeSearch(p, controls)
	if fault != nil {
		return done(*fault)
	}
	isRoot := q.base == "" && q.scope == ldap.ScopeBaseObject
	if ses.user == "" && !isRoot {
		return done(unbound)
	}
	if q.cookie != "" {
		i := slices.IndexFunc(ses.results, func(r resultSet) bool { return r.cookie == q.cookie })
		if i < 0 {
			return done(outcome{code: ldap.LDAPResultUnavailableCriticalExtension,
				text: "00000057: LdapErr: DSID-0C090AE8, comment: Error processing control, data 0, v4563"})
		}
		rest := ses.results[i].rest
		ses.results = slices.Delete(ses.results, i, i+1)
		return ses.answer(id, q, rest)
	}
	t, err := ses.server.tree()
	if err != nil {
		return done(outcome{code: ldap.LDAPResultOther, text: err.Error()})
	}
	found, references, fault := t.find(q)
	if fault != nil {
		return done(*fault)
	}
	for _, r := range references {
		p := ber.Encode(ber.ClassApplication, ber.TypeConstructed, ldap.ApplicationSearchResultReference, nil, "")
		p.AppendChild(octets(ses.server.referral(r, ses.secure)))
		if err := ses.write(id, p); err != nil {
			return err
		}
	}
	return ses.answer(id, q, found)
}

// referral is the continuation reference to a naming context.
func (s *Server) referral(nc string, secure bool) string {
	scheme := "ldap"
	if secure {
		scheme = "ldaps"
	}
	host := s.cfg.Domain
	if name, ok := strings.CutPrefix(nc, "DC="); ok {
		if zone, _, ok := strings.Cut(name, ","); ok && strings.HasSuffix(zone, "Zones") {
			host = zone + "." + s.cfg.Domain
		}
	}
	return scheme + "://" + host + "/" + nc
}

// answer sends entries, up to the limits, and the result. Without the paging control, a result of
// more than MaxPageSize entries ends with an error after MaxPageSize entries. With it, larger pages
// are silently cut.
func (ses *session) answer(id int64, q searchRequest, found []*record) error {
	limit, over := len(found), 0
	page := ses.server.cfg.MaxPageSize
	if q.paged && q.pageSize > 0 {
		page = min(page, q.pageSize)
	}
	if limit > page {
		limit = page
		if !q.paged {
			over = ldap.LDAPResultSizeLimitExceeded
		}
	}
	if q.sizeLimit > 0 && int64(limit) >= q.sizeLimit && len(found) > int(q.sizeLimit) {
		limit, over = int(q.sizeLimit), ldap.LDAPResultSizeLimitExceeded
	}
	for _, r := range found[:limit] {
		if err := ses.write(id, ses.server.encode(r, q)); err != nil {
			return err
		}
	}
	if !q.paged || over != 0 {
		return ses.result(id, ldap.ApplicationSearchResultDone, outcome{code: over})
	}
	cookie := ""
	if limit < len(found) {
		ses.lastSet++
		cookie = "page " + strconv.Itoa(ses.lastSet)
		ses.results = append(ses.results, resultSet{cookie, found[limit:]})
		if len(ses.results) > maxResultSetsPerConn {
			ses.results = ses.results[1:]
		}
	}
	control := ldap.NewControlPaging(0)
	control.SetCookie([]byte(cookie))
	return ses.result(id, ldap.ApplicationSearchResultDone, outcome{}, control.Encode())
}

// wanted is one attribute of a request.
type wanted struct {
	name      string // lower case
	low, high int    // of a range; high < 0 is "*"
	ranged    bool
}

func parseWanted(s string) wanted {
	name, option, _ := strings.Cut(s, ";")
	w := wanted{name: strings.ToLower(name), high: -1}
	if text, ok := strings.CutPrefix(strings.ToLower(option), "range="); ok {
		low, high, _ := strings.Cut(text, "-")
		n, err := strconv.Atoi(low)
		if err != nil || n < 0 {
			return w
		}
		w.low, w.ranged = n, true
		if m, err := strconv.Atoi(high); err == nil && m >= n {
			w.high = m
		}
	}
	return w
}

// encode makes the search result entry of r with the attributes that q asks for.
func (s *Server) encode(r *record, q searchRequest) *ber.Packet {
	p := ber.Encode(ber.ClassApplication, ber.TypeConstructed, ldap.ApplicationSearchResultEntry, nil, "")
	p.AppendChild(octets(r.dn))
	list := ber.NewSequence("") // appended when it is complete: AppendChild copies
	put := func(name string, values []string) {
		a := ber.NewSequence("")
		a.AppendChild(octets(name))
		set := ber.Encode(ber.ClassUniversal, ber.TypeConstructed, ber.TagSet, nil, "")
		if !q.typesOnly {
			for _, v := range values {
				set.AppendChild(octets(v))
			}
		}
		a.AppendChild(set)
		list.AppendChild(a)
	}
	all := len(q.attributes) == 0
	ranges := map[string]wanted{}
	named := map[string]bool{}
	for _, text := range q.attributes {
		w := parseWanted(text)
		all = all || w.name == "*"
		named[w.name] = true
		if w.ranged {
			ranges[w.name] = w
		}
	}
	for _, a := range r.attributes {
		lower := strings.ToLower(a.name)
		if !all && !named[lower] {
			continue
		}
		w, ranged := ranges[lower]
		if !ranged && len(a.values) <= s.cfg.MaxValRange {
			put(a.name, a.values)
			continue
		}
		if !ranged {
			w = wanted{high: -1}
			put(a.name, nil) // Active Directory sends the bare name too, without values
		}
		if w.low >= len(a.values) {
			continue
		}
		end := min(len(a.values), w.low+s.cfg.MaxValRange)
		if w.high >= 0 {
			end = min(end, w.high+1)
		}
		high := strconv.Itoa(end - 1)
		if end == len(a.values) {
			high = "*"
		}
		put(fmt.Sprintf("%s;range=%d-%s", a.name, w.low, high), a.values[w.low:end])
	}
	p.AppendChild(list)
	return p
}
