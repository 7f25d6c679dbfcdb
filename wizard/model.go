package wizard

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strings"
	"time"

	"github.com/charmbracelet/bubbles/key"
	"github.com/charmbracelet/bubbles/spinner"
	tea "github.com/charmbracelet/bubbletea"
	"github.com/charmbracelet/x/ansi"

	"github.com/hybridge-cli/hybridge/pkg/config/answers"
	"github.com/hybridge-cli/hybridge/pkg/engine/report"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/deployment"
	"github.com/hybridge-cli/hybridge/wizard/stage"
)

// The smallest window that everything fits in.
const (
	minWidth  = 80
	minHeight = 24
)

// model is the one tea.Model. Only Update touches its fields.
type model struct {
	ctx     context.Context
	options Options
	styles  styles
	queue   *queue
	width   int
	height  int

	document *answers.Document
	edits    int // so far
	file     *file
	side     answers.Side      // decides what the person and another program changed both
	answers  answers.Answers   // of the document when it was last found valid
	opened   string            // what the engine was opened with, as YAML
	checked  string            // what the checks of outcome were made with
	same     map[string]string // documents that differ in where the same secrets are kept
	engine   stage.Engine

	way    []screen
	screen screen // the one in front

	presses int // of keys
	runs    int
	run     *running
	pulse   spinner.Model
	said    []string // what the engine wants a person to read
	over    []pane   // what lies over the screen; the first takes the keys
	note    string   // shown in the status line until the next key
	shown   string   // which lines of the screen's list are in view
	rows    int      // of the body
	listed  *list    // that is in view; nil when there is none
	outcome stage.Outcome
	spent   bool // the plan of outcome was applied
	past    past
	dated   []deployment.End // of certificates in files
	typed   *remembered

	returning   screen // to go to as soon as the run has ended
	leaving     bool   // as soon as the run has ended
	interrupted bool   // by Ctrl-C
	forced      bool   // without the end of the run
	// parting is how long the sessions have to end before the program does.
	parting time.Duration
}

func newModel(ctx context.Context, o Options) *model {
	if o.Path == "" {
		o.Path = "answers.yaml"
	}
	if o.now == nil {
		o.now = time.Now
	}
	if o.Hint == nil {
		o.Hint = func(error) string { return "" }
	}
	m := &model{
		ctx: ctx, options: o, styles: newStyles(o.Out,
			o.NoColor), queue: newQueue(), file: newFile(o.Path), width: minWidth, height: minHeight,
		way: screens(), pulse: spinner.New(), parting: 5 * time.Second,
		typed: &remembered{},
	}
	m.screen = m.way[0]
	return m
}

func (m *model) Init() tea.Cmd {
	ctx, file := m.ctx, m.file
	return tea.Batch(func() tea.Msg { return file.load(ctx) }, m.queue.next(ctx))
}

func (m *model) Update(msg tea.Msg) (tea.Model, tea.Cmd) {
	switch msg := msg.(type) {
	case tea.WindowSizeMsg:
		m.width, m.height = msg.Width, msg.Height
	case tea.KeyMsg:
		// Letters that come at once are one message. Its name may be that of a key: "up".
		if msg.Type == tea.KeyRunes && len(msg.Runes) > 1 && !msg.Paste {
			var commands []tea.Cmd
			for _, r := range msg.Runes {
				commands = append(commands, m.key(tea.KeyMsg{Type: tea.KeyRunes, Runes: []rune{r}, Alt: msg.Alt}))
			}
			return m, tea.Batch(commands...)
		}
		return m, m.key(msg)
	case tea.MouseMsg:
		return m, m.mouse(msg)
	case loaded:
		return m, m.load(msg)
	case batch:
		commands := []tea.Cmd{m.queue.next(m.ctx)}
		for _, each := range msg {
			_, cmd := m.Update(each)
			commands = append(commands, cmd)
		}
		return m, tea.Batch(commands...)
	case happened:
		if m.run != nil && m.run.number == msg.run {
			m.run.observe(msg.event)
		}
	case finished:
		return m, m.end(msg)
	case saved:
		return m, m.settle(msg, nil)
	case noted:
		m.note = clean(string(msg))
	case past:
		m.past = msg
	case dated:
		m.dated = msg
	case asked:
		m.over = append(m.over, &secretPane{asked: msg})
	case tryNext:
		return m, find[*formScreen](m).tryNext(m)
	case completed:
		return m, find[*formScreen](m).completed(m, msg)
	case kept:
		m.stored(msg)
	case signsIn:
		m.over = append(m.over, &signInPane{signsIn: msg})
	case signedIn:
		m.over = slices.DeleteFunc(m.over, func(p pane) bool {
			s, ok := p.(*signInPane)
			return ok && s.number == int(msg)
		})
	case said:
		m.said = append(m.said, clean(string(msg)))
	case spinner.TickMsg:
		if m.run != nil {
			var cmd tea.Cmd
			m.pulse, cmd = m.pulse.Update(msg)
			return m, cmd
		}
	}
	return m, nil
}

