package wizard

import (
	"strings"
	"time"

	tea "github.com/charmbracelet/bubbletea"

	"github.com/hybridge-cli/hybridge/pkg/hybrid/deployment"
)

// signsIn asks a person to sign in to the tenant; signedIn ends that, by its number.
type (
	signsIn struct {
		deployment.SignIn
		number int
	}
	signedIn int
)

// signIn is Person.SignIn.
func (q *queue) signIn(s deployment.SignIn) func() {
	q.mu.Lock()
	q.signIns++
	n := q.signIns
	q.mu.Unlock()
	q.put(signsIn{s, n})
	return func() { q.put(signedIn(n)) }
}

// signInPane lies over the screen until the person has signed in elsewhere, gives up, or the code
// is no longer valid.
type signInPane struct {
	page
	signsIn
}

func (s *signInPane) actions(m *model) []action {
	list := []action{on("c", "copy the code", func(m *model) tea.Cmd { return m.copy(clean(s.Code)) })}
	if m.options.Browse != nil {
		list = append(list, on("o", "open the page here", s.open))
	}
	return append(list, on("esc", "do not sign in", s.giveUp), quit)
}

// open opens the page of the cloud in a browser: never an address that a server has sent.
func (s *signInPane) open(m *model) tea.Cmd {
	browse, at := m.options.Browse, s.Opens
	return func() tea.Msg {
		if err := browse(at); err != nil {
			return noted(m.words("The browser was not opened: %s", err.Error()))
		}
		return noted(m.words("The browser was asked to open %s.", at))
	}
}

func (s *signInPane) giveUp(m *model) tea.Cmd {
	s.GiveUp()
	m.over = m.over[1:]
	return nil
}

func (s *signInPane) render(m *model, width, _ int) []string {
	lines := []string{m.styles.title.Render(m.words("Sign in to %s", clean(s.Tenant))), ""}
	lines = append(lines, m.text(width,
		m.words("Open this page in a browser, on any computer, and enter the code:"))...)
	lines = append(lines, "", "  "+m.styles.title.Render(fit(clean(s.Page), width-2)), "")
	code := clean(s.Code)
	for _, line := range large(code, width-2) {
		lines = append(lines, "  "+line)
	}
	lines = append(lines, "  "+m.styles.title.Render(fit(code, width-2)), "")
	left := s.Until.Sub(m.options.now())
	if left <= 0 {
		return append(lines, m.text(width, m.words("The code is no longer valid. esc ends this; what needs the "+
			"sign-in can then be tried again, with another code."))...)
	}
	return append(lines, m.words("%s left. This page goes when you have signed in.", elapsed(left.Round(time.Second))))
}

// large draws a code five lines high. It is empty where the window is too narrow, or where a
// character has no drawing.
func large(code string, width int) []string {
	if len(code) == 0 || 6*len(code) > width {
		return nil
	}
	lines := make([]string, 5)
	for _, r := range strings.ToUpper(code) {
		at := strings.IndexRune(drawn, r)
		if at < 0 {
			return nil
		}
		for row := range lines {
			bits := drawings[at][row]
			for column := 4; column >= 0; column-- {
				dot := " "
				if bits>>column&1 == 1 {
					dot = "#"
				}
				lines[row] += dot
			}
			lines[row] += " "
		}
	}
	return append(lines, "")
}

// drawings are those of drawn: five rows of five dots, the leftmost the highest bit.
var drawings = [...][5]byte{
	{14, 17, 31, 17, 17}, {30, 17, 30, 17, 30}, {15, 16, 16, 16, 15}, {30, 17, 17, 17, 30}, {31, 16, 30, 16, 31},
	{31, 16, 30, 16, 16}, {15, 16, 19, 17, 15}, {17, 17, 31, 17, 17}, {14, 4, 4, 4, 14}, {7, 1, 1, 17, 14},
	{17, 18, 28, 18, 17}, {16, 16, 16, 16, 31}, {17, 27, 21, 17, 17}, {17, 25, 21, 19, 17}, {14, 17, 17, 17, 14},
	{30, 17, 30, 16, 16}, {14, 17, 21, 18, 13}, {30, 17, 30, 18, 17}, {15, 16, 14, 1, 30}, {31, 4, 4, 4, 4},
	{17, 17, 17, 17, 14}, {17, 17, 17, 10, 4}, {17, 17, 21, 27, 17}, {17, 10, 4, 10, 17}, {17, 10, 4, 4, 4},
	{31, 2, 4, 8, 31},
	{14, 19, 21, 25, 14}, {4, 12, 4, 4, 14}, {30, 1, 14, 16, 31}, {30, 1, 14, 1, 30}, {18, 18, 31, 2, 2},
	{31, 16, 30, 1, 30}, {14, 16, 30, 17, 14}, {31, 2, 4, 8, 8}, {14, 17, 14, 17, 14}, {14, 17, 15, 1, 14},
	{0, 0, 31, 0, 0},
}

const drawn = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-"
