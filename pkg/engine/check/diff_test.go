package check

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/hybridge-cli/hybridge/pkg/engine/msg"
	"github.com/hybridge-cli/hybridge/pkg/engine/report"
)

// Every pair of outcomes of one check: what was seen and is not seen now is unseen, never gone.
func TestCompare(t *testing.T) {
	statuses := []Status{"", StatusPass, StatusSkip, StatusAcknowledged, StatusWarn, StatusFail, StatusError}
	want := map[Status]string{ // before: what each status after it means; "." is no difference
		"":                 ". . . new new new unseen",
		StatusPass:         ". . . new new new unseen",
		StatusSkip:         ". . . new new new unseen",
		StatusAcknowledged: "unseen gone unseen unchanged new new unseen",
		StatusWarn:         "unseen gone unseen unchanged unchanged new unseen",
		StatusFail:         "unseen gone unseen unchanged unchanged unchanged unseen",
		StatusError:        "unseen gone unseen unchanged unchanged new unchanged",
	}
	of := func(s Status) Report {
		r := Report{}
		if s != "" {
			r.Results = []Result{{ID: "a.b", Scope: "contoso", Status: s}}
		}
		return r
	}
	for _, before := range statuses {
		var got []string
		for _, after := range statuses {
			became := "."
			for _, d := range Compare(of(before), of(after)).Differences {
				became = string(d.Change)
			}
			got = append(got, became)
		}
		if g := strings.Join(got, " "); g != want[before] {
			t.Errorf("before %q: %s, want %s", before, g, want[before])
		}
	}
}

func TestCompareIsShown(t *testing.T) {
	result := func(id ID, scope string, s Status, summary string) Result {
		return Result{ID: id, Scope: scope, Status: s, Summary: msg.Plain(summary)}
	}
	before := Report{Results: []Result{
		result("a.same", "contoso", StatusFail, "203 users"), result("a.fixed", "contoso", StatusWarn, "an old name"),
		result("a.fine", "contoso", StatusPass, "fine"), result("a.dropped", "contoso", StatusFail, "gone forest"),
		result("a.known", "contoso", StatusAcknowledged, "ends soon"),
	}}
	after := Report{Results: []Result{
		result("a.same", "contoso", StatusFail, "190 users"), result("a.fixed", "contoso", StatusPass, "fine"),
		result("a.fine", "contoso", StatusFail, "broken"), result("a.fine", "fabrikam", StatusWarn, "odd"),
		result("a.known", "contoso", StatusError, "refused"),
	}}
	c := Compare(before, after)
	if diff := cmp.Diff(ComparisonSummary{New: 2, Unseen: 2, Gone: 1, Unchanged: 1}, c.Summary); diff != "" {
		t.Error(diff)
	}
	want := `  FAIL  new a.fine  contoso
        broken
        before  fine
  WARN  new a.fine  fabrikam
        odd
  ERR   not seen again a.known  contoso
        refused
        before  ends soon
  SKIP  not seen again a.dropped  contoso
        gone forest
        The second report does not hold this check.
  PASS  gone a.fixed  contoso  an old name
  FAIL  unchanged a.same  contoso
        190 users
        before  203 users

Findings: 2 new, 2 not seen again, 1 gone, 1 unchanged.`
	if diff := cmp.Diff(want, strings.Join(report.Style{}.View(c.View()), "\n")); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if same := Compare(after, after); same.Summary.New+same.Summary.Unseen+same.Summary.Gone > 0 {
		t.Errorf("a report differs from itself: %s", fmt.Sprint(same))
	}
}
