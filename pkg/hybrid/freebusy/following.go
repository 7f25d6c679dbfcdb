package freebusy

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/hybridge-cli/hybridge/pkg/engine/msg"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/diagnose"
)

// Following is a change that a system may still be following: until then, a failure that it would
// end is normal.
type Following struct {
	Premise string // where it was made; "" is the directory of the tenant
	Kind    string // noun of the kind
	Name    string // of what was changed
	At      time.Time
	Until   time.Time
}

// takes is how long the systems take to follow a change, as Microsoft documents it, by kind. A
// property of its own wait stands behind a dot.
var takes = map[string]time.Duration{
	"AuthServer":                    15 * time.Minute, // servers read it again
	"AuthServerApplication":         time.Hour,        // or when MSExchangeServicesAppPool is recycled
	"AuthServerGraphRoute":          time.Hour,
	"SettingOverride":               time.Hour,
	"Application":                   time.Hour,
	"KeyCredential":                 time.Hour,
	"ServicePrincipal":              time.Hour,
	"AppRoleAssignment":             time.Hour,
	"OrganizationConfig.EwsEnabled": time.Hour,
	"OrganizationConfig":            24 * time.Hour, // EwsAllowedAppIDs
	"OrganizationRelationship":      30 * time.Minute,
	"IntraOrganizationConnector":    20 * time.Minute, // replication of the directory
	"PartnerApplication":            20 * time.Minute,
	"AvailabilityAddressSpace":      20 * time.Minute,
	"AvailabilityConfig":            20 * time.Minute,
	"WebServicesVirtualDirectory":   20 * time.Minute,
	"AutodiscoverVirtualDirectory":  20 * time.Minute,
	"ServicePrincipalName":          20 * time.Minute,
	"AvailabilityConfiguration":     20 * time.Minute,
	"MailUserAddresses":             20 * time.Minute,
	"RemoteDomainFormat":            20 * time.Minute,
	"OrganizationEws":               20 * time.Minute,
}

// Longest is the longest wait that is documented.
const Longest = 24 * time.Hour

// Takes is how long the systems take to follow a change of some properties of a kind; 0 when no
// wait is documented.
func Takes(kind string, properties []string) time.Duration {
	wait := takes[kind]
	if len(properties) == 1 {
		if own, ok := takes[kind+"."+properties[0]]; ok {
			return own
		}
	}
	return wait
}

// follow says of a failed answer until when the failure is normal, because of changes that its
// sides may still be following. With pending, the answer is pending until then. A cause that the
// error shows counts alone where it names the kinds that end it.
func (a *Answer) follow(changes []Following, now time.Time, pending bool) {
	if a.Status != Failed {
		return
	}
	var ends []string
	for _, d := range a.Diagnosis {
		if row, known := diagnose.Find(diagnose.ID(d.ID)); known {
			ends = append(ends, row.Plan...)
		}
	}
	from, to, _ := strings.Cut(a.Direction, " -> ")
	var last Following
	for _, f := range changes {
		switch {
		case f.Premise != "" && f.Premise != from && f.Premise != to, len(ends) > 0 && !slices.Contains(ends, f.Kind):
		case f.Premise == "" && from != "online" && to != "online":
		case f.Until.After(now) && f.Until.After(last.Until):
			last = f
		}
	}
	if last.Until.IsZero() {
		return
	}
	if pending {
		a.Status = Pending
	}
	a.note(fmt.Sprintf("pending, normal until %s: %s %s was changed at %s, and the servers take up to %s to follow",
		clock(last.Until, now), last.Kind, last.Name, clock(last.At, now), shortly(last.Until.Sub(last.At))))
}

// clock is a time of day, with the date when that is another day.
func clock(t, now time.Time) string {
	t, now = t.Local(), now.Local()
	if t.Format(time.DateOnly) == now.Format(time.DateOnly) {
		return t.Format("15:04")
	}
	return t.Format("2006-01-02 15:04")
}

func shortly(d time.Duration) string {
	if d >= time.Hour {
		return fmt.Sprintf("%d h", int(d.Round(time.Hour)/time.Hour))
	}
	return msg.Plural(int(d.Round(time.Minute)/time.Minute), "%d minute", "%d minutes").String()
}
