package mail

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/hybridge-cli/hybridge/pkg/estate/certificate"
	"github.com/hybridge-cli/hybridge/pkg/lab/organization"
	"github.com/hybridge-cli/hybridge/pkg/wire/dns"
	"github.com/hybridge-cli/hybridge/pkg/wire/smtp"
)

// online is Exchange Online with its one tenant.
type online struct{ *Transport }

func (t online) session(net.Addr) smtp.Config {
	config := smtp.Config{
		RequestCA: &tls.Config{ClientAuth: tls.RequestClientCert},
		Recognizes: func(s tls.ConnectionState) []string {
			if c := t.hybrid(t.proven(s.PeerCertificates), netip.Addr{}, "*"); c != nil &&
				c.Bool("CloudServicesMailEnabled") {
				return []string{"XOORG"}
			}
			return nil
		},
		Refuses: t.refuses,
		Takes:   t.take,
	}
	if have := t.Certificates(); len(have) > 0 {
		config.Certificate = &have[0]
	}
	return config
}

// origin is the address that a client of the internet has.
func (t online) origin(client net.Addr) netip.Addr {
	if t.Origin != nil {
		return t.Origin(client)
	}
	a, _ := netip.ParseAddrPort(client.String())
	return a.Addr().Unmap()
}

// hybrid finds the connector of an organization's own servers for the names that a certificate
// proves, one of which must be in an accepted domain, or for an address and a sender of an
// accepted domain.
func (t online) hybrid(names []string, address netip.Addr, sender string) *organization.Record {
	for _, c := range t.Organization.Objects("InboundConnector") {
		if !c.Bool("Enabled") || c.String("ConnectorType") != "OnPremises" || !forSender(c, sender) {
			continue
		}
		wanted := c.String("TlsSenderCertificateName")
		if wanted != "" && slices.ContainsFunc(names, func(n string) bool { return presents(wanted, n) && t.owns(n) }) {
			return c
		}
		if wanted == "" && address.IsValid() && named(c, address) && t.accepted(sender) != nil {
			return c
		}
	}
	return nil
}

// named reports whether a connector names an address.
func named(c *organization.Record, address netip.Addr) bool {
	return slices.ContainsFunc(c.Strings("SenderIPAddresses"), func(r string) bool {
		_, in := within(r, address)
		return in
	})
}

// presents reports whether a name of a certificate is the one that a connector expects. A wildcard
// of the connector stands for itself and for the hosts below it.
func presents(wanted, name string) bool {
	return strings.EqualFold(wanted, name) || strings.HasPrefix(wanted, "*.") && covers(wanted, name)
}

// owns reports whether a name of a certificate is an accepted domain or directly below one. A domain
// further up counts where it covers its subdomains alone.
func (t online) owns(name string) bool {
	name = strings.ToLower(name)
	_, parent, _ := strings.Cut(name, ".")
	return slices.ContainsFunc(t.Organization.Objects("AcceptedDomain"), func(d *organization.Record) bool {
		domain := strings.ToLower(d.String("DomainName"))
		return name == domain || parent == domain || d.Bool("MatchSubDomains") && strings.HasSuffix(parent, "."+domain)
	})
}

// forSender reports whether a connector is for senders of a domain; "*" stands for any domain.
func forSender(c *organization.Record, domain string) bool {
	return domain == "*" || slices.ContainsFunc(c.Strings("SenderDomains"), func(space string) bool {
		pattern, _ := addressSpace(space)
		return closeness(pattern, domain) >= 0
	})
}

