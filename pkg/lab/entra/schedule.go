package entra

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"
)

// ScheduleQuestion is a getSchedule call that may be answered: the caller has the right to read
// calendars.
type ScheduleQuestion struct {
	AppID      string // of the caller
	User       string // upn of a signed-in caller; empty for an application
	As         string // the mailbox in whose name it asks
	Addresses  []string
	Start, End time.Time
	Interval   time.Duration
}

// Schedule is the answer for one mailbox: appointments, or an EWS error code and text.
type Schedule struct {
	Address            string
	Items              []ScheduleItem
	ErrorCode, Message string
}

// ScheduleItem is an appointment. Status is free, tentative, busy, oof or workingElsewhere.
type ScheduleItem struct {
	Status     string
	Start, End time.Time
	Subject    string
}

// ErrNoMailbox is what Config.Schedules returns when the asking user has no mailbox in Exchange
// Online.
var ErrNoMailbox = errors.New("no mailbox")

type dateTimeZone struct {
	DateTime string `json:"dateTime"`
	TimeZone string `json:"timeZone"`
}

const graphTime = "2006-01-02T15:04:05"

// windowsZones are the Windows names of time zones. Graph accepts them as well as those of IANA.
var windowsZones = map[string]string{
	"AUS Eastern Standard Time": "Australia/Sydney", "Central Europe Standard Time": "Europe/Budapest",
	"Central European Standard Time": "Europe/Warsaw",
	"Central Standard Time":          "America/Chicago", "China Standard Time": "Asia/Shanghai",
	"E. Europe Standard Time": "Europe/Chisinau",
	"Eastern Standard Time":   "America/New_York", "FLE Standard Time": "Europe/Kiev",
	"GMT Standard Time":       "Europe/London",
	"Greenwich Standard Time": "Atlantic/Reykjavik", "India Standard Time": "Asia/Calcutta",
	"Mountain Standard Time": "America/Denver",
	"Pacific Standard Time":  "America/Los_Angeles", "Romance Standard Time": "Europe/Paris",
	"Russian Standard Time":   "Europe/Moscow",
	"Singapore Standard Time": "Asia/Singapore", "Tokyo Standard Time": "Asia/Tokyo",
	"Turkey Standard Time":    "Europe/Istanbul",
	"W. Europe Standard Time": "Europe/Berlin", "tzone://Microsoft/Utc": "UTC",
}

// locate finds a time zone by its name in Windows or IANA's list.
func locate(name string) (*time.Location, error) {
	zone := name
	if known, ok := windowsZones[name]; ok {
		zone = known
	}
	location, err := time.LoadLocation(zone)
	if err != nil || name == "" || name == "Local" {
		return nil, fmt.Errorf("time zone %q", name)
	}
	return location, nil
}

func (d dateTimeZone) time() (time.Time, error) {
	location, err := locate(d.TimeZone)
	if err != nil {
		return time.Time{}, err
	}
	return time.ParseInLocation(graphTime, strings.TrimSuffix(d.DateTime, "Z"), location)
}

