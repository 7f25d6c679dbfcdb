package entra

import (
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strings"
)

// TipsQuestion is a getMailTips call that may be answered.
type TipsQuestion struct {
	AppID     string // of the caller
	User      string // upn of a signed-in caller; empty for an application
	As        string // the mailbox that would send
	Addresses []string
}

// Tips are the MailTips of one recipient that were asked for: an error, or what is known. A nil
// pointer is unknown.
type Tips struct {
	Replies            *string
	Full               *bool
	ErrorCode, Message string
}

var (
	readTips = []string{"MailTips.ReadBasic.All", "Mail.Read"}
	// tipsOptions are the MailTips that Graph knows.
	tipsOptions = []string{"automaticReplies", "customMailTip", "deliveryRestriction", "externalMemberCount",
		"mailboxFullStatus", "maxMessageSize", "moderationStatus", "recipientScope", "recipientSuggestions",
		"totalMemberCount"}
)

// tips answers POST /users/{as}/getMailTips. done is false for other paths.
func (c *call) tips(path []string) (status int, answer any, e *odataError, done bool) {
	if len(path) != 3 || path[2] != "getMailTips" && path[2] != "microsoft.graph.getMailTips" {
		return 0, nil, nil, false
	}
	if c.Method != http.MethodPost {
		return 0, nil, c.methodNotAllowed(), true
	}
	if c.may(readTips...) != nil {
		return 0, nil, &odataError{http.StatusForbidden, "ErrorAccessDenied",
			"Access is denied. Check credentials and try again."}, true
	}
	var body struct {
		EmailAddresses  []string
		MailTipsOptions string
	}
	err := json.Unmarshal(c.body, &body)
	asked := map[string]bool{}
	for option := range strings.SplitSeq(body.MailTipsOptions, ",") {
		option = strings.TrimSpace(option)
		asked[option] = true
		if !slices.Contains(tipsOptions, option) {
			return 0, nil, badRequest("Requested value '%s' was not found.", option), true
		}
	}
	if err != nil || len(body.EmailAddresses) == 0 {
		return 0, nil, &odataError{http.StatusBadRequest, "ErrorInvalidRequest",
			"The request is invalid: EmailAddresses are required."}, true
	}
	if c.tenant.config.Tips == nil {
		return 0, nil, noMailbox(path[1]), true
	}
	found, err := c.tenant.config.Tips(TipsQuestion{c.appID, c.user, path[1], body.EmailAddresses})
	switch {
	case errors.Is(err, ErrNoMailbox):
		return 0, nil, noMailbox(path[1]), true
	case err != nil:
		return 0, nil, &odataError{http.StatusServiceUnavailable, "serviceNotAvailable", err.Error()}, true
	}
	value := make([]map[string]any, len(found))
	for i, t := range found {
		m := map[string]any{"emailAddress": map[string]any{"name": "", "address": body.EmailAddresses[i]}}
		switch {
		case t.ErrorCode != "":
			m["error"] = map[string]any{"code": t.ErrorCode, "message": t.Message}
		default:
			if t.Replies != nil && asked["automaticReplies"] {
				m["automaticReplies"] = map[string]any{"message": *t.Replies}
			}
			if t.Full != nil && asked["mailboxFullStatus"] {
				m["mailboxFull"] = *t.Full
			}
		}
		value[i] = m
	}
	return http.StatusOK, map[string]any{"@odata.context": c.context("Collection(microsoft.graph.mailTips)"),
		"value": value}, nil, true
}
