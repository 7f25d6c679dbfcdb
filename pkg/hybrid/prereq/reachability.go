package prereq

import (
	"context"
	"errors"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/hybridge-cli/hybridge/pkg/config/answers"
	"github.com/hybridge-cli/hybridge/pkg/config/cloud"
	"github.com/hybridge-cli/hybridge/pkg/engine/check"
	"github.com/hybridge-cli/hybridge/pkg/engine/msg"
	"github.com/hybridge-cli/hybridge/pkg/estate/certificate"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/fact"
	"github.com/hybridge-cli/hybridge/pkg/wire/ews"
	"github.com/hybridge-cli/hybridge/pkg/wire/finding"
	"github.com/hybridge-cli/hybridge/pkg/wire/link"
	"github.com/hybridge-cli/hybridge/pkg/wire/smtp"
)

// reachabilityChecks ask the addresses that the other side uses in the way in which it asks them.
// What the deployment does not need is not asked (whilePublished).
var reachabilityChecks = []Check{
	{
		ID:    "reachability.autodiscover-service",
		Title: "Autodiscover takes SOAP requests",
		Scope: PerForest,
		Needs: []check.ID{"autodiscover.answers"},
		Reads: fact.List(fact.AutodiscoverServices),
		Why: "The tenant posts to /autodiscover/autodiscover.svc, and not to the address that browsers and phones " +
			"use. IIS without the handler of .svc answers 405, and a device that knows autodiscover.xml alone " +
			"answers 404 or 403.",
		Fix: "Publish /autodiscover/* as a whole. For 405, restore the handler mapping svc-Integrated of IIS, or " +
			"make the virtual directory again: Remove-AutodiscoverVirtualDirectory, " +
			"New-AutodiscoverVirtualDirectory.",
		Consider: "A virtual directory that is made again has default settings: compare authentication and Extended " +
			"Protection first, and restart IIS.",
		Run: whilePublished(func(ctx context.Context, in Input) check.Result {
			host := in.Forest.Answers.Namespace.Autodiscover
			if host == "" {
				return check.NotApplicable("the answers name no autodiscover host for %s", in.Forest.Name())
			}
			front, err := fact.AutodiscoverServices.In(ctx, in.Network, host)
			return judgePost(front, err)
		}),
	},
	{
		ID:    "reachability.ews-post",
		Title: "EWS takes requests with a body",
		Scope: PerForest,
		Needs: []check.ID{"ews.answers"},
		Reads: fact.List(fact.EWSPosts),
		Why: "Every lookup is a POST with XML from a program that says ASProxy/CrossForest. A web application " +
			"firewall that lets browsers through may refuse the method, the XML or the program.",
		Fix: "Let POST with text/xml to /EWS/ pass without inspection for the addresses of Exchange Online. The " +
			"log of the firewall shows the rule that refused it.",
		Consider: "What is exempt from inspection is protected by Exchange's own sign-in alone: keep the exemption " +
			"to /EWS/ and to Exchange Online's addresses.",
		Run: whilePublished(func(ctx context.Context, in Input) check.Result {
			host := in.Forest.Answers.Namespace.EWS
			if host == "" {
				return check.NotApplicable("the answers name no EWS host for %s", in.Forest.Name())
			}
			front, err := fact.EWSPosts.In(ctx, in.Network, host)
			return judgePost(front, err)
		}),
	},
	{
		ID:       "reachability.long-token",
		Title:    "Devices before EWS pass long tokens on",
		Scope:    PerForest,
		Severity: check.Warn,
		Needs:    []check.ID{"ews.answers"},
		Reads:    fact.List(fact.LongTokens),
		Why: "A token of Exchange Online holds a second one and has several thousand characters. Load balancers and " +
			"firewalls limit the length of a header, and then answer 400, 413, 414 or 431 or close the connection.",
		Fix:      "Raise the limit of request headers to 16 KB on every device before Exchange.",
		Consider: "A larger limit takes more memory per connection of the device.",
		Run: whilePublished(func(ctx context.Context, in Input) check.Result {
			host := in.Forest.Answers.Namespace.EWS
			if host == "" {
				return check.NotApplicable("the answers name no EWS host for %s", in.Forest.Name())
			}
			front, err := fact.LongTokens.In(ctx, in.Network, host)
			switch {
			case err != nil:
				return check.Unknown(err)
			case front.Status == 401 || front.Exchange:
				return check.Pass("%s takes a header of 5 KB", front.URL)
			case front.Status/100 == 4:
				return check.Warned("%s answers %d to a request with a header of 5 KB", front.URL, front.Status).
					With("status", front.Status)
			}
			return check.Pass("%s answers %d to a request with a header of 5 KB", front.URL, front.Status)
		}),
	},
	{
		ID:    "reachability.mrs-proxy",
		Title: "MRSProxy is published where mailboxes are moved",
		Scope: PerForest,
		Needs: []check.ID{"ews.answers", "access.onprem-read"},
		Reads: fact.List(fact.MoveProxies, fact.VirtualDirectories),
		Why: "Exchange Online moves mailboxes through /EWS/mrsproxy.svc. A device that publishes Exchange.asmx " +
			"alone, and a server behind the load balancer whose MRSProxy is off, stop moves (HCW8078, 404, 503).",
		Fix: "Publish /EWS/* as a whole, and switch MRSProxy on or off on all servers behind the name alike.",
		Consider: "MRSProxy is open to the internet then. Before the August 2026 security update an attacker can " +
			"relay a sign-in to it.",
		Run: whilePublished(func(ctx context.Context, in Input) check.Result {
			if !wants(in, answers.MoveMailbox) {
				return check.NotApplicable("the features of the answers do not include moveMailbox")
			}
			directories, err := fact.VirtualDirectories.In(ctx, in.Forest)
			if err != nil {
				return check.Unknown(err)
			}
			if !slices.ContainsFunc(directories, func(d fact.VirtualDirectory) bool { return d.MRSProxy }) {
				return check.Pass("MRSProxy is off in forest %s", in.Forest.Name())
			}
			front, err := fact.MoveProxies.In(ctx, in.Network, in.Forest.Answers.Namespace.EWS)
			switch {
			case err != nil:
				return check.Unknown(err)
			case front.Status == 401:
				return check.Pass("%s asks for a sign-in", front.URL)
			case front.Status == 404 && front.Exchange:
				return check.Failed("%s answers 404 from Exchange: MRSProxy is off on the server that answered",
					front.URL)
			}
			return check.Failed("%s answers %d, %s", front.URL, front.Status, told(front.What)).
				With("status", front.Status)
		}),
	},
	{
		ID:    "reachability.smtp-servers",
		Title: "Every server that takes the tenant's mail offers TLS",
		Scope: PerForest,
		Needs: []check.ID{"access.onprem-read"},
		Reads: fact.List(fact.Servers, fact.HybridConfigurations, fact.MailServers),
		Why: "Exchange Online requires TLS and reaches any server behind the name. One server without STARTTLS, " +
			"with old TLS or behind a firewall that masks it, returns a part of the mail (4.4.317).",
		Fix: "Correct the receive connector or the device of the server that is named.",
		Consider: "The server takes no mail of the tenant until it is corrected: take it out of the load balancer " +
			"meanwhile.",
		Run: mailOnly(judgeMailServers),
	},
	{
		ID:       "reachability.smtp-relay",
		Title:    "No relay stands before Exchange",
		Scope:    PerForest,
		Severity: check.Warn,
		Reads:    fact.List(fact.MailServers),
		Why: "The tenant's mail must arrive at Exchange or an Edge server itself. Another mail server in between " +
			"ends TLS, and the headers that mark internal mail are dropped: it arrives as external mail, without " +
			"its sender's name.",
		Fix: "Lead port 25 of the forest's SMTP name to the Exchange servers for Exchange Online's addresses, and " +
			"name that host in namespace.smtp.",
		Consider: "Mail of the tenant then passes the filters of the relay no longer. Exchange Online has filtered it.",
		Run: mailOnly(func(ctx context.Context, in Input) check.Result {
			host, server, r := smtpName(ctx, in)
			if r.Status != "" {
				return r
			}
			if product := foreign(server.Banner); product != "" {
				return check.Warned("at port 25 of %s answers %s, not Exchange", host, product).
					With("banner", server.Banner)
			}
			return check.Pass("no other mail server shows itself at %s", host)
		}),
	},
	{
		ID:       "reachability.smtp-extensions",
		Title:    "No device strips extensions of SMTP",
		Scope:    PerForest,
		Severity: check.Warn,
		Needs:    []check.ID{"reachability.smtp-relay"},
		Reads:    fact.List(fact.MailServers),
		Why: "Exchange offers CHUNKING, 8BITMIME and ENHANCEDSTATUSCODES. A firewall that inspects SMTP strips " +
			"what it does not know, XOORG of hybrid mail among it, which is shown to Exchange Online's certificate " +
			"alone.",
		Fix: "Switch SMTP inspection off on the firewall before the server, or the extension on again on the receive " +
			"connector (ChunkingEnabled, EightBitMimeEnabled, EnhancedStatusCodesEnabled).",
		Consider: "None is known: mail servers use an extension only when it is offered.",
		Run: mailOnly(func(ctx context.Context, in Input) check.Result {
			host, server, r := smtpName(ctx, in)
			if r.Status != "" {
				return r
			}
			if server.TLS == nil || len(server.TLS.Capabilities) == 0 {
				return check.NotApplicable("%s shows no extensions over TLS", host) // certificates.transport says why
			}
			var lacking []string
			for _, extension := range []string{"CHUNKING", "8BITMIME", "ENHANCEDSTATUSCODES"} {
				if !server.TLS.Capabilities.Has(extension) {
					lacking = append(lacking, extension)
				}
			}
			if len(lacking) > 0 {
				return check.Warned("%s does not offer %s", host, someOf(lacking)).
					With("capabilities", keywords(server.TLS.Capabilities))
			}
			return check.Pass("%s offers the extensions of Exchange", host)
		}),
	},
	{
		ID:       "reachability.smtp-online",
		Title:    "Nothing on the way to Exchange Online breaks TLS of mail",
		Scope:    PerTenant,
		Severity: check.Warn,
		Needs:    []check.ID{"dns.coexistence-mx"},
		Reads:    fact.List(fact.MX, fact.MailServers, fact.OnlineAcceptedDomains),
		Why: "The send connector requires TLS with a certificate for the domain of Exchange Online's mail servers. " +
			"A firewall that masks STARTTLS or presents its own certificate on the way out stops all mail to the " +
			"cloud.",
		Fix: "Exempt port 25 to Exchange Online's addresses from inspection. hybridge asks from this machine: " +
			"compare with the protocol log of the send connector.",
		Consider: "Mail to the cloud is then not inspected by the firewall.",
		Run: mailOnly(func(ctx context.Context, in Input) check.Result {
			domain, err := coexistenceDomain(ctx, in)
			if err != nil {
				return check.Unknown(err)
			}
			hosts, err := exchangers(ctx, in, domain)
			if err != nil {
				return check.Unknown(err)
			}
			if len(hosts) == 0 {
				return check.NotApplicable("%s has no MX record", domain)
			}
			server, err := fact.MailServers.In(ctx, in.Network, hosts[0])
			if err != nil {
				return check.Unknown(err)
			}
			server.Address = hosts[0]
			worst, found := finding.Worst(smtp.Judge(server.Report, server.Err))
			switch {
			case found && !worst.Level.Seen():
				return check.NotApplicable("this machine cannot ask %s: %s", hosts[0], text(worst))
			case found && worst.Level == finding.Wrong:
				return check.Warned("%s", text(worst))
			case server.Certificate.Leaf == nil:
				return check.NotApplicable("%s shows no certificate", hosts[0])
			}
			if err := certificate.Verify(server.Certificate, in.Roots, hosts[0], in.Now()); err != nil {
				return check.Warned("the certificate that answers for %s is not Exchange Online's: %v", hosts[0], err).
					With("subject", certificate.Subject(server.Certificate.Leaf)).
					With("issuer", certificate.Issuer(server.Certificate.Leaf))
			}
			return check.Pass("%s answers with TLS and its own certificate", hosts[0])
		}),
	},
	{
		ID:    "reachability.hybrid-agent",
		Title: "The Hybrid Agent is used where it can be",
		Scope: PerOrganization,
		Needs: []check.ID{"access.online-read"},
		Reads: fact.List(fact.OnlineRelationships, fact.OnlineConnectors),
		Why: "The tenant reaches a forest through Microsoft's Hybrid Agent. The agent serves one Exchange " +
			"organization: with several forests, the tenant's requests for one reach another. Its address has a " +
			"form of its own: another path or host answers 404 or 504.",
		Fix: "With several forests, publish EWS and autodiscover of each, and clear TargetSharingEpr of the tenant's " +
			"connectors and relationships. Or correct the address: " +
			"https://GUID.resource.mailboxmigration.his.msappproxy.net/EWS/Exchange.asmx.",
		Consider: "Inbound HTTPS from Exchange Online must be open before the agent's address is cleared. The " +
			"agent does not carry mail, message tracking and hybrid modern authentication.",
		Run: func(ctx context.Context, in Input) check.Result {
			if in.Tenant == nil {
				return check.Result{Status: check.StatusSkip, Summary: noTenant}
			}
			var behind, wrong []string
			for _, f := range in.Forests {
				addresses, err := agentAddresses(ctx, in, f)
				if err != nil {
					return check.Unknown(err)
				}
				if len(addresses) > 0 {
					behind = append(behind, f.Name())
				}
				for _, a := range addresses {
					if !agentAddress().MatchString(a) {
						wrong = append(wrong, a)
					}
				}
			}
			switch {
			case len(behind) > 0 && len(in.Forests) > 1:
				return check.Failed("the Hybrid Agent serves one forest, and the answers have %s: %s",
					msg.Number(len(in.Forests)), someOf(behind)).With("forests", behind)
			case len(wrong) > 0:
				return check.Failed("this is no address of EWS at the Hybrid Agent: %s",
					someOf(wrong)).With("addresses", wrong)
			case len(behind) > 0:
				return check.Pass("the Hybrid Agent serves forest %s", behind[0])
			}
			return check.Pass("the tenant uses no Hybrid Agent")
		},
	},
	{
		ID:    "reachability.discovery-endpoint",
		Title: "The tenant's connectors name hosts that DNS knows",
		Scope: PerForest,
		Needs: []check.ID{"access.online-read"},
		Reads: fact.List(fact.OnlineConnectors, fact.Hosts),
		Why: "Exchange Online begins each lookup at DiscoveryEndpoint of its connector. A name of the past ends " +
			"all lookups from the tenant to the forest.",
		Fix:      "hybridge plan sets the endpoint to the forest's autodiscover host.",
		Consider: "Exchange Online keeps the old address for up to a day.",
		Run: tenantOnly(func(ctx context.Context, in Input) check.Result {
			connectors, err := fact.OnlineConnectors.In(ctx, in.Tenant)
			if err != nil {
				return check.Unknown(err)
			}
			return lostHosts(ctx, in, "the tenant's connectors lead to hosts that DNS knows",
				func(yield func(owner, address string) bool) {
					for _, c := range connectors {
						if shares(in.Forest, c) && c.TargetSharingEpr == "" && !yield(c.Name, c.DiscoveryEndpoint) {
							return
						}
					}
				})
		}),
	},
	{
		ID:       "reachability.migration-server",
		Title:    "Migration endpoints name hosts that DNS knows",
		Scope:    PerTenant,
		Severity: check.Warn,
		Needs:    []check.ID{"access.online-read"},
		Reads:    fact.List(fact.MigrationEndpoints, fact.Hosts),
		Why: "A migration batch takes the endpoint that an administrator picks, or the first. One whose server is " +
			"gone lets the batch wait and fail.",
		Fix: "Remove the endpoint (Remove-MigrationEndpoint), or set its server: Set-MigrationEndpoint " +
			"-RemoteServer.",
		Consider: "Batches that use the endpoint end with it: look at Get-MigrationBatch first.",
		Run: func(ctx context.Context, in Input) check.Result {
			endpoints, err := fact.MigrationEndpoints.In(ctx, in.Tenant)
			if err != nil {
				return check.Unknown(err)
			}
			return lostHosts(ctx, in, "the migration endpoints lead to hosts that DNS knows",
				func(yield func(owner, address string) bool) {
					for _, e := range endpoints {
						if e.RemoteServer != "" && strings.EqualFold(e.Type, "ExchangeRemoteMove") &&
							!strings.HasSuffix(strings.ToLower(e.RemoteServer), fact.AgentDomain) &&
							!yield(e.Name, "https://"+e.RemoteServer) {
							return
						}
					}
				})
		},
	},
	{
		ID:       "reachability.owa-address",
		Title:    "Addresses of Outlook on the web exist",
		Scope:    PerForest,
		Severity: check.Warn,
		Needs:    []check.ID{"access.online-read"},
		Reads:    fact.List(fact.OnlineRelationships, fact.Hosts),
		Why: "Outlook on the web sends a person whose mailbox is on-premises to TargetOwaURL of the tenant's " +
			"relationship. A name of the past ends in an error page of the browser.",
		Fix: "Set the address of Outlook on the web of the forest: Set-OrganizationRelationship -TargetOwaURL in " +
			"Exchange Online. hybridge plan does so with the feature owaRedirection.",
		Consider: "None is known: people who know the address of their server use it as before.",
		Run: tenantOnly(func(ctx context.Context, in Input) check.Result {
			relationships, err := fact.OnlineRelationships.In(ctx, in.Tenant)
			if err != nil {
				return check.Unknown(err)
			}
			return lostHosts(ctx, in, "the tenant sends nobody to an address of Outlook on the web that is gone",
				func(yield func(owner, address string) bool) {
					for _, r := range relationships {
						if shares(in.Forest, r) && r.TargetOwaURL != "" && !yield(r.Name, r.TargetOwaURL) {
							return
						}
					}
				})
		}),
	},
}