// refuses judges a recipient: the organization's own, or one that a connector lets through.
func (t online) refuses(m smtp.Message, recipient string) string {
	_, sender, _ := strings.Cut(strings.ToLower(m.From), "@")
	_, domain, _ := strings.Cut(strings.ToLower(recipient), "@")
	names := t.names509(m)
	c := t.hybrid(names, t.origin(m.Remote), sender)
	switch {
	case t.accepted(domain) == nil && c == nil:
		why := "EmptyCertificate"
		if len(names) > 0 {
			why = "NoConnectorMatched"
		}
		return "550 5.7.64 TenantAttribution; Relay Access Denied [ValidationStatus of '' is '" + why + "']"
	case t.accepted(domain) == nil:
		return ""
	}
	if c == nil {
		for _, p := range t.Organization.Objects("InboundConnector") {
			if !p.Bool("Enabled") || p.String("ConnectorType") != "Partner" || !forSender(p, sender) ||
				!p.Bool("RestrictDomainsToCertificate") && !p.Bool("RestrictDomainsToIPAddresses") {
				continue
			}
			wanted := p.String("TlsSenderCertificateName")
			if p.Bool("RestrictDomainsToIPAddresses") && !named(p, t.origin(m.Remote)) ||
				p.Bool("RestrictDomainsToCertificate") &&
					!slices.ContainsFunc(names, func(n string) bool { return presents(wanted, n) }) {
				return "550 5.7.51 TenantInboundAttribution; There is a partner connector configured that matched " +
					"the message's recipient domain. The connector had either the RestrictDomainsToIPAddresses or " +
					"RestrictDomainsToCertificate set"
			}
		}
		if t.Organization.Objects("OrganizationConfig")[0].Bool("RejectDirectSend") && sender != "" &&
			t.accepted(sender) != nil {
			return "550 5.7.68 TenantInboundAttribution; Direct Send not allowed for this organization from " +
				"unauthorized sources"
		}
	}
	if t.authoritative(domain) && !t.Find(recipient).Known {
		return "550 5.4.1 Recipient address rejected: Access denied. For more information see " +
			"https://aka.ms/EXOSmtpErrors [" + t.Host + "]"
	}
	return ""
}

func (t online) names509(m smtp.Message) []string {
	if m.TLS == nil {
		return nil
	}
	return t.proven(m.TLS.PeerCertificates)
}

var exchangeBuild = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`with Microsoft SMTP Server.* id (\d+)\.(\d+)\.(\d+)\.(\d+)`)
})

// floors are the oldest builds, by cumulative update, whose servers may hand over mail at a
// connector of the organization's own servers since September 2026. Later versions have none.
var floors = map[string]int{"15.1.2507": 61, "15.2.1544": 36, "15.2.1748": 39}

// outdated reports whether the build in the newest Received header is below the floor.
func outdated(h *Header) bool {
	found := exchangeBuild().FindStringSubmatch(h.Get("Received"))
	return found != nil && Outdated(strings.Join(found[1:], ".")) // nil: not an Exchange server
}

// Outdated reports whether Exchange Online slows down mail of servers with a build.
func Outdated(build string) bool {
	var b [4]int
	_, _ = fmt.Sscanf(build, "%d.%d.%d.%d", &b[0], &b[1], &b[2], &b[3])
	if floor, ok := floors[fmt.Sprintf("%d.%d.%d", b[0], b[1], b[2])]; ok {
		return b[3] < floor
	}
	return b[0] != 15 || b[1] < 2 || b[2] < 2562
}

func (t online) admit(m smtp.Message, h *Header) (verdict, string) {
	_, sender, _ := strings.Cut(strings.ToLower(m.From), "@")
	c := t.hybrid(t.names509(m), t.origin(m.Remote), sender)
	if c == nil {
		return verdict{}, ""
	}
	if outdated(h) {
		// The last stage of the clock, which began long ago.
		return verdict{}, "550 5.7.230 Connecting Exchange server version is out-of-date; connection to Exchange " +
			"Online blocked for 60 mins/hr. For more information see https://aka.ms/BlockUnsafeExchange."
	}
	v := verdict{connector: c.String("Name")}
	switch {
	case c.Bool("CloudServicesMailEnabled"):
		v.promoted = h.Get(crossPrefix+"AuthAs") != ""
		v.internal = h.Get(crossPrefix+"AuthAs") == "Internal"
	case c.Bool("TreatMessagesAsInternal"):
		v.internal = t.accepted(sender) != nil
	}
	return v, ""
}

