package psrp

import (
	"bytes"
	"encoding/base64"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"math"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode/utf16"
	"unicode/utf8"
)

// Limits of what Unmarshal takes. They are far above what Exchange prints, one object per document,
// and far below what exhausts memory: a value takes up to 250 bytes for each element, and reading
// it up to 40 times the document.
const (
	maxDocument = 16 << 20  // bytes of one document or message
	maxDepth    = 96        // levels of nesting; PowerShell serializes a handful
	maxNodes    = 512 << 10 // elements, counting those behind every reference again: what a walk of the value visits
	maxTag      = 64 << 10  // bytes of one tag: encoding/xml keeps all attributes of one
)

// Unmarshal reads CLIXML: each top element's value, whether or not <Objs> wraps them. UTF-8 and,
// with a byte order mark, UTF-16 are read. Byte arrays named SerializationData, in which Exchange
// carries .NET's binary form of an object, are left out unread.
func Unmarshal(data []byte) ([]any, error) {
	if len(data) > maxDocument {
		return nil, fmt.Errorf("read CLIXML: document of %d bytes is larger than %d", len(data), maxDocument)
	}
	text, err := toUTF8(data)
	if err != nil {
		return nil, fmt.Errorf("read CLIXML: %w", err)
	}
	text = escapeForbidden(text)
	d := decoder{xml: xml.NewDecoder(&tagLimit{text: text}), objects: map[string]*known{}, types: map[string][]string{}}
	d.xml.CharsetReader = func(label string, r io.Reader) (io.Reader, error) {
		switch strings.ToLower(label) {
		case "utf-8", "utf-16", "us-ascii":
			return r, nil // already UTF-8
		}
		return nil, fmt.Errorf("encoding %.20q is not known", label)
	}
	values, err := d.document()
	if err != nil {
		return nil, fmt.Errorf("read CLIXML: %w", err)
	}
	return values, nil
}

// unmarshalOne reads a message's data: exactly one value.
func unmarshalOne(data []byte) (any, error) {
	values, err := Unmarshal(data)
	if err != nil {
		return nil, err
	}
	if len(values) != 1 {
		return nil, fmt.Errorf("read CLIXML: %d values where one belongs", len(values))
	}
	return values[0], nil
}

func toUTF8(data []byte) ([]byte, error) {
	if len(data) >= 2 && (data[0] == 0xff && data[1] == 0xfe || data[0] == 0xfe && data[1] == 0xff) {
		if len(data)%2 != 0 {
			return nil, errors.New("odd number of bytes in UTF-16")
		}
		units := make([]uint16, 0, len(data)/2-1)
		for i := 2; i < len(data); i += 2 {
			if data[0] == 0xff {
				units = append(units, uint16(data[i])|uint16(data[i+1])<<8)
			} else {
				units = append(units, uint16(data[i+1])|uint16(data[i])<<8)
			}
		}
		return []byte(string(utf16.Decode(units))), nil
	}
	return bytes.TrimPrefix(data, []byte("\xef\xbb\xbf")), nil
}

// references are numeric character references and the two characters at the end of the Basic
// Multilingual Plane.
var references = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`&#(?:x([0-9A-Fa-f]{1,8})|([0-9]{1,10}));|\xef\xbf[\xbe\xbf]`)
})

// escapeForbidden writes what XML forbids as PowerShell writes control characters: .NET's writer
// puts U+FFFE and U+FFFF into a document as they are, or as &#xFFFE; and &#xFFFF;, and encoding/xml
// refuses both.
func escapeForbidden(text []byte) []byte {
	if !bytes.Contains(text, []byte("&#")) && !bytes.Contains(text, []byte("\xef\xbf")) {
		return text
	}
	return references().ReplaceAllFunc(text, func(found []byte) []byte {
		var n uint64
		switch {
		case found[0] != '&':
			r, _ := utf8.DecodeRune(found)
			n = uint64(r)
		case found[2] == 'x':
			n, _ = strconv.ParseUint(string(found[3:len(found)-1]), 16, 64)
		default:
			n, _ = strconv.ParseUint(string(found[2:len(found)-1]), 10, 64)
		}
		if n == '\t' || n == '\n' || n == '\r' || n >= 0x20 && n < 0xd800 || n > 0xdfff && n < 0xfffe || n > 0xffff {
			return found
		}
		return fmt.Appendf(nil, "_x%04X_", n)
	})
}

// tagLimit gives out a text as long as no tag of it is too long.
type tagLimit struct {
	text  []byte
	tag   int  // bytes of the tag so far; 0 outside of one
	quote byte // that an attribute's value is in
}

