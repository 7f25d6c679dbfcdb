package wizard

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	tea "github.com/charmbracelet/bubbletea"
	"github.com/charmbracelet/x/ansi"
	"golang.org/x/term"

	"github.com/hybridge-cli/hybridge/pkg/config/answers"
	"github.com/hybridge-cli/hybridge/pkg/config/secret"
	"github.com/hybridge-cli/hybridge/pkg/engine/broken"
	"github.com/hybridge-cli/hybridge/pkg/engine/report"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/deployment"
)

// lines is the wizard in plain lines: questions and answers, one after the other. It moves no
// cursor and draws nothing twice, for screen readers and terminals that cannot be drawn on. It has
// the state, the questions and the stages of the screens.
type lines struct {
	*model
	ctx   context.Context
	width int

	mu  sync.Mutex // of out: a run and its clock write
	out io.Writer

	coming chan typedLine // the line that is being typed; nil when none is waited for
	early  []string       // typed before they were asked for

	basis string // the answers that the plan was made from
}

// typedLine is a line of the person, or why there is none.
type typedLine struct {
	text string
	err  error
}

// errEnd says that there is no more input.
var errEnd = errors.New("the input has ended")

// RunLines is Run in plain lines. width is that of the terminal; 80 when unknown.
func RunLines(ctx context.Context, o Options, width int) error {
	if o.In == nil {
		o.In = os.Stdin
	}
	if o.Out == nil {
		o.Out = os.Stdout
	}
	o.NoColor = true
	if width <= 0 {
		width = 80
	}
	l := &lines{model: newModel(ctx, o), ctx: ctx, width: max(40, min(width, 200)), out: o.Out}
	defer l.close()
	err := l.walk()
	saved := l.save()
	if !o.Passing {
		l.say(l.farewell(saved)...)
	}
	switch {
	case saved != nil:
		return saved
	case ctx.Err() != nil:
		return ctx.Err()
	case err != nil && !errors.Is(err, errEnd):
		return err
	case !l.finished():
		return ErrLeft
	}
	return nil
}

func (l *lines) say(texts ...string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, text := range texts {
		text = strings.TrimRight(text, " ")
		if l.options.ASCII {
			text = ascii.Replace(text)
		}
		_, _ = fmt.Fprintln(l.out, text)
	}
}

// tell breaks a text into lines.
func (l *lines) tell(format string, args ...any) {
	for _, line := range l.text(l.width, clean(l.words(format, args...))) {
		l.wrapped(line)
	}
}

func (l *lines) document(d report.Document) {
	for _, line := range (report.Style{Width: l.width, ASCII: l.options.ASCII,
		Language: l.options.Language}).View(d.View()) {
		l.wrapped(line)
	}
}

// wrapped prints a line of a block. Blocks are made for 80 columns and more.
func (l *lines) wrapped(line string) {
	if l.width < minWidth {
		line = ansi.Wordwrap(line, l.width, "")
	}
	l.say(strings.Split(line, "\n")...)
}

// ask prints a prompt and reads a line; hidden does not show what is typed.
func (l *lines) ask(prompt string, hidden bool) (string, error) {
	if l.ctx.Err() != nil { // a terminal whose echo is turned off now stays so
		return "", l.ctx.Err()
	}
	show := func(prompt string) {
		l.mu.Lock()
		defer l.mu.Unlock()
		_, _ = io.WriteString(l.out, prompt+" ")
	}
	if hidden && l.coming != nil { // a line is being typed that is shown
		show(l.words("Press Enter first; what you type then is not shown."))
		select {
		case got := <-l.coming:
			l.coming = nil
			switch {
			case errors.Is(got.err, io.EOF):
				return "", errEnd
			case got.err != nil:
				return "", got.err
			}
			l.early = append(l.early, strings.TrimSpace(clean(got.text)))
		case <-l.ctx.Done():
			return "", l.ctx.Err()
		}
	}
	show(prompt)
	if !hidden && len(l.early) > 0 {
		text := l.early[0]
		l.early = l.early[1:]
		l.say("")
		return text, nil
	}
	restore := func() {}
	if f, ok := l.options.In.(*os.File); ok && hidden {
		if state, err := term.GetState(int(f.Fd())); err == nil {
			restore = func() { _ = term.Restore(int(f.Fd()), state) } // the echo is off meanwhile
		}
	}
	select {
	case got := <-l.listen(hidden):
		l.coming = nil
		if errors.Is(got.err, io.EOF) {
			if got.text == "" {
				return "", errEnd
			}
			got.err = nil
		}
		return strings.TrimSpace(clean(got.text)), got.err
	case <-l.ctx.Done():
		restore()
		l.say("")
		return "", l.ctx.Err()
	}
}

