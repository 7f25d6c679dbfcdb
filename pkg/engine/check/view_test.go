package check

import (
	"context"
	"testing"
	"time"

	"github.com/hybridge-cli/hybridge/pkg/engine/report"
)

// A check that a time limit or a cancel kept from running is marked: it is no verdict.
func TestInterrupted(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Nanosecond)
	defer cancel()
	<-ctx.Done()
	c := declare("a.b", PerOrganization, func(context.Context, input) Result { return Pass("fine") })
	r, err := Run(ctx, []Check[input]{c}, scopes(), Options{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if f := r.Results[0].Block(); !f.Interrupted || f.Status != "skip" {
		t.Errorf("%+v", f)
	}
	for _, finding := range []Result{Failed("x"), Unknown(context.DeadlineExceeded), NotApplicable("x")} {
		if finding.Block().Interrupted {
			t.Errorf("%+v is taken for one that was cut off", finding)
		}
	}
}

// viewed renders a report as text.
func viewed(r Report) []string { return report.Style{}.View(r.View()) }
