package workmail

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/directoryservice"
	"github.com/aws/aws-sdk-go-v2/service/workmail"
	"github.com/aws/aws-sdk-go-v2/service/workmail/types"

	"github.com/hybridge-cli/hybridge/pkg/wire/link"
)

// Organization is what DescribeOrganization says.
type Organization struct {
	ID, Alias, State string
	DirectoryID      string
	DefaultDomain    string
	// Interoperability with Exchange is set when the organization is created, and later by AWS
	// Support only.
	Interoperability bool
	Problem          string // ErrorMessage
}

// TestDomain is the domain of every organization, which is also the forest name of the availability
// address space.
func (o Organization) TestDomain() string { return o.Alias + ".awsapps.com" }

// Domain is a mail domain of the organization.
type Domain struct {
	Name      string
	Default   bool
	Test      bool
	Ownership string // PENDING, VERIFIED, FAILED
	DKIM      string
	Records   []Record
}

// Record is a DNS record that WorkMail names.
type Record struct{ Type, Host, Value string }

// Entity is a user or a group.
type Entity struct {
	ID, Name, Display, Email string
	State                    string // ENABLED, DISABLED, DELETED
	Role                     string // of a user: USER, RESOURCE, SYSTEM_USER, REMOTE_USER
}

// Enabled reports whether the entity is registered to WorkMail.
func (e Entity) Enabled() bool { return e.State == string(types.EntityStateEnabled) }

// Person reports whether the entity is a user with a mailbox of a person.
func (e Entity) Person() bool { return e.Role == "" || e.Role == string(types.UserRoleUser) }

// Availability is a stored availability configuration. WorkMail never shows a password.
type Availability struct {
	Domain         string
	Endpoint, User string // of EWS
	Lambda         string
}

// Directory is the directory of the organization, as the Directory Service describes it.
type Directory struct {
	ID, Name, Type, Stage, Reason, Alias string
	Account                              string   // as which an AD Connector reads the directory
	Servers                              []string // that an AD Connector connects to
}

func text(s *string) string { return link.Line(aws.ToString(s)) }

// Organization describes the organization.
func (c *Client) Organization(ctx context.Context) (Organization, error) {
	ctx, cancel := c.limited(ctx)
	defer cancel()
	id, err := c.organization(ctx)
	if err != nil {
		return Organization{}, err
	}
	o, err := c.api.DescribeOrganization(ctx, &workmail.DescribeOrganizationInput{OrganizationId: id})
	if err != nil {
		return Organization{}, failure(ctx, "DescribeOrganization", err)
	}
	return Organization{
		ID: text(o.OrganizationId), Alias: text(o.Alias), State: text(o.State), DirectoryID: text(o.DirectoryId),
		DefaultDomain: text(o.DefaultMailDomain), Interoperability: o.InteroperabilityEnabled,
		Problem: text(o.ErrorMessage),
	}, nil
}

// Domains lists the domains, without what only Domain shows.
func (c *Client) Domains(ctx context.Context) ([]Domain, error) {
	ctx, cancel := c.limited(ctx)
	defer cancel()
	id, err := c.organization(ctx)
	if err != nil {
		return nil, err
	}
	var out []Domain
	pages := workmail.NewListMailDomainsPaginator(c.api, &workmail.ListMailDomainsInput{OrganizationId: id})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, failure(ctx, "ListMailDomains", err)
		}
		for _, d := range page.MailDomains {
			out = append(out, Domain{Name: text(d.DomainName), Default: d.DefaultDomain})
		}
	}
	return out, nil
}

// Domain describes one domain. ErrNotFound says that the organization does not have it.
func (c *Client) Domain(ctx context.Context, name string) (Domain, error) {
	ctx, cancel := c.limited(ctx)
	defer cancel()
	id, err := c.organization(ctx)
	if err != nil {
		return Domain{}, err
	}
	d, err := c.api.GetMailDomain(ctx, &workmail.GetMailDomainInput{OrganizationId: id, DomainName: &name})
	if err != nil {
		return Domain{}, failure(ctx, "GetMailDomain", err)
	}
	out := Domain{Name: name, Default: d.IsDefault, Test: d.IsTestDomain,
		Ownership: string(d.OwnershipVerificationStatus), DKIM: string(d.DkimVerificationStatus)}
	for _, r := range d.Records {
		out.Records = append(out.Records, Record{text(r.Type), text(r.Hostname), text(r.Value)})
	}
	return out, nil
}

// Users lists the users of the directory, whether registered or not.
func (c *Client) Users(ctx context.Context) ([]Entity, error) {
	ctx, cancel := c.limited(ctx)
	defer cancel()
	id, err := c.organization(ctx)
	if err != nil {
		return nil, err
	}
	var out []Entity
	pages := workmail.NewListUsersPaginator(c.api,
		&workmail.ListUsersInput{OrganizationId: id, MaxResults: aws.Int32(most)})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, failure(ctx, "ListUsers", err)
		}
		for _, u := range page.Users {
			out = append(out, Entity{ID: text(u.Id), Name: text(u.Name), Display: text(u.DisplayName),
				Email: text(u.Email), State: string(u.State), Role: string(u.UserRole)})
		}
	}
	return out, nil
}

