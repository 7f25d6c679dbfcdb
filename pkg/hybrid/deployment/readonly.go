package deployment

import (
	"context"

	"github.com/hybridge-cli/hybridge/pkg/estate/exchange"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/fact"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/freebusy"
)

// Facts and lookups get clients whose types have no methods that write: code that writes does not
// compile against them. What apply, rollback and markers take comes from Deployment.places and
// Deployment.writable alone.

// reading is a forest's or the tenant's Exchange session for reading.
func (d *Deployment) reading(c *connection[*guarded]) func(context.Context) (exchange.Reader, error) {
	return func(ctx context.Context) (exchange.Reader, error) {
		s, err := d.session(c)(ctx)
		if err != nil {
			return nil, err
		}
		return exchange.ReadOnly(s), nil
	}
}

// readingGraph is Microsoft Graph for reading.
type readingGraph struct{ fact.Graph }

// readingWorkMail is WorkMail for reading.
type readingWorkMail struct{ fact.WorkMailAPI }

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
