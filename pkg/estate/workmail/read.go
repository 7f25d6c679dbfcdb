package workmail

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"

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

// Gone reports whether the organization was deleted. AWS shows it for a while.
func (o Organization) Gone() bool { return strings.EqualFold(o.State, "Deleted") }

// Arising reports whether the organization is being created.
func (o Organization) Arising() bool {
	return o.State == "Requested" || o.State == "Creating" || o.State == "Validating"
}

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
func (e Entity) Enabled() bool { return e.State == "ENABLED" }

// Person reports whether the entity is a user with a mailbox of a person.
func (e Entity) Person() bool { return e.Role == "" || e.Role == "USER" }

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

func text(s string) string { return link.Line(s) }

// Organization describes the organization.
func (c *Client) Organization(ctx context.Context) (Organization, error) {
	o, err := c.describe(ctx)
	if err == nil && o.Gone() && !strings.HasPrefix(c.name, "m-") {
		// It was deleted since its id was looked up.
		c.mu.Lock()
		c.id = ""
		c.mu.Unlock()
		return c.describe(ctx)
	}
	return o, err
}

func (c *Client) describe(ctx context.Context) (Organization, error) {
	o, err := ask[struct {
		OrganizationID, Alias, State, DirectoryID, DefaultMailDomain, ErrorMessage string
		InteroperabilityEnabled                                                    bool
	}](ctx, c, "DescribeOrganization", request{})
	if err != nil {
		return Organization{}, err
	}
	return Organization{
		ID: text(o.OrganizationID), Alias: text(o.Alias), State: text(o.State), DirectoryID: text(o.DirectoryID),
		DefaultDomain: text(o.DefaultMailDomain), Interoperability: o.InteroperabilityEnabled,
		Problem: text(o.ErrorMessage),
	}, nil
}

// Named lists the organizations of the account with the alias or the id of this one, those that were
// deleted too.
func (c *Client) Named(ctx context.Context) ([]Organization, error) {
	all, err := c.all(ctx)
	return slices.DeleteFunc(all, func(o Organization) bool {
		return !strings.EqualFold(o.Alias, c.name) && o.ID != c.name
	}), err
}

// Domains lists the domains, without what only Domain shows.
func (c *Client) Domains(ctx context.Context) ([]Domain, error) {
	found, err := listOwn[struct {
		DomainName    string
		DefaultDomain bool
	}](ctx, c, "ListMailDomains", "MailDomains", request{})
	if err != nil {
		return nil, err
	}
	var out []Domain
	for _, d := range found {
		out = append(out, Domain{Name: text(d.DomainName), Default: d.DefaultDomain})
	}
	return out, nil
}

// Domain describes one domain. ErrNotFound says that the organization does not have it.
func (c *Client) Domain(ctx context.Context, name string) (Domain, error) {
	d, err := ask[struct {
		IsDefault, IsTestDomain                             bool
		OwnershipVerificationStatus, DkimVerificationStatus string
		Records                                             []struct{ Type, Hostname, Value string }
	}](ctx, c, "GetMailDomain", request{DomainName: name})
	if err != nil {
		return Domain{}, err
	}
	out := Domain{Name: name, Default: d.IsDefault, Test: d.IsTestDomain,
		Ownership: text(d.OwnershipVerificationStatus), DKIM: text(d.DkimVerificationStatus)}
	for _, r := range d.Records {
		out.Records = append(out.Records, Record{text(r.Type), text(r.Hostname), text(r.Value)})
	}
	return out, nil
}

// entity is a user or a group in answers. DescribeUser calls the id UserId.
type entity struct{ ID, UserID, Name, DisplayName, Email, State, UserRole string }

func (e entity) read() Entity {
	return Entity{ID: text(e.ID + e.UserID), Name: text(e.Name), Display: text(e.DisplayName), Email: text(e.Email),
		State: text(e.State), Role: text(e.UserRole)}
}

// most is how many entries one page may hold.
const most = 100

