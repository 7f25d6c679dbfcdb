package organization

import (
	"context"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/hybridge-cli/hybridge/pkg/estate/certificate"
	"github.com/hybridge-cli/hybridge/pkg/estate/exchange"
)

// rule is the behavior of a noun that its data cannot express. prepare runs before the lock is
// taken and may be slow. Its result is passed to apply. apply runs after the parameters were set on
// a copy, and may refuse.
type rule struct {
	prepare func(ctx context.Context, o *Organization, verb string, c Call) (any, error)
	apply   func(o *Organization, verb string, r *Record, c Call, prepared any) error
}

var rules = map[string]rule{
	"AcceptedDomain":             {apply: acceptedDomain},
	"DistributionGroup":          {apply: distributionGroup},
	"Mailbox":                    {apply: mailboxAuthority},
	"AuthServer":                 {prepare: authServerMetadata, apply: authServer},
	"AuthConfig":                 {apply: authConfig},
	"IntraOrganizationConnector": {apply: intraOrganizationConnector},
	"OrganizationRelationship":   {apply: organizationRelationship},
	"OrganizationConfig":         {apply: organizationConfig},
	"SettingOverride":            {apply: settingOverride},
	"PartnerApplication":         {apply: partnerApplication},
	"SendConnector":              {apply: sendConnector},
	"ReceiveConnector":           {apply: receiveConnector},
	"InboundConnector":           {apply: inboundConnector},
	"OutboundConnector":          {apply: outboundConnector},
	"RemoteDomain":               {apply: remoteDomain},
	"HybridConfiguration":        {apply: hybridConfiguration},
	"EmailAddressPolicy":         {apply: emailAddressPolicy},
	"TransportRule":              {apply: transportRule},
	"JournalRule":                {apply: journalRule},
	"OnPremisesOrganization":     {apply: onPremisesOrganization},
	"MigrationEndpoint":          {prepare: moveEndpoint, apply: migrationEndpoint},
	"AvailabilityAddressSpace":   {apply: availabilityAddressSpace},
	"AvailabilityConfig":         {prepare: availabilityAccounts, apply: availabilityConfig},
}

// invalid is the error of a task that refuses a request.
func invalid(exception, format string, args ...any) error {
	return &exchange.Error{Category: "InvalidOperation", ExceptionType: exception,
		Message: fmt.Sprintf(format, args...)}
}

const (
	invalidOperation = "Microsoft.Exchange.Configuration.Tasks.TaskInvalidOperationException"
	invalidArgument  = "System.ArgumentException"
	dataValidation   = "Microsoft.Exchange.Data.DataValidationException"
)

func given(c Call, parameter string) bool { _, ok := c.Parameters[parameter]; return ok }

// dry reports whether the call must not change anything (-WhatIf).
func dry(c Call) bool { on, _ := c.Parameters["WhatIf"].(bool); return on }

// mailboxAuthority lets the cloud manage synchronized mailboxes alone.
func mailboxAuthority(_ *Organization, _ string, r *Record, c Call, _ any) error {
	if given(c, "IsExchangeCloudManaged") && r.get("IsDirSynced") != true {
		return invalid(invalidOperation, "The mailbox '%s' isn't synchronized from an on-premises directory.",
			r.text("Name"))
	}
	return nil
}

func acceptedDomain(o *Organization, verb string, r *Record, c Call, _ any) error {
	if verb == "Remove" {
		if isDefault, _ := r.get("Default").(bool); isDefault {
			return invalid(invalidOperation, "The default accepted domain '%s' can't be removed.", r.text("Name"))
		}
		for _, policy := range o.all("EmailAddressPolicy") {
			for _, template := range asList(policy.get("EnabledEmailAddressTemplates")) {
				if _, domain, _ := cutLast(template, "@"); strings.EqualFold(domain, r.text("DomainName")) {
					return invalid(invalidOperation, "The accepted domain '%s' can't be removed because the email "+
						"address policy '%s' uses it.", r.text("Name"), policy.text("Name"))
				}
			}
		}
		return nil
	}
	if on, _ := c.Parameters["MakeDefault"].(bool); on && !dry(c) {
		for _, other := range o.all("AcceptedDomain") {
			if other.text("Guid") != r.text("Guid") {
				other.values["default"] = false
			}
		}
	}
	return nil
}

