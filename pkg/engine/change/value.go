package change

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"sort"
	"strings"

	"github.com/hybridge-cli/hybridge/pkg/config/secret"
	"github.com/hybridge-cli/hybridge/pkg/config/sorting"
)

// SecretRef stands for a secret by the place where it is kept: "env:NAME", "file:PATH",
// "keyring:SERVICE/ACCOUNT", "prompt". Plans and journals hold the reference; the secret itself is
// read when the command runs and goes nowhere else.
//
// A secret is never compared: no place returns the one that it has. A property that contains a
// SecretRef is therefore never a reason for a change. It is written when its resource is made, and
// along with an update that other properties of the resource cause.
type SecretRef struct{ Ref string }

// The keys of values that are not plain JSON. No other key of a map begins with a dollar sign: text
// from a server never turns into a reference.
const (
	keyRef        = "$ref"
	keySecret     = "$secret"
	keyUnreadable = "$unreadable"
)

// MarshalJSON writes {"$ref": "CHANGE#PROPERTY"}.
func (r Ref) MarshalJSON() ([]byte, error) {
	return json.Marshal(map[string]string{keyRef: r.String()})
}

func (r Ref) String() string { return r.Change + "#" + r.Property }

// MarshalJSON writes {"$secret": "env:NAME"}.
func (r SecretRef) MarshalJSON() ([]byte, error) {
	return json.Marshal(map[string]string{keySecret: r.String()})
}

// String is the reference. What is not one may be the secret itself, and is redacted.
func (r SecretRef) String() string { return secret.Ref(r.Ref).String() }

// MarshalJSON writes {"$unreadable": true}. The reason stays out: it differs from one read to the
// next.
func (Unreadable) MarshalJSON() ([]byte, error) { return []byte(`{"` + keyUnreadable + `":true}`), nil }

const maxDepth = 32

var errTooDeep = errors.New("nested too deeply")

// normal brings a value into the one form that plans hold: integers as int64, lists of strings as
// []string, other lists as []any, maps as map[string]any.
func normal(v any) (any, error) { return normalize(v, 0) }

func normalize(v any, depth int) (any, error) {
	if depth > maxDepth {
		return nil, errTooDeep
	}
	switch v := v.(type) {
	case nil, bool, string, int64, Ref, Unreadable:
		return v, nil
	case SecretRef:
		if _, err := secret.Parse(v.Ref); err != nil {
			return nil, err
		}
		return v, nil
	case []string:
		return append(make([]string, 0, len(v)), v...), nil
	case []any:
		list := make([]any, len(v))
		for i := range v {
			var err error
			if list[i], err = normalize(v[i], depth+1); err != nil {
				return nil, err
			}
		}
		return narrowed(list), nil
	case Properties:
		return normalize(map[string]any(v), depth)
	case map[string]any:
		m := make(map[string]any, len(v))
		folded := make(map[string]string, len(v))
		for key, element := range v {
			if strings.HasPrefix(key, "$") {
				return nil, fmt.Errorf("a key that begins with a dollar sign (%q) cannot be in a plan", key)
			}
			if twin, twice := folded[fold(key)]; twice {
				return nil, fmt.Errorf("the keys %q and %q are the same", min(twin, key), max(twin, key))
			}
			folded[fold(key)] = key
			var err error
			if m[key], err = normalize(element, depth+1); err != nil {
				return nil, fmt.Errorf("%s: %w", key, err)
			}
		}
		return m, nil
	}
	switch r := reflect.ValueOf(v); r.Kind() {
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32:
		return r.Int(), nil
	case reflect.Uint8, reflect.Uint16, reflect.Uint32:
		return int64(r.Uint()), nil
	case reflect.String: // a named string type
		return r.String(), nil
	}
	return nil, fmt.Errorf("a %T cannot be in a plan", v)
}

// narrowed turns a list of nothing but strings into a []string.
func narrowed(list []any) any {
	texts := make([]string, 0, len(list))
	for _, element := range list {
		text, ok := element.(string)
		if !ok {
			return list
		}
		texts = append(texts, text)
	}
	return texts
}

func normalProperties(p Properties) (Properties, error) {
	if p == nil {
		return nil, nil
	}
	v, err := normal(p)
	if err != nil {
		return nil, err
	}
	return Properties(v.(map[string]any)), nil
}

// Refs lists the references within a value.
func Refs(v any) []Ref { return leaves[Ref](v) }

// Secrets lists the references to secrets within a value.
func Secrets(v any) []SecretRef { return leaves[SecretRef](v) }

