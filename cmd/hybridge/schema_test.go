package main

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/invopop/jsonschema"
	validator "github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/hybridge-cli/hybridge/pkg/engine/apply"
	"github.com/hybridge-cli/hybridge/pkg/engine/change"
	"github.com/hybridge-cli/hybridge/pkg/engine/check"
	"github.com/hybridge-cli/hybridge/pkg/engine/fleet"
	"github.com/hybridge-cli/hybridge/pkg/engine/msg"
	"github.com/hybridge-cli/hybridge/pkg/engine/notify"
	"github.com/hybridge-cli/hybridge/pkg/engine/observe"
	"github.com/hybridge-cli/hybridge/pkg/engine/report"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/deployment"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/freebusy"
	"github.com/hybridge-cli/hybridge/wizard/stage"
)

var update = flag.Bool("update", false, "rewrite templates/schemas")

// schemaSources are the packages whose comments describe the fields of documents.
var schemaSources = []string{
	"cmd/hybridge", "pkg/engine/check", "pkg/engine/change", "pkg/engine/apply", "pkg/engine/observe",
	"pkg/engine/report", "pkg/engine/fleet", "pkg/engine/notify", "pkg/hybrid/freebusy",
	"pkg/hybrid/snapshot",
}

// TestSchemas compares templates/schemas with the types that they are generated from.
func TestSchemas(t *testing.T) {
	comments := schemaComments(t)
	known := map[string]bool{}
	for _, p := range published {
		if p.name == "answers" { // by its own package
			continue
		}
		known[p.name+".json"] = true
		file := filepath.Join("templates", "schemas", p.name+".json")
		want := generateSchema(t, comments, p.name, true)
		if *update {
			if err := os.WriteFile(file, want, 0o644); err != nil {
				t.Fatal(err)
			}
			continue
		}
		got, _ := os.ReadFile(file)
		if diff := cmp.Diff(string(want), strings.ReplaceAll(string(got), "\r\n", "\n")); diff != "" {
			t.Errorf("%s is not what the types say; run: make docs (-want +got)\n%s", file, diff)
		}
	}
	entries, err := os.ReadDir(filepath.Join("templates", "schemas"))
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if !known[e.Name()] {
			t.Errorf("templates/schemas/%s is of no document", e.Name())
		}
	}
}

func schemaComments(t *testing.T) map[string]string {
	t.Helper()
	r := jsonschema.Reflector{}
	t.Chdir(top)
	for _, dir := range schemaSources {
		if err := r.AddGoComments("github.com/hybridge-cli/hybridge", "./"+dir,
			jsonschema.WithFullComment()); err != nil {
			t.Fatal(err)
		}
	}
	out := map[string]string{}
	for k, text := range r.CommentMap {
		name := k[strings.LastIndex(k, "/")+1:]
		if strings.Count(name, ".") < 2 { // types are described where they are used
			continue
		}
		// The test sees this package under its own name.
		out[strings.Replace(k, "github.com/hybridge-cli/hybridge/cmd/hybridge.",
			reflect.TypeFor[runDocument]().PkgPath()+".", 1)] = strings.Join(strings.Fields(text), " ")
	}
	return out
}

// values are the types of few values.
var values = map[reflect.Type][]any{
	reflect.TypeFor[check.Status](): {check.StatusPass, check.StatusWarn, check.StatusFail, check.StatusSkip,
		check.StatusError, check.StatusAcknowledged},
	reflect.TypeFor[report.Status](): {report.Pass, report.OK, report.Done, report.Warn, report.Fail, report.Skip,
		report.Pending, report.Error, report.Unknown, report.Acknowledged},
	reflect.TypeFor[notify.Became]():              {notify.New, notify.Gone, notify.Unseen, notify.Seen},
	reflect.TypeFor[check.Became]():               {check.New, check.Unseen, check.Gone, check.Unchanged},
	reflect.TypeFor[check.AcknowledgementState](): {check.Active, check.Expired, check.Unneeded},
	reflect.TypeFor[change.Action]():              {change.Create, change.Update, change.Delete, change.Recreate},
	reflect.TypeFor[apply.Status]():               {apply.Done, apply.Failed, apply.Skipped, apply.Pending},
	reflect.TypeFor[freebusy.Status]():            {freebusy.OK, freebusy.Failed, freebusy.Unknown, freebusy.Pending},
	reflect.TypeFor[stage.ID]():                   {stage.Check, stage.Plan, stage.Apply, stage.Test},
}

