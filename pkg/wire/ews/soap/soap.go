// Package soap reads and writes SOAP 1.1 envelopes and the plain XML of Exchange's web services,
// from untrusted peers. Sizes, depth and counts are limited. Document types are refused. Names are
// compared by namespace and never by prefix.
package soap

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"unicode/utf16"
	"unicode/utf8"
)

// Namespace is that of SOAP 1.1 envelopes.
const Namespace = "http://schemas.xmlsoap.org/soap/envelope/"

// Limits bound a document. The zero Limits are the defaults.
type Limits struct {
	Bytes    int64 // 16 MiB
	Depth    int   // 64
	Elements int   // 500,000
}

func (l Limits) orDefault() Limits {
	if l.Bytes <= 0 {
		l.Bytes = 16 << 20
	}
	if l.Depth <= 0 {
		l.Depth = 64
	}
	if l.Elements <= 0 {
		l.Elements = 500_000
	}
	return l
}

// ErrNotXML is a body that is no XML document: commonly an HTML page of a device in between.
var ErrNotXML = errors.New("not an XML document")

// ErrLimit is a document beyond the Limits.
var ErrLimit = errors.New("XML document too large")

// Element is one element of a document. A nil Element has no children, attributes or text, so that
// lookups can be chained.
type Element struct {
	Name     xml.Name // Space is the namespace
	Attr     []xml.Attr
	Text     string // its own character data, trimmed
	Children []*Element
}

// Read reads r within the limits and parses it.
func Read(r io.Reader, l Limits) (*Element, error) {
	l = l.orDefault()
	data, err := io.ReadAll(io.LimitReader(r, l.Bytes+1))
	if err != nil {
		return nil, err
	}
	return Parse(data, l)
}

// Parse parses one document. Characters that XML forbids, which Exchange sends in subjects
// nevertheless, become U+FFFD.
func Parse(data []byte, l Limits) (*Element, error) {
	l = l.orDefault()
	if int64(len(data)) > l.Bytes {
		return nil, fmt.Errorf("%w: more than %d bytes", ErrLimit, l.Bytes)
	}
	data = clean(data)
	d := xml.NewDecoder(bytes.NewReader(data))
	d.CharsetReader = charset
	var root *Element
	var open []*Element
	var texts [][]byte
	count := 0
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, fmt.Errorf("%w: %w", ErrNotXML, err)
		}
		switch t := token.(type) {
		case xml.Directive:
			return nil, fmt.Errorf("%w: document types are refused", ErrNotXML)
		case xml.StartElement:
			count++
			if count > l.Elements || len(open) >= l.Depth || len(t.Attr) > 256 {
				return nil, fmt.Errorf("%w: more than %d elements, %d levels or 256 attributes", ErrLimit, l.Elements,
					l.Depth)
			}
			e := &Element{Name: t.Name, Attr: t.Copy().Attr}
			if len(open) > 0 {
				parent := open[len(open)-1]
				parent.Children = append(parent.Children, e)
			} else if root == nil {
				root = e
			} else {
				return nil, fmt.Errorf("%w: a second root element", ErrNotXML)
			}
			open, texts = append(open, e), append(texts, nil)
		case xml.EndElement:
			last := len(open) - 1
			open[last].Text = strings.TrimSpace(string(texts[last]))
			open, texts = open[:last], texts[:last]
		case xml.CharData:
			if len(open) > 0 {
				texts[len(open)-1] = append(texts[len(open)-1], t...)
			} else if len(bytes.TrimSpace(t)) > 0 {
				return nil, fmt.Errorf("%w: text outside the root element", ErrNotXML)
			}
		}
	}
	if root == nil {
		return nil, fmt.Errorf("%w: empty", ErrNotXML)
	}
	return root, nil
}

var characterReference = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`&#(?:x([0-9A-Fa-f]+)|([0-9]+));`)
})

// clean converts UTF-16 with a byte order mark to UTF-8. It replaces characters that XML forbids,
// also as references.
func clean(data []byte) []byte {
	switch {
	case bytes.HasPrefix(data, []byte{0xEF, 0xBB, 0xBF}):
		data = data[3:]
	case bytes.HasPrefix(data, []byte{0xFF, 0xFE}):
		data = fromUTF16(data[2:], false)
	case bytes.HasPrefix(data, []byte{0xFE, 0xFF}):
		data = fromUTF16(data[2:], true)
	}
	forbidden := func(r rune) bool {
		return r < 0x20 && r != '\t' && r != '\n' && r != '\r' || r == 0xFFFE || r == 0xFFFF
	}
	if bytes.ContainsFunc(data, forbidden) {
		data = bytes.Map(func(r rune) rune {
			if forbidden(r) {
				return utf8.RuneError
			}
			return r
		}, data)
	}
	if bytes.Contains(data, []byte("&#")) {
		data = characterReference().ReplaceAllFunc(data, func(ref []byte) []byte {
			digits, base := ref[2:len(ref)-1], 10
			if digits[0] == 'x' {
				digits, base = digits[1:], 16
			}
			n, err := strconv.ParseUint(string(digits), base, 32)
			if err != nil || n > utf8.MaxRune || forbidden(rune(n)) || n >= 0xD800 && n <= 0xDFFF {
				return []byte("\uFFFD")
			}
			return ref
		})
	}
	return data
}

