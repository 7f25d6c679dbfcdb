package prereq

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/hybridge-cli/hybridge/pkg/config/answers"
	"github.com/hybridge-cli/hybridge/pkg/config/cloud"
	"github.com/hybridge-cli/hybridge/pkg/engine/check"
	"github.com/hybridge-cli/hybridge/pkg/engine/msg"
	"github.com/hybridge-cli/hybridge/pkg/estate/directory"
	"github.com/hybridge-cli/hybridge/pkg/estate/entra"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/fact"
	"github.com/hybridge-cli/hybridge/pkg/wire/dns"
	"github.com/hybridge-cli/hybridge/pkg/wire/ews"
	"github.com/hybridge-cli/hybridge/pkg/wire/link"
	"github.com/hybridge-cli/hybridge/pkg/wire/smtp"
)

// seedNames gives a healthy deployment its names in DNS, and what the directory holds of
// autodiscover.
func seedNames(t *testing.T, f *fact.Set, ca *authority) {
	t.Helper()
	n := f.Network
	fact.TXT.SeedAll(n, func(name string) ([]string, error) {
		if strings.Contains(name, "._domainkey.") {
			return []string{"v=DKIM1; k=rsa; p=MIIB"}, nil
		}
		return []string{"v=spf1 -all"}, nil
	})
	fact.MX.SeedAll(n, func(domain string) ([]string, error) {
		if strings.HasSuffix(domain, ".mail.onmicrosoft.com") {
			return []string{strings.ReplaceAll(domain, ".", "-") + ".mail.protection.outlook.com"}, nil
		}
		return []string{"mail." + domain}, nil
	})
	fact.Hosts.SeedAll(n, func(name string) (fact.Host, error) {
		switch {
		case strings.HasPrefix(name, "hybridge-looks"), strings.Count(name, ".") == 1:
			return fact.Host{}, dns.ErrAbsent
		case strings.HasPrefix(name, "autodiscover.") && strings.HasSuffix(name, ".mail.onmicrosoft.com"):
			return fact.Host{Aliases: []string{"autodiscover.outlook.com"}, Addresses: public}, nil
		}
		return fact.Host{Addresses: public}, nil
	})
	fact.Services.SeedAll(n, func(string) ([]dns.Record, error) { return nil, dns.ErrAbsent })
	fact.SenderPolicies.SeedAll(n, func(domain string) (fact.SenderPolicy, error) { return sound(), nil })
	fact.MessagePolicies.SeedAll(n, func(domain string) (fact.MessagePolicy, error) {
		return fact.MessagePolicy{At: domain, Records: []string{"v=DMARC1; p=none"}, Action: "none"}, nil
	})
	fact.DomainTenants.SeedAll(n, func(domain string) (fact.Residence, error) {
		if strings.HasSuffix(domain, ".onmicrosoft.com") {
			return fact.Residence{ID: "11111111-2222-3333-4444-555555555555", Cloud: "microsoftonline.com"}, nil
		}
		return fact.Residence{}, fact.ErrNoTenant
	})
	fact.Subscriptions.Seed(f.Tenant, []fact.Subscription{{Name: "E3", Status: "Enabled", Bought: 100, Used: 10,
		Mailboxes: true}}, nil)
	fact.HybridOrganizations.Seed(f.Tenant, nil, nil)
	f.Answers.Tests.Pairs = []answers.Pair{{From: "anna@contoso.com", To: "bert@fabrikam.com"}}
	fact.OnlineMailboxAccesses.SeedAll(f.Tenant, func(address string) (fact.MailboxAccess, error) {
		return fact.MailboxAccess{Exists: address == "bert@fabrikam.com"}, nil
	})
	for _, forest := range f.Forests {
		fact.MailboxAccesses.SeedAll(forest, func(string) (fact.MailboxAccess, error) {
			return fact.MailboxAccess{Exists: true}, nil
		})
	}
	fact.Redirects.SeedAll(n, func(string) (string, error) { return "", nil })
	fact.MailExchangers.SeedAll(f.Tenant, func(domain string) ([]string, error) {
		return []string{strings.ReplaceAll(domain, ".", "-") + ".mail.protection.outlook.com"}, nil
	})
	fact.OutboundConnectors.Seed(f.Tenant, nil, nil)
	asks := func(string) (ews.Front, error) {
		return ews.Front{Status: 401, Exchange: true, Schemes: []string{"Negotiate", "NTLM"}}, nil
	}
	fact.AutodiscoverServices.SeedAll(n, asks)
	fact.EWSPosts.SeedAll(n, asks)
	fact.LongTokens.SeedAll(n, asks)
	fact.MoveProxies.SeedAll(n, asks)
	online := served(ca.issue(t, leaf{cn: "mail.protection.outlook.com",
		names: []string{"*.mail.protection.outlook.com"}}))
	fact.MailServers.SeedAll(n, func(host string) (fact.MailServer, error) {
		if strings.HasSuffix(host, ".mail.protection.outlook.com") {
			return online, nil
		}
		return fact.MailServer{Err: &smtp.StepError{Step: smtp.Connect, Err: errors.New("filtered")}}, nil
	})
	for _, forest := range f.Forests {
		fact.DirectorySetup.Seed(forest, directory.Setup{SchemaVersion: 17003, HybridContainer: true}, nil)
		fact.DirectoryExchange.Seed(forest, &directory.Exchange{
			Organization: directory.Organization{ObjectVersion: 16763},
			Servers: []directory.Server{{Object: directory.Object{Name: "EX1"},
				Version: directory.Version{Major: 15, Minor: 2, Build: 2562, Revision: 17}}},
			ServicePoints: []directory.ServiceConnectionPoint{{Object: directory.Object{Name: "EX1"},
				URL: "https://autodiscover." + forest.Answers.Domains[0] + "/Autodiscover/Autodiscover.xml"}},
		}, nil)
	}
}

var public = []netip.Addr{netip.MustParseAddr("203.0.113.7")}

// sound is an SPF record without faults.
func sound() fact.SenderPolicy {
	return fact.SenderPolicy{Records: []string{"v=spf1 mx include:spf.protection.outlook.com -all"},
		Includes: []string{"spf.protection.outlook.com"}, Senders: []string{"mx"}, All: "-all", Lookups: 2}
}

// disorder disturbs a healthy deployment, and names the checks that turn.
type disorder struct {
	name    string
	disturb func(t *testing.T, f *fact.Set)
	want    []string
}

// turn runs disorders: each turns the checks that it names, and no other.
func turn(t *testing.T, disorders []disorder) {
	t.Helper()
	for _, tt := range disorders {
		t.Run(tt.name, func(t *testing.T) {
			f, _ := healthy(t)
			tt.disturb(t, f)
			got, report := outcome(t, f)
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("findings (-want +got):\n%s", diff)
				for _, r := range report.Results {
					if r.Status != "pass" {
						t.Logf("%s %s %s: %s", r.Status, r.ID, r.Scope, r.Summary)
					}
				}
			}
		})
	}
}

