package deployment

import (
	"context"
	"fmt"
	"net/http"

	"github.com/hybridge-cli/hybridge/pkg/estate/exchange"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/fact"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/freebusy"
)

// Facts are read through clients that cannot write, whatever the account may do. Lookups ask
// through freebusy.Calendars and freebusy.Schedules, which have no write methods.

// reading is a forest's or the tenant's Exchange session for reading.
func (d *Deployment) reading(c *connection[*guarded]) func(context.Context) (exchange.Session, error) {
	return func(ctx context.Context) (exchange.Session, error) {
		s, err := d.session(c)(ctx)
		if err != nil {
			return nil, err
		}
		return exchange.ReadOnly(s), nil
	}
}

// readingGraph is Microsoft Graph for reading.
type readingGraph struct{ fact.Graph }

func (g readingGraph) Do(ctx context.Context, method, path string, body any) (map[string]any, error) {
	if method != http.MethodGet || body != nil {
		return nil, fmt.Errorf("%s %s at Microsoft Graph: %w", method, path, exchange.ErrReadOnly)
	}
	return g.Graph.Do(ctx, method, path, nil)
}

// readingWorkMail is WorkMail for reading.
type readingWorkMail struct{ fact.WorkMailAPI }

func (readingWorkMail) Run(_ context.Context, operation string, _ map[string]any) error {
	return fmt.Errorf("%s at WorkMail: %w", operation, exchange.ErrReadOnly)
}

// asking narrows a connection to what lookups need.
func asking[T, I any](open func(context.Context) (T, error)) func(context.Context) (I, error) {
	return func(ctx context.Context) (I, error) {
		client, err := open(ctx)
		return opened[I](client, err)
	}
}

// calendars asks EWS for free/busy through a client.
func calendars[T any](open func(context.Context) (T, error)) func(context.Context, []freebusy.Pair,
	freebusy.Window) ([]freebusy.Seen, error) {
	return freebusy.EWS(asking[T, freebusy.Calendars](open))
}
