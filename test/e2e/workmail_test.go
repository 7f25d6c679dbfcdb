package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/hybridge-cli/hybridge/pkg/config/answers"
	"github.com/hybridge-cli/hybridge/pkg/lab"
)

// ids are the changes of a plan, without those of a kind.
func (p plan) ids(without string) []string {
	var out []string
	for _, c := range p.Changes {
		if c.Kind != without {
			out = append(out, c.ID)
		}
	}
	return out
}

// TestWorkMailSurvivesBeingKilled kills the apply of a plan for WorkMail at every change and runs
// it again. A rollback restores what was there, but for the registration of a user, which stays.
func TestWorkMailSurvivesBeingKilled(t *testing.T) {
	file := filepath.Join(t.TempDir(), "p.json")
	for n := 1; ; n++ {
		e := startLab(t, "--cloud", lab.WorkMail, "--forests", "1")
		e.wait = "3s"
		before := e.plan(t)
		e.must(t, 0, "plan", "--out", file)
		killAfter(t, e, n, "apply", file, "--yes", "-o", "jsonl")
		complete := e.newestRun(t) == "complete"
		if r := e.run(t, "apply", file, "--yes"); r.code != 0 && (r.code != 7 || !complete) {
			t.Fatalf("after %d changes, the second apply: exit %d\n%s", n, r.code, tail(r.stderr))
		}
		after := e.plan(t)
		if len(after.Changes) != 0 || after.Summary.Unchanged != before.Summary.Unchanged+len(before.Changes) {
			t.Fatalf("after the second apply: %+v", after.Summary)
		}
		e.must(t, 0, "test")
		e.must(t, 0, "rollback", "--yes")
		if d := cmp.Diff(before.ids("WorkMailUser"), e.plan(t).ids("")); d != "" {
			t.Fatalf("rollback did not restore what was there before:\n%s", d)
		}
		if n == len(before.Changes) {
			return
		}
	}
}

// TestLeavingWorkMailSurvivesBeingKilled kills the apply of every stage of the way out at every
// change, and goes on with the same plan. Everyone comes out, and nothing is lost.
func TestLeavingWorkMailSurvivesBeingKilled(t *testing.T) {
	dir := t.TempDir()
	// Three people: a killed run leaves its shell open, and a user may have 18.
	l, err := lab.Start(t.Context(), lab.Options{Dir: dir, Users: 30, Forests: 1, Clouds: []string{lab.WorkMail}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	e := &estate{dir: dir, state: t.TempDir(), wait: "3s",
		env: append(os.Environ(), "HOME="+t.TempDir(), "NO_COLOR=1")}
	e.must(t, 0, "apply", "--yes")
	a, err := answers.Load(t.Context(), l.Answers())
	if err != nil {
		t.Fatal(err)
	}
	a.WorkMail.State, a.WorkMail.To = answers.Leaving, answers.ToExchange
	if err := a.Save(l.Answers()); err != nil {
		t.Fatal(err)
	}
	before, file := l.Holdings(), filepath.Join(t.TempDir(), "stage.json")
	if len(before) != 3 {
		t.Fatalf("%d people are in WorkMail", len(before))
	}
	var stages []string
	kills := 0
	for {
		os.Remove(file)
		r := e.run(t, "plan", "--out", file, "-o", "json")
		p := decode[plan](t, r.stdout)
		if r.code == 0 && len(p.Changes) == 0 {
			break
		}
		if r.code != 0 && r.code != 9 || len(stages) == 6 {
			t.Fatalf("stage %d: exit %d\n%s", len(stages)+1, r.code, tail(r.stderr))
		}
		stages = append(stages, fmt.Sprint(len(p.Changes)))
		if len(p.Changes) == 0 {
			for address := range before {
				l.Carry(address)
			}
			continue
		}
		for n := 1; n <= len(p.Changes); n++ {
			killAfter(t, e, n, "apply", file, "--yes", "--accept", "removals", "-o", "jsonl")
			if e.newestRun(t) == "complete" {
				break
			}
			kills++
		}
		if r := e.run(t, "apply", file, "--yes", "--accept", "removals"); r.code != 0 && e.newestRun(t) != "complete" {
			t.Fatalf("stage %d, the last apply: exit %d\n%s", len(stages), r.code, tail(r.stderr))
		}
		if lost := lab.Missing(before, l.Holdings()); len(stages) > 1 && len(lost) > 0 {
			t.Errorf("stage %d lost %v", len(stages), lost)
		}
	}
	if d := cmp.Diff([]string{"7", "0", "3", "6"}, stages); d != "" {
		t.Error(d)
	}
	if kills < 12 {
		t.Errorf("%d runs were killed on their way", kills)
	}
	if lost := lab.Missing(before, l.Holdings()); len(lost) > 0 {
		t.Errorf("lost: %s", strings.Join(lost, "\n"))
	}
	if left := l.InWorkMail(); len(left) > 0 {
		t.Errorf("left in WorkMail: %v", left)
	}
	if !slices.Contains(stages, "0") {
		t.Error("nothing was waited for")
	}
}
