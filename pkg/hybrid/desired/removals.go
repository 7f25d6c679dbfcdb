package desired

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/hybridge-cli/hybridge/pkg/engine/apply"
	"github.com/hybridge-cli/hybridge/pkg/engine/change"
	"github.com/hybridge-cli/hybridge/pkg/engine/msg"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/fact"
)

// Unwanted returns the resources that runs of hybridge made and that the answers no longer want: a
// forest or a feature left them. What is not wanted for another reason, such as a permission of the
// other route, stays. Each is removed only while it is as hybridge left it. Resources that others
// made are not among them, whatever their names are.
//
// A topic that is left out says nothing about what is wanted: no resource of its kinds is among
// them.
func Unwanted(
	set *fact.Set, resources []change.Resource, left []change.LeftOut, made []apply.Creation,
) []change.Resource {
	var out []change.Resource
	for _, c := range made {
		k := kindNamed(c.Kind)
		if k == nil || c.After == nil || !removable(k) || topicOf(k).Verb != "" || !here(set, c) ||
			!hasLeft(set, k, c) ||
			undecided(k, left) ||
			topicOf(k).leaves(set.Answers) || topicOf(k) == hybridExit { // it goes in stages, and back by rollback
			continue
		}
		if slices.ContainsFunc(resources, func(r change.Resource) bool { return r.ID() == c.ID }) ||
			slices.ContainsFunc(out, func(r change.Resource) bool { return r.ID() == c.ID }) {
			continue
		}
		out = append(out, change.Resource{
			Kind: k, Target: c.Target, Key: strings.TrimPrefix(c.ID, c.Target+"/"+c.Kind+"/"), Name: c.Name,
			Needs: c.Needs, Absent: true, Was: c.After, Topic: topicOf(k).ID,
			Reason: msg.Of("hybridge made it, and the answers file no longer wants it"),
			Part:   strings.TrimPrefix(c.Target, PlaceForest("")),
		})
	}
	for i := range out { // what they needed and is wanted still plays no part in their removal
		out[i].Needs = slices.DeleteFunc(slices.Clone(out[i].Needs), func(id string) bool {
			return !slices.ContainsFunc(out, func(r change.Resource) bool { return r.ID() == id })
		})
	}
	return out
}

// Abandoned returns the dedicated applications that hybridge made for forests that have left the
// answers.
func Abandoned(set *fact.Set, made []apply.Creation) []fact.Dedicated {
	var out []fact.Dedicated
	for _, c := range made {
		if c.Kind != application.Noun || c.Target != PlaceEntra || c.After == nil || !here(set, c) ||
			!hasLeft(set, application, c) {
			continue
		}
		id := str(c.After.Properties["appId"])
		if id != "" {
			out = append(out, fact.Dedicated{Name: c.Name, Application: fact.Application{ID: c.Identity, AppID: id,
				DisplayName: str(c.After.Properties["displayName"])}})
		}
	}
	return out
}

func removable(k *Kind) bool {
	_, err := k.Command(change.Delete, "", nil, &change.Live{})
	return k.Permanent == "" && !errors.Is(err, change.ErrNoOperation)
}

// here reports whether a creation belongs to this deployment. Other deployments may keep their
// journals in the same directory, and may share the tenant: the run must also have changed one of
// the forests.
func here(set *fact.Set, c apply.Creation) bool {
	place, forests := false, false
	for _, forest := range set.Forests {
		_, touched := c.Places[PlaceForest(forest.Name())]
		forests = forests || touched
		place = place || c.Target == PlaceForest(forest.Name())
	}
	place = place || set.Tenant != nil && (c.Target == PlaceOnline || c.Target == PlaceEntra)
	return place && forests
}

// hasLeft reports whether the feature or the forest of a creation left the answers. The names of a
// forest's objects in the tenant hold the GUID of its organization.
func hasLeft(set *fact.Set, k *Kind, c apply.Creation) bool {
	wanted := slices.ContainsFunc(Topics(), func(t *Topic) bool {
		return t.Retires == "" && slices.Contains(t.Kinds, k) && t.in(set.Answers)
	})
	if !wanted {
		return true
	}
	// Of lookups between forests: one of them left, or takes no lookups any more.
	if method := c.Properties["AccessMethod"]; k == availabilityAddressSpace && method != "InternalProxy" &&
		!strings.HasSuffix(c.ID, ".awsapps.com") {
		return true
	}
	for place, guid := range c.Places {
		forest := slices.ContainsFunc(set.Forests, func(f *fact.Side) bool { return PlaceForest(f.Name()) == place })
		if strings.HasPrefix(place, PlaceForest("")) && !forest && guid != "" &&
			strings.Contains(strings.ToLower(c.ID), strings.ToLower(guid)) {
			return true
		}
	}
	return false
}

