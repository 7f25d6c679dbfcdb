package main

import (
	"bytes"
	"context"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strings"
)

// paged are the verbs whose output is one document to read. The others write to systems, ask, or
// repeat.
var paged = []string{
	"check", "plan", "validate", "explain", "collect", "history", "schema", "faults", "diff", "trend", "merge",
	"version",
}

// pager keeps what is written until Close, and then shows it: in a program that scrolls when it is
// longer than the terminal, else as it is.
type pager struct {
	command []string
	height  int
	screen  io.Writer
	text    bytes.Buffer
}

// newPager returns the pager that the environment names: HYBRIDGE_PAGER, else PAGER, else less, on
// Windows more. It returns nil where there is none: cat is named, or a program that is not there.
func newPager(s streams) *pager {
	name := "less"
	if runtime.GOOS == "windows" {
		name = "more.com"
	}
	for _, variable := range []string{"PAGER", "HYBRIDGE_PAGER"} {
		if v := strings.TrimSpace(s.Env(variable)); v != "" {
			name = v
		}
	}
	command := strings.Fields(name)
	if command[0] == "cat" || s.Height == 0 {
		return nil
	}
	path, err := exec.LookPath(command[0])
	if err != nil {
		return nil
	}
	command[0] = path
	return &pager{command: command, height: s.Height, screen: s.Out}
}

func (p *pager) Write(b []byte) (int, error) { return p.text.Write(b) }

// Close shows the text. A pager that fails has shown what it could: that is no failure of the verb.
func (p *pager) Close() error {
	if bytes.Count(p.text.Bytes(), []byte("\n")) < p.height {
		_, err := p.text.WriteTo(p.screen)
		return err
	}
	// Ctrl-C is the pager's: its user leaves it with q.
	cmd := exec.CommandContext(context.Background(), p.command[0], p.command[1:]...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(p.text.Bytes()), p.screen, os.Stderr
	cmd.Env = os.Environ()
	if os.Getenv("LESS") == "" { // leave at the end of a short text, colors, no clearing of the screen
		cmd.Env = append(cmd.Env, "LESS=FRX")
	}
	if err := cmd.Start(); err != nil {
		_, err := p.text.WriteTo(p.screen)
		return err
	}
	_ = cmd.Wait() // it ends as its user ends it
	return nil
}
