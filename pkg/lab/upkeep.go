package lab

import (
	"fmt"
	"maps"
	"slices"
	"strings"

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

// serverName is the name of the forest's Exchange server.
func (f *forest) serverName() string { return strings.ToUpper(firstLabel(f.server)) }

// upkeep makes the objects of a server that work goes on at: its components, its database, its
// other virtual directories.
func (f *forestSite) upkeep() {
	o, name := f.org, f.serverName()
	for _, component := range slices.Sorted(maps.Keys(components)) {
		o.Seed("ServerComponentState", "Name", name+" "+component, "Server", name, "ServerFqdn", f.server, "Component",
			component, "State", components[component])
	}
	o.Seed("MailboxDatabase", "Name", "DB1", "Server", name, "Mounted", true)
	o.Seed("OwaVirtualDirectory", "Server", name, "InternalUrl", "https://"+f.server+"/owa", "ExternalUrl",
		"https://"+f.mail+"/owa")
	o.Seed("ActiveSyncVirtualDirectory", "Server", name, "InternalUrl",
		"https://"+f.server+"/Microsoft-Server-ActiveSync", "ExternalUrl",
		"https://"+f.mail+"/Microsoft-Server-ActiveSync")
	o.Seed("ThrottlingPolicy", "Name", "GlobalThrottlingPolicy_"+f.guid, "ThrottlingPolicyScope", "Global")
	o.Seed("TransportService", "Name", name, "InternalTransportCertificateThumbprint",
		certificate.Thumbprint(f.serverCertificate.cert))
	f.store(f.serverCertificate, "SMTP", false)
}

// fullBuild is the installed build, as the web services show it.
func (f *forestSite) fullBuild() string {
	switch {
	case f.securityUpdate != "":
		return f.securityUpdate
	case f.build == build:
		return latest
	}
	var n [4]int
	_, _ = fmt.Sscanf(f.build, "Version %d.%d (Build %d.%d)", &n[0], &n[1], &n[2], &n[3])
	return fmt.Sprintf("%d.%d.%d.%d", n[0], n[1], n[2], n[3])
}

// off reports whether a component of the server takes no requests.
func (f *forestSite) off(component string) bool {
	r := f.org.Object("ServerComponentState", f.serverName()+" "+component)
	return r != nil && r.String("State") != "Active"
}
