package secret

import (
	"errors"
	"strings"
	"unicode"
)

// Ref names where a secret is kept: "prompt", "file:PATH", "env:NAME" or "keyring:SERVICE/ACCOUNT".
// The zero Ref names nothing.
type Ref string

// Forms are the forms of a Ref, for messages.
const Forms = "prompt, file:PATH, env:NAME or keyring:SERVICE/ACCOUNT"

// Source is the kind of place a Ref names.
type Source string

// The sources.
const (
	Prompt  Source = "prompt"
	File    Source = "file"
	Env     Source = "env"
	Keyring Source = "keyring"
	// Binary is a file that is a secret as a whole: a PKCS#12 file. hybridge itself makes such
	// references for the commands of a plan; the answers file has none.
	Binary Source = "binary"
)

// ErrNotReference says that a text is not a reference. Its text never holds what was given: that
// may be the secret.
var ErrNotReference = errors.New("a secret is given by reference, never as a value: " + Forms)

// Parse reads a reference. Errors never hold the text: it may be a secret in the place of a
// reference.
func Parse(text string) (Ref, error) {
	r := Ref(text)
	return r, r.Validate()
}

// Source returns the kind of place that the reference names, and the place; false when it is not a
// reference.
func (r Ref) Source() (source Source, place string, ok bool) {
	if r == Ref(Prompt) {
		return Prompt, "", true
	}
	scheme, place, found := strings.Cut(string(r), ":")
	if !found || place == "" || strings.ContainsFunc(place, unicode.IsControl) {
		return "", "", false
	}
	switch source = Source(scheme); source {
	case File, Binary:
		return source, place, true
	case Env:
		return source, place, validName(place)
	case Keyring:
		service, account, found := strings.Cut(place, "/")
		return source, place, found && service != "" && account != ""
	}
	return "", "", false
}

// Validate returns nil for a well-formed reference, what is wrong with it otherwise.
func (r Ref) Validate() error {
	if _, _, ok := r.Source(); ok {
		return nil
	}
	switch {
	case r == "":
		return errors.New("no secret is named: " + Forms)
	case strings.HasPrefix(string(r), "env:"):
		return errors.New("env: needs the name of an environment variable (letters, digits and underscores): env:NAME")
	case strings.HasPrefix(string(r), "keyring:"):
		return errors.New("keyring: needs a service and an account: keyring:SERVICE/ACCOUNT")
	case r == "file:":
		return errors.New("file: needs a path: file:PATH")
	}
	return ErrNotReference
}

// String returns the reference; what is not one is redacted, since it may be the secret itself.
func (r Ref) String() string {
	if _, _, ok := r.Source(); ok || r == "" {
		return string(r)
	}
	return Redacted
}

// GoString is String.
func (r Ref) GoString() string { return `"` + r.String() + `"` }

func validName(s string) bool {
	for i, c := range s {
		if c != '_' && (c < 'A' || c > 'Z') && (c < 'a' || c > 'z') && (i == 0 || c < '0' || c > '9') {
			return false
		}
	}
	return s != ""
}