// maxDomains is how many domains a relationship accepts in one request.
const maxDomains = 238

func organizationRelationship(o *Organization, verb string, r *Record, c Call, _ any) error {
	if verb == "Remove" {
		return nil
	}
	if n := len(asList(r.get("DomainNames"))); given(c, "DomainNames") && n > maxDomains {
		return invalid(dataValidation,
			"The number of values for property DomainNames is too large: %d. The maximum is %d.", n, maxDomains)
	}
	for _, scope := range []string{"FreeBusyAccessScope", "MailTipsAccessScope"} {
		name := r.text(scope)
		if !given(c, scope) || name == "" {
			continue
		}
		found := slices.IndexFunc(o.all("Recipient"), func(e *Record) bool { return e.is(name) })
		if found < 0 {
			return o.notFound(name)
		}
		recipient := o.all("Recipient")[found]
		if recipient.text("RecipientTypeDetails") != "MailUniversalSecurityGroup" {
			return invalid(invalidArgument, "The recipient '%s' isn't a security group.", name)
		}
		r.mustSet(scope, recipient.identity())
	}
	return nil
}

// distributionGroup makes a group for mail, or one for mail and permissions.
func distributionGroup(_ *Organization, verb string, r *Record, c Call, _ any) error {
	if kind, _ := c.Parameters["Type"].(string); verb == "New" && strings.EqualFold(kind, "Security") {
		r.mustSet("GroupType", "Universal, SecurityEnabled")
		r.mustSet("RecipientType", "MailUniversalSecurityGroup")
		r.mustSet("RecipientTypeDetails", "MailUniversalSecurityGroup")
	}
	if verb == "New" {
		for _, property := range []string{"Alias", "DisplayName", "SamAccountName"} {
			if r.text(property) == "" {
				r.mustSet(property, r.text("Name"))
			}
		}
	}
	return nil
}

func intraOrganizationConnector(_ *Organization, verb string, r *Record, _ Call, _ any) error {
	if verb == "Remove" {
		return nil
	}
	if r.text("DiscoveryEndpoint") == "" && r.text("TargetSharingEpr") == "" {
		return invalid(dataValidation,
			"Property validation failed. Property = DiscoveryEndpoint Error = The property is mandatory and can't be "+
				"null.")
	}
	if len(asList(r.get("TargetAddressDomains"))) == 0 {
		return invalid(dataValidation,
			"Property validation failed. Property = TargetAddressDomains Error = The property is mandatory and can't "+
				"be empty.")
	}
	return nil
}

// metadata is the content of an authentication metadata document.
type metadata struct {
	kind, realm, issuer, tokens, authorization string
	certificates                               []string
}

