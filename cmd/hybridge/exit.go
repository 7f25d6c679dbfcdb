package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/hybridge-cli/hybridge/pkg/config/answers"
	"github.com/hybridge-cli/hybridge/pkg/config/secret"
	"github.com/hybridge-cli/hybridge/pkg/engine/apply"
	"github.com/hybridge-cli/hybridge/pkg/engine/broken"
	"github.com/hybridge-cli/hybridge/pkg/engine/change"
	"github.com/hybridge-cli/hybridge/pkg/engine/check"
	"github.com/hybridge-cli/hybridge/pkg/engine/fleet"
	"github.com/hybridge-cli/hybridge/pkg/engine/report"
	"github.com/hybridge-cli/hybridge/pkg/engine/selection"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/deployment"
	"github.com/hybridge-cli/hybridge/wizard/stage"
)

// The exit codes. They are stable: scripts rely on them.
const (
	exitFine         = 0
	exitFailure      = 1
	exitUsage        = 2
	exitFailed       = 3
	exitAccess       = 4
	exitPending      = 5
	exitPartial      = 6
	exitStale        = 7
	exitTimeLimit    = 8
	exitInconclusive = 9
	exitCancelled    = 130
)

// exitCodes is the table that "help exit-codes" and docs/exit-codes.md print.
var exitCodes = []struct {
	code    int
	meaning string
	next    string // what to do
}{
	{exitFine, "fine", "Go on."},
	{
		exitFailure, "unexpected failure",
		"Read the error. Run it again with `--log-level debug --log-file hybridge.log` and report it if it persists. " +
			"The error names another run that holds the lock, or a state directory that cannot be written.",
	},
	{
		exitUsage, "usage or invalid answers",
		"Nothing was contacted. Correct the command line, or the lines of the answers file that are named.",
	},
	{exitFailed, "a check or test failed", "Fix the failures, or exclude checks with `--skip`."},
	{
		exitAccess, "authentication or permission",
		"Check the account that is named: user name, secret, roles. " +
			"hybridge does not retry a refused account in the same run, so that accounts are not locked.",
	},
	{
		exitPending, "changes pending (plan --detailed-exitcode), or made by others (history --drift)",
		"The live state differs from what should be: review the plan, then apply it.",
	},
	{
		exitPartial, "applied in part; the journal is kept",
		"Remove the cause and run the same apply again: it resumes. " +
			"Or undo it with `hybridge rollback`.",
	},
	{
		exitStale, "the plan is stale (the live state is no longer what it was made from) or edited",
		"Nothing was written. Make a new plan and review it.",
	},
	{
		exitTimeLimit, "time limit reached",
		"Allow more with `--timeout`. After an apply, run it again: it resumes.",
	},
	{
		exitInconclusive, "inconclusive: something required could not be read",
		"No fault was found: a server, a name, a certificate or a missing right prevented a read. " +
			"Fix the connection or the right that is named, then run it again.",
	},
	{
		exitCancelled, "cancelled",
		"Interrupted, or not confirmed. After an apply, run it again: it resumes.",
	},
}

// hintThrottled serves on-premises and online. A killed run leaves its sessions open until the
// server times them out.
const hintThrottled = "the server refuses more sessions or requests of this account for now; " +
	"sessions of a run that was killed end within 15 minutes: run it again then"

