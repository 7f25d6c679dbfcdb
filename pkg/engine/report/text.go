// Package report shows what the engine found and did: as text for people, as JSON, JSON lines and JUnit for machines. Whatever comes from
// servers is sanitized on the way to a terminal.
package report

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/mattn/go-runewidth"

	"github.com/hybridge-cli/hybridge/pkg/engine/apply"
	"github.com/hybridge-cli/hybridge/pkg/engine/change"
	"github.com/hybridge-cli/hybridge/pkg/engine/check"
	"github.com/hybridge-cli/hybridge/pkg/engine/observe"
)

// Style is how text looks.
type Style struct {
	Color bool
	ASCII bool // where the terminal or the locale is not UTF-8
	Width int  // columns of the terminal; 0 elsewhere: paragraphs are 100 wide then, and nothing is cut off
}

// Lookup is one cell of a free/busy matrix, as the product's free/busy package answers it.
type Lookup struct {
	From, To  string
	Direction string // "contoso -> online"
	Probe     string // how it was asked
	Route     []string
	Status    string // "ok", "failed", "unknown"
	LatencyMS int64
	Error     string
	Gist      string // Error in a few lines, for people; Error itself when empty
	Causes    []Cause
}

// Cause is a suspected cause of a failure.
type Cause struct {
	ID         string
	Confidence float64 // 0 to 1
}

// Text writes reports for people. The first error of the writer is kept.
type Text struct {
	w     io.Writer
	style Style
	cut   bool // what does not fit its line ends in ".."
	err   error
}

// NewText makes a Text on w.
func NewText(w io.Writer, s Style) *Text {
	cut := s.Width > 0 // in a pipe or a file, people search
	s.Width = max(cmp.Or(s.Width, 100), 40)
	return &Text{w: w, style: s, cut: cut}
}

// Err is the first error of the writer.
func (t *Text) Err() error { return t.err }

func (t *Text) printf(format string, args ...any) {
	if t.err == nil {
		_, t.err = fmt.Fprintf(t.w, format, args...)
	}
}

// Colors of a terminal, by their SGR codes.
const (
	plain  = ""
	bold   = "1"
	dim    = "2"
	red    = "31"
	green  = "32"
	yellow = "33"
	cyan   = "36"
)

func (t *Text) paint(color, text string) string {
	if !t.style.Color || color == plain || text == "" {
		return text
	}
	return "\x1b[" + color + "m" + text + "\x1b[0m"
}

func (t *Text) arrow() string {
	if t.style.ASCII {
		return "->"
	}
	return "→"
}

// wrap breaks text into lines of at most width columns, at spaces where there are any. Line breaks of the text stay.
func wrap(text string, width int) []string { return breakLines(text, width, true) }

// breakLines is wrap; with breakWords unset a word that is wider than a line stays whole, to be copied.
func breakLines(text string, width int, breakWords bool) []string {
	width = max(width, 20)
	var lines []string
	for paragraph := range strings.SplitSeq(strings.TrimRight(text, "\n"), "\n") {
		current, columns := "", 0
		for _, word := range strings.Fields(paragraph) {
			w := runewidth.StringWidth(word)
			if columns > 0 && columns+1+w > width {
				lines = append(lines, current)
				current, columns = "", 0
			}
			if w > width && breakWords {
				pieces := pieces(word, width)
				lines = append(lines, pieces[:len(pieces)-1]...)
				word = pieces[len(pieces)-1]
				w = runewidth.StringWidth(word)
			}
			if columns > 0 {
				current += " "
				columns++
			}
			current += word
			columns += w
		}
		lines = append(lines, current)
	}
	return lines
}

// pieces cuts a word into parts of at most width columns, in one pass: a server's word may be as long as its answer.
func pieces(word string, width int) []string {
	var parts []string
	start, columns := 0, 0
	for at, r := range word {
		w := runewidth.RuneWidth(r)
		if columns+w > width {
			parts = append(parts, word[start:at])
			start, columns = at, 0
		}
		columns += w
	}
	return append(parts, word[start:])
}

// visible is the number of columns of text that paint may have colored.
func visible(s string) int {
	n := 0
	for i, part := range strings.Split(s, "\x1b[") {
		if i > 0 {
			_, part, _ = strings.Cut(part, "m")
		}
		n += runewidth.StringWidth(part)
	}
	return n
}

