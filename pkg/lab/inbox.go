package lab

import (
	"context"
	"strings"

	"github.com/hybridge-cli/hybridge/pkg/lab/entra"
	"github.com/hybridge-cli/hybridge/pkg/lab/mail"
	"github.com/hybridge-cli/hybridge/pkg/wire/ews"
)

// own is the mailbox of a caller of EWS. Messages of others are not shown and not sent.
func (a answering) own(q ews.Query) (string, error) {
	if len(q.Mailboxes) == 0 {
		q.Mailboxes = []string{""}
	}
	mailbox, err := a.opens(q)
	if err == nil && !strings.EqualFold(mailbox, a.person(q.Caller, a.domain)) {
		err = &ews.ResponseError{Code: "ErrorAccessDenied", Text: "Access is denied. Check credentials and try again."}
	}
	return mailbox, err
}

// Send, Inbox, Item and Discard are the messages of a mailbox as EWS shows them.
func (a answering) Send(_ context.Context, q ews.Query, to []string, subject, body string) error {
	mailbox, err := a.own(q)
	if err != nil {
		return err
	}
	_, err = a.post.Submit(mailbox, to, subject, body+"\r\n")
	return err
}

func (a answering) Inbox(_ context.Context, q ews.Query, subject string) ([]ews.Mail, error) {
	mailbox, err := a.own(q)
	if err != nil {
		return nil, err
	}
	var out []ews.Mail
	for _, m := range a.post.Inbox(mailbox, subject) {
		out = append(out, ews.Mail{ID: m.ID, Subject: m.Subject})
	}
	return out, nil
}

func (a answering) Item(_ context.Context, q ews.Query, id string) (ews.Mail, error) {
	mailbox, err := a.own(q)
	if err != nil {
		return ews.Mail{}, err
	}
	for _, m := range a.post.Inbox(mailbox, "") {
		if m.ID == id {
			out := ews.Mail{ID: m.ID, Subject: m.Subject}
			for _, f := range m.Header {
				out.Headers = append(out.Headers, ews.MailHeader(f))
			}
			return out, nil
		}
	}
	return ews.Mail{}, &ews.ResponseError{Code: "ErrorItemNotFound",
		Text: "The specified object was not found in the store."}
}

func (a answering) Discard(_ context.Context, q ews.Query, id string) (found bool, err error) {
	mailbox, err := a.own(q)
	if err != nil {
		return false, err
	}
	return a.post.Delete(mailbox, id), nil
}

// SendMail, Messages and RemoveMessage are the tenant's mailboxes as Microsoft Graph shows them.
func (t *tenantSite) SendMail(user string, to []string, subject, body string) error {
	r, ok := t.premise.find(user)
	if !ok || !r.here {
		return entra.ErrNoMailbox
	}
	_, err := t.post.Submit(r.primary, to, subject, body+"\r\n")
	return err
}

func (t *tenantSite) Messages(user string) ([]entra.Message, error) {
	r, ok := t.premise.find(user)
	if !ok || !r.here {
		return nil, entra.ErrNoMailbox
	}
	var out []entra.Message
	for _, m := range t.post.Inbox(r.primary, "") {
		out = append(out, entra.Message{ID: m.ID, Subject: m.Subject, Headers: headersOf(m)})
	}
	return out, nil
}

func headersOf(m mail.Message) []entra.MessageHeader {
	var out []entra.MessageHeader
	for _, f := range m.Header {
		out = append(out, entra.MessageHeader{Name: f.Name, Value: f.Value})
	}
	return out
}

func (t *tenantSite) RemoveMessage(user, id string) (found bool) {
	r, ok := t.premise.find(user)
	return ok && r.here && t.post.Delete(r.primary, id)
}
