package answers

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/invopop/jsonschema"
	"go.yaml.in/yaml/v4"

	"github.com/hybridge-cli/hybridge/pkg/config/cloud"
)

var update = flag.Bool("update", false, "rewrite schema.json and the golden files")

// TestSchema compares schema.json with the types that it is generated from.
func TestSchema(t *testing.T) {
	want := generateSchema(t)
	if *update {
		if err := os.WriteFile("schema.json", want, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if diff := cmp.Diff(string(want), string(Schema())); diff != "" {
		t.Errorf("schema.json is not what the types say; run go test ./pkg/config/answers -update (-want +got):\n%s",
			diff)
	}
}

func generateSchema(t *testing.T) []byte {
	t.Helper()
	r := jsonschema.Reflector{ExpandedStruct: true, BaseSchemaID: "https://example.com"}
	if err := r.AddGoComments("github.com/hybridge-cli/hybridge/pkg/config/answers", "./",
		jsonschema.WithFullComment()); err != nil {
		t.Fatal(err)
	}
	for k := range r.CommentMap { // types are described where they are used
		if !strings.Contains(strings.TrimPrefix(k, "github.com/hybridge-cli/hybridge/pkg/config/answers."), ".") {
			delete(r.CommentMap, k)
		} else {
			r.CommentMap[k] = strings.Join(strings.Fields(r.CommentMap[k]), " ")
		}
	}
	s := r.Reflect(Answers{})
	s.ID, s.Title = SchemaURL, "hybridge answers"
	finish := func(name string, def *jsonschema.Schema) {
		for p := def.Properties.Oldest(); p != nil; p = p.Next() {
			value := p.Value
			if q, ok := asks(name, p.Key); ok {
				value.Title, value.Description = q.Label, q.about()
				value.Examples = examples(q)
			}
			if tag := exampleTag(name, p.Key); value.Examples == nil && tag != "" {
				var example any
				if err := yaml.Unmarshal([]byte(tag), &example); err != nil {
					t.Fatalf("%s.%s: %v", name, p.Key, err)
				}
				value.Examples = []any{example}
			}
			if value.Description == "" {
				t.Errorf("%s.%s has no comment for the schema to show", name, p.Key)
			}
			constrain(name+"."+p.Key, value)
		}
	}
	finish("Answers", s)
	conditions(t, s)
	for name, def := range s.Definitions {
		if def.Properties != nil {
			finish(name, def)
		}
	}
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	if err := encoder.Encode(s); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// asks returns the question that asks for a property. Types that stand in several places have none.
func asks(definition, property string) (Question, bool) {
	for _, p := range parts {
		if p.of.Name() == definition && p.id != "certificate" && p.id != "credential" && p.id != "pair" {
			return questionFor(strings.TrimPrefix(p.at+"."+property, "."))
		}
	}
	return Question{}, false
}

func examples(q Question) []any {
	switch {
	case q.Example == "":
		return nil
	case q.Kind == ListAnswer || q.Kind == ManyAnswer:
		return []any{[]string{q.Example}}
	}
	return []any{q.Example}
}

// exampleTag is the example of a field that no question asks for.
func exampleTag(definition, property string) string {
	for _, p := range parts {
		for i := range p.of.NumField() {
			f := p.of.Field(i)
			if name, _, _ := strings.Cut(f.Tag.Get("json"), ","); p.of.Name() == definition && name == property {
				return f.Tag.Get("example")
			}
		}
	}
	return ""
}

// The forms of values. They are never stricter than the rules in names.go: an editor may miss a
// fault, and shows none where there is none.
const (
	domainForm  = `^[^\s/\\@:*<>]+\.[^\s/\\@:*<>]+$`
	guidPattern = `^\{?[0-9A-Fa-f]{8}-([0-9A-Fa-f]{4}-){3}[0-9A-Fa-f]{12}\}?$`
	portForm    = `0*(6553[0-5]|655[0-2][0-9]|65[0-4][0-9]{2}|6[0-4][0-9]{3}|[1-5][0-9]{4}|[1-9][0-9]{0,3})`
	hostForm    = `([^\s/\\@:<>]+|\[?[0-9A-Fa-f:.]+\]?)`
	urlForm     = `^https?://[^\s/?#@<>]+(/[^\s?#]*)?$`
	checkForm   = `^[a-z0-9-]+\.[a-z0-9.-]+$`
	dateForm    = `^[0-9]{4}-[0-9]{2}-[0-9]{2}$`
	ruleForm    = `^\S([^\x00-\x1f\x7f]{0,62}\S)?$`
	addressForm = `^[^\s@<>()\[\],;:\\"]+@[^\s/\\@:*<>]+\.[^\s/\\@:*<>]+$`
)

// patterns are the forms of texts, by the schema's definition and property.
var patterns = map[string]string{
	"ExchangeOnline.tenant": domainForm, "ExchangeOnline.coexistenceDomain": domainForm,
	"Directory.domain": domainForm, "Namespace.autodiscover": domainForm, "Namespace.ews": domainForm,
	"Namespace.smtp": domainForm, "Forest.domains[]": domainForm, "Forest.applicationId": guidPattern,
	"Forest.name":  `^[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?$`,
	"Exchange.url": urlForm, "Network.proxy": urlForm, "Pair.from": addressForm, "Pair.to": addressForm,
	"Exchange.server": "^" + hostForm + "$", "Forest.edge[]": "^" + hostForm + "$",
	"Exchange.builds[]":    `^([^\s=]+=)?[0-9]{1,5}(\.[0-9]{1,5}){3}$`,
	"CopyRules.toTenant[]": ruleForm, "CopyRules.toForest[]": ruleForm,
	"Network.insecureHosts[]": "^" + hostForm + "$", "Network.ehloName": "^" + hostForm + "$",
	"Directory.servers[]": "^" + hostForm + "(:" + portForm + ")?$",
	"Network.resolvers[]": "^" + hostForm + "(:" + portForm + ")?$",
	"Hybrid.filtered[]":   domainForm,
	"WorkMail.directory":  DirectoryForm,
	"Receiver.url":        `^https://[^\s/?#@<>]+(/[^\s?#]*)?$`,
	"CheckRule.id":        checkForm, "CheckRule.expires": dateForm,
	"Network.connectTo[]": `^[^\s=]*:[0-9]*=[^\s=]+:` + portForm + "$",
}

// notPaths are texts that are no path of a file.
var notPaths = map[string]any{"pattern": `^(file:)?~|^(env|keyring|https?):|^file:$`}

// constrain adds what types cannot express: texts and required lists are not empty, the allowed
// values, their forms, what applies without them, and the form of a secret's reference.
func constrain(path string, s *jsonschema.Schema) {
	one := uint64(1)
	switch s.Type {
	case "string":
		s.MinLength = &one
		for _, v := range enumerations[path] {
			s.Enum = append(s.Enum, v)
		}
		s.Pattern = patterns[path]
		if strings.HasSuffix(path, ".password") || strings.HasSuffix(path, ".secret") ||
			strings.HasSuffix(path, ".urlSecret") {
			s.Pattern = `^(prompt|file:.+|env:[A-Za-z_][A-Za-z0-9_]*|keyring:[^/]+/.+)$`
		}
		switch {
		case strings.HasSuffix(path, ".pfx"), path == "Network.caFile":
			s.Extras = map[string]any{"not": notPaths}
		case path == "Forest.name":
			s.Extras = map[string]any{"not": map[string]any{"enum": []string{"online", "entra", "workmail"}}}
		}
	case "array":
		if path == "Answers.forests" || path == "Forest.domains" {
			s.MinItems = &one
		}
		if s.Items != nil {
			s.UniqueItems = s.Items.Type == "string"
			constrain(path+"[]", s.Items)
		}
	}
	switch path {
	case "Directory.security":
		s.Default = SecurityLDAPS
	case "ExchangeOnline.richCoexistence":
		s.Default = RichCoexistenceAuto
	case "Answers.features":
		s.Default = DefaultFeatures()
	}
}

// object is a part of a schema.
type object = map[string]any

func is(key string, values ...any) object {
	return object{"properties": object{key: object{"enum": values}}, "required": []string{key}}
}

// conditions adds the rules that tie keys together.
func conditions(t *testing.T, s *jsonschema.Schema) {
	t.Helper()
	s.Extras = object{"anyOf": []object{{"required": []string{"exchangeOnline"}}, {"required": []string{"workmail"}}}}
	at := func(definition, key string) *jsonschema.Schema {
		property, ok := s.Definitions[definition].Properties.Get(key)
		if !ok {
			t.Fatalf("%s has no %s", definition, key)
		}
		return property
	}
	fields := []string{"user", "password", "keytab", "ticketCache", "krb5Config", "clientId", "pfx", "secret"}
	for _, c := range credentials {
		parent, key, _ := strings.Cut(c.at, ".")
		definition := map[string]string{"directory": "Directory", "exchange": "Exchange",
			"exchangeOnline": "ExchangeOnline", "workmail": "WorkMail"}[parent]
		var all []object
		var known []any
		for _, kind := range kinds(c.kinds) {
			rule := c.kinds[CredentialKind(kind)]
			known = append(known, kind)
			then := object{}
			if rule.needs != nil {
				then["required"] = rule.needs
			}
			properties := object{}
			for _, f := range fields {
				if !slices.Contains(rule.needs, f) && !slices.Contains(rule.may, f) {
					properties[f] = false
				}
			}
			if len(c.kinds) > 1 && properties["clientId"] == nil {
				properties["clientId"] = object{"pattern": guidPattern}
			}
			then["properties"] = properties
			all = append(all, object{"if": is("kind", kind), "then": then})
		}
		all = append(all, object{"properties": object{"kind": object{"enum": known}}})
		at(definition, key).Extras = object{"allOf": all}
	}
	s.Definitions["Directory"].Extras = object{"anyOf": []object{{"required": []string{"domain"}},
		{"required": []string{"servers"}}}}
	s.Definitions["Exchange"].Extras = object{"allOf": []object{{
		"if": object{"properties": object{"credential": is("kind", CredentialBasic)},
			"required": []string{"credential"}},
		"then": object{"properties": object{"url": object{"pattern": "^https://"}}, "required": []string{"url"}},
	}}}
	acknowledgement := []string{"reason", "owner", "expires"}
	none := object{}
	for _, key := range acknowledgement {
		none[key] = false
	}
	s.Definitions["CheckRule"].Extras = object{"anyOf": []object{
		{"required": []string{"severity"}, "properties": none},
		{"required": acknowledgement, "properties": object{"severity": false}},
	}}
	s.Definitions["Receiver"].Extras = object{
		"anyOf": []object{{"required": []string{"url"}, "properties": object{"urlSecret": false}},
			{"required": []string{"urlSecret"}, "properties": object{"url": false}}},
		"allOf": []object{{"if": is("kind", NotifyTeams), "then": object{"required": []string{"urlSecret"}}}},
	}
	hosts := object{}
	for _, name := range cloud.KeyNames() {
		hosts[name] = object{"type": "string"}
	}
	at("ExchangeOnline", "hosts").AdditionalProperties = nil
	at("ExchangeOnline", "hosts").Extras = object{"properties": hosts, "additionalProperties": false}
	var all []object
	for _, c := range cloud.All() {
		properties := object{}
		if !c.GraphCoexistence {
			properties["richCoexistence"] = object{"enum": []string{RichCoexistenceAuto, RichCoexistenceEWS}}
		}
		var others []string
		for _, other := range cloud.All() {
			if other.CoexistenceSuffix != "" {
				others = append(others, regexp.QuoteMeta("."+other.CoexistenceSuffix))
			}
			if other.InitialSuffix != "" && !c.MayHold("x."+other.InitialSuffix) {
				others = append(others, regexp.QuoteMeta("."+other.InitialSuffix))
			}
		}
		slices.Sort(others)
		properties["tenant"] = object{"not": object{"pattern": "(" + strings.Join(slices.Compact(others), "|") + ")$"}}
		then := object{"properties": properties}
		if c.InitialSuffix == "" {
			then["required"] = []string{"coexistenceDomain"}
		}
		all = append(all, object{"if": is("cloud", c.ID), "then": then})
	}
	s.Definitions["ExchangeOnline"].Extras = object{"allOf": all}
}
