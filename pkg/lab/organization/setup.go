package organization

// Ranges that stand for every address.
var everywhere = []string{"::-ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "0.0.0.0-255.255.255.255"}

// ReceiveConnectors makes the receive connectors that setup makes on a Mailbox server.
func (o *Organization) ReceiveConnectors(server, fqdn string) {
	for _, c := range []struct {
		name, port, role, groups string
		more                     []any
	}{
		{"Default", "2525", "HubTransport", "ExchangeUsers, ExchangeServers, ExchangeLegacyServers", []any{
			"Bindings", []string{"0.0.0.0:2525", "[::]:2525"}, "MaxRecipientsPerMessage", 5000,
			"MaxInboundConnectionPerSource", "Unlimited", "MaxInboundConnectionPercentagePerSource", 100,
			"SizeEnabled", "EnabledWithoutValue", "MaxLocalHopCount", 5}},
		{"Client Proxy", "465", "HubTransport", "ExchangeUsers, ExchangeServers", nil},
		{"Default Frontend", "25", "FrontendTransport", "AnonymousUsers, ExchangeServers, ExchangeLegacyServers",
			[]any{"ProtocolLoggingLevel", "Verbose"}},
		{"Outbound Proxy Frontend", "717", "FrontendTransport", "ExchangeServers",
			[]any{"TarpitInterval", "00:00:00"}},
		{"Client Frontend", "587", "FrontendTransport", "ExchangeUsers",
			[]any{"AuthMechanism", "Tls, Integrated, BasicAuth, BasicAuthRequireTLS"}},
	} {
		o.Seed("ReceiveConnector", append([]any{"Name", c.name + " " + server, "Server", server, "Fqdn", fqdn,
			"Bindings", []string{"[::]:" + c.port, "0.0.0.0:" + c.port}, "RemoteIPRanges", everywhere,
			"TransportRole", c.role, "PermissionGroups", c.groups}, c.more...)...)
	}
}

// policies makes the mail policies of a new organization: they apply where no other does.
func (o *Organization) policies() {
	o.Seed("RemoteDomain", "Name", "Default", "DomainName", "*")
	o.Seed("EmailAddressPolicy", "Name", "Default Policy", "EnabledPrimarySMTPAddressTemplate",
		"@"+o.c.FQDN, "EnabledEmailAddressTemplates", []string{"SMTP:@" + o.c.FQDN}, "RecipientFilterApplied", true,
		"RecipientFilter", "Alias -ne $null", "LdapRecipientFilter", "(mailNickname=*)",
		"IncludedRecipients", "AllRecipients")
}
