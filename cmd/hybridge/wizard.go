package main

import (
	"cmp"
	"context"
	"errors"

	"github.com/spf13/cobra"

	"github.com/hybridge-cli/hybridge/pkg/config/answers"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/deployment"
	"github.com/hybridge-cli/hybridge/wizard"
	"github.com/hybridge-cli/hybridge/wizard/stage"
)

func newWizardCommand(s streams, g *globals, open opener) *cobra.Command {
	return &cobra.Command{
		Use:     "wizard",
		GroupID: "flow",
		Short:   "Walk through all of it on the terminal (the default there)",
		Long: `The wizard walks from the answers over the prerequisites, the plan and its apply to free/busy. Leaving it
anywhere saves the answers, and an apply that was begun goes on the next time.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if g.nonInteractive || !s.canDraw() {
				return usage("the wizard needs a terminal, and one that can move the cursor; without one, use --answers FILE --non-interactive")
			}
			return runWizard(cmd, s, g, open)
		},
	}
}

func runWizard(cmd *cobra.Command, s streams, g *globals, open opener) error {
	return walkWizard(cmd, s, g, open, false)
}

// walkWizard runs the wizard; passing tells that the answers do not outlive it.
func walkWizard(cmd *cobra.Command, s streams, g *globals, open opener, passing bool) (err error) {
	r, err := begin(s, g, "text")
	if err != nil {
		return err
	}
	defer r.close(&err)
	if g.logFile == "" && g.logLevel != "" {
		return usage("the wizard has the terminal: log to a file with --log-file")
	}
	if g.answers == answers.Stdin {
		return usage("the wizard reads keys from standard input: name an answers file")
	}
	path := cmp.Or(g.answers, defaultAnswers)
	dir, err := answersDir(path)
	if err != nil {
		return err
	}
	o := wizard.Options{
		In: s.In, Out: s.Out, Path: path, Passing: passing, ASCII: !s.utf8(), NoColor: !s.style(s.OutTTY, g.noColor).Color,
		Open: func(_ context.Context, a answers.Answers, p wizard.Person) (stage.Engine, error) {
			stateDir, err := g.stateDirOf(s, a, dir)
			if err != nil {
				return nil, err
			}
			return open(a, deployment.Options{
				Dir: dir, StateDir: stateDir, Parallel: g.parallel, Only: g.only, Skip: g.skip, Version: version, Log: r.log, Prompt: p.Prompt, Say: p.Say,
			})
		},
	}
	o.Apply.Version = version
	err = wizard.Run(cmd.Context(), o)
	if errors.Is(err, wizard.ErrLeft) {
		return quietly(exitCancelled) // it told how to go on
	}
	return err
}
