// Package desired turns answers and facts into the resources that should exist: in every forest's Exchange organization, in
// Exchange Online and in Entra. A kind of resource is one declaration in the file of its topic; Kinds lists them.
package desired

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/hybridge-cli/hybridge/pkg/engine/change"
	"github.com/hybridge-cli/hybridge/pkg/estate/exchange"
)

// Sides are the places that hold resources of a kind.
type Sides uint8

// The sides.
const (
	OnPremises Sides = 1 << iota
	Online
	Entra
)

// Place names, as resources and plans use them.
const (
	PlaceOnline = "online"
	PlaceEntra  = "entra"
)

// PlaceForest names the place of a forest's Exchange organization.
func PlaceForest(forest string) string { return "onprem/" + forest }

// Verbs are the cmdlet verbs that exist for a kind.
type Verbs uint8

// The verbs. Get exists for all.
const (
	New Verbs = 1 << iota
	Add       // makes one where there is no New
	Set       // without it, what differs is removed and made anew
	Remove
)

// Kind is the declaration of one kind of resource: what the engine compares and writes, and how its place reads it.
type Kind struct {
	Noun  string // documented id; the cmdlets' noun unless Of is given
	Title string
	Why   string // what the resource is for, in one or two sentences
	Sides Sides

	// Exchange kinds.
	// Of is the cmdlets' noun, when the kind is one aspect of an object that another kind makes. The aspect is there when one of its properties
	// is set; it is made and unmade with the Set cmdlet, of the object that the property Identity names.
	Of    string
	Verbs Verbs
	Get   map[string]any // parameters of the Get cmdlet, left away again where the server does not know them
	Only  bool           // there is exactly one, and the Set cmdlet takes no Identity (OrganizationConfig)

	Adjust func(*change.Command) // corrects a command where the cmdlet is irregular
	// After runs after each command of the kind: what makes a setting known to the running services, which take it over some time later otherwise.
	After []exchange.Command

	// Entra kinds.
	// Read finds the live resources; none is an empty list and not an error.
	Read    func(ctx context.Context, p *EntraPlace) ([]change.Live, error)
	Command func(a change.Action, name string, want change.Properties, live *change.Live) (change.Command, error)

	Match      func(want change.Properties, live change.Live) bool
	Properties map[string]Property
	Risk       string
	Permanent  string        // why a change cannot be undone; empty when it can
	Patience   time.Duration // how long a change may take to show; change.DefaultPatience when 0

	kind *change.Kind
}

// Property declares one property of a kind.
type Property struct {
	Type  Type
	Write change.Mode
	// From is the name under which the Get cmdlet prints it, when that is not the parameter's.
	From string
	// Derived properties are made by the server from others: they serve to recognize a resource and are never sent.
	Derived bool
	// Told properties are lists that are written whole and that a server may keep to itself: where it prints none, the list is not known,
	// which is not the same as empty.
	Told bool
}

// Type is what a property holds: how a live value is brought to the form that desired values have, and when
// two are the same.
type Type struct {
	Name    string
	Read    func(live any) any
	Compare change.Comparison
	Joined  bool // a list that cmdlets take as one string with commas
}

// Change is the declaration as the engine takes it: one value a Kind, so that it can be compared by identity.
func (k *Kind) Change() *change.Kind { return k.kind }

// declare completes a declaration.
func declare(k Kind) *Kind {
	properties := make(map[string]change.Property, len(k.Properties))
	for name, p := range k.Properties {
		properties[name] = change.Property{Compare: p.Type.Compare, Write: p.Write}
	}
	out := &k
	command := k.Command
	if command == nil {
		command = out.render
	}
	out.kind = &change.Kind{
		Noun: k.Noun, Title: k.Title, Match: k.Match, Properties: properties, Risk: k.Risk, Permanent: k.Permanent, Command: command,
		Recreates: k.Sides&Entra == 0 && k.Verbs&Set == 0, Patience: k.Patience,
	}
	return out
}

// noun is the noun of the kind's cmdlets.
func (k *Kind) noun() string {
	if k.Of != "" {
		return k.Of
	}
	return k.Noun
}

// Cmdlets lists the cmdlets that reading and writing the kind takes; none for Entra kinds.
func (k *Kind) Cmdlets() []string {
	if k.Sides&Entra != 0 {
		return nil
	}
	out := []string{"Get-" + k.noun()}
	for _, v := range []struct {
		verb Verbs
		name string
	}{{New, "New-"}, {Add, "Add-"}, {Set, "Set-"}, {Remove, "Remove-"}} {
		if k.Verbs&v.verb != 0 {
			out = append(out, v.name+k.noun())
		}
	}
	return out
}

var errNoVerb = errors.New("no cmdlet does this")

func (k *Kind) render(a change.Action, name string, want change.Properties, live *change.Live) (change.Command, error) {
	c, err := k.cmdlet(a, name, want, live)
	if err == nil && k.Adjust != nil {
		k.Adjust(&c)
	}
	return c, err
}

// cmdlet renders an action as the cmdlet that performs it.
func (k *Kind) cmdlet(a change.Action, name string, want change.Properties, live *change.Live) (change.Command, error) {
	var identity any = name
	aspect := k.Of != ""
	if live != nil && live.Identity != "" {
		identity = live.Identity
	} else if whose := want["Identity"]; aspect && whose != nil {
		identity = whose // that of the object it is an aspect of, which may be yet to come
	}
	parameters := map[string]any{}
	switch {
	case a == change.Delete && aspect:
		for p, d := range k.Properties {
			if !d.Derived && d.Write != change.Key && d.Write != change.CreateOnly {
				parameters[p] = nil
			}
		}
		parameters["Identity"] = identity
		return change.Command{Name: "Set-" + k.noun(), Parameters: parameters}, nil
	case a == change.Delete && k.Verbs&Remove != 0:
		return change.Command{Name: "Remove-" + k.noun(), Parameters: map[string]any{"Identity": identity, "Confirm": false}}, nil
	case a == change.Create && k.Verbs&(New|Add) != 0:
		verb := "Add-"
		if k.Verbs&New != 0 {
			verb, parameters["Name"] = "New-", name
		}
		for p, v := range want {
			if d, ok := k.Properties[p]; ok && !d.Derived && v != nil {
				parameters[p] = v
			}
		}
		return change.Command{Name: verb + k.noun(), Parameters: parameters}, nil
	case (a == change.Update || a == change.Create && aspect) && k.Verbs&Set != 0:
		for p, v := range want {
			if d, ok := k.Properties[p]; ok && !d.Derived && d.Write != change.Key && d.Write != change.CreateOnly {
				parameters[p] = v
			}
		}
		if !k.Only {
			parameters["Identity"] = identity
		}
		return change.Command{Name: "Set-" + k.noun(), Parameters: parameters}, nil
	}
	return change.Command{}, fmt.Errorf("%s %s %q: %w", a, k.Noun, name, errNoVerb)
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

// byValue matches when the named properties are the same, without regard to case. A wanted value that another change
// has yet to bring forth matches nothing.
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