func authServerMetadata(ctx context.Context, o *Organization, verb string, c Call) (any, error) {
	address, _ := c.Parameters["AuthMetadataUrl"].(string)
	kind, _ := c.Parameters["Type"].(string)
	refresh, _ := c.Parameters["RefreshAuthMetadata"].(bool)
	if verb == "Set" && (refresh || address != "") {
		identity, _ := c.Parameters["Identity"].(string)
		if r := o.Object("AuthServer", identity); r != nil {
			if address == "" {
				address = r.String("AuthMetadataUrl")
			}
			if kind == "" {
				kind = r.String("Type")
			}
		}
	}
	if verb == "Remove" || address == "" {
		return nil, nil
	}
	failed := func(err error) error {
		return invalid("Microsoft.Exchange.Security.OAuth.AuthMetadataClientException",
			"Cannot acquire auth metadata document from '%s'. Error: %v", address, err)
	}
	u, err := url.Parse(address)
	if err != nil || u.Scheme != "https" || u.Host == "" {
		return nil, failed(errors.New("The URL must be an absolute HTTPS URL."))
	}
	if o.c.Fetch == nil {
		return nil, failed(errors.New("Unable to connect to the remote server"))
	}
	text, err := o.c.Fetch(ctx, address)
	if err != nil {
		return nil, failed(err)
	}
	m, err := parseMetadata(text)
	if err != nil {
		return nil, failed(err)
	}
	// A federation metadata document belongs to Entra. The cmdlet requires a -Type that says so.
	if m.kind == "AzureAD" && kind != "AzureAD" && kind != "ADFS" {
		return nil, failed(errors.New("The document is a WS-Federation metadata document. Specify the Type parameter."))
	}
	if m.kind == "MicrosoftACS" && kind != "" && kind != "MicrosoftACS" {
		return nil, failed(fmt.Errorf("The document is not of type %s.", kind))
	}
	if kind == "ADFS" {
		m.kind = kind
	}
	return m, nil
}

// parseMetadata reads the two kinds of documents: the JSON one of the access control service
// ([MS-XOAUTH] and RFC drafts of its time), and a WS-Federation metadata document as Entra
// publishes one.
func parseMetadata(text []byte) (metadata, error) {
	if len(text) > 1<<20 {
		return metadata{}, errors.New("The document is too large.")
	}
	trimmed := strings.TrimSpace(strings.TrimPrefix(string(text), "\ufeff"))
	if strings.HasPrefix(trimmed, "<") {
		return parseFederationMetadata([]byte(trimmed))
	}
	var d struct {
		Realm  string `json:"realm"`
		Issuer string `json:"issuer"`
		Keys   []struct {
			Value struct {
				Type  string `json:"type"`
				Value string `json:"value"`
			} `json:"keyvalue"`
		} `json:"keys"`
		Endpoints []struct {
			Location string `json:"location"`
			Protocol string `json:"protocol"`
			Usage    string `json:"usage"`
		} `json:"endpoints"`
	}
	if err := json.Unmarshal([]byte(trimmed), &d); err != nil {
		return metadata{}, errors.New("The document is neither JSON nor XML.")
	}
	m := metadata{kind: "MicrosoftACS", realm: d.Realm}
	issuer, realm, _ := strings.Cut(d.Issuer, "@")
	m.issuer = issuer
	if m.realm == "" {
		m.realm = realm
	}
	for _, k := range d.Keys {
		if strings.EqualFold(k.Value.Type, "x509Certificate") {
			m.certificates = append(m.certificates, k.Value.Value)
		}
	}
	for _, e := range d.Endpoints {
		if strings.EqualFold(e.Usage, "issuance") && strings.EqualFold(e.Protocol, "OAuth2") {
			m.tokens = e.Location
		}
	}
	if m.issuer == "" || m.realm == "*" && m.tokens == "" {
		return m, errors.New("The document names no issuer.")
	}
	return m, m.checkCertificates()
}

