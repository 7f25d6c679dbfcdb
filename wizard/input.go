package wizard

import (
	"strings"
	"unicode"

	tea "github.com/charmbracelet/bubbletea"
	"github.com/charmbracelet/x/ansi"
)

// input is one line of text with a cursor.
type input struct {
	text   []rune
	cursor int
}

func newInput(s string) input {
	r := []rune(s)
	return input{r, len(r)}
}

func (in *input) String() string { return string(in.text) }

const maxInput = 4096

// key edits; false when the key is none for that. Pasted line breaks become blanks.
func (in *input) key(k tea.KeyMsg) bool {
	switch k.String() {
	case "left", "ctrl+b":
		in.cursor = max(0, in.cursor-1)
	case "right", "ctrl+f":
		in.cursor = min(len(in.text), in.cursor+1)
	case "home", "ctrl+a":
		in.cursor = 0
	case "end", "ctrl+e":
		in.cursor = len(in.text)
	case "backspace", "ctrl+h":
		if in.cursor > 0 {
			in.text = append(in.text[:in.cursor-1:in.cursor-1], in.text[in.cursor:]...)
			in.cursor--
		}
	case "delete":
		if in.cursor < len(in.text) {
			in.text = append(in.text[:in.cursor:in.cursor], in.text[in.cursor+1:]...)
		}
	case "ctrl+u":
		in.text, in.cursor = in.text[in.cursor:], 0
	case "ctrl+w":
		from := in.cursor
		for from > 0 && in.text[from-1] == ' ' {
			from--
		}
		for from > 0 && in.text[from-1] != ' ' {
			from--
		}
		in.text = append(in.text[:from:from], in.text[in.cursor:]...)
		in.cursor = from
	default:
		if k.Type != tea.KeyRunes && k.Type != tea.KeySpace || k.Alt {
			return false
		}
		typed := k.Runes
		if k.Type == tea.KeySpace {
			typed = []rune{' '}
		}
		var seen []rune
		for _, r := range typed {
			if !unicode.IsPrint(r) {
				r = ' '
			}
			seen = append(seen, r)
		}
		seen = seen[:min(len(seen), max(0, maxInput-len(in.text)))]
		in.text = append(in.text[:in.cursor:in.cursor], append(seen, in.text[in.cursor:]...)...)
		in.cursor += len(seen)
	}
	return true
}

// render draws the line with its cursor into a width; hide draws every character as a star.
func (in *input) render(s styles, width int, hide bool) string {
	text := in.text
	if hide {
		text = []rune(strings.Repeat("*", len(text)))
	}
	from := in.cursor // back from the cursor as far as there is room: the line may be long
	for room := width - 3; from > 0; from-- {
		if room -= ansi.StringWidth(string(text[from-1])); room < 0 {
			break
		}
	}
	before, at, after := string(text[from:in.cursor]), " ", ""
	if in.cursor < len(text) {
		at, after = string(text[in.cursor]), string(text[in.cursor+1:])
	}
	return fit(before+s.mark(at)+after, width)
}
