package prereq

import (
	"context"
	"errors"
	"net/url"
	"slices"
	"strings"

	"github.com/hybridge-cli/hybridge/pkg/config/cloud"
	"github.com/hybridge-cli/hybridge/pkg/engine/check"
	"github.com/hybridge-cli/hybridge/pkg/engine/msg"
	"github.com/hybridge-cli/hybridge/pkg/estate/directory"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/fact"
	"github.com/hybridge-cli/hybridge/pkg/wire/link"
)

// autodiscoverOrderChecks follow the places where clients look for autodiscover of a domain: the
// service connection points of the directory, the domain itself, its autodiscover host, a redirect
// and the service record.
var autodiscoverOrderChecks = []Check{
	{
		ID:       "autodiscover.domain",
		Title:    "Clients of each domain find autodiscover",
		Scope:    PerForest,
		Severity: check.Warn,
		Reads:    fact.List(fact.Hosts, fact.Services, fact.AutodiscoverHosts),
		Why: "Outlook, phones and other organizations look for autodiscover by the domain of the address. A domain " +
			"without a host autodiscover, a service record or an Exchange server at its own name leaves its people " +
			"without profile, automatic replies and free/busy outside of the network.",
		Fix: "Publish autodiscover of the domain as an alias of the forest's autodiscover name when the " +
			"certificate holds both, or an SRV record _autodiscover._tcp that names it.",
		Consider: "Outlook asks once whether it may follow an SRV record to a host of another domain.",
		Run: eachDomain("clients of every domain find autodiscover",
			func(ctx context.Context, in Input, domain string) (msg.Text, error) {
				host := "autodiscover." + domain
				if strings.EqualFold(host, in.Forest.Answers.Namespace.Autodiscover) {
					return msg.Text{}, nil // autodiscover.answers
				}
				if _, err := fact.Hosts.In(ctx, in.Network, host); !fact.NoRecord(err) {
					return msg.Text{}, err
				}
				if _, err := fact.Services.In(ctx, in.Network, "_autodiscover._tcp."+domain); !fact.NoRecord(err) {
					return msg.Text{}, err
				}
				if _, err := fact.Hosts.In(ctx, in.Network, domain); err == nil {
					front, err := fact.AutodiscoverHosts.In(ctx, in.Network, domain)
					if err == nil && front.Exchange {
						return msg.Text{}, nil
					}
				}
				return msg.Of("%s has neither %s nor a service record", domain, host), nil
			}),
	},
	{
		ID:    "autodiscover.domain-online",
		Title: "No autodiscover name of a domain leads to Exchange Online",
		Scope: PerForest,
		Reads: fact.List(fact.Hosts),
		Why: "Exchange Online knows nothing of the settings of mailboxes on-premises. While mailboxes are in the " +
			"forest, autodiscover of its domains leads to the forest, which sends on those that moved. The " +
			"Microsoft 365 admin center asks for the other direction.",
		Fix: "Lead the name back to the forest, and ignore the admin center's message about the record.",
		Consider: "Clients keep the old answer until its time to live has passed. When the last mailbox has moved, " +
			"the name may lead to Exchange Online.",
		Run: tenantOnly(eachDomain("no autodiscover name of a domain leads to Exchange Online",
			func(ctx context.Context, in Input, domain string) (msg.Text, error) {
				host := "autodiscover." + domain
				if strings.EqualFold(host, in.Forest.Answers.Namespace.Autodiscover) {
					return msg.Text{}, nil // autodiscover.answers
				}
				found, err := fact.Hosts.In(ctx, in.Network, host)
				if err != nil && !fact.NoRecord(err) {
					return msg.Text{}, err
				}
				if at := slices.IndexFunc(found.Aliases, cloud.IsExchangeOnline); at >= 0 {
					return msg.Of("%s leads to %s", host, found.Aliases[at]), nil
				}
				return msg.Text{}, nil
			})),
	},
	{
		ID:       "autodiscover.domain-certificate",
		Title:    "Certificates hold the autodiscover names of the domains",
		Scope:    PerForest,
		Severity: check.Warn,
		Reads:    fact.List(fact.Hosts, fact.AutodiscoverHosts),
		Why: "Outlook warns of a certificate without the name that it asked for, and phones and other " +
			"organizations stop there.",
		Fix: "Get a certificate with autodiscover of each domain among its names, or replace the alias by an SRV " +
			"record or an http redirect to the name that the certificate holds.",
		Consider: "Outlook asks once whether it may follow a redirect or an SRV record to a host of another domain.",
		Run: eachDomain("the certificates hold the autodiscover names that answer",
			func(ctx context.Context, in Input, domain string) (msg.Text, error) {
				host := "autodiscover." + domain
				if strings.EqualFold(host, in.Forest.Answers.Namespace.Autodiscover) {
					return msg.Text{}, nil // autodiscover.answers
				}
				if _, err := fact.Hosts.In(ctx, in.Network, host); err != nil {
					return msg.Text{}, unlessAbsent(err)
				}
				_, err := fact.AutodiscoverHosts.In(ctx, in.Network, host)
				if errors.Is(err, link.ErrUntrusted) && !link.ByProxy(err) &&
					!transportDisorder(ctx, in, in.Forest, host) {
					return msg.Of("%s presents a certificate that clients do not trust for it", host), nil
				}
				return msg.Text{}, nil // a host without https is no finding: clients go on to the redirect
			}),
	},
	{
		ID:       "autodiscover.root-domain",
		Title:    "No website answers autodiscover at the bare domain",
		Scope:    PerForest,
		Severity: check.Warn,
		Reads:    fact.List(fact.Hosts, fact.AutodiscoverHosts),
		Why: "Outlook asks the bare domain before the host autodiscover. A web hoster that answers there with " +
			"settings for IMAP, with a page or with a sign-in gives Outlook a wrong profile or an endless question " +
			"for the password.",
		Fix: "Let the website answer /autodiscover/ with 404 (hosters call the service autodiscover, autoconfig or " +
			"cPanel proxy subdomains), or set ExcludeHttpsRootDomain by policy for Outlook.",
		Consider: "Mail programs that the hoster configured by this address lose their automatic settings.",
		Run: eachDomain("no bare domain answers autodiscover in place of Exchange",
			func(ctx context.Context, in Input, domain string) (msg.Text, error) {
				if strings.EqualFold(domain, in.Forest.Answers.Namespace.Autodiscover) {
					return msg.Text{}, nil
				}
				if _, err := fact.Hosts.In(ctx, in.Network, domain); err != nil {
					return msg.Text{}, unlessAbsent(err)
				}
				front, err := fact.AutodiscoverHosts.In(ctx, in.Network, domain)
				switch {
				case link.ByProxy(err):
					return msg.Text{}, err
				case errors.Is(err, link.ErrUntrusted) && !transportDisorder(ctx, in, in.Forest, domain):
					return msg.Of("https://%s presents a certificate that Outlook warns of", domain), nil
				case err != nil:
					return msg.Text{}, nil // clients that get no answer go on
				case front.Exchange:
				case front.Status == 200:
					return msg.Of("https://%s answers autodiscover, and not as Exchange does (%s)",
							domain, told(front.What)),
						nil
				case front.Status == 401:
					return msg.Of("https://%s asks for a sign-in at the address of autodiscover, and is not "+
							"Exchange", domain),
						nil
				}
				return msg.Text{}, nil
			}),
	},
	{
		ID:       "autodiscover.plain-redirect",
		Title:    "Autodiscover of the domains does not rest on a redirect alone",
		Scope:    PerForest,
		Severity: check.Warn,
		Reads:    fact.List(fact.Hosts, fact.AutodiscoverHosts, fact.Redirects, fact.Services),
		Why: "Outlook follows a redirect over plain http. Teams and Exchange Online do not: the calendar of " +
			"mailboxes on-premises is missing in Teams, although Outlook and the connectivity analyzer find " +
			"autodiscover.",
		Fix: "Publish the Exchange servers at the https name, or an SRV record _autodiscover._tcp that names a " +
			"host which the certificate holds.",
		Consider: "None is known: clients that follow the redirect find the same servers.",
		Run: eachDomain("autodiscover of no domain rests on a redirect alone",
			func(ctx context.Context, in Input, domain string) (msg.Text, error) {
				host := "autodiscover." + domain
				if strings.EqualFold(host, in.Forest.Answers.Namespace.Autodiscover) {
					return msg.Text{}, nil
				}
				if _, err := fact.Hosts.In(ctx, in.Network, host); err != nil {
					return msg.Text{}, unlessAbsent(err)
				}
				front, err := fact.AutodiscoverHosts.In(ctx, in.Network, host)
				if err == nil && front.Status/100 != 3 || err != nil && !refuses(err) {
					return msg.Text{}, nil
				}
				if _, err := fact.Services.In(ctx, in.Network, "_autodiscover._tcp."+domain); !fact.NoRecord(err) {
					return msg.Text{}, err
				}
				to := front.Location
				if to == "" {
					if to, err = fact.Redirects.In(ctx, in.Network, host); err != nil || to == "" {
						return msg.Text{}, nil // autodiscover.domain-certificate and clients themselves tell
					}
				}
				return msg.Of("%s redirects to %s", host, link.PrintableURL(to)), nil
			}),
	},
	{
		ID:    "autodiscover.service-record",
		Title: "Service records of autodiscover lead to hosts of the forest",
		Scope: PerForest,
		Reads: fact.List(fact.Services, fact.Hosts),
		Why: "Clients, Teams and other organizations follow _autodiscover._tcp of the domain. A record that names " +
			"a host of the past, another port or Exchange Online ends their search there.",
		Fix:      "Let the record name the forest's autodiscover host at port 443, or remove it.",
		Consider: "Outlook asks once whether it may follow the record to a host of another domain.",
		Run: eachDomain("the service records of autodiscover lead to hosts that DNS knows",
			func(ctx context.Context, in Input, domain string) (msg.Text, error) {
				records, err := fact.Services.In(ctx, in.Network, "_autodiscover._tcp."+domain)
				if err != nil {
					return msg.Text{}, unlessAbsent(err)
				}
				for _, r := range records {
					switch {
					case r.Target == "":
						continue // the domain says that it has no such service
					case r.Port != 443:
						return msg.Of("the service record of %s names port %s", domain, msg.Number(int(r.Port))), nil
					case in.Tenant != nil && cloud.IsExchangeOnline(r.Target):
						return msg.Of("the service record of %s leads to Exchange Online (%s)", domain, r.Target), nil
					}
					switch _, err := fact.Hosts.In(ctx, in.Network, r.Target); {
					case fact.NoRecord(err):
						return msg.Of("the service record of %s names %s, which has no address", domain, r.Target), nil
					case err != nil:
						return msg.Text{}, err
					}
				}
				return msg.Text{}, nil
			}),
	},
	{
		ID:    "autodiscover.service-point",
		Title: "Service connection points lead to hosts that exist",
		Scope: PerForest,
		Needs: []check.ID{"directory.reachable"},
		Reads: fact.List(fact.DirectoryExchange, fact.Hosts),
		Why: "Outlook on computers of the domain takes autodiscover from the directory first. An address that is " +
			"not https, or a host that DNS does not know, costs every start of Outlook its time limit, or its " +
			"profile.",
		Fix: "Set the address that the certificate holds on every server: Set-ClientAccessService " +
			"-AutoDiscoverServiceInternalUri. (InternalUrl of the virtual directory has no effect.)",
		Consider: "Outlook of every computer in the site takes the new address at its next start.",
		Run: eachPoint("the service connection points lead to hosts that exist",
			func(ctx context.Context, in Input, name string, u *url.URL) (msg.Text, error) {
				if u.Scheme != "https" || u.Hostname() == "" {
					return msg.Of("%s holds %s, which is no https address", name, link.PrintableURL(u.String())), nil
				}
				switch _, err := fact.Hosts.In(ctx, in.Network, u.Hostname()); {
				case fact.NoRecord(err):
					return msg.Of("%s leads to %s, which has no address", name, u.Hostname()), nil
				case err != nil:
					return msg.Text{}, err
				}
				return msg.Text{}, nil
			}),
	},
	{
		ID:    "autodiscover.service-point-online",
		Title: "No service connection point leads to Exchange Online",
		Scope: PerForest,
		Needs: []check.ID{"directory.reachable"},
		Reads: fact.List(fact.DirectoryExchange),
		Why: "Computers of the domain then ask Exchange Online for the profile of mailboxes that are on-premises, " +
			"and get none.",
		Fix: "Set the forest's own address while it has mailboxes: Set-ClientAccessService " +
			"-AutoDiscoverServiceInternalUri.",
		Consider: "When the last mailbox has moved, clear the address ($null): Outlook then finds Exchange Online " +
			"by itself.",
		Run: tenantOnly(eachPoint("no service connection point leads to Exchange Online",
			func(_ context.Context, _ Input, name string, u *url.URL) (msg.Text, error) {
				if cloud.IsExchangeOnline(u.Hostname()) {
					return msg.Of("%s leads to %s", name, u.Hostname()), nil
				}
				return msg.Text{}, nil
			})),
	},
	{
		ID:       "autodiscover.service-point-server",
		Title:    "Service connection points belong to servers that exist",
		Scope:    PerForest,
		Severity: check.Warn,
		Needs:    []check.ID{"directory.reachable"},
		Reads:    fact.List(fact.DirectoryExchange),
		Why: "A server that was removed without setup leaves its service connection point behind. Outlook of its " +
			"site asks it first, and waits.",
		Fix: "Remove the object below CN=Autodiscover,CN=Protocols of the server in ADSI Edit, with what else is " +
			"left of the server.",
		Consider: "Make sure that the server is gone: clients of its site use the points of other sites afterwards.",
		Run: func(ctx context.Context, in Input) check.Result {
			x, err := fact.DirectoryExchange.In(ctx, in.Forest)
			if err != nil {
				return check.Unknown(err)
			}
			var orphans []string
			for _, p := range x.ServicePoints {
				if p.Pointer {
					continue
				}
				if !slices.ContainsFunc(x.Servers,
					func(s directory.Server) bool { return strings.EqualFold(s.Name, p.Name) }) {
					orphans = append(orphans, p.Name)
				}
			}
			if len(orphans) > 0 {
				return check.Warned("no server is left behind the service connection point %s", someOf(orphans)).
					With("points", orphans)
			}
			return check.Pass("every service connection point has its server")
		},
	},
}

