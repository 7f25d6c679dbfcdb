package diagnose

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Code is an error code, or the name of an error, of another system.
type Code struct {
	ID    string // as the system writes it: "HCW8078", "AADSTS700016", "2150858843"
	Means string
	Fix   string
}

// A group of codes comes from one system.
type group struct {
	title, about string
	codes        []Code
}

var groups = []group{
	{"Hybrid Configuration Wizard", "Microsoft's wizard shows and logs these codes.", []Code{
		{"HCW8001", "The coexistence domain of the tenant is not known.",
			"Switch directory synchronization on; the domain appears with it. See domains.coexistence."},
		{"HCW8004", "On-premises has no accepted domain that takes part.",
			"Add and verify a domain on both sides. See domains.accepted."},
		{"HCW8006", "The federation trust cannot be set: links in Active Directory lead to deleted objects.",
			"Remove the leftovers of the old trust. A hybrid with OAuth does not need the trust."},
		{"HCW8008", "A server in the HybridConfiguration object has lost its role.",
			"Name a server that exists in the HybridConfiguration object."},
		{"HCW8009", "The tenant does not accept the coexistence domain.", "See domains.coexistence."},
		{"HCW8010", "A server has no default Receive connector on 0.0.0.0:25 and [::]:25.",
			"Switch IPv6 on, and add the binding [::]:25."},
		{"HCW8011", "Several Send connectors have the same address space.", "Keep one of them."},
		{"HCW8012", "As HCW8006.", "See HCW8006."},
		{"HCW8014", "The HybridConfiguration object still lists Client Access servers.",
			"Set-HybridConfiguration -ClientAccessServers $null"},
		{"HCW8016", "On-premises does not accept a hybrid domain.", "Add the domain. See domains.accepted."},
		{"HCW8017", "The tenant does not accept a hybrid domain.", "Add and verify the domain. See domains.verified."},
		{"HCW8018", "The HybridConfiguration object still lists external IP addresses.",
			"Set-HybridConfiguration -ExternalIPAddresses $null"},
		{"HCW8019", "The HybridConfiguration object needs an upgrade.",
			"Remove-HybridConfiguration keeps the settings that are deployed; run the wizard again."},
		{"HCW8029", "No hybrid domain is chosen.", "Choose one; in hybridge: forests[].domains."},
		{"HCW8030", "The tenant has no accepted domain that takes part.", "As HCW8004."},
		{"HCW8034", "The organization relationship cannot be made: Exchange Online does not reach autodiscover.",
			"Publish autodiscover without pre-authentication. See autodiscover.answers."},
		{"HCW8039", "The hybrid Send connector has more than one address space.",
			"Keep TENANT.mail.onmicrosoft.com alone, and move the others to a connector of their own."},
		{"HCW8043", "Edge servers and Mailbox servers are mixed.", "Choose one of the two."},
		{"HCW8055", "An email address policy has a filter of Exchange 2003.",
			"Get-EmailAddressPolicy | Update-EmailAddressPolicy"},
		{"HCW8057", "Exchange Online does not reach the autodiscover URL.", "As HCW8034."},
		{"HCW8064", "The wizard ended, and OAuth was not configured: the connector stays disabled.",
			"hybridge plan shows what OAuth lacks, and hybridge apply sets it."},
		{"HCW8073", "A cmdlet failed. (Not confirmed.)", "The inner error says why."},
		{"HCW8078", "The migration endpoint cannot be made: the last connection test was too recent.",
			"Wait, or make the endpoint in Exchange Online PowerShell."},
		{"HCW8083", "WinRM did not complete the operation.",
			"Check the name, the firewall and the service; run it again."},
		{"HCW8084", "Remote PowerShell was disconnected.", "Run it again."},
		{"HCW8091", "The WinRM service does not run.", "Start it."},
		{"HCW8100", "As HCW8084.", "Run it again."},
		{"HCW8109", "The organization configuration transfer failed for an unknown reason.",
			"Ask Microsoft's support."},
		{"HCW8110", "The organization configuration transfer could not copy an object.", "The wizard's log says why."},
		{"HCW8111", "A retention tag has the same RetentionId on both sides.", "Change the RetentionId on one side."},
		{"HCW8126", "The consent to the dedicated hybrid application is missing.",
			"Consent as an administrator; hybridge apply does it with the rights of access.entra-write."},
	}},
	{"Entra", "Entra returns these codes when it issues no token. Microsoft changes their texts.", []Code{
		{"AADSTS50011", "The address to return to is not registered: this copy of Microsoft's wizard is too old.",
			"Install the wizard again."},
		{"AADSTS50012", "The key that signed the token request is not registered.",
			"Register the auth certificate of the forest: hybridge plan shows it. See certificates.auth."},
		{"AADSTS500011", "The tenant has no name for the host that the token is for, often a retired host name.",
			"Correct or clear TargetSharingEpr. See oauth.sharing-endpoint and the kind ServicePrincipalName."},
		{"AADSTS65001", "The application lacks a consent.", "Consent as an administrator."},
		{"AADSTS70002", "As AADSTS50012.", "See AADSTS50012."},
		{"AADSTS700016", "The application does not exist in this tenant. It was deleted, or the tenant is another one.",
			"hybridge plan makes it again and binds the auth server to it. See oauth.application."},
		{"AADSTS700021", "The signed token request is outside its lifetime. (Not confirmed.)", "Correct the clock."},
		{"AADSTS700023", "The signed token request is for another audience. (Not confirmed.)",
			"Check exchangeOnline.cloud and exchangeOnline.hosts."},
		{"AADSTS700027", "The certificate that signed the token request is not registered, or has expired.",
			"Register the auth certificate of the forest: hybridge plan shows it. See certificates.auth."},
		{"AADSTS7000112", "The application is disabled. (Not confirmed.)", "Enable its service principal."},
		{"AADSTS7000215", "The client secret is wrong.", "Check the secret that the answers file refers to."},
		{"AADSTS7000222", "The client secret has expired.", "Make a new one."},
		{"AADSTS7000229", "The application has no service principal in this tenant. (Not confirmed.)",
			"Make it; hybridge plan does."},
	}},
	{"Remote PowerShell", "WinRM returns these fault numbers. Windows also shows them in hexadecimal.", []Code{
		{"2150858753", "The server does not support the action.",
			"Check that the address leads to Exchange's /PowerShell."},
		{"2150858793", "The operation timed out at the server.", "Run it again; raise the time limit if it persists."},
		{"2150858817", "The request does not fit the schema.", "Report it, with a log of --log-level trace."},
		{"2150858819", "The server has no session configuration of this name.",
			"Check forests[].exchange.url: it ends in /PowerShell."},
		{"2150858843", "The shell or the command does not exist any more: the server has ended it.", "Run it again."},
		{"2150859173", "The account has too many shells open.",
			"Wait: shells of a killed run end within 15 minutes. Or close other sessions."},
	}},
	{"EWS and free/busy", "Exchange returns these in lookups, or shows them to users.", []Code{
		{"5016", "The attendee's server could not be contacted.",
			"The target address is not in TENANT.mail.onmicrosoft.com. Correct the remote routing address."},
		{"5037", "The caller has no access to free/busy data.", "See ErrorNoFreeBusyAccess."},
		{"5039", "The attendee's server was not found.", "Check the proxy of the Exchange servers, and their clocks."},
		{"2000000", "The signature of the token is not valid.",
			"Refresh the keys: Set-AuthServer -RefreshAuthMetadata. It takes effect after about 15 minutes."},
		{"2000003", "The token is for another audience. (Not confirmed.)",
			"Register the host name at the service principal: hybridge plan does. Do not end TLS before Exchange."},
		{"2000005", "The user in the token does not exist there, or two people have the address.",
			"Synchronize the user, or remove the duplicate. See directory.unique-addresses."},
		{"2000008", "The partner application has no linked account. (Not confirmed.)",
			"Set-PartnerApplication -LinkedAccount; the account is disabled and has the roles of an application."},
		{"ErrorAccessDenied", "The account may not do this.", "Check the account, and the EWS access policies."},
		{"ErrorMailRecipientNotFound", "The address is in no relationship or connector, or nobody has it.",
			"Add its domain to both sides: hybridge plan does. Check that the recipient is synchronized."},
		{"ErrorNoFreeBusyAccess", "The calendar's default permission hides its times, or the domain of the asker is " +
			"in no relationship.",
			"Set the default permission to AvailabilityOnly. Add the domain to the organization relationship."},
		{"ErrorProxyRequestNotAllowed", "A lookup was passed on twice: autodiscover leads to the wrong side.",
			"Follow the autodiscover answers of the address. See autodiscover.answers."},
		{"ErrorProxyRequestProcessingFailed", "The other side could not process the tokens of the lookup.",
			"Check certificates and clocks of both sides; refresh the metadata of the trust."},
		{"ErrorServerBusy", "The server asks for fewer requests.", "Wait; hybridge asks again by itself."},
		{"InvalidUser", "Autodiscover does not know the address.",
			"Add the address in TENANT.mail.onmicrosoft.com to the mailbox."},
		{"MailboxNotEnabledForRESTAPI", "The mailbox is on-premises, inactive or without a licence.",
			"Ask in the right direction, or assign a licence."},
	}},
}

