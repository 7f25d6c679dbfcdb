package apply

import (
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/hybridge-cli/hybridge/pkg/engine/change"
)

// A rollback writes a list empty only with the consent that its property declares. Without it, the
// list stays, the rest is undone, and a second rollback with the consent undoes the list.
func TestEmptyListNeedsConsent(t *testing.T) {
	consent := &change.Consent{ID: "block-all", Title: "block everything"}
	guarded := *thing
	guarded.Properties = maps.Clone(thing.Properties)
	targets := guarded.Properties["Targets"]
	targets.WhenEmpty = consent
	guarded.Properties["Targets"] = targets
	kinds := map[string]*change.Kind{"Thing": &guarded}
	if all := Consents(kinds); !slices.Contains(all, *consent) {
		t.Fatalf("%v", all)
	}

	w, dir := newWorld(), t.TempDir()
	w.online.live = map[string][]change.Live{"Thing": {{Identity: "1", Name: "list",
		Properties: change.Properties{"Key": "list", "Enabled": false}}}}
	w.resources = []change.Resource{
		{Kind: &guarded, Target: "online", Key: "list", Name: "list",
			Properties: change.Properties{"Key": "list", "Enabled": true, "Targets": []string{"ours.com"}}},
		{Kind: &guarded, Target: "online", Key: "other", Name: "other", Properties: change.Properties{"Key": "other"}},
	}
	p := w.plan(t)
	if _, err := Run(t.Context(), w.places(), kinds, p, Options{StateDir: dir, Wait: soon}, nil); err != nil {
		t.Fatal(err)
	}
	list := func() any { return w.online.live["Thing"][0].Properties["Targets"] }

	undo, err := Preview(t.Context(), w.places(), kinds, "", Options{StateDir: dir})
	if err != nil || len(undo.Left) != 1 || !strings.Contains(undo.Left[0].Error, "--accept block-all") {
		t.Errorf("preview: %+v, %v", undo.Left, err)
	}
	report, err := Rollback(t.Context(), w.places(), kinds, "", Options{StateDir: dir, Wait: soon}, nil)
	if !errors.Is(err, ErrPartial) || !errors.Is(err, ErrNotAccepted) ||
		!strings.Contains(err.Error(), `Targets of "list" would be empty (--accept block-all: block everything)`) {
		t.Errorf("%v", err)
	}
	if got := statuses(report); got["online/Thing/list"] != Failed || got["online/Thing/other"] != Done {
		t.Errorf("%v", got)
	}
	if len(change.Elements(list())) != 1 || w.online.live["Thing"][0].Properties["Enabled"] == true {
		t.Errorf("%v", w.online.live["Thing"][0].Properties)
	}
	if _, err = Rollback(t.Context(), w.places(), kinds, "",
		Options{StateDir: dir, Wait: soon, Accept: []string{"block-all"}}, nil); err != nil {
		t.Fatal(err)
	}
	if len(change.Elements(list())) != 0 {
		t.Errorf("the list is %v", list())
	}
}
