package converge

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/hybridge-cli/hybridge/pkg/engine/apply"
	"github.com/hybridge-cli/hybridge/pkg/lab"
)

// storm is weather that a test switches on and off. Some requests are put off, fail, are lost, lose
// their answer, or take long.
type storm struct {
	mu     sync.Mutex
	random *rand.Rand
	rarity int // one of so many requests is hit by each kind; 0: none
	hits   map[string]int
}

// calm ends the storm and returns what it did.
func (s *storm) calm() map[string]int {
	s.mu.Lock()
	defer s.mu.Unlock()
	hits := s.hits
	s.rarity, s.hits = 0, map[string]int{}
	return hits
}

func (s *storm) blow(rarity int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.rarity, s.hits = rarity, map[string]int{}
}

// next is what happens to a request; empty when nothing does.
func (s *storm) next() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.rarity == 0 {
		return ""
	}
	kinds := []string{"429", "500", "lost", "unheard", "slow"}
	n := s.random.IntN(s.rarity)
	if n >= len(kinds) {
		return ""
	}
	s.hits[kinds[n]]++
	return kinds[n]
}

func (s *storm) weather(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch s.next() {
		case "429":
			w.Header().Set("Retry-After", "1")
			http.Error(w, "too many requests", http.StatusTooManyRequests)
		case "500":
			http.Error(w, "internal server error", http.StatusInternalServerError)
		case "lost":
			panic(http.ErrAbortHandler)
		case "unheard":
			next.ServeHTTP(deaf{w.Header()}, r)
			panic(http.ErrAbortHandler)
		case "slow":
			time.Sleep(300 * time.Millisecond)
			next.ServeHTTP(w, r)
		default:
			next.ServeHTTP(w, r)
		}
	})
}

// deaf takes an answer and sends none of it.
type deaf struct{ header http.Header }

func (d deaf) Header() http.Header       { return d.header }
func (deaf) Write(b []byte) (int, error) { return len(b), nil }
func (deaf) WriteHeader(int)             {}

// TestConvergenceInAStorm: over every state that a deployment may start from, an apply under
// refusals, lost requests and answers, and slow servers ends where it ends without them, when it is
// run until it is done. So does the rollback.
func TestConvergenceInAStorm(t *testing.T) {
	for i, s := range []shape{
		{lab.Clean, "worldwide", 2, nil, true, 1}, {lab.Wizard, "worldwide", 2, nil, true, 1},
		{lab.Manual, "worldwide", 2, nil, false, 1}, {lab.Half, "worldwide", 3, nil, false, 1},
	} {
		if testing.Short() && i > 0 {
			continue
		}
		t.Run(s.String(), func(t *testing.T) {
			t.Parallel()
			w := &storm{random: rand.New(rand.NewPCG(20261126, uint64(i)))} //nolint:gosec // no secret
			e := openIn(t, s, w.weather)
			before := e.plan(t)
			if len(before.Changes) == 0 || len(before.LeftOut) > 0 {
				t.Fatal(list(before))
			}
			hits := map[string]int{}
			until := func(what string, do func(apply.Options) error) {
				t.Helper()
				o := e.options()
				o.Wait = 2 * time.Second
				var said []string
				for try := range 30 { // the storm abates
					w.blow(100 + 100*try)
					err := do(o)
					for kind, n := range w.calm() {
						hits[kind] += n
					}
					if err == nil {
						return
					}
					said = append(said, err.Error())
				}
				t.Fatalf("%s does not end: %v", what, said)
			}
			until("the apply", func(o apply.Options) error {
				_, err := e.Apply(t.Context(), before, o, silent)
				return err
			})
			if after := e.plan(t); len(after.Changes)+len(after.LeftOut) != 0 {
				t.Fatalf("after the apply the plan still has %s", list(after))
			}
			until("the rollback", func(o apply.Options) error {
				_, err := e.Rollback(t.Context(), "", o, silent)
				return err
			})
			if again := e.plan(t); before.Digest != again.Digest {
				t.Errorf("the rollback did not restore what was there\nbefore %s\nnow %s", list(before), list(again))
			}
			if len(hits) < 3 {
				t.Errorf("there was no storm: %v", fmt.Sprint(hits))
			}
		})
	}
}
