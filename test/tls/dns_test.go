package tls_test

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/hybridge-cli/hybridge/pkg/wire/dns"
)

func records() []string {
	out := []string{
		"contoso.example. 300 IN MX 20 backup.contoso.example.",
		"contoso.example. 300 IN MX 10 mail.contoso.example.",
		`contoso.example. 300 IN TXT "MS=ms12345678"`,
		`contoso.example. 300 IN TXT "v=spf1 " "include:\"x\" -all"`,
		"mail.contoso.example. 60 IN A 192.0.2.1",
		"mail.contoso.example. 60 IN AAAA 2001:db8::1",
		"autodiscover.contoso.example. 60 IN CNAME one.contoso.example.",
		"one.contoso.example. 60 IN CNAME mail.contoso.example.",
		"lost.contoso.example. 60 IN CNAME missing.contoso.example.",
		"_autodiscover._tcp.contoso.example. 60 IN SRV 5 1 443 autodiscover.contoso.example.",
		"*.wild.contoso.example. 60 IN A 192.0.2.7",
	}
	for i := range 60 {
		out = append(out, fmt.Sprintf("big.contoso.example. 60 IN TXT \"%03d %s\"", i, strings.Repeat("x", 100)))
	}
	return out
}

type question struct {
	name string
	t    dns.Type
}

var questions = []question{
	{"contoso.example", dns.MX}, {"contoso.example", dns.TXT}, {"contoso.example", dns.A},
	{"mail.contoso.example", dns.A}, {"MAIL.contoso.example", dns.AAAA},
	{"mail.contoso.example", dns.MX}, {"autodiscover.contoso.example", dns.A},
	{"autodiscover.contoso.example", dns.CNAME}, {"autodiscover.contoso.example", dns.TXT},
	{"lost.contoso.example", dns.A}, {"nobody.contoso.example", dns.A}, {"_tcp.contoso.example", dns.A},
	{"_autodiscover._tcp.contoso.example", dns.SRV},
	{"any.wild.contoso.example", dns.A}, {"big.contoso.example", dns.TXT},
}

// outcome is an answer in a form that can be compared between servers.
type outcome struct {
	Chain   []string
	Records []dns.Record
	Class   string
}

func ask(t *testing.T, c *dns.Client, q question) outcome {
	t.Helper()
	a, err := c.Lookup(t.Context(), q.name, q.t)
	o := outcome{Chain: a.Chain, Records: a.Records}
	for name, class := range map[string]error{"absent": dns.ErrAbsent, "empty": dns.ErrEmpty, "failed": dns.ErrFailed} {
		if errors.Is(err, class) {
			o.Class = name
		}
	}
	if (err != nil) != (o.Class != "") {
		t.Errorf("%s %s: %v has no class", q.t, q.name, err)
	}
	sort.SliceStable(o.Records, func(i, j int) bool {
		x, y := o.Records[i], o.Records[j]
		return x.Priority < y.Priority || x.Priority == y.Priority && x.Text < y.Text
	})
	return o
}

func compare(t *testing.T, ours, theirs *dns.Client, questions []question) {
	t.Helper()
	for _, q := range questions {
		diff := cmp.Diff(ask(t, theirs, q), ask(t, ours, q), cmp.Comparer(func(a, b netip.Addr) bool { return a == b }),
			cmpopts.IgnoreFields(dns.Record{}, "TTL"), cmpopts.EquateEmpty())
		if diff != "" {
			t.Errorf("%s %s: we (+) differ from the peer (-): %s", q.t, q.name, diff)
		}
	}
}

func lab(t *testing.T) (*dns.Server, *dns.Client) {
	t.Helper()
	s, err := dns.NewServer([]string{"contoso.example"}, records()...)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Listen("127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s, &dns.Client{Resolvers: []string{s.Address()}, Timeout: 5 * time.Second}
}

// BIND serves the zone that our server serves: the answers must be the same.
func TestBIND(t *testing.T) {
	need(t, "named")
	dir, port := t.TempDir(), freePort(t)
	write(t, dir, "zone", "$TTL 60\ncontoso.example. IN SOA ns.contoso.example. hostmaster.contoso.example. 1 3600 "+
		"600 86400 60\ncontoso.example. IN NS ns.contoso.example.\nns.contoso.example. IN A 127.0.0.1\n"+
		strings.Join(records(), "\n")+"\n")
	write(t, dir, "broken", "nonsense\n")
	conf := fmt.Sprintf(`options { directory %q; listen-on port %s { 127.0.0.1; }; listen-on-v6 { none; }; recursion no; pid-file none; session-keyfile none; };
controls {};
zone "contoso.example" { type primary; file "zone"; };
zone "broken.example" { type primary; file "broken"; };
`, dir, port)
	readable(t, dir)
	daemon(t, "named", "-g", "-c", write(t, dir, "named.conf", conf))
	theirs := &dns.Client{Resolvers: []string{net.JoinHostPort("127.0.0.1", port)}, Timeout: 5 * time.Second}
	await(t, "BIND", func() error {
		_, err := theirs.Lookup(t.Context(), "mail.contoso.example", dns.A)
		return err
	})
	_, ours := lab(t)
	compare(t, ours, theirs, questions)
	for name, detail := range map[string]string{"www.broken.example": "SERVFAIL", "www.elsewhere.example": "REFUSED"} {
		_, err := theirs.Lookup(t.Context(), name, dns.A)
		var e *dns.Error
		if !errors.As(err, &e) || !errors.Is(err, dns.ErrFailed) || e.Detail != detail {
			t.Error(errUnlike(name, err, detail))
		}
	}
}

// dnsmasq forwards our client's queries to our server. It must understand every answer, including
// the faults.
func TestDnsmasq(t *testing.T) {
	need(t, "dnsmasq")
	server, ours := lab(t)
	host, labPort, _ := net.SplitHostPort(server.Address())
	port := freePort(t)
	args := []string{"--keep-in-foreground", "--conf-file=/dev/null", "--port=" + port, "--listen-address=127.0.0.1",
		"--bind-interfaces", "--no-resolv", "--no-hosts", "--no-daemon",
		"--cache-size=0", "--pid-file=" + filepath.Join(t.TempDir(), "pid"), "--server=/contoso.example/" + host + "#" +
			labPort}
	if os.Geteuid() == 0 {
		// else it drops its rights and cannot read the test's directory
		args = append(args, "--user=root")
	}
	daemon(t, "dnsmasq", args...)
	theirs := &dns.Client{Resolvers: []string{net.JoinHostPort("127.0.0.1", port)}, Timeout: 5 * time.Second}
	await(t, "dnsmasq", func() error {
		_, err := theirs.Lookup(t.Context(), "mail.contoso.example", dns.A)
		return err
	})
	compare(t, ours, theirs, questions)
	for fault, class := range map[dns.Fault]error{dns.NotFound: dns.ErrAbsent, dns.Empty: dns.ErrEmpty,
		dns.ServerFailure: dns.ErrFailed, dns.Refused: dns.ErrFailed} {
		server.SetFault("mail.contoso.example", fault)
		if _, err := theirs.Lookup(t.Context(), "mail.contoso.example", dns.A); !errors.Is(err, class) {
			t.Error(errUnlike(string(fault), err, class))
		}
	}
}
