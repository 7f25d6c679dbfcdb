package freebusy

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/hybridge-cli/hybridge/pkg/engine/observe"
	"github.com/hybridge-cli/hybridge/pkg/estate/exchange"
)

// day returns a calendar of half hours that is busy between the given hours.
func day(busy ...int) View {
	slots := []byte(strings.Repeat("0", 48))
	for i := 0; i+1 < len(busy); i += 2 {
		for s := 2 * busy[i]; s < 2*busy[i+1]; s++ {
			slots[s] = '2'
		}
	}
	return View{Merged: string(slots), Interval: 30 * time.Minute}
}

func TestCompared(t *testing.T) {
	elsewhere := day(9, 10)
	elsewhere.Merged = strings.Replace(elsewhere.Merged, "0", "4", 3)
	for _, tt := range []struct {
		name        string
		seen, own   View
		wrong, note string
	}{
		{"the same", day(9, 10, 14, 16), day(9, 10, 14, 16), "", ""},
		{"tentative and busy", View{strings.Replace(day(9, 10).Merged, "22", "12", 1), 30 * time.Minute, false},
			day(9, 10), "", ""},
		{"elsewhere is free", elsewhere, day(9, 10), "", ""},
		{"two hours later", day(11, 12, 16, 18), day(9, 10, 14, 16), "+2:00 hours", ""},
		{"five hours earlier", day(4, 5, 9, 11), day(9, 10, 14, 16), "-5:00 hours", ""},
		{"out of the window in part", day(1, 2), day(9, 10, 1, 2), "-8:00 hours", ""},
		{"another calendar", day(9, 11), day(9, 10, 14, 16), "", "differ"},
		{"nothing busy there", day(), day(), "", "no busy time"},
		{"free where there is something", day(), day(9, 10), "", "differ"},
		{"other intervals", View{"00", time.Hour, false}, day(9, 10), "", "intervals"},
		{"no intervals", View{"01", 0, false}, View{"10", 0, false}, "", "intervals"},
		{"shorter", View{day(9, 10).Merged[:24], 30 * time.Minute, false}, day(9, 10), "", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			note, err := compared(tt.seen, tt.own)
			if (err == nil) != (tt.wrong == "") || err != nil && !strings.Contains(err.Error(), tt.wrong) ||
				!strings.Contains(note, tt.note) || tt.note == "" && note != "" {
				t.Errorf("%q, %v", note, err)
			}
		})
	}
}

// TestShiftedLookup fails a lookup whose times are shifted, and only notes what could not be
// compared.
func TestShiftedLookup(t *testing.T) {
	premises := func(seen, own View, ownErr error) []Premise {
		found := recipients(map[string]exchange.Object{
			"anna@contoso.example": object("RecipientTypeDetails", "UserMailbox"),
			"bob@contoso.example": object("RecipientTypeDetails", "RemoteUserMailbox", "ExternalEmailAddress",
				"SMTP:bob@contoso.mail.onmicrosoft.com"),
		})
		return []Premise{
			{Name: "contoso", Side: exchange.OnPremises, Probe: "ews", Domains: []string{"contoso.example"},
				Session: fakeSession{"Get-Recipient": found, "Get-IntraOrganizationConnector": prints(connector)},
				Ask: each(func(_, to string) (View, error) {
					if to != "bob@contoso.example" {
						return View{}, errors.New("ErrorMailRecipientNotFound")
					}
					return seen, nil
				})},
			{Name: "online", Side: exchange.Online, Domains: []string{"contoso.mail.onmicrosoft.com"},
				Session: fakeSession{},
				Ask: each(func(from, to string) (View, error) {
					if from != to || to != "bob@contoso.example" {
						t.Errorf("asked for %s as %s", to, from)
					}
					return own, ownErr
				})},
		}
	}
	for _, tt := range []struct {
		name      string
		seen, own View
		err       error
		want      Status
		text      string
	}{
		{"right", day(9, 10), day(9, 10), nil, OK, ""},
		{"shifted", day(11, 12), day(9, 10), nil, Failed, "shifted by +2:00 hours"},
		{"not comparable", day(9, 10), View{}, errors.New("no right"), OK, "no right"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := premises(tt.seen, tt.own, tt.err)
			r, err := Run(t.Context(), p, Options{Window: wholeDay, Timeout: time.Second,
				Pairs: []Pair{{From: "anna@contoso.example", To: "bob@contoso.example"}}},
				observe.Func(func(observe.Event) {}))
			if err != nil || len(r.Matrix) == 0 {
				t.Fatal(r, err)
			}
			a := r.Matrix[0]
			if a.Status != tt.want || !strings.Contains(a.Error+a.Note, tt.text) {
				t.Errorf("%+v", a)
			}
		})
	}
}
