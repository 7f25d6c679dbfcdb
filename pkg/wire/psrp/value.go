package psrp

import (
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/hybridge-cli/hybridge/pkg/config/secret"
)

// A value of CLIXML stands in Go as
//
//	nil                       $null
//	bool, string, []byte      B, S, BA
//	int64                     By, SB, I16, U16, I32, U32, I64
//	uint64                    U64
//	float64                   Sg, Db
//	time.Time                 DT; its location is [Unspecified] when the text named no zone
//	TimeSpan, GUID, Char      TS, G, C
//	Decimal, URI, Version     D, URI, Version, as text
//	ScriptBlock, XML          SBK, XD, as text
//	SecureString              SS, still encrypted
//	*Object                   Obj: types, text, properties and, if any, a plain value or a collection
//	Ancestor                  a Ref to an Obj that encloses it
//
// Within an Object, a collection is a []any (LST, IE, QUE, STK) or a *Dict (DCT). When written, the
// other Go integers, []string, []any, map[string]any, *Dict, secret.Value and Credential are taken
// too.
type (
	// Char is a UTF-16 code unit.
	Char uint16
	// Decimal is a .NET decimal as text: 28 digits fit no Go number.
	Decimal string
	// URI is an absolute or relative URI.
	URI string
	// Version is a .NET version: two to four numbers with dots.
	Version string
	// ScriptBlock is PowerShell source. It is data here, never run.
	ScriptBlock string
	// XML is an XML document as text.
	XML string
	// SecureString is a string encrypted with the session key of its pool.
	SecureString []byte
	// Ancestor stands for a reference to an enclosing object, so many levels up (1: the object it
	// is a member of). It is no pointer, so that walking a value always ends.
	Ancestor int
	// Other is an element that this package does not know.
	Other struct{ Tag, Text string }
)

// Unspecified is the location of a date that was written without a zone. Its offset is that of UTC.
var Unspecified = time.FixedZone("unspecified", 0)

// TimeSpan is a .NET time span in ticks of 100 ns. TimeSpan.MaxValue, which stands for "unlimited"
// in places, exceeds a time.Duration.
type TimeSpan int64

// Duration returns the span as a Go duration, false when it does not fit.
func (t TimeSpan) Duration() (time.Duration, bool) {
	d := time.Duration(t) * 100
	return d, int64(d)/100 == int64(t)
}

// String writes the span as .NET does: [-][d.]hh:mm:ss[.fffffff].
func (t TimeSpan) String() string {
	u, sign := uint64(t), ""
	if t < 0 {
		u, sign = -u, "-"
	}
	const second = 10_000_000
	days, rest := u/(86400*second), u%(86400*second)
	text := sign
	if days > 0 {
		text += strconv.FormatUint(days, 10) + "."
	}
	text += fmt.Sprintf("%02d:%02d:%02d", rest/(3600*second), rest/(60*second)%60, rest/second%60)
	if f := rest % second; f > 0 {
		text += fmt.Sprintf(".%07d", f)
	}
	return text
}

// GUID is a globally unique identifier in the order of its text.
type GUID [16]byte

// NewGUID returns a random GUID.
func NewGUID() GUID {
	var g GUID
	rand.Read(g[:]) // never fails
	g[6], g[8] = g[6]&0x0f|0x40, g[8]&0x3f|0x80
	return g
}

// ParseGUID reads a GUID with or without braces.
func ParseGUID(text string) (GUID, error) {
	var g GUID
	s := strings.TrimSuffix(strings.TrimPrefix(strings.TrimSpace(text), "{"), "}")
	if len(s) == 36 && s[8] == '-' && s[13] == '-' && s[18] == '-' && s[23] == '-' {
		if _, err := hex.Decode(g[:], []byte(s[:8]+s[9:13]+s[14:18]+s[19:23]+s[24:])); err == nil {
			return g, nil
		}
	}
	return GUID{}, fmt.Errorf("not a GUID: %.50q", text)
}

func (g GUID) String() string {
	return fmt.Sprintf("%x-%x-%x-%x-%x", g[0:4], g[4:6], g[6:8], g[8:10], g[10:16])
}

// swapped turns the order of the text into .NET's memory order, in which messages carry a GUID, and
// back.
func (g GUID) swapped() GUID {
	g[0], g[1], g[2], g[3] = g[3], g[2], g[1], g[0]
	g[4], g[5], g[6], g[7] = g[5], g[4], g[7], g[6]
	return g
}

// Object is an object with its .NET type names and what PowerShell knows of its properties.
type Object struct {
	Types      []string   // most derived first, often "Deserialized.…" when it crossed the wire before
	Text       string     // ToString()
	Value      any        // the plain value under an enum or a decorated primitive, a []any, a *Dict, or nil
	Kind       Collection // how Value was written when it is a []any
	Properties []Property // adapted: those of the .NET object
	Extended   []Property // extended: those PowerShell or a message adds
}

// Property is a name with a value.
type Property struct {
	Name  string
	Value any
}

// Collection is how a []any is written.
type Collection string

// The collections; the zero value is a list.
const (
	List       Collection = ""
	Enumerable Collection = "IE"
	Queue      Collection = "QUE"
	Stack      Collection = "STK"
)

// Get returns the property of that name, compared without case, extended ones after adapted ones;
// false when there is none.
func (o *Object) Get(name string) (any, bool) {
	if o == nil {
		return nil, false
	}
	for _, list := range [][]Property{o.Properties, o.Extended} {
		for _, p := range list {
			if strings.EqualFold(p.Name, name) {
				return p.Value, true
			}
		}
	}
	return nil, false
}

// Is reports whether the object is of that .NET type, whether or not it crossed the wire before.
func (o *Object) Is(typeName string) bool {
	if o != nil {
		for _, t := range o.Types {
			if strings.TrimPrefix(t, "Deserialized.") == typeName {
				return true
			}
		}
	}
	return false
}

// Dict is a dictionary in the order it was written.
type Dict struct{ Entries []Entry }

// Entry is a key, a plain value mostly, with its value.
type Entry struct{ Key, Value any }

// Get returns the value of the string key, compared without case; false when there is none.
func (d *Dict) Get(key string) (any, bool) {
	if d != nil {
		for _, e := range d.Entries {
			if k, ok := e.Key.(string); ok && strings.EqualFold(k, key) {
				return e.Value, true
			}
		}
	}
	return nil, false
}

type Credential struct {
	User     string
	Password secret.Value
}

// Text returns a value as PowerShell would print it in a string: the text of an object, "" for nil,
// "True" and "False".
func Text(v any) string {
	switch v := v.(type) {
	case nil:
		return ""
	case string:
		return v
	case bool:
		if v {
			return "True"
		}
		return "False"
	case float64:
		return strconv.FormatFloat(v, 'g', -1, 64)
	case Char:
		return string(rune(v))
	case []byte:
		return "System.Byte[]"
	case SecureString:
		return "System.Security.SecureString"
	case time.Time:
		return v.Format(time.RFC3339Nano)
	case Other:
		return v.Text
	case []any:
		parts := make([]string, len(v))
		for i := range v {
			parts[i] = Text(v[i])
		}
		return strings.Join(parts, " ")
	case *Object:
		if v == nil {
			return ""
		}
		if v.Text == "" && v.Value != nil {
			return Text(v.Value)
		}
		return v.Text
	case *Dict:
		return "System.Collections.Hashtable"
	case Ancestor:
		return ""
	}
	return fmt.Sprint(v)
}
