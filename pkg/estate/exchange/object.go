package exchange

import (
	"errors"
	"fmt"
	"log/slog"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/hybridge-cli/hybridge/pkg/wire/link"
)

// Errors of the getters and of Run; test with errors.Is.
var (
	ErrAbsent = errors.New("no such property") // the object has no property of that name
	ErrNull   = errors.New("property is null") // the property is there and holds $null
	// the server says it is there, but not what it is; or it is of another type than asked for
	ErrUnreadable = errors.New("property not readable")
	ErrNotFound   = errors.New("no such object")            // ManagementObjectNotFoundException and similar
	ErrNoCmdlet   = errors.New("cmdlet not available")      // not exported to this caller, or unknown on this side
	ErrThrottled  = errors.New("server asked to slow down") // 429 or the shell limit, after retries
)

// Object is one output object of a cmdlet: a bag of properties whose names are compared without
// case, as PowerShell does.
//
// Values are nil ($null), bool, int64, float64, string, time.Time, []byte, []any (of these) and
// map[string]any (hashtables). Values of Exchange's own types stand as their string form; a nested
// object as an Object.
//
// The typed getters distinguish four cases: the property is absent (ErrAbsent), null (ErrNull), not
// readable as what was asked for (ErrUnreadable), or there, in which case an empty string or list
// is a value like any other. Optional turns null into the zero value.
type Object struct {
	Types      []string // .NET type names, most derived first; may be empty
	Text       string   // ToString()
	names      []string // as printed, in order
	properties map[string]any
}

// Unreadable stands for a value that exists but could not be read.
type Unreadable struct{ Reason string }

// NewObject makes an object of pairs: a name, its value, and so on. A name given twice keeps its
// first place and its last value. It panics on an odd number of pairs or a name that is no string:
// a programmer's error.
func NewObject(types []string, text string, pairs ...any) Object {
	if len(pairs)%2 != 0 {
		panic("exchange.NewObject: a name without a value")
	}
	o := Object{Types: types, Text: text, properties: make(map[string]any, len(pairs)/2)}
	for i := 0; i < len(pairs); i += 2 {
		o.put(pairs[i].(string), pairs[i+1])
	}
	return o
}

// put sets a property while the object is being built.
func (o *Object) put(name string, value any) {
	key := strings.ToLower(name)
	if o.properties == nil {
		o.properties = map[string]any{}
	}
	if _, known := o.properties[key]; !known {
		o.names = append(o.names, name)
	}
	o.properties[key] = canonical(value)
}

// Convert rebuilds a value from its leaves upwards: f is given each element of lists and hashtables
// first, then the list or hashtable itself.
func Convert(v any, f func(v any) (any, error)) (any, error) {
	switch tree := v.(type) {
	case []any:
		list := make([]any, len(tree))
		for i, e := range tree {
			var err error
			if list[i], err = Convert(e, f); err != nil {
				return nil, err
			}
		}
		v = list
	case map[string]any:
		table := make(map[string]any, len(tree))
		for k, e := range tree {
			var err error
			if table[k], err = Convert(e, f); err != nil {
				return nil, fmt.Errorf("key %s: %w", link.Line(k), err)
			}
		}
		v = table
	}
	return f(v)
}

// must is for conversions that never fail.
func must(v any, _ error) any { return v }

// canonical brings a value to one of the kinds that Object documents.
func canonical(v any) any {
	return must(Convert(v, func(v any) (any, error) { return canonicalLeaf(v), nil }))
}

