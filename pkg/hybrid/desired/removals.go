package desired

import (
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
		if k == nil || c.After == nil || !removable(k) || !here(set, c) || !hasLeft(set, k, c) ||
			undecided(k, left) {
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
	for place, guid := range c.Places {
		forest := slices.ContainsFunc(set.Forests, func(f *fact.Side) bool { return PlaceForest(f.Name()) == place })
		if strings.HasPrefix(place, PlaceForest("")) && !forest && guid != "" &&
			strings.Contains(strings.ToLower(c.ID), strings.ToLower(guid)) {
			return true
		}
	}
	return false
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
