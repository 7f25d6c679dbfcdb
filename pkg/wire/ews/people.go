package ews

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/hybridge-cli/hybridge/pkg/wire/ews/soap"
	"github.com/hybridge-cli/hybridge/pkg/wire/link"
)

// Person is a recipient that a name leads to.
type Person struct{ Name, Address string }

// People is a Backend that knows recipients by the beginnings of their names and addresses.
type People interface {
	Resolve(ctx context.Context, q Query, text string) ([]Person, error)
}

// maxResolved is how many recipients ResolveNames returns.
const maxResolved = 100

// resolveNames answers ResolveNames: one recipient, a warning with several, or an error without
// one.
func (h *Handler) resolveNames(r *http.Request, envelope soap.Envelope) (string, error) {
	backend, ok := h.Backend.(People)
	if !ok {
		return "", notExpected(envelope.Body)
	}
	q := Query{RequestID: r.Header.Get("client-request-id"), Impersonated: impersonated(envelope.Header)}
	q.Caller, _ = link.CallerOf(r.Context())
	found, err := backend.Resolve(r.Context(), q, envelope.Body.Value("UnresolvedEntry"))
	if err != nil {
		return "", err
	}
	var set strings.Builder
	for _, p := range found[:min(len(found), maxResolved)] {
		fmt.Fprintf(&set, `<t:Resolution><t:Mailbox><t:Name>%s</t:Name><t:EmailAddress>%s</t:EmailAddress>`+
			`<t:RoutingType>SMTP</t:RoutingType><t:MailboxType>Mailbox</t:MailboxType></t:Mailbox></t:Resolution>`,
			soap.Escape(p.Name), soap.Escape(p.Address))
	}
	answer := func(class, text, code, rest string) string {
		if text != "" {
			text = `<m:MessageText>` + text + `</m:MessageText>`
			rest = `<m:DescriptiveLinkKey>0</m:DescriptiveLinkKey>` + rest
		}
		return fmt.Sprintf(`<m:ResolveNamesResponse xmlns:m="%s" xmlns:t="%s"><m:ResponseMessages>`+
			`<m:ResolveNamesResponseMessage ResponseClass="%s">%s<m:ResponseCode>%s</m:ResponseCode>%s`+
			`</m:ResolveNamesResponseMessage></m:ResponseMessages></m:ResolveNamesResponse>`,
			Messages, Types, class, text, code, rest)
	}
	resolved := fmt.Sprintf(`<m:ResolutionSet TotalItemsInView="%d" IncludesLastItemInRange="%t">%s</m:ResolutionSet>`,
		min(len(found), maxResolved), len(found) <= maxResolved, set.String())
	switch len(found) {
	case 0:
		return answer("Error", "No results were found.", "ErrorNameResolutionNoResults", ""), nil
	case 1:
		return answer("Success", "", "NoError", resolved), nil
	}
	return answer("Warning", "Multiple results were found.", "ErrorNameResolutionMultipleResults", resolved), nil
}

// oofSettings answers GetUserOofSettings for the caller's own mailbox: automatic replies are off.
func (h *Handler) oofSettings(r *http.Request, body *soap.Element) string {
	class, text, code, settings := "Success", "", "NoError", `<t:OofSettings><t:OofState>Disabled</t:OofState>`+
		`<t:ExternalAudience>None</t:ExternalAudience></t:OofSettings><m:AllowExternalOof>All</m:AllowExternalOof>`
	if !strings.EqualFold(body.Value("Mailbox", "Address"), h.mailboxOf(r)) {
		class, code, settings = "Error", "ErrorAccessDenied", ""
		text = `<m:MessageText>Access is denied. Check credentials and try again.</m:MessageText>`
	}
	return fmt.Sprintf(`<m:GetUserOofSettingsResponse xmlns:m="%s" xmlns:t="%s">`+
		`<m:ResponseMessage ResponseClass="%s">%s<m:ResponseCode>%s</m:ResponseCode></m:ResponseMessage>%s`+
		`</m:GetUserOofSettingsResponse>`, Messages, Types, class, text, code, settings)
}

