package main

import (
	"bytes"
	"context"
	"encoding/json"
	"strings"
	"testing"

	"github.com/hybridge-cli/hybridge/pkg/config/answers"
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
