package wizard

import (
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

// wrap breaks clean text into lines of a width, each after the first behind indent.
func wrap(s string, width int, indent string) []string {
	lines := strings.Split(ansi.Wrap(s, max(width-len(indent), 10), ""), "\n")
	for i := range lines {
		if i > 0 {
			lines[i] = indent + lines[i]
		}
	}
	return lines
}

// view is a list of lines that is scrolled.
type view struct {
	offset int
	page   int // height of the last window, for scrolling by pages
}

// window returns the height lines that are in view, filled up with empty ones.
func (v *view) window(lines []string, height int) []string {
	v.page = height
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
