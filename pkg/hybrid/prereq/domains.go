package prereq

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"strings"

	"github.com/hybridge-cli/hybridge/pkg/config/cloud"
	"github.com/hybridge-cli/hybridge/pkg/engine/check"
	"github.com/hybridge-cli/hybridge/pkg/engine/msg"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/desired"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/fact"
	"github.com/hybridge-cli/hybridge/pkg/wire/dns"
)

var domainChecks = []Check{
	{
		ID:    "domains.accepted",
		Title: "The forest's domains are accepted domains on both sides",
		Scope: PerForest,
		Needs: []check.ID{"access.onprem-read", "access.online-read"},
		Reads: fact.List(fact.AcceptedDomains, fact.OnlineAcceptedDomains),
		Why: "A domain that one side does not accept gets no hybrid mail and no lookups there (the wizard's " +
			"errors HCW8016 and HCW8017).",
		Fix: "Add the domain with New-AcceptedDomain on-premises, or add and verify it in the tenant; or " +
			"remove it from the forest's domains in the answers file.",
		Consider: "An accepted domain makes Exchange take mail for it: a type that is wrong lets mail loop or " +
			"refuses people. A domain removed from the answers stays in the connectors that have it.",
		Run: func(ctx context.Context, in Input) check.Result {
			onprem, err := fact.AcceptedDomains.In(ctx, in.Forest)
			if err != nil {
				return check.Unknown(err)
			}
			var online []fact.AcceptedDomain
			if in.Tenant != nil {
				if online, err = fact.OnlineAcceptedDomains.In(ctx, in.Tenant); err != nil {
					return check.Unknown(err)
				}
			}
			var lacking []string
			for _, d := range in.Forest.Answers.Domains {
				if findDomain(onprem, d) == nil {
					lacking = append(lacking, d+" in "+in.Forest.Name())
				}
				if in.Tenant != nil && findDomain(online, d) == nil {
					lacking = append(lacking, d+" in Exchange Online")
				}
			}
			if len(lacking) > 0 {
				return check.Failed("%s not accepted: %s",
					msg.Count(len(lacking), "%s domain is", "%s domains are"), strings.Join(lacking, ", ")).
					With("lacking", lacking)
			}
			if in.Tenant == nil {
				return check.Pass("%s accepted in %s",
					strings.Join(in.Forest.Answers.Domains, ", "), in.Forest.Name())
			}
			return check.Pass("%s accepted in %s and in Exchange Online",
				strings.Join(in.Forest.Answers.Domains, ", "), in.Forest.Name())
		},
	},
	{
		ID:    "domains.authoritative",
		Title: "Exactly one forest is authoritative for each domain",
		Scope: PerOrganization,
		Needs: []check.ID{"domains.accepted"},
		Reads: fact.List(fact.AcceptedDomains, fact.OnlineAcceptedDomains, fact.SendConnectors),
		Why: "An authoritative forest refuses the domain's addresses that it does not have: of two authoritative " +
			"forests, each refuses the other's users. Without an authoritative forest, mail to an unknown address " +
			"loops. The other forests that share the domain relay it.",
		Fix: "Choose one forest per domain. Make the domain Authoritative there with Set-AcceptedDomain, and " +
			"InternalRelay, with a send connector to that forest, in the others.",
		Consider: "The forest that changes to InternalRelay hands mail for unknown addresses on: without a send " +
			"connector to the authoritative forest it loops.",
		Run: func(ctx context.Context, in Input) check.Result {
			lists := map[string][]fact.AcceptedDomain{} // by forest
			names := map[string]bool{}
			for _, f := range in.Forests {
				accepted, err := fact.AcceptedDomains.In(ctx, f)
				if err != nil {
					return check.Unknown(err)
				}
				lists[f.Name()] = accepted
				for _, d := range accepted {
					names[strings.ToLower(d.Name)] = true
				}
				for _, d := range f.Answers.Domains {
					names[strings.ToLower(d)] = true
				}
			}
			coexistence, _ := coexistenceDomain(ctx, in)
			var several, none []string
			for _, name := range sorted(names) {
				var authoritative []string
				for _, f := range in.Forests {
					if d := findDomain(lists[f.Name()], name); d != nil && strings.EqualFold(d.Type, "Authoritative") {
						authoritative = append(authoritative, f.Name())
					}
				}
				switch {
				case name == coexistence: // every forest has it: mail for it goes to the tenant
				case len(authoritative) > 1:
					several = append(several, name+" ("+strings.Join(authoritative, ", ")+")")
				case len(authoritative) == 0 && takesPart(in, name):
					if sent, err := relayedToTenant(ctx, in, lists, name); err != nil {
						return check.Unknown(err)
					} else if !sent {
						none = append(none, name)
					}
				}
			}
			switch {
			case len(several) > 0:
				return check.Failed("several forests are authoritative for %s: %s",
					msg.Count(len(several), "%s domain", "%s domains"), someOf(several)).With("shared", several)
			case len(none) > 0:
				return check.Failed("no forest is authoritative for %s that takes part: %s",
					msg.Count(len(none), "%s domain", "%s domains"), someOf(none)).With("domains", none)
			}
			return check.Pass("one side is authoritative for each domain that takes part")
		},
	},
	{
		ID:    "domains.verified",
		Title: "The forest's domains are verified in the tenant",
		Scope: PerForest,
		Needs: []check.ID{"access.entra-read"},
		Reads: fact.List(fact.TenantDomains, fact.DomainProofs, fact.TXT, fact.MX),
		Why:   "The tenant refuses users, mail and connectors of a domain whose ownership is not verified.",
		Fix:   "Add the domain in the Microsoft 365 admin center, publish the TXT record it shows, and verify it.",
		Consider: "A verified domain may change sign-in names: synchronization then gives users of its suffix that " +
			"name.",
		Run: func(ctx context.Context, in Input) check.Result {
			domains, err := fact.TenantDomains.In(ctx, in.Tenant)
			if err != nil {
				return check.Unknown(err)
			}
			var open []string
			var detail []msg.Text
			for _, name := range in.Forest.Answers.Domains {
				at := -1
				for i, d := range domains {
					// A subdomain of a verified domain needs no separate proof, but it must exist
					// in the tenant.
					if strings.EqualFold(d.ID, name) {
						at = i
					}
				}
				switch {
				case at < 0:
					open = append(open, name)
					detail = append(detail, msg.Of("%s is not in the tenant", name))
				case !domains[at].IsVerified:
					open = append(open, name)
					text, err := proof(ctx, in, name)
					if err != nil {
						return check.Unknown(err)
					}
					detail = append(detail, text)
				}
			}
			if len(open) > 0 {
				return check.Failed("%s not verified in the tenant: %s",
					msg.Count(len(open), "%s domain is", "%s domains are"), msg.Join(detail, "; ")).
					With("domains", open)
			}
			return check.Pass("%s verified", strings.Join(in.Forest.Answers.Domains, ", "))
		},
	},
	{
		ID:    "domains.coexistence",
		Title: "The coexistence domain exists",
		Scope: PerTenant,
		Needs: []check.ID{"access.online-read"},
		Reads: fact.List(fact.OnlineAcceptedDomains),
		Why: "Cloud mailboxes get an address in this domain; on-premises Exchange sends mail and lookups for " +
			"them there (the wizard's errors HCW8001 and HCW8009).",
		Fix: "Turn on directory synchronization: it creates the domain in the tenant. If the domain has another " +
			"name, set exchangeOnline.coexistenceDomain.",
		Consider: "Synchronization makes an object of every recipient: fix duplicates and sign-in names before.",
		Run: func(ctx context.Context, in Input) check.Result {
			accepted, err := fact.OnlineAcceptedDomains.In(ctx, in.Tenant)
			if err != nil {
				return check.Unknown(err)
			}
			name, err := coexistenceDomain(ctx, in)
			if err != nil {
				return check.Unknown(err)
			}
			if findDomain(accepted, name) == nil {
				return check.Failed("%s is not an accepted domain of the tenant", name)
			}
			return check.Pass("%s exists", name)
		},
	},
}

