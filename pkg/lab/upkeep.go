package lab

import (
	"maps"
	"slices"

	"github.com/hybridge-cli/hybridge/pkg/estate/certificate"
)

// latest is the default build with the security update of October 2026. Get-ExchangeServer shows
// the cumulative update alone.
const latest = "15.2.2562.53"

// components are some parts of a server, as an upright server shows them.
var components = map[string]string{
	"ServerWideOffline": "Active", "HubTransport": "Active", "FrontendTransport": "Active", "EwsProxy": "Active",
	"AutoDiscoverProxy": "Active", "MailboxDelivery": "Active", "ForwardSyncDaemon": "Inactive",
	"ProvisioningRps": "Inactive",
}

// upkeep makes the objects of a server that work goes on at: its components, its database, its
// other virtual directories.
func (s *exchangeServer) upkeep() {
	o, name, f := s.site.org, s.name(), s.site
	for _, component := range slices.Sorted(maps.Keys(components)) {
		o.Seed("ServerComponentState", "Name", name+" "+component, "Server", name, "ServerFqdn", s.host, "Component",
			component, "State", components[component])
	}
	o.Seed("MailboxDatabase", "Name", s.mailboxDatabase(), "Server", name, "Mounted", true)
	o.Seed("OwaVirtualDirectory", "Server", name, "InternalUrl", "https://"+s.host+"/owa", "ExternalUrl",
		"https://"+f.mail+"/owa")
	o.Seed("ActiveSyncVirtualDirectory", "Server", name, "InternalUrl",
		"https://"+s.host+"/Microsoft-Server-ActiveSync", "ExternalUrl",
		"https://"+f.mail+"/Microsoft-Server-ActiveSync")
	o.Seed("TransportService", "Name", name, "InternalTransportCertificateThumbprint",
		certificate.Thumbprint(s.own.cert))
	s.store(s.own, "SMTP", false)
}
