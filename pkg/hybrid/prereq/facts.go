// Package prereq holds the prerequisite checks of an Exchange hybrid deployment, a file a category, and the facts that they look at. A
// check is one declaration in the file of its category; Checks lists them.
package prereq

import (
	"context"
	"crypto/x509"
	"errors"
	"iter"
	"time"

	"github.com/hybridge-cli/hybridge/pkg/config/answers"
	"github.com/hybridge-cli/hybridge/pkg/config/cloud"
	"github.com/hybridge-cli/hybridge/pkg/estate/certificate"
	"github.com/hybridge-cli/hybridge/pkg/estate/directory"
	"github.com/hybridge-cli/hybridge/pkg/estate/entra"
	"github.com/hybridge-cli/hybridge/pkg/estate/exchange"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/desired"
)

// ErrNoSource says that nobody can tell a fact: the answers give no way to it.
var ErrNoSource = errors.New("the answers say nothing about how to look this up")

// Facts are what is known, or can be looked up, about a deployment. All checks and the desired state share one Facts, so that no remote call is
// made twice.
type Facts struct {
	Answers answers.Answers
	Cloud   cloud.Cloud // with the answers' overrides, placeholders not filled in
	Now     func() time.Time
	Roots   *x509.CertPool // trusted authorities; nil: the system's
	Tenant  Tenant
	Forests []*Forest // in the answers' order

	// Duplicates are the addresses that more than one user holds, in one forest or in several.
	Duplicates *Fact[[]Duplicate]
	// TXT are the TXT records of a domain; dns.ErrAbsent and dns.ErrEmpty tell that there is none.
	TXT *Keyed[[]string]
	// Aliases are the names that a host name's CNAMEs lead over.
	Aliases *Keyed[[]string]
}

// Tenant is the Exchange Online organization and its Entra tenant.
type Tenant struct {
	Organization      *Fact[entra.Organization]
	Domains           *Fact[[]entra.Domain]
	Verification      *Keyed[[]entra.DomainRecord] // by domain
	ExchangePrincipal *Fact[entra.ServicePrincipal]
	GraphPrincipal    *Fact[entra.ServicePrincipal]
	Principal         *Keyed[entra.ServicePrincipal] // of any application, by its id
	// Permissions are the Graph permissions that the credential's token carries; nil when the token does not tell.
	Permissions *Fact[[]string]
	// Applications are the dedicated applications by display name; none, one, or by mistake several.
	Applications *Keyed[[]map[string]any]

	Config          *Fact[OnlineConfig]
	AcceptedDomains *Fact[[]AcceptedDomain]
	Rights          *Fact[map[string]exchange.Allowance]
}

// OnlineConfig is Get-OrganizationConfig of Exchange Online as far as hybrid goes.
type OnlineConfig struct {
	GUID             string
	EwsEnabled       *bool    // nil: not set
	EwsAllowedAppIDs []string // nil when ListKnown is false
	ListKnown        bool     // the service told the list, empty or not
	EwsPolicy        EwsPolicy
}

// EwsPolicy is an organization's second gate before EWS, on either side: programs by their user agent. The switch and the list of applications do not
// override it.
type EwsPolicy struct {
	Mode         string   // EwsApplicationAccessPolicy: EnforceAllowList, EnforceBlockList; empty: none
	Allow, Block []string // EwsAllowList, EwsBlockList: user agents with "*"
}

// AcceptedDomain is an accepted domain on either side.
type AcceptedDomain struct {
	Name        string // without the "*." of a domain with its subdomains
	SubDomains  bool   // all domains below it are accepted, too
	Type        string // Authoritative, InternalRelay, ExternalRelay
	Coexistence bool
	Initial     bool
}

// Forest is one forest with its Exchange organization.
type Forest struct {
	Answers answers.Forest

	Directory *Fact[directory.RootDSE]
	// Stream streams the users anew with every call; nil when there is no way to them.
	Stream func(ctx context.Context) iter.Seq2[directory.User, error]
	Users  *Fact[UserScan]

	Organization    *Fact[Organization]
	Servers         *Fact[[]Server]
	AcceptedDomains *Fact[[]AcceptedDomain]
	Auth            *Fact[Auth]
	// VirtualDirectories are those of EWS and autodiscover on all servers.
	VirtualDirectories *Fact[[]VirtualDirectory]
	// Objects are what a Get cmdlet prints without parameters, by the cmdlet's name: for checks that need no more than that. The cmdlet
	// has to be among Cmdlets.
	Objects *Keyed[[]exchange.Object]
	Rights  *Fact[map[string]exchange.Allowance]

	// CertificateFile is the transport certificate that the answers name; ErrNoSource when they name none.
	CertificateFile *Fact[certificate.Bundle]
	// CertificateServed is what the SMTP name serves after STARTTLS.
	CertificateServed *Fact[certificate.Bundle]
	// Autodiscover is what a host answers at /autodiscover/autodiscover.xml without credentials.
	Autodiscover *Keyed[Autodiscover]
}

// Name is the forest's name in the answers.
func (f *Forest) Name() string { return f.Answers.Name }

// Organization is Get-OrganizationConfig of an on-premises organization as far as hybrid goes.
type Organization struct {
	Name, GUID string
	RootDomain string // DNS name of the forest root; empty when the object does not tell
	EwsEnabled *bool  // nil: not set, which lets EWS be used
	EwsPolicy  EwsPolicy
}

// Server is one Exchange server.
type Server struct {
	Name    string
	FQDN    string
	Version string // AdminDisplayVersion
	Mailbox bool
	Edge    bool
}

// Build reads the server's version.
func (s Server) Build() (desired.Build, error) { return desired.ParseBuild(s.Version) }

// VirtualDirectory is a virtual directory of EWS or autodiscover.
type VirtualDirectory struct {
	Noun        string // one of VirtualDirectoryNouns
	Identity    string // EX1\EWS (Default Web Site)
	OAuth       bool   // among the methods for requests from inside and from outside
	ExternalURL string // of EWS; empty when it publishes none
}

// Auth is the auth configuration of an on-premises organization, with the certificates of its servers.
type Auth struct {
	Current       string // thumbprint, upper case
	Next          string
	NextEffective time.Time
	Servers       map[string][]*x509.Certificate // by server name
}

// Certificate finds a certificate by its thumbprint, and names the servers that lack it.
func (a Auth) Certificate(thumbprint string) (found *x509.Certificate, lacking []string) {
	for _, server := range sorted(a.Servers) {
		has := false
		for _, c := range a.Servers[server] {
			if certificate.Thumbprint(c) == thumbprint {
				has, found = true, c
			}
		}
		if !has {
			lacking = append(lacking, server)
		}
	}
	return found, lacking
}

// Autodiscover is an unauthenticated answer of an autodiscover service.
type Autodiscover struct {
	Status      int
	Schemes     []string // that it can be signed in with
	Location    string   // where it redirects to
	Certificate *x509.Certificate
}
