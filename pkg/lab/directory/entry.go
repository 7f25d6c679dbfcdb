package directory

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/go-ldap/ldap/v3"
)

// Entry is one object of the tree, as it would stand in LDIF. Values are bytes in a string. What
// Active Directory adds by itself (distinguishedName, name, objectGUID, objectCategory) is added
// when it is missing.
type Entry struct {
	DN         string
	Attributes map[string][]string
}

// NewEntry makes an entry of attribute names and values: NewEntry("CN=x,DC=y", "objectClass",
// "top", "objectClass", "container"). An empty value adds nothing.
func NewEntry(dn string, pairs ...string) Entry {
	e := Entry{DN: dn, Attributes: map[string][]string{}}
	for i := 0; i+1 < len(pairs); i += 2 {
		e.add(pairs[i], pairs[i+1])
	}
	return e
}

func (e Entry) add(name string, values ...string) {
	for _, v := range values {
		if v != "" {
			e.Attributes[name] = append(e.Attributes[name], v)
		}
	}
}

// record is an Entry prepared for searching.
type record struct {
	dn         string
	key        string // canonical DN
	context    string // key of its naming context
	attributes []attribute
	byName     map[string]int // lower case -> index in attributes
}

type attribute struct {
	name   string // as the schema writes it
	values []string
}

func (r *record) values(name string) []string {
	if i, ok := r.byName[strings.ToLower(name)]; ok {
		return r.attributes[i].values
	}
	return nil
}

// canonical returns the form in which DNs are compared: lower case, no spaces around separators,
// separators in values as hex.
func canonical(dn string) (string, error) {
	parsed, err := ldap.ParseDN(dn)
	if err != nil {
		return "", err
	}
	parts := make([]string, len(parsed.RDNs))
	for i, r := range parsed.RDNs {
		var avas []string
		for _, a := range r.Attributes {
			avas = append(avas, strings.ToLower(a.Type)+"="+separators.Replace(strings.ToLower(a.Value)))
		}
		slices.Sort(avas)
		parts[i] = strings.Join(avas, "+")
	}
	return strings.Join(parts, ","), nil
}

