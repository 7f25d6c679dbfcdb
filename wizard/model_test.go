package wizard

import (
	"context"
	"errors"
	"io"
	"os"
	"strings"
	"sync/atomic"
	"testing"

	tea "github.com/charmbracelet/bubbletea"
	"github.com/charmbracelet/x/ansi"

	"github.com/hybridge-cli/hybridge/pkg/config/answers"
	"github.com/hybridge-cli/hybridge/pkg/engine/change"
	"github.com/hybridge-cli/hybridge/pkg/engine/observe"
	"github.com/hybridge-cli/hybridge/wizard/stage"
)

// Head and foot of the window are the same for every screen.
func TestWindow(t *testing.T) {
	b, _ := open[*checkScreen](t, given{result: newFake().checked()})
	b.looks("window", func(_, height int) []string {
		lines := strings.Split(b.m.View(), "\n")
		return append(lines[:4:4], lines[height-4:]...)
	})
}

// Every screen can be drawn with nothing known and in any size, says what it does, and stands under
// a step of the breadcrumb.
func TestScreens(t *testing.T) {
	b := sit(t, 80, 24, valid, newFake())
	b.until("These are the answers")
	for _, s := range b.m.way {
		a := s.about()
		if a.step == "" || a.does == "" || a.help == "" {
			t.Errorf("%T says nothing of itself", s)
		}
		b.m.screen = s
		if f, ok := s.(*formScreen); ok {
			f.enter(b.m)
		}
		for _, size := range [][2]int{{80, 24}, {200, 60}, {81, 25}} {
			b.send(tea.WindowSizeMsg{Width: size[0], Height: size[1]})
			lines := strings.Split(b.m.View(), "\n")
			if len(lines) != size[1] || !strings.Contains(lines[1], "["+a.step+"]") {
				t.Errorf("%T: %d lines in %v, breadcrumb %q", s, len(lines), size, lines[1])
			}
			for _, line := range lines {
				if ansi.StringWidth(line) > size[0] {
					t.Errorf("%T: %q is too wide", s, line)
				}
			}
		}
		for _, a := range append(s.actions(b.m), always(b.m)...) {
			if a.Help().Key == "" || a.Help().Desc == "" {
				t.Errorf("%T: a key without a description: %v", s, a.Keys())
			}
		}
	}
}

func TestTooSmall(t *testing.T) {
	b := sit(t, 60, 20, valid, newFake())
	b.until("needs a window of 80 by 24")
	b.send(tea.WindowSizeMsg{Width: 40, Height: 12})
	if v := strings.Join(strings.Fields(b.m.View()), " "); !strings.Contains(v,
		"leave with Ctrl-C: the answers are saved") {
		t.Errorf("in a narrow window the way out is cut off: %s", v)
	}
	b.send(tea.WindowSizeMsg{Width: 80, Height: 24})
	b.until("These are the answers")
	for h := range 6 {
		for w := range 6 {
			b.send(tea.WindowSizeMsg{Width: w, Height: h}) // must not panic
			b.m.View()
		}
	}
	b.send(tea.WindowSizeMsg{Width: 100, Height: 30})
	b.walk(step{"<enter>", "1 pass"})
}

// A secret that the engine asks for is typed unseen, keys that mean something elsewhere included.
func TestPrompt(t *testing.T) {
	engine := newFake()
	engine.asks = true
	b, _ := open[*checkScreen](t, given{engine: engine})
	b.walk(step{"", "password of svc@contoso.com"})
	for _, k := range "Hunter2 q?" {
		b.press(string(k))
		if strings.Contains(b.m.View(), "Hun") {
			t.Fatal("the secret is drawn")
		}
	}
	b.goldens("secret")
	b.walk(step{"", "**********"}, step{"<enter>", "1 pass"})
}

func TestPromptRefused(t *testing.T) {
	engine := newFake()
	engine.asks = true
	b, _ := open[*checkScreen](t, given{engine: engine})
	b.walk(step{"", "password of svc@contoso.com"}, step{"<esc>", "error:  it was not given"})
}

// Going back loses nothing, and changed answers are checked anew with a new engine.
func TestBack(t *testing.T) {
	engine := newFake()
	b, _ := open[*reviewScreen](t, given{engine: engine})
	b.m.opened = ""
	b.walk(step{"<enter>", checkSummary}, step{"<enter>", "1 to create"}, step{"<esc>", "1 pass"},
		step{"<esc>", "These are the answers"}, step{"<enter>", "1 pass"},
		step{"<esc>", "These are the answers"}, step{"e<ctrl+u>Fabrikam<ctrl+s>", "Fabrikam"}, step{"<enter>",
			"1 pass"})
	if b.m.runs != 3 || engine.closed != 1 {
		t.Errorf("%d runs, want check, plan and check; engine closed %d times, want 1", b.m.runs, engine.closed)
	}
}

// Ctrl-C ends the call that is under way and leaves; a second one does not wait.
func TestInterrupt(t *testing.T) {
	for _, deaf := range []bool{false, true} {
		engine := newFake()
		engine.stuck, engine.deaf = stage.Check, deaf
		b, _ := open[*checkScreen](t, given{engine: engine})
		b.until("exchange.rights")
		b.press("<ctrl+c>")
		if deaf {
			b.until("Ctrl-C again leaves immediately")
			b.press("<ctrl+c>")
		}
		b.left()
		if !b.m.interrupted || b.m.finished() {
			t.Error("not interrupted")
		}
		if lines := b.m.farewell(nil); !strings.Contains(strings.Join(lines, "\n"), "go on with: hybridge wizard -f ") {
			t.Errorf("farewell: %q", lines)
		}
	}
}

