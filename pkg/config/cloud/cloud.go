// Package cloud holds, as data, what differs between the clouds Exchange Online and Entra run in: hosts, endpoints,
// domain suffixes and capabilities. Every host can be overridden from the answers file (exchangeOnline.hosts), since
// some rows are recalled rather than read (see docs/limitations.md).
package cloud

// Cloud is one Microsoft 365 environment. URLs carry no trailing slash; "{tenant}" stands for the tenant's
// initial domain name and "{tenantId}" for its GUID.
type Cloud struct {
	ID                   string // worldwide, gcc-high, dod, 21vianet, bleu, delos
	Title                string
	Login                string // https://login.microsoftonline.com
	Graph                string // https://graph.microsoft.com
	AdminAPI             string // https://outlook.office365.com: base of /adminapi
	EWS                  string // https://outlook.office365.com/EWS/Exchange.asmx
	AutodiscoverJSON     string // https://outlook.office365.com: host of /autodiscover/autodiscover.json
	ExchangeResource     string // https://outlook.office365.com: audience of EWS and admin tokens; scope is this + "/.default"
	DiscoveryEndpoint    string // https://autodiscover-s.outlook.com/autodiscover/autodiscover.svc
	ACSMetadataURL       string // https://accounts.accesscontrol.windows.net/{tenantId}/metadata/json/1
	EvoSTSMetadataURL    string // https://login.windows.net/{tenant}/federationmetadata/2007-06/federationmetadata.xml
	OWA                  string // https://outlook.office.com/mail
	InitialSuffix        string // onmicrosoft.com
	CoexistenceSuffix    string // mail.onmicrosoft.com
	TLSDomain            string // mail.protection.outlook.com
	ServiceInstance      int    // HybridConfiguration.ServiceInstance
	GraphCoexistence     bool   // the Graph route for rich coexistence exists here
	DedicatedApplication bool
}
