package apply

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hybridge-cli/hybridge/pkg/engine/change"
)

// dies gives a fault that kills the process at a point named.
func dies(w *world, at string) func(string) error {
	d := &death{}
	w.online.death, w.onprem.death = d, d
	return func(point string) error {
		if err := d.fault(point); err != nil || point != at {
			return err
		}
		d.mu.Lock()
		defer d.mu.Unlock()
		d.at = 1
		return errDead
	}
}

// Another administrator changes a resource beside the one that a killed run was writing: neither
// what is in effect nor what is not may be taken for the whole truth.
func TestSomeoneElseWhileDead(t *testing.T) {
	for _, at := range []string{"before run online/Thing/new", "after run online/Thing/new"} {
		t.Run(at, func(t *testing.T) {
			w, dir := newWorld(), t.TempDir()
			p := w.plan(t)
			if _, err := Run(t.Context(), w.places(), kinds, p,
				Options{StateDir: dir, Accept: removalsToo, Wait: soon, fault: dies(w, at)}, nil); err == nil {
				t.Fatal("the dead process said that all is well")
			}
			w.online.death, w.onprem.death = nil, nil
			w.online.live["Thing"][2].Properties["Enabled"] = false
			ran := len(w.online.ran)
			if _, err := Run(t.Context(), w.places(), kinds, p, Options{StateDir: dir, Accept: removalsToo, Wait: soon},
				nil); !errors.Is(err, ErrStale) {
				t.Errorf("got %v", err)
			}
			if len(w.online.ran) != ran {
				t.Errorf("ran %v", w.online.ran[ran:])
			}
		})
	}
}

// Another administrator writes a property, that the plan writes too, after the run began and before
// its turn.
func TestSomeoneElseDuringTheRun(t *testing.T) {
	w := newWorld()
	w.online.after = func(command string) {
		if command == "New-Thing new" {
			w.online.live["Thing"][0].Properties["URL"] = "https://someone.else/"
		}
	}
	report, err := Run(t.Context(), w.places(), kinds, w.plan(t),
		Options{StateDir: t.TempDir(), Accept: removalsToo, Wait: soon}, nil)
	if !errors.Is(err, ErrStale) || statuses(report)["online/Thing/update"] != Failed {
		t.Errorf("%v: %v", err, statuses(report))
	}
	if got := w.online.live["Thing"][0].Properties["URL"]; got != "https://someone.else/" {
		t.Errorf("wrote over it: %v", got)
	}
}

// A run whose rollback was begun is over: the same plan does not resume it.
func TestNotResumedWhileRolledBack(t *testing.T) {
	w, dir := newWorld(), t.TempDir()
	w.online.refuse = map[string]error{"New-Thing new": errors.New("no")}
	p := w.plan(t)
	_, _ = Run(t.Context(), w.places(), kinds, p, Options{StateDir: dir, Accept: removalsToo, Wait: soon}, nil)
	x := &execution{options: Options{StateDir: dir, Wait: soon}}
	if run, err := x.unfinished(p.Digest); err != nil || run == nil {
		t.Fatalf("got %v, %v", run, err)
	}
	w.online.refuse = map[string]error{"New-Thing delete": errors.New("no")}
	if _, err := Rollback(t.Context(), w.places(), kinds, "", Options{StateDir: dir, Wait: soon}, nil); !errors.Is(err,
		ErrPartial) {
		t.Fatalf("got %v", err)
	}
	if run, err := x.unfinished(p.Digest); err != nil || run != nil {
		t.Errorf("got %v, %v", run, err)
	}
}

func TestUncertain(t *testing.T) {
	begin := &record{Record: eventBegin}
	for _, test := range []struct {
		name            string
		trace           trace
		uncertain, done bool
	}{
		{"not begun", trace{}, false, false},
		{"begun", trace{begin: begin}, true, false},
		{"done", trace{begin: begin, end: &record{Status: Done}}, false, true},
		{"skipped", trace{end: &record{Status: Skipped}}, false, true},
		{"failed, and what is live was read", trace{begin: begin, end: &record{Status: Failed, Live: "sha256:1"}},
			false, false},
		{"failed, its answer lost", trace{begin: begin,
			end: &record{Status: Failed, Live: "sha256:1", Uncertain: true}}, true, false},
		{"failed, and nothing could be read", trace{begin: begin, end: &record{Status: Failed}}, true, false},
	} {
		if got, done := test.trace.uncertain(), test.trace.done(); got != test.uncertain || done != test.done {
			t.Errorf("%s: uncertain %v, done %v", test.name, got, done)
		}
	}
}

