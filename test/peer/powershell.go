package peer

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// Shared finds a file of the reference folder that stands beside a checkout of ours. A fresh clone elsewhere has none, and leaves the test out.
func Shared(t testing.TB, path ...string) string {
	t.Helper()
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for ; ; dir = filepath.Dir(dir) {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			break
		}
		if dir == filepath.Dir(dir) {
			t.Fatal("no go.mod above the test")
		}
	}
	file := filepath.Join(append([]string{dir, "..", "shared"}, path...)...)
	if _, err := os.Stat(file); err != nil {
		t.Skipf("NOT TESTED: %s is not beside this checkout", filepath.Join(path...))
	}
	return file
}

// LintPowerShell holds scripts against an independent grammar and the full cmdlet catalogue. side is "onprem", "online", or "auto": told by the
// files' names.
func LintPowerShell(t testing.TB, side string, files ...string) {
	t.Helper()
	tool := Shared(t, "tools", "pslint")
	catalogue := Shared(t, "reference", "exchange-cmdlets.json")
	node, npm := Program(t, "node", "nodejs"), Program(t, "npm", "npm")
	folder := filepath.Join(t.TempDir(), "pslint") // the tool's own may be read-only
	if err := os.CopyFS(folder, os.DirFS(tool)); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.CommandContext(t.Context(), npm, "ci", "--prefix", folder, "--no-audit", "--no-fund").CombinedOutput(); err != nil {
		t.Fatalf("npm ci: %v\n%s", err, out)
	}
	args := append([]string{filepath.Join(folder, "pslint.mjs"), "--side", side, "--catalogue", catalogue}, files...)
	out, err := exec.CommandContext(t.Context(), node, args...).CombinedOutput()
	if err != nil {
		t.Errorf("%v\n%s", err, out)
	}
	t.Logf("%s", out)
}