// leaves lists the values of one type within a value, those of maps by key.
func leaves[T any](v any) (out []T) {
	switch v := v.(type) {
	case T:
		return []T{v}
	case []any:
		for _, element := range v {
			out = append(out, leaves[T](element)...)
		}
	case Properties:
		return leaves[T](map[string]any(v))
	case map[string]any:
		for _, key := range slices.Sorted(maps.Keys(v)) {
			out = append(out, leaves[T](v[key])...)
		}
	}
	return out
}

// Resolve returns v with every reference replaced by what lookup gives for it.
func Resolve(v any, lookup func(Ref) (any, error)) (any, error) { return replaced(v, lookup) }

// Reveal returns v with every reference to a secret replaced by what resolve gives for it. The
// result goes to the place that runs a command, and nowhere else.
func Reveal(v any, resolve func(SecretRef) (secret.Value, error)) (any, error) {
	return replaced(v, func(r SecretRef) (any, error) {
		value, err := resolve(r)
		return value, err
	})
}

func replaced[T any](v any, with func(T) (any, error)) (any, error) {
	switch v := v.(type) {
	case T:
		return with(v)
	case []any:
		list := make([]any, len(v))
		for i := range v {
			var err error
			if list[i], err = replaced(v[i], with); err != nil {
				return nil, err
			}
		}
		return narrowed(list), nil
	case Properties:
		m, err := replaced(map[string]any(v), with)
		if err != nil {
			return nil, err
		}
		return Properties(m.(map[string]any)), nil
	case map[string]any:
		m := make(map[string]any, len(v))
		for key, element := range v {
			var err error
			if m[key], err = replaced(element, with); err != nil {
				return nil, err
			}
		}
		return m, nil
	default:
		return v, nil
	}
}

// elements gives a value as a list: nothing is an empty one, and a single value a list of one.
func elements(v any) []any {
	switch v := v.(type) {
	case nil:
		return nil
	case []any:
		return v
	case []string:
		list := make([]any, len(v))
		for i := range v {
			list[i] = v[i]
		}
		return list
	case string:
		if v == "" {
			return nil
		}
	}
	return []any{v}
}

// canonical encodes a normalized value: keys sorted, no HTML escapes, no white space.
func canonical(v any) []byte {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		panic(fmt.Sprintf("change: encoding a normalized value: %v", err)) // normal let only encodable values in
	}
	return bytes.TrimRight(b.Bytes(), "\n")
}

func digest(b []byte) string {
	sum := sha256.Sum256(b)
	return "sha256:" + hex.EncodeToString(sum[:])
}

// Fingerprint is a digest of live resources of one kind, in any order: of their identities, their
// names, and the properties that the kind declares. Lists whose order the kind's comparison ignores
// are digested without it.
func Fingerprint(k *Kind, live []Live) (string, error) {
	rows := make([]string, 0, len(live))
	for _, l := range live {
		properties := map[string]any{}
		for name, declared := range k.Properties {
			value, present := l.Properties[name]
			if !present {
				continue
			}
			v, err := normal(value)
			if err != nil {
				return "", fmt.Errorf("%s %q: property %s: %w", k.Noun, l.Name, name, err)
			}
			properties[name] = unordered(v, declared.compare())
		}
		row := map[string]any{"identity": l.Identity, "name": l.Name, "properties": properties}
		rows = append(rows, string(canonical(row)))
	}
	sort.Strings(rows)
	return digest([]byte(strings.Join(rows, "\n"))), nil
}

// unordered sorts a list when compare does not care about its order.
func unordered(v any, compare Comparison) any {
	list := elements(v)
	if len(list) < 2 {
		return v
	}
	if _, scalar := v.(string); scalar {
		return v
	}
	reversed := slices.Clone(list)
	slices.Reverse(reversed)
	if !compare(narrowed(list), narrowed(reversed)) {
		return v
	}
	sorted := slices.Clone(list)
	sorting.Stable(sorted, func(a, b any) int { return bytes.Compare(canonical(a), canonical(b)) })
	return sorted
}

// Normal brings a value into the form that plans hold, or says why it cannot stand in one.
func Normal(v any) (any, error) { return normal(v) }

// Text shows a value to a person: as JSON, or, for one that a plan cannot hold, its type.
func Text(v any) string {
	n, err := normal(v)
	if err != nil {
		return fmt.Sprintf("(a %T)", v)
	}
	return string(canonical(n))
}
