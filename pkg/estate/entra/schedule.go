package entra

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/hybridge-cli/hybridge/pkg/wire/link"
)

// MaxSchedules is how many addresses one getSchedule asks for.
const MaxSchedules = 20

// ScheduleRequest asks for free/busy of up to MaxSchedules addresses.
type ScheduleRequest struct {
	As         string   // mailbox that asks, by address: with application permissions the request is sent in its name
	Addresses  []string // whose calendars
	Start, End time.Time
	Interval   time.Duration // of one slot of View; 30 minutes when 0, 5 to 1440 minutes
}

// Schedule is one address's answer. Err is set when that calendar could not be read; the other
// schedules are valid nevertheless.
type Schedule struct {
	Address string
	View    string // one digit per slot: 0 free, 1 tentative, 2 busy, 3 out of office, 4 working elsewhere
	Items   []ScheduleItem
	Err     *ScheduleError
}

// ScheduleItem is an appointment, as far as the asker may see it.
type ScheduleItem struct {
	Status     string // free, tentative, busy, oof, workingElsewhere, unknown
	Start, End time.Time
	Subject    string // absent without the right to details
}

// ScheduleError is why one calendar could not be read: an EWS response code and its text.
type ScheduleError struct {
	Code    string // "ErrorMailRecipientNotFound"
	Message string
}

func (e *ScheduleError) Error() string {
	if e.Message == "" {
		return e.Code
	}
	return e.Code + ": " + e.Message
}

// dateTimeZone is Graph's dateTimeTimeZone. The names of its members are not part of the schema
// subset that the other types are compared with.
type dateTimeZone struct {
	DateTime string `json:"dateTime"`
	TimeZone string `json:"timeZone"`
}

const graphTime = "2006-01-02T15:04:05"

func (d dateTimeZone) time() (time.Time, error) {
	if d.TimeZone != "UTC" && d.TimeZone != "" {
		return time.Time{}, fmt.Errorf("time zone %q instead of UTC", link.Line(d.TimeZone))
	}
	return time.Parse(graphTime+".9999999", d.DateTime)
}

// Schedules is the answer to one ScheduleRequest. Found is in the order of its addresses.
type Schedules struct {
	Found []Schedule
	Err   error // *Error where Graph refused the request
}

// GetSchedules asks Graph for free/busy (POST /users/{as}/calendar/getSchedule; needs
// Calendars.Read): several questions in as few requests as JSON batching allows. An error is about
// a whole batch.
func (c *Client) GetSchedules(ctx context.Context, requests []ScheduleRequest) ([]Schedules, error) {
	out := make([]Schedules, len(requests))
	if len(requests) == 1 {
		raw, err := c.do(ctx, http.MethodPost, requests[0].path(), requests[0].body())
		var refused *Error
		if err != nil && !errors.As(err, &refused) {
			return nil, err
		}
		out[0] = c.schedules(requests[0], raw, err)
		return out, nil
	}
	calls := make([]call, len(requests))
	for i, r := range requests {
		calls[i] = call{http.MethodPost, r.path(), r.body()}
	}
	replies, err := c.batch(ctx, calls)
	if err != nil {
		return nil, err
	}
	for i, r := range requests {
		out[i] = c.schedules(r, replies[i].raw, replies[i].err)
	}
	return out, nil
}

func (c *Client) schedules(r ScheduleRequest, raw []byte, err error) Schedules {
	if err != nil {
		return Schedules{Err: err}
	}
	found, err := c.readSchedules(r, raw)
	if err != nil {
		return Schedules{Err: err}
	}
	// The order of the answers is not documented.
	s := Schedules{Found: make([]Schedule, len(r.Addresses))}
	for i, address := range r.Addresses {
		at := slices.IndexFunc(found, func(f Schedule) bool { return strings.EqualFold(f.Address, address) })
		if at < 0 && len(found) == len(r.Addresses) {
			at = i
		}
		if at < 0 {
			s.Found[i] = Schedule{Address: address, Err: &ScheduleError{Message: "no schedule in the answer"}}
			continue
		}
		s.Found[i] = found[at]
	}
	return s
}

func (r ScheduleRequest) path() string {
	return "/users/" + url.PathEscape(r.As) + "/calendar/getSchedule"
}

func (r ScheduleRequest) body() map[string]any {
	return map[string]any{
		"schedules":                r.Addresses,
		"startTime":                dateTimeZone{r.Start.UTC().Format(graphTime), "UTC"},
		"endTime":                  dateTimeZone{r.End.UTC().Format(graphTime), "UTC"},
		"availabilityViewInterval": int(cmp.Or(r.Interval, 30*time.Minute) / time.Minute),
	}
}

func (c *Client) readSchedules(r ScheduleRequest, raw []byte) ([]Schedule, error) {
	path := r.path()
	var answer struct {
		Value []struct {
			ScheduleID       string `json:"scheduleId"`
			AvailabilityView string `json:"availabilityView"`
			ScheduleItems    []struct {
				Status  string       `json:"status"`
				Subject string       `json:"subject"`
				Start   dateTimeZone `json:"start"`
				End     dateTimeZone `json:"end"`
			} `json:"scheduleItems"`
			Error *struct {
				Message      string `json:"message"`
				ResponseCode string `json:"responseCode"`
			} `json:"error"`
		} `json:"value"`
	}
	if err := json.Unmarshal(raw, &answer); err != nil {
		return nil, c.malformed(http.MethodPost, path)
	}
	var out []Schedule
	for _, v := range answer.Value {
		s := Schedule{Address: v.ScheduleID, View: link.Line(v.AvailabilityView)}
		if v.Error != nil {
			s.Err = &ScheduleError{Code: link.Line(v.Error.ResponseCode), Message: link.Line(v.Error.Message)}
		}
		for _, item := range v.ScheduleItems {
			start, err := item.Start.time()
			if err != nil {
				return nil, fmt.Errorf("POST %s at %s: schedule of %s: %w", path, c.base.Host, link.Line(v.ScheduleID),
					err)
			}
			end, err := item.End.time()
			if err != nil {
				return nil, fmt.Errorf("POST %s at %s: schedule of %s: %w", path, c.base.Host, link.Line(v.ScheduleID),
					err)
			}
			s.Items = append(s.Items, ScheduleItem{Status: item.Status, Subject: item.Subject, Start: start, End: end})
		}
		out = append(out, s)
	}
	return out, nil
}
