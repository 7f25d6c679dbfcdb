package wizard

import (
	"context"
	"sync"

	"github.com/hybridge-cli/hybridge/pkg/engine/apply"
)

// gate lets the changes of an apply begin, holds them back, or ends them. What was begun goes on to
// its end. Places ask it in parallel.
type gate struct {
	mu      sync.Mutex
	stopped bool
	opens   chan struct{} // closed when changes may begin again; nil while they may
}

// proceed is apply.Options.Proceed.
func (g *gate) proceed(ctx context.Context) error {
	for {
		g.mu.Lock()
		opens, stopped := g.opens, g.stopped
		g.mu.Unlock()
		switch {
		case stopped:
			return apply.ErrStopped
		case opens == nil:
			return nil
		}
		select {
		case <-opens:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// turn pauses, or goes on after a pause.
func (g *gate) turn() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.opens == nil {
		g.opens = make(chan struct{})
		return
	}
	close(g.opens)
	g.opens = nil
}

// stop lets nothing more begin.
func (g *gate) stop() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.stopped = true
	if g.opens != nil {
		close(g.opens)
		g.opens = nil
	}
}

func (g *gate) state() (paused, stopped bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.opens != nil, g.stopped
}
