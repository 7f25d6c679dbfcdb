// Package once looks up a value on first use and shares the answer.
package once

import (
	"context"
	"sync"

	"github.com/hybridge-cli/hybridge/pkg/engine/broken"
)

// Value is looked up once, on first use. All callers share the value, or the error of the lookup.
// Callers that arrive during the lookup wait for it. When every caller has given up, the lookup is
// cancelled and the next caller starts a new one: the time limit of one caller is not the error of
// all.
type Value[T any] struct{ cell }

// New returns a value that fetch looks up.
func New[T any](fetch func(ctx context.Context) (T, error)) *Value[T] {
	return &Value[T]{cell{fetch: func(ctx context.Context) (any, error) { return fetch(ctx) }}}
}

// Known returns a value, or an error, that needs no lookup.
func Known[T any](v T, err error) *Value[T] {
	return New(func(context.Context) (T, error) { return v, err })
}

func (f *Value[T]) Get(ctx context.Context) (T, error) {
	v, err := f.get(ctx)
	t, _ := v.(T) // nil has no type: the zero value
	return t, err
}

// Peek returns the value when it is there, without a lookup.
func (f *Value[T]) Peek() (v T, known bool) {
	found, known := f.peek()
	v, _ = found.(T)
	return v, known
}

// cell is a Value without its type: more than a hundred types share its code.
type cell struct {
	fetch func(ctx context.Context) (any, error)

	mu     sync.Mutex
	lookup *lookup
}

type lookup struct {
	done    chan struct{}
	waiting int
	cancel  context.CancelFunc
	value   any
	err     error
}

func (f *cell) get(ctx context.Context) (any, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	f.mu.Lock()
	l := f.lookup
	if l == nil {
		background, cancel := context.WithCancel(context.WithoutCancel(ctx))
		l = &lookup{done: make(chan struct{}), cancel: cancel}
		f.lookup = l
		go func() {
			defer cancel()
			defer close(l.done)
			defer broken.Into(&l.err, "a lookup")
			l.value, l.err = f.fetch(background)
		}()
	}
	l.waiting++
	f.mu.Unlock()

	select {
	case <-l.done:
		return l.value, l.err
	case <-ctx.Done():
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	select {
	case <-l.done:
		return l.value, l.err
	default:
	}
	l.waiting--
	if l.waiting == 0 && f.lookup == l {
		l.cancel()
		f.lookup = nil
	}
	return nil, ctx.Err()
}

func (f *cell) peek() (v any, known bool) {
	f.mu.Lock()
	l := f.lookup
	f.mu.Unlock()
	if l == nil {
		return nil, false
	}
	select {
	case <-l.done:
		return l.value, l.err == nil
	default:
		return nil, false
	}
}
