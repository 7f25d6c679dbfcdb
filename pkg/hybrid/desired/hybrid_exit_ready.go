package desired

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/hybridge-cli/hybridge/pkg/config/answers"
	"github.com/hybridge-cli/hybridge/pkg/config/cloud"
	"github.com/hybridge-cli/hybridge/pkg/engine/change"
	"github.com/hybridge-cli/hybridge/pkg/engine/msg"
	"github.com/hybridge-cli/hybridge/pkg/estate/certificate"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/fact"
)

// nothingNeeded finds what still needs the side on-premises.
var nothingNeeded = ExitStage{
	ID:    "needed",
	Title: "nothing on-premises is needed any more",
	Why: "Mailboxes, public folders, applications that send by SMTP, scanners, journaling and moves of mailboxes " +
		"depend on the forest's servers and on the connection to the tenant. The way out removes both.",
	Fix: "Move or replace what is found. What may stay behind goes into hybrid.leaveBehind.",
	Reads: fact.List(fact.LocalMailboxes, fact.PublicFolderMailboxes, fact.PublicFoldersRemote, fact.PublicFolderMoves,
		fact.DynamicGroups, fact.ReceiveConnectors, fact.AddressPolicies, fact.JournalRules, fact.OnlineJournalRules,
		fact.OutboundConnectors, fact.SendConnectors, fact.AuthServers, fact.Tenant, fact.AcceptedDomains,
		fact.OnlineAcceptedDomains, fact.MoveRequests, fact.OnlineMoveRequests, fact.MigrationBatches, fact.Servers),
	open: func(ctx context.Context, p *Planner) (waits []msg.Text, err error) {
		found := func(format string, args ...any) { waits = append(waits, msg.Of(format, args...)) }
		behind := p.Answers.Hybrid.LeavesBehind
		local, err := fact.LocalMailboxes.In(ctx, p.Forest)
		if err != nil {
			return nil, err
		}
		if len(local.Names) > 0 {
			found("%s on-premises, to be moved to Exchange Online first: %s", residents(local), firstNames(local.Names))
		}
		for _, look := range []func(context.Context) ([]msg.Text, error){p.otherTenants, p.publicFolders, p.passes} {
			more, err := look(ctx)
			if err != nil {
				return nil, err
			}
			waits = append(waits, more...)
		}
		if w := p.Answers.WorkMail; w != nil && w.State != answers.Leaving && p.Forest.Answers.WorkMail != nil {
			found("Amazon WorkMail works with the forest: leave it first (workmail.state: leaving), or remove " +
				"workmail from " +
				"the answers file")
		}
		if group, err := p.groups(ctx); err != nil {
			return nil, err
		} else if !group.IsZero() {
			waits = append(waits, group)
		}
		if left, err := p.moving(ctx); err != nil {
			return nil, err
		} else if left != "" {
			found("%s is left: remove it when it is complete", left)
		}
		if !behind(answers.RemainRelays) {
			relays, err := p.relays(ctx)
			if err != nil {
				return nil, err
			}
			if len(relays) > 0 {
				found("receive connectors for applications, devices or scanners, which send another way first (or "+
					"leaveBehind: [relays]): %s", firstNames(relays))
			}
		}
		if !behind(answers.RemainAddressPolicies) {
			policies, err := fact.AddressPolicies.In(ctx, p.Forest)
			if err != nil {
				return nil, err
			}
			var own []string
			for _, a := range policies {
				if !strings.EqualFold(a.Name, "Default Policy") {
					own = append(own, a.Name)
				}
			}
			if len(own) > 0 {
				found("email address policies, which give no address to a mailbox that the cloud manages: make the "+
					"addresses elsewhere (or leaveBehind: [addressPolicies]): %s", firstNames(own))
			}
		}
		if !behind(answers.RemainJournaling) {
			rules, err := p.journals(ctx)
			if err != nil {
				return nil, err
			}
			if len(rules) > 0 {
				found("journal rules that need the forest (or leaveBehind: [journaling]): %s", firstNames(rules))
			}
		}
		return waits, nil
	},
}

// residents counts mailboxes of which not all may have been read.
func residents(r fact.Residents) msg.Text {
	n := msg.Count(len(r.Names), "%s mailbox", "%s mailboxes")
	if r.More {
		return msg.Of("more than %s", n)
	}
	return n
}