// classes maps errors to exit codes and hints. The first match counts.
var classes = []struct {
	class error
	code  int
	hint  string
}{
	// This one comes first: its causes may be of any class below, and their hints are for runs that
	// changed nothing.
	{
		apply.ErrPartial, exitPartial,
		"once the cause is gone, the same apply resumes; hybridge rollback undoes what was done",
	},
	{errUsage, exitUsage, ""},
	{deployment.ErrNotInAnswers, exitUsage, ""},
	{
		selection.ErrUnmatched, exitUsage,
		"hybridge help checks lists the ids of checks, hybridge plan those of changes",
	},
	{
		deployment.ErrNoPairs, exitUsage,
		"name pairs of mailboxes in the answers file, under tests.pairs, or give both --from and --to",
	},
	{deployment.ErrNoDomain, exitUsage, "name a domain of the answers file, or add it there"},
	{
		deployment.ErrValidateOnly, exitUsage,
		"use the answers file of the administrators, or remove validateOnly from this one",
	},
	{deployment.ErrRotation, exitUsage, ""},
	{deployment.ErrRefused, exitFailed, "hybridge check shows what comes first"},
	{change.ErrPlan, exitUsage, "make a plan with: hybridge plan --out plan.json"},
	{change.ErrEdited, exitStale, "nothing was written; make a new plan with: hybridge plan --out plan.json"},
	{apply.ErrNotAccepted, exitUsage, "hybridge help consents lists what --accept takes"},
	{apply.ErrStale, exitStale, "nothing was written; make a new plan with: hybridge plan --out plan.json"},
	{apply.ErrLocked, exitFailure, "wait until the other run has ended; hybridge history then shows what it did"},
	{
		apply.ErrState, exitFailure,
		"the journal is written before anything is changed; choose another place with --state-dir",
	},
	{
		apply.ErrElsewhere, exitUsage,
		"name the answers file of that organization with -f, or the state directory of this one with --state-dir",
	},
	{apply.ErrJournal, exitFailure, "nothing was written; hybridge history lists the runs that can be used"},
	{apply.ErrNoRun, exitUsage, "hybridge history lists the runs"},
	{apply.ErrScripts, exitUsage, "the scripts of hybridge plan --scripts write it beside themselves"},
	{secret.ErrNobodyToAsk, exitUsage, ""},
	{deployment.ErrExchangeThrottled, exitInconclusive, hintThrottled},
	{
		deployment.ErrMicrosoftThrottled, exitInconclusive,
		"Microsoft asks for fewer requests; run it again in some minutes",
	},
	{
		deployment.ErrAccess, exitAccess,
		"check the user name, the secret and the roles of the account that the answers file names",
	},
	{
		change.ErrUnreadable, exitInconclusive,
		"the account may lack a right to read it; nothing is planned on what is unknown",
	},
	{deployment.ErrUntrusted, exitInconclusive, "name the certificate authority in network.caFile"},
	{
		deployment.ErrUnreachable, exitInconclusive,
		"check name, port, firewall and proxy, or lead there with network.connectTo",
	},
	{change.ErrAmbiguous, exitFailed, ""},
	{stage.ErrPrerequisites, exitFailed, "fix the failures, or exclude checks with --skip"},
}

// errUsage is the class of wrong use of the command line.
var errUsage = errors.New("usage")

// usage returns an error of class errUsage.
func usage(format string, args ...any) error { return usageError{fmt.Errorf(format, args...)} }

type usageError struct{ error }

func (e usageError) Is(target error) bool { return target == errUsage }
func (e usageError) Unwrap() error        { return e.error }

// exitError ends the command with a code. Without err no message is printed: the report has it.
type exitError struct {
	code int
	err  error
	hint string
}

func (e *exitError) Error() string {
	if e.err == nil {
		return fmt.Sprintf("exit %d", e.code)
	}
	return e.err.Error()
}
func (e *exitError) Unwrap() error { return e.err }

// quietly returns the error for a code that a report already explained; nil for success.
func quietly(code int) error {
	if code == exitFine {
		return nil
	}
	return &exitError{code: code}
}

// classify gives the exit code of an error and a hint. ctx is the run's: only its own end is a
// cancel or a time limit.
func classify(ctx context.Context, err error) (code int, hint string) {
	var exit *exitError
	var faults answers.Faults
	var bug *broken.Error
	switch {
	case err == nil:
		return exitFine, ""
	case errors.As(err, &exit):
		return exit.code, exit.hint
	case errors.As(err, &bug) && !errors.Is(err, apply.ErrPartial):
		return exitFailure, "report it with the lines below; after an apply, run it again: it resumes"
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		return exitTimeLimit, "allow more with --timeout"
	case ctx.Err() != nil, errors.Is(err, context.Canceled) && !errors.Is(err, apply.ErrPartial):
		return exitCancelled, ""
	case errors.As(err, &faults):
		return exitUsage, ""
	}
	for _, c := range classes {
		if errors.Is(err, c.class) {
			// A refusal with its own hint is more precise than its class.
			var own interface{ Hint() string }
			mayHint := errors.Is(c.class, deployment.ErrAccess) || errors.Is(c.class, deployment.ErrUnreachable) ||
				errors.Is(c.class, apply.ErrNotAccepted)
			if mayHint && errors.As(err, &own) && own.Hint() != "" {
				return c.code, own.Hint()
			}
			return c.code, c.hint
		}
	}
	return exitFailure, ""
}