func parseFederationMetadata(text []byte) (metadata, error) {
	var d struct {
		XMLName  xml.Name
		EntityID string `xml:"entityID,attr"`
		Roles    []struct {
			Type string `xml:"type,attr"`
			Keys []struct {
				Use          string   `xml:"use,attr"`
				Certificates []string `xml:"KeyInfo>X509Data>X509Certificate"`
			} `xml:"KeyDescriptor"`
			Passive []string `xml:"PassiveRequestorEndpoint>EndpointReference>Address"`
		} `xml:"RoleDescriptor"`
	}
	if err := xml.Unmarshal(text, &d); err != nil || d.XMLName.Local != "EntityDescriptor" || d.EntityID == "" {
		return metadata{}, errors.New("The document is not a federation metadata document.")
	}
	m := metadata{kind: "AzureAD", issuer: d.EntityID}
	issuer, err := url.Parse(d.EntityID)
	if err != nil || issuer.Host == "" {
		return m, errors.New("The entity's identifier is not a URL.")
	}
	m.realm = strings.Trim(issuer.Path, "/")
	for _, role := range d.Roles {
		if !strings.HasSuffix(role.Type, "SecurityTokenServiceType") {
			continue
		}
		for _, k := range role.Keys {
			for _, c := range k.Certificates {
				if c = strings.Join(strings.Fields(c), ""); !slices.Contains(m.certificates, c) {
					m.certificates = append(m.certificates, c)
				}
			}
		}
		for _, p := range role.Passive {
			if u, err := url.Parse(strings.TrimSpace(p)); err == nil && u.Host != "" {
				m.tokens = "https://" + u.Host + "/" + m.realm + "/oauth2/token"
				m.authorization = "https://" + u.Host + "/" + m.realm + "/oauth2/authorize"
			}
		}
	}
	return m, m.checkCertificates()
}

func (m metadata) checkCertificates() error {
	if len(m.certificates) == 0 {
		return errors.New("The document holds no signing certificate.")
	}
	for _, c := range m.certificates {
		if _, err := base64.StdEncoding.DecodeString(c); err != nil {
			return errors.New("A certificate of the document cannot be read.")
		}
	}
	return nil
}

func authServer(o *Organization, verb string, r *Record, c Call, prepared any) error {
	if m, ok := prepared.(metadata); ok {
		r.mustSet("Type", m.kind)
		r.mustSet("Realm", m.realm)
		r.mustSet("IssuerIdentifier", m.issuer)
		r.mustSet("TokenIssuingEndpoint", m.tokens)
		r.mustSet("AuthorizationEndpoint", m.authorization)
		r.mustSet("CertificateStrings", m.certificates)
	}
	if verb == "Remove" {
		return nil
	}
	if verb == "New" && !given(c, "AuthMetadataUrl") && !given(c, "IssuerIdentifier") {
		return invalid(invalidOperation,
			"You must specify AuthMetadataUrl, or IssuerIdentifier and TokenIssuingEndpoint.")
	}
	if id := r.text("ApplicationIdentifier"); given(c, "ApplicationIdentifier") && id != "" && !looksLikeGUID(id) {
		return invalid(dataValidation, "The application identifier '%s' isn't a GUID.", id)
	}
	// one default authorization endpoint in the organization
	if on, _ := c.Parameters["IsDefaultAuthorizationEndpoint"].(bool); on && !dry(c) {
		for _, other := range o.all("AuthServer") {
			if other.text("Guid") != r.text("Guid") {
				other.values["isdefaultauthorizationendpoint"] = false
			}
		}
	}
	return nil
}

func looksLikeGUID(s string) bool {
	if len(s) != 36 {
		return false
	}
	for i, c := range s {
		if i == 8 || i == 13 || i == 18 || i == 23 {
			if c != '-' {
				return false
			}
		} else if !strings.ContainsRune("0123456789abcdefABCDEF", c) {
			return false
		}
	}
	return true
}

