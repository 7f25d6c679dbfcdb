package desired

import (
	"cmp"
	"context"
	"crypto/x509"
	"fmt"
	"slices"
	"strings"

	"github.com/hybridge-cli/hybridge/pkg/config/answers"
	"github.com/hybridge-cli/hybridge/pkg/engine/change"
	"github.com/hybridge-cli/hybridge/pkg/engine/msg"
	"github.com/hybridge-cli/hybridge/pkg/estate/certificate"
	"github.com/hybridge-cli/hybridge/pkg/estate/exchange"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/fact"
)

// mailFlow makes mail between the forest and the tenant internal mail: over TLS, attributed by
// certificate, with Exchange's own headers kept.
var mailFlow = &Topic{
	ID:        "mail-flow",
	Title:     "Mail between the forest and the tenant, over TLS and as internal mail",
	Features:  mailFeatures,
	PerForest: true,
	Kinds:     []*Kind{sendConnector, receiveConnector, inboundConnector, outboundConnector, onPremisesOrganization},
	Reads: fact.List(fact.Organization, fact.OnlineAcceptedDomains, fact.OnlineConfig, fact.Tenant,
		fact.MailExchangers, fact.MX, fact.HybridConfigurations, fact.MailboxServers, fact.Servers,
		fact.CertificateFile,
		fact.Auth, fact.SendConnectors, fact.ReceiveConnectors, fact.InboundConnectors, fact.OutboundConnectors,
		fact.HybridOrganizations),
	Derive: func(ctx context.Context, p *Planner) error {
		domains, err := p.domains()
		if err != nil {
			return err
		}
		m, err := p.mail(ctx)
		if err != nil {
			return err
		}
		if err := p.deriveSend(ctx, m); err != nil {
			return err
		}
		if err := p.deriveReceive(ctx, m); err != nil {
			return err
		}
		inbound, err := p.deriveInbound(ctx, m)
		if err != nil {
			return err
		}
		outbound, err := p.deriveOutbound(ctx, m, domains)
		if err != nil {
			return err
		}
		return p.deriveOrganization(ctx, m, domains, inbound, outbound)
	},
}

// mail is what the connectors of a forest have in common.
type mail struct {
	mailServers
	guid        string // of the Exchange organization
	host        string // namespace.smtp
	tlsDomain   string // in the names of Exchange Online's mail servers
	certificate string // <I>issuer<S>subject
	commonName  string
	leaf        *x509.Certificate
	coexistence string
	record      *fact.HybridOrganization // what the tenant knows of the organization; nil: nothing
	others      []fact.HybridOrganization
}

func (p *Planner) mail(ctx context.Context) (m mail, err error) {
	if m.guid, err = p.organization(ctx, p.Forest); err != nil {
		return m, err
	}
	if m.host, err = p.mailHost(); err != nil {
		return m, err
	}
	if m.coexistence, err = p.coexistence(ctx); err != nil {
		return m, err
	}
	if m.tlsDomain, err = p.tlsDomain(ctx, m.coexistence); err != nil {
		return m, err
	}
	if m.mailServers, err = p.mailServers(ctx); err != nil {
		return m, err
	}
	if m.certificate, m.commonName, err = p.mailCertificate(ctx, m.mailServers, m.host); err != nil {
		return m, err
	}
	if m.leaf, err = p.transportLeaf(ctx, m.mailServers, m.host); err != nil {
		return m, err
	}
	known, err := fact.HybridOrganizations.In(ctx, p.set.Tenant)
	if err != nil {
		return m, err
	}
	for _, o := range known {
		if normalGUID(o.GUID) == m.guid {
			m.record = &o
		} else {
			m.others = append(m.others, o)
		}
	}
	return m, nil
}

// mailHost returns the host that takes mail from Exchange Online.
func (p *Planner) mailHost() (string, error) {
	host := normalHost(p.Forest.Answers.Namespace.SMTP)
	if host == "" {
		return "", missing("namespace.smtp, the host that takes mail from Exchange Online", "forest "+p.Forest.Name())
	}
	return host, nil
}

