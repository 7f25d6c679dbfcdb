package apply

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/hybridge-cli/hybridge/pkg/engine/change"
)

// cancelling cancels a run at its nth call to a place: before the call, or after it.
type cancelling struct {
	change.Place
	calls  *atomic.Int32
	at     int32
	after  bool
	cancel func()
}

func (p cancelling) now() bool { return p.calls.Add(1) == p.at }

func (p cancelling) Read(ctx context.Context, k *change.Kind) ([]change.Live, error) {
	now := p.now()
	if now && !p.after {
		p.cancel()
	}
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	live, err := p.Place.Read(ctx, k)
	if now && p.after {
		p.cancel()
	}
	return live, err
}

func (p cancelling) Run(ctx context.Context, c change.Command) (change.Properties, error) {
	now := p.now()
	if now && !p.after {
		p.cancel()
	}
	out, err := p.Place.Run(ctx, c)
	if now && p.after {
		p.cancel()
	}
	return out, err
}

// The report of a cancelled run and its entry in the history count the same, wherever it was
// cancelled.
func TestCancelledRunCountsTheSame(t *testing.T) {
	cancelled := 0
	for _, hide := range []int{0, 1 << 30} { // what is written shows at once, or never
		for _, after := range []bool{false, true} {
			for at := int32(1); at <= 32; at++ {
				synctest.Test(t, func(t *testing.T) {
					w, dir := newWorld(), t.TempDir()
					w.online.hide = hide
					p := w.plan(t)
					ctx, cancel := context.WithCancel(t.Context())
					defer cancel()
					places, calls := map[string]change.Place{}, &atomic.Int32{}
					for name, place := range w.places() {
						places[name] = cancelling{place, calls, at, after, cancel}
					}
					report, err := Run(ctx, places, kinds, p, Options{StateDir: dir, Accept: removalsToo, Wait: soon},
						nil)
					if report.RunID == "" || ctx.Err() == nil || err == nil {
						return // before it began, or not at all
					}
					cancelled++
					history, err := History(dir)
					if err != nil || len(history) != 1 || history[0].Summary != report.Summary {
						t.Errorf("call %d (after: %t, hidden: %d): report %+v, history %+v, %v\n%s", at, after, hide,
							report.Summary, history[0].Summary, err, fmt.Sprint(report.Changes))
					}
				})
			}
		}
	}
	if cancelled < 40 {
		t.Errorf("only %d runs were cancelled", cancelled)
	}
}
