package desired

import (
	"context"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/hybridge-cli/hybridge/pkg/engine/change"
	"github.com/hybridge-cli/hybridge/pkg/engine/msg"
	"github.com/hybridge-cli/hybridge/pkg/estate/certificate"
	"github.com/hybridge-cli/hybridge/pkg/estate/exchange"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/fact"
	"github.com/hybridge-cli/hybridge/pkg/wire/dns"
)

// transportRotation replaces the transport certificate of a forest. The sequence keeps mail flowing:
//
//  1. Where other mail servers pin the certificate (TLSA), the new record comes first: the import
//     of a certificate with the present issuer and subject already makes Exchange use it.
//  2. The tenant learns the new name, at a connector beside the present one.
//  3. Every server gets the certificate.
//  4. The connectors and the record of the forest name it, where issuer or subject differ.
//  5. The tenant's record of the organization names the new connector.
//  6. A later run removes the connector for the earlier name.
var transportRotation = &Topic{
	ID:        "transport-certificate",
	Title:     "Another transport certificate",
	Verb:      "rotate transport-certificate",
	Features:  mailFeatures,
	PerForest: true,
	Kinds: []*Kind{serverCertificate, sendConnector, receiveConnector, hybridConfiguration,
		inboundConnector, outboundConnector, onPremisesOrganization},
	Reads: fact.List(fact.Organization, fact.OnlineAcceptedDomains, fact.OnlineConfig, fact.Tenant, fact.MX, fact.TLSA,
		fact.MailServers, fact.HybridConfigurations, fact.MailboxServers, fact.Servers, fact.CertificateFile,
		fact.CertificateStores, fact.SendConnectors, fact.ReceiveConnectors, fact.InboundConnectors,
		fact.OutboundConnectors, fact.HybridOrganizations),
	Derive: func(ctx context.Context, p *Planner) error {
		if p.rotation.Transport == nil {
			return nil
		}
		r, err := p.renewal(ctx, *p.rotation.Transport)
		if err != nil {
			return err
		}
		if ready, err := p.pinned(ctx, r); !ready || err != nil {
			return err
		}
		return p.renew(ctx, r)
	},
}

// renewal is what the rotation of one forest's transport certificate asks again and again.
type renewal struct {
	TransportCertificate
	id      certificate.Identifier
	name    string // common name
	host    string // that takes mail from the tenant
	guid    string
	stores  fact.Stores
	edge    []string
	send    []fact.SendConnector    // that name a certificate of the forest's
	receive []fact.ReceiveConnector // likewise
	record  fact.HybridConfiguration
	known   *fact.HybridOrganization // the tenant's record
	old     []certificate.Identifier // what they name now, other than the new one
	// exchangers are hosts that take mail for the forest's domains with the present certificate.
	exchangers []string
}

// present are the certificates in the stores that the rotation replaces.
func (r renewal) present() (out []*x509.Certificate, where map[string][]string) {
	where = map[string][]string{}
	for _, server := range sortedKeys(r.stores) {
		for _, c := range r.stores[server] {
			id, thumbprint := certificate.IdentifierOf(c), certificate.Thumbprint(c)
			if thumbprint == certificate.Thumbprint(r.Leaf) || !id.Equal(r.id) &&
				!slices.ContainsFunc(r.old, id.Equal) {
				continue
			}
			out = append(out, c)
			where[thumbprint] = append(where[thumbprint], server)
		}
	}
	return out, where
}

// changes reports whether connectors have to name another certificate than now.
func (r renewal) changes() bool { return len(r.old) > 0 }

