package ews

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/hybridge-cli/hybridge/pkg/wire/ews/soap"
	"github.com/hybridge-cli/hybridge/pkg/wire/link"
)

// Backend knows calendars.
type Backend interface {
	// Availability answers for each of q.Mailboxes, in that order. An error is a fault of the whole
	// request: a *Fault's ResponseCode and Message are sent as they are, anything else is an
	// internal error.
	Availability(ctx context.Context, q Query) ([]Calendar, error)
}

// Query is a GetUserAvailability as a Backend sees it.
type Query struct {
	Caller        link.Caller // who authenticated; zero for an anonymous request
	Impersonated  string      // the address of ExchangeImpersonation
	AnchorMailbox string
	RequestID     string // client-request-id
	Mailboxes     []string
	Window        Window
	View          View // what is asked for
}

// Calendar is what a Backend knows of a mailbox.
type Calendar struct {
	Err    error // why it is unknown: a *ResponseError, or any other for ErrorFreeBusyGenerationFailed
	Events []Event
	Hours  *WorkingHours
	Limit  View // the most that the caller may see: Detailed (the zero View), FreeBusy or MergedOnly
}

// Handler is the server half. It answers on whatever path it is mounted; authentication goes around
// it (link.Accept). A request without a known caller reaches the backend with a zero Caller.
type Handler struct {
	Backend Backend
	Version ServerVersion // 15.2.1544.9 when zero

	// Mailbox is the primary SMTP address of a caller, for ConvertId; nil or "" answers with the
	// caller's name.
	Mailbox func(ctx context.Context, caller link.Caller) string

	// MaxWindow is the longest window answered; 62 days when 0.
	MaxWindow time.Duration
}

// versions are the values of RequestServerVersion that Exchange's schema knows (15.2.2562.17).
var versions = []string{
	"Exchange2007", "Exchange2007_SP1", "Exchange2009", "Exchange2010", "Exchange2010_SP1", "Exchange2010_SP2",
	"Exchange2012",
	"Exchange2013", "Exchange2013_SP1", "Exchange2015", "Exchange2016", "V2015_10_05", "V2016_01_06", "V2016_04_13",
	"V2016_07_13",
	"V2016_10_10", "V2017_01_07", "V2017_04_14", "V2017_07_11",
}

const maxRequest = 4 << 20

// ServeHTTP answers one request.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if id := r.Header.Get("client-request-id"); id != "" &&
		strings.EqualFold(r.Header.Get("return-client-request-id"), "true") {
		w.Header().Set("client-request-id", link.Printable(id))
	}
	switch r.Method {
	case http.MethodPost:
	case http.MethodGet, http.MethodHead: // what a browser gets; probes only look at the status
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		fmt.Fprint(w, "<html><head><title>Service</title></head><body><p>You have created a "+
			"service.</p></body></html>\n")
		return
	default:
		w.Header().Set("Allow", "GET, HEAD, POST")
		http.Error(w, "method not allowed", http.StatusMethodNotAllowed)
		return
	}
	root, err := soap.Read(r.Body, soap.Limits{Bytes: maxRequest})
	if err != nil {
		h.fault(w, schemaFault(err.Error()))
		return
	}
	envelope, err := soap.Open(root)
	if err != nil || envelope.Body == nil {
		h.fault(w, schemaFault("the request is no SOAP 1.1 message"))
		return
	}
	if version, ok := envelope.Header.Child("RequestServerVersion").Get("Version"); ok &&
		!slices.Contains(versions, version) {
		h.fault(w, &Fault{ResponseCode: "ErrorInvalidServerVersion",
			Message: "The specified server version is invalid."})
		return
	}
	body, err := h.operation(r, envelope)
	if err != nil {
		var fault *Fault
		if !errors.As(err, &fault) {
			fault = &Fault{ResponseCode: "ErrorInternalServerError",
				Message: "An internal server error occurred. The operation failed."}
		}
		h.fault(w, fault)
		return
	}
	h.write(w, http.StatusOK, body)
}

func (h *Handler) operation(r *http.Request, envelope soap.Envelope) (string, error) {
	body := envelope.Body
	if body.Name.Space != Messages {
		return "", schemaFault("the element '" + body.Name.Local + "' in namespace '" + body.Name.Space +
			"' is not expected")
	}
	if wrong := inOrder(body); wrong != "" {
		return "", schemaFault(wrong)
	}
	switch body.Name.Local {
	case "ResolveNames":
		return h.resolveNames(r, envelope)
	case "GetUserOofSettingsRequest":
		return h.oofSettings(r, body), nil
	case "GetUserAvailabilityRequest":
		return h.getUserAvailability(r, envelope)
	case "GetMailTips":
		return h.mailTips(r, envelope)
	case "ConvertId":
		return h.convertID(r, body), nil
	case "GetFolder":
		return h.getFolder(r, body), nil
	case "FindFolder":
		return h.findFolder(r, envelope)
	case "FindItem", "CreateItem", "DeleteItem", "GetItem":
		return h.items(r, envelope)
	case "GetServerTimeZones":
		return getServerTimeZones(body), nil
	}
	return "", notExpected(body)
}

