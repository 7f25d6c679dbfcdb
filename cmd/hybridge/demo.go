package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/hybridge-cli/hybridge/pkg/config/answers"
	"github.com/hybridge-cli/hybridge/pkg/engine/apply"
	"github.com/hybridge-cli/hybridge/pkg/engine/change"
	"github.com/hybridge-cli/hybridge/pkg/engine/check"
	"github.com/hybridge-cli/hybridge/pkg/engine/observe"
	"github.com/hybridge-cli/hybridge/pkg/engine/report"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/deployment"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/freebusy"
	"github.com/hybridge-cli/hybridge/pkg/lab"
)

// demoDocument is what demo -o json writes.
type demoDocument struct {
	APIVersion string          `json:"apiVersion"` // hybridge/v1
	Kind       string          `json:"kind"`       // DemoReport
	Check      check.Report    `json:"check"`
	Before     freebusy.Report `json:"before"`
	Plan       change.Plan     `json:"plan"`
	Apply      apply.Report    `json:"apply"`
	After      freebusy.Report `json:"after"`
}

func newDemoCommand(a app) *cobra.Command {
	return &cobra.Command{
		Use:     "demo",
		GroupID: "try",
		Short:   "See it work: lab, check, test, plan, apply, test",
		Long: `Demo brings up a simulated estate of two forests and a tenant on this machine, finds free/busy failing, plans and
applies what is missing, and finds it working. Nothing leaves the machine, and nothing stays on it.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return runDemo(cmd, a) },
	}
}

func runDemo(cmd *cobra.Command, a app) (err error) {
	ctx := cmd.Context()
	r, err := begin(a, "text", "json", "jsonl")
	if err != nil {
		return err
	}
	defer r.close(&err)
	dir, err := os.MkdirTemp("", "hybridge-demo-")
	if err != nil {
		return fmt.Errorf("make a directory for the lab: %w", err)
	}
	r.closers = append(r.closers, func() error { return os.RemoveAll(dir) })
	r.note("bringing up a lab: two forests and a tenant, on this machine ...")
	l, err := lab.Start(ctx, lab.Options{Dir: dir, Log: r.log})
	if err != nil {
		return fmt.Errorf("start the lab: %w", err)
	}
	r.closers = append([]func() error{l.Close}, r.closers...)
	// The demo is of the lab, whatever answers and state the command line or the environment name.
	inLab := *a.globals
	inLab.answersFile, inLab.stateDir, inLab.only, inLab.skip = l.Answers(), filepath.Join(dir, "state"), nil, nil
	inLab.nonInteractive = true
	r.globals = &inLab
	described, err := answers.Load(ctx, l.Answers())
	if err != nil {
		return err
	}
	if err := r.openWith(described); err != nil {
		return err
	}

	d := demoDocument{APIVersion: "hybridge/v1", Kind: "DemoReport"}
	t := r.text()
	show := func(title string, write func()) {
		r.settle()
		if r.format == "text" {
			fmt.Fprintf(r.out, "\n== %s\n\n", title)
			write()
		}
	}
	if d.Check, err = r.deployed.Check(ctx, r.obs); err != nil {
		return err
	}
	show("Prerequisites", func() { t.Checks(d.Check) })
	if d.Before, err = r.deployed.Test(ctx, deployment.TestOptions{}, r.obs); err != nil {
		return err
	}
	show("Free/busy before", func() { t.Matrix(lookups(d.Before)) })
	if d.Plan, err = r.deployed.Plan(ctx, r.obs); err != nil {
		return err
	}
	show("Plan", func() { t.Plan(d.Plan) })
	if d.Apply, err = r.deployed.Apply(ctx, d.Plan, r.applyOptions(applyOptions{}), r.obs); err != nil {
		return err
	}
	show("Apply", func() { t.Apply(d.Apply) })
	if d.After, err = r.deployed.Test(ctx, deployment.TestOptions{}, r.obs); err != nil {
		return err
	}
	show("Free/busy after", func() { t.Matrix(lookups(d.After)) })
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if err := r.finish(d, func(t *report.Text) {
		fmt.Fprintf(r.out, "\n== Before and after\n\n")
		t.BeforeAfter(lookups(d.Before), lookups(d.After))
		fmt.Fprint(r.out, demoOutro)
	}, nil); err != nil {
		return err
	}
	if code := testCode(d.After); code != exitFine {
		return quietly(code)
	}
	return offerWizard(cmd, r, a, d.Apply.RunID)
}

const demoOutro = `
How to go on:
  hybridge lab start --dir lab              # the same lab, to try; Ctrl-C ends it
  hybridge wizard -f lab/answers.yaml       # in another terminal: step by step
  hybridge lab faults                       # what can be broken in it, with --fault
  hybridge init --output-file answers.yaml  # your own organization
`

// offerWizard has the wizard walk the demo's lab from the beginning, when somebody is there and wants to: what the run did is rolled back before.
func offerWizard(cmd *cobra.Command, r *session, a app, run string) error {
	if r.format != "text" || a.outputFile != "" || a.nonInteractive || !a.canDraw() || !a.ErrTTY || a.Env("CI") != "" {
		return nil
	}
	yes, err := r.confirm(cmd.Context(), "\nDo the same yourself in the wizard, from the beginning?")
	if err != nil || !yes {
		return err
	}
	if _, err := r.deployed.Rollback(cmd.Context(), run, r.applyOptions(applyOptions{}), observe.Func(func(observe.Event) {})); err != nil {
		return fmt.Errorf("set the lab back: %w", err)
	}
	inLab := *r.globals
	inLab.nonInteractive = false
	a.globals = &inLab
	return walkWizard(cmd, a, true)
}
