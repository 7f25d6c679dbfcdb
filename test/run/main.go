// Command run runs the whole test suite and lists at the end which tests were skipped and why.
// Under CI=true a skipped test is a failure, because a skip that goes unnoticed hides missing
// coverage.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"sort"
	"strings"
)

type event struct {
	Action, Package, Test, Output string
	Elapsed                       float64
}

func main() {
	args := append([]string{"test", "-json", "-timeout", "20m"}, os.Args[1:]...)
	cmd := exec.Command("go", append(args, "./...")...)
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
	if len(skipped) > 0 {
		fmt.Printf("\nLEFT OUT (%d):\n", len(skipped))
		for _, s := range skipped {
			fmt.Println("  " + s)
		}
	}
	fmt.Printf("\n%d passed, %d failed, %d skipped\n", passed, failed, len(skipped))
	switch {
	case failed > 0 || err != nil:
		os.Exit(1)
	case len(skipped) > 0 && os.Getenv("CI") == "true":
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
