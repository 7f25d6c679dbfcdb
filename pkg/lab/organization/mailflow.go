package organization

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/hybridge-cli/hybridge/pkg/estate/exchange"
)

// refusals returns the first of a task's conditions that does not hold.
func refusals(conditions ...refusal) error {
	for _, c := range conditions {
		if c.when {
			return invalid(dataValidation, "%s", c.text)
		}
	}
	return nil
}

// refusal is a combination of values that a cmdlet refuses, with its words.
type refusal struct {
	when bool
	text string
}

func on(r *Record, name string) bool { b, _ := r.get(name).(bool); return b }

// serversExist refuses the name of a server that the organization does not have, and writes the
// others as Get prints them. Organizations without servers have no names to compare.
func serversExist(o *Organization, r *Record, property string) error {
	list, servers := asList(r.get(property)), o.all("ExchangeServer")
	if len(servers) == 0 || len(list) == 0 {
		return nil
	}
	names := make([]string, 0, len(list))
	for _, name := range list {
		i := slices.IndexFunc(servers, func(s *Record) bool { return s.is(name) })
		if i < 0 {
			return o.notFound(name)
		}
		names = append(names, servers[i].text("Name"))
	}
	r.mustSet(property, names)
	return nil
}

func sendConnector(o *Organization, verb string, r *Record, c Call, _ any) error {
	if verb == "Remove" {
		return nil
	}
	hosts, level := asList(r.get("SmartHosts")), r.text("TlsAuthLevel")
	if err := refusals(
		refusal{len(asList(r.get("AddressSpaces"))) == 0, fmt.Sprintf(
			"You must specify at least one address space for the Send connector '%s'.", r.text("Name"))},
		refusal{on(r, "DNSRoutingEnabled") && len(hosts) > 0,
			"The DNSRoutingEnabled parameter must be $false when SmartHosts are specified."},
		refusal{!on(r, "DNSRoutingEnabled") && len(hosts) == 0,
			"You must specify SmartHosts when DNSRoutingEnabled is $false."},
		refusal{level == "DomainValidation" && r.text("TlsDomain") == "",
			"The TlsDomain parameter must be specified when TlsAuthLevel is DomainValidation."},
		refusal{level != "DomainValidation" && r.text("TlsDomain") != "",
			"The TlsDomain parameter can be specified only when TlsAuthLevel is DomainValidation."},
		refusal{level != "" && !on(r, "RequireTLS"),
			"The RequireTLS parameter must be $true when TlsAuthLevel is specified."},
		refusal{level != "" && on(r, "DomainSecureEnabled"),
			"The TlsAuthLevel parameter can't be specified when DomainSecureEnabled is $true."},
		refusal{on(r, "RequireTLS") && on(r, "IgnoreSTARTTLS"),
			"The RequireTLS and IgnoreSTARTTLS parameters can't both be $true."},
	); err != nil {
		return err
	}
	r.mustSet("SmartHostsString", strings.Join(hosts, ","))
	if err := serversExist(o, r, "SourceTransportServers"); err != nil {
		return err
	}
	servers := asList(r.get("SourceTransportServers"))
	if len(servers) == 0 {
		servers = []string{strings.ToUpper(firstLabel(c.host()))}
		r.mustSet("SourceTransportServers", servers)
	}
	r.mustSet("HomeMtaServerId", servers[0])
	return nil
}

