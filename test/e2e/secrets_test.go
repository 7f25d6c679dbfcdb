package e2e

import (
	"bytes"
	"encoding/base64"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// TestSecretsStayWhereTheyAre runs every verb with every log on. It searches everything that was
// written, printed or shown in the process list for every secret of the answers, the lab and the
// environment, in any encoding.
func TestSecretsStayWhereTheyAre(t *testing.T) {
	e := startLab(t)
	secrets := map[string]string{}
	files, err := filepath.Glob(filepath.Join(e.dir, "secrets", "*"))
	if err != nil || len(files) == 0 {
		t.Fatalf("the lab has no secrets to look for: %v", err)
	}
	for _, f := range files {
		// passwords; the PKCS#12 files are not text
		if b, err := os.ReadFile(f); err == nil && len(b) < 200 {
			secrets[filepath.Base(f)] = strings.TrimSpace(string(b))
		}
	}
	// One of them moves into the environment, as in CI.
	answers := filepath.Join(e.dir, "answers.yaml")
	text, err := os.ReadFile(answers)
	if err != nil {
		t.Fatal(err)
	}
	var name string
	for n := range secrets {
		if strings.Contains(string(text), "file:secrets/"+n) {
			name = n
			break
		}
	}
	moved := strings.ReplaceAll(string(text), "file:secrets/"+name, "env:HYBRIDGE_TEST_SECRET")
	if name == "" || moved == string(text) {
		t.Fatal("the answers refer to none of the lab's secrets")
	}
	if err := os.WriteFile(answers, []byte(moved), 0o600); err != nil {
		t.Fatal(err)
	}
	e.env = append(e.env, "HYBRIDGE_TEST_SECRET="+secrets[name])

	work := t.TempDir()
	stop, seen := watchProcesses(t)
	at := func(file string) string { return filepath.Join(work, file) }
	var printed bytes.Buffer
	for i, args := range [][]string{
		{"check"}, {"check", "-o", "json"}, {"check", "-o", "junit", "--output-file", at("check.xml")}, {"test"},
		{"plan", "--out", at("p.json"), "--scripts", at("scripts")}, {"apply", at("p.json"), "--yes", "-o", "jsonl"},
		{"test", "-o", "json"},
		{"history"}, {"rollback", "--yes"},
	} {
		log := at("log" + string(rune('a'+i)))
		r := e.run(t, append(args, "--log-level", "debug", "--log-file", log)...)
		if r.code > 3 {
			t.Errorf("%v: exit %d\n%s", args, r.code, tail(r.stderr))
		}
		printed.WriteString(r.stdout + r.stderr)
	}
	stop()

	found := func(where string, content []byte) {
		for name, secret := range secrets {
			for _, form := range []string{secret, base64.StdEncoding.EncodeToString([]byte(secret)),
				url.QueryEscape(secret)} {
				if bytes.Contains(content, []byte(form)) {
					t.Errorf("the secret %s is in %s", name, where)
				}
			}
		}
	}
	found("what was printed", printed.Bytes())
	found("the process list", []byte(seen()))
	looked := 0
	for _, root := range []string{work, e.state, e.dir} {
		filepath.WalkDir(root, func(path string, d os.DirEntry, err error) error {
			if err != nil || d.IsDir() || filepath.Base(filepath.Dir(path)) == "secrets" {
				return err
			}
			content, err := os.ReadFile(path)
			if err != nil {
				t.Error(err)
			}
			looked++
			found(path, content)
			return nil
		})
	}
	if looked < 12 {
		t.Errorf("only %d files were there to look at", looked)
	}
}

// watchProcesses collects the command line of every process that it sees.
func watchProcesses(t *testing.T) (stop func(), seen func() string) {
	t.Helper()
	done := make(chan struct{})
	var wait sync.WaitGroup
	lines := map[string]bool{}
	wait.Go(func() {
		for {
			select {
			case <-done:
				return
			case <-time.After(5 * time.Millisecond):
			}
			files, _ := filepath.Glob("/proc/[0-9]*/cmdline")
			for _, f := range files {
				if b, err := os.ReadFile(f); err == nil {
					lines[string(b)] = true
				}
			}
		}
	})
	return func() { close(done); wait.Wait() }, func() string {
		var all strings.Builder
		for l := range lines {
			all.WriteString(l + "\n")
		}
		return all.String()
	}
}