// load takes in the answers file and chooses the first screen.
func (m *model) load(msg loaded) tea.Cmd {
	switch {
	case msg.err == nil:
		m.document, m.answers = msg.document, msg.answers
		if msg.invalid != nil && m.document.Len("forests") == 0 {
			return show[*discoverScreen](m) // nothing to complain about yet
		}
		if msg.invalid != nil {
			return m.complain(msg.invalid)
		}
		return show[*reviewScreen](m)
	case !errors.Is(msg.err, fs.ErrNotExist):
		find[*scenarioScreen](m).fault = clean(firstLine(msg.err.Error()))
	}
	return show[*scenarioScreen](m)
}

// complain shows the form with what is wrong.
func (m *model) complain(invalid error) tea.Cmd {
	cmd := show[*formScreen](m)
	find[*formScreen](m).fail(m, invalid)
	return cmd
}

var (
	interrupt = key.NewBinding(key.WithKeys("ctrl+c"))
	helpKey   = on("?", "help", (*model).help)
	helpTyped = on("F1", "help", (*model).help, "f1")
	quit      = on("q", "leave", func(m *model) tea.Cmd { return m.leave(false) })
	quitTyped = on("ctrl+c", "leave", nil)
)

// always are the actions that hold on every screen.
func always(m *model) []action {
	if m.top().typing(m) {
		return []action{helpTyped, quitTyped}
	}
	return []action{helpKey, quit}
}

// front is the pane that takes the keys.
func (m *model) top() pane {
	if len(m.over) > 0 {
		return m.over[0]
	}
	return m.screen
}

// key routes a key: Ctrl-C, then the pane in front, then what holds on every screen.
func (m *model) key(k tea.KeyMsg) tea.Cmd {
	m.note = ""
	m.presses++
	if key.Matches(k, interrupt) {
		return m.leave(true)
	}
	top := m.top()
	actions := top.actions(m)
	if len(m.over) == 0 {
		actions = append(actions, always(m)...)
		actions = append(actions, helpTyped)
	}
	for _, a := range actions {
		if a.do != nil && key.Matches(k, a.Binding) {
			return a.do(m)
		}
	}
	return top.other(m, k)
}

// noted is a sentence for the status line, from a command.
type noted string

// copy hands a text to the clipboard of the terminal (OSC 52). A terminal that does not allow that
// ignores it.
func (m *model) copy(text string) tea.Cmd {
	out := m.options.Out
	return func() tea.Msg {
		if _, err := io.WriteString(out, ansi.SetSystemClipboard(text)); err != nil {
			return noted(m.words("Not copied: %s", err.Error()))
		}
		return noted(m.words("Copied, where the terminal allows it."))
	}
}

func (m *model) help() tea.Cmd {
	m.over = append([]pane{&helpPane{}}, m.over...)
	return nil
}

// leave ends the program: at once when nothing runs, else when the current call has ended. A second
// call ends it at once.
func (m *model) leave(interrupt bool) tea.Cmd {
	find[*formScreen](m).commit(m)
	m.interrupted = m.interrupted || interrupt && m.run != nil // without a run, Ctrl-C is how one leaves a form
	if m.run == nil || m.leaving {
		m.forced = m.run != nil
		return tea.Quit
	}
	m.leaving = true
	if m.run.silent(m, m.options.now()) != "" {
		m.parting = time.Second // what does not answer a call does not end a session either
	}
	m.run.cancel() // ends a question for a secret as well
	m.over = nil
	return nil
}

// finished reports whether the last stage was done.
func (m *model) finished() bool { return m.outcome.Test != nil }

// window is scroll.window for the one list of a pane. The status line shows which part is in view.
func (m *model) window(s *scroll, lines []string, height int) []string {
	lines = s.window(lines, height)
	m.shown = s.position(m)
	return lines
}

// ascii keeps widths: one character for one.
var ascii = strings.NewReplacer("─", "-", "│", "|", "…", "~", "±", "%", "→", ">")

func (m *model) View() string {
	if m.options.ASCII {
		return ascii.Replace(m.draw())
	}
	return m.draw()
}

// windowHead is how many lines stand above the body of the window.
const windowHead = 3

func (m *model) draw() string {
	w, h := m.width, m.height
	m.shown = ""
	if w < minWidth || h < minHeight {
		lines := m.text(max(1, min(w, 52)),
			m.words("The wizard needs a window of %d by %d characters; this one has "+
				"%d by %d. Enlarge it, or leave with Ctrl-C: the answers are saved, and every step is a command too "+
				"(hybridge --help).", minWidth, minHeight, w, h))
		for i := range lines {
			lines[i] = fit(lines[i], w)
		}
		return strings.Join(lines[:max(0, min(len(lines), h))], "\n")
	}
	const head, foot = windowHead, 3
	rule := m.styles.faint.Render(strings.Repeat("─", w))
	lines := append(make([]string, 0, h), m.headline(w), m.breadcrumb(w), rule)
	body := h - head - foot
	for _, line := range m.body(w-2, body) {
		lines = append(lines, " "+fit(line, w-2))
	}
	return strings.Join(append(lines, rule, fit(" "+m.status(), w), m.keyLine(w)), "\n")
}

