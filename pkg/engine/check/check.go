// Package check runs declared checks: dependencies between them, one instance per scope instance,
// retries with a deadline, in parallel across scopes, results to an observer. It knows no Exchange.
package check

import (
	"context"
	"time"

	"github.com/hybridge-cli/hybridge/pkg/engine/msg"
	"github.com/hybridge-cli/hybridge/pkg/engine/report"
)

// ID is a check's stable name: category.topic, "directory.upn-matches-primary". It is documented
// under the anchor that Anchor gives in docs/reference/checks.md.
type ID string

// Severity is what a finding of a check amounts to.
type Severity string

// Status is the outcome of one check in one scope. Error means that it could not look: never that
// something is wrong.
type Status string

// The severities and statuses.
const (
	Fail Severity = "fail"
	Warn Severity = "warn"

	StatusPass  Status = "pass"
	StatusWarn  Status = "warn"
	StatusFail  Status = "fail"
	StatusSkip  Status = "skip"
	StatusError Status = "error"
	// StatusAcknowledged is a finding that the organization accepts for now.
	StatusAcknowledged Status = "acknowledged"
)

// ScopeID names a scope: "forest".
type ScopeID string

// Scope is what checks run for, once per instance.
type Scope[In any] struct {
	ID        ScopeID
	Instances []Instance[In]
	// Absent says why there is no instance. Checks of the scope are then not applicable.
	Absent msg.Text
}

// Instance is one instance of a scope, or of a parameterized check.
type Instance[In any] struct {
	Name  string // "contoso"
	Input In
}

// Read is something that a check reads.
type Read[In any] interface {
	// Missing names the rights that the account lacks to read it. What is not known is not missing.
	Missing(ctx context.Context, in In) []msg.Text
}

// Retry is how long a check that did not pass is tried again. The zero Retry tries once.
type Retry struct{ Every, For time.Duration }

// Check is a declaration. In is what the checks of one product read from.
type Check[In any] struct {
	ID    ID
	Title string
	Scope ScopeID
	// Severity is what failures of this check count as. The default is Fail.
	Severity Severity
	// Needs are checks of the same scope instance, or of another scope, that must not have failed.
	Needs []ID
	// Reads are what the check reads. It is skipped where a right to read one of them is missing.
	Reads []Read[In]
	// Each makes one instance per parameter of a scope instance, from what needs no lookup; nil:
	// one.
	Each    func(in In) []Instance[In]
	Retry   Retry
	Timeout time.Duration // one attempt; 30 s by default
	Run     func(ctx context.Context, in In) Result
}

// Category is the part of the ID before the first dot.
func (id ID) Category() string {
	for i := range len(id) {
		if id[i] == '.' {
			return string(id[:i])
		}
	}
	return string(id)
}

// Remedy is what to do about a finding.
type Remedy struct {
	Text     msg.Text `json:"text,omitzero"`
	Commands []string `json:"commands,omitempty"`
	// Considerations say what may break when the finding is fixed.
	Considerations msg.Text `json:"considerations,omitzero"`
	Docs           string   `json:"docs,omitempty"` // where to read on: a command, "hybridge help tenant.ews-switch"
}

// Result is what a check found. Run sets Status (and so on) with Pass, Failed, Unknown and
// NotApplicable; the runner fills in ID, Category, Title, Scope, Duration and Attempts. Cause is
// kept for exit codes and is not encoded.
type Result struct {
	ID       ID             `json:"id"`
	Category string         `json:"category"`
	Title    string         `json:"title"`
	Status   Status         `json:"status"`
	Scope    string         `json:"scope"`           // the instance: a forest's name, "tenant", "organization"
	Summary  msg.Text       `json:"summary"`         // one sentence: what, where
	Detail   msg.Text       `json:"detail,omitzero"` // why it matters
	Evidence map[string]any `json:"evidence,omitempty"`
	// Acknowledgement is what the answers file says about findings of this check.
	Acknowledgement *Acknowledgement `json:"acknowledgement,omitempty"`
	// MissingRights are the rights to read for want of which the check was skipped.
	MissingRights []msg.Text `json:"missingRights,omitempty"`
	Remedy        Remedy     `json:"remedy,omitzero"`
	Findings      []Finding  `json:"-"` // the single wrong values, for a table
	DurationMS    int64      `json:"durationMs"`
	Attempts      int        `json:"attempts,omitempty"`
	Cause         error      `json:"-"`
	Severity      Severity   `json:"-"` // of the check: what it would have counted as, for one that could not look
}

// Event makes a Result an observe.Event.
func (Result) Event() string { return "check" }

// Summary counts a report.
type Summary struct {
	Pass  int `json:"pass"`
	Warn  int `json:"warn"`
	Fail  int `json:"fail"`
	Skip  int `json:"skip"`
	Error int `json:"error"`
	// Acknowledged are findings that the answers file acknowledges.
	Acknowledged int `json:"acknowledged,omitempty"`
}

// Report is the outcome of a check run, results in declaration order, then by scope.
type Report struct {
	APIVersion string `json:"apiVersion"` // hybridge/v1
	Kind       string `json:"kind"`       // CheckReport
	// The run that the report is of.
	About   report.About `json:"about,omitzero"`
	Summary Summary      `json:"summary"`
	Results []Result     `json:"results"`
	// Picture shows what was looked at.
	Picture report.Topology `json:"-"`
}