// listen reads a line beside all else. The line comes once; coming is then to be set to nil.
func (l *lines) listen(hidden bool) <-chan typedLine {
	if l.coming != nil {
		return l.coming
	}
	coming := make(chan typedLine, 1)
	l.coming = coming
	go func() {
		var got typedLine
		defer func() { coming <- got }()
		defer broken.Into(&got.err, "read a line")
		got.text, got.err = l.read(hidden)
	}()
	return coming
}

// read reads one line, a byte at a time: what follows it belongs to the next reader.
func (l *lines) read(hidden bool) (string, error) {
	if f, ok := l.options.In.(*os.File); ok && hidden && term.IsTerminal(int(f.Fd())) {
		defer l.say("")
		typed, err := term.ReadPassword(int(f.Fd()))
		return string(typed), err
	}
	var text []byte
	b := make([]byte, 1)
	for len(text) < maxInput {
		n, err := l.options.In.Read(b)
		if n > 0 && b[0] == '\n' {
			break
		}
		if n > 0 {
			text = append(text, b[0])
		}
		if err != nil {
			return string(text), err
		}
	}
	return strings.TrimSuffix(string(text), "\r"), nil
}

// agree asks a question whose answer is yes when Enter is pressed and yes is the default.
func (l *lines) agree(question string, yes bool) (bool, error) {
	choices := l.words("[y/N]")
	if yes {
		choices = l.words("[Y/n]")
	}
	// Letters of the language come beside those of English.
	agrees := append([]string{"y", "yes"}, answers.Split(l.words("y, yes"))...)
	refuses := append([]string{"n", "no"}, answers.Split(l.words("n, no"))...)
	for {
		text, err := l.ask(question+" "+choices, false)
		if err != nil {
			return false, err
		}
		switch text = strings.ToLower(text); {
		case text == "":
			return yes, nil
		case slices.Contains(agrees, text):
			return true, nil
		case slices.Contains(refuses, text):
			return false, nil
		}
	}
}

// choose asks for one of several, by number; preset is what Enter takes.
func (l *lines) choose(options []string, preset int) (int, error) {
	l.offer(options)
	return l.chosen(options, preset)
}

func (l *lines) offer(options []string) {
	for i, o := range options {
		l.tell("%3d  %s", i+1, l.term(o))
	}
}

// chosen asks for one of several that the person knows; ? reads them.
func (l *lines) chosen(options []string, preset int) (int, error) {
	for {
		text, err := l.ask(l.words("Number [%d]:", preset+1), false)
		if err != nil {
			return 0, err
		}
		if text == "" {
			return preset, nil
		}
		if n, err := strconv.Atoi(text); err == nil && n >= 1 && n <= len(options) {
			return n - 1, nil
		}
		if text == "?" {
			l.offer(options)
			continue
		}
		l.tell("Type a number from 1 to %d.", len(options))
	}
}

// walk goes from the answers to the stages that the person chooses.
func (l *lines) walk() error {
	l.tell("hybridge, in plain lines. Ctrl-C leaves; the answers are saved.")
	loaded := l.file.load(l.ctx)
	switch {
	case loaded.err == nil:
		l.model.document, l.answers = loaded.document, loaded.answers
	case errors.Is(loaded.err, fs.ErrNotExist):
		l.tell("There is no %s yet. Which organization comes closest to yours?", l.file.name())
		if err := l.scenario(); err != nil {
			return err
		}
	default:
		l.tell("%s", firstLine(loaded.err.Error()))
		l.tell("That file is left alone. New answers go to %s.", l.file.name())
		if err := l.scenario(); err != nil {
			return err
		}
	}
	if loaded.err != nil || loaded.invalid != nil && l.model.document.Len("forests") == 0 {
		if err := l.discover(); err != nil {
			return err
		}
	}
	if err := l.complete(); err != nil {
		return err
	}
	return l.menu()
}

