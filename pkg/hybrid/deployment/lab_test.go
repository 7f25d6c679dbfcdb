package deployment

import (
	"encoding/json"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hybridge-cli/hybridge/pkg/config/answers"
	"github.com/hybridge-cli/hybridge/pkg/engine/apply"
	"github.com/hybridge-cli/hybridge/pkg/engine/change"
	"github.com/hybridge-cli/hybridge/pkg/engine/check"
	"github.com/hybridge-cli/hybridge/pkg/engine/observe"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/freebusy"
	"github.com/hybridge-cli/hybridge/pkg/lab"
)

// open starts a lab with faults and opens the deployment of its answers.
func open(t *testing.T, faults ...string) *Deployment {
	t.Helper()
	return openAt(t, nil, faults...)
}

// openAt is open with one clock for both: the lab's retirement of EWS, and hybridge's dates.
func openAt(t *testing.T, today func() time.Time, faults ...string) *Deployment {
	t.Helper()
	l, err := lab.Start(t.Context(), lab.Options{Dir: t.TempDir(), Users: 20, Faults: faults, Today: today})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return openIn(t, l.Answers(), today)
}

// openIn opens the deployment of the answers of a lab that runs: as another process does.
func openIn(t *testing.T, file string, today func() time.Time) *Deployment {
	t.Helper()
	a, err := answers.Load(t.Context(), file)
	if err != nil {
		t.Fatal(err)
	}
	d, err := Open(a, Options{Dir: filepath.Dir(file), StateDir: t.TempDir(), Version: "test", Now: today})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := d.Close(t.Context()); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return d
}

// events records what an observer receives. It has no lock: an observer needs none.
type events struct{ heard []observe.Event }

func (e *events) Observe(event observe.Event) { e.heard = append(e.heard, event) }

func (e *events) warnings() (out []string) {
	for _, event := range e.heard {
		if w, ok := event.(observe.Warning); ok {
			out = append(out, w.Text)
		}
	}
	return out
}

// found returns the findings of a report: the checks that failed, and those that are unknown.
func found(r check.Report) (failed, unknown []string) {
	for _, result := range r.Results {
		switch result.Status {
		case check.StatusFail:
			failed = append(failed, string(result.ID))
		case check.StatusError:
			unknown = append(unknown, string(result.ID)+": "+result.Summary.String())
		}
	}
	slices.Sort(failed)
	return slices.Compact(failed), unknown
}

func TestCheck(t *testing.T) {
	d := open(t)
	var heard events
	r, err := d.Check(t.Context(), &heard)
	if err != nil {
		t.Fatal(err)
	}
	failed, unknown := found(r)
	if len(failed)+len(unknown) > 0 {
		for _, result := range r.Results {
			t.Logf("%s %s (%s): %s", result.Status, result.ID, result.Scope, result.Summary.String())
		}
		t.Errorf("a lab without faults: failed %v, unknown %v", failed, unknown)
	}
}

// Every fault turns the checks that cover it, and no other: not even to a warning.
func TestFaultsTurnTheirChecks(t *testing.T) {
	for _, fault := range lab.Faults() {
		if len(fault.Turns) == 0 {
			continue // only lookups detect it
		}
		t.Run(fault.ID, func(t *testing.T) {
			r, err := open(t, fault.ID).Check(t.Context(), &events{})
			if err != nil {
				t.Fatal(err)
			}
			verdict := fault.Verdict
			if verdict == "" {
				verdict = lab.Fails
			}
			turned := map[lab.CheckID]bool{}
			for _, result := range r.Results {
				id := lab.CheckID(result.ID)
				switch {
				case slices.Contains(fault.Turns, id) && string(result.Status) == string(verdict):
					turned[id] = true
				case slices.Contains(fault.May, id):
				case result.Status == check.StatusWarn && expectedWarning(result.ID, lab.Wizard):
					// faults of mail flow begin with that state
				case result.Status != check.StatusPass &&
					result.Status != check.StatusSkip, len(result.MissingRights) > 0:
					t.Errorf("%s %s (%s): %s", result.Status, result.ID, result.Scope, result.Summary)
				}
			}
			for _, id := range fault.Turns {
				if !turned[id] {
					t.Errorf("%s does not say %s", id, verdict)
				}
			}
		})
	}
}

