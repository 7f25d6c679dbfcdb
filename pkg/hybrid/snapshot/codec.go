package snapshot

import (
	"bytes"
	"crypto"
	"crypto/sha256"
	"crypto/x509"
	"encoding"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"reflect"
	"strconv"

	"github.com/hybridge-cli/hybridge/pkg/estate/certificate"
	"github.com/hybridge-cli/hybridge/pkg/wire/link"
)

// The form of a value in a snapshot is JSON by its exported fields. Zero fields are left out.
// Certificates and revocation lists are base64 of their DER, errors have the form of failure, and a
// certificate file shows that it holds a key, never the key.

var (
	errorType       = reflect.TypeFor[error]()
	certificateType = reflect.TypeFor[*x509.Certificate]()
	revokedType     = reflect.TypeFor[*x509.RevocationList]()
	bundleType      = reflect.TypeFor[certificate.Bundle]()
	bytesType       = reflect.TypeFor[[]byte]()
	anyType         = reflect.TypeFor[any]()
	bodyType        = reflect.TypeFor[json.RawMessage]()
	jsonType        = reflect.TypeFor[json.Marshaler]()
	textType        = reflect.TypeFor[encoding.TextMarshaler]()
)

// bundle is the form of a certificate with its chain.
type bundle struct {
	Leaf   *x509.Certificate
	Chain  []*x509.Certificate
	Key    bool
	Bare   bool
	Staple []byte
}

// sealed stands for a private key that is not in a snapshot. It signs nothing.
type sealed struct{ public crypto.PublicKey }

func (s sealed) Public() crypto.PublicKey { return s.public }

func (sealed) Sign(io.Reader, []byte, crypto.SignerOpts) ([]byte, error) {
	return nil, errors.New("a snapshot holds no private key")
}

// text encodes JSON without escapes for HTML.
func text(v any) (json.RawMessage, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimSpace(b.Bytes()), nil
}

// encode returns the form of a value.
func (c *codec) encode(v reflect.Value) (json.RawMessage, error) {
	t := v.Type()
	switch {
	case t == errorType:
		if v.IsNil() {
			return json.RawMessage("null"), nil
		}
		return c.encodeError(v.Interface().(error))
	case t == certificateType:
		if v.IsNil() {
			return json.RawMessage("null"), nil
		}
		leaf := v.Interface().(*x509.Certificate)
		c.saw(leaf)
		return text(leaf.Raw)
	case t == revokedType:
		if v.IsNil() {
			return json.RawMessage("null"), nil
		}
		return text(v.Interface().(*x509.RevocationList).Raw)
	case t == bundleType:
		b := v.Interface().(certificate.Bundle)
		return c.encode(reflect.ValueOf(bundle{b.Leaf, b.Chain, b.Key != nil, b.Bare, b.Staple}))
	case t == bodyType:
		// What is no JSON stands as a text. No answer of the systems is a text alone.
		body := v.Interface().(json.RawMessage)
		if !json.Valid(body) {
			return text(string(body))
		}
		return text(body)
	case t == bytesType, t.Implements(jsonType):
		return text(v.Interface())
	case t.Implements(textType) && reflect.PointerTo(t).Implements(reflect.TypeFor[encoding.TextUnmarshaler]()):
		return text(v.Interface())
	}
	switch t.Kind() {
	case reflect.Pointer, reflect.Interface:
		if v.IsNil() {
			return json.RawMessage("null"), nil
		}
		if t.Kind() == reflect.Interface && t != anyType {
			return nil, fmt.Errorf("a snapshot has no form for %s", t)
		}
		return c.encode(v.Elem())
	case reflect.Struct:
		fields := map[string]json.RawMessage{}
		for i := range t.NumField() {
			f := t.Field(i)
			if !f.IsExported() {
				return nil, fmt.Errorf("a snapshot has no form for %s.%s", t, f.Name)
			}
			if v.Field(i).IsZero() {
				continue
			}
			raw, err := c.encode(v.Field(i))
			if err != nil {
				return nil, err
			}
			fields[f.Name] = raw
		}
		return text(fields)
	case reflect.Slice, reflect.Array:
		if t.Kind() == reflect.Slice && v.IsNil() {
			return json.RawMessage("null"), nil
		}
		list := make([]json.RawMessage, v.Len())
		for i := range list {
			var err error
			if list[i], err = c.encode(v.Index(i)); err != nil {
				return nil, err
			}
		}
		return text(list)
	case reflect.Map:
		if t.Key().Kind() != reflect.String {
			return nil, fmt.Errorf("a snapshot has no form for %s", t)
		}
		if v.IsNil() {
			return json.RawMessage("null"), nil
		}
		table := make(map[string]json.RawMessage, v.Len())
		for _, k := range v.MapKeys() {
			raw, err := c.encode(v.MapIndex(k))
			if err != nil {
				return nil, err
			}
			table[k.String()] = raw
		}
		return text(table)
	case reflect.Bool, reflect.String, reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64,
		reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return text(v.Interface())
	case reflect.Float32, reflect.Float64:
		f := v.Float()
		if math.IsNaN(f) || math.IsInf(f, 0) {
			return nil, fmt.Errorf("a snapshot has no form for %v", f)
		}
		return text(f)
	}
	return nil, fmt.Errorf("a snapshot has no form for %s", t)
}

