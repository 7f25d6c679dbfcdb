package snapshot

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

// answersOf is the smallest answers file, of a domain.
func answersOf(domain string) json.RawMessage {
	return json.RawMessage(`{"apiVersion":"hybridge/v1","kind":"Answers","organization":"Zyxwolt",` +
		`"exchangeOnline":{"cloud":"worldwide","tenant":"zyxwolt.onmicrosoft.com","credential":{"kind":"deviceCode"}},` +
		`"forests":[{"name":"zyxwolt","domains":["` + domain + `"],"namespace":{"autodiscover":"autodiscover.` + domain +
		`","ews":"mail.` + domain + `","smtp":"mail.` + domain + `"},"directory":{"domain":"` + domain + `","bind":{"kind":"kerberos"}},` +
		`"exchange":{"server":"qserv1.` + domain + `","credential":{"kind":"kerberos"}}}]}`)
}

func redacted(t *testing.T, domain string, readings ...Reading) (Snapshot, Names) {
	t.Helper()
	s := Snapshot{APIVersion: "hybridge/v1", Kind: Kind, TakenAt: time.Unix(1, 0).UTC(), Answers: answersOf(domain),
		Readings: readings}
	out, names, err := Redact(s)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Decode(bytes.NewReader(out.Encode())); err != nil {
		t.Fatalf("the redacted snapshot cannot be read: %v", err)
	}
	return out, names
}

// Names that are planted wherever a system can say something are in no redacted snapshot, also
// such as are words of hybridge.
func TestRedactedNamesAreGone(t *testing.T) {
	planted := []string{"Zyxwolt", "qserv1", "Qwelfgar", "Jörgüß", "7d3c1b2a-1111-4222-8333-444455556666", "81.200.33.44",
		"Mark Page", "mark.page", "exchange-grant.de", "S-1-5-21-111222333-4445556667-888999000", "4915123456789",
		"00f1e2d3c4b5a69788796a5b4c3d2e1f00112233", "2a02:810a:1234::5"}
	answer := `[{"$types":["Microsoft.Exchange.Data.Directory.Management.Mailbox"],"$text":"zyxwolt.test/Users/Mark Page",
"Name":"Mark Page","DisplayName":"Mark Page","Alias":"mark","SamAccountName":"qwelfgar","Phone":"4915123456789",
"UserPrincipalName":"mark.page@exchange-grant.de","EmailAddresses":["SMTP:mark.page@exchange-grant.de",
"smtp:Qwelfgar+Zyxwolt@zyxwolt.test","X500:/o=Zyxwolt/ou=Exchange Administrative Group/cn=Recipients/cn=Qwelfgar-7d3"],
"Notes":"ask Mark Page or J\u00f6rg\u00fc\u00df at 81.200.33.44 or 2a02:810a:1234::5","Sid":"S-1-5-21-111222333-4445556667-888999000-1105",
"Guid":"7d3c1b2a-1111-4222-8333-444455556666","Thumbprint":"00F1E2D3C4B5A69788796A5B4C3D2E1F00112233",
"Table":{"$hashtable":{"qserv1":"on qserv1.zyxwolt.test"}},"RecipientTypeDetails":"UserMailbox","Version":"15.2.1748.10",
"WhenCreated":{"$time":"2026-11-01T10:00:00Z"}}]`
	failed := &Failure{Text: "object 'Qwelfgar' couldn't be found on 'qserv1.zyxwolt.test' (81.200.33.44): Access is denied",
		Hint: "ask Mark Page", As: []Typed{{"name", json.RawMessage(`{"Name":"mail.zyxwolt.test"}`)}}}
	out, names := redacted(t, "zyxwolt.test",
		Reading{Place: "zyxwolt", System: "Exchange on-premises", Ask: "Get-Mailbox -Identity 'J%C3%B6rg\u00fc\u00df'",
			Answer: json.RawMessage(strings.ReplaceAll(answer, "\n", "")), Error: failed},
		Reading{Place: "zyxwolt", System: "Exchange on-premises", Ask: "Get-Mailbox -Identity 'Qwelfgar' -Server qserv1",
			Answer: json.RawMessage("[]")})
	file := out.Encode()
	for _, name := range planted {
		if bytes.Contains(bytes.ToLower(file), []byte(strings.ToLower(name))) {
			t.Errorf("%s is in the redacted snapshot:\n%s", name, file)
		}
	}
	for _, stays := range []string{"UserMailbox", "15.2.1748.10", "2026-11-01T10:00:00Z", "Access is denied",
		"Get-Mailbox -Identity", "Microsoft.Exchange.Data.Directory.Management.Mailbox", ".test", "Exchange Administrative Group"} {
		if !bytes.Contains(file, []byte(stays)) {
			t.Errorf("%s is missing:\n%s", stays, file)
		}
	}
	if back := names.Restore(out.Readings[0].Error.Text); back != failed.Text &&
		!strings.EqualFold(back, failed.Text) {
		t.Errorf("restored: %s", back)
	}
}

