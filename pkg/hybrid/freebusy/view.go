package freebusy

import (
	"time"

	"github.com/hybridge-cli/hybridge/pkg/engine/msg"
	"github.com/hybridge-cli/hybridge/pkg/engine/report"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/diagnose"
)

// View shows the matrix, and how many lookups work.
func (r Report) View() report.View {
	v := report.View{Name: "test", Title: msg.Of("Free/busy"), About: r.About}
	lead, works, unknown := msg.Of("Free/busy:"), msg.Of("%d of %d lookups work", r.Summary.OK, len(r.Matrix)),
		msg.Of("%d could not be asked", r.Summary.Unknown)
	if len(r.Matrix) > 0 && r.Matrix[0].Probe == MessageProbe {
		v.Title, lead = msg.Of("Mail"), msg.Of("Mail:")
		works = msg.Of("%d of %d messages arrived as internal mail over TLS", r.Summary.OK, len(r.Matrix))
		unknown = msg.Of("%d could not be sent or followed", r.Summary.Unknown)
	}
	if len(r.Matrix) > 0 {
		v.Blocks = []report.Block{Block(r.Matrix)}
	}
	s := r.Summary
	v.Summary = report.Summary{Lead: lead, Counts: []report.Count{{Text: works}}}
	add := func(t report.Tone, text msg.Text) {
		v.Summary.Counts = append(v.Summary.Counts, report.Count{Text: text, Tone: t})
	}
	if s.Failed > 0 {
		add(report.Bad, msg.Of("%d failed", s.Failed))
	}
	if s.Pending > 0 {
		add(report.Caution, msg.Of("%d still waiting at a server", s.Pending))
	}
	if s.Unknown > 0 {
		add(report.Caution, unknown)
	}
	if r.Verdict != nil {
		v.Summary.Notes = r.Verdict.Notes()
	}
	return v
}

// Of returns the report with the run that it is of.
func (r Report) Of(a report.About) report.Document {
	r.About = a
	return r
}

// BeforeAfter shows two reports of the same questions side by side.
func BeforeAfter(before, after Report) report.Matrix {
	return report.Matrix{Lookups: Block(after.Matrix).Lookups, Before: Block(before.Matrix).Lookups}
}

// Block shows answers as a matrix.
func Block(answers []Answer) report.Matrix {
	m := report.Matrix{Lookups: make([]report.Lookup, len(answers))}
	for i, a := range answers {
		m.Lookups[i] = a.Lookup()
	}
	return m
}

var statuses = map[Status]report.Status{OK: report.OK, Failed: report.Fail, Unknown: report.Unknown,
	Pending: report.Pending}

// Lookup shows one answer. A failed one also shows the route and the suspected causes.
func (a Answer) Lookup() report.Lookup {
	l := report.Lookup{
		From: a.From, To: a.To, Message: a.Probe == MessageProbe, Direction: a.Direction, Probe: a.Probe,
		Status: statuses[a.Status],
		Took:   time.Duration(a.LatencyMS) * time.Millisecond, Error: msg.Plain(a.Error),
	}
	if a.Note != "" {
		l.Details = append(l.Details, report.Paragraph{Label: msg.Of("note"), Text: msg.Plain(a.Note)})
	}
	if a.Status == OK {
		return l
	}
	if gist := a.Gist(); gist != "" {
		l.Details = append(l.Details, report.Paragraph{Text: msg.Plain(gist)})
	}
	if len(a.Route) > 0 {
		l.Details = append(l.Details, a.path())
	}
	for _, d := range a.Diagnosis {
		suspect := msg.Of("%s (%.0f%%)", d.ID, 100*d.Confidence)
		if row, known := diagnose.Find(diagnose.ID(d.ID)); known {
			suspect = msg.Of("%s: %s (%.0f%%)", d.ID, msg.Key(row.Cause), 100*d.Confidence)
		}
		l.Details = append(l.Details, report.Paragraph{Label: msg.Of("why"), Text: suspect})
	}
	return l
}
