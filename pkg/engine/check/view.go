package check

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/hybridge-cli/hybridge/pkg/config/sorting"
	"github.com/hybridge-cli/hybridge/pkg/engine/msg"
	"github.com/hybridge-cli/hybridge/pkg/engine/report"
)

// order is how results follow each other in a report for people: what needs an action first.
var order = []Status{StatusFail, StatusError, StatusWarn, StatusAcknowledged, StatusPass, StatusSkip}

// View shows every result, failures first, and how many there are of each status.
func (r Report) View() report.View {
	v := report.View{Name: "check", Title: msg.Of("Prerequisites"), Summary: report.Summary{Lead: msg.Of("Checks:")},
		About: r.About}
	if len(r.Picture.Systems) > 0 {
		v.Blocks = append(v.Blocks, r.Picture)
	}
	for _, result := range r.WorstFirst() {
		v.Blocks = append(v.Blocks, result.Block())
		if a := result.Acknowledgement; a != nil && a.State == Unneeded {
			v.Summary.Notes = append(v.Summary.Notes, report.Paragraph{Label: msg.Of("note"),
				Text: msg.Of("%s (%s): %s", result.ID, result.Scope, a.text())})
		}
	}
	s := r.Summary
	v.Summary.Counts = []report.Count{{Text: msg.Of("%d passed", s.Pass)}}
	for _, c := range []struct {
		n    int
		text string
		tone report.Tone
	}{
		{s.Warn, "%d with a warning", report.Caution},
		{s.Fail, "%d failed", report.Bad},
		{s.Acknowledged, "%d acknowledged", report.Plain},
		{s.Skip, "%d skipped", report.Plain},
		{s.Error, "%d could not be checked", report.Bad},
	} {
		if c.n > 0 {
			v.Summary.Counts = append(v.Summary.Counts, report.Count{Text: msg.Of(c.text, c.n), Tone: c.tone})
		}
	}
	return v
}

// WorstFirst returns the results in the sequence of a report for people.
func (r Report) WorstFirst() []Result {
	results := slices.Clone(r.Results)
	sorting.Stable(results, func(a, b Result) int {
		return cmp.Compare(slices.Index(order, a.Status), slices.Index(order, b.Status))
	})
	return results
}

// Of returns the report with the run that it is of.
func (r Report) Of(a report.About) report.Document {
	r.About = a
	return r
}

// Block shows one result.
func (r Result) Block() report.Finding {
	f := report.Finding{
		Status: report.Status(r.Status), ID: string(r.ID), Place: r.Scope, Class: string(r.ID),
		Title: msg.Key(r.Title), Summary: r.Summary, Took: time.Duration(r.DurationMS) * time.Millisecond,
	}
	f.Group, _, _ = strings.Cut(r.Scope, ": ") // all hosts of a forest are one suite
	ended := errors.Is(r.Cause, context.Canceled) || errors.Is(r.Cause, context.DeadlineExceeded)
	f.Interrupted = ended && r.Status == StatusSkip
	f.Aside = r.Status == StatusSkip && len(r.MissingRights) == 0 // a right is granted for each check
	if a := r.Acknowledgement; a != nil && a.State != Unneeded {
		f.Details = append(f.Details, report.Paragraph{Label: msg.Of("acknowledged"), Text: a.text()})
	}
	if !r.Detail.IsZero() {
		f.Details = append(f.Details, report.Paragraph{Text: r.Detail})
	}
	fix := msg.Of("fix")
	if !r.Remedy.Text.IsZero() {
		f.Details = append(f.Details, report.Paragraph{Label: fix, Text: r.Remedy.Text})
		fix = msg.Text{}
	}
	if len(r.Remedy.Commands) > 0 {
		f.Details = append(f.Details, report.Command{Label: fix, Lines: r.Remedy.Commands})
	}
	if !r.Remedy.Considerations.IsZero() {
		f.Details = append(f.Details, report.Paragraph{Label: msg.Of("consider"), Text: r.Remedy.Considerations})
	}
	if r.Remedy.Docs != "" {
		f.Details = append(f.Details, report.Paragraph{Label: msg.Of("see"), Text: msg.Plain(r.Remedy.Docs)})
	}
	return f
}

// text says in one sentence what the acknowledgement amounts to.
func (a Acknowledgement) text() msg.Text {
	switch a.State {
	case Active:
		return msg.Of("%s, by %s until %s", a.Reason, a.Owner, a.Expires)
	case Expired:
		return msg.Of("the acknowledgement by %s ended on %s: %s", a.Owner, a.Expires, a.Reason)
	}
	return msg.Of("the check passes: the acknowledgement by %s (%s) is no longer needed", a.Owner, a.Reason)
}
