//go:build !windows

package wizard

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/creack/pty"

	"github.com/hybridge-cli/hybridge/pkg/config/answers"
	"github.com/hybridge-cli/hybridge/wizard/quiet"
	"github.com/hybridge-cli/hybridge/wizard/stage"
)

// TestMain lets the test binary be the program that a pseudo-terminal is put around.
func TestMain(m *testing.M) {
	quiet.Restore()
	switch os.Getenv("HYBRIDGE_WIZARD_TEST") {
	case "":
		os.Exit(m.Run())
	case "help":
		fmt.Println("usage: TERM=" + os.Getenv("TERM"))
		os.Exit(0)
	}
	engine := newFake()
	if os.Getenv("HYBRIDGE_WIZARD_TEST") == "stuck" {
		engine.stuck, engine.deaf = stage.Check, true
	}
	err := Run(context.Background(), Options{Path: "answers.yaml", Open: func(context.Context, answers.Answers,
		Person) (stage.Engine, error) {
		return engine, nil
	}})
	switch {
	case err == nil:
		os.Exit(0)
	case errors.Is(err, ErrLeft):
		os.Exit(10)
	case errors.Is(err, context.Canceled):
		os.Exit(130)
	}
	fmt.Println("error:", err)
	os.Exit(1)
}

// terminal is a program on a pseudo-terminal that answers nothing.
type terminal struct {
	t       *testing.T
	command *exec.Cmd
	file    *os.File
	mu      sync.Mutex
	out     bytes.Buffer
	ended   chan struct{}
}

func start(t *testing.T, mode, dir string, env ...string) *terminal {
	t.Helper()
	c := exec.Command(os.Args[0])
	c.Dir = dir
	c.Env = append(os.Environ(), append([]string{"HYBRIDGE_WIZARD_TEST=" + mode, "TERM=xterm-256color", "CI=",
		"NO_COLOR="}, env...)...)
	f, err := pty.StartWithSize(c, &pty.Winsize{Rows: 24, Cols: 80})
	if err != nil {
		t.Fatal(err)
	}
	p := &terminal{t: t, command: c, file: f, ended: make(chan struct{})}
	go func() {
		defer close(p.ended)
		buffer := make([]byte, 4096)
		for {
			n, err := f.Read(buffer)
			p.mu.Lock()
			p.out.Write(buffer[:n])
			p.mu.Unlock()
			if err != nil {
				return
			}
		}
	}()
	t.Cleanup(func() { _ = c.Process.Kill(); _ = f.Close() })
	return p
}

func (p *terminal) text() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.out.String()
}

func (p *terminal) until(text string) {
	p.t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !strings.Contains(p.text(),
		text); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			p.t.Fatalf("never showed %q:\n%q", text, p.text())
		}
	}
}

func (p *terminal) press(keys string) {
	p.t.Helper()
	if _, err := p.file.WriteString(keys); err != nil {
		p.t.Fatal(err)
	}
}

func (p *terminal) exit() int {
	p.t.Helper()
	killed := time.AfterFunc(20*time.Second, func() { _ = p.command.Process.Kill() })
	defer killed.Stop()
	_ = p.command.Wait()
	<-p.ended
	return p.command.ProcessState.ExitCode()
}

// TestQuiet: a program that merely imports the wizard asks its terminal nothing. Without package
// quiet, it writes an OSC 11 query here and waits five seconds for an answer.
func TestQuiet(t *testing.T) {
	p := start(t, "help", t.TempDir())
	if code := p.exit(); code != 0 {
		t.Fatalf("exit code %d", code)
	}
	if got := p.text(); strings.ContainsRune(got, '\x1b') || got != "usage: TERM=xterm-256color\r\n" {
		t.Errorf("got %q", got)
	}
}

// TestTerminal walks the wizard on a real terminal, from a valid file to the matrix and out.
func TestTerminal(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "answers.yaml"), []byte(valid), 0o600); err != nil {
		t.Fatal(err)
	}
	p := start(t, "run", dir)
	for i, pass := range onTheWay(t) {
		p.until(pass.until)
		if i == 1 {
			if err := pty.Setsize(p.file, &pty.Winsize{Rows: 20, Cols: 60}); err != nil {
				t.Fatal(err)
			}
			p.until("needs a window of 80 by 24")
			if err := pty.Setsize(p.file, &pty.Winsize{Rows: 30, Cols: 100}); err != nil {
				t.Fatal(err)
			}
		}
		p.press(strings.ReplaceAll(pass.keys, "<enter>", "\r"))
	}
	p.press("q")
	if code := p.exit(); code != 0 {
		t.Errorf("exit code %d", code)
	}
	text := p.text()
	_, after, left := strings.Cut(text, "\x1b[?1049l")
	if !left || !strings.Contains(after, "answers: answers.yaml") || !strings.Contains(after,
		"hybridge apply -f answers.yaml") {
		t.Errorf("after the wizard: %q", after)
	}
	for _, hostile := range []string{"\x1b[2J\x07", "\x1b]0;gotcha", "\x07"} {
		if strings.Contains(text, hostile) {
			t.Errorf("a server's %q reached the terminal", hostile)
		}
	}
}

// TestTerminalForced: Ctrl-C twice leaves although the engine hears nothing, and what was typed is
// saved.
func TestTerminalForced(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "answers.yaml"), []byte(valid), 0o600); err != nil {
		t.Fatal(err)
	}
	p := start(t, "stuck", dir)
	p.until("These are the answers")
	p.press("e")
	p.until("for reports")
	p.press("\x15Adatum\x13")
	p.until("Adatum")
	p.until("Checking the prerequisites reads")
	for _, pass := range onTheWay(t) {
		if pass == passes[fmt.Sprintf("%T", &checkScreen{})] {
			break
		}
		p.until(pass.until)
		p.press(strings.ReplaceAll(pass.keys, "<enter>", "\r"))
	}
	p.until("exchange.rights")
	p.press("\x03")
	p.until("Ctrl-C again leaves immediately")
	p.press("\x03")
	if code := p.exit(); code != 130 {
		t.Errorf("exit code %d: %q", code, p.text())
	}
	a, err := answers.Load(t.Context(), filepath.Join(dir, "answers.yaml"))
	if err != nil || a.Organization != "Adatum" {
		t.Errorf("saved %q, %v", a.Organization, err)
	}
}

// TestTerminalLeft: q at the first screen saves nothing that was not changed and is no success.
func TestTerminalLeft(t *testing.T) {
	dir := t.TempDir()
	p := start(t, "run", dir, "NO_COLOR=1")
	p.until("Which organization")
	p.press("\r")
	p.until("Where is forest 1?")
	p.press("\x0f")
	p.until("for reports")
	p.press("Half")
	p.until("Half")
	p.press("\x03")
	if code := p.exit(); code != 10 { // left in peace: nothing was under way
		t.Errorf("exit code %d", code)
	}
	d, err := answers.Open(t.Context(), filepath.Join(dir, "answers.yaml"))
	if err != nil || d.Text("organization") != "Half" {
		t.Errorf("what was answered is lost: %v", err)
	}
	if strings.Contains(p.text(), "\x1b[3") {
		t.Error("colors, though NO_COLOR is set")
	}
}
