package main

import (
	"fmt"
	"io"
	"os"
	"runtime"
	"strings"

	"golang.org/x/term"

	"github.com/hybridge-cli/hybridge/pkg/engine/report"
)

// streams are the inputs and outputs of a command. Data goes to Out. Everything else that a person
// may want to read goes to Err.
type streams struct {
	In       io.Reader
	Out, Err io.Writer
	InTTY    bool
	OutTTY   bool
	ErrTTY   bool
	Width    int // of the terminal; 0 when unknown
	Height   int // of the terminal, in lines; 0 when unknown
	ErrWidth int // of the terminal that Err is; 0 when it is none, or unknown
	Env      func(string) string
}

func systemStreams() streams {
	is := func(f *os.File) bool { return term.IsTerminal(int(f.Fd())) }
	s := streams{
		In: os.Stdin, Out: os.Stdout, Err: os.Stderr,
		InTTY: is(os.Stdin), OutTTY: is(os.Stdout), ErrTTY: is(os.Stderr), Env: os.Getenv,
	}
	if s.OutTTY {
		if width, height, err := term.GetSize(int(os.Stdout.Fd())); err == nil {
			s.Width, s.Height = width, height
		}
	}
	if s.ErrTTY {
		if width, _, err := term.GetSize(int(os.Stderr.Fd())); err == nil {
			s.ErrWidth = width
		}
	}
	return s
}

// tell writes messages to w, which becomes standard error: on a terminal in lines that fit.
func (s streams) tell(w io.Writer, text string) { fmt.Fprintln(w, report.Told(text, s.ErrWidth)) }

// canDraw reports whether a full-screen program can draw on the terminal.
func (s streams) canDraw() bool {
	term := s.Env("TERM")
	return s.InTTY && s.OutTTY && term != "dumb" && (term != "" || runtime.GOOS == "windows")
}

// canAsk reports whether a person at a terminal can be asked, in plain lines at least.
func (s streams) canAsk() bool { return s.InTTY && s.OutTTY }

// canRedraw reports whether lines that stand on the terminal can be replaced.
func (s streams) canRedraw() bool {
	return s.OutTTY && s.Env("TERM") != "dumb" && (runtime.GOOS != "windows" || s.Env("WT_SESSION") != "")
}

// style is how text looks on a stream: color only on a terminal and where no variable forbids it,
// ASCII where UTF-8 is not declared.
func (s streams) style(tty, noColor bool) report.Style {
	forced := s.Env("CLICOLOR_FORCE") != "" && s.Env("CLICOLOR_FORCE") != "0"
	plain := noColor || s.Env("NO_COLOR") != "" || s.Env("HYBRIDGE_NO_COLOR") != "" || s.Env("TERM") == "dumb" ||
		runtime.GOOS == "windows" && s.Env("WT_SESSION") == ""
	width := 0
	if tty {
		width = s.Width
	}
	return report.Style{Color: !plain && tty || forced && !noColor, ASCII: !s.utf8(), Width: width}
}

func (s streams) utf8() bool {
	if runtime.GOOS == "windows" {
		return s.Env("WT_SESSION") != ""
	}
	for _, name := range []string{"LC_ALL", "LC_CTYPE", "LANG"} {
		if value := s.Env(name); value != "" {
			value = strings.ToLower(value)
			return strings.Contains(value, "utf-8") || strings.Contains(value, "utf8")
		}
	}
	return runtime.GOOS == "darwin"
}
