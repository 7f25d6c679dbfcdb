package desired

import (
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/hybridge-cli/hybridge/pkg/config/answers"
	"github.com/hybridge-cli/hybridge/pkg/engine/change"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/fact"
	"github.com/hybridge-cli/hybridge/pkg/wire/dns"
	"github.com/hybridge-cli/hybridge/pkg/wire/oauth"
)

// leavingSet is an organization of which nothing is left on-premises, and nothing of the hybrid.
func leavingSet(t *testing.T) *fact.Set {
	t.Helper()
	a := testAnswers()
	a.Hybrid = &answers.Hybrid{State: answers.Leaving}
	set := testFacts().set(a, worldwide(t))
	for _, f := range set.Forests {
		fact.LocalMailboxes.Seed(f, fact.Residents{}, nil)
		fact.PublicFolderMailboxes.Seed(f, fact.Residents{}, nil)
		fact.PublicFolderMoves.Seed(f, fact.PublicFolderMove{}, nil)
		fact.DynamicGroups.Seed(f, fact.Residents{}, nil)
		fact.AddressPolicies.Seed(f, []fact.AddressPolicy{{Name: "Default Policy"}}, nil)
		fact.JournalRules.Seed(f, nil, nil)
		fact.MoveRequests.Seed(f, nil, nil)
		fact.ReceiveConnectors.Seed(f, []fact.ReceiveConnector{
			{Identity: `EX1\Default EX1`, Server: "EX1", Enabled: true},
			{Identity: `EX1\Default Frontend EX1`, Server: "EX1", Enabled: true},
			{Identity: `EX1\Old relay`, Server: "EX1"},
		}, nil)
		fact.SendConnectors.Seed(f, nil, nil)
		fact.Queues.Seed(f, nil, nil)
		fact.Relationships.Seed(f, nil, nil)
		fact.Connectors.Seed(f, nil, nil)
		fact.AddressSpaces.Seed(f, nil, nil)
		fact.VirtualDirectories.Seed(f, nil, nil)
		fact.SettingOverrides.Seed(f, nil, nil)
		fact.AuthServers.Seed(f, nil, nil)
		fact.PartnerApplications.Seed(f, nil, nil)
		fact.DedicatedApplication.Seed(f, fact.Dedicated{}, nil)
		fact.ServicePoints.Seed(f, []fact.ServicePoint{{Server: "EX1"}}, nil)
		fact.HybridConfigurations.Seed(f, fact.HybridConfiguration{}, nil)
	}
	fact.PublicFoldersRemote.Seed(set.Tenant, false, nil)
	fact.OnlineJournalRules.Seed(set.Tenant, nil, nil)
	fact.OnlineMoveRequests.Seed(set.Tenant, nil, nil)
	fact.MigrationBatches.Seed(set.Tenant, nil, nil)
	fact.SyncedMailboxes.Seed(set.Tenant, nil, nil)
	fact.OnlineRelationships.Seed(set.Tenant, nil, nil)
	fact.OnlineConnectors.Seed(set.Tenant, nil, nil)
	fact.TokenNames.Seed(set.Tenant, []string{oauth.AppExchangeOnline, "https://outlook.office365.com/"}, nil)
	fact.MailExchangers.SeedAll(set.Tenant, func(string) ([]string, error) { return []string{"mx.cloud"}, nil })
	fact.AutodiscoverTargets.SeedAll(set.Tenant, func(string) ([]string, error) {
		return []string{"autodiscover.outlook.com"}, nil
	})
	fact.TXT.SeedAll(set.Network, func(string) ([]string, error) { return nil, dns.ErrAbsent })
	fact.MX.SeedAll(set.Network, func(string) ([]string, error) { return []string{"MX.cloud."}, nil })
	fact.Hosts.SeedAll(set.Network, func(string) (fact.Host, error) {
		return fact.Host{Aliases: []string{"autodiscover.outlook.com"}}, nil
	})
	return set
}