// suggestions answers SuggestionsViewOptions: the times of each working day at which every mailbox
// is free, from 8 to 17 o'clock in the zone of the request.
func (h *Handler) suggestions(r *http.Request, options *soap.Element, q Query, z TimeZone) (string, error) {
	refuse := func(code, message string) (string, error) {
		return "", &Fault{ResponseCode: code, Message: message}
	}
	number := func(name string, least, most, otherwise int) (int, bool) {
		s := options.Value(name)
		if s == "" {
			return otherwise, true
		}
		var n int
		if _, err := fmt.Sscanf(s, "%d", &n); err != nil || n < least || n > most {
			return 0, false
		}
		return n, true
	}
	results, ok1 := number("MaximumResultsByDay", 0, 48, 10)
	minutes, ok2 := number("MeetingDurationInMinutes", 30, 24*60, 60)
	if _, ok := number("GoodThreshold", 1, 49, 25); !ok || !ok1 || !ok2 {
		return refuse("ErrorInvalidArgument", "An option of the suggestions is out of range.")
	}
	var err1, err2 error
	q.Window.Start, err1 = parseTime(options.Value("DetailedSuggestionsWindow", "StartTime"), z)
	q.Window.End, err2 = parseTime(options.Value("DetailedSuggestionsWindow", "EndTime"), z)
	if err1 != nil || err2 != nil || !q.Window.End.After(q.Window.Start) ||
		q.Window.End.Sub(q.Window.Start) > 62*24*time.Hour {
		return refuse("ErrorInvalidTimeInterval", "The window of the suggestions is invalid.")
	}
	calendars, err := h.Backend.Availability(r.Context(), q)
	if err != nil {
		return "", err
	}
	length := time.Duration(minutes) * time.Minute
	free := func(from time.Time) bool {
		for _, c := range calendars {
			for _, e := range c.Events {
				if e.Busy != Free && e.Start.Before(from.Add(length)) && e.End.After(from) {
					return false
				}
			}
		}
		return true
	}
	var days strings.Builder
	first := z.Local(q.Window.Start).Truncate(24 * time.Hour)
	for day := first; z.UTC(day).Before(q.Window.End); day = day.AddDate(0, 0, 1) {
		var list strings.Builder
		found := 0
		for at := 8 * time.Hour; at+length <= 17*time.Hour && found < results; at += 30 * time.Minute {
			from := z.UTC(day.Add(at))
			working := day.Weekday() != time.Saturday && day.Weekday() != time.Sunday
			if !working || from.Before(q.Window.Start) || from.Add(length).After(q.Window.End) || !free(from) {
				continue
			}
			found++
			fmt.Fprintf(&list, `<t:Suggestion><t:MeetingTime>%s</t:MeetingTime><t:IsWorkTime>true</t:IsWorkTime>`+
				`<t:SuggestionQuality>Excellent</t:SuggestionQuality><t:AttendeeConflictDataArray>`, formatTime(from,
				z))
			for range calendars {
				list.WriteString(`<t:IndividualAttendeeConflictData><t:BusyType>Free</t:BusyType>` +
					`</t:IndividualAttendeeConflictData>`)
			}
			list.WriteString(`</t:AttendeeConflictDataArray></t:Suggestion>`)
		}
		quality := "Excellent"
		if found == 0 {
			quality = "Poor"
		}
		fmt.Fprintf(&days, `<t:SuggestionDayResult><t:Date>%s</t:Date><t:DayQuality>%s</t:DayQuality>`+
			`<t:SuggestionArray>%s</t:SuggestionArray></t:SuggestionDayResult>`, day.Format("2006-01-02T15:04:05"),
			quality, list.String())
	}
	return `<m:SuggestionsResponse><m:ResponseMessage ResponseClass="Success"><m:ResponseCode>NoError</m:ResponseCode>` +
		`</m:ResponseMessage><m:SuggestionDayResultArray>` + days.String() +
		`</m:SuggestionDayResultArray></m:SuggestionsResponse>`, nil
}
