package mail

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/hybridge-cli/hybridge/pkg/estate/certificate"
	"github.com/hybridge-cli/hybridge/pkg/lab/organization"
	"github.com/hybridge-cli/hybridge/pkg/wire/dns"
	"github.com/hybridge-cli/hybridge/pkg/wire/smtp"
)

// onPremises is an Exchange server.
type onPremises struct{ *Transport }

// frontend is the receive connector for a client: of the enabled ones of the frontend on port 25,
// the one whose remote addresses fit most closely.
func (t onPremises) frontend(remote net.Addr) *organization.Record {
	client, _ := netip.ParseAddrPort(remote.String())
	var found *organization.Record
	var smallest uint64
	for _, c := range t.Organization.Objects("ReceiveConnector") {
		if !c.Bool("Enabled") || !strings.EqualFold(c.String("Server"), t.name()) ||
			t.Edge == nil && c.String("TransportRole") != "FrontendTransport" ||
			!slices.ContainsFunc(c.Strings("Bindings"), func(b string) bool { return strings.HasSuffix(b, ":25") }) {
			continue
		}
		for _, r := range c.Strings("RemoteIPRanges") {
			if size, in := within(r, client.Addr().Unmap()); in && (found == nil || size < smallest) {
				found, smallest = c, size
			}
		}
	}
	return found
}

// name is the name of the server.
func (t *Transport) name() string {
	server, _, _ := strings.Cut(t.Host, ".")
	return strings.ToUpper(server)
}

