package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/hybridge-cli/hybridge/pkg/engine/apply"
)

// The flags that narrow a plan reach the deployment, and are refused where a plan is made already.
func TestNarrowFlags(t *testing.T) {
	dir := t.TempDir()
	file, saved := filepath.Join(dir, "answers.yaml"), filepath.Join(dir, "plan.json")
	for name, data := range map[string][]byte{file: []byte(answersFile), saved: onePlan(t).Encode()} {
		if err := os.WriteFile(name, data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	done := apply.Report{Kind: "ApplyReport", RunID: "r", Summary: apply.Summary{Done: 1}}
	for _, verb := range [][]string{{"plan"}, {"apply", "--yes"}} {
		s := &scripted{plan: onePlan(t), apply: done}
		got := execute(t, s, "", append(verb, "-f", file, "--forest", "contoso", "--domain", "contoso.com,fabrikam.com")...)
		if got.code != exitFine || !slices.Equal(s.options.Forests, []string{"contoso"}) ||
			!slices.Equal(s.options.Domains, []string{"contoso.com", "fabrikam.com"}) {
			t.Errorf("%v: exit %d, %+v: %s", verb, got.code, s.options, got.errout)
		}
	}
	got := execute(t, &scripted{}, "", "apply", saved, "-f", file, "--yes", "--forest", "contoso")
	if got.code != exitUsage || !strings.Contains(got.errout, "when a plan is made") {
		t.Errorf("exit %d: %s", got.code, got.errout)
	}
}
