package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/hybridge-cli/hybridge/pkg/config/answers"
	"github.com/hybridge-cli/hybridge/pkg/engine/apply"
	"github.com/hybridge-cli/hybridge/pkg/engine/change"
	"github.com/hybridge-cli/hybridge/pkg/engine/check"
	"github.com/hybridge-cli/hybridge/pkg/engine/msg"
	"github.com/hybridge-cli/hybridge/pkg/engine/report"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/deployment"
)

type applyOptions struct {
	narrow
	wait   time.Duration
	digest string
}

func newApplyCommand(a app) *cobra.Command {
	var o applyOptions
	c := &cobra.Command{
		Use:     "apply [PLAN]",
		GroupID: "flow",
		Short:   "Make the changes of a plan",
		Long: `Apply carries out PLAN (- is standard input), or makes a plan and carries it out. It asks first;
without a terminal, --yes is required. It refuses a saved plan (exit 7) when the live state is
no longer what the plan was made from, or when the plan was edited. A plan that removes
resources needs --accept removals.

Before it asks, apply runs the checks that the changes depend on. It goes on after a failed check, or
one that could not look, with your consent: an answer on the terminal, or --accept failed-checks.

The journal records what was there before each write. After a kill or a failure, the same
command resumes; hybridge rollback undoes the run.`,
		Example: `  hybridge apply plan.json -f answers.yaml
  hybridge apply plan.json -f answers.yaml --yes -o json`,
		Args: cobra.MaximumNArgs(1),
	}
	c.Flags().DurationVar(&o.wait, "wait", 0,
		"`TIME` that a change may take to show when it is read back; 0 is the default of each kind")
	o.narrow.flags(c)
	c.Flags().StringVar(&o.digest, "digest", "", "carry out only the plan of this `DIGEST`, as hybridge plan shows it")
	return a.verb(c, applyTraits, func(ctx context.Context, t *task, args []string) error {
		return runApply(ctx, t, o, args)
	})
}

const applyTraits = report.Documents | report.Outcomes | report.Events

