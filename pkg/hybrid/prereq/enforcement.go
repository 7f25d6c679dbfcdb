package prereq

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/hybridge-cli/hybridge/pkg/engine/check"
	"github.com/hybridge-cli/hybridge/pkg/engine/msg"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/fact"
)

var enforcementChecks = []Check{{
	ID:    "transport.enforcement",
	Title: "Servers that hand mail to the tenant are new enough for it",
	Scope: PerForest,
	Needs: []check.ID{"access.onprem-read"},
	Reads: fact.List(fact.Servers, fact.SendConnectors, fact.EnforcementReport),
	Why: "Exchange Online reads the build of the server that hands mail over at a connector of the organization. For " +
		"an old one a clock of 90 days runs: after 30 days it delays mail for 5, 10, then 20 minutes per hour (450 " +
		"4.7.230), after 60 it refuses some, after 90 all (550 5.7.230). In September 2026 the floor rose to the " +
		"updates of October 2025; the next rise is above every public update of Exchange 2019 and 2016.",
	Fix: "Update the servers, or move the send connector to servers with Exchange Server SE. In Exchange Online " +
		"PowerShell, an administrator may pause the clock for 90 days a year; a pause cannot be ended early, and the " +
		"clock goes on where it stopped.",
	Consider: "Servers that become sources of the connector need the transport certificate and port 25 to the " +
		"internet.",
	Run: mailOnly(judgeEnforcement),
}}

// source is a server that hands mail to the tenant, or will.
type source struct {
	fact.Server
	reported *fact.ReportedServer // nil: Exchange Online does not count it
}

// mailSources are the servers that hand mail to the tenant: the sources of the connectors, or all
// that a connector will have.
func mailSources(ctx context.Context, in Input) ([]source, fact.Enforcement, error) {
	coexistence, err := coexistenceDomain(ctx, in)
	if err != nil {
		return nil, fact.Enforcement{}, err
	}
	servers, err := fact.Servers.In(ctx, in.Forest)
	if err != nil {
		return nil, fact.Enforcement{}, err
	}
	connectors, err := fact.SendConnectors.In(ctx, in.Forest)
	if err != nil {
		return nil, fact.Enforcement{}, err
	}
	var names []string
	for _, c := range connectors {
		if slices.ContainsFunc(c.AddressSpaces, func(s string) bool {
			domain := spaceDomain(s)
			return domain == coexistence || domain == "*" && c.CloudHeader
		}) {
			names = append(names, c.SourceServers...)
		}
	}
	if len(names) == 0 {
		names = in.Forest.Answers.Edge
	}
	// The builds decide also where the report cannot be read.
	report, _ := fact.EnforcementReport.In(ctx, in.Tenant)
	if err := ctx.Err(); err != nil {
		return nil, report, err
	}
	var out []source
	for _, s := range servers {
		// A connector that is made uses all Mailbox servers.
		if hands := len(names) == 0 && s.Mailbox && !s.Edge; !hands &&
			!slices.ContainsFunc(names, func(name string) bool { return sameServer(name, s.Name) }) {
			continue
		}
		o := source{Server: s}
		i := slices.IndexFunc(report.Servers, func(r fact.ReportedServer) bool {
			return s.FQDN != "" && strings.EqualFold(r.FQDN, s.FQDN)
		})
		if i >= 0 {
			o.reported = &report.Servers[i]
		}
		out = append(out, o)
	}
	if len(out) == 0 && len(names) > 0 {
		return nil, report, fmt.Errorf("%s: Get-ExchangeServer shows none of the servers that hand mail to the "+
			"tenant (%s)", in.Forest.Name(), strings.Join(names, ", "))
	}
	return out, report, nil
}

// judgeEnforcement compares the builds of the servers that hand mail over with the floor, and reads
// the clock where Exchange Online shows it.
func judgeEnforcement(ctx context.Context, in Input) check.Result {
	sources, report, err := mailSources(ctx, in)
	if err != nil {
		return check.Unknown(err)
	}
	var old, ending, unread []string
	var clocks []msg.Text
	for _, s := range sources {
		b, err := s.Build()
		if err != nil {
			unread = append(unread, s.Name)
			continue
		}
		l, _ := b.Line()
		text := s.Name + " (" + b.String() + ")"
		switch {
		case s.reported != nil:
			old, clocks = append(old, text), append(clocks, clock(in.Now(), s.Name, *s.reported))
		case b.HandsOver() == fact.Unfit:
			old = append(old, text)
		case l.EndOfLife:
			ending = append(ending, text)
		}
	}
	switch {
	case len(old) > 0 && in.Now().Before(report.PausedUntil):
		return check.Warned("%s below the build from which Exchange Online takes mail: %s. The clock is paused until "+
			"%s",
			msg.Count(len(old), "%s server is", "%s servers are"), someOf(old), day(report.PausedUntil)).
			With("servers", old).With("pausedUntil", day(report.PausedUntil))
	case len(clocks) > 0:
		return check.Failed("%s below the build from which Exchange Online takes mail: %s",
			msg.Count(len(old), "%s server is", "%s servers are"), some(clocks)).With("servers", old)
	case len(old) > 0:
		return check.Failed("%s below the build from which Exchange Online takes mail: %s",
			msg.Count(len(old), "%s server is", "%s servers are"), someOf(old)).With("servers", old)
	case len(unread) > 0:
		return check.Unknown(fmt.Errorf("%s: builds of %s: not an Exchange build", in.Forest.Name(),
			strings.Join(unread, ", ")))
	case len(ending) > 0:
		return check.Warned("%s mail to the tenant with a version that gets no more updates: %s",
			msg.Count(len(ending), "%s server hands", "%s servers hand"), someOf(ending)).With("servers", ending)
	}
	return check.Pass("every server that hands mail to the tenant has a version with updates")
}

// clock says where a server stands, and what comes next.
func clock(now time.Time, name string, r fact.ReportedServer) msg.Text {
	switch {
	case !r.Blocked.IsZero() && !now.Before(r.Blocked):
		return msg.Of("Exchange Online refuses mail of %s since %s", name, day(r.Blocked))
	case !r.Throttled.IsZero() && !now.Before(r.Throttled) && !r.Blocked.IsZero():
		return msg.Of("Exchange Online delays mail of %s since %s, and refuses some in %s", name, day(r.Throttled),
			daysLeft(days(now, r.Blocked)))
	case !r.Throttled.IsZero() && now.Before(r.Throttled):
		return msg.Of("Exchange Online delays mail of %s in %s", name, daysLeft(days(now, r.Throttled)))
	}
	return msg.Of("Exchange Online counts %s (%s)", name, r.Build)
}
