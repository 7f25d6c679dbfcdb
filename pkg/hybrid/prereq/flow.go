package prereq

import (
	"context"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/hybridge-cli/hybridge/pkg/engine/check"
	"github.com/hybridge-cli/hybridge/pkg/engine/msg"
	"github.com/hybridge-cli/hybridge/pkg/estate/exchange"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/desired"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/fact"
)

// exchangeOnlineMail are the addresses from which Exchange Online sends mail worldwide, from memory
// of Microsoft's list of endpoints.
var exchangeOnlineMail = []netip.Prefix{
	netip.MustParsePrefix("40.92.0.0/15"), netip.MustParsePrefix("40.107.0.0/16"),
	netip.MustParsePrefix("52.100.0.0/14"), netip.MustParsePrefix("104.47.0.0/17"),
	netip.MustParsePrefix("2a01:111:f400::/48"), netip.MustParsePrefix("2a01:111:f403::/48"),
}

// leastHeader is the least size of headers that a connector must take: internal mail carries the
// headers of both organizations. leastPerSource is Exchange's default of connections per address.
const (
	leastHeader    fact.Size = 64 << 10
	leastPerSource           = 20
)

var bothRead = []check.ID{"access.onprem-read", "access.online-read"}

// flowChecks look at what no plan sets and mail between the sides needs.
var flowChecks = []Check{
	{
		ID:     "transport.receive-overlap",
		Title:  "No other receive connector takes the tenant's mail",
		Source: "facts G 8; issue 14: receive connector bindings",
		Scope:  PerForest, Needs: onPremisesRead, Reads: fact.List(fact.ReceiveConnectors),
		Why: "Exchange chooses the receive connector with the narrowest range for the sender's address. One for the " +
			"addresses of Exchange Online answers instead of the default frontend connector: with another " +
			"certificate, and without taking the headers of internal mail.",
		Fix: "Take the addresses of Exchange Online out of RemoteIPRanges of the connectors named, or remove " +
			"them.",
		Consider: "Mail of the tenant arrives at the default frontend connector at once, with its limits and " +
			"permissions.",
		Run: mailOnly(worldwideOnly(look(fact.ReceiveConnectors,
			"%s receive connector takes mail from addresses of Exchange Online",
			"%s receive connectors take mail from addresses of Exchange Online",
			always(func(_ Input, c fact.ReceiveConnector) flaw {
				port25 := slices.ContainsFunc(c.Bindings, func(b string) bool { return strings.HasSuffix(b, ":25") })
				trusted := slices.ContainsFunc(c.Capabilities, func(s string) bool {
					return strings.HasSuffix(s, ":AcceptCloudServicesMail") ||
						strings.HasSuffix(s, ":AcceptOorgProtocol")
				})
				if !c.Enabled || !port25 || trusted || everyone(c) ||
					!slices.ContainsFunc(c.RemoteIPRanges, fromExchangeOnline) {
					return flaw{}
				}
				return flaw{object: c.Identity}
			})))),
	},
	{
		ID:     "transport.receive-anonymous",
		Title:  "Default frontend connectors take mail without a sign-in",
		Source: "exchange-hybrid P12; issue 14: receive connectors",
		Scope:  PerForest, Needs: onPremisesRead, Reads: fact.List(fact.Servers, fact.ReceiveConnectors),
		Why: "The tenant shows its certificate and does not sign in. Without the permission group AnonymousUsers, " +
			"the server refuses its mail (5.7.1 Client was not authenticated).",
		Fix:      "Add AnonymousUsers to the permission groups of the connectors named.",
		Consider: "The connector takes mail from every sender then; filters for mail from outside must be in place.",
		Run: frontends("%s connector takes no mail without a sign-in", "%s connectors take no mail without a sign-in",
			func(_ Input, c fact.ReceiveConnector) flaw {
				if c.Permissions == nil || contains(c.Permissions, "AnonymousUsers") {
					return flaw{}
				}
				return flaw{c.Identity, []string{"Set-ReceiveConnector -Identity " + exchange.Quote(c.Identity) +
					" -PermissionGroups " + strings.Join(without(append(c.Permissions, "AnonymousUsers"), "None"),
					",")}}
			}),
	},
	{
		ID:     "transport.receive-tls",
		Title:  "Default frontend connectors offer TLS",
		Source: "source 002: privacy of the channel; exchange-hybrid P12",
		Scope:  PerForest, Needs: onPremisesRead, Reads: fact.List(fact.Servers, fact.ReceiveConnectors),
		Why: "Without Tls among its mechanisms, the connector offers no STARTTLS, and the tenant, which requires it, " +
			"delivers nothing.",
		Fix:      "Add Tls to AuthMechanism of the connectors named.",
		Consider: "Senders that choose TLS when it is offered must trust the certificate or take any.",
		Run: frontends("%s connector offers no TLS", "%s connectors offer no TLS",
			func(_ Input, c fact.ReceiveConnector) flaw {
				if c.Mechanisms == nil || contains(c.Mechanisms, "Tls") {
					return flaw{}
				}
				return flaw{c.Identity, []string{"Set-ReceiveConnector -Identity " + exchange.Quote(c.Identity) +
					" -AuthMechanism " + strings.Join(append([]string{"Tls"}, without(c.Mechanisms, "None")...), ",")}}
			}),
	},
	{
		ID:       "transport.receive-limits",
		Title:    "Default frontend connectors do not hold the tenant's mail back",
		Source:   "exchange-hybrid 1.6; issue 14: receive connectors",
		Severity: check.Warn,
		Scope:    PerForest, Needs: onPremisesRead, Reads: fact.List(fact.Servers, fact.ReceiveConnectors),
		Why: "All mail of the tenant arrives from a few addresses. A limit of messages per minute, or of fewer than " +
			"20 connections per address, delays it (421 4.3.2, 421 4.4.2).",
		Fix:      "Set MessageRateLimit to Unlimited and MaxInboundConnectionPerSource to 20 or more.",
		Consider: "Other senders may use the wider limits too.",
		Run: frontends("%s connector limits mail per sender", "%s connectors limit mail per sender",
			func(_ Input, c fact.ReceiveConnector) flaw {
				perSource, err := strconv.Atoi(c.PerSource)
				few := err == nil && perSource < leastPerSource
				_, err = strconv.Atoi(c.Rate)
				if !few && err != nil {
					return flaw{}
				}
				return flaw{c.Identity, []string{"Set-ReceiveConnector -Identity " + exchange.Quote(c.Identity) +
					" -MessageRateLimit Unlimited -MaxInboundConnectionPerSource " + strconv.Itoa(leastPerSource)}}
			}),
	},
	{
		ID:       "transport.header-size",
		Title:    "Default frontend connectors take the headers of internal mail",
		Source:   "source 002: authentication of the sender",
		Severity: check.Warn,
		Scope:    PerForest, Needs: onPremisesRead, Reads: fact.List(fact.Servers, fact.ReceiveConnectors),
		Why: "Mail of the tenant carries the headers of two organizations. Below 64 KB, mail that passed several " +
			"hops is refused (552 5.3.4 Header size exceeds fixed maximum size).",
		Fix:      "Raise MaxHeaderSize of the connectors named; Exchange's default is 128 KB or more.",
		Consider: "None is known.",
		Run: frontends("%s connector takes short headers only", "%s connectors take short headers only",
			func(_ Input, c fact.ReceiveConnector) flaw {
				if !c.MaxHeader.Below(leastHeader) {
					return flaw{}
				}
				return flaw{c.Identity + " (" + c.MaxHeader.String() + ")", []string{"Set-ReceiveConnector -Identity " +
					exchange.Quote(c.Identity) + " -MaxHeaderSize 128KB"}}
			}),
	},
	{
		ID:     "transport.external-authoritative",
		Title:  "No receive connector takes strangers for servers of the organization",
		Source: "facts F.4: AuthMechanism 10",
		Scope:  PerForest, Needs: onPremisesRead, Reads: fact.List(fact.ReceiveConnectors),
		Why: "ExternalAuthoritative takes every sender at the connector as a server of the organization: mail from " +
			"the internet arrives as internal mail, passes the filters, and goes to the tenant as such.",
		Fix: "Take ExternalAuthoritative out of AuthMechanism, or limit RemoteIPRanges to the addresses of " +
			"known servers.",
		Consider: "Devices that relay through the connector need AnonymousUsers with the right to relay, or a sign-in.",
		Run: mailOnly(look(fact.ReceiveConnectors, "%s receive connector trusts every sender",
			"%s receive connectors trust every sender", always(func(_ Input, c fact.ReceiveConnector) flaw {
				if !c.Enabled || !everyone(c) || !contains(c.Mechanisms, "ExternalAuthoritative") {
					return flaw{}
				}
				return flaw{object: c.Identity}
			}))),
	},
	{
		ID:       "transport.foreign-capabilities",
		Title:    "Headers of internal mail are taken from Exchange Online alone",
		Source:   "source 002: authentication of the sender",
		Severity: check.Warn,
		Scope:    PerForest, Needs: onPremisesRead, Reads: fact.List(fact.ReceiveConnectors),
		Why: "A sender with a certificate for the domain named may hand over mail as internal, with any sender. Only " +
			"Exchange Online's own name belongs there.",
		Fix: "Remove the entry from TlsDomainCapabilities of the connectors named.",
		Consider: "A gateway that hands the tenant's mail on with its own certificate no longer can: its mail " +
			"becomes external.",
		Run: mailOnly(look(fact.ReceiveConnectors, "%s receive connector takes internal headers from others",
			"%s receive connectors take internal headers from others",
			always(func(in Input, c fact.ReceiveConnector) flaw {
				var foreign []string
				for _, entry := range c.Capabilities {
					domain, capability, _ := strings.Cut(entry, ":")
					own := in.Cloud.TLSDomain == "" || strings.EqualFold(domain, in.Cloud.TLSDomain) ||
						strings.HasPrefix(strings.ToLower(domain), "mail.protection.")
					if strings.EqualFold(capability, "AcceptCloudServicesMail") && !own {
						foreign = append(foreign, domain)
					}
				}
				if len(foreign) == 0 {
					return flaw{}
				}
				return flaw{object: c.Identity + " (" + strings.Join(foreign, ", ") + ")"}
			}))),
	},
	{
		ID:       "transport.size-limits",
		Title:    "Both sides have the same limits of message size",
		Source:   "source 002: MailTips (message too large); issue 14: size limits equal",
		Severity: check.Warn,
		Scope:    PerForest, Needs: bothRead, Reads: fact.List(fact.Transport, fact.OnlineTransport),
		Why: "Each side judges by its own limit whether a message is too large, also in MailTips. A message between " +
			"the limits is accepted by one side and returned by the other.",
		Fix: "Set MaxSendSize and MaxReceiveSize of Set-TransportConfig to the same values on both sides; mailboxes " +
			"and connectors have limits of their own.",
		Consider: "Larger messages take more space in databases, queues and gateways.",
		Run: mailOnly(func(ctx context.Context, in Input) check.Result {
			here, err := fact.Transport.In(ctx, in.Forest)
			if err != nil {
				return check.Unknown(err)
			}
			there, err := fact.OnlineTransport.In(ctx, in.Tenant)
			if err != nil {
				return check.Unknown(err)
			}
			var differ []string
			for _, limit := range []struct {
				name        string
				here, there fact.Size
			}{{"MaxSendSize", here.MaxSend, there.MaxSend}, {"MaxReceiveSize", here.MaxReceive, there.MaxReceive}} {
				if limit.here > 0 && limit.there > 0 && limit.here != limit.there { // others are set per mailbox
					differ = append(differ, limit.name+" "+limit.here.String()+" and "+limit.there.String())
				}
			}
			if len(differ) > 0 {
				return check.Failed("forest %s and Exchange Online have different limits: %s", in.Forest.Name(),
					someOf(differ)).With("limits", differ)
			}
			return check.Pass("forest %s and Exchange Online have the same limits", in.Forest.Name())
		}),
	},
	{
		ID:       "transport.connector-size",
		Title:    "Connectors between the sides take what the organization takes",
		Source:   "source 002: MailTips (message too large); issue 14: size limits equal",
		Severity: check.Warn,
		Scope:    PerForest, Needs: onPremisesRead,
		Reads: fact.List(fact.Transport, fact.SendConnectors, fact.ReceiveConnectors, fact.Servers),
		Why: "A connector with a lower limit than the organization returns messages that people may send: inside the " +
			"forest they arrive, to the tenant they do not.",
		Fix:      "Raise MaxMessageSize of the connectors named to the limit of the organization.",
		Consider: "Larger messages take more space in the queues.",
		Run: mailOnly(func(ctx context.Context, in Input) check.Result {
			coexistence, err := coexistenceDomain(ctx, in)
			if err != nil {
				return check.Unknown(err)
			}
			limits, err := fact.Transport.In(ctx, in.Forest)
			if err != nil {
				return check.Unknown(err)
			}
			send, err := fact.SendConnectors.In(ctx, in.Forest)
			if err != nil {
				return check.Unknown(err)
			}
			var low, commands []string
			for _, c := range send {
				if leadsTo(c, coexistence) && c.MaxMessage.Below(limits.MaxSend) {
					low = append(low, c.Name+" ("+c.MaxMessage.String()+", organization "+limits.MaxSend.String()+")")
					commands = append(commands, "Set-SendConnector -Identity "+exchange.Quote(c.Name)+
						" -MaxMessageSize "+
						strings.ReplaceAll(limits.MaxSend.String(), " ", ""))
				}
			}
			receive, err := defaultFrontends(ctx, in)
			if err != nil {
				return check.Unknown(err)
			}
			for _, c := range receive {
				if c.MaxMessage.Below(limits.MaxReceive) {
					low = append(low, c.Identity+" ("+c.MaxMessage.String()+", organization "+
						limits.MaxReceive.String()+")")
					commands = append(commands, "Set-ReceiveConnector -Identity "+exchange.Quote(c.Identity)+
						" -MaxMessageSize "+strings.ReplaceAll(limits.MaxReceive.String(), " ", ""))
				}
			}
			if len(low) > 0 {
				return check.Failed("%s below the limit of the organization: %s",
					msg.Count(len(low), "%s connector is", "%s connectors are"), someOf(low)).With("connectors", low).
					FixWith(commands...)
			}
			return check.Pass("no connector to or from the tenant is below the limits of the organization")
		}),
	},
	{
		ID:       "transport.remote-domain-replies",
		Title:    "Automatic replies pass between the sides",
		Source:   "issue 14: remote domains; exchange-hybrid 3.1 (AllowedOOFType)",
		Severity: check.Warn,
		Scope:    PerForest, Needs: bothRead, Reads: fact.List(fact.RemoteDomains, fact.OnlineRemoteDomains),
		Why: "A remote domain for the other side that sends no automatic replies hides from colleagues that a person " +
			"is away.",
		Fix:      "Set AutoReplyEnabled, and AllowedOOFType to InternalLegacy or External.",
		Consider: "None is known: colleagues see the reply for people inside.",
		Run: remoteDomains("%s remote domain sends no automatic replies", "%s remote domains send no automatic replies",
			func(d fact.RemoteDomain) (string, string) {
				var parameters []string
				if slices.Contains(d.Off, "AutoReplyEnabled") {
					parameters = append(parameters, "-AutoReplyEnabled $true")
				}
				if strings.EqualFold(d.OutOfOffice, "None") {
					parameters = append(parameters, "-AllowedOOFType External")
				}
				if len(parameters) == 0 {
					return "", ""
				}
				return d.Name, strings.Join(parameters, " ")
			}),
	},
	{
		ID:       "transport.remote-domain-reports",
		Title:    "Reports of delivery pass between the sides",
		Source:   "source 002: delivery reports; issue 14: remote domains",
		Severity: check.Warn,
		Scope:    PerForest, Needs: bothRead, Reads: fact.List(fact.RemoteDomains, fact.OnlineRemoteDomains),
		Why: "A remote domain for the other side that sends no reports leaves colleagues without word of what was " +
			"not delivered.",
		Fix:      "Set NDREnabled and DeliveryReportEnabled of the remote domain.",
		Consider: "None is known.",
		Run: remoteDomains("%s remote domain sends no reports", "%s remote domains send no reports",
			func(d fact.RemoteDomain) (string, string) {
				if !slices.Contains(d.Off, "NDREnabled") && !slices.Contains(d.Off, "DeliveryReportEnabled") {
					return "", ""
				}
				return d.Name, "-NDREnabled $true -DeliveryReportEnabled $true"
			}),
	},
	{
		ID:       "transport.send-cost",
		Title:    "Mail to one address space takes one way",
		Source:   "issue 14: several send connectors per space",
		Severity: check.Warn,
		Scope:    PerForest, Needs: onPremisesRead, Reads: fact.List(fact.SendConnectors),
		Why: "Of two connectors with one address space and one cost, Exchange takes either. Where they differ, mail " +
			"to the internet leaves now through Exchange Online and now not, with other limits, filters and " +
			"signatures.",
		Fix:      "Give the connector that is the reserve a higher cost, or remove it.",
		Consider: "All mail of the address space takes the other connector.",
		Run: mailOnly(func(ctx context.Context, in Input) check.Result {
			connectors, err := fact.SendConnectors.In(ctx, in.Forest)
			if err != nil {
				return check.Unknown(err)
			}
			coexistence, err := coexistenceDomain(ctx, in)
			if err != nil {
				return check.Unknown(err)
			}
			ways := map[string][]fact.SendConnector{}
			for _, c := range connectors {
				for _, space := range c.AddressSpaces {
					if domain := spaceDomain(space); c.Enabled && !c.Scoped && domain != coexistence {
						key := domain + " at cost " + spaceCost(space)
						ways[key] = append(ways[key], c)
					}
				}
			}
			var all []string
			for _, key := range sorted(ways) {
				var names []string
				differ := false
				for _, c := range ways[key] {
					names = append(names, c.Name)
					differ = differ || c.CloudHeader != ways[key][0].CloudHeader ||
						!slices.Equal(c.SmartHosts, ways[key][0].SmartHosts)
				}
				if differ {
					all = append(all, key+" ("+strings.Join(names, ", ")+")")
				}
			}
			if len(all) > 0 {
				return check.Failed("send connectors of forest %s compete: %s", in.Forest.Name(), someOf(all)).
					With("addressSpaces", all)
			}
			return check.Pass("%s looked at", msg.Count(len(connectors), "%s send connector was",
				"%s send connectors were"))
		}),
	},
	{
		ID:       "transport.send-scoped",
		Title:    "Every server can use the send connector to the tenant",
		Source:   "issue 14: Transport; source 002: mail flow",
		Severity: check.Warn,
		Scope:    PerForest, Needs: onPremisesRead, Reads: fact.List(fact.SendConnectors),
		Why: "A scoped connector is used by the servers of its own Active Directory site. Servers of other sites " +
			"send mail for the tenant by another connector, as external mail, or not at all.",
		Fix:      "Make the connector available to the whole organization.",
		Consider: "Servers of other sites hand their mail for the tenant to the source servers of this connector.",
		Run: mailOnly(func(ctx context.Context, in Input) check.Result {
			coexistence, err := coexistenceDomain(ctx, in)
			if err != nil {
				return check.Unknown(err)
			}
			return look(fact.SendConnectors, "%s send connector to the tenant is for one site only",
				"%s send connectors to the tenant are for one site only", always(func(_ Input,
					c fact.SendConnector) flaw {
					if !c.Scoped || !leadsTo(c, coexistence) {
						return flaw{}
					}
					return flaw{c.Name, []string{"Set-SendConnector -Identity " + exchange.Quote(c.Name) +
						" -IsScopedConnector $false"}}
				}))(ctx, in)
		}),
	},
	{
		ID:     "transport.domain-secure",
		Title:  "Domain security does not cover mail between the sides",
		Source: "exchange-hybrid P11 (DomainSecureEnabled); issue 14: Transport",
		Scope:  PerForest, Needs: onPremisesRead, Reads: fact.List(fact.Transport),
		Why: "Domain security demands a certificate in the name of the mail domain itself. Exchange Online shows its " +
			"own name: mail to and from the tenant is refused.",
		Fix: "Remove the domains from TLSSendDomainSecureList and TLSReceiveDomainSecureList.",
		Consider: "Mail of a partner that is not listed any more may go unencrypted: remove the forest's own and the " +
			"tenant's domains only.",
		Run: mailOnly(func(ctx context.Context, in Input) check.Result {
			coexistence, err := coexistenceDomain(ctx, in)
			if err != nil {
				return check.Unknown(err)
			}
			settings, err := fact.Transport.In(ctx, in.Forest)
			if err != nil {
				return check.Unknown(err)
			}
			var own []string
			for _, d := range settings.DomainSecure {
				if strings.EqualFold(d, coexistence) || contains(in.Forest.Answers.Domains, d) {
					own = append(own, d)
				}
			}
			if len(own) > 0 {
				return check.Failed("domain security of forest %s covers domains of the hybrid organization: %s",
					in.Forest.Name(), someOf(own)).With("domains", own)
			}
			return check.Pass("domain security covers no domain of the hybrid organization")
		}),
	},
	{
		ID:       "transport.dns-servers",
		Title:    "Transport of all servers asks the same DNS",
		Source:   "exchange-hybrid 1.6; issue 14: Transport",
		Severity: check.Warn,
		Scope:    PerForest, Needs: onPremisesRead, Reads: fact.List(fact.TransportServices),
		Why: "A server with DNS servers set by hand for external names resolves the tenant's mail hosts by them " +
			"alone. When they are gone, mail waits on that server and not on others.",
		Fix:      "Set ExternalDNSServers alike on all servers, or let transport use the DNS of the network adapter.",
		Consider: "External names are resolved by other servers from then on; they must know the internet.",
		Run: mailOnly(func(ctx context.Context, in Input) check.Result {
			services, err := fact.TransportServices.In(ctx, in.Forest)
			if err != nil {
				return check.Unknown(err)
			}
			lists := map[string][]string{}
			for _, s := range services {
				key := "the network adapter's"
				if len(s.DNSServers) > 0 {
					servers := slices.Clone(s.DNSServers)
					slices.Sort(servers)
					key = strings.Join(servers, " ")
				}
				lists[key] = append(lists[key], s.Name)
			}
			if len(lists) < 2 {
				return check.Pass("%s looked at", msg.Count(len(services), "%s server was", "%s servers were"))
			}
			var all []string
			for _, key := range sorted(lists) {
				all = append(all, key+" ("+strings.Join(lists[key], ", ")+")")
			}
			return check.Failed("transport of the servers of forest %s asks different DNS servers: %s",
				in.Forest.Name(),
				someOf(all)).With("dnsServers", lists)
		}),
	},
	{
		ID:       "transport.queues",
		Title:    "No mail for the tenant waits",
		Source:   "facts G 1, G 9 to G 12; issue 14: Transport",
		Severity: check.Warn,
		Scope:    PerForest, Needs: onPremisesRead, Reads: fact.List(fact.Queues),
		Why: "A queue to the tenant in Retry says in its last error why mail does not leave. Messages come back " +
			"after two days.",
		Fix: "hybridge explain with the text of the error names the cause. Fix it, and let the queue retry at " +
			"once.",
		Consider: "Everything that waits is sent at once.",
		Run: mailOnly(func(ctx context.Context, in Input) check.Result {
			coexistence, err := coexistenceDomain(ctx, in)
			if err != nil {
				return check.Unknown(err)
			}
			return look(fact.Queues, "%s queue to the tenant waits", "%s queues to the tenant wait",
				always(func(_ Input, q fact.Queue) flaw {
					if !strings.EqualFold(q.Status, "Retry") || !strings.EqualFold(q.NextHop, coexistence) {
						return flaw{}
					}
					return flaw{q.Identity + " (" + q.LastError + ")", []string{"Retry-Queue -Identity " +
						exchange.Quote(q.Identity)}}
				}))(ctx, in)
		}),
	},
	{
		ID:     "transport.outbound-overlap",
		Title:  "One outbound connector leads to each domain",
		Source: "exchange-hybrid 1.7 (c); issue 14: several connectors per space",
		Scope:  PerTenant, Needs: []check.ID{"access.online-read"}, Reads: fact.List(fact.OutboundConnectors),
		Why: "Of two outbound connectors for one domain, Exchange Online takes either: mail for a forest arrives at " +
			"another host, or without the headers of internal mail.",
		Fix:      "Remove the domain from the connector that is left over, or switch that connector off.",
		Consider: "Mail for the domain takes the other connector at once.",
		Run: mailOnly(func(ctx context.Context, in Input) check.Result {
			connectors, err := fact.OutboundConnectors.In(ctx, in.Tenant)
			if err != nil {
				return check.Unknown(err)
			}
			holders := map[string][]string{}
			for _, c := range connectors {
				if !c.Enabled || c.ByRule {
					continue
				}
				for _, d := range c.RecipientDomains {
					if d != "*" { // of centralized transport, or of all other mail
						holders[strings.ToLower(d)] = append(holders[strings.ToLower(d)], c.Name)
					}
				}
			}
			if shared := withSeveral(holders); len(shared) > 0 {
				return check.Failed("outbound connectors share a domain: %s", strings.Join(shared, "; ")).
					With("domains", shared)
			}
			return check.Pass("%s looked at", msg.Count(len(connectors), "%s outbound connector was",
				"%s outbound connectors were"))
		}),
	},
	{
		ID:       "transport.centralized-once",
		Title:    "All mail of the tenant leaves through one forest at most",
		Source:   "exchange-hybrid 1.1 (centralized transport), 1.7",
		Severity: check.Warn,
		Scope:    PerTenant, Needs: []check.ID{"access.online-read"}, Reads: fact.List(fact.OutboundConnectors),
		Why: "Centralized transport sends all mail of the tenant to one connector. With two, one of them is never " +
			"used, and a forest believes that its rules see all mail.",
		Fix: "Switch RouteAllMessagesViaOnPremises off on all connectors but one, and give the others the domains of " +
			"their forest as RecipientDomains: with * they take mail to the internet all the same.",
		Consider: "Mail to the internet may take another forest from then on, with its rules and limits.",
		Run: mailOnly(func(ctx context.Context, in Input) check.Result {
			connectors, err := fact.OutboundConnectors.In(ctx, in.Tenant)
			if err != nil {
				return check.Unknown(err)
			}
			var central []string
			var all []fact.OutboundConnector
			for _, c := range connectors {
				if c.Enabled && c.Centralized {
					central, all = append(central, c.Name), append(all, c)
				}
			}
			if len(central) > 1 {
				return check.Failed("%d outbound connectors route all mail: %s", len(central), someOf(central)).
					With("connectors", central).FixWith(decentralize(in, all)...)
			}
			return check.Pass("%s looked at", msg.Count(len(connectors), "%s outbound connector was",
				"%s outbound connectors were"))
		}),
	},
	{
		ID:       "transport.postmaster",
		Title:    "Reports to other organizations come from an own domain",
		Source:   "facts F.3: external postmaster; G 7",
		Severity: check.Warn,
		Scope:    PerTenant, Needs: []check.ID{"access.online-read"}, Reads: fact.List(fact.OnlineTransport),
		Why: "Exchange Online limits what a tenant sends from its onmicrosoft.com domains to 100 recipients outside " +
			"in 24 hours (550 5.7.236). Reports of the postmaster count.",
		Fix:      "Set ExternalPostmasterAddress to an address in a domain of the organization.",
		Consider: "Answers to reports arrive at the new address; it must exist.",
		Run: mailOnly(func(ctx context.Context, in Input) check.Result {
			settings, err := fact.OnlineTransport.In(ctx, in.Tenant)
			if err != nil {
				return check.Unknown(err)
			}
			_, domain, _ := strings.Cut(strings.ToLower(settings.Postmaster), "@")
			if strings.HasSuffix(domain, ".onmicrosoft.com") || strings.HasSuffix(domain, ".onmicrosoft.us") {
				return check.Failed("the postmaster of the tenant is %s", settings.Postmaster)
			}
			return check.Pass("the postmaster of the tenant is in no onmicrosoft.com domain")
		}),
	},
}