// Without anything left, the plan is empty and says what remains to a person. Nothing that hybridge
// made is removed besides the stages.
func TestHybridIsLeft(t *testing.T) {
	d, err := Derive(t.Context(), leavingSet(t))
	if err != nil || len(d.Resources)+len(d.LeftOut) > 0 || len(d.Notes) != 4 {
		t.Errorf("%+v, %v", d, err)
	}
	for _, topic := range Topics() {
		a := testAnswers()
		a.Hybrid = &answers.Hybrid{State: answers.Leaving}
		if in := topic.in(a); in != (topic == hybridExit || topic.Retires != "") {
			t.Errorf("topic %s is planned: %v", topic.ID, in)
		}
	}
}

// handedOver are the ids of as many mailboxes as a plan holds.
func handedOver() (out []string) {
	for i := range atATime {
		out = append(out, fmt.Sprintf("online/CloudManagedMailbox/%03d@contoso.com", i))
	}
	return out
}

// relays lets the tenant relay mail for a domain.
func relays(t *testing.T, s *fact.Set, domain string) {
	t.Helper()
	accepted, err := fact.OnlineAcceptedDomains.In(t.Context(), s.Tenant)
	if err != nil {
		t.Fatal(err)
	}
	accepted = slices.DeleteFunc(slices.Clone(accepted), func(d fact.AcceptedDomain) bool { return d.Name == domain })
	fact.OnlineAcceptedDomains.Seed(s.Tenant,
		append(accepted, fact.AcceptedDomain{Name: domain, Type: "InternalRelay"}),
		nil)
}

// accepts lets a forest accept a domain besides.
func accepts(f *fact.Side, domain string) {
	fact.AcceptedDomains.Seed(f, []fact.AcceptedDomain{{Name: f.Answers.Domains[0], Type: "Authoritative"},
		{Name: domain, Type: "Authoritative"}}, nil)
}

