package organization

import (
	"fmt"
	"slices"
	"strings"
)

// enumerations are the values of Exchange's enumerations with their numbers. Numbers that no
// recording shows are from memory. One value can hold several of an enumeration that begins with
// "flags". An enumeration that ends with "..." has more values than are listed here and accepts
// any.
var enumerations = map[string]string{
	"AcceptedDomainType": "Authoritative=0 ExternalRelay=1 InternalRelay=2",
	"AllowedOOFType":     "None=0 External=1 InternalLegacy=2 ExternalLegacy=3",
	"AuthMechanisms": "flags None=0 Tls=1 Integrated=2 BasicAuth=4 BasicAuthRequireTLS=8 " +
		"ExchangeServer=16 ExternalAuthoritative=32",
	"AuthServerType": "Unknown=0 MicrosoftACS=1 Facebook=2 LinkedIn=3 ADFS=4 AzureAD=5 Twitter=6",
	"AuthenticationMethod": "Basic=0 Digest=1 Ntlm=2 Fba=3 WindowsIntegrated=4 LiveIdFba=5 " +
		"LiveIdBasic=6 WSSecurity=7 Certificate=8 NegoEx=9 OAuth=10 Adfs=11 Kerberos=12 Negotiate=13 " +
		"LiveIdNegotiate=14",
	"AvailabilityAccessMethod": "PerUserFB=0 OrgWideFB=1 PublicFolder=2 InternalProxy=3 OrgWideFBBasic=4 " +
		"OrgWideFBToken=5",
	"CertificateStatus": "Unknown=0 Valid=1 Revoked=2 DateInvalid=3 Untrusted=4 Invalid=5 " +
		"RevocationCheckFailure=6 PendingRequest=7",
	"ByteEncoderTypeFor7BitCharsets": "Use7Bit=0 UseQP=1 UseBase64=2 UseQPHtmlDetectTextPlain=5 " +
		"UseBase64HtmlDetectTextPlain=6 UseQPHtml7BitTextPlain=13 UseBase64Html7BitTextPlain=14 Undefined=15",
	"ContentType":            "MimeText=0 MimeHtml=1 MimeHtmlText=2",
	"ErrorPolicies":          "flags Default=0 DowngradeAuthFailures=1 DowngradeDnsFailures=2 UpgradeCustomFailures=4",
	"ExtendedProtectionFlag": "None=0 Proxy=1 NoServiceNameCheck=2 AllowDotlessSPN=4 ProxyCohosting=32",
	"WellKnownRecipientType": "flags None=0 MailboxUsers=1 Resources=2 MailContacts=4 MailGroups=8 " +
		"MailUsers=16 AllRecipients=-1",
	"EwsApplicationAccessPolicy":          "EnforceAllowList=0 EnforceBlockList=1",
	"ExtendedProtectionTokenCheckingMode": "None=0 Allow=1 Require=2",
	"FreeBusyAccessLevel":                 "None=0 AvailabilityOnly=1 LimitedDetails=2",
	"GzipLevel":                           "Off=0 Low=1 High=2 Error=3",
	"HybridFeature": "FreeBusy=0 MoveMailbox=1 Mailtips=2 MessageTracking=3 OwaRedirection=4 " +
		"OnlineArchive=5 SecureMail=6 CentralizedTransport=7 Photos=8",
	"MailTipsAccessLevel":     "None=0 All=1 Limited=2",
	"MailboxMoveCapability":   "None=0 Inbound=1 RemoteInbound=3 Outbound=4 RemoteOutbound=12",
	"MtaStsMode":              "None=0 Opportunistic=1",
	"PublicFoldersDeployment": "None=0 Local=1 Remote=2",
	"ObjectState":             "New=0 Unchanged=1 Changed=2 Deleted=3",
	"ProtocolLoggingLevel":    "None=0 Verbose=1",
	"SendConnectorType":       "Default=0 XPremises=1",
	"MessageRateSourceFlags":  "None=0 IPAddress=1 User=2 All=3",
	"PermissionGroups": "flags None=0 AnonymousUsers=1 ExchangeUsers=2 ExchangeServers=4 " +
		"ExchangeLegacyServers=8 Partners=16 Custom=32",
	"ExtendedProtectionPolicySetting": "None=0 Allow=1 Require=2",
	"SizeMode":                        "Disabled=0 Enabled=1 EnabledWithoutValue=2",
	"SendAuthMechanisms": "flags None=0 BasicAuth=2 BasicAuthRequireTLS=4 ExchangeServer=8 " +
		"ExternalAuthoritative=16",
	"SendConnectorRegion": "NotSpecified=0 ...",
	"ServerEditionType": "Unknown=-1 Standard=0 Enterprise=1 StandardEvaluation=2 " +
		"EnterpriseEvaluation=3 Coexistence=4 CoexistenceEvaluation=5 ...",
	"ServerRole": "flags None=0 Cafe=1 Mailbox=2 ClientAccess=4 UnifiedMessaging=16 " +
		"HubTransport=32 Edge=64 FrontendTransport=16384",
	"ServiceState":              "Inactive=0 Active=1 Draining=2",
	"SettingOverrideStatus":     "Accepted=3 ...",
	"SmtpDaneMode":              "None=0 Opportunistic=1 Mandatory=2",
	"SupportedAccountType":      "OrganizationalAccount=1 ConsumerAccount=2 Any=3",
	"TenantConnectorSource":     "Default=0 Migrated=1 HybridWizard=2 AdminUI=3",
	"TenantConnectorType":       "OnPremises=1 Partner=2",
	"ThrottlingPolicyScopeType": "Regular=0 Organization=1 Global=2",
	"TlsAuthLevel": "EncryptionOnly=1 CertificateValidation=2 DomainValidation=3 " +
		"CertificateExpiryCheck=4",
}

// enumNumber is the number of an enumeration's value, or of several flags joined by commas; 0 where
// it is not known.
func enumNumber(kind, text string) int64 {
	var sum int64
	for one := range strings.SplitSeq(text, ",") {
		for pair := range strings.FieldsSeq(enumerations[kind]) {
			name, number, _ := strings.Cut(pair, "=")
			if strings.EqualFold(name, strings.TrimSpace(one)) {
				var n int64
				_, _ = fmt.Sscan(number, &n)
				sum += n
			}
		}
	}
	return sum
}

// enumText returns the text in the spelling of the enumeration's values: several flags in the order
// of their numbers. An error names the values.
func enumText(kind, s string) (string, error) {
	values, ok := enumerations[kind]
	if !ok || s == "" {
		return s, nil
	}
	given := []string{s}
	if values, ok = strings.CutPrefix(values, "flags "); ok {
		given = strings.Split(s, ",")
	}
	var names, found []string
	open := false
	for pair := range strings.FieldsSeq(values) {
		name, _, _ := strings.Cut(pair, "=")
		if name == "..." {
			open = true
			continue
		}
		names = append(names, name)
		if slices.ContainsFunc(given, func(e string) bool { return strings.EqualFold(strings.TrimSpace(e), name) }) {
			found = append(found, name)
		}
	}
	switch {
	case len(found) == len(given):
		return strings.Join(found, ", "), nil
	case open:
		return s, nil
	}
	return "", &formError{fmt.Errorf("Cannot convert value \"%s\" to type \"%s\". Error: \"Unable to match the "+
		"identifier name %s to a valid enumerator name. "+
		"Specify one of the following enumerator names and try again: %s\"", s, kind, s, strings.Join(names, ", "))}
}
