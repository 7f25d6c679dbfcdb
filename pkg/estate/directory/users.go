package directory

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"iter"
	"strconv"
	"strings"

	"github.com/go-ldap/ldap/v3"
)

// User is a recipient: an object that has, or could have, mail. Most are users. Absent attributes
// are empty.
type User struct {
	DN             string
	Kind           Kind
	GUID           GUID
	UPN            string
	SAMAccountName string
	Mail           string
	Primary        []string // addresses with the prefix "SMTP:", without it; exactly one in a healthy user
	Aliases        []string // addresses with the prefix "smtp:", without it
	Others         []string // sip and X500 addresses in lower case, and values without a prefix
	Addressed      bool     // proxyAddresses shows a value, of any kind
	TargetAddress  string   // with its prefix, as stored: "SMTP:anna@contoso.mail.onmicrosoft.com"
	Nickname       string   // mailNickname: Exchange manages an object only with it
	HomeMDB        string   // DN of the mailbox database
	Type           RecipientType
	RemoteType     int64 // msExchRemoteRecipientType, 0 when absent
	// MasterAccountSID is the account of another forest that a linked mailbox belongs to; S-1-5-10
	// (self) for shared and resource mailboxes.
	MasterAccountSID string
	Account          AccountState
}

// Kind is the kind of object that a recipient is.
type Kind uint8

// The kinds. An object is a user unless it shows that it is something else.
const (
	KindUser Kind = iota
	KindGroup
	KindContact
	KindPublicFolder
)

func (k Kind) String() string {
	return [...]string{"user", "group", "contact", "public folder"}[k]
}

// AccountState reports whether an account is enabled. The server may hide that.
type AccountState uint8

// Account states.
const (
	AccountUnknown AccountState = iota
	AccountEnabled
	AccountDisabled
)

func (s AccountState) String() string {
	return [...]string{"unknown", "enabled", "disabled"}[s]
}

// RecipientType is msExchRecipientTypeDetails: a single bit. 0 means that the attribute is absent:
// Exchange does not manage the user.
type RecipientType int64

// Recipient types (Exchange's RecipientTypeDetails).
const (
	UserMailbox             RecipientType = 1 << 0
	LinkedMailbox           RecipientType = 1 << 1
	SharedMailbox           RecipientType = 1 << 2
	LegacyMailbox           RecipientType = 1 << 3
	RoomMailbox             RecipientType = 1 << 4
	EquipmentMailbox        RecipientType = 1 << 5
	MailContact             RecipientType = 1 << 6
	MailUser                RecipientType = 1 << 7
	PublicFolder            RecipientType = 1 << 12
	SystemMailbox           RecipientType = 1 << 14
	MailForestContact       RecipientType = 1 << 15
	ArbitrationMailbox      RecipientType = 1 << 23
	DiscoveryMailbox        RecipientType = 1 << 29
	RemoteUserMailbox       RecipientType = 1 << 31
	RemoteRoomMailbox       RecipientType = 1 << 33
	RemoteEquipmentMailbox  RecipientType = 1 << 34
	RemoteSharedMailbox     RecipientType = 1 << 35
	TeamMailbox             RecipientType = 1 << 37
	RemoteTeamMailbox       RecipientType = 1 << 38
	MonitoringMailbox       RecipientType = 1 << 39
	LinkedRoomMailbox       RecipientType = 1 << 41
	AuditLogMailbox         RecipientType = 1 << 42
	RemoteGroupMailbox      RecipientType = 1 << 43
	AuxAuditLogMailbox      RecipientType = 1 << 46
	SupervisoryReviewPolicy RecipientType = 1 << 47
)

// mailGroups are the types of groups: universal distribution, non-universal, universal security,
// dynamic distribution.
const mailGroups RecipientType = 1<<8 | 1<<9 | 1<<10 | 1<<11

// systemTypes are mailboxes that Exchange makes for itself; no user signs in with them.
const systemTypes = SystemMailbox | ArbitrationMailbox | DiscoveryMailbox | MonitoringMailbox |
	AuditLogMailbox | AuxAuditLogMailbox | SupervisoryReviewPolicy

var recipientTypes = map[RecipientType]string{
	UserMailbox: "UserMailbox", LinkedMailbox: "LinkedMailbox", SharedMailbox: "SharedMailbox",
	LegacyMailbox: "LegacyMailbox",
	RoomMailbox:   "RoomMailbox", EquipmentMailbox: "EquipmentMailbox", MailContact: "MailContact",
	MailUser:      "MailUser",
	SystemMailbox: "SystemMailbox", ArbitrationMailbox: "ArbitrationMailbox", DiscoveryMailbox: "DiscoveryMailbox",
	RemoteUserMailbox: "RemoteUserMailbox", RemoteRoomMailbox: "RemoteRoomMailbox",
	RemoteEquipmentMailbox: "RemoteEquipmentMailbox",
	RemoteSharedMailbox:    "RemoteSharedMailbox", TeamMailbox: "TeamMailbox", RemoteTeamMailbox: "RemoteTeamMailbox",
	MonitoringMailbox: "MonitoringMailbox", LinkedRoomMailbox: "LinkedRoomMailbox", AuditLogMailbox: "AuditLogMailbox",
	RemoteGroupMailbox: "RemoteGroupMailbox", AuxAuditLogMailbox: "AuxAuditLogMailbox",
	SupervisoryReviewPolicy: "SupervisoryReviewPolicyMailbox",
}

