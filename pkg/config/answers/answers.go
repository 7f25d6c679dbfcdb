// Package answers is the answers file: what an administrator tells hybridge about the organization. Load reads and
// validates it; every fault is reported at once with file, line and column.
package answers

import "github.com/hybridge-cli/hybridge/pkg/config/secret"

// APIVersion and Kind identify an answers file.
const (
	APIVersion = "hybridge/v1"
	Kind       = "Answers"
)

// Answers is a validated answers file.
type Answers struct {
	APIVersion     string          `yaml:"apiVersion" json:"apiVersion"`
	Kind           string          `yaml:"kind" json:"kind"`
	Organization   string          `yaml:"organization" json:"organization"`
	Features       []Feature       `yaml:"features,omitempty" json:"features,omitempty"`
	ExchangeOnline *ExchangeOnline `yaml:"exchangeOnline,omitempty" json:"exchangeOnline,omitempty"`
	WorkMail       *WorkMail       `yaml:"workmail,omitempty" json:"workmail,omitempty"`
	Forests        []Forest        `yaml:"forests" json:"forests"`
	Network        Network         `yaml:"network,omitempty" json:"network,omitempty"`
	Tests          Tests           `yaml:"tests,omitempty" json:"tests,omitempty"`
}

// Feature is one of the features of Microsoft's wizard.
type Feature string

// The features, as Microsoft's wizard names them.
const (
	FreeBusy             Feature = "freeBusy"
	MailTips             Feature = "mailTips"
	Photos               Feature = "photos"
	MessageTracking      Feature = "messageTracking"
	MoveMailbox          Feature = "moveMailbox"
	OnlineArchive        Feature = "onlineArchive"
	OWARedirection       Feature = "owaRedirection"
	SecureMail           Feature = "secureMail"
	CentralizedTransport Feature = "centralizedTransport"
)

// ExchangeOnline is the tenant.
type ExchangeOnline struct {
	Cloud  string `yaml:"cloud" json:"cloud"`   // an id of package cloud
	Tenant string `yaml:"tenant" json:"tenant"` // initial domain, contoso.onmicrosoft.com
	// CoexistenceDomain is the target delivery domain; derived from Tenant and the cloud when empty.
	CoexistenceDomain string            `yaml:"coexistenceDomain,omitempty" json:"coexistenceDomain,omitempty"`
	Credential        Credential        `yaml:"credential" json:"credential"`
	RichCoexistence   string            `yaml:"richCoexistence,omitempty" json:"richCoexistence,omitempty"` // auto | ews | graph
	Hosts             map[string]string `yaml:"hosts,omitempty" json:"hosts,omitempty"`                     // overrides of the cloud's URLs, keyed as cloud.Keys lists
}

// WorkMail is an Amazon WorkMail organization.
type WorkMail struct {
	Region       string     `yaml:"region" json:"region"`
	Organization string     `yaml:"organization" json:"organization"`
	Credential   Credential `yaml:"credential,omitempty" json:"credential,omitempty"`
}

// Forest is one on-premises Active Directory forest with its Exchange organization.
type Forest struct {
	Name        string       `yaml:"name" json:"name"`
	Directory   Directory    `yaml:"directory" json:"directory"`
	Exchange    Exchange     `yaml:"exchange" json:"exchange"`
	Namespace   Namespace    `yaml:"namespace" json:"namespace"`
	Domains     []string     `yaml:"domains" json:"domains"`                             // SMTP domains of this forest that take part
	Certificate *Certificate `yaml:"certificate,omitempty" json:"certificate,omitempty"` // transport certificate
	// AuthCertificate is the Exchange auth certificate with its key, exported; needed only to test, from here, the
	// token that on-premises Exchange presents to the tenant.
	AuthCertificate *Certificate `yaml:"authCertificate,omitempty" json:"authCertificate,omitempty"`
	Edge            []string     `yaml:"edge,omitempty" json:"edge,omitempty"`
}

// Directory says how a forest's Active Directory is reached.
type Directory struct {
	Domain   string     `yaml:"domain,omitempty" json:"domain,omitempty"`     // forest root DNS name; servers are found by DNS SRV when Servers is empty
	Servers  []string   `yaml:"servers,omitempty" json:"servers,omitempty"`   // HOST or HOST:PORT
	Security string     `yaml:"security,omitempty" json:"security,omitempty"` // ldaps (default) | starttls
	Bind     Credential `yaml:"bind" json:"bind"`
}

