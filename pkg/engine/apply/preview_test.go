package apply

import (
	"context"
	"slices"
	"testing"

	"github.com/hybridge-cli/hybridge/pkg/engine/change"
)

// side is an aspect of Things that shares a property with them.
var side = &change.Kind{
	Noun:       "Link",
	Aspect:     true,
	Properties: map[string]change.Property{"Key": {Write: change.Key}, "URL": {Compare: sameURL}},
	Command: func(a change.Action, _ string, want change.Properties, live *change.Live) (change.Command, error) {
		c := change.Command{Name: "Set-Thing", Parameters: map[string]any{"Key": want["Key"], "URL": want["URL"]}}
		if live != nil {
			c.Parameters["Key"], c.Parameters["Identity"] = live.Properties["Key"], live.Identity
		}
		return c, nil
	},
}

// linked shows the Links among its Things.
type linked struct{ *memory }

func (l linked) Read(ctx context.Context, k *change.Kind) ([]change.Live, error) {
	if k != side {
		return l.memory.Read(ctx, k)
	}
	live, err := l.memory.Read(ctx, thing)
	return slices.DeleteFunc(live, func(l change.Live) bool { return l.Properties["URL"] == nil }), err
}

// TestPreviewSeesItsOwnSteps: when a run makes an object and then an aspect of it, the rollback
// takes the aspect away first. The object is then as the run made it, and the preview says so.
func TestPreviewSeesItsOwnSteps(t *testing.T) {
	place, dir := linked{&memory{name: "online", live: map[string][]change.Live{}}}, t.TempDir()
	places, kinds := map[string]change.Place{"online": place}, map[string]*change.Kind{"Thing": thing, "Link": side}
	p, err := change.Make(t.Context(), places, []change.Resource{
		{Kind: thing, Target: "online", Key: "a", Name: "a", Properties: change.Properties{"Key": "a", "Enabled": true}},
		{Kind: side, Target: "online", Key: "a", Needs: []string{"online/Thing/a"},
			Properties: change.Properties{"Key": "a", "URL": "https://a/"}},
	}, change.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if r, err := Run(t.Context(), places, kinds, p, Options{StateDir: dir, Wait: soon}, nil); err != nil {
		t.Fatalf("%v: %+v", err, r)
	}
	left := func() int {
		t.Helper()
		undo, err := Preview(t.Context(), places, kinds, "", Options{StateDir: dir})
		if err != nil || len(undo.Changes)+len(undo.Left) != 2 {
			t.Fatalf("%v: %+v", err, undo)
		}
		return len(undo.Left)
	}
	if n := left(); n != 0 {
		t.Errorf("%d of the run's own changes count as those of others", n)
	}
	place.live["Thing"][0].Properties["URL"] = "https://someone.else/"
	if n := left(); n != 2 {
		t.Errorf("after a change by others %d stay", n)
	}
	place.live["Thing"][0].Properties["URL"] = "https://a/"
	place.live["Thing"][0].Properties["Enabled"] = false
	if n := left(); n != 1 {
		t.Errorf("after a change of the object itself %d stay", n)
	}
	place.live["Thing"][0].Properties["Enabled"] = true
	r, err := Rollback(t.Context(), places, kinds, "", Options{StateDir: dir, Wait: soon}, nil)
	if err != nil || len(place.live["Thing"]) != 0 {
		t.Errorf("%v: %+v", err, r)
	}
}

// label is an aspect of Things that shares no property with them.
var label = &change.Kind{
	Noun:       "Label",
	Aspect:     true,
	Properties: map[string]change.Property{"Key": {Write: change.Key}, "Text": {}},
	Command: func(a change.Action, _ string, want change.Properties, live *change.Live) (change.Command, error) {
		return change.Command{Name: "Set-Thing", Parameters: map[string]any{"Key": live.Properties["Key"],
			"Identity": live.Identity, "Text": want["Text"]}}, nil
	},
}

// labelled shows the Labels of its Things.
type labelled struct{ *memory }

func (l labelled) Read(ctx context.Context, k *change.Kind) ([]change.Live, error) {
	if k == label {
		k = thing
	}
	return l.memory.Read(ctx, k)
}

// TestPreviewOfAspectsOfWhatComesBack: when a run changes an aspect of an object and then removes the
// object, the rollback makes the object first. The aspect is then set back, and the preview says so.
func TestPreviewOfAspectsOfWhatComesBack(t *testing.T) {
	place, dir := labelled{&memory{name: "online", live: map[string][]change.Live{"Thing": {{Identity: "a", Name: "a",
		Properties: change.Properties{"Key": "a", "Enabled": true, "Text": "was"}}}}}}, t.TempDir()
	places, kinds := map[string]change.Place{"online": place}, map[string]*change.Kind{"Thing": thing, "Label": label}
	p, err := change.Make(t.Context(), places, []change.Resource{
		{Kind: label, Target: "online", Key: "a", Properties: change.Properties{"Key": "a", "Text": nil}},
		{Kind: thing, Target: "online", Key: "a", Absent: true, Needs: []string{"online/Label/a"},
			Properties: change.Properties{"Key": "a"}},
	}, change.Options{})
	if err != nil || len(p.Changes) != 2 {
		t.Fatalf("%v: %+v", err, p)
	}
	accept := Options{StateDir: dir, Wait: soon, Accept: removalsToo}
	if r, err := Run(t.Context(), places, kinds, p, accept, nil); err != nil {
		t.Fatalf("%v: %+v", err, r)
	}
	if undo, err := Preview(t.Context(), places, kinds, "", accept); err != nil || len(undo.Changes) != 2 {
		t.Errorf("%v: %+v", err, undo)
	}
}