// most is how many entries one page may hold.
const most = 100

// Groups lists the groups of the directory, whether registered or not.
func (c *Client) Groups(ctx context.Context) ([]Entity, error) {
	ctx, cancel := c.limited(ctx)
	defer cancel()
	id, err := c.organization(ctx)
	if err != nil {
		return nil, err
	}
	var out []Entity
	pages := workmail.NewListGroupsPaginator(c.api,
		&workmail.ListGroupsInput{OrganizationId: id, MaxResults: aws.Int32(most)})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, failure(ctx, "ListGroups", err)
		}
		for _, g := range page.Groups {
			out = append(out, Entity{ID: text(g.Id), Name: text(g.Name), Email: text(g.Email), State: string(g.State)})
		}
	}
	return out, nil
}

// User describes one user, by id, name or address.
func (c *Client) User(ctx context.Context, name string) (Entity, error) {
	ctx, cancel := c.limited(ctx)
	defer cancel()
	id, err := c.organization(ctx)
	if err != nil {
		return Entity{}, err
	}
	u, err := c.api.DescribeUser(ctx, &workmail.DescribeUserInput{OrganizationId: id, UserId: &name})
	if err != nil {
		return Entity{}, failure(ctx, "DescribeUser", err)
	}
	return Entity{ID: text(u.UserId), Name: text(u.Name), Display: text(u.DisplayName), Email: text(u.Email),
		State: string(u.State), Role: string(u.UserRole)}, nil
}

// Availabilities lists the stored availability configurations.
func (c *Client) Availabilities(ctx context.Context) ([]Availability, error) {
	ctx, cancel := c.limited(ctx)
	defer cancel()
	id, err := c.organization(ctx)
	if err != nil {
		return nil, err
	}
	var out []Availability
	pages := workmail.NewListAvailabilityConfigurationsPaginator(c.api,
		&workmail.ListAvailabilityConfigurationsInput{OrganizationId: id})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, failure(ctx, "ListAvailabilityConfigurations", err)
		}
		for _, a := range page.AvailabilityConfigurations {
			one := Availability{Domain: text(a.DomainName)}
			if a.EwsProvider != nil {
				one.Endpoint, one.User = text(a.EwsProvider.EwsEndpoint), text(a.EwsProvider.EwsUsername)
			}
			if a.LambdaProvider != nil {
				one.Lambda = text(a.LambdaProvider.LambdaArn)
			}
			out = append(out, one)
		}
	}
	return out, nil
}

// TestAvailability asks WorkMail to sign in at the provider that is stored for a domain. A failed
// test is a reason, not an error. WorkMail fetches nobody's calendar for it.
func (c *Client) TestAvailability(ctx context.Context, domain string) (reason string, passed bool, err error) {
	ctx, cancel := c.limited(ctx)
	defer cancel()
	id, err := c.organization(ctx)
	if err != nil {
		return "", false, err
	}
	out, err := c.api.TestAvailabilityConfiguration(ctx,
		&workmail.TestAvailabilityConfigurationInput{OrganizationId: id, DomainName: &domain})
	if err != nil {
		return "", false, failure(ctx, "TestAvailabilityConfiguration", err)
	}
	return text(out.FailureReason), out.TestPassed, nil
}

// IdentityMode returns how users sign in when IAM Identity Center is on; empty when it is not.
func (c *Client) IdentityMode(ctx context.Context) (string, error) {
	ctx, cancel := c.limited(ctx)
	defer cancel()
	id, err := c.organization(ctx)
	if err != nil {
		return "", err
	}
	out, err := c.api.DescribeIdentityProviderConfiguration(ctx,
		&workmail.DescribeIdentityProviderConfigurationInput{OrganizationId: id})
	if err = failure(ctx, "DescribeIdentityProviderConfiguration", err); err != nil {
		if e, ok := err.(*Error); ok && e.Code == "ResourceNotFoundException" { //nolint:errorlint // made just above
			return "", nil
		}
		return "", err
	}
	return string(out.AuthenticationMode), nil
}

// Directory describes the directory of the organization.
func (c *Client) Directory(ctx context.Context, id string) (Directory, error) {
	ctx, cancel := c.limited(ctx)
	defer cancel()
	out, err := c.directory.DescribeDirectories(ctx,
		&directoryservice.DescribeDirectoriesInput{DirectoryIds: []string{id}})
	if err != nil {
		return Directory{}, failure(ctx, "DescribeDirectories", err)
	}
	if len(out.DirectoryDescriptions) == 0 {
		return Directory{}, &Error{Operation: "DescribeDirectories", Code: "EntityDoesNotExistException",
			Message: "no directory " + id, Status: 400}
	}
	d := out.DirectoryDescriptions[0]
	one := Directory{ID: text(d.DirectoryId), Name: text(d.Name), Type: string(d.Type), Stage: string(d.Stage),
		Reason: text(d.StageReason), Alias: text(d.Alias)}
	if s := d.ConnectSettings; s != nil {
		one.Account, one.Servers = text(s.CustomerUserName), s.ConnectIps
	}
	return one, nil
}
