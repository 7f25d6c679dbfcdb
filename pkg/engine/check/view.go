package check

import (
	"context"
	"errors"
	"time"

	"github.com/hybridge-cli/hybridge/pkg/engine/msg"
	"github.com/hybridge-cli/hybridge/pkg/engine/report"
)

// View shows every result, and how many there are of each status.
func (r Report) View() report.View {
	v := report.View{Name: "check", Title: msg.Of("Prerequisites"), Summary: report.Summary{Lead: msg.Of("Checks:")}}
	for _, result := range r.Results {
		v.Blocks = append(v.Blocks, result.Block())
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
		{s.Skip, "%d skipped", report.Plain},
		{s.Error, "%d could not be checked", report.Bad},
	} {
		if c.n > 0 {
			v.Summary.Counts = append(v.Summary.Counts, report.Count{Text: msg.Of(c.text, c.n), Tone: c.tone})
		}
	}
	return v
}

// Block shows one result.
func (r Result) Block() report.Finding {
	f := report.Finding{
		Status: report.Status(r.Status), ID: string(r.ID), Place: r.Scope, Group: r.Category, Class: string(r.ID),
		Title: msg.Key(r.Title), Summary: r.Summary, Took: time.Duration(r.DurationMS) * time.Millisecond,
	}
	ended := errors.Is(r.Cause, context.Canceled) || errors.Is(r.Cause, context.DeadlineExceeded)
	f.Interrupted = ended && r.Status == StatusSkip
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
