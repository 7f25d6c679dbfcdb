package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/text/message"

	"github.com/hybridge-cli/hybridge/pkg/config/answers"
	"github.com/hybridge-cli/hybridge/pkg/config/spelling"
	"github.com/hybridge-cli/hybridge/pkg/engine/apply"
	"github.com/hybridge-cli/hybridge/pkg/engine/broken"
	"github.com/hybridge-cli/hybridge/pkg/engine/change"
	"github.com/hybridge-cli/hybridge/pkg/engine/msg"
	"github.com/hybridge-cli/hybridge/pkg/engine/observe"
	"github.com/hybridge-cli/hybridge/pkg/engine/report"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/deployment"
	"github.com/hybridge-cli/hybridge/wizard/stage"
)

// deployed is an opened deployment; *deployment.Deployment is one.
type deployed interface {
	stage.Engine
	questioned
	Rollback(ctx context.Context, runID string, o apply.Options, obs observe.Observer) (apply.Report, error)
	Scripts(ctx context.Context, p change.Plan) ([]deployment.Script, error)
	Runbook(ctx context.Context, p change.Plan, role string) ([]byte, error)
	Notify(ctx context.Context, about report.About, seen []report.Outcome) error
	Rotate(ctx context.Context, r deployment.Rotation, obs observe.Observer) (change.Plan, error)
	Collect(ctx context.Context, obs observe.Observer) (deployment.Snapshot, error)
	Drift(ctx context.Context, obs observe.Observer) (apply.Drift, error)
	PreviewRollback(ctx context.Context, runID string, o apply.Options, obs observe.Observer) (apply.Undo, error)
}

// opener opens a deployment. Nothing is connected to yet.
type opener func(answers.Answers, deployment.Options) (deployed, error)

// app is what every verb shares: its streams, the common flags, and how a deployment is opened.
type app struct {
	streams
	*globals
	opener
	tasks *tasks
}

// tasks are the running commands: one, or two when a demo starts the wizard.
type tasks struct {
	running []*task
	help    error // why help could not be shown
}

// globals are the flags that every verb has.
type globals struct {
	answersFile    string
	output         string
	outputFile     string
	nonInteractive bool
	accessible     bool // the wizard in plain lines
	yes            bool
	noColor        bool
	language       string
	timeout        time.Duration
	parallel       int
	stateDir       string
	logLevel       string
	logFile        string
	only, skip     []string
	accept         []string // ids of deployment.Consents
}

// plainly reports whether the wizard asks in plain lines: where a person wants that, or where the
// terminal cannot be drawn on.
func (a app) plainly() bool { return a.accessible || a.InTTY && a.OutTTY && !a.canDraw() }

// printer renders text for people in their language: that which they name, or that of the
// environment where the terminal is UTF-8. nil for English.
func (g *globals) printer(s streams) *message.Printer {
	switch {
	case g.language != "":
		return msg.Printer(msg.Language(g.language))
	case s.utf8():
		return msg.Printer(msg.Preferred(s.Env))
	}
	return nil
}

// look is how text for people looks on a stream.
func (g *globals) look(s streams, tty bool) report.Style {
	style := s.style(tty, g.noColor)
	style.Language = g.printer(s)
	return style
}

// lookAside is how text for people looks on standard error.
func (g *globals) lookAside(s streams) report.Style {
	style := g.look(s, s.ErrTTY)
	style.Width = s.ErrWidth
	return style
}

// run is the whole program: it parses args, carries out one command, and returns the exit code.
func run(args []string, s streams, open opener) int {
	asked := []os.Signal{os.Interrupt, syscall.SIGTERM}
	if !signal.Ignored(syscall.SIGHUP) { // as under nohup
		asked = append(asked, syscall.SIGHUP) // a terminal or an SSH session that went away
	}
	ctx, stop := signal.NotifyContext(context.Background(), asked...)
	defer stop()
	// The first signal cancels. The second is no longer caught and ends the process. The journal
	// survives both.
	context.AfterFunc(ctx, stop)
	return runIn(ctx, args, s, open)
}

func runIn(ctx context.Context, args []string, s streams, open opener) int {
	running := &tasks{}
	root := newRootCommand(s, open, running)
	root.SetArgs(args)
	root.SetIn(s.In)
	root.SetOut(s.Out)
	root.SetErr(s.Err)
	cmd, err := carryOut(ctx, root)
	if err == nil {
		err = running.help
	}
	if cmd != nil && cmd.Context() != nil {
		ctx = cmd.Context() // with the time limit
	}
	f := explain(ctx, cmd, err)
	for _, t := range slices.Backward(running.running) {
		if endErr := t.end(f); endErr != nil && f.Code == exitFine {
			f = explain(ctx, cmd, endErr)
		}
	}
	if len(running.running) == 0 && f.Message != "" && !errors.Is(err, errFormat) {
		failEarly(s.Out, args, f)
	}
	complain(s, f)
	if bug := (*broken.Error)(nil); errors.As(err, &bug) {
		fmt.Fprintf(s.Err, "\n%s", report.Sanitize(string(bug.Stack)))
	}
	return f.Code
}