// decentralize are the commands that leave centralized transport to the first forest, as a plan
// does. There are none when it is not known which connector is of which forest.
func decentralize(in Input, central []fact.OutboundConnector) []string {
	kept := false
	var commands []string
	for _, c := range central {
		at := slices.IndexFunc(in.Forests,
			func(f *fact.Side) bool { return contains(c.SmartHosts, f.Answers.Namespace.SMTP) })
		if at == 0 && !kept {
			kept = true
			continue
		}
		command := "Set-OutboundConnector -Identity " + exchange.Quote(c.Name) +
			" -RouteAllMessagesViaOnPremises $false"
		if contains(c.RecipientDomains, "*") {
			if at < 0 {
				return nil
			}
			var quoted []string
			for _, d := range in.Forests[at].Answers.Domains {
				quoted = append(quoted, exchange.Quote(d))
			}
			command += " -RecipientDomains " + strings.Join(quoted, ", ")
		}
		commands = append(commands, command)
	}
	if !kept {
		return nil
	}
	return commands
}

// worldwideOnly makes a check of the addresses of Exchange Online not applicable in the clouds of
// which no list is at hand.
func worldwideOnly(run func(context.Context, Input) check.Result) func(context.Context, Input) check.Result {
	return func(ctx context.Context, in Input) check.Result {
		if in.Cloud.ID != "worldwide" {
			return check.NotApplicable("hybridge does not know the addresses of Exchange Online in %s", in.Cloud.Title)
		}
		return run(ctx, in)
	}
}

