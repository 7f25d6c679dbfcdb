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
	"github.com/hybridge-cli/hybridge/pkg/engine/report"
)

// formScreen asks the questions of package answers, a page per section. What is typed goes into the
// document at once, so that nothing is lost when the person leaves. The exception is text where the
// reference to a secret belongs and that is none: it may be the secret. It is kept as a draft,
// which is in memory only and has to be completed or removed before the form is done.
type formScreen struct {
	page
	at      int    // page
	field   int    // question of the page
	key     string // of the question, in the document
	input   input  // of the question, when its answer is typed
	emptied bool   // the input is, and the document is not yet
	// loaded reports that the input is unchanged. Typing then replaces a secret's reference.
	loaded  bool
	choice  int               // of a question with several choices
	touched map[string]bool   // keys whose answers were left once: their faults are shown
	drafts  map[string]string // by key
	faults  answers.Faults    // of the last validation
	scroll  scroll

	changed map[answers.Page]bool // pages whose answers were typed or chosen here
	trials  trials
	offered string // what Tab was asked to go on

	removing int // the key press after which ctrl+d removes the forest
}

func (*formScreen) about() about {
	a := (*scenarioScreen)(nil).about()
	a.draft = true
	a.help = "Answers are saved when you leave, finished or not. Empty answers take their defaults.\n" +
		"ctrl+t tests what is entered on a page: the sign-in, the server, the file. Tab completes paths.\n" +
		"Secrets are given by where they are kept, never as such: " + secret.Forms + "."
	return a
}

func (f *formScreen) typing(*model) bool { return true }

func (f *formScreen) enter(m *model) tea.Cmd {
	*f = formScreen{touched: map[string]bool{}, drafts: f.drafts, changed: map[answers.Page]bool{},
		trials: trials{done: f.trials.done}}
	if f.drafts == nil {
		f.drafts = map[string]string{}
	}
	f.focus(m)
	return nil
}

func (f *formScreen) pages(m *model) []answers.Page { return m.document.Pages() }

func (f *formScreen) section(m *model) answers.Page {
	pages := f.pages(m)
	f.at = max(0, min(f.at, len(pages)-1))
	return pages[f.at]
}

// current is the question that has the focus.
func (f *formScreen) current(m *model) answers.Question {
	questions := m.document.Questions(f.section(m))
	f.field = max(0, min(f.field, len(questions)-1))
	return questions[f.field]
}

// typed reports whether the answer to a question is typed, and not chosen.
func typed(q answers.Question) bool {
	return q.Kind != answers.ChoiceAnswer && q.Kind != answers.ManyAnswer
}

// focus loads the answer of the focused question into the input line.
func (f *formScreen) focus(m *model) {
	q := f.current(m)
	f.key = m.document.Key(q, f.section(m).Forest)
	values, _ := m.document.Get(f.key)
	text, draft := f.drafts[f.key]
	if !draft {
		text = strings.Join(values, ", ")
	}
	f.input, f.choice, f.loaded = newInput(text), 0, !draft
}

// store puts the typed answer into the document.
func (f *formScreen) store(m *model, q answers.Question) {
	values := f.values(q)
	delete(f.drafts, f.key)
	if q.Kind == answers.SecretAnswer && len(values) > 0 && q.Validate(values) != nil {
		f.drafts[f.key] = f.input.String()
		return
	}
	if f.emptied = len(values) == 0; f.emptied {
		return
	}
	if before, _ := m.document.Get(f.key); !slices.Equal(before, values) {
		f.put(m, q, values)
	}
}

// commit takes an answer that was emptied out of the document. That waits until the person leaves
// the field: an answer that is typed anew keeps its place in the file.
func (f *formScreen) commit(m *model) {
	if !f.emptied || m.document == nil {
		return
	}
	f.emptied = false
	if values, _ := m.document.Get(f.key); len(values) > 0 {
		f.put(m, f.current(m), nil)
	}
}

