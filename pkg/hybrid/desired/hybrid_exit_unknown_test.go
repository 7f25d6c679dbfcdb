package desired

import (
	"encoding/base64"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/hybridge-cli/hybridge/pkg/config/answers"
	"github.com/hybridge-cli/hybridge/pkg/estate/entra"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/fact"
	"github.com/hybridge-cli/hybridge/pkg/wire/dns"
	"github.com/hybridge-cli/hybridge/pkg/wire/oauth"
)

// edits applies several edits of a set.
func edits(all ...func(*fact.Set)) func(*fact.Set) {
	return func(s *fact.Set) {
		for _, e := range all {
			e(s)
		}
	}
}

// What a stage of one forest finds, by itself: what is off, what is another's, what is not known, and
// what another forest still needs.
func TestExitStagesOfOneForest(t *testing.T) {
	unknown := errors.New("no answer")
	out := func(c fact.OutboundConnector) func(*fact.Set) {
		c.Type = "OnPremises"
		if c.SmartHosts == nil {
			c.SmartHosts = []string{"mail.contoso.com"}
		}
		return func(s *fact.Set) { fact.OutboundConnectors.Seed(s.Tenant, []fact.OutboundConnector{c}, nil) }
	}
	inbound := func(name string) func(*fact.Set) {
		return func(s *fact.Set) {
			s.Forests[1].Answers.Namespace.SMTP = "mail.contoso.com"
			fact.InboundConnectors.Seed(s.Tenant, []fact.InboundConnector{{Name: "I", Type: "OnPremises",
				CertificateName: name}}, nil)
		}
	}
	send := func(c fact.SendConnector) func(*fact.Set) {
		c.Name, c.Enabled = "Out", true
		return func(s *fact.Set) { fact.SendConnectors.Seed(s.Forests[0], []fact.SendConnector{c}, nil) }
	}
	receive := func(c fact.ReceiveConnector) func(*fact.Set) {
		c.Enabled = true
		return func(s *fact.Set) { fact.ReceiveConnectors.Seed(s.Forests[0], []fact.ReceiveConnector{c}, nil) }
	}
	journal := func(enabled bool, address string) func(*fact.Set) {
		return func(s *fact.Set) {
			fact.OnlineJournalRules.Seed(s.Tenant, []fact.MailRule{{Name: "Archive", Enabled: enabled,
				Values: map[string]any{"JournalEmailAddress": address}}}, nil)
		}
	}
	synced := func(m ...fact.SyncedMailbox) func(*fact.Set) {
		return func(s *fact.Set) { fact.SyncedMailboxes.Seed(s.Tenant, m, nil) }
	}
	auth := func(a ...fact.AuthServer) func(*fact.Set) {
		return func(s *fact.Set) { fact.AuthServers.Seed(s.Forests[0], a, nil) }
	}
	// app gives both forests one application.
	app := func(both bool, a fact.Application, roles ...fact.Assignment) func(*fact.Set) {
		a.ID, a.AppID = "object", "app"
		return func(s *fact.Set) {
			for i, f := range s.Forests {
				if i == 0 || both {
					fact.DedicatedApplication.Seed(f, fact.Dedicated{Name: "ExchangeServerApp-1", Application: a}, nil)
				}
			}
			fact.Standings.Seed(s.Tenant, "app", fact.Standing{ID: "principal", Enabled: true, Assignments: roles}, nil)
		}
	}
	foreign := fact.Application{KeyCredentials: []any{map[string]any{"keyId": "1"}}}
	granted := fact.Assignment{Resource: "exchange", Role: "full"}
	override := func(s *fact.Set) {
		fact.SettingOverrides.Seed(s.Forests[0], []fact.SettingOverride{{Name: "Ours",
			Section: dedicatedApplicationOverride.section}}, nil)
	}
	filtered := func(s *fact.Set) { s.Answers.Hybrid.Filtered = []string{"contoso.com"} }
	policy := func(s *fact.Set) {
		fact.TXT.Seed(s.Network, "_mta-sts.contoso.com", []string{"v=STSv1; id=1"}, nil)
		fact.TransportPolicies.Seed(s.Network, "contoso.com", fact.TransportPolicy{Enforced: true,
			Exchangers: []string{"mx.filter.example"}}, nil)
	}
	const o, i, sent = "online/OutboundConnector/aaaaaaaa-0000-0000-0000-000000000001:o",
		"online/InboundConnector/aaaaaaaa-0000-0000-0000-000000000001:i",
		"onprem/contoso/SendConnector/contoso.mail.onmicrosoft.com:out"
	for _, tt := range []struct {
		name   string
		forest int
		edit   func(*fact.Set)
		stage  ExitStage
		open   []string
		waits  string // empty: nothing
		err    bool
	}{
		{"WorkMail works with the forest", 0, func(s *fact.Set) {
			s.Answers.WorkMail = &answers.WorkMail{}
			s.Forests[0].Answers.WorkMail = &answers.Provider{}
		}, nothingNeeded, nil, "Amazon WorkMail works with the forest", false},
		{"WorkMail is left", 0, func(s *fact.Set) {
			s.Answers.WorkMail = &answers.WorkMail{State: answers.Leaving}
			s.Forests[0].Answers.WorkMail = &answers.Provider{}
		}, nothingNeeded, nil, "", false},
		{"a connector of an Edge server is no relay", 0, edits(receive(fact.ReceiveConnector{Identity: `EDGE1\Scanners`,
			Server: "EDGE1"}), func(s *fact.Set) {
			fact.Servers.Seed(s.Forests[0], []fact.Server{{Name: "EDGE1", Edge: true}}, nil)
		}), nothingNeeded, nil, "", false},
		{"a relay whose name begins as Exchange's own", 0, receive(fact.ReceiveConnector{Identity: `EX1\Default relay`,
			Server: "EX1"}), nothingNeeded, nil, `EX1\Default relay`, false},
		{"a journal by way of a connector that is off", 0, edits(journal(true, "j@archive.example"),
			out(fact.OutboundConnector{Name: "O", RecipientDomains: []string{"archive.example"}})), nothingNeeded, nil, "",
			false},
		{"a journal rule of the tenant that is off", 0, journal(false, "j@contoso.com"), nothingNeeded, nil, "", false},
		{"an auth server of another tenant that is off", 0, auth(fact.AuthServer{Name: "Other", Type: "AzureAD",
			Realm: "another"}), nothingNeeded, nil, "", false},
		{"the connector to this tenant leads to no other one", 0, send(fact.SendConnector{
			AddressSpaces: []string{"smtp:contoso.mail.onmicrosoft.com;1"}}), nothingNeeded, nil, "", false},
		{"the connector to this tenant by its host takes no other mail", 0, send(fact.SendConnector{
			SmartHosts:    []string{"contoso-com.mail.protection.outlook.com"},
			AddressSpaces: []string{"smtp:contoso.mail.onmicrosoft.com;1"}}), nothingNeeded, nil, "", false},
		{"centralized transport that is off", 0, out(fact.OutboundConnector{Name: "O", Centralized: true}), nothingNeeded,
			nil, "", false},
		{"mail for the domains of two forests by one host", 0, out(fact.OutboundConnector{Name: "O", Enabled: true,
			RecipientDomains: []string{"contoso.com", "fabrikam.example"}}), nothingNeeded, nil, "", false},
		{"recipients that another system has, whose connector is off", 0, func(s *fact.Set) {
			relays(t, s, "contoso.com")
			fact.OutboundConnectors.Seed(s.Tenant, []fact.OutboundConnector{{Name: "Notes", Type: "OnPremises",
				SmartHosts: []string{"notes.example"}, RecipientDomains: []string{"contoso.com"}}}, nil)
		}, nothingNeeded, nil, "mail loops (5.4.14)", false},

		{"a mailbox that is handed over", 0, synced(fact.SyncedMailbox{Primary: "a@contoso.com", CloudManaged: true}),
			authorityMoved, nil, "", false},

		{"a domain without a mail exchanger in Exchange Online", 0, func(s *fact.Set) {
			fact.MailExchangers.Seed(s.Tenant, "contoso.com", []string{}, nil)
		}, namesTurned, nil, "", true},
		{"MX unread", 0, func(s *fact.Set) { fact.MX.Seed(s.Network, "contoso.com", nil, unknown) }, namesTurned, nil, "",
			true},
		{"no MX", 0, func(s *fact.Set) { fact.MX.Seed(s.Network, "contoso.com", nil, dns.ErrAbsent) }, namesTurned, nil,
			"there is no MX record", false},
		{"the policy of a domain with a filter", 0, edits(filtered, policy, func(s *fact.Set) {
			fact.MX.Seed(s.Network, "contoso.com", []string{"mx.filter.example"}, nil)
		}), namesTurned, nil, "", false},
		{"whether there is a policy is unread", 0, func(s *fact.Set) {
			fact.TXT.Seed(s.Network, "_mta-sts.contoso.com", nil, unknown)
		}, namesTurned, nil, "", true},
		{"no name for autodiscover", 0, func(s *fact.Set) {
			fact.Hosts.Seed(s.Network, "autodiscover.contoso.com", fact.Host{}, dns.ErrAbsent)
		}, namesTurned, nil, "autodiscover.contoso.com. 3600 IN CNAME", false},
		{"autodiscover unread", 0, func(s *fact.Set) {
			fact.Hosts.Seed(s.Network, "autodiscover.contoso.com", fact.Host{}, unknown)
		}, namesTurned, nil, "", true},
		{"a domain of another forest, which this one accepts too", 0, func(s *fact.Set) {
			accepts(s.Forests[0], "fabrikam.example")
			tenant, err := fact.Tenant.In(t.Context(), s.Tenant)
			if err != nil {
				t.Fatal(err)
			}
			tenant.VerifiedDomains = append(slices.Clone(tenant.VerifiedDomains), entra.VerifiedDomain{Name: "fabrikam.example"})
			fact.Tenant.Seed(s.Tenant, tenant, nil)
			fact.MX.Seed(s.Network, "fabrikam.example", []string{"mail.fabrikam.example"}, nil)
		}, namesTurned, nil, "", false},

		{"another forest has mailboxes to hand over", 0, edits(inbound("mail.contoso.com"),
			synced(fact.SyncedMailbox{Primary: "a@fabrikam.example"})), mailEnds, nil, "serves forest fabrikam too", false},
		{"what another forest needs is unread", 0, edits(inbound("mail.contoso.com"), func(s *fact.Set) {
			fact.LocalMailboxes.Seed(s.Forests[1], fact.Residents{}, unknown)
		}), mailEnds, nil, "", true},
		{"while one connector waits, no other goes", 0, edits(inbound("mail.contoso.com"), send(fact.SendConnector{
			AddressSpaces: []string{"smtp:contoso.mail.onmicrosoft.com;1"}}), func(s *fact.Set) {
			fact.LocalMailboxes.Seed(s.Forests[1], fact.Residents{Names: []string{"Bob"}}, nil)
		}), mailEnds, nil, "InboundConnector I of the tenant serves forest fabrikam too", false},
		{"queues unread", 0, edits(out(fact.OutboundConnector{Name: "O"}), func(s *fact.Set) {
			fact.Queues.Seed(s.Forests[0], nil, unknown)
		}), mailEnds, []string{o}, "", true}, // the topic drops what a stage with an error opened
		{"an inbound connector of another organization", 0, edits(inbound("mail.contoso.com"), func(s *fact.Set) {
			fact.HybridOrganizations.Seed(s.Tenant, []fact.HybridOrganization{{GUID: fabrikam, Inbound: "I"}}, nil)
		}), mailEnds, nil, "", false},
		{"a receive connector that trusts the tenant's protocol", 0, receive(fact.ReceiveConnector{
			Identity: `EX1\Default Frontend EX1`, Server: "EX1",
			Capabilities: []string{"mail.protection.outlook.com:AcceptOorgProtocol", "partner.example:AcceptOorgProtocol"}}),
			mailEnds, []string{"onprem/contoso/ReceiveConnector/ex1:default frontend ex1 " +
				"-mail.protection.outlook.com:AcceptOorgProtocol"}, "", false},
		{"the record goes before the connectors, and what sends after what takes", 0, edits(inbound("mail.contoso.com"),
			out(fact.OutboundConnector{Name: "O"}), send(fact.SendConnector{
				AddressSpaces: []string{"smtp:contoso.mail.onmicrosoft.com;1"}}), func(s *fact.Set) {
				fact.HybridOrganizations.Seed(s.Tenant, []fact.HybridOrganization{{GUID: contosoOrg, Name: "C", Inbound: "I",
					Outbound: "O"}}, nil)
			}), mailEnds, []string{o, i,
			"online/OnPremisesOrganization/aaaaaaaa-0000-0000-0000-000000000001 needs InboundConnector OutboundConnector",
			sent + " needs InboundConnector"}, "", false},

		{"an address space of another method", 0, func(s *fact.Set) {
			fact.AddressSpaces.Seed(s.Forests[0], []fact.AddressSpace{{ForestName: "contoso.mail.onmicrosoft.com",
				AccessMethod: "OrgWideFB"}}, nil)
		}, lookupsEnd, nil, "", false},
		{"a connector on-premises that is for the first forest too", 1, func(s *fact.Set) {
			fact.Connectors.Seed(s.Forests[1], []fact.Holder{{Name: "H", Domains: []string{"contoso.mail.onmicrosoft.com",
				"contoso.com"}}}, nil)
		}, lookupsEnd, []string{"onprem/fabrikam/IntraOrganizationConnector/fabrikam:h -contoso.mail.onmicrosoft.com"}, "",
			false},
		{"a connector of the tenant that is for the first forest too", 1, func(s *fact.Set) {
			fact.OnlineConnectors.Seed(s.Tenant, []fact.Holder{{Name: "H", Domains: []string{"fabrikam.example",
				"contoso.com"}}}, nil)
		}, lookupsEnd, nil, "is for another forest too", false},
		{"MRSProxy that is retired by name", 0, func(s *fact.Set) {
			s.Answers.Retire = []answers.Retired{answers.RetireMRSProxy}
			fact.VirtualDirectories.Seed(s.Forests[0], []fact.VirtualDirectory{{Noun: fact.EWSDirectory, Identity: `EX1\EWS`,
				MRSProxy: true}}, nil)
		}, lookupsEnd, nil, "", false},

		{"while the application waits, no override goes", 0, edits(override, app(false, foreign, granted)), trustEnds, nil,
			"keyId 1", false},
		{"clients that sign in at another service", 0, auth(fact.AuthServer{Name: "ADFS", Type: "ADFS", Realm: "another",
			DefaultEndpoint: true}), trustEnds, nil, "", false},
		{"an application of two forests goes with the first", 1, app(true, fact.Application{}, granted), trustEnds, nil, "",
			false},
		{"an application with a federated credential", 0, app(false, fact.Application{Federated: 1}, granted), trustEnds,
			nil, "", false},
		{"an application that is on, without consents, with a key of another organization", 0, app(false, foreign),
			trustEnds, nil, "keyId 1", false},
		{"an application with the key of another forest", 0, func(s *fact.Set) {
			theirs, err := fact.Auth.In(t.Context(), s.Forests[1])
			if err != nil || len(theirs.Known()) == 0 {
				t.Fatal(err)
			}
			fact.Auth.Seed(s.Forests[0], fact.AuthConfig{}, nil)
			app(true, fact.Application{KeyCredentials: []any{map[string]any{
				"key": base64.StdEncoding.EncodeToString(theirs.Known()[0].Raw)}}}, granted)(s)
		}, trustEnds, []string{"entra/AppRoleAssignment/ExchangeServerApp-1:full",
			"entra/ServicePrincipal/ExchangeServerApp-1 needs AppRoleAssignment",
			"entra/KeyCredential/ExchangeServerApp-1 needs ServicePrincipal"}, "", false},
		{"a partner application of another tenant", 0, func(s *fact.Set) {
			fact.PartnerApplications.Seed(s.Forests[0], []fact.PartnerApplication{{Name: "P", Enabled: true,
				ApplicationIdentifier: oauth.AppExchangeOnline, Realm: "another"}}, nil)
		}, trustEnds, nil, "", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			set := leavingSet(t)
			tt.edit(set)
			p := &Planner{Answers: set.Answers, Forest: set.Forests[tt.forest], set: set, topic: hybridExit}
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
				var after []string
				for _, n := range r.needs {
					for _, other := range p.out {
						if n.place == other.Target && n.kind == other.Kind && !strings.Contains(strings.Join(after, " "),
							n.kind.Noun) {
							after = append(after, n.kind.Noun)
						}
					}
				}
				if len(after) > 0 {
					id += " needs " + strings.Join(after, " ")
				}
				open = append(open, id)
			}
			if diff := cmp.Diff(tt.open, open); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if got := strings.Join(said, "; "); (got == "") != (tt.waits == "") || !strings.Contains(got, tt.waits) {
				t.Errorf("waits: %s", got)
			}
		})
	}
}

