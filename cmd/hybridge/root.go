package main

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/hybridge-cli/hybridge/pkg/config/answers"
	"github.com/hybridge-cli/hybridge/pkg/config/secret"
	"github.com/hybridge-cli/hybridge/pkg/engine/apply"
	"github.com/hybridge-cli/hybridge/pkg/engine/observe"
	"github.com/hybridge-cli/hybridge/pkg/engine/report"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/deployment"
	"github.com/hybridge-cli/hybridge/wizard/stage"
)

// deployed is an opened deployment; *deployment.Deployment is one.
type deployed interface {
	stage.Engine
	Rollback(ctx context.Context, runID string, o apply.Options, obs observe.Observer) (apply.Report, error)
}

// opener opens a deployment. Nothing is connected to yet.
type opener func(answers.Answers, deployment.Options) (deployed, error)

// globals are the flags that every verb has.
type globals struct {
	answers        string
	output         string
	outputFile     string
	nonInteractive bool
	yes            bool
	noColor        bool
	timeout        time.Duration
	parallel       int
	stateDir       string
	logLevel       string
	logFile        string
	only, skip     []string
}

// run is the whole program: it parses args, carries out one command, and returns the exit code.
func run(args []string, io streams, open opener) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	// The first signal asks; a second one, no longer caught, ends the process. The journal takes that too.
	context.AfterFunc(ctx, stop)
	return runIn(ctx, args, io, open)
}

func runIn(ctx context.Context, args []string, io streams, open opener) int {
	root := newRootCommand(io, open)
	root.SetArgs(args)
	root.SetIn(io.In)
	root.SetOut(io.Out)
	root.SetErr(io.Err)
	cmd, err := root.ExecuteContextC(ctx)
	if cmd != nil && cmd.Context() != nil {
		ctx = cmd.Context() // with the time limit
	}
	return complain(io.Err, ctx, cmd, err)
}

func newRootCommand(io streams, open opener) *cobra.Command {
	g := &globals{}
	root := &cobra.Command{
		Use:   "hybridge",
		Short: "Set up and check Exchange hybrid",
		Long: `hybridge bridges on-premises Exchange, in one or many Active Directory forests, and
Exchange Online. It checks the prerequisites, plans the changes on every side, applies
them with a journal, and asks for free/busy in both directions until it works.

On a terminal, hybridge alone is a wizard over those steps. With --answers FILE and
--non-interactive it runs them all in plain lines.`,
		Example: `  hybridge demo                                     # see it work, on a simulated estate
  hybridge init --scenario multi-forest > answers.yaml
  hybridge check -f answers.yaml
  hybridge plan  -f answers.yaml --out plan.json
  hybridge apply plan.json -f answers.yaml
  hybridge test  -f answers.yaml`,
		Version:                    version,
		SuggestionsMinimumDistance: 2,
		SilenceErrors:              true,
		SilenceUsage:               true,
		Args:                       cobra.NoArgs,
		DisableAutoGenTag:          true,
	}
	root.RunE = func(cmd *cobra.Command, _ []string) error {
		if !g.nonInteractive && io.canDraw() {
			return runWizard(cmd, io, g, open)
		}
		if g.answers == "" {
			return usage("there is no terminal for the wizard: name the answers with --answers FILE, or a command")
		}
		return runUnattended(cmd, io, g, open)
	}
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usage("%w", err) })
	root.SetVersionTemplate("hybridge {{.Version}}\n")
	root.CompletionOptions.HiddenDefaultCmd = false
	root.AddGroup(
		&cobra.Group{ID: "flow", Title: "The way to a working hybrid:"},
		&cobra.Group{ID: "back", Title: "Looking back:"},
		&cobra.Group{ID: "try", Title: "Trying it out:"},
		&cobra.Group{ID: "more", Title: "More:"},
	)
	root.SetHelpCommandGroupID("more")
	root.SetCompletionCommandGroupID("more")

	flags := root.PersistentFlags()
	flags.StringVarP(&g.answers, "answers", "f", io.Env("HYBRIDGE_ANSWERS"), "answers `FILE`; - is standard input (default answers.yaml, when it is here)")
	flags.StringVarP(&g.output, "output", "o", "text", "`FORMAT` of what is written: text, json, jsonl, junit")
	flags.StringVar(&g.outputFile, "output-file", "", "write it to `FILE` instead of standard output")
	flags.BoolVar(&g.nonInteractive, "non-interactive", false, "ask nobody anything")
	flags.BoolVar(&g.yes, "yes", false, "agree to changes without being asked")
	flags.BoolVar(&g.noColor, "no-color", false, "no color")
	flags.DurationVar(&g.timeout, "timeout", 0, "time limit of the whole run, as in 90s or 20m; 0 is none")
	flags.IntVar(&g.parallel, "parallel", 4, "forests and hosts talked to at once")
	flags.StringVar(&g.stateDir, "state-dir", io.Env("HYBRIDGE_STATE_DIR"), "`DIR` of journals and the lock; by default one a deployment, see: hybridge help environment")
	flags.StringVar(&g.logLevel, "log-level", io.Env("HYBRIDGE_LOG_LEVEL"), "log to standard error, or to --log-file: debug, info, warn, error")
	flags.StringVar(&g.logFile, "log-file", io.Env("HYBRIDGE_LOG_FILE"), "log to `FILE`")
	flags.StringSliceVar(&g.only, "only", nil, "only checks, or changes, whose id matches `GLOB`; may be given more than once")
	flags.StringSliceVar(&g.skip, "skip", nil, "leave out checks, or changes, whose id matches `GLOB`")

	root.PersistentPreRunE = func(cmd *cobra.Command, _ []string) error {
		if g.timeout < 0 || g.parallel < 1 {
			return usage("--timeout must not be negative, and --parallel at least 1")
		}
		if g.timeout > 0 {
			ctx, cancel := context.WithTimeout(cmd.Context(), g.timeout)
			context.AfterFunc(ctx, cancel)
			cmd.SetContext(ctx)
		}
		return nil
	}

	root.AddCommand(
		newWizardCommand(io, g, open), newInitCommand(io, g), newCheckCommand(io, g, open), newPlanCommand(io, g, open),
		newApplyCommand(io, g, open), newTestCommand(io, g, open), newValidateCommand(io, g, open),
		newRollbackCommand(io, g, open), newHistoryCommand(io, g),
		newDemoCommand(io, g, open), newLabCommand(io, g),
		newSchemaCommand(io), newVersionCommand(io, g), newReferenceCommand(io),
	)
	root.AddCommand(newHelpTopics()...)
	misuse(root)
	return root
}

