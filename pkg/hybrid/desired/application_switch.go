package desired

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/hybridge-cli/hybridge/pkg/engine/change"
	"github.com/hybridge-cli/hybridge/pkg/engine/msg"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/fact"
)

var applicationSwitch = &Topic{
	ID:        "application-switch",
	Title:     "Exchange on-premises looks up as the dedicated application",
	Features:  lookupFeatures,
	PerForest: true,
	Kinds:     []*Kind{authServerApplication, settingOverride},
	Reads: fact.List(fact.Tenant, fact.OnlineConfig, fact.OnlineAcceptedDomains, fact.AcceptedDomains,
		fact.Organization,
		fact.MailboxServers, fact.SettingOverrides),
	Derive: func(ctx context.Context, p *Planner) error {
		domains, err := p.domains()
		if err != nil {
			return err
		}
		coexistence, err := p.coexistence(ctx)
		if err != nil {
			return err
		}
		name, err := p.tenantName(ctx)
		if err != nil {
			return err
		}
		app, err := p.applicationName(ctx, p.Forest)
		if err != nil {
			return err
		}
		evo, err := p.evoSTS(ctx)
		if err != nil {
			return err
		}
		common, err := p.common(ctx)
		if err != nil {
			return err
		}
		p.Add(authServerApplication, p.at(), evoSTSKey, "EvoSts - "+name,
			msg.Of("Exchange presents itself to the tenant as its own application"), with(evo, change.Properties{
				"Identity":              Ref(authServer, p.at(), evoSTSKey, "Identity"),
				"ApplicationIdentifier": Ref(application, PlaceEntra, app, "appId"),
				"DomainName":            lower(slices.Concat([]string{coexistence}, domains, common)),
			}), slices.Concat(
				All(p.at(), authServer, partnerApplication),
				All(PlaceEntra, keyCredential, appRoleAssignment),
				All(PlaceOnline, organizationConfig),
			)...)
		return p.override(ctx, dedicatedApplicationOverride,
			All(p.at(), authServerApplication, intraOrganizationConnector, organizationRelationship)...)
	},
}

// common returns the domains that Exchange accepts and the tenant has verified, except the initial
// one. Exchange asks the tenant as the application for all of them, whether the answers name them
// or not.
func (p *Planner) common(ctx context.Context) ([]string, error) {
	organization, err := fact.Tenant.In(ctx, p.set.Tenant)
	if err != nil {
		return nil, err
	}
	var verified, accepted []string
	for _, d := range organization.VerifiedDomains {
		verified = append(verified, d.Name)
	}
	found, err := fact.AcceptedDomains.In(ctx, p.Forest)
	if err != nil {
		return nil, err
	}
	for _, d := range found {
		accepted = append(accepted, d.Name)
	}
	verified = lower(verified)
	initial := strings.ToLower(p.Answers.ExchangeOnline.Tenant)
	return slices.DeleteFunc(lower(accepted), func(d string) bool {
		return d == initial || !slices.Contains(verified, d)
	}), nil
}

var authServerApplication = Exchange.Declare(Kind{
	Noun:  "AuthServerApplication",
	Title: "Application of the Entra auth server",
	Why: "Makes Exchange on-premises present itself to the tenant as the dedicated hybrid application instead of " +
		"the shared first-party one, which Exchange Online refuses.",
	Places:     []string{OnPremises},
	Match:      byTenant,
	Recognizes: tenantCondition,
	Properties: map[string]Property{
		"Type":                  {Type: text, Write: change.Key, Derived: true},
		"Realm":                 {Type: guid, Write: change.Key, Derived: true},
		"AuthMetadataUrl":       {Type: address, Write: change.Key, Derived: true},
		"Identity":              {Type: text, Write: change.CreateOnly},
		"ApplicationIdentifier": {Type: guid},
		"DomainName":            {Type: domains, Write: change.Merge},
	},
	Risk: "every on-premises lookup to the tenant is made as this application from then on",
}, Cmdlets{Verbs: Set, Of: "AuthServer"})

var settingOverride = Exchange.Declare(Kind{
	Noun:  "SettingOverride",
	Title: "Setting override",
	Why: "Enables a feature of Exchange Server that is off by default: lookups as the dedicated application, " +
		"and lookups through Microsoft Graph.",
	Places: []string{OnPremises},
	Match: func(want change.Properties, live change.Live) bool {
		for name, c := range map[string]change.Comparison{
			"Component": foldEqual, "Section": foldEqual, "Server": servers.Compare, "MinVersion": foldEqual,
			"MaxVersion": foldEqual,
		} {
			if !c(want[name], live.Properties[name]) {
				return false
			}
		}
		return true
	},
	Recognizes: "{Component?} -and {Section?} -and {Server?} -and {MinVersion?} -and {MaxVersion?}",
	Properties: map[string]Property{
		"Component":  {Type: text, Write: change.Key, From: "ComponentName"},
		"Section":    {Type: text, Write: change.Key, From: "SectionName"},
		"Server":     {Type: servers, Write: change.Key},
		"MinVersion": {Type: text, Write: change.Key},
		"MaxVersion": {Type: text, Write: change.Key},
		"Parameters": {Type: settings},
		"Reason":     {Type: text, Write: change.CreateOnly},
	},
	Risk: "takes effect on every Exchange server of the organization, or on those that it names",
}, Cmdlets{
	Verbs: New | Set | Remove,
	Then: []change.Command{{Name: "Get-ExchangeDiagnosticInfo", Parameters: map[string]any{
		"Process": "Microsoft.Exchange.Directory.TopologyService", "Component": "VariantConfiguration",
		"Argument": "Refresh",
	}}},
	// A rollback makes the override again from its image: an empty list is not "every server".
	Adjust: func(c *change.Command) {
		if nothing(c.Parameters["Server"]) {
			delete(c.Parameters, "Server")
		}
	},
})

