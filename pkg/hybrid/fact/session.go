package fact

import (
	"context"
	"fmt"
	"strings"

	"github.com/hybridge-cli/hybridge/pkg/estate/exchange"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/fact/once"
)

// Session is the side's Exchange session for reading. It remembers what each Get cmdlet printed, so
// that queries and kinds that read the same cmdlet run it once per run.
func (s *Side) Session(ctx context.Context) (exchange.Reader, error) {
	if s.Exchange == nil {
		return nil, fmt.Errorf("%s: %w", s.Name(), ErrNotConfigured)
	}
	session, err := s.Exchange(ctx)
	if err != nil {
		return nil, err
	}
	return remembering{session, s}, nil
}

type remembering struct {
	exchange.Reader
	side *Side
}

func (r remembering) Read(ctx context.Context, c exchange.Command) ([]exchange.Object, error) {
	// A list of recipients may be large, and has one reader.
	if _, recipients := c.Parameters["ResultSize"]; recipients || !strings.HasPrefix(c.Name, "Get-") {
		return r.Reader.Read(ctx, c)
	}
	key := fmt.Sprint(c.Name, c.Parameters) // maps print in the order of their keys
	r.side.mu.Lock()
	v := r.side.printed[key]
	if v == nil {
		v = once.New(func(ctx context.Context) ([]exchange.Object, error) { return r.Reader.Read(ctx, c) })
		r.side.printed[key] = v
	}
	r.side.mu.Unlock()
	return v.Get(ctx)
}
