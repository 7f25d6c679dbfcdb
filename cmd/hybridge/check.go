package main

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/hybridge-cli/hybridge/pkg/engine/report"
)

func newCheckCommand(a app) *cobra.Command {
	return a.verb(&cobra.Command{
		Use:     "check",
		GroupID: "flow",
		Short:   "Check the prerequisites; nothing is changed",
		Long: `Check reads every system that the answers file names and reports what is not ready for
hybrid: what it found, why it matters, how to fix it. Nothing is changed.

Exits 0 when all is well, 3 when a check failed, 4 when a sign-in or a right is missing,
9 when something required could not be read.`,
		Example: `  hybridge check -f answers.yaml
  hybridge check -f answers.yaml --only 'directory.*' --skip directory.unique-addresses
  hybridge check -f answers.yaml -o junit --output-file checks.xml`,
		Args: cobra.NoArgs,
	}, report.Documents|report.Outcomes|report.Events, runCheck)
}

func runCheck(ctx context.Context, t *task, _ []string) error {
	if err := t.open(ctx); err != nil {
		return err
	}
	t.warnOfScripts()
	checks, err := t.deployed.Check(ctx, t.obs)
	if err != nil {
		return err
	}
	if err := t.write(checks); err != nil {
		return err
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	t.afterCheck(checks)
	return quietly(resultCode(checks))
}
