package desired

import (
	"context"
	"strings"

	"github.com/hybridge-cli/hybridge/pkg/engine/change"
	"github.com/hybridge-cli/hybridge/pkg/engine/msg"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/fact"
)

// coexistenceDomain makes the tenant's domains known on-premises: as one that mailboxes in the
// tenant have an address in, and as ones that mail is exchanged with.
var coexistenceDomain = &Topic{
	ID:        "coexistence-domain",
	Title:     "The coexistence domain in Exchange on-premises",
	Features:  routingFeatures,
	PerForest: true,
	Kinds:     []*Kind{acceptedDomain, remoteDomain, remoteDomainDelivery},
	Reads:     fact.List(fact.Organization, fact.OnlineAcceptedDomains),
	Derive: func(ctx context.Context, p *Planner) error {
		if _, err := p.organization(ctx, p.Forest); err != nil {
			return err
		}
		coexistence, err := p.coexistence(ctx)
		if err != nil {
			return err
		}
		initial, err := p.initialDomain(ctx)
		if err != nil {
			return err
		}
		forest := p.Forest.Name()
		p.Add(acceptedDomain, p.at(), coexistence, coexistence,
			msg.Of("mailboxes of %s have an address in it, at which mail reaches them in the tenant", forest),
			change.Properties{"DomainName": coexistence})
		for _, d := range []struct {
			name, property string
			why            msg.Text
		}{
			{coexistence, "TargetDeliveryDomain", msg.Of("mailboxes that are moved or made in the tenant get their " +
				"target address in it")},
			{initial, "TrustedMailInboundEnabled", msg.Of("mail from the tenant's initial domain passes the filters")},
		} {
			if d.name == "" {
				continue
			}
			name := objectName("Hybrid Domain - " + d.name)
			p.Add(remoteDomain, p.at(), d.name, name, d.why, change.Properties{"DomainName": d.name})
			p.Add(remoteDomainDelivery, p.at(), d.name, name, d.why, change.Properties{
				"DomainName": d.name, "Identity": Ref(remoteDomain, p.at(), d.name, "Identity"), d.property: true,
			})
		}
		return nil
	},
}

// objectName shortens a name to what the directory holds.
func objectName(s string) string {
	const most = 64
	return strings.TrimSpace(s[:min(len(s), most)])
}

// initialDomain returns the tenant's first domain.
func (p *Planner) initialDomain(ctx context.Context) (string, error) {
	accepted, err := fact.OnlineAcceptedDomains.In(ctx, p.set.Tenant)
	if err != nil {
		return "", err
	}
	for _, d := range accepted {
		if d.Initial {
			return normalDomain(d.Name), nil
		}
	}
	return normalDomain(p.Answers.ExchangeOnline.Tenant), nil
}

var acceptedDomain = Exchange.Declare(Kind{
	Noun:   "AcceptedDomain",
	Title:  "Accepted domain of the tenant",
	Why:    "Lets mailboxes have an address in the coexistence domain, which leads to them in the tenant.",
	Places: []string{OnPremises},
	Properties: map[string]Property{
		"DomainName": {Type: domainName, Write: change.Key},
	},
	Risk: "mail to the domain is routed by the recipients' target addresses",
}, Cmdlets{Verbs: New | Remove})

var remoteDomain = Exchange.Declare(Kind{
	Noun:   "RemoteDomain",
	Title:  "Remote domain of the tenant",
	Why:    "Holds how mail to and from the tenant's domains is treated.",
	Places: []string{OnPremises},
	Properties: map[string]Property{
		"DomainName": {Type: domainName, Write: change.Key},
	},
	Risk: "formats and automatic replies of mail to the domain follow it",
}, Cmdlets{Verbs: New | Remove})

var remoteDomainDelivery = Exchange.Declare(Kind{
	Noun:  "RemoteDomainDelivery",
	Title: "Trust and target delivery of a remote domain",
	Why: "Marks the coexistence domain as the one in which moved mailboxes get their target address, and lets mail " +
		"from the tenant's initial domain pass the filters.",
	Places: []string{OnPremises},
	Properties: map[string]Property{
		"DomainName":                {Type: domainName, Write: change.Key, Derived: true},
		"Identity":                  {Type: text, Write: change.CreateOnly},
		"TargetDeliveryDomain":      {Type: boolean, Unset: false},
		"TrustedMailInboundEnabled": {Type: boolean, Unset: false},
	},
	Risk: "with another target delivery domain, mailboxes that are moved get another target address",
}, Cmdlets{Verbs: Set, Of: "RemoteDomain"})