func TestNameDisorders(t *testing.T) {
	mx := func(hosts ...string) func(*testing.T, *fact.Set) {
		return func(_ *testing.T, f *fact.Set) { fact.MX.Seed(f.Network, "contoso.com", hosts, nil) }
	}
	host := func(name string, h fact.Host, err error) func(*testing.T, *fact.Set) {
		return func(_ *testing.T, f *fact.Set) { fact.Hosts.Seed(f.Network, name, h, err) }
	}
	spf := func(change func(*fact.SenderPolicy)) func(*testing.T, *fact.Set) {
		return func(_ *testing.T, f *fact.Set) {
			p := sound()
			change(&p)
			fact.SenderPolicies.Seed(f.Network, "contoso.com", p, nil)
		}
	}
	dmarc := func(p fact.MessagePolicy) func(*testing.T, *fact.Set) {
		return func(_ *testing.T, f *fact.Set) { fact.MessagePolicies.Seed(f.Network, "contoso.com", p, nil) }
	}
	unsigned := func(f *fact.Set) {
		for _, selector := range []string{"selector1", "selector2"} {
			fact.TXT.Seed(f.Network, selector+"._domainkey.contoso.com", nil, dns.ErrAbsent)
		}
	}
	// second gives contoso a second domain.
	second := func(disturb func(f *fact.Set)) func(*testing.T, *fact.Set) {
		return func(t *testing.T, f *fact.Set) {
			f.Forests[0].Answers.Domains = append(f.Forests[0].Answers.Domains, "contoso.net")
			add := func(list *[]fact.AcceptedDomain) {
				*list = append(*list, fact.AcceptedDomain{Name: "contoso.net", Type: "Authoritative"})
			}
			alter(t, fact.AcceptedDomains, f.Forests[0], add)
			alter(t, fact.OnlineAcceptedDomains, f.Tenant, add)
			verify(t, f, "contoso.net")
			disturb(f)
		}
	}
	point := func(p directory.ServiceConnectionPoint) func(*testing.T, *fact.Set) {
		return func(t *testing.T, f *fact.Set) {
			fact.DirectoryExchange.Seed(f.Forests[0], &directory.Exchange{
				Servers:       []directory.Server{{Object: directory.Object{Name: "EX1"}}},
				ServicePoints: []directory.ServiceConnectionPoint{p},
			}, nil)
		}
	}
	service := func(r dns.Record) func(*testing.T, *fact.Set) {
		return func(_ *testing.T, f *fact.Set) {
			fact.Services.Seed(f.Network, "_autodiscover._tcp.contoso.com", []dns.Record{r}, nil)
		}
	}
	root := func(front ews.Front, err error) func(*testing.T, *fact.Set) {
		return func(_ *testing.T, f *fact.Set) {
			fact.Hosts.Seed(f.Network, "contoso.com", fact.Host{Addresses: public}, nil)
			fact.AutodiscoverHosts.Seed(f.Network, "contoso.com", front, err)
		}
	}
	turn(t, []disorder{
		{"no MX record", func(_ *testing.T, f *fact.Set) {
			fact.MX.Seed(f.Network, "contoso.com", nil, dns.ErrEmpty)
		}, []string{"fail dns.mx contoso"}},
		{"null MX", mx(""), []string{"fail dns.mx contoso"}},
		{"MX without an address", func(_ *testing.T, f *fact.Set) {
			fact.Hosts.Seed(f.Network, "mail.fabrikam.com", fact.Host{}, dns.ErrAbsent)
		}, []string{"fail dns.mx fabrikam"}},
		{"MX not told", func(_ *testing.T, f *fact.Set) {
			fact.MX.Seed(f.Network, "contoso.com", nil, dns.ErrFailed)
		}, []string{"error dns.mx contoso", "error dns.mx-one-way contoso", "error dns.mx-tenant contoso",
			"error tenant.front-door tenant"}},
		{"MX to an alias", host("mail.contoso.com", fact.Host{Aliases: []string{"lb.contoso.com"}, Addresses: public},
			nil),
			[]string{"warn dns.mx-host contoso"}},
		{"MX to an address", mx("203.0.113.7"), []string{"warn dns.mx-host contoso"}},
		{"MX to both sides", mx("mail.contoso.com", "contoso-com.mail.protection.outlook.com"),
			[]string{"warn dns.mx-one-way contoso"}},
		{"MX to Exchange Online", mx("contoso-com.mail.protection.outlook.com"), nil},
		{"MX to Exchange Online, and the tenant names no host", func(t *testing.T, f *fact.Set) {
			mx("contoso-com.mail.protection.outlook.com")(t, f)
			fact.MailExchangers.SeedAll(f.Tenant, func(string) ([]string, error) { return nil, nil })
		}, nil},
		{"MX to another tenant", mx("other-com.mail.protection.outlook.com"), []string{"fail dns.mx-tenant contoso"}},
		{"MX of the coexistence domain gone", func(_ *testing.T, f *fact.Set) {
			fact.MX.Seed(f.Network, "contoso.mail.onmicrosoft.com", nil, dns.ErrAbsent)
		}, []string{"fail dns.coexistence-mx tenant"}},
		{"MX of the coexistence domain elsewhere", func(_ *testing.T, f *fact.Set) {
			fact.MX.Seed(f.Network, "contoso.mail.onmicrosoft.com", []string{"relay.contoso.com"}, nil)
		}, []string{"fail dns.coexistence-mx tenant"}},
		{"autodiscover of the coexistence domain gone",
			host("autodiscover.contoso.mail.onmicrosoft.com", fact.Host{}, dns.ErrAbsent),
			[]string{"fail dns.coexistence-autodiscover tenant"}},
		{"autodiscover of the coexistence domain elsewhere",
			host("autodiscover.contoso.mail.onmicrosoft.com", fact.Host{Aliases: []string{"mail.contoso.com"}},
				dns.ErrAbsent),
			[]string{"fail dns.coexistence-autodiscover tenant"}},
		{"autodiscover of the coexistence domain without an address yet",
			host("autodiscover.contoso.mail.onmicrosoft.com", fact.Host{Aliases: []string{"autodiscover.outlook.com"}},
				dns.ErrEmpty), nil},
		{"smart host that is an address", func(_ *testing.T, f *fact.Set) {
			fact.OutboundConnectors.Seed(f.Tenant, []fact.OutboundConnector{{Name: "To", Type: "OnPremises",
				Enabled: true, SmartHosts: []string{"[203.0.113.7]"}}}, nil)
			fact.Hosts.Seed(f.Network, "[203.0.113.7]", fact.Host{}, dns.ErrAbsent)
		}, nil},
		{"smart host unknown", func(_ *testing.T, f *fact.Set) {
			fact.OutboundConnectors.Seed(f.Tenant,
				[]fact.OutboundConnector{{Name: "To", Type: "OnPremises", Enabled: true,
					SmartHosts: []string{"old.contoso.com", "[203.0.113.7]"}}}, nil)
			fact.Hosts.Seed(f.Network, "old.contoso.com", fact.Host{}, dns.ErrAbsent)
		}, []string{"fail dns.smart-host tenant"}},
		{"smart host of a connector that is off", func(_ *testing.T, f *fact.Set) {
			fact.OutboundConnectors.Seed(f.Tenant, []fact.OutboundConnector{{Name: "To", Type: "OnPremises",
				SmartHosts: []string{"old.contoso.com"}}}, nil)
			fact.Hosts.Seed(f.Network, "old.contoso.com", fact.Host{}, dns.ErrAbsent)
		}, nil},

		{"no SPF", spf(func(p *fact.SenderPolicy) { *p = fact.SenderPolicy{} }), []string{"warn dns.spf contoso"}},
		{"two SPF", spf(func(p *fact.SenderPolicy) { p.Records = append(p.Records, "v=spf1 -all") }),
			[]string{"warn dns.spf contoso"}},
		{"SPF wrong", spf(func(p *fact.SenderPolicy) { p.Wrong = []string{"ip4:x is no address"} }),
			[]string{"warn dns.spf-valid contoso"}},
		{"SPF too long", spf(func(p *fact.SenderPolicy) { p.Lookups = 11 }), []string{"warn dns.spf-valid contoso"}},
		{"SPF of ten terms", spf(func(p *fact.SenderPolicy) { p.Lookups = 10 }), nil},
		{"SPF without Exchange Online", spf(func(p *fact.SenderPolicy) { p.Includes = nil }),
			[]string{"warn dns.spf-online contoso"}},
		{"SPF without Exchange Online, mail through the forest", func(t *testing.T, f *fact.Set) {
			f.Answers.Features = append(answers.DefaultFeatures(), answers.CentralizedTransport)
			spf(func(p *fact.SenderPolicy) { p.Includes = nil })(t, f)
		}, nil},
		{"SPF for everyone", spf(func(p *fact.SenderPolicy) { p.All = "+all" }), []string{"warn dns.spf-end contoso"}},
		{"SPF without an end", spf(func(p *fact.SenderPolicy) { p.All = "" }), []string{"warn dns.spf-end contoso"}},
		{"SPF with a soft end", spf(func(p *fact.SenderPolicy) { p.All = "~all" }), nil},
		{"no DMARC", dmarc(fact.MessagePolicy{At: "contoso.com"}), []string{"warn dns.dmarc contoso"}},
		{"two DMARC", dmarc(fact.MessagePolicy{At: "contoso.com", Records: []string{"a", "b"}}),
			[]string{"warn dns.dmarc contoso"}},
		{"DMARC without a policy", dmarc(fact.MessagePolicy{At: "contoso.com", Records: []string{"a"}}),
			[]string{"warn dns.dmarc contoso"}},
		{"no DKIM", func(_ *testing.T, f *fact.Set) { unsigned(f) }, []string{"warn dns.dkim contoso"}},
		{"one DKIM key", func(_ *testing.T, f *fact.Set) {
			fact.TXT.Seed(f.Network, "selector1._domainkey.contoso.com", nil, dns.ErrAbsent)
		}, nil},
		{"DMARC refuses, and nothing proves the cloud", func(t *testing.T, f *fact.Set) {
			dmarc(fact.MessagePolicy{At: "contoso.com", Records: []string{"a"}, Action: "reject"})(t, f)
			spf(func(p *fact.SenderPolicy) { p.Includes = nil })(t, f)
			unsigned(f)
		}, []string{"fail dns.dmarc-senders contoso", "warn dns.dkim contoso", "warn dns.spf-online contoso"}},
		{"DMARC refuses, and SPF depends on the message", func(t *testing.T, f *fact.Set) {
			dmarc(fact.MessagePolicy{At: "contoso.com", Records: []string{"a"}, Action: "reject"})(t, f)
			spf(func(p *fact.SenderPolicy) { p.Includes, p.Macros = nil, true })(t, f)
			unsigned(f)
		}, []string{"error dns.dmarc-senders contoso", "error dns.spf-online contoso", "warn dns.dkim contoso"}},
		{"DMARC watches, and nothing proves the cloud", func(t *testing.T, f *fact.Set) {
			dmarc(fact.MessagePolicy{At: "contoso.com", Records: []string{"a"}, Action: "none"})(t, f)
			spf(func(p *fact.SenderPolicy) { p.Includes = nil })(t, f)
			unsigned(f)
		}, []string{"warn dns.dkim contoso", "warn dns.spf-online contoso"}},
		{"DMARC refuses, and DKIM proves the cloud", func(t *testing.T, f *fact.Set) {
			dmarc(fact.MessagePolicy{At: "contoso.com", Records: []string{"a"}, Action: "reject"})(t, f)
			spf(func(p *fact.SenderPolicy) { p.Includes = nil })(t, f)
		}, []string{"warn dns.spf-online contoso"}},
		{"wildcard", host("hybridge-looks-for-a-wildcard.contoso.com", fact.Host{Addresses: public}, nil),
			[]string{"warn dns.wildcard contoso"}},
		{"private addresses", host("autodiscover.contoso.com",
			fact.Host{Addresses: []netip.Addr{netip.MustParseAddr("10.1.2.3"), netip.MustParseAddr("fe80::1")}}, nil),
			[]string{"warn dns.public-addresses contoso"}},
		{"private and public addresses", host("mail.contoso.com",
			fact.Host{Addresses: append([]netip.Addr{netip.MustParseAddr("10.1.2.3")}, public...)}, nil), nil},

		{"domains in capitals", func(_ *testing.T, f *fact.Set) {
			f.Forests[0].Answers.Domains = []string{"Contoso.COM"}
		}, nil},
		{"second domain", second(func(*fact.Set) {}), nil},
		{"second domain without autodiscover", second(func(f *fact.Set) {
			fact.Hosts.Seed(f.Network, "autodiscover.contoso.net", fact.Host{}, dns.ErrAbsent)
		}), []string{"warn autodiscover.domain contoso"}},
		{"second domain with a service record", second(func(f *fact.Set) {
			fact.Hosts.Seed(f.Network, "autodiscover.contoso.net", fact.Host{}, dns.ErrAbsent)
			fact.Services.Seed(f.Network, "_autodiscover._tcp.contoso.net",
				[]dns.Record{{Target: "autodiscover.contoso.com", Port: 443}}, nil)
		}), nil},
		{"autodiscover of the second domain in the cloud", second(func(f *fact.Set) {
			fact.Hosts.Seed(f.Network, "autodiscover.contoso.net",
				fact.Host{Aliases: []string{"autodiscover.outlook.com"}, Addresses: public}, nil)
		}), []string{"fail autodiscover.domain-online contoso"}},
		{"certificate without the second domain", second(func(f *fact.Set) {
			fact.AutodiscoverHosts.Seed(f.Network, "autodiscover.contoso.net", ews.Front{}, link.ErrUntrusted)
		}), []string{"warn autodiscover.domain-certificate contoso"}},
		{"redirect alone", second(func(f *fact.Set) {
			fact.AutodiscoverHosts.Seed(f.Network, "autodiscover.contoso.net", ews.Front{}, closedPort)
			fact.Redirects.Seed(f.Network, "autodiscover.contoso.net", "https://autodiscover.contoso.com/x", nil)
		}), []string{"warn autodiscover.plain-redirect contoso"}},
		{"redirect and service record", second(func(f *fact.Set) {
			fact.AutodiscoverHosts.Seed(f.Network, "autodiscover.contoso.net", ews.Front{}, closedPort)
			fact.Redirects.Seed(f.Network, "autodiscover.contoso.net", "https://autodiscover.contoso.com/x", nil)
			fact.Services.Seed(f.Network, "_autodiscover._tcp.contoso.net",
				[]dns.Record{{Target: "autodiscover.contoso.com", Port: 443}}, nil)
		}), nil},
		{"website with settings", root(ews.Front{Status: 200, What: "Apache"}, nil),
			[]string{"warn autodiscover.root-domain contoso"}},
		{"website with a sign-in", root(ews.Front{Status: 401, Schemes: []string{"Basic"}}, nil),
			[]string{"warn autodiscover.root-domain contoso"}},
		{"website with another certificate", root(ews.Front{}, link.ErrUntrusted),
			[]string{"warn autodiscover.root-domain contoso"}},
		{"website without autodiscover", root(ews.Front{Status: 404}, nil), nil},
		{"website without https", root(ews.Front{}, closedPort), nil},
		{"Exchange at the bare domain", root(ews.Front{Status: 401, Exchange: true, Schemes: []string{"NTLM"}}, nil),
			nil},
		{"service record to the cloud", service(dns.Record{Target: "autodiscover.outlook.com", Port: 443}),
			[]string{"fail autodiscover.service-record contoso"}},
		{"service record to another port", service(dns.Record{Target: "mail.contoso.com", Port: 80}),
			[]string{"fail autodiscover.service-record contoso"}},
		{"service record to nothing", func(t *testing.T, f *fact.Set) {
			service(dns.Record{Target: "gone.contoso.com", Port: 443})(t, f)
			fact.Hosts.Seed(f.Network, "gone.contoso.com", fact.Host{}, dns.ErrAbsent)
		}, []string{"fail autodiscover.service-record contoso"}},
		{"no such service", service(dns.Record{Port: 0}), nil},
		{"service point without TLS",
			point(directory.ServiceConnectionPoint{Object: directory.Object{Name: "EX1"},
				URL: "http://mail.contoso.com/x"}),
			[]string{"fail autodiscover.service-point contoso"}},
		{"service point to a host of the past", func(t *testing.T, f *fact.Set) {
			point(directory.ServiceConnectionPoint{Object: directory.Object{Name: "EX1"},
				URL: "https://old.contoso.com/x"})(t, f)
			fact.Hosts.Seed(f.Network, "old.contoso.com", fact.Host{}, dns.ErrAbsent)
		}, []string{"fail autodiscover.service-point contoso"}},
		{"service point to the cloud", point(directory.ServiceConnectionPoint{Object: directory.Object{Name: "EX1"},
			URL: "https://autodiscover-s.outlook.com/autodiscover/autodiscover.xml"}),
			[]string{"fail autodiscover.service-point-online contoso"}},
		{"service point without server",
			point(directory.ServiceConnectionPoint{Object: directory.Object{Name: "EX0"},
				URL: "https://mail.contoso.com/x"}),
			[]string{"warn autodiscover.service-point-server contoso"}},
		{"pointer to another forest",
			point(directory.ServiceConnectionPoint{Object: directory.Object{Name: "fabrikam.com"}, Pointer: true,
				URL: "LDAP://fabrikam.com"}), nil},
	})
}

