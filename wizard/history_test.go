package wizard

import (
	"strings"
	"testing"
	"time"

	"github.com/hybridge-cli/hybridge/pkg/config/answers"
	"github.com/hybridge-cli/hybridge/pkg/engine/apply"
)

var _ = pass[*historyScreen]("", "")

// atHistory is the wizard at its first screen, with two earlier runs.
func atHistory(t *testing.T, engine *fake) *bench {
	t.Helper()
	b := sit(t, 80, 24, valid, engine)
	b.until("These are the answers")
	b.m.way = screens()
	started := time.Date(2026, 11, 26, 14, 2, 0, 0, time.Local)
	b.m.options.History = func(answers.Answers) ([]apply.Entry, error) {
		return []apply.Entry{
			{RunID: "r2", Action: "apply", Started: started, Outcome: "partial", Journal: "state/r2.jsonl",
				Summary: apply.Summary{Done: 3, Failed: 1}},
			{RunID: "r1", Action: "apply", Started: started.AddDate(0, 0, -1), Outcome: "complete", UndoneBy: "r0"}}, nil
	}
	b.run(b.m.recall())
	b.walk(step{"", "h history"})
	return b
}

// A run is undone after a look at what that does; plan and checks are then made anew.
func TestHistoryScreen(t *testing.T) {
	engine := newFake()
	b := atHistory(t, engine)
	b.walk(step{"h", "2 runs"})
	b.goldens("history")
	b.walk(step{"<space>", "state/r2.jsonl"}, step{"<esc>", "2 runs"}, step{"u", "Undo run r2? y undoes it"})
	b.goldens("history-preview")
	if engine.undone != "" {
		t.Error("undone without an agreement")
	}
	b.walk(step{"n", "2 runs"}, step{"u", "Undo run r2?"}, step{"y", "Undone: 1 done, 0 skipped, 1 failed"})
	if engine.undone != "r2" || b.m.outcome.Plan != nil {
		t.Errorf("undone %q, plan %v", engine.undone, b.m.outcome.Plan)
	}
	b.walk(step{"<esc>", "2 runs"}, step{"<esc>", "These are the answers"})
}

// The first screen says what ends when.
func TestEnds(t *testing.T) {
	for now, want := range map[string]string{
		"2026-11-27": "EWS in Exchange Online ends on 2027-04-01, in 125 days",
		"2027-04-02": "EWS in Exchange Online has ended on 2027-04-01",
	} {
		b, _ := open[*reviewScreen](t, given{})
		at, _ := time.Parse(time.DateOnly, now)
		b.m.options.now = func() time.Time { return at }
		if text := strings.Join(strings.Fields(b.m.View()), " "); !strings.Contains(text, want) {
			t.Errorf("%s: want %q in\n%s", now, want, b.m.View())
		}
	}
}
