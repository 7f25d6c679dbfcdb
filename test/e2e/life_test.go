package e2e

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/hybridge-cli/hybridge/pkg/config/answers"
	"github.com/hybridge-cli/hybridge/pkg/lab"
)

// The life of a hybrid after its first day: rotations and the way out, killed.

// working is a lab in this process whose hybrid is set up.
func working(t *testing.T) (*estate, *lab.Lab) {
	t.Helper()
	dir := t.TempDir()
	l, err := lab.Start(t.Context(), lab.Options{Dir: dir, Users: 12, Forests: 1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	e := &estate{dir: dir, state: t.TempDir(), wait: "3s",
		env: append(os.Environ(), "HOME="+t.TempDir(), "NO_COLOR=1")}
	e.must(t, 0, "apply", "--yes")
	return e, l
}

// works sends mail and asks for free/busy in each direction.
func (e *estate) works(t *testing.T, when string) {
	t.Helper()
	for _, args := range [][]string{{"test"}, {"test", "--message"}} {
		if r := e.run(t, args...); r.code != 0 {
			t.Fatalf("%s: hybridge %s: exit %d\n%s%s", when, strings.Join(args, " "), r.code, tail(r.stdout),
				tail(r.stderr))
		}
	}
}

// carryOut applies a plan after a kill. A run that completed before the kill leaves a stale plan.
func (e *estate) carryOut(t *testing.T, file string, accept ...string) {
	t.Helper()
	complete := e.newestRun(t) == "complete"
	r := e.run(t, accepting(accept, "apply", file, "--yes")...)
	if r.code != 0 && (r.code != 7 || !complete) && r.code != 9 { // 9: of what waits
		t.Fatalf("apply after the kill: exit %d\n%s", r.code, tail(r.stderr))
	}
}

func accepting(consents []string, args ...string) []string {
	if len(consents) > 0 {
		args = append(args, "--accept", strings.Join(consents, ","))
	}
	return args
}

// saved makes a plan with a command that has the option out, and saves it.
func (e *estate) saved(t *testing.T, file string, args ...string) plan {
	t.Helper()
	_ = os.Remove(file)
	r := e.run(t, append(args, "--out", file, "-o", "json")...)
	if r.code != 0 && r.code != 5 && r.code != 9 {
		t.Fatalf("hybridge %s: exit %d\n%s", strings.Join(args, " "), r.code, tail(r.stderr))
	}
	return decode[plan](t, r.stdout)
}

// differs is what differs between estates of one history: keys, ids, times, ports.
var differs = regexp.MustCompile(`(?i)[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}|[A-Za-z0-9+/_-]{40,}=*|` +
	`\b[0-9a-f]{24,}\b|\b[0-9A-F]{8}\b|` +
	`(\d{4}-\d\d-\d\d|\d\d/\d\d/\d{4})([T ]\d\d:\d\d:\d\d[0-9.]*(Z|[+-]\d\d:\d\d)?)?|127\.0\.0\.1:\d+`)

// live is all that hybridge reads of an estate, a line for each object or answer. Two estates
// with the same history have the same lines: keys, ids and times, which no two have in common, are
// left out, and so is the sequence.
func (e *estate) live(t *testing.T) []string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "snapshot.json")
	e.run(t, "collect", "--output-file", file)
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	taken := decode[struct {
		Readings []struct {
			Place, System, Ask string
			Answer             any
		}
	}](t, string(data))
	var out []string
	for _, r := range taken.Readings {
		if r.Place == "here" || r.Ask == "rootDSE" { // journals, and the clock
			continue
		}
		objects, many := r.Answer.([]any)
		if !many {
			objects = []any{r.Answer}
		}
		for _, o := range objects {
			text, _ := json.Marshal(common(o))
			out = append(out, fmt.Sprintf("%s %s %s: %s", r.Place, r.System, common(r.Ask), text))
		}
	}
	slices.Sort(out)
	if len(out) < 50 {
		t.Fatalf("%d readings", len(out))
	}
	return out
}

// common is what estates of one history have in common.
func common(v any) any {
	switch v := v.(type) {
	case string:
		return differs.ReplaceAllString(v, "…")
	case map[string]any:
		out := map[string]any{}
		for name, value := range v {
			out[common(name).(string)] = common(value)
		}
		return out
	case []any:
		if len(v) > 8 && !slices.ContainsFunc(v, func(e any) bool { _, number := e.(float64); return !number }) {
			return "BYTES"
		}
		out := make([]any, len(v))
		for i, e := range v {
			out[i] = common(e)
		}
		slices.SortFunc(out, func(a, b any) int { return strings.Compare(fmt.Sprint(a), fmt.Sprint(b)) })
		return out
	}
	return v
}

