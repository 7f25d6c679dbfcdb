package apply

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/hybridge-cli/hybridge/pkg/config/secret"
	"github.com/hybridge-cli/hybridge/pkg/engine/change"
)

// What a run made of a kind with a consent for its undoing stays until a person agrees to that.
func TestUndoNeedsItsConsent(t *testing.T) {
	guarded := *thing
	guarded.Undo = &change.Consent{ID: "lose-mail", Title: "mail is lost"}
	kinds := map[string]*change.Kind{"Thing": &guarded}
	w, dir := newWorld(), t.TempDir()
	w.resources = []change.Resource{{Kind: &guarded, Target: "online", Key: "new", Name: "new",
		Properties: change.Properties{"Key": "new"}}}
	if _, err := Run(t.Context(), w.places(), kinds, w.plan(t), Options{StateDir: dir, Wait: soon}, nil); err != nil {
		t.Fatal(err)
	}
	there := func() bool {
		return slices.ContainsFunc(w.online.live["Thing"], func(l change.Live) bool { return l.Name == "new" })
	}
	_, err := Rollback(t.Context(), w.places(), kinds, "", Options{StateDir: dir, Wait: soon}, nil)
	if !errors.Is(err, ErrNotAccepted) || !strings.Contains(err.Error(), "--accept lose-mail: mail is lost") ||
		!there() {
		t.Errorf("without the consent: %v, there %v", err, there())
	}
	if _, err := Rollback(t.Context(), w.places(), kinds, "",
		Options{StateDir: dir, Wait: soon, Accept: []string{"lose-mail"}}, nil); err != nil || there() {
		t.Errorf("with the consent: %v, there %v", err, there())
	}
}

// A list that cannot be read is a conflict: whether it still has what the run put in is not known.
func TestRollbackOfAnUnreadableList(t *testing.T) {
	w, dir := newWorld(), t.TempDir()
	run(t, w, w.plan(t), Options{StateDir: dir, Accept: removalsToo, Wait: soon})
	w.online.live["Thing"][0].Properties["Targets"] = change.Unreadable{Reason: "no right"}
	_, err := Rollback(t.Context(), w.places(), kinds, "", Options{StateDir: dir, Wait: soon}, nil)
	if !errors.Is(err, ErrConflict) || !strings.Contains(err.Error(), "Targets cannot be read: no right") {
		t.Error(err)
	}
}

// A replacement whose second half got no answer, and does not show yet, is not made again.
func TestLostAnswerOfAReplacement(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, dir := newWorld(), t.TempDir()
		w.resources = slices.DeleteFunc(w.resources, func(r change.Resource) bool { return r.Kind != fixed })
		p := w.plan(t)
		w.online.hide = 1 << 30
		places := map[string]change.Place{"online": &lateError{memory: w.online, on: "New-Fixed"}}
		if _, err := Run(t.Context(), places, kinds, p, Options{StateDir: dir, Accept: removalsToo},
			nil); !errors.Is(err, ErrUncertain) {
			t.Fatal(err)
		}
		w.online.hide = 3
		if again := run(t, w, p, Options{StateDir: dir, Accept: removalsToo}); again.Summary.Done != 1 {
			t.Errorf("%+v", again.Changes)
		}
		if made := slices.DeleteFunc(slices.Clone(w.online.ran),
			func(c string) bool { return c != "New-Fixed fixed" }); len(made) != 1 {
			t.Errorf("made %d times: %v", len(made), w.online.ran)
		}
	})
}

// A replacement is undone with the secret that only the reference can give.
func TestReplacementIsUndoneWithItsSecret(t *testing.T) {
	replaced := *vault
	replaced.Recreates = true
	replaced.Properties = map[string]change.Property{"Key": {Write: change.Key}, "URL": {}, "Password": {}}
	s := &safe{memory: &memory{name: "online", live: map[string][]change.Live{"Vault": {{Identity: "1", Name: "a",
		Properties: change.Properties{"Key": "a", "URL": "https://old"}}}}}}
	places, kinds := map[string]change.Place{"online": s}, map[string]*change.Kind{"Vault": &replaced}
	wanted := vaults("a", "https://new")
	wanted.Kind = &replaced
	p, err := change.Make(t.Context(), places, []change.Resource{wanted}, change.Options{})
	if err != nil {
		t.Fatal(err)
	}
	o := Options{StateDir: t.TempDir(), Wait: soon, Accept: removalsToo,
		Secret: func(context.Context, secret.Ref, string) (secret.Value, error) {
			return secret.NewValue(password), nil
		}}
	if _, err := Run(t.Context(), places, kinds, p, o, nil); err != nil || len(s.given) != 1 {
		t.Fatalf("%v, given %d", err, len(s.given))
	}
	if _, err := Rollback(t.Context(), places, kinds, "", o, nil); err != nil || len(s.given) != 2 {
		t.Errorf("%v, given %d", err, len(s.given))
	}
	if got := s.live["Vault"]; len(got) != 1 || got[0].Properties["URL"] != "https://old" {
		t.Errorf("%+v", got)
	}
}

