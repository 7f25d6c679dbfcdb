// Package acceptance has the list of all that must be seen of hybridge, and the script that runs it.
package acceptance

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var (
	selected = regexp.MustCompile(`go run ./test/run ([^;\n]*?) -run '([^']*)'`)
	declared = regexp.MustCompile(`(?m)^func (Test\w*)\(`)
)

// TestLinesNameTests: every part of every pattern of lines.txt matches a test of one of its packages. go
// test complains only where none of the parts does.
func TestLinesNameTests(t *testing.T) {
	lines, err := os.ReadFile("lines.txt")
	if err != nil {
		t.Fatal(err)
	}
	found := selected.FindAllStringSubmatch(string(lines), -1)
	if len(found) < 30 {
		t.Fatalf("%d lines with a pattern", len(found))
	}
	for _, f := range found {
		names := tests(t, strings.Fields(f[1]))
		for part := range strings.SplitSeq(f[2], "|") {
			test, _, _ := strings.Cut(part, "/")
			if !regexp.MustCompile(test).MatchString(names) {
				t.Errorf("%s: %s is the name of no test there", f[1], part)
			}
		}
	}
}

// tests are the names of the tests in packages such as ./cmd/... and ./test/e2e, a line each.
func tests(t *testing.T, packages []string) string {
	t.Helper()
	var names strings.Builder
	for _, p := range packages {
		if !strings.HasPrefix(p, "./") {
			continue // an option
		}
		dir, deep := strings.CutSuffix(filepath.Join("../..", p), "/...")
		err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
			switch {
			case err != nil:
				return err
			case d.IsDir() && path != dir && !deep:
				return filepath.SkipDir
			case !strings.HasSuffix(path, "_test.go"):
				return nil
			}
			source, err := os.ReadFile(path)
			for _, m := range declared.FindAllStringSubmatch(string(source), -1) {
				names.WriteString(m[1] + "\n")
			}
			return err
		})
		if err != nil {
			t.Error(err)
		}
	}
	return names.String()
}
