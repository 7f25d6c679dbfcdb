package apply

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// A run that a person stops makes the changes that were begun, and nothing more. The same plan
// then has the rest.
func TestStoppedRun(t *testing.T) {
	whole := newWorld()
	p := whole.plan(t)
	run(t, whole, p, Options{StateDir: t.TempDir(), Accept: removalsToo, Wait: soon})
	for stop := range len(p.Changes) {
		w, dir := newWorld(), t.TempDir()
		asked := atomic.Int32{}
		proceed := func(context.Context) error {
			if asked.Add(1) > int32(stop) {
				return ErrStopped
			}
			return nil
		}
		report, err := Run(t.Context(), w.places(), kinds, p,
			Options{StateDir: dir, Accept: removalsToo, Wait: soon, Proceed: proceed}, nil)
		if !errors.Is(err, ErrStopped) || report.Summary.Done != stop || report.Summary.Failed > 0 {
			t.Fatalf("stopped after %d: %+v, %v", stop, report.Summary, err)
		}
		if runs, err := History(dir); err != nil || len(runs) != 1 || runs[0].Outcome != "cancelled" {
			t.Errorf("stopped after %d: history %+v, %v", stop, runs, err)
		}
		rest, err := Run(t.Context(), w.places(), kinds, p, Options{StateDir: dir, Accept: removalsToo, Wait: soon}, nil)
		if err != nil || rest.Summary.Done != len(p.Changes) {
			t.Fatalf("then the rest: %+v, %v", rest.Summary, err)
		}
		if d := cmp.Diff(whole.content(), w.content()); d != "" {
			t.Errorf("stopped after %d, then the rest (-want +got):\n%s", stop, d)
		}
	}
}

// A change that waits to proceed ends with its context.
func TestPausedRunIsCancelled(t *testing.T) {
	w := newWorld()
	ctx, cancel := context.WithCancel(t.Context())
	report, err := Run(ctx, w.places(), kinds, w.plan(t), Options{StateDir: t.TempDir(), Accept: removalsToo, Wait: soon,
		Proceed: func(ctx context.Context) error {
			cancel()
			<-ctx.Done()
			return ctx.Err()
		}}, nil)
	if !errors.Is(err, context.Canceled) || report.Summary.Pending != len(report.Changes) {
		t.Errorf("%+v, %v", report.Summary, err)
	}
	for _, c := range report.Changes {
		if c.Error != "cancelled" && c.Error == "" {
			t.Errorf("%s: %q", c.ID, c.Error)
		}
	}
}
