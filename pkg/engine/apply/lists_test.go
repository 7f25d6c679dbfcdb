package apply

import (
	"context"
	"errors"
	"slices"
	"testing"

	"github.com/hybridge-cli/hybridge/pkg/engine/change"
)

// takingOut is a world in which one element leaves a list that others write too, after another change.
func takingOut(meanwhile any) *world {
	w := newWorld()
	w.online.live = map[string][]change.Live{"Thing": {{Identity: "1", Name: "list", Properties: change.Properties{
		"Key": "list", "Targets": []string{"old.com", "theirs.com"}}}}}
	w.resources = []change.Resource{
		{Kind: thing, Target: "online", Key: "first", Name: "first", Properties: change.Properties{"Key": "first"}},
		{Kind: thing, Target: "online", Key: "list", Name: "list", Needs: []string{"online/Thing/first"},
			Properties: change.Properties{"Key": "list"}, Without: map[string][]string{"Targets": {"old.com"}}},
	}
	w.online.after = func(command string) {
		if command == "New-Thing first" {
			w.online.live["Thing"][0].Properties["Targets"] = meanwhile
		}
	}
	return w
}

func targets(w *world) []string {
	var out []string
	for _, e := range change.Elements(w.online.live["Thing"][0].Properties["Targets"]) {
		text, _ := e.(string)
		out = append(out, text)
	}
	slices.Sort(out)
	return out
}

// What a change takes out of a list goes although others put something in meanwhile. A rollback puts
// it back, and leaves theirs.
func TestTakenOutOfAList(t *testing.T) {
	w, dir := takingOut([]string{"old.com", "theirs.com", "more.com"}), t.TempDir()
	run(t, w, w.plan(t), Options{StateDir: dir, Accept: removalsToo, Wait: soon})
	if got := targets(w); !slices.Equal(got, []string{"more.com", "theirs.com"}) {
		t.Errorf("got %v", got)
	}
	if _, err := Rollback(t.Context(), w.places(), kinds, "", Options{StateDir: dir, Wait: soon}, nil); err != nil {
		t.Fatal(err)
	}
	if got := targets(w); !slices.Equal(got, []string{"more.com", "old.com", "theirs.com"}) {
		t.Errorf("rolled back to %v", got)
	}
}

// deaf takes the commands that set something, and does nothing.
type deaf struct{ *memory }

func (d deaf) Run(ctx context.Context, c change.Command) (change.Properties, error) {
	if c.Name == "Set-Thing" {
		return nil, nil
	}
	return d.memory.Run(ctx, c)
}

// An element that is still there was not taken out, whatever the place said.
func TestStillInAList(t *testing.T) {
	w := takingOut([]string{"old.com", "theirs.com"})
	places := map[string]change.Place{"online": deaf{w.online}, "onprem/contoso": w.onprem}
	report, err := Run(t.Context(), places, kinds, w.plan(t),
		Options{StateDir: t.TempDir(), Accept: removalsToo, Wait: soon}, nil)
	if !errors.Is(err, ErrNotSeen) || statuses(report)["online/Thing/list"] != Failed {
		t.Errorf("%v: %+v", err, report.Changes)
	}
}

// A list that cannot be read at the last moment is not written.
func TestUnreadableListIsNotWritten(t *testing.T) {
	w := takingOut(change.Unreadable{Reason: "no right"})
	report, err := Run(t.Context(), w.places(), kinds, w.plan(t),
		Options{StateDir: t.TempDir(), Accept: removalsToo, Wait: soon}, nil)
	if !errors.Is(err, ErrPartial) || statuses(report)["online/Thing/list"] != Failed {
		t.Errorf("%v: %+v", err, report.Changes)
	}
	if slices.ContainsFunc(w.online.ran, func(c string) bool { return c == "Set-Thing list" }) {
		t.Errorf("written: %v", w.online.log)
	}
}
