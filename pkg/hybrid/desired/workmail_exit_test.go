package desired

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/hybridge-cli/hybridge/pkg/config/answers"
	"github.com/hybridge-cli/hybridge/pkg/estate/exchange"
	"github.com/hybridge-cli/hybridge/pkg/estate/workmail"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/fact"
	"github.com/hybridge-cli/hybridge/pkg/wire/ews"
)

// leavingWorkMail is an organization of which one user is left, whose mailbox is back and whole.
func leavingWorkMail(t *testing.T) *fact.Set {
	t.Helper()
	a := testAnswers()
	a.WorkMail = &answers.WorkMail{Region: "us-east-1", Organization: "contoso", State: answers.Leaving,
		To: answers.ToExchange, Account: &answers.WorkMailAccount{User: "svc@contoso.com"}}
	a.Forests[0].WorkMail = &answers.Provider{User: "svc", Password: "env:EX"}
	set := testFacts().set(a, worldwide(t))
	fact.WorkMailOrganization.Seed(set.WorkMail, workmail.Organization{ID: "m-1", Alias: "contoso", State: "Active", Interoperability: true}, nil)
	fact.WorkMailUsers.Seed(set.WorkMail, []workmail.Entity{
		{ID: "u1", Email: "bob@contoso.com", State: "ENABLED", Role: "USER"},
		{ID: "u2", Email: "svc@contoso.com", State: "ENABLED", Role: "USER"},
		{ID: "u3", Email: "remote@contoso.com", State: "ENABLED", Role: "REMOTE_USER"},
		{ID: "u4", Email: "system@contoso.com", State: "ENABLED", Role: "SYSTEM_USER"},
		{ID: "u5", Email: "off@contoso.com", State: "DISABLED", Role: "USER"},
	}, nil)
	fact.WorkMailGroups.Seed(set.WorkMail, nil, nil)
	fact.WorkMailExports.Seed(set.WorkMail, nil, nil)
	fact.WorkMailDomains.Seed(set.WorkMail, []workmail.Domain{{Name: "contoso.awsapps.com", Test: true},
		{Name: "Contoso.com", Default: true}}, nil)
	fact.WorkMailAvailabilities.Seed(set.WorkMail, []workmail.Availability{{Domain: "contoso.com"}}, nil)
	fact.Recipients.Seed(set.Forests[0], "bob@contoso.com", fact.Recipient{Account: "bob", Kind: "UserMailbox"}, nil)
	folders := []ews.Folder{{Path: "/Inbox", Class: "IPF.Note", Items: 3}, {Path: "/Tasks", Class: "IPF.Task", Items: 1}}
	fact.WorkMailFolders.Seed(set.WorkMail, "bob@contoso.com", folders, nil)
	fact.MailboxFolders.Seed(set.Forests[0], "bob@contoso.com", folders, nil)
	return set
}