func TestDomainPairDisorders(t *testing.T) {
	here := func(change func(*fact.AcceptedDomain)) func(*testing.T, *fact.Set) {
		return func(t *testing.T, f *fact.Set) {
			alter(t, fact.AcceptedDomains, f.Forests[0], func(list *[]fact.AcceptedDomain) { change(&(*list)[0]) })
		}
	}
	// The tenant's domains: coexistence, contoso.com, fabrikam.com.
	there := func(n int, change func(*fact.AcceptedDomain)) func(*testing.T, *fact.Set) {
		return func(t *testing.T, f *fact.Set) {
			alter(t, fact.OnlineAcceptedDomains, f.Tenant, func(list *[]fact.AcceptedDomain) { change(&(*list)[n]) })
		}
	}
	relayed := func(f *fact.Set) {
		fact.MX.Seed(f.Network, "contoso.com", []string{"contoso-com.mail.protection.outlook.com"}, nil)
	}
	turn(t, []disorder{
		{"internal default domain", func(t *testing.T, f *fact.Set) {
			alter(t, fact.AcceptedDomains, f.Forests[0], func(list *[]fact.AcceptedDomain) {
				*list = append(*list, fact.AcceptedDomain{Name: "contoso.local", Type: "Authoritative", Default: true})
			})
		}, []string{"warn domains.default-forest contoso"}},
		{"own default domain", here(func(d *fact.AcceptedDomain) { d.Default = true }), nil},
		{"default domain of Microsoft", there(0, func(d *fact.AcceptedDomain) { d.Default = true }),
			[]string{"warn domains.default-online tenant"}},
		{"relayed without a connector", func(t *testing.T, f *fact.Set) {
			shareDomain(t, f)
		}, []string{"fail domains.relay-route contoso"}},
		{"relayed by a connector", func(t *testing.T, f *fact.Set) {
			shareDomain(t, f)
			alter(t, fact.SendConnectors, f.Forests[0], func(list *[]fact.SendConnector) {
				*list = append(*list, fact.SendConnector{Name: "Fabrikam", Enabled: true,
					AddressSpaces: []string{"smtp:Fabrikam.com;1"}})
			})
		}, nil},
		{"relayed by the tenant in a circle", func(t *testing.T, f *fact.Set) {
			there(1, func(d *fact.AcceptedDomain) { d.Type = "InternalRelay" })(t, f)
			relayed(f)
		}, []string{"fail domains.relay-online tenant"}},
		{"relayed by the tenant to the forest", func(t *testing.T, f *fact.Set) {
			there(1, func(d *fact.AcceptedDomain) { d.Type = "InternalRelay" })(t, f)
			relayed(f)
			fact.OutboundConnectors.Seed(f.Tenant,
				[]fact.OutboundConnector{{Name: "To", Enabled: true, Type: "OnPremises",
					RecipientDomains: []string{"contoso.com"}, SmartHosts: []string{"mail.contoso.com"}}}, nil)
		}, nil},
		{"subdomains in the tenant alone", there(1, func(d *fact.AcceptedDomain) { d.SubDomains = true }),
			[]string{"warn domains.subdomains contoso"}},
		{"subdomains on-premises alone", here(func(d *fact.AcceptedDomain) { d.SubDomains = true }),
			[]string{"warn domains.subdomains contoso"}},
		{"subdomains on both sides", func(t *testing.T, f *fact.Set) {
			there(1, func(d *fact.AcceptedDomain) { d.SubDomains = true })(t, f)
			here(func(d *fact.AcceptedDomain) { d.SubDomains = true })(t, f)
		}, nil},
		{"domain left out", func(t *testing.T, f *fact.Set) {
			add := func(list *[]fact.AcceptedDomain) {
				*list = append(*list, fact.AcceptedDomain{Name: "contoso.org", Type: "Authoritative"})
			}
			alter(t, fact.AcceptedDomains, f.Forests[0], add)
			alter(t, fact.OnlineAcceptedDomains, f.Tenant, add)
		}, []string{"warn domains.left-out organization"}},
		{"domain on-premises alone", func(t *testing.T, f *fact.Set) {
			alter(t, fact.AcceptedDomains, f.Forests[0], func(list *[]fact.AcceptedDomain) {
				*list = append(*list, fact.AcceptedDomain{Name: "contoso.local", Type: "Authoritative"})
			})
		}, nil},
		{"domain that ends", there(2, func(d *fact.AcceptedDomain) { d.Ending = true }),
			[]string{"fail domains.ending tenant"}},
		{"domain in another tenant", func(t *testing.T, f *fact.Set) {
			unverify(t, f, "contoso.com")
			fact.DomainTenants.Seed(f.Network, "contoso.com", fact.Residence{ID: "other"}, nil)
		}, []string{"fail domains.other-tenant contoso", "fail domains.verified contoso"}},
		{"domain in no tenant", func(t *testing.T, f *fact.Set) { unverify(t, f, "contoso.com") },
			[]string{"fail domains.verified contoso"}},
	})
}

