package converge

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/hybridge-cli/hybridge/pkg/config/answers"
	"github.com/hybridge-cli/hybridge/pkg/engine/change"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/deployment"
	"github.com/hybridge-cli/hybridge/pkg/lab"
)

// Where an organization stands that leaves WorkMail.
const (
	byHand   = "by-hand"  // hybridge has set nothing up
	applied  = "applied"  // its plan was applied, with a group
	function = "function" // the same, and a Lambda function answers for Exchange
	begun    = "begun"    // one person is back in Exchange already
	carried  = "carried"  // everyone is, with all content
	deserted = "deserted" // no one is registered any more
)

// leavingShape is an organization that leaves WorkMail.
type leavingShape struct {
	start   string
	to      string
	forests int
	exports bool
	behind  bool // what mail clients alone know may be lost
}

func (s leavingShape) String() string {
	return fmt.Sprintf("%s/%s/%d/exports=%v/behind=%v", s.start, s.to, s.forests, s.exports, s.behind)
}

func leavingShapes() []leavingShape {
	var out []leavingShape
	for i, start := range []string{byHand, applied, function, begun, carried, deserted} {
		for j, to := range []string{answers.ToExchange, answers.ToExchangeOnline} {
			// The other dimensions meet every start and both destinations.
			out = append(out, leavingShape{start, to, 1 + (i+j)%2, i%2 == j, (i/2)%2 == j})
		}
	}
	if testing.Short() {
		return out[:3]
	}
	return out
}

// TestLeavingConvergence: from wherever an organization starts, plan and apply lead it out of
// WorkMail. What a stage applied is planned no more, only what a person does opens the next one, and
// nothing is lost. At the end, nothing is left to plan.
func TestLeavingConvergence(t *testing.T) {
	for _, s := range leavingShapes() {
		t.Run(s.String(), func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			o := lab.Options{Dir: dir, Forests: s.forests, Users: 20, Clouds: []string{lab.WorkMail}}
			if s.to == answers.ToExchangeOnline {
				o.Clouds = lab.Clouds()
			}
			if s.start == deserted {
				o.Faults = []string{"workmail.nobody-enabled"}
			}
			l, err := lab.Start(t.Context(), o)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = l.Close() })
			a, err := answers.Load(t.Context(), l.Answers())
			if err != nil {
				t.Fatal(err)
			}
			at := func(edit func(a *answers.Answers), only ...string) *estate {
				t.Helper()
				own := a
				w := *a.WorkMail
				own.WorkMail, own.Forests = &w, slices.Clone(a.Forests)
				edit(&own)
				e := &estate{state: filepath.Join(dir, "state")}
				e.Deployment, err = deployment.Open(own, deployment.Options{Dir: dir, StateDir: e.state, Only: only})
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() { _ = e.Close(context.WithoutCancel(t.Context())) })
				return e
			}
			stays := func(a *answers.Answers) {
				a.WorkMail.Groups = []string{"sales@contoso.example"}
				if s.start == function {
					a.Forests[0].WorkMail = &answers.Provider{Lambda: lab.WorkMailFunction}
				}
			}
			leaves := func(a *answers.Answers) {
				stays(a)
				a.WorkMail.State, a.WorkMail.To = answers.Leaving, s.to
				if s.exports {
					a.WorkMail.Export = &answers.Export{Bucket: lab.ExportBucket, Role: lab.ExportRole, Key: lab.ExportKey}
				}
				if s.behind {
					a.WorkMail.LeaveBehind = []string{"tasks", "notes", "journal"}
				}
			}
			if s.start != byHand && s.start != deserted {
				e := at(stays)
				e.apply(t, e.plan(t))
			}
			before := l.Holdings()
			people := sorted(before)
			if len(people) < 2 && s.start != deserted {
				t.Fatalf("%v are in WorkMail", people)
			}
			person := func(address string, licensed map[string]bool) {
				t.Helper()
				if s.to == answers.ToExchangeOnline && !licensed[address] {
					licensed[address] = true
					if err := l.License(address); err != nil {
						t.Fatal(err)
					}
					return
				}
				l.Carry(address)
			}
			licensed := map[string]bool{}
			switch s.start {
			case begun:
				if s.to == answers.ToExchangeOnline {
					person(people[0], licensed)
				}
				e := at(leaves, "onprem/*/*/"+people[0], "workmail/ImpersonationRole/*")
				e.apply(t, e.plan(t))
			case carried:
				for range 2 {
					for _, address := range people {
						person(address, licensed)
					}
				}
			}

			e := at(leaves)
			done := map[string]bool{}
			for round := 0; ; round++ {
				p := e.plan(t)
				for _, c := range p.Changes {
					if done[string(c.Action)+c.ID] {
						t.Errorf("round %d plans again: %s %s", round, c.Action, c.ID)
					}
				}
				switch {
				case len(p.Changes)+len(p.LeftOut) == 0:
					if left := l.InWorkMail(); len(left) > 0 {
						t.Errorf("left in WorkMail: %v", left)
					}
					if lost := lab.Missing(before, l.Holdings()); len(lost) > 0 {
						t.Errorf("lost: %v", lost)
					}
					return
				case round == 12:
					t.Fatalf("it does not end: %s, left out %+v", list(p), p.LeftOut)
				case len(p.Changes) == 0:
					if slices.ContainsFunc(p.LeftOut, func(l change.LeftOut) bool { return l.Err != nil }) {
						t.Fatalf("left out: %+v", p.LeftOut)
					}
					for _, address := range people {
						if slices.ContainsFunc(p.LeftOut, func(l change.LeftOut) bool {
							return strings.EqualFold(l.Place, address)
						}) {
							person(address, licensed)
						}
					}
				}
				e.apply(t, p)
				for _, c := range p.Changes {
					done[string(c.Action)+c.ID] = true
				}
			}
		})
	}
}

func sorted(people map[string]lab.Holding) []string {
	var out []string
	for address := range people {
		out = append(out, address)
	}
	slices.Sort(out)
	return out
}
