// Package schema validates values by the part of JSON Schema (draft 2020-12) that this project's
// schemas use. A whole implementation compiles every draft's metaschema when the program starts,
// which took more than a third of a start.
package schema

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Schema is one schema; keywords that are not listed here are refused by Parse.
type Schema struct {
	Ref         string   `json:"$ref"`
	Type        string   `json:"type"`
	Title       string   `json:"title"`
	Description string   `json:"description"`
	Default     any      `json:"default"`
	Examples    []any    `json:"examples"`
	Enum        []any    `json:"enum"`
	Const       any      `json:"const"`
	MinLength   int      `json:"minLength"`
	Pattern     string   `json:"pattern"`
	MinItems    int      `json:"minItems"`
	UniqueItems bool     `json:"uniqueItems"`
	Minimum     *float64 `json:"minimum"`
	Required    []string `json:"required"`
	Items       *Schema  `json:"items"`

	Properties map[string]*Schema `json:"properties"`
	// Additional is nil where any further property may stand, and a schema with Never where none
	// may.
	Additional *Schema `json:"additionalProperties"`

	AllOf []*Schema `json:"allOf"`
	AnyOf []*Schema `json:"anyOf"`
	Not   *Schema   `json:"not"`
	If    *Schema   `json:"if"`
	Then  *Schema   `json:"then"`
	Else  *Schema   `json:"else"`

	Draft string             `json:"$schema"`
	ID    string             `json:"$id"`
	Defs  map[string]*Schema `json:"$defs"`

	// Never is the schema "false".
	Never bool `json:"-"`

	target  *Schema // of Ref
	pattern *regexp.Regexp
}

// UnmarshalJSON reads a schema; true and false are schemas too.
func (s *Schema) UnmarshalJSON(text []byte) error {
	switch string(bytes.TrimSpace(text)) {
	case "true":
		return nil
	case "false":
		s.Never = true
		return nil
	}
	type plain Schema
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	return d.Decode((*plain)(s))
}

// Parse reads a schema with its definitions.
func Parse(text []byte) (*Schema, error) {
	root := &Schema{}
	if err := json.Unmarshal(text, root); err != nil {
		return nil, fmt.Errorf("schema: %w", err)
	}
	var prepare func(s *Schema) error
	prepare = func(s *Schema) (err error) {
		if s == nil {
			return nil
		}
		if s.Ref != "" {
			name, ok := strings.CutPrefix(s.Ref, "#/$defs/")
			if s.target = root.Defs[name]; !ok || s.target == nil {
				return fmt.Errorf("schema: %s leads nowhere", s.Ref)
			}
		}
		if s.Pattern != "" {
			if s.pattern, err = regexp.Compile(s.Pattern); err != nil {
				return fmt.Errorf("schema: %w", err)
			}
		}
		for _, part := range s.parts() {
			if err := prepare(part); err != nil {
				return err
			}
		}
		return nil
	}
	return root, prepare(root)
}

// parts are the schemas directly within s.
func (s *Schema) parts() []*Schema {
	all := slices.Concat(s.AllOf, s.AnyOf, []*Schema{s.Items, s.Additional, s.Not, s.If, s.Then, s.Else})
	for _, table := range []map[string]*Schema{s.Properties, s.Defs} {
		for _, name := range slices.Sorted(maps.Keys(table)) {
			all = append(all, table[name])
		}
	}
	return all
}

// Resolved follows references; nil for nil.
func (s *Schema) Resolved() *Schema {
	for s != nil && s.target != nil && s.Properties == nil {
		s = s.target
	}
	return s
}

// At is the schema of a value deep in a document: of the key or the element that each token names.
// nil when there is none.
func (s *Schema) At(tokens []string) *Schema {
	s = s.Resolved()
	for _, t := range tokens {
		if s == nil {
			return nil
		}
		switch {
		case s.Properties[t] != nil:
			s = s.Properties[t]
		case s.Items != nil:
			s = s.Items
		case s.Additional != nil && !s.Additional.Never:
			s = s.Additional
		default:
			return nil
		}
		s = s.Resolved()
	}
	return s
}

// PropertyNames lists the properties that s names, sorted.
func (s *Schema) PropertyNames() []string {
	if s == nil {
		return nil
	}
	return slices.Sorted(maps.Keys(s.Properties))
}

// Violation is one keyword that a value does not satisfy.
type Violation struct {
	At      []string // keys and indexes that lead to the value
	Keyword string
	Names   []string // of properties: required and missing, or not known
	Got     any      // the value, or for "type" the name of its type
	Want    []any    // what enum, const or type would take
	Min     int      // of minItems
	// Conditional tells that the keyword stands within allOf, then or else.
	Conditional bool
}

// Validate lists what is wrong with a value as encoding/json or a YAML library gives it. A value
// whose type is wrong, or that is none of the values allowed, is not looked into.
func (s *Schema) Validate(value any) []Violation {
	var out []Violation
	s.validate(value, nil, &out)
	return out
}

func (s *Schema) holds(value any) bool { return len(s.Validate(value)) == 0 }

