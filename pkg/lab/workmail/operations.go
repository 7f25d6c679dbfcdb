package workmail

import (
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"time"
)

// operations are the operations that the lab has, by their names.
var operations = map[string]operation{
	"ListOrganizations":    listOrganizations,
	"DescribeOrganization": describeOrganization,
	"CreateOrganization":   createOrganization,
	"DeleteOrganization":   deleteOrganization,

	"ListMailDomains":         listDomains,
	"GetMailDomain":           getDomain,
	"RegisterMailDomain":      registerDomain,
	"DeregisterMailDomain":    deregisterDomain,
	"UpdateDefaultMailDomain": defaultDomain,

	"ListUsers":              listUsers,
	"DescribeUser":           describeUser,
	"DescribeEntity":         describeEntity,
	"ListGroups":             listGroups,
	"DescribeGroup":          describeGroup,
	"ListAliases":            listAliases,
	"RegisterToWorkMail":     register,
	"DeregisterFromWorkMail": deregister,

	"CreateUser": readOnly, "UpdateUser": readOnly, "DeleteUser": readOnly, "ResetPassword": readOnly,
	"CreateGroup": readOnly, "DeleteGroup": readOnly, "CreateResource": readOnly, "DeleteResource": readOnly,
	"CreateAlias": readOnly, "DeleteAlias": readOnly, "UpdatePrimaryEmailAddress": readOnly,

	"ListAvailabilityConfigurations":  listAvailability,
	"CreateAvailabilityConfiguration": createAvailability,
	"UpdateAvailabilityConfiguration": updateAvailability,
	"DeleteAvailabilityConfiguration": deleteAvailability,
	"TestAvailabilityConfiguration":   testAvailability,

	"DescribeIdentityProviderConfiguration": identityProvider,
	"GetAccessControlEffect":                accessEffect,
	"ListAccessControlRules":                listRules,
	"ListPersonalAccessTokens":              listTokens,

	"CreateImpersonationRole": createRole,
	"ListImpersonationRoles":  listRoles,
	"DeleteImpersonationRole": deleteRole,
	"AssumeImpersonationRole": assumeRole,

	"StartMailboxExportJob":    startExport,
	"DescribeMailboxExportJob": describeExport,
	"ListMailboxExportJobs":    listExports,
	"CancelMailboxExportJob":   cancelExport,
}

func listOrganizations(s *Service, c *call) (answer, *apiError) {
	list := []answer{}
	for _, o := range s.organizations {
		list = append(list, answer{"OrganizationId": o.ID, "Alias": o.Alias, "DefaultMailDomain": o.standard(),
			"State": o.state()})
	}
	return page(c, list, "OrganizationSummaries")
}

func (o *Organization) standard() string {
	for _, d := range o.domains {
		if d.isDefault {
			return d.name
		}
	}
	return ""
}

func describeOrganization(s *Service, c *call) (answer, *apiError) {
	o := c.org
	out := answer{"OrganizationId": o.ID, "Alias": o.Alias, "State": o.state(), "DirectoryType": "VpcDirectory",
		"DefaultMailDomain": o.standard(), "InteroperabilityEnabled": o.Interoperability,
		"ARN": "arn:aws:workmail:" + s.Region + ":" + s.Account + ":organization/" + o.ID}
	if o.directory != nil {
		out["DirectoryId"] = o.directory.ID
	}
	if o.state() == "Active" {
		out["CompletedDate"] = seconds(o.created.Add(o.delay))
	}
	return out, nil
}

func createOrganization(s *Service, c *call) (answer, *apiError) {
	alias, id := c.text("Alias"), c.text("DirectoryId")
	var connector *Connector
	for _, d := range s.Connectors {
		if d.ID == id {
			connector = d
		}
	}
	for _, o := range s.organizations {
		switch {
		case o.gone():
		case strings.EqualFold(o.Alias, alias):
			return nil, fail("NameAvailabilityException", "The alias %s is not available.", alias)
		case connector != nil && o.directory == connector:
			return nil, fail("DirectoryInUseException", "The directory is in use by organization %s.", o.ID)
		}
	}
	domains, _ := c.input["Domains"].([]any)
	for _, d := range domains {
		d, _ := d.(map[string]any)
		name, _ := d["DomainName"].(string)
		for _, o := range s.organizations {
			if !o.gone() && o.domain(name) != nil {
				return nil, invalid("The domain %s is in use by organization %s.", name, o.ID)
			}
		}
		if d["HostedZoneId"] != nil {
			return nil, invalid("The lab simulates no hosted zones of Route 53.")
		}
	}
	switch {
	case s.Closed:
		return nil, denied("AccessDeniedException", "Amazon WorkMail is no longer available to new customers.")
	case id == "":
		return nil, invalid("The lab simulates organizations with an AD Connector alone.")
	case connector == nil:
		return nil, fail("DirectoryUnavailableException", "The directory %s is unavailable.", id)
	case connector.Stage != "" && connector.Stage != "Active":
		return nil, fail("DirectoryUnavailableException", "The directory %s is in stage %s.", id, connector.Stage)
	case connector.Alias != alias:
		return nil, invalid("The alias must be the alias of the directory, %s.", connector.Alias)
	}
	o := s.add(alias, connector, c.flag("EnableInteroperability"))
	for _, d := range domains {
		name, _ := d.(map[string]any)["DomainName"].(string)
		o.domains = append(o.domains, &domain{name: strings.ToLower(name)})
	}
	if s.Created != nil {
		s.Created(o)
	}
	return answer{"OrganizationId": o.ID}, nil
}

