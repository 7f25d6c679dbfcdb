package freebusy

import (
	"context"
	"errors"
	"time"

	"github.com/hybridge-cli/hybridge/pkg/estate/entra"
	"github.com/hybridge-cli/hybridge/pkg/wire/ews"
)

// interval is the length of a slot of a View.
const interval = 30 * time.Minute

// EWS asks as a mail client would: GetUserAvailability at the Exchange server of the side where the question starts. The account that asks is the
// client's; what is asked of the other side, and how, is that server's affair.
func EWS(client func(ctx context.Context) (*ews.Client, error)) func(ctx context.Context, from, to string, w Window) (View, error) {
	return func(ctx context.Context, _, to string, w Window) (View, error) {
		c, err := client(ctx)
		if err != nil {
			return View{}, err
		}
		window := ews.Window{Start: w.Start, End: w.End}
		answer, err := c.Availability(ctx, ews.Request{Mailboxes: []string{to}, Window: window, Interval: interval, View: ews.FreeBusyMerged})
		if err != nil {
			return View{}, err
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
		return View{Merged: merged, Interval: interval}, nil
	}
}

// Graph asks Exchange Online by getSchedule in the name of the mailbox where the question starts.
func Graph(client func(ctx context.Context) (*entra.Client, error)) func(ctx context.Context, from, to string, w Window) (View, error) {
	return func(ctx context.Context, from, to string, w Window) (View, error) {
		c, err := client(ctx)
		if err != nil {
			return View{}, err
		}
		schedules, err := c.GetSchedule(ctx, entra.ScheduleRequest{As: from, Addresses: []string{to}, Start: w.Start, End: w.End, Interval: interval})
		if err != nil {
			return View{}, err
		}
		if len(schedules) == 0 {
			return View{}, &refusal{"Microsoft Graph answered without a schedule"}
		}
		if schedules[0].Err != nil {
			return View{}, &refusal{schedules[0].Err.Error()}
		}
		return View{Merged: schedules[0].View, Interval: interval}, nil
	}
}
