package desired

import (
	"context"
	"net/url"
	"slices"
	"strings"

	"github.com/hybridge-cli/hybridge/pkg/engine/change"
	"github.com/hybridge-cli/hybridge/pkg/engine/msg"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/fact"
)

var webServices = &Topic{
	ID:        "web-services",
	Title:     "EWS and autodiscover take the tenant's lookups",
	Features:  lookupFeatures,
	PerForest: true,
	Kinds:     []*Kind{webServicesDirectory, autodiscoverDirectory, organizationEWS},
	Reads:     fact.List(fact.VirtualDirectories, fact.Servers, fact.Organization, fact.Tenant),
	Derive: func(ctx context.Context, p *Planner) error {
		if _, err := p.tenantID(ctx); err != nil {
			return err // without a tenant there is nothing to connect
		}
		directories, err := fact.VirtualDirectories.In(ctx, p.Forest)
		if err != nil {
			return err
		}
		servers, err := fact.Servers.In(ctx, p.Forest)
		if err != nil {
			return err
		}
		forest := p.Forest.Name()
		for _, d := range directories {
			kind := autodiscoverDirectory
			properties := change.Properties{"Identity": d.Identity, "OAuthAuthentication": true}
			if d.Noun == fact.EWSDirectory {
				kind = webServicesDirectory
				if Unfit(p.set, p.Forest, servers, d.ExternalURL) {
					properties["ExternalUrl"] = EWSAddress(p.Forest)
				}
			}
			p.Add(kind, p.at(), strings.ReplaceAll(strings.ToLower(d.Identity), `\`, ":"), d.Identity,
				msg.Of("Exchange Online signs in to %s with a token, at the address that EWS publishes", forest),
				properties)
		}
		p.Add(organizationEWS, p.at(), "ews", "EWS switch of the organization",
			msg.Of("lookups from the tenant arrive at %s as EWS requests", forest),
			change.Properties{"EwsEnabled": true})
		return nil
	},
}

// EWSAddress is the address that EWS of a forest has to publish.
func EWSAddress(forest *fact.Side) string {
	return "https://" + forest.Answers.Namespace.EWS + "/EWS/Exchange.asmx"
}

// Unfit reports whether the tenant cannot use an address that EWS publishes: there is none, it is
// not https on port 443, or it leads to another forest or to the internal name of a server.
func Unfit(set *fact.Set, forest *fact.Side, servers []fact.Server, address string) bool {
	u, err := url.Parse(address)
	if err != nil || u.Host == "" || !strings.EqualFold(u.Scheme, "https") || u.Port() != "" && u.Port() != "443" {
		return true
	}
	published := func(f *fact.Side) bool {
		n := f.Answers.Namespace
		return slices.ContainsFunc([]string{n.EWS, n.Autodiscover, n.SMTP},
			func(host string) bool { return strings.EqualFold(host, u.Hostname()) })
	}
	if published(forest) {
		return false
	}
	return slices.ContainsFunc(set.Forests, published) || slices.ContainsFunc(servers, func(s fact.Server) bool {
		return strings.EqualFold(s.FQDN, u.Hostname()) || strings.EqualFold(s.Name, u.Hostname())
	})
}

// takesTokens is the switch for OAuth. The directory stores it as one of the methods.
var takesTokens = Property{
	Type: Type{
		Name: "Boolean", Read: func(v any) any {
			if on, is := v.(bool); is {
				return on
			}
			return slices.ContainsFunc(texts(readTexts(v)),
				func(method string) bool { return strings.EqualFold(method, "OAuth") })
		}, Compare: equal, Script: "TakesOAuth",
	},
	// Exchange derives the switch from this list. The cmdlet shows the switch only when it asks IIS
	// on every server, which takes minutes.
	From: "InternalAuthenticationMethods",
}

var asStored = map[string]any{"ADPropertiesOnly": true}

var webServicesDirectory = Exchange.Declare(Kind{
	Noun:   "WebServicesVirtualDirectory",
	Title:  "Virtual directory of EWS",
	Why:    "Receives the tenant's lookups: it takes tokens, and autodiscover names its external address.",
	Places: []string{OnPremises},
	Properties: map[string]Property{
		"Identity":            {Type: text, Write: change.Key},
		"OAuthAuthentication": takesTokens,
		"ExternalUrl":         {Type: address},
	},
	Risk: "clients from outside also get this address of EWS; OAuth takes effect when IIS on the server restarts",
}, Cmdlets{Verbs: Set, Get: asStored})

var autodiscoverDirectory = Exchange.Declare(Kind{
	Noun:   "AutodiscoverVirtualDirectory",
	Title:  "Virtual directory of autodiscover",
	Why:    "Names the address of EWS to the tenant, which asks with a token.",
	Places: []string{OnPremises},
	Properties: map[string]Property{
		"Identity":            {Type: text, Write: change.Key},
		"OAuthAuthentication": takesTokens,
	},
	Risk: "OAuth takes effect when IIS on the server restarts",
}, Cmdlets{Verbs: Set, Get: asStored})

var organizationEWS = Exchange.Declare(Kind{
	Noun:       "OrganizationEws",
	Title:      "EWS switch of the on-premises organization",
	Why:        "EWS on-premises is on unless EwsEnabled is false. Lookups from the tenant arrive there.",
	Places:     []string{OnPremises},
	Match:      func(change.Properties, change.Live) bool { return true },
	Recognizes: "$true",
	Properties: map[string]Property{
		"EwsEnabled": {Type: unlessOff},
	},
	Risk: "EWS opens to every program that the policy EwsApplicationAccessPolicy lets in",
}, Cmdlets{Verbs: Set, Of: "OrganizationConfig", Only: true})
