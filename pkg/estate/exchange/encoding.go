package exchange

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"
	"time"
)

// The JSON form of an Object is its properties in print order, after "$types" and "$text" where it
// has them. What JSON has no form for is a one-member object: {"$time": RFC 3339}, {"$bytes":
// base64}, {"$hashtable": {...}}, {"$float": "NaN"}, {"$unreadable": reason}. Decoding it gives the
// same object again.

// MarshalJSON writes the JSON form that is described above.
func (o Object) MarshalJSON() ([]byte, error) {
	var b bytes.Buffer
	b.WriteByte('{')
	first := true
	member := func(name string, v any) error {
		if !first {
			b.WriteByte(',')
		}
		first = false
		k, err := json.Marshal(name)
		if err != nil {
			return err
		}
		b.Write(k)
		b.WriteByte(':')
		text, err := encodeValue(v)
		if err != nil {
			return fmt.Errorf("property %s: %w", name, err)
		}
		b.Write(text)
		return nil
	}
	// "$types" is always there: it distinguishes a nested object from anything else.
	types := make([]any, len(o.Types))
	for i, t := range o.Types {
		types[i] = t
	}
	if err := member("$types", types); err != nil {
		return nil, err
	}
	if o.Text != "" {
		if err := member("$text", o.Text); err != nil {
			return nil, err
		}
	}
	for _, name := range o.names {
		if err := member(name, o.properties[strings.ToLower(name)]); err != nil {
			return nil, err
		}
	}
	b.WriteByte('}')
	return b.Bytes(), nil
}

func encodeValue(v any) ([]byte, error) {
	switch v := v.(type) {
	case time.Time:
		return json.Marshal(map[string]string{"$time": v.Format(time.RFC3339Nano)})
	case []byte:
		return json.Marshal(map[string]string{"$bytes": base64.StdEncoding.EncodeToString(v)})
	case float64:
		if math.IsNaN(v) || math.IsInf(v, 0) || v == math.Trunc(v) {
			return json.Marshal(map[string]string{"$float": strconv.FormatFloat(v, 'g', -1, 64)})
		}
		return json.Marshal(v)
	case Unreadable:
		return json.Marshal(map[string]string{"$unreadable": v.Reason})
	case map[string]any:
		table := make(map[string]json.RawMessage, len(v))
		for k, e := range v {
			text, err := encodeValue(e)
			if err != nil {
				return nil, err
			}
			table[k] = text
		}
		return json.Marshal(map[string]any{"$hashtable": table})
	case []any:
		list := make([]json.RawMessage, len(v))
		for i, e := range v {
			text, err := encodeValue(e)
			if err != nil {
				return nil, err
			}
			list[i] = text
		}
		return json.Marshal(list)
	default:
		return json.Marshal(v)
	}
}

// UnmarshalJSON reads the form that MarshalJSON writes. Plain JSON objects, without any "$" member,
// are read too: as properties at the top, as hashtables below.
func (o *Object) UnmarshalJSON(text []byte) error {
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	out, err := decodeObject(d, maxDepth)
	if err != nil {
		return err
	}
	*o = out
	return nil
}

// maxDepth bounds the nesting of what servers and files send.
const maxDepth = 64

var errTooDeep = errors.New("nested too deeply")

func decodeObject(d *json.Decoder, depth int) (Object, error) {
	if t, err := d.Token(); err != nil {
		return Object{}, err
	} else if t != json.Delim('{') {
		return Object{}, fmt.Errorf("an object is expected, not %v", t)
	}
	return decodeMembers(d, depth)
}

// decodeMembers reads an object whose opening brace is read already.
func decodeMembers(d *json.Decoder, depth int) (Object, error) {
	var o Object
	o.properties = map[string]any{}
	for d.More() {
		t, err := d.Token()
		if err != nil {
			return o, err
		}
		name, _ := t.(string)
		v, err := decodeValue(d, depth-1)
		if err != nil {
			return o, err
		}
		switch name {
		case "$types":
			o.Types = []string{}
			if list, ok := v.([]any); ok {
				for _, e := range list {
					if s, ok := e.(string); ok {
						o.Types = append(o.Types, s)
					}
				}
			}
			if len(o.Types) == 0 {
				o.Types = nil
			}
		case "$text":
			o.Text, _ = v.(string)
		default:
			o.put(name, v)
		}
	}
	_, err := d.Token()
	return o, err
}

func decodeValue(d *json.Decoder, depth int) (any, error) {
	if depth <= 0 {
		return nil, errTooDeep
	}
	t, err := d.Token()
	if err != nil {
		if errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		return nil, err
	}
	switch t := t.(type) {
	case json.Number:
		return number(t), nil
	case json.Delim:
		if t == '[' {
			list := []any{}
			for d.More() {
				v, err := decodeValue(d, depth-1)
				if err != nil {
					return nil, err
				}
				list = append(list, v)
			}
			_, err := d.Token()
			return list, err
		}
		// Whether it is an object with types or one of the one-member forms shows only at its first
		// name.
		return decodeBraced(d, depth)
	default:
		return t, nil // nil, bool, string
	}
}

func decodeBraced(d *json.Decoder, depth int) (any, error) {
	table := map[string]any{}
	var object *Object
	for d.More() {
		t, err := d.Token()
		if err != nil {
			return nil, err
		}
		name, _ := t.(string)
		v, err := decodeValue(d, depth-1)
		if err != nil {
			return nil, err
		}
		if name == "$types" && len(table) == 0 && object == nil {
			object = &Object{properties: map[string]any{}}
			if list, ok := v.([]any); ok {
				for _, e := range list {
					if s, ok := e.(string); ok {
						object.Types = append(object.Types, s)
					}
				}
			}
			continue
		}
		if object != nil {
			if name == "$text" {
				object.Text, _ = v.(string)
			} else {
				object.put(name, v)
			}
			continue
		}
		table[name] = v
	}
	if _, err := d.Token(); err != nil {
		return nil, err
	}
	if object != nil {
		return *object, nil
	}
	if len(table) == 1 {
		for name, v := range table {
			s, _ := v.(string)
			switch name {
			case "$time":
				if when, err := time.Parse(time.RFC3339Nano, s); err == nil {
					return when, nil
				}
			case "$bytes":
				if b, err := base64.StdEncoding.DecodeString(s); err == nil {
					return b, nil
				}
			case "$float":
				if f, err := strconv.ParseFloat(s, 64); err == nil {
					return f, nil
				}
			case "$unreadable":
				return Unreadable{Reason: s}, nil
			case "$hashtable":
				if inner, ok := v.(map[string]any); ok {
					return inner, nil
				}
			}
		}
	}
	return table, nil
}

// number is int64 where the text is a whole number that fits, float64 otherwise.
func number(n json.Number) any {
	if i, err := n.Int64(); err == nil {
		return i
	}
	if f, err := n.Float64(); err == nil {
		return f
	}
	return n.String()
}

func fromBase64(s string) ([]byte, bool) {
	b, err := base64.StdEncoding.DecodeString(strings.TrimSpace(s))
	return b, err == nil
}