// route finds the outbound connector with the closest domain. Without one, mail goes to the
// domain's mail exchangers.
func (t online) route(domain string) (way, error) {
	var found *organization.Record
	closest := -1
	for _, c := range t.Organization.Objects("OutboundConnector") {
		if !c.Bool("Enabled") || c.Bool("IsTransportRuleScoped") || c.Bool("TestMode") {
			continue
		}
		for _, pattern := range c.Strings("RecipientDomains") {
			if n := closeness(pattern, domain); n > closest {
				found, closest = c, n
			}
		}
	}
	have := t.Certificates()
	w := way{hello: t.Host}
	if len(have) > 0 {
		w.certificate = &have[0]
	}
	if found == nil {
		return w, nil
	}
	w.connector, w.cloud = found.String("Name"), found.Bool("CloudServicesMailEnabled")
	if !found.Bool("UseMXRecord") {
		w.hosts = found.Strings("SmartHosts")
	}
	switch found.String("TlsSettings") {
	case "EncryptionOnly":
		w.requireTLS = true
	case "CertificateValidation":
		w.requireTLS, w.validate = true, true
	case "DomainValidation":
		w.requireTLS, w.validate, w.tlsDomain = true, true, found.String("TlsDomain")
	}
	return w, nil
}

func (t online) unknown(address string) string {
	return "550 5.1.10 RESOLVER.ADR.RecipientNotFound; Recipient " + address + " not found by SMTP address lookup"
}

func (t online) explain(host string, err error) string {
	var reply *smtp.ReplyError
	var untrusted *certificateError
	var failed *smtp.StepError
	last := " [LastAttemptedServerName=" + host + "]"
	switch {
	case errors.As(err, &reply):
		return status(reply) + last
	case errors.As(err, &untrusted):
		detail := untrusted.reason
		if detail == "SubjectMismatch" {
			detail += " Expected Subject: " + untrusted.expected + ". Presented Subject: " + untrusted.subject +
				". Thumbprint: " + untrusted.thumbprint
		}
		return "450 4.4.317 Cannot connect to remote server [Message=" + detail + "]" + last
	case errors.Is(err, smtp.ErrNoTLS):
		return "450 4.4.317 Cannot connect to remote server [Message=451 5.7.3 STARTTLS is required to send mail]" +
			last
	case errors.Is(err, dns.ErrAbsent), errors.Is(err, dns.ErrEmpty), errors.Is(err, dns.ErrFailed):
		return "450 4.4.312 DNS query failed [Message=" + host + " has no records]"
	case errors.As(err, &failed) && failed.Step == smtp.Connect:
		return "450 4.4.316 Connection refused [Message=Socket error code 10061]" + last
	case errors.As(err, &failed) && failed.Step == smtp.Handshake:
		return "450 4.4.317 Cannot establish session with remote server [Message=" + failed.Err.Error() + "]" + last
	}
	return fmt.Sprintf("450 4.4.318 Connection was closed abruptly (SuspiciousRemoteServerError) [Message=%v]%s",
		err, last)
}

// proven are the names of a certificate that the side trusts, as a client's.
func (t *Transport) proven(chain []*x509.Certificate) []string {
	if len(chain) == 0 || t.check(chain, x509.ExtKeyUsageClientAuth) != "" {
		return nil
	}
	return certificate.Names(chain[0])
}

// check returns why a chain is not trusted, in Exchange's words; "" when it is.
func (t *Transport) check(chain []*x509.Certificate, usage x509.ExtKeyUsage) string {
	above := x509.NewCertPool()
	for _, c := range chain[1:] {
		above.AddCert(c)
	}
	_, err := chain[0].Verify(x509.VerifyOptions{Roots: t.roots, Intermediates: above, CurrentTime: t.Now(),
		KeyUsages: []x509.ExtKeyUsage{usage}})
	var invalid x509.CertificateInvalidError
	switch {
	case err == nil:
		return ""
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return "CertExpired"
	}
	return "UntrustedRoot"
}

// verify judges the certificate of the server that a connector leads to.
func (t *Transport) verify(w way, host string, chain []*x509.Certificate) error {
	if !w.validate {
		return nil
	}
	failed := &certificateError{expected: w.tlsDomain, subject: certificate.Subject(chain[0]),
		thumbprint: certificate.Thumbprint(chain[0])}
	if failed.expected == "" {
		failed.expected = host
	}
	// The names must have the connector's domain: literally, or with the wildcard of either. A
	// wrong name is reported also where the chain is not trusted.
	if w.tlsDomain != "" && !slices.ContainsFunc(certificate.Names(chain[0]), func(n string) bool {
		return presents(w.tlsDomain, n) || certificate.Matches(n, w.tlsDomain)
	}) {
		failed.reason = "SubjectMismatch"
		return failed
	}
	if failed.reason = t.check(chain, x509.ExtKeyUsageServerAuth); failed.reason != "" {
		return failed
	}
	return nil
}