// tlsDomain returns the domain in the names of Exchange Online's mail servers. It follows from the
// host that takes mail for the coexistence domain. Other domains may have another exchanger: a
// filter's, or one below mx.microsoft.
func (p *Planner) tlsDomain(ctx context.Context, coexistence string) (string, error) {
	if own := p.Answers.ExchangeOnline.Hosts["tlsDomain"]; own != "" {
		return strings.ToLower(own), nil
	}
	expected, err := fact.MailExchangers.In(ctx, p.set.Tenant, coexistence)
	if ctx.Err() != nil {
		return "", context.Cause(ctx)
	}
	if err != nil || len(expected) == 0 {
		expected, _ = fact.MX.In(ctx, p.set.Network, coexistence)
	}
	for _, host := range expected {
		if _, domain, ok := strings.Cut(normalHost(host), "."); ok && strings.HasPrefix(domain, "mail.protection.") {
			return domain, nil
		}
	}
	if domain := p.set.Cloud.TLSDomain; domain != "" && !slices.Contains(p.set.Cloud.Unconfirmed, "tlsDomain") {
		return domain, nil
	}
	return "", missing("domain in the names of Exchange Online's mail servers (set exchangeOnline.hosts.tlsDomain)",
		p.tenant())
}

// mailServers are the servers that carry mail to and from the tenant: Mailbox servers or Edge
// servers, never both.
type mailServers struct {
	sending, receiving []string // Mailbox servers
	edge               []string
}

// source returns the servers that the send connector may use.
func (s mailServers) source() []string {
	if len(s.edge) > 0 {
		return s.edge
	}
	return s.sending
}

// mailServers returns the servers that carry mail. A selection in the record of Microsoft's wizard
// stays.
func (p *Planner) mailServers(ctx context.Context) (s mailServers, err error) {
	if names := p.Forest.Answers.Edge; len(names) > 0 {
		s.edge, err = p.edgeServers(ctx, names)
		return s, err
	}
	record, err := fact.HybridConfigurations.In(ctx, p.Forest)
	if err != nil {
		return s, err
	}
	servers, err := fact.MailboxServers.In(ctx, p.Forest)
	if err != nil {
		return s, err
	}
	var all []string
	for _, server := range servers {
		if server.Build.Major >= 15 { // Exchange 2010 has no connector that keeps the cloud's headers
			all = append(all, server.Name)
		}
	}
	if len(all) == 0 {
		return s, missing("Mailbox servers", "forest "+p.Forest.Name())
	}
	return mailServers{sending: selected(all, record.Sending), receiving: selected(all, record.Receiving)}, nil
}

// selected returns the servers of a selection that exist. An empty selection is all servers.
func selected(all, selection []string) []string {
	var out []string
	for _, name := range all {
		if slices.ContainsFunc(selection, func(s string) bool { return normalServer(s) == normalServer(name) }) {
			out = append(out, name)
		}
	}
	if len(out) == 0 {
		return all
	}
	return out
}

// edgeServers returns the names of subscribed Edge servers. A server that is not subscribed can be
// no source of a send connector.
func (p *Planner) edgeServers(ctx context.Context, names []string) ([]string, error) {
	servers, err := fact.Servers.In(ctx, p.Forest)
	if err != nil {
		return nil, err
	}
	var out []string
	for _, name := range names {
		i := slices.IndexFunc(servers, func(s fact.Server) bool {
			return s.Edge && (strings.EqualFold(s.FQDN, name) || normalServer(s.Name) == normalServer(name))
		})
		if i < 0 {
			return nil, fmt.Errorf("%s: Edge server %s is not subscribed to the organization: subscribe it with "+
				"New-EdgeSubscription, then plan again", p.Forest.Name(), name)
		}
		out = append(out, servers[i].Name)
	}
	return out, nil
}