func (l *lines) scenario() error {
	var titles []string
	for _, s := range answers.Scenarios() {
		titles = append(titles, s.Title)
	}
	n, err := l.choose(titles, 0)
	if err != nil {
		return err
	}
	l.model.document, err = answers.New(l.file.name(), answers.Scenarios()[n].ID)
	l.edits++
	return err
}

// discover asks for the forests and takes the proposals that the person does not refuse.
func (l *lines) discover() error {
	s := &discoverScreen{without: map[string]bool{}}
	for forest := 0; ; forest++ {
		s.ask(l.model, forest)
		l.tell("Forest %d. Its root domain, such as contoso.com. Enter takes what is in brackets; - asks all "+
			"questions "+
			"instead of looking for the answers.", forest+1)
		for i, label := range []string{"Domain", "Account (empty: you, with Kerberos)"} {
			text, err := l.ask(l.words("%s [%s]:", l.term(label), clean(s.fields[i].String())), false)
			switch {
			case err != nil:
				return err
			case text == "-" && i == 0:
				return nil
			case text != "":
				s.fields[i] = newInput(text)
			}
		}
		if !s.said(l.model) {
			l.tell("%s", l.note)
			forest--
			continue
		}
		v, err := l.stage(s)
		found := result[deployment.Found](v)
		if err != nil || found == nil {
			if err := l.failed(err); err != nil {
				return err
			}
			again, asked := l.agree(l.words("Look again?"), true)
			if asked != nil || !again {
				return asked
			}
			forest--
			continue
		}
		s.found = found
		another, err := l.agree(l.words("Is there another forest?"), s.next(l.model) > 0 || len(found.Forests) > 0)
		if err != nil {
			return err
		}
		if !another {
			return l.take(s)
		}
	}
}

// take shows the proposals, and puts them into the answers.
func (l *lines) take(s *discoverScreen) error {
	for i, p := range s.found.Proposals {
		l.tell("%d. %s", i+1, proposed(l.model, p))
		l.tell("   found in: %s", p.From)
	}
	for _, g := range s.found.Gaps {
		l.tell("not found: %s: %s", g.What, g.Why)
	}
	out, err := l.numbers(l.words("Leave out, by number (Enter: none):"), len(s.found.Proposals))
	if err != nil {
		return err
	}
	for _, n := range out {
		s.without[proposalID(s.found.Proposals[n])] = true
	}
	taken := s.accept(l.model)
	l.tell("%s", l.count(len(taken), "%d answer taken.", "%d answers taken."))
	return nil
}

// numbers asks for some of n things.
func (l *lines) numbers(prompt string, n int) ([]int, error) {
	for {
		text, err := l.ask(prompt, false)
		if err != nil {
			return nil, err
		}
		var list []int
		good := true
		for _, word := range answers.Split(text) {
			k, err := strconv.Atoi(word)
			good = good && err == nil && k >= 1 && k <= n
			list = append(list, k-1)
		}
		if good {
			return list, nil
		}
		l.tell("Type numbers from 1 to %d, with blanks between them.", n)
	}
}

// complete asks the questions whose answers are missing or wrong, until the answers are valid.
func (l *lines) complete() error {
	for {
		err := l.valid()
		if err == nil {
			return nil
		}
		var faults answers.Faults
		if !errors.As(err, &faults) {
			return err
		}
		l.tell("%s", l.count(len(faults), "%d answer missing or wrong.", "%d answers missing or wrong."))
		f := &formScreen{faults: faults}
		asked := false
		for _, p := range l.model.document.Pages() {
			here := false
			for _, q := range l.model.document.Questions(p) {
				key := l.model.document.Key(q, p.Forest)
				if text := f.fault(key); text != "" {
					here = true
					if err := l.question(q, p, text); err != nil {
						return err
					}
				}
			}
			if here {
				asked = true
				if err := l.left(p, true); err != nil {
					return err
				}
			}
		}
		if !asked { // no question asks for it
			for _, fault := range faults {
				l.tell("%s", fault.String())
			}
			return fmt.Errorf("%s: edit the file, then start again: %s", l.file.name(), firstLine(err.Error()))
		}
	}
}

