package workmail

import (
	"context"

	"github.com/hybridge-cli/hybridge/pkg/wire/ews"
)

// MailboxOf returns the primary address of the enabled user or group with an address.
func (o *Organization) MailboxOf(address string) (primary string, known bool) {
	o.service.mu.Lock()
	defer o.service.mu.Unlock()
	p, found := o.find(address)
	if !found || o.registered[p.ID] == "" {
		return "", false
	}
	return o.registered[p.ID], true
}

// own is the mailbox of a caller, who names it by one of its addresses. The lab shows and sends no
// messages of others.
func (s *Service) own(ctx context.Context, q ews.Query) (string, error) {
	who, _ := ctx.Value(callerKey{}).(caller)
	if who.org == nil || who.role || q.Impersonated != "" || s.Post == nil {
		return "", &ews.ResponseError{Code: "ErrorAccessDenied",
			Text: "Access is denied. Check credentials and try again."}
	}
	mine := who.org.addressOf(who.person)
	if len(q.Mailboxes) > 0 && q.Mailboxes[0] != "" {
		if asked, known := who.org.MailboxOf(q.Mailboxes[0]); !known || asked != mine {
			return "", &ews.ResponseError{Code: "ErrorAccessDenied",
				Text: "Access is denied. Check credentials and try again."}
		}
	}
	return mine, nil
}

// Send, Inbox, Item and Discard are the messages of a mailbox as EWS shows them.
func (s *Service) Send(ctx context.Context, q ews.Query, to []string, subject, body string) error {
	mailbox, err := s.own(ctx, q)
	if err != nil {
		return err
	}
	_, err = s.Post.Submit(mailbox, to, subject, body+"\r\n")
	return err
}

// Inbox returns the messages of the caller's inbox with a subject.
func (s *Service) Inbox(ctx context.Context, q ews.Query, subject string) ([]ews.Mail, error) {
	mailbox, err := s.own(ctx, q)
	if err != nil {
		return nil, err
	}
	var out []ews.Mail
	for _, m := range s.Post.Inbox(mailbox, subject) {
		out = append(out, ews.Mail{ID: m.ID, Subject: m.Subject})
	}
	return out, nil
}

// Item returns one message with its headers.
func (s *Service) Item(ctx context.Context, q ews.Query, id string) (ews.Mail, error) {
	mailbox, err := s.own(ctx, q)
	if err != nil {
		return ews.Mail{}, err
	}
	for _, m := range s.Post.Inbox(mailbox, "") {
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

// Discard deletes a message.
func (s *Service) Discard(ctx context.Context, q ews.Query, id string) (found bool, err error) {
	mailbox, err := s.own(ctx, q)
	if err != nil {
		return false, err
	}
	return s.Post.Delete(mailbox, id), nil
}
