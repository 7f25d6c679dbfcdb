//go:build linux

package windows

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestTheWholeLoop is the loop of test/e2e on Windows.
func TestTheWholeLoop(t *testing.T) {
	e := startLab(t)
	if r := e.must(t, 0, "version"); !strings.Contains(r.stdout, "windows/amd64") {
		t.Errorf("version: %s", r.stdout)
	}
	e.must(t, 0, "init", "--output-file", "neue Antworten für später.yaml")
	fresh, err := os.ReadFile(filepath.Join(e.work, "neue Antworten für später.yaml"))
	if err != nil || !bytes.Contains(fresh, []byte("kind: Answers")) {
		t.Errorf("init wrote %q, %v", fresh, err)
	}
	if r := e.must(t, 2, "check", "-f", `C:\Größe\antworten.yaml`); !strings.Contains(r.stderr, "hybridge init") {
		t.Errorf("an answers file that is not there: %s", r.stderr)
	}

	r := e.must(t, 0, "check", "-f", e.answers)
	if next := `next: hybridge plan -f "` + e.answers + `"`; !strings.Contains(r.stderr, next) {
		t.Errorf("the next command is not %s:\n%s", next, r.stderr)
	}
	e.must(t, 3, "test", "-f", e.answers) // nothing works yet
	read := func() plan { return decode[plan](t, e.must(t, 0, "plan", "-f", e.answers, "-o", "json").stdout) }
	before := read()
	if len(before.Changes) == 0 {
		t.Fatal("the first plan is empty")
	}
	e.must(t, 0, "plan", "-f", e.answers, "--out", "Plan für heute.json", "--scripts", "Skripte für heute")
	for _, place := range []string{"entra", "onprem-contoso", "onprem-fabrikam", "online"} {
		found, _ := filepath.Glob(filepath.Join(e.work, "Skripte für heute", "*-"+place+".ps1"))
		if len(found) == 0 {
			t.Errorf("no script for %s", place)
		}
	}
	e.must(t, 0, "apply", "Plan für heute.json", "-f", e.answers, "--yes")
	e.must(t, 0, "plan", "-f", e.answers, "--detailed-exitcode")
	e.must(t, 0, "test", "-f", e.answers)
	// the live state has changed
	e.must(t, 7, "apply", "Plan für heute.json", "-f", e.answers, "--yes")

	runs := decode[struct {
		Runs []struct{ RunID, Outcome string }
	}](t, e.must(t, 0, "history", "-f", e.answers, "-o", "json").stdout).Runs
	if len(runs) != 1 || runs[0].Outcome != "complete" {
		t.Fatalf("history shows %+v", runs)
	}
	local := filepath.Join(e.prefix, "drive_c", "users", "*", "AppData", "Local", "hybridge", "*")
	journals, _ := filepath.Glob(filepath.Join(local, "runs", runs[0].RunID+".jsonl"))
	if len(journals) != 1 {
		t.Fatalf("under AppData are the journals %q", journals)
	}
	if _, err := os.Stat(filepath.Join(journals[0], "..", "..", "lock")); err != nil {
		t.Error(err)
	}
	e.must(t, 0, "rollback", "-f", e.answers, "--yes")
	if d := cmp.Diff(before, read()); d != "" {
		t.Errorf("rollback did not restore what was there before:\n%s", d)
	}
	e.must(t, 5, "plan", "-f", e.answers, "--detailed-exitcode")
}

// TestLongPaths: longer than the 260 characters that Windows accepts by default.
func TestLongPaths(t *testing.T) {
	e := startLab(t)
	long := t.TempDir()
	for range 4 {
		long = filepath.Join(long, strings.Repeat("Länge und Übermaß ", 5)+"x")
	}
	file := filepath.Join(long, "answers.yaml")
	if err := os.MkdirAll(long, 0o700); err != nil {
		t.Fatal(err)
	}
	content, err := os.ReadFile(filepath.Join(e.dir, "answers.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	content = bytes.ReplaceAll(content, []byte("secrets/"), []byte(filepath.ToSlash("Z:"+e.dir)+"/secrets/"))
	content = bytes.ReplaceAll(content, []byte("caFile: ca.pem"), []byte("caFile: Z:"+e.dir+"/ca.pem"))
	if err := os.WriteFile(file, content, 0o600); err != nil {
		t.Fatal(err)
	}
	state := filepath.Join(long, "state")
	e.must(t, 0, "apply", "-f", path(file), "--state-dir", path(state), "--yes")
	if journals, _ := filepath.Glob(filepath.Join(state, "runs", "*.jsonl")); len(journals) != 1 {
		t.Errorf("the journals are %q", journals)
	}
	e.must(t, 0, "rollback", "-f", path(file), "--state-dir", path(state), "--yes")
}

// TestCredentialManager: a secret stored there, as text and in the form of cmdkey.
func TestCredentialManager(t *testing.T) {
	e := startLab(t)
	secret, err := os.ReadFile(filepath.Join(e.dir, "secrets", "contoso-svc-hybridge"))
	if err != nil {
		t.Fatal(err)
	}
	content, err := os.ReadFile(filepath.Join(e.dir, "answers.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(e.dir, "keyring.yaml")
	for _, form := range []string{"utf8", "utf16"} {
		text := strings.ReplaceAll(string(content), "file:secrets/contoso-svc-hybridge",
			"keyring:hybridge "+form+"/contoso")
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		missing := "the keyring holds no item of account contoso at service hybridge " + form
		if r := e.must(t, 9, "check", "-f", path(file), "--only", "access.onprem-read"); !r.says(missing) {
			t.Errorf("%s: a secret that is not there:\n%s", form, r.stdout)
		}
		e.store(t, "hybridge "+form+":contoso", "contoso", strings.TrimSpace(string(secret)), form)
		e.must(t, 0, "check", "-f", path(file), "--only", "access.onprem-read")
	}
}
