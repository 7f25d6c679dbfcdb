package entra

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
)

// Mailboxes sends and keeps the messages of the mailboxes in Exchange Online. An error of
// ErrNoMailbox says that the user has none.
type Mailboxes interface {
	SendMail(user string, to []string, subject, body string) error
	Messages(user string) ([]Message, error)
	RemoveMessage(user, id string) (found bool)
}

// Message is a message of a mailbox.
type Message struct {
	ID      string          `json:"id"`
	Subject string          `json:"subject"`
	Headers []MessageHeader `json:"internetMessageHeaders"`
}

// MessageHeader is one header field of a message.
type MessageHeader struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

var (
	sendMail   = []string{"Mail.Send"}
	readMail   = []string{"Mail.Read", "Mail.ReadWrite"}
	deleteMail = []string{"Mail.ReadWrite"}
)

// messages answers /users/{user}/sendMail, /users/{user}/messages and /users/{user}/messages/{id}.
// done is false for other paths.
func (c *call) messages(path []string) (status int, answer any, e *odataError, done bool) {
	send := len(path) == 3 && path[2] == "sendMail" && c.Method == http.MethodPost
	read := len(path) == 3 && path[2] == "messages" && c.Method == http.MethodGet
	remove := len(path) == 4 && path[2] == "messages" && c.Method == http.MethodDelete
	if !send && !read && !remove {
		return 0, nil, nil, false
	}
	needed := readMail
	switch {
	case send:
		needed = sendMail
	case remove:
		needed = deleteMail
	}
	boxes := c.tenant.config.Mailboxes
	switch {
	case c.may(needed...) != nil:
		return 0, nil, &odataError{http.StatusForbidden, "ErrorAccessDenied",
			"Access is denied. Check credentials and try again."}, true
	case boxes == nil:
		return 0, nil, noMailbox(path[1]), true
	case send:
		e = c.sendMail(path[1], boxes)
		return http.StatusAccepted, nil, e, true
	case read:
		found, err := boxes.Messages(path[1])
		if errors.Is(err, ErrNoMailbox) {
			return 0, nil, noMailbox(path[1]), true
		}
		shown := make([]*Message, len(found))
		for i := range found {
			shown[i] = &found[i]
		}
		status, answer, e = list(c, fmt.Sprintf("users('%s')/messages", path[1]), shown)
		return status, answer, e, true
	}
	if !boxes.RemoveMessage(path[1], path[3]) {
		return 0, nil, &odataError{http.StatusNotFound, "ErrorItemNotFound",
			"The specified object was not found in the store."}, true
	}
	return http.StatusNoContent, nil, nil, true
}

func (c *call) sendMail(user string, boxes Mailboxes) *odataError {
	var body struct {
		Message *struct {
			Subject string `json:"subject"`
			Body    struct {
				Content string `json:"content"`
			} `json:"body"`
			ToRecipients []struct {
				EmailAddress struct {
					Address string `json:"address"`
				} `json:"emailAddress"`
			} `json:"toRecipients"`
		} `json:"message"`
		SaveToSentItems *bool `json:"saveToSentItems"`
	}
	if err := json.Unmarshal(c.body, &body); err != nil || body.Message == nil || len(body.Message.ToRecipients) == 0 {
		return &odataError{http.StatusBadRequest, "ErrorInvalidRecipients", "At least one recipient is not valid."}
	}
	var to []string
	for _, r := range body.Message.ToRecipients {
		to = append(to, r.EmailAddress.Address)
	}
	if err := boxes.SendMail(user, to, body.Message.Subject, body.Message.Body.Content); errors.Is(err, ErrNoMailbox) {
		return noMailbox(user)
	}
	return nil
}
