//go:build unix

package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// A pipe in a shared folder that others can write to is not written to: they prepared it to read.
func TestPipeOfAnEnemy(t *testing.T) {
	path := filepath.Join(t.TempDir(), "plan.json")
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		t.Skip(err)
	}
	if err := os.Chmod(path, 0o666); err != nil { //nolint:gosec // the attack
		t.Fatal(err)
	}
	if _, err := newOutputFile(path); err == nil || !strings.Contains(err.Error(), "other accounts may write") {
		t.Errorf("%v", err)
	}
}

// A pipe or a device that does not take what is written stays where it is: it is no half-written
// file of ours.
func TestPipeThatEndsEarlyStays(t *testing.T) {
	path := filepath.Join(t.TempDir(), "plan.json")
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		t.Skip(err)
	}
	go func() {
		if reader, err := os.Open(path); err == nil {
			_, _ = reader.Read(make([]byte, 1))
			_ = reader.Close()
		}
	}()
	if err := writeFile(path, make([]byte, 1<<20)); err == nil {
		t.Error("all of it was taken")
	}
	if _, err := os.Lstat(path); err != nil {
		t.Error(err)
	}
}

// A log is added to a file. One that another account put into a shared folder gets nothing: a link
// to a file of ours, a pipe without a reader, an own file to read along.
func TestLogOfAnEnemy(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can make the files of another account")
	}
	dir := t.TempDir()
	victim := filepath.Join(dir, "victim")
	if err := os.WriteFile(victim, []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	log := func(path string) string {
		var out, complaint bytes.Buffer
		done := make(chan int, 1)
		go func() {
			done <- run([]string{"version", "--log-level", "debug", "--log-file", path},
				streams{In: strings.NewReader(""),
					Out: &out, Err: &complaint, Env: func(string) string { return "" }}, nil)
		}()
		select {
		case code := <-done:
			if (code == exitUsage) != (complaint.Len() > 0) {
				t.Errorf("%s: exit %d, %s", path, code, &complaint)
			}
		case <-time.After(10 * time.Second):
			t.Fatalf("%s: it waits", path)
		}
		return complaint.String()
	}
	for name, put := range map[string]func(string) error{
		"link": func(path string) error { return os.Symlink(victim, path) },
		"pipe": func(path string) error { return syscall.Mkfifo(path, 0o666) },
		"file": func(path string) error { return os.WriteFile(path, nil, 0o666) }, //nolint:gosec // the attack
	} {
		path := filepath.Join(dir, name)
		if err := put(path); err != nil {
			t.Fatal(err)
		}
		if err := os.Lchown(path, 65534, -1); err != nil {
			t.Skip(err)
		}
		if said := log(path); !strings.Contains(said, "another account") {
			t.Errorf("%s: %q", name, said)
		}
	}
	if data, _ := os.ReadFile(victim); string(data) != "mine" {
		t.Errorf("the file behind the link holds %q", data)
	}
	own := filepath.Join(dir, "own")
	if err := os.Symlink(victim, own); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{filepath.Join(dir, "new"), victim, own, "/dev/null"} {
		if said := log(path); said != "" {
			t.Errorf("%s: %s", path, said)
		}
	}
}

// Between the look at a path and its opening, another account may put a link to a file of ours in
// the place of a device. The beginning of that file would be overwritten.
func TestDeviceThatBecomesAFile(t *testing.T) {
	dir := t.TempDir()
	path, victim := filepath.Join(dir, "plan.json"), filepath.Join(dir, "victim")
	if err := os.WriteFile(victim, []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	put := func(target string) {
		next := filepath.Join(dir, "next")
		if err := os.Symlink(target, next); err == nil {
			_ = os.Rename(next, path)
		}
	}
	put("/dev/null")
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		for {
			select {
			case <-stop:
				return
			default:
				put(victim)
				put("/dev/null")
			}
		}
	}()
	defer func() { close(stop); <-stopped }()
	for range 3000 {
		f, err := newOutputFile(path)
		if err != nil {
			continue
		}
		if f.path != "" { // it was the file: it would be replaced
			_ = f.Close()
			_ = os.Remove(f.Name())
			continue
		}
		_, _ = f.WriteString("plan")
		_ = f.commit()
	}
	if data, _ := os.ReadFile(victim); string(data) != "mine" {
		t.Errorf("the file holds %q", data)
	}
}
