package report_test

import (
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/hybridge-cli/hybridge/pkg/engine/msg"
	"github.com/hybridge-cli/hybridge/pkg/engine/report"
)

// clock moves by two seconds with each look.
func clock() func() time.Time {
	now := time.Date(2026, 11, 27, 3, 0, 0, 0, time.UTC)
	return func() time.Time { now = now.Add(2 * time.Second); return now }
}

func metrics(t *testing.T, code int, about report.About, documents ...report.Document) string {
	t.Helper()
	var b strings.Builder
	w := open(&b, "openmetrics", report.Options{Now: clock()})
	w.(report.Beginner).Begin(about)
	for _, d := range documents {
		if err := w.Write(d); err != nil {
			t.Fatal(err)
		}
	}
	if b.Len() > 0 {
		t.Errorf("written before the exit code is known: %s", b.String())
	}
	if err := w.End(code); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestOpenMetrics(t *testing.T) {
	about := report.About{Deployment: "Contoso", Verb: "check"}
	golden(t, "check.prom", []byte(metrics(t, 3, about, checks())))
	golden(t, "plan.prom", []byte(metrics(t, 5, about, plan())))
	golden(t, "matrix.prom", []byte(metrics(t, 3, about, matrix())))

	// A run that failed has a file too, and it says so.
	failed := metrics(t, 9, report.About{Deployment: "Contoso", Verb: "check"})
	if !strings.Contains(failed, `hybridge_run_exit_code{deployment="Contoso",verb="check"} 9`) {
		t.Errorf("%s", failed)
	}

	// Names are quoted, and two results of one name are one sample: the worse.
	twice := report.Finding{ID: `a"b\c`, Place: "x\ny", Status: report.Fail, Title: msg.Plain("t")}
	fine := twice
	fine.Status = report.Pass
	out := metrics(t, 3, about, shown{report.View{Blocks: []report.Block{twice, fine}}})
	if want := `hybridge_check_state{deployment="Contoso",verb="check",id="a\"b\\c",place="x y"} 4`; strings.Count(out,
		"hybridge_check_state{") != 1 || !strings.Contains(out, want+"\n") {
		t.Errorf("want %s: %s", want, out)
	}

	// Members of a fleet have their own labels.
	member := report.Finding{ID: "a.b", Place: "north: contoso", Status: report.Fail}
	out = metrics(t, 3, report.About{Deployment: "fleet", Verb: "merge"}, shown{report.View{Blocks: []report.Block{
		report.Section{View: report.View{About: report.About{Deployment: "north", Verb: "check", Time: clock()()},
			Member: &report.Member{Code: 3, Took: time.Minute, Counts: map[report.Status]int{report.Pass: 7, report.Fail: 1}},
			Blocks: []report.Block{member}}}}}})
	for _, want := range []string{
		`hybridge_run_exit_code{deployment="north",verb="check"} 3`,
		`hybridge_run_duration_seconds{deployment="north",verb="check"} 60`,
		`hybridge_check_state{deployment="north",verb="check",id="a.b",place="contoso"} 4`,
		`hybridge_findings{deployment="north",verb="check",status="pass"} 7`,
	} {
		if !strings.Contains(out, want+"\n") {
			t.Errorf("want %s: %s", want, out)
		}
	}
	for _, line := range strings.Split(strings.TrimSpace(out), "\n") {
		if !regexp.MustCompile(`^(# (HELP|TYPE) \w+ .+|# EOF|\w+\{.*\} \S+)$`).MatchString(line) {
			t.Errorf("%q", line)
		}
	}
}
