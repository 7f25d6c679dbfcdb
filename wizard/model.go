package wizard

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"sync"
	"time"

	tea "github.com/charmbracelet/bubbletea"
	"github.com/charmbracelet/x/ansi"

	"github.com/hybridge-cli/hybridge/pkg/config/answers"
	"github.com/hybridge-cli/hybridge/pkg/engine/observe"
	"github.com/hybridge-cli/hybridge/pkg/engine/report"
	"github.com/hybridge-cli/hybridge/wizard/stage"
)

// The smallest window that everything fits in.
const (
	minWidth  = 80
	minHeight = 24
)

// A screen is what stands between the head and the foot of the window.
type screen interface {
	stage() stage.ID
	render(m *model, width, height int) []string
	key(m *model, k tea.KeyMsg) tea.Cmd
	keys(m *model) []hint
	help() string
}

// hint is a key and what it does.
type hint struct{ key, does string }

// model is the one tea.Model. Its fields are touched by Update alone.
type model struct {
	ctx     context.Context
	options Options
	styles  styles
	queue   *queue
	width   int
	height  int

	path     string // of the answers file
	document *answers.Document
	edits    int // so far
	saver    *saver
	answers  answers.Answers // of the document when it was last found valid
	opened   string          // what the engine was opened with, as YAML
	engine   stage.Engine

	screen  screen
	start   *startScreen
	form    *formScreen
	check   *checkScreen
	plan    *planScreen
	confirm *confirmScreen
	apply   *applyScreen
	test    *testScreen

	runs    int
	run     *running
	said    []string    // what the engine wants a person to read
	asks    []*question // one after the other
	helping bool
	note    string // shown in the status line until the next key
	shown   string // which lines of the screen's list
	outcome stage.Outcome

	returning   screen // to which to go as soon as the run has ended
	leaving     bool   // as soon as the run has ended
	interrupted bool   // by Ctrl-C
}

// running is the stage that is under way.
type running struct {
	number   int
	stage    stage.ID
	cancel   context.CancelFunc
	started  time.Time
	progress observe.Progress
	waiting  string
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
		ctx: ctx, options: o, styles: newStyles(o.Out, o.NoColor), queue: newQueue(), saver: &saver{}, path: o.Path, width: minWidth, height: minHeight,
		start: &startScreen{}, form: &formScreen{}, check: &checkScreen{}, plan: &planScreen{}, confirm: &confirmScreen{}, apply: &applyScreen{}, test: &testScreen{},
	}
	m.screen = m.start
	return m
}

// loaded is the answers file, or why it could not be read.
type loaded struct {
	document *answers.Document
	answers  answers.Answers
	err      error
	invalid  error
	path     string // where the answers go from now on
}

// finished ends a run.
type finished struct {
	run     int
	stage   stage.ID
	engine  stage.Engine // also when the run failed: it is open
	outcome stage.Outcome
	err     error
}

// saved tells what came of saving.
type saved struct{ err error }

type tick struct{ run int }

func (m *model) Init() tea.Cmd {
	ctx, path := m.ctx, m.path
	load := func() tea.Msg {
		d, err := answers.Open(ctx, path)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return loaded{err: err, path: path}
		case err != nil: // what is there is kept: it may be mended by hand
			return loaded{err: err, path: free(path)}
		}
		a, invalid := d.Answers()
		return loaded{document: d, answers: a, invalid: invalid, path: path}
	}
	return tea.Batch(load, m.queue.next(ctx))
}

func (m *model) Update(msg tea.Msg) (tea.Model, tea.Cmd) {
	switch msg := msg.(type) {
	case tea.WindowSizeMsg:
		m.width, m.height = msg.Width, msg.Height
	case tea.KeyMsg:
		return m, m.key(msg)
	case loaded:
		m.load(msg)
	case batch:
		commands := []tea.Cmd{m.queue.next(m.ctx)}
		for _, each := range msg {
			_, cmd := m.Update(each)
			commands = append(commands, cmd)
		}
		return m, tea.Batch(commands...)
	case happened:
		if m.run != nil && m.run.number == msg.run {
			m.observe(msg.event)
		}
	case finished:
		return m, m.end(msg)
	case saved:
		if msg.err != nil {
			m.note = clean(msg.err.Error())
		}
	case asked:
		m.asks = append(m.asks, &question{asked: msg})
	case said:
		m.said = append(m.said, clean(string(msg)))
	case tick:
		if m.run != nil && m.run.number == msg.run {
			return m, second(msg.run)
		}
	}
	return m, nil
}

func second(run int) tea.Cmd {
	return tea.Tick(time.Second, func(time.Time) tea.Msg { return tick{run} })
}