func (s *Schema) validate(value any, at []string, out *[]Violation) {
	wrong := func(v Violation) {
		v.At = slices.Clone(at)
		*out = append(*out, v)
	}
	conditional := func(part *Schema) {
		before := len(*out)
		part.validate(value, at, out)
		for i := before; i < len(*out); i++ {
			(*out)[i].Conditional = true
		}
	}
	if s.Never {
		wrong(Violation{Keyword: "false"})
		return
	}
	if s.target != nil {
		s.target.validate(value, at, out)
	}
	if got := typeOf(value); s.Type != "" && got != s.Type && (got != "integer" || s.Type != "number") {
		wrong(Violation{Keyword: "type", Got: got, Want: []any{s.Type}})
		return
	}
	same := func(want any) bool { return equal(want, value) }
	if s.Enum != nil && !slices.ContainsFunc(s.Enum, same) {
		wrong(Violation{Keyword: "enum", Got: value, Want: s.Enum})
		return
	}
	if s.Const != nil && !same(s.Const) {
		wrong(Violation{Keyword: "const", Got: value, Want: []any{s.Const}})
		return
	}
	switch v := value.(type) {
	case string:
		if utf8.RuneCountInString(v) < s.MinLength {
			wrong(Violation{Keyword: "minLength", Got: v})
		}
		if s.pattern != nil && !s.pattern.MatchString(v) {
			wrong(Violation{Keyword: "pattern", Got: v})
		}
	case []any:
		if len(v) < s.MinItems {
			wrong(Violation{Keyword: "minItems", Min: s.MinItems})
		}
		if s.UniqueItems && slices.ContainsFunc(v, func(e any) bool {
			return slices.IndexFunc(v, func(o any) bool { return equal(o, e) }) != lastIndex(v, e)
		}) {
			wrong(Violation{Keyword: "uniqueItems"})
		}
		if s.Items != nil {
			for i, e := range v {
				s.Items.validate(e, append(at, strconv.Itoa(i)), out)
			}
		}
	case map[string]any:
		s.object(v, at, wrong, out)
	default:
		if n, ok := number(value); ok && s.Minimum != nil && n < *s.Minimum {
			wrong(Violation{Keyword: "minimum", Got: value, Want: []any{*s.Minimum}})
		}
	}
	for _, part := range s.AllOf {
		conditional(part)
	}
	if s.AnyOf != nil && !slices.ContainsFunc(s.AnyOf, func(part *Schema) bool { return part.holds(value) }) {
		wrong(Violation{Keyword: "anyOf"})
	}
	if s.Not != nil && s.Not.holds(value) {
		wrong(Violation{Keyword: "not"})
	}
	if s.If != nil {
		branch := s.Else
		if s.If.holds(value) {
			branch = s.Then
		}
		if branch != nil {
			conditional(branch)
		}
	}
}

func (s *Schema) object(v map[string]any, at []string, wrong func(Violation), out *[]Violation) {
	var missing, unknown []string
	for _, name := range s.Required {
		if _, ok := v[name]; !ok {
			missing = append(missing, name)
		}
	}
	if missing != nil {
		wrong(Violation{Keyword: "required", Names: missing})
	}
	for _, name := range slices.Sorted(maps.Keys(v)) {
		switch property := s.Properties[name]; {
		case property != nil:
			property.validate(v[name], append(at, name), out)
		case s.Additional == nil:
		case s.Additional.Never:
			unknown = append(unknown, name)
		default:
			s.Additional.validate(v[name], append(at, name), out)
		}
	}
	if unknown != nil {
		wrong(Violation{Keyword: "additionalProperties", Names: unknown})
	}
}

func lastIndex(list []any, e any) int {
	for i, o := range slices.Backward(list) {
		if equal(o, e) {
			return i
		}
	}
	return -1
}

// typeOf is a value's type by JSON Schema's names; a whole number is an integer.
func typeOf(v any) string {
	switch v.(type) {
	case nil:
		return "null"
	case bool:
		return "boolean"
	case string:
		return "string"
	case []any:
		return "array"
	case map[string]any:
		return "object"
	}
	if n, ok := number(v); ok {
		if n == math.Trunc(n) && !math.IsInf(n, 0) {
			return "integer"
		}
		return "number"
	}
	return fmt.Sprintf("%T", v)
}

func number(v any) (float64, bool) {
	switch v := v.(type) {
	case json.Number:
		n, err := v.Float64()
		return n, err == nil
	case float64:
		return v, true
	case float32:
		return float64(v), true
	}
	r := reflect.ValueOf(v)
	switch {
	case !r.IsValid():
		return 0, false
	case r.CanInt():
		return float64(r.Int()), true
	case r.CanUint():
		return float64(r.Uint()), true
	}
	return 0, false
}

func equal(a, b any) bool {
	if x, ok := number(a); ok {
		y, also := number(b)
		return also && x == y
	}
	switch a := a.(type) {
	case []any:
		b, ok := b.([]any)
		return ok && slices.EqualFunc(a, b, equal)
	case map[string]any:
		b, ok := b.(map[string]any)
		return ok && maps.EqualFunc(a, b, equal)
	}
	return reflect.DeepEqual(a, b)
}
