package answers

import (
	"bytes"
	_ "embed"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/hybridge-cli/hybridge/pkg/config/cloud"
	"github.com/hybridge-cli/hybridge/pkg/config/schema"
	"github.com/hybridge-cli/hybridge/pkg/config/spelling"
	"github.com/hybridge-cli/hybridge/templates"
)

// schema.json is generated from the types of this package by its tests (go test -update) and
// committed.
//
//go:embed schema.json.gz
var packedSchema []byte

var schemaJSON = sync.OnceValue(func() []byte { return templates.Unpack(packedSchema) })

// Schema returns the JSON Schema (draft 2020-12) of answers files.
func Schema() []byte { return bytes.Clone(schemaJSON()) }

// enumerations are the values that a key can have, by the schema's definition and property.
var enumerations = map[string][]string{
	"Answers.apiVersion":             {APIVersion},
	"Answers.kind":                   {Kind},
	"Answers.features[]":             texts(append(DefaultFeatures(), CentralizedTransport)),
	"Answers.retire[]":               {string(RetireSharedKeys), string(RetireWorkarounds), string(RetireMRSProxy)},
	"ExchangeOnline.cloud":           cloud.IDs(),
	"ExchangeOnline.richCoexistence": {RichCoexistenceAuto, RichCoexistenceEWS, RichCoexistenceGraph},
	"ExchangeOnline.via":             {ViaAPI, ViaModule, ViaAuto},
	"Exchange.via":                   {ViaRemote, ViaLocal, ViaSnapIn, ViaAuto},
	"Hybrid.state":                   {Leaving},
	"Hybrid.leaveBehind[]":           Remains(),
	"WorkMail.region":                {"us-east-1", "us-west-2", "eu-west-1"},
	"WorkMail.state":                 {Leaving},
	"WorkMail.to":                    {ToExchange, ToExchangeOnline},
	"WorkMail.leaveBehind[]":         ItemKinds(),
	"Lookups.access":                 {AccessOrgWide, AccessPerUser, AccessRelationship},
	"Directory.security":             {SecurityLDAPS, SecurityStartTLS},
	"CheckRule.severity":             {SeverityFail, SeverityWarn},
	"Receiver.kind":                  {NotifyTeams, NotifyWebhook},
	"Credential.kind":                texts(append(slices.Clone(onPremises), online...)),
}

var (
	onPremises = []CredentialKind{CredentialKerberos, CredentialKeytab, CredentialPassword, CredentialBasic,
		CredentialNTLM}
	online = []CredentialKind{CredentialCertificate, CredentialSecret, CredentialDeviceCode,
		CredentialWorkloadIdentity}
)

func texts[S ~string](values []S) []string {
	all := make([]string, len(values))
	for i, v := range values {
		all[i] = string(v)
	}
	return all
}

var compiled = sync.OnceValue(func() *schema.Schema {
	s, err := schema.Parse(schemaJSON())
	if err != nil {
		panic(fmt.Sprintf("answers: schema.json: %v", err)) // embedded and tested
	}
	return s
})

// schemaAt returns the schema of a value deep in a document.
func schemaAt(tokens []string) *schema.Schema { return compiled().At(tokens) }

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

// structure validates value against the schema, turns violations into faults, and takes what
// violates it out of value, so that the rest can be decoded and looked at too. It returns the
// violations that rules has better words for: an editor shows them as they are.
func (v *validation) structure(value any) (left []schema.Violation) {
	for _, violation := range compiled().Validate(value) {
		secret := len(violation.At) > 0 && slices.Contains(secretKeys, violation.At[len(violation.At)-1])
		switch k := violation.Keyword; {
		case violation.Conditional, k == "pattern" && !secret, k == "anyOf", k == "not", k == "uniqueItems":
			left = append(left, violation)
		default:
			v.violation(value, violation)
		}
	}
	return left
}

// secretKeys are the keys of references to secrets.
var secretKeys = []string{"password", "secret", "urlSecret"}

func (v *validation) violation(value any, k schema.Violation) {
	at := k.At
	switch k.Keyword {
	case "additionalProperties":
		for _, name := range k.Names {
			v.unknownKey(slices.Concat(at, []string{name}), schemaAt(at).PropertyNames())
			remove(value, slices.Concat(at, []string{name}))
		}
	case "required":
		for _, name := range k.Names {
			path := slices.Concat(at, []string{name})
			hint := "add " + name
			if about := description(path); about != "" {
				hint += ": " + lowerFirst(about)
			}
			v.faultAt(path, "missing", hint)
		}
	case "type":
		v.wrongType(at, fmt.Sprint(k.Got), asTexts(k.Want))
		remove(value, at)
	case "enum":
		want := asTexts(k.Want)
		for _, c := range credentials { // the schema has one definition for all
			if strings.HasSuffix(render(at), c.at+".kind") {
				want = kinds(c.kinds)
			}
		}
		got := fmt.Sprint(k.Got)
		v.faultAt(at, fmt.Sprintf("%s is not known here", quote(got)), choose(got, want))
		remove(value, at)
	case "const":
		v.faultAt(at, fmt.Sprintf("%s is not known here", quote(fmt.Sprint(k.Got))), fmt.Sprintf("write %v", k.Want[0]))
		remove(value, at)
	case "minLength":
		v.faultAt(at, "empty", "give it a value, or remove the key")
		remove(value, at)
	case "minItems":
		v.faultAt(at, "an empty list", fmt.Sprintf("it needs %d at least", k.Min))
	case "pattern": // only references to secrets have one
		v.plainSecret(at)
		remove(value, at)
	default:
		v.faultAt(at, "not valid here", "compare with: hybridge schema")
		remove(value, at)
	}
}

func asTexts(values []any) []string {
	all := make([]string, len(values))
	for i, v := range values {
		all[i] = fmt.Sprint(v)
	}
	return all
}

func (v *validation) unknownKey(path, known []string) {
	name := path[len(path)-1]
	hint := "known here: " + strings.Join(known, ", ")
	if near, ok := spelling.Nearest(name, known); ok {
		hint = fmt.Sprintf("did you mean %q? %s", near, hint)
	}
	v.keyFault(path, fmt.Sprintf("unknown key %s", quote(name)), hint)
}

func (v *validation) wrongType(at []string, got string, want []string) {
	names := map[string]string{
		"string": "text", "number": "a number", "integer": "a number", "boolean": "a truth value",
		"array": "a list", "object": "a mapping", "null": "nothing",
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
		if known := schemaAt(at).PropertyNames(); len(known) > 0 {
			hint += ": " + strings.Join(known, ", ")
		}
	default:
		hint = "compare with: hybridge schema"
	}
	v.faultAt(at, fmt.Sprintf("%s where %s belongs", names[got], wanted), hint)
}

// remove takes the value at a place out of its mapping; of a list, the element becomes null, which
// decodes to nothing.
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
