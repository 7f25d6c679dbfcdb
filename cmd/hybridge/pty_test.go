//go:build unix

package main

import (
	"bytes"
	"io"
	"os"
	"os/exec"
	"testing"

	"github.com/creack/pty"
)

// A terminal that answers no question: nothing may ask it one. (The library behind the wizard does
// so when it is imported, and waits five seconds for the answer; see package wizard/quiet.)
func TestSilentTerminal(t *testing.T) {
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"--help"}, {"version"}, {"check", "--help"}, {"help", "exit-codes"}, {"check"}} {
		cmd := exec.CommandContext(t.Context(), exe, args...)
		cmd.Args[0] = "hybridge" // testscript's main runs the program of this name
		cmd.Env = append(os.Environ(), "TERM=xterm-256color", "CI=", "NO_COLOR=")
		f, err := pty.Start(cmd)
		if err != nil {
			t.Skipf("no pseudo-terminal: %v", err)
		}
		out, _ := io.ReadAll(f) // ends with an error when the program closes its side
		_ = cmd.Wait()
		_ = f.Close()
		if len(out) == 0 || bytes.ContainsRune(out, '\x1b') {
			t.Errorf("%v wrote %q", args, out)
		}
	}
}
