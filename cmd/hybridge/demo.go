package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/spf13/cobra"

	"github.com/hybridge-cli/hybridge/pkg/config/answers"
	"github.com/hybridge-cli/hybridge/pkg/config/spelling"
	"github.com/hybridge-cli/hybridge/pkg/engine/apply"
	"github.com/hybridge-cli/hybridge/pkg/engine/change"
	"github.com/hybridge-cli/hybridge/pkg/engine/check"
	"github.com/hybridge-cli/hybridge/pkg/engine/msg"
	"github.com/hybridge-cli/hybridge/pkg/engine/observe"
	"github.com/hybridge-cli/hybridge/pkg/engine/report"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/deployment"
	"github.com/hybridge-cli/hybridge/pkg/lab"
)

// demoDocument is what demo -o json writes.
type demoDocument struct {
	APIVersion string                `json:"apiVersion"` // hybridge/v1
	Kind       string                `json:"kind"`       // DemoReport
	Check      check.Report          `json:"check"`
	Before     deployment.TestReport `json:"before"`
	Plan       change.Plan           `json:"plan"`
	Apply      apply.Report          `json:"apply"`
	// The way out of WorkMail, in its scenario.
	Exit  *demoExit             `json:"exit,omitempty"`
	After deployment.TestReport `json:"after"`

	sections []report.Block // of the stages so far, in their order
}

// scenario is an estate that the demo shows.
type scenario struct {
	id, title string
	lab       lab.Options
	exit      bool // leads out of WorkMail
}

var scenarios = []scenario{
	{"online", "two forests and a tenant", lab.Options{Clouds: []string{lab.Online}}, false},
	{"workmail", "a forest and Amazon WorkMail", lab.Options{Clouds: []string{lab.WorkMail}, Forests: 1}, false},
	{"workmail-exit", "a forest, and 20 people in Amazon WorkMail who leave it",
		lab.Options{Clouds: []string{lab.WorkMail}, Forests: 1, Users: 200}, true},
}

func scenarioNamed(id string) (scenario, error) {
	var ids []string
	for _, s := range scenarios {
		if s.id == id {
			return s, nil
		}
		ids = append(ids, s.id)
	}
	return scenario{}, usage("--scenario %q is not known%s", id, spelling.OneOf(id, ids))
}

func newDemoCommand(a app) *cobra.Command {
	chosen := scenarios[0].id
	c := &cobra.Command{
		Use:     "demo",
		GroupID: "try",
		Short:   "See it work: lab, check, test, plan, apply, test",
		Long: `Demo brings up a simulated estate on this machine: two forests and a tenant, or what --scenario
names. It shows that free/busy fails, plans and applies what is missing, and shows that it works. Nothing
leaves the machine, and nothing stays on it.`,
		Example: `  hybridge demo
  hybridge demo --scenario workmail
  hybridge demo --scenario workmail-exit`,
		Args: cobra.NoArgs,
	}
	c.Flags().StringVar(&chosen, "scenario", chosen,
		"the `ESTATE`: online (two forests and a tenant), workmail (a forest and Amazon WorkMail) or "+
			"workmail-exit (the way out of WorkMail, killed in every stage)")
	return a.verb(c, report.Documents|report.Outcomes|report.Events,
		func(ctx context.Context, t *task, _ []string) error {
			s, err := scenarioNamed(chosen)
			if err != nil {
				return err
			}
			return runDemo(ctx, c, a, t, s)
		})
}

// View shows the stages, and both matrices side by side.
func (d demoDocument) View() report.View {
	return report.View{Name: "demo", Title: msg.Of("Demo"), Blocks: append(slices.Clone(d.sections), d.outcome()...)}
}

func (d demoDocument) outcome() []report.Block {
	both := report.View{Blocks: []report.Block{deployment.BeforeAfter(d.Before, d.After)}}
	out := []report.Block{report.Section{Heading: msg.Of("Before and after"), View: both}}
	if d.Exit != nil {
		out = append(out, d.Exit.outcome())
	}
	return append(out, report.Source{Language: "sh", Text: demoOutro})
}

