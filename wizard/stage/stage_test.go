package stage

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/hybridge-cli/hybridge/pkg/engine/apply"
	"github.com/hybridge-cli/hybridge/pkg/engine/change"
	"github.com/hybridge-cli/hybridge/pkg/engine/check"
	"github.com/hybridge-cli/hybridge/pkg/engine/observe"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/deployment"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/freebusy"
)

// script is an engine whose stages give what it says.
type script struct {
	Engine          // what Run does not call
	failed, changes int
	objections      int
	errs            map[ID]error
	calls           string
	given           Options // of Apply and Test
}

func (s *script) Discover(context.Context, observe.Observer) (deployment.Found, error) {
	return deployment.Found{}, nil
}

func (s *script) Check(context.Context, observe.Observer) (check.Report, error) {
	s.calls += "c"
	return check.Report{Summary: check.Summary{Fail: s.failed}}, s.errs[Check]
}

func (s *script) Plan(context.Context, observe.Observer) (change.Plan, error) {
	s.calls += "p"
	return change.Plan{Changes: make([]change.Change, s.changes)}, s.errs[Plan]
}

func (s *script) Recheck(context.Context, change.Plan, observe.Observer) (check.Report, error) {
	s.calls += "r"
	var r check.Report
	for range s.objections {
		r.Results = append(r.Results, check.Result{Status: check.StatusFail, Severity: check.Fail})
	}
	return r, s.errs["recheck"]
}

func (s *script) Apply(_ context.Context, _ change.Plan, o apply.Options, _ observe.Observer) (apply.Report, error) {
	s.calls += "a"
	s.given.Apply = o
	return apply.Report{RunID: "r"}, s.errs[Apply]
}

func (s *script) Test(_ context.Context, o deployment.TestOptions, _ observe.Observer) (freebusy.Report, error) {
	s.calls += "t"
	s.given.Test = o
	return freebusy.Report{}, s.errs[Test]
}

func (s *script) PreviewRollback(context.Context, string, apply.Options, observe.Observer) (apply.Undo, error) {
	return apply.Undo{}, nil
}

func (s *script) Rollback(context.Context, string, apply.Options, observe.Observer) (apply.Report, error) {
	return apply.Report{}, nil
}

func (s *script) Close(context.Context) error { return nil }

func TestRun(t *testing.T) {
	broken := errors.New("broken")
	yes := func(change.Plan) (bool, error) { return true, nil }
	broke := func(change.Plan) (bool, error) { return false, broken }
	no := func(change.Plan) (bool, error) { return false, nil }
	for _, test := range []struct {
		name    string
		engine  script
		options Options
		calls   string
		reached ID
		err     error
	}{
		{"nothing to do", script{}, Options{}, "cpt", Test, nil},
		{"changes agreed to", script{changes: 1}, Options{Confirm: yes}, "cprat", Test, nil},
		{"changes refused", script{changes: 1}, Options{Confirm: no}, "cp", Plan, ErrUnconfirmed},
		{"question broken off", script{changes: 1}, Options{Confirm: broke}, "cp", Plan, broken},
		{"nobody to ask", script{changes: 1}, Options{}, "cp", Plan, ErrUnconfirmed},
		{"prerequisites failed", script{failed: 1}, Options{Confirm: yes}, "c", Check, ErrPrerequisites},
		{"prerequisites accepted", script{failed: 1}, Options{Apply: apply.Options{Accept: []string{"failed-checks"}}},
			"cpt", Test, nil},
		{"checks failed meanwhile", script{changes: 1, objections: 1}, Options{Confirm: yes}, "cpr", Plan,
			apply.ErrNotAccepted},
		{"checks failed meanwhile, accepted", script{changes: 1, objections: 1},
			Options{Confirm: yes, Apply: apply.Options{Accept: []string{"failed-checks"}}}, "cprat", Test, nil},
		{"recheck broken", script{changes: 1, errs: map[ID]error{"recheck": broken}}, Options{Confirm: yes}, "cpr",
			Plan,
			broken},
		{"check broken", script{errs: map[ID]error{Check: broken}}, Options{}, "c", Check, broken},
		{"plan broken", script{errs: map[ID]error{Plan: broken}}, Options{}, "cp", Plan, broken},
		{"apply broken", script{changes: 1, errs: map[ID]error{Apply: broken}}, Options{Confirm: yes}, "cpra", Apply,
			broken},
		{"test broken", script{errs: map[ID]error{Test: broken}}, Options{}, "cpt", Test, broken},
	} {
		t.Run(test.name, func(t *testing.T) {
			out, err := Run(t.Context(), &test.engine, test.options, observe.Func(func(observe.Event) {}))
			if !errors.Is(err, test.err) || out.Reached != test.reached || test.engine.calls != test.calls {
				t.Errorf("calls %s, reached %s, %v; want %s, %s, %v", test.engine.calls, out.Reached, err, test.calls,
					test.reached, test.err)
			}
			if (out.Check != nil) != (test.calls != "") || (out.Apply != nil) != (test.reached == Apply ||
				test.calls == "cprat") {
				t.Errorf("what was reached is not in the outcome: %+v", out)
			}
		})
	}
}

// What the caller wants of apply and test reaches them.
func TestRunPassesOptions(t *testing.T) {
	o := Options{
		Apply: apply.Options{StateDir: "state", Wait: time.Minute}, Test: deployment.TestOptions{From: "a@x",
			UntilOK: time.Hour},
		Confirm: func(change.Plan) (bool, error) { return true, nil },
	}
	s := &script{changes: 1}
	if _, err := Run(t.Context(), s, o, observe.Func(func(observe.Event) {})); err != nil ||
		s.given.Apply.StateDir != "state" || s.given.Apply.Wait != time.Minute || s.given.Test != o.Test {
		t.Errorf("%+v, %v", s.given, err)
	}
}
