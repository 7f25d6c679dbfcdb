package prereq

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/hybridge-cli/hybridge/pkg/config/answers"
	"github.com/hybridge-cli/hybridge/pkg/config/cloud"
	"github.com/hybridge-cli/hybridge/pkg/engine/check"
	"github.com/hybridge-cli/hybridge/pkg/engine/msg"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/fact"
)

// Limits of RFC 7208, section 4.6.4.
const maxSenderLookups = 10

var dnsChecks = []Check{
	{
		ID:    "dns.mx",
		Title: "The forest's domains have mail exchangers that DNS knows",
		Scope: PerForest,
		Reads: fact.List(fact.MX, fact.Hosts),
		Why: "Mail from outside, and mail of the tenant that no connector takes, goes to the mail exchangers of the " +
			"domain. Without one that resolves, it waits and returns to its sender.",
		Fix: "Publish an MX record that names a host with an A or AAAA record.",
		Consider: "Other mail servers keep the old answer until its time to live has passed: publish the new host " +
			"before the old one goes.",
		Run: eachDomain("the mail exchangers of the forest's domains resolve",
			func(ctx context.Context, in Input, domain string) (msg.Text, error) {
				hosts, err := exchangers(ctx, in, domain)
				switch {
				case err != nil:
					return msg.Text{}, err
				case len(hosts) == 0:
					return msg.Of("%s has no MX record", domain), nil
				case len(hosts) == 1 && hosts[0] == "":
					return msg.Of("the MX record of %s says that the domain takes no mail (null MX)", domain), nil
				}
				var lost []string
				for _, host := range hosts {
					switch _, err := fact.Hosts.In(ctx, in.Network, host); {
					case fact.NoRecord(err):
						lost = append(lost, host)
					case err != nil:
						return msg.Text{}, err
					}
				}
				if len(lost) > 0 {
					return msg.Of("%s of %s have no address", someOf(lost), domain), nil
				}
				return msg.Text{}, nil
			}),
	},
	{
		ID:       "dns.mx-host",
		Title:    "MX records name hosts, and no aliases or addresses",
		Scope:    PerForest,
		Severity: check.Warn,
		Needs:    []check.ID{"dns.mx"},
		Reads:    fact.List(fact.MX, fact.Hosts),
		Why: "RFC 2181 forbids an alias (CNAME) or an address as a mail exchanger. Some mail servers then send " +
			"nothing, and DANE does not protect the domain.",
		Fix:      "Name the host at the end of the alias in the MX record.",
		Consider: "A provider that changes its hosts behind the alias then asks for a new MX record.",
		Run: eachDomain("the MX records name hosts",
			func(ctx context.Context, in Input, domain string) (msg.Text, error) {
				hosts, err := exchangers(ctx, in, domain)
				if err != nil {
					return msg.Text{}, err
				}
				var wrong []string
				for _, host := range hosts {
					if _, err := netip.ParseAddr(host); err == nil {
						wrong = append(wrong, host)
						continue
					}
					found, err := fact.Hosts.In(ctx, in.Network, host)
					if err != nil && !fact.NoRecord(err) {
						return msg.Text{}, err
					}
					if len(found.Aliases) > 0 {
						wrong = append(wrong, host+" -> "+found.Aliases[0])
					}
				}
				if len(wrong) > 0 {
					return msg.Of("%s names %s", domain, someOf(wrong)), nil
				}
				return msg.Text{}, nil
			}),
	},
	{
		ID:       "dns.mx-one-way",
		Title:    "Mail from outside enters at one side",
		Scope:    PerForest,
		Severity: check.Warn,
		Reads:    fact.List(fact.MX),
		Why: "Some MX records of the domain lead to Exchange Online and others do not. A message takes either way: " +
			"it passes the filters of one side only, and a sender may choose the side with the weaker ones.",
		Fix: "Keep the MX records of the side that filters mail, and remove the others.",
		Consider: "Mail that is on its way to the removed host arrives there until the time to live of the record " +
			"has passed.",
		Run: tenantOnly(eachDomain("the MX records of each domain lead to one side",
			func(ctx context.Context, in Input, domain string) (msg.Text, error) {
				hosts, err := exchangers(ctx, in, domain)
				if err != nil {
					return msg.Text{}, err
				}
				online := slices.ContainsFunc(hosts, cloud.IsExchangeOnline)
				other := slices.IndexFunc(hosts, func(h string) bool { return !cloud.IsExchangeOnline(h) })
				if online && other >= 0 {
					return msg.Of("mail for %s enters at Exchange Online and at %s", domain, hosts[other]), nil
				}
				return msg.Text{}, nil
			})),
	},
	{
		ID:    "dns.mx-tenant",
		Title: "MX records that lead to Exchange Online lead to this tenant",
		Scope: PerForest,
		Needs: []check.ID{"access.entra-read"},
		Reads: fact.List(fact.MX, fact.MailExchangers),
		Why: "The host in the MX record is that of another domain or of another tenant. Exchange Online then " +
			"attributes mail to the wrong organization or refuses it.",
		Fix: "Publish the host that the Microsoft 365 admin center shows for the domain.",
		Consider: "Domains below mx.microsoft have DNSSEC and DANE: an MX record that changes back to " +
			"mail.protection.outlook.com loses both.",
		Run: tenantOnly(eachDomain("no MX record leads to another tenant",
			func(ctx context.Context, in Input, domain string) (msg.Text, error) {
				hosts, err := exchangers(ctx, in, domain)
				if err != nil {
					return msg.Text{}, err
				}
				hosts = slices.DeleteFunc(slices.Clone(hosts),
					func(h string) bool { return !cloud.IsExchangeOnline(h) })
				if len(hosts) == 0 {
					return msg.Text{}, nil
				}
				wanted, err := fact.MailExchangers.In(ctx, in.Tenant, domain)
				if err != nil {
					return msg.Text{}, err
				}
				if len(wanted) == 0 || slices.ContainsFunc(hosts, func(h string) bool { return contains(wanted, h) }) {
					return msg.Text{}, nil
				}
				return msg.Of("mail for %s goes to %s, and this tenant takes it at %s", domain, someOf(hosts),
					someOf(wanted)), nil
			})),
	},
	{
		ID:    "dns.coexistence-mx",
		Title: "Mail for the coexistence domain has a way to the tenant",
		Scope: PerTenant,
		Needs: []check.ID{"domains.coexistence"},
		Reads: fact.List(fact.MX, fact.OnlineAcceptedDomains),
		Why: "The send connector finds Exchange Online by the MX record of the coexistence domain. Without it, and " +
			"with a record that leads elsewhere, mail to mailboxes in the cloud waits in the queue (4.4.312).",
		Fix: "Microsoft publishes the record. If other places resolve it, correct the resolvers of the Exchange " +
			"servers, or of this machine (network.resolvers).",
		Consider: "A smart host in place of the MX record has to be changed by hand when Microsoft moves the tenant.",
		Run: mailOnly(func(ctx context.Context, in Input) check.Result {
			domain, err := coexistenceDomain(ctx, in)
			if err != nil {
				return check.Unknown(err)
			}
			hosts, err := exchangers(ctx, in, domain)
			if err != nil {
				return check.Unknown(err)
			}
			other := slices.IndexFunc(hosts, func(h string) bool { return !cloud.IsExchangeOnline(h) })
			switch {
			case len(hosts) == 0:
				return check.Failed("the coexistence domain %s has no MX record", domain)
			case other >= 0 && !ofCloud(in.Cloud, hosts[other]):
				return check.Failed("mail for the coexistence domain %s goes to %s, which is no host of Exchange "+
					"Online",
					domain, hosts[other]).With("hosts", hosts)
			}
			return check.Pass("mail for %s goes to %s", domain, hosts[0])
		}),
	},
	{
		ID:    "dns.coexistence-autodiscover",
		Title: "Autodiscover of the coexistence domain leads to Exchange Online",
		Scope: PerTenant,
		Needs: []check.ID{"domains.coexistence"},
		Reads: fact.List(fact.Hosts, fact.OnlineAcceptedDomains),
		Why: "Autodiscover on-premises sends Outlook and other servers with the routing address of a mailbox that " +
			"moved to autodiscover of the coexistence domain.",
		Fix: "Microsoft publishes the record. If other places resolve it, correct the resolvers of this network: a " +
			"zone for the domain on an internal name server hides Microsoft's.",
		Consider: "None is known: the record is Microsoft's.",
		Run: func(ctx context.Context, in Input) check.Result {
			domain, err := coexistenceDomain(ctx, in)
			if err != nil {
				return check.Unknown(err)
			}
			host, err := fact.Hosts.In(ctx, in.Network, "autodiscover."+domain)
			switch {
			case fact.NoRecord(err) && len(host.Aliases) == 0:
				return check.Failed("autodiscover.%s does not exist in DNS", domain)
			case err != nil && !fact.NoRecord(err):
				return check.Unknown(err)
			case len(host.Aliases) == 0 || slices.ContainsFunc(host.Aliases, cloud.IsExchangeOnline) ||
				ofCloud(in.Cloud, host.Aliases[0]):
				return check.Pass("autodiscover.%s leads to Exchange Online", domain)
			}
			return check.Failed("autodiscover.%s leads to %s, which is no host of Exchange Online", domain,
				host.Aliases[0]).With("aliases", host.Aliases)
		},
	},
	{
		ID:    "dns.smart-host",
		Title: "The tenant's connectors to on-premises lead to hosts that DNS knows",
		Scope: PerTenant,
		Needs: []check.ID{"access.online-read"},
		Reads: fact.List(fact.OutboundConnectors, fact.Hosts),
		Why: "Exchange Online looks the smart host up in public DNS. A name of the past, or one that is known " +
			"inside the network only, leaves mail for on-premises mailboxes in the tenant's queue (4.4.312).",
		Fix: "Publish the host in public DNS, or set SmartHosts of the connector to the host at which the forest " +
			"takes mail: Set-OutboundConnector -SmartHosts.",
		Consider: "The new host presents its own certificate: TlsDomain of the connector must be one of its names.",
		Run: mailOnly(func(ctx context.Context, in Input) check.Result {
			connectors, err := fact.OutboundConnectors.In(ctx, in.Tenant)
			if err != nil {
				return check.Unknown(err)
			}
			var lost []string
			for _, c := range connectors {
				if !c.Enabled || !strings.EqualFold(c.Type, "OnPremises") {
					continue
				}
				for _, host := range c.SmartHosts {
					host = strings.Trim(host, "[]")
					if _, err := netip.ParseAddr(host); err == nil {
						continue
					}
					switch _, err := fact.Hosts.In(ctx, in.Network, host); {
					case fact.NoRecord(err):
						lost = append(lost, host+" of "+c.Name)
					case err != nil:
						return check.Unknown(err)
					}
				}
			}
			if len(lost) > 0 {
				return check.Failed("DNS knows no address of the smart host %s", someOf(lost)).With("hosts", lost)
			}
			return check.Pass("the smart hosts of the tenant's connectors to on-premises resolve")
		}),
	},
	{
		ID:       "dns.spf",
		Title:    "Each domain has one SPF record",
		Scope:    PerForest,
		Severity: check.Warn,
		Reads:    fact.List(fact.SenderPolicies),
		Why: "Without a record, receivers treat the domain's mail with distrust. With two, they take both as an " +
			"error (permerror), and DMARC counts SPF as failed.",
		Fix: "Publish one TXT record that begins with v=spf1 and names all senders: the forest's servers, Exchange " +
			"Online and other services.",
		Consider: "A sender that the record does not name loses mail where the record ends in -all or DMARC says " +
			"reject.",
		Run: eachDomain("each domain has one SPF record",
			func(ctx context.Context, in Input, domain string) (msg.Text, error) {
				policy, err := fact.SenderPolicies.In(ctx, in.Network, domain)
				switch n := len(policy.Records); {
				case err != nil:
					return msg.Text{}, err
				case n == 0:
					return msg.Of("%s has no SPF record", domain), nil
				case n > 1:
					return msg.Of("%s has %s SPF records", domain, msg.Number(n)), nil
				}
				return msg.Text{}, nil
			}),
	},
	{
		ID:       "dns.spf-valid",
		Title:    "Receivers can evaluate the SPF records",
		Scope:    PerForest,
		Severity: check.Warn,
		Reads:    fact.List(fact.SenderPolicies),
		Why: "A receiver evaluates at most 10 terms that ask DNS, those of includes among them. More of them, a " +
			"term that it does not know, and an include without a record make the whole record an error " +
			"(permerror).",
		Fix: "Correct the term, remove includes of services that no longer send, or name addresses in place " +
			"of a and mx.",
		Consider: "Addresses in the record have to follow the service's changes by hand.",
		Run: eachDomain("the SPF records are valid",
			func(ctx context.Context, in Input, domain string) (msg.Text, error) {
				policy, err := fact.SenderPolicies.In(ctx, in.Network, domain)
				switch {
				case err != nil:
					return msg.Text{}, err
				case len(policy.Wrong) > 0:
					return msg.Of("SPF of %s: %s", domain, someOf(policy.Wrong)), nil
				case policy.Lookups > maxSenderLookups:
					return msg.Of("SPF of %s asks DNS %s times, and receivers stop after %s", domain,
						msg.Number(policy.Lookups), msg.Number(maxSenderLookups)), nil
				}
				return msg.Text{}, nil
			}),
	},
	{
		ID:       "dns.spf-online",
		Title:    "SPF lets Exchange Online send for the forest's domains",
		Scope:    PerForest,
		Severity: check.Warn,
		Needs:    []check.ID{"dns.spf"},
		Reads:    fact.List(fact.SenderPolicies),
		Why: "Mailboxes that moved send to the internet from Exchange Online. Receivers refuse their mail, or take " +
			"it as junk, when the SPF record does not name it.",
		Fix: "Add the include of Exchange Online before the end of the record: include:spf.protection.outlook.com " +
			"in the worldwide cloud.",
		Consider: "The include admits mail of every tenant of Exchange Online: DKIM and DMARC tell them apart.",
		Run: tenantOnly(func(ctx context.Context, in Input) check.Result {
			sender := onlineSenders(in.Cloud)
			if sender == "" {
				return check.NotApplicable("the SPF name of Exchange Online in %s is not known", in.Cloud.Title)
			}
			if wants(in, answers.CentralizedTransport) {
				return check.NotApplicable("all mail of the tenant leaves through the forest (centralizedTransport)")
			}
			return eachDomain("SPF of the forest's domains names Exchange Online",
				func(ctx context.Context, in Input, domain string) (msg.Text, error) {
					policy, err := fact.SenderPolicies.In(ctx, in.Network, domain)
					if err != nil || len(policy.Records) != 1 || contains(policy.Includes, sender) {
						return msg.Text{}, err
					}
					if policy.Macros {
						return msg.Text{}, dependsOnMessage(domain)
					}
					return msg.Of("SPF of %s does not include %s", domain, sender), nil
				})(ctx, in)
		}),
	},
	{
		ID:       "dns.spf-end",
		Title:    "SPF records end in a verdict",
		Scope:    PerForest,
		Severity: check.Warn,
		Needs:    []check.ID{"dns.spf"},
		Reads:    fact.List(fact.SenderPolicies),
		Why: "A record that ends in +all admits every sender of the world. One that ends in ?all or without all says " +
			"nothing about senders that it does not name, and DMARC has SPF for no use.",
		Fix: "End the record in ~all or -all once it names all senders.",
		Consider: "Reports of DMARC (rua) show the senders that the record does not name yet. With -all their mail " +
			"is refused.",
		Run: eachDomain("the SPF records end in ~all or -all",
			func(ctx context.Context, in Input, domain string) (msg.Text, error) {
				policy, err := fact.SenderPolicies.In(ctx, in.Network, domain)
				if err != nil || len(policy.Records) != 1 {
					return msg.Text{}, err
				}
				switch policy.All {
				case "-all", "~all":
					return msg.Text{}, nil
				case "":
					return msg.Of("SPF of %s has no all", domain), nil
				}
				return msg.Of("SPF of %s ends in %s", domain, policy.All), nil
			}),
	},
	{
		ID:       "dns.dmarc",
		Title:    "Each domain has one DMARC record",
		Scope:    PerForest,
		Severity: check.Warn,
		Reads:    fact.List(fact.MessagePolicies),
		Why: "Large receivers refuse mail in bulk from domains without DMARC. Two records, and one without a " +
			"policy, count as none.",
		Fix: "Publish one TXT record at _dmarc of the domain, first with p=none and an address for reports: " +
			"v=DMARC1; p=none; rua=mailto:ADDRESS.",
		Consider: "p=none changes nothing for the domain's mail: receivers report only.",
		Run: eachDomain("each domain has one DMARC record",
			func(ctx context.Context, in Input, domain string) (msg.Text, error) {
				policy, err := fact.MessagePolicies.In(ctx, in.Network, domain)
				switch n := len(policy.Records); {
				case err != nil:
					return msg.Text{}, err
				case n == 0:
					return msg.Of("%s has no DMARC record", domain), nil
				case n > 1:
					return msg.Of("%s has %s DMARC records", policy.At, msg.Number(n)), nil
				case policy.Action == "":
					return msg.Of("DMARC of %s has no policy (p=) that receivers know", policy.At), nil
				}
				return msg.Text{}, nil
			}),
	},
	{
		ID:       "dns.dkim",
		Title:    "Exchange Online can sign mail of the forest's domains",
		Scope:    PerForest,
		Severity: check.Warn,
		Reads:    fact.List(fact.TXT),
		Why: "Exchange Online signs mail with the keys behind selector1._domainkey and selector2._domainkey of the " +
			"domain. Without them it signs with its onmicrosoft.com domain, which DMARC does not count, and " +
			"forwarded mail fails DMARC.",
		Fix: "Publish both CNAME records that the Microsoft Defender portal shows (email authentication settings, " +
			"DKIM), then switch signing on there for the domain.",
		Consider: "None is known: signing adds a header.",
		Run: tenantOnly(eachDomain("the domains have keys with which Exchange Online signs",
			func(ctx context.Context, in Input, domain string) (msg.Text, error) {
				signs, err := signs(ctx, in, domain)
				if err != nil || signs {
					return msg.Text{}, err
				}
				return msg.Of("%s has neither selector1 nor selector2", domain), nil
			})),
	},
	{
		ID:    "dns.dmarc-senders",
		Title: "DMARC does not refuse mail of mailboxes in the cloud",
		Scope: PerForest,
		Reads: fact.List(fact.MessagePolicies, fact.SenderPolicies, fact.TXT),
		Why: "The DMARC policy tells receivers to refuse or quarantine mail that neither SPF nor DKIM of the " +
			"domain proves. Mail that a mailbox in Exchange Online sends has neither of the two.",
		Fix: "Before the first mailbox moves, add Exchange Online to the SPF record and publish the DKIM records " +
			"of the domain. Or set p=none until then.",
		Consider: "p=none lets forged mail of the domain pass as well.",
		Run: tenantOnly(func(ctx context.Context, in Input) check.Result {
			if wants(in, answers.CentralizedTransport) {
				return check.NotApplicable("all mail of the tenant leaves through the forest (centralizedTransport)")
			}
			return eachDomain("mail of mailboxes in the cloud meets the DMARC policies",
				func(ctx context.Context, in Input, domain string) (msg.Text, error) {
					policy, err := fact.MessagePolicies.In(ctx, in.Network, domain)
					if err != nil || len(policy.Records) != 1 || policy.Action == "" || policy.Action == "none" {
						return msg.Text{}, err
					}
					senders, err := fact.SenderPolicies.In(ctx, in.Network, domain)
					if err != nil || contains(senders.Includes, onlineSenders(in.Cloud)) {
						return msg.Text{}, err
					}
					if signs, err := signs(ctx, in, domain); err != nil || signs {
						return msg.Text{}, err
					}
					if senders.Macros {
						return msg.Text{}, dependsOnMessage(domain)
					}
					return msg.Of("DMARC of %s says %s, and neither SPF nor DKIM of the domain covers Exchange Online",
						domain, policy.Action), nil
				})(ctx, in)
		}),
	},
	{
		ID:       "dns.wildcard",
		Title:    "No wildcard record answers for the forest's domains",
		Scope:    PerForest,
		Severity: check.Warn,
		Reads:    fact.List(fact.Hosts),
		Why: "A wildcard (*) gives every host name of the domain an address, most often that of the website. " +
			"Outlook and servers that look for autodiscover find that host and stop there, and a host name that " +
			"was removed or mistyped seems to exist.",
		Fix:      "Publish the hosts by name, and remove the wildcard record.",
		Consider: "Websites that rely on the wildcard need records of their own.",
		Run: eachDomain("no domain has a wildcard record",
			func(ctx context.Context, in Input, domain string) (msg.Text, error) {
				host, err := fact.Hosts.In(ctx, in.Network, "hybridge-looks-for-a-wildcard."+domain)
				switch {
				case fact.NoRecord(err):
					return msg.Text{}, nil
				case err != nil:
					return msg.Text{}, err
				}
				return msg.Of("*.%s leads to %s", domain, host.Addresses[0].String()), nil
			}),
	},
	{
		ID:       "dns.public-addresses",
		Title:    "The forest's names have public addresses",
		Scope:    PerForest,
		Severity: check.Warn,
		Reads:    fact.List(fact.Hosts),
		Why: "Exchange Online connects to the names of autodiscover, EWS and SMTP over the internet. The resolvers " +
			"in use show private addresses alone: either the network has a zone of its own for the name (split " +
			"DNS), or the public one is wrong.",
		Fix: "Name public resolvers in network.resolvers and run the check again, or look the name up from outside. " +
			"Publish the public address where it is missing.",
		Consider: "With public resolvers hybridge connects to the published addresses: the firewall must let this " +
			"machine out and back in.",
		Run: func(ctx context.Context, in Input) check.Result {
			var inside []string
			names := namespaces(in.Forest)
			for _, name := range names {
				host, err := fact.Hosts.In(ctx, in.Network, name)
				switch {
				case fact.NoRecord(err):
					continue // autodiscover.answers, ews.answers and certificates.transport report it
				case err != nil:
					return check.Unknown(err)
				}
				if !slices.ContainsFunc(host.Addresses, func(a netip.Addr) bool { return !private(a) }) {
					inside = append(inside, name+" ("+host.Addresses[0].String()+")")
				}
			}
			if len(inside) > 0 {
				return check.Warned("only private addresses are known of %s", someOf(inside)).With("hosts", inside)
			}
			return check.Pass("no name of forest %s has private addresses alone", in.Forest.Name())
		},
	},
}