func receiveConnector(o *Organization, verb string, r *Record, c Call, _ any) error {
	if verb == "Remove" {
		return nil
	}
	if verb == "New" {
		r.mustSet("Server", c.Server())
		if len(asList(r.get("RemoteIPRanges"))) == 0 {
			r.mustSet("RemoteIPRanges", everywhere)
		}
	}
	server := r.text("Server")
	fqdn := r.text("Fqdn")
	if host := slices.IndexFunc(o.all("ExchangeServer"),
		func(s *Record) bool { return s.is(server) }); host >= 0 {
		full := o.all("ExchangeServer")[host].text("Fqdn")
		if verb == "New" && fqdn == "" {
			fqdn = full
			r.mustSet("Fqdn", full)
		}
		kerberos := strings.Contains(r.text("AuthMechanism"), "ExchangeServer")
		if kerberos && fqdn != "" && !strings.EqualFold(fqdn, full) && !strings.EqualFold(fqdn, server) {
			return invalid(dataValidation, "When the AuthMechanism attribute on a Receive connector contains the "+
				"value ExchangeServer, you must set the FQDN parameter on the Receive connector to one of the "+
				"following "+
				"values: the FQDN of the transport server \"%s\", the NetBIOS name of the transport server \"%s\", or "+
				"$null.", full, server)
		}
	}
	if err := refusals(
		refusal{len(asList(r.get("Bindings"))) == 0, "You must specify a value for the Bindings parameter."},
		refusal{on(r, "RequireTLS") && !slices.Contains(strings.Split(r.text("AuthMechanism"), ", "), "Tls"),
			"The AuthMechanism parameter must contain Tls when RequireTLS is $true."},
	); err != nil {
		return err
	}
	for _, other := range o.all("ReceiveConnector") {
		if other.text("Guid") == r.text("Guid") || !strings.EqualFold(other.text("Server"), server) ||
			!overlap(r, other, "Bindings") {
			continue
		}
		// Connectors of one role may share a binding when they serve other addresses.
		if other.text("TransportRole") != r.text("TransportRole") || overlap(r, other, "RemoteIPRanges") {
			return invalid(dataValidation, "The values that you specified for the Bindings and RemoteIPRanges "+
				"parameters conflict with the settings on Receive connector \"%s\". Receive connectors assigned to "+
				"different Transport roles on a single server must listen on unique local IP address & port bindings.",
				other.identity())
		}
	}
	return nil
}

func overlap(a, b *Record, property string) bool {
	return slices.ContainsFunc(asList(a.get(property)),
		func(s string) bool { return containsFold(asList(b.get(property)), s) })
}

func inboundConnector(_ *Organization, verb string, r *Record, _ Call, _ any) error {
	if verb == "Remove" {
		return nil
	}
	hybrid, certificate := r.text("ConnectorType") == "OnPremises", r.text("TlsSenderCertificateName")
	return refusals(
		refusal{len(asList(r.get("SenderDomains"))) == 0, "You must specify at least one sender domain."},
		refusal{on(r, "CloudServicesMailEnabled") && !hybrid,
			"CloudServicesMailEnabled can be $true only for connectors of type OnPremises."},
		refusal{on(r, "TreatMessagesAsInternal") && !hybrid,
			"TreatMessagesAsInternal can be $true only for connectors of type OnPremises."},
		refusal{on(r, "TreatMessagesAsInternal") && on(r, "CloudServicesMailEnabled"),
			"TreatMessagesAsInternal and CloudServicesMailEnabled can't both be $true."},
		refusal{on(r, "RestrictDomainsToCertificate") && on(r, "RestrictDomainsToIPAddresses"),
			"RestrictDomainsToCertificate and RestrictDomainsToIPAddresses can't both be $true."},
		refusal{on(r, "RestrictDomainsToCertificate") && certificate == "",
			"You must specify TlsSenderCertificateName when RestrictDomainsToCertificate is $true."},
		refusal{on(r, "RestrictDomainsToIPAddresses") && len(asList(r.get("SenderIPAddresses"))) == 0,
			"You must specify SenderIPAddresses when RestrictDomainsToIPAddresses is $true."},
		refusal{certificate != "" && !on(r, "RequireTls"),
			"RequireTls must be $true when TlsSenderCertificateName is specified."},
		refusal{hybrid && certificate == "" && len(asList(r.get("SenderIPAddresses"))) == 0,
			"You must specify TlsSenderCertificateName or SenderIPAddresses for a connector of type OnPremises."},
	)
}

