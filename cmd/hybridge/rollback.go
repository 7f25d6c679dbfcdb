package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/hybridge-cli/hybridge/pkg/engine/apply"
	"github.com/hybridge-cli/hybridge/pkg/engine/msg"
)

func newRollbackCommand(a app) *cobra.Command {
	var o rollbackOptions
	c := &cobra.Command{
		Use:     "rollback [RUN | RESULT]",
		GroupID: "back",
		Short:   "Undo a run, the newest by default",
		Long: `Rollback undoes a run of apply, last change first: it removes what the run created, restores what
it changed, and creates again what it removed. It leaves an object that has changed since as it is, and
reports it (exit 6). hybridge history lists the runs. RESULT is the hybridge-result.json that the
scripts of plan --scripts wrote: rollback undoes what they did.

It shows what it will undo and asks first; without a terminal, --yes is required. --dry-run only
shows it.`,
		Example: `  hybridge rollback -f answers.yaml
  hybridge rollback -f answers.yaml --dry-run
  hybridge rollback 20261122T092817.931Z -f answers.yaml    # as hybridge history lists it
  hybridge rollback scripts/hybridge-result.json -f answers.yaml`,
		Args: cobra.MaximumNArgs(1),
	}
	c.Flags().DurationVar(&o.wait, "wait", 0, "`TIME` that a change may take to show when it is read back")
	c.Flags().BoolVar(&o.dryRun, "dry-run", false, "show what would be undone, and change nothing")
	return a.verb(c, applyTraits, func(ctx context.Context, t *task, args []string) error {
		return runRollback(ctx, t, strings.Join(args, ""), o)
	})
}

type rollbackOptions struct {
	wait   time.Duration
	dryRun bool
}

func runRollback(ctx context.Context, t *task, run string, o rollbackOptions) error {
	if err := t.open(ctx); err != nil {
		return err
	}
	if isResult(run) {
		scripted, err := t.takeUp(run, t.state)
		if err != nil {
			return err
		}
		run = scripted.RunID
	}
	if o.dryRun {
		undo, err := t.deployed.PreviewRollback(ctx, run, apply.Options{StateDir: t.state, Accept: t.accept}, t.obs)
		if err != nil {
			return err
		}
		return t.write(undo)
	}
	if !t.yes {
		if !t.interactive() {
			id, err := apply.Undoable(t.state, run)
			if err != nil {
				return err
			}
			return usage("the rollback of run %s needs a confirmation and there is no terminal: look with --dry-run, "+
				"then confirm with --yes", id)
		}
		undo, err := t.deployed.PreviewRollback(ctx, run, apply.Options{StateDir: t.state, Accept: t.accept}, t.obs)
		if err != nil {
			return err
		}
		t.aside().View(undo.View())
		run = undo.RunID // the run that was confirmed, even when a newer one appears meanwhile
		yes, err := t.confirm(ctx, fmt.Sprintf("Undo run %s, %s?", run,
			msg.Plural(len(undo.Changes), "%d change", "%d changes")))
		if err != nil {
			return err
		}
		if !yes {
			return &exitError{code: exitCancelled, err: errors.New("not confirmed; nothing was changed")}
		}
	}
	undone, err := t.deployed.Rollback(ctx, run, t.applyOptions(applyOptions{wait: o.wait}), t.obs)
	return t.applied(undone, err)
}