// question asks one question of a page.
func (l *lines) question(q answers.Question, p answers.Page, fault string) error {
	d := l.model.document
	key := d.Key(q, p.Forest)
	label := l.term(q.Label)
	if p.PerForest {
		name := d.Text(fmt.Sprintf("forests[%d].name", p.Forest))
		if name == "" {
			name = l.words("forest %d", p.Forest+1)
		}
		label = name + ": " + label
	}
	l.say("")
	l.tell("%s", label)
	if fault != "" && !strings.HasPrefix(fault, "still to be filled in") {
		l.tell("! %s", fault)
	}
	l.tell("%s", l.asked(q))
	values, _ := d.Get(key)
	now := strings.Join(values, ", ")
	if len(q.Choices) > 0 {
		l.tell("One of: %s", strings.Join(q.Choices, ", "))
	}
	switch {
	case now == "" && q.Default != "":
		l.tell("Empty: %s.", l.term(q.Default))
	case now == "" && q.Example != "":
		l.tell("For example: %s", q.Example)
	}
	if !q.Required {
		l.tell("May stay empty. - removes an answer.")
	}
	for {
		text, err := l.ask(l.words("%s [%s]:", l.term(q.Label), clean(now)), false)
		if err != nil {
			return err
		}
		next := values
		switch {
		case text == "-" && !q.Required:
			next = nil
		case text != "" && (q.Kind == answers.ListAnswer || q.Kind == answers.ManyAnswer):
			next = answers.Split(text)
		case text != "":
			next = []string{text}
		}
		if err := q.Validate(next); err != nil {
			l.tell("! %s", err.Error())
			continue
		}
		if !slices.Equal(next, values) {
			d.Answer(q, p.Forest, key, next)
			l.edits++
		}
		return nil
	}
}

// title names a page, with its forest.
func (l *lines) title(p answers.Page) string {
	if p.PerForest {
		return l.words("forest %d: %s", p.Forest+1, l.term(p.Title))
	}
	return l.term(p.Title)
}

// edit asks the questions of one page.
func (l *lines) edit() error {
	var titles []string
	pages := l.model.document.Pages()
	for _, p := range pages {
		titles = append(titles, l.title(p))
	}
	titles = append(titles, "add a forest", "remove a forest")
	n, err := l.choose(titles, 0)
	switch {
	case err != nil:
		return err
	case n < len(pages):
		err = l.page(pages[n])
	case n == len(pages):
		l.addForest()
	default:
		err = l.removeForest()
	}
	if err != nil {
		return err
	}
	return l.complete()
}

// removeForest removes a forest with all its answers, once the person says so.
func (l *lines) removeForest() error {
	if l.model.document.Len("forests") < 2 {
		l.tell("One forest is needed.")
		return nil
	}
	var names []string
	for i := range l.model.document.Len("forests") {
		names = append(names, l.words("forest %d", i+1)+" "+
			clean(l.model.document.Text(fmt.Sprintf("forests[%d].name", i))))
	}
	n, err := l.choose(append(names, "back"), len(names))
	if err != nil || n == len(names) {
		return err
	}
	yes, err := l.agree(l.words("Remove %s with all its answers?", names[n]), false)
	if err != nil || !yes {
		return err
	}
	l.model.document.RemoveForest(n)
	l.edits++
	l.tell("Forest %d is removed from the answers.", n+1)
	return nil
}

// page asks the questions of a page, and offers to test its access.
func (l *lines) page(p answers.Page) error {
	before := l.edits
	for i := 0; ; i++ {
		questions := l.model.document.Questions(p) // an answer may ask for others
		if i >= len(questions) {
			return l.left(p, l.edits > before)
		}
		if err := l.question(questions[i], p, ""); err != nil {
			return err
		}
	}
}

// entry is a line of the menu. What it does returns the entry that Enter takes next.
type entry struct {
	title string
	do    func() (next string, err error)
}

