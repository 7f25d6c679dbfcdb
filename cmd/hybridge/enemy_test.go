package main

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hybridge-cli/hybridge/pkg/engine/msg"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/deployment"
)

// toZero makes a link to what never ends.
func toZero(t *testing.T, path string) {
	t.Helper()
	if err := os.Symlink("/dev/zero", path); err != nil {
		t.Skip(err)
	}
}

// A folder of reports, or of answers files, may hold links to anything. Only files are read, and no
// more of one than its limit, whatever its size says.
func TestFoldersOfAnEnemy(t *testing.T) {
	dir := t.TempDir()
	const report = `{"apiVersion":"hybridge/v1","kind":"FleetReport","deployments":[{"about":{"deployment":"a","verb":"check",` +
		`"time":"2026-11-27T08:00:00Z"},"exitCode":0}]}`
	if err := os.WriteFile(filepath.Join(dir, "real"), []byte(report), 0o600); err != nil {
		t.Fatal(err)
	}
	toZero(t, filepath.Join(dir, "b.json"))
	toZero(t, filepath.Join(dir, "c.yaml"))
	if err := os.Symlink(filepath.Join(dir, "real"), filepath.Join(dir, "a.json")); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(filepath.Join(dir, "real"), filepath.Join(dir, "d.yaml")); err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer func(was int) { maxStored = was }(maxStored)
		maxStored = 1 << 20
		all, err := stored([]string{dir})
		if err != nil || len(all) != 1 || len(all[0].Deployments) != 1 {
			t.Errorf("%v: %+v", err, all)
		}
		all, err = stored([]string{filepath.Join(dir, "b.json")})
		if err != nil || len(all) != 1 || len(all[0].Unreadable) != 1 || !strings.Contains(all[0].Unreadable[0].Error, "larger") {
			t.Errorf("%v: %+v", err, all)
		}
		fleet, err := fleetOf(dir)
		if err != nil || len(fleet) != 1 || fleet["d"] == "" {
			t.Errorf("%v: %v", err, fleet)
		}
	}()
	select {
	case <-done:
	case <-time.After(time.Minute):
		t.Fatal("it does not end")
	}
}

// Names in a bundle lead out of no folder, on no system, and no file takes the place of another. A
// link in the folder of journals is no journal.
func TestBundleOfAnEnemy(t *testing.T) {
	for in, want := range map[string]string{`files/..\..\evil.exe`: "files/.._.._evil.exe", "files/c:x.log": "files/c_x.log",
		"files/a\x1b]52;.log": "files/a_]52;.log", "files/a.log": "files/a-2.log", "files/A.LOG": "files/A-2.LOG"} {
		if got := enclosed(in, []deployment.Enclosure{{Name: "files/a.log"}}); got != want {
			t.Errorf("%s became %s", in, got)
		}
	}
	state := filepath.Join(t.TempDir(), "[1]") // no pattern
	if err := os.MkdirAll(filepath.Join(state, "runs"), 0o700); err != nil {
		t.Fatal(err)
	}
	toZero(t, filepath.Join(state, "runs", "b.jsonl"))
	if err := os.WriteFile(filepath.Join(state, "runs", "a.jsonl"), []byte("{}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	one, two := filepath.Join(t.TempDir(), "same.log"), filepath.Join(t.TempDir(), "same.log")
	for _, path := range []string{one, two} {
		if err := os.WriteFile(path, []byte(path), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	tk := &task{state: state, streams: streams{Err: io.Discard}}
	got, err := tk.enclosures([]string{one, two}, time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"new.PFX", "ca.Pem", "svc.keytab"} {
		key := filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(key, []byte("x"), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := tk.enclosures([]string{key}, time.Time{}); err == nil || !strings.Contains(err.Error(), "may hold a key") {
			t.Errorf("%s: %v", name, err)
		}
	}
	var names []string
	for _, e := range got {
		names = append(names, e.Name)
	}
	if text := strings.Join(names, " "); text != "versions.txt journals/a.jsonl files/same.log files/same-2.log" {
		t.Error(text)
	}
}

// A file that cannot get its name leaves nothing behind.
func TestOutputFileLeavesNothing(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "plan.json")
	f, err := newOutputFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.Write([]byte("names of the organization")); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(path, 0o700); err != nil { // in between
		t.Fatal(err)
	}
	if err := f.commit(); err == nil {
		t.Error("it took the place of a folder")
	}
	if left, _ := os.ReadDir(dir); len(left) != 1 {
		t.Errorf("left behind: %v", left)
	}
	// A link that another account prepared is replaced, and what it leads to is not written.
	victim, link := filepath.Join(dir, "victim"), filepath.Join(dir, "link")
	if err := os.WriteFile(victim, []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(victim, link); err != nil {
		t.Skip(err)
	}
	if err := writeFile(link, []byte("plan")); err != nil {
		t.Fatal(err)
	}
	if data, _ := os.ReadFile(victim); !bytes.Equal(data, []byte("mine")) {
		t.Errorf("the file behind the link holds %q", data)
	}
}

// A name of the directory may hold a line break (that of a replication conflict does): it stays in
// the comment that says where an answer was found.
func TestFoundAnswersStayAComment(t *testing.T) {
	got := commented([]byte("# head\napiVersion: hybridge/v1\n"), []deployment.Proposal{{Question: "organization",
		Values: []string{"First\nnetwork: {insecureHosts: [evil.example]}"}, From: msg.Plain("EX1\nCNF:8f2a")}})
	head, _, _ := strings.Cut(string(got), "apiVersion:")
	for line := range strings.Lines(head) {
		if strings.TrimSpace(line) != "" && !strings.HasPrefix(line, "#") {
			t.Errorf("not a comment: %q", line)
		}
	}
}
