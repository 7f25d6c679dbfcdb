package ews

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/hybridge-cli/hybridge/pkg/wire/ews/soap"
	"github.com/hybridge-cli/hybridge/pkg/wire/link"
)

// Appointment is an appointment in a calendar, as far as FindItem and CreateItem need it.
type Appointment struct {
	ID         string // as the server names it
	Subject    string
	Body       string // of a new appointment: plain text
	Start, End time.Time
}

// Calendars is a Backend that also keeps appointments. Each method answers a *ResponseError for
// what the caller may not do.
type Calendars interface {
	Find(ctx context.Context, q Query) ([]Appointment, error)
	Create(ctx context.Context, q Query, a Appointment) (id string, err error)
	Delete(ctx context.Context, q Query, id string) error
}

const utcTime = "2006-01-02T15:04:05Z"

// Appointments returns the appointments in a window of a mailbox's calendar.
func (c *Client) Appointments(ctx context.Context, mailbox string, w Window) ([]Appointment, error) {
	body := fmt.Sprintf(`<m:FindItem Traversal="Shallow"><m:ItemShape><t:BaseShape>IdOnly</t:BaseShape>`+
		`<t:AdditionalProperties><t:FieldURI FieldURI="item:Subject"/><t:FieldURI FieldURI="calendar:Start"/>`+
		`<t:FieldURI FieldURI="calendar:End"/></t:AdditionalProperties></m:ItemShape>`+
		`<m:CalendarView StartDate="%s" EndDate="%s"/><m:ParentFolderIds>%s</m:ParentFolderIds></m:FindItem>`,
		w.Start.UTC().Format(utcTime), w.End.UTC().Format(utcTime), calendarOf(mailbox))
	message, err := c.item(ctx, mailbox, "FindItem", body)
	if err != nil {
		return nil, err
	}
	var out []Appointment
	for _, e := range message.Child("RootFolder", "Items").All("CalendarItem") {
		a := Appointment{Subject: link.Printable(e.Value("Subject"))}
		a.ID, _ = e.Child("ItemId").Get("Id")
		var err1, err2 error
		a.Start, err1 = parseTime(e.Value("Start"), TimeZone{})
		a.End, err2 = parseTime(e.Value("End"), TimeZone{})
		if err := errors.Join(err1, err2); err != nil {
			return nil, fmt.Errorf("%s: calendar of %s: %w", c.URL, mailbox, err)
		}
		out = append(out, a)
	}
	return out, nil
}

// CreateAppointment creates an appointment that shows as busy, without a reminder, and invites no
// one.
func (c *Client) CreateAppointment(ctx context.Context, mailbox string, a Appointment) (id string, err error) {
	body := fmt.Sprintf(`<m:CreateItem SendMeetingInvitations="SendToNone"><m:SavedItemFolderId>%s</m:SavedItemFolderId>`+
		`<m:Items><t:CalendarItem><t:Subject>%s</t:Subject><t:Body BodyType="Text">%s</t:Body>`+
		`<t:ReminderIsSet>false</t:ReminderIsSet><t:Start>%s</t:Start><t:End>%s</t:End>`+
		`<t:LegacyFreeBusyStatus>Busy</t:LegacyFreeBusyStatus></t:CalendarItem></m:Items></m:CreateItem>`,
		calendarOf(mailbox), soap.Escape(a.Subject), soap.Escape(a.Body), a.Start.UTC().Format(utcTime),
		a.End.UTC().Format(utcTime))
	message, err := c.item(ctx, mailbox, "CreateItem", body)
	if err != nil {
		return "", err
	}
	id, _ = message.Child("Items", "CalendarItem", "ItemId").Get("Id")
	return id, nil
}

