package e2e

import (
	"bufio"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestTheWholeLoop(t *testing.T) {
	e := startLab(t)
	file := filepath.Join(t.TempDir(), "p.json")
	e.must(t, 0, "check")
	e.must(t, 3, "test") // nothing works yet
	before := e.plan(t)
	if len(before.Changes) == 0 {
		t.Fatal("the first plan is empty")
	}
	e.must(t, 0, "plan", "--out", file)
	e.must(t, 0, "apply", file, "--yes")
	e.must(t, 0, "plan", "--detailed-exitcode")
	if after := e.plan(t); len(after.Changes) != 0 {
		t.Errorf("after apply the plan still has %v", after.Changes)
	}
	e.must(t, 0, "test")
	e.must(t, 7, "apply", file, "--yes") // the live state has changed since the plan
	e.offersToUndo(t, 1)
	e.must(t, 0, "rollback", "--yes")
	e.offersToUndo(t, 0) // neither what is undone, nor the rollback itself
	if d := cmp.Diff(before, e.plan(t)); d != "" {
		t.Errorf("rollback did not restore what was there before:\n%s", d)
	}
	e.must(t, 5, "plan", "--detailed-exitcode")
}

// offersToUndo checks how many runs a shell offers for rollback.
func (e *estate) offersToUndo(t *testing.T, want int) {
	t.Helper()
	r := finish(t, e.plainly("__complete", "rollback", "-f", filepath.Join(e.dir, "answers.yaml"), "--state-dir", e.state, ""))
	if got := strings.Count(r.stdout, "\tapply, "); got != want || strings.Contains(r.stdout, "rollback, ") {
		t.Errorf("rollback is offered %d runs, want %d:\n%s", got, want, r.stdout)
	}
}

func TestApplyRefusesAStalePlan(t *testing.T) {
	e := startLab(t)
	file := filepath.Join(t.TempDir(), "p.json")
	e.must(t, 0, "plan", "--out", file)
	part := e.plan(t).Changes[0].ID
	e.must(t, 0, "apply", "--only", part, "--yes") // another run has made the change
	r := e.must(t, 7, "apply", file, "--yes")
	if !strings.Contains(r.stderr, "hint:") {
		t.Errorf("no hint what to do:\n%s", r.stderr)
	}
}

// TestApplySurvivesBeingKilled kills apply at every change and runs it again. The live state is the
// same, with nothing duplicated or lost, and rollback still restores the original state.
func TestApplySurvivesBeingKilled(t *testing.T) {
	changes := len(startLab(t).plan(t).Changes)
	step := 1
	if testing.Short() {
		step = 7
	}
	// A killed run leaves its shells open until they time out, and a user may have 18: so many kills
	// for one lab.
	const kills = 11
	for first := 1; first <= changes; first += kills * step {
		t.Run(fmt.Sprintf("from %d", first), func(t *testing.T) {
			t.Parallel()
			e := startLab(t)
			e.wait = "3s"
			before := e.plan(t)
			file := filepath.Join(t.TempDir(), "p.json")
			for n := first; n <= changes && n < first+kills*step; n += step {
				t.Run(fmt.Sprintf("after %d changes", n), func(t *testing.T) { survive(t, e, before, file, n) })
			}
		})
	}
}

// survive kills an apply after n changes and runs it again. The plan is empty then, and a rollback
// restores what was there before.
func survive(t *testing.T, e *estate, before plan, file string, n int) {
	t.Helper()
	e.must(t, 0, "plan", "--out", file)
	killAfter(t, e, n, "apply", file, "--yes", "-o", "jsonl")
	// A run that completed before the kill leaves a stale plan.
	complete := e.newestRun(t) == "complete"
	if r := e.run(t, "apply", file, "--yes"); r.code != 0 && (r.code != 7 || !complete) {
		t.Fatalf("the second apply: exit %d\n%s", r.code, tail(r.stderr))
	}
	after := e.plan(t)
	if len(after.Changes) != 0 || after.Summary.Unchanged != before.Summary.Unchanged+len(before.Changes) {
		t.Fatalf("after the second apply: %+v", after.Summary)
	}
	e.must(t, 0, "rollback", "--yes")
	if d := cmp.Diff(before, e.plan(t)); d != "" {
		t.Fatalf("rollback did not restore what was there before:\n%s", d)
	}
}

// TestApplySurvivesBeingKilledInEveryState kills apply where Microsoft's wizard, hands, or half a
// run of the wizard have set things up: at some changes, and at each of them with KILLS=all.
func TestApplySurvivesBeingKilledInEveryState(t *testing.T) {
	for _, state := range []string{"wizard", "manual", "half"} {
		t.Run(state, func(t *testing.T) {
			t.Parallel()
			e := startLab(t, "--state", state, "--between")
			e.wait = "3s"
			before := e.plan(t)
			step := (len(before.Changes) + 3) / 4
			if testing.Short() {
				step = len(before.Changes)
			}
			if os.Getenv("KILLS") == "all" {
				step = 1
			}
			file := filepath.Join(t.TempDir(), "p.json")
			for i, n := 0, 1; n <= len(before.Changes); i, n = i+1, n+step {
				if i > 0 && i%10 == 0 { // see above
					e = startLab(t, "--state", state, "--between")
					e.wait = "3s"
					before = e.plan(t)
				}
				t.Run(fmt.Sprintf("after %d changes", n), func(t *testing.T) { survive(t, e, before, file, n) })
			}
		})
	}
}

// TestApplySurvivesRandomKills kills apply, and then rollback, at random moments. KILLS=50 runs
// fifty of each.
func TestApplySurvivesRandomKills(t *testing.T) {
	kills := 5
	if n, err := strconv.Atoi(os.Getenv("KILLS")); err == nil {
		kills = n
	}
	var e *estate
	var before plan
	file := filepath.Join(t.TempDir(), "p.json")
	for i := range kills {
		if i%4 == 0 { // killed runs leave their shells open, and a user may have 18
			e = startLab(t)
			e.wait = "3s"
			before = e.plan(t)
		}
		moment := time.Duration(rand.IntN(500)) * time.Millisecond
		e.must(t, 0, "plan", "--out", file)
		cmd := e.command("apply", file, "--yes")
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(moment)
		cmd.Process.Kill()
		cmd.Wait()
		complete := e.newestRun(t) == "complete"
		if r := e.run(t, "apply", file, "--yes"); r.code != 0 && (r.code != 7 || !complete) {
			t.Fatalf("killed after %v, the second apply: exit %d\n%s", moment, r.code, tail(r.stderr))
		}
		if after := e.plan(t); len(after.Changes) != 0 ||
			after.Summary.Unchanged != before.Summary.Unchanged+len(before.Changes) {
			t.Fatalf("killed after %v, after the second apply: %+v", moment, after.Summary)
		}
		// Rollback is killed, too, and run again. When nothing is left to undo, it had completed.
		cmd = e.command("rollback", "--yes")
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		parting := time.Duration(rand.IntN(500)) * time.Millisecond
		time.Sleep(parting)
		cmd.Process.Kill()
		cmd.Wait()
		if r := e.run(t, "rollback", "--yes"); r.code != 0 && !strings.Contains(r.stderr, "no run to roll back") {
			t.Fatalf("killed after %v, the second rollback: exit %d\n%s", parting, r.code, tail(r.stderr))
		}
		if d := cmp.Diff(before, e.plan(t)); d != "" {
			t.Fatalf("killed after %v and %v, rollback did not restore what was there before:\n%s", moment, parting, d)
		}
	}
}

// newestRun is the outcome of the newest run in the state directory; empty when there is none.
func (e *estate) newestRun(t *testing.T) string {
	t.Helper()
	history := decode[struct{ Runs []struct{ Outcome string } }](t, e.must(t, 0, "history", "-o", "json").stdout)
	if len(history.Runs) == 0 {
		return ""
	}
	return history.Runs[0].Outcome
}

// killAfter runs hybridge and kills it, as a power cut would, after its report of n changes.
func killAfter(t *testing.T, e *estate, n int, args ...string) {
	t.Helper()
	cmd := e.command(args...)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	lines.Buffer(nil, 1<<20)
	for seen := 0; lines.Scan(); {
		if strings.Contains(lines.Text(), `"change"`) {
			if seen++; seen == n {
				break
			}
		}
	}
	cmd.Process.Kill()
	cmd.Wait()
}