func outboundConnector(_ *Organization, verb string, r *Record, _ Call, _ any) error {
	if verb == "Remove" {
		return nil
	}
	hybrid, hosts, domains := r.text("ConnectorType") == "OnPremises", asList(r.get("SmartHosts")),
		asList(r.get("RecipientDomains"))
	validates := r.text("TlsSettings") == "DomainValidation"
	return refusals(
		refusal{on(r, "UseMXRecord") && len(hosts) > 0,
			"UseMXRecord must be $false when SmartHosts are specified."},
		refusal{!on(r, "UseMXRecord") && len(hosts) == 0,
			"You must specify SmartHosts when UseMXRecord is $false."},
		refusal{validates != (r.text("TlsDomain") != ""),
			"You must specify TlsDomain when TlsSettings is DomainValidation, and only then."},
		refusal{on(r, "CloudServicesMailEnabled") && !hybrid,
			"CloudServicesMailEnabled can be $true only for connectors of type OnPremises."},
		refusal{on(r, "RouteAllMessagesViaOnPremises") && !hybrid,
			"RouteAllMessagesViaOnPremises can be $true only for connectors of type OnPremises."},
		refusal{on(r, "RouteAllMessagesViaOnPremises") && !slices.Contains(domains, "*"),
			"RecipientDomains must contain * when RouteAllMessagesViaOnPremises is $true."},
		refusal{on(r, "IsTransportRuleScoped") && len(domains) > 0,
			"RecipientDomains can't be specified when IsTransportRuleScoped is $true."},
		refusal{len(domains) == 0 && !on(r, "IsTransportRuleScoped") && !on(r, "AllAcceptedDomains"),
			"You must specify RecipientDomains, AllAcceptedDomains or IsTransportRuleScoped."},
	)
}

func remoteDomain(_ *Organization, verb string, r *Record, _ Call, _ any) error {
	if verb == "Remove" && r.text("DomainName") == "*" {
		return invalid(invalidOperation, "The default remote domain '%s' can't be removed.", r.text("Name"))
	}
	return nil
}

func hybridConfiguration(o *Organization, verb string, r *Record, _ Call, _ any) error {
	if verb == "Remove" {
		return nil
	}
	for _, property := range []string{"ReceivingTransportServers", "SendingTransportServers", "EdgeTransportServers",
		"ClientAccessServers"} {
		if err := serversExist(o, r, property); err != nil {
			return err
		}
	}
	return nil
}

func emailAddressPolicy(o *Organization, verb string, r *Record, c Call, _ any) error {
	if verb == "Remove" {
		if r.text("Priority") == "Lowest" {
			return invalid(invalidOperation, "The default email address policy '%s' can't be removed.", r.text("Name"))
		}
		return nil
	}
	if verb == "New" && !given(c, "Priority") {
		r.mustSet("Priority", fmt.Sprint(len(o.all("EmailAddressPolicy"))))
	}
	if template, ok := c.Parameters["EnabledPrimarySMTPAddressTemplate"].(string); ok &&
		!given(c, "EnabledEmailAddressTemplates") {
		r.mustSet("EnabledEmailAddressTemplates", []string{"SMTP:" + strings.TrimPrefix(template, "SMTP:")})
	}
	var primary []string
	for _, template := range asList(r.get("EnabledEmailAddressTemplates")) {
		kind, address, _ := strings.Cut(template, ":")
		if !strings.EqualFold(kind, "smtp") {
			continue
		}
		if kind == "SMTP" {
			primary = append(primary, address)
		}
		_, domain, _ := cutLast(address, "@")
		if !slices.ContainsFunc(o.all("AcceptedDomain"),
			func(d *Record) bool { return strings.EqualFold(d.text("DomainName"), domain) }) {
			return invalid(dataValidation, "The email address policy template '%s' can't be used: the domain '%s' "+
				"isn't an accepted domain of the organization.", template, domain)
		}
	}
	if len(primary) != 1 {
		return invalid(dataValidation, "The email address policy must have exactly one primary SMTP address template. "+
			"There are %d.", len(primary))
	}
	r.mustSet("EnabledPrimarySMTPAddressTemplate", primary[0])
	r.mustSet("RecipientFilterApplied", false)
	return nil
}

