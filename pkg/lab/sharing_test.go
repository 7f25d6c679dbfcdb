package lab

import (
	"strings"
	"testing"

	"github.com/hybridge-cli/hybridge/pkg/lab/entra"
	"github.com/hybridge-cli/hybridge/pkg/wire/ews"
	"github.com/hybridge-cli/hybridge/pkg/wire/link"
)

// The organization relationship of the side that answers decides what the other side's people see.
func TestAnsweringSideDecides(t *testing.T) {
	l := start(t)
	f := l.contoso()
	configure(t, l, f)
	relate(t, l.tenant.org, "O365 to On-premises", f.domain)
	relate(t, f.org, "On-premises to O365", coexistenceDomain)
	toTenant := func() (ews.Calendar, error) {
		found, err := answering{f.premise, f.domain, ""}.Availability(t.Context(), ews.Query{
			Caller: link.Caller{Scheme: "NTLM", User: f.local().primary}, Mailboxes: []string{f.moved().primary},
			Window: today(),
		})
		if err != nil {
			return ews.Calendar{}, err
		}
		return found[0], found[0].Err
	}
	toForest := func() (ews.Calendar, error) {
		found, err := l.tenant.schedules(entra.ScheduleQuestion{AppID: l.tenant.automationID, As: f.moved().primary,
			Addresses: []string{f.local().primary}, Start: today().Start, End: today().End})
		if err == nil && found[0].ErrorCode != "" {
			err = failed(found[0].ErrorCode, "%s", found[0].Message)
		}
		return ews.Calendar{}, err
	}
	for name, side := range map[string]struct {
		ask    func() (ews.Calendar, error)
		object func() interface{ Set(string, any) }
	}{
		"to the tenant": {toTenant, func() interface{ Set(string, any) } {
			return l.tenant.org.Object("OrganizationRelationship", "O365 to On-premises "+f.domain)
		}},
		"to the forest": {toForest, func() interface{ Set(string, any) } {
			return f.org.Object("OrganizationRelationship", "On-premises to O365 "+coexistenceDomain)
		}},
	} {
		for _, c := range []struct {
			property    string
			value, back any
			refused     bool
		}{
			{"Enabled", false, true, true},
			{"FreeBusyAccessEnabled", false, true, true},
			{"FreeBusyAccessLevel", "None", "LimitedDetails", true},
			{"FreeBusyAccessLevel", "AvailabilityOnly", "LimitedDetails", false},
			{"DomainNames", []string{"elsewhere.example"}, nil, true},
		} {
			object := side.object()
			if c.back == nil {
				c.back = []string{f.domain}
				if name == "to the forest" {
					c.back = []string{coexistenceDomain}
				}
			}
			object.Set(c.property, c.value)
			_, err := side.ask()
			if (err != nil) != c.refused || err != nil && !strings.Contains(err.Error(), "ErrorNoFreeBusyAccess") {
				t.Errorf("%s, %s %v: %v", name, c.property, c.value, err)
			}
			object.Set(c.property, c.back)
		}
		if _, err := side.ask(); err != nil {
			t.Errorf("%s, as before: %v", name, err)
		}
	}
}