// key routes a key: what holds everywhere, then what lies on top, then the screen.
func (m *model) key(k tea.KeyMsg) tea.Cmd {
	m.note = ""
	name := k.String()
	switch {
	case name == "ctrl+c":
		return m.leave(true)
	case len(m.asks) > 0:
		return m.asks[0].key(m, k)
	case m.helping:
		m.helping = false
		return nil
	case name == "?" && !m.typing() || name == "f1":
		m.helping = true
		return nil
	case name == "q" && !m.typing():
		return m.leave(false)
	}
	return m.screen.key(m, k)
}

// typing tells whether letters are text and not keys.
func (m *model) typing() bool {
	switch s := m.screen.(type) {
	case *formScreen:
		return true
	case *confirmScreen:
		return s.severe(m)
	}
	return false
}

// leave ends the program: at once when nothing runs, else when the current call has ended; a second time at once.
func (m *model) leave(interrupt bool) tea.Cmd {
	m.interrupted = m.interrupted || interrupt && m.run != nil // else it is how one leaves a form
	if m.run == nil || m.leaving {
		return tea.Quit
	}
	m.leaving = true
	m.run.cancel() // whoever asks for a secret is told by it too
	m.asks = nil
	return nil
}

func (m *model) load(msg loaded) {
	m.path = msg.path
	switch {
	case msg.err == nil:
		m.document, m.answers = msg.document, msg.answers
		if msg.invalid != nil {
			m.form.open(m)
			m.form.fail(m, msg.invalid)
			m.screen = m.form
			return
		}
		m.start.review = true
	case errors.Is(msg.err, fs.ErrNotExist):
		m.start.scenarios = answers.Scenarios()
	default:
		m.start.scenarios = answers.Scenarios()
		m.start.fault = clean(firstLine(msg.err.Error()))
	}
}

// free is a path beside one that is taken, at which nothing is yet.
func free(path string) string {
	for n := 1; ; n++ {
		candidate := path + ".new.yaml"
		if n > 1 {
			candidate = fmt.Sprintf("%s.new%d.yaml", path, n)
		}
		if _, err := os.Lstat(candidate); err != nil {
			return candidate
		}
	}
}

// valid takes out what is not asked for any more, and returns what is wrong with the rest.
func (m *model) valid() error {
	before := m.document.Bytes()
	m.document.Prune()
	if !bytes.Equal(before, m.document.Bytes()) {
		m.edits++
	}
	a, err := m.document.Answers()
	if err != nil {
		return err
	}
	m.answers = a
	return nil
}

// begin runs a stage.
func (m *model) begin(id stage.ID) tea.Cmd {
	if m.run != nil {
		return nil
	}
	m.runs++
	ctx, cancel := context.WithCancel(m.ctx)
	m.run = &running{number: m.runs, stage: id, cancel: cancel, started: m.options.now()}
	m.said = nil
	number, engine, o, q, a := m.runs, m.engine, m.options, m.queue, m.answers
	opened := string(m.document.Bytes())
	stale := engine
	if engine != nil && opened != m.opened {
		engine = nil
	} else {
		stale = nil
	}
	m.opened = opened
	plan := m.outcome.Plan
	observer := observe.Func(func(e observe.Event) { q.put(happened{number, e}) })
	work := func() tea.Msg {
		done := finished{run: number, stage: id, engine: engine}
		defer func() { q.put(done) }() // behind the events
		if stale != nil {
			_ = stale.Close(ctx)
		}
		if done.engine == nil {
			if done.engine, done.err = o.Open(ctx, a, Person{Prompt: q.prompt, Say: func(text string) { q.put(said(text)) }}); done.err != nil {
				done.engine = nil
				return nil
			}
		}
		done.outcome.Reached = id
		switch id {
		case stage.Check:
			r, err := done.engine.Check(ctx, observer)
			done.outcome.Check, done.err = &r, err
		case stage.Plan:
			p, err := done.engine.Plan(ctx, observer)
			done.outcome.Plan, done.err = &p, err
		case stage.Apply:
			r, err := done.engine.Apply(ctx, *plan, o.Apply, observer)
			done.outcome.Apply, done.err = &r, err
		case stage.Test:
			r, err := done.engine.Test(ctx, o.Test, observer)
			done.outcome.Test, done.err = &r, err
		}
		if done.err == nil {
			done.err = ctx.Err() // what was cut off is no finding
		}
		return nil
	}
	return tea.Batch(work, second(number), m.saving())
}

