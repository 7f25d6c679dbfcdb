package psrp

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode/utf16"

	"github.com/hybridge-cli/hybridge/pkg/config/secret"
	"github.com/hybridge-cli/hybridge/pkg/config/sorting"
)

// Marshal writes values as a CLIXML document, as Export-Clixml does. Values that Unmarshal returned
// read equal again. Secrets are refused: they need the session key of a pool.
func Marshal(values ...any) ([]byte, error) {
	e := encoder{}
	e.WriteString(`<Objs Version="1.1.0.1" xmlns="http://schemas.microsoft.com/powershell/2004/04">`)
	for _, v := range values {
		if err := e.value("", v); err != nil {
			return nil, fmt.Errorf("write CLIXML: %w", err)
		}
	}
	e.WriteString(`</Objs>`)
	return e.Bytes(), nil
}

// marshalOne writes a message's data: one value without a wrapper. key, if not nil, encrypts
// secrets.
func marshalOne(v any, key *sessionKey) ([]byte, error) {
	e := encoder{key: key}
	if err := e.value("", v); err != nil {
		return nil, fmt.Errorf("write CLIXML: %w", err)
	}
	return e.Bytes(), nil
}

var errNoSessionKey = errors.New("a secret cannot be written without the session key of a pool")

type encoder struct {
	bytes.Buffer
	key     *sessionKey
	objects map[*Object]int
	types   map[string]int
	open    []int // RefIds of the objects being written, outermost first
	next    int
	depth   int
}

// elementName are the names that [MS-PSRP] gives its elements.
var elementName = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`^[A-Za-z][A-Za-z0-9]*$`)
})

func (e *encoder) leaf(tag, name, text string) error {
	e.WriteByte('<')
	e.WriteString(tag)
	e.name(name)
	if text == "" {
		e.WriteString("/>")
		return nil
	}
	e.WriteByte('>')
	e.WriteString(text)
	e.WriteString("</")
	e.WriteString(tag)
	e.WriteByte('>')
	return nil
}

func (e *encoder) name(name string) {
	if name != "" {
		e.WriteString(` N="`)
		e.WriteString(escape(name))
		e.WriteByte('"')
	}
}

