package ews

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/hybridge-cli/hybridge/pkg/wire/ews/soap"
	"github.com/hybridge-cli/hybridge/pkg/wire/link"
)

// DefaultTimeout is the time limit of one request. A server that asks another organization needs
// almost a minute to give up.
const DefaultTimeout = 90 * time.Second

// Client asks one endpoint. It is safe for concurrent use.
type Client struct {
	URL  string       // https://mail.contoso.com/EWS/Exchange.asmx
	HTTP *http.Client // of link.Link.Client: it sends the credential

	AnchorMailbox string        // X-AnchorMailbox; empty: the first mailbox asked for
	Impersonate   string        // SMTP address to act as (ExchangeImpersonation); empty: the caller
	Version       string        // RequestServerVersion; DefaultVersion when empty
	UserAgent     string        // "hybridge" when empty
	Timeout       time.Duration // of one request; DefaultTimeout when 0
}

// Request is a GetUserAvailability. Limits of servers: an interval of 5 to 1440 minutes, a window
// of at most 62 days and at least an interval.
type Request struct {
	Mailboxes []string // SMTP addresses, any number: above MaxMailboxes they are asked for in turns
	Window    Window
	Interval  time.Duration // of MergedFreeBusy; 30 minutes when 0
	View      View          // DetailedMerged when empty
	Zone      TimeZone      // in which the server is asked and answers; no caller needs another than UTC
}

// Response is the answer: one Mailbox for each of Request.Mailboxes, in that order.
type Response struct {
	Server    ServerVersion
	RequestID string // client-request-id, for the server's logs
	Mailboxes []Mailbox
}

// Mailbox is what the server returned about one mailbox.
type Mailbox struct {
	Address string
	Err     error // *ResponseError: this mailbox could not be looked up; the rest is then empty

	View View // what the server says it gives
	// MergedFreeBusy; only when HasMerged. 0 free, 1 tentative, 2 busy, 3 out of office, 4
	// elsewhere
	Merged       string
	HasMerged    bool
	Events       []Event
	HasEvents    bool          // distinguishes a calendar without events from an absent one
	Unread       int           // events whose times do not parse; they are left out
	WorkingHours *WorkingHours // nil when absent or malformed
}

// Slots is the server's MergedFreeBusy, or the same made of the events where the server gives none.
// ok is false when neither was returned.
func (m Mailbox) Slots(w Window, interval time.Duration) (merged string, ok bool) {
	switch {
	case m.Err != nil:
		return "", false
	case m.HasMerged:
		return m.Merged, true
	case m.HasEvents:
		return Merge(m.Events, w, interval), true
	}
	return "", false
}

// Availability asks for the free/busy times of mailboxes. An error is about the request as a whole:
// *Fault, *link.StatusError, ErrNotEWS or a class of link. An error of one mailbox is in its Err.
// When a later turn fails, the answers of the earlier ones are returned too.
func (c *Client) Availability(ctx context.Context, r Request) (Response, error) {
	if r.Interval == 0 {
		r.Interval = 30 * time.Minute
	}
	if r.View == "" {
		r.View = DetailedMerged
	}
	if err := r.check(); err != nil {
		return Response{}, err
	}
	var all Response
	for start := 0; start < len(r.Mailboxes); start += MaxMailboxes {
		part := r
		part.Mailboxes = r.Mailboxes[start:min(start+MaxMailboxes, len(r.Mailboxes))]
		answer, err := c.availability(ctx, part)
		if err != nil {
			return all, err
		}
		all.Server, all.RequestID = answer.Server, answer.RequestID
		all.Mailboxes = append(all.Mailboxes, answer.Mailboxes...)
	}
	return all, nil
}

func (r Request) check() error {
	switch {
	case len(r.Mailboxes) == 0:
		return errors.New("free/busy: no mailbox to ask for")
	case !r.Window.End.After(r.Window.Start):
		return errors.New("free/busy: the window ends before it starts")
	case r.Interval < 5*time.Minute || r.Interval > 24*time.Hour || r.Interval%time.Minute != 0:
		return fmt.Errorf("free/busy: an interval of %s is not between 5 minutes and a day", r.Interval)
	case r.Window.End.Sub(r.Window.Start) < r.Interval:
		return fmt.Errorf("free/busy: the window is shorter than the interval of %s", r.Interval)
	case !r.View.known():
		return fmt.Errorf("free/busy: unknown view %q", r.View)
	}
	for _, m := range r.Mailboxes {
		if local, domain, ok := strings.Cut(m, "@"); !ok || local == "" || domain == "" {
			return fmt.Errorf("free/busy: %q is not an SMTP address", m)
		}
	}
	return nil
}

