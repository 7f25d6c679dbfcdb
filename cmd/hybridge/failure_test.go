package main

import (
	"bytes"
	"context"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hybridge-cli/hybridge/pkg/engine/check"
	"github.com/hybridge-cli/hybridge/pkg/engine/report"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/freebusy"
	"github.com/hybridge-cli/hybridge/pkg/wire/link"
)

// A failure is a document where a machine reads, and jsonl always ends with the exit code.
func TestFailureIsADocument(t *testing.T) {
	comments := schemaComments(t)
	file := filepath.Join(t.TempDir(), "answers.yaml")
	if err := os.WriteFile(file, []byte(answersFile), 0o600); err != nil {
		t.Fatal(err)
	}
	fail := check.Result{ID: "a.b", Status: check.StatusFail, Severity: check.Fail}
	for _, test := range []struct {
		name string
		s    scripted
		args []string
		code int
		said string // "": the document said it
	}{
		{"unreachable", scripted{err: fmt.Errorf("dc1: %w", link.ErrUnreachable)}, []string{"plan"}, exitInconclusive,
			"dc1"},
		{"a flag that is none", scripted{}, []string{"check", "--nope"}, exitUsage, "unknown flag"},
		{"a command that is none", scripted{}, []string{"chekc"}, exitUsage, "chekc"},
		{"no answers", scripted{}, []string{"check", "-f", "missing.yaml"}, exitUsage, "missing.yaml"},
		{"an interval of nothing", scripted{test: tested(freebusy.OK)}, []string{"test", "--watch=0s"}, exitUsage, "--watch"},
		{"a limit", scripted{wait: true}, []string{"test", "--timeout", "10ms"}, exitTimeLimit, "time limit reached"},
		{"a failed check", scripted{check: checked(fail)}, []string{"check"}, exitFailed, ""},
		{"a failed lookup", scripted{test: tested(freebusy.Failed)}, []string{"test"}, exitFailed, ""},
		{"fine", scripted{check: checked()}, []string{"check"}, exitFine, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			args := append([]string{"-f", file}, test.args...)
			got := execute(t, &test.s, "", append(args, "-o", "json")...)
			var f report.Failure
			if err := json.Unmarshal([]byte(got.out), &f); err != nil || got.code != test.code {
				t.Fatalf("exit %d, %v: %s", got.code, err, got.out)
			}
			if said := f.Kind == "Error"; said != (test.said != "") || said &&
				(f.Code != test.code || !strings.Contains(f.Message, test.said)) {
				t.Errorf("json: %s", got.out)
			}
			if test.said != "" {
				if err := validates(t, comments, "error", []byte(got.out)); err != nil {
					t.Error(err)
				}
			}

			got = execute(t, &test.s, "", append(args, "-o", "jsonl")...)
			lines := bytes.Split(bytes.TrimSpace([]byte(got.out)), []byte("\n"))
			for _, line := range lines {
				if err := validates(t, comments, "event", line); err != nil {
					t.Errorf("%s: %v", line, err)
				}
			}
			if last := string(lines[len(lines)-1]); !strings.Contains(last, `"event":"end"`) ||
				!strings.Contains(last, fmt.Sprintf(`"exitCode":%d}`, test.code)) {
				t.Errorf("jsonl ends with %s", last)
			}
			if said := strings.Contains(got.out, `"event":"error"`); said != (test.said != "") {
				t.Errorf("jsonl: %s", got.out)
			}
			if got := execute(t, &test.s, "", args...); strings.Contains(got.out, "error") {
				t.Errorf("text: the error is among the data: %s", got.out)
			}
		})
	}
}