// whilePublished makes a check not applicable where the tenant does not come to the forest over
// HTTPS: the Hybrid Agent carries its requests, or no feature makes any. The connectors that show
// the agent are not among the check's Reads: a plan that changes them rests on the check all the
// same.
func whilePublished(run func(context.Context, Input) check.Result) func(context.Context, Input) check.Result {
	return func(ctx context.Context, in Input) check.Result {
		if in.Tenant == nil || in.WorkMail != nil && in.Forest.Answers.WorkMail != nil {
			return run(ctx, in) // Amazon WorkMail has no other way
		}
		if !slices.ContainsFunc(overHTTPS, func(f answers.Feature) bool { return wants(in, f) }) {
			return check.NotApplicable("no feature of the answers lets the tenant ask forest %s over HTTPS",
				in.Forest.Name())
		}
		addresses, err := agentAddresses(ctx, in, in.Forest)
		if len(addresses) > 0 {
			return check.NotApplicable("Microsoft's Hybrid Agent carries the tenant's requests to forest %s",
				in.Forest.Name())
		}
		r := run(ctx, in)
		if err != nil && (r.Status == check.StatusFail || r.Status == check.StatusWarn) {
			return check.Unknown(err) // whether the tenant needs the address is not known
		}
		return r
	}
}

// overHTTPS are the features for which the tenant asks the forest over HTTPS.
var overHTTPS = []answers.Feature{answers.FreeBusy, answers.MailTips, answers.Photos, answers.MessageTracking,
	answers.MoveMailbox, answers.OnlineArchive, answers.OWARedirection}