func (c *Client) availability(ctx context.Context, r Request) (Response, error) {
	anchor := c.AnchorMailbox
	if anchor == "" {
		anchor = r.Mailboxes[0]
	}
	id, envelope, err := c.call(ctx, anchor, r.body())
	if err != nil {
		return Response{}, err
	}
	if !envelope.Body.Is(Messages, "GetUserAvailabilityResponse") {
		return Response{}, fmt.Errorf("%s: %w: the body is %s", c.URL, ErrNotEWS, link.Printable(bodyName(envelope)))
	}
	answer := Response{Server: serverVersion(envelope.Header), RequestID: id}
	answers := envelope.Body.Child("FreeBusyResponseArray").All("FreeBusyResponse")
	if len(answers) != len(r.Mailboxes) {
		return Response{}, fmt.Errorf("%s: asked for %d mailboxes, answered for %d", c.URL, len(r.Mailboxes),
			len(answers))
	}
	for i, e := range answers {
		m, err := parseMailbox(e, r.Mailboxes[i], r.Zone)
		if err != nil {
			return Response{}, fmt.Errorf("%s: free/busy of %s: %w", c.URL, r.Mailboxes[i], err)
		}
		answer.Mailboxes = append(answer.Mailboxes, m)
	}
	return answer, nil
}

func bodyName(e soap.Envelope) string {
	if e.Body == nil {
		return "empty"
	}
	return e.Body.Name.Local
}

func (r Request) body() string {
	var b strings.Builder
	b.WriteString(`<m:GetUserAvailabilityRequest>`)
	r.Zone.write(&b)
	b.WriteString(`<m:MailboxDataArray>`)
	for _, m := range r.Mailboxes {
		b.WriteString(`<t:MailboxData><t:Email><t:Address>` + soap.Escape(m) +
			`</t:Address></t:Email><t:AttendeeType>Required</t:AttendeeType>` +
			`<t:ExcludeConflicts>false</t:ExcludeConflicts></t:MailboxData>`)
	}
	fmt.Fprintf(&b, `</m:MailboxDataArray><t:FreeBusyViewOptions><t:TimeWindow><t:StartTime>%s</t:StartTime>`+
		`<t:EndTime>%s</t:EndTime></t:TimeWindow>`+
		`<t:MergedFreeBusyIntervalInMinutes>%d</t:MergedFreeBusyIntervalInMinutes>`+
		`<t:RequestedView>%s</t:RequestedView></t:FreeBusyViewOptions></m:GetUserAvailabilityRequest>`,
		formatTime(r.Window.Start, r.Zone), formatTime(r.Window.End, r.Zone), int(r.Interval/time.Minute), r.View)
	return b.String()
}

// envelope is a whole request around body.
func (c *Client) envelope(body string) []byte {
	version := c.Version
	if version == "" {
		version = DefaultVersion
	}
	var b bytes.Buffer
	fmt.Fprintf(&b, `<?xml version="1.0" encoding="utf-8"?>`+"\n"+
		`<s:Envelope xmlns:s="%s" xmlns:m="%s" xmlns:t="%s"><s:Header><t:RequestServerVersion Version="%s"/>`,
		soap.Namespace, Messages, Types, soap.Escape(version))
	if c.Impersonate != "" {
		b.WriteString(`<t:ExchangeImpersonation><t:ConnectingSID><t:SmtpAddress>` + soap.Escape(c.Impersonate) +
			`</t:SmtpAddress></t:ConnectingSID></t:ExchangeImpersonation>`)
	}
	b.WriteString(`</s:Header><s:Body>` + body + `</s:Body></s:Envelope>`)
	return b.Bytes()
}

// The limits of asking again when a server says that it is busy.
const (
	maxRetries     = 3
	maxBackOff     = 30 * time.Second // of all waits together; a server that asks for more is reported
	defaultBackOff = time.Second
)

