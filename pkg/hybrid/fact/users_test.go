package fact

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/hybridge-cli/hybridge/pkg/config/answers"
	"github.com/hybridge-cli/hybridge/pkg/config/cloud"
	"github.com/hybridge-cli/hybridge/pkg/estate/directory"
)

func stream(users ...directory.User) iter.Seq2[directory.User, error] {
	return func(yield func(directory.User, error) bool) {
		for _, u := range users {
			if !yield(u, nil) {
				return
			}
		}
	}
}

func person(name, domain string) directory.User {
	return directory.User{
		DN: "CN=" + name + ",DC=" + domain, UPN: name + "@" + domain, Primary: []string{name + "@" + domain},
		Type: directory.UserMailbox, Account: directory.AccountEnabled, Addressed: true,
	}
}

func TestScanUsers(t *testing.T) {
	change := func(u directory.User, f func(*directory.User)) directory.User { f(&u); return u }
	anna := person("anna", "contoso.com")
	tests := []struct {
		name                             string
		user                             directory.User
		signIn, mismatch, primary, holds int
	}{
		{"in order", anna, 1, 0, 0, 1},
		{"letter case does not count", change(anna, func(u *directory.User) { u.UPN = "Anna@CONTOSO.com" }), 1, 0, 0,
			1},
		{"UPN differs", change(anna, func(u *directory.User) { u.UPN = "a@contoso.com" }), 1, 1, 0, 2},
		{"no UPN", change(anna, func(u *directory.User) { u.UPN = "" }), 1, 1, 0, 1},
		{"disabled", change(anna, func(u *directory.User) {
			u.UPN, u.Account = "a@contoso.com",
				directory.AccountDisabled
		}), 0, 0, 0, 2},
		{"state not shown", change(anna,
			func(u *directory.User) { u.UPN, u.Account = "a@contoso.com", directory.AccountUnknown }), 1, 1, 0, 2},
		{"shared mailbox", change(anna,
			func(u *directory.User) { u.UPN, u.Type = "a@contoso.com", directory.SharedMailbox }), 0, 0, 0, 2},
		{"moved mailbox", change(anna,
			func(u *directory.User) { u.UPN, u.Type = "a@contoso.com", directory.RemoteUserMailbox }), 1, 1, 0, 2},
		{"without Exchange's attributes", change(anna, func(u *directory.User) { u.UPN, u.Type = "a@contoso.com", 0 }),
			1, 1, 0, 2},
		{"a system mailbox", change(anna,
			func(u *directory.User) { u.UPN, u.Type, u.Primary = "", directory.MonitoringMailbox, nil }), 0, 0, 0, 0},
		{"two primary addresses", change(anna,
			func(u *directory.User) { u.Primary = append([]string{"a@contoso.com"}, u.Primary...) }), 0, 0, 1, 2},
		{"no primary address", change(anna, func(u *directory.User) { u.Aliases, u.Primary = u.Primary, nil }), 0, 0, 1,
			1},
		{"mail alone, unknown to Exchange", directory.User{DN: "x", UPN: "x@y", Mail: "z@y"}, 0, 0, 0, 1},
		{"mail without proxyAddresses, which may be hidden", change(anna, func(u *directory.User) {
			u.Mail, u.Primary, u.Addressed = "anna@contoso.com", nil, false
		}), 0, 0, 0, 1},
		{"an alias that repeats the primary",
			change(anna, func(u *directory.User) { u.Aliases = []string{"ANNA@contoso.com"} }), 1, 0, 0, 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s, err := ScanUsers("contoso", stream(tt.user), Known{})
			if err != nil {
				t.Fatal(err)
			}
			if s.SignIn != tt.signIn || s.MismatchCount != tt.mismatch || s.PrimaryCount != tt.primary ||
				len(s.hashes) != tt.holds || s.Users != 1 {
				t.Errorf("%d sign in, %d mismatch, %d primaries wrong, %d addresses; want %d, %d, %d, %d",
					s.SignIn, s.MismatchCount, s.PrimaryCount, len(s.hashes), tt.signIn, tt.mismatch, tt.primary,
					tt.holds)
			}
		})
	}
}

// A stream that breaks off says nothing about the users that were not read.
func TestScanUsersBrokenOff(t *testing.T) {
	broken := errors.New("connection lost")
	_, err := ScanUsers("contoso", func(yield func(directory.User, error) bool) {
		_ = yield(person("anna", "contoso.com"), nil) && yield(directory.User{}, broken)
	}, Known{})
	if !errors.Is(err, broken) {
		t.Errorf("error = %v", err)
	}
}

// people is a directory that counts how often its users are read.
type people struct {
	reads int
	users []directory.User
}

func (p *people) RootDSE() directory.RootDSE { return directory.RootDSE{} }

func (p *people) Users(context.Context) iter.Seq2[directory.User, error] {
	p.reads++
	return stream(p.users...)
}

func (p *people) open(context.Context) (Directory, error) { return p, nil }

