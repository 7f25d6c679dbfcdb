package wizard

import (
	"strings"
	"unicode"

	"github.com/charmbracelet/bubbles/key"
	"github.com/charmbracelet/bubbles/textinput"
	tea "github.com/charmbracelet/bubbletea"
	"github.com/charmbracelet/x/ansi"
)

// input is one line of text with a cursor.
type input struct {
	text  textinput.Model
	ready bool
}

const maxInput = 4096

func newInput(s string) input {
	in := input{}
	in.line().SetValue(s)
	in.text.CursorEnd()
	return in
}

func (in *input) line() *textinput.Model {
	if !in.ready {
		in.text, in.ready = textinput.New(), true
		in.text.CharLimit = maxInput
		// The terminal pastes by itself. This one would start programs to read the clipboard.
		in.text.KeyMap.Paste = key.NewBinding(key.WithDisabled())
		in.text.Focus()
	}
	return &in.text
}

func (in *input) String() string { return in.line().Value() }

// key edits; false when the key does not edit. Pasted line breaks and invisible characters become
// blanks.
func (in *input) key(k tea.KeyMsg) bool {
	line := in.line()
	switch {
	case k.Type == tea.KeyRunes && !k.Alt || k.Type == tea.KeySpace:
		seen := []rune(strings.Map(func(r rune) rune {
			if unicode.IsPrint(r) {
				return r
			}
			return ' '
		}, string(k.Runes)))
		if k.Type == tea.KeySpace {
			seen = []rune{' '}
		}
		k = tea.KeyMsg{Type: tea.KeyRunes, Runes: seen, Paste: k.Paste}
	case key.Matches(k, line.KeyMap.AcceptSuggestion, line.KeyMap.NextSuggestion, line.KeyMap.PrevSuggestion):
		return false
	case !key.Matches(k, edits(line.KeyMap)...):
		return false
	}
	*line, _ = line.Update(k)
	return true
}

func edits(m textinput.KeyMap) []key.Binding {
	return []key.Binding{
		m.CharacterForward, m.CharacterBackward, m.WordForward, m.WordBackward, m.LineStart, m.LineEnd,
		m.DeleteWordBackward, m.DeleteWordForward, m.DeleteAfterCursor, m.DeleteBeforeCursor,
		m.DeleteCharacterBackward, m.DeleteCharacterForward,
	}
}

// render draws the line with its cursor into a width; hide draws every character as a star. The
// cursor of textinput cannot be seen on a terminal without attributes, so that it is drawn here.
func (in *input) render(s styles, width int, hide bool) string {
	text, cursor := []rune(in.String()), in.line().Position()
	if hide {
		text = []rune(strings.Repeat("*", len(text)))
	}
	from := cursor // back from the cursor as far as there is room: the line may be long
	for room := width - 3; from > 0; from-- {
		if room -= ansi.StringWidth(string(text[from-1])); room < 0 {
			break
		}
	}
	before, at, after := string(text[from:cursor]), " ", ""
	if cursor < len(text) {
		at, after = string(text[cursor]), string(text[cursor+1:])
	}
	return fit(before+s.mark(at)+after, width)
}
