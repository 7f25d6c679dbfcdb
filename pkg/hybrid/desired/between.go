package desired

import (
	"context"
	"slices"
	"strings"

	"github.com/hybridge-cli/hybridge/pkg/config/answers"
	"github.com/hybridge-cli/hybridge/pkg/engine/change"
	"github.com/hybridge-cli/hybridge/pkg/engine/msg"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/fact"
)

// betweenForests lets each forest ask those that take lookups. Both sides of a pair are planned:
// the account that the asked forest accepts, and the way of the asking one.
var betweenForests = &Topic{
	ID:        "between-forests",
	Title:     "Free/busy between forests",
	Features:  []answers.Feature{answers.FreeBusy},
	Cloud:     fact.AtForest,
	PerForest: true,
	Kinds:     []*Kind{availabilityConfig, availabilityAddressSpace, organizationRelationship},
	Reads: fact.List(fact.AcceptedDomains, fact.Connectors, fact.Relationships, fact.AddressSpaces,
		fact.AvailabilityConfigs, fact.Federated, fact.MailboxServers, fact.Recipients, fact.AutodiscoverHosts),
	Derive: func(ctx context.Context, p *Planner) error {
		if own := p.Forest.Answers.Lookups; own != nil && own.User != "" {
			if err := p.takes(ctx, *own); err != nil {
				return err
			}
		}
		spaces := 0
		for _, other := range p.set.Forests {
			if other == p.Forest || other.Answers.Lookups == nil {
				continue
			}
			domains := lower(other.Answers.Domains)
			if err := Reaches(ctx, p.Forest, other); err != nil {
				return err
			}
			if other.Answers.Lookups.Access == answers.AccessRelationship {
				if err := p.relates(ctx, other, domains); err != nil {
					return err
				}
				continue
			}
			for _, d := range domains {
				p.asks(other, d)
			}
			spaces += len(domains)
		}
		return p.room(ctx, spaces)
	},
}

// accountKey is the key of the accounts that a forest accepts.
const accountKey = "lookups"

// takes plans that the forest accepts lookups of an account.
func (p *Planner) takes(ctx context.Context, l answers.Lookups) error {
	live, err := fact.AvailabilityConfigs.In(ctx, p.Forest)
	if err != nil {
		return err
	}
	property, account := "OrgWideAccount", live.OrgWide
	if l.Access == answers.AccessPerUser {
		property, account = "PerUserAccount", live.PerUser
	}
	if account != "" && !fact.SameAccount(account, fact.OwnServers) && !fact.SameAccount(account, l.User) {
		// It may be a group with the account in it: the check lookups.account says so.
		return nil
	}
	p.Add(availabilityConfig, p.at(), accountKey, "accounts for lookups",
		msg.Of("the other forests ask %s for calendars as %s", p.Forest.Name(), l.User),
		change.Properties{property: l.User})
	return nil
}

// asks plans the way to a domain of another forest.
func (p *Planner) asks(other *fact.Side, domain string) {
	l := other.Answers.Lookups
	method := map[string]string{answers.AccessOrgWide: "OrgWideFB", answers.AccessPerUser: "PerUserFB"}[l.Access]
	properties := change.Properties{"ForestName": domain, "AccessMethod": method,
		"TargetAutodiscoverEpr": "https://" + other.Answers.Namespace.Autodiscover + "/autodiscover/autodiscover.xml"}
	reason := msg.Of("%s asks %s for calendars of %s as %s", p.Forest.Name(), other.Name(), domain, l.User)
	var needs []Need
	if l.User == "" {
		properties["UseServiceAccount"] = true
		reason = msg.Of("the Exchange servers of %s ask %s for calendars of %s as themselves: %s must trust their "+
			"domain, and let its group Exchange Servers pass on who asks (Add-ADPermission -ExtendedRights "+
			"ms-Exch-EPI-Token-Serialization)", p.Forest.Name(), other.Name(), domain, other.Name())
	} else {
		properties["UserName"] = l.User
		properties["Credentials"] = map[string]any{"UserName": l.User,
			"Password": change.SecretRef{Ref: string(l.Password)}}
		needs = append(needs, Need{kind: availabilityConfig, place: PlaceForest(other.Name()), key: accountKey})
	}
	p.Add(availabilityAddressSpace, p.at(), domain, domain, reason, properties, needs...)
}

// Reaches refuses lookups of a forest for another one that something else takes: a domain that the
// forest holds itself, a connector, or a relationship. Exchange asks them before an address space.
func Reaches(ctx context.Context, from, other *fact.Side) error {
	accepted, err := fact.AcceptedDomains.In(ctx, from)
	if err != nil {
		return err
	}
	connectors, err := fact.Connectors.In(ctx, from)
	if err != nil {
		return err
	}
	relations, err := fact.Relationships.In(ctx, from)
	if err != nil {
		return err
	}
	forest := from.Name()
	for _, d := range lower(other.Answers.Domains) {
		for _, a := range accepted {
			if strings.EqualFold(a.Type, "Authoritative") &&
				(a.Name == d || a.SubDomains && strings.HasSuffix(d, "."+a.Name)) {
				return refuse("%s is authoritative for %s, which is a domain of %s: mail and lookups for it stay in "+
					"%s; "+
					"make it an internal relay domain there (Set-AcceptedDomain %s -DomainType InternalRelay)",
					forest, d, other.Name(), forest, a.Name)
			}
		}
		for _, h := range connectors {
			if h.Leads && slices.Contains(lower(h.Domains), d) {
				return refuse("lookups of %s for %s follow the intra-organization connector %q, and no other way: "+
					"disable it, or remove lookups of forest %s from the answers file", forest, d, h.Name, other.Name())
			}
		}
		for _, h := range relations {
			if h.Leads && slices.Contains(lower(h.Domains), d) &&
				other.Answers.Lookups.Access != answers.AccessRelationship {
				return refuse("lookups of %s for %s follow the organization relationship %q and not an address space: "+
					"set lookups.access of forest %s to relationship, or disable the relationship", forest, d, h.Name,
					other.Name())
			}
		}
	}
	return nil
}