// block writes text, sanitized and wrapped, behind an indent; what follows the first line is indented as far as the label takes.
func (t *Text) block(indent int, label, color, text string) {
	margin := strings.Repeat(" ", indent)
	hang := ""
	if label != "" {
		hang = strings.Repeat(" ", min(visible(label)+2, t.style.Width/2))
		if label += "  "; !strings.Contains(label, "\x1b") {
			label = t.paint(dim, label)
		}
	}
	// Nobody reads further, and a server can say any amount.
	const limit = 8 << 10
	if len(text) > limit {
		text = strings.ToValidUTF8(text[:limit], "") + fmt.Sprintf(" ... (%d bytes more)", len(text)-limit)
	}
	for i, line := range wrap(Sanitize(text), t.style.Width-indent-len(hang)) {
		lead := hang
		if i == 0 && label != "" {
			lead = label
		}
		t.printf("%s\n", strings.TrimRight(margin+lead+t.paint(color, line), " "))
	}
}

var checkWords = map[check.Status]struct{ word, color string }{
	check.StatusPass: {"PASS", green}, check.StatusWarn: {"WARN", yellow}, check.StatusFail: {"FAIL", red},
	check.StatusSkip: {"SKIP", dim}, check.StatusError: {"ERR ", red},
}

// Checks writes a check report: every check on a line, with what it found where it did not pass, and a summary.
func (t *Text) Checks(r check.Report) {
	for _, result := range r.Results {
		t.Check(result)
	}
	if len(r.Results) > 0 {
		t.printf("\n")
	}
	s := r.Summary
	parts := []string{fmt.Sprintf("%d passed", s.Pass)}
	for _, p := range []struct {
		n           int
		text, color string
	}{
		{s.Warn, "with a warning", yellow}, {s.Fail, "failed", red}, {s.Skip, "skipped", plain}, {s.Error, "could not be looked at", red},
	} {
		if p.n > 0 {
			parts = append(parts, t.paint(p.color, fmt.Sprintf("%d %s", p.n, p.text)))
		}
	}
	t.printf("Checks: %s.\n", strings.Join(parts, ", "))
}

// Check writes one check result.
func (t *Text) Check(r check.Result) {
	look := checkWords[r.Status]
	head := fmt.Sprintf("  %s  %s  %s", t.paint(look.color, look.word), t.paint(bold, line(string(r.ID))), line(r.Scope))
	if r.Status == check.StatusPass {
		// What was seen, as far as the line goes.
		switch room := t.style.Width - visible(head) - 2; {
		case r.Summary.IsZero():
		case !t.cut:
			head += "  " + t.paint(dim, line(r.Summary.String()))
		case room >= 20:
			head += "  " + t.paint(dim, runewidth.Truncate(line(r.Summary.String()), room, ".."))
		}
		t.printf("%s\n", head)
		return
	}
	t.printf("%s\n", head)
	const indent = 8
	t.block(indent, "", plain, r.Summary.String())
	if !r.Detail.IsZero() {
		t.block(indent, "", plain, r.Detail.String())
	}
	if !r.Remedy.Text.IsZero() {
		t.block(indent, "fix", plain, r.Remedy.Text.String())
	}
	for i, command := range r.Remedy.Commands {
		label := "   "
		if i == 0 && r.Remedy.Text.IsZero() {
			label = "fix"
		}
		// A command is never wrapped: it is there to be copied.
		t.printf("        %s  %s\n", t.paint(dim, label), t.paint(cyan, line(command)))
	}
	if r.Remedy.Docs != "" {
		t.printf("        %s  %s\n", t.paint(dim, "see"), line(r.Remedy.Docs))
	}
}

var actions = map[change.Action]struct{ symbol, word, color string }{
	change.Create:   {"+", "create", green},
	change.Update:   {"~", "change", yellow},
	change.Recreate: {"-/+", "replace: remove, then make anew", red},
	change.Delete:   {"-", "remove", red},
}

