package prereq

import (
	"context"
	"slices"
	"strings"

	"github.com/hybridge-cli/hybridge/pkg/engine/check"
	"github.com/hybridge-cli/hybridge/pkg/estate/entra"
	"github.com/hybridge-cli/hybridge/pkg/estate/exchange"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/desired"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/fact"
	"github.com/hybridge-cli/hybridge/pkg/wire/oauth"
)

// routeCheck looks at a route that is switched on beside the one that is planned. A plan removes no
// setting override: another administrator may have chosen the Graph route.
var routeCheck = Check{
	ID:    "oauth.graph-route",
	Title: "Lookups take the route that is planned",
	Scope: PerForest,
	Needs: []check.ID{"access.onprem-read", "access.entra-read"},
	Reads: fact.List(fact.SettingOverrides, fact.MailboxServers, fact.DedicatedApplication, fact.Principal),
	Why: "The setting override RouteThroughMSGraph sends lookups to Microsoft Graph. The dedicated application then " +
		"needs the permission Calendars.Read of Microsoft Graph. A plan for the EWS route does not grant it.",
	Fix:      "Set exchangeOnline.richCoexistence to graph in the answers and apply a plan, or remove the override.",
	Consider: "Free/busy, photos and automatic replies take the new way for everyone at once.",
	Run: func(ctx context.Context, in Input) check.Result {
		overrides, err := fact.SettingOverrides.In(ctx, in.Forest)
		if err != nil {
			return check.Unknown(err)
		}
		overrides = slices.DeleteFunc(slices.Clone(overrides), func(o fact.SettingOverride) bool {
			return !strings.EqualFold(o.Section, desired.GraphSection) || !o.On()
		})
		if len(overrides) == 0 {
			return check.Pass("no setting override sends lookups to Microsoft Graph")
		}
		servers, err := fact.MailboxServers.In(ctx, in.Forest)
		if err != nil {
			return check.Unknown(err)
		}
		var on, commands []string
		for _, o := range overrides {
			if slices.ContainsFunc(servers, func(s fact.MailboxServer) bool { return o.AppliesTo(s) }) {
				on = append(on, o.Name)
				commands = append(commands, "Remove-SettingOverride -Identity "+exchange.Quote(o.Name))
			}
		}
		route, err := chosenRoute(ctx, in)
		switch {
		case err != nil:
			return check.Unknown(err)
		case len(on) == 0 || route == fact.RouteGraph:
			return check.Pass("lookups take the planned route (%s)", string(route))
		}
		granted, err := mayReadCalendars(ctx, in)
		switch {
		case err != nil:
			return check.Unknown(err)
		case !granted:
			return check.Failed("lookups go through Microsoft Graph (%s), and the application has no permission "+
				"Calendars.Read there", strings.Join(on, ", ")).FixWith(commands...)
		}
		return check.Warned("lookups go through Microsoft Graph (%s), and the plan is for EWS", strings.Join(on, ", ")).
			FixWith(commands...)
	},
}

// mayReadCalendars reports whether the forest's dedicated application holds Calendars.Read of
// Microsoft Graph.
func mayReadCalendars(ctx context.Context, in Input) (bool, error) {
	app, err := fact.DedicatedApplication.In(ctx, in.Forest)
	if err != nil {
		return false, err
	}
	graph, err := fact.Principal.In(ctx, in.Tenant, oauth.AppGraph)
	if err != nil {
		return false, err
	}
	return slices.ContainsFunc(graph.AppRoles, func(r entra.AppRole) bool {
		return (r.Value == "Calendars.Read" || r.Value == "Calendars.ReadWrite") &&
			slices.ContainsFunc(app.Consents, func(c string) bool {
				return strings.HasSuffix(strings.ToLower(c), strings.ToLower(r.ID))
			})
	}), nil
}

// authConfigCheck looks at what the organization calls itself in tokens.
var authConfigCheck = Check{
	ID:    "oauth.auth-config",
	Title: "Exchange takes tokens for its own name",
	Scope: PerForest,
	Needs: []check.ID{"access.onprem-read"},
	Reads: fact.List(fact.Auth, fact.AcceptedDomains),
	Why: "The tenant asks for a token for the service name of Exchange at a domain of the organization. " +
		"Get-AuthConfig holds both names. With another name, Exchange refuses every token of the tenant.",
	Fix: "Set the service name and the realm back with Set-AuthConfig.",
	Consider: "Applications that sign in to Exchange under another service name or realm, such as SharePoint, stop " +
		"working.",
	Run: func(ctx context.Context, in Input) check.Result {
		config, err := fact.Auth.In(ctx, in.Forest)
		if err != nil {
			return check.Unknown(err)
		}
		accepted, err := fact.AcceptedDomains.In(ctx, in.Forest)
		if err != nil {
			return check.Unknown(err)
		}
		known := slices.ContainsFunc(accepted,
			func(d fact.AcceptedDomain) bool { return strings.EqualFold(d.Name, config.Realm) })
		switch {
		case config.ServiceName != "" && !strings.EqualFold(config.ServiceName, oauth.AppExchangeOnline):
			return check.Failed("the service name of Get-AuthConfig is %s, not that of Exchange", config.ServiceName).
				FixWith("Set-AuthConfig -ServiceName " + oauth.AppExchangeOnline)
		case config.Realm != "" && !known:
			return check.Failed("the realm of Get-AuthConfig, %s, is no accepted domain of the organization",
				config.Realm).
				FixWith("Set-AuthConfig -Realm $null")
		}
		return check.Pass("Exchange takes tokens for its own name")
	},
}
