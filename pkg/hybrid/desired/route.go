package desired

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/hybridge-cli/hybridge/pkg/config/answers"
	"github.com/hybridge-cli/hybridge/pkg/config/cloud"
	"github.com/hybridge-cli/hybridge/pkg/engine/msg"
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

// graphFeatures are the features that Microsoft Graph carries, MailTips in part: moves to archives
// and message tracking need EWS.
var graphFeatures = []answers.Feature{answers.FreeBusy, answers.Photos, answers.MailTips}

// Choice is a route, and the reason for it.
type Choice struct {
	Route  fact.Route
	Reason msg.Text
	// Need says what takes another route, where the administrator can do something.
	Need msg.Text
}

// ChooseRoute returns the route on which on-premises Exchange should look up free/busy, and the
// reason. The Graph route requires a cloud that has it, a feature that it carries, and every server
// at a build that proves it. The answer "graph" trusts the administrator about updates that build
// numbers do not show. So does "auto" once EWS of Exchange Online has ended: no other route is
// left. Where one server decides, the servers of other forests may be unknown.
func ChooseRoute(
	answer string, features []answers.Feature, c cloud.Cloud, forests []Forest, now time.Time,
) (Choice, error) {
	ended := !now.Before(cloud.EWSEnds)
	least, chosen := fact.Fit, msg.Of("every server has the Graph route")
	if ended {
		least = fact.Untold
		chosen = msg.Of("EWS of Exchange Online has ended, and every server can have the Graph route")
	}
	unfit := func(least fact.Fitness) (at msg.Text, fitness fact.Fitness) {
		for _, f := range forests {
			for _, s := range f.Servers {
				if fitness := s.Build.Fitness(fact.RouteGraph); fitness < least {
					return msg.Of("%s in %s is at %s", s.Name, f.Name, builtAs(s)), fitness
				}
			}
		}
		return msg.Text{}, fact.Fit
	}
	ews := func(reason, need msg.Text) (Choice, error) { return Choice{fact.RouteEWS, reason, need}, nil }
	carried := slices.ContainsFunc(graphFeatures, func(f answers.Feature) bool { return wants(features, f) })
	switch answer {
	case "", "auto":
		switch s, fitness := unfit(least); {
		case !c.GraphCoexistence:
			return ews(msg.Of("%s has no Graph route", c.Title), msg.Text{})
		case !carried && !ended:
			return ews(msg.Of("the features of the answers need EWS: Graph carries free/busy, photos and automatic "+
				"replies alone"), msg.Text{})
		case !s.IsZero() && fitness == fact.Untold:
			return ews(msg.Of("%s, which is not known to have the Graph route", s),
				msg.Of("give the builds with their updates in forests[].exchange.builds; Graph needs Exchange SE at "+
					"15.2.2562.41, and 15.2.2562.53 is recommended"))
		case !s.IsZero():
			return ews(msg.Of("%s, which is not known to have the Graph route", s),
				msg.Of("upgrade every server to Exchange SE at 15.2.2562.53 or later"))
		}
		for _, f := range forests {
			switch {
			case f.Unknown != nil:
				return Choice{}, f.Unknown
			case len(f.Servers) == 0:
				return Choice{}, missing("Exchange servers", "forest "+f.Name)
			}
		}
		return Choice{fact.RouteGraph, chosen, msg.Text{}}, nil
	case string(fact.RouteEWS):
		return ews(msg.Of("the answers ask for it"), msg.Text{})
	case string(fact.RouteGraph):
		if !c.GraphCoexistence {
			return Choice{}, refuse("richCoexistence: graph: %s has no Graph route; use ews", c.Title)
		}
		if s, _ := unfit(fact.Untold); !s.IsZero() {
			return Choice{}, refuse("richCoexistence: graph: %s, which has no Graph route; update it or use ews", s)
		}
		return Choice{fact.RouteGraph, msg.Of("the answers ask for it"), msg.Text{}}, nil
	}
	return Choice{}, refuse("richCoexistence: %q is none of auto, ews, graph", answer)
}

// builtAs shows a server's build and where it is from.
func builtAs(s fact.MailboxServer) msg.Text {
	if s.Given {
		return msg.Of("%s (given in the answers)", s.Build.String())
	}
	return msg.Plain(s.Build.String())
}

// sayRoute says which route lookups take, why, and until when.
func (p *Planner) sayRoute(ctx context.Context) error {
	choice, forests, err := p.choice(ctx)
	if err != nil {
		return err
	}
	ends := cloud.EWSEnds.Format(time.DateOnly)
	if choice.Route == fact.RouteEWS {
		text := msg.Of("lookups from on-premises go by EWS until it ends in Exchange Online on %s, because %s", ends,
			choice.Reason)
		switch {
		case !p.set.Cloud.GraphCoexistence:
			text = msg.Of("%s; nothing takes its place there yet", text)
		case !choice.Need.IsZero():
			text = msg.Of("%s; to move to Microsoft Graph, %s", text, choice.Need)
		}
		p.Note(text)
		return nil
	}
	p.Note(msg.Of("lookups from on-premises go through Microsoft Graph, because %s; free/busy, photos and automatic "+
		"replies take that way, moves to archives in the cloud and other MailTips do not", choice.Reason))
	for _, f := range forests {
		for _, s := range f.Servers {
			if why := s.Build.GraphFault(); !why.IsZero() {
				p.Note(msg.Of("%s in %s is at %s: %s; install 15.2.2562.53 or later", s.Name, f.Name, builtAs(s), why))
			}
		}
	}
	return nil
}

// choice chooses the route of the forests.
func (p *Planner) choice(ctx context.Context) (Choice, []Forest, error) {
	var forests []Forest
	for _, side := range p.set.Forests {
		servers, err := fact.MailboxServers.In(ctx, side)
		forests = append(forests, Forest{Name: side.Name(), Servers: servers, Unknown: err})
	}
	c, err := ChooseRoute(p.Answers.ExchangeOnline.RichCoexistence, p.Answers.Features, p.set.Cloud, forests, p.day())
	return c, forests, err
}

// route returns the route of the forests. It refuses a route that cannot work.
func (p *Planner) route(ctx context.Context) (fact.Route, error) {
	choice, forests, err := p.choice(ctx)
	r, reason := choice.Route, choice.Reason
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
