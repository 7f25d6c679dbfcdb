package desired

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/hybridge-cli/hybridge/pkg/engine/change"
	"github.com/hybridge-cli/hybridge/pkg/engine/msg"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/fact"
)

// addressPolicies gives recipients an address in the coexistence domain, by the policies that the
// answers name and by no other.
var addressPolicies = &Topic{
	ID:        "address-policies",
	Title:     "Addresses in the coexistence domain, by the email address policies that the answers name",
	Features:  routingFeatures,
	PerForest: true,
	Kinds:     []*Kind{emailAddressPolicy},
	Reads:     fact.List(fact.AddressPolicies, fact.OnlineAcceptedDomains),
	Derive: func(ctx context.Context, p *Planner) error {
		named := p.Forest.Answers.AddressPolicies
		if len(named) == 0 {
			return nil
		}
		coexistence, err := p.coexistence(ctx)
		if err != nil {
			return err
		}
		live, err := fact.AddressPolicies.In(ctx, p.Forest)
		if err != nil {
			return err
		}
		for _, name := range named {
			i := slices.IndexFunc(live, func(l fact.AddressPolicy) bool { return strings.EqualFold(l.Name, name) })
			switch {
			case i < 0:
				return fmt.Errorf("forest %s has no email address policy %q (forests[].addressPolicies)",
					p.Forest.Name(), name)
			case live[i].Legacy:
				return fmt.Errorf("forest %s: the email address policy %q has a filter of Exchange 2003, and Exchange "+
					"refuses to change it: give it a filter first (Set-EmailAddressPolicy -IncludedRecipients)",
					p.Forest.Name(), name)
			}
			p.Add(emailAddressPolicy, p.at(), strings.ToLower(name), live[i].Name,
				msg.Of("its recipients get an address in %s, at which mail reaches them once they are in the tenant",
					coexistence), change.Properties{
					"Identity": live[i].Identity, "RecipientFilterApplied": true,
					"EnabledEmailAddressTemplates": []string{"smtp:%m@" + coexistence},
				}, One(acceptedDomain, p.at(), coexistence))
		}
		return nil
	},
}

// addressTemplates is a set of address templates. A primary one covers a secondary one.
var addressTemplates = Type{
	Name: "set of address templates", Read: readTexts, Compare: containsAll(strings.ToLower), List: true,
	Script: "TemplateList",
}

const updateEmailAddressPolicy = "Update-EmailAddressPolicy"

var emailAddressPolicy = Exchange.Declare(Kind{
	Noun:  "EmailAddressPolicy",
	Title: "Email address policy",
	Why: "Gives its recipients an address in the coexistence domain. A mailbox without one cannot be moved to the " +
		"tenant.",
	Places: []string{OnPremises},
	Properties: map[string]Property{
		"Identity":                     {Type: text, Write: change.Key},
		"EnabledEmailAddressTemplates": {Type: addressTemplates, Write: change.Merge},
		// Exchange clears it when the templates change, and sets it when the policy was applied.
		"RecipientFilterApplied": {Type: boolean, Derived: true},
	},
	Risk: "every recipient of the policy is written, which takes long in a large organization; a rollback takes the " +
		"template back and leaves the addresses that recipients got",
	Consents: map[change.Action]change.Consent{change.Update: {ID: "update-addresses",
		Title: "apply email address policies to their recipients (" + updateEmailAddressPolicy + ")"}},
}, Cmdlets{Verbs: Set, Adjust: func(c *change.Command) {
	if c.Name != "Set-EmailAddressPolicy" {
		return
	}
	c.Parameters["ForceUpgrade"] = true
	c.Then = []change.Command{{Name: updateEmailAddressPolicy, Parameters: map[string]any{
		"Identity": c.Parameters["Identity"], "UpdateSecondaryAddressesOnly": true,
	}}}
}})
