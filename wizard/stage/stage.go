// Package stage is what the wizard needs of a deployment, and Run, which runs the same stages
// unattended. It draws nothing.
package stage

import (
	"context"
	"errors"
	"slices"

	"github.com/hybridge-cli/hybridge/pkg/engine/apply"
	"github.com/hybridge-cli/hybridge/pkg/engine/change"
	"github.com/hybridge-cli/hybridge/pkg/engine/check"
	"github.com/hybridge-cli/hybridge/pkg/engine/msg"
	"github.com/hybridge-cli/hybridge/pkg/engine/observe"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/deployment"
)

// Engine is an opened deployment; *deployment.Deployment is one.
type Engine interface {
	// Try signs in by one access. The answers need not be complete.
	Try(ctx context.Context, at deployment.Access, obs observe.Observer) ([]msg.Text, error)
	// Discover proposes answers. It needs a domain and an account per forest.
	Discover(ctx context.Context, obs observe.Observer) (deployment.Found, error)
	Check(ctx context.Context, obs observe.Observer) (check.Report, error)
	// CheckAgain runs one check again.
	CheckAgain(ctx context.Context, id check.ID, obs observe.Observer) (check.Report, error)
	Plan(ctx context.Context, obs observe.Observer) (change.Plan, error)
	// Recheck runs the checks that the changes of a plan depend on.
	Recheck(ctx context.Context, p change.Plan, obs observe.Observer) (check.Report, error)
	Apply(ctx context.Context, p change.Plan, o apply.Options, obs observe.Observer) (apply.Report, error)
	Test(ctx context.Context, o deployment.TestOptions, obs observe.Observer) (deployment.TestReport, error)
	// PreviewRollback says what Rollback would do. An empty run is the newest.
	PreviewRollback(ctx context.Context, run string, o apply.Options, obs observe.Observer) (apply.Undo, error)
	Rollback(ctx context.Context, run string, o apply.Options, obs observe.Observer) (apply.Report, error)
	Close(ctx context.Context) error
}

var _ Engine = (*deployment.Deployment)(nil)

// ID names a stage by the verb that does the same.
type ID string

// The stages.
const (
	Check ID = "check"
	Plan  ID = "plan"
	Apply ID = "apply"
	Test  ID = "test"
)

// Options for Run.
type Options struct {
	Apply apply.Options
	Test  deployment.TestOptions
	// Confirm is called before anything is changed. When it is nil, nothing is changed, and Run
	// ends after a plan with changes.
	Confirm func(change.Plan) (bool, error)
}

// Outcome is what the stages returned; those that were not reached are nil.
type Outcome struct {
	Reached ID
	Check   *check.Report
	Recheck *check.Report // before changes were made
	Plan    *change.Plan
	Apply   *apply.Report
	Test    *deployment.TestReport
}

// ErrPrerequisites says that prerequisites failed, ErrUnconfirmed that changes were not agreed to.
var (
	ErrPrerequisites = errors.New("prerequisites are not met")
	ErrUnconfirmed   = errors.New("changes are pending and were not agreed to")
)

// Run walks the stages from Check on and stops at the first that does not succeed. Failed checks
// stop it without the consent to them (apply.AcceptFailedChecks). The outcome holds what was
// reached, also with an error.
func Run(ctx context.Context, e Engine, o Options, obs observe.Observer) (Outcome, error) {
	out := Outcome{Reached: Check}
	checked, err := e.Check(ctx, obs)
	out.Check = &checked
	if err != nil {
		return out, err
	}
	if checked.Summary.Fail > 0 && !slices.Contains(o.Apply.Accept, apply.AcceptFailedChecks) {
		return out, ErrPrerequisites
	}
	out.Reached = Plan
	plan, err := e.Plan(ctx, obs)
	if err != nil {
		return out, err
	}
	out.Plan = &plan
	if len(plan.Changes) > 0 {
		agreed := false
		if o.Confirm != nil {
			if agreed, err = o.Confirm(plan); err != nil {
				return out, err
			}
		}
		if !agreed {
			return out, ErrUnconfirmed
		}
		again, err := e.Recheck(ctx, plan, obs)
		out.Recheck = &again
		if err == nil {
			err = deployment.Unaccepted(again, o.Apply.Accept)
		}
		if err != nil {
			return out, err
		}
		out.Reached = Apply
		applied, err := e.Apply(ctx, plan, o.Apply, obs)
		out.Apply = &applied
		if err != nil {
			return out, err
		}
	}
	out.Reached = Test
	tested, err := e.Test(ctx, o.Test, obs)
	out.Test = &tested
	return out, err
}