// renewal reads what is live, and refuses a certificate that would stop mail.
func (p *Planner) renewal(ctx context.Context, c TransportCertificate) (r renewal, err error) {
	r = renewal{TransportCertificate: c, id: certificate.IdentifierOf(c.Leaf), name: commonName(c.Leaf)}
	if r.host, err = p.mailHost(); err != nil {
		return r, err
	}
	if err := p.fitsMail(ctx, r); err != nil {
		return r, err
	}
	if r.guid, err = p.organization(ctx, p.Forest); err != nil {
		return r, err
	}
	servers, err := p.mailServers(ctx)
	if err != nil {
		return r, err
	}
	r.edge = servers.edge
	if r.stores, err = fact.CertificateStores.In(ctx, p.Forest); err != nil {
		return r, err
	}
	if len(r.stores) == 0 {
		return r, missing("certificate stores of the Mailbox servers", "forest "+p.Forest.Name())
	}
	if r.record, err = fact.HybridConfigurations.In(ctx, p.Forest); err != nil {
		return r, err
	}
	organizations, err := fact.HybridOrganizations.In(ctx, p.set.Tenant)
	if err != nil {
		return r, err
	}
	for _, o := range organizations {
		if normalGUID(o.GUID) == r.guid {
			r.known = &o
		}
	}
	if err := p.named(ctx, &r); err != nil {
		return r, err
	}
	return r, p.keepsNames(ctx, &r)
}

// fitsMail refuses a certificate with which mail would be refused.
func (p *Planner) fitsMail(ctx context.Context, r renewal) error {
	c, now := r.Leaf, p.set.Now()
	server, client := certificate.Usable(c)
	switch {
	case r.Key == nil:
		return refuse("%s: %s holds no private key: export the certificate with its key as PKCS#12", p.Forest.Name(),
			r.File)
	case now.Before(c.NotBefore):
		return refuse("%s: the certificate in %s is valid from %s on: Exchange takes no certificate before",
			p.Forest.Name(), r.File, c.NotBefore.UTC().Format(time.RFC3339))
	case !c.NotAfter.After(now):
		return refuse("%s: the certificate in %s ended on %s", p.Forest.Name(), r.File,
			c.NotAfter.UTC().Format(time.DateOnly))
	case r.name == "":
		return refuse("%s: the certificate in %s has no common name, by which Exchange finds it and the tenant "+
			"recognizes the forest: get one whose subject is CN=%s", p.Forest.Name(), r.File, r.host)
	case !certificate.Covers(c, r.host):
		return refuse("%s: the certificate in %s does not speak for %s (namespace.smtp): the tenant sends no mail to a "+
			"host whose certificate has another name", p.Forest.Name(), r.File, r.host)
	case !server:
		return refuse("%s: the certificate in %s is not for servers (extended key usage)", p.Forest.Name(), r.File)
	}
	if !client {
		p.Note(msg.Of("the certificate in %s is not for clients (extended key usage): whether the tenant recognizes the "+
			"forest by it is not known; test mail with hybridge test --message", r.File))
	}
	if err := certificate.Verify(r.Bundle, p.set.Roots, "", now); err != nil {
		return refuse("%s: the certificate in %s: %w: put the intermediate certificates into the file, and name a "+
			"private authority in network.caFile", p.Forest.Name(), r.File, err)
	}
	accepted, err := fact.OnlineAcceptedDomains.In(ctx, p.set.Tenant)
	if err != nil {
		return err
	}
	if !attributable(r.name, accepted) {
		return refuse("%s: the common name %s is in no accepted domain of the tenant (itself, or directly below one): the "+
			"tenant would not recognize the forest's mail by it (550 5.7.64, ATTR36)", p.Forest.Name(), r.name)
	}
	for _, other := range p.set.Forests {
		theirs, err := fact.CertificateFile.In(ctx, other)
		if err == nil && other != p.Forest && strings.EqualFold(commonName(theirs.Leaf), r.name) {
			return refuse("forests %s and %s would present certificates of one name, %s, by which the tenant "+
				"recognizes their mail: give each its own", p.Forest.Name(), other.Name(), r.name)
		}
	}
	return nil
}

// attributable reports whether Exchange Online attributes mail to the tenant by a name in a certificate:
// the name, or the domain directly above it, is accepted there. One further up does not count (Microsoft's
// article on ATTR36), unless it covers its subdomains.
func attributable(name string, accepted []fact.AcceptedDomain) bool {
	name = strings.ToLower(name)
	_, parent, _ := strings.Cut(name, ".")
	return slices.ContainsFunc(accepted, func(d fact.AcceptedDomain) bool {
		domain := normalDomain(d.Name)
		return name == domain || parent == domain || d.SubDomains && strings.HasSuffix(parent, "."+domain)
	})
}