// call is post, repeated while the server asks to come back later (ErrorServerBusy with
// BackOffMilliseconds). A wait beyond maxBackOff or beyond ctx's deadline does not begin.
func (c *Client) call(ctx context.Context, anchor, body string) (requestID string, answer soap.Envelope, err error) {
	left := maxBackOff
	for try := 0; ; try++ {
		requestID, answer, err = c.post(ctx, anchor, body)
		var busy *Fault
		if try == maxRetries || !errors.As(err, &busy) || !busy.Temporary() {
			return requestID, answer, err
		}
		wait := busy.BackOff
		if wait == 0 {
			wait = defaultBackOff << try
		}
		if end, ok := ctx.Deadline(); wait >= left || ok && time.Until(end) <= wait {
			return requestID, answer, err
		}
		select {
		case <-ctx.Done():
			return requestID, answer, err
		case <-time.After(wait):
			left -= wait
		}
	}
}

// post sends body once and opens the answer. Faults and everything that is no answer of the service
// are errors.
func (c *Client) post(ctx context.Context, anchor, body string) (requestID string, answer soap.Envelope, err error) {
	timeout := c.Timeout
	if timeout <= 0 {
		timeout = DefaultTimeout
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, c.URL, bytes.NewReader(c.envelope(body)))
	if err != nil {
		return "", soap.Envelope{}, fmt.Errorf("EWS: %w", err)
	}
	requestID = newRequestID()
	r.Header.Set("Content-Type", "text/xml; charset=utf-8")
	r.Header.Set("Accept", "text/xml")
	r.Header.Set("client-request-id", requestID)
	r.Header.Set("return-client-request-id", "true")
	if strings.IndexFunc(anchor, func(c rune) bool { return c < 0x20 || c == 0x7f }) < 0 {
		r.Header.Set("X-AnchorMailbox", anchor)
	}
	agent := c.UserAgent
	if agent == "" {
		agent = "hybridge"
	}
	r.Header.Set("User-Agent", agent)
	resp, err := c.HTTP.Do(r)
	if err != nil {
		return requestID, soap.Envelope{}, link.Classify(err)
	}
	defer resp.Body.Close()
	answer, err = readAnswer(resp)
	return requestID, answer, err
}

// readAnswer distinguishes a SOAP answer, a fault, an HTTP error and a page of something else.
func readAnswer(resp *http.Response) (soap.Envelope, error) {
	limits := soap.Limits{Bytes: 16 << 20}
	data, err := io.ReadAll(io.LimitReader(resp.Body, limits.Bytes+1))
	if err != nil {
		return soap.Envelope{}, fmt.Errorf("%s: read answer: %w", resp.Request.URL.Redacted(), link.Classify(err))
	}
	root, err := soap.Parse(data, limits)
	var envelope soap.Envelope
	if err == nil {
		envelope, err = soap.Open(root)
	}
	if err == nil {
		if fault, ok := envelope.Fault(); ok {
			return soap.Envelope{}, parseFault(fault, resp)
		}
		if resp.StatusCode == http.StatusOK {
			return envelope, nil
		}
	}
	if errors.Is(err, soap.ErrLimit) {
		return soap.Envelope{}, fmt.Errorf("%s: %w", resp.Request.URL.Redacted(), err)
	}
	status := link.NewStatusError(resp, data)
	status.Detail = whatAnswered(resp, data)
	if resp.StatusCode != http.StatusOK {
		return soap.Envelope{}, status
	}
	return soap.Envelope{}, fmt.Errorf("%s: %w, but %s (%w)", resp.Request.URL.Redacted(), ErrNotEWS, status.Detail,
		err)
}

func parseFault(e *soap.Element, resp *http.Response) *Fault {
	f := &Fault{
		URL: resp.Request.URL.Redacted(), StatusCode: resp.StatusCode, Header: resp.Header,
		Code:         link.Printable(localName(e.Value("faultcode"))),
		String:       link.Line(e.Value("faultstring")),
		ResponseCode: link.Printable(e.Value("detail", "ResponseCode")),
		Message:      link.Line(e.Value("detail", "Message")),
		Diagnostics:  Diagnostics(resp.Header),
	}
	for _, v := range e.Child("detail", "MessageXml").All("Value") {
		name, _ := v.Get("Name")
		if f.Values == nil {
			f.Values = map[string]string{}
		}
		f.Values[name] = link.Printable(v.Text)
	}
	if ms, err := strconv.ParseInt(f.Values["BackOffMilliseconds"], 10, 64); err == nil && ms > 0 &&
		ms < int64(24*time.Hour/time.Millisecond) {
		f.BackOff = time.Duration(ms) * time.Millisecond
	} else {
		f.BackOff = link.RetryAfter(resp.Header, time.Now())
	}
	return f
}