// misuse makes errors about arguments ones of usage, in every command.
func misuse(c *cobra.Command) {
	if check := c.Args; check != nil {
		c.Args = func(cmd *cobra.Command, args []string) error {
			err := check(cmd, args)
			if err == nil || errors.Is(err, errUsage) {
				return err
			}
			if near := cmd.SuggestionsFor(args[0]); len(near) > 0 {
				return usage("%w; did you mean %q?", err, near[0])
			}
			return usage("%w", err)
		}
	}
	for _, sub := range c.Commands() {
		misuse(sub)
	}
}

// session is one command at work: where its data goes, who looks on, and, once opened, the deployment.
type session struct {
	io       streams
	g        *globals
	format   string
	out      io.Writer
	lines    *report.Lines // of -o jsonl
	obs      observe.Observer
	progress *report.Progress // nil with -o jsonl
	stateDir string
	deployed deployed
	answers  answers.Answers
	log      *slog.Logger
	closers  []func() error
}

// begin readies the output; formats are those that the command can write.
func begin(s streams, g *globals, formats ...string) (*session, error) {
	if !slices.Contains(formats, g.output) {
		return nil, usage("--output %s: this command writes %s", g.output, strings.Join(formats, ", "))
	}
	r := &session{io: s, g: g, format: g.output, out: s.Out}
	var err error
	if r.log, err = r.logger(); err != nil {
		return nil, err
	}
	if g.outputFile != "" {
		f, err := newOutputFile(g.outputFile)
		if err != nil {
			return nil, usage("--output-file: %w", err)
		}
		r.out = f
		r.closers = append(r.closers, f.commit)
	}
	if r.format == "jsonl" {
		r.lines = report.NewLines(r.out, version)
		r.obs = r.lines
		return r, nil
	}
	r.progress = report.NewProgress(s.Err, s.style(s.ErrTTY, g.noColor))
	r.obs = r.progress
	return r, nil
}

// open loads the answers and opens the deployment they describe.
func (r *session) open(ctx context.Context, open opener) error {
	if err := r.g.nameAnswers(); err != nil {
		return err
	}
	a, err := answers.Load(ctx, r.g.answers)
	if err != nil {
		return err
	}
	return r.openWith(a, open)
}