// eachPoint runs a question for each service connection point that holds an address.
func eachPoint(
	passes string, ask func(ctx context.Context, in Input, name string, u *url.URL) (msg.Text, error),
) func(context.Context, Input) check.Result {
	return func(ctx context.Context, in Input) check.Result {
		x, err := fact.DirectoryExchange.In(ctx, in.Forest)
		if err != nil {
			return check.Unknown(err)
		}
		var wrong []msg.Text
		var unknown error
		for _, p := range x.ServicePoints {
			if p.Pointer || p.URL == "" {
				continue
			}
			u, err := url.Parse(strings.TrimSpace(p.URL))
			if err != nil {
				u = &url.URL{Opaque: p.URL}
			}
			text, err := ask(ctx, in, link.Line(p.Name), u)
			switch {
			case err != nil && unknown == nil:
				unknown = err
			case err == nil && !text.IsZero():
				wrong = append(wrong, text)
			}
		}
		switch {
		case len(wrong) > 0:
			return check.Failed("%s", some(wrong))
		case unknown != nil:
			return check.Unknown(unknown)
		}
		return check.Result{Status: check.StatusPass, Summary: msg.Text{Format: passes}}
	}
}

// unlessAbsent returns the errors that say nothing about a name.
func unlessAbsent(err error) error {
	if fact.NoRecord(err) {
		return nil
	}
	return err
}

// told is what answered, in words.
func told(what string) msg.Text {
	if what == "" {
		return msg.Of("nothing more is said")
	}
	return msg.Plain(what)
}
