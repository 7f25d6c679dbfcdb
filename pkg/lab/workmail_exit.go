package lab

import (
	"context"
	"fmt"
	"hash/crc32"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/hybridge-cli/hybridge/pkg/estate/exchange"
	"github.com/hybridge-cli/hybridge/pkg/lab/organization"
	"github.com/hybridge-cli/hybridge/pkg/wire/ews"
)

// stores are what mailboxes of Exchange hold, by their primary addresses: of those that were filled
// from elsewhere. The others are as they are when they are made.
type stores struct {
	mu   sync.Mutex
	held map[string][]ews.Folder
}

// folders are the folders that every mailbox of the lab has.
func folders(count func(path string) int) []ews.Folder {
	out := []ews.Folder{
		{Path: "/Inbox", Class: "IPF.Note"}, {Path: "/Inbox/Projects", Class: "IPF.Note"},
		{Path: "/Sent Items", Class: "IPF.Note"}, {Path: "/Calendar", Class: "IPF.Appointment"},
		{Path: "/Contacts", Class: "IPF.Contact"}, {Path: "/Tasks", Class: "IPF.Task"},
	}
	for i := range out {
		out[i].Items = count(out[i].Path)
	}
	return out
}

// heldAtWorkMail is what a user's mailbox in WorkMail holds.
func heldAtWorkMail(address string) []ews.Folder {
	return folders(func(path string) int {
		return int(crc32.ChecksumIEEE([]byte(strings.ToLower(address)+path))%40) + 1
	})
}

// heldBy is what a mailbox of Exchange holds. One that was just made holds nothing, and has no
// folders of its user.
func (s *stores) heldBy(address string) []ews.Folder {
	s.mu.Lock()
	defer s.mu.Unlock()
	if held, ok := s.held[strings.ToLower(address)]; ok {
		return held
	}
	return slices.DeleteFunc(folders(func(string) int { return 0 }), func(f ews.Folder) bool {
		return f.Path == "/Inbox/Projects"
	})
}

// Carry copies folders of a user's mailbox in WorkMail to that in Exchange, as the client of the
// user does with what it exported before. classes are those of the folders; none: all. A user whose
// mailbox is in Exchange Online gets them there.
func (l *Lab) Carry(address string, classes ...string) {
	s := &l.workMail.forest.stores
	if _, noun := l.workMail.forest.recipient(address); noun == "RemoteMailbox" && l.tenant != nil {
		s = &l.tenant.stores
	}
	held := s.heldBy(address)
	for _, f := range heldAtWorkMail(address) {
		if len(classes) > 0 && !slices.Contains(classes, f.Class) {
			continue
		}
		held = slices.DeleteFunc(slices.Clone(held), func(h ews.Folder) bool { return h.Path == f.Path })
		held = append(held, f)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.held == nil {
		s.held = map[string][]ews.Folder{}
	}
	s.held[strings.ToLower(address)] = held
}

// License gives a person whose mailbox was in WorkMail a mailbox in Exchange Online, as a license
// does that an administrator assigns.
func (l *Lab) License(address string) error {
	for _, r := range l.tenant.org.Objects("MailUser") {
		if !strings.EqualFold(r.String("PrimarySmtpAddress"), address) {
			continue
		}
		alias, _, _ := strings.Cut(address, "@")
		addresses := append(slices.Clone(r.Strings("EmailAddresses")), "smtp:"+alias+"@"+coexistenceDomain)
		var pairs []any
		for _, name := range []string{"Name", "Alias", "DisplayName", "PrimarySmtpAddress", "WindowsEmailAddress",
			"UserPrincipalName", "IsDirSynced"} {
			pairs = append(pairs, name, r.Get(name))
		}
		r.Remove()
		l.tenant.org.Seed("Mailbox", append(pairs, "EmailAddresses", addresses)...)
		l.tenant.premise.read()
		return nil
	}
	return fmt.Errorf("the tenant has no mail user %s", address)
}

// Where the lab's account of AWS takes exports of mailboxes.
const (
	ExportBucket = "contoso-workmail-exports"
	ExportRole   = "arn:aws:iam::" + workMailAccount + ":role/workmail-export"
	ExportKey    = "arn:aws:kms:" + workMailRegion + ":" + workMailAccount + ":key/11111111-2222-3333-4444-555555555555"
)

// Slow says how long exports of mailboxes take.
func (l *Lab) Slow(exports time.Duration) { l.workMail.service.Delay = exports }

// Exported lists the addresses whose mailboxes were exported.
func (l *Lab) Exported() []string { return l.workMail.org.Exported() }

// InWorkMail lists the users and groups that are registered to WorkMail.
func (l *Lab) InWorkMail() []string { return l.workMail.org.Registered() }

// countsFolders is Get-MailboxFolderStatistics.
func (p *premise) countsFolders(s *stores) organization.Handler {
	return func(_ context.Context, c organization.Call) ([]exchange.Object, error) {
		identity, _ := c.Parameters["Identity"].(string)
		r, here := p.findAny(identity)
		if !here {
			return nil, p.absent(c, identity)
		}
		scope, _ := c.Parameters["FolderScope"].(string)
		all := append([]ews.Folder{{Path: "/Top of Information Store"}}, s.heldBy(r.primary)...)
		var out []exchange.Object
		for _, f := range all {
			name, kind := f.Path[strings.LastIndexByte(f.Path, '/')+1:], "User Created"
			switch name {
			case "Calendar", "Contacts", "Tasks", "Inbox":
				kind = name
			case "Sent Items":
				kind = "SentItems"
			case "Top of Information Store":
				kind = "Root"
			}
			if scope != "" && !strings.EqualFold(scope, kind) {
				continue
			}
			types := []string{"Microsoft.Exchange.Management.Tasks.MailboxFolderConfiguration"}
			out = append(out, exchange.NewObject(types, name, "Name", name, "Identity", r.primary+`\`+f.Path[1:],
				"FolderPath", f.Path, "FolderType", kind, "ItemsInFolder", fmt.Sprint(f.Items),
				"ContainerClass", f.Class))
		}
		return out, nil
	}
}
