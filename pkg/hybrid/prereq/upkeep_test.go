package prereq

import (
	"context"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"errors"
	"maps"
	"math/big"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hybridge-cli/hybridge/pkg/config/answers"
	"github.com/hybridge-cli/hybridge/pkg/engine/check"
	"github.com/hybridge-cli/hybridge/pkg/estate/certificate"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/desired"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/fact"
	"github.com/hybridge-cli/hybridge/pkg/wire/ews"
	"github.com/hybridge-cli/hybridge/pkg/wire/link"
)

// kept seeds what the checks of upkeep read, without a fault.
func kept(f *fact.Set) {
	settings := fact.TransportSettings{MaxSend: 35 << 20, MaxReceive: 36 << 20}
	fact.OnlineTransport.Seed(f.Tenant, settings, nil)
	fact.OnlineRemoteDomains.Seed(f.Tenant, []fact.RemoteDomain{{Name: "Default", Domain: "*"}}, nil)
	fact.OutboundConnectors.Seed(f.Tenant, nil, nil)
	fact.RevocationLists.SeedAll(f.Network, func(string) (*x509.RevocationList, error) {
		return &x509.RevocationList{}, nil
	})
	on := true
	for _, forest := range f.Forests {
		host := "ex1." + forest.Answers.Domains[0]
		fact.CertificateStores.Seed(forest, fact.Stores{"EX1": nil}, nil)
		fact.Components.Seed(forest, []fact.Component{{Server: "EX1", Name: "HubTransport", State: "Active"},
			{Server: "EX1", Name: "ForwardSyncDaemon", State: "Inactive"}}, nil)
		fact.Databases.Seed(forest, []fact.Database{{Name: "DB1", Server: "EX1", Mounted: &on}, {Name: "DB2"}}, nil)
		fact.ThrottlingPolicies.Seed(forest, []fact.Throttling{{Name: "Global", Scope: "Global", EWS: "27"},
			{Name: "Few", Scope: "Regular", EWS: "5"}, {Name: "All", Scope: "Organization", EWS: "Unlimited"}}, nil)
		fact.AddressPolicies.Seed(forest, []fact.AddressPolicy{{Name: "Default Policy"}}, nil)
		fact.ClientDirectories.Seed(forest, []fact.ClientDirectory{
			{Noun: fact.OWADirectory, Identity: `EX1\owa (Default Web Site)`, ExternalURL: "https://mail.example/owa"},
			{Noun: fact.ActiveSyncDirectory, Identity: `EX1\eas`,
				ExternalURL: "https://mail.example/Microsoft-Server-ActiveSync"},
			{Noun: fact.ActiveSyncDirectory, Identity: `EX2\eas`}}, nil)
		fact.PartnerApplications.Seed(forest, []fact.PartnerApplication{{Name: "Exchange Online",
			ApplicationIdentifier: "00000002-0000-0ff1-ce00-000000000000", Account: "example.com/Users/Account"}}, nil)
		fact.Trusts.Seed(forest, []fact.Trust{{Name: "Unused"}}, nil)
		fact.TransportServices.Seed(forest, []fact.TransportService{{Name: "EX1"}}, nil)
		fact.Transport.Seed(forest, settings, nil)
		fact.Queues.Seed(forest, []fact.Queue{{Server: "EX1", Identity: `EX1\3`, NextHop: "partner.example",
			Status: "Retry", LastError: "451"},
			{Server: "EX1", NextHop: "contoso.mail.onmicrosoft.com", Status: "Ready"}}, nil)
		fact.RemoteDomains.Seed(forest, []fact.RemoteDomain{{Name: "Default", Domain: "*", Off: []string{"NDREnabled"}},
			{Name: "Cloud", Domain: "contoso.mail.onmicrosoft.com"}}, nil)
		fact.Doors.Seed(forest, []fact.Door{door("EX1", host)}, nil)
		mail, _ := fact.MailServers.In(context.Background(), f.Network, "mail."+forest.Answers.Domains[0])
		fact.MailDoors.Seed(forest, []fact.MailDoor{{Server: "EX1", Host: host, Mail: mail}}, nil)
	}
}

// door is what an upright server answers.
func door(server, host string) fact.Door {
	front := ews.Front{URL: "https://" + host, Status: 401, Schemes: []string{"Negotiate"}}
	right := time.Second
	return fact.Door{Server: server, Host: host, EWS: front, Autodiscover: front, MRSProxy: front, Ahead: &right}
}