// carryOut runs the command. A panic is an unexpected failure (exit 1): the code of a process that
// Go ends, 2, means wrong usage.
func carryOut(ctx context.Context, root *cobra.Command) (cmd *cobra.Command, err error) {
	defer broken.Into(&err, "hybridge")
	return root.ExecuteContextC(ctx)
}

// failEarly writes the failure of a run that ended before it had a task, where a machine reads.
func failEarly(w io.Writer, args []string, f report.Failure) {
	for i, arg := range args {
		name, found := strings.CutPrefix(arg, "--output=")
		if !found {
			name, found = strings.CutPrefix(arg, "-o")
		}
		if arg == "-o" || arg == "--output" {
			name, found = strings.Join(args[min(i+1, len(args)):min(i+2, len(args))], ""), true
		}
		if found {
			if format, known := report.Named(strings.TrimPrefix(name, "=")); known {
				writer := format.Open(w, report.Options{Version: version})
				_, _ = writer.Fail(f), writer.End(f.Code)
			}
			return
		}
	}
}

func newRootCommand(s streams, open opener, running *tasks) *cobra.Command {
	g := &globals{}
	a := app{s, g, open, running}
	root := &cobra.Command{
		Use:   "hybridge",
		Short: "Set up and check Exchange hybrid",
		Long: `hybridge connects on-premises Exchange, in one or many Active Directory forests, with
Exchange Online. It checks the prerequisites, plans the changes on every side, applies
them with a journal, and tests free/busy in both directions until it works.

On a terminal, hybridge without a command is a wizard over these steps. With --answers FILE
and --non-interactive it runs all of them in plain lines.`,
		Example: `  hybridge demo                                     # see it work, on a simulated estate
  hybridge init --scenario multi-forest --output-file answers.yaml
  hybridge check -f answers.yaml
  hybridge plan  -f answers.yaml --out plan.json
  hybridge apply plan.json -f answers.yaml
  hybridge test  -f answers.yaml`,
		Version:           version,
		SilenceErrors:     true,
		SilenceUsage:      true,
		Args:              cobra.NoArgs,
		DisableAutoGenTag: true,
	}
	unattended := newUnattendedRun(a)
	root.RunE = func(cmd *cobra.Command, args []string) error {
		if !g.nonInteractive && (s.canDraw() || s.canAsk() && a.plainly() && s.Env("CI") == "") {
			return runWizard(cmd, a)
		}
		if g.answersFile == "" {
			return usage("there is no terminal for the wizard: name the answers with --answers FILE, or a command")
		}
		return unattended.RunE(cmd, args)
	}
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		// The flags of a misspelt command are unknown too: what is wrong is the command.
		if args := cmd.Flags().Args(); cmd.HasSubCommands() && len(args) > 0 {
			if wrong := cmd.ValidateArgs(args); wrong != nil {
				return wrong
			}
		}
		return flagFault(cmd, err)
	})
	root.SetOut(s.Out) // where the scripts of completion go
	root.AddGroup(
		&cobra.Group{ID: "flow", Title: "The way to a working hybrid:"},
		&cobra.Group{ID: "back", Title: "Looking back:"},
		&cobra.Group{ID: "try", Title: "Trying it out:"},
		&cobra.Group{ID: "more", Title: "More:"},
	)
	root.SetHelpCommandGroupID("more")
	root.SetCompletionCommandGroupID("more")

	flags := root.PersistentFlags()
	flags.StringVarP(&g.answersFile, "answers", "f", s.Env("HYBRIDGE_ANSWERS"),
		"answers `FILE`; - is standard input (default answers.yaml, when it is here)")
	flags.StringVarP(&g.output, "output", "o", "text",
		"output `FORMAT`; every command's help lists its formats")
	flags.StringVar(&g.outputFile, "output-file", "", "write the output to `FILE` instead of standard output")
	flags.BoolVar(&g.nonInteractive, "non-interactive", false, "never ask")
	flags.BoolVar(&g.accessible, "accessible", s.Env("HYBRIDGE_ACCESSIBLE") != "",
		"ask in plain lines, for screen readers; the wizard alone")
	flags.BoolVar(&g.yes, "yes", false, "confirm changes without a prompt")
	flags.StringSliceVar(&g.accept, "accept", nil,
		"consent to this `ID` by name, see: hybridge help consents; may be given more than once")
	flags.StringVar(&g.language, "language", s.Env("HYBRIDGE_LANGUAGE"),
		"`LANGUAGE` of text for people: en, it, zh-Hans (default: that of the environment)")
	flags.BoolVar(&g.noColor, "no-color", false, "no color")
	flags.DurationVar(&g.timeout, "timeout", 0, "`TIME` that the whole run may take, as in 90s or 20m; 0 is no limit")
	flags.IntVar(&g.parallel, "parallel", 0,
		"`NUMBER` of forests and hosts at the same time (default 4; to plan, all forests)")
	flags.StringVar(&g.stateDir, "state-dir", s.Env("HYBRIDGE_STATE_DIR"),
		"`DIR` of journals and the lock; by default one per deployment, see: hybridge help environment")
	flags.StringVar(&g.logLevel, "log-level", s.Env("HYBRIDGE_LOG_LEVEL"),
		"log from this `LEVEL` to standard error, or to --log-file: trace, debug, info, warn, error")
	flags.StringVar(&g.logFile, "log-file", s.Env("HYBRIDGE_LOG_FILE"), "log to `FILE`")
	flags.StringSliceVar(&g.only, "only", nil,
		"only checks, or changes and what they need, whose id matches `GLOB`; may be given more than once")
	flags.StringSliceVar(&g.skip, "skip", nil, "exclude checks, or changes, whose id matches `GLOB`")

	_ = root.RegisterFlagCompletionFunc("output", cobra.FixedCompletions(
		report.Names(measured|report.Events), cobra.ShellCompDirectiveNoFileComp,
	))

	root.PersistentPreRunE = func(cmd *cobra.Command, _ []string) error {
		if err := flagRanges(cmd.Flags()); err != nil {
			return err
		}
		if err := narrowFault(cmd); err != nil {
			return err
		}
		var consents []string
		for _, c := range deployment.Consents() {
			consents = append(consents, c.ID)
		}
		for _, id := range g.accept {
			if !slices.Contains(consents, id) {
				return usage("--accept %s: there is no such ID%s", id, spelling.OneOf(id, consents))
			}
		}
		if g.language != "" && msg.Language(g.language) == "" {
			return usage("--language %s: there are %s", g.language, strings.Join(msg.Languages(), ", "))
		}
		if g.timeout > 0 {
			ctx, cancel := context.WithTimeout(cmd.Context(), g.timeout)
			context.AfterFunc(ctx, cancel)
			cmd.SetContext(ctx)
		}
		return nil
	}

	root.AddCommand(
		newWizardCommand(a),
		newInitCommand(a),
		newCheckCommand(a),
		newPlanCommand(a),
		newApplyCommand(a),
		newTestCommand(a),
		newRotateCommand(a),
		newValidateCommand(a),
		newExplainCommand(a),
		newRollbackCommand(a),
		newHistoryCommand(a),
		newReportCommand(a),
		newCollectCommand(a),
		newBundleCommand(a),
		newDemoCommand(a),
		newLabCommand(a),
		newSchemaCommand(a),
		newVersionCommand(a),
		newReferenceCommand(a),
	)
	root.AddCommand(newHelpTopics(a)...)
	root.InitDefaultCompletionCmd()
	if c, _, err := root.Find([]string{"completion"}); err == nil {
		c.RunE = func(cmd *cobra.Command, _ []string) error { return cmd.Help() } // so that a wrong shell is refused
	}
	root.SetHelpCommand(newHelpCommand(a))
	root.SetHelpFunc(a.showHelp(root.HelpFunc()))
	misuse(root)
	complete(a, root)
	return root
}

