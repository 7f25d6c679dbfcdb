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
	if !errors.Is(err, ErrNotAccepted) || !strings.Contains(err.Error(), "--accept lose-mail: mail is lost") || !there() {
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
		Secret: func(context.Context, secret.Ref, string) (secret.Value, error) { return secret.NewValue(password), nil }}
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

// A run that cannot be read stands in the way of the undoing of the newest run where it is newer, and
// not where it is older.
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
