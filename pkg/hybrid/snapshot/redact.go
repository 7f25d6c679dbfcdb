package snapshot

import (
	"bytes"
	"compress/flate"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"

	"golang.org/x/net/publicsuffix"
)

// Redaction replaces every word that hybridge itself does not name by another of the same length
// and kinds of characters, the same one wherever it is in the file. What a name is made of is
// replaced piece by piece, so that relations stay: of subdomains, of addresses that are equal, of
// the host of an address. Numbers, times and versions stay. Certificates are made anew with new
// keys, and what refers to them follows.

// escapedLetter is a letter, a digit or a part of one in an address of the web.
const escapedLetter = `%(?:3[0-9]|[46][1-9A-Fa-f]|[57][0-9Aa]|[89A-Fa-f][0-9A-Fa-f])`

// pieces are the parts of a text that stay or are replaced as a whole. The first alternative that
// matches counts.
var pieces = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(strings.Join([]string{
		`[0-9A-Fa-f]{8}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{12}`, // GUID
		`S-1-5-21-[0-9]+-[0-9]+-[0-9]+`,                                               // domain of a SID
		`[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:.]+(?:Z|[+-][0-9]{2}:?[0-9]{2})?`,            // time
		`20[0-9]{12}(?:\.[0-9]+)?Z`,                                                   // generalized time
		// code of an error; longer ones are words
		`0x[0-9A-Fa-f]{1,8}\b`,
		`[0-2](?:\.[0-9]+){4,}`, // object identifier
		// name of an address in a reverse zone
		`(?i:(?:[0-9]{1,3}\.){4}in-addr\.arpa|(?:[0-9a-f]\.){4,32}ip6\.arpa)`,
		// address, network, or range of IPv4
		`[0-9]{1,3}\.[0-9]{1,3}\.[0-9]{1,3}\.[0-9]{1,3}(?:/[0-9]{1,2}\b|-[0-9]{1,3}\.[0-9]{1,3}\.[0-9]{1,3}\.[0-9]{1,3})?`,
		`\b[0-9]{1,3}-[0-9]{1,3}-[0-9]{1,3}-[0-9]{1,3}\b`, // address of IPv4 in the name of a host
		// address of IPv6, if it is one
		`[0-9A-Fa-f]{0,4}(?::[0-9A-Fa-f]{0,4}){2,7}(?:\.[0-9]{1,3}\.[0-9]{1,3}\.[0-9]{1,3})?(?:/[0-9]{1,3}\b)?`,
		`\+[1-9][0-9]{0,2}\)?[0-9 ()./-]{5,}[0-9]`,                                   // number of a telephone
		`[0-9]+(?:\.[0-9]+)?(?:ns|µs|us|ms|s|m|h|d|KB|MB|GB|TB)\b`,                   // measure
		`(?:[\pL\pN\pM._+~]|-|` + escapedLetter + `)+@`,                              // local part of an address
		`%(?:[0-2][0-9A-Fa-f]|3[A-Fa-f]|[46]0|[57][B-Fb-f])`,                         // escaped separator
		`(?:[\pL\pN\pM\x{24B6}-\x{24E9}\x{1F130}-\x{1F189}]|` + escapedLetter + `)+`, // word, also in circles
	}, "|"))
})

// lasting are prefixes of the names of system mailboxes and accounts, by which code knows them.
var lasting = []string{"discoverysearchmailbox", "systemmailbox", "federatedemail", "healthmailbox", "migration",
	"microsoftexchange", "postmaster", "administrator", "msol"}

// Names are the replaced words of a redacted snapshot, with what stands for each.
type Names struct {
	forward, back map[string]string // in lower case
	by            *redactor
}

// redactor replaces words.
type redactor struct {
	Names
	key      []byte
	public   func(word string) bool
	suffixes map[string]bool       // words at the end of the domains
	phrases  map[string][][]string // names of public words alone, by their first word
	certs    *forger
	restore  bool // the words of the redaction become those before
}

