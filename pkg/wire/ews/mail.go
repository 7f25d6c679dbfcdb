package ews

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/hybridge-cli/hybridge/pkg/wire/ews/soap"
	"github.com/hybridge-cli/hybridge/pkg/wire/link"
)

// Mail is a message in an inbox, as far as hybridge reads it.
type Mail struct {
	ID      string // as the server names it
	Subject string
	Headers []MailHeader // in the order of the message; only of one that was read alone
}

// MailHeader is one header field of a message.
type MailHeader struct{ Name, Value string }

// Post is a Backend that also sends and keeps messages. Each method answers a *ResponseError for
// what the caller may not do.
type Post interface {
	Send(ctx context.Context, q Query, to []string, subject, body string) error
	// Inbox returns the messages of the caller's inbox with a subject.
	Inbox(ctx context.Context, q Query, subject string) ([]Mail, error)
	// Item returns one message with its headers.
	Item(ctx context.Context, q Query, id string) (Mail, error)
	// Discard deletes a message; found is false when there is none.
	Discard(ctx context.Context, q Query, id string) (found bool, err error)
}

// SendMail sends a message of the mailbox that the client signs in to. It keeps no copy.
func (c *Client) SendMail(ctx context.Context, mailbox, to, subject, text string) error {
	body := fmt.Sprintf(`<m:CreateItem MessageDisposition="SendOnly"><m:Items><t:Message><t:Subject>%s</t:Subject>`+
		`<t:Body BodyType="Text">%s</t:Body><t:ToRecipients><t:Mailbox><t:EmailAddress>%s</t:EmailAddress></t:Mailbox>`+
		`</t:ToRecipients></t:Message></m:Items></m:CreateItem>`, soap.Escape(subject), soap.Escape(text),
		soap.Escape(to))
	_, err := c.item(ctx, mailbox, "CreateItem", body)
	return err
}

// Inbox returns the messages with a subject in the inbox of a mailbox, with their headers.
func (c *Client) Inbox(ctx context.Context, mailbox, subject string) ([]Mail, error) {
	message, err := c.item(ctx, mailbox, "FindItem", `<m:FindItem Traversal="Shallow"><m:ItemShape>`+
		`<t:BaseShape>IdOnly</t:BaseShape></m:ItemShape><m:IndexedPageItemView MaxEntriesReturned="10" Offset="0" `+
		`BasePoint="Beginning"/><m:Restriction><t:IsEqualTo><t:FieldURI FieldURI="item:Subject"/><t:FieldURIOrConstant>`+
		`<t:Constant Value="`+soap.Escape(subject)+`"/></t:FieldURIOrConstant></t:IsEqualTo></m:Restriction>`+
		`<m:ParentFolderIds><t:DistinguishedFolderId Id="inbox"><t:Mailbox><t:EmailAddress>`+soap.Escape(mailbox)+
		`</t:EmailAddress></t:Mailbox></t:DistinguishedFolderId></m:ParentFolderIds></m:FindItem>`)
	if err != nil {
		return nil, err
	}
	var out []Mail
	for _, e := range message.Child("RootFolder", "Items").All("Message") {
		id, _ := e.Child("ItemId").Get("Id")
		read, err := c.item(ctx, mailbox, "GetItem", `<m:GetItem><m:ItemShape><t:BaseShape>IdOnly</t:BaseShape>`+
			`<t:AdditionalProperties><t:FieldURI FieldURI="item:Subject"/><t:FieldURI FieldURI="item:InternetMessageHeaders"/>`+
			`</t:AdditionalProperties></m:ItemShape><m:ItemIds><t:ItemId Id="`+soap.Escape(id)+
			`"/></m:ItemIds></m:GetItem>`)
		if err != nil {
			return nil, err
		}
		found := read.Child("Items", "Message")
		m := Mail{ID: id, Subject: link.Printable(found.Value("Subject"))}
		for _, h := range found.Child("InternetMessageHeaders").All("InternetMessageHeader") {
			name, _ := h.Get("HeaderName")
			m.Headers = append(m.Headers, MailHeader{link.Printable(name), link.Line(h.Value())})
		}
		out = append(out, m)
	}
	return out, nil
}

