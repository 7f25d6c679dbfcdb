package main

import (
	"cmp"
	"context"
	"errors"
	"io"

	"github.com/spf13/cobra"

	"github.com/hybridge-cli/hybridge/pkg/config/answers"
	"github.com/hybridge-cli/hybridge/pkg/engine/apply"
	"github.com/hybridge-cli/hybridge/pkg/engine/change"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/deployment"
	"github.com/hybridge-cli/hybridge/wizard"
	"github.com/hybridge-cli/hybridge/wizard/stage"
)

func newWizardCommand(a app) *cobra.Command {
	return &cobra.Command{
		Use:     "wizard",
		GroupID: "flow",
		Short:   "Run all steps on the terminal (the default there)",
		Long: `The wizard leads through all steps: answers, prerequisites, plan, apply, free/busy. Leaving it
saves the answers, and the next start continues with the rest of an interrupted apply.

With --accessible, or HYBRIDGE_ACCESSIBLE in the environment, it asks in plain lines, one after the other:
for screen readers and narrow terminals. A terminal whose TERM is dumb gets plain lines too.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if a.nonInteractive || !a.canAsk() {
				return usage("the wizard needs a terminal; without one, use --answers FILE --non-interactive")
			}
			return runWizard(cmd, a)
		},
	}
}

func runWizard(cmd *cobra.Command, a app) error {
	return walkWizard(cmd, a, false)
}

// walkWizard runs the wizard; with passing, the answers do not outlive it.
func walkWizard(cmd *cobra.Command, a app, passing bool) error {
	t, err := a.start(0)
	if err != nil {
		return err
	}
	if a.logFile == "" && a.logLevel != "" {
		return usage("the wizard has the terminal: log to a file with --log-file")
	}
	if a.answersFile == answers.Stdin {
		return usage("the wizard reads keys from standard input: name an answers file")
	}
	path := cmp.Or(a.answersFile, defaultAnswers)
	dir, err := answersDir(path)
	if err != nil {
		return err
	}
	var stateDir string // of what was opened last
	signIns := &deployment.SignIns{}
	o := wizard.Options{
		In: a.In, Out: a.Out, Path: path, Passing: passing, ASCII: !a.utf8(),
		NoColor: !a.style(a.OutTTY, a.noColor).Color, Language: a.printer(a.streams),
		Open: func(_ context.Context, described answers.Answers, p wizard.Person) (stage.Engine, error) {
			var err error
			if stateDir, err = t.stateDirOf(described, dir); err != nil {
				return nil, err
			}
			o := t.options()
			o.Dir, o.StateDir, o.Prompt, o.Say, o.SignIn = dir, stateDir, p.Prompt, p.Say, p.SignIn
			o.SignIns = signIns // changed answers open another deployment
			return a.opener(described, o)
		},
	}
	o.Hint = func(err error) string {
		_, hint := classify(context.Background(), err)
		return hint
	}
	o.Scripts = func(ctx context.Context, e stage.Engine, p change.Plan, dir string) error {
		opened, ok := e.(deployed)
		if !ok {
			return errors.New("this deployment writes no scripts")
		}
		writer := *t
		writer.Err, writer.deployed, writer.state = io.Discard, opened, stateDir // the screen is the wizard's
		return writer.writeScripts(ctx, p, planOptions{scripts: dir})
	}
	o.Browse = a.browse
	o.Certificates = func(ctx context.Context, described answers.Answers) []deployment.End {
		return deployment.CertificateEnds(ctx, described, dir)
	}
	o.Domain = func() string { return deployment.MachineDomain(a.Env) }
	o.History = func(described answers.Answers) ([]apply.Entry, error) {
		stateDir, err := t.stateDirOf(described, dir)
		if err != nil {
			return nil, err
		}
		return apply.History(stateDir)
	}
	o.Apply.Version = version
	if a.plainly() {
		err = wizard.RunLines(cmd.Context(), o, a.Width)
	} else {
		err = wizard.Run(cmd.Context(), o)
	}
	if errors.Is(err, wizard.ErrLeft) {
		return quietly(exitCancelled) // the wizard said how to go on
	}
	return err
}
