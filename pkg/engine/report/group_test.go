package report_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/hybridge-cli/hybridge/pkg/engine/check"
	"github.com/hybridge-cli/hybridge/pkg/engine/msg"
	"github.com/hybridge-cli/hybridge/pkg/engine/report"
)

// skipped are checks without a tenant, as of Amazon WorkMail alone, and one that lacks a right.
func skipped() check.Report {
	skip := func(id check.ID, place, why string) check.Result {
		return check.Result{ID: id, Scope: place, Status: check.StatusSkip, Summary: msg.Plain(why)}
	}
	const absent = "Exchange Online is not configured in the answers file"
	blind := skip("directory.upn-format", "contoso", absent)
	blind.MissingRights = []msg.Text{msg.Plain("Read property mail")}
	results := []check.Result{
		skip("cloud.signed-in", "tenant", absent), skip("certificates.distinct", "contoso", "there is only one forest"),
		skip("identity.authority", "tenant", absent), skip("domains.verified", "contoso", absent),
		blind, skip("domains.verified", "fabrikam", absent), skip("oauth.partner", "contoso", absent),
		{ID: "directory.reachable", Scope: "contoso", Status: check.StatusPass},
	}
	return check.Report{Results: results, Summary: check.Count(results)}
}

// What does not apply for one reason is one entry. A right that is missing stays a line of its own,
// and so do a few.
func TestSkippedAreGrouped(t *testing.T) {
	const foot = `  SKIP  certificates.distinct  contoso
        there is only one forest
  SKIP  directory.upn-format  contoso
        Exchange Online is not configured in the answers file

Checks: 1 passed, 7 skipped.
`
	const head = `  PASS  directory.reachable  contoso
  SKIP  5 checks  tenant, contoso, fabrikam
        Exchange Online is not configured in the answers file
`
	for name, c := range map[string]struct {
		style report.Style
		want  string
	}{
		"terminal": {report.Style{Width: 80}, head + "        the same command with -o markdown lists them\n" + foot},
		"file": {report.Style{}, head + "        cloud.signed-in (tenant), identity.authority (tenant), " +
			"domains.verified (contoso, fabrikam),\n        oauth.partner (contoso)\n" + foot},
	} {
		got := written(t, "text", report.Options{Style: c.style}, skipped())
		if diff := cmp.Diff(c.want, string(got)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
	// The wizard's plain lines have no other format to name.
	lines := strings.Join(report.Style{Width: 80}.View(skipped().View()), "\n")
	if strings.Contains(lines, "-o markdown") || !strings.Contains(lines, "oauth.partner (contoso)") {
		t.Error(lines)
	}
}

// Ids stay whole, however many there are, and have no places where each is everywhere.
func TestGroupOfManyForests(t *testing.T) {
	var r check.Report
	for _, forest := range []string{"contoso", "fabrikam", "litware"} {
		for range 200 {
			id := check.ID("category" + strings.Repeat("x", len(r.Results)%200) + ".topic")
			r.Results = append(r.Results, check.Result{ID: id, Scope: forest, Status: check.StatusSkip,
				Summary: msg.Of("cancelled")})
		}
	}
	lines := report.Style{}.View(r.View())
	if lines[0] != "  SKIP  600 checks  contoso, fabrikam, litware" {
		t.Error(lines[0])
	}
	text := strings.Join(lines[2:], "\n")
	if n := strings.Count(text, ".topic"); n != 200 || strings.Contains(text, "contoso") {
		t.Errorf("%d ids in:\n%s", n, text)
	}
}