// deriveSend plans the connector to the tenant.
func (p *Planner) deriveSend(ctx context.Context, m mail) error {
	live, err := fact.SendConnectors.In(ctx, p.Forest)
	if err != nil {
		return err
	}
	name, err := p.tenantName(ctx)
	if err != nil {
		return err
	}
	properties := change.Properties{
		"Name": "Outbound to Office 365 - " + name, "Enabled": true, "Fqdn": m.host,
		"DNSRoutingEnabled": true, "RequireTLS": true, "IgnoreSTARTTLS": false, "TlsAuthLevel": "DomainValidation",
		"TlsDomain": m.tlsDomain, "DomainSecureEnabled": false, "CloudServicesMailEnabled": true,
		"TlsCertificateName": m.certificate, "SourceTransportServers": m.source(),
		"AddressSpaces": []string{"smtp:" + m.coexistence + ";1"},
	}
	to := func(c fact.SendConnector, domain string) bool {
		return slices.ContainsFunc(c.AddressSpaces, func(s string) bool { return normalDomain(s) == domain })
	}
	found := slices.DeleteFunc(slices.Clone(live), func(c fact.SendConnector) bool { return !to(c, m.coexistence) })
	if len(found) == 0 {
		// All mail of the organization may leave through Exchange Online. A connector for it that
		// is off is another matter: switched on, it would take all mail to the internet.
		found = slices.DeleteFunc(slices.Clone(live), func(c fact.SendConnector) bool {
			return !c.Enabled || !c.CloudHeader || !to(c, "*")
		})
		if len(found) > 0 {
			delete(properties, "AddressSpaces")
		}
	}
	if len(found) > 1 {
		return fmt.Errorf("%s: %w: the send connectors %s are for one address space; remove all but one "+
			"(Remove-SendConnector)", p.Forest.Name(), change.ErrAmbiguous, connectorNames(found))
	}
	if len(found) == 1 {
		properties["Name"] = found[0].Name
	}
	reason := msg.Of("mail from %s to the tenant is sent over TLS, with the headers that make it internal",
		p.Forest.Name())
	if len(m.edge) > 0 {
		reason = msg.Of("%s; the Edge servers get their part by the scripts that hybridge plan --scripts writes",
			reason)
	}
	p.Add(sendConnector, p.at(), m.coexistence, properties["Name"].(string), reason, properties,
		One(inboundConnector, PlaceOnline, m.guid))
	return nil
}

func connectorNames(list []fact.SendConnector) string {
	var out []string
	for _, c := range list {
		out = append(out, fmt.Sprintf("%q", c.Name))
	}
	return strings.Join(out, ", ")
}

// deriveReceive plans what the connectors of the receiving servers let the tenant do. An Edge
// server is not managed from here.
func (p *Planner) deriveReceive(ctx context.Context, m mail) error {
	if len(m.edge) > 0 {
		return nil
	}
	live, err := fact.ReceiveConnectors.In(ctx, p.Forest)
	if err != nil {
		return err
	}
	for _, server := range m.receiving {
		c, err := DefaultFrontend(live, server)
		if err != nil {
			return fmt.Errorf("%s: %w", p.Forest.Name(), err)
		}
		p.Add(receiveConnector, p.at(), strings.ToLower(server), c.Identity,
			msg.Of("server %s accepts the headers of mail from the tenant, and presents the forest's certificate",
				server), change.Properties{
				"Identity":              c.Identity,
				"TlsDomainCapabilities": []string{m.tlsDomain + ":AcceptCloudServicesMail"},
				"TlsCertificateName":    m.certificate,
			})
	}
	return nil
}