// dependsOnMessage says that whom an SPF record admits is not known.
func dependsOnMessage(domain string) error {
	return fmt.Errorf("whether SPF of %s admits Exchange Online is not known: the record has macros, which depend on "+
		"the message; the provider of the record tells", domain)
}

// eachDomain runs a question for each domain of the forest. A text is a finding. What is wrong
// precedes what is unknown.
func eachDomain(
	passes string, ask func(ctx context.Context, in Input, domain string) (msg.Text, error),
) func(context.Context, Input) check.Result {
	return func(ctx context.Context, in Input) check.Result {
		var wrong []msg.Text
		var domains []string
		var unknown error
		for _, domain := range in.Forest.Answers.Domains {
			text, err := ask(ctx, in, strings.ToLower(domain))
			switch {
			case err != nil && unknown == nil:
				unknown = err
			case err == nil && !text.IsZero():
				wrong, domains = append(wrong, text), append(domains, domain)
			}
		}
		switch {
		case len(wrong) > 0:
			return check.Failed("%s", some(wrong)).With("domains", domains)
		case unknown != nil:
			return check.Unknown(unknown)
		}
		return check.Result{Status: check.StatusPass, Summary: msg.Text{Format: passes}}
	}
}

// tenantOnly makes a check not applicable without a tenant.
func tenantOnly(run func(context.Context, Input) check.Result) func(context.Context, Input) check.Result {
	return func(ctx context.Context, in Input) check.Result {
		if in.Tenant == nil {
			return check.Result{Status: check.StatusSkip, Summary: noTenant}
		}
		return run(ctx, in)
	}
}

