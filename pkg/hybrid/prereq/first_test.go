package prereq

import (
	"context"
	"sync"
	"testing"

	"github.com/hybridge-cli/hybridge/pkg/engine/check"
	"github.com/hybridge-cli/hybridge/pkg/engine/observe"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/fact"
)

// The first results do not wait for a pass over a directory, however long that takes: those of the
// accounts, the tenant and the network come meanwhile.
func TestFirstResultsDoNotWaitForADirectory(t *testing.T) {
	f, _ := healthy(t)
	asked, release := make(chan struct{}), make(chan struct{})
	var once sync.Once
	for _, forest := range f.Forests {
		fact.Users.SeedWith(forest, func(context.Context) (fact.UserScan, error) {
			once.Do(func() { close(asked) })
			<-release
			return fact.UserScan{Users: 3, SignIn: 3, Mailboxes: 3, Addressed: 3, Named: 3}, nil
		})
	}
	var mu sync.Mutex
	early := map[string]int{}
	released := false
	results := make(chan struct{}, 1000)
	done := make(chan check.Report, 1)
	go func() {
		r, _ := Run(t.Context(), f, check.Options{}, observe.Func(func(e observe.Event) {
			if result, ok := e.(check.Result); ok {
				mu.Lock()
				if !released {
					early[result.Category]++
				}
				mu.Unlock()
				results <- struct{}{}
			}
		}))
		done <- r
	}()
	<-asked
	for range 20 {
		<-results // a deadlock here means that results wait for the pass
	}
	mu.Lock()
	released = true
	mu.Unlock()
	close(release)
	r := <-done
	if early["access"] == 0 || early["tenant"]+early["identity"]+early["domains"] == 0 || len(r.Results) < 60 {
		t.Errorf("before the directory was read: %v; %d results in all", early, len(r.Results))
	}
}