// agentURL is an address of EWS at the Hybrid Agent.
const agentURL = "https://6d1a2b3c-4e5f-4a6b-8c7d-0e1f2a3b4c5d.resource.mailboxmigration.his.msappproxy.net/EWS/Exchange.asmx"

func TestReachabilityDisorders(t *testing.T) {
	answers401 := ews.Front{Status: 401, Exchange: true}
	posts := func(q *fact.Keyed[ews.Front], host string, f ews.Front) func(*testing.T, *fact.Set) {
		return func(_ *testing.T, s *fact.Set) { q.Seed(s.Network, host, f, nil) }
	}
	moving := func(f ews.Front) func(*testing.T, *fact.Set) {
		return func(t *testing.T, s *fact.Set) {
			build("Version 15.2 (Build 2562.53)")(t, s, nil)
			alter(t, fact.VirtualDirectories, s.Forests[0],
				func(list *[]fact.VirtualDirectory) { (*list)[0].MRSProxy = true })
			fact.MigrationEndpoints.Seed(s.Tenant, []fact.MigrationEndpoint{{Name: "E", Type: "ExchangeRemoteMove",
				RemoteServer: "mail.contoso.com"}}, nil)
			fact.MoveProxies.Seed(s.Network, "mail.contoso.com", f, nil)
		}
	}
	// server gives contoso's server its own name, and what it shows at port 25.
	server := func(m fact.MailServer) func(*testing.T, *fact.Set) {
		return func(t *testing.T, s *fact.Set) {
			alter(t, fact.Servers, s.Forests[0], func(list *[]fact.Server) { (*list)[0].FQDN = "ex1.contoso.com" })
			fact.MailServers.Seed(s.Network, "ex1.contoso.com", m, nil)
		}
	}
	named := func(change func(*fact.MailServer)) func(*testing.T, *fact.Set) {
		return func(t *testing.T, s *fact.Set) {
			m, err := fact.MailServers.In(t.Context(), s.Network, "mail.contoso.com")
			if err != nil {
				t.Fatal(err)
			}
			change(&m)
			fact.MailServers.Seed(s.Network, "mail.contoso.com", m, nil)
		}
	}
	agent := func(address string) func(*testing.T, *fact.Set) {
		return func(_ *testing.T, s *fact.Set) {
			fact.OnlineConnectors.Seed(s.Tenant, []fact.Holder{{Name: "HybridIOC", Domains: []string{"contoso.com"},
				TargetSharingEpr: address}}, nil)
		}
	}
	alone := func(s *fact.Set) { s.Forests = s.Forests[:1] }
	gone := func(s *fact.Set) { fact.Hosts.Seed(s.Network, "old.contoso.com", fact.Host{}, dns.ErrAbsent) }
	const exchanger = "contoso-mail-onmicrosoft-com.mail.protection.outlook.com"
	turn(t, []disorder{
		{"no handler of .svc", posts(fact.AutodiscoverServices, "autodiscover.contoso.com",
			ews.Front{Status: 405, Exchange: true}),
			[]string{"fail reachability.autodiscover-service contoso"}},
		{"autodiscover.xml alone is published",
			posts(fact.AutodiscoverServices, "autodiscover.contoso.com", ews.Front{Status: 404}),
			[]string{"fail reachability.autodiscover-service contoso"}},
		{"firewall refuses POST", posts(fact.EWSPosts, "mail.contoso.com", ews.Front{Status: 403, What: "a page"}),
			[]string{"fail reachability.ews-post contoso"}},
		{"an error of SOAP", posts(fact.EWSPosts, "mail.contoso.com", ews.Front{Status: 500, Exchange: true}), nil},
		{"headers are limited", posts(fact.LongTokens, "mail.contoso.com", ews.Front{Status: 431}),
			[]string{"warn reachability.long-token contoso"}},
		{"Exchange refuses the token", posts(fact.LongTokens, "mail.contoso.com", answers401), nil},
		{"MRSProxy published", moving(answers401), nil},
		{"MRSProxy not published", moving(ews.Front{Status: 403}), []string{"fail reachability.mrs-proxy contoso"}},
		{"MRSProxy off on one server", moving(ews.Front{Status: 404, Exchange: true}),
			[]string{"fail reachability.mrs-proxy contoso"}},
		{"a server without TLS", server(fact.MailServer{Report: smtp.Report{Banner: "ex1"}}),
			[]string{"fail reachability.smtp-servers contoso"}},
		{"servers of a record that are gone", func(t *testing.T, s *fact.Set) {
			server(fact.MailServer{Report: smtp.Report{Banner: "ex1"}})(t, s)
			fact.HybridConfigurations.Seed(s.Forests[0], fact.HybridConfiguration{Exists: true,
				Receiving: []string{"OLD1"}}, nil)
		}, []string{"fail reachability.smtp-servers contoso"}},
		{"a server of the record by its whole name", func(t *testing.T, s *fact.Set) {
			server(fact.MailServer{Report: smtp.Report{Banner: "ex1"}})(t, s)
			fact.HybridConfigurations.Seed(s.Forests[0], fact.HybridConfiguration{Exists: true,
				Receiving: []string{"EX1.contoso.com"}}, nil)
		}, []string{"fail reachability.smtp-servers contoso"}},
		{"a server that says nothing",
			server(fact.MailServer{Err: &smtp.StepError{Step: smtp.Greeting, Err: timeout{}}}),
			[]string{"error reachability.smtp-servers contoso"}},
		{"a server that is not reached",
			server(fact.MailServer{Err: &smtp.StepError{Step: smtp.Connect, Err: closedPort}}), nil},
		{"a relay", named(func(m *fact.MailServer) { m.Banner = "mx1.contoso.com ESMTP Postfix" }),
			[]string{"warn reachability.smtp-relay contoso"}},
		{"Exchange with a word of another",
			named(func(m *fact.MailServer) { m.Banner = "Exim Ltd Microsoft ESMTP MAIL Service" }),
			nil},
		{"extensions stripped", named(func(m *fact.MailServer) {
			sent := *m.TLS
			sent.Capabilities = smtp.Capabilities{{Keyword: "8BITMIME"}, {Keyword: "SIZE"}}
			m.TLS = &sent
		}), []string{"warn reachability.smtp-extensions contoso"}},
		{"mail to the cloud without TLS", func(_ *testing.T, s *fact.Set) {
			fact.MailServers.Seed(s.Network, exchanger, fact.MailServer{Report: smtp.Report{Banner: "x"}}, nil)
		}, []string{"warn reachability.smtp-online tenant"}},
		{"mail to the cloud inspected", func(t *testing.T, s *fact.Set) {
			fact.MailServers.Seed(s.Network, exchanger, served(authorityNamed(t, "Firewall").issue(t,
				leaf{cn: exchanger, names: []string{exchanger}})), nil)
		}, []string{"warn reachability.smtp-online tenant"}},
		{"agent with two forests", agent(agentURL), []string{"fail reachability.hybrid-agent organization"}},
		{"agent of one forest, nothing published", func(t *testing.T, s *fact.Set) {
			alone(s)
			agent(agentURL)(t, s)
			for _, q := range []*fact.Keyed[ews.Front]{fact.AutodiscoverHosts, fact.EWSHosts, fact.EWSPosts} {
				q.SeedAll(s.Network, func(string) (ews.Front, error) { return ews.Front{}, closedPort })
			}
		}, nil},
		{"agent at another address", func(t *testing.T, s *fact.Set) {
			alone(s)
			agent("https://contoso.msappproxy.net/EWS/Exchange.asmx")(t, s)
		}, []string{"fail reachability.hybrid-agent organization"}},
		{"nothing asks over HTTPS", func(t *testing.T, s *fact.Set) {
			s.Answers.Features = []answers.Feature{answers.SecureMail}
			fact.EWSHosts.Seed(s.Network, "mail.contoso.com", ews.Front{}, closedPort)
		}, nil},
		{"discovery endpoint of the past", func(_ *testing.T, s *fact.Set) {
			fact.OnlineConnectors.Seed(s.Tenant, []fact.Holder{{Name: "C", Domains: []string{"contoso.com"},
				DiscoveryEndpoint: "https://old.contoso.com/autodiscover/autodiscover.svc"}}, nil)
			gone(s)
		}, []string{"fail reachability.discovery-endpoint contoso"}},
		{"migration endpoint of the past", func(_ *testing.T, s *fact.Set) {
			fact.MigrationEndpoints.Seed(s.Tenant, []fact.MigrationEndpoint{{Name: "E", Type: "ExchangeRemoteMove",
				RemoteServer: "old.contoso.com"}, {Name: "A", Type: "ExchangeRemoteMove",
				RemoteServer: "x.resource.mailboxmigration.his.msappproxy.net"}}, nil)
			gone(s)
		}, []string{"warn reachability.migration-server tenant"}},
		{"Outlook on the web of the past", func(_ *testing.T, s *fact.Set) {
			fact.OnlineRelationships.Seed(s.Tenant, []fact.Holder{{Name: "R", Domains: []string{"contoso.com"},
				TargetOwaURL: "https://old.contoso.com/owa"}}, nil)
			gone(s)
		}, []string{"warn reachability.owa-address contoso"}},
	})
}

