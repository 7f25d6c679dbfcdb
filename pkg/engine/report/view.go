// Package report shows documents: as text, Markdown and HTML for people, as JSON, JSON lines and
// JUnit for machines. A document says in its View what it contains; a format is one file here that
// renders Views. This package knows no document. Every format sanitizes text from servers.
package report

import (
	"time"

	"github.com/hybridge-cli/hybridge/pkg/engine/msg"
)

// Document is what a verb hands over. JSON encodes the document itself, by its published schema;
// every other format renders its View.
type Document interface{ View() View }

// View is what a document contains, without a word on how it looks. Texts are formats with their
// arguments, never formatted lines: they are rendered in the reader's language.
type View struct {
	Name    string // for machines, the verb: "check"
	Title   msg.Text
	Blocks  []Block
	Summary Summary
	About   About   // the run; zero when it is not known
	Member  *Member // of a fleet
}

// Member is how the run of one deployment of a fleet ended. The blocks of its View show what is not
// well, and Counts says how many outcomes there are of each status.
type Member struct {
	Took   time.Duration
	Code   int
	Counts map[Status]int
}

// Block is one part of a View: a Section, Finding, Diff, Matrix, Table, Path, Paragraph,
// Command, Source or Topology.
type Block interface{ block() }

// Section is a document within a document. Without a Heading, text shows the blocks alone.
type Section struct {
	Heading msg.Text
	View    View
}

// Finding is how one thing went: a check in its scope, a change that was applied.
type Finding struct {
	Status Status
	// Action is what was done to the thing; zero when it was only looked at.
	Action msg.Text
	// ID is the stable id of the check or change, Place its forest or cloud where the ID does not
	// say.
	ID, Place string
	// Group and Class sort findings for machines: JUnit's suite and class name.
	Group, Class string
	Title        msg.Text // what was looked at, in words
	Summary      msg.Text // one sentence: what, where
	Took         time.Duration
	// Interrupted says that the run ended before this one could: it is no verdict.
	Interrupted bool
	// Aside says that nothing is lost when text shows the finding as one of many with its summary.
	Aside   bool
	Details []Block // Paragraphs, Commands and Paths with labels
}

// group is the findings with one lead: their ids, each once, and where each of them is.
type group struct {
	lead     string
	ids      []string
	places   map[string][]string
	findings []Finding
	placed   bool // it stands among the blocks
}

// gather groups findings by their leads, in the order in which these come.
func gather(findings []Finding, lead func(Finding) string) []*group {
	var all []*group
	at := map[string]*group{}
	for _, f := range findings {
		key := lead(f)
		g := at[key]
		if g == nil {
			g = &group{lead: key, places: map[string][]string{}}
			at[key] = g
			all = append(all, g)
		}
		if g.places[f.ID] == nil {
			g.ids = append(g.ids, f.ID)
		}
		g.places[f.ID] = append(g.places[f.ID], f.Place)
		g.findings = append(g.findings, f)
	}
	return all
}

// Diff is the changes of a plan, in their order.
type Diff struct {
	Intro   msg.Text
	Changes []Change
}

// Change is one change, property by property.
type Change struct {
	Action          Action
	ID, Place, Kind string
	Name            string
	Details         []Block // why, and the risk
	Properties      []Property
}

// Property is one property of a Change. A list that changes shows its elements instead of Before
// and After.
type Property struct {
	Name          string
	Sign          Sign
	Before, After msg.Text
	Gone, Come    []msg.Text
	Kept          int
}

// List reports whether the property is shown by its elements.
func (p Property) List() bool { return len(p.Gone)+len(p.Come) > 0 }

// Matrix is who sees whose free/busy, asked in which way.
type Matrix struct {
	Lookups []Lookup
	// Before, when not nil, is how the same questions ended earlier; text shows both side by side.
	Before []Lookup
}

// Lookup is one cell of a Matrix.
type Lookup struct {
	From, To  string
	Message   bool   // From writes to To, instead of asking for To's calendar
	Direction string // "contoso -> online"
	Probe     string // how it was asked
	Status    Status
	Took      time.Duration
	Error     msg.Text // the server's words, whole
	Details   []Block
}

// Table is rows of short texts beneath column heads.
type Table struct {
	Columns []msg.Text
	Rows    [][]msg.Text
	Grid    bool // it stays a table on a terminal that is too narrow for it
}