// kinds are what the field "kind" of a document says.
var kinds = map[string][]any{
	"fleet-report": {"FleetReport"}, "trend": {"Trend"}, "notification": {"Notification"},
	"check-report": {"CheckReport"}, "check-diff": {"CheckDiff"}, "plan": {"Plan"}, "apply-report": {"ApplyReport"},
	"rollback-plan": {"RollbackPlan"},
	"test-report":   {"TestReport"}, "validate-report": {"ValidateReport"},
	"run-report": {"RunReport"}, "demo-report": {"DemoReport"}, "history": {"History"}, "lab": {"Lab"},
	"faults": {"Faults"}, "version": {"Version"}, "error": {"Error"},
}

// events are the data of the lines of jsonl, by event.
type events struct {
	Version    report.Stream     `json:"version"`
	Started    observe.Started   `json:"started"`
	Progress   observe.Progress  `json:"progress"`
	Waiting    observe.Waiting   `json:"waiting"`
	Warning    observe.Warning   `json:"warning"`
	Check      check.Result      `json:"check"`
	Change     apply.Outcome     `json:"change"`
	Lookup     deployment.Answer `json:"lookup"`
	Deployment fleet.Deployment  `json:"deployment"`
	Error      report.Failure    `json:"error"`
	End        report.Ended      `json:"end"`
}

