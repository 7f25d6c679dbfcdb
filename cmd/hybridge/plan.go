package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/hybridge-cli/hybridge/pkg/engine/observe"
	"github.com/hybridge-cli/hybridge/pkg/engine/report"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/deployment"
)

// narrow says to which forests and domains a plan is narrowed.
type narrow struct{ forests, domains []string }

func (n *narrow) flags(c *cobra.Command) {
	c.Flags().StringSliceVar(&n.forests, "forest", nil,
		"only changes of the forest `NAME`, and what they need; may be given more than once")
	c.Flags().StringSliceVar(&n.domains, "domain", nil,
		"only changes of objects in which `DOMAIN` is, and what they need; may be given more than once")
}

type planOptions struct {
	narrow
	out      string
	scripts  string
	split    string
	force    bool
	detailed bool
	restore  []string
	from     *fromSnapshot
}

func newPlanCommand(a app) *cobra.Command {
	var o planOptions
	c := &cobra.Command{
		Use:     "plan",
		GroupID: "flow",
		Short:   "Show what would change, as a diff; nothing is changed",
		Long: `Plan compares the desired state with the live state of every side, and shows the difference. It changes
nothing. The same facts give the same plan, byte for byte. A plan holds no secret.

--only, --forest and --domain narrow a plan. Changes that the selected ones need come along, and the plan names
them. --skip excludes changes, and those that need them.

--restore-hcw adds what a run of Microsoft's wizard overwrote, from its log, where the value is still what the wizard
wrote and hybrid does not need it so. Notes say what is not restored, and why.`,
		Example: `  hybridge plan -f answers.yaml
  hybridge plan -f answers.yaml --out plan.json       # for: hybridge apply plan.json
  hybridge plan -f answers.yaml --scripts scripts     # as scripts, a file per phase and place
  hybridge plan -f answers.yaml --forest contoso      # one forest, and what it needs
  hybridge plan -f answers.yaml --detailed-exitcode   # 5 when changes are pending`,
		Args: cobra.NoArgs,
	}
	c.Flags().StringVar(&o.out, "out", "", "save the plan to `FILE`, for apply")
	c.Flags().StringVar(&o.scripts, "scripts", "",
		"write the plan as scripts into `DIR`: PowerShell, and the AWS CLI for WorkMail")
	c.Flags().StringVar(&o.split, "split", "",
		"with --scripts: `role` makes a folder per team: entra, exchange, network, workmail")
	c.Flags().BoolVar(&o.force, "force", false, "with --scripts: remove the scripts of another plan from DIR")
	c.Flags().StringArrayVar(&o.restore, "restore-hcw", nil,
		"also restore what Microsoft's wizard overwrote: its log, or what collect --hcw-log wrote to `FILE`")
	o.narrow.flags(c)
	c.Flags().BoolVar(&o.detailed, "detailed-exitcode", false, "exit 5 when changes are pending")
	o.from = snapshotFlag(c)
	return a.fleetVerb(c, report.Documents|report.Measures|report.Events,
		func(ctx context.Context, t *task, _ []string) error { return runPlan(ctx, t, o) }, "out", "scripts",
		"snapshot", "restore-hcw")
}

func runPlan(ctx context.Context, t *task, o planOptions) (err error) {
	if o.split != "" && (o.split != splitRole || o.scripts == "") {
		return usage("--split takes the value role, and needs --scripts DIR")
	}
	var out *outputFile
	if o.out != "" { // before anything is contacted: it may not be possible
		if out, err = newOutputFile(o.out); err != nil {
			return usage("--out: %w", err)
		}
		defer out.commit() //nolint:errcheck // of a plan that was not made; nothing then
	}
	if len(o.restore) > 0 {
		if t.restore, err = deployment.ReadOverwritten(o.restore); err != nil {
			return usage("--restore-hcw: %w", err)
		}
	}
	t.narrow = o.narrow
	if err := t.openFrom(ctx, o.from); err != nil {
		return err
	}
	t.drift = o.detailed
	t.warnOfScripts()
	plan, err := t.deployed.Plan(ctx, t.obs)
	if err != nil {
		return err
	}
	if o.out != "" {
		if _, err := out.Write(plan.Encode()); err != nil {
			return fmt.Errorf("save the plan: %w", err)
		}
		if err := out.commit(); err != nil {
			return fmt.Errorf("save the plan: %w", err)
		}
		t.note("wrote %s", report.Sanitize(o.out))
	}
	if o.from.file != "" && !o.from.answers() && (o.out != "" || o.scripts != "") && len(plan.Changes) > 0 {
		t.obs.Observe(observe.Warning{Text: "the answers are those of the snapshot's maker: with -f ANSWERS, the " +
			"plan is of yours. Read it before it is applied"})
	}
	if o.scripts != "" {
		if err := t.writeScripts(ctx, plan, o); err != nil {
			return err
		}
	}
	if err := t.write(plan); err != nil {
		return err
	}
	t.afterPlan(plan, o)
	if code := resultCode(plan); code != exitFine {
		return quietly(code)
	}
	if o.detailed && len(plan.Changes) > 0 {
		return quietly(exitPending)
	}
	return nil
}
