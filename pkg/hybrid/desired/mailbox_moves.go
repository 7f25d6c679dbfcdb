package desired

import (
	"context"
	"net/url"
	"slices"
	"strings"

	"github.com/hybridge-cli/hybridge/pkg/config/answers"
	"github.com/hybridge-cli/hybridge/pkg/engine/change"
	"github.com/hybridge-cli/hybridge/pkg/engine/msg"
	"github.com/hybridge-cli/hybridge/pkg/estate/exchange"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/fact"
)

// mailboxMoves lets the tenant read mailboxes that are moved to it, at servers that are safe to
// open to it. The check migration.mrs-proxy names the others.
var mailboxMoves = &Topic{
	ID:        "mailbox-moves",
	Title:     "Mailboxes can be moved between the forest and the tenant",
	Features:  []answers.Feature{answers.MoveMailbox},
	PerForest: true,
	Kinds:     []*Kind{mailboxReplicationProxy},
	Reads: fact.List(fact.VirtualDirectories, fact.MailboxServers, fact.MigrationEndpoints, fact.OnlineConnectors,
		fact.OnlineRelationships),
	Derive: func(ctx context.Context, p *Planner) error {
		directories, err := fact.VirtualDirectories.In(ctx, p.Forest)
		if err != nil {
			return err
		}
		servers, err := fact.MailboxServers.In(ctx, p.Forest)
		if err != nil {
			return err
		}
		open := false
		for _, d := range directories {
			if d.Noun != fact.EWSDirectory {
				continue
			}
			open = open || d.MRSProxy
			for _, s := range servers {
				if normalServer(s.Name) == normalServer(d.Server()) && s.Build.Binds() == fact.Fit {
					open = true
					p.Add(mailboxReplicationProxy, p.at(), strings.ReplaceAll(strings.ToLower(d.Identity), `\`, ":"),
						d.Identity, msg.Of("Exchange Online moves mailboxes through server %s", s.Name),
						change.Properties{"Identity": d.Identity, "MRSProxyEnabled": true})
				}
			}
		}
		if open {
			p.sayMoves(ctx, servers)
		}
		return nil
	},
}

// sayMoves says what moves still need of a person, and whether a mailbox can come back.
func (p *Planner) sayMoves(ctx context.Context, servers []fact.MailboxServer) {
	host := strings.ToLower(p.Forest.Answers.Namespace.EWS)
	endpoints, err := EndpointsOf(ctx, p.set, p.Forest)
	if err == nil && len(endpoints) == 0 {
		p.Note(msg.Of("no migration endpoint leads to %s. It needs the password of an account with the role Move "+
			"Mailboxes, which only Exchange Online PowerShell hands over: make it there, and check migration.endpoint "+
			"tests it", host), MigrationEndpointCommands(host)...)
	}
	var old []string
	for _, s := range servers {
		if line, known := s.Build.Line(); !known || line.EndOfLife {
			old = append(old, s.Name)
		}
	}
	switch {
	case len(old) == 0:
	case len(old) == len(servers):
		p.Note(msg.Of("there is no way back for mailboxes that are moved to the tenant: Exchange Online moves them to "+
			"versions in support alone, and no server of %s is of one", p.Forest.Name()))
	default:
		p.Note(msg.Of("mailboxes come back from the tenant only to servers in support: not to %s",
			strings.Join(old, ", ")))
	}
}

// EndpointsOf are the migration endpoints for moves that lead to a forest: to its EWS, or to the
// Hybrid Agent that the tenant reaches the forest by. Where the tenant names no agent, one serves
// the only forest.
func EndpointsOf(ctx context.Context, set *fact.Set, forest *fact.Side) ([]fact.MigrationEndpoint, error) {
	all, err := fact.MigrationEndpoints.In(ctx, set.Tenant)
	if err != nil {
		return nil, err
	}
	var agents []string
	if slices.ContainsFunc(all, fact.MigrationEndpoint.ByAgent) {
		if agents, err = agentsOf(ctx, set, forest); err != nil {
			return nil, err
		}
	}
	return slices.DeleteFunc(slices.Clone(all), func(e fact.MigrationEndpoint) bool {
		ours := slices.ContainsFunc(agents, e.Moves) || len(agents) == 0 && len(set.Forests) == 1
		return !e.Moves(forest.Answers.Namespace.EWS) && !(e.ByAgent() && ours)
	}), nil
}

// agentsOf are the hosts of the Hybrid Agent at which the tenant looks calendars of a forest up.
func agentsOf(ctx context.Context, set *fact.Set, forest *fact.Side) (hosts []string, err error) {
	domains := lower(forest.Answers.Domains)
	for _, q := range []*fact.Query[[]fact.Holder]{fact.OnlineConnectors, fact.OnlineRelationships} {
		holders, err := q.In(ctx, set.Tenant)
		if err != nil {
			return nil, err
		}
		for _, h := range holders {
			u, err := url.Parse(h.TargetSharingEpr)
			if err == nil && strings.HasSuffix(strings.ToLower(u.Hostname()), fact.AgentDomain) &&
				slices.ContainsFunc(lower(h.Domains), func(d string) bool { return slices.Contains(domains, d) }) {
				hosts = append(hosts, u.Hostname())
			}
		}
	}
	return hosts, nil
}

// MigrationEndpointCommands make a migration endpoint in Exchange Online PowerShell. The password
// is asked for when they run.
func MigrationEndpointCommands(host string) []string {
	quoted := exchange.Quote(host)
	return []string{
		"$credential = Get-Credential",
		"Test-MigrationServerAvailability -ExchangeRemoteMove -RemoteServer " + quoted + " -Credentials $credential",
		"New-MigrationEndpoint -Name " + exchange.Quote("Hybrid Migration Endpoint - "+host) +
			" -ExchangeRemoteMove -RemoteServer " + quoted + " -Credentials $credential",
	}
}

var mailboxReplicationProxy = Exchange.Declare(Kind{
	Noun:  "MailboxReplicationProxy",
	Title: "MRSProxy of an EWS virtual directory",
	Why: "Exchange Online reads and writes mailboxes that are moved through MRSProxy. It is opened only on servers " +
		"with the August 2026 security update (CVE-2026-62911).",
	Places: []string{OnPremises},
	Properties: map[string]Property{
		"Identity":        {Type: text, Write: change.Key},
		"MRSProxyEnabled": {Type: boolean, Unset: false},
	},
	Risk: "MRSProxy takes whole mailboxes out of the organization; a proxy in front of the server that ends TLS " +
		"breaks its sign-in",
	Consents: map[change.Action]change.Consent{change.Delete: {ID: "mrs-proxy-off", Title: "close MRSProxy"}},
}, Cmdlets{Verbs: Set, Of: "WebServicesVirtualDirectory", Get: asStored})
