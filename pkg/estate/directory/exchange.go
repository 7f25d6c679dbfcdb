package directory

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sort"
	"strings"

	"github.com/go-ldap/ldap/v3"

	"github.com/hybridge-cli/hybridge/pkg/config/sorting"
)

// Object is what every configuration object has.
type Object struct {
	DN   string
	Name string // its common name
	GUID GUID
	// Hidden lists attributes that every object of its class has, but that the server did not show:
	// this account may not read them. Their fields are unknown, not empty.
	Hidden []string
}

// Exchange is the Exchange organization as the configuration naming context describes it. Lists are
// empty when there is no such object.
type Exchange struct {
	Organization        Organization
	Servers             []Server
	AcceptedDomains     []AcceptedDomain
	RemoteDomains       []RemoteDomain
	AddressPolicies     []AddressPolicy
	Relationships       []OrganizationRelationship
	Connectors          []IntraOrganizationConnector
	AddressSpaces       []AvailabilityAddressSpace
	FederationTrusts    []Object
	Auth                *AuthConfig // nil when there is none (before Exchange 2013)
	AuthServers         []AuthServer
	PartnerApplications []PartnerApplication
	Hybrid              *HybridConfiguration // nil when the Hybrid Configuration Wizard never ran
	VirtualDirectories  []VirtualDirectory
	SendConnectors      []SendConnector
	ReceiveConnectors   []ReceiveConnector
	ServicePoints       []ServiceConnectionPoint
}

// Organization is the container of the Exchange organization. Its GUID names the dedicated hybrid
// application.
type Organization struct {
	Object
	ProductID     string // msExchProductID, "15.02.2562.017"
	ObjectVersion int    // raised by setup /PrepareAD
}

// ServerRole is a bit of msExchCurrentServerRoles (recalled).
type ServerRole int

// Server roles.
const (
	RoleMailbox      ServerRole = 2
	RoleClientAccess ServerRole = 4
	RoleUnifiedMsg   ServerRole = 16
	RoleHubTransport ServerRole = 32
	RoleEdge         ServerRole = 64
	RoleFrontEnd     ServerRole = 16384
)

func (r ServerRole) String() string {
	var names []string
	for _, role := range []struct {
		bit  ServerRole
		name string
	}{{RoleMailbox, "Mailbox"}, {RoleClientAccess, "ClientAccess"}, {RoleUnifiedMsg, "UnifiedMessaging"},
		{RoleHubTransport, "HubTransport"}, {RoleEdge, "Edge"}, {RoleFrontEnd, "FrontendTransport"}} {
		if r&role.bit != 0 {
			names = append(names, role.name)
		}
	}
	return strings.Join(names, ", ")
}

type Server struct {
	Object
	FQDN         string  // of networkAddress, "ncacn_ip_tcp:ex1.contoso.com"; empty when there is none
	Version      Version // zero when SerialNumber is not understood
	SerialNumber string  // as stored, "Version 15.2 (Build 32562.17)"
	Roles        ServerRole
	Site         string // name of the Active Directory site
	// InternalTLSCertificate is msExchServerInternalTLSCert: DER of the certificate that the
	// server's transport uses between servers.
	InternalTLSCertificate []byte
}

// AcceptedDomain is an SMTP domain of the organization.
type AcceptedDomain struct {
	Object
	Domain  string
	Type    AcceptedDomainType
	Default bool
}

// AcceptedDomainType is in the low bits of msExchAcceptedDomainFlags (recalled).
type AcceptedDomainType int

// Accepted domain types.
const (
	Authoritative AcceptedDomainType = 0
	ExternalRelay AcceptedDomainType = 1
	InternalRelay AcceptedDomainType = 2

	acceptedDomainDefault = 4
)

func (t AcceptedDomainType) String() string {
	switch t {
	case Authoritative:
		return "Authoritative"
	case ExternalRelay:
		return "ExternalRelay"
	case InternalRelay:
		return "InternalRelay"
	}
	return fmt.Sprintf("type %d", int(t))
}

