// Package ews asks Exchange Web Services for free/busy times, and answers such questions: both
// halves of GetUserAvailability and of the few operations that clients do around it.
//
// Shapes and names are those of the schema (messages.xsd, types.xsd) and of Microsoft's
// "GetUserAvailability operation".
package ews

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/hybridge-cli/hybridge/pkg/wire/link"
)

// The namespaces of the service.
const (
	Messages = "http://schemas.microsoft.com/exchange/services/2006/messages"
	Types    = "http://schemas.microsoft.com/exchange/services/2006/types"
	Errors   = "http://schemas.microsoft.com/exchange/services/2006/errors"
)

// DefaultVersion is the RequestServerVersion of a Client: the newest that every supported server
// and both published schemas know.
const DefaultVersion = "Exchange2013_SP1"

// MaxMailboxes is how many mailboxes one GetUserAvailability may ask for.
const MaxMailboxes = 100

// View is how much an answer contains.
type View string

// The views. A server returns less than requested when the caller may not see more.
const (
	None           View = "None"
	MergedOnly     View = "MergedOnly"
	FreeBusy       View = "FreeBusy"
	FreeBusyMerged View = "FreeBusyMerged"
	Detailed       View = "Detailed"
	DetailedMerged View = "DetailedMerged"
)

func (v View) merged() bool   { return v == MergedOnly || v == FreeBusyMerged || v == DetailedMerged }
func (v View) events() bool   { return v != None && v != MergedOnly }
func (v View) detailed() bool { return v == Detailed || v == DetailedMerged }

func (v View) known() bool {
	switch v {
	case None, MergedOnly, FreeBusy, FreeBusyMerged, Detailed, DetailedMerged:
		return true
	}
	return false
}

// BusyType is the state of a user during an event.
type BusyType string

// The busy types of LegacyFreeBusyType.
const (
	Free             BusyType = "Free"
	Tentative        BusyType = "Tentative"
	Busy             BusyType = "Busy"
	OutOfOffice      BusyType = "OOF"
	WorkingElsewhere BusyType = "WorkingElsewhere"
	NoData           BusyType = "NoData"
)

// digits are the busy types in MergedFreeBusy, the weakest first: in a slot with several events the
// strongest wins. NoData's digit is not documented; it is what the schema's order gives.
var digits = []struct {
	busy  BusyType
	digit byte
}{{Free, '0'}, {WorkingElsewhere, '4'}, {NoData, '5'}, {Tentative, '1'}, {Busy, '2'}, {OutOfOffice, '3'}}

// Window is a span of time.
type Window struct{ Start, End time.Time }

// Event is one entry of a calendar.
type Event struct {
	Start, End time.Time
	Busy       BusyType
	Details    *Details // nil: the caller may not see them, or did not ask
}

// Details are what only a detailed view contains.
type Details struct {
	ID, Subject, Location                            string
	Meeting, Recurring, Exception, Reminder, Private bool
}

// WorkingHours are in the mailbox's own time zone.
type WorkingHours struct {
	Zone    TimeZone
	Periods []WorkingPeriod
}

// WorkingPeriod is a span of the day, in minutes after midnight.
type WorkingPeriod struct {
	Days       []time.Weekday
	Start, End int
}

// Merge is the MergedFreeBusy of events: one digit for each interval of the window, also for a
// last, shorter one.
func Merge(events []Event, w Window, interval time.Duration) string {
	if interval <= 0 || !w.End.After(w.Start) {
		return ""
	}
	n := int((w.End.Sub(w.Start) + interval - 1) / interval)
	const most = 1 << 20
	n = min(n, most)
	ranks := make([]byte, n)
	for _, e := range events {
		if !e.End.After(w.Start) || !e.Start.Before(w.End) {
			continue
		}
		rank := byte(0)
		for i, d := range digits {
			if d.busy == e.Busy {
				rank = byte(i) //nolint:gosec // six of them
			}
		}
		first := 0
		if e.Start.After(w.Start) {
			first = int(e.Start.Sub(w.Start) / interval)
		}
		for i := first; i < n && w.Start.Add(time.Duration(i)*interval).Before(e.End); i++ {
			ranks[i] = max(ranks[i], rank)
		}
	}
	for i, r := range ranks {
		ranks[i] = digits[r].digit
	}
	return string(ranks)
}

