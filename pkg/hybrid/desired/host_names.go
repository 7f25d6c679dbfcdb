package desired

import (
	"context"
	"slices"
	"strings"

	"github.com/hybridge-cli/hybridge/pkg/engine/change"
	"github.com/hybridge-cli/hybridge/pkg/engine/msg"
	"github.com/hybridge-cli/hybridge/pkg/estate/entra"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/fact"
	"github.com/hybridge-cli/hybridge/pkg/wire/oauth"
)

var hostNames = &Topic{
	ID:       "host-names",
	Title:    "Host names for which Exchange Online gets tokens",
	Features: lookupFeatures,
	Kinds:    []*Kind{servicePrincipalName},
	Reads:    fact.List(fact.VirtualDirectories),
	Derive: func(_ context.Context, p *Planner) error {
		var urls []string
		for _, f := range p.Answers.Forests {
			for _, host := range []string{f.Namespace.Autodiscover, f.Namespace.EWS} {
				if u := "https://" + strings.ToLower(host) + "/"; !slices.Contains(urls, u) {
					urls = append(urls, u)
				}
			}
		}
		p.Add(servicePrincipalName, PlaceEntra, oauth.AppExchangeOnline, "Office 365 Exchange Online",
			msg.Of("Exchange Online gets tokens for the servers of these names"),
			change.Properties{"appId": oauth.AppExchangeOnline, "servicePrincipalNames": urls})
		return nil
	},
}

// Exchange Online's service principal is Microsoft's: it always exists. hybridge neither creates
// nor removes it.
var servicePrincipalName = MicrosoftGraph.Declare(Kind{
	Noun:     "ServicePrincipalName",
	Patience: entraPatience,
	Title:    "Names of Exchange on-premises, at the service principal of Exchange Online",
	Why: "Entra issues Exchange Online a token for an on-premises server only when the server's host is among these " +
		"names: without it every lookup from the tenant is refused before it leaves.",
	Places: []string{Entra},
	Properties: map[string]Property{
		"appId":                 {Type: guid, Write: change.Key},
		"servicePrincipalNames": {Type: principalNames, Write: change.Merge, MayHide: true},
	},
	Risk: "Graph takes the list whole; the names that are there, Microsoft's own among them, are sent again",
}, Collection{
	Path: "/servicePrincipals", Methods: Patch,
	Read: func(d Directory, ctx context.Context) ([]map[string]any, error) {
		return d.List(ctx, "/servicePrincipals?"+entra.Filter("appId", oauth.AppExchangeOnline)+
			"&$select=id,appId,displayName,servicePrincipalNames")
	},
})
