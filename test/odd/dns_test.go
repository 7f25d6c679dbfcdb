package odd_test

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	resolver "github.com/hybridge-cli/hybridge/pkg/wire/dns"
)

// verdict is what a look-up means: an answer, or one of the three reasons to have none.
type verdict string

const (
	answered verdict = "answered"
	absent   verdict = "absent"
	empty    verdict = "empty"
	failed   verdict = "failed"
)

func verdictOf(err error) verdict {
	switch {
	case err == nil:
		return answered
	case errors.Is(err, resolver.ErrAbsent):
		return absent
	case errors.Is(err, resolver.ErrEmpty):
		return empty
	case errors.Is(err, resolver.ErrFailed):
		return failed
	}
	return verdict("no class: " + err.Error())
}

const mailHost = "mail.contoso.example"

// dnsTemper is one odd resolver. It answers a question with datagrams, or with the octets of a TCP
// stream; nil is silence.
type dnsTemper struct {
	name   string
	udp    func(q *dns.Msg) [][]byte
	tcp    func(q *dns.Msg) []byte // with its length; nil closes
	ask    resolver.Type           // A when empty
	host   bool                    // asks for the host, by A and AAAA
	want   verdict
	says   string // part of the error, or of the answer
	absent string // what neither contains
}

// reply is a good answer with these records.
func reply(q *dns.Msg, records ...string) *dns.Msg {
	m := new(dns.Msg)
	m.SetReply(q)
	m.RecursionAvailable = true
	for _, line := range records {
		rr, err := dns.NewRR(line)
		if err != nil {
			panic(err)
		}
		m.Answer = append(m.Answer, rr)
	}
	return m
}

func packed(messages ...*dns.Msg) [][]byte {
	var out [][]byte
	for _, m := range messages {
		raw, err := m.Pack()
		if err != nil {
			panic(err)
		}
		out = append(out, raw)
	}
	return out
}

func stream(m *dns.Msg) []byte {
	raw := packed(m)[0]
	return append(binary.BigEndian.AppendUint16(nil, uint16(len(raw))), raw...)
}

// with answers with records, after a change.
func with(change func(q, m *dns.Msg), records ...string) func(*dns.Msg) [][]byte {
	return func(q *dns.Msg) [][]byte {
		m := reply(q, records...)
		if change != nil {
			change(q, m)
		}
		return packed(m)
	}
}

func coded(rcode int) func(*dns.Msg) [][]byte {
	return with(func(_, m *dns.Msg) {
		if rcode > 15 {
			m.SetEdns0(1232, false)
		}
		m.Rcode = rcode
	})
}

// byType answers A and AAAA apart.
func byType(four, six func(*dns.Msg) [][]byte) func(*dns.Msg) [][]byte {
	return func(q *dns.Msg) [][]byte {
		if q.Question[0].Qtype == dns.TypeAAAA {
			return six(q)
		}
		return four(q)
	}
}

