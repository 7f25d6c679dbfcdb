package odd_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	ber "github.com/go-asn1-ber/asn1-ber"
	"github.com/go-ldap/ldap/v3"

	"github.com/hybridge-cli/hybridge/pkg/config/answers"
	"github.com/hybridge-cli/hybridge/pkg/config/cloud"
	"github.com/hybridge-cli/hybridge/pkg/config/secret"
	"github.com/hybridge-cli/hybridge/pkg/engine/check"
	view "github.com/hybridge-cli/hybridge/pkg/engine/report"
	"github.com/hybridge-cli/hybridge/pkg/estate/directory"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/fact"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/prereq"
	lab "github.com/hybridge-cli/hybridge/pkg/lab/directory"
	"github.com/hybridge-cli/hybridge/pkg/wire/link"
)

const (
	controller   = "dc1.contoso.example"
	reader       = "svc@contoso.example"
	readerSecret = "correct horse"
	silent       = 600 * time.Millisecond // the client's patience with a silent server
)

// subject is what a request is about.
type subject string

const (
	aBind     subject = "bind"
	theRoot   subject = "root DSE"
	theUsers  subject = "users"
	otherwise subject = "other"
)

// exchangeOf is one answer of the domain controller on its way to the client.
type exchangeOf struct {
	about  subject
	id     int64
	answer *ber.Packet
	n      int // of the answers to this request, from 0
}

func (e exchangeOf) tag() ber.Tag  { return e.answer.Children[1].Tag }
func (e exchangeOf) entry() bool   { return e.tag() == ldap.ApplicationSearchResultEntry }
func (e exchangeOf) done() bool    { return e.tag() == ldap.ApplicationSearchResultDone }
func (e exchangeOf) bytes() []byte { return e.answer.Bytes() }

// ldapTemper is one odd domain controller, in front of the lab's. The zero value passes everything
// on.
type ldapTemper struct {
	name string
	// connection serves a connection in the controller's place; nil: TLS and the answers below.
	connection func(t *testing.T, c net.Conn)
	tls        func(t *testing.T, i *issuer, c *tls.Config)
	startTLS   func(c net.Conn, id int64) bool // answers the request itself; false ends the connection
	// answer alters an answer. Nil hangs up; empty leaves it out.
	answer func(e exchangeOf) []byte

	reachable, users check.Status // of directory.reachable and directory.one-primary; users "" is not judged
	says             string       // part of the first result that did not pass
	access           bool         // the error is one of rights
}

// message encodes an answer with controls.
func message(id int64, operation *ber.Packet, controls ...*ber.Packet) []byte {
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
	return p.Bytes()
}

func outcome(tag ber.Tag, code int, text string) *ber.Packet {
	p := ber.Encode(ber.ClassApplication, ber.TypeConstructed, tag, nil, "")
	p.AppendChild(ber.NewInteger(ber.ClassUniversal, ber.TypePrimitive, ber.TagEnumerated, code, ""))
	p.AppendChild(word(""))
	p.AppendChild(word(text))
	return p
}

func word(s string) *ber.Packet {
	return ber.NewString(ber.ClassUniversal, ber.TypePrimitive, ber.TagOctetString, s, "")
}

// answering alters the answers about one subject.
func answering(about subject, f func(e exchangeOf) []byte) func(exchangeOf) []byte {
	return func(e exchangeOf) []byte {
		if e.about == about {
			return f(e)
		}
		return e.bytes()
	}
}

// refusing ends requests about a subject with a result.
func refusing(about subject, code int, text string) func(exchangeOf) []byte {
	return answering(about, func(e exchangeOf) []byte {
		if e.entry() {
			return []byte{}
		}
		return message(e.id, outcome(e.tag(), code, text))
	})
}

// attributes alters the attributes of entries about a subject: name and values; nil takes one away.
func attributes(about subject, f func(name string, values []string) []string) func(exchangeOf) []byte {
	return answering(about, func(e exchangeOf) []byte {
		return attributesOf(e, func(name string, values []string) (string, []string) { return name, f(name, values) })
	})
}