func runApply(ctx context.Context, t *task, o applyOptions, args []string) (err error) {
	var plan change.Plan
	if len(args) > 0 {
		if len(t.only)+len(t.skip)+len(o.forests)+len(o.domains) > 0 {
			return usage("--only, --skip, --forest and --domain select when a plan is made, not when it is applied: " +
				"make a new plan with hybridge plan")
		}
		// In a goroutine, so that an interrupt ends it: a pipe may stay silent.
		type read struct {
			plan change.Plan
			err  error
		}
		done := make(chan read, 1)
		go func() {
			plan, err := t.readPlan(args[0])
			done <- read{plan, err}
		}()
		select {
		case got := <-done:
			if plan, err = got.plan, got.err; err != nil {
				return err
			}
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	t.narrow = o.narrow
	if err := t.open(ctx); err != nil {
		return err
	}
	if t.looking { // before the time that a plan takes
		return deployment.ErrValidateOnly
	}
	if len(args) == 0 {
		if plan, err = t.deployed.Plan(ctx, t.obs); err != nil {
			return err
		}
	}
	checks, err := t.recheck(ctx, plan)
	if err != nil {
		return err
	}
	if err := t.agree(ctx, plan, checks); err != nil {
		return err
	}
	applied, err := t.deployed.Apply(ctx, plan, t.applyOptions(o), t.obs)
	if err = t.applied(applied, t.staleHint(plan, err)); err == nil {
		t.afterApply(applied)
		code := resultCode(plan) // the plan is carried out; it can lack something
		if code != exitFine {
			t.note("exit code %d: the plan left something out; %s says what, and why", code, t.command("plan"))
		}
		return quietly(code)
	}
	return err
}

// applyOptions are the options of a run that writes. From here on, a closed output pipe (| head)
// does not end the process in the middle of a change.
func (t *task) applyOptions(o applyOptions) apply.Options {
	signal.Ignore(syscall.SIGPIPE)
	return apply.Options{StateDir: t.state, Wait: o.wait, Accept: t.accept, Digest: o.digest, Version: version}
}

// readPlan reads a plan file; - is standard input.
func (t *task) readPlan(path string) (change.Plan, error) {
	in := t.In
	if path == answers.Stdin {
		if t.answersFile == answers.Stdin {
			return change.Plan{}, usage("the plan and the answers cannot both come from standard input")
		}
	} else {
		if info, err := os.Stat(path); err == nil && info.IsDir() {
			return change.Plan{}, usage("%s is a directory, not a plan", path)
		}
		f, err := os.Open(path)
		if err != nil {
			return change.Plan{}, usage("read plan: %w; make one with: hybridge plan --out plan.json", err)
		}
		defer f.Close()
		in = f
	}
	plan, err := change.Decode(in)
	if err != nil {
		return change.Plan{}, fmt.Errorf("%s: %w", path, err)
	}
	return plan, nil
}

// recheck runs the checks that the changes of a plan depend on, right before they are made.
func (t *task) recheck(ctx context.Context, plan change.Plan) (check.Report, error) {
	if len(plan.Changes) == 0 {
		return check.Report{}, nil
	}
	checks, err := t.deployed.Recheck(ctx, plan, t.obs)
	if err == nil && ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	return checks, err
}

// agree shows the plan with the checks that speak against it, and asks for a confirmation.
func (t *task) agree(ctx context.Context, plan change.Plan, checks check.Report) error {
	objection := deployment.Unaccepted(checks, t.accept)
	switch {
	case len(plan.Changes) == 0:
		return nil
	case t.yes && objection != nil:
		return t.unaccepted(checks, objection)
	case t.yes:
		return nil
	case !t.interactive():
		return usage("%s a confirmation and there is no terminal: review with hybridge plan, then confirm with --yes",
			msg.Plural(len(plan.Changes), "%d change needs", "%d changes need"))
	}
	t.aside().View(plan.View())
	if err := apply.Unaccepted(plan, deployment.Kinds(), t.accept); err != nil {
		return err
	}
	question := "Make this change?"
	if n := len(plan.Changes); n > 1 {
		question = fmt.Sprintf("Make these %d changes?", n)
	}
	if objection != nil {
		failed := deployment.Objections(checks)
		t.aside().View(check.Report{Results: failed, Summary: check.Count(failed)}.View())
		question = msg.Plural(len(failed), "%d check that the plan depends on failed or could not look. ",
			"%d checks that the plan depends on failed or could not look. ").String() + question
	}
	yes, err := t.confirm(ctx, question)
	if err != nil {
		return err
	}
	if !yes {
		return &exitError{code: exitCancelled, err: errors.New("not confirmed; nothing was changed")}
	}
	if objection != nil {
		t.accept = append(t.accept, apply.AcceptFailedChecks) // for the journal
	}
	return nil
}

// unaccepted is the end of a run that the checks before an apply stopped. Its exit code is that of
// the checks.
func (t *task) unaccepted(checks check.Report, err error) error {
	code := cmp.Or(checkCode(checks), exitAccess) // a missing right to write is a warning of its check
	return &exitError{code: code, err: err, hint: "nothing was changed; fix the causes, or go on with --accept " +
		apply.AcceptFailedChecks}
}

// errCutOff is the class of the cancel of a run that has changes left.
var errCutOff = errors.New("cut off")

// applied reports what an apply or a rollback did, and returns the error of its end.
func (t *task) applied(applied apply.Report, err error) error {
	if applied.Kind == "" {
		return err // it did not begin
	}
	if errors.Is(err, context.Canceled) && applied.Summary.Pending > 0 {
		err = fmt.Errorf("%w%w", err, hidden{errCutOff})
	}
	if reportErr := t.write(applied); reportErr != nil && err == nil {
		return fmt.Errorf("the run is complete, but its report cannot be written: %w", reportErr)
	}
	return err
}
