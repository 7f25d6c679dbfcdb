package wizard

import (
	"io"
	"os"
	"strings"
	"unicode"

	"github.com/charmbracelet/lipgloss"
	"github.com/charmbracelet/x/ansi"
	"github.com/muesli/termenv"

	"github.com/hybridge-cli/hybridge/pkg/engine/report"
)

// styles are all the styles there are. Colors only repeat what words and signs say.
type styles struct {
	title, here, past, faint, key, good, warn, bad, focus, cursor lipgloss.Style

	plain bool // nothing can be styled
}

// paint renders a text in a tone of reports.
func (s styles) paint(t report.Tone, text string) string {
	switch t {
	case report.Strong, report.Literal:
		return s.title.Render(text)
	case report.Faint:
		return s.faint.Render(text)
	case report.Good:
		return s.good.Render(text)
	case report.Caution:
		return s.warn.Render(text)
	case report.Bad:
		return s.bad.Render(text)
	}
	return text
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
	return stylesOf(r)
}

func stylesOf(r *lipgloss.Renderer) styles {
	plain := r.NewStyle()
	return styles{
		title:  plain.Bold(true),
		here:   plain.Bold(true), // underlined, lipgloss styles every character by itself
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

// clean makes text from elsewhere fit for the terminal: escape sequences go, and what cannot be
// seen becomes a blank.
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
