//go:build linux

// Package windows runs the Windows build under Wine, against a lab of the Linux build.
package windows

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hybridge-cli/hybridge/test/peer"
)

// wine is Wine 8 of Debian with a separate prefix.
type wine struct {
	loader, server, compiler string
	dir                      string // of everything below
	native, program          string // hybridge for Linux and for Windows
	prefix                   string
}

var (
	made    wine
	prepare = sync.OnceValue(func() error { return made.make() })
)

func TestMain(m *testing.M) {
	os.Setenv("HYBRIDGE_LANGUAGE", "en") // that of the tests
	code := m.Run()
	if made.prefix != "" { // only the server of this prefix
		c := exec.Command(made.server, "--kill")
		c.Env = append(os.Environ(), "WINEPREFIX="+made.prefix)
		_ = c.Run()
	}
	if made.dir != "" {
		_ = os.RemoveAll(made.dir)
	}
	os.Exit(code)
}

// start returns Wine with the Windows build, which is made once per run of the suite.
func start(t *testing.T) *wine {
	t.Helper()
	if runtime.GOARCH != "amd64" {
		t.Skip("NOT TESTED: Wine runs the build for Windows on amd64 only on a machine of that kind")
	}
	const loader, server = "/usr/lib/wine/wine64", "/usr/lib/wine/wineserver64"
	for _, path := range []string{loader, server} {
		if _, err := os.Stat(path); err != nil {
			peer.Missing(t, "Wine ("+path+")", "wine64")
		}
	}
	made.loader, made.server = loader, server
	made.compiler = peer.Program(t, "x86_64-w64-mingw32-gcc", "gcc-mingw-w64-x86-64-win32")
	if err := prepare(); err != nil {
		t.Fatal(err)
	}
	return &made
}

func (w *wine) make() (err error) {
	if w.dir, err = os.MkdirTemp("", "hybridge-wine"); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), 8*time.Minute)
	defer cancel()
	w.native, w.program = filepath.Join(w.dir, "hybridge"), filepath.Join(w.dir, "hybridge.exe")
	w.prefix = filepath.Join(w.dir, "prefix")
	system := filepath.Join(w.prefix, "drive_c", "windows", "system32")
	for _, step := range []struct {
		args []string
		env  []string
	}{
		{[]string{"go", "build", "-o", w.native, "../../cmd/hybridge"}, nil},
		// -trimpath: make dist compiles the same.
		{[]string{"go", "build", "-trimpath", "-o", w.program, "../../cmd/hybridge"},
			[]string{"GOOS=windows", "GOARCH=amd64", "CGO_ENABLED=0"}},
		{[]string{w.loader, "wineboot", "--init"}, w.env()},
		{[]string{w.server, "--wait"}, w.env()},
		{[]string{w.server, "--persistent"}, w.env()}, // until TestMain ends it
		{[]string{w.compiler, "-shared", "-o", filepath.Join(system, "bcryptprimitives.dll"),
			"testdata/bcryptprimitives.c", "-ladvapi32"}, nil},
		{[]string{w.compiler, "-o", filepath.Join(w.dir, "credential.exe"), "testdata/credential.c", "-ladvapi32"},
			nil},
	} {
		// A file, as in finish.
		log, err := os.Create(filepath.Join(w.dir, "log"))
		if err != nil {
			return err
		}
		c := exec.CommandContext(ctx, step.args[0], step.args[1:]...)
		c.Env = append(os.Environ(), step.env...)
		c.Stdout, c.Stderr = log, log
		err = c.Run()
		_ = log.Close()
		if err != nil {
			out, _ := os.ReadFile(log.Name())
			return fmt.Errorf("%s: %w\n%s", strings.Join(step.args, " "), err, out)
		}
	}
	return nil
}

// env is what Wine requires in addition to the environment. HOME is set because Wine links the
// folders of a Windows user to it.
func (w *wine) env() []string {
	return []string{"WINEPREFIX=" + w.prefix, "WINEDEBUG=-all", "WINEDLLOVERRIDES=bcryptprimitives=n;mscoree=;mshtml=",
		"HOME=" + w.dir, "PATH=" + os.Getenv("PATH") + ":/usr/lib/wine", "CI="}
}

