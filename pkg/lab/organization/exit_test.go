package organization

import (
	"strings"
	"testing"
)

// Public folder mailboxes appear only when they are asked for, and the cloud manages no mailbox that
// is not synchronized.
func TestMailboxesOnTheWayOut(t *testing.T) {
	o := onprem(t)
	o.Seed("Mailbox", "Name", "Anna", "PrimarySmtpAddress", "anna@contoso.com")
	o.Seed("Mailbox", "Name", "PF", "PrimarySmtpAddress", "pf@contoso.com", "RecipientTypeDetails", "PublicFolderMailbox")
	for _, tt := range []struct {
		asked bool
		want  string
	}{{false, "Anna"}, {true, "PF"}} {
		pairs := []any{"ResultSize", "101"}
		if tt.asked {
			pairs = append(pairs, "PublicFolder", true)
		}
		if got := mustRun(t, o, cmd("Get-Mailbox", pairs...)); len(got) != 1 || text(t, got[0], "Name") != tt.want {
			t.Errorf("%v: %v", tt.asked, got)
		}
	}
	c := cloud(t)
	c.Seed("Mailbox", "Name", "Bob", "PrimarySmtpAddress", "bob@contoso.com", "IsDirSynced", true)
	c.Seed("Mailbox", "Name", "Carol", "PrimarySmtpAddress", "carol@contoso.com")
	mustRun(t, c, cmd("Set-Mailbox", "Identity", "bob@contoso.com", "IsExchangeCloudManaged", true))
	bob := mustRun(t, c, cmd("Get-Mailbox", "Identity", "Bob"))[0]
	if on, err := bob.Bool("IsExchangeCloudManaged"); err != nil || !on {
		t.Errorf("%v, %v", on, err)
	}
	if _, _, err := c.Run(t.Context(), Caller{}, cmd("Set-Mailbox", "Identity", "Carol", "IsExchangeCloudManaged",
		true)); err == nil || !strings.Contains(err.Error(), "isn't synchronized") {
		t.Errorf("a mailbox of the cloud: %v", err)
	}
}