// installed is what the store of the server shows of a certificate; nil when it is not there.
func (t onPremises) installed(c *x509.Certificate) *organization.Record {
	return t.Organization.Object("ExchangeCertificate", t.name()+`\`+certificate.Thumbprint(c))
}

// within reports whether a range (A-B, A/BITS or A) holds an IPv4 address, and how many it holds.
func within(r string, address netip.Addr) (size uint64, in bool) {
	number := func(a netip.Addr) uint64 {
		if !a.Is4() {
			return 0
		}
		four := a.As4()
		return uint64(binary.BigEndian.Uint32(four[:]))
	}
	if p, err := netip.ParsePrefix(r); err == nil {
		return 1 << (32 - min(p.Bits(), 32)), p.Contains(address)
	}
	begin, end, ok := strings.Cut(r, "-")
	if !ok {
		end = begin
	}
	first, err1 := netip.ParseAddr(begin)
	last, err2 := netip.ParseAddr(end)
	if err1 != nil || err2 != nil || !first.Is4() || !last.Is4() || !address.Is4() {
		return 0, false
	}
	return number(last) - number(first) + 1, first.Compare(address) <= 0 && address.Compare(last) <= 0
}

func (t onPremises) session(remote net.Addr) smtp.Config {
	c := t.frontend(remote)
	if c == nil {
		return smtp.Config{Greeting: "421 4.3.2 Service not available"}
	}
	config := smtp.Config{
		RequireTLS: c.Bool("RequireTLS"),
		RequestCA:  &tls.Config{ClientAuth: tls.RequestClientCert},
		Recognizes: func(s tls.ConnectionState) []string {
			if t.cloud(c, s.PeerCertificates) {
				return []string{"XOORG"}
			}
			return nil
		},
		Refuses: func(m smtp.Message, recipient string) string {
			_, domain, _ := strings.Cut(recipient, "@")
			if t.accepted(domain) != nil || t.own(m) {
				return ""
			}
			return "550 5.7.54 SMTP; Unable to relay recipient in non-accepted domain"
		},
		Takes: t.take,
	}
	if slices.Contains(strings.Split(c.String("AuthMechanism"), ", "), "Tls") {
		config.Certificate = t.serves(c)
	}
	return config
}

// serves is the certificate that a connector presents. A connector that names a certificate which
// the server does not have presents none.
func (t onPremises) serves(c *organization.Record) *tls.Certificate {
	if name := c.String("TlsCertificateName"); name != "" {
		return t.named(name)
	}
	var found *tls.Certificate
	fits := func(one *x509.Certificate) int {
		switch {
		case certificate.Covers(one, c.String("Fqdn")):
			return 2
		case !certificate.SelfSigned(one):
			return 1
		}
		return 0
	}
	for _, one := range t.Certificates() {
		r := t.installed(one.Leaf)
		if r == nil || !strings.Contains(r.String("Services"), "SMTP") {
			continue
		}
		if found == nil || fits(one.Leaf) > fits(found.Leaf) ||
			fits(one.Leaf) == fits(found.Leaf) && one.Leaf.NotAfter.After(found.Leaf.NotAfter) {
			found = &one
		}
	}
	return found
}

// named finds the newest certificate of a name <I>issuer<S>subject.
func (t onPremises) named(name string) *tls.Certificate {
	id, err := certificate.ParseIdentifier(name)
	if err != nil {
		return nil
	}
	var found *tls.Certificate
	for _, one := range t.Certificates() {
		if certificate.IdentifierOf(one.Leaf).Equal(id) &&
			t.installed(one.Leaf) != nil &&
			(found == nil || one.Leaf.NotAfter.After(found.Leaf.NotAfter)) {
			found = &one
		}
	}
	return found
}

// cloud reports whether a client's certificate names a domain that may hand over the cloud's
// headers.
func (t onPremises) cloud(c *organization.Record, peer []*x509.Certificate) bool {
	names := t.proven(peer)
	return slices.ContainsFunc(c.Strings("TlsDomainCapabilities"), func(entry string) bool {
		i := strings.LastIndex(entry, ":")
		return i > 0 && (strings.Contains(entry[i:], "AcceptCloudServicesMail") ||
			strings.Contains(entry[i:], "AcceptOorgProtocol")) &&
			slices.ContainsFunc(names, func(n string) bool { return covers(entry[:i], n) })
	})
}

// covers reports whether a domain of a connector covers a name of a certificate: itself, or with
// "*." those below it.
func covers(domain, name string) bool {
	if parent, ok := strings.CutPrefix(strings.ToLower(domain), "*."); ok {
		return strings.HasSuffix(strings.ToLower(name), "."+parent)
	}
	return strings.EqualFold(domain, name)
}

// own reports whether another transport server of the organization is the client.
func (t onPremises) own(m smtp.Message) bool {
	return t.Trusts != nil && m.TLS != nil && len(m.TLS.PeerCertificates) > 0 && t.Trusts(m.TLS.PeerCertificates[0])
}

func (t onPremises) admit(m smtp.Message, h *Header) (verdict, string) {
	if t.own(m) {
		return verdict{trusted: true, internal: h.Get(organizationPrefix+"AuthAs") == "Internal"}, ""
	}
	c := t.frontend(m.Remote)
	v := verdict{connector: c.String("Server") + `\` + c.String("Name")}
	if m.TLS != nil && t.cloud(c, m.TLS.PeerCertificates) {
		v.promoted = h.Get(crossPrefix+"AuthAs") != ""
		v.internal = h.Get(crossPrefix+"AuthAs") == "Internal"
	}
	return v, ""
}

// route finds the send connector with the closest address space and the lowest cost.
func (t onPremises) route(domain string) (way, error) {
	var found *organization.Record
	closest, lowest := -1, 0
	connectors := t.Organization.Objects("SendConnector")
	if t.Edge != nil {
		connectors = nil
		if t.Edge.synced() {
			connectors = t.Edge.From.Objects("SendConnector")
		}
	}
	for _, c := range connectors {
		if !c.Bool("Enabled") {
			continue
		}
		for _, space := range c.Strings("AddressSpaces") {
			pattern, cost := addressSpace(space)
			if n := closeness(pattern, domain); n >= 0 && (n > closest || n == closest && cost < lowest) {
				found, closest, lowest = c, n, cost
			}
		}
	}
	// An accepted domain is the Mailbox servers' own, unless a connector names it.
	if t.Edge != nil && closest < exact && t.accepted(domain) != nil {
		return way{connector: "EdgeSync - Inbound to Site", hosts: []string{t.Edge.Inside}, requireTLS: true,
			hello: t.Host, certificate: t.Trusted, trusted: true}, nil
	}
	if found == nil {
		return way{}, errors.New("450 4.4.0 A matching connector cannot be found to route the external recipient")
	}
	if from := found.Strings("SourceTransportServers"); t.Peer != nil &&
		!slices.ContainsFunc(from, func(s string) bool { return strings.EqualFold(s, t.name()) }) {
		var hosts []string
		for _, server := range from {
			if host := t.Peer(server); host != "" {
				hosts = append(hosts, host)
			}
		}
		if len(hosts) > 0 {
			return way{connector: "Intra-Organization SMTP Send Connector", hosts: hosts, requireTLS: true,
				hello: t.Host, certificate: t.Trusted, trusted: true}, nil
		}
	}
	level := found.String("TlsAuthLevel")
	w := way{
		connector: found.String("Name"), hosts: found.Strings("SmartHosts"), requireTLS: found.Bool("RequireTLS"),
		validate: level == "CertificateValidation" || level == "DomainValidation", hello: found.String("Fqdn"),
		cloud: found.Bool("CloudServicesMailEnabled"),
	}
	if w.hello == "" {
		w.hello = t.Host
	}
	if level == "DomainValidation" {
		w.tlsDomain = found.String("TlsDomain")
	}
	if name := found.String("TlsCertificateName"); name != "" {
		if w.certificate = t.named(name); w.certificate == nil {
			return way{}, errors.New("454 4.7.5 The certificate specified in TlsCertificateName of the SendConnector " +
				"could not be found")
		}
	} else if w.requireTLS {
		for _, one := range t.Certificates() {
			if certificate.Covers(one.Leaf, w.hello) {
				w.certificate = &one
			}
		}
	}
	return w, nil
}

// addressSpace splits smtp:contoso.com;1.
func addressSpace(space string) (pattern string, cost int) {
	_, rest, ok := strings.Cut(space, ":")
	if !ok {
		rest = space
	}
	pattern, number, _ := strings.Cut(rest, ";")
	cost, err := strconv.Atoi(number)
	if err != nil {
		cost = 1
	}
	return strings.ToLower(pattern), cost
}

// exact is the closeness of a pattern that is the domain.
const exact = 1000

// closeness says how closely a pattern fits a domain; -1 when it does not.
func closeness(pattern, domain string) int {
	pattern, domain = strings.ToLower(pattern), strings.ToLower(domain)
	switch {
	case pattern == domain:
		return exact
	case pattern == "*":
		return 0
	case strings.HasPrefix(pattern, "*.") && strings.HasSuffix(domain, pattern[1:]):
		return len(pattern)
	}
	return -1
}

func (t onPremises) unknown(string) string {
	return "550 5.1.10 RESOLVER.ADR.RecipientNotFound; Recipient not found by SMTP address lookup"
}

func (t onPremises) explain(host string, err error) string {
	var reply *smtp.ReplyError
	var untrusted *certificateError
	var failed *smtp.StepError
	switch {
	case errors.As(err, &reply):
		return status(reply)
	case errors.As(err, &untrusted):
		return "454 4.7.5 Certificate validation failure, Reason:" + untrusted.reason
	case errors.Is(err, smtp.ErrNoTLS):
		return "451 5.7.3 STARTTLS is required to send mail"
	case errors.Is(err, dns.ErrAbsent), errors.Is(err, dns.ErrEmpty):
		return "451 4.4.0 DNS query failed. The error was: DNS query failed with error InfoDomainNonexistent -> " +
			"DnsDomainDoesNotExist: " + host
	case errors.As(err, &failed) && failed.Step == smtp.Connect:
		return fmt.Sprintf("441 4.4.1 Error encountered while communicating with primary target IP address: "+
			"\"Failed to connect. Winsock error code: 10061, Win32 error code: 10061.\" Attempted failover to "+
			"alternate host, but that did not succeed. Either there are no alternate hosts, or delivery failed to "+
			"all alternate hosts. The last endpoint attempted was %s:25", host)
	case errors.As(err, &failed) && failed.Step == smtp.Handshake:
		return "451 4.4.0 TLS negotiation failed with error " + failed.Err.Error()
	}
	return "451 4.4.0 Primary target IP address responded with: \"" + err.Error() + "\""
}

// status is a reply in one line.
func status(r *smtp.ReplyError) string { return r.Status() + " " + r.Text }
