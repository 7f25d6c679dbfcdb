package entra

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"

	"github.com/hybridge-cli/hybridge/pkg/wire/link"
)

// MailTipsPermissions are those of which one lets an application ask for MailTips, the least one
// first.
var MailTipsPermissions = []string{"MailTips.ReadBasic.All", "Mail.Read"}

// MailTips are what Exchange Online knows of a recipient before a message is sent. A nil pointer:
// the answer does not say.
type MailTips struct {
	Replies *string        // the automatic reply, empty where there is none
	Full    *bool          // whether the mailbox is full
	Err     *ScheduleError // nothing is known
}

// MailTips asks for what only the mailbox of a recipient can tell, as the mailbox that would send
// (POST /users/{as}/getMailTips).
func (c *Client) MailTips(ctx context.Context, as, recipient string) (MailTips, error) {
	path := "/users/" + url.PathEscape(as) + "/getMailTips"
	raw, err := c.do(ctx, http.MethodPost, path, map[string]any{
		"EmailAddresses": []string{recipient}, "MailTipsOptions": "automaticReplies, mailboxFullStatus",
	})
	if err != nil {
		return MailTips{}, err
	}
	var answer struct {
		Value []struct {
			AutomaticReplies *struct {
				Message string `json:"message"`
			} `json:"automaticReplies"`
			MailboxFull *bool `json:"mailboxFull"`
			Error       *struct {
				Code    string `json:"code"`
				Message string `json:"message"`
			} `json:"error"`
		} `json:"value"`
	}
	if err := json.Unmarshal(raw, &answer); err != nil || len(answer.Value) != 1 {
		return MailTips{}, c.malformed(http.MethodPost, path)
	}
	found := answer.Value[0]
	tips := MailTips{Full: found.MailboxFull}
	if e := found.Error; e != nil {
		tips.Err = &ScheduleError{Code: link.Line(e.Code), Message: link.Line(e.Message)}
	}
	if found.AutomaticReplies != nil {
		text := link.Printable(found.AutomaticReplies.Message)
		tips.Replies = &text
	}
	return tips, nil
}
