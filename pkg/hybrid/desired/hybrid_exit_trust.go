package desired

import (
	"cmp"
	"context"
	"crypto/x509"
	"slices"
	"strings"

	"github.com/hybridge-cli/hybridge/pkg/config/answers"
	"github.com/hybridge-cli/hybridge/pkg/engine/change"
	"github.com/hybridge-cli/hybridge/pkg/engine/msg"
	"github.com/hybridge-cli/hybridge/pkg/estate/exchange"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/fact"
	"github.com/hybridge-cli/hybridge/pkg/wire/oauth"
)

// trustEnds takes the application, its keys and consents, the auth servers and the overrides away.
var trustEnds = ExitStage{
	ID:    "trust",
	Title: "neither side takes the other's tokens",
	Why: "The application may open mailboxes of the tenant, and its key lies on servers on-premises. The auth " +
		"servers " +
		"let the tenant in. Without lookups nothing uses them.",
	Fix: "hybridge plan and hybridge apply take them away. The application itself stays, without keys, consents and " +
		"sign-in: remove it by hand when no rollback is wanted any more.",
	Kinds: []*Kind{settingOverride, authServerApplication, authServer, partnerApplication, servicePrincipal,
		appRoleAssignment, keyCredential, servicePrincipalName},
	Reads: fact.List(fact.Tenant, fact.SettingOverrides, fact.AuthServers, fact.PartnerApplications,
		fact.DedicatedApplication, fact.Auth, fact.Standings, fact.TokenNames),
	open: func(ctx context.Context, p *Planner) (waits []msg.Text, err error) {
		before := len(p.out)
		id, err := p.tenantID(ctx)
		if err != nil {
			return nil, err
		}
		servers, err := fact.AuthServers.In(ctx, p.Forest)
		if err != nil {
			return nil, err
		}
		for _, s := range servers {
			if strings.EqualFold(s.Realm, id) && s.DefaultEndpoint {
				waits = append(waits, msg.Of("clients of the forest sign in at the auth server %s (hybrid modern "+
					"authentication): switch that off first (Set-AuthServer -Identity %s "+
					"-IsDefaultAuthorizationEndpoint "+
					"$false)", s.Name, exchange.Quote(s.Name)))
			}
		}
		if len(waits) > 0 {
			return waits, nil
		}
		if err := p.endOverrides(ctx); err != nil {
			return nil, err
		}
		if waits, err = p.endApplication(ctx); err != nil || len(waits) > 0 {
			p.out = p.out[:before]
			return waits, err
		}
		if err := p.endServers(ctx, id, servers); err != nil {
			return nil, err
		}
		if err := p.endTokenNames(ctx); err != nil {
			return nil, err
		}
		if len(p.out) > before && !p.retires(answers.RetireSharedKeys) {
			p.Note(msg.Of("auth certificates at the shared application of Exchange Online go with retire: " +
				"[sharedKeys]"))
		}
		return nil, nil
	},
}

// endOverrides removes the setting overrides of hybrid. Those of Exchange's own flighting stay.
func (p *Planner) endOverrides(ctx context.Context) error {
	live, err := fact.SettingOverrides.In(ctx, p.Forest)
	if err != nil {
		return err
	}
	for _, o := range live {
		ours := slices.ContainsFunc([]override{dedicatedApplicationOverride, graphRouteOverride},
			func(h override) bool {
				return strings.EqualFold(h.section, o.Section)
			})
		if !ours || strings.HasPrefix(strings.ToLower(o.Name), "flightingserviceoverride") {
			continue
		}
		p.Remove(settingOverride, p.at(), "exit:"+strings.ToLower(o.Name), o.Name,
			msg.Of("no lookup goes to the tenant any more"), limitsOf(o))
	}
	return nil
}

// endApplication takes keys, consents and sign-in of the dedicated application away. All of it can
// be given back; a removed application comes back under another id. It returns what the application
// waits for.
func (p *Planner) endApplication(ctx context.Context) (waits []msg.Text, err error) {
	app, err := fact.DedicatedApplication.In(ctx, p.Forest)
	if err != nil || app.AppID == "" {
		return nil, err
	}
	shares, err := p.sharesApplication(ctx, app.AppID)
	if err != nil {
		return nil, err
	}
	switch other, err := p.needing(ctx, shares); {
	case err != nil:
		return nil, err
	case other != nil:
		return []msg.Text{msg.Of("the application %s (%s) serves forest %s too, which is not that far: it stays "+
			"until then",
			app.DisplayName, app.AppID, other.Name())}, nil
	case !p.first(shares):
		return nil, nil
	}
	standing, err := fact.Standings.In(ctx, p.set.Tenant, app.AppID)
	if err != nil {
		return nil, err
	}
	before := len(p.out)
	name, forest := app.Name, p.Forest.Name()
	if app.Passwords+app.Federated > 0 {
		p.Note(msg.Of("the application %s (%s) has other ways to sign in, which hybridge did not make: it stays as "+
			"it is; "+
			"find out who uses it", app.DisplayName, app.AppID))
		return nil, nil
	}
	strange, err := p.strangeKeys(ctx, app, shares)
	if err != nil {
		return nil, err
	}
	live := standing.Enabled || len(standing.Assignments) > 0
	if live && len(strange) > 0 {
		return []msg.Text{msg.Of("the application %s (%s) has keys that are no auth certificates of the forest (%s): "+
			"find out "+
			"who signs in with them, and remove them", app.DisplayName, app.AppID, firstNames(strange))}, nil
	}
	for _, a := range standing.Assignments {
		p.Remove(appRoleAssignment, PlaceEntra, name+":"+a.Role, name+" "+cmp.Or(a.ResourceName, a.Resource),
			msg.Of("Exchange in %s asks the tenant for nothing any more", forest), change.Properties{
				"principalId": standing.ID, "resourceId": a.Resource, "appRoleId": a.Role})
	}
	if standing.ID != "" && standing.Enabled {
		p.Add(servicePrincipal, PlaceEntra, name, name, msg.Of("nothing signs in as the application any more"),
			change.Properties{"appId": app.AppID, "accountEnabled": false}, All(PlaceEntra, appRoleAssignment)...)
	}
	if slices.ContainsFunc(app.KeyCredentials, func(k any) bool { return !fact.Ended(k, p.day()) }) {
		p.Remove(keyCredential, PlaceEntra, name, name, msg.Of("the keys of %s open nothing any more", forest),
			change.Properties{"id": app.ID}, One(servicePrincipal, PlaceEntra, name))
	}
	if len(p.out) > before {
		p.Note(msg.Of("the application %s (%s) stays, without keys, consents and sign-in, so that a rollback finds "+
			"it. Its "+
			"place on EwsAllowedAppIDs admits nothing. Remove it by hand when no rollback is wanted any more",
			app.DisplayName, app.AppID), "Remove-MgApplication -ApplicationId "+exchange.Quote(app.ID))
	}
	return nil, nil
}