// frontends returns the Run of a check that judges the connectors at which the tenant's mail
// arrives.
func frontends(
	one, many string, judge func(in Input, c fact.ReceiveConnector) flaw,
) func(context.Context, Input) check.Result {
	return mailOnly(func(ctx context.Context, in Input) check.Result {
		list, err := defaultFrontends(ctx, in)
		if err != nil {
			return check.Unknown(err)
		}
		return lookAt(ctx, in, list, one, many, always(judge))
	})
}

// defaultFrontends returns the connectors of the Mailbox servers at which the tenant's mail
// arrives. transport.receive-connector fails on a server that has none.
func defaultFrontends(ctx context.Context, in Input) ([]fact.ReceiveConnector, error) {
	servers, err := fact.Servers.In(ctx, in.Forest)
	if err != nil {
		return nil, err
	}
	connectors, err := fact.ReceiveConnectors.In(ctx, in.Forest)
	if err != nil || len(in.Forest.Answers.Edge) > 0 {
		return nil, err
	}
	var out []fact.ReceiveConnector
	for _, s := range servers {
		if c, err := desired.DefaultFrontend(connectors, s.Name); err == nil && s.Mailbox && !s.Edge {
			out = append(out, c)
		}
	}
	return out, nil
}

// remoteDomains returns the Run of a check that judges the remote domains of each side for the
// other one. judge returns the name of one with a fault and the parameters that fix it.
func remoteDomains(
	one, many string, judge func(d fact.RemoteDomain) (name, parameters string),
) func(context.Context, Input) check.Result {
	return mailOnly(func(ctx context.Context, in Input) check.Result {
		coexistence, err := coexistenceDomain(ctx, in)
		if err != nil {
			return check.Unknown(err)
		}
		here, err := fact.RemoteDomains.In(ctx, in.Forest)
		if err != nil {
			return check.Unknown(err)
		}
		there, err := fact.OnlineRemoteDomains.In(ctx, in.Tenant)
		if err != nil {
			return check.Unknown(err)
		}
		here = slices.DeleteFunc(slices.Clone(here), func(d fact.RemoteDomain) bool {
			return !strings.EqualFold(d.Domain, coexistence)
		})
		there = slices.DeleteFunc(slices.Clone(there), func(d fact.RemoteDomain) bool {
			return !contains(in.Forest.Answers.Domains, d.Domain)
		})
		place := in.Forest.Name()
		at := func(in Input, d fact.RemoteDomain) flaw {
			name, parameters := judge(d)
			if name == "" {
				return flaw{}
			}
			return flaw{name + " in " + place, []string{"Set-RemoteDomain -Identity " + exchange.Quote(name) + " " +
				parameters}}
		}
		first := lookAt(ctx, in, here, one, many, always(at))
		if first.Status != check.StatusPass {
			return first
		}
		place = string(fact.Online)
		return lookAt(ctx, in, there, one, many, always(at))
	})
}

