package main

import (
	"bytes"
	"context"
	"encoding/json"
	"strings"
	"testing"

	"github.com/hybridge-cli/hybridge/pkg/config/answers"
	"github.com/hybridge-cli/hybridge/pkg/engine/check"
	"github.com/hybridge-cli/hybridge/pkg/engine/fleet"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/deployment"
)

// Each deployment of a fleet has a state directory of its own. A run that is cut off leaves no report
// of the deployment that it was at: merge names it as missing.
func TestFleetMembersAreApart(t *testing.T) {
	folder, _ := fleetFolder(t, 3)
	for _, cut := range []bool{false, true} {
		ctx, cancel := context.WithCancel(t.Context())
		states := map[string]bool{}
		open := func(a answers.Answers, o deployment.Options) (deployed, error) {
			states[o.StateDir] = true
			if cut && len(states) == 2 {
				cancel()
			}
			return openMember(a, o)
		}
		var out, errs bytes.Buffer
		code := runIn(ctx, []string{"check", "-f", folder, "-o", "json", "--parallel", "1", "--state-dir", t.TempDir()},
			streams{In: strings.NewReader(""), Out: &out, Err: &errs, Env: func(string) string { return "" }}, open)
		cancel()
		// The first document: a run that is cut off ends with one about that.
		var r fleet.Report
		if err := json.NewDecoder(&out).Decode(&r); err != nil {
			t.Fatalf("exit %d, %v: %s", code, err, errs.String())
		}
		want, opened := 3, 3
		if cut {
			want, opened = 1, 2
		}
		if len(r.Deployments) != want || len(states) != opened || cut != (code == exitCancelled) {
			t.Errorf("cut %v: exit %d, %d reports, state directories %v", cut, code, len(r.Deployments), states)
		}
	}
}

// A member asks nobody, takes no --parallel of the fleet, reports to its own
// receivers, and stops no other when it panics.
func TestFleetMembers(t *testing.T) {
	folder, _ := fleetFolder(t, 3)
	opened := 0
	var members []*scripted
	open := func(_ answers.Answers, o deployment.Options) (deployed, error) {
		if o.Prompt != nil || o.Parallel != 0 {
			t.Errorf("%+v", o)
		}
		if opened++; opened == 2 {
			panic("a bug")
		}
		s := &scripted{check: checked(check.Result{ID: "a.b", Status: check.StatusPass})}
		members = append(members, s)
		return s, nil
	}
	var out, errs bytes.Buffer
	home := t.TempDir()
	code := runIn(t.Context(), []string{"check", "-f", folder, "-o", "json", "--parallel", "1"},
		streams{In: strings.NewReader(""), Out: &out, Err: &errs, InTTY: true, ErrTTY: true, Env: func(name string) string {
			return map[string]string{"HOME": home, "LocalAppData": home}[name]
		}}, open)
	var r fleet.Report
	if err := json.NewDecoder(&out).Decode(&r); err != nil || code != exitInconclusive || len(r.Deployments) != 3 ||
		r.Summary.Fine != 2 || r.Summary.Unknown != 1 {
		t.Errorf("exit %d, %v: %+v %s", code, err, r.Summary, errs.String())
	}
	for _, s := range members {
		if len(s.noticed) != 1 {
			t.Errorf("%d notices", len(s.noticed))
		}
	}
}

func TestFleetCode(t *testing.T) {
	for _, test := range []struct {
		r    fleet.Report
		want int
	}{
		{fleet.Report{}, exitFine},
		{fleet.Report{Summary: fleet.Summary{Pending: 1}}, exitPending},
		{fleet.Report{Summary: fleet.Summary{Failed: 1, Pending: 1}}, exitFailed},
		{fleet.Report{Summary: fleet.Summary{Failed: 1, Unknown: 1}}, exitInconclusive},
		{fleet.Report{Summary: fleet.Summary{Pending: 1, Missing: 1}}, exitInconclusive},
		{fleet.Report{Unreadable: []fleet.Unreadable{{File: "x"}}}, exitInconclusive},
	} {
		if got := fleetCode(test.r); got != test.want {
			t.Errorf("%+v: exit %d, want %d", test.r.Summary, got, test.want)
		}
	}
}
