package desired

import (
	"strings"

	"github.com/hybridge-cli/hybridge/pkg/engine/change"
)

var intraOrganizationConnector = Exchange.Declare(Kind{
	Noun:   "IntraOrganizationConnector",
	Title:  "Intra-organization connector",
	Why:    "Sends lookups for the other side's addresses there with OAuth, and says where autodiscover of the other side is.",
	Places: []string{OnPremises, Online},
	Match:  bySharedDomain("TargetAddressDomains"),
	Properties: map[string]Property{
		"TargetAddressDomains": {Type: domains, Write: change.Merge},
		"DiscoveryEndpoint":    {Type: address},
		"Enabled":              {Type: boolean},
	},
	Risk: "an enabled connector has no fallback to the organization relationship: lookups fail when OAuth does",
}, Cmdlets{Verbs: New | Set | Remove})

// An auth server is recognized by its type and by the tenant whose tokens it issues.
func byTenant(want change.Properties, live change.Live) bool {
	if !byValue("Type")(want, live) {
		return false
	}
	if byValue("Realm")(want, live) {
		return true
	}
	// A server whose metadata was never read has no realm yet.
	realm, _ := live.Properties["Realm"].(string)
	w, ok1 := want["AuthMetadataUrl"].(string)
	l, ok2 := live.Properties["AuthMetadataUrl"].(string)
	return realm == "" && ok1 && ok2 && sameURL(w, l)
}

var authServer = Exchange.Declare(Kind{
	Noun:   "AuthServer",
	Title:  "Auth server",
	Why:    "Makes Exchange on-premises trust the tokens of the tenant (ACS), and lets it ask Entra for tokens of its own (EvoSTS).",
	Places: []string{OnPremises},
	Match:  byTenant,
	Properties: map[string]Property{
		"Type":            {Type: text, Write: change.Key},
		"Realm":           {Type: guid, Write: change.Key, Derived: true},
		"AuthMetadataUrl": {Type: address, Write: change.CreateOnly},
		"DomainName":      {Type: domains, Write: change.Merge},
		"Enabled":         {Type: boolean},
	},
	Risk: "a disabled or wrong auth server refuses every OAuth request of the tenant",
}, Cmdlets{
	Verbs: New | Set | Remove,
	// The type of an ACS server follows from its metadata; -Type belongs to a parameter set that is not made for it.
	Adjust: func(c *change.Command) {
		if t, ok := c.Parameters["Type"].(string); ok && strings.EqualFold(t, "MicrosoftACS") {
			delete(c.Parameters, "Type")
		}
	},
})

var authServerApplication = Exchange.Declare(Kind{
	Noun:   "AuthServerApplication",
	Title:  "Application of the Entra auth server",
	Why:    "Makes Exchange on-premises present itself to the tenant as the dedicated hybrid application instead of the shared first-party one, which Exchange Online refuses.",
	Places: []string{OnPremises},
	Match:  byTenant,
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

var authServerGraphRoute = Exchange.Declare(Kind{
	Noun:   "AuthServerGraphRoute",
	Title:  "Microsoft Graph address of the Entra auth server",
	Why:    "Tells Exchange SE where Microsoft Graph is, for lookups that no longer go through EWS.",
	Places: []string{OnPremises},
	Match:  byTenant,
	Properties: map[string]Property{
		"Type":            {Type: text, Write: change.Key, Derived: true},
		"Realm":           {Type: guid, Write: change.Key, Derived: true},
		"AuthMetadataUrl": {Type: address, Write: change.Key, Derived: true},
		"Identity":        {Type: text, Write: change.CreateOnly},
		"GraphBaseUrl":    {Type: address},
	},
	Risk: "only servers of the May 2026 hotfix update or later know the setting",
}, Cmdlets{Verbs: Set, Of: "AuthServer"})

var partnerApplication = Exchange.Declare(Kind{
	Noun:   "PartnerApplication",
	Title:  "Partner application Exchange Online",
	Why:    "Lets requests that Exchange Online makes with a token in, with the rights of its linked account.",
	Places: []string{OnPremises},
	Match: func(want change.Properties, live change.Live) bool {
		realm, _ := live.Properties["Realm"].(string)
		return realm == "" && byValue("ApplicationIdentifier")(want, live)
	},
	Properties: map[string]Property{
		"ApplicationIdentifier": {Type: guid, Write: change.Key},
		"Realm":                 {Type: text, Write: change.Key, Derived: true},
		"LinkedAccount":         {Type: someText},
		"Enabled":               {Type: boolean},
	},
	Risk: "disabled, it refuses every lookup that comes from Exchange Online",
}, Cmdlets{Verbs: New | Set | Remove})
