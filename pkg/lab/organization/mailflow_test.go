package organization

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/hybridge-cli/hybridge/pkg/estate/exchange"
)

const transportCertificate = "<I>CN=DigiCert, C=US<S>CN=mail.contoso.com"

func mailOrganizations(t *testing.T) (premises, online *Organization) {
	t.Helper()
	premises, online = onprem(t), cloud(t)
	premises.ReceiveConnectors("EX1", "ex1.contoso.com")
	online.Seed("AcceptedDomain", "Name", "contoso.com", "DomainName", "contoso.com")
	return premises, online
}

// TestWizardsMailFlow runs the cmdlets of Microsoft's wizard for mail flow, in its order and with
// its values, and reads them back.
func TestWizardsMailFlow(t *testing.T) {
	premises, online := mailOrganizations(t)
	const coexistence, guid = "contoso.mail.onmicrosoft.com", "76fd9fb1-54f2-4fc8-8b04-97ca4824a55b"
	steps := []struct {
		o   *Organization
		cmd exchange.Command
	}{
		{premises, cmd("New-AcceptedDomain", "DomainName", coexistence, "Name", coexistence)},
		{premises, cmd("New-RemoteDomain", "Name", "Hybrid Domain - "+coexistence, "DomainName", coexistence)},
		{premises, cmd("Set-RemoteDomain", "Identity", "Hybrid Domain - "+coexistence, "TargetDeliveryDomain", true)},
		{premises, cmd("New-RemoteDomain", "Name", "Hybrid Domain - contoso.onmicrosoft.com", "DomainName",
			"contoso.onmicrosoft.com")},
		{premises, cmd("Set-RemoteDomain", "Identity", "Hybrid Domain - contoso.onmicrosoft.com",
			"TrustedMailInboundEnabled", true)},
		{premises, cmd("Set-EmailAddressPolicy", "Identity", "Default Policy", "ForceUpgrade", true,
			"EnabledEmailAddressTemplates", []string{"SMTP:@contoso.com", "smtp:%m@" + coexistence})},
		{premises, cmd("Update-EmailAddressPolicy", "Identity", "Default Policy", "UpdateSecondaryAddressesOnly",
			true)},
		{premises, cmd("Set-WebServicesVirtualDirectory", "Identity", `EX1\EWS (Default Web Site)`, "MRSProxyEnabled",
			true)},
		{premises, cmd("New-SendConnector", "Name", "Outbound to Office 365 - "+guid, "AddressSpaces",
			[]string{"smtp:" + coexistence + ";1"}, "DNSRoutingEnabled", true, "ErrorPolicies", "Default", "Fqdn",
			"mail.contoso.com", "RequireTLS", true, "IgnoreSTARTTLS", false, "SmartHosts", nil, "TlsAuthLevel",
			"DomainValidation", "DomainSecureEnabled", false, "TlsDomain", "mail.protection.outlook.com",
			"CloudServicesMailEnabled", true, "TlsCertificateName", strings.ToLower(transportCertificate[:3])+
				strings.Replace(transportCertificate[3:], "<S>", "<s>", 1), "SourceTransportServers",
			[]string{"ex1.contoso.com"})},
		{premises, cmd("Set-ReceiveConnector", "Identity", `EX1\Default Frontend EX1`, "TlsCertificateName",
			transportCertificate, "TlsDomainCapabilities",
			[]string{"mail.protection.outlook.com:acceptcloudservicesmail"})},
		{premises, cmd("New-HybridConfiguration")},
		{premises, cmd("Set-HybridConfiguration", "ClientAccessServers", nil, "ExternalIPAddresses", nil, "Domains",
			[]string{"contoso.com", "autod:contoso.net"}, "OnPremisesSmartHost", "mail.contoso.com",
			"TlsCertificateName", transportCertificate, "SendingTransportServers", []string{"EX1"},
			"ReceivingTransportServers", []string{"EX1"}, "EdgeTransportServers", nil, "Features",
			[]string{"FreeBusy", "MoveMailbox", "Mailtips", "SecureMail", "Photos"})},
		{online, cmd("New-InboundConnector", "Name", "Inbound from "+guid, "CloudServicesMailEnabled", true,
			"ConnectorSource", "HybridWizard", "ConnectorType", "OnPremises", "RequireTls", true, "SenderDomains",
			[]string{"*"}, "SenderIPAddresses", nil, "RestrictDomainsToIPAddresses", false,
			"TlsSenderCertificateName", "mail.contoso.com", "AssociatedAcceptedDomains", nil)},
		{online, cmd("New-OutboundConnector", "Name", "Outbound to "+guid, "RecipientDomains",
			[]string{"contoso.com"}, "SmartHosts", []string{"mail.contoso.com"}, "ConnectorSource", "HybridWizard",
			"ConnectorType", "OnPremises", "TlsSettings", "DomainValidation", "TlsDomain", "mail.contoso.com",
			"CloudServicesMailEnabled", true, "RouteAllMessagesViaOnPremises", false, "UseMXRecord", false,
			"IsTransportRuleScoped", false)},
		{online, cmd("New-OrganizationRelationship", "Name", "O365 to On-premises - "+guid, "DomainNames",
			[]string{"contoso.com"})},
		{online, cmd("New-OnPremisesOrganization", "Name", guid, "OrganizationGuid", guid, "OrganizationName",
			"Contoso", "HybridDomains", []string{"contoso.com"}, "InboundConnector", "Inbound from "+guid,
			"OutboundConnector", "Outbound to "+guid, "OrganizationRelationship", "O365 to On-premises - "+guid)},
	}
	for _, s := range steps {
		mustRun(t, s.o, s.cmd)
	}
	for _, tt := range []struct {
		o                          *Organization
		cmdlet, identity, property string
		want                       string
	}{
		{premises, "Get-RemoteDomain", "Hybrid Domain - " + coexistence, "TargetDeliveryDomain", "True"},
		{premises, "Get-EmailAddressPolicy", "Default Policy", "EnabledPrimarySMTPAddressTemplate", "@contoso.com"},
		{premises, "Get-EmailAddressPolicy", "Default Policy", "RecipientFilterApplied", "True"},
		{premises, "Get-SendConnector", "", "TlsCertificateName", transportCertificate},
		{premises, "Get-SendConnector", "", "SourceTransportServers", "EX1"},
		{premises, "Get-ReceiveConnector", "Default Frontend EX1", "TlsDomainCapabilities",
			"mail.protection.outlook.com:AcceptCloudServicesMail"},
		{premises, "Get-ReceiveConnector", "Default Frontend EX1", "AuthMechanism",
			"Tls, Integrated, BasicAuth, BasicAuthRequireTLS, ExchangeServer"},
		{premises, "Get-HybridConfiguration", "", "Features", "FreeBusy,MoveMailbox,Mailtips,SecureMail,Photos"},
		{premises, "Get-HybridConfiguration", "", "Domains", "contoso.com,autod:contoso.net"},
		{online, "Get-InboundConnector", "", "SenderDomains", "smtp:*;1"},
		{online, "Get-OutboundConnector", "", "TlsSettings", "DomainValidation"},
		{online, "Get-OnPremisesOrganization", "", "InboundConnector", "Inbound from " + guid},
		{online, "Get-RemoteDomain", "", "DomainName", "*"},
	} {
		c := exchange.Command{Name: tt.cmdlet, Parameters: map[string]any{}}
		if tt.identity != "" {
			c.Parameters["Identity"] = tt.identity
		}
		object := mustRun(t, tt.o, c)[0]
		v, err := object.Value(tt.property)
		if err != nil {
			t.Errorf("%s: %v", tt.cmdlet, err)
		}
		got, _ := exchange.Scalar(v)
		if list, err := object.Strings(tt.property); got == "" && err == nil {
			got = strings.Join(list, ",")
		}
		if d := cmp.Diff(tt.want, got); d != "" {
			t.Errorf("%s %s: %s", tt.cmdlet, tt.property, d)
		}
	}
}