func (l *tagLimit) Read(p []byte) (int, error) {
	if len(l.text) == 0 {
		return 0, io.EOF
	}
	n := copy(p, l.text)
	for i, c := range l.text[:n] {
		switch {
		// comments end otherwise, and a document type is refused
		case l.tag == 0 && c == '<' && (i+1 >= len(l.text) || l.text[i+1] != '!'):
			l.tag, l.quote = 1, 0
		case l.tag == 0:
		case l.quote == 0 && c == '>':
			l.tag = 0
		default:
			if l.tag++; l.tag > maxTag {
				return 0, fmt.Errorf("a tag of more than %d bytes", maxTag)
			}
			switch {
			case l.quote == c:
				l.quote = 0
			case l.quote == 0 && (c == '"' || c == '\''):
				l.quote = c
			}
		}
	}
	l.text = l.text[n:]
	return n, nil
}

type decoder struct {
	xml     *xml.Decoder
	objects map[string]*known
	types   map[string][]string
	open    []*known // the objects being read, outermost first
	depth   int
	nodes   int
}

// known is an object that a Ref may name.
type known struct {
	object *Object
	nodes  int // how many elements it is made of, references expanded; 0 while it is being read
}

func (d *decoder) document() ([]any, error) {
	values := []any{}
	wrapped := false
	for {
		token, err := d.xml.Token()
		if errors.Is(err, io.EOF) {
			if wrapped {
				return nil, io.ErrUnexpectedEOF
			}
			return values, nil
		}
		if err != nil {
			return nil, err
		}
		switch t := token.(type) {
		case xml.StartElement:
			if t.Name.Local == "Objs" && !wrapped {
				wrapped = true
				continue
			}
			v, _, err := d.value(t)
			if err != nil {
				return nil, err
			}
			values = append(values, v)
		case xml.EndElement:
			wrapped = false
		case xml.CharData:
			if len(bytes.TrimSpace(t)) > 0 {
				return nil, fmt.Errorf("text outside of elements: %.40q", string(t))
			}
		case xml.Directive:
			return nil, errors.New("a document type is not allowed")
		}
	}
}

func attribute(e xml.StartElement, name string) string {
	for _, a := range e.Attr {
		if a.Name.Local == name {
			return a.Value
		}
	}
	return ""
}

func (d *decoder) count(n int) error {
	if d.nodes += n; d.nodes > maxNodes || d.nodes < 0 {
		return fmt.Errorf("more than %d elements", maxNodes)
	}
	return nil
}

// value reads the element that e starts and returns it with its N attribute.
func (d *decoder) value(e xml.StartElement) (v any, name string, err error) {
	name = unescape(attribute(e, "N"))
	if err := d.count(1); err != nil {
		return nil, name, err
	}
	if d.depth++; d.depth > maxDepth {
		return nil, name, fmt.Errorf("nested deeper than %d levels", maxDepth)
	}
	defer func() { d.depth-- }()
	switch e.Name.Local {
	case "Obj":
		v, err = d.object(e)
	case "Ref":
		id := attribute(e, "RefId")
		k := d.objects[id]
		if k == nil {
			return nil, name, fmt.Errorf("reference to an unknown object %.20q", id)
		}
		v = k.object
		if k.nodes == 0 {
			for i, o := range d.open {
				if o == k {
					v = Ancestor(len(d.open) - i)
				}
			}
		} else if err := d.count(k.nodes); err != nil {
			return nil, name, err
		}
		err = d.xml.Skip()
	default:
		var text string
		if text, err = d.text(e); err == nil {
			v, err = primitive(e.Name.Local, text)
		}
		if err != nil && name != "" {
			err = fmt.Errorf("property %.60q: %w", name, err)
		}
	}
	return v, name, err
}

// text reads up to the end of e, which may hold text alone.
func (d *decoder) text(e xml.StartElement) (string, error) {
	var b strings.Builder
	for {
		token, err := d.xml.Token()
		if err != nil {
			return "", eof(err)
		}
		switch t := token.(type) {
		case xml.CharData:
			b.Write(t)
		case xml.StartElement:
			return "", fmt.Errorf("element %.40q within %.40q", t.Name.Local, e.Name.Local)
		case xml.EndElement:
			return b.String(), nil
		case xml.Directive:
			return "", errors.New("a document type is not allowed")
		}
	}
}

