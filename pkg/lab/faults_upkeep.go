package lab

import (
	"time"
)

// upkeepFaults are faults of servers, of their certificates, and of what mail flow needs beside the
// objects of hybrid. Those of mail flow are planted before hybrid is set up.
func upkeepFaults() []Fault {
	return []Fault{
		{
			ID: "servers.component-off", Turns: turns("servers.components", "servers.ews", "ews.answers"),
			May: turns("servers.mrs-proxy"), Diagnosis: "ews.service-unavailable",
			Title: "maintenance left the component EwsProxy of contoso's server off",
			late:  inContoso(changes("ServerComponentState", "EX1 EwsProxy", "State", "Inactive")),
		},
		{
			ID: "servers.database-off", Turns: turns("servers.databases"), Diagnosis: "mailbox.database-dismounted",
			Title: "a second mailbox database of contoso is dismounted",
			late:  inContoso(makes("MailboxDatabase", "Name", "DB2", "Server", "EX1", "Mounted", false)),
		},
		{
			ID: "servers.clock-wrong", Turns: turns("servers.clock"), Diagnosis: "time.clock-skew",
			Title: "the clock of contoso's server is ten minutes ahead",
			early: inContoso(func(f *forestSite) {
				right := f.now
				f.now = func() time.Time { return right().Add(10 * time.Minute) }
			}),
		},
		{
			ID: "servers.gone", Turns: turns("servers.gone"),
			Diagnosis: "wizard.dead-server-object",
			Title:     "contoso has the object of a server that was removed without uninstalling Exchange",
			late: inContoso(func(f *forestSite) {
				f.org.Seed("ExchangeServer", "Name", "EX9", "Fqdn", "ex9."+f.domain, "AdminDisplayVersion", f.build)
				f.org.ReceiveConnectors("EX9", "ex9."+f.domain)
			}),
		},
		{
			ID: "servers.update-missing", Turns: turns("servers.updates"), Verdict: Warns, Diagnosis: "server.upkeep",
			Title: "contoso's server lacks the security update of October 2026",
			early: inContoso(installed("15.2.2562.49")),
		},
		{
			ID: "servers.wrapped-messages", Turns: turns("servers.wrapped-messages", "servers.updates"), Verdict: Warns,
			Diagnosis: "mailbox.wrapper-messages",
			Title:     "contoso's server has the update of August 2026, which wraps messages to shared mailboxes",
			early:     inContoso(installed("15.2.2562.46")),
		},
		{
			ID: "servers.mitigation-files", Turns: turns("servers.mitigation-files", "servers.updates"), Verdict: Warns,
			Diagnosis: "ews.mitigation-issuer",
			Title:     "contoso's server is too old to read Microsoft's mitigation files",
			early:     inContoso(installed("15.2.2562.37")),
		},
		{
			ID: "servers.shifted-times", Turns: turns("servers.shifted-times"),
			May: turns("oauth.graph-route", "servers.updates", "servers.delegate-lookups",
				"servers.wrapped-messages"),
			Diagnosis: "lookup.times-shifted",
			Title:     "contoso's server looks up through Microsoft Graph with a build that shifts the hours",
			early:     inContoso(installed("15.2.2562.43")),
			late: inContoso(func(f *forestSite) {
				f.premise.shift = 2 * time.Hour
				makes("SettingOverride", "Name", "EnableRouteThroughMSGraphFeature", "ComponentName", "SettingOverride",
					"SectionName", "RouteThroughMSGraph", "Parameters", []string{"Enabled=true"}, "Reason", "trial")(f)
			}),
		},
		{
			ID: "servers.mitigation-left", Turns: turns("servers.stale-mitigation"), Verdict: Warns,
			Diagnosis: "server.upkeep", Title: "contoso's server keeps the mitigation M2.1.0 after its update",
			late: inContoso(changes("ExchangeServer", "EX1", "MitigationsApplied", []string{"M2.1.0"})),
		},
		{
			ID: "servers.workaround-left", Turns: turns("servers.stale-override"), Verdict: Warns,
			Diagnosis: "mailbox.wrapper-messages",
			Title:     "contoso keeps the override against wrapped messages after the update",
			late: inContoso(makes("SettingOverride", "Name", "DisableBlockSharedAndUserMailboxHeaders", "ComponentName",
				"Transport", "SectionName", "BlockSharedAndUserMailboxHeaders", "Parameters", []string{"Enabled=false"},
				"Reason", "KB")),
		},
		{
			ID: "servers.override-refused", Turns: turns("servers.override-status"),
			May: turns("oauth.overrides"), Diagnosis: "oauth.override-limited",
			Title: "contoso's server does not accept the override for the dedicated application",
			late: inContoso(makes("SettingOverride", "Name", "EnableExchangeHybrid3PAppFeature", "ComponentName",
				"Global",
				"SectionName", "ExchangeOnpremAsThirdPartyAppId", "Parameters", []string{"Enabled=yes"}, "Reason",
				"trial",
				"Status", "InvalidParameters")),
		},
		{
			ID: "servers.proxy-wrong", Turns: turns("servers.proxy-form"), Diagnosis: "lookup.server-not-found",
			Title: "the proxy of contoso's server has the form https://HOST",
			late:  inContoso(changes("ExchangeServer", "EX1", "InternetWebProxy", "https://proxy.contoso.com:8080")),
		},
		{
			ID: "servers.controller-fixed", Turns: turns("servers.static-controllers"), Verdict: Warns,
			Diagnosis: "server.upkeep", Title: "contoso's server is bound to one domain controller",
			late: inContoso(changes("ExchangeServer", "EX1", "StaticDomainControllers", []string{"dc1.contoso.com"})),
		},
		{
			ID: "servers.trial-over", Turns: turns("servers.trial"), Verdict: Warns, Diagnosis: "server.upkeep",
			Title: "contoso's server runs an expired trial",
			late:  inContoso(changes("ExchangeServer", "EX1", "IsExpiredExchangeTrialEdition", true)),
		},
		{
			ID: "servers.mitigations-off", Turns: turns("servers.mitigations-off"), Verdict: Warns,
			Diagnosis: "server.upkeep", Title: "contoso's server takes no emergency mitigations",
			late: inContoso(changes("ExchangeServer", "EX1", "MitigationsEnabled", false)),
		},
		{
			ID: "servers.no-windows-authentication", Turns: turns("servers.windows-authentication"),
			Diagnosis: "ews.pre-authentication", Title: "EWS of contoso's server takes no Windows authentication",
			late: inContoso(changes("WebServicesVirtualDirectory", "", "WindowsAuthentication", false)),
		},
		{
			ID: "servers.no-ws-security", Turns: turns("servers.ws-security"), Verdict: Warns,
			Diagnosis: "federation.security-of-message", Title: "EWS of contoso's server takes no WS-Security",
			late: inContoso(changes("WebServicesVirtualDirectory", "", "WSSecurityAuthentication", false)),
		},
		{
			ID: "servers.owa-without-address", Turns: turns("servers.owa-url"), Verdict: Warns,
			Diagnosis: "client.owa-url", Title: "Outlook on the web of contoso has no external address",
			late: inContoso(changes("OwaVirtualDirectory", "", "ExternalUrl", nil)),
		},
		{
			ID: "servers.activesync-address", Turns: turns("servers.activesync-url"), Verdict: Warns,
			Diagnosis: "client.activesync-url", Title: "the external address of contoso's ActiveSync has a wrong path",
			late: inContoso(changes("ActiveSyncVirtualDirectory", "", "ExternalUrl",
				"https://mail.contoso.com/activesync")),
		},
		{
			ID: "servers.throttled", Turns: turns("servers.throttling"), Verdict: Warns, Diagnosis: "ews.server-busy",
			Title: "a throttling policy of contoso takes five EWS requests at once",
			late: inContoso(makes("ThrottlingPolicy", "Name", "Everyone", "ThrottlingPolicyScope", "Organization",
				"EwsMaxConcurrency", "5")),
		},
		{
			ID: "servers.legacy-policy", Turns: turns("servers.address-policy-filter"),
			Diagnosis: "wizard.legacy-address-policy", Title: "contoso has an email address policy of Exchange 2003",
			late: inContoso(makes("EmailAddressPolicy", "Name", "Old", "RecipientFilterType", "Legacy",
				"EnabledPrimarySMTPAddressTemplate", "@contoso.com", "EnabledEmailAddressTemplates",
				[]string{"SMTP:@contoso.com"}, "RecipientFilterApplied", true, "Priority", "1")),
		},
		{
			ID: "servers.partner-account-gone", Turns: turns("servers.partner-account"),
			Diagnosis: "oauth.linked-account-missing",
			Title:     "contoso's partner application of Exchange Online has no account",
			late:      inContoso(changes("PartnerApplication", "Exchange Online", "LinkedAccount", nil)),
		},
		{
			ID: "certificates.send-gone", Turns: turns("certificates.send-connector"),
			Diagnosis: "mail.certificate-gone",
			Title:     "a send connector of contoso names a certificate that its server does not have",
			late: inContoso(makes("SendConnector", "Name", "Partner", "AddressSpaces",
				[]string{"smtp:partner.example;1"},
				"SourceTransportServers", []string{"EX1"}, "TlsCertificateName", "<I>CN=Old CA<S>CN=old.contoso.com")),
		},
		{
			ID: "certificates.receive-gone", Turns: turns("certificates.receive-connector", "certificates.transport"),
			May:       turns("reachability.smtp-servers"),
			Diagnosis: "mail.no-tls",
			Title:     "contoso's frontend connector names a certificate that its server does not have",
			late: inContoso(func(f *forestSite) {
				f.frontend().Set("TlsCertificateName", "<I>CN=Old CA<S>CN=old.contoso.com")
			}),
		},
		{
			ID: "certificates.internal-gone", Turns: turns("certificates.internal-mail"),
			Diagnosis: "mail.internal-certificate",
			Title:     "contoso's server has lost its certificate for mail between servers",
			late: inContoso(changes("TransportService", "EX1", "InternalTransportCertificateThumbprint",
				"00112233445566778899AABBCCDDEEFF00112233")),
		},
		{
			ID: "certificates.federation-gone", Turns: turns("certificates.federation-everywhere"),
			Diagnosis: "federation.security-of-message",
			Title:     "contoso's server does not have the certificate of the federation trust",
			late: inContoso(makes("FederationTrust", "Name", "Microsoft Federation Gateway", "OrgPrivCertificate",
				"00112233445566778899AABBCCDDEEFF00112233")),
		},
		{
			ID: "certificates.inbound-twice", Turns: turns("certificates.inbound-distinct"),
			Diagnosis: "mail.inbound-connectors-twice",
			Title:     "two inbound connectors of the tenant are for one certificate",
			late: inTenant(func(t *tenantSite) {
				for _, name := range []string{"Old", "New"} {
					t.org.Seed("InboundConnector", "Name", name, "ConnectorType", "OnPremises", "SenderDomains",
						[]string{"smtp:*;1"}, "TlsSenderCertificateName", "gateway.contoso.com", "RequireTls", true)
				}
			}),
		},
		{
			ID: "transport.receive-overlap", Turns: turns("transport.receive-overlap"),
			Diagnosis: "mail.certificate-name",
			Title:     "a receive connector of contoso is for addresses of Exchange Online",
			late: inContoso(makes("ReceiveConnector", "Name", "Relay", "Server", "EX1", "Bindings",
				[]string{"0.0.0.0:25"}, "RemoteIPRanges", []string{"10.0.0.0/8", "40.92.0.0/15"}, "TransportRole",
				"FrontendTransport")),
		},
		{
			ID: "transport.few-connections", Turns: turns("transport.receive-limits"), Verdict: Warns,
			Diagnosis: "mail.connection-limits",
			Title:     "contoso's frontend connector takes five connections per sender",
			late:      inContoso(func(f *forestSite) { f.frontend().Set("MaxInboundConnectionPerSource", "5") }),
		},
		{
			ID: "transport.short-headers", Turns: turns("transport.header-size"), Verdict: Warns,
			Diagnosis: "mail.size-limits", Title: "contoso's frontend connector takes headers of 32 KB",
			late: inContoso(func(f *forestSite) { f.frontend().Set("MaxHeaderSize", "32KB") }),
		},
		{
			ID: "transport.everyone-trusted", Turns: turns("transport.external-authoritative"),
			Diagnosis: "mail.external-authoritative", Title: "a receive connector of contoso trusts every sender",
			late: inContoso(makes("ReceiveConnector", "Name", "Everyone", "Server", "EX1", "Bindings",
				[]string{"0.0.0.0:2526"}, "RemoteIPRanges", []string{"0.0.0.0-255.255.255.255"}, "TransportRole",
				"FrontendTransport", "AuthMechanism", "Tls, ExternalAuthoritative")),
		},
		{
			ID: "transport.headers-from-others", Turns: turns("transport.foreign-capabilities"), Verdict: Warns,
			Diagnosis: "mail.external-authoritative",
			Title:     "contoso takes headers of internal mail from a gateway's certificate",
			late: inContoso(func(f *forestSite) {
				f.frontend().Set("TlsDomainCapabilities", []string{"gateway.example:AcceptCloudServicesMail"})
			}),
		},
		{
			ID: "transport.limits-differ", Turns: turns("transport.size-limits"), Verdict: Warns,
			Diagnosis: "mail.size-limits", Title: "contoso sends messages of 10 MB at most",
			late: inContoso(changes("TransportConfig", "", "MaxSendSize", "10MB")),
		},
		{
			ID: "transport.connector-small", Turns: turns("transport.connector-size"), Verdict: Warns,
			Diagnosis: "mail.size-limits", Title: "contoso's frontend connector takes messages of 10 MB at most",
			late: inContoso(func(f *forestSite) { f.frontend().Set("MaxMessageSize", "10MB") }),
		},
		{
			ID: "transport.remote-domain-mute", Verdict: Warns,
			Turns:     turns("transport.remote-domain-replies", "transport.remote-domain-reports"),
			Diagnosis: "mail.remote-domain",
			Title:     "contoso sends the tenant no automatic replies and no reports",
			late: inContoso(makes("RemoteDomain", "Name", "Cloud", "DomainName", coexistenceDomain, "AutoReplyEnabled",
				false, "NDREnabled", false)),
		},
		{
			ID: "transport.two-ways-out", Turns: turns("transport.send-cost"), Verdict: Warns,
			Diagnosis: "mail.send-connectors-twice", Title: "two send connectors of contoso lead to the internet",
			late: inContoso(func(f *forestSite) {
				makes("SendConnector", "Name", "Internet", "AddressSpaces", []string{"smtp:*;1"})(f)
				makes("SendConnector", "Name", "Relay", "AddressSpaces", []string{"smtp:*;1"}, "SmartHosts",
					[]string{"relay.contoso.com"}, "DNSRoutingEnabled", false)(f)
			}),
		},
		{
			ID: "transport.domain-secure", Turns: turns("transport.domain-secure"), Diagnosis: "mail.domain-secure",
			Title: "domain security of contoso covers the coexistence domain",
			late:  inContoso(changes("TransportConfig", "", "TLSSendDomainSecureList", []string{coexistenceDomain})),
		},
		{
			ID: "transport.outbound-twice", Turns: turns("transport.outbound-overlap"),
			Diagnosis: "mail.outbound-connectors-twice",
			Title:     "two outbound connectors of the tenant lead to one domain",
			late: everywhere(func(l *Lab) {
				for _, name := range []string{"Old", "New"} {
					l.tenant.org.Seed("OutboundConnector", "Name", name, "ConnectorType", "OnPremises",
						"RecipientDomains",
						[]string{"branch.contoso.com"}, "UseMXRecord", false, "SmartHosts", []string{l.contoso().mail})
				}
			}),
		},
		{
			ID: "transport.centralized-twice", Turns: turns("transport.centralized-once"), Verdict: Warns,
			Diagnosis: "mail.outbound-connectors-twice", Title: "two outbound connectors of the tenant route all mail",
			late: everywhere(func(l *Lab) {
				for _, name := range []string{"Old", "New"} {
					l.tenant.org.Seed("OutboundConnector", "Name", name, "ConnectorType", "OnPremises",
						"RecipientDomains",
						[]string{"*"}, "UseMXRecord", false, "SmartHosts", []string{l.contoso().mail},
						"RouteAllMessagesViaOnPremises", true)
				}
			}),
		},
		{
			ID: "transport.postmaster", Turns: turns("transport.postmaster"), Verdict: Warns,
			Diagnosis: "mail.limit-onmicrosoft",
			Title:     "reports of the tenant come from its onmicrosoft.com domain",
			late: inTenant(func(t *tenantSite) {
				t.org.Objects("TransportConfig")[0].Set("ExternalPostmasterAddress", "postmaster@"+tenantDomain)
			}),
		},
	}
}

// installed gives a server the build of an update.
func installed(build string) func(*forestSite) {
	return func(f *forestSite) { f.securityUpdate = build }
}

// changes sets a property of an object of a forest: the one that the identity finds, or the first
// one.
func changes(noun, identity, property string, value any) func(*forestSite) {
	return func(f *forestSite) {
		r := f.org.Objects(noun)[0]
		if identity != "" {
			r = f.org.Object(noun, identity)
		}
		r.Set(property, value)
	}
}

// makes makes an object in a forest.
func makes(noun string, pairs ...any) func(*forestSite) {
	return func(f *forestSite) { f.org.Seed(noun, pairs...) }
}
