package lab

import (
	"net/http"
	"strings"

	"github.com/hybridge-cli/hybridge/pkg/lab/directory"
	"github.com/hybridge-cli/hybridge/pkg/lab/entra"
	"github.com/hybridge-cli/hybridge/pkg/wire/dns"
	"github.com/hybridge-cli/hybridge/pkg/wire/smtp"
)

// networkFaults are the faults of names in DNS, and of domains on both sides.
func networkFaults() []Fault {
	// record replaces the records of a name of one type.
	record := func(name func(l *Lab) string, t dns.Type, lines ...string) hook {
		return everywhere(func(l *Lab) {
			l.zone.Remove(name(l), t)
			for _, line := range lines {
				_ = l.zone.Add(name(l) + ". " + line)
			}
		})
	}
	contoso := func(l *Lab) string { return l.contoso().domain }
	below := func(label string) func(l *Lab) string {
		return func(l *Lab) string { return label + "." + l.contoso().domain }
	}
	return []Fault{
		{
			ID: "names.no-exchanger", Turns: turns("dns.mx"), Diagnosis: "mail.no-exchanger",
			Title: "contoso's domain has no MX record",
			late:  record(contoso, dns.MX),
		},
		{
			ID: "names.exchanger-alias", Turns: turns("dns.mx-host"), Verdict: Warns, Diagnosis: "mail.no-exchanger",
			Title: "contoso's MX record names an alias",
			late: everywhere(func(l *Lab) {
				domain := l.contoso().domain
				l.zone.Remove(domain, dns.MX)
				_ = l.zone.Add(domain+". MX 10 mx."+domain+".", "mx."+domain+". CNAME "+l.contoso().mail+".")
			}),
		},
		{
			ID: "names.two-ways-in", Turns: turns("dns.mx-one-way"), Verdict: Warns, Diagnosis: "mail.side-door",
			Title: "a second MX record of contoso leads to Exchange Online",
			late: everywhere(func(l *Lab) {
				_ = l.zone.Add(l.contoso().domain + ". MX 20 " + exchanger(l.contoso().domain) + ".")
			}),
		},
		{
			ID: "names.other-tenant", Turns: turns("dns.mx-tenant"), Diagnosis: "mail.attributed-elsewhere",
			Title: "contoso's MX record leads to another tenant of Exchange Online",
			late: everywhere(func(l *Lab) {
				domain := l.contoso().domain
				l.zone.Remove(domain, dns.MX)
				other := "adventureworks-com." + protection
				_ = l.zone.Add(domain+". MX 0 "+other+".", other+". A 127.0.0.1")
			}),
		},
		{
			ID: "names.two-sender-policies", Turns: turns("dns.spf"), Verdict: Warns,
			Diagnosis: "mail.sender-not-proven",
			Title:     "contoso's domain has two SPF records",
			late: everywhere(func(l *Lab) {
				_ = l.zone.Add(l.contoso().domain + `. TXT "v=spf1 include:` + senders + ` -all"`)
			}),
		},
		{
			ID: "names.sender-policy-online", Turns: turns("dns.spf-online"), Verdict: Warns,
			Diagnosis: "mail.sender-not-proven",
			Title:     "contoso's SPF record does not name Exchange Online",
			early:     inContoso(func(f *forestSite) { f.senders = "" }),
		},
		{
			ID: "names.sender-policy-wrong", Turns: turns("dns.spf-valid"), Verdict: Warns,
			Diagnosis: "mail.sender-not-proven",
			Title:     "contoso's SPF record includes a domain that has none",
			early: inContoso(func(f *forestSite) {
				f.senders = "include:" + senders + " include:newsletter." + f.domain + " "
			}),
		},
		{
			ID: "names.message-policy", Turns: turns("dns.dmarc-senders"), May: turns("dns.spf-online", "dns.dkim"),
			Diagnosis: "mail.sender-not-proven",
			Title:     "contoso's DMARC record says reject, and neither SPF nor DKIM covers Exchange Online",
			early:     inContoso(func(f *forestSite) { f.senders = "" }),
			late: everywhere(func(l *Lab) {
				domain := l.contoso().domain
				l.zone.Remove("_dmarc."+domain, dns.TXT)
				l.zone.Remove("selector1._domainkey."+domain, "")
				l.zone.Remove("selector2._domainkey."+domain, "")
				_ = l.zone.Add("_dmarc." + domain + `. TXT "v=DMARC1; p=reject"`)
			}),
		},
		{
			ID: "names.no-message-policy", Turns: turns("dns.dmarc"), Verdict: Warns,
			Diagnosis: "mail.sender-not-proven",
			Title:     "contoso's domain has no DMARC record",
			late:      record(below("_dmarc"), dns.TXT),
		},
		{
			ID: "names.coexistence-hidden", Turns: turns("dns.coexistence-autodiscover"),
			Diagnosis: "autodiscover.not-found",
			Title:     "an internal zone hides autodiscover of the coexistence domain",
			late: everywhere(func(l *Lab) {
				l.zone.Remove("autodiscover."+coexistenceDomain, "")
			}),
		},
		{
			ID: "names.service-record-old", Turns: turns("autodiscover.service-record"),
			Diagnosis: "dns.name-unresolved",
			Title:     "the service record of contoso's autodiscover names a host of the past",
			late:      record(below("_autodiscover._tcp"), dns.SRV, "SRV 0 0 443 gone.contoso.example."),
		},
		{
			ID: "names.website", Turns: turns("autodiscover.root-domain"), Verdict: Warns,
			Diagnosis: "autodiscover.root-domain-site",
			Title:     "a website answers autodiscover at contoso's bare domain",
			early:     inContoso(func(f *forestSite) { f.website = http.HandlerFunc(imapSettings) }),
			late:      record(contoso, dns.A, "A 127.0.0.1"),
		},
		{
			ID: "names.service-point-online", Turns: turns("autodiscover.service-point-online"),
			Diagnosis: "autodiscover.moved-to-cloud",
			Title:     "contoso's service connection point leads to Exchange Online",
			early: inContoso(func(f *forestSite) {
				f.servicePoint = "https://autodiscover-s.outlook.com/autodiscover/autodiscover.xml"
			}),
		},
		{
			ID: "names.service-point-old", Turns: turns("autodiscover.service-point"),
			Diagnosis: "autodiscover.stale-scp",
			Title:     "contoso's service connection point leads to a host of the past",
			early: inContoso(func(f *forestSite) {
				f.servicePoint = "https://old." + f.domain + "/Autodiscover/Autodiscover.xml"
			}),
		},
		{
			ID: "domains.default-internal", Turns: turns("domains.default-forest"), Verdict: Warns,
			Diagnosis: "domain.not-accepted",
			Title:     "contoso's default domain is an internal one",
			late: inContoso(func(f *forestSite) {
				f.org.Objects("AcceptedDomain")[0].Set("Default", false)
				f.org.Seed("AcceptedDomain", "Name", "contoso.local", "DomainName", "contoso.local", "Default", true)
			}),
		},
		{
			ID: "domains.default-onmicrosoft", Turns: turns("domains.default-online"), Verdict: Warns,
			Diagnosis: "mail.limit-onmicrosoft",
			Title:     "the tenant's default domain is its onmicrosoft.com domain",
			late: inTenant(func(t *tenantSite) {
				for _, d := range t.org.Objects("AcceptedDomain") {
					d.Set("Default", d.Bool("InitialDomain"))
				}
			}),
		},
		{
			ID: "domains.relay-loop", Turns: turns("domains.relay-online"), Diagnosis: "mail.loop",
			Title: "Exchange Online relays contoso's domain without a connector, and MX leads to Exchange Online",
			late: everywhere(func(l *Lab) {
				domain := l.contoso().domain
				l.tenant.org.Object("AcceptedDomain", domain).Set("DomainType", "InternalRelay")
				l.zone.Remove(domain, dns.MX)
				_ = l.zone.Add(domain + ". MX 0 " + exchanger(domain) + ".")
			}),
		},
		{
			ID: "domains.subdomains-one-side", Turns: turns("domains.subdomains"), Verdict: Warns,
			Diagnosis: "mail.loop",
			Title:     "Exchange Online accepts every subdomain of contoso, and contoso does not",
			late: everywhere(func(l *Lab) {
				l.tenant.org.Object("AcceptedDomain", l.contoso().domain).Set("MatchSubDomains", true)
			}),
		},
	}
}

