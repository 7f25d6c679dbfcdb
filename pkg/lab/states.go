package lab

import (
	"bytes"
	"compress/flate"
	"context"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf16"

	"github.com/hybridge-cli/hybridge/pkg/estate/certificate"
	"github.com/hybridge-cli/hybridge/pkg/estate/exchange"
	"github.com/hybridge-cli/hybridge/pkg/lab/entra"
	"github.com/hybridge-cli/hybridge/pkg/lab/organization"
)

// State is what is set up between the forests and the tenant when the lab starts.
type State struct{ ID, Title string }

// The starting states.
const (
	Clean  = "clean"
	Wizard = "wizard"
	Manual = "manual"
	Half   = "half"
)

// States lists the starting states.
func States() []State {
	return []State{
		{Clean, "nothing"},
		{Wizard, "all that Microsoft's wizard set up in 2022: the old application, and no setting override"},
		{Manual, "connectors, auth servers and mail flow made by hand, with names and lists of their own"},
		{Half, "a run of Microsoft's wizard that ended before OAuth, in the other forests before mail flow"},
	}
}

// CheckState refuses a state that the lab does not have beside these clouds.
func CheckState(id string, clouds []string) error {
	var ids []string
	for _, s := range States() {
		ids = append(ids, s.ID)
	}
	switch {
	case !slices.Contains(ids, id):
		return fmt.Errorf("%q is none of %s", id, strings.Join(ids, ", "))
	case id != Clean && len(clouds) > 0 && !slices.Contains(clouds, Online):
		return fmt.Errorf("%s needs a tenant, and the clouds are %s", id, strings.Join(clouds, ", "))
	}
	return nil
}

// step is one cmdlet of a person or of Microsoft's wizard.
type step struct {
	online bool
	cmdlet string
	with   map[string]any
}

type parameters = map[string]any

// begin brings the forests and the tenant into a starting state. Every object is made by its
// cmdlet, so the rules of Exchange apply.
func (l *Lab) begin(ctx context.Context, state string) error {
	if state == Clean {
		return nil
	}
	for i, f := range l.forests {
		var steps []step
		switch state {
		case Wizard:
			steps = l.wizard(f)
			l.register("https://"+f.mail+"/", "https://"+f.autodiscover+"/")
			l.share(f)
			if f.edge != nil {
				f.edge.prepare(f)
			}
		case Manual:
			steps = l.manual(f)
			l.register(exchangeOnlineAppID + "/*." + f.domain)
		case Half:
			last := "New-IntraOrganizationConnector"
			if i > 0 {
				last = "New-SendConnector"
			}
			steps = l.wizard(f)
			n := slices.IndexFunc(steps, func(s step) bool { return s.cmdlet == last })
			steps = steps[:n+1]
		}
		for _, s := range steps {
			o := f.org
			if s.online {
				o = l.tenant.org
			}
			command := exchange.Command{Name: s.cmdlet, Parameters: s.with}
			if _, _, err := o.Run(ctx, organization.Caller{}, command); err != nil {
				return fmt.Errorf("lab: state %s: forest %s: %s: %w", state, f.name, s.cmdlet, err)
			}
		}
	}
	return nil
}

// register adds names to the service principal of Exchange Online.
func (l *Lab) register(names ...string) {
	l.ofExchangeOnline(func(p *entra.ServicePrincipal) {
		p.ServicePrincipalNames = append(p.ServicePrincipalNames, names...)
	})
}

// share uploads the forest's auth certificate to the application that all organizations shared.
func (l *Lab) share(f *forestSite) {
	cert := f.authCertificate.cert
	l.ofExchangeOnline(func(p *entra.ServicePrincipal) {
		p.KeyCredentials = append(p.KeyCredentials, entra.KeyCredential{
			CustomKeyIdentifier: certificate.Thumbprint(cert), KeyID: stableGUID("shared key " + f.guid),
			Key: cert.Raw, StartDateTime: &cert.NotBefore, EndDateTime: &cert.NotAfter,
			Type: "AsymmetricX509Cert", Usage: "Verify",
		})
	})
}

func (l *Lab) ofExchangeOnline(f func(*entra.ServicePrincipal)) {
	l.tenant.entra.Update(func(s *entra.State) {
		for _, p := range s.ServicePrincipals {
			if p.AppID == exchangeOnlineAppID {
				f(p)
			}
		}
	})
}

