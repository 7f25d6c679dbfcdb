package prereq

import (
	"context"

	"github.com/hybridge-cli/hybridge/pkg/engine/check"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/desired"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/fact"
)

var sharingCheck = Check{
	ID:    "oauth.sharing-endpoint",
	Title: "The tenant sends lookups to hosts of the forest",
	Scope: PerForest,
	Needs: []check.ID{"access.online-read"},
	Reads: fact.List(fact.OnlineRelationships, fact.OnlineConnectors),
	Why: "TargetSharingEpr of the tenant's connector or organization relationship goes before autodiscover. With a " +
		"host that the forest does not publish, such as a name of the past or a Hybrid Agent that is gone, lookups " +
		"from the tenant fail with AADSTS500011.",
	Fix: "hybridge plan clears it.",
	Run: func(ctx context.Context, in Input) check.Result {
		relationships, err := fact.OnlineRelationships.In(ctx, in.Tenant)
		if err != nil {
			return check.Unknown(err)
		}
		connectors, err := fact.OnlineConnectors.In(ctx, in.Tenant)
		if err != nil {
			return check.Unknown(err)
		}
		var stale []string
		for _, list := range [][]fact.Holder{relationships, connectors} {
			for _, h := range list {
				if shares(in.Forest, h) && desired.StaleSharing(in.Forest, h) {
					stale = append(stale, h.Name+" ("+h.TargetSharingEpr+")")
				}
			}
		}
		if len(stale) > 0 {
			return check.Failed("TargetSharingEpr leads to no host of forest %s: %s", in.Forest.Name(), someOf(stale)).
				With("objects", stale)
		}
		return check.Pass("no address for sharing leads elsewhere")
	},
}

// shares reports whether an object contains a domain of the forest.
func shares(forest *fact.Side, h fact.Holder) bool {
	for _, d := range forest.Answers.Domains {
		if contains(h.Domains, d) {
			return true
		}
	}
	return false
}