// RemoteDomain is a set of message format rules for a domain.
type RemoteDomain struct {
	Object
	Domain string
}

type AddressPolicy struct {
	Object
	Templates         []string // gatewayProxy: "SMTP:%m@contoso.com", "smtp:%m@contoso.mail.onmicrosoft.com"
	DisabledTemplates []string
}

// OrganizationRelationship shares calendars and more with another organization.
type OrganizationRelationship struct {
	Object
	Domains        []string
	Enabled        bool
	Actions        []string // "MSExchange.SharingCalendarFreeBusyEnabled", ...
	ApplicationURI string
	AutodiscoverURL,
	SharingURL,
	OwaURL string
}

// IntraOrganizationConnector routes lookups for its domains by OAuth.
type IntraOrganizationConnector struct {
	Object
	Domains           []string
	DiscoveryEndpoint string
	Enabled           bool
}

// AvailabilityAddressSpace routes lookups for a domain with a method and an account. The account's
// password is never read.
type AvailabilityAddressSpace struct {
	Object
	Forest            string // an SMTP domain
	AccessMethod      string
	UseServiceAccount bool
	User              string
	ProxyURL          string
	AutodiscoverURL   string
}

// AuthConfig is the organization's own part in OAuth.
type AuthConfig struct {
	Object
	Thumbprints []string // current, previous and next certificate, upper case; only PowerShell says which is which
	Realm       string
	IssuerName  string
}

// AuthServer is an issuer of tokens that Exchange trusts or asks.
type AuthServer struct {
	Object
	IssuerName            string
	IssuingURL            string
	AuthorizationURL      string
	MetadataURL           string
	Realm                 string // tenant GUID
	ApplicationIdentifier string // of the dedicated hybrid application
	Type                  string
	Enabled               bool
	DefaultAuthorization  bool
	Domains               []string
}

// PartnerApplication is an application whose tokens Exchange accepts.
type PartnerApplication struct {
	Object
	ApplicationIdentifier  string
	MetadataURL            string
	Realm                  string
	LinkedAccount          string // DN
	Enabled                bool
	UseAuthServer          bool
	AcceptSecurityIdentity bool
}

// HybridConfiguration is what the Hybrid Configuration Wizard keeps about its last run.
type HybridConfiguration struct {
	Object
	Domains                  []string
	TLSCertificateName       string // <I>issuer<S>subject
	SmartHost                string
	Features                 HybridFeature
	ExternalIPAddresses      []string
	ClientAccessServers      []string // DNs, as all servers here
	SendingTransportServers  []string
	ReceivingTransportServer []string
	EdgeTransportServers     []string
	ServiceInstance          int // which cloud: low five bits of msExchManagementSettings
}

// HybridFeature is a bit of msExchCoexistenceFeatureFlags (recalled).
type HybridFeature int

// Hybrid features.
const (
	HybridFreeBusy             HybridFeature = 1
	HybridMoveMailbox          HybridFeature = 2
	HybridMailTips             HybridFeature = 4
	HybridMessageTracking      HybridFeature = 8
	HybridOwaRedirection       HybridFeature = 16
	HybridOnlineArchive        HybridFeature = 32
	HybridSecureMail           HybridFeature = 64
	HybridCentralizedTransport HybridFeature = 128
	HybridPhotos               HybridFeature = 512
)

// VirtualDirectory is a web application of a server. Settings of IIS (OAuth, Extended Protection)
// are not in Active Directory.
type VirtualDirectory struct {
	Object
	Kind         string // EWS, OWA, ECP, Autodiscover, PowerShell, ActiveSync, OAB, MAPI
	Server       string // its common name
	InternalURL  string
	ExternalURL  string
	InternalAuth int // bit fields
	ExternalAuth int
	MRSProxy     bool // of EWS; msExchMRSProxyFlags (recalled)
}

// SendConnector is an SMTP connector out of the organization.
type SendConnector struct {
	Object
	AddressSpaces []string // routingList, "SMTP:contoso.mail.onmicrosoft.com;1"
	SmartHosts    string
}