// Redact returns the snapshot with other names, and the names. No name of the snapshot is in it.
func Redact(s Snapshot) (Snapshot, Names, error) {
	key := make([]byte, 32)
	if _, err := rand.Read(key); err != nil {
		return Snapshot{}, Names{}, err
	}
	r := &redactor{Names: Names{forward: map[string]string{}, back: map[string]string{}}, key: key,
		phrases: map[string][][]string{}}
	r.suffixes = map[string]bool{"onmicrosoft": true, "mail": true}
	r.public = func(w string) bool { return public()[w] || r.suffixes[w] }
	a, err := s.Deployment()
	if err != nil {
		return Snapshot{}, Names{}, err
	}
	names := []string{a.Organization}
	if a.ExchangeOnline != nil {
		names = append(names, a.ExchangeOnline.Tenant)
	}
	for _, f := range a.Forests {
		names = append(names, f.Domains...)
	}
	for _, d := range names {
		suffix, _ := publicsuffix.PublicSuffix(strings.ToLower(d))
		if strings.Contains(d, ".") {
			for label := range strings.SplitSeq(suffix, ".") {
				r.suffixes[label] = true
			}
		}
	}
	for _, d := range names {
		r.phrase(d)
	}
	if r.certs, err = r.forge(s); err != nil {
		return Snapshot{}, Names{}, fmt.Errorf("redact: %w", err)
	}
	r.identities(s.Answers, "")
	for _, reading := range s.Readings {
		if reading.Answer != nil {
			r.identities(reading.Answer, reading.Ask)
		}
	}
	out := s
	out.Redacted = true
	if out.Answers, err = r.json(s.Answers, manner{keys: true}); err != nil {
		return Snapshot{}, Names{}, err
	}
	out.Roots = nil
	for _, der := range s.Roots {
		out.Roots = append(out.Roots, r.der(der))
	}
	out.Readings = slices.Clone(s.Readings)
	for i := range out.Readings {
		if err := r.reading(&out.Readings[i]); err != nil {
			return Snapshot{}, Names{}, fmt.Errorf("redact: %s: %w", out.Readings[i].System, err)
		}
	}
	given := r.Names
	given.by = r
	return out, given, nil
}

// Words are what stands for each replaced word, in lower case.
func (n Names) Words() map[string]string { return maps.Clone(n.forward) }

// File replaces the names in another file of the same organization: JSON, JSON lines, or text.
func (n Names) File(data []byte) []byte {
	if out, err := n.by.json(data, manner{}); err == nil && json.Valid(data) {
		return out
	}
	var b bytes.Buffer
	for line := range bytes.Lines(data) {
		if out, err := n.by.json(line, manner{}); err == nil && json.Valid(line) {
			b.Write(append(out, '\n'))
			continue
		}
		b.WriteString(n.by.text(string(line), false))
	}
	return b.Bytes()
}

// Restore replaces the words of a redaction by those before.
func (n Names) Restore(text string) string {
	r := &redactor{Names: n, restore: true}
	return r.text(text, false)
}

// manner says how the texts of a value are read.
type manner struct {
	keys   bool // the names of members are those of a form
	people bool // of recipients: names may be made of any words
}

// recipients are the questions whose answers name people.
var recipients = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`(?i)^(get-(\w*mailbox|mailuser|mailcontact|recipient|user|distributiongroup)\b|users$|` +
		`get /users|get /groups|listusers|listgroups|describeuser|describegroup)`)
})

// nameMembers are the members of recipients that name them.
var nameMembers = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`(?i)^(\$text|name|displayname|simpledisplayname|alias|nickname|mailnickname|` +
		`samaccountname|firstname|lastname|givenname|surname|upn|userprincipalname|initials)$`)
})

// numberMembers are the members whose numbers name a person or a thing.
var numberMembers = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`(?i)phone|fax|pager|mobile|home|employee|attribute|serial|name$|alias|^upn$|office|` +
		`postal|zip|notes|comment|description|^info$|title`)
})

// phoneMembers are the members whose values are numbers in groups.
var phoneMembers = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`(?i)phone|fax|pager|mobile|employee|postal|zip`)
})

