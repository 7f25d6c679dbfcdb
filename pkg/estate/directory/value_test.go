package directory

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/hybridge-cli/hybridge/pkg/wire/link"
)

func TestGUID(t *testing.T) {
	b := []byte{0x33, 0x22, 0x11, 0x00, 0x55, 0x44, 0x77, 0x66, 0x88, 0x99, 0xaa, 0xbb, 0xcc, 0xdd, 0xee, 0xff}
	if got, want := parseGUID(b).String(), "00112233-4455-6677-8899-aabbccddeeff"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if got := parseGUID(b[:15]).String(); got != "" {
		t.Errorf("fifteen bytes: %q", got)
	}
}

func TestSIDText(t *testing.T) {
	for name, c := range map[string]struct {
		in   []byte
		want string
	}{
		"self":      {[]byte{1, 1, 0, 0, 0, 0, 0, 5, 10, 0, 0, 0}, "S-1-5-10"},
		"domain":    {[]byte{1, 2, 0, 0, 0, 0, 0, 5, 21, 0, 0, 0, 0xf4, 1, 0, 0}, "S-1-5-21-500"},
		"cut":       {[]byte{1, 2, 0, 0, 0, 0, 0, 5, 21, 0, 0, 0}, ""},
		"empty":     {nil, ""},
		"no header": {[]byte{1, 0, 0}, ""},
	} {
		if got := sidText(c.in); got != c.want {
			t.Errorf("%s: got %q, want %q", name, got, c.want)
		}
	}
}

func TestParseSerialNumber(t *testing.T) {
	for in, want := range map[string]string{
		"Version 15.2 (Build 32562.17)":                "15.2.2562.17",
		"Version 15.1 (Build 32507.6)":                 "15.1.2507.6",
		"Version 15.0 (Build 31497.2)":                 "15.0.1497.2",
		"Version 14.3 (Build 30123.4)":                 "14.3.123.4",
		"Version 6.5 (Build 7638.2: Service Pack 2)":   "6.5.7638.2",
		"Version 15.2 (Build 2562.17)":                 "15.2.2562.17",
		"Version 15.2":                                 "",
		"Version 15.2 (Build 32562.17":                 "",
		"Version x.2 (Build 32562.17)":                 "",
		"Version 15.2 (Build 99999999999999999999.17)": "",
		"": "",
	} {
		v, ok := ParseSerialNumber(in)
		if v.String() != want || ok != (want != "") {
			t.Errorf("%q: got %q, %v; want %q", in, v, ok, want)
		}
	}
	if (Version{15, 2, 1544, 4}).Compare(Version{15, 2, 2562, 17}) >= 0 ||
		(Version{15, 2, 2562, 17}).Compare(Version{15, 1, 2507, 61}) <= 0 {
		t.Error("versions in wrong order")
	}
}

func TestSplitRange(t *testing.T) {
	for in, want := range map[string]struct {
		base   string
		next   int
		ranged bool
		fails  bool
	}{
		"member":                             {"member", 0, false, false},
		"member;range=0-1499":                {"member", 1500, true, false},
		"member;Range=1500-*":                {"member", 0, true, false},
		"userCertificate;binary":             {"userCertificate", 0, false, false},
		"userCertificate;binary;range=0-9":   {"userCertificate", 10, true, false},
		"member;range=0":                     {"member", 0, true, true},
		"member;range=0--1":                  {"member", 0, true, true},
		"member;range=0-99999999999999999":   {"member", 0, true, true},
		"member;range=0-\x1b[31m":            {"member", 0, true, true},
		"member;lang-en;range=1500-2999;foo": {"member", 3000, true, false},
	} {
		base, next, ranged, err := splitRange(in)
		if base != want.base || next != want.next || ranged != want.ranged || (err != nil) != want.fails {
			t.Errorf("%q: got %q %d %v %v", in, base, next, ranged, err)
		}
	}
}

func TestDomainName(t *testing.T) {
	for in, want := range map[string]string{"DC=contoso,DC=com": "contoso.com", "dc=a": "a", "CN=x,DC=a": "",
		"nonsense": ""} {
		if got := DomainName(in); got != want {
			t.Errorf("%s: got %q, want %q", in, got, want)
		}
	}
}

func TestAddresses(t *testing.T) {
	var u User
	for _, a := range []string{"SMTP:Anna@Contoso.com", "smtp:a@contoso.com", "Smtp:b@contoso.com", "X500:/o=x/cn=anna",
		"SIP:anna@contoso.com", "smtp:", "smt", ""} {
		u.addAddress([]byte(a))
	}
	want := User{Primary: []string{"Anna@Contoso.com"}, Aliases: []string{"a@contoso.com", "b@contoso.com", ""},
		Others: []string{"x500:/o=x/cn=anna", "sip:anna@contoso.com", "smt"}, Addressed: true}
	if diff := cmp.Diff(want, u); diff != "" {
		t.Error(diff)
	}
}

// The texts are those of real domain controllers and of Samba.
func TestResultErrors(t *testing.T) {
	const accept = "80090308: LdapErr: DSID-0C090449, comment: AcceptSecurityContext error, data "
	for _, c := range []struct {
		code  int
		text  string
		want  string
		class error
	}{
		{49, accept + "52e, v4563\x00", "wrong user name or password", link.ErrAccess},
		{49, accept + "525, v1db1", "no such user", link.ErrAccess},
		{49, accept + "530, v4563", "the account may not log on at this time", link.ErrAccess},
		{49, accept + "531, v4563", "the account may not log on from this computer", link.ErrAccess},
		{49, accept + "532, v4563", "the password has expired", link.ErrAccess},
		{49, accept + "533, v4563", "the account is disabled", link.ErrAccess},
		{49, accept + "701, v4563", "the account has expired", link.ErrAccess},
		{49, accept + "773, v4563", "the password must be changed before the first logon", link.ErrAccess},
		{49, accept + "775, v4563", "the account is locked out", link.ErrAccess},
		{49, "80090346: LdapErr: DSID-0C0905F2, comment: AcceptSecurityContext error, data 80090346, v4563",
			"the domain controller requires channel binding, which this kind of bind cannot offer; use a password " +
				"over LDAPS", link.ErrAccess},
		{49, "", "wrong user name or password", link.ErrAccess},
		{8, "BindSimple: Transport encryption required.",
			"the server accepts this bind only over an encrypted or signed connection (BindSimple: Transport " +
				"encryption required.)", link.ErrAccess},
		{50, "", "the account has no right to do this", link.ErrAccess},
		{1, "00002020: Operation unavailable without authentication",
			"the server could not do this (00002020: Operation unavailable without authentication)", link.ErrAccess},
		{4, "", "incomplete answer: the server's size limit was exceeded", nil},
		{52, "going down", "the server is not available (going down)", link.ErrUnreachable},
		{32, "", "no such object", errNoSuchObject},
		{80, "odd\x1b[31m", "LDAP result 80 (odd [31m)", nil},
	} {
		err := newResultError(result{code: c.code, diagnostic: c.text})
		if err.Error() != c.want {
			t.Errorf("%d %s: got %q, want %q", c.code, c.text, err, c.want)
		}
		if c.class != nil && !errors.Is(err, c.class) || c.class == nil && err.Unwrap() != nil {
			t.Errorf("%d %s: wrong class %v", c.code, c.text, err.Unwrap())
		}
	}
}