// override is one setting override that hybrid requires.
type override struct {
	key, name, component, section, reason string
	why                                   msg.Text
}

var (
	dedicatedApplicationOverride = override{
		key: "ExchangeOnpremAsThirdPartyAppId", name: "EnableExchangeHybrid3PAppFeature",
		component: "Global", section: "ExchangeOnpremAsThirdPartyAppId",
		reason: "Exchange hybrid: lookups as the dedicated application",
		why:    msg.Of("it makes Exchange use the dedicated application"),
	}
	graphRouteOverride = override{
		key: "RouteThroughMSGraph", name: "EnableRouteThroughMSGraphFeature",
		component: "SettingOverride", section: GraphSection,
		reason: "Exchange hybrid: lookups through Microsoft Graph",
		why: msg.Of("it makes Exchange look up through Microsoft Graph: free/busy, photos, " +
			"and of MailTips the automatic replies"),
	}
)

// override adds the override of a feature: each Mailbox server must have exactly one. Existing
// overrides stay, Exchange's own per server included. Each server without one gets one.
func (p *Planner) override(ctx context.Context, o override, needs ...Need) error {
	servers, err := fact.MailboxServers.In(ctx, p.Forest)
	if err != nil {
		return err
	}
	all, err := fact.SettingOverrides.In(ctx, p.Forest)
	if err != nil {
		return err
	}
	add := func(key, name string, limits change.Properties) {
		p.Add(settingOverride, p.at(), key, name, o.why, with(limits, change.Properties{
			"Component": o.component, "Section": o.section, "Parameters": []string{"Enabled=true"}, "Reason": o.reason,
		}), needs...)
	}
	others := slices.ContainsFunc(all, func(l fact.SettingOverride) bool {
		return strings.EqualFold(l.Section,
			o.section)
	})
	if !others {
		add(o.key, o.name, nil)
		return nil
	}
	for _, s := range servers {
		for _, l := range all {
			if strings.EqualFold(l.Section, o.section) && l.Unclear(s) {
				return UnclearOverride(p.Forest, l, s)
			}
		}
	}
	taken := map[string]bool{}
	for _, s := range servers {
		found := fact.Overriding(all, o.section, s)
		if len(found) > 1 {
			var names []string
			for _, f := range found {
				names = append(names, f.Name)
			}
			return fmt.Errorf("%s: %w: server %s goes by none of the setting overrides %s, since they are for one "+
				"feature; "+
				"remove all but one (check oauth.overrides)", p.Forest.Name(), change.ErrAmbiguous, s.Name,
				strings.Join(names, ", "))
		}
		live, limits := fact.SettingOverride{Name: freeName(o.name+"_"+s.Name, all),
			Servers: []string{s.Name}}, change.Properties{}
		if len(found) == 1 {
			live = found[0]
		}
		if taken[live.Name] {
			continue
		}
		taken[live.Name] = true
		if len(live.Servers) > 0 {
			limits["Server"] = live.Servers
		}
		if live.MinVersion != "" {
			limits["MinVersion"] = live.MinVersion
		}
		if live.MaxVersion != "" {
			limits["MaxVersion"] = live.MaxVersion
		}
		key := o.key
		if len(limits) > 0 {
			key += ":" + strings.ToLower(live.Name)
		}
		add(key, live.Name, limits)
	}
	return nil
}

// UnclearOverride says that it is not known whether an override applies to a server. A second one
// would switch both off.
func UnclearOverride(forest *fact.Side, o fact.SettingOverride, s fact.MailboxServer) error {
	return fmt.Errorf("%s: the setting override %s is limited to versions, and whether server %s has one of them is "+
		"%w: Get-ExchangeServer shows no updates; write the build into forests[].exchange.builds", forest.Name(),
		o.Name, s.Name, ErrUnknown)
}

// freeName returns a name that no override has: one that names a server may be limited to versions
// which the server does not have.
func freeName(name string, taken []fact.SettingOverride) string {
	free := name
	for n := 2; slices.ContainsFunc(taken, func(o fact.SettingOverride) bool {
		return strings.EqualFold(o.Name, free)
	}); n++ {
		free = name + "_" + strconv.Itoa(n)
	}
	return free
}

// overrides returns the needs for all overrides of a feature in the forest.
func (p *Planner) overrides(o override) []Need {
	var out []Need
	for _, r := range p.out {
		if key, _, _ := strings.Cut(r.Key, ":"); r.Kind == settingOverride && r.Target == p.at() && key == o.key {
			out = append(out, One(settingOverride, p.at(), r.Key))
		}
	}
	return out
}

// GraphSection is the section of the override that sends lookups to Microsoft Graph.
const GraphSection = "RouteThroughMSGraph"

// OverrideSections returns the sections of the setting overrides that hybrid requires.
func OverrideSections() []string {
	return []string{dedicatedApplicationOverride.section, graphRouteOverride.section}
}