// named finds the connectors that name the forest's certificate: those of hybrid, and all others
// with the same one.
func (p *Planner) named(ctx context.Context, r *renewal) error {
	sends, err := fact.SendConnectors.In(ctx, p.Forest)
	if err != nil {
		return err
	}
	receives, err := fact.ReceiveConnectors.In(ctx, p.Forest)
	if err != nil {
		return err
	}
	coexistence, err := p.coexistence(ctx)
	if err != nil {
		return err
	}
	hybrid := func(c fact.SendConnector) bool {
		return c.CloudHeader || slices.ContainsFunc(c.AddressSpaces,
			func(s string) bool { return normalDomain(s) == coexistence })
	}
	frontend := func(c fact.ReceiveConnector) bool { return len(c.Capabilities) > 0 }
	var all []certificate.Identifier
	add := func(name string) {
		if id, err := certificate.ParseIdentifier(name); err == nil && !slices.ContainsFunc(all, id.Equal) {
			all = append(all, id)
		}
	}
	add(r.record.CertificateName)
	for _, c := range sends {
		if hybrid(c) {
			add(c.TLSCertificateName)
		}
	}
	for _, c := range receives {
		if frontend(c) {
			add(c.TLSCertificateName)
		}
	}
	if len(all) == 0 {
		return fmt.Errorf("%s: %w", p.Forest.Name(), errNoMailFlow)
	}
	ours := func(name string) bool {
		id, err := certificate.ParseIdentifier(name)
		return err == nil && slices.ContainsFunc(all, id.Equal)
	}
	for _, c := range sends {
		switch {
		case ours(c.TLSCertificateName):
			r.send = append(r.send, c)
		case c.TLSCertificateName != "":
			p.Note(msg.Of("the send connector %s names another certificate, and stays", c.Name))
		}
	}
	for _, c := range receives {
		if ours(c.TLSCertificateName) {
			r.receive = append(r.receive, c)
		}
	}
	r.old = slices.DeleteFunc(all, r.id.Equal)
	return nil
}

// keepsNames refuses a certificate that lacks a name by which other mail servers validate the
// present one: senders with DANE or an enforced MTA-STS policy would hold their mail back.
func (p *Planner) keepsNames(ctx context.Context, r *renewal) error {
	present, _ := r.present()
	covered := func(host string) bool {
		return slices.ContainsFunc(present, func(c *x509.Certificate) bool { return certificate.Covers(c, host) })
	}
	for _, domain := range lower(p.Forest.Answers.Domains) {
		hosts, err := fact.MX.In(ctx, p.set.Network, domain)
		if errors.Is(err, dns.ErrAbsent) || errors.Is(err, dns.ErrEmpty) {
			continue
		}
		if err != nil {
			return err
		}
		for _, host := range hosts {
			host = normalHost(host)
			if host != r.host && !covered(host) {
				continue // another server's
			}
			if !certificate.Covers(r.Leaf, host) {
				return refuse("%s: %s takes mail for %s, and the certificate in %s does not speak for it, as the "+
					"present one does: senders that validate (MTA-STS, DANE) would send it no mail", p.Forest.Name(),
					host, domain, r.File)
			}
			if !slices.Contains(r.exchangers, host) {
				r.exchangers = append(r.exchangers, host)
			}
		}
	}
	if slices.ContainsFunc(r.Services, func(s string) bool { return strings.EqualFold(s, "IIS") }) {
		for _, host := range []string{p.Forest.Answers.Namespace.EWS, p.Forest.Answers.Namespace.Autodiscover} {
			if host != "" && !certificate.Covers(r.Leaf, normalHost(host)) {
				return refuse("%s: the certificate in %s does not speak for %s: leave IIS out of --services",
					p.Forest.Name(), r.File, host)
			}
		}
	}
	return nil
}

