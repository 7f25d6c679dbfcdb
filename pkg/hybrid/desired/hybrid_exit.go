package desired

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/hybridge-cli/hybridge/pkg/config/answers"
	"github.com/hybridge-cli/hybridge/pkg/config/cloud"
	"github.com/hybridge-cli/hybridge/pkg/engine/change"
	"github.com/hybridge-cli/hybridge/pkg/engine/msg"
	"github.com/hybridge-cli/hybridge/pkg/estate/exchange"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/fact"
	"github.com/hybridge-cli/hybridge/pkg/wire/oauth"
)

// hybridExitID is the id of hybridExit, for code that its own derivation reaches.
const hybridExitID = "hybrid-exit"

// ExitStage is a stage of the way out of hybrid, per forest. A stage is done when nothing of it is
// left, and the next one begins then. What is live says how far a forest is: nothing about it is
// stored.
type ExitStage struct {
	ID, Title string
	Why, Fix  string // for its check
	Kinds     []*Kind
	Reads     []fact.Fact
	// open adds what the stage changes, and returns what it waits for.
	open func(ctx context.Context, p *Planner) (waits []msg.Text, err error)
}

// ExitStages lists the stages in their sequence: what takes over comes before what is removed.
func ExitStages() []ExitStage {
	return []ExitStage{nothingNeeded, authorityMoved, namesTurned, mailEnds, lookupsEnd, trustEnds, servicePointsCleared,
		recordRemoved}
}

// hybridExit is the way out of hybrid itself. A plan holds the present stage of every forest.
var hybridExit = &Topic{
	ID:       hybridExitID,
	Title:    "The way out of hybrid",
	Features: allFeatures,
	Asked:    func(a answers.Answers) bool { return a.Hybrid.IsLeaving() },
	Kinds:    exitKinds(),
	Reads:    exitReads(),
	Derive: func(ctx context.Context, p *Planner) error {
		if !p.Answers.Hybrid.IsLeaving() {
			return nil
		}
		defer func() { p.Forest = nil }()
		for _, forest := range p.set.Forests {
			p.Forest = forest
			before, said, waited := len(p.out), len(p.notes), len(p.waits)
			err := p.leaveHybrid(ctx)
			switch {
			case err == nil:
				continue
			case ctx.Err() != nil:
				return context.Cause(ctx)
			case errors.As(err, &refusal{}), errors.Is(err, change.ErrAmbiguous):
				return err
			}
			p.out, p.notes, p.waits = p.out[:before], p.notes[:said], p.waits[:waited]
			p.left = append(p.left, instance{p.topic, forest, err})
		}
		return nil
	},
}

func exitKinds() (out []*Kind) {
	for _, s := range ExitStages() {
		out = append(out, s.Kinds...)
	}
	return out
}

func exitReads() []fact.Fact {
	out := fact.List(fact.Organization, fact.Tenant, fact.OnlineConfig, fact.OnlineAcceptedDomains)
	for _, s := range ExitStages() {
		out = append(out, s.Reads...)
	}
	return out
}

// leaveHybrid plans the present stage of a forest.
func (p *Planner) leaveHybrid(ctx context.Context) error {
	stages := ExitStages()
	for i, s := range stages {
		before := len(p.out)
		waits, err := s.open(ctx, p)
		if err != nil {
			return fmt.Errorf("stage %d (%s): %w", i+1, s.Title, err)
		}
		for _, w := range waits {
			p.wait(p.topic.ID, p.at(), msg.Of("stage %d of %d: %s", i+1, len(stages), w))
		}
		if len(p.out) > before && i+1 < len(stages) {
			p.Note(msg.Of("stage %d of %d of the way out of hybrid: %s. The next one: %s. Apply, look at mail and "+
				"calendars, then plan again", i+1, len(stages), s.Title, stages[i+1].Title))
		}
		if len(waits) > 0 || len(p.out) > before {
			return nil
		}
	}
	p.sayLastServer()
	return nil
}

// StageState is how far a forest is with one stage.
type StageState struct {
	Open  []string   // ids of what is left to change
	Waits []msg.Text // what it waits for
}

// Done reports whether nothing of the stage is left.
func (s StageState) Done() bool { return len(s.Open)+len(s.Waits) == 0 }

