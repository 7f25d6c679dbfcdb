package check

import (
	"strings"
	"time"
)

// Rule is what an organization decided about the findings of one check. It sets a severity or
// acknowledges the findings.
type Rule struct {
	ID ID
	// Scope is the scope instance that the rule is for: "contoso", or one parameter of it,
	// "contoso: mail.contoso.com". Empty: every instance.
	Scope           string
	Severity        Severity // empty: that of the check
	Acknowledgement *Acknowledgement
}

// Acknowledgement is a finding that an organization accepts until a date.
type Acknowledgement struct {
	// Why the finding is accepted.
	Reason string `json:"reason"`
	// Who answers for it.
	Owner string `json:"owner"`
	// The last day on which it counts, in UTC: 2027-01-31.
	Expires string `json:"expires"`
	// What the acknowledgement amounts to in this run: active, expired or unneeded.
	State AcknowledgementState `json:"state"`
	// What the finding counts as without the acknowledgement: fail or warn.
	Finding Status `json:"finding,omitempty"`
}

// AcknowledgementState says what an acknowledgement amounts to in a run.
type AcknowledgementState string

// The states. An unneeded acknowledgement is one of a check that passed.
const (
	Active   AcknowledgementState = "active"
	Expired  AcknowledgementState = "expired"
	Unneeded AcknowledgementState = "unneeded"
)

// expired reports whether the last day is past. A date that cannot be read has expired.
func (a Acknowledgement) expired(now time.Time) bool {
	last, err := time.Parse(time.DateOnly, a.Expires)
	return err != nil || !now.UTC().Before(last.AddDate(0, 0, 1))
}

// fits says how closely the rule fits an instance of a check: 0 for not at all, 3 for exactly.
func (r Rule) fits(id ID, scope string) int {
	side, _, _ := strings.Cut(scope, ": ")
	switch {
	case r.ID != id:
		return 0
	case r.Scope == scope:
		return 3
	case r.Scope == side:
		return 2
	case r.Scope == "":
		return 1
	}
	return 0
}

// ruled returns the severity and the acknowledgement that the rules give an instance of a check.
// The rule that fits most closely decides each of the two.
func ruled(rules []Rule, id ID, scope string) (severity Severity, a *Acknowledgement) {
	bestSeverity, bestAcknowledgement := 0, 0
	for _, r := range rules {
		fit := r.fits(id, scope)
		if r.Severity != "" && fit > bestSeverity {
			bestSeverity, severity = fit, r.Severity
		}
		if r.Acknowledgement != nil && fit > bestAcknowledgement {
			bestAcknowledgement, a = fit, r.Acknowledgement
		}
	}
	return severity, a
}

// acknowledge applies an acknowledgement to a result. What could not be seen is not acknowledged:
// it may be anything.
func (r *Result) acknowledge(a Acknowledgement, now time.Time) {
	switch r.Status {
	case StatusFail, StatusWarn:
		a.Finding, a.State = r.Status, Expired
		if !a.expired(now) {
			a.State, r.Status = Active, StatusAcknowledged
		}
	case StatusPass:
		a.State = Unneeded
	default:
		return
	}
	r.Acknowledgement = &a
}

// failed reports whether what the check looks at is not as required, acknowledged or not.
func (r Result) failed() bool {
	return r.Status == StatusFail || r.Status == StatusAcknowledged && r.Acknowledgement.Finding == StatusFail
}
