package apply

import (
	"context"
	"errors"
	"slices"
	"testing"

	"github.com/hybridge-cli/hybridge/pkg/engine/change"
)

// partly carries out one command without one of its parameters, and reports an error.
type partly struct {
	*memory
	on, without string
}

func (h *partly) Run(ctx context.Context, c change.Command) (change.Properties, error) {
	if c.Name != h.on {
		return h.memory.Run(ctx, c)
	}
	h.on = ""
	parameters := map[string]any{}
	for name, value := range c.Parameters {
		if name != h.without {
			parameters[name] = value
		}
	}
	c.Parameters = parameters
	if _, err := h.memory.Run(ctx, c); err != nil {
		return nil, err
	}
	return nil, refusal{errors.New("half done")}
}

// What one session of a run made in part and the next one could not make is not forgotten: a
// rollback says that it is there.
func TestHalfMadeIsNotForgotten(t *testing.T) {
	w, o := newWorld(), Options{StateDir: t.TempDir(), Wait: soon}
	w.resources = []change.Resource{{Kind: thing, Target: "online", Key: "new", Name: "new",
		Properties: change.Properties{"Key": "new", "Targets": []string{"n.com"}}}}
	p := w.plan(t)
	places := map[string]change.Place{"online": &partly{memory: w.online, on: "New-Thing", without: "Targets"}}
	for range 2 {
		if _, err := Run(t.Context(), places, kinds, p, o, nil); !errors.Is(err, ErrPartial) {
			t.Fatal(err)
		}
	}
	_, err := Rollback(t.Context(), places, kinds, "", o, nil)
	there := slices.ContainsFunc(w.online.live["Thing"], func(l change.Live) bool { return l.Name == "new" })
	if there && !errors.Is(err, ErrConflict) {
		t.Errorf("%v, and it is there", err)
	}
}

// What one session of a run put into a list, and the next one completed, is taken out again.
func TestHalfWrittenListIsUndone(t *testing.T) {
	w, o := newWorld(), Options{StateDir: t.TempDir(), Wait: soon}
	w.resources = []change.Resource{{Kind: thing, Target: "online", Key: "update", Name: "update",
		Properties: change.Properties{"Key": "update", "Targets": []string{"ours.com"}, "Enabled": true}}}
	p := w.plan(t)
	places := map[string]change.Place{"online": &partly{memory: w.online, on: "Set-Thing", without: "Enabled"}}
	if _, err := Run(t.Context(), places, kinds, p, o, nil); !errors.Is(err, ErrPartial) {
		t.Fatal(err)
	}
	if _, err := Run(t.Context(), places, kinds, p, o, nil); err != nil {
		t.Fatal(err)
	}
	if got := additions(t, o.StateDir); len(got) != 1 {
		t.Errorf("added: %v", got)
	}
	properties := w.online.live["Thing"][0].Properties
	properties["Targets"] = append(properties["Targets"].([]string), "more.com")
	if _, err := Rollback(t.Context(), places, kinds, "", o, nil); err != nil {
		t.Fatal(err)
	}
	if got := w.online.live["Thing"][0].Properties["Targets"]; !slices.Equal(got.([]string),
		[]string{"Theirs.com", "more.com"}) {
		t.Errorf("left: %v", got)
	}
}