// ReceiveConnector is an SMTP connector into a server.
type ReceiveConnector struct {
	Object
	Server   string
	Bindings []string // msExchSmtpReceiveBindings
	FQDN     string
}

// ServiceConnectionPoint is where clients inside the network find autodiscover.
type ServiceConnectionPoint struct {
	Object
	URL     string   // serviceBindingInformation: a URL, or, of a pointer, an LDAP path to another forest
	Pointer bool     // leads to another forest
	Domains []string // of a pointer: keywords Domain=...
	Sites   []string // keywords Site=...
}

// class declares how the objects of one class are read: one line here and a decoder, nothing else
// to register.
type class struct {
	name       string
	attributes []string
	always     []string // attributes whose absence means that they are hidden
	decode     func(x *Exchange, o object, base Object)
}

// classes that are read below CN=Microsoft Exchange. Secrets (msExchAvailabilityUserPassword) must
// not be added. Most attribute names are from Microsoft's list of schema changes and from dumps;
// those of protocols that hybridge does not configure are recalled.
var classes = []class{
	{"msExchOrganizationContainer", []string{"msExchProductID", "objectVersion"}, nil,
		func(x *Exchange, o object, base Object) {
			x.Organization = Organization{base, o.text("msExchProductID"), int(o.number("objectVersion"))}
		}},
	{"msExchExchangeServer", []string{"serialNumber", "networkAddress", "msExchCurrentServerRoles", "msExchServerSite",
		"msExchServerInternalTLSCert"}, []string{"serialNumber"}, decodeServer},
	{"msExchAcceptedDomain", []string{"msExchAcceptedDomainName", "msExchAcceptedDomainFlags"},
		[]string{"msExchAcceptedDomainName"}, func(x *Exchange, o object, base Object) {
			flags := o.number("msExchAcceptedDomainFlags")
			x.AcceptedDomains = append(x.AcceptedDomains,
				AcceptedDomain{base, o.text("msExchAcceptedDomainName"), AcceptedDomainType(flags & 3),
					flags&acceptedDomainDefault != 0})
		}},
	{"msExchDomainContentConfig", []string{"domainName"}, []string{"domainName"},
		func(x *Exchange, o object, base Object) {
			x.RemoteDomains = append(x.RemoteDomains, RemoteDomain{base, o.text("domainName")})
		}},
	{"msExchRecipientPolicy", []string{"gatewayProxy", "disabledGatewayProxy"}, nil,
		func(x *Exchange, o object, base Object) {
			x.AddressPolicies = append(x.AddressPolicies,
				AddressPolicy{base, o.texts("gatewayProxy"), o.texts("disabledGatewayProxy")})
		}},
	{"msExchFedSharingRelationship",
		[]string{"msExchFedDomainNames", "msExchFedIsEnabled", "msExchFedEnabledActions",
			"msExchFedTargetApplicationURI",
			"msExchFedTargetAutodiscoverEPR", "msExchFedTargetSharingEPR", "msExchFedTargetOWAURL"},
		[]string{"msExchFedIsEnabled"}, func(x *Exchange, o object, base Object) {
			x.Relationships = append(x.Relationships, OrganizationRelationship{
				Object: base, Domains: o.texts("msExchFedDomainNames"), Enabled: o.boolean("msExchFedIsEnabled"),
				Actions:         o.texts("msExchFedEnabledActions"),
				ApplicationURI:  o.text("msExchFedTargetApplicationURI"),
				AutodiscoverURL: o.text("msExchFedTargetAutodiscoverEPR"),
				SharingURL:      o.text("msExchFedTargetSharingEPR"), OwaURL: o.text("msExchFedTargetOWAURL"),
			})
		}},
	{"msExchIntraOrganizationConnector",
		[]string{"msExchFedDomainNames", "msExchFedTargetAutodiscoverEPR",
			"msExchFedIsEnabled"}, []string{"msExchFedIsEnabled"}, func(x *Exchange, o object, base Object) {
			x.Connectors = append(x.Connectors,
				IntraOrganizationConnector{base, o.texts("msExchFedDomainNames"),
					o.text("msExchFedTargetAutodiscoverEPR"),
					o.boolean("msExchFedIsEnabled")})
		}},
	{"msExchAvailabilityAddressSpace",
		[]string{"msExchAvailabilityForestName", "msExchAvailabilityAccessMethod",
			"msExchAvailabilityUseServiceAccount",
			"msExchAvailabilityUserName", "wWWHomePage", "msExchFedTargetAutodiscoverEPR"},
		[]string{"msExchAvailabilityForestName"}, func(x *Exchange, o object, base Object) {
			x.AddressSpaces = append(x.AddressSpaces, AvailabilityAddressSpace{
				Object: base, Forest: o.text("msExchAvailabilityForestName"),
				AccessMethod:      o.text("msExchAvailabilityAccessMethod"),
				UseServiceAccount: o.boolean("msExchAvailabilityUseServiceAccount"),
				User:              o.text("msExchAvailabilityUserName"),
				ProxyURL:          o.text("wWWHomePage"), AutodiscoverURL: o.text("msExchFedTargetAutodiscoverEPR"),
			})
		}},
	{"msExchFedTrust", nil, nil, func(x *Exchange, _ object, base Object) {
		x.FederationTrusts = append(x.FederationTrusts, base)
	}},
	{"msExchAuthAuthConfig", []string{"msExchAuthCertificateThumbprint", "msExchAuthRealm", "msExchAuthIssuerName"},
		nil, func(x *Exchange, o object, base Object) {
			auth := AuthConfig{Object: base, Realm: o.text("msExchAuthRealm"),
				IssuerName: o.text("msExchAuthIssuerName")}
			for _, t := range o.texts("msExchAuthCertificateThumbprint") {
				auth.Thumbprints = append(auth.Thumbprints, strings.ToUpper(strings.TrimSpace(t)))
			}
			x.Auth = &auth
		}},
	{"msExchAuthAuthServer", []string{"msExchAuthIssuerName", "msExchAuthIssuingUrl", "msExchAuthAuthorizationUrl",
		"msExchAuthApplicationIdentifier", "msExchAuthMetadataUrl",
		"msExchAuthRealm", "msExchAuthAuthServerType", "msExchAuthFlags", "msExchCoexistenceDomains"},
		[]string{"msExchAuthFlags"}, func(x *Exchange, o object, base Object) {
			flags := o.number("msExchAuthFlags")
			x.AuthServers = append(x.AuthServers, AuthServer{
				Object: base, IssuerName: o.text("msExchAuthIssuerName"), IssuingURL: o.text("msExchAuthIssuingUrl"),
				AuthorizationURL: o.text("msExchAuthAuthorizationUrl"),
				MetadataURL:      o.text("msExchAuthMetadataUrl"), Realm: o.text("msExchAuthRealm"),
				ApplicationIdentifier: o.text("msExchAuthApplicationIdentifier"),
				Type:                  o.text("msExchAuthAuthServerType"), Enabled: flags&1 != 0,
				DefaultAuthorization: flags&2 != 0,
				Domains:              o.texts("msExchCoexistenceDomains"),
			})
		}},
	{"msExchAuthPartnerApplication",
		[]string{"msExchAuthApplicationIdentifier", "msExchAuthMetadataUrl", "msExchAuthRealm", "msExchAuthFlags",
			"msExchAuthLinkedAccount"}, []string{"msExchAuthFlags"}, func(x *Exchange, o object, base Object) {
			flags := o.number("msExchAuthFlags")
			x.PartnerApplications = append(x.PartnerApplications, PartnerApplication{
				Object: base, ApplicationIdentifier: o.text("msExchAuthApplicationIdentifier"),
				MetadataURL: o.text("msExchAuthMetadataUrl"), Realm: o.text("msExchAuthRealm"),
				LinkedAccount: o.text("msExchAuthLinkedAccount"), Enabled: flags&1 != 0, UseAuthServer: flags&2 != 0,
				AcceptSecurityIdentity: flags&4 != 0,
			})
		}},
	{"msExchCoexistenceRelationship",
		[]string{"msExchCoexistenceDomains", "msExchCoexistenceSecureMailCertificateThumbprint",
			"msExchCoexistenceOnPremisesSmartHost",
			"msExchCoexistenceFeatureFlags", "msExchCoexistenceExternalIPAddresses", "msExchCoexistenceServers",
			"msExchCoexistenceTransportServers",
			"msExchCoexistenceFrontendTransportServers", "msExchCoexistenceEdgeTransportServers",
			"msExchManagementSettings"}, nil, func(x *Exchange, o object, base Object) {
			x.Hybrid = &HybridConfiguration{
				Object: base, Domains: o.texts("msExchCoexistenceDomains"),
				TLSCertificateName:       o.text("msExchCoexistenceSecureMailCertificateThumbprint"),
				SmartHost:                o.text("msExchCoexistenceOnPremisesSmartHost"),
				Features:                 HybridFeature(o.number("msExchCoexistenceFeatureFlags")),
				ExternalIPAddresses:      o.texts("msExchCoexistenceExternalIPAddresses"),
				ClientAccessServers:      o.texts("msExchCoexistenceServers"),
				SendingTransportServers:  o.texts("msExchCoexistenceTransportServers"),
				ReceivingTransportServer: o.texts("msExchCoexistenceFrontendTransportServers"),
				EdgeTransportServers:     o.texts("msExchCoexistenceEdgeTransportServers"),
				ServiceInstance:          int(o.number("msExchManagementSettings") & 0x1f),
			}
		}},
	virtualDirectory("EWS", "msExchWebServicesVirtualDirectory"),
	virtualDirectory("OWA", "msExchOWAVirtualDirectory"),
	virtualDirectory("ECP", "msExchECPVirtualDirectory"),
	virtualDirectory("Autodiscover", "msExchAutoDiscoverVirtualDirectory"),
	virtualDirectory("PowerShell", "msExchPowerShellVirtualDirectory"),
	virtualDirectory("ActiveSync", "msExchMobileVirtualDirectory"),
	virtualDirectory("OAB", "msExchOABVirtualDirectory"),
	virtualDirectory("MAPI", "msExchMapiVirtualDirectory"),
	{"msExchRoutingSMTPConnector", []string{"routingList", "msExchSmtpSmartHost"}, nil,
		func(x *Exchange, o object, base Object) {
			x.SendConnectors = append(x.SendConnectors,
				SendConnector{base, o.texts("routingList"), o.text("msExchSmtpSmartHost")})
		}},
	{"msExchSmtpReceiveConnector", []string{"msExchSmtpReceiveBindings", "msExchSMTPReceiveConnectorFQDN"}, nil,
		func(x *Exchange, o object, base Object) {
			x.ReceiveConnectors = append(x.ReceiveConnectors,
				ReceiveConnector{base, serverOf(o.dn), o.texts("msExchSmtpReceiveBindings"),
					o.text("msExchSMTPReceiveConnectorFQDN")})
		}},
}

