package freebusy

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

// The way of a failed lookup is drawn with the first hop that the likely cause breaks.
func TestWay(t *testing.T) {
	connector := "intra-organization connector HybridIOC"
	discovery := "autodiscover https://autodiscover.contoso.com/autodiscover/autodiscover.svc"
	drawn := []string{"online", connector, discovery, "sign-in with a token of Entra", "EWS of contoso",
		"anna@contoso.com"}
	ews := "https://mail.contoso.com/EWS/Exchange.asmx"
	direct := []string{"online", connector, "sign-in with a token of Entra", ews, "anna@contoso.com"}
	for _, c := range []struct {
		name, cause, text string
		route, hops       []string
		broken            string
	}{
		{"nothing is known", "", "", []string{connector, discovery}, drawn, ""},
		{"no route", "", "", []string{"no connector, relationship or address space for contoso.com"},
			[]string{"online", "no connector, relationship or address space for contoso.com", "anna@contoso.com"},
			"no connector, relationship or address space for contoso.com"},
		{"the relationship", "organization.relationship-incomplete", "", []string{connector, discovery}, drawn, connector},
		{"autodiscover", "autodiscover.not-found", "", []string{connector, discovery}, drawn, discovery},
		{"the token", "time.clock-skew", "", []string{connector, discovery}, drawn, "sign-in with a token of Entra"},
		{"EWS", "ews.service-unavailable", "", []string{connector, ews}, direct, ews},
		{"EWS behind autodiscover", "ews.service-unavailable", "", []string{connector, discovery}, drawn, "EWS of contoso"},
		{"the host that the error names", "dns.name-unresolved", "no such host mail.contoso.com",
			[]string{connector, ews}, direct, ews},
		{"the calendar", "mailbox.calendar-permission", "", []string{connector, ews}, direct, "anna@contoso.com"},
		{"the routing address", "user.target-address", "", []string{connector, ews}, direct, "online"},
		{"a layer without a hop", "server.upkeep", "", []string{connector, ews}, direct, connector},
	} {
		t.Run(c.name, func(t *testing.T) {
			a := Answer{From: "bob@contoso.com", To: "anna@contoso.com", Direction: "online -> contoso", Route: c.route,
				Error: c.text}
			if c.cause != "" {
				a.Diagnosis = []Diagnosis{{c.cause, 0.9}}
			}
			p := a.path()
			if diff := cmp.Diff(c.hops, p.Hops); diff != "" {
				t.Error(diff)
			}
			got := ""
			if p.Broken > 0 {
				got = p.Hops[p.Broken-1]
			}
			if got != c.broken {
				t.Errorf("broken at %q, want %q", got, c.broken)
			}
		})
	}
}
