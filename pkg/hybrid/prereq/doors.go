package prereq

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/hybridge-cli/hybridge/pkg/config/answers"
	"github.com/hybridge-cli/hybridge/pkg/config/cloud"
	"github.com/hybridge-cli/hybridge/pkg/engine/check"

	"github.com/hybridge-cli/hybridge/pkg/hybrid/fact"
	"github.com/hybridge-cli/hybridge/pkg/wire/ews"
	"github.com/hybridge-cli/hybridge/pkg/wire/finding"
)

// maxSkew is the difference between clocks that Kerberos takes. Tokens take no more.
const maxSkew = 5 * time.Minute

// doorChecks ask each server under its own name, where a load balancer would answer with one of
// many. What answers at the namespaces has separate checks.
var doorChecks = []Check{
	{
		ID:     "servers.gone",
		Title:  "Every server object has a server",
		Source: "issue 14: dead servers",
		Scope:  PerForest, Needs: onPremisesRead, Reads: fact.List(fact.Doors),
		Why: "DNS has no address for the server, and has one for others of the forest: it was removed without " +
			"uninstalling Exchange. Exchange and Microsoft's wizard go on using the object, for connectors and moves.",
		Fix: "Bring the server back with setup.exe /m:RecoverServer and uninstall Exchange, or remove its object as " +
			"Microsoft describes for a lost server.",
		Consider: "Databases, connectors and arbitration mailboxes of the server must be moved or removed first.",
		Run: look(fact.Doors, "%s server object has no server", "%s server objects have no server",
			always(func(_ Input, d fact.Door) flaw {
				if !d.Gone {
					return flaw{}
				}
				return flaw{object: d.Server + " (" + d.Host + ")"}
			})),
	},
	{
		ID:     "servers.tls",
		Title:  "Every server takes TLS 1.2",
		Source: "issue 14: TLS 1.2 and 1.3; exchange-hybrid 1.8",
		Scope:  PerForest, Needs: onPremisesRead, Reads: fact.List(fact.Doors),
		Why: "Exchange Online speaks TLS 1.2 and later only, and servers of the forest speak with one another. A " +
			"server with old settings fails the lookups that the load balancer leads to it.",
		Fix: "Enable TLS 1.2 with ECDHE cipher suites in Schannel and .NET on the servers named, and restart " +
			"them.",
		Consider: "Old clients and devices that speak TLS 1.0 alone go on only where that stays enabled too.",
		Run: doors(func(Input) bool { return true }, "%s server refuses TLS 1.2", "%s servers refuse TLS 1.2",
			func(_ Input, d fact.Door) (flaw, error) {
				if d.Err == nil {
					return flaw{}, nil
				}
				if f := ews.JudgeConnection(d.Host, d.Err); f.Level == finding.Wrong {
					return flaw{object: d.Server + " (" + f.ID + ")"}, nil
				}
				return flaw{}, d.Err
			}),
	},
	{
		ID:     "servers.ews",
		Title:  "EWS of every server answers",
		Source: "issue 14: each server asked, not the balancer",
		Scope:  PerForest, Needs: onPremisesRead, Reads: fact.List(fact.Doors),
		Why: "The load balancer leads one lookup to a healthy server and the next to this one: free/busy comes and " +
			"goes.",
		Fix: "Recycle the application pool of EWS on the servers named, and take them out of the load balancer " +
			"meanwhile.",
		Consider: "Recycling ends the requests that run on the server.",
		Run: doors(func(Input) bool { return true }, "EWS of %s server does not answer",
			"EWS of %s servers does not answer",
			opened(func(d fact.Door) ews.Front { return d.EWS })),
	},
	{
		ID:     "servers.autodiscover",
		Title:  "Autodiscover of every server answers",
		Source: "issue 14: each server asked, not the balancer",
		Scope:  PerForest, Needs: onPremisesRead, Reads: fact.List(fact.Doors),
		Why: "The tenant asks autodiscover for the address of EWS. A server that does not answer fails the lookups " +
			"that the load balancer leads to it.",
		Fix: "Recycle the application pool of autodiscover on the servers named, and take them out of the load " +
			"balancer meanwhile.",
		Consider: "Recycling ends the requests that run on the server.",
		Run: doors(func(Input) bool { return true }, "autodiscover of %s server does not answer",
			"autodiscover of %s servers does not answer",
			opened(func(d fact.Door) ews.Front { return d.Autodiscover })),
	},
	{
		ID:     "servers.mrs-proxy",
		Title:  "MRSProxy of every server that has it answers",
		Source: "issue 14: MRSProxy; facts G 37",
		Scope:  PerForest, Needs: onPremisesRead, Reads: fact.List(fact.Doors, fact.VirtualDirectories),
		Why: "Moves go through MRSProxy of the server that the load balancer chooses. A stopped application pool or " +
			"component answers 503, and batches fail by chance.",
		Fix: "Recycle the application pool MSExchangeServicesAppPool on the servers named, and look at their " +
			"components.",
		Consider: "Recycling interrupts the moves that run through the server; they go on by themselves.",
		Run: func(ctx context.Context, in Input) check.Result {
			directories, err := fact.VirtualDirectories.In(ctx, in.Forest)
			if err != nil {
				return check.Unknown(err)
			}
			open := map[string]bool{}
			for _, d := range directories {
				open[d.Server()] = open[d.Server()] || d.MRSProxy
			}
			judge := opened(func(d fact.Door) ews.Front { return d.MRSProxy })
			return doors(func(in Input) bool { return wants(in, answers.MoveMailbox) },
				"MRSProxy of %s server does not answer",
				"MRSProxy of %s servers does not answer", func(in Input, d fact.Door) (flaw, error) {
					if !open[d.Server] {
						return flaw{}, nil
					}
					return judge(in, d)
				})(ctx, in)
		},
	},
	{
		ID:     "servers.clock",
		Title:  "The clocks of the servers are right",
		Source: "issue 14: clock skew on every host",
		Scope:  PerForest, Needs: onPremisesRead, Reads: fact.List(fact.Doors),
		Why: "Tokens hold for minutes before and after their times. A server whose clock is off by more than five " +
			"minutes refuses the tenant's tokens, and the tenant refuses its own; Kerberos fails as well.",
		Fix: "Let the server take its time from the domain (w32tm /resync). Where all servers differ alike, the " +
			"clock of this machine is wrong.",
		Consider: "Tickets and sessions end when the clock jumps.",
		Run: doors(func(Input) bool { return true }, "the clock of %s server is wrong",
			"the clocks of %s servers are wrong",
			func(_ Input, d fact.Door) (flaw, error) {
				switch {
				case d.Err != nil:
					return flaw{}, d.Err
				case d.Ahead == nil:
					return flaw{}, fmt.Errorf("%s shows no time", d.Host)
				case d.Ahead.Abs() <= maxSkew:
					return flaw{}, nil
				case *d.Ahead > 0:
					return flaw{object: d.Server + " (" + d.Ahead.String() + " ahead)"}, nil
				}
				return flaw{object: d.Server + " (" + d.Ahead.Abs().String() + " behind)"}, nil
			}),
	},
	{
		ID:     "certificates.web-each",
		Title:  "The servers present one certificate for the web services",
		Source: "issue 14: certificates on every server",
		Scope:  PerForest, Needs: onPremisesRead, Reads: fact.List(fact.Doors),
		Why: "A server that kept the old certificate fails the lookups that the load balancer leads to it, from the " +
			"day on which the old certificate ends.",
		Fix:      "Import the newest certificate on every server, and enable it for IIS there.",
		Consider: "Outlook reconnects. A device that pins the old certificate must learn the new one.",
		Run: func(ctx context.Context, in Input) check.Result {
			all, err := fact.Doors.In(ctx, in.Forest)
			if err != nil {
				return check.Unknown(err)
			}
			var differ []string
			for _, name := range namespaces(in.Forest) {
				holders := map[string][]string{}
				for _, d := range all {
					if leaf := d.Presented[name]; len(leaf) > 0 {
						key := leaf[0].NotAfter.UTC().Format(time.DateOnly) + " " + leaf[0].SerialNumber.Text(16)
						holders[key] = append(holders[key], d.Server)
					}
				}
				if len(holders) < 2 {
					continue
				}
				text := name + ":"
				for _, key := range sorted(holders) {
					text += " " + strings.Join(holders[key], ", ") + " until " + key[:len(time.DateOnly)] + ";"
				}
				differ = append(differ, text[:len(text)-1])
			}
			if len(differ) > 0 {
				return check.Failed("the servers of forest %s present different certificates: %s", in.Forest.Name(),
					someOf(differ)).With("names", differ)
			}
			return check.Pass("the servers of forest %s present one certificate per name", in.Forest.Name())
		},
	},
}

// doors judges the servers that DNS knows, one by one.
func doors(
	needs func(Input) bool, one, many string, judge func(in Input, d fact.Door) (flaw, error),
) func(context.Context, Input) check.Result {
	return wanted(needs, look(fact.Doors, one, many, func(_ context.Context, in Input, d fact.Door) (flaw, error) {
		if d.Gone {
			return flaw{}, nil // servers.gone fails on it
		}
		return judge(in, d)
	}))
}

// opened judges what one address of a server answers.
func opened(front func(fact.Door) ews.Front) func(Input, fact.Door) (flaw, error) {
	return func(in Input, d fact.Door) (flaw, error) {
		if d.Err != nil {
			return flaw{}, d.Err
		}
		worst, found := finding.Worst(front(d).Judge(cloud.IsExchangeOnline))
		switch {
		case !found || worst.Level < finding.Doubtful:
			return flaw{}, nil
		case worst.Level == finding.Wrong || worst.Level == finding.Doubtful:
			return flaw{object: d.Server + " (" + worst.String() + ")"}, nil
		}
		return flaw{}, errors.New(worst.String())
	}
}
