//go:build linux

package main

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"text/tabwriter"

	"github.com/hybridge-cli/hybridge/pkg/config/answers"
	"github.com/hybridge-cli/hybridge/pkg/engine/apply"
	"github.com/hybridge-cli/hybridge/pkg/engine/observe"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/deployment"
	"github.com/hybridge-cli/hybridge/pkg/lab"
)

// applyGoal is how many remote calls a change may take. A careful script takes three: it reads,
// writes, and reads back. What is more are the checks that run again before the first change.
const applyGoal = 5.0

// applies counts the remote calls of an apply, cmdlets and requests to Graph, as the lab sees them.
func applies(ctx context.Context) error {
	dir, err := os.MkdirTemp("", "bench")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	var graph atomic.Int64
	l, err := lab.Start(ctx, lab.Options{Dir: dir, Forests: 1, Users: people,
		Weather: func(next http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if strings.HasPrefix(r.Host, "graph.") {
					graph.Add(1)
				}
				next.ServeHTTP(w, r)
			})
		}})
	if err != nil {
		return err
	}
	defer l.Close()
	a, err := answers.Load(ctx, l.Answers())
	if err != nil {
		return err
	}
	state := filepath.Join(dir, "state")
	d, err := deployment.Open(a, deployment.Options{Dir: dir, StateDir: state})
	if err != nil {
		return err
	}
	defer d.Close(ctx)
	quiet := observe.Func(func(observe.Event) {})
	plan, err := d.Plan(ctx, quiet)
	if err != nil {
		return err
	}
	o := apply.Options{StateDir: state}
	for _, c := range deployment.Consents() {
		o.Accept = append(o.Accept, c.ID)
	}
	before := l.Runs()
	graph.Store(0)
	if _, err := d.Apply(ctx, plan, o, quiet); err != nil {
		return err
	}
	reads, writes := 0, 0
	for name, n := range l.Runs() {
		switch n -= before[name]; {
		case strings.Contains(name, " get-"), strings.Contains(name, " test-"):
			reads += n
		default:
			writes += n
		}
	}
	calls := reads + writes + int(graph.Load())
	perChange := float64(calls) / float64(len(plan.Changes))
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintf(w, "apply\tchanges\tcmdlets that read\tthat write\trequests to Graph\tcalls per change\t\n")
	fmt.Fprintf(w, "hybridge\t%d\t%d\t%d\t%d\t%.2f\t\n", len(plan.Changes), reads, writes, graph.Load(), perChange)
	fmt.Fprintf(w, "read, write, read back\t%d\t%d\t%d\t\t3.00\t\n", len(plan.Changes), 2*len(plan.Changes),
		len(plan.Changes))
	fmt.Fprintf(w, "ratio\t\t\t\t\t%.2f\t\n", perChange/3)
	fmt.Fprintf(w, "goal\t\t\t\t\t%.2f\t\n", applyGoal/3)
	if err := w.Flush(); err != nil {
		return err
	}
	if perChange > applyGoal {
		return fmt.Errorf("an apply of %d changes takes %d remote calls", len(plan.Changes), calls)
	}
	return nil
}
