package apply

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/hybridge-cli/hybridge/pkg/engine/change"
)

// lost carries out the creation of "online/Thing/new", whose answer does not arrive, and of which
// nothing shows for a number of reads.
func lost(t *testing.T, w *world, dir string, p change.Plan, reads int) Report {
	t.Helper()
	w.online.hide = reads
	places := map[string]change.Place{"online": &lateError{memory: w.online, on: "New-Thing"},
		"onprem/contoso": w.onprem}
	report, err := Run(t.Context(), places, kinds, p, Options{StateDir: dir, Accept: removalsToo}, nil)
	if !errors.Is(err, ErrUncertain) || !errors.Is(err, ErrPartial) {
		t.Fatalf("got %v", err)
	}
	for _, o := range report.Changes {
		switch o.ID {
		case "online/Thing/new":
			if o.Status != Failed || !o.Uncertain || !strings.Contains(o.Error, "connection reset") {
				t.Errorf("%+v", o)
			}
		case "online/Thing/delete":
			if o.Status != Pending || !strings.Contains(o.Error, "online/Thing/new") {
				t.Errorf("another one of the kind: %+v", o)
			}
		}
	}
	journal, err := readJournal(report.Journal)
	if err != nil {
		t.Fatal(err)
	}
	if trace := journal.traces()["online/Thing/new"]; trace.end == nil || !trace.end.Uncertain || !trace.uncertain() {
		t.Errorf("journaled as %+v", trace.end)
	}
	return report
}

// What was made without an answer, and does not show yet, is not made again.
func TestLostAnswer(t *testing.T) {
	for _, reads := range []int{0, 1, 4} {
		t.Run(fmt.Sprintf("shows after %d reads", reads), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w, dir := newWorld(), t.TempDir()
				p := w.plan(t)
				first := lost(t, w, dir, p, 1<<30)
				w.online.hide = reads
				again, err := Run(t.Context(), w.places(), kinds, p, Options{StateDir: dir, Accept: removalsToo}, nil)
				if err != nil || again.RunID != first.RunID || again.Summary.Done != 7 {
					t.Fatalf("%v: %+v", err, again.Changes)
				}
				if made := slices.DeleteFunc(slices.Clone(w.online.ran),
					func(c string) bool { return c != "New-Thing new" }); len(made) != 1 {
					t.Errorf("made %d times", len(made))
				}
				if next := w.plan(t); len(next.Changes) > 0 {
					t.Errorf("not converged: %+v", next.Changes)
				}
			})
		})
	}
}

// One that was never made is made, once its patience is over.
func TestLostRequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, dir := newWorld(), t.TempDir()
		p := w.plan(t)
		lost(t, w, dir, p, 1<<30)
		w.online.hide = 0
		w.online.live["Thing"] = slices.DeleteFunc(w.online.live["Thing"],
			func(l change.Live) bool { return l.Properties["Key"] == "new" })
		if again := run(t, w, p, Options{StateDir: dir, Accept: removalsToo}); again.Summary.Done != 7 {
			t.Errorf("%+v", again.Changes)
		}
	})
}

// A rollback waits for what may have been made, and removes it.
func TestLostAnswerRolledBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, dir := newWorld(), t.TempDir()
		before := w.content()
		lost(t, w, dir, w.plan(t), 1<<30)
		w.online.hide = 4
		if _, err := Rollback(t.Context(), w.places(), kinds, "", Options{StateDir: dir}, nil); err != nil {
			t.Fatal(err)
		}
		if after := w.content(); !sameContent(before, after) {
			t.Errorf("left behind: %v", after)
		}
	})
}

// An undone removal whose answer was lost is not made twice either.
func TestLostAnswerWhileRollingBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, dir := newWorld(), t.TempDir()
		w.resources = []change.Resource{{Kind: thing, Target: "online", Key: "delete",
			Properties: change.Properties{"Key": "delete"}, Absent: true}}
		run(t, w, w.plan(t), Options{StateDir: dir, Accept: removalsToo})
		w.online.hide, w.online.shown = 1<<30, nil
		places := map[string]change.Place{"online": &lateError{memory: w.online, on: "New-Thing"}}
		if _, err := Rollback(t.Context(), places, kinds, "", Options{StateDir: dir}, nil); !errors.Is(err,
			ErrUncertain) {
			t.Fatalf("got %v", err)
		}
		w.online.hide = 3
		if _, err := Rollback(t.Context(), w.places(), kinds, "", Options{StateDir: dir}, nil); err != nil {
			t.Fatal(err)
		}
		if made := slices.DeleteFunc(slices.Clone(w.online.ran),
			func(c string) bool { return c != "New-Thing delete" }); len(made) != 1 {
			t.Errorf("made %d times: %v", len(made), w.online.ran)
		}
	})
}

