package main

import (
	"context"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/hybridge-cli/hybridge/pkg/engine/report"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/deployment"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/freebusy"
)

type testOptions struct {
	deployment.TestOptions
	watch time.Duration
}

func newTestCommand(a app) *cobra.Command {
	var o testOptions
	c := &cobra.Command{
		Use:     "test",
		GroupID: "flow",
		Short:   "Ask for free/busy in both directions",
		Long: `Test asks, for every pair of people in the answers, whether the one sees the other's free/busy: both ways,
and from both sides. It shows the way each question took and, where it failed, the suspected cause.

Exits 0 when every lookup works, 3 when one failed, 9 when one could not be asked.`,
		Example: `  hybridge test -f answers.yaml
  hybridge test -f answers.yaml --until-ok 20m        # after an apply, until caches have run out
  hybridge test -f answers.yaml --watch=5m            # every five minutes, until Ctrl-C
  hybridge test -f answers.yaml --from anna@contoso.com --to bob@fabrikam.com`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return runTest(cmd.Context(), a, o) },
	}
	c.Flags().StringVar(&o.From, "from", "", "only questions of `ADDRESS`")
	c.Flags().StringVar(&o.To, "to", "", "only questions about `ADDRESS`")
	c.Flags().DurationVar(&o.UntilOK, "until-ok", 0, "ask again until every lookup works, for at most this long")
	c.Flags().DurationVar(&o.watch, "watch", 0, "ask again every so often, until cancelled")
	c.Flags().Lookup("watch").NoOptDefVal = "30s"
	return c
}

func runTest(ctx context.Context, a app, o testOptions) (err error) {
	if err := addresses(o.From, o.To); err != nil {
		return err
	}
	formats := []string{"text", "json", "jsonl", "junit"}
	if o.watch > 0 {
		formats = []string{"text", "jsonl"}
	}
	r, err := begin(a, formats...)
	if err != nil {
		return err
	}
	defer r.close(&err)
	if err := r.open(ctx); err != nil {
		return err
	}
	for {
		tested, err := r.deployed.Test(ctx, o.TestOptions, r.obs)
		if err != nil {
			return err
		}
		err = r.tested(tested)
		if err == nil && o.watch <= 0 {
			r.afterTest(tested)
		}
		if err != nil || o.watch <= 0 {
			return orCode(err, testCode(tested))
		}
		select {
		case <-time.After(o.watch):
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// addresses refuses what is given for an address and is none.
func addresses(given ...string) error {
	for _, address := range given {
		if address != "" && !strings.Contains(address, "@") {
			return usage("%q is not an address; write user@domain", address)
		}
	}
	return nil
}

func orCode(err error, code int) error {
	if err != nil {
		return err
	}
	return quietly(code)
}

func (r *session) tested(tested freebusy.Report) error {
	rows := lookups(tested)
	return r.finish(tested, func(t *report.Text) { t.Matrix(rows) }, func(w io.Writer) error { return report.JUnitLookups(w, rows) })
}

// lookups turns the answers of a free/busy report into the rows of a matrix.
func lookups(r freebusy.Report) []report.Lookup {
	rows := make([]report.Lookup, 0, len(r.Matrix))
	for _, a := range r.Matrix {
		row := report.Lookup{
			From: a.From, To: a.To, Direction: a.Direction, Probe: a.Probe, Route: a.Route, Status: string(a.Status), LatencyMS: a.LatencyMS, Error: a.Error, Gist: a.Gist(),
		}
		for _, d := range a.Diagnosis {
			row.Causes = append(row.Causes, report.Cause{ID: d.ID, Confidence: d.Confidence})
		}
		rows = append(rows, row)
	}
	return rows
}