func deleteOrganization(s *Service, c *call) (answer, *apiError) {
	if len(c.org.registered) > 0 && !c.flag("ForceDelete") {
		return nil, invalid("The organization has enabled users; ForceDelete removes them.")
	}
	if c.flag("DeleteDirectory") {
		return nil, invalid("The lab deletes no directory.")
	}
	c.org.deleted = s.Clock()
	return answer{"OrganizationId": c.org.ID, "State": "Deleting"}, nil
}

func listDomains(_ *Service, c *call) (answer, *apiError) {
	list := []answer{}
	for _, d := range c.org.domains {
		list = append(list, answer{"DomainName": d.name, "DefaultDomain": d.isDefault})
	}
	return page(c, list, "MailDomains")
}

func getDomain(s *Service, c *call) (answer, *apiError) {
	d := c.org.domain(c.text("DomainName"))
	if d == nil {
		return nil, fail("MailDomainNotFoundException", "The domain %s is not in the organization.",
			c.text("DomainName"))
	}
	s.prove(c, d)
	status := "PENDING"
	if d.verified {
		status = "VERIFIED"
	}
	out := answer{"IsTestDomain": d.test, "IsDefault": d.isDefault, "OwnershipVerificationStatus": status,
		"DkimVerificationStatus": status}
	if !d.test {
		records := []answer{
			{"Type": "TXT", "Hostname": "_amazonses." + d.name, "Value": s.Ownership(d.name)},
			{"Type": "MX", "Hostname": d.name, "Value": "10 inbound-smtp." + s.Region + ".amazonaws.com."},
			{"Type": "CNAME", "Hostname": "autodiscover." + d.name, "Value": "autodiscover.mail." + s.Region +
				".awsapps.com."},
		}
		for i := range 3 {
			key := hex.EncodeToString([]byte(fmt.Sprint(d.name, i)))[:20]
			records = append(records, answer{"Type": "CNAME", "Hostname": key + "._domainkey." + d.name,
				"Value": key + ".dkim.amazonses.com."})
		}
		out["Records"] = records
	}
	return out, nil
}

// prove verifies a domain when its TXT record is there.
func (s *Service) prove(c *call, d *domain) {
	if d.verified || s.TXT == nil {
		return
	}
	texts, err := s.TXT(c.ctx, "_amazonses."+d.name)
	d.verified = err == nil && slices.Contains(texts, s.Ownership(d.name))
}

func registerDomain(s *Service, c *call) (answer, *apiError) {
	name := strings.ToLower(c.text("DomainName"))
	for _, o := range s.organizations {
		if !o.gone() && o.domain(name) != nil {
			return nil, fail("MailDomainInUseException", "The domain %s is in use by organization %s.", name, o.ID)
		}
	}
	c.org.domains = append(c.org.domains, &domain{name: name})
	return answer{}, nil
}

func deregisterDomain(_ *Service, c *call) (answer, *apiError) {
	d := c.org.domain(c.text("DomainName"))
	switch {
	case d == nil:
		return answer{}, nil
	case d.test || d.isDefault:
		return nil, fail("MailDomainInUseException", "The domain %s is the test domain or the default domain.", d.name)
	}
	for _, address := range c.org.registered {
		if strings.HasSuffix(strings.ToLower(address), "@"+d.name) {
			return nil, fail("MailDomainInUseException", "The domain %s is in use by %s.", d.name, address)
		}
	}
	c.org.domains = slices.DeleteFunc(c.org.domains, func(o *domain) bool { return o == d })
	return answer{}, nil
}

func defaultDomain(_ *Service, c *call) (answer, *apiError) {
	d := c.org.domain(c.text("DomainName"))
	switch {
	case d == nil:
		return nil, fail("MailDomainNotFoundException", "The domain %s is not in the organization.",
			c.text("DomainName"))
	case !d.verified:
		return nil, fail("MailDomainStateException", "The domain %s is not verified.", d.name)
	}
	for _, o := range c.org.domains {
		o.isDefault = o == d
	}
	return answer{}, nil
}

