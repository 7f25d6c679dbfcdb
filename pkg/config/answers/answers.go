// Package answers is the answers file: the description of an organization by its administrator.
// Load reads and validates it; every fault is reported at once with file, line and column.
//
// A file passes these steps: limits on what is read (source.go), YAML into a tree of nodes that
// know their lines (document.go), the JSON Schema that editors use too (schema.go), and the rules
// that tie values together (validate.go). The questions that a form or a template asks are data
// (questions.go) and share the rules.
package answers

import "github.com/hybridge-cli/hybridge/pkg/config/secret"

// APIVersion and Kind identify an answers file.
const (
	APIVersion = "hybridge/v1"
	Kind       = "Answers"
)

// Answers describes the organization: the clouds, the forests and how each is
// reached. Domain names in validated Answers are lower case ASCII (an internationalized name is in
// its xn-- form).
//
// The JSON Schema, and so an editor, shows the comments of these types; for a key that a question
// asks for, what questions.go says of it.
type Answers struct {
	// The version of the file's format: hybridge/v1.
	APIVersion string `yaml:"apiVersion" json:"apiVersion" example:"hybridge/v1"`
	// Always Answers.
	Kind         string `yaml:"kind" json:"kind" example:"Answers"`
	Organization string `yaml:"organization" json:"organization"`
	// The file is for looking alone, with accounts that only read: nothing is applied, rolled back,
	// sent or written into a calendar with it.
	ValidateOnly bool      `yaml:"validateOnly,omitempty" json:"validateOnly,omitempty" example:"true"`
	Features     []Feature `yaml:"features,omitempty" json:"features,omitempty"`
	Retire       []Retired `yaml:"retire,omitempty" json:"retire,omitempty"`
	// What becomes of the hybrid itself. Default: it is set up and kept.
	Hybrid *Hybrid `yaml:"hybrid,omitempty" json:"hybrid,omitempty"`
	// The Exchange Online tenant.
	ExchangeOnline *ExchangeOnline `yaml:"exchangeOnline,omitempty" json:"exchangeOnline,omitempty"`
	// The Amazon WorkMail organization.
	WorkMail *WorkMail `yaml:"workmail,omitempty" json:"workmail,omitempty"`
	// The on-premises Active Directory forests with their Exchange organizations.
	Forests []Forest `yaml:"forests" json:"forests"`
	// How connections are made.
	Network Network `yaml:"network,omitempty" json:"network,omitzero"`
	// What the free/busy loop asks.
	Tests Tests `yaml:"tests,omitempty" json:"tests,omitzero"`
	// What the organization decided about findings of checks: another severity, or an
	// acknowledgement until a date.
	Checks []CheckRule `yaml:"checks,omitempty" json:"checks,omitempty"`
	// Who gets a message when a check, a test or a plan with --detailed-exitcode ends otherwise than
	// the one before: new findings, those that are gone, what cannot be seen any more.
	Notify []Receiver `yaml:"notify,omitempty" json:"notify,omitempty"`
}

