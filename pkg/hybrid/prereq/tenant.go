package prereq

import (
	"cmp"
	"context"
	"slices"
	"strings"

	"github.com/hybridge-cli/hybridge/pkg/config/cloud"
	"github.com/hybridge-cli/hybridge/pkg/engine/check"
	"github.com/hybridge-cli/hybridge/pkg/engine/msg"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/desired"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/fact"
	"github.com/hybridge-cli/hybridge/pkg/wire/oauth"
)

// noGraph is shown in the clouds where nothing replaces EWS. Source: the documentation of the
// dedicated application, May 2026.
const noGraph = "The Graph route exists in the worldwide cloud only: in this one nothing takes the place of EWS " +
	"for lookups from on-premises when it ends on 2027-04-01."

var tenantChecks = []Check{
	{
		ID:    "tenant.ews-switch",
		Title: "Exchange Online lets the hybrid applications use EWS",
		Scope: PerTenant,
		Needs: []check.ID{"access.online-read", "access.onprem-read"},
		Reads: fact.List(fact.OnlineConfig, fact.MailboxServers, fact.DedicatedApplication),
		Why: "From 2026-10-01 on Microsoft switches EWS in Exchange Online off, tenant by tenant, unless EwsEnabled " +
			"is true and the calling application is on EwsAllowedAppIDs; on 2027-04-01 it ends for good. Lookups " +
			"from on-premises by the EWS route end with it; lookups from the tenant to on-premises do not.",
		Fix: "hybridge plan sets EwsEnabled and adds the hybrid applications to the list, which takes up to 24 " +
			"hours to take effect. Before it is applied, add every other application that needs EWS: what is " +
			"not on the list is refused. Move to Exchange SE and the Graph route before 2027-04-01 (worldwide " +
			"cloud).",
		Consider: "EwsAllowedAppIDs is a list of what may use EWS: an application that is missing from it stops, " +
			"also one of a backup or an archive.",
		Run: func(ctx context.Context, in Input) check.Result {
			route, err := chosenRoute(ctx, in)
			if err != nil {
				return check.Unknown(err)
			}
			if route == fact.RouteGraph {
				return check.Pass("lookups go through Microsoft Graph and need no EWS")
			}
			now := in.Now()
			if !now.Before(cloud.EWSEnds) {
				r := check.Failed("Exchange Online has no EWS any more since 2027-04-01; lookups from " +
					"on-premises need the Graph route")
				if !in.Cloud.GraphCoexistence {
					return r.Because(noGraph).
						Fix("Ask Microsoft when the Graph route is available in %s. Until then lookups from "+
							"on-premises "+
							"to the tenant fail.", in.Cloud.Title)
				}
				return r.Fix("Upgrade every server to Exchange SE with the May 2026 hotfix update or later, and " +
					"set richCoexistence: graph or auto.")
			}
			config, err := fact.OnlineConfig.In(ctx, in.Tenant)
			if err != nil {
				return check.Unknown(err)
			}
			left := days(now, cloud.EWSEnds)
			evidence := func(r check.Result) check.Result {
				if !in.Cloud.GraphCoexistence {
					r = r.Because(noGraph)
				}
				return r.With("ewsEnabled", config.EwsEnabled).
					With("ewsAllowedAppIDs", config.EwsAllowedAppIDs).With("daysLeft", left)
			}
			switch {
			case config.EwsEnabled != nil && !*config.EwsEnabled:
				return evidence(check.Failed("EwsEnabled is false: Exchange Online refuses every EWS request"))
			case config.EwsEnabled == nil && !now.Before(cloud.EWSRestricted):
				return evidence(check.Warned("EwsEnabled is not set: Microsoft switches EWS off for such tenants " +
					"since 2026-10-01"))
			case config.EwsEnabled == nil:
				return evidence(check.Warned("EwsEnabled is not set: Microsoft switches EWS off for such tenants " +
					"from 2026-10-01 on"))
			case !config.ListKnown:
				return evidence(check.Warned("EwsEnabled is true, but Exchange Online did not return its list of " +
					"allowed applications"))
			case len(config.EwsAllowedAppIDs) == 0 && now.Before(cloud.EWSRestricted):
				return evidence(check.Warned("EwsEnabled is true and its list of allowed applications is empty: " +
					"every application is refused from 2026-10-01 on"))
			case len(config.EwsAllowedAppIDs) == 0:
				return evidence(check.Failed("EwsEnabled is true and its list of allowed applications is empty: " +
					"every application is refused since 2026-10-01"))
			}
			missing, err := unlisted(ctx, in, config.EwsAllowedAppIDs)
			if err != nil {
				return check.Unknown(err)
			}
			if len(missing) > 0 {
				return evidence(check.Failed("%s not on EwsAllowedAppIDs: %s",
					msg.Count(len(missing), "%s hybrid application is", "%s hybrid applications are"),
					strings.Join(missing, ", ")))
			}
			if refused, admit := refusal(config.EwsPolicy); !refused.IsZero() {
				return evidence(check.Warned("EWS may refuse lookups from on-premises: %s",
					refused)).Because(policyWhy).Fix("Let that program in, or take the policy away.").FixWith(admit)
			}
			return evidence(check.Warned("EWS is on and restricted to %s; it ends on 2027-04-01, in %s",
				msg.Count(len(config.EwsAllowedAppIDs), "%s application", "%s applications"), daysLeft(left)))
		},
	},
	{
		ID:       "tenant.shared-keys",
		Title:    "The shared application holds no key of Exchange on-premises",
		Scope:    PerTenant,
		Severity: check.Warn,
		Needs:    []check.ID{"access.entra-read"},
		Reads:    fact.List(fact.Principal),
		Why: "Keys at the service principal of Exchange Online are what hybrid used before the dedicated " +
			"application. The holder of such a key's private half, as every on-premises Exchange administrator is, " +
			"can act as Exchange Online in the tenant (CVE-2025-53786), and auditors look for them. Microsoft asks " +
			"every organization that ever ran hybrid to remove them.",
		Fix: "When hybridge test shows every lookup OK, write retire: [sharedKeys] into the answers file and apply " +
			"a plan with --accept shared-keys, as a Global Administrator. The plan says of which forest each key " +
			"is. Keys of no forest in the answers stay: find out whose they are. Microsoft's wizard puts the keys " +
			"back when it configures OAuth.",
		Consider: "Servers that do not know the dedicated application yet lose free/busy, MailTips and photos of " +
			"mailboxes in the cloud.",
		Run: func(ctx context.Context, in Input) check.Result {
			principal, err := fact.Principal.In(ctx, in.Tenant, oauth.AppExchangeOnline)
			if err != nil {
				return check.Unknown(err)
			}
			var valid []string
			for _, k := range principal.KeyCredentials {
				if k.EndDateTime != nil && !k.EndDateTime.After(in.Now()) {
					continue
				}
				valid = append(valid, cmp.Or(k.Thumbprint(), "keyId "+k.KeyID))
			}
			if len(valid) > 0 {
				return check.Warned("the service principal of Exchange Online holds %s: %s",
					msg.Count(len(valid), "%s key that an administrator or a program added",
						"%s keys that an administrator or a program added"), someOf(valid)).With("keys", valid)
			}
			return check.Pass("the service principal of Exchange Online holds no keys that are valid")
		},
	},
}

