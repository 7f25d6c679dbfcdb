package fleet

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/hybridge-cli/hybridge/pkg/config/sorting"
	"github.com/hybridge-cli/hybridge/pkg/engine/msg"
	"github.com/hybridge-cli/hybridge/pkg/engine/report"
)

// examples is how many deployments a row about a finding names.
const examples = 5

// View shows which findings many deployments share, how each deployment is, and what is not well.
func (r Report) View() report.View {
	v := report.View{Name: "fleet", Title: msg.Of("Fleet"), Summary: report.Summary{Lead: msg.Of("Deployments:")}}
	if shared := r.shared(); len(shared.Rows) > 0 {
		v.Blocks = append(v.Blocks, report.Section{Heading: msg.Of("By finding"),
			View: report.View{Blocks: []report.Block{shared}}})
	}
	each := report.Table{Columns: []msg.Text{msg.Of("deployment"), msg.Of("command"), msg.Of("status"),
		msg.Of("exit code"), msg.Of("failed"), msg.Of("unknown"), msg.Of("warnings"), msg.Of("passed"),
		msg.Of("changes"), msg.Of("when")}}
	for _, d := range r.Deployments {
		n := d.counts()
		each.Rows = append(each.Rows, []msg.Text{msg.Plain(d.About.Deployment), msg.Plain(d.About.Verb),
			d.state().Word(), msg.Of("%d", d.ExitCode), msg.Of("%d", n[report.Fail]), msg.Of("%d", n[report.Error]),
			msg.Of("%d", n[report.Warn]), msg.Of("%d", n[report.Pass]), msg.Of("%d", d.Changes),
			msg.Plain(stamp(d.About.Time))})
	}
	if len(each.Rows) > 0 {
		v.Blocks = append(v.Blocks, report.Section{Heading: msg.Of("By deployment"),
			View: report.View{Blocks: []report.Block{each}}})
	}
	for _, name := range r.Missing {
		v.Blocks = append(v.Blocks, report.Finding{Status: report.Error, ID: "fleet.missing", Class: "fleet.missing",
			Place: name, Group: name, Title: msg.Of("every deployment of the fleet has a report"),
			Summary: msg.Of("no report is of this deployment: run its shard again")})
	}
	for _, u := range r.Unreadable {
		v.Blocks = append(v.Blocks, report.Finding{Status: report.Error, ID: "fleet.unreadable",
			Class: "fleet.unreadable", Place: u.File, Group: u.File, Title: msg.Of("every file is a report"),
			Summary: msg.Plain(u.Error)})
	}
	for _, d := range r.Deployments {
		v.Blocks = append(v.Blocks, d.section())
	}
	s := r.Summary
	v.Summary.Counts = []report.Count{{Text: msg.Of("%d fine", s.Fine)}}
	for _, c := range []struct {
		n         int
		one, many string
		tone      report.Tone
	}{
		{s.Failed, "%d failed", "%d failed", report.Bad},
		{s.Pending, "%d with pending changes", "%d with pending changes", report.Caution},
		{s.Unknown, "%d unknown", "%d unknown", report.Bad},
		{s.Missing, "%d without a report", "%d without a report", report.Bad},
		{len(r.Unreadable), "%d file cannot be read", "%d files cannot be read", report.Bad},
		{s.Superseded, "%d older report left out", "%d older reports left out", report.Plain},
	} {
		if c.n > 0 {
			v.Summary.Counts = append(v.Summary.Counts,
				report.Count{Text: msg.Plural(c.n, c.one, c.many), Tone: c.tone})
		}
	}
	return v
}

func stamp(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format("2006-01-02 15:04")
}

// shared are the findings with the number of deployments that have each, the worst first.
func (r Report) shared() report.Table {
	type group struct {
		id     string
		status report.Status
		title  msg.Text
		names  []string
	}
	groups := map[string]*group{}
	for _, d := range r.Deployments {
		for _, o := range d.Outcomes {
			status := plain(o.Status)
			if status.Weight() < report.Warn.Weight() {
				continue
			}
			key := o.ID + "\x00" + string(status)
			if groups[key] == nil {
				groups[key] = &group{id: o.ID, status: status, title: o.Title}
			}
			if g := groups[key]; !slices.Contains(g.names[max(0, len(g.names)-1):], d.About.Deployment) {
				g.names = append(g.names, d.About.Deployment)
			}
		}
	}
	var list []*group
	for _, g := range groups {
		list = append(list, g)
	}
	sorting.Func(list, func(a, b *group) int {
		return cmp.Or(cmp.Compare(b.status.Weight(), a.status.Weight()), cmp.Compare(len(b.names), len(a.names)),
			cmp.Compare(a.id, b.id))
	})
	t := report.Table{Columns: []msg.Text{msg.Of("status"), msg.Of("finding"), msg.Of("deployments"), msg.Of("which")}}
	for _, g := range list {
		which := msg.Plain(strings.Join(g.names[:min(examples, len(g.names))], ", "))
		if more := len(g.names) - examples; more > 0 {
			which = msg.Of("%s and %s more", which, msg.Number(more))
		}
		t.Rows = append(t.Rows, []msg.Text{g.status.Word(), msg.Plain(g.id), msg.Of("%d", len(g.names)), which})
	}
	return t
}

// section shows what is not well in a deployment. The heading of one that is fine is left out: the
// table has it.
func (d Deployment) section() report.Section {
	s := report.Section{View: report.View{Name: d.About.Verb, About: d.About,
		Member: &report.Member{Took: d.took(), Code: d.ExitCode, Counts: d.counts()}}}
	name := d.About.Deployment
	for _, o := range d.Outcomes {
		if o.Status.Weight() == 0 {
			continue
		}
		f := report.Finding{Status: o.Status, ID: o.ID, Class: o.ID, Group: name, Place: name + ": " + o.Place,
			Title: o.Title, Summary: o.Summary}
		if !o.Fix.IsZero() {
			f.Details = []report.Block{report.Paragraph{Label: msg.Of("fix"), Text: o.Fix}}
		}
		s.View.Blocks = append(s.View.Blocks, f)
	}
	sorting.Stable(s.View.Blocks, func(a, b report.Block) int {
		return cmp.Compare(b.(report.Finding).Status.Weight(), a.(report.Finding).Status.Weight())
	})
	if e := d.Error; e != nil {
		f := report.Finding{Status: report.Error, ID: "run", Class: "run", Group: name, Place: name,
			Title: msg.Of("the run of %s ends with a report", d.About.Verb), Summary: msg.Plain(e.Message)}
		if e.Hint != "" {
			f.Details = []report.Block{report.Paragraph{Label: msg.Of("fix"), Text: msg.Plain(e.Hint)}}
		}
		s.View.Blocks = append([]report.Block{f}, s.View.Blocks...)
	}
	if len(s.View.Blocks) > 0 {
		s.Heading = msg.Plain(name)
	}
	return s
}