// CheckRule is a decision about the findings of one check: another severity, or an acknowledgement
// with its reason, owner and last day.
type CheckRule struct {
	// The id of the check, as "hybridge help checks" lists it.
	ID string `yaml:"id" json:"id" example:"certificates.transport"`
	// Where it holds: the name of a forest, tenant, workmail or organization. Default: everywhere.
	Scope string `yaml:"scope,omitempty" json:"scope,omitempty" example:"contoso"`
	// What findings count as: fail, or warn, which changes no exit code. A check that only warns is
	// not required: the run does not end with exit code 9 when it cannot look.
	Severity string `yaml:"severity,omitempty" json:"severity,omitempty" example:"warn"`
	// Why the finding is accepted for now. An acknowledgement needs reason, owner and expires.
	Reason string `yaml:"reason,omitempty" json:"reason,omitempty" example:"The new certificate is ordered, ticket 4711"`
	// Who answers for it.
	Owner string `yaml:"owner,omitempty" json:"owner,omitempty" example:"anna@contoso.com"`
	// The last day of the acknowledgement, in UTC. The finding counts again from the next day on.
	Expires string `yaml:"expires,omitempty" json:"expires,omitempty" example:"2027-01-31"`
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

// DefaultFeatures are the features that apply when the file names none: all but
// centralizedTransport.
func DefaultFeatures() []Feature {
	return []Feature{FreeBusy, MailTips, Photos, MessageTracking, MoveMailbox, OnlineArchive, OWARedirection,
		SecureMail}
}

// Retired is something that hybrid no longer needs and that a plan removes when it is named.
type Retired string

// What can be retired.
const (
	RetireSharedKeys  Retired = "sharedKeys"
	RetireWorkarounds Retired = "workarounds"
	RetireMRSProxy    Retired = "mrsProxy"
)

// ExchangeOnline is the tenant.
type ExchangeOnline struct {
	Cloud  string `yaml:"cloud" json:"cloud"`
	Tenant string `yaml:"tenant" json:"tenant"`
	// The target delivery domain, such as contoso.mail.onmicrosoft.com. Default: derived from the
	// tenant.
	CoexistenceDomain string `yaml:"coexistenceDomain,omitempty" json:"coexistenceDomain,omitempty" example:"contoso.mail.onmicrosoft.com"`
	// How to sign in to the tenant: certificate, secret, deviceCode or workloadIdentity.
	Credential      Credential `yaml:"credential" json:"credential"`
	RichCoexistence string     `yaml:"richCoexistence,omitempty" json:"richCoexistence,omitempty"`
	Via             string     `yaml:"via,omitempty" json:"via,omitempty"`
	// Overrides of the cloud's hosts, keyed as "hybridge help clouds" lists them.
	Hosts map[string]string `yaml:"hosts,omitempty" json:"hosts,omitempty" example:"{adminAPI: https://outlook.office365.us}"`
}

// Forest is one on-premises Active Directory forest with its Exchange organization.
type Forest struct {
	Name string `yaml:"name" json:"name"`
	// How the forest's Active Directory is reached.
	Directory Directory `yaml:"directory" json:"directory"`
	// How the forest's Exchange organization is reached.
	Exchange Exchange `yaml:"exchange" json:"exchange"`
	// The host names that the forest publishes.
	Namespace Namespace `yaml:"namespace" json:"namespace"`
	Domains   []string  `yaml:"domains" json:"domains"`
	// Email address policies whose recipients get an address in the coexistence domain. Every other
	// policy stays as it is.
	AddressPolicies []string `yaml:"addressPolicies,omitempty" json:"addressPolicies,omitempty" example:"[Default Policy]"`
	// The transport certificate with its key. It must differ from every other forest's in common
	// name or issuer.
	Certificate *Certificate `yaml:"certificate,omitempty" json:"certificate,omitempty"`
	// The Exchange auth certificate with its key, exported. With it, test presents the token of the
	// dedicated application to the tenant, as the servers do. Nothing else needs it.
	AuthCertificate *Certificate `yaml:"authCertificate,omitempty" json:"authCertificate,omitempty"`
	// The appId of the dedicated hybrid application in the tenant. Default: the one that the auth
	// server of the tenant names; without any, a new one is made.
	ApplicationID string `yaml:"applicationId,omitempty" json:"applicationId,omitempty" example:"11111111-2222-3333-4444-555555555555"`
	// Edge Transport servers. With any, mail flows through them and not through the Mailbox
	// servers.
	Edge []string `yaml:"edge,omitempty" json:"edge,omitempty" example:"[edge1.contoso.com]"`
	// Transport rules and journal rules that a plan copies, by name. Rules are not synchronized.
	CopyRules *CopyRules `yaml:"copyRules,omitempty" json:"copyRules,omitempty"`
	// How Amazon WorkMail asks this forest for free/busy. A forest without it takes no part in the
	// interoperability with WorkMail.
	WorkMail *Provider `yaml:"workmail,omitempty" json:"workmail,omitempty"`
	// How the other forests ask this one for free/busy. Without it, hybridge sets up no lookups
	// from them.
	Lookups *Lookups `yaml:"lookups,omitempty" json:"lookups,omitempty"`
}

// CopyRules names rules of one side that the other side gets.
type CopyRules struct {
	// Rules of the forest that the tenant gets.
	ToTenant []string `yaml:"toTenant,omitempty" json:"toTenant,omitempty" example:"[Disclaimer]"`
	// Rules of the tenant that the forest gets.
	ToForest []string `yaml:"toForest,omitempty" json:"toForest,omitempty" example:"[Block executables]"`
}

// Directory says how a forest's Active Directory is reached. Name its domain, its servers, or both.
type Directory struct {
	Domain   string   `yaml:"domain,omitempty" json:"domain,omitempty"`
	Servers  []string `yaml:"servers,omitempty" json:"servers,omitempty"`
	Security string   `yaml:"security,omitempty" json:"security,omitempty"`
	// Who reads the directory: kerberos, keytab or password. No rights beyond those of any user are
	// needed.
	Bind Credential `yaml:"bind" json:"bind"`
}

// Exchange says how a forest's Exchange organization is reached.
type Exchange struct {
	Server string `yaml:"server" json:"server"`
	URL    string `yaml:"url,omitempty" json:"url,omitempty"`
	// Who manages Exchange: kerberos, keytab, password or basic. Needs Organization Management.
	Credential Credential `yaml:"credential" json:"credential"`
	// The account that asks for free/busy over EWS, a user with a mailbox who is synchronized to
	// the tenant: kerberos, keytab, password, basic or ntlm. Default: credential.
	EWS    *Credential `yaml:"ews,omitempty" json:"ews,omitempty"`
	Builds []string    `yaml:"builds,omitempty" json:"builds,omitempty"`
	Via    string      `yaml:"via,omitempty" json:"via,omitempty"`
}

// Namespace is the set of host names a forest publishes.
type Namespace struct {
	Autodiscover string `yaml:"autodiscover" json:"autodiscover"`
	EWS          string `yaml:"ews" json:"ews"`
	SMTP         string `yaml:"smtp" json:"smtp"`
}

// Certificate is a PKCS#12 or PEM file.
type Certificate struct {
	// The path of a PKCS#12 or PEM file, relative to the answers file; a leading "file:" is
	// allowed.
	PFX string `yaml:"pfx" json:"pfx"`
	// Where the file's password is kept.
	Password secret.Ref `yaml:"password,omitempty" json:"password,omitempty"`
}

// CredentialKind says how to authenticate.
type CredentialKind string

// Credential kinds. On-premises: kerberos (the logged-on user or the default ticket cache), keytab,
// password (Kerberos with a password for remote PowerShell over http, Basic over https; NTLM for
// EWS), basic, ntlm. Online: certificate, secret, deviceCode, workloadIdentity.
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
	// How to authenticate. On-premises: kerberos, keytab, password, basic, ntlm. Online:
	// certificate, secret, deviceCode, workloadIdentity.
	Kind CredentialKind `yaml:"kind" json:"kind"`
	// The account: user@domain or DOMAIN\user.
	User string `yaml:"user,omitempty" json:"user,omitempty" example:"svc-hybridge@contoso.com"`
	// Where the account's password, or that of the pfx file, is kept.
	Password secret.Ref `yaml:"password,omitempty" json:"password,omitempty"`
	// The path of a Kerberos keytab, relative to the answers file.
	Keytab string `yaml:"keytab,omitempty" json:"keytab,omitempty" example:"hybridge.keytab"`
	// The path of a Kerberos ticket cache. Default: the user's own.
	TicketCache string `yaml:"ticketCache,omitempty" json:"ticketCache,omitempty" example:"/tmp/krb5cc_1000"`
	// The path of a krb5.conf. Default: the system's.
	Krb5Config string `yaml:"krb5Config,omitempty" json:"krb5Config,omitempty" example:"krb5.conf"`
	// The application (client) id, a GUID; for workmail, the id of the access key.
	ClientID string `yaml:"clientId,omitempty" json:"clientId,omitempty"`
	// The path of the application's certificate with its key, PKCS#12, relative to the answers
	// file.
	PFX string `yaml:"pfx,omitempty" json:"pfx,omitempty"`
	// Where the application's secret is kept.
	Secret secret.Ref `yaml:"secret,omitempty" json:"secret,omitempty"`
}

