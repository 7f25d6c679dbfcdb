package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/hybridge-cli/hybridge/pkg/config/answers"
	"github.com/hybridge-cli/hybridge/pkg/engine/observe"
	"github.com/hybridge-cli/hybridge/pkg/engine/report"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/deployment"
)

// session is one command at work: where its data goes, who looks on, and, once opened, the deployment.
type session struct {
	app
	format   string
	out      io.Writer
	lines    *report.Lines // of -o jsonl
	obs      observe.Observer
	progress *report.Progress // nil with -o jsonl
	state    string           // directory of journals and the lock
	deployed deployed
	answers  answers.Answers
	log      *slog.Logger
	closers  []func() error
}

// begin readies the output; formats are those that the command can write.
func begin(a app, formats ...string) (*session, error) {
	if !slices.Contains(formats, a.output) {
		return nil, usage("--output %s: this command writes %s", a.output, strings.Join(formats, ", "))
	}
	r := &session{app: a, format: a.output, out: a.Out}
	var err error
	if r.log, err = r.logger(); err != nil {
		return nil, err
	}
	r.log.Info("begin", "version", version)
	if a.outputFile != "" {
		f, err := newOutputFile(a.outputFile)
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
	r.progress = report.NewProgress(a.Err, a.style(a.ErrTTY, a.noColor))
	r.obs = r.progress
	return r, nil
}

// open loads the answers and opens the deployment they describe.
func (r *session) open(ctx context.Context) error {
	if err := r.nameAnswers(); err != nil {
		return err
	}
	a, err := answers.Load(ctx, r.answersFile)
	if err != nil {
		return err
	}
	return r.openWith(a)
}

func (r *session) openWith(a answers.Answers) error {
	r.answers = a
	if a.WorkMail != nil {
		r.obs.Observe(observe.Warning{Text: "workmail is read and held against the rules; nothing is checked or set up there so far"})
	}
	dir, err := answersDir(r.answersFile)
	if err != nil {
		return err
	}
	if r.state, err = r.stateDirOf(a, dir); err != nil {
		return err
	}
	o := deployment.Options{
		Dir: dir, StateDir: r.state, Parallel: r.parallel, Only: r.only, Skip: r.skip, Version: version, Log: r.log,
	}
	if r.interactive() {
		o.Prompt, o.Say = r.prompt, func(text string) { fmt.Fprintln(r.Err, report.Sanitize(text)) }
	}
	if r.deployed, err = r.opener(a, o); err != nil {
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
	if *err != nil {
		r.log.Error("end", "error", *err)
	} else {
		r.log.Info("end")
	}
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
	return report.NewText(r.out, r.style(r.OutTTY && r.outputFile == "", r.noColor))
}

// aside writes for a person who watches, whatever the format of the data.
func (r *session) aside() *report.Text {
	r.settle()
	return report.NewText(r.Err, r.style(r.ErrTTY, r.noColor))
}

// defaultAnswers is read when no answers are named and it is there, by the wizard and by every other command.
const defaultAnswers = "answers.yaml"

// nameAnswers takes the default, when nothing else is named.
func (g *globals) nameAnswers() error {
	if g.answersFile != "" {
		return nil
	}
	if _, err := os.Stat(defaultAnswers); err != nil {
		return usage("no answers: name the file with --answers FILE (write one with: hybridge init --output-file %s)", defaultAnswers)
	}
	g.answersFile = defaultAnswers
	return nil
}
