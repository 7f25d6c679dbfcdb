package fact

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"iter"
	"slices"
	"strings"

	"github.com/hybridge-cli/hybridge/pkg/config/sorting"
	"github.com/hybridge-cli/hybridge/pkg/engine/check"
	"github.com/hybridge-cli/hybridge/pkg/estate/directory"
)

// maxFindings limits the users that are kept by name, per rule. All are counted.
const maxFindings = 10_000

// addressSeed is fixed for a run, so that hashes of several forests compare. It is unpredictable,
// so that colliding addresses cannot be crafted.
var addressSeed = maphash.MakeSeed()

// UserScan is the result of one pass over the users of a forest.
type UserScan struct {
	Forest    string
	Read      int // recipients of every kind
	Users     int // all users that were read
	SignIn    int // users that sign in and have a mailbox; the UPN rule applies to them
	Mailboxes int // users that must have exactly one primary address

	Mismatches    []Mismatch // UPN is not the primary address; the first maxFindings
	MismatchCount int
	Primaries     []Primaries // not exactly one primary address; the first maxFindings
	PrimaryCount  int

	// A directory omits what the account may not read, and gives no error. Addressed and Named are
	// the users that show proxyAddresses and userPrincipalName. Hidden are the mailboxes that show
	// mail and no proxyAddresses, although Exchange sets both together; the first maxFindings.
	Addressed, Named int
	Hidden           []string
	HiddenCount      int

	// Of the rules, by id: the recipients that a rule is for, the findings, and the first
	// maxFindings of these.
	Applied, Counts map[string]int
	Findings        map[string][]check.Finding
	DomainsUnknown  error // why the rules that need the tenant's domains were not applied
	// Shown counts the recipients that show another attribute.
	Shown map[string]int
	// Locals and Linked are the mailboxes on-premises, and those of them whose owner has an account
	// in another forest. PublicFolders have an address.
	Locals, Linked, PublicFolders int

	// hashes of every address, sorted, each once per user. A hash takes eight bytes: the addresses
	// of a million users as text would need too much memory. Equal hashes are compared again by
	// text.
	hashes []uint64
	known  Known
}

// Mismatch is a user whose user principal name is not the primary address.
type Mismatch struct {
	DN      string `json:"dn"`
	UPN     string `json:"userPrincipalName"`
	Primary string `json:"primary"`
}

// Primaries is a user with no primary address, or with several.
type Primaries struct {
	DN      string   `json:"dn"`
	UPN     string   `json:"userPrincipalName"`
	Primary []string `json:"primary"`
}

// Owner is a user with an address that another user also has.
type Owner struct {
	Forest string `json:"forest"`
	DN     string `json:"dn"`
	UPN    string `json:"userPrincipalName,omitempty"`
	// SignIn says that the owner has the address as sign-in name only.
	SignIn bool `json:"signIn,omitempty"`
}

// Duplicate is an address or a sign-in name of more than one recipient.
type Duplicate struct {
	Address string  `json:"address"`
	Owners  []Owner `json:"owners"`
}

// SignIn reports whether it is a duplicate because of sign-in names only.
func (d Duplicate) SignIn() bool {
	n := 0
	for _, o := range d.Owners {
		if !o.SignIn {
			n++
		}
	}
	return n < 2
}

// ErrHidden says that the directory shows too little of the users for a verdict.
var ErrHidden = errors.New("the directory does not show it to this account")

// signIn are the recipient types that sign in with their UPN and have their own mailbox. 0 is a
// user with addresses that Exchange does not know.
const signIn = directory.UserMailbox | directory.LegacyMailbox | directory.RemoteUserMailbox

// ScanUsers applies every user rule in one pass over the stream. An error of the stream fails the
// scan: users that were not read are unknown.
func ScanUsers(forest string, users iter.Seq2[directory.User, error], known Known) (UserScan, error) {
	s := UserScan{Forest: forest, known: known, Applied: map[string]int{}, Counts: map[string]int{},
		Findings: map[string][]check.Finding{}, Shown: map[string]int{}}
	for u, err := range users {
		if err != nil {
			return UserScan{}, err
		}
		s.add(u)
	}
	slices.Sort(s.hashes)
	return s, nil
}

