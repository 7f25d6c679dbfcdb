package prereq

import (
	"errors"
	"strings"
	"testing"

	"github.com/hybridge-cli/hybridge/pkg/config/answers"
	"github.com/hybridge-cli/hybridge/pkg/engine/check"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/fact"
	"github.com/hybridge-cli/hybridge/pkg/wire/dns"
)

// left seeds what the first stages of the way out read: everyone has moved, and DNS is turned.
func left(t *testing.T) *fact.Set {
	t.Helper()
	f, _ := healthy(t)
	f.Answers.Hybrid = &answers.Hybrid{State: answers.Leaving}
	for _, side := range f.Forests {
		fact.LocalMailboxes.Seed(side, fact.Residents{}, nil)
		fact.PublicFolderMailboxes.Seed(side, fact.Residents{}, nil)
		fact.PublicFolderMoves.Seed(side, fact.PublicFolderMove{}, nil)
		fact.DynamicGroups.Seed(side, fact.Residents{}, nil)
		fact.AuthServers.Seed(side, nil, nil)
		fact.SendConnectors.Seed(side, nil, nil)
		fact.AddressPolicies.Seed(side, []fact.AddressPolicy{{Name: "Default Policy"}}, nil)
		fact.JournalRules.Seed(side, nil, nil)
		fact.MoveRequests.Seed(side, nil, nil)
		for _, d := range side.Answers.Domains {
			d = strings.ToLower(d)
			fact.MX.Seed(f.Network, d, []string{"to-cloud.mail.protection.outlook.com"}, nil)
			fact.Hosts.Seed(f.Network, "autodiscover."+d, fact.Host{Aliases: []string{"autodiscover.outlook.com"}}, nil)
		}
	}
	fact.PublicFoldersRemote.Seed(f.Tenant, false, nil)
	fact.OnlineJournalRules.Seed(f.Tenant, nil, nil)
	fact.OutboundConnectors.Seed(f.Tenant, nil, nil)
	fact.OnlineMoveRequests.Seed(f.Tenant, nil, nil)
	fact.MigrationBatches.Seed(f.Tenant, nil, nil)
	fact.SyncedMailboxes.Seed(f.Tenant, []fact.SyncedMailbox{{Primary: "anna@contoso.com", CloudManaged: true}}, nil)
	fact.TXT.SeedAll(f.Network, func(string) ([]string, error) { return nil, dns.ErrAbsent })
	fact.MailExchangers.SeedAll(f.Tenant, func(string) ([]string, error) {
		return []string{"to-cloud.mail.protection.outlook.com"}, nil
	})
	fact.AutodiscoverTargets.SeedAll(f.Tenant, func(string) ([]string, error) {
		return []string{"autodiscover.outlook.com"}, nil
	})
	return f
}

// Each of the first stages warns of what it finds, passes without it, and says so when it cannot look.
// The stages that remove wait for them.
func TestStagesOfTheWayOutOfHybrid(t *testing.T) {
	unseen := errors.New("no answer")
	for _, tt := range []struct {
		name  string
		edit  func(f *fact.Set, contoso *fact.Side)
		check check.ID
		want  check.Status
		says  string
	}{
		{"nothing is needed", nil, "leaving.needed", check.StatusPass, ""},
		{"a mailbox", func(_ *fact.Set, s *fact.Side) {
			fact.LocalMailboxes.Seed(s, fact.Residents{Names: []string{"Bob"}}, nil)
		}, "leaving.needed", check.StatusWarn, "1 mailbox on-premises, to be moved to Exchange Online first: Bob"},
		{"mailboxes that cannot be read", func(_ *fact.Set, s *fact.Side) {
			fact.LocalMailboxes.Seed(s, fact.Residents{}, unseen)
		}, "leaving.needed", check.StatusError, ""},
		{"every mailbox is handed over", nil, "leaving.authority", check.StatusPass, ""},
		{"a mailbox of Active Directory", func(f *fact.Set, _ *fact.Side) {
			fact.SyncedMailboxes.Seed(f.Tenant, []fact.SyncedMailbox{{Primary: "anna@contoso.com"}}, nil)
		}, "leaving.authority", check.StatusWarn, "online/CloudManagedMailbox/anna@contoso.com"},
		{"who manages them is not shown", func(f *fact.Set, _ *fact.Side) {
			fact.SyncedMailboxes.Seed(f.Tenant, nil, unseen)
		}, "leaving.authority", check.StatusError, ""},
		{"DNS is turned", nil, "leaving.dns", check.StatusPass, ""},
		{"MX leads to the forest", func(f *fact.Set, _ *fact.Side) {
			fact.MX.Seed(f.Network, "contoso.com", []string{"mail.contoso.com"}, nil)
		}, "leaving.dns", check.StatusWarn,
			"publish contoso.com. 3600 IN MX 0 to-cloud.mail.protection.outlook.com. in place of mail.contoso.com"},
		{"no MX", func(f *fact.Set, _ *fact.Side) {
			fact.MX.Seed(f.Network, "contoso.com", nil, dns.ErrAbsent)
		}, "leaving.dns", check.StatusWarn, "there is no MX record"},
		{"a resolver that does not answer", func(f *fact.Set, _ *fact.Side) {
			fact.MX.Seed(f.Network, "contoso.com", nil, unseen)
		}, "leaving.dns", check.StatusError, ""},
		{"the stage of mail comes after", func(_ *fact.Set, s *fact.Side) {
			fact.LocalMailboxes.Seed(s, fact.Residents{Names: []string{"Bob"}}, nil)
		}, "leaving.mail", check.StatusSkip, "stage 1 comes first"},
		{"what it judges is unknown", func(_ *fact.Set, s *fact.Side) {
			fact.LocalMailboxes.Seed(s, fact.Residents{}, unseen)
		}, "leaving.record", check.StatusError, ""},
		{"the organization stays", func(f *fact.Set, _ *fact.Side) { f.Answers.Hybrid = nil },
			"leaving.needed", check.StatusSkip, "stays hybrid"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := left(t)
			if tt.edit != nil {
				tt.edit(f, f.Forests[0])
			}
			for _, c := range hybridExitChecks() {
				if c.ID != tt.check {
					continue
				}
				r := c.Run(t.Context(), Input{Set: f, Forest: f.Forests[0]})
				if r.Status != tt.want || !strings.Contains(r.Summary.String(), tt.says) {
					t.Errorf("%s %s (%v)", r.Status, r.Summary, r.Cause)
				}
				return
			}
			t.Fatalf("no check %s", tt.check)
		})
	}
}
