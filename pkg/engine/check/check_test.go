package check

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hybridge-cli/hybridge/pkg/engine/msg"
	"github.com/hybridge-cli/hybridge/pkg/engine/observe"
	"github.com/hybridge-cli/hybridge/pkg/engine/selection"
)

// input is what the checks of these tests read from: the name of their scope instance.
type input string

// The scopes of these tests.
const (
	PerForest       ScopeID = "forest"
	PerTenant       ScopeID = "tenant"
	PerOrganization ScopeID = "organization"
)

func scopes() []Scope[input] {
	return []Scope[input]{
		{ID: PerForest, Instances: []Instance[input]{{"contoso", "contoso"}, {"fabrikam", "fabrikam"}}},
		{ID: PerTenant, Instances: []Instance[input]{{"tenant", "tenant"}}},
		{ID: PerOrganization, Instances: []Instance[input]{{"organization", "organization"}}},
		{ID: "elsewhere", Absent: msg.Of("nothing is elsewhere")},
	}
}

func declare(id ID, scope ScopeID, run func(context.Context, input) Result, needs ...ID) Check[input] {
	return Check[input]{ID: id, Title: string(id), Scope: scope, Needs: needs, Run: run}
}

func pass(context.Context, input) Result { return Pass("fine") }

// told renders one result per line, for comparison in tests.
func told(r Report) []string {
	var lines []string
	for _, r := range r.Results {
		lines = append(lines, fmt.Sprintf("%s %s %s: %s", r.Status, r.ID, r.Scope, r.Summary))
	}
	return lines
}

