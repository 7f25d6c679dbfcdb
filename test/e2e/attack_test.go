//go:build unix

package e2e

import (
	"bufio"
	"bytes"
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// freeze stops the lab's process: the kernel still accepts connections, but nothing answers. The
// returned function resumes it.
func (e *estate) freeze(t *testing.T) (thaw func()) {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(e.dir, "lab.json"))
	if err != nil {
		t.Fatal(err)
	}
	var lab struct{ PID int }
	if err := json.Unmarshal(data, &lab); err != nil || lab.PID == 0 {
		t.Fatalf("lab.json names no process: %v", err)
	}
	if err := syscall.Kill(lab.PID, syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	return func() { _ = syscall.Kill(lab.PID, syscall.SIGCONT) }
}

// TestInterruptAtAMuteServer interrupts every verb while nothing answers. Each ends by itself as
// cancelled. The next apply resumes an interrupted one.
func TestInterruptAtAMuteServer(t *testing.T) {
	e := startLab(t)
	saved := filepath.Join(t.TempDir(), "plan.json")
	e.must(t, 0, "plan", "--out", saved)

	interrupted := func(frozenAfter func(stderr *bytes.Buffer), args ...string) {
		t.Helper()
		cmd := e.command(append(args, "--non-interactive")...)
		var stderr bytes.Buffer
		cmd.Stderr = &stderr
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		frozenAfter(&stderr)
		// while it waits for an answer; it must end at any other moment, too
		time.Sleep(500 * time.Millisecond)
		_ = cmd.Process.Signal(os.Interrupt)
		ended := make(chan error, 1)
		go func() { ended <- cmd.Wait() }()
		select {
		case <-ended:
			if code := cmd.ProcessState.ExitCode(); code != 130 {
				t.Errorf("%s: exit %d, want 130\n%s", strings.Join(args, " "), code, tail(stderr.String()))
			}
		case <-time.After(20 * time.Second): // twice the permitted time, for slow machines
			_ = cmd.Process.Kill()
			<-ended
			t.Errorf("%s: still at work 20 s after an interrupt\n%s", strings.Join(args, " "), tail(stderr.String()))
		}
	}
	thaw := e.freeze(t)
	t.Cleanup(thaw)
	for _, args := range [][]string{{"check"}, {"plan"}, {"test"}, {"apply", saved, "--yes"}} {
		interrupted(func(*bytes.Buffer) {}, args...)
	}
	thaw()

	// In the middle of an apply: the journal shows when it has begun to write.
	interrupted(func(*bytes.Buffer) {
		for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline); time.Sleep(time.Millisecond) {
			journals, _ := filepath.Glob(filepath.Join(e.state, "runs", "*.jsonl"))
			for _, j := range journals {
				if data, _ := os.ReadFile(j); bytes.Contains(data, []byte(`"record":"begin"`)) {
					e.freeze(t)
					return
				}
			}
		}
		t.Error("the apply began nothing")
	}, "apply", saved, "--yes")
	thaw()
	e.must(t, 0, "apply", saved, "--yes")
	e.must(t, 0, "plan", "--detailed-exitcode")
	e.must(t, 0, "rollback", "--yes")
	if p := e.plan(t); p.Summary.Create == 0 {
		t.Error("after the rollback there is nothing to do")
	}
}