// Exchange says how a forest's Exchange organization is reached.
type Exchange struct {
	Server     string     `yaml:"server" json:"server"`               // FQDN of one Mailbox server
	URL        string     `yaml:"url,omitempty" json:"url,omitempty"` // remote PowerShell URL; default http://SERVER/PowerShell/
	Credential Credential `yaml:"credential" json:"credential"`
	// EWS is the account that asks for free/busy over EWS; Credential when absent.
	EWS *Credential `yaml:"ews,omitempty" json:"ews,omitempty"`
}

// Namespace is the set of host names a forest publishes.
type Namespace struct {
	Autodiscover string `yaml:"autodiscover" json:"autodiscover"`
	EWS          string `yaml:"ews" json:"ews"`
	SMTP         string `yaml:"smtp" json:"smtp"`
}

// Certificate is a PKCS#12 or PEM file.
type Certificate struct {
	PFX      string     `yaml:"pfx" json:"pfx"` // path, relative to the answers file; a leading "file:" is allowed
	Password secret.Ref `yaml:"password,omitempty" json:"password,omitempty"`
}

// CredentialKind says how to authenticate.
type CredentialKind string

// Credential kinds. On-premises: kerberos (the logged-on user or the default ticket cache), keytab, password (Kerberos
// with a password for remote PowerShell over http, otherwise NTLM or Basic as the server asks), basic, ntlm.
// Online: certificate, secret, deviceCode, workloadIdentity.
const (
	CredentialKerberos         CredentialKind = "kerberos"
	CredentialKeytab           CredentialKind = "keytab"
	CredentialPassword         CredentialKind = "password"
	CredentialBasic            CredentialKind = "basic"
	CredentialNTLM             CredentialKind = "ntlm"
	CredentialCertificate      CredentialKind = "certificate"
	CredentialSecret           CredentialKind = "secret"
	CredentialDeviceCode       CredentialKind = "deviceCode"
	CredentialWorkloadIdentity CredentialKind = "workloadIdentity"
)

// Credential says who to be, and where the proof is kept.
type Credential struct {
	Kind        CredentialKind `yaml:"kind" json:"kind"`
	User        string         `yaml:"user,omitempty" json:"user,omitempty"` // UPN, DOMAIN\user, or user@REALM
	Password    secret.Ref     `yaml:"password,omitempty" json:"password,omitempty"`
	Keytab      string         `yaml:"keytab,omitempty" json:"keytab,omitempty"`
	TicketCache string         `yaml:"ticketCache,omitempty" json:"ticketCache,omitempty"`
	Krb5Config  string         `yaml:"krb5Config,omitempty" json:"krb5Config,omitempty"`
	ClientID    string         `yaml:"clientId,omitempty" json:"clientId,omitempty"`
	PFX         string         `yaml:"pfx,omitempty" json:"pfx,omitempty"`
	Secret      secret.Ref     `yaml:"secret,omitempty" json:"secret,omitempty"`
}

// Network says how connections are made.
type Network struct {
	Resolvers []string `yaml:"resolvers,omitempty" json:"resolvers,omitempty"` // HOST or HOST:PORT
	CAFile    string   `yaml:"caFile,omitempty" json:"caFile,omitempty"`       // PEM; added to the system's
	ConnectTo []string `yaml:"connectTo,omitempty" json:"connectTo,omitempty"` // HOST:PORT=HOST:PORT; an empty left host or port matches any
	Proxy     string   `yaml:"proxy,omitempty" json:"proxy,omitempty"`
	// InsecureHosts lists hosts whose certificates are not verified. Loud, and recorded in every report.
	InsecureHosts []string `yaml:"insecureHosts,omitempty" json:"insecureHosts,omitempty"`
}

// Tests says what the free/busy loop asks.
type Tests struct {
	Pairs []Pair `yaml:"pairs,omitempty" json:"pairs,omitempty"`
}

// Pair is one free/busy question: may From see To's calendar?
type Pair struct {
	From string `yaml:"from" json:"from"`
	To   string `yaml:"to" json:"to"`
}
