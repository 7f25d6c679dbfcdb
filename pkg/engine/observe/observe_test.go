package observe

import "testing"

// The names stand in JSON lines: scripts depend on them.
func TestEventNames(t *testing.T) {
	for want, e := range map[string]Event{"started": Started{}, "progress": Progress{}, "waiting": Waiting{},
		"warning": Warning{}} {
		if got := e.Event(); got != want {
			t.Errorf("%T is called %s, want %s", e, got, want)
		}
	}
}
