package exchange

import (
	"context"
	"fmt"
	"strings"
)

// Reader is what a session is for those who only read. It is no Session: what runs commands does not
// compile against it.
type Reader interface {
	// Read sends Get and Test cmdlets and searches of audit logs. It refuses what may change something.
	Read(ctx context.Context, c Command) ([]Object, error)
	Allowed(ctx context.Context, cmdlets ...string) (map[string]Allowance, error)
}

// ReadOnly is a session for reading.
func ReadOnly(s Session) Reader { return readOnly{s} }

type readOnly struct{ session Session }

// sends are Test cmdlets that write: they send a message, or put one into a mailbox.
var sends = map[string]bool{"test-mailflow": true, "test-message": true, "test-assistanthealth": true}

func (r readOnly) Read(ctx context.Context, c Command) ([]Object, error) {
	name := strings.ToLower(c.Name)
	if !c.Reads() || sends[name] {
		return nil, fmt.Errorf("%s: %w", c.Name, ErrReadOnly)
	}
	return r.session.Run(ctx, c)
}

func (r readOnly) Allowed(ctx context.Context, cmdlets ...string) (map[string]Allowance, error) {
	return r.session.Allowed(ctx, cmdlets...)
}
