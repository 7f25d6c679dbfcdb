package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hybridge-cli/hybridge/pkg/config/answers"
	"github.com/hybridge-cli/hybridge/pkg/engine/change"
	"github.com/hybridge-cli/hybridge/pkg/engine/check"
	"github.com/hybridge-cli/hybridge/pkg/engine/msg"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/deployment"
)

// Errors, hints and the next step fit a terminal. A file has each on a line, and a file of output is
// as wide as it needs to be, whatever the terminal.
func TestMessagesFitTheTerminal(t *testing.T) {
	dir := t.TempDir()
	file, out := filepath.Join(dir, "answers.yaml"), filepath.Join(dir, "checks.txt")
	if err := os.WriteFile(file, []byte(answersFile), 0o600); err != nil {
		t.Fatal(err)
	}
	long := strings.Repeat("server ex1.contoso.example answers ", 5)
	s := &scripted{check: check.Report{Results: []check.Result{
		{ID: "a.b", Status: check.StatusPass, Scope: "contoso", Summary: msg.Plain(long)},
		{ID: "a.c", Status: check.StatusFail, Scope: "contoso", Summary: msg.Plain("broken")}}}}
	for _, args := range [][]string{
		{"check"}, {"check", "-f", filepath.Join(dir, "none.yaml")}, {"check", "-o", "nothing"},
		{"check", "--accept", "none"}, {"check", "-f", file, "--output-file", out},
	} {
		for _, width := range []int{0, 80} {
			var errout bytes.Buffer
			at := streams{In: strings.NewReader(""), Out: &bytes.Buffer{}, Err: &errout, OutTTY: true, ErrTTY: width > 0,
				Width: 80, ErrWidth: width, Env: func(name string) string { return map[string]string{"HOME": dir}[name] }}
			runIn(t.Context(), args, at, func(answers.Answers, deployment.Options) (deployed, error) { return s, nil })
			lines := strings.Split(strings.TrimSuffix(errout.String(), "\n"), "\n")
			for _, line := range lines {
				if width > 0 && len(line) > width && !strings.Contains(line, dir) {
					t.Errorf("%v: wider than the terminal: %q", args, line)
				}
				if width == 0 && line != "" && !strings.Contains(line, ": ") {
					t.Errorf("%v: broken in a file: %q", args, lines)
				}
			}
		}
	}
	written, err := os.ReadFile(out)
	if err != nil || !strings.Contains(string(written), strings.TrimSpace(long)) {
		t.Errorf("%v: cut in a file:\n%s", err, written)
	}
}

// What there is one of is told as one.
func TestOneIsOne(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "answers.yaml")
	if err := os.WriteFile(file, []byte(answersFile), 0o600); err != nil {
		t.Fatal(err)
	}
	found := check.Report{Results: []check.Result{{ID: "a.b", Status: check.StatusFail, Findings: []check.Finding{{DN: "CN=a"}}}}}
	for want, args := range map[string][]string{
		"error: 1 change needs a confirmation and there is no terminal": {"apply"},
		"findings.csv: 1 finding\n":                                     {"check", "--findings", filepath.Join(dir, "findings.csv")},
	} {
		got := execute(t, &scripted{plan: onePlan(t), check: found}, "", append(args, "-f", file)...)
		if !strings.Contains(got.errout, want) {
			t.Errorf("%v: %s", args, got.errout)
		}
	}
	one := change.Plan{Summary: change.Summary{Unchanged: 1}}
	if got := execute(t, &scripted{plan: one}, "", "plan", "-f", file); !strings.Contains(got.out, "1 resource is up to date.") {
		t.Error(got.out)
	}
}