func TestSetupDisorders(t *testing.T) {
	setup := func(s directory.Setup) func(*testing.T, *fact.Set) {
		return func(_ *testing.T, f *fact.Set) { fact.DirectorySetup.Seed(f.Forests[0], s, nil) }
	}
	turn(t, []disorder{
		{"old schema", setup(directory.Setup{SchemaVersion: 15334, HybridContainer: true}),
			[]string{"fail directory.exchange-versions contoso"}},
		{"old organization", func(_ *testing.T, f *fact.Set) {
			fact.DirectoryExchange.Seed(f.Forests[0], &directory.Exchange{
				Organization: directory.Organization{ObjectVersion: 16762},
				Servers: []directory.Server{{Object: directory.Object{Name: "EX1"},
					Version: directory.Version{Major: 15, Minor: 2, Build: 1748, Revision: 51}}}}, nil)
		}, []string{"fail directory.exchange-versions contoso"}},
		{"no Exchange in the directory", func(_ *testing.T, f *fact.Set) {
			alone := f.Forests[0]
			fact.DirectoryExchange.Seed(alone, &directory.Exchange{}, nil)
			r := check.Result{}
			for _, c := range directorySetupChecks {
				if c.ID == "directory.exchange-versions" {
					fact.DirectoryExchange.Seed(alone, nil, directory.ErrNoExchange)
					r = c.Run(t.Context(), Input{Set: f, Forest: alone})
					fact.DirectoryExchange.Seed(alone, &directory.Exchange{}, nil)
				}
			}
			if r.Status != check.StatusSkip {
				t.Errorf("%s %s", r.Status, r.Summary)
			}
		}, nil},
		{"organization not shown", func(_ *testing.T, f *fact.Set) {
			fact.DirectoryExchange.Seed(f.Forests[0], &directory.Exchange{}, nil)
		}, nil},
		{"newer schema", setup(directory.Setup{SchemaVersion: 17010, HybridContainer: true}), nil},
		{"no container", setup(directory.Setup{SchemaVersion: 17003}),
			[]string{"warn directory.hybrid-container contoso"}},
		{"old groups", setup(directory.Setup{SchemaVersion: 17003, HybridContainer: true,
			OldGroups: []string{"CN=Exchange Enterprise Servers,CN=Users,DC=contoso,DC=com"}}),
			[]string{"warn directory.old-groups contoso"}},
	})
}

