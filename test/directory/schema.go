package directory

import (
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"

	lab "github.com/hybridge-cli/hybridge/pkg/lab/directory"
)

//go:embed testdata/exchange-schema.txt
var schemaTable string

// syntaxes of attributes: attributeSyntax and oMSyntax.
var syntaxes = map[string][2]string{
	"str": {"2.5.5.12", "64"}, "int": {"2.5.5.9", "2"}, "i64": {"2.5.5.16", "65"}, "bool": {"2.5.5.8", "1"},
	"oct": {"2.5.5.10", "4"},
	"dn":  {"2.5.5.1", "127"}, "sid": {"2.5.5.17", "4"}, "time": {"2.5.5.11", "24"}, "ia5": {"2.5.5.5", "22"},
}

// readable lets every authenticated user read, as Exchange's setup does, and administrators and the
// system do everything.
const readable = "D:(A;;RPLCLORC;;;AU)(A;;RPWPCRCCDCLCLORCWOWDSDDTSW;;;DA)(A;;RPWPCRCCDCLCLORCWOWDSDDTSW;;;SY)"

// exchangeSchema makes the LDIF that extends the schema, in the steps that Samba requires. Each
// must be loaded by a separate process, because only a new process knows the additions of the step
// before.
func exchangeSchema(domainDN string) ([]string, error) {
	schema := "CN=Schema,CN=Configuration," + domainDN
	var attributes, bases, derived, changes strings.Builder
	commonNames := map[string]string{} // of the table's classes
	lines := slices.Collect(strings.SplitSeq(schemaTable, "\n"))
	for _, line := range lines {
		if f := strings.Fields(line); len(f) > 2 && f[0] == "class" {
			commonNames[f[1]] = f[2]
		}
	}
	for _, line := range lines {
		f := strings.Fields(line)
		if len(f) == 0 || f[0] == "#" {
			continue
		}
		switch {
		case f[0] == "attribute" && len(f) >= 7:
			s, ok := syntaxes[f[4]]
			if !ok {
				return nil, fmt.Errorf("schema table: syntax of %q", line)
			}
			fmt.Fprintf(&attributes, "dn: CN=%s,%s\nchangetype: add\nobjectClass: attributeSchema\ncn: "+
				"%[1]s\nlDAPDisplayName: %[3]s\nadminDisplayName: %[1]s\nattributeID: %[4]s\nattributeSyntax: "+
				"%[5]s\noMSyntax: %[6]s\nisSingleValued: %[7]s\nsearchFlags: %[8]s\nisMemberOfPartialAttributeSet: "+
				"%[9]s\nshowInAdvancedViewOnly: TRUE\nsystemOnly: FALSE\n",
				f[2], schema, f[1], identifier(f[3],
					f[1]), s[0], s[1], boolean(f[5] == "single"), f[6], boolean(slices.Contains(f[7:], "gc")))
			if f[4] == "dn" {
				// 1.3.12.2.1011.28.0.714, a DN
				attributes.WriteString("oMObjectClass:: KwwCh3McAIVK\n")
			}
			if f[1] == "msExchSchemaVersionPt" {
				attributes.WriteString("rangeUpper: 17003\n")
			}
			attributes.WriteString("\n")
		case f[0] == "class" && len(f) >= 5:
			out := &bases
			if commonNames[f[4]] != "" {
				out = &derived
			}
			fmt.Fprintf(out, "dn: CN=%s,%s\nchangetype: add\nobjectClass: classSchema\ncn: %[1]s\nlDAPDisplayName: "+
				"%[3]s\nadminDisplayName: %[1]s\ngovernsID: %[4]s\nsubClassOf: %[5]s\nobjectClassCategory: "+
				"1\nrDNAttID: cn\npossSuperiors: container\nshowInAdvancedViewOnly: TRUE\nsystemOnly: "+
				"FALSE\ndefaultObjectCategory: CN=%[1]s,%[2]s\ndefaultSecurityDescriptor: %[6]s\n",
				f[2], schema, f[1], identifier(f[3], f[1]), f[4], readable)
			for _, a := range f[5:] {
				fmt.Fprintf(out, "mayContain: %s\n", a)
			}
			out.WriteString("\n")
		case f[0] == "user":
			fmt.Fprintf(&changes, "dn: CN=Mail-Recipient,%s\nchangetype: modify\nadd: mayContain\n", schema)
			for _, a := range f[1:] {
				fmt.Fprintf(&changes, "mayContain: %s\n", a)
			}
			changes.WriteString("-\n\n")
		case f[0] == "parent" && len(f) == 3:
			fmt.Fprintf(&changes, "dn: CN=%s,%s\nchangetype: modify\nadd: possSuperiors\npossSuperiors: %s\n-\n\n",
				commonNames[f[1]], schema, f[2])
		default:
			return nil, fmt.Errorf("schema table: %q", line)
		}
	}
	return []string{attributes.String(), bases.String(), derived.String(), changes.String()}, nil
}

func boolean(b bool) string {
	if b {
		return "TRUE"
	}
	return "FALSE"
}

// identifier makes an object identifier for a name that has no published one.
func identifier(oid, name string) string {
	if oid != "-" {
		return oid
	}
	h := sha256.Sum256([]byte("exchange schema: " + name))
	out := "1.2.840.113556.1.8000.2554"
	for _, n := range []uint32{
		uint32(binary.BigEndian.Uint16(h[0:])), uint32(binary.BigEndian.Uint16(h[2:])),
		uint32(binary.BigEndian.Uint16(h[4:])), uint32(binary.BigEndian.Uint16(h[6:])),
		uint32(binary.BigEndian.Uint16(h[8:])), binary.BigEndian.Uint32(h[10:]) >> 8,
		binary.BigEndian.Uint32(h[14:]) >> 8,
	} {
		out += fmt.Sprintf(".%d", n)
	}
	return out
}

// assigned are attributes that only the domain controller may set.
var assigned = []string{"objectguid", "objectsid", "objectcategory", "distinguishedname", "name", "whencreated"}

// ldif writes entries as records to add; base64 throughout, so that no value needs escaping.
func ldif(entries []lab.Entry) string {
	var out strings.Builder
	for _, e := range entries {
		fmt.Fprintf(&out, "dn:: %s\nchangetype: add\n", base64.StdEncoding.EncodeToString([]byte(e.DN)))
		names := make([]string, 0, len(e.Attributes))
		for n := range e.Attributes {
			if !slices.Contains(assigned, strings.ToLower(n)) {
				names = append(names, n)
			}
		}
		slices.Sort(names)
		for _, n := range names {
			for _, v := range e.Attributes[n] {
				fmt.Fprintf(&out, "%s:: %s\n", n, base64.StdEncoding.EncodeToString([]byte(v)))
			}
		}
		out.WriteString("\n")
	}
	return out.String()
}