// exchangers returns the mail exchangers of a domain, best first. A domain without one has none.
func exchangers(ctx context.Context, in Input, domain string) ([]string, error) {
	hosts, err := fact.MX.In(ctx, in.Network, domain)
	if fact.NoRecord(err) {
		return nil, nil
	}
	return hosts, err
}

// ofCloud reports whether a host is one of the cloud's mail servers.
func ofCloud(c cloud.Cloud, host string) bool {
	return c.TLSDomain != "" && strings.HasSuffix("."+strings.ToLower(host), "."+strings.ToLower(c.TLSDomain))
}

// onlineSenders returns the domain whose SPF record names the servers of Exchange Online. It stands
// beside the one in the names of the mail servers: spf.protection.outlook.com.
func onlineSenders(c cloud.Cloud) string {
	domain, ok := strings.CutPrefix(strings.ToLower(c.TLSDomain), "mail.")
	if !ok {
		return ""
	}
	return "spf." + domain
}

// signs reports whether Exchange Online has a key for the domain's mail in DNS.
func signs(ctx context.Context, in Input, domain string) (bool, error) {
	for _, selector := range []string{"selector1", "selector2"} {
		switch texts, err := fact.TXT.In(ctx, in.Network, selector+"._domainkey."+domain); {
		case fact.NoRecord(err):
		case err != nil:
			return false, err
		case slices.ContainsFunc(texts, func(t string) bool { return strings.Contains(t, "p=") }):
			return true, nil
		}
	}
	return false, nil
}

// shared addresses of carriers (RFC 6598) are no public ones either.
var carriers = netip.MustParsePrefix("100.64.0.0/10")

// private reports whether an address is for networks of organizations.
func private(a netip.Addr) bool {
	a = a.Unmap()
	return a.IsPrivate() || a.IsLinkLocalUnicast() || carriers.Contains(a)
}