// firstNames shows some names of a list.
func firstNames(names []string) string {
	const most = 5
	if len(names) <= most {
		return strings.Join(names, ", ")
	}
	return strings.Join(names[:most], ", ") + fmt.Sprintf(" and %d more", len(names)-most)
}

// ownConnectors are the receive connectors that setup makes, without the name of the server.
var ownConnectors = []string{"Default", "Client Proxy", "Default Frontend", "Outbound Proxy Frontend",
	"Client Frontend"}

// relays are the enabled receive connectors that people made.
func (p *Planner) relays(ctx context.Context) (out []string, err error) {
	live, err := fact.ReceiveConnectors.In(ctx, p.Forest)
	if err != nil {
		return nil, err
	}
	servers, err := fact.Servers.In(ctx, p.Forest)
	if err != nil {
		return nil, err
	}
	for _, c := range live {
		_, name, _ := strings.Cut(c.Identity, `\`)
		own := slices.ContainsFunc(ownConnectors, func(o string) bool {
			return strings.EqualFold(name, o+" "+normalServer(c.Server))
		})
		edge := slices.ContainsFunc(servers, func(s fact.Server) bool {
			return s.Edge && normalServer(s.Name) == normalServer(c.Server)
		})
		if c.Enabled && !own && !edge {
			out = append(out, c.Identity)
		}
	}
	return out, nil
}

// journals are the journal rules that archive mail in the forest, or by its servers.
func (p *Planner) journals(ctx context.Context) (out []string, err error) {
	here, err := fact.JournalRules.In(ctx, p.Forest)
	if err != nil {
		return nil, err
	}
	for _, r := range here {
		if r.Enabled {
			out = append(out, r.Name+" of the forest")
		}
	}
	there, err := fact.OnlineJournalRules.In(ctx, p.set.Tenant)
	if err != nil {
		return nil, err
	}
	outbound, err := fact.OutboundConnectors.In(ctx, p.set.Tenant)
	if err != nil {
		return nil, err
	}
	domains := lower(p.Forest.Answers.Domains)
	for _, c := range outbound {
		if p.toForest(c) && c.Enabled {
			domains = append(domains, lower(c.RecipientDomains)...)
		}
	}
	for _, r := range there {
		_, domain, _ := strings.Cut(str(r.Values["JournalEmailAddress"]), "@")
		if r.Enabled && slices.Contains(domains, normalDomain(domain)) {
			out = append(out, r.Name+" of the tenant")
		}
	}
	return out, nil
}

// toForest reports whether a connector of the tenant leads to the mail host of the forest.
func (p *Planner) toForest(c fact.OutboundConnector) bool {
	host := normalHost(p.Forest.Answers.Namespace.SMTP)
	return strings.EqualFold(c.Type, "OnPremises") && host != "" &&
		slices.ContainsFunc(c.SmartHosts, func(h string) bool { return normalHost(h) == host })
}

// atATime is how many mailboxes one plan hands over to the cloud. A run reads all mailboxes of the
// tenant before and after each.
const atATime = 100

// authorityMoved hands the attributes of Exchange over to the cloud.
var authorityMoved = ExitStage{
	ID:    "authority",
	Title: "Exchange Online manages the attributes of the mailboxes",
	Why: "While Active Directory is the source of a mailbox's addresses and other attributes of Exchange, they can " +
		"be " +
		"changed on-premises alone, with the tools of Exchange there.",
	Fix: "hybridge plan holds the mailboxes that are left. Where Microsoft Entra Connect synchronizes, its version " +
		"must be 2.5.190.0 or later.",
	Kinds: []*Kind{cloudManagedMailbox},
	Reads: fact.List(fact.SyncedMailboxes, fact.AcceptedDomains),
	open: func(ctx context.Context, p *Planner) ([]msg.Text, error) {
		mailboxes, err := fact.SyncedMailboxes.In(ctx, p.set.Tenant)
		if err != nil {
			return nil, err
		}
		left := 0
		var strange []string
		for _, m := range mailboxes {
			if m.CloudManaged {
				continue
			}
			forest, err := p.forestWith(ctx, m.Primary)
			if err != nil {
				return nil, err
			}
			if forest == nil && p.Forest == p.set.Forests[0] {
				strange = append(strange, m.Primary)
			}
			if forest != p.Forest {
				continue
			}
			if left++; left > atATime {
				continue
			}
			p.Add(cloudManagedMailbox, PlaceOnline, strings.ToLower(m.Primary), m.Primary,
				msg.Of("its attributes are changed in Exchange Online from then on"), change.Properties{
					"PrimarySmtpAddress": m.Primary, "Identity": m.Primary, "IsExchangeCloudManaged": true})
		}
		if len(strange) > 0 {
			p.Note(msg.Of("synchronized mailboxes whose domain no forest of the answers has stay with their "+
				"directory: %s",
				firstNames(strange)))
		}
		if left > 0 {
			p.Note(msg.Of("Microsoft Entra Connect must be of version 2.5.190.0 or later. Change no attribute of "+
				"Exchange "+
				"on-premises from a day before on: what is not synchronized yet is lost. Mailboxes to hand over: %d",
				left))
			p.Note(msg.Of("groups and contacts stay with Active Directory until each is converted (Microsoft Graph, " +
				"onPremisesSyncBehavior, isCloudManaged): the plan converts none. What is changed in Exchange Online " +
				"reaches " +
				"Active Directory only where Microsoft Entra Cloud Sync writes it back"))
		}
		if left > atATime {
			p.Note(msg.Of("a plan holds %d of them. Exchange Online PowerShell hands over many at once; no journal "+
				"knows of "+
				"these, and the next plan sees them", atATime), "Get-Mailbox -ResultSize Unlimited | Where-Object "+
				"{ $_.IsDirSynced -and -not $_.IsExchangeCloudManaged } | ForEach-Object { Set-Mailbox -Identity "+
				"$_.PrimarySmtpAddress -IsExchangeCloudManaged $true }")
		}
		return nil, nil
	},
}

// forestWith returns the forest of an address: the one whose answers have the domain, else the only
// one that accepts it; nil when it is of none.
func (p *Planner) forestWith(ctx context.Context, address string) (found *fact.Side, err error) {
	_, domain, _ := strings.Cut(strings.ToLower(address), "@")
	for _, f := range p.set.Forests {
		if slices.Contains(lower(f.Answers.Domains), domain) {
			return f, nil
		}
	}
	for _, f := range p.set.Forests {
		accepted, err := fact.AcceptedDomains.In(ctx, f)
		if err != nil {
			return nil, err
		}
		if !slices.ContainsFunc(accepted, func(d fact.AcceptedDomain) bool { return normalDomain(d.Name) == domain }) {
			continue
		}
		if found != nil {
			return nil, nil
		}
		found = f
	}
	return found, nil
}

// namesTurned waits until DNS leads mail and clients to Exchange Online. The records are the
// network team's: the stage names them and looks them up.
var namesTurned = ExitStage{
	ID:    "dns",
	Title: "MX and autodiscover lead to Exchange Online",
	Why: "Mail from outside and clients follow MX and autodiscover. While these lead to the forest, nothing that it " +
		"answers with may go.",
	Fix: "Publish the records that the finding names, and wait until their old time to live has passed. With a " +
		"filter " +
		"in front, let it deliver to Exchange Online, and name the domain in hybrid.filtered.",
	Reads: fact.List(fact.MailExchangers, fact.MX, fact.TXT, fact.TransportPolicies, fact.AutodiscoverTargets,
		fact.Hosts,
		fact.Tenant,
		fact.AcceptedDomains, fact.OnlineAcceptedDomains),
	open: func(ctx context.Context, p *Planner) (waits []msg.Text, err error) {
		domains, err := p.receiving(ctx)
		if err != nil {
			return nil, err
		}
		for _, d := range domains {
			wait, err := p.exchangerTurned(ctx, d)
			if err != nil {
				return nil, err
			}
			if !wait.IsZero() {
				waits = append(waits, wait)
			}
			if wait, err = p.policyFits(ctx, d); err != nil {
				return nil, err
			}
			if !wait.IsZero() {
				waits = append(waits, wait)
			}
			if wait, err = p.autodiscoverTurned(ctx, d); err != nil {
				return nil, err
			}
			if !wait.IsZero() {
				waits = append(waits, wait)
			}
		}
		return waits, nil
	},
}

// receiving returns the domains whose mail and clients may reach the forest: those of the answers,
// and the others that the forest accepts and the tenant has verified.
func (p *Planner) receiving(ctx context.Context) ([]string, error) {
	domains, err := p.domains()
	if err != nil {
		return nil, err
	}
	common, err := p.common(ctx)
	if err != nil {
		return nil, err
	}
	coexistence, err := p.coexistence(ctx)
	if err != nil {
		return nil, err
	}
	for _, d := range common {
		if d != coexistence && !p.elsewhere(d) && !slices.Contains(domains, d) {
			domains = append(domains, d)
		}
	}
	return domains, nil
}

// exchangerTurned says which MX record a domain lacks; zero when it leads to Exchange Online.
func (p *Planner) exchangerTurned(ctx context.Context, domain string) (msg.Text, error) {
	expected, err := fact.MailExchangers.In(ctx, p.set.Tenant, domain)
	if err == nil && len(expected) == 0 {
		err = missing("mail exchanger of "+domain+" in Exchange Online", p.tenant())
	}
	if err != nil {
		return msg.Text{}, err
	}
	live, err := fact.MX.In(ctx, p.set.Network, domain)
	if err != nil && !fact.NoRecord(err) {
		return msg.Text{}, err
	}
	live = slices.DeleteFunc(lower(live), func(h string) bool { return h == "" })
	own := slices.Contains(live, normalHost(p.Forest.Answers.Namespace.SMTP))
	var others []string
	for _, h := range live {
		if !slices.ContainsFunc(expected, func(e string) bool { return normalHost(e) == normalHost(h) }) {
			others = append(others, h)
		}
	}
	filtered := p.Answers.Hybrid != nil && slices.Contains(p.Answers.Hybrid.Filtered, domain)
	switch {
	case len(live) == 0:
		return msg.Of("DNS: publish %s. 3600 IN MX 0 %s. (there is no MX record)", domain, expected[0]), nil
	case len(others) == 0, filtered && !own:
		return msg.Text{}, nil
	}
	return msg.Of("DNS: publish %s. 3600 IN MX 0 %s. in place of %s", domain, expected[0],
		strings.Join(others, ", ")), nil
}

// policyFits says which mail exchanger the domain's MTA-STS policy lacks; zero when senders may use
// it. Senders that keep an enforced policy hold their mail back otherwise.
func (p *Planner) policyFits(ctx context.Context, domain string) (msg.Text, error) {
	if slices.Contains(p.Answers.Hybrid.Filtered, domain) { // its mail exchanger stays
		return msg.Text{}, nil
	}
	records, err := fact.TXT.In(ctx, p.set.Network, "_mta-sts."+domain)
	switch {
	case fact.NoRecord(err):
		return msg.Text{}, nil
	case err != nil:
		return msg.Text{}, err
	case !slices.ContainsFunc(records, func(r string) bool { return strings.HasPrefix(strings.ToLower(r), "v=stsv1") }):
		return msg.Text{}, nil
	}
	policy, err := fact.TransportPolicies.In(ctx, p.set.Network, domain)
	if err != nil || !policy.Enforced {
		return msg.Text{}, err
	}
	expected, err := fact.MailExchangers.In(ctx, p.set.Tenant, domain)
	if err != nil || len(expected) == 0 {
		return msg.Text{}, err
	}
	if slices.ContainsFunc(policy.Exchangers, func(m string) bool { return certificate.Matches(m, expected[0]) }) {
		return msg.Text{}, nil
	}
	return msg.Of("MTA-STS: the enforced policy of %s does not list %s, and senders would hold their mail back: "+
		"before the MX record changes, add the line \"mx: %s\" to https://mta-sts.%s/.well-known/mta-sts.txt and "+
		"change the id in _mta-sts.%s; senders keep the old policy for its max_age",
		domain, expected[0], expected[0], domain, domain), nil
}

// autodiscoverTurned says which name a domain lacks; zero when it leads to Exchange Online.
func (p *Planner) autodiscoverTurned(ctx context.Context, domain string) (msg.Text, error) {
	expected, err := fact.AutodiscoverTargets.In(ctx, p.set.Tenant, domain)
	if err == nil && len(expected) == 0 {
		err = missing("target of autodiscover."+domain+" in Exchange Online", p.tenant())
	}
	if err != nil {
		return msg.Text{}, err
	}
	live, err := fact.Hosts.In(ctx, p.set.Network, "autodiscover."+domain)
	if err != nil && !fact.NoRecord(err) {
		return msg.Text{}, err
	}
	if slices.ContainsFunc(live.Aliases, func(a string) bool {
		return normalHost(a) == normalHost(expected[0]) || cloud.IsExchangeOnline(a)
	}) {
		return msg.Text{}, nil
	}
	return msg.Of("DNS: publish autodiscover.%s. 3600 IN CNAME %s. in place of the records of that name, and remove "+
		"_autodiscover._tcp.%s", domain, expected[0], domain), nil
}
