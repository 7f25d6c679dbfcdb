package fact

import (
	"context"
	"fmt"
	"strings"

	"github.com/hybridge-cli/hybridge/pkg/estate/exchange"
	"github.com/hybridge-cli/hybridge/pkg/estate/workmail"
	"github.com/hybridge-cli/hybridge/pkg/wire/ews"
)

// ExitRole is the name of the impersonation role as which mailboxes in WorkMail are counted.
const ExitRole = "hybridge-exit"

// What the way out of WorkMail asks.
var (
	WorkMailGroups = FromWorkMail("ListGroups", []string{"workmail:ListGroups"}, WorkMailAPI.Groups)
	WorkMailRoles  = FromWorkMail("ListImpersonationRoles", []string{"workmail:ListImpersonationRoles"},
		WorkMailAPI.Roles)
	WorkMailExports = FromWorkMail("ListMailboxExportJobs", []string{"workmail:ListMailboxExportJobs"},
		WorkMailAPI.Exports)
	// WorkMailFolders are the folders of a user's mailbox in WorkMail, by address.
	WorkMailFolders = FromWorkMailBy("AssumeImpersonationRole, FindFolder {key}",
		[]string{"workmail:AssumeImpersonationRole"},
		func(w WorkMailAPI, ctx context.Context, address string) ([]ews.Folder, error) {
			return w.Folders(ctx, ExitRole, address)
		})
)

// exits are the operations of WorkMailAPI for the way out.
type exits interface {
	Roles(ctx context.Context) ([]workmail.Role, error)
	Exports(ctx context.Context) ([]workmail.ExportJob, error)
	Folders(ctx context.Context, role, address string) ([]ews.Folder, error)
}

// Leaver is a mail user whose mailbox is in WorkMail: what Exchange forgets when it becomes a
// mailbox.
type Leaver struct {
	Account, Alias, Primary string
	Addresses               []string // with their prefixes
	LegacyDN                string
	Hidden                  bool
	Custom                  map[string]string // CustomAttribute1 to 15, those that are set
}

// Leavers are mail users of a forest by an address.
var Leavers = &Keyed[Leaver]{
	question: question{AtForest, []Source{{OnPremises, "Get-MailUser", []string{"Get-MailUser"}}}},
	ask: func(ctx context.Context, s *Side, address string) (Leaver, error) {
		return with(ctx, s, s.Session, func(ctx context.Context, session exchange.Reader) (Leaver, error) {
			found, err := session.Read(ctx, exchange.Command{Name: "Get-MailUser",
				Parameters: map[string]any{"Identity": address}})
			if err != nil {
				return Leaver{}, err
			}
			l, err := one("Get-MailUser", readLeaver)(found)
			if err != nil {
				return Leaver{}, s.unreadable(err)
			}
			return l, nil
		})
	},
}

func readLeaver(o exchange.Object) (l Leaver, err error) {
	if l.Addresses, err = o.Strings("EmailAddresses"); err != nil {
		return l, err
	}
	for name, into := range map[string]*string{"SamAccountName": &l.Account, "Alias": &l.Alias,
		"PrimarySmtpAddress": &l.Primary} {
		if *into, err = o.String(name); err != nil {
			return l, err
		}
	}
	if l.LegacyDN, err = exchange.Optional(o.String("LegacyExchangeDN")); err != nil {
		return l, err
	}
	if l.Hidden, err = exchange.Optional(o.Bool("HiddenFromAddressListsEnabled")); err != nil {
		return l, err
	}
	l.Custom = map[string]string{}
	for i := 1; i <= 15; i++ {
		name := fmt.Sprint("CustomAttribute", i)
		value, err := exchange.Optional(o.String(name))
		if err != nil {
			return l, err
		}
		if value != "" {
			l.Custom[name] = value
		}
	}
	return l, nil
}

// MailboxFolders are the folders of a mailbox in a forest, and OnlineMailboxFolders those of one in
// Exchange Online, by address.
var (
	MailboxFolders = &Keyed[[]ews.Folder]{
		question: question{AtForest, []Source{{OnPremises, "Get-MailboxFolderStatistics",
			[]string{"Get-MailboxFolderStatistics"}}}},
		ask: countFolders,
	}
	OnlineMailboxFolders = &Keyed[[]ews.Folder]{
		question: question{AtTenant, []Source{{Online, "Get-MailboxFolderStatistics",
			[]string{"Get-MailboxFolderStatistics"}}}},
		ask: countFolders,
	}
)

func countFolders(ctx context.Context, s *Side, address string) ([]ews.Folder, error) {
	return with(ctx, s, s.Session, func(ctx context.Context, session exchange.Reader) ([]ews.Folder, error) {
		found, err := session.Read(ctx, exchange.Command{Name: "Get-MailboxFolderStatistics",
			Parameters: map[string]any{"Identity": address}})
		if err != nil {
			return nil, err
		}
		folders, err := each("Get-MailboxFolderStatistics", func(o exchange.Object) (f ews.Folder, err error) {
			if f.Path, err = o.String("FolderPath"); err != nil {
				return f, err
			}
			n, err := o.Int("ItemsInFolder")
			f.Items = int(n)
			return f, err
		})(found)
		if err != nil {
			return nil, s.unreadable(err)
		}
		return folders, nil
	})
}

// KindOf is the kind of items that a folder of a class holds, as answers name it.
func KindOf(class string) string {
	for prefix, kind := range map[string]string{"IPF.Appointment": "calendar", "IPF.Contact": "contacts",
		"IPF.Task": "tasks", "IPF.StickyNote": "notes", "IPF.Journal": "journal"} {
		if strings.HasPrefix(class, prefix) {
			return kind
		}
	}
	return "mail"
}
