package lab

import (
	"fmt"
	"strings"
	"sync"

	"github.com/hybridge-cli/hybridge/pkg/wire/dns"
	"github.com/hybridge-cli/hybridge/pkg/wire/smtp"
)

// stateFor returns the starting state of a lab with these faults. Faults of mail flow break what
// Microsoft's wizard set up.
func stateFor(state string, planted []Fault) (string, error) {
	for _, f := range planted {
		switch {
		case !f.Message:
		case state == Clean || state == Wizard:
			state = Wizard
		default:
			return "", fmt.Errorf("fault %s needs the state %s, and the state is %s", f.ID, Wizard, state)
		}
	}
	return state, nil
}

// mailFaults are the faults of mail between the forests and the tenant.
func mailFaults() []Fault {
	inbound := func(l *Lab, property string, value any) {
		l.tenant.org.Object("InboundConnector", "Inbound from "+l.contoso().guid).Set(property, value)
	}
	send := func(l *Lab, property string, value any) {
		l.contoso().org.Objects("SendConnector")[0].Set(property, value)
	}
	list := []Fault{
		{
			ID: "mail.certificate-gone", Diagnosis: "mail.certificate-gone",
			Title: "contoso's send connector names a certificate that the server does not have",
			late: everywhere(func(l *Lab) {
				send(l, "TlsCertificateName", "<I>CN=hybridge lab CA, O=hybridge lab<S>CN=old."+l.contoso().domain)
			}),
		},
		{
			ID: "mail.inbound-name-stale", Turns: turns("tenant.connector-certificate"),
			Diagnosis: "mail.not-attributed",
			Title:     "the tenant's inbound connector names the certificate that contoso had before",
			late: everywhere(func(l *Lab) {
				inbound(l, "TlsSenderCertificateName", "old."+l.contoso().domain)
			}),
		},
		{
			ID: "mail.address-stale", Diagnosis: "mail.not-attributed",
			Title: "the tenant's inbound connector recognizes contoso by an address that it had before",
			late: everywhere(func(l *Lab) {
				inbound(l, "TlsSenderCertificateName", "")
				inbound(l, "SenderIPAddresses", []string{"198.51.100.25"})
			}),
		},
		{
			ID: "mail.direct-send-rejected", Turns: turns("tenant.connector-certificate"),
			Diagnosis: "mail.direct-send",
			Title: "the tenant rejects direct send, and its inbound connector names the certificate that contoso had " +
				"before",
			late: everywhere(func(l *Lab) {
				inbound(l, "TlsSenderCertificateName", "old."+l.contoso().domain)
				l.tenant.org.Objects("OrganizationConfig")[0].Set("RejectDirectSend", true)
			}),
		},
		{
			ID: "mail.partner-lock", Turns: turns("tenant.connector-certificate", "tenant.partner-lock"),
			Diagnosis: "mail.partner-connector",
			Title: "a partner connector for all senders admits the gateway's certificate alone, and contoso's " +
				"inbound connector is off",
			late: everywhere(func(l *Lab) {
				inbound(l, "Enabled", false)
				l.tenant.org.Seed("InboundConnector", "Name", "Gateway", "ConnectorType", "Partner", "SenderDomains",
					[]string{"smtp:*;1"}, "RequireTls", true, "RestrictDomainsToCertificate", true,
					"TlsSenderCertificateName",
					"gateway.example")
			}),
		},
		{
			ID: "mail.headers-not-sent", Diagnosis: "mail.headers-not-sent",
			Title: "CloudServicesMailEnabled is off on contoso's send connector",
			late:  everywhere(func(l *Lab) { send(l, "CloudServicesMailEnabled", false) }),
		},
		{
			ID: "mail.second-connector", Diagnosis: "mail.headers-not-sent",
			Title: "a second send connector of contoso leads to the coexistence domain at a lower cost",
			late: everywhere(func(l *Lab) {
				send(l, "AddressSpaces", []string{"smtp:" + coexistenceDomain + ";10"})
				l.contoso().org.Seed("SendConnector", "Name", "Tenant by hand", "AddressSpaces",
					[]string{"smtp:" + coexistenceDomain + ";1"}, "DNSRoutingEnabled", true, "Fqdn",
					l.contoso().mail, "RequireTLS", true)
			}),
		},
		{
			ID: "mail.headers-not-accepted", Diagnosis: "mail.headers-not-accepted",
			Title: "contoso's frontend receive connector accepts no headers of the cloud",
			late: everywhere(func(l *Lab) {
				l.contoso().frontend().Set("TlsDomainCapabilities", []string{})
			}),
		},
		{
			ID: "mail.port-closed", Diagnosis: "mail.unreachable",
			Title: "a firewall closes port 25 of contoso's mail host",
			early: inContoso(func(f *forestSite) { f.network.silence(f.mail + ":25") }),
		},
		{
			ID: "mail.inspected", Turns: turns("certificates.transport", "reachability.smtp-servers"),
			Diagnosis: "mail.no-tls",
			Title:     "a firewall in front of contoso masks STARTTLS",
			early: inContoso(func(f *forestSite) {
				f.inspect = func(c *smtp.Config) {
					c.Certificate, c.Greeting, c.Capabilities = nil, "220 ************************",
						[]string{"XXXXXXXA"}
				}
			}),
		},
		{
			ID: "mail.greylisting", Diagnosis: "mail.greylisted", Passes: true,
			Title: "a filter in front of contoso puts off the first message of each sender",
			early: inContoso(func(f *forestSite) { f.inspect = greylist() }),
		},
		{
			ID: "mail.other-connector", Diagnosis: "mail.certificate-name",
			Title: "another receive connector of contoso answers the tenant, with a self-signed certificate",
			late: everywhere(func(l *Lab) {
				f := l.contoso()
				f.org.Seed("ReceiveConnector", "Name", "Relay", "Server", f.frontend().String("Server"), "Fqdn",
					f.server, "Bindings",
					[]string{"0.0.0.0:25"}, "RemoteIPRanges", []string{"127.0.0.0/8"}, "TransportRole",
					"FrontendTransport",
					"TlsCertificateName", certificateName(f.authCertificate))
			}),
		},
		{
			ID: "mail.server-outdated", Diagnosis: "mail.server-outdated",
			Title: "contoso's server is older than Exchange Online takes mail from",
			early: inContoso(func(f *forestSite) { f.build = "Version 15.2 (Build 1748.24)" }),
		},
		{
			ID: "mail.no-exchanger", Turns: turns("dns.coexistence-mx"), Diagnosis: "mail.no-exchanger",
			Title: "the coexistence domain has no MX record",
			late:  everywhere(func(l *Lab) { l.zone.Remove(coexistenceDomain, dns.MX) }),
		},
		{
			ID: "mail.smart-host-stale", Turns: turns("dns.smart-host"), Diagnosis: "mail.no-exchanger",
			Title: "the tenant's outbound connector to contoso leads to a host that DNS does not know",
			late: everywhere(func(l *Lab) {
				l.tenant.org.Object("OutboundConnector", "Outbound to "+l.contoso().guid).Set("SmartHosts",
					[]string{"old." + l.contoso().domain})
			}),
		},
		{
			ID: "mail.no-route", Diagnosis: "mail.no-route",
			Title: "contoso has no send connector to the tenant",
			late:  everywhere(func(l *Lab) { l.contoso().org.Objects("SendConnector")[0].Remove() }),
		},
	}
	for i := range list {
		list[i].Message = true
	}
	return list
}

// greylist puts off the first message from each sender to each recipient.
func greylist() func(*smtp.Config) {
	var known sync.Map
	return func(c *smtp.Config) {
		before := c.Refuses
		c.Refuses = func(m smtp.Message, recipient string) string {
			if before != nil {
				if refusal := before(m, recipient); refusal != "" {
					return refusal
				}
			}
			if _, seen := known.LoadOrStore(strings.ToLower(m.From+" "+recipient), true); !seen {
				return "450 4.2.0 <" + recipient + ">: Recipient address rejected: Greylisted, try again later"
			}
			return ""
		}
	}
}