// DeleteMail deletes a message for good. One that is not there any more is no error.
func (c *Client) DeleteMail(ctx context.Context, mailbox, id string) error {
	_, err := c.item(ctx, mailbox, "DeleteItem", `<m:DeleteItem DeleteType="HardDelete"><m:ItemIds><t:ItemId Id="`+
		soap.Escape(id)+`"/></m:ItemIds></m:DeleteItem>`)
	var no *ResponseError
	if errors.As(err, &no) && no.Code == "ErrorItemNotFound" {
		return nil
	}
	return err
}

// mail answers the operations on messages. done is false for those on appointments.
func (h *Handler) mail(ctx context.Context, q Query, operation string, body *soap.Element) (answer string, err error,
	done bool) {
	backend, ok := h.Backend.(Post)
	folder, _ := body.Child("ParentFolderIds", "DistinguishedFolderId").Get("Id")
	id, _ := body.Child("ItemIds", "ItemId").Get("Id")
	q.Mailboxes = []string{body.Value("ParentFolderIds", "DistinguishedFolderId", "Mailbox", "EmailAddress")}
	switch {
	case !ok:
		return "", nil, false
	case operation == "CreateItem" && body.Child("Items", "Message") != nil:
		answer, err = sendItem(ctx, backend, q, body)
	case operation == "FindItem" && folder == "inbox":
		answer, err = findMail(ctx, backend, q, body)
	case operation == "GetItem":
		answer, err = getItem(ctx, backend, q, id)
	case operation == "DeleteItem":
		if how, _ := body.Get("SendMeetingCancellations"); how != "" {
			return "", nil, false
		}
		found, err := backend.Discard(ctx, q, id)
		// Without the attribute, an appointment cannot be deleted: deleteItem says so.
		return "", err, found || err != nil
	default:
		return "", nil, false
	}
	return answer, err, true
}

func sendItem(ctx context.Context, backend Post, q Query, body *soap.Element) (string, error) {
	if how, _ := body.Get("MessageDisposition"); how != "SendOnly" {
		return "", &ResponseError{Code: "ErrorMessageDispositionRequired",
			Text: "The MessageDisposition attribute is required for message items."}
	}
	item := body.Child("Items", "Message")
	var to []string
	for _, m := range item.Child("ToRecipients").All("Mailbox") {
		to = append(to, m.Value("EmailAddress"))
	}
	if len(to) == 0 {
		return "", &ResponseError{Code: "ErrorInvalidRecipients", Text: "At least one recipient isn't valid."}
	}
	return `<m:Items/>`, backend.Send(ctx, q, to, item.Value("Subject"), item.Value("Body"))
}

func findMail(ctx context.Context, backend Post, q Query, body *soap.Element) (string, error) {
	restriction := body.Child("Restriction", "IsEqualTo")
	field, _ := restriction.Child("FieldURI").Get("FieldURI")
	subject, _ := restriction.Child("FieldURIOrConstant", "Constant").Get("Value")
	if field != "item:Subject" || body.Child("IndexedPageItemView") == nil {
		return "", &ResponseError{Code: "ErrorUnsupportedPathForQuery",
			Text: "The property can not be used with this type of query."}
	}
	found, err := backend.Inbox(ctx, q, subject)
	if err != nil {
		return "", err
	}
	var b strings.Builder
	fmt.Fprintf(&b, `<m:RootFolder IndexedPagingOffset="%d" TotalItemsInView="%[1]d" IncludesLastItemInRange="true"><t:Items>`,
		len(found))
	for _, m := range found {
		fmt.Fprintf(&b, `<t:Message><t:ItemId Id="%s" ChangeKey="AQAAAA=="/></t:Message>`, soap.Escape(m.ID))
	}
	b.WriteString(`</t:Items></m:RootFolder>`)
	return b.String(), nil
}

func getItem(ctx context.Context, backend Post, q Query, id string) (string, error) {
	m, err := backend.Item(ctx, q, id)
	if err != nil {
		return "", err
	}
	var b strings.Builder
	fmt.Fprintf(&b, `<m:Items><t:Message><t:ItemId Id="%s" ChangeKey="AQAAAA=="/><t:Subject>%s</t:Subject>`+
		`<t:InternetMessageHeaders>`, soap.Escape(m.ID), soap.Escape(m.Subject))
	for _, h := range m.Headers {
		fmt.Fprintf(&b, `<t:InternetMessageHeader HeaderName="%s">%s</t:InternetMessageHeader>`, soap.Escape(h.Name),
			soap.Escape(h.Value))
	}
	b.WriteString(`</t:InternetMessageHeaders></t:Message></m:Items>`)
	return b.String(), nil
}