func dnsTempers() []dnsTemper {
	const (
		address = mailHost + ". 60 IN A 192.0.2.1"
		soa     = "contoso.example. 60 IN SOA ns.contoso.example. h.contoso.example. 1 3600 600 86400 60"
	)
	silence := func(*dns.Msg) [][]byte { return nil }
	raw := func(datagrams ...string) func(*dns.Msg) [][]byte {
		return func(*dns.Msg) [][]byte {
			var out [][]byte
			for _, d := range datagrams {
				out = append(out, []byte(d))
			}
			return out
		}
	}
	authority := func(line string) func(q, m *dns.Msg) {
		return func(_, m *dns.Msg) {
			rr, err := dns.NewRR(line)
			if err != nil {
				panic(err)
			}
			m.Ns = append(m.Ns, rr)
		}
	}
	truncated := func(q *dns.Msg) [][]byte { return with(func(_, m *dns.Msg) { m.Truncated = true })(q) }
	var chain []string
	for i := range 40 {
		from := mailHost
		if i > 0 {
			from = fmt.Sprintf("a%d.example", i)
		}
		chain = append(chain, fmt.Sprintf("%s. 60 IN CNAME a%d.example.", from, i+1))
	}
	var many []string
	for i := range 200 {
		many = append(many, fmt.Sprintf("%s. 60 IN A 192.0.2.%d", mailHost, i))
	}
	lost := 0
	return []dnsTemper{
		{name: "good", udp: with(nil, address), want: answered, says: "192.0.2.1"},

		// What it says about the name.
		{name: "no such name", udp: with(func(q, m *dns.Msg) { m.Rcode = dns.RcodeNameError; authority(soa)(q, m) }),
			want: absent, says: "no such name"},
		{name: "no such name, without SOA", udp: coded(dns.RcodeNameError), want: absent},
		{name: "no such record", udp: with(authority(soa)), want: empty, says: "no record of this type"},
		{name: "no such record, without SOA", udp: with(nil), want: empty},
		{name: "refers to other servers", udp: with(func(q, m *dns.Msg) {
			authority("contoso.example. 60 IN NS ns.contoso.example.")(q, m)
			m.RecursionAvailable = false
		}), want: failed, says: "refers to"},
		{name: "refers to the root", udp: with(func(q, m *dns.Msg) {
			authority(". 60 IN NS a.root-servers.net.")(q, m)
			m.RecursionAvailable = false
		}), want: failed, says: "refers to"},

		// Codes.
		{name: "SERVFAIL", udp: coded(dns.RcodeServerFailure), want: failed, says: "SERVFAIL"},
		{name: "REFUSED", udp: coded(dns.RcodeRefused), want: failed, says: "REFUSED"},
		{name: "NOTIMP", udp: coded(dns.RcodeNotImplemented), want: failed, says: "NOTIMP"},
		{name: "FORMERR", udp: coded(dns.RcodeFormatError), want: failed, says: "FORMERR"},
		{name: "NOTAUTH", udp: coded(dns.RcodeNotAuth), want: failed, says: "NOTAUTH"},
		{name: "BADVERS", udp: coded(dns.RcodeBadVers), want: failed, says: "BADVERS"},
		{name: "a code that does not exist", udp: coded(13), want: failed, says: "code 13"},
		{name: "FORMERR for EDNS alone", udp: func(q *dns.Msg) [][]byte {
			if q.IsEdns0() != nil {
				return coded(dns.RcodeFormatError)(q)
			}
			return with(nil, address)(q)
		}, want: answered, says: "192.0.2.1"},
		{name: "SERVFAIL for EDNS alone", udp: func(q *dns.Msg) [][]byte {
			if q.IsEdns0() != nil {
				return coded(dns.RcodeServerFailure)(q)
			}
			return with(nil, address)(q)
		}, want: answered, says: "192.0.2.1"},
		{name: "a refusal without the question", udp: with(func(_, m *dns.Msg) {
			m.Rcode, m.Question = dns.RcodeRefused, nil
		}), want: failed, says: "REFUSED"},

		// One kind of address.
		{name: "IPv4 fails, IPv6 is empty", host: true,
			udp:  byType(coded(dns.RcodeServerFailure), with(authority(soa))),
			want: failed, says: "SERVFAIL"},
		{name: "IPv4 is empty, IPv6 fails", host: true,
			udp:  byType(with(authority(soa)), coded(dns.RcodeServerFailure)),
			want: failed, says: "SERVFAIL"},
		{name: "IPv4 answers, IPv6 fails", host: true, udp: byType(with(nil, address), coded(dns.RcodeServerFailure)),
			want: answered, says: "192.0.2.1"},
		{name: "IPv4 answers, IPv6 is silent", host: true, udp: byType(with(nil, address), silence), want: answered,
			says: "192.0.2.1"},
		{name: "IPv4 is empty, IPv6 is no such name", host: true, udp: byType(with(authority(soa)),
			coded(dns.RcodeNameError)), want: empty},
		{name: "IPv6 alone", host: true,
			udp:  byType(with(authority(soa)), with(nil, mailHost+". 60 IN AAAA 2001:db8::1")),
			want: answered, says: "2001:db8::1"},

		// Silence and the network.
		{name: "silent", udp: silence, want: failed, says: "time-out"},
		{name: "the first datagram is lost", udp: func(q *dns.Msg) [][]byte {
			if lost++; lost == 1 {
				return nil
			}
			return with(nil, address)(q)
		}, want: answered, says: "192.0.2.1"},
		{name: "truncated, TCP closed", udp: truncated, want: failed},
		{name: "truncated, TCP good", udp: truncated, tcp: func(q *dns.Msg) []byte { return stream(reply(q, many...)) },
			want: answered, says: "192.0.2.199"},
		{name: "truncated, TCP cut short", udp: truncated, tcp: func(q *dns.Msg) []byte {
			return stream(reply(q, many...))[:100]
		}, want: failed},
		{name: "truncated, TCP announces more than it sends", udp: truncated,
			tcp: func(*dns.Msg) []byte { return []byte{0xff, 0xff, 1, 2, 3} }, want: failed},
		{name: "truncated, TCP of no length", udp: truncated, tcp: func(*dns.Msg) []byte { return []byte{0, 0} },
			want: failed},

		// Malformed and forged.
		{name: "garbage", udp: raw("\xde\xad\xbe\xef"), want: failed},
		{name: "an empty datagram", udp: raw(""), want: failed},
		{name: "another id, then the answer", udp: func(q *dns.Msg) [][]byte {
			forged := reply(q, mailHost+". 60 IN A 203.0.113.66")
			forged.Id++
			return packed(forged, reply(q, address))
		}, want: answered, says: "192.0.2.1", absent: "203.0.113.66"},
		{name: "another id alone", udp: with(func(_, m *dns.Msg) { m.Id++ }, mailHost+". 60 IN A 203.0.113.66"),
			want: failed, absent: "203.0.113.66"},
		{name: "another question", udp: with(func(_, m *dns.Msg) { m.Question[0].Name = "evil.example." },
			mailHost+". 60 IN A 203.0.113.66"), want: failed, says: "another question", absent: "203.0.113.66"},
		{name: "a question, no reply", udp: with(func(_, m *dns.Msg) { m.Response = false }, address), want: failed},
		{name: "no question", udp: with(func(_, m *dns.Msg) { m.Question = nil }, address), want: failed},
		{name: "records of another name", udp: with(nil, "evil.example. 60 IN A 203.0.113.66"), want: failed,
			says: "evil.example", absent: "203.0.113.66"},
		{name: "records of another name besides", udp: with(nil, "evil.example. 60 IN A 203.0.113.66", address),
			want: answered, says: "192.0.2.1", absent: "203.0.113.66"},
		{name: "names in capitals", udp: with(nil, "MAIL.Contoso.EXAMPLE. 60 IN A 192.0.2.1"), want: answered,
			says: "192.0.2.1"},
		{name: "an address and a signature", udp: with(nil, address, mailHost+
			". 60 IN RRSIG A 13 3 60 20270101000000 20260101000000 1 contoso.example. AAAA"), want: answered,
			says: "192.0.2.1"},
		{name: "the answer twice", udp: func(q *dns.Msg) [][]byte {
			return packed(reply(q, address), reply(q, address))
		}, want: answered, says: "192.0.2.1"},
		{name: "records of class CH", udp: with(func(_, m *dns.Msg) { m.Answer[0].Header().Class = dns.ClassCHAOS },
			address), want: failed},
		{name: "more records than it counts", udp: func(q *dns.Msg) [][]byte {
			out := packed(reply(q, address, address))
			binary.BigEndian.PutUint16(out[0][6:], 1)
			return out
		}, want: answered, says: "192.0.2.1"},
		{name: "counts more records than it has", udp: func(q *dns.Msg) [][]byte {
			out := packed(reply(q, address))
			binary.BigEndian.PutUint16(out[0][6:], 9)
			return out
		}, want: answered, says: "192.0.2.1"},
		{name: "a name that points at itself", udp: func(q *dns.Msg) [][]byte {
			out := packed(reply(q))[0][:12]
			binary.BigEndian.PutUint16(out[6:], 1)
			return [][]byte{append(out, 0xc0, 12, 0, 1, 0, 1)}
		}, want: failed},

		// Aliases.
		{name: "aliases", udp: with(nil, mailHost+". 60 IN CNAME one.example.", "one.example. 60 IN CNAME two.example.",
			"two.example. 60 IN A 192.0.2.1"), want: answered, says: "192.0.2.1"},
		{name: "aliases out of order", udp: with(nil, "two.example. 60 IN A 192.0.2.1",
			"one.example. 60 IN CNAME two.example.", mailHost+". 60 IN CNAME one.example."), want: answered,
			says: "192.0.2.1"},
		{name: "aliases in a circle", udp: with(nil, mailHost+". 60 IN CNAME one.example.", "one.example. 60 IN CNAME "+
			mailHost+"."), want: failed, says: "circle"},
		{name: "an alias of itself", udp: with(nil, mailHost+". 60 IN CNAME "+mailHost+"."), want: failed,
			says: "circle"},
		{name: "forty aliases, one per answer", udp: func(q *dns.Msg) [][]byte {
			for _, line := range chain {
				if strings.HasPrefix(strings.ToLower(line), strings.ToLower(q.Question[0].Name)+" ") {
					return packed(reply(q, line))
				}
			}
			return coded(dns.RcodeNameError)(q)
		}, want: failed, says: "too many aliases"},
		{name: "an alias whose end does not exist", udp: func(q *dns.Msg) [][]byte {
			m := reply(q, mailHost+". 60 IN CNAME gone.example.")
			m.Rcode = dns.RcodeNameError
			return packed(m)
		}, want: absent, says: "gone.example"},
		{name: "two aliases of one name", udp: with(nil, mailHost+". 60 IN CNAME one.example.", mailHost+
			". 60 IN CNAME two.example.", "one.example. 60 IN A 192.0.2.1"), want: answered, says: "192.0.2.1"},

		// Other records.
		{name: "a null MX", ask: resolver.MX, udp: with(nil, mailHost+". 60 IN MX 0 ."), want: answered},
		{name: "TXT with control characters", ask: resolver.TXT, udp: with(nil, mailHost+
			`. 60 IN TXT "MS=ms1\027[31m\007"`), want: answered, says: "MS=ms1"},
		{name: "TXT of no string", ask: resolver.TXT, udp: with(nil, mailHost+`. 60 IN TXT ""`), want: answered},
		{name: "an SRV that says there is none", ask: resolver.SRV, udp: with(nil, mailHost+". 60 IN SRV 0 0 0 ."),
			want: answered},
	}
}

