package dns

import (
	"testing"
	"time"

	"github.com/miekg/dns"
)

// The server answers at the apex of a zone as every authoritative server does, and refuses what it
// does not do.
func TestServerAnswersAsAuthority(t *testing.T) {
	s := start(t, []string{"contoso.example"}, zone...)
	ask := func(name string, change func(*dns.Msg)) *dns.Msg {
		t.Helper()
		m := new(dns.Msg)
		m.SetQuestion(name, dns.TypeSOA)
		change(m)
		answer, _, err := (&dns.Client{Timeout: 5 * time.Second}).Exchange(m, s.Address())
		if err != nil {
			t.Fatal(err)
		}
		return answer
	}
	kind := func(n uint16) func(*dns.Msg) { return func(m *dns.Msg) { m.Question[0].Qtype = n } }
	version := func(n uint8) func(*dns.Msg) {
		return func(m *dns.Msg) { m.SetEdns0(1232, false); m.IsEdns0().SetVersion(n) }
	}
	for _, test := range []struct {
		name, question  string
		change          func(*dns.Msg)
		rcode, records  int
		firstOfAnswered uint16
	}{
		{"SOA at the apex", "contoso.example.", kind(dns.TypeSOA), dns.RcodeSuccess, 1, dns.TypeSOA},
		{"NS at the apex", "contoso.example.", kind(dns.TypeNS), dns.RcodeSuccess, 1, dns.TypeNS},
		{"no SOA below", "mail.contoso.example.", kind(dns.TypeSOA), dns.RcodeSuccess, 0, 0},
		{"class CH", "version.bind.", func(m *dns.Msg) {
			m.Question[0].Qtype, m.Question[0].Qclass = dns.TypeTXT, dns.ClassCHAOS
		}, dns.RcodeRefused, 0, 0},
		{"zone transfer", "contoso.example.", kind(dns.TypeAXFR), dns.RcodeRefused, 0, 0},
		{"EDNS version 0", "contoso.example.", version(0), dns.RcodeSuccess, 1, dns.TypeSOA},
		{"EDNS version 1", "contoso.example.", version(1), dns.RcodeBadVers, 0, 0},
		{"another operation", "contoso.example.", func(m *dns.Msg) { m.Opcode = dns.OpcodeUpdate },
			dns.RcodeNotImplemented, 0, 0},
		{"two questions", "contoso.example.", func(m *dns.Msg) { m.Question = append(m.Question, m.Question[0]) },
			dns.RcodeFormatError, 0, 0},
	} {
		m := ask(test.question, test.change)
		if m.Rcode != test.rcode || len(m.Answer) != test.records {
			t.Errorf("%s: %s, %d records; want %s, %d", test.name, dns.RcodeToString[m.Rcode], len(m.Answer),
				dns.RcodeToString[test.rcode], test.records)
		} else if test.records > 0 && m.Answer[0].Header().Rrtype != test.firstOfAnswered {
			t.Errorf("%s: %s", test.name, m.Answer[0])
		}
	}
}
