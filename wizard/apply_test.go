package wizard

import (
	"errors"
	"strings"
	"testing"

	"github.com/hybridge-cli/hybridge/pkg/engine/apply"
	"github.com/hybridge-cli/hybridge/pkg/engine/report"
	"github.com/hybridge-cli/hybridge/wizard/stage"
)

var _ = pass[*applyScreen]("1 done, 0 skipped, 1 failed", "t")

func TestApplyScreen(t *testing.T) {
	b, _ := open[*applyScreen](t, given{outcome: stage.Outcome{Plan: &newFake().plan}, result: newFake().applied()})
	b.until("1 done, 0 skipped, 1 failed, 0 pending")
	b.goldens("apply")
	b.walk(step{"t", "2 ok, 1 failed"})
}

// After an apply the plan is spent: what is live is no longer what it was made from. The new plan
// can be applied.
func TestSpentPlan(t *testing.T) {
	engine := newFake()
	b, _ := open[*applyScreen](t, given{engine: engine, outcome: stage.Outcome{Plan: &newFake().plan}})
	b.until("FAIL ")
	engine.plan.Summary.Create = 7
	b.walk(step{"<esc>", "7 to create"}, step{"<enter>", "y applies it"}, step{"y", "1 done"})
	if b.m.runs != 4 || b.m.outcome.Apply == nil {
		t.Errorf("%d runs, want apply, plan, the checks again and apply", b.m.runs)
	}
}

// What servers say of a change does not drive the terminal.
func TestApplyErrorsAreCleaned(t *testing.T) {
	engine := newFake()
	engine.apply[1].Error = "refused \x1b]0;gotcha\x07\x1b[2Jby policy"
	b, _ := open[*applyScreen](t, given{engine: engine, outcome: stage.Outcome{Plan: &engine.plan}})
	b.until("FAIL ")
	if text := b.m.View(); strings.ContainsAny(text, "\x1b\x07") || !strings.Contains(text, "by policy") {
		t.Errorf("%q", text)
	}
}

// An apply is whole when nothing failed and nothing is left to do.
func TestWhole(t *testing.T) {
	for _, test := range []struct {
		report *apply.Report
		err    error
		want   bool
	}{
		{nil, nil, false},
		{&apply.Report{Summary: apply.Summary{Done: 2, Skipped: 1}}, nil, true},
		{&apply.Report{Summary: apply.Summary{Done: 1, Failed: 1}}, nil, false},
		{&apply.Report{Summary: apply.Summary{Done: 1, Pending: 1}}, nil, false},
		{&apply.Report{Summary: apply.Summary{Done: 1}}, errors.New("x"), false},
	} {
		s := &applyScreen{report: test.report}
		s.err = test.err
		if got := s.whole(); got != test.want {
			t.Errorf("%+v, %v: %t", test.report, test.err, got)
		}
	}
}

// After an apply that was cut off, the journal and both ways on are printed.
func TestApplyInterrupted(t *testing.T) {
	engine := newFake()
	engine.stuck = stage.Apply
	b, _ := open[*applyScreen](t, given{engine: engine, outcome: stage.Outcome{Plan: &engine.plan}})
	b.until("FAIL ")
	b.press("<ctrl+c>")
	b.left()
	text := strings.Join(b.m.farewell(nil), "\n")
	b.m.file.path.Store("my answers.yaml") // a command that is to be copied has it quoted
	text += "\n" + strings.Join(b.m.farewell(nil), "\n")
	for _, want := range []string{"journal: state/journal-r1.jsonl", "hybridge apply -f",
		"hybridge rollback -f answers.yaml", "hybridge rollback -f " + report.ShellWord("my answers.yaml")} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in:\n%s", want, text)
		}
	}
}

// An apply that was refused before it began is no run.
func TestApplyRefused(t *testing.T) {
	engine := newFake()
	engine.locked = true
	b, _ := open[*applyScreen](t, given{engine: engine, outcome: stage.Outcome{Plan: &engine.plan}})
	b.until("Nothing was changed")
	if shown := b.m.View(); !strings.Contains(shown, "error:  another run is at work") || strings.Contains(shown,
		"0 done") {
		t.Errorf("shown:\n%s", shown)
	}
	text := strings.Join(b.m.farewell(nil), "\n")
	if !strings.Contains(text, "go on with: hybridge wizard") || strings.Contains(text, "rollback") {
		t.Errorf("farewell: %s", text)
	}
}

// After a whole apply, what is printed says how to see whether it works, and how to undo it.
func TestFarewell(t *testing.T) {
	engine := newFake()
	engine.apply = engine.apply[:1] // nothing fails
	b, _ := open[*applyScreen](t, given{engine: engine, outcome: stage.Outcome{Plan: &engine.plan}})
	b.until("1 done, 0 skipped, 0 failed, 0 pending")
	text := strings.Join(b.m.farewell(nil), "\n")
	for _, want := range []string{"see whether it works with: hybridge test -f answers.yaml",
		"undo what is made with: hybridge rollback r1 -f answers.yaml"} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in:\n%s", want, text)
		}
	}
}