func (t RecipientType) String() string {
	if s, ok := recipientTypes[t]; ok {
		return s
	}
	if t == 0 {
		return "User"
	}
	return strconv.FormatInt(int64(t), 10)
}

// System reports whether the mailbox is one of Exchange's own (arbitration, discovery, monitoring,
// audit): user rules do not apply.
func (t RecipientType) System() bool { return t&systemTypes != 0 }

// Remote reports whether the mailbox is in the cloud.
func (t RecipientType) Remote() bool {
	return t&(RemoteUserMailbox|RemoteRoomMailbox|RemoteEquipmentMailbox|
		RemoteSharedMailbox|RemoteTeamMailbox|RemoteGroupMailbox) != 0
}

// Local reports whether a person, a room or a team has the mailbox on-premises.
func (t RecipientType) Local() bool {
	return t&(UserMailbox|LinkedMailbox|SharedMailbox|LegacyMailbox|RoomMailbox|EquipmentMailbox|TeamMailbox|
		LinkedRoomMailbox) != 0
}

// userFilter selects recipients that Exchange manages, and those with an address given without it.
// An attribute or a class that the schema does not have makes its term undefined, not the search
// fail. The category person includes contacts.
const userFilter = "(&(|(objectCategory=person)(objectCategory=group)(objectCategory=publicFolder)" +
	"(objectCategory=msExchDynamicDistributionList))" +
	"(|(msExchRecipientTypeDetails=*)(proxyAddresses=*)(mail=*)))"

var userAttributes = []string{
	"objectGUID", "userPrincipalName", "sAMAccountName", "mail", "proxyAddresses", "targetAddress",
	"msExchRecipientTypeDetails",
	"msExchRemoteRecipientType", "msExchMasterAccountSid", "userAccountControl", "mailNickname", "homeMDB",
	"groupType",
}

// Users streams every recipient of every domain of the forest, in constant memory, over a separate
// connection. An error is the last element, with a zero User, and means that users are missing. A
// cancelled context is such an error. Domains are read one after the other. The domain of the
// server that Open chose is first. The others are read through a domain controller found by DNS.
func (f *Forest) Users(ctx context.Context) iter.Seq2[User, error] {
	return func(yield func(User, error) bool) {
		stopped := false
		err := f.eachUser(ctx, func(u User) bool {
			stopped = !yield(u, nil)
			return !stopped
		})
		if err != nil && !stopped {
			yield(User{}, f.wrap(err))
		}
	}
}

// Recipients returns the recipients that an account may be, user@domain or DOMAIN\user, in the
// domain of the server that Open chose: those with that user principal name or account name.
func (f *Forest) Recipients(ctx context.Context, account string) (found []User, err error) {
	short, _, _ := strings.Cut(account[strings.LastIndexByte(account, '\\')+1:], "@")
	filter := fmt.Sprintf("(&%s(|(userPrincipalName=%s)(sAMAccountName=%s)))", userFilter,
		ldap.EscapeFilter(account), ldap.EscapeFilter(short))
	err = f.read(ctx, "mailbox of "+account, func(c *conn) error {
		found = nil
		return c.users(ctx, f.root.DefaultNamingContext, filter, func(u User) bool {
			found = append(found, u)
			return true
		})
	})
	return found, err
}

func (f *Forest) eachUser(ctx context.Context, yield func(User) bool) error {
	domains, err := f.domains(ctx)
	if err != nil {
		return unwrapName(err, f.cfg.Name)
	}
	more := true
	for _, d := range domains {
		if !more {
			break
		}
		f.expected.Store(0)
		estimated := f.expected.Store
		if len(domains) > 1 {
			estimated = nil
		}
		if err := f.usersOf(ctx, d, estimated, func(u User) bool { more = yield(u); return more }); err != nil {
			return fmt.Errorf("read users of %s: %w", d.DNSName, err)
		}
	}
	return nil
}

// unwrapName removes the forest's name, because Users puts it in front of every error.
func unwrapName(err error, name string) error {
	if inner, ok := err.(interface{ Unwrap() error }); ok && name != "" {
		return inner.Unwrap()
	}
	return err
}

func (f *Forest) usersOf(ctx context.Context, d Domain, estimated func(int64), yield func(User) bool) error {
	servers := []string{f.address}
	if !sameDN(d.DN, f.root.DefaultNamingContext) {
		var err error
		if servers, err = f.discover(ctx, d.DNSName); err != nil {
			return err
		}
	}
	c, err := f.connect(ctx, servers)
	if err != nil {
		return err
	}
	defer c.close()
	c.estimated = estimated
	if err := c.users(ctx, d.DN, userFilter, yield); err != nil {
		return fmt.Errorf("%s: %w", c.address, err)
	}
	return nil
}

// errStop ends a search when the consumer stops reading.
var errStop = errors.New("stopped by the caller")

