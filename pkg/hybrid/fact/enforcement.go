package fact

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/hybridge-cli/hybridge/pkg/estate/exchange"
)

// ReportedServer is an on-premises server as Exchange Online counts its days of grace.
type ReportedServer struct {
	FQDN, Build string
	// Detected is when Exchange Online first saw the server below the floor. It delays mail of the
	// server from Throttled on, and refuses some from Blocked on.
	Detected, Throttled, Blocked time.Time
	// Next is when the next stage begins, with its minutes per hour.
	Next                       time.Time
	NextThrottled, NextBlocked int64
}

// Enforcement is what Exchange Online says of old servers that hand it mail.
type Enforcement struct {
	// Known: the tenant has the cmdlets that tell.
	Known   bool
	Servers []ReportedServer
	// PausedUntil is the end of a pause of the clock; zero: there is none.
	PausedUntil time.Time
}

const (
	getServerReport = "Get-OnPremServerReportInfo"
	getExemption    = "Get-TenantExemptionInfo"
	// outdatedServers is the scenario of the exemption.
	outdatedServers = "UnpatchedOnPremServer"
)

// EnforcementReport asks for the clock of transport enforcement. Not every tenant and role has the
// cmdlets: they need no right of their own.
var EnforcementReport = func() *Query[Enforcement] {
	q := Session(Online, nil, readEnforcement)
	q.sources = []Source{{System: Online, Ask: getServerReport}, {System: Online, Ask: getExemption}}
	return q
}()

func readEnforcement(ctx context.Context, s exchange.Reader) (e Enforcement, err error) {
	allowed, err := s.Allowed(ctx, getServerReport, getExemption)
	if err != nil {
		return e, err
	}
	if _, e.Known = allowed[getServerReport]; !e.Known {
		return e, nil
	}
	objects, err := s.Read(ctx, exchange.Command{Name: getServerReport})
	if err != nil {
		return e, err
	}
	if e.Servers, err = each(getServerReport, readReportedServer)(objects); err != nil {
		return e, err
	}
	if _, may := allowed[getExemption]; !may {
		return e, nil
	}
	objects, err = s.Read(ctx, exchange.Command{Name: getExemption,
		Parameters: map[string]any{"BlockingScenario": outdatedServers}})
	if err != nil {
		return e, err
	}
	for _, o := range objects {
		// The name of the property is not documented.
		for _, name := range o.Names() {
			if !strings.Contains(strings.ToLower(name), "end") {
				continue
			}
			if end, err := dateOf(o, name); err == nil && end.After(e.PausedUntil) {
				e.PausedUntil = end
			}
		}
	}
	return e, nil
}

func readReportedServer(o exchange.Object) (r ReportedServer, err error) {
	if r.FQDN, err = o.String("ServerFQDN"); err != nil {
		return r, err
	}
	r.Build, _ = o.String("Build")
	r.Detected, _ = dateOf(o, "FirstDetectedDate")
	r.Throttled, _ = dateOf(o, "ThrottleEnabledDate")
	r.Blocked, _ = dateOf(o, "BlockingEnabledDate")
	r.Next, _ = dateOf(o, "NextStageStartDate")
	r.NextThrottled, _ = o.Int("NextStageThrottleRate")
	r.NextBlocked, _ = o.Int("NextStageBlockRate")
	return r, nil
}

// dateOf reads a date that a service prints as a date, or as text of its own culture (US English).
func dateOf(o exchange.Object, name string) (time.Time, error) {
	if t, err := o.Time(name); err == nil {
		return t, nil
	}
	text, err := o.String(name)
	if err != nil {
		return time.Time{}, err
	}
	for _, form := range []string{time.RFC3339, "1/2/2006 3:04:05 PM", "2006-01-02T15:04:05", "1/2/2006"} {
		if t, err := time.Parse(form, text); err == nil {
			return t, nil
		}
	}
	return time.Time{}, fmt.Errorf("%s: %q is no date", name, text)
}
