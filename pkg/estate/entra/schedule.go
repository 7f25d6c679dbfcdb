package entra

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"github.com/hybridge-cli/hybridge/pkg/wire/link"
)

// ScheduleRequest asks for free/busy of up to 20 addresses.
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

// GetSchedule asks Graph for free/busy (POST /users/{as}/calendar/getSchedule; needs
// Calendars.Read).
func (c *Client) GetSchedule(ctx context.Context, r ScheduleRequest) ([]Schedule, error) {
	if r.Interval == 0 {
		r.Interval = 30 * time.Minute
	}
	body := map[string]any{
		"schedules":                r.Addresses,
		"startTime":                dateTimeZone{r.Start.UTC().Format(graphTime), "UTC"},
		"endTime":                  dateTimeZone{r.End.UTC().Format(graphTime), "UTC"},
		"availabilityViewInterval": int(r.Interval / time.Minute),
	}
	path := "/users/" + url.PathEscape(r.As) + "/calendar/getSchedule"
	raw, err := c.do(ctx, http.MethodPost, path, body)
	if err != nil {
		return nil, err
	}
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
