package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/hybridge-cli/hybridge/pkg/config/answers"
	"github.com/hybridge-cli/hybridge/pkg/engine/msg"
	"github.com/hybridge-cli/hybridge/pkg/engine/report"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/deployment"
)

type collectOptions struct {
	redact bool
	names  string
	dir    string      // of files that Export-Clixml wrote
	named  func() bool // -f was given
}

func newCollectCommand(a app) *cobra.Command {
	var wizard []string
	var o collectOptions
	c := &cobra.Command{
		Use:     "collect",
		GroupID: "back",
		Short:   "Keep everything that check and plan read, in one file; nothing is changed",
		Long: `Collect reads what all checks and the plan read, on every side, and writes it as one JSON document: a
snapshot. check --snapshot and plan --snapshot give the same results from it, on any computer, without a connection.

A snapshot holds no password, key or token. It holds names, addresses and certificates of the organization.
With --redact, other names stand there: each word that hybridge does not know is replaced by one of the same
length, the same wherever it is, and certificates are made anew. check and plan give the same results but for
the names. --names keeps what stands for what, for those who may know.

With --import, it reads files that Export-Clixml wrote, as admins and HealthChecker have them: one per cmdlet,
with its name (GetAcceptedDomain.xml, Get-ExchangeCertificate-EX1.xml). Nothing is contacted. Several forests
have a folder each. Without -f, the answers are made of the files. What they lack is unknown.

With --hcw-log, collect reads logs of Microsoft's Hybrid Configuration Wizard instead, and contacts nothing: when the
wizard ran, what stopped it, what it did, and which values it overwrote. It takes .log and .xhcw files, the folder
%AppData%\Microsoft\Exchange Hybrid Configuration, and the zip file of the wizard's support package.`,
		Example: `  hybridge collect -f answers.yaml --output-file snapshot.json
  hybridge check --snapshot snapshot.json
  hybridge plan --snapshot snapshot.json --out plan.json
  hybridge collect -f answers.yaml --redact --names names.json --output-file redacted.json
  hybridge collect --import exports --output-file snapshot.json
  hybridge collect --hcw-log 20260304_090000.log --hcw-log 20260304_090000.xhcw`,
		Args: func(c *cobra.Command, args []string) error {
			if len(wizard) > 0 { // a shell has made several files of a pattern
				return nil
			}
			return cobra.NoArgs(c, args)
		},
	}
	c.Flags().StringArrayVar(&wizard, "hcw-log", nil,
		"read a log of Microsoft's wizard: `FILE` or folder; more than once, or with further files as arguments")
	c.Flags().BoolVar(&o.redact, "redact", false, "replace names, addresses, domains, GUIDs and certificates")
	c.Flags().StringVar(&o.names, "names", "", "with --redact: write what stands for what to `FILE`, as JSON")
	c.Flags().StringVar(&o.dir, "import", "", "read what Export-Clixml wrote into `DIR` instead of the systems")
	o.named = func() bool { return c.Flags().Changed("answers") }
	return a.verb(c, report.Documents, func(ctx context.Context, t *task, args []string) error {
		if len(wizard) > 0 {
			return runWizardLogs(t, append(wizard, args...))
		}
		return runCollect(ctx, t, o)
	})
}

// runWizardLogs writes what logs of Microsoft's wizard say.
func runWizardLogs(t *task, files []string) error {
	if len(t.only)+len(t.skip) > 0 {
		return usage("--hcw-log reads whole logs: leave out --only and --skip")
	}
	log, err := readWizardLogs(files)
	if err != nil {
		return err
	}
	return t.write(log)
}

func readWizardLogs(files []string) (deployment.WizardLog, error) {
	log, err := deployment.ReadWizardLogs(files)
	if err != nil {
		return log, usage("--hcw-log: %w", err)
	}
	return log, nil
}

func runCollect(ctx context.Context, t *task, o collectOptions) error {
	if o.names != "" && !o.redact {
		return usage("--names goes with --redact")
	}
	if len(t.only)+len(t.skip) > 0 {
		return usage("a snapshot holds what all checks read: leave --only and --skip to check --snapshot")
	}
	if t.outputFile == "" && t.OutTTY {
		return usage("a snapshot is large: name a file with --output-file FILE")
	}
	s, err := t.collect(ctx, o)
	if err != nil {
		return err
	}
	if o.redact {
		if s, err = t.redact(s, o.names); err != nil {
			return err
		}
	}
	if err := t.write(s); err != nil {
		return err
	}
	t.note("%s", msg.Plural(len(s.Readings)-s.Failed(), "kept %d answer", "kept %d answers"))
	if n := s.Failed(); n > 0 {
		t.note("without an answer: %s; hybridge check --snapshot says what that leaves unknown",
			msg.Plural(n, "%d question", "%d questions"))
	}
	if t.outputFile != "" {
		t.next("hybridge check --snapshot %s", report.ShellWord(t.outputFile))
	}
	return nil
}

