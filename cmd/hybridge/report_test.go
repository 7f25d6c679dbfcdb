package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hybridge-cli/hybridge/pkg/engine/check"
	"github.com/hybridge-cli/hybridge/pkg/engine/msg"
)

// Two reports as check writes them are compared, from files and from standard input.
func TestReportDiff(t *testing.T) {
	dir := t.TempDir()
	save := func(name string, d any) string {
		t.Helper()
		data, err := json.Marshal(d)
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	result := func(s check.Status, summary string) check.Result {
		return check.Result{ID: "directory.reachable", Scope: "contoso", Status: s, Summary: msg.Plain(summary)}
	}
	fine := save("fine.json", checked(result(check.StatusPass, "dc1 answers")))
	failed := save("failed.json", checked(result(check.StatusFail, "dc1 \x1b[31mis wrong")))
	unseen := save("unseen.json", checked(result(check.StatusError, "no route")))
	aRun := checked(result(check.StatusPass, "dc1 answers"))
	run := save("run.json", runDocument{APIVersion: "hybridge/v1", Kind: "RunReport", Check: &aRun})
	plan := save("plan.json", map[string]string{"apiVersion": "hybridge/v1", "kind": "Plan"})
	newer := save("newer.json", map[string]string{"apiVersion": "hybridge/v9", "kind": "CheckReport"})
	damaged := save("damaged.json",
		map[string]any{"apiVersion": "hybridge/v1", "kind": "CheckReport", "results": "none"})
	text := filepath.Join(dir, "report.txt")
	if err := os.WriteFile(text, []byte("PASS"), 0o600); err != nil {
		t.Fatal(err)
	}
	whole, err := os.ReadFile(fine)
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		before, after string
		stdin         string
		code          int
		says          string
	}{
		{fine, failed, "", exitFailed, `  FAIL  new directory.reachable  contoso
        dc1 \u001b[31mis wrong
        before  dc1 answers`},
		{failed, fine, "", exitFine, "PASS  gone directory.reachable  contoso"},
		{failed, failed, "", exitFine, "Findings: 0 new, 0 not seen again, 0 gone, 1 unchanged."},
		{failed, unseen, "", exitInconclusive, "ERR   not seen again directory.reachable"},
		{run, failed, "", exitFailed, "1 new"},
		{"-", failed, string(whole), exitFailed, "1 new"},
		{"-", "-", string(whole), exitUsage, "only one of the two"},
		{fine, plan, "", exitUsage, `kind "Plan", not a CheckReport`},
		{fine, newer, "", exitUsage, `of version "hybridge/v9"`},
		{fine, damaged, "", exitUsage, "is damaged"},
		{fine, text, "", exitUsage, "is not JSON"},
		{fine, filepath.Join(dir, "absent.json"), "", exitUsage, "absent.json"},
	} {
		got := execute(t, &scripted{}, test.stdin, "report", "diff", test.before, test.after)
		if got.code != test.code || !strings.Contains(got.out+got.errout, test.says) {
			t.Errorf("diff %s %s: exit %d, want %d and %q:\n%s%s", filepath.Base(test.before),
				filepath.Base(test.after),
				got.code, test.code, test.says, got.out, got.errout)
		}
	}
	got := execute(t, &scripted{}, "", "report", "diff", fine, failed, "-o", "json")
	if err := validates(t, schemaComments(t), "check-diff", []byte(got.out)); err != nil || got.code != exitFailed {
		t.Errorf("exit %d: %v\n%s", got.code, err, got.out)
	}
	if got := execute(t, &scripted{}, "", "report"); got.code != exitUsage ||
		!strings.Contains(got.errout, "report diff") {
		t.Errorf("exit %d: %s", got.code, got.errout)
	}
}
