package schema_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/santhosh-tekuri/jsonschema/v6/kind"
	"go.yaml.in/yaml/v4"

	"github.com/hybridge-cli/hybridge/pkg/config/answers"
	"github.com/hybridge-cli/hybridge/pkg/config/schema"
)

// violations are what this package finds, one a line.
func violations(s *schema.Schema, value any) []string {
	out := []string{}
	for _, v := range s.Validate(value) {
		switch v.Keyword {
		case "anyOf", "not": // the library names what is within
			continue
		}
		out = append(out, strings.Join(v.At, "/")+" "+v.Keyword)
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// reference is what an independent implementation finds.
func reference(t *testing.T, s *jsonschema.Schema, value any) []string {
	t.Helper()
	out := []string{}
	err := s.Validate(value)
	var top *jsonschema.ValidationError
	if err != nil && !errors.As(err, &top) {
		t.Fatal(err)
	}
	var walk func(e *jsonschema.ValidationError)
	walk = func(e *jsonschema.ValidationError) {
		keyword := "false"
		switch e.ErrorKind.(type) {
		case *kind.AnyOf, *kind.Not:
			return
		case *kind.FalseSchema:
		default:
			if path := e.ErrorKind.KeywordPath(); len(path) > 0 {
				keyword = path[len(path)-1]
			}
		}
		if len(e.Causes) == 0 {
			out = append(out, strings.Join(e.InstanceLocation, "/")+" "+keyword)
		}
		for _, c := range e.Causes {
			walk(c)
		}
	}
	if top != nil {
		walk(top)
	}
	slices.Sort(out)
	return slices.Compact(out)
}

func both(t *testing.T, text []byte) (*schema.Schema, *jsonschema.Schema) {
	t.Helper()
	ours, err := schema.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	document, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource("https://example.com/s.json", document); err != nil {
		t.Fatal(err)
	}
	theirs, err := c.Compile("https://example.com/s.json")
	if err != nil {
		t.Fatal(err)
	}
	return ours, theirs
}

// mutate changes one place of a value: it goes, or becomes something else.
func mutate(r *rand.Rand, v any) any {
	odd := []any{nil, true, "", "x", 3, 1.5, []any{}, []any{"a", 7}, map[string]any{}, map[string]any{"unknown": 1}}
	switch v := v.(type) {
	case map[string]any:
		names := make([]string, 0, len(v))
		for k := range v {
			names = append(names, k)
		}
		slices.Sort(names)
		switch n := r.IntN(10); {
		case n == 0 || len(names) == 0:
			v[fmt.Sprintf("added%d", r.IntN(3))] = odd[r.IntN(len(odd))]
		case n == 1:
			delete(v, names[r.IntN(len(names))])
		default:
			k := names[r.IntN(len(names))]
			v[k] = mutate(r, v[k])
		}
		return v
	case []any:
		if len(v) > 0 && r.IntN(4) > 0 {
			i := r.IntN(len(v))
			v[i] = mutate(r, v[i])
			return v
		}
	}
	return odd[r.IntN(len(odd))]
}

// The answers' schema gives the same verdict on 3,000 damaged files as the library that implements
// all of JSON Schema.
func TestAgreesWithAWholeImplementation(t *testing.T) {
	ours, theirs := both(t, answers.Schema())
	r := rand.New(rand.NewPCG(1, 2))
	wrong := 0
	for range 3000 {
		var value any
		if err := yaml.Unmarshal([]byte(answers.Example), &value); err != nil {
			t.Fatal(err)
		}
		for range 1 + r.IntN(3) {
			value = mutate(r, value)
		}
		got, want := violations(ours, value), reference(t, theirs, value)
		if len(want) > 0 {
			wrong++
		}
		if diff := cmp.Diff(want, got); diff != "" {
			text, _ := json.Marshal(value)
			t.Fatalf("%s (-library +ours):\n%s", text, diff)
		}
	}
	if wrong < 2000 {
		t.Errorf("only %d of 3000 are damaged", wrong)
	}
}

func TestKeywords(t *testing.T) {
	for _, test := range []struct{ schema, fits, not string }{
		{`{"type":"number","minimum":2}`, `2.5`, `1`},
		{`{"type":"integer"}`, `2.0`, `2.5`},
		{`{"const":1}`, `1.0`, `"1"`},
		{`{"enum":[null,"a",[1]]}`, `[1]`, `[2]`},
		{`{"pattern":"^a"}`, `7`, `"b"`},
		{`{"uniqueItems":true}`, `["a","b",1]`, `["a",1.0,1]`},
		{`{"minLength":2}`, `"éé"`, `"é"`},
		{`{"items":{"type":"string"},"minItems":1}`, `["a"]`, `[]`},
		{`{"additionalProperties":{"type":"boolean"}}`, `{"a":true}`, `{"a":1}`},
		{`{"properties":{"a":false}}`, `{}`, `{"a":1}`},
		{`{"properties":{"a":true},"additionalProperties":false}`, `{"a":1}`, `{"b":1}`},
		{`{"if":{"properties":{"k":{"const":"x"}},"required":["k"]},"then":{"required":["a"]},"else":{"required":["b"]}}`, `{"k":"x","a":1}`, `{"k":"y","a":1}`},
		{`{"allOf":[{"required":["a"]},{"required":["b"]}]}`, `{"a":1,"b":1}`, `{"a":1}`},
		{`{"anyOf":[{"type":"string"},{"type":"null"}]}`, `null`, `1`},
		{`{"not":{"type":"string"}}`, `1`, `"a"`},
		{`{"$ref":"#/$defs/n","$defs":{"n":{"properties":{"next":{"$ref":"#/$defs/n"}},"required":["v"]}}}`,
			`{"v":1,"next":{"v":2}}`, `{"v":1,"next":{}}`},
	} {
		ours, theirs := both(t, []byte(test.schema))
		for text, want := range map[string]bool{test.fits: true, test.not: false} {
			value, err := jsonschema.UnmarshalJSON(strings.NewReader(text))
			if err != nil {
				t.Fatal(err)
			}
			if got, they := len(ours.Validate(value)) == 0, theirs.Validate(value) == nil; got != want || they != want {
				t.Errorf("%s, %s: %t, the library says %t", test.schema, text, got, they)
			}
		}
	}
	for _, text := range []string{`{"oneOf":[]}`, `{"$ref":"#/$defs/absent"}`, `{"$ref":"other.json"}`,
		`{"pattern":"("}`, `[]`} {
		if _, err := schema.Parse([]byte(text)); err == nil {
			t.Errorf("%s is taken", text)
		}
	}
}

func TestAt(t *testing.T) {
	s, err := schema.Parse(answers.Schema())
	if err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{"": "forests", "forests/0": "namespace",
		"forests/3/directory/bind": "kind", "forests/0/nothing/here": ""} {
		var at []string
		if path != "" {
			at = strings.Split(path, "/")
		}
		names := s.At(at).PropertyNames()
		if want == "" && names != nil || want != "" && !slices.Contains(names, want) {
			t.Errorf("%s: %v", path, names)
		}
	}
}