// StageOf looks how far a forest is with a stage, whatever the stages before it say.
func StageOf(ctx context.Context, set *fact.Set, forest *fact.Side, s ExitStage) (StageState, error) {
	p := &Planner{Answers: set.Answers, Forest: forest, set: set, topic: &Topic{ID: hybridExitID}}
	waits, err := s.open(ctx, p)
	state := StageState{Waits: waits}
	for _, r := range p.out {
		state.Open = append(state.Open, r.ID())
	}
	return state, err
}

// Leaves reports whether the topic is part of the hybrid that answers leave.
func (t *Topic) leaves(a answers.Answers) bool {
	return a.Hybrid.IsLeaving() && t.Cloud == "" && t.Retires == "" && t.ID != hybridExitID
}

// reduce takes elements out of a list of a live object.
func (p *Planner) reduce(k *Kind, place, key, name string, reason msg.Text, properties change.Properties,
	property string, without []string, needs ...Need) {
	p.Add(k, place, key, name, reason, properties, needs...)
	p.out[len(p.out)-1].Without = map[string][]string{property: without}
}

// end says that a resource of the hybrid should not exist. It is removed before what it needs.
func (p *Planner) end(k *Kind, place, key, name string, reason msg.Text, properties change.Properties, needs ...Need) {
	p.Add(k, place, key, name, reason, properties, needs...)
	p.out[len(p.out)-1].Absent = true
}

