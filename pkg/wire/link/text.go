package link

import (
	"net/url"
	"strings"
	"unicode"
)

// Printable is text from elsewhere, fit for an error or a report: characters that could rewrite a
// terminal or hide what stands beside them (control characters, line separators, invisible
// formatting) are spaces, bytes that are no UTF-8 are U+FFFD. It is the only rule for foreign text:
// code that draws relies on it.
func Printable(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || unicode.Is(unicode.Cf, r) || r == '\u2028' || r == '\u2029' {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(s, "\uFFFD"))
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
