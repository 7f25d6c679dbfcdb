package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hybridge-cli/hybridge/pkg/config/answers"
	"github.com/hybridge-cli/hybridge/pkg/engine/apply"
	"github.com/hybridge-cli/hybridge/pkg/engine/change"
	"github.com/hybridge-cli/hybridge/pkg/engine/check"
	"github.com/hybridge-cli/hybridge/pkg/engine/msg"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/deployment"
	"github.com/hybridge-cli/hybridge/pkg/wire/link"
)

// At a terminal nothing is changed before a person agrees, and a removal is not even asked about
// before it is allowed.
func TestAgreedAtATerminal(t *testing.T) {
	file := filepath.Join(t.TempDir(), "answers.yaml")
	if err := os.WriteFile(file, []byte(answersFile), 0o600); err != nil {
		t.Fatal(err)
	}
	removal := onePlan(t)
	removal.Summary = change.Summary{Delete: 1}
	removal.Changes = slices.Clone(removal.Changes)
	removal.Changes[0].Action = change.Delete
	for _, test := range []struct {
		name, typed string
		plan        change.Plan
		args        []string
		code        int
		applied     bool
	}{
		{"yes", "y\n", onePlan(t), nil, 0, true},
		{"no", "n\n", onePlan(t), nil, 130, false},
		{"nothing", "\n", onePlan(t), nil, 130, false},
		{"checks failed, yes all the same", "y\n", onePlan(t), nil, 0, true},
		{"checks failed, no", "n\n", onePlan(t), nil, 130, false},
		{"removal", "y\n", removal, nil, 2, false},
		{"removal allowed", "y\n", removal, []string{"--accept", "removals"}, 0, true},
		{"removal allowed and refused", "n\n", removal, []string{"--accept", "removals"}, 130, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			var out, errout bytes.Buffer
			home := t.TempDir()
			s := &scripted{plan: test.plan}
			failing := strings.HasPrefix(test.name, "checks failed")
			if failing {
				s.recheck = checked(check.Result{ID: "a.c", Status: check.StatusFail, Severity: check.Fail,
					Summary: msg.Plain("it is broken")})
			}
			at := streams{In: strings.NewReader(test.typed), Out: &out, Err: &errout, InTTY: true, ErrTTY: true,
				Env: func(name string) string {
					return map[string]string{"HOME": home, "LocalAppData": home}[name]
				}}
			code := runIn(t.Context(), append([]string{"apply", "-f", file}, test.args...), at,
				func(answers.Answers, deployment.Options) (deployed, error) { return s, nil })
			applied := strings.Contains(strings.Join(s.called, " "), "apply")
			if code != test.code || applied != test.applied {
				t.Errorf("exit %d, called %v: %s", code, s.called, errout.String())
			}
			if failing && (!strings.Contains(errout.String(), "it is broken") || !strings.Contains(errout.String(),
				"1 check that the plan depends on failed or could not look. Make this change? [y/N]")) {
				t.Errorf("says %s", errout.String())
			}
			if consented := slices.Contains(s.applied.Accept, apply.AcceptFailedChecks); consented != (failing &&
				applied) {
				t.Errorf("the journal gets %v", s.applied.Accept)
			}
			if test.code == 2 && (!strings.Contains(errout.String(), apply.ErrNotAccepted.Error()) ||
				strings.Contains(errout.String(), "[y/N]")) {
				t.Errorf("says %s", errout.String())
			}
		})
	}
}

func TestPlanAndAnswersFromOnePipe(t *testing.T) {
	got := execute(t, &scripted{}, answersFile, "apply", "-", "-f", "-", "--yes")
	if got.code != 2 || !strings.Contains(got.errout, "cannot both come from standard input") {
		t.Errorf("%+v", got)
	}
}

// An interrupt ends the wait for a plan from a pipe without a writer.
func TestInterruptedBeforeThePlanCame(t *testing.T) {
	file := filepath.Join(t.TempDir(), "answers.yaml")
	if err := os.WriteFile(file, []byte(answersFile), 0o600); err != nil {
		t.Fatal(err)
	}
	in, out := io.Pipe()
	defer out.Close()
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(10*time.Millisecond, cancel)
	home := t.TempDir()
	ended := make(chan int, 1)
	go func() {
		s := streams{In: in, Out: io.Discard, Err: io.Discard, Env: func(name string) string {
			return map[string]string{"HOME": home, "LocalAppData": home}[name]
		}}
		ended <- runIn(ctx, []string{"apply", "-", "-f", file, "--yes"}, s,
			func(answers.Answers, deployment.Options) (deployed, error) { return &scripted{}, nil })
	}()
	select {
	case code := <-ended:
		if code != 130 {
			t.Errorf("exit %d", code)
		}
	case <-time.After(10 * time.Second):
		t.Error("still waiting for the plan")
	}
}

