package prereq

import (
	"context"
	"errors"
	"math"
	"net/netip"
	"slices"
	"strings"

	"github.com/hybridge-cli/hybridge/pkg/config/answers"
	"github.com/hybridge-cli/hybridge/pkg/config/cloud"
	"github.com/hybridge-cli/hybridge/pkg/engine/check"
	"github.com/hybridge-cli/hybridge/pkg/engine/msg"
	"github.com/hybridge-cli/hybridge/pkg/estate/certificate"
	"github.com/hybridge-cli/hybridge/pkg/estate/exchange"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/fact"
)

// tenantStateChecks judge what the tenant is, and what it lets through.
var tenantStateChecks = []Check{
	{
		ID:    "tenant.type",
		Title: "The tenant is one for employees",
		Scope: PerTenant,
		Needs: []check.ID{"access.entra-read"},
		Reads: fact.List(fact.Tenant),
		Why: "Tenants for customers (Entra External ID, Azure AD B2C) have no Exchange Online and no " +
			"synchronization.",
		Fix: "Name the organization's own tenant in exchangeOnline.tenant.",
		Consider: "A plan for another tenant makes objects there: sign in to it as an application or person of " +
			"that tenant.",
		Run: func(ctx context.Context, in Input) check.Result {
			tenant, err := fact.Tenant.In(ctx, in.Tenant)
			switch {
			case err != nil:
				return check.Unknown(err)
			case tenant.TenantType != "" && !strings.EqualFold(tenant.TenantType, "AAD"):
				return check.Failed("the tenant %s is of the type %s", tenant.DisplayName, tenant.TenantType)
			}
			return check.Pass("the tenant %s is one for employees", tenant.DisplayName)
		},
	},
	{
		ID:    "tenant.cloud",
		Title: "The answers name the cloud of the tenant",
		Scope: PerTenant,
		Reads: fact.List(fact.DomainTenants),
		Why: "Each cloud has hosts of its own for sign-in, Graph and Exchange Online. With another cloud's, " +
			"sign-in ends in AADSTS90002 or 900432, and connectors get names that no server has.",
		Fix:      "Set exchangeOnline.cloud to the cloud that the finding names.",
		Consider: "The next plan changes every address of the cloud in connectors, auth servers and relationships.",
		Run: func(ctx context.Context, in Input) check.Result {
			name := in.Answers.ExchangeOnline.Tenant
			found, err := fact.DomainTenants.In(ctx, in.Network, strings.ToLower(name))
			switch {
			case errors.Is(err, fact.ErrNoTenant):
				return check.Failed("the cloud %s has no tenant %s", in.Cloud.ID, name)
			case err != nil:
				return check.Unknown(err)
			}
			if id := residence(found); id != "" && id != in.Cloud.ID {
				return check.Failed("the tenant %s is in the cloud %s, and the answers say %s", name, id, in.Cloud.ID).
					With("cloudInstance", found.Cloud).With("regionSubScope", found.SubScope)
			}
			return check.Pass("the tenant %s is in the cloud %s", name, in.Cloud.ID)
		},
	},
	{
		ID:    "tenant.exchange-plan",
		Title: "The tenant has a subscription with Exchange Online",
		Scope: PerTenant,
		Needs: []check.ID{"access.entra-read"},
		Reads: fact.List(fact.Subscriptions),
		Why: "Without a subscription that brings mailboxes, and after it was suspended, Exchange Online lacks " +
			"cmdlets (Get-OrganizationConfig is not recognized), makes no mailboxes and sends no mail.",
		Fix:      "Buy or renew a product with Exchange Online; a trial is enough to set hybrid up.",
		Consider: "A trial tenant sends to 500 external recipients a day at most (NDR 5.7.232).",
		Run: func(ctx context.Context, in Input) check.Result {
			subscriptions, err := fact.Subscriptions.In(ctx, in.Tenant)
			if err != nil {
				return check.Unknown(err)
			}
			var stopped []string
			for _, s := range subscriptions {
				switch {
				case !s.Mailboxes || s.Bought == 0 && strings.EqualFold(s.Status, "Enabled"):
				case strings.EqualFold(s.Status, "Enabled"), strings.EqualFold(s.Status, "Warning"):
					return check.Pass("the subscription %s brings mailboxes", s.Name)
				default:
					stopped = append(stopped, s.Name+" ("+s.Status+")")
				}
			}
			if len(stopped) > 0 {
				return check.Failed("every subscription with Exchange Online has ended: %s", someOf(stopped))
			}
			return check.Failed("no subscription of the tenant brings mailboxes in Exchange Online")
		},
	},
	{
		ID:       "tenant.licences",
		Title:    "Licences are left for mailboxes that move",
		Scope:    PerTenant,
		Severity: check.Warn,
		Needs:    []check.ID{"access.entra-read", "tenant.exchange-plan"},
		Reads:    fact.List(fact.Subscriptions),
		Why: "A mailbox that moves needs a licence within 30 days, or Exchange Online deletes it. All licences with " +
			"Exchange Online are in use.",
		Fix:      "Buy licences before the next batch moves, or take them from accounts that left.",
		Consider: "An account that loses its licence keeps its mailbox for 30 days.",
		Run: func(ctx context.Context, in Input) check.Result {
			if !wants(in, answers.MoveMailbox) {
				return check.NotApplicable("the features of the answers do not include moveMailbox")
			}
			subscriptions, err := fact.Subscriptions.In(ctx, in.Tenant)
			if err != nil {
				return check.Unknown(err)
			}
			bought, used := 0, 0
			for _, s := range subscriptions {
				if s.Mailboxes {
					bought, used = bought+s.Bought, used+min(s.Used, s.Bought)
				}
			}
			if used >= bought {
				return check.Warned("all %s licences with Exchange Online are in use", msg.Number(bought))
			}
			return check.Pass("%s of %s licences with Exchange Online are left",
				msg.Number(bought-used), msg.Number(bought))
		},
	},
	{
		ID:       "tenant.frontline",
		Title:    "Mailboxes of frontline workers are looked up without EWS",
		Scope:    PerTenant,
		Severity: check.Warn,
		Needs:    []check.ID{"access.entra-read"},
		Reads:    fact.List(fact.Subscriptions, fact.MailboxServers),
		Why: "Since 2026-06-30 Exchange Online refuses EWS for mailboxes with a frontline licence (F1, F3, Kiosk). " +
			"That lookups from on-premises by the EWS route are refused for them too is inferred.",
		Fix:      "Use the Graph route (richCoexistence: graph, Exchange SE), or give those people a licence with EWS.",
		Consider: "The Graph route carries free/busy, photos and automatic replies. Other MailTips are missing.",
		Run: func(ctx context.Context, in Input) check.Result {
			subscriptions, err := fact.Subscriptions.In(ctx, in.Tenant)
			if err != nil {
				return check.Unknown(err)
			}
			var names []string
			for _, s := range subscriptions {
				if s.Frontline && s.Used > 0 {
					names = append(names, s.Name)
				}
			}
			if len(names) == 0 {
				return check.Pass("no frontline licence is in use")
			}
			route, err := chosenRoute(ctx, in)
			switch {
			case err != nil:
				return check.Unknown(err)
			case route == fact.RouteGraph:
				return check.Pass("lookups go through Microsoft Graph")
			}
			return check.Warned("frontline licences are in use, and lookups from on-premises take EWS: %s",
				someOf(names))
		},
	},
	{
		ID:       "tenant.outbound-limit",
		Title:    "Mail to the internet through the tenant stays within its limit",
		Scope:    PerForest,
		Severity: check.Warn,
		Needs:    []check.ID{"access.onprem-read", "access.entra-read"},
		Reads:    fact.List(fact.SendConnectors, fact.Subscriptions),
		Why: "The forest sends mail to the internet through Exchange Online. It counts towards the tenant's limit " +
			"of external recipients within 24 hours (500 x licences^0.7 + 9500). Beyond it all mail of the tenant " +
			"to outside is refused (NDR 5.7.233).",
		Fix: "Send bulk mail by a service of its own, or to the internet directly. The Exchange admin center shows " +
			"what the tenant has used (tenant outbound external recipients).",
		Consider: "A server that sends directly needs its address in the SPF record, a reverse name and a reputation.",
		Run: tenantOnly(func(ctx context.Context, in Input) check.Result {
			if in.Cloud.ID != "worldwide" {
				return check.NotApplicable("the limit is for the worldwide cloud")
			}
			connectors, err := fact.SendConnectors.In(ctx, in.Forest)
			if err != nil {
				return check.Unknown(err)
			}
			at := slices.IndexFunc(connectors, func(c fact.SendConnector) bool {
				return c.Enabled &&
					slices.ContainsFunc(c.AddressSpaces, func(s string) bool { return spaceDomain(s) == "*" }) &&
					slices.ContainsFunc(c.SmartHosts, cloud.IsExchangeOnline)
			})
			if at < 0 {
				return check.Pass("forest %s sends no mail to the internet through the tenant", in.Forest.Name())
			}
			subscriptions, err := fact.Subscriptions.In(ctx, in.Tenant)
			if err != nil {
				return check.Unknown(err)
			}
			licences := 0
			for _, s := range subscriptions {
				if s.Mailboxes {
					licences += s.Bought
				}
			}
			return check.Warned("the send connector %s relays to the internet through the tenant, which reaches %s "+
				"external "+
				"recipients within 24 hours", connectors[at].Name,
				msg.Number(int(500*math.Pow(float64(licences), 0.7)+9500))).With("licences", licences)
		}),
	},
	{
		ID:    "tenant.connector-certificate",
		Title: "The tenant recognizes the forest's mail by its certificate",
		Scope: PerForest,
		Needs: []check.ID{"access.online-read", "access.onprem-read"},
		Reads: fact.List(fact.InboundConnectors, fact.HybridOrganizations, fact.Organization, fact.OnlineConfig,
			fact.CertificateFile, fact.MailServers),
		Why: "TlsSenderCertificateName of the forest's inbound connector must be a name of the certificate that " +
			"its servers present. After a renewal with another name, mail arrives as external, or is refused as " +
			"relayed (5.7.64), and with RejectDirectSend as direct send (5.7.68).",
		Fix: "hybridge plan sets the name of the certificate, and enables the connector.",
		Consider: "The old certificate is no longer recognized: change the connector when all servers present the " +
			"new one.",
		Run: mailOnly(func(ctx context.Context, in Input) check.Result {
			connectors, err := fact.InboundConnectors.In(ctx, in.Tenant)
			if err != nil {
				return check.Unknown(err)
			}
			records, err := fact.HybridOrganizations.In(ctx, in.Tenant)
			if err != nil {
				return check.Unknown(err)
			}
			organization, err := fact.Organization.In(ctx, in.Forest)
			if err != nil {
				return check.Unknown(err)
			}
			at := slices.IndexFunc(records, func(h fact.HybridOrganization) bool {
				return strings.EqualFold(h.GUID, organization.GUID)
			})
			if at < 0 || records[at].Inbound == "" {
				return check.Pass("the tenant has no connector for mail of forest %s yet; hybridge plan makes it",
					in.Forest.Name())
			}
			names, err := sendingNames(ctx, in)
			if err != nil {
				return check.Unknown(err)
			}
			for _, c := range connectors {
				if c.Enabled && strings.EqualFold(c.Type, "OnPremises") && recognizes(c, names) {
					return check.Pass("%s recognizes mail of forest %s", c.Name, in.Forest.Name())
				}
			}
			r := check.Failed("no inbound connector that is on recognizes the certificate of forest %s (%s)",
				in.Forest.Name(), someOf(names)).With("names", names).With("connector", records[at].Inbound)
			config, err := fact.OnlineConfig.In(ctx, in.Tenant)
			if err == nil && config.DirectSendRejected {
				r = r.Because("RejectDirectSend is on: Exchange Online refuses the forest's mail as direct send " +
					"(550 5.7.68).")
			}
			return r
		}),
	},
	{
		ID:    "tenant.partner-lock",
		Title: "No connector of a partner locks the forest's mail out",
		Scope: PerForest,
		Needs: []check.ID{"access.online-read"},
		Reads: fact.List(fact.InboundConnectors, fact.CertificateFile, fact.MailServers),
		Why: "A Partner connector that is restricted to a certificate or to addresses refuses mail of its sender " +
			"domains from everyone else (550 5.7.51). It covers the forest's domains, and no connector that is on " +
			"admits the forest's servers.",
		Fix: "Enable the forest's own inbound connector in Exchange Online, or except the forest's domains from " +
			"SenderDomains of the partner's.",
		Consider: "A restriction that is lifted opens a side door past the gateway.",
		Run: mailOnly(func(ctx context.Context, in Input) check.Result {
			connectors, err := fact.InboundConnectors.In(ctx, in.Tenant)
			if err != nil {
				return check.Unknown(err)
			}
			var locks []string
			var names []string
			for _, c := range connectors {
				if !c.Enabled || !c.Locked || !strings.EqualFold(c.Type, "Partner") || !sends(c, in.Forest) {
					continue
				}
				if names == nil {
					if names, err = sendingNames(ctx, in); err != nil {
						return check.Unknown(err)
					}
				}
				if !recognizes(c, names) {
					locks = append(locks, c.Name)
				}
			}
			if len(locks) > 0 && !slices.ContainsFunc(connectors, func(c fact.InboundConnector) bool {
				return c.Enabled && strings.EqualFold(c.Type, "OnPremises") &&
					(recognizes(c, names) || c.CertificateName == "")
			}) {
				return check.Failed("%s refuses mail of forest %s, and no connector admits it",
					someOf(locks), in.Forest.Name()).
					With("connectors", locks)
			}
			return check.Pass("no connector of a partner refuses mail of forest %s", in.Forest.Name())
		}),
	},
	{
		ID:       "tenant.direct-send",
		Title:    "No sender of the SPF records is refused as direct send",
		Scope:    PerForest,
		Severity: check.Warn,
		Needs:    []check.ID{"access.online-read"},
		Reads:    fact.List(fact.OnlineConfig, fact.InboundConnectors, fact.SenderPolicies),
		Why: "RejectDirectSend is on: Exchange Online refuses mail from the tenant's own domains that no inbound " +
			"connector recognizes (550 5.7.68). The SPF record admits senders without a connector, such as a " +
			"newsletter service or printers: their mail to the organization's own people is refused.",
		Fix: "Make a Partner connector by certificate or addresses for each service that writes to your own " +
			"people.",
		Consider: "A connector lets the service send in the name of your domains: restrict it to its certificate " +
			"or addresses.",
		Run: tenantOnly(func(ctx context.Context, in Input) check.Result {
			config, err := fact.OnlineConfig.In(ctx, in.Tenant)
			if err != nil {
				return check.Unknown(err)
			}
			if !config.DirectSendRejected {
				return check.Pass("direct send is not refused")
			}
			connectors, err := fact.InboundConnectors.In(ctx, in.Tenant)
			if err != nil {
				return check.Unknown(err)
			}
			if slices.ContainsFunc(connectors, func(c fact.InboundConnector) bool {
				return c.Enabled && strings.EqualFold(c.Type, "Partner")
			}) {
				return check.Pass("connectors of partners recognize senders beside the forest")
			}
			return eachDomain("the SPF records admit no sender that is refused as direct send",
				func(ctx context.Context, in Input, domain string) (msg.Text, error) {
					policy, err := fact.SenderPolicies.In(ctx, in.Network, domain)
					if err != nil {
						return msg.Text{}, err
					}
					var others []string
					for _, s := range policy.Senders {
						if s != "mx" && s != "a" {
							others = append(others, s)
						}
					}
					for _, i := range policy.Includes {
						if i != onlineSenders(in.Cloud) && !cloud.IsExchangeOnline(i) &&
							!contains(others, "include:"+i) {
							others = append(others, "include:"+i)
						}
					}
					if len(others) == 0 {
						return msg.Text{}, nil
					}
					return msg.Of("SPF of %s admits %s", domain, someOf(others)), nil
				})(ctx, in)
		}),
	},
	{
		ID:       "tenant.front-door",
		Title:    "The tenant takes mail from the gateway alone, where MX leads to one",
		Scope:    PerTenant,
		Severity: check.Warn,
		Needs:    []check.ID{"access.online-read"},
		Reads:    fact.List(fact.MX, fact.InboundConnectors),
		Why: "MX leads to a gateway of a third party, and the tenant takes mail from everyone beside it: an " +
			"attacker sends to the tenant's own host, past the gateway. A connector of the type OnPremises locks " +
			"nothing.",
		Fix: "Make a Partner connector with SenderDomains * that is restricted to the gateway's certificate or " +
			"addresses: New-InboundConnector -ConnectorType Partner -RestrictDomainsToCertificate $true in " +
			"Exchange Online.",
		Consider: "From then on everything else that sends to the tenant is refused (550 5.7.51), the forest too " +
			"unless its own inbound connector recognizes it. Start-HistoricalSearch -ReportType ConnectorReport " +
			"shows who sends beside the gateway.",
		Run: func(ctx context.Context, in Input) check.Result {
			gateway, domain, err := gatewayOf(ctx, in)
			switch {
			case err != nil:
				return check.Unknown(err)
			case gateway == "":
				return check.Pass("MX of no domain leads to a third party")
			}
			connectors, err := fact.InboundConnectors.In(ctx, in.Tenant)
			if err != nil {
				return check.Unknown(err)
			}
			if at := slices.IndexFunc(connectors, locksAll); at >= 0 {
				return check.Pass("mail for %s enters through %s, and %s admits nothing else", domain, gateway,
					connectors[at].Name)
			}
			return check.Warned("mail for %s enters through %s, and the tenant takes mail from everyone",
				domain, gateway)
		},
	},
	{
		ID:       "tenant.enhanced-filtering",
		Title:    "Filters of the tenant look behind the gateway",
		Scope:    PerTenant,
		Severity: check.Warn,
		Needs:    []check.ID{"tenant.front-door"},
		Reads:    fact.List(fact.MX, fact.InboundConnectors),
		Why: "Exchange Online takes the gateway for the sender of all mail: SPF and DMARC of every sender fail, " +
			"and spam filters see one address alone. Enhanced filtering of the gateway's connector looks behind it.",
		Fix: "Switch enhanced filtering on for the gateway's connector: Set-InboundConnector -EFSkipLastIP $true " +
			"in Exchange Online.",
		Consider: "Mail that was let through as the gateway's may be taken as spam by its true sender from then " +
			"on: begin with some people (EFUsers), named by their routing addresses.",
		Run: func(ctx context.Context, in Input) check.Result {
			gateway, _, err := gatewayOf(ctx, in)
			switch {
			case err != nil:
				return check.Unknown(err)
			case gateway == "":
				return check.Pass("MX of no domain leads to a third party")
			}
			connectors, err := fact.InboundConnectors.In(ctx, in.Tenant)
			if err != nil {
				return check.Unknown(err)
			}
			at := slices.IndexFunc(connectors, locksAll)
			switch {
			case at < 0:
				return check.Pass("no connector is for the gateway %s", gateway) // tenant.front-door
			case !connectors[at].SkipsLast && len(connectors[at].Skipped) == 0:
				return check.Warned("the connector %s of the gateway %s has no enhanced filtering",
					connectors[at].Name, gateway)
			}
			return check.Pass("%s looks behind the gateway", connectors[at].Name)
		},
	},
	{
		ID:    "tenant.mailbox-ews",
		Title: "The mailboxes that are tested let EWS in",
		Scope: PerOrganization,
		Needs: []check.ID{"access.online-read", "access.onprem-read"},
		Reads: fact.List(fact.MailboxAccesses, fact.OnlineMailboxAccesses),
		Why: "EwsEnabled of a mailbox refuses lookups as that of the organization does, on either side. Exchange " +
			"Online lets EWS in only where the organization and the mailbox let it in. Free/busy then fails for " +
			"some people and works for others.",
		Fix: "Reset the value of the mailboxes named. Get-CASMailbox -ResultSize Unlimited finds others.",
		Consider: "Programs that were kept out of the mailbox on purpose get in again: the organization's lists " +
			"decide then.",
		Run: func(ctx context.Context, in Input) check.Result {
			var people []string
			for _, p := range in.Answers.Tests.Pairs {
				for _, address := range []string{p.From, p.To} {
					if !contains(people, address) {
						people = append(people, address)
					}
				}
			}
			if len(people) == 0 {
				return check.NotApplicable("the answers name no pairs to test")
			}
			var closed, commands []string
			count := 0
			for _, address := range people {
				access, err := mailboxOf(ctx, in, address)
				switch {
				case err != nil:
					return check.Unknown(err)
				case access.EwsEnabled != nil && !*access.EwsEnabled:
					closed = append(closed, address)
					commands = append(commands,
						"Set-CASMailbox -Identity "+exchange.Quote(address)+" -EwsEnabled $null")
				case access.Exists:
					count++
				}
			}
			if len(closed) > 0 {
				return check.Failed("EWS is off for %s", someOf(closed)).With("mailboxes", closed).FixWith(commands...)
			}
			return check.Pass("EWS is open for %s", msg.Count(count, "%s mailbox", "%s mailboxes"))
		},
	},
	{
		ID:       "tenant.orphan-organization",
		Title:    "Every organization that the tenant knows is one of the forests",
		Scope:    PerTenant,
		Severity: check.Warn,
		Needs:    []check.ID{"access.online-read", "access.onprem-read"},
		Reads:    fact.List(fact.HybridOrganizations, fact.Organization),
		Why: "The tenant keeps a record of an on-premises organization that no forest of the answers is. With " +
			"several records Microsoft's wizard and cmdlets stop (Multiple OnPremises configuration objects were " +
			"found), and connectors of the old organization go on.",
		Fix: "Add the forest to the answers file. If it is gone, remove its connectors first and then the record: " +
			"Remove-OnPremisesOrganization.",
		Consider: "Mail and lookups of that organization stop when its connectors go. The record itself carries " +
			"nothing.",
		Run: func(ctx context.Context, in Input) check.Result {
			records, err := fact.HybridOrganizations.In(ctx, in.Tenant)
			if err != nil {
				return check.Unknown(err)
			}
			var known []string
			for _, f := range in.Forests {
				organization, err := fact.Organization.In(ctx, f)
				if err != nil {
					return check.Unknown(err)
				}
				known = append(known, organization.GUID)
			}
			var orphans, commands []string
			for _, h := range records {
				if !contains(known, h.GUID) {
					orphans = append(orphans, h.Name+" ("+h.GUID+")")
					commands = append(commands, "Remove-OnPremisesOrganization -Identity "+exchange.Quote(h.Name))
				}
			}
			if len(orphans) > 0 {
				return check.Warned("the tenant knows %s that no forest of the answers is: %s",
					msg.Count(len(orphans), "%s organization", "%s organizations"), someOf(orphans)).
					FixWith(commands...)
			}
			return check.Pass("every organization that the tenant knows is a forest of the answers")
		},
	},
	{
		ID:       "tenant.wizard-run",
		Title:    "The last run of Microsoft's wizard succeeded",
		Scope:    PerTenant,
		Severity: check.Warn,
		Needs:    []check.ID{"access.online-read"},
		Reads:    fact.List(fact.HybridOrganizations),
		Why: "The wizard notes its run in the tenant's record of the organization. After one that failed, objects " +
			"of both sides are half made: OAuth is the part that is left out most often.",
		Fix: "Read the wizard's log (%AppData%\\Microsoft\\Exchange Hybrid Configuration) with hybridge collect " +
			"--hcw-log FILE: it shows what stopped the wizard. hybridge plan completes what is missing.",
		Consider: "A new run of the wizard makes all features again and resets what was changed by hand. " +
			"hybridge plan --restore-hcw FILE gives back what the log shows.",
		Run: func(ctx context.Context, in Input) check.Result {
			records, err := fact.HybridOrganizations.In(ctx, in.Tenant)
			if err != nil {
				return check.Unknown(err)
			}
			var failed, succeeded []msg.Text
			for _, h := range records {
				if h.Comment == "" {
					continue
				}
				run, err := h.Run()
				if err != nil {
					return check.Unknown(err)
				}
				text := msg.Of("%s on %s (wizard %s, %s)", h.Name, day(run.At), run.Wizard, run.Mode)
				if run.Succeeded {
					succeeded = append(succeeded, text)
				} else {
					failed = append(failed, text)
				}
			}
			switch {
			case len(failed) > 0:
				return check.Warned("Microsoft's wizard failed: %s", some(failed))
			case len(succeeded) == 0:
				return check.Pass("no run of Microsoft's wizard is noted")
			}
			return check.Pass("the last run of Microsoft's wizard succeeded: %s", some(succeeded))
		},
	},
	{
		ID:       "tenant.partner-relationships",
		Title:    "Relationships to other tenants have moved to cross-tenant access",
		Scope:    PerTenant,
		Severity: check.Warn,
		Needs:    []check.ID{"access.online-read"},
		Reads:    fact.List(fact.OnlineRelationships, fact.OnlineAcceptedDomains, fact.DomainTenants),
		Why: "Free/busy with organizations that are in Exchange Online too moves from organization relationships " +
			"to the cross-tenant access policy (worldwide since 2026-09-01). The relationship goes on by EWS until " +
			"2027-04-01. Relationships of hybrid stay.",
		Fix: "Share calendars with the partner by cross-tenant access settings in the Microsoft Entra admin " +
			"center, on both sides. Then switch the relationship off: Set-OrganizationRelationship -Enabled $false.",
		Consider: "Both sides change on one day: a relationship that is still on at one side shows Outlook error 5016.",
		Run: func(ctx context.Context, in Input) check.Result {
			relationships, err := fact.OnlineRelationships.In(ctx, in.Tenant)
			if err != nil {
				return check.Unknown(err)
			}
			accepted, err := fact.OnlineAcceptedDomains.In(ctx, in.Tenant)
			if err != nil {
				return check.Unknown(err)
			}
			var partners []string
			for _, r := range relationships {
				// A relationship of hybrid is for domains of the tenant itself, also for those of a
				// forest that the answers do not name.
				own := slices.ContainsFunc(r.Domains, func(d string) bool {
					return takesPart(in, d) || findDomain(accepted, strings.ToLower(d)) != nil
				})
				if own || !r.Leads || len(r.Domains) == 0 {
					continue
				}
				switch _, err := fact.DomainTenants.In(ctx, in.Network, strings.ToLower(r.Domains[0])); {
				case errors.Is(err, fact.ErrNoTenant):
				case err != nil:
					return check.Unknown(err)
				default:
					partners = append(partners, r.Name+" ("+r.Domains[0]+")")
				}
			}
			if len(partners) > 0 {
				return check.Warned("%s to other tenants: %s",
					msg.Count(len(partners), "%s relationship leads", "%s relationships lead"), someOf(partners)).
					With("relationships", partners)
			}
			return check.Pass("no relationship leads to another tenant")
		},
	},
}

