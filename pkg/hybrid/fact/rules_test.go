package fact

import (
	"slices"
	"strings"
	"testing"

	"github.com/hybridge-cli/hybridge/pkg/estate/directory"
)

// contoso.com is the tenant's.
var tenantOfContoso = Known{Domains: map[string]bool{"contoso.com": true, "contoso.mail.onmicrosoft.com": true}}

func mailbox() directory.User {
	u := person("anna", "contoso.com")
	u.Mail, u.Nickname, u.SAMAccountName, u.HomeMDB = u.Primary[0], "anna", "anna", "CN=DB1"
	u.Aliases = []string{"a.o'neil@contoso.com", "anna@contoso.mail.onmicrosoft.com"}
	u.Others = []string{"x500:/o=contoso/cn=anna", "sip:anna@contoso.com"}
	return u
}

func moved() directory.User {
	u := mailbox()
	u.Type, u.RemoteType, u.HomeMDB = directory.RemoteUserMailbox, 4, ""
	u.TargetAddress = "SMTP:anna@contoso.mail.onmicrosoft.com"
	return u
}

func spoiled(u directory.User, f func(*directory.User)) directory.User { f(&u); return u }

// Each fault breaks its rule and no other. A correction fits the rule.
func TestRules(t *testing.T) {
	long := strings.Repeat("a", 65)
	for _, test := range []struct {
		name string
		user directory.User
		want []string // rule: value -> correction
	}{
		{"a mailbox", mailbox(), nil},
		{"a mailbox in the cloud", moved(), nil},
		{"a contact", directory.User{DN: "CN=c", Kind: directory.KindContact, Type: directory.MailContact,
			Addressed: true,
			Nickname:  "c", TargetAddress: "SMTP:c@other.net", Primary: []string{"c@other.net"}, Mail: "c@other.net"},
			nil},
		{"a user with mail alone", directory.User{DN: "CN=u", UPN: "u@contoso.com", Mail: "u@elsewhere.net"}, nil},
		{"a system mailbox", spoiled(mailbox(), func(u *directory.User) {
			u.Type, u.Nickname, u.HomeMDB = directory.ArbitrationMailbox, "", ""
		}), nil},
		{"a blank in the sign-in name", spoiled(mailbox(), func(u *directory.User) { u.UPN = "anna b@contoso.com" }),
			[]string{"directory.upn-format: anna b@contoso.com -> annab@contoso.com"}},
		{"an umlaut in the sign-in name", spoiled(mailbox(), func(u *directory.User) { u.UPN = "jörg@contoso.com" }),
			[]string{"directory.upn-format: jörg@contoso.com -> jrg@contoso.com"}},
		{"a period at the end of the sign-in name",
			spoiled(mailbox(), func(u *directory.User) { u.UPN = "anna.@contoso.com" }),
			[]string{"directory.upn-format: anna.@contoso.com -> anna@contoso.com"}},
		{"64 characters before the @",
			spoiled(mailbox(), func(u *directory.User) { u.UPN = long[:64] + "@contoso.com" }), nil},
		{"65 characters before the @", spoiled(mailbox(), func(u *directory.User) { u.UPN = long + "@contoso.com" }),
			[]string{"directory.upn-length: " + long + "@contoso.com -> "}},
		{"an unverified suffix", spoiled(mailbox(), func(u *directory.User) { u.UPN = "anna@contoso.local" }),
			[]string{"directory.upn-suffix: anna@contoso.local -> anna@contoso.com"}},
		{"letter case of the suffix", spoiled(mailbox(), func(u *directory.User) { u.UPN = "anna@Contoso.COM" }), nil},
		{"a blank in an address", spoiled(mailbox(), func(u *directory.User) { u.Aliases[0] = "a b@contoso.com" }),
			[]string{"directory.address-format: smtp:a b@contoso.com -> smtp:ab@contoso.com"}},
		{"two @ in an address", spoiled(mailbox(), func(u *directory.User) { u.Aliases[0] = "a@b@contoso.com" }),
			[]string{"directory.address-domain: smtp:a@b@contoso.com -> ",
				"directory.address-format: smtp:a@b@contoso.com -> "}},
		{"a value without prefix", spoiled(mailbox(), func(u *directory.User) { u.Others = []string{"anna"} }),
			[]string{"directory.address-format: anna -> "}},
		{"a long address", spoiled(mailbox(),
			func(u *directory.User) { u.Others = []string{"x500:" + strings.Repeat("o", 252)} }),
			[]string{"directory.address-length: x500:" + strings.Repeat("o", 252) + " -> "}},
		{"the longest address", spoiled(mailbox(),
			func(u *directory.User) { u.Others = []string{"x500:" + strings.Repeat("o", 251)} }),
			nil},
		{"an alias in an unverified domain", spoiled(mailbox(), func(u *directory.User) { u.Aliases[0] = "a@old.net" }),
			[]string{"directory.address-domain: smtp:a@old.net -> "}},
		{"a primary address in .onmicrosoft.com", spoiled(mailbox(), func(u *directory.User) {
			u.Primary[0], u.Mail, u.Aliases = "anna@contoso.mail.onmicrosoft.com", "anna@contoso.mail.onmicrosoft.com",
				nil
		}), []string{"directory.primary-domain: SMTP:anna@contoso.mail.onmicrosoft.com -> "}},
		{"another mail", spoiled(mailbox(), func(u *directory.User) { u.Mail = "a@contoso.com" }),
			[]string{"directory.mail-matches-primary: a@contoso.com -> anna@contoso.com"}},
		{"a target without prefix", spoiled(moved(), func(u *directory.User) { u.TargetAddress = "anna@contoso.com" }),
			[]string{"directory.target-format: anna@contoso.com -> "}},
		{"a target of another kind", spoiled(moved(), func(u *directory.User) { u.TargetAddress = "NOTES:anna" }), nil},
		{"a stray target", spoiled(mailbox(), func(u *directory.User) { u.TargetAddress = "SMTP:anna@old.net" }),
			[]string{"directory.target-stray: SMTP:anna@old.net -> removed"}},
		{"no target", spoiled(moved(), func(u *directory.User) { u.TargetAddress = "" }),
			[]string{"directory.target-missing:  -> "}},
		{"a period before the alias", spoiled(mailbox(), func(u *directory.User) { u.Nickname = ".anna" }),
			[]string{"directory.nickname-format: .anna -> anna"}},
		{"no alias", spoiled(mailbox(), func(u *directory.User) { u.Nickname = "" }),
			[]string{"directory.nickname-missing:  -> anna"}},
		{"no recipient type", spoiled(mailbox(), func(u *directory.User) { u.Type = 0 }),
			[]string{"directory.recipient-type:  -> "}},
		{"an old database", spoiled(moved(), func(u *directory.User) { u.HomeMDB = "CN=DB1" }),
			[]string{"directory.home-database: CN=DB1 -> removed"}},
		{"a deleted database", spoiled(mailbox(),
			func(u *directory.User) { u.HomeMDB = `CN=DB1\0ADEL:1,CN=Deleted Objects` }),
			[]string{`directory.database-deleted: CN=DB1\0ADEL:1,CN=Deleted Objects -> `}},
		{"a mailbox on both sides", spoiled(mailbox(), func(u *directory.User) { u.RemoteType = 4 }),
			[]string{"directory.mailbox-twice: UserMailbox -> "}},
		{"an archive in the cloud", spoiled(mailbox(), func(u *directory.User) { u.RemoteType = 2 }), nil},
		{"a mailbox that came back", spoiled(mailbox(), func(u *directory.User) { u.RemoteType = 4 | 8 }), nil},
		{"a linked mailbox without account",
			spoiled(mailbox(), func(u *directory.User) { u.Type = directory.LinkedMailbox }),
			[]string{"directory.linked-account:  -> "}},
		{"a linked mailbox", spoiled(mailbox(), func(u *directory.User) {
			u.Type, u.MasterAccountSID = directory.LinkedMailbox, "S-1-5-21-1"
		}), nil},
		{"a conflict object", spoiled(mailbox(), func(u *directory.User) { u.DN = `CN=anna\0ACNF:1,DC=contoso` }),
			[]string{`directory.conflict-objects: CN=anna\0ACNF:1,DC=contoso -> `}},
	} {
		t.Run(test.name, func(t *testing.T) {
			scan, err := ScanUsers("contoso", stream(test.user), tenantOfContoso)
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, rule := range Rules {
				for _, f := range scan.Findings[rule.ID] {
					correction := f.Suggestion
					if f.Remove {
						correction = "removed"
					}
					got = append(got, string(f.Rule)+": "+f.Value+" -> "+correction)
					if f.Attribute != rule.Attribute || f.DN != test.user.DN || f.Forest != "contoso" {
						t.Errorf("%+v", f)
					}
				}
			}
			slices.Sort(got)
			if !slices.Equal(got, test.want) {
				t.Errorf("%q, want %q", got, test.want)
			}
		})
	}
}

// Without the tenant's domains, the rules for them say nothing.
func TestRulesWithoutTenant(t *testing.T) {
	u := mailbox()
	u.UPN = "anna@contoso.local"
	scan, err := ScanUsers("contoso", stream(u), Known{})
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range Rules {
		if r.Tenant && (scan.Applied[r.ID] > 0 || scan.Counts[r.ID] > 0) {
			t.Errorf("%s was applied", r.ID)
		}
	}
}
