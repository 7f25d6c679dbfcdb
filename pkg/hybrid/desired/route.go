package desired

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/hybridge-cli/hybridge/pkg/config/answers"
	"github.com/hybridge-cli/hybridge/pkg/config/cloud"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/fact"
)

// Forest holds the facts of a forest that decide on the route.
type Forest struct {
	Name    string
	Servers []fact.MailboxServer
	Unknown error // why the servers are not known
}

// CoexistenceDomain returns the target delivery domain: the answers', else the tenant's own, else
// the one that follows from the cloud.
func CoexistenceDomain(online answers.ExchangeOnline, c cloud.Cloud, live string) (string, error) {
	if online.CoexistenceDomain != "" {
		return strings.ToLower(online.CoexistenceDomain), nil
	}
	if live != "" {
		return strings.ToLower(live), nil
	}
	return c.CoexistenceDomain(online.Tenant)
}

// ChooseRoute returns the route on which on-premises Exchange should look up free/busy, and the
// reason. The Graph route requires a cloud that has it, and every server at a build that proves it.
// The answer "graph" trusts the administrator about updates that build numbers do not show. So does
// "auto" once EWS of Exchange Online has ended: no other route is left. Where one server decides,
// the servers of other forests may be unknown.
func ChooseRoute(answer string, c cloud.Cloud, forests []Forest, now time.Time) (fact.Route, string, error) {
	least, chosen := fact.Fit, "every server has the Graph route"
	if !now.Before(cloud.EWSEnds) {
		least, chosen = fact.Untold, "EWS of Exchange Online has ended, and every server can have the Graph route"
	}
	unfit := func(least fact.Fitness) string {
		for _, f := range forests {
			for _, s := range f.Servers {
				if s.Build.Fitness(fact.RouteGraph) < least {
					return fmt.Sprintf("%s in %s is at %s", s.Name, f.Name, s.Build)
				}
			}
		}
		return ""
	}
	switch answer {
	case "", "auto":
		if !c.GraphCoexistence {
			return fact.RouteEWS, c.Title + " has no Graph route", nil
		}
		if s := unfit(least); s != "" {
			return fact.RouteEWS, s + ", which is not known to have the Graph route", nil
		}
		for _, f := range forests {
			switch {
			case f.Unknown != nil:
				return "", "", f.Unknown
			case len(f.Servers) == 0:
				return "", "", missing("Exchange servers", "forest "+f.Name)
			}
		}
		return fact.RouteGraph, chosen, nil
	case string(fact.RouteEWS):
		return fact.RouteEWS, "the answers ask for it", nil
	case string(fact.RouteGraph):
		if !c.GraphCoexistence {
			return "", "", refuse("richCoexistence: graph: %s has no Graph route; use ews", c.Title)
		}
		if s := unfit(fact.Untold); s != "" {
			return "", "", refuse("richCoexistence: graph: %s, which has no Graph route; update it or use ews", s)
		}
		return fact.RouteGraph, "the answers ask for it", nil
	}
	return "", "", refuse("richCoexistence: %q is none of auto, ews, graph", answer)
}

// route returns the route of the forests. It refuses a route that cannot work.
func (p *Planner) route(ctx context.Context) (fact.Route, error) {
	var forests []Forest
	for _, side := range p.set.Forests {
		servers, err := fact.MailboxServers.In(ctx, side)
		forests = append(forests, Forest{Name: side.Name(), Servers: servers, Unknown: err})
	}
	r, reason, err := ChooseRoute(p.Answers.ExchangeOnline.RichCoexistence, p.set.Cloud, forests, p.day())
	switch {
	case err != nil:
		return "", err
	case r == fact.RouteEWS && !p.day().Before(cloud.EWSEnds):
		return "", refuse("lookups from on-premises have no way into the tenant any more: EWS of Exchange Online "+
			"ended on %s, and %s (check tenant.ews-switch)",
			cloud.EWSEnds.Format(time.DateOnly), reason)
	}
	// The override that switches a route on applies to all servers. A server that does not know the
	// route either refuses the override or continues as the shared application, which Exchange
	// Online refuses.
	for _, f := range forests {
		for _, s := range f.Servers {
			if s.Build.Fitness(r) == fact.Unfit {
				return "", refuse("%s in %s is at %s, which cannot use the dedicated application on the %s route: "+
					"update or decommission it first (check servers.build lists all)",
					s.Name, f.Name, s.Build, r)
			}
		}
	}
	return r, nil
}
