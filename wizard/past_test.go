package wizard

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/hybridge-cli/hybridge/pkg/config/answers"
	"github.com/hybridge-cli/hybridge/pkg/engine/apply"
)

// With many forests, the overview scrolls.
func TestOverviewScrolls(t *testing.T) {
	b, _ := open[*reviewScreen](t, given{})
	for i := range 30 {
		f := b.m.answers.Forests[0]
		f.Name = fmt.Sprint("forest", i)
		b.m.answers.Forests = append(b.m.answers.Forests, f)
	}
	b.walk(step{"", "lines 1 to"}, step{"<end>", "forest29"}, step{"<home>", "These are the answers"})
}

// The first screen says that the newest run did not end, and not that an older one did not.
func TestUnfinishedRun(t *testing.T) {
	started := time.Date(2026, 11, 26, 14, 2, 0, 0, time.Local)
	cut := apply.Entry{RunID: "20261126T140200.000Z", Action: "apply", Started: started, Outcome: "unfinished",
		Summary: apply.Summary{Done: 3, Pending: 4}}
	whole := apply.Entry{RunID: "20261126T150000.000Z", Action: "apply", Outcome: "complete",
		Summary: apply.Summary{Done: 4}}
	for name, test := range map[string]struct {
		runs []apply.Entry
		want string
	}{
		"cut off": {[]apply.Entry{cut}, "The apply of 2026-11-26 14:02 is not complete: 3 of 7 changes are made."},
		"undo": {[]apply.Entry{cut},
			"undo what is made with: hybridge rollback 20261126T140200.000Z -f answers.yaml"},
		"completed since": {[]apply.Entry{whole, cut}, ""},
		"rolled back": {[]apply.Entry{{Action: "apply", Outcome: "partial", UndoneBy: "x",
			Summary: apply.Summary{Failed: 1}}}, ""},
		"failed": {[]apply.Entry{{Action: "apply", Started: started, Outcome: "partial",
			Summary: apply.Summary{Done: 1, Failed: 1}}}, "1 of 2 changes are made, 1 failed."},
		"rollback": {[]apply.Entry{{Action: "rollback", Started: started, Outcome: "cancelled",
			Summary: apply.Summary{Done: 1, Pending: 1}}, cut}, "Continue the rollback with: hybridge rollback -f"},
		"none": {nil, ""},
	} {
		t.Run(name, func(t *testing.T) {
			b := sit(t, 140, 45, valid, newFake())
			b.m.options.History = func(answers.Answers) ([]apply.Entry, error) { return test.runs, nil }
			b.until("These are the answers")
			b.run(b.m.recall())
			b.wait("never read the history", func() bool { return len(b.m.past.runs) == len(test.runs) })
			text := strings.Join(strings.Fields(b.m.View()), " ")
			if test.want == "" && strings.Contains(text, "is not complete") || !strings.Contains(text, test.want) {
				t.Errorf("want %q in\n%s", test.want, b.m.View())
			}
		})
	}
}
