package main

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/hybridge-cli/hybridge/pkg/config/secret"
	"github.com/hybridge-cli/hybridge/pkg/engine/change"
	"github.com/hybridge-cli/hybridge/pkg/engine/report"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/deployment"
)

func newRotateCommand(a app) *cobra.Command {
	c := &cobra.Command{
		Use:     "rotate",
		GroupID: "flow",
		Short:   "Change a certificate while mail and lookups go on",
		Long: `Rotate plans the change of a certificate in the sequence that keeps mail and lookups going, shows the
plan, asks, and carries it out with a journal, as apply does. hybridge rollback undoes it. What has to
wait is named; the same command goes on later. When nothing is to be done, it says so.`,
		Example: `  hybridge rotate transport-certificate --forest contoso --pfx new.pfx --password prompt
  hybridge rotate auth-certificate stage`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	c.AddCommand(newRotateTransportCommand(a), newRotateAuthCommand(a))
	return c
}

type rotateOptions struct {
	deployment.Rotation
	password string
	out      string
	scripts  string
	force    bool
	dryRun   bool
	wait     time.Duration
}

func (o *rotateOptions) flags(c *cobra.Command, forest string) {
	c.Flags().StringVar(&o.Forest, "forest", "", forest)
	c.Flags().StringVar(&o.out, "out", "", "save the plan to `FILE`, for apply, and change nothing")
	c.Flags().StringVar(&o.scripts, "scripts", "",
		"write the plan as PowerShell scripts into `DIR`, and change nothing")
	c.Flags().BoolVar(&o.force, "force", false, "with --scripts: remove the scripts of another plan from DIR")
	c.Flags().BoolVar(&o.dryRun, "dry-run", false, "show the plan, and change nothing")
	c.Flags().DurationVar(&o.wait, "wait", 0, "`TIME` that a change may take to show when it is read back")
}

func newRotateTransportCommand(a app) *cobra.Command {
	var o rotateOptions
	c := &cobra.Command{
		Use:   "transport-certificate",
		Short: "Replace the certificate with which a forest sends and receives mail",
		Long: `Transport-certificate imports a certificate on every Mailbox server of a forest and makes the
connectors name it. A renewal that keeps issuer and subject changes no connector: Exchange uses the
certificate that ends last as soon as it is imported. With another subject, the tenant first learns
the new name at a connector beside the present one; a later run of the same command removes the
earlier connector.

Where the mail host has TLSA records and none fits the new certificate, nothing is imported: the
record is shown, and comes first. A certificate that lacks a name of the present one is refused.`,
		Example: `  hybridge rotate transport-certificate --forest contoso --pfx new.pfx --password prompt
  hybridge rotate transport-certificate --forest contoso --pfx new.pfx --dry-run
  hybridge rotate transport-certificate --forest contoso --pfx new.pfx --out plan.json`,
		Args: cobra.NoArgs,
	}
	o.flags(c, "`NAME` of the forest in the answers file; needed when it has several")
	c.Flags().StringVar(&o.PFX, "pfx", "", "the new certificate with its key and chain: a PKCS#12 `FILE`")
	c.Flags().StringVar(&o.password, "password", "", "`PLACE` of its password: "+secret.Forms+
		"; PATH is relative to the answers file")
	c.Flags().StringSliceVar(&o.Services, "services", []string{"SMTP"},
		"`SERVICE`s that it is enabled for: SMTP, IIS, IMAP, POP; none is an empty text")
	return a.verb(c, applyTraits, func(ctx context.Context, t *task, _ []string) error {
		if o.PFX == "" {
			return usage("name the new certificate with --pfx FILE")
		}
		return runRotate(ctx, t, o)
	})
}

func newRotateAuthCommand(a app) *cobra.Command {
	var o rotateOptions
	c := &cobra.Command{
		Use:   "auth-certificate stage | publish | clean",
		Short: "Replace the certificate with which a forest signs in to the tenant",
		Long: `Auth-certificate replaces the auth certificate of one forest, or of all, in three stages:

stage    makes a certificate, gives its key to the dedicated application of the tenant, and names it
         as the next one. Exchange distributes it to all servers within 12 hours.
publish  makes it the current one, when every server has it and the tenant knows its key. The present
         one stays accepted.
clean    takes back the previous one and removes the keys of earlier certificates from the
         application. It needs --accept earlier-auth-keys.`,
		Example: `  hybridge rotate auth-certificate stage
  hybridge rotate auth-certificate publish --forest contoso
  hybridge rotate auth-certificate clean --accept earlier-auth-keys`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 || !slices.Contains(deployment.AuthStages(), args[0]) {
				return usage("name one stage: %s", strings.Join(deployment.AuthStages(), ", "))
			}
			return nil
		},
		ValidArgs: deployment.AuthStages(),
	}
	o.flags(c, "`NAME` of one forest in the answers file; otherwise all")
	return a.verb(c, applyTraits, func(ctx context.Context, t *task, args []string) error {
		o.Auth = args[0]
		return runRotate(ctx, t, o)
	})
}