// agentAddress is the form of the agent's address of EWS.
var agentAddress = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`(?i)^https://[0-9a-f-]{36}\.resource\.mailboxmigration\.his\.msappproxy\.net` +
		`/ews/exchange\.asmx/?$`)
})

// agentAddresses are the addresses at which the tenant reaches a forest through the Hybrid Agent.
func agentAddresses(ctx context.Context, in Input, f *fact.Side) ([]string, error) {
	var out []string
	for _, q := range []*fact.Query[[]fact.Holder]{fact.OnlineConnectors, fact.OnlineRelationships} {
		holders, err := q.In(ctx, in.Tenant)
		if err != nil {
			return nil, err
		}
		for _, h := range holders {
			u, err := url.Parse(h.TargetSharingEpr)
			if err == nil && shares(f, h) && strings.HasSuffix(strings.ToLower(u.Hostname()), fact.AgentDomain) {
				out = append(out, h.TargetSharingEpr)
			}
		}
	}
	return out, nil
}

// judgePost judges the answer to a request with a body. What answers GET is judged by the checks
// before it.
func judgePost(front ews.Front, err error) check.Result {
	switch {
	case err != nil:
		return check.Unknown(err)
	case front.Status == 401, front.Exchange && (front.Status == 200 || front.Status == 500):
		return check.Pass("%s takes requests with a body", front.URL)
	case front.Status == 405:
		return check.Failed("%s answers 405 to POST: the handler of the address is missing", front.URL).
			With("status", front.Status)
	}
	return check.Failed("%s answers %d to POST, %s", front.URL, front.Status, told(front.What)).
		With("status", front.Status)
}

