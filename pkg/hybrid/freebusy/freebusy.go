// Package freebusy predicts the route of a free/busy lookup between premises, runs lookups from
// both sides, and fills the matrix.
package freebusy

import (
	"github.com/hybridge-cli/hybridge/pkg/engine/report"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/diagnose"
)

// Status of one lookup or message. Unknown means that it could not be sent; Pending, that a server
// holds the message and retries.
type Status string

// The statuses.
const (
	OK      Status = "ok"
	Failed  Status = "failed"
	Unknown Status = "unknown"
	Pending Status = "pending"
)

// MessageProbe is the probe of answers about a message: whether it arrived as internal mail over
// TLS.
const MessageProbe = "message"

// Diagnosis is a suspected cause.
type Diagnosis struct {
	ID         string  `json:"id"`
	Confidence float64 `json:"confidence"` // 0 to 1
}

// Answer is one cell of the matrix: whether From sees To's calendar.
type Answer struct {
	From      string `json:"from"`
	To        string `json:"to"`
	Direction string `json:"direction"` // "contoso -> online", "online -> contoso", "contoso -> fabrikam"
	// "ews" and "graph" are lookups; others prove one step of a direction: "test-oauthconnectivity",
	// "token", "mailtips", "test-organizationrelationship", "test-migrationserveravailability"; "message"
	Probe string `json:"probe"`
	// Route holds the hops, first to last: "intra-organization connector HybridIOC", "autodiscover
	// https://...", ...
	Route     []string    `json:"route"`
	Status    Status      `json:"status"`
	LatencyMS int64       `json:"latencyMs"`
	Error     string      `json:"error,omitempty"`
	Note      string      `json:"note,omitempty"` // what was not examined, or differs without being wrong
	Diagnosis []Diagnosis `json:"diagnosis,omitempty"`
	Cause     error       `json:"-"`
}

// Event makes an Answer an observe.Event.
func (Answer) Event() string { return "lookup" }

// Report is the outcome of a test run.
type Report struct {
	APIVersion string `json:"apiVersion"` // hybridge/v1
	Kind       string `json:"kind"`       // TestReport
	// The run that the report is of.
	About   report.About `json:"about,omitzero"`
	Summary Summary      `json:"summary"`
	Matrix  []Answer     `json:"matrix"`
	// What the deciding checks say about what failed; absent when everything works.
	Verdict *diagnose.Verdict `json:"verdict,omitempty"`
}

// Summary counts a report.
type Summary struct {
	OK      int `json:"ok"`
	Failed  int `json:"failed"`
	Unknown int `json:"unknown"`
	Pending int `json:"pending,omitempty"` // messages alone
}