// start answers with the temper over UDP and TCP.
func (x dnsTemper) start(t *testing.T) string {
	t.Helper()
	var pc net.PacketConn
	var l net.Listener
	for range 50 {
		var err error
		if pc, err = net.ListenPacket("udp", "127.0.0.1:0"); err != nil {
			t.Fatal(err)
		}
		if l, err = net.Listen("tcp", pc.LocalAddr().String()); err == nil {
			break
		}
		pc.Close()
	}
	t.Cleanup(func() { pc.Close(); l.Close() })
	go func() {
		buffer := make([]byte, 4096)
		for {
			n, from, err := pc.ReadFrom(buffer)
			if err != nil {
				return
			}
			q := new(dns.Msg)
			if q.Unpack(buffer[:n]) != nil {
				continue
			}
			for _, datagram := range x.udp(q) {
				_, _ = pc.WriteTo(datagram, from)
			}
		}
	}()
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				length := make([]byte, 2)
				if _, err := io.ReadFull(c, length); err != nil || x.tcp == nil {
					return
				}
				raw := make([]byte, binary.BigEndian.Uint16(length))
				q := new(dns.Msg)
				if _, err := io.ReadFull(c, raw); err == nil && q.Unpack(raw) == nil {
					_, _ = c.Write(x.tcp(q))
				}
			}()
		}
	}()
	return pc.LocalAddr().String()
}

