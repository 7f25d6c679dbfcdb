package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/hybridge-cli/hybridge/pkg/engine/check"
	"github.com/hybridge-cli/hybridge/pkg/engine/msg"
	"github.com/hybridge-cli/hybridge/pkg/engine/report"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/deployment"
)

func newCheckCommand(a app) *cobra.Command {
	var o checkOptions
	c := a.fleetVerb(&cobra.Command{
		Use:     "check",
		GroupID: "flow",
		Short:   "Check the prerequisites; nothing is changed",
		Long: `Check reads every system that the answers file names and reports what is not ready for
hybrid: what it found, why it matters, how to fix it. Nothing is changed.

Exits 0 when all is well, 3 when a check failed, 4 when a sign-in or a right is missing,
9 when something required could not be read.

With -f FOLDER it checks each answers file in the folder: a fleet, see docs/fleet.md.`,
		Example: `  hybridge check -f answers.yaml
  hybridge check -f answers.yaml --only 'directory.*' --skip directory.unique-addresses
  hybridge check -f answers.yaml -o junit --output-file checks.xml
  hybridge check --snapshot snapshot.json
  hybridge check -f answers.yaml --only 'directory.*' --findings findings.csv --fix-script repair
  hybridge check -f fleet --shard 3/8 -o json --output-file reports/3.json`,
		Args: cobra.NoArgs,
	}, measured|report.Events, func(ctx context.Context, t *task, _ []string) error {
		return runCheck(ctx, t, o)
	}, "findings", "fix-script", "snapshot")
	o.from = snapshotFlag(c)
	c.Flags().StringVar(&o.findings, "findings", "",
		"write each wrong value of the directory to `FILE`: a table (.csv), or JSON lines")
	c.Flags().StringVar(&o.fixScript, "fix-script", "",
		"write PowerShell that repairs these values, and its undo, into `DIR`; it is not run")
	return c
}

type checkOptions struct {
	findings, fixScript string
	from                *fromSnapshot
}

// writeFindings writes the wrong values and the scripts that repair them. A value of the directory
// can be personal: only the owner reads the files.
func (t *task) writeFindings(findings []check.Finding, o checkOptions) error {
	if o.findings != "" {
		f, err := newOutputFile(o.findings)
		if err != nil {
			return fmt.Errorf("write the findings: %w", err)
		}
		write := check.WriteJSONLines
		if strings.EqualFold(filepath.Ext(o.findings), ".csv") {
			write = check.WriteCSV
		}
		if err := errors.Join(write(f, findings), f.commit()); err != nil {
			return fmt.Errorf("write the findings: %w", err)
		}
		t.note("wrote %s: %s", report.Sanitize(o.findings),
			msg.Plural(len(findings), "%d finding", "%d findings"))
	}
	if o.fixScript == "" {
		return nil
	}
	t.warnOfShared(o.fixScript)
	if err := os.MkdirAll(o.fixScript, 0o700); err != nil {
		return fmt.Errorf("write the scripts: %w", err)
	}
	scripts := deployment.FixScripts(findings)
	for _, name := range slices.Sorted(maps.Keys(scripts)) {
		f, err := newOutputFile(filepath.Join(o.fixScript, name))
		if err != nil {
			return fmt.Errorf("write the scripts: %w", err)
		}
		_, err = f.WriteString(scripts[name])
		if err := errors.Join(err, f.commit()); err != nil {
			return fmt.Errorf("write the scripts: %w", err)
		}
	}
	t.note("wrote %d scripts to %s; read them before they run", len(scripts), report.Sanitize(o.fixScript))
	return nil
}

func runCheck(ctx context.Context, t *task, o checkOptions) error {
	if err := t.openFrom(ctx, o.from); err != nil {
		return err
	}
	t.warnOfScripts()
	checks, err := t.deployed.Check(ctx, t.obs)
	if err != nil {
		return err
	}
	if err := t.writeFindings(checks.Findings(), o); err != nil {
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
