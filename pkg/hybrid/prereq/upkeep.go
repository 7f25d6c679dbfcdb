package prereq

import (
	"context"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/hybridge-cli/hybridge/pkg/config/answers"
	"github.com/hybridge-cli/hybridge/pkg/engine/check"
	"github.com/hybridge-cli/hybridge/pkg/engine/msg"
	"github.com/hybridge-cli/hybridge/pkg/estate/exchange"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/desired"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/fact"
	"github.com/hybridge-cli/hybridge/pkg/wire/oauth"
)

var onPremisesRead = []check.ID{"access.onprem-read"}

// idle are the components that are off on every server on-premises.
var idle = []string{"ForwardSyncDaemon", "ProvisioningRps"}

// leastEWS is the default of EwsMaxConcurrency.
const leastEWS = 27

// upkeepChecks look at how the servers of a forest are kept.
var upkeepChecks = []Check{
	{
		ID:     "servers.components",
		Title:  "No component of a server is switched off",
		Source: "issue 14: component states",
		Scope:  PerForest, Needs: onPremisesRead, Reads: fact.List(fact.Components),
		Why: "A component that maintenance left off takes no requests: mail waits, or every second lookup fails " +
			"behind the load balancer.",
		Fix: "Finish the maintenance: switch the component on with the requester that switched it off (Maintenance, " +
			"Functional, HealthAPI).",
		Consider: "The server takes requests and mail at once. Finish updates first.",
		Run: look(fact.Components, "%s component is off", "%s components are off",
			always(func(_ Input, c fact.Component) flaw {
				if strings.EqualFold(c.State, "Active") || contains(idle, c.Name) {
					return flaw{}
				}
				return flaw{c.Name + " on " + c.Server + " (" + c.State + ")",
					[]string{"Set-ServerComponentState -Identity " +
						exchange.Quote(c.Server) + " -Component " + c.Name + " -State Active -Requester Maintenance"}}
			})),
	},
	{
		ID:     "servers.databases",
		Title:  "Every mailbox database is mounted",
		Source: "issue 14: dead servers",
		Scope:  PerForest, Needs: onPremisesRead, Reads: fact.List(fact.Databases),
		Why: "Lookups, moves and mail for the mailboxes of a dismounted database fail. A database whose server is " +
			"gone is dismounted for ever.",
		Fix: "Mount the database. Remove the object of a database whose server is gone, once its mailboxes are moved " +
			"or disabled.",
		Consider: "Mounting a database after a crash replays its logs; a damaged one must be repaired first.",
		Run: look(fact.Databases, "%s mailbox database is not mounted", "%s mailbox databases are not mounted",
			always(func(_ Input, d fact.Database) flaw {
				if d.Mounted == nil || *d.Mounted {
					return flaw{}
				}
				return flaw{d.Name + " on " + d.Server, []string{"Mount-Database -Identity " + exchange.Quote(d.Name)}}
			})),
	},
	{
		ID:       "servers.proxy",
		Title:    "All servers take the same way to the internet",
		Source:   "issue 14: proxy; facts G 20, G 23",
		Severity: check.Warn,
		Scope:    PerForest, Needs: onPremisesRead, Reads: fact.List(fact.Servers),
		Why: "Exchange asks the tenant through InternetWebProxy of the server that does the lookup. Where some " +
			"servers have the proxy and others do not, lookups fail or succeed by chance.",
		Fix: "Set InternetWebProxy to the same value on every Mailbox server, or on none.",
		Consider: "All web requests of the server take the proxy from then on. The proxy must let the tenant's hosts " +
			"pass.",
		Run: func(ctx context.Context, in Input) check.Result {
			servers, err := fact.Servers.In(ctx, in.Forest)
			if err != nil {
				return check.Unknown(err)
			}
			ways := map[string][]string{}
			for _, s := range servers {
				if s.Mailbox && !s.Edge {
					way := strings.ToLower(strings.TrimSuffix(withoutPassword(s.Proxy), "/"))
					if way == "" {
						way = "none"
					}
					ways[way] = append(ways[way], s.Name)
				}
			}
			if len(ways) < 2 {
				return check.Pass("the servers of forest %s have one way to the internet", in.Forest.Name())
			}
			var all []string
			for _, way := range sorted(ways) {
				all = append(all, way+" ("+strings.Join(ways[way], ", ")+")")
			}
			return check.Failed("the servers of forest %s have different proxies: %s", in.Forest.Name(), someOf(all)).
				With("proxies", ways)
		},
	},
	{
		ID:     "servers.proxy-form",
		Title:  "Proxies of servers have a form that Exchange uses",
		Source: "issue 14: proxy; source FAQ 5039",
		Scope:  PerForest, Needs: onPremisesRead, Reads: fact.List(fact.Servers),
		Why: "Exchange uses InternetWebProxy only in the form http://HOST:PORT. With another form its requests " +
			"fail.",
		Fix:      "Correct the value, without path and without name and password.",
		Consider: "The server uses the proxy from then on; it must let the tenant's hosts pass.",
		Run: look(fact.Servers, "%s server has a proxy that cannot be used",
			"%s servers have proxies that cannot be used",
			always(func(_ Input, s fact.Server) flaw {
				if s.Proxy == "" {
					return flaw{}
				}
				u, err := url.Parse(s.Proxy)
				if err == nil && u.Scheme == "http" && u.Hostname() != "" && u.User == nil &&
					(u.Path == "" || u.Path == "/") {
					return flaw{}
				}
				return flaw{s.Name + " (" + withoutPassword(s.Proxy) + ")",
					[]string{"Set-ExchangeServer -Identity " + exchange.Quote(s.Name) +
						" -InternetWebProxy 'http://proxy.example:8080'"}}
			})),
	},
	{
		ID:       "servers.static-controllers",
		Title:    "No server is bound to domain controllers by hand",
		Source:   "issue 14: dead servers; HealthChecker",
		Severity: check.Warn,
		Scope:    PerForest, Needs: onPremisesRead, Reads: fact.List(fact.Servers),
		Why: "A server with domain controllers set by hand uses no other ones. When they are retired or far away, it " +
			"stops, and what hybridge writes elsewhere reaches it late.",
		Fix:      "Clear the lists, so that the server finds domain controllers by its site.",
		Consider: "The server uses every domain controller of its site, also those that were excluded for a reason.",
		Run: look(fact.Servers, "%s server is bound to domain controllers",
			"%s servers are bound to domain controllers",
			always(func(_ Input, s fact.Server) flaw {
				if len(s.Pinned) == 0 {
					return flaw{}
				}
				return flaw{s.Name + " (" + strings.Join(s.Pinned, ", ") + ")",
					[]string{"Set-ExchangeServer -Identity " +
						exchange.Quote(s.Name) + " -StaticDomainControllers $null -StaticGlobalCatalogs $null " +
						"-StaticConfigDomainController $null"}}
			})),
	},
	{
		ID:       "servers.trial",
		Title:    "No server runs an expired trial",
		Source:   "issue 14: Exchange; HealthChecker",
		Severity: check.Warn,
		Scope:    PerForest, Needs: onPremisesRead, Reads: fact.List(fact.Servers),
		Why: "Exchange runs on after the 180 days of its trial, and Microsoft supports nothing on it. A hybrid " +
			"server gets its key without charge from Microsoft's wizard.",
		Fix:      "Enter the product key with Set-ExchangeServer -ProductKey, and restart the information store.",
		Consider: "Restarting the information store dismounts the databases of the server for some minutes.",
		Run: look(fact.Servers, "%s server runs an expired trial", "%s servers run an expired trial",
			always(func(_ Input, s fact.Server) flaw {
				if !s.TrialExpired {
					return flaw{}
				}
				return flaw{object: s.Name}
			})),
	},
	{
		ID:       "servers.mitigations-off",
		Title:    "Servers take Microsoft's emergency mitigations",
		Source:   "facts B.1: Emergency Mitigation",
		Severity: check.Warn,
		Scope:    PerForest, Needs: onPremisesRead, Reads: fact.List(fact.Servers),
		Why: "Exchange's Emergency Mitigation service closes a hole that is attacked until the update is installed. " +
			"A server that faces the internet for hybrid is the first to be attacked.",
		Fix:      "Switch it on again.",
		Consider: "A mitigation may switch a feature off until the update is installed.",
		Run: look(fact.Servers, "%s server takes no mitigations", "%s servers take no mitigations",
			always(func(_ Input, s fact.Server) flaw {
				if !s.Unmitigated || s.Edge {
					return flaw{}
				}
				return flaw{s.Name, []string{"Set-ExchangeServer -Identity " + exchange.Quote(s.Name) +
					" -MitigationsEnabled $true"}}
			})),
	},
	{
		ID:     "servers.windows-authentication",
		Title:  "EWS and autodiscover take Windows authentication",
		Source: "exchange-hybrid 6.1: FreeBusyChecker",
		Scope:  PerForest, Needs: onPremisesRead, Reads: fact.List(fact.VirtualDirectories),
		Why: "Servers hand lookups of one another on with Windows authentication, and moves sign in with it. Without " +
			"it a lookup fails when the mailbox is on another server than the one that was asked.",
		Fix:      "Enable it on the virtual directories named, and restart IIS there.",
		Consider: "Clients may sign in with NTLM from outside; Extended Protection limits relayed sign-ins.",
		Run: look(fact.VirtualDirectories, "%s virtual directory takes no Windows authentication",
			"%s virtual directories take no Windows authentication", always(func(_ Input,
				d fact.VirtualDirectory) flaw {
				if !slices.Contains(d.Closed, "WindowsIntegrated") {
					return flaw{}
				}
				return flaw{d.Identity, []string{"Set-" + d.Noun + " -Identity " + exchange.Quote(d.Identity) +
					" -WindowsAuthentication $true"}}
			})),
	},
	{
		ID:       "servers.ws-security",
		Title:    "EWS and autodiscover take WS-Security",
		Source:   "exchange-hybrid P13, 6.1: FreeBusyChecker",
		Severity: check.Warn,
		Scope:    PerForest, Needs: onPremisesRead, Reads: fact.List(fact.VirtualDirectories),
		Why: "Relationships with other organizations that use the federation trust sign in with WS-Security, and " +
			"Microsoft's support asks for it as the default of hybrid servers.",
		Fix:      "Enable it on the virtual directories named, and restart IIS there.",
		Consider: "None is known: only holders of a token of the federation trust can use it.",
		Run: look(fact.VirtualDirectories, "%s virtual directory takes no WS-Security",
			"%s virtual directories take no WS-Security", always(func(_ Input, d fact.VirtualDirectory) flaw {
				if !slices.Contains(d.Closed, "WSSecurity") {
					return flaw{}
				}
				return flaw{d.Identity, []string{"Set-" + d.Noun + " -Identity " + exchange.Quote(d.Identity) +
					" -WSSecurityAuthentication $true"}}
			})),
	},
	{
		ID:       "servers.owa-url",
		Title:    "Outlook on the web has an address for people outside",
		Source:   "issue 14: virtual directories",
		Severity: check.Warn,
		Scope:    PerForest, Needs: onPremisesRead, Reads: fact.List(fact.ClientDirectories),
		Why: "Exchange leads people whose mailbox is on the other side by the external address of Outlook on the " +
			"web. Without one they see an error after they sign in.",
		Fix:      "Set ExternalUrl of the virtual directories named to https://HOST/owa.",
		Consider: "Redirects lead to the new address at once; it must be published.",
		Run: wanted(func(in Input) bool { return wants(in, answers.OWARedirection) },
			look(fact.ClientDirectories, "%s virtual directory has no external address",
				"%s virtual directories have no external address", always(func(in Input, d fact.ClientDirectory) flaw {
					if d.Noun != fact.OWADirectory || d.ExternalURL != "" {
						return flaw{}
					}
					return flaw{d.Identity, []string{"Set-OwaVirtualDirectory -Identity " + exchange.Quote(d.Identity) +
						" -ExternalUrl " + exchange.Quote("https://"+in.Forest.Answers.Namespace.EWS+"/owa")}}
				}))),
	},
	{
		ID:       "servers.activesync-url",
		Title:    "External addresses of ActiveSync can be used",
		Source:   "facts G 47",
		Severity: check.Warn,
		Scope:    PerForest, Needs: onPremisesRead, Reads: fact.List(fact.ClientDirectories),
		Why: "Phones get this address from autodiscover, and the redirect to the tenant after a move depends on it. " +
			"Exchange refuses the form (\"ActiveSync URL was in an Invalid format\").",
		Fix:      "Set ExternalUrl to https://HOST/Microsoft-Server-ActiveSync.",
		Consider: "Phones that were set up by hand keep their address.",
		Run: look(fact.ClientDirectories, "%s virtual directory has an address that phones cannot use",
			"%s virtual directories have addresses that phones cannot use",
			always(func(in Input, d fact.ClientDirectory) flaw {
				if d.Noun != fact.ActiveSyncDirectory || d.ExternalURL == "" {
					return flaw{}
				}
				u, err := url.Parse(d.ExternalURL)
				if err == nil && u.Scheme == "https" && strings.EqualFold(u.Path, "/Microsoft-Server-ActiveSync") {
					return flaw{}
				}
				return flaw{d.Identity + " (" + d.ExternalURL + ")",
					[]string{"Set-ActiveSyncVirtualDirectory -Identity " +
						exchange.Quote(d.Identity) + " -ExternalUrl " +
						exchange.Quote("https://"+in.Forest.Answers.Namespace.EWS+"/Microsoft-Server-ActiveSync")}}
			})),
	},
	{
		ID:       "servers.throttling",
		Title:    "No throttling policy of the organization holds lookups back",
		Source:   "issue 14: throttling",
		Severity: check.Warn,
		Scope:    PerForest, Needs: onPremisesRead, Reads: fact.List(fact.ThrottlingPolicies),
		Why: "A policy for the whole organization limits the EWS requests that the tenant's lookups and moves make " +
			"at once. Below Exchange's default of 27, meetings with many attendees show hash marks.",
		Fix:      "Raise EwsMaxConcurrency, and give the few accounts that are to be limited a policy of their own.",
		Consider: "Programs of the organization may use more of the servers' processor time.",
		Run: look(fact.ThrottlingPolicies, "%s policy limits EWS for the organization",
			"%s policies limit EWS for the organization", always(func(_ Input, p fact.Throttling) flaw {
				limit, err := strconv.Atoi(p.EWS)
				if err != nil || limit >= leastEWS || strings.EqualFold(p.Scope, "Regular") {
					return flaw{}
				}
				return flaw{p.Name + " (EwsMaxConcurrency " + p.EWS + ")", []string{"Set-ThrottlingPolicy -Identity " +
					exchange.Quote(p.Name) + " -EWSMaxConcurrency " + strconv.Itoa(leastEWS)}}
			})),
	},
	{
		ID:     "servers.address-policy-filter",
		Title:  "Email address policies have filters of this version",
		Source: "issue 14: address policies with legacy filters; exchange-hybrid 1.8",
		Scope:  PerForest, Needs: onPremisesRead, Reads: fact.List(fact.AddressPolicies),
		Why: "A policy with an LDAP filter of Exchange 2003 cannot get the template with the coexistence domain: " +
			"Microsoft's wizard and hybridge fail on it, and recipients get no routing address.",
		Fix: "Write the filter anew with Set-EmailAddressPolicy -RecipientFilter or -IncludedRecipients and " +
			"-ForceUpgrade.",
		Consider: "Recipients that the new filter includes besides get the policy's addresses when it is applied.",
		Run: look(fact.AddressPolicies, "%s email address policy has a filter of Exchange 2003",
			"%s email address policies have filters of Exchange 2003", always(func(_ Input, p fact.AddressPolicy) flaw {
				if !p.Legacy {
					return flaw{}
				}
				return flaw{p.Name, []string{"Set-EmailAddressPolicy -Identity " + exchange.Quote(p.Name) +
					" -IncludedRecipients AllRecipients -ForceUpgrade"}}
			})),
	},
	{
		ID:     "servers.partner-account",
		Title:  "The account of Exchange Online's application is there",
		Source: "exchange-hybrid 6.1: FreeBusyChecker",
		Scope:  PerForest, Needs: onPremisesRead, Reads: fact.List(fact.PartnerApplications),
		Why: "Exchange gives the tenant's lookups the rights of the account that the partner application is linked " +
			"to. Without it, every token of the tenant is refused.",
		Fix: "Run setup.exe /PrepareAD, which makes the account again, and link it.",
		Consider: "setup.exe /PrepareAD writes other objects of Exchange in the directory too. Run it from the " +
			"newest version in the organization.",
		Run: look(fact.PartnerApplications, "%s partner application has no account",
			"%s partner applications have no account", always(func(_ Input, p fact.PartnerApplication) flaw {
				if !strings.EqualFold(p.ApplicationIdentifier, oauth.AppExchangeOnline) || p.Realm != "" ||
					p.Account != "" {
					return flaw{}
				}
				return flaw{p.Name, []string{"Set-PartnerApplication -Identity " + exchange.Quote(p.Name) +
					" -LinkedAccount 'Exchange Online-ApplicationAccount'"}}
			})),
	},
	{
		ID:     "servers.override-status",
		Title:  "Servers accept the setting overrides of hybrid features",
		Source: "facts A.8",
		Scope:  PerForest, Needs: onPremisesRead, Reads: fact.List(fact.SettingOverrides),
		Why: "Exchange ignores an override with a wrong parameter or for a version that it does not know, and the " +
			"feature stays off.",
		Fix: "Remove the override, and make it again with hybridge apply.",
		Consider: "Until the new override is read, within an hour or after a refresh, lookups take the way without " +
			"the feature.",
		Run: look(fact.SettingOverrides, "%s override of a hybrid feature is not accepted",
			"%s overrides of hybrid features are not accepted", always(func(_ Input, o fact.SettingOverride) flaw {
				hybrid := strings.EqualFold(o.Section, desired.GraphSection) ||
					strings.EqualFold(o.Section, "ExchangeOnpremAsThirdPartyAppId")
				// ServerMismatch and the like: the override is for other servers than the one that
				// was asked.
				elsewhere := strings.HasSuffix(strings.ToLower(o.Status), "mismatch")
				if !hybrid || o.Status == "" || strings.EqualFold(o.Status, "Accepted") || elsewhere {
					return flaw{}
				}
				return flaw{o.Name + " (" + o.Status + ")", []string{"Remove-SettingOverride -Identity " +
					exchange.Quote(o.Name)}}
			})),
	},
}