// end takes in what a run gave.
func (m *model) end(msg finished) tea.Cmd {
	if m.run == nil || m.run.number != msg.run {
		return nil
	}
	m.run.cancel()
	m.run, m.asks, m.said, m.engine = nil, nil, nil, msg.engine
	switch msg.stage {
	case stage.Check:
		m.check.end(m, msg)
	case stage.Plan:
		m.plan.end(m, msg)
	case stage.Apply:
		m.apply.end(m, msg)
	case stage.Test:
		m.test.end(m, msg)
	}
	if m.leaving {
		return tea.Quit
	}
	if to := m.returning; to != nil {
		m.returning = nil
		return m.show(to)
	}
	return nil
}

func (m *model) observe(e observe.Event) {
	switch e := e.(type) {
	case observe.Started:
		m.run.progress = observe.Progress{Stage: e.Stage, Total: e.Total}
	case observe.Progress:
		m.run.progress, m.run.waiting = e, ""
	case observe.Waiting:
		m.run.waiting = clean(e.What)
	default:
		switch m.run.stage {
		case stage.Check:
			m.check.observe(e)
		case stage.Plan:
			m.plan.observe(e)
		case stage.Apply:
			m.apply.observe(e)
		case stage.Test:
			m.test.observe(e)
		}
	}
}

// saver writes the answers file: never an older state over a newer one, though commands run side by side.
type saver struct {
	mu    sync.Mutex
	saved int
}

func (s *saver) save(d *answers.Document, edits int, path string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if edits <= s.saved {
		return nil
	}
	if err := d.Save(path); err != nil {
		return err
	}
	s.saved = edits
	return nil
}

// saving is the command that saves the answers if they were edited.
func (m *model) saving() tea.Cmd {
	if m.document == nil || m.edits == 0 {
		return nil
	}
	saver, document, edits, path := m.saver, m.document.Clone(), m.edits, m.path
	return func() tea.Msg { return saved{saver.save(document, edits, path)} }
}

// save saves the answers once the program has ended.
func (m *model) save() error {
	if m.document == nil {
		return nil
	}
	return m.saver.save(m.document, m.edits, m.path)
}

// close ends what still runs, and the engine's sessions; a few seconds are enough to say goodbye to servers.
func (m *model) close() {
	if m.run != nil {
		m.run.cancel()
		return // the engine is in use; its sessions end with the process
	}
	if m.engine != nil {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(m.ctx), 5*time.Second)
		defer cancel()
		_ = m.engine.Close(ctx)
	}
}

// finished tells whether the last stage was done.
func (m *model) finished() bool { return m.outcome.Test != nil }

// farewell says where things are and how to go on.
func (m *model) farewell(saveError error) []string {
	if m.document == nil {
		return nil
	}
	var lines []string
	if saveError == nil {
		lines = append(lines, "answers: "+clean(m.path))
	}
	path := report.ShellWord(m.path)
	if r := m.outcome.Apply; r != nil && r.Summary.Failed+r.Summary.Pending > 0 || m.run != nil && m.run.stage == stage.Apply {
		if r != nil && r.Journal != "" {
			lines = append(lines, "journal: "+clean(r.Journal))
		}
		return append(lines, "not all changes are made; go on with: hybridge apply -f "+path, "or undo what is made with:           hybridge rollback -f "+path)
	}
	switch {
	case m.finished():
		lines = append(lines, "ask again with: hybridge test -f "+path)
	case m.outcome.Apply != nil:
		lines = append(lines, "see whether it works with: hybridge test -f "+path)
	default:
		lines = append(lines, "go on with: hybridge wizard -f "+path)
	}
	if r := m.outcome.Apply; r != nil && r.Summary.Done > 0 {
		lines = append(lines, "undo what is made with: hybridge rollback "+report.ShellWord(r.RunID)+" -f "+path)
	}
	return lines
}

// window is view.window for the one list of a screen; the status line tells what of it is in view.
func (m *model) window(v *view, lines []string, height int) []string {
	lines = v.window(lines, height)
	m.shown = v.position()
	return lines
}

// ascii keeps widths: a sign for a sign.
var ascii = strings.NewReplacer("─", "-", "│", "|", "…", "~", "±", "%")

func (m *model) View() string {
	if m.options.ASCII {
		return ascii.Replace(m.draw())
	}
	return m.draw()
}