// Each fault turns its check in the forest contoso, and no other check.
func TestUpkeepDisorders(t *testing.T) {
	type disorder func(t *testing.T, f *fact.Set, ca *authority)
	const gone = "<I>CN=Old<S>CN=gone"
	servers := func(change func(s *fact.Server)) disorder {
		return func(t *testing.T, f *fact.Set, _ *authority) {
			alter(t, fact.Servers, f.Forests[0], func(s *[]fact.Server) { change(&(*s)[0]) })
		}
	}
	receive := func(change func(c *fact.ReceiveConnector)) disorder {
		return func(_ *testing.T, f *fact.Set, _ *authority) {
			c := frontend("EX1")
			change(&c)
			fact.ReceiveConnectors.Seed(f.Forests[0], []fact.ReceiveConnector{c}, nil)
		}
	}
	cloud := func(change func(c *fact.SendConnector)) disorder {
		return func(t *testing.T, f *fact.Set, _ *authority) {
			alter(t, fact.SendConnectors, f.Forests[0], func(c *[]fact.SendConnector) {
				(*c)[1].Enabled = true
				change(&(*c)[1])
			})
		}
	}
	doors := func(change func(d *fact.Door)) disorder {
		return func(t *testing.T, f *fact.Set, _ *authority) {
			alter(t, fact.Doors, f.Forests[0], func(d *[]fact.Door) {
				*d = append(*d, door("EX2", "ex2.contoso.com"))
				change(&(*d)[1])
			})
		}
	}
	built := func(build string) disorder {
		return func(_ *testing.T, f *fact.Set, _ *authority) {
			b, err := fact.ParseBuild(build)
			fact.Installed.Seed(f.Forests[0], []fact.Install{{Server: "EX1", Build: b, Told: true}}, err)
		}
	}
	seed := func(do func(f *fact.Set)) disorder { return func(_ *testing.T, f *fact.Set, _ *authority) { do(f) } }
	both := func(all ...disorder) disorder {
		return func(t *testing.T, f *fact.Set, ca *authority) {
			for _, d := range all {
				d(t, f, ca)
			}
		}
	}
	override := func(o fact.SettingOverride) disorder {
		return func(t *testing.T, f *fact.Set, _ *authority) {
			alter(t, fact.SettingOverrides, f.Forests[0],
				func(have *[]fact.SettingOverride) { *have = append(*have, o) })
		}
	}
	graph := both(override(fact.SettingOverride{Name: "g", Section: desired.GraphSection,
		Parameters: []string{"Enabled=true"}}))
	store := func(server string, certificates ...*x509.Certificate) disorder {
		return func(t *testing.T, f *fact.Set, _ *authority) {
			alter(t, fact.CertificateStores, f.Forests[0], func(s *fact.Stores) {
				*s = maps.Clone(*s)
				(*s)[server] = certificates
			})
		}
	}
	twoBuilds := seed(func(f *fact.Set) {
		fact.Installed.Seed(f.Forests[0], []fact.Install{
			{Server: "EX1", Told: true, Build: fact.Build{Major: 15, Minor: 2, Build: 2562, Revision: 53}},
			{Server: "EX2", Told: true, Build: fact.Build{Major: 15, Minor: 2, Build: 2562, Revision: 41}}}, nil)
	})
	federation := func(left int) disorder {
		return func(t *testing.T, f *fact.Set, ca *authority) {
			ends := ca.issue(t, leaf{cn: "Federation", selfSigned: true, to: today.AddDate(0, 0, left)}).Leaf
			store("EX1", ends)(t, f, ca)
			fact.Trusts.Seed(f.Forests[0], []fact.Trust{{Name: "Gateway", Thumbprint: certificate.Thumbprint(ends)}},
				nil)
		}
	}
	mailUntil := func(b certificate.Bundle) disorder {
		return func(t *testing.T, f *fact.Set, _ *authority) {
			alter(t, fact.MailDoors, f.Forests[0],
				func(d *[]fact.MailDoor) { *d = append(*d, fact.MailDoor{Server: "EX2", Mail: served(b)}) })
		}
	}
	for name, test := range map[string]struct {
		disturb disorder
		want    []string
	}{
		"component off": {seed(func(f *fact.Set) {
			fact.Components.Seed(f.Forests[0], []fact.Component{{Server: "EX1", Name: "FrontendTransport",
				State: "Inactive"}}, nil)
		}), []string{"fail servers.components contoso"}},
		"database dismounted": {seed(func(f *fact.Set) {
			off := false
			fact.Databases.Seed(f.Forests[0], []fact.Database{{Name: "DB1", Server: "EX1", Mounted: &off}}, nil)
		}), []string{"fail servers.databases contoso"}},
		"one server without the proxy": {func(t *testing.T, f *fact.Set, _ *authority) {
			alter(t, fact.Servers, f.Forests[0], func(s *[]fact.Server) {
				*s = append(*s, (*s)[0])
				(*s)[1].Name, (*s)[1].Proxy = "EX2", "http://proxy:8080"
			})
		}, []string{"warn servers.proxy contoso"}},
		"all servers with the proxy": {servers(func(s *fact.Server) { s.Proxy = "http://proxy:8080/" }), nil},
		"one proxy, written in two ways": {func(t *testing.T, f *fact.Set, _ *authority) {
			alter(t, fact.Servers, f.Forests[0], func(s *[]fact.Server) {
				*s = append(*s, (*s)[0])
				(*s)[0].Proxy, (*s)[1].Proxy, (*s)[1].Name = "http://Proxy:8080/", "http://proxy:8080", "EX2"
			})
		}, nil},
		"proxy over https": {servers(func(s *fact.Server) { s.Proxy = "https://proxy" }),
			[]string{"fail servers.proxy-form contoso"}},
		"bound to a domain controller": {servers(func(s *fact.Server) { s.Pinned = []string{"dc1.contoso.com"} }),
			[]string{"warn servers.static-controllers contoso"}},
		"trial over": {servers(func(s *fact.Server) { s.TrialExpired = true }), []string{"warn servers.trial contoso"}},
		"no mitigations": {servers(func(s *fact.Server) { s.Unmitigated = true }),
			[]string{"warn servers.mitigations-off contoso"}},
		"mitigation left": {servers(func(s *fact.Server) { s.Mitigations = []string{"M1.1", "M2.1.0"} }),
			[]string{"warn servers.stale-mitigation contoso"}},
		"mitigation needed": {both(servers(func(s *fact.Server) { s.Mitigations = []string{"M2.1.0"} }),
			built("15.2.2562.41")), []string{"warn servers.mitigation-files contoso", "warn servers.updates contoso"}},
		"mitigation needed on the server that is behind": {both(func(t *testing.T, f *fact.Set, _ *authority) {
			alter(t, fact.Servers, f.Forests[0], func(s *[]fact.Server) {
				*s = append(*s, (*s)[0])
				(*s)[1].Name, (*s)[1].Mitigations = "EX2", []string{"M2.1.0"}
			})
		}, twoBuilds), []string{"warn servers.mitigation-files contoso", "warn servers.same-build contoso",
			"warn servers.updates contoso"}},
		"workaround needed on one server": {both(twoBuilds,
			override(fact.SettingOverride{Name: "DisableBlockSharedAndUserMailboxHeaders"})), []string{
			"warn servers.mitigation-files contoso", "warn servers.same-build contoso", "warn servers.updates contoso"}},
		"workaround left": {override(fact.SettingOverride{Name: "DisableBlockSharedAndUserMailboxHeaders"}),
			[]string{"warn servers.stale-override contoso"}},
		"workaround needed": {both(override(fact.SettingOverride{Name: "DisableBlockSharedAndUserMailboxHeaders"}),
			built("15.2.2562.46")), []string{"warn servers.updates contoso", "warn servers.wrapped-messages contoso"}},
		"override refused": {override(fact.SettingOverride{Name: "x", Section: "ExchangeOnpremAsThirdPartyAppId",
			Servers: []string{"EX9"}, Status: "InvalidOverride"}), []string{"fail servers.override-status contoso"}},
		"override of another server": {override(fact.SettingOverride{Name: "FlightingServiceOverride_EX9_F1.1",
			Section: "ExchangeOnpremAsThirdPartyAppId", Servers: []string{"EX9"}, Status: "ServerMismatch"}), nil},
		"build behind": {built("15.2.2562.49"), []string{"warn servers.updates contoso"}},
		"build untold": {seed(func(f *fact.Set) {
			fact.Installed.Seed(f.Forests[0], []fact.Install{{Server: "EX1", Build: fact.Build{Major: 15, Minor: 2,
				Build: 2562, Revision: 17}}}, nil)
		}), []string{"warn servers.updates contoso"}},
		"newer than the table": {built("15.2.3000.10"), nil},
		"different builds": {seed(func(f *fact.Set) {
			fact.Installed.Seed(f.Forests[0], []fact.Install{
				{Server: "EX1", Told: true, Build: fact.Build{Major: 15, Minor: 2, Build: 2562, Revision: 53}},
				{Server: "EX2", Told: true, Build: fact.Build{Major: 15, Minor: 2, Build: 2563, Revision: 1}}}, nil)
		}), []string{"warn servers.same-build contoso"}},
		"shifted times": {both(graph, built("15.2.2562.43")), []string{"fail servers.shifted-times contoso",
			"warn servers.delegate-lookups contoso", "warn servers.updates contoso",
			"warn servers.wrapped-messages contoso"}},
		"shifted times, with the Graph route off": {both(override(fact.SettingOverride{Name: "g",
			Section: desired.GraphSection, Parameters: []string{"Enabled=false"}}), built("15.2.2562.43")), []string{
			"warn servers.updates contoso", "warn servers.wrapped-messages contoso"}},
		"delegates": {both(graph, built("15.2.2562.49")), []string{"warn servers.delegate-lookups contoso",
			"warn servers.updates contoso"}},
		"no Windows authentication": {func(t *testing.T, f *fact.Set, _ *authority) {
			alter(t, fact.VirtualDirectories, f.Forests[0], func(d *[]fact.VirtualDirectory) {
				(*d)[0].Closed = []string{"WindowsIntegrated"}
			})
		}, []string{"fail servers.windows-authentication contoso"}},
		"no WS-Security": {func(t *testing.T, f *fact.Set, _ *authority) {
			alter(t, fact.VirtualDirectories, f.Forests[0], func(d *[]fact.VirtualDirectory) {
				(*d)[0].Closed = []string{"WSSecurity"}
			})
		}, []string{"warn servers.ws-security contoso"}},
		"Outlook on the web without address": {seed(func(f *fact.Set) {
			fact.ClientDirectories.Seed(f.Forests[0],
				[]fact.ClientDirectory{{Noun: fact.OWADirectory, Identity: `EX1\owa`}},
				nil)
		}), []string{"warn servers.owa-url contoso"}},
		"ActiveSync with another address": {seed(func(f *fact.Set) {
			fact.ClientDirectories.Seed(f.Forests[0], []fact.ClientDirectory{{Noun: fact.ActiveSyncDirectory,
				Identity: `EX1\eas`, ExternalURL: "https://mail.contoso.com/owa"}}, nil)
		}), []string{"warn servers.activesync-url contoso"}},
		"throttled": {seed(func(f *fact.Set) {
			fact.ThrottlingPolicies.Seed(f.Forests[0],
				[]fact.Throttling{{Name: "All", Scope: "Organization", EWS: "5"}}, nil)
		}), []string{"warn servers.throttling contoso"}},
		"legacy filter": {seed(func(f *fact.Set) {
			fact.AddressPolicies.Seed(f.Forests[0], []fact.AddressPolicy{{Name: "Old", Legacy: true}}, nil)
		}), []string{"fail servers.address-policy-filter contoso"}},
		"partner application without account": {func(t *testing.T, f *fact.Set, _ *authority) {
			alter(t, fact.PartnerApplications, f.Forests[0], func(p *[]fact.PartnerApplication) {
				*p = []fact.PartnerApplication{{Name: "Exchange Online",
					ApplicationIdentifier: (*p)[0].ApplicationIdentifier},
					{Name: "Other", ApplicationIdentifier: "other"}}
			})
		}, []string{"fail servers.partner-account contoso"}},

		"partner application of one realm without account": {func(t *testing.T, f *fact.Set, _ *authority) {
			alter(t, fact.PartnerApplications, f.Forests[0], func(p *[]fact.PartnerApplication) {
				*p = append(*p, fact.PartnerApplication{Name: "Old", Realm: "contoso.com",
					ApplicationIdentifier: (*p)[0].ApplicationIdentifier})
			})
		}, nil},

		"server gone": {doors(func(d *fact.Door) { d.Gone, d.Err = true, link.ErrUnreachable }),
			[]string{"fail servers.gone contoso"}},
		"no TLS 1.2": {doors(func(d *fact.Door) { d.Err = errors.New("no TLS 1.2 or better") }), []string{
			"error servers.autodiscover contoso", "error servers.clock contoso", "error servers.ews contoso",
			"fail servers.tls contoso"}},
		"server not reached": {doors(func(d *fact.Door) { d.Err = link.ErrUnreachable }), []string{
			"error servers.autodiscover contoso", "error servers.clock contoso", "error servers.ews contoso",
			"error servers.tls contoso"}},
		"EWS of one server": {doors(func(d *fact.Door) { d.EWS = ews.Front{Status: 503} }),
			[]string{"fail servers.ews contoso"}},
		"autodiscover of one server": {doors(func(d *fact.Door) { d.Autodiscover = ews.Front{Status: 404} }),
			[]string{"fail servers.autodiscover contoso"}},
		"MRSProxy of one server": {both(doors(func(d *fact.Door) { d.MRSProxy = ews.Front{Status: 503} }),
			func(t *testing.T, f *fact.Set, _ *authority) {
				alter(t, fact.VirtualDirectories, f.Forests[0], func(d *[]fact.VirtualDirectory) {
					*d = append(*d, fact.VirtualDirectory{Noun: fact.EWSDirectory, Identity: `EX2\EWS`, MRSProxy: true,
						OAuth: true, ExternalURL: "https://mail.contoso.com/EWS/Exchange.asmx"})
				})
				alter(t, fact.Servers, f.Forests[0], func(s *[]fact.Server) {
					*s = append(*s, (*s)[0])
					(*s)[1].Name = "EX2"
				})
				fact.MigrationEndpoints.Seed(f.Tenant, []fact.MigrationEndpoint{{Name: "e", Type: "ExchangeRemoteMove",
					RemoteServer: "mail.contoso.com"}}, nil)
			}), []string{"fail servers.mrs-proxy contoso"}},
		"MRSProxy closed": {doors(func(d *fact.Door) { d.MRSProxy = ews.Front{Status: 503} }), nil},
		"clock ahead": {doors(func(d *fact.Door) { late := 6 * time.Minute; d.Ahead = &late }),
			[]string{"fail servers.clock contoso"}},
		"clock behind": {doors(func(d *fact.Door) { early := -time.Hour; d.Ahead = &early }),
			[]string{"fail servers.clock contoso"}},
		"web certificates differ": {func(t *testing.T, f *fact.Set, ca *authority) {
			present := func(days int) map[string][]*x509.Certificate {
				return map[string][]*x509.Certificate{"mail.contoso.com": {ca.issue(t, leaf{cn: "mail.contoso.com",
					to: today.AddDate(0, 0, days)}).Leaf}}
			}
			doors(func(d *fact.Door) { d.Presented = present(300) })(t, f, ca)
			alter(t, fact.Doors, f.Forests[0], func(d *[]fact.Door) { (*d)[0].Presented = present(90) })
		}, []string{"fail certificates.web-each contoso"}},

		"another certificate for mail": {func(t *testing.T, f *fact.Set, ca *authority) {
			alter(t, fact.MailDoors, f.Forests[0], func(d *[]fact.MailDoor) {
				*d = append(*d, fact.MailDoor{Server: "EX2",
					Mail: served(ca.issue(t, leaf{cn: "EX2", selfSigned: true}))})
			})
		}, []string{"fail certificates.mail-each contoso"}},
		"certificate for mail not valid yet": {func(t *testing.T, f *fact.Set, ca *authority) {
			mailUntil(ca.issue(t, leaf{cn: "mail.contoso.com", from: today.AddDate(0, 0, 1)}))(t, f, ca)
		}, []string{"fail certificates.mail-each contoso"}},
		"certificates for mail ended alike": {func(t *testing.T, f *fact.Set, ca *authority) {
			fact.MailDoors.Seed(f.Forests[0], nil, nil)
			mailUntil(ca.issue(t, leaf{cn: "mail.contoso.com", to: today.AddDate(0, 0, -1)}))(t, f, ca)
		}, nil},
		"incomplete chain": {func(t *testing.T, f *fact.Set, ca *authority) {
			below := ca.below(t, "Intermediate")
			whole := below.issue(t, leaf{cn: "mail.contoso.com", names: []string{"mail.contoso.com",
				"autodiscover.contoso.com"}})
			whole.Chain = []*x509.Certificate{below.cert}
			cut := certificate.Bundle{Leaf: whole.Leaf}
			fact.CertificateFile.Seed(f.Forests[0], whole, nil)
			fact.MailServers.Seed(f.Network, "mail.contoso.com", served(whole), nil)
			fact.MailDoors.Seed(f.Forests[0], []fact.MailDoor{{Server: "EX1", Mail: served(whole)},
				{Server: "EX2", Mail: served(cut)}}, nil)
		}, []string{"fail certificates.mail-chain-each contoso"}},
		"send connector with an old certificate": {cloud(func(c *fact.SendConnector) {
			c.TLSCertificateName, c.SourceServers = gone, []string{"ex1.contoso.com", "EDGE1"}
		}), []string{"fail certificates.send-connector contoso"}},
		"disabled send connector with an old certificate": {cloud(func(c *fact.SendConnector) {
			c.TLSCertificateName, c.SourceServers, c.Enabled = gone, []string{"EX1"}, false
		}), nil},
		"disabled receive connector with an old certificate": {receive(func(c *fact.ReceiveConnector) {
			c.Enabled, c.TLSCertificateName = false, gone
		}), nil},
		"send connector of an Edge server": {cloud(func(c *fact.SendConnector) {
			c.TLSCertificateName, c.SourceServers = gone, []string{"EDGE1"}
		}), []string{"error transport.enforcement contoso"}}, // no subscription shows the server
		"receive connector with an old certificate": {receive(func(c *fact.ReceiveConnector) {
			c.TLSCertificateName = gone
		}), []string{"fail certificates.receive-connector contoso"}},
		"renewed on one server": {func(t *testing.T, f *fact.Set, ca *authority) {
			old := ca.issue(t, leaf{cn: "mail.contoso.com", to: today.AddDate(0, 0, 90)}).Leaf
			renewed := ca.issue(t, leaf{cn: "mail.contoso.com", to: today.AddDate(0, 0, 300)}).Leaf
			both(store("EX1", old), store("EX2", renewed), cloud(func(c *fact.SendConnector) {
				c.TLSCertificateName = certificate.IdentifierOf(old).String()
			}))(t, f, ca)
		}, []string{"warn certificates.renewed-everywhere contoso"}},
		"no certificate between servers": {seed(func(f *fact.Set) {
			fact.TransportServices.Seed(f.Forests[0], []fact.TransportService{{Name: "EX1", Certificate: "AB"},
				{Name: "EDGE1", Certificate: "CD"}}, nil)
		}), []string{"fail certificates.internal-mail contoso"}},
		"certificate of a server whose store is not read": {seed(func(f *fact.Set) {
			fact.TransportServices.Seed(f.Forests[0], []fact.TransportService{{Name: "EDGE1", Certificate: "CD"}}, nil)
		}), nil},
		"federation certificate ends in 30 days": {federation(30), []string{"warn certificates.federation contoso"}},
		"federation certificate ends in 29 days": {federation(29), []string{"fail certificates.federation contoso"}},
		"federation certificate ends in 60 days": {federation(60), nil},
		"federation certificate ended":           {federation(-1), []string{"fail certificates.federation contoso"}},
		"federation certificate ends in 45 days": {federation(45), []string{"warn certificates.federation contoso"}},
		"federation certificate gone": {seed(func(f *fact.Set) {
			fact.Trusts.Seed(f.Forests[0], []fact.Trust{{Name: "Gateway", Thumbprint: "AB"}}, nil)
		}), []string{"fail certificates.federation-everywhere contoso"}},
		"two inbound connectors": {seed(func(f *fact.Set) {
			fact.InboundConnectors.Seed(f.Tenant, []fact.InboundConnector{
				{Name: "a", Type: "OnPremises", Enabled: true, CertificateName: "mail.contoso.com"},
				{Name: "b", Type: "OnPremises", Enabled: true, CertificateName: "Mail.contoso.com"},
				{Name: "c", Type: "OnPremises", CertificateName: "mail.contoso.com"},
				{Name: "d", Type: "Partner", Enabled: true, CertificateName: "mail.contoso.com"}}, nil)
		}), []string{"fail certificates.inbound-distinct tenant"}},

		"two inbound connectors, one of them off": {seed(func(f *fact.Set) {
			fact.InboundConnectors.Seed(f.Tenant, []fact.InboundConnector{
				{Name: "a", Type: "OnPremises", Enabled: true, CertificateName: "mail.contoso.com"},
				{Name: "b", Type: "OnPremises", CertificateName: "mail.contoso.com"}}, nil)
		}), nil},

		"connector for Exchange Online alone": {func(t *testing.T, f *fact.Set, _ *authority) {
			alter(t, fact.ReceiveConnectors, f.Forests[0], func(c *[]fact.ReceiveConnector) {
				*c = append(*c, fact.ReceiveConnector{Identity: `EX1\Tenant`, Server: "EX1", Enabled: true,
					Bindings: []string{"0.0.0.0:25"}, RemoteIPRanges: []string{"40.107.3.0-40.107.4.255"},
					Capabilities: []string{"mail.protection.outlook.com:AcceptCloudServicesMail"}})
			})
		}, nil},
		"connector for Exchange Online's addresses": {func(t *testing.T, f *fact.Set, _ *authority) {
			alter(t, fact.ReceiveConnectors, f.Forests[0], func(c *[]fact.ReceiveConnector) {
				*c = append(*c, fact.ReceiveConnector{Identity: `EX1\Relay`, Server: "EX1", Enabled: true,
					Bindings:       []string{"0.0.0.0:25"},
					RemoteIPRanges: []string{"10.0.0.0/8", "40.107.3.0-40.107.4.255"}},
					fact.ReceiveConnector{Identity: `EX1\Printers`, Server: "EX1", Enabled: true,
						Bindings: []string{"0.0.0.0:25"}, RemoteIPRanges: []string{"10.0.0.0/8", "192.168.1.1"}})
			})
		}, []string{"fail transport.receive-overlap contoso"}},
		"no anonymous senders": {receive(func(c *fact.ReceiveConnector) { c.Permissions = []string{"ExchangeServers"} }),
			[]string{"fail transport.receive-anonymous contoso"}},
		"no TLS": {receive(func(c *fact.ReceiveConnector) { c.Mechanisms = []string{"Integrated"} }),
			[]string{"fail transport.receive-tls contoso"}},
		"few connections": {receive(func(c *fact.ReceiveConnector) { c.PerSource, c.Rate = "5", "Unlimited" }),
			[]string{"warn transport.receive-limits contoso"}},
		"connections of the default": {receive(func(c *fact.ReceiveConnector) {
			c.PerSource, c.Rate = "20", "Unlimited"
		}), nil},
		"limited rate": {receive(func(c *fact.ReceiveConnector) { c.PerSource, c.Rate = "20", "30" }),
			[]string{"warn transport.receive-limits contoso"}},
		"short headers": {receive(func(c *fact.ReceiveConnector) { c.MaxHeader = 32 << 10 }),
			[]string{"warn transport.header-size contoso"}},
		"every sender is trusted": {receive(func(c *fact.ReceiveConnector) {
			c.Mechanisms = []string{"Tls", "ExternalAuthoritative"}
		}), []string{"fail transport.external-authoritative contoso"}},
		"headers from others": {receive(func(c *fact.ReceiveConnector) {
			c.Capabilities = []string{"mail.protection.outlook.com:AcceptCloudServicesMail",
				"gateway.example:AcceptCloudServicesMail"}
		}), []string{"warn transport.foreign-capabilities contoso"}},
		"other limits in the tenant": {seed(func(f *fact.Set) {
			fact.OnlineTransport.Seed(f.Tenant, fact.TransportSettings{MaxSend: 100 << 20, MaxReceive: -1}, nil)
		}), []string{"warn transport.size-limits contoso", "warn transport.size-limits fabrikam"}},
		"limits per mailbox in the tenant": {seed(func(f *fact.Set) {
			fact.OnlineTransport.Seed(f.Tenant, fact.TransportSettings{MaxSend: 35 << 20, MaxReceive: -1}, nil)
		}), nil},
		"small send connector": {cloud(func(c *fact.SendConnector) { c.MaxMessage = 10 << 20 }),
			[]string{"warn transport.connector-size contoso"}},
		"small receive connector": {receive(func(c *fact.ReceiveConnector) { c.MaxMessage = 10 << 20 }),
			[]string{"warn transport.connector-size contoso"}},
		"no automatic replies": {seed(func(f *fact.Set) {
			fact.RemoteDomains.Seed(f.Forests[0], []fact.RemoteDomain{{Name: "Cloud", OutOfOffice: "None",
				Domain: "contoso.mail.onmicrosoft.com"}}, nil)
		}), []string{"warn transport.remote-domain-replies contoso"}},
		"no reports from the tenant": {seed(func(f *fact.Set) {
			fact.OnlineRemoteDomains.Seed(f.Tenant, []fact.RemoteDomain{{Name: "Contoso", Domain: "contoso.com",
				Off: []string{"NDREnabled"}}}, nil)
		}), []string{"warn transport.remote-domain-reports contoso"}},
		"two ways to the internet": {func(t *testing.T, f *fact.Set, _ *authority) {
			alter(t, fact.SendConnectors, f.Forests[0], func(c *[]fact.SendConnector) {
				(*c)[0].Enabled = true
				*c = append(*c, fact.SendConnector{Name: "Relay", Enabled: true, AddressSpaces: []string{"*"},
					SmartHosts: []string{"relay.example"}})
			})
		}, []string{"warn transport.send-cost contoso"}},
		"a way of one site": {func(t *testing.T, f *fact.Set, _ *authority) {
			alter(t, fact.SendConnectors, f.Forests[0], func(c *[]fact.SendConnector) {
				(*c)[0].Enabled = true
				*c = append(*c, fact.SendConnector{Name: "Relay", Enabled: true, Scoped: true, AddressSpaces: []string{"*"},
					SmartHosts: []string{"relay.example"}})
			})
		}, nil},
		"a reserve": {func(t *testing.T, f *fact.Set, _ *authority) {
			alter(t, fact.SendConnectors, f.Forests[0], func(c *[]fact.SendConnector) {
				(*c)[0].Enabled = true
				*c = append(*c, fact.SendConnector{Name: "Relay", Enabled: true, AddressSpaces: []string{"smtp:*;10"},
					SmartHosts: []string{"relay.example"}})
			})
		}, nil},
		"scoped connector": {cloud(func(c *fact.SendConnector) { c.Scoped = true }),
			[]string{"warn transport.send-scoped contoso"}},
		"domain security": {seed(func(f *fact.Set) {
			fact.Transport.Seed(f.Forests[0], fact.TransportSettings{DomainSecure: []string{"partner.example",
				"Contoso.mail.onmicrosoft.com"}}, nil)
		}), []string{"fail transport.domain-secure contoso"}},
		"different DNS": {seed(func(f *fact.Set) {
			fact.TransportServices.Seed(f.Forests[0],
				[]fact.TransportService{{Name: "EX1", DNSServers: []string{"10.0.0.1"}},
					{Name: "EX2"}}, nil)
		}), []string{"warn transport.dns-servers contoso"}},
		"one DNS, in another sequence": {seed(func(f *fact.Set) {
			fact.TransportServices.Seed(f.Forests[0], []fact.TransportService{
				{Name: "EX1", DNSServers: []string{"10.0.0.1", "10.0.0.2"}},
				{Name: "EX2", DNSServers: []string{"10.0.0.2", "10.0.0.1"}}}, nil)
		}), nil},
		"mail waits": {seed(func(f *fact.Set) {
			fact.Queues.Seed(f.Forests[0], []fact.Queue{{Identity: `EX1\5`, NextHop: "contoso.mail.onmicrosoft.com",
				Status: "Retry", LastError: "454 4.7.5"}}, nil)
		}), []string{"warn transport.queues contoso"}},
		"two outbound connectors": {seed(func(f *fact.Set) {
			fact.OutboundConnectors.Seed(f.Tenant, []fact.OutboundConnector{
				{Name: "a", Enabled: true, RecipientDomains: []string{"contoso.com", "*"}},
				{Name: "b", Enabled: true, RecipientDomains: []string{"Contoso.com"}},
				{Name: "c", Enabled: true, ByRule: true, RecipientDomains: []string{"contoso.com", "*"}}}, nil)
		}), []string{"fail transport.outbound-overlap tenant"}},
		"two central forests": {seed(func(f *fact.Set) {
			fact.OutboundConnectors.Seed(f.Tenant,
				[]fact.OutboundConnector{{Name: "a", Enabled: true, Centralized: true},
					{Name: "b", Enabled: true, Centralized: true}, {Name: "c", Centralized: true}}, nil)
		}), []string{"warn transport.centralized-once tenant"}},
		"postmaster of Microsoft": {seed(func(f *fact.Set) {
			fact.OnlineTransport.Seed(f.Tenant,
				fact.TransportSettings{Postmaster: "postmaster@contoso.onmicrosoft.com"}, nil)
		}), []string{"warn transport.postmaster tenant"}},
	} {
		t.Run(name, func(t *testing.T) {
			f, ca := healthy(t)
			test.disturb(t, f, ca)
			got, report := outcome(t, f)
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Error(diff)
			}
			for _, r := range report.Results {
				if r.Status == check.StatusFail && r.Remedy.Considerations.IsZero() {
					t.Errorf("%s: what may break when it is fixed?", r.ID)
				}
			}
		})
	}
}