// pinned looks for the TLSA records of the new certificate where there are records of the present
// one. Until they are published, nothing is planned.
func (p *Planner) pinned(ctx context.Context, r renewal) (ready bool, err error) {
	ready = true
	hosts := []string{r.host}
	for _, host := range r.exchangers {
		if host != r.host {
			hosts = append(hosts, host)
		}
	}
	for _, host := range hosts {
		pins, err := fact.TLSA.In(ctx, p.set.Network, host)
		if errors.Is(err, dns.ErrAbsent) || errors.Is(err, dns.ErrEmpty) {
			continue
		}
		if err != nil {
			return false, err
		}
		matched, usable := false, false
		for _, record := range pins.Records {
			matches, counts := certificate.Pinned(*record.Pin, append([]*x509.Certificate{r.Leaf}, r.Chain...))
			matched, usable = matched || matches, usable || counts
		}
		if !usable || matched {
			continue
		}
		sum := sha256.Sum256(r.Leaf.RawSubjectPublicKeyInfo)
		ready = false
		p.wait(p.topic.ID, p.at(), msg.Of("%s has TLSA records, and none fits the new certificate: senders that "+
			"validate them would hold their mail back. Publish this record beside the present ones, wait until resolvers have "+
			"forgotten the earlier answer (the time to live of the records), then run this again: "+
			"_25._tcp.%s. IN TLSA 3 1 1 %s", host, host, hex.EncodeToString(sum[:])))
	}
	return ready, nil
}

