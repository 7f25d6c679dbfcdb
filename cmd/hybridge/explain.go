package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/hybridge-cli/hybridge/pkg/engine/report"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/deployment"
)

// longestText is as much as explain reads.
const longestText = 16 << 20

func newExplainCommand(a app) *cobra.Command {
	var headers bool
	c := &cobra.Command{
		Use:     "explain [TEXT... | FILE | -]",
		GroupID: "flow",
		Short:   "Explain an error, a non-delivery report, a log or the headers of a message",
		Long: `Explain names the causes that a text can have, the most likely first: what the cause is, which probe
decides, who owns the fix, and what fixes it. It contacts nothing and needs no answers file.

The text can be an error of Exchange, Outlook, Entra or WinRM, a non-delivery report, the output of
Test-OAuthConnectivity, a log of Microsoft's wizard, or any mix of them. It comes from the arguments,
from FILE, or from standard input. A text in another language is explained when it holds a code.
Of the headers of a message, explain says as which Exchange took it, internal or external, which
tenant it was attributed to, and where the trust was lost.

A text is a hint. When nothing is known, explain says so, and the list of diagnoses is empty.`,
		Example: `  hybridge explain "Missing signing certificate"
  hybridge explain wizard.log
  hybridge explain --headers message.eml
  hybridge explain - -o json < error.txt`,
		ValidArgsFunction: func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
			return nil, cobra.ShellCompDirectiveDefault // files
		},
	}
	c.Flags().BoolVar(&headers, "headers", false, "the text is the headers of a message")
	return a.verb(c, report.Documents, func(_ context.Context, t *task, args []string) error {
		text, err := t.textToExplain(args)
		if err != nil {
			return err
		}
		e := deployment.Explain(text, headers)
		if headers && e.Message == nil {
			return usage("the text holds no headers of a message: Received or X-MS-Exchange-... is required")
		}
		if err := t.write(e); err != nil {
			return err
		}
		if len(e.Diagnoses) == 0 && e.Message == nil {
			if _, err := deployment.ReadWizardLogs(args); err == nil && len(args) == 1 {
				t.next("what Microsoft's wizard did is in: %s", t.command("collect", "--hcw-log", args[0]))
			} else {
				t.next("give the whole text, with its codes and the lines around it; " +
					"hybridge validate asks the systems")
			}
		}
		return nil
	})
}

// textToExplain is the text that the arguments name or hold.
func (t *task) textToExplain(args []string) (string, error) {
	if len(args) == 0 && t.InTTY {
		return "", usage("name a text, a file, or - for standard input")
	}
	if len(args) == 0 || len(args) == 1 && args[0] == "-" {
		return limited(t.In, "standard input")
	}
	if len(args) > 1 || strings.ContainsAny(args[0], "\n") {
		return strings.Join(args, " "), nil
	}
	file, err := os.Open(args[0])
	if err != nil {
		if namesFile(args[0]) {
			return "", unreadable(args[0], err)
		}
		return args[0], nil
	}
	defer file.Close()
	if info, err := file.Stat(); err == nil && info.IsDir() {
		return "", usage("%s: this is a directory; name a file in it", report.Sanitize(args[0]))
	}
	return limited(file, report.Sanitize(args[0]))
}

// unreadable says that a file that was named cannot be opened.
func unreadable(name string, err error) error {
	name = report.Sanitize(name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return usage("%s: there is no such file", name)
	case errors.Is(err, fs.ErrPermission):
		return usage("%s: you may not read this file", name)
	}
	return usage("%s: %w", name, err)
}

// namesFile reports whether an argument that is no file looks like the name of one.
func namesFile(arg string) bool {
	kinds := []string{".log", ".txt", ".eml", ".msg", ".xhcw", ".html", ".xml", ".json", ".csv"}
	return !strings.Contains(arg, " ") && slices.Contains(kinds, strings.ToLower(filepath.Ext(arg)))
}

func limited(r io.Reader, name string) (string, error) {
	data, err := io.ReadAll(io.LimitReader(r, longestText+1))
	if err != nil {
		return "", fmt.Errorf("read %s: %w", name, err)
	}
	if len(data) > longestText {
		return "", usage("%s is larger than 16 MiB: give the part with the error", name)
	}
	return string(data), nil
}
