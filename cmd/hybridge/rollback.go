package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

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
	}
	c.Flags().DurationVar(&wait, "wait", 0, "how long a change may take to show when it is read back")
	return a.verb(c, report.Documents|report.Outcomes|report.Events, func(ctx context.Context, t *task, args []string) error {
		return runRollback(ctx, t, strings.Join(args, ""), wait)
	})
}

func runRollback(ctx context.Context, t *task, run string, wait time.Duration) error {
	if err := t.open(ctx); err != nil {
		return err
	}
	if !t.yes {
		if !t.interactive() {
			return usage("nobody is there to be asked: agree to the rollback with --yes")
		}
		undo, err := apply.ToUndo(t.state, run)
		if err != nil {
			return err
		}
		run = undo.RunID // what is agreed to, whatever comes in between
		yes, err := t.confirm(ctx, fmt.Sprintf("Undo run %s, %d changes?", run, undo.Summary.Done+undo.Summary.Failed))
		if err != nil {
			return err
		}
		if !yes {
			return &exitError{code: exitCancelled, err: errors.New("not agreed to; nothing was changed")}
		}
	}
	undone, err := t.deployed.Rollback(ctx, run, t.applyOptions(applyOptions{wait: wait}), t.obs)
	return t.applied(undone, err)
}
