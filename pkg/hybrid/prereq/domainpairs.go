package prereq

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/hybridge-cli/hybridge/pkg/config/cloud"
	"github.com/hybridge-cli/hybridge/pkg/engine/check"
	"github.com/hybridge-cli/hybridge/pkg/engine/msg"
	"github.com/hybridge-cli/hybridge/pkg/estate/entra"
	"github.com/hybridge-cli/hybridge/pkg/estate/exchange"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/fact"
)

// domainPairChecks compare the domains of the forests with those of the tenant.
var domainPairChecks = []Check{
	{
		ID:       "domains.default-forest",
		Title:    "The forest's default domain is one of its mail domains",
		Scope:    PerForest,
		Severity: check.Warn,
		Needs:    []check.ID{"access.onprem-read"},
		Reads:    fact.List(fact.AcceptedDomains),
		Why: "Exchange writes non-delivery reports and replies of its own with an address in the default domain. " +
			"From a domain that the tenant or the internet does not know, they are refused or taken as forged.",
		Fix: "Make one of the forest's mail domains the default: Set-AcceptedDomain -MakeDefault $true.",
		Consider: "Recipients that no email address policy covers get addresses in the new default domain from " +
			"then on. Those that exist keep theirs.",
		Run: func(ctx context.Context, in Input) check.Result {
			accepted, err := fact.AcceptedDomains.In(ctx, in.Forest)
			if err != nil {
				return check.Unknown(err)
			}
			at := slices.IndexFunc(accepted, func(d fact.AcceptedDomain) bool { return d.Default })
			switch {
			case at < 0:
				return check.Pass("forest %s shows no default domain", in.Forest.Name())
			case contains(in.Forest.Answers.Domains, accepted[at].Name):
				return check.Pass("the default domain of forest %s is %s", in.Forest.Name(), accepted[at].Name)
			}
			return check.Warned("the default domain of forest %s is %s, which is none of its domains in the answers",
				in.Forest.Name(), accepted[at].Name).
				FixWith("Set-AcceptedDomain -Identity " + exchange.Quote(in.Forest.Answers.Domains[0]) +
					" -MakeDefault $true")
		},
	},
	{
		ID:       "domains.default-online",
		Title:    "The tenant's default domain is one of the organization's own",
		Scope:    PerTenant,
		Severity: check.Warn,
		Needs:    []check.ID{"access.online-read"},
		Reads:    fact.List(fact.OnlineAcceptedDomains),
		Why: "Mailboxes and groups that are made in the cloud get addresses in the default domain, and Exchange " +
			"Online writes its own messages with it. From an onmicrosoft.com domain a tenant reaches 100 external " +
			"recipients a day (NDR 5.7.236).",
		Fix: "Make a verified domain of the organization the default, in the Microsoft 365 admin center or with " +
			"Microsoft Graph PowerShell.",
		Consider: "Only new objects get addresses in it. Mailboxes and groups that have an onmicrosoft.com address " +
			"as primary keep it.",
		Run: func(ctx context.Context, in Input) check.Result {
			accepted, err := fact.OnlineAcceptedDomains.In(ctx, in.Tenant)
			if err != nil {
				return check.Unknown(err)
			}
			own := ""
			at := -1
			for i, d := range accepted {
				switch {
				case d.Default:
					at = i
				case own == "" && takesPart(in, d.Name):
					own = d.Name
				}
			}
			switch {
			case at < 0:
				return check.Pass("the tenant shows no default domain")
			case !accepted[at].Initial && !accepted[at].Coexistence:
				return check.Pass("the default domain of the tenant is %s", accepted[at].Name)
			}
			r := check.Warned("the default domain of the tenant is %s, from which it reaches 100 external "+
				"recipients a day",
				accepted[at].Name)
			if own == "" {
				return r
			}
			return r.FixWith("Update-MgDomain -DomainId " + exchange.Quote(own) + " -IsDefault")
		},
	},
	{
		ID:    "domains.relay-route",
		Title: "Domains that a forest relays have a send connector",
		Scope: PerForest,
		Needs: []check.ID{"access.onprem-read"},
		Reads: fact.List(fact.AcceptedDomains, fact.SendConnectors),
		Why: "A forest that shares a domain relays mail to addresses that it does not have. Without a connector " +
			"for the domain, such mail goes to the MX record, which may lead back to the same forest: it loops " +
			"(5.4.6).",
		Fix: "Make a send connector for the domain whose smart host is the forest that is authoritative for it: " +
			"New-SendConnector -AddressSpaces -SmartHosts.",
		Consider: "From then on mail for unknown addresses of the domain reaches the other forest, which refuses it: " +
			"senders get their reports from there.",
		Run: func(ctx context.Context, in Input) check.Result {
			accepted, err := fact.AcceptedDomains.In(ctx, in.Forest)
			if err != nil {
				return check.Unknown(err)
			}
			connectors, err := fact.SendConnectors.In(ctx, in.Forest)
			if err != nil {
				return check.Unknown(err)
			}
			var without []string
			for _, d := range accepted {
				if !relays(d) || !takesPart(in, d.Name) {
					continue
				}
				if !slices.ContainsFunc(connectors, func(c fact.SendConnector) bool { return sendsTo(c, d.Name) }) {
					without = append(without, d.Name)
				}
			}
			if len(without) > 0 {
				return check.Failed("forest %s relays domains without a send connector for them: %s", in.Forest.Name(),
					someOf(without)).With("domains", without)
			}
			return check.Pass("every domain that forest %s relays has a send connector", in.Forest.Name())
		},
	},
	{
		ID:    "domains.relay-online",
		Title: "Domains that the tenant relays have an outbound connector",
		Scope: PerTenant,
		Needs: []check.ID{"access.online-read"},
		Reads: fact.List(fact.OnlineAcceptedDomains, fact.OutboundConnectors, fact.MX),
		Why: "Exchange Online relays mail to addresses that it does not have in a domain of type InternalRelay. " +
			"Without an outbound connector for the domain it goes to the MX record. Where that leads to Exchange " +
			"Online, mail loops (5.4.14, ATTR34).",
		Fix: "Apply hybridge plan with mail flow, which makes the connector; or set the domain to Authoritative " +
			"when every recipient is synchronized.",
		Consider: "An authoritative domain refuses mail to addresses that are not synchronized (5.1.10).",
		Run: mailOnly(func(ctx context.Context, in Input) check.Result {
			accepted, err := fact.OnlineAcceptedDomains.In(ctx, in.Tenant)
			if err != nil {
				return check.Unknown(err)
			}
			connectors, err := fact.OutboundConnectors.In(ctx, in.Tenant)
			if err != nil {
				return check.Unknown(err)
			}
			var looping []string
			for _, d := range accepted {
				if !relays(d) || slices.ContainsFunc(connectors, func(c fact.OutboundConnector) bool {
					return c.Enabled && delivers(c, d.Name)
				}) {
					continue
				}
				hosts, err := exchangers(ctx, in, d.Name)
				if err != nil {
					return check.Unknown(err)
				}
				if len(hosts) > 0 && cloud.IsExchangeOnline(hosts[0]) {
					looping = append(looping, d.Name)
				}
			}
			if len(looping) > 0 {
				return check.Failed("mail for unknown addresses of %s loops: no outbound connector takes it, and "+
					"MX leads "+
					"to Exchange Online", someOf(looping)).With("domains", looping)
			}
			return check.Pass("no domain that the tenant relays leads back to it")
		}),
	},
	{
		ID:       "domains.subdomains",
		Title:    "Both sides accept the same subdomains",
		Scope:    PerForest,
		Severity: check.Warn,
		Needs:    []check.ID{"domains.accepted"},
		Reads:    fact.List(fact.AcceptedDomains, fact.OnlineAcceptedDomains),
		Why: "One side accepts every subdomain of the domain and the other does not. Mail to a subdomain loops " +
			"between them or is refused as relayed (5.4.14, 5.7.64).",
		Fix: "Set MatchSubDomains alike on both sides: Set-AcceptedDomain -MatchSubDomains in Exchange Online, a " +
			"domain *.DOMAIN on-premises. Or accept each subdomain by name.",
		Consider: "A side that accepts all subdomains must be able to deliver to each: programs that send from one " +
			"of them meet RejectDirectSend too.",
		Run: tenantOnly(func(ctx context.Context, in Input) check.Result {
			onprem, err := fact.AcceptedDomains.In(ctx, in.Forest)
			if err != nil {
				return check.Unknown(err)
			}
			online, err := fact.OnlineAcceptedDomains.In(ctx, in.Tenant)
			if err != nil {
				return check.Unknown(err)
			}
			// A domain may stand twice: by itself, and as *.DOMAIN.
			covers := func(list []fact.AcceptedDomain, name string) bool {
				return slices.ContainsFunc(list, func(d fact.AcceptedDomain) bool {
					return d.SubDomains && strings.EqualFold(d.Name, name)
				})
			}
			var wrong []msg.Text
			for _, name := range in.Forest.Answers.Domains {
				switch here, there := covers(onprem, name), covers(online, name); {
				case here && !there:
					wrong = append(wrong, msg.Of("%s in %s alone", name, in.Forest.Name()))
				case there && !here:
					wrong = append(wrong, msg.Of("%s in Exchange Online alone", name))
				}
			}
			if len(wrong) > 0 {
				return check.Warned("one side accepts all subdomains and the other does not: %s", some(wrong))
			}
			return check.Pass("both sides accept the same subdomains")
		}),
	},
	{
		ID:       "domains.left-out",
		Title:    "No domain of both sides is left out of the answers",
		Scope:    PerOrganization,
		Severity: check.Warn,
		Needs:    []check.ID{"domains.accepted"},
		Reads:    fact.List(fact.AcceptedDomains, fact.OnlineAcceptedDomains),
		Why: "A domain that both sides accept and no forest of the answers names gets no connector, no " +
			"relationship and no address. Lookups and mail of its people work by chance (hash marks in the " +
			"calendar).",
		Fix: "Add the domain to forests[].domains in the answers file.",
		Consider: "The next plan adds the domain to the connectors and relationships of both sides. hybridge does " +
			"not take it out again by itself.",
		Run: func(ctx context.Context, in Input) check.Result {
			if in.Tenant == nil {
				return check.Result{Status: check.StatusSkip, Summary: noTenant}
			}
			online, err := fact.OnlineAcceptedDomains.In(ctx, in.Tenant)
			if err != nil {
				return check.Unknown(err)
			}
			var missed []string
			for _, f := range in.Forests {
				accepted, err := fact.AcceptedDomains.In(ctx, f)
				if err != nil {
					return check.Unknown(err)
				}
				for _, d := range accepted {
					at := slices.IndexFunc(online, func(o fact.AcceptedDomain) bool {
						return strings.EqualFold(o.Name, d.Name)
					})
					if at < 0 || online[at].Coexistence || online[at].Initial || takesPart(in, d.Name) ||
						onMicrosoft(in.Cloud, d.Name) {
						continue
					}
					missed = append(missed, d.Name+" ("+f.Name()+")")
				}
			}
			if len(missed) > 0 {
				return check.Warned("both sides accept domains that no forest of the answers names: %s",
					someOf(missed)).
					With("domains", missed)
			}
			return check.Pass("the answers name every domain that both sides accept")
		},
	},
	{
		ID:    "domains.ending",
		Title: "The tenant does not remove a domain of the forests",
		Scope: PerTenant,
		Needs: []check.ID{"access.online-read"},
		Reads: fact.List(fact.OnlineAcceptedDomains),
		Why: "Exchange Online is removing the domain (PendingRemoval). It still lists the domain and takes no new " +
			"addresses and connectors of it.",
		Fix: "Wait until the removal is done, add the domain to the tenant again and verify it. Or remove it from " +
			"the answers file.",
		Consider: "A removed domain takes its addresses along: recipients keep their onmicrosoft.com addresses alone.",
		Run: func(ctx context.Context, in Input) check.Result {
			accepted, err := fact.OnlineAcceptedDomains.In(ctx, in.Tenant)
			if err != nil {
				return check.Unknown(err)
			}
			var ending []string
			for _, d := range accepted {
				if d.Ending && takesPart(in, d.Name) {
					ending = append(ending, d.Name)
				}
			}
			if len(ending) > 0 {
				return check.Failed("Exchange Online is removing %s", someOf(ending)).With("domains", ending)
			}
			return check.Pass("no domain of the forests is being removed")
		},
	},
	{
		ID:    "domains.other-tenant",
		Title: "No other tenant holds a domain of the forest",
		Scope: PerForest,
		Needs: []check.ID{"access.entra-read"},
		Reads: fact.List(fact.TenantDomains, fact.Tenant, fact.DomainTenants),
		Why: "A domain can be verified in one tenant only. One that another tenant holds, often a trial or a " +
			"tenant that a partner made, cannot be verified until it is removed there.",
		Fix: "Remove the domain from the other tenant, whose id the finding shows. Where no one can sign in to it, " +
			"an administrator takes it over by the DNS record (internal or external admin takeover), or Microsoft " +
			"support frees it.",
		Consider: "People of the other tenant who sign in with the domain lose that name: their accounts get an " +
			"onmicrosoft.com name.",
		Run: func(ctx context.Context, in Input) check.Result {
			domains, err := fact.TenantDomains.In(ctx, in.Tenant)
			if err != nil {
				return check.Unknown(err)
			}
			tenant, err := fact.Tenant.In(ctx, in.Tenant)
			if err != nil {
				return check.Unknown(err)
			}
			var held []string
			for _, name := range in.Forest.Answers.Domains {
				if slices.ContainsFunc(domains, func(d entra.Domain) bool {
					return d.IsVerified && strings.EqualFold(d.ID, name)
				}) {
					continue
				}
				found, err := fact.DomainTenants.In(ctx, in.Network, strings.ToLower(name))
				switch {
				case errors.Is(err, fact.ErrNoTenant):
				case err != nil:
					return check.Unknown(err)
				case !strings.EqualFold(found.ID, tenant.ID):
					held = append(held, name+" ("+found.ID+")")
				}
			}
			if len(held) > 0 {
				return check.Failed("another tenant holds %s", someOf(held)).With("domains", held)
			}
			return check.Pass("no domain of forest %s is in another tenant", in.Forest.Name())
		},
	},
}