func attributesOf(e exchangeOf, f func(name string, values []string) (string, []string)) []byte {
	if !e.entry() {
		return e.bytes()
	}
	var list []*ber.Packet
	for _, a := range e.answer.Children[1].Children[1].Children {
		var values []string
		for _, v := range a.Children[1].Children {
			values = append(values, v.Data.String())
		}
		name, values := f(a.Children[0].Data.String(), values)
		if values == nil {
			continue
		}
		set := ber.Encode(ber.ClassUniversal, ber.TypeConstructed, ber.TagSet, nil, "")
		for _, v := range values {
			set.AppendChild(word(v))
		}
		one := ber.NewSequence("")
		one.AppendChild(word(name))
		one.AppendChild(set)
		list = append(list, one)
	}
	return rebuilt(e, list)
}

// rebuilt is an entry with other attributes.
func rebuilt(e exchangeOf, attributes []*ber.Packet) []byte {
	list := ber.NewSequence("")
	for _, a := range attributes {
		list.AppendChild(a)
	}
	p := ber.Encode(ber.ClassApplication, ber.TypeConstructed, ldap.ApplicationSearchResultEntry, nil, "")
	p.AppendChild(word(e.answer.Children[1].Children[0].Data.String()))
	p.AppendChild(list)
	return message(e.id, p)
}

func without(names ...string) func(string, []string) []string {
	return func(name string, values []string) []string {
		if slices.ContainsFunc(names, func(n string) bool { return strings.EqualFold(n, name) }) {
			return nil
		}
		return values
	}
}

func certified(change func(*x509.Certificate)) func(*testing.T, *issuer, *tls.Config) {
	return func(t *testing.T, i *issuer, c *tls.Config) {
		c.Certificates = []tls.Certificate{i.server(t, controller, change)}
	}
}

func saying(text string) func(*testing.T, net.Conn) {
	return func(_ *testing.T, c net.Conn) {
		_, _ = c.Write([]byte(text))
		_, _ = c.Read(make([]byte, 4096))
	}
}

func page(id int64, cookie string) []byte {
	control := ldap.NewControlPaging(0)
	control.SetCookie([]byte(cookie))
	return message(id, outcome(ldap.ApplicationSearchResultDone, 0, ""), control.Encode())
}

func disconnect(text string) []byte {
	p := outcome(ldap.ApplicationExtendedResponse, 52, text)
	p.AppendChild(ber.NewString(ber.ClassContext, ber.TypePrimitive, 10, "1.3.6.1.4.1.1466.20036", ""))
	return message(0, p)
}

