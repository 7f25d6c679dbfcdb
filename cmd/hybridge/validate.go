package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/hybridge-cli/hybridge/pkg/config/spelling"
	"github.com/hybridge-cli/hybridge/pkg/engine/report"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/deployment"
)

type validateOptions struct {
	from, to string
	both     bool
}

func newValidateCommand(a app) *cobra.Command {
	var o validateOptions
	c := &cobra.Command{
		Use:     "validate freebusy [FROM TO]",
		GroupID: "flow",
		Short:   "Explain one failed lookup, read-only: for the help desk",
		Long: `Validate answers one question of a user: why does FROM not see the free/busy of TO? It makes
the lookup from every side that can, and changes nothing. An address may be copied from a mail, with
the name before it.`,
		Example: `  hybridge validate freebusy anna@contoso.com bob@fabrikam.com -f answers.yaml
  hybridge validate freebusy 'Anna <anna@contoso.com>' bob@fabrikam.com --both-directions`,
		ValidArgs: []string{"freebusy"},
		Args: func(_ *cobra.Command, args []string) error {
			switch {
			case len(args) == 0:
				return usage("name what to validate: freebusy")
			case args[0] != "freebusy":
				return usage("cannot validate %q%s; name what to validate: freebusy", args[0],
					spelling.DidYouMean(args[0], []string{"freebusy"}))
			case len(args) != 1 && len(args) != 3:
				return usage("validate freebusy takes two addresses: of the user who looks, and of the mailbox that " +
					"is looked up")
			}
			return nil
		},
	}
	c.Flags().StringVar(&o.from, "from", "", "`ADDRESS` of the user who looks")
	c.Flags().StringVar(&o.to, "to", "", "`ADDRESS` of the mailbox that is looked up")
	c.Flags().BoolVar(&o.both, "both-directions", false, "look up the other direction too")
	return a.verb(c, testTraits, func(ctx context.Context, t *task, args []string) error {
		if len(args) == 3 {
			if o.from != "" || o.to != "" {
				return usage("name the two addresses once: as arguments, or with --from and --to")
			}
			o.from, o.to = args[1], args[2]
		}
		return runValidate(ctx, t, o)
	})
}

func runValidate(ctx context.Context, t *task, o validateOptions) error {
	if o.from == "" || o.to == "" {
		return usage("two addresses are needed: of the user who looks (--from), and of the mailbox that is looked up " +
			"(--to)")
	}
	if err := addresses(&o.from, &o.to); err != nil {
		return err
	}
	if err := t.open(ctx); err != nil {
		return err
	}
	all := deployment.TestReport{APIVersion: report.APIVersion, Kind: "ValidateReport", Matrix: []deployment.Answer{}}
	questions := []deployment.TestOptions{{From: o.from, To: o.to, ReadOnly: true}}
	if o.both {
		questions = append(questions, deployment.TestOptions{From: o.to, To: o.from, ReadOnly: true})
	}
	for _, q := range questions {
		tested, err := t.deployed.Test(ctx, q, t.obs)
		if err != nil {
			return err
		}
		all.Matrix = append(all.Matrix, tested.Matrix...)
		all.Summary.OK += tested.Summary.OK
		all.Summary.Failed += tested.Summary.Failed
		all.Summary.Unknown += tested.Summary.Unknown
		all.Summary.Pending += tested.Summary.Pending
	}
	if len(all.Matrix) == 0 {
		err := fmt.Errorf("no side of this deployment could be asked whether %s sees %s", o.from, o.to)
		return &exitError{code: exitInconclusive, err: err}
	}
	if err := t.write(all); err != nil {
		return err
	}
	return quietly(resultCode(all))
}
