package wizard

import (
	"strings"
	"testing"

	"github.com/hybridge-cli/hybridge/pkg/engine/check"
	"github.com/hybridge-cli/hybridge/pkg/engine/msg"
	"github.com/hybridge-cli/hybridge/wizard/stage"
)

const checkSummary = "1 pass, 1 warn, 1 fail, 1 skip, 2 error"

var _ = pass[*checkScreen](checkSummary, "<enter>")

func TestCheckScreen(t *testing.T) {
	b, _ := open[*checkScreen](t, given{result: newFake().checked()})
	b.until(checkSummary)
	b.goldens("check")
	b.press("p")
	b.goldens("check-problems")
	b.press("<space>")
	b.goldens("check-detail")
	b.press("<esc>p?")
	b.goldens("check-help")
	b.walk(step{"x", checkSummary}, step{"<down>", "> ERR"}, step{"<up>", "> FAIL"}, step{"<end>", "> SKIP"},
		step{"<home>", "> FAIL"})
}

// A search narrows the list; its letters are no keys, and esc shows everything again.
func TestSearch(t *testing.T) {
	b, s := open[*checkScreen](t, given{result: newFake().checked()})
	b.walk(step{"/", "/ "}, step{"quit: exchange", "0 of 6"}, step{"<ctrl+u>exchange", "2 of 6"},
		step{"<enter><down>", "> ERR   exchange.version"}, step{"<esc>", "directory.upn"})
	if b.quit || s.list.pattern() != "" {
		t.Errorf("left %t, searching %q", b.quit, s.list.pattern())
	}
	b.walk(step{"<esc>", "These are the answers"})
}

// An interrupted check is no finding, also when the engine returns a report of it.
func TestStoppedCheck(t *testing.T) {
	engine := newFake()
	engine.stuck, engine.content = stage.Check, true
	b, _ := open[*checkScreen](t, given{engine: engine})
	b.walk(step{"", "exchange.rights"}, step{"<esc>", "These are the answers"}, step{"<enter>", "exchange.rights"})
	if shown := b.m.View(); strings.Contains(shown, "1 pass, 1 warn") {
		t.Errorf("shown as a finding:\n%s", shown)
	}
}

// While a server hangs, what runs and for how long stand at the beginning of the status line,
// however long the rest is.
func TestHangingServer(t *testing.T) {
	engine := newFake()
	engine.stuck = stage.Check
	engine.checks[5].Title = strings.Repeat("a long title ", 20)
	b, _ := open[*checkScreen](t, given{engine: engine})
	b.until("a long title")
	lines := strings.Split(b.m.View(), "\n")
	if status := lines[len(lines)-2]; !strings.Contains(status, "running 0 s  5 of 6: a long title") {
		t.Errorf("status: %q", status)
	}
}

// r checks the selected finding again: its results replace those before, the others stay. What is
// cut off changes nothing.
func TestCheckAgain(t *testing.T) {
	engine := newFake()
	b, s := open[*checkScreen](t, given{engine: engine, result: engine.checked()})
	b.walk(step{"", checkSummary}, step{"", "> FAIL  directory.upn"})
	engine.checks[1].Status, engine.checks[1].Summary = check.StatusPass, msg.Plain("all of them")
	b.walk(step{"r", "2 pass, 1 warn, 0 fail, 1 skip, 2 error"},
		step{"", "directory.upn-matches-primary was checked again"}, step{"", "> PASS  directory.upn"})
	if n := len(s.results); n != 6 || b.m.runs != 1 {
		t.Errorf("%d results, %d runs", n, b.m.runs)
	}
	engine.checks[1].Status = check.StatusFail
	engine.stuck = "again"
	b.walk(step{"<space>", "reads"}, step{"r", "0 of 1"}, step{"<esc><esc>", "These are the answers"})
	if got := b.m.outcome.Check.Summary.Fail; got != 0 {
		t.Errorf("what was cut off counts: %d", got)
	}
	engine.stuck = ""
	b.walk(step{"<enter>", "2 pass"}, step{"R", checkSummary})
}
