package check

import (
	"cmp"
	"slices"

	"github.com/hybridge-cli/hybridge/pkg/config/sorting"
	"github.com/hybridge-cli/hybridge/pkg/engine/msg"
	"github.com/hybridge-cli/hybridge/pkg/engine/report"
)

// Comparison says how the findings of two reports differ.
type Comparison struct {
	// The version of the format: hybridge/v1.
	APIVersion string `json:"apiVersion"`
	// Always CheckDiff.
	Kind    string            `json:"kind"`
	Summary ComparisonSummary `json:"summary"`
	// The findings of both reports: new ones first, then those that could not be seen again, those
	// that are gone, and those that are unchanged.
	Differences []Difference `json:"differences"`
}

// ComparisonSummary counts a Comparison.
type ComparisonSummary struct {
	New       int `json:"new"`
	Unseen    int `json:"unseen"`
	Gone      int `json:"gone"`
	Unchanged int `json:"unchanged"`
}

// Difference is what became of one finding.
type Difference struct {
	ID    ID     `json:"id"`
	Title string `json:"title"`
	Scope string `json:"scope"`
	// What became of it: new, unseen, gone or unchanged. A finding that counts for more than before
	// is new. What was found and was not checked again is unseen, never gone.
	Change Became `json:"change"`
	// The status in the first report; absent when the check did not run.
	Before Status `json:"before,omitempty"`
	// The status in the second report; absent when the check did not run.
	After Status `json:"after,omitempty"`
	// What the second report says; of what is gone or unseen, the first.
	Summary msg.Text `json:"summary"`
	// What the first report said, where that differs.
	Was msg.Text `json:"was,omitzero"`
}

// Became says what became of a finding.
type Became string

// What becomes of findings.
const (
	New       Became = "new"
	Unseen    Became = "unseen"
	Gone      Became = "gone"
	Unchanged Became = "unchanged"
)

// becomes are in the order of a Comparison.
var (
	becomes = []Became{New, Unseen, Gone, Unchanged}
	words   = map[Became]msg.Text{New: msg.Of("new"), Unseen: msg.Of("not seen again"), Gone: msg.Of("gone"),
		Unchanged: msg.Of("unchanged")}
	tones = map[Became]report.Tone{New: report.Bad, Unseen: report.Caution, Gone: report.Good}
)

// weight is how much a status counts: what is not a finding has none.
func weight(s Status) int {
	return 1 + slices.Index([]Status{StatusAcknowledged, StatusWarn, StatusError, StatusFail}, s)
}

// Compare returns how the findings of two reports differ. Checks that could not look count as
// findings: they may hide any.
func Compare(before, after Report) Comparison {
	type instance struct {
		id    ID
		scope string
	}
	c := Comparison{APIVersion: report.APIVersion, Kind: "CheckDiff", Differences: []Difference{}}
	earlier := map[instance]Result{}
	for _, r := range before.Results {
		earlier[instance{r.ID, r.Scope}] = r
	}
	add := func(b, a Result) {
		if d, differs := compare(b, a); differs {
			c.Differences = append(c.Differences, d)
		}
	}
	for _, a := range after.Results {
		at := instance{a.ID, a.Scope}
		add(earlier[at], a)
		delete(earlier, at)
	}
	for _, b := range before.Results { // in their order
		at := instance{b.ID, b.Scope}
		if _, left := earlier[at]; left {
			add(b, Result{ID: b.ID, Title: b.Title, Scope: b.Scope})
			delete(earlier, at)
		}
	}
	rank := func(d Difference) int { return slices.Index(becomes, d.Change) }
	sorting.Stable(c.Differences, func(a, b Difference) int {
		return cmp.Or(cmp.Compare(rank(a), rank(b)), cmp.Compare(weight(b.After), weight(a.After)))
	})
	for _, d := range c.Differences {
		*map[Became]*int{New: &c.Summary.New, Unseen: &c.Summary.Unseen, Gone: &c.Summary.Gone,
			Unchanged: &c.Summary.Unchanged}[d.Change]++
	}
	return c
}

// compare says what became of one finding, or that there is and was none.
func compare(b, a Result) (d Difference, differs bool) {
	d = Difference{ID: a.ID, Title: a.Title, Scope: a.Scope, Before: b.Status, After: a.Status, Summary: a.Summary}
	was, is := weight(b.Status), weight(a.Status)
	switch {
	case was == 0 && is == 0:
		return d, false
	case a.Status == StatusError && b.Status != StatusError, is == 0 && a.Status != StatusPass && was > 0:
		d.Change = Unseen
	case is == 0:
		d.Change = Gone
	case is > was:
		d.Change = New
	default:
		d.Change = Unchanged
	}
	if b.Summary.String() != a.Summary.String() {
		d.Was = b.Summary
	}
	if d.Change == Gone || d.Change == Unseen && a.Status == "" {
		d.Summary, d.Was = b.Summary, msg.Text{}
	}
	return d, true
}

// View shows every difference.
func (c Comparison) View() report.View {
	v := report.View{Name: "report-diff", Title: msg.Of("What changed between two checks"),
		Summary: report.Summary{Lead: msg.Of("Findings:")}}
	for _, d := range c.Differences {
		f := report.Finding{
			Status: report.Status(cmp.Or(d.After, StatusSkip)), ID: string(d.ID), Place: d.Scope,
			Title:   msg.Key(d.Title),
			Summary: d.Summary, Action: words[d.Change],
		}
		if d.After == "" {
			f.Details = append(f.Details, report.Paragraph{Text: msg.Of("The second report does not hold this check.")})
		}
		if !d.Was.IsZero() {
			f.Details = append(f.Details, report.Paragraph{Label: msg.Of("before"), Text: d.Was})
		}
		v.Blocks = append(v.Blocks, f)
	}
	for i, n := range []int{c.Summary.New, c.Summary.Unseen, c.Summary.Gone, c.Summary.Unchanged} {
		count := report.Count{Text: msg.Of("%d %s", n, words[becomes[i]])}
		if n > 0 {
			count.Tone = tones[becomes[i]]
		}
		v.Summary.Counts = append(v.Summary.Counts, count)
	}
	return v
}
