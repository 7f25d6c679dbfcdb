package main

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/hybridge-cli/hybridge/pkg/engine/observe"
	"github.com/hybridge-cli/hybridge/pkg/engine/report"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/deployment"
)

// live draws the table of test --watch again in its place on a terminal, as answers arrive. It is an
// observe.Observer.
type live struct {
	w      io.Writer
	style  report.Style
	height int // of the terminal
	every  time.Duration
	board  deployment.Board
	said   []string // warnings, each once
	drawn  int      // lines that the next drawing replaces
	last   time.Time
	next   time.Time // of the next round; zero while one runs
}

// mostSaid is how many different warnings are kept: the newest.
const mostSaid = 20

// redraw limits how often a table is drawn.
const redraw = 200 * time.Millisecond

func (l *live) Observe(e observe.Event) {
	switch e := e.(type) {
	case observe.Started:
		l.board.Round++
		l.next = time.Time{}
	case deployment.Answer:
		l.board.Put(e, time.Now())
	case observe.Warning:
		for _, text := range l.said {
			if text == e.Text {
				return
			}
		}
		l.said = append(l.said, e.Text)
		if len(l.said) > mostSaid { // some name a time, and differ in each round
			l.said = slices.Delete(l.said, 0, len(l.said)-mostSaid)
		}
	default:
		return
	}
	if time.Since(l.last) >= redraw {
		l.draw()
	}
}

// draw replaces the table. Lines are cut at the right edge (DECAWM off): one that wraps would count
// twice.
func (l *live) draw() {
	l.last = time.Now()
	state := "running"
	if !l.next.IsZero() {
		state = "next at " + l.next.Format("15:04:05")
	}
	lines := []string{fmt.Sprintf("%s  round %d, %s; every %s until Ctrl-C", l.last.Format("15:04:05"),
		l.board.Round, state, l.every), ""}
	lines = append(lines, l.style.View(l.board.View(l.height-8-len(l.said), l.last))...)
	for _, text := range l.said {
		lines = append(lines, "warning: "+report.Sanitize(text))
	}
	var b strings.Builder
	b.WriteString("\x1b[?7l")
	if l.drawn > 0 {
		fmt.Fprintf(&b, "\x1b[%dA\r", l.drawn)
	}
	for _, line := range lines {
		b.WriteString(line + "\x1b[K\n")
	}
	b.WriteString("\x1b[J\x1b[?7h") // below: what an earlier, longer table left
	_, _ = io.WriteString(l.w, b.String())
	l.drawn = len(lines)
}