func notExpected(body *soap.Element) *Fault {
	return schemaFault("the element '" + body.Name.Local + "' in namespace '" + Messages + "' is not expected")
}

func schemaFault(why string) *Fault {
	return &Fault{Code: "ErrorSchemaValidation", ResponseCode: "ErrorSchemaValidation",
		String: "The request failed schema validation: " + why, Message: "The request failed schema validation."}
}

// FaultBody is the s:Fault that Exchange sends for f, with the detail that clients look for.
func FaultBody(f *Fault) string {
	var values strings.Builder
	if f.BackOff > 0 {
		fmt.Fprintf(&values, `<t:MessageXml xmlns:t="%s"><t:Value Name="BackOffMilliseconds">%d</t:Value>`+
			`</t:MessageXml>`, Types, f.BackOff.Milliseconds())
	}
	text := f.String
	if text == "" {
		text = f.Message
	}
	code := f.ResponseCode
	if code == "" {
		code = "ErrorInternalServerError"
	}
	return fmt.Sprintf(`<s:Fault><faultcode xmlns:a="%s">a:%s</faultcode>`+
		`<faultstring xml:lang="en-US">%s</faultstring><detail>`+
		`<e:ResponseCode xmlns:e="%s">%s</e:ResponseCode><e:Message xmlns:e="%s">%s</e:Message>%s</detail></s:Fault>`,
		Types, soap.Escape(code), soap.Escape(text), Errors, soap.Escape(code), Errors, soap.Escape(f.Message),
		values.String())
}

func (h *Handler) fault(w http.ResponseWriter, f *Fault) {
	if f.BackOff > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(int((f.BackOff+time.Second-1)/time.Second)))
	}
	h.write(w, http.StatusInternalServerError, FaultBody(f))
}

func (h *Handler) write(w http.ResponseWriter, status int, body string) {
	v := h.Version
	if v.Major == 0 {
		v = ServerVersion{15, 2, 1544, 9, "V2017_07_11"}
	}
	text := fmt.Sprintf(`<?xml version="1.0" encoding="utf-8"?><s:Envelope xmlns:s="%s"><s:Header>`+
		`<h:ServerVersionInfo xmlns:h="%s" MajorVersion="%d" MinorVersion="%d" `+
		`MajorBuildNumber="%d" MinorBuildNumber="%d" Version="%s"/>`+
		`</s:Header><s:Body>%s</s:Body></s:Envelope>`,
		soap.Namespace, Types, v.Major, v.Minor, v.Build, v.Revision, soap.Escape(v.Schema), body)
	w.Header().Set("Content-Type", "text/xml; charset=utf-8")
	w.Header().Set("Cache-Control", "private")
	w.Header().Set("Content-Length", strconv.Itoa(len(text)))
	w.WriteHeader(status)
	_, _ = w.Write([]byte(text))
}

func (h *Handler) getUserAvailability(r *http.Request, envelope soap.Envelope) (string, error) {
	q, zone, interval, err := h.parseQuery(envelope)
	if err != nil {
		return "", err
	}
	q.Caller, _ = link.CallerOf(r.Context())
	q.AnchorMailbox, q.RequestID = r.Header.Get("X-AnchorMailbox"), r.Header.Get("client-request-id")
	calendars, err := h.Backend.Availability(r.Context(), q)
	if err != nil {
		return "", err
	}
	if len(calendars) != len(q.Mailboxes) {
		return "", fmt.Errorf("backend answered for %d of %d mailboxes", len(calendars), len(q.Mailboxes))
	}
	var b strings.Builder
	fmt.Fprintf(&b, `<m:GetUserAvailabilityResponse xmlns:m="%s" xmlns:t="%s"><m:FreeBusyResponseArray>`, Messages,
		Types)
	for i, c := range calendars {
		if c.Err != nil {
			writeError(&b, q.Mailboxes[i], c.Err)
			continue
		}
		writeView(&b, c, q, zone, interval)
	}
	b.WriteString(`</m:FreeBusyResponseArray>`)
	if options := envelope.Body.Child("SuggestionsViewOptions"); options != nil {
		text, err := h.suggestions(r, options, q, zone)
		if err != nil {
			return "", err
		}
		b.WriteString(text)
	}
	b.WriteString(`</m:GetUserAvailabilityResponse>`)
	return b.String(), nil
}

