package freebusy

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/hybridge-cli/hybridge/pkg/estate/entra"
	"github.com/hybridge-cli/hybridge/pkg/wire/ews"
)

// A marker is an appointment of hybridge's own at a known time. It makes a lookup's answer known
// beforehand: whether the times are right shows in every calendar, also in an empty one.

// Marker is one marker. Its subject is unique, so that hybridge finds it again without its id.
type Marker struct {
	Premise string    `json:"premise"`
	Mailbox string    `json:"mailbox"`
	Subject string    `json:"subject"`
	Start   time.Time `json:"start"`
	End     time.Time `json:"end"`
}

// Diary writes the calendars of a premise.
type Diary interface {
	// Find returns the ids of the appointments with a marker's subject, in its window.
	Find(ctx context.Context, m Marker) (ids []string, err error)
	Create(ctx context.Context, m Marker) error
	Delete(ctx context.Context, m Marker, id string) error
}

// Markers says that a run may write markers.
type Markers struct {
	// Diaries write the calendars of premises, by name. One without a diary gets no marker.
	Diaries map[string]Diary
	// Keep records a marker before it is created, so that a later run can remove it.
	Keep func(Marker) error
	// Done forgets a marker that is removed.
	Done func(Marker)
	Now  func() time.Time
}

const (
	markerPrefix = "hybridge test "
	markerText   = "hybridge test --marker created this appointment and removes it again. You may delete it."
	// markerAway is how far from today a marker is: a day on which few calendars are looked at.
	markerAway   = 14 * 24 * time.Hour
	markerLength = 90 * time.Minute
	// removalLimit limits the removal of a marker, also after Ctrl-C.
	removalLimit = 30 * time.Second
)

// window is the day of a marker and the days around it: the largest shift between two time zones
// stays inside.
func (m Marker) window() Window {
	day := m.Start.Truncate(24 * time.Hour)
	return Window{day.Add(-24 * time.Hour), day.Add(48 * time.Hour)}
}

// plant writes a marker into a mailbox. note says why there is none. remove must be called when
// there is one; its note says why the marker stays.
func (k *Markers) plant(ctx context.Context, home Premise, mailbox string, limit time.Duration) (m *Marker, note string,
	remove func() (note string)) {
	refused := func(err error) (*Marker, string, func() string) {
		return nil, fmt.Sprintf("no marker could be written into the calendar of %s: %v", mailbox, err), nil
	}
	diary := k.Diaries[home.Name]
	if diary == nil {
		return refused(fmt.Errorf("hybridge writes no calendars of %s", home.Name))
	}
	start := k.Now().UTC().Truncate(24 * time.Hour).Add(markerAway + 2*time.Hour)
	m = &Marker{Premise: home.Name, Mailbox: mailbox, Subject: markerPrefix + rand.Text(), Start: start,
		End: start.Add(markerLength)}
	if err := k.Keep(*m); err != nil {
		return refused(err)
	}
	remove = func() string {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), removalLimit)
		defer cancel()
		if err := Remove(ctx, diary, *m); err != nil {
			return fmt.Sprintf("the marker %q of %s on %s is still in the calendar (%v); the next hybridge test "+
				"removes it",
				m.Subject, mailbox, m.Start.Format(time.DateOnly), err)
		}
		k.Done(*m)
		return ""
	}
	limited, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	if err := diary.Create(limited, *m); err != nil {
		// A creation without an answer may have happened.
		if left := remove(); left != "" {
			return nil, left, nil
		}
		return refused(err)
	}
	return m, "", remove
}

// Remove deletes a marker, however often it is there, and makes sure that it is gone. It deletes
// nothing that no run can have written.
func Remove(ctx context.Context, d Diary, m Marker) error {
	if len(m.Subject) <= len(markerPrefix) || !strings.HasPrefix(m.Subject, markerPrefix) {
		return fmt.Errorf("%q is not the subject of a marker", m.Subject)
	}
	for range 3 {
		ids, err := d.Find(ctx, m)
		if err != nil || len(ids) == 0 {
			return err
		}
		for _, id := range ids {
			if err := d.Delete(ctx, m, id); err != nil {
				return err
			}
		}
	}
	return errors.New("it was deleted and still shows")
}

