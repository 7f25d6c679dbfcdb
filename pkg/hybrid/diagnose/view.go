package diagnose

import (
	"fmt"
	"strings"

	"github.com/hybridge-cli/hybridge/pkg/engine/msg"
	"github.com/hybridge-cli/hybridge/pkg/engine/report"
)

// View shows the causes, the most likely first.
func (e Explanation) View() report.View {
	v := report.View{Name: "explain", Title: msg.Of("Explanation")}
	if e.Message != nil {
		v.Blocks = append(v.Blocks, e.Message.blocks()...)
	}
	for _, d := range e.Diagnoses {
		v.Blocks = append(v.Blocks, d.finding())
	}
	if e.Skipped > 0 {
		v.Blocks = append(v.Blocks, report.Paragraph{Label: msg.Of("note"), Tone: report.Caution, Text: msg.Of(
			"The text is long: its first and last MB were looked at, and %s MB between them were not.",
			msg.Number((e.Skipped+1<<20-1)>>20))})
	}
	switch n := len(e.Diagnoses); {
	case n > 0:
		v.Summary = report.Summary{Lead: msg.Of("Causes:"), Counts: []report.Count{
			{Text: msg.Plural(n, "%d is known for this text", "%d are known for this text, the most likely first")},
		}, Notes: []report.Block{report.Paragraph{Text: msg.Of("A text is a hint. The probe decides.")}}}
	case e.Message == nil:
		v.Blocks = append(v.Blocks, report.Paragraph{Text: msg.Of("Nothing is known about this text.")})
	}
	return v
}

func (d Diagnosis) finding() report.Finding {
	f := report.Finding{Status: report.Warn, ID: string(d.ID), Place: fmt.Sprintf("%.0f%%", 100*d.Confidence),
		Group: "explain", Class: d.Layer, Title: msg.Key(d.Cause), Summary: msg.Key(d.Cause)}
	add := func(label, text msg.Text) {
		f.Details = append(f.Details, report.Paragraph{Label: label, Text: text})
	}
	if d.WorksAsDesigned {
		add(msg.Of("note"), msg.Of("This works as designed."))
	}
	for _, found := range d.Found {
		add(msg.Of("found"), msg.Plain(found))
	}
	add(msg.Of("where"), msg.Of("%s, %s", msg.Key(d.Layer), msg.Key(d.Direction)))
	add(msg.Of("owner"), msg.Key(d.Owner))
	add(msg.Of("probe"), msg.Key(d.Probe))
	add(msg.Of("fix"), msg.Key(d.Fix))
	if d.Run == "" {
		add(msg.Of("run"), msg.Of("No command of hybridge looks at this. A person does, by the probe."))
	} else {
		add(msg.Of("run"), msg.Plain(d.Run))
	}
	if len(d.Plan) > 0 {
		add(msg.Of("plan"), msg.Plain(strings.Join(d.Plan, ", ")))
	}
	add(msg.Of("see"), msg.Of("hybridge help %s", string(d.ID)))
	return f
}

func (m Message) blocks() []report.Block {
	var rows [][]msg.Text
	add := func(what msg.Text, value string) {
		if value != "" {
			rows = append(rows, []msg.Text{what, msg.Plain(value)})
		}
	}
	add(msg.Of("taken as"), m.Verdict)
	add(msg.Of("decided by"), m.AuthSource)
	add(msg.Of("direction"), m.Direction)
	add(msg.Of("sent by the organization of"), m.OriginatorOrg)
	add(msg.Of("attributed to the tenant"), m.AttributedTenant)
	add(msg.Of("cross-tenant id"), m.Tenant)
	add(msg.Of("trust was lost at"), m.LostAt)
	blocks := []report.Block{report.Table{Columns: []msg.Text{msg.Of("message"), msg.Of("value")}, Rows: rows}}
	path := report.Path{Label: msg.Of("way")}
	for _, h := range m.Hops {
		path.Hops = append(path.Hops, h.By)
	}
	if len(path.Hops) > 0 {
		blocks = append(blocks, path)
	}
	return blocks
}

// shown is how many causes of a verdict people see.
const shown = 3

// Notes shows the verdict below a matrix: the causes, who fixes them and how, what was ruled out,
// and what could not be looked at.
func (v Verdict) Notes() []report.Block {
	var out []report.Block
	add := func(label, text msg.Text, tone report.Tone) {
		out = append(out, report.Paragraph{Label: label, Text: text, Tone: tone})
	}
	for _, c := range v.Causes[:min(shown, len(v.Causes))] {
		add(msg.Of("cause"), msg.Of("%s (%.0f%%): %s", string(c.ID), 100*c.Confidence, msg.Key(c.Cause)), report.Bad)
		for _, e := range c.Evidence {
			if e.Probe != lookup && e.Probe != message {
				add(msg.Of("found"), msg.Of("%s, %s: %s", e.Probe, e.Place, msg.Plain(e.Text)), report.Plain)
			}
		}
		if !c.Decided && len(c.Checks) == 0 {
			add(msg.Of("probe"), msg.Key(c.Probe), report.Plain)
			if c.Run != "" {
				add(msg.Of("run"), msg.Plain(c.Run), report.Plain)
			}
		}
		add(msg.Of("owner"), msg.Key(c.Owner), report.Plain)
		add(msg.Of("fix"), msg.Key(c.Fix), report.Plain)
	}
	for _, r := range v.RuledOut {
		add(msg.Of("ruled out"), msg.Of("%s: %s passes", string(r.ID), strings.Join(r.By, ", ")), report.Faint)
	}
	for _, o := range v.Unknown {
		add(msg.Of("unknown"), msg.Of("%s, %s: %s", o.Probe, o.Place, msg.Plain(o.Why)), report.Caution)
	}
	return out
}
