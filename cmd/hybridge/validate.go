package main

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/hybridge-cli/hybridge/pkg/config/spelling"
	"github.com/hybridge-cli/hybridge/pkg/engine/observe"
	"github.com/hybridge-cli/hybridge/pkg/engine/report"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/deployment"
)

// questioned is an opened deployment as validate has it: nothing of it writes.
type questioned interface {
	Validate(ctx context.Context, o deployment.ValidateOptions, obs observe.Observer) (deployment.Validation, error)
}

func newValidateCommand(a app) *cobra.Command {
	var o deployment.ValidateOptions
	var from *fromSnapshot
	var list strings.Builder
	var ids []string
	for _, s := range deployment.Subjects() {
		if s.ID == "" {
			continue
		}
		ids = append(ids, s.ID)
		fmt.Fprintf(&list, "  %-18s %s\n", strings.TrimSpace(s.ID+" "+s.Takes), s.About)
	}
	c := &cobra.Command{
		Use:     "validate",
		GroupID: "flow",
		Short:   "Say what is wrong, read-only: for the help desk",
		Long: `Validate answers one question, and changes nothing: one sentence of verdict, whose side it is, who
owns the fix, and the next step; then the detail. An address may be copied from a mail, with the name
before it. -o markdown writes a ticket.

Subjects; without one, all checks and all lookups:
` + list.String() + `
The rights of each are in: hybridge help validate-rights. A file with connections alone is enough:
hybridge init --scenario help-desk.

With --snapshot, the checks answer from what collect wrote. A snapshot holds no lookup: free/busy is unknown.

Exits 0 when nothing is wrong, 3 when something failed, 4 when a sign-in or a right is missing, 9 when
something could not be seen.`,
		Example: `  hybridge validate freebusy anna@contoso.com bob@fabrikam.com -f answers.yaml
  hybridge validate freebusy 'Anna <anna@contoso.com>' bob@fabrikam.com --both-directions
  hybridge validate user anna@contoso.com -o markdown > ticket.md
  hybridge validate oauth -f answers.yaml
  hybridge validate -f answers.yaml
  hybridge validate mailflow --snapshot snapshot.json`,
		Args: func(_ *cobra.Command, args []string) error { return subjectArgs(args, ids) },
		ValidArgsFunction: func(cmd *cobra.Command, args []string, typed string) ([]string, cobra.ShellCompDirective) {
			return starting(offerSubject(a, cmd, args), typed), cobra.ShellCompDirectiveNoFileComp
		},
	}
	c.Flags().StringVar(&o.From, "from", "", "freebusy: `ADDRESS` of the user who looks")
	c.Flags().StringVar(&o.To, "to", "", "freebusy: `ADDRESS` of the mailbox that is looked up")
	c.Flags().BoolVar(&o.Both, "both-directions", false, "freebusy: look up the other direction too")
	from = snapshotFlag(c)
	return a.verb(c, testTraits, func(ctx context.Context, t *task, args []string) error {
		if len(args) > 0 {
			o.Subject, args = args[0], args[1:]
		}
		switch o.Subject {
		case "freebusy":
			if len(args) == 2 {
				if o.From != "" || o.To != "" {
					return usage("name the two addresses once: as arguments, or with --from and --to")
				}
				o.From, o.To = args[0], args[1]
			}
			if o.From == "" || o.To == "" {
				return usage("two addresses are needed: of the user who looks (--from), and of the mailbox that is " +
					"looked up (--to)")
			}
		case "user":
			o.User = args[0]
		case "domain":
			o.Domain = args[0]
		}
		if o.Subject != "freebusy" && (o.From != "" || o.To != "" || o.Both) {
			return usage("--from, --to and --both-directions go with validate freebusy alone")
		}
		if err := addresses(&o.From, &o.To, &o.User); err != nil {
			return err
		}
		if err := t.openFrom(ctx, from); err != nil {
			return err
		}
		return runValidate(ctx, t, t.deployed, o)
	})
}

// offerSubject is what a shell offers for the next argument: a subject, then the test mailboxes of the
// answers as its addresses.
func offerSubject(a app, cmd *cobra.Command, args []string) (out []string) {
	for _, s := range deployment.Subjects() {
		switch takes := len(strings.Fields(s.Takes)); {
		case len(args) == 0 && s.ID != "":
			out = append(out, s.ID+"\t"+s.About)
		case len(args) > 0 && args[0] == s.ID && len(args) <= takes && (s.ID == "freebusy" || s.ID == "user"):
			out = testAddresses(a, cmd)
		}
	}
	return out
}

// subjectArgs refuses a subject that does not exist, and arguments that it does not take.
func subjectArgs(args, ids []string) error {
	if len(args) == 0 {
		return nil
	}
	i := slices.IndexFunc(deployment.Subjects(), func(s deployment.Subject) bool { return s.ID == args[0] })
	if args[0] == "" || i < 0 {
		return usage("cannot validate %q%s", args[0], spelling.OneOf(args[0], ids))
	}
	s, given := deployment.Subjects()[i], len(args)-1
	switch takes := len(strings.Fields(s.Takes)); {
	case given == takes, s.ID == "freebusy" && given == 0:
		return nil
	case takes == 0:
		return usage("validate %s takes no argument", s.ID)
	case s.ID == "freebusy":
		return usage("validate freebusy takes two addresses: of the user who looks, and of the mailbox that is " +
			"looked up")
	default:
		return usage("validate %s takes one argument: %s", s.ID, s.Takes)
	}
}

func runValidate(ctx context.Context, t *task, v questioned, o deployment.ValidateOptions) error {
	found, err := v.Validate(ctx, o, t.obs)
	if err != nil && len(found.Matrix) == 0 && found.Checks == nil {
		return err
	}
	if writing := t.write(found); writing != nil {
		return writing
	}
	if err != nil {
		return err
	}
	if found.Verdict.Status == deployment.Unknown {
		for _, cause := range found.Causes() {
			if _, hint := classify(ctx, cause); hint != "" {
				t.note("hint: %s", hint)
				break
			}
		}
	}
	return quietly(resultCode(found))
}

var _ report.Document = deployment.Validation{}
