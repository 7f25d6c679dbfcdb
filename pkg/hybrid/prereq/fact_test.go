package prereq

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
)

func TestFactIsLookedUpOnce(t *testing.T) {
	for name, err := range map[string]error{"a value": nil, "an error": errors.New("no")} {
		t.Run(name, func(t *testing.T) {
			var calls atomic.Int32
			release := make(chan struct{})
			f := NewFact(func(context.Context) (int, error) {
				calls.Add(1)
				<-release
				return 7, err
			})
			var wait sync.WaitGroup
			for range 10 {
				wait.Go(func() {
					if v, got := f.Get(t.Context()); v != 7 || got != err {
						t.Errorf("Get = %d, %v", v, got)
					}
				})
			}
			close(release)
			wait.Wait()
			if v, got := f.Get(t.Context()); v != 7 || got != err {
				t.Errorf("Get later = %d, %v", v, got)
			}
			if n := calls.Load(); n != 1 {
				t.Errorf("%d lookups, want 1", n)
			}
		})
	}
}

// One asker who gives up costs the others nothing; when all gave up the lookup ends, and the next asker gets a new one.
func TestFactOutlivesOneAsker(t *testing.T) {
	var calls atomic.Int32
	begun := make(chan struct{}, 2)
	f := NewFact(func(ctx context.Context) (int, error) {
		n := calls.Add(1)
		begun <- struct{}{}
		if n > 1 {
			return int(n), nil
		}
		<-ctx.Done()
		return 0, ctx.Err()
	})
	impatient, giveUp := context.WithCancel(t.Context())
	other, giveUpToo := context.WithCancel(t.Context())
	var wait sync.WaitGroup
	for _, ctx := range []context.Context{impatient, other} {
		wait.Go(func() {
			if _, err := f.Get(ctx); !errors.Is(err, context.Canceled) {
				t.Errorf("error = %v", err)
			}
		})
	}
	<-begun
	giveUp()
	giveUpToo()
	wait.Wait()
	if v, err := f.Get(t.Context()); v != 2 || err != nil {
		t.Errorf("a new asker got %d, %v", v, err)
	}
}

func TestFactWithoutSource(t *testing.T) {
	var nobody *Fact[int]
	if _, err := nobody.Get(t.Context()); !errors.Is(err, ErrNoSource) {
		t.Errorf("error = %v", err)
	}
	var keyed *Keyed[int]
	if _, err := keyed.Get(t.Context(), "x"); !errors.Is(err, ErrNoSource) {
		t.Errorf("error = %v", err)
	}
}

func TestKeyed(t *testing.T) {
	var calls atomic.Int32
	k := NewKeyed(func(_ context.Context, key string) (string, error) {
		calls.Add(1)
		return key + "!", nil
	})
	for range 3 {
		for _, key := range []string{"a", "b"} {
			if v, err := k.Get(t.Context(), key); v != key+"!" || err != nil {
				t.Errorf("Get(%s) = %s, %v", key, v, err)
			}
		}
	}
	if n := calls.Load(); n != 2 {
		t.Errorf("%d lookups, want 2", n)
	}
}
