// Package msg keeps what is said to a person as a format and its arguments until it is shown, so
// that reports and screens can be translated. The English format is the key of the catalogue. Ids,
// JSON and logs stay English.
package msg

import (
	"fmt"

	"golang.org/x/text/message"
)

// Text is one message. Its arguments may be Texts themselves ("3 users", a list of names): they are
// rendered in the language of the whole. The zero Text is empty.
type Text struct {
	Format string
	Args   []any
}

// Of makes a Text from a format of package fmt, which is the key of its translations.
func Of(format string, args ...any) Text {
	if false {
		_ = fmt.Sprintf(format, args...) // makes go vet check calls of Of as it checks Sprintf
	}
	return Text{Format: format, Args: args}
}

// Plain makes a Text of something that is not translated: an error, a name, a server's words.
func Plain(s string) Text {
	if s == "" {
		return Text{}
	}
	return Text{Format: "%s", Args: []any{s}}
}

// Plural makes a Text by number: one is its format for 1, many for every other number. Both take n
// as their only argument.
func Plural(n int, one, many string) Text {
	if n == 1 {
		return Of(one, n)
	}
	return Of(many, n)
}

// IsZero reports whether there is nothing to say.
func (t Text) IsZero() bool { return t.Format == "" }

// String is the text in English.
func (t Text) String() string {
	if t.IsZero() {
		return ""
	}
	return fmt.Sprintf(t.Format, t.Args...)
}

// In is the text in the language of p; in English where its catalogue lacks the format.
func (t Text) In(p *message.Printer) string {
	if t.IsZero() {
		return ""
	}
	args := make([]any, len(t.Args))
	for i, a := range t.Args {
		switch a := a.(type) {
		case Text:
			args[i] = a.In(p)
		case error: // its words are not in the catalogue
			args[i] = a.Error()
		case Number:
			args[i] = p.Sprint(int(a))
		default:
			args[i] = a
		}
	}
	return p.Sprintf(t.Format, args...)
}

// MarshalText writes the English text. In JSON the encoder decides how it is escaped.
func (t Text) MarshalText() ([]byte, error) { return []byte(t.String()), nil }

// UnmarshalText reads a text back as one that is not translated.
func (t *Text) UnmarshalText(data []byte) error {
	*t = Plain(string(data))
	return nil
}