func authConfig(o *Organization, verb string, r *Record, c Call, _ any) error {
	held := func(thumbprint string) bool {
		// The parameter Server has no effect: the store is that of the server that runs the cmdlet.
		here := strings.ToUpper(firstLabel(c.host()))
		return slices.ContainsFunc(o.all("ExchangeCertificate"), func(e *Record) bool {
			server := e.text("Server")
			return strings.EqualFold(e.text("Thumbprint"), thumbprint) &&
				(server == "" || strings.EqualFold(server, here))
		})
	}
	if next, _ := c.Parameters["NewCertificateThumbprint"].(string); next != "" {
		if !held(next) {
			return invalid(invalidArgument, "A certificate with thumbprint %s was not found on the server.", next)
		}
		// Servers need two days to receive it: an earlier date must be confirmed.
		effective, _ := c.Parameters["NewCertificateEffectiveDate"].(time.Time)
		force, _ := c.Parameters["Force"].(bool)
		if !force && effective.Before(o.c.Clock().Add(48*time.Hour)) {
			return CannotAsk(c) // whatever Confirm says
		}
		r.mustSet("NextCertificateThumbprint", strings.ToUpper(next))
		r.mustSet("NextCertificateEffectiveDate", c.Parameters["NewCertificateEffectiveDate"])
	}
	if current, _ := c.Parameters["CertificateThumbprint"].(string); current != "" {
		if !held(current) {
			return invalid(invalidArgument, "A certificate with thumbprint %s was not found on the server.", current)
		}
		// It takes effect at once, on servers that may not have it: that must be confirmed.
		force, _ := c.Parameters["Force"].(bool)
		if !force {
			return CannotAsk(c)
		}
		r.mustSet("PreviousCertificateThumbprint", r.text("CurrentCertificateThumbprint"))
		r.mustSet("CurrentCertificateThumbprint", strings.ToUpper(current))
	}
	if on, _ := c.Parameters["PublishCertificate"].(bool); on {
		if r.text("NextCertificateThumbprint") == "" {
			return invalid(invalidOperation, "There is no next certificate to publish.")
		}
		r.mustSet("PreviousCertificateThumbprint", r.text("CurrentCertificateThumbprint"))
		r.mustSet("CurrentCertificateThumbprint", r.text("NextCertificateThumbprint"))
		r.mustSet("NextCertificateThumbprint", "")
		r.mustSet("NextCertificateEffectiveDate", nil)
	}
	if on, _ := c.Parameters["ClearPreviousCertificate"].(bool); on {
		r.mustSet("PreviousCertificateThumbprint", "")
	}
	for _, acted := range []string{"CertificateThumbprint", "NewCertificateThumbprint",
		"NewCertificateEffectiveDate", "PublishCertificate", "ClearPreviousCertificate"} {
		r.forget(acted)
	}
	return nil
}

func organizationConfig(_ *Organization, _ string, r *Record, c Call, _ any) error {
	// One text with commas between the identifiers; it replaces the whole list.
	if list, _ := c.Parameters["EwsAllowedAppIDs"].(string); list != "" {
		var ids []string
		for id := range strings.SplitSeq(list, ",") {
			id = strings.ToLower(strings.TrimSpace(id))
			if !looksLikeGUID(id) {
				return invalid(dataValidation, "The value '%s' of EwsAllowedAppIDs isn't a valid application ID.", id)
			}
			if !slices.Contains(ids, id) {
				ids = append(ids, id)
			}
		}
		r.mustSet("EwsAllowedAppIDs", strings.Join(ids, ","))
	}
	return nil
}

// sections are the setting sections that an override of this lab can name. Each has the one
// parameter Enabled.
var sections = map[string][]string{
	"global":          {"ExchangeOnpremAsThirdPartyAppId"},
	"settingoverride": {"RouteThroughMSGraph"},
	"cafe":            {"HttpRequestFiltering"},
}

const settingsNamespace = "Microsoft.Exchange.Data.Directory.SystemConfiguration.ConfigurationSettings."

