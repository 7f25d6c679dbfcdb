package delivery

import (
	"context"
	"errors"
	"net/url"

	"github.com/hybridge-cli/hybridge/pkg/estate/entra"
	"github.com/hybridge-cli/hybridge/pkg/wire/ews"
	"github.com/hybridge-cli/hybridge/pkg/wire/link"
)

// EWSPost is the mailbox of the account that a client of EWS signs in to.
func EWSPost(client func(ctx context.Context) (*ews.Client, error)) Post { return ewsPost{client} }

type ewsPost struct {
	client func(ctx context.Context) (*ews.Client, error)
}

func (p ewsPost) Send(ctx context.Context, from, to, subject string) error {
	c, err := p.client(ctx)
	if err != nil {
		return err
	}
	return c.SendMail(ctx, from, to, subject, text)
}

func (p ewsPost) Find(ctx context.Context, mailbox, subject string) ([]Item, error) {
	c, err := p.client(ctx)
	if err != nil {
		return nil, err
	}
	found, err := c.Inbox(ctx, mailbox, subject)
	var out []Item
	for _, m := range found {
		i := Item{ID: m.ID}
		for _, h := range m.Headers {
			i.Header = append(i.Header, Field(h))
		}
		out = append(out, i)
	}
	return out, err
}

func (p ewsPost) Delete(ctx context.Context, mailbox, id string) error {
	c, err := p.client(ctx)
	if err != nil {
		return err
	}
	return c.DeleteMail(ctx, mailbox, id)
}

// GraphPost is the mailboxes of the tenant. It needs the permissions Mail.Send and Mail.ReadWrite.
func GraphPost(client func(ctx context.Context) (*entra.Client, error)) Post {
	return graphPost{client}
}

type graphPost struct {
	client func(ctx context.Context) (*entra.Client, error)
}

func (p graphPost) Send(ctx context.Context, from, to, subject string) error {
	c, err := p.client(ctx)
	if err != nil {
		return err
	}
	_, err = c.Do(ctx, "POST", "/users/"+url.PathEscape(from)+"/sendMail", map[string]any{
		"message": map[string]any{
			"subject": subject, "body": map[string]any{"contentType": "text", "content": text},
			"toRecipients": []any{map[string]any{"emailAddress": map[string]any{"address": to}}},
		},
		"saveToSentItems": false,
	})
	return err
}

func (p graphPost) Find(ctx context.Context, mailbox, subject string) ([]Item, error) {
	c, err := p.client(ctx)
	if err != nil {
		return nil, err
	}
	query := url.Values{"$filter": {"subject eq '" + subject + "'"}, "$select": {"id,subject,internetMessageHeaders"}}
	found, err := c.List(ctx, "/users/"+url.PathEscape(mailbox)+"/messages?"+query.Encode())
	var out []Item
	for _, m := range found {
		i := Item{}
		i.ID, _ = m["id"].(string)
		headers, _ := m["internetMessageHeaders"].([]any)
		for _, h := range headers {
			fields, _ := h.(map[string]any)
			name, _ := fields["name"].(string)
			value, _ := fields["value"].(string)
			i.Header = append(i.Header, Field{link.Printable(name), link.Line(value)})
		}
		out = append(out, i)
	}
	return out, err
}

func (p graphPost) Delete(ctx context.Context, mailbox, id string) error {
	c, err := p.client(ctx)
	if err != nil {
		return err
	}
	_, err = c.Do(ctx, "DELETE", "/users/"+url.PathEscape(mailbox)+"/messages/"+url.PathEscape(id), nil)
	if errors.Is(err, entra.ErrNotFound) {
		return nil
	}
	return err
}