// Plan writes a plan as a diff, with a legend of the symbols that occur and a summary.
func (t *Text) Plan(p change.Plan) {
	if len(p.Changes) == 0 {
		t.printf("Nothing to change: all %d resources are in order.\n", p.Summary.Unchanged)
		return
	}
	t.printf("Changes, in this order:")
	for _, a := range []change.Action{change.Create, change.Update, change.Recreate, change.Delete} {
		if slices.ContainsFunc(p.Changes, func(c change.Change) bool { return c.Action == a }) {
			t.printf("  %s %s", t.paint(actions[a].color, actions[a].symbol), actions[a].word)
		}
	}
	t.printf("\n")
	for _, c := range p.Changes {
		t.printf("\n")
		t.Change(c)
	}
	s := p.Summary
	t.printf("\nPlan: %d to create, %d to change, %d to replace, %d to remove; %d in order already.\n", s.Create, s.Update, s.Replace, s.Delete, s.Unchanged)
}

// Change writes one change.
func (t *Text) Change(c change.Change) {
	look := actions[c.Action]
	t.printf("  %s %s", t.paint(look.color, look.symbol), t.paint(bold, line(c.ID)))
	if c.Name != "" && !strings.HasSuffix(c.ID, "/"+c.Name) {
		t.printf("  \"%s\"", line(c.Name))
	}
	t.printf("\n")
	const indent = 6
	if !c.Reason.IsZero() {
		t.block(indent, "why ", plain, c.Reason.String())
	}
	if c.Risk != "" {
		t.block(indent, "risk", plain, c.Risk)
	}
	names := map[string]bool{}
	for name := range c.Before {
		names[name] = true
	}
	for name := range c.After {
		names[name] = true
	}
	for _, name := range slices.Sorted(maps.Keys(names)) {
		before, had := c.Before[name]
		after, has := c.After[name]
		switch {
		case c.Action == change.Delete:
			t.property(indent, t.paint(red, "-")+" "+line(name), Value(before))
		case c.Action == change.Create || !had:
			t.property(indent, t.paint(green, "+")+" "+line(name), Value(after))
		case !has:
			t.property(indent, t.paint(red, "-")+" "+line(name), Value(before))
		case change.Equal(before, after):
		default:
			t.difference(indent, line(name), before, after)
		}
	}
}

// property writes a name and its value: beside it, or below it when that takes more than a line. What is there to be copied (a URL, an id) is
// not broken.
func (t *Text) property(indent int, label, value string) {
	value = strings.ReplaceAll(Sanitize(value), "\n", " ")
	if indent+visible(label)+2+runewidth.StringWidth(value) <= t.style.Width {
		t.printf("%s%s  %s\n", strings.Repeat(" ", indent), label, value)
		return
	}
	t.printf("%s%s\n", strings.Repeat(" ", indent), label)
	for _, line := range breakLines(value, t.style.Width-indent-4, false) {
		t.printf("%s%s\n", strings.Repeat(" ", indent+4), line)
	}
}

// difference shows one property before and after; of lists, what comes and what goes.
func (t *Text) difference(indent int, name string, before, after any) {
	label := t.paint(yellow, "~") + " " + name
	_, wasText := before.(string)
	_, isText := after.(string)
	was, is := change.Elements(before), change.Elements(after)
	if wasText || isText || len(was) < 2 && len(is) < 2 {
		t.property(indent, label, Value(before)+" "+t.arrow()+" "+Value(after))
		return
	}
	var p change.Property
	t.printf("%s%s\n", strings.Repeat(" ", indent), label)
	kept := 0
	gone := p.Added(was, is)
	for _, element := range gone {
		t.block(indent+4, t.paint(red, "-"), plain, Value(element))
	}
	for _, element := range p.Added(is, was) {
		t.block(indent+4, t.paint(green, "+"), plain, Value(element))
	}
	if kept = len(was) - len(gone); kept > 0 {
		t.printf("%s%s\n", strings.Repeat(" ", indent+4), t.paint(dim, fmt.Sprintf("  %d kept", kept)))
	}
}

var outcomeWords = map[apply.Status]struct{ word, color string }{
	apply.Done: {"DONE", green}, apply.Failed: {"FAIL", red}, apply.Skipped: {"SKIP", dim}, apply.Pending: {"PEND", yellow},
}