// Lists that others write too are read right before they are written: what was put in meanwhile
// stays in, and what was taken out stays out.
func TestListsAreMergedAtTheLastMoment(t *testing.T) {
	w, dir := newWorld(), t.TempDir()
	w.online.after = func(command string) {
		if command == "New-Thing new" {
			w.online.live["Thing"][0].Properties["Targets"] = []string{"more.com"}
		}
	}
	run(t, w, w.plan(t), Options{StateDir: dir, Accept: removalsToo})
	if got := w.online.live["Thing"][0].Properties["Targets"]; !slices.Equal(got.([]string),
		[]string{"more.com", "ours.com"}) {
		t.Errorf("got %v", got)
	}
	if _, err := Rollback(t.Context(), w.places(), kinds, "", Options{StateDir: dir}, nil); err != nil {
		t.Fatal(err)
	}
	if got := w.online.live["Thing"][0].Properties["Targets"]; !slices.Equal(got.([]string), []string{"more.com"}) {
		t.Errorf("rolled back to %v", got)
	}
}

// What others extended in ways that no kind declares is not removed by a rollback.
func TestRollbackLeavesWhatOthersExtended(t *testing.T) {
	w, dir := newWorld(), t.TempDir()
	run(t, w, w.plan(t), Options{StateDir: dir, Accept: removalsToo})
	extended := w.onprem.live["Thing"][0]
	extended.Properties["Notes"] = "used by payroll"
	undo, err := Preview(t.Context(), w.places(), kinds, "", Options{StateDir: dir})
	if err != nil || !slices.ContainsFunc(undo.Left,
		func(o Outcome) bool { return strings.Contains(o.Error, "extended since") }) {
		t.Errorf("preview: %v: %+v", err, undo.Left)
	}
	report, err := Rollback(t.Context(), w.places(), kinds, "", Options{StateDir: dir, Wait: soon}, nil)
	if !errors.Is(err, ErrConflict) ||
		!slices.ContainsFunc(w.onprem.live["Thing"], func(l change.Live) bool { return l.Name == extended.Name }) {
		t.Errorf("%v: %+v", err, report.Changes)
	}
}

func TestPreview(t *testing.T) {
	w, dir := newWorld(), t.TempDir()
	if _, err := Preview(t.Context(), w.places(), kinds, "", Options{StateDir: dir}); !errors.Is(err, ErrNoRun) {
		t.Errorf("without a run: %v", err)
	}
	report := run(t, w, w.plan(t), Options{StateDir: dir, Accept: removalsToo})
	w.online.live["Thing"][0].Properties["URL"] = "https://someone.else/"
	ran := len(w.online.ran) + len(w.onprem.ran)
	undo, err := Preview(t.Context(), w.places(), kinds, "", Options{StateDir: dir})
	if err != nil || undo.RunID != report.RunID {
		t.Fatalf("%v: %s", err, undo.RunID)
	}
	if len(w.online.ran)+len(w.onprem.ran) != ran {
		t.Error("a preview wrote")
	}
	if ids, _ := runIDs(runsDir(dir)); len(ids) != 1 {
		t.Errorf("a preview began a run: %v", ids)
	}
	var got []string
	for _, c := range undo.Changes {
		got = append(got, fmt.Sprintf("%s %s before=%s after=%s", c.Action, c.ID, change.Text(c.Before),
			change.Text(c.After)))
	}
	want := []string{
		`delete onprem/contoso/Thing/last before={"Key":"last"} after={}`,
		`create online/Thing/delete before={} after={"Enabled":true,"Key":"delete","Targets":["x.com"]}`,
		`update online/Aspect/new before={"Note":"noted"} after={"Note":null}`,
		`replace online/Fixed/fixed before={"Keep":"kept","Key":"fixed","Value":"new"} after={"Keep":"kept","Key":"fixed","Value":"old"}`,
		`update online/Thing/update before={"Enabled":true,"Targets":["Theirs.com","ours.com"]} after={"Enabled":"False","Targets":["Theirs.com"]}`,
	}
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("got\n%s", strings.Join(got, "\n"))
	}
	var left []string
	for _, o := range undo.Left {
		left = append(left, fmt.Sprintf("%s %s", o.Status, o.ID))
	}
	if want := []string{"failed online/Thing/update", "pending onprem/contoso/Thing/app",
		"pending online/Thing/new"}; !slices.Equal(left, want) {
		t.Errorf("left %v", left)
	}
}

// What became of a change stays the question until it is answered: nothing else of the kind is
// written there in a run that cannot look, or that does not come to it.
func TestDoubtOutlivesARunThatCannotLook(t *testing.T) {
	no := errors.New("no")
	for name, before := range map[string]func(*world) error{
		"cannot look": func(w *world) error {
			w.online.refuse = map[string]error{"Get-Thing": no}
			return nil
		},
		"does not come to it": func(*world) error { return no },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w, dir := newWorld(), t.TempDir()
				p := w.plan(t)
				lost(t, w, dir, p, 1<<30)
				first := true
				report, err := Run(t.Context(), w.places(), kinds, p, Options{StateDir: dir, Accept: removalsToo,
					Proceed: func(context.Context) error {
						if first {
							first = false
							return before(w)
						}
						w.online.refuse = nil
						return nil
					}}, nil)
				if err == nil || statuses(report)["online/Thing/delete"] != Pending ||
					slices.Contains(w.online.ran, "Remove-Thing delete") {
					t.Errorf("%v: %v; ran %v", err, statuses(report), w.online.ran)
				}
			})
		})
	}
}
