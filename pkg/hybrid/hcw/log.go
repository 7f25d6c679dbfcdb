// Package hcw reads what Microsoft's Hybrid Configuration Wizard leaves behind: its logs and its
// .xhcw files.
package hcw

import (
	"bufio"
	"errors"
	"io"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/hybridge-cli/hybridge/pkg/wire/link"
)

// Limits of what is kept of one file. A run of the wizard stays far below them.
const (
	maxEntry    = 256 << 10 // of a line with its continuation
	maxCommands = 20_000
	maxTables   = 5_000
	maxRows     = 50_000 // of all tables
	maxOpen     = 1_000  // cmdlets that have begun and not ended
	maxFailures = 200
	maxText     = 2000 // of a text that is shown
)

const clock = "2006-01-02 15:04:05"

func moment(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.Format(clock)
}

// ErrForeign says that a file is no log of the wizard.
var ErrForeign = errors.New("this is no log of Microsoft's wizard")

// Read reads a log or a .xhcw file. It streams: a file may be larger than memory. A file that was
// cut off gives what stands before the cut.
func Read(r io.Reader) (Run, error) {
	in := bufio.NewReaderSize(Decoded(r), 64<<10)
	start, _ := in.Peek(4096)
	if begin := strings.TrimLeft(string(start), " \t\r\n\ufeff"); strings.HasPrefix(begin, "<") {
		return readXML(in)
	}
	return readLog(in)
}

// call is a cmdlet that has begun.
type call struct {
	key     string
	command int // its place in the run; -1 for one that changes nothing
	tables  []int
}

// logReader collects a run.
type logReader struct {
	run     Run
	open    []call
	tables  []table
	settled []bool // of tables: its object is known, or nothing was written
	rows    int    // of all tables
	known   map[string]bool
}

func readLog(in *bufio.Reader) (Run, error) {
	x := &logReader{known: map[string]bool{}}
	l := &lines{in: in}
	var entry Line
	var body strings.Builder
	have, count := false, 0
	flush := func() {
		if have {
			x.add(entry, body.String(), count)
			count++
		}
	}
	for {
		s, err := l.next()
		if err != nil {
			flush()
			if !errors.Is(err, io.EOF) {
				return Run{}, err
			}
			break
		}
		if next, ok := ParseLine(strings.TrimPrefix(s, "\ufeff")); ok {
			flush()
			entry, have = next, true
			body.Reset()
			body.WriteString(next.Text)
			continue
		}
		if have && body.Len() < maxEntry {
			body.WriteString("\n" + s)
		}
	}
	x.run.Cut += l.cut
	if !have {
		return Run{}, ErrForeign
	}
	x.finish()
	return x.run, nil
}

var (
	code = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`\bHCW\s?(8\d{3})\b`) })
	// Version of the wizard or of the agent: 17.0.6981.0.
	version = sync.OnceValue(func() *regexp.Regexp {
		return regexp.MustCompile(`\b(\d{2}\.\d{1,2}\.\d{1,5}\.\d{1,5})\b`)
	})
)

// add takes one line with its continuation.
func (x *logReader) add(l Line, body string, count int) {
	r := &x.run
	if r.Started == "" {
		r.Started = moment(l.At)
	}
	if !l.At.IsZero() {
		r.Ended = moment(l.At)
	}
	names := strings.Contains(body, "ybrid") || strings.Contains(body, "HCW")
	if r.Version == "" && count < 200 && names && strings.Contains(body, "ersion") {
		r.Version = version().FindString(body)
	}
	x.workflow(l)
	x.failure(l, body)
	switch {
	case strings.HasPrefix(l.Text, "START "):
		x.begin(l, strings.TrimPrefix(body, "START "))
	case strings.HasPrefix(l.Text, "FINISH") && l.Keys["Cmdlet"] != "":
		x.end(l, body)
	}
	if strings.Contains(body, "Equals") && strings.Contains(body, "Actual") {
		found, unread := tables(body)
		for _, t := range found {
			if x.rows += len(t.rows); len(x.tables) >= maxTables || x.rows > maxRows {
				unread += len(t.rows)
				continue
			}
			x.tables, x.settled = append(x.tables, t), append(x.settled, false)
		}
		r.UnreadRows += unread
	}
}