// parseQuery checks a request as Exchange does, with its response codes.
func (h *Handler) parseQuery(envelope soap.Envelope) (q Query, z TimeZone, interval time.Duration, err error) {
	refuse := func(code, message string) (Query, TimeZone, time.Duration, error) {
		return q, z, interval, &Fault{ResponseCode: code, Message: message}
	}
	body := envelope.Body
	if e := body.Child("TimeZone"); e != nil {
		if z, err = parseTimeZone(e); err != nil {
			return refuse("ErrorTimeZone", "The time zone is invalid.")
		}
	} else if id, ok := envelope.Header.Child("TimeZoneContext", "TimeZoneDefinition").Get("Id"); ok {
		named, ok := zoneByID(id)
		if !ok {
			return refuse("ErrorTimeZone", "The time zone '"+link.Line(id)+"' is not known.")
		}
		z = named.zone
	}
	q.Impersonated = impersonated(envelope.Header)
	for _, data := range body.Child("MailboxDataArray").All("MailboxData") {
		q.Mailboxes = append(q.Mailboxes, data.Value("Email", "Address"))
	}
	switch {
	case len(q.Mailboxes) == 0:
		return refuse("ErrorMissingRecipients", "There are no recipients in the request.")
	case len(q.Mailboxes) > MaxMailboxes:
		return refuse("ErrorExceededMaxRecipientLimit",
			fmt.Sprintf("The number of mailboxes in the request, %d, is above the limit of %d.", len(q.Mailboxes),
				MaxMailboxes))
	}
	options := body.Child("FreeBusyViewOptions")
	if options == nil {
		return refuse("ErrorInvalidFreeBusyViewType", "FreeBusyViewOptions are missing.")
	}
	q.View = FreeBusyMerged
	if s := options.Value("RequestedView"); s != "" {
		q.View = View(s)
	}
	if !q.View.known() || q.View == None {
		return refuse("ErrorInvalidFreeBusyViewType", "The free/busy view type is invalid.")
	}
	var errStart, errEnd error
	q.Window.Start, errStart = parseTime(options.Value("TimeWindow", "StartTime"), z)
	q.Window.End, errEnd = parseTime(options.Value("TimeWindow", "EndTime"), z)
	longest := h.MaxWindow
	if longest == 0 {
		longest = 62 * 24 * time.Hour
	}
	switch {
	case errStart != nil || errEnd != nil || !q.Window.End.After(q.Window.Start):
		return refuse("ErrorInvalidTimeInterval", "The time window is invalid.")
	case q.Window.End.Sub(q.Window.Start) > longest:
		return refuse("ErrorTimeIntervalTooBig", "The time window is too long.")
	}
	interval = 30 * time.Minute
	if s := options.Value("MergedFreeBusyIntervalInMinutes"); s != "" {
		n, err := strconv.Atoi(s)
		if err != nil || n < 5 || n > 24*60 {
			return refuse("ErrorInvalidMergedFreeBusyInterval",
				"The interval of merged free/busy data must be between 5 and 1440 minutes.")
		}
		interval = time.Duration(n) * time.Minute
	}
	if q.View.merged() && interval > q.Window.End.Sub(q.Window.Start) {
		return refuse("ErrorInvalidMergedFreeBusyInterval",
			"The interval of merged free/busy data is longer than the time window.")
	}
	return q, z, interval, nil
}

// impersonated is the address of ExchangeImpersonation.
func impersonated(header *soap.Element) string {
	who := header.Child("ExchangeImpersonation", "ConnectingSID")
	for _, name := range []string{"SmtpAddress", "PrimarySmtpAddress", "PrincipalName", "SID"} {
		if v := who.Value(name); v != "" {
			return v
		}
	}
	return ""
}

