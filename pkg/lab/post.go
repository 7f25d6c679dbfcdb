package lab

import (
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"hash/fnv"
	"net/netip"
	"slices"
	"strings"

	"github.com/hybridge-cli/hybridge/pkg/estate/certificate"
	"github.com/hybridge-cli/hybridge/pkg/lab/mail"
	"github.com/hybridge-cli/hybridge/pkg/lab/organization"
)

// protection is the domain in the names of Exchange Online's mail servers.
const protection = "mail.protection.outlook.com"

// senders is the domain whose SPF record names Exchange Online's servers.
const senders = "spf.protection.outlook.com"

// exchanger is the host at which Exchange Online takes mail for a domain, as Microsoft Graph names
// it.
func exchanger(domain string) string { return strings.ReplaceAll(domain, ".", "-") + "." + protection }

// address is what the organization knows of an address.
func (p *premise) address(address string) mail.Address {
	r, ok := p.find(address)
	if !ok {
		return mail.Address{}
	}
	return mail.Address{Known: true, Here: r.here, Primary: r.primary, Target: r.target}
}

// raiseMail opens port 25 of the forest's servers.
func (f *forestSite) raiseMail(l *Lab) error {
	published := []string{f.mail + ":25"}
	inspect := f.inspect
	if f.edge != nil {
		published, inspect = nil, nil // mail from outside arrives at the Edge server
		if err := f.raiseEdge(l); err != nil {
			return err
		}
	}
	boxes := &mail.Mailboxes{}
	listeners, err := f.listenEach("25", published...)
	if err != nil {
		return err
	}
	for i, s := range f.exchange {
		trusted := s.own.tls()
		s.post = mail.New(mail.Config{
			Organization: f.org, Host: s.host, Build: s.dotted(), Certificates: s.heldTLS, Find: f.premise.address,
			Now: l.now, Alter: inspect, Mailboxes: boxes, Trusts: f.trusts, Trusted: &trusted, Peer: f.transportHost,
			At: f.transportOf, Home: func(address string) *mail.Transport {
				if home := f.homeOf(f.premise.address(address).Primary); home != nil {
					return home.post
				}
				return nil
			},
		})
		for _, listener := range listeners[i] {
			f.queue(func() error { return s.post.Serve(listener) }, func() { listener.Close(); s.post.Close() })
		}
	}
	f.post = f.first().post
	f.premise.post = f.post
	return nil
}

// trusts recognizes the certificates by which transport servers of the organization know each other.
func (f *forestSite) trusts(c *x509.Certificate) bool {
	if f.edge != nil && sameAs(f.edge.own)(c) {
		return true
	}
	return slices.ContainsFunc(f.exchange, func(s *exchangeServer) bool { return sameAs(s.own)(c) })
}

// transportHost is the host of a transport server by its name; empty: there is none.
func (f *forestSite) transportHost(name string) string {
	if e := f.edge; e != nil && strings.EqualFold(name, e.name) {
		return e.host
	}
	if s := f.serverNamed(name); s != nil {
		return s.host
	}
	return ""
}

// transportOf is the transport that a cmdlet about messages reads: of the server in its identity, or
// that it names, or that runs it.
func (f *forestSite) transportOf(c organization.Call) (*mail.Transport, error) {
	name := c.Server()
	if identity, ok := c.Parameters["Identity"].(string); ok {
		name, _, _ = strings.Cut(identity, `\`)
	}
	if s := f.serverNamed(name); s != nil {
		return s.post, nil
	}
	return nil, refusedCertificate(c, "The Exchange server '%s' wasn't found.", name)
}

// public is the address by which the forest's servers leave for the internet.
func (f *forest) public() netip.Addr {
	h := fnv.New32a()
	h.Write([]byte(f.name))
	return netip.AddrFrom4([4]byte{203, 0, 113, byte(1 + h.Sum32()%250)}) // of documentation
}

// mailDomains are the domains for which Exchange Online has a mail server.
func (t *tenantSite) mailDomains() []string {
	return slices.Concat([]string{tenantDomain, coexistenceDomain}, t.domains)
}

// registerMail announces Exchange Online's mail servers. The forests' domains have their mail
// exchangers on-premises.
func (t *tenantSite) registerMail(r *registry) {
	r.certificate(&t.exchanger, leaf{subject: pkix.Name{CommonName: protection,
		Organization: []string{"Microsoft Corporation"}},
		names: []string{protection, "*." + protection}})
	r.zones = append(r.zones, protection, senders)
	r.records = append(r.records,
		senders+`. TXT "v=spf1 ip4:40.92.0.0/15 ip4:40.107.0.0/16 ip6:2a01:111:f403::/48 -all"`)
	for _, domain := range t.domains {
		for _, selector := range []string{"selector1", "selector2"} {
			key := selector + "-" + strings.ReplaceAll(domain, ".", "-") + "._domainkey." + tenantDomain
			r.records = append(r.records, selector+"._domainkey."+domain+". CNAME "+key+".",
				key+`. TXT "v=DKIM1; k=rsa; p=MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8A"`)
		}
	}
	for _, domain := range t.mailDomains() {
		r.host(exchanger(domain))
	}
	for _, domain := range []string{tenantDomain, coexistenceDomain} {
		r.records = append(r.records, domain+". MX 0 "+exchanger(domain)+".")
	}
}

// raiseMail opens port 25 of Exchange Online's mail servers.
func (t *tenantSite) raiseMail(l *Lab) error {
	var names []string
	for _, domain := range t.mailDomains() {
		names = append(names, exchanger(domain)+":25")
	}
	listener, err := t.listen(names...)
	if err != nil {
		return err
	}
	t.post = mail.New(mail.Config{
		Organization: t.org, Host: "AM0PR01MB0001.eurprd01.prod.exchangelabs.com", Build: "15.20.9000.10", Tenant: t.id,
		Certificates: func() []tls.Certificate { return []tls.Certificate{t.exchanger.tls()} },
		Find:         t.premise.address, Now: l.now, Origin: l.network.origin,
	})
	t.queue(func() error { return t.post.Serve(listener) }, func() { listener.Close(); t.post.Close() })
	return nil
}

// certificateName is how connectors name a certificate.
func certificateName(c *issued) string { return certificate.IdentifierOf(c.cert).String() }

// frontend is the connector at which the forest's first server takes mail from everywhere.
func (f *forestSite) frontend() *organization.Record { return f.first().frontend() }

func (s *exchangeServer) frontend() *organization.Record {
	return s.site.org.Object("ReceiveConnector", s.name()+`\Default Frontend `+s.name())
}
