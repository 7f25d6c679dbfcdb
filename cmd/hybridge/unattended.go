package main

import (
	"context"
	"errors"
	"io"

	"github.com/spf13/cobra"

	"github.com/hybridge-cli/hybridge/pkg/engine/apply"
	"github.com/hybridge-cli/hybridge/pkg/engine/change"
	"github.com/hybridge-cli/hybridge/pkg/engine/check"
	"github.com/hybridge-cli/hybridge/pkg/engine/report"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/freebusy"
	"github.com/hybridge-cli/hybridge/wizard/stage"
)

// runDocument is what a run of all stages writes with -o json. Stages that were not reached are absent.
type runDocument struct {
	APIVersion string           `json:"apiVersion"` // hybridge/v1
	Kind       string           `json:"kind"`       // RunReport
	Reached    stage.ID         `json:"reached"`
	Check      *check.Report    `json:"check,omitempty"`
	Plan       *change.Plan     `json:"plan,omitempty"`
	Apply      *apply.Report    `json:"apply,omitempty"`
	Test       *freebusy.Report `json:"test,omitempty"`
}

// runUnattended walks all stages in plain lines: the wizard's way, with nobody watching.
func runUnattended(cmd *cobra.Command, a app) (err error) {
	ctx := cmd.Context()
	r, err := begin(a, "text", "json", "jsonl")
	if err != nil {
		return err
	}
	defer r.close(&err)
	if err := r.open(ctx); err != nil {
		return err
	}
	o := stage.Options{Apply: r.applyOptions(applyOptions{})}
	if a.yes {
		o.Confirm = func(change.Plan) (bool, error) { return true, nil }
	}
	out, err := stage.Run(ctx, r.deployed, o, r.obs)
	document := runDocument{APIVersion: "hybridge/v1", Kind: "RunReport", Reached: out.Reached, Check: out.Check, Plan: out.Plan, Apply: out.Apply, Test: out.Test}
	reportErr := r.finish(document, func(t *report.Text) {
		if out.Check != nil && out.Check.Kind != "" {
			t.Checks(*out.Check)
		}
		if out.Plan != nil {
			t.Plan(*out.Plan)
		}
		if out.Apply != nil && out.Apply.Kind != "" {
			t.Apply(*out.Apply)
		}
		if out.Test != nil && out.Test.Kind != "" {
			t.Matrix(lookups(*out.Test))
		}
	}, func(io.Writer) error { return nil })
	switch {
	case errors.Is(err, stage.ErrPrerequisites):
		code, hint := classify(ctx, err)
		if c := checkCode(*out.Check); c != exitFine {
			code = c
		}
		return &exitError{code: code, err: err, hint: hint}
	case errors.Is(err, stage.ErrUnconfirmed):
		return &exitError{code: exitUsage, err: err, hint: "look at them with hybridge plan, then agree with --yes"}
	case err != nil:
		return err
	case reportErr != nil:
		return reportErr
	case ctx.Err() != nil:
		return context.Cause(ctx)
	}
	if code := testCode(*out.Test); code != exitFine {
		return quietly(code)
	}
	// What could not be looked at did not stop the run, but it is not fine either.
	return quietly(checkCode(*out.Check))
}
