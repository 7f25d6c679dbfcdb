package link

import (
	"fmt"
	"net/url"
	"strings"
	"unicode"
)

// Printable is text from elsewhere, fit for an error or a report: control characters and line
// separators, which could rewrite a terminal, are spaces, invisible characters are \u escapes, and
// bytes that are no UTF-8 are U+FFFD. It is the only rule for foreign text: code that draws relies
// on it.
func Printable(s string) string {
	s = strings.ToValidUTF8(s, "\uFFFD")
	if !strings.ContainsFunc(s, func(r rune) bool { return breaks(r) || Invisible(r) }) {
		return s
	}
	var b strings.Builder
	for _, r := range s {
		switch {
		case breaks(r):
			b.WriteByte(' ')
		case r > 0xffff && Invisible(r):
			fmt.Fprintf(&b, `\U%08x`, r)
		case Invisible(r):
			fmt.Fprintf(&b, `\u%04x`, r)
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}

func breaks(r rune) bool { return unicode.IsControl(r) || r == '\u2028' || r == '\u2029' }

// Invisible reports whether a character leaves no mark on a screen and is no blank: it can make two
// names look the same, reorder text, or carry text that a person does not see. These are formatting
// characters (bidirectional controls, zero width characters, tags), variation selectors, fillers
// (U+3164, U+115F), U+034F and the empty Braille pattern.
func Invisible(r rune) bool {
	return unicode.In(r, unicode.Cf, unicode.Variation_Selector, unicode.Other_Default_Ignorable_Code_Point) ||
		r == '\u2800'
}

// maxLine bounds what one text of a server may take of a message, in characters.
const maxLine = 2000

// Line is Printable on one line: runs of blanks become one, and text beyond 2000 characters is cut.
func Line(s string) string {
	s = strings.Join(strings.Fields(Printable(s)), " ")
	if r := []rune(s); len(r) > maxLine {
		s = string(r[:maxLine]) + "..."
	}
	return s
}

// PrintableURL is Printable without user information, query and fragment: they may hold secrets.
func PrintableURL(s string) string {
	u, err := url.Parse(s)
	if err != nil || u.Host == "" {
		if i := strings.IndexAny(s, "?#"); i >= 0 {
			s = s[:i]
		}
		return Printable(s)
	}
	return Printable((&url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path, RawPath: u.RawPath}).String())
}
