package fact

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/hybridge-cli/hybridge/pkg/config/answers"
	"github.com/hybridge-cli/hybridge/pkg/config/cloud"
	"github.com/hybridge-cli/hybridge/pkg/wire/dns"
)

// zone answers from texts by name; an error by name stands before them.
type zone struct {
	texts map[string][]string
	fails map[string]error
}

func (z zone) lookup(_ context.Context, name string, t dns.Type) (dns.Answer, error) {
	if err := z.fails[name]; err != nil {
		return dns.Answer{}, err
	}
	var a dns.Answer
	for _, text := range z.texts[name] {
		if t == dns.TXT {
			a.Records = append(a.Records, dns.Record{Name: name, Type: t, Text: text})
		}
	}
	if len(a.Records) == 0 {
		return a, dns.ErrAbsent
	}
	return a, nil
}

func network(lookup func(context.Context, string, dns.Type) (dns.Answer, error)) *Side {
	set := New(answers.Answers{}, cloud.Cloud{})
	set.Network.Lookup = lookup
	return set.Network
}

func TestSenderPolicies(t *testing.T) {
	many := strings.Repeat("a ", 11)
	for name, tt := range map[string]struct {
		texts map[string][]string
		fails map[string]error
		want  SenderPolicy
		err   error
	}{
		"none":           {texts: map[string][]string{"c.com": {"MS=ms1"}}},
		"no domain":      {},
		"not a version":  {texts: map[string][]string{"c.com": {"v=spf10 -all"}}},
		"resolver fails": {fails: map[string]error{"c.com": dns.ErrFailed}, err: dns.ErrFailed},
		"two": {texts: map[string][]string{"c.com": {"v=spf1 -all", "V=SPF1 mx"}},
			want: SenderPolicy{Records: []string{"v=spf1 -all", "V=SPF1 mx"}}},
		"whole": {
			texts: map[string][]string{"c.com": {"v=spf1 MX ip4:192.0.2.0/24 ip6:2001:db8::/32 a:x.c.com/28 " +
				"include:I.com ~ALL"},
				"i.com": {"v=spf1 exists:%{i}.i.com ptr -all"}},
			want: SenderPolicy{Includes: []string{"i.com"}, All: "~all", Lookups: 5, Macros: true,
				Senders: []string{"MX", "ip4:192.0.2.0/24", "ip6:2001:db8::/32", "a:x.c.com/28"}},
		},
		"include of a provider": {
			texts: map[string][]string{"c.com": {"v=spf1 include:%{ir}.%{v}.%{d}.spf.x.com -all"}},
			want:  SenderPolicy{All: "-all", Lookups: 1, Macros: true}},
		"redirect to a provider": {texts: map[string][]string{"c.com": {"v=spf1 redirect=r.com"},
			"r.com": {"v=spf1 redirect=%{d}.spf.x.com"}},
			want: SenderPolicy{Includes: []string{"r.com"}, Lookups: 1, Macros: true}},
		"what stands behind all": {texts: map[string][]string{"c.com": {"v=spf1 +all include:none.com nonsense"}},
			want: SenderPolicy{All: "+all"}},
		"included, and included again": {
			texts: map[string][]string{"c.com": {"v=spf1 include:i.com include:i.com -all"},
				"i.com": {"v=spf1 include:c.com -all"}},
			want: SenderPolicy{Includes: []string{"i.com", "c.com", "i.com"}, All: "-all", Lookups: 3},
		},
		"include without record": {texts: map[string][]string{"c.com": {"v=spf1 include:i.com -all"}},
			want: SenderPolicy{Includes: []string{"i.com"}, All: "-all", Lookups: 1,
				Wrong: []string{"i.com has no record that could be included"}}},
		"include not told": {texts: map[string][]string{"c.com": {"v=spf1 include:i.com -all"}},
			fails: map[string]error{"i.com": dns.ErrFailed}, err: dns.ErrFailed},
		"wrong terms": {texts: map[string][]string{"c.com": {"v=spf1 ip4:mail.c.com ipv4:192.0.2.1 include: -all"}},
			want: SenderPolicy{All: "-all", Lookups: 1, Wrong: []string{"ip4:mail.c.com is no address",
				"ipv4:192.0.2.1 is no term that receivers know", "include without a domain"}}},
		"redirect": {texts: map[string][]string{"c.com": {"v=spf1 redirect=r.com"}, "r.com": {"v=spf1 mx ?all"}},
			want: SenderPolicy{Includes: []string{"r.com"}, Senders: []string{"mx"}, All: "?all", Lookups: 2}},
		"redirect to nothing": {texts: map[string][]string{"c.com": {"v=spf1 exp=x.com redirect=r.com"}},
			want: SenderPolicy{Includes: []string{"r.com"}, Lookups: 1,
				Wrong: []string{"r.com, to which it redirects, has 0 records"}}},
		"too many": {texts: map[string][]string{"c.com": {"v=spf1 " + many + "-all"}},
			want: SenderPolicy{All: "-all", Lookups: 11, Senders: strings.Fields(many)}},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := SenderPolicies.In(t.Context(), network(zone{tt.texts, tt.fails}.lookup), "C.com")
			if !errors.Is(err, tt.err) {
				t.Fatalf("%v, want %v", err, tt.err)
			}
			if tt.want.Records == nil && len(tt.texts["c.com"]) == 1 && got.Records != nil {
				tt.want.Records = tt.texts["c.com"]
			}
			if diff := cmp.Diff(tt.want, got, cmpopts.EquateEmpty()); diff != "" && err == nil {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// A policy whose includes never end is read to an end.
func TestSenderPolicyWithoutEnd(t *testing.T) {
	asked := 0
	side := network(func(_ context.Context, name string, _ dns.Type) (dns.Answer, error) {
		asked++
		return dns.Answer{Records: []dns.Record{{Text: fmt.Sprintf("v=spf1 include:%d.com -all", asked)}}}, nil
	})
	got, err := SenderPolicies.In(t.Context(), side, "c.com")
	if err != nil || got.Lookups <= 10 || asked > 60 {
		t.Errorf("%d lookups, %d questions, %v", got.Lookups, asked, err)
	}
}

// Nor does one that redirects to another one for ever keep a check.
func TestSenderPolicyRedirectsWithoutEnd(t *testing.T) {
	asked := 0
	side := network(func(_ context.Context, name string, _ dns.Type) (dns.Answer, error) {
		if asked++; asked > 1000 {
			return dns.Answer{}, dns.ErrAbsent
		}
		return dns.Answer{Records: []dns.Record{{Text: fmt.Sprintf("v=spf1 redirect=%d.com", asked)}}}, nil
	})
	got, err := SenderPolicies.In(t.Context(), side, "c.com")
	if err != nil || got.Lookups <= 10 || asked > 60 {
		t.Errorf("%d lookups, %d questions, %v", got.Lookups, asked, err)
	}
}

func TestMessagePolicies(t *testing.T) {
	for name, tt := range map[string]struct {
		texts  map[string][]string
		fails  map[string]error
		domain string
		want   MessagePolicy
		err    error
	}{
		"none": {domain: "c.com", want: MessagePolicy{At: "c.com"}},
		"own": {domain: "C.com", texts: map[string][]string{"_dmarc.c.com": {"v=DMARC1; P = Reject ; pct=20"}},
			want: MessagePolicy{At: "c.com", Records: []string{"v=DMARC1; P = Reject ; pct=20"}, Action: "reject"}},
		"of the organization": {domain: "eu.c.co.uk",
			texts: map[string][]string{"_dmarc.c.co.uk": {"v=DMARC1;p=none"}},
			want:  MessagePolicy{At: "c.co.uk", Records: []string{"v=DMARC1;p=none"}, Action: "none"}},
		"another record": {domain: "c.com", texts: map[string][]string{"_dmarc.c.com": {"v=spf1 -all"}},
			want: MessagePolicy{At: "c.com"}},
		"no known policy": {domain: "c.com", texts: map[string][]string{"_dmarc.c.com": {"v=DMARC1; p=block"}},
			want: MessagePolicy{At: "c.com", Records: []string{"v=DMARC1; p=block"}}},
		"resolver fails": {domain: "c.com", fails: map[string]error{"_dmarc.c.com": dns.ErrFailed}, err: dns.ErrFailed},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := MessagePolicies.In(t.Context(), network(zone{tt.texts, tt.fails}.lookup), tt.domain)
			if !errors.Is(err, tt.err) {
				t.Fatalf("%v, want %v", err, tt.err)
			}
			if diff := cmp.Diff(tt.want, got, cmpopts.EquateEmpty()); diff != "" && err == nil {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// A failure of one family says nothing where the other has an address, and is no absence.
func TestHosts(t *testing.T) {
	four := dns.Answer{Chain: []string{"b.com"}, Records: []dns.Record{{Address: netip.MustParseAddr("192.0.2.1")}}}
	for name, tt := range map[string]struct {
		a, aaaa error
		want    int
		err     error
	}{
		"both": {want: 2}, "one": {aaaa: dns.ErrEmpty, want: 1}, "one fails": {a: dns.ErrFailed, want: 1},
		"absent":           {a: dns.ErrAbsent, err: dns.ErrAbsent},
		"empty":            {a: dns.ErrEmpty, aaaa: dns.ErrEmpty, err: dns.ErrEmpty},
		"empty and failed": {a: dns.ErrEmpty, aaaa: dns.ErrFailed, err: dns.ErrFailed},
	} {
		t.Run(name, func(t *testing.T) {
			side := network(func(_ context.Context, _ string, kind dns.Type) (dns.Answer, error) {
				err := tt.a
				if kind == dns.AAAA {
					err = tt.aaaa
				}
				if err != nil {
					return dns.Answer{}, err
				}
				return four, nil
			})
			got, err := Hosts.In(t.Context(), side, "a.com")
			if len(got.Addresses) != tt.want || !errors.Is(err, tt.err) {
				t.Errorf("%v, %v", got, err)
			}
		})
	}
}
