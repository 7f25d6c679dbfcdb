package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/hybridge-cli/hybridge/pkg/config/answers"
	"github.com/hybridge-cli/hybridge/pkg/engine/apply"
	"github.com/hybridge-cli/hybridge/pkg/engine/report"
)

func newRollbackCommand(a app) *cobra.Command {
	var wait time.Duration
	c := &cobra.Command{
		Use:     "rollback [RUN]",
		GroupID: "back",
		Short:   "Undo a run, the newest by default",
		Long: `Rollback undoes what a run of apply did, last change first: what it made is removed, what it set is set back,
what it removed is made again. What someone else changed since is left alone and reported (exit 6). hybridge history lists the runs.`,
		Example: `  hybridge rollback -f answers.yaml
  hybridge rollback 20261122T092817.931Z -f answers.yaml    # as hybridge history lists it`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			run := ""
			if len(args) > 0 {
				run = args[0]
			}
			return runRollback(cmd.Context(), a, run, wait)
		},
	}
	c.Flags().DurationVar(&wait, "wait", 0, "how long a change may take to show when it is read back")
	return c
}

func runRollback(ctx context.Context, a app, run string, wait time.Duration) (err error) {
	r, err := begin(a, "text", "json", "jsonl", "junit")
	if err != nil {
		return err
	}
	defer r.close(&err)
	if err := r.open(ctx); err != nil {
		return err
	}
	if !a.yes {
		if !r.interactive() {
			return usage("nobody is there to be asked: agree to the rollback with --yes")
		}
		undo, err := apply.ToUndo(r.state, run)
		if err != nil {
			return err
		}
		run = undo.RunID // what is agreed to, whatever comes in between
		yes, err := r.confirm(ctx, fmt.Sprintf("Undo run %s, %d changes?", run, undo.Summary.Done+undo.Summary.Failed))
		if err != nil {
			return err
		}
		if !yes {
			return &exitError{code: exitCancelled, err: errors.New("not agreed to; nothing was changed")}
		}
	}
	undone, err := r.deployed.Rollback(ctx, run, r.applyOptions(applyOptions{wait: wait}), r.obs)
	return r.applied(undone, err)
}

// historyDocument is what history -o json writes.
type historyDocument struct {
	APIVersion string        `json:"apiVersion"` // hybridge/v1
	Kind       string        `json:"kind"`       // History
	StateDir   string        `json:"stateDir"`
	Runs       []apply.Entry `json:"runs"`
}

func newHistoryCommand(a app) *cobra.Command {
	return &cobra.Command{
		Use:     "history",
		GroupID: "back",
		Short:   "List the runs of this deployment",
		Args:    cobra.NoArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return runHistory(cmd.Context(), a) },
	}
}

func runHistory(ctx context.Context, a app) (err error) {
	r, err := begin(a, "text", "json")
	if err != nil {
		return err
	}
	defer r.close(&err)
	dir := a.stateDir
	if dir == "" {
		if err := a.nameAnswers(); err != nil {
			return err
		}
		described, err := answers.Load(ctx, a.answersFile)
		if err != nil {
			return err
		}
		base, err := answersDir(a.answersFile)
		if err != nil {
			return err
		}
		if dir, err = a.stateDirOf(described, base); err != nil {
			return err
		}
	}
	runs, historyErr := apply.History(dir)
	document := historyDocument{APIVersion: "hybridge/v1", Kind: "History", StateDir: dir, Runs: runs}
	if err := r.finish(document, func(t *report.Text) { t.History(runs) }, nil); err != nil {
		return err
	}
	return historyErr
}
