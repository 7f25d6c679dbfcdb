package hcw

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/hybridge-cli/hybridge/pkg/config/sorting"
	"github.com/hybridge-cli/hybridge/pkg/engine/msg"
	"github.com/hybridge-cli/hybridge/pkg/engine/report"
)

// Kind is the kind of the document.
const Kind = "WizardRuns"

// Log is what logs and .xhcw files of Microsoft's Hybrid Configuration Wizard say.
type Log struct {
	// The version of the format: hybridge/v1.
	APIVersion string `json:"apiVersion"`
	// Always WizardRuns.
	Kind string `json:"kind"`
	// The runs, oldest first. A run is one start of the wizard.
	Runs []Run `json:"runs"`
}

// Run is one start of the wizard.
type Run struct {
	// The names of its files.
	Files []string `json:"files"`
	// When its log begins and ends, by the clock of the computer that it ran on.
	Started string `json:"started,omitempty"`
	Ended   string `json:"ended,omitempty"`
	// The version of the wizard, where the log says it.
	Version string `json:"version,omitempty"`
	// How the configuration ended: succeeded, failed, unfinished, or notRun when the wizard
	// configured nothing.
	Outcome Outcome `json:"outcome"`
	// What went wrong, in its sequence.
	Failures []Failure `json:"failures,omitempty"`
	// The cmdlets that change something, in their sequence.
	Commands []Executed `json:"commands,omitempty"`
	// How many cmdlets only read.
	Reads int `json:"reads"`
	// The properties that had another value before.
	Overwritten []Overwritten `json:"overwritten,omitempty"`
	// How many properties differed in objects that the wizard did not write.
	Differing int `json:"differing,omitempty"`
	// How many rows of comparisons have a form that is not known.
	UnreadRows int `json:"unreadRows,omitempty"`
	// How many lines or elements are cut off.
	Cut int `json:"cut,omitempty"`
}

// Outcome is how the configuration ended.
type Outcome string

// The outcomes.
const (
	Succeeded  Outcome = "succeeded"
	Failed     Outcome = "failed"
	Unfinished Outcome = "unfinished"
	NotRun     Outcome = "notRun"
)

// Side is a side of the hybrid.
type Side string

// The sides.
const (
	OnPremises Side = "onprem"
	Tenant     Side = "online"
)

// Failure is an error or a warning of the wizard.
type Failure struct {
	At string `json:"at,omitempty"`
	// The code of the wizard, HCW8001.
	Code    string `json:"code,omitempty"`
	Warning bool   `json:"warning,omitempty"`
	Text    string `json:"text"`
	// It ended the configuration.
	Stopped bool `json:"stopped,omitempty"`
	// The cause that hybridge explain names first; absent when none is known.
	Cause *Cause `json:"cause,omitempty"`
}

// Cause is the likeliest cause of a failure.
type Cause struct {
	ID    string `json:"id"`
	Cause string `json:"cause"`
	Fix   string `json:"fix"`
	See   string `json:"see"`
}

// Executed is a cmdlet that changes something.
type Executed struct {
	At string `json:"at,omitempty"`
	// The side: onprem or online.
	Side    Side   `json:"side,omitempty"`
	Command string `json:"command"`
	// What the wizard notes of the result.
	Result     string `json:"result,omitempty"`
	DurationMS int64  `json:"durationMs,omitempty"`
	Failed     bool   `json:"failed,omitempty"`
	// The log does not say how it ended.
	Unfinished bool `json:"unfinished,omitempty"`

	command Command
	ended   bool
}

// Overwritten is a property that the wizard replaced.
type Overwritten struct {
	At string `json:"at,omitempty"`
	// The side: onprem or online.
	Side Side `json:"side,omitempty"`
	// The noun of the cmdlet: SendConnector.
	Kind string `json:"kind"`
	// The object, as the wizard addressed it.
	Object   string `json:"object"`
	Property string `json:"property"`
	// The value before and the one that was written, as the log prints them.
	Was   string `json:"was"`
	Wrote string `json:"wrote"`
	// The log does not say what was written.
	Unsure bool `json:"unsure,omitempty"`
}