// explain returns the failure that an error stands for. It has no message when a report said it, or
// when nothing failed.
func explain(ctx context.Context, cmd *cobra.Command, err error) report.Failure {
	code, hint := classify(ctx, err)
	f := report.Failure{APIVersion: report.APIVersion, Kind: "Error", Code: code}
	var exit *exitError
	if code == exitFine || errors.As(err, &exit) && exit.err == nil {
		return f
	}
	f.Hint, f.See = hint, "hybridge help exit-codes"
	switch code {
	case exitCancelled:
		f.Message, f.Hint, f.See = "cancelled", "", ""
		if exit != nil { // not agreed to
			f.Message = exit.Error()
		} else if errors.Is(err, errCutOff) {
			f.Hint = "the same command goes on with the rest; hybridge history says what is done"
		}
	case exitTimeLimit:
		f.Message = "time limit reached"
		if text := err.Error(); text != context.DeadlineExceeded.Error() {
			f.Message += ": " + text
		}
	case exitUsage:
		f.Message, f.See = err.Error(), "hybridge --help"
		if cmd != nil {
			f.See = cmd.CommandPath() + " --help"
		}
		if errors.As(err, new(answers.Faults)) {
			f.See = "hybridge help answers"
		}
	case exitPartial:
		f.Message = err.Error()
		if cmd != nil && cmd.Name() == "rollback" {
			f.Hint = "once the cause is gone, the same rollback resumes; hybridge history shows what is left"
		}
	default:
		f.Message = err.Error()
	}
	return f
}

// complain writes a failure for a person.
func complain(s streams, f report.Failure) {
	for _, part := range []struct{ label, text string }{{"error", f.Message}, {"hint", f.Hint}, {"see", f.See}} {
		if part.text != "" {
			s.tell(s.Err, part.label+": "+strings.TrimRight(report.Sanitize(part.text), "\n"))
		}
	}
}

// resultCode is the exit code of what a verb found, by its document.
func resultCode(d report.Document) int {
	switch d := d.(type) {
	case check.Report:
		return checkCode(d)
	case check.Comparison:
		return comparisonCode(d)
	case fleet.Report:
		return fleetCode(d)
	case change.Plan:
		if len(d.LeftOut) > 0 {
			return exitInconclusive
		}
	case deployment.TestReport:
		return testCode(d)
	case deployment.Validation:
		return validationCode(d)
	case demoDocument:
		if d.Exit != nil && len(d.Exit.Lost)+len(d.Exit.Left) > 0 {
			return exitFailed
		}
		return testCode(d.After)
	case runDocument:
		if code := testCode(*d.Test); code != exitFine {
			return code
		}
		// What could not be checked or planned did not stop the run, but the run is not a success.
		return cmp.Or(checkCode(*d.Check), resultCode(*d.Plan))
	}
	return exitFine
}

// checkCode is the exit code of a check report.
func checkCode(r check.Report) int {
	code := exitFine
	for _, result := range r.Results {
		switch {
		case errors.Is(result.Cause, deployment.ErrAccess):
			return exitAccess
		case result.Status == check.StatusError && result.Severity != check.Warn, len(result.MissingRights) > 0:
			code = exitInconclusive // outranks a failure: what else is wrong is not known
		case result.Status == check.StatusFail && code == exitFine:
			code = exitFailed
		}
	}
	return code
}

// comparisonCode is the exit code of two compared check reports.
func comparisonCode(c check.Comparison) int {
	code := exitFine
	for _, d := range c.Differences {
		switch {
		case d.Change == check.Unseen && d.After == check.StatusError:
			return exitInconclusive
		case d.Change == check.New && d.After == check.StatusFail:
			code = exitFailed
		}
	}
	return code
}

// validationCode is the exit code of a validation: that of its verdict.
func validationCode(v deployment.Validation) int {
	switch v.Verdict.Status {
	case deployment.OK:
		return exitFine
	case deployment.Failed:
		return exitFailed
	}
	for _, cause := range v.Causes() {
		if errors.Is(cause, deployment.ErrAccess) {
			return exitAccess
		}
	}
	if v.Checks != nil {
		return cmp.Or(checkCode(*v.Checks), exitInconclusive)
	}
	return exitInconclusive
}

// testCode is the exit code of a free/busy report.
func testCode(r deployment.TestReport) int {
	switch {
	case r.Summary.Failed > 0:
		return exitFailed
	case r.Summary.Unknown+r.Summary.Pending > 0:
		for _, a := range r.Matrix {
			if errors.Is(a.Cause, deployment.ErrAccess) {
				return exitAccess
			}
		}
		return exitInconclusive
	}
	return exitFine
}
