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
	discover := false
	c := &cobra.Command{
		Use:     "init [--discover [DOMAIN]...]",
		GroupID: "flow",
		Short:   "Write a commented answers file with placeholders",
		Long: `Init writes a commented answers file to standard output, or to --output-file (in Windows
PowerShell 5, > writes UTF-16). Replace each <placeholder>.

With --discover, init looks for the answers: in DNS, in Active Directory of each DOMAIN (the root domain of a
forest; this computer's when there is none), and at the sign-in hosts of the clouds. It changes nothing there.
The head of the file lists where each answer was found. Active Directory is read as the user who runs
hybridge. For another account, or behind a proxy, name a file with -f that has forests[].directory.bind or
network: its answers stay.

Scenarios:
` + list.String(),
		Example: `  hybridge init --scenario multi-forest --output-file answers.yaml
  hybridge init --discover contoso.com fabrikam.example --output-file answers.yaml`,
	}
	c.Flags().BoolVar(&discover, "discover", false, "look for the answers in DNS, Active Directory and the clouds")
	c.Flags().StringVar(&scenario, "scenario", scenario, "the `SCENARIO`: "+strings.Join(ids, ", "))
	_ = c.RegisterFlagCompletionFunc("scenario", cobra.FixedCompletions(ids, cobra.ShellCompDirectiveNoFileComp))
	c.PreRunE = func(cmd *cobra.Command, domains []string) error {
		switch {
		case cmd.Flags().Changed("answers") && !discover:
			return usage("-f names answers to read: name the file to write with --output-file")
		case len(domains) > 0 && !discover:
			return usage("domains are looked at with --discover: hybridge init --discover %s", domains[0])
		}
		scenario = scenarioFor(scenario, cmd.Flags().Changed("scenario"), len(domains))
		if path := a.outputFile; path != "" {
			if _, err := os.Lstat(path); err == nil {
				return usage("%s exists already: choose another name, or remove it", path)
			}
		}
		return nil
	}
	return a.verb(c, 0, func(ctx context.Context, t *task, domains []string) error {
		if discover {
			return t.discover(ctx, scenario, domains)
		}
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