// judge applies the rules to a recipient.
func (s *UserScan) judge(u *directory.User) {
	for i := range Rules {
		r := &Rules[i]
		if r.Tenant && s.known.Domains == nil || !r.applies(u) {
			continue
		}
		s.Applied[r.ID]++
		counted := false
		r.find(u, s.known, func(value, correction string) {
			if !counted {
				s.Counts[r.ID]++
				counted = true
			}
			if len(s.Findings[r.ID]) < maxFindings {
				s.Findings[r.ID] = append(s.Findings[r.ID], check.Finding{Forest: s.Forest, DN: u.DN,
					Attribute: r.Attribute, Value: value, Rule: check.ID(r.ID), Suggestion: correction,
					Remove: r.clears && correction == ""})
			}
		})
	}
}

// show counts the attributes that a healthy recipient shows.
func (s *UserScan) show(u *directory.User) {
	count := func(attribute string, shown bool) {
		if shown {
			s.Shown[attribute]++
		}
	}
	count(attributeMail, u.Mail != "")
	count(attributeNickname, u.Nickname != "")
	count(attributeHomeMDB, u.HomeMDB != "")
	count(attributeTarget, u.TargetAddress != "")
}

func (s *UserScan) add(u directory.User) {
	s.Read++
	if !u.Type.System() {
		s.judge(&u)
		s.show(&u)
	}
	if u.Kind != directory.KindUser {
		s.addOther(u)
		return
	}
	if u.Type.Local() {
		s.Locals++
	}
	if isLinked(&u) {
		s.Linked++
	}
	s.Users++
	if u.Addressed {
		s.Addressed++
	}
	if u.UPN != "" {
		s.Named++
	}
	if u.Type.System() {
		return
	}
	for a := range handles(u) {
		s.hashes = append(s.hashes, maphash.String(addressSeed, a))
	}
	managed := u.Type != 0 || len(u.Primary)+len(u.Aliases) > 0
	if managed && u.Type != directory.MailContact {
		if !u.Addressed && u.Mail != "" {
			s.HiddenCount++
			if len(s.Hidden) < maxFindings {
				s.Hidden = append(s.Hidden, u.DN)
			}
			return
		}
		s.Mailboxes++
		if len(u.Primary) != 1 {
			s.PrimaryCount++
			if len(s.Primaries) < maxFindings {
				s.Primaries = append(s.Primaries, Primaries{u.DN, u.UPN, u.Primary})
			}
			return
		}
	}
	if len(u.Primary) != 1 || u.Account == directory.AccountDisabled || u.Type != 0 && u.Type&signIn == 0 {
		return
	}
	s.SignIn++
	if !strings.EqualFold(u.UPN, u.Primary[0]) {
		s.MismatchCount++
		if len(s.Mismatches) < maxFindings {
			s.Mismatches = append(s.Mismatches, Mismatch{u.DN, u.UPN, u.Primary[0]})
		}
	}
}

// addOther takes the addresses of groups, contacts and public folders: the tenant accepts them
// once among all recipients.
func (s *UserScan) addOther(u directory.User) {
	if u.Kind == directory.KindPublicFolder {
		s.PublicFolders++
	}
	for a := range addresses(u) {
		s.hashes = append(s.hashes, maphash.String(addressSeed, a))
	}
}

// addresses returns a user's addresses in lower case, each once: SMTP addresses, and those of sip
// and X500 with their prefix. The tenant accepts each of them once.
func addresses(u directory.User) iter.Seq[string] {
	return func(yield func(string) bool) {
		var seen []string
		for _, list := range [3][]string{u.Primary, u.Aliases, u.Others} {
			for _, a := range list {
				a = strings.ToLower(a)
				if slices.Contains(seen, a) {
					continue
				}
				seen = append(seen, a)
				if !yield(a) {
					return
				}
			}
		}
	}
}

