package exchange

import (
	"context"
	"fmt"
	"strings"
)

// ReadOnly is a session for reading: it sends Get and Test cmdlets and searches of audit logs, and
// nothing that may change something.
func ReadOnly(s Session) Session { return readOnly{s} }

type readOnly struct{ session Session }

// sends are Test cmdlets that write: they send a message, or put one into a mailbox.
var sends = map[string]bool{"test-mailflow": true, "test-message": true, "test-assistanthealth": true}

func (r readOnly) Run(ctx context.Context, c Command) ([]Object, error) {
	name := strings.ToLower(c.Name)
	if !c.Reads() || sends[name] {
		return nil, fmt.Errorf("%s: %w", c.Name, ErrReadOnly)
	}
	return r.session.Run(ctx, c)
}

func (r readOnly) Allowed(ctx context.Context, cmdlets ...string) (map[string]Allowance, error) {
	return r.session.Allowed(ctx, cmdlets...)
}

func (r readOnly) Close(ctx context.Context) error { return r.session.Close(ctx) }