func ldapTempers() []ldapTemper {
	const fails, passes, skips, warns = check.StatusError, check.StatusPass, check.StatusSkip, check.StatusWarn
	hangUp := func(exchangeOf) []byte { return nil }
	nothing := func(exchangeOf) []byte { return []byte{} }
	extended := func(code int, text string) func(net.Conn, int64) bool {
		return func(c net.Conn, id int64) bool {
			_, _ = c.Write(message(id, outcome(ldap.ApplicationExtendedResponse, code, text)))
			return true
		}
	}
	return []ldapTemper{
		{name: "good", reachable: passes, users: passes},

		// The connection.
		{name: "closes at once", connection: func(*testing.T, net.Conn) {}, reachable: fails, says: "closed"},
		{name: "never speaks", connection: func(_ *testing.T, c net.Conn) { time.Sleep(3 * silent) }, reachable: fails,
			says: "within"},
		{name: "speaks HTTP", connection: saying("HTTP/1.1 400 Bad Request\r\n\r\n"), reachable: fails, says: "TLS"},
		{name: "speaks SMTP", connection: saying("220 mail ESMTP\r\n"), reachable: fails, says: "TLS"},
		{name: "speaks plain LDAP on 636", connection: func(_ *testing.T, c net.Conn) {
			_, _ = c.Read(make([]byte, 4096))
			_, _ = c.Write(disconnect("The server has terminated the session."))
		}, reachable: fails, says: "TLS"},
		{name: "stops within the handshake", connection: func(_ *testing.T, c net.Conn) {
			_, _ = c.Read(make([]byte, 1))
			time.Sleep(3 * silent)
		}, reachable: fails, says: "within"},

		// The certificate and TLS.
		{name: "certificate for another host", tls: certified(func(c *x509.Certificate) {
			c.DNSNames = []string{"dc9.contoso.example"}
		}), reachable: fails, says: "dc9.contoso.example"},
		{name: "certificate without alternative names", tls: certified(func(c *x509.Certificate) { c.DNSNames = nil }),
			reachable: fails, says: "not for " + controller},
		{name: "expired certificate", tls: certified(func(c *x509.Certificate) {
			c.NotBefore, c.NotAfter = time.Now().Add(-48*time.Hour), time.Now().Add(-24*time.Hour)
		}), reachable: fails, says: "outside its validity"},
		{name: "certificate of tomorrow", tls: certified(func(c *x509.Certificate) {
			c.NotBefore = time.Now().Add(24 * time.Hour)
			c.NotAfter = time.Now().Add(48 * time.Hour)
		}), reachable: fails, says: "outside its validity"},
		{name: "certificate for clients alone", tls: certified(func(c *x509.Certificate) {
			c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
		}), reachable: fails, says: "certificate"},
		{name: "certificate of a stranger", tls: func(t *testing.T, _ *issuer, c *tls.Config) {
			c.Certificates = []tls.Certificate{newIssuer(t).server(t, controller, nil)}
		}, reachable: fails, says: "not trusted"},
		{name: "TLS 1.0 alone", tls: func(_ *testing.T, _ *issuer, c *tls.Config) {
			c.MinVersion, c.MaxVersion = tls.VersionTLS10, tls.VersionTLS10
		}, reachable: fails, says: "TLS"},
		{name: "demands a client certificate", tls: func(_ *testing.T, _ *issuer, c *tls.Config) {
			c.ClientAuth = tls.RequireAnyClientCert
		}, reachable: fails, says: "client certificate"},
		{name: "refuses the name (SNI)", tls: func(_ *testing.T, _ *issuer, c *tls.Config) {
			c.GetConfigForClient = func(*tls.ClientHelloInfo) (*tls.Config, error) { return nil, net.ErrClosed }
		}, reachable: fails, says: "TLS"},

		// StartTLS.
		{name: "good, StartTLS", startTLS: extended(0, ""), reachable: passes, users: passes},
		{name: "StartTLS unknown", startTLS: extended(2, "unknown extended operation"), reachable: fails,
			says: "start TLS"},
		{name: "StartTLS without a certificate", startTLS: extended(52, "Error initializing SSL/TLS"),
			reachable: fails, says: "Error initializing SSL/TLS"},
		{name: "StartTLS, then clear text", startTLS: func(c net.Conn, id int64) bool {
			_, _ = c.Write(message(id, outcome(ldap.ApplicationExtendedResponse, 0, "")))
			_, _ = c.Read(make([]byte, 512))
			_, _ = c.Write(message(id+1, outcome(ldap.ApplicationBindResponse, 0, "")))
			return false
		}, reachable: fails, says: "TLS"},
		{name: "StartTLS with injected answers", startTLS: func(c net.Conn, id int64) bool {
			_, _ = c.Write(append(message(id, outcome(ldap.ApplicationExtendedResponse, 0, "")),
				message(id+1, outcome(ldap.ApplicationBindResponse, 0, ""))...))
			time.Sleep(silent)
			return false
		}, reachable: fails, says: "before the handshake"},
		{name: "StartTLS unanswered", startTLS: func(net.Conn, int64) bool {
			time.Sleep(3 * silent)
			return false
		}, reachable: fails, says: "within"},

		// The bind.
		{name: "wrong password", answer: refusing(aBind, 49, "80090308: AcceptSecurityContext error, data 52e, v4563"),
			reachable: fails, says: "wrong user name or password", access: true},
		{name: "locked out", answer: refusing(aBind, 49, "80090308: AcceptSecurityContext error, data 775, v4563"),
			reachable: fails, says: "locked out", access: true},
		{name: "password expired", answer: refusing(aBind, 49,
			"80090308: AcceptSecurityContext error, data 532, v4563"),
			reachable: fails, says: "password has expired", access: true},
		{name: "unknown data code", answer: refusing(aBind, 49,
			"80090308: AcceptSecurityContext error, data fff, v4563"),
			reachable: fails, says: "data fff", access: true},
		{name: "refusal with escape sequences", answer: refusing(aBind, 49, "\x1b[31mno\u202e\r\nway"),
			reachable: fails, says: "no", access: true},
		{name: "requires signing", answer: refusing(aBind, 8,
			"The server requires binds to turn on integrity checking"),
			reachable: fails, says: "encrypted or signed", access: true},
		{name: "bind busy", answer: refusing(aBind, 51, ""), reachable: fails, says: "busy"},
		{name: "bind elsewhere", answer: refusing(aBind, 10, "ref 1: 'fabrikam.example'"), reachable: fails,
			says: "naming context"},
		{name: "bind unanswered", answer: answering(aBind, nothing), reachable: fails, says: "within"},
		{name: "hangs up at the bind", answer: answering(aBind, hangUp), reachable: fails, says: "closed"},
		{name: "answers another request", answer: answering(aBind, func(e exchangeOf) []byte {
			return message(e.id+7, outcome(ldap.ApplicationBindResponse, 0, ""))
		}), reachable: fails, says: "expected"},
		{name: "says goodbye", answer: answering(aBind,
			func(exchangeOf) []byte { return disconnect("shutting\x1b[0m down") }),
			reachable: fails, says: "ended the connection"},
		{name: "announces 2 GiB", answer: answering(aBind, func(exchangeOf) []byte {
			return []byte("\x30\x84\x7f\xff\xff\xff")
		}), reachable: fails, says: "more than"},

		// The root DSE.
		{name: "no root DSE", answer: answering(theRoot, func(e exchangeOf) []byte {
			if e.entry() {
				return []byte{}
			}
			return e.bytes()
		}), reachable: fails, says: "root DSE"},
		{name: "two root DSEs", answer: answering(theRoot, func(e exchangeOf) []byte {
			if e.entry() {
				return append(e.bytes(), e.bytes()...)
			}
			return e.bytes()
		}), reachable: fails, says: "2 root DSEs"},
		{name: "another LDAP server", answer: attributes(theRoot, without("configurationNamingContext",
			"defaultNamingContext", "isSynchronized")), reachable: fails,
			says: "not an Active Directory domain controller"},
		{name: "first replication under way", answer: attributes(theRoot, func(name string, values []string) []string {
			if name == "isSynchronized" {
				return []string{"FALSE"}
			}
			return values
		}), reachable: fails, users: skips, says: "first replication"},
		{name: "does not say whether it is synchronized", answer: attributes(theRoot, without("isSynchronized")),
			reachable: warns, users: passes, says: "isSynchronized"},
		{name: "names itself with escape sequences",
			answer: attributes(theRoot, func(name string, v []string) []string {
				if name == "dnsHostName" {
					return []string{"dc1\x1b[2J\u202e.contoso.example"}
				}
				return v
			}), reachable: passes, users: passes},
		{name: "root DSE refused", answer: refusing(theRoot, 50, "no"), reachable: fails, says: "no right",
			access: true},

		// The users.
		{name: "no users", answer: answering(theUsers, func(e exchangeOf) []byte {
			if e.entry() {
				return []byte{}
			}
			return e.bytes()
		}), reachable: passes, users: skips, says: "no user"},
		{name: "users without addresses", answer: attributes(theUsers, without("proxyAddresses")), reachable: passes,
			users: skips, says: "proxyAddresses"},
		{name: "users without mail and addresses", answer: attributes(theUsers, without("proxyAddresses", "mail")),
			reachable: passes, users: skips, says: "proxyAddresses"},
		{name: "attribute names in capitals", answer: answering(theUsers, func(e exchangeOf) []byte {
			return bytes.ReplaceAll(e.bytes(), []byte("proxyAddresses"), []byte("PROXYADDRESSES"))
		}), reachable: passes, users: passes},
		{name: "an attribute twice", answer: answering(theUsers, func(e exchangeOf) []byte {
			if !e.entry() {
				return e.bytes()
			}
			list := e.answer.Children[1].Children[1]
			for _, a := range list.Children {
				if a.Children[0].Data.String() == "proxyAddresses" {
					return rebuilt(e, append(slices.Clone(list.Children), a))
				}
			}
			return e.bytes()
		}), reachable: passes, users: check.StatusFail, says: "not exactly one primary"},
		{name: "more than one primary", answer: attributes(theUsers, func(name string, v []string) []string {
			if name == "proxyAddresses" {
				return append(v, "SMTP:other@contoso.example")
			}
			return v
		}), reachable: passes, users: check.StatusFail, says: "not exactly one primary"},
		{name: "addresses with escape sequences", answer: attributes(theUsers, func(name string, v []string) []string {
			if name == "proxyAddresses" {
				return append(v, "SMTP:\x1b]0;x\x07\u202e@contoso.example")
			}
			return v
		}), reachable: passes, users: check.StatusFail, says: "not exactly one primary"},
		{name: "size limit", answer: answering(theUsers, func(e exchangeOf) []byte {
			if e.done() {
				return message(e.id, outcome(e.tag(), 4, ""))
			}
			return e.bytes()
		}), reachable: passes, users: fails, says: "size limit"},
		{name: "time limit", answer: refusing(theUsers, 3, ""), reachable: passes, users: fails, says: "time limit"},
		{name: "administrative limit", answer: refusing(theUsers, 11, "no index"), reachable: passes, users: fails,
			says: "administrative limit"},
		{name: "users elsewhere", answer: refusing(theUsers, 10, ""), reachable: passes, users: fails,
			says: "naming context"},
		{name: "users refused", answer: refusing(theUsers, 50, ""), reachable: passes, users: fails, says: "no right",
			access: true},
		{name: "no paging", answer: refusing(theUsers, 12, "paging is not supported"), reachable: passes, users: fails,
			says: "paging is not supported"},
		{name: "hangs up among the users", answer: answering(theUsers, func(e exchangeOf) []byte {
			if e.n > 0 {
				return nil
			}
			return e.bytes()
		}), reachable: passes, users: fails, says: "closed"},
		{name: "half a user", answer: answering(theUsers, func(e exchangeOf) []byte {
			if e.entry() {
				return e.bytes()[:20]
			}
			return []byte{}
		}), reachable: passes, users: fails, says: "within"},
		{name: "silent after a user", answer: answering(theUsers, func(e exchangeOf) []byte {
			if e.done() {
				return []byte{}
			}
			return e.bytes()
		}), reachable: passes, users: fails, says: "within"},
		{name: "pages without users and without end", answer: answering(theUsers, func(e exchangeOf) []byte {
			if e.done() {
				return page(e.id, "again")
			}
			return []byte{}
		}), reachable: passes, users: fails, says: "without an entry"},
		{name: "pages in a circle", answer: circle(), reachable: passes, users: fails, says: "circle"},
		{name: "ranges that do not advance", answer: func(e exchangeOf) []byte {
			return attributesOf(e, func(name string, values []string) (string, []string) {
				if strings.HasPrefix(name, "proxyAddresses") {
					return "proxyAddresses;range=0-0", values
				}
				return name, values
			})
		}, reachable: passes, users: fails, says: "proxyAddresses"},
		{name: "references and interim answers", answer: answering(theUsers, func(e exchangeOf) []byte {
			if !e.done() {
				return e.bytes()
			}
			reference := ber.Encode(ber.ClassApplication, ber.TypeConstructed, 19, nil, "")
			reference.AppendChild(word("ldap://evil.example/DC=evil,DC=example"))
			interim := ber.Encode(ber.ClassApplication, ber.TypeConstructed, 25, nil, "")
			return slices.Concat(message(e.id, reference), message(e.id, interim), e.bytes())
		}), reachable: passes, users: passes},
		{name: "a DN that is no text", answer: answering(theUsers, func(e exchangeOf) []byte {
			return bytes.ReplaceAll(e.bytes(), []byte("CN=Anna"), []byte("CN=\xff\x1b\x07a"))
		}), reachable: passes, users: passes},
		{name: "entries that are no entries", answer: answering(theUsers, func(e exchangeOf) []byte {
			if e.entry() {
				return message(e.id, ber.Encode(ber.ClassApplication, ber.TypeConstructed, 4, nil, ""))
			}
			return e.bytes()
		}), reachable: passes, users: fails, says: "malformed"},
		{name: "drips", answer: func(e exchangeOf) []byte { return e.bytes() }, reachable: passes, users: passes},
	}
}

