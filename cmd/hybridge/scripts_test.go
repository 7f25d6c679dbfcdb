package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/hybridge-cli/hybridge/pkg/engine/change"
)

// Scripts of another plan are not left beside new ones, and nothing else in the folder is touched.
func TestOldScripts(t *testing.T) {
	one := change.Plan{Digest: "sha256:one", Changes: []change.Change{{ID: "online/Thing/a"}}}
	none := change.Plan{Digest: "sha256:none"}
	for _, test := range []struct {
		name   string
		plan   change.Plan
		before map[string]string
		args   []string
		code   int
		after  []string
		says   string
	}{
		{name: "new folder", plan: one, after: []string{"01-entra.ps1"}, says: "in the order of their names"},
		{name: "nothing to do", plan: none, says: "nothing to change: no script is written"},
		{
			name: "same plan again", plan: one,
			before: map[string]string{
				"01-entra.ps1": "hybridge plan sha256:one", "hybridge-result.json": `{"plan": "sha256:one"}`,
			},
			after: []string{"01-entra.ps1", "hybridge-result.json"},
		},
		{
			name: "another plan", plan: one, code: 2,
			says: "holds scripts of another plan: 10-online.ps1, hybridge-result.json",
			before: map[string]string{
				"10-online.ps1": "# hybridge plan: online", "mine.ps1": "Get-Date",
				"hybridge-result.json": `{"plan": "sha256:zero"}`,
			},
			after: []string{"10-online.ps1", "hybridge-result.json", "mine.ps1"},
		},
		{
			name: "another plan, forced", plan: one, args: []string{"--force"},
			before: map[string]string{
				"10-online.ps1": "# hybridge plan: online", "mine.ps1": "Get-Date",
				"hybridge-result.json": `{"plan": "sha256:zero"}`,
			},
			after: []string{"01-entra.ps1", "mine.ps1"},
		},
		{
			name: "nothing to do beside old ones", plan: none, code: 2,
			before: map[string]string{"10-online.ps1": "# hybridge plan: online"}, after: []string{"10-online.ps1"},
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "scripts")
			for name, text := range test.before {
				if err := os.MkdirAll(dir, 0o755); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			s := &scripted{plan: test.plan}
			file := filepath.Join(t.TempDir(), "answers.yaml")
			if err := os.WriteFile(file, []byte(answersFile), 0o600); err != nil {
				t.Fatal(err)
			}
			got := execute(t, s, "", append([]string{"plan", "-f", file, "--scripts", dir}, test.args...)...)
			if got.code != test.code || !strings.Contains(got.errout, test.says) {
				t.Errorf("exit %d, want %d\n%s", got.code, test.code, got.errout)
			}
			var after []string
			entries, _ := os.ReadDir(dir)
			for _, e := range entries {
				after = append(after, e.Name())
			}
			if !slices.Equal(after, test.after) {
				t.Errorf("the folder has %v, want %v", after, test.after)
			}
		})
	}
}