var separators = strings.NewReplacer(`\`, `\5c`, ",", `\2c`, "+", `\2b`, "=", `\3d`)

// below reports whether key is base or under it.
func below(key, base string) bool {
	return key == base || base == "" || strings.HasSuffix(key, ","+base)
}

func parent(key string) string {
	_, rest, _ := strings.Cut(key, ",")
	return rest
}

// guid derives an objectGUID from a name, so that every run has the same ones.
func guid(name string) string {
	h := sha256.Sum256([]byte("objectGUID:" + strings.ToLower(name)))
	h[7] = h[7]&0x0f | 0x40 // version 4; the third field is little-endian
	h[8] = h[8]&0x3f | 0x80
	return string(h[:16])
}

// sid makes a security identifier of the domain with a relative identifier.
func sid(domain string, rid uint32) string {
	h := sha256.Sum256([]byte("objectSid:" + strings.ToLower(domain)))
	b := []byte{1, 5, 0, 0, 0, 0, 0, 5, 21, 0, 0, 0}
	b = append(b, h[:12]...)
	return string(binary.LittleEndian.AppendUint32(b, rid))
}

// ParseGUID turns 8-4-4-4-12 hexadecimal digits into the sixteen bytes of an objectGUID.
func ParseGUID(s string) (string, error) {
	digits := strings.ReplaceAll(s, "-", "")
	if len(digits) != 32 || len(s) != 36 {
		return "", fmt.Errorf("%q is not a GUID", s)
	}
	var b [16]byte
	for i, j := range [16]int{3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15} {
		n, err := strconv.ParseUint(digits[2*i:2*i+2], 16, 8)
		if err != nil {
			return "", fmt.Errorf("%q is not a GUID", s)
		}
		b[j] = byte(n)
	}
	return string(b[:]), nil
}

// superclasses of the classes that searches select by.
var superclasses = map[string][]string{
	"user":                               {"top", "person", "organizationalPerson", "user"},
	"contact":                            {"top", "person", "organizationalPerson", "contact"},
	"computer":                           {"top", "person", "organizationalPerson", "user", "computer"},
	"serviceconnectionpoint":             {"top", "leaf", "connectionPoint", "serviceConnectionPoint"},
	"trusteddomain":                      {"top", "leaf", "trustedDomain"},
	"msexchwebservicesvirtualdirectory":  {"top", "msExchVirtualDirectory", "msExchWebServicesVirtualDirectory"},
	"msexchowavirtualdirectory":          {"top", "msExchVirtualDirectory", "msExchOWAVirtualDirectory"},
	"msexchecpvirtualdirectory":          {"top", "msExchVirtualDirectory", "msExchECPVirtualDirectory"},
	"msexchautodiscovervirtualdirectory": {"top", "msExchVirtualDirectory", "msExchAutoDiscoverVirtualDirectory"},
	"msexchpowershellvirtualdirectory":   {"top", "msExchVirtualDirectory", "msExchPowerShellVirtualDirectory"},
	"msexchmobilevirtualdirectory":       {"top", "msExchVirtualDirectory", "msExchMobileVirtualDirectory"},
	"msexchoabvirtualdirectory":          {"top", "msExchVirtualDirectory", "msExchOABVirtualDirectory"},
	"msexchmapivirtualdirectory":         {"top", "msExchVirtualDirectory", "msExchMapiVirtualDirectory"},
	"msexchorganizationcontainer":        {"top", "container", "msExchOrganizationContainer"},
	"msexchexchangeserver":               {"top", "server", "msExchExchangeServer"},
	"msexchauthauthconfig":               {"top", "container", "msExchAuthAuthConfig"},
	"msexchavailabilityconfig":           {"top", "container", "msExchAvailabilityConfig"},
}

// category is the common name of a class's default object category: the class's own name, with
// hyphens between its words.
func category(class string) string {
	switch strings.ToLower(class) {
	case "user", "person", "contact", "organizationalperson", "inetorgperson":
		return "Person"
	case "domaindns":
		return "Domain-DNS"
	}
	upper := func(c byte) bool { return c >= 'A' && c <= 'Z' }
	var b strings.Builder
	for i := range len(class) {
		c := class[i]
		wordBegins := i > 0 && upper(c) && (!upper(class[i-1]) || i+1 < len(class) && !upper(class[i+1]))
		switch {
		case wordBegins && class[i-1] != '-':
			b.WriteByte('-')
		case i == 0 && !strings.HasPrefix(class, "ms"):
			c = strings.ToUpper(class[:1])[0]
		}
		b.WriteByte(c)
	}
	return b.String()
}

// prepare adds the attributes that Active Directory sets itself, and indexes e for searching.
func prepare(e Entry, schema string) (*record, error) {
	key, err := canonical(e.DN)
	if err != nil {
		return nil, fmt.Errorf("entry %q: %w", e.DN, err)
	}
	r := &record{dn: e.DN, key: key, byName: map[string]int{}}
	set := func(name string, values []string) {
		if _, have := r.byName[strings.ToLower(name)]; have || len(values) == 0 {
			return
		}
		r.byName[strings.ToLower(name)] = len(r.attributes)
		r.attributes = append(r.attributes, attribute{name, values})
	}
	if e.DN == "" { // the root DSE gets no added attributes
		for _, name := range sortedNames(e.Attributes) {
			set(name, e.Attributes[name])
		}
		return r, nil
	}
	class := ""
	if given := e.Attributes["objectClass"]; len(given) > 0 {
		class = given[len(given)-1]
		classes := given
		if len(given) == 1 {
			if classes = superclasses[strings.ToLower(class)]; classes == nil {
				classes = []string{"top", class}
			}
		}
		set("objectClass", classes)
	}
	for _, name := range sortedNames(e.Attributes) {
		set(name, e.Attributes[name])
	}
	set("distinguishedName", []string{e.DN})
	set("objectGUID", []string{guid(e.DN)})
	if class != "" {
		set("objectCategory", []string{"CN=" + category(class) + "," + schema})
	}
	if parsed, err := ldap.ParseDN(e.DN); err == nil && len(parsed.RDNs) > 0 {
		own := parsed.RDNs[0].Attributes[0]
		set(strings.ToLower(own.Type), []string{own.Value})
		set("name", []string{own.Value})
	}
	return r, nil
}

func sortedNames(m map[string][]string) []string {
	names := make([]string, 0, len(m))
	for n := range m {
		names = append(names, n)
	}
	slices.Sort(names)
	return names
}