func TestMailFlowRefusals(t *testing.T) {
	send := func(pairs ...any) exchange.Command {
		return cmd("New-SendConnector", append([]any{"Name", "a", "AddressSpaces", []string{"a.example"}}, pairs...)...)
	}
	inbound := func(pairs ...any) exchange.Command {
		return cmd("New-InboundConnector", append([]any{"Name", "a", "SenderDomains", []string{"*"}}, pairs...)...)
	}
	outbound := func(pairs ...any) exchange.Command {
		return cmd("New-OutboundConnector", append([]any{"Name", "a", "RecipientDomains", []string{"a.example"}},
			pairs...)...)
	}
	premises, online := mailOrganizations(t)
	for _, tt := range []struct {
		name string
		o    *Organization
		cmd  exchange.Command
		want string
	}{
		{"a server that is not there", premises, send("SourceTransportServers", []string{"EX9"}),
			"'EX9' couldn't be found"},
		{"domain validation of nothing", premises, send("TlsAuthLevel", "DomainValidation", "RequireTLS", true),
			"TlsDomain parameter must"},
		{"a level without TLS", premises, send("TlsAuthLevel", "EncryptionOnly"), "RequireTLS parameter must"},
		{"TLS that is ignored", premises, send("RequireTLS", true, "IgnoreSTARTTLS", true), "can't both"},
		{"smart hosts beside DNS", premises, send("SmartHosts", []string{"a.example"}), "DNSRoutingEnabled"},
		{"a certificate without markers", premises, send("TlsCertificateName", "mail.contoso.com"),
			"<I>issuer<S>subject"},
		{"a binding that is taken", premises, cmd("New-ReceiveConnector", "Name", "b", "Custom", true, "Bindings",
			[]string{"0.0.0.0:25"}, "RemoteIPRanges", []string{"0.0.0.0-255.255.255.255"}, "TransportRole",
			"FrontendTransport"), "Default Frontend EX1"},
		{"a binding of the other role", premises, cmd("New-ReceiveConnector", "Name", "b", "Custom", true, "Bindings",
			[]string{"0.0.0.0:25"}, "RemoteIPRanges", []string{"10.0.0.0/8"}, "TransportRole", "HubTransport"),
			"Transport roles"},
		{"a name that Kerberos does not know", premises, cmd("Set-ReceiveConnector", "Identity",
			`EX1\Default Frontend EX1`, "Fqdn", "mail.contoso.com"),
			"the FQDN of the transport server \"ex1.contoso.com\""},
		{"a capability that is none", premises, cmd("Set-ReceiveConnector", "Identity", `EX1\Default Frontend EX1`,
			"TlsDomainCapabilities", []string{"a.example:AcceptAll"}), "capability 'AcceptAll'"},
		{"a mechanism that is none", premises, cmd("Set-ReceiveConnector", "Identity", `EX1\Default Frontend EX1`,
			"AuthMechanism", []string{"Tls", "Foo"}), "Foo"},
		{"the default remote domain", premises, cmd("Remove-RemoteDomain", "Identity", "Default", "Confirm", false),
			"can't be removed"},
		{"a domain that a policy uses", premises,
			cmd("Remove-AcceptedDomain", "Identity", "contoso.com", "Confirm", false),
			"can't be removed"},
		{"a template of a foreign domain", premises, cmd("Set-EmailAddressPolicy", "Identity", "Default Policy",
			"EnabledEmailAddressTemplates", []string{"SMTP:@contoso.com", "smtp:%m@other.example"}),
			"isn't an accepted domain"},
		{"templates without a primary one", premises, cmd("Set-EmailAddressPolicy", "Identity", "Default Policy",
			"EnabledEmailAddressTemplates", []string{"smtp:@contoso.com"}), "exactly one primary"},
		{"a hybrid server that is not there", premises, cmd("New-HybridConfiguration", "SendingTransportServers",
			[]string{"EX9"}), "'EX9' couldn't be found"},
		{"header trust of a partner", online, inbound("CloudServicesMailEnabled", true), "type OnPremises"},
		{"both kinds of trust", online, inbound("ConnectorType", "OnPremises", "RequireTls", true,
			"TlsSenderCertificateName", "a.example", "CloudServicesMailEnabled", true, "TreatMessagesAsInternal", true),
			"TreatMessagesAsInternal and CloudServicesMailEnabled"},
		{"a certificate without TLS", online, inbound("TlsSenderCertificateName", "a.example"), "RequireTls must"},
		{"own servers that nothing proves", online, inbound("ConnectorType", "OnPremises"),
			"TlsSenderCertificateName or"},
		{"MX beside smart hosts", online, outbound("SmartHosts", []string{"a.example"}), "UseMXRecord must"},
		{"all mail of some domains", online, outbound("UseMXRecord", false, "SmartHosts", []string{"a.example"},
			"ConnectorType", "OnPremises", "RouteAllMessagesViaOnPremises", true), "must contain *"},
		{"a TLS domain that is not validated", online, outbound("TlsDomain", "a.example"), "only then"},
		{"a tenant that is customized already", online, cmd("Enable-OrganizationCustomization"), "not required"},
	} {
		_, _, err := tt.o.Run(t.Context(), Caller{User: "admin"}, tt.cmd)
		var e *exchange.Error
		if !errors.As(err, &e) || !strings.Contains(e.Message, tt.want) {
			t.Errorf("%s: %v", tt.name, err)
		}
	}
}

// TestDehydratedTenant: a tenant without any customization refuses what needs one, until it has
// run.
func TestDehydratedTenant(t *testing.T) {
	_, online := mailOrganizations(t)
	online.Objects("OrganizationConfig")[0].Set("IsDehydrated", true)
	remove := cmd("Remove-OnPremisesOrganization", "Identity", "a", "Confirm", false)
	_, _, err := online.Run(t.Context(), Caller{}, remove)
	if err == nil || !strings.Contains(err.Error(), "Enable-OrganizationCustomization") {
		t.Errorf("refused with %v", err)
	}
	mustRun(t, online, cmd("Enable-OrganizationCustomization"))
	if _, _, err = online.Run(t.Context(), Caller{}, remove); err == nil ||
		!strings.Contains(err.Error(), "couldn't be found") {
		t.Errorf("afterwards %v", err)
	}
}
