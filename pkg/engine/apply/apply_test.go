package apply

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/hybridge-cli/hybridge/pkg/engine/change"
	"github.com/hybridge-cli/hybridge/pkg/engine/observe"
)

func run(t testing.TB, w *world, p change.Plan, o Options) Report {
	t.Helper()
	r, err := Run(context.Background(), w.places(), kinds, p, o, nil)
	if err != nil {
		t.Fatalf("apply: %v", err)
	}
	return r
}

func statuses(r Report) map[string]Status {
	m := map[string]Status{}
	for _, c := range r.Changes {
		m[c.ID] = c.Status
	}
	return m
}

func TestConvergesAndRollsBack(t *testing.T) {
	w := newWorld()
	dir := t.TempDir()
	before := w.content()
	p := w.plan(t)
	var events []string
	report, err := Run(t.Context(), w.places(), kinds, p,
		Options{StateDir: dir, Accept: removalsToo, Version: "1", Wait: soon}, observe.Func(func(e observe.Event) {
			events = append(events, e.Event())
		}))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(Summary{Done: 7}, report.Summary); diff != "" {
		t.Fatal(diff)
	}
	if events[0] != "started" || slices.Index(events, "change") < 0 {
		t.Errorf("events: %v", events)
	}
	if again := w.plan(t); len(again.Changes) != 0 {
		t.Errorf("a second plan is not empty: %+v", again.Changes)
	}
	wantOnline := map[string][]string{
		"Thing": {
			`new {"Enabled":true,"Key":"new","Note":"noted","Targets":["n.com"]}`,
			`one {"Enabled":true,"Key":"update","Targets":["Theirs.com","ours.com"],"URL":"https://new/"}`,
			`three {"Enabled":true,"Key":"others"}`,
		},
		"Fixed": {`four {"Keep":"kept","Key":"fixed","Value":"new"}`},
	}
	if diff := cmp.Diff(wantOnline, w.online.content()); diff != "" {
		t.Errorf("online (-want +got):\n%s", diff)
	}
	if got := w.onprem.live["Thing"][0].Properties["App"]; got != "id-online-101" {
		t.Errorf("the reference was resolved to %v", got)
	}

	journal, err := os.ReadFile(report.Journal)
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(journal, []byte("hunter2")) {
		t.Error("the journal keeps an output that nothing refers to")
	}
	if info, _ := os.Stat(report.Journal); runtime.GOOS != "windows" && info.Mode().Perm() != 0o600 {
		t.Errorf("the journal's mode is %v", info.Mode())
	}

	// The same plan once more: what it was made from is gone.
	if _, err := Run(t.Context(), w.places(), kinds, p, Options{StateDir: dir, Accept: removalsToo, Wait: soon},
		nil); !errors.Is(err, ErrStale) {
		t.Errorf("applied twice: %v", err)
	}

	preview := func() (Undo, error) {
		return Preview(t.Context(), w.places(), kinds, "", Options{StateDir: dir})
	}
	if undo, err := preview(); err != nil || undo.RunID != report.RunID || len(undo.Changes) != 7 {
		t.Errorf("to undo: %+v, %v", undo, err)
	}
	undone, err := Rollback(t.Context(), w.places(), kinds, "", Options{StateDir: dir, Wait: soon}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if undo, err := preview(); !errors.Is(err, ErrNoRun) {
		t.Errorf("still to undo: %+v, %v", undo, err)
	}
	if diff := cmp.Diff(before, w.content(),
		cmp.Transformer("false", func(s string) string {
			return strings.ReplaceAll(s, `"False"`,
				"false")
		})); diff != "" {
		t.Errorf("after rollback (-before +after):\n%s", diff)
	}
	if undone.Changes[0].ID != "onprem/contoso/Thing/last" || undone.Changes[0].Action != change.Delete {
		t.Errorf("not the last change first: %+v", undone.Changes[0])
	}
	history, err := History(dir)
	if err != nil || len(history) != 2 || history[0].Of != report.RunID || history[1].UndoneBy != undone.RunID ||
		history[1].Summary.Done != 7 {
		t.Errorf("history: %+v, %v", history, err)
	}
	if _, err := Rollback(t.Context(), w.places(), kinds, "", Options{StateDir: dir, Wait: soon}, nil); !errors.Is(err,
		ErrNoRun) {
		t.Errorf("rolled back twice: %v", err)
	}
	if _, err := Rollback(t.Context(), w.places(), kinds, report.RunID, Options{StateDir: dir, Wait: soon},
		nil); !errors.Is(err, ErrNoRun) || !strings.Contains(err.Error(), undone.RunID) {
		t.Errorf("rolled back twice by name: %v", err)
	}

	// Rolled back, the plan fits again, and begins a new run.
	redone, err := Run(t.Context(), w.places(), kinds, w.plan(t),
		Options{StateDir: dir, Accept: removalsToo, Wait: soon}, nil)
	if err != nil || redone.RunID == report.RunID || redone.Summary.Done != 7 {
		t.Errorf("applied anew: %+v, %v", redone.Summary, err)
	}
}

// The process dies at every point at which it can, and the run is begun again: the same end,
// nothing doubled, nothing lost; and the same again while rolling back.
func TestKilledAnywhere(t *testing.T) {
	clean := newWorld()
	count := &death{}
	dir := t.TempDir()
	before := clean.content()
	run(t, clean, clean.plan(t), Options{StateDir: dir, Accept: removalsToo, Wait: soon, fault: count.fault})
	want := clean.content()
	points := count.n
	count.n = 0
	if _, err := Rollback(t.Context(), clean.places(), kinds, "",
		Options{StateDir: dir, Wait: soon, fault: count.fault}, nil); err != nil {
		t.Fatal(err)
	}
	rollbackPoints := count.n
	if points < 6*7 || rollbackPoints < 6*7 {
		t.Fatalf("only %d and %d points to die at", points, rollbackPoints)
	}
	restored := cmp.Transformer("false", func(s string) string { return strings.ReplaceAll(s, `"False"`, "false") })

	for at := 1; at <= points; at++ {
		t.Run(fmt.Sprintf("apply/%d", at), func(t *testing.T) {
			w, dir := newWorld(), t.TempDir()
			p := w.plan(t)
			d := &death{at: at}
			w.online.death, w.onprem.death = d, d
			if _, err := Run(t.Context(), w.places(), kinds, p,
				Options{StateDir: dir, Accept: removalsToo, Wait: soon, fault: d.fault}, nil); err == nil {
				// It died after the last thing that matters.
				if d.n > at {
					t.Fatal("the dead process said that all is well")
				}
			}
			w.online.death, w.onprem.death = nil, nil
			report, err := Run(t.Context(), w.places(), kinds, p,
				Options{StateDir: dir, Accept: removalsToo, Wait: soon}, nil)
			finished := at >= points && errors.Is(err, ErrStale)
			if err != nil && !finished {
				t.Fatalf("died at %q, then: %v", d.seen[len(d.seen)-1], err)
			}
			if diff := cmp.Diff(want, w.content()); diff != "" {
				t.Errorf("died at %q (-want +got):\n%s", d.seen[at-1], diff)
			}
			if !finished && report.Summary.Failed+report.Summary.Pending > 0 {
				t.Errorf("%+v", report.Summary)
			}
			ran := slices.Concat(w.online.ran, w.onprem.ran)
			slices.Sort(ran)
			if unique := slices.Compact(slices.Clone(ran)); len(unique) != len(ran) || len(ran) != 8 {
				t.Errorf("ran %v", ran)
			}
			// And back: what both sessions did counts as one run.
			if _, err := Rollback(t.Context(), w.places(), kinds, "", Options{StateDir: dir, Wait: soon},
				nil); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(before, w.content(), restored); diff != "" {
				t.Errorf("after rollback (-before +after):\n%s", diff)
			}
		})
	}

	for at := 1; at <= rollbackPoints; at++ {
		t.Run(fmt.Sprintf("rollback/%d", at), func(t *testing.T) {
			w, dir := newWorld(), t.TempDir()
			run(t, w, w.plan(t), Options{StateDir: dir, Accept: removalsToo, Wait: soon})
			d := &death{at: at}
			w.online.death, w.onprem.death = d, d
			_, _ = Rollback(t.Context(), w.places(), kinds, "", Options{StateDir: dir, Wait: soon, fault: d.fault}, nil)
			w.online.death, w.onprem.death = nil, nil
			if _, err := Rollback(t.Context(), w.places(), kinds, "", Options{StateDir: dir, Wait: soon},
				nil); err != nil && !(errors.Is(err, ErrNoRun) && at == rollbackPoints) {
				t.Fatal(err)
			}
			if diff := cmp.Diff(before, w.content(), restored); diff != "" {
				t.Errorf("died at %q (-before +after):\n%s", d.seen[len(d.seen)-1], diff)
			}
		})
	}
}

// A run that was killed in the middle, and then rolled back without being finished.
func TestRollBackOfTheUnfinished(t *testing.T) {
	count := &death{}
	clean := newWorld()
	before := clean.content()
	run(t, clean, clean.plan(t), Options{StateDir: t.TempDir(), Accept: removalsToo, Wait: soon, fault: count.fault})
	for at := 1; at <= count.n; at++ {
		w, dir := newWorld(), t.TempDir()
		d := &death{at: at}
		w.online.death, w.onprem.death = d, d
		_, _ = Run(t.Context(), w.places(), kinds, w.plan(t),
			Options{StateDir: dir, Accept: removalsToo, Wait: soon, fault: d.fault}, nil)
		w.online.death, w.onprem.death = nil, nil
		if _, err := Rollback(t.Context(), w.places(), kinds, "", Options{StateDir: dir, Wait: soon},
			nil); err != nil && !errors.Is(err, ErrNoRun) {
			t.Fatalf("died at %q: %v", d.seen[at-1], err)
		}
		if diff := cmp.Diff(before, w.content(),
			cmp.Transformer("false", func(s string) string {
				return strings.ReplaceAll(s, `"False"`,
					"false")
			})); diff != "" {
			t.Errorf("died at %q (-before +after):\n%s", d.seen[at-1], diff)
		}
	}
}

func TestRefusesBeforeWriting(t *testing.T) {
	tests := []struct {
		name    string
		prepare func(t *testing.T, w *world, p *change.Plan, o *Options)
		class   error
		want    []string
	}{
		{"moved", func(_ *testing.T, w *world, _ *change.Plan, _ *Options) {
			w.online.live["Fixed"][0].Properties["Value"] = "moved"
		}, ErrStale, []string{"online/Fixed"}},
		{"moved, what is only looked at", func(_ *testing.T, w *world, _ *change.Plan, _ *Options) {
			w.online.live["Thing"][2].Properties["Enabled"] = false
		}, ErrStale, []string{"online/Thing"}},
		{"deletes", func(_ *testing.T, _ *world, _ *change.Plan, o *Options) { o.Accept = nil }, ErrNotAccepted,
			[]string{"online/Thing/delete"}},
		{"unreadable", func(_ *testing.T, w *world, _ *change.Plan, _ *Options) {
			w.online.refuse = map[string]error{"Get-Thing": os.ErrPermission}
		}, os.ErrPermission, []string{"online: read Thing"}},
		{"no state directory", func(_ *testing.T, _ *world, _ *change.Plan, o *Options) { o.StateDir = "" }, ErrState,
			nil},
		{"state directory is a file", func(t *testing.T, _ *world, _ *change.Plan, o *Options) {
			o.StateDir = filepath.Join(t.TempDir(), "file")
			if err := os.WriteFile(o.StateDir, nil, 0o600); err != nil {
				t.Fatal(err)
			}
		}, ErrState, []string{"file"}},
		{"journals cannot be written", func(t *testing.T, _ *world, _ *change.Plan, o *Options) {
			if err := os.WriteFile(filepath.Join(o.StateDir, "runs"), nil, 0o600); err != nil {
				t.Fatal(err)
			}
		}, ErrState, nil},
		{"others may write journals", func(t *testing.T, _ *world, _ *change.Plan, o *Options) {
			if runtime.GOOS == "windows" {
				t.Skip("rights are not in the mode there")
			}
			if err := errors.Join(os.Mkdir(runsDir(o.StateDir), 0o700),
				os.Chmod(runsDir(o.StateDir), 0o720)); err != nil {
				t.Fatal(err)
			}
		}, ErrState, []string{"other accounts may write to"}},
		{"locked", func(t *testing.T, _ *world, _ *change.Plan, o *Options) {
			s, err := openState(o.StateDir)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(s.close)
		}, ErrLocked, nil},
		{"unknown kind", func(_ *testing.T, _ *world, p *change.Plan, _ *Options) {
			*p = relabelled(t, relabelled(t, *p, "/Thing/", "/Thingy/"), `"Thing"`, `"Thingy"`)
			p.Live["online/Thingy"], p.Live["onprem/contoso/Thingy"] = "x", "x"
			*p = p.Sealed()
		}, change.ErrPlan, []string{`"Thingy"`}},
		{"unknown place", func(_ *testing.T, _ *world, p *change.Plan, _ *Options) {
			*p = relabelled(t, *p, "onprem/contoso", "onprem/litware")
		}, change.ErrPlan, []string{`"onprem/litware"`}},
		{"another command than shown", func(_ *testing.T, _ *world, p *change.Plan, _ *Options) {
			p.Changes[0].Command.Name = "Remove-Everything"
			*p = p.Sealed()
		}, change.ErrEdited, []string{"what it runs is not"}},
		{"another command than shown, with the digest of before",
			func(_ *testing.T, _ *world, p *change.Plan, _ *Options) {
				p.Changes[0].Command.Name = "Remove-Everything"
			}, change.ErrEdited, []string{"digest"}},
		{"another parameter than shown", func(_ *testing.T, _ *world, p *change.Plan, _ *Options) {
			p.Changes[0].Command.Parameters = map[string]any{"Identity": "*"}
			*p = p.Sealed()
		}, change.ErrEdited, []string{"what it runs is not"}},
		{"another removal than shown", func(t *testing.T, _ *world, p *change.Plan, _ *Options) {
			at := slices.IndexFunc(p.Changes, func(c change.Change) bool { return c.Removal != nil })
			if at < 0 {
				t.Fatal("the plan has no replacement")
			}
			p.Changes[at].Removal.Parameters = map[string]any{"Identity": "*"}
			*p = p.Sealed()
		}, change.ErrEdited, []string{"what it runs is not"}},
		{"another risk than the kind's", func(_ *testing.T, _ *world, p *change.Plan, _ *Options) {
			p.Changes[0].Risk = "none at all"
			*p = p.Sealed()
		}, change.ErrEdited, []string{"its risk is not"}},
		{"another object than named", func(t *testing.T, _ *world, p *change.Plan, _ *Options) {
			c := changeOf(t, p, "online/Thing/delete")
			c.Identity, c.Command.Parameters["Identity"], c.Command.Parameters["Key"] = "3", "3", "others"
			*p = p.Sealed()
		}, change.ErrEdited, []string{`touches "three" and says that it touches "two"`}},
		{"another object, with its name", func(t *testing.T, _ *world, p *change.Plan, _ *Options) {
			c := changeOf(t, p, "online/Thing/delete")
			c.Identity, c.Name, c.Command.Parameters["Identity"], c.Command.Parameters["Key"] = "3", "three", "3",
				"others"
			*p = p.Sealed()
		}, change.ErrEdited, []string{"Key of"}},
		{"takes out of a list", func(t *testing.T, _ *world, p *change.Plan, _ *Options) {
			c := changeOf(t, p, "online/Thing/update")
			c.After["Targets"], c.Command.Parameters["Targets"] = []string{"ours.com"}, []string{"ours.com"}
			*p = p.Sealed()
		}, change.ErrEdited, []string{`takes ["Theirs.com"] out of Targets`}},
		{"another digest than required", func(_ *testing.T, _ *world, _ *change.Plan, o *Options) {
			o.Digest = "sha256:" + strings.Repeat("0", 64)
		}, change.ErrEdited, []string{"required is sha256:0000"}},
		{"tampered", func(_ *testing.T, _ *world, p *change.Plan, _ *Options) { p.Changes[0].Action = "explode" },
			change.ErrPlan, []string{"explode"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			w := newWorld()
			p := w.plan(t)
			o := Options{StateDir: t.TempDir(), Accept: removalsToo, Wait: soon}
			test.prepare(t, w, &p, &o)
			_, err := Run(t.Context(), w.places(), kinds, p, o, nil)
			if !errors.Is(err, test.class) {
				t.Fatalf("got %v, want %v", err, test.class)
			}
			for _, want := range test.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("%q does not say %q", err, want)
				}
			}
			if ran := slices.Concat(w.online.ran, w.onprem.ran); len(ran) > 0 {
				t.Errorf("ran %v", ran)
			}
			if runs, _ := runIDs(runsDir(o.StateDir)); len(runs) > 0 {
				t.Errorf("began %v", runs)
			}
		})
	}
	if parting > 5*time.Second {
		t.Errorf("a person who cancels waits %s for a server that hangs, and then for its session to end", parting)
	}
}