// Newest are the overwritten properties of all runs: of each property the newest time. A document
// keeps its runs oldest first.
func (l Log) Newest() []Overwritten {
	newest, count := map[thing]int{}, 0
	for _, r := range l.Runs {
		for _, o := range r.Overwritten {
			count++
			newest[o.thing()] = count
		}
	}
	var out []Overwritten
	count = 0
	for _, r := range l.Runs {
		for _, o := range r.Overwritten {
			if count++; newest[o.thing()] == count {
				out = append(out, o)
			}
		}
	}
	return out
}

// thing is a property of an object.
type thing struct {
	side                   Side
	kind, object, property string
}

func (o Overwritten) thing() thing {
	return thing{o.Side, o.Kind, strings.ToLower(o.Object), strings.ToLower(o.Property)}
}

// Join makes the document of runs that were read from files. A .log and a .xhcw of one name are one
// run. The log has the comparisons, and its cmdlets count.
func Join(read map[string]Run) Log {
	out := Log{APIVersion: report.APIVersion, Kind: Kind, Runs: []Run{}}
	byStem := map[string]int{}
	var paths []string
	for path := range read {
		paths = append(paths, path)
	}
	slices.Sort(paths) // .log before .xhcw
	for _, path := range paths {
		run := read[path]
		base := filepath.Base(path)
		stem := strings.ToLower(strings.TrimSuffix(base, filepath.Ext(base)))
		run.Files = []string{base}
		if i, seen := byStem[stem]; seen && len(base) != len(stem) {
			if first := &out.Runs[i]; strings.EqualFold(filepath.Ext(base), ".xhcw") {
				first.Files = append(first.Files, base)
				if len(first.Commands) == 0 {
					first.Commands, first.Reads = run.Commands, max(first.Reads, run.Reads)
				}
				continue
			}
		}
		byStem[stem] = len(out.Runs)
		out.Runs = append(out.Runs, run)
	}
	sorting.Stable(out.Runs, func(a, b Run) int { return strings.Compare(a.Started, b.Started) })
	return out
}

// View shows the runs, and of each what stopped it, what it did and what it overwrote.
func (l Log) View() report.View {
	v := report.View{Name: "collect", Title: msg.Of("Runs of Microsoft's wizard")}
	for _, r := range l.Runs {
		v.Blocks = append(v.Blocks, report.Section{
			Heading: msg.Of("%s (%s)", timeOf(r.Started), strings.Join(r.Files, ", ")), View: r.view(),
		})
	}
	v.Summary = report.Summary{Lead: msg.Of("Runs:"), Counts: []report.Count{
		{Text: msg.Of("%d succeeded", l.count(Succeeded))},
		{Text: msg.Of("%d failed", l.count(Failed))},
		{Text: msg.Of("%d unfinished", l.count(Unfinished))},
		{Text: msg.Of("%d configured nothing", l.count(NotRun))},
	}}
	return v
}

func timeOf(at string) msg.Text {
	if at == "" {
		return msg.Of("time unknown")
	}
	return msg.Plain(at)
}

func (l Log) count(o Outcome) (n int) {
	for _, r := range l.Runs {
		if r.Outcome == o {
			n++
		}
	}
	return n
}

var outcomes = map[Outcome]msg.Text{
	Succeeded:  msg.Of("The configuration succeeded."),
	Failed:     msg.Of("The configuration failed."),
	Unfinished: msg.Of("The configuration began, and the file does not say how it ended."),
	NotRun:     msg.Of("The wizard was started and configured nothing."),
}