// judgeMailServers asks each server that takes mail of the tenant, and not the name before them.
func judgeMailServers(ctx context.Context, in Input) check.Result {
	var hosts []string
	if len(in.Forest.Answers.Edge) > 0 {
		hosts = in.Forest.Answers.Edge
	} else {
		servers, err := fact.Servers.In(ctx, in.Forest)
		if err != nil {
			return check.Unknown(err)
		}
		record, err := fact.HybridConfigurations.In(ctx, in.Forest)
		if err != nil {
			return check.Unknown(err)
		}
		var all []string
		for _, s := range servers {
			if !s.Mailbox || s.Edge || s.FQDN == "" {
				continue
			}
			all = append(all, s.FQDN)
			if slices.ContainsFunc(record.Receiving, func(name string) bool { return sameServer(name, s.Name) }) {
				hosts = append(hosts, s.FQDN)
			}
		}
		if len(hosts) == 0 { // the plan takes all servers, too, where those of the record are gone
			hosts = all
		}
	}
	var wrong, unseen, blind []msg.Text
	var names []string
	count := 0
	for _, host := range hosts {
		server, err := fact.MailServers.In(ctx, in.Network, host)
		if err != nil {
			return check.Unknown(err)
		}
		server.Address = host
		worst, found := finding.Worst(smtp.Judge(server.Report, server.Err))
		switch {
		case !found || worst.Level == finding.Doubtful:
			count++
		case worst.Level == finding.Wrong:
			wrong, names = append(wrong, text(worst)), append(names, host)
		case worst.Level == finding.Unseen:
			unseen = append(unseen, text(worst))
		default:
			blind = append(blind, text(worst))
		}
	}
	switch {
	case len(wrong) > 0:
		return check.Failed("%s", some(wrong)).With("servers", names)
	case len(unseen) > 0:
		r := check.Unknown(errors.New(unseen[0].String()))
		r.Summary = some(unseen)
		return r
	case len(blind) > 0 && count == 0:
		return check.NotApplicable("this machine reaches no mail server of forest %s: %s",
			in.Forest.Name(), some(blind))
	case len(blind) > 0:
		return check.Pass("%s TLS; others were not asked: %s",
			msg.Count(count, "%s server offers", "%s servers offer"), some(blind))
	}
	return check.Pass("%s TLS", msg.Count(count, "%s server offers", "%s servers offer"))
}