func settingOverride(o *Organization, verb string, r *Record, c Call, _ any) error {
	if verb == "Remove" {
		return nil
	}
	if verb == "New" {
		component, section := r.text("ComponentName"), r.text("SectionName")
		known, ok := sections[strings.ToLower(component)]
		if !ok {
			return invalid(settingsNamespace+"SettingOverrideInvalidComponentNameException",
				"The component '%s' doesn't exist.", component)
		}
		if !containsFold(known, section) {
			return invalid(settingsNamespace+"SettingOverrideInvalidSectionNameException",
				"The section '%s' of component '%s' doesn't exist.", section, component)
		}
		// Exchange accepts several overrides of one section under different names: they can apply
		// to different servers and versions. HealthChecker looks for them.
		r.mustSet("ModifiedBy", c.Caller.User)
	}
	if lowest, highest := r.text("MinVersion"), r.text("MaxVersion"); lowest != "" && highest != "" &&
		versionAfter(lowest, highest) {
		return invalid(settingsNamespace+"SettingOverrideMinVersionGreaterThanMaxVersionException",
			"The minimum version '%s' is greater than the maximum version '%s'.", lowest, highest)
	}
	for _, p := range asList(r.get("Parameters")) {
		name, value, ok := strings.Cut(p, "=")
		name, value = strings.TrimSpace(name), strings.TrimSpace(value)
		switch {
		case !ok || name == "":
			return invalid(settingsNamespace+"SettingOverrideInvalidParameterSyntaxException",
				"The parameter '%s' isn't in the format 'name=value'.", p)
		case !strings.EqualFold(name, "Enabled"):
			return invalid(settingsNamespace+"SettingOverrideInvalidParameterNameException",
				"The parameter '%s' doesn't exist. Available parameters: Enabled.", name)
		case !strings.EqualFold(value, "true") && !strings.EqualFold(value, "false"):
			return invalid(settingsNamespace+"SettingOverrideInvalidParameterValueException",
				"The value '%s' of parameter '%s' isn't a Boolean.", value, name)
		}
	}
	return nil
}

func partnerApplication(o *Organization, verb string, r *Record, c Call, _ any) error {
	if verb == "Remove" {
		return nil
	}
	id := r.text("ApplicationIdentifier")
	for _, other := range o.all("PartnerApplication") {
		if other.text("Guid") != r.text("Guid") && id != "" &&
			strings.EqualFold(other.text("ApplicationIdentifier"), id) &&
			strings.EqualFold(other.text("Realm"), r.text("Realm")) {
			return invalid(invalidOperation,
				"The partner application '%s' already has application identifier '%s' and realm '%s'.",
				other.text("Name"), id, r.text("Realm"))
		}
	}
	return nil
}

func onPremisesOrganization(o *Organization, verb string, r *Record, _ Call, _ any) error {
	if verb == "Remove" {
		return nil
	}
	for property, noun := range map[string]string{"InboundConnector": "InboundConnector",
		"OutboundConnector": "OutboundConnector", "OrganizationRelationship": "OrganizationRelationship"} {
		if name := r.text(property); name != "" &&
			!slices.ContainsFunc(o.all(noun), func(e *Record) bool { return e.is(name) }) {
			return o.notFound(name)
		}
	}
	return nil
}

func migrationEndpoint(_ *Organization, verb string, r *Record, c Call, _ any) error {
	if credential, ok := c.Parameters["Credentials"].(exchange.Credential); ok && verb != "Remove" {
		r.mustSet("Username", credential.User)
		r.credential = credential
	}
	return nil
}

func availabilityAddressSpace(_ *Organization, verb string, r *Record, c Call, _ any) error {
	if verb == "Remove" {
		return nil
	}
	r.mustSet("Name", r.text("ForestName"))
	if credential, ok := c.Parameters["Credentials"].(exchange.Credential); ok {
		r.mustSet("UserName", credential.User)
		r.credential = credential
	}
	r.forget("Credentials")
	method := r.text("AccessMethod")
	service, _ := r.get("UseServiceAccount").(bool)
	if strings.EqualFold(method, "InternalProxy") && !service {
		return invalid(invalidArgument, "You must set UseServiceAccount to $true when AccessMethod is InternalProxy.")
	}
	return nil
}

