package fact

import (
	"context"
	"errors"
	"net"
	"net/url"
	"slices"
	"strings"

	"github.com/hybridge-cli/hybridge/pkg/estate/exchange"
)

// SendConnector is a send connector of an on-premises organization.
type SendConnector struct {
	Name                 string
	AddressSpaces        []string // "smtp:contoso.mail.onmicrosoft.com;1"
	SmartHosts           []string
	SourceServers        []string
	TLSDomain            string
	TLSCertificateName   string
	Enabled, CloudHeader bool // CloudHeader: CloudServicesMailEnabled
	Scoped               bool // only servers of its site use it
	MaxMessage           Size
}

// ReceiveConnector is a receive connector of an on-premises server.
type ReceiveConnector struct {
	Identity           string // EX1\Default Frontend EX1
	Server             string
	Role               string // FrontendTransport, HubTransport
	Bindings           []string
	RemoteIPRanges     []string
	Capabilities       []string // TlsDomainCapabilities
	TLSCertificateName string
	Enabled            bool

	Mechanisms      []string // AuthMechanism; nil: not shown
	Permissions     []string // PermissionGroups; nil: not shown
	MaxMessage      Size
	MaxHeader       Size
	PerSource, Rate string // MaxInboundConnectionPerSource, MessageRateLimit: a number or Unlimited
}

// FromEverywhere reports whether the connector takes connections from every address on port 25,
// over IPv4 and IPv6. Microsoft's wizard recognizes the default frontend connector by it.
func (c ReceiveConnector) FromEverywhere() bool {
	bound := func(address string) bool {
		return slices.ContainsFunc(c.Bindings, func(b string) bool {
			host, port, err := net.SplitHostPort(strings.TrimSpace(b))
			return err == nil && port == "25" && host == address
		})
	}
	from := func(first, last string) bool {
		return slices.ContainsFunc(c.RemoteIPRanges, func(r string) bool {
			begin, end, ok := strings.Cut(strings.TrimSpace(r), "-")
			if !ok {
				address, bits, _ := strings.Cut(begin, "/")
				return bits == "0" && address == first
			}
			return begin == first && strings.EqualFold(end, last)
		})
	}
	return bound("0.0.0.0") && bound("::") && from("0.0.0.0", "255.255.255.255") &&
		from("::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff")
}

// InboundConnector is a connector of Exchange Online by which it recognizes mail that arrives.
type InboundConnector struct {
	Name, Type, CertificateName string   // CertificateName: TlsSenderCertificateName
	Addresses                   []string // SenderIPAddresses
	Enabled                     bool
	CloudHeader                 bool // CloudServicesMailEnabled
	TreatAsInternal             bool
	RequireTLS                  bool
	SenderDomains               []string // "smtp:*;1"; they limit connectors of partners alone
	// Locked: mail of the sender domains is refused unless it comes with the certificate or from
	// the addresses of the connector.
	Locked bool
	// SkipsLast and Skipped: addresses that enhanced filtering looks behind.
	SkipsLast bool
	Skipped   []string
}

// OutboundConnector is a connector of Exchange Online for mail that leaves.
type OutboundConnector struct {
	Name, Type       string
	RecipientDomains []string
	SmartHosts       []string
	Enabled          bool
	CloudHeader      bool
	Centralized      bool // RouteAllMessagesViaOnPremises
	ByRule           bool // IsTransportRuleScoped: only transport rules use it
}

// HybridOrganization is an on-premises organization that the tenant knows.
type HybridOrganization struct {
	Name, GUID                      string
	Inbound, Outbound, Relationship string
	Domains                         []string
	Comment                         string // what Microsoft's wizard wrote about its last run
}

// HybridConfiguration is the record that Microsoft's wizard leaves in a forest.
type HybridConfiguration struct {
	Exists                     bool
	Sending, Receiving, Edge   []string // server names
	SmartHost, CertificateName string
	Domains, Features          []string
	ServiceInstance            int64
}

const (
	getSendConnector       = "Get-SendConnector"
	getReceiveConnector    = "Get-ReceiveConnector"
	getInboundConnector    = "Get-InboundConnector"
	getOutboundConnector   = "Get-OutboundConnector"
	getHybridOrganization  = "Get-OnPremisesOrganization"
	getHybridConfiguration = "Get-HybridConfiguration"
)

