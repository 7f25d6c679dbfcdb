package wizard

import (
	"context"
	"slices"
	"strings"
	"time"

	tea "github.com/charmbracelet/bubbletea"

	"github.com/hybridge-cli/hybridge/pkg/engine/broken"
	"github.com/hybridge-cli/hybridge/pkg/engine/msg"
	"github.com/hybridge-cli/hybridge/pkg/engine/observe"
	"github.com/hybridge-cli/hybridge/pkg/engine/report"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/deployment"
	"github.com/hybridge-cli/hybridge/wizard/stage"
)

// running is the run that is under way.
type running struct {
	number   int
	screen   screen // that it is for
	cancel   context.CancelFunc
	started  time.Time
	progress observe.Progress
	waiting  string
	reading  msg.Text // how far a long read is
	calls    *deployment.Calls
}

// patience is how long a call may go without an answer before the status line names it.
const patience = 700 * time.Millisecond

// silent names the call that has had no answer for longest, with its time; "" when all answer.
func (r *running) silent(m *model, now time.Time) string {
	if r.calls == nil {
		return ""
	}
	call, n := r.calls.Waiting()
	waited := now.Sub(call.Since)
	if n == 0 || waited < patience {
		return ""
	}
	text := m.words("waiting %s for %s", elapsed(waited), clean(call.What))
	if n > 1 {
		text += m.words(" (%d calls)", n)
	}
	return text
}

func (r *running) observe(e observe.Event) {
	switch e := e.(type) {
	case observe.Started:
		r.progress = observe.Progress{Stage: e.Stage, Total: e.Total}
	case observe.Progress:
		if e.Rate > 0 { // beside the steps
			r.reading = report.Reading(e)
			return
		}
		r.progress, r.waiting, r.reading = e, "", msg.Text{}
	case observe.Waiting:
		r.waiting = clean(e.What)
	default:
		r.screen.observe(e)
	}
}

// text says what the run does now.
func (r *running) text(m *model) string {
	var parts []string
	if r.progress.Total > 0 {
		parts = append(parts, m.words("%d of %d", r.progress.Done, r.progress.Total))
	}
	if r.progress.Text != "" {
		parts = append(parts, clean(m.term(r.progress.Text)))
	}
	if len(parts) == 0 {
		parts = append(parts, m.term(r.screen.about().step))
	}
	text := strings.Join(parts, ": ")
	if r.waiting != "" {
		text += m.words("; waiting for %s", r.waiting)
	}
	if !r.reading.IsZero() {
		text += "; " + clean(m.in(r.reading))
	}
	return text
}

// steps is how far the run is; "" when it does not know.
func (r *running) steps(m *model) string {
	if r.progress.Total == 0 {
		return ""
	}
	return m.words("%d of %d", r.progress.Done, r.progress.Total) + "  "
}

// finished ends a run.
type finished struct {
	run    int
	engine stage.Engine // also when the run failed: it is open
	opened string       // what the engine was opened with
	saved  saved
	result any
	err    error
}

// begin runs what the screen in front wants to be run. The answers are saved first, and what
// another program wrote to their file meanwhile is taken in.
func (m *model) begin() tea.Cmd {
	if m.run != nil {
		return nil
	}
	work := m.screen.run(m)
	if work == nil {
		return nil
	}
	m.runs++
	ctx, cancel := context.WithCancel(m.ctx)
	calls := &deployment.Calls{}
	ctx = deployment.WithCalls(ctx, calls)
	m.run = &running{number: m.runs, screen: m.screen, cancel: cancel, started: m.options.now(), calls: calls}
	m.said = nil
	number, engine, opened, o, q, a := m.runs, m.engine, m.opened, m.options, m.queue, m.answers
	draft := m.screen.about().draft
	if draft {
		a = m.document.Draft()
	}
	save := m.saving()
	observer := observe.Func(func(e observe.Event) { q.put(happened{number, e}) })
	person := Person{Prompt: m.typed.prompt(q), Say: func(text string) { q.put(said(text)) }, SignIn: q.signIn}
	return tea.Batch(m.pulse.Tick, func() tea.Msg {
		done := finished{run: number, engine: engine, opened: opened}
		defer func() { q.put(done) }() // behind the events
		done.saved = save()
		if done.saved.stops() {
			return nil
		}
		if d := done.saved.document; d != nil && draft {
			a = d.Draft()
		} else if d != nil {
			if a, done.saved.invalid = d.Answers(); done.saved.invalid != nil {
				return nil
			}
		}
		if done.engine != nil && done.saved.bytes != opened {
			_ = done.engine.Close(ctx)
			done.engine = nil
		}
		if done.engine == nil {
			done.opened = done.saved.bytes
			if done.engine, done.err = o.Open(ctx, a, person); done.err != nil {
				done.engine = nil
				return nil
			}
		}
		done.result, done.err = work(ctx, done.engine, observer)
		if done.err == nil {
			done.err = ctx.Err() // what was cut off is no finding
		}
		return nil
	})
}

// end takes in the result of a run.
func (m *model) end(msg finished) tea.Cmd {
	if m.run == nil || m.run.number != msg.run {
		return nil
	}
	s := m.run.screen
	m.run.cancel()
	m.run, m.said, m.engine, m.opened = nil, nil, msg.engine, m.asNow(msg.opened)
	m.over = slices.DeleteFunc(m.over, func(p pane) bool { // a question of this run has no reader any more
		switch p.(type) {
		case *secretPane, *signInPane:
			return true
		}
		return false
	})
	settled := m.settle(msg.saved, (*model).begin)
	if !msg.saved.stops() && msg.saved.invalid == nil {
		s.end(m, msg.result, msg.err)
	}
	switch {
	case m.leaving:
		return tea.Quit
	case m.returning != nil:
		to := m.returning
		m.returning = nil
		return tea.Batch(settled, m.front(to))
	}
	return settled
}

// close ends what still runs, and the engine's sessions.
func (m *model) close() {
	if m.run != nil {
		m.run.cancel()
		if !m.forced {
			m.await(m.run.number)
		}
		return // the engine is in use; its sessions end with the process
	}
	if m.engine == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(m.ctx), m.parting)
	defer cancel()
	closed := make(chan struct{})
	go func() {
		var err error
		defer close(closed)
		defer broken.Into(&err, "end the sessions")
		err = m.engine.Close(ctx)
	}()
	select {
	case <-closed:
	case <-ctx.Done():
	}
}

// await gives a cancelled run the time to end its current call: the program has ended by a signal.
func (m *model) await(number int) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(m.ctx), m.parting)
	defer cancel()
	for {
		messages, ok := m.queue.next(ctx)().(batch)
		if !ok {
			return
		}
		for _, msg := range messages {
			if done, ok := msg.(finished); ok && done.run == number {
				return
			}
		}
	}
}

// valid removes answers that are no longer asked for, and returns the faults of the rest.
func (m *model) valid() error {
	before := string(m.document.Bytes())
	m.document.Prune()
	if before != string(m.document.Bytes()) {
		m.edits++
	}
	a, err := m.document.Answers()
	if err != nil {
		return err
	}
	m.answers = a
	return nil
}

// fresh reports whether the checks were made with the answers as they are now.
func (m *model) fresh() bool { return m.document != nil && m.checked == string(m.document.Bytes()) }