func canonicalLeaf(v any) any {
	switch v := v.(type) {
	case int:
		return int64(v)
	case int8:
		return int64(v)
	case int16:
		return int64(v)
	case int32:
		return int64(v)
	case uint8:
		return int64(v)
	case uint16:
		return int64(v)
	case uint32:
		return int64(v)
	case uint:
		return canonicalLeaf(uint64(v))
	case uint64:
		if v > math.MaxInt64 {
			return strconv.FormatUint(v, 10)
		}
		return int64(v)
	case float32:
		return float64(v)
	case []string:
		list := make([]any, len(v))
		for i, s := range v {
			list[i] = s
		}
		return list
	case *Object:
		if v == nil {
			return nil
		}
		return *v
	case nil, bool, int64, float64, string, time.Time, []byte, Object, Unreadable, []any, map[string]any:
		return v
	default:
		return Unreadable{Reason: fmt.Sprintf("a value of type %T", v)}
	}
}

// Names returns the property names as the cmdlet printed them, in its order.
func (o Object) Names() []string { return append([]string(nil), o.names...) }

// Has reports whether the object has the property, readable or not.
func (o Object) Has(name string) bool {
	_, ok := o.properties[strings.ToLower(name)]
	return ok
}

// Null reports whether the property is there and holds $null.
func (o Object) Null(name string) bool {
	v, ok := o.properties[strings.ToLower(name)]
	return ok && v == nil
}

// Value returns a property: nil for $null, ErrAbsent, or ErrUnreadable.
func (o Object) Value(name string) (any, error) {
	v, ok := o.properties[strings.ToLower(name)]
	if !ok {
		return nil, fmt.Errorf("%s: %w", name, ErrAbsent)
	}
	if u, bad := v.(Unreadable); bad {
		return nil, fmt.Errorf("%s: %w: %s", name, ErrUnreadable, link.Line(u.Reason))
	}
	return v, nil
}

// set returns a property that is not null.
func (o Object) set(name string) (any, error) {
	v, err := o.Value(name)
	if err == nil && v == nil {
		return nil, fmt.Errorf("%s: %w", name, ErrNull)
	}
	return v, err
}

func mismatch(name string, v any, want string) error {
	return fmt.Errorf("%s: %w: it holds %s, not %s", name, ErrUnreadable, describe(v), want)
}

func describe(v any) string {
	switch v := v.(type) {
	case bool:
		return "a Boolean"
	case int64, float64:
		return "a number"
	case string:
		return "text"
	case time.Time:
		return "a time"
	case []byte:
		return "bytes"
	case []any:
		return "a list"
	case map[string]any:
		return "a hashtable"
	case Object:
		return "an object"
	default:
		return fmt.Sprintf("%T", v)
	}
}

// Scalar is the text of one value as PowerShell would print it: numbers in decimal, True and False,
// an object by its ToString(). Lists, hashtables, bytes and nil have none.
func Scalar(v any) (string, bool) {
	switch v := v.(type) {
	case string:
		return v, true
	case bool:
		if v {
			return "True", true
		}
		return "False", true
	case int64:
		return strconv.FormatInt(v, 10), true
	case float64:
		return strconv.FormatFloat(v, 'g', -1, 64), true
	case time.Time:
		return v.Format(time.RFC3339Nano), true
	case Object:
		return v.Text, true
	default:
		return "", false
	}
}

// String returns a property as text. Numbers, Booleans, times and nested objects are given as
// PowerShell prints them; a list of one element as that element.
func (o Object) String(name string) (string, error) {
	v, err := o.set(name)
	if err != nil {
		return "", err
	}
	if list, ok := v.([]any); ok && len(list) == 1 {
		v = list[0]
	}
	if s, ok := Scalar(v); ok {
		return s, nil
	}
	return "", mismatch(name, v, "text")
}

// Bool returns a property that is a Boolean, or the text True or False.
func (o Object) Bool(name string) (bool, error) {
	v, err := o.set(name)
	if err != nil {
		return false, err
	}
	switch v := v.(type) {
	case bool:
		return v, nil
	case string:
		switch strings.ToLower(strings.TrimSpace(v)) {
		case "true":
			return true, nil
		case "false":
			return false, nil
		}
	}
	return false, mismatch(name, v, "a Boolean")
}