// changeOf is a change of a plan, to be edited.
func changeOf(t *testing.T, p *change.Plan, id string) *change.Change {
	t.Helper()
	at := slices.IndexFunc(p.Changes, func(c change.Change) bool { return c.ID == id })
	if at < 0 {
		t.Fatalf("the plan has no %s", id)
	}
	return &p.Changes[at]
}

// emptyPlan is a plan without changes.
func emptyPlan() change.Plan {
	return change.Plan{APIVersion: change.PlanVersion, Kind: "Plan", Live: map[string]string{},
		Changes: []change.Change{}}.Sealed()
}

// relabelled rewrites a plan as an editor would, with a fingerprint to match.
func relabelled(t *testing.T, p change.Plan, from, to string) change.Plan {
	t.Helper()
	var out change.Plan
	if err := json.Unmarshal(bytes.ReplaceAll(p.Encode(), []byte(from), []byte(to)), &out); err != nil {
		t.Fatal(err)
	}
	return out.Sealed()
}

func TestOneFailureStopsWhatNeedsIt(t *testing.T) {
	w := newWorld()
	dir := t.TempDir()
	boom := errors.New("the server said no")
	w.online.refuse = map[string]error{"New-Thing new": boom}
	p := w.plan(t)
	report, err := Run(t.Context(), w.places(), kinds, p, Options{StateDir: dir, Accept: removalsToo, Wait: soon}, nil)
	if !errors.Is(err, ErrPartial) || !errors.Is(err, boom) {
		t.Fatalf("got %v", err)
	}
	want := map[string]Status{
		"online/Thing/new": Failed, "onprem/contoso/Thing/app": Pending, "online/Thing/update": Pending,
		"onprem/contoso/Thing/last": Pending,
		"online/Fixed/fixed":        Done, "online/Thing/delete": Done, "online/Aspect/new": Pending,
	}
	if diff := cmp.Diff(want, statuses(report)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	for _, c := range report.Changes {
		if c.ID == "onprem/contoso/Thing/app" && c.Error != "needs online/Thing/new, which failed" {
			t.Errorf("says %q", c.Error)
		}
	}

	// The cause is removed, and the same plan goes on where it was.
	w.online.refuse = nil
	again := run(t, w, p, Options{StateDir: dir, Accept: removalsToo, Wait: soon})
	if again.RunID != report.RunID || again.Summary.Done != 7 {
		t.Errorf("%s then %s: %+v", report.RunID, again.RunID, again.Summary)
	}
	if next := w.plan(t); len(next.Changes) != 0 {
		t.Errorf("not converged: %+v", next.Changes)
	}
}

// An error although the server did what it was asked (a connection that broke too late) is not
// repeated.
func TestErrorAfterEffect(t *testing.T) {
	w := newWorld()
	var warned bool
	late := &lateError{memory: w.online, on: "New-Thing"}
	places := map[string]change.Place{"online": late, "onprem/contoso": w.onprem}
	report, err := Run(t.Context(), places, kinds, w.plan(t),
		Options{StateDir: t.TempDir(), Accept: removalsToo, Wait: soon}, observe.Func(func(e observe.Event) {
			_, is := e.(observe.Warning)
			warned = warned || is
		}))
	if err != nil || report.Summary.Done != 7 || !warned {
		t.Errorf("%+v, warned %v, %v", report.Summary, warned, err)
	}
}

type lateError struct {
	*memory
	on string
}

func (l *lateError) Run(ctx context.Context, c change.Command) (change.Properties, error) {
	out, err := l.memory.Run(ctx, c)
	if c.Name == l.on {
		return nil, errors.New("connection reset")
	}
	return out, err
}

func TestStaleWhileResuming(t *testing.T) {
	w, dir := newWorld(), t.TempDir()
	w.online.refuse = map[string]error{"New-Thing new": errors.New("no")}
	p := w.plan(t)
	_, _ = Run(t.Context(), w.places(), kinds, p, Options{StateDir: dir, Accept: removalsToo, Wait: soon}, nil)
	w.online.refuse = nil
	w.online.live["Thing"][0].Properties["URL"] = "https://someone.else/"
	if _, err := Run(t.Context(), w.places(), kinds, p, Options{StateDir: dir, Accept: removalsToo, Wait: soon},
		nil); !errors.Is(err, ErrStale) || !strings.Contains(err.Error(), "online/Thing") {
		t.Errorf("got %v", err)
	}
}

func TestReadBack(t *testing.T) {
	t.Run("waits", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld()
			w.online.hide = 5
			waited := 0
			report, err := Run(t.Context(), w.places(), kinds, w.plan(t),
				Options{StateDir: t.TempDir(), Accept: removalsToo}, observe.Func(func(e observe.Event) {
					if _, is := e.(observe.Waiting); is {
						waited++
					}
				}))
			if err != nil || report.Summary.Done != 7 || waited != 5 {
				t.Errorf("waited %d times: %+v, %v", waited, report.Summary, err)
			}
		})
	})
	t.Run("not for ever", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld()
			w.onprem.hide = 1 << 30
			begun := time.Now()
			report, err := Run(t.Context(), w.places(), kinds, w.plan(t),
				Options{StateDir: t.TempDir(), Accept: removalsToo, Wait: time.Minute}, nil)
			if !errors.Is(err, ErrNotSeen) || !errors.Is(err, ErrPartial) ||
				statuses(report)["onprem/contoso/Thing/app"] != Failed {
				t.Errorf("%v: %+v", err, report.Changes)
			}
			if took := time.Since(begun); took > time.Minute {
				t.Errorf("took %s", took)
			}
		})
	})
}

