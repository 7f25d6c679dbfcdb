package main

import (
	"github.com/spf13/cobra"
)

func newWizardCommand(s streams, g *globals, open opener) *cobra.Command {
	return &cobra.Command{
		Use:     "wizard",
		GroupID: "flow",
		Short:   "Walk through all of it on the terminal (the default there)",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if g.nonInteractive || !s.InTTY || !s.OutTTY {
				return usage("the wizard needs a terminal; without one, use --answers FILE --non-interactive")
			}
			return runWizard(cmd, s, g, open)
		},
	}
}

func runWizard(cmd *cobra.Command, s streams, g *globals, open opener) error {
	return usage("not yet")
}
