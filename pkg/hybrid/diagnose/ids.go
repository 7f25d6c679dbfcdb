package diagnose

// The causes that code names. TestNamedIDs compares them with the table.
const (
	MailClear              ID = "mail.clear-text"
	MailEdgeStale          ID = "mail.edge-stale"
	MailHeadersNotAccepted ID = "mail.headers-not-accepted"
	MailHeadersNotSent     ID = "mail.headers-not-sent"
	MailNotAttributed      ID = "mail.not-attributed"
)