func (m *model) draw() string {
	w, h := m.width, m.height
	m.shown = ""
	if w < minWidth || h < minHeight {
		lines := []string{
			fmt.Sprintf("The wizard needs a window of %d by %d characters;", minWidth, minHeight),
			fmt.Sprintf("this one has %d by %d. Enlarge it, or leave", w, h),
			"with Ctrl-C: the answers are saved, and every step",
			"is a command too (hybridge --help).",
		}
		for i := range lines {
			lines[i] = fit(lines[i], w)
		}
		return strings.Join(lines[:max(0, min(len(lines), h))], "\n")
	}
	const head, foot = 3, 3
	rule := m.styles.faint.Render(strings.Repeat("─", w))
	lines := append(make([]string, 0, h), m.headline(w), m.stages(w), rule)
	body := h - head - foot
	var middle []string
	switch {
	case len(m.asks) > 0:
		middle = m.asks[0].render(m, w-2, body)
	case m.helping:
		middle = m.helpLines(w - 2)
	default:
		top := m.saidLines(w - 2)
		middle = append(top, m.screen.render(m, w-2, body-len(top))...)
	}
	for i := range body {
		line := ""
		if i < len(middle) {
			line = " " + fit(middle[i], w-2)
		}
		lines = append(lines, line)
	}
	return strings.Join(append(lines, rule, fit(" "+m.status(), w), m.keyLine(w)), "\n")
}

func (m *model) headline(width int) string {
	name := ""
	if m.document != nil {
		name = clean(m.document.Text("organization"))
	}
	left := m.styles.title.Render("hybridge") + "  " + fit(name, width/3)
	right := fit(clean(m.path), width/2)
	return " " + left + strings.Repeat(" ", max(1, width-2-ansi.StringWidth(left)-ansi.StringWidth(right))) + m.styles.faint.Render(right)
}

func (m *model) stages(width int) string {
	here := m.screen.stage()
	var parts []string
	past := true
	for _, s := range stage.All() {
		switch {
		case s.ID == here:
			past = false
			parts = append(parts, m.styles.here.Render("["+s.Title+"]"))
		case past:
			parts = append(parts, m.styles.past.Render(s.Title))
		default:
			parts = append(parts, m.styles.faint.Render(s.Title))
		}
	}
	return fit(" "+strings.Join(parts, " > "), width)
}

func (m *model) status() string {
	if m.note != "" {
		return m.note
	}
	if m.run == nil {
		return m.shown
	}
	seconds := int(m.options.now().Sub(m.run.started) / time.Second)
	if m.leaving {
		return "Ending the current call, then leaving. Ctrl-C again leaves at once."
	}
	if m.returning != nil {
		return "Ending the current call, then going back. Ctrl-C leaves."
	}
	p := m.run.progress
	text := "Working"
	if p.Total > 0 {
		text = fmt.Sprintf("%d of %d", p.Done, p.Total)
	}
	if p.Text != "" {
		text += ": " + clean(p.Text)
	}
	if m.run.waiting != "" {
		text += "; waiting for " + m.run.waiting
	}
	return fmt.Sprintf("%s  (%d s)", text, seconds)
}

func (m *model) keyLine(width int) string {
	var hints []hint
	switch {
	case len(m.asks) > 0:
		hints = []hint{{"enter", "give it"}, {"esc", "do not"}}
	case m.helping:
		hints = []hint{{"any key", "back"}}
	default:
		hints = m.screen.keys(m)
		always := []hint{{"?", "help"}, {"q", "leave"}}
		if m.typing() {
			always = []hint{{"F1", "help"}, {"ctrl+c", "leave"}}
		}
		for len(hints) > 0 && ansi.StringWidth(m.hintText(append(hints[:len(hints):len(hints)], always...))) > width-2 {
			hints = hints[:len(hints)-1] // help has them all
		}
		hints = append(hints[:len(hints):len(hints)], always...)
	}
	return fit(" "+m.hintText(hints), width)
}

func (m *model) hintText(hints []hint) string {
	var parts []string
	for _, h := range hints {
		parts = append(parts, m.styles.key.Render(h.key)+" "+h.does)
	}
	return strings.Join(parts, "   ")
}

func (m *model) helpLines(width int) []string {
	var lines []string
	for _, s := range stage.All() {
		if s.ID == m.screen.stage() {
			lines = append(lines, m.styles.title.Render(s.Title), "")
			lines = append(lines, wrap(s.About, width, "")...)
		}
	}
	lines = append(lines, "")
	for paragraph := range strings.SplitSeq(m.screen.help(), "\n") {
		lines = append(lines, wrap(paragraph, width, "")...)
	}
	lines = append(lines, "")
	for _, h := range append(m.screen.keys(m), hint{"? or F1", "this help"}, hint{"q", "leave; the answers are saved (Ctrl-C while typing)"},
		hint{"Ctrl-C", "end the current call and leave; twice: leave at once"}) {
		if h.does == "scroll" {
			h.does = "scroll; pgup, pgdn, home and end too"
		}
		lines = append(lines, fmt.Sprintf("  %-16s %s", h.key, h.does))
	}
	return lines
}

func (m *model) saidLines(width int) []string {
	var lines []string
	for _, text := range m.said {
		lines = append(lines, wrap("! "+text, width, "  ")...)
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