// Answers for looking alone are refused before a plan is made, which takes time.
func TestApplyOfAnswersForLooking(t *testing.T) {
	file := filepath.Join(t.TempDir(), "answers.yaml")
	if err := os.WriteFile(file, []byte(answersFile+"validateOnly: true\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	s := &scripted{}
	got := execute(t, s, "", "apply", "-f", file, "--yes")
	if got.code != exitUsage || !strings.Contains(got.errout, "validateOnly") || len(s.called) > 0 {
		t.Errorf("exit %d, called %v: %s", got.code, s.called, got.errout)
	}
}

// A format that a command does not write is refused in the same words everywhere, and not written.
func TestRefusedFormats(t *testing.T) {
	file := filepath.Join(t.TempDir(), "answers.yaml")
	if err := os.WriteFile(file, []byte(answersFile), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, args := range []string{
		"check -o yaml", "plan -o junit", "test --watch=1ms -o json", "test --watch=1ms -o junit", "history -o jsonl",
		"lab faults -o junit",
		"schema -o jsonl", "init -o json",
	} {
		words := strings.Fields(args)
		if words[0] != "init" { // it takes no answers
			words = append(words, "-f", file)
		}
		got := execute(t, &scripted{test: tested(freebusy.OK)}, "", words...)
		_, format, _ := strings.Cut(args, "-o ")
		_, writes, found := strings.Cut(got.errout, "--output "+format+": this command writes ")
		writes, _, _ = strings.Cut(writes, "\n")
		if names := strings.Split(writes, ", "); got.code != exitUsage || !found || names[0] != "text" ||
			slices.Contains(names, format) {
			t.Errorf("%s: exit %d, %s%s", args, got.code, got.out, got.errout)
		}
	}
}

// What a run could not begin is an error of the run in JUnit, so that a CI system shows it.
func TestJUnitOfARunThatFailed(t *testing.T) {
	file := filepath.Join(t.TempDir(), "answers.yaml")
	if err := os.WriteFile(file, []byte(answersFile), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct{ args, said string }{
		{"check -o junit", "dc1"},
		{"check -o junit --no-such-flag", "no-such-flag"},
		{"check --no-such-flag --output=junit", "no-such-flag"},
	} {
		args := append(strings.Fields(test.args), "-f", file)
		got := execute(t, &scripted{err: fmt.Errorf("dc1: %w", link.ErrUnreachable)}, "", args...)
		var suites struct {
			Suites []struct {
				Errors int `xml:"errors,attr"`
			} `xml:"testsuite"`
		}
		if err := xml.Unmarshal([]byte(got.out), &suites); err != nil || len(suites.Suites) != 1 ||
			suites.Suites[0].Errors != 1 || !strings.Contains(got.out, test.said) {
			t.Errorf("%s: %v: %s", test.args, err, got.out)
		}
	}
}

// What every schema has a name for is printed, and the answers' without a name.
func TestSchemaCommand(t *testing.T) {
	for _, p := range published {
		got := execute(t, &scripted{}, "", "schema", p.name)
		var s struct {
			Title string `json:"title"`
		}
		if err := json.Unmarshal([]byte(got.out), &s); err != nil || s.Title != "hybridge "+p.name {
			t.Errorf("schema %s: %v, %q", p.name, err, s.Title)
		}
	}
	if bare := execute(t, &scripted{}, "", "schema"); bare.out != execute(t, &scripted{}, "", "schema", "answers").out {
		t.Error("bare schema is not the answers'")
	}
	if got := execute(t, &scripted{}, "", "schema", "nope"); got.code != exitUsage ||
		!strings.Contains(got.errout, "check-report") {
		t.Errorf("%+v", got)
	}
}

// Where connect-to leads a connection already, the hint does not ask for it; on this machine, a lab
// is what may have stopped.
func TestHintOfALabThatHasStopped(t *testing.T) {
	const check = "check the address that network.connectTo leads to"
	for target, want := range map[string]string{
		"127.0.0.1:1":   check + "; a lab that has stopped is started anew with: hybridge lab start --dir DIR",
		"192.0.2.1:443": check,
	} {
		l, err := link.New(link.Options{ConnectTo: []string{"ex1.contoso.example:443=" + target}})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
		_, err = l.DialContext(ctx, "tcp", "ex1.contoso.example:443")
		cancel()
		code, hint := classify(t.Context(), fmt.Errorf("contoso: %w", err))
		if code != exitInconclusive || hint != want {
			t.Errorf("%s: %v: exit %d, hint %q", target, err, code, hint)
		}
	}
}
