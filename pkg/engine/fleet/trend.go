package fleet

import (
	"cmp"
	"slices"
	"time"

	"github.com/hybridge-cli/hybridge/pkg/config/sorting"
	"github.com/hybridge-cli/hybridge/pkg/engine/msg"
	"github.com/hybridge-cli/hybridge/pkg/engine/report"
)

// Trend is how deployments changed over stored reports.
type Trend struct {
	// The version of the format: hybridge/v1.
	APIVersion string `json:"apiVersion"`
	// Always Trend.
	Kind string `json:"kind"`
	// One per deployment and command, by name.
	Courses []Course `json:"courses"`
}

// Course is how one deployment changed.
type Course struct {
	Deployment string `json:"deployment"`
	Verb       string `json:"verb"`
	// One per report, the oldest first.
	Points []Point `json:"points"`
	// What is not well in the newest report, what stands longest first.
	Open []Standing `json:"open"`
	// What came and went more than once.
	Unsteady []Standing `json:"unsteady"`
}

// Point is one report.
type Point struct {
	Time     time.Time `json:"time"`
	ExitCode int       `json:"exitCode"`
	Passed   int       `json:"passed"`
	Warnings int       `json:"warnings"`
	Failed   int       `json:"failed"`
	Unknown  int       `json:"unknown"`
	Changes  int       `json:"changes"`
	// How many findings the report before did not have, and how many of it are gone. What could not
	// be looked at again is not gone.
	New  int `json:"new"`
	Gone int `json:"gone"`
}

// Standing is a finding over time.
type Standing struct {
	ID     string        `json:"id"`
	Place  string        `json:"place"`
	Status report.Status `json:"status"`
	// The first report of those that have it without a break.
	Since time.Time `json:"since"`
	// How many reports have it, since then.
	Reports int `json:"reports"`
	// How often it came.
	Times   int      `json:"times"`
	Summary msg.Text `json:"summary,omitzero"`
}

// Over is the trend of reports in any order. A report that is given twice counts once.
func Over(all []Deployment) Trend {
	t := Trend{APIVersion: report.APIVersion, Kind: "Trend", Courses: []Course{}}
	byKey := map[string][]Deployment{}
	for _, d := range all {
		byKey[d.key()] = append(byKey[d.key()], d)
	}
	for _, reports := range byKey {
		sorting.Stable(reports, func(a, b Deployment) int { return a.About.Time.Compare(b.About.Time) })
		reports = slices.CompactFunc(reports, func(a, b Deployment) bool { return a.About.Time.Equal(b.About.Time) })
		t.Courses = append(t.Courses, course(reports))
	}
	sorting.Func(t.Courses, func(a, b Course) int {
		return cmp.Or(cmp.Compare(a.Deployment, b.Deployment), cmp.Compare(a.Verb, b.Verb))
	})
	return t
}

func course(reports []Deployment) Course {
	c := Course{Deployment: reports[0].About.Deployment, Verb: reports[0].About.Verb, Open: []Standing{},
		Unsteady: []Standing{}}
	type thing struct{ id, place string }
	var order []thing
	known := map[thing]*Standing{}
	open := map[thing]bool{}
	for _, d := range reports {
		n := d.counts()
		p := Point{Time: d.About.Time, ExitCode: d.ExitCode, Passed: n[report.Pass], Warnings: n[report.Warn],
			Failed: n[report.Fail], Unknown: n[report.Error], Changes: d.Changes}
		for _, o := range d.Outcomes {
			at, status := thing{o.ID, o.Place}, plain(o.Status)
			s := known[at]
			switch {
			case status == report.Fail || status == report.Warn:
				if s == nil {
					s = &Standing{ID: o.ID, Place: o.Place}
					known[at] = s
					order = append(order, at)
				}
				if !open[at] {
					p.New++
					open[at] = true
					s.Since, s.Reports = d.About.Time, 0
					s.Times++
				}
				s.Status, s.Summary = status, o.Summary
				s.Reports++
			case open[at] && (status == report.Pass || status == report.Acknowledged):
				p.Gone++
				open[at] = false
			}
		}
		c.Points = append(c.Points, p)
	}
	for _, at := range order {
		if open[at] {
			c.Open = append(c.Open, *known[at])
		}
		if known[at].Times > 1 {
			c.Unsteady = append(c.Unsteady, *known[at])
		}
	}
	sorting.Stable(c.Open, func(a, b Standing) int { return a.Since.Compare(b.Since) })
	return c
}

// View shows the reports of each deployment, what is open and since when, and what is unsteady.
func (t Trend) View() report.View {
	v := report.View{Name: "trend", Title: msg.Of("Trend"), Summary: report.Summary{Lead: msg.Of("Trend:")}}
	open, reports := 0, 0
	for _, c := range t.Courses {
		open, reports = open+len(c.Open), reports+len(c.Points)
		points := report.Table{Columns: []msg.Text{msg.Of("when"), msg.Of("exit code"), msg.Of("failed"),
			msg.Of("unknown"), msg.Of("warnings"), msg.Of("passed"), msg.Of("changes"), msg.Of("new"), msg.Of("gone")}}
		for _, p := range c.Points {
			row := []msg.Text{msg.Plain(stamp(p.Time))}
			for _, n := range []int{p.ExitCode, p.Failed, p.Unknown, p.Warnings, p.Passed, p.Changes, p.New, p.Gone} {
				row = append(row, msg.Of("%d", n))
			}
			points.Rows = append(points.Rows, row)
		}
		s := report.View{Blocks: []report.Block{points}}
		list := func(heading msg.Text, of []Standing) {
			table := report.Table{Columns: []msg.Text{msg.Of("status"), msg.Of("finding"), msg.Of("place"),
				msg.Of("since"), msg.Of("reports"), msg.Of("times")}}
			for _, f := range of {
				table.Rows = append(table.Rows, []msg.Text{f.Status.Word(), msg.Plain(f.ID), msg.Plain(f.Place),
					msg.Plain(stamp(f.Since)), msg.Of("%d", f.Reports), msg.Of("%d", f.Times)})
			}
			if len(of) > 0 {
				s.Blocks = append(s.Blocks, report.Section{Heading: heading,
					View: report.View{Blocks: []report.Block{table}}})
			}
		}
		list(msg.Of("Open"), c.Open)
		list(msg.Of("Came more than once"), c.Unsteady)
		v.Blocks = append(v.Blocks, report.Section{Heading: msg.Of("%s: %s", c.Deployment, c.Verb), View: s})
	}
	v.Summary.Counts = []report.Count{{Text: msg.Of("%s of %s", msg.Plural(reports, "%d report", "%d reports"),
		msg.Plural(len(t.Courses), "%d deployment", "%d deployments"))}}
	if open > 0 {
		v.Summary.Counts = append(v.Summary.Counts,
			report.Count{Text: msg.Plural(open, "%d finding open", "%d findings open"), Tone: report.Bad})
	}
	return v
}