func TestRun(t *testing.T) {
	boom := errors.New("boom")
	failsIn := func(where input) func(context.Context, input) Result {
		return func(_ context.Context, in input) Result {
			if in == where {
				return Failed("broken in %s", in)
			}
			return Pass("fine")
		}
	}
	tests := []struct {
		name    string
		checks  []Check[input]
		options Options
		want    []string
		summary Summary
	}{
		{
			name: "results stand in the order of declaration, then of scopes",
			checks: []Check[input]{
				declare("b.late", PerForest, pass, "a.early"), declare("a.early", PerForest, pass),
				declare("c.tenant", PerTenant, pass),
			},
			want: []string{
				"pass b.late contoso: fine", "pass b.late fabrikam: fine", "pass a.early contoso: fine",
				"pass a.early fabrikam: fine", "pass c.tenant tenant: fine",
			},
			summary: Summary{Pass: 5},
		},
		{
			name: "a failure skips what needs it, in its own forest only, and on",
			checks: []Check[input]{
				declare("a.one", PerForest, failsIn("contoso")), declare("a.two", PerForest, pass, "a.one"),
				declare("a.three", PerForest, pass, "a.two"),
			},
			want: []string{
				"fail a.one contoso: broken in contoso", "pass a.one fabrikam: fine",
				"skip a.two contoso: needs a.one, which failed", "pass a.two fabrikam: fine",
				"skip a.three contoso: needs a.two, which was skipped", "pass a.three fabrikam: fine",
			},
			summary: Summary{Pass: 3, Fail: 1, Skip: 2},
		},
		{
			name: "needs across scopes",
			checks: []Check[input]{
				declare("a.forest", PerForest, failsIn("fabrikam")),
				declare("a.all", PerOrganization, pass, "a.forest"),
				declare("b.org", PerOrganization, func(context.Context, input) Result { return Unknown(boom) }),
				declare("b.forest", PerForest, pass, "b.org"),
			},
			want: []string{
				"pass a.forest contoso: fine", "fail a.forest fabrikam: broken in fabrikam",
				"skip a.all organization: needs a.forest, which failed for fabrikam",
				"error b.org organization: boom",
				"skip b.forest contoso: needs b.org, which could not be checked for organization",
				"skip b.forest fabrikam: needs b.org, which could not be checked for organization",
			},
			summary: Summary{Pass: 1, Fail: 1, Skip: 3, Error: 1},
		},
		{
			name: "neither a warning nor what does not apply stops others",
			checks: []Check[input]{
				{ID: "a.warn", Scope: PerTenant, Severity: Warn,
					Run: func(context.Context, input) Result { return Failed("so so") }},
				declare("a.na", PerTenant, func(context.Context, input) Result { return NotApplicable("no tenant") }),
				declare("a.next", PerTenant, pass, "a.warn", "a.na"),
			},
			want:    []string{"warn a.warn tenant: so so", "skip a.na tenant: no tenant", "pass a.next tenant: fine"},
			summary: Summary{Pass: 1, Warn: 1, Skip: 1},
		},
		{
			name: "a panic is one check's error",
			checks: []Check[input]{
				declare("a.panics", PerTenant, func(context.Context, input) Result { panic("no such luck") }),
				declare("a.empty", PerTenant, func(context.Context, input) Result { return Result{} }),
				declare("a.next", PerTenant, pass),
			},
			want: []string{
				"error a.panics tenant: check a.panics broke off (no such luck); this is a bug in hybridge",
				"error a.empty tenant: check a.empty returned no result; this is a bug in hybridge",
				"pass a.next tenant: fine",
			},
			summary: Summary{Pass: 1, Error: 2},
		},
		{
			name: "a scope without an instance makes its checks not applicable, and stops no other",
			checks: []Check[input]{
				declare("a.away", "elsewhere", func(context.Context, input) Result { panic("there is nothing") }),
				declare("a.next", PerTenant, pass, "a.away"),
			},
			want:    []string{"skip a.away elsewhere: nothing is elsewhere", "pass a.next tenant: fine"},
			summary: Summary{Pass: 1, Skip: 1},
		},
		{
			name: "a missing right to read skips the check that needs it, where it is missing, and no other",
			checks: []Check[input]{
				reading(declare("a.one", PerForest, pass), right{"contoso", "Get-A"}, right{"contoso", "Get-B"},
					right{"contoso", "Get-A"}),
				declare("a.two", PerForest, pass, "a.one"),
				reading(declare("a.three", PerForest, pass), right{"", ""}),
			},
			want: []string{
				"skip a.one contoso: a right to read is missing: Get-A in contoso, Get-B in contoso",
				"pass a.one fabrikam: fine",
				"pass a.two contoso: fine", "pass a.two fabrikam: fine", "pass a.three contoso: fine",
				"pass a.three fabrikam: fine",
			},
			summary: Summary{Pass: 5, Skip: 1},
		},
		{
			name: "one declaration with parameters is one instance per parameter",
			checks: []Check[input]{
				{ID: "a.hosts", Scope: PerForest, Run: failsIn("contoso mail"), Each: hosts},
				declare("a.next", PerForest, pass, "a.hosts"),
			},
			want: []string{
				"fail a.hosts contoso: mail: broken in contoso mail", "pass a.hosts contoso: web: fine",
				"skip a.hosts fabrikam: nothing to check in fabrikam",
				"skip a.next contoso: needs a.hosts, which failed", "pass a.next fabrikam: fine",
			},
			summary: Summary{Pass: 2, Fail: 1, Skip: 2},
		},
		{
			name: "a need that is not selected counts as met",
			checks: []Check[input]{declare("a.one", PerTenant, failsIn("tenant")),
				declare("a.two", PerTenant, pass, "a.one"), declare("b.three", PerTenant, pass)},
			options: Options{Only: []string{"a.*"}, Skip: []string{"*.one"}},
			want:    []string{"pass a.two tenant: fine"},
			summary: Summary{Pass: 1},
		},
		{
			name: "instances that wait for each other end, with one at a time too",
			checks: []Check[input]{
				declare("o.first", PerOrganization, pass, "f.mid"), declare("f.mid", PerForest, pass, "o.last"),
				declare("o.last", PerOrganization, pass, "t.root"), declare("t.root", PerTenant, pass),
			},
			options: Options{Parallel: 1},
			want: []string{
				"pass o.first organization: fine", "pass f.mid contoso: fine", "pass f.mid fabrikam: fine",
				"pass o.last organization: fine", "pass t.root tenant: fine",
			},
			summary: Summary{Pass: 5},
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			var seen []string
			report, err := Run(t.Context(), test.checks, scopes(), test.options, observe.Func(func(e observe.Event) {
				if r, is := e.(Result); is {
					seen = append(seen, string(r.ID)+" "+r.Scope)
				}
			}))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, told(report)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(test.summary, report.Summary); diff != "" {
				t.Errorf("summary (-want +got):\n%s", diff)
			}
			slices.Sort(seen)
			if unique := slices.Compact(slices.Clone(seen)); len(unique) != len(report.Results) ||
				len(seen) != len(unique) {
				t.Errorf("the observer saw %v", seen)
			}
		})
	}
}