func (r *redactor) reading(at *Reading) (err error) {
	c := manner{people: recipients().MatchString(at.Ask)}
	c.keys = slices.Contains([]string{"Exchange on-premises", "Exchange Online", "Microsoft Graph", "Amazon WorkMail"},
		at.System)
	at.Place, at.Ask = r.text(at.Place, false), r.text(at.Ask, false)
	if at.Answer != nil {
		if at.Answer, err = r.json(at.Answer, c); err != nil {
			return err
		}
	}
	if at.Error == nil {
		return nil
	}
	f := *at.Error
	f.Text, f.Hint = r.text(f.Text, false), r.text(f.Hint, false)
	f.As = slices.Clone(f.As)
	for i := range f.As {
		if f.As[i].Value, err = r.json(f.As[i].Value, manner{}); err != nil {
			return err
		}
	}
	at.Error = &f
	return nil
}

// identities finds names that are made of public words alone. They are replaced as a whole.
func (r *redactor) identities(raw json.RawMessage, ask string) {
	people := recipients().MatchString(ask)
	_ = walk(raw, "", func(member, text string) {
		if people && nameMembers().MatchString(member) {
			r.phrase(text)
		}
		if !strings.ContainsRune(text, '@') {
			return
		}
		for _, piece := range pieces().FindAllString(text, -1) {
			if local, is := strings.CutSuffix(piece, "@"); is {
				r.phrase(local)
			}
		}
	})
}

// walk gives the texts of a value with the names of their members.
func walk(raw json.RawMessage, member string, see func(member, text string)) error {
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		return err
	}
	var down func(member string, v any)
	down = func(member string, v any) {
		switch v := v.(type) {
		case string:
			see(member, v)
		case []any:
			for _, e := range v {
				down(member, e)
			}
		case map[string]any:
			for k, e := range v {
				down(k, e)
			}
		}
	}
	down(member, v)
	return nil
}

// phrase remembers a name of two words or more that are all public.
func (r *redactor) phrase(name string) {
	if strings.ContainsRune(name, '{') {
		return // a system mailbox
	}
	if strings.ContainsRune(name, '@') {
		local, domain, _ := strings.Cut(name, "@")
		r.phrase(local)
		name = domain
	}
	words := pieces().FindAllString(strings.ToLower(name), -1)
	private := func(w string) bool { return !r.public(w) }
	if len(words) < 2 || slices.ContainsFunc(words, private) || slices.Contains(lasting, words[0]) {
		return
	}
	have := r.phrases[words[0]]
	if !slices.ContainsFunc(have, func(p []string) bool { return slices.Equal(p, words) }) {
		r.phrases[words[0]] = append(have, words)
	}
}