// reachFaults are faults of devices before the forests' servers.
func reachFaults() []Fault {
	// refusing stands before Exchange and answers some requests itself.
	refusing := func(status int, text string, which func(*http.Request) bool) hook {
		return inContoso(func(f *forestSite) {
			f.device = func(next http.Handler) http.Handler {
				return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					if which(r) {
						http.Error(w, text, status)
						return
					}
					next.ServeHTTP(w, r)
				})
			}
		})
	}
	return []Fault{
		{
			ID: "reach.handler-missing", Turns: turns("reachability.autodiscover-service"),
			Diagnosis: "ews.handler-mapping",
			Title:     "IIS of contoso has lost the handler of autodiscover.svc",
			early: refusing(http.StatusMethodNotAllowed, "Method Not Allowed", func(r *http.Request) bool {
				return r.Method == http.MethodPost && strings.EqualFold(r.URL.Path, "/autodiscover/autodiscover.svc")
			}),
		},
		{
			ID: "reach.firewall-post", Turns: turns("reachability.ews-post"), Diagnosis: "ews.pre-authentication",
			Title: "a web application firewall before contoso refuses requests to EWS that have a body",
			early: refusing(http.StatusForbidden, "The request was blocked.", func(r *http.Request) bool {
				return r.Method == http.MethodPost && strings.EqualFold(r.URL.Path, "/EWS/Exchange.asmx")
			}),
		},
		{
			ID: "reach.header-limit", Turns: turns("reachability.long-token"), Verdict: Warns,
			Diagnosis: "ews.pre-authentication",
			Title:     "a load balancer before contoso limits headers to 4 KB",
			early: refusing(http.StatusRequestHeaderFieldsTooLarge, "Request Header Or Cookie Too Large",
				func(r *http.Request) bool { return len(r.Header.Get("Authorization")) > 4<<10 }),
		},
		{
			ID: "reach.relay", Turns: turns("reachability.smtp-relay"), Verdict: Warns,
			Diagnosis: "mail.headers-external",
			Title:     "a relay of another maker takes the tenant's mail for contoso",
			early: inContoso(func(f *forestSite) {
				f.inspect = func(c *smtp.Config) { c.Greeting = "220 mx1." + f.domain + " ESMTP Postfix" }
			}),
		},
		{
			ID: "reach.discovery-endpoint-old", Turns: turns("reachability.discovery-endpoint"),
			May:       turns("hybrid.intra-organization-connector"),
			Diagnosis: "autodiscover.not-found",
			Title:     "the tenant's connector to contoso begins lookups at a host of the past",
			late: everywhere(func(l *Lab) {
				l.tenant.org.Seed("IntraOrganizationConnector", "Name", "HybridIOC - old", "Enabled", true,
					"TargetAddressDomains", []string{l.contoso().domain},
					"DiscoveryEndpoint", "https://old."+l.contoso().domain+"/autodiscover/autodiscover.svc")
			}),
		},
	}
}

