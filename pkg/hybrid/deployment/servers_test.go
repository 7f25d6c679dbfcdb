package deployment

import (
	"slices"
	"testing"

	"github.com/hybridge-cli/hybridge/pkg/engine/apply"
	"github.com/hybridge-cli/hybridge/pkg/engine/check"
	"github.com/hybridge-cli/hybridge/pkg/lab"
)

// twoServers starts a lab whose forests have two Exchange servers each, and opens its deployment.
func twoServers(t *testing.T, o lab.Options) (*lab.Lab, *Deployment) {
	t.Helper()
	o.Dir, o.Users, o.Servers = t.TempDir(), 20, 2
	l, err := lab.Start(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return l, openIn(t, l.Answers(), nil)
}

// TestHealthyServers: a lab with two Exchange servers per forest gives no finding, whatever is set up.
func TestHealthyServers(t *testing.T) {
	for _, state := range lab.States() {
		t.Run(state.ID, func(t *testing.T) {
			_, d := twoServers(t, lab.Options{State: state.ID})
			r, err := d.Check(t.Context(), &events{})
			if err != nil {
				t.Fatal(err)
			}
			for _, result := range r.Results {
				if expectedWarning(result.ID, state.ID) && result.Status == check.StatusWarn {
					continue
				}
				if result.Status != check.StatusPass && result.Status != check.StatusSkip || len(result.MissingRights) > 0 {
					t.Errorf("%s %s (%s): %s", result.Status, result.ID, result.Scope, result.Summary)
				}
			}
			if len(r.Results) < 120 {
				t.Errorf("%d results", len(r.Results))
			}
		})
	}
}

// TestServersConverge: with two servers per forest an applied plan leaves nothing to plan, no check
// finds a fault, lookups and mail work, and a rollback leads back.
func TestServersConverge(t *testing.T) {
	for _, state := range []string{lab.Clean, lab.Wizard} {
		t.Run(state, func(t *testing.T) {
			_, d := twoServers(t, lab.Options{State: state})
			first, err := d.Plan(t.Context(), &events{})
			if err != nil || len(first.Changes) == 0 || len(first.LeftOut) > 0 {
				t.Fatal(len(first.Changes), first.LeftOut, err)
			}
			if r, err := d.Apply(t.Context(), first, apply.Options{}, &events{}); err != nil {
				t.Fatalf("%v: %+v", err, r)
			}
			if p, err := d.Plan(t.Context(), &events{}); err != nil || len(p.Changes)+len(p.LeftOut) > 0 {
				t.Errorf("then: %v, %v, %v", slices.Collect(ids(p)), p.LeftOut, err)
			}
			r, err := d.Check(t.Context(), &events{})
			if err != nil {
				t.Fatal(err)
			}
			for _, result := range r.Results {
				if result.Status != check.StatusPass && result.Status != check.StatusSkip &&
					!(expectedWarning(result.ID, lab.Wizard) && result.Status == check.StatusWarn) {
					t.Errorf("%s %s (%s): %s", result.Status, result.ID, result.Scope, result.Summary)
				}
			}
			for _, o := range []TestOptions{{Message: true}, {}, {Message: true}} { // the load balancer takes turns
				r, err := d.Test(t.Context(), o, &events{})
				if err != nil || r.Summary.Failed+r.Summary.Unknown+r.Summary.Pending > 0 || r.Summary.OK == 0 {
					t.Errorf("messages %v: %+v, %v", o.Message, r.Summary, err)
					for _, a := range r.Matrix {
						t.Logf("%+v", a)
					}
				}
			}
			if undone, err := d.Rollback(t.Context(), "", apply.Options{Accept: []string{apply.AcceptRemovals}},
				&events{}); err != nil {
				t.Fatalf("%v: %+v", err, undone)
			}
			again, err := d.Plan(t.Context(), &events{})
			if err != nil || !slices.Equal(slices.Collect(ids(first)), slices.Collect(ids(again))) {
				t.Errorf("after the rollback: %v, %v", slices.Collect(ids(again)), err)
			}
		})
	}
}
