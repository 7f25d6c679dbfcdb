package wizard

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	tea "github.com/charmbracelet/bubbletea"
	"github.com/charmbracelet/x/ansi"

	"github.com/hybridge-cli/hybridge/pkg/config/answers"
	"github.com/hybridge-cli/hybridge/pkg/config/secret"
	"github.com/hybridge-cli/hybridge/wizard/stage"
)

// formScreen asks the questions of package answers, a page a section. What is typed goes into the document at once (a secret typed where a
// reference belongs never does), so that nothing is lost whichever way the person turns.
type formScreen struct {
	at      int             // page
	field   int             // question of the page
	input   input           // of the field, when it is typed
	choice  int             // of a field with several choices
	touched map[string]bool // keys whose answers were left once: their faults are shown
	faults  answers.Faults  // of the last validation
	view    view

	removing bool // ctrl+d was the last key
}

func (*formScreen) stage() stage.ID { return stage.Answers }

func (f *formScreen) help() string {
	return "Answers are saved when you leave, finished or not. What stands empty takes its default.\n" +
		"Secrets are given by where they are kept, never as such: " + secret.Forms + "."
}

func (f *formScreen) open(m *model) {
	f.at, f.field, f.touched, f.faults = 0, 0, map[string]bool{}, nil
	f.focus(m)
}

func (f *formScreen) pages(m *model) []answers.Page { return m.document.Pages() }

func (f *formScreen) page(m *model) answers.Page {
	pages := f.pages(m)
	f.at = max(0, min(f.at, len(pages)-1))
	return pages[f.at]
}

// current is the question that has the focus.
func (f *formScreen) current(m *model) (answers.Question, string) {
	p := f.page(m)
	questions := m.document.Questions(p)
	f.field = max(0, min(f.field, len(questions)-1))
	q := questions[f.field]
	return q, q.For(p.Forest)
}

// typed tells whether the answer to a question is typed, and not chosen.
func typed(q answers.Question) bool {
	return q.Kind != answers.ChoiceAnswer && q.Kind != answers.ManyAnswer
}

// focus takes the answer of the question that the person came to into the input line.
func (f *formScreen) focus(m *model) {
	_, key := f.current(m)
	values, _ := m.document.Get(key)
	f.input, f.choice = newInput(strings.Join(values, ", ")), 0
}

// store puts the typed answer into the document.
func (f *formScreen) store(m *model) {
	q, key := f.current(m)
	values := f.values(q)
	if q.Kind == answers.SecretAnswer && q.Validate(values) != nil {
		return // it may be the secret itself
	}
	before, _ := m.document.Get(key)
	if !slices.Equal(before, values) {
		m.document.Answer(q, f.page(m).Forest, values)
		m.edits++
		f.faults = nil
	}
}

// values is what is typed, taken apart.
func (f *formScreen) values(q answers.Question) []string {
	text := strings.TrimSpace(f.input.String())
	switch {
	case text == "":
		return nil
	case q.Kind == answers.ListAnswer:
		return answers.Split(text)
	}
	return []string{text}
}

func (f *formScreen) keys(m *model) []hint {
	q, _ := f.current(m)
	var hints []hint // what this field takes comes first: a narrow line ends early
	switch q.Kind {
	case answers.ChoiceAnswer:
		hints = append(hints, hint{"left/right", "choose"})
	case answers.ManyAnswer:
		hints = append(hints, hint{"left/right/space", "choose"})
	}
	hints = append(hints, hint{"ctrl+s", "done"}, hint{"up/down", "field"}, hint{"pgup/pgdn", "page"}, hint{"ctrl+n", "new forest"})
	if f.page(m).PerForest {
		hints = append(hints, hint{"ctrl+d", "remove this forest"})
	}
	return hints
}