// tenantFaults are faults of what the tenant is, and of what it lets through.
func tenantFaults() []Fault {
	record := func(l *Lab, name, guid, comment string) {
		l.tenant.org.Seed("OnPremisesOrganization", "Name", name, "OrganizationName", name, "OrganizationGuid", guid,
			"Comment", comment)
	}
	subscription := func(change func(*entra.Subscription)) hook {
		return inTenant(func(t *tenantSite) {
			t.entra.Update(func(s *entra.State) { change(s.Subscriptions[0]) })
		})
	}
	return []Fault{
		{
			ID: "directory.schema-restored", Turns: turns("directory.exchange-versions"),
			Diagnosis: "directory.replication-lag",
			Title:     "contoso's domain controller shows the schema of an older version of Exchange",
			early:     inContoso(func(f *forestSite) { f.schema = 15334 }),
		},
		{
			ID: "directory.groups-of-2003", Turns: turns("directory.old-groups"), Verdict: Warns,
			Diagnosis: "wizard.dead-server-object",
			Title:     "contoso still has the groups of Exchange 2003, with their rights",
			early: inContoso(func(f *forestSite) {
				root := "DC=" + strings.ReplaceAll(f.domain, ".", ",DC=")
				f.leftovers = append(f.leftovers,
					directory.NewEntry("CN=Exchange Domain Servers,CN=Users,"+root, "objectClass", "group",
						"sAMAccountName", "Exchange Domain Servers"))
			}),
		},
		{
			ID: "tenant.mailbox-closed", Turns: turns("tenant.mailbox-ews"), Diagnosis: "ews.off-mailbox",
			Title: "EWS is off for a mailbox of contoso that lookups begin at",
			late: inContoso(func(f *forestSite) {
				f.premise.closed = append(f.premise.closed, strings.ToLower(f.local().primary))
			}),
		},
		{
			ID: "tenant.subscription-ended", Turns: turns("tenant.exchange-plan"),
			Diagnosis: "access.cmdlet-unlicensed",
			Title:     "the tenant's subscription is suspended",
			late:      subscription(func(s *entra.Subscription) { s.Status = "Suspended" }),
		},
		{
			ID: "tenant.licences-used-up", Turns: turns("tenant.licences"), Verdict: Warns,
			Diagnosis: "access.cmdlet-unlicensed",
			Title:     "all licences of the tenant are in use",
			late:      subscription(func(s *entra.Subscription) { s.Used = s.Bought }),
		},
		{
			ID: "tenant.side-door", Turns: turns("tenant.front-door"), Verdict: Warns, Diagnosis: "mail.side-door",
			Title: "a gateway of a third party takes contoso's mail, and the tenant takes mail from everyone",
			early: inContoso(func(f *forestSite) { f.gateway = true }),
		},
		{
			ID: "tenant.organization-left", Turns: turns("tenant.orphan-organization"), Verdict: Warns,
			Diagnosis: "organization.several-onprem",
			Title:     "the tenant keeps the record of an organization that is gone",
			late:      everywhere(func(l *Lab) { record(l, "Northwind", stableGUID("gone"), "") }),
		},
		{
			ID: "tenant.wizard-failed", Turns: turns("tenant.wizard-run"), Verdict: Warns,
			May: turns("hybrid.on-premises-organization"), Diagnosis: "wizard.oauth-part-failed",
			Title: "the last run of Microsoft's wizard in contoso failed",
			late: everywhere(func(l *Lab) {
				record(l, "Contoso", l.contoso().guid, wizardComment(l.contoso().domain, false))
			}),
		},
		{
			ID:    "domains.held-elsewhere",
			Turns: turns("domains.other-tenant", "domains.verified", "directory.upn-suffix"),
			May:   turns("directory.address-domain"), Diagnosis: "domain.not-verified",
			Title: "another tenant holds fabrikam's domain",
			late: hook{forests: 2, online: true, do: func(l *Lab) {
				l.tenant.entra.Update(func(s *entra.State) {
					s.Elsewhere = map[string]string{l.fabrikam().domain: stableGUID("another tenant")}
					for _, d := range s.Domains {
						if d.Name == l.fabrikam().domain {
							d.Verified = false
						}
					}
				})
			}},
		},
	}
}

// imapSettings is the answer of a web hoster to every client that looks for autodiscover.
func imapSettings(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/xml")
	w.Header().Set("Server", "Apache")
	_, _ = w.Write([]byte(`<?xml version="1.0"?><Autodiscover><Response><Account><AccountType>email</AccountType>` +
		`<Action>settings</Action><Protocol><Type>IMAP</Type><Server>imap.hoster.example</Server></Protocol>` +
		`</Account></Response></Autodiscover>`))
}