// json copies one value with other names. The sequence of members stays.
func (r *redactor) json(raw json.RawMessage, c manner) (json.RawMessage, error) {
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	var b bytes.Buffer
	if err := r.copy(d, &b, "", c); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

func (r *redactor) copy(d *json.Decoder, b *bytes.Buffer, member string, c manner) error {
	t, err := d.Token()
	if err != nil {
		return err
	}
	write := func(v any) error {
		raw, err := text(v)
		b.Write(raw)
		return err
	}
	switch t := t.(type) {
	case string:
		return write(r.value(t, member, c))
	case json.Delim:
		if t == '[' && strings.EqualFold(member, "guid") {
			return r.guidArray(d, b)
		}
		b.WriteString(t.String())
		for first := true; d.More(); first = false {
			if !first {
				b.WriteByte(',')
			}
			under := member
			if t == '{' {
				key, err := d.Token()
				if err != nil {
					return err
				}
				under, _ = key.(string)
				shown := under
				if !c.keys || !identifier(under) {
					shown = r.text(under, false)
				}
				if err := write(shown); err != nil {
					return err
				}
				b.WriteByte(':')
			}
			below := c
			if under == "$hashtable" {
				below.keys = false // its names are data
			}
			if err := r.copy(d, b, under, below); err != nil {
				return err
			}
		}
		end, err := d.Token()
		if err != nil {
			return err
		}
		b.WriteString(end.(json.Delim).String())
		return nil
	}
	return write(t)
}

// identifier reports whether the name of a member is one of a form: Identity, @odata.context, $types.
func identifier(name string) bool {
	if strings.HasPrefix(name, "extension_") { // the tenant gave it its name
		return false
	}
	for i, c := range name {
		letter := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '_'
		annotation := (c == '@' || c == '.') && strings.Contains(name, "@odata.")
		if !letter && !annotation && (i == 0 && c != '$' || i > 0 && (c < '0' || c > '9')) {
			return false
		}
	}
	return name != ""
}

// guidArray copies a GUID that is an array of its bytes.
func (r *redactor) guidArray(d *json.Decoder, b *bytes.Buffer) error {
	var in []byte
	for d.More() {
		t, err := d.Token()
		if err != nil {
			return err
		}
		n, ok := t.(json.Number)
		v, wrong := strconv.ParseUint(string(n), 10, 8)
		if !ok || wrong != nil {
			return fmt.Errorf("a GUID is made of bytes, not %v", t)
		}
		in = append(in, byte(v))
	}
	if _, err := d.Token(); err != nil {
		return err
	}
	b.WriteByte('[')
	for i, v := range r.bytes(in) {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString(strconv.Itoa(int(v)))
	}
	b.WriteByte(']')
	return nil
}

// value replaces the names in a text that is the value of a member.
func (r *redactor) value(s, member string, c manner) string {
	switch {
	case member == "$types", member == "$time", member == "$float":
		return s
	case member == "$bytes" || strings.HasSuffix(s, "=") || len(s) > 64:
		if raw, err := base64.StdEncoding.DecodeString(s); err == nil && len(raw) > 0 &&
			(member == "$bytes" || len(raw) >= 16 && (strings.HasSuffix(s, "=") || isDER(raw) ||
				inflated(raw) != nil)) {
			return base64.StdEncoding.EncodeToString(r.bytes(raw))
		}
	}
	if phoneMembers().MatchString(member) && strings.Trim(s, "+0123456789 ()./-") == "" && s != "" {
		return r.figures(s)
	}
	if whole := strings.Trim(s, "0123456789") == ""; whole && s != "" && !numberMembers().MatchString(member) {
		return s
	}
	return r.text(s, c.people && nameMembers().MatchString(member))
}

// text replaces the names in a text. force replaces public words too.
func (r *redactor) text(s string, force bool) string {
	if s == "" {
		return s
	}
	at := pieces().FindAllStringIndex(s, -1)
	var b strings.Builder
	end, local := 0, false // a domain follows
	put := func(m []int, force bool) {
		b.WriteString(s[end:m[0]])
		piece := s[m[0]:m[1]]
		b.WriteString(r.piece(piece, force))
		end = m[1]
		local = local || strings.HasSuffix(piece, "@")
	}
	for i := 0; i < len(at); i++ {
		n := r.phraseAt(s, at[i:])
		if n == 0 {
			put(at[i], force && !local)
			continue
		}
		for _, m := range at[i : i+n] {
			put(m, !r.suffixes[strings.ToLower(s[m[0]:m[1]])])
		}
		i += n - 1
	}
	b.WriteString(s[end:])
	return b.String()
}

// phraseAt returns how many pieces make a name of public words; 0: none.
func (r *redactor) phraseAt(s string, at [][]int) int {
	longest := 0
	for _, p := range r.phrases[strings.ToLower(s[at[0][0]:at[0][1]])] {
		if len(p) > len(at) || len(p) < longest {
			continue
		}
		same := true
		for i, w := range p {
			near := i == 0 || at[i][0]-at[i-1][1] <= 2
			same = same && near && strings.EqualFold(w, s[at[i][0]:at[i][1]])
		}
		if same {
			longest = len(p)
		}
	}
	return longest
}

// piece replaces one piece of a text.
func (r *redactor) piece(s string, force bool) string {
	if local, is := strings.CutSuffix(s, "@"); is {
		lower := strings.ToLower(local)
		known := slices.ContainsFunc(lasting, func(p string) bool { return strings.HasPrefix(lower, p) })
		return r.text(local, !known) + "@"
	}
	switch {
	case len(s) == 36 && s[8] == '-' && s[23] == '-':
		if l := strings.ToLower(s); !r.restore && (r.public(l) || r.public(l[:8]) || strings.Trim(l, "0-") == "") {
			return s
		}
		return r.named(s, func(lower string, try int) string {
			raw := r.bytesOf("guid", lower, try, 16)
			h := hex.EncodeToString(raw)
			return h[:8] + "-" + h[8:12] + "-" + lower[14:15] + h[13:16] + "-" + h[16:20] + "-" + h[20:]
		})
	case strings.HasPrefix(s, "S-1-5-21-"):
		return r.named(s, func(lower string, try int) string {
			raw := r.bytesOf("sid", lower, try, 12)
			n := binary.BigEndian
			return fmt.Sprintf("s-1-5-21-%d-%d-%d", n.Uint32(raw), n.Uint32(raw[4:]), n.Uint32(raw[8:]))
		})
	case strings.HasPrefix(s, "+") && strings.Trim(s, "+0123456789 ()./-") == "":
		return r.figures(s)
	case strings.HasSuffix(strings.ToLower(s), ".arpa"):
		return r.reversed(s)
	case strings.Count(s, "-") == 3 && strings.Trim(s, "0123456789-") == "":
		return strings.ReplaceAll(r.address(strings.ReplaceAll(s, "-", ".")), ".", "-")
	case strings.Count(s, ".") > 3 && strings.Trim(s, "0123456789.") == "":
		return r.objectID(s)
	case strings.HasPrefix(s, "%") && len(s) == 3 && separator(s),
		strings.HasPrefix(s, "0x") && len(s) <= 10, len(s) > 10 && s[4] == '-' && s[10] == 'T', measure(s),
		len(s) > 14 && strings.HasPrefix(s, "20") && strings.HasSuffix(s, "Z") && strings.Trim(s, "0123456789.Z") == "":
		return s
	case strings.ContainsAny(s, ".:") && !strings.ContainsFunc(s, func(c rune) bool {
		return !strings.ContainsRune("0123456789abcdefABCDEF.:/-", c)
	}):
		return r.address(s)
	}
	if strings.ContainsRune(s, '%') {
		plain, err := url.PathUnescape(s)
		if err != nil {
			return r.word(strings.ReplaceAll(s, "%", ""), force)
		}
		if !utf8.ValidString(plain) { // of Windows, before UTF-8
			var wide []rune
			for _, c := range []byte(plain) {
				wide = append(wide, rune(c))
			}
			plain = string(wide)
		}
		return url.PathEscape(r.word(plain, force))
	}
	return r.word(s, force)
}

// separator reports whether a piece is an escaped character that is no part of a word.
func separator(s string) bool {
	raw, err := hex.DecodeString(s[1:])
	return err == nil && raw[0] < utf8.RuneSelf && !unicode.IsLetter(rune(raw[0])) && !unicode.IsDigit(rune(raw[0]))
}

// figures replaces the digits of a number that names a person.
func (r *redactor) figures(s string) string {
	return r.named(s, func(lower string, try int) string {
		raw := r.bytesOf("figures", lower, try, len(lower))
		out := []byte(lower)
		for i, c := range out {
			if c >= '0' && c <= '9' {
				out[i] = '0' + raw[i]%10
			}
		}
		return string(out)
	})
}

// objectID replaces an object identifier that an organization made: of its own arc, or of its
// templates for certificates. Those of Microsoft and of standards stay.
func (r *redactor) objectID(s string) string {
	const enterprises, microsoft, templates = "1.3.6.1.4.1.", "311.", "21.8."
	own, is := strings.CutPrefix(s, enterprises)
	head := enterprises
	if after, of := strings.CutPrefix(own, microsoft); of {
		own, is = strings.CutPrefix(after, templates)
		head += microsoft + templates
	}
	if !is || own == "" {
		return s
	}
	return head + r.figures(own)
}

// reversed replaces the address that a name of a reverse zone is made of, as where it stands forward.
func (r *redactor) reversed(s string) string {
	if r.restore {
		return r.named(s, nil)
	}
	labels := strings.Split(strings.ToLower(s), ".")
	zone := strings.Join(labels[len(labels)-2:], ".")
	labels = labels[:len(labels)-2]
	slices.Reverse(labels)
	var text string
	bits := 32
	if zone == "in-addr.arpa" {
		text = strings.Join(labels, ".")
	} else {
		bits = 4 * len(labels)
		digits := strings.Join(labels, "") + strings.Repeat("0", 32-len(labels))
		for i := 0; i < 32; i += 4 {
			text += digits[i:i+4] + ":"
		}
		text = strings.TrimSuffix(text, ":")
	}
	a, err := netip.ParseAddr(text)
	if err != nil {
		return r.text(strings.ReplaceAll(s, ".", " "), true)
	}
	moved := r.moved(a, bits)
	if moved == a {
		return s
	}
	return r.named(s, func(string, int) string {
		var out []string
		if moved.Is4() {
			out = strings.Split(moved.String(), ".")
		} else {
			out = strings.Split(strings.ReplaceAll(moved.StringExpanded(), ":", ""), "")[:len(labels)]
		}
		slices.Reverse(out)
		return strings.Join(out, ".") + "." + zone
	})
}

// measure reports whether a piece is a number with its unit: 30s, 10MB.
func measure(s string) bool {
	unit := strings.TrimLeft(s, "0123456789.")
	return unit != s && strings.Contains(" ns µs us ms s m h d KB MB GB TB ", " "+unit+" ")
}

// crosses reports whether a word is what a firewall writes over the extensions of SMTP: XXXXXXXA.
func crosses(s string) bool {
	return len(s) > 4 && strings.Trim(s[:len(s)-1], "X") == "" && s[len(s)-1] >= 'A' && s[len(s)-1] <= 'Z'
}

// word replaces a word, or keeps one that is public.
func (r *redactor) word(s string, force bool) string {
	lower := strings.Map(unicode.ToLower, s)
	if r.restore {
		return r.named(s, nil)
	}
	n := utf8.RuneCountInString(s)
	if digits := strings.Trim(s, "0123456789") == ""; digits && (!force && n < 6 || n < 4) {
		return s // also where an address has it as a name
	}
	if n == 1 && s[0] < utf8.RuneSelf {
		return s // also where it is the small form of another letter, as of İ
	}
	if crosses(s) {
		return s
	}
	if to, known := r.forward[lower]; known && (force || !r.public(lower)) {
		return sameCase(s, to)
	}
	switch {
	case !force && r.public(lower):
		return s
	}
	head := strings.TrimRight(lower, "0123456789")
	for _, p := range lasting {
		if rest, is := strings.CutPrefix(lower, p); is && len(p) > 4 && (rest == "" || isHex(rest)) {
			head = p
		}
	}
	tail := len(lower) - len(head)
	switch {
	case len(head) < 4 || !slices.Contains(lasting, head) && (force || !r.public(head)):
		head = ""
	case tail < 8:
		return s // exchange2019, AADSTS700016
	}
	shape := []rune(lower[len(head):])
	return r.named(s, func(_ string, try int) string {
		alphabet := "abcdefghijklmnopqrstuvwxyz"
		if len(shape) >= 8 && isHex(string(shape)) {
			alphabet = "abcdef"
		}
		extra := try / 400 // all short words are taken
		raw := r.bytesOf("word", lower, try, 2*(len(shape)+extra))
		out := []rune(head)
		for i := range len(shape) + extra {
			x := int(binary.BigEndian.Uint16(raw[2*i:]))
			switch {
			case i < len(shape) && shape[i] >= '0' && shape[i] <= '9':
				out = append(out, rune('0'+x%10))
			case i < len(shape) && shape[i] >= utf8.RuneSelf:
				letters := []rune("àâäåæçèéêëîïñôöøùûü")
				out = append(out, letters[x%len(letters)])
			default:
				out = append(out, rune(alphabet[x%len(alphabet)]))
			}
		}
		return string(out)
	})
}

func isHex(s string) bool {
	return s != "" && strings.Trim(s, "0123456789abcdef") == "" && strings.ContainsAny(s, "0123456789")
}

// named returns what stands for a piece. make gives candidates until one is free.
func (r *redactor) named(s string, make func(lower string, try int) string) string {
	lower := strings.Map(unicode.ToLower, s)
	if r.restore {
		if from, known := r.back[lower]; known {
			return sameCase(s, from)
		}
		return s
	}
	if to, known := r.forward[lower]; known {
		return sameCase(s, to)
	}
	for try, before := 0, ""; ; try++ {
		to := make(lower, try)
		if _, taken := r.back[to]; (taken || r.public(to) || to == lower) && to != before {
			before = to // the only candidate, if it comes again
			continue
		}
		r.forward[lower], r.back[to] = to, lower
		return sameCase(s, to)
	}
}

// sameCase gives a word the capitals of another.
func sameCase(like, s string) string {
	capitals := []rune(like)
	all := len(capitals) > 1 && strings.ToUpper(like) == like
	out := []rune(s)
	for i := range out {
		if all || i < len(capitals) && unicode.IsUpper(capitals[i]) {
			out[i] = unicode.ToUpper(out[i])
		}
	}
	return string(out)
}

// bytesOf returns bytes that depend on the key and on what they stand for.
func (r *redactor) bytesOf(class, s string, try, n int) []byte {
	var out []byte
	for block := 0; len(out) < n; block++ {
		h := hmac.New(sha256.New, r.key)
		fmt.Fprintf(h, "%s\x00%s\x00%d\x00%d", class, s, try, block)
		out = h.Sum(out)
	}
	return out[:n]
}

// bytes replaces a value of bytes: a certificate, a fingerprint, a GUID, or anything else.
func (r *redactor) bytes(in []byte) []byte {
	if isDER(in) {
		return r.der(in)
	}
	if packed := inflated(in); packed != nil {
		return deflated(r.wide(packed))
	}
	if to, known := r.certs.digests[string(in)]; known {
		return []byte(to)
	}
	if len(in) != 16 {
		return r.bytesOf("bytes", string(in), 0, len(in))
	}
	// The first three fields of a GUID are little-endian.
	order := [16]int{3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15}
	mixed := make([]byte, 16)
	for i, j := range order {
		mixed[i] = in[j]
	}
	h := hex.EncodeToString(mixed)
	h = r.piece(h[:8]+"-"+h[8:12]+"-"+h[12:16]+"-"+h[16:20]+"-"+h[20:], false)
	mixed, err := hex.DecodeString(strings.ReplaceAll(h, "-", ""))
	if err != nil {
		return in
	}
	out := make([]byte, 16)
	for i, j := range order {
		out[j] = mixed[i]
	}
	return out
}

// address replaces an IP address, a network or a range. Addresses of one network stay together.
func (r *redactor) address(s string) string {
	if r.restore {
		return r.named(s, nil)
	}
	if r.public(s) {
		return s
	}
	from, to, ranged := strings.Cut(s, "-")
	base, bits, network := strings.Cut(from, "/")
	first, err := netip.ParseAddr(base)
	if err != nil {
		if first, err = netip.ParseAddr(leadingZero().ReplaceAllString(s, "$1")); err == nil && first.Is4() {
			return r.named(s, func(string, int) string { return r.moved(first, 32).String() })
		}
		parts := strings.Split(s, ":") // a version, or words
		for i, p := range parts {
			if p != "" && len(parts) > 1 {
				parts[i] = r.text(p, false)
			}
		}
		return strings.Join(parts, ":")
	}
	if first.Is4() && !network && !ranged && strings.HasSuffix(s, ".0.0") {
		return s // 15.0.0.0 is a version
	}
	size := first.BitLen()
	keep := size
	switch {
	case network:
		keep, err = strconv.Atoi(bits)
		if err != nil || keep > size {
			return s
		}
	case ranged:
		last, err := netip.ParseAddr(to)
		if err != nil || last.Is4() != first.Is4() {
			return s
		}
		keep = commonBits(first.AsSlice(), last.AsSlice())
		a, b := r.moved(first, keep), r.moved(last, keep)
		if a == first && b == last {
			return s
		}
		return r.named(s, func(string, int) string { return a.String() + "-" + b.String() })
	}
	moved := r.moved(first, keep).String()
	if network {
		moved += "/" + bits
	}
	if moved == strings.ToLower(s) {
		return s
	}
	return r.named(s, func(string, int) string { return moved })
}

// leadingZero are zeros before the digits of a number: 010.
var leadingZero = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`\b0+([0-9])`) })

