package freebusy

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hybridge-cli/hybridge/pkg/estate/exchange"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/snapshot"
	"github.com/hybridge-cli/hybridge/pkg/wire/ews"
	"github.com/hybridge-cli/hybridge/pkg/wire/link"
)

// calendars are a calendar per mailbox.
type calendars struct {
	mu   sync.Mutex
	made []string // mailboxes
	in   map[string]Marker
}

func (d *calendars) Find(_ context.Context, m Marker) ([]string, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if _, ok := d.in[m.Subject]; ok {
		return []string{m.Subject}, nil
	}
	return nil, nil
}

func (d *calendars) Create(_ context.Context, m Marker) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.made = append(d.made, m.Mailbox)
	d.in[m.Subject] = m
	return nil
}

func (d *calendars) Delete(_ context.Context, _ Marker, id string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.in, id)
	return nil
}

// at is a calendar of a window that is busy from an hour of the window on, for as long as a marker.
func at(w Window, from time.Duration) View {
	const slot = 30 * time.Minute
	slots := []byte(strings.Repeat("0", int(w.End.Sub(w.Start)/slot)))
	for s := from; s < from+markerLength; s += slot {
		slots[s/slot] = '2'
	}
	return View{Merged: string(slots), Interval: slot}
}

// A marker stands in the calendars that a lookup leaves its side for, and in no other. It is gone
// afterwards. A shift is named as one where the marker shows it too.
func TestMarkersComeAndGo(t *testing.T) {
	found := recipients(map[string]exchange.Object{
		"anna@contoso.example": object("RecipientTypeDetails", "UserMailbox"),
		"bob@contoso.example": object("RecipientTypeDetails", "RemoteUserMailbox", "ExternalEmailAddress",
			"SMTP:bob@contoso.mail.onmicrosoft.com"),
	})
	const begins = 26 * time.Hour // of the marker, in its window
	for shift, want := range map[time.Duration]string{0: "", 2 * time.Hour: "shifted by +2:00 hours"} {
		d := &calendars{in: map[string]Marker{}}
		shown := func(shift time.Duration) func(context.Context, []Pair, Window) ([]Seen, error) {
			return func(_ context.Context, pairs []Pair, w Window) ([]Seen, error) {
				seen := make([]Seen, len(pairs))
				for i, p := range pairs {
					seen[i].View = at(w, 9*time.Hour)
					if w.End.Sub(w.Start) == 72*time.Hour {
						seen[i].View = at(w, begins+shift)
					}
					if strings.HasPrefix(p.To, strangers) {
						seen[i] = Seen{Err: errors.New("ErrorMailRecipientNotFound")}
					}
				}
				return seen, nil
			}
		}
		premises := []Premise{
			{Name: "contoso", Side: exchange.OnPremises, Probe: "ews", Domains: []string{"contoso.example"},
				Session: fakeSession{"Get-Recipient": found, "Get-IntraOrganizationConnector": prints(connector)},
				Ask:     shown(shift)},
			{Name: "online", Side: exchange.Online, Domains: []string{"contoso.mail.onmicrosoft.com"},
				Session: fakeSession{}, Ask: shown(0)},
		}
		kept, done := map[string]bool{}, 0
		markers := &Markers{Diaries: map[string]Diary{"contoso": d, "online": d}, Now: func() time.Time { return thursday }, Keep: func(m Marker) error {
			kept[m.Subject] = true
			return nil
		}, Done: func(Marker) { done++ }}
		r, err := Run(t.Context(), premises, Options{Window: wholeDay, Timeout: time.Second, Markers: markers,
			Pairs: []Pair{{From: "anna@contoso.example", To: "bob@contoso.example"},
				{From: "anna@contoso.example", To: "anna@contoso.example"}}}, silent)
		if err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(d.made, []string{"bob@contoso.example"}) || len(d.in) > 0 || len(kept) != 1 || done != 1 {
			t.Errorf("made for %v, left %v, kept %d, done %d", d.made, d.in, len(kept), done)
		}
		for _, a := range r.Matrix {
			if a.To == "bob@contoso.example" && a.Probe == "ews" &&
				((a.Status == OK) != (want == "") || !strings.Contains(a.Error, want)) {
				t.Errorf("shift %s: %+v", shift, a)
			}
		}
	}
}

// After a cancel, a request that failed is divided no further.
func TestCancelEndsTheDivision(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	ask := func(_ context.Context, pairs []Pair) ([]Seen, error) {
		if len(pairs) == 1 {
			cancel()
			return free(ctx, pairs)
		}
		return nil, &ews.Fault{ResponseCode: "ErrorInvalidSmtpAddress"}
	}
	premises, pairs, _, requests := crowd(100, ask)
	if _, err := Run(ctx, premises, Options{Pairs: pairs}, silent); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if *requests > 4 {
		t.Errorf("%d requests", *requests)
	}
}

// A mailbox's own side that is not reached is asked once: only a refusal is worth asking as the owner.
func TestOwnSideThatIsNotReachedIsAskedOnce(t *testing.T) {
	premises, pairs, _, _ := crowd(3, free)
	asked := 0
	premises[1].Ask = func(_ context.Context, pairs []Pair, _ Window) ([]Seen, error) {
		asked++
		return nil, fmt.Errorf("dial: %w", link.ErrUnreachable)
	}
	r, err := Run(t.Context(), premises, Options{Pairs: pairs, Window: wholeDay}, silent)
	if err != nil || r.Summary.OK != 4 || asked != 1 {
		t.Errorf("%v: %+v, asked %d times", err, r.Summary, asked)
	}
}

// What could not be sent, or is in no snapshot, is unknown. What was answered otherwise is a failure.
func TestSettle(t *testing.T) {
	for _, tt := range []struct {
		err    error
		before bool
		want   Status
	}{
		{nil, false, OK},
		{&refusal{"no"}, true, Failed},
		{errors.New("no"), false, Failed},
		{errors.New("no"), true, Unknown},
		{&noVerdict{errors.New("a log-on page")}, false, Unknown},
		{context.DeadlineExceeded, false, Failed},
		{context.Canceled, false, Unknown},
		{exchange.ErrNoCmdlet, false, Unknown},
		{link.ErrUnreachable, false, Unknown},
		{link.ErrUntrusted, false, Unknown},
		{link.ErrAccess, false, Unknown},
		{snapshot.ErrNotHeld, false, Unknown},
	} {
		if got := settle(Answer{}, tt.err, tt.before); got.Status != tt.want {
			t.Errorf("%v: %s, want %s", tt.err, got.Status, tt.want)
		}
	}
}

// A lookup that is pending is asked for again.
func TestPendingIsAskedAgain(t *testing.T) {
	rounds := 0
	premises, pairs, _, _ := crowd(1, func(ctx context.Context, pairs []Pair) ([]Seen, error) {
		if rounds++; rounds == 1 {
			return []Seen{{Err: &refusal{"no"}}}, nil
		}
		return free(ctx, pairs)
	})
	r, err := Run(t.Context(), premises, Options{Pairs: pairs, UntilOK: time.Minute, Every: time.Millisecond,
		Now: func() time.Time { return thursday }, Following: []Following{{Premise: "online", Kind: "AuthServer",
			At: thursday, Until: thursday.Add(time.Hour)}}}, silent)
	if err != nil || r.Summary.OK != 2 || rounds < 2 {
		t.Errorf("%v: %+v after %d rounds", err, r.Summary, rounds)
	}
}
