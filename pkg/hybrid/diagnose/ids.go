package diagnose

// The causes that code names. TestNamedIDs compares them with the table.
const (
	CertificateExpired       ID = "certificate.expired"
	MailCertificateGone      ID = "mail.certificate-gone"
	MailCertificateName      ID = "mail.certificate-name"
	MailCertificateUntrusted ID = "mail.certificate-untrusted"
	MailClear                ID = "mail.clear-text"
	MailHeadersNotAccepted   ID = "mail.headers-not-accepted"
	MailHeadersNotSent       ID = "mail.headers-not-sent"
	MailLoop                 ID = "mail.loop"
	MailNoExchanger          ID = "mail.no-exchanger"
	MailNoRoute              ID = "mail.no-route"
	MailNotAccepted          ID = "mail.domain-not-accepted"
	MailNotAttributed        ID = "mail.not-attributed"
	MailNoTLS                ID = "mail.no-tls"
	MailPartnerConnector     ID = "mail.partner-connector"
	MailRecipientUnknown     ID = "mail.recipient-unknown"
	MailServerOutdated       ID = "mail.server-outdated"
	MailUnreachable          ID = "mail.unreachable"
)
