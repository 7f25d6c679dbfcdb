// Package deployment is one opened deployment: the answers and the connections they lead to, made when first needed. The verbs and the
// wizard call it and nothing below it.
package deployment

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/hybridge-cli/hybridge/pkg/config/answers"
	"github.com/hybridge-cli/hybridge/pkg/config/secret"
	"github.com/hybridge-cli/hybridge/pkg/engine/apply"
	"github.com/hybridge-cli/hybridge/pkg/engine/change"
	"github.com/hybridge-cli/hybridge/pkg/engine/check"
	"github.com/hybridge-cli/hybridge/pkg/engine/observe"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/freebusy"
)

// Options for Open.
type Options struct {
	Dir      string // paths in the answers are relative to it
	StateDir string
	Parallel int      // connections at once across forests and hosts; 4 when 0
	Only     []string // globs of check ids (Check) or change ids (Plan)
	Skip     []string
	Timeout  time.Duration // of one remote call; 30 s when 0
	Version  string
	Log      *slog.Logger
	// Prompt asks a person for a secret (the "prompt" reference, the device code); nil when nobody is there.
	Prompt func(ctx context.Context, label string) (secret.Value, error)
	// Say shows a person a message that needs an act of theirs (the device code); nil when nobody is there.
	Say func(text string)
}

// Deployment is safe for one verb at a time.
type Deployment struct {
	answers answers.Answers
	options Options
}

// TestOptions say which lookups to ask, and for how long.
type TestOptions struct {
	From, To string        // restrict the pairs
	UntilOK  time.Duration // go on until every lookup is ok, or until this has passed
}

// Open prepares a deployment; nothing is connected to yet.
func Open(a answers.Answers, o Options) (*Deployment, error) {
	return &Deployment{answers: a, options: o}, nil
}

// Close ends every session.
func (d *Deployment) Close(ctx context.Context) error { return nil }

var errUnbuilt = errors.New("not built yet")

// Check runs the prerequisite checks.
func (d *Deployment) Check(ctx context.Context, obs observe.Observer) (check.Report, error) {
	return check.Report{}, errUnbuilt
}

// Plan compares what should be with what is.
func (d *Deployment) Plan(ctx context.Context, obs observe.Observer) (change.Plan, error) {
	return change.Plan{}, errUnbuilt
}

// Apply carries out a plan; ErrStale when the live state is no longer what the plan was made from.
func (d *Deployment) Apply(ctx context.Context, p change.Plan, o apply.Options, obs observe.Observer) (apply.Report, error) {
	return apply.Report{}, errUnbuilt
}

// Rollback undoes a run; the newest when runID is empty.
func (d *Deployment) Rollback(ctx context.Context, runID string, o apply.Options, obs observe.Observer) (apply.Report, error) {
	return apply.Report{}, errUnbuilt
}

// Test asks every free/busy pair from both sides.
func (d *Deployment) Test(ctx context.Context, o TestOptions, obs observe.Observer) (freebusy.Report, error) {
	return freebusy.Report{}, errUnbuilt
}
