package peer

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
)

// Shared finds a file of the reference folder beside the checkout. A clone without that folder
// skips the test.
func Shared(t testing.TB, path ...string) string {
	t.Helper()
	file := filepath.Join(append([]string{root(t), "..", "shared"}, path...)...)
	if _, err := os.Stat(file); err != nil {
		t.Skipf("NOT TESTED: %s is not beside this checkout", filepath.Join(path...))
	}
	return file
}

// root is the folder of go.mod.
func root(t testing.TB) string {
	t.Helper()
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for ; ; dir = filepath.Dir(dir) {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir
		}
		if dir == filepath.Dir(dir) {
			t.Fatal("no go.mod above the test")
		}
	}
}

// LintPowerShell validate  against an independent grammar and the full cmdlet catalogue. side is
// "onprem", "online", or "auto": by the files' names.
func LintPowerShell(t testing.TB, side string, files ...string) {
	t.Helper()
	tool := Shared(t, "tools", "pslint")
	catalogue := amended(t, Shared(t, "reference", "exchange-cmdlets.json"))
	node, npm := Program(t, "node", "nodejs"), Program(t, "npm", "npm")
	files, passed := unlinted(t, side, []string{filepath.Join(tool, "pslint.mjs"), catalogue}, files)
	if len(files) == 0 {
		return
	}
	folder := filepath.Join(t.TempDir(), "pslint") // the tool's own may be read-only
	if err := os.CopyFS(folder, os.DirFS(tool)); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.CommandContext(t.Context(), npm, "ci", "--prefix", folder, "--no-audit",
		"--no-fund").CombinedOutput(); err != nil {
		t.Fatalf("npm ci: %v\n%s", err, out)
	}
	args := append([]string{filepath.Join(folder, "pslint.mjs"), "--side", side, "--catalogue", catalogue}, files...)
	out, err := exec.CommandContext(t.Context(), node, args...).CombinedOutput()
	t.Logf("%s", out)
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range passed {
		if err := os.WriteFile(path, nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// unlinted is the files that did not pass before, and the paths of the marks to set when they pass.
func unlinted(t testing.TB, side string, tools, files []string) (todo, marks []string) {
	t.Helper()
	cache, err := os.UserCacheDir()
	if err != nil {
		return files, nil
	}
	cache = filepath.Join(cache, "hybridge-test", "linted")
	if err := os.MkdirAll(cache, 0o700); err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		sum := sha256.New()
		fmt.Fprintf(sum, "%s\n%s\n", side, filepath.Base(file))
		for _, path := range append(slices.Clone(tools), file) {
			data, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			fmt.Fprintf(sum, "%d\n%s", len(data), data)
		}
		mark := filepath.Join(cache, hex.EncodeToString(sum.Sum(nil)))
		if _, err := os.Stat(mark); err != nil {
			todo, marks = append(todo, file), append(marks, mark)
		}
	}
	return todo, marks
}

// Catalogue is the full cmdlet catalogue as a file, with additions from other sources.
func Catalogue(t testing.TB) string {
	t.Helper()
	return amended(t, Shared(t, "reference", "exchange-cmdlets.json"))
}

// amended is the cmdlet catalogue with the additions of pkg/estate/exchange/amendments.json.
func amended(t testing.TB, catalogue string) string {
	t.Helper()
	type cmdlet map[string]any
	all, more := map[string]cmdlet{}, map[string]cmdlet{}
	for path, into := range map[string]*map[string]cmdlet{
		catalogue: &all, filepath.Join(root(t), "pkg", "estate", "exchange", "amendments.json"): &more,
	} {
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(data, into); err != nil {
			t.Fatalf("%s: %v", path, err)
		}
	}
	for name, c := range more {
		known := all[name]
		if known == nil {
			continue // not relevant to the linter
		}
		parameters, _ := known["parameters"].(map[string]any)
		added, _ := c["parameters"].(map[string]any)
		for parameter, a := range added {
			p, _ := parameters[parameter].(map[string]any)
			if p == nil {
				p = map[string]any{"aliases": []any{}, "sets": []any{}, "requiredIn": []any{}, "where": known["where"]}
				parameters[parameter] = p
			}
			more, _ := a.(map[string]any)
			maps.Copy(p, more)
		}
	}
	data, err := json.Marshal(all)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "cmdlets.json")
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}