// body is what stands between the head and the foot of the window: height lines.
func (m *model) body(width, height int) []string {
	var lines []string
	m.rows, m.listed = height, nil
	if len(m.over) > 0 {
		lines = m.over[0].render(m, width, height)
	} else {
		lines = m.saidLines(width)
		lines = append(lines, m.screen.render(m, width, height-len(lines))...)
	}
	out := make([]string, height)
	copy(out, lines)
	return out
}

func (m *model) headline(width int) string {
	name := ""
	if m.document != nil {
		name = clean(m.document.Text("organization"))
	}
	left := m.styles.title.Render("hybridge") + "  " + fit(name, width/3)
	right := fit(clean(m.file.name()), width/2)
	return " " + left + strings.Repeat(" "+
		"", max(1, width-2-ansi.StringWidth(left)-ansi.StringWidth(right))) + m.styles.faint.Render(right)
}

func (m *model) breadcrumb(width int) string {
	here := m.screen.about().step
	var parts []string
	last, past := "", true
	for _, s := range m.way {
		step := s.about().step
		shown := m.term(step)
		if step == last {
			continue
		}
		last = step
		switch {
		case step == here:
			past = false
			parts = append(parts, m.styles.here.Render("["+shown+"]"))
		case past:
			parts = append(parts, m.styles.past.Render(shown))
		default:
			parts = append(parts, m.styles.faint.Render(shown))
		}
	}
	return fit(" "+strings.Join(parts, " > "), width)
}

// status is what goes on: what was noted last, the run, or what of a list is in view.
func (m *model) status() string {
	switch {
	case m.note != "":
		return m.note
	case m.run == nil:
		return m.shown
	case m.leaving:
		return m.words("Ending the current call, then leaving. Ctrl-C again leaves immediately.")
	case m.returning != nil:
		return m.words("Ending the current call, then going back. Ctrl-C leaves.")
	}
	// The time comes first: a long line is cut at its end.
	now := m.options.now()
	text := m.run.text(m)
	if silent := m.run.silent(m, now); silent != "" {
		text = m.run.steps(m) + silent
	}
	return m.words("%s running %s  %s", m.pulse.View(), elapsed(now.Sub(m.run.started)), text)
}

// elapsed shows a duration in whole seconds.
func elapsed(d time.Duration) string {
	seconds := int(d / time.Second)
	if seconds < 60 {
		return fmt.Sprintf("%d s", seconds)
	}
	return fmt.Sprintf("%d:%02d min", seconds/60, seconds%60)
}

// keyLine shows the keys that hold now. What does not fit is left out; the help has all of them.
func (m *model) keyLine(width int) string {
	last := ""
	if len(m.over) == 0 {
		last = m.keys(always(m), width-1)
	}
	line := m.keys(m.top().actions(m), width-2-ansi.StringWidth(last)-len(between))
	if line != "" && last != "" {
		line += between
	}
	return fit(" "+line+last, width)
}

// between separates two keys of the key line.
const between = "   "

// keys are as many keys as have room, each with what it does.
func (m *model) keys(actions []action, room int) string {
	var parts []string
	for _, a := range actions {
		h := a.Help()
		part := m.styles.key.Render(m.term(h.Key)) + " " + m.term(h.Desc)
		if room -= ansi.StringWidth(part); room < 0 {
			break
		}
		room -= len(between)
		parts = append(parts, part)
	}
	return strings.Join(parts, between)
}

// describe is what the help page says of an action.
func (m *model) describe(a action, width int) []string {
	h := a.Help()
	switch h.Desc {
	case "scroll":
		h.Desc = "scroll; pgup, pgdn, home and end too"
	case "help":
		h.Key, h.Desc = "? or F1", "this help"
	case "leave":
		h.Key, h.Desc = "q", "leave; the answers are saved (Ctrl-C while typing)"
	}
	key := "  " + pad(m.term(h.Key), 16) + " "
	lines := report.Wrap(m.term(h.Desc), width-ansi.StringWidth(key))
	for i := range lines {
		lines[i] = key + lines[i]
		key = strings.Repeat(" ", ansi.StringWidth(key))
	}
	return lines
}

func (m *model) saidLines(width int) []string {
	var lines []string
	for _, text := range m.said {
		lines = append(lines, m.labelled(width, "!", report.Plain, text)...)
	}
	if len(lines) > 0 {
		lines = append(lines, "")
	}
	return lines
}

func firstLine(s string) string {
	line, _, _ := strings.Cut(s, "\n")
	return line
}
