package deployment

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hybridge-cli/hybridge/pkg/engine/apply"
	"github.com/hybridge-cli/hybridge/pkg/engine/change"
	"github.com/hybridge-cli/hybridge/pkg/engine/check"
	"github.com/hybridge-cli/hybridge/pkg/engine/observe"
	"github.com/hybridge-cli/hybridge/pkg/estate/workmail"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/desired"
	"github.com/hybridge-cli/hybridge/pkg/lab"
)

const newOrganization = "workmail/WorkMailOrganization/contoso"

// openWithout opens the deployment of a lab whose account has no organization in WorkMail.
func openWithout(t *testing.T) (*lab.Lab, *Deployment) {
	t.Helper()
	var l *lab.Lab
	d := openLabAs(t, lab.Options{Forests: 1, Faults: []string{"workmail.no-organization"}}, &l)
	return l, d
}

func planOf(t *testing.T, d *Deployment) change.Plan {
	t.Helper()
	p, err := d.Plan(t.Context(), &events{})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func organizations(t *testing.T, d *Deployment) []workmail.Organization {
	t.Helper()
	api, err := d.workMail.get(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	named, err := api.Named(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return named
}

// TestCreateOrganization goes from an account without an organization to free/busy in both
// directions, and back.
func TestCreateOrganization(t *testing.T) {
	_, d := openWithout(t)
	ctx := t.Context()
	report, err := d.Check(ctx, &events{})
	if err != nil {
		t.Fatal(err)
	}
	if failed, unknown := found(report); !slices.Equal(failed, []string{"workmail.organization"}) || len(unknown) > 0 {
		t.Errorf("%v, %v", failed, unknown)
	}
	plan := planOf(t, d)
	if diff := cmp.Diff([]string{newOrganization}, changed(plan)); diff != "" {
		t.Fatal(diff)
	}
	for _, topic := range []string{"workmail-domains", "workmail-users", "workmail-lookups"} {
		if !slices.ContainsFunc(plan.LeftOut, func(l change.LeftOut) bool { return l.Topic == topic && l.Err == nil }) {
			t.Errorf("%s does not wait: %+v", topic, plan.LeftOut)
		}
	}
	if len(plan.Notes) != 1 || !strings.Contains(plan.Notes[0].Text.String(), "days") {
		t.Errorf("notes: %+v", plan.Notes)
	}
	var refused *apply.NotAccepted
	_, err = d.Apply(ctx, plan, apply.Options{Accept: []string{apply.AcceptRemovals}}, &events{})
	if !errors.As(err, &refused) || refused.ID != desired.AcceptEndOfSupport ||
		!strings.Contains(err.Error(), "ends on 2027-03-31; days left: ") || len(organizations(t, d)) > 0 {
		t.Fatalf("without the consent: %v", err)
	}
	if r, err := d.Recheck(ctx, plan, &events{}); err != nil || len(Objections(r)) > 0 {
		t.Errorf("objections: %v, %+v", err, Objections(r))
	}
	accept := apply.Options{Accept: []string{desired.AcceptEndOfSupport}}
	created, err := d.Apply(ctx, plan, accept, &events{})
	if err != nil {
		t.Fatalf("%v: %+v", err, created)
	}
	if all := organizations(t, d); len(all) != 1 || all[0].State != "Active" {
		t.Fatalf("%+v", all)
	}
	api, err := d.workMail.get(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if o, err := api.Organization(ctx); err != nil || !o.Interoperability || o.DirectoryID != "d-906781cc3a" {
		t.Errorf("%+v, %v", o, err)
	}
	if again, err := d.Apply(ctx, plan, accept, &events{}); !errors.Is(err, apply.ErrStale) {
		t.Errorf("the same plan again: %v, %+v", err, again)
	}

	plan = planOf(t, d)
	if kinds := kindsOf(plan); !slices.Equal(kinds, []string{"AvailabilityAddressSpace", "AvailabilityConfiguration",
		"WorkMailUser"}) || len(plan.LeftOut) > 0 {
		t.Errorf("second plan: %v, %+v", changed(plan), plan.LeftOut)
	}
	if _, err := d.Apply(ctx, plan, apply.Options{}, &events{}); err != nil {
		t.Fatal(err)
	}
	after, err := d.Test(ctx, TestOptions{UntilOK: 10 * time.Second}, &events{})
	if err != nil || after.Summary.Failed+after.Summary.Unknown > 0 || after.Summary.OK < 5 {
		t.Errorf("%v, %v", directions(after), err)
	}
	if left := planOf(t, d); len(left.Changes)+len(left.LeftOut) > 0 || left.Summary.Unchanged < 4 {
		t.Errorf("left: %v, %+v, %+v", changed(left), left.LeftOut, left.Summary)
	}
	report, err = d.Check(ctx, &events{})
	if err != nil {
		t.Fatal(err)
	}
	if failed, unknown := found(report); len(failed)+len(unknown) > 0 {
		t.Errorf("after: %v, %v", failed, unknown)
	}
	for _, r := range report.Results {
		if r.ID == "hybrid.work-mail-organization" && r.Status != check.StatusPass {
			t.Errorf("%s: %s", r.Status, r.Summary)
		}
	}

	// Users have mailboxes there: the organization stays even with the consent.
	_, err = d.Rollback(ctx, created.RunID, apply.Options{Accept: []string{desired.AcceptDeleteOrganization}},
		&events{})
	if err == nil || !strings.Contains(err.Error(), "enabled users") || organizations(t, d)[0].State != "Active" {
		t.Errorf("rollback of an organization in use: %v", err)
	}
}

func kindsOf(p change.Plan) []string {
	var out []string
	for _, c := range p.Changes {
		if !slices.Contains(out, c.Kind) {
			out = append(out, c.Kind)
		}
	}
	slices.Sort(out)
	return out
}

// TestCreatedOrganizationGoes rolls a creation back, which needs a consent of its own, and creates
// another organization then: the client token of the first one does not count for it.
func TestCreatedOrganizationGoes(t *testing.T) {
	_, d := openWithout(t)
	ctx := t.Context()
	accept := apply.Options{Accept: []string{desired.AcceptEndOfSupport}}
	first := planOf(t, d)
	if _, err := d.Apply(ctx, first, accept, &events{}); err != nil {
		t.Fatal(err)
	}
	var refused *apply.NotAccepted
	_, err := d.Rollback(ctx, "", apply.Options{}, &events{})
	if !errors.As(err, &refused) || refused.ID != desired.AcceptDeleteOrganization ||
		organizations(t, d)[0].State != "Active" {
		t.Fatalf("without the consent: %v", err)
	}
	if _, err = d.Rollback(ctx, "", apply.Options{Accept: []string{desired.AcceptDeleteOrganization}},
		&events{}); err != nil {
		t.Fatal(err)
	}
	if all := organizations(t, d); len(all) != 1 || !all[0].Gone() {
		t.Fatalf("%+v", all)
	}
	second := planOf(t, d)
	if diff := cmp.Diff(changed(first), changed(second)); diff != "" {
		t.Fatal(diff)
	}
	if first.Changes[0].After["ClientToken"] == second.Changes[0].After["ClientToken"] {
		t.Error("two organizations have one client token")
	}
	if _, err := d.Apply(ctx, second, accept, &events{}); err != nil {
		t.Fatal(err)
	}
	if all := organizations(t, d); len(all) != 2 || all[1].State != "Active" || all[0].ID == all[1].ID {
		t.Errorf("%+v", all)
	}
}

// cutWaiting ends a context when a run waits for what it wrote.
type cutWaiting context.CancelFunc

func (c cutWaiting) Observe(e observe.Event) {
	if _, waits := e.(observe.Waiting); waits {
		c()
	}
}

// TestCreateOrganizationInterrupted cancels the run while AWS makes the organization: plans wait
// for it meanwhile, and the same plan goes on. The request is sent twice, and makes one.
func TestCreateOrganizationInterrupted(t *testing.T) {
	_, d := openWithout(t)
	accept := apply.Options{Accept: []string{desired.AcceptEndOfSupport}}
	plan := planOf(t, d)
	ctx, cancel := context.WithCancel(t.Context())
	_, err := d.Apply(ctx, plan, accept, cutWaiting(cancel))
	cancel()
	if err == nil || len(organizations(t, d)) != 1 {
		t.Fatal("the run was not cut off in its middle")
	}
	if waits := planOf(t, d); len(waits.Changes) > 0 || len(waits.LeftOut) == 0 {
		t.Errorf("while it is made: %v", changed(waits))
	}
	if r, err := d.Apply(t.Context(), plan, accept, &events{}); err != nil {
		t.Fatalf("%v: %+v", err, r)
	}
	if all := organizations(t, d); len(all) != 1 || all[0].State != "Active" {
		t.Errorf("%+v", all)
	}
	api, err := d.workMail.get(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := api.Run(t.Context(), "CreateOrganization", plan.Changes[0].Command.Parameters); err != nil {
			t.Error(err)
		}
	}
	if all := organizations(t, d); len(all) != 1 {
		t.Errorf("%+v", all)
	}
}

// TestNoNewCustomers says in one sentence that AWS takes none.
func TestNoNewCustomers(t *testing.T) {
	l, d := openWithout(t)
	l.CloseWorkMail()
	plan := planOf(t, d)
	_, err := d.Apply(t.Context(), plan, apply.Options{Accept: []string{desired.AcceptEndOfSupport}}, &events{})
	if !errors.Is(err, apply.ErrPartial) || !strings.Contains(err.Error(), "no new customers of WorkMail since 2026-04-30") {
		t.Errorf("%v", err)
	}
	if again := planOf(t, d); !slices.Equal(changed(again), changed(plan)) {
		t.Errorf("again: %v", changed(again))
	}
}