// chosenRoute returns the route that the plan uses.
func chosenRoute(ctx context.Context, in Input) (fact.Route, error) {
	if in.Answers.ExchangeOnline == nil {
		return "", fact.ErrNotConfigured
	}
	answer := in.Answers.ExchangeOnline.RichCoexistence
	switch fact.Route(answer) {
	case fact.RouteEWS, fact.RouteGraph: // servers.build checks whether the servers fit the route
		return fact.Route(answer), nil
	}
	var forests []desired.Forest
	for _, f := range in.Forests {
		servers, err := fact.MailboxServers.In(ctx, f)
		forests = append(forests, desired.Forest{Name: f.Name(), Servers: servers, Unknown: err})
	}
	choice, err := desired.ChooseRoute(answer, in.Answers.Features, in.Cloud, forests, in.Now())
	return choice.Route, err
}

// unlisted returns the dedicated applications that exist and are not on the list. The plan lists
// those that it creates.
func unlisted(ctx context.Context, in Input, list []string) ([]string, error) {
	var out []string
	for _, f := range in.Forests {
		app, err := fact.DedicatedApplication.In(ctx, f)
		if err != nil {
			return nil, err
		}
		if app.AppID != "" && !slices.ContainsFunc(list, func(l string) bool {
			return strings.EqualFold(strings.TrimSpace(l), app.AppID)
		}) {
			out = append(out, cmp.Or(app.DisplayName, app.Name)+" ("+app.AppID+")")
		}
	}
	return out, nil
}
