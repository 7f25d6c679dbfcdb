// Package desired turns answers and facts into the resources that should exist: in every forest's
// Exchange organization, in Exchange Online and in Entra. A kind of resource is one declaration in
// the file of its topic; Topics lists the topics.
package desired

import (
	"maps"
	"slices"
	"strings"

	"github.com/hybridge-cli/hybridge/pkg/config/answers"
	"github.com/hybridge-cli/hybridge/pkg/engine/change"
)

// Kind and Property are the parts of declarations.
type (
	Kind     = change.Kind
	Property = change.Property
	Type     = change.Type
)

// The sorts of places, as Kind.Places names them.
const (
	OnPremises = "onprem/*"
	Online     = "online"
	Entra      = "entra"
)

// Place names, as resources and plans use them.
const (
	PlaceOnline = Online
	PlaceEntra  = Entra
)

// PlaceForest returns the place of a forest's Exchange organization.
func PlaceForest(forest string) string { return "onprem/" + forest }

// kindNamed finds a kind by its noun.
func kindNamed(noun string) *Kind {
	kinds := Kinds()
	if i := slices.IndexFunc(kinds, func(k *Kind) bool { return k.Noun == noun }); i >= 0 {
		return kinds[i]
	}
	return nil
}

// Rights lists the rights that an account requires on a sort of places to read and to write the
// kinds that answers need, or all kinds without answers. For Exchange these are cmdlets.
func Rights(sort string, a *answers.Answers) (reads, writes []string) {
	for _, k := range kindsFor(a) {
		if slices.Contains(k.Places, sort) {
			reads, writes = append(reads, k.Reads...), append(writes, k.Writes...)
		}
	}
	slices.Sort(reads)
	slices.Sort(writes)
	return slices.Compact(reads), slices.Compact(writes)
}

// bySharedDomain matches when one of the wanted domains of a property is among the live ones.
func bySharedDomain(property string) func(change.Properties, change.Live) bool {
	return func(want change.Properties, live change.Live) bool {
		have := texts(live.Properties[property])
		for _, d := range texts(want[property]) {
			if slices.ContainsFunc(have, func(h string) bool { return normalDomain(h) == normalDomain(d) }) {
				return true
			}
		}
		return false
	}
}

// byValue matches when the named properties are the same, without regard to case. A wanted value
// that another change has yet to produce matches nothing.
func byValue(properties ...string) func(change.Properties, change.Live) bool {
	return func(want change.Properties, live change.Live) bool {
		for _, p := range properties {
			w, ok := want[p].(string)
			if !ok {
				return false
			}
			h, _ := live.Properties[p].(string)
			if !strings.EqualFold(w, h) {
				return false
			}
		}
		return true
	}
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
