package fleet_test

import (
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/hybridge-cli/hybridge/pkg/engine/fleet"
	"github.com/hybridge-cli/hybridge/pkg/engine/report"
)

// The newer of two reports counts, with its exit code. What no shard could read stays listed.
func TestNewestReportCounts(t *testing.T) {
	shard := func(file string, d fleet.Deployment) fleet.Report {
		r := fleet.New(d)
		r.Unreadable = []fleet.Unreadable{{File: file, Error: "cut off"}}
		return r
	}
	older, newer := shard("1.json", one("a", "check", 1, 3)), shard("2.json", one("a", "check", 5, 0))
	for _, all := range [][]fleet.Report{{older, newer}, {newer, older}} {
		got := fleet.Merge(all...)
		if len(got.Deployments) != 1 || got.Deployments[0].ExitCode != 0 || len(got.Unreadable) != 2 {
			t.Errorf("%+v", got)
		}
	}
}

// A plan with changes is no failure. Other exit codes than those of failures say nothing of the
// deployment.
func TestStates(t *testing.T) {
	s := fleet.New(one("a", "check", 1, 0), one("b", "check", 1, 3), one("c", "plan", 1, 5), one("d", "check", 1, 9),
		one("e", "check", 1, 1)).Summary
	if s != (fleet.Summary{Fine: 1, Failed: 1, Pending: 1, Unknown: 2}) {
		t.Errorf("%+v", s)
	}
}

// Expected deployments are missing until a report is of them; the view names those that are.
func TestMissingShows(t *testing.T) {
	r := fleet.New(one("a", "check", 1, 0)).Expect([]string{"a", "b"}).Expect([]string{"a", "c"})
	if !slices.Equal(r.Missing, []string{"c"}) {
		t.Errorf("%v", r.Missing)
	}
	var shown []string
	for _, o := range report.OutcomesOf(r.View()) {
		if o.ID == "fleet.missing" {
			shown = append(shown, o.Place)
		}
	}
	if !slices.Equal(shown, []string{"c"}) {
		t.Errorf("%v", shown)
	}
}

// A warning that many deployments share is in the table of findings.
func TestWarningsAreShared(t *testing.T) {
	d := one("a", "check", 1, 0)
	d.Outcomes = []fleet.Outcome{{ID: "dns.mx", Place: "contoso", Status: report.Warn}}
	section, ok := fleet.New(d).View().Blocks[0].(report.Section)
	if !ok || section.Heading.String() != "By finding" {
		t.Errorf("%+v", section)
	}
}

// What cannot be looked at again is not gone. A finding that comes again counts from then on, and a
// report that is given twice counts once.
func TestTrend(t *testing.T) {
	at := func(minute int, s report.Status) fleet.Deployment {
		d := one("a", "check", minute, 0)
		d.Outcomes = []fleet.Outcome{{ID: "dns.mx", Place: "contoso", Status: s}}
		return d
	}
	c := fleet.Over([]fleet.Deployment{at(1, report.Fail), at(2, report.Error), at(3, report.Fail), at(3, report.Fail),
		at(4, report.Pass), at(5, report.Fail), at(6, report.Fail)}).Courses[0]
	var moved [][2]int
	for _, p := range c.Points {
		moved = append(moved, [2]int{p.New, p.Gone})
	}
	if want := [][2]int{{1, 0}, {0, 0}, {0, 0}, {0, 1}, {1, 0}, {0, 0}}; !reflect.DeepEqual(moved, want) {
		t.Errorf("%v", moved)
	}
	want := fleet.Standing{ID: "dns.mx", Place: "contoso", Status: report.Fail, Since: at(5, "").About.Time, Reports: 2, Times: 2}
	if !reflect.DeepEqual(c.Open, []fleet.Standing{want}) || !reflect.DeepEqual(c.Unsteady, []fleet.Standing{want}) {
		t.Errorf("%+v, %+v", c.Open, c.Unsteady)
	}
}

// One report of one deployment is not "1 reports of 1 deployments".
func TestTrendOfOne(t *testing.T) {
	view := fleet.Trend{Courses: []fleet.Course{{Deployment: "contoso", Points: []fleet.Point{{}},
		Open: []fleet.Standing{{ID: "a.b"}}}}}.View()
	var got []string
	for _, c := range view.Summary.Counts {
		got = append(got, c.Text.String())
	}
	if want := "1 report of 1 deployment, 1 finding open"; strings.Join(got, ", ") != want {
		t.Errorf("%q, want %q", got, want)
	}
}