// A plan holds one stage, and nothing of a stage that came to something unknown. The names of two
// forests leave one list together.
func TestExitPlansOneWholeStage(t *testing.T) {
	connector := func(s *fact.Set) {
		fact.Connectors.Seed(s.Forests[0], []fact.Holder{{Name: "H", Domains: []string{"contoso.mail.onmicrosoft.com"}}}, nil)
	}
	point := func(s *fact.Set) {
		fact.ServicePoints.Seed(s.Forests[0], []fact.ServicePoint{{Server: "EX1", URL: "https://a"}}, nil)
	}
	unread := func(s *fact.Set) {
		fact.AddressSpaces.Seed(s.Forests[0], nil, errors.New("no answer"))
		fact.ServicePoints.Seed(s.Forests[1], []fact.ServicePoint{{Server: "EX2", URL: "https://b"}}, nil)
	}
	names := func(s *fact.Set) {
		fact.TokenNames.Seed(s.Tenant, []string{"https://mail.contoso.com", "https://mail.fabrikam.example"}, nil)
	}
	for name, tt := range map[string]struct {
		edit func(*fact.Set)
		want []string
		left int
	}{
		"two stages are open": {edits(connector, point),
			[]string{"onprem/contoso/IntraOrganizationConnector/contoso:h"}, 0},
		"a stage is unread in part": {edits(connector, unread), []string{"onprem/fabrikam/ClientAccessService/ex2"}, 1},
		"names of two forests": {names, []string{"entra/ServicePrincipalName/" + oauth.AppExchangeOnline +
			" -https://mail.contoso.com,https://mail.fabrikam.example"}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			set := leavingSet(t)
			tt.edit(set)
			d, err := Derive(t.Context(), set)
			if err != nil || len(d.LeftOut) != tt.left {
				t.Fatalf("%v, left out %+v", err, d.LeftOut)
			}
			var got []string
			for _, r := range d.Resources {
				id := r.ID()
				for _, property := range sortedKeys(r.Without) {
					id += " -" + strings.Join(r.Without[property], ",")
				}
				got = append(got, id)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}