// sameServer reports whether two names are of one server. One of them may have its domain.
func sameServer(a, b string) bool {
	a, _, _ = strings.Cut(a, ".")
	b, _, _ = strings.Cut(b, ".")
	return strings.EqualFold(a, b)
}

// smtpName returns the mail server at the forest's SMTP name, or a result when there is none to
// judge. certificates.transport reports what is wrong with the way to it.
func smtpName(ctx context.Context, in Input) (string, fact.MailServer, check.Result) {
	host := in.Forest.Answers.Namespace.SMTP
	if host == "" {
		return "", fact.MailServer{}, check.NotApplicable("the answers name no SMTP host for %s", in.Forest.Name())
	}
	server, err := fact.MailServers.In(ctx, in.Network, host)
	switch {
	case err != nil:
		return host, server, check.Unknown(err)
	case server.Banner == "":
		return host, server, check.NotApplicable("%s gave no greeting", host)
	}
	return host, server, check.Result{}
}

// mailProducts are words in the greetings of mail servers and gateways other than Exchange.
var mailProducts = []string{"Postfix", "Exim", "Sendmail", "qmail", "Barracuda", "Proofpoint", "Mimecast", "IronPort",
	"FortiMail", "Sophos", "hMailServer", "MDaemon", "Kerio", "Zimbra", "Symantec", "Trend Micro", "Trellix",
	"NoSpamProxy",
	"Haraka", "OpenSMTPD", "IceWarp", "CommuniGate", "Domino", "SEPPmail", "Halon"}