// Relations of names stay: the same word is the same one, whatever its case, wherever it stands.
func TestRedactedRelationsStay(t *testing.T) {
	r := testRedactor(t)
	same := func(s string) string { return r.text(s, false) }
	domain := same("qwelfgar.test")
	for _, within := range []string{"mail.qwelfgar.test", "MAIL.QWELFGAR.TEST", "anna.zilpo@qwelfgar.test",
		"https://mail.qwelfgar.test/EWS/Exchange.asmx", "SMTP:Anna.Zilpo+Plus@qwelfgar.test"} {
		if !strings.Contains(strings.ToLower(same(within)), domain) {
			t.Errorf("%s became %s, and its domain %s", within, same(within), domain)
		}
	}
	if a, b := same("qwelfgar-test.mail.protection.outlook.com"), strings.ReplaceAll(domain, ".", "-"); !strings.HasPrefix(a,
		b+".mail.protection.outlook.com") {
		t.Errorf("host of the cloud %s, domain %s", a, domain)
	}
	for _, s := range []string{"10.1.2.0/24", "10.1.2.7", "10.1.2.3-10.1.2.9"} {
		if got := same(s); !strings.HasPrefix(got, "10.") || got == s || same(s) != got {
			t.Errorf("%s became %s", s, got)
		}
	}
	network, host := same("203.0.113.0/24"), same("203.0.113.77")
	if strings.TrimSuffix(network, "0/24") != host[:strings.LastIndexByte(host, '.')+1] {
		t.Errorf("%s left its network %s", host, network)
	}
	for _, s := range []string{"0.0.0.0-255.255.255.255", "127.0.0.1:25", "1.3.6.1.5.5.7.3.1", "Version 15.2 (Build 1748.10)",
		"(15.0.0.0)", "00:15:00", "20261127044108.8Z", "40.92.1.2", "::1"} {
		if got := same(s); got != s {
			t.Errorf("%s became %s", s, got)
		}
	}
	for _, s := range []string{"Qwelfgar", "qx", "äöüß", "zyx-12345678", "ümlaut@qwelfgar.test"} {
		if got := same(s); utf8.RuneCountInString(got) != utf8.RuneCountInString(s) || !strings.EqualFold(r.back0(got), s) {
			t.Errorf("%s became %s, and back %s", s, got, r.back0(got))
		}
	}
}

func testRedactor(t testing.TB) *redactor {
	t.Helper()
	r := &redactor{Names: Names{forward: map[string]string{}, back: map[string]string{}}, key: []byte("k"),
		phrases: map[string][][]string{}, suffixes: map[string]bool{}}
	r.public = func(w string) bool { return public()[w] }
	if _, err := r.forge(Snapshot{}); err != nil {
		t.Fatal(err)
	}
	return r
}

func (r *redactor) back0(s string) string { return r.Restore(s) }

// No word stands for itself, for a word that stays, or for two words.
func TestRedactedWordsAreOthers(t *testing.T) {
	r := testRedactor(t)
	seen := map[string]string{}
	for a := 'a'; a <= 'z'; a++ {
		for b := 'a'; b <= 'z'; b++ {
			word := string([]rune{a, b, 'q'})
			if r.public(word) {
				continue
			}
			got := r.text(word, false)
			if got == word || r.public(got) || seen[got] != "" {
				t.Errorf("%s became %s, as %s", word, got, seen[got])
			}
			seen[got] = word
		}
	}
}

// FuzzRedact reads what servers and files say.
func FuzzRedact(f *testing.F) {
	for _, s := range []string{"anna@contoso.test", "10.0.0.1-10.0.0.9", "2001:db8::/32", "%C3%BC%20x", "MIIB", "S-1-5-21-1-2-3-4",
		"\xff\x00", "İstanbul ß", "1.2.3.4/99", "a:b:c:d"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		r := testRedactor(t)
		got := r.text(s, false)
		if again := r.text(s, false); again != got {
			t.Errorf("%q became %q, and then %q", s, got, again)
		}
		_ = r.value(s, "Name", manner{people: true})
		_ = r.bytes([]byte(s))
	})
}