// The entries of the menu that lead from one to the next.
const (
	toCheck   = "check the prerequisites"
	toPlan    = "plan"
	toApply   = "apply the plan"
	toTest    = "free/busy"
	toResults = "look at the results"
	toLeave   = "leave"
)

// menu offers the stages, the next one preset. An entry keeps its number.
func (l *lines) menu() error {
	l.remember()
	for _, line := range l.past.notice(l.model, l.width) {
		l.wrapped(line)
	}
	l.say("", l.words("These are the answers:"))
	if read := l.options.Certificates; read != nil {
		l.dated = read(l.ctx, l.answers)
	}
	for _, row := range slices.Concat(l.standing(), l.reviewed(), l.ends(), l.attention()) {
		l.tell("%s: %s", row[0], row[1])
	}
	entries := []entry{{toCheck, l.check}, {toPlan, l.plan}, {toApply, l.apply}, {toTest, l.test},
		{toResults, l.results}, {"save the plan, or write it as scripts", l.keep},
		{"change an answer", func() (string, error) { return toCheck, l.edit() }},
		{"test an access", l.access},
		{"look for answers", func() (string, error) {
			if err := l.discover(); err != nil {
				return "", err
			}
			return toCheck, l.complete()
		}},
		{"earlier runs", l.history}, {title: toLeave}}
	var titles []string
	for _, e := range entries {
		titles = append(titles, e.title)
	}
	l.say("", l.words("What next?"))
	l.offer(titles)
	for next := toCheck; ; {
		n, err := l.chosen(titles, max(0, slices.Index(titles, next)))
		if err != nil {
			return err
		}
		if entries[n].do == nil {
			return nil
		}
		if next, err = entries[n].do(); err != nil {
			return err
		}
		l.say("")
		l.tell("What next? Enter: %s. ? reads all choices.", l.term(next)) // not all of them each time
	}
}

func (l *lines) test() (next string, err error) {
	v, err := l.stage(find[*testScreen](l.model))
	r := result[deployment.TestReport](v)
	if err != nil || r == nil {
		return toTest, l.failed(err)
	}
	l.outcome.Test = r
	l.document(*r)
	if r.Summary.Failed+r.Summary.Unknown > 0 {
		return toTest, nil
	}
	return toLeave, nil
}

// failed shows an error of a stage. It is no end of the wizard, but that of its context is.
func (l *lines) failed(err error) error {
	if l.ctx.Err() != nil {
		return l.ctx.Err()
	}
	if err != nil {
		l.say(l.problemLines(staged{err: err}, l.width)...)
	}
	return nil
}

// stage runs what a screen runs, and prints what happens.
func (l *lines) stage(s screen) (any, error) {
	return l.under(l.words("%s: %s", l.term(s.about().step), l.term(s.about().does)), s)
}

// under is stage beneath another heading.
func (l *lines) under(heading string, s screen) (any, error) {
	l.model.screen = s
	calls := &deployment.Calls{}
	ctx, cancel := context.WithCancel(deployment.WithCalls(l.ctx, calls))
	defer cancel()
	began := time.Now()
	l.tell("%s", heading)
	go func() {
		var err error
		defer broken.Into(&err, "the clock of a stage")
		l.watch(ctx, calls, began)
	}()
	cmd := l.begin() // reads the answers before they are saved
	if cmd == nil {
		return nil, errors.New("nothing to run")
	}
	number := l.run.number
	context.AfterFunc(ctx, l.run.cancel)
	run := l.run
	progress := report.NewProgress(lockedWriter{l}, report.Style{ASCII: l.options.ASCII, Language: l.options.Language})
	perform(cmd)
	apply, _ := s.(*applyScreen)
	for {
		var typed <-chan typedLine
		if apply != nil {
			typed = l.listen(false)
		}
		select {
		case <-ctx.Done():
			return l.ending(number)
		case got := <-typed:
			if l.coming = nil; got.err != nil { // the next question says so
				ended := make(chan typedLine, 1)
				ended <- got
				l.coming = ended
				if paused, _ := apply.gate.state(); paused { // it could not be told to go on
					l.steer(apply, "s")
				}
				apply = nil
				continue
			}
			l.steer(apply, strings.TrimSpace(clean(got.text)))
		case <-l.queue.wake:
		}
		for _, msg := range l.queue.take() {
			switch msg := msg.(type) {
			case happened:
				if msg.run == number {
					progress.Observe(msg.event)
				}
			case said:
				l.tell("! %s", string(msg))
			case signsIn:
				l.tell("! %s", msg.Message)
				l.tell("The code is valid until %s. Ctrl-C stops.", msg.Until.Local().Format("15:04"))
			case asked:
				before := len(l.early)
				typed, err := l.ask(l.words("The %s:", clean(msg.label)), true)
				for _, text := range l.early[before:] { // the line that was pending; it may be any text
					if apply != nil && (strings.EqualFold(text, "p") || strings.EqualFold(text, "s")) {
						l.steer(apply, text)
					}
				}
				l.early = l.early[:before]
				if err == nil && typed == "" {
					err = errNotGiven
				}
				msg.reply <- reply{secret.NewValue(typed), err}
			case finished:
				progress.Settle()
				run.cancel()
				l.run, l.engine, l.opened = nil, msg.engine, msg.opened
				if err := l.decide(msg.saved); err != nil {
					return nil, err
				}
				if msg.saved.stops() || msg.saved.invalid != nil { // it was not begun
					return l.under(heading, s)
				}
				return msg.result, msg.err
			}
		}
	}
}