// shows reports an error unless a view has the marker at its time.
func (m Marker) shows(v View, w Window) error {
	if v.Interval <= 0 {
		return &noVerdict{errors.New("the answer names no interval: whether the marker shows at its time is unknown")}
	}
	first := int(m.Start.Sub(w.Start) / v.Interval)
	last := int((m.End.Sub(w.Start) + v.Interval - 1) / v.Interval)
	from, to := m.Start.Format(time.RFC3339), m.End.Format(time.RFC3339)
	switch slots := busy(v.Merged); {
	case last <= len(slots) && !strings.Contains(slots[first:last], "0"):
		return nil
	case !strings.Contains(slots, "1"):
		return &refusal{fmt.Sprintf("the marker from %s to %s does not show, nor anything else: the answer is free at "+
			"all times, and not that of the calendar", from, to)}
	}
	return &refusal{fmt.Sprintf("the marker from %s to %s does not show at its time: Exchange Server builds "+
		"15.2.2562.41 to 15.2.2562.46 shift times by the asker's offset from UTC", from, to)}
}

// EWSDiary writes calendars through EWS, with the client's own rights at the mailbox.
func EWSDiary(client func(ctx context.Context) (*ews.Client, error)) Diary { return ewsDiary{client} }

type ewsDiary struct {
	client func(ctx context.Context) (*ews.Client, error)
}

func (d ewsDiary) Find(ctx context.Context, m Marker) (ids []string, err error) {
	c, err := d.client(ctx)
	if err != nil {
		return nil, err
	}
	found, err := c.Appointments(ctx, m.Mailbox, ews.Window{Start: m.Start, End: m.End})
	for _, a := range found {
		if a.Subject == m.Subject {
			ids = append(ids, a.ID)
		}
	}
	return ids, err
}

func (d ewsDiary) Create(ctx context.Context, m Marker) error {
	c, err := d.client(ctx)
	if err != nil {
		return err
	}
	_, err = c.CreateAppointment(ctx, m.Mailbox,
		ews.Appointment{Subject: m.Subject, Body: markerText, Start: m.Start, End: m.End})
	return err
}

func (d ewsDiary) Delete(ctx context.Context, m Marker, id string) error {
	c, err := d.client(ctx)
	if err != nil {
		return err
	}
	return c.DeleteAppointment(ctx, m.Mailbox, id)
}

// GraphDiary writes calendars through Microsoft Graph, which needs the permission
// Calendars.ReadWrite.
func GraphDiary(client func(ctx context.Context) (*entra.Client, error)) Diary {
	return graphDiary{client}
}

type graphDiary struct {
	client func(ctx context.Context) (*entra.Client, error)
}

func (d graphDiary) Find(ctx context.Context, m Marker) (ids []string, err error) {
	c, err := d.client(ctx)
	if err != nil {
		return nil, err
	}
	window := url.Values{"startDateTime": {m.Start.UTC().Format(time.RFC3339)},
		"endDateTime": {m.End.UTC().Format(time.RFC3339)}, "$select": {"id,subject"}}
	found, err := c.List(ctx, "/users/"+url.PathEscape(m.Mailbox)+"/calendarView?"+window.Encode())
	for _, e := range found {
		if subject, _ := e["subject"].(string); subject == m.Subject {
			id, _ := e["id"].(string)
			ids = append(ids, id)
		}
	}
	return ids, err
}

func (d graphDiary) Create(ctx context.Context, m Marker) error {
	c, err := d.client(ctx)
	if err != nil {
		return err
	}
	at := func(t time.Time) map[string]any {
		return map[string]any{"dateTime": t.UTC().Format("2006-01-02T15:04:05"), "timeZone": "UTC"}
	}
	_, err = c.Do(ctx, "POST", "/users/"+url.PathEscape(m.Mailbox)+"/events", map[string]any{
		"subject": m.Subject, "body": map[string]any{"contentType": "text", "content": markerText},
		"start": at(m.Start), "end": at(m.End), "showAs": "busy", "isReminderOn": false,
	})
	return err
}

func (d graphDiary) Delete(ctx context.Context, m Marker, id string) error {
	c, err := d.client(ctx)
	if err != nil {
		return err
	}
	_, err = c.Do(ctx, "DELETE", "/users/"+url.PathEscape(m.Mailbox)+"/events/"+url.PathEscape(id), nil)
	if errors.Is(err, entra.ErrNotFound) {
		return nil
	}
	return err
}
