package prereq

import (
	"context"
	"fmt"
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
			var unfit, untold, ending, all []string
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
				all = append(all, text)
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
						"shows its file version.")
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