func virtualDirectory(kind, name string) class {
	return class{name, []string{"msExchInternalHostName", "msExchExternalHostName",
		"msExchInternalAuthenticationMethods", "msExchExternalAuthenticationMethods", "msExchMRSProxyFlags"}, nil,
		func(x *Exchange, o object, base Object) {
			x.VirtualDirectories = append(x.VirtualDirectories, VirtualDirectory{
				Object: base, Kind: kind, Server: serverOf(o.dn), InternalURL: o.text("msExchInternalHostName"),
				ExternalURL:  o.text("msExchExternalHostName"),
				InternalAuth: int(o.number("msExchInternalAuthenticationMethods")),
				ExternalAuth: int(o.number("msExchExternalAuthenticationMethods")),
				MRSProxy:     o.number("msExchMRSProxyFlags")&1 != 0,
			})
		}}
}

func decodeServer(x *Exchange, o object, base Object) {
	s := Server{Object: base, SerialNumber: o.text("serialNumber"),
		Roles: ServerRole(o.number("msExchCurrentServerRoles")),
		Site:  commonName(o.text("msExchServerSite")), InternalTLSCertificate: o.bytes("msExchServerInternalTLSCert")}
	s.Version, _ = ParseSerialNumber(s.SerialNumber)
	for _, a := range o.texts("networkAddress") {
		if host, ok := strings.CutPrefix(a, "ncacn_ip_tcp:"); ok {
			s.FQDN = host
		}
	}
	x.Servers = append(x.Servers, s)
}