// renew plans the changes, in their sequence.
func (p *Planner) renew(ctx context.Context, r renewal) error {
	present, _ := r.present()
	for _, c := range present {
		if certificate.IdentifierOf(c).Equal(r.id) && !r.Leaf.NotAfter.After(c.NotAfter) {
			return refuse("%s: the certificate in %s ends on %s, and %s, with the same issuer and subject, on %s: "+
				"Exchange uses the one that ends last", p.Forest.Name(), r.File,
				r.Leaf.NotAfter.UTC().Format(time.DateOnly), certificate.Thumbprint(c),
				c.NotAfter.UTC().Format(time.DateOnly))
		}
	}
	before, err := p.renewOnline(ctx, r)
	if err != nil {
		return err
	}
	if ready, err := p.edgeReady(ctx, r); !ready || err != nil {
		return err
	}
	imports := p.addImports(r)
	var switched []Need
	for _, c := range r.receive {
		key := strings.ToLower(c.Server)
		if strings.ContainsRune(c.Identity, '\\') {
			key = strings.ReplaceAll(strings.ToLower(c.Identity), `\`, ":")
		}
		p.Add(receiveConnector, p.at(), key, c.Identity, msg.Of("it presents the new certificate"),
			change.Properties{"Identity": c.Identity, "TlsCertificateName": r.id.String()},
			slices.Concat(imports, before)...)
		switched = append(switched, One(receiveConnector, p.at(), key))
	}
	for _, c := range r.send {
		key := strings.ToLower(c.Name)
		p.Add(sendConnector, p.at(), key, c.Name, msg.Of("it presents the new certificate"),
			change.Properties{"Name": c.Name, "TlsCertificateName": r.id.String()}, slices.Concat(imports, before)...)
		switched = append(switched, One(sendConnector, p.at(), key))
	}
	if r.record.Exists {
		p.Add(hybridConfiguration, p.at(), "record", "Hybrid Configuration",
			msg.Of("Microsoft's wizard finds the certificate by it"),
			change.Properties{"TlsCertificateName": r.id.String()}, switched...)
	}
	if err := p.settleOnline(ctx, r, switched); err != nil {
		return err
	}
	if r.changes() {
		p.Note(msg.Of("name the new file in the answers file as well (forests[].certificate of %s): the next plan would "+
			"lead back to the present certificate", p.Forest.Name()))
	}
	_, obsolete := r.present()
	p.sayObsolete(obsolete)
	return nil
}

// addImports plans the certificate in the store of every server.
func (p *Planner) addImports(r renewal) []Need {
	thumbprint := certificate.Thumbprint(r.Leaf)
	reason := msg.Of("every server has the certificate before a connector names it")
	if !r.changes() {
		reason = msg.Of("issuer and subject stay: no connector changes, and the server uses the certificate at once")
	}
	var out []Need
	for _, server := range sortedKeys(r.stores) {
		key := strings.ToLower(server + ":" + thumbprint)
		want := change.Properties{"Server": server, "Thumbprint": thumbprint,
			"FileData": change.SecretRef{Ref: "binary:" + r.File}}
		if r.Password != "" {
			want["Password"] = change.SecretRef{Ref: string(r.Password)}
		}
		if len(r.Services) > 0 {
			want["Services"] = strings.Join(r.Services, ",")
		}
		p.Add(serverCertificate, p.at(), key, thumbprint+" at "+server, reason, want)
		out = append(out, One(serverCertificate, p.at(), key))
	}
	return out
}

// inbounds are the connectors of the tenant for the forest's mail: the one of the tenant's record,
// the one for the new name, and those that earlier rotations left.
func (p *Planner) inbounds(ctx context.Context, r renewal) (current, next *fact.InboundConnector,
	earlier []fact.InboundConnector, taken []string, err error) {
	live, err := fact.InboundConnectors.In(ctx, p.set.Tenant)
	if err != nil {
		return nil, nil, nil, nil, err
	}
	present, _ := r.present()
	byHand := func(c fact.InboundConnector) bool {
		return r.known == nil && strings.EqualFold(c.Type, "OnPremises") &&
			slices.ContainsFunc(present, func(x *x509.Certificate) bool {
				return !strings.EqualFold(commonName(x), r.name) && strings.EqualFold(commonName(x), c.CertificateName)
			})
	}
	standard := "Inbound from " + r.guid
	for _, c := range live {
		own := strings.HasPrefix(strings.ToLower(c.Name), strings.ToLower(standard))
		taken = append(taken, strings.ToLower(c.Name))
		recorded := r.known != nil && r.known.Inbound != "" && strings.EqualFold(c.Name, r.known.Inbound)
		named := strings.EqualFold(c.Type, "OnPremises") && strings.EqualFold(c.CertificateName, r.name)
		switch {
		case recorded, current == nil && byHand(c):
			current = &c
		case named && next == nil:
			next = &c
		case own:
			earlier = append(earlier, c)
		}
	}
	if current == nil {
		current, next = next, nil // made by hand
	}
	if current != nil && strings.EqualFold(current.CertificateName, r.name) {
		next = current
	}
	return current, next, earlier, taken, nil
}

// nextName is the name of the connector for the new name.
func nextName(r renewal, taken []string) string {
	name := "Inbound from " + r.guid
	for i := 2; slices.Contains(taken, strings.ToLower(name)); i++ {
		name = fmt.Sprintf("Inbound from %s (%d)", r.guid, i) // at most 64 characters
	}
	return name
}

// renewOnline plans what the tenant has to know before the forest presents another name.
func (p *Planner) renewOnline(ctx context.Context, r renewal) (before []Need, err error) {
	if p.set.Tenant == nil || !r.changes() {
		return nil, nil
	}
	outbound, err := fact.OutboundConnectors.In(ctx, p.set.Tenant)
	if err != nil {
		return nil, err
	}
	for _, c := range outbound {
		if r.known == nil || !strings.EqualFold(c.Name, r.known.Outbound) {
			continue
		}
		p.Add(outboundConnector, PlaceOnline, r.guid, c.Name,
			msg.Of("the tenant validates a name that both certificates have"),
			change.Properties{"Name": c.Name, "TlsDomain": r.host})
		before = append(before, One(outboundConnector, PlaceOnline, r.guid))
	}
	current, next, _, taken, err := p.inbounds(ctx, r)
	if err != nil {
		return nil, err
	}
	if current == nil {
		return nil, fmt.Errorf("%s: the tenant has no inbound connector for the forest: %w", p.Forest.Name(),
			errNoMailFlow)
	}
	if next == current {
		return before, nil
	}
	name := nextName(r, taken)
	if next != nil {
		name = next.Name
	}
	reason := msg.Of("the tenant recognizes the new name before the forest presents it; the connector for %s stays until "+
		"then", current.CertificateName)
	if config, err := fact.OnlineConfig.In(ctx, p.set.Tenant); err == nil && config.DirectSendRejected {
		reason = msg.Of("%s; RejectDirectSend is on: mail with a name of no connector is refused (5.7.68)", reason)
	}
	p.Add(inboundConnector, PlaceOnline, nextKey(r), name, reason, change.Properties{
		"Name": name, "Enabled": true, "ConnectorType": "OnPremises", "ConnectorSource": "HybridWizard",
		"CloudServicesMailEnabled": true, "RequireTls": true, "SenderDomains": []string{"*"},
		"RestrictDomainsToIPAddresses": false, "TlsSenderCertificateName": r.name,
	})
	return append(before, One(inboundConnector, PlaceOnline, nextKey(r))), nil
}

// nextKey is the key of the connector for the new name.
func nextKey(r renewal) string { return r.guid + ":" + strings.ToLower(r.name) }

// settleOnline plans what the tenant forgets afterwards.
func (p *Planner) settleOnline(ctx context.Context, r renewal, switched []Need) error {
	if p.set.Tenant == nil {
		return nil
	}
	current, next, earlier, taken, err := p.inbounds(ctx, r)
	if err != nil || current == nil {
		return err
	}
	name := nextName(r, taken)
	if next != nil {
		name = next.Name
	}
	if r.known == nil {
		if next != current {
			p.Note(msg.Of("when mail with the new certificate works, a person removes the connector for the present one"),
				"Remove-InboundConnector -Identity "+exchange.Quote(current.Name))
		}
		return nil
	}
	if !strings.EqualFold(r.known.Inbound, name) {
		p.Add(onPremisesOrganization, PlaceOnline, r.guid, r.known.Name,
			msg.Of("Microsoft's wizard and the next plan find the connector by it"),
			change.Properties{"OrganizationGuid": r.guid, "InboundConnector": name}, switched...)
		earlier = append(earlier, *current)
	}
	for _, c := range earlier {
		if strings.EqualFold(c.Name, name) {
			continue
		}
		if r.changes() || !strings.EqualFold(r.known.Inbound, name) {
			p.wait(p.topic.ID, PlaceOnline, msg.Of("the inbound connector %s stays until mail with the new "+
				"certificate works: look with hybridge test --message, then run this again", exchange.Quote(c.Name)))
			continue
		}
		p.Remove(inboundConnector, PlaceOnline, r.guid+":"+strings.ToLower(c.CertificateName), c.Name,
			msg.Of("no server of %s presents %s any more", p.Forest.Name(), c.CertificateName),
			change.Properties{"Name": c.Name})
	}
	return nil
}

// edgeReady reports whether Edge servers, which hybridge does not reach, have the new certificate:
// the mail host presents it.
func (p *Planner) edgeReady(ctx context.Context, r renewal) (bool, error) {
	if len(r.edge) == 0 {
		return true, nil
	}
	var commands []string
	for _, name := range r.edge {
		commands = append(commands, "# on "+name,
			"Import-ExchangeCertificate -FileData ([System.IO.File]::ReadAllBytes('C:\\new.pfx')) -Password "+
				"(Read-Host -AsSecureString)",
			"Enable-ExchangeCertificate -Thumbprint "+certificate.Thumbprint(r.Leaf)+" -Services SMTP")
		if r.changes() {
			commands = append(commands, "Get-ReceiveConnector | Where-Object { $_.TlsCertificateName } | "+
				"Set-ReceiveConnector -TlsCertificateName "+exchange.Quote(r.id.String()))
		}
	}
	seen, err := fact.MailServers.In(ctx, p.set.Network, r.host)
	if err != nil {
		return false, err
	}
	if seen.TLS != nil && certificate.Thumbprint(seen.Certificate.Leaf) == certificate.Thumbprint(r.Leaf) {
		return true, nil
	}
	p.Note(msg.Of("hybridge does not reach Edge servers: run this in the Exchange Management Shell of each, and answer "+
		"No where it asks to overwrite the default certificate"), commands...)
	if r.changes() {
		p.wait(p.topic.ID, p.at(), msg.Of("the connectors change when %s presents the new certificate: import it on "+
			"the Edge servers first (%s)", r.host, strings.Join(r.edge, ", ")))
		return false, nil
	}
	return true, nil
}
