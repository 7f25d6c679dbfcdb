// Package broken turns a panic into an error of the work that panicked. A panic that ends the
// process exits with 2, which scripts take for wrong usage, and leaves sessions open.
package broken

import (
	"fmt"
	"runtime/debug"
)

// Error is a panic. It names the work and the value; the stack is for the log.
type Error struct {
	What  string // "read Thing at online"
	Value any
	Stack []byte
}

func (e *Error) Error() string {
	return fmt.Sprintf("%s broke off (%v); this is a bug in hybridge", e.What, e.Value)
}

// Into, deferred, stores a panic of the surrounding function in err.
func Into(err *error, what string) {
	if value := recover(); value != nil {
		*err = &Error{what, value, debug.Stack()}
	}
}
