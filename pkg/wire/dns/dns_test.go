package dns

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/miekg/dns"

	"github.com/hybridge-cli/hybridge/pkg/wire/link"
)

func start(t *testing.T, zones []string, records ...string) *Server {
	t.Helper()
	s, err := NewServer(zones, records...)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Listen("127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

var zone = []string{
	"contoso.example. 300 IN MX 20 backup.contoso.example.",
	"contoso.example. 300 IN MX 10 Mail.contoso.example.",
	`contoso.example. 300 IN TXT "MS=ms12345678"`,
	`contoso.example. 300 IN TXT "v=spf1 " "include:\"x\" -all"`,
	"mail.contoso.example. 60 IN A 192.0.2.1",
	"mail.contoso.example. 60 IN AAAA 2001:db8::1",
	"autodiscover.contoso.example. 60 IN CNAME one.contoso.example.",
	"one.contoso.example. 60 IN CNAME mail.contoso.example.",
	"outside.contoso.example. 60 IN CNAME mail.fabrikam.example.",
	"loop.contoso.example. 60 IN CNAME pool.contoso.example.",
	"pool.contoso.example. 60 IN CNAME loop.contoso.example.",
	"lost.contoso.example. 60 IN CNAME missing.contoso.example.",
	"_autodiscover._tcp.contoso.example. 60 IN SRV 5 1 443 autodiscover.contoso.example.",
	"*.wild.contoso.example. 60 IN A 192.0.2.7",
}

func bigZone(n int) []string {
	var out []string
	for i := range n {
		out = append(out, fmt.Sprintf("big.contoso.example. 60 IN TXT \"%03d %s\"", i, strings.Repeat("x", 100)))
	}
	return out
}

func TestLookup(t *testing.T) {
	s := start(t, []string{"contoso.example"}, append(zone, bigZone(60)...)...)
	c := &Client{Resolvers: []string{s.Address()}, Timeout: 5 * time.Second}
	addresses := func(names ...string) (out []Record) {
		for _, n := range names {
			out = append(out, Record{Type: A, Address: netip.MustParseAddr(n)})
		}
		return out
	}
	for _, test := range []struct {
		name  string
		t     Type
		chain []string
		want  []Record
	}{
		{"MAIL.contoso.example.", A, nil, addresses("192.0.2.1")},
		{"mail.contoso.example", AAAA, nil, []Record{{Type: AAAA, Address: netip.MustParseAddr("2001:db8::1")}}},
		{"autodiscover.contoso.example", A, []string{"one.contoso.example", "mail.contoso.example"},
			addresses("192.0.2.1")},
		{"autodiscover.contoso.example", CNAME, nil, []Record{{Type: CNAME, Target: "one.contoso.example"}}},
		{"contoso.example", MX, nil, []Record{{Type: MX, Target: "mail.contoso.example", Priority: 10},
			{Type: MX, Target: "backup.contoso.example", Priority: 20}}},
		{"contoso.example", TXT, nil, []Record{{Type: TXT, Text: "MS=ms12345678"},
			{Type: TXT, Text: `v=spf1 include:"x" -all`}}},
		{"_autodiscover._tcp.contoso.example", SRV, nil,
			[]Record{{Type: SRV, Target: "autodiscover.contoso.example", Priority: 5, Weight: 1, Port: 443}}},
		{"any.wild.contoso.example", A, nil, addresses("192.0.2.7")},
	} {
		t.Run(test.name+" "+string(test.t), func(t *testing.T) {
			a, err := c.Lookup(t.Context(), test.name, test.t)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, a.Records, cmpopts.IgnoreFields(Record{}, "Name", "TTL"),
				cmp.Comparer(func(a, b netip.Addr) bool { return a == b })); diff != "" {
				t.Error(diff)
			}
			if diff := cmp.Diff(test.chain, a.Chain); diff != "" {
				t.Error("chain", diff)
			}
		})
	}
	t.Run("over TCP", func(t *testing.T) {
		a, err := c.Lookup(t.Context(), "big.contoso.example", TXT)
		if err != nil || len(a.Records) != 60 {
			t.Fatalf("%d records, %v", len(a.Records), err)
		}
		s.SetFault("mail.contoso.example", Truncated)
		defer s.SetFault("mail.contoso.example", "")
		if a, err = c.Lookup(t.Context(), "mail.contoso.example", A); err != nil || len(a.Records) != 1 {
			t.Errorf("truncated: %d records, %v", len(a.Records), err)
		}
	})
}

func TestNoAnswer(t *testing.T) {
	s := start(t, []string{"contoso.example"}, zone...)
	for name, f := range map[string]Fault{"broken": ServerFailure, "closed": Refused, "gone": NotFound, "hollow": Empty,
		"silent": Silent} {
		if err := s.Add(name + ".contoso.example. 60 IN A 192.0.2.1"); err != nil {
			t.Fatal(err)
		}
		s.SetFault(name+".contoso.example", f)
	}
	c := &Client{Resolvers: []string{s.Address()}, Timeout: 300 * time.Millisecond}
	for _, test := range []struct {
		name   string
		t      Type
		class  error
		detail string
		also   error
	}{
		{"nobody.contoso.example", A, ErrAbsent, "", nil},
		{"gone.contoso.example", A, ErrAbsent, "", nil},
		{"lost.contoso.example", A, ErrAbsent, "", nil},
		{"mail.contoso.example", TXT, ErrEmpty, "", nil},
		{"contoso.example", A, ErrEmpty, "", nil},
		{"_tcp.contoso.example", A, ErrEmpty, "", nil}, // there are names below it
		{"hollow.contoso.example", A, ErrEmpty, "", nil},
		{"autodiscover.contoso.example", TXT, ErrEmpty, "", nil},
		{"broken.contoso.example", A, ErrFailed, "SERVFAIL", nil},
		{"closed.contoso.example", A, ErrFailed, "REFUSED", nil},
		{"outside.contoso.example", A, ErrFailed, "REFUSED", nil}, // the alias leads where this server may not look
		{"loop.contoso.example", A, ErrFailed, "aliases run in a circle", nil},
		{"silent.contoso.example", A, ErrFailed, "time-out", link.ErrUnreachable},
		{strings.Repeat("a", 64) + ".example", A, ErrFailed, "not a domain name", nil},
		{"", A, ErrFailed, "not a domain name", nil},
		{"contoso.example", "ANYTHING", ErrFailed, "record type not supported", nil},
	} {
		t.Run(test.name+" "+string(test.t), func(t *testing.T) {
			_, err := c.Lookup(t.Context(), test.name, test.t)
			var e *Error
			if !errors.As(err, &e) || !errors.Is(err, test.class) || e.Detail != test.detail || test.also != nil &&
				!errors.Is(err, test.also) {
				t.Errorf("%v, want %v: %s", err, test.class, test.detail)
			}
			for _, other := range []error{ErrAbsent, ErrEmpty, ErrFailed} {
				if other != test.class && errors.Is(err, other) {
					t.Errorf("%v is also %v", err, other)
				}
			}
		})
	}
}

// A failing resolver is skipped. An answer without records counts.
func TestResolversInOrder(t *testing.T) {
	broken, empty, good := start(t, []string{"contoso.example"}), start(t, []string{"contoso.example"}), start(t,
		[]string{"contoso.example"}, zone...)
	broken.SetFault("mail.contoso.example", ServerFailure)
	closed, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	nobody := closed.LocalAddr().String()
	closed.Close()
	c := &Client{Resolvers: []string{nobody, broken.Address(), good.Address(), empty.Address()}, Timeout: time.Second}
	a, err := c.Lookup(t.Context(), "mail.contoso.example", A)
	if err != nil || a.Resolver != good.Address() {
		t.Errorf("answered by %q, %v", a.Resolver, err)
	}
	c.Resolvers = []string{empty.Address(), good.Address()}
	if _, err := c.Lookup(t.Context(), "mail.contoso.example", A); !errors.Is(err, ErrAbsent) {
		t.Errorf("%v, want ErrAbsent", err)
	}
	c.Resolvers = []string{nobody}
	if _, err := c.Lookup(t.Context(), "mail.contoso.example", A); !errors.Is(err, ErrFailed) ||
		!errors.Is(err, link.ErrUnreachable) {
		t.Errorf("%v, want ErrFailed and ErrUnreachable", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := c.Lookup(ctx, "mail.contoso.example", A); !errors.Is(err, context.Canceled) {
		t.Errorf("%v, want Canceled", err)
	}
}

// rude answers with whatever bytes the test wants.
func rude(t *testing.T, reply func(q *dns.Msg) []byte) string {
	t.Helper()
	pc, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { pc.Close() })
	go func() {
		buf := make([]byte, 4096)
		for {
			n, from, err := pc.ReadFrom(buf)
			if err != nil {
				return
			}
			q := new(dns.Msg)
			if q.Unpack(buf[:n]) != nil {
				continue
			}
			if answer := reply(q); answer != nil {
				pc.WriteTo(answer, from)
			}
		}
	}()
	return pc.LocalAddr().String()
}

func pack(t *testing.T, m *dns.Msg) []byte {
	raw, err := m.Pack()
	if err != nil {
		t.Error(err)
	}
	return raw
}

func TestRudeReplies(t *testing.T) {
	record, err := dns.NewRR("mail.contoso.example. 60 IN A 192.0.2.66")
	if err != nil {
		t.Fatal(err)
	}
	for name, reply := range map[string]func(q *dns.Msg) []byte{
		"nonsense": func(q *dns.Msg) []byte { return []byte{byte(q.Id >> 8), byte(q.Id), 0x80} },
		"another question": func(q *dns.Msg) []byte {
			m := new(dns.Msg).SetReply(q)
			m.Question[0].Name = "evil.example."
			m.Answer = []dns.RR{record}
			return pack(t, m)
		},
		"a question back": func(q *dns.Msg) []byte { return pack(t, q) },
		"strange code":    func(q *dns.Msg) []byte { m := new(dns.Msg).SetReply(q); m.Rcode = 14; return pack(t, m) },
	} {
		t.Run(name, func(t *testing.T) {
			c := &Client{Resolvers: []string{rude(t, reply)}, Timeout: 300 * time.Millisecond}
			if a, err := c.Lookup(t.Context(), "mail.contoso.example", A); !errors.Is(err, ErrFailed) {
				t.Errorf("%+v, %v", a, err)
			}
		})
	}
	t.Run("records of another name", func(t *testing.T) {
		c := &Client{Timeout: time.Second, Resolvers: []string{rude(t, func(q *dns.Msg) []byte {
			m := new(dns.Msg).SetReply(q)
			m.Answer = []dns.RR{record}
			return pack(t, m)
		})}}
		if a, err := c.Lookup(t.Context(), "other.contoso.example", A); !errors.Is(err, ErrFailed) ||
			!strings.Contains(err.Error(), "another name, mail.contoso.example") {
			t.Errorf("%+v, %v", a, err)
		}
	})
	t.Run("knows no EDNS", func(t *testing.T) {
		c := &Client{Timeout: time.Second, Resolvers: []string{rude(t, func(q *dns.Msg) []byte {
			m := new(dns.Msg).SetReply(q)
			if q.IsEdns0() != nil {
				m.Rcode = dns.RcodeFormatError
			} else {
				m.Answer = []dns.RR{record}
			}
			return pack(t, m)
		})}}
		if a, err := c.Lookup(t.Context(), "mail.contoso.example", A); err != nil || len(a.Records) != 1 {
			t.Errorf("%+v, %v", a, err)
		}
	})
}

func TestSystemResolvers(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "resolv.conf")
	if err := os.WriteFile(file, []byte("nameserver 192.0.2.53\nnameserver 2001:db8::53\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	got, err := systemResolvers(file)
	if diff := cmp.Diff([]string{"192.0.2.53:53", "[2001:db8::53]:53"}, got); err != nil || diff != "" {
		t.Error(err, diff)
	}
	if _, err := systemResolvers(filepath.Join(dir, "missing")); !errors.Is(err, errNoConfiguration) {
		t.Error(err)
	}
	for in, want := range map[string]string{"192.0.2.1": "192.0.2.1:53",
		"dc1.contoso.example:5353": "dc1.contoso.example:5353", "2001:db8::1": "[2001:db8::1]:53",
		"[2001:db8::1]:54": "[2001:db8::1]:54"} {
		if got := withPort(in); got != want {
			t.Errorf("%s: %s", in, got)
		}
	}
}

func TestServerChanges(t *testing.T) {
	s := start(t, []string{"contoso.example"}, zone...)
	c := &Client{Resolvers: []string{s.Address()}, Timeout: 5 * time.Second}
	s.Remove("contoso.example", MX)
	if _, err := c.Lookup(t.Context(), "contoso.example", MX); !errors.Is(err, ErrEmpty) {
		t.Error(err)
	}
	if _, err := c.Lookup(t.Context(), "contoso.example", TXT); err != nil {
		t.Error(err)
	}
	s.Remove("mail.contoso.example", "")
	if _, err := c.Lookup(t.Context(), "mail.contoso.example", A); !errors.Is(err, ErrAbsent) {
		t.Error(err)
	}
	if err := s.Add("fine.contoso.example. 60 IN A 192.0.2.1", "not a record"); err == nil {
		t.Error("a bad record was taken")
	}
	if _, err := c.Lookup(t.Context(), "fine.contoso.example", A); !errors.Is(err, ErrAbsent) {
		t.Error("records were added in part:", err)
	}
}

func FuzzUnescape(f *testing.F) {
	f.Add(`a\"b\\c\195\164`)
	f.Add(`\`)
	f.Add(`\9`)
	f.Fuzz(func(t *testing.T, s string) {
		if got := unescape(s); len(got) > len(s) {
			t.Errorf("%q grew to %q", s, got)
		}
	})
}

// Whatever a resolver sends, a reply has records of the requested name, or none.
func FuzzReply(f *testing.F) {
	for _, line := range zone {
		rr, err := dns.NewRR(line)
		if err != nil {
			f.Fatal(err)
		}
		m := new(dns.Msg)
		m.SetQuestion("contoso.example.", dns.TypeA)
		m.Response = true
		m.Answer = []dns.RR{rr}
		raw, err := m.Pack()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(raw)
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		m := new(dns.Msg)
		if m.Unpack(raw) != nil {
			return
		}
		var chain []string
		walk(m.Answer, "contoso.example", map[string]bool{"contoso.example": true}, &chain)
		for _, rr := range m.Answer {
			record(rr)
		}
	})
}

// Where the system opens no socket for datagrams, the resolver is asked over TCP.
func TestNoDatagrams(t *testing.T) {
	s := start(t, []string{"contoso.example."}, zone...)
	c := &Client{Resolvers: []string{s.Address()}, Dial: func(ctx context.Context, network, address string) (net.Conn,
		error) {
		if network == "udp" {
			return nil, &net.OpError{Op: "dial", Net: network, Err: errors.New("wsaioctl: winapi error #10045")}
		}
		return new(net.Dialer).DialContext(ctx, network, address)
	}}
	addresses, err := c.LookupHost(t.Context(), "mail.contoso.example")
	if err != nil || len(addresses) != 2 {
		t.Errorf("%v, %v", addresses, err)
	}
}