// Mail flow on both sides.
var (
	SendConnectors      = Cmdlet(OnPremises, getSendConnector, each(getSendConnector, readSendConnector))
	ReceiveConnectors   = Cmdlet(OnPremises, getReceiveConnector, each(getReceiveConnector, readReceiveConnector))
	InboundConnectors   = Cmdlet(Online, getInboundConnector, each(getInboundConnector, readInboundConnector))
	OutboundConnectors  = Cmdlet(Online, getOutboundConnector, each(getOutboundConnector, readOutboundConnector))
	HybridOrganizations = Cmdlet(Online, getHybridOrganization, each(getHybridOrganization, readHybridOrganization))

	HybridConfigurations = Session(OnPremises, []string{getHybridConfiguration}, askHybridConfiguration)
)

// MailExchangers are the hosts at which Exchange Online takes mail for a domain of the tenant, as
// Microsoft Graph expects them in DNS.
var MailExchangers = FromGraphBy("/domains/{key}/serviceConfigurationRecords", readDomains,
	func(g Graph, ctx context.Context, domain string) ([]string, error) {
		records, err := g.List(ctx, "/domains/"+url.PathEscape(domain)+"/serviceConfigurationRecords")
		if err != nil {
			return nil, err
		}
		var out []string
		for _, r := range records {
			if host, _ := r["mailExchange"].(string); host != "" {
				out = append(out, strings.ToLower(strings.TrimSuffix(host, ".")))
			}
		}
		return out, nil
	})

// AddressSpace is an availability address space of an on-premises organization.
type AddressSpace struct{ ForestName, AccessMethod string }

const getAddressSpace = "Get-AvailabilityAddressSpace"

// AddressSpaces are all availability address spaces, per forest.
var AddressSpaces = Cmdlet(OnPremises, getAddressSpace,
	each(getAddressSpace, func(o exchange.Object) (a AddressSpace, err error) {
		if a.ForestName, err = o.String("ForestName"); err != nil {
			return a, err
		}
		a.AccessMethod, _ = o.String("AccessMethod")
		return a, nil
	}))

// MigrationEndpoint is an address from which Exchange Online moves or copies mailboxes.
type MigrationEndpoint struct{ Name, Type, RemoteServer string }

// Moves reports whether the endpoint is for moves of mailboxes at a host.
func (e MigrationEndpoint) Moves(host string) bool {
	return strings.EqualFold(e.Type, "ExchangeRemoteMove") && strings.EqualFold(e.RemoteServer, host)
}

// AgentDomain is the domain of the addresses of Microsoft's Hybrid Agent.
const AgentDomain = ".msappproxy.net"

// ByAgent reports whether the endpoint is for moves of mailboxes through a Hybrid Agent.
func (e MigrationEndpoint) ByAgent() bool {
	return strings.HasSuffix(strings.ToLower(e.RemoteServer), AgentDomain) && e.Moves(e.RemoteServer)
}

const getMigrationEndpoint = "Get-MigrationEndpoint"

// MigrationEndpoints are all migration endpoints of the tenant.
var MigrationEndpoints = Cmdlet(Online, getMigrationEndpoint,
	each(getMigrationEndpoint, func(o exchange.Object) (e MigrationEndpoint, err error) {
		if e.Name, err = o.String("Identity"); err != nil {
			return e, err
		}
		e.Type, _ = o.String("EndpointType")
		e.RemoteServer, _ = o.String("RemoteServer")
		return e, nil
	}))

// list returns a list of texts. An absent one is empty.
func list(o exchange.Object, name string) ([]string, error) {
	out, err := o.Strings(name)
	if errors.Is(err, exchange.ErrAbsent) {
		return nil, nil
	}
	return out, err
}

// lists reads several lists of one object.
func lists(o exchange.Object, into map[string]*[]string) error {
	for name, to := range into {
		var err error
		if *to, err = list(o, name); err != nil {
			return err
		}
	}
	return nil
}

func readSendConnector(o exchange.Object) (c SendConnector, err error) {
	if c.Name, err = o.String("Name"); err != nil {
		return c, err
	}
	c.TLSDomain, _ = o.String("TlsDomain")
	c.TLSCertificateName, _ = o.String("TlsCertificateName")
	c.Enabled, _ = o.Bool("Enabled")
	c.CloudHeader, _ = o.Bool("CloudServicesMailEnabled")
	c.Scoped, _ = o.Bool("IsScopedConnector")
	limit, _ := o.String("MaxMessageSize")
	c.MaxMessage = ParseSize(limit)
	return c, lists(o, map[string]*[]string{"AddressSpaces": &c.AddressSpaces, "SmartHosts": &c.SmartHosts,
		"SourceTransportServers": &c.SourceServers})
}

