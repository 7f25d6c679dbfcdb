package wizard

import (
	"strings"
	"testing"

	tea "github.com/charmbracelet/bubbletea"
)

func (b *bench) click(button tea.MouseButton, row int) {
	b.Helper()
	b.m.View() // where things are is known once they are drawn
	b.send(tea.MouseMsg{X: 10, Y: row, Button: button, Action: tea.MouseActionPress})
}

// row is where the window shows a text.
func (b *bench) row(text string) int {
	b.Helper()
	for i, line := range strings.Split(b.m.View(), "\n") {
		if strings.Contains(line, text) {
			return i
		}
	}
	b.Fatalf("%q is not shown:\n%s", text, b.m.View())
	return 0
}

// The wheel scrolls, a click selects, a click on what is selected opens it.
func TestMouse(t *testing.T) {
	b, s := open[*checkScreen](t, given{result: newFake().checked()})
	b.until(checkSummary)
	b.click(tea.MouseButtonLeft, b.row("exchange.rights"))
	b.until("> ERR   exchange.rights")
	b.click(tea.MouseButtonLeft, b.row("fabrikam: connect to")) // a later line of the same
	b.until("esc close")
	b.click(tea.MouseButtonWheelDown, 5)
	b.press("<esc>")
	b.click(tea.MouseButtonWheelDown, 5)
	if s.list.index() < 3 {
		t.Errorf("the wheel leaves %d selected", s.list.index())
	}
	b.click(tea.MouseButtonWheelUp, 5)
	b.click(tea.MouseButtonWheelUp, 5)
	if s.list.index() != 0 {
		t.Errorf("the wheel leaves %d selected", s.list.index())
	}
	at := s.list.selected
	for _, row := range []int{-5, 0, 1, 2, 4, 22, 23, 500} { // head, status and keys are no items
		b.click(tea.MouseButtonLeft, row)
		if s.list.selected != at || s.list.opened {
			t.Fatalf("a click on row %d selects %q", row, s.list.selected)
		}
	}
	b.click(tea.MouseButtonRight, b.row("directory.upn"))
	b.send(tea.MouseMsg{X: 1, Y: b.row("directory.upn"), Button: tea.MouseButtonLeft, Action: tea.MouseActionRelease})
	if s.list.selected != at {
		t.Errorf("selected %q", s.list.selected)
	}
	// A search with its line above the list.
	b.press("/exchange<enter>")
	b.click(tea.MouseButtonLeft, b.row("exchange.version"))
	b.until("> ERR   exchange.version")
}

// What is typed stays: the mouse types nothing and closes nothing.
func TestMouseWhileTyping(t *testing.T) {
	engine := newFake()
	engine.asks = true
	b, _ := open[*checkScreen](t, given{engine: engine})
	b.until("password of svc@contoso.com")
	b.click(tea.MouseButtonWheelDown, 5)
	b.click(tea.MouseButtonLeft, 5)
	b.press("x")
	b.until("> *")
	b, _ = open[*checkScreen](t, given{result: newFake().checked()})
	b.walk(step{"?", "the wheel scrolls"})
	b.click(tea.MouseButtonLeft, 5)
	b.until("the wheel scrolls")
	b, _ = open[*formScreen](t, given{})
	b.walk(step{"", "> Organization"})
	b.click(tea.MouseButtonWheelDown, 5)
	b.until("> Features")
}

func TestTerminalsWithAMouse(t *testing.T) {
	for term, want := range map[string]bool{"xterm-256color": true, "tmux": true, "": false, "dumb": false, "linux": false,
		"vt220": false} {
		if got := hasMouse(term); got != want {
			t.Errorf("%q: %t", term, got)
		}
	}
}
