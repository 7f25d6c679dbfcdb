// Package e2e runs the hybridge binary against the lab, as a person or a pipeline would.
package e2e

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

var binary string

// inNamespace is the variable that names the binary to a test that runs in namespaces of its own.
const inNamespace = "HYBRIDGE_NAMESPACE"

func TestMain(m *testing.M) {
	if binary = os.Getenv(inNamespace); binary != "" { // see TestWizardAlone
		os.Exit(m.Run())
	}
	dir, err := os.MkdirTemp("", "hybridge-e2e")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	binary = filepath.Join(dir, "hybridge")
	args := []string{"build", "-ldflags", "-s -w -funcalign=16", "-o", binary}
	if raced {
		args = append(args, "-race")
	}
	build := exec.Command("go", append(append(args, compilerFlags()...), "./cmd/hybridge")...)
	build.Dir = "../.."
	if out, err := build.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "build: %v\n%s", err, out)
		os.Exit(1)
	}
	os.Setenv("HYBRIDGE_LANGUAGE", "en") // that of the tests, whatever that of the person who runs them
	if signal.Ignored(syscall.SIGHUP) {  // under nohup, which the programs that are started would inherit
		signal.Notify(make(chan os.Signal, 1), syscall.SIGHUP)
	}
	code := m.Run()
	os.RemoveAll(dir)
	os.Exit(code)
}

// raced says that the tests run with the race detector. Then the program has it too.
var raced = func() bool {
	info, ok := debug.ReadBuildInfo()
	return ok && slices.Contains(info.Settings, debug.BuildSetting{Key: "-race", Value: "true"})
}()

// compilerFlags are those of the Makefile, which has what a release is built with.
func compilerFlags() []string {
	makefile, err := os.ReadFile("../../Makefile")
	if err != nil {
		panic(err)
	}
	_, rest, _ := strings.Cut(string(makefile), "\nGCFLAGS := ")
	line, _, _ := strings.Cut(rest, "\n")
	return strings.Fields(line)
}

// maxSize is how large a stripped binary may be, in bytes. `make dist` says the same of the six.
const maxSize = 30_000_000

// TestSize says early that a dependency made the binary large: text/template, or whole clients of
// an SDK.
func TestSize(t *testing.T) {
	info, err := os.Stat(binary)
	if err != nil {
		t.Fatal(err)
	}
	if info.Size() > maxSize && !raced {
		t.Errorf("the stripped binary has %d bytes, and %d are the limit", info.Size(), maxSize)
	}
}

// run is one finished hybridge process.
type run struct {
	code           int
	stdout, stderr string
	took           time.Duration
}

// estate is a separate lab with a separate state directory.
type estate struct {
	dir, state string
	env        []string
	// wait is the --wait of apply and rollback. Tests that kill runs set it, because the lab shows
	// every change at once.
	wait string
}

// startLab starts a lab and stops it when the test ends.
func startLab(t *testing.T, args ...string) *estate {
	t.Helper()
	e := &estate{dir: t.TempDir(), state: t.TempDir()}
	e.env = append(os.Environ(), "HOME="+t.TempDir(), "NO_COLOR=1")
	cmd := exec.Command(binary, append([]string{"lab", "start", "--dir", e.dir}, args...)...)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr, cmd.Env = &out, &out, e.env
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	t.Cleanup(func() {
		cmd.Process.Signal(os.Interrupt)
		select {
		case <-ended:
		case <-time.After(30 * time.Second):
			cmd.Process.Kill()
			t.Error("the lab did not end within 30 s of an interrupt")
		}
	})
	for deadline := time.Now().Add(60 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		if _, err := os.Stat(filepath.Join(e.dir, "lab.json")); err == nil {
			return e
		}
		select {
		case err := <-ended:
			ended <- err
			t.Fatalf("the lab ended: %v\n%s", err, out.String())
		default:
		}
		if time.Now().After(deadline) {
			t.Fatalf("the lab is not up after a minute\n%s", out.String())
		}
	}
}

func (e *estate) command(args ...string) *exec.Cmd {
	if e.wait != "" && len(args) > 0 && (args[0] == "apply" || args[0] == "rollback") {
		args = append(slices.Clone(args), "--wait", e.wait)
	}
	cmd := exec.Command(binary, append(args, "-f", filepath.Join(e.dir, "answers.yaml"), "--state-dir", e.state)...)
	cmd.Env = e.env
	return cmd
}

// plainly is a command without the options of command.
func (e *estate) plainly(args ...string) *exec.Cmd {
	cmd := exec.Command(binary, args...)
	cmd.Env = e.env
	return cmd
}

func (e *estate) run(t *testing.T, args ...string) run {
	t.Helper()
	return finish(t, e.command(args...))
}

// must runs hybridge and checks the exit code.
func (e *estate) must(t *testing.T, code int, args ...string) run {
	t.Helper()
	r := e.run(t, args...)
	if r.code != code {
		t.Fatalf("hybridge %s: exit %d, want %d\nstdout:\n%s\nstderr:\n%s", strings.Join(args, " "), r.code, code,
			tail(r.stdout), tail(r.stderr))
	}
	return r
}

func finish(t *testing.T, cmd *exec.Cmd) run {
	t.Helper()
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	start := time.Now()
	err := cmd.Run()
	r := run{stdout: out.String(), stderr: errs.String(), took: time.Since(start)}
	var exit *exec.ExitError
	switch {
	case errors.As(err, &exit):
		r.code = exit.ExitCode()
	case err != nil:
		t.Fatal(err)
	}
	return r
}

func tail(s string) string {
	if len(s) > 6000 {
		return "..." + s[len(s)-6000:]
	}
	return s
}

// decode reads a document that must be alone on stdout.
func decode[T any](t *testing.T, text string) T {
	t.Helper()
	var v T
	d := json.NewDecoder(strings.NewReader(text))
	if err := d.Decode(&v); err != nil {
		t.Fatalf("stdout is not JSON: %v\n%s", err, tail(text))
	}
	if d.More() {
		t.Fatalf("more than one document on stdout\n%s", tail(text))
	}
	return v
}

type plan struct {
	Digest  string
	Summary struct{ Create, Update, Replace, Delete, Unchanged int }
	Changes []struct{ ID, Target, Kind, Action string }
}

func (e *estate) plan(t *testing.T) plan {
	t.Helper()
	return decode[plan](t, e.must(t, 0, "plan", "-o", "json").stdout)
}
