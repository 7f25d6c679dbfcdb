package report

import (
	"cmp"
	"fmt"
	"strings"
	"time"
	"unicode"

	"github.com/mattn/go-runewidth"
	"golang.org/x/text/message"

	"github.com/hybridge-cli/hybridge/pkg/engine/msg"
)

// cells measures text. A locale of East Asia does not widen arrows and lines: terminals draw them
// in one column, and so does the wizard.
var cells = &runewidth.Condition{StrictEmojiNeutral: true}

// Style is how text looks.
type Style struct {
	Color bool
	ASCII bool // where the terminal or the locale is not UTF-8
	// Width is the number of columns of the terminal. At 0, paragraphs are 100 wide and nothing is
	// cut off.
	Width int
	// Language renders texts in another language than English.
	Language *message.Printer
	// Paint replaces the colors of a terminal; the wizard brings its own. The text that it is given
	// may not be broken.
	Paint func(Tone, string) string
	// brief says that another format can be named, which shows what this one sums up.
	brief bool
}

// Block renders one block into lines of the style's width.
func (s Style) Block(b Block) []string { return s.Blocks(b) }

// Blocks renders blocks into lines, with an empty line where two of them need one between.
func (s Style) Blocks(blocks ...Block) []string {
	p := newPage(s)
	p.blocks(blocks)
	return p.lines
}

// View renders a whole View but for its title.
func (s Style) View(v View) []string {
	p := newPage(s)
	p.view(v)
	return p.lines
}

// page collects lines.
type page struct {
	Style
	cut   bool // what does not fit its line ends in ".."
	lines []string
}

func newPage(s Style) *page {
	cut := s.Width > 0 // in a pipe or a file, people search
	s.Width = max(cmp.Or(s.Width, 100), 32)
	return &page{Style: s, cut: cut}
}

// add adds a line. Its text was sanitized before it was broken into lines: a break within a word
// may have put a command at the start.
func (p *page) add(line string) {
	p.lines = append(p.lines, withoutCommands(strings.TrimRight(line, " ")))
}

// say renders a text in the reader's language.
func (s Style) say(t msg.Text) string {
	if s.Language == nil {
		return t.String()
	}
	return t.In(s.Language)
}

// Colors of a terminal, by their SGR codes.
var colors = map[Tone]string{Strong: "1", Faint: "2", Bad: "31", Good: "32", Caution: "33", Literal: "36"}

func (s Style) paint(t Tone, text string) string {
	switch {
	case text == "" || t == Plain:
		return text
	case s.Paint != nil:
		return s.Paint(t, text)
	case !s.Color:
		return text
	}
	return "\x1b[" + colors[t] + "m" + text + "\x1b[0m"
}

func (s Style) arrow() string {
	if s.ASCII {
		return "->"
	}
	return "→"
}

func (s Style) direction(d string) string { return strings.ReplaceAll(line(d), "->", s.arrow()) }

// label is what stands before a text, painted, and the columns that it takes.
type label struct {
	painted string
	columns int
}

func (s Style) label(text string, t Tone) label {
	if text == "" {
		return label{}
	}
	return label{s.paint(t, text) + "  ", cells.StringWidth(text) + 2}
}

// text writes text, sanitized and wrapped, behind an indent; what follows the first line is
// indented as far as the label takes.
func (p *page) text(indent int, l label, t Tone, text string) {
	// A server's text has no limit; a person reads the beginning.
	const limit = 8 << 10
	if len(text) > limit {
		text = strings.ToValidUTF8(text[:limit], "") + p.say(msg.Of(" ... (%d bytes more)", len(text)-limit))
	}
	margin := strings.Repeat(" ", indent)
	hang := strings.Repeat(" ", min(l.columns, p.Width/2))
	for i, line := range wrap(Sanitize(text), p.Width-indent-len(hang)) {
		lead := hang
		if i == 0 {
			lead = l.painted
		}
		p.add(margin + lead + p.paint(t, line))
	}
}

