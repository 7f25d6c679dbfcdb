package prereq

import (
	"context"
	"slices"

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
	Fix:      "hybridge plan clears it.",
	Consider: "The tenant then finds the forest by autodiscover, which has to answer from the internet.",
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

// federationCheck says what becomes of classic federation, which stays and which no plan uses.
var federationCheck = Check{
	ID:    "oauth.federation",
	Title: "Lookups do not rest on a federation trust",
	Scope: PerForest,
	Needs: []check.ID{"access.onprem-read"},
	Reads: fact.List(fact.FederationTrusts, fact.Relationships, fact.Connectors, fact.OnlineAcceptedDomains),
	Why: "Classic federation (DAuth) was the way of lookups before OAuth. An enabled intra-organization connector " +
		"goes before it. Without one, lookups from on-premises still take it, and end with EWS of Exchange Online on " +
		"2027-04-01. Organizations outside of the deployment may still share calendars over the trust.",
	Fix: "hybridge plan sets up OAuth. hybridge keeps the trust: when no other organization shares calendars over " +
		"it, remove it with Remove-FederationTrust.",
	Consider: "Organizations that share calendars over the trust lose that when it is removed.",
	Run: func(ctx context.Context, in Input) check.Result {
		trusts, err := fact.FederationTrusts.In(ctx, in.Forest)
		if err != nil {
			return check.Unknown(err)
		}
		if len(trusts) == 0 {
			return check.Pass("forest %s has no federation trust", in.Forest.Name())
		}
		if in.Tenant == nil {
			return check.Pass("the federation trust %s stays as it is", someOf(trusts))
		}
		coexistence, err := coexistenceOf(ctx, in)
		if err != nil {
			return check.Unknown(err)
		}
		relationships, err := fact.Relationships.In(ctx, in.Forest)
		if err != nil {
			return check.Unknown(err)
		}
		connectors, err := fact.Connectors.In(ctx, in.Forest)
		if err != nil {
			return check.Unknown(err)
		}
		held := func(h fact.Holder) bool { return contains(h.Domains, coexistence) }
		taken := func(h fact.Holder) bool { return held(h) && h.Leads }
		partners := slices.DeleteFunc(slices.Clone(relationships), held)
		var names []string
		for _, p := range partners {
			names = append(names, p.Name)
		}
		with := func(r check.Result) check.Result { return r.With("trusts", trusts).With("partners", names) }
		switch {
		case slices.ContainsFunc(relationships, taken) && !slices.ContainsFunc(connectors, taken):
			return with(check.Warned("lookups from %s to the tenant take the federation trust %s, because no "+
				"enabled intra-organization connector has the domain %s", in.Forest.Name(), someOf(trusts),
				coexistence))
		case len(names) > 0:
			return with(check.Pass("the federation trust %s stays: relationships with other organizations may need it "+
				"(%s); lookups to the tenant do not", someOf(trusts), someOf(names)))
		}
		return with(check.Pass("the federation trust %s stays; nothing of the deployment needs it",
			someOf(trusts)))
	},
}

// coexistenceOf returns the target delivery domain.
func coexistenceOf(ctx context.Context, in Input) (string, error) {
	accepted, err := fact.OnlineAcceptedDomains.In(ctx, in.Tenant)
	if err != nil {
		return "", err
	}
	live := ""
	for _, d := range accepted {
		if d.Coexistence {
			live = d.Name
		}
	}
	return desired.CoexistenceDomain(*in.Answers.ExchangeOnline, in.Cloud, live)
}
