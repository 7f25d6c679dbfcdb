package freebusy

import (
	"context"
	"strings"
	"testing"
	"time"
)

// A failure that a recent change ends is pending until the servers have followed it, as far as the
// error and the direction fit.
func TestFollowing(t *testing.T) {
	now := time.Date(2026, 11, 27, 14, 0, 0, 0, time.Local)
	const forbidden = "the request failed with HTTP status 403: Forbidden" // diagnosed: oauth.application-not-active
	override := Following{Premise: "contoso", Kind: "SettingOverride", Name: "EnableExchangeHybrid3PAppFeature",
		At: now.Add(-10 * time.Minute), Until: now.Add(50 * time.Minute)}
	with := func(change func(*Following)) Following {
		f := override
		change(&f)
		return f
	}
	for name, tt := range map[string]struct {
		change    Following
		direction string
		status    Status
		err       string
		want      Status
		note      string
	}{
		"just applied": {override, "contoso -> online", Failed, forbidden, Pending,
			"pending, normal until 14:50: SettingOverride EnableExchangeHybrid3PAppFeature was changed at 13:50, and the " +
				"servers take up to 1 h to follow"},
		"an error without a known cause": {override, "contoso -> online", Failed, "no", Pending, "normal until 14:50"},
		"long ago": {with(func(f *Following) { f.Until = now.Add(-time.Minute) }), "contoso -> online", Failed,
			forbidden, Failed, ""},
		"of another forest": {with(func(f *Following) { f.Premise = "fabrikam" }), "contoso -> online", Failed,
			forbidden, Failed, ""},
		"of the tenant's directory": {with(func(f *Following) { f.Premise, f.Kind = "", "Application" }),
			"contoso -> online", Failed, forbidden, Pending, "Application"},
		"of the tenant's directory, between forests": {with(func(f *Following) { f.Premise = "" }),
			"contoso -> fabrikam", Failed, "no", Failed, ""},
		"a kind that does not end this cause": {with(func(f *Following) { f.Kind = "OrganizationRelationship" }),
			"contoso -> online", Failed, forbidden, Failed, ""},
		"could not be asked": {override, "contoso -> online", Unknown, forbidden, Unknown, ""},
		"tomorrow": {with(func(f *Following) { f.Until = now.Add(24 * time.Hour) }), "contoso -> online", Failed,
			forbidden, Pending, "normal until 2026-11-28 14:00"},
	} {
		a := Answer{Direction: tt.direction, Status: tt.status, Error: tt.err}
		a.Diagnosis = suspected(a)
		a.follow([]Following{tt.change}, now, true)
		if a.Status != tt.want || !strings.Contains(a.Note, tt.note) || tt.note == "" && a.Note != "" {
			t.Errorf("%s: %s %q", name, a.Status, a.Note)
		}
		a.Status = tt.status
		if a.follow([]Following{tt.change}, now, false); a.Status != tt.status {
			t.Errorf("%s: %s without --until-ok", name, a.Status)
		}
	}
}

// --until-ok ends with what is pending.
func TestUntilOKSaysPending(t *testing.T) {
	premises, pairs, _, _ := crowd(2, func(_ context.Context, pairs []Pair) ([]Seen, error) {
		seen := make([]Seen, len(pairs))
		for i := range seen {
			seen[i].Err = &refusal{"not yet"}
		}
		return seen, nil
	})
	now := time.Now()
	r, err := Run(t.Context(), premises, Options{Pairs: pairs, UntilOK: 20 * time.Millisecond, Every: time.Millisecond,
		Following: []Following{{Premise: "online", Kind: "OrganizationRelationship", At: now, Until: now.Add(time.Hour)}}},
		silent)
	if err != nil || r.Summary.Pending != 2 || r.Summary.Failed > 0 {
		t.Errorf("%v %+v", err, r.Summary)
	}
}

// The waits are those of kinds and properties.
func TestTakes(t *testing.T) {
	for _, tt := range []struct {
		kind       string
		properties []string
		want       time.Duration
	}{
		{"OrganizationConfig", []string{"EwsEnabled"}, time.Hour},
		{"OrganizationConfig", []string{"EwsAllowedAppIDs", "EwsEnabled"}, 24 * time.Hour},
		{"SettingOverride", []string{"Parameters"}, time.Hour}, {"SendConnector", nil, 0},
	} {
		if got := Takes(tt.kind, tt.properties); got != tt.want || got > Longest {
			t.Errorf("%s %v: %s", tt.kind, tt.properties, got)
		}
	}
}
