package e2e

import (
	"os"
	"path/filepath"
	"regexp"
	"testing"
)

// TestUnknownEndsNine: what is required and could not be seen ends the run with 9, and the report
// names it. What only warns does not.
func TestUnknownEndsNine(t *testing.T) {
	e := startLab(t, "--forests", "1")
	path := filepath.Join(e.dir, "answers.yaml")
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	changed := regexp.MustCompile(`(?s)resolvers:\s*(\[[^\]]*\]|\n?\s*- \S+)`).
		ReplaceAll(text, []byte("resolvers: [\"127.0.0.1:1\"]"))
	if string(changed) == string(text) {
		t.Fatalf("no resolvers in %s", text)
	}
	if err := os.WriteFile(path, changed, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		only, status string
		code         int
	}{{"dns.mx", "error", 9}, {"dns.coexistence-mx", "error", 9}, {"dns.spf", "error", 0}} {
		report := decode[struct {
			Results []struct{ ID, Status, Summary string }
		}](t, e.must(t, tt.code, "check", "--only", tt.only, "-o", "json").stdout)
		if len(report.Results) != 1 || report.Results[0].Status != tt.status {
			t.Errorf("%s: %+v", tt.only, report.Results)
		}
	}
}
