package main

import (
	"bytes"
	"cmp"
	"context"
	"io"
	"log/slog"
	"os"
	"time"

	"github.com/hybridge-cli/hybridge/pkg/config/answers"
	"github.com/hybridge-cli/hybridge/pkg/config/secret"
	"github.com/hybridge-cli/hybridge/pkg/engine/observe"
	"github.com/hybridge-cli/hybridge/pkg/engine/report"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/deployment"
)

// task is one running command: its output, its observers, and, once opened, the deployment.
type task struct {
	streams
	globals // its own: what it settles on changes no other task
	opener
	verb     string
	member   string // the deployment's name in a fleet
	begun    time.Time
	about    report.About     // zero until the answers are read
	seen     []report.Outcome // for the receivers of the answers file
	narrow                    // of a plan
	drift    bool             // pending changes of a plan are a finding
	restore  []deployment.Overwritten
	out      io.Writer
	writer   report.Writer
	obs      observe.Observer
	progress *report.Progress // nil where the format writes events itself
	state    string           // directory of journals and the lock
	deployed deployed
	looking  bool // the answers file is for looking alone (validateOnly)
	leaving  bool // the way out of hybrid or of WorkMail, in stages
	recalled bool // a snapshot answers in the place of the systems
	log      *slog.Logger
	paged    bool
	after    bytes.Buffer   // what a person is told once the pager has shown the output
	closers  []func() error // after the output's end
}

// start opens the output and the log. The task that it gives is ended by runIn.
func (a app) start(has report.Trait) (*task, error) {
	f, err := format(a.output, has)
	if err != nil {
		return nil, err
	}
	t := &task{streams: a.streams, globals: *a.globals, opener: a.opener, out: a.Out, begun: time.Now()}
	if t.log, err = t.logger(); err != nil {
		return nil, err
	}
	t.log.Info("begin", "version", version)
	if a.outputFile != "" {
		file, err := newOutputFile(a.outputFile)
		if err != nil {
			return nil, usage("--output-file: %w", err)
		}
		if a.output == "openmetrics" {
			file.mode = 0o644 // the node exporter runs as another account
		}
		t.out = file
		t.closers = append(t.closers, file.commit)
	}
	t.writer = f.Open(t.out, report.Options{Style: t.look(t.streams, t.OutTTY && t.outputFile == ""),
		Version: version})
	var observed bool
	if t.obs, observed = t.writer.(observe.Observer); !observed {
		t.progress = report.NewProgress(a.Err, a.lookAside(a.streams))
		t.obs = t.progress
	}
	a.tasks.running = append(a.tasks.running, t)
	return t, nil
}

// open loads the answers and opens the deployment that they describe.
func (t *task) open(ctx context.Context) error {
	if err := t.nameAnswers(); err != nil {
		return err
	}
	document, err := answers.Open(ctx, t.answersFile)
	if err != nil {
		return err
	}
	a, err := document.Answers()
	if err != nil {
		return err
	}
	if !t.interactive() {
		// A missing secret would end the run in the middle. A person can be asked, or set it.
		dir, err := answersDir(t.answersFile)
		if err != nil {
			return err
		}
		if err := document.Ready(secret.Resolver{Dir: dir}.Ready); err != nil {
			return err
		}
	}
	return t.openWith(a)
}

func (t *task) openWith(a answers.Answers) error {
	t.is(cmp.Or(t.member, a.Organization))
	t.looking, t.leaving = a.ValidateOnly, a.Hybrid.IsLeaving() || a.WorkMail.IsLeaving()
	dir, err := answersDir(t.answersFile)
	if err != nil {
		return err
	}
	if t.state, err = t.stateDirOf(a, dir); err != nil {
		return err
	}
	o := t.options()
	o.Dir, o.StateDir = dir, t.state
	if t.interactive() {
		o.Prompt, o.Say = t.prompt, func(text string) { t.tell(t.Err, report.Sanitize(text)) }
	}
	t.deployed, err = t.opener(a, o)
	if err == nil && t.progress != nil {
		t.progress.Begin(t.verb)
	}
	return err
}

// is names the deployment that the run is of.
func (t *task) is(deployment string) {
	t.about = report.About{Deployment: deployment, Verb: t.verb, Time: t.begun.UTC().Truncate(time.Second),
		Hybridge: version}
	if w, ok := t.writer.(report.Beginner); ok {
		w.Begin(t.about)
	}
}

// options are what the flags say about a deployment.
func (t *task) options() deployment.Options {
	return deployment.Options{Parallel: t.parallel, Only: t.only, Skip: t.skip, Forests: t.forests, Domains: t.domains,
		Version: version, Log: t.log, Restore: t.restore}
}

// write writes a document in the format that was asked for.
func (t *task) write(d report.Document) error {
	t.settle()
	if of, ok := d.(interface {
		Of(a report.About) report.Document
	}); ok && t.about != (report.About{}) {
		d = of.Of(t.about)
	}
	t.notice(d)
	return t.writer.Write(d)
}

// end closes the deployment and the output. The first error counts.
func (t *task) end(f report.Failure) error {
	t.settle()
	if f.Message != "" {
		t.log.Error("end", "error", f.Message, "exit", f.Code)
	} else {
		t.log.Info("end", "exit", f.Code)
	}
	if t.deployed != nil {
		// Sessions are ended at the servers also after a cancel.
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		// The work is done. A session that only its server can end is a note, not a failure.
		if err := t.deployed.Close(ctx); err != nil {
			t.log.Warn("close the deployment", "error", err)
		}
	}
	var first error
	keep := func(err error) {
		if first == nil {
			first = err
		}
	}
	if f.Message != "" {
		f.About = t.about
		keep(t.writer.Fail(f))
	}
	keep(t.writer.End(f.Code))
	for _, c := range t.closers {
		keep(c())
	}
	_, _ = t.after.WriteTo(t.Err)
	return first
}

// settle ends the progress lines of a stage. Its report comes next.
func (t *task) settle() {
	if t.progress != nil {
		t.progress.Settle()
	}
}

// text reports whether the output is text, which a person reads.
func (t *task) text() bool { return t.output == "text" }

// aside writes to standard error for a person, in every format of the data.
func (t *task) aside() *report.Text {
	t.settle()
	return report.NewText(t.Err, t.lookAside(t.streams))
}

// defaultAnswers is read when no answers are named and it is there, by the wizard and by every
// other command.
const defaultAnswers = "answers.yaml"

// nameAnswers takes the default, when nothing else is named.
func (t *task) nameAnswers() error {
	if t.answersFile != "" {
		return nil
	}
	if _, err := os.Stat(defaultAnswers); err != nil {
		return usage("no answers: name the file with --answers FILE; %s", answers.HowToWrite(defaultAnswers))
	}
	t.answersFile = defaultAnswers
	return nil
}
