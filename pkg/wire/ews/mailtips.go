package ews

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/hybridge-cli/hybridge/pkg/wire/ews/soap"
	"github.com/hybridge-cli/hybridge/pkg/wire/link"
)

// MailTips are what a server knows of a recipient before a message is sent.
type MailTips struct {
	Address string
	Err     error    // *ResponseError: nothing is known
	Pending []string // the kinds that the server could not find out, such as OutOfOfficeMessage
	Replies *string  // the automatic reply, empty when there is none; nil: the answer does not say
	Full    *bool    // whether the mailbox is full; nil: the answer does not say
}

// Tips is a Backend that knows MailTips: one for each of q.Mailboxes, in that order.
type Tips interface {
	MailTips(ctx context.Context, q Query) ([]MailTips, error)
}

// MailTips asks for the MailTips that only the mailbox itself can give: automatic replies, and
// whether it is full. sender is who would send.
func (c *Client) MailTips(ctx context.Context, sender string, recipients []string) ([]MailTips, error) {
	var list strings.Builder
	for _, r := range recipients {
		list.WriteString(`<t:Mailbox><t:EmailAddress>` + soap.Escape(r) + `</t:EmailAddress>` +
			`<t:RoutingType>SMTP</t:RoutingType></t:Mailbox>`)
	}
	body := `<m:GetMailTips><m:SendingAs><t:EmailAddress>` + soap.Escape(sender) + `</t:EmailAddress>` +
		`<t:RoutingType>SMTP</t:RoutingType></m:SendingAs><m:Recipients>` + list.String() + `</m:Recipients>` +
		`<m:MailTipsRequested>OutOfOfficeMessage MailboxFullStatus</m:MailTipsRequested></m:GetMailTips>`
	_, envelope, err := c.call(ctx, sender, body)
	if err != nil {
		return nil, err
	}
	answer := envelope.Body
	if !answer.Is(Messages, "GetMailTipsResponse") {
		return nil, fmt.Errorf("%s: %w: the body is %s", c.URL, ErrNotEWS, link.Printable(bodyName(envelope)))
	}
	messages := answer.Child("ResponseMessages").All("MailTipsResponseMessageType")
	if class, _ := answer.Get("ResponseClass"); class == "Error" && len(messages) == 0 {
		return nil, tipsError(answer, "")
	}
	if len(messages) != len(recipients) {
		return nil, fmt.Errorf("%s: asked for MailTips of %d recipients, answered for %d", c.URL, len(recipients),
			len(messages))
	}
	out := make([]MailTips, len(recipients))
	for i, m := range messages {
		out[i].Address = recipients[i]
		if class, _ := m.Get("ResponseClass"); class == "Error" {
			out[i].Err = tipsError(m, recipients[i])
			continue
		}
		tips := m.Child("MailTips")
		for _, kind := range strings.Fields(tips.Value("PendingMailTips")) {
			out[i].Pending = append(out[i].Pending, link.Printable(kind))
		}
		if e := tips.Child("OutOfOffice"); e != nil {
			text := link.Printable(e.Value("ReplyBody", "Message"))
			out[i].Replies = &text
		}
		if e := tips.Child("MailboxFull"); e != nil {
			full := e.Text == "true" || e.Text == "1"
			out[i].Full = &full
		}
	}
	return out, nil
}

func tipsError(m *soap.Element, address string) error {
	return &ResponseError{Address: address, Code: link.Printable(m.Value("ResponseCode")),
		Text: link.Line(m.Value("MessageText"))}
}

// mailTips answers GetMailTips with automatic replies and whether mailboxes are full.
func (h *Handler) mailTips(r *http.Request, envelope soap.Envelope) (string, error) {
	backend, ok := h.Backend.(Tips)
	if !ok {
		return "", notExpected(envelope.Body)
	}
	q := Query{RequestID: r.Header.Get("client-request-id"), Impersonated: impersonated(envelope.Header)}
	q.Caller, _ = link.CallerOf(r.Context())
	for _, e := range envelope.Body.Child("Recipients").All("Mailbox") {
		q.Mailboxes = append(q.Mailboxes, e.Value("EmailAddress"))
	}
	if len(q.Mailboxes) == 0 {
		return "", &Fault{ResponseCode: "ErrorMissingRecipients", Message: "There are no recipients in the request."}
	}
	found, err := backend.MailTips(r.Context(), q)
	if err != nil {
		return "", err
	}
	var b strings.Builder
	fmt.Fprintf(&b, `<m:GetMailTipsResponse xmlns:m="%s" xmlns:t="%s" ResponseClass="Success">`+
		`<m:ResponseCode>NoError</m:ResponseCode><m:ResponseMessages>`, Messages, Types)
	for i, tips := range found {
		var no *ResponseError
		if errors.As(tips.Err, &no) {
			fmt.Fprintf(&b, `<m:MailTipsResponseMessageType ResponseClass="Error"><m:MessageText>%s</m:MessageText>`+
				`<m:ResponseCode>%s</m:ResponseCode><m:DescriptiveLinkKey>0</m:DescriptiveLinkKey>`+
				`</m:MailTipsResponseMessageType>`, soap.Escape(no.Text), soap.Escape(no.Code))
			continue
		}
		fmt.Fprintf(&b, `<m:MailTipsResponseMessageType ResponseClass="Success"><m:ResponseCode>NoError</m:ResponseCode>`+
			`<m:MailTips><t:RecipientAddress><t:Name/><t:EmailAddress>%s</t:EmailAddress>`+
			`<t:RoutingType>SMTP</t:RoutingType></t:RecipientAddress><t:PendingMailTips>%s</t:PendingMailTips>`,
			soap.Escape(q.Mailboxes[i]), soap.Escape(strings.Join(tips.Pending, " ")))
		if tips.Replies != nil {
			fmt.Fprintf(&b, `<t:OutOfOffice><t:ReplyBody><t:Message>%s</t:Message></t:ReplyBody></t:OutOfOffice>`,
				soap.Escape(*tips.Replies))
		}
		if tips.Full != nil {
			fmt.Fprintf(&b, `<t:MailboxFull>%t</t:MailboxFull>`, *tips.Full)
		}
		b.WriteString(`</m:MailTips></m:MailTipsResponseMessageType>`)
	}
	b.WriteString(`</m:ResponseMessages></m:GetMailTipsResponse>`)
	return b.String(), nil
}
