package wizard

import (
	"slices"
	"strings"

	"github.com/charmbracelet/bubbles/key"
	"github.com/charmbracelet/bubbles/viewport"
	tea "github.com/charmbracelet/bubbletea"
)

// scroll is a part of the window whose lines are scrolled.
type scroll struct {
	viewport viewport.Model
	ready    bool
	lines    []string
}

func (s *scroll) view() *viewport.Model {
	if !s.ready {
		s.viewport, s.ready = viewport.New(0, 0), true
		s.viewport.SetHorizontalStep(0)
	}
	return &s.viewport
}

// window returns the height lines that are in view, filled up with empty ones.
func (s *scroll) window(lines []string, height int) []string {
	v := s.view()
	v.Height = max(0, height)
	if !slices.Equal(s.lines, lines) || s.lines == nil { // it measures every line
		s.lines = lines
		v.SetContent(strings.Join(lines, "\n"))
	}
	v.SetYOffset(min(v.YOffset, s.last())) // the window may have grown
	out := make([]string, max(0, height))
	copy(out, lines[min(v.YOffset, len(lines)):min(v.YOffset+v.Height, len(lines))])
	return out
}

func (s *scroll) last() int { return max(0, len(s.lines)-s.viewport.Height) }

// keep scrolls the least that shows the lines from first to last.
func (s *scroll) keep(first, last, height int) {
	v := s.view()
	if last >= v.YOffset+height {
		v.YOffset = last - height + 1
	}
	if first < v.YOffset {
		v.YOffset = first
	}
}

func (s *scroll) overflows() bool { return len(s.lines) > s.viewport.Height }

// position says which lines are in view; "" when all are.
func (s *scroll) position(m *model) string {
	if !s.overflows() {
		return ""
	}
	return m.words("lines %d to %d of %d", s.viewport.YOffset+1,
		min(s.viewport.YOffset+s.viewport.Height, len(s.lines)), len(s.lines))
}

var (
	toTop    = key.NewBinding(key.WithKeys("home", "g"))
	toBottom = key.NewBinding(key.WithKeys("end", "G"))
)

// key scrolls; false when the key does not scroll.
func (s *scroll) key(k tea.KeyMsg) bool {
	v := s.view()
	switch {
	case key.Matches(k, toTop):
		v.GotoTop()
	case key.Matches(k, toBottom):
		v.GotoBottom()
	case key.Matches(k, v.KeyMap.Up, v.KeyMap.Down, v.KeyMap.PageUp, v.KeyMap.PageDown, v.KeyMap.HalfPageUp,
		v.KeyMap.HalfPageDown):
		*v, _ = v.Update(k)
	default:
		return false
	}
	return true
}