func eof(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// children calls f for every element directly within the one just opened.
func (d *decoder) children(f func(xml.StartElement) error) error {
	for {
		token, err := d.xml.Token()
		if err != nil {
			return eof(err)
		}
		switch t := token.(type) {
		case xml.StartElement:
			if err := f(t); err != nil {
				return err
			}
		case xml.EndElement:
			return nil
		case xml.Directive:
			return errors.New("a document type is not allowed")
		}
	}
}

func (d *decoder) object(e xml.StartElement) (*Object, error) {
	o := &Object{}
	k := &known{object: o}
	if id := attribute(e, "RefId"); id != "" {
		d.objects[id] = k
	}
	d.open = append(d.open, k)
	before := d.nodes
	valued := false
	err := d.children(func(e xml.StartElement) (err error) {
		switch e.Name.Local {
		case "TN", "TNRef", "ToString", "Props", "MS":
		default: // an object is one primitive value or one collection besides its properties ([MS-PSRP] 2.2.5.2)
			if valued {
				return fmt.Errorf("a second value, %.40q, in one object", e.Name.Local)
			}
			valued = true
		}
		switch e.Name.Local {
		case "TN":
			if err := d.count(1); err != nil {
				return err
			}
			o.Types = []string{}
			err = d.children(func(t xml.StartElement) error {
				if err := d.count(1); err != nil {
					return err
				}
				text, err := d.text(t)
				o.Types = append(o.Types, unescape(text))
				return err
			})
			d.types[attribute(e, "RefId")] = o.Types
		case "TNRef":
			id := attribute(e, "RefId")
			types, ok := d.types[id]
			if !ok {
				return fmt.Errorf("reference to unknown type names %.20q", id)
			}
			o.Types = types
			err = d.xml.Skip()
		case "ToString":
			o.Text, err = d.text(e)
			o.Text = unescape(o.Text)
		case "Props":
			err = d.properties(&o.Properties)
		case "MS":
			err = d.properties(&o.Extended)
		case "LST", "IE", "QUE", "STK":
			if e.Name.Local != "LST" {
				o.Kind = Collection(e.Name.Local)
			}
			list := []any{}
			err = d.children(func(e xml.StartElement) error {
				v, _, err := d.value(e)
				list = append(list, v)
				return err
			})
			o.Value = list
		case "DCT":
			o.Value, err = d.dict()
		default:
			o.Value, _, err = d.value(e)
		}
		return err
	})
	d.open = d.open[:len(d.open)-1]
	k.nodes = d.nodes - before + 1
	return o, err
}

func (d *decoder) properties(list *[]Property) error {
	return d.children(func(e xml.StartElement) error {
		if e.Name.Local == "BA" && attribute(e, "N") == "SerializationData" {
			return d.xml.Skip()
		}
		v, name, err := d.value(e)
		*list = append(*list, Property{name, v})
		return err
	})
}

func (d *decoder) dict() (*Dict, error) {
	dict := &Dict{}
	err := d.children(func(e xml.StartElement) error {
		if e.Name.Local != "En" {
			return fmt.Errorf("element %.40q in a dictionary", e.Name.Local)
		}
		if err := d.count(1); err != nil {
			return err
		}
		var entry Entry
		if err := d.children(func(e xml.StartElement) error {
			v, name, err := d.value(e)
			switch name {
			case "Key":
				entry.Key = v
			case "Value":
				entry.Value = v
			}
			return err
		}); err != nil {
			return err
		}
		dict.Entries = append(dict.Entries, entry)
		return nil
	})
	return dict, err
}

// primitive turns the text of a plain element into its value.
func primitive(tag, text string) (any, error) {
	trimmed := strings.TrimSpace(text)
	bad := func(what string) error { return fmt.Errorf("not %s: %.40q", what, text) }
	switch tag {
	case "S":
		return unescape(text), nil
	case "Nil":
		return nil, nil
	case "B":
		switch strings.ToLower(trimmed) {
		case "true", "1":
			return true, nil
		case "false", "0":
			return false, nil
		}
		return nil, bad("a truth value")
	case "By", "SB", "U16", "I16", "U32", "I32", "I64":
		n, err := strconv.ParseInt(trimmed, 10, 64)
		if err != nil {
			return nil, bad("a whole number")
		}
		return n, nil
	case "U64":
		n, err := strconv.ParseUint(trimmed, 10, 64)
		if err != nil {
			return nil, bad("a whole number")
		}
		return n, nil
	case "C":
		n, err := strconv.ParseUint(trimmed, 10, 16)
		if err != nil {
			return nil, bad("a character's number")
		}
		return Char(n), nil
	case "Sg", "Db":
		switch trimmed {
		case "INF", "Infinity":
			return math.Inf(1), nil
		case "-INF", "-Infinity":
			return math.Inf(-1), nil
		case "NaN":
			return math.NaN(), nil
		}
		n, err := strconv.ParseFloat(trimmed, 64)
		if err != nil || math.IsInf(n, 0) || math.IsNaN(n) {
			return nil, bad("a number")
		}
		return n, nil
	case "D":
		if _, err := strconv.ParseFloat(trimmed, 64); err != nil {
			return nil, bad("a number")
		}
		return Decimal(trimmed), nil
	case "DT":
		return parseTime(trimmed)
	case "TS":
		return parseTimeSpan(trimmed)
	case "G":
		return ParseGUID(trimmed)
	case "BA":
		b, err := base64.StdEncoding.DecodeString(stripSpace(trimmed))
		if err != nil {
			return nil, errors.New("bytes are not in base64")
		}
		return b, nil
	case "SS":
		b, err := base64.StdEncoding.DecodeString(stripSpace(trimmed))
		if err != nil {
			return nil, errors.New("a secure string is not in base64")
		}
		return SecureString(b), nil
	case "URI":
		return URI(unescape(text)), nil
	case "Version":
		return Version(unescape(trimmed)), nil
	case "SBK":
		return ScriptBlock(unescape(text)), nil
	case "XD":
		return XML(unescape(text)), nil
	}
	return Other{tag, unescape(text)}, nil
}

func stripSpace(s string) string {
	if !strings.ContainsAny(s, " \t\r\n") {
		return s
	}
	return strings.Join(strings.Fields(s), "")
}

func parseTime(text string) (time.Time, error) {
	if t, err := time.Parse(time.RFC3339Nano, text); err == nil {
		return t, nil
	}
	if t, err := time.ParseInLocation("2006-01-02T15:04:05.999999999", text, Unspecified); err == nil {
		return t, nil
	}
	return time.Time{}, fmt.Errorf("not a date and time: %.40q", text)
}

// parseTimeSpan reads an XML schema duration of days and smaller: -P1DT2H3M4.5S.
func parseTimeSpan(text string) (TimeSpan, error) {
	bad := fmt.Errorf("not a time span: %.40q", text)
	s, negative := strings.CutPrefix(text, "-")
	s, ok := strings.CutPrefix(s, "P")
	if !ok || s == "" {
		return 0, bad
	}
	const second = uint64(10_000_000)
	var total uint64
	inTime := false
	for s != "" {
		if s[0] == 'T' && !inTime {
			inTime, s = true, s[1:]
			if s == "" {
				return 0, bad
			}
			continue
		}
		i := strings.IndexAny(s, "DHMS")
		if i <= 0 {
			return 0, bad
		}
		number, unit := s[:i], s[i]
		s = s[i+1:]
		whole, fraction, _ := strings.Cut(number, ".")
		n, err := strconv.ParseUint(whole, 10, 63)
		if err != nil || (fraction != "" && unit != 'S') || (unit == 'D') == inTime {
			return 0, bad
		}
		scale := map[byte]uint64{'D': 86400 * second, 'H': 3600 * second, 'M': 60 * second, 'S': second}[unit]
		if n > math.MaxInt64/scale {
			return 0, bad
		}
		total += n * scale
		if fraction != "" {
			f, err := strconv.ParseUint((fraction + "0000000")[:7], 10, 64)
			if err != nil {
				return 0, bad
			}
			total += f
		}
		if total > math.MaxInt64+1 {
			return 0, bad
		}
	}
	switch {
	case negative:
		return TimeSpan(-total), nil // also for the smallest span
	case total > math.MaxInt64:
		return 0, bad
	}
	return TimeSpan(total), nil
}

// unescape turns _xHHHH_ into the UTF-16 code unit it names. A surrogate without its partner
// becomes U+FFFD.
func unescape(s string) string {
	if !strings.Contains(s, "_x") {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); {
		unit, ok := escaped(s[i:])
		if !ok {
			b.WriteByte(s[i])
			i++
			continue
		}
		i += 7
		r := rune(unit)
		if utf16.IsSurrogate(r) {
			if low, ok := escaped(s[i:]); ok && utf16.DecodeRune(r, rune(low)) != utf8.RuneError {
				r = utf16.DecodeRune(r, rune(low))
				i += 7
			} else {
				r = utf8.RuneError
			}
		}
		b.WriteRune(r)
	}
	return b.String()
}

func escaped(s string) (uint16, bool) {
	if len(s) < 7 || s[0] != '_' || s[1] != 'x' || s[6] != '_' {
		return 0, false
	}
	n, err := strconv.ParseUint(s[2:6], 16, 16)
	return uint16(n), err == nil
}
