package answers

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"go.yaml.in/yaml/v4"

	"github.com/hybridge-cli/hybridge/pkg/config/schema"
)

// editor is the schema as an editor applies it, by an implementation of all of JSON Schema, and by
// ours.
func editor(t *testing.T) func(text string) (library, ours bool) {
	t.Helper()
	document, err := jsonschema.UnmarshalJSON(bytes.NewReader(Schema()))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource("https://example.com/answers.json", document); err != nil {
		t.Fatal(err)
	}
	theirs, err := c.Compile("https://example.com/answers.json")
	if err != nil {
		t.Fatal(err)
	}
	mine, err := schema.Parse(Schema())
	if err != nil {
		t.Fatal(err)
	}
	return func(text string) (bool, bool) {
		var value any
		if err := yaml.Unmarshal([]byte(text), &value); err != nil {
			return false, false // red for another reason
		}
		return theirs.Validate(value) == nil, len(mine.Validate(value)) == 0
	}
}

// onlyHere are the damages that no schema can see: they compare values with each other, or are
// about characters and the form of the text.
var onlyHere = []string{
	"two forests, one name", "two forests, one domain", "two forests, one autodiscover", "two forests, one EWS",
	"two forests, one mail host", "two forests, one certificate", "domain twice", "tenant's domain", "one mailbox",
	"merge key", "escape sequence", "escaped escape sequence", "hidden text", "Windows path with what is an escape",
	"tab", "tag", "unknown scope", "check twice", "no day of a month", "host URL", "placeholder", "second document",
	"duplicate key",
}

// An editor with the schema is red where hybridge refuses an answers file.
func TestAnEditorIsRedWhereHybridgeIs(t *testing.T) {
	fits := editor(t)
	if library, ours := fits(good); !library || !ours {
		t.Fatalf("the good file is red: %t, %t", library, ours)
	}
	for _, d := range damages {
		library, ours := fits(damaged(t, d.name, d.old, d.new))
		if library != ours {
			t.Errorf("%s: the library says %t, we say %t", d.name, library, ours)
		}
		if blind := slices.Contains(onlyHere, d.name); library && !blind {
			t.Errorf("%s: an editor is not red", d.name)
		}
	}
}

// An editor is never red where hybridge takes the file: for every template that is filled in, and
// for every form that a value may have.
func TestAnEditorIsNotRedWithoutReason(t *testing.T) {
	fits := editor(t)
	texts := map[string]string{"the example": Example}
	files, err := filepath.Glob("testdata/*.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		data, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		texts[f] = string(data)
	}
	for _, change := range [][2]string{
		{"domains: [fabrikam.example]", "domains: [BÜCHER.fabrikam.example., a-b.C0.example]"},
		{"server: ex1.contoso.com", "server: '2001:db8::1'"}, {"server: ex1.contoso.com", "server: EX1"},
		{"dc1.contoso.com:636", "'[2001:db8::1]:636'"}, {"dc1.contoso.com:636", "10.0.0.1"},
		{"dc1.contoso.com:636", "'2001:db8::1'"}, {"dc1.contoso.com:636", "dc1.contoso.com:0636"},
		{"https://ex1.fabrikam.example/PowerShell/", "https://[2001:db8::1]:8443/PowerShell"},
		{"mail.contoso.com:443=10.0.0.4:443", ":443=a:1"},
		{"Contoso.onmicrosoft.com", "contoso-1.ONMICROSOFT.com"}, {"6F4F1C9A-58a5-4bb2-9c08-7b9c7d3d2f10",
			"'{6F4F1C9A-58a5-4bb2-9c08-7b9c7d3d2f10}'"},
		{"anna@contoso.com", "o'neill+x@contoso.com"}, {"file:app.pfx", "../keys/app.pfx"},
		{"file:app.pfx", "'C:\\certs\\app.pfx'"},
	} {
		if !strings.Contains(good, change[0]) {
			t.Fatalf("the good file has no %q", change[0])
		}
		texts[change[1]] = strings.Replace(good, change[0], change[1], 1)
	}
	for name, text := range texts {
		if _, err := Parse(name, []byte(text)); err != nil {
			if !strings.HasPrefix(name, "testdata") {
				t.Errorf("%s: hybridge refuses it: %v", name, err)
			}
			continue
		}
		if library, ours := fits(text); !library || !ours {
			t.Errorf("%s: red without a reason (library %t, ours %t)", name, !library, !ours)
		}
	}
}