// Int returns a property that is a whole number, or text that is one.
func (o Object) Int(name string) (int64, error) {
	v, err := o.set(name)
	if err != nil {
		return 0, err
	}
	switch v := v.(type) {
	case int64:
		return v, nil
	case float64:
		if v == math.Trunc(v) && math.Abs(v) < 1<<53 {
			return int64(v), nil
		}
	case string:
		if n, err := strconv.ParseInt(strings.TrimSpace(v), 10, 64); err == nil {
			return n, nil
		}
	}
	return 0, mismatch(name, v, "a whole number")
}

// Strings returns a multi-valued property as texts. A null one has none (nil, no error), an empty
// one an empty list; a single value, which is how PowerShell may hand over a list of one, is a list
// of one.
func (o Object) Strings(name string) ([]string, error) {
	v, err := o.Value(name)
	if err != nil || v == nil {
		return nil, err
	}
	list, ok := v.([]any)
	if !ok {
		s, ok := Scalar(v)
		if !ok {
			return nil, mismatch(name, v, "a list")
		}
		return []string{s}, nil
	}
	out := make([]string, 0, len(list))
	for _, e := range list {
		s, ok := Scalar(e)
		if !ok {
			return nil, mismatch(name, e, "text in a list")
		}
		out = append(out, s)
	}
	return out, nil
}

// timeLayouts are how Exchange writes a time as text. Times without a zone are in UTC when the
// property's name says so; others are in the server's zone, which no answer states, and are read as
// UTC too.
var timeLayouts = []string{time.RFC3339Nano, "2006-01-02T15:04:05.999999999", "2006-01-02 15:04:05Z07:00", "2006-01-02"}

// Time returns a property that is a time, or text in ISO 8601 form.
func (o Object) Time(name string) (time.Time, error) {
	v, err := o.set(name)
	if err != nil {
		return time.Time{}, err
	}
	switch v := v.(type) {
	case time.Time:
		return v, nil
	case string:
		for _, layout := range timeLayouts {
			if t, err := time.Parse(layout, strings.TrimSpace(v)); err == nil {
				return t, nil
			}
		}
	}
	return time.Time{}, mismatch(name, v, "a time")
}

// Bytes returns a property that holds bytes: a byte array, or its base64 text, which is how the
// admin API prints one.
func (o Object) Bytes(name string) ([]byte, error) {
	v, err := o.set(name)
	if err != nil {
		return nil, err
	}
	switch v := v.(type) {
	case []byte:
		return v, nil
	case string:
		if b, ok := fromBase64(v); ok {
			return b, nil
		}
	case []any:
		out := make([]byte, 0, len(v))
		for _, e := range v {
			n, ok := e.(int64)
			if !ok || n < 0 || n > 255 {
				return nil, mismatch(name, v, "bytes")
			}
			out = append(out, byte(n))
		}
		return out, nil
	}
	return nil, mismatch(name, v, "bytes")
}

// Optional passes a getter's result through and turns null into the zero value:
// exchange.Optional(o.String("TargetSharingEpr")).
func Optional[T any](v T, err error) (T, error) {
	if errors.Is(err, ErrNull) {
		var zero T
		return zero, nil
	}
	return v, err
}

// Format prints the object's text for %s, %q and %v, its type and property names (never their
// values) for %+v and %#v, all without control characters.
func (o Object) Format(f fmt.State, verb rune) {
	text := link.Line(o.Text)
	if text == "" && len(o.Types) > 0 {
		text = link.Line(o.Types[0])
	}
	switch {
	case verb == 'q':
		fmt.Fprintf(f, "%q", text)
	case f.Flag('+') || f.Flag('#'):
		kind := "object"
		if len(o.Types) > 0 {
			kind = link.Line(o.Types[0])
		}
		fmt.Fprintf(f, "%s %q {%s}", kind, text, link.Line(strings.Join(o.names, " ")))
	default:
		fmt.Fprint(f, text)
	}
}

// LogValue keeps property values out of logs.
func (o Object) LogValue() slog.Value { return slog.StringValue(fmt.Sprintf("%+v", o)) }
