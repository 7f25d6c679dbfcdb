//go:build unix

package main

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// A directory that other accounts can change is no place for a lab, and neither is one in which a
// link stands where the lab writes.
func TestClaimRefusesWhatOthersPrepared(t *testing.T) {
	for name, test := range map[string]struct {
		prepare func(dir string) error
		says    string // empty: taken
	}{
		"empty":            {func(string) error { return nil }, ""},
		"readable":         {func(dir string) error { return os.Chmod(dir, 0o755) }, ""},
		"group may write":  {func(dir string) error { return os.Chmod(dir, 0o775) }, "chmod go-w"},
		"others may write": {func(dir string) error { return os.Chmod(dir, 0o777|os.ModeSticky) }, "chmod go-w"},
		"of another account": {func(dir string) error {
			if os.Geteuid() != 0 {
				return errors.ErrUnsupported
			}
			return os.Chown(dir, 65534, -1)
		}, "belongs to another account"},
		"answers are a link": {func(dir string) error {
			if err := os.WriteFile(filepath.Join(dir, "lab.json"), nil, 0o600); err != nil {
				return err
			}
			return os.Symlink("/etc/hostname", filepath.Join(dir, defaultAnswers))
		}, "is not a regular file"},
		"the lock is a link": {func(dir string) error {
			return os.Symlink(filepath.Join(dir, "..", "made"), filepath.Join(dir, "lock"))
		}, "is not a regular file"},
		"lab.json is a pipe": {func(dir string) error { return syscall.Mkfifo(filepath.Join(dir, "lab.json"), 0o600) },
			"is not a regular file"},
	} {
		t.Run(name, func(t *testing.T) {
			above := t.TempDir()
			dir := filepath.Join(above, "lab")
			if err := os.Mkdir(dir, 0o700); err != nil {
				t.Fatal(err)
			}
			if err := test.prepare(dir); errors.Is(err, errors.ErrUnsupported) {
				t.Skip("needs root")
			} else if err != nil {
				t.Fatal(err)
			}
			unlock, err := claim(dir)
			if err == nil {
				unlock()
			}
			if (err == nil) != (test.says == "") || err != nil && !strings.Contains(err.Error(), test.says) {
				t.Errorf("got %v, want %q", err, test.says)
			}
			if _, err := os.Lstat(filepath.Join(above, "made")); err == nil {
				t.Error("a file was made through the link")
			}
		})
	}
}
