package desired

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/hybridge-cli/hybridge/pkg/engine/change"
	"github.com/hybridge-cli/hybridge/pkg/engine/msg"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/fact"
	"github.com/hybridge-cli/hybridge/pkg/wire/oauth"
)

var oauthTrust = &Topic{
	ID:        "oauth",
	Title:     "Exchange on-premises takes the tenant's tokens, and gets its own",
	Features:  lookupFeatures,
	PerForest: true,
	Kinds:     []*Kind{authServer, partnerApplication},
	Reads: fact.List(fact.Tenant, fact.OnlineConfig, fact.OnlineAcceptedDomains, fact.Organization,
		fact.PartnerApplications),
	Derive: func(ctx context.Context, p *Planner) error {
		domains, err := p.domains()
		if err != nil {
			return err
		}
		coexistence, err := p.coexistence(ctx)
		if err != nil {
			return err
		}
		cloud, err := p.cloud(ctx)
		if err != nil {
			return err
		}
		name, err := p.tenantName(ctx)
		if err != nil {
			return err
		}
		evo, err := p.evoSTS(ctx)
		if err != nil {
			return err
		}
		organization, err := fact.Organization.In(ctx, p.Forest)
		if err != nil {
			return err
		}
		p.Add(authServer, p.at(), "acs", "ACS - "+name,
			msg.Of("tokens that Exchange Online presents are checked against it"), change.Properties{
				"Type": "MicrosoftACS", "Realm": evo["Realm"], "AuthMetadataUrl": cloud.ACSMetadataURL,
				"DomainName": lower(slices.Concat([]string{coexistence}, domains)), "Enabled": true,
			})
		p.Add(authServer, p.at(), evoSTSKey, "EvoSts - "+name,
			msg.Of("Exchange asks it for tokens to the tenant"), with(evo, change.Properties{"Enabled": true}))
		if err := p.freeName(ctx, "Exchange Online"); err != nil {
			return err
		}
		partner := change.Properties{"ApplicationIdentifier": oauth.AppExchangeOnline, "Enabled": true}
		if organization.RootDomain != "" {
			partner["LinkedAccount"] = organization.RootDomain + "/Users/Exchange Online-ApplicationAccount"
		}
		p.Add(partnerApplication, p.at(), oauth.AppExchangeOnline, "Exchange Online",
			msg.Of("it lets lookups from Exchange Online in"), partner)
		return nil
	},
}

// freeName refuses the name of an existing partner application that is not ours.
func (p *Planner) freeName(ctx context.Context, name string) error {
	found, err := fact.PartnerApplications.In(ctx, p.Forest)
	if err != nil {
		return err
	}
	taken := ""
	for _, a := range found {
		switch {
		case strings.EqualFold(a.ApplicationIdentifier, oauth.AppExchangeOnline) && a.Realm == "":
			return nil
		case strings.EqualFold(a.Name, name):
			taken = fmt.Sprintf("application %s, realm %s", cmp.Or(a.ApplicationIdentifier, "none"),
				cmp.Or(a.Realm, "none"))
		}
	}
	if taken == "" {
		return nil
	}
	return fmt.Errorf("%s: the partner application %q is another one (%s), and hybrid needs one of that name for "+
		"application %s without a realm: rename it (Set-PartnerApplication -Name) or remove it",
		p.Forest.Name(), name, taken, oauth.AppExchangeOnline)
}

// evoSTSKey is the key of the Entra auth server and of its aspects.
const evoSTSKey = "evosts"

// evoSTS returns the properties that identify the Entra auth server.
func (p *Planner) evoSTS(ctx context.Context) (change.Properties, error) {
	id, err := p.tenantID(ctx)
	if err != nil {
		return nil, err
	}
	cloud, err := p.cloud(ctx)
	return change.Properties{"Type": "AzureAD", "Realm": id, "AuthMetadataUrl": cloud.EvoSTSMetadataURL}, err
}

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

// tenantCondition is byTenant in scripts.
const tenantCondition = "{Type?} -and ({Realm?} -or ((Test-Same -As Text -Want '' -Live (Read-Property $_ 'Realm')) " +
	"-and {AuthMetadataUrl?}))"

var authServer = Exchange.Declare(Kind{
	Noun:  "AuthServer",
	Title: "Auth server",
	Why: "Exchange on-premises trusts the tokens of the tenant (ACS), and gets its own tokens from Entra " +
		"(EvoSTS).",
	Places:     []string{OnPremises},
	Match:      byTenant,
	Recognizes: tenantCondition,
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
	// The type of an ACS server follows from its metadata. -Type belongs to a parameter set for
	// other servers.
	Adjust: func(c *change.Command) {
		if t, ok := c.Parameters["Type"].(string); ok && strings.EqualFold(t, "MicrosoftACS") {
			delete(c.Parameters, "Type")
		}
	},
})

var partnerApplication = Exchange.Declare(Kind{
	Noun:  "PartnerApplication",
	Title: "Partner application Exchange Online",
	Why: "Exchange on-premises accepts requests of Exchange Online with a token, with the rights of the linked " +
		"account.",
	Places: []string{OnPremises},
	Match: func(want change.Properties, live change.Live) bool {
		realm, _ := live.Properties["Realm"].(string)
		return realm == "" && byValue("ApplicationIdentifier")(want, live)
	},
	Recognizes: "{ApplicationIdentifier?} -and (Test-Same -As Text -Want '' -Live (Read-Property $_ 'Realm'))",
	Properties: map[string]Property{
		"ApplicationIdentifier": {Type: guid, Write: change.Key},
		"Realm":                 {Type: text, Write: change.Key, Derived: true},
		"LinkedAccount":         {Type: someText},
		"Enabled":               {Type: boolean},
	},
	Risk: "disabled, it refuses every lookup from Exchange Online",
}, Cmdlets{Verbs: New | Set | Remove})
