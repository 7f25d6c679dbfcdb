// Package observe is the one way in which the engine and the hybrid packages report events while
// they run. The text printer, the JSON lines writer and the wizard are observers; no package below
// cmd and wizard prints.
package observe

import "time"

// Event is one thing that happened. Packages that produce richer events (a check's Result, a
// change's Outcome, a lookup's Answer) define them as types that implement Event.
type Event interface {
	// Event names the event's kind as JSON lines show it: "started", "progress", "check", "change",
	// "lookup", ...
	Event() string
}

// Observer receives events. Engines call it from one goroutine at a time: an Observer needs no
// lock.
type Observer interface{ Observe(Event) }

// Func is an Observer made of a function.
type Func func(Event)

// Observe calls f.
func (f Func) Observe(e Event) { f(e) }

// Started opens a stage of the run: "check", "plan", "apply", "test".
type Started struct {
	Stage string `json:"stage"`
	Total int    `json:"total"` // steps, when known; 0 otherwise
}

// Progress reports that work goes on: Done of Total steps, and what is being done now.
type Progress struct {
	Stage string `json:"stage"`
	Done  int    `json:"done"`
	Total int    `json:"total"`
	Text  string `json:"text"`
	// Of a long read: what is read per second, and how many seconds the rest takes about. Absent
	// when unknown.
	Rate float64 `json:"rate,omitempty"`
	Left float64 `json:"left,omitempty"`
}

// Waiting says what is waited for, and until when at the latest.
type Waiting struct {
	Stage string    `json:"stage"`
	ID    string    `json:"id"`
	What  string    `json:"what"`
	Until time.Time `json:"until"`
}

// Warning is something a person should know that stops nothing.
type Warning struct {
	Text string `json:"text"`
}

func (Started) Event() string  { return "started" }
func (Progress) Event() string { return "progress" }
func (Waiting) Event() string  { return "waiting" }
func (Warning) Event() string  { return "warning" }
