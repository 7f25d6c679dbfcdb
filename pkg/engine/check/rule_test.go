package check

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// Rules change what findings count as. What passed stays, and what could not be seen does.
func TestRules(t *testing.T) {
	failed := func(context.Context, input) Result { return Failed("broken") }
	blind := func(context.Context, input) Result { return Unknown(errors.New("refused")) }
	until := func(date string) *Acknowledgement {
		return &Acknowledgement{Reason: "moves", Owner: "Anna", Expires: date}
	}
	now := time.Date(2027, 1, 31, 23, 59, 0, 0, time.UTC)
	tests := []struct {
		name   string
		checks []Check[input]
		rules  []Rule
		want   []string
	}{
		{"a severity for all", []Check[input]{declare("a.b", PerForest, failed)}, []Rule{{ID: "a.b", Severity: Warn}},
			[]string{"warn a.b contoso: broken", "warn a.b fabrikam: broken"}},
		{"a severity for one forest, and another for the others", []Check[input]{declare("a.b", PerForest, failed)},
			[]Rule{{ID: "a.b", Scope: "fabrikam", Severity: Fail}, {ID: "a.b", Severity: Warn}},
			[]string{"warn a.b contoso: broken", "fail a.b fabrikam: broken"}},
		{"a warning that counts", []Check[input]{{ID: "a.b", Scope: PerTenant, Severity: Warn, Run: failed}},
			[]Rule{{ID: "a.b", Severity: Fail}}, []string{"fail a.b tenant: broken"}},
		{"acknowledged on the last day", []Check[input]{declare("a.b", PerForest, failed)},
			[]Rule{{ID: "a.b", Scope: "contoso", Acknowledgement: until("2027-01-31")}},
			[]string{"acknowledged a.b contoso: broken (active, fail)", "fail a.b fabrikam: broken"}},
		{"expired the day before", []Check[input]{declare("a.b", PerTenant, failed)},
			[]Rule{{ID: "a.b", Acknowledgement: until("2027-01-30")}},
			[]string{"fail a.b tenant: broken (expired, fail)"}},
		{"a severity and an acknowledgement", []Check[input]{declare("a.b", PerTenant, failed)},
			[]Rule{{ID: "a.b", Severity: Warn}, {ID: "a.b", Acknowledgement: until("2027-01-31")}},
			[]string{"acknowledged a.b tenant: broken (active, warn)"}},
		{"nothing to acknowledge", []Check[input]{declare("a.b", PerTenant, pass)},
			[]Rule{{ID: "a.b", Acknowledgement: until("2027-01-31")}}, []string{"pass a.b tenant: fine (unneeded, )"}},
		{"what could not be seen", []Check[input]{declare("a.b", PerTenant, blind)},
			[]Rule{{ID: "a.b", Acknowledgement: until("2027-01-31")}}, []string{"error a.b tenant: refused"}},
		{"what needs it is still skipped",
			[]Check[input]{declare("a.b", PerTenant, failed), declare("a.c", PerTenant, pass, "a.b")},
			[]Rule{{ID: "a.b", Acknowledgement: until("2027-01-31")}},
			[]string{"acknowledged a.b tenant: broken (active, fail)", "skip a.c tenant: needs a.b, which failed"}},
		{"one parameter", []Check[input]{{ID: "a.b", Scope: PerTenant, Run: failed,
			Each: func(input) []Instance[input] { return []Instance[input]{{"mx1", "mx1"}, {"mx2", "mx2"}} }}},
			[]Rule{{ID: "a.b", Scope: "tenant: mx2", Severity: Warn}},
			[]string{"fail a.b tenant: mx1: broken", "warn a.b tenant: mx2: broken"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			r, err := Run(t.Context(), test.checks, scopes(), Options{Rules: test.rules,
				Now: func() time.Time { return now }}, nil)
			if err != nil {
				t.Fatal(err)
			}
			got := told(r)
			for i, result := range r.Results {
				if a := result.Acknowledgement; a != nil {
					got[i] += " (" + string(a.State) + ", " + string(a.Finding) + ")"
				}
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
	if until("soon").expired(now) == false {
		t.Error("a date that cannot be read has not expired")
	}
}

// A report shows failures first, names every acknowledgement, and notes those without a finding.
func TestAcknowledgementsAreShown(t *testing.T) {
	r := Report{Results: []Result{
		{ID: "a.pass", Scope: "contoso", Status: StatusPass,
			Acknowledgement: &Acknowledgement{Reason: "moves", Owner: "Anna", Expires: "2027-01-31", State: Unneeded}},
		{ID: "a.known", Scope: "contoso: mx1", Status: StatusAcknowledged, Acknowledgement: &Acknowledgement{
			Reason: "moves", Owner: "Anna", Expires: "2027-01-31", State: Active, Finding: StatusFail}},
		{ID: "a.skip", Status: StatusSkip}, {ID: "a.warn", Status: StatusWarn}, {ID: "a.error", Status: StatusError},
		{ID: "a.fail", Status: StatusFail, Acknowledgement: &Acknowledgement{Reason: "moved", Owner: "Anna",
			Expires: "2026-01-31", State: Expired, Finding: StatusFail}},
	}}
	r.Summary = Count(r.Results)
	text := strings.Join(viewed(r), "\n")
	want := `  FAIL  a.fail
        acknowledged  the acknowledgement by Anna ended on 2026-01-31: moved
  ERR   a.error
  WARN  a.warn
  ACK   a.known  contoso: mx1
        acknowledged  moves, by Anna until 2027-01-31
  PASS  a.pass  contoso
  SKIP  a.skip

Checks: 1 passed, 1 with a warning, 1 failed, 1 acknowledged, 1 skipped, 1 could not be checked.
note  a.pass (contoso): the check passes: the acknowledgement by Anna (moves) is no longer needed`
	if diff := cmp.Diff(want, text); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if g := r.Results[1].Block().Group; g != "contoso" {
		t.Errorf("the suite of a host is %q", g)
	}
}