// mailboxOf returns what a mailbox lets in, from the side that has it.
func mailboxOf(ctx context.Context, in Input, address string) (fact.MailboxAccess, error) {
	if in.Tenant != nil {
		if access, err := fact.OnlineMailboxAccesses.In(ctx, in.Tenant, address); err != nil || access.Exists {
			return access, err
		}
	}
	_, domain, _ := strings.Cut(address, "@")
	for _, f := range in.Forests {
		if !contains(f.Answers.Domains, domain) {
			continue
		}
		if access, err := fact.MailboxAccesses.In(ctx, f, address); err != nil || access.Exists {
			return access, err
		}
	}
	return fact.MailboxAccess{}, nil
}

// residence returns the cloud that a tenant's sign-in host names; empty when it does not tell.
func residence(r fact.Residence) string {
	switch sub := strings.ToUpper(r.SubScope); {
	case sub == "DODCON":
		return "gcc-high"
	case sub == "DOD":
		return "dod"
	case strings.EqualFold(r.Cloud, "partner.microsoftonline.cn"):
		return "21vianet"
	case sub == "GCC":
		return "worldwide"
	}
	return ""
}

// sendingNames are the names in the certificate that the forest's servers present when they send.
func sendingNames(ctx context.Context, in Input) ([]string, error) {
	seen, err := transportCertificates(ctx, in.Set, in.Forest)
	if err != nil {
		return nil, err
	}
	if len(seen.certificates) == 0 {
		return nil, errors.New("no certificate of " + in.Forest.Name() + " is known: name its file, or the SMTP host")
	}
	leaf := seen.certificates[0].Leaf // the file, which the servers send with
	return append([]string{certificate.CommonName(certificate.Subject(leaf))}, certificate.Names(leaf)...), nil
}

