package desired

import (
	"context"
	"net/url"
	"slices"
	"strings"

	"github.com/hybridge-cli/hybridge/pkg/engine/change"
	"github.com/hybridge-cli/hybridge/pkg/engine/msg"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/fact"
)

var connectors = &Topic{
	ID:        "connectors",
	Title:     "Intra-organization connectors",
	Features:  lookupFeatures,
	PerForest: true,
	Kinds:     []*Kind{intraOrganizationConnector},
	Reads: fact.List(fact.Tenant, fact.OnlineConfig, fact.OnlineAcceptedDomains, fact.Organization, fact.Connectors,
		fact.OnlineConnectors, fact.AutodiscoverHosts, fact.EWSHosts),
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
		there, err := fact.OnlineConnectors.In(ctx, p.set.Tenant)
		if err != nil {
			return err
		}
		hosts := p.Forest.Answers.Namespace
		for _, part := range share(guid, "HybridIOC - "+guid, domains, there) {
			endpoint := "https://" + hosts.Autodiscover + "/autodiscover/autodiscover.svc"
			if discovers(part.DiscoveryEndpoint, "https://"+hosts.EWS) {
				endpoint = part.DiscoveryEndpoint
			}
			p.Add(intraOrganizationConnector, PlaceOnline, part.key, part.name,
				msg.Of("lookups from the tenant go to %s with OAuth", forest),
				with(p.sharing(part.Holder), change.Properties{
					"TargetAddressDomains": part.domains, "Enabled": true, "DiscoveryEndpoint": endpoint,
				}), slices.Concat(trust, All(PlaceEntra, servicePrincipalName))...)
		}

		needs := slices.Concat(trust, All(PlaceEntra, appRoleAssignment, keyCredential))
		// With the connector enabled, lookups can only use OAuth as the dedicated application.
		needs = append(needs, Need{kind: authServerApplication, place: p.at(), loose: true})
		here, err := fact.Connectors.In(ctx, p.Forest)
		if err != nil {
			return err
		}
		for _, part := range share(coexistence, "HybridIOC - "+name, []string{coexistence}, here) {
			endpoint := cloud.DiscoveryEndpoint
			if discovers(part.DiscoveryEndpoint, cloud.EWS) {
				endpoint = part.DiscoveryEndpoint
			}
			p.Add(intraOrganizationConnector, p.at(), part.key, part.name,
				msg.Of("lookups from %s go to the tenant with OAuth", forest), change.Properties{
					"TargetAddressDomains": part.domains, "DiscoveryEndpoint": endpoint, "Enabled": true,
				}, needs...)
		}
		return nil
	},
}

// discovers reports whether an endpoint is autodiscover at the host of EWS. Exchange answers it
// there, too: Microsoft's wizard writes it for the forests, and administrators for the tenant.
func discovers(endpoint, ews string) bool {
	u, err := url.Parse(endpoint)
	e, _ := url.Parse(ews)
	return err == nil && e != nil && strings.EqualFold(u.Scheme, "https") && strings.EqualFold(u.Host, e.Host) &&
		strings.EqualFold(strings.TrimSuffix(u.Path, "/"), "/autodiscover/autodiscover.svc")
}

var intraOrganizationConnector = Exchange.Declare(Kind{
	Noun:  "IntraOrganizationConnector",
	Title: "Intra-organization connector",
	Why: "Sends lookups for the other side's addresses there with OAuth, and names the other side's autodiscover " +
		"address.",
	Places: []string{OnPremises, Online},
	Match:  bySharedDomain("TargetAddressDomains"),
	Recognizes: "Test-Shared -As DomainList -Want {TargetAddressDomains} -Live (Read-Property $_ " +
		"'TargetAddressDomains')",
	Properties: map[string]Property{
		"TargetAddressDomains": {Type: domains, Write: change.Merge},
		"DiscoveryEndpoint":    {Type: address},
		"TargetSharingEpr":     {Type: address},
		"Enabled":              {Type: boolean},
	},
	Risk: "an enabled connector has no fallback to the organization relationship: lookups fail when OAuth does",
}, Cmdlets{Verbs: New | Set | Remove})