// withoutPassword replaces what stands before the host of a proxy. Exchange keeps the value as it was
// written, which is not always an address.
func withoutPassword(proxy string) string {
	at := strings.LastIndexByte(proxy, '@')
	if at < 0 {
		return proxy
	}
	scheme, _, ok := strings.Cut(proxy[:at], "://")
	if !ok {
		return "xxxxx" + proxy[at:]
	}
	return scheme + "://xxxxx" + proxy[at:]
}

// updatesChecks look at the security updates of servers, and at what Microsoft knows to be wrong
// with builds.
var updatesChecks = []Check{
	{
		ID:       "servers.updates",
		Title:    "Servers have the latest security update",
		Source:   "facts B.1: builds to 2026-10-02",
		Severity: check.Warn,
		Scope:    PerForest, Needs: onPremisesRead, Reads: fact.List(fact.Installed),
		Why: "The update of 2 October 2026 closes a hole through which signed-in people read the mailboxes of others " +
			"(CVE-2026-96940); servers with the first update of September 2026 need it too. Newer updates are not in " +
			"this version's table.",
		Fix: "Install the latest security update on the servers named: Get-Command ExSetup.exe on a server shows " +
			"what it has.",
		Consider: "From August 2026 on, MRSProxy takes no sign-in through a proxy that ends TLS, Outlook Web App " +
			"Light is gone, and programs that fetch published calendars get an error 500 (KB5126672).",
		Run: func(ctx context.Context, in Input) check.Result {
			servers, err := fact.Installed.In(ctx, in.Forest)
			if err != nil {
				return check.Unknown(err)
			}
			var behind, untold []string
			for _, s := range servers {
				l, ok := s.Build.Line()
				switch {
				case !ok: // servers.build fails on it
				case !s.Told:
					untold = append(untold, s.Server)
				case s.Build.Compare(l.Latest) < 0:
					behind = append(behind, s.Server+" ("+s.Build.String()+", latest "+l.Latest.String()+")")
				}
			}
			switch {
			case len(behind) > 0:
				return check.Failed("%s without the latest security update: %s",
					msg.Count(len(behind), "%s server is", "%s servers are"), someOf(behind)).With("servers", behind)
			case len(untold) > 0:
				return check.Failed("the build number does not show which security update is installed on %s",
					someOf(untold)).With("unknown", untold)
			}
			return check.Pass("%s looked at", msg.Count(len(servers), "%s server was", "%s servers were"))
		},
	},
	{
		ID:       "servers.same-build",
		Title:    "The servers of a forest have the same updates",
		Source:   "issue 14: N and N-1; facts B.1",
		Severity: check.Warn,
		Scope:    PerForest, Needs: onPremisesRead, Reads: fact.List(fact.Installed),
		Why: "Behind a load balancer, each lookup reaches another server. Where updates differ, a fault appears and " +
			"disappears, and the dedicated application works on some servers only.",
		Fix:      "Install the same cumulative and security update on all Mailbox servers.",
		Consider: "The servers restart. Move active databases away first.",
		Run: func(ctx context.Context, in Input) check.Result {
			servers, err := fact.Installed.In(ctx, in.Forest)
			if err != nil {
				return check.Unknown(err)
			}
			builds := map[string][]string{}
			for _, s := range servers {
				if s.Told {
					builds[s.Build.String()] = append(builds[s.Build.String()], s.Server)
				}
			}
			if len(builds) < 2 {
				return check.Pass("%s looked at", msg.Count(len(servers), "%s server was", "%s servers were"))
			}
			var all []string
			for _, b := range sorted(builds) {
				all = append(all, b+" ("+strings.Join(builds[b], ", ")+")")
			}
			return check.Failed("the servers of forest %s have %d builds: %s", in.Forest.Name(), len(builds),
				someOf(all)).
				With("builds", builds)
		},
	},
	{
		ID:       "servers.stale-mitigation",
		Title:    "No mitigation is left after its update",
		Source:   "facts B.1: mitigation M2.1.0",
		Severity: check.Warn,
		Scope:    PerForest, Needs: onPremisesRead, Reads: fact.List(fact.Servers, fact.Installed),
		Why: "The mitigation M2.1.0 of May 2026 (CVE-2026-42897) stays on the server after the update, and keeps off " +
			"what it switched off.",
		Fix:      "Remove it on the server as its knowledge base article says, and block it from being applied again.",
		Consider: "A server without the update is open to the attack again: install the update first.",
		Run: func(ctx context.Context, in Input) check.Result {
			installed, err := fact.Installed.In(ctx, in.Forest)
			if err != nil {
				return check.Unknown(err)
			}
			return look(fact.Servers, "%s server keeps the mitigation M2.1.0",
				"%s servers keep the mitigation M2.1.0", always(func(_ Input, s fact.Server) flaw {
					updated := slices.ContainsFunc(installed, func(i fact.Install) bool {
						return i.Server == s.Name && i.Told && i.Build.Has("Jul26SU")
					})
					if !updated || !contains(s.Mitigations, "M2.1.0") {
						return flaw{}
					}
					return flaw{s.Name, []string{"Set-ExchangeServer -Identity " + exchange.Quote(s.Name) +
						" -MitigationsBlocked @{Add='M2.1.0'}"}}
				}))(ctx, in)
		},
	},
	{
		ID:       "servers.stale-override",
		Title:    "No workaround is left after its update",
		Source:   "facts B.1: DisableBlockSharedAndUserMailboxHeaders; C.4 row 71",
		Severity: check.Warn,
		Scope:    PerForest, Needs: onPremisesRead, Reads: fact.List(fact.SettingOverrides, fact.Installed),
		Why: "The override DisableBlockSharedAndUserMailboxHeaders works around the wrapped messages of June to " +
			"August 2026. From the update of September 2026 on, it only switches a protection off.",
		Fix:      "Remove the override.",
		Consider: "None is known where every server has the update of September 2026.",
		Run: func(ctx context.Context, in Input) check.Result {
			installed, err := fact.Installed.In(ctx, in.Forest)
			if err != nil {
				return check.Unknown(err)
			}
			updated := !slices.ContainsFunc(installed, func(i fact.Install) bool { return !i.Build.Has("Sep26SU") })
			return look(fact.SettingOverrides, "%s workaround is no longer needed",
				"%s workarounds are no longer needed",
				always(func(_ Input, o fact.SettingOverride) flaw {
					if !updated || !strings.Contains(o.Name+o.Section, "DisableBlockSharedAndUserMailboxHeaders") {
						return flaw{}
					}
					return flaw{o.Name, []string{"Remove-SettingOverride -Identity " + exchange.Quote(o.Name)}}
				}))(ctx, in)
		},
	},
}

