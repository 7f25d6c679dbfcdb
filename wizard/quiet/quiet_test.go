package quiet

import (
	"os"
	"testing"
)

// Before main the terminal is taken for a dumb one; from then on for what it is.
func TestRestore(t *testing.T) {
	if got := os.Getenv("TERM"); got != "dumb" {
		t.Errorf("TERM=%s before main", got)
	}
	defer func(was string, set bool) { term, had = was, set; Restore() }(term, had)
	term, had = "xterm-256color", true
	if Restore(); os.Getenv("TERM") != "xterm-256color" {
		t.Errorf("TERM=%s", os.Getenv("TERM"))
	}
	term, had = "", false
	Restore()
	if got, set := os.LookupEnv("TERM"); set {
		t.Errorf("TERM=%s, and was not set", got)
	}
}
