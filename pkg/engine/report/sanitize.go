package report

import (
	"fmt"
	"regexp"
	"strings"
	"sync"
	"unicode"
	"unicode/utf8"
)

// Sanitize makes text from elsewhere fit for a terminal. Everything that a terminal could take for
// a command (escape sequences, other control characters, C1 included, and characters that reorder
// or hide text) is shown as \u escapes, bytes that are no UTF-8 as \x escapes. Line breaks stay;
// tabs become spaces. So is the beginning of what a CI service takes for a command.
func Sanitize(s string) string {
	s = withoutCommands(s)
	if clean(s) {
		return s
	}
	var b strings.Builder
	for i, r := range s {
		switch {
		case r == '\n':
			b.WriteByte('\n')
		case r == '\r' && strings.HasPrefix(s[i:], "\r\n"):
		case r == '\t':
			b.WriteByte(' ')
		case r == utf8.RuneError && !strings.HasPrefix(s[i:], "\ufffd"):
			fmt.Fprintf(&b, `\x%02x`, s[i])
		case (unicode.IsPrint(r) || r == '\u00a0' || r == '\u3000') && !invisible(r):
			b.WriteRune(r)
		case r > 0xffff:
			fmt.Fprintf(&b, `\U%08x`, r)
		default:
			fmt.Fprintf(&b, `\u%04x`, r)
		}
	}
	return b.String()
}

// command is what CI services look for in the output of a job: ##vso[...] (Azure Pipelines) and
// ##[...] anywhere in a line, ##teamcity[...], and ::name ...:: (GitHub) at the start of a line. A
// server's text could set variables of the pipeline, or hide a line. Text may be wrapped: a blank
// is taken for the start of a line. GitHub drops every blank of Unicode there.
var command = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`##[A-Za-z]*\[|(?:^|[\s\p{Z}])::[A-Za-z-]+(?:\s[^\n]*?)?::`)
})

// withoutCommands writes the first mark of a command as an escape, which JSON reads as the mark.
func withoutCommands(s string) string {
	if !strings.Contains(s, "##") && !strings.Contains(s, "::") {
		return s
	}
	return command().ReplaceAllStringFunc(s, func(found string) string {
		at := strings.IndexAny(found, "#:")
		return found[:at] + fmt.Sprintf(`\u%04x`, found[at]) + found[at+1:]
	})
}

// invisible is the rule of link.Invisible, which this package must not import.
func invisible(r rune) bool {
	return unicode.In(r, unicode.Cf, unicode.Variation_Selector, unicode.Other_Default_Ignorable_Code_Point) ||
		r == '\u2800'
}

// clean reports that s is nothing but printable ASCII and line breaks.
func clean(s string) bool {
	for i := range len(s) {
		if c := s[i]; (c < ' ' || c > '~') && c != '\n' {
			return false
		}
	}
	return true
}

// line is Sanitize for what must stay on one line.
func line(s string) string { return strings.Join(strings.Fields(Sanitize(s)), " ") }