// relayedToTenant reports whether every forest that has a domain relays it to the tenant, which is
// authoritative: mailboxes that were made in the cloud have no object on-premises.
func relayedToTenant(
	ctx context.Context, in Input, lists map[string][]fact.AcceptedDomain, name string,
) (bool, error) {
	if in.Tenant == nil {
		return false, nil
	}
	online, err := fact.OnlineAcceptedDomains.In(ctx, in.Tenant)
	if err != nil {
		return false, err
	}
	if d := findDomain(online, name); d == nil || !strings.EqualFold(d.Type, "Authoritative") {
		return false, nil
	}
	relayed := false
	for _, f := range in.Forests {
		if findDomain(lists[f.Name()], name) == nil {
			continue
		}
		connectors, err := fact.SendConnectors.In(ctx, f)
		if err != nil {
			return false, err
		}
		if !slices.ContainsFunc(connectors, func(c fact.SendConnector) bool {
			return sendsTo(c, name) && (c.CloudHeader || slices.ContainsFunc(c.SmartHosts, cloud.IsExchangeOnline))
		}) {
			return false, nil
		}
		relayed = true
	}
	return relayed, nil
}

// takesPart reports whether a forest of the answers names the domain.
func takesPart(in Input, domain string) bool {
	return slices.ContainsFunc(in.Forests, func(f *fact.Side) bool { return contains(f.Answers.Domains, domain) })
}