// right is a right that is missing in one place.
type right struct {
	in   input
	name string
}

func (r right) Missing(_ context.Context, in input) []msg.Text {
	if in != r.in {
		return nil
	}
	return []msg.Text{msg.Of("%s in %s", r.name, string(in))}
}

func reading(c Check[input], rights ...right) Check[input] {
	for _, r := range rights {
		c.Reads = append(c.Reads, r)
	}
	return c
}

// hosts are two hosts of contoso.
func hosts(in input) []Instance[input] {
	if in != "contoso" {
		return nil
	}
	return []Instance[input]{{"mail", in + " mail"}, {"web", in + " web"}}
}

func TestResult(t *testing.T) {
	shared := Failed("%d users", 3).With("count", 3)
	first := shared.With("first", "a")
	_ = shared.With("first", "b")
	if first.Evidence["first"] != "a" || len(shared.Evidence) != 1 {
		t.Errorf("results share evidence: %v, %v", shared.Evidence, first.Evidence)
	}
	report, err := Run(t.Context(), []Check[input]{
		declare("a.x", PerTenant, func(context.Context, input) Result {
			return Failed("broken").Because("it matters").Fix("mend it").FixWith("mend --now")
		}),
		declare("a.y", PerTenant, func(context.Context, input) Result { return Warned("odd") }),
		declare("a.z", PerTenant, pass),
	}, scopes(), Options{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	want := []Remedy{{Text: msg.Of("mend it"), Commands: []string{"mend --now"}, Docs: "hybridge help a.x"},
		{Docs: "hybridge help a.y"}, {}}
	for i, r := range report.Results {
		if diff := cmp.Diff(want[i], r.Remedy); diff != "" {
			t.Errorf("%s: %s", r.ID, diff)
		}
	}
	if r := report.Results[0]; r.Category != "a" || r.Attempts != 1 || r.Detail.String() != "it matters" {
		t.Errorf("%+v", r)
	}
}

func TestRetry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var calls, waits int
		c := declare("a.slow", PerTenant, func(context.Context, input) Result {
			if calls++; calls < 4 {
				return Unknown(errors.New("not yet"))
			}
			return Pass("at last")
		})
		c.Retry = Retry{Every: 5 * time.Second, For: time.Minute}
		never := declare("a.never", PerTenant, func(context.Context, input) Result { return Failed("no") })
		never.Retry = Retry{Every: 5 * time.Second, For: 12 * time.Second}
		begun := time.Now()
		report, err := Run(t.Context(), []Check[input]{c, never}, scopes(), Options{},
			observe.Func(func(e observe.Event) {
				if w, is := e.(observe.Waiting); is && w.ID == "a.slow" {
					waits++
					if w.What != "not yet" || !w.Until.Equal(begun.Add(time.Minute)) {
						t.Errorf("waits for %+v", w)
					}
				}
			}))
		if err != nil {
			t.Fatal(err)
		}
		if r := report.Results[0]; r.Status != StatusPass || r.Attempts != 4 || waits != 3 || r.DurationMS != 15000 {
			t.Errorf("%+v after %d waits", r, waits)
		}
		if r := report.Results[1]; r.Status != StatusFail || r.Attempts != 3 {
			t.Errorf("%+v", r)
		}
	})
}

func TestTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		heeds := declare("a.heeds", PerTenant,
			func(ctx context.Context, _ input) Result { <-ctx.Done(); return Unknown(ctx.Err()) })
		heeds.Timeout = time.Second
		release := make(chan struct{})
		deaf := declare("a.deaf", PerTenant,
			func(context.Context, input) Result { <-release; return Pass("much later") })
		begun := time.Now()
		report, err := Run(t.Context(), []Check[input]{heeds, deaf, declare("a.next", PerTenant, pass)}, scopes(),
			Options{}, nil)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range report.Results[:2] {
			if r.Status != StatusError || !errors.Is(r.Cause, context.DeadlineExceeded) {
				t.Errorf("%+v", r)
			}
		}
		if took := time.Since(begun); took != time.Second+DefaultTimeout+grace ||
			report.Results[2].Status != StatusPass {
			t.Errorf("took %s: %v", took, told(report))
		}
		close(release)
	})
}

func TestCancel(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	report, err := Run(ctx, []Check[input]{
		declare("a.first", PerTenant, pass),
		declare("a.second", PerTenant,
			func(ctx context.Context, _ input) Result { cancel(); return Unknown(ctx.Err()) }),
		declare("a.third", PerTenant, pass),
		declare("a.fourth", PerTenant, pass, "a.third"),
	}, scopes(), Options{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"pass a.first tenant: fine", "skip a.second tenant: cancelled", "skip a.third tenant: cancelled",
		"skip a.fourth tenant: needs a.third, which was skipped"}
	if diff := cmp.Diff(want, told(report)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestParallel(t *testing.T) {
	// Two forests meet in the middle: with one at a time they never would.
	var inside atomic.Int32
	both := make(chan struct{})
	meet := func(ctx context.Context, in input) Result {
		if inside.Add(1) == 2 {
			close(both)
		}
		select {
		case <-both:
			return Pass("met")
		case <-ctx.Done():
			return Unknown(ctx.Err())
		}
	}
	report, err := Run(t.Context(), []Check[input]{declare("a.meet", PerForest, meet)}, scopes(), Options{Parallel: 2},
		nil)
	if err != nil || report.Summary.Pass != 2 {
		t.Errorf("%v, %v", told(report), err)
	}
}

func TestValidate(t *testing.T) {
	tests := []struct {
		name   string
		checks []Check[input]
		want   string
	}{
		{"cycle", []Check[input]{declare("x.free", PerTenant, pass), declare("a.1", PerTenant, pass, "a.2"),
			declare("a.2", PerForest, pass, "a.3"), declare("a.3", PerTenant, pass, "a.1")}, "a.1 > a.2 > a.3 > a.1"},
		{"itself", []Check[input]{declare("a.1", PerTenant, pass, "a.1")}, "a.1 > a.1"},
		{"twice", []Check[input]{declare("a.1", PerTenant, pass), declare("a.1", PerForest, pass)},
			"a.1 is declared twice"},
		{"unknown need", []Check[input]{declare("a.1", PerTenant, pass, "a.2")},
			"a.1 needs a.2, which is not declared"},
		{"no category", []Check[input]{declare("a", PerTenant, pass)}, "no category"},
		{"no run", []Check[input]{declare("a.1", PerTenant, nil)}, "no Run"},
		{"no scope", []Check[input]{declare("a.1", "", pass)}, "no scope"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			err := Validate(test.checks)
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, want %q", err, test.want)
			}
			if _, runErr := Run(t.Context(), test.checks, scopes(), Options{}, nil); runErr == nil {
				t.Error("it runs all the same")
			}
		})
	}
	_, err := Run(t.Context(), []Check[input]{declare("a.1", PerTenant, pass)}, scopes(),
		Options{Only: []string{"b.*"}}, nil)
	if !errors.Is(err, selection.ErrUnmatched) {
		t.Errorf("a glob that picks nothing: %v", err)
	}
}