// Apply writes what became of each change of a run, and how to go on.
func (t *Text) Apply(r apply.Report) {
	if len(r.Changes) == 0 {
		t.printf("Nothing to do.\n")
		return
	}
	for _, o := range r.Changes {
		look := outcomeWords[o.Status]
		t.printf("  %s  %s %s", t.paint(look.color, look.word), line(string(o.Action)), t.paint(bold, line(o.ID)))
		if o.DurationMS > 0 {
			t.printf("  %s", t.paint(dim, duration(o.DurationMS)))
		}
		t.printf("\n")
		if text := cmp.Or(o.Error, o.Note); text != "" {
			t.block(8, "", plain, text)
		}
	}
	s := r.Summary
	t.printf("\nRun %s: %d done, %d failed, %d skipped, %d pending.\n", r.RunID, s.Done, s.Failed, s.Skipped, s.Pending)
	t.printf("%s  %s\n", t.paint(dim, "journal"), r.Journal)
}

func duration(ms int64) string {
	d := time.Duration(ms) * time.Millisecond
	switch {
	case d < time.Second:
		return fmt.Sprintf("%d ms", ms)
	case d < time.Minute:
		return fmt.Sprintf("%.1f s", d.Seconds())
	default:
		return d.Round(time.Second).String()
	}
}

var lookupWords = map[string]struct{ word, color string }{
	"ok": {"OK  ", green}, "failed": {"FAIL", red}, "unknown": {"ERR ", yellow},
}

// Matrix writes the free/busy matrix: by direction and question, a line for everyone who was asked, and what stands in the way where that failed.
func (t *Text) Matrix(lookups []Lookup) {
	counts := map[string]int{}
	wide := 0
	for _, l := range lookups {
		wide = max(wide, runewidth.StringWidth(line(l.Probe)))
	}
	first := true
	t.questions(lookups, func(lookups []Lookup) {
		if !first {
			t.printf("\n")
		}
		first = false
		t.question(lookups[0])
		for _, l := range lookups {
			counts[l.Status]++
			look, known := lookupWords[l.Status]
			if !known {
				look = lookupWords["unknown"]
			}
			t.printf("  %s  by %s  %s\n", t.paint(look.color, look.word), pad(line(l.Probe), wide), t.paint(dim, fmt.Sprintf("%7s", duration(l.LatencyMS))))
			if l.Status == "ok" {
				continue
			}
			if text := cmp.Or(l.Gist, l.Error); text != "" {
				t.block(8, "", plain, text)
			}
			if len(l.Route) > 0 {
				t.block(8, "way", plain, strings.Join(l.Route, ", "))
			}
			for _, c := range l.Causes {
				t.printf("        %s  %s (%.0f%%)\n", t.paint(dim, "why"), line(c.ID), 100*c.Confidence)
			}
		}
	})
	if len(lookups) > 0 {
		t.printf("\n")
	}
	unknown := len(lookups) - counts["ok"] - counts["failed"]
	t.printf("Free/busy: %d of %d lookups work", counts["ok"], len(lookups))
	if counts["failed"] > 0 {
		t.printf(", %s", t.paint(red, fmt.Sprintf("%d failed", counts["failed"])))
	}
	if unknown > 0 {
		t.printf(", %s", t.paint(yellow, fmt.Sprintf("%d could not be asked", unknown)))
	}
	t.printf(".\n")
}

// questions gives the lookups of each question (who, whom, which way), in the order in which they come.
func (t *Text) questions(lookups []Lookup, each func([]Lookup)) {
	type question struct{ direction, from, to string }
	of := map[question][]Lookup{}
	var order []question
	for _, l := range lookups {
		q := question{l.Direction, l.From, l.To}
		if of[q] == nil {
			order = append(order, q)
		}
		of[q] = append(of[q], l)
	}
	for _, q := range order {
		each(of[q])
	}
}

func (t *Text) question(l Lookup) {
	t.block(0, t.paint(bold, t.direction(l.Direction)), plain, l.From+" sees "+l.To)
}

func (t *Text) direction(d string) string { return strings.ReplaceAll(line(d), "->", t.arrow()) }

func pad(s string, width int) string {
	return s + strings.Repeat(" ", max(0, width-runewidth.StringWidth(s)))
}