// findDomain finds the nearest accepted domain that a name falls under: itself, or one above it
// that is accepted with its subdomains.
func findDomain(list []fact.AcceptedDomain, name string) *fact.AcceptedDomain {
	for at, above := name, ""; at != ""; at = above {
		for i := range list {
			if strings.EqualFold(list[i].Name, at) && (at == name || list[i].SubDomains) {
				return &list[i]
			}
		}
		_, above, _ = strings.Cut(at, ".")
	}
	return nil
}

// coexistenceDomain returns the coexistence domain that the plan uses.
func coexistenceDomain(ctx context.Context, in Input) (string, error) {
	live := ""
	if accepted, err := fact.OnlineAcceptedDomains.In(ctx, in.Tenant); err == nil {
		for _, d := range accepted {
			if d.Coexistence {
				live = d.Name
			}
		}
	}
	if in.Answers.ExchangeOnline == nil {
		return "", fact.ErrNotConfigured
	}
	return desired.CoexistenceDomain(*in.Answers.ExchangeOnline, in.Cloud, live)
}

// proof reports the progress of a domain's verification: which of the TXT and MX records that the
// tenant expects are in DNS.
func proof(ctx context.Context, in Input, domain string) (msg.Text, error) {
	domain = strings.ToLower(domain)
	records, err := fact.DomainProofs.In(ctx, in.Tenant, domain)
	if err != nil {
		return msg.Text{}, err
	}
	wanted, exchange := "", ""
	for _, r := range records {
		switch strings.ToLower(r.RecordType) {
		case "txt":
			wanted = r.Text
		case "mx":
			exchange = dns.Name(r.MailExchange)
		}
	}
	have, err := fact.TXT.In(ctx, in.Network, domain)
	if err != nil && !errors.Is(err, dns.ErrAbsent) && !errors.Is(err, dns.ErrEmpty) {
		return msg.Text{}, err
	}
	var old, near []string
	for _, text := range have {
		plain := unquoted(text)
		switch {
		case wanted != "" && strings.EqualFold(plain, wanted):
			return msg.Of("%s has its TXT record %s and waits to be verified", domain, wanted), nil
		case len(wanted) > len("MS=") &&
			strings.Contains(letters(plain), letters(strings.TrimPrefix(strings.ToUpper(wanted), "MS="))):
			near = append(near, strconv.Quote(text))
		case len(plain) > 3 && strings.EqualFold(plain[:3], "MS="):
			old = append(old, plain)
		}
	}
	if exchange != "" {
		found, err := fact.MX.In(ctx, in.Network, domain)
		if err == nil && contains(found, exchange) {
			return msg.Of("%s has its MX record %s and waits to be verified", domain, exchange), nil
		}
	}
	switch {
	case len(near) > 0:
		return msg.Of("%s has the TXT record %s, which differs from the wanted %s: correct the record", domain,
			strings.Join(near, ", "), wanted), nil
	case len(old) > 0:
		return msg.Of("%s has the TXT record %s, which is another tenant's or an old one (wanted: %s)",
			domain, strings.Join(old, ", "), wanted), nil
	case wanted != "":
		return msg.Of("%s lacks its TXT record %s", domain, wanted), nil
	}
	return msg.Of("%s has no TXT record with MS=", domain), nil
}

// unquoted strips the blanks and quotes that web forms of DNS providers add around a TXT record.
func unquoted(text string) string {
	return strings.Trim(text, " \t\r\n\"'\u00a0\u200b\u201c\u201d\u201e")
}

// letters returns the ASCII letters and digits of a text, in lower case. They survive typing errors
// in the characters around them.
func letters(text string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r >= '0' && r <= '9', r >= 'a' && r <= 'z':
			return r
		case r >= 'A' && r <= 'Z':
			return r + 'a' - 'A'
		}
		return -1
	}, text)
}
