package wizard

import (
	"strings"

	tea "github.com/charmbracelet/bubbletea"
)

// hasMouse reports whether a terminal sends what a mouse does. One that does not ignores the
// request for it, but the consoles of Linux and old terminals may show it.
func hasMouse(term string) bool {
	return term != "" && term != "dumb" && term != "linux" && !strings.HasPrefix(term, "vt")
}

// notches is how many lines the wheel scrolls.
const notches = 3

// mouse takes what the mouse does: the wheel scrolls, a click selects, and a click on what is
// selected opens it.
func (m *model) mouse(e tea.MouseMsg) tea.Cmd {
	top := m.top()
	_, form := top.(*formScreen)
	if e.Action != tea.MouseActionPress || top.typing(m) && !form {
		return nil
	}
	key, times := tea.KeyMsg{Type: tea.KeyDown}, notches
	switch e.Button {
	case tea.MouseButtonWheelUp:
		key.Type = tea.KeyUp
	case tea.MouseButtonWheelDown:
	case tea.MouseButtonLeft:
		if l := m.listed; l != nil && len(m.over) == 0 {
			l.click(m, e.Y-windowHead)
		}
		return nil
	default:
		return nil
	}
	if _, help := top.(*helpPane); help && !top.(*helpPane).scroll.overflows() {
		return nil // any key would close it
	}
	if form {
		times = 1
	}
	var commands []tea.Cmd
	for range times {
		commands = append(commands, m.key(key))
	}
	return tea.Batch(commands...)
}

// click selects the item at a row of the body.
func (l *list) click(m *model, row int) {
	at := row - l.top
	if l.opened || at < 0 || at >= l.scroll.viewport.Height {
		return
	}
	line := at + l.scroll.viewport.YOffset
	for i := range l.items {
		if l.starts[i] > line || line >= l.starts[i+1] {
			continue
		}
		l.follow = false
		if l.items[i].id == l.selected && l.items[i].detail != nil {
			l.toggle(m)
			return
		}
		l.choose(i)
		return
	}
}
