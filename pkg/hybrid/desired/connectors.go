package desired

import (
	"context"
	"slices"

	"github.com/hybridge-cli/hybridge/pkg/engine/change"
	"github.com/hybridge-cli/hybridge/pkg/engine/msg"
)

var connectors = &Topic{
	ID:        "connectors",
	Title:     "Intra-organization connectors",
	Features:  lookupFeatures,
	PerForest: true,
	Kinds:     []*Kind{intraOrganizationConnector},
	Derive: func(ctx context.Context, p *Planner) error {
		domains, err := p.domains()
		if err != nil {
			return err
		}
		coexistence, err := p.coexistence(ctx)
		if err != nil {
			return err
		}
		cloud, err := p.cloud(ctx)
		if err != nil {
			return err
		}
		name, err := p.tenantName(ctx)
		if err != nil {
			return err
		}
		guid, err := p.organization(ctx, p.Forest)
		if err != nil {
			return err
		}
		forest, trust := p.Forest.Name(), All(p.at(), authServer, partnerApplication)
		p.Add(intraOrganizationConnector, PlaceOnline, guid, "HybridIOC - "+guid,
			msg.Of("lookups from the tenant go to %s with OAuth", forest), change.Properties{
				"TargetAddressDomains": domains, "Enabled": true,
				"DiscoveryEndpoint": "https://" + p.Forest.Answers.Namespace.Autodiscover +
					"/autodiscover/autodiscover.svc",
			}, slices.Concat(trust, All(PlaceEntra, servicePrincipalName))...)

		needs := slices.Concat(trust, All(PlaceEntra, appRoleAssignment, keyCredential))
		// With the connector on, lookups have no other way than OAuth as the dedicated application.
		needs = append(needs, Need{kind: authServerApplication, place: p.at(), loose: true})
		p.Add(intraOrganizationConnector, p.at(), coexistence, "HybridIOC - "+name,
			msg.Of("lookups from %s go to the tenant with OAuth", forest), change.Properties{
				"TargetAddressDomains": []string{coexistence}, "DiscoveryEndpoint": cloud.DiscoveryEndpoint,
				"Enabled": true,
			}, needs...)
		return nil
	},
}

var intraOrganizationConnector = Exchange.Declare(Kind{
	Noun:  "IntraOrganizationConnector",
	Title: "Intra-organization connector",
	Why: "Sends lookups for the other side's addresses there with OAuth, and says where autodiscover of the other " +
		"side is.",
	Places: []string{OnPremises, Online},
	Match:  bySharedDomain("TargetAddressDomains"),
	Properties: map[string]Property{
		"TargetAddressDomains": {Type: domains, Write: change.Merge},
		"DiscoveryEndpoint":    {Type: address},
		"Enabled":              {Type: boolean},
	},
	Risk: "an enabled connector has no fallback to the organization relationship: lookups fail when OAuth does",
}, Cmdlets{Verbs: New | Set | Remove})
