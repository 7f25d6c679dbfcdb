package freebusy

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/hybridge-cli/hybridge/pkg/estate/exchange"
	"github.com/hybridge-cli/hybridge/pkg/wire/ews"
	"github.com/hybridge-cli/hybridge/pkg/wire/link"
)

// A side that answers for a mailbox that does not exist would answer anything: a service without
// cmdlets, an organization, and Exchange Online alike. Each direction is asked once.
func TestFreeEverywhereProvesNothing(t *testing.T) {
	strangersOf := func(answers string, seen *[]string) func(context.Context, []Pair, Window) ([]Seen, error) {
		return each(func(_, to string) (View, error) {
			if strings.HasPrefix(to, strangers) {
				*seen = append(*seen, domainOf(to))
				if answers != "everything" {
					return View{}, errors.New("ErrorMailRecipientNotFound")
				}
			}
			return View{Merged: "0"}, nil
		})
	}
	for answers, want := range map[string]Status{"everything": Failed, "what exists": OK} {
		var asked []string
		amazon := Premise{Name: "workmail", Probe: "ews", Domains: []string{"contoso.example"},
			Has:   func(context.Context, string) (bool, error) { return true, nil },
			Route: func(context.Context, string) ([]string, error) { return nil, nil },
			Ask:   strangersOf(answers, &asked)}
		exchange := estate(nil, object("ResultType", "Success"))
		for i := range exchange {
			exchange[i].Ask = strangersOf(answers, &asked)
		}
		for name, tt := range map[string]struct {
			premises []Premise
			pairs    []Pair
			domains  string
		}{
			"workmail": {[]Premise{amazon}, []Pair{{"anna@contoso.example", "bob@contoso.example"}}, "contoso.example"},
			"to online": {exchange, []Pair{{"anna@contoso.example", "carla@contoso.example"},
				{"anna@contoso.example", "carla@contoso.example"}}, "contoso.mail.onmicrosoft.com"},
			"from online": {exchange, []Pair{{"carla@contoso.example", "anna@contoso.example"}}, "contoso.example"},
			"at home":     {exchange, []Pair{{"anna@contoso.example", "anna@contoso.example"}}, "contoso.example"},
		} {
			asked = nil
			r, err := Run(t.Context(), tt.premises, Options{Pairs: tt.pairs}, silent)
			if err != nil || strings.Join(asked, " ") != tt.domains {
				t.Errorf("%s, %s: %v, asked for %v", name, answers, err, asked)
			}
			for _, a := range r.Matrix {
				if a.Probe != "test-oauthconnectivity" &&
					(a.Status != want || want == Failed && !strings.Contains(a.Error, "prove nothing")) {
					t.Errorf("%s, %s: %+v", name, answers, a)
				}
			}
		}
	}
}

// A server that is busy is not asked for parts of the request; an answer for fewer mailboxes than
// asked is not spread over them.
func TestAnswersThatAreNotDivided(t *testing.T) {
	for name, tt := range map[string]struct {
		ask      func(context.Context, []Pair) ([]Seen, error)
		requests int
		says     string
	}{
		"busy": {func(context.Context, []Pair) ([]Seen, error) {
			return nil, &ews.Fault{ResponseCode: "ErrorServerBusy"}
		}, 1, "ErrorServerBusy"},
		"short": {func(ctx context.Context, pairs []Pair) ([]Seen, error) { return free(ctx, pairs[1:]) }, 4,
			"asked for 1 mailboxes, answered for 0"},
	} {
		premises, pairs, _, requests := crowd(8, tt.ask)
		r, err := Run(t.Context(), premises, Options{Pairs: pairs}, silent)
		if err != nil || *requests != tt.requests || r.Summary.OK != 1 {
			t.Errorf("%s: %v, %d requests, %+v", name, err, *requests, r.Summary)
		}
		for _, a := range r.Matrix {
			if a.Probe == "ews" && !strings.Contains(a.Error, tt.says) {
				t.Errorf("%s: %+v", name, a)
			}
		}
	}
}

// A calendar that is closed to the first asker is read as its owner, so that its times are compared.
func TestClosedCalendarIsReadAsItsOwner(t *testing.T) {
	premises, pairs, _, _ := crowd(3, func(_ context.Context, pairs []Pair) ([]Seen, error) {
		seen := make([]Seen, len(pairs))
		for i := range seen {
			seen[i].View = day(11, 12)
		}
		return seen, nil
	})
	premises[1].Ask = each(func(from, to string) (View, error) {
		if from != to {
			return View{}, &refusal{"ErrorAccessDenied"}
		}
		return day(9, 10), nil
	})
	r, err := Run(t.Context(), premises, Options{Pairs: pairs, Window: wholeDay}, silent)
	if err != nil || r.Summary.Failed != 3 {
		t.Fatal(err, r.Summary)
	}
	for _, a := range r.Matrix {
		if a.Probe == "ews" && !strings.Contains(a.Error, "shifted by +2:00 hours") {
			t.Errorf("%+v", a)
		}
	}
}