func writeError(b *strings.Builder, address string, err error) {
	var e *ResponseError
	if !errors.As(err, &e) {
		e = &ResponseError{Code: "ErrorFreeBusyGenerationFailed", Text: err.Error()}
	}
	linkKey := "0"
	if _, err := strconv.Atoi(e.LinkKey); err == nil {
		linkKey = e.LinkKey
	}
	text := e.Text
	if text == "" {
		text = "The free/busy data of " + address + " could not be retrieved."
	}
	fmt.Fprintf(b, `<m:FreeBusyResponse><m:ResponseMessage ResponseClass="Error"><m:MessageText>%s</m:MessageText>`+
		`<m:ResponseCode>%s</m:ResponseCode><m:DescriptiveLinkKey>%s</m:DescriptiveLinkKey>`,
		soap.Escape(text), soap.Escape(e.Code), linkKey)
	if e.Detail != "" {
		fmt.Fprintf(b, `<m:MessageXml><ExceptionMessage xmlns="%s">%s</ExceptionMessage></m:MessageXml>`, Errors,
			soap.Escape(e.Detail))
	}
	b.WriteString(`</m:ResponseMessage><m:FreeBusyView><t:FreeBusyViewType>None</t:FreeBusyViewType>` +
		`</m:FreeBusyView></m:FreeBusyResponse>`)
}

// atMost is the view that is left of asked when no more than limit may be seen.
func atMost(asked, limit View) View {
	switch limit {
	case MergedOnly:
		if asked != None {
			return MergedOnly
		}
	case FreeBusy, FreeBusyMerged:
		switch asked {
		case Detailed:
			return FreeBusy
		case DetailedMerged:
			return FreeBusyMerged
		}
	case None:
		return None
	}
	return asked
}

func writeView(b *strings.Builder, c Calendar, q Query, z TimeZone, interval time.Duration) {
	view := atMost(q.View, c.Limit)
	fmt.Fprintf(b, `<m:FreeBusyResponse><m:ResponseMessage ResponseClass="Success">`+
		`<m:ResponseCode>NoError</m:ResponseCode></m:ResponseMessage><m:FreeBusyView>`+
		`<t:FreeBusyViewType>%s</t:FreeBusyViewType>`, view)
	if view.merged() {
		b.WriteString(`<t:MergedFreeBusy>` + Merge(c.Events, q.Window, interval) + `</t:MergedFreeBusy>`)
	}
	if view.events() {
		b.WriteString(`<t:CalendarEventArray>`)
		for _, e := range c.Events {
			if e.End.After(q.Window.Start) && e.Start.Before(q.Window.End) {
				writeEvent(b, e, view, z)
			}
		}
		b.WriteString(`</t:CalendarEventArray>`)
		if c.Hours != nil {
			writeHours(b, *c.Hours)
		}
	}
	b.WriteString(`</m:FreeBusyView></m:FreeBusyResponse>`)
}

// writeEvent writes times as Exchange does: without offset, in the time zone of the request.
func writeEvent(b *strings.Builder, e Event, view View, z TimeZone) {
	busy := e.Busy
	if busy == "" {
		busy = Busy
	}
	fmt.Fprintf(b, `<t:CalendarEvent><t:StartTime>%s</t:StartTime><t:EndTime>%s</t:EndTime><t:BusyType>%s</t:BusyType>`,
		formatTime(e.Start, z), formatTime(e.End, z), soap.Escape(string(busy)))
	if d := e.Details; d != nil && view.detailed() {
		b.WriteString(`<t:CalendarEventDetails>`)
		for _, p := range []struct{ name, value string }{{"ID", d.ID}, {"Subject", d.Subject},
			{"Location", d.Location}} {
			if p.value != "" && (!d.Private || p.name == "ID") {
				fmt.Fprintf(b, `<t:%s>%s</t:%s>`, p.name, soap.Escape(p.value), p.name)
			}
		}
		fmt.Fprintf(b, `<t:IsMeeting>%t</t:IsMeeting><t:IsRecurring>%t</t:IsRecurring>`+
			`<t:IsException>%t</t:IsException><t:IsReminderSet>%t</t:IsReminderSet><t:IsPrivate>%t</t:IsPrivate>`+
			`</t:CalendarEventDetails>`,
			d.Meeting, d.Recurring, d.Exception, d.Reminder, d.Private)
	}
	b.WriteString(`</t:CalendarEvent>`)
}

func writeHours(b *strings.Builder, h WorkingHours) {
	b.WriteString(`<t:WorkingHours>`)
	h.Zone.write(b)
	b.WriteString(`<t:WorkingPeriodArray>`)
	for _, p := range h.Periods {
		var days []string
		for _, d := range p.Days {
			days = append(days, d.String())
		}
		fmt.Fprintf(b, `<t:WorkingPeriod><t:DayOfWeek>%s</t:DayOfWeek>`+
			`<t:StartTimeInMinutes>%d</t:StartTimeInMinutes><t:EndTimeInMinutes>%d</t:EndTimeInMinutes>`+
			`</t:WorkingPeriod>`,
			strings.Join(days, " "), p.Start, p.End)
	}
	b.WriteString(`</t:WorkingPeriodArray></t:WorkingHours>`)
}