// changedLines are the lines of two estates that are not in both.
func changedLines(want, got []string) []string {
	var out []string
	for _, side := range []struct {
		sign     string
		has, not []string
	}{{"- ", want, got}, {"+ ", got, want}} {
		left := map[string]int{}
		for _, line := range side.not {
			left[line]++
		}
		for _, line := range side.has {
			if left[line]--; left[line] < 0 {
				out = append(out, side.sign+line)
			}
		}
	}
	return out
}

// steps are the changes after which a run is killed: each with KILLS=all, otherwise some.
func steps(changes int) []int {
	if os.Getenv("KILLS") == "all" {
		changes = max(changes, 1)
		out := make([]int, changes)
		for i := range out {
			out[i] = i + 1
		}
		return out
	}
	return []int{(changes + 1) / 2}
}

// TestTransportRotationSurvivesBeingKilled kills a rotation to a certificate of another name and
// another issuer, after each of its changes with KILLS=all. The plan, or the same command, goes on.
// Mail and lookups work after each kill, and the end is that of a run that no one ended.
func TestTransportRotationSurvivesBeingKilled(t *testing.T) {
	begin := func() (*estate, []string, plan) {
		t.Helper()
		e, l := working(t)
		pfx, password, err := l.Renew("contoso",
			lab.Renewal{CommonName: "mail2.contoso.example", Issuer: "hybridge lab CA 2"})
		if err != nil {
			t.Fatal(err)
		}
		rotate := []string{"rotate", "transport-certificate", "--pfx", pfx, "--password", string(password)}
		return e, rotate, e.saved(t, filepath.Join(t.TempDir(), "plan.json"), rotate...)
	}
	finish := func(e *estate, rotate []string) []string {
		t.Helper()
		for range 2 { // the second removes the earlier connector
			r := e.run(t, append(rotate, "--yes", "--accept", "removals", "--wait", e.wait)...)
			if r.code != 0 && r.code != 5 {
				t.Fatalf("exit %d\n%s", r.code, tail(r.stderr))
			}
			e.works(t, "after a run")
		}
		if r := e.must(t, 0, rotate...); !strings.Contains(r.stderr, "the rotation is complete") {
			t.Errorf("at the end:\n%s%s", r.stdout, r.stderr)
		}
		return e.live(t)
	}
	e, rotate, first := begin()
	if len(first.Changes) < 6 {
		t.Fatalf("planned: %v", first.Changes)
	}
	want := finish(e, rotate)
	for kills := range slices.Chunk(steps(len(first.Changes)), 4) { // each ends two runs, which leave their shells open
		e, rotate, _ = begin()
		for _, n := range kills {
			file := filepath.Join(t.TempDir(), "plan.json")
			before := e.saved(t, file, rotate...)
			back := func() {
				t.Helper()
				e.must(t, 0, "rollback", "--yes", "--accept", "removals")
				e.works(t, "after a rollback")
				if d := cmp.Diff(before, e.saved(t, file, rotate...)); d != "" {
					t.Fatalf("killed after %d changes, rollback did not restore what was there before:\n%s", n, d)
				}
			}
			killAfter(t, e, n, "apply", file, "--yes", "-o", "jsonl")
			e.works(t, fmt.Sprintf("killed after %d changes", n))
			e.carryOut(t, file)
			e.works(t, "after the plan")
			back()
			// A killed run is rolled back as it is.
			killAfter(t, e, n, append(rotate, "--yes", "-o", "jsonl", "--wait", e.wait)...)
			back()
		}
		killAfter(t, e, kills[0], append(rotate, "--yes", "-o", "jsonl", "--wait", e.wait)...)
		if d := changedLines(want, finish(e, rotate)); len(d) > 0 {
			t.Errorf("a killed rotation ends otherwise:\n%s", strings.Join(d, "\n"))
		}
	}
}

// TestAuthRotationSurvivesBeingKilled kills each stage of the rotation of an auth certificate,
// after each of its changes with KILLS=all, and starts it again.
func TestAuthRotationSurvivesBeingKilled(t *testing.T) {
	var want []string
	for n := 0; ; n++ {
		if n > 0 && os.Getenv("KILLS") != "all" && n != 2 {
			if n > 2 {
				return
			}
			continue
		}
		e, _ := working(t)
		most := 0
		for _, stage := range []string{"stage", "publish", "clean"} {
			rotate := []string{"rotate", "auth-certificate", stage}
			consents := []string{"earlier-auth-keys"}
			file := filepath.Join(t.TempDir(), "plan.json")
			changes := len(e.saved(t, file, rotate...).Changes)
			if changes == 0 {
				t.Fatalf("%s changes nothing", stage)
			}
			most = max(most, changes)
			switch {
			case n == 0:
			case n%2 == 0: // the same plan goes on
				killAfter(t, e, min(n, changes), accepting(consents, "apply", file, "--yes", "-o", "jsonl")...)
				e.works(t, fmt.Sprintf("%s killed after %d changes", stage, n))
				e.carryOut(t, file, consents...)
			default:
				killAfter(t, e, min(n, changes), accepting(consents, append(rotate, "--yes", "-o", "jsonl")...)...)
				e.works(t, fmt.Sprintf("%s killed after %d changes", stage, n))
			}
			e.must(t, 0, accepting(consents, append(rotate, "--yes")...)...)
			if again := e.saved(t, file, rotate...).Changes; len(again) > 0 {
				t.Errorf("%s again, after %d changes and a kill: %v", stage, n, again)
			}
			e.works(t, "after "+stage)
		}
		e.must(t, 0, "plan", "--detailed-exitcode")
		got := e.live(t)
		if n == 0 {
			want = got
		} else if d := changedLines(want, got); len(d) > 0 {
			t.Errorf("a rotation that is killed after %d changes ends otherwise:\n%s", n, strings.Join(d, "\n"))
		}
		if n > 0 && n >= most {
			return
		}
	}
}

