package once

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
)

func TestLookedUpOnce(t *testing.T) {
	for name, err := range map[string]error{"a value": nil, "an error": errors.New("no")} {
		t.Run(name, func(t *testing.T) {
			var calls atomic.Int32
			release := make(chan struct{})
			f := New(func(context.Context) (int, error) {
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

// One caller that gives up does not affect the others. When all have given up the lookup ends, and
// the next caller starts a new one.
func TestOutlivesOneCaller(t *testing.T) {
	var calls atomic.Int32
	begun := make(chan struct{}, 2)
	f := New(func(ctx context.Context) (int, error) {
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
