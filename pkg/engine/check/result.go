package check

import (
	"fmt"
	"maps"
	"strings"
)

// Anchor is the check's anchor on docs/reference/checks.md: "directory.upn-matches-primary" is at "directory-upn-matches-primary".
func (id ID) Anchor() string { return strings.ReplaceAll(string(id), ".", "-") }

// Pass says that all is well, and with what: one sentence.
func Pass(format string, args ...any) Result {
	return Result{Status: StatusPass, Summary: fmt.Sprintf(format, args...)}
}

// Failed says what is wrong, and where: one sentence. A check whose Severity is Warn reports it as a warning.
func Failed(format string, args ...any) Result {
	return Result{Status: StatusFail, Summary: fmt.Sprintf(format, args...)}
}

// Warned says what should be looked at, whatever the check's Severity.
func Warned(format string, args ...any) Result {
	return Result{Status: StatusWarn, Summary: fmt.Sprintf(format, args...)}
}

// Unknown says that the check could not look. It is never a finding.
func Unknown(err error) Result {
	return Result{Status: StatusError, Summary: err.Error(), Cause: err}
}

// NotApplicable says why there is nothing to look at. Checks that need this one run all the same.
func NotApplicable(format string, args ...any) Result {
	return Result{Status: StatusSkip, Summary: fmt.Sprintf(format, args...)}
}

// Because adds why the finding matters.
func (r Result) Because(format string, args ...any) Result {
	r.Detail = fmt.Sprintf(format, args...)
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

// Fix adds what to do, and the commands that do it.
func (r Result) Fix(text string, commands ...string) Result {
	r.Remedy.Text, r.Remedy.Commands = text, commands
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
		}
	}
	return s
}
