package main

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/hybridge-cli/hybridge/pkg/config/answers"
	"github.com/hybridge-cli/hybridge/pkg/config/spelling"
	"github.com/hybridge-cli/hybridge/pkg/engine/apply"
	"github.com/hybridge-cli/hybridge/pkg/engine/change"
	"github.com/hybridge-cli/hybridge/pkg/engine/check"
	"github.com/hybridge-cli/hybridge/pkg/engine/fleet"
	"github.com/hybridge-cli/hybridge/pkg/engine/notify"
	"github.com/hybridge-cli/hybridge/pkg/engine/report"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/deployment"
	"github.com/hybridge-cli/hybridge/templates"
)

// published are the documents that machines read, by the name of their schema. Every schema but
// that of the answers is generated from its type: go test ./cmd/hybridge -run TestSchemas -update.
var published = []struct {
	name, about string
	document    any
}{
	{"answers", "the answers file", answers.Answers{}},
	{"check-report", "check -o json", check.Report{}},
	{"check-diff", "report diff -o json", check.Comparison{}},
	{"fleet-report", "check, test and plan of a fleet, report merge -o json", fleet.Report{}},
	{"trend", "report trend -o json", fleet.Trend{}},
	{"notification", "what a webhook of notify: gets", notify.Message{}},
	{"plan", "plan -o json, and the file that apply takes", change.Plan{}},
	{"apply-report", "apply -o json and rollback -o json", apply.Report{}},
	{"rollback-plan", "rollback --dry-run -o json", apply.Undo{}},
	{"test-report", "test -o json", deployment.TestReport{}},
	{"validate-report", "validate -o json", deployment.Validation{}},
	{"explanation", "explain -o json", deployment.Explanation{}},
	{"run-report", "a run of all stages with -o json", runDocument{}},
	{"demo-report", "demo -o json", demoDocument{}},
	{"snapshot", "collect", deployment.Snapshot{}},
	{"wizard-runs", "collect --hcw-log -o json", deployment.WizardLog{}},
	{"history", "history -o json", apply.Runs{}},
	{"drift", "history --drift -o json", apply.Drift{}},
	{"lab", "lab start -o json", labDocument{}},
	{"faults", "lab faults -o json", faultsDocument{}},
	{"version", "version -o json", versionDocument{}},
	{"error", "a failure, where json or jsonl is asked for", report.Failure{}},
	{"event", "one line of -o jsonl", report.Line{}},
}

// schemaDocument is a JSON Schema, as it is.
type schemaDocument []byte

func (s schemaDocument) Encode() []byte { return s }

func (s schemaDocument) View() report.View {
	return report.View{Name: "schema", Blocks: []report.Block{report.Source{Language: "json", Text: string(s)}}}
}

func (s schemaDocument) MarshalJSON() ([]byte, error) { return json.RawMessage(s).MarshalJSON() }

// schema is the published schema of that name.
func schema(name string) (schemaDocument, error) {
	if name == "answers" {
		return answers.Schema(), nil
	}
	text, err := templates.Read("schemas/" + name + ".json")
	return schemaDocument(text), err
}

func newSchemaCommand(a app) *cobra.Command {
	var list strings.Builder
	var names []string
	for _, p := range published {
		names = append(names, p.name)
		fmt.Fprintf(&list, "  %-15s  %s\n", p.name, p.about)
	}
	c := &cobra.Command{
		Use:       "schema [NAME]",
		GroupID:   "more",
		Short:     "Print a JSON Schema: of the answers file, of a document, of an event",
		Long:      "Schema prints the JSON Schema of NAME; without NAME, of the answers file.\n\n" + list.String(),
		ValidArgs: names,
		Args:      cobra.MaximumNArgs(1),
	}
	return a.verb(c, report.Documents, func(_ context.Context, t *task, args []string) error {
		name := append(args, "answers")[0]
		s, err := schema(name)
		if err != nil {
			return usage("there is no schema %q%s", name, spelling.OneOf(name, names))
		}
		return t.write(s)
	})
}
