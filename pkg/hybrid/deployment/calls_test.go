package deployment

import (
	"context"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/hybridge-cli/hybridge/pkg/config/answers"
	"github.com/hybridge-cli/hybridge/pkg/engine/apply"
	"github.com/hybridge-cli/hybridge/pkg/engine/observe"
	"github.com/hybridge-cli/hybridge/pkg/lab"
)

// requests counts the requests to Microsoft Graph.
type requests struct {
	mu    sync.Mutex
	count map[string]int
}

func (q *requests) weather(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.Host, "graph.") {
			q.mu.Lock()
			q.count["graph "+r.Method+" "+r.URL.String()]++
			q.mu.Unlock()
		}
		next.ServeHTTP(w, r)
	})
}

// TestRemoteCalls: a plan reads each kind once per place, whatever else reads the same. An apply
// writes each change once.
func TestRemoteCalls(t *testing.T) {
	dir := t.TempDir()
	asked := &requests{count: map[string]int{}}
	l, err := lab.Start(t.Context(), lab.Options{Dir: dir, Forests: 3, Users: 12, Weather: asked.weather})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	a, err := answers.Load(t.Context(), l.Answers())
	if err != nil {
		t.Fatal(err)
	}
	state := filepath.Join(dir, "state")
	d, err := Open(a, Options{Dir: dir, StateDir: state})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = d.Close(context.WithoutCancel(t.Context())) })
	before := l.Runs()
	calls := func() map[string]int {
		out := map[string]int{}
		for name, n := range l.Runs() {
			if n > before[name] {
				out[name] = n - before[name]
			}
		}
		for name, n := range asked.count {
			out[name] = n
		}
		before = l.Runs()
		clear(asked.count)
		return out
	}
	quiet := observe.Func(func(observe.Event) {})
	p, err := d.Plan(t.Context(), quiet)
	if err != nil {
		t.Fatal(err)
	}
	reads := calls()
	for call, n := range reads {
		if n > 1 {
			t.Errorf("the plan asks %d times: %s", n, call)
		}
	}
	if reads["contoso get-organizationrelationship"] != 1 || reads["online get-organizationrelationship"] != 1 {
		t.Errorf("the plan does not read what it compares: %v", reads)
	}

	o := apply.Options{StateDir: state}
	for _, c := range Consents() {
		o.Accept = append(o.Accept, c.ID)
	}
	if _, err := d.Apply(t.Context(), p, o, quiet); err != nil {
		t.Fatal(err)
	}
	writes := 0
	for call, n := range calls() {
		if verb := strings.Fields(call)[1]; verb != "GET" && !strings.HasPrefix(verb, "get-") {
			writes += n
		}
	}
	if writes != len(p.Changes) {
		t.Errorf("%d writes for %d changes", writes, len(p.Changes))
	}
}