func readReceiveConnector(o exchange.Object) (c ReceiveConnector, err error) {
	if c.Identity, err = o.String("Identity"); err != nil {
		return c, err
	}
	c.Server, _ = o.String("Server")
	if name, _, ok := strings.Cut(c.Identity, `\`); ok && c.Server == "" {
		c.Server = name
	}
	c.Role, _ = o.String("TransportRole")
	c.TLSCertificateName, _ = o.String("TlsCertificateName")
	c.Enabled, _ = o.Bool("Enabled")
	c.Mechanisms, c.Permissions = flags(o, "AuthMechanism"), flags(o, "PermissionGroups")
	message, _ := o.String("MaxMessageSize")
	header, _ := o.String("MaxHeaderSize")
	c.MaxMessage, c.MaxHeader = ParseSize(message), ParseSize(header)
	c.PerSource, _ = o.String("MaxInboundConnectionPerSource")
	c.Rate, _ = o.String("MessageRateLimit")
	return c, lists(o, map[string]*[]string{"Bindings": &c.Bindings, "RemoteIPRanges": &c.RemoteIPRanges,
		"TlsDomainCapabilities": &c.Capabilities})
}

// flags reads an enumeration that holds several values: "Tls, Integrated". It is nil when the
// property is not shown.
func flags(o exchange.Object, name string) []string {
	text, err := o.String(name)
	if err != nil {
		return nil
	}
	out := []string{}
	for flag := range strings.SplitSeq(text, ",") {
		out = append(out, strings.TrimSpace(flag))
	}
	return out
}

func readInboundConnector(o exchange.Object) (c InboundConnector, err error) {
	if c.Name, err = o.String("Name"); err != nil {
		return c, err
	}
	c.Type, _ = o.String("ConnectorType")
	c.CertificateName, _ = o.String("TlsSenderCertificateName")
	c.Enabled, _ = o.Bool("Enabled")
	c.CloudHeader, _ = o.Bool("CloudServicesMailEnabled")
	c.TreatAsInternal, _ = o.Bool("TreatMessagesAsInternal")
	c.RequireTLS, _ = o.Bool("RequireTls")
	byName, _ := o.Bool("RestrictDomainsToCertificate")
	byAddress, _ := o.Bool("RestrictDomainsToIPAddresses")
	c.Locked = byName || byAddress
	c.SkipsLast, _ = o.Bool("EFSkipLastIP")
	return c, lists(o, map[string]*[]string{"SenderDomains": &c.SenderDomains, "EFSkipIPs": &c.Skipped,
		"SenderIPAddresses": &c.Addresses})
}

func readOutboundConnector(o exchange.Object) (c OutboundConnector, err error) {
	if c.Name, err = o.String("Name"); err != nil {
		return c, err
	}
	c.Type, _ = o.String("ConnectorType")
	c.Enabled, _ = o.Bool("Enabled")
	c.CloudHeader, _ = o.Bool("CloudServicesMailEnabled")
	c.Centralized, _ = o.Bool("RouteAllMessagesViaOnPremises")
	c.ByRule, _ = o.Bool("IsTransportRuleScoped")
	return c, lists(o, map[string]*[]string{"RecipientDomains": &c.RecipientDomains, "SmartHosts": &c.SmartHosts})
}

func readHybridOrganization(o exchange.Object) (h HybridOrganization, err error) {
	if h.GUID, err = o.String("OrganizationGuid"); err != nil {
		return h, err
	}
	h.GUID = strings.ToLower(h.GUID)
	h.Name, _ = o.String("Name")
	h.Inbound, _ = o.String("InboundConnector")
	h.Outbound, _ = o.String("OutboundConnector")
	h.Relationship, _ = o.String("OrganizationRelationship")
	h.Comment, _ = o.String("Comment")
	return h, lists(o, map[string]*[]string{"HybridDomains": &h.Domains})
}

// askHybridConfiguration reads the record. A forest where Microsoft's wizard never ran has none.
func askHybridConfiguration(ctx context.Context, s exchange.Reader) (h HybridConfiguration, err error) {
	objects, err := s.Read(ctx, exchange.Command{Name: getHybridConfiguration})
	if err != nil && !errors.Is(err, exchange.ErrNotFound) || len(objects) == 0 {
		if errors.Is(err, exchange.ErrNotFound) {
			err = nil
		}
		return h, err
	}
	return one(getHybridConfiguration, func(o exchange.Object) (h HybridConfiguration, err error) {
		h.Exists = true
		h.SmartHost, _ = o.String("OnPremisesSmartHost")
		h.CertificateName, _ = o.String("TlsCertificateName")
		h.ServiceInstance, _ = o.Int("ServiceInstance")
		return h, lists(o, map[string]*[]string{"SendingTransportServers": &h.Sending,
			"ReceivingTransportServers": &h.Receiving, "EdgeTransportServers": &h.Edge, "Domains": &h.Domains,
			"Features": &h.Features})
	})(objects)
}