func TestCancel(t *testing.T) {
	w, dir := newWorld(), t.TempDir()
	ctx, cancel := context.WithCancel(t.Context())
	w.online.before = func(command string) {
		if command == "New-Thing new" {
			cancel() // while it is under way: it is finished, and nothing else begun
		}
	}
	p := w.plan(t)
	report, err := Run(ctx, w.places(), kinds, p, Options{StateDir: dir, Accept: removalsToo, Wait: soon}, nil)
	if !errors.Is(err, context.Canceled) {
		t.Fatalf("got %v", err)
	}
	if s := statuses(report); s["online/Thing/new"] != Done || report.Summary.Done != 1 || report.Summary.Pending != 6 {
		t.Errorf("%+v", s)
	}
	if report := run(t, w, p, Options{StateDir: dir, Accept: removalsToo, Wait: soon}); report.Summary.Done != 7 {
		t.Errorf("taken up again: %+v", report.Summary)
	}
}

func TestRollbackLeavesOthersWorkAlone(t *testing.T) {
	w, dir := newWorld(), t.TempDir()
	run(t, w, w.plan(t), Options{StateDir: dir, Accept: removalsToo, Wait: soon})
	find := func(key string) change.Properties {
		for _, l := range w.online.live["Thing"] {
			if l.Properties["Key"] == key {
				return l.Properties
			}
		}
		t.Fatalf("no %s", key)
		return nil
	}
	find("new")["Enabled"] = false
	find("update")["URL"] = "https://someone.else/"
	find("update")["Targets"] = []string{"OURS.com", "theirs.com", "more.com"}
	report, err := Rollback(t.Context(), w.places(), kinds, "", Options{StateDir: dir, Wait: soon}, nil)
	if !errors.Is(err, ErrPartial) || !errors.Is(err, ErrConflict) {
		t.Fatalf("got %v", err)
	}
	want := map[string]Status{
		"online/Thing/new":          Pending,
		"online/Thing/update":       Failed, // one property is theirs now; the rest is set back
		"onprem/contoso/Thing/app":  Pending,
		"onprem/contoso/Thing/last": Done,
		"online/Fixed/fixed":        Done,
		"online/Thing/delete":       Done,
		"online/Aspect/new":         Done,
	}
	if diff := cmp.Diff(want, statuses(report)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if got := find("update"); !sameTruth(false, got["Enabled"]) || got["URL"] != "https://someone.else/" ||
		!slices.Equal(got["Targets"].([]string), []string{"theirs.com", "more.com"}) {
		t.Errorf("update is %v", got)
	}
	// It is not undone yet: once the conflicts are out of the way, the rest follows.
	find("update")["URL"] = "https://old"
	report, err = Rollback(t.Context(), w.places(), kinds, "", Options{StateDir: dir, Wait: soon}, nil)
	if !errors.Is(err, ErrConflict) || statuses(report)["online/Thing/new"] != Failed ||
		find("new")["Enabled"] != false {
		t.Errorf("%v: %+v", err, report.Changes)
	}
	find("new")["Enabled"] = true
	if _, err := Rollback(t.Context(), w.places(), kinds, "", Options{StateDir: dir, Wait: soon}, nil); err != nil {
		t.Error(err)
	}
	if len(w.onprem.live["Thing"]) != 0 {
		t.Errorf("left: %v", w.onprem.content())
	}
}

func TestPermanent(t *testing.T) {
	w, dir := newWorld(), t.TempDir()
	w.resources = []change.Resource{
		{Kind: forever, Target: "online", Key: "f", Name: "f", Properties: change.Properties{"Key": "f", "Value": "v"},
			Needs: []string{"online/Thing/t"}},
		{Kind: thing, Target: "online", Key: "t", Name: "t", Properties: change.Properties{"Key": "t"}},
	}
	run(t, w, w.plan(t), Options{StateDir: dir, Wait: soon})
	report, err := Rollback(t.Context(), w.places(), kinds, "", Options{StateDir: dir, Wait: soon}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if report.Changes[0].Status != Skipped || report.Changes[0].Note.String() != "not undone: a tenant never forgets" ||
		report.Changes[1].Status != Done {
		t.Errorf("%+v", report.Changes)
	}
}

func TestEmptyPlan(t *testing.T) {
	w, dir := newWorld(), t.TempDir()
	w.resources = nil
	if report := run(t, w, w.plan(t), Options{StateDir: dir, Wait: soon}); report.Kind != "ApplyReport" ||
		report.RunID != "" {
		t.Errorf("%+v", report)
	}
}

func TestHalfWrittenLine(t *testing.T) {
	w, dir := newWorld(), t.TempDir()
	w.online.refuse = map[string]error{"New-Thing new": errors.New("no")}
	p := w.plan(t)
	report, _ := Run(t.Context(), w.places(), kinds, p, Options{StateDir: dir, Accept: removalsToo, Wait: soon}, nil)
	f, err := os.OpenFile(report.Journal, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteString(`{"record":"begin","change":"onl`); err != nil {
		t.Fatal(err)
	}
	_ = f.Close()
	w.online.refuse = nil
	run(t, w, p, Options{StateDir: dir, Accept: removalsToo, Wait: soon})
	if _, err := readJournal(report.Journal); err != nil {
		t.Errorf("the journal is broken now: %v", err)
	}
}

// For any live state and any desired state: plan, apply, plan is empty; roll back, and all is as it
// was.
func TestConvergence(t *testing.T) {
	parent := t.TempDir()
	n := 0
	rapid.Check(t, func(t *rapid.T) {
		n++
		dir := filepath.Join(parent, fmt.Sprint(n))
		keys := []string{"a", "b", "c"}
		value := rapid.SampledFrom([]string{"x", "y", "z"})
		targets := rapid.SliceOfNDistinct(rapid.SampledFrom([]string{"one.com", "two.com", "Three.com"}), 0, 3,
			rapid.ID[string])
		properties := func(noun, key, label string) change.Properties {
			p := change.Properties{"Key": key}
			if noun == "Fixed" {
				p["Value"] = value.Draw(t, label+" value")
				if rapid.Bool().Draw(t, label+" has keep") {
					p["Keep"] = value.Draw(t, label+" keep")
				}
				return p
			}
			p["Enabled"] = rapid.Bool().Draw(t, label+" enabled")
			if rapid.Bool().Draw(t, label+" has targets") {
				p["Targets"] = targets.Draw(t, label+" targets")
			}
			if rapid.Bool().Draw(t, label+" has url") {
				p["URL"] = "https://" + value.Draw(t, label+" url")
			}
			return p
		}
		w := &world{online: &memory{name: "online", next: 100, live: map[string][]change.Live{}},
			onprem: &memory{name: "onprem", next: 200, live: map[string][]change.Live{}}}
		var ids []string
		for _, target := range []string{"online", "onprem/contoso"} {
			m := w.places()[target].(*memory)
			for _, kind := range []*change.Kind{thing, fixed} {
				for _, key := range keys {
					label := target + kind.Noun + key
					if rapid.Bool().Draw(t, label+" live") {
						m.next++
						m.live[kind.Noun] = append(m.live[kind.Noun],
							change.Live{Identity: fmt.Sprint(m.next), Name: key,
								Properties: properties(kind.Noun, key, label+" live")})
					}
					if !rapid.Bool().Draw(t, label+" wanted") {
						continue
					}
					r := change.Resource{Kind: kind, Target: target, Key: key, Name: key,
						Absent: rapid.Bool().Draw(t, label+" absent")}
					if r.Properties = properties(kind.Noun, key, label+" want"); len(ids) > 0 &&
						rapid.Bool().Draw(t, label+" needs") {
						r.Needs = []string{rapid.SampledFrom(ids).Draw(t, label+" need")}
					}
					ids = append(ids, r.ID())
					w.resources = append(w.resources, r)
				}
			}
		}
		before := w.content()
		made, err := change.Make(context.Background(), w.places(), w.resources, change.Options{})
		if err != nil {
			t.Fatal(err)
		}
		p, err := change.Decode(bytes.NewReader(made.Encode()))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := Run(context.Background(), w.places(), kinds, p,
			Options{StateDir: dir, Accept: removalsToo, Wait: soon}, nil); err != nil {
			t.Fatal(err)
		}
		again, err := change.Make(context.Background(), w.places(), w.resources, change.Options{})
		if err != nil || len(again.Changes) > 0 {
			t.Fatalf("not converged: %+v, %v", again.Changes, err)
		}
		if len(p.Changes) == 0 {
			return
		}
		if _, err := Rollback(context.Background(), w.places(), kinds, "", Options{StateDir: dir, Wait: soon},
			nil); err != nil {
			t.Fatal(err)
		}
		if after := w.content(); !sameContent(before, after) {
			t.Fatalf("after rollback (-before +after):\n%s", cmp.Diff(before, after))
		}
	})
}

// sameContent compares contents without regard to nouns that hold nothing and empty lists.
func sameContent(a, b map[string]map[string][]string) bool {
	flat := func(m map[string]map[string][]string) []string {
		var out []string
		for place, nouns := range m {
			for noun, rows := range nouns {
				for _, row := range rows {
					out = append(out, place+noun+strings.ReplaceAll(row, `,"Targets":[]`, ""))
				}
			}
		}
		slices.Sort(out)
		return out
	}
	return slices.Equal(flat(a), flat(b))
}

func FuzzReadJournal(f *testing.F) {
	w, dir := newWorld(), f.TempDir()
	report := run(f, w, w.plan(f), Options{StateDir: dir, Accept: removalsToo, Wait: soon})
	data, err := os.ReadFile(report.Journal)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(data)
	f.Add(data[:len(data)-20])
	f.Add([]byte("{\"record\":\"run\",\"apiVersion\":\"hybridge/v2\"}\n{\"record\":\"end\"}\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		state := t.TempDir()
		if err := os.MkdirAll(runsDir(state), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(runsDir(state), "20260101T000000.000Z.jsonl"), data, 0o600); err != nil {
			t.Fatal(err)
		}
		_, _ = History(state)
		w := newWorld()
		_, _ = Rollback(t.Context(), w.places(), kinds, "", Options{StateDir: state, Wait: 1}, nil)
	})
}