// path is a file of Linux as Windows names it.
func path(file string) string { return "Z:" + strings.ReplaceAll(file, "/", `\`) }

// estate is a lab in a folder whose name contains blanks and non-ASCII letters.
type estate struct {
	*wine
	lab     *exec.Cmd
	dir     string
	work    string // the current folder of the Windows program
	answers string // as Windows names it
}

func startLab(t *testing.T, args ...string) *estate {
	t.Helper()
	e := &estate{wine: start(t), dir: filepath.Join(t.TempDir(), "Prüfung Süd 日本"), work: t.TempDir()}
	e.answers = path(filepath.Join(e.dir, "answers.yaml"))
	e.lab = exec.Command(e.native, append([]string{"lab", "start", "--users", "20", "--dir", e.dir}, args...)...)
	var out bytes.Buffer
	e.lab.Stdout, e.lab.Stderr = &out, &out
	e.lab.Env = append(os.Environ(), "HOME="+e.work)
	if err := e.lab.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- e.lab.Wait() }()
	t.Cleanup(func() {
		_ = e.lab.Process.Signal(os.Interrupt)
		select {
		case <-ended:
		case <-time.After(30 * time.Second):
			_ = e.lab.Process.Kill()
			t.Error("the lab did not end within 30 s of an interrupt")
		}
	})
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(20 * time.Millisecond) {
		if _, err := os.Stat(filepath.Join(e.dir, "lab.json")); err == nil {
			return e
		}
		if time.Now().After(deadline) {
			t.Fatalf("the lab is not up after a minute\n%s", out.String())
		}
	}
}

func (e *estate) command(ctx context.Context, args ...string) *exec.Cmd {
	return e.start(ctx, append([]string{e.program}, args...)...)
}

// start is a Windows program with its arguments.
func (e *estate) start(ctx context.Context, args ...string) *exec.Cmd {
	c := exec.CommandContext(ctx, e.loader, args...)
	c.Env = append(append(os.Environ(), e.env()...), "NO_COLOR=1")
	c.Dir = e.work
	return c
}

// run is one finished process.
type run struct{ stdout, stderr string }

// says reports whether the output contains text, wherever its lines break.
func (r run) says(text string) bool {
	return strings.Contains(strings.Join(strings.Fields(r.stdout+" "+r.stderr), " "), text)
}

// must runs hybridge for Windows and checks the exit code.
func (e *estate) must(t *testing.T, code int, args ...string) run {
	t.Helper()
	return finish(t, code, func(ctx context.Context) *exec.Cmd { return e.command(ctx, args...) })
}

func finish(t *testing.T, code int, command func(context.Context) *exec.Cmd) run {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	c := command(ctx)
	// Files, not pipes: Wine's services outlive the command that starts them, and keep its output
	// open.
	texts := [2]string{}
	files := [2]*os.File{}
	for i := range files {
		f, err := os.Create(filepath.Join(t.TempDir(), "out"))
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		files[i] = f
	}
	c.Stdout, c.Stderr = files[0], files[1]
	began := time.Now()
	err := c.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	for i, f := range files {
		text, err := os.ReadFile(f.Name())
		if err != nil {
			t.Fatal(err)
		}
		texts[i] = string(text)
	}
	r := run{texts[0], texts[1]}
	t.Logf("%.1f s %s", time.Since(began).Seconds(), c.Args[2])
	if got := c.ProcessState.ExitCode(); got != code {
		t.Fatalf("%s: exit %d, want %d\nstdout:\n%s\nstderr:\n%s",
			strings.Join(c.Args[1:], " "), got, code, tail(r.stdout), tail(r.stderr))
	}
	return r
}

func tail(s string) string {
	if len(s) > 4000 {
		return "..." + s[len(s)-4000:]
	}
	return s
}

func decode[T any](t *testing.T, text string) T {
	t.Helper()
	var v T
	if err := json.Unmarshal([]byte(text), &v); err != nil {
		t.Fatalf("stdout is not JSON: %v\n%s", err, tail(text))
	}
	return v
}

type plan struct {
	Digest  string
	Summary struct{ Create, Update, Replace, Delete, Unchanged int }
	Changes []struct{ ID, Target, Kind, Action string }
}
