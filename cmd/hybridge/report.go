package main

import (
	"context"
	"encoding/json"
	"os"

	"github.com/spf13/cobra"

	"github.com/hybridge-cli/hybridge/pkg/engine/check"
	"github.com/hybridge-cli/hybridge/pkg/engine/report"
)

func newReportCommand(a app) *cobra.Command {
	c := &cobra.Command{
		Use:     "report",
		GroupID: "back",
		Short:   "Compare saved reports",
		Long:    "Report works on the documents that other commands wrote with -o json. It contacts nothing.",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return usage("say what to do with reports: hybridge report diff BEFORE AFTER")
		},
	}
	c.AddCommand(a.verb(&cobra.Command{
		Use:   "diff BEFORE AFTER",
		Short: "Say which findings of a check are new, gone and unchanged",
		Long: `Diff compares two reports of check -o json, or the checks of two runs with -o json. One of them can be
standard input (-). A finding that counts for more than before, a failure that was a warning or acknowledged, is new.
What was found and could not be checked again is not gone: it is listed as not seen again.

Exits 0 when no failure is new, 3 when one is, 9 when a check could look before and cannot now.`,
		Example: `  hybridge check -f answers.yaml -o json --output-file today.json
  hybridge report diff yesterday.json today.json
  hybridge report diff yesterday.json today.json -o markdown`,
		Args: cobra.ExactArgs(2),
	}, report.Documents, runReportDiff))
	return c
}

func runReportDiff(_ context.Context, t *task, args []string) error {
	if args[0] == "-" && args[1] == "-" {
		return usage("only one of the two reports can come from standard input")
	}
	var reports [2]check.Report
	for i, name := range args {
		var err error
		if reports[i], err = t.savedChecks(name); err != nil {
			return err
		}
	}
	c := check.Compare(reports[0], reports[1])
	if err := t.write(c); err != nil {
		return err
	}
	return quietly(resultCode(c))
}

// savedChecks reads the results of checks from a document of check or of a run of all stages.
func (t *task) savedChecks(name string) (check.Report, error) {
	in := t.In
	if name != "-" {
		file, err := os.Open(name)
		if err != nil {
			return check.Report{}, usage("%w", err)
		}
		defer file.Close()
		in = file
	}
	shown := report.Sanitize(name)
	text, err := limited(in, shown)
	if err != nil {
		return check.Report{}, err
	}
	var d struct {
		APIVersion, Kind string
		Check            *check.Report
	}
	if err := json.Unmarshal([]byte(text), &d); err != nil {
		return check.Report{}, usage("%s is not JSON; write a report with: hybridge check -o json", shown)
	}
	switch {
	case d.APIVersion != report.APIVersion:
		return check.Report{}, usage("%s is of version %q; this hybridge reads %s", shown,
			report.Sanitize(d.APIVersion),
			report.APIVersion)
	case d.Kind == "RunReport" && d.Check != nil:
		return *d.Check, nil
	case d.Kind != "CheckReport":
		return check.Report{}, usage("%s is a document of kind %q, not a CheckReport; write one with: hybridge check "+
			"-o json",
			shown, report.Sanitize(d.Kind))
	}
	var r check.Report
	if err := json.Unmarshal([]byte(text), &r); err != nil {
		return check.Report{}, usage("%s is damaged: %w", shown, err)
	}
	return r, nil
}