// defect is what Microsoft knows to be wrong with builds: from an update on (empty: always), until
// the update that fixes it.
type defect struct {
	id, title, source, from, fixed string
	graph                          bool // only of lookups through Microsoft Graph
	warn                           bool
	why, fix, consider             string
}

// defects are the known defects of builds that a build alone decides. Source: facts B.1.
var defects = []defect{
	{
		id: "servers.shifted-times", title: "Lookups through Microsoft Graph show the right hours", graph: true,
		source: "facts A.2, B.1, G 27", from: "May26HU", fixed: "Sep26SU",
		why: "These builds show the busy times of mailboxes in the tenant shifted by the offset of the asking " +
			"person's time zone from UTC, without an error.",
		fix:      "Install the security update of September 2026 or a later one.",
		consider: "As servers.updates says. Meetings that people planned by the wrong hours stay where they are.",
	},
	{
		id: "servers.delegate-lookups", title: "Delegates see free/busy through Microsoft Graph", graph: true,
		warn:   true,
		source: "facts A.2, B.1, G 26", from: "May26HU", fixed: "Sep26SUv2",
		why: "With lookups through Microsoft Graph alone, a delegate who opens another person's calendar gets no " +
			"free/busy of the tenant: 403 in the EWS log, \"Your server location could not be determined\" in " +
			"Outlook (KB5127092).",
		fix: "Install the update of 2 October 2026. Until then, keep the EWS permission and the allow list, or " +
			"switch the Graph route off with Set-SettingOverride.",
		consider: "With the Graph route off, lookups need EWS in the tenant, which ends on 2027-04-01.",
	},
	{
		id: "servers.wrapped-messages", title: "Shared mailboxes get messages as they were sent", warn: true,
		source: "facts B.1, G 30", from: "Jun26SU", fixed: "Sep26SU",
		why: "In hybrid organizations, these builds deliver some messages to shared mailboxes inside a wrapper " +
			"message.",
		fix: "Install the security update of September 2026 or a later one, and then remove the override " +
			"DisableBlockSharedAndUserMailboxHeaders where it was set.",
		consider: "Messages that were delivered in a wrapper stay so.",
	},
	{
		id: "servers.mitigation-files", title: "Servers can read Microsoft's mitigation and feature files", warn: true,
		source: "facts B.1, G 29", from: "", fixed: "Jun26SU",
		why: "Builds before the security update of June 2026 do not trust the issuer of the files of July 2026 and " +
			"later (\"Unknown Issuer\"): they get no emergency mitigation and no new feature setting.",
		fix:      "Install the security update of June 2026 or a later one.",
		consider: "As servers.updates says.",
	},
}

