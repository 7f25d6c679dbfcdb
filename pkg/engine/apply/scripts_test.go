package apply

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hybridge-cli/hybridge/pkg/engine/change"
)

// resultOf writes what the scripts of a plan would write: images from the journal of a run of the
// plan, lists as Windows PowerShell writes some of them.
func resultOf(t *testing.T, dir string, p change.Plan, rows map[string]map[string]any) string {
	t.Helper()
	path := filepath.Join(dir, ResultFile)
	data, err := json.Marshal(map[string]any{
		"apiVersion": "hybridge/v1", "kind": "ScriptResult", "plan": p.Digest, "changes": rows,
		"places": map[string]string{"online": "tenant"}, "ids": map[string]string{},
	})
	if err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string][]byte{path: append([]byte("\ufeff"), data...),
		filepath.Join(dir, PlanFile): p.Encode()} {
		if err := os.WriteFile(name, content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return path
}

// scriptedRun carries out a plan, and returns what scripts would have written about each change.
func scriptedRun(t *testing.T, w *world, p change.Plan) map[string]map[string]any {
	t.Helper()
	dir := t.TempDir()
	run(t, w, p, Options{StateDir: dir, Accept: removalsToo, Wait: soon})
	runs, _, err := readRuns(dir)
	if err != nil {
		t.Fatal(err)
	}
	shown := func(i *image, id any) any {
		if i == nil {
			return nil
		}
		properties := map[string]any{}
		for name, v := range i.Properties {
			properties[name] = v
			if list, ok := v.([]string); ok {
				properties[name] = map[string]any{"value": list, "Count": len(list)}
			}
		}
		if id != nil {
			properties["Id"] = id
		}
		return map[string]any{"identity": i.Identity, "name": i.Name, "properties": properties}
	}
	rows := map[string]map[string]any{}
	for id, tr := range runs[0].traces() {
		rows[id] = map[string]any{
			"script": "01.ps1", "status": "done", "write": "accepted", "before": shown(tr.begin.Before, nil),
			"after": shown(tr.end.After, tr.end.Outputs["Id"]), "time": "2026-11-26T10:00:00+01:00",
		}
	}
	return rows
}

func takeUp(t *testing.T, path, state string) (Entry, error) {
	t.Helper()
	s, err := ReadScripted(path)
	if err != nil {
		return Entry{}, err
	}
	return TakeUp(kinds, s, Options{StateDir: state})
}

// What scripts did is undone from their result file, whatever the action.
func TestRollbackOfScripts(t *testing.T) {
	w := newWorld()
	before, p := w.content(), w.plan(t)
	path := resultOf(t, t.TempDir(), p, scriptedRun(t, w, p))
	state := t.TempDir()
	run, err := takeUp(t, path, state)
	if err != nil || run.Outcome != "complete" || run.Summary.Done != len(p.Changes) || run.Scripts != path {
		t.Fatalf("%+v, %v", run, err)
	}
	o := Options{StateDir: state, Wait: soon, Identity: func(_ context.Context, place string) (string, error) {
		return map[string]string{"online": "another"}[place], nil
	}}
	if _, err := Rollback(t.Context(), w.places(), kinds, run.RunID, o, nil); !errors.Is(err, ErrElsewhere) {
		t.Errorf("in another tenant: %v", err)
	}
	o.Identity = func(_ context.Context, place string) (string, error) {
		return map[string]string{"online": "tenant"}[place], nil
	}
	if _, err := Rollback(t.Context(), w.places(), kinds, run.RunID, o, nil); err != nil {
		t.Fatal(err)
	}
	same := cmp.Transformer("false", func(s string) string { return strings.ReplaceAll(s, `"False"`, "false") })
	if diff := cmp.Diff(before, w.content(), same); diff != "" {
		t.Errorf("after rollback (-before +after):\n%s", diff)
	}
	again, err := takeUp(t, path, state)
	if err != nil || again.RunID != run.RunID || again.UndoneBy == "" {
		t.Errorf("taken up after the rollback: %+v, %v", again, err)
	}
}

// The status of each change follows from what the script wrote last.
func TestScriptedOutcome(t *testing.T) {
	image := map[string]any{"identity": "1", "name": "n", "properties": map[string]any{"Key": "new"}}
	for name, test := range map[string]struct {
		row  map[string]any
		want Summary
		in   bool // ran in part
	}{
		"not begun": {nil, Summary{Pending: 7}, false},
		"passed over": {
			map[string]any{"status": "as wanted", "after": image}, Summary{Skipped: 1, Pending: 6}, false,
		},
		"declined": {map[string]any{"status": "not done"}, Summary{Pending: 7}, false},
		"refused":  {map[string]any{"status": "refused", "text": "no"}, Summary{Failed: 1, Pending: 6}, true},
		"window closed": {
			map[string]any{"status": "begun", "write": "begun"}, Summary{Failed: 1, Pending: 6}, true,
		},
		"not seen": {
			map[string]any{"status": "refused", "write": "accepted"}, Summary{Failed: 1, Pending: 6}, true,
		},
		"done": {
			map[string]any{"status": "done", "write": "accepted", "after": image}, Summary{Done: 1, Pending: 6}, true,
		},
		"seen to differ": {
			map[string]any{"status": "refused", "write": "accepted", "after": image}, Summary{Done: 1, Pending: 6},
			true,
		},
		"undone by a script": {
			map[string]any{"status": "undone", "write": "", "before": image}, Summary{Pending: 7}, false,
		},
	} {
		t.Run(name, func(t *testing.T) {
			p := newWorld().plan(t)
			rows, dir, state := map[string]map[string]any{}, t.TempDir(), t.TempDir()
			if test.row != nil {
				rows["online/Thing/new"] = test.row
			}
			run, err := takeUp(t, resultOf(t, dir, p, rows), state)
			if err != nil || run.Summary != test.want || run.Outcome != "partial" {
				t.Errorf("%+v, %v", run, err)
			}
			parts, err := InPart(state)
			if err != nil || (len(parts) == 1) != test.in {
				t.Errorf("in part: %+v, %v", parts, err)
			}
		})
	}
}

// A rollback script takes a change back: the history learns that, too.
func TestUndoneByScript(t *testing.T) {
	w := newWorld()
	p := w.plan(t)
	rows, dir, state := scriptedRun(t, w, p), t.TempDir(), t.TempDir()
	first, err := takeUp(t, resultOf(t, dir, p, rows), state)
	if err != nil {
		t.Fatal(err)
	}
	const last = "onprem/contoso/Thing/last"
	rows[last] = maps.Clone(rows[last])
	rows[last]["status"], rows[last]["write"] = "undone", ""
	run, err := takeUp(t, resultOf(t, dir, p, rows), state)
	want := Summary{Done: 6, Pending: 1}
	if err != nil || run.RunID != first.RunID || run.Summary != want || run.Outcome != "partial" {
		t.Errorf("%+v, %v", run, err)
	}
}

func TestScriptedIsRefused(t *testing.T) {
	w := newWorld()
	p := w.plan(t)
	other := w.plan(t)
	other.Digest = "sha256:other"
	good := resultOf(t, t.TempDir(), p, nil)
	for name, spoil := range map[string]func(path string) error{
		"no file":       os.Remove,
		"no plan":       func(path string) error { return os.Remove(filepath.Join(filepath.Dir(path), PlanFile)) },
		"no JSON":       func(path string) error { return os.WriteFile(path, []byte("{"), 0o600) },
		"two documents": func(path string) error { return os.WriteFile(path, []byte("{}{}"), 0o600) },
		"another kind":  func(path string) error { return os.WriteFile(path, []byte(`{"kind": "Plan"}`), 0o600) },
		"another plan": func(path string) error {
			return os.WriteFile(filepath.Join(filepath.Dir(path), PlanFile), other.Encode(), 0o600)
		},
	} {
		path := resultOf(t, t.TempDir(), p, nil)
		if err := spoil(path); err != nil {
			t.Fatal(err)
		}
		if _, err := ReadScripted(path); !errors.Is(err, ErrScripts) || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := ReadScripted(good); err != nil {
		t.Error(err)
	}
}

// A script that does not share the result file has one of its own beside it: together they are one
// run, whichever file is named, and also where the shared one is missing.
func TestResultOfOneScript(t *testing.T) {
	w := newWorld()
	p := w.plan(t)
	all, state, dir := scriptedRun(t, w, p), t.TempDir(), t.TempDir()
	onprem, online := map[string]map[string]any{}, map[string]map[string]any{}
	for id, row := range all {
		if strings.HasPrefix(id, "onprem/") {
			onprem[id] = row
			continue
		}
		online[id] = row
	}
	shared, own := filepath.Join(dir, ResultFile), filepath.Join(dir, "02-x"+ScriptResultSuffix)
	if err := os.Rename(resultOf(t, dir, p, online), own); err != nil {
		t.Fatal(err)
	}
	var ids []string
	for _, path := range []string{shared, own} {
		run, err := takeUp(t, path, state)
		if err != nil || run.Summary.Done != len(online) {
			t.Errorf("%s: %+v, %v", path, run, err)
		}
		ids = append(ids, run.RunID)
	}
	resultOf(t, dir, p, onprem)
	other := strings.Replace(string(must(os.ReadFile(own))), p.Digest, "sha256:other", 1)
	if err := os.WriteFile(filepath.Join(dir, "01-old"+ScriptResultSuffix), []byte(other), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{shared, own} {
		run, err := takeUp(t, path, state)
		if err != nil || run.Outcome != "complete" || run.Summary.Done != len(p.Changes) {
			t.Errorf("%s: %+v, %v", path, run, err)
		}
		ids = append(ids, run.RunID)
	}
	for _, id := range ids {
		if id != ids[0] {
			t.Errorf("runs %v: want one", ids)
		}
	}
	if err := NoteScripts(state, dir); err != nil {
		t.Fatal(err)
	}
	if parts, err := InPart(state); err != nil || len(parts) > 0 {
		t.Errorf("%+v, %v", parts, err)
	}
	if err := os.WriteFile(own, []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := ReadScripted(shared); !errors.Is(err, ErrScripts) || !strings.Contains(err.Error(), own) {
		t.Errorf("a broken file beside it: %v", err)
	}
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// The scripts of two teams run in two folders, each with a result file: together they are one run.
func TestTwoResultFiles(t *testing.T) {
	w := newWorld()
	before, p := w.content(), w.plan(t)
	all, state := scriptedRun(t, w, p), t.TempDir()
	onprem, online := map[string]map[string]any{}, map[string]map[string]any{}
	for id, row := range all {
		if strings.HasPrefix(id, "onprem/") {
			onprem[id] = row
			continue
		}
		online[id] = row
	}
	// Each folder knows what its scripts were given of the other: the new thing.
	first, second := t.TempDir(), t.TempDir()
	given := maps.Clone(all["online/Thing/new"])
	onprem["online/Thing/new"] = given
	for _, dir := range []string{first, second} {
		if err := NoteScripts(state, dir); err != nil {
			t.Fatal(err)
		}
	}
	one := resultOf(t, first, p, online)
	if parts, err := InPart(state); err != nil || len(parts) != 1 || parts[0].Summary.Pending != 2 {
		t.Errorf("after the first team: %+v, %v", parts, err)
	}
	two := resultOf(t, second, p, onprem)
	if parts, err := InPart(state); err != nil || len(parts) > 0 {
		t.Errorf("after both teams: %+v, %v", parts, err)
	}
	var run Entry
	for _, path := range []string{one, two, one} {
		var err error
		if run, err = takeUp(t, path, state); err != nil {
			t.Fatal(err)
		}
	}
	if run.Outcome != "complete" || run.Summary.Done != len(p.Changes) {
		t.Errorf("%+v", run)
	}
	o := Options{StateDir: state, Wait: soon, Identity: func(_ context.Context, place string) (string, error) {
		return map[string]string{"online": "tenant"}[place], nil
	}}
	if _, err := Rollback(t.Context(), w.places(), kinds, run.RunID, o, nil); err != nil {
		t.Fatal(err)
	}
	same := cmp.Transformer("false", func(s string) string { return strings.ReplaceAll(s, `"False"`, "false") })
	if diff := cmp.Diff(before, w.content(), same); diff != "" {
		t.Errorf("after rollback (-before +after):\n%s", diff)
	}
}

// What one script did counts, also where another one of the folder says that it did not do it.
func TestDoneByOneOfTwoScripts(t *testing.T) {
	p := newWorld().plan(t)
	const id = "online/Thing/new"
	image := map[string]any{"identity": "1", "name": "n", "properties": map[string]any{"Key": "new"}}
	done := map[string]map[string]any{id: {"status": "done", "write": "accepted", "after": image}}
	declined := map[string]map[string]any{id: {"status": "not done"}}
	for _, rows := range [][2]map[string]map[string]any{{done, declined}, {declined, done}} {
		dir := t.TempDir()
		own := filepath.Join(dir, "02-x"+ScriptResultSuffix)
		if err := os.Rename(resultOf(t, dir, p, rows[0]), own); err != nil {
			t.Fatal(err)
		}
		run, err := takeUp(t, resultOf(t, dir, p, rows[1]), t.TempDir())
		if want := (Summary{Done: 1, Pending: 6}); err != nil || run.Summary != want {
			t.Errorf("%+v, %v", run.Summary, err)
		}
	}
}

// Scripts that ran in part are settled by a rollback.
func TestInPartIsSettledByRollback(t *testing.T) {
	w := newWorld()
	p := w.plan(t)
	rows, state := scriptedRun(t, w, p), t.TempDir()
	const last = "onprem/contoso/Thing/last"
	delete(rows, last)
	w.onprem.live["Thing"] = slices.DeleteFunc(w.onprem.live["Thing"],
		func(l change.Live) bool { return l.Properties["Key"] == "last" })
	run, err := takeUp(t, resultOf(t, t.TempDir(), p, rows), state)
	if err != nil {
		t.Fatal(err)
	}
	if parts, err := InPart(state); err != nil || len(parts) != 1 {
		t.Errorf("before the rollback: %+v, %v", parts, err)
	}
	o := Options{StateDir: state, Wait: soon, Identity: func(_ context.Context, place string) (string, error) {
		return map[string]string{"online": "tenant"}[place], nil
	}}
	if _, err := Rollback(t.Context(), w.places(), kinds, run.RunID, o, nil); err != nil {
		t.Fatal(err)
	}
	if parts, err := InPart(state); err != nil || len(parts) > 0 {
		t.Errorf("after the rollback: %+v, %v", parts, err)
	}
}

// What a script wrote without reading it back may or may not be there. An aspect of which nothing
// was set before was not there.
func TestScriptsWithoutImages(t *testing.T) {
	p, state := newWorld().plan(t), t.TempDir()
	bare := map[string]any{"identity": "101", "name": "new", "properties": map[string]any{"Key": "new"}}
	noted := map[string]any{"identity": "101", "name": "new", "properties": map[string]any{"Key": "new", "Note": "n"}}
	run, err := takeUp(t, resultOf(t, t.TempDir(), p, map[string]map[string]any{
		"online/Thing/new":    {"status": "done", "write": "accepted"},
		"online/Thing/delete": {"status": "done", "write": "accepted"},
		"online/Aspect/new":   {"status": "done", "write": "accepted", "before": bare, "after": noted},
	}), state)
	if err != nil || run.Summary.Done != 3 {
		t.Fatalf("%+v, %v", run, err)
	}
	journal, err := readJournal(run.Journal)
	if err != nil {
		t.Fatal(err)
	}
	traces := journal.traces()
	if !traces["online/Thing/new"].uncertain() || traces["online/Thing/delete"].uncertain() {
		t.Errorf("%+v", traces)
	}
	if before := traces["online/Aspect/new"].begin.Before; before != nil {
		t.Errorf("before: %+v", before)
	}
}

// FuzzReadScripted reads what scripts say that they did: their folder may be in the hands of
// others.
func FuzzReadScripted(f *testing.F) {
	w := newWorld()
	p := w.plan(f)
	data, err := json.Marshal(map[string]any{"apiVersion": "hybridge/v1", "kind": "ScriptResult", "plan": p.Digest,
		"places": map[string]string{"online": "tenant"}, "changes": map[string]any{p.Changes[0].ID: map[string]any{
			"script": "01.ps1", "status": "done", "write": "accepted",
			"before": map[string]any{"identity": "x", "name": "x",
				"properties": map[string]any{"A": map[string]any{"value": []string{"a"}, "Count": 1}}}, "after": nil,
			"time": "2026-11-26T10:00:00+01:00"}}})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(data)
	f.Add(append([]byte("\ufeff"), data...))
	f.Add([]byte(`{"apiVersion":"hybridge/v1","kind":"ScriptResult"}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		dir, state := t.TempDir(), t.TempDir()
		path := filepath.Join(dir, ResultFile)
		for name, content := range map[string][]byte{path: data, filepath.Join(dir, PlanFile): p.Encode()} {
			if err := os.WriteFile(name, content, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		s, err := ReadScripted(path)
		if err != nil {
			return
		}
		if _, err := TakeUp(kinds, s, Options{StateDir: state}); err != nil {
			return
		}
		if _, err := History(state); err != nil {
			t.Fatalf("what was taken up cannot be read: %v", err)
		}
		w := newWorld()
		_, _ = Rollback(t.Context(), w.places(), kinds, "", Options{StateDir: state, Wait: 1}, nil)
	})
}

// The list of folders with scripts is written through no link, and into no directory of others.
func TestNoteScriptsOfOthers(t *testing.T) {
	state, victim := t.TempDir(), filepath.Join(t.TempDir(), "victim")
	if err := os.WriteFile(victim, []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(victim, notes(state)); err != nil {
		t.Skip(err)
	}
	if err := NoteScripts(state, "/scripts"); err != nil {
		t.Fatal(err)
	}
	if data, _ := os.ReadFile(victim); string(data) != "mine" {
		t.Errorf("the file behind the link holds %q", data)
	}
	if err := os.Chmod(state, 0o777); err != nil { //nolint:gosec // the attack
		t.Fatal(err)
	}
	if err := NoteScripts(state, "/other"); !errors.Is(err, ErrState) {
		t.Errorf("%v", err)
	}
	if err := NoteScripts("", "/other"); err != nil { // with a snapshot
		t.Error(err)
	}
}

// The result files of a folder are one result, whichever of them is named: what was taken up by
// one, and rolled back, is not taken up anew by the other.
func TestResultFilesAreOneResult(t *testing.T) {
	w := newWorld()
	p := w.plan(t)
	shared, rows := scriptedRun(t, w, p), map[string]map[string]any{}
	const id = "online/Thing/delete"
	dir := filepath.Join(t.TempDir(), "scripts [2026]") // no pattern
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	rows[id] = shared[id]
	delete(shared, id)
	own := filepath.Join(dir, "02-x"+ScriptResultSuffix)
	if err := os.Rename(resultOf(t, dir, p, rows), own); err != nil {
		t.Fatal(err)
	}
	path, o := resultOf(t, dir, p, shared), Options{StateDir: t.TempDir(), Wait: soon}
	run, err := takeUp(t, own, o.StateDir)
	if err != nil || run.Outcome != "complete" {
		t.Fatalf("%+v, %v", run, err)
	}
	o.Identity = func(_ context.Context, place string) (string, error) {
		return map[string]string{"online": "tenant"}[place], nil
	}
	if _, err := Rollback(t.Context(), w.places(), kinds, run.RunID, o, nil); err != nil {
		t.Fatal(err)
	}
	if again, err := takeUp(t, path, o.StateDir); err != nil || again.RunID != run.RunID {
		t.Errorf("taken up anew: %+v, %v", again, err)
	}
}

// What scripts did happened when they ran, not when their result file was taken up: who changed it
// since then is asked from that time on.
func TestScriptsDidItWhenTheyRan(t *testing.T) {
	w, state := newWorld(), t.TempDir()
	p := w.plan(t)
	rows := scriptedRun(t, w, p)
	ran := time.Now().Add(-24 * time.Hour).Truncate(time.Second)
	for _, row := range rows {
		row["time"] = ran.In(time.FixedZone("", 3600)).Format(time.RFC3339)
	}
	rows["online/Thing/update"]["time"] = "2999-01-01T00:00:00+01:00"
	if _, err := takeUp(t, resultOf(t, t.TempDir(), p, rows), state); err != nil {
		t.Fatal(err)
	}
	left, err := LeftBehind(state)
	if err != nil || len(left) < 4 {
		t.Fatalf("%d, %v", len(left), err)
	}
	for _, l := range left {
		if wrong := l.ID == "online/Thing/update"; l.At.Equal(ran) == wrong || l.At.After(time.Now()) {
			t.Errorf("%s: %s", l.ID, l.At)
		}
	}
	for _, c := range CarriedSince(state, ran.Add(time.Hour)) {
		if c.Change.ID != "online/Thing/update" {
			t.Errorf("%s was carried out at %s", c.Change.ID, c.At)
		}
	}
}