func (f *formScreen) key(m *model, k tea.KeyMsg) tea.Cmd {
	q, key := f.current(m)
	name := k.String()
	removing := f.removing
	f.removing = false
	switch name {
	case "up", "shift+tab":
		f.touched[key] = true
		if f.field > 0 {
			f.field--
		} else if f.at > 0 {
			f.at--
			f.field = 1 << 10
		}
		f.focus(m)
	case "down", "tab", "enter":
		f.touched[key] = true
		last := f.field == len(m.document.Questions(f.page(m)))-1
		switch {
		case !last:
			f.field++
		case f.at < len(f.pages(m))-1:
			f.at, f.field = f.at+1, 0
		case name == "enter":
			return f.done(m)
		}
		f.focus(m)
	case "pgdown":
		f.touched[key] = true
		f.at, f.field = f.at+1, 0
		f.focus(m)
	case "pgup":
		f.touched[key] = true
		f.at, f.field = f.at-1, 0
		f.focus(m)
	case "ctrl+s":
		return f.done(m)
	case "ctrl+n":
		return f.newForest(m)
	case "ctrl+d":
		return f.removeForest(m, removing)
	case "esc":
		// back to the overview, when the answers are good for one; to the scenarios, when nothing was answered yet
		untouched := m.edits == 1 && len(m.start.scenarios) > 0
		switch {
		case m.valid() == nil:
			m.screen = m.start
		case untouched:
			m.document, m.edits, m.start.review, m.screen = nil, 0, false, m.start
		default:
			m.note = "Not all answers are given yet; ctrl+s shows which, ctrl+c saves and leaves."
		}
	default:
		f.edit(m, q, key, k)
	}
	return nil
}

func (f *formScreen) edit(m *model, q answers.Question, key string, k tea.KeyMsg) {
	name := k.String()
	switch q.Kind {
	case answers.ChoiceAnswer:
		values, _ := m.document.Get(key)
		at := -1
		if len(values) == 1 {
			at = slices.Index(q.Choices, values[0])
		}
		switch name {
		case "right", " ":
			at = (at + 1) % len(q.Choices)
		case "left":
			at = (max(at, 0) + len(q.Choices) - 1) % len(q.Choices)
		case "backspace", "delete":
			if !q.Required {
				f.put(m, q, nil)
			}
			return
		default:
			f.chosenNotTyped(m, k)
			return
		}
		f.put(m, q, []string{q.Choices[at]})
	case answers.ManyAnswer:
		switch name {
		case "right":
			f.choice = min(f.choice+1, len(q.Choices)-1)
		case "left":
			f.choice = max(f.choice-1, 0)
		case " ":
			chosen := f.chosen(m, key)
			what := q.Choices[f.choice]
			var next []string
			for _, c := range q.Choices {
				if slices.Contains(chosen, c) != (c == what) {
					next = append(next, c)
				}
			}
			f.put(m, q, next)
		case "backspace", "delete":
			f.put(m, q, nil)
		default:
			f.chosenNotTyped(m, k)
		}
	default:
		if f.input.key(k) {
			f.store(m)
		}
	}
}

// chosenNotTyped tells who types where there is nothing to type.
func (f *formScreen) chosenNotTyped(m *model, k tea.KeyMsg) {
	if k.Type == tea.KeyRunes {
		m.note = "Here is nothing to type: left, right and space choose."
	}
}

func (f *formScreen) put(m *model, q answers.Question, values []string) {
	m.document.Answer(q, f.page(m).Forest, values)
	m.edits++
	f.faults = nil
}

// chosen are the choices that are on: those of the file, or the default.
func (f *formScreen) chosen(m *model, key string) []string {
	if values, ok := m.document.Get(key); ok {
		return values
	}
	var all []string
	for _, feature := range answers.DefaultFeatures() {
		all = append(all, string(feature))
	}
	return all
}

func (f *formScreen) newForest(m *model) tea.Cmd {
	n := max(1, m.document.Len("forests"))
	// a new forest begins with what makes it a forest; the rest is asked
	m.document.Set(fmt.Sprintf("forests[%d].directory.bind.kind", n), string(answers.CredentialKerberos))
	m.document.Set(fmt.Sprintf("forests[%d].exchange.credential.kind", n), string(answers.CredentialKerberos))
	m.edits++
	for i, p := range f.pages(m) {
		if p.PerForest && p.Forest == n {
			f.at, f.field = i, 0
			break
		}
	}
	f.focus(m)
	return nil
}

