//go:build unix

package main

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
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
