package change

import (
	"net/url"
	"reflect"
	"slices"
	"strings"
)

// compare is the property's comparison.
func (p Property) compare() Comparison {
	if p.Compare != nil {
		return p.Compare
	}
	return Equal
}

// Equal holds for the same value. Nothing, the empty text and the empty list are the same, as they are in Exchange; so are a value and the
// list of just it.
func Equal(want, live any) bool {
	w, errW := normal(want)
	l, errL := normal(live)
	if errW != nil || errL != nil {
		return false
	}
	return reflect.DeepEqual(elements(w), elements(l)) || len(elements(w)) == 0 && len(elements(l)) == 0
}

// EqualFold holds for the same text, or list of texts, but for case.
func EqualFold(want, live any) bool {
	return Equal(mapped(want, strings.ToLower), mapped(live, strings.ToLower))
}

// Bool holds for the same truth value, also when one side has it as text ("True") and nothing is false.
func Bool(want, live any) bool {
	w, okW := truth(want)
	l, okL := truth(live)
	return okW && okL && w == l
}

func truth(v any) (value, ok bool) {
	switch v := v.(type) {
	case nil:
		return false, true
	case bool:
		return v, true
	case string:
		switch strings.ToLower(strings.TrimPrefix(v, "$")) {
		case "true":
			return true, true
		case "false", "":
			return false, true
		}
	}
	return false, false
}

// Ordered holds for the same elements in the same order.
func Ordered(want, live any) bool { return Equal(want, live) }

// Set holds for the same elements in any order.
func Set(want, live any) bool { return sameSet(want, live, nil) }

// SetFold is Set, but for case.
func SetFold(want, live any) bool { return sameSet(want, live, strings.ToLower) }

// Domains holds for the same domain names in any order, but for case and a final dot.
func Domains(want, live any) bool { return sameSet(want, live, canonicalDomain) }

// SetOf makes a Set whose texts are compared by their canonical form.
func SetOf(canonical func(string) string) Comparison {
	return func(want, live any) bool { return sameSet(want, live, canonical) }
}

// ContainsAll holds when every wanted element is there, whatever else is.
func ContainsAll(want, live any) bool {
	l := keys(live, strings.ToLower)
	for key := range keys(want, strings.ToLower) {
		if !l[key] {
			return false
		}
	}
	return true
}

// URL holds for the same URL, or list of URLs, but for the case of scheme and host, a default port, and a final slash.
func URL(want, live any) bool { return Equal(mapped(want, CanonicalURL), mapped(live, CanonicalURL)) }

// CanonicalURL is the form by which URL compares. What is no URL stays as it is.
func CanonicalURL(text string) string {
	u, err := url.Parse(strings.TrimSpace(text))
	if err != nil || u.Host == "" {
		return text
	}
	u.Scheme, u.Host = strings.ToLower(u.Scheme), strings.ToLower(u.Host)
	if port := u.Port(); u.Scheme == "https" && port == "443" || u.Scheme == "http" && port == "80" {
		u.Host = strings.TrimSuffix(u.Host, ":"+port)
	}
	u.Path, u.RawPath = strings.TrimRight(u.Path, "/"), strings.TrimRight(u.RawPath, "/")
	return u.String()
}

func canonicalDomain(text string) string { return strings.ToLower(strings.TrimSuffix(text, ".")) }

// mapped applies f to a text or to each text of a list.
func mapped(v any, f func(string) string) any {
	switch v := v.(type) {
	case string:
		return f(v)
	case []string:
		list := make([]string, len(v))
		for i := range v {
			list[i] = f(v[i])
		}
		return list
	case []any:
		list := make([]any, len(v))
		for i := range v {
			list[i] = mapped(v[i], f)
		}
		return list
	}
	return v
}

func sameSet(want, live any, f func(string) string) bool {
	return reflect.DeepEqual(keys(want, f), keys(live, f))
}

func keys(v any, f func(string) string) map[string]bool {
	set := map[string]bool{}
	if f != nil {
		v = mapped(v, f)
	}
	n, err := normal(v)
	if err != nil {
		return map[string]bool{"\x00" + err.Error(): true} // like nothing else
	}
	for _, element := range elements(n) {
		set[string(canonical(element))] = true
	}
	return set
}

// Added lists the elements of want that live lacks, by the property's comparison.
func (p Property) Added(want, live any) []any {
	var missing []any
	have := elements(live)
	for _, w := range elements(want) {
		if !slices.ContainsFunc(have, func(l any) bool { return p.sameElement(w, l) }) {
			missing = append(missing, w)
			have = append(slices.Clip(have), w)
		}
	}
	return missing
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

// InEffect tells whether a live value is what was to be written: satisfied by comparison or, for Merge, containing every
// element. CreateOnly and Key properties always are.
func (p Property) InEffect(want, live any) bool {
	switch p.Write {
	case CreateOnly, Key:
		return true
	case Merge:
		return len(p.Added(want, live)) == 0
	default:
		return p.compare()(want, live)
	}
}

// Same tells whether two live values are the same by the property's comparison, whichever way it is asked.
func (p Property) Same(a, b any) bool { return p.compare()(a, b) && p.compare()(b, a) }

// Elements gives a value as a list: nothing is an empty list, and a single value a list of one.
func Elements(v any) []any { return elements(v) }