// BeforeAfter writes two matrices of the same questions beside each other.
func (t *Text) BeforeAfter(before, after []Lookup) {
	type key struct{ direction, from, to, probe string }
	of := func(l Lookup) key { return key{l.Direction, l.From, l.To, l.Probe} }
	statuses := map[key][2]string{}
	var rows []Lookup
	for i, lookups := range [][]Lookup{before, after} {
		for _, l := range lookups {
			pair, seen := statuses[of(l)]
			if !seen {
				rows = append(rows, l)
			}
			pair[i] = l.Status
			statuses[of(l)] = pair
		}
	}
	cell := func(status string) string {
		look, known := lookupWords[status]
		if !known {
			return "-     "
		}
		return t.paint(look.color, look.word) + "  "
	}
	t.printf("  %s\n", t.paint(dim, "before  after"))
	t.questions(rows, func(lookups []Lookup) {
		t.question(lookups[0])
		for _, l := range lookups {
			pair := statuses[of(l)]
			t.printf("  %s  %s  by %s\n", cell(pair[0]), cell(pair[1]), line(l.Probe))
		}
	})
}

// History writes the runs of a state directory.
func (t *Text) History(runs []apply.Entry) {
	if len(runs) == 0 {
		t.printf("No run yet.\n")
		return
	}
	for _, r := range runs {
		what := r.Action
		if r.Of != "" {
			what += " of " + r.Of
		}
		t.printf("%s  %s  %s: %d done, %d failed, %d skipped, %d pending", r.RunID, what, r.Outcome, r.Summary.Done, r.Summary.Failed, r.Summary.Skipped, r.Summary.Pending)
		if r.UndoneBy != "" {
			t.printf(", rolled back by %s", r.UndoneBy)
		}
		t.printf("\n")
	}
}

// Progress writes what goes on, a line each: meant for standard error beside a report. It is an observe.Observer.
//
// Of reads that follow each other quickly only some are told, and one that takes longer is always told, so that a person sees what is being waited for.
// Every write is told.
type Progress struct {
	mu      sync.Mutex
	text    *Text
	stage   string
	last    time.Time
	pending *observe.Progress
	timer   *time.Timer
}

// pace is how long a read may take before it is worth a line.
const pace = time.Second

// writes are the stages that change something.
var writes = map[string]bool{"apply": true, "rollback": true}

// NewProgress makes a Progress on w.
func NewProgress(w io.Writer, s Style) *Progress { return &Progress{text: NewText(w, s)} }

// Observe writes a line for what a person who waits wants to know.
func (p *Progress) Observe(e observe.Event) {
	p.mu.Lock()
	defer p.mu.Unlock()
	t := p.text
	switch e := e.(type) {
	case observe.Progress:
		since := time.Since(p.last)
		if writes[e.Stage] || e.Stage != p.stage || since >= pace {
			p.tell(e)
			return
		}
		p.pending = &e
		if p.timer == nil {
			p.timer = time.AfterFunc(pace-since, p.late)
		}
	case observe.Waiting:
		t.printf("%s\n", t.paint(dim, fmt.Sprintf("waiting until %s: %s: %s", e.Until.Local().Format("15:04:05"), line(e.ID), line(e.What))))
	case observe.Warning:
		t.printf("%s %s\n", t.paint(yellow, "warning:"), line(e.Text))
	}
}

func (p *Progress) tell(e observe.Progress) {
	p.settle()
	p.stage, p.last = e.Stage, time.Now()
	count := ""
	if e.Total > 0 {
		count = fmt.Sprintf("[%d/%d] ", min(e.Done+1, e.Total), e.Total)
	}
	p.text.printf("%s\n", p.text.paint(dim, count+e.Stage+": "+line(e.Text)))
}

// late tells what is still the newest.
func (p *Progress) late() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.pending != nil {
		p.tell(*p.pending)
	}
}

// Settle forgets what was not told yet: the stage has ended, and its report comes.
func (p *Progress) Settle() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.settle()
	p.stage = ""
}

func (p *Progress) settle() {
	if p.timer != nil {
		p.timer.Stop()
	}
	p.timer, p.pending = nil, nil
}
