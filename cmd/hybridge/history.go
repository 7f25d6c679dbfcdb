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
		Use:     "history",
		GroupID: "back",
		Short:   "List the runs of this deployment",
		Args:    cobra.NoArgs,
	}, report.Documents, runHistory)
}

func runHistory(ctx context.Context, t *task, _ []string) error {
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
	runs, historyErr := apply.History(dir)
	if err := t.write(apply.Runs{APIVersion: report.APIVersion, Kind: "History", StateDir: dir,
		Runs: runs}); err != nil {
		return err
	}
	return historyErr
}