// Codes lists the codes, by group.
func Codes() []Code {
	var out []Code
	for _, g := range groups {
		out = append(out, g.codes...)
	}
	return out
}

// Canonical returns a code in the form of Codes: with its prefix, decimal, from what a person
// copied: "8078", "0x8033805B", "-2144108453", "AADSTS700016:".
func Canonical(text string) string {
	text = strings.TrimRight(strings.TrimSpace(text), ":.,")
	known := func(id string) (string, bool) {
		i := slices.IndexFunc(Codes(), func(c Code) bool { return strings.EqualFold(c.ID, id) })
		if i < 0 {
			return "", false
		}
		return Codes()[i].ID, true
	}
	forms := []string{text, "HCW" + text, "AADSTS" + text}
	if hex, ok := strings.CutPrefix(strings.ToLower(text), "0x"); ok {
		if n, err := strconv.ParseUint(hex, 16, 32); err == nil {
			forms = append(forms, strconv.FormatUint(n, 10))
		}
	}
	if n, err := strconv.ParseInt(text, 10, 32); err == nil && n < 0 { // as .NET shows an HRESULT
		forms = append(forms, strconv.FormatUint(uint64(uint32(int32(n))), 10))
	}
	for _, form := range forms {
		if id, ok := known(form); ok {
			return id
		}
	}
	return text
}

// CodesMarkdown renders docs/reference/codes.md.
func CodesMarkdown() []byte {
	var b strings.Builder
	b.WriteString("# Codes of other systems\n\nGenerated from pkg/hybrid/diagnose; do not edit.\n\n" +
		"`hybridge help CODE` prints one. A number finds its code without the prefix, and in hexadecimal.\n")
	for _, g := range groups {
		fmt.Fprintf(&b, "\n## %s\n\n%s\n\n| code | meaning | what to do |\n| --- | --- | --- |\n", g.title, g.about)
		for _, c := range g.codes {
			fmt.Fprintf(&b, "| <a id=%q></a>%s | %s | %s |\n", strings.ToLower(c.ID), c.ID, c.Means,
				strings.ReplaceAll(c.Fix, "|", `\|`))
		}
	}
	return []byte(b.String())
}
