package report_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/mattn/go-runewidth"

	"github.com/hybridge-cli/hybridge/pkg/engine/report"
)

// Messages end at the terminal's width. What is copied stays whole, and where there is no terminal,
// so does everything.
func TestTold(t *testing.T) {
	const path = "/home/administrator/exchange/hybrid/deployments/contoso/answers-of-the-first-forest.yaml"
	for _, c := range []struct{ text, want string }{
		{"error: short", "error: short"},
		{"error: sign in to login.microsoftonline.com as hybridge@contoso.example: AADSTS7000215: the secret is wrong",
			"error: sign in to login.microsoftonline.com as hybridge@contoso.example:\n" +
				"       AADSTS7000215: the secret is wrong"},
		{"next: fix these failures, then look again with: hybridge check --only 'a.b,c.d' -f " + path,
			"next: fix these failures, then look again with:\n" +
				"      hybridge check --only 'a.b,c.d' -f " + path},
		{"next: fix these failures, then look again with: hybridge check -f " +
			"'/home/administrator/exchange of the  year/a.yaml', on a terminal that is wide",
			"next: fix these failures, then look again with:\n" +
				"      hybridge check -f '/home/administrator/exchange of the  year/a.yaml', on a\n" +
				"      terminal that is wide"},
		{"hint: hybridge help checks lists the ids of checks, hybridge plan those of changes that it makes",
			"hint: hybridge help checks lists the ids of checks,\n" +
				"      hybridge plan those of changes that it makes"},
		{"next: hybridge plan --out plan.json says what is missing and keeps it in a file that you can read and apply",
			"next: hybridge plan --out plan.json says what is missing and keeps it in a file\n" +
				"      that you can read and apply"},
		{"error: two\n  answers.yaml:4:1: organization: write the name of the organization, as it shows in a report",
			"error: two\n  answers.yaml:4:1: organization: write the name of the organization, as it\n" +
				"                    shows in a report"},
		{"the directory of forest contoso shows no Exchange organization, and so nothing is known of it",
			"the directory of forest contoso shows no Exchange organization, and so nothing\n  is known of it"},
		{"警告: " + strings.Repeat("没有许可证", 10), "警告: " + strings.Repeat("没有许可证", 7) + "没有\n      许可证" +
			strings.Repeat("没有许可证", 2)},
		{"a message whose first part is longer than a label: its lines are not indented by it, but by two",
			"a message whose first part is longer than a label: its lines are not indented\n  by it, but by two"},
	} {
		if diff := cmp.Diff(c.want, report.Told(c.text, 80)); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
		if got := report.Told(c.text, 0); got != c.text {
			t.Errorf("without a terminal: %q", got)
		}
		for _, width := range []int{1, 10, 40, 120} {
			got := report.Told(c.text, width)
			if squeeze(got) != squeeze(c.text) {
				t.Errorf("in %d columns: %q", width, got)
			}
		}
		for line := range strings.SplitSeq(report.Told(c.text, 80), "\n") {
			if runewidth.StringWidth(line) > 80 && !strings.Contains(line, path) {
				t.Errorf("wide: %q", line)
			}
		}
	}
}

func squeeze(s string) string {
	return strings.Join(strings.Fields(strings.ReplaceAll(s, "\n", " ")), "")
}
