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

	"github.com/hybridge-cli/hybridge/pkg/engine/observe"
	"github.com/hybridge-cli/hybridge/pkg/estate/exchange"
	"github.com/hybridge-cli/hybridge/pkg/wire/ews"
	"github.com/hybridge-cli/hybridge/pkg/wire/link"
)

// counted counts the commands of a session and its requests for calendars.
type counted struct {
	fakeSession
	mu   sync.Mutex
	runs map[string]int
}

func (c *counted) Read(ctx context.Context, command exchange.Command) ([]exchange.Object, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.runs[command.Name]++
	return c.fakeSession.Read(ctx, command)
}

func (c *counted) Allowed(context.Context, ...string) (map[string]exchange.Allowance, error) {
	return nil, nil
}

// crowd is a forest with many people and a tenant with as many. ask answers at the forest.
func crowd(people int, ask func(ctx context.Context, pairs []Pair) ([]Seen, error)) (premises []Premise,
	pairs []Pair, forest *counted, requests *int) {
	known := map[string]exchange.Object{}
	for i := range people {
		here, there := fmt.Sprintf("u%d@contoso.example", i), fmt.Sprintf("c%d@contoso.example", i)
		known[here] = object("RecipientTypeDetails", "UserMailbox", "EmailAddresses", []any{"SMTP:" + here})
		known[there] = object("RecipientTypeDetails", "RemoteUserMailbox", "EmailAddresses", []any{"SMTP:" + there},
			"ExternalEmailAddress", fmt.Sprintf("SMTP:c%d@contoso.mail.onmicrosoft.com", i))
		pairs = append(pairs, Pair{here, there})
	}
	one := recipients(known)
	forest = &counted{runs: map[string]int{}, fakeSession: fakeSession{
		"Get-Recipient": func(p map[string]any) ([]exchange.Object, error) {
			filter, ok := p["Filter"].(string)
			if !ok {
				return one(p)
			}
			var out []exchange.Object
			for part := range strings.SplitSeq(filter, " -or ") {
				address := strings.TrimSuffix(strings.TrimPrefix(part, "EmailAddresses -eq '"), "'")
				if o, ok := known[address]; ok {
					out = append(out, o)
				}
			}
			return out, nil
		},
		"Get-IntraOrganizationConnector": prints(connector),
		"Test-OAuthConnectivity":         prints(object("ResultType", "Success")),
	}}
	premises = estate(func(string, string) (View, error) { return View{Merged: "0"}, nil }, object("ResultType",
		"Success"))
	premises[0].Session = forest
	requests = new(int)
	var mu sync.Mutex
	premises[0].Ask = func(ctx context.Context, pairs []Pair, _ Window) ([]Seen, error) {
		if strings.HasPrefix(pairs[0].To, strangers) {
			return []Seen{{Err: errors.New("ErrorMailRecipientNotFound")}}, nil
		}
		mu.Lock()
		*requests++
		mu.Unlock()
		return ask(ctx, pairs)
	}
	return premises, pairs, forest, requests
}

var silent = observe.Func(func(observe.Event) {})

func free(_ context.Context, pairs []Pair) ([]Seen, error) {
	seen := make([]Seen, len(pairs))
	for i := range seen {
		seen[i].View = View{Merged: "0"}
	}
	return seen, nil
}

// Many pairs cost few requests: mailboxes are asked for together, recipients are read together, and
// the probes of the organization run once.
func TestManyPairsAreAskedTogether(t *testing.T) {
	premises, pairs, forest, requests := crowd(250, free)
	r, err := Run(t.Context(), premises, Options{Pairs: pairs}, silent)
	if err != nil || r.Summary.OK != 251 || r.Summary.Failed+r.Summary.Unknown > 0 {
		t.Fatal(err, r.Summary)
	}
	if *requests != 3 || forest.runs["Test-OAuthConnectivity"] != 1 || forest.runs["Get-Recipient"] != 20 ||
		forest.runs["Get-IntraOrganizationConnector"] != 1 {
		t.Errorf("%d requests, %v", *requests, forest.runs)
	}
	for i, a := range slices.DeleteFunc(r.Matrix, func(a Answer) bool { return a.Probe != "ews" }) {
		if a.From != pairs[i].From || a.To != pairs[i].To || a.Direction != "contoso -> online" || len(a.Route) == 0 {
			t.Fatalf("%d: %+v", i, a)
		}
	}
}

