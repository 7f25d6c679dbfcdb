package link

import (
	"context"
	"slices"
	"sync"
	"time"
)

// Calls are the remote calls of a run that have no answer yet. It is safe for concurrent use.
type Calls struct {
	mu   sync.Mutex
	open []*Call
}

// Call is one remote call without an answer.
type Call struct {
	What  string // "ex1.contoso.com", "contoso: Get-SendConnector"
	Since time.Time
}

type callsKey struct{}

// WithCalls returns a context under which every remote call is listed in c until it is answered.
func WithCalls(ctx context.Context, c *Calls) context.Context {
	return context.WithValue(ctx, callsKey{}, c)
}

// Await lists a call under ctx until the returned function is called. Of calls within calls, such
// as the connection for a cmdlet, both are listed.
func Await(ctx context.Context, what string) (answered func()) {
	c, _ := ctx.Value(callsKey{}).(*Calls)
	if c == nil {
		return func() {}
	}
	call := &Call{What: Line(what), Since: time.Now()}
	c.mu.Lock()
	c.open = append(c.open, call)
	c.mu.Unlock()
	return func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.open = slices.DeleteFunc(c.open, func(o *Call) bool { return o == call })
	}
}

// Waiting returns the call that waits longest, and how many there are.
func (c *Calls) Waiting() (longest Call, n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.open) == 0 {
		return Call{}, 0
	}
	return *c.open[0], len(c.open)
}
