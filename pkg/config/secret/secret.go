// Package secret carries secrets as references: the answers file, plans, journals and logs hold only where a
// secret is (file:, env:, keyring:, prompt), never what it is. A resolved Value prints as [redacted] whatever way it
// is formatted or encoded; only Reveal gives the text, to the one call that needs it.
package secret

import "encoding"

// Ref names where a secret is kept: "prompt", "file:PATH", "env:NAME" or "keyring:SERVICE/ACCOUNT".
// The zero Ref names nothing.
type Ref string

// Value is a resolved secret. It is redacted under every verb of fmt, in JSON, in YAML and in slog.
type Value struct{ text string }

// NewValue wraps a secret's text.
func NewValue(text string) Value { return Value{text} }

// Reveal returns the secret's text. Pass it straight on; never store or print it.
func (v Value) Reveal() string { return v.text }

// Redacted is what stands in a secret's place.
const Redacted = "[redacted]"

func (v Value) String() string               { return Redacted }
func (v Value) GoString() string             { return Redacted }
func (v Value) MarshalText() ([]byte, error) { return []byte(Redacted), nil }

var _ encoding.TextMarshaler = Value{}
