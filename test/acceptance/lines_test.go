package acceptance

import (
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"
)

var (
	packages = regexp.MustCompile(`\./\S+`)
	runs     = regexp.MustCompile(`-run '([^']*)'`)
)

// Every line of lines.txt has an issue, a text and a command, and every alternative of a -run names
// a test of the packages of that command: a line that runs nothing would pass.
func TestLines(t *testing.T) {
	text, err := os.ReadFile("lines.txt")
	if err != nil {
		t.Fatal(err)
	}
	tests := map[string]string{}
	lines := 0
	for line := range strings.Lines(string(text)) {
		if line = strings.TrimSpace(line); line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		lines++
		fields := strings.Split(line, "\t")
		if len(fields) != 3 {
			t.Errorf("%q has %d fields", line, len(fields))
			continue
		}
		for command := range strings.SplitSeq(fields[2], "; ") {
			if !strings.HasPrefix(command, "go test ") && !strings.Contains(command, " go test ") {
				continue
			}
			var source strings.Builder
			for _, p := range packages.FindAllString(command, -1) {
				if tests[p] == "" {
					args := []string{"list", "-f", `{{$d := .Dir}}{{range .TestGoFiles}}{{$d}}/{{.}} {{end}}{{range .XTestGoFiles}}{{$d}}/{{.}} {{end}}`, p}
					list := exec.CommandContext(t.Context(), "go", args...)
					list.Dir = "../.."
					out, err := list.Output()
					if err != nil {
						t.Fatalf("go list %s: %v", p, err)
					}
					for _, file := range strings.Fields(string(out)) {
						body, err := os.ReadFile(file)
						if err != nil {
							t.Fatal(err)
						}
						tests[p] += string(body)
					}
				}
				source.WriteString(tests[p])
			}
			m := runs.FindStringSubmatch(command)
			if m == nil {
				continue
			}
			for name := range strings.SplitSeq(m[1], "|") {
				name, _, _ = strings.Cut(strings.TrimSuffix(name, "$"), "/")
				if !regexp.MustCompile(`(?m)^func Test\w*` + strings.TrimPrefix(name, "Test")).MatchString(source.String()) {
					t.Errorf("%s: no test is named %s", fields[1], name)
				}
			}
		}
	}
	if lines < 30 || !slices.Contains(strings.Fields(string(text)), "make") {
		t.Errorf("only %d lines", lines)
	}
}
