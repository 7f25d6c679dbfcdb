package change

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
)

// compare is the property's comparison.
func (p Property) compare() Comparison {
	switch {
	case p.Compare != nil:
		return p.Compare
	case p.Type.Compare != nil:
		return p.Type.Compare
	}
	return Equal
}

// Equal holds for the same value. Nothing, the empty text and the empty list are the same, as they
// are in Exchange; so are a value and the list of just it.
func Equal(want, live any) bool {
	w, errW := normal(want)
	l, errL := normal(live)
	if errW != nil || errL != nil {
		return false
	}
	return reflect.DeepEqual(elements(w), elements(l)) || len(elements(w)) == 0 && len(elements(l)) == 0
}

// Added lists the elements of want that live lacks, by the property's comparison.
func (p Property) Added(want, live any) []any {
	var missing []any
	have := p.set(elements(live))
	for _, w := range elements(want) {
		if !have.contains(w) {
			missing = append(missing, w)
			have.add(w)
		}
	}
	return missing
}

// set finds elements by the property's comparison. Without a comparison of its own, texts are the
// same only when they are identical: they are looked up, and a long list takes no time.
type set struct {
	property Property
	texts    map[string]bool
	others   []any
}

func (p Property) set(elements []any) *set {
	s := &set{property: p}
	if p.Compare == nil && p.Type.Compare == nil {
		s.texts = make(map[string]bool, len(elements))
	}
	for _, e := range elements {
		s.add(e)
	}
	return s
}

func (s *set) add(e any) {
	if text, is := e.(string); is && s.texts != nil {
		s.texts[text] = true
		return
	}
	s.others = append(s.others, e)
}

func (s *set) contains(e any) bool {
	if text, is := e.(string); is && s.texts[text] {
		return true
	}
	return slices.ContainsFunc(s.others, func(o any) bool { return s.property.sameElement(e, o) })
}

func (p Property) sameElement(a, b any) bool {
	return p.compare()(narrowed([]any{a}), narrowed([]any{b}))
}

// Merged is live with what it lacks of want.
func (p Property) Merged(want, live any) any {
	return narrowed(slices.Concat(elements(live), p.Added(want, live)))
}

// Without is live less the given elements, by the property's comparison.
func (p Property) Without(live any, remove []any) any {
	kept := make([]any, 0)
	for _, l := range elements(live) {
		if !slices.ContainsFunc(remove, func(r any) bool { return p.sameElement(r, l) }) {
			kept = append(kept, l)
		}
	}
	return narrowed(kept)
}

// InEffect reports whether a live value is what was to be written: satisfied by comparison or, for
// Merge, containing every element. CreateOnly and Key properties always are, and so are those that
// hold a secret: see SecretRef.
func (p Property) InEffect(want, live any) bool {
	if len(Secrets(want)) > 0 {
		return true
	}
	switch p.Write {
	case CreateOnly, Key:
		return true
	case Merge:
		return len(p.Added(want, live)) == 0
	default:
		return p.compare()(want, live)
	}
}

// Same reports whether two live values are the same by the property's comparison, in both
// directions.
func (p Property) Same(a, b any) bool { return p.compare()(a, b) && p.compare()(b, a) }

// Elements gives a value as a list: nothing is an empty list, and a single value a list of one.
func Elements(v any) []any { return elements(v) }

// Differing names the first declared property in which two images of a resource differ; empty when
// none does.
func (k *Kind) Differing(was, is *Live) string {
	for _, name := range slices.Sorted(maps.Keys(k.Properties)) {
		before, now := was.Properties[name], is.Properties[name]
		if _, unreadable := before.(Unreadable); unreadable {
			continue
		}
		if u, unreadable := now.(Unreadable); unreadable {
			return fmt.Sprintf("%s of %q cannot be read: %s", name, is.Name, u.Reason)
		}
		if !k.Properties[name].Same(before, now) {
			return fmt.Sprintf("%s of %q was %s, is %s", name, is.Name, Text(before), Text(now))
		}
	}
	return ""
}

// Extended reports whether a resource has more than an earlier image of it, beyond what any kind
// declares.
func Extended(was, is *Live) bool {
	return was.Foreign != "" && is.Foreign != "" && was.Foreign != is.Foreign
}
