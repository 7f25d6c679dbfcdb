package wizard

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/hybridge-cli/hybridge/pkg/engine/apply"
	"github.com/hybridge-cli/hybridge/pkg/engine/change"
	"github.com/hybridge-cli/hybridge/wizard/stage"
)

// inSteps opens an apply whose changes ask to begin one by one, as the test says.
func inSteps(t *testing.T) (*bench, chan<- struct{}) {
	t.Helper()
	engine, begins := newFake(), make(chan struct{})
	engine.begins = begins
	b, _ := open[*applyScreen](t, given{engine: engine, outcome: stage.Outcome{Plan: &engine.plan}})
	return b, begins
}

// p holds back what has not begun, and p again lets it begin.
func TestApplyPauses(t *testing.T) {
	b, begins := inSteps(t)
	begins <- struct{}{} // the first change
	b.walk(step{"", "DONE"}, step{"p", "Paused: nothing more begins until p"}, step{"", "p go on"})
	select {
	case begins <- struct{}{}: // the second asks to begin
	case <-time.After(5 * time.Second):
		t.Fatal("the engine is not at the second change")
	}
	time.Sleep(20 * time.Millisecond)
	if strings.Contains(b.m.View(), "FAIL") {
		t.Errorf("a change began in a pause:\n%s", b.m.View())
	}
	b.walk(step{"p", "1 done, 0 skipped, 1 failed, 0 pending"})
}

// s ends the run after the change that was begun. The screen says how to go on.
func TestApplyStops(t *testing.T) {
	b, begins := inSteps(t)
	begins <- struct{}{}
	b.walk(step{"", "DONE"}, step{"s", "Stopping: what was begun is done first"})
	begins <- struct{}{}
	b.walk(step{"", "1 done, 0 skipped, 0 failed, 1 pending"}, step{"", "You stopped it. r plans the rest."})
	if !b.m.unfinished() || !b.m.spent {
		t.Errorf("unfinished %t, spent %t", b.m.unfinished(), b.m.spent)
	}
	b.walk(step{"r", "1 to create"})
}

// q leaves also from a pause.
func TestApplyLeavesFromAPause(t *testing.T) {
	b, begins := inSteps(t)
	begins <- struct{}{}
	b.walk(step{"", "DONE"}, step{"p", "Paused"})
	begins <- struct{}{}
	b.press("q")
	b.left()
}

func TestGate(t *testing.T) {
	g := &gate{}
	if err := g.proceed(t.Context()); err != nil {
		t.Errorf("open: %v", err)
	}
	g.turn()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := g.proceed(ctx); err != context.Canceled {
		t.Errorf("paused, cancelled: %v", err)
	}
	waits := make(chan error)
	go func() { waits <- g.proceed(t.Context()) }()
	g.stop()
	if err := <-waits; err != apply.ErrStopped {
		t.Errorf("stopped in a pause: %v", err)
	}
	g.turn()
	if err := g.proceed(t.Context()); err != apply.ErrStopped {
		t.Errorf("a stop is not taken back: %v", err)
	}
}

// The estimate is that of the slowest place; without a change that was made there is none.
func TestEstimate(t *testing.T) {
	s := &applyScreen{}
	var changes []change.Change
	for _, id := range []string{"a/1", "a/2", "a/3", "b/1", "b/2", "c/1"} {
		target, _, _ := strings.Cut(id, "/")
		changes = append(changes, change.Change{ID: id, Target: target})
	}
	if _, known := s.left(changes); known {
		t.Error("an estimate from nothing")
	}
	s.outcomes = map[string]apply.Outcome{
		"a/1": {Status: apply.Done, DurationMS: 1000}, "b/1": {Status: apply.Done, DurationMS: 5000},
		"b/2": {Status: apply.Skipped},
	}
	if left, known := s.left(changes); !known || left != 3*time.Second { // c: as fast as the others, 3 s
		t.Errorf("%s, %t", left, known)
	}
	s.outcomes["c/1"] = apply.Outcome{Status: apply.Done, DurationMS: 100}
	if left, _ := s.left(changes); left != 2*time.Second {
		t.Errorf("%s", left)
	}
}

// What failed says what waits for it, also through others.
func TestWaitingChanges(t *testing.T) {
	engine := newFake()
	third := engine.plan.Changes[0]
	third.ID, third.Needs = "onprem/contoso/third", []string{engine.plan.Changes[1].ID}
	fourth := third
	fourth.ID, fourth.Needs = "onprem/contoso/fourth", []string{third.ID}
	engine.plan.Changes = append(engine.plan.Changes, third, fourth)
	b, _ := open[*applyScreen](t, given{outcome: stage.Outcome{Plan: &engine.plan}, result: engine.applied()})
	b.walk(step{"", "2 changes wait for it"}, step{"<down><space>", "waiting for it"},
		step{"", "onprem/contoso/third, onprem/contoso/fourth"})
}
