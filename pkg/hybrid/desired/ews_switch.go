package desired

import (
	"context"
	"slices"
	"strings"

	"github.com/hybridge-cli/hybridge/pkg/engine/change"
	"github.com/hybridge-cli/hybridge/pkg/engine/msg"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/fact"
)

// ewsSwitch needs the applications of all forests: Exchange Online refuses an application that is
// missing from the list.
var ewsSwitch = &Topic{
	ID:       "ews-switch",
	Title:    "EWS of Exchange Online, for the applications that use it",
	Features: lookupFeatures,
	Kinds:    []*Kind{organizationConfig},
	Reads:    fact.List(fact.OnlineConfig, fact.MailboxServers, fact.DedicatedApplication, fact.Grantees),
	Derive: func(ctx context.Context, p *Planner) error {
		route, err := p.route(ctx)
		if err != nil {
			return err
		}
		if err := p.sayRoute(ctx); err != nil || route != fact.RouteEWS {
			return err
		}
		var allowed []any
		for _, forest := range p.set.Forests {
			name, err := p.applicationName(ctx, forest)
			if err != nil {
				return err
			}
			allowed = append(allowed, Ref(application, PlaceEntra, name, "appId"))
		}
		reason := msg.Of("Exchange Online lets only listed applications use EWS, and none at all from 2027-04-01 on")
		losing, err := p.losing(ctx)
		if err != nil {
			return err
		}
		if len(losing) > 0 {
			reason = msg.Of("%s; these applications may use EWS and are not on the list: they lose it (%s)", reason,
				strings.Join(losing, ", "))
		}
		p.Add(organizationConfig, PlaceOnline, "ews", "EWS switch and allow list", reason,
			change.Properties{"EwsEnabled": true, "EwsAllowedAppIDs": allowed}, All(PlaceEntra, appRoleAssignment)...)
		return nil
	},
}

// losing returns the applications with the right to EWS that the list blocks once it is in force.
func (p *Planner) losing(ctx context.Context) ([]string, error) {
	config, err := fact.OnlineConfig.In(ctx, p.set.Tenant)
	if err != nil || config.EwsEnabled != nil && *config.EwsEnabled {
		return nil, err // the list is in force already
	}
	own := slices.Clone(config.EwsAllowedAppIDs)
	for _, forest := range p.set.Forests {
		if d, err := fact.DedicatedApplication.In(ctx, forest); err == nil {
			own = append(own, d.AppID)
		}
	}
	grantees, err := fact.Grantees.In(ctx, p.set.Tenant, "full_access_as_app")
	if err != nil {
		return nil, err
	}
	var out []string
	for _, g := range grantees {
		if !slices.ContainsFunc(own, func(id string) bool { return normalGUID(id) == normalGUID(g.AppID) }) {
			out = append(out, g.Name+" "+g.AppID)
		}
	}
	slices.Sort(out)
	return out, nil
}

var organizationConfig = Exchange.Declare(Kind{
	Noun:  "OrganizationConfig",
	Title: "EWS switch and allow list of the tenant",
	Why: "Since October 2026 Microsoft switches EWS of Exchange Online off where EwsEnabled is not set; with true, " +
		"only applications on the list may use it. hybridge writes the whole list and keeps the entries of others.",
	Places:     []string{Online},
	Recognizes: "$true",
	Match:      func(change.Properties, change.Live) bool { return true },
	Properties: map[string]Property{
		"EwsEnabled": {Type: boolean},
		"EwsAllowedAppIDs": {Type: identifiers, Write: change.Merge, MayHide: true, WhenEmpty: &change.Consent{
			ID: "ews-block-all", Title: "write an empty list, with which Exchange Online blocks EWS for every " +
				"application",
		}},
	},
	Risk: "with EwsEnabled true and a list, Exchange Online refuses EWS to every application that is not on the " +
		"list; the list takes up to 24 hours to take effect, the switch about one",
}, Cmdlets{Verbs: Set, Get: map[string]any{"RetrieveEwsOperationAccessPolicy": true}, Only: true})