func TestFindDuplicates(t *testing.T) {
	anna, bob, carl := person("anna", "contoso.com"), person("bob", "fabrikam.com"), person("carl", "fabrikam.com")
	with := func(u directory.User, aliases ...string) directory.User { u.Aliases = aliases; return u }
	others := func(u directory.User, addresses ...string) directory.User { u.Others = addresses; return u }
	owners := func(who ...Owner) []Owner { return who }
	annaOwner, bobOwner, carlOwner := Owner{"contoso", anna.DN, anna.UPN, false},
		Owner{"fabrikam", bob.DN, bob.UPN, false}, Owner{"fabrikam", carl.DN, carl.UPN, false}
	forward := with(bob)
	forward.Type, forward.TargetAddress, forward.Aliases = directory.MailUser, "SMTP:Anna@contoso.com",
		[]string{"anna@contoso.com"}
	signIn := func(u directory.User, upn string) directory.User { u.UPN = upn; return u }
	group := func(u directory.User, primary string) directory.User {
		u.Kind, u.Primary, u.Addressed = directory.KindGroup, []string{primary}, true
		return u
	}
	contact := forward
	contact.Kind, contact.Type, contact.UPN = directory.KindContact, directory.MailContact, ""
	linked := with(bob, "anna@contoso.com")
	linked.Type = directory.LinkedMailbox
	account := anna
	account.Type = 0
	tests := []struct {
		name              string
		contoso, fabrikam []directory.User
		want              []Duplicate
		reads             int // of each forest's users
	}{
		{"a sign-in name that is another's address", []directory.User{anna},
			[]directory.User{signIn(bob, "Anna@contoso.com")},
			[]Duplicate{{"anna@contoso.com", owners(annaOwner, Owner{"fabrikam", bob.DN, "Anna@contoso.com", true})}},
			2},
		{"a sign-in name that is one's own alias",
			[]directory.User{signIn(with(anna, "a@contoso.com"), "a@contoso.com")},
			[]directory.User{bob}, nil, 1},
		{"a group with a user's address", []directory.User{anna},
			[]directory.User{group(directory.User{DN: bob.DN, UPN: bob.UPN}, "anna@contoso.com")},
			[]Duplicate{{"anna@contoso.com", owners(annaOwner, bobOwner)}}, 2},
		{"a contact that forwards to the other forest", []directory.User{anna}, []directory.User{contact}, nil, 2},
		{"none", []directory.User{anna}, []directory.User{bob, carl}, nil, 1},
		{"in one forest", []directory.User{anna},
			[]directory.User{with(bob, "x@fabrikam.com"), with(carl, "X@Fabrikam.com")},
			[]Duplicate{{"x@fabrikam.com", owners(bobOwner, carlOwner)}}, 2},
		{"across forests", []directory.User{anna}, []directory.User{with(bob, "ANNA@contoso.com")},
			[]Duplicate{{"anna@contoso.com", owners(annaOwner, bobOwner)}}, 2},
		{"three holders", []directory.User{anna},
			[]directory.User{with(bob, "anna@contoso.com"), with(carl, "anna@contoso.com")},
			[]Duplicate{{"anna@contoso.com", owners(annaOwner, bobOwner, carlOwner)}}, 2},
		{"a sip address in one forest", []directory.User{anna},
			[]directory.User{others(bob, "sip:x@fabrikam.com"), others(carl, "sip:x@fabrikam.com")},
			[]Duplicate{{"sip:x@fabrikam.com", owners(bobOwner, carlOwner)}}, 2},
		{"an X500 address across forests", []directory.User{others(anna, "x500:/o=a/cn=b")},
			[]directory.User{others(bob, "x500:/o=a/cn=b", "x500:/o=a/cn=c")},
			[]Duplicate{{"x500:/o=a/cn=b", owners(annaOwner, bobOwner)}}, 2},
		{"a sip address like another's SMTP address", []directory.User{anna},
			[]directory.User{others(bob, "sip:anna@contoso.com")}, nil, 1},
		{"a mail user that forwards to the other forest", []directory.User{anna}, []directory.User{forward}, nil, 2},
		{"a linked mailbox and its account", []directory.User{account}, []directory.User{linked}, nil, 2},
		{"a representation beside a real second holder", []directory.User{anna},
			[]directory.User{forward, with(carl, "anna@contoso.com")},
			[]Duplicate{{"anna@contoso.com", owners(annaOwner, bobOwner, carlOwner)}}, 2},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			first, second := &people{users: tt.contoso}, &people{users: tt.fabrikam}
			set := New(answers.Answers{Forests: []answers.Forest{{Name: "contoso"}, {Name: "fabrikam"}}}, cloud.Cloud{})
			set.Forests[0].Directory, set.Forests[1].Directory = first.open, second.open
			got, err := Duplicates.In(t.Context(), set.Organization)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("duplicates (-want +got):\n%s", diff)
			}
			if first.reads != tt.reads || second.reads != tt.reads {
				t.Errorf("users were read %d and %d times, want %d", first.reads, second.reads, tt.reads)
			}
		})
	}
}

// The rules keep eight bytes per address and sign-in name, and a bounded number of findings.
func TestScanKeepsLittle(t *testing.T) {
	const n = 3 * maxFindings
	s, err := ScanUsers("contoso", func(yield func(directory.User, error) bool) {
		for i := range n {
			u := person(fmt.Sprint("u", i), "contoso.com")
			u.UPN = "other"
			if !yield(u, nil) {
				return
			}
		}
	}, Known{})
	if err != nil {
		t.Fatal(err)
	}
	if s.MismatchCount != n || len(s.Mismatches) != maxFindings || len(s.hashes) != 2*n {
		t.Errorf("%d mismatches, %d kept, %d hashes", s.MismatchCount, len(s.Mismatches), len(s.hashes))
	}
}

func (*people) Exchange(context.Context) (*directory.Exchange, error) {
	return nil, directory.ErrNoExchange
}

func (*people) Setup(context.Context) (directory.Setup, error) { return directory.Setup{}, nil }
