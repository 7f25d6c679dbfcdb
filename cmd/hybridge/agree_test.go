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
	"github.com/hybridge-cli/hybridge/pkg/engine/observe"
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

// What the flags say about a run reaches it.
func TestFlagsReachTheRun(t *testing.T) {
	file := filepath.Join(t.TempDir(), "answers.yaml")
	if err := os.WriteFile(file, []byte(answersFile), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"apply"}, {"rotate", "auth-certificate", "stage"}, {"rollback", "r1"}} {
		s := &scripted{plan: onePlan(t)}
		got := execute(t, s, "", append(args, "--wait", "7s", "--accept", "removals", "--yes", "-f", file)...)
		if got.code != 0 || s.applied.Wait != 7*time.Second || !slices.Contains(s.applied.Accept, "removals") ||
			s.applied.StateDir == "" || s.applied.Version == "" {
			t.Errorf("%v: exit %d, %+v", args, got.code, s.applied)
		}
	}
	s := &scripted{plan: onePlan(t)}
	execute(t, s, "", "apply", "--digest", "sha256:x", "--yes", "-f", file)
	if s.applied.Digest != "sha256:x" {
		t.Errorf("%+v", s.applied)
	}
}

// What is shown and agreed to is what is undone, even when a newer run appears meanwhile.
func TestRollbackOfWhatWasShown(t *testing.T) {
	file := filepath.Join(t.TempDir(), "answers.yaml")
	if err := os.WriteFile(file, []byte(answersFile), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		typed  string
		args   []string
		called string
		code   int
	}{
		{"y\n", nil, "preview,rollback newest", exitFine},
		{"y\n", []string{"r7"}, "preview r7,rollback r7", exitFine},
		{"n\n", nil, "preview", exitCancelled},
		{"y\n", []string{"r7", "--dry-run"}, "preview r7", exitFine},
		{"", []string{"r7", "--yes"}, "rollback r7", exitFine},
	} {
		home := t.TempDir()
		s := &scripted{plan: onePlan(t)}
		at := streams{In: strings.NewReader(test.typed), Out: io.Discard, Err: io.Discard, InTTY: true, ErrTTY: true,
			Env: func(name string) string { return map[string]string{"HOME": home, "LocalAppData": home}[name] }}
		code := runIn(t.Context(), append([]string{"rollback", "-f", file}, test.args...), at,
			func(answers.Answers, deployment.Options) (deployed, error) { return s, nil })
		if called := strings.Join(s.called, ","); code != test.code || called != test.called {
			t.Errorf("%v, %q: exit %d, called %s", test.args, test.typed, code, called)
		}
	}
}

// Nothing is changed when the checks before it did not come to their end, whatever they returned.
func TestCutOffChecksChangeNothing(t *testing.T) {
	file := filepath.Join(t.TempDir(), "answers.yaml")
	if err := os.WriteFile(file, []byte(answersFile), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"apply"}, {"rotate", "auth-certificate", "stage"}} {
		for _, failed := range []error{nil, errors.New("no answer")} {
			ctx, cancel := context.WithCancel(t.Context())
			s := &scripted{plan: onePlan(t), rechecks: func() error {
				if failed == nil {
					cancel()
				}
				return failed
			}}
			got := executeIn(ctx, t, s, "", append(args, "--yes", "-f", file)...)
			cancel()
			if want := map[bool]int{true: exitCancelled, false: exitFailure}[failed == nil]; got.code != want ||
				slices.Contains(s.called, "apply") {
				t.Errorf("%v, %v: exit %d, called %v", args, failed, got.code, s.called)
			}
		}
	}
}

// Checks that were cut off are no success, although none failed.
func TestCutOffChecksAreNoSuccess(t *testing.T) {
	file := filepath.Join(t.TempDir(), "answers.yaml")
	if err := os.WriteFile(file, []byte(answersFile), 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	code := runIn(ctx, []string{"check", "-f", file}, streams{In: strings.NewReader(""), Out: io.Discard, Err: io.Discard,
		Env: func(name string) string {
			return map[string]string{"HOME": filepath.Dir(file), "LocalAppData": filepath.Dir(file)}[name]
		}}, func(answers.Answers, deployment.Options) (deployed, error) {
		return cutChecks{&scripted{}, cancel}, nil
	})
	if code != exitCancelled {
		t.Errorf("exit %d", code)
	}
}

type cutChecks struct {
	*scripted
	cancel func()
}

func (c cutChecks) Check(context.Context, observe.Observer) (check.Report, error) {
	c.cancel()
	return checked(check.Result{ID: "a.b", Status: check.StatusPass}), nil
}

// A run is complete although nobody can read its report: that is said, and is no success.
func TestReportOfARunThatCannotBeWritten(t *testing.T) {
	file := filepath.Join(t.TempDir(), "answers.yaml")
	if err := os.WriteFile(file, []byte(answersFile), 0o600); err != nil {
		t.Fatal(err)
	}
	home := t.TempDir()
	var errout bytes.Buffer
	s := &scripted{plan: onePlan(t), apply: apply.Report{Kind: "ApplyReport", Summary: apply.Summary{Done: 1}}}
	at := streams{In: strings.NewReader(""), Out: full{}, Err: &errout,
		Env: func(name string) string { return map[string]string{"HOME": home, "LocalAppData": home}[name] }}
	code := runIn(t.Context(), []string{"apply", "-f", file, "--yes", "-o", "json"}, at,
		func(answers.Answers, deployment.Options) (deployed, error) { return s, nil })
	if code != exitFailure || !strings.Contains(errout.String(), "the run is complete, but its report cannot be written") {
		t.Errorf("exit %d: %s", code, errout.String())
	}
}

// Who types the answers has no line left for a question.
func TestNobodyIsAskedWhoTypesTheAnswers(t *testing.T) {
	home := t.TempDir()
	var errout bytes.Buffer
	file := filepath.Join(home, "typed")
	if err := os.WriteFile(file, []byte(answersFile), 0o600); err != nil {
		t.Fatal(err)
	}
	typed, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer typed.Close()
	defer func(was *os.File) { os.Stdin = was }(os.Stdin)
	os.Stdin = typed
	s := &scripted{plan: onePlan(t)}
	at := streams{In: typed, Out: io.Discard, Err: &errout, InTTY: true, ErrTTY: true,
		Env: func(name string) string { return map[string]string{"HOME": home, "LocalAppData": home}[name] }}
	code := runIn(t.Context(), []string{"apply", "-f", "-"}, at,
		func(answers.Answers, deployment.Options) (deployed, error) { return s, nil })
	if code != exitUsage || !strings.Contains(errout.String(), "confirm with --yes") {
		t.Errorf("exit %d: %s", code, errout.String())
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