// users answers POST /users/{as}/calendar/getSchedule.
func (c *call) users(path []string) (int, any, *odataError) {
	if status, answer, e, done := c.events(path); done {
		return status, answer, e
	}
	if status, answer, e, done := c.messages(path); done {
		return status, answer, e
	}
	if status, answer, e, done := c.tips(path); done {
		return status, answer, e
	}
	if len(path) != 4 || path[2] != "calendar" || path[3] != "getSchedule" && path[3] != "microsoft.graph.getSchedule" {
		return 0, nil, badRequest("Resource not found for the segment '%s'.", path[len(path)-1])
	}
	if c.Method != http.MethodPost {
		return 0, nil, c.methodNotAllowed()
	}
	if c.may(readCalendars...) != nil {
		return 0, nil, &odataError{http.StatusForbidden, "ErrorAccessDenied",
			"Access is denied. Check credentials and try again."}
	}
	var body struct {
		Schedules []string      `json:"schedules"`
		StartTime *dateTimeZone `json:"startTime"`
		EndTime   *dateTimeZone `json:"endTime"`
		Interval  *int          `json:"availabilityViewInterval"`
	}
	if err := json.Unmarshal(c.body, &body); err != nil || body.StartTime == nil || body.EndTime == nil ||
		len(body.Schedules) == 0 {
		return 0, nil, &odataError{http.StatusBadRequest, "ErrorInvalidRequest",
			"The request is invalid: schedules, startTime and endTime are required."}
	}
	if len(body.Schedules) > 20 {
		return 0, nil, &odataError{http.StatusBadRequest, "ErrorInvalidParameter",
			"The number of schedules must not be greater than 20."}
	}
	start, err1 := body.StartTime.time()
	end, err2 := body.EndTime.time()
	if err1 != nil || err2 != nil {
		return 0, nil, &odataError{http.StatusBadRequest, "TimeZoneNotSupportedException",
			"A valid TimeZone value must be specified."}
	}
	zone, e := c.preferredZone()
	if e != nil {
		return 0, nil, e
	}
	interval := 30
	if body.Interval != nil {
		interval = *body.Interval
	}
	if interval < 5 || interval > 1440 || !end.After(start) || end.Sub(start) > 62*24*time.Hour {
		return 0, nil, &odataError{http.StatusBadRequest, "ErrorInvalidTimeInterval",
			"The time window or availabilityViewInterval is invalid."}
	}
	q := ScheduleQuestion{
		AppID: c.appID, User: c.user, As: path[1], Addresses: body.Schedules, Start: start.UTC(), End: end.UTC(),
		Interval: time.Duration(interval) * time.Minute,
	}
	if c.tenant.config.Schedules == nil {
		return 0, nil, noMailbox(path[1])
	}
	answers, err := c.tenant.config.Schedules(q)
	if errors.Is(err, ErrNoMailbox) {
		return 0, nil, noMailbox(path[1])
	}
	if err != nil {
		return 0, nil, &odataError{http.StatusServiceUnavailable, "serviceNotAvailable", err.Error()}
	}
	value := []map[string]any{}
	for _, s := range answers {
		m := map[string]any{"scheduleId": s.Address}
		if s.ErrorCode != "" {
			m["error"] = map[string]any{"message": s.Message, "responseCode": s.ErrorCode}
			value = append(value, m)
			continue
		}
		items := []map[string]any{}
		for _, item := range s.Items {
			one := map[string]any{"status": item.Status, "start": zone.show(item.Start), "end": zone.show(item.End)}
			if item.Subject != "" {
				one["subject"], one["location"], one["isPrivate"] = item.Subject, "", false
			}
			items = append(items, one)
		}
		m["availabilityView"], m["scheduleItems"] = view(q, s.Items), items
		value = append(value, m)
	}
	return http.StatusOK, map[string]any{"@odata.context": c.context("Collection(microsoft.graph.scheduleInformation)"),
		"value": value}, nil
}

func noMailbox(user string) *odataError {
	return &odataError{http.StatusNotFound, "ErrorInvalidUser",
		fmt.Sprintf("The requested user '%s' is invalid.", user)}
}

// shownZone is the time zone of an answer, under the name that the caller gave it.
type shownZone struct {
	name     string
	location *time.Location
}

// preferredZone reads the preference outlook.timezone; without it, answers are in UTC.
func (c *call) preferredZone() (shownZone, *odataError) {
	for _, header := range c.Header.Values("Prefer") {
		for preference := range strings.SplitSeq(header, ",") {
			name, value, _ := strings.Cut(strings.TrimSpace(preference), "=")
			if !strings.EqualFold(name, "outlook.timezone") {
				continue
			}
			value = strings.Trim(value, `"`)
			location, err := locate(value)
			if err != nil {
				return shownZone{}, &odataError{http.StatusBadRequest, "ErrorInvalidParameter",
					fmt.Sprintf("The value '%s' of the preference outlook.timezone is no time zone.", value)}
			}
			return shownZone{value, location}, nil
		}
	}
	return shownZone{"UTC", time.UTC}, nil
}

func (z shownZone) show(t time.Time) dateTimeZone {
	return dateTimeZone{t.In(z.location).Format(graphTime + ".0000000"), z.name}
}

// digits of availabilityView. Where appointments overlap, the higher digit is shown. Working
// elsewhere is the exception: it overrides only free.
var digits = map[string]byte{"free": '0', "tentative": '1', "busy": '2', "oof": '3', "workingElsewhere": '4'}

func view(q ScheduleQuestion, items []ScheduleItem) string {
	rank := map[byte]int{'0': 0, '4': 1, '1': 2, '2': 3, '3': 4}
	var b strings.Builder
	for at := q.Start; at.Before(q.End); at = at.Add(q.Interval) {
		slot := byte('0')
		for _, item := range items {
			d, ok := digits[item.Status]
			if ok && item.Start.Before(at.Add(q.Interval)) && item.End.After(at) && rank[d] > rank[slot] {
				slot = d
			}
		}
		b.WriteByte(slot)
	}
	return b.String()
}
