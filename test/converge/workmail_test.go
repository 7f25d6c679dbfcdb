package converge

import (
	"context"
	"fmt"
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

// amazonShape is an organization with WorkMail: what it is, and what it should become.
type amazonShape struct {
	clouds  []string
	forests int
	was     string // what is there before: nothing, or another provider
	lambda  bool   // a function answers for Exchange
	groups  bool
}

func (s amazonShape) String() string {
	provider := map[bool]string{false: "ews", true: "lambda"}[s.lambda]
	return fmt.Sprintf("%s/%d/%s/%s/groups=%v", strings.Join(s.clouds, "+"), s.forests, s.was, provider, s.groups)
}

func amazonShapes() []amazonShape {
	var out []amazonShape
	for _, clouds := range [][]string{{lab.WorkMail}, {lab.Online, lab.WorkMail}} {
		for _, forests := range []int{1, 2} {
			for _, was := range []string{"nothing", "other"} {
				for _, lambda := range []bool{false, true} {
					// Groups are one more kind and meet each other value.
					out = append(out, amazonShape{clouds, forests, was, lambda, lambda == (was == "nothing")})
				}
			}
		}
	}
	if testing.Short() {
		return out[:4]
	}
	return out
}

// wanted are the answers of a shape.
func (s amazonShape) wanted(a answers.Answers, lambda bool) answers.Answers {
	if lambda {
		a.Forests = slices.Clone(a.Forests)
		a.Forests[0].WorkMail = &answers.Provider{Lambda: lab.WorkMailFunction}
	}
	w := *a.WorkMail
	if s.groups {
		w.Groups = []string{"sales@contoso.example"}
	}
	a.WorkMail = &w
	return a
}

// TestWorkMailConvergence: after an apply the plan is empty, and a rollback restores what was read,
// but for registrations.
func TestWorkMailConvergence(t *testing.T) {
	for _, s := range amazonShapes() {
		t.Run(s.String(), func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			l, err := lab.Start(t.Context(), lab.Options{Dir: dir, Forests: s.forests, Users: 12, Clouds: s.clouds})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = l.Close() })
			a, err := answers.Load(t.Context(), l.Answers())
			if err != nil {
				t.Fatal(err)
			}
			at := func(a answers.Answers) *estate {
				e := &estate{state: filepath.Join(dir, "state")}
				e.Deployment, err = deployment.Open(a, deployment.Options{Dir: dir, StateDir: e.state})
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() { _ = e.Close(context.WithoutCancel(t.Context())) })
				return e
			}
			if s.was == "other" {
				e := at(s.wanted(a, !s.lambda))
				e.apply(t, e.plan(t))
			}
			e := at(s.wanted(a, s.lambda))
			before := e.plan(t)
			if len(before.LeftOut) > 0 || len(before.Changes) == 0 {
				t.Fatalf("the first plan has %d changes and leaves out %+v", len(before.Changes), before.LeftOut)
			}
			e.apply(t, before)
			if after := e.plan(t); len(after.Changes)+len(after.LeftOut) != 0 {
				t.Fatalf("after the apply the plan still has %s", list(after))
			}
			if s.was == "other" && s.lambda {
				// WorkMail does not show the password of the provider that the function replaced.
				_, err := e.Rollback(t.Context(), "", e.options(), silent)
				if err == nil || !strings.Contains(err.Error(), "which WorkMail does not show") {
					t.Fatalf("the rollback: %v", err)
				}
				back := at(s.wanted(a, false))
				back.apply(t, back.plan(t))
				if after := back.plan(t); len(after.Changes)+len(after.LeftOut) != 0 {
					t.Errorf("the way back leaves %s", list(after))
				}
				return
			}
			e.rollback(t)
			if d := cmp.Diff(lasting(before), lasting(e.plan(t))); d != "" {
				t.Errorf("the rollback did not restore what was there (-before +now):\n%s", d)
			}
		})
	}
}

// lasting are the changes of a plan that a rollback undoes, with what they find. A registration
// stays: without it, the mailbox would be gone.
func lasting(p change.Plan) []string {
	var out []string
	for _, c := range p.Changes {
		if c.Kind != "WorkMailUser" && c.Kind != "WorkMailGroup" {
			out = append(out, fmt.Sprint(c.Action, " ", c.ID, " ", c.Before))
		}
	}
	slices.Sort(out)
	return out
}