// removeForest asks first: what was answered is gone then.
func (f *formScreen) removeForest(m *model, again bool) tea.Cmd {
	p := f.page(m)
	switch {
	case !p.PerForest:
		return nil
	case m.document.Len("forests") < 2:
		m.note = "One forest is needed."
		return nil
	case !again:
		m.note = fmt.Sprintf("ctrl+d again removes forest %d with all its answers.", p.Forest+1)
		f.removing = true
		return nil
	}
	m.note = fmt.Sprintf("Forest %d is removed from the answers.", p.Forest+1)
	m.document.Unset(fmt.Sprintf("forests[%d]", p.Forest))
	m.edits++
	f.at, f.field = 0, 0
	f.focus(m)
	return nil
}

// done validates everything and goes on, or to the first fault.
func (f *formScreen) done(m *model) tea.Cmd {
	if err := m.valid(); err != nil {
		f.fail(m, err)
		return nil
	}
	m.start.review = true
	m.screen = m.start
	return m.saving()
}

// fail shows faults, the first of them focused.
func (f *formScreen) fail(m *model, err error) {
	f.faults = nil
	if !errors.As(err, &f.faults) {
		m.note = clean(firstLine(err.Error()))
		return
	}
	for i, p := range f.pages(m) {
		for j, q := range m.document.Questions(p) {
			if f.fault(q.For(p.Forest)) != "" {
				f.at, f.field = i, j
				f.focus(m)
				m.note = fmt.Sprintf("%s missing or wrong; this is the first.", counted(len(f.faults), "answer"))
				return
			}
		}
	}
	f.focus(m)
	m.note = clean(f.faults[0].String()) // no question asks for it: the file has to be edited
}

// fault is what the last validation said of a key.
func (f *formScreen) fault(key string) string {
	for _, fault := range f.faults {
		if fault.Path == key || strings.HasPrefix(fault.Path, key+"[") {
			text := fault.What
			if fault.Hint != "" {
				text += "; " + fault.Hint
			}
			return clean(text)
		}
	}
	return ""
}

// wrong is what to show beside a question: what validation said, or what is wrong with what is typed.
func (f *formScreen) wrong(m *model, q answers.Question, key string, focused bool) string {
	if text := f.fault(key); text != "" && !strings.HasPrefix(text, "still to be filled in") {
		return text
	}
	values, _ := m.document.Get(key)
	if focused && typed(q) {
		values = f.values(q)
		if len(values) == 0 && !f.touched[key] && f.fault(key) == "" {
			return ""
		}
	} else if !f.touched[key] && f.fault(key) == "" {
		return ""
	}
	if err := q.Validate(values); err != nil {
		return clean(err.Error())
	}
	return ""
}

const formSide = 27 // width of the list of pages

func (f *formScreen) render(m *model, width, height int) []string {
	side := f.side(m, height)
	fields := f.fields(m, width-formSide-3, height)
	lines := make([]string, height)
	for i := range lines {
		left, right := "", ""
		if i < len(side) {
			left = side[i]
		}
		if i < len(fields) {
			right = fields[i]
		}
		lines[i] = pad(left, formSide) + m.styles.faint.Render(" │ ") + right
	}
	return lines
}

// side lists the pages, and of each whether it is complete.
func (f *formScreen) side(m *model, height int) []string {
	var lines []string
	here := 0
	forest := -1
	for i, p := range f.pages(m) {
		if p.PerForest && p.Forest != forest {
			forest = p.Forest
			name := clean(m.document.Text(fmt.Sprintf("forests[%d].name", forest)))
			if name == "" {
				name = fmt.Sprintf("forest %d", forest+1)
			}
			lines = append(lines, m.styles.faint.Render(name))
		}
		title := p.Title
		if p.PerForest {
			title = " " + title
		}
		mark := " "
		if f.incomplete(m, p) {
			mark = "*"
		}
		if i == f.at {
			here = len(lines)
			lines = append(lines, m.styles.focus.Render("> "+title)+" "+mark)
		} else {
			lines = append(lines, "  "+title+" "+mark)
		}
	}
	lines = append(lines, "", m.styles.faint.Render("* not complete"))
	var v view
	v.keep(here, here, height)
	return v.window(lines, height)
}

