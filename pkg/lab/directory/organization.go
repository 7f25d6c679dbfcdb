package directory

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/go-ldap/ldap/v3"
)

// Organization is an Exchange organization as it stands in the configuration naming context.
type Organization struct {
	Name          string
	GUID          string // 8-4-4-4-12; derived from the name when empty
	ProductID     string // "15.02.2562.017" when empty
	ObjectVersion int    // 16763 when 0
	SchemaVersion int    // rangeUpper of ms-Exch-Schema-Version-Pt; 17003 when 0

	Servers             []ExchangeServer
	AcceptedDomains     []AcceptedDomain
	Relationships       []Relationship
	Connectors          []Connector
	AddressSpaces       []AddressSpace
	AuthThumbprints     []string
	AuthServers         []AuthServer
	PartnerApplications []PartnerApplication
	Hybrid              *Hybrid
	AddressTemplates    []string // of the default email address policy: "SMTP:%m@contoso.example"
	SendConnectors      []SendConnector
}

// ExchangeServer is an Exchange server with the usual virtual directories.
type ExchangeServer struct {
	FQDN            string
	Major, Minor    int // 15, 2
	Build, Revision int // as PowerShell shows them: 2562, 17
	Roles           int // msExchCurrentServerRoles; 16439 (Mailbox of 2016 and later) when 0
	TLSCertificate  []byte
	ExternalURL     string // "https://mail.contoso.example": base of the external URLs; empty publishes nothing
	AutodiscoverURL string // of the service connection point; empty makes none
	MRSProxy        bool
}

// AcceptedDomain is an SMTP domain.
type AcceptedDomain struct {
	Domain  string
	Type    int // 0 authoritative, 1 external relay, 2 internal relay
	Default bool
}

// Relationship is an organization relationship.
type Relationship struct {
	Name, ApplicationURI, AutodiscoverURL, SharingURL string
	Domains, Actions                                  []string
	Enabled                                           bool
}

// Connector is an intra-organization connector.
type Connector struct {
	Name, DiscoveryEndpoint string
	Domains                 []string
	Enabled                 bool
}

// AddressSpace is an availability address space. Its account's password is not kept here: only
// Exchange may read it.
type AddressSpace struct {
	Forest, AccessMethod, User, ProxyURL, AutodiscoverURL string
	UseServiceAccount                                     bool
}

// AuthServer is an auth server.
type AuthServer struct {
	Name, IssuerName, IssuingURL, AuthorizationURL, MetadataURL, Realm, ApplicationIdentifier, Type string
	Enabled, DefaultAuthorization                                                                   bool
	Domains                                                                                         []string
}

// PartnerApplication is a partner application.
type PartnerApplication struct {
	Name, ApplicationIdentifier, MetadataURL, Realm, LinkedAccount string
	Enabled, UseAuthServer, AcceptSecurityIdentifierInformation    bool
}

// Hybrid is the hybrid configuration object.
type Hybrid struct {
	Domains            []string
	TLSCertificateName string
	SmartHost          string
	Features           int
	ServiceInstance    int
}

// SendConnector is a send connector.
type SendConnector struct {
	Name          string
	AddressSpaces []string
	SmartHost     string
}

const adminGroup = "Exchange Administrative Group (FYDIBOHF23SPDLT)"