func (f *formScreen) put(m *model, q answers.Question, values []string) {
	f.key = m.document.Answer(q, f.section(m).Forest, f.key, values)
	m.edits++
	f.faults = nil
	f.changed[f.section(m)] = true
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

func (f *formScreen) actions(m *model) []action {
	var list []action // what this field takes comes first: a narrow line ends early
	switch f.current(m).Kind {
	case answers.ChoiceAnswer:
		list = append(list, on("left/right", "choose", nil))
	case answers.ManyAnswer:
		list = append(list, on("left/right/space", "choose", nil))
	}
	if _, has := accessOf(f.section(m)); has {
		list = append(list, on("ctrl+t", "test it", f.tryPage))
	}
	list = append(list, on("ctrl+s", "done", f.done), on("up/down", "field", nil), on("pgup/pgdn", "page", nil),
		on("ctrl+n", "new forest", f.newForest))
	if f.section(m).PerForest {
		list = append(list, on("ctrl+d", "remove this forest", f.removeForest))
	}
	return append(list, on("esc", "back", f.leave))
}

// move moves the focus.
func (f *formScreen) move(m *model, pages, fields int) tea.Cmd {
	f.commit(m)
	page := f.section(m)
	f.touched[f.key] = true
	last := len(m.document.Questions(f.section(m))) - 1
	switch {
	case pages != 0:
		f.at, f.field = f.at+pages, 0
	case fields < 0 && f.field == 0 && f.at > 0:
		f.at, f.field = f.at-1, 1<<10
	case fields > 0 && f.field == last && f.at < len(f.pages(m))-1:
		f.at, f.field = f.at+1, 0
	default:
		f.field += fields
	}
	f.focus(m)
	if f.section(m) != page {
		return f.left(m, page)
	}
	return nil
}

func (f *formScreen) other(m *model, k tea.KeyMsg) tea.Cmd {
	switch k.String() {
	case "up", "shift+tab":
		return f.move(m, 0, -1)
	case "tab":
		if cmd := f.complete(m); cmd != nil {
			return cmd
		}
		return f.move(m, 0, 1)
	case "down":
		return f.move(m, 0, 1)
	case "enter":
		if f.at == len(f.pages(m))-1 && f.field == len(m.document.Questions(f.section(m)))-1 {
			f.touched[f.key] = true
			return f.done(m)
		}
		return f.move(m, 0, 1)
	case "pgdown":
		return f.move(m, 1, 0)
	case "pgup":
		return f.move(m, -1, 0)
	default:
		f.edit(m, k)
	}
	return nil
}

// leave goes back to the overview, when the answers are good for one, and to the scenarios, when
// nothing was answered yet.
func (f *formScreen) leave(m *model) tea.Cmd {
	f.commit(m)
	untouched := m.edits == 1 && len(find[*scenarioScreen](m).scenarios) > 0
	switch {
	case untouched:
		return m.back()
	case len(f.drafts) == 0 && m.valid() == nil:
		return m.onward()
	}
	m.note = m.words("Not all answers are given yet; ctrl+s shows which, ctrl+c saves and leaves.")
	return nil
}

func (f *formScreen) edit(m *model, k tea.KeyMsg) {
	q := f.current(m)
	name := k.String()
	offered := q.Choices
	switch q.Kind {
	case answers.ChoiceAnswer:
		values, _ := m.document.Get(f.key)
		at := -1
		if len(values) == 1 {
			at = slices.Index(offered, values[0])
		}
		switch name {
		case "right", " ":
			at = (at + 1) % len(offered)
		case "left":
			at = (max(at, 0) + len(offered) - 1) % len(offered)
		case "backspace", "delete":
			if !q.Required {
				f.put(m, q, nil)
			}
			return
		default:
			f.chosenNotTyped(m, k)
			return
		}
		f.put(m, q, []string{offered[at]})
	case answers.ManyAnswer:
		switch name {
		case "right":
			f.choice = min(f.choice+1, len(offered)-1)
		case "left":
			f.choice = max(f.choice-1, 0)
		case " ":
			f.put(m, q, q.Toggle(m.document.Chosen(q, f.key), offered[f.choice]))
		case "backspace", "delete":
			f.put(m, q, nil)
		default:
			f.chosenNotTyped(m, k)
		}
	default:
		if f.loaded && q.Kind == answers.SecretAnswer && (k.Type == tea.KeyRunes || k.Type == tea.KeySpace) && !k.Alt {
			f.input = newInput("") // a reference is typed instead of the one that is there, not behind it
		}
		if f.input.key(k) {
			f.loaded = false
			f.store(m, q)
		}
	}
}

// chosenNotTyped answers letters where there is nothing to type.
func (f *formScreen) chosenNotTyped(m *model, k tea.KeyMsg) {
	if k.Type == tea.KeyRunes {
		m.note = m.words("Here is nothing to type: left, right and space choose.")
	}
}

func (f *formScreen) newForest(m *model) tea.Cmd {
	f.commit(m)
	n := m.addForest()
	for i, p := range f.pages(m) {
		if p.PerForest && p.Forest == n {
			f.at, f.field = i, 0
			break
		}
	}
	f.focus(m)
	return nil
}

// addForest begins a forest with the kinds of its credentials; the questions ask the rest.
func (m *model) addForest() int {
	n := max(1, m.document.Len("forests"))
	m.document.Set(fmt.Sprintf("forests[%d].directory.bind.kind", n), string(answers.CredentialKerberos))
	m.document.Set(fmt.Sprintf("forests[%d].exchange.credential.kind", n), string(answers.CredentialKerberos))
	m.edits++
	return n
}

// removeForest asks first, because the answers of the forest are lost.
func (f *formScreen) removeForest(m *model) tea.Cmd {
	f.commit(m)
	p := f.section(m)
	switch {
	case m.document.Len("forests") < 2:
		m.note = m.words("One forest is needed.")
		return nil
	case f.removing != m.presses-1:
		m.note = m.words("ctrl+d again removes forest %d with all its answers.", p.Forest+1)
		f.removing = m.presses
		return nil
	}
	m.note = m.words("Forest %d is removed from the answers.", p.Forest+1)
	m.document.RemoveForest(p.Forest)
	m.edits++
	f.at, f.field, f.drafts = 0, 0, map[string]string{}
	f.changed, f.trials = map[answers.Page]bool{}, trials{} // they count forests
	if m.run != nil {
		m.run.cancel()
	}
	f.focus(m)
	return nil
}

// done validates everything and goes on, or to the first fault.
func (f *formScreen) done(m *model) tea.Cmd {
	f.commit(m)
	if len(f.drafts) > 0 && f.toDraft(m) {
		m.note = m.words("This is no reference to a secret yet; complete it, or empty it with ctrl+u.")
		return nil
	}
	if err := m.valid(); err != nil {
		f.fail(m, err)
		return nil
	}
	return tea.Batch(m.store(), m.onward())
}

// toDraft focuses the first question with a draft. Drafts of what is not asked any more go.
func (f *formScreen) toDraft(m *model) bool {
	for i, p := range f.pages(m) {
		for j, q := range m.document.Questions(p) {
			if key := m.document.Key(q, p.Forest); f.drafts[key] != "" {
				f.at, f.field, f.touched[key] = i, j, true
				f.focus(m)
				return true
			}
		}
	}
	f.drafts = map[string]string{}
	return false
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
			if f.fault(m.document.Key(q, p.Forest)) != "" {
				f.at, f.field = i, j
				f.focus(m)
				m.note = m.count(len(f.faults), "%d answer missing or wrong; this is the first.",
					"%d answers missing or wrong; this is the first.")
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
		// Where a whole part is missing, so is each of its answers.
		within := strings.HasPrefix(key, fault.Path+".") && strings.HasPrefix(fault.What, "missing")
		if fault.Path == key || strings.HasPrefix(fault.Path, key+"[") || within {
			text := fault.What
			if fault.Hint != "" {
				text += "; " + fault.Hint
			}
			return clean(text)
		}
	}
	return ""
}

// wrong is what to show beside a question: what validation said, or what is wrong with what is
// typed.
func (f *formScreen) wrong(m *model, q answers.Question, key string, focused bool) string {
	if text := f.fault(key); text != "" && !strings.HasPrefix(text, "still to be filled in") {
		return text
	}
	values, _ := m.document.Get(key)
	draft, drafted := f.drafts[key]
	switch {
	case drafted:
		values = []string{draft}
	case focused && typed(q):
		values = f.values(q)
		if len(values) == 0 && !f.touched[key] && f.fault(key) == "" {
			return ""
		}
	case !f.touched[key] && f.fault(key) == "":
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
		lines[i] = m.styles.past.Width(formSide).Render(fit(left, formSide)) + m.styles.faint.Render(" │ ") + right
	}
	return lines
}

// side lists the pages, and marks those that are not complete.
func (f *formScreen) side(m *model, height int) []string {
	var lines []string
	here := 0
	broken := false
	forest := -1
	for i, p := range f.pages(m) {
		if p.PerForest && p.Forest != forest {
			forest = p.Forest
			name := clean(m.document.Text(fmt.Sprintf("forests[%d].name", forest)))
			if name == "" {
				name = m.words("forest %d", forest+1)
			}
			lines = append(lines, m.styles.faint.Render(name))
		}
		title := m.term(p.Title)
		if p.PerForest {
			title = " " + title
		}
		mark := " "
		switch {
		case f.failed(p):
			mark = "!"
			broken = true
		case f.incomplete(m, p):
			mark = "*"
		}
		if i == f.at {
			here = len(lines)
			lines = append(lines, m.styles.focus.Render("> "+title)+" "+mark)
		} else {
			lines = append(lines, "  "+title+" "+mark)
		}
	}
	lines = append(lines, "", m.styles.faint.Render("* "+m.words("not complete")))
	if broken {
		lines = append(lines, m.styles.faint.Render("! "+m.words("its test failed")))
	}
	var s scroll
	s.keep(here, here, height)
	return s.window(lines, height)
}

func (f *formScreen) incomplete(m *model, p answers.Page) bool {
	for _, q := range m.document.Questions(p) {
		key := m.document.Key(q, p.Forest)
		values, _ := m.document.Get(key)
		if q.Validate(values) != nil || f.drafts[key] != "" || f.fault(key) != "" && len(values) > 0 {
			return true
		}
	}
	return false
}

func (f *formScreen) fields(m *model, width, height int) []string {
	p := f.section(m)
	var lines []string
	first, last := 0, 0
	for i, q := range m.document.Questions(p) {
		key := m.document.Key(q, p.Forest)
		focused := i == f.field
		if focused {
			key = f.key
		}
		label, free := m.term(q.Label), ""
		if !q.Required {
			free = m.styles.faint.Render(" " + m.words("(may stay empty)"))
		}
		from := len(lines)
		if focused {
			lines = append(lines, m.styles.focus.Render("> ")+m.styles.focus.Render(label)+free)
		} else {
			lines = append(lines, "  "+label+free)
		}
		lines = append(lines, f.value(m, q, key, focused, width-4)...)
		if focused {
			for _, line := range m.text(width-4, f.explain(m, q)) {
				lines = append(lines, "    "+m.styles.faint.Render(line))
			}
		}
		if wrong := f.wrong(m, q, key, focused); wrong != "" {
			for _, line := range m.labelled(width-4, "!", report.Bad, wrong) {
				lines = append(lines, "    "+line)
			}
		}
		lines = append(lines, "")
		if focused {
			first, last = from, len(lines)-1
		}
	}
	head := f.tried(m, p, width)
	head = head[:min(len(head), height/2)]
	height -= len(head)
	f.scroll.keep(first, last, height)
	return append(head, m.window(&f.scroll, lines, height)...)
}

// explain is the help of the question that has the focus, with what an empty answer means, or an
// example.
func (f *formScreen) explain(m *model, q answers.Question) string {
	text := m.asked(q)
	switch {
	case q.Kind == answers.SecretAnswer && f.loaded && f.input.String() != "":
		return text + m.words(" Typing replaces it.")
	case !typed(q) || f.input.String() != "":
	case q.Default != "":
		return text + m.words(" Empty: %s.", m.term(q.Default))
	case q.Example != "" && !strings.Contains(q.Help, q.Example):
		return text + m.words(" For example: %s", q.Example)
	}
	return text
}

// asked is the help of a question, with why it is asked.
func (m *model) asked(q answers.Question) string {
	if q.Why == "" {
		return m.term(q.Help)
	}
	return m.term(q.Help) + m.words(" %s", m.term(q.Why))
}

// value draws the answer to a question.
func (f *formScreen) value(m *model, q answers.Question, key string, focused bool, width int) []string {
	values, ok := m.document.Get(key)
	switch {
	case q.Kind == answers.ManyAnswer:
		chosen := m.document.Chosen(q, key)
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
			value = m.words("%s (default)", m.term(q.Default))
		}
		if focused {
			return []string{"    < " + m.styles.focus.Render(clean(value)) + " >"}
		}
		return []string{"    " + clean(value)}
	case focused:
		hide := q.Kind == answers.SecretAnswer && !beginsReference(f.input.String())
		return []string{"    " + f.input.render(m.styles, width, hide)}
	case f.drafts[key] != "":
		return []string{"    " + m.styles.faint.Render(m.words("(typed, not complete)"))}
	case !ok || len(values) == 0:
		if q.Default != "" {
			var lines []string
			for _, line := range m.text(width, m.words("%s (default)", m.term(q.Default))) {
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

// beginsReference reports whether what is typed may become a reference to a secret. What may not is
// taken for the secret and is not drawn.
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
