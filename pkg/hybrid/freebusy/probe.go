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

// EWS asks as a mail client would: GetUserAvailability at the Exchange server of the side where the
// lookup starts. The account is that of the client. The server decides what to ask of the other
// side, and how.
func EWS(client func(ctx context.Context) (*ews.Client, error)) func(ctx context.Context, from, to string,
	w Window) (View, error) {
	return func(ctx context.Context, _, to string, w Window) (View, error) {
		c, err := client(ctx)
		if err != nil {
			return View{}, err
		}
		window := ews.Window{Start: w.Start, End: w.End}
		answer, err := c.Availability(ctx,
			ews.Request{Mailboxes: []string{to}, Window: window, Interval: interval, View: ews.FreeBusyMerged})
		if err != nil {
			return View{}, ownQuestion(err)
		}
		m := answer.Mailboxes[0]
		var no *ews.ResponseError
		if errors.As(m.Err, &no) {
			return View{}, &refusal{no.Error()}
		}
		if m.Err != nil {
			return View{}, m.Err
		}
		merged, ok := m.Slots(window, interval)
		if !ok {
			return View{}, &refusal{"the server answered without free/busy"}
		}
		v := View{Merged: merged, Interval: interval}
		for _, e := range m.Events {
			v.Elsewhere = v.Elsewhere || e.Busy == ews.WorkingElsewhere
		}
		return v, v.judge(w)
	}
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

// Graph asks Exchange Online through getSchedule as the mailbox where the lookup starts.
func Graph(client func(ctx context.Context) (*entra.Client, error)) func(ctx context.Context, from, to string,
	w Window) (View, error) {
	return func(ctx context.Context, from, to string, w Window) (View, error) {
		c, err := client(ctx)
		if err != nil {
			return View{}, err
		}
		schedules, err := c.GetSchedule(ctx,
			entra.ScheduleRequest{As: from, Addresses: []string{to}, Start: w.Start, End: w.End, Interval: interval})
		if err != nil {
			return View{}, err
		}
		if len(schedules) == 0 {
			return View{}, &refusal{"Microsoft Graph answered without a schedule"}
		}
		if schedules[0].Err != nil {
			return View{}, &refusal{schedules[0].Err.Error()}
		}
		v := View{Merged: schedules[0].View, Interval: interval}
		for _, item := range schedules[0].Items {
			v.Elsewhere = v.Elsewhere || item.Status == "workingElsewhere"
		}
		return v, v.judge(w)
	}
}