// Wrap breaks text into lines of at most width columns, as a view does.
func Wrap(text string, width int) []string { return wrap(text, width) }

// wrap breaks text into lines of at most width columns, at spaces where there are any, and between
// the characters of a script without spaces. Line breaks of the text stay.
func wrap(text string, width int) []string { return breakLines(text, width, anywhere) }

// breaks says where a line may end besides at a space.
type breaks int

const (
	atSpaces  breaks = iota // a word that is wider than a line stays whole, to be copied
	inChinese               // and between ideographs
	anywhere                // and in a word that is wider than a line
)

func breakLines(text string, width int, b breaks) []string {
	var lines []string
	for paragraph := range strings.SplitSeq(strings.TrimRight(text, "\n"), "\n") {
		lines = append(lines, fill(strings.Fields(paragraph), width, b)...)
	}
	return lines
}

// fill makes lines of words. A word may be several that stay together.
func fill(fields []string, width int, b breaks) []string {
	width = max(width, 20)
	var lines []string
	current, columns := "", 0
	for _, field := range fields {
		words := []string{field}
		if b == anywhere || b == inChinese && !strings.ContainsAny(field, ` /\`) { // a path is copied
			words = ideographs(field)
		}
		for i, word := range words {
			space := 0
			if columns > 0 && i == 0 {
				space = 1
			}
			w := cells.StringWidth(word)
			if columns > 0 && columns+space+w > width {
				lines = append(lines, current)
				current, columns, space = "", 0, 0
			}
			if w > width && b == anywhere {
				pieces := pieces(word, width)
				lines = append(lines, pieces[:len(pieces)-1]...)
				word = pieces[len(pieces)-1]
				w = cells.StringWidth(word)
			}
			current += strings.Repeat(" ", space) + word
			columns += space + w
		}
	}
	return append(lines, current)
}

// ideographs takes a word apart where a line may end in Chinese: between two ideographs, and
// between an ideograph and a word of another script. Closing punctuation stays with what it closes,
// opening punctuation with what it opens.
func ideographs(word string) []string {
	if strings.IndexFunc(word, ideograph) < 0 {
		return []string{word}
	}
	var parts []string
	start, before := 0, rune(0)
	for at, r := range word {
		if at > 0 && (ideograph(before) || ideograph(r)) && !closing(r) && !opening(before) {
			parts, start = append(parts, word[start:at]), at
		}
		before = r
	}
	return append(parts, word[start:])
}

// ideograph also reports the syllables and the punctuation that stand between ideographs.
func ideograph(r rune) bool {
	return unicode.In(r, unicode.Han, unicode.Hiragana, unicode.Katakana) || r > 0x3000 && r < 0x3040 ||
		r > 0xff00 && r < 0xff61
}

func closing(r rune) bool {
	return strings.ContainsRune("，。、；：？！）》」』”’…,.;:?!)]}", r)
}

func opening(r rune) bool { return strings.ContainsRune("（《「『“‘([{", r) }

// pieces cuts a word into parts of at most width columns, in one pass: a server's word may be as
// long as its answer.
func pieces(word string, width int) []string {
	var parts []string
	start, columns := 0, 0
	for at, r := range word {
		w := cells.RuneWidth(r)
		if columns+w > width {
			parts = append(parts, word[start:at])
			start, columns = at, 0
		}
		columns += w
	}
	return append(parts, word[start:])
}

func pad(s string, width int) string {
	return s + strings.Repeat(" ", max(0, width-cells.StringWidth(s)))
}

func duration(d time.Duration) string {
	switch {
	case d < time.Second:
		return fmt.Sprintf("%d ms", d.Milliseconds())
	case d < time.Minute:
		return fmt.Sprintf("%.1f s", d.Seconds())
	default:
		return d.Round(time.Second).String()
	}
}