// What stands before the host of a proxy may be a password: no report shows it, in whatever form it is written.
func TestPasswordOfAProxy(t *testing.T) {
	for _, proxy := range []string{"http://svc:hunter2@proxy:8080", "svc:hunter2@proxy:8080",
		"http://svc:hunter2%@proxy:8080", "http://svc:x@hunter2@proxy:8080"} {
		f, _ := healthy(t)
		alter(t, fact.Servers, f.Forests[0], func(s *[]fact.Server) {
			*s = append(*s, (*s)[0])
			(*s)[1].Name, (*s)[1].Proxy = "EX2", proxy
		})
		got, report := outcome(t, f)
		if want := []string{"fail servers.proxy-form contoso", "warn servers.proxy contoso"}; !slices.Equal(got, want) {
			t.Errorf("%s: %v", proxy, got)
		}
		text, err := json.Marshal(report)
		if err != nil || strings.Contains(string(text), "hunter2") || !strings.Contains(string(text), "@proxy:8080") {
			t.Errorf("%s: %v: %s", proxy, err, text)
		}
	}
}

// A certificate on the list of its authority fails. A list that cannot be read is unknown, and so is
// one that somebody else signed, or that is out of date: it comes by plain http.
func TestRevocation(t *testing.T) {
	for name, test := range map[string]struct {
		revoked  int64
		stranger bool // signs the list
		held     time.Time
		err      error
		want     []string
	}{
		"not revoked":         {revoked: 77},
		"revoked":             {revoked: 2, want: []string{"fail certificates.revocation contoso"}},
		"not read":            {err: link.ErrUnreachable, want: []string{"error certificates.revocation contoso"}},
		"forged: not revoked": {revoked: 77, stranger: true, want: []string{"error certificates.revocation contoso"}},
		"forged: revoked":     {revoked: 2, stranger: true, want: []string{"error certificates.revocation contoso"}},
		"from before":         {revoked: 77, held: today.AddDate(0, 0, -1), want: []string{"error certificates.revocation contoso"}},
	} {
		t.Run(name, func(t *testing.T) {
			f, ca := healthy(t)
			key, signer := newKey(t), ca
			listed := sign(t, &x509.Certificate{SerialNumber: big.NewInt(2), NotBefore: today.AddDate(0, 0, -100),
				NotAfter: today.AddDate(0, 0, 100), DNSNames: []string{"mail.contoso.com", "autodiscover.contoso.com"},
				Subject:               ca.issue(t, leaf{cn: "mail.contoso.com"}).Leaf.Subject,
				CRLDistributionPoints: []string{"ldap:///x", "http://crl.example/1.crl"}}, ca.cert, key, ca.key)
			b := certificate.Bundle{Leaf: listed}
			fact.CertificateFile.Seed(f.Forests[0], b, nil)
			fact.MailServers.Seed(f.Network, "mail.contoso.com", served(b), nil)
			fact.MailDoors.Seed(f.Forests[0], []fact.MailDoor{{Server: "EX1", Mail: served(b)}}, nil)
			if test.stranger {
				signer = newAuthority(t) // of the same name
			}
			held := today.AddDate(0, 0, 7)
			if !test.held.IsZero() {
				held = test.held
			}
			by := *signer.cert
			by.KeyUsage, by.SubjectKeyId = x509.KeyUsageCRLSign, []byte{1}
			der, err := x509.CreateRevocationList(rand.Reader, &x509.RevocationList{Number: big.NewInt(1),
				ThisUpdate: today.AddDate(0, 0, -7), NextUpdate: held,
				RevokedCertificateEntries: []x509.RevocationListEntry{{SerialNumber: big.NewInt(test.revoked),
					RevocationTime: today.AddDate(0, 0, -7)}}}, &by, signer.key)
			if err != nil {
				t.Fatal(err)
			}
			fact.RevocationLists.SeedAll(f.Network, func(string) (*x509.RevocationList, error) {
				if test.err != nil {
					return nil, test.err
				}
				return x509.ParseRevocationList(der)
			})
			got, _ := outcome(t, f)
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// Without the feature that needs it, a check of upkeep is not applicable.
func TestUpkeepThatIsNotWanted(t *testing.T) {
	f, _ := healthy(t)
	f.Answers.Features = []answers.Feature{answers.FreeBusy}
	_, report := outcome(t, f)
	for _, r := range report.Results {
		if (r.ID == "servers.owa-url" || r.ID == "servers.mrs-proxy") && r.Status != check.StatusSkip {
			t.Errorf("%s: %s", r.ID, r.Status)
		}
	}
}

// Every check of upkeep says what may break and where it comes from.
func TestUpkeepIsDeclared(t *testing.T) {
	count := 0
	for _, c := range Checks() {
		if !c.Upkeep {
			continue
		}
		count++
		if c.Consider == "" || c.Source == "" {
			t.Errorf("%s: considerations %q, source %q", c.ID, c.Consider, c.Source)
		}
		if wrong := wrongCommands(c.Consider, ""); len(wrong) > 0 {
			t.Errorf("%s: %s", c.ID, strings.Join(wrong, ", "))
		}
	}
	if count < 45 {
		t.Errorf("%d checks of upkeep", count)
	}
}