// availabilityAccounts finds accounts in the directory: their paths by parameter.
func availabilityAccounts(_ context.Context, o *Organization, _ string, c Call) (any, error) {
	paths := map[string]string{}
	for _, property := range []string{"OrgWideAccount", "PerUserAccount"} {
		name, _ := c.Parameters[property].(string)
		if name == "" {
			continue
		}
		path, found := "", false
		if o.c.Account != nil {
			path, found = o.c.Account(name)
		}
		if !found {
			return nil, o.notFound(name)
		}
		paths[property] = path
	}
	return paths, nil
}

// availabilityConfig shows accounts by their paths in the directory.
func availabilityConfig(_ *Organization, _ string, r *Record, _ Call, prepared any) error {
	paths, _ := prepared.(map[string]string)
	for property, path := range paths {
		r.mustSet(property, path)
	}
	return nil
}

// forget drops a value that a parameter set and that is not a property.
func (r *Record) forget(name string) {
	if _, declared := r.noun.property(name, r.org.c.Side); declared {
		return
	}
	delete(r.values, strings.ToLower(name))
	r.extra = slices.DeleteFunc(r.extra, func(e string) bool { return strings.EqualFold(e, name) })
}

// derive fills in what follows from other properties.
func (r *Record) derive() {
	switch r.noun.name {
	case "ExchangeCertificate":
		raw, _ := r.get("RawData").([]byte)
		c, err := x509.ParseCertificate(raw)
		if err != nil {
			return
		}
		r.values["thumbprint"] = certificate.Thumbprint(c)
		r.values["subject"], r.values["issuer"] = windowsName(c.Subject.String()), windowsName(c.Issuer.String())
		r.values["serialnumber"] = strings.ToUpper(fmt.Sprintf("%x", c.SerialNumber.Bytes()))
		r.values["notbefore"], r.values["notafter"] = c.NotBefore.UTC(), c.NotAfter.UTC()
		domains := append([]string{}, c.DNSNames...)
		if len(domains) == 0 && c.Subject.CommonName != "" {
			domains = []string{c.Subject.CommonName}
		}
		r.values["certificatedomains"] = domains
		r.values["isselfsigned"] = string(c.RawSubject) == string(c.RawIssuer)
		if r.text("Name") == "" {
			r.values["name"] = r.values["thumbprint"]
		}
		now := r.org.c.Clock()
		if now.After(c.NotAfter) || now.Before(c.NotBefore) {
			r.values["status"] = "DateInvalid"
		}
	case "WebServicesVirtualDirectory", "AutodiscoverVirtualDirectory":
		for _, m := range []struct{ flag, method string }{
			{"BasicAuthentication", "Basic"}, {"WindowsAuthentication", "Ntlm"},
			{"WindowsAuthentication", "WindowsIntegrated"},
			{"WSSecurityAuthentication", "WSSecurity"}, {"OAuthAuthentication", "OAuth"},
		} {
			on, _ := r.get(m.flag).(bool)
			for _, list := range []string{"InternalAuthenticationMethods", "ExternalAuthenticationMethods"} {
				methods := slices.DeleteFunc(append([]string{}, asList(r.get(list))...),
					func(e string) bool { return strings.EqualFold(e, m.method) })
				if on {
					methods = append(methods, m.method)
				}
				r.values[strings.ToLower(list)] = methods
			}
		}
	case "SettingOverride":
		r.values["xmlraw"] = overrideXML(r)
	case "AcceptedDomain", "RemoteDomain":
		if r.text("Name") == "" {
			r.values["name"] = r.text("DomainName")
		}
	case "AvailabilityAddressSpace":
		r.values["name"] = r.text("ForestName")
	case "Mailbox", "RemoteMailbox", "MailUser", "DistributionGroup":
		if r.text("WindowsEmailAddress") == "" {
			r.values["windowsemailaddress"] = r.get("PrimarySmtpAddress")
		}
		if primary := r.text("PrimarySmtpAddress"); primary != "" && len(asList(r.get("EmailAddresses"))) == 0 {
			r.values["emailaddresses"] = []string{"SMTP:" + primary}
		}
	}
}