// circle sends the same page again and again.
func circle() func(exchangeOf) []byte {
	var first []byte
	return answering(theUsers, func(e exchangeOf) []byte {
		switch {
		case e.entry():
			first = append(first, e.bytes()...)
			return []byte{}
		case e.done():
			// Copies of the entries, under the number of this request.
			out := bytes.ReplaceAll(first, []byte{0x02, 0x01, first[bytes.IndexByte(first, 0x02)+2]},
				[]byte{0x02, 0x01, byte(e.id)})
			return append(out, page(e.id, "again")...)
		}
		return e.bytes()
	})
}

// subjectOf recognizes a request.
func subjectOf(request *ber.Packet) subject {
	operation := request.Children[1]
	if operation.Tag == ldap.ApplicationBindRequest {
		return aBind
	}
	if operation.Tag != ldap.ApplicationSearchRequest || len(operation.Children) < 8 {
		return otherwise
	}
	base, _ := operation.Children[0].Value.(string)
	scope, _ := operation.Children[1].Value.(int64)
	switch {
	case base == "" && scope == ldap.ScopeBaseObject:
		return theRoot
	case strings.EqualFold(base, "DC=contoso,DC=example") && scope == ldap.ScopeWholeSubtree:
		return theUsers
	}
	return otherwise
}

