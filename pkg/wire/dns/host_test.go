package dns

import (
	"errors"
	"net"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/hybridge-cli/hybridge/pkg/wire/link"
)

// answering is a resolver whose answers a function fills in.
func answering(t *testing.T, fill func(m *dns.Msg, name string, qtype uint16)) string {
	t.Helper()
	return rude(t, func(q *dns.Msg) []byte {
		m := new(dns.Msg).SetReply(q)
		fill(m, Name(q.Question[0].Name), q.Question[0].Qtype)
		return pack(t, m)
	})
}

func rr(t *testing.T, s string) dns.RR {
	t.Helper()
	r, err := dns.NewRR(s)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// deaf is an address that takes datagrams and answers none.
func deaf(t *testing.T) (address string, asked *atomic.Int32) {
	t.Helper()
	pc, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { pc.Close() })
	asked = new(atomic.Int32)
	go func() {
		for buf := make([]byte, 4096); ; asked.Add(1) {
			if _, _, err := pc.ReadFrom(buf); err != nil {
				return
			}
		}
	}()
	return pc.LocalAddr().String(), asked
}

func TestLookupHost(t *testing.T) {
	address := rr(t, "mail.contoso.example. 60 IN A 192.0.2.1")
	sixth := rr(t, "mail.contoso.example. 60 IN AAAA 2001:db8::1")
	code := func(a, aaaa int) string {
		return answering(t, func(m *dns.Msg, _ string, qtype uint16) {
			if m.Rcode = a; qtype == dns.TypeAAAA {
				m.Rcode = aaaa
			}
		})
	}
	both := answering(t, func(m *dns.Msg, _ string, qtype uint16) {
		if m.Answer = []dns.RR{address}; qtype == dns.TypeAAAA {
			m.Answer = []dns.RR{sixth}
		}
	})
	four := answering(t, func(m *dns.Msg, _ string, qtype uint16) {
		if m.Rcode = dns.RcodeServerFailure; qtype == dns.TypeA {
			m.Rcode, m.Answer = dns.RcodeSuccess, []dns.RR{address}
		}
	})
	for _, tt := range []struct {
		name      string
		resolvers []string
		want      []string
		class     error
		says      string
	}{
		{"both", []string{both}, []string{"192.0.2.1", "2001:db8::1"}, nil, ""},
		{"IPv4 although IPv6 fails", []string{four}, []string{"192.0.2.1"}, nil, ""},
		{"IPv4 fails and IPv6 is empty", []string{code(dns.RcodeServerFailure, dns.RcodeSuccess)}, nil, ErrFailed,
			"SERVFAIL"},
		{"IPv4 is empty and IPv6 fails", []string{code(dns.RcodeSuccess, dns.RcodeServerFailure)}, nil, ErrFailed,
			"SERVFAIL"},
		{"IPv4 fails and IPv6 does not exist", []string{code(dns.RcodeRefused, dns.RcodeNameError)}, nil, ErrFailed,
			"REFUSED"},
		{"no address", []string{code(dns.RcodeSuccess, dns.RcodeSuccess)}, nil, ErrEmpty, "no record"},
		{"no name", []string{code(dns.RcodeNameError, dns.RcodeNameError)}, nil, ErrAbsent, "no such name"},
		{"the next resolver is asked after a failure", []string{code(dns.RcodeServerFailure, dns.RcodeSuccess), four},
			[]string{"192.0.2.1"}, nil, ""},
		{"the next resolver is not asked after an absence",
			[]string{code(dns.RcodeNameError, dns.RcodeNameError), both}, nil, ErrAbsent, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := &Client{Resolvers: tt.resolvers, Timeout: 2 * time.Second}
			for range 10 { // the order in which both answers come must not count
				got, err := c.LookupHost(t.Context(), "mail.contoso.example")
				if !slices.Equal(got, tt.want) || !errors.Is(err, tt.class) {
					t.Fatalf("%v, %v, want %v, %v", got, err, tt.want, tt.class)
				}
				if err != nil && (!strings.Contains(err.Error(), tt.says) ||
					!strings.Contains(err.Error(), tt.resolvers[0])) {
					t.Fatalf("%q does not say %q and the resolver", err, tt.says)
				}
			}
		})
	}
	for host, want := range map[string]string{"192.0.2.9": "192.0.2.9", "[2001:db8::9]": "2001:db8::9"} {
		if got, err := new(Client).LookupHost(t.Context(), host); err != nil || len(got) != 1 || got[0] != want {
			t.Errorf("%s: %v, %v", host, got, err)
		}
	}
	if got, err := new(Client).LookupHost(t.Context(), "localhost"); err != nil || !slices.Contains(got, "127.0.0.1") {
		t.Errorf("localhost, which stands in the hosts file: %v, %v", got, err)
	}
}

// TestSilentResolver waits for a silent resolver only once.
func TestSilentResolver(t *testing.T) {
	dead, asked := deaf(t)
	address := rr(t, "mail.contoso.example. 60 IN A 192.0.2.1")
	c := &Client{Resolvers: []string{dead,
		answering(t, func(m *dns.Msg, _ string, _ uint16) { m.Answer = []dns.RR{address} })},
		Timeout: 400 * time.Millisecond}
	if a, err := c.Lookup(t.Context(), "mail.contoso.example", A); err != nil || a.Resolver == dead {
		t.Fatalf("%+v, %v", a, err)
	}
	if n := asked.Load(); n != 2 {
		t.Errorf("the silent resolver was asked %d times, want twice, since a datagram may get lost", n)
	}
	for range 5 {
		if _, err := c.Lookup(t.Context(), "mail.contoso.example", A); err != nil {
			t.Fatal(err)
		}
	}
	if n := asked.Load(); n != 2 {
		t.Errorf("the silent resolver was asked %d times", n)
	}

	alone := &Client{Resolvers: []string{dead}, Timeout: 4 * time.Second}
	alone.noteSilence(dead, true)
	start := time.Now()
	if _, err := alone.Lookup(t.Context(), "mail.contoso.example", A); !errors.Is(err, link.ErrUnreachable) ||
		time.Since(start) > 2*time.Second {
		t.Errorf("after %s: %v", time.Since(start), err)
	}
}