// serverOf finds the server in the DN of one of its objects: the component below CN=Servers.
func serverOf(dn string) string {
	names := rdnValues(dn)
	if i := slices.IndexFunc(names, func(n string) bool { return strings.EqualFold(n, "Servers") }); i > 0 {
		return names[i-1]
	}
	return ""
}

func (c class) object(o object) Object {
	base := Object{DN: o.dn, Name: commonName(o.dn), GUID: parseGUID(o.bytes("objectGUID"))}
	for _, name := range c.always {
		if !o.has(name) {
			base.Hidden = append(base.Hidden, name)
		}
	}
	return base
}

// Exchange reads the whole Exchange configuration, in one pass, and the autodiscover service
// connection points. ErrNoExchange says that there is no organization, or none that this account
// can see: Active Directory does not distinguish these two. Any other error means unknown.
func (f *Forest) Exchange(ctx context.Context) (*Exchange, error) {
	filter := "(|"
	attributes := []string{"objectClass", "objectGUID"}
	for _, c := range classes {
		filter += "(objectClass=" + c.name + ")"
		attributes = append(attributes, c.attributes...)
	}
	filter += ")"
	slices.Sort(attributes)
	attributes = slices.Compact(attributes)

	found, err := f.search(ctx, "Exchange configuration", query{
		base: "CN=Microsoft Exchange,CN=Services," + f.root.Configuration, scope: ldap.ScopeWholeSubtree,
		filter: filter, attributes: attributes,
	})
	if errors.Is(err, errNoSuchObject) {
		return nil, f.noExchange(ctx)
	}
	if err != nil {
		return nil, err
	}
	x := &Exchange{}
	for _, o := range found {
		for _, c := range classes {
			if o.isA(c.name) {
				c.decode(x, o, c.object(o))
				break
			}
		}
	}
	if x.Organization.DN == "" {
		return nil, f.noExchange(ctx)
	}
	if x.ServicePoints, err = f.servicePoints(ctx); err != nil {
		return nil, err
	}
	x.sort()
	return x, nil
}