// foreign returns the product that a greeting names, unless it is Exchange.
func foreign(banner string) string {
	lower := strings.ToLower(banner)
	if strings.Contains(lower, "microsoft") {
		return ""
	}
	for _, product := range mailProducts {
		if strings.Contains(lower, strings.ToLower(product)) {
			return product
		}
	}
	return ""
}

// lostHosts fails for the addresses whose host DNS does not know.
func lostHosts(
	ctx context.Context, in Input, passes string, addresses func(yield func(owner, address string) bool),
) check.Result {
	var lost []string
	var unknown error
	for owner, address := range addresses {
		u, err := url.Parse(address)
		if err != nil || u.Hostname() == "" || cloud.IsExchangeOnline(u.Hostname()) {
			continue
		}
		switch _, err := fact.Hosts.In(ctx, in.Network, u.Hostname()); {
		case fact.NoRecord(err):
			lost = append(lost, link.Line(u.Hostname())+" of "+owner)
		case err != nil && unknown == nil:
			unknown = err
		}
	}
	switch {
	case len(lost) > 0:
		return check.Failed("DNS knows no address of %s", someOf(lost)).With("hosts", lost)
	case unknown != nil:
		return check.Unknown(unknown)
	}
	return check.Result{Status: check.StatusPass, Summary: msg.Text{Format: passes}}
}