func (f *formScreen) incomplete(m *model, p answers.Page) bool {
	for _, q := range m.document.Questions(p) {
		values, _ := m.document.Get(q.For(p.Forest))
		if q.Validate(values) != nil || f.fault(q.For(p.Forest)) != "" && len(values) > 0 {
			return true
		}
	}
	return false
}

func (f *formScreen) fields(m *model, width, height int) []string {
	p := f.page(m)
	var lines []string
	first, last := 0, 0
	for i, q := range m.document.Questions(p) {
		key := q.For(p.Forest)
		focused := i == f.field
		label := q.Label
		if !q.Required {
			label += m.styles.faint.Render(" (may stay empty)")
		}
		from := len(lines)
		if focused {
			lines = append(lines, m.styles.focus.Render("> ")+m.styles.focus.Render(q.Label)+strings.TrimPrefix(label, q.Label))
		} else {
			lines = append(lines, "  "+label)
		}
		lines = append(lines, f.value(m, q, key, focused, width-4)...)
		if focused {
			for _, line := range wrap(f.about(q), width-4, "") {
				lines = append(lines, "    "+m.styles.faint.Render(line))
			}
		}
		if wrong := f.wrong(m, q, key, focused); wrong != "" {
			for _, line := range wrap("! "+wrong, width-4, "  ") {
				lines = append(lines, "    "+m.styles.bad.Render(line))
			}
		}
		lines = append(lines, "")
		if focused {
			first, last = from, len(lines)-1
		}
	}
	f.view.keep(first, last, height)
	return m.window(&f.view, lines, height)
}

// about is the help of the question that has the focus; while nothing is typed, with what that means, or with an example.
func (f *formScreen) about(q answers.Question) string {
	switch {
	case !typed(q) || f.input.String() != "":
	case q.Default != "":
		return q.Help + " Empty: " + q.Default + "."
	case q.Example != "" && !strings.Contains(q.Help, q.Example):
		return q.Help + " For example: " + q.Example
	}
	return q.Help
}

// value draws the answer to a question.
func (f *formScreen) value(m *model, q answers.Question, key string, focused bool, width int) []string {
	values, ok := m.document.Get(key)
	switch {
	case q.Kind == answers.ManyAnswer:
		chosen := f.chosen(m, key)
		var lines []string
		line := "    "
		for i, c := range q.Choices {
			box := "[ ] "
			if slices.Contains(chosen, c) {
				box = "[x] "
			}
			item := box + c
			if ansi.StringWidth(line)+len(item) > width && i > 0 {
				lines, line = append(lines, line), "    "
			}
			if focused && i == f.choice {
				line += m.styles.mark(item) + "  "
			} else {
				line += item + "  "
			}
		}
		return append(lines, line)
	case q.Kind == answers.ChoiceAnswer:
		value := strings.Join(values, "")
		if value == "" && q.Default != "" {
			value = q.Default + " (default)"
		}
		if focused {
			return []string{"    < " + m.styles.focus.Render(clean(value)) + " >"}
		}
		return []string{"    " + clean(value)}
	case focused:
		hide := q.Kind == answers.SecretAnswer && !beginsReference(f.input.String())
		return []string{"    " + f.input.render(m.styles, width, hide)}
	case !ok || len(values) == 0:
		if q.Default != "" {
			var lines []string
			for _, line := range wrap(q.Default+" (default)", width, "") {
				lines = append(lines, "    "+m.styles.faint.Render(line))
			}
			return lines
		}
		return []string{"    " + m.styles.faint.Render("-")}
	case q.Kind == answers.SecretAnswer:
		return []string{"    " + clean(secret.Ref(values[0]).String())}
	}
	return []string{"    " + fit(clean(strings.Join(values, ", ")), width)}
}

// beginsReference tells whether what is typed may become a reference to a secret; what may not is the secret, and is not drawn.
func beginsReference(typed string) bool {
	if strings.HasPrefix("prompt", typed) {
		return true
	}
	for _, form := range []string{"file:", "env:", "keyring:"} {
		if strings.HasPrefix(form, typed) || strings.HasPrefix(typed, form) {
			return true
		}
	}
	return false
}

func counted(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}