func (f *Forest) noExchange(ctx context.Context) error {
	version, err := f.schemaVersion(ctx)
	if err != nil {
		return err
	}
	if version > 0 {
		return f.wrap(fmt.Errorf("%w in %s: the schema is prepared (%d), so it is not installed yet or this account "+
			"may not see it", ErrNoExchange, f.root.Configuration, version))
	}
	return f.wrap(fmt.Errorf("%w in %s: the schema was never prepared for one", ErrNoExchange, f.root.Configuration))
}

// Keywords of autodiscover's service connection points (Microsoft, "Generate a list of Autodiscover
// endpoints").
const (
	keywordPointer = "67661d7F-8FC4-4fa7-BFAC-E1D7794C1F68"
	keywordURL     = "77378F46-2C66-4aa9-A6A6-3E7A48B19596"
)

func (f *Forest) servicePoints(ctx context.Context) ([]ServiceConnectionPoint, error) {
	found, err := f.search(ctx, "autodiscover service connection points", query{
		base: f.root.Configuration, scope: ldap.ScopeWholeSubtree,
		filter: "(&(objectClass=serviceConnectionPoint)(|(keywords=" + keywordPointer + ")(keywords=" + keywordURL +
			")))",
		attributes: []string{"objectGUID", "keywords", "serviceBindingInformation"},
	})
	if err != nil {
		return nil, err
	}
	var out []ServiceConnectionPoint
	for _, o := range found {
		p := ServiceConnectionPoint{Object: (class{always: []string{"serviceBindingInformation"}}).object(o),
			URL: o.text("serviceBindingInformation")}
		for _, k := range o.texts("keywords") {
			lower := strings.ToLower(k)
			switch {
			case strings.EqualFold(k, keywordPointer):
				p.Pointer = true
			case strings.HasPrefix(lower, "site="):
				p.Sites = append(p.Sites, k[len("site="):])
			case strings.HasPrefix(lower, "domain="):
				p.Domains = append(p.Domains, k[len("domain="):])
			}
		}
		out = append(out, p)
	}
	return out, nil
}

