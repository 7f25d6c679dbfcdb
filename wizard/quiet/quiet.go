// Package quiet keeps the terminal library behind the wizard from talking to the terminal while it
// is merely imported.
//
// bubbletea v1 asks the terminal for its background color in a package initializer. Every program
// that imports it, also one that is about to print its --help and exit, thereby writes escape
// sequences and waits up to five seconds for an answer (charmbracelet/bubbletea issue 1771, closed
// as not planned). It does not ask a terminal whose TERM is "dumb". So this package sets TERM=dumb
// before that initializer runs, and main calls Restore before anything else:
//
//	func main() {
//		quiet.Restore()
//		...
//	}
//
// It runs first because Go initializes, among the packages whose imports are initialized, the one
// with the lowest import path, and this one imports nothing but syscall: it is ready before package
// os, which everything that reads TERM needs. It must therefore never import anything else. A test
// of package wizard runs a program on a silent pseudo-terminal to hold this.
package quiet

import "syscall"

var term, had = hush()

func hush() (string, bool) {
	term, had := syscall.Getenv("TERM")
	_ = syscall.Setenv("TERM", "dumb")
	return term, had
}

// Restore puts TERM back to what it was. Call it first thing in main.
func Restore() {
	if had {
		_ = syscall.Setenv("TERM", term)
		return
	}
	_ = syscall.Unsetenv("TERM")
}