// Each stage finds what is left, and what may stay. What it cannot read leaves the forest out.
func TestExitStages(t *testing.T) {
	outbound := func(c fact.OutboundConnector) func(*fact.Set, *fact.Side) {
		c.Type, c.SmartHosts = "OnPremises", []string{"mail.contoso.com"}
		return func(s *fact.Set, _ *fact.Side) {
			fact.OutboundConnectors.Seed(s.Tenant, []fact.OutboundConnector{c}, nil)
		}
	}
	journal := func(address string) func(*fact.Set, *fact.Side) {
		return func(s *fact.Set, _ *fact.Side) {
			fact.OnlineJournalRules.Seed(s.Tenant, []fact.MailRule{{Name: "Archive", Enabled: true,
				Values: map[string]any{"JournalEmailAddress": address}}}, nil)
		}
	}
	behind := func(what ...string) func(*fact.Set, *fact.Side) {
		return func(s *fact.Set, _ *fact.Side) { s.Answers.Hybrid.LeaveBehind = what }
	}
	both := func(edits ...func(*fact.Set, *fact.Side)) func(*fact.Set, *fact.Side) {
		return func(s *fact.Set, f *fact.Side) {
			for _, e := range edits {
				e(s, f)
			}
		}
	}
	relay := func(_ *fact.Set, f *fact.Side) {
		fact.ReceiveConnectors.Seed(f,
			[]fact.ReceiveConnector{{Identity: `EX1\Scanners`, Server: "EX1", Enabled: true}},
			nil)
	}
	mx := func(hosts ...string) func(*fact.Set, *fact.Side) {
		return func(s *fact.Set, _ *fact.Side) { fact.MX.Seed(s.Network, "contoso.com", hosts, nil) }
	}
	holders := func(q *fact.Query[[]fact.Holder], domains ...string) func(*fact.Set, *fact.Side) {
		return func(s *fact.Set, f *fact.Side) {
			side := f
			if q == fact.OnlineConnectors || q == fact.OnlineRelationships {
				side = s.Tenant
			}
			q.Seed(side, []fact.Holder{{Name: "H", Domains: domains}}, nil)
		}
	}
	app := func(a fact.Application) func(*fact.Set, *fact.Side) {
		a.ID, a.AppID = "object", "app"
		return func(s *fact.Set, f *fact.Side) {
			fact.DedicatedApplication.Seed(f, fact.Dedicated{Name: "ExchangeServerApp-1", Application: a}, nil)
			fact.Standings.Seed(s.Tenant, "app", fact.Standing{ID: "principal", Enabled: true,
				Assignments: []fact.Assignment{{Resource: "exchange", Role: "full"}}}, nil)
		}
	}
	policy := func(enforced bool, exchangers ...string) func(*fact.Set, *fact.Side) {
		return func(s *fact.Set, _ *fact.Side) {
			fact.TXT.Seed(s.Network, "_mta-sts.contoso.com", []string{"v=STSv1; id=1"}, nil)
			fact.TransportPolicies.Seed(s.Network, "contoso.com", fact.TransportPolicy{Enforced: enforced,
				Exchangers: exchangers}, nil)
		}
	}
	ownKey := func(s *fact.Set, f *fact.Side) {
		auth, err := fact.Auth.In(t.Context(), f)
		if err != nil {
			t.Fatal(err)
		}
		fact.DedicatedApplication.Seed(f, fact.Dedicated{Name: "ExchangeServerApp-1", Application: fact.Application{
			ID: "object", AppID: "app", KeyCredentials: []any{map[string]any{
				"key": base64.StdEncoding.EncodeToString(auth.Known()[0].Raw)}}}}, nil)
	}
	behindOf := func(s *fact.Set) { // fabrikam still has a mailbox
		fact.LocalMailboxes.Seed(s.Forests[1], fact.Residents{Names: []string{"Bob"}}, nil)
	}
	oneHost := func(s *fact.Set, _ *fact.Side) {
		s.Forests[1].Answers.Namespace.SMTP = "mail.contoso.com"
		fact.InboundConnectors.Seed(s.Tenant, []fact.InboundConnector{{Name: "I", Type: "OnPremises",
			CertificateName: "mail.contoso.com"}}, nil)
	}
	unknown := errors.New("no answer")
	for _, tt := range []struct {
		name  string
		edit  func(*fact.Set, *fact.Side)
		stage ExitStage
		open  []string
		waits string // empty: nothing
		err   bool
	}{
		{"more mailboxes than are named", func(_ *fact.Set, f *fact.Side) {
			fact.LocalMailboxes.Seed(f, fact.Residents{Names: []string{"1", "2", "3", "4", "5", "6"}, More: true}, nil)
		}, nothingNeeded, nil, "more than 6 mailboxes on-premises, to be moved to Exchange Online first: 1, 2, 3, 4, " +
			"5 " +
			"and 1 more", false},
		{"public folders", func(_ *fact.Set, f *fact.Side) {
			fact.PublicFolderMailboxes.Seed(f, fact.Residents{Names: []string{"PF"}}, nil)
		}, nothingNeeded, nil, "public folders", false},
		{"public folders stay, unread", both(behind(answers.RemainPublicFolders), func(_ *fact.Set, f *fact.Side) {
			fact.PublicFolderMailboxes.Seed(f, fact.Residents{}, unknown)
		}), nothingNeeded, nil, "", false},
		{"a relay", relay, nothingNeeded, nil, `EX1\Scanners`, false},
		{"a relay stays", both(relay, behind(answers.RemainRelays)), nothingNeeded, nil, "", false},
		{"receive connectors unread", func(_ *fact.Set, f *fact.Side) {
			fact.ReceiveConnectors.Seed(f, nil, unknown)
		}, nothingNeeded, nil, "", true},
		{"an address policy", func(_ *fact.Set, f *fact.Side) {
			fact.AddressPolicies.Seed(f, []fact.AddressPolicy{{Name: "Sales"}}, nil)
		}, nothingNeeded, nil, "Sales", false},
		{"a journal of the forest", func(_ *fact.Set, f *fact.Side) {
			fact.JournalRules.Seed(f, []fact.MailRule{{Name: "All", Enabled: true}, {Name: "Off"}}, nil)
		}, nothingNeeded, nil, "All of the forest", false},
		{"a journal of the tenant in the forest", journal("journal@Contoso.com"), nothingNeeded, nil,
			"Archive of the tenant", false},
		{"a journal of the tenant elsewhere", journal("journal@archive.example"), nothingNeeded, nil, "", false},
		{"a journal by way of the forest", both(journal("journal@archive.example"), outbound(fact.OutboundConnector{
			Name: "O", Enabled: true, RecipientDomains: []string{"archive.example"}})), nothingNeeded, nil,
			"Archive of the tenant", false},
		{"public folders that Exchange Online leads to, although they may stay",
			both(behind(answers.RemainPublicFolders),
				func(s *fact.Set, _ *fact.Side) { fact.PublicFoldersRemote.Seed(s.Tenant, true, nil) }), nothingNeeded, nil,
			"PublicFoldersEnabled is Remote", false},
		{"where public folders are is unread", func(s *fact.Set, _ *fact.Side) {
			fact.PublicFoldersRemote.Seed(s.Tenant, false, unknown)
		}, nothingNeeded, nil, "", true},
		{"public folders in the middle of their move", func(_ *fact.Set, f *fact.Side) {
			fact.PublicFolderMoves.Seed(f, fact.PublicFolderMove{Locked: true}, nil)
		}, nothingNeeded, nil, "locked for their move", false},
		{"public folders that are moved", func(_ *fact.Set, f *fact.Side) {
			fact.PublicFolderMoves.Seed(f, fact.PublicFolderMove{Locked: true, Complete: true}, nil)
		}, nothingNeeded, nil, "", false},
		{"a dynamic group", func(_ *fact.Set, f *fact.Side) {
			fact.DynamicGroups.Seed(f, fact.Residents{Names: []string{"All staff"}}, nil)
		}, nothingNeeded, nil, "All staff", false},
		{"a dynamic group that is in the tenant too", both(behind(answers.RemainDynamicGroups),
			func(_ *fact.Set, f *fact.Side) {
				fact.DynamicGroups.Seed(f, fact.Residents{Names: []string{"All staff"}}, nil)
			}), nothingNeeded, nil, "", false},
		{"an auth server of another tenant", func(_ *fact.Set, f *fact.Side) {
			fact.AuthServers.Seed(f, []fact.AuthServer{{Name: "Other", Type: "AzureAD", Realm: "another",
				Enabled: true}}, nil)
		}, nothingNeeded, nil, "connects the forest with another tenant (another)", false},
		{"a send connector to another tenant", func(_ *fact.Set, f *fact.Side) {
			fact.SendConnectors.Seed(f, []fact.SendConnector{{Name: "Out", Enabled: true, AddressSpaces: []string{
				"smtp:contoso.mail.onmicrosoft.com;1", "smtp:merger.mail.onmicrosoft.com;1"}}}, nil)
		}, nothingNeeded, nil, "leads to another tenant (merger.mail.onmicrosoft.com)", false},
		{"mail for a partner through the forest", outbound(fact.OutboundConnector{Name: "O", Enabled: true,
			RecipientDomains: []string{"contoso.com", "partner.example"}}), nothingNeeded, nil,
			"sends mail for partner.example through the forest", false},
		{"mail for the forest's own domains", outbound(fact.OutboundConnector{Name: "O", Enabled: true,
			RecipientDomains: []string{"contoso.com"}}), mailEnds, []string{"online/OutboundConnector/" +
			strings.ToLower(contosoOrg) + ":o"}, "", false},
		{"recipients that the tenant does not know", func(s *fact.Set, _ *fact.Side) {
			relays(t, s, "contoso.com")
		}, nothingNeeded, nil, "without the connector that mail loops (5.4.14)", false},
		{"recipients that another system has", both(func(s *fact.Set, _ *fact.Side) { relays(t, s, "contoso.com") },
			func(s *fact.Set, _ *fact.Side) {
				fact.OutboundConnectors.Seed(s.Tenant,
					[]fact.OutboundConnector{{Name: "Notes", Type: "OnPremises", Enabled: true,
						SmartHosts: []string{"notes.example"}, RecipientDomains: []string{"contoso.com"}}}, nil)
			}), nothingNeeded, nil, "", false},
		{"mail to the internet through the tenant", func(_ *fact.Set, f *fact.Side) {
			fact.SendConnectors.Seed(f, []fact.SendConnector{{Name: "Internet", Enabled: true,
				AddressSpaces: []string{"smtp:*;1"},
				SmartHosts:    []string{"contoso-com.mail.protection.outlook.com"}}}, nil)
		}, nothingNeeded, nil, "the send connector Internet sends mail for * through the tenant", false},
		{"mail to the internet through the tenant's host with DNSSEC", func(_ *fact.Set, f *fact.Side) {
			fact.SendConnectors.Seed(f, []fact.SendConnector{{Name: "Internet", Enabled: true,
				AddressSpaces: []string{"smtp:*;1"}, SmartHosts: []string{"contoso-com.a-v1.mx.microsoft"}}}, nil)
		}, nothingNeeded, nil, "the send connector Internet sends mail for * through the tenant", false},
		{"a coexistence domain below the organization's own", func(s *fact.Set, f *fact.Side) {
			s.Answers.ExchangeOnline.CoexistenceDomain = "cloud.contoso.com"
			fact.SendConnectors.Seed(f, []fact.SendConnector{{Name: "Branch", Enabled: true,
				AddressSpaces: []string{"smtp:branch.contoso.com;1"}}}, nil)
		}, nothingNeeded, nil, "", false},
		{"centralized transport", outbound(fact.OutboundConnector{Name: "O", Enabled: true, Centralized: true}),
			nothingNeeded, nil, "centralized transport", false},
		{"a migration batch", func(s *fact.Set, _ *fact.Side) {
			fact.MigrationBatches.Seed(s.Tenant, []string{"Last"}, nil)
		}, nothingNeeded, nil, "the migration batch 'Last' of the tenant is left", false},

		{"a mailbox of another forest", func(s *fact.Set, _ *fact.Side) {
			fact.SyncedMailboxes.Seed(s.Tenant, []fact.SyncedMailbox{{Primary: "a@fabrikam.example"}}, nil)
		}, authorityMoved, nil, "", false},
		{"more mailboxes than a plan holds", func(s *fact.Set, _ *fact.Side) {
			var all []fact.SyncedMailbox
			for i := range atATime + 1 {
				all = append(all, fact.SyncedMailbox{Primary: fmt.Sprintf("%03d@contoso.com", i)})
			}
			fact.SyncedMailboxes.Seed(s.Tenant, all, nil)
		}, authorityMoved, handedOver(), "", false},
		{"a mailbox of no forest", func(s *fact.Set, _ *fact.Side) {
			fact.SyncedMailboxes.Seed(s.Tenant, []fact.SyncedMailbox{{Primary: "A@elsewhere.example"}}, nil)
		}, authorityMoved, nil, "", false},
		{"a mailbox of a domain that the forest accepts", func(s *fact.Set, f *fact.Side) {
			fact.SyncedMailboxes.Seed(s.Tenant, []fact.SyncedMailbox{{Primary: "A@brand.example"}}, nil)
			accepts(f, "brand.example")
		}, authorityMoved, []string{"online/CloudManagedMailbox/a@brand.example"}, "", false},
		{"a mailbox of a domain that two forests accept", func(s *fact.Set, f *fact.Side) {
			fact.SyncedMailboxes.Seed(s.Tenant, []fact.SyncedMailbox{{Primary: "A@brand.example"}}, nil)
			accepts(f, "brand.example")
			accepts(s.Forests[1], "brand.example")
		}, authorityMoved, nil, "", false},

		{"MX leads to both", mx("mx.cloud", "mail.contoso.com"), namesTurned, nil, "in place of mail.contoso.com",
			false},
		{"MX leads to a filter", mx("mx.filter.example"), namesTurned, nil, "in place of mx.filter.example", false},
		{"the filter hands over", both(mx("mx.filter.example"), func(s *fact.Set, _ *fact.Side) {
			s.Answers.Hybrid.Filtered = []string{"contoso.com"}
		}), namesTurned, nil, "", false},
		{"a filter, and the forest itself", both(mx("mx.filter.example", "mail.contoso.com"),
			func(s *fact.Set, _ *fact.Side) { s.Answers.Hybrid.Filtered = []string{"contoso.com"} }), namesTurned, nil,
			"mail.contoso.com", false},
		{"an enforced policy that does not list Exchange Online", policy(true, "mail.contoso.com"), namesTurned, nil,
			"the enforced policy of contoso.com does not list mx.cloud", false},
		{"an enforced policy that lists it", policy(true, "mail.contoso.com", "*.cloud.example", "mx.cloud"),
			namesTurned, nil,
			"", false},
		{"a policy that is not enforced", policy(false, "mail.contoso.com"), namesTurned, nil, "", false},
		{"a policy that cannot be read", both(policy(true), func(s *fact.Set, _ *fact.Side) {
			fact.TransportPolicies.Seed(s.Network, "contoso.com", fact.TransportPolicy{}, unknown)
		}), namesTurned, nil, "", true},
		{"autodiscover leads to the forest", func(s *fact.Set, _ *fact.Side) {
			fact.Hosts.Seed(s.Network, "autodiscover.contoso.com", fact.Host{}, nil)
		}, namesTurned, nil, "autodiscover.contoso.com. 3600 IN CNAME autodiscover.outlook.com.", false},

		{"connectors, and mail in a queue", both(outbound(fact.OutboundConnector{Name: "O"}),
			func(_ *fact.Set, f *fact.Side) {
				fact.Queues.Seed(f, []fact.Queue{{Identity: `EX1\12`, Messages: 3},
					{Identity: `EX1\Shadow\5`, Messages: 9}}, nil)
			}), mailEnds, nil, `the queue EX1\12 holds mail (3)`, false},
		{"a connector of another organization", both(outbound(fact.OutboundConnector{Name: "Theirs"}),
			func(s *fact.Set, _ *fact.Side) {
				fact.HybridOrganizations.Seed(s.Tenant, []fact.HybridOrganization{{GUID: fabrikam, Outbound: "Theirs"}},
					nil)
			}), mailEnds, nil, "", false},
		{"an inbound connector of two forests, one of which stays", both(oneHost,
			func(s *fact.Set, _ *fact.Side) { behindOf(s) }), mailEnds, nil,
			"the InboundConnector I of the tenant serves forest fabrikam too", false},
		{"an inbound connector of two forests", oneHost, mailEnds,
			[]string{"online/InboundConnector/" + strings.ToLower(contosoOrg) + ":i"}, "",
			false},
		{"an inbound connector with a wildcard", func(s *fact.Set, _ *fact.Side) {
			fact.InboundConnectors.Seed(s.Tenant, []fact.InboundConnector{{Name: "I", Type: "OnPremises",
				CertificateName: "*.contoso.com"}}, nil)
		}, mailEnds, nil, "", false},
		{"an outbound connector for the domains of two forests, one of which stays",
			both(outbound(fact.OutboundConnector{
				Name: "O", RecipientDomains: []string{"contoso.com", "fabrikam.example"}}),
				func(s *fact.Set, _ *fact.Side) { behindOf(s) }), mailEnds, nil, "serves forest fabrikam too", false},
		{"a send connector for more", func(_ *fact.Set, f *fact.Side) {
			fact.SendConnectors.Seed(f, []fact.SendConnector{{Name: "Out", AddressSpaces: []string{
				"smtp:contoso.mail.onmicrosoft.com;1", "smtp:partner.example;1"}}}, nil)
		}, mailEnds, []string{"onprem/contoso/SendConnector/contoso.mail.onmicrosoft.com:out " +
			"-contoso.mail.onmicrosoft.com"},
			"", false},

		{"a connector on-premises", holders(fact.Connectors, "contoso.mail.onmicrosoft.com"), lookupsEnd,
			[]string{"onprem/contoso/IntraOrganizationConnector/contoso:h"}, "", false},
		{"a relationship with a partner", holders(fact.Relationships, "partner.example"), lookupsEnd, nil, "", false},
		{"a relationship of the tenant for more", holders(fact.OnlineRelationships, "contoso.com", "other.example"),
			lookupsEnd, []string{"online/OrganizationRelationship/contoso:h -contoso.com"}, "", false},
		{"MRSProxy", func(_ *fact.Set, f *fact.Side) {
			fact.VirtualDirectories.Seed(f, []fact.VirtualDirectory{{Noun: fact.EWSDirectory, Identity: `EX1\EWS`,
				MRSProxy: true}}, nil)
		}, lookupsEnd, []string{"onprem/contoso/MailboxReplicationProxy/ex1:ews"}, "", false},

		{"clients that sign in at Entra", func(_ *fact.Set, f *fact.Side) {
			fact.AuthServers.Seed(f, []fact.AuthServer{{Name: "EvoSts", Type: "AzureAD", Realm: tenantID,
				DefaultEndpoint: true}}, nil)
		}, trustEnds, nil, "hybrid modern authentication", false},
		{"auth servers of others", func(_ *fact.Set, f *fact.Side) {
			fact.AuthServers.Seed(f, []fact.AuthServer{{Name: "ADFS", Type: "ADFS", Realm: tenantID},
				{Name: "Partner", Type: "MicrosoftACS", Realm: "another"}}, nil)
		}, trustEnds, nil, "", false},
		{"an application with a key of another organization", app(fact.Application{
			KeyCredentials: []any{map[string]any{"keyId": "1"}}}), trustEnds, nil, "keyId 1", false},
		{"an application that another forest needs", both(app(fact.Application{}), func(s *fact.Set, _ *fact.Side) {
			fact.DedicatedApplication.Seed(s.Forests[1], fact.Dedicated{Name: "ExchangeServerApp-1",
				Application: fact.Application{ID: "object", AppID: "app"}}, nil)
			behindOf(s)
		}), trustEnds, nil, "serves forest fabrikam too", false},
		{"an application", both(app(fact.Application{}), ownKey), trustEnds,
			[]string{"entra/AppRoleAssignment/ExchangeServerApp-1:full", "entra/ServicePrincipal/ExchangeServerApp-1",
				"entra/KeyCredential/ExchangeServerApp-1"}, "", false},
		{"an application with a secret", app(fact.Application{Passwords: 1}), trustEnds, nil, "", false},
		{"overrides, Exchange's own among them", func(_ *fact.Set, f *fact.Side) {
			fact.SettingOverrides.Seed(f, []fact.SettingOverride{
				{Name: "FlightingServiceOverride_EX1_F1.1", Section: dedicatedApplicationOverride.section},
				{Name: "Ours", Section: dedicatedApplicationOverride.section}, {Name: "Other", Section: "Other"}}, nil)
		}, trustEnds, []string{"onprem/contoso/SettingOverride/exit:ours"}, "", false},

		{"names for which Exchange Online gets tokens, of another forest too", func(s *fact.Set, _ *fact.Side) {
			fact.TokenNames.Seed(s.Tenant, []string{"https://Mail.contoso.com", "https://mail.fabrikam.example/",
				"https://outlook.office365.com/"}, nil)
		}, trustEnds, []string{"entra/ServicePrincipalName/" + oauth.AppExchangeOnline + " -https://Mail.contoso.com"},
			"", false},
		{"mail to the internet through the tenant", both(outbound(fact.OutboundConnector{Name: "O", Enabled: true}),
			func(_ *fact.Set, f *fact.Side) {
				fact.SendConnectors.Seed(f, []fact.SendConnector{{Name: "All", Enabled: true, CloudHeader: true,
					AddressSpaces: []string{"smtp:*;1"}}}, nil)
			}), nothingNeeded, nil, "5.7.64", false},
		{"a connector to the internet that is off, and one without the tenant", both(outbound(fact.OutboundConnector{
			Name: "O", Enabled: true}), func(_ *fact.Set, f *fact.Side) {
			fact.SendConnectors.Seed(f, []fact.SendConnector{{Name: "All", CloudHeader: true,
				AddressSpaces: []string{"smtp:*;1"}}, {Name: "Internet", Enabled: true, AddressSpaces: []string{"*"}}},
				nil)
		}), mailEnds, []string{"online/OutboundConnector/" + strings.ToLower(contosoOrg) + ":o"}, "", false},
		{"names that Entra hides", func(s *fact.Set, _ *fact.Side) {
			fact.TokenNames.Seed(s.Tenant, nil, unknown)
		}, trustEnds, nil, "", true},
		{"a service connection point", func(_ *fact.Set, f *fact.Side) {
			fact.ServicePoints.Seed(f, []fact.ServicePoint{{Server: "EX1", URL: "https://autodiscover.contoso.com"}},
				nil)
		}, servicePointsCleared, []string{"onprem/contoso/ClientAccessService/ex1"}, "", false},
		{"service connection points unread", func(_ *fact.Set, f *fact.Side) {
			fact.ServicePoints.Seed(f, nil, unknown)
		}, servicePointsCleared, nil, "", true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			set := leavingSet(t)
			contoso := set.Forests[0]
			tt.edit(set, contoso)
			p := &Planner{Answers: set.Answers, Forest: contoso, set: set, topic: hybridExit}
			waits, err := tt.stage.open(t.Context(), p)
			if tt.err != (err != nil) {
				t.Fatal(err)
			}
			var said, open []string
			for _, w := range waits {
				said = append(said, w.String())
			}
			for _, r := range p.out {
				id := r.ID()
				for _, property := range sortedKeys(r.Without) {
					id += " -" + strings.Join(r.Without[property], ",")
				}
				open = append(open, id)
			}
			if diff := cmp.Diff(tt.open, open); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if got := strings.Join(said, "; "); (got == "") != (tt.waits == "") || !strings.Contains(got, tt.waits) {
				t.Errorf("waits: %s", got)
			}
			for _, s := range set.Asked() {
				if !slices.ContainsFunc(fact.SourcesOf(hybridExit.Reads...), func(d fact.Source) bool {
					return d.System == s.System && d.Ask == s.Ask
				}) {
					t.Errorf("%s asks %s %q and does not declare it", tt.stage.ID, s.System, s.Ask)
				}
			}

			// The plan holds no later stage, and what is unknown leaves the forest out and no
			// other.
			d, err := Derive(t.Context(), set)
			switch {
			case tt.err:
				if err == nil || !strings.Contains(err.Error(), "no answer") {
					t.Errorf("a plan without a fact: %+v, %v", d, err)
				}
			case err != nil:
				t.Error(err)
			case len(slices.DeleteFunc(d.Resources, func(r change.Resource) bool {
				return r.Part != contoso.Name()
			})) != len(tt.open):
				t.Errorf("planned: %+v", d.Resources)
			case (tt.waits != "") != slices.ContainsFunc(d.LeftOut, func(l change.LeftOut) bool { return l.Waits }):
				t.Errorf("left out: %+v", d.LeftOut)
			}
		})
	}
}

// Before the connectors go, the plan says which mail of the forest and of the tenant would be lost.
func TestExitOfMailSays(t *testing.T) {
	for name, test := range map[string]struct {
		behind []string
		want   []string
	}{
		"nothing":     {nil, nil},
		"relays stay": {[]string{answers.RemainRelays}, []string{"5.7.68"}},
	} {
		t.Run(name, func(t *testing.T) {
			set := leavingSet(t)
			contoso := set.Forests[0]
			set.Answers.Hybrid.LeaveBehind = test.behind
			fact.OutboundConnectors.Seed(set.Tenant, []fact.OutboundConnector{{Name: "O", Enabled: true,
				Type: "OnPremises", SmartHosts: []string{"mail.contoso.com"}}}, nil)
			p := &Planner{Answers: set.Answers, Forest: contoso, set: set, topic: hybridExit}
			if waits, err := mailEnds.open(t.Context(), p); err != nil || len(waits) > 0 || len(p.out) != 1 {
				t.Fatalf("%v, %v, %+v", waits, err, p.out)
			}
			var said []string
			for _, n := range p.notes {
				if strings.Contains(n.Text.String(), "5.7.68") {
					said = append(said, "5.7.68")
				}
			}
			if diff := cmp.Diff(test.want, said); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}