// workflow follows whether the wizard configured, and how that ended.
func (x *logReader) workflow(l Line) {
	if l.Keys["Workflow"] == "" || l.Keys["Task"] != "" {
		return
	}
	switch {
	case strings.HasPrefix(l.Text, "START"):
		x.run.Outcome = Unfinished
	case strings.HasPrefix(l.Text, "FINISH") && strings.Contains(l.Text, "Results=PASSED"):
		x.run.Outcome = Succeeded
	case strings.HasPrefix(l.Text, "FINISH") && strings.Contains(l.Text, "Results=FAILED"):
		x.run.Outcome = Failed
	}
}

// failure keeps what the wizard takes for an error, and each HCW code.
func (x *logReader) failure(l Line, body string) {
	m := code().FindStringSubmatch(body)
	if l.Level != Error && (m == nil || l.Level == Information) {
		return
	}
	text, _, _ := strings.Cut(body, "\n")
	if text = clean(text); text == "" { // the text begins in the next line
		text = clean(body)
	}
	if x.known[text] || len(x.run.Failures) >= maxFailures {
		return
	}
	x.known[text] = true
	f := Failure{At: moment(l.At), Warning: l.Level != Error, Text: text}
	if m != nil {
		f.Code = "HCW" + m[1]
	}
	x.run.Failures = append(x.run.Failures, f)
}

// key is by what the end of a cmdlet finds its beginning.
func (l Line) key() string {
	return l.Keys["Session"] + "\x00" + l.Keys["Cmdlet"] + "\x00" + l.Keys["Thread"]
}

func (x *logReader) begin(l Line, text string) {
	c, ok := ParseCommand(text)
	if !ok || l.Keys["Cmdlet"] == "" {
		return
	}
	open := call{key: l.key(), command: -1}
	if !c.Writes() {
		x.run.Reads++
	} else if len(x.run.Commands) < maxCommands {
		x.run.Commands = append(x.run.Commands, Executed{
			At: moment(l.At), Side: side(l.Keys["Session"]), Command: clean(text), command: c,
		})
		open.command = len(x.run.Commands) - 1
		open.tables = x.compared(c)
	} else {
		x.run.Cut++
	}
	if len(x.open) == maxOpen { // no log has that many at a time; every end looks through them
		x.open = x.open[1:]
	}
	x.open = append(x.open, open)
}

// compared are the tables that a command acts on: those of its object that no earlier one took.
func (x *logReader) compared(c Command) (out []int) {
	for i, t := range x.tables {
		if x.settled[i] || c.Verb() != "Set" && c.Verb() != "New" {
			continue
		}
		if t.noun != "" && t.noun == c.Noun() || t.noun == "" && setsAll(c, t) {
			out, x.settled[i] = append(out, i), true
		}
	}
	return out
}

// setsAll reports whether a command gives every property in which a table differs.
func setsAll(c Command, t table) bool {
	differs := false
	for _, r := range t.rows {
		if _, given := c.Parameters[r.property]; !r.equals && !given {
			return false
		}
		differs = differs || !r.equals
	}
	return differs
}

func (x *logReader) end(l Line, body string) {
	i, key := -1, l.key()
	for at := range x.open { // the newest of that name
		if x.open[at].key == key {
			i = at
		}
	}
	if i < 0 {
		return
	}
	open := x.open[i]
	x.open = slices.Delete(x.open, i, i+1)
	if open.command < 0 {
		return
	}
	done := &x.run.Commands[open.command]
	if _, result, ok := strings.Cut(body, "Results="); ok {
		done.Result = clean(result)
	}
	if _, took, ok := strings.Cut(body, "Time="); ok {
		milliseconds, _, _ := strings.Cut(took, "ms")
		f, _ := strconv.ParseFloat(milliseconds, 64)
		done.DurationMS = int64(max(0, min(f, 1e12)))
	}
	done.Failed = l.Level == Error || strings.Contains(done.Result, "failed to invoke")
	done.ended = true
	if done.Failed || done.command.Verb() != "Set" { // what New makes overwrites nothing
		return
	}
	for _, t := range open.tables {
		x.overwritten(*done, x.tables[t])
	}
}