// relates plans a relationship with another forest. It signs in by the federation trust of both.
func (p *Planner) relates(ctx context.Context, other *fact.Side, domains []string) error {
	for _, side := range []*fact.Side{p.Forest, other} {
		f, err := fact.Federated.In(ctx, side)
		switch {
		case err != nil:
			return err
		case !f.Enabled:
			return notReady{"forest " + side.Name() +
				" has no federation trust (Get-FederatedOrganizationIdentifier), " +
				"and hybridge sets none up: use lookups.access orgWide"}
		}
	}
	there, err := fact.Federated.In(ctx, other)
	if err != nil {
		return err
	}
	live, err := fact.Relationships.In(ctx, p.Forest)
	if err != nil {
		return err
	}
	reason := msg.Of("%s asks %s for calendars by their federation trusts", p.Forest.Name(), other.Name())
	for _, part := range share("forest:"+other.Name(), "Forest "+other.Name(), domains, live) {
		p.Add(organizationRelationship, p.at(), part.key, part.name, reason, change.Properties{
			"DomainNames": part.domains, "Enabled": true, "FreeBusyAccessEnabled": true,
			"FreeBusyAccessLevel": "LimitedDetails", "TargetApplicationUri": there.Namespace,
			"TargetAutodiscoverEpr": "https://" + other.Answers.Namespace.Autodiscover +
				"/autodiscover/autodiscover.svc/WSSecurity",
		})
	}
	// Servers older than Exchange 2010 know no relationship: a newer one asks for them.
	servers, err := fact.MailboxServers.In(ctx, p.Forest)
	if err != nil {
		return err
	}
	if slices.ContainsFunc(servers, func(s fact.MailboxServer) bool { return s.Build.Major < 14 }) {
		for _, d := range domains {
			p.Add(availabilityAddressSpace, p.at(), d, d,
				msg.Of("servers of %s older than Exchange 2010 ask a newer one for calendars of %s", p.Forest.Name(),
					d),
				change.Properties{"ForestName": d, "AccessMethod": "InternalProxy", "UseServiceAccount": true,
					"ProxyUrl": "https://" + p.Forest.Answers.Namespace.EWS + "/EWS/Exchange.asmx"})
		}
	}
	return nil
}

// maxAddressSpaces is how many availability address spaces an organization may have.
const maxAddressSpaces = 100

// room refuses more address spaces than Exchange takes.
func (p *Planner) room(ctx context.Context, spaces int) error {
	if spaces == 0 {
		return nil
	}
	live, err := fact.AddressSpaces.In(ctx, p.Forest)
	if err != nil {
		return err
	}
	foreign := slices.DeleteFunc(slices.Clone(live), func(a fact.AddressSpace) bool {
		return slices.ContainsFunc(p.set.Forests, func(f *fact.Side) bool {
			return f != p.Forest && f.Answers.Lookups != nil &&
				slices.Contains(lower(f.Answers.Domains), normalDomain(a.ForestName))
		})
	})
	if n := len(foreign) + spaces; n > maxAddressSpaces {
		return refuse("forest %s would have %d availability address spaces, one per domain of the forests that it "+
			"asks: "+
			"Exchange takes %d; leave out lookups of some forests", p.Forest.Name(), n, maxAddressSpaces)
	}
	return nil
}

// accountText is an account: DOMAIN\user, or its path in the directory.
var accountText = Type{
	Name: `account, as DOMAIN\user or as its path in the directory`, Read: readText, Script: "Account",
	Compare: func(want, live any) bool {
		w, ok1 := want.(string)
		l, ok2 := live.(string)
		return ok1 && ok2 && fact.SameAccount(w, l) || equal(want, live)
	},
}

// unlessElsewhere is an address that may be left to Exchange to find.
var unlessElsewhere = Type{
	Name: "URL; not set is as good", Read: readText, Script: "UrlOrNone",
	Compare: func(want, live any) bool { return nothing(live) || sameURL(want, live) },
}

var availabilityConfig = Exchange.Declare(Kind{
	Noun:  "AvailabilityConfig",
	Title: "Accounts for lookups of other forests",
	Why: "Exchange answers another organization's lookups only to the accounts that are named here: one for lookups " +
		"of the organization, which show what everyone sees, and one for lookups of single people.",
	Places:     []string{OnPremises},
	Recognizes: "$true",
	Match:      func(change.Properties, change.Live) bool { return true },
	Properties: map[string]Property{
		"OrgWideAccount": {Type: accountText},
		"PerUserAccount": {Type: accountText},
	},
	Risk: "an organization that knows the password of the account can read the free/busy times of the forest",
}, Cmdlets{Verbs: Set, Of: "AvailabilityConfig", Only: true})
