package tls_test

import (
	"fmt"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/hybridge-cli/hybridge/pkg/config/answers"
	"github.com/hybridge-cli/hybridge/pkg/config/cloud"
	"github.com/hybridge-cli/hybridge/pkg/engine/check"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/fact"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/prereq"
	"github.com/hybridge-cli/hybridge/pkg/wire/dns"
)

// policyZone has two domains: one is as it is to be, and every check of DNS turns for the other.
func policyZone() []string {
	long := `include:loop.contoso.example " "` // a string of a record has 255 characters at most
	for i := range 11 {
		long += fmt.Sprintf("a:h%d.contoso.example ", i)
	}
	return []string{
		"good.contoso.example. 60 IN MX 10 mail.good.contoso.example.", "mail.good.contoso.example. 60 IN A 192.0.2.1",
		"mail.good.contoso.example. 60 IN AAAA 2001:db8::1",
		`good.contoso.example. 60 IN TXT "v=spf1 mx " "include:spf.contoso.example -all"`,
		`spf.contoso.example. 60 IN TXT "v=spf1 ip4:192.0.2.0/24 ip6:2001:db8::/32 -all"`,
		`_dmarc.good.contoso.example. 60 IN TXT "v=DMARC1; p=none; rua=mailto:d@good.contoso.example"`,
		"_autodiscover._tcp.good.contoso.example. 60 IN SRV 0 0 443 mail.good.contoso.example.",

		"bad.contoso.example. 60 IN MX 10 mx.bad.contoso.example.",
		"mx.bad.contoso.example. 60 IN CNAME gone.contoso.example.",
		`bad.contoso.example. 60 IN TXT "v=spf1 ` + long + `?all"`,
		`loop.contoso.example. 60 IN TXT "v=spf1 include:bad.contoso.example -all"`,
		`_dmarc.bad.contoso.example. 60 IN TXT "v=DMARC1; p=none"`,
		`_dmarc.bad.contoso.example. 60 IN TXT "v=DMARC1; p=reject"`,
		"_autodiscover._tcp.bad.contoso.example. 60 IN SRV 0 0 80 mail.good.contoso.example.",
		"*.bad.contoso.example. 60 IN A 192.0.2.9",
	}
}

// TestPoliciesOfBIND: the checks of DNS say the same of a zone that BIND serves as of the lab's
// name server, and what the zone is made to say.
func TestPoliciesOfBIND(t *testing.T) {
	need(t, "named")
	dir, port := t.TempDir(), freePort(t)
	write(t, dir, "zone", "$TTL 60\ncontoso.example. IN SOA ns.contoso.example. hostmaster.contoso.example. 1 3600 "+
		"600 86400 60\ncontoso.example. IN NS ns.contoso.example.\nns.contoso.example. IN A 127.0.0.1\n"+
		strings.Join(policyZone(), "\n")+"\n")
	readable(t, dir)
	daemon(t, "named", "-g", "-c", write(t, dir, "named.conf", fmt.Sprintf(`options { directory %q; listen-on port %s { 127.0.0.1; }; listen-on-v6 { none; }; recursion no; pid-file none; session-keyfile none; };
controls {};
zone "contoso.example" { type primary; file "zone"; };
`, dir, port)))
	theirs := &dns.Client{Resolvers: []string{net.JoinHostPort("127.0.0.1", port)}, Timeout: 5 * time.Second}
	await(t, "BIND", func() error {
		_, err := theirs.Lookup(t.Context(), "mail.good.contoso.example", dns.A)
		return err
	})
	own, err := dns.NewServer([]string{"contoso.example"}, policyZone()...)
	if err != nil {
		t.Fatal(err)
	}
	if err := own.Listen("127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { own.Close() })
	ours := &dns.Client{Resolvers: []string{own.Address()}, Timeout: 5 * time.Second}

	set := func(c *dns.Client) *fact.Set {
		s := fact.New(answers.Answers{Forests: []answers.Forest{
			{Name: "good", Domains: []string{"good.contoso.example"}},
			{Name: "bad", Domains: []string{"bad.contoso.example"}},
		}}, cloud.Cloud{})
		s.Network.Lookup = c.Lookup
		return s
	}
	verdicts := func(s *fact.Set) map[string]string {
		only := []string{"dns.mx", "dns.mx-host", "dns.spf", "dns.spf-valid", "dns.spf-end", "dns.dmarc",
			"dns.wildcard",
			"autodiscover.service-record"}
		report, err := prereq.Run(t.Context(), s, check.Options{Only: only}, nil)
		if err != nil {
			t.Fatal(err)
		}
		out := map[string]string{}
		for _, r := range report.Results {
			out[string(r.ID)+" "+r.Scope] = string(r.Status)
		}
		return out
	}
	want := map[string]string{}
	for _, id := range []string{"dns.mx", "dns.mx-host", "dns.spf", "dns.spf-valid", "dns.spf-end", "dns.dmarc",
		"dns.wildcard",
		"autodiscover.service-record"} {
		want[id+" good"], want[id+" bad"] = "pass", "warn"
	}
	want["dns.mx bad"], want["dns.mx-host bad"], want["autodiscover.service-record bad"] = "fail", "skip", "fail"
	want["dns.spf bad"] = "pass"
	for name, c := range map[string]*dns.Client{"BIND": theirs, "lab": ours} {
		if diff := cmp.Diff(want, verdicts(set(c))); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
	addresses := cmp.Comparer(func(a, b netip.Addr) bool { return a == b })
	a, b := set(theirs), set(ours)
	for _, domain := range []string{"good.contoso.example", "bad.contoso.example"} {
		x, err1 := fact.SenderPolicies.In(t.Context(), a.Network, domain)
		y, err2 := fact.SenderPolicies.In(t.Context(), b.Network, domain)
		if diff := cmp.Diff(x, y, cmpopts.EquateEmpty()); diff != "" || err1 != nil || err2 != nil {
			t.Errorf("SPF of %s: %v, %v\n%s", domain, err1, err2, diff)
		}
	}
	x, _ := fact.Hosts.In(t.Context(), a.Network, "mail.good.contoso.example")
	y, _ := fact.Hosts.In(t.Context(), b.Network, "mail.good.contoso.example")
	if diff := cmp.Diff(x, y, addresses, cmpopts.EquateEmpty()); diff != "" || len(x.Addresses) != 2 {
		t.Errorf("%v\n%s", x, diff)
	}
}