// collect reads the systems, or the files of a folder.
func (t *task) collect(ctx context.Context, o collectOptions) (deployment.Snapshot, error) {
	if o.dir == "" {
		if err := t.open(ctx); err != nil {
			return deployment.Snapshot{}, err
		}
		return t.deployed.Collect(ctx, t.obs)
	}
	var described *answers.Answers
	if o.named() {
		a, err := answers.Load(ctx, t.answersFile)
		if err != nil {
			return deployment.Snapshot{}, err
		}
		described = &a
	}
	in, err := deployment.Import(ctx, o.dir, described, t.options(), t.obs)
	for _, text := range in.Ignored {
		t.note("ignored %s", report.Sanitize(text))
	}
	switch {
	case errors.Is(err, deployment.ErrExported), errors.Is(err, fs.ErrNotExist):
		return in.Snapshot, usage("--import: %w", err)
	case err != nil:
		return in.Snapshot, err
	}
	t.note("read %s of %s", msg.Plural(len(in.Files), "%d file", "%d files"), report.Sanitize(o.dir))
	if described == nil {
		t.note("the answers are made of the files: name yours with --answers FILE for another judgement")
	}
	if len(in.Lacks) > 0 {
		t.note("not there, so unknown: %s", report.Sanitize(strings.Join(in.Lacks, ", ")))
	}
	return in.Snapshot, nil
}

// redact replaces the names of a snapshot, and keeps them.
func (t *task) redact(s deployment.Snapshot, file string) (deployment.Snapshot, error) {
	redacted, names, err := deployment.Redact(s)
	if err != nil {
		return redacted, err
	}
	return redacted, t.keepNames(names, file)
}

// keepNames writes what stands for what into a file that its owner alone reads.
func (t *task) keepNames(names deployment.Names, file string) error {
	if file == "" {
		return nil
	}
	f, err := newOutputFile(file)
	if err != nil {
		return usage("--names: %w", err)
	}
	raw, err := report.Compact(names.Words())
	if err == nil {
		_, err = f.Write(raw)
	}
	if err := errors.Join(err, f.commit()); err != nil {
		return fmt.Errorf("write the names: %w", err)
	}
	t.note("wrote %s: %s; it undoes the redaction, keep it to yourself", report.Sanitize(file),
		msg.Plural(len(names.Words()), "%d name", "%d names"))
	return nil
}

// fromSnapshot are the flags of verbs that a snapshot can answer.
type fromSnapshot struct {
	file    string
	answers func() bool // -f was given
}

func snapshotFlag(c *cobra.Command) *fromSnapshot {
	o := &fromSnapshot{answers: func() bool { return c.Flags().Changed("answers") }}
	c.Flags().StringVar(&o.file, "snapshot", "",
		"take what collect wrote to `FILE` instead of the systems; without -f, its answers too")
	return o
}

// openFrom is open, or opens the deployment that a snapshot describes.
func (t *task) openFrom(ctx context.Context, o *fromSnapshot) error {
	if o.file == "" {
		return t.open(ctx)
	}
	s, err := t.readSnapshot(o.file)
	if err != nil {
		return err
	}
	described, err := s.Deployment()
	if o.answers() {
		described, err = answers.Load(ctx, t.answersFile)
	}
	if err != nil {
		return err
	}
	t.is(described.Organization)
	t.recalled = true
	options := t.options()
	options.Snapshot = &s
	t.deployed, err = t.opener(described, options)
	return err
}

func (t *task) readSnapshot(file string) (deployment.Snapshot, error) {
	in := t.In
	if file != answers.Stdin {
		f, err := os.Open(file)
		if err != nil {
			return deployment.Snapshot{}, usage("--snapshot: %w", err)
		}
		defer f.Close()
		in = f
	}
	s, err := deployment.ReadSnapshot(in)
	if err != nil {
		err = usage("--snapshot %s: %w; write one with: hybridge collect --output-file FILE", report.Sanitize(file),
			err)
	}
	return s, err
}
