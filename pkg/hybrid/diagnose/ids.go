// Package diagnose names the causes that a failure can have.The texts of causes, owners and fixes
// belong here too.
package diagnose

// ID is the stable name of a cause: topic.cause, "oauth.auth-certificate-missing".
type ID string

// The causes, by topic.
const (
	AccessAttributeHidden      ID = "access.attribute-hidden"
	AccessRoleMissing          ID = "access.role-missing"
	AutodiscoverUnreachable    ID = "autodiscover.unreachable"
	CertificateExpired         ID = "certificate.expired"
	CertificateNotDistinct     ID = "certificate.not-distinct"
	DomainNoCoexistence        ID = "domain.no-coexistence"
	DomainNotAccepted          ID = "domain.not-accepted"
	DomainNotAuthoritative     ID = "domain.not-authoritative"
	DomainNotVerified          ID = "domain.not-verified"
	EntraReplicationLag        ID = "entra.replication-lag"
	EntraThrottled             ID = "entra.throttled"
	EWSExternalURL             ID = "ews.external-url"
	EWSOffOnline               ID = "ews.off-online"
	ExchangeSerialization      ID = "exchange.serialization"
	IdentitySyncOff            ID = "identity.sync-off"
	LookupTimesShifted         ID = "lookup.times-shifted"
	MailCertificateGone        ID = "mail.certificate-gone"
	MailCertificateName        ID = "mail.certificate-name"
	MailCertificateUntrusted   ID = "mail.certificate-untrusted"
	MailClear                  ID = "mail.clear-text"
	MailHeadersNotAccepted     ID = "mail.headers-not-accepted"
	MailHeadersNotSent         ID = "mail.headers-not-sent"
	MailLoop                   ID = "mail.loop"
	MailNoExchanger            ID = "mail.no-exchanger"
	MailNoRoute                ID = "mail.no-route"
	MailNotAccepted            ID = "mail.domain-not-accepted"
	MailNotAttributed          ID = "mail.not-attributed"
	MailNoTLS                  ID = "mail.no-tls"
	MailPartnerConnector       ID = "mail.partner-connector"
	MailRecipientUnknown       ID = "mail.recipient-unknown"
	MailServerOutdated         ID = "mail.server-outdated"
	MailUnreachable            ID = "mail.unreachable"
	OAuthCertificateMissing    ID = "oauth.auth-certificate-missing"
	OAuthOverrideLimited       ID = "oauth.override-limited"
	OAuthSharedApplication     ID = "oauth.shared-application-refused"
	OAuthVirtualDirectoryOff   ID = "oauth.virtual-directory-off"
	UserAddressTwice           ID = "user.address-twice"
	UserAttributeInvalid       ID = "user.attribute-invalid"
	UserMailboxTwice           ID = "user.mailbox-twice"
	UserUPNDiffersFromPrimary  ID = "user.upn-not-primary"
	WorkMailAccount            ID = "workmail.account-without-mailbox"
	WorkMailBasicOff           ID = "workmail.basic-off"
	WorkMailConnectorDown      ID = "workmail.connector-down"
	WorkMailDNSMoved           ID = "workmail.dns-moved"
	WorkMailEWSClosed          ID = "workmail.ews-closed"
	WorkMailIdentityCenter     ID = "workmail.identity-center"
	WorkMailNoInteroperability ID = "workmail.no-interoperability"
	WorkMailNotEnabled         ID = "workmail.not-enabled"
	WorkMailSyncPending        ID = "workmail.sync-pending"
	WorkMailTargetAddress      ID = "workmail.target-address"
)

func IDs() []ID {
	return []ID{
		AccessAttributeHidden, AccessRoleMissing, AutodiscoverUnreachable, CertificateExpired, CertificateNotDistinct, DomainNoCoexistence,
		DomainNotAccepted, DomainNotAuthoritative, DomainNotVerified, EntraReplicationLag, EntraThrottled,
		EWSExternalURL, EWSOffOnline,
		ExchangeSerialization, IdentitySyncOff, LookupTimesShifted,
		MailCertificateGone, MailCertificateName, MailCertificateUntrusted, MailClear, MailHeadersNotAccepted,
		MailHeadersNotSent, MailLoop,
		MailNoExchanger, MailNoRoute, MailNotAccepted, MailNotAttributed, MailNoTLS, MailPartnerConnector,
		MailRecipientUnknown, MailServerOutdated, MailUnreachable,
		OAuthCertificateMissing, OAuthOverrideLimited, OAuthSharedApplication,
		OAuthVirtualDirectoryOff, UserAddressTwice, UserAttributeInvalid, UserMailboxTwice,
		UserUPNDiffersFromPrimary,
		WorkMailAccount, WorkMailBasicOff, WorkMailConnectorDown, WorkMailDNSMoved,
		WorkMailEWSClosed, WorkMailIdentityCenter, WorkMailNoInteroperability,
		WorkMailNotEnabled, WorkMailSyncPending, WorkMailTargetAddress,
	}
}