func (o *Organization) stateOf(p Person) string {
	if o.registered[p.ID] != "" {
		return "ENABLED"
	}
	return "DISABLED"
}

func role(p Person) string {
	if p.Resource {
		return "RESOURCE"
	}
	return "USER"
}

func listUsers(_ *Service, c *call) (answer, *apiError) {
	filters := c.part("Filters")
	if len(filters) > 1 {
		return nil, invalid("Only one filter is allowed.")
	}
	keep := func(p Person) bool {
		for name, value := range filters {
			prefix := strings.ToLower(fmt.Sprint(value))
			switch name {
			case "UsernamePrefix":
				return strings.HasPrefix(strings.ToLower(p.Account), prefix)
			case "DisplayNamePrefix":
				return strings.HasPrefix(strings.ToLower(p.Display), prefix)
			case "PrimaryEmailPrefix":
				return strings.HasPrefix(strings.ToLower(c.org.registered[p.ID]), prefix)
			case "State":
				return strings.EqualFold(c.org.stateOf(p), prefix)
			}
			return false
		}
		return true
	}
	list := []answer{}
	for _, p := range c.org.directoryPeople() {
		if p.Group || !keep(p) {
			continue
		}
		u := answer{"Id": p.ID, "Name": p.Account, "DisplayName": p.Display, "State": c.org.stateOf(p),
			"UserRole": role(p)}
		if address := c.org.registered[p.ID]; address != "" {
			u["Email"], u["EnabledDate"] = address, seconds(c.org.created)
		}
		list = append(list, u)
	}
	return page(c, list, "Users")
}

func (c *call) entity(member string) (Person, *apiError) {
	p, ok := c.org.find(c.text(member))
	if !ok {
		return p, fail("EntityNotFoundException", "The entity %s was not found.", c.text(member))
	}
	return p, nil
}

func describeUser(_ *Service, c *call) (answer, *apiError) {
	p, refused := c.entity("UserId")
	if refused != nil || p.Group {
		return nil, fail("EntityNotFoundException", "The user %s was not found.", c.text("UserId"))
	}
	out := answer{"UserId": p.ID, "Name": p.Account, "DisplayName": p.Display, "State": c.org.stateOf(p),
		"UserRole": role(p), "HiddenFromGlobalAddressList": false}
	if address := c.org.registered[p.ID]; address != "" {
		out["Email"] = address
	}
	return out, nil
}

func describeEntity(_ *Service, c *call) (answer, *apiError) {
	p, refused := c.entity("Email")
	if refused != nil {
		return nil, refused
	}
	kind := "USER"
	if p.Group {
		kind = "GROUP"
	}
	return answer{"EntityId": p.ID, "Name": p.Account, "Type": kind}, nil
}

func listGroups(_ *Service, c *call) (answer, *apiError) {
	list := []answer{}
	for _, p := range c.org.directoryPeople() {
		if !p.Group {
			continue
		}
		g := answer{"Id": p.ID, "Name": p.Account, "State": c.org.stateOf(p)}
		if address := c.org.registered[p.ID]; address != "" {
			g["Email"] = address
		}
		list = append(list, g)
	}
	return page(c, list, "Groups")
}

func describeGroup(_ *Service, c *call) (answer, *apiError) {
	p, refused := c.entity("GroupId")
	if refused != nil || !p.Group {
		return nil, fail("EntityNotFoundException", "The group %s was not found.", c.text("GroupId"))
	}
	out := answer{"GroupId": p.ID, "Name": p.Account, "State": c.org.stateOf(p)}
	if address := c.org.registered[p.ID]; address != "" {
		out["Email"] = address
	}
	return out, nil
}

func listAliases(_ *Service, c *call) (answer, *apiError) {
	p, refused := c.entity("EntityId")
	switch {
	case refused != nil:
		return nil, refused
	case c.org.registered[p.ID] == "":
		return nil, fail("EntityStateException", "The entity is not enabled.")
	}
	list := []string{}
	for _, a := range c.org.addresses(p) {
		if !strings.EqualFold(a, c.org.registered[p.ID]) {
			list = append(list, a)
		}
	}
	return page(c, list, "Aliases")
}

func register(s *Service, c *call) (answer, *apiError) {
	p, refused := c.entity("EntityId")
	if refused != nil {
		return nil, refused
	}
	email := c.text("Email")
	_, name, _ := strings.Cut(email, "@")
	d := c.org.domain(name)
	if d != nil {
		s.prove(c, d)
	}
	switch {
	case p.Resource && c.org.Interoperability:
		return nil, fail("UnsupportedOperationException", "Resources cannot be enabled in interoperability mode.")
	case c.org.registered[p.ID] != "":
		return nil, fail("EntityAlreadyRegisteredException", "The entity is already registered as %s.",
			c.org.registered[p.ID])
	case d == nil:
		return nil, fail("MailDomainNotFoundException", "The domain %s is not in the organization.", name)
	case !d.verified:
		return nil, fail("MailDomainStateException", "The domain %s is not verified.", name)
	case c.org.Interoperability && !strings.EqualFold(email, p.Mail):
		return nil, invalid("The address must be the primary address of the directory, %s.", p.Mail)
	}
	for id, address := range c.org.registered {
		if id != p.ID && strings.EqualFold(address, email) {
			return nil, fail("EmailAddressInUseException", "The address %s is in use.", email)
		}
	}
	c.org.registered[p.ID] = email
	return answer{}, nil
}