// users streams the users under base. Users with more addresses than a server shows at once are
// held back until the end of their page, when the connection is free to ask for the rest.
func (c *conn) users(ctx context.Context, base, filter string, yield func(User) bool) error {
	type partial struct {
		user User
		from int
	}
	var held []partial
	q := query{base: base, scope: ldap.ScopeWholeSubtree, filter: filter, attributes: userAttributes}
	q.between = func() error {
		for _, p := range held {
			if err := c.rest(ctx, p.user.DN, "proxyAddresses", p.from, p.user.addAddress); err != nil {
				return err
			}
			if !yield(p.user) {
				return errStop
			}
		}
		held = held[:0]
		return nil
	}
	err := c.search(ctx, q, func(e entry) error {
		u, next, err := decodeUser(e)
		switch {
		case err != nil:
			return err
		case next > 0:
			held = append(held, partial{u, next})
		case !yield(u):
			return errStop
		}
		return nil
	})
	if errors.Is(err, errStop) {
		return nil
	}
	return err
}

// decodeUser makes a User of an entry; next is where the rest of its addresses begins, 0 when they
// are all there.
func decodeUser(e entry) (u User, next int, err error) {
	u.DN = string(e.dn)
	err = e.each(func(name, values []byte) error {
		if len(values) == 0 {
			return nil // the empty twin that Active Directory sends with "proxyAddresses;range=0-1499"
		}
		field := userField(name)
		if field == "" && bytes.IndexByte(name, ';') >= 0 {
			base, n, _, err := splitRange(string(name))
			if err != nil {
				return err
			}
			if field = userField([]byte(base)); field == "proxyAddresses" {
				next = n
			}
		}
		if field == "" {
			return nil
		}
		if field == "proxyAddresses" {
			for len(values) > 0 {
				v, after, err := value(values)
				if err != nil {
					return err
				}
				u.addAddress(v)
				values = after
			}
			return nil
		}
		v, _, err := value(values)
		if err != nil {
			return err
		}
		u.set(field, v)
		return nil
	})
	u.classify()
	return u, next, err
}

// classify completes the kind of an object. Only a group has groupType, and only a user signs in.
func (u *User) classify() {
	switch {
	case u.Kind == KindGroup || u.Type&mailGroups != 0:
		u.Kind = KindGroup
	case u.Type&PublicFolder != 0:
		u.Kind = KindPublicFolder
	case u.Type&(MailContact|MailForestContact) != 0,
		u.Type == 0 && u.Mail+u.TargetAddress != "" && u.UPN+u.SAMAccountName == "" && u.Account == AccountUnknown:
		u.Kind = KindContact
	}
}

// userField returns the attribute's name as this package writes it, "" for an attribute that was
// not requested. Servers write names as their schema does, and so does this package. Other
// spellings are compared without case.
func userField(name []byte) string {
	for _, a := range userAttributes {
		if string(name) == a {
			return a
		}
	}
	for _, a := range userAttributes {
		if strings.EqualFold(string(name), a) {
			return a
		}
	}
	return ""
}

func (u *User) set(field string, v []byte) {
	switch field {
	case "objectGUID":
		u.GUID = parseGUID(v)
	case "userPrincipalName":
		u.UPN = string(v)
	case "sAMAccountName":
		u.SAMAccountName = string(v)
	case "mail":
		u.Mail = string(v)
	case "targetAddress":
		u.TargetAddress = string(v)
	case "mailNickname":
		u.Nickname = string(v)
	case "homeMDB":
		u.HomeMDB = string(v)
	case "groupType":
		u.Kind = KindGroup
	case "msExchRecipientTypeDetails":
		n, _ := strconv.ParseInt(string(v), 10, 64)
		u.Type = RecipientType(n)
	case "msExchRemoteRecipientType":
		u.RemoteType, _ = strconv.ParseInt(string(v), 10, 64)
	case "msExchMasterAccountSid":
		u.MasterAccountSID = sidText(v)
	case "userAccountControl":
		if n, err := strconv.ParseInt(string(v), 10, 64); err == nil {
			u.Account = AccountEnabled
			if n&2 != 0 { // ADS_UF_ACCOUNTDISABLE
				u.Account = AccountDisabled
			}
		}
	}
}

// addAddress sorts a proxy address. The prefix's case is its meaning: SMTP is primary, smtp (Smtp,
// ...) is not. Of the other kinds (EUM, ...), only sip and X500 are kept.
func (u *User) addAddress(v []byte) {
	u.Addressed = true
	kind, address, ok := bytes.Cut(v, []byte(":"))
	switch {
	case !ok && len(v) > 0:
		u.Others = append(u.Others, strings.ToLower(string(v)))
	case string(kind) == "SMTP":
		u.Primary = append(u.Primary, string(address))
	case bytes.EqualFold(kind, []byte("smtp")):
		u.Aliases = append(u.Aliases, string(address))
	case bytes.EqualFold(kind, []byte("sip")), bytes.EqualFold(kind, []byte("x500")):
		u.Others = append(u.Others, strings.ToLower(string(v)))
	}
}