// DeleteAppointment deletes an appointment for good and tells no one. One that is not there any
// more is no error.
func (c *Client) DeleteAppointment(ctx context.Context, mailbox, id string) error {
	_, err := c.item(ctx, mailbox, "DeleteItem", `<m:DeleteItem DeleteType="HardDelete" `+
		`SendMeetingCancellations="SendToNone"><m:ItemIds><t:ItemId Id="`+soap.Escape(id)+
		`"/></m:ItemIds></m:DeleteItem>`)
	var no *ResponseError
	if errors.As(err, &no) && no.Code == "ErrorItemNotFound" {
		return nil
	}
	return err
}

func calendarOf(mailbox string) string {
	return `<t:DistinguishedFolderId Id="calendar"><t:Mailbox><t:EmailAddress>` + soap.Escape(mailbox) +
		`</t:EmailAddress></t:Mailbox></t:DistinguishedFolderId>`
}

// item sends an operation about one mailbox and returns its response message.
func (c *Client) item(ctx context.Context, mailbox, operation, body string) (*soap.Element, error) {
	_, envelope, err := c.call(ctx, mailbox, body)
	if err != nil {
		return nil, err
	}
	message := envelope.Body.Child("ResponseMessages", operation+"ResponseMessage")
	if !envelope.Body.Is(Messages, operation+"Response") || message == nil {
		return nil, fmt.Errorf("%s: %w: the body is %s", c.URL, ErrNotEWS, link.Printable(bodyName(envelope)))
	}
	if class, _ := message.Get("ResponseClass"); class == "Error" {
		return nil, &ResponseError{Address: mailbox, Code: link.Line(message.Value("ResponseCode")),
			Text: link.Line(message.Value("MessageText"))}
	}
	return message, nil
}

// items answers FindItem with a CalendarView, CreateItem and DeleteItem for one calendar.
func (h *Handler) items(r *http.Request, envelope soap.Envelope) (string, error) {
	backend, ok := h.Backend.(Calendars)
	body, operation := envelope.Body, envelope.Body.Name.Local
	if _, posts := h.Backend.(Post); !ok && !posts {
		return "", schemaFault("the element '" + operation + "' in namespace '" + Messages + "' is not expected")
	}
	q := Query{RequestID: r.Header.Get("client-request-id"), Impersonated: impersonated(envelope.Header)}
	q.Caller, _ = link.CallerOf(r.Context())
	answer, err, done := h.mail(r.Context(), q, operation, body)
	switch {
	case done:
	case operation == "GetItem", !ok:
		return "", schemaFault("the element '" + operation + "' in namespace '" + Messages + "' is not expected")
	case operation == "FindItem":
		answer, err = findItem(r.Context(), backend, q, body)
	case operation == "CreateItem":
		answer, err = createItem(r.Context(), backend, q, body)
	default:
		err = deleteItem(r.Context(), backend, q, body)
	}
	var no *ResponseError
	class, code, text := "Success", "NoError", ""
	switch {
	case errors.As(err, &no):
		class, code, answer = "Error", no.Code, ""
		text = `<m:MessageText>` + soap.Escape(no.Text) + `</m:MessageText>`
		if operation == "CreateItem" || operation == "GetItem" {
			answer = `<m:Items/>`
		}
	case err != nil:
		return "", err
	}
	if class == "Error" {
		answer = `<m:DescriptiveLinkKey>0</m:DescriptiveLinkKey>` + answer
	}
	return fmt.Sprintf(`<m:%[1]sResponse xmlns:m="%[2]s" xmlns:t="%[3]s"><m:ResponseMessages>`+
		`<m:%[1]sResponseMessage ResponseClass="%[4]s">%[5]s<m:ResponseCode>%[6]s</m:ResponseCode>%[7]s`+
		`</m:%[1]sResponseMessage></m:ResponseMessages></m:%[1]sResponse>`,
		operation, Messages, Types, class, text, soap.Escape(code), answer), nil
}

