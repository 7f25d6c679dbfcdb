package apply

import (
	"errors"
	"strings"
	"testing"
)

// Two operators on two computers have the same plan, and no lock in common. The reads before each
// write see the other one: nothing is made twice. The moment between a read and its write is left:
// docs/limitations.md says so.
func TestSecondOperator(t *testing.T) {
	made := func(t *testing.T, w *world) {
		t.Helper()
		count := map[string]int{}
		for _, command := range append(w.online.ran, w.onprem.ran...) {
			if count[command]++; strings.HasPrefix(command, "New-") && count[command] > 1 {
				t.Errorf("%s ran %d times", command, count[command])
			}
		}
	}
	t.Run("after the first has ended", func(t *testing.T) {
		w := newWorld()
		p := w.plan(t)
		run(t, w, p, Options{StateDir: t.TempDir(), Accept: removalsToo, Wait: soon})
		ran := len(w.online.ran) + len(w.onprem.ran)
		if _, err := Run(t.Context(), w.places(), kinds, p,
			Options{StateDir: t.TempDir(), Accept: removalsToo, Wait: soon}, nil); !errors.Is(err, ErrStale) {
			t.Errorf("got %v", err)
		}
		if now := len(w.online.ran) + len(w.onprem.ran); now != ran {
			t.Errorf("the second operator ran %d commands", now-ran)
		}
	})
	for _, at := range []string{"after end online/Thing/new", "after begin online/Thing/update",
		"after end online/Thing/update"} {
		t.Run("the first runs "+at, func(t *testing.T) {
			w, other, first := newWorld(), t.TempDir(), true
			p := w.plan(t)
			_, err := Run(t.Context(), w.places(), kinds, p, Options{StateDir: t.TempDir(), Accept: removalsToo, Wait: soon,
				fault: func(point string) error {
					if point == at && first {
						first = false
						_, _ = Run(t.Context(), w.places(), kinds, w.plan(t),
							Options{StateDir: other, Accept: removalsToo, Wait: soon}, nil)
					}
					return nil
				}}, nil)
			if first {
				t.Fatal("the other operator did not run")
			}
			if err != nil && !errors.Is(err, ErrStale) && !errors.Is(err, ErrPartial) {
				t.Errorf("the operator who was overtaken: %v", err)
			}
			made(t, w)
			if rest := w.plan(t); len(rest.Changes) > 0 {
				t.Errorf("both together left %d changes", len(rest.Changes))
			}
		})
	}
}
