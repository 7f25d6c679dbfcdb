package wizard

import (
	"strings"

	"github.com/charmbracelet/x/ansi"

	"github.com/hybridge-cli/hybridge/pkg/engine/msg"
	"github.com/hybridge-cli/hybridge/pkg/engine/report"
)

// What the wizard says is a format and its arguments. The English format is the key of the
// catalogue; a format that it lacks is shown in English.

// in is a text in the language of the wizard.
func (m *model) in(t msg.Text) string {
	if m.options.Language == nil {
		return t.String()
	}
	return t.In(m.options.Language)
}

// words is a sentence of the wizard.
func (m *model) words(format string, args ...any) string { return m.in(msg.Of(format, args...)) }

// term is a declared text without arguments: a label, a title, what a key does.
func (m *model) term(text string) string {
	if text == "" {
		return ""
	}
	return m.in(msg.Key(text))
}

// count is a sentence by number; both formats take n.
func (m *model) count(n int, one, many string) string { return m.in(msg.Plural(n, one, many)) }

// style is how blocks of a document look in lines of a width.
func (m *model) style(width int) report.Style {
	return report.Style{Width: width, ASCII: m.options.ASCII, Language: m.options.Language, Paint: m.styles.paint}
}

// pad fills a text with blanks. Characters of East Asia take two columns.
func pad(text string, width int) string {
	return text + strings.Repeat(" ", max(0, width-ansi.StringWidth(text)))
}