func commonBits(a, b []byte) (n int) {
	for n < 8*len(a) && (a[n/8]^b[n/8])>>(7-n%8)&1 == 0 {
		n++
	}
	return n
}

// moved replaces the first bits of an address, so that addresses with the same first bits have the
// same ones again. What the kind of an address shows stays: private, local, of everyone.
func (r *redactor) moved(a netip.Addr, bits int) netip.Addr {
	if a.Is4In6() {
		return netip.AddrFrom16(r.moved(a.Unmap(), max(0, bits-96)).As16())
	}
	if a.IsLoopback() || a.IsUnspecified() || a.IsMulticast() || a == netip.AddrFrom4([4]byte{255, 255, 255, 255}) {
		return a
	}
	raw := a.AsSlice()
	fixed := 8
	switch {
	case a.Is6():
		fixed = 16
	case slices.Contains([]byte{100, 169, 172, 192, 198, 203}, raw[0]):
		fixed = 16
	case raw[0] == 0, raw[0] >= 224:
		return a
	}
	for _, p := range publicNetworks() {
		if p.Contains(a) {
			return a
		}
	}
	out := slices.Clone(raw)
	for i := fixed; i < bits; i++ {
		prefix := slices.Clone(raw)
		prefix[i/8] &^= 0xff >> (i % 8)
		clear(prefix[i/8+1:])
		if r.bytesOf("bit", string(prefix), i, 1)[0]&1 == 1 {
			out[i/8] ^= 0x80 >> (i % 8)
		}
	}
	moved, _ := netip.AddrFromSlice(out)
	return moved
}

