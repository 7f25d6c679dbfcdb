package wizard

import (
	"errors"
	"testing"
	"testing/synctest"

	"github.com/hybridge-cli/hybridge/pkg/engine/apply"
	"github.com/hybridge-cli/hybridge/pkg/engine/change"
	"github.com/hybridge-cli/hybridge/pkg/engine/check"
)

// Checks that could not run leave nothing to agree to. Checks without an objection need no consent.
func TestConsentsAreForWhatIsShown(t *testing.T) {
	s := &confirmScreen{}
	if s.end(nil, nil, errors.New("no answer")); s.checks != nil || s.err == nil {
		t.Errorf("%+v, %v", s.checks, s.err)
	}
	s = &confirmScreen{checks: &check.Report{Results: []check.Result{{ID: "a.b", Status: check.StatusPass}}}}
	if got := s.consents(&change.Plan{Summary: change.Summary{Create: 1}}); len(got) > 0 {
		t.Errorf("%v", got)
	}
}

// A stop ends the wait of a change that a pause holds back.
func TestStopWhilePaused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := &gate{}
		g.turn()
		waits := make(chan error, 1)
		go func() { waits <- g.proceed(t.Context()) }()
		synctest.Wait()
		g.stop()
		if err := <-waits; !errors.Is(err, apply.ErrStopped) {
			t.Error(err)
		}
	})
}