// What could not be asked is asked again, as what failed is.
func TestUntilOKAsksAgainForUnknown(t *testing.T) {
	round := 0
	premises, pairs, _, _ := crowd(2, func(ctx context.Context, pairs []Pair) ([]Seen, error) {
		if round++; round == 1 {
			return nil, fmt.Errorf("dial: %w", link.ErrUnreachable)
		}
		return free(ctx, pairs)
	})
	r, err := Run(t.Context(), premises, Options{Pairs: pairs, UntilOK: time.Minute, Every: time.Millisecond}, silent)
	if err != nil || round != 2 || r.Summary.OK != 3 {
		t.Errorf("%v, %d rounds, %+v", err, round, r.Summary)
	}
}

// Two forests that ask for one domain each have a route of their own.
func TestRouteIsOfOnePremise(t *testing.T) {
	r := newRound(nil, Options{}, silent)
	with := Premise{Name: "contoso", Session: fakeSession{"Get-IntraOrganizationConnector": prints(connector)}}
	without := Premise{Name: "fabrikam", Session: fakeSession{"Get-IntraOrganizationConnector": prints(),
		"Get-OrganizationRelationship": prints(), "Get-AvailabilityAddressSpace": prints()}}
	const address = "bob@contoso.mail.onmicrosoft.com"
	first, err := r.route(t.Context(), with, address)
	second, err2 := r.route(t.Context(), without, address)
	if errors.Join(err, err2) != nil || len(first) == 0 || len(second) > 0 {
		t.Errorf("%v %v, %v", first, second, errors.Join(err, err2))
	}
}

// An address that two recipients have is looked up alone, for Exchange to say what it is. A side
// that refused us is not asked again: accounts are locked by that.
func TestRemembered(t *testing.T) {
	asked, singles := 0, 0
	var refuse error
	s := &remembered{Reader: fakeSession{"Get-Recipient": func(p map[string]any) ([]exchange.Object, error) {
		asked++
		if _, many := p["Filter"]; !many {
			singles++
			return nil, refuse
		}
		var found []exchange.Object
		for i := range 8 {
			found = append(found, object("EmailAddresses", []any{fmt.Sprintf("SMTP:u%d@x", i), "smtp:twice@x"}))
		}
		return found, nil
	}}}
	addresses := []string{"twice@x"}
	for i := range 8 {
		addresses = append(addresses, fmt.Sprintf("u%d@x", i))
	}
	ask := func(address string) error {
		_, err := s.Read(t.Context(), exchange.Command{Name: getRecipient, Parameters: map[string]any{"Identity": address}})
		return err
	}
	s.foresee(t.Context(), addresses)
	if err := ask("U3@x"); err != nil || asked != 1 {
		t.Errorf("%v, asked %d times; want what was read together", err, asked)
	}
	if _ = ask("twice@x"); singles != 1 {
		t.Errorf("an address of two recipients was looked up %d times", singles)
	}
	refuse = fmt.Errorf("401: %w", link.ErrAccess)
	for _, address := range []string{"a@x", "b@x", "c@x"} {
		if err := ask(address); !errors.Is(err, link.ErrAccess) {
			t.Error(err)
		}
	}
	if singles != 2 {
		t.Errorf("a side that refused us was asked %d times", singles-1)
	}
}

// A marker shows at its time or the lookup failed. An answer without an interval says neither.
func TestMarkerShows(t *testing.T) {
	m := Marker{Start: wholeDay.Start.Add(9 * time.Hour), End: wholeDay.Start.Add(11 * time.Hour)}
	var no *refusal
	var none *noVerdict
	if err := m.shows(day(9, 11), wholeDay); err != nil {
		t.Error(err)
	}
	for _, v := range []View{day(11, 13), day(9, 10), {Merged: "22", Interval: 30 * time.Minute}} {
		if err := m.shows(v, wholeDay); !errors.As(err, &no) {
			t.Errorf("%v: %v", v, err)
		}
	}
	if err := m.shows(View{Merged: "22"}, wholeDay); !errors.As(err, &none) {
		t.Errorf("no interval: %v", err)
	}
}

// diary is a calendar that keeps nothing.
type diary struct{}

func (diary) Find(context.Context, Marker) ([]string, error) { return nil, nil }
func (diary) Create(context.Context, Marker) error           { return nil }
func (diary) Delete(context.Context, Marker, string) error   { return nil }

// With markers, a view that shows none of them fails.
func TestMarkerIsCompared(t *testing.T) {
	premises, pairs, _, _ := crowd(1, func(_ context.Context, pairs []Pair) ([]Seen, error) {
		return []Seen{{View: View{Merged: strings.Repeat("0", 144), Interval: 30 * time.Minute}}}, nil
	})
	r, err := Run(t.Context(), premises, Options{Pairs: pairs, Markers: &Markers{
		Diaries: map[string]Diary{premises[1].Name: diary{}}, Keep: func(Marker) error { return nil },
		Done: func(Marker) {}, Now: time.Now}}, silent)
	if err != nil || r.Matrix[0].Status != Failed || !strings.Contains(r.Matrix[0].Error, "free at all times") {
		t.Errorf("%v %+v", err, r.Matrix)
	}
}
