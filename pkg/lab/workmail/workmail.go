// Package workmail simulates Amazon WorkMail: its API with signatures, limits and states that take
// time, the Directory Service as far as an AD Connector needs it, Exchange Web Services and
// autodiscover of its users, and the rules of interoperability with Exchange. What WorkMail asks of
// Exchange goes over the network.
package workmail

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/hybridge-cli/hybridge/pkg/lab/mail"
	"github.com/hybridge-cli/hybridge/pkg/wire/ews"
	"github.com/hybridge-cli/hybridge/pkg/wire/link"
)

// Config is the part of AWS that exists.
type Config struct {
	Region  string
	Account string         // number of the AWS account
	Keys    map[string]Key // access keys by their ids
	// Connectors are the AD Connectors of the account.
	Connectors []*Connector
	Clock      func() time.Time
	// Closed says that AWS takes the account as no customer any more.
	Closed bool
	// Created hears of an organization that the API creates.
	Created func(*Organization)
	// Delay is how long a new organization takes to become active, and an old one to go.
	Delay time.Duration
	// Calendar returns the calendar of a WorkMail user.
	Calendar func(address string, w ews.Window) []ews.Event
	// Folders returns the folders of a WorkMail user; nil: mailboxes have none.
	Folders func(address string) []ews.Folder
	// TXT looks up TXT records, to verify domains.
	TXT func(ctx context.Context, name string) ([]string, error)
	// Functions are the Lambda functions that may be availability providers, by their ARNs.
	Functions map[string]Function
}

// Key is an access key of an IAM user.
type Key struct {
	Secret   string
	ReadOnly bool // AmazonWorkMailReadOnlyAccess
}

// Function is a Lambda function that answers lookups (a custom availability provider).
type Function struct {
	// Ask returns the free/busy of one mailbox.
	Ask func(ctx context.Context, mailbox string, w ews.Window) ([]ews.Event, error)
	// Anonymous says that the function's policy admits calls without a source: WorkMail refuses
	// such a function.
	Anonymous bool
}

// Connector is an AD Connector.
type Connector struct {
	ID, Name, Alias string
	Account         string // as which it reads the directory
	Servers         []string
	Stage           string // Active when empty
	// People is the directory as it is now.
	People func() []Person
	// SignIn passes a sign-in to the directory.
	SignIn func(user, password string) bool
	// Every is how often WorkMail reads the directory; always when 0. The real service takes four
	// hours.
	Every time.Duration
}

// Person is a user or a group of a directory.
type Person struct {
	ID, Account, Display, UPN string
	Mail                      string   // the primary SMTP address
	Addresses                 []string // all SMTP addresses
	Group, Resource           bool
}

// Service is the simulated part of AWS in one region.
type Service struct {
	Config
	// AutodiscoverBroken makes autodiscover answer 403, as was seen of the real service.
	AutodiscoverBroken bool

	// Post is the mail of the users; nil: there is none.
	Post *mail.Transport
	way  *link.Link

	mu            sync.Mutex
	organizations []*Organization
	tokens        map[string]carried // requests that were carried out, by their client tokens
}

// New makes a service without organizations.
func New(c Config) *Service { return &Service{Config: c, tokens: map[string]carried{}} }

// Reach gives WorkMail its way to the internet.
func (s *Service) Reach(l *link.Link) { s.way = l }

// carried is a request that was carried out, with its answer.
type carried struct {
	input string
	out   answer
}

// Organization is one organization.
type Organization struct {
	ID, Alias        string
	Interoperability bool
	service          *Service
	directory        *Connector
	created          time.Time
	delay            time.Duration
	deleted          time.Time
	domains          []*domain
	registered       map[string]string // address by id of a person
	availability     []*availability
	people           []Person
	read             time.Time // when the directory was read
	jobs             []*job
	roles            []*impersonationRole

	// IdentityOnly says that IAM Identity Center alone signs users in: passwords do not work.
	IdentityOnly bool
	// IdentityTried says that IAM Identity Center signs users in beside the directory.
	IdentityTried bool
	Tokens        []Token
	// Rules are the access control rules. A new organization has one, which allows everything.
	Rules []Rule
	// Aliasless are accounts without an address in the organization's own domain.
	Aliasless []string
	impaired  bool
}

type domain struct {
	name            string
	isDefault, test bool
	verified        bool
}

type availability struct {
	domain                 string
	endpoint, user, secret string
	lambda                 string
	created, modified      time.Time
}

// NewOrganization seeds an active organization with interoperability.
func (s *Service) NewOrganization(alias string, c *Connector, domains ...string) *Organization {
	s.mu.Lock()
	defer s.mu.Unlock()
	o := s.add(alias, c, true)
	o.delay = 0
	for i, name := range domains {
		o.domains = append(o.domains, &domain{name: name, isDefault: i == 0, verified: true})
		o.domains[0].isDefault = false
	}
	return o
}

// add makes an organization with its test domain.
func (s *Service) add(alias string, c *Connector, interoperability bool) *Organization {
	name := s.Account + "/" + alias
	for _, other := range s.organizations {
		if other.Alias == alias {
			name += "/another" // one that was deleted keeps its id
		}
	}
	sum := sha256.Sum256([]byte(name))
	o := &Organization{
		ID: "m-" + hex.EncodeToString(sum[:16]), Alias: alias, Interoperability: interoperability, service: s,
		directory: c, created: s.Clock(), delay: s.Delay, registered: map[string]string{},
		domains: []*domain{{name: alias + ".awsapps.com", isDefault: true, test: true, verified: true}},
		Rules:   []Rule{{Name: "Default", Effect: "ALLOW"}},
	}
	s.organizations = append(s.organizations, o)
	return o
}

