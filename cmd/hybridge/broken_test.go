package main

import (
	"context"
	"os"

	"github.com/hybridge-cli/hybridge/pkg/config/answers"
	"github.com/hybridge-cli/hybridge/pkg/engine/apply"
	"github.com/hybridge-cli/hybridge/pkg/engine/change"
	"github.com/hybridge-cli/hybridge/pkg/engine/check"
	"github.com/hybridge-cli/hybridge/pkg/engine/observe"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/deployment"
)

// mainBroken is the program over a deployment whose work panics: check on the main goroutine, plan
// and apply on those that read and write a place.
func mainBroken() {
	os.Exit(run(os.Args[1:], systemStreams(), func(_ answers.Answers, o deployment.Options) (deployed, error) {
		return &brokenDeployment{state: o.StateDir}, nil
	}))
}

type brokenDeployment struct {
	scripted
	state  string
	writes bool // the plan is made: from now on, reading works and writing panics
}

func (d *brokenDeployment) Check(context.Context, observe.Observer) (check.Report, error) {
	panic("a nil map")
}

func (d *brokenDeployment) Plan(ctx context.Context, obs observe.Observer) (change.Plan, error) {
	d.writes = os.Getenv("BREAK") == "write"
	return change.Make(ctx, d.places(), []change.Resource{{Kind: d.kind(), Target: "online", Key: "a", Name: "a",
		Properties: change.Properties{"Key": "a"}}}, change.Options{Observer: obs})
}

func (d *brokenDeployment) Apply(
	ctx context.Context, p change.Plan, o apply.Options, obs observe.Observer,
) (apply.Report, error) {
	return apply.Run(ctx, d.places(), map[string]*change.Kind{"Thing": d.kind()}, p, o, obs)
}

func (d *brokenDeployment) kind() *change.Kind {
	return brokenSystem.Declare(change.Kind{Noun: "Thing", Properties: thingKind.Properties},
		change.Ops[*brokenDeployment]{
			Read: func(context.Context, *brokenDeployment) ([]change.Live, error) {
				if d.writes {
					return nil, nil
				}
				panic("an index out of range")
			},
			Create: func(string, change.Properties) (change.Command, error) {
				return change.Command{Name: "New-Thing"},
					nil
			},
		})
}

var brokenSystem = &change.System[*brokenDeployment, *brokenDeployment]{
	Reading: func(d *brokenDeployment) *brokenDeployment { return d },
	Family:  change.Family{ID: "broken"},
	Run: func(context.Context, *brokenDeployment, change.Command) (change.Properties, error) {
		panic("a nil pointer")
	},
}

func (d *brokenDeployment) places() map[string]change.Place {
	open := func(context.Context) (*brokenDeployment, error) { return d, nil }
	return map[string]change.Place{"online": change.NewPlace("online", brokenSystem, open, nil)}
}
