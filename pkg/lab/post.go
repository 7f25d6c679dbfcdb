package lab

import (
	"crypto/tls"
	"crypto/x509/pkix"
	"fmt"
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

// raiseMail opens port 25 of the forest's server.
func (f *forestSite) raiseMail(l *Lab) error {
	names := []string{f.mail + ":25", f.server + ":25"}
	config := mail.Config{
		Organization: f.org, Host: f.server, Build: f.dotted(),
		Certificates: f.held, Find: f.premise.address, Now: l.now, Alter: f.inspect,
	}
	if e := f.edge; e != nil {
		names = names[1:] // mail from outside arrives at the Edge server
		if err := f.raiseEdge(l); err != nil {
			return err
		}
		trusted := f.serverCertificate.tls()
		config.Alter, config.Trusts, config.Trusted = nil, sameAs(e.own), &trusted
		config.EdgeHost = func(server string) string {
			if strings.EqualFold(server, e.name) {
				return e.host
			}
			return ""
		}
	}
	listener, err := f.listen(names...)
	if err != nil {
		return err
	}
	f.post = mail.New(config)
	f.premise.post = f.post
	f.queue(func() error { return f.post.Serve(listener) }, func() { listener.Close(); f.post.Close() })
	return nil
}

// dotted is the build of the forest's server as 15.2.2562.17.
func (f *forest) dotted() string {
	var b [4]int
	_, _ = fmt.Sscanf(f.build, "Version %d.%d (Build %d.%d)", &b[0], &b[1], &b[2], &b[3])
	return fmt.Sprintf("%d.%d.%d.%d", b[0], b[1], b[2], b[3])
}

// public is the address by which the forest's servers leave for the internet.
func (f *forest) public() netip.Addr {
	h := fnv.New32a()
	h.Write([]byte(f.name))
	return netip.AddrFrom4([4]byte{203, 0, 113, byte(1 + h.Sum32()%250)}) // of documentation
}

// held are the certificates whose keys the server has.
func (f *forestSite) held() []tls.Certificate {
	f.mu.Lock()
	defer f.mu.Unlock()
	out := []tls.Certificate{f.transport.tls()}
	for _, c := range f.authCertificates {
		out = append(out, c.tls())
	}
	return out
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

// frontend is the connector at which the forest's server takes mail from everywhere.
func (f *forestSite) frontend() *organization.Record {
	server := strings.ToUpper(firstLabel(f.server))
	return f.org.Object("ReceiveConnector", server+`\Default Frontend `+server)
}
