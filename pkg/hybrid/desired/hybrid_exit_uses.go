package desired

import (
	"context"
	"slices"
	"strings"

	"github.com/hybridge-cli/hybridge/pkg/config/answers"
	"github.com/hybridge-cli/hybridge/pkg/config/cloud"
	"github.com/hybridge-cli/hybridge/pkg/engine/msg"
	"github.com/hybridge-cli/hybridge/pkg/estate/certificate"
	"github.com/hybridge-cli/hybridge/pkg/estate/exchange"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/fact"
)

// What works by way of the connection and would stop with it. Each returns what the way out waits
// for.

// otherTenants finds connections of the forest with other tenants. They use the same receive
// connectors, partner application and keys.
func (p *Planner) otherTenants(ctx context.Context) (waits []msg.Text, err error) {
	id, err := p.tenantID(ctx)
	if err != nil {
		return nil, err
	}
	coexistence, err := p.coexistence(ctx)
	if err != nil {
		return nil, err
	}
	servers, err := fact.AuthServers.In(ctx, p.Forest)
	if err != nil {
		return nil, err
	}
	for _, s := range servers {
		ofEntra := strings.EqualFold(s.Type, "AzureAD") || strings.EqualFold(s.Type, "MicrosoftACS")
		if ofEntra && s.Enabled && s.Realm != "" && !strings.EqualFold(s.Realm, id) {
			waits = append(waits, msg.Of("the auth server %s connects the forest with another tenant (%s), which "+
				"uses the "+
				"same connectors and keys: end that connection first, or remove what is left of it (Remove-AuthServer "+
				"-Identity %s)", s.Name, s.Realm, exchange.Quote(s.Name)))
		}
	}
	send, err := fact.SendConnectors.In(ctx, p.Forest)
	if err != nil {
		return nil, err
	}
	ofTenant := p.ofTenants(coexistence)
	for _, c := range send {
		for _, space := range lower(c.AddressSpaces) {
			if c.Enabled && space != coexistence && ofTenant(space) {
				waits = append(waits, msg.Of("the send connector %s leads to another tenant (%s): end that "+
					"connection first",
					c.Name, space))
			}
		}
	}
	return waits, nil
}

// ofTenants returns a function that reports whether a domain is the coexistence domain of a tenant.
// A coexistence domain may be below the organization's own domain: what is beside it is no
// tenant's.
func (p *Planner) ofTenants(coexistence string) func(domain string) bool {
	var suffixes []string
	if s := p.set.Cloud.CoexistenceSuffix; s != "" {
		suffixes = append(suffixes, s)
	} else if _, s, ok := strings.Cut(coexistence, "."); ok {
		suffixes = append(suffixes, s)
	}
	for _, s := range p.set.Cloud.OtherSuffixes {
		suffixes = append(suffixes, "mail."+s)
	}
	return func(domain string) bool {
		return slices.ContainsFunc(suffixes, func(s string) bool { return strings.HasSuffix(domain, "."+s) })
	}
}

// publicFolders finds the public folders that people still open, or that are being moved.
func (p *Planner) publicFolders(ctx context.Context) (waits []msg.Text, err error) {
	remote, err := fact.PublicFoldersRemote.In(ctx, p.set.Tenant)
	if err != nil {
		return nil, err
	}
	if remote {
		waits = append(waits, msg.Of("Exchange Online leads people to public folders on-premises "+
			"(PublicFoldersEnabled "+
			"is Remote): Set-OrganizationConfig -PublicFoldersEnabled Local when they are moved, or None"))
	}
	move, err := fact.PublicFolderMoves.In(ctx, p.Forest)
	if err != nil {
		return nil, err
	}
	if move.Locked && !move.Complete {
		waits = append(waits, msg.Of("the public folders are locked for their move: complete it, or unlock them"))
	}
	if p.Answers.Hybrid.LeavesBehind(answers.RemainPublicFolders) {
		return waits, nil
	}
	folders, err := fact.PublicFolderMailboxes.In(ctx, p.Forest)
	if err == nil && len(folders.Names) > 0 {
		waits = append(waits, msg.Of("%s with public folders on-premises, to be moved to Exchange Online first (or "+
			"leaveBehind: [publicFolders]): %s", residents(folders), firstNames(folders.Names)))
	}
	return waits, err
}

