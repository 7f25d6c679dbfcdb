package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/hybridge-cli/hybridge/pkg/config/answers"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/deployment"
)

// Every page of help fits the terminal, also a narrow one. Command lines alone stay whole.
func TestHelpFitsTheTerminal(t *testing.T) {
	for _, args := range [][]string{
		{"--help"}, {"check", "--help"}, {"plan", "--help"}, {"rotate", "auth-certificate", "--help"},
		{"validate", "--help"}, {"help", "tenant.ews-switch"}, {"help", "validate-rights"}, {"help", "secrets"},
		{"help", "exit-codes"}, {"help", "9"}, {"help", "environment"},
	} {
		for _, width := range []int{80, 40} {
			var out, errout bytes.Buffer
			io := streams{In: strings.NewReader(""), Out: &out, Err: &errout, OutTTY: true, Width: width,
				Env: func(string) string { return "" }}
			if code := runIn(t.Context(), args, io, nil); code != exitFine {
				t.Fatalf("%v: exit %d: %s", args, code, errout.String())
			}
			for line := range strings.SplitSeq(out.String(), "\n") {
				if len([]rune(line)) > width && !strings.HasPrefix(line, "  hybridge ") {
					t.Errorf("%v in %d columns: %q", args, width, line)
				}
			}
		}
	}
}

func TestFit(t *testing.T) {
	text := "Check reads every system that the answers\nfile names.\n\n" +
		"Examples:\n  hybridge check -f answers.yaml --only 'directory.*'\n\n" +
		"Flags:\n      --out FILE   save the plan to FILE, for apply\n  -h, --help       help\n\n" +
		"- Reads from Exchange: Get-OrganizationConfig\n"
	want := "Check reads every system that the\nanswers file names.\n\n" +
		"Examples:\n  hybridge check -f answers.yaml --only 'directory.*'\n\n" +
		"Flags:\n      --out FILE\n          save the plan to FILE, for\n          apply\n  -h, --help       help\n\n" +
		"- Reads from Exchange:\n  Get-OrganizationConfig\n"
	if got := fit(text, 38); got != want {
		t.Errorf("got\n%s", got)
	}
	if got := fit(text, 0); got != text {
		t.Errorf("of unknown width: %q", got)
	}
}

type full struct{}

func (full) Write([]byte) (int, error) { return 0, errors.New("no space left on device") }

// Help that could not be written is a failure, as any other output is.
func TestHelpThatCannotBeWritten(t *testing.T) {
	for _, args := range [][]string{{"help", "checks"}, {"check", "--help"}, {"help", "tenant.ews-switch"}} {
		var errout bytes.Buffer
		io := streams{In: strings.NewReader(""), Out: full{}, Err: &errout, Env: func(string) string { return "" }}
		if code := runIn(t.Context(), args, io, nil); code != exitFailure ||
			!strings.Contains(errout.String(), "no space left") {
			t.Errorf("%v: exit %d: %s", args, code, errout.String())
		}
	}
}

// A command without its operands says which ones it needs.
func TestOperandsThatAreMissing(t *testing.T) {
	for want, args := range map[string][]string{
		"report diff needs BEFORE and AFTER": {"report", "diff", "today.json"},
		"report trend needs FILE...":         {"report", "trend"},
		"report merge needs FILE...":         {"report", "merge"},
		`does not take "c.json"`:             {"report", "diff", "a.json", "b.json", "c.json"},
	} {
		got := execute(t, &scripted{}, "", args...)
		if got.code != exitUsage || !strings.Contains(got.errout, want) {
			t.Errorf("%v: exit %d: %s", args, got.code, got.errout)
		}
	}
}

// What a person is told next stands below the output, also where a pager shows it.
func TestNextStandsBelowThePager(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("the pager of this test is a shell script")
	}
	dir := t.TempDir()
	script, file := filepath.Join(dir, "scroll"), filepath.Join(dir, "answers.yaml")
	for name, text := range map[string]string{script: "#!/bin/sh\ncat >/dev/null\necho shown\n", file: answersFile} {
		if err := os.WriteFile(name, []byte(text), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	var both bytes.Buffer
	io := streams{In: strings.NewReader(""), Out: &both, Err: &both, OutTTY: true, Height: 2, Width: 80,
		Env: func(name string) string { return map[string]string{"HYBRIDGE_PAGER": script, "HOME": dir}[name] }}
	open := func(answers.Answers, deployment.Options) (deployed, error) { return &scripted{plan: onePlan(t)}, nil }
	if code := runIn(t.Context(), []string{"plan", "-f", file}, io, open); code != exitFine {
		t.Fatalf("exit %d: %s", code, both.String())
	}
	if shown, next := strings.Index(both.String(), "shown"), strings.Index(both.String(), "next: "); shown < 0 ||
		next < shown {
		t.Errorf("%s", both.String())
	}
}

// A plan that is refused although all is known is a finding, not an unexpected failure.
func TestRefusedPlan(t *testing.T) {
	s := &scripted{err: fmt.Errorf("EX1 is too old: %w", deployment.ErrRefused)}
	if got := executeOn(t.Context(), t, s, "plan"); got.code != exitFailed ||
		!strings.Contains(got.errout, "hybridge check shows what comes first") {
		t.Errorf("exit %d: %s", got.code, got.errout)
	}
}

// The commands at the end of the demo are copied: none is broken at the edge of the terminal.
func TestDemoOutroFitsTheTerminal(t *testing.T) {
	for line := range strings.SplitSeq(demoOutro, "\n") {
		if len([]rune(line)) > 80 {
			t.Errorf("%d columns: %q", len([]rune(line)), line)
		}
	}
}
