// Package secret carries secrets as references: the answers file, plans, journals and logs hold
// only where a secret is (file:, env:, keyring:, prompt), never what it is. A resolved Value prints
// as [redacted] in every format and encoding. Only Reveal returns the text, to the one call that
// needs it.
package secret

import (
	"crypto/subtle"
	"encoding"
	"fmt"
	"io"
	"log/slog"
)

// Redacted is what stands in a secret's place.
const Redacted = "[redacted]"

// Value is a resolved secret. It is redacted under every verb of fmt, also where it is a field of
// another struct, and in JSON, YAML, XML, gob and slog. The zero Value is the empty secret.
type Value struct {
	// This is a function and not the text. Code that prints a struct with a Value in an unexported
	// field uses reflection and bypasses all methods, but reflection cannot look into a function.
	// It is a pointer so that Values stay comparable.
	reveal *func() string
}

// NewValue wraps a secret's text.
func NewValue(text string) Value {
	if text == "" {
		return Value{}
	}
	reveal := func() string { return text }
	return Value{&reveal}
}

// Reveal returns the secret's text. Pass it straight on; never store or print it.
func (v Value) Reveal() string {
	if v.reveal == nil {
		return ""
	}
	return (*v.reveal)()
}

// IsZero reports whether the secret is empty.
func (v Value) IsZero() bool { return v.reveal == nil }

// Equal compares two secrets in constant time for secrets of one length.
func (v Value) Equal(other Value) bool {
	return subtle.ConstantTimeCompare([]byte(v.Reveal()), []byte(other.Reveal())) == 1
}

func (v Value) String() string               { return Redacted }
func (v Value) GoString() string             { return Redacted }
func (v Value) Format(f fmt.State, _ rune)   { _, _ = io.WriteString(f, Redacted) }
func (v Value) LogValue() slog.Value         { return slog.StringValue(Redacted) }
func (v Value) MarshalText() ([]byte, error) { return []byte(Redacted), nil }
func (v Value) MarshalYAML() (any, error)    { return Redacted, nil }
func (v Value) GobEncode() ([]byte, error)   { return []byte(Redacted), nil }

var _ interface {
	encoding.TextMarshaler
	fmt.Formatter
	slog.LogValuer
} = Value{}
