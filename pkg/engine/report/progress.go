package report

import (
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"github.com/hybridge-cli/hybridge/pkg/engine/msg"
	"github.com/hybridge-cli/hybridge/pkg/engine/observe"
)

// Progress writes one line per event. It is meant for standard error beside a report. It is an
// observe.Observer.
//
// It skips reads that follow each other quickly and shows every read that takes long, so that a
// person sees what hybridge waits for. It shows every write.
type Progress struct {
	mu      sync.Mutex
	w       io.Writer
	style   Style
	stage   string
	last    time.Time
	pending *observe.Progress
	timer   *time.Timer
	silence *time.Timer // nothing was shown yet
}

// pace is how long a read may take before it gets a line.
const pace = time.Second

// silent is how long a person sees nothing at all at the beginning.
const silent = 2 * time.Second

// writes are the stages that change something.
var writes = map[string]bool{"apply": true, "rollback": true}

// NewProgress makes a Progress on w.
func NewProgress(w io.Writer, s Style) *Progress { return &Progress{w: w, style: s} }

// Begin says that a verb waits, unless something else is shown soon.
func (p *Progress) Begin(verb string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.silence = time.AfterFunc(silent, func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		if p.silence != nil {
			p.line(Faint, msg.Of("%s: waiting for the first answer", verb))
		}
	})
}

// heard ends the silence: something is shown.
func (p *Progress) heard() {
	if p.silence != nil {
		p.silence.Stop()
	}
	p.silence = nil
}

// Observe writes a line for what a waiting person wants to know.
func (p *Progress) Observe(e observe.Event) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch e := e.(type) {
	case observe.Progress:
		if e.Rate > 0 { // it comes at its own pace
			p.line(Faint, Reading(e))
			return
		}
		since := time.Since(p.last)
		if writes[e.Stage] || e.Stage != p.stage || since >= pace {
			p.show(e)
			return
		}
		p.pending = &e
		if p.timer == nil {
			p.timer = time.AfterFunc(pace-since, p.late)
		}
	case observe.Waiting:
		p.line(Faint, msg.Of("waiting until %s: %s: %s", e.Until.Local().Format("15:04:05"), line(e.ID), line(e.What)))
	case observe.Warning:
		label := p.style.say(msg.Of("warning:"))
		text := Told(label+" "+line(e.Text), p.style.Width)
		fmt.Fprintln(p.w, p.style.paint(Caution, label)+strings.TrimPrefix(text, label))
	}
}

// Reading says how far a long read is.
func Reading(e observe.Progress) msg.Text {
	rate := msg.Number(int(e.Rate + 0.5))
	if e.Total == 0 {
		return msg.Of("%s: %s recipients read, %s per second", line(e.Text), msg.Number(e.Done), rate)
	}
	return msg.Of("%s: %s of about %s recipients read, %s per second, about %s left", line(e.Text), msg.Number(e.Done),
		msg.Number(e.Total), rate, duration(time.Duration(e.Left*float64(time.Second))))
}

func (p *Progress) line(t Tone, text msg.Text) {
	p.heard()
	for line := range strings.SplitSeq(Told(p.style.say(text), p.style.Width), "\n") {
		fmt.Fprintln(p.w, p.style.paint(t, line))
	}
}

func (p *Progress) show(e observe.Progress) {
	p.settle()
	p.stage, p.last = e.Stage, time.Now()
	if e.Total > 0 {
		p.line(Faint, msg.Of("[%d/%d] %s: %s", min(e.Done+1, e.Total), e.Total, e.Stage, line(e.Text)))
		return
	}
	p.line(Faint, msg.Of("%s: %s", e.Stage, line(e.Text)))
}

// late shows what is still the newest.
func (p *Progress) late() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.pending != nil {
		p.show(*p.pending)
	}
}

// Settle drops what is not shown yet: the stage has ended, and its report comes.
func (p *Progress) Settle() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.settle()
	p.heard()
	p.stage = ""
}

func (p *Progress) settle() {
	if p.timer != nil {
		p.timer.Stop()
	}
	p.timer, p.pending = nil, nil
}
