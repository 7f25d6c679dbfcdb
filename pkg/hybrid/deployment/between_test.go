package deployment

import (
	"context"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/hybridge-cli/hybridge/pkg/config/answers"
	"github.com/hybridge-cli/hybridge/pkg/engine/apply"
	"github.com/hybridge-cli/hybridge/pkg/engine/change"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/freebusy"
	"github.com/hybridge-cli/hybridge/pkg/lab"
)

// openBetween opens a lab whose forests ask each other.
func openBetween(t *testing.T, forests int, also func(*answers.Answers), faults ...string) *Deployment {
	t.Helper()
	l, err := lab.Start(t.Context(), lab.Options{Dir: t.TempDir(), Users: 12, Forests: forests, Between: true,
		Faults: faults})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	a, err := answers.Load(t.Context(), l.Answers())
	if err != nil {
		t.Fatal(err)
	}
	a.Features = []answers.Feature{answers.FreeBusy}
	if also != nil {
		also(&a)
	}
	d, err := Open(a, Options{Dir: filepath.Dir(l.Answers()), StateDir: t.TempDir(), Version: "test"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = d.Close(context.WithoutCancel(t.Context())) })
	return d
}

// between keeps the answers about lookups between forests.
func between(matrix []freebusy.Answer) (out []freebusy.Answer) {
	for _, a := range matrix {
		if !strings.Contains(a.Direction, "online") {
			out = append(out, a)
		}
	}
	return out
}

// TestBetweenForests: forests that ask each other do not see calendars before the apply, and see
// them after it. A second plan is empty, and a rollback takes the way away.
func TestBetweenForests(t *testing.T) {
	d := openBetween(t, 3, nil)
	checked, err := d.Check(t.Context(), &events{})
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range checked.Results {
		if r.Status == "fail" || r.Status == "error" || r.Status == "warn" && strings.HasPrefix(string(r.ID), "lookups.") {
			t.Errorf("%s %s %s: %s", r.ID, r.Scope, r.Status, r.Summary)
		}
	}
	before, err := d.Test(t.Context(), TestOptions{}, &events{})
	if err != nil {
		t.Fatal(err)
	}
	asked := between(before.Matrix)
	if len(asked) != 6 {
		t.Fatalf("%d lookups between three forests: %v", len(asked), asked)
	}
	for _, a := range asked {
		if a.Status != freebusy.Failed {
			t.Errorf("before: %s %s: %s", a.Direction, a.Status, a.Error)
		}
	}
	p, err := d.Plan(t.Context(), &events{})
	if err != nil {
		t.Fatal(err)
	}
	at := slices.IndexFunc(p.Changes, func(c change.Change) bool {
		return c.ID == "onprem/contoso/AvailabilityAddressSpace/fabrikam.example"
	})
	if at < 0 || !slices.Contains(p.Changes[at].Needs, "onprem/fabrikam/AvailabilityConfig/lookups") {
		t.Fatalf("%d: %v", at, p.Changes)
	}
	if _, err := d.Apply(t.Context(), p, apply.Options{}, &events{}); err != nil {
		t.Fatal(err)
	}
	if again, err := d.Plan(t.Context(), &events{}); err != nil || len(again.Changes)+len(again.LeftOut) > 0 {
		t.Errorf("not converged: %v %v, %v", slices.Collect(ids(again)), again.LeftOut, err)
	}
	after, err := d.Test(t.Context(), TestOptions{}, &events{})
	if err != nil || after.Summary.Failed+after.Summary.Unknown > 0 {
		t.Errorf("%+v, %v", after.Summary, err)
	}
	for _, a := range between(after.Matrix) {
		if a.Status != freebusy.OK || len(a.Route) < 1 || !strings.HasPrefix(a.Route[0], "availability address space ") {
			t.Errorf("after: %s %s by %v: %s", a.Direction, a.Status, a.Route, a.Error)
		}
	}
	checked, err = d.Check(t.Context(), &events{})
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range checked.Results {
		if r.Status == "fail" || r.Status == "error" {
			t.Errorf("after: %s %s %s: %s", r.ID, r.Scope, r.Status, r.Summary)
		}
	}
	if _, err := d.Rollback(t.Context(), "", apply.Options{Accept: []string{"removals"}}, &events{}); err != nil {
		t.Fatal(err)
	}
	if back, err := d.Plan(t.Context(), &events{}); err != nil || back.Digest != p.Digest {
		t.Errorf("the rollback left %v, %v", slices.Collect(ids(back)), err)
	}
}
