package prereq

import (
	"context"
	"sync"
)

// Fact is something about an estate that is looked up when first asked for, once, and shared by everyone who asks: the value, or the
// error with which looking it up failed. Askers that come while it is being looked up wait for that one lookup. When every one of them
// gives up, the lookup is cancelled and the next asker begins it anew: a time limit of one is not the error of all.
//
// The zero Fact has nobody to ask and gives ErrNoSource.
type Fact[T any] struct {
	fetch func(ctx context.Context) (T, error)

	mu     sync.Mutex
	lookup *lookup[T]
}

type lookup[T any] struct {
	done    chan struct{}
	waiting int
	cancel  context.CancelFunc
	value   T
	err     error
}

// NewFact makes a fact that fetch looks up.
func NewFact[T any](fetch func(ctx context.Context) (T, error)) *Fact[T] {
	return &Fact[T]{fetch: fetch}
}

// Known makes a fact that needs no looking up.
func Known[T any](v T) *Fact[T] {
	return NewFact(func(context.Context) (T, error) { return v, nil })
}

// Failing makes a fact that cannot be looked up.
func Failing[T any](err error) *Fact[T] {
	return NewFact(func(context.Context) (T, error) {
		var zero T
		return zero, err
	})
}

// Get returns the fact.
func (f *Fact[T]) Get(ctx context.Context) (T, error) {
	var zero T
	if f == nil || f.fetch == nil {
		return zero, ErrNoSource
	}
	if err := ctx.Err(); err != nil {
		return zero, err
	}
	f.mu.Lock()
	l := f.lookup
	if l == nil {
		background, cancel := context.WithCancel(context.WithoutCancel(ctx))
		l = &lookup[T]{done: make(chan struct{}), cancel: cancel}
		f.lookup = l
		go func() {
			defer cancel()
			l.value, l.err = f.fetch(background)
			close(l.done)
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
	return zero, ctx.Err()
}

// Keyed are facts that are looked up by a key, each once.
type Keyed[T any] struct {
	fetch func(ctx context.Context, key string) (T, error)

	mu    sync.Mutex
	facts map[string]*Fact[T]
}

// NewKeyed makes facts that fetch looks up by their key.
func NewKeyed[T any](fetch func(ctx context.Context, key string) (T, error)) *Keyed[T] {
	return &Keyed[T]{fetch: fetch}
}

// Get returns the fact of a key.
func (k *Keyed[T]) Get(ctx context.Context, key string) (T, error) {
	if k == nil || k.fetch == nil {
		var zero T
		return zero, ErrNoSource
	}
	k.mu.Lock()
	f := k.facts[key]
	if f == nil {
		f = NewFact(func(ctx context.Context) (T, error) { return k.fetch(ctx, key) })
		if k.facts == nil {
			k.facts = map[string]*Fact[T]{}
		}
		k.facts[key] = f
	}
	k.mu.Unlock()
	return f.Get(ctx)
}
