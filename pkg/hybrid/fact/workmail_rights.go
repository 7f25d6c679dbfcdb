package fact

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/hybridge-cli/hybridge/pkg/estate/exchange"
	"github.com/hybridge-cli/hybridge/pkg/estate/workmail"
)

// What decides who may ask whom between Exchange and WorkMail.
var (
	WorkMailAccessRules = FromWorkMail("ListAccessControlRules", []string{"workmail:ListAccessControlRules"},
		WorkMailAPI.AccessRules)
	// WorkMailAliases are the addresses of a user beside the primary one, by id.
	WorkMailAliases = FromWorkMailBy("ListAliases {key}", []string{"workmail:ListAliases"}, WorkMailAPI.Aliases)
	// WorkMailTokens are the personal access tokens of a user, by id.
	WorkMailTokens = FromWorkMailBy("ListPersonalAccessTokens {key}", []string{"workmail:ListPersonalAccessTokens"},
		WorkMailAPI.Tokens)
)

// rights are the operations of WorkMailAPI for them.
type rights interface {
	AccessRules(ctx context.Context) ([]workmail.AccessRule, error)
	Aliases(ctx context.Context, id string) ([]string, error)
	Tokens(ctx context.Context, id string) ([]workmail.Token, error)
}

// Calendar is the calendar of a mailbox, and what everyone in the organization may see of it.
type Calendar struct {
	Mailbox, Folder string
	Default         []string // rights: None, AvailabilityOnly, LimitedDetails, Reviewer ...
}

// Hidden reports whether others see nothing of the calendar.
func (c Calendar) Hidden() bool {
	return len(c.Default) == 0 ||
		!slices.ContainsFunc(c.Default, func(r string) bool { return !strings.EqualFold(r, "None") })
}

// Group is a distribution group of a forest.
type Group struct {
	Address string
	// Closed groups take mail of senders alone who have signed in to Exchange.
	Closed bool
}

// Groups are the distribution groups of a forest.
var Groups = Session(OnPremises, []string{"Get-DistributionGroup"},
	func(ctx context.Context, s exchange.Reader) ([]Group, error) {
		found, err := s.Read(ctx, exchange.Command{Name: "Get-DistributionGroup",
			Parameters: map[string]any{"ResultSize": "Unlimited"}})
		if err != nil {
			return nil, err
		}
		return each("Get-DistributionGroup", func(o exchange.Object) (g Group, err error) {
			if g.Address, err = o.String("PrimarySmtpAddress"); err != nil {
				return g, err
			}
			g.Closed, err = o.Bool("RequireSenderAuthenticationEnabled")
			return g, err
		})(found)
	})

// calendarSample is how many calendars of a forest are looked at: each takes two cmdlets.
const calendarSample = "20"

// CalendarSample are some calendars of a forest.
var CalendarSample = Session(OnPremises,
	[]string{"Get-Mailbox", "Get-MailboxFolderStatistics", "Get-MailboxFolderPermission"},
	func(ctx context.Context, s exchange.Reader) ([]Calendar, error) {
		boxes, err := s.Read(ctx, exchange.Command{Name: "Get-Mailbox", Parameters: map[string]any{
			"ResultSize": calendarSample, "RecipientTypeDetails": "UserMailbox"}})
		if err != nil {
			return nil, err
		}
		var out []Calendar
		for _, box := range boxes {
			c := Calendar{}
			if c.Mailbox, err = box.String("PrimarySmtpAddress"); err != nil {
				return nil, unreadable("Get-Mailbox", "", err)
			}
			// The folder has a name in the language of the mailbox.
			folders, err := s.Read(ctx, exchange.Command{Name: "Get-MailboxFolderStatistics",
				Parameters: map[string]any{"Identity": c.Mailbox, "FolderScope": "Calendar"}})
			if err != nil {
				return nil, err
			}
			for _, f := range folders {
				if kind, _ := f.String("FolderType"); kind == "Calendar" && c.Folder == "" {
					c.Folder, _ = f.String("Name")
				}
			}
			if c.Folder == "" {
				continue // a mailbox that was never opened has none
			}
			found, err := s.Read(ctx, exchange.Command{Name: "Get-MailboxFolderPermission", Parameters: map[string]any{
				"Identity": c.Mailbox + `:\` + c.Folder, "User": "Default"}})
			if err != nil && !errors.Is(err, exchange.ErrNotFound) {
				return nil, err
			}
			for _, p := range found {
				if c.Default, err = p.Strings("AccessRights"); err != nil {
					return nil, unreadable("Get-MailboxFolderPermission", c.Mailbox, err)
				}
			}
			out = append(out, c)
		}
		return out, nil
	})