// handles returns the addresses of a recipient and its sign-in name. Exchange finds the user of a
// token by either.
func handles(u directory.User) iter.Seq2[string, string] {
	return func(yield func(name, attribute string) bool) {
		upn := strings.ToLower(u.UPN)
		for a := range addresses(u) {
			if a == upn {
				upn = ""
			}
			if !yield(a, attributeProxies) {
				return
			}
		}
		if upn != "" {
			yield(upn, attributeUPN)
		}
	}
}

// suspects returns the hashes that occur more than once over all scans.
func suspects(scans []UserScan) map[uint64]bool {
	out := map[uint64]bool{}
	at := make([]int, len(scans))
	for {
		least, found := uint64(0), false
		for i, s := range scans {
			if at[i] < len(s.hashes) && (!found || s.hashes[at[i]] < least) {
				least, found = s.hashes[at[i]], true
			}
		}
		if !found {
			return out
		}
		n := 0
		for i, s := range scans {
			for at[i] < len(s.hashes) && s.hashes[at[i]] == least {
				at[i]++
				n++
			}
		}
		if n > 1 {
			out[least] = true
		}
	}
}

// findDuplicates finds the addresses that several users have. When hashes collide, it reads the
// users a second time to name them.
func findDuplicates(ctx context.Context, forests []*Side) ([]Duplicate, error) {
	var scans []UserScan
	for _, f := range forests {
		s, err := Users.In(ctx, f)
		if err != nil {
			return nil, err
		}
		scans = append(scans, s)
	}
	look := suspects(scans)
	if len(look) == 0 {
		return nil, nil
	}
	type holder struct {
		Owner
		user directory.User
	}
	holders := map[string][]holder{}
	for i, f := range forests {
		if f.Directory == nil {
			return nil, fmt.Errorf("forest %s: directory: %w", f.Name(), ErrNotConfigured)
		}
		d, err := f.Directory(ctx)
		if err != nil {
			return nil, err
		}
		for u, err := range watched(ctx, f, d, scans[i].Read) {
			if err != nil {
				return nil, err
			}
			if u.Type.System() {
				continue
			}
			for a, attribute := range handles(u) {
				if look[maphash.String(addressSeed, a)] {
					holders[a] = append(holders[a], holder{Owner{f.Name(), u.DN, u.UPN, attribute == attributeUPN}, u})
				}
			}
		}
	}
	var out []Duplicate
	for address, who := range holders {
		// A user and its representation in another forest are one person.
		var owners []Owner
		for i, h := range who {
			alone := false
			for j, other := range who {
				if i != j && !(h.Forest != other.Forest &&
					(represents(h.user, other.user) || represents(other.user, h.user))) {
					alone = true
				}
			}
			if alone {
				owners = append(owners, h.Owner)
			}
		}
		if len(owners) > 1 {
			sorting.Func(owners, func(a, b Owner) int {
				return cmp.Or(cmp.Compare(a.Forest, b.Forest), cmp.Compare(a.DN, b.DN))
			})
			out = append(out, Duplicate{address, owners})
		}
	}
	sorting.Func(out, func(a, b Duplicate) int { return cmp.Compare(a.Address, b.Address) })
	return out, nil
}

// represents reports whether a represents b of another forest: a mail user or a contact that
// forwards to one of b's addresses, or the account that b's linked mailbox belongs to. The
// directory synchronization joins the two.
func represents(a, b directory.User) bool {
	if b.Type&(directory.LinkedMailbox|directory.LinkedRoomMailbox) != 0 && a.Type == 0 {
		return true
	}
	if a.Type&(directory.MailUser|directory.MailContact|directory.MailForestContact) == 0 || a.TargetAddress == "" {
		return false
	}
	target := strings.ToLower(a.TargetAddress)
	target = strings.TrimPrefix(target, "smtp:")
	for address := range addresses(b) {
		if address == target {
			return true
		}
	}
	return false
}