// A user is deregistered only when everything is in Exchange, and is known to be.
func TestWorkMailExitStages(t *testing.T) {
	const bob, role, export = "workmail/WorkMailRegistration/bob@contoso.com", "workmail/ImpersonationRole/hybridge-exit",
		"workmail/MailboxExport/bob@contoso.com"
	unknown := errors.New("no answer")
	folders := func(f ...ews.Folder) func(*fact.Set) {
		return func(s *fact.Set) { fact.MailboxFolders.Seed(s.Forests[0], "bob@contoso.com", f, nil) }
	}
	exports := func(states ...string) func(*fact.Set) {
		return func(s *fact.Set) {
			s.Answers.WorkMail.Export = &answers.Export{Bucket: "b", Role: "r", Key: "k"}
			var jobs []workmail.ExportJob
			for _, state := range states {
				jobs = append(jobs, workmail.ExportJob{Entity: "u1", Bucket: "b", State: state})
			}
			fact.WorkMailExports.Seed(s.WorkMail, jobs, nil)
		}
	}
	inbox := ews.Folder{Path: "/inbox", Items: 3}
	nobody := func(s *fact.Set) {
		fact.WorkMailUsers.Seed(s.WorkMail, []workmail.Entity{{ID: "u2", Email: "svc@contoso.com", State: "ENABLED"}}, nil)
	}
	for _, tt := range []struct {
		name  string
		edit  func(*fact.Set)
		open  []string
		waits string
		err   bool
	}{
		{"everything is in Exchange", func(*fact.Set) {}, []string{role, bob}, "", false},
		{"one folder lacks an item", folders(ews.Folder{Path: "/Inbox", Items: 2}, ews.Folder{Path: "/Tasks", Items: 1}),
			[]string{role}, "/Inbox 2 of 3", false},
		{"a folder is not there", folders(inbox), []string{role}, "/Tasks 0 of 1", false},
		{"a folder may be lost", edits(folders(inbox), func(s *fact.Set) {
			s.Answers.WorkMail.LeaveBehind = []string{"tasks"}
		}), []string{role, bob}, "", false},
		{"the mailbox in WorkMail cannot be counted", func(s *fact.Set) {
			fact.WorkMailFolders.Seed(s.WorkMail, "bob@contoso.com", nil, unknown)
		}, []string{role}, "count its mailbox in WorkMail: no answer", false},
		{"the mailbox in Exchange cannot be counted", func(s *fact.Set) {
			fact.WorkMailFolders.Seed(s.WorkMail, "bob@contoso.com", nil, nil)
			fact.MailboxFolders.Seed(s.Forests[0], "bob@contoso.com", nil, unknown)
		}, []string{role}, "count its mailbox in Exchange: no answer", false},
		{"no role yet", func(s *fact.Set) {
			fact.WorkMailFolders.Seed(s.WorkMail, "bob@contoso.com", nil, workmail.ErrNoRole)
		}, []string{role}, "once the impersonation role exists", false},
		{"no export yet", exports(), []string{role, export}, "", false},
		{"an export that runs", exports("RUNNING"), []string{role, export}, "its export is running", false},
		{"an export that failed", exports("FAILED"), []string{role, export}, "its export is failed", false},
		{"one that failed, and one that is whole", exports("FAILED", "COMPLETED", "FAILED"), []string{role, bob}, "", false},
		{"no recipient", func(s *fact.Set) {
			fact.Recipients.Seed(s.Forests[0], "bob@contoso.com", fact.Recipient{}, exchange.ErrNotFound)
		}, []string{role}, "no recipient of forest contoso has the address", false},
		{"groups unread", func(s *fact.Set) { fact.WorkMailGroups.Seed(s.WorkMail, nil, unknown) }, nil, "", true},
		{"users unread", func(s *fact.Set) { fact.WorkMailUsers.Seed(s.WorkMail, nil, unknown) }, nil, "", true},
		{"the last user has left", nobody, []string{"workmail/WorkMailRegistration/svc@contoso.com needs WorkMailDomain",
			role, "workmail/DefaultMailDomain/default", "workmail/WorkMailDomain/contoso.com needs DefaultMailDomain",
			"workmail/AvailabilityConfiguration/contoso.com needs WorkMailRegistration WorkMailDomain",
			"onprem/contoso/AvailabilityAddressSpace/contoso.awsapps.com needs WorkMailRegistration"}, "", false},
		{"domains unread", edits(nobody, func(s *fact.Set) { fact.WorkMailDomains.Seed(s.WorkMail, nil, unknown) }),
			[]string{"workmail/WorkMailRegistration/svc@contoso.com", role}, "", true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			set := leavingWorkMail(t)
			tt.edit(set)
			p := &Planner{Answers: set.Answers, set: set, topic: workMailExit}
			if err := workMailExit.Derive(t.Context(), p); tt.err != (err != nil) {
				t.Fatal(err)
			}
			var open, said []string
			for _, r := range p.out {
				id := r.ID()
				var after []string
				for _, n := range r.needs {
					for _, other := range p.out {
						if n.place == other.Target && n.kind == other.Kind && !strings.Contains(strings.Join(after, " "),
							n.kind.Noun) {
							after = append(after, n.kind.Noun)
						}
					}
				}
				if len(after) > 0 {
					id += " needs " + strings.Join(after, " ")
				}
				open = append(open, id)
			}
			for _, w := range p.waits {
				said = append(said, w.Reason.String())
			}
			if diff := cmp.Diff(tt.open, open); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if got := strings.Join(said, "; "); (got == "") != (tt.waits == "") || !strings.Contains(got, tt.waits) {
				t.Errorf("waits: %s", got)
			}
		})
	}
}

// A mailbox that comes back keeps its addresses, what replies to old mail find it by, whether it is
// hidden, and its attributes.
func TestWorkMailBringsBackTheWhole(t *testing.T) {
	set := leavingWorkMail(t)
	fact.Recipients.Seed(set.Forests[0], "bob@contoso.com", fact.Recipient{Account: "bob", Kind: "MailUser",
		Target: "bob@contoso.awsapps.com"}, nil)
	fact.Leavers.Seed(set.Forests[0], "bob@contoso.com", fact.Leaver{Account: "bob", Alias: "bob", Primary: "bob@contoso.com",
		Addresses: []string{"SMTP:bob@contoso.com", "smtp:bob@contoso.awsapps.com", "X500:/o=old"}, LegacyDN: "/o=new/cn=bob",
		Hidden: true, Custom: map[string]string{"CustomAttribute3": "sales"}}, nil)
	p := &Planner{Answers: set.Answers, set: set, topic: workMailExit}
	if err := workMailExit.Derive(t.Context(), p); err != nil || len(p.out) != 3 {
		t.Fatal(err, p.out, p.waits)
	}
	want := map[string]any{"Identity": "bob", "PrimarySmtpAddress": "bob@contoso.com",
		"EmailAddresses":                []string{"SMTP:bob@contoso.com", "X500:/o=old", "X500:/o=new/cn=bob"},
		"HiddenFromAddressListsEnabled": true, "CustomAttribute3": "sales"}
	if diff := cmp.Diff(want, map[string]any(p.out[2].Properties)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
