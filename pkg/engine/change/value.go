package change

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"reflect"
	"slices"
	"sort"
	"strings"
)

// MarshalJSON writes {"$ref": "CHANGE#PROPERTY"}.
func (r Ref) MarshalJSON() ([]byte, error) {
	return json.Marshal(map[string]string{"$ref": r.String()})
}

func (r Ref) String() string { return r.Change + "#" + r.Property }

// MarshalJSON writes {"$unreadable": true}. The reason stays out: it differs from one read to the next.
func (Unreadable) MarshalJSON() ([]byte, error) { return []byte(`{"$unreadable":true}`), nil }

const maxDepth = 32

// normal brings a value into the one form that plans hold: integers as int64, lists of strings as []string, other lists as
// []any, maps as map[string]any.
func normal(v any) (any, error) { return normalize(v, 0) }

func normalize(v any, depth int) (any, error) {
	if depth > maxDepth {
		return nil, errors.New("nested too deeply")
	}
	switch v := v.(type) {
	case nil, bool, string, int64, Ref, Unreadable:
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
		for key, element := range v {
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
	return nil, fmt.Errorf("a %T cannot stand in a plan", v)
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
func Refs(v any) []Ref {
	var refs []Ref
	walk(v, func(r Ref) { refs = append(refs, r) })
	return refs
}

func walk(v any, visit func(Ref)) {
	switch v := v.(type) {
	case Ref:
		visit(v)
	case []any:
		for _, element := range v {
			walk(element, visit)
		}
	case Properties:
		walk(map[string]any(v), visit)
	case map[string]any:
		for _, key := range slices.Sorted(maps.Keys(v)) {
			walk(v[key], visit)
		}
	}
}

// Resolve returns v with every reference replaced by what lookup gives for it.
func Resolve(v any, lookup func(Ref) (any, error)) (any, error) {
	switch v := v.(type) {
	case Ref:
		return lookup(v)
	case []any:
		list := make([]any, len(v))
		for i := range v {
			var err error
			if list[i], err = Resolve(v[i], lookup); err != nil {
				return nil, err
			}
		}
		return narrowed(list), nil
	case Properties:
		m, err := Resolve(map[string]any(v), lookup)
		if err != nil {
			return nil, err
		}
		return Properties(m.(map[string]any)), nil
	case map[string]any:
		m := make(map[string]any, len(v))
		for key, element := range v {
			var err error
			if m[key], err = Resolve(element, lookup); err != nil {
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

// Fingerprint is a digest of live resources of one kind, in any order: of their identities, their names, and the properties that the
// kind declares. Lists whose order the kind's comparison ignores are digested without it.
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
		rows = append(rows, string(canonical(map[string]any{"identity": l.Identity, "name": l.Name, "properties": properties})))
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
	slices.SortStableFunc(sorted, func(a, b any) int { return bytes.Compare(canonical(a), canonical(b)) })
	return sorted
}

// Encode writes the plan as indented JSON that ends with a newline: the same plan, the same bytes.
func (p Plan) Encode() []byte {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(p); err != nil {
		panic(fmt.Sprintf("change: encoding a plan: %v", err))
	}
	return b.Bytes()
}

// Hash is the digest of the encoded plan: what its journals know it by.
func (p Plan) Hash() string { return digest(p.Encode()) }

// ErrPlan is the class of what Decode finds wrong with a plan file.
var ErrPlan = errors.New("not a usable plan")

// maxPlan is far above any real plan, and far below what would hurt.
const maxPlan = 64 << 20

// Decode reads a plan that Encode wrote, as strictly as a file from elsewhere deserves: another version or kind, unknown keys, anything
// after the document, needs and references that lead nowhere or backwards are errors of class ErrPlan.
func Decode(r io.Reader) (Plan, error) {
	data, err := io.ReadAll(io.LimitReader(r, maxPlan+1))
	if err != nil {
		return Plan{}, fmt.Errorf("read plan: %w", err)
	}
	if len(data) > maxPlan {
		return Plan{}, fmt.Errorf("%w: larger than %d MB", ErrPlan, maxPlan>>20)
	}
	var head struct {
		APIVersion string `json:"apiVersion"`
		Kind       string `json:"kind"`
	}
	if err := json.Unmarshal(data, &head); err != nil { // also when something follows the document
		return Plan{}, fmt.Errorf("%w: %s", ErrPlan, jsonFault(data, err))
	}
	switch {
	case head.Kind != "Plan":
		return Plan{}, fmt.Errorf("%w: its kind is %q, not \"Plan\"", ErrPlan, head.Kind)
	case head.APIVersion != "hybridge/v1":
		return Plan{}, fmt.Errorf("%w: its apiVersion is %q; this hybridge reads \"hybridge/v1\"", ErrPlan, head.APIVersion)
	}
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	var p Plan
	if err := d.Decode(&p); err != nil {
		return Plan{}, fmt.Errorf("%w: %s", ErrPlan, jsonFault(data, err))
	}
	if p.Changes == nil {
		p.Changes = []Change{}
	}
	if err := p.Validate(); err != nil {
		return Plan{}, err
	}
	return p, nil
}

func jsonFault(data []byte, err error) string {
	var syntax *json.SyntaxError
	if errors.As(err, &syntax) {
		line := 1 + bytes.Count(data[:min(int(syntax.Offset), len(data))], []byte("\n"))
		return fmt.Sprintf("line %d: %v", line, err)
	}
	return strings.TrimPrefix(err.Error(), "json: ")
}

// UnmarshalJSON reads properties back as what plans hold: integers as int64, lists of strings as []string, references as Ref.
func (p *Properties) UnmarshalJSON(data []byte) error {
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	var raw map[string]any
	if err := d.Decode(&raw); err != nil {
		return err
	}
	if raw == nil {
		*p = nil
		return nil
	}
	v, err := revived(raw, 0)
	if err != nil {
		return err
	}
	m, ok := v.(map[string]any)
	if !ok {
		return errors.New("a reference stands where properties belong")
	}
	*p = m
	return nil
}

// UnmarshalJSON reads a command back, its parameters as Properties are; unknown keys are errors.
func (c *Command) UnmarshalJSON(data []byte) error {
	var raw struct {
		Name       string     `json:"name"`
		Parameters Properties `json:"parameters"`
		Then       []Command  `json:"then"`
	}
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	if err := d.Decode(&raw); err != nil {
		return err
	}
	c.Name, c.Parameters, c.Then = raw.Name, raw.Parameters, raw.Then
	return nil
}

func revived(v any, depth int) (any, error) {
	if depth > maxDepth {
		return nil, errors.New("nested too deeply")
	}
	switch v := v.(type) {
	case json.Number:
		n, err := v.Int64()
		if err != nil {
			return nil, fmt.Errorf("%s is not a 64-bit integer", v)
		}
		return n, nil
	case []any:
		for i := range v {
			var err error
			if v[i], err = revived(v[i], depth+1); err != nil {
				return nil, err
			}
		}
		return narrowed(v), nil
	case map[string]any:
		if ref, ok := v["$ref"]; ok {
			text, _ := ref.(string)
			at := strings.LastIndexByte(text, '#')
			if len(v) != 1 || at <= 0 || at == len(text)-1 {
				return nil, errors.New(`a reference must read {"$ref": "CHANGE#PROPERTY"}`)
			}
			return Ref{Change: text[:at], Property: text[at+1:]}, nil
		}
		if _, ok := v["$unreadable"]; ok {
			return Unreadable{}, nil
		}
		for key := range v {
			var err error
			if v[key], err = revived(v[key], depth+1); err != nil {
				return nil, fmt.Errorf("%s: %w", key, err)
			}
		}
	}
	return v, nil
}

// Validate tells whether the plan hangs together; its errors are of class ErrPlan. Make's plans do.
func (p Plan) Validate() error {
	seen := map[string]bool{}
	for i, c := range p.Changes {
		fault := func(format string, args ...any) error {
			return fmt.Errorf("%w: change %d (%q): %s", ErrPlan, i+1, c.ID, fmt.Sprintf(format, args...))
		}
		switch {
		case c.ID == "" || c.Target == "" || c.Kind == "":
			return fault("id, target or kind is missing")
		case !strings.HasPrefix(c.ID, c.Target+"/"+c.Kind+"/"):
			return fault("its id does not begin with its target and kind, %s/%s/", c.Target, c.Kind)
		case seen[c.ID]:
			return fault("there twice")
		case c.Command.Name == "":
			return fault("it has no command")
		}
		switch c.Action {
		case Create, Update, Delete:
			if c.Removal != nil {
				return fault("only a replacement has a removal")
			}
		case Recreate:
			if c.Removal == nil || c.Removal.Name == "" {
				return fault("a replacement needs a removal")
			}
		default:
			return fault("unknown action %q", c.Action)
		}
		if c.Action != Create && c.Identity == "" {
			return fault("it does not say what it touches")
		}
		if _, read := p.Live[c.Target+"/"+c.Kind]; !read {
			return fault("the plan has no fingerprint of %s/%s", c.Target, c.Kind)
		}
		for _, need := range c.Needs {
			if !seen[need] {
				return fault("it needs %q, which is no earlier change", need)
			}
		}
		refs := slices.Concat(Refs(c.After), Refs(c.Command.Parameters))
		for _, ref := range refs {
			if !slices.Contains(c.Needs, ref.Change) {
				return fault("it refers to %s without needing it", ref)
			}
		}
		seen[c.ID] = true
	}
	if want := overall(p.Live); p.Fingerprint != want {
		return fmt.Errorf("%w: its fingerprint does not fit what it was made from", ErrPlan)
	}
	return nil
}

func overall(live map[string]string) string {
	m := make(map[string]any, len(live))
	for key, value := range live {
		m[key] = value
	}
	return digest(canonical(m))
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

// Sealed is the plan with the fingerprint that fits its Live.
func (p Plan) Sealed() Plan {
	p.Fingerprint = overall(p.Live)
	return p
}
