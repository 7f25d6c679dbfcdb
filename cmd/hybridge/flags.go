package main

import (
	"errors"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/hybridge-cli/hybridge/pkg/config/spelling"
)

// forms say how the values of a type of flag are written.
var forms = map[string]string{
	"duration": "write a number and a unit: 90s, 20m or 2h",
	"int":      "write a whole number, such as 4",
	"bool":     "write true or false",
}

// least is the smallest value of a flag that takes a number; 0 where it is not listed.
var least = map[string]int{"parallel": 1, "forests": 1}

// flagFault says what is wrong with a flag of a command line: one sentence with an example.
func flagFault(cmd *cobra.Command, err error) error {
	var unknown *pflag.NotExistError
	var empty *pflag.ValueRequiredError
	var invalid *pflag.InvalidValueError
	switch {
	case errors.As(err, &unknown) && unknown.GetSpecifiedShortnames() == "":
		var names []string
		cmd.Flags().VisitAll(func(f *pflag.Flag) {
			if !f.Hidden {
				names = append(names, "--"+f.Name)
			}
		})
		name := "--" + unknown.GetSpecifiedName()
		return usage("unknown flag: %s%s", name, spelling.DidYouMean(name, names))
	case errors.As(err, &empty):
		f := empty.GetFlag()
		if form := forms[f.Value.Type()]; form != "" {
			return usage("--%s needs a value; %s", f.Name, form)
		}
		name, _ := pflag.UnquoteUsage(f)
		return usage("--%s needs a value: --%s %s", f.Name, f.Name, name)
	case errors.As(err, &invalid):
		f := invalid.GetFlag()
		if form := forms[f.Value.Type()]; form != "" {
			return usage("--%s %s: %s", f.Name, invalid.GetValue(), form)
		}
		return usage("--%s %s: %w", f.Name, invalid.GetValue(), errors.Unwrap(invalid))
	}
	return usage("%w", err)
}

// flagRanges refuses numbers and durations that are too small.
func flagRanges(flags *pflag.FlagSet) (err error) {
	flags.Visit(func(f *pflag.Flag) {
		switch f.Value.Type() {
		case "duration":
			if d, _ := flags.GetDuration(f.Name); d < 0 {
				err = usage("--%s %s: it cannot be negative", f.Name, d)
			}
		case "int":
			if n, _ := flags.GetInt(f.Name); n < least[f.Name] {
				err = usage("--%s %d: it is %d at least", f.Name, n, least[f.Name])
			}
		}
	})
	return err
}

// separated is a flag that was given without its value, which need not be given; nil when there is
// none. An argument may have been meant as the value.
func separated(flags *pflag.FlagSet) (flag *pflag.Flag) {
	flags.Visit(func(f *pflag.Flag) {
		if f.NoOptDefVal == f.Value.String() && f.Value.Type() != "bool" {
			flag = f
		}
	})
	return flag
}

// narrowed are the commands that --only and --skip narrow, by the first word below the root; "" is
// the root itself. The others refuse them: a rollback that ignored --only would undo everything.
var narrowed = []string{"", "wizard", "check", "plan", "apply", "rotate", "validate", "collect", "support-bundle"}

// narrowFault refuses --only and --skip where they narrow nothing.
func narrowFault(cmd *cobra.Command) error {
	for _, name := range []string{"only", "skip"} {
		if cmd.Flags().Changed(name) && !slices.Contains(narrowed, firstWord(cmd)) {
			hint := ""
			switch firstWord(cmd) {
			case "rollback":
				hint = "; it undoes a run as a whole"
			case "test":
				hint = "; name one pair of mailboxes with --from and --to"
			}
			return usage("--%s: %s does not take it%s", name, cmd.CommandPath(), hint)
		}
	}
	return nil
}

// firstWord is the name of a command below the root; "" is the root.
func firstWord(cmd *cobra.Command) string {
	words := strings.Fields(cmd.CommandPath())
	if len(words) < 2 {
		return ""
	}
	return words[1]
}

// unused are the flags of the root that do nothing in a command. Its help leaves them out.
func unused(cmd *cobra.Command) []string {
	word := firstWord(cmd)
	if word == "" {
		return nil
	}
	var out []string
	if !slices.Contains(narrowed, word) {
		out = append(out, "only", "skip")
	}
	if word != "wizard" {
		out = append(out, "accessible")
	}
	switch word {
	case "check", "plan", "test", "validate", "history", "collect":
		out = append(out, "accept", "yes")
	case "version", "completion", "schema", "help", "explain", "report":
		out = append(out, "accept", "yes", "answers", "non-interactive", "parallel", "state-dir", "timeout")
	}
	return out
}