func TestTenantDisorders(t *testing.T) {
	subscribed := func(list ...fact.Subscription) func(*testing.T, *fact.Set) {
		return func(_ *testing.T, f *fact.Set) { fact.Subscriptions.Seed(f.Tenant, list, nil) }
	}
	e3 := fact.Subscription{Name: "E3", Status: "Enabled", Bought: 100, Used: 10, Mailboxes: true}
	resides := func(r fact.Residence, err error) func(*testing.T, *fact.Set) {
		return func(_ *testing.T, f *fact.Set) {
			fact.DomainTenants.Seed(f.Network, "contoso.onmicrosoft.com", r, err)
		}
	}
	// linked gives contoso its record and its inbound connector.
	linked := func(change func(f *fact.Set, c *fact.InboundConnector)) func(*testing.T, *fact.Set) {
		return func(_ *testing.T, f *fact.Set) {
			fact.HybridOrganizations.Seed(f.Tenant, []fact.HybridOrganization{{Name: "contoso", GUID: "contoso-guid",
				Inbound: "In"}}, nil)
			c := fact.InboundConnector{Name: "In", Type: "OnPremises", Enabled: true,
				CertificateName: "mail.contoso.com"}
			change(f, &c)
			fact.InboundConnectors.Seed(f.Tenant, []fact.InboundConnector{c}, nil)
		}
	}
	gateway := func(connectors ...fact.InboundConnector) func(*testing.T, *fact.Set) {
		return func(_ *testing.T, f *fact.Set) {
			fact.MX.Seed(f.Network, "contoso.com", []string{"mx1.gateway.example"}, nil)
			fact.InboundConnectors.Seed(f.Tenant, connectors, nil)
		}
	}
	partner := fact.InboundConnector{Name: "Gateway", Type: "Partner", Enabled: true, Locked: true,
		SenderDomains: []string{"smtp:*;1"}, CertificateName: "*.gateway.example"}
	behind := partner
	behind.SkipsLast = true
	admits := fact.InboundConnector{Name: "In", Type: "OnPremises", Enabled: true, CertificateName: "*.contoso.com"}
	admitsOther := admits
	admitsOther.CertificateName = "<I>CN=x<S>CN=mail.fabrikam.com, O=Fabrikam"
	rejects := func(f *fact.Set) {
		fact.OnlineConfig.Seed(f.Tenant, fact.OnlineOrganization{DirectSendRejected: true, ListKnown: true}, nil)
	}
	newsletter := func(f *fact.Set) {
		p := sound()
		p.Includes, p.Senders = append(p.Includes, "spf.newsletter.example"), append(p.Senders, "ip4:192.0.2.1")
		fact.SenderPolicies.Seed(f.Network, "contoso.com", p, nil)
	}
	relationship := func(domain string) func(*testing.T, *fact.Set) {
		return func(_ *testing.T, f *fact.Set) {
			fact.OnlineRelationships.Seed(f.Tenant, []fact.Holder{{Name: "R", Domains: []string{domain},
				Leads: true}}, nil)
			fact.DomainTenants.Seed(f.Network, "partner.example", fact.Residence{ID: "other"}, nil)
		}
	}
	turn(t, []disorder{
		{"tenant for customers", func(t *testing.T, f *fact.Set) {
			alter(t, fact.Tenant, f.Tenant, func(o *entra.Organization) { o.TenantType = "CIAM" })
		}, []string{"fail tenant.type tenant"}},
		{"government tenant", resides(fact.Residence{ID: "x", Cloud: "microsoftonline.com", SubScope: "DODCON"}, nil),
			[]string{"fail tenant.cloud tenant"}},
		{"GCC tenant", resides(fact.Residence{ID: "x", Cloud: "microsoftonline.com", SubScope: "GCC"}, nil), nil},
		{"Chinese tenant", resides(fact.Residence{ID: "x", Cloud: "partner.microsoftonline.cn"}, nil),
			[]string{"fail tenant.cloud tenant"}},
		{"no tenant", resides(fact.Residence{}, fact.ErrNoTenant), []string{"fail tenant.cloud tenant"}},
		{"no product with mailboxes", subscribed(fact.Subscription{Name: "P1", Status: "Enabled", Bought: 5}),
			[]string{"fail tenant.exchange-plan tenant"}},
		{"product that ended", subscribed(fact.Subscription{Name: "E3", Status: "Suspended", Bought: 5,
			Mailboxes: true}),
			[]string{"fail tenant.exchange-plan tenant"}},
		{"product in its grace period",
			subscribed(fact.Subscription{Name: "E3", Status: "Warning", Bought: 5, Mailboxes: true}),
			nil},
		{"all licences in use", subscribed(fact.Subscription{Name: "E3", Status: "Enabled", Bought: 5, Used: 6,
			Mailboxes: true}),
			[]string{"warn tenant.licences tenant"}},
		{"frontline licences by EWS", func(t *testing.T, f *fact.Set) {
			subscribed(e3, fact.Subscription{Name: "F3", Status: "Enabled", Bought: 5, Used: 1, Mailboxes: true,
				Frontline: true})(t, f)
			f.Answers.ExchangeOnline.RichCoexistence = "ews"
		}, []string{"warn tenant.ews-switch tenant", "warn tenant.frontline tenant"}},
		{"frontline licences by Graph",
			subscribed(e3, fact.Subscription{Name: "F3", Status: "Enabled", Bought: 5, Used: 1, Mailboxes: true,
				Frontline: true}),
			nil},
		{"internet mail through the tenant", func(t *testing.T, f *fact.Set) {
			alter(t, fact.SendConnectors, f.Forests[0], func(list *[]fact.SendConnector) {
				(*list)[0].Enabled = true
				(*list)[0].SmartHosts = []string{"contoso-com.mail.protection.outlook.com"}
			})
		}, []string{"warn tenant.outbound-limit contoso"}},
		{"connector in order", linked(func(*fact.Set, *fact.InboundConnector) {}), nil},
		{"connector by wildcard", linked(func(_ *fact.Set,
			c *fact.InboundConnector) {
			c.CertificateName = "*.contoso.com"
		}), nil},
		{"connector for the old certificate", linked(func(_ *fact.Set, c *fact.InboundConnector) {
			c.CertificateName = "old.contoso.com"
		}), []string{"fail tenant.connector-certificate contoso"}},
		{"connector off", linked(func(_ *fact.Set, c *fact.InboundConnector) { c.Enabled = false }),
			[]string{"fail tenant.connector-certificate contoso"}},
		{"locked out", gatewayLock(partner),
			[]string{"fail tenant.partner-lock contoso", "fail tenant.partner-lock fabrikam"}},
		{"locked out, but one", gatewayLock(partner, admits), []string{"fail tenant.partner-lock fabrikam"}},
		{"not locked out", gatewayLock(partner, admits, admitsOther), nil},
		{"direct send refused", func(t *testing.T, f *fact.Set) { rejects(f) }, nil},
		{"direct send of others refused", func(t *testing.T, f *fact.Set) { rejects(f); newsletter(f) },
			[]string{"warn tenant.direct-send contoso"}},
		{"direct send of others let in", func(t *testing.T, f *fact.Set) { newsletter(f) }, nil},
		{"gateway without a lock", gateway(admits, admitsOther), []string{"warn tenant.front-door tenant"}},
		{"gateway without enhanced filtering", gateway(partner, admits, admitsOther),
			[]string{"warn tenant.enhanced-filtering tenant"}},
		{"gateway", gateway(behind, admits, admitsOther), nil},
		{"mailbox on-premises without EWS", func(_ *testing.T, f *fact.Set) {
			off := false
			fact.MailboxAccesses.Seed(f.Forests[0], "anna@contoso.com",
				fact.MailboxAccess{Exists: true, EwsEnabled: &off}, nil)
		}, []string{"fail tenant.mailbox-ews organization"}},
		{"mailbox in the cloud without EWS", func(_ *testing.T, f *fact.Set) {
			off := false
			fact.OnlineMailboxAccesses.Seed(f.Tenant, "bert@fabrikam.com",
				fact.MailboxAccess{Exists: true, EwsEnabled: &off}, nil)
		}, []string{"fail tenant.mailbox-ews organization"}},
		{"mailbox with EWS", func(_ *testing.T, f *fact.Set) {
			on := true
			fact.MailboxAccesses.Seed(f.Forests[0], "anna@contoso.com",
				fact.MailboxAccess{Exists: true, EwsEnabled: &on}, nil)
		}, nil},
		{"record of an organization that is gone", func(_ *testing.T, f *fact.Set) {
			fact.HybridOrganizations.Seed(f.Tenant, []fact.HybridOrganization{{Name: "old", GUID: "old-guid"}}, nil)
		}, []string{"warn tenant.orphan-organization tenant"}},
		{"relationship with another tenant", relationship("partner.example"),
			[]string{"warn tenant.partner-relationships tenant"}},
		{"relationship with an organization on-premises", relationship("onprem.example"), nil},
		{"relationship with a forest", relationship("contoso.com"), nil},
		{"relationship with a forest that the answers do not name", func(t *testing.T, f *fact.Set) {
			alter(t, fact.OnlineAcceptedDomains, f.Tenant, func(d *[]fact.AcceptedDomain) {
				*d = append(*d, fact.AcceptedDomain{Name: "third.example", Type: "Authoritative"})
			})
			fact.OnlineRelationships.Seed(f.Tenant, []fact.Holder{{Name: "O365 to On-premises - third",
				Domains: []string{"Third.example"}, Leads: true}}, nil)
			fact.DomainTenants.Seed(f.Network, "third.example",
				fact.Residence{ID: "11111111-2222-3333-4444-555555555555"}, nil)
		}, nil},
		{"relationship with another tenant that is off", func(t *testing.T, f *fact.Set) {
			relationship("partner.example")(t, f)
			alter(t, fact.OnlineRelationships, f.Tenant, func(h *[]fact.Holder) { (*h)[0].Leads = false })
		}, nil},
	})
}