// applyPolicy gives recipients the addresses of a policy, as Update-EmailAddressPolicy does. Of the
// templates' variables it knows the alias.
func (o *Organization) applyPolicy(policy *Record, secondaryOnly bool) error {
	for _, template := range asList(policy.get("EnabledEmailAddressTemplates")) {
		kind, address, _ := strings.Cut(template, ":")
		if kind == "SMTP" && secondaryOnly || !strings.EqualFold(kind, "smtp") {
			continue
		}
		local, domain, _ := cutLast(address, "@")
		if local == "" {
			local = "%m"
		}
		if rest := strings.ReplaceAll(local, "%m", ""); strings.Contains(rest, "%") {
			return unsimulated("the email address template %s", template)
		}
		if kind == "SMTP" {
			continue // who has a primary address keeps it
		}
		for _, noun := range []string{"Mailbox", "RemoteMailbox", "MailUser"} {
			for _, r := range o.all(noun) {
				full := "smtp:" + strings.ReplaceAll(local, "%m", r.text("Alias")) + "@" + domain
				addresses := asList(r.get("EmailAddresses"))
				if on(r, "EmailAddressPolicyEnabled") && !containsFold(addresses, full) {
					r.mustSet("EmailAddresses", append(slices.Clone(addresses), full))
				}
			}
		}
	}
	policy.mustSet("RecipientFilterApplied", true)
	return nil
}

// capabilities are what a Receive connector can grant to a domain that proves itself by TLS.
var capabilities = []string{"AcceptOorgProtocol", "AcceptOorgHeader", "AcceptProxyProtocol", "AcceptProxyFromProtocol",
	"AcceptProxyToProtocol", "AcceptXAttrProtocol", "AcceptXSysProbeProtocol", "AcceptXOriginalFromProtocol",
	"AllowConsumerMail", "AllowSubmit", "AcceptCrossForestMail", "AcceptCloudServicesMail"}

// domainCapabilities reads DOMAIN:CAPABILITY,CAPABILITY, and a certificate in place of the domain.
func domainCapabilities(s string) (string, error) {
	domain, granted, ok := cutLast(s, ":")
	wrong := func(why string) (string, error) {
		return "", &formError{fmt.Errorf("Cannot convert value \"%s\" to type "+
			"\"Microsoft.Exchange.Data.SmtpReceiveDomainCapabilities\". Error: \"%s\"", s, why)}
	}
	if !ok {
		return wrong("The format of the SMTP receive domain capabilities is invalid.")
	}
	kind := "SmtpDomainWithSubdomains"
	if strings.HasPrefix(domain, "<") {
		kind = "SmtpX509Identifier"
	}
	if err := exchange.CheckText(kind, domain); err != nil {
		return wrong(err.Error())
	}
	var names []string
	for one := range strings.SplitSeq(granted, ",") {
		i := slices.IndexFunc(capabilities, func(c string) bool { return strings.EqualFold(c, strings.TrimSpace(one)) })
		if i < 0 {
			return wrong(fmt.Sprintf("The capability '%s' isn't valid.", one))
		}
		names = append(names, capabilities[i])
	}
	return domain + ":" + strings.Join(names, ", "), nil
}

// customization turns a dehydrated tenant into one with objects of its own.
func customization(_ context.Context, c Call) ([]exchange.Object, error) {
	config := c.Organization.Objects("OrganizationConfig")[0]
	if !config.Bool("IsDehydrated") {
		return nil, invalid("System.InvalidOperationException",
			"This operation is not required. Organization is already enabled for customization.")
	}
	if !dry(c) {
		config.Set("IsDehydrated", false)
	}
	return nil, nil
}

// needsCustomization are the nouns that a dehydrated tenant cannot make. The list is recalled.
var needsCustomization = []string{"OnPremisesOrganization", "SharingPolicy"}

// dehydrated refuses what a tenant without any customization does not allow.
func (o *Organization) dehydrated(verb string, n *noun) error {
	if verb == "Get" || !slices.Contains(needsCustomization, n.name) ||
		!o.Objects("OrganizationConfig")[0].Bool("IsDehydrated") {
		return nil
	}
	return invalid("Microsoft.Exchange.Management.SystemConfigurationTasks.InvalidOperationInDehydratedContextException",
		"The command you tried to run isn't currently allowed in your organization. To run this command, you first "+
			"need to run the command: Enable-OrganizationCustomization.")
}
