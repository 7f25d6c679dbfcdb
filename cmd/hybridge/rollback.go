package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/hybridge-cli/hybridge/pkg/engine/apply"
)

func newRollbackCommand(a app) *cobra.Command {
	var wait time.Duration
	c := &cobra.Command{
		Use:     "rollback [RUN]",
		GroupID: "back",
		Short:   "Undo a run, the newest by default",
		Long: `Rollback undoes what a run of apply did, last change first: it removes what the run made, sets back
what it set, and makes again what it removed. An object that changed since is left alone and
reported (exit 6). hybridge history lists the runs.`,
		Example: `  hybridge rollback -f answers.yaml
  hybridge rollback 20261122T092817.931Z -f answers.yaml    # as hybridge history lists it`,
		Args: cobra.MaximumNArgs(1),
	}
	c.Flags().DurationVar(&wait, "wait", 0, "how long a change may take to show when it is read back")
	return a.verb(c, applyTraits, func(ctx context.Context, t *task, args []string) error {
		return runRollback(ctx, t, strings.Join(args, ""), wait)
	})
}

func runRollback(ctx context.Context, t *task, run string, wait time.Duration) error {
	if err := t.open(ctx); err != nil {
		return err
	}
	if !t.yes {
		if !t.interactive() {
			return usage("the rollback needs a confirmation and there is no terminal: confirm with --yes")
		}
		undo, err := apply.ToUndo(t.state, run)
		if err != nil {
			return err
		}
		run = undo.RunID // what was confirmed, whatever comes in between
		yes, err := t.confirm(ctx, fmt.Sprintf("Undo run %s, %d changes?", run, undo.Summary.Done+undo.Summary.Failed))
		if err != nil {
			return err
		}
		if !yes {
			return &exitError{code: exitCancelled, err: errors.New("not confirmed; nothing was changed")}
		}
	}
	undone, err := t.deployed.Rollback(ctx, run, t.applyOptions(applyOptions{wait: wait}), t.obs)
	return t.applied(undone, err)
}