func (e *encoder) value(name string, v any) error {
	if e.depth++; e.depth > maxDepth {
		return fmt.Errorf("nested deeper than %d levels", maxDepth)
	}
	defer func() { e.depth-- }()
	switch v := v.(type) {
	case nil:
		return e.leaf("Nil", name, "")
	case bool:
		return e.leaf("B", name, strconv.FormatBool(v))
	case string:
		e.WriteString("<S")
		e.name(name)
		e.WriteString(">" + escape(v) + "</S>") // PowerShell writes an empty string with both tags
		return nil
	case int:
		return e.integer(name, int64(v))
	case int8:
		return e.integer(name, int64(v))
	case int16:
		return e.integer(name, int64(v))
	case int32:
		return e.integer(name, int64(v))
	case long:
		return e.leaf("I64", name, strconv.FormatInt(int64(v), 10))
	case int64:
		return e.integer(name, v)
	case uint8:
		return e.integer(name, int64(v))
	case uint16:
		return e.integer(name, int64(v))
	case uint32:
		return e.integer(name, int64(v))
	case uint:
		return e.leaf("U64", name, strconv.FormatUint(uint64(v), 10))
	case uint64:
		return e.leaf("U64", name, strconv.FormatUint(v, 10))
	case float32:
		return e.leaf("Db", name, number(float64(v)))
	case float64:
		return e.leaf("Db", name, number(v))
	case Char:
		return e.leaf("C", name, strconv.Itoa(int(v)))
	case Decimal:
		return e.leaf("D", name, escape(string(v)))
	case time.Time:
		if v.Location() == Unspecified {
			return e.leaf("DT", name, v.Format("2006-01-02T15:04:05.9999999"))
		}
		return e.leaf("DT", name, v.Format("2006-01-02T15:04:05.9999999Z07:00"))
	case time.Duration:
		return e.leaf("TS", name, TimeSpan(v/100).xml())
	case TimeSpan:
		return e.leaf("TS", name, v.xml())
	case GUID:
		return e.leaf("G", name, v.String())
	case []byte:
		return e.leaf("BA", name, base64.StdEncoding.EncodeToString(v))
	case URI:
		return e.leaf("URI", name, escape(string(v)))
	case Version:
		return e.leaf("Version", name, escape(string(v)))
	case ScriptBlock:
		return e.leaf("SBK", name, escape(string(v)))
	case XML:
		return e.leaf("XD", name, escape(string(v)))
	case Other:
		if !elementName().MatchString(v.Tag) {
			return fmt.Errorf("no element name: %.40q", v.Tag)
		}
		return e.leaf(v.Tag, name, escape(v.Text))
	case SecureString:
		return e.leaf("SS", name, base64.StdEncoding.EncodeToString(v))
	case secret.Value:
		if e.key == nil {
			return errNoSessionKey
		}
		return e.leaf("SS", name, base64.StdEncoding.EncodeToString(e.key.encrypt(v.Reveal())))
	case Credential:
		return e.object(name, &Object{
			Types:      []string{"System.Management.Automation.PSCredential", "System.Object"},
			Text:       "System.Management.Automation.PSCredential",
			Properties: []Property{{"UserName", v.User}, {"Password", v.Password}},
		})
	case []string:
		list := make([]any, len(v))
		for i := range v {
			list[i] = v[i]
		}
		return e.object(name, &Object{Types: arrayTypes, Value: list})
	case []any:
		return e.object(name, &Object{Types: arrayTypes, Value: v})
	case map[string]any:
		dict := &Dict{}
		for key, value := range v {
			dict.Entries = append(dict.Entries, Entry{key, value})
		}
		sorting.Func(dict.Entries, func(a, b Entry) int { return strings.Compare(a.Key.(string), b.Key.(string)) })
		return e.object(name, &Object{Types: hashtableTypes, Value: dict})
	case *Dict:
		return e.object(name, &Object{Types: hashtableTypes, Value: v})
	case Ancestor:
		if v < 1 || int(v) > len(e.open) {
			return fmt.Errorf("reference to an enclosing object %d levels up, of %d", v, len(e.open))
		}
		e.WriteString("<Ref")
		e.name(name)
		fmt.Fprintf(e, ` RefId="%d"/>`, e.open[len(e.open)-int(v)])
		return nil
	case *Object:
		if v == nil {
			return e.leaf("Nil", name, "")
		}
		return e.object(name, v)
	}
	return fmt.Errorf("no CLIXML for a value of type %T", v)
}

var (
	arrayTypes     = []string{"System.Object[]", "System.Array", "System.Object"}
	hashtableTypes = []string{"System.Collections.Hashtable", "System.Object"}
)

// long is a number that is written as a long, however small.
type long int64

func (e *encoder) integer(name string, n int64) error {
	if n >= math.MinInt32 && n <= math.MaxInt32 {
		return e.leaf("I32", name, strconv.FormatInt(n, 10))
	}
	return e.leaf("I64", name, strconv.FormatInt(n, 10))
}

func number(f float64) string {
	switch {
	case math.IsInf(f, 1):
		return "INF"
	case math.IsInf(f, -1):
		return "-INF"
	}
	return strconv.FormatFloat(f, 'g', -1, 64)
}

