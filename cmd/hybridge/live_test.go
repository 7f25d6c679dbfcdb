package main

import (
	"bytes"
	"context"
	"io"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/hybridge-cli/hybridge/pkg/engine/observe"
	"github.com/hybridge-cli/hybridge/pkg/engine/report"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/deployment"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/freebusy"
)

var sequence = regexp.MustCompile(`\x1b\[(\??[0-9;]*)([A-Za-z])`)

// screen is what a terminal of some columns shows after some output, with auto-wrap as it is asked
// for.
func screen(t *testing.T, out string, width int) []string {
	t.Helper()
	lines, row, wraps := []string{""}, 0, true
	for len(out) > 0 {
		switch m := sequence.FindStringSubmatchIndex(out); {
		case m != nil && m[0] == 0:
			arg, kind := out[m[2]:m[3]], out[m[4]:m[5]]
			switch {
			case kind == "A":
				n, _ := strconv.Atoi(arg)
				row -= n
			case kind == "J":
				lines = append(lines[:row], "")
			case arg == "?7":
				wraps = kind == "h"
			}
			out = out[m[1]:]
			continue
		}
		if out[0] == '\n' {
			if row++; row == len(lines) {
				lines = append(lines, "")
			}
			out = out[1:]
			continue
		}
		end := strings.IndexAny(out[1:], "\n\x1b") + 1
		if end == 0 {
			end = len(out)
		}
		if text := strings.TrimPrefix(out[:end], "\r"); text != "" {
			if len(text) > width && wraps {
				t.Fatalf("a line wraps: %q", text)
			}
			lines[row] = text[:min(len(text), width)]
		}
		out = out[end:]
	}
	return lines
}

// The live table stays in its place: each round replaces it, whatever it says, and a table that is
// higher than the terminal shows the failed lookups.
func TestLiveTable(t *testing.T) {
	var out bytes.Buffer
	l := &live{w: &out, style: report.Style{Width: 60}, height: 14, every: time.Minute}
	answer := func(to string, s freebusy.Status) {
		l.last = time.Time{} // as if time had passed
		l.Observe(freebusy.Answer{From: "anna@contoso.com", To: to, Direction: "contoso -> online", Probe: "ews", Status: s})
	}
	l.Observe(observe.Started{Stage: "test"})
	for i := range 9 {
		answer("u"+strconv.Itoa(i)+"@contoso.com", deployment.OK)
	}
	l.Observe(observe.Warning{Text: "nothing was asked\x1b[2J"})
	l.Observe(observe.Warning{Text: "nothing was asked\x1b[2J"})
	l.next = time.Now()
	l.draw()
	l.Observe(observe.Started{Stage: "test"})
	answer("u7@contoso.com", deployment.Failed)
	l.draw()
	shown := strings.Join(screen(t, out.String(), 60), "\n")
	if strings.Count(shown, "STATUS") != 1 || strings.Count(shown, "round 2, running") != 1 ||
		strings.Count(shown, "warning: nothing was asked") != 1 || strings.Count(shown, "anna@contoso.com sees") > 6 ||
		!strings.Contains(shown, "failed  contoso -> online  anna@contoso.com sees u7") ||
		!strings.Contains(shown, "8 of 9 lookups work") || strings.Count(shown, "\n") > 14 {
		t.Error(shown)
	}
}

// On a terminal, --watch draws until it is cancelled, and ends with the last report.
func TestWatchOnATerminal(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
	defer cancel()
	s := &scripted{test: tested(freebusy.Failed)}
	got := executeOn(ctx, t, s, "test", "--watch=20ms")
	if got.code != exitTimeLimit && got.code != exitCancelled || !strings.Contains(got.out, "\x1b[?7l") ||
		strings.Count(got.out, "0 of 1 lookups work") == 0 || len(s.called) < 2 {
		t.Errorf("exit %d, called %v\n%s", got.code, s.called, got.out)
	}
}

// heap is how much is in use after a collection.
func heap() uint64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// An hour of --watch and more: thousands of rounds, each with a warning of its own, leave the memory
// as it is.
func TestWatchStaysSmall(t *testing.T) {
	l := &live{w: io.Discard, style: report.Style{Width: 80}, height: 40, every: time.Second}
	round := func(n int) {
		l.Observe(observe.Started{Stage: "test"})
		for i := range 20 {
			s := deployment.OK
			if (i+n)%7 == 0 {
				s = deployment.Failed
			}
			l.Observe(freebusy.Answer{From: "anna@contoso.com", To: "u" + strconv.Itoa(i) + "@contoso.com",
				Direction: "contoso -> online", Probe: "ews", Status: s, Error: strings.Repeat("x", n%500)})
		}
		l.Observe(observe.Warning{Text: "round " + strconv.Itoa(n) + strings.Repeat(" and on", 50)})
		l.next = time.Now()
		if n%50 == 0 {
			l.draw()
		}
	}
	for n := range 200 {
		round(n)
	}
	before := heap()
	for n := range 4000 {
		round(200 + n)
	}
	if after := heap(); after > before+256<<10 {
		t.Errorf("4,000 rounds added %d KB", (after-before)>>10)
	}
}
