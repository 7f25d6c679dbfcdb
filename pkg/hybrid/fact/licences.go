package fact

import (
	"context"
	"strings"
)

// Subscription is a product that the tenant has bought, with its licences.
type Subscription struct {
	Name   string // skuPartNumber: ENTERPRISEPACK
	Status string // capabilityStatus: Enabled, Warning, Suspended, Deleted, LockedOut
	Bought int    // enabled and in their grace period
	Used   int
	// Mailboxes: the product brings a mailbox in Exchange Online. Frontline: one without EWS.
	Mailboxes, Frontline bool
}

// Subscriptions are the products of the tenant.
var Subscriptions = FromGraph("/subscribedSkus", readOrganization,
	func(g Graph, ctx context.Context) ([]Subscription, error) {
		list, err := g.List(ctx, "/subscribedSkus")
		if err != nil {
			return nil, err
		}
		var out []Subscription
		for _, sku := range list {
			var s Subscription
			s.Name, _ = sku["skuPartNumber"].(string)
			s.Status, _ = sku["capabilityStatus"].(string)
			units, _ := sku["prepaidUnits"].(map[string]any)
			s.Bought, s.Used = whole(units["enabled"])+whole(units["warning"]), whole(sku["consumedUnits"])
			plans, _ := sku["servicePlans"].([]any)
			for _, p := range plans {
				plan, _ := p.(map[string]any)
				name, _ := plan["servicePlanName"].(string)
				switch name = strings.ToUpper(name); {
				case !strings.HasPrefix(name, "EXCHANGE_S_"), strings.HasPrefix(name, "EXCHANGE_S_FOUNDATION"),
					strings.HasPrefix(name, "EXCHANGE_S_ARCHIVE"):
				case strings.HasPrefix(name, "EXCHANGE_S_DESKLESS"):
					s.Mailboxes, s.Frontline = true, true
				default:
					s.Mailboxes = true
				}
			}
			out = append(out, s)
		}
		return out, nil
	})

// whole is a number of JSON.
func whole(v any) int {
	n, _ := v.(float64)
	return int(n)
}