// operands is how many arguments a command needs at least, by its line of usage: BEFORE AFTER.
func operands(cmd *cobra.Command) int {
	words := strings.Fields(cmd.Use)[1:]
	if slices.ContainsFunc(words, func(word string) bool { return strings.ContainsAny(word, "[|") }) {
		return 0
	}
	return len(words)
}

// misuse makes errors about arguments ones of usage, in every command.
func misuse(c *cobra.Command) {
	c.DisableSuggestions = true // spelling has one rule for all names
	if check := c.Args; check != nil {
		c.Args = func(cmd *cobra.Command, args []string) error {
			err := check(cmd, args)
			if err == nil || errors.Is(err, errUsage) {
				return err
			}
			if !cmd.HasSubCommands() && len(args) < operands(cmd) {
				return usage("%s needs %s", cmd.CommandPath(), strings.Join(strings.Fields(cmd.Use)[1:], " and "))
			}
			if flag := separated(cmd.Flags()); flag != nil && !cmd.HasSubCommands() {
				return usage("--%s takes a value after an equals sign: --%[1]s=%s", flag.Name, args[len(args)-1])
			}
			if !cmd.HasSubCommands() {
				return usage("%s does not take %q; the answers file is named with -f", cmd.CommandPath(),
					args[len(args)-1])
			}
			var names []string
			for _, sub := range cmd.Commands() {
				if sub.IsAvailableCommand() {
					names = append(names, sub.Name())
				}
			}
			return usage("%w%s", err, spelling.DidYouMean(args[0], names))
		}
	}
	for _, sub := range c.Commands() {
		misuse(sub)
	}
}
