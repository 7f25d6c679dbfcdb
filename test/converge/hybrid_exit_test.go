package converge

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/hybridge-cli/hybridge/pkg/config/answers"
	"github.com/hybridge-cli/hybridge/pkg/engine/change"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/deployment"
	"github.com/hybridge-cli/hybridge/pkg/lab"
)

// exitShape is an organization that leaves hybrid.
type exitShape struct {
	shape
	applied bool // hybridge has set hybrid up on what was there; otherwise what was there leaves
	edge    bool
}

func (s exitShape) String() string {
	return fmt.Sprintf("%s/applied=%v/edge=%v", s.shape, s.applied, s.edge)
}

// exitShapes are those of this run: CONVERGE=all takes every combination.
func exitShapes() []exitShape {
	var out []exitShape
	for i, state := range states {
		for j, applied := range []bool{true, false} {
			for k, forests := range numbers {
				for l, features := range [][]answers.Feature{nil, everything, {answers.FreeBusy}} {
					s := exitShape{shape{state: state, cloud: clouds[(i+k+l)%len(clouds)], forests: forests,
						features: features, between: forests > 1 && l != 1, servers: 1 + (i+k)%2},
						applied, l == 1 && state == lab.Wizard}
					// In the others, every state meets both origins, every number of forests and every set of
					// features.
					if os.Getenv("CONVERGE") == "all" || (i+j+k)%3 == 0 && (j+k+l)%3 == 0 {
						out = append(out, s)
					}
				}
			}
		}
	}
	if testing.Short() {
		return out[:3]
	}
	return out
}

// restorable is of a plan what a rollback restores: not the id of a consent, which Entra gives
// anew, and no sequence within a list.
func restorable(p change.Plan) string {
	var plain func(v any) any
	plain = func(v any) any {
		switch v := v.(type) {
		case []string:
			return slices.Sorted(slices.Values(v))
		case change.Properties:
			out := map[string]any{}
			for name, value := range v {
				out[name] = plain(value)
			}
			return out
		}
		return v
	}
	var b strings.Builder
	for _, c := range p.Changes {
		before := plain(c.Before).(map[string]any)
		if c.Kind == "AppRoleAssignment" {
			delete(before, "id")
		}
		fmt.Fprintf(&b, "%s %s\n\tbefore %v\n\tafter %v\n", c.Action, c.ID, before, plain(c.After))
	}
	for _, l := range p.LeftOut {
		fmt.Fprintf(&b, "left out %s %s: %s\n", l.Topic, l.Place, l.Reason)
	}
	return b.String()
}

// TestLeavingHybridConvergence: from whatever made an organization hybrid, plan and apply lead it
// out, stage by stage. What a stage applied is planned no more, a stage that is rolled back is
// planned as before, and so is every stage when the whole way is rolled back.
func TestLeavingHybridConvergence(t *testing.T) {
	for _, s := range exitShapes() {
		t.Run(s.String(), func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			l, err := lab.Start(t.Context(), lab.Options{Dir: dir, Forests: s.forests, Users: 12, State: s.state,
				Between: s.between, Servers: s.servers, Edge: s.edge})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = l.Close() })
			a, err := answers.Load(t.Context(), l.Answers())
			if err != nil {
				t.Fatal(err)
			}
			a.Features = s.features
			into(t, &a, s.cloud)
			at := func(hybrid *answers.Hybrid, state string) *estate {
				t.Helper()
				own := a
				own.Hybrid = hybrid
				e := &estate{state: filepath.Join(dir, state)}
				e.Deployment, err = deployment.Open(own, deployment.Options{Dir: dir, StateDir: e.state})
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() { _ = e.Close(context.WithoutCancel(t.Context())) })
				return e
			}
			if s.applied {
				e := at(nil, "set-up")
				e.apply(t, e.plan(t))
			}
			l.MoveEveryone()
			if err := l.LeadToCloud(); err != nil {
				t.Fatal(err)
			}
			e := at(&answers.Hybrid{State: answers.Leaving}, "state")
			undo := func(before change.Plan, what string) {
				t.Helper()
				e.rollback(t)
				if d := cmp.Diff(restorable(before), restorable(e.plan(t))); d != "" {
					t.Fatalf("%s: the rollback did not restore what was there (-before +now):\n%s", what, d)
				}
			}
			var stages []change.Plan // since a person did something
			for elsewhere, round := false, 1; ; round++ {
				p := e.plan(t)
				if i := slices.IndexFunc(p.LeftOut, func(l change.LeftOut) bool { return l.Err != nil }); i >= 0 {
					t.Fatalf("round %d left out: %+v", round, p.LeftOut[i])
				}
				if len(p.Changes) == 0 {
					if len(p.LeftOut) == 0 {
						break
					}
					if elsewhere {
						t.Fatalf("it waits: %s", list(p))
					}
					l.LeadElsewhere()
					stages, elsewhere = nil, true
					continue
				}
				if round == 16 {
					t.Fatalf("it does not end: %s", list(p))
				}
				what := fmt.Sprintf("round %d", round)
				e.apply(t, p)
				undo(p, what)
				e.apply(t, e.plan(t))
				stages = append(stages, p)
			}
			if len(stages) < 2 {
				t.Errorf("%d stages", len(stages))
			}
			for i, p := range slices.Backward(stages) {
				undo(p, fmt.Sprintf("%d rounds back", len(stages)-i))
			}
		})
	}
}