// generateSchema makes the schema of a document. An open schema, as it is published, allows
// properties that a later version adds.
func generateSchema(t *testing.T, comments map[string]string, name string, open bool) []byte {
	t.Helper()
	r := jsonschema.Reflector{
		CommentMap: comments, AllowAdditionalProperties: open, ExpandedStruct: true,
		Namer: func(t reflect.Type) string {
			text := t.Name()
			if text == "" { // a list, a mapping: no definition of its own
				return ""
			}
			text = strings.ToUpper(text[:1]) + text[1:]
			base := path.Base(t.PkgPath())
			base = strings.ToUpper(base[:1]) + base[1:]
			if base == "Report" || base == "Observe" || base == "Hybridge" || base == text {
				return text
			}
			return base + text
		},
		Mapper: func(t reflect.Type) *jsonschema.Schema {
			switch {
			case t == reflect.TypeFor[msg.Text]():
				return &jsonschema.Schema{Type: "string"}
			case values[t] != nil:
				return &jsonschema.Schema{Type: "string", Enum: values[t]}
			}
			return nil
		},
	}
	var sample any = events{}
	for _, p := range published {
		if p.name == name && name != "event" {
			sample = p.document
		}
	}
	s := r.Reflect(sample)
	if name == "event" {
		s = eventSchema(s)
	}
	s.ID = jsonschema.ID("https://raw.githubusercontent.com/hybridge-cli/hybridge/main/templates/schemas/" + name +
		".json")
	s.Title = "hybridge " + name
	if p, found := s.Properties.Get("kind"); found {
		p.Enum = kinds[name]
	}
	if p, found := s.Properties.Get("apiVersion"); found {
		p.Const = report.APIVersion
		if name == "plan" { // versioned by itself: a saved plan outlives the program that made it
			p.Const = change.PlanVersion
		}
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(s); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// eventSchema makes of the schema of events one of a line: the event's name decides on its data.
func eventSchema(all *jsonschema.Schema) *jsonschema.Schema {
	line := &jsonschema.Schema{
		Version: jsonschema.Version, Type: "object", Required: []string{"event", "time", "data"},
		Properties: jsonschema.NewProperties(), Definitions: all.Definitions,
	}
	name := &jsonschema.Schema{Type: "string"}
	line.Properties.Set("event", name)
	line.Properties.Set("time", &jsonschema.Schema{Type: "string", Format: "date-time",
		Description: "When it happened, in UTC."})
	line.Properties.Set("data", &jsonschema.Schema{Type: "object", Description: "What the event carries."})
	add := func(event string, data *jsonschema.Schema) {
		name.Enum = append(name.Enum, event)
		alternative := &jsonschema.Schema{Properties: jsonschema.NewProperties()}
		alternative.Properties.Set("event", &jsonschema.Schema{Const: event})
		alternative.Properties.Set("data", data)
		line.OneOf = append(line.OneOf, alternative)
	}
	for p := all.Properties.Oldest(); p != nil; p = p.Next() {
		add(p.Key, p.Value)
	}
	add("report", &jsonschema.Schema{Type: "object", Description: "The document of the verb, by its own schema."})
	return line
}

// validates says what is wrong with JSON by the closed schema of a document.
func validates(t *testing.T, comments map[string]string, name string, data []byte) error {
	t.Helper()
	parsed, err := validator.UnmarshalJSON(bytes.NewReader(generateSchema(t, comments, name, false)))
	if err != nil {
		t.Fatal(err)
	}
	c := validator.NewCompiler()
	if err := c.AddResource("https://hybridge.example/"+name, parsed); err != nil {
		t.Fatal(err)
	}
	compiled, err := c.Compile("https://hybridge.example/" + name)
	if err != nil {
		t.Fatal(err)
	}
	value, err := validator.UnmarshalJSON(bytes.NewReader(data))
	if err != nil {
		return err
	}
	return compiled.Validate(value)
}

// Every document that a golden file holds, and every line, is what its schema says.
func TestGoldensFitTheirSchemas(t *testing.T) {
	comments := schemaComments(t) // and changes to the top
	names := map[string]string{}
	for name, list := range kinds {
		for _, kind := range list {
			names[kind.(string)] = name
		}
	}
	documents, lines := 0, 0
	files, err := filepath.Glob("pkg/*/*/testdata/*.json*")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if strings.HasSuffix(file, ".jsonl") {
			for line := range bytes.Lines(data) {
				lines++
				if err := validates(t, comments, "event", line); err != nil {
					t.Errorf("%s: %s: %v", file, line, err)
				}
			}
			continue
		}
		var head struct{ APIVersion, Kind string }
		if json.Unmarshal(data, &head) != nil || names[head.Kind] == "" {
			continue
		}
		documents++
		if err := validates(t, comments, names[head.Kind], data); err != nil {
			t.Errorf("%s: %v", file, err)
		}
	}
	if err := validates(t, comments, "plan", onePlan(t).Encode()); err != nil {
		t.Errorf("a plan: %v", err)
	}
	if documents < 2 || lines < 10 {
		t.Errorf("%d documents and %d lines: is this test looking?", documents, lines)
	}
	if validates(t, comments, "error",
		[]byte(`{"apiVersion":"hybridge/v1","kind":"Error","code":1,"message":"x","more":1}`)) == nil {
		t.Error("a property that no schema knows is taken")
	}
}

// Names and descriptions stand in two columns: "rollback-plan rollback --dry-run" reads as one.
func TestSchemaHelpHasColumns(t *testing.T) {
	got := execute(t, &scripted{}, "", "schema", "--help")
	for _, p := range published {
		if row := fmt.Sprintf("\n  %-15s  %s", p.name, p.about); !strings.Contains(got.out, row) {
			t.Errorf("no row %q in\n%s", row, got.out)
		}
	}
}
