package prereq

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/hybridge-cli/hybridge/pkg/config/cloud"
	"github.com/hybridge-cli/hybridge/pkg/engine/check"
	"github.com/hybridge-cli/hybridge/pkg/engine/msg"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/fact"
)

var serverChecks = []Check{
	{
		ID:    "servers.build",
		Title: "Exchange servers are new enough for the chosen route",
		Scope: PerForest,
		Needs: []check.ID{"access.onprem-read"},
		Reads: fact.List(fact.Servers),
		Why: "Lookups as the dedicated application need Exchange SE, or 2019 CU14 or CU15 or 2016 CU23 with " +
			"the April 2025 hotfix update or later; lookups through Microsoft Graph need Exchange SE with " +
			"the May 2026 one. One old server is enough to make some lookups fail: it still signs in as " +
			"the shared application.",
		Fix: "Install the latest cumulative, hotfix and security update on the servers named.",
		Consider: "An update restarts the services of the server, and can replace files that were changed by hand. " +
			"Put the server into maintenance mode, and read the known issues of the update first.",
		Run: func(ctx context.Context, in Input) check.Result {
			servers, err := fact.Servers.In(ctx, in.Forest)
			if err != nil {
				return check.Unknown(err)
			}
			route := fact.Route("") // without a tenant there is none
			if online := in.Answers.ExchangeOnline; online != nil {
				route = fact.RouteEWS
				ended := in.Cloud.GraphCoexistence && !in.Now().Before(cloud.EWSEnds) // no other route is left
				if ended || online.RichCoexistence == string(fact.RouteGraph) {
					route = fact.RouteGraph
				}
			}
			var unfit, untold, ending, faulty, all []string
			outdated := outdatedBuilds(in.Forest.Answers.Exchange.Builds, servers)
			for _, s := range servers {
				if !s.Mailbox || s.Edge {
					continue
				}
				b, err := s.Build()
				if err != nil {
					return check.Unknown(fmt.Errorf("%s: server %s: %w", in.Forest.Name(), s.Name, err))
				}
				text := s.Name + " (" + b.String() + ")"
				if l, ok := b.Line(); ok {
					text = s.Name + " (" + l.Title + ", " + b.String() + ")"
					if l.EndOfLife {
						ending = append(ending, text)
					}
				}
				if s.Given == b {
					text += ", given in the answers"
				}
				all = append(all, text)
				if why := b.GraphFault(); route == fact.RouteGraph && !why.IsZero() {
					faulty = append(faulty, text+": "+why.String())
				}
				switch fitness := b.Fitness(route); {
				case route == "":
				case fitness == fact.Unfit:
					unfit = append(unfit, text)
				case fitness == fact.Untold:
					untold = append(untold, text)
				}
			}
			switch {
			case len(all) == 0:
				return check.Failed("forest %s has no Exchange server with the Mailbox role", in.Forest.Name())
			case len(unfit) > 0:
				return check.Failed("%s too old for the %s route: %s",
					msg.Count(len(unfit), "%s server is", "%s servers are"), route, someOf(unfit)).
					With("servers", unfit)
			case len(untold) > 0:
				return check.Warned("%s at a cumulative update that needs a hotfix update for the %s route, and "+
					"the build number does not show whether it is installed: %s",
					msg.Count(len(untold), "%s server is", "%s servers are"), route, someOf(untold)).
					With("servers", untold).
					Fix("Make sure that the hotfix update is installed: Get-Command ExSetup.exe on the server " +
						"shows its file version. Write it into forests[].exchange.builds.")
			case len(outdated) > 0:
				return check.Warned("forests[].exchange.builds of %s is out of date: %s", in.Forest.Name(),
					someOf(outdated)).With("builds", outdated).
					Because("hybridge goes by the build that Get-ExchangeServer shows for these servers.").
					Fix("Correct the answers file.")
			case len(faulty) > 0:
				return check.Warned("lookups through Microsoft Graph have a known fault at the build of %s: %s",
					msg.Count(len(faulty), "%s server", "%s servers"), someOf(faulty)).With("servers", faulty).
					Fix("Install the September 2026 security update, version 2 (15.2.2562.53) or later.")
			case len(ending) > 0:
				return check.Warned("%s of a version whose support ended on 2025-10-14: %s",
					msg.Count(len(ending), "%s server is", "%s servers are"), someOf(ending)).
					With("servers", ending).
					Because("Exchange 2019 and 2016 get no updates after October 2026, paid ones included, and " +
						"cannot look up through Microsoft Graph: their lookups to the tenant end with EWS " +
						"there on 2027-04-01. Exchange Online slows down and then refuses mail from servers " +
						"without updates.").
					Fix("Upgrade to Exchange Server SE.")
			}
			if route == "" {
				return check.Pass("no route to Exchange Online is configured; the Mailbox servers are %s",
					strings.Join(all, ", ")).
					With("servers", all)
			}
			return check.Pass("%s fit for the %s route: %s",
				msg.Count(len(all), "%s server is", "%s servers are"), route, strings.Join(all, ", ")).
				With("servers", all)
		},
	},
}

// outdatedBuilds lists the builds of the answers that fit no server: the server is not there, or
// shows another cumulative update or a later build.
func outdatedBuilds(given []string, servers []fact.Server) []string {
	var out []string
	for name, b := range fact.GivenBuilds(given) {
		if name == "" {
			if !slices.ContainsFunc(servers, func(s fact.Server) bool { return s.Given == b }) {
				out = append(out, b.String())
			}
			continue
		}
		i := slices.IndexFunc(servers, func(s fact.Server) bool { return strings.EqualFold(s.Name, name) })
		switch {
		case i < 0:
			out = append(out, name+"="+b.String()+" (no such server)")
		case servers[i].Given != b:
			out = append(out, name+"="+b.String()+" ("+servers[i].Version+")")
		}
	}
	slices.Sort(out)
	return out
}