// ending waits for the end of a run that was cut off, as long as a server may take for a call. A
// run that does not end stays: close waits for it.
func (l *lines) ending(number int) (any, error) {
	if l.run.silent(l.model, l.options.now()) != "" {
		l.parting = time.Second // what does not answer a call does not end a session either
	}
	l.say("")
	l.tell("Ending the current call, then leaving.")
	for limit := time.After(l.parting); ; {
		select {
		case <-limit:
			return nil, l.ctx.Err()
		case <-l.queue.wake:
		}
		for _, msg := range l.queue.take() {
			if done, ok := msg.(finished); ok && done.run == number {
				l.run, l.engine, l.opened = nil, done.engine, done.opened
				return done.result, l.ctx.Err()
			}
		}
	}
}

// decide takes in what another program changed in the answers file.
func (l *lines) decide(s saved) error {
	for s.conflict != nil {
		l.tell("%s was changed by another program, in answers that you changed too: %s.", l.file.name(),
			strings.Join(s.conflict.keys, ", "))
		mine, err := l.agree(l.words("Keep what you answered here?"), true)
		if err != nil {
			return err
		}
		l.side = answers.Theirs
		if mine {
			l.side = answers.Ours
		}
		s = l.saving()()
	}
	if s.document != nil {
		l.model.document, _ = answers.Merge(s.own, l.model.document, s.document, answers.Ours)
		l.tell("%s was changed by another program; the changes are taken in.", l.file.name())
	}
	if s.err != nil {
		l.tell("%s", s.err.Error())
	}
	if s.document == nil {
		return nil
	}
	// What runs next runs with these answers.
	if err := l.valid(); err != nil && !l.model.screen.about().draft {
		return l.complete()
	}
	return nil
}

// watch names the call that has no answer: after a second, then at growing intervals.
func (l *lines) watch(ctx context.Context, calls *deployment.Calls, began time.Time) {
	for pause := time.Second; ; pause = min(2*pause, time.Minute) {
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return
		}
		r := running{calls: calls}
		if silent := r.silent(l.model, time.Now()); silent != "" {
			l.tell("running %s: %s", elapsed(time.Since(began)), silent)
		}
	}
}

// lockedWriter writes whole lines between those of others.
type lockedWriter struct{ l *lines }

func (w lockedWriter) Write(p []byte) (int, error) {
	for _, line := range strings.Split(strings.TrimSuffix(string(p), "\n"), "\n") {
		w.l.wrapped(line)
	}
	return len(p), nil
}

// perform starts the commands of a batch. Their messages come by the queue.
func perform(cmd tea.Cmd) {
	if cmd == nil {
		return
	}
	go func() {
		var err error
		defer broken.Into(&err, "a command of the wizard")
		if batch, ok := cmd().(tea.BatchMsg); ok {
			for _, each := range batch {
				perform(each)
			}
		}
	}()
}