// passes finds mail that goes through the forest, or from it through the tenant.
func (p *Planner) passes(ctx context.Context) (waits []msg.Text, err error) {
	wait := func(format string, args ...any) { waits = append(waits, msg.Of(format, args...)) }
	own, err := p.receiving(ctx)
	if err != nil {
		return nil, err
	}
	outbound, err := fact.OutboundConnectors.In(ctx, p.set.Tenant)
	if err != nil {
		return nil, err
	}
	for _, c := range outbound {
		others := slices.DeleteFunc(lower(c.RecipientDomains), func(d string) bool {
			return slices.Contains(own, d) || p.elsewhere(d)
		})
		switch {
		case !p.toForest(c) || !c.Enabled:
		case c.Centralized || c.ByRule:
			wait("the outbound connector %s of the tenant sends mail for other domains through the forest: switch "+
				"centralized transport off, and the transport rules that use the connector", c.Name)
		case len(others) > 0:
			wait("the outbound connector %s of the tenant sends mail for %s through the forest: lead it another way, "+
				"and "+
				"take the domains out of the connector", c.Name, firstNames(others))
		}
	}
	accepted, err := fact.OnlineAcceptedDomains.In(ctx, p.set.Tenant)
	if err != nil {
		return nil, err
	}
	for _, d := range accepted {
		domain := normalDomain(d.Name)
		if !strings.EqualFold(d.Type, "InternalRelay") || !slices.Contains(own, domain) ||
			slices.ContainsFunc(outbound, func(c fact.OutboundConnector) bool {
				return c.Enabled && !p.toForest(c) && slices.Contains(lower(c.RecipientDomains), domain)
			}) {
			continue
		}
		wait("the tenant sends mail for recipients of %s that it does not know to the forest (InternalRelay), and "+
			"without the connector that mail loops (5.4.14): when it knows all of them, Set-AcceptedDomain -Identity "+
			"%s -DomainType Authoritative", domain, exchange.Quote(d.Name))
	}
	send, err := fact.SendConnectors.In(ctx, p.Forest)
	if err != nil {
		return nil, err
	}
	coexistence, err := p.coexistence(ctx)
	if err != nil {
		return nil, err
	}
	for _, c := range send {
		byTenant := slices.ContainsFunc(c.SmartHosts, func(h string) bool {
			return strings.Contains(normalHost(h), ".mail.protection.") || cloud.IsExchangeOnline(normalHost(h))
		})
		spaces := slices.DeleteFunc(lower(c.AddressSpaces), func(s string) bool { return s == coexistence })
		byTenant = byTenant || c.CloudHeader && slices.Contains(spaces, "*")
		if c.Enabled && byTenant && len(spaces) > 0 {
			wait("the send connector %s sends mail for %s through the tenant, which would refuse it without the "+
				"inbound "+
				"connector (5.7.64): give that mail another way, then disable the connector (Set-SendConnector "+
				"-Identity %s "+
				"-Enabled $false)", c.Name, firstNames(spaces), exchange.Quote(c.Name))
		}
	}
	return waits, nil
}

// elsewhere reports whether a domain is one of another forest of the answers.
func (p *Planner) elsewhere(domain string) bool {
	return slices.ContainsFunc(p.set.Forests, func(f *fact.Side) bool {
		return f != p.Forest && slices.Contains(lower(f.Answers.Domains), domain)
	})
}

// groups finds dynamic distribution groups: mail for them finds no recipient in the tenant.
func (p *Planner) groups(ctx context.Context) (msg.Text, error) {
	if p.Answers.Hybrid.LeavesBehind(answers.RemainDynamicGroups) {
		return msg.Text{}, nil
	}
	groups, err := fact.DynamicGroups.In(ctx, p.Forest)
	if err != nil || len(groups.Names) == 0 {
		return msg.Text{}, err
	}
	return msg.Of("dynamic distribution groups on-premises, which no synchronization takes to the tenant: make them "+
		"there "+
		"(then leaveBehind: [dynamicGroups]), or remove them: %s", firstNames(groups.Names)), nil
}

// needing returns an earlier or later forest of the answers that still needs what it shares with
// this one: it is not through the stages that only look.
func (p *Planner) needing(ctx context.Context, shares func(*fact.Side) bool) (*fact.Side, error) {
	for _, f := range p.set.Forests {
		if f == p.Forest || !shares(f) {
			continue
		}
		for _, s := range LookingStages() {
			state, err := StageOf(ctx, p.set, f, s)
			if err != nil {
				return nil, err
			}
			if !state.Done() {
				return f, nil
			}
		}
	}
	return nil, nil
}

// first reports whether no earlier forest of the answers shares it: two changes of one plan cannot
// be about one object.
func (p *Planner) first(shares func(*fact.Side) bool) bool {
	for _, f := range p.set.Forests {
		if f == p.Forest {
			return true
		}
		if shares(f) {
			return false
		}
	}
	return true
}

// presents reports whether the mail host of a forest presents a certificate of that name.
func presents(name string) func(*fact.Side) bool {
	return func(f *fact.Side) bool { return certificate.Matches(name, f.Answers.Namespace.SMTP) }
}

// takes reports whether a connector of the tenant leads to the mail host of a forest.
func takes(c fact.OutboundConnector) func(*fact.Side) bool {
	return func(f *fact.Side) bool {
		host := normalHost(f.Answers.Namespace.SMTP)
		return host != "" && slices.ContainsFunc(c.SmartHosts, func(h string) bool { return normalHost(h) == host }) ||
			slices.ContainsFunc(lower(c.RecipientDomains), func(d string) bool {
				return slices.Contains(lower(f.Answers.Domains), d)
			})
	}
}