// DefaultFrontend finds the connector at which a server takes mail from everywhere.
func DefaultFrontend(all []fact.ReceiveConnector, server string) (fact.ReceiveConnector, error) {
	var found []fact.ReceiveConnector
	for _, c := range all {
		if normalServer(c.Server) == normalServer(server) && strings.EqualFold(c.Role, "FrontendTransport") &&
			c.FromEverywhere() {
			found = append(found, c)
		}
	}
	switch len(found) {
	case 1:
		return found[0], nil
	case 0:
		return fact.ReceiveConnector{}, fmt.Errorf("server %s has no frontend receive connector for port 25 on all "+
			"addresses of IPv4 and IPv6 (HCW8010): add '[::]:25' and '0.0.0.0:25' to the bindings of its default "+
			"frontend connector (Set-ReceiveConnector -Bindings)", server)
	}
	return fact.ReceiveConnector{}, fmt.Errorf("%w: server %s has %d frontend receive connectors for port 25 on all "+
		"addresses, %q and %q among them: restrict all but one (Set-ReceiveConnector -RemoteIPRanges)",
		change.ErrAmbiguous, server, len(found), found[0].Identity, found[1].Identity)
}

// deriveInbound plans the connector by which the tenant recognizes mail of the forest, and returns
// its name.
func (p *Planner) deriveInbound(ctx context.Context, m mail) (string, error) {
	live, err := fact.InboundConnectors.In(ctx, p.set.Tenant)
	if err != nil {
		return "", err
	}
	for _, other := range p.set.Forests {
		theirs, err := fact.CertificateFile.In(ctx, other)
		if err == nil && other != p.Forest && strings.EqualFold(commonName(theirs.Leaf), m.commonName) {
			return "", fmt.Errorf("forests %s and %s present certificates of one name, %s, by which the tenant "+
				"recognizes their mail: give each its own", p.Forest.Name(), other.Name(), m.commonName)
		}
	}
	sender, err := p.senderName(ctx, m)
	if err != nil {
		return "", err
	}
	name := "Inbound from " + m.guid
	own := func(c fact.InboundConnector) bool {
		if m.record != nil && m.record.Inbound != "" {
			return strings.EqualFold(c.Name, m.record.Inbound)
		}
		return strings.EqualFold(c.Name, name)
	}
	i := slices.IndexFunc(live, own)
	if i < 0 {
		// Made by hand: the connector for mail with the forest's certificate.
		i = slices.IndexFunc(live, func(c fact.InboundConnector) bool {
			ours := strings.EqualFold(c.CertificateName, m.commonName) || strings.EqualFold(c.CertificateName, sender)
			return strings.EqualFold(c.Type, "OnPremises") && ours &&
				!slices.ContainsFunc(m.others, func(o fact.HybridOrganization) bool {
					return strings.EqualFold(o.Inbound, c.Name)
				})
		})
	}
	properties := change.Properties{
		"Name": name, "Enabled": true, "ConnectorType": "OnPremises", "ConnectorSource": "HybridWizard",
		"CloudServicesMailEnabled": true, "RequireTls": true, "SenderDomains": []string{"*"},
		"RestrictDomainsToIPAddresses": false, "TlsSenderCertificateName": sender,
	}
	if i >= 0 {
		properties["Name"] = live[i].Name
		if p.recognizesAll(ctx, m, live[i].CertificateName) {
			delete(properties, "TlsSenderCertificateName")
		}
		if live[i].TreatAsInternal {
			// Exchange Online refuses it together with CloudServicesMailEnabled.
			properties["TreatMessagesAsInternal"] = false
		}
	}
	p.Add(inboundConnector, PlaceOnline, m.guid, properties["Name"].(string),
		msg.Of("mail that arrives with the certificate %s is mail of %s", m.commonName, p.Forest.Name()), properties,
		All(PlaceOnline, organizationCustomization)...)
	return properties["Name"].(string), nil
}

// senderName returns the name by which the tenant recognizes the forest's mail. The tenant counts a
// name of the certificate that is in one of its domains: the common name, else, as Microsoft's
// wizard writes it, a wildcard for the domain of another name.
func (p *Planner) senderName(ctx context.Context, m mail) (string, error) {
	accepted, err := p.acceptedOnline(ctx)
	if err != nil || attributable(m.commonName, accepted) {
		return m.commonName, err
	}
	for _, name := range certificate.Names(m.leaf) {
		if !attributable(name, accepted) {
			continue
		}
		_, parent, _ := strings.Cut(name, ".")
		if wildcard := "*." + parent; certificate.Matches(wildcard, name) && !p.ofOthers(ctx, wildcard) {
			return wildcard, nil
		}
		return name, nil
	}
	return m.commonName, nil // certificates.transport warns
}