// everyone reports whether a connector takes connections from every address of IPv4.
func everyone(c fact.ReceiveConnector) bool {
	return slices.ContainsFunc(c.RemoteIPRanges, func(r string) bool {
		return r == "0.0.0.0-255.255.255.255" || r == "0.0.0.0/0"
	})
}

// leadsTo reports whether a send connector is for a domain.
func leadsTo(c fact.SendConnector, domain string) bool {
	return slices.ContainsFunc(c.AddressSpaces, func(s string) bool { return spaceDomain(s) == domain })
}

// spaceCost returns the cost of an address space: that of smtp:contoso.com;5 is 5.
func spaceCost(space string) string {
	_, cost, ok := strings.Cut(space, ";")
	if !ok {
		return "1"
	}
	return strings.TrimSpace(cost)
}

// fromExchangeOnline reports whether a range of addresses has one of Exchange Online.
func fromExchangeOnline(text string) bool {
	first, last := text, text
	if begin, end, ok := strings.Cut(text, "-"); ok {
		first, last = begin, end
	} else if p, err := netip.ParsePrefix(text); err == nil {
		return slices.ContainsFunc(exchangeOnlineMail, p.Overlaps)
	}
	from, err := netip.ParseAddr(strings.TrimSpace(first))
	if err != nil {
		return false
	}
	to, err := netip.ParseAddr(strings.TrimSpace(last))
	if err != nil {
		return false
	}
	return slices.ContainsFunc(exchangeOnlineMail, func(p netip.Prefix) bool {
		return p.Contains(from) || p.Contains(to) || from.Is4() == p.Addr().Is4() && from.Less(p.Addr()) &&
			p.Addr().Less(to)
	})
}

func without(list []string, s string) []string {
	return slices.DeleteFunc(slices.Clone(list), func(e string) bool { return strings.EqualFold(e, s) })
}
