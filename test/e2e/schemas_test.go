package e2e

import (
	"encoding/json"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// schemas are the schemas that the program prints, compiled by a library that the program does not
// use.
type schemas map[string]*jsonschema.Schema

func (s schemas) validate(t *testing.T, name, text string) {
	t.Helper()
	if s[name] == nil {
		out, err := exec.Command(binary, "schema", name).Output()
		if err != nil {
			t.Fatal(err)
		}
		parsed, err := jsonschema.UnmarshalJSON(strings.NewReader(string(out)))
		if err != nil {
			t.Fatal(err)
		}
		c := jsonschema.NewCompiler()
		if err := c.AddResource("mem:///"+name, parsed); err != nil {
			t.Fatal(err)
		}
		if s[name], err = c.Compile("mem:///" + name); err != nil {
			t.Fatal(err)
		}
	}
	value, err := jsonschema.UnmarshalJSON(strings.NewReader(text))
	if err != nil {
		t.Fatalf("%s: %v\n%s", name, err, tail(text))
	}
	if err := s[name].Validate(value); err != nil {
		t.Errorf("%v\n%s", err, tail(text))
	}
}

// TestDocumentsFitTheirSchemas runs a lab from check to rollback. Every document and every event
// conforms to its published schema, and every stream ends with its exit code.
func TestDocumentsFitTheirSchemas(t *testing.T) {
	e := startLab(t)
	known := schemas{}
	file := filepath.Join(t.TempDir(), "p.json")
	for _, step := range []struct {
		args   []string
		schema string
		code   int
	}{
		{[]string{"history"}, "history", 0}, // of no run
		{[]string{"check"}, "check-report", 0},
		{[]string{"test"}, "test-report", 3},
		{[]string{"plan", "--out", file}, "plan", 0},
		{[]string{"check", "--only", "no.such"}, "error", 2},
		{[]string{"apply", file, "--yes"}, "apply-report", 0},
		{[]string{"apply", file, "--yes"}, "error", 7},
		{[]string{"plan"}, "plan", 0}, // an empty one
		{[]string{"apply", "--yes"}, "apply-report", 0},
		{[]string{"history"}, "history", 0},
		{[]string{"rollback", "--dry-run"}, "rollback-plan", 0},
		{[]string{"validate", "freebusy", "--from", "nobody@contoso.example", "--to", "nobody@fabrikam.example"},
			"validate-report", 9},
		{[]string{"rollback", "--yes"}, "apply-report", 0},
		{[]string{"--non-interactive", "--yes"}, "run-report", 0},
		{[]string{"--non-interactive", "--yes"}, "run-report", 0}, // nothing is left to do
		{[]string{"rollback", "--yes"}, "apply-report", 0},
	} {
		r := e.must(t, step.code, append(step.args, "-o", "json")...)
		known.validate(t, step.schema, r.stdout)
	}
	for _, step := range []struct {
		args []string
		code int
	}{
		{[]string{"check"}, 0}, {[]string{"test"}, 3}, {[]string{"plan", "--out", file}, 0},
		{[]string{"apply", file, "--yes"}, 0}, {[]string{"apply", file, "--yes"}, 7},
		{[]string{"rollback", "--yes"}, 0},
	} {
		r := e.must(t, step.code, append(step.args, "-o", "jsonl")...)
		var last struct {
			Event string
			Data  struct{ ExitCode int }
		}
		for line := range strings.Lines(r.stdout) {
			known.validate(t, "event", line)
			if err := json.Unmarshal([]byte(line), &last); err != nil {
				t.Fatal(err)
			}
		}
		if last.Event != "end" || last.Data.ExitCode != step.code {
			t.Errorf("%s ends with %+v, want exit code %d", strings.Join(step.args, " "), last, step.code)
		}
	}
}