// overwritten keeps what a command replaced by something else.
func (x *logReader) overwritten(done Executed, t table) {
	for _, r := range t.rows {
		if r.equals {
			continue
		}
		o := Overwritten{
			At: done.At, Side: done.Side, Kind: done.command.Noun(), Object: clean(done.command.Identity()),
			Property: clean(r.property), Was: clean(r.was), Wrote: clean(r.wants), Unsure: r.wants == "",
		}
		if v, given := done.command.Parameters[r.property]; given {
			o.Wrote, o.Unsure = clean(printed(v)), false
		}
		x.run.Overwritten = append(x.run.Overwritten, o)
	}
}

// finish ends a run: tables that no command took show what would have been written.
func (x *logReader) finish() {
	for i, t := range x.tables {
		if x.settled[i] {
			continue
		}
		for _, r := range t.rows {
			if !r.equals {
				x.run.Differing++
			}
		}
	}
	for i := range x.run.Commands {
		if c := &x.run.Commands[i]; !c.ended {
			c.Unfinished = true
		}
	}
	if x.run.Outcome == "" {
		x.run.Outcome = NotRun
		if len(x.run.Commands) > 0 {
			x.run.Outcome = Unfinished
		}
	}
	x.run.stop()
}

// wrappers are codes that say that another error stopped the wizard.
var wrappers = []string{"HCW8092"}

// stop finds the error that stopped the wizard: the first with a code of its own, else the first.
func (r *Run) stop() {
	if r.Outcome != Failed && r.Outcome != Unfinished {
		return
	}
	for _, want := range []func(Failure) bool{
		func(f Failure) bool { return !f.Warning && f.Code != "" && !slices.Contains(wrappers, f.Code) },
		func(f Failure) bool { return !f.Warning && f.Code == "" && !strings.HasPrefix(f.Text, "FINISH") },
		func(f Failure) bool { return !f.Warning },
	} {
		if i := slices.IndexFunc(r.Failures, want); i >= 0 {
			r.Failures[i].Stopped = true
			return
		}
	}
}

// side is the side that a session of the wizard is with.
func side(session string) Side {
	switch {
	case strings.Contains(session, "Tenant"):
		return Tenant
	case strings.Contains(session, "OnPremises"):
		return OnPremises
	}
	return ""
}

// clean makes a text of a file fit for one line.
func clean(s string) string {
	s = strings.Join(strings.Fields(link.Printable(s)), " ")
	if len(s) > maxText {
		s = strings.ToValidUTF8(s[:maxText], "") + " ..."
	}
	return withoutSecrets(s)
}

// secretText are texts that may be secrets: tokens, and the values of parameters of such names.
var secretText = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`(?i)\beyJ[\w-]+\.[\w-]+(?:\.[\w-]*)?|\b(Bearer|Basic) [\w.~+/=-]{8,}|` +
		`(-\w*(?:Password|Secret|Token|Credential|FileData|CertificateData|PrivateKey)\w*(?:: ?| ))` +
		`('(?:[^']|'')*'?|"(?:[^"]|"")*"?|\((?:[^()]|\((?:[^()]|\([^()]*\))*\))*\)?|[^\s-]\S*)`)
})

func withoutSecrets(s string) string {
	return secretText().ReplaceAllString(s, "$1$2[not shown]")
}

// printed is a value as the wizard prints it.
func printed(v any) string {
	switch v := v.(type) {
	case bool:
		if v {
			return "True"
		}
		return "False"
	case string:
		return v
	case []string:
		return strings.Join(v, ", ")
	}
	return ""
}
