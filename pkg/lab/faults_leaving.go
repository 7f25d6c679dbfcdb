package lab

import "github.com/hybridge-cli/hybridge/pkg/wire/dns"

// leavingFaults are what still stands in the way when an organization leaves hybrid: everyone else is
// in Exchange Online, and nothing else of the hybrid is left.
func leavingFaults() []Fault {
	needed := []Fault{
		{
			ID: "leaving.mailbox-in-child-domain",
			Title: "a mailbox of contoso is left on-premises, in a domain of the forest that a session does not look into " +
				"by default",
			late: inContoso(makes("Mailbox", "Name", "Ada Byron", "Alias", "ada.byron", "SamAccountName", "ada.byron",
				"DisplayName", "Ada Byron", "PrimarySmtpAddress", "ada.byron@contoso.example", "UserPrincipalName",
				"ada.byron@contoso.example", "OrganizationalUnit", "emea.contoso.example/Users", "Database", "DB1")),
		},
		{
			ID: "leaving.public-folders-used", Title: "Exchange Online leads people to public folders of contoso",
			late: inTenant(func(t *tenantSite) {
				t.org.Objects("OrganizationConfig")[0].Set("PublicFoldersEnabled", "Remote")
			}),
		},
		{
			ID: "leaving.public-folders-locked", Title: "the move of contoso's public folders is not complete",
			late: inContoso(changes("OrganizationConfig", "", "PublicFoldersLockedForMigration", true)),
		},
		{
			ID:    "leaving.dynamic-group",
			Title: "contoso has a dynamic distribution group, of which the tenant knows nothing",
			late: inContoso(makes("DynamicDistributionGroup", "Name", "All staff", "Alias", "all", "PrimarySmtpAddress",
				"all@contoso.example")),
		},
		{
			ID: "leaving.scanners", Title: "contoso has a receive connector for scanners",
			late: inContoso(makes("ReceiveConnector", "Name", "Scanners", "Server", "EX1",
				"Bindings", []string{"0.0.0.0:2525"}, "RemoteIPRanges", []string{"10.1.0.0/16"},
				"TransportRole", "FrontendTransport")),
		},
		{
			ID: "leaving.journal", Title: "the tenant journals into contoso",
			May: turns("transport.journal-rules", "transport.journal-reports"),
			late: inTenant(func(t *tenantSite) {
				t.org.Seed("JournalRule", "Name", "Archive", "JournalEmailAddress", "journal@contoso.example")
			}),
		},
		{
			ID:    "leaving.unknown-recipients",
			Title: "the tenant relays mail for recipients of contoso that it does not know",
			late: everywhere(func(l *Lab) {
				l.tenant.org.Object("AcceptedDomain", "contoso.example").Set("DomainType", "InternalRelay")
				l.tenant.org.Seed("OutboundConnector", "Name", "Unknown", "ConnectorType", "OnPremises",
					"RecipientDomains", []string{"contoso.example"}, "UseMXRecord", false,
					"SmartHosts", []string{l.contoso().mail})
			}),
		},
		{
			ID: "leaving.partner-by-forest", Title: "the tenant sends mail for a partner through contoso",
			late: everywhere(func(l *Lab) {
				l.tenant.org.Seed("OutboundConnector", "Name", "Partner", "ConnectorType", "OnPremises",
					"RecipientDomains", []string{"partner.example"}, "UseMXRecord", false,
					"SmartHosts", []string{l.contoso().mail})
			}),
		},
		{
			ID: "leaving.internet-by-tenant", May: turns("tenant.outbound-limit"),
			Title: "contoso's servers send all mail through the tenant",
			late: inContoso(makes("SendConnector", "Name", "Internet", "AddressSpaces", []string{"smtp:*;1"},
				"SourceTransportServers", []string{"EX1"}, "DNSRoutingEnabled", false, "SmartHosts",
				[]string{"contoso-example.mail.protection.outlook.com"})),
		},
		{
			ID: "leaving.second-tenant", Title: "contoso is connected with a second tenant",
			late: inContoso(makes("AuthServer", "Name", "EvoSts - merger", "Type", "AzureAD", "Realm",
				"9c1f2a3b-4d5e-4f60-8a7b-0c1d2e3f4a5b", "Enabled", true)),
		},
	}
	for i := range needed {
		needed[i].Turns, needed[i].Diagnosis = turns("leaving.needed"), "leaving.still-needed"
	}
	list := append(needed,
		Fault{
			ID: "leaving.not-handed-over", Turns: turns("leaving.authority"), Diagnosis: "leaving.not-handed-over",
			Title: "Active Directory is the source of a mailbox of contoso",
			late: inTenant(func(t *tenantSite) {
				t.org.Object("Mailbox", "anna.alberti@contoso.example").Set("IsExchangeCloudManaged", false)
			}),
		},
		Fault{
			ID: "leaving.mx-stays", Turns: turns("leaving.dns"), Diagnosis: "leaving.names",
			Title: "the MX record of contoso still leads to its mail host",
			late: everywhere(func(l *Lab) {
				l.zone.Remove("contoso.example", dns.MX)
				_ = l.zone.Add("contoso.example. MX 10 " + l.contoso().mail + ".")
			}),
		},
		Fault{
			ID: "leaving.open-door", Turns: turns("leaving.mail"), Diagnosis: "leaving.left-over",
			Title: "the tenant still takes mail with contoso's certificate for its own",
			late: everywhere(func(l *Lab) {
				l.tenant.org.Seed("InboundConnector", "Name", "Inbound from "+l.contoso().guid,
					"ConnectorType", "OnPremises", "SenderDomains", []string{"smtp:*;1"},
					"TlsSenderCertificateName", l.contoso().mail, "RequireTls", true)
			}),
		},
		Fault{
			ID: "leaving.relationship", Turns: turns("leaving.lookups"), Diagnosis: "leaving.left-over",
			Title: "the tenant still asks contoso for free/busy",
			late: inTenant(func(t *tenantSite) {
				t.org.Seed("OrganizationRelationship", "Name", "O365 to On-premises",
					"DomainNames", []string{"contoso.example"}, "FreeBusyAccessEnabled", true, "Enabled", true)
			}),
		},
		Fault{
			ID: "leaving.tokens", Turns: turns("leaving.trust"), Diagnosis: "leaving.left-over",
			Title: "Exchange Online still gets tokens for contoso's mail host",
			late:  everywhere(func(l *Lab) { l.register("https://" + l.contoso().mail + "/") }),
		},
		Fault{
			ID: "leaving.service-point", Turns: turns("leaving.service-points"), Diagnosis: "leaving.left-over",
			Title: "a service connection point still leads Outlook to contoso's server",
			late: inContoso(changes("ClientAccessService", "EX1", "AutoDiscoverServiceInternalUri",
				"https://autodiscover.contoso.example/Autodiscover/Autodiscover.xml")),
		},
		Fault{
			ID: "leaving.record", Turns: turns("leaving.record"), Diagnosis: "leaving.left-over",
			Title: "contoso still has the record of Microsoft's wizard",
			late: inContoso(makes("HybridConfiguration", "Name", "Hybrid Configuration",
				"Domains", []string{"contoso.example"})),
		})
	for i := range list {
		list[i].Verdict, list[i].left = Warns, true
	}
	return list
}