// A replacement says in the journal that its first half is done, before the second.
func TestReplacementIsJournalledByHalves(t *testing.T) {
	w, dir := newWorld(), t.TempDir()
	report := run(t, w, w.plan(t), Options{StateDir: dir, Accept: removalsToo, Wait: soon})
	p, err := readJournal(report.Journal)
	if err != nil {
		t.Fatal(err)
	}
	var events []event
	for _, r := range p.records {
		if r.Change == "online/Fixed/fixed" {
			events = append(events, r.Record)
		}
	}
	if !slices.Equal(events, []event{eventBegin, eventRemoved, eventEnd}) {
		t.Errorf("got %v", events)
	}
}

// A write that is under way survives a cancel, but not for ever.
func TestOutlive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		work, release := outlive(ctx, time.Minute)
		defer release()
		cancel()
		time.Sleep(59 * time.Second)
		if work.Err() != nil {
			t.Error("cut off early")
		}
		time.Sleep(2 * time.Second)
		if work.Err() == nil {
			t.Error("goes on for ever")
		}
	})
}

func TestJournal(t *testing.T) {
	s, err := openState(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer s.close()
	failing := false
	j, err := s.create(record{Action: actionApply, Plan: &storedPlan{emptyPlan()}}, func(string) error {
		if failing {
			return errDead
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	failing = true
	if err := j.append(record{Record: eventBegin, Change: "a"}); !errors.Is(err, errDead) {
		t.Errorf("got %v", err)
	}
	failing = false
	if err := j.append(record{Record: eventEnd, Change: "a"}); !errors.Is(err, errDead) {
		t.Errorf("a line after one that is not whole: got %v", err)
	}
	j.close()

	// What is left of the last line does not stay behind a shorter one.
	whole, err := os.Stat(j.path)
	if err != nil {
		t.Fatal(err)
	}
	p, err := readJournal(j.path)
	if err != nil {
		t.Fatal(err)
	}
	if j, err = p.reopen(nil); err != nil {
		t.Fatal(err)
	}
	defer j.close()
	cut, err := os.Stat(j.path)
	if err != nil {
		t.Fatal(err)
	}
	if cut.Size() >= whole.Size() {
		t.Errorf("%d bytes of %d are left", cut.Size(), whole.Size())
	}
}

// Runs sort by their ids, also when the clock went back and copies of journals stand beside them.
func TestNextID(t *testing.T) {
	dir := t.TempDir()
	const last = "29991231T235959.999Z"
	for _, name := range []string{last, last + ".copy", "zzz"} {
		if err := os.WriteFile(filepath.Join(dir, name+journalSuffix), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if id, err := nextID(dir); err != nil || id <= last {
		t.Errorf("got %s, %v", id, err)
	}
}

// What could not be read before says nothing about a difference; what cannot be read now may be
// anything.
func TestDiffering(t *testing.T) {
	hidden := change.Unreadable{Reason: "no right"}
	for _, test := range []struct {
		was, is any
		differ  bool
	}{
		{"https://a/", "https://a", false},
		{"https://a/", "https://b/", true},
		{hidden, "https://b/", false},
		{"https://a/", hidden, true},
	} {
		got := thing.Differing(&change.Live{Properties: change.Properties{"URL": test.was}},
			&change.Live{Properties: change.Properties{"URL": test.is}})
		if (got != "") != test.differ {
			t.Errorf("%v, then %v: %q", test.was, test.is, got)
		}
	}
}

// What cannot be flushed to the disk does not count as written: nothing may be changed after it. A
// pipe takes the line, and has no disk.
func TestJournalIsFlushed(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("flushing a pipe waits for its reader")
	}
	out, in, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	j := &journal{path: "a pipe", format: formats[JournalVersion], file: in}
	defer j.close()
	if err := j.append(record{Record: eventBegin, Change: "a"}); !errors.Is(err, ErrState) {
		t.Errorf("got %v", err)
	}
}

// Journals name what an organization has: they are for their owner alone.
func TestJournalsArePrivate(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("has no such modes")
	}
	dir := filepath.Join(t.TempDir(), "state")
	s, err := openState(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer s.close()
	j, err := s.create(record{Action: actionApply, Plan: &storedPlan{emptyPlan()}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer j.close()
	for _, path := range []string{dir, runsDir(dir), j.path, filepath.Join(dir, "lock")} {
		if info, err := os.Stat(path); err != nil || info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s: %v, %v", path, info.Mode(), err)
		}
	}
}

// A run whose journal cannot be written any more has changed something or not: which one decides
// what a person sees.
func TestLostJournal(t *testing.T) {
	full := errors.New("no space left")
	for at, partial := range map[string]bool{"before begin online/Thing/new": false,
		"before end online/Thing/new": true} {
		t.Run(at, func(t *testing.T) {
			w := newWorld()
			_, err := Run(t.Context(), w.places(), kinds, w.plan(t),
				Options{StateDir: t.TempDir(), Accept: removalsToo, Wait: soon, fault: func(point string) error {
					if point == at || strings.HasPrefix(point, "before begin onprem/") {
						return full
					}
					return nil
				}}, nil)
			if !errors.Is(err, full) || errors.Is(err, ErrPartial) != partial ||
				strings.Contains(fmt.Sprint(err), "make room where it is") != partial {
				t.Errorf("got %v", err)
			}
		})
	}
}

// When the second half of a replacement is refused, the refusal is reported, and nothing is waited
// for.
func TestRefusedSecondHalf(t *testing.T) {
	w, refused := newWorld(), errors.New("no right to make it")
	w.online.refuse = map[string]error{"New-Fixed fixed": refused}
	report, err := Run(t.Context(), w.places(), kinds, w.plan(t),
		Options{StateDir: t.TempDir(), Accept: removalsToo, Wait: soon}, nil)
	if !errors.Is(err, ErrPartial) || !errors.Is(err, refused) || statuses(report)["online/Fixed/fixed"] != Failed {
		t.Errorf("%v: %v", err, statuses(report))
	}
}

// A replacement whose second half was refused has removed its object. Each further run of the plan
// makes it anew, with all that it had.
func TestRefusedSecondHalfIsMadeUpFor(t *testing.T) {
	w, dir := newWorld(), t.TempDir()
	before := w.content()
	no := errors.New("no right to make it")
	w.online.refuse = map[string]error{"New-Fixed fixed": no}
	p, o := w.plan(t), Options{StateDir: dir, Accept: removalsToo, Wait: soon}
	for range 2 {
		if _, err := Run(t.Context(), w.places(), kinds, p, o, nil); !errors.Is(err, no) {
			t.Fatal(err)
		}
	}
	w.online.refuse = nil
	if again := run(t, w, p, o); again.Summary.Done != 7 {
		t.Errorf("%+v", again.Changes)
	}
	if got, want := w.online.content()["Fixed"], `four {"Keep":"kept","Key":"fixed","Value":"new"}`; !slices.Equal(got,
		[]string{want}) {
		t.Errorf("got %v", got)
	}
	if _, err := Rollback(t.Context(), w.places(), kinds, "", o, nil); err != nil {
		t.Fatal(err)
	}
	if after := w.content(); !sameContent(before, after) {
		t.Errorf("rolled back to %v", after)
	}
}

// What a replacement removed, and others made again as it was, is removed once more.
func TestRefusedSecondHalfThatOthersUndid(t *testing.T) {
	w, dir := newWorld(), t.TempDir()
	was := clone(w.online.live["Fixed"])
	w.online.refuse = map[string]error{"New-Fixed fixed": errors.New("no right to make it")}
	p, o := w.plan(t), Options{StateDir: dir, Accept: removalsToo, Wait: soon}
	_, _ = Run(t.Context(), w.places(), kinds, p, o, nil)
	w.online.refuse, w.online.live["Fixed"] = nil, was
	if again := run(t, w, p, o); again.Summary.Done != 7 {
		t.Errorf("%+v", again.Changes)
	}
	if got := w.online.content()["Fixed"]; len(got) != 1 || !strings.Contains(got[0], `"Value":"new"`) {
		t.Errorf("got %v", got)
	}
}

// What could not be seen in time, and shows when the plan is applied again, is in effect. It does
// not make the rest of the plan stale.
func TestShowsLate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, o := newWorld(), Options{StateDir: t.TempDir()}
		w.resources = slices.DeleteFunc(w.resources,
			func(r change.Resource) bool { return r.Key != "update" && r.Key != "last" })
		w.resources[0].Needs = nil
		p := w.plan(t)
		w.online.hide = 1 << 30
		report, err := Run(t.Context(), w.places(), kinds, p, o, nil)
		if !errors.Is(err, ErrNotSeen) || statuses(report)["online/Thing/update"] != Failed {
			t.Fatalf("%v: %+v", err, report.Changes)
		}
		w.online.hide = 0
		again, err := Run(t.Context(), w.places(), kinds, p, o, nil)
		if err != nil || again.RunID != report.RunID || again.Summary.Failed+again.Summary.Pending > 0 {
			t.Errorf("%v: %+v", err, again.Changes)
		}
	})
}

// A list that others shorten while the plan is carried out is not emptied without the consent for
// that.
func TestMergedToNothingNeedsItsConsent(t *testing.T) {
	guarded := *thing
	guarded.Properties = maps.Clone(thing.Properties)
	targets := guarded.Properties["Targets"]
	targets.WhenEmpty = &change.Consent{ID: "empty", Title: "nothing is allowed"}
	guarded.Properties["Targets"] = targets
	for _, consent := range []bool{false, true} {
		w, accept := newWorld(), []string{AcceptRemovals}
		if consent {
			accept = append(accept, "empty")
		}
		w.online.live["Thing"][0].Properties["Targets"] = []string{"theirs.com", "ours.com"}
		w.resources = []change.Resource{
			{Kind: &guarded, Target: "online", Key: "new", Name: "new", Properties: change.Properties{"Key": "new",
				"Targets": []string{"n.com"}}},
			{Kind: &guarded, Target: "online", Key: "update", Properties: change.Properties{"Key": "update"},
				Without: map[string][]string{"Targets": {"ours.com"}}},
		}
		w.online.after = func(command string) {
			if command == "New-Thing new" {
				w.online.live["Thing"][0].Properties["Targets"] = []string{"ours.com"}
			}
		}
		_, err := Run(t.Context(), w.places(), map[string]*change.Kind{"Thing": &guarded}, w.plan(t),
			Options{StateDir: t.TempDir(), Accept: accept, Wait: soon}, nil)
		left := change.Elements(w.online.live["Thing"][0].Properties["Targets"])
		if errors.Is(err, ErrNotAccepted) == consent || (len(left) == 0) != consent {
			t.Errorf("with consent %v: %v, left %v", consent, err, left)
		}
	}
}

// What a rollback that cannot be read has undone is not known: what the run did is looked at, and
// not believed.
func TestResumeBesideAnUnreadableRollback(t *testing.T) {
	for _, undone := range []bool{true, false} {
		w, o := newWorld(), Options{StateDir: t.TempDir(), Accept: removalsToo, Wait: soon}
		w.online.refuse = map[string]error{"New-Thing new": errors.New("no")}
		p := w.plan(t)
		_, _ = Run(t.Context(), w.places(), kinds, p, o, nil)
		w.online.refuse = nil
		unreadable := filepath.Join(runsDir(o.StateDir), "29991231T235959.999Z"+journalSuffix)
		if undone {
			report, err := Rollback(t.Context(), w.places(), kinds, "", o, nil)
			if err != nil {
				t.Fatal(err)
			}
			unreadable = report.Journal
		}
		if err := os.WriteFile(unreadable, []byte("garbage\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := Run(t.Context(), w.places(), kinds, p, o, nil)
		if errors.Is(err, ErrStale) != undone || err != nil && !undone {
			t.Errorf("undone %v: %v", undone, err)
		}
		if next := w.plan(t); !undone && len(next.Changes) > 0 {
			t.Errorf("not converged: %+v", next.Changes)
		}
	}
}

// The journal says how long a change took, and how it left what it made, also when what it printed
// cannot be kept for others.
func TestJournalOfAnOutputThatCannotBeKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, dir := newWorld(), t.TempDir()
		w.online.hide, w.online.outputs = 2, change.Properties{"Id": 1.5}
		report, err := Run(t.Context(), w.places(), kinds, w.plan(t), Options{StateDir: dir, Accept: removalsToo}, nil)
		if !errors.Is(err, ErrPartial) {
			t.Fatal(err)
		}
		p, err := readJournal(report.Journal)
		if err != nil {
			t.Fatal(err)
		}
		end := p.traces()["online/Thing/new"].end
		if end == nil || end.Status != Failed || end.After == nil || end.DurationMS < 200 {
			t.Errorf("%+v", end)
		}
		if made := creations(t, dir); !slices.Contains(made, "online/Thing/new") {
			t.Errorf("made: %v", made)
		}
	})
}
