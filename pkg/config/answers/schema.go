package answers

import (
	"bytes"
	_ "embed"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/santhosh-tekuri/jsonschema/v6/kind"

	"github.com/hybridge-cli/hybridge/pkg/config/cloud"
)

// schema.json is generated from the types of this package by its tests (go test -update) and committed.
//
//go:embed schema.json
var schemaJSON []byte

// Schema returns the JSON Schema (draft 2020-12) of answers files.
func Schema() []byte { return bytes.Clone(schemaJSON) }

// enumerations are the values that a key can have, by the schema's definition and property.
var enumerations = map[string][]string{
	"Answers.apiVersion":             {APIVersion},
	"Answers.kind":                   {Kind},
	"Answers.features[]":             texts(append(DefaultFeatures(), CentralizedTransport)),
	"ExchangeOnline.cloud":           cloud.IDs(),
	"ExchangeOnline.richCoexistence": {RichCoexistenceAuto, RichCoexistenceEWS, RichCoexistenceGraph},
	"WorkMail.region":                {"us-east-1", "us-west-2", "eu-west-1"},
	"Directory.security":             {SecurityLDAPS, SecurityStartTLS},
	"Credential.kind":                texts(append(slices.Clone(onPremises), online...)),
}

var (
	onPremises = []CredentialKind{CredentialKerberos, CredentialKeytab, CredentialPassword, CredentialBasic, CredentialNTLM}
	online     = []CredentialKind{CredentialCertificate, CredentialSecret, CredentialDeviceCode, CredentialWorkloadIdentity}
)

func texts[S ~string](values []S) []string {
	all := make([]string, len(values))
	for i, v := range values {
		all[i] = string(v)
	}
	return all
}

var compiled = sync.OnceValue(func() *jsonschema.Schema {
	document, err := jsonschema.UnmarshalJSON(bytes.NewReader(schemaJSON))
	if err != nil {
		panic(fmt.Sprintf("answers: schema.json: %v", err)) // embedded and tested
	}
	c := jsonschema.NewCompiler()
	c.UseLoader(refuse{})
	if err := c.AddResource(SchemaURL, document); err != nil {
		panic(fmt.Sprintf("answers: schema.json: %v", err))
	}
	return c.MustCompile(SchemaURL)
})

// refuse loads nothing: the schema is whole, and validation must not read files or the net.
type refuse struct{}

func (refuse) Load(url string) (any, error) { return nil, fmt.Errorf("%s is not embedded", url) }

// schemaAt returns the schema of a value deep in a document.
func schemaAt(tokens []string) *jsonschema.Schema {
	s := compiled()
	for _, t := range tokens {
		s = resolved(s)
		if s == nil {
			return nil
		}
		next := s.Properties[t]
		if next == nil {
			if more, ok := s.AdditionalProperties.(*jsonschema.Schema); ok {
				next = more
			} else {
				next = s.Items2020
			}
		}
		s = next
	}
	return resolved(s)
}

func resolved(s *jsonschema.Schema) *jsonschema.Schema {
	for s != nil && s.Ref != nil && s.Properties == nil {
		s = s.Ref
	}
	return s
}