// defectChecks returns one check per defect.
func defectChecks() []Check {
	var out []Check
	for _, d := range defects {
		c := Check{
			ID: check.ID(d.id), Title: d.title, Source: d.source, Scope: PerForest, Needs: onPremisesRead,
			Reads: fact.List(fact.Installed), Why: d.why, Fix: d.fix, Consider: d.consider,
			Run: look(fact.Installed, "%s server has a build with the defect", "%s servers have builds with the defect",
				always(func(_ Input, i fact.Install) flaw {
					if !i.Told || !i.Build.Within(d.from, d.fixed) {
						return flaw{}
					}
					return flaw{object: i.Server + " (" + i.Build.String() + ")"}
				})),
		}
		if d.warn {
			c.Severity = check.Warn
		}
		if d.graph {
			run := c.Run
			c.Reads = append(c.Reads, fact.SettingOverrides)
			c.Run = func(ctx context.Context, in Input) check.Result {
				overrides, err := fact.SettingOverrides.In(ctx, in.Forest)
				if err != nil {
					return check.Unknown(err)
				}
				on := slices.ContainsFunc(overrides, func(o fact.SettingOverride) bool {
					return strings.EqualFold(o.Section, desired.GraphSection) && o.On()
				})
				if !on {
					return check.Pass("lookups do not go through Microsoft Graph")
				}
				return run(ctx, in)
			}
		}
		out = append(out, c)
	}
	return out
}