func fromUTF16(data []byte, bigEndian bool) []byte {
	units := make([]uint16, len(data)/2)
	for i := range units {
		lo, hi := data[2*i], data[2*i+1]
		if bigEndian {
			lo, hi = hi, lo
		}
		units[i] = uint16(lo) | uint16(hi)<<8
	}
	return []byte(string(utf16.Decode(units)))
}

// charset reads what servers declare besides UTF-8. UTF-16 has been converted by clean.
func charset(label string, r io.Reader) (io.Reader, error) {
	switch strings.ToLower(label) {
	case "utf-8", "utf8", "us-ascii", "ascii", "utf-16", "utf-16le", "utf-16be", "unicode":
		return r, nil
	case "iso-8859-1", "latin1", "windows-1252":
		data, err := io.ReadAll(r)
		if err != nil {
			return nil, err
		}
		runes := make([]rune, len(data))
		for i, b := range data {
			runes[i] = rune(b)
		}
		return strings.NewReader(string(runes)), nil
	}
	return nil, fmt.Errorf("encoding %q is not supported", label)
}

// Is reports whether e is the element name of namespace space.
func (e *Element) Is(space, name string) bool {
	return e != nil && e.Name.Local == name && e.Name.Space == space
}

// Child is the first child of that name in e's own namespace or another of the same service: the
// name alone decides, for servers put children of Microsoft's schemas into messages or types. Use
// Is where the namespace matters.
func (e *Element) Child(names ...string) *Element {
	for _, name := range names {
		if e == nil {
			return nil
		}
		var found *Element
		for _, c := range e.Children {
			if c.Name.Local == name {
				found = c
				break
			}
		}
		e = found
	}
	return e
}

// All are the children of that name.
func (e *Element) All(name string) []*Element {
	if e == nil {
		return nil
	}
	var all []*Element
	for _, c := range e.Children {
		if c.Name.Local == name {
			all = append(all, c)
		}
	}
	return all
}

// Value is the text of the descendant at path, "" when it is not there.
func (e *Element) Value(path ...string) string {
	c := e.Child(path...)
	if c == nil {
		return ""
	}
	return c.Text
}

// Get is the value of an attribute without namespace.
func (e *Element) Get(name string) (string, bool) {
	if e == nil {
		return "", false
	}
	for _, a := range e.Attr {
		if a.Name.Local == name && a.Name.Space == "" {
			return a.Value, true
		}
	}
	return "", false
}

// Envelope is a SOAP message, split into header and body.
type Envelope struct {
	Header *Element // may be nil
	Body   *Element // its first child; nil when empty
}

// ErrNotSOAP is XML that is no SOAP 1.1 envelope.
var ErrNotSOAP = errors.New("not a SOAP envelope")

// Open splits a document into header and body.
func Open(root *Element) (Envelope, error) {
	if !root.Is(Namespace, "Envelope") {
		name := "nothing"
		if root != nil {
			name = root.Name.Local
		}
		return Envelope{}, fmt.Errorf("%w: the root element is %s", ErrNotSOAP, name)
	}
	var e Envelope
	body := false
	for _, c := range root.Children {
		switch {
		case c.Is(Namespace, "Header") && e.Header == nil:
			e.Header = c
		case c.Is(Namespace, "Body") && !body:
			body = true
			if len(c.Children) > 0 {
				e.Body = c.Children[0]
			}
		}
	}
	if !body {
		return Envelope{}, fmt.Errorf("%w: no body", ErrNotSOAP)
	}
	return e, nil
}

// Fault reports whether the body is a SOAP fault.
func (e Envelope) Fault() (*Element, bool) {
	if e.Body.Is(Namespace, "Fault") {
		return e.Body, true
	}
	return nil, false
}

// Escape is s as character data or attribute value; characters that XML forbids become U+FFFD.
func Escape(s string) string {
	var b strings.Builder
	_ = xml.EscapeText(&b, []byte(s)) // a Builder does not fail
	return b.String()
}
