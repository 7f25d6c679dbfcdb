package main

import (
	"fmt"
	"io"
	"os"
	"runtime"
	"strings"

	"github.com/spf13/cobra"

	"github.com/hybridge-cli/hybridge/pkg/config/answers"
	"github.com/hybridge-cli/hybridge/pkg/engine/report"
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
		Short:   "Write a commented answers file, to be filled in",
		Long:    "Init writes a commented answers file to standard output, or to --output-file (in Windows PowerShell 5, > writes UTF-16). What is yours to fill in stands there as <placeholder>.\n\nScenarios:\n" + list.String(),
		Example: `  hybridge init --scenario multi-forest --output-file answers.yaml`,
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if cmd.Flags().Changed("answers") {
				return usage("-f names answers to read: name the file to write with --output-file")
			}
			if a.output != "text" {
				return usage("--output %s: this command writes an answers file, which is YAML", a.output)
			}
			data, err := answers.Template(scenario)
			if err != nil {
				return usage("%w", err)
			}
			if err := write(a.Out, a.outputFile, data); err != nil {
				return err
			}
			a.afterInit(a.outputFile)
			return nil
		},
	}
	c.Flags().StringVar(&scenario, "scenario", scenario, strings.Join(ids, ", "))
	_ = c.RegisterFlagCompletionFunc("scenario", cobra.FixedCompletions(ids, cobra.ShellCompDirectiveNoFileComp))
	return c
}

// write writes to the file, when one is named, and never over one that is there.
func write(out io.Writer, path string, data []byte) error {
	if path == "" {
		_, err := out.Write(data)
		return err
	}
	if _, err := os.Lstat(path); err == nil {
		return usage("%s is there already: choose another name, or remove it", path)
	}
	return writeFile(path, data)
}

func newSchemaCommand(a app) *cobra.Command {
	return &cobra.Command{
		Use:     "schema",
		GroupID: "more",
		Short:   "Print the JSON Schema of the answers file",
		Args:    cobra.NoArgs,
		RunE: func(*cobra.Command, []string) (err error) {
			r, err := begin(a, "text", "json")
			if err != nil {
				return err
			}
			defer r.close(&err)
			_, err = r.out.Write(answers.Schema())
			return err
		},
	}
}

func newVersionCommand(a app) *cobra.Command {
	return &cobra.Command{
		Use:     "version",
		GroupID: "more",
		Short:   "Print the version",
		Args:    cobra.NoArgs,
		RunE: func(*cobra.Command, []string) (err error) {
			r, err := begin(a, "text", "json")
			if err != nil {
				return err
			}
			defer r.close(&err)
			if r.format == "json" {
				return report.JSON(r.out, map[string]string{
					"apiVersion": "hybridge/v1", "kind": "Version", "version": version, "go": runtime.Version(), "os": runtime.GOOS, "arch": runtime.GOARCH,
				})
			}
			_, err = fmt.Fprintf(r.out, "hybridge %s %s %s/%s\n", version, runtime.Version(), runtime.GOOS, runtime.GOARCH)
			return err
		},
	}
}