// Entries makes the organization's objects under configuration, the DN of the configuration naming
// context of the domain (a DNS name).
func (o *Organization) Entries(configuration, domain string) ([]Entry, error) {
	if o.Name == "" {
		return nil, fmt.Errorf("lab directory: Exchange organization without a name")
	}
	var entries []Entry
	add := func(dn, class string, pairs ...string) Entry {
		e := NewEntry(dn, append([]string{"objectClass", class}, pairs...)...)
		entries = append(entries, e)
		return e
	}
	id := guid("Exchange organization " + o.Name)
	if o.GUID != "" {
		var err error
		if id, err = ParseGUID(o.GUID); err != nil {
			return nil, err
		}
	}
	add("CN=ms-Exch-Schema-Version-Pt,CN=Schema,"+configuration, "attributeSchema", "rangeUpper",
		strconv.Itoa(orElse(o.SchemaVersion, 17003)),
		"lDAPDisplayName", "msExchSchemaVersionPt")
	exchange := "CN=Microsoft Exchange,CN=Services," + configuration
	add(exchange, "msExchConfigurationContainer")
	root := "CN=" + ldap.EscapeDN(o.Name) + "," + exchange
	product := o.ProductID
	if product == "" {
		product = "15.02.2562.017"
	}
	add(root, "msExchOrganizationContainer", "objectGUID", id, "msExchProductID", product, "objectVersion",
		strconv.Itoa(orElse(o.ObjectVersion, 16763)))
	groups := "CN=Administrative Groups," + root
	add(groups, "msExchAdminGroupContainer")
	group := "CN=" + adminGroup + "," + groups
	legacy := "/o=" + o.Name + "/ou=" + adminGroup
	add(group, "msExchAdminGroup", "legacyExchangeDN", legacy)
	add("CN=Servers,"+group, "msExchServersContainer")
	for _, s := range o.Servers {
		s.entries(add, "CN=Servers,"+group, configuration, legacy)
	}
	routing := "CN=Routing Groups," + group
	add(routing, "msExchRoutingGroupContainer")
	routing = "CN=Exchange Routing Group (DWBGZMFD01QNBJR)," + routing
	add(routing, "msExchRoutingGroup")
	add("CN=Connections,"+routing, "msExchConnectors")
	for _, c := range o.SendConnectors {
		add("CN="+ldap.EscapeDN(c.Name)+",CN=Connections,"+routing, "msExchRoutingSMTPConnector", "msExchSmtpSmartHost",
			c.SmartHost).add("routingList", c.AddressSpaces...)
	}

	transport := "CN=Transport Settings," + root
	add(transport, "msExchTransportSettings")
	add("CN=Accepted Domains,"+transport, "msExchContainer")
	for _, d := range o.AcceptedDomains {
		flags := d.Type
		if d.Default {
			flags |= 4
		}
		add("CN="+ldap.EscapeDN(d.Domain)+",CN=Accepted Domains,"+transport, "msExchAcceptedDomain",
			"msExchAcceptedDomainName", d.Domain, "msExchAcceptedDomainFlags", strconv.Itoa(flags))
	}
	add("CN=Recipient Policies,"+root, "msExchRecipientPolicyContainer")
	if len(o.AddressTemplates) > 0 {
		add("CN=Default Policy,CN=Recipient Policies,"+root, "msExchRecipientPolicy").add("gatewayProxy",
			o.AddressTemplates...)
	}
	add("CN=Global Settings,"+root, "msExchGlobalSettings")
	add("CN=Internet Message Formats,CN=Global Settings,"+root, "msExchContentConfigContainer")
	add("CN=Default,CN=Internet Message Formats,CN=Global Settings,"+root, "msExchDomainContentConfig", "domainName",
		"*")

	add("CN=Federation,"+root, "msExchContainer")
	for _, r := range o.Relationships {
		e := add("CN="+ldap.EscapeDN(r.Name)+",CN=Federation,"+root, "msExchFedSharingRelationship",
			"msExchFedIsEnabled", boolean(r.Enabled),
			"msExchFedTargetApplicationURI", r.ApplicationURI, "msExchFedTargetAutodiscoverEPR", r.AutodiscoverURL,
			"msExchFedTargetSharingEPR", r.SharingURL)
		e.add("msExchFedDomainNames", r.Domains...)
		e.add("msExchFedEnabledActions", r.Actions...)
	}
	add("CN=Intra Organization Connectors,"+root, "msExchContainer")
	for _, c := range o.Connectors {
		add("CN="+ldap.EscapeDN(c.Name)+",CN=Intra Organization Connectors,"+root, "msExchIntraOrganizationConnector",
			"msExchFedIsEnabled", boolean(c.Enabled),
			"msExchFedTargetAutodiscoverEPR", c.DiscoveryEndpoint).add("msExchFedDomainNames", c.Domains...)
	}
	add("CN=Availability Configuration,"+root, "msExchAvailabilityConfig")
	for _, a := range o.AddressSpaces {
		add("CN="+ldap.EscapeDN(a.Forest)+",CN=Availability Configuration,"+root, "msExchAvailabilityAddressSpace",
			"msExchAvailabilityForestName", a.Forest,
			"msExchAvailabilityAccessMethod", a.AccessMethod, "msExchAvailabilityUseServiceAccount",
			boolean(a.UseServiceAccount), "msExchAvailabilityUserName", a.User,
			"wWWHomePage", a.ProxyURL, "msExchFedTargetAutodiscoverEPR", a.AutodiscoverURL)
	}
	add("CN=Hybrid Configuration,"+root, "msExchContainer")
	if h := o.Hybrid; h != nil {
		add("CN=Hybrid Configuration,CN=Hybrid Configuration,"+root, "msExchCoexistenceRelationship",
			"msExchCoexistenceSecureMailCertificateThumbprint", h.TLSCertificateName,
			"msExchCoexistenceOnPremisesSmartHost", h.SmartHost, "msExchCoexistenceFeatureFlags",
			strconv.Itoa(h.Features),
			"msExchManagementSettings", strconv.Itoa(h.ServiceInstance)).add("msExchCoexistenceDomains", h.Domains...)
	}
	auth := "CN=Auth Configuration," + root
	add(auth, "msExchAuthAuthConfig", "msExchAuthIssuerName",
		"00000002-0000-0ff1-ce00-000000000000").add("msExchAuthCertificateThumbprint", o.AuthThumbprints...)
	add("CN=Auth Servers,"+auth, "msExchContainer")
	for _, s := range o.AuthServers {
		add("CN="+ldap.EscapeDN(s.Name)+",CN=Auth Servers,"+auth, "msExchAuthAuthServer", "msExchAuthIssuerName",
			s.IssuerName, "msExchAuthIssuingUrl", s.IssuingURL,
			"msExchAuthAuthorizationUrl", s.AuthorizationURL, "msExchAuthMetadataUrl", s.MetadataURL, "msExchAuthRealm",
			s.Realm,
			"msExchAuthApplicationIdentifier", s.ApplicationIdentifier, "msExchAuthAuthServerType", s.Type,
			"msExchAuthFlags", strconv.Itoa(flag(s.Enabled, 1)|flag(s.DefaultAuthorization,
				2))).add("msExchCoexistenceDomains", s.Domains...)
	}
	add("CN=Partner Applications,"+auth, "msExchContainer")
	for _, p := range o.PartnerApplications {
		add("CN="+ldap.EscapeDN(p.Name)+",CN=Partner Applications,"+auth, "msExchAuthPartnerApplication",
			"msExchAuthApplicationIdentifier", p.ApplicationIdentifier,
			"msExchAuthMetadataUrl", p.MetadataURL, "msExchAuthRealm", p.Realm, "msExchAuthLinkedAccount",
			p.LinkedAccount,
			"msExchAuthFlags", strconv.Itoa(flag(p.Enabled, 1)|flag(p.UseAuthServer,
				2)|flag(p.AcceptSecurityIdentifierInformation, 4)))
	}
	return entries, nil
}

