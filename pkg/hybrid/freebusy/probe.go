package freebusy

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/hybridge-cli/hybridge/pkg/estate/entra"
	"github.com/hybridge-cli/hybridge/pkg/wire/ews"
	"github.com/hybridge-cli/hybridge/pkg/wire/link"
)

// interval is the length of a slot of a View.
const interval = 30 * time.Minute

// Calendars answers GetUserAvailability; *ews.Client does.
type Calendars interface {
	Availability(ctx context.Context, r ews.Request) (ews.Response, error)
}

// Schedules answers getSchedule; *entra.Client does.
type Schedules interface {
	GetSchedules(ctx context.Context, requests []entra.ScheduleRequest) ([]entra.Schedules, error)
}

// EWS asks as a mail client would: GetUserAvailability at the Exchange server of the side where the
// lookups start. The account is that of the client. The server decides what to ask of the other
// side, and how.
func EWS(client func(ctx context.Context) (Calendars, error)) func(context.Context, []Pair, Window) ([]Seen, error) {
	return func(ctx context.Context, pairs []Pair, w Window) ([]Seen, error) {
		c, err := client(ctx)
		if err != nil {
			return nil, err
		}
		window := ews.Window{Start: w.Start, End: w.End}
		addresses, at := distinct(pairs)
		answer, err := c.Availability(ctx,
			ews.Request{Mailboxes: addresses, Window: window, Interval: interval, View: ews.FreeBusyMerged})
		if err != nil {
			return nil, ownQuestion(err)
		}
		seen := make([]Seen, len(pairs))
		for i := range pairs {
			seen[i].View, seen[i].Err = viewOf(answer.Mailboxes[at[i]], w)
		}
		return seen, nil
	}
}

// distinct returns the addresses that pairs ask for, each once, and the place of each pair's there.
func distinct(pairs []Pair) (addresses []string, at []int) {
	known := map[string]int{}
	for _, p := range pairs {
		key := strings.ToLower(p.To)
		if _, ok := known[key]; !ok {
			known[key] = len(addresses)
			addresses = append(addresses, p.To)
		}
		at = append(at, known[key])
	}
	return addresses, at
}

func viewOf(m ews.Mailbox, w Window) (View, error) {
	var no *ews.ResponseError
	if errors.As(m.Err, &no) {
		return View{}, &refusal{no.Error()}
	}
	if m.Err != nil {
		return View{}, m.Err
	}
	merged, ok := m.Slots(ews.Window{Start: w.Start, End: w.End}, interval)
	if !ok {
		return View{}, &refusal{"the server answered without free/busy"}
	}
	v := View{Merged: merged, Interval: interval}
	for _, e := range m.Events {
		v.Elsewhere = v.Elsewhere || e.Busy == ews.WorkingElsewhere
	}
	return v, v.judge(w)
}

// ownQuestion classifies an error of our own request to the asking side. A request that was
// diverted before it reached EWS leaves the lookup unknown. A 403 from Exchange itself is an
// answer: EWS is switched off or blocked on the asking side, for every client.
func ownQuestion(err error) error {
	var status *link.StatusError
	var fault *ews.Fault
	switch {
	case errors.As(err, &status) && status.StatusCode == http.StatusForbidden && ews.FromExchange(status.Header):
		return &refusal{err.Error()}
	case errors.As(err, &status), errors.Is(err, ews.ErrNotEWS), errors.As(err, &fault) && fault.Temporary():
		return &noVerdict{err}
	}
	return err
}

// judge returns an error unless a view covers the window and has data.
func (v View) judge(w Window) error {
	if v.Merged == "" {
		return &refusal{"the answer holds no free/busy"}
	}
	slots := int((w.End.Sub(w.Start) + v.Interval - 1) / v.Interval)
	if len(v.Merged) < slots {
		return &refusal{fmt.Sprintf("the answer covers %d of %d slots of %s", len(v.Merged), slots, v.Interval)}
	}
	switch {
	case strings.Trim(v.Merged, "5") == "":
		return &refusal{"the answer says \"no data\" for the whole time: the other side could not read the calendar"}
	case strings.Trim(v.Merged, "45") == "" && !v.Elsewhere:
		// 4 is "no data" of older servers, and "working elsewhere" of newer ones.
		return &refusal{"the answer says \"no data\" or \"working elsewhere\" for the whole time and shows no such " +
			"entry: the other side could not read the calendar"}
	}
	return nil
}

// Graph asks Exchange Online through getSchedule as the mailboxes where the lookups start.
func Graph(client func(ctx context.Context) (Schedules, error)) func(context.Context, []Pair, Window) ([]Seen,
	error) {
	return func(ctx context.Context, pairs []Pair, w Window) ([]Seen, error) {
		c, err := client(ctx)
		if err != nil {
			return nil, err
		}
		seen := make([]Seen, len(pairs))
		rest, err := schedules(ctx, c, pairs, w, seen, inParts(pairs, entra.MaxSchedules))
		if err == nil && len(rest) > 0 { // one address can spoil a request: each is asked alone
			_, err = schedules(ctx, c, pairs, w, seen, rest)
		}
		return seen, err
	}
}

// inParts groups pairs, by their places, into questions of one asker about at most size mailboxes.
func inParts(pairs []Pair, size int) (parts [][]int) {
	open := map[string]int{} // the last part of an asker
	for i, p := range pairs {
		key := strings.ToLower(p.From)
		n, ok := open[key]
		if !ok || len(parts[n]) == size {
			n = len(parts)
			open[key], parts = n, append(parts, nil)
		}
		parts[n] = append(parts[n], i)
	}
	return parts
}

// schedules asks the questions of some parts and fills in what was seen. rest are the pairs of
// refused questions about several mailboxes, each in a part of its own.
func schedules(ctx context.Context, c Schedules, pairs []Pair, w Window, seen []Seen, parts [][]int) (rest [][]int,
	err error) {
	requests := make([]entra.ScheduleRequest, len(parts))
	places := make([][]int, len(parts)) // of each pair's address in its request
	for n, part := range parts {
		var together []Pair
		for _, i := range part {
			together = append(together, pairs[i])
		}
		requests[n] = entra.ScheduleRequest{As: together[0].From, Start: w.Start, End: w.End, Interval: interval}
		requests[n].Addresses, places[n] = distinct(together)
	}
	answers, err := c.GetSchedules(ctx, requests)
	if err != nil {
		return nil, err
	}
	for n, part := range parts {
		var bad *entra.Error
		if len(part) > 1 && errors.As(answers[n].Err, &bad) && bad.Status == http.StatusBadRequest {
			for _, i := range part {
				rest = append(rest, []int{i})
			}
			continue
		}
		for k, i := range part {
			seen[i].View, seen[i].Err = scheduleOf(answers[n], places[n][k], w)
		}
	}
	return rest, nil
}

func scheduleOf(a entra.Schedules, at int, w Window) (View, error) {
	switch {
	case a.Err != nil:
		return View{}, a.Err
	case at >= len(a.Found):
		return View{}, &refusal{"Microsoft Graph answered without a schedule"}
	case a.Found[at].Err != nil:
		return View{}, &refusal{a.Found[at].Err.Error()}
	}
	v := View{Merged: a.Found[at].View, Interval: interval}
	for _, item := range a.Found[at].Items {
		v.Elsewhere = v.Elsewhere || item.Status == "workingElsewhere"
	}
	return v, v.judge(w)
}