// Users lists the users of the directory, whether registered or not.
func (c *Client) Users(ctx context.Context) ([]Entity, error) {
	return c.entities(ctx, "ListUsers", "Users")
}

// Groups lists the groups of the directory, whether registered or not.
func (c *Client) Groups(ctx context.Context) ([]Entity, error) {
	return c.entities(ctx, "ListGroups", "Groups")
}

func (c *Client) entities(ctx context.Context, operation, member string) ([]Entity, error) {
	found, err := listOwn[entity](ctx, c, operation, member, request{MaxResults: most})
	if err != nil {
		return nil, err
	}
	var out []Entity
	for _, e := range found {
		out = append(out, e.read())
	}
	return out, nil
}

// User describes one user, by id, name or address.
func (c *Client) User(ctx context.Context, name string) (Entity, error) {
	u, err := ask[entity](ctx, c, "DescribeUser", request{UserID: name})
	if err != nil {
		return Entity{}, err
	}
	return u.read(), nil
}

// Availabilities lists the stored availability configurations.
func (c *Client) Availabilities(ctx context.Context) ([]Availability, error) {
	found, err := listOwn[struct {
		DomainName     string
		EwsProvider    struct{ EwsEndpoint, EwsUsername string }
		LambdaProvider struct{ LambdaArn string }
	}](ctx, c, "ListAvailabilityConfigurations", "AvailabilityConfigurations", request{})
	if err != nil {
		return nil, err
	}
	var out []Availability
	for _, a := range found {
		out = append(out, Availability{Domain: text(a.DomainName), Endpoint: text(a.EwsProvider.EwsEndpoint),
			User: text(a.EwsProvider.EwsUsername), Lambda: text(a.LambdaProvider.LambdaArn)})
	}
	return out, nil
}

// TestAvailability asks WorkMail to sign in at the provider that is stored for a domain. A failed
// test is a reason, not an error. WorkMail fetches no calendar for it.
func (c *Client) TestAvailability(ctx context.Context, domain string) (reason string, passed bool, err error) {
	out, err := ask[struct {
		TestPassed    bool
		FailureReason string
	}](ctx, c, "TestAvailabilityConfiguration", request{DomainName: domain})
	return text(out.FailureReason), out.TestPassed, err
}

// IdentityMode returns how users sign in when IAM Identity Center is on; empty when it is not.
func (c *Client) IdentityMode(ctx context.Context) (string, error) {
	out, err := ask[struct{ AuthenticationMode string }](ctx, c, "DescribeIdentityProviderConfiguration", request{})
	if e, ok := errors.AsType[*Error](err); ok && e.Code == "ResourceNotFoundException" {
		return "", nil
	}
	return text(out.AuthenticationMode), err
}

// Directory describes the directory of the organization.
func (c *Client) Directory(ctx context.Context, id string) (Directory, error) {
	var out struct {
		DirectoryDescriptions []struct {
			DirectoryID, Name, Type, Stage, StageReason, Alias string
			ConnectSettings                                    struct {
				CustomerUserName string
				ConnectIPs       []string
			}
		}
	}
	if err := c.do(ctx, directoryService, "DescribeDirectories", request{DirectoryIDs: []string{id}},
		&out); err != nil {
		return Directory{}, err
	}
	if len(out.DirectoryDescriptions) == 0 {
		return Directory{}, &Error{Operation: "DescribeDirectories", Code: "EntityDoesNotExistException",
			Message: "no directory " + id, Status: http.StatusBadRequest}
	}
	d := out.DirectoryDescriptions[0]
	one := Directory{ID: text(d.DirectoryID), Name: text(d.Name), Type: text(d.Type), Stage: text(d.Stage),
		Reason: text(d.StageReason), Alias: text(d.Alias), Account: text(d.ConnectSettings.CustomerUserName)}
	for _, server := range d.ConnectSettings.ConnectIPs {
		one.Servers = append(one.Servers, text(server))
	}
	return one, nil
}
