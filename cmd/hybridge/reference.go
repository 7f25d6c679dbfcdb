package main

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/hybridge-cli/hybridge/pkg/config/answers"
	"github.com/hybridge-cli/hybridge/pkg/config/cloud"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/deployment"
	"github.com/hybridge-cli/hybridge/pkg/lab"
)

// referencePages are the generated pages of the guide, by their paths under docs/. Each is rendered
// from the declarations that the program runs on.
func referencePages() map[string][]byte {
	return map[string][]byte{
		"exit-codes.md":          exitCodesPage(),
		"reference/answers.md":   answers.Markdown(),
		"reference/checks.md":    deployment.ChecksPage(),
		"reference/clouds.md":    cloud.Markdown(),
		"reference/codes.md":     deployment.CodesPage(),
		"reference/commands.md":  commandsPage(),
		"reference/diagnoses.md": deployment.DiagnosesPage(),
		"reference/faults.md":    lab.Markdown(),
		"reference/kinds.md":     deployment.KindsPage(),
	}
}

// newReferenceCommand writes the generated pages: "make docs" runs it. As a help topic it shows the
// commands page.
func newReferenceCommand(a app) *cobra.Command {
	var dir string
	c := &cobra.Command{
		Use:    "reference",
		Short:  "Write the reference pages, as Markdown",
		Hidden: true,
		Args:   cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			if dir == "" {
				_, err := a.Out.Write(commandsPage())
				return err
			}
			pages := referencePages()
			for _, name := range slices.Sorted(maps.Keys(pages)) {
				path := filepath.Join(dir, filepath.FromSlash(name))
				if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
					return fmt.Errorf("write the reference pages: %w", err)
				}
				if err := os.WriteFile(path, pages[name], 0o644); err != nil {
					return fmt.Errorf("write the reference pages: %w", err)
				}
			}
			return nil
		},
	}
	c.Flags().StringVar(&dir, "dir", "", "write every page under `DIR`; without it, the commands go to standard output")
	c.SetHelpFunc(func(cmd *cobra.Command, _ []string) { fmt.Fprintf(cmd.OutOrStdout(), "%s", commandsPage()) })
	return c
}

func exitCodesPage() []byte {
	var b strings.Builder
	b.WriteString("# Exit codes\n\nGenerated from the table in cmd/hybridge; do not edit.\n\n" +
		"They are stable: scripts may rely on them. `hybridge help exit-codes` prints them.\n\n")
	b.WriteString("| code | meaning | what to do |\n| --- | --- | --- |\n")
	for _, c := range exitCodes {
		fmt.Fprintf(&b, "| <a id=\"exit-%d\"></a>%d | %s | %s |\n", c.code, c.code, c.meaning, c.next)
	}
	b.WriteString(`
Where several apply, a refused account (4) comes before what could not be read (9), and that before what
failed (3): what could not be checked may hide another failure.

A failure writes up to three lines to standard error: ` + "`error:`" + ` says what happened, ` + "`hint:`" + `
what to do, and ` + "`see:`" + ` where to read on. With ` + "`-o json` or `-o jsonl`" + ` it is a document as well.
Only data goes to standard output.
`)
	return []byte(b.String())
}

// commandsPage renders every command with its flags.
func commandsPage() []byte {
	// The page has its own root command: its defaults must not come from the environment.
	root := newRootCommand(streams{Env: func(string) string { return "" }}, nil, nil)
	var b strings.Builder
	b.WriteString("# Commands\n\nGenerated from the commands in cmd/hybridge; do not edit. " +
		"`hybridge check --help` prints the same of one command.\n\n" +
		"Without a command, hybridge is the wizard on a terminal; " +
		"with `--answers FILE --non-interactive` it runs all stages in plain lines.\n\n" +
		"## Flags of every command\n\n")
	flagTable(&b, root.PersistentFlags())
	var walk func(*cobra.Command)
	walk = func(c *cobra.Command) {
		if c.Hidden || c.Name() == "help" || c.Name() == "completion" {
			return
		}
		// A help topic has nothing to run and nothing below; a group of commands is described by
		// its commands.
		if c.Runnable() && !c.HasSubCommands() {
			fmt.Fprintf(&b, "\n## %s\n\n%s.\n", c.CommandPath(), c.Short)
			fmt.Fprintf(&b, "\n    %s\n", strings.TrimSuffix(c.UseLine(), " [flags]"))
			if c.Long != "" {
				fmt.Fprintf(&b, "\n%s\n", indentLists(c.Long))
			}
			if c.Example != "" {
				b.WriteString("\n")
				for line := range strings.SplitSeq(c.Example, "\n") {
					fmt.Fprintf(&b, "    %s\n", strings.TrimPrefix(line, "  "))
				}
			}
			if c.LocalNonPersistentFlags().HasAvailableFlags() {
				b.WriteString("\n")
				flagTable(&b, c.LocalNonPersistentFlags())
			}
		}
		for _, sub := range c.Commands() {
			walk(sub)
		}
	}
	walk(root)
	b.WriteString("\n## Help topics\n\n`hybridge help secrets` prints one; " +
		"`hybridge completion bash` prints completions, " +
		"also for zsh, fish and powershell.\n\n| topic | what |\n| --- | --- |\n")
	for _, c := range root.Commands() {
		if c.IsAdditionalHelpTopicCommand() && !c.Hidden {
			fmt.Fprintf(&b, "| %s | %s |\n", c.Name(), c.Short)
		}
	}
	b.WriteString("\nThe [exit codes](../exit-codes.md) are the same for all commands.\n")
	return []byte(b.String())
}

// indentLists makes lines that begin with two blanks, as a terminal shows lists, a separate block
// in Markdown; elsewhere <placeholders> must not become HTML.
func indentLists(text string) string {
	var b strings.Builder
	before := ""
	for line := range strings.SplitSeq(strings.TrimRight(text, "\n"), "\n") {
		if strings.HasPrefix(line, "  ") {
			if before != "" && !strings.HasPrefix(before, "  ") {
				b.WriteString("\n")
			}
			b.WriteString("  ")
		} else {
			line = strings.ReplaceAll(line, "<", `\<`)
		}
		b.WriteString(line + "\n")
		before = line
	}
	return strings.TrimRight(b.String(), "\n")
}

func flagTable(b *strings.Builder, flags *pflag.FlagSet) {
	b.WriteString("| flag | default | what |\n| --- | --- | --- |\n")
	flags.VisitAll(func(f *pflag.Flag) {
		if f.Hidden || f.Name == "help" {
			return
		}
		name, text := pflag.UnquoteUsage(f)
		flag := "--" + f.Name
		if f.Shorthand != "" {
			flag = "-" + f.Shorthand + ", " + flag
		}
		if name != "" {
			flag += " " + name
		}
		fallback := f.DefValue
		if slices.Contains([]string{"false", "0", "0s", "[]"}, fallback) {
			fallback = ""
		}
		fmt.Fprintf(b, "| `%s` | %s | %s |\n", flag, fallback, strings.ReplaceAll(text, "|", `\|`))
	})
}
