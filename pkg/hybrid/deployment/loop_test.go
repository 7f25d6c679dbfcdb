package deployment

import (
	"context"
	"fmt"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hybridge-cli/hybridge/pkg/config/answers"
	"github.com/hybridge-cli/hybridge/pkg/engine/apply"
	"github.com/hybridge-cli/hybridge/pkg/engine/observe"
	"github.com/hybridge-cli/hybridge/pkg/estate/exchange"
	"github.com/hybridge-cli/hybridge/pkg/lab"
)

// lookupCount counts the requests for calendars that hybridge itself sends, by what they ask.
type lookupCount struct {
	mu    sync.Mutex
	count map[string]int
}

func (q *lookupCount) weather(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		path := strings.ToLower(r.URL.Path)
		lookup := path == "/ews/exchange.asmx" || strings.HasSuffix(path, "$batch") ||
			strings.HasSuffix(path, "/getschedule")
		status := &statusOf{w, 0}
		next.ServeHTTP(status, r)
		if r.Method == http.MethodPost && lookup && status.code != http.StatusUnauthorized && // not a sign-in
			r.Header.Get("User-Agent") != "ASProxy/CrossForest/EmailDomain" {
			q.mu.Lock()
			q.count[r.Host+path]++
			q.mu.Unlock()
		}
	})
}

type statusOf struct {
	http.ResponseWriter
	code int
}

func (s *statusOf) WriteHeader(code int)        { s.code = code; s.ResponseWriter.WriteHeader(code) }
func (s *statusOf) Unwrap() http.ResponseWriter { return s.ResponseWriter }

// TestThousandPairs: a thousand pairs in both directions take at most one fiftieth as many requests
// for calendars, those that compare times included, and one per direction for a mailbox that does
// not exist. Probes of the organization run once per direction.
func TestThousandPairs(t *testing.T) {
	dir := t.TempDir()
	asked := &lookupCount{count: map[string]int{}}
	l, err := lab.Start(t.Context(), lab.Options{Dir: dir, Users: 1100, Weather: asked.weather})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	a, err := answers.Load(t.Context(), l.Answers())
	if err != nil {
		t.Fatal(err)
	}
	o := Options{Dir: dir, StateDir: filepath.Join(dir, "state")}
	d, err := Open(a, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = d.Close(context.WithoutCancel(t.Context())) })
	quiet := observe.Func(func(observe.Event) {})
	p, err := d.Plan(t.Context(), quiet)
	if err != nil {
		t.Fatal(err)
	}
	consent := apply.Options{StateDir: o.StateDir}
	for _, c := range Consents() {
		consent.Accept = append(consent.Accept, c.ID)
	}
	if _, err := d.Apply(t.Context(), p, consent, quiet); err != nil {
		t.Fatal(err)
	}
	here, moved := people(t, d)
	d.answers.Tests.Pairs = nil
	for i := range 500 {
		d.answers.Tests.Pairs = append(d.answers.Tests.Pairs, answers.Pair{From: here[i/100], To: moved[i%len(moved)]},
			answers.Pair{From: moved[i/100], To: here[i%len(here)]})
	}
	asked.mu.Lock()
	clear(asked.count)
	asked.mu.Unlock()
	before, start := l.Runs(), time.Now()
	r, err := d.Test(t.Context(), TestOptions{}, quiet)
	took := time.Since(start)
	if err != nil || r.Summary.OK != 1005 || len(r.Matrix) != 1005 { // the tests of tokens, and MailTips
		for _, a := range r.Matrix {
			if a.Status != "ok" {
				t.Logf("%+v", a)
				break
			}
		}
		t.Fatal(err, r.Summary)
	}
	asked.mu.Lock()
	defer asked.mu.Unlock()
	total := 0
	for _, n := range asked.count {
		total += n
	}
	t.Logf("%s, %d requests about %d and %d mailboxes: %v", took, total, len(moved), len(here), asked.count)
	if total > 20+2 {
		t.Errorf("%d requests for calendars of 1,000 pairs: %v", total, asked.count)
	}
	for name, n := range l.Runs() {
		if n -= before[name]; n > 25 || strings.Contains(name, "test-oauthconnectivity") && n != 1 {
			t.Errorf("%d times %s", n, name)
		}
	}
}

// people returns some addresses of mailboxes on both sides of the first forest.
func people(t *testing.T, d *Deployment) (here, moved []string) {
	t.Helper()
	s, err := d.forests[0].exchange.get(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for cmdlet, list := range map[string]*[]string{"Get-Mailbox": &here, "Get-RemoteMailbox": &moved} {
		found, err := s.Run(t.Context(), exchange.Command{Name: cmdlet, Parameters: map[string]any{"ResultSize": "Unlimited"}})
		if err != nil {
			t.Fatal(err)
		}
		for _, o := range found {
			if address, err := o.String("PrimarySmtpAddress"); err == nil && person(o) {
				*list = append(*list, address)
			}
		}
		if len(*list) < 100 {
			t.Fatal(fmt.Sprint(cmdlet, ": ", len(*list)))
		}
	}
	return here, moved
}
