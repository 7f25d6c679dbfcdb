package fact

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"

	"golang.org/x/net/publicsuffix"

	"github.com/hybridge-cli/hybridge/pkg/wire/dns"
)

// Host is what DNS holds of a host name.
type Host struct {
	Aliases   []string // the names of the CNAME chain
	Addresses []netip.Addr
}

var (
	// Hosts are the addresses of host names, with the aliases that lead to them.
	Hosts = FromNetwork(DNS, "A, AAAA {key}", readHost)

	// Services are the SRV records of a service, such as _autodiscover._tcp.contoso.com, best
	// first.
	Services = FromNetwork(DNS, "SRV {key}", func(ctx context.Context, s *Side, name string) ([]dns.Record, error) {
		a, err := s.lookup(ctx, name, dns.SRV)
		return a.Records, err
	})
)

// Whole reports what a host without an error always has.
func (h Host) Whole() error {
	if len(h.Addresses) == 0 {
		return errors.New("a host without an address")
	}
	return nil
}

// NoRecord reports whether DNS answered that there is no such record. A resolver that could not
// answer says nothing.
func NoRecord(err error) bool { return errors.Is(err, dns.ErrAbsent) || errors.Is(err, dns.ErrEmpty) }

// readHost asks for both families. A failure of one counts only when the other has no address.
func readHost(ctx context.Context, s *Side, name string) (Host, error) {
	var out Host
	var failed, none error
	for _, t := range []dns.Type{dns.A, dns.AAAA} {
		a, err := s.lookup(ctx, name, t)
		if len(a.Chain) > len(out.Aliases) {
			out.Aliases = a.Chain
		}
		for _, r := range a.Records {
			out.Addresses = append(out.Addresses, r.Address)
		}
		switch {
		case NoRecord(err) && none == nil:
			none = err
		case err != nil && !NoRecord(err) && failed == nil:
			failed = err
		}
		if errors.Is(err, dns.ErrAbsent) {
			break // the name has no records at all
		}
	}
	switch {
	case len(out.Addresses) > 0:
		return out, nil
	case failed != nil:
		return out, failed
	}
	return out, none
}

// SenderPolicy is the policy of a domain for the hosts that may send its mail (SPF, RFC 7208).
type SenderPolicy struct {
	Records  []string // that begin with v=spf1; a domain has at most one
	Includes []string // the domains whose policies are part of this one, nested ones too
	Senders  []string // the mechanisms of the domain's own record that admit hosts, without includes
	All      string   // how it ends: -all, ~all, ?all, +all; empty without an end
	Lookups  int      // terms that ask DNS, those of includes counted
	Wrong    []string // why receivers take the record as an error
	// Macros: a term depends on the message, and whom the policy admits is not known.
	Macros bool
}

// SenderPolicies are the policies of domains, with those that they include.
var SenderPolicies = FromNetwork(DNS, "TXT {key}, with its includes",
	func(ctx context.Context, s *Side, domain string) (SenderPolicy, error) {
		var p SenderPolicy
		err := p.read(ctx, s, strings.ToLower(domain), true, map[string]bool{})
		return p, err
	})

// maxTerms ends the reading of a policy whose includes never end. Receivers stop after 10.
const maxTerms = 40

// read adds the policy of a domain: the asked one's own, or one that it includes.
func (p *SenderPolicy) read(ctx context.Context, s *Side, domain string, own bool, seen map[string]bool) error {
	seen[domain] = true
	texts, err := TXT.In(ctx, s, domain)
	if err != nil && !NoRecord(err) {
		return err
	}
	var records []string
	for _, text := range texts {
		if version, _, _ := strings.Cut(strings.TrimSpace(text), " "); strings.EqualFold(version, "v=spf1") {
			records = append(records, strings.TrimSpace(text))
		}
	}
	switch {
	case own:
		p.Records = records
	case len(records) == 0:
		p.wrong("%s has no record that could be included", domain)
	case len(records) > 1:
		p.wrong("%s has %d records", domain, len(records))
	}
	if len(records) != 1 {
		return nil
	}
	redirect := ""
	terms := strings.Fields(records[0])[1:]
	for _, term := range terms {
		if p.Lookups > maxTerms {
			return nil
		}
		next, ended := p.term(term, own)
		p.Macros = p.Macros || strings.Contains(term, "%") && !strings.HasPrefix(strings.ToLower(term), "exp=")
		if name, ok := strings.CutPrefix(next, "redirect="); ok {
			redirect = name
			continue
		}
		if next == "" || strings.Contains(next, "%") { // a macro depends on the message
			if ended {
				return nil // what stands behind "all" is never read
			}
			continue
		}
		p.Includes = append(p.Includes, next)
		if seen[next] {
			continue
		}
		if err := p.read(ctx, s, next, false, seen); err != nil {
			return err
		}
	}
	if redirect == "" || seen[redirect] || strings.Contains(redirect, "%") || p.Lookups > maxTerms {
		return nil
	}
	p.Includes = append(p.Includes, redirect)
	whole := SenderPolicy{Lookups: p.Lookups + 1}
	if err := whole.read(ctx, s, redirect, true, seen); err != nil {
		return err
	}
	if len(whole.Records) != 1 {
		p.wrong("%s, to which it redirects, has %d records", redirect, len(whole.Records))
	}
	p.Includes, p.Lookups = append(p.Includes, whole.Includes...), whole.Lookups
	p.Wrong, p.Macros = append(p.Wrong, whole.Wrong...), p.Macros || whole.Macros
	if own {
		p.All, p.Senders = whole.All, append(p.Senders, whole.Senders...)
	}
	return nil
}