// The main loop: an applied plan leaves nothing to plan. Rollback restores the state before it.
func TestPlanApplyRollback(t *testing.T) {
	d := open(t)
	var heard events
	plan := func() change.Plan {
		t.Helper()
		p, err := d.Plan(t.Context(), &heard)
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	first := plan()
	if first.Summary.Create == 0 {
		t.Fatalf("first plan: %+v", first.Summary)
	}
	again := plan()
	a, _ := json.Marshal(first)
	b, _ := json.Marshal(again)
	if diff := cmp.Diff(string(a), string(b)); diff != "" {
		t.Errorf("two plans of the same state differ:\n%s", diff)
	}
	r, err := d.Apply(t.Context(), first, apply.Options{}, &heard)
	if err != nil {
		for _, c := range r.Changes {
			t.Logf("%s %s: %s", c.Status, c.ID, c.Error)
		}
		t.Fatal(err)
	}
	if p := plan(); len(p.Changes) != 0 {
		for _, c := range p.Changes {
			t.Errorf("not converged: %s %s %v -> %v", c.Action, c.ID, c.Before, c.After)
		}
	}
	if r, err = d.Rollback(t.Context(), "", apply.Options{Accept: []string{apply.AcceptRemovals}}, &heard); err != nil {
		for _, c := range r.Changes {
			t.Logf("%s %s: %s", c.Status, c.ID, c.Error)
		}
		t.Fatal(err)
	}
	after := plan()
	if diff := cmp.Diff(slices.Collect(ids(first)), slices.Collect(ids(after))); diff != "" {
		t.Errorf("the plan after the rollback differs from the first:\n%s", diff)
	}
	for _, w := range heard.warnings() {
		t.Logf("warning: %s", w)
	}
}

func ids(p change.Plan) func(func(string) bool) {
	return func(yield func(string) bool) {
		for _, c := range p.Changes {
			if !yield(string(c.Action) + " " + c.ID) {
				return
			}
		}
	}
}

func TestScripts(t *testing.T) {
	d := open(t)
	p, err := d.Plan(t.Context(), &events{})
	if err != nil {
		t.Fatal(err)
	}
	scripts, err := d.Scripts(t.Context(), p)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, s := range scripts {
		names = append(names, s.Name)
		if strings.Contains(string(s.Content), "Assert-Place -Organization '' ") {
			t.Errorf("%s does not say which organization it is for", s.Name)
		}
	}
	want := []string{"01-entra.ps1", "02-online.ps1", "03-onprem-contoso.ps1", "03-onprem-fabrikam.ps1",
		"04-online.ps1"}
	for i := range want {
		want = append(want, RollbackFolder+"/"+want[len(want)-1-2*i])
	}
	if diff := cmp.Diff(want, names); diff != "" {
		t.Error(diff)
	}
}

// A wrong password is tried once, is reported in one sentence, and stops the plan.
func TestWrongPassword(t *testing.T) {
	d := open(t)
	for i := range d.answers.Forests {
		d.answers.Forests[i].Exchange.Credential.User = "nobody@" + d.answers.Forests[i].Domains[0]
	}
	d.forests = nil
	d.connect()
	_, err := d.Plan(t.Context(), &events{})
	if err == nil || !strings.Contains(err.Error(), "nobody@") {
		t.Errorf("error = %v", err)
	}
	t.Log(err)
}

// The retirement of EWS in Exchange Online, on the days around it. Lookups use EWS until it ends,
// and Graph from then on. Lookups that used EWS the day before work again once the new plan is
// applied. Everything works on each day, the demo included.
func TestRetirementOfEWS(t *testing.T) {
	for _, day := range []struct {
		date   time.Time
		graph  bool
		status check.Status
	}{
		{time.Date(2027, 3, 31, 23, 59, 59, 0, time.UTC), false, check.StatusWarn},
		{time.Date(2027, 4, 1, 0, 0, 0, 0, time.UTC), true, check.StatusPass},
		{time.Date(2027, 10, 1, 12, 0, 0, 0, time.UTC), true, check.StatusPass},
	} {
		t.Run(day.date.Format(time.DateOnly), func(t *testing.T) {
			d := openAt(t, func() time.Time { return day.date })
			run := func(graph bool, status check.Status) {
				t.Helper()
				r, err := d.Check(t.Context(), &events{})
				if err != nil {
					t.Fatal(err)
				}
				for _, result := range r.Results {
					if result.ID == "tenant.ews-switch" && result.Status != status {
						t.Errorf("%s %s: %s", result.Status, result.ID, result.Summary.String())
					}
				}
				p, err := d.Plan(t.Context(), &events{})
				if err != nil {
					t.Fatal(err)
				}
				if got := slices.ContainsFunc(p.Changes,
					func(c change.Change) bool { return c.Kind == "AuthServerGraphRoute" }); got != graph {
					t.Errorf("plan with the Graph route: %v", got)
				}
				if _, err := d.Apply(t.Context(), p, apply.Options{}, &events{}); err != nil {
					t.Fatal(err)
				}
				found, err := d.Test(t.Context(), TestOptions{}, &events{})
				if err != nil || found.Summary.OK == 0 || found.Summary.Failed+found.Summary.Unknown > 0 {
					t.Errorf("lookups: %+v, error %v", found, err)
				}
				if again, err := d.Plan(t.Context(), &events{}); err != nil || len(again.Changes) > 0 {
					t.Errorf("something is left to plan, error %v", err)
				}
			}
			run(day.graph, day.status)
			if day.graph {
				return
			}
			day.date = time.Date(2027, 4, 1, 0, 0, 0, 0, time.UTC)
			found, err := d.Test(t.Context(), TestOptions{}, &events{})
			if err != nil {
				t.Fatal(err)
			}
			for _, a := range found.Matrix {
				toTenant := strings.HasSuffix(a.Direction, "-> online") && !strings.HasPrefix(a.Direction, "online")
				if a.Status == freebusy.OK == toTenant {
					t.Errorf("the day after, %s is %s: %s", a.Direction, a.Status, a.Error)
				}
			}
			run(true, check.StatusPass)
		})
	}
}

// Without Exchange Online in the answers, checks of the tenant are not applicable, and the others
// run.
func TestCheckWithoutExchangeOnline(t *testing.T) {
	d := open(t)
	a := d.answers
	a.ExchangeOnline = nil
	alone, err := Open(a, Options{Dir: d.options.Dir, StateDir: t.TempDir(), Version: "test"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = alone.Close(t.Context()) })
	r, err := alone.Check(t.Context(), &events{})
	if err != nil {
		t.Fatal(err)
	}
	skipped := 0
	for _, result := range r.Results {
		switch {
		case result.Status == check.StatusError, result.Status == check.StatusFail, len(result.MissingRights) > 0:
			// The coexistence domain is in every forest of the lab. Without its tenant it is an
			// ordinary domain.
			if result.ID != "domains.authoritative" {
				t.Errorf("%s %s (%s): %s", result.Status, result.ID, result.Scope, result.Summary)
			}
		case result.Status == check.StatusSkip:
			skipped++
			switch result.Summary.String() {
			case "Exchange Online is not configured in the answers file":
			case "nothing to check in contoso", "nothing to check in fabrikam": // no Edge servers
			default:
				t.Errorf("%s (%s) is skipped: %s", result.ID, result.Scope, result.Summary)
			}
		}
	}
	if skipped < 8 {
		t.Errorf("%d skipped: %+v", skipped, r.Summary)
	}
}