func (e *encoder) object(name string, o *Object) error {
	if id, seen := e.objects[o]; seen {
		if slices.Contains(e.open, id) {
			return errors.New("an object contains itself")
		}
		e.WriteString("<Ref")
		e.name(name)
		fmt.Fprintf(e, ` RefId="%d"/>`, id)
		return nil
	}
	if e.objects == nil {
		e.objects, e.types = map[*Object]int{}, map[string]int{}
	}
	id := e.next
	e.next++
	e.objects[o] = id
	e.open = append(e.open, id)
	defer func() { e.open = e.open[:len(e.open)-1] }()

	e.WriteString("<Obj")
	e.name(name)
	fmt.Fprintf(e, ` RefId="%d">`, id)
	if o.Types != nil {
		key := strings.Join(o.Types, "\x00")
		if n, seen := e.types[key]; seen {
			fmt.Fprintf(e, `<TNRef RefId="%d"/>`, n)
		} else {
			n = len(e.types)
			e.types[key] = n
			fmt.Fprintf(e, `<TN RefId="%d">`, n)
			for _, t := range o.Types {
				_ = e.leaf("T", "", escape(t))
			}
			e.WriteString("</TN>")
		}
	}
	if o.Text != "" {
		_ = e.leaf("ToString", "", escape(o.Text))
	}
	switch v := o.Value.(type) {
	case nil:
	case []any:
		tag := "LST"
		if o.Kind != List {
			tag = string(o.Kind)
		}
		switch tag {
		case "LST", "IE", "QUE", "STK":
		default:
			return fmt.Errorf("no such collection: %.40q", tag)
		}
		e.WriteString("<" + tag + ">")
		for _, item := range v {
			if err := e.value("", item); err != nil {
				return err
			}
		}
		e.WriteString("</" + tag + ">")
	case *Dict:
		e.WriteString("<DCT>")
		for _, entry := range v.Entries {
			e.WriteString("<En>")
			if err := e.value("Key", entry.Key); err != nil {
				return err
			}
			if err := e.value("Value", entry.Value); err != nil {
				return err
			}
			e.WriteString("</En>")
		}
		e.WriteString("</DCT>")
	default:
		if err := e.value("", v); err != nil {
			return err
		}
	}
	for _, list := range []struct {
		tag        string
		properties []Property
	}{{"Props", o.Properties}, {"MS", o.Extended}} {
		if len(list.properties) == 0 {
			continue
		}
		e.WriteString("<" + list.tag + ">")
		for _, p := range list.properties {
			if err := e.value(p.Name, p.Value); err != nil {
				return fmt.Errorf("property %.60q: %w", p.Name, err)
			}
		}
		e.WriteString("</" + list.tag + ">")
	}
	e.WriteString("</Obj>")
	return nil
}

// xml writes the span as an XML schema duration.
func (t TimeSpan) xml() string {
	if t == 0 {
		return "PT0S"
	}
	const second = 10_000_000
	u, text := uint64(t), "P"
	if t < 0 {
		u, text = -u, "-P"
	}
	if days := u / (86400 * second); days > 0 {
		text += strconv.FormatUint(days, 10) + "D"
	}
	if rest := u % (86400 * second); rest > 0 {
		text += "T"
		if h := rest / (3600 * second); h > 0 {
			text += strconv.FormatUint(h, 10) + "H"
		}
		if m := rest / (60 * second) % 60; m > 0 {
			text += strconv.FormatUint(m, 10) + "M"
		}
		if s := rest % (60 * second); s > 0 {
			text += strconv.FormatUint(s/second, 10)
			if f := s % second; f > 0 {
				text += "." + strings.TrimRight(fmt.Sprintf("%07d", f), "0")
			}
			text += "S"
		}
	}
	return text
}

// escape writes text for XML as PowerShell does: control characters and surrogates as _xHHHH_, an
// underscore before an x likewise.
func escape(s string) string {
	var b strings.Builder
	for i, r := range s {
		switch {
		case r == '&':
			b.WriteString("&amp;")
		case r == '<':
			b.WriteString("&lt;")
		case r == '>':
			b.WriteString("&gt;")
		case r == '"':
			b.WriteString("&quot;")
		case r == '_' && i+1 < len(s) && (s[i+1] == 'x' || s[i+1] == 'X'):
			b.WriteString("_x005F_")
		case r < 0x20 || r >= 0x7f && r < 0xa0 || r == 0xfffe || r == 0xffff:
			fmt.Fprintf(&b, "_x%04X_", r)
		case r > 0xffff:
			high, low := utf16.EncodeRune(r)
			fmt.Fprintf(&b, "_x%04X__x%04X_", high, low)
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}