func propertyNames(s *jsonschema.Schema) []string {
	if s == nil {
		return nil
	}
	names := make([]string, 0, len(s.Properties))
	for name := range s.Properties {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// description is the first sentence of what the schema says of a key.
func description(path []string) string {
	last := len(path) - 1
	parent := schemaAt(path[:last])
	if parent == nil || parent.Properties[path[last]] == nil {
		return ""
	}
	text, _, _ := strings.Cut(parent.Properties[path[last]].Description, ". ")
	return strings.TrimSuffix(text, ".")
}

// structure validates value against the schema, turns every violation into a fault, and takes what violates it out of value, so that the
// rest can be decoded and looked at too.
func (v *validation) structure(value any) {
	err := compiled().Validate(value)
	if err == nil {
		return
	}
	var top *jsonschema.ValidationError
	if !errors.As(err, &top) {
		v.faultAt(nil, "the answers cannot be validated: "+err.Error(), "report this as a bug")
		return
	}
	var walk func(*jsonschema.ValidationError)
	walk = func(e *jsonschema.ValidationError) {
		if len(e.Causes) == 0 {
			v.violation(value, e)
		}
		for _, cause := range e.Causes {
			walk(cause)
		}
	}
	walk(top)
}

func (v *validation) violation(value any, e *jsonschema.ValidationError) {
	at := e.InstanceLocation
	switch k := e.ErrorKind.(type) {
	case *kind.AdditionalProperties:
		for _, name := range k.Properties {
			v.unknownKey(slices.Concat(at, []string{name}), propertyNames(schemaAt(at)))
			remove(value, slices.Concat(at, []string{name}))
		}
	case *kind.Required:
		for _, name := range k.Missing {
			path := slices.Concat(at, []string{name})
			hint := "add " + name
			if about := description(path); about != "" {
				hint += ": " + lowerFirst(about)
			}
			v.faultAt(path, "missing", hint)
		}
	case *kind.Type:
		v.wrongType(at, k.Got, k.Want)
		remove(value, at)
	case *kind.Enum:
		want := make([]string, 0, len(k.Want))
		for _, w := range k.Want {
			want = append(want, fmt.Sprint(w))
		}
		for _, c := range credentials { // the schema has one definition for all
			if strings.HasSuffix(render(at), c.at+".kind") {
				want = kinds(c.kinds)
			}
		}
		got := fmt.Sprint(k.Got)
		v.faultAt(at, fmt.Sprintf("%s is not known here", quote(got)), choose(got, want))
		remove(value, at)
	case *kind.Const:
		v.faultAt(at, fmt.Sprintf("%s is not known here", quote(fmt.Sprint(k.Got))), fmt.Sprintf("write %v", k.Want))
		remove(value, at)
	case *kind.MinLength:
		v.faultAt(at, "empty", "give it a value, or remove the key")
		remove(value, at)
	case *kind.MinItems:
		v.faultAt(at, "an empty list", fmt.Sprintf("it needs %d at least", k.Want))
	case *kind.Pattern: // only references to secrets have one
		v.plainSecret(at)
		remove(value, at)
	default:
		v.faultAt(at, "not valid here", "compare with: hybridge schema")
		remove(value, at)
	}
}

func (v *validation) unknownKey(path, known []string) {
	name := path[len(path)-1]
	hint := "known here: " + strings.Join(known, ", ")
	if near, ok := nearest(name, known); ok {
		hint = fmt.Sprintf("did you mean %q? %s", near, hint)
	}
	v.keyFault(path, fmt.Sprintf("unknown key %s", quote(name)), hint)
}

func (v *validation) wrongType(at []string, got string, want []string) {
	names := map[string]string{
		"string": "text", "number": "a number", "integer": "a number", "boolean": "a truth value", "array": "a list", "object": "a mapping", "null": "nothing",
	}
	wanted := "something else"
	if len(want) > 0 {
		wanted = names[want[0]]
	}
	hint := ""
	switch {
	case wanted == "text" && (got == "number" || got == "boolean" || got == "integer"):
		hint = "put it in quotes"
	case wanted == "text" && got == "array":
		hint = "give one value, not a list"
	case wanted == "a list":
		hint = "write it as a list: [a, b], or one \"- a\" a line"
	case wanted == "a mapping":
		hint = "write its keys below it, indented"
		if known := propertyNames(schemaAt(at)); len(known) > 0 {
			hint += ": " + strings.Join(known, ", ")
		}
	default:
		hint = "compare with: hybridge schema"
	}
	v.faultAt(at, fmt.Sprintf("%s where %s belongs", names[got], wanted), hint)
}

// remove takes the value at a place out of its mapping; of a list, the element becomes null, which decodes to nothing.
func remove(value any, at []string) {
	for i, t := range at {
		last := i == len(at)-1
		switch container := value.(type) {
		case map[string]any:
			if last {
				delete(container, t)
				return
			}
			value = container[t]
		case []any:
			n := 0
			if _, err := fmt.Sscan(t, &n); err != nil || n >= len(container) {
				return
			}
			if last {
				container[n] = nil
				return
			}
			value = container[n]
		default:
			return
		}
	}
}

func lowerFirst(s string) string {
	if len(s) > 1 && s[1] >= 'a' && s[1] <= 'z' || len(s) > 1 && s[1] == ' ' {
		return strings.ToLower(s[:1]) + s[1:]
	}
	return s
}