// sharesApplication returns which forests of the answers sign in as an application.
func (p *Planner) sharesApplication(ctx context.Context, appID string) (func(*fact.Side) bool, error) {
	var sharing []*fact.Side
	for _, f := range p.set.Forests {
		theirs, err := fact.DedicatedApplication.In(ctx, f)
		if err != nil {
			return nil, err
		}
		if strings.EqualFold(theirs.AppID, appID) {
			sharing = append(sharing, f)
		}
	}
	return func(f *fact.Side) bool { return slices.Contains(sharing, f) }, nil
}

// strangeKeys are the valid keys of the application that are no auth certificates of the forests
// that share it.
func (p *Planner) strangeKeys(ctx context.Context, app fact.Dedicated, shares func(*fact.Side) bool) ([]string, error) {
	var known []*x509.Certificate
	for _, f := range p.set.Forests {
		if !shares(f) {
			continue
		}
		auth, err := fact.Auth.In(ctx, f)
		if err != nil {
			return nil, err
		}
		known = append(known, auth.Known()...)
	}
	var out []string
	for _, k := range app.Foreign(known, p.day()) {
		key := fact.Credential(k)
		out = append(out, cmp.Or(key.Thumbprint(), "keyId "+key.KeyID))
	}
	return out, nil
}

// endServers takes the trust of the forest in the tenant away.
func (p *Planner) endServers(ctx context.Context, tenant string, servers []fact.AuthServer) error {
	for _, s := range servers {
		key := ""
		switch {
		case !strings.EqualFold(s.Realm, tenant):
			continue
		case strings.EqualFold(s.Type, "AzureAD"):
			key = evoSTSKey
			if s.ApplicationIdentifier != "" {
				p.Add(authServerApplication, p.at(), key, s.Name, msg.Of("Exchange signs in to the tenant no longer"),
					change.Properties{"Type": s.Type, "Realm": tenant, "ApplicationIdentifier": nil},
					All(PlaceEntra, appRoleAssignment, servicePrincipal, keyCredential)...)
			}
		case strings.EqualFold(s.Type, "MicrosoftACS"):
			key = "acs"
		default:
			continue
		}
		p.Remove(authServer, p.at(), key, s.Name, msg.Of("tokens of the tenant are taken no longer"),
			change.Properties{"Type": s.Type, "Realm": tenant}, One(authServerApplication, p.at(), key))
	}
	partners, err := fact.PartnerApplications.In(ctx, p.Forest)
	if err != nil {
		return err
	}
	for _, a := range partners {
		if strings.EqualFold(a.ApplicationIdentifier, oauth.AppExchangeOnline) && a.Realm == "" && a.Enabled {
			p.Add(partnerApplication, p.at(), oauth.AppExchangeOnline, a.Name,
				msg.Of("Exchange Online asks the forest for nothing any more"),
				change.Properties{"ApplicationIdentifier": oauth.AppExchangeOnline, "Enabled": false})
		}
	}
	return nil
}

// endTokenNames takes the hosts of the forest out of the names for which Exchange Online gets
// tokens. The list is one for all forests, and so is the change of it.
func (p *Planner) endTokenNames(ctx context.Context) error {
	live, err := fact.TokenNames.In(ctx, p.set.Tenant)
	if err != nil {
		return err
	}
	var ours []string
	for _, host := range []string{p.Forest.Answers.Namespace.Autodiscover, p.Forest.Answers.Namespace.EWS} {
		u := normalPrincipalName("https://" + strings.ToLower(host) + "/")
		for _, name := range live {
			if normalPrincipalName(name) == u && !slices.Contains(ours, name) {
				ours = append(ours, name)
			}
		}
	}
	if len(ours) == 0 {
		return nil
	}
	for _, r := range p.out {
		if r.Kind == servicePrincipalName {
			r.Without["servicePrincipalNames"] = append(r.Without["servicePrincipalNames"], ours...)
			return nil
		}
	}
	p.reduce(servicePrincipalName, PlaceEntra, oauth.AppExchangeOnline, "Office 365 Exchange Online",
		msg.Of("Exchange Online asks no server on-premises any more"),
		change.Properties{"appId": oauth.AppExchangeOnline}, "servicePrincipalNames", ours)
	return nil
}
