package desired

import (
	"cmp"
	"context"
	"slices"
	"strings"

	"github.com/hybridge-cli/hybridge/pkg/config/answers"
	"github.com/hybridge-cli/hybridge/pkg/engine/change"
	"github.com/hybridge-cli/hybridge/pkg/engine/msg"
	"github.com/hybridge-cli/hybridge/pkg/estate/certificate"
	"github.com/hybridge-cli/hybridge/pkg/estate/exchange"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/fact"
)

// mailEnds removes the connectors of mail.
var mailEnds = ExitStage{
	ID:    "mail",
	Title: "no connector carries mail between the forest and the tenant",
	Why: "The inbound connector lets mail with the forest's certificate pass as internal mail. When no mail takes " +
		"that " +
		"way any more, it is an open door.",
	Fix:   "hybridge plan and hybridge apply remove them, once MX leads to Exchange Online and no queue holds mail.",
	Kinds: []*Kind{sendConnector, receiveConnector, inboundConnector, outboundConnector, onPremisesOrganization},
	Reads: fact.List(fact.Organization, fact.OnlineAcceptedDomains, fact.SendConnectors, fact.ReceiveConnectors,
		fact.InboundConnectors, fact.OutboundConnectors, fact.HybridOrganizations, fact.Queues),
	open: func(ctx context.Context, p *Planner) ([]msg.Text, error) {
		before := len(p.out)
		shared, err := p.endMail(ctx)
		if err != nil || len(shared) > 0 || len(p.out) == before {
			p.out = p.out[:before]
			return shared, err
		}
		queues, err := fact.Queues.In(ctx, p.Forest)
		if err != nil {
			return nil, err
		}
		var waits []msg.Text
		for _, q := range queues {
			if q.Messages > 0 && !strings.Contains(strings.ToLower(q.Identity), `\shadow\`) {
				waits = append(waits, msg.Of("the queue %s holds mail (%d), and its connector would go: let it "+
					"leave, or "+
					"remove it", q.Identity, q.Messages))
			}
		}
		if len(waits) > 0 {
			p.out = p.out[:before]
			return waits, nil
		}
		if len(p.Forest.Answers.Edge) > 0 {
			p.Note(msg.Of("Edge servers keep their connectors: end the subscriptions when no mail passes them any "+
				"more"),
				"Get-EdgeSubscription | Remove-EdgeSubscription")
		}
		p.Note(msg.Of("what sends to a server of the forest by its name shows in no configuration. Look who does, "+
			"before "+
			"this stage"), "Get-TransportService | Get-MessageTrackingLog -EventId RECEIVE -Start "+
			"(Get-Date).AddDays(-7) "+
			"-ResultSize Unlimited | Where-Object Source -eq 'SMTP' | Group-Object OriginalClientIp, ClientIp "+
			"-NoElement")
		if p.Answers.Hybrid.LeavesBehind(answers.RemainRelays) {
			p.Note(msg.Of("what applications and devices still send through the servers (leaveBehind: [relays]) " +
				"reaches " +
				"Exchange Online as mail from the internet from then on: it needs a send connector to the internet " +
				"and a " +
				"place in SPF, and is refused (5.7.68) while RejectDirectSend is on"))
		}
		p.Note(msg.Of("DNS: take the forest's addresses out of the SPF records when it sends no mail any more"))
		return nil, nil
	},
}

// endMail plans the removal of the connectors. It returns which of them another forest still needs.
func (p *Planner) endMail(ctx context.Context) (waits []msg.Text, err error) {
	guid, err := p.organization(ctx, p.Forest)
	if err != nil {
		return nil, err
	}
	coexistence, err := p.coexistence(ctx)
	if err != nil {
		return nil, err
	}
	known, err := fact.HybridOrganizations.In(ctx, p.set.Tenant)
	if err != nil {
		return nil, err
	}
	end := func(k *Kind, name string, reason msg.Text, shares func(*fact.Side) bool) error {
		other, err := p.needing(ctx, shares)
		switch {
		case err != nil:
			return err
		case other != nil:
			waits = append(waits, msg.Of("the %s %s of the tenant serves forest %s too, which is not that far: it "+
				"stays until "+
				"then", k.Noun, name, other.Name()))
		case p.first(shares):
			p.Remove(k, PlaceOnline, guid+":"+strings.ToLower(name), name, reason, change.Properties{"Name": name})
		}
		return nil
	}
	var record fact.HybridOrganization
	taken := func(string) bool { return false } // by another organization
	for _, o := range known {
		if normalGUID(o.GUID) == guid {
			record = o
			continue
		}
		before := taken
		taken = func(name string) bool {
			return before(name) || strings.EqualFold(name, o.Inbound) || strings.EqualFold(name, o.Outbound)
		}
	}
	reason := msg.Of("mail of %s takes this way no longer: MX leads to Exchange Online", p.Forest.Name())
	outbound, err := fact.OutboundConnectors.In(ctx, p.set.Tenant)
	if err != nil {
		return nil, err
	}
	for _, c := range outbound {
		named := strings.EqualFold(c.Name, cmp.Or(record.Outbound, "Outbound to "+guid))
		if !named && (!p.toForest(c) || taken(c.Name)) {
			continue
		}
		if err := end(outboundConnector, c.Name, reason, takes(c)); err != nil {
			return nil, err
		}
	}
	inbound, err := fact.InboundConnectors.In(ctx, p.set.Tenant)
	if err != nil {
		return nil, err
	}
	host := normalHost(p.Forest.Answers.Namespace.SMTP)
	for _, c := range inbound {
		named := strings.EqualFold(c.Name, cmp.Or(record.Inbound, "Inbound from "+guid))
		byHand := strings.EqualFold(c.Type, "OnPremises") && host != "" &&
			certificate.Matches(c.CertificateName, host) &&
			!taken(c.Name)
		switch {
		case named, byHand && normalHost(c.CertificateName) == host:
			if err := end(inboundConnector, c.Name, reason, presents(c.CertificateName)); err != nil {
				return nil, err
			}
		case byHand:
			p.Note(msg.Of("the inbound connector %s of the tenant stays: other servers than the forest's may present "+
				"a "+
				"certificate of the name %s. When none does, remove it", c.Name, c.CertificateName),
				"Remove-InboundConnector -Identity "+exchange.Quote(c.Name))
		}
	}
	if record.GUID != "" { // it names the connectors: it goes before them
		p.Remove(onPremisesOrganization, PlaceOnline, guid, record.Name, reason,
			change.Properties{"OrganizationGuid": guid},
			All(PlaceOnline, inboundConnector, outboundConnector)...)
	}
	return waits, p.endSending(ctx, coexistence, reason)
}

// endSending plans what the servers of the forest no longer do.
func (p *Planner) endSending(ctx context.Context, coexistence string, reason msg.Text) error {
	send, err := fact.SendConnectors.In(ctx, p.Forest)
	if err != nil {
		return err
	}
	for _, c := range send {
		var others []string
		for _, s := range c.AddressSpaces {
			if normalDomain(s) != coexistence {
				others = append(others, s)
			}
		}
		key := coexistence + ":" + strings.ToLower(c.Name)
		switch {
		case len(others) == len(c.AddressSpaces):
		case len(others) == 0:
			p.Remove(sendConnector, p.at(), key, c.Name, reason, change.Properties{"Name": c.Name},
				All(PlaceOnline, inboundConnector)...)
		default:
			p.reduce(sendConnector, p.at(), key, c.Name, msg.Of("%s; its other address spaces stay", reason),
				change.Properties{"Name": c.Name}, "AddressSpaces", []string{coexistence})
		}
	}
	receive, err := fact.ReceiveConnectors.In(ctx, p.Forest)
	if err != nil {
		return err
	}
	for _, c := range receive {
		var trusted []string
		for _, capability := range c.Capabilities {
			domain, what, _ := strings.Cut(strings.ToLower(capability), ":")
			if strings.HasPrefix(domain, "mail.protection.") && (what == "acceptcloudservicesmail" ||
				what == "acceptoorgprotocol") {
				trusted = append(trusted, capability)
			}
		}
		if len(trusted) > 0 {
			p.reduce(receiveConnector, p.at(), strings.ReplaceAll(strings.ToLower(c.Identity), `\`, ":"), c.Identity,
				msg.Of("the tenant hands no mail over any more: its headers are not taken"),
				change.Properties{"Identity": c.Identity}, "TlsDomainCapabilities", trusted,
				All(PlaceOnline, outboundConnector)...)
		}
	}
	return nil
}

// lookupsEnd removes what sends lookups and moves of mailboxes to the other side.
var lookupsEnd = ExitStage{
	ID:    "lookups",
	Title: "no relationship or connector sends lookups between the forest and the tenant",
	Why: "Relationships, intra-organization connectors and MRSProxy let the other side ask for calendars and " +
		"mailboxes. " +
		"Without mailboxes on-premises nothing uses them.",
	Fix: "hybridge plan and hybridge apply remove them.",
	Kinds: []*Kind{intraOrganizationConnector, organizationRelationship, availabilityAddressSpace,
		mailboxReplicationProxy},
	Reads: fact.List(fact.Organization, fact.OnlineAcceptedDomains, fact.Relationships, fact.OnlineRelationships,
		fact.Connectors, fact.OnlineConnectors, fact.AddressSpaces, fact.VirtualDirectories, fact.MigrationEndpoints),
	open: func(ctx context.Context, p *Planner) ([]msg.Text, error) {
		coexistence, err := p.coexistence(ctx)
		if err != nil {
			return nil, err
		}
		domains, err := p.domains()
		if err != nil {
			return nil, err
		}
		before := len(p.out)
		var waits []msg.Text
		there := []string{coexistence, normalDomain(p.Answers.ExchangeOnline.Tenant)}
		for _, h := range []struct {
			kind     *Kind
			query    *fact.Query[[]fact.Holder]
			property string
			place    string
			side     *fact.Side
			domains  []string
		}{
			{intraOrganizationConnector, fact.Connectors, "TargetAddressDomains", p.at(), p.Forest, there},
			{organizationRelationship, fact.Relationships, "DomainNames", p.at(), p.Forest, there},
			{intraOrganizationConnector, fact.OnlineConnectors, "TargetAddressDomains", PlaceOnline, p.set.Tenant,
				domains},
			{organizationRelationship, fact.OnlineRelationships, "DomainNames", PlaceOnline, p.set.Tenant, domains},
		} {
			live, err := h.query.In(ctx, h.side)
			if err != nil {
				return nil, err
			}
			waits = append(waits, p.endHolders(h.kind, h.place, h.property, live, h.domains)...)
		}
		spaces, err := fact.AddressSpaces.In(ctx, p.Forest)
		if err != nil {
			return nil, err
		}
		for _, a := range spaces {
			if normalDomain(a.ForestName) == coexistence && strings.EqualFold(a.AccessMethod, "InternalProxy") {
				p.Remove(availabilityAddressSpace, p.at(), coexistence, a.ForestName,
					msg.Of("no server asks the tenant any more"), change.Properties{"ForestName": a.ForestName})
			}
		}
		if err := p.endMoves(ctx); err != nil {
			return nil, err
		}
		endpoints, err := EndpointsOf(ctx, p.set, p.Forest)
		if err != nil {
			return nil, err
		}
		for _, e := range endpoints {
			if len(p.out) > before {
				p.Note(msg.Of("the migration endpoint %s leads to the forest, and holds the password of its account: "+
					"remove "+
					"it, hybridge cannot make it again", e.Name),
					"Remove-MigrationEndpoint -Identity "+exchange.Quote(e.Name))
			}
		}
		return waits, nil
	},
}

// endHolders plans the removal of the relationships or connectors for some domains. An object that
// is for other domains too keeps these. It returns what the removal of an object waits for.
func (p *Planner) endHolders(
	k *Kind, place, property string, live []fact.Holder, domains []string,
) (waits []msg.Text) {
	for _, h := range live {
		held := lower(h.Domains)
		ours := slices.DeleteFunc(slices.Clone(held), func(d string) bool { return !slices.Contains(domains, d) })
		key := p.Forest.Name() + ":" + strings.ToLower(h.Name)
		switch {
		case len(ours) == 0:
		case len(ours) == len(held):
			p.Remove(k, place, key, h.Name,
				msg.Of("no mailbox is left in %s to ask for or to ask from", p.Forest.Name()),
				change.Properties{property: ours})
		case place == PlaceOnline && p.sharedBefore(held):
			waits = append(waits, msg.Of("%s %q of the tenant is for another forest too: its domains go after those "+
				"of "+
				"that forest", k.Noun, h.Name))
		default:
			p.reduce(k, place, key, h.Name, msg.Of("no mailbox is left in %s; the other domains stay", p.Forest.Name()),
				change.Properties{property: ours}, property, ours)
		}
	}
	return waits
}

// sharedBefore reports whether an earlier forest of the answers has one of the domains: two changes
// of one plan cannot write one list.
func (p *Planner) sharedBefore(held []string) bool {
	for _, f := range p.set.Forests {
		if f == p.Forest {
			return false
		}
		if slices.ContainsFunc(lower(f.Answers.Domains), func(d string) bool { return slices.Contains(held, d) }) {
			return true
		}
	}
	return false
}

// endMoves closes MRSProxy, unless the answers retire it by name.
func (p *Planner) endMoves(ctx context.Context) error {
	if p.retires(answers.RetireMRSProxy) {
		return nil
	}
	directories, err := fact.VirtualDirectories.In(ctx, p.Forest)
	if err != nil {
		return err
	}
	for _, d := range directories {
		if d.MRSProxy && d.Noun == fact.EWSDirectory {
			p.Remove(mailboxReplicationProxy, p.at(), strings.ReplaceAll(strings.ToLower(d.Identity), `\`, ":"),
				d.Identity,
				msg.Of("no mailbox moves any more"), change.Properties{"Identity": d.Identity})
		}
	}
	return nil
}