// nothingNeeded finds what still needs the side on-premises.
var nothingNeeded = ExitStage{
	ID:    "needed",
	Title: "nothing on-premises is needed any more",
	Why: "Mailboxes, public folders, applications that send by SMTP, scanners, journaling and moves of mailboxes " +
		"depend on the forest's servers and on the connection to the tenant. The way out removes both.",
	Fix: "Move or replace what is found. What may stay behind goes into hybrid.leaveBehind.",
	Reads: fact.List(fact.LocalMailboxes, fact.PublicFolderMailboxes, fact.ReceiveConnectors, fact.AddressPolicies,
		fact.JournalRules, fact.OnlineJournalRules, fact.OutboundConnectors, fact.MoveRequests, fact.OnlineMoveRequests,
		fact.MigrationBatches, fact.Servers),
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
		if !behind(answers.RemainPublicFolders) {
			folders, err := fact.PublicFolderMailboxes.In(ctx, p.Forest)
			if err != nil {
				return nil, err
			}
			if len(folders.Names) > 0 {
				found("%s with public folders on-premises, to be moved to Exchange Online first (or leaveBehind: "+
					"[publicFolders]): %s", residents(folders), firstNames(folders.Names))
			}
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
		outbound, err := fact.OutboundConnectors.In(ctx, p.set.Tenant)
		if err != nil {
			return nil, err
		}
		for _, c := range outbound {
			if p.toForest(c) && c.Enabled && (c.Centralized || c.ByRule) {
				found("the outbound connector %s of the tenant sends mail for other domains through the forest: switch "+
					"centralized transport off, and the transport rules that use the connector", c.Name)
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
var ownConnectors = []string{"Default", "Client Proxy", "Default Frontend", "Outbound Proxy Frontend", "Client Frontend"}

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

// atATime is how many mailboxes one plan hands over to the cloud: a run stays short, and the next
// plan goes on.
const atATime = 500

// authorityMoved hands the attributes of Exchange over to the cloud.
var authorityMoved = ExitStage{
	ID:    "authority",
	Title: "Exchange Online manages the attributes of the mailboxes",
	Why: "While Active Directory is the source of a mailbox's addresses and other attributes of Exchange, they can be " +
		"changed on-premises alone, with the tools of Exchange there.",
	Fix: "hybridge plan holds the mailboxes that are left. Where Microsoft Entra Connect synchronizes, its version " +
		"must be 2.5.190.0 or later.",
	Kinds: []*Kind{cloudManagedMailbox},
	Reads: fact.List(fact.SyncedMailboxes),
	open: func(ctx context.Context, p *Planner) ([]msg.Text, error) {
		mailboxes, err := fact.SyncedMailboxes.In(ctx, p.set.Tenant)
		if err != nil {
			return nil, err
		}
		left := 0
		for _, m := range mailboxes {
			if m.CloudManaged || p.forestWith(m.Primary) != p.Forest {
				continue
			}
			if left++; left > atATime {
				continue
			}
			p.Add(cloudManagedMailbox, PlaceOnline, strings.ToLower(m.Primary), m.Primary,
				msg.Of("its attributes are changed in Exchange Online from then on"), change.Properties{
					"PrimarySmtpAddress": m.Primary, "Identity": m.Primary, "IsExchangeCloudManaged": true})
		}
		if left > 0 {
			p.Note(msg.Of("Microsoft Entra Connect must be of version 2.5.190.0 or later. Change no attribute of Exchange "+
				"on-premises from a day before on: what is not synchronized yet is lost. Mailboxes to hand over: %d; a "+
				"plan holds up to %d", left, atATime))
			p.Note(msg.Of("groups and contacts stay with Active Directory until each is converted (Microsoft Graph, " +
				"onPremisesSyncBehavior, isCloudManaged): hybridge converts none"))
		}
		return nil, nil
	},
}

// forestWith returns the forest of an address. The first one takes those of no forest.
func (p *Planner) forestWith(address string) *fact.Side {
	_, domain, _ := strings.Cut(strings.ToLower(address), "@")
	for _, f := range p.set.Forests {
		if slices.Contains(lower(f.Answers.Domains), domain) {
			return f
		}
	}
	return p.set.Forests[0]
}

// namesTurned waits until DNS leads mail and clients to Exchange Online. The records are the network
// team's: the stage names them and looks them up.
var namesTurned = ExitStage{
	ID:    "dns",
	Title: "MX and autodiscover lead to Exchange Online",
	Why: "Mail from outside and clients follow MX and autodiscover. While these lead to the forest, nothing that it " +
		"answers with may go.",
	Fix: "Publish the records that the finding names, and wait until their old time to live has passed. With a filter " +
		"in front, let it deliver to Exchange Online, and name the domain in hybrid.filtered.",
	Reads: fact.List(fact.MailExchangers, fact.MX, fact.AutodiscoverTargets, fact.Hosts),
	open: func(ctx context.Context, p *Planner) (waits []msg.Text, err error) {
		domains, err := p.domains()
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

// mailEnds removes the connectors of mail.
var mailEnds = ExitStage{
	ID:    "mail",
	Title: "no connector carries mail between the forest and the tenant",
	Why: "The inbound connector lets mail with the forest's certificate pass as internal mail. When no mail takes that " +
		"way any more, it is an open door.",
	Fix:   "hybridge plan and hybridge apply remove them, once MX leads to Exchange Online and no queue holds mail.",
	Kinds: []*Kind{sendConnector, receiveConnector, inboundConnector, outboundConnector, onPremisesOrganization},
	Reads: fact.List(fact.Organization, fact.OnlineAcceptedDomains, fact.SendConnectors, fact.ReceiveConnectors,
		fact.InboundConnectors, fact.OutboundConnectors, fact.HybridOrganizations, fact.Queues),
	open: func(ctx context.Context, p *Planner) ([]msg.Text, error) {
		before := len(p.out)
		if err := p.endMail(ctx); err != nil || len(p.out) == before {
			return nil, err
		}
		queues, err := fact.Queues.In(ctx, p.Forest)
		if err != nil {
			return nil, err
		}
		var waits []msg.Text
		for _, q := range queues {
			if q.Messages > 0 && !strings.Contains(strings.ToLower(q.Identity), `\shadow\`) {
				waits = append(waits, msg.Of("the queue %s holds mail (%d), and its connector would go: let it leave, or "+
					"remove it", q.Identity, q.Messages))
			}
		}
		if len(waits) > 0 {
			p.out = p.out[:before]
			return waits, nil
		}
		if len(p.Forest.Answers.Edge) > 0 {
			p.Note(msg.Of("Edge servers keep their connectors: end the subscriptions when no mail passes them any more"),
				"Get-EdgeSubscription | Remove-EdgeSubscription")
		}
		p.Note(msg.Of("what sends to a server of the forest by its name shows in no configuration. Look who does, before "+
			"this stage"), "Get-TransportService | Get-MessageTrackingLog -EventId RECEIVE -Start (Get-Date).AddDays(-7) "+
			"-ResultSize Unlimited | Where-Object Source -eq 'SMTP' | Group-Object ClientIp, ConnectorId -NoElement")
		p.Note(msg.Of("DNS: take the forest's addresses out of the SPF records when it sends no mail any more"))
		return nil, nil
	},
}

// endMail plans the removal of the connectors.
func (p *Planner) endMail(ctx context.Context) error {
	guid, err := p.organization(ctx, p.Forest)
	if err != nil {
		return err
	}
	coexistence, err := p.coexistence(ctx)
	if err != nil {
		return err
	}
	known, err := fact.HybridOrganizations.In(ctx, p.set.Tenant)
	if err != nil {
		return err
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
		return err
	}
	for _, c := range outbound {
		named := strings.EqualFold(c.Name, cmp.Or(record.Outbound, "Outbound to "+guid))
		if named || p.toForest(c) && !taken(c.Name) {
			p.end(outboundConnector, PlaceOnline, guid+":"+strings.ToLower(c.Name), c.Name, reason,
				change.Properties{"Name": c.Name})
		}
	}
	inbound, err := fact.InboundConnectors.In(ctx, p.set.Tenant)
	if err != nil {
		return err
	}
	host := normalHost(p.Forest.Answers.Namespace.SMTP)
	for _, c := range inbound {
		named := strings.EqualFold(c.Name, cmp.Or(record.Inbound, "Inbound from "+guid))
		byHand := strings.EqualFold(c.Type, "OnPremises") && host != "" && normalHost(c.CertificateName) == host
		if named || byHand && !taken(c.Name) {
			p.end(inboundConnector, PlaceOnline, guid+":"+strings.ToLower(c.Name), c.Name, reason,
				change.Properties{"Name": c.Name})
		}
	}
	if record.GUID != "" { // it names the connectors: it goes before them
		p.end(onPremisesOrganization, PlaceOnline, guid, record.Name, reason, change.Properties{"OrganizationGuid": guid},
			All(PlaceOnline, inboundConnector, outboundConnector)...)
	}
	return p.endSending(ctx, coexistence, reason)
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
			p.end(sendConnector, p.at(), key, c.Name, reason, change.Properties{"Name": c.Name},
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
	Why: "Relationships, intra-organization connectors and MRSProxy let the other side ask for calendars and mailboxes. " +
		"Without mailboxes on-premises nothing uses them.",
	Fix:   "hybridge plan and hybridge apply remove them.",
	Kinds: []*Kind{intraOrganizationConnector, organizationRelationship, availabilityAddressSpace, mailboxReplicationProxy},
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
			{intraOrganizationConnector, fact.OnlineConnectors, "TargetAddressDomains", PlaceOnline, p.set.Tenant, domains},
			{organizationRelationship, fact.OnlineRelationships, "DomainNames", PlaceOnline, p.set.Tenant, domains},
		} {
			live, err := h.query.In(ctx, h.side)
			if err != nil {
				return nil, err
			}
			p.endHolders(h.kind, h.place, h.property, live, h.domains)
		}
		spaces, err := fact.AddressSpaces.In(ctx, p.Forest)
		if err != nil {
			return nil, err
		}
		for _, a := range spaces {
			if normalDomain(a.ForestName) == coexistence && strings.EqualFold(a.AccessMethod, "InternalProxy") {
				p.end(availabilityAddressSpace, p.at(), coexistence, a.ForestName,
					msg.Of("no server asks the tenant any more"), change.Properties{"ForestName": a.ForestName})
			}
		}
		if err := p.endMoves(ctx); err != nil {
			return nil, err
		}
		endpoints, err := fact.MigrationEndpoints.In(ctx, p.set.Tenant)
		if err != nil {
			return nil, err
		}
		for _, e := range endpoints {
			if len(p.out) > before && e.Moves(normalHost(p.Forest.Answers.Namespace.EWS)) {
				p.Note(msg.Of("the migration endpoint %s leads to the forest, and holds the password of its account: remove "+
					"it, hybridge cannot make it again", e.Name), "Remove-MigrationEndpoint -Identity "+exchange.Quote(e.Name))
			}
		}
		return nil, nil
	},
}

// endHolders plans the removal of the relationships or connectors for some domains. An object that is
// for other domains too keeps these.
func (p *Planner) endHolders(k *Kind, place, property string, live []fact.Holder, domains []string) {
	for _, h := range live {
		held := lower(h.Domains)
		ours := slices.DeleteFunc(slices.Clone(held), func(d string) bool { return !slices.Contains(domains, d) })
		key := p.Forest.Name() + ":" + strings.ToLower(h.Name)
		switch {
		case len(ours) == 0:
		case len(ours) == len(held):
			p.end(k, place, key, h.Name, msg.Of("no mailbox is left in %s to ask for or to ask from", p.Forest.Name()),
				change.Properties{property: ours})
		case place == PlaceOnline && p.sharedBefore(held):
			p.wait(p.topic.ID, p.at(), msg.Of("%s %q of the tenant is for another forest too: its domains go after those "+
				"of that forest", k.Noun, h.Name))
		default:
			p.reduce(k, place, key, h.Name, msg.Of("no mailbox is left in %s; the other domains stay", p.Forest.Name()),
				change.Properties{property: ours}, property, ours)
		}
	}
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
			p.end(mailboxReplicationProxy, p.at(), strings.ReplaceAll(strings.ToLower(d.Identity), `\`, ":"), d.Identity,
				msg.Of("no mailbox moves any more"), change.Properties{"Identity": d.Identity})
		}
	}
	return nil
}

// trustEnds takes the application, its keys and consents, the auth servers and the overrides away.
var trustEnds = ExitStage{
	ID:    "trust",
	Title: "neither side takes the other's tokens",
	Why: "The application may open mailboxes of the tenant, and its key lies on servers on-premises. The auth servers let " +
		"the tenant in. Without lookups nothing uses them.",
	Fix: "hybridge plan and hybridge apply take them away. The application itself stays, without keys, consents and " +
		"sign-in: remove it by hand when no rollback is wanted any more.",
	Kinds: []*Kind{settingOverride, authServerApplication, authServer, partnerApplication, servicePrincipal,
		appRoleAssignment, applicationKeyList, servicePrincipalName},
	Reads: fact.List(fact.Tenant, fact.SettingOverrides, fact.AuthServers, fact.PartnerApplications,
		fact.DedicatedApplication, fact.Standings, fact.TokenNames),
	open: func(ctx context.Context, p *Planner) (waits []msg.Text, err error) {
		before := len(p.out)
		id, err := p.tenantID(ctx)
		if err != nil {
			return nil, err
		}
		servers, err := fact.AuthServers.In(ctx, p.Forest)
		if err != nil {
			return nil, err
		}
		for _, s := range servers {
			if strings.EqualFold(s.Realm, id) && s.DefaultEndpoint {
				waits = append(waits, msg.Of("clients of the forest sign in at the auth server %s (hybrid modern "+
					"authentication): switch that off first (Set-AuthServer -Identity %s -IsDefaultAuthorizationEndpoint "+
					"$false)", s.Name, exchange.Quote(s.Name)))
			}
		}
		if len(waits) > 0 {
			return waits, nil
		}
		if err := p.endOverrides(ctx); err != nil {
			return nil, err
		}
		if err := p.endApplication(ctx); err != nil {
			return nil, err
		}
		if err := p.endServers(ctx, id, servers); err != nil {
			return nil, err
		}
		if err := p.endTokenNames(ctx); err != nil {
			return nil, err
		}
		if len(p.out) > before && !p.retires(answers.RetireSharedKeys) {
			p.Note(msg.Of("auth certificates at the shared application of Exchange Online go with retire: [sharedKeys]"))
		}
		return nil, nil
	},
}

// endOverrides removes the setting overrides of hybrid. Those of Exchange's own flighting stay.
func (p *Planner) endOverrides(ctx context.Context) error {
	live, err := fact.SettingOverrides.In(ctx, p.Forest)
	if err != nil {
		return err
	}
	for _, o := range live {
		ours := slices.ContainsFunc([]override{dedicatedApplicationOverride, graphRouteOverride}, func(h override) bool {
			return strings.EqualFold(h.section, o.Section)
		})
		if !ours || strings.HasPrefix(strings.ToLower(o.Name), "flightingserviceoverride") {
			continue
		}
		p.end(settingOverride, p.at(), "exit:"+strings.ToLower(o.Name), o.Name,
			msg.Of("no lookup goes to the tenant any more"), limitsOf(o))
	}
	return nil
}

// endApplication takes keys, consents and sign-in of the dedicated application away. All of it can be
// given back; a removed application comes back under another id.
func (p *Planner) endApplication(ctx context.Context) error {
	app, err := fact.DedicatedApplication.In(ctx, p.Forest)
	if err != nil || app.AppID == "" {
		return err
	}
	standing, err := fact.Standings.In(ctx, p.set.Tenant, app.AppID)
	if err != nil {
		return err
	}
	before := len(p.out)
	name, forest := app.Name, p.Forest.Name()
	if app.Passwords+app.Federated > 0 {
		p.Note(msg.Of("the application %s (%s) has other ways to sign in, which hybridge did not make: it stays as it is; "+
			"find out who uses it", app.DisplayName, app.AppID))
		return nil
	}
	for _, a := range standing.Assignments {
		p.end(appRoleAssignment, PlaceEntra, name+":"+a.Role, name+" "+cmp.Or(a.ResourceName, a.Resource),
			msg.Of("Exchange in %s asks the tenant for nothing any more", forest), change.Properties{
				"principalId": standing.ID, "resourceId": a.Resource, "appRoleId": a.Role},
			One(authServerApplication, p.at(), evoSTSKey))
	}
	if standing.ID != "" && standing.Enabled {
		p.Add(servicePrincipal, PlaceEntra, name, name, msg.Of("nothing signs in as the application any more"),
			change.Properties{"appId": app.AppID, "accountEnabled": false}, All(PlaceEntra, appRoleAssignment)...)
	}
	if len(app.KeyCredentials) > 0 {
		p.Add(applicationKeyList, PlaceEntra, name, name, msg.Of("the keys of %s open nothing any more", forest),
			change.Properties{"id": app.ID, "keyCredentials": []any{}}, One(servicePrincipal, PlaceEntra, name))
	}
	if len(p.out) > before {
		p.Note(msg.Of("the application %s (%s) stays, without keys, consents and sign-in, so that a rollback finds it. Its "+
			"place on EwsAllowedAppIDs admits nothing. Remove it by hand when no rollback is wanted any more",
			app.DisplayName, app.AppID), "Remove-MgApplication -ApplicationId "+exchange.Quote(app.ID))
	}
	return nil
}

// endServers takes the trust of the forest in the tenant away.
func (p *Planner) endServers(ctx context.Context, tenant string, servers []fact.AuthServer) error {
	for _, s := range servers {
		key := ""
		switch {
		case !strings.EqualFold(s.Realm, tenant):
			continue
		case strings.EqualFold(s.Type, "AzureAD"):
			key = evoSTSKey
			if s.ApplicationIdentifier != "" {
				p.end(authServerApplication, p.at(), key, s.Name, msg.Of("Exchange signs in to the tenant no longer"),
					change.Properties{"Type": s.Type, "Realm": tenant}, One(authServer, p.at(), key))
			}
		case strings.EqualFold(s.Type, "MicrosoftACS"):
			key = "acs"
		default:
			continue
		}
		p.end(authServer, p.at(), key, s.Name, msg.Of("tokens of the tenant are taken no longer"),
			change.Properties{"Type": s.Type, "Realm": tenant})
	}
	partners, err := fact.PartnerApplications.In(ctx, p.Forest)
	if err != nil {
		return err
	}
	for _, a := range partners {
		if strings.EqualFold(a.ApplicationIdentifier, oauth.AppExchangeOnline) && a.Realm == "" && a.Enabled {
			p.Add(partnerApplication, p.at(), oauth.AppExchangeOnline, a.Name,
				msg.Of("Exchange Online asks the forest for nothing any more"),
				change.Properties{"ApplicationIdentifier": oauth.AppExchangeOnline, "Enabled": false})
		}
	}
	return nil
}

// endTokenNames takes the hosts of the forest out of the names for which Exchange Online gets tokens.
// The last forest of the answers does so for all of them: the list is one.
func (p *Planner) endTokenNames(ctx context.Context) error {
	if p.Forest != p.set.Forests[len(p.set.Forests)-1] {
		return nil
	}
	live, err := fact.TokenNames.In(ctx, p.set.Tenant)
	if err != nil {
		return err
	}
	var ours []string
	for _, f := range p.Answers.Forests {
		for _, host := range []string{f.Namespace.Autodiscover, f.Namespace.EWS} {
			u := normalPrincipalName("https://" + strings.ToLower(host) + "/")
			for _, name := range live {
				if host != "" && normalPrincipalName(name) == u && !slices.Contains(ours, name) {
					ours = append(ours, name)
				}
			}
		}
	}
	if len(ours) > 0 {
		p.reduce(servicePrincipalName, PlaceEntra, oauth.AppExchangeOnline, "Office 365 Exchange Online",
			msg.Of("Exchange Online asks no server on-premises any more"),
			change.Properties{"appId": oauth.AppExchangeOnline}, "servicePrincipalNames", ours)
	}
	return nil
}

// servicePointsCleared clears what computers of the domain ask before DNS.
var servicePointsCleared = ExitStage{
	ID:    "service-points",
	Title: "no service connection point leads to the forest",
	Why: "Outlook on a computer of the domain asks the service connection points first. One that leads to a server that is " +
		"shut down delays every start.",
	Fix:   "hybridge plan and hybridge apply clear them: Set-ClientAccessService -AutoDiscoverServiceInternalUri $null.",
	Kinds: []*Kind{clientAccessService},
	Reads: fact.List(fact.ServicePoints),
	open: func(ctx context.Context, p *Planner) ([]msg.Text, error) {
		points, err := fact.ServicePoints.In(ctx, p.Forest)
		if err != nil {
			return nil, err
		}
		for _, s := range points {
			if s.URL != "" {
				p.Add(clientAccessService, p.at(), strings.ToLower(s.Server), s.Server,
					msg.Of("Outlook in the domain finds Exchange Online by DNS"),
					change.Properties{"Name": s.Server, "AutoDiscoverServiceInternalUri": nil})
			}
		}
		return nil, nil
	},
}

// recordRemoved removes the record of Microsoft's wizard.
var recordRemoved = ExitStage{
	ID:    "record",
	Title: "the forest has no record of a hybrid configuration",
	Why:   "Microsoft's wizard and HealthChecker take an organization with the record for a hybrid one.",
	Fix:   "hybridge plan and hybridge apply remove it.",
	Kinds: []*Kind{hybridConfiguration},
	Reads: fact.List(fact.HybridConfigurations),
	open: func(ctx context.Context, p *Planner) ([]msg.Text, error) {
		record, err := fact.HybridConfigurations.In(ctx, p.Forest)
		if err == nil && record.Exists {
			p.end(hybridConfiguration, p.at(), "record", "Hybrid Configuration",
				msg.Of("%s is hybrid no longer", p.Forest.Name()), change.Properties{})
		}
		return nil, err
	},
}

// sayLastServer says what remains when every stage is done. hybridge uninstalls no server.
func (p *Planner) sayLastServer() {
	p.Note(msg.Of("%s has left hybrid. The last Exchange server: while Active Directory is the source of any recipient "+
		"(groups, contacts, mail users), keep it, or install the management tools of Exchange on another computer and "+
		"shut it down. Do not uninstall it: setup takes the attributes of Exchange along that synchronization still "+
		"reads. When Exchange Online manages every recipient, follow Microsoft's guide for the last server "+
		"(decommission-last-exchange-server); hybridge does none of it", p.Forest.Name()))
	p.Note(msg.Of("when no recipient is made on-premises any more, Exchange Online may manage new ones by default. Only "+
		"Microsoft can repair accounts that are made on-premises afterwards: a person decides"),
		"Set-OrganizationConfig -ExchangeAttributesCloudManagedByDefault")
}

var cloudManagedMailbox = Exchange.Declare(Kind{
	Noun:  "CloudManagedMailbox",
	Title: "Mailbox whose attributes Exchange Online manages",
	Why: "The attributes of Exchange of a synchronized account come from Active Directory, until its mailbox is handed " +
		"over. Name, phone and other attributes still come from there.",
	Places: []string{Online},
	Properties: map[string]Property{
		"PrimarySmtpAddress":     {Type: text, Write: change.Key},
		"Identity":               {Type: text, Write: change.CreateOnly},
		"IsExchangeCloudManaged": {Type: boolean, Unset: false},
	},
	Risk: "changes of its attributes of Exchange on-premises have no effect from then on; it cannot be moved back " +
		"on-premises until it is handed back",
	Undo: &change.Consent{ID: "attribute-authority",
		Title: "hand mailboxes back to Active Directory: what was changed in Exchange Online since is overwritten"},
	Patience: entraPatience,
}, Cmdlets{Verbs: Set, Of: "Mailbox", Get: map[string]any{"ResultSize": "Unlimited"}})

var clientAccessService = Exchange.Declare(Kind{
	Noun:  "ClientAccessService",
	Title: "Service connection point of a server",
	Why: "Active Directory tells computers of the domain where autodiscover is, before DNS is asked. When every mailbox " +
		"is in Exchange Online, none is needed.",
	Places: []string{OnPremises},
	Properties: map[string]Property{
		"Name":                           {Type: text, Write: change.Key},
		"AutoDiscoverServiceInternalUri": {Type: address},
	},
	Risk: "Outlook in the domain finds its mailbox by DNS alone from then on",
}, Cmdlets{Verbs: Set})