// recognizesAll reports whether a wildcard of a connector recognizes the forest's mail and no other
// forest's. Microsoft's wizard writes one at times, and mail of other servers may rest on it.
func (p *Planner) recognizesAll(ctx context.Context, m mail, wildcard string) bool {
	accepted, err := p.acceptedOnline(ctx)
	return err == nil && strings.HasPrefix(wildcard, "*.") && !p.ofOthers(ctx, wildcard) &&
		slices.ContainsFunc(certificate.Names(m.leaf), func(name string) bool {
			return certificate.Matches(wildcard, name) && attributable(name, accepted)
		})
}

// ofOthers reports whether a wildcard fits the certificate or the mail host of another forest.
func (p *Planner) ofOthers(ctx context.Context, wildcard string) bool {
	return slices.ContainsFunc(p.set.Forests, func(f *fact.Side) bool {
		if f == p.Forest {
			return false
		}
		names := []string{f.Answers.Namespace.SMTP}
		if file, err := fact.CertificateFile.In(ctx, f); err == nil {
			names = append(names, certificate.Names(file.Leaf)...)
		}
		return slices.ContainsFunc(names, func(name string) bool {
			return certificate.Matches(wildcard, name) || strings.EqualFold(wildcard, name)
		})
	})
}

// acceptedOnline returns the accepted domains of the tenant, with those of the forest that the
// answers name: the check domains.accepted says when one of these is missing.
func (p *Planner) acceptedOnline(ctx context.Context) ([]fact.AcceptedDomain, error) {
	accepted, err := fact.OnlineAcceptedDomains.In(ctx, p.set.Tenant)
	out := slices.Clone(accepted)
	for _, d := range lower(p.Forest.Answers.Domains) {
		out = append(out, fact.AcceptedDomain{Name: d})
	}
	return out, err
}

// deriveOutbound plans the connector from the tenant to the forest, and returns its name.
func (p *Planner) deriveOutbound(ctx context.Context, m mail, domains []string) (string, error) {
	live, err := fact.OutboundConnectors.In(ctx, p.set.Tenant)
	if err != nil {
		return "", err
	}
	name := "Outbound to " + m.guid
	i := slices.IndexFunc(live, func(c fact.OutboundConnector) bool {
		if m.record != nil && m.record.Outbound != "" {
			return strings.EqualFold(c.Name, m.record.Outbound)
		}
		return strings.EqualFold(c.Name, name)
	})
	if i < 0 {
		// Made by hand: the connector to the forest's mail host.
		i = slices.IndexFunc(live, func(c fact.OutboundConnector) bool {
			return strings.EqualFold(c.Type, "OnPremises") &&
				slices.ContainsFunc(c.SmartHosts, func(h string) bool { return normalHost(h) == m.host }) &&
				!slices.ContainsFunc(m.others, func(o fact.HybridOrganization) bool {
					return strings.EqualFold(o.Outbound, c.Name)
				})
		})
	}
	if i >= 0 {
		name = live[i].Name
		if live[i].Centralized && !wants(p.Answers.Features, answers.CentralizedTransport) {
			p.sayCentralized(name, domains)
		}
	}
	properties := change.Properties{
		"Name": name, "Enabled": true, "ConnectorType": "OnPremises", "ConnectorSource": "HybridWizard",
		"CloudServicesMailEnabled": true, "RecipientDomains": domains, "SmartHosts": []string{m.host},
		"TlsSettings": "DomainValidation", "TlsDomain": m.host, "UseMXRecord": false, "IsTransportRuleScoped": false,
	}
	if i >= 0 && slices.ContainsFunc(live[i].SmartHosts, func(h string) bool { return normalHost(h) == m.host }) {
		delete(properties, "SmartHosts") // another one stands in when this host does not answer
	}
	reason := msg.Of("mail from the tenant to the domains of %s is sent to %s over TLS", p.Forest.Name(), m.host)
	if p.centralized() {
		properties["RecipientDomains"] = []string{"*"}
		properties["RouteAllMessagesViaOnPremises"] = true
		reason = msg.Of("all mail that leaves the tenant goes through %s, mail to the internet included "+
			"(centralized transport)", p.Forest.Name())
	}
	p.Add(outboundConnector, PlaceOnline, m.guid, name, reason, properties, slices.Concat(
		All(PlaceOnline, organizationCustomization), All(p.at(), receiveConnector))...)
	return name, nil
}

