package fact

import (
	"context"
	"fmt"
	"iter"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/hybridge-cli/hybridge/pkg/config/answers"
	"github.com/hybridge-cli/hybridge/pkg/config/cloud"
	"github.com/hybridge-cli/hybridge/pkg/estate/directory"
	"github.com/hybridge-cli/hybridge/pkg/estate/entra"
)

// town is a directory that makes its people while they are read.
type town struct {
	people
	each func(yield func(directory.User, error) bool)
}

func (t *town) Users(context.Context) iter.Seq2[directory.User, error] { return t.each }

// plantedFaults break every fiftieth person: one fault after the other.
var plantedFaults = []struct {
	rule  string
	plant func(u *directory.User)
}{
	{"directory.upn-format", func(u *directory.User) { u.UPN = "a b" + u.UPN }},
	{"directory.upn-suffix", func(u *directory.User) { u.UPN += ".local" }},
	{"directory.address-format", func(u *directory.User) { u.Aliases = append(u.Aliases, "a,"+u.Primary[0]) }},
	{"directory.address-domain", func(u *directory.User) { u.Aliases = append(u.Aliases, u.Primary[0]+".old") }},
	{"directory.target-stray", func(u *directory.User) { u.TargetAddress = "SMTP:" + u.Primary[0] }},
	{"directory.nickname-format", func(u *directory.User) { u.Nickname += "." }},
	{"directory.nickname-missing", func(u *directory.User) { u.Nickname = "" }},
	{"directory.mail-matches-primary", func(u *directory.User) { u.Mail = "x" + u.Mail }},
	{"directory.mailbox-twice", func(u *directory.User) { u.RemoteType = 4 }},
	{"directory.linked-account", func(u *directory.User) { u.Type = directory.LinkedMailbox }},
}

// Two forests of 10,000 people, of whom 2 % are wrong: found exactly, in one pass each.
func TestPlantedFaultsAreFoundExactly(t *testing.T) {
	const size = 10_000
	set := New(answers.Answers{ExchangeOnline: &answers.ExchangeOnline{}, Forests: []answers.Forest{
		{Name: "contoso"}, {Name: "fabrikam"}}}, cloud.Cloud{})
	TenantDomains.Seed(set.Tenant, []entra.Domain{{ID: "contoso.com", IsVerified: true},
		{ID: "fabrikam.com", IsVerified: true}}, nil)
	want := map[string][]string{}
	for _, side := range set.Forests {
		domain := side.Name() + ".com"
		each := func(yield func(directory.User, error) bool) {
			for i := range size {
				name := fmt.Sprintf("u%05d", i)
				u := person(name, domain)
				u.Mail, u.Nickname, u.SAMAccountName, u.HomeMDB = u.Primary[0], name, name, "CN=DB1"
				if i%50 == 7 {
					plantedFaults[i/50%len(plantedFaults)].plant(&u)
				}
				if !yield(u, nil) {
					return
				}
			}
		}
		for u := range iter.Seq2[directory.User, error](each) {
			var i int
			if _, err := fmt.Sscanf(u.SAMAccountName, "u%d", &i); err != nil {
				t.Fatal(err)
			}
			if i%50 == 7 {
				rule := plantedFaults[i/50%len(plantedFaults)].rule
				want[rule] = append(want[rule], u.DN)
			}
		}
		source := &town{each: each}
		side.Directory = func(context.Context) (Directory, error) { return source, nil }
	}
	got := map[string][]string{}
	for _, side := range set.Forests {
		scan, err := Users.In(t.Context(), side)
		if err != nil {
			t.Fatal(err)
		}
		for rule, findings := range scan.Findings {
			for _, f := range findings {
				got[rule] = append(got[rule], f.DN)
			}
		}
	}
	n := 0
	for rule := range want {
		slices.Sort(want[rule])
		slices.Sort(got[rule])
		n += len(want[rule])
	}
	if diff := cmp.Diff(want, got); diff != "" || n != 2*size/50 {
		t.Errorf("%d planted; findings (-want +got):\n%s", n, diff)
	}
}

func (*town) Exchange(context.Context) (*directory.Exchange, error) {
	return nil, directory.ErrNoExchange
}

func (*town) Setup(context.Context) (directory.Setup, error) { return directory.Setup{}, nil }
