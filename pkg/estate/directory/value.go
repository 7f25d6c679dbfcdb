package directory

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"

	"github.com/go-ldap/ldap/v3"
)

// GUID is an objectGUID. The zero GUID means that the server did not show one.
type GUID [16]byte

// String is the form of Exchange and Entra: 8-4-4-4-12 lower-case digits; empty for the zero GUID.
func (g GUID) String() string {
	if g == (GUID{}) {
		return ""
	}
	var b [36]byte
	order := [16]int{3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15} // the first three fields are little-endian
	at := 0
	for i, j := range order {
		if i == 4 || i == 6 || i == 8 || i == 10 {
			b[at] = '-'
			at++
		}
		hex.Encode(b[at:], g[j:j+1])
		at += 2
	}
	return string(b[:])
}

func parseGUID(b []byte) (g GUID) {
	if len(b) == len(g) {
		copy(g[:], b)
	}
	return g
}

// sidText returns the text form of a security identifier (MS-DTYP 2.4.2), empty when b is none.
func sidText(b []byte) string {
	if len(b) < 8 || len(b) != 8+4*int(b[1]) {
		return ""
	}
	var authority uint64
	for _, x := range b[2:8] {
		authority = authority<<8 | uint64(x)
	}
	var s strings.Builder
	fmt.Fprintf(&s, "S-%d-%d", b[0], authority)
	for rest := b[8:]; len(rest) > 0; rest = rest[4:] {
		s.WriteByte('-')
		s.WriteString(strconv.FormatUint(uint64(binary.LittleEndian.Uint32(rest)), 10))
	}
	return s.String()
}

// Version is an Exchange build, such as 15.2.2562.17.
type Version struct{ Major, Minor, Build, Revision int }

func (v Version) String() string {
	if v == (Version{}) {
		return ""
	}
	return fmt.Sprintf("%d.%d.%d.%d", v.Major, v.Minor, v.Build, v.Revision)
}

// Compare is negative when v is older than w, 0 when they are the same, positive when v is newer.
func (v Version) Compare(w Version) int {
	for _, d := range [...]int{v.Major - w.Major, v.Minor - w.Minor, v.Build - w.Build, v.Revision - w.Revision} {
		if d != 0 {
			return d
		}
	}
	return 0
}

// buildOffset is what Exchange 2007 and later add to the build number in serialNumber (recalled,
// not documented by Microsoft).
const buildOffset = 30000

// ParseSerialNumber decodes the serialNumber of an Exchange server, "Version 15.2 (Build
// 32562.17)".
func ParseSerialNumber(s string) (Version, bool) {
	var v Version
	rest, ok := strings.CutPrefix(strings.TrimSpace(s), "Version ")
	if !ok {
		return Version{}, false
	}
	number, build, ok := strings.Cut(rest, " (Build ")
	if !ok {
		return Version{}, false
	}
	build, _, ok = strings.Cut(build, ")")
	if !ok {
		return Version{}, false
	}
	build, _, _ = strings.Cut(build, ":") // Exchange 2003: "7638.2: Service Pack 2"
	for _, part := range []struct {
		text        string
		left, right *int
	}{{number, &v.Major, &v.Minor}, {build, &v.Build, &v.Revision}} {
		left, right, ok := strings.Cut(part.text, ".")
		if !ok {
			return Version{}, false
		}
		for text, to := range map[string]*int{left: part.left, right: part.right} {
			n, err := strconv.ParseUint(text, 10, 31)
			if err != nil {
				return Version{}, false
			}
			*to = int(n)
		}
	}
	if v.Major >= 8 && v.Build >= buildOffset {
		v.Build -= buildOffset
	}
	return v, true
}

// Level is a functional level of a domain or forest, or the version of a domain controller.
type Level int

// levels are the values of msDS-Behavior-Version (MS-ADTS 6.1.4.2).
var levels = map[Level]string{
	0: "Windows 2000", 1: "Windows Server 2003 interim", 2: "Windows Server 2003", 3: "Windows Server 2008",
	4: "Windows Server 2008 R2",
	5: "Windows Server 2012", 6: "Windows Server 2012 R2", 7: "Windows Server 2016", 10: "Windows Server 2025",
}

// LevelUnknown stands for a level that the server did not show.
const LevelUnknown Level = -1

func (l Level) String() string {
	if s, ok := levels[l]; ok {
		return s
	}
	if l == LevelUnknown {
		return "unknown"
	}
	return "level " + strconv.Itoa(int(l))
}

// DomainName turns DC=contoso,DC=com into contoso.com; empty when dn is not made of DCs alone.
func DomainName(dn string) string {
	parsed, err := ldap.ParseDN(dn)
	if err != nil {
		return ""
	}
	var labels []string
	for _, r := range parsed.RDNs {
		if len(r.Attributes) != 1 || !strings.EqualFold(r.Attributes[0].Type, "DC") {
			return ""
		}
		labels = append(labels, r.Attributes[0].Value)
	}
	return strings.Join(labels, ".")
}

// rdnValues are the values of dn's components, own name first.
func rdnValues(dn string) []string {
	parsed, err := ldap.ParseDN(dn)
	if err != nil {
		return nil
	}
	var out []string
	for _, r := range parsed.RDNs {
		if len(r.Attributes) > 0 {
			out = append(out, r.Attributes[0].Value)
		}
	}
	return out
}

// commonName is the value of dn's first component.
func commonName(dn string) string {
	if v := rdnValues(dn); len(v) > 0 {
		return v[0]
	}
	return ""
}

func sameDN(a, b string) bool {
	x, err := ldap.ParseDN(a)
	if err != nil {
		return strings.EqualFold(a, b)
	}
	y, err := ldap.ParseDN(b)
	return err == nil && x.EqualFold(y)
}
