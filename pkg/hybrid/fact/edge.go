package fact

import (
	"context"
	"time"

	"github.com/hybridge-cli/hybridge/pkg/estate/exchange"
)

// EdgeSubscription ties an Edge server to the organization: EdgeSync brings it connectors, domains
// and recipients.
type EdgeSubscription struct {
	Name, Site string
	Created    time.Time
}

// EdgeSync is how EdgeSync last reached an Edge server.
type EdgeSync struct {
	Name   string
	Status string // SyncStatus: Normal, Failed, ...
	Synced time.Time
	Detail string
}

const (
	getEdgeSubscription = "Get-EdgeSubscription"
	testEdgeSync        = "Test-EdgeSynchronization"
)

// The Edge servers of a forest, and how they are kept in step.
var (
	EdgeSubscriptions = Cmdlet(OnPremises, getEdgeSubscription, each(getEdgeSubscription,
		func(o exchange.Object) (e EdgeSubscription, err error) {
			if e.Name, err = o.String("Name"); err != nil {
				return e, err
			}
			e.Site, _ = o.String("Site")
			e.Created, _ = dateOf(o, "CreateUtc")
			return e, nil
		}))
)

// EdgeSyncs leaves the comparison of recipients out: it takes minutes. Few organizations have Edge
// servers: the right to run the cmdlet is not one that every account needs.
var EdgeSyncs = func() *Query[[]EdgeSync] {
	q := Session(OnPremises, nil, func(ctx context.Context, s exchange.Reader) ([]EdgeSync, error) {
		objects, err := s.Read(ctx, exchange.Command{Name: testEdgeSync,
			Parameters: map[string]any{"ExcludeRecipientTest": true}})
		if err != nil {
			return nil, err
		}
		return each(testEdgeSync, readEdgeSync)(objects)
	})
	q.sources = []Source{{System: OnPremises, Ask: testEdgeSync}}
	return q
}()

func readEdgeSync(o exchange.Object) (e EdgeSync, err error) {
	if e.Name, err = o.String("Name"); err != nil {
		return e, err
	}
	if e.Status, err = o.String("SyncStatus"); err != nil {
		return e, err
	}
	e.Synced, _ = dateOf(o, "LastSynchronizedUtc")
	e.Detail, _ = o.String("FailureDetail")
	return e, nil
}
