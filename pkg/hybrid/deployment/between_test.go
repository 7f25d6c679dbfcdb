package deployment

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/hybridge-cli/hybridge/pkg/config/answers"
	"github.com/hybridge-cli/hybridge/pkg/engine/apply"
	"github.com/hybridge-cli/hybridge/pkg/engine/change"
	"github.com/hybridge-cli/hybridge/pkg/estate/exchange"
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
		if r.Status == "fail" || r.Status == "error" || r.Status == "warn" &&
			strings.HasPrefix(string(r.ID), "lookups.") {
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
		if a.Status != freebusy.OK || len(a.Route) < 1 ||
			!strings.HasPrefix(a.Route[0], "availability address space ") {
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

// TestLookupsOfSinglePeople: with access perUser and an account, the asked forest accepts it as its
// per-user account.
func TestLookupsOfSinglePeople(t *testing.T) {
	d := openBetween(t, 2, func(a *answers.Answers) {
		for i := range a.Forests {
			a.Forests[i].Lookups.Access = answers.AccessPerUser
		}
	})
	p, err := d.Plan(t.Context(), &events{})
	if err != nil {
		t.Fatal(err)
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
	if session, err := d.forests[1].exchange.get(t.Context()); err != nil {
		t.Error(err)
	} else if found, err := session.Run(t.Context(), exchange.Command{Name: "Get-AvailabilityConfig"}); err != nil ||
		len(found) != 1 {
		t.Error(found, err)
	} else if account, _ := found[0].String("PerUserAccount"); account != "fabrikam.example/Users/svc-lookups" {
		t.Errorf("accepts %q", account)
	}
}

// TestRelationshipsBetweenForests: a relationship needs a federation trust on both sides.
func TestRelationshipsBetweenForests(t *testing.T) {
	d := openBetween(t, 2, func(a *answers.Answers) {
		for i := range a.Forests {
			a.Forests[i].Lookups = &answers.Lookups{Access: answers.AccessRelationship}
		}
	})
	p, err := d.Plan(t.Context(), &events{})
	if err != nil {
		t.Fatal(err)
	}
	left := 0
	for _, l := range p.LeftOut {
		if l.Topic == "between-forests" && strings.Contains(l.Reason.String(), "has no federation trust") {
			left++
		}
	}
	if left != 2 {
		t.Errorf("left out: %v", p.LeftOut)
	}
}

// TestHandMadeAddressSpace: an address space of an administrator is replaced where it leads another
// way, and never doubled. One that leads the same way stays.
func TestHandMadeAddressSpace(t *testing.T) {
	for name, c := range map[string]struct {
		parameters map[string]any
		action     change.Action // none when empty
	}{
		"the same": {map[string]any{"AccessMethod": "OrgWideFB", "Credentials": exchange.Credential{
			User: `fabrikam\svc-lookups`}}, ""},
		"another account": {map[string]any{"AccessMethod": "OrgWideFB", "Credentials": exchange.Credential{
			User: `fabrikam\old`}}, change.Recreate},
		"another way": {map[string]any{"AccessMethod": "PublicFolder"}, change.Recreate},
	} {
		t.Run(name, func(t *testing.T) {
			d := openBetween(t, 2, nil)
			session, err := d.forests[0].exchange.get(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			c.parameters["ForestName"] = "Fabrikam.example"
			add := exchange.Command{Name: "Add-AvailabilityAddressSpace", Parameters: c.parameters}
			if _, err := session.Run(t.Context(), add); err != nil {
				t.Fatal(err)
			}
			p, err := d.Plan(t.Context(), &events{})
			if err != nil {
				t.Fatal(err)
			}
			found := change.Action("")
			for _, c := range p.Changes {
				if c.Target == "onprem/contoso" && c.Kind == "AvailabilityAddressSpace" &&
					!strings.Contains(c.Name, "onmicrosoft") {
					found = c.Action
				}
			}
			if found != c.action {
				t.Errorf("%q is planned, want %q", found, c.action)
			}
		})
	}
}

// TestScriptsBetweenForests: a script reads the password of the account when it runs, and holds the
// reference alone.
func TestScriptsBetweenForests(t *testing.T) {
	d := openBetween(t, 2, nil)
	p, err := d.Plan(t.Context(), &events{})
	if err != nil {
		t.Fatal(err)
	}
	scripts, err := d.Scripts(t.Context(), p)
	if err != nil {
		t.Fatal(err)
	}
	password, err := os.ReadFile(filepath.Join(d.options.Dir, "secrets", "fabrikam-svc-lookups"))
	if err != nil {
		t.Fatal(err)
	}
	asks := 0
	for _, s := range scripts {
		text := string(s.Content)
		if strings.Contains(text, strings.TrimSpace(string(password))) {
			t.Errorf("%s holds the password", s.Name)
		}
		if strings.Contains(text, "Add-AvailabilityAddressSpace @") &&
			strings.Contains(text, `'fabrikam\svc-lookups'`) &&
			strings.Contains(text, "PSCredential") && strings.Contains(text, "fabrikam-svc-lookups") {
			asks++
		}
	}
	if asks == 0 {
		t.Error("no script signs in by reference")
	}
}

// TestLookupsLeave: where a forest takes no lookups any more, the address spaces that hybridge made
// for it are removed with consent.
func TestLookupsLeave(t *testing.T) {
	d := openBetween(t, 3, nil)
	v := verbs{t, d}
	first, _ := v.plan()
	v.apply(first)
	d.answers.Forests[1].Lookups = nil
	p, _ := v.plan()
	want := []string{"delete onprem/adatum/AvailabilityAddressSpace/fabrikam.example",
		"delete onprem/contoso/AvailabilityAddressSpace/fabrikam.example"}
	got := slices.Sorted(ids(p))
	if !slices.Equal(got, want) || p.Summary.Delete != 2 {
		t.Fatalf("planned: %v", got)
	}
	v.apply(p, apply.AcceptRemovals)
	if again, _ := v.plan(); len(again.Changes) > 0 {
		t.Errorf("not converged: %v", slices.Collect(ids(again)))
	}
}
