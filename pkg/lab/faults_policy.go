package lab

import "strings"

// policyFaults are the faults in what the two sides do with messages: rules, MailTips, moderation,
// transport enforcement.
func policyFaults() []Fault {
	return []Fault{
		{
			ID: "policy.rule-missing", Turns: turns("transport.rules"), Verdict: Warns,
			Diagnosis: "mail.rules-differ",
			Title:     "contoso has a transport rule that the tenant lacks",
			late: inContoso(func(f *forestSite) {
				f.org.Seed("TransportRule", "Name", "Disclaimer", "ApplyHtmlDisclaimerText", "<p>Contoso</p>",
					"SentToScope", "NotInOrganization")
			}),
		},
		{
			ID: "policy.journal-rule-missing", Turns: turns("transport.journal-rules", "transport.journal-reports"),
			Verdict: Warns, Diagnosis: "mail.journal-differs",
			Title: "contoso journals all messages, and the tenant none",
			late: inContoso(func(f *forestSite) {
				f.org.Seed("JournalRule", "Name", "Archive", "JournalEmailAddress", "journal@archive.example")
			}),
		},
		{
			ID: "policy.mailtips-differ", Turns: turns("transport.mailtips"), Verdict: Warns,
			Diagnosis: "mail.tips-differ",
			Title:     "contoso's MailTips warn of groups of ten, those of the tenant of 25",
			late: inContoso(func(f *forestSite) {
				f.org.Objects("OrganizationConfig")[0].Set("MailTipsLargeAudienceThreshold", int64(10))
			}),
		},
		{
			ID: "policy.moderation-off", Turns: turns("transport.moderation"), Diagnosis: "mail.moderation-mailbox",
			Title: "contoso has lost the arbitration mailbox of the approval assistant",
			late: inContoso(func(f *forestSite) {
				for _, m := range f.org.Objects("ArbitrationMailbox") {
					if strings.HasPrefix(m.String("Name"), "SystemMailbox{1f05a927") {
						m.Remove()
					}
				}
			}),
		},
		{
			ID: "policy.private-address", Turns: turns("transport.inbound-addresses"),
			Diagnosis: "mail.inbound-private-address",
			Title:     "an inbound connector of the tenant names the private address of contoso's server",
			late: inTenant(func(t *tenantSite) {
				t.org.Seed("InboundConnector", "Name", "Contoso by address", "ConnectorType", "OnPremises",
					"SenderDomains",
					[]string{"smtp:*;1"}, "SenderIPAddresses", []string{"10.1.0.25"}, "RequireTls", true)
			}),
		},
		{
			ID: "policy.clock-runs", Turns: turns("transport.enforcement"), Diagnosis: "mail.server-outdated",
			May:   turns("servers.build", "servers.updates", "servers.mitigation-files"),
			Title: "Exchange Online has delayed mail of contoso's server for ten days, as the server is too old",
			early: inContoso(func(f *forestSite) { f.build = "Version 15.2 (Build 1748.24)" }),
		},
		{
			ID: "policy.pin-stale", Turns: turns("transport.smart-host-tlsa"), Verdict: Warns, Diagnosis: "mail.dane",
			Title: "the TLSA record of contoso's mail host is of the certificate before this one",
			late: everywhere(func(l *Lab) {
				_ = l.zone.Add("_25._tcp." + l.contoso().mail + ". TLSA 3 1 1 " + strings.Repeat("5c", 32))
			}),
		},
	}
}
