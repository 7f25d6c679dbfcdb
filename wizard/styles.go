package wizard

import (
	"fmt"
	"io"
	"os"
	"strings"
	"unicode"

	"github.com/charmbracelet/lipgloss"
	"github.com/charmbracelet/x/ansi"
	"github.com/muesli/termenv"
)

// styles are all the styles there are. Colors only repeat what words and signs say.
type styles struct {
	title, here, past, faint, key, good, warn, bad, focus, cursor lipgloss.Style

	plain bool // nothing can be styled
}

// mark draws what the cursor is on.
func (s styles) mark(text string) string {
	if s.plain {
		return "|" + text
	}
	return s.cursor.Render(text)
}

func newStyles(out io.Writer, noColor bool) styles {
	r := lipgloss.NewRenderer(out)
	if noColor || os.Getenv("NO_COLOR") != "" {
		r.SetColorProfile(termenv.Ascii)
	}
	plain := r.NewStyle()
	return styles{
		title:  plain.Bold(true),
		here:   plain.Bold(true).Underline(true),
		past:   plain,
		faint:  plain.Faint(true),
		key:    plain.Bold(true),
		good:   plain.Foreground(lipgloss.Color("2")),
		warn:   plain.Foreground(lipgloss.Color("3")),
		bad:    plain.Foreground(lipgloss.Color("1")).Bold(true),
		focus:  plain.Bold(true),
		cursor: plain.Reverse(true),
		plain:  r.ColorProfile() == termenv.Ascii,
	}
}

// clean makes text from elsewhere fit for the terminal: escape sequences go, and what cannot be seen becomes a blank.
func clean(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return ' '
	}, ansi.Strip(s))
}

// fit cuts a line to a width.
func fit(s string, width int) string { return ansi.Truncate(s, max(width, 0), "…") }

// pad fits a line and fills it with blanks up to the width.
func pad(s string, width int) string {
	s = fit(s, width)
	return s + strings.Repeat(" ", max(0, width-ansi.StringWidth(s)))
}

// wrap breaks clean text into lines of a width, each after the first behind indent; a label as long as indent stays as it is. Words are broken only when they are wider than a
// line, and then anywhere: a URL must not get a hyphen that looks like its own end.
func wrap(s string, width int, indent string) []string {
	width = max(width, len(indent)+10)
	var lines []string
	label := min(len(indent), len(s))
	line, started := s[:label], false
	if strings.HasPrefix(s[label:], " ") && !strings.HasSuffix(line, " ") {
		line += " "
	}
	for word := range strings.FieldsSeq(s[label:]) {
		if started && ansi.StringWidth(line)+1+ansi.StringWidth(word) > width {
			lines = append(lines, line)
			line, started = indent, false
		}
		if started {
			line += " " + word
		} else {
			line += word
		}
		started = true
		for ansi.StringWidth(line) > width {
			head := ansi.Truncate(line, width, "")
			lines = append(lines, head)
			line = indent + line[len(head):]
		}
	}
	return append(lines, line)
}

// view is a list of lines that is scrolled.
type view struct {
	offset int
	page   int // height of the last window, for scrolling by pages
	total  int // of lines
}

// position tells which lines are in view; "" when all are.
func (v *view) position() string {
	if v.total <= v.page {
		return ""
	}
	return fmt.Sprintf("lines %d to %d of %d", v.offset+1, min(v.offset+v.page, v.total), v.total)
}

// window returns the height lines that are in view, filled up with empty ones.
func (v *view) window(lines []string, height int) []string {
	v.page, v.total = height, len(lines)
	v.offset = max(0, min(v.offset, len(lines)-height))
	out := make([]string, height)
	copy(out, lines[v.offset:min(len(lines), v.offset+height)])
	return out
}

// keep scrolls as little as it takes to have the lines from first to last in view.
func (v *view) keep(first, last, height int) {
	if last >= v.offset+height {
		v.offset = last - height + 1
	}
	if first < v.offset {
		v.offset = first
	}
}

// key scrolls; false when the key is none for that.
func (v *view) key(name string) bool {
	switch name {
	case "up", "k":
		v.offset--
	case "down", "j":
		v.offset++
	case "pgup", "ctrl+b":
		v.offset -= max(1, v.page-1)
	case "pgdown", "ctrl+f", " ":
		v.offset += max(1, v.page-1)
	case "home", "g":
		v.offset = 0
	case "end", "G":
		v.offset = 1 << 30
	default:
		return false
	}
	v.offset = max(0, v.offset)
	return true
}