func (r Run) view() report.View {
	var v report.View
	say := func(label, text msg.Text, tone report.Tone) {
		v.Blocks = append(v.Blocks, report.Paragraph{Label: label, Text: text, Tone: tone})
	}
	tone := report.Plain
	if r.Outcome == Failed || r.Outcome == Unfinished {
		tone = report.Caution
	}
	say(msg.Text{}, outcomes[r.Outcome], tone)
	if r.Version != "" {
		say(msg.Of("version of the wizard"), msg.Plain(r.Version), report.Plain)
	}
	if r.Ended != "" {
		say(msg.Of("ended"), msg.Plain(r.Ended), report.Plain)
	}
	v.Blocks = append(v.Blocks, r.failures()...)
	if len(r.Overwritten) > 0 {
		t := report.Table{Columns: []msg.Text{msg.Of("side"), msg.Of("object"), msg.Of("property"), msg.Of("before"),
			msg.Of("written")}}
		for _, o := range r.Overwritten {
			t.Rows = append(t.Rows, []msg.Text{msg.Plain(string(o.Side)), msg.Of("%s %s", o.Kind, o.Object),
				msg.Plain(o.Property), shown(o.Was), shown(o.Wrote)})
		}
		say(msg.Text{}, msg.Plural(len(r.Overwritten), "It overwrote %d property:", "It overwrote %d properties:"),
			report.Plain)
		v.Blocks = append(v.Blocks, t)
	}
	if len(r.Commands) > 0 {
		var done []string
		for _, c := range r.Commands {
			line := fmt.Sprintf("%-6s %s", c.Side, c.Command)
			if c.Failed {
				line += "   # failed: " + c.Result
			}
			if c.Unfinished {
				line += "   # the log does not say how it ended"
			}
			done = append(done, line)
		}
		say(msg.Text{}, msg.Plural(len(r.Commands), "It ran %d cmdlet that changes something:",
			"It ran %d cmdlets that change something:"), report.Plain)
		v.Blocks = append(v.Blocks, report.Source{Text: strings.Join(done, "\n")})
	}
	if r.Differing > 0 {
		say(msg.Of("note"), msg.Plural(r.Differing, "%d property differed in objects that it did not write",
			"%d properties differed in objects that it did not write"), report.Plain)
	}
	if r.UnreadRows > 0 {
		say(msg.Of("note"), msg.Plural(r.UnreadRows, "%d row of its comparisons has a form that hybridge does not know",
			"%d rows of its comparisons have a form that hybridge does not know"), report.Caution)
	}
	if r.Cut > 0 {
		say(msg.Of("note"), msg.Of("the file is cut off, or has lines that are too long: %d", r.Cut), report.Caution)
	}
	return v
}

// failures shows what went wrong: what stopped the wizard, and one failure per known cause or code.
func (r Run) failures() (out []report.Block) {
	seen := map[string]bool{}
	for _, f := range r.Failures {
		by := f.Code
		if f.Cause != nil {
			by = f.Cause.ID
		}
		if !f.Stopped && (by == "" || seen[by]) {
			continue
		}
		finding := report.Finding{Status: report.Fail, ID: by, Group: "wizard", Summary: msg.Plain(f.Text)}
		if f.Warning {
			finding.Status = report.Warn
		}
		if f.Stopped {
			finding.Details = append(finding.Details, report.Paragraph{Label: msg.Of("note"),
				Text: msg.Of("it stopped the wizard")})
		}
		if f.Cause != nil && !seen[by] {
			finding.Details = append(finding.Details,
				report.Paragraph{Label: msg.Of("cause"), Text: msg.Of("%s: %s", f.Cause.ID, f.Cause.Cause)},
				report.Paragraph{Label: msg.Of("fix"), Text: msg.Plain(f.Cause.Fix)},
				report.Paragraph{Label: msg.Of("see"), Text: msg.Plain(f.Cause.See)})
		}
		seen[by] = true
		out = append(out, finding)
	}
	return out
}

func shown(s string) msg.Text {
	if s == "" {
		return msg.Of("(nothing)")
	}
	return msg.Plain(s)
}