// leavingHybrid are the consents of the way out and of its way back.
var leavingHybrid = []string{"removals", "attribute-authority", "mrs-proxy-off"}

// leaves is a working hybrid whose mailboxes and names are in the cloud, and that leaves.
func leaves(t *testing.T) *estate {
	t.Helper()
	e, l := working(t)
	l.MoveEveryone()
	if err := l.LeadToCloud(); err != nil {
		t.Fatal(err)
	}
	a, err := answers.Load(t.Context(), l.Answers())
	if err != nil {
		t.Fatal(err)
	}
	a.Hybrid = &answers.Hybrid{State: answers.Leaving}
	if err := a.Save(l.Answers()); err != nil {
		t.Fatal(err)
	}
	// A plan waits for what its journals say was made minutes ago and is gone.
	e.state = t.TempDir()
	return e
}

// TestLeavingHybridSurvivesBeingKilled kills every stage of the way out of hybrid at a change, at
// each with KILLS=all, goes on with the same plan, rolls back, and takes the stage at last. The end
// is that of a way out that no one ended.
func TestLeavingHybridSurvivesBeingKilled(t *testing.T) {
	dir := t.TempDir()
	e := leaves(t)
	var stages []int
	for len(stages) < 9 {
		file := filepath.Join(dir, fmt.Sprintf("%d.json", len(stages)))
		p := e.saved(t, file, "plan")
		if len(p.Changes) == 0 {
			break
		}
		stages = append(stages, len(p.Changes))
		e.must(t, 0, accepting(leavingHybrid, "apply", file, "--yes")...)
	}
	if len(stages) != 6 {
		t.Fatalf("changes of the stages: %v", stages)
	}
	want := e.live(t)
	kills := 0
	for stage, changes := range stages {
		for _, n := range steps(changes) {
			if kills++; kills%10 == 1 { // a killed run leaves its shell open, and a user may have 18
				e = leaves(t)
				for range stage {
					e.saved(t, filepath.Join(dir, "forward.json"), "plan")
					e.must(t, 0, accepting(leavingHybrid, "apply", filepath.Join(dir, "forward.json"), "--yes")...)
				}
			}
			file := filepath.Join(dir, fmt.Sprintf("%d-%d.json", stage, n))
			before, was := e.saved(t, file, "plan"), e.live(t)
			if len(before.Changes) != changes {
				t.Fatalf("stage %d has %d changes, and had %d", stage+1, len(before.Changes), changes)
			}
			killAfter(t, e, n, accepting(leavingHybrid, "apply", file, "--yes", "-o", "jsonl")...)
			e.carryOut(t, file, leavingHybrid...)
			e.must(t, 0, accepting(leavingHybrid, "rollback", "--yes")...)
			d := changedLines(was, e.live(t))
			if again := e.saved(t, file, "plan"); len(d) > 0 || !slices.Equal(before.Changes, again.Changes) {
				t.Fatalf("stage %d, killed after %d changes: rollback did not restore what was there before:\n%s\n%s",
					stage+1, n, strings.Join(d, "\n"), cmp.Diff(before.Changes, again.Changes))
			}
		}
		file := filepath.Join(dir, "last.json")
		e.saved(t, file, "plan")
		killAfter(t, e, 1+changes/3, accepting(leavingHybrid, "apply", file, "--yes", "-o", "jsonl")...)
		kills++
		e.carryOut(t, file, leavingHybrid...)
	}
	if p := e.saved(t, filepath.Join(dir, "end.json"), "plan"); len(p.Changes) > 0 {
		t.Errorf("at the end: %v", p.Changes)
	}
	if d := changedLines(want, e.live(t)); len(d) > 0 {
		t.Errorf("a way out that is killed ends otherwise:\n%s", strings.Join(d, "\n"))
	}
}