// sayCentralized says how centralized transport is switched off. Both values go together: with all
// domains and without the switch, mail to the internet would still take this way.
func (p *Planner) sayCentralized(name string, domains []string) {
	var quoted []string
	for _, d := range domains {
		quoted = append(quoted, exchange.Quote(d))
	}
	p.Note(msg.Of("all mail of the tenant still goes through %s (centralized transport), and the features of the "+
		"answers do not include it: it stays until it is switched off by hand", p.Forest.Name()),
		"Set-OutboundConnector -Identity "+exchange.Quote(name)+" -RouteAllMessagesViaOnPremises $false "+
			"-RecipientDomains "+strings.Join(quoted, ", "))
}

// centralized reports whether all mail of the tenant goes through the forest. With several forests
// it is the first: a message takes one way.
func (p *Planner) centralized() bool {
	return wants(p.Answers.Features, answers.CentralizedTransport) && p.Forest == p.set.Forests[0]
}

// deriveOrganization plans the tenant's record of the organization, which ties the connectors to
// it.
func (p *Planner) deriveOrganization(ctx context.Context, m mail, domains []string, inbound, outbound string) error {
	organization, err := fact.Organization.In(ctx, p.Forest)
	if err != nil {
		return err
	}
	properties := change.Properties{
		"OrganizationGuid": m.guid, "OrganizationName": cmp.Or(organization.Name, p.Forest.Name()),
		"HybridDomains": domains, "InboundConnector": inbound, "OutboundConnector": outbound,
	}
	needs := slices.Concat(All(PlaceOnline, organizationCustomization),
		[]Need{One(inboundConnector, PlaceOnline, m.guid), One(outboundConnector, PlaceOnline, m.guid)})
	for _, r := range p.out {
		if r.Kind == organizationRelationship && r.Target == PlaceOnline && r.forest == p.Forest {
			properties["OrganizationRelationship"] = r.Name
			needs = append(needs, One(organizationRelationship, PlaceOnline, r.Key))
			break
		}
	}
	p.Add(onPremisesOrganization, PlaceOnline, m.guid, m.guid,
		msg.Of("the tenant knows which connectors belong to %s", p.Forest.Name()), properties, needs...)
	return nil
}

var sendConnector = Exchange.Declare(Kind{
	Noun:  "SendConnector",
	Title: "Send connector to Exchange Online",
	Why: "Sends mail for mailboxes in the tenant over TLS, with the forest's certificate, and keeps the headers by " +
		"which the tenant judges it as internal mail.",
	Places: []string{OnPremises},
	Properties: map[string]Property{
		"Name":                     {Type: text, Write: change.Key},
		"AddressSpaces":            {Type: domains, Write: change.Merge},
		"Enabled":                  {Type: boolean},
		"Fqdn":                     {Type: text},
		"DNSRoutingEnabled":        {Type: boolean, Write: change.CreateOnly},
		"RequireTLS":               {Type: boolean},
		"IgnoreSTARTTLS":           {Type: boolean},
		"TlsAuthLevel":             {Type: text},
		"TlsDomain":                {Type: text},
		"DomainSecureEnabled":      {Type: boolean},
		"CloudServicesMailEnabled": {Type: boolean},
		"TlsCertificateName":       {Type: certificateName},
		"SourceTransportServers":   {Type: someServers},
	},
	Risk: "mail to mailboxes in the tenant waits or is returned when the certificate or the TLS domain is wrong",
}, Cmdlets{Verbs: New | Set | Remove})

