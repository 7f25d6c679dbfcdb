package entra

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"
)

// Calendars keeps the events of the mailboxes in Exchange Online. An error of ErrNoMailbox says
// that the user has none.
type Calendars interface {
	Events(user string, start, end time.Time) ([]Event, error)
	AddEvent(user string, e Event) (id string, err error)
	RemoveEvent(user, id string) (found bool)
}

// Event is an event of a calendar.
type Event struct {
	ID, Subject string
	Start, End  time.Time
}

var writeCalendars = []string{"Calendars.ReadWrite"}

// events answers /users/{user}/calendarView, /users/{user}/events and /users/{user}/events/{id}.
// done is false for other paths.
func (c *call) events(path []string) (status int, answer any, e *odataError, done bool) {
	view := len(path) == 3 && path[2] == "calendarView" && c.Method == http.MethodGet
	add := len(path) == 3 && path[2] == "events" && c.Method == http.MethodPost
	remove := len(path) == 4 && path[2] == "events" && c.Method == http.MethodDelete
	if !view && !add && !remove {
		return 0, nil, nil, false
	}
	needed := readCalendars
	if !view {
		needed = writeCalendars
	}
	calendars := c.tenant.config.Calendars
	switch {
	case c.may(needed...) != nil:
		return 0, nil, &odataError{http.StatusForbidden, "ErrorAccessDenied",
			"Access is denied. Check credentials and try again."}, true
	case calendars == nil:
		return 0, nil, noMailbox(path[1]), true
	}
	switch {
	case view:
		answer, e = c.calendarView(path[1], calendars)
		return http.StatusOK, answer, e, true
	case add:
		answer, e = c.addEvent(path[1], calendars)
		return http.StatusCreated, answer, e, true
	}
	if !calendars.RemoveEvent(path[1], path[3]) {
		return 0, nil, &odataError{http.StatusNotFound, "ErrorItemNotFound",
			"The specified object was not found in the store."}, true
	}
	return http.StatusNoContent, nil, nil, true
}

func (c *call) calendarView(user string, calendars Calendars) (any, *odataError) {
	start, err1 := time.Parse(time.RFC3339, c.query.Get("startDateTime"))
	end, err2 := time.Parse(time.RFC3339, c.query.Get("endDateTime"))
	if err1 != nil || err2 != nil {
		return nil, &odataError{http.StatusBadRequest, "ErrorInvalidParameter",
			"This request requires a time window specified by the query string parameters StartDateTime and " +
				"EndDateTime."}
	}
	found, err := calendars.Events(user, start, end)
	if errors.Is(err, ErrNoMailbox) {
		return nil, noMailbox(user)
	}
	value := []map[string]any{}
	for _, e := range found {
		value = append(value, e.shown())
	}
	about := c.context(fmt.Sprintf("users('%s')/calendarView", user))
	return map[string]any{"@odata.context": about, "value": value}, nil
}

func (c *call) addEvent(user string, calendars Calendars) (any, *odataError) {
	var body struct {
		Subject string        `json:"subject"`
		Start   *dateTimeZone `json:"start"`
		End     *dateTimeZone `json:"end"`
	}
	invalid := &odataError{http.StatusBadRequest, "ErrorInvalidRequest",
		"The request is invalid: start and end are required."}
	if err := json.Unmarshal(c.body, &body); err != nil || body.Start == nil || body.End == nil {
		return nil, invalid
	}
	start, err1 := body.Start.time()
	end, err2 := body.End.time()
	if err1 != nil || err2 != nil || end.Before(start) {
		return nil, invalid
	}
	e := Event{Subject: body.Subject, Start: start.UTC(), End: end.UTC()}
	var err error
	if e.ID, err = calendars.AddEvent(user, e); errors.Is(err, ErrNoMailbox) {
		return nil, noMailbox(user)
	}
	return e.shown(), nil
}

func (e Event) shown() map[string]any {
	at := func(t time.Time) map[string]any {
		return map[string]any{"dateTime": t.UTC().Format(graphTime) + ".0000000", "timeZone": "UTC"}
	}
	return map[string]any{"id": e.ID, "subject": e.Subject, "start": at(e.Start), "end": at(e.End), "showAs": "busy"}
}
