package deployment

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hybridge-cli/hybridge/pkg/config/answers"
	"github.com/hybridge-cli/hybridge/pkg/engine/apply"
	"github.com/hybridge-cli/hybridge/pkg/engine/change"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/freebusy"
	"github.com/hybridge-cli/hybridge/pkg/lab"
)

// openClouds opens the deployment of a lab with these clouds.
func openClouds(t *testing.T, forests int, clouds ...string) *Deployment {
	t.Helper()
	l, err := lab.Start(t.Context(), lab.Options{Dir: t.TempDir(), Users: 20, Forests: forests, Clouds: clouds})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	a, err := answers.Load(t.Context(), l.Answers())
	if err != nil {
		t.Fatal(err)
	}
	d, err := Open(a, Options{Dir: filepath.Dir(l.Answers()), StateDir: t.TempDir(), Version: "test"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = d.Close(t.Context()) })
	return d
}

func changed(p change.Plan) []string {
	var out []string
	for _, c := range p.Changes {
		out = append(out, c.ID)
	}
	slices.Sort(out)
	return out
}

func directions(r freebusy.Report) []string {
	var out []string
	for _, a := range r.Matrix {
		out = append(out, a.Direction+" "+a.Probe+" "+string(a.Status))
	}
	return out
}

// TestWorkMailWithoutTenant goes from red to green in both directions, converges, and goes back.
func TestWorkMailWithoutTenant(t *testing.T) {
	d := openClouds(t, 1, lab.WorkMail)
	ctx := t.Context()
	report, err := d.Check(ctx, &events{})
	if err != nil {
		t.Fatal(err)
	}
	if failed, unknown := found(report); len(failed)+len(unknown) > 0 {
		t.Errorf("a healthy lab: %v, %v", failed, unknown)
	}
	before, err := d.Test(ctx, TestOptions{}, &events{})
	if err != nil {
		t.Fatal(err)
	}
	if before.Summary.Failed < 2 {
		t.Errorf("before: %v", directions(before))
	}
	plan, err := d.Plan(ctx, &events{})
	if err != nil {
		t.Fatal(err)
	}
	moved := "carla.conti@contoso.example"
	if diff := cmp.Diff([]string{"onprem/contoso/AvailabilityAddressSpace/contoso.awsapps.com",
		"workmail/AvailabilityConfiguration/contoso.example", "workmail/WorkMailUser/" + moved},
		changed(plan)); diff != "" {
		t.Fatal(diff)
	}
	if len(plan.LeftOut) > 0 {
		t.Errorf("left out: %+v", plan.LeftOut)
	}
	done, err := d.Apply(ctx, plan, apply.Options{}, &events{})
	if err != nil {
		t.Fatalf("%v: %+v", err, done)
	}
	after, err := d.Test(ctx, TestOptions{UntilOK: 10 * time.Second}, &events{})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"contoso -> workmail ews ok", "contoso -> workmail ews-workmail ok",
		"workmail -> contoso ews ok", "workmail -> contoso ews-exchange ok",
		"workmail -> contoso test-availability ok"},
		directions(after)); diff != "" {
		for _, a := range after.Matrix {
			t.Log(a.Probe, a.Error, a.Note, a.Route)
		}
		t.Error(diff)
	}
	for _, a := range after.Matrix {
		if a.Note != "" {
			t.Errorf("%s %s: %s", a.Direction, a.Probe, a.Note)
		}
	}
	again, err := d.Plan(ctx, &events{})
	if err != nil || len(again.Changes)+len(again.LeftOut) > 0 {
		t.Errorf("again: %v, %+v, %v", changed(again), again.LeftOut, err)
	}
	report, err = d.Check(ctx, &events{})
	if err != nil {
		t.Fatal(err)
	}
	if failed, unknown := found(report); len(failed)+len(unknown) > 0 {
		t.Errorf("after the apply: %v, %v", failed, unknown)
	}
	undone, err := d.Rollback(ctx, done.RunID, apply.Options{}, &events{})
	if err != nil {
		t.Fatalf("%v: %+v", err, undone)
	}
	plan, err = d.Plan(ctx, &events{})
	if err != nil || len(plan.Changes) != 2 { // the registration of a user is not undone
		t.Errorf("after the rollback: %v, %v", changed(plan), err)
	}
	for _, id := range changed(plan) {
		if strings.Contains(id, "WorkMailUser") {
			t.Errorf("the rollback deregistered a user: %s", id)
		}
	}
}
