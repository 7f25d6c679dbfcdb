package desired

import (
	"context"
	"slices"
	"strings"

	"github.com/hybridge-cli/hybridge/pkg/config/answers"
	"github.com/hybridge-cli/hybridge/pkg/engine/change"
	"github.com/hybridge-cli/hybridge/pkg/engine/msg"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/fact"
)

// addressSpace gives servers that know no organization relationship a way to the tenant: through a
// newer server of the forest.
var addressSpace = &Topic{
	ID:        "address-space",
	Title:     "Way to the tenant's calendars for servers older than Exchange 2013",
	Features:  []answers.Feature{answers.FreeBusy},
	PerForest: true,
	Kinds:     []*Kind{availabilityAddressSpace},
	Reads:     fact.List(fact.Organization, fact.OnlineAcceptedDomains, fact.AddressSpaces),
	Derive: func(ctx context.Context, p *Planner) error {
		if _, err := p.organization(ctx, p.Forest); err != nil {
			return err
		}
		coexistence, err := p.coexistence(ctx)
		if err != nil {
			return err
		}
		live, err := fact.AddressSpaces.In(ctx, p.Forest)
		if err != nil {
			return err
		}
		if slices.ContainsFunc(live, func(a fact.AddressSpace) bool {
			return normalDomain(a.ForestName) == coexistence && !strings.EqualFold(a.AccessMethod, "InternalProxy")
		}) {
			return nil // made by hand for another way: replacing it would lose its credential
		}
		p.Add(availabilityAddressSpace, p.at(), coexistence, coexistence,
			msg.Of("old servers of %s ask a newer one for calendars of the tenant", p.Forest.Name()),
			change.Properties{
				"ForestName": coexistence, "AccessMethod": "InternalProxy", "UseServiceAccount": true,
				"ProxyUrl": "https://" + p.Forest.Answers.Namespace.EWS + "/EWS/Exchange.asmx",
			})
		return nil
	},
}