// decode reads the form of a value into v.
func (c *codec) decode(raw json.RawMessage, v reflect.Value) error {
	t := v.Type()
	null := string(bytes.TrimSpace(raw)) == "null"
	switch {
	case t == errorType:
		if null {
			return nil
		}
		err, wrong := c.decodeError(raw)
		if wrong == nil {
			v.Set(reflect.ValueOf(&err).Elem())
		}
		return wrong
	case t == certificateType, t == revokedType:
		if null {
			return nil
		}
		var der []byte
		if err := json.Unmarshal(raw, &der); err != nil {
			return err
		}
		if t == revokedType {
			list, err := x509.ParseRevocationList(der)
			v.Set(reflect.ValueOf(list))
			return err
		}
		leaf, err := x509.ParseCertificate(der)
		v.Set(reflect.ValueOf(leaf))
		return err
	case t == bundleType:
		var b bundle
		if err := c.decode(raw, reflect.ValueOf(&b).Elem()); err != nil {
			return err
		}
		if b.Leaf == nil {
			return errors.New("a chain without its certificate")
		}
		out := certificate.Bundle{Leaf: b.Leaf, Chain: b.Chain, Bare: b.Bare, Staple: b.Staple}
		if b.Key {
			out.Key = sealed{b.Leaf.PublicKey}
		}
		v.Set(reflect.ValueOf(out))
		return nil
	case t == bodyType:
		var body string
		if json.Unmarshal(raw, &body) == nil && !null {
			raw = json.RawMessage(body)
		}
		v.SetBytes(bytes.Clone(raw))
		return nil
	case t == bytesType, t.Implements(jsonType), t.Implements(textType):
		return json.Unmarshal(raw, v.Addr().Interface())
	}
	if null {
		return nil
	}
	switch t.Kind() {
	case reflect.Pointer:
		v.Set(reflect.New(t.Elem()))
		return c.decode(raw, v.Elem())
	case reflect.Interface:
		d := json.NewDecoder(bytes.NewReader(raw))
		d.UseNumber()
		var tree any
		if err := d.Decode(&tree); err != nil {
			return err
		}
		v.Set(reflect.ValueOf(plain(tree)))
		return nil
	case reflect.Struct:
		var fields map[string]json.RawMessage
		if err := json.Unmarshal(raw, &fields); err != nil {
			return err
		}
		for name, member := range fields {
			f := v.FieldByName(name)
			if !f.IsValid() || !f.CanSet() {
				return fmt.Errorf("%s has no field %s", t, link.Line(name))
			}
			if err := c.decode(member, f); err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
		}
		return nil
	case reflect.Slice, reflect.Array:
		var list []json.RawMessage
		if err := json.Unmarshal(raw, &list); err != nil {
			return err
		}
		if t.Kind() == reflect.Slice {
			v.Set(reflect.MakeSlice(t, len(list), len(list)))
		} else if len(list) != t.Len() {
			return fmt.Errorf("%d elements where there are %d", len(list), t.Len())
		}
		for i, member := range list {
			if err := c.element(member, v.Index(i)); err != nil {
				return err
			}
		}
		return nil
	case reflect.Map:
		var table map[string]json.RawMessage
		if err := json.Unmarshal(raw, &table); err != nil {
			return err
		}
		v.Set(reflect.MakeMapWithSize(t, len(table)))
		for k, member := range table {
			e := reflect.New(t.Elem()).Elem()
			if err := c.element(member, e); err != nil {
				return fmt.Errorf("%s: %w", link.Line(k), err)
			}
			v.SetMapIndex(reflect.ValueOf(k).Convert(t.Key()), e)
		}
		return nil
	}
	return json.Unmarshal(raw, v.Addr().Interface())
}

// element reads an element of a list or table. No code puts a nil pointer there, and none expects one.
func (c *codec) element(raw json.RawMessage, v reflect.Value) error {
	if v.Kind() == reflect.Pointer && string(bytes.TrimSpace(raw)) == "null" {
		return fmt.Errorf("null where a %s is", v.Type().Elem().Name())
	}
	return c.decode(raw, v)
}

// plain turns json.Number into int64 where it fits, else into float64.
func plain(v any) any {
	switch v := v.(type) {
	case json.Number:
		if n, err := v.Int64(); err == nil {
			return n
		}
		f, _ := v.Float64()
		return f
	case []any:
		for i := range v {
			v[i] = plain(v[i])
		}
	case map[string]any:
		for k := range v {
			v[k] = plain(v[k])
		}
	}
	return v
}

// shape is a fingerprint of how a type is read. A field that another version of hybridge added
// would be zero in an older snapshot, which is not what a server said.
func shape(t reflect.Type) string {
	h := sha256.New()
	describe(h, t, map[reflect.Type]bool{})
	return hex.EncodeToString(h.Sum(nil)[:4])
}

func describe(w io.Writer, t reflect.Type, seen map[reflect.Type]bool) {
	_, _ = io.WriteString(w, t.Kind().String()+"("+t.Name()+")")
	if seen[t] || t == certificateType || t == revokedType || t == bundleType || t.Implements(jsonType) ||
		t.Implements(textType) {
		return
	}
	seen[t] = true
	switch t.Kind() {
	case reflect.Pointer, reflect.Slice, reflect.Array:
		describe(w, t.Elem(), seen)
	case reflect.Map:
		describe(w, t.Key(), seen)
		describe(w, t.Elem(), seen)
	case reflect.Struct:
		for i := range t.NumField() {
			_, _ = io.WriteString(w, strconv.Itoa(i)+t.Field(i).Name)
			describe(w, t.Field(i).Type, seen)
		}
	}
}