func (r *session) openWith(a answers.Answers, open opener) error {
	r.answers = a
	if a.WorkMail != nil {
		r.obs.Observe(observe.Warning{Text: "workmail is read and held against the rules; nothing is checked or set up there so far"})
	}
	dir, err := answersDir(r.g.answers)
	if err != nil {
		return err
	}
	if r.stateDir, err = r.g.stateDirOf(r.io, a, dir); err != nil {
		return err
	}
	o := deployment.Options{
		Dir: dir, StateDir: r.stateDir, Parallel: r.g.parallel, Only: r.g.only, Skip: r.g.skip, Version: version, Log: r.log,
	}
	if r.interactive() {
		o.Prompt, o.Say = r.prompt, func(text string) { fmt.Fprintln(r.io.Err, report.Sanitize(text)) }
	}
	if r.deployed, err = open(a, o); err != nil {
		return err
	}
	r.closers = append([]func() error{func() error {
		// Sessions are ended at the servers also after a cancel.
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		// What was done is done: a session that is left for its server to end is worth a word, not a failure.
		if err := r.deployed.Close(ctx); err != nil {
			r.log.Warn("close the deployment", "error", err)
		}
		return nil
	}}, r.closers...)
	return nil
}

// close ends the session; the first error counts, after the command's own.
func (r *session) close(err *error) {
	r.settle()
	for _, c := range r.closers {
		if closeErr := c(); *err == nil && closeErr != nil {
			*err = closeErr
		}
	}
	r.closers = nil
}

// finish writes the report in the chosen format.
func (r *session) finish(document any, text func(*report.Text), junit func(io.Writer) error) error {
	r.settle()
	switch r.format {
	case "json":
		return report.JSON(r.out, document)
	case "jsonl":
		return r.lines.Finish(document)
	case "junit":
		return junit(r.out)
	}
	t := r.text()
	text(t)
	return t.Err()
}

// settle ends the telling of what goes on: what is written next is the last word on it.
func (r *session) settle() {
	if r.progress != nil {
		r.progress.Settle()
	}
}

// text writes to where the data goes.
func (r *session) text() *report.Text {
	return report.NewText(r.out, r.io.style(r.io.OutTTY && r.g.outputFile == "", r.g.noColor))
}

// aside writes for a person who watches, whatever the format of the data.
func (r *session) aside() *report.Text {
	r.settle()
	return report.NewText(r.io.Err, r.io.style(r.io.ErrTTY, r.g.noColor))
}

// interactive tells that somebody is there to be asked.
func (r *session) interactive() bool {
	return r.io.InTTY && r.io.ErrTTY && !r.g.nonInteractive && r.g.answers != answers.Stdin && r.io.Env("CI") == ""
}

// prompt asks for a secret, unseen.
func (r *session) prompt(ctx context.Context, label string) (secret.Value, error) {
	f, ok := r.io.In.(*os.File)
	if !ok {
		return secret.Value{}, secret.ErrNobodyToAsk
	}
	r.settle()
	fmt.Fprintf(r.io.Err, "%s: ", report.Sanitize(label))
	state, stateErr := term.GetState(int(f.Fd()))
	type answer struct {
		text []byte
		err  error
	}
	typed := make(chan answer, 1)
	go func() {
		text, err := term.ReadPassword(int(f.Fd()))
		typed <- answer{text, err}
	}()
	defer fmt.Fprintln(r.io.Err)
	select {
	case a := <-typed:
		return secret.NewValue(string(a.text)), a.err
	case <-ctx.Done():
		if stateErr == nil {
			_ = term.Restore(int(f.Fd()), state) // the echo was off
		}
		return secret.Value{}, context.Cause(ctx)
	}
}

// confirm asks a yes-or-no question.
func (r *session) confirm(ctx context.Context, question string) (bool, error) {
	r.settle()
	fmt.Fprintf(r.io.Err, "%s [y/N] ", question)
	type answer struct {
		text string
		err  error
	}
	typed := make(chan answer, 1)
	go func() {
		// A byte at a time: what follows the line is not ours.
		var line []byte
		b := make([]byte, 1)
		for {
			n, err := r.io.In.Read(b)
			if n > 0 && b[0] != '\n' {
				line = append(line, b[0])
			}
			if err != nil || n > 0 && b[0] == '\n' || len(line) > 100 {
				typed <- answer{string(line), err}
				return
			}
		}
	}()
	select {
	case a := <-typed:
		if a.err != nil && !errors.Is(a.err, io.EOF) {
			return false, a.err
		}
		text := strings.ToLower(strings.TrimSpace(a.text))
		return text == "y" || text == "yes", nil
	case <-ctx.Done():
		fmt.Fprintln(r.io.Err)
		return false, context.Cause(ctx)
	}
}

