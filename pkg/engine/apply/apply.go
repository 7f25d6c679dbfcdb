// Package apply carries out a plan: journal ahead of every write, places in parallel and in order within one, read
// back after each write, resume after a kill, roll back what was done.
package apply

import (
	"time"

	"github.com/hybridge-cli/hybridge/pkg/engine/change"
)

// Options for Run and Rollback.
type Options struct {
	StateDir    string        // journals and the lock live here
	Wait        time.Duration // how long a read-back may take to show what was written; 0: the kind's own patience
	AllowDelete bool
	Version     string // of hybridge, for the journal

	// fault, in tests, is asked at every point where a process can die; an error stands for its death.
	fault func(point string) error
}

// Status of one change of a run.
type Status string

// The statuses. Skipped: it was in effect already. Pending: not begun when the run ended.
const (
	Done    Status = "done"
	Failed  Status = "failed"
	Skipped Status = "skipped"
	Pending Status = "pending"
)

// Outcome is what became of one change. It is an observe.Event.
type Outcome struct {
	ID         string        `json:"id"`
	Target     string        `json:"target"`
	Kind       string        `json:"kind"`
	Name       string        `json:"name"`
	Action     change.Action `json:"action"`
	Status     Status        `json:"status"`
	Error      string        `json:"error,omitempty"`
	Note       string        `json:"note,omitempty"` // why it was skipped
	DurationMS int64         `json:"durationMs"`
	Cause      error         `json:"-"`
}

// Event makes an Outcome an observe.Event.
func (Outcome) Event() string { return "change" }

// Summary counts a run.
type Summary struct {
	Done    int `json:"done"`
	Failed  int `json:"failed"`
	Skipped int `json:"skipped"`
	Pending int `json:"pending"`
}

// Report is the outcome of a run.
type Report struct {
	APIVersion string    `json:"apiVersion"` // hybridge/v1
	Kind       string    `json:"kind"`       // ApplyReport
	RunID      string    `json:"runId"`
	Journal    string    `json:"journal"` // path
	Summary    Summary   `json:"summary"`
	Changes    []Outcome `json:"changes"`
}