// gatewayLock gives the tenant connectors.
func gatewayLock(connectors ...fact.InboundConnector) func(*testing.T, *fact.Set) {
	return func(_ *testing.T, f *fact.Set) { fact.InboundConnectors.Seed(f.Tenant, connectors, nil) }
}

// timeout is a time limit that passed.
type timeout struct{}

func (timeout) Error() string   { return "i/o timeout" }
func (timeout) Timeout() bool   { return true }
func (timeout) Temporary() bool { return true }

// shareDomain lets contoso relay the domain of fabrikam.
func shareDomain(t *testing.T, f *fact.Set) {
	t.Helper()
	alter(t, fact.AcceptedDomains, f.Forests[0], func(list *[]fact.AcceptedDomain) {
		*list = append(*list, fact.AcceptedDomain{Name: "fabrikam.com", Type: "InternalRelay"})
	})
}

// A domain is covered by itself, and by the wildcard of one above it.
func TestCovered(t *testing.T) {
	for _, tt := range []struct {
		pattern, domain string
		want            bool
	}{
		{"contoso.com", "Contoso.com", true}, {"*.contoso.com", "eu.contoso.com", true},
		{"*.contoso.com", "contoso.com", false}, {"contoso.com", "eu.contoso.com", false}, {"*", "contoso.com", false},
	} {
		if got := covered(tt.pattern, tt.domain); got != tt.want {
			t.Errorf("%s, %s: %t", tt.pattern, tt.domain, got)
		}
	}
}