// logger is silent unless --log-level or --log-file asks for a log. Nothing that is called like a secret gets into it.
func (r *session) logger() (*slog.Logger, error) {
	if r.g.logLevel == "" && r.g.logFile == "" {
		return slog.New(slog.DiscardHandler), nil
	}
	var level slog.Level
	if err := level.UnmarshalText([]byte(cmp.Or(r.g.logLevel, "info"))); err != nil {
		return nil, usage("--log-level %s: use debug, info, warn or error", r.g.logLevel)
	}
	w := r.io.Err
	if r.g.logFile != "" {
		f, err := os.OpenFile(r.g.logFile, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
		if err != nil {
			return nil, usage("--log-file: %w", err)
		}
		r.closers = append(r.closers, f.Close)
		w = f
	}
	return slog.New(slog.NewTextHandler(w, &slog.HandlerOptions{Level: level, ReplaceAttr: redact})), nil
}

var secretWords = []string{"password", "passphrase", "secret", "token", "authorization", "assertion", "cookie", "privatekey"}

func redact(_ []string, a slog.Attr) slog.Attr {
	key := strings.ToLower(strings.NewReplacer("-", "", "_", "").Replace(a.Key))
	for _, word := range secretWords {
		if strings.Contains(key, word) {
			return slog.String(a.Key, secret.Redacted)
		}
	}
	return a
}

// answersDir is what paths in the answers are relative to.
func answersDir(path string) (string, error) {
	if path == "" || path == answers.Stdin {
		return os.Getwd()
	}
	absolute, err := filepath.Abs(path)
	return filepath.Dir(absolute), err
}

// stateDirOf is --state-dir, or a directory of the deployment's own under the system's place for state: what one deployment did must not
// be rolled back in another.
func (g *globals) stateDirOf(s streams, a answers.Answers, dir string) (string, error) {
	if g.stateDir != "" {
		return filepath.Abs(g.stateDir)
	}
	base, err := stateBase(s)
	if err != nil {
		return "", fmt.Errorf("no place for journals (%w): name one with --state-dir", err)
	}
	identity := []string{a.Organization, dir}
	if a.ExchangeOnline != nil {
		identity = append(identity, a.ExchangeOnline.Cloud, a.ExchangeOnline.Tenant)
	}
	sum := sha256.Sum256([]byte(strings.Join(identity, "\x00")))
	return filepath.Join(base, "hybridge", slug(a.Organization)+"-"+hex.EncodeToString(sum[:4])), nil
}

func stateBase(s streams) (string, error) {
	switch runtime.GOOS {
	case "windows", "darwin", "ios":
		if local := s.Env("LocalAppData"); local != "" {
			return local, nil
		}
		return os.UserConfigDir()
	}
	if dir := s.Env("XDG_STATE_HOME"); filepath.IsAbs(dir) {
		return dir, nil
	}
	home := s.Env("HOME")
	if home == "" {
		return "", errors.New("HOME is not set")
	}
	return filepath.Join(home, ".local", "state"), nil
}

func slug(name string) string {
	text := strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z' || r >= '0' && r <= '9':
			return r
		case r >= 'A' && r <= 'Z':
			return r + 'a' - 'A'
		}
		return '-'
	}, name)
	text = strings.Trim(text, "-")
	return cmp.Or(text[:min(len(text), 40)], "deployment")
}

// outputFile appears under its name only when the command wrote its report, whole: one that did not must not replace an earlier one.
type outputFile struct {
	*os.File
	path    string
	written bool
	failed  error
}

func (f *outputFile) Write(p []byte) (int, error) {
	n, err := f.File.Write(p)
	f.written = true
	if err != nil && f.failed == nil {
		f.failed = err
	}
	return n, err
}

func newOutputFile(path string) (*outputFile, error) {
	if info, err := os.Stat(path); err == nil && info.IsDir() {
		return nil, fmt.Errorf("%s is a directory", path)
	} else if err == nil && !info.Mode().IsRegular() {
		f, err := os.OpenFile(path, os.O_WRONLY, 0) // a pipe or a device is written to as it is
		return &outputFile{File: f}, err
	}
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+"-*")
	return &outputFile{File: f, path: path}, err
}

func (f *outputFile) commit() error {
	err := cmp.Or(f.failed, f.Close())
	if f.path == "" {
		return err
	}
	if err != nil || !f.written {
		_ = f.Close()
		_ = os.Remove(f.Name()) // an empty or half-written file of ours
		return err
	}
	return os.Rename(f.Name(), f.path)
}