// serve answers a client through the lab's domain controller at behind.
func (x ldapTemper) serve(t *testing.T, near net.Conn, config *tls.Config, behind string) {
	if x.connection != nil {
		x.connection(t, near)
		return
	}
	if x.startTLS != nil {
		request, err := ber.ReadPacket(near)
		if err != nil {
			return
		}
		id, _ := request.Children[0].Value.(int64)
		if !x.startTLS(near, id) {
			return
		}
	}
	secure := tls.Server(near, config)
	if secure.Handshake() != nil {
		return
	}
	far, err := tls.Dial("tcp", behind, &tls.Config{InsecureSkipVerify: true})
	if err != nil {
		return
	}
	defer far.Close()
	for {
		request, err := ber.ReadPacket(secure)
		if err != nil || len(request.Children) < 2 {
			return
		}
		if _, err := far.Write(request.Bytes()); err != nil ||
			request.Children[1].Tag == ldap.ApplicationUnbindRequest {
			return
		}
		id, _ := request.Children[0].Value.(int64)
		for n := 0; ; n++ {
			answer, err := ber.ReadPacket(far)
			if err != nil {
				return
			}
			e := exchangeOf{subjectOf(request), id, answer, n}
			out := e.bytes()
			if x.answer != nil {
				if out = x.answer(e); out == nil {
					return
				}
			}
			if x.name == "drips" {
				for i := range out {
					_, _ = secure.Write(out[i : i+1])
				}
			} else if _, err := secure.Write(out); err != nil {
				return
			}
			if !e.entry() && e.tag() != ldap.ApplicationSearchResultReference {
				break
			}
		}
	}
}

