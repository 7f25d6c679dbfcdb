package main

import (
	"context"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/hybridge-cli/hybridge/pkg/config/answers"
)

func newInitCommand(a app) *cobra.Command {
	scenario := answers.Scenarios()[0].ID
	var list strings.Builder
	var ids []string
	for _, sc := range answers.Scenarios() {
		fmt.Fprintf(&list, "  %-15s %s\n", sc.ID, sc.Title)
		ids = append(ids, sc.ID)
	}
	c := &cobra.Command{
		Use:     "init",
		GroupID: "flow",
		Short:   "Write a commented answers file with placeholders",
		Long: `Init writes a commented answers file to standard output, or to --output-file (in Windows
PowerShell 5, > writes UTF-16). Replace each <placeholder>.

Scenarios:
` + list.String(),
		Example: `  hybridge init --scenario multi-forest --output-file answers.yaml`,
		Args:    cobra.NoArgs,
	}
	c.Flags().StringVar(&scenario, "scenario", scenario, strings.Join(ids, ", "))
	_ = c.RegisterFlagCompletionFunc("scenario", cobra.FixedCompletions(ids, cobra.ShellCompDirectiveNoFileComp))
	c.PreRunE = func(cmd *cobra.Command, _ []string) error {
		if cmd.Flags().Changed("answers") {
			return usage("-f names answers to read: name the file to write with --output-file")
		}
		if path := a.outputFile; path != "" {
			if _, err := os.Lstat(path); err == nil {
				return usage("%s exists already: choose another name, or remove it", path)
			}
		}
		return nil
	}
	return a.verb(c, 0, func(_ context.Context, t *task, _ []string) error {
		data, err := answers.Template(scenario)
		if err != nil {
			return usage("%w", err)
		}
		if _, err := t.out.Write(data); err != nil {
			return err
		}
		t.afterInit(t.outputFile)
		return nil
	})
}
