package apply

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hybridge-cli/hybridge/pkg/engine/change"
)

// puttingOff answers creations with 504: after it carried them out, or without.
type puttingOff struct {
	*memory
	times int
	done  bool
	asked int
}

type gatewayTimeout struct{}

func (gatewayTimeout) Error() string  { return "504 Gateway Timeout" }
func (gatewayTimeout) Deferred() bool { return true }

func (p *puttingOff) Run(ctx context.Context, c change.Command) (change.Properties, error) {
	if c.Name != "New-Thing" {
		return p.memory.Run(ctx, c)
	}
	if p.asked++; p.asked > p.times {
		return p.memory.Run(ctx, c)
	}
	if p.done {
		if _, err := p.memory.Run(ctx, c); err != nil {
			return nil, err
		}
	}
	return nil, gatewayTimeout{}
}

// A creation that a server put off is sent again once, when a read back over the whole patience of
// the kind shows that nothing was done.
func TestCreationPutOff(t *testing.T) {
	for name, c := range map[string]struct {
		times       int
		done        bool
		wait        time.Duration
		asked, made int
		uncertain   bool
	}{
		"not carried out":                  {1, false, 0, 2, 1, false},
		"carried out":                      {1, true, 0, 1, 1, false},
		"put off twice":                    {2, false, 0, 2, 0, true},
		"with less patience than it takes": {1, false, time.Second, 1, 0, true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld()
				online := &puttingOff{memory: w.online, times: c.times, done: c.done}
				places := map[string]change.Place{"online": online, "onprem/contoso": w.onprem}
				_, err := Run(t.Context(), places, kinds, w.plan(t),
					Options{StateDir: t.TempDir(), Accept: removalsToo, Wait: c.wait}, nil)
				if errors.Is(err, ErrUncertain) != c.uncertain || err != nil && !c.uncertain {
					t.Errorf("%v", err)
				}
				made := slices.DeleteFunc(slices.Clone(w.online.ran),
					func(s string) bool { return s != "New-Thing new" })
				if online.asked != c.asked || len(made) != c.made {
					t.Errorf("sent %d times, carried out %d times; want %d, %d", online.asked, len(made), c.asked,
						c.made)
				}
			})
		})
	}
}