// publicNetworks are the networks that the code names: those of Microsoft.
var publicNetworks = sync.OnceValue(func() (out []netip.Prefix) {
	for w := range public() {
		if p, err := netip.ParsePrefix(w); err == nil && p.Bits() > 8 && !p.Addr().IsPrivate() {
			out = append(out, p)
		}
	}
	return out
})

// maxInflated limits a packed text: Microsoft's wizard keeps one of its runs as a comment.
const maxInflated = 1 << 20

// inflated is the text that bytes pack by DEFLATE; nil: they do not.
func inflated(in []byte) []byte {
	if len(in) < 32 {
		return nil
	}
	out, err := io.ReadAll(io.LimitReader(flate.NewReader(bytes.NewReader(in)), maxInflated))
	if err != nil || len(out) < 16 || len(out) == maxInflated ||
		!utf8.Valid(bytes.ReplaceAll(bytes.TrimPrefix(out, []byte{0xff, 0xfe}), []byte{0}, nil)) {
		return nil
	}
	return out
}

func deflated(in []byte) []byte {
	var b bytes.Buffer
	w, err := flate.NewWriter(&b, flate.BestCompression)
	if err != nil {
		panic(err) // of the level
	}
	_, _ = w.Write(in) // to memory
	_ = w.Close()
	return b.Bytes()
}

// wide replaces the names in a text of UTF-16, little-endian as .NET writes it, or of UTF-8.
func (r *redactor) wide(in []byte) []byte {
	if bytes.Count(in, []byte{0}) < len(in)/4 || len(in)%2 == 1 {
		return []byte(r.elements(string(in)))
	}
	units := make([]uint16, 0, len(in)/2)
	for i := 0; i < len(in); i += 2 {
		units = append(units, binary.LittleEndian.Uint16(in[i:]))
	}
	var out []byte
	for _, u := range utf16.Encode([]rune(r.elements(string(utf16.Decode(units))))) {
		out = binary.LittleEndian.AppendUint16(out, u)
	}
	return out
}

// elements replaces the names in a text of XML. A value that is a number alone stays.
func (r *redactor) elements(s string) string {
	var b strings.Builder
	for s != "" {
		i := strings.IndexAny(s, "<>")
		if i < 0 {
			i = len(s)
		}
		b.WriteString(r.value(s[:i], "", manner{}))
		if i < len(s) {
			b.WriteByte(s[i])
			i++
		}
		s = s[i:]
	}
	return b.String()
}