// Shrink marks what left the answers in the lists of resources: the domains that runs of hybridge
// put there and that no forest of the answers has any more. The second result names the domains of
// no forest that others put into relationships and connectors of the tenant. They stay.
func Shrink(
	ctx context.Context, set *fact.Set, resources []change.Resource, put []apply.Addition,
) (out []change.Resource, others []msg.Text) {
	p := &Planner{Answers: set.Answers, set: set}
	known := map[string]bool{}
	for _, forest := range set.Forests {
		for _, d := range lower(forest.Answers.Domains) {
			known[d] = true
		}
	}
	if set.Tenant != nil {
		known[normalDomain(set.Answers.ExchangeOnline.Tenant)] = true
		if coexistence, err := p.coexistence(ctx); err == nil {
			known[coexistence] = true
		}
	}
	out = slices.Clone(resources)
	for i, r := range out {
		without := map[string][]string{}
		for _, a := range put {
			if a.ID != r.ID() || !listsDomains(r.Kind.Properties[a.Property].Type) ||
				!here(set, apply.Creation{Target: a.Target, Places: a.Places}) {
				continue
			}
			wanted := lower(texts(r.Properties[a.Property]))
			for _, d := range lower(texts(a.Elements)) {
				domain := strings.Contains(d, ".") && !strings.Contains(d, ":")
				if domain && !known[d] && !slices.Contains(wanted, d) && !slices.Contains(without[a.Property], d) {
					without[a.Property] = append(without[a.Property], d)
				}
			}
		}
		if len(without) > 0 {
			for property, elements := range r.Without { // of the way out of hybrid
				without[property] = append(without[property], elements...)
			}
			out[i].Without = without
			out[i].Reason = msg.Of("%s; domains that left the answers file leave it", r.Reason)
		}
		if r.Target == PlaceOnline {
			if strangers := strangers(ctx, set, r, without, known); len(strangers) > 0 {
				others = append(others, msg.Of("%s %q of the tenant also lists %s: no forest of the answers file has "+
					"it, and "+
					"no journal of hybridge shows that it put it there; it stays", r.Kind.Noun, r.Name,
					strings.Join(strangers, ", ")))
			}
		}
	}
	return out, others
}

// listsDomains reports whether a type is a set of domains.
func listsDomains(t Type) bool {
	return slices.ContainsFunc([]Type{domains, recipients, recordedDomains},
		func(l Type) bool { return l.Name == t.Name })
}

// strangers are the domains in a relationship or connector of the tenant that are in no forest and
// that hybridge did not put there.
func strangers(ctx context.Context, set *fact.Set, r change.Resource, without map[string][]string,
	known map[string]bool) (out []string) {
	query, property := fact.OnlineRelationships, "DomainNames"
	switch r.Kind {
	case organizationRelationship:
	case intraOrganizationConnector:
		query, property = fact.OnlineConnectors, "TargetAddressDomains"
	default:
		return nil
	}
	live, err := query.In(ctx, set.Tenant)
	if err != nil {
		return nil // the plan says so
	}
	for _, h := range live {
		if !strings.EqualFold(h.Name, r.Name) {
			continue
		}
		for _, d := range lower(h.Domains) {
			if !known[d] && !slices.Contains(without[property], d) {
				out = append(out, d)
			}
		}
	}
	return out
}

// undecided reports whether a topic of the kind is left out.
func undecided(k *Kind, left []change.LeftOut) bool {
	return slices.ContainsFunc(left, func(l change.LeftOut) bool {
		return slices.ContainsFunc(Topics(), func(t *Topic) bool {
			return t.ID == l.Topic && slices.Contains(t.Kinds, k)
		})
	})
}

func topicOf(k *Kind) *Topic {
	topics := Topics()
	return topics[slices.IndexFunc(topics, func(t *Topic) bool { return slices.Contains(t.Kinds, k) })]
}