// skipped lists the checks that a missing right skips: a cmdlet, or a permission of Graph.
func skipped(system fact.System, right string, more ...string) []string {
	place := map[fact.System]string{fact.Online: "Exchange Online", fact.OnPremises: "contoso",
		fact.Entra: "Microsoft Graph"}[system]
	out := more
	for _, c := range Checks() {
		sources := fact.SourcesOf(c.Reads...)
		at := slices.IndexFunc(sources,
			func(s fact.Source) bool { return s.System == system && slices.Contains(s.Right, right) })
		if c.ID.Category() == "access" || c.ofWorkMail() || c.ofHybridExit() || at < 0 {
			continue
		}
		scopes := []string{string(c.Scope)}
		if c.Scope == PerForest {
			scopes = []string{"contoso", "fabrikam"}
			if system == fact.OnPremises {
				scopes = scopes[:1]
			}
		}
		for _, scope := range scopes {
			out = append(out, fmt.Sprintf("skip %s %s: %s in %s", c.ID, scope, msg.Alternatives(sources[at].Right),
				place))
		}
	}
	slices.Sort(out)
	return out
}

// verify adds a verified domain to the tenant; unverify takes the proof of one away.
func verify(t *testing.T, f *fact.Set, domain string) {
	t.Helper()
	alter(t, fact.TenantDomains, f.Tenant, func(list *[]entra.Domain) {
		*list = append(*list, entra.Domain{ID: domain, IsVerified: true})
	})
}

func unverify(t *testing.T, f *fact.Set, domain string) {
	t.Helper()
	alter(t, fact.TenantDomains, f.Tenant, func(list *[]entra.Domain) {
		*list = slices.Clone(*list)
		for i := range *list {
			if (*list)[i].ID == domain {
				(*list)[i].IsVerified = false
			}
		}
	})
}

// closedPort is the error of a port that is closed.
var closedPort = link.Classify(&net.OpError{Op: "dial", Err: syscall.ECONNREFUSED})

// Answers are remembered by name: each is asked for in small letters. What is wrong goes before what is unknown.
func TestEachDomain(t *testing.T) {
	set, _ := healthy(t)
	set.Forests[0].Answers.Domains = []string{"Contoso.COM", "contoso.net"}
	for _, test := range []struct {
		wrong, unknown string // domains
		want           check.Status
	}{{"", "", check.StatusPass}, {"contoso.com", "", check.StatusFail}, {"", "contoso.com", check.StatusError},
		{"contoso.net", "contoso.com", check.StatusFail}} {
		run := eachDomain("fine", func(_ context.Context, _ Input, domain string) (msg.Text, error) {
			switch domain {
			case test.wrong:
				return msg.Plain("wrong"), nil
			case test.unknown:
				return msg.Text{}, dns.ErrFailed
			}
			return msg.Text{}, nil
		})
		if r := run(t.Context(), Input{Set: set, Forest: set.Forests[0]}); r.Status != test.want {
			t.Errorf("%+v: %s", test, r.Status)
		}
	}
}

func TestHostsOfTheCloud(t *testing.T) {
	c := cloud.Cloud{TLSDomain: "mail.protection.outlook.com"}
	for host, want := range map[string]bool{"contoso-com.Mail.protection.outlook.com": true,
		"mail.protection.outlook.com": true, "evilmail.protection.outlook.com": false, "": false} {
		if ofCloud(c, host) != want || ofCloud(cloud.Cloud{}, host) {
			t.Errorf("%q: want %v", host, want)
		}
	}
	for address, want := range map[string]bool{"10.0.0.1": true, "169.254.0.1": true, "fd00::1": true,
		"100.64.0.1": true, "::ffff:100.127.0.1": true, "100.128.0.1": false, "203.0.113.7": false} {
		if private(netip.MustParseAddr(address)) != want {
			t.Errorf("%s: want %v", address, want)
		}
	}
}
