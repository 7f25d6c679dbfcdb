package desired

import (
	"context"
	"time"

	"github.com/hybridge-cli/hybridge/pkg/engine/change"
	"github.com/hybridge-cli/hybridge/pkg/engine/msg"
	"github.com/hybridge-cli/hybridge/pkg/estate/exchange"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/fact"
)

// customization lets a new tenant have objects of its own. Until then it shares Microsoft's
// defaults, and refuses the cmdlets that make objects.
var customization = &Topic{
	ID:       "customization",
	Title:    "The tenant may have configuration of its own",
	Features: allFeatures,
	Kinds:    []*Kind{organizationCustomization},
	Reads:    fact.List(fact.OnlineConfig),
	Derive: func(ctx context.Context, p *Planner) error {
		config, err := fact.OnlineConfig.In(ctx, p.set.Tenant)
		if err != nil || !config.Dehydrated {
			return err
		}
		p.Add(organizationCustomization, PlaceOnline, "tenant", "Customization of the tenant",
			msg.Of("Exchange Online makes no connectors and relationships before it"),
			change.Properties{"IsDehydrated": false})
		return nil
	},
}

var organizationCustomization = Exchange.Declare(Kind{
	Noun:  "OrganizationCustomization",
	Title: "Customization of the tenant",
	Why: "A new tenant shares Microsoft's default configuration, and makes no objects of its own until it is " +
		"enabled.",
	Places:     []string{Online},
	Recognizes: "$true",
	Match:      func(change.Properties, change.Live) bool { return true },
	Properties: map[string]Property{"IsDehydrated": {Type: boolean}},
	Risk:       "it takes minutes, and changes nothing that is in use",
	Permanent:  "Exchange Online has no cmdlet that disables the customization of a tenant",
	Patience:   5 * time.Minute,
}, enableCustomization{})

// enableCustomization is one cmdlet without parameters.
type enableCustomization struct{}

// For builds the operations: an existing organization is updated.
func (enableCustomization) For(k *Kind) change.Ops[exchange.Reader] {
	ops := Cmdlets{Verbs: Set, Of: "OrganizationConfig", Only: true}.For(k)
	ops.Writes = []string{enableOrganizationCustomization}
	ops.Create, ops.Delete = nil, nil
	ops.Update = func(change.Properties, change.Live) (change.Command, error) {
		return change.Command{Name: enableOrganizationCustomization}, nil
	}
	return ops
}

const enableOrganizationCustomization = "Enable-OrganizationCustomization"