func runDemo(ctx context.Context, c *cobra.Command, a app, t *task, s scenario) error {
	dir, err := os.MkdirTemp("", "hybridge-demo-")
	if err != nil {
		return fmt.Errorf("make a directory for the lab: %w", err)
	}
	t.closers = append(t.closers, func() error { return os.RemoveAll(dir) })
	t.note("bringing up a lab: %s, on this machine ...", s.title)
	o := s.lab
	o.Dir, o.Log = dir, t.log
	l, err := lab.Start(ctx, o)
	if err != nil {
		return fmt.Errorf("start the lab: %w", err)
	}
	t.closers = append([]func() error{l.Close}, t.closers...)
	// The demo always uses the lab: it ignores the answers and the state directory of the command
	// line and the environment.
	t.answersFile, t.stateDir, t.only, t.skip = l.Answers(), filepath.Join(dir, "state"), nil, nil
	t.nonInteractive = true
	described, err := answers.Load(ctx, l.Answers())
	if err != nil {
		return err
	}
	if err := t.openWith(described); err != nil {
		return err
	}

	d := demoDocument{APIVersion: report.APIVersion, Kind: "DemoReport"}
	// A person sees each stage when it ends.
	show := func(heading msg.Text, stage report.Document) error {
		section := report.Section{Heading: heading, View: stage.View()}
		d.sections = append(d.sections, section)
		if !t.text() {
			return nil
		}
		return t.write(blocks{section})
	}
	checked := func() (err error) {
		if d.Check, err = t.deployed.Check(ctx, t.obs); err != nil {
			return err
		}
		return show(msg.Of("Prerequisites"), d.Check)
	}
	before := func() (err error) {
		if d.Before, err = t.deployed.Test(ctx, deployment.TestOptions{}, t.obs); err != nil {
			return err
		}
		return show(msg.Of("Free/busy before"), d.Before)
	}
	connected := func() (err error) {
		if d.Plan, err = t.deployed.Plan(ctx, t.obs); err != nil {
			return err
		}
		if err := show(msg.Of("Plan"), d.Plan); err != nil {
			return err
		}
		if d.Apply, err = t.deployed.Apply(ctx, d.Plan, t.applyOptions(applyOptions{}), t.obs); err != nil {
			return err
		}
		d.Apply.Journal = "" // it goes with the lab
		return show(msg.Of("Apply"), d.Apply)
	}
	left := func() error {
		e, err := t.leaveWorkMail(ctx, l, described, func(n int, s demoStage) error {
			return show(msg.Of("The way out, stage %d", n), s)
		})
		d.Exit = &e
		return err
	}
	after := func() (err error) {
		if d.After, err = t.deployed.Test(ctx, deployment.TestOptions{}, t.obs); err != nil {
			return err
		}
		return show(msg.Of("Free/busy after"), d.After)
	}
	stages := []func() error{checked, before, connected, after}
	if s.exit {
		stages = []func() error{connected, checked, before, left, after}
	}
	for _, stage := range stages {
		if err := stage(); err != nil {
			return err
		}
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	var whole report.Document = d
	if t.text() {
		whole = blocks(d.outcome())
	}
	if err := t.write(whole); err != nil {
		return err
	}
	if code := resultCode(d); code != exitFine {
		return quietly(code)
	}
	if s.exit {
		return nil // what was removed there does not come back
	}
	return offerWizard(ctx, c, a, t, d.Apply.RunID)
}

// blocks is a part of a document.
type blocks []report.Block

func (b blocks) View() report.View { return report.View{Blocks: b} }

const demoOutro = `How to go on:
  hybridge lab start --dir lab              # the same lab, until Ctrl-C
                                            # (--cloud workmail: WorkMail)
  hybridge wizard -f lab/answers.yaml       # in another terminal: step by step
  hybridge lab faults                       # what --fault can break in it
  hybridge init --output-file answers.yaml  # your own organization
`

// offerWizard runs the wizard over the demo's lab from the beginning, when a person wants that.
// What the run did is rolled back before.
func offerWizard(ctx context.Context, c *cobra.Command, a app, t *task, run string) error {
	if !t.text() || a.outputFile != "" || a.nonInteractive || !a.canDraw() || !a.ErrTTY || a.Env("CI") != "" {
		return nil
	}
	yes, err := t.confirm(ctx, "\nDo the same yourself in the wizard, from the beginning?")
	if err != nil || !yes {
		return err
	}
	silent := observe.Func(func(observe.Event) {})
	if _, err := t.deployed.Rollback(ctx, run, t.applyOptions(applyOptions{}), silent); err != nil {
		return fmt.Errorf("set the lab back: %w", err)
	}
	inLab := t.globals
	inLab.nonInteractive = false
	a.globals = &inLab
	return walkWizard(c, a, true)
}
