package main

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/hybridge-cli/hybridge/pkg/engine/check"
	"github.com/hybridge-cli/hybridge/pkg/engine/fleet"
	"github.com/hybridge-cli/hybridge/pkg/engine/report"
)

func newReportCommand(a app) *cobra.Command {
	c := &cobra.Command{
		Use:     "report",
		GroupID: "back",
		Short:   "Compare and merge saved reports",
		Long:    "Report works on the documents that other commands wrote with -o json. It contacts nothing.",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return usage("say what to do with reports: hybridge report diff, merge or trend")
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
	var folder string
	merge := a.verb(&cobra.Command{
		Use:   "merge FILE...",
		Short: "Make one report of many: of shards, of deployments",
		Long: `Merge reads reports of check, test and whole runs (-o json or jsonl), of single deployments and of
fleets, and folders of such files. Of two reports of one deployment, the newer counts. A stream of jsonl that was
cut off counts with the deployments that it holds.

Exits 0 when every deployment is fine, 3 when one failed, 5 when one has pending changes, 9 when one is unknown: its
run failed, its report is missing (--fleet), or a file cannot be read.`,
		Example: `  hybridge check -f fleet --shard 3/8 -o json --output-file reports/3.json
  hybridge report merge reports --fleet fleet -o html --output-file fleet.html`,
		Args: cobra.MinimumNArgs(1),
	}, measured, func(_ context.Context, t *task, args []string) error { return runReportMerge(t, args, folder) })
	merge.Flags().StringVar(&folder, "fleet", "",
		"the `DIR` of answers files: deployments without a report are named")
	c.AddCommand(merge, a.verb(&cobra.Command{
		Use:   "trend FILE...",
		Short: "Show how findings came and went over stored reports",
		Long: `Trend reads the same files as merge, and sorts the reports of each deployment by time. It shows what is
open and since when, and what came more than once. What could not be looked at is neither new nor gone.
Exits 9 when a file is left out because it holds no report.`,
		Example: `  hybridge check -f answers.yaml -o json --output-file reports/2026-11-27.json
  hybridge report trend reports
  hybridge report trend reports -o html --output-file trend.html`,
		Args: cobra.MinimumNArgs(1),
	}, report.Documents, runReportTrend))
	return c
}

func runReportMerge(t *task, args []string, folder string) error {
	reports, err := stored(args)
	if err != nil {
		return err
	}
	merged := fleet.Merge(reports...)
	if folder != "" {
		names, err := fleetOf(folder)
		if err != nil {
			return err
		}
		merged = merged.Expect(sortedKeys(names))
		t.is(filepath.Base(filepath.Clean(folder)))
	} else {
		t.is("fleet")
	}
	if err := t.write(merged); err != nil {
		return err
	}
	return quietly(resultCode(merged))
}

func runReportTrend(_ context.Context, t *task, args []string) error {
	reports, err := stored(args)
	if err != nil {
		return err
	}
	var all []fleet.Deployment
	var out []fleet.Unreadable
	for _, r := range reports {
		all, out = append(all, r.Deployments...), append(out, r.Unreadable...)
	}
	if len(all) == 0 && len(out) > 0 {
		return usage("%s %s", report.Sanitize(out[0].File), report.Sanitize(out[0].Error))
	}
	if err := t.write(fleet.Over(all)); err != nil || len(out) == 0 {
		return err
	}
	for _, u := range out { // a run that failed before it knew its deployment does not hide the others
		t.note("left out: %s %s", report.Sanitize(u.File), report.Sanitize(u.Error))
	}
	return quietly(exitInconclusive)
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
			return check.Report{}, unreadable(name, err)
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
	case d.Kind != "CheckReport" && (d.Kind != "RunReport" || d.Check == nil):
		return check.Report{}, usage("%s is a document of kind %q, not a CheckReport; write one with: hybridge check "+
			"-o json",
			shown, report.Sanitize(d.Kind))
	case d.APIVersion != report.APIVersion:
		return check.Report{}, usage("%s is of version %q; this hybridge reads %s", shown,
			report.Sanitize(d.APIVersion),
			report.APIVersion)
	case d.Kind == "RunReport":
		return *d.Check, nil
	}
	var r check.Report
	if err := json.Unmarshal([]byte(text), &r); err != nil {
		return check.Report{}, usage("%s is damaged: %w", shown, err)
	}
	return r, nil
}