// TestRunOutlivesItsReader: the reader of the output and the terminal may go away. The current
// change is then finished, or left in a consistent state.
func TestRunOutlivesItsReader(t *testing.T) {
	e := startLab(t)
	saved := filepath.Join(t.TempDir(), "plan.json")
	e.must(t, 0, "plan", "--out", saved)

	// until reads a run's output up to its first change.
	until := func(then func(cmd *exec.Cmd, out io.Closer), args ...string) int {
		t.Helper()
		cmd := e.command(append(args, "-o", "jsonl")...)
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		reached := false
		for lines := bufio.NewScanner(out); lines.Scan(); {
			if !reached && strings.Contains(lines.Text(), `"change"`) {
				reached = true
				then(cmd, out)
			}
		}
		_ = cmd.Wait()
		if !reached {
			t.Errorf("%s: no change was told", strings.Join(args, " "))
		}
		return cmd.ProcessState.ExitCode()
	}
	deaf := func(_ *exec.Cmd, out io.Closer) { out.Close() }
	if code := until(deaf, "apply", saved, "--yes"); code != 1 {
		t.Errorf("apply, with nobody to read it: exit %d, want 1", code)
	}
	e.must(t, 0, "plan", "--detailed-exitcode")
	if code := until(deaf, "rollback", "--yes"); code != 1 {
		t.Errorf("rollback, with nobody to read it: exit %d, want 1", code)
	}
	e.must(t, 5, "plan", "--detailed-exitcode")

	e.must(t, 0, "plan", "--out", saved)
	if code := until(func(cmd *exec.Cmd, _ io.Closer) { _ = cmd.Process.Signal(syscall.SIGHUP) }, "apply", saved,
		"--yes"); code != 130 {
		t.Errorf("apply, hung up: exit %d, want 130", code)
	}
	e.must(t, 0, "apply", saved, "--yes")
	e.must(t, 0, "rollback", "--yes")
}

// TestPlansFromElsewhere gives apply files that it did not write as plans: nothing runs, and
// nothing hangs.
func TestPlansFromElsewhere(t *testing.T) {
	e := startLab(t)
	dir := t.TempDir()
	saved := filepath.Join(dir, "plan.json")
	e.must(t, 0, "plan", "--out", saved)
	good, err := os.ReadFile(saved)
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"another command": strings.Replace(string(good), `"New-OrganizationRelationship"`,
			`"Remove-OrganizationRelationship"`, 1),
		"another parameter": strings.Replace(string(good), `"parameters": {`, `"parameters": {"Identity": "*", `, 1),
		"another value":     strings.Replace(string(good), `"Enabled": true`, `"Enabled": false`, 1),
		"cut short":         string(good[:len(good)/2]),
		"twice":             string(good) + string(good),
		"nested":            `{"apiVersion":"hybridge/v1","kind":"Plan","changes":` + strings.Repeat("[", 100_000),
		"escape sequences":  strings.Replace(string(good), `"kind": "Plan"`, "\"kind\": \"\\u001b[2JPlan\"", 1),
	} {
		file := filepath.Join(dir, "hostile.json")
		if text == string(good) {
			t.Fatalf("%s: the plan was not changed", name)
		}
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		r := e.run(t, "apply", file, "--yes")
		want := 2
		if strings.HasPrefix(name, "another") {
			want = 7 // still a plan, but edited
		}
		if r.code != want || strings.ContainsRune(r.stdout+r.stderr, '\x1b') ||
			strings.Contains(r.stderr, "goroutine") {
			t.Errorf("%s: exit %d, want %d\n%s", name, r.code, want, tail(r.stderr))
		}
	}
	for _, id := range []string{"../../../../etc/passwd", "..", "/dev/zero", "\x1b[2J"} {
		r := e.run(t, "rollback", id, "--yes")
		if r.code != 2 || strings.ContainsRune(r.stdout+r.stderr, '\x1b') {
			t.Errorf("rollback %q: exit %d, want 2\n%s", id, r.code, tail(r.stderr))
		}
	}
	pipe := filepath.Join(dir, "pipe")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Skip(err)
	}
	cmd := exec.Command(binary, "apply", pipe, "--yes", "-f", filepath.Join(e.dir, "answers.yaml"), "--state-dir",
		e.state)
	cmd.Env = e.env
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	time.Sleep(300 * time.Millisecond)
	_ = cmd.Process.Signal(os.Interrupt)
	kill := time.AfterFunc(20*time.Second, func() { _ = cmd.Process.Kill() })
	_ = cmd.Wait()
	kill.Stop()
	if code := cmd.ProcessState.ExitCode(); code != 130 {
		t.Errorf("a plan from a pipe that nobody writes to, interrupted: exit %d, want 130", code)
	}
	e.must(t, 0, "apply", saved, "--yes") // the state has not changed
}