// gone reports whether the organization was deleted.
func (o *Organization) gone() bool { return o.state() == "Deleted" }

// state is one of Requested, Creating, Active, Deleting, Deleted.
func (o *Organization) state() string {
	switch age := o.service.Clock().Sub(o.created); {
	case !o.deleted.IsZero() && o.service.Clock().Sub(o.deleted) >= o.service.Delay:
		return "Deleted"
	case !o.deleted.IsZero():
		return "Deleting"
	case o.impaired:
		return "Impaired"
	case age < o.delay/2:
		return "Requested"
	case age < o.delay:
		return "Creating"
	}
	return "Active"
}

// Impair puts the organization into a state in which it answers nothing but the question for it.
func (o *Organization) Impair() {
	o.service.mu.Lock()
	defer o.service.mu.Unlock()
	o.impaired = true
}

// Forget takes the organization out of the account: it never was there.
func (o *Organization) Forget() {
	o.service.mu.Lock()
	defer o.service.mu.Unlock()
	o.service.organizations = slices.DeleteFunc(o.service.organizations, func(other *Organization) bool {
		return other == o
	})
}

// Register enables a person for WorkMail, by an address.
func (o *Organization) Register(address string) {
	o.service.mu.Lock()
	defer o.service.mu.Unlock()
	if p, ok := o.find(address); ok {
		o.registered[p.ID] = p.Mail
	}
}

// Registered lists the addresses that are enabled for WorkMail.
func (o *Organization) Registered() []string {
	o.service.mu.Lock()
	defer o.service.mu.Unlock()
	var out []string
	for _, address := range o.registered {
		out = append(out, address)
	}
	slices.Sort(out)
	return out
}

// Unverify takes the proof of a domain away.
func (o *Organization) Unverify(name string) {
	o.service.mu.Lock()
	defer o.service.mu.Unlock()
	if d := o.domain(name); d != nil {
		d.verified = false
	}
}

// AddRole adds an impersonation role that covers everyone.
func (o *Organization) AddRole(name, kind string) {
	o.service.mu.Lock()
	defer o.service.mu.Unlock()
	o.roles = append(o.roles, &impersonationRole{id: "the-id-of-" + name, name: name, kind: kind,
		created: o.service.Clock(), tokens: map[string]time.Time{},
		rules: []map[string]any{{"ImpersonationRuleId": "everyone", "Effect": "ALLOW"}}})
}

// Rename gives the organization another alias.
func (o *Organization) Rename(alias string) {
	o.service.mu.Lock()
	defer o.service.mu.Unlock()
	o.Alias = alias
}

// RemoveDomain takes a domain out of the organization.
func (o *Organization) RemoveDomain(name string) {
	o.service.mu.Lock()
	defer o.service.mu.Unlock()
	o.domains = slices.DeleteFunc(o.domains, func(d *domain) bool { return strings.EqualFold(d.name, name) })
	o.domains[0].isDefault = true // the test domain, which stays
}

// Deregister disables everyone.
func (o *Organization) Deregister() {
	o.service.mu.Lock()
	defer o.service.mu.Unlock()
	clear(o.registered)
}

// directoryPeople is the directory as WorkMail knows it.
func (o *Organization) directoryPeople() []Person {
	now := o.service.Clock()
	if o.read.IsZero() || o.directory.Every == 0 || now.Sub(o.read) >= o.directory.Every {
		o.people, o.read = o.directory.People(), now
	}
	return o.people
}

// Sync reads the directory now.
func (o *Organization) Sync() {
	o.service.mu.Lock()
	defer o.service.mu.Unlock()
	o.people, o.read = o.directory.People(), o.service.Clock()
}

// find finds a person by id, account name or address.
func (o *Organization) find(name string) (Person, bool) {
	for _, p := range o.directoryPeople() {
		if strings.EqualFold(p.ID, name) || strings.EqualFold(p.Account, name) || strings.EqualFold(p.Mail, name) ||
			slices.ContainsFunc(o.addresses(p), func(a string) bool { return strings.EqualFold(a, name) }) {
			return p, true
		}
	}
	return Person{}, false
}

// addresses are the addresses of a registered person: those of the directory in domains of the
// organization, and the one in the test domain.
func (o *Organization) addresses(p Person) []string {
	if o.registered[p.ID] == "" {
		return nil
	}
	var out []string
	if !slices.Contains(o.Aliasless, p.Account) {
		out = append(out, p.Account+"@"+o.Alias+".awsapps.com")
	}
	for _, a := range p.Addresses {
		_, name, _ := strings.Cut(a, "@")
		if o.domain(name) != nil && !slices.ContainsFunc(out, func(o string) bool { return strings.EqualFold(o, a) }) {
			out = append(out, a)
		}
	}
	return out
}

func (o *Organization) domain(name string) *domain {
	for _, d := range o.domains {
		if strings.EqualFold(d.name, name) {
			return d
		}
	}
	return nil
}

func (o *Organization) provider(name string) *availability {
	for _, a := range o.availability {
		if strings.EqualFold(a.domain, name) {
			return a
		}
	}
	return nil
}

// Ownership is the value of the TXT record _amazonses.DOMAIN that proves a domain.
func (s *Service) Ownership(name string) string {
	sum := sha256.Sum256([]byte("ownership of " + strings.ToLower(name) + " by " + s.Account))
	return hex.EncodeToString(sum[:20]) + "="
}
