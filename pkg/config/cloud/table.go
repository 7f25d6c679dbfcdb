package cloud

// clouds is the one table. Sources: Microsoft's published endpoint lists, the article "Configure
// OAuth authentication between Exchange and Exchange Online organizations", and the environments
// that CSS-Exchange's scripts know. What was recalled or inferred and not read anywhere is
// Unconfirmed; docs/reference/clouds.md marks it.
var clouds = []Cloud{
	{
		ID:                "worldwide",
		Title:             "Microsoft 365 worldwide, GCC included",
		ServiceInstance:   "0",
		Login:             "https://login.microsoftonline.com",
		Graph:             "https://graph.microsoft.com",
		AdminAPI:          "https://outlook.office365.com",
		EWS:               "https://outlook.office365.com/EWS/Exchange.asmx",
		AutodiscoverJSON:  "https://outlook.office365.com",
		ExchangeResource:  "https://outlook.office365.com",
		DiscoveryEndpoint: "https://autodiscover-s.outlook.com/autodiscover/autodiscover.svc",
		ACSMetadataURL:    "https://accounts.accesscontrol.windows.net/{tenantId}/metadata/json/1",
		EvoSTSMetadataURL: "https://login.windows.net/{tenant}/federationmetadata/2007-06/federationmetadata.xml",
		OWA:               "https://outlook.office.com/mail",
		InitialSuffix:     "onmicrosoft.com",
		CoexistenceSuffix: "mail.onmicrosoft.com",
		TLSDomain:         "mail.protection.outlook.com",
		GraphCoexistence:  true,
	},
	{
		ID:                "gcc-high",
		Title:             "GCC High, United States government",
		ServiceInstance:   "0",
		Login:             "https://login.microsoftonline.us",
		Graph:             "https://graph.microsoft.us",
		AdminAPI:          "https://outlook.office365.us",
		EWS:               "https://outlook.office365.us/EWS/Exchange.asmx",
		AutodiscoverJSON:  "https://outlook.office365.com", // as CSS-Exchange asks, for every cloud
		ExchangeResource:  "https://outlook.office365.us",
		DiscoveryEndpoint: "https://autodiscover-s.office365.us/autodiscover/autodiscover.svc",
		ACSMetadataURL:    "https://login.microsoftonline.us/{tenant}/metadata/json/1",
		EvoSTSMetadataURL: "https://login.microsoftonline.us/{tenant}" +
			"/federationmetadata/2007-06/federationmetadata.xml",
		OWA:               "https://outlook.office365.us/mail",
		InitialSuffix:     "onmicrosoft.us",
		OtherSuffixes:     []string{"onmicrosoft.com"},
		CoexistenceSuffix: "mail.onmicrosoft.us",
		TLSDomain:         "mail.protection.office365.us",
		Unconfirmed:       []string{"serviceInstance", "owa", "tlsDomain"},
	},
	{
		ID:                "dod",
		Title:             "DoD, United States Department of Defense",
		ServiceInstance:   "0",
		Login:             "https://login.microsoftonline.us",
		Graph:             "https://dod-graph.microsoft.us",
		AdminAPI:          "https://outlook-dod.office365.us",
		EWS:               "https://outlook-dod.office365.us/EWS/Exchange.asmx",
		AutodiscoverJSON:  "https://outlook.office365.com", // as CSS-Exchange asks, for every cloud
		ExchangeResource:  "https://outlook-dod.office365.us",
		DiscoveryEndpoint: "https://autodiscover-s-dod.office365.us/autodiscover/autodiscover.svc",
		ACSMetadataURL:    "https://login.microsoftonline.us/{tenant}/metadata/json/1",
		EvoSTSMetadataURL: "https://login.microsoftonline.us/{tenant}" +
			"/federationmetadata/2007-06/federationmetadata.xml",
		OWA:               "https://webmail.apps.mil/mail",
		InitialSuffix:     "onmicrosoft.us",
		OtherSuffixes:     []string{"onmicrosoft.com"},
		CoexistenceSuffix: "mail.onmicrosoft.us",
		TLSDomain:         "mail.protection.office365.us",
		Unconfirmed:       []string{"serviceInstance", "owa", "tlsDomain"},
	},
	{
		ID:                "21vianet",
		Title:             "Office 365 operated by 21Vianet, China",
		ServiceInstance:   "1",
		Login:             "https://login.partner.microsoftonline.cn",
		Graph:             "https://microsoftgraph.chinacloudapi.cn",
		AdminAPI:          "https://partner.outlook.cn",
		EWS:               "https://partner.outlook.cn/EWS/Exchange.asmx",
		AutodiscoverJSON:  "https://outlook.office365.com", // as CSS-Exchange asks, for every cloud
		ExchangeResource:  "https://partner.outlook.cn",
		DiscoveryEndpoint: "https://autodiscover-s.partner.outlook.cn/autodiscover/autodiscover.svc",
		ACSMetadataURL:    "https://accounts.accesscontrol.chinacloudapi.cn/{tenant}/metadata/json/1",
		EvoSTSMetadataURL: "https://login.partner.microsoftonline.cn/{tenant}" +
			"/federationmetadata/2007-06/federationmetadata.xml",
		OWA:               "https://partner.outlook.cn/owa",
		InitialSuffix:     "partner.onmschina.cn",
		CoexistenceSuffix: "partner.mail.onmschina.cn",
		TLSDomain:         "mail.protection.partner.outlook.cn",
		Unconfirmed: []string{"serviceInstance", "adminAPI", "exchangeResource", "evoSTSMetadataURL", "owa",
			"tlsDomain"},
	},
	// Of the sovereign clouds only the host names of sign-in, Graph, Outlook and autodiscover are
	// read; paths and metadata are inferred from the other clouds, and domain suffixes are not
	// known at all.
	{
		ID:                "bleu",
		Title:             "Bleu, France",
		ServiceInstance:   "0",
		Login:             "https://login.sovcloud-identity.fr",
		Graph:             "https://graph.svc.sovcloud.fr",
		AdminAPI:          "https://outlook.sovcloud.fr",
		EWS:               "https://outlook.sovcloud.fr/EWS/Exchange.asmx",
		AutodiscoverJSON:  "https://outlook.sovcloud.fr",
		ExchangeResource:  "https://outlook.sovcloud.fr",
		DiscoveryEndpoint: "https://autodiscover-s.outlook.sovcloud.fr/autodiscover/autodiscover.svc",
		ACSMetadataURL:    "https://login.sovcloud-identity.fr/{tenant}/metadata/json/1",
		EvoSTSMetadataURL: "https://login.sovcloud-identity.fr/{tenant}" +
			"/federationmetadata/2007-06/federationmetadata.xml",
		OWA: "https://outlook.sovcloud.fr/mail",
		Unconfirmed: []string{"serviceInstance", "adminAPI", "ews", "autodiscoverJSON", "exchangeResource",
			"discoveryEndpoint", "acsMetadataURL", "evoSTSMetadataURL", "owa"},
	},
	{
		ID:                "delos",
		Title:             "Delos, Germany",
		ServiceInstance:   "0",
		Login:             "https://login.sovcloud-identity.de",
		Graph:             "https://graph.svc.sovcloud.de",
		AdminAPI:          "https://outlook.sovcloud.de",
		EWS:               "https://outlook.sovcloud.de/EWS/Exchange.asmx",
		AutodiscoverJSON:  "https://outlook.sovcloud.de",
		ExchangeResource:  "https://outlook.sovcloud.de",
		DiscoveryEndpoint: "https://autodiscover-s.outlook.sovcloud.de/autodiscover/autodiscover.svc",
		ACSMetadataURL:    "https://login.sovcloud-identity.de/{tenant}/metadata/json/1",
		EvoSTSMetadataURL: "https://login.sovcloud-identity.de/{tenant}" +
			"/federationmetadata/2007-06/federationmetadata.xml",
		OWA: "https://outlook.sovcloud.de/mail",
		Unconfirmed: []string{"serviceInstance", "adminAPI", "ews", "autodiscoverJSON", "exchangeResource",
			"discoveryEndpoint", "acsMetadataURL", "evoSTSMetadataURL", "owa"},
	},
}