func (s ExchangeServer) entries(add func(dn, class string, pairs ...string) Entry, servers, configuration,
	legacy string) {
	host, _, _ := strings.Cut(s.FQDN, ".")
	host = strings.ToUpper(host)
	dn := "CN=" + host + "," + servers
	site := "CN=Default-First-Site-Name,CN=Sites," + configuration
	e := add(dn, "msExchExchangeServer", "serialNumber",
		fmt.Sprintf("Version %d.%d (Build %d.%d)", s.Major, s.Minor, s.Build+30000, s.Revision),
		"msExchCurrentServerRoles", strconv.Itoa(orElse(s.Roles, 16439)), "msExchServerSite", site,
		"msExchServerInternalTLSCert", string(s.TLSCertificate),
		"legacyExchangeDN", legacy+"/cn=Configuration/cn=Servers/cn="+host)
	e.add("networkAddress", "netbios:"+host, "ncacn_ip_tcp:"+s.FQDN)
	protocols := "CN=Protocols," + dn
	add(protocols, "msExchProtocolCfgProtocolContainer")
	http := "CN=HTTP," + protocols
	add(http, "msExchProtocolCfgHTTPContainer")
	for _, v := range []struct{ name, class, path string }{
		{"EWS", "msExchWebServicesVirtualDirectory", "/EWS/Exchange.asmx"},
		{"Autodiscover", "msExchAutoDiscoverVirtualDirectory", ""},
		{"owa", "msExchOWAVirtualDirectory", "/owa"},
		{"ecp", "msExchECPVirtualDirectory", "/ecp"},
		{"OAB", "msExchOABVirtualDirectory", "/OAB"},
		{"mapi", "msExchMapiVirtualDirectory", "/mapi"},
		{"Microsoft-Server-ActiveSync", "msExchMobileVirtualDirectory", "/Microsoft-Server-ActiveSync"},
		{"PowerShell", "msExchPowerShellVirtualDirectory", ""},
	} {
		e := add("CN="+v.name+` (Default Web Site),`+http, v.class)
		if v.path != "" {
			e.add("msExchInternalHostName", "https://"+s.FQDN+v.path)
			if s.ExternalURL != "" {
				e.add("msExchExternalHostName", strings.TrimSuffix(s.ExternalURL, "/")+v.path)
			}
		}
		if v.name == "PowerShell" {
			e.add("msExchInternalHostName", "http://"+s.FQDN+"/powershell")
			e.add("msExchInternalAuthenticationMethods", "1") // Basic: the lab's remote PowerShell takes it
		}
		if v.name == "EWS" {
			e.add("msExchMRSProxyFlags", strconv.Itoa(flag(s.MRSProxy, 1)))
		}
	}
	if s.AutodiscoverURL != "" {
		add("CN=Autodiscover,"+protocols, "container")
		add("CN="+host+",CN=Autodiscover,"+protocols, "serviceConnectionPoint", "serviceBindingInformation",
			s.AutodiscoverURL, "serviceClassName", "ms-Exchange-AutoDiscover-Service",
			"serviceDNSName", host).add("keywords", "77378F46-2C66-4aa9-A6A6-3E7A48B19596",
			"Site=Default-First-Site-Name")
	}
}

func orElse(n, otherwise int) int {
	if n == 0 {
		return otherwise
	}
	return n
}

func flag(set bool, bit int) int {
	if set {
		return bit
	}
	return 0
}

func boolean(b bool) string {
	if b {
		return "TRUE"
	}
	return "FALSE"
}