// TestOddDomainControllers runs the directory checks against each odd domain controller.
func TestOddDomainControllers(t *testing.T) {
	authority := newIssuer(t)
	certificate := authority.server(t, controller, nil)
	backend, err := lab.New(lab.Config{Domain: "contoso.example",
		TLS: &tls.Config{Certificates: []tls.Certificate{certificate}}, Users: func() []lab.User {
			users := []lab.User{{Name: "svc", UPN: reader, Password: readerSecret}}
			for _, name := range []string{"Anna", "Bert"} {
				address := strings.ToLower(name) + "@contoso.example"
				users = append(users, lab.User{Name: name, UPN: address, Mail: address, RecipientType: 1,
					ProxyAddresses: []string{"SMTP:" + address}})
			}
			return users
		}})
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go backend.ServeTLS(l)
	t.Cleanup(func() { backend.Close() })
	for _, temper := range ldapTempers() {
		t.Run(temper.name, func(t *testing.T) {
			t.Parallel()
			config := &tls.Config{Certificates: []tls.Certificate{certificate}}
			if temper.tls != nil {
				temper.tls(t, authority, config)
			}
			address := listen(t, func(c net.Conn) { temper.serve(t, c, config, l.Addr().String()) })
			line, err := link.New(link.Options{CAs: authority.pool, ConnectTo: []string{controller + ":=" + address},
				Timeout: silent})
			if err != nil {
				t.Fatal(err)
			}
			section := answers.Directory{Servers: []string{controller},
				Bind: answers.Credential{Kind: answers.CredentialPassword, User: reader}}
			if temper.startTLS != nil {
				section.Security = "starttls"
			}
			set := fact.New(answers.Answers{Forests: []answers.Forest{{Name: "contoso",
				Domains: []string{"contoso.example"}, Directory: section}}}, cloud.Cloud{})
			set.Forests[0].Clients.Directory = func(ctx context.Context) (fact.Directory, error) {
				return directory.Open(ctx, directory.Config{Name: "contoso", Directory: section, Link: line,
					Password: secret.NewValue(readerSecret), Timeout: silent})
			}
			begun := time.Now()
			report, err := prereq.Run(t.Context(), set, check.Options{Only: []string{"directory.reachable",
				"directory.one-primary"}}, nil)
			if err != nil || len(report.Results) != 2 {
				t.Fatalf("%d results, %v", len(report.Results), err)
			}
			temper.judge(t, report.Results)
			var shown strings.Builder
			text, _ := view.Named("text")
			if err := text.Open(&shown, view.Options{}).Write(report); err != nil {
				t.Fatal(err)
			}
			fit(t, temper.name, strings.ReplaceAll(shown.String(), "\n", " "))
			if took := time.Since(begun); took > 20*time.Second {
				t.Errorf("took %v", took)
			}
		})
	}
}

func (x ldapTemper) judge(t *testing.T, results []check.Result) {
	t.Helper()
	said := ""
	for _, r := range results {
		text := fmt.Sprint(r.Summary, " ", r.Detail)
		want := x.reachable
		if r.ID == "directory.one-primary" {
			if want = x.users; want == "" {
				want = check.StatusSkip
			}
		}
		if r.Status != want {
			t.Errorf("%s: %s, want %s: %s", r.ID, r.Status, want, text)
		}
		if r.Status != check.StatusPass && said == "" {
			said = text
			t.Logf("%s: %s", r.Status, text)
			if access := isAccess(r.Cause); access != x.access {
				t.Errorf("%s is an error of rights: %t", text, access)
			}
		}
		if strings.Contains(text, readerSecret) {
			t.Errorf("the password is in %q", text)
		}
	}
	if !strings.Contains(said, x.says) {
		t.Errorf("%q does not contain %q", said, x.says)
	}
}
