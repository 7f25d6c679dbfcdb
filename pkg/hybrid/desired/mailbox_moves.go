package desired

import (
	"context"
	"strings"

	"github.com/hybridge-cli/hybridge/pkg/config/answers"
	"github.com/hybridge-cli/hybridge/pkg/engine/change"
	"github.com/hybridge-cli/hybridge/pkg/engine/msg"
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
	Reads:     fact.List(fact.VirtualDirectories, fact.MailboxServers),
	Derive: func(ctx context.Context, p *Planner) error {
		directories, err := fact.VirtualDirectories.In(ctx, p.Forest)
		if err != nil {
			return err
		}
		servers, err := fact.MailboxServers.In(ctx, p.Forest)
		if err != nil {
			return err
		}
		for _, d := range directories {
			if d.Noun != fact.EWSDirectory {
				continue
			}
			for _, s := range servers {
				if normalServer(s.Name) == normalServer(d.Server()) && s.Build.Binds() == fact.Fit {
					p.Add(mailboxReplicationProxy, p.at(), strings.ReplaceAll(strings.ToLower(d.Identity), `\`, ":"),
						d.Identity, msg.Of("Exchange Online moves mailboxes through server %s", s.Name),
						change.Properties{"Identity": d.Identity, "MRSProxyEnabled": true})
				}
			}
		}
		return nil
	},
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
