package organization

import (
	"fmt"
	"slices"
	"strings"

	"github.com/hybridge-cli/hybridge/pkg/estate/exchange"
)

func transportRule(o *Organization, verb string, r *Record, c Call, _ any) error {
	if verb == "Remove" {
		return nil
	}
	if verb == "New" {
		r.mustSet("State", "Enabled")
		if on, ok := c.Parameters["Enabled"].(bool); ok && !on {
			r.mustSet("State", "Disabled")
		}
		if !given(c, "Priority") {
			r.mustSet("Priority", int64(len(o.all("TransportRule"))))
		}
	}
	acts := given(c, "StopRuleProcessing")
	for _, name := range []string{"ApplyHtmlDisclaimerText", "RejectMessageReasonText",
		"RejectMessageEnhancedStatusCode",
		"RedirectMessageTo", "PrependSubject", "SetHeaderName", "SetSCL", "RemoveHeader", "ModerateMessageByUser",
		"ModerateMessageByManager", "AddToRecipients", "CopyTo", "BlindCopyTo", "DeleteMessage", "Quarantine",
		"RouteMessageOutboundRequireTls", "ApplyClassification", "GenerateIncidentReport", "GenerateNotification",
		"NotifySender", "LogEventText", "Disconnect", "AddManagerAsRecipientType", "SmtpRejectMessageRejectText",
		"SetAuditSeverity"} {
		v := r.get(name)
		acts = acts || v != nil && v != false && v != "" && fmt.Sprint(v) != "[]"
	}
	for _, name := range []string{"From", "SentTo", "RedirectMessageTo", "ModerateMessageByUser", "CopyTo",
		"BlindCopyTo",
		"AddToRecipients", "FromMemberOf", "SentToMemberOf"} {
		for _, address := range asList(r.get(name)) {
			if err := o.knowsRecipient(address); err != nil {
				return err
			}
		}
	}
	return refusals(refusal{!acts, "You must specify at least one action for the rule."})
}

// knowsRecipient refuses an address of the organization's own domains that no recipient has.
func (o *Organization) knowsRecipient(address string) error {
	_, domain, _ := cutLast(address, "@")
	if !slices.ContainsFunc(o.all("AcceptedDomain"), func(d *Record) bool {
		return strings.EqualFold(d.text("DomainName"), domain)
	}) || slices.ContainsFunc(o.all("Recipient"), func(r *Record) bool { return r.is(address) }) {
		return nil
	}
	return o.notFound(address)
}

func journalRule(o *Organization, verb string, r *Record, _ Call, _ any) error {
	if verb == "Remove" || o.c.Side != exchange.Online {
		return nil
	}
	address := r.text("JournalEmailAddress")
	return refusals(
		refusal{o.all("TransportConfig")[0].text("JournalingReportNdrTo") == "",
			"Before you create a journal rule, you must specify an email account to receive journal reports that " +
				"can't be delivered to the journal mailbox."},
		refusal{slices.ContainsFunc(o.all("Mailbox"), func(m *Record) bool { return m.is(address) }),
			"You can't designate an Exchange Online mailbox as a journaling mailbox."},
	)
}
