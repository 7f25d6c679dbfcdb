package snapshot

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/hybridge-cli/hybridge/pkg/config/secret"
)

// secretForms are texts that are secrets whoever wrote them: private keys, signed tokens, and
// passwords in addresses. The signature of a token has at least 20 characters.
var secretForms = sync.OnceValue(func() []*regexp.Regexp {
	return []*regexp.Regexp{
		regexp.MustCompile(`-----BEGIN [A-Z ]*PRIVATE KEY-----[^"]*`),
		regexp.MustCompile(`eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]{20,}`),
		regexp.MustCompile(`(?i)\b(?:bearer|basic|negotiate) [A-Za-z0-9+/=._~-]{20,}`),
		regexp.MustCompile(`://[^/@:"\\\s]+:[^/@"\\\s]+@`),
	}
})

// secretNames are the properties that hold a secret where their value is a text.
var secretNames = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`(?i)(password|passphrase|secret|secretText|privateKey|accessKey|apiKey)s?$|^hint$`)
})

// shortest is the length of the shortest secret that is looked for: shorter ones are found in any
// text.
const shortest = 6

// WithoutSecrets replaces secrets in readings: the known ones wherever they are, properties that
// are named as secrets, and what has the form of a key or token.
func WithoutSecrets(readings []Reading, known []secret.Value) []Reading {
	plain, escaped := textsOf(known)
	words := func(s string) string { return string(clean([]byte(s), plain)) }
	out := slices.Clone(readings)
	for i, r := range out {
		if r.Answer != nil {
			out[i].Answer = clean(withoutNamed(r.Answer), escaped)
		}
		out[i].Ask = words(r.Ask)
		if r.Error == nil {
			continue
		}
		f := *r.Error
		f.Text, f.Hint = words(f.Text), words(f.Hint)
		f.As = slices.Clone(f.As)
		for n, typed := range f.As {
			f.As[n].Value = clean(typed.Value, escaped)
		}
		out[i].Error = &f
	}
	return out
}

// Clean replaces what has the form of a key or token in a file.
func Clean(data []byte) []byte { return clean(bytes.Clone(data), nil) }

// textsOf are the forms of secrets in text and in JSON.
func textsOf(known []secret.Value) (plain, escaped [][]byte) {
	for _, v := range known {
		for _, form := range formsOf(v.Reveal()) {
			if in, err := text(form); err == nil && len(form) >= shortest {
				plain, escaped = append(plain, []byte(form)), append(escaped, in[1:len(in)-1])
			}
		}
	}
	return plain, escaped
}

func clean(raw []byte, texts [][]byte) []byte {
	for _, s := range texts {
		raw = bytes.ReplaceAll(raw, s, []byte(secret.Redacted))
	}
	for _, form := range secretForms() {
		raw = form.ReplaceAll(raw, []byte(secret.Redacted))
	}
	return raw
}

// formsOf are the texts in which a secret can be in an answer: as it is, and as base64.
func formsOf(s string) []string {
	return []string{strings.TrimSpace(s), base64.StdEncoding.EncodeToString([]byte(s))}
}

// withoutNamed replaces the texts of properties that are named as secrets. The sequence of members
// stays: Exchange prints properties in one.
func withoutNamed(raw json.RawMessage) json.RawMessage {
	if !secretNamed(raw) {
		return raw
	}
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	var b bytes.Buffer
	if copyWithout(d, &b, false) != nil {
		return raw // it was encoded by this package: cannot be
	}
	return b.Bytes()
}

// secretNamed reports whether some member may be named as a secret: most readings have none.
func secretNamed(raw []byte) bool {
	lower := bytes.ToLower(raw)
	for _, part := range []string{"passw", "passphrase", "secret", "privatekey", "accesskey", "apikey", "hint"} {
		if bytes.Contains(lower, []byte(part)) {
			return true
		}
	}
	return false
}

// copyWithout copies one value. hide says that its texts are secrets.
func copyWithout(d *json.Decoder, b *bytes.Buffer, hide bool) error {
	t, err := d.Token()
	if err != nil {
		return err
	}
	write := func(v any) error {
		raw, err := text(v)
		b.Write(raw)
		return err
	}
	switch t := t.(type) {
	case json.Delim:
		b.WriteString(t.String())
		for first := true; d.More(); first = false {
			if !first {
				b.WriteByte(',')
			}
			hidden := hide
			if t == '{' {
				name, err := d.Token()
				if err != nil {
					return err
				}
				if err := write(name); err != nil {
					return err
				}
				b.WriteByte(':')
				key, _ := name.(string)
				// What stands inside $types and $text of a nested object is hidden with it.
				hidden = hide && key != "$types" || secretNames().MatchString(key)
			}
			if err := copyWithout(d, b, hidden); err != nil {
				return err
			}
		}
		end, err := d.Token()
		if err != nil {
			return err
		}
		b.WriteString(end.(json.Delim).String())
		return nil
	case string:
		if hide && t != "" {
			return write(secret.Redacted)
		}
	}
	return write(t)
}