// mailboxOfFolder is the mailbox whose calendar a folder id names. Without one, it is the caller's.
func mailboxOfFolder(e *soap.Element) (string, error) {
	folder := e.Child("DistinguishedFolderId")
	if id, _ := folder.Get("Id"); id != "calendar" {
		return "", &ResponseError{Code: "ErrorFolderNotFound",
			Text: "The specified folder could not be found in the store."}
	}
	return folder.Value("Mailbox", "EmailAddress"), nil
}

func findItem(ctx context.Context, backend Calendars, q Query, body *soap.Element) (string, error) {
	view := body.Child("CalendarView")
	mailbox, err := mailboxOfFolder(body.Child("ParentFolderIds"))
	if err != nil {
		return "", err
	}
	start, _ := view.Get("StartDate")
	end, _ := view.Get("EndDate")
	var err1, err2 error
	q.Mailboxes = []string{mailbox}
	q.Window.Start, err1 = parseTime(start, TimeZone{})
	q.Window.End, err2 = parseTime(end, TimeZone{})
	if err1 != nil || err2 != nil || !q.Window.End.After(q.Window.Start) {
		return "", &ResponseError{Code: "ErrorCalendarEndDateIsEarlierThanStartDate",
			Text: "EndDate is earlier than StartDate."}
	}
	found, err := backend.Find(ctx, q)
	if err != nil {
		return "", err
	}
	var b strings.Builder
	fmt.Fprintf(&b, `<m:RootFolder TotalItemsInView="%d" IncludesLastItemInRange="true"><t:Items>`, len(found))
	for _, a := range found {
		fmt.Fprintf(&b, `<t:CalendarItem><t:ItemId Id="%s" ChangeKey="AQAAAA=="/><t:Subject>%s</t:Subject>`+
			`<t:Start>%s</t:Start><t:End>%s</t:End></t:CalendarItem>`, soap.Escape(a.ID), soap.Escape(a.Subject),
			a.Start.UTC().Format(utcTime), a.End.UTC().Format(utcTime))
	}
	b.WriteString(`</t:Items></m:RootFolder>`)
	return b.String(), nil
}

func createItem(ctx context.Context, backend Calendars, q Query, body *soap.Element) (string, error) {
	if how, _ := body.Get("SendMeetingInvitations"); how == "" {
		return "", &ResponseError{Code: "ErrorSendMeetingInvitationsRequired",
			Text: "The SendMeetingInvitations attribute is required for calendar items."}
	}
	mailbox, err := mailboxOfFolder(body.Child("SavedItemFolderId"))
	if err != nil {
		return "", err
	}
	item := body.Child("Items", "CalendarItem")
	if item == nil {
		return "", &ResponseError{Code: "ErrorInvalidOperation", Text: "Only calendar items can be created here."}
	}
	a := Appointment{Subject: item.Value("Subject"), Body: item.Value("Body")}
	var err1, err2 error
	a.Start, err1 = parseTime(item.Value("Start"), TimeZone{})
	a.End, err2 = parseTime(item.Value("End"), TimeZone{})
	if err1 != nil || err2 != nil || a.End.Before(a.Start) {
		return "", &ResponseError{Code: "ErrorCalendarEndDateIsEarlierThanStartDate",
			Text: "EndDate is earlier than StartDate."}
	}
	q.Mailboxes = []string{mailbox}
	id, err := backend.Create(ctx, q, a)
	if err != nil {
		return "", err
	}
	return `<m:Items><t:CalendarItem><t:ItemId Id="` + soap.Escape(id) +
			`" ChangeKey="AQAAAA=="/></t:CalendarItem></m:Items>`,
		nil
}

func deleteItem(ctx context.Context, backend Calendars, q Query, body *soap.Element) error {
	if how, _ := body.Get("SendMeetingCancellations"); how == "" {
		return &ResponseError{Code: "ErrorSendMeetingCancellationsRequired",
			Text: "The SendMeetingCancellations attribute is required for calendar items."}
	}
	id, _ := body.Child("ItemIds", "ItemId").Get("Id")
	return backend.Delete(ctx, q, id)
}