// TestLostDatagram repeats a question whose datagram got lost.
func TestLostDatagram(t *testing.T) {
	address := rr(t, "mail.contoso.example. 60 IN A 192.0.2.1")
	var n atomic.Int32
	c := &Client{Timeout: time.Second, Resolvers: []string{rude(t, func(q *dns.Msg) []byte {
		if n.Add(1) == 1 {
			return nil
		}
		m := new(dns.Msg).SetReply(q)
		m.Answer = []dns.RR{address}
		return pack(t, m)
	})}}
	if _, err := c.Lookup(t.Context(), "mail.contoso.example", A); err != nil || n.Load() != 2 {
		t.Errorf("%v after %d questions", err, n.Load())
	}
}

// TestNoEDNS asks servers that refuse EDNS in every way that is known.
func TestNoEDNS(t *testing.T) {
	address := rr(t, "mail.contoso.example. 60 IN A 192.0.2.1")
	for name, code := range map[string]int{"FORMERR": dns.RcodeFormatError, "NOTIMP": dns.RcodeNotImplemented,
		"SERVFAIL": dns.RcodeServerFailure, "BADVERS": dns.RcodeBadVers} {
		t.Run(name, func(t *testing.T) {
			c := &Client{Timeout: time.Second, Resolvers: []string{rude(t, func(q *dns.Msg) []byte {
				m := new(dns.Msg).SetReply(q)
				if q.IsEdns0() == nil {
					m.Answer = []dns.RR{address}
					return pack(t, m)
				}
				if m.Rcode = code; code == dns.RcodeBadVers {
					m.SetEdns0(1232, false)
				}
				return pack(t, m)
			})}}
			if a, err := c.Lookup(t.Context(), "mail.contoso.example", A); err != nil || len(a.Records) != 1 {
				t.Errorf("%+v, %v", a, err)
			}
			stubborn := &Client{Timeout: time.Second, Resolvers: []string{rude(t, func(q *dns.Msg) []byte {
				m := new(dns.Msg).SetReply(q)
				if m.Rcode = code; code == dns.RcodeBadVers {
					m.SetEdns0(1232, false)
				}
				return pack(t, m)
			})}}
			if _, err := stubborn.Lookup(t.Context(), "mail.contoso.example", A); !errors.Is(err, ErrFailed) ||
				!strings.HasSuffix(err.Error(), ": "+name) {
				t.Errorf("%v", err)
			}
		})
	}
}

// TestChainSurvives keeps the aliases that lead to where nothing resolves.
func TestChainSurvives(t *testing.T) {
	alias := rr(t, "autodiscover.contoso.example. 60 IN CNAME autodiscover.outlook.com.")
	for name, code := range map[string]int{"SERVFAIL": dns.RcodeServerFailure, "REFUSED": dns.RcodeRefused,
		"NXDOMAIN": dns.RcodeNameError, "NODATA": dns.RcodeSuccess} {
		t.Run(name, func(t *testing.T) {
			c := &Client{Timeout: time.Second,
				Resolvers: []string{answering(t, func(m *dns.Msg, name string, qtype uint16) {
					switch {
					case name != "autodiscover.contoso.example":
						m.Rcode = code
					case qtype == dns.TypeCNAME, code == dns.RcodeNameError, code == dns.RcodeSuccess:
						m.Answer = []dns.RR{alias}
						if qtype != dns.TypeCNAME {
							m.Rcode = code
						}
					default:
						m.Rcode = code // as a resolver does that follows the alias and gets no answer
					}
				})}}
			a, err := c.Lookup(t.Context(), "autodiscover.contoso.example", A)
			if err == nil || !slices.Equal(a.Chain, []string{"autodiscover.outlook.com"}) ||
				!strings.Contains(err.Error(), "alias of autodiscover.outlook.com") {
				t.Errorf("%v, %v", a.Chain, err)
			}
		})
	}
}

// TestNames asks for names as people write them.
func TestNames(t *testing.T) {
	c := &Client{Timeout: time.Second, Resolvers: []string{answering(t, func(m *dns.Msg, name string, _ uint16) {
		if name == "xn--mnchen-3ya.example" || name == "_autodiscover._tcp.xn--mnchen-3ya.example" {
			m.Answer = []dns.RR{rr(t, name+". 60 IN TXT yes")}
		}
	})}}
	for name, says := range map[string]string{
		"München.example": "", "münchen.example.": "", "  xn--mnchen-3ya.example ": "",
		"_autodiscover._tcp.münchen.example": "",
		"contoso .example":                   "it holds a blank", "con\ttoso.example": "it holds a blank",
		"":                                   "not a domain name",
		"a..b":                               "not a domain name",
		strings.Repeat("a", 64) + ".example": "not a domain name", "\u202econtoso.example": "not a domain name",
	} {
		_, err := c.Lookup(t.Context(), name, TXT)
		if (err == nil) != (says == "") || err != nil && !strings.Contains(err.Error(), says) {
			t.Errorf("%q: %v, want %q", name, err, says)
		}
	}
}