func deregister(_ *Service, c *call) (answer, *apiError) {
	p, refused := c.entity("EntityId")
	switch {
	case refused != nil:
		return nil, refused
	case c.org.registered[p.ID] == "":
		return nil, fail("EntityStateException", "The entity is not enabled.")
	}
	delete(c.org.registered, p.ID)
	return answer{}, nil
}

// readOnly refuses what would write to the directory: an AD Connector is read-only.
func readOnly(*Service, *call) (answer, *apiError) {
	return nil, fail("UnsupportedOperationException",
		"You can't perform a write operation against a read-only directory.")
}

func identityProvider(_ *Service, c *call) (answer, *apiError) {
	mode := "IDENTITY_PROVIDER_ONLY"
	switch {
	case c.org.IdentityOnly:
	case c.org.IdentityTried:
		mode = "IDENTITY_PROVIDER_AND_DIRECTORY"
	default:
		return nil, fail("ResourceNotFoundException", "The organization has no identity provider configuration.")
	}
	return answer{
		"AuthenticationMode": mode,
		"IdentityCenterConfiguration": answer{"InstanceArn": "arn:aws:sso:::instance/ssoins-0123456789abcdef",
			"ApplicationArn": "arn:aws:sso::" + c.org.service.Account +
				":application/ssoins-0123456789abcdef/apl-0123456789abcdef"},
		"PersonalAccessTokenConfiguration": answer{"Status": "ACTIVE", "LifetimeInDays": 365},
	}, nil
}

// job is an export of a mailbox to S3.
type job struct {
	id, entity, description, role, key, bucket, prefix, state string
	start                                                     time.Time
}

func startExport(s *Service, c *call) (answer, *apiError) {
	p, refused := c.entity("EntityId")
	switch {
	case refused != nil:
		return nil, refused
	case c.org.registered[p.ID] == "":
		return nil, invalid("The entity has no mailbox.")
	}
	j := &job{id: strings.ToLower(rand.Text()), entity: p.ID, description: c.text("Description"),
		role: c.text("RoleArn"),
		key:  c.text("KmsKeyArn"), bucket: c.text("S3BucketName"), prefix: c.text("S3Prefix"), state: "RUNNING",
		start: s.Clock()}
	c.org.jobs = append(c.org.jobs, j)
	return answer{"JobId": j.id}, nil
}

// export finds a job, which is complete after the delay of the service.
func (c *call) export(s *Service) (*job, *apiError) {
	for _, j := range c.org.jobs {
		if j.id == c.text("JobId") {
			j.settle(s)
			return j, nil
		}
	}
	return nil, fail("EntityNotFoundException", "The job %s was not found.", c.text("JobId"))
}

func (j *job) settle(s *Service) {
	if j.state == "RUNNING" && !s.Clock().Before(j.start.Add(s.Delay)) {
		j.state = "COMPLETED"
	}
}

func (j *job) common() answer {
	progress := 0
	if j.state == "COMPLETED" {
		progress = 100
	}
	out := answer{"EntityId": j.entity, "S3BucketName": j.bucket, "S3Path": j.prefix + "/" + j.id + ".zip",
		"EstimatedProgress": progress, "State": j.state, "StartTime": seconds(j.start)}
	if j.description != "" {
		out["Description"] = j.description
	}
	return out
}

func describeExport(s *Service, c *call) (answer, *apiError) {
	j, refused := c.export(s)
	if refused != nil {
		return nil, refused
	}
	out := j.common()
	out["RoleArn"], out["KmsKeyArn"], out["S3Prefix"] = j.role, j.key, j.prefix
	return out, nil
}

func listExports(s *Service, c *call) (answer, *apiError) {
	list := []answer{}
	for _, j := range c.org.jobs {
		j.settle(s)
		one := j.common()
		one["JobId"] = j.id
		list = append(list, one)
	}
	return page(c, list, "Jobs")
}

func cancelExport(s *Service, c *call) (answer, *apiError) {
	j, refused := c.export(s)
	if refused != nil {
		return nil, refused
	}
	if j.state != "RUNNING" {
		return nil, invalid("The job is %s.", j.state)
	}
	j.state = "CANCELLED"
	return answer{}, nil
}
