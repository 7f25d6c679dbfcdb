package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/hybridge-cli/hybridge/pkg/engine/apply"
	"github.com/hybridge-cli/hybridge/pkg/engine/change"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/deployment"
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
		{name: "new folder", plan: one,
			after: []string{"01-entra.ps1", "02-online.ps1", "RUNBOOK.md", "hybridge-plan.json", "rollback"},
			says:  "in the order of their names"},
		{name: "nothing to do", plan: none, says: "nothing to change: no script is written"},
		{
			name: "same plan again", plan: one,
			before: map[string]string{
				"01-entra.ps1": "hybridge plan sha256:one", "hybridge-result.json": `{"plan": "sha256:one"}`,
			},
			after: []string{"01-entra.ps1", "02-online.ps1", "RUNBOOK.md", "hybridge-plan.json", "hybridge-result.json",
				"rollback"},
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
				"hybridge-result.json": `{"plan": "sha256:zero"}`, "02-workmail.result.json": `{"plan": "sha256:zero"}`,
			},
			after: []string{"01-entra.ps1", "02-online.ps1", "02-workmail.result-1.json", "RUNBOOK.md",
				"hybridge-plan.json",
				"hybridge-result-1.json",
				"mine.ps1", "rollback"},
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

// Scripts that ran in part are reported by check and plan, and their result file is a run of the
// history that rollback undoes.
func TestResultOfScripts(t *testing.T) {
	plan := onePlan(t)
	dir, state := t.TempDir(), filepath.Join(t.TempDir(), "state")
	file, ran := filepath.Join(t.TempDir(), "answers.yaml"), filepath.Join(dir, apply.ResultFile)
	for path, text := range map[string]string{
		file: answersFile,
		ran: fmt.Sprintf(`{"apiVersion": "hybridge/v1", "kind": "ScriptResult", "plan": %q, "changes": {%q: {
			"script": "01-online.ps1", "status": "refused", "text": "no right", "write": "begun"}}}`,
			plan.Digest, plan.Changes[0].ID),
	} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	hybridge := func(args ...string) result {
		return execute(t, &scripted{plan: plan}, "", append(args, "-f", file, "--state-dir", state)...)
	}
	if got := hybridge("plan", "--scripts", dir); got.code != exitFine {
		t.Fatal(got.errout)
	}
	for _, verb := range []string{"check", "plan"} {
		got := hybridge(verb)
		for _, part := range []string{"ran in part: 0 of 1 changes", "01-online.ps1 stopped at " + plan.Changes[0].ID +
			": no right", "hybridge rollback " + ran} {
			if !strings.Contains(got.errout, part) {
				t.Errorf("%s does not say %q:\n%s", verb, part, got.errout)
			}
		}
	}
	missing := filepath.Join(t.TempDir(), "none.json")
	if got := hybridge("rollback", missing, "--yes"); got.code != exitUsage || !strings.Contains(got.errout, missing) {
		t.Errorf("a file that is not there: exit %d\n%s", got.code, got.errout)
	}
}

// Each team gets a folder with its scripts, its rollback scripts, its runbook and the plan.
func TestScriptsByRole(t *testing.T) {
	dir, file := filepath.Join(t.TempDir(), "scripts"), filepath.Join(t.TempDir(), "answers.yaml")
	if err := os.WriteFile(file, []byte(answersFile), 0o600); err != nil {
		t.Fatal(err)
	}
	got := execute(t, &scripted{plan: onePlan(t)}, "", "plan", "-f", file, "--scripts", dir, "--split", "role")
	if got.code != exitFine {
		t.Fatal(got.errout)
	}
	var files []string
	for _, role := range []string{"entra", "exchange", "network"} {
		for _, pattern := range []string{"*", "rollback/*"} {
			found, _ := filepath.Glob(filepath.Join(dir, role, pattern))
			for _, path := range found {
				name, _ := filepath.Rel(dir, path)
				files = append(files, filepath.ToSlash(name))
			}
		}
	}
	want := []string{
		"entra/01-entra.ps1", "entra/RUNBOOK.md", "entra/hybridge-plan.json", "entra/rollback",
		"entra/rollback/01-entra.ps1", "exchange/02-online.ps1", "exchange/RUNBOOK.md", "exchange/hybridge-plan.json",
		"exchange/rollback", "exchange/rollback/02-online.ps1", "network/RUNBOOK.md",
	}
	if diff := cmp.Diff(want, files); diff != "" {
		t.Error(diff)
	}
	for _, args := range [][]string{{"--split", "role"}, {"--scripts", dir, "--split", "forest"}} {
		if got := execute(t, &scripted{}, "", append([]string{"plan", "-f", file}, args...)...); got.code != exitUsage {
			t.Errorf("%v: exit %d", args, got.code)
		}
	}
}

// A rollback of a result file undoes the run that it became.
func TestRollbackOfAResult(t *testing.T) {
	plan, err := change.Make(t.Context(), map[string]change.Place{"online": nothing{}}, []change.Resource{
		{Kind: deployment.Kinds()["RemoteDomain"], Target: "online", Key: "a", Name: "a",
			Properties: change.Properties{"DomainName": "a.example"}}}, change.Options{})
	if err != nil {
		t.Fatal(err)
	}
	dir, file := t.TempDir(), filepath.Join(t.TempDir(), "answers.yaml")
	ran := filepath.Join(dir, apply.ResultFile)
	for path, text := range map[string]string{
		file: answersFile, filepath.Join(dir, apply.PlanFile): string(plan.Encode()),
		ran: fmt.Sprintf(`{"apiVersion": "hybridge/v1", "kind": "ScriptResult", "plan": %q, "changes": {%q: {
			"script": "01-online.ps1", "status": "refused", "text": "no right", "write": "begun"}}}`,
			plan.Digest, plan.Changes[0].ID),
	} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	s := &scripted{plan: plan}
	got := execute(t, s, "", "rollback", ran, "--yes", "-f", file, "--state-dir", filepath.Join(dir, "state"))
	if called := strings.Join(s.called, ","); got.code != exitFine || !strings.HasPrefix(called, "rollback 2") {
		t.Errorf("exit %d, called %s: %s", got.code, called, got.errout)
	}
}
