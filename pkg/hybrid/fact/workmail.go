package fact

import (
	"context"
	"strings"

	"github.com/hybridge-cli/hybridge/pkg/estate/exchange"
	"github.com/hybridge-cli/hybridge/pkg/estate/workmail"
)

// WorkMailAPI is an organization of Amazon WorkMail; *workmail.Client is one.
type WorkMailAPI interface {
	Organization(ctx context.Context) (workmail.Organization, error)
	Named(ctx context.Context) ([]workmail.Organization, error)
	Domains(ctx context.Context) ([]workmail.Domain, error)
	Domain(ctx context.Context, name string) (workmail.Domain, error)
	Users(ctx context.Context) ([]workmail.Entity, error)
	Groups(ctx context.Context) ([]workmail.Entity, error)
	User(ctx context.Context, name string) (workmail.Entity, error)
	Availabilities(ctx context.Context) ([]workmail.Availability, error)
	TestAvailability(ctx context.Context, domain string) (reason string, passed bool, err error)
	IdentityMode(ctx context.Context) (string, error)
	Directory(ctx context.Context, id string) (workmail.Directory, error)
	exits
	rights
}

// FromWorkMail declares a query to WorkMail. actions are the IAM actions that it needs.
func FromWorkMail[T any](request string, actions []string,
	ask func(WorkMailAPI, context.Context) (T, error)) *Query[T] {
	return &Query[T]{
		question: question{AtWorkMail, []Source{{WorkMail, request, actions}}},
		ask: func(ctx context.Context, s *Side) (T, error) {
			return with(ctx, s, s.WorkMail, func(ctx context.Context, w WorkMailAPI) (T, error) { return ask(w, ctx) })
		},
	}
}

// FromWorkMailBy declares a query by key to WorkMail.
func FromWorkMailBy[T any](request string, actions []string,
	ask func(WorkMailAPI, context.Context, string) (T, error)) *Keyed[T] {
	return &Keyed[T]{
		question: question{AtWorkMail, []Source{{WorkMail, request, actions}}},
		ask: func(ctx context.Context, s *Side, key string) (T, error) {
			return with(ctx, s, s.WorkMail,
				func(ctx context.Context, w WorkMailAPI) (T, error) { return ask(w, ctx, key) })
		},
	}
}

// Actions declares IAM actions that read without a query, so that they are known.
func Actions(actions ...string) Fact {
	q := &question{at: AtWorkMail}
	for _, a := range actions {
		_, operation, _ := strings.Cut(a, ":")
		q.sources = append(q.sources, Source{System: WorkMail, Ask: operation, Right: []string{a}})
	}
	return q
}

// What an organization of WorkMail says.
var (
	WorkMailOrganization = FromWorkMail("DescribeOrganization", []string{"workmail:DescribeOrganization"},
		WorkMailAPI.Organization)
	// WorkMailNamed are the organizations of the account with the alias of the answers, those that
	// were deleted too.
	WorkMailNamed = FromWorkMail("ListOrganizations", []string{"workmail:ListOrganizations"}, WorkMailAPI.Named)
	// WorkMailConnector is a directory by its id.
	WorkMailConnector = FromWorkMailBy("DescribeDirectories {key}", []string{"ds:DescribeDirectories"},
		WorkMailAPI.Directory)
	WorkMailDomains = FromWorkMail("ListMailDomains", []string{"workmail:ListMailDomains"}, WorkMailAPI.Domains)
	WorkMailDomain  = FromWorkMailBy("GetMailDomain {key}", []string{"workmail:GetMailDomain"}, WorkMailAPI.Domain)
	WorkMailUsers   = FromWorkMail("ListUsers", []string{"workmail:ListUsers"}, WorkMailAPI.Users)

	WorkMailAvailabilities = FromWorkMail("ListAvailabilityConfigurations",
		[]string{"workmail:ListAvailabilityConfigurations"}, WorkMailAPI.Availabilities)
	WorkMailIdentityMode = FromWorkMail("DescribeIdentityProviderConfiguration",
		[]string{"workmail:DescribeIdentityProviderConfiguration"}, WorkMailAPI.IdentityMode)

	// WorkMailSignIn is the outcome of a sign-in of WorkMail at the stored provider of a domain.
	WorkMailSignIn = FromWorkMailBy("TestAvailabilityConfiguration {key}",
		[]string{"workmail:TestAvailabilityConfiguration"},
		func(w WorkMailAPI, ctx context.Context, domain string) (SignIn, error) {
			reason, passed, err := w.TestAvailability(ctx, domain)
			return SignIn{Passed: passed, Reason: reason}, err
		})

	// WorkMailDirectory is the directory of the organization.
	WorkMailDirectory = FromWorkMail("DescribeDirectories", []string{"ds:DescribeDirectories"},
		func(w WorkMailAPI, ctx context.Context) (workmail.Directory, error) {
			o, err := w.Organization(ctx)
			if err != nil {
				return workmail.Directory{}, err
			}
			if o.DirectoryID == "" {
				return workmail.Directory{}, nil
			}
			return w.Directory(ctx, o.DirectoryID)
		})
)

// PasswordForm is what may be said of a password.
type PasswordForm struct {
	Typed bool   // a person types it when it is needed
	Fault string // why WorkMail cannot take it
}

// ProviderPassword is the form of the password with which WorkMail signs in at a forest;
// ErrNotConfigured when the answers name none.
var ProviderPassword = &Query[PasswordForm]{
	question: question{AtForest, []Source{{System: Files, Ask: "workmail.password"}}},
	ask: func(ctx context.Context, s *Side) (PasswordForm, error) {
		return with(ctx, s, s.ProviderPassword, itself)
	},
}

// SignIn is the outcome of a sign-in.
type SignIn struct {
	Passed bool
	Reason string
}

// Refused reports whether the account or its password was refused. The texts of WorkMail are not
// documented.
func (s SignIn) Refused() bool {
	reason := strings.ToLower(s.Reason)
	return !s.Passed && (strings.Contains(reason, "password") || strings.Contains(reason, "credential") ||
		strings.Contains(reason, "unauthorized"))
}

// Recipient is a recipient of a forest, as Exchange lists it.
type Recipient struct {
	Account string // sAMAccountName
	Primary string
	Kind    string // RecipientTypeDetails
	Target  string // where its mail goes when the mailbox is elsewhere
}

// Recipients are the recipients of a forest by an address. exchange.ErrNotFound says that there is
// none.
var Recipients = &Keyed[Recipient]{
	question: question{AtForest, []Source{{OnPremises, "Get-Recipient", []string{"Get-Recipient"}}}},
	ask: func(ctx context.Context, s *Side, address string) (Recipient, error) {
		return with(ctx, s, s.Session, func(ctx context.Context, session exchange.Reader) (Recipient, error) {
			found, err := session.Read(ctx, exchange.Command{Name: "Get-Recipient",
				Parameters: map[string]any{"Identity": address}})
			if err != nil {
				return Recipient{}, err
			}
			read := func(name string) string { v, _ := exchange.Optional(found[0].String(name)); return v }
			if len(found) != 1 {
				return Recipient{}, s.unreadable(unreadable("Get-Recipient", address, exchange.ErrNotFound))
			}
			_, target, _ := strings.Cut(read("ExternalEmailAddress"), ":")
			return Recipient{Account: read("SamAccountName"), Primary: read("PrimarySmtpAddress"),
				Kind: read("RecipientTypeDetails"), Target: target}, nil
		})
	},
}
