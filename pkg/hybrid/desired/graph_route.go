package desired

import (
	"context"

	"github.com/hybridge-cli/hybridge/pkg/engine/change"
	"github.com/hybridge-cli/hybridge/pkg/engine/msg"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/fact"
)

var graphRoute = &Topic{
	ID:        "graph-route",
	Title:     "Exchange on-premises looks up through Microsoft Graph",
	Features:  lookupFeatures,
	PerForest: true,
	Kinds:     []*Kind{authServerGraphRoute, settingOverride},
	Reads:     fact.List(fact.Tenant, fact.OnlineConfig, fact.MailboxServers, fact.SettingOverrides),
	Derive: func(ctx context.Context, p *Planner) error {
		route, err := p.route(ctx)
		if err != nil || route != fact.RouteGraph {
			return err
		}
		name, err := p.tenantName(ctx)
		if err != nil {
			return err
		}
		cloud, err := p.cloud(ctx)
		if err != nil {
			return err
		}
		evo, err := p.evoSTS(ctx)
		if err != nil {
			return err
		}
		p.Add(authServerGraphRoute, p.at(), evoSTSKey, "EvoSts - "+name,
			msg.Of("Exchange asks Microsoft Graph there"), with(evo, change.Properties{
				"Identity": Ref(authServer, p.at(), evoSTSKey, "Identity"), "GraphBaseUrl": cloud.Graph,
			}), All(p.at(), authServerApplication)...)
		return p.override(ctx, graphRouteOverride,
			append(p.overrides(dedicatedApplicationOverride), One(authServerGraphRoute, p.at(), evoSTSKey))...)
	},
}

var authServerGraphRoute = Exchange.Declare(Kind{
	Noun:       "AuthServerGraphRoute",
	Title:      "Microsoft Graph address of the Entra auth server",
	Why:        "The address of Microsoft Graph. Exchange SE uses it for lookups that no longer use EWS.",
	Places:     []string{OnPremises},
	Match:      byTenant,
	Recognizes: tenantCondition,
	Properties: map[string]Property{
		"Type":            {Type: text, Write: change.Key, Derived: true},
		"Realm":           {Type: guid, Write: change.Key, Derived: true},
		"AuthMetadataUrl": {Type: address, Write: change.Key, Derived: true},
		"Identity":        {Type: text, Write: change.CreateOnly},
		"GraphBaseUrl":    {Type: address},
	},
	Risk: "only servers of the May 2026 hotfix update or later know the setting",
}, Cmdlets{Verbs: Set, Of: "AuthServer"})
