package main

import (
	"context"
	"errors"

	"github.com/spf13/cobra"

	"github.com/hybridge-cli/hybridge/pkg/engine/apply"
	"github.com/hybridge-cli/hybridge/pkg/engine/change"
	"github.com/hybridge-cli/hybridge/pkg/engine/check"
	"github.com/hybridge-cli/hybridge/pkg/engine/msg"
	"github.com/hybridge-cli/hybridge/pkg/engine/report"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/deployment"
	"github.com/hybridge-cli/hybridge/wizard/stage"
)

// runDocument is what a run of all stages writes with -o json. Stages that were not reached are
// absent.
type runDocument struct {
	APIVersion string                 `json:"apiVersion"` // hybridge/v1
	Kind       string                 `json:"kind"`       // RunReport
	About      report.About           `json:"about,omitzero"`
	Reached    stage.ID               `json:"reached"`
	Check      *check.Report          `json:"check,omitempty"`
	Plan       *change.Plan           `json:"plan,omitempty"`
	Apply      *apply.Report          `json:"apply,omitempty"`
	Test       *deployment.TestReport `json:"test,omitempty"`
}

// Of returns the document with the run that it is of.
func (d runDocument) Of(a report.About) report.Document {
	d.About = a
	return d
}

// View shows the stages that were reached, one after the other.
func (d runDocument) View() report.View {
	v := report.View{Name: "run", Title: msg.Of("Run"), About: d.About}
	add := func(d report.Document) { v.Blocks = append(v.Blocks, report.Section{View: d.View()}) }
	if d.Check != nil && d.Check.Kind != "" {
		add(*d.Check)
	}
	if d.Plan != nil {
		add(*d.Plan)
	}
	if d.Apply != nil && d.Apply.Kind != "" {
		add(*d.Apply)
	}
	if d.Test != nil && d.Test.Kind != "" {
		add(*d.Test)
	}
	return v
}

// newUnattendedRun is the root command without a terminal: all stages in plain lines.
func newUnattendedRun(a app) *cobra.Command {
	return a.verb(&cobra.Command{}, measured|report.Events, runUnattended)
}

func runUnattended(ctx context.Context, t *task, _ []string) error {
	if err := t.open(ctx); err != nil {
		return err
	}
	o := stage.Options{Apply: t.applyOptions(applyOptions{})}
	if t.yes {
		o.Confirm = func(change.Plan) (bool, error) { return true, nil }
	}
	out, err := stage.Run(ctx, t.deployed, o, t.obs)
	d := runDocument{
		APIVersion: report.APIVersion, Kind: "RunReport", Reached: out.Reached,
		Check: out.Check, Plan: out.Plan, Apply: out.Apply, Test: out.Test,
	}
	reportErr := t.write(d)
	switch {
	case errors.Is(err, stage.ErrPrerequisites):
		code, hint := classify(ctx, err)
		if c := resultCode(*out.Check); c != exitFine {
			code = c
		}
		return &exitError{code: code, err: err, hint: hint}
	case errors.Is(err, apply.ErrNotAccepted) && out.Recheck != nil:
		return t.unaccepted(*out.Recheck, err)
	case errors.Is(err, stage.ErrUnconfirmed):
		return &exitError{code: exitUsage, err: err, hint: "review them with hybridge plan, then confirm with --yes"}
	case err != nil:
		return err
	case reportErr != nil:
		return reportErr
	case ctx.Err() != nil:
		return context.Cause(ctx)
	}
	return quietly(resultCode(d))
}
