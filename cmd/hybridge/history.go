package main

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/hybridge-cli/hybridge/pkg/config/answers"
	"github.com/hybridge-cli/hybridge/pkg/engine/apply"
	"github.com/hybridge-cli/hybridge/pkg/engine/report"
)

func newHistoryCommand(a app) *cobra.Command {
	return a.verb(&cobra.Command{
		Use:     "history [RESULT]...",
		GroupID: "back",
		Short:   "List the runs of this deployment",
		Long: `History lists the runs of apply and rollback, newest first. RESULT is the hybridge-result.json that
the scripts of plan --scripts wrote, with hybridge-plan.json beside it. History adds what the scripts did as
a run: apply resumes it, rollback undoes it.`,
		Example: `  hybridge history -f answers.yaml
  hybridge history scripts/hybridge-result.json -f answers.yaml`,
	}, report.Documents, runHistory)
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
