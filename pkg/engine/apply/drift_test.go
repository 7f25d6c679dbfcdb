package apply

import (
	"errors"
	"testing"

	"github.com/hybridge-cli/hybridge/pkg/engine/change"
)

// How the newest run left an object counts. What a rollback took back, and what may or may not have
// been written, says nothing.
func TestLeftBehind(t *testing.T) {
	w, dir := newWorld(), t.TempDir()
	run(t, w, w.plan(t), Options{StateDir: dir, Accept: removalsToo, Wait: soon})
	ids := func() map[string]Left {
		t.Helper()
		left, err := LeftBehind(dir)
		if err != nil {
			t.Fatal(err)
		}
		out := map[string]Left{}
		for _, l := range left {
			out[l.ID] = l
		}
		return out
	}
	left := ids()
	made, updated := left["online/Thing/new"], left["online/Thing/update"]
	if made.RunID == "" || updated.RunID == "" || !updated.Wrote["URL"] || len(left) < 3 {
		t.Fatalf("%+v", left)
	}
	if _, there := left["online/Thing/delete"]; there {
		t.Error("what was removed is left behind")
	}
	k := kinds["Thing"]
	if d, differs := updated.Since(k, w.online.live["Thing"]); differs {
		t.Errorf("right after the run: %+v", d)
	}
	was := updated.Live.Properties["URL"]
	set := func(url any) {
		for i := range w.online.live["Thing"] {
			if w.online.live["Thing"][i].Identity == updated.Live.Identity {
				w.online.live["Thing"][i].Properties["URL"] = url
			}
		}
	}
	set("https://someone.else/")
	d, differs := updated.Since(k, w.online.live["Thing"])
	if !differs || d.Gone || len(d.Properties) != 1 || d.Properties[0].Left != was ||
		d.Properties[0].Now != "https://someone.else/" {
		t.Errorf("%+v", d)
	}
	if d, differs := made.Since(k, nil); !differs || !d.Gone {
		t.Errorf("%+v", d)
	}
	hidden := []change.Live{{Identity: made.Live.Identity, Properties: change.Properties{
		"URL": change.Unreadable{Reason: "no right"}}}}
	if d, _ := made.Since(k, hidden); d.Gone || len(d.Properties) > 0 && d.Properties[0].Name == "URL" {
		t.Errorf("what cannot be read: %+v", d)
	}

	set(was)
	if _, err := Rollback(t.Context(), w.places(), kinds, "", Options{StateDir: dir, Wait: soon, Accept: removalsToo},
		nil); err != nil {
		t.Fatal(err)
	}
	if _, there := ids()["online/Thing/new"]; there {
		t.Error("what the rollback removed is left behind")
	}
}

// What a later run may or may not have written is not left behind: how it is, is not known.
func TestUncertainIsNotLeftBehind(t *testing.T) {
	w, dir := newWorld(), t.TempDir()
	run(t, w, w.plan(t), Options{StateDir: dir, Accept: removalsToo, Wait: soon})
	for i := range w.resources {
		if w.resources[i].Key == "update" {
			w.resources[i].Properties["URL"] = "https://newer/"
		}
	}
	w.online.hide = 1 << 30
	places := map[string]change.Place{"online": &lateError{memory: w.online, on: "Set-Thing"}, "onprem/contoso": w.onprem}
	w.online.shown = nil
	if _, err := Run(t.Context(), places, kinds, w.plan(t), Options{StateDir: dir, Accept: removalsToo, Wait: soon},
		nil); !errors.Is(err, ErrUncertain) {
		t.Fatal(err)
	}
	left, err := LeftBehind(dir)
	if err != nil || len(left) < 2 {
		t.Fatalf("%+v, %v", left, err)
	}
	for _, l := range left {
		if l.ID == "online/Thing/update" {
			t.Errorf("%+v", l)
		}
	}
}

// A property that no run wrote is not compared: a later change of the same plan may have set it.
func TestWhatNoRunWroteDoesNotDrift(t *testing.T) {
	l := Left{Name: "a", Wrote: map[string]bool{"URL": true}, Live: change.Live{Identity: "1", Properties: change.Properties{
		"Key": "a", "URL": "https://a/", "App": "1"}}}
	now := change.Live{Identity: "1", Properties: change.Properties{"Key": "a", "URL": "https://a/", "App": "2"}}
	if d, differs := l.Since(thing, []change.Live{now}); differs {
		t.Errorf("%+v", d)
	}
	now.Properties["URL"] = change.Unreadable{Reason: "no right"}
	if d, differs := l.Since(thing, []change.Live{now}); differs {
		t.Errorf("unread: %+v", d)
	}
}