// What the engine says on opening is shown, without its control characters, and an engine that
// could not be opened is opened anew.
func TestOpenFails(t *testing.T) {
	var opened atomic.Int32
	b := sit(t, 80, 24, valid, newFake())
	b.m.options.Open = func(context.Context, answers.Answers, Person) (stage.Engine, error) {
		opened.Add(1)
		return (*fake)(nil), errors.New("contoso: no such \x1b[31mkeytab")
	}
	b.walk(step{"", "These are the answers"}, step{"<enter>", "error:  contoso: no such"})
	b.press("r")
	b.wait("never opened again", func() bool { return opened.Load() == 2 && b.m.run == nil })
	if b.m.engine != nil {
		t.Errorf("engine %v", b.m.engine)
	}
}

// What an engine says to a person may come from a server.
func TestSaidIsCleaned(t *testing.T) {
	m := newModel(t.Context(), Options{Out: io.Discard, NoColor: true})
	m.Update(said("open https://login\x1b[2J.example \x07now"))
	if text := strings.Join(m.saidLines(80), "\n"); strings.ContainsAny(text, "\x1b\x07") || !strings.Contains(text,
		"now") {
		t.Errorf("%q", text)
	}
}

// Where the locale is not UTF-8, no screen draws anything else than ASCII.
func TestASCII(t *testing.T) {
	b := sit(t, 140, 45, valid, newFake())
	b.until("These are the answers")
	m := b.m
	m.options.ASCII = true
	plan, tested, checked, applied := newFake().plan, newFake().tested(), newFake().checked(), newFake().applied()
	plan.Changes[0].Action = change.Recreate
	m.outcome = stage.Outcome{Plan: &plan, Test: &tested, Check: &checked, Apply: &applied}
	find[*testScreen](m).answers = tested.Matrix
	find[*formScreen](m).enter(m)
	for _, s := range m.way {
		for _, helping := range []bool{false, true} {
			m.screen, m.over = s, nil
			if helping {
				m.help()
			}
			for _, r := range m.View() {
				if r > 0x7e {
					t.Errorf("%T: %q", s, r)
				}
			}
		}
	}
}

func TestColor(t *testing.T) {
	m := newModel(t.Context(), Options{Out: io.Discard})
	if strings.Contains(m.styles.bad.Render("x"), "\x1b") {
		t.Error("what is no terminal gets no color")
	}
	t.Setenv("NO_COLOR", "1")
	t.Setenv("CLICOLOR_FORCE", "1")
	if s := newStyles(os.Stdout, false); strings.Contains(s.bad.Render("x"), "\x1b[") {
		t.Errorf("NO_COLOR is not obeyed: %q", s.bad.Render("x"))
	}
}

// Commands run side by side: what was begun earlier may come later, and does not count any more.
func TestLateComers(t *testing.T) {
	m := newModel(t.Context(), Options{Out: io.Discard, NoColor: true})
	ended := false
	if text := (&running{screen: find[*testScreen](m)}).text(&model{}); text != "Free/busy" {
		t.Errorf("a run that says nothing: %q", text)
	}
	m.run = &running{number: 2, screen: find[*checkScreen](m), cancel: func() { ended = true }}
	m.Update(finished{run: 1})
	m.Update(happened{1, observe.Waiting{What: "the first run"}})
	if m.run == nil || ended || m.run.waiting != "" {
		t.Errorf("run %+v, ended %t", m.run, ended)
	}
	m.Update(happened{2, observe.Waiting{What: "the second run"}})
	if m.run.waiting != "the second run" {
		t.Errorf("waiting for %q", m.run.waiting)
	}
	m.Update(finished{run: 2})
	if m.run != nil || !ended {
		t.Errorf("run %+v, ended %t", m.run, ended)
	}
}

// Of a long line the part before the cursor is in view, as wide as there is room, for all
// characters.
func TestInputView(t *testing.T) {
	for text, want := range map[string]string{
		"":                                " ",
		"short":                           "short ",
		strings.Repeat("a", 4000) + "end": "aaaaend ",
		strings.Repeat("株", 4000) + "x":   "株株株x ",
	} {
		in := newInput(text)
		if got := ansi.Strip(in.render(styles{}, 10, false)); got != want {
			t.Errorf("%.20q: %q, want %q", text, got, want)
		}
	}
	in := newInput("0123456789abcdef")
	in.line().SetCursor(2)
	if got := ansi.Strip(in.render(styles{}, 10, false)); got != "012345678…" {
		t.Errorf("cursor at 2: %q", got)
	}
}

// What is typed and cannot be seen becomes a blank, and what is too much is not taken.
func TestInputTakes(t *testing.T) {
	in := newInput("")
	in.key(tea.KeyMsg{Type: tea.KeyRunes, Runes: []rune("a\u202eb\nc\x1b"), Paste: true})
	if got := in.String(); got != "a b c " {
		t.Errorf("%q", got)
	}
	in.key(tea.KeyMsg{Type: tea.KeyRunes, Runes: []rune(strings.Repeat("x", 2*maxInput)), Paste: true})
	if got := len(in.String()); got != maxInput {
		t.Errorf("%d characters", got)
	}
	for _, k := range []tea.KeyType{tea.KeyEnter, tea.KeyTab, tea.KeyUp, tea.KeyCtrlV, tea.KeyCtrlN} {
		if in.key(tea.KeyMsg{Type: k}) {
			t.Errorf("%v is taken", k)
		}
	}
}
