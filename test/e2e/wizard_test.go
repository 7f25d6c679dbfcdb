//go:build unix

package e2e

import (
	"bytes"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/charmbracelet/x/vt"
	"github.com/creack/pty"
	"github.com/google/go-cmp/cmp"
)

// screen is the wizard on a pseudo-terminal.
type screen struct {
	*testing.T
	command *exec.Cmd
	file    *os.File
	ended   chan struct{}

	mu  sync.Mutex
	out bytes.Buffer
	at  int // what was shown before does not count

	terminal *vt.Emulator // under mu
}

func (e *estate) wizard(t *testing.T, columns, rows uint16) *screen {
	t.Helper()
	return e.wizardOn(t, e.command("wizard"), columns, rows)
}

func (e *estate) wizardOn(t *testing.T, command *exec.Cmd, columns, rows uint16, env ...string) *screen {
	t.Helper()
	s := &screen{T: t, command: command, ended: make(chan struct{}),
		terminal: vt.NewEmulator(int(columns), int(rows))}
	s.command.Env = append(append(s.command.Env, "TERM=xterm-256color", "CI=", "LC_ALL=C.UTF-8"), env...)
	var err error
	if s.file, err = pty.StartWithSize(s.command, &pty.Winsize{Rows: rows, Cols: columns}); err != nil {
		t.Fatal(err)
	}
	go func() { _, _ = io.Copy(s.file, s.terminal) }() // answers to the questions of the program
	go func() {
		defer close(s.ended)
		buffer := make([]byte, 1<<16)
		for {
			n, err := s.file.Read(buffer)
			s.mu.Lock()
			s.out.Write(buffer[:n])
			s.terminal.Write(buffer[:n])
			s.mu.Unlock()
			if err != nil {
				return
			}
		}
	}()
	t.Cleanup(func() {
		_ = s.command.Process.Kill()
		_ = s.command.Wait()
		_ = s.file.Close()
		_ = s.terminal.InputPipe().(io.Closer).Close() // what Close does, without a mark that Read looks at unlocked
	})
	return s
}

func (s *screen) text() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.out.String()[s.at:]
}