// wizard is what Microsoft's wizard ran in a forest in February 2022, in its sequence, with its
// names and values, as published logs show them. What it does over HTTP is not among the cmdlets.
// The migration endpoint is left out: it needs the credential of a person.
func (l *Lab) wizard(f *forestSite) []step {
	servers := f.serverNames()
	there, id := l.tenant.org.Objects("OrganizationConfig")[0].String("Guid"),
		certificate.IdentifierOf(f.transport.cert).String()
	toCloud, toHere := "On-premises to O365 - "+there, "O365 to On-premises - "+f.guid
	inbound, outbound := "Inbound from "+f.guid, "Outbound to "+f.guid
	sending, receiving, edges, sources := any(servers), any(servers), any(nil), servers
	if e := f.edge; e != nil {
		sending, receiving, edges, sources = nil, nil, []string{e.name}, []string{e.name}
	}
	steps := []step{
		{false, "New-HybridConfiguration", nil},
		{false, "Set-HybridConfiguration", parameters{"ClientAccessServers": nil, "ExternalIPAddresses": nil,
			"Domains": []string{f.domain}, "OnPremisesSmartHost": f.mail, "TLSCertificateName": id,
			"SendingTransportServers": sending, "ReceivingTransportServers": receiving,
			"EdgeTransportServers": edges,
			"Features": []string{"FreeBusy", "MoveMailbox", "Mailtips", "MessageTracking",
				"OwaRedirection", "OnlineArchive", "SecureMail", "Photos"}}},
		{false, "New-RemoteDomain", parameters{"Name": "Hybrid Domain - " + coexistenceDomain,
			"DomainName": coexistenceDomain}},
		{false, "Set-RemoteDomain", parameters{"Identity": "Hybrid Domain - " + coexistenceDomain,
			"TargetDeliveryDomain": true}},
		{false, "New-RemoteDomain", parameters{"Name": "Hybrid Domain - " + tenantDomain, "DomainName": tenantDomain}},
		{false, "Set-RemoteDomain", parameters{"Identity": "Hybrid Domain - " + tenantDomain,
			"TrustedMailInboundEnabled": true}},
		{false, "New-AcceptedDomain", parameters{"DomainName": coexistenceDomain, "Name": coexistenceDomain}},
		{false, "Set-EmailAddressPolicy", parameters{"Identity": "Default Policy", "ForceUpgrade": true,
			"EnabledEmailAddressTemplates": []string{"SMTP:@" + f.domain, "smtp:%m@" + coexistenceDomain}}},
		{false, "New-OrganizationRelationship", parameters{"Name": toCloud, "TargetApplicationUri": nil,
			"TargetAutodiscoverEpr": nil, "Enabled": true, "DomainNames": []string{coexistenceDomain}}},
		{true, "New-OrganizationRelationship", parameters{"Name": toHere, "TargetApplicationUri": nil,
			"TargetAutodiscoverEpr": nil, "Enabled": true, "DomainNames": []string{f.domain}}},
		{false, "Set-OrganizationRelationship", parameters{"Identity": toCloud, "MailboxMoveEnabled": true,
			"FreeBusyAccessEnabled": true, "FreeBusyAccessLevel": "LimitedDetails", "ArchiveAccessEnabled": true,
			"MailTipsAccessEnabled": true, "MailTipsAccessLevel": "All", "DeliveryReportEnabled": true,
			"PhotosEnabled": true, "TargetOwaURL": "http://outlook.com/owa/" + f.domain}},
		{true, "Set-OrganizationRelationship", parameters{"Identity": toHere,
			"FreeBusyAccessEnabled": true, "FreeBusyAccessLevel": "LimitedDetails", "TargetSharingEpr": nil,
			"MailTipsAccessEnabled": true, "MailTipsAccessLevel": "All", "DeliveryReportEnabled": true,
			"PhotosEnabled": true, "TargetOwaURL": "https://" + f.mail + "/owa"}},
		{false, "Add-AvailabilityAddressSpace", parameters{"ForestName": coexistenceDomain,
			"AccessMethod": "InternalProxy", "UseServiceAccount": true,
			"ProxyUrl": "https://" + f.mail + "/EWS/Exchange.asmx"}},
		{false, "Set-HybridConfiguration", parameters{"ClientAccessServers": nil, "ExternalIPAddresses": nil}},
		{false, "New-SendConnector", parameters{"Name": "Outbound to Office 365 - " + there,
			"AddressSpaces": []string{"smtp:" + coexistenceDomain + ";1"}, "DNSRoutingEnabled": true,
			"ErrorPolicies": "Default", "Fqdn": f.mail, "RequireTLS": true, "IgnoreSTARTTLS": false,
			"SourceTransportServers": sources, "SmartHosts": nil, "TLSAuthLevel": "DomainValidation",
			"DomainSecureEnabled": false, "TLSDomain": "mail.protection.outlook.com", "CloudServicesMailEnabled": true,
			"TLSCertificateName": id}},
	}
	for _, s := range f.exchange {
		steps = append(steps, step{false, "Set-ReceiveConnector", parameters{
			"Identity":      s.frontend().String("Server") + `\` + s.frontend().String("Name"),
			"AuthMechanism": "Tls, Integrated, BasicAuth, BasicAuthRequireTLS, ExchangeServer",
			"Bindings":      []string{"[::]:25", "0.0.0.0:25"}, "Fqdn": s.host,
			"PermissionGroups": "AnonymousUsers, ExchangeServers, ExchangeLegacyServers",
			"RemoteIPRanges": []string{"::-ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
				"0.0.0.0-255.255.255.255"}, "RequireTLS": false,
			"TLSDomainCapabilities": []string{"mail.protection.outlook.com:AcceptCloudServicesMail"},
			"TLSCertificateName":    id, "TransportRole": "FrontendTransport"}})
	}
	return append(steps, []step{
		{true, "New-InboundConnector", parameters{"Name": inbound, "CloudServicesMailEnabled": true,
			"ConnectorSource": "HybridWizard", "ConnectorType": "OnPremises", "RequireTLS": true,
			"SenderDomains": []string{"*"}, "SenderIPAddresses": nil, "RestrictDomainsToIPAddresses": false,
			"TLSSenderCertificateName": f.transport.cert.Subject.CommonName, "AssociatedAcceptedDomains": nil}},
		{true, "New-OutboundConnector", parameters{"Name": outbound, "RecipientDomains": []string{f.domain},
			"SmartHosts": []string{f.mail}, "ConnectorSource": "HybridWizard", "ConnectorType": "OnPremises",
			"TLSSettings": "DomainValidation", "TLSDomain": f.mail, "CloudServicesMailEnabled": true,
			"RouteAllMessagesViaOnPremises": false, "UseMxRecord": false, "IsTransportRuleScoped": false}},
		{true, "New-OnPremisesOrganization", parameters{"HybridDomains": []string{f.domain},
			"InboundConnector": inbound, "OutboundConnector": outbound, "OrganizationRelationship": toHere,
			"OrganizationName": f.organization,
			"Name":             f.guid, "OrganizationGuid": f.guid}},
		{false, "New-IntraOrganizationConnector", parameters{"Name": "HybridIOC - " + there,
			"DiscoveryEndpoint":    "https://autodiscover-s.outlook.com/autodiscover/autodiscover.svc",
			"TargetAddressDomains": []string{coexistenceDomain}, "Enabled": true}},
		// The wizard takes the host of the mail certificate, not that of autodiscover.
		{true, "New-IntraOrganizationConnector", parameters{"Name": "HybridIOC - " + f.guid,
			"DiscoveryEndpoint":    "https://" + f.mail + "/autodiscover/autodiscover.svc",
			"TargetAddressDomains": []string{f.domain}, "Enabled": true}},
		{false, "Set-PartnerApplication", parameters{"Identity": "Exchange Online", "Enabled": true}},
		{false, "New-AuthServer", parameters{"Name": "ACS - " + there,
			"AuthMetadataUrl": "https://accounts.accesscontrol.windows.net/" + l.tenant.id + "/metadata/json/1",
			"DomainName":      []string{f.domain, coexistenceDomain}}},
		{false, "New-AuthServer", parameters{"Name": "EvoSts - " + there, "Type": "AzureAD",
			"AuthMetadataUrl": "https://login.windows.net/" + tenantDomain +
				"/federationmetadata/2007-06/federationmetadata.xml"}},
		{true, "Set-OnPremisesOrganization", parameters{"Identity": f.guid, "Comment": wizardComment(f.domain, true)}},
	}...)
}

// serverNames are the names of the forest's Exchange servers.
func (f *forestSite) serverNames() (out []string) {
	for _, s := range f.exchange {
		out = append(out, s.name())
	}
	return out
}

// wizardComment is what the wizard writes about its run: elements without a root, as UTF-16,
// deflated.
func wizardComment(domain string, succeeded bool) string {
	text := "\ufeff"
	for _, e := range [][3]string{
		{"CurrentDomain", "String", domain}, {"Mode", "String", "FullHybrid"},
		{"ObjectConfigTransfer", "Boolean", "False"}, {"ClientVersion", "Int64", "4785075061587968"},
		{"DateTimeUtcTicks", "Int64", "637808379855722850"}, {"ServerVersion", "Int64", "4222129096884232"},
		{"WorkflowSucceeded", "Boolean", strconv.FormatBool(succeeded)},
	} {
		text += fmt.Sprintf(`<%s type="%s">%s</%[1]s>`, e[0], e[1], e[2])
	}
	var out bytes.Buffer
	w, err := flate.NewWriter(&out, flate.BestCompression)
	if err == nil {
		_ = binary.Write(w, binary.LittleEndian, utf16.Encode([]rune(text))) // a Buffer takes all
		_ = w.Close()
	}
	return base64.StdEncoding.EncodeToString(out.Bytes())
}

// manual is what an administrator made with the names of Microsoft's procedures and with names of
// their own. The lists also hold what hybrid does not need.
func (l *Lab) manual(f *forestSite) []step {
	id := certificate.IdentifierOf(f.transport.cert)
	steps := []step{
		{false, "New-AuthServer", parameters{"Name": "MicrosoftAzureACS",
			"AuthMetadataUrl": "https://accounts.accesscontrol.windows.net/" + tenantDomain + "/metadata/json/1"}},
		{false, "New-AuthServer", parameters{"Name": "evoSTS", "Type": "AzureAD",
			"AuthMetadataUrl": "https://login.windows.net/" + tenantDomain +
				"/federationmetadata/2007-06/federationmetadata.xml"}},
		{false, "Set-PartnerApplication", parameters{"Identity": "Exchange Online", "Enabled": true}},
		{false, "New-IntraOrganizationConnector", parameters{"Name": "ExchangeHybridOnPremisesToOnline",
			"DiscoveryEndpoint":    "https://outlook.office365.com/autodiscover/autodiscover.svc",
			"TargetAddressDomains": []string{coexistenceDomain}, "Enabled": true}},
		{true, "New-IntraOrganizationConnector", parameters{"Name": "ExchangeHybridOnlineToOnPremises " + f.name,
			"DiscoveryEndpoint":    "https://" + f.autodiscover + "/autodiscover/autodiscover.svc",
			"TargetAddressDomains": []string{f.domain, "old." + f.domain}, "Enabled": true}},
		{false, "Add-AvailabilityAddressSpace", parameters{"ForestName": coexistenceDomain,
			"AccessMethod": "InternalProxy", "UseServiceAccount": true,
			"ProxyUrl": "https://" + f.server + "/EWS/Exchange.asmx"}},
		{false, "New-OrganizationRelationship", parameters{"Name": "Office 365", "Enabled": true,
			"DomainNames": []string{tenantDomain, coexistenceDomain}, "FreeBusyAccessEnabled": true,
			"FreeBusyAccessLevel": "AvailabilityOnly"}},
		{false, "New-OrganizationRelationship", parameters{"Name": "A partner", "Enabled": true,
			"DomainNames": []string{"partner.example"}, "FreeBusyAccessEnabled": true,
			"FreeBusyAccessLevel": "AvailabilityOnly"}},
		{true, "New-OrganizationRelationship", parameters{"Name": "To " + f.name, "Enabled": true,
			"DomainNames": []string{f.domain}, "FreeBusyAccessEnabled": true, "FreeBusyAccessLevel": "LimitedDetails"}},
		{false, "New-AcceptedDomain", parameters{"Name": "Cloud", "DomainName": coexistenceDomain,
			"DomainType": "InternalRelay"}},
		{false, "New-RemoteDomain", parameters{"Name": "Cloud", "DomainName": coexistenceDomain}},
		{false, "New-SendConnector", parameters{"Name": "To the cloud", "Fqdn": f.mail, "RequireTLS": true,
			"AddressSpaces": []string{"smtp:" + coexistenceDomain + ";5"}, "DNSRoutingEnabled": true,
			"TlsAuthLevel": "DomainValidation", "TlsDomain": "mail.protection.outlook.com",
			"SourceTransportServers": f.serverNames(),
			"TlsCertificateName":     "<i>" + id.Issuer + "<s>" + id.Subject}},
		{true, "New-InboundConnector", parameters{"Name": "From " + f.name, "ConnectorType": "OnPremises",
			"SenderDomains": []string{f.domain}, "RequireTls": true,
			"TlsSenderCertificateName": f.transport.cert.Subject.CommonName}},
		{true, "New-OutboundConnector", parameters{"Name": "To " + f.name, "ConnectorType": "OnPremises",
			"RecipientDomains": []string{f.domain, "old." + f.domain}, "SmartHosts": []string{f.mail},
			"TlsSettings": "DomainValidation", "TlsDomain": f.mail, "UseMxRecord": false}},
	}
	for _, s := range f.exchange {
		steps = append(steps, step{false, "Set-ReceiveConnector", parameters{
			"Identity":              s.frontend().String("Server") + `\` + s.frontend().String("Name"),
			"TlsDomainCapabilities": []string{"partner.example:AcceptOorgProtocol"}}})
	}
	return steps
}
