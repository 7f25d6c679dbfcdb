package main

import (
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/hybridge-cli/hybridge/pkg/config/answers"
	"github.com/hybridge-cli/hybridge/pkg/engine/apply"
	"github.com/hybridge-cli/hybridge/pkg/engine/msg"
	"github.com/hybridge-cli/hybridge/pkg/engine/report"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/deployment"
	"github.com/hybridge-cli/hybridge/pkg/lab"
)

// completer lists what a shell offers for a value, as "value\tdescription". It reads files at most:
// a shell that waits for a server annoys.
type completer func(a app, cmd *cobra.Command) []string

// completeFlags gives the flags of all commands their completions, by name.
var completeFlags = map[string]completer{
	"accept":    func(app, *cobra.Command) []string { return consentIDs() },
	"only":      func(app, *cobra.Command) []string { return checkGlobs() },
	"skip":      func(app, *cobra.Command) []string { return checkGlobs() },
	"fault":     func(app, *cobra.Command) []string { return faultIDs() },
	"from":      testAddresses,
	"to":        testAddresses,
	"log-level": fixed("trace", "debug", "info", "warn", "error"),
	"cloud":     fixed(lab.Clouds()...),
	"state":     func(app, *cobra.Command) []string { return labStates() },
	"split":     fixed("role"),
	"language":  fixed(msg.Languages()...),
	"scenario":  func(app, *cobra.Command) []string { return demoScenarios() },
}

// completeArguments gives commands the completions of their arguments, by their path. Files are
// offered besides where files is set.
var completeArguments = map[string]struct {
	completer
	files bool
}{
	"hybridge rollback":    {runsToUndo, true},
	"hybridge apply":       {nil, true},
	"hybridge history":     {nil, true},
	"hybridge report diff": {nil, true},
}

func fixed(v ...string) completer { return func(app, *cobra.Command) []string { return v } }

// complete registers the completions under a command.
func complete(a app, c *cobra.Command) {
	for name, of := range completeFlags {
		if f := c.LocalFlags().Lookup(name); f == nil || c.HasParent() && c.InheritedFlags().Lookup(name) == f {
			continue
		}
		_ = c.RegisterFlagCompletionFunc(name, // fails for one that has a function already
			func(cmd *cobra.Command, _ []string, typed string) ([]string, cobra.ShellCompDirective) {
				return starting(of(a, cmd), typed), cobra.ShellCompDirectiveNoFileComp
			})
	}
	if of, ok := completeArguments[c.CommandPath()]; ok && c.ValidArgsFunction == nil {
		c.ValidArgsFunction = func(cmd *cobra.Command, _ []string, typed string) ([]string, cobra.ShellCompDirective) {
			var list []string
			if of.completer != nil {
				list = starting(of.completer(a, cmd), typed)
			}
			if of.files {
				return list, cobra.ShellCompDirectiveDefault
			}
			return list, cobra.ShellCompDirectiveNoFileComp
		}
	}
	for _, sub := range c.Commands() {
		complete(a, sub)
	}
}

func starting(list []string, typed string) []string {
	return slices.DeleteFunc(slices.Clone(list), func(s string) bool { return !strings.HasPrefix(s, typed) })
}

func consentIDs() []string {
	var out []string
	for _, c := range deployment.Consents() {
		out = append(out, c.ID)
	}
	return out
}

// checkGlobs are the ids of the checks, and for each category the pattern that means all of it.
func checkGlobs() []string {
	var out []string
	for _, c := range deployment.Checks() {
		category, _, _ := strings.Cut(string(c.ID), ".")
		if all := category + ".*"; !slices.Contains(out, all) {
			out = append(out, all)
		}
		out = append(out, string(c.ID)+"\t"+c.Title)
	}
	return out
}

func labStates() []string {
	var out []string
	for _, s := range lab.States() {
		out = append(out, s.ID+"\t"+s.Title)
	}
	return out
}

func demoScenarios() []string {
	var out []string
	for _, s := range scenarios {
		out = append(out, s.id+"\t"+s.title)
	}
	return out
}

func faultIDs() []string {
	var out []string
	for _, f := range lab.Faults() {
		out = append(out, f.ID+"\t"+f.Title)
	}
	return out
}

// described reads the answers file that the command line names. Faults of the file do not matter.
func described(a app, cmd *cobra.Command) (*task, answers.Answers, bool) {
	t := &task{streams: a.streams, globals: *a.globals}
	if t.nameAnswers() != nil || t.answersFile == answers.Stdin {
		return nil, answers.Answers{}, false
	}
	read, err := answers.Load(cmd.Context(), t.answersFile)
	return t, read, err == nil
}

// testAddresses are the mailboxes of the answers' test pairs.
func testAddresses(a app, cmd *cobra.Command) []string {
	_, described, ok := described(a, cmd)
	if !ok {
		return nil
	}
	var out []string
	for _, p := range described.Tests.Pairs {
		out = append(out, p.From, p.To)
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// runsToUndo are the runs of the deployment that rollback would take, newest first.
func runsToUndo(a app, cmd *cobra.Command) []string {
	t, described, ok := described(a, cmd)
	if !ok {
		return nil
	}
	base, err := answersDir(t.answersFile)
	if err != nil {
		return nil
	}
	dir, err := t.stateDirOf(described, base)
	if err != nil {
		return nil
	}
	entries, _ := apply.History(dir) // those that can be read
	var out []string
	for _, e := range entries {
		if _, err := apply.Undoable(dir, e.RunID); err != nil {
			continue
		}
		about := e.Action + ", " + e.Outcome + ", " + e.Started.Format("2006-01-02 15:04")
		out = append(out, e.RunID+"\t"+report.Sanitize(about))
	}
	return out
}
