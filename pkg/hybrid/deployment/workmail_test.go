package deployment

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hybridge-cli/hybridge/pkg/config/answers"
	"github.com/hybridge-cli/hybridge/pkg/config/secret"
	"github.com/hybridge-cli/hybridge/pkg/engine/apply"
	"github.com/hybridge-cli/hybridge/pkg/engine/change"
	"github.com/hybridge-cli/hybridge/pkg/engine/check"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/freebusy"
	"github.com/hybridge-cli/hybridge/pkg/lab"
)

// openLab starts a lab and opens its deployment.
func openLab(t *testing.T, o lab.Options) *Deployment {
	t.Helper()
	return openLabAs(t, o, new(*lab.Lab))
}

// openLabAs gives the lab, too.
func openLabAs(t *testing.T, o lab.Options, started **lab.Lab) *Deployment {
	t.Helper()
	o.Dir, o.Users = t.TempDir(), 20
	l, err := lab.Start(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	*started = l
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
	d := openLab(t, lab.Options{Forests: 1, Clouds: []string{lab.WorkMail}})
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
	for _, r := range report.Results {
		set := []string{"hybrid.availability-address-space", "hybrid.availability-configuration",
			"hybrid.work-mail-user",
			"workmail.provider"}
		if slices.Contains(set, string(r.ID)) && r.Status != check.StatusPass {
			t.Errorf("%s %s: %s", r.Status, r.ID, r.Summary)
		}
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

// TestWorkMailPassword repairs a stored password that no longer works: WorkMail shows none, and a
// test of the provider tells. After that, nothing is left to plan.
func TestWorkMailPassword(t *testing.T) {
	d := openLab(t, lab.Options{Forests: 1, Clouds: []string{lab.WorkMail}})
	ctx := t.Context()
	apply1 := func() []string {
		t.Helper()
		plan, err := d.Plan(ctx, &events{})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := d.Apply(ctx, plan, apply.Options{}, &events{}); err != nil {
			t.Fatal(err)
		}
		return changed(plan)
	}
	if len(apply1()) != 3 {
		t.Fatal("the first plan")
	}
	api, err := d.workMail.get(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if err := api.Run(ctx, "UpdateAvailabilityConfiguration", map[string]any{"DomainName": "contoso.example",
		"EwsProvider": map[string]any{"EwsEndpoint": "https://mail.contoso.example/EWS/Exchange.asmx",
			"EwsUsername": `contoso\svc-availability`, "EwsPassword": secret.NewValue("old")}}); err != nil {
		t.Fatal(err)
	}
	report, err := d.Check(ctx, &events{})
	if err != nil {
		t.Fatal(err)
	}
	if failed, _ := found(report); !slices.Contains(failed, "workmail.provider") {
		t.Errorf("failed: %v", failed)
	}
	after, err := d.Test(ctx, TestOptions{}, &events{})
	if err != nil || after.Summary.Failed == 0 {
		t.Errorf("%v, %v", directions(after), err)
	}
	if diff := cmp.Diff([]string{"workmail/AvailabilityConfiguration/contoso.example"}, apply1()); diff != "" {
		t.Error(diff)
	}
	if left := apply1(); len(left) > 0 {
		t.Errorf("left: %v", left)
	}
}

// TestBothClouds plans for a tenant and WorkMail at once, and applies until nothing is left.
func TestBothClouds(t *testing.T) {
	d := openLab(t, lab.Options{Forests: 1, Clouds: []string{lab.Online, lab.WorkMail}})
	ctx := t.Context()
	plan, err := d.Plan(ctx, &events{})
	if err != nil || len(plan.LeftOut) > 0 {
		t.Fatalf("%v, %+v", err, plan.LeftOut)
	}
	if _, err := d.Apply(ctx, plan, apply.Options{}, &events{}); err != nil {
		t.Fatal(err)
	}
	again, err := d.Plan(ctx, &events{})
	if err != nil || len(again.Changes) > 0 {
		t.Errorf("again: %v, %v", changed(again), err)
	}
	r, err := d.Test(ctx, TestOptions{UntilOK: 20 * time.Second}, &events{})
	if err != nil || r.Summary.Failed+r.Summary.Unknown > 0 || r.Summary.OK < 8 {
		t.Errorf("%v, %v", directions(r), err)
	}
}
