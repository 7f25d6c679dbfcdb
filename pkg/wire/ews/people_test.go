package ews

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/hybridge-cli/hybridge/pkg/wire/link"
)

// resolving is a backend that also knows people.
type resolving struct{ *calendars }

func (resolving) Resolve(_ context.Context, _ Query, text string) ([]Person, error) {
	var out []Person
	for _, p := range []Person{{"Anna <A>", "anna@contoso.test"}, {"Annabel", "annabel@contoso.test"}} {
		if strings.HasPrefix(strings.ToLower(p.Name), strings.ToLower(text)) {
			out = append(out, p)
		}
	}
	return out, nil
}

// post sends a body in an envelope with a header, and returns the answer.
func post(t *testing.T, h http.Handler, header, body string) string {
	t.Helper()
	text := `<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/" xmlns:m="` + Messages + `" xmlns:t="` +
		Types +
		`"><s:Header>` + header + `</s:Header><s:Body>` + body + `</s:Body></s:Envelope>`
	r := httptest.NewRequestWithContext(link.WithCaller(t.Context(), link.Caller{User: "alice@contoso.test"}),
		http.MethodPost, "/EWS/Exchange.asmx", strings.NewReader(text))
	r.Header.Set("Content-Type", "text/xml; charset=utf-8")
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	raw, err := io.ReadAll(w.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}

const (
	askedZone = `<t:TimeZone><t:Bias>0</t:Bias>` + askedStandard + askedDaylight + `</t:TimeZone>`
	asked     = `<t:Bias>0</t:Bias><t:Time>00:00:00</t:Time><t:DayOrder>1</t:DayOrder><t:Month>1</t:Month>` +
		`<t:DayOfWeek>Sunday</t:DayOfWeek>`
	askedStandard = `<t:StandardTime>` + asked + `</t:StandardTime>`
	askedDaylight = `<t:DaylightTime>` + asked + `</t:DaylightTime>`
	askedMailbox  = `<m:MailboxDataArray><t:MailboxData><t:Email><t:Address>empty@contoso.test</t:Address></t:Email>` +
		`<t:AttendeeType>Required</t:AttendeeType></t:MailboxData></m:MailboxDataArray>`
	askedWindow = `<t:StartTime>2026-11-23T00:00:00</t:StartTime><t:EndTime>2026-11-25T00:00:00</t:EndTime>`
	askedView   = `<t:FreeBusyViewOptions><t:TimeWindow>` + askedWindow + `</t:TimeWindow>` +
		`<t:MergedFreeBusyIntervalInMinutes>60</t:MergedFreeBusyIntervalInMinutes>` +
		`<t:RequestedView>FreeBusy</t:RequestedView></t:FreeBusyViewOptions>`
)

// Exchange refuses elements in another order than the schema's, unknown elements, and those that
// are missing.
func TestOrderOfElements(t *testing.T) {
	h := &Handler{Backend: backend()}
	for name, test := range map[string]struct{ body, says string }{
		"as the schema has it": {askedZone + askedMailbox + askedView, "NoError"},
		"without a time zone":  {askedMailbox + askedView, "NoError"},
		"the view first":       {askedView + askedMailbox, "ErrorSchemaValidation"},
		"the zone last":        {askedMailbox + askedView + askedZone, "ErrorSchemaValidation"},
		"no mailboxes":         {askedZone + askedView, "ErrorSchemaValidation"},
		"nothing":              {"", "incomplete content"},
		"twice the view":       {askedMailbox + askedView + askedView, "ErrorSchemaValidation"},
		"an unknown element": {askedMailbox + askedView + `<t:Colour>red</t:Colour>`,
			"invalid child element &apos;Colour"},
		"another namespace": {strings.ReplaceAll(askedMailbox, "m:MailboxDataArray", "t:MailboxDataArray") + askedView,
			"ErrorSchemaValidation"},
		"the end before the start": {askedMailbox + strings.Replace(askedView, askedWindow,
			`<t:EndTime>2026-11-25T00:00:00</t:EndTime><t:StartTime>2026-11-23T00:00:00</t:StartTime>`, 1),
			"ErrorSchemaValidation"},
		"daylight before standard": {strings.Replace(askedZone, askedStandard+askedDaylight,
			askedDaylight+askedStandard,
			1) + askedMailbox + askedView, "ErrorSchemaValidation"},
		"a mailbox without a type": {strings.Replace(askedMailbox, `<t:AttendeeType>Required</t:AttendeeType>`, "", 1) +
			askedView, "ErrorSchemaValidation"},
	} {
		answer := post(t, h, "", `<m:GetUserAvailabilityRequest>`+test.body+`</m:GetUserAvailabilityRequest>`)
		if !strings.Contains(strings.ReplaceAll(answer, "&#39;", "&apos;"), test.says) {
			t.Errorf("%s: %s", name, answer)
		}
	}
}

// A time zone that the server does not know is refused, not taken for UTC.
func TestUnknownTimeZone(t *testing.T) {
	h := &Handler{Backend: backend()}
	for id, says := range map[string]string{"W. Europe Standard Time": "NoError",
		"Middle Earth Standard Time": "ErrorTimeZone"} {
		header := `<t:TimeZoneContext><t:TimeZoneDefinition Id="` + id + `"/></t:TimeZoneContext>`
		answer := post(t, h, header,
			`<m:GetUserAvailabilityRequest>`+askedMailbox+askedView+`</m:GetUserAvailabilityRequest>`)
		if !strings.Contains(answer, says) {
			t.Errorf("%s: %s", id, answer)
		}
	}
}

func TestPeople(t *testing.T) {
	h := &Handler{Backend: resolving{backend()}}
	resolve := func(text string) string {
		return `<m:ResolveNames ReturnFullContactData="false"><m:UnresolvedEntry>` + text +
			`</m:UnresolvedEntry></m:ResolveNames>`
	}
	oof := func(address string) string {
		return `<m:GetUserOofSettingsRequest><t:Mailbox><t:Address>` + address +
			`</t:Address></t:Mailbox></m:GetUserOofSettingsRequest>`
	}
	for name, test := range map[string]struct{ body, says, not string }{
		"one name":        {resolve("annabel"), "annabel@contoso.test", "Warning"},
		"several names":   {resolve("anna"), "ErrorNameResolutionMultipleResults", "<A>"},
		"no name":         {resolve("zoe"), "ErrorNameResolutionNoResults", "ResolutionSet"},
		"own replies":     {oof("ALICE@contoso.test"), "<t:OofState>Disabled</t:OofState>", "ErrorAccess"},
		"other's replies": {oof("bob@contoso.test"), "ErrorAccessDenied", "OofState"},
	} {
		answer := post(t, h, "", test.body)
		if !strings.Contains(answer, test.says) || strings.Contains(answer, test.not) {
			t.Errorf("%s: %s", name, answer)
		}
	}
	if answer := post(t, &Handler{Backend: backend()}, "", resolve("anna")); !strings.Contains(answer,
		"ErrorSchemaValidation") {
		t.Errorf("a backend without people: %s", answer)
	}
}

// Suggestions are the times at which everybody is free.
func TestSuggestions(t *testing.T) {
	h := &Handler{Backend: backend()}
	ask := func(options string) string {
		return post(t, h, "", `<m:GetUserAvailabilityRequest>`+askedZone+
			strings.Replace(askedMailbox, "empty@", "alice@", 1)+askedView+`<t:SuggestionsViewOptions>`+options+
			`<t:DetailedSuggestionsWindow>`+askedWindow+`</t:DetailedSuggestionsWindow></t:SuggestionsViewOptions>`+
			`</m:GetUserAvailabilityRequest>`)
	}
	answer := ask(`<t:MaximumResultsByDay>48</t:MaximumResultsByDay>` +
		`<t:MeetingDurationInMinutes>60</t:MeetingDurationInMinutes>`)
	for _, free := range []string{"2026-11-23T08:00:00", "2026-11-23T10:00:00", "2026-11-23T12:00:00",
		"2026-11-23T16:00:00"} {
		if !strings.Contains(answer, "<t:MeetingTime>"+free) {
			t.Errorf("%s is not suggested: %s", free, answer)
		}
	}
	for _, busy := range []string{"2026-11-23T08:30:00", "2026-11-23T09:00:00", "2026-11-23T13:00:00",
		"2026-11-23T15:30:00"} {
		if strings.Contains(answer, "<t:MeetingTime>"+busy) {
			t.Errorf("%s is suggested", busy)
		}
	}
	if answer := ask(`<t:MeetingDurationInMinutes>5</t:MeetingDurationInMinutes>`); !strings.Contains(answer,
		"ErrorInvalidArgument") {
		t.Errorf("five minutes: %s", answer)
	}
}
