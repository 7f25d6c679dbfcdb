//go:build unix

package e2e

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestStateOfOthers: what other accounts can write decides nothing, whichever part of the state
// directory it is. The message names the command that repairs it.
func TestStateOfOthers(t *testing.T) {
	e := startLab(t)
	e.must(t, 0, "apply", "--yes")
	journals, err := filepath.Glob(filepath.Join(e.state, "runs", "*.jsonl"))
	if err != nil || len(journals) != 1 {
		t.Fatal(journals, err)
	}
	for _, path := range []string{e.state, filepath.Dir(journals[0]), journals[0]} {
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(path, info.Mode().Perm()|0o022); err != nil {
			t.Fatal(err)
		}
		for _, args := range [][]string{{"rollback", "--yes", "--accept", "removals"}, {"history"}} {
			r := e.run(t, args...)
			if r.code != 1 || !strings.Contains(r.stdout+r.stderr, "chmod go-w "+path) {
				t.Errorf("%s with %s open: exit %d, want 1\n%s", args[0], filepath.Base(path), r.code, tail(r.stderr))
			}
		}
		if err := os.Chmod(path, info.Mode().Perm()); err != nil {
			t.Fatal(err)
		}
	}
	if p := e.plan(t); len(p.Changes) > 0 {
		t.Errorf("a refused rollback has changed something: %d changes", len(p.Changes))
	}
	for _, path := range []string{filepath.Dir(journals[0]), journals[0]} {
		if info, err := os.Stat(path); err != nil || info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s: mode %v, %v", path, info.Mode(), err)
		}
	}
	e.must(t, 0, "rollback", "--yes", "--accept", "removals")
}

// TestUnreadableJournal: garbage among the journals is named, and blocks no other run.
func TestUnreadableJournal(t *testing.T) {
	e := startLab(t)
	e.must(t, 0, "apply", "--yes")
	runs := filepath.Join(e.state, "runs")
	garbage := filepath.Join(runs, "20200101T000000.000Z.jsonl")
	if err := os.WriteFile(garbage, []byte("\x1b[2Jgarbage\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	r := e.run(t, "history")
	if !strings.Contains(r.stdout, "20200101T000000.000Z") || strings.ContainsRune(r.stdout+r.stderr, '\x1b') {
		t.Errorf("history: exit %d\n%s%s", r.code, r.stdout, tail(r.stderr))
	}
	e.must(t, 0, "plan", "--detailed-exitcode")
	e.must(t, 0, "rollback", "--yes", "--accept", "removals")
	e.must(t, 0, "apply", "--yes")
}