// RankServicePoints orders the URLs for a client in site as Outlook does: those of that site, those
// of no site, the others. Pointers to other forests are left out.
func RankServicePoints(points []ServiceConnectionPoint, site string) []string {
	rank := func(p ServiceConnectionPoint) int {
		switch {
		case slices.ContainsFunc(p.Sites, func(s string) bool { return strings.EqualFold(s, site) }):
			return 0
		case len(p.Sites) == 0:
			return 1
		}
		return 2
	}
	var urls []ServiceConnectionPoint
	for _, p := range points {
		if !p.Pointer && p.URL != "" {
			urls = append(urls, p)
		}
	}
	sorting.Stable(urls, func(a, b ServiceConnectionPoint) int { return rank(a) - rank(b) })
	var out []string
	for _, p := range urls {
		out = append(out, p.URL)
	}
	return out
}

// sort makes the order independent of the server's, and that of multi-valued attributes, which
// Active Directory does not keep, too.
func (x *Exchange) sort() {
	sortByName(x.Servers, func(o Server) Object { return o.Object })
	sortByName(x.AcceptedDomains, func(o AcceptedDomain) Object { return o.Object })
	sortByName(x.RemoteDomains, func(o RemoteDomain) Object { return o.Object })
	sortByName(x.AddressPolicies, func(o AddressPolicy) Object { return o.Object })
	sortByName(x.Relationships, func(o OrganizationRelationship) Object { return o.Object })
	sortByName(x.Connectors, func(o IntraOrganizationConnector) Object { return o.Object })
	sortByName(x.AddressSpaces, func(o AvailabilityAddressSpace) Object { return o.Object })
	sortByName(x.FederationTrusts, func(o Object) Object { return o })
	sortByName(x.AuthServers, func(o AuthServer) Object { return o.Object })
	sortByName(x.PartnerApplications, func(o PartnerApplication) Object { return o.Object })
	sortByName(x.VirtualDirectories, func(o VirtualDirectory) Object { return o.Object })
	sortByName(x.SendConnectors, func(o SendConnector) Object { return o.Object })
	sortByName(x.ReceiveConnectors, func(o ReceiveConnector) Object { return o.Object })
	sortByName(x.ServicePoints, func(o ServiceConnectionPoint) Object { return o.Object })
	for i := range x.Relationships {
		slices.Sort(x.Relationships[i].Domains)
		slices.Sort(x.Relationships[i].Actions)
	}
	for i := range x.Connectors {
		slices.Sort(x.Connectors[i].Domains)
	}
	for i := range x.AuthServers {
		slices.Sort(x.AuthServers[i].Domains)
	}
	if x.Hybrid != nil {
		slices.Sort(x.Hybrid.Domains)
	}
}

func sortByName[T any](list []T, object func(T) Object) {
	// not slices.SortFunc: its 20 KB of code exist once per type of T
	sort.Slice(list, func(i, j int) bool {
		x, y := object(list[i]), object(list[j])
		if d := strings.Compare(strings.ToLower(x.Name), strings.ToLower(y.Name)); d != 0 {
			return d < 0
		}
		return x.DN < y.DN
	})
}
