package apply

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hybridge-cli/hybridge/pkg/config/secret"
	"github.com/hybridge-cli/hybridge/pkg/engine/change"
)

func creations(t *testing.T, dir string) (ids []string) {
	t.Helper()
	made, err := Creations(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range made {
		ids = append(ids, c.ID)
	}
	return ids
}

func additions(t *testing.T, dir string) (out []string) {
	t.Helper()
	added, err := Additions(dir, kinds)
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range added {
		for _, e := range a.Elements {
			out = append(out, fmt.Sprint(a.ID, " ", a.Property, " ", e))
		}
	}
	slices.Sort(out)
	return out
}

// What runs made and put into lists is known until it is removed, taken out or rolled back.
func TestCreationsAndAdditions(t *testing.T) {
	w, dir := newWorld(), t.TempDir()
	o := Options{StateDir: dir, Accept: removalsToo, Wait: soon}
	run(t, w, w.plan(t), o)
	for _, id := range []string{"online/Thing/new", "onprem/contoso/Thing/app", "online/Fixed/fixed"} {
		if !slices.Contains(creations(t, dir), id) {
			t.Errorf("%s is not among %v", id, creations(t, dir))
		}
	}
	want := []string{"online/Thing/new Targets n.com", "online/Thing/update Targets ours.com",
		"onprem/contoso/Thing/app Targets a.com"}
	if got := additions(t, dir); !slices.Equal(got, want) {
		t.Errorf("%v", got)
	}

	w.resources = []change.Resource{
		{Kind: thing, Target: "onprem/contoso", Key: "last", Name: "last", Properties: change.Properties{"Key": "last"},
			Absent: true},
		{Kind: thing, Target: "online", Key: "update", Name: "one", Properties: change.Properties{"Key": "update"},
			Without: map[string][]string{"Targets": {"ours.com"}}},
		{Kind: thing, Target: "online", Key: "others", Name: "three", Restores: []string{"Targets"},
			Properties: change.Properties{"Key": "others", "Targets": []string{"back.com"}}},
	}
	later := run(t, w, w.plan(t), o)
	if slices.Contains(creations(t, dir), "onprem/contoso/Thing/last") {
		t.Error("what a later run removed is still a creation")
	}
	if got := additions(t, dir); !slices.Equal(got, []string{want[0], want[2]}) {
		t.Errorf("after a later run: %v", got)
	}
	for range 2 {
		if _, err := Rollback(t.Context(), w.places(), kinds, "", Options{StateDir: dir, Wait: soon}, nil); err != nil {
			t.Fatal(later.RunID, err)
		}
	}
	if ids, added := creations(t, dir), additions(t, dir); len(ids)+len(added) > 0 {
		t.Errorf("after the rollbacks: %v, %v", ids, added)
	}
}

// What failed was not carried out, and what was carried out before a time does not count from then
// on.
func TestCarriedSince(t *testing.T) {
	w, dir := newWorld(), t.TempDir()
	w.online.refuse = map[string]error{"Remove-Thing delete": errors.New("no")}
	begun := time.Now().Add(-time.Second)
	if _, err := Run(t.Context(), w.places(), kinds, w.plan(t), Options{StateDir: dir, Accept: removalsToo, Wait: soon},
		nil); !errors.Is(err, ErrPartial) {
		t.Fatal(err)
	}
	var ids []string
	for _, c := range CarriedSince(dir, begun) {
		ids = append(ids, c.Change.ID)
	}
	if len(ids) != 6 || slices.Contains(ids, "online/Thing/delete") {
		t.Errorf("%v", ids)
	}
	if later := CarriedSince(dir, time.Now().Add(time.Second)); len(later) > 0 {
		t.Errorf("%v", later)
	}
}

// A secret that is a part of another one leaves nothing of it.
func TestHiddenWithinAnother(t *testing.T) {
	var h hidden
	for _, s := range []string{"hunter2", "hunter2-and-more"} {
		h.add(secret.NewValue(s))
	}
	if got := h.text("it is hunter2-and-more"); strings.Contains(got, "more") {
		t.Error(got)
	}
}

// A change that was in effect already, so that nothing was written, added nothing.
func TestAdditionsOfWhatWasThere(t *testing.T) {
	w, dir := newWorld(), t.TempDir()
	w.resources = []change.Resource{
		{Kind: thing, Target: "online", Key: "new", Name: "new", Properties: change.Properties{"Key": "new"}},
		{Kind: thing, Target: "online", Key: "update",
			Properties: change.Properties{"Key": "update", "Targets": []string{"ours.com"}}},
	}
	w.online.after = func(command string) {
		if command == "New-Thing new" {
			w.online.live["Thing"][0].Properties["Targets"] = []string{"Theirs.com", "ours.com"}
		}
	}
	report := run(t, w, w.plan(t), Options{StateDir: dir, Wait: soon})
	if statuses(report)["online/Thing/update"] != Skipped {
		t.Fatalf("%+v", report.Changes)
	}
	if added := additions(t, dir); len(added) > 0 {
		t.Errorf("%v", added)
	}
}

// A replacement keeps what others put into a list. It does not count as added by hybridge.
func TestAdditionsOfAReplacement(t *testing.T) {
	listing := *fixed
	listing.Properties = map[string]change.Property{"Key": {Write: change.Key}, "Value": {},
		"Targets": {Compare: sameSet, Write: change.Merge}}
	kinds := map[string]*change.Kind{"Fixed": &listing}
	w, dir := newWorld(), t.TempDir()
	w.online.live["Fixed"][0].Properties["Targets"] = []string{"theirs.com"}
	w.resources = []change.Resource{{Kind: &listing, Target: "online", Key: "fixed", Properties: change.Properties{
		"Key": "fixed", "Value": "new", "Targets": []string{"ours.com"}}}}
	if _, err := Run(t.Context(), w.places(), kinds, w.plan(t), Options{StateDir: dir, Accept: removalsToo, Wait: soon},
		nil); err != nil {
		t.Fatal(err)
	}
	added, err := Additions(dir, kinds)
	if err != nil || len(added) != 1 || !slices.Equal(added[0].Elements, []any{"ours.com"}) {
		t.Errorf("%+v, %v", added, err)
	}
}