// term reads one term. It returns the domain of an include, or "redirect=" with that of a redirect.
func (p *SenderPolicy) term(term string, own bool) (next string, ended bool) {
	qualifier := "+"
	if strings.ContainsAny(term[:1], "+-~?") {
		qualifier, term = term[:1], term[1:]
	}
	lower := strings.ToLower(term)
	if name, value, ok := strings.Cut(lower, "="); ok && !strings.ContainsAny(name, ":/") {
		if name == "redirect" {
			return "redirect=" + dns.Name(value), false
		}
		return "", false // exp, and modifiers that receivers ignore
	}
	name, value, given := strings.Cut(lower, ":")
	name, _, _ = strings.Cut(name, "/")
	switch name {
	case "all":
		if own && p.All == "" {
			p.All = qualifier + "all"
		}
		return "", true
	case "include":
		p.Lookups++
		if value == "" {
			p.wrong("include without a domain")
			return "", false
		}
		return dns.Name(value), false
	case "a", "mx", "ptr", "exists":
		p.Lookups++
	case "ip4", "ip6":
		if _, err := netip.ParsePrefix(value); err != nil {
			if _, err := netip.ParseAddr(value); err != nil || !given {
				p.wrong("%s is no address", term)
				return "", false
			}
		}
	default:
		p.wrong("%s is no term that receivers know", term)
		return "", false
	}
	if own && qualifier != "-" {
		p.Senders = append(p.Senders, term)
	}
	return "", false
}

func (p *SenderPolicy) wrong(format string, args ...any) {
	p.Wrong = append(p.Wrong, fmt.Sprintf(format, args...))
}

// MessagePolicy is what receivers do with mail of a domain that neither SPF nor DKIM proves
// (DMARC).
type MessagePolicy struct {
	At      string   // the domain that holds the record: the asked one, or the one of its organization
	Records []string // that begin with v=DMARC1; a domain has at most one
	Action  string   // none, quarantine, reject; empty: the record has none that receivers know
}

// MessagePolicies are the DMARC policies of domains.
var MessagePolicies = FromNetwork(DNS, "TXT _dmarc.{key}, or of its organization",
	func(ctx context.Context, s *Side, domain string) (MessagePolicy, error) {
		domain = strings.ToLower(domain)
		p := MessagePolicy{At: domain}
		if err := p.read(ctx, s); err != nil || len(p.Records) > 0 {
			return p, err
		}
		above, err := publicsuffix.EffectiveTLDPlusOne(domain)
		if err != nil || above == domain {
			return p, nil
		}
		p.At = above
		return p, p.read(ctx, s)
	})

func (p *MessagePolicy) read(ctx context.Context, s *Side) error {
	asked := p.At
	texts, err := TXT.In(ctx, s, "_dmarc."+asked)
	if err != nil && !NoRecord(err) {
		return err
	}
	for _, text := range texts {
		tags := strings.Split(text, ";")
		if version := strings.ReplaceAll(tags[0], " ", ""); version != "v=DMARC1" {
			continue
		}
		p.Records = append(p.Records, text)
		for _, tag := range tags[1:] {
			name, value, _ := strings.Cut(tag, "=")
			value = strings.ToLower(strings.TrimSpace(value))
			if strings.EqualFold(strings.TrimSpace(name), "p") && (value == "none" || value == "quarantine" ||
				value == "reject") {
				p.Action = value
			}
		}
	}
	return nil
}