// lookup asks as the temper says, and returns the answer in one line.
func (x dnsTemper) lookup(t *testing.T, c *resolver.Client) (string, error) {
	t.Helper()
	if x.host {
		found, err := c.LookupHost(t.Context(), mailHost)
		return strings.Join(found, " "), err
	}
	kind := x.ask
	if kind == "" {
		kind = resolver.A
	}
	a, err := c.Lookup(t.Context(), mailHost, kind)
	var out []string
	for _, r := range a.Records {
		out = append(out, fmt.Sprint(r.Address, r.Target, r.Text))
	}
	return strings.Join(append(out, a.Chain...), " "), err
}

// TestOddResolvers asks each odd resolver. A failure says nothing about the name, and the next
// resolver is asked. What is said about the name is final.
func TestOddResolvers(t *testing.T) {
	good := dnsTemper{udp: func(q *dns.Msg) [][]byte {
		lines := map[uint16]string{dns.TypeA: "A 198.51.100.7", dns.TypeAAAA: "AAAA 2001:db8::7",
			dns.TypeMX: "MX 1 next.example.", dns.TypeTXT: "TXT next", dns.TypeSRV: "SRV 0 0 1 next.example."}
		return packed(reply(q, mailHost+". 60 IN "+lines[q.Question[0].Qtype]))
	}}.start(t)
	for _, temper := range dnsTempers() {
		t.Run(temper.name, func(t *testing.T) {
			t.Parallel()
			address := temper.start(t)
			found, err := temper.lookup(t, &resolver.Client{Resolvers: []string{address}, Timeout: time.Second})
			said := found
			if err != nil {
				said = err.Error()
				if !strings.Contains(said, address) || !strings.Contains(said, mailHost) {
					t.Errorf("%q names neither resolver nor question", said)
				}
				fit(t, temper.name, said)
			}
			t.Logf("%s: %s", verdictOf(err), said)
			if got := verdictOf(err); got != temper.want {
				t.Errorf("%s, want %s", got, temper.want)
			}
			if !strings.Contains(said, temper.says) {
				t.Errorf("%q does not contain %q", said, temper.says)
			}
			if temper.absent != "" && strings.Contains(found+said, temper.absent) {
				t.Errorf("%q contains %q", found+said, temper.absent)
			}
			if temper.name == "the first datagram is lost" {
				return // it answers from now on
			}
			_, err = temper.lookup(t, &resolver.Client{Resolvers: []string{address, good}, Timeout: time.Second})
			want := temper.want
			if want == failed {
				want = answered
			}
			if got := verdictOf(err); got != want {
				t.Errorf("with a second resolver: %s, want %s: %v", got, want, err)
			}
		})
	}
}
