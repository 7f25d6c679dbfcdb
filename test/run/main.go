// Command run runs the whole test suite, or the packages that are named to it as ./PATH, and says at
// the end in one line which tests were left out and why. Under CI=true it lists them, and each is a
// failure, because a skip that goes unnoticed hides missing coverage. So is a run of no test.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"sort"
	"strings"
)

type event struct {
	Action, Package, Test, Output string
	Elapsed                       float64
}

func main() {
	// Nothing from the cache: it does not see the programs that tests build and the servers that they start.
	args := append([]string{"test", "-json", "-count=1", "-timeout", "75m"}, os.Args[1:]...)
	if !slices.ContainsFunc(args, func(arg string) bool { return strings.HasPrefix(arg, "./") }) {
		args = append(args, "./...")
	}
	cmd := exec.Command("go", args...)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "error: go test:", err)
		os.Exit(1)
	}
	passed, failed, skipped := follow(out)
	err = cmd.Wait()
	sort.Strings(skipped)
	ci := os.Getenv("CI") == "true"
	if ci && len(skipped) > 0 {
		fmt.Printf("\nLEFT OUT (%d):\n", len(skipped))
		for _, s := range skipped {
			fmt.Println("  " + s)
		}
	}
	if line := leftOut(skipped); line != "" && !ci {
		fmt.Println("\n" + line)
	}
	fmt.Printf("\n%d passed, %d failed, %d skipped\n", passed, failed, len(skipped))
	switch {
	case failed > 0 || err != nil:
		os.Exit(1)
	case passed == 0:
		fmt.Println("error: no test ran")
		os.Exit(1)
	case len(skipped) > 0 && ci:
		fmt.Println("error: CI=true and tests were left out")
		os.Exit(1)
	}
}

// follow prints one line per package and the whole output of a failed test. It counts tests, not
// packages.
func follow(r io.Reader) (passed, failed int, skipped []string) {
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, 16<<20)
	output := map[string][]string{} // of each test still undecided
	for lines.Scan() {
		var e event
		if json.Unmarshal(lines.Bytes(), &e) != nil {
			fmt.Println(lines.Text()) // errors of the build
			continue
		}
		key := e.Package + " " + e.Test
		switch e.Action {
		case "output", "build-output":
			output[key] = append(output[key], e.Output)
			continue
		case "pass":
			if e.Test != "" {
				passed++
			} else {
				fmt.Printf("ok    %-60s %6.1fs\n", short(e.Package), e.Elapsed)
			}
		case "skip":
			if e.Test != "" {
				skipped = append(skipped, short(e.Package)+" "+e.Test+": "+reason(output[key]))
			}
		case "fail", "build-fail":
			if e.Test != "" {
				failed++
			}
			fmt.Printf("FAIL  %s %s\n%s", short(e.Package), e.Test, strings.Join(output[key], ""))
		default:
			continue
		}
		delete(output, key)
	}
	return passed, failed, skipped
}

// causes are the reasons for which tests are left out, by what their messages contain. The last one
// has all others.
var causes = []struct {
	contain []string
	text    string
}{
	{
		[]string{"shared", "recordings are not here", "recorded answers", " is not here"},
		"need recordings and tools that are not part of the checkout",
	},
	{
		[]string{"PEER MISSING", "is missing: install", "is not installed", "needs root", "only by root"},
		"need servers and clients of other makers (make test installs them as root on Debian)",
	},
	{nil, "cannot run on this system"},
}

// leftOut says in one line what was left out; empty when nothing was.
func leftOut(skipped []string) string {
	counts := make([]int, len(causes))
	for _, s := range skipped {
		for i, c := range causes {
			in := func(part string) bool { return strings.Contains(s, part) }
			if c.contain == nil || slices.ContainsFunc(c.contain, in) {
				counts[i]++
				break
			}
		}
	}
	var parts []string
	for i, n := range counts {
		if n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n, causes[i].text))
		}
	}
	if parts == nil {
		return ""
	}
	return fmt.Sprintf("left out, %d tests: %s. CI=true make test lists them.", len(skipped), strings.Join(parts, "; "))
}

// reason is the message with which the test skipped itself.
func reason(lines []string) string {
	for _, l := range lines {
		l = strings.TrimSpace(l)
		if i := strings.Index(l, ".go:"); i >= 0 {
			if _, text, ok := strings.Cut(l[i+4:], ": "); ok {
				return text
			}
		}
	}
	return "no reason given"
}

func short(pkg string) string {
	return strings.TrimPrefix(pkg, "github.com/hybridge-cli/hybridge/")
}