func localName(qname string) string {
	if i := strings.LastIndexByte(qname, ':'); i >= 0 {
		return qname[i+1:]
	}
	return qname
}

func serverVersion(header *soap.Element) ServerVersion {
	e := header.Child("ServerVersionInfo")
	number := func(name string) int {
		s, _ := e.Get(name)
		n, _ := strconv.Atoi(s)
		return n
	}
	schema, _ := e.Get("Version")
	return ServerVersion{number("MajorVersion"), number("MinorVersion"), number("MajorBuildNumber"),
		number("MinorBuildNumber"), link.Printable(schema)}
}

func parseMailbox(e *soap.Element, address string, z TimeZone) (Mailbox, error) {
	m := Mailbox{Address: address}
	message := e.Child("ResponseMessage")
	class, _ := message.Get("ResponseClass")
	code := message.Value("ResponseCode")
	if class == "Error" || code != "" && code != "NoError" && class != "Warning" {
		m.Err = &ResponseError{
			Address: address, Code: link.Line(code), Text: link.Line(message.Value("MessageText")),
			LinkKey: link.Line(message.Value("DescriptiveLinkKey")),
			Detail:  link.Line(deepText(message.Child("MessageXml"))),
		}
		return m, nil
	}
	view := e.Child("FreeBusyView")
	if view == nil {
		m.Err = errors.New("an answer without FreeBusyView and without an error")
		return m, nil
	}
	m.View = View(link.Line(view.Value("FreeBusyViewType")))
	if merged := view.Child("MergedFreeBusy"); merged != nil {
		m.Merged, m.HasMerged = merged.Text, true
		if strings.Trim(m.Merged, "0123456789") != "" {
			return m, errors.New("MergedFreeBusy is not made of digits")
		}
	}
	if array := view.Child("CalendarEventArray"); array != nil {
		m.HasEvents = true
		for _, c := range array.All("CalendarEvent") {
			event, err := parseEvent(c, z)
			switch {
			case err == nil:
				m.Events = append(m.Events, event)
			case m.HasMerged: // MergedFreeBusy answers the question without it
				m.Unread++
			default:
				return m, err
			}
		}
	} else if m.View.events() {
		m.HasEvents = true // a server that shows events leaves the array out when there are none
	}
	m.WorkingHours = parseWorkingHours(view.Child("WorkingHours"))
	return m, nil
}

// parseWorkingHours is nil where the hours are absent or do not parse: they are an extra, and the
// times of the calendar are right without them.
func parseWorkingHours(e *soap.Element) *WorkingHours {
	if e == nil {
		return nil
	}
	zone, err := parseTimeZone(e.Child("TimeZone"))
	if err != nil {
		return nil
	}
	hours := &WorkingHours{Zone: zone}
	for _, p := range e.Child("WorkingPeriodArray").All("WorkingPeriod") {
		start, err1 := strconv.Atoi(p.Value("StartTimeInMinutes"))
		end, err2 := strconv.Atoi(p.Value("EndTimeInMinutes"))
		if err1 == nil && err2 == nil {
			hours.Periods = append(hours.Periods, WorkingPeriod{parseWeekdays(p.Value("DayOfWeek")), start, end})
		}
	}
	return hours
}

func parseEvent(e *soap.Element, z TimeZone) (Event, error) {
	var v Event
	var err error
	if v.Start, err = parseTime(e.Value("StartTime"), z); err != nil {
		return v, err
	}
	if v.End, err = parseTime(e.Value("EndTime"), z); err != nil {
		return v, err
	}
	v.Busy = BusyType(link.Printable(e.Value("BusyType")))
	if d := e.Child("CalendarEventDetails"); d != nil {
		is := func(name string) bool { s := d.Value(name); return s == "true" || s == "1" }
		v.Details = &Details{
			ID: d.Value("ID"), Subject: d.Value("Subject"), Location: d.Value("Location"),
			Meeting: is("IsMeeting"), Recurring: is("IsRecurring"), Exception: is("IsException"),
			Reminder: is("IsReminderSet"), Private: is("IsPrivate"),
		}
	}
	return v, nil
}

// deepText is all text below e.
func deepText(e *soap.Element) string {
	if e == nil {
		return ""
	}
	parts := []string{e.Text}
	for _, c := range e.Children {
		parts = append(parts, deepText(c))
	}
	return strings.Join(strings.Fields(strings.Join(parts, " ")), " ")
}

// newRequestID is a random UUID, as servers' logs expect.
func newRequestID() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}
