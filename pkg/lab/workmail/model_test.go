package workmail

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"regexp"
	"slices"
	"testing"

	"github.com/hybridge-cli/hybridge/templates"
)

var update = flag.Bool("update", false, "make model.json from the API model beside the checkout")

const source = "../../../../shared/reference/workmail-model.json"

// TestModelIsCurrent compares the embedded part of the API model with the model.
func TestModelIsCurrent(t *testing.T) {
	data, err := os.ReadFile(source)
	if os.IsNotExist(err) {
		t.Skip("the API model does not lie beside the checkout")
	}
	if err != nil {
		t.Fatal(err)
	}
	type reference struct {
		Shape string `json:"shape"`
	}
	var full struct {
		Operations map[string]struct {
			Input, Output reference
			Errors        []reference
		} `json:"operations"`
		Shapes map[string]struct {
			Type     string
			Members  map[string]reference
			Member   reference
			Required []string
			Min, Max *float64
			Pattern  string
			Enum     []string
		} `json:"shapes"`
	}
	if err := json.Unmarshal(data, &full); err != nil {
		t.Fatal(err)
	}
	part := model{Operations: map[string]operationModel{}, Shapes: map[string]*shape{}}
	var take func(name string)
	take = func(name string) {
		if name == "" || part.Shapes[name] != nil {
			return
		}
		from := full.Shapes[name]
		s := &shape{Type: from.Type, Required: from.Required, Element: from.Member.Shape, Min: from.Min, Max: from.Max,
			Pattern: from.Pattern, Enum: from.Enum}
		part.Shapes[name] = s
		take(s.Element)
		for member, of := range from.Members {
			if s.Members == nil {
				s.Members = map[string]string{}
			}
			s.Members[member] = of.Shape
			take(of.Shape)
		}
	}
	for name := range operations {
		from, known := full.Operations[name]
		if !known {
			t.Errorf("the API has no operation %s", name)
		}
		o := operationModel{Input: from.Input.Shape, Output: from.Output.Shape}
		take(o.Input)
		take(o.Output)
		for _, e := range from.Errors {
			o.Errors = append(o.Errors, e.Shape)
		}
		slices.Sort(o.Errors)
		part.Operations[name] = o
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", " ")
	if err := e.Encode(part); err != nil {
		t.Fatal(err)
	}
	if *update {
		if err := os.WriteFile("model.json", b.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if !bytes.Equal(b.Bytes(), templates.Unpack(modelGzip)) {
		t.Error("model.json is not the model's; run go test ./pkg/lab/workmail -run TestModelIsCurrent -update")
	}
}

// TestPatterns compiles every pattern of the model.
func TestPatterns(t *testing.T) {
	for name, s := range theModel().Shapes {
		if s.Pattern == "" {
			continue
		}
		func() {
			defer func() {
				if r := recover(); r != nil {
					t.Errorf("%s: %v", name, r)
				}
			}()
			s.form()
		}()
	}
}

// TestCheck judges values by the model.
func TestCheck(t *testing.T) {
	id := "m-0123456789abcdef0123456789abcdef"
	for _, tt := range []struct {
		name, shape string
		value       any
		ok          bool
	}{
		{"an id", "OrganizationId", id, true},
		{"an id with a letter too many", "OrganizationId", id + "0", false},
		{"an alias", "OrganizationName", "contoso", true},
		{"an alias like a directory", "OrganizationName", "d-contoso", false},
		{"an address", "EmailAddress", "bob@contoso.example", true},
		{"an apostrophe", "EmailAddress", "o'neil@contoso.example", false},
		{"a password", "Password", "pässword", true},
		{"a password beyond Latin-1", "Password", "pąssword", false},
		{"a URL without a path", "Url", "https://mail.contoso.example", false},
		{"a URL", "Url", "https://mail.contoso.example/EWS/Exchange.asmx", true},
		{"no member", "DescribeOrganizationRequest", map[string]any{}, false},
		{"an unknown member", "DescribeOrganizationRequest", map[string]any{"OrganizationId": id, "X": "y"}, false},
		{"a number for a text", "DescribeOrganizationRequest", map[string]any{"OrganizationId": 7.0}, false},
		{"too many results", "ListUsersRequest", map[string]any{"OrganizationId": id, "MaxResults": 101.0}, false},
	} {
		if err := theModel().check(tt.shape, tt.value, "value"); (err == nil) != tt.ok {
			t.Errorf("%s: %v", tt.name, err)
		}
	}
	if regexp.MustCompile("documentation").Match(templates.Unpack(modelGzip)) {
		t.Error("model.json holds documentation")
	}
}
