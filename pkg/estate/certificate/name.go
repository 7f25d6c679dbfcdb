package certificate

import (
	"crypto/x509"
	"encoding/asn1"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// keywords are the attribute types that Windows prints by a keyword; others print as OID.1.2.3.
// Windows has S for stateOrProvinceName and E for an e-mail address where RFC 4514 has ST and an
// OID. CN to STREET are read from what Exchange servers print; the rest are recalled.
var keywords = map[string]string{
	"2.5.4.3":                    "CN",
	"2.5.4.6":                    "C",
	"2.5.4.7":                    "L",
	"2.5.4.8":                    "S",
	"2.5.4.10":                   "O",
	"2.5.4.11":                   "OU",
	"2.5.4.9":                    "STREET",
	"1.2.840.113549.1.9.1":       "E",
	"0.9.2342.19200300.100.1.25": "DC",
	"2.5.4.4":                    "SN",
	"2.5.4.5":                    "SERIALNUMBER",
	"2.5.4.12":                   "T",
	"2.5.4.13":                   "Description",
	"2.5.4.17":                   "PostalCode",
	"2.5.4.18":                   "POBox",
	"2.5.4.20":                   "Phone",
	"2.5.4.42":                   "G",
	"2.5.4.43":                   "I",
	"2.5.4.46":                   "dnQualifier",
}

// Attribute is one attribute of a distinguished name: Type as printed ("CN", "OID.2.5.4.15"), Value
// unquoted.
type Attribute struct {
	Type, Value string
	// Joined says that it belongs to the same relative name as the one before it ("CN=a + OU=b").
	Joined bool
}

type attributeValue struct {
	Type  asn1.ObjectIdentifier
	Value asn1.RawValue
}

type relativeNameSET []attributeValue // encoding/asn1 takes the type from the suffix SET

// FormatName renders a DER distinguished name the way .NET does (X509Certificate2.Subject), and
// with it Exchange: most specific part first, ", " between, " + " within a relative name, values
// quoted when they hold one of ,+="\n<>#; or begin or end with white space, quotes doubled.
func FormatName(der []byte) (string, error) {
	var sequence []relativeNameSET
	rest, err := asn1.Unmarshal(der, &sequence)
	if err != nil || len(rest) > 0 {
		return "", errors.New("not a distinguished name")
	}
	var attributes []Attribute
	for i := len(sequence) - 1; i >= 0; i-- {
		for j, a := range sequence[i] {
			oid := a.Type.String()
			name, ok := keywords[oid]
			if !ok {
				name = "OID." + oid
			}
			value, ok := text(a.Value)
			if !ok {
				value = "#" + strings.ToUpper(hex.EncodeToString(a.Value.FullBytes))
			}
			attributes = append(attributes, Attribute{Type: name, Value: value, Joined: j > 0})
		}
	}
	return JoinName(attributes), nil
}

// text decodes an ASN.1 string of any of the types that X.520 allows.
func text(v asn1.RawValue) (string, bool) {
	if v.Class != asn1.ClassUniversal || v.IsCompound {
		return "", false
	}
	b := v.Bytes
	switch v.Tag {
	case asn1.TagUTF8String, asn1.TagPrintableString, asn1.TagIA5String, asn1.TagNumericString, 26: // 26: VisibleString
		return string(b), utf8.Valid(b)
	case asn1.TagT61String: // in practice Latin-1
		r := make([]rune, len(b))
		for i, c := range b {
			r[i] = rune(c)
		}
		return string(r), true
	case asn1.TagBMPString:
		if len(b)%2 != 0 {
			return "", false
		}
		u := make([]uint16, len(b)/2)
		for i := range u {
			u[i] = uint16(b[2*i])<<8 | uint16(b[2*i+1])
		}
		return string(utf16.Decode(u)), true
	case 28: // UniversalString
		if len(b)%4 != 0 {
			return "", false
		}
		var s strings.Builder
		for i := 0; i < len(b); i += 4 {
			s.WriteRune(rune(b[i])<<24 | rune(b[i+1])<<16 | rune(b[i+2])<<8 | rune(b[i+3]))
		}
		return s.String(), true
	}
	return "", false
}

// JoinName renders attributes as a distinguished name, in the order given.
func JoinName(attributes []Attribute) string {
	var b strings.Builder
	for i, a := range attributes {
		switch {
		case i == 0:
		case a.Joined:
			b.WriteString(" + ")
		default:
			b.WriteString(", ")
		}
		b.WriteString(a.Type)
		b.WriteByte('=')
		b.WriteString(quote(a.Value))
	}
	return b.String()
}

func quote(value string) string {
	if value != "" && !strings.ContainsAny(value, ",+=\"\n<>#;") && strings.TrimSpace(value) == value {
		return value
	}
	return `"` + strings.ReplaceAll(value, `"`, `""`) + `"`
}

// ParseName reads a distinguished name as Exchange prints it. The empty name has no attributes.
func ParseName(name string) ([]Attribute, error) {
	var out []Attribute
	rest := strings.TrimSpace(name)
	joined := false
	for rest != "" {
		kind, value, ok := strings.Cut(rest, "=")
		kind = strings.TrimSpace(kind)
		if !ok || kind == "" || strings.ContainsAny(kind, ",+\"<>;\n") {
			return nil, fmt.Errorf("distinguished name %q: attribute without a type", shorten(name))
		}
		value = strings.TrimLeft(value, " ")
		var separator byte
		if strings.HasPrefix(value, `"`) {
			unquoted, tail, ok := cutQuoted(value)
			if !ok {
				return nil, fmt.Errorf("distinguished name %q: quote not closed", shorten(name))
			}
			tail = strings.TrimLeft(tail, " ")
			value = unquoted
			if tail != "" {
				if separator = tail[0]; separator != ',' && separator != '+' && separator != ';' {
					return nil, fmt.Errorf("distinguished name %q: text after a quoted value", shorten(name))
				}
				tail = tail[1:]
			}
			rest = tail
		} else if end := strings.IndexAny(value, ",+;"); end >= 0 {
			separator, rest, value = value[end], value[end+1:], strings.TrimRight(value[:end], " ")
		} else {
			rest, value = "", strings.TrimRight(value, " ")
		}
		out = append(out, Attribute{Type: kind, Value: value, Joined: joined})
		joined = separator == '+'
		rest = strings.TrimLeft(rest, " ")
		if separator != 0 && rest == "" {
			return nil, fmt.Errorf("distinguished name %q: ends with a separator", shorten(name))
		}
	}
	return out, nil
}

func cutQuoted(s string) (value, rest string, ok bool) {
	var b strings.Builder
	for i := 1; i < len(s); i++ {
		if s[i] != '"' {
			b.WriteByte(s[i])
			continue
		}
		if i+1 < len(s) && s[i+1] == '"' {
			b.WriteByte('"')
			i++
			continue
		}
		return b.String(), s[i+1:], true
	}
	return "", "", false
}

func shorten(s string) string {
	if len(s) > 120 {
		return strings.ToValidUTF8(s[:120], "") + "..."
	}
	return s
}

// CommonName returns the first CN of a printed distinguished name; "" when it has none or does not
// parse.
func CommonName(name string) string {
	attributes, err := ParseName(name)
	if err != nil {
		return ""
	}
	for _, a := range attributes {
		if strings.EqualFold(a.Type, "CN") {
			return a.Value
		}
	}
	return ""
}

// Subject is the certificate's subject as Exchange prints it.
func Subject(c *x509.Certificate) string { return printed(c.RawSubject) }

// Issuer is the certificate's issuer as Exchange prints it.
func Issuer(c *x509.Certificate) string { return printed(c.RawIssuer) }

func printed(der []byte) string {
	s, err := FormatName(der)
	if err != nil {
		return "" // crypto/x509 has parsed these names before; it refuses what FormatName does
	}
	return s
}

// Identifier is the value of a connector's TlsCertificateName: which certificate, by issuer and
// subject, so that renewals are found too.
type Identifier struct{ Issuer, Subject string }

// IdentifierOf makes a certificate's identifier.
func IdentifierOf(c *x509.Certificate) Identifier { return Identifier{Issuer(c), Subject(c)} }

// String renders "<I>issuer<S>subject".
func (id Identifier) String() string { return "<I>" + id.Issuer + "<S>" + id.Subject }

// Equal compares as Exchange does: the printed names, without case.
func (id Identifier) Equal(other Identifier) bool {
	return strings.EqualFold(id.Issuer, other.Issuer) && strings.EqualFold(id.Subject, other.Subject)
}

// ParseIdentifier reads "<I>issuer<S>subject", with markers in either case. A marker within a
// quoted value does not separate. A closing marker, as in XML, is refused.
func ParseIdentifier(s string) (Identifier, error) {
	rest := strings.TrimSpace(s)
	marks := func(at int, marker string) bool {
		return len(rest) >= at+len(marker) && strings.EqualFold(rest[at:at+len(marker)], marker)
	}
	if !marks(0, "<I>") {
		return Identifier{}, fmt.Errorf("certificate name %q: does not begin with <I>", shorten(s))
	}
	rest = rest[3:]
	quoted := false
	for i := range len(rest) {
		if !quoted && (marks(i, "</I>") || marks(i, "</S>")) {
			return Identifier{}, fmt.Errorf("certificate name %q: <I> and <S> have no closing markers", shorten(s))
		}
		if rest[i] == '"' {
			quoted = !quoted
		}
	}
	for i := range len(rest) {
		switch {
		case rest[i] == '"':
			quoted = !quoted
		case !quoted && marks(i, "<S>"):
			id := Identifier{Issuer: strings.TrimSpace(rest[:i]), Subject: strings.TrimSpace(rest[i+3:])}
			for _, name := range []string{id.Issuer, id.Subject} {
				if _, err := ParseName(name); err != nil {
					return Identifier{}, fmt.Errorf("certificate name %q: %w", shorten(s), err)
				}
			}
			if id.Issuer == "" {
				return Identifier{}, fmt.Errorf("certificate name %q: no issuer", shorten(s))
			}
			return id, nil
		}
	}
	return Identifier{}, fmt.Errorf("certificate name %q: no <S>", shorten(s))
}
