package main

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/hybridge-cli/hybridge/pkg/config/answers"
	"github.com/hybridge-cli/hybridge/pkg/engine/apply"
	"github.com/hybridge-cli/hybridge/pkg/engine/report"
)

func newHistoryCommand(a app) *cobra.Command {
	var drift bool
	c := &cobra.Command{
		Use:     "history [RESULT]...",
		GroupID: "back",
		Short:   "List the runs of this deployment",
		Long: `History lists the runs of apply and rollback, newest first. RESULT is the hybridge-result.json that
the scripts of plan --scripts wrote, with hybridge-plan.json beside it. History adds what the scripts did as
a run: apply resumes it, rollback undoes it.

With --drift, history compares what the runs left with what is live, and shows each object that changed since: the
values, and who changed them when as far as the audit logs of Exchange say. It exits with 5 when something changed.`,
		Example: `  hybridge history -f answers.yaml
  hybridge history --drift -f answers.yaml
  hybridge history scripts/hybridge-result.json -f answers.yaml`,
	}
	c.Flags().BoolVar(&drift, "drift", false,
		"show what changed since the runs, and who changed it; exit 5 when something did")
	return a.verb(c, report.Documents, func(ctx context.Context, t *task, results []string) error {
		if !drift {
			return runHistory(ctx, t, results)
		}
		if len(results) > 0 {
			return usage("--drift compares all runs: take RESULT up without it first")
		}
		return runDrift(ctx, t)
	})
}

// runDrift shows what changed since the runs.
func runDrift(ctx context.Context, t *task) error {
	if err := t.open(ctx); err != nil {
		return err
	}
	found, err := t.deployed.Drift(ctx, t.obs)
	if err != nil {
		return err
	}
	if err := t.write(found); err != nil {
		return err
	}
	switch {
	case len(found.Unknown) > 0:
		return quietly(exitInconclusive)
	case len(found.Objects) > 0:
		t.next("%s shows what hybrid needs differently", t.command("plan"))
		return quietly(exitPending)
	}
	return nil
}

func runHistory(ctx context.Context, t *task, results []string) error {
	dir := t.stateDir
	if dir == "" {
		if err := t.nameAnswers(); err != nil {
			return err
		}
		described, err := answers.Load(ctx, t.answersFile)
		if err != nil {
			return err
		}
		base, err := answersDir(t.answersFile)
		if err != nil {
			return err
		}
		if dir, err = t.stateDirOf(described, base); err != nil {
			return err
		}
	}
	for _, path := range results {
		run, err := t.takeUp(path, dir)
		if err != nil {
			return err
		}
		t.note("%s is run %s", report.Sanitize(path), run.RunID)
	}
	runs, historyErr := apply.History(dir)
	if err := t.write(apply.Runs{APIVersion: report.APIVersion, Kind: "History", StateDir: dir,
		Runs: runs}); err != nil {
		return err
	}
	return historyErr
}