// windowsName adds the blanks that Windows prints in a distinguished name: "CN=a, O=b".
func windowsName(s string) string {
	var out strings.Builder
	escaped := false
	for _, c := range s {
		out.WriteRune(c)
		if c == ',' && !escaped {
			out.WriteByte(' ')
		}
		escaped = c == '\\' && !escaped
	}
	return out.String()
}

func overrideXML(r *Record) string {
	var b strings.Builder
	attribute := func(name, value string) {
		b.WriteString(" " + name + `="`)
		_ = xml.EscapeText(&b, []byte(value))
		b.WriteByte('"')
	}
	b.WriteString("<S")
	attribute("CN", r.text("ComponentName"))
	attribute("SN", r.text("SectionName"))
	attribute("MB", r.text("ModifiedBy"))
	attribute("R", r.text("Reason"))
	b.WriteString("><Ps>")
	for _, p := range asList(r.get("Parameters")) {
		b.WriteString("<P>")
		_ = xml.EscapeText(&b, []byte(p))
		b.WriteString("</P>")
	}
	b.WriteString("</Ps></S>")
	return b.String()
}

// diagnosticInfo answers Get-ExchangeDiagnosticInfo: the refresh that follows a setting override.
func diagnosticInfo(_ context.Context, c Call) ([]exchange.Object, error) {
	o := c.Organization
	process, _ := c.Parameters["Process"].(string)
	component, _ := c.Parameters["Component"].(string)
	if process == "" {
		process = "All"
	}
	result := fmt.Sprintf("<Diagnostics><ProcessInfo><processName>%s</processName><recentlyStarted>false</recentlyStarted></ProcessInfo><Components><%s /></Components></Diagnostics>", xmlText(process), xmlName(component))
	return []exchange.Object{exchange.NewObject([]string{"Microsoft.Exchange.Data.Storage.DiagnosticInfo"}, "",
		"Result", result,
		"Timestamp", o.c.Clock().UTC().Truncate(time.Second))}, nil
}

// federationInformation reads the federation information of another organization. No organization
// of the lab is federated.
func federationInformation(_ context.Context, c Call) ([]exchange.Object, error) {
	return nil, &exchange.Error{Category: "NotSpecified",
		ExceptionType: "Microsoft.Exchange.Management.SystemConfigurationTasks.GetFederationInformationFailedException",
		Message: fmt.Sprintf("Federation information could not be received from the external organization '%v'.",
			c.Parameters["DomainName"])}
}

// testRelationship is Test-OrganizationRelationship, which asks through the federation trust. No
// organization of the lab has one.
func testRelationship(_ context.Context, c Call) ([]exchange.Object, error) {
	o := c.Organization
	identity, _ := c.Parameters["Identity"].(string)
	if o.Object("OrganizationRelationship", identity) == nil {
		return nil, o.notFound(identity)
	}
	user, _ := c.Parameters["UserIdentity"].(string)
	if o.Object("Mailbox", user) == nil {
		return nil, o.notFound(user)
	}
	return nil, invalid(invalidOperation, "The organization relationship '%s' can't be tested: the organization isn't "+
		"configured for federation.", identity)
}

func xmlText(s string) string {
	var b strings.Builder
	_ = xml.EscapeText(&b, []byte(s))
	return b.String()
}

func xmlName(s string) string {
	keep := func(c rune) rune {
		if c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' {
			return c
		}
		return -1
	}
	if s = strings.Map(keep, s); s == "" || s[0] >= '0' && s[0] <= '9' {
		return "Component"
	}
	return s
}

// versionAfter reports whether version a (15.2.1748.10) is after version b.
func versionAfter(a, b string) bool {
	number := func(s string) (v [4]int) {
		_, _ = fmt.Sscanf(s, "%d.%d.%d.%d", &v[0], &v[1], &v[2], &v[3])
		return v
	}
	x, y := number(a), number(b)
	return slices.Compare(x[:], y[:]) > 0
}