// ServerVersion is what a server returns about itself in ServerVersionInfo.
type ServerVersion struct {
	Major, Minor, Build, Revision int
	Schema                        string // "V2017_07_11"
}

// String is "15.2.1544.9", "" when the server returned none.
func (v ServerVersion) String() string {
	if v.Major == 0 {
		return ""
	}
	return fmt.Sprintf("%d.%d.%d.%d", v.Major, v.Minor, v.Build, v.Revision)
}

// ResponseError is an error about one mailbox, inside an answer that is otherwise fine.
type ResponseError struct {
	Address string
	Code    string // "ErrorMailRecipientNotFound"
	Text    string // what the server says, printable
	LinkKey string // DescriptiveLinkKey, a number of Microsoft's
	Detail  string // the text of MessageXml, printable
}

func (e *ResponseError) Error() string {
	s := e.Code
	if e.Address != "" {
		s = e.Address + ": " + s
	}
	if e.Text != "" {
		s += ": " + e.Text
	}
	return s
}

// Is makes refusals link.ErrAccess.
func (e *ResponseError) Is(target error) bool { return target == link.ErrAccess && accessCodes[e.Code] }

// accessCodes are the response codes of missing rights.
var accessCodes = map[string]bool{
	"ErrorAccessDenied": true, "ErrorNoFreeBusyAccess": true, "ErrorImpersonateUserDenied": true,
	"ErrorImpersonationDenied":       true,
	"ErrorOrganizationAccessBlocked": true, "ErrorUnauthorizedClientAccessTokenRequest": true,
}

// Fault is a SOAP fault: the whole request failed.
type Fault struct {
	URL          string
	StatusCode   int
	Code         string        // faultcode without prefix: "ErrorSchemaValidation", "Server"
	String       string        // faultstring, printable
	ResponseCode string        // detail/ResponseCode; empty where the server gives no detail
	Message      string        // detail/Message, printable
	BackOff      time.Duration // how long to wait before asking again, 0 when the server gives no hint
	Values       map[string]string
	Diagnostics  string // of X-MS-Diagnostics, "" when there is none
	Header       http.Header
}

func (e *Fault) Error() string {
	code := e.ResponseCode
	if code == "" {
		code = e.Code
	}
	text := e.Message
	if text == "" {
		text = e.String
	}
	s := fmt.Sprintf("%s: SOAP fault %s", e.URL, code)
	if text != "" && text != code {
		s += ": " + text
	}
	if e.Diagnostics != "" {
		s += " (" + e.Diagnostics + ")"
	}
	if e.BackOff > 0 {
		s += fmt.Sprintf(" (asks to wait %s)", e.BackOff)
	}
	return s
}

// Is makes refusals link.ErrAccess.
func (e *Fault) Is(target error) bool {
	return target == link.ErrAccess &&
		(accessCodes[e.ResponseCode] || e.StatusCode == http.StatusForbidden || e.StatusCode == http.StatusUnauthorized)
}

// Temporary reports whether the same question may be answered later.
func (e *Fault) Temporary() bool {
	return e.BackOff > 0 || e.ResponseCode == "ErrorServerBusy" || e.ResponseCode == "ErrorMailboxStoreUnavailable" ||
		e.ResponseCode == "ErrorInternalServerTransientError"
}

// ErrNotEWS is an answer that did not come from Exchange Web Services: the page of a proxy, a
// log-on form, another service.
var ErrNotEWS = errors.New("the answer is not from Exchange Web Services")

func parseWeekdays(s string) []time.Weekday {
	var days []time.Weekday
	for _, name := range strings.Fields(s) {
		switch name {
		case "Day":
			return []time.Weekday{0, 1, 2, 3, 4, 5, 6}
		case "Weekday":
			days = append(days, 1, 2, 3, 4, 5)
		case "WeekendDay":
			days = append(days, 0, 6)
		default:
			if d, ok := parseWeekday(name); ok {
				days = append(days, d)
			}
		}
	}
	return days
}

func parseWeekday(name string) (time.Weekday, bool) {
	for d := time.Sunday; d <= time.Saturday; d++ {
		if d.String() == name {
			return d, true
		}
	}
	return 0, false
}
