package answers

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/hybridge-cli/hybridge/pkg/config/sorting"
	"github.com/hybridge-cli/hybridge/pkg/config/spelling"
)

// Fault is one thing that is wrong with an answers file.
type Fault struct {
	File   string
	Line   int // from 1; 0 when the fault is with the file as a whole
	Column int // from 1, in characters
	// Path is the key's path, "forests[0].domains[1]"; "" when there is none.
	Path   string
	What   string // what is wrong
	Hint   string // what to do
	Source string // the line of the file, secrets masked; "" when there is none
	Cause  error  // of what could not be read; nil otherwise
}

// String returns "file:line:column: what; hint" on one line.
func (f Fault) String() string {
	var b strings.Builder
	b.WriteString(escape(f.File))
	if f.Line > 0 {
		fmt.Fprintf(&b, ":%d:%d", f.Line, f.Column)
	}
	b.WriteString(": ")
	if f.Path != "" {
		b.WriteString(escape(f.Path) + ": ")
	}
	b.WriteString(escape(f.What))
	if f.Hint != "" {
		b.WriteString("; " + escape(f.Hint))
	}
	return b.String()
}

// Error returns String and below it the line with a caret under the column.
func (f Fault) Error() string {
	if f.Source == "" || f.Line == 0 {
		return f.String()
	}
	line, at := excerpt(f.Source, f.Column)
	number := fmt.Sprintf("%5d", f.Line)
	return fmt.Sprintf("%s\n%s | %s\n%s | %s^", f.String(), number, line, strings.Repeat(" ", len(number)),
		strings.Repeat(" ", at))
}

func (f Fault) Unwrap() error { return f.Cause }

// Faults is everything that is wrong with an answers file, in the order of its lines. It is the
// error of Load and Parse.
type Faults []Fault

// shownFaults is how many faults an error's text holds; a file with more is likely the wrong file.
const shownFaults = 50

// Error returns one Fault after the other.
func (f Faults) Error() string {
	var parts []string
	hint := ""
	for _, fault := range f[:min(len(f), shownFaults)] {
		if fault.Hint == hint {
			fault.Hint = "" // said above
		} else {
			hint = fault.Hint
		}
		parts = append(parts, fault.Error())
	}
	if more := len(f) - shownFaults; more > 0 {
		last := "and one more fault"
		if more > 1 {
			last = fmt.Sprintf("and %d more faults", more)
		}
		parts = append(parts, last)
	}
	return strings.Join(parts, "\n")
}

// Unwrap returns the faults that have a cause.
func (f Faults) Unwrap() []error {
	var causes []error
	for _, fault := range f {
		if fault.Cause != nil {
			causes = append(causes, fault)
		}
	}
	return causes
}

func (f Faults) sort() {
	sorting.Stable(f, func(a, b Fault) int {
		if a.Line != b.Line {
			return a.Line - b.Line
		}
		return a.Column - b.Column
	})
}

// escape makes text fit for a terminal and a log: control, formatting and other unprintable
// characters as \u escapes, long text cut.
func escape(s string) string {
	const limit = 600
	var b strings.Builder
	for i, r := range s {
		if b.Len() > limit {
			return b.String() + "…"
		}
		b.WriteString(escapeRune(s[i:], r))
	}
	return b.String()
}

func escapeRune(at string, r rune) string {
	switch {
	case r == utf8.RuneError && !strings.HasPrefix(at, "\ufffd"):
		return fmt.Sprintf(`\x%02x`, at[0])
	case r == '\t':
		return " "
	case unicode.IsPrint(r):
		return string(r)
	case r > 0xffff:
		return fmt.Sprintf(`\U%08x`, r)
	}
	return fmt.Sprintf(`\u%04x`, r)
}

// excerpt returns the part of a line around a column (from 1), escaped, and how many characters
// stand before the column.
func excerpt(line string, column int) (text string, before int) {
	const width, lead = 100, 60
	runes := []rune(line)
	at := min(max(column-1, 0), len(runes))
	from := 0
	if at > width-20 {
		from = at - lead
	}
	to := min(len(runes), from+width)
	var b strings.Builder
	count := 0
	put := func(s string) { b.WriteString(s); count += utf8.RuneCountInString(s) }
	if from > 0 {
		put("…")
	}
	for i := from; i < to; i++ {
		if i == at {
			before = count
		}
		put(escapeRune(string(runes[i]), runes[i]))
	}
	if at >= to {
		before = count
	}
	if to < len(runes) {
		put("…")
	}
	return b.String(), before
}

// choose renders "did you mean x? there are a, b and c".
func choose(word string, candidates []string) string {
	all := "use one of " + strings.Join(candidates, ", ")
	if near, ok := spelling.Nearest(word, candidates); ok {
		return fmt.Sprintf("did you mean %q? %s", near, all)
	}
	return all
}