// Path is a way through several stations, in their order.
type Path struct {
	Label msg.Text
	Hops  []string
	// Broken is the first hop that does not work, from 1; 0 where none is known.
	Broken int
}

func (p Path) text() msg.Text { return msg.Join(p.texts(), ", ") }

// texts are the hops, with the broken one marked.
func (p Path) texts() []msg.Text {
	out := make([]msg.Text, len(p.Hops))
	for i, hop := range p.Hops {
		out[i] = msg.Plain(hop)
		if i == p.Broken-1 {
			out[i] = msg.Of("%s (broken here)", hop)
		}
	}
	return out
}

// Paragraph is running text.
type Paragraph struct {
	Label, Text msg.Text
	Tone        Tone
}

// Command is lines to be copied: no format breaks them.
type Command struct {
	Label msg.Text
	Lines []string
}

// Source is lines of a file or a path, as they are: no format breaks or colors them.
type Source struct {
	Language string // for Markdown: "json"
	Text     string
}

// Summary is the last line of a View: "Checks: 3 passed, 1 failed.", and what belongs below it.
type Summary struct {
	Lead   msg.Text
	Counts []Count
	Notes  []Block
}

// Count is one number of a Summary, in words.
type Count struct {
	Text msg.Text
	Tone Tone
}

func (Section) block()   {}
func (Finding) block()   {}
func (*group) block()    {}
func (Diff) block()      {}
func (Matrix) block()    {}
func (Table) block()     {}
func (Path) block()      {}
func (Paragraph) block() {}
func (Command) block()   {}
func (Source) block()    {}

// Status is how a thing went.
type Status string

// The statuses. Error and Unknown both mean that it could not be seen: of a check, of a lookup.
const (
	Pass    Status = "pass"
	OK      Status = "ok"
	Done    Status = "done"
	Warn    Status = "warn"
	Fail    Status = "fail"
	Skip    Status = "skip"
	Pending Status = "pending"
	Error   Status = "error"
	Unknown Status = "unknown"
	// Acknowledged is a finding that the organization accepts for now.
	Acknowledged Status = "acknowledged"
)

type look struct {
	word msg.Text
	tone Tone
}

var looks = map[Status]look{
	Pass: {msg.Of("PASS"), Good}, OK: {msg.Of("OK"), Good}, Done: {msg.Of("DONE"), Good},
	Warn: {msg.Of("WARN"), Caution}, Pending: {msg.Of("PEND"), Caution},
	Fail: {msg.Of("FAIL"), Bad}, Skip: {msg.Of("SKIP"), Faint},
	Error: {msg.Of("ERR"), Bad}, Unknown: {msg.Of("ERR"), Caution},
	Acknowledged: {msg.Of("ACK"), Faint},
}

func (s Status) look() look {
	if l, known := looks[s]; known {
		return l
	}
	return looks[Unknown]
}

// Tone is what the emphasis of a text means. It only repeats what words and signs say.
type Tone int

// The tones.
const (
	Plain Tone = iota
	Strong
	Faint
	Good
	Caution
	Bad
	Literal // to be copied
)

// Action is what a change does.
type Action string

// The actions.
const (
	Create  Action = "create"
	Update  Action = "update"
	Replace Action = "replace"
	Delete  Action = "delete"
)

// actions are the actions in the order of their legend.
var actions = []struct {
	action Action
	symbol string
	word   msg.Text
	tone   Tone
}{
	{Create, "+", msg.Of("create"), Good},
	{Update, "~", msg.Of("change"), Caution},
	{Replace, "-/+", msg.Of("replace: remove, then create"), Bad},
	{Delete, "-", msg.Of("remove"), Bad},
}

// Symbol is the sign of an action in a diff, and its tone.
func (a Action) Symbol() (string, Tone) {
	for _, known := range actions {
		if known.action == a {
			return known.symbol, known.tone
		}
	}
	return "?", Plain
}

// Sign is what happens to a property.
type Sign string

// The signs.
const (
	Added   Sign = "+"
	Removed Sign = "-"
	Changed Sign = "~"
)

func (s Sign) tone() Tone {
	return map[Sign]Tone{Added: Good, Removed: Bad, Changed: Caution}[s]
}
