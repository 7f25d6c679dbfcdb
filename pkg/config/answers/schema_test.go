package answers

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/invopop/jsonschema"
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
			if value.Description == "" {
				t.Errorf("%s.%s has no comment for the schema to show", name, p.Key)
			}
			constrain(name+"."+p.Key, value)
		}
	}
	finish("Answers", s)
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

// constrain adds what types cannot express: texts and required lists are not empty, the allowed
// values, and the form of a secret's reference.
func constrain(path string, s *jsonschema.Schema) {
	one := uint64(1)
	switch s.Type {
	case "string":
		s.MinLength = &one
		for _, v := range enumerations[path] {
			s.Enum = append(s.Enum, v)
		}
		if strings.HasSuffix(path, ".password") || strings.HasSuffix(path, ".secret") {
			s.Pattern = `^(prompt|file:.+|env:[A-Za-z_][A-Za-z0-9_]*|keyring:[^/]+/.+)$`
		}
	case "array":
		if path == "Answers.forests" || path == "Forest.domains" {
			s.MinItems = &one
		}
		if s.Items != nil {
			constrain(path+"[]", s.Items)
		}
	}
}
