//go:build linux

package windows

import (
	"bytes"
	"context"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/creack/pty"
)

// store puts a secret into Credential Manager.
func (e *estate) store(t *testing.T, args ...string) {
	t.Helper()
	finish(t, 0, func(ctx context.Context) *exec.Cmd {
		return e.start(ctx, append([]string{filepath.Join(e.wine.dir, "credential.exe")}, args...)...)
	})
}

// console is a Windows program in a console, for which Wine uses a pseudo-terminal.
type console struct {
	t     *testing.T
	c     *exec.Cmd
	press func(string)
	mu    sync.Mutex
	out   bytes.Buffer
	ended chan struct{}
}

func (e *estate) console(t *testing.T, args ...string) *console {
	t.Helper()
	c := e.command(t.Context(), args...)
	c.Env = append(c.Env, "TERM=xterm-256color")
	f, err := pty.StartWithSize(c, &pty.Winsize{Rows: 30, Cols: 100})
	if err != nil {
		t.Fatal(err)
	}
	p := &console{t: t, c: c, ended: make(chan struct{})}
	p.press = func(keys string) {
		if _, err := f.WriteString(keys); err != nil {
			t.Error(err)
		}
	}
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

var escapes = regexp.MustCompile(`\x1b\[[0-9;?]*[a-zA-Z]|\x1b\][^\x07]*\x07`)

func (p *console) text() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return escapes.ReplaceAllString(p.out.String(), "")
}

func (p *console) until(text string) {
	p.t.Helper()
	for deadline := time.Now().Add(time.Minute); !strings.Contains(p.text(), text); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			p.t.Fatalf("never showed %q:\n%s", text, tail(p.text()))
		}
	}
}

func (p *console) exit(code int) {
	p.t.Helper()
	killed := time.AfterFunc(time.Minute, func() { _ = p.c.Process.Kill() })
	defer killed.Stop()
	_ = p.c.Wait()
	select {
	case <-p.ended:
	case <-time.After(2 * time.Second): // an ended program's services of Wine keep the terminal open
	}
	if got := p.c.ProcessState.ExitCode(); got != code {
		p.t.Errorf("exit %d, want %d\n%s", got, code, tail(p.text()))
	}
}

// TestWizard runs the wizard in a console, from the answers to working free/busy.
func TestWizard(t *testing.T) {
	e := startLab(t)
	p := e.console(t, "wizard", "-f", e.answers)
	p.until("These are the answers")
	p.press("\r")
	p.until("enter plan")
	p.press("\r")
	p.until("enter apply ...")
	p.press("\r")
	p.until("y applies it")
	p.press("y")
	p.until("enter free/busy")
	p.press("\r")
	p.until("Every lookup works")
	p.press("q")
	p.exit(0)
	e.must(t, 0, "plan", "-f", e.answers, "--detailed-exitcode")
}

// TestCtrlC: an interrupted apply ends by itself as cancelled, and the next one resumes it.
func TestCtrlC(t *testing.T) {
	e := startLab(t)
	p := e.console(t, "apply", "-f", e.answers, "--yes")
	p.until("apply: create")
	if err := e.lab.Process.Signal(syscall.SIGSTOP); err != nil { // nothing answers from here on
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = e.lab.Process.Signal(syscall.SIGCONT) })
	// The run holds the lock until it ends.
	if r := e.must(t, 1, "rollback", "-f", e.answers, "--yes"); !strings.Contains(r.stderr, "is locked") {
		t.Errorf("two runs at once: %s", r.stderr)
	}
	p.press("\x03")
	time.Sleep(time.Second) // the current request may end
	_ = e.lab.Process.Signal(syscall.SIGCONT)
	p.exit(130)
	if r := e.must(t, 0, "history", "-f", e.answers); !strings.Contains(r.stdout, "cancelled") {
		t.Errorf("history:\n%s", r.stdout)
	}
	e.must(t, 0, "apply", "-f", e.answers, "--yes")
	e.must(t, 0, "plan", "-f", e.answers, "--detailed-exitcode")
}
