package main

import (
	"context"
	"io"

	"github.com/spf13/cobra"

	"github.com/hybridge-cli/hybridge/pkg/engine/report"
)

func newCheckCommand(a app) *cobra.Command {
	return &cobra.Command{
		Use:     "check",
		GroupID: "flow",
		Short:   "Check the prerequisites; nothing is changed",
		Long: `Check reads every system that the answers name and tells what is not ready for
hybrid: what it found, why it matters, what to do. Nothing is changed.

Exits 0 when all is well, 3 when a check failed, 4 when a sign-in or a right is missing,
9 when something required could not be read.`,
		Example: `  hybridge check -f answers.yaml
  hybridge check -f answers.yaml --only 'directory.*' --skip directory.unique-addresses
  hybridge check -f answers.yaml -o junit --output-file checks.xml`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return runCheck(cmd.Context(), a) },
	}
}

func runCheck(ctx context.Context, a app) (err error) {
	r, err := begin(a, "text", "json", "jsonl", "junit")
	if err != nil {
		return err
	}
	defer r.close(&err)
	if err := r.open(ctx); err != nil {
		return err
	}
	checks, err := r.deployed.Check(ctx, r.obs)
	if err != nil {
		return err
	}
	if err := r.finish(checks, func(t *report.Text) { t.Checks(checks) }, func(w io.Writer) error { return report.JUnitChecks(w, checks) }); err != nil {
		return err
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	r.afterCheck(checks)
	return quietly(checkCode(checks))
}