// One mailbox can make a request fail as a whole. The others get their answers.
func TestOneMailboxSpoilsNoOther(t *testing.T) {
	spoilers := []string{"c0@contoso.example", "c77@contoso.example", "c99@contoso.example"}
	fault := &ews.Fault{ResponseCode: "ErrorInvalidSmtpAddress", Message: "no"}
	ask := func(ctx context.Context, pairs []Pair) ([]Seen, error) {
		if slices.ContainsFunc(pairs, func(p Pair) bool { return slices.Contains(spoilers, p.To) }) {
			return nil, fault
		}
		return free(ctx, pairs)
	}
	premises, pairs, _, requests := crowd(100, ask)
	r, err := Run(t.Context(), premises, Options{Pairs: pairs}, silent)
	if err != nil || r.Summary.OK != 98 || r.Summary.Failed != 3 {
		t.Fatal(err, r.Summary)
	}
	for _, a := range r.Matrix {
		if (a.Status != OK) != (a.Probe == "ews" && slices.Contains(spoilers, a.To)) {
			t.Errorf("%+v", a)
		}
	}
	if *requests > 50 {
		t.Errorf("%d requests for three mailboxes of 100", *requests)
	}
}

// A side that is not there is asked once for a hundred mailboxes. One whose requests fail is asked
// for three of them alone.
func TestFailureOfAllCostsFewRequests(t *testing.T) {
	for _, tt := range []struct {
		err      error
		requests int
		want     Status
	}{
		{fmt.Errorf("dial: %w", link.ErrUnreachable), 1, Unknown},
		{fmt.Errorf("401: %w", link.ErrAccess), 1, Unknown},
		{&ews.Fault{ResponseCode: "ErrorInternalServerError"}, 4, Failed},
		{context.DeadlineExceeded, 4, Failed},
	} {
		premises, pairs, _, requests := crowd(100, func(context.Context, []Pair) ([]Seen, error) {
			return nil, tt.err
		})
		r, err := Run(t.Context(), premises, Options{Pairs: pairs}, silent)
		if err != nil || *requests != tt.requests {
			t.Errorf("%v: %v, %d requests", tt.err, err, *requests)
		}
		for _, a := range r.Matrix {
			if a.Probe == "ews" && (a.Status != tt.want || !errors.Is(a.Cause, tt.err)) {
				t.Fatalf("%v: %+v", tt.err, a)
			}
		}
	}
}

// A server that is too slow for a hundred mailboxes at once gets fewer.
func TestSlowServerGetsFewer(t *testing.T) {
	ask := func(ctx context.Context, pairs []Pair) ([]Seen, error) {
		if len(pairs) > 30 {
			<-ctx.Done()
			return nil, ctx.Err()
		}
		return free(ctx, pairs)
	}
	premises, pairs, _, _ := crowd(100, ask)
	r, err := Run(t.Context(), premises, Options{Pairs: pairs, Timeout: 20 * time.Millisecond}, silent)
	if err != nil || r.Summary.OK != 101 {
		t.Fatal(err, r.Summary)
	}
}

// Later rounds ask for what is not ok, and keep the rest.
func TestLaterRoundsAskForTheRest(t *testing.T) {
	round, late := 0, 0
	ask := func(ctx context.Context, pairs []Pair) ([]Seen, error) {
		if round++; round > 1 {
			late += len(pairs)
			return free(ctx, pairs)
		}
		seen, err := free(ctx, pairs)
		seen[3].Err = &refusal{"not yet"}
		return seen, err
	}
	premises, pairs, forest, _ := crowd(20, ask)
	r, err := Run(t.Context(), premises, Options{Pairs: pairs, UntilOK: time.Minute, Every: time.Millisecond}, silent)
	if err != nil || r.Summary.OK != 21 || late != 1 || forest.runs["Test-OAuthConnectivity"] != 1 {
		t.Errorf("%v %+v, %d asked again, %v", err, r.Summary, late, forest.runs)
	}
}

// A panic is an error of the lookups that were asked together.
func TestPanicOfALookup(t *testing.T) {
	premises, pairs, _, _ := crowd(2, func(context.Context, []Pair) ([]Seen, error) { panic("boom") })
	r, err := Run(t.Context(), premises, Options{Pairs: pairs}, silent)
	if err != nil || r.Summary.Failed != 2 || !strings.Contains(r.Matrix[0].Error, "boom") {
		t.Errorf("%v %+v", err, r)
	}
}
