package desired

import (
	"cmp"
	"slices"
	"strings"
	"sync"

	"github.com/hybridge-cli/hybridge/pkg/engine/change"
)

// RunbookFile is the name of the runbook beside the scripts.
const RunbookFile = "RUNBOOK.md"

// roleOf is the team that runs the scripts of a place.
func roleOf(place string) string {
	for _, k := range Kinds() {
		if k.At(place) {
			return cmp.Or(k.System().Role, k.System().ID)
		}
	}
	return ""
}

// runbook is the data of the runbook's template.
type runbook struct {
	Digest  string
	Changes int
	Role    string
	Steps   []runbookStep
	Back    []runbookStep
	Notes   []runbookNote
}

type runbookStep struct {
	File, Title, Role string
	Mine              bool // of the role that the runbook is for
	Shell             bool // not PowerShell
	Use, After        []string
	Changes           []runbookChange
	Patience          int
}

type runbookNote struct {
	Topic, Place, Text string
	Commands           []string
}

type runbookChange struct{ Action, Kind, Name, Reason, Risk string }

var runbookTemplate = sync.OnceValue(func() *form {
	return mustForm("powershell/runbook.md.tmpl",
		map[string]func(string) string{"cell": cell, "line": comment})
})

// Runbook says who runs which script where, what to see, when to stop and how to go back: the
// cut-over sheet of the scripts of a plan. With a role, it is that of its team: the scripts of
// others are what it waits for.
func Runbook(p change.Plan, sites map[string]Site, role string) []byte {
	batches := scheduled(p.Changes)
	d := runbook{Digest: p.Digest, Changes: len(p.Changes), Role: role}
	for _, n := range p.Notes {
		d.Notes = append(d.Notes, runbookNote{n.Topic, n.Place, n.Text.String(), n.Commands})
	}
	in := map[string]*batch{}
	for _, b := range batches {
		for _, c := range b.changes {
			in[c.ID] = b
		}
	}
	for _, b := range batches {
		sort, name := sortOf(b.place)
		s := runbookStep{File: b.file, Title: sort.Named(name), Role: roleOf(b.place), Patience: patienceOf(sort.Name)}
		s.Shell = shell(b.place)
		s.Mine = role == "" || role == s.Role
		if sort.Use != nil {
			s.Use = sort.Use(name)
		}
		s.Use = append(s.Use, sites[b.place].Connect...)
		for _, c := range b.changes {
			s.Changes = append(s.Changes, runbookChange{string(c.Action), c.Kind, c.Name, c.Reason.String(), c.Risk})
			for _, id := range c.Needs {
				if from := in[id]; from != nil && from != b && !slices.Contains(s.After, from.file) {
					s.After = append(s.After, from.file)
				}
			}
		}
		slices.Sort(s.After)
		d.Steps = append(d.Steps, s)
	}
	for _, s := range slices.Backward(d.Steps) {
		if s.Mine {
			d.Back = append(d.Back, s)
		}
	}
	return runbookTemplate().fill(d)
}

// cell escapes a text of the plan for a table of Markdown.
func cell(s string) string {
	return strings.NewReplacer(`\`, `\\`, "|", `\|`, "`", "\\`", "<", "&lt;", "*", `\*`, "_", `\_`, "[", `\[`).
		Replace(comment(s))
}