// until waits until one of the texts is shown, and returns how long that took.
func (s *screen) until(limit time.Duration, texts ...string) time.Duration {
	s.Helper()
	began := time.Now()
	for {
		shown := s.text()
		for _, text := range texts {
			if strings.Contains(shown, text) {
				return time.Since(began)
			}
		}
		if time.Since(began) > limit {
			s.Fatalf("within %s it never showed %q:\n%q", limit, texts, tail(shown))
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// press types keys. What was shown before does not count any more.
func (s *screen) press(keys string) {
	s.Helper()
	s.mu.Lock()
	s.at = s.out.Len()
	s.mu.Unlock()
	if _, err := s.file.WriteString(keys); err != nil {
		s.Fatal(err)
	}
}

// exit waits for the end and returns the exit code with the time that it took.
func (s *screen) exit(limit time.Duration) (int, time.Duration) {
	s.Helper()
	began := time.Now()
	select {
	case <-s.ended:
	case <-time.After(limit):
		s.Fatalf("it has not ended after %s:\n%q", limit, tail(s.text()))
	}
	_ = s.command.Wait()
	return s.command.ProcessState.ExitCode(), time.Since(began)
}

// The lab is stopped in every stage, as a server that hangs. Within a second the wizard says how
// long it runs and what it waits for, and q leaves.
func TestWizardWithASilentLab(t *testing.T) {
	const seen, left = 1500 * time.Millisecond, 5 * time.Second // the second itself, and a busy machine
	steps := []struct{ stage, shows, keys string }{
		{"check", "These are the answers", "\r"},
		{"plan", "enter plan", "\r"},
		{"recheck", "enter apply", "\r"},
		{"apply", "y applies it", "y"},
		{"test", "enter free/busy", "\r"},
	}
	for i, at := range steps {
		t.Run(at.stage, func(t *testing.T) {
			t.Parallel()
			e := startLab(t)
			s := e.wizard(t, 80, 24)
			for _, before := range steps[:i] {
				s.until(time.Minute, before.shows)
				s.press(before.keys)
			}
			s.until(time.Minute, at.shows)
			lab := e.process(t)
			if err := syscall.Kill(lab, syscall.SIGSTOP); err != nil {
				t.Fatal(err)
			}
			defer func() { _ = syscall.Kill(lab, syscall.SIGCONT) }()
			s.press(at.keys)
			took := s.until(seen, "waiting 0 s for", "waiting 1 s for")
			s.until(seen, "running 1 s")
			s.press("q")
			code, leaving := s.exit(left)
			t.Logf("%s: said after %s what it waits for, left after %s with exit code %d", at.stage, took, leaving, code)
			if !strings.Contains(s.text(), "answers: ") {
				t.Errorf("no farewell: %q", s.text())
			}
		})
	}
}

// process is the id of the lab's process.
func (e *estate) process(t *testing.T) int {
	t.Helper()
	found, err := exec.Command("pgrep", "-f", "lab start --dir "+e.dir).Output()
	if err != nil {
		t.Skipf("pgrep: %v", err)
	}
	id, err := strconv.Atoi(strings.Fields(string(found))[0])
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// The wizard finds the answers for two forests. 12 answers and 150 keystrokes are the limit, from
// the first screen to the checks; an answer ends with Enter or is one key.
func TestWizardDiscovers(t *testing.T) {
	e := startLab(t)
	file := e.withoutForests(t, "new.yaml")
	s := e.wizardOn(t, e.plainly("wizard", "-f", file, "--state-dir", e.state), 100, 30)
	answered, keys := 0, 0
	answer := func(wait, typed string) {
		t.Helper()
		s.until(time.Minute, wait)
		s.press(typed)
		answered, keys = answered+1, keys+len(typed)
	}
	answer("Where is forest 1?", "\x15contoso.example\r")
	answer("> Account", "svc-hybridge\r")
	answer("password of svc-hybridge@contoso", e.password(t, "contoso", "svc-hybridge")+"\r")
	answer("found. Each is a proposal", "f")
	answer("Where is forest 2?", "fabrikam.example\r")
	answer("> Account", "\r")
	answer("password of svc-hybridge@fabrikam", e.password(t, "fabrikam", "svc-hybridge")+"\r")
	answer("found. Each is a proposal", "\r")
	answer("These are the answers", "\r")
	s.until(time.Minute, " pass, ")
	t.Logf("%d answers, %d keystrokes", answered, keys)
	if answered > 12 || keys > 150 {
		t.Errorf("%d answers with %d keystrokes; 12 and 150 are the limit", answered, keys)
	}
	s.until(time.Minute, " 0 fail")
	s.press("q")
	s.exit(10 * time.Second)
	written, err := os.ReadFile(file)
	if err != nil || !strings.Contains(string(written), "server: ex1.fabrikam.example") {
		t.Errorf("%v:\n%s", err, written)
	}
	for _, forest := range []string{"contoso", "fabrikam"} {
		if strings.Contains(string(written), e.password(t, forest, "svc-hybridge")) {
			t.Error("a password is in the file")
		}
	}
}

// What is left out of a plan is not applied, with what needs it, and the rest is.
func TestWizardLeavesOut(t *testing.T) {
	e := startLab(t)
	whole := e.plan(t)
	s := e.wizard(t, 120, 40)
	s.until(time.Minute, "These are the answers")
	s.press("\r")
	s.until(time.Minute, "enter plan")
	s.press("\r")
	s.until(time.Minute, "enter apply")
	s.press("s")
	s.until(time.Minute, "The plan is saved")
	// The twin: the same answers give the same plan without a terminal, byte for byte.
	twin := filepath.Join(t.TempDir(), "twin.json")
	e.must(t, 0, "plan", "--out", twin, "--non-interactive")
	ours, err := os.ReadFile(filepath.Join(e.dir, "plan.json"))
	if err != nil {
		t.Fatal(err)
	}
	if theirs, err := os.ReadFile(twin); err != nil || !bytes.Equal(ours, theirs) {
		t.Errorf("the plans differ, %v:\n%s", err, cmp.Diff(string(theirs), string(ours)))
	}
	s.press("x")
	s.until(time.Minute, "left out")
	s.press("\r")
	s.until(time.Minute, "y applies it")
	s.press("y")
	s.until(time.Minute, "enter free/busy")
	s.press("q")
	s.exit(10 * time.Second)
	rest := e.plan(t)
	if n := len(rest.Changes); n == 0 || n == len(whole.Changes) || rest.Changes[0].ID != whole.Changes[0].ID {
		t.Errorf("of %d changes %d are left: %v", len(whole.Changes), n, rest.Changes)
	}
}

// After a killed apply, the wizard begins with that, and its next plan has the rest.
func TestWizardAfterAKill(t *testing.T) {
	e := startLab(t)
	file := filepath.Join(t.TempDir(), "p.json")
	e.must(t, 0, "plan", "--out", file)
	killAfter(t, e, 3, "apply", file, "--yes", "-o", "jsonl")
	s := e.wizard(t, 120, 40)
	s.until(time.Minute, "is not complete: ")
	s.press("\r")
	s.until(time.Minute, "enter plan")
	s.press("\r")
	s.until(time.Minute, "enter apply")
	s.press("\r")
	s.until(time.Minute, "y applies it")
	s.press("y")
	s.until(time.Minute, "enter free/busy")
	s.press("q")
	s.exit(10 * time.Second)
	if after := e.plan(t); len(after.Changes) != 0 {
		t.Errorf("after the wizard the plan still has %v", after.Changes)
	}
}

// On a terminal that cannot be drawn on, the wizard asks in plain lines, and does the same.
func TestWizardInLines(t *testing.T) {
	e := startLab(t)
	s := e.wizardOn(t, e.command(), 40, 24, "TERM=dumb")
	for _, at := range []struct{ shows, types string }{
		{"Number [1]:", "\r"}, {"Number [2]:", "\r"}, {"changes write? [y/N]", "\r"}, {"Leave out, by number", "\r"},
		{"Number [3]:", "\r"}, {"Apply it? [y/N]", "y\rp\r"}, {"Paused: ", "p\r"}, {"Number [4]:", "\r"},
		{"Number [11]:", "\r"},
	} {
		s.until(time.Minute, at.shows)
		if strings.Contains(s.text(), "\x1b") {
			t.Errorf("escape sequences: %q", s.text())
		}
		s.press(at.types)
	}
	if code, _ := s.exit(10 * time.Second); code != 0 {
		t.Errorf("exit code %d", code)
	}
	if after := e.plan(t); len(after.Changes) != 0 {
		t.Errorf("after the wizard the plan still has %v", after.Changes)
	}
}

// The terminal goes away in every stage. Nothing that was typed is lost, and the next start goes on.
func TestWizardHangup(t *testing.T) {
	e := startLab(t)
	steps := []struct{ stage, shows, keys, after string }{
		{"form", "These are the answers", "e", "for reports"}, // also: what is typed
		{"check", "These are the answers", "\r", "Checking"},
		{"plan", "enter plan", "\r", "Comparing"},
		{"recheck", "enter apply", "\r", "Apply this plan?"},
		{"apply", "y applies it", "y", "[#"},
	}
	for i, at := range steps {
		s := e.wizard(t, 80, 24)
		for _, before := range steps[1:max(i, 1)] {
			s.until(time.Minute, before.shows, "Everything is as it should be")
			s.press(before.keys)
		}
		s.until(time.Minute, at.shows)
		s.press(at.keys)
		s.until(10*time.Second, at.after)
		if at.stage == "form" {
			s.press("\x15Hung up")
			s.until(10*time.Second, "Hung up")
		}
		if err := s.command.Process.Signal(syscall.SIGHUP); err != nil {
			t.Fatal(err)
		}
		_, took := s.exit(15 * time.Second)
		t.Logf("%s: ended %s after the hangup", at.stage, took)
		data, err := os.ReadFile(filepath.Join(e.dir, "answers.yaml"))
		if err != nil || !strings.Contains(string(data), "organization: Hung up") {
			t.Fatalf("%s: what was typed is lost, %v", at.stage, err)
		}
	}
	e.must(t, 0, "apply", "--yes") // the rest, when there is one
	if after := e.plan(t); len(after.Changes) != 0 {
		t.Errorf("after the hangup and another apply the plan still has %v", after.Changes)
	}
	// In the test, and before a run is undone: nothing is left to lose, and nothing is undone.
	for _, keys := range [][][2]string{
		{{"These are the answers", "\r"}, {"enter plan", "\r"}, {"Everything is as it should be", "\r"}, {"Asking", ""}},
		{{"h history", "h"}, {"undo", "u"}, {"y undoes it", ""}},
	} {
		s := e.wizard(t, 100, 30)
		for _, at := range keys {
			s.until(time.Minute, at[0])
			if at[1] != "" {
				s.press(at[1])
			}
		}
		if err := s.command.Process.Signal(syscall.SIGHUP); err != nil {
			t.Fatal(err)
		}
		s.exit(15 * time.Second)
	}
	if after := e.plan(t); len(after.Changes) != 0 {
		t.Errorf("after a hangup in the test and in the history the plan has %v", after.Changes)
	}
}

// A run is undone in the wizard, and the first plan is there again.
func TestWizardUndoes(t *testing.T) {
	e := startLab(t)
	before := e.plan(t)
	e.must(t, 0, "apply", "--yes")
	s := e.wizard(t, 100, 30)
	s.until(time.Minute, "h history")
	s.press("h")
	s.until(time.Minute, "1 run")
	s.press("u")
	s.until(time.Minute, "y undoes it")
	s.press("y")
	s.until(time.Minute, "Undone: ")
	s.press("q")
	s.exit(10 * time.Second)
	if d := cmp.Diff(before, e.plan(t)); d != "" {
		t.Errorf("after the rollback:\n%s", d)
	}
}