// ProxyCredential is an account of the proxy.
type ProxyCredential struct {
	// The account, DOMAIN\user, user@domain or user.
	User string `yaml:"user" json:"user" example:"svc-hybridge"`
	// Where its password is kept.
	Password secret.Ref `yaml:"password" json:"password" example:"keyring:hybridge/proxy"`
}

// Network says how connections are made.
type Network struct {
	Resolvers []string `yaml:"resolvers,omitempty" json:"resolvers,omitempty"`
	CAFile    string   `yaml:"caFile,omitempty" json:"caFile,omitempty"`
	ConnectTo []string `yaml:"connectTo,omitempty" json:"connectTo,omitempty"`
	Proxy     string   `yaml:"proxy,omitempty" json:"proxy,omitempty"`
	// Who signs in to the proxy when it asks, by NTLM or Basic.
	ProxyCredential *ProxyCredential `yaml:"proxyCredential,omitempty" json:"proxyCredential,omitempty"`
	// The name that mail servers are greeted with (EHLO). Default: this machine's name where it is
	// public, else its address.
	EHLOName string `yaml:"ehloName,omitempty" json:"ehloName,omitempty" example:"admin.contoso.com"`
	// Hosts whose certificates are not verified. Every run says so.
	InsecureHosts []string `yaml:"insecureHosts,omitempty" json:"insecureHosts,omitempty" example:"[ex1.contoso.com]"`
}

// Tests says what the free/busy loop asks.
type Tests struct {
	// The lookups to ask.
	Pairs []Pair `yaml:"pairs,omitempty" json:"pairs,omitempty"`
}

// Pair is one free/busy question: may From see To's calendar?
type Pair struct {
	// The mailbox that asks.
	From string `yaml:"from" json:"from" example:"anna@contoso.com"`
	// The mailbox that is asked about.
	To string `yaml:"to" json:"to" example:"bob@contoso.com"`
}

// Values of exchangeOnline.richCoexistence.
const (
	RichCoexistenceAuto  = "auto"
	RichCoexistenceEWS   = "ews"
	RichCoexistenceGraph = "graph"
)

// Values of exchange.via and exchangeOnline.via: hybridge's own remote PowerShell or the admin API, a
// PowerShell on this computer, or the latter where the former does not work.
const (
	ViaRemote = "remote"
	ViaAPI    = "api"
	ViaLocal  = "local"
	ViaSnapIn = "snapIn"
	ViaModule = "module"
	ViaAuto   = "auto"
)

// Values of checks[].severity.
const (
	SeverityFail = "fail"
	SeverityWarn = "warn"
)

// Values of directory.security.
const (
	SecurityLDAPS    = "ldaps"
	SecurityStartTLS = "starttls"
)