var receiveConnector = Exchange.Declare(Kind{
	Noun:  "ReceiveConnector",
	Title: "Default frontend receive connector",
	Why: "Lets Exchange Online, recognized by its certificate, hand over mail with the headers of internal mail, and " +
		"presents the certificate that the tenant expects.",
	Places: []string{OnPremises},
	Properties: map[string]Property{
		"Identity":              {Type: text, Write: change.Key},
		"TlsDomainCapabilities": {Type: capabilities, Write: change.Merge},
		"TlsCertificateName":    {Type: certificateName},
		// The plan leaves these as they are. Microsoft's wizard resets them: see Restore.
		"AuthMechanism":    {Type: flagSet},
		"PermissionGroups": {Type: flagSet},
	},
	Risk: "the connector takes all mail from outside: every sender sees the new certificate",
}, Cmdlets{Verbs: Set})

var inboundConnector = Exchange.Declare(Kind{
	Noun:  "InboundConnector",
	Title: "Inbound connector of the tenant",
	Why: "Recognizes mail of the forest by its certificate, whatever its sender, and takes it as mail of the " +
		"organization itself.",
	Places: []string{Online},
	Properties: map[string]Property{
		"Name":                         {Type: text, Write: change.Key},
		"Enabled":                      {Type: boolean},
		"ConnectorType":                {Type: text},
		"ConnectorSource":              {Type: text, Write: change.CreateOnly},
		"CloudServicesMailEnabled":     {Type: boolean},
		"TreatMessagesAsInternal":      {Type: boolean},
		"RequireTls":                   {Type: boolean},
		"SenderDomains":                {Type: domains, Write: change.Merge},
		"RestrictDomainsToIPAddresses": {Type: boolean},
		"TlsSenderCertificateName":     {Type: text},
	},
	Risk: "mail with this certificate passes the tenant's filters as internal mail; with another name, mail of the " +
		"forest is filtered like mail of strangers or refused",
}, Cmdlets{Verbs: New | Set | Remove})

var outboundConnector = Exchange.Declare(Kind{
	Noun:   "OutboundConnector",
	Title:  "Outbound connector of the tenant",
	Why:    "Sends mail for the forest's mailboxes to its mail host over TLS, and keeps the headers of internal mail.",
	Places: []string{Online},
	Properties: map[string]Property{
		"Name":                          {Type: text, Write: change.Key},
		"Enabled":                       {Type: boolean},
		"ConnectorType":                 {Type: text},
		"ConnectorSource":               {Type: text, Write: change.CreateOnly},
		"CloudServicesMailEnabled":      {Type: boolean},
		"RecipientDomains":              {Type: recipients, Write: change.Merge},
		"SmartHosts":                    {Type: hosts},
		"TlsSettings":                   {Type: text},
		"TlsDomain":                     {Type: coveredHost},
		"UseMXRecord":                   {Type: boolean},
		"RouteAllMessagesViaOnPremises": {Type: boolean},
		"IsTransportRuleScoped":         {Type: boolean},
	},
	Risk: "mail from the tenant to these domains takes this way; with centralized transport, so does all mail to the " +
		"internet",
}, Cmdlets{Verbs: New | Set | Remove})

var onPremisesOrganization = Exchange.Declare(Kind{
	Noun:   "OnPremisesOrganization",
	Title:  "The tenant's record of the organization",
	Why:    "Ties the organization relationship and the connectors of a forest together; each forest has its own.",
	Places: []string{Online},
	Properties: map[string]Property{
		"OrganizationGuid":         {Type: guid, Write: change.Key},
		"OrganizationName":         {Type: text, Write: change.CreateOnly},
		"HybridDomains":            {Type: domains, Write: change.Merge},
		"InboundConnector":         {Type: text},
		"OutboundConnector":        {Type: text},
		"OrganizationRelationship": {Type: text},
	},
	Risk: "Microsoft's wizard and the tenant's hybrid features find the connectors of the forest by it",
}, Cmdlets{Verbs: New | Set | Remove})