// What could not be checked outranks what failed, in either order; a refused sign-in outranks
// both.
func TestCheckCode(t *testing.T) {
	fail := check.Result{Status: check.StatusFail}
	unknown := check.Result{Status: check.StatusError}
	minor := check.Result{Status: check.StatusError, Severity: check.Warn}
	refused := check.Result{Status: check.StatusError, Cause: link.ErrAccess}
	unread := check.Result{Status: check.StatusSkip, Severity: check.Warn,
		MissingRights: []msg.Text{msg.Plain("Get-AuthConfig in contoso")}}
	for _, test := range []struct {
		results []check.Result
		want    int
	}{
		{nil, exitFine},
		{[]check.Result{unread}, exitInconclusive},
		{[]check.Result{unread, fail}, exitInconclusive},
		{[]check.Result{{Status: check.StatusSkip}}, exitFine},
		{[]check.Result{minor}, exitFine},
		{[]check.Result{{Status: check.StatusAcknowledged, Severity: check.Fail}}, exitFine},
		{[]check.Result{{Status: check.StatusAcknowledged}, fail}, exitFailed},
		{[]check.Result{fail, minor}, exitFailed},
		{[]check.Result{fail, unknown}, exitInconclusive},
		{[]check.Result{unknown, fail}, exitInconclusive},
		{[]check.Result{unknown, fail, refused}, exitAccess},
	} {
		if got := checkCode(check.Report{Results: test.results}); got != test.want {
			t.Errorf("%v: exit %d, want %d", test.results, got, test.want)
		}
	}
}

// What an error quotes of a server or a file cannot act on the terminal.
func TestComplaintsAreClean(t *testing.T) {
	for _, err := range []error{
		&exitError{code: exitCancelled, err: errors.New("not agreed to \x1b[2J")},
		errors.New("server said \x1b[2J"),
	} {
		var b bytes.Buffer
		complain(streams{Err: &b}, explain(t.Context(), nil, err))
		if strings.Contains(b.String(), "\x1b") || !strings.Contains(b.String(), "error: ") {
			t.Errorf("got %q", b.String())
		}
	}
}

// CI can run with a terminal and without a person.
func TestNobodyIsAskedInCI(t *testing.T) {
	file := filepath.Join(t.TempDir(), "answers.yaml")
	if err := os.WriteFile(file, []byte(answersFile), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, ci := range []string{"", "true"} {
		home := t.TempDir()
		s := &scripted{plan: onePlan(t)}
		at := streams{In: strings.NewReader("y\n"), Out: io.Discard, Err: io.Discard, InTTY: true, ErrTTY: true,
			Env: func(name string) string {
				return map[string]string{"HOME": home, "LocalAppData": home, "CI": ci}[name]
			}}
		runIn(t.Context(), []string{"apply", "-f", file}, at,
			func(answers.Answers, deployment.Options) (deployed, error) { return s, nil })
		if applied := strings.Contains(strings.Join(s.called, " "), "apply"); applied != (ci == "") {
			t.Errorf("CI=%s: called %v", ci, s.called)
		}
	}
}

// The history lists a journal that cannot be read, with the runs that can.
func TestHistoryWithABrokenJournal(t *testing.T) {
	state := t.TempDir()
	if err := os.MkdirAll(filepath.Join(state, "runs"), 0o700); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{"r1": `{"record":"run","apiVersion":"hybridge/v1","runId":"r1","action":"apply"}`, "r2": "no journal"} {
		if err := os.WriteFile(filepath.Join(state, "runs", name+".jsonl"), []byte(text+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if got := execute(t, &scripted{}, "", "history", "--state-dir", state); got.code != exitFailure ||
		!strings.Contains(got.errout, "r2.jsonl") || !strings.Contains(got.out, "r1") {
		t.Errorf("exit %d: %s%s", got.code, got.out, got.errout)
	}
}