// A run that cannot be read stands in the way of the undoing of the newest run where it is newer,
// and not where it is older.
func TestUndoableBesideAnUnreadableRun(t *testing.T) {
	for id, stands := range map[string]bool{"20200101T000000.000Z": false, "29990101T000000.000Z": true} {
		w, dir := newWorld(), t.TempDir()
		report := run(t, w, w.plan(t), Options{StateDir: dir, Accept: removalsToo, Wait: soon})
		if err := os.WriteFile(filepath.Join(runsDir(dir), id+journalSuffix), []byte("garbage\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		if got, err := Undoable(dir, ""); (err != nil) != stands || !stands && got != report.RunID {
			t.Errorf("beside %s: %q, %v", id, got, err)
		}
	}
}

// What a place refused to make or to set, and others did by hand, is not undone, and does not count
// as made by hybridge.
func TestRollbackLeavesWhatTheRunWasRefused(t *testing.T) {
	w, dir := newWorld(), t.TempDir()
	w.resources = []change.Resource{
		{Kind: thing, Target: "online", Key: "new", Name: "new", Properties: change.Properties{"Key": "new"}},
		{Kind: thing, Target: "online", Key: "update", Name: "update", Properties: change.Properties{"Key": "update",
			"URL": "https://new/", "Targets": []string{"ours.com"}}},
		{Kind: thing, Target: "onprem/contoso", Key: "last", Name: "last",
			Properties: change.Properties{"Key": "last"}},
	}
	no := errors.New("no right")
	w.online.refuse = map[string]error{"New-Thing new": no, "Set-Thing update": no}
	p, o := w.plan(t), Options{StateDir: dir, Wait: soon}
	report, err := Run(t.Context(), w.places(), kinds, p, o, nil)
	if !errors.Is(err, no) || report.Summary.Failed != 2 || report.Summary.Done != 1 {
		t.Fatalf("%v: %+v", err, report.Changes)
	}
	w.online.refuse = nil
	w.online.live["Thing"][0].Properties["URL"] = "https://new/"
	w.online.live["Thing"][0].Properties["Targets"] = []string{"Theirs.com", "ours.com"}
	w.online.live["Thing"] = append(w.online.live["Thing"],
		change.Live{Identity: "9", Name: "new", Properties: change.Properties{"Key": "new"}})
	if again := run(t, w, p, o); again.Summary.Skipped != 2 {
		t.Errorf("%+v", again.Changes)
	}
	if got, want := creations(t, dir), []string{"onprem/contoso/Thing/last"}; !slices.Equal(got, want) {
		t.Errorf("made: %v", got)
	}
	if got := additions(t, dir); len(got) > 0 {
		t.Errorf("added: %v", got)
	}
	if _, err := Rollback(t.Context(), w.places(), kinds, "", o, nil); err != nil {
		t.Error(err)
	}
	if len(w.online.ran) > 0 || len(w.onprem.live["Thing"]) > 0 {
		t.Errorf("ran %v; left %v", w.online.ran, w.onprem.live["Thing"])
	}
}

// A creation that was refused after one whose answer was lost may be the run's all the same.
func TestRefusedAfterDoubt(t *testing.T) {
	begin := &record{Record: eventBegin, Change: "a", Live: "1"}
	end := func(status Status, live string, refused bool) *record {
		return &record{Record: eventEnd, Change: "a", Status: status, Live: live, Refused: refused}
	}
	for _, test := range []struct {
		name    string
		records []*record
		wrote   bool
	}{
		{"never begun", []*record{end(Skipped, "1", false)}, false},
		{"refused", []*record{begin, end(Failed, "1", true)}, false},
		{"refused twice", []*record{begin, end(Failed, "1", true), begin, end(Failed, "1", true)}, false},
		{"refused, then found in effect", []*record{begin, end(Failed, "1", true), end(Skipped, "2", false)}, false},
		{"refused, and something changed", []*record{begin, end(Failed, "2", true)}, true},
		{"no answer", []*record{begin}, true},
		{"no answer, then refused", []*record{begin, begin, end(Failed, "1", true)}, true},
		{"refused, then done", []*record{begin, end(Failed, "1", true), begin, end(Done, "2", false)}, true},
		{"the second half refused", []*record{begin, {Record: eventRemoved, Change: "a"}, begin,
			end(Failed, "1", true)}, true},
	} {
		p := &past{}
		for _, r := range test.records {
			p.records = append(p.records, *r)
		}
		if got := p.traces()["a"].wrote(); got != test.wrote {
			t.Errorf("%s: wrote is %v", test.name, got)
		}
	}
}

// What a rollback undid is not undone again by the next rollback of the same run: what stands there
// by then is the work of others.
func TestUndoneOnce(t *testing.T) {
	w, o := newWorld(), Options{StateDir: t.TempDir(), Accept: removalsToo, Wait: soon}
	w.resources = []change.Resource{
		{Kind: thing, Target: "online", Key: "update", Name: "update",
			Properties: change.Properties{"Key": "update", "URL": "https://new/"}},
		{Kind: thing, Target: "onprem/contoso", Key: "last", Name: "last",
			Properties: change.Properties{"Key": "last"}},
		{Kind: fixed, Target: "online", Key: "fixed", Properties: change.Properties{"Key": "fixed", "Value": "new"}},
	}
	run(t, w, w.plan(t), o)
	made := clone(w.onprem.live["Thing"])
	no := errors.New("no")
	w.online.refuse = map[string]error{"New-Fixed fixed": no}
	for range 2 { // the second finds the rest done
		if _, err := Rollback(t.Context(), w.places(), kinds, "", o, nil); !errors.Is(err, no) {
			t.Fatal(err)
		}
	}
	if got := w.online.live["Thing"][0].Properties["URL"]; got != "https://old/" || len(w.onprem.live["Thing"]) > 0 {
		t.Fatalf("not undone: %v, %v", got, w.onprem.live)
	}
	w.online.refuse = nil
	w.online.live["Thing"][0].Properties["URL"] = "https://new/"
	w.onprem.live["Thing"] = made
	if _, err := Rollback(t.Context(), w.places(), kinds, "", o, nil); err != nil {
		t.Fatal(err)
	}
	if got := w.online.live["Thing"][0].Properties["URL"]; got != "https://new/" {
		t.Errorf("set back what others set: %v", got)
	}
	if len(w.onprem.live["Thing"]) != 1 {
		t.Error("removed what others made")
	}
	if got, want := w.online.content()["Fixed"], `four {"Keep":"kept","Key":"fixed","Value":"old"}`; !slices.Equal(got,
		[]string{want}) {
		t.Errorf("got %v", got)
	}
}

// An object that is made again without what could not be read of it is reported, and not again once
// it stands there.
func TestRollbackSaysWhatDoesNotComeBack(t *testing.T) {
	w, o := newWorld(), Options{StateDir: t.TempDir(), Accept: removalsToo, Wait: soon}
	w.resources = []change.Resource{{Kind: thing, Target: "online", Key: "delete",
		Properties: change.Properties{"Key": "delete"}, Absent: true}}
	w.online.live["Thing"][1].Properties["URL"] = change.Unreadable{Reason: "no right"}
	run(t, w, w.plan(t), o)
	_, err := Rollback(t.Context(), w.places(), kinds, "", o, nil)
	if !errors.Is(err, ErrConflict) || !strings.Contains(err.Error(), "made again without URL") {
		t.Errorf("got %v", err)
	}
	if got := len(w.online.live["Thing"]); got != 3 {
		t.Errorf("%d objects", got)
	}
	if _, err := Rollback(t.Context(), w.places(), kinds, "", o, nil); err != nil {
		t.Error(err)
	}
}

// A rollback that ends before it comes to what an earlier one did does not make that forgotten:
// what may have been made again is waited for, and what was removed is not the run's any more.
func TestRollbacksOfARunCountTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, o := newWorld(), Options{StateDir: t.TempDir(), Accept: removalsToo}
		w.resources = []change.Resource{
			{Kind: thing, Target: "onprem/contoso", Key: "last", Name: "last",
				Properties: change.Properties{"Key": "last", "Targets": []string{"n.com"}}},
			{Kind: thing, Target: "online", Key: "delete", Properties: change.Properties{"Key": "delete"},
				Absent: true},
		}
		run(t, w, w.plan(t), o)
		w.online.hide, w.online.shown = 1<<30, nil
		places := map[string]change.Place{"online": &lateError{memory: w.online, on: "New-Thing"},
			"onprem/contoso": w.onprem}
		if _, err := Rollback(t.Context(), places, kinds, "", o, nil); !errors.Is(err, ErrUncertain) {
			t.Fatalf("got %v", err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := Rollback(ctx, w.places(), kinds, "", o, nil); !errors.Is(err, context.Canceled) {
			t.Fatalf("got %v", err)
		}
		if made, added := creations(t, o.StateDir), additions(t, o.StateDir); len(made)+len(added) > 0 {
			t.Errorf("still made: %v, added: %v", made, added)
		}
		w.online.hide = 3
		if _, err := Rollback(t.Context(), w.places(), kinds, "", o, nil); err != nil {
			t.Fatal(err)
		}
		if made := slices.DeleteFunc(slices.Clone(w.online.ran),
			func(c string) bool { return c != "New-Thing delete" }); len(made) != 1 {
			t.Errorf("made %d times: %v", len(made), w.online.ran)
		}
	})
}
