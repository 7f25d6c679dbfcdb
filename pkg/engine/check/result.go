package check

import (
	"maps"
	"strings"

	"github.com/hybridge-cli/hybridge/pkg/engine/msg"
)

// Anchor is the check's anchor on docs/reference/checks.md: "directory.upn-matches-primary" is at
// "directory-upn-matches-primary".
func (id ID) Anchor() string { return strings.ReplaceAll(string(id), ".", "-") }

// Pass says in one sentence what is right, and where.
func Pass(format string, args ...any) Result {
	return Result{Status: StatusPass, Summary: msg.Of(format, args...)}
}

// Failed says in one sentence what is wrong, and where. A check whose Severity is Warn reports it
// as a warning.
func Failed(format string, args ...any) Result {
	return Result{Status: StatusFail, Summary: msg.Of(format, args...)}
}

// Warned says what needs a look. It is a warning for every Severity of the check.
func Warned(format string, args ...any) Result {
	return Result{Status: StatusWarn, Summary: msg.Of(format, args...)}
}

// Unknown says that the check could not look. It is never a finding.
func Unknown(err error) Result {
	return Result{Status: StatusError, Summary: msg.Plain(err.Error()), Cause: err}
}

// NotApplicable says why there is nothing to look at. Checks that need this one run all the same.
func NotApplicable(format string, args ...any) Result {
	return Result{Status: StatusSkip, Summary: msg.Of(format, args...)}
}

// Because adds why the finding matters.
func (r Result) Because(format string, args ...any) Result {
	r.Detail = msg.Of(format, args...)
	return r
}

// With adds a piece of evidence: a value that encodes as JSON.
func (r Result) With(name string, value any) Result {
	r.Evidence = maps.Clone(r.Evidence)
	if r.Evidence == nil {
		r.Evidence = map[string]any{}
	}
	r.Evidence[name] = value
	return r
}

// Listing adds the single wrong values behind the finding.
func (r Result) Listing(findings []Finding) Result {
	r.Findings = findings
	return r
}

// Fix adds what to do about the finding.
func (r Result) Fix(format string, args ...any) Result {
	r.Remedy.Text = msg.Of(format, args...)
	return r
}

// FixWith adds the commands that fix the finding.
func (r Result) FixWith(commands ...string) Result {
	r.Remedy.Commands = commands
	return r
}

// Count sums up results.
func Count(results []Result) (s Summary) {
	for _, r := range results {
		switch r.Status {
		case StatusPass:
			s.Pass++
		case StatusWarn:
			s.Warn++
		case StatusFail:
			s.Fail++
		case StatusSkip:
			s.Skip++
		case StatusError:
			s.Error++
		case StatusAcknowledged:
			s.Acknowledged++
		}
	}
	return s
}