// recognizes reports whether an inbound connector knows a certificate by one of its names.
func recognizes(c fact.InboundConnector, names []string) bool {
	wanted := strings.ToLower(c.CertificateName)
	if _, subject, ok := strings.Cut(wanted, "<s>"); ok {
		wanted = strings.ToLower(certificate.CommonName(subject))
	}
	return wanted != "" && slices.ContainsFunc(names, func(n string) bool {
		return strings.EqualFold(n, wanted) || certificate.Matches(wanted, n)
	})
}

// sends reports whether an inbound connector of a partner is for mail from a domain of the forest.
func sends(c fact.InboundConnector, f *fact.Side) bool {
	return slices.ContainsFunc(c.SenderDomains, func(space string) bool {
		pattern := spaceDomain(space)
		return pattern == "*" ||
			slices.ContainsFunc(f.Answers.Domains, func(d string) bool { return covered(pattern, d) })
	})
}

// locksAll reports whether a connector admits mail of all senders from one source alone.
func locksAll(c fact.InboundConnector) bool {
	return c.Enabled && c.Locked && strings.EqualFold(c.Type, "Partner") &&
		slices.ContainsFunc(c.SenderDomains, func(s string) bool { return spaceDomain(s) == "*" })
}

// gatewayOf returns a mail exchanger of the forests' domains that is neither a forest's nor
// Exchange Online's, and the domain.
func gatewayOf(ctx context.Context, in Input) (gateway, domain string, err error) {
	var domains, own []string
	for _, f := range in.Forests {
		domains, own = append(domains, f.Answers.Domains...), append(own, namespaces(f)...)
	}
	for _, d := range domains {
		hosts, err := exchangers(ctx, in, strings.ToLower(d))
		if err != nil {
			return "", "", err
		}
		for _, host := range hosts {
			_, noName := netip.ParseAddr(host)
			if host == "" || noName == nil || cloud.IsExchangeOnline(host) || contains(own, host) ||
				strings.HasSuffix(host, ".amazonaws.com") || // workmail.mx
				slices.ContainsFunc(domains, func(d string) bool {
					return strings.HasSuffix("."+host, "."+strings.ToLower(d))
				}) {
				continue
			}
			return host, d, nil
		}
	}
	return "", "", nil
}