// relays reports whether a side hands mail for unknown addresses of the domain on.
func relays(d fact.AcceptedDomain) bool {
	return strings.EqualFold(d.Type, "InternalRelay") || strings.EqualFold(d.Type, "ExternalRelay")
}

// sendsTo reports whether a send connector takes mail for a domain by its name, or by that of a
// domain above it.
func sendsTo(c fact.SendConnector, domain string) bool {
	return c.Enabled && slices.ContainsFunc(c.AddressSpaces, func(space string) bool {
		return covered(spaceDomain(space), domain)
	})
}

// delivers reports whether an outbound connector takes mail for a domain.
func delivers(c fact.OutboundConnector, domain string) bool {
	return c.Centralized || slices.ContainsFunc(c.RecipientDomains, func(d string) bool {
		return d == "*" || covered(strings.ToLower(d), domain)
	})
}

// covered reports whether a pattern is a domain, or *.DOMAIN of one above it.
func covered(pattern, domain string) bool {
	domain = strings.ToLower(domain)
	above, wildcard := strings.CutPrefix(pattern, "*.")
	return pattern == domain || wildcard && strings.HasSuffix(domain, "."+above)
}

// onMicrosoft reports whether a domain is Microsoft's own: contoso.onmicrosoft.com.
func onMicrosoft(c cloud.Cloud, domain string) bool {
	domain = strings.ToLower(domain)
	for _, suffix := range append([]string{c.InitialSuffix, c.CoexistenceSuffix}, c.OtherSuffixes...) {
		if suffix != "" && strings.HasSuffix(domain, "."+suffix) {
			return true
		}
	}
	return false
}