func runRotate(ctx context.Context, t *task, o rotateOptions) (err error) {
	if o.PFX != "" {
		if o.PFX, err = filepath.Abs(o.PFX); err != nil {
			return usage("--pfx: %w", err)
		}
	}
	if o.password != "" {
		if o.Password, err = secret.Parse(o.password); err != nil {
			return usage("--password: %w", err)
		}
	}
	o.Services = slices.DeleteFunc(o.Services, func(s string) bool { return s == "" })
	var out *outputFile
	if o.out != "" {
		if out, err = newOutputFile(o.out); err != nil {
			return usage("--out: %w", err)
		}
		defer out.commit() //nolint:errcheck // of a plan that was not made; nothing then
	}
	if err := t.open(ctx); err != nil {
		return err
	}
	if source, _, _ := o.Password.Source(); source == secret.File || source == secret.Env {
		dir, err := answersDir(t.answersFile)
		if err != nil {
			return err
		}
		if err := (secret.Resolver{Dir: dir}).Ready(o.Password); err != nil {
			return usage("--password: %w", err)
		}
	}
	plan, err := t.deployed.Rotate(ctx, o.Rotation, t.obs)
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
	if o.scripts != "" {
		if err := t.writeScripts(ctx, plan, planOptions{scripts: o.scripts, force: o.force}); err != nil {
			return err
		}
	}
	if len(plan.Changes) == 0 || o.dryRun || o.out != "" || o.scripts != "" {
		if err := t.write(plan); err != nil {
			return err
		}
		switch {
		case len(plan.Changes)+len(plan.LeftOut)+len(plan.Notes) == 0:
			t.afterRotation(o, "nothing to do: ")
		case o.out != "":
			t.next("%s", t.command(consenting(plan, "apply", o.out)...))
		}
		return quietly(rotationCode(plan))
	}
	checks, err := t.recheck(ctx, plan)
	if err != nil {
		return err
	}
	if err := t.agree(ctx, plan, checks); err != nil {
		return err
	}
	applied, err := t.deployed.Apply(ctx, plan, t.applyOptions(applyOptions{wait: o.wait}), t.obs)
	if err = t.applied(applied, t.staleHint(plan, err)); err == nil {
		if len(plan.LeftOut) > 0 {
			t.aside().View(waiting(plan))
		} else {
			t.afterRotation(o, "")
		}
		return quietly(rotationCode(plan))
	}
	return err
}

// afterRotation says what a stage has reached, and what comes next.
func (t *task) afterRotation(o rotateOptions, nothing string) {
	auth := func(words ...string) string {
		words = append([]string{"rotate", "auth-certificate"}, words...)
		if o.Forest != "" {
			words = append(words, "--forest", o.Forest)
		}
		return t.command(words...)
	}
	switch o.Auth {
	case "stage":
		t.note("%sthe next auth certificate is staged", nothing)
		t.next("12 hours later: %s", auth("publish"))
	case "publish":
		t.next("%s; when every lookup works: %s", t.command("test"),
			auth("clean", "--accept", "earlier-auth-keys"))
	case "clean":
		t.note("%sthe rotation is complete", nothing)
		t.next("%s", t.command("test"))
	default:
		if nothing != "" {
			t.note("%sthe rotation is complete", nothing)
		}
		t.next("%s", t.command("test", "--message"))
	}
}

// rotationCode is the exit code of a rotation: what waits is pending, and not inconclusive.
func rotationCode(p change.Plan) int {
	code := exitFine
	for _, l := range p.LeftOut {
		if !l.Waits {
			return exitInconclusive
		}
		code = exitPending
	}
	return code
}

// waiting is what a plan says beside its changes.
func waiting(p change.Plan) report.View {
	p.Changes = nil
	v := p.View()
	v.Blocks = v.Blocks[1:] // that there is nothing to change
	return v
}
