package change

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// drawer is the client of a system that keeps things in memory.
type drawer struct {
	ran  []string
	fail map[string]error
}

var drawers = &System[*drawer, *drawer]{
	Reading: func(d *drawer) *drawer { return d },
	Family: Family{ID: "drawers", Places: []PlaceSort{{Name: "drawer/*"}},
		Later: func(then Command) string { return "it does not " + then.Name + " before tomorrow" }},
	Run: func(_ context.Context, d *drawer, c Command) (Properties, error) {
		d.ran = append(d.ran, c.Name)
		return Properties{"id": "7"}, d.fail[c.Name]
	},
}

func TestDeclare(t *testing.T) {
	k := drawers.Declare(Kind{Noun: "Pen", Places: []string{"drawer/*"},
		Properties: map[string]Property{"Color": {}, "Key": {Write: Key}}}, Ops[*drawer]{
		Read: func(context.Context, *drawer) ([]Live, error) { return []Live{{Identity: "1"}}, nil },
		Create: func(name string, want Properties) (Command, error) {
			return Command{Name: "make " + name, Then: []Command{{Name: "look"}}}, nil
		},
		Delete: func(l Live) (Command, error) { return Command{Name: "drop " + l.Identity}, nil },
		Reads:  []string{"see"}, Writes: []string{"touch"},
	})
	if !k.Recreates || !k.At("drawer/a") || k.At("shelf") || k.System() != &drawers.Family {
		t.Errorf("%+v", k)
	}
	if _, err := k.Command(Update, "x", nil, &Live{}); !errors.Is(err, ErrNoOperation) {
		t.Errorf("update: %v", err)
	}
	if _, err := k.Command(Delete, "x", nil, nil); !errors.Is(err, ErrNoOperation) {
		t.Errorf("removal of nothing: %v", err)
	}

	d := &drawer{fail: map[string]error{"look": errors.New("dark")}}
	var warned []string
	p := NewPlace("drawer/a", drawers, func(context.Context) (*drawer, error) { return d, nil },
		func(s string) { warned = append(warned, s) })
	live, err := p.Read(t.Context(), k)
	if err != nil || len(live) != 1 {
		t.Errorf("%v, %v", live, err)
	}
	c, err := k.Render(Create, "a", nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	if out, err := p.Run(t.Context(), c); err != nil || out["id"] != "7" {
		t.Errorf("%v, %v: what follows a command does not undo it", out, err)
	}
	if diff := cmp.Diff([]string{"make a", "look"}, d.ran); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"drawer/a: look failed (dark); it does not look before tomorrow"}, warned); diff != "" {
		t.Error(diff)
	}
	d.fail["make a"] = errors.New("no")
	if _, err := p.Run(t.Context(), c); err == nil || len(d.ran) != 3 {
		t.Errorf("%v, %v: nothing follows a command that failed", err, d.ran)
	}

	other := &System[*drawer, *drawer]{Family: Family{ID: "other"}}
	foreign := other.Declare(Kind{Noun: "Cup"},
		Ops[*drawer]{Read: func(context.Context, *drawer) ([]Live, error) { return nil, nil }})
	for _, k := range []*Kind{foreign, {Noun: "Plate"}} {
		if _, err := p.Read(t.Context(), k); err == nil || !strings.Contains(err.Error(), "not kept at drawer/a") {
			t.Errorf("%s: %v", k.Noun, err)
		}
	}
}

func TestImage(t *testing.T) {
	k := &Kind{Properties: map[string]Property{
		"A": {Type: Type{Read: func(v any) any { return "read " + v.(string) }}}, "B": {From: "b"}, "C": {},
		"D": {MayHide: true}, "E": {},
	}}
	l := k.Image("1", "one", func(name string) (any, error) {
		switch name {
		case "A", "b":
			return name, nil
		case "E":
			return nil, errors.New("odd")
		}
		return nil, ErrAbsent
	})
	if _, hidden := l.Properties["D"].(Unreadable); !hidden {
		t.Errorf("a hidden list is %v", l.Properties["D"])
	}
	delete(l.Properties, "D")
	want := Live{Identity: "1", Name: "one",
		Properties: Properties{"A": "read A", "B": "b", "E": Unreadable{Reason: "odd"}}}
	if diff := cmp.Diff(want, l); diff != "" {
		t.Error(diff)
	}
	if !k.Shown(l) || k.Shown(Live{Properties: Properties{"A": "", "B": nil}}) {
		t.Error("an aspect is there when a property is set")
	}
}

func TestCommandKeepsWhatFollows(t *testing.T) {
	p := Plan{APIVersion: PlanVersion, Kind: "Plan", Summary: Summary{Create: 1},
		Live: map[string]string{"online/Pen": "x"}, Changes: []Change{{
			ID: "online/Pen/a", Target: "online", Kind: "Pen", Name: "a", Action: Create,
			Command: Command{Name: "make", Then: []Command{{Name: "look", Parameters: map[string]any{"how": "twice"}}}},
		}}}.Sealed()
	back, err := Decode(strings.NewReader(string(p.Encode())))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(p.Changes[0].Command, back.Changes[0].Command); diff != "" {
		t.Error(diff)
	}
}
