package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/hybridge-cli/hybridge/pkg/config/answers"
	"github.com/hybridge-cli/hybridge/pkg/config/secret"
	"github.com/hybridge-cli/hybridge/pkg/engine/apply"
	"github.com/hybridge-cli/hybridge/pkg/engine/change"
	"github.com/hybridge-cli/hybridge/pkg/engine/check"
	"github.com/hybridge-cli/hybridge/pkg/engine/report"
	"github.com/hybridge-cli/hybridge/pkg/engine/selection"
	"github.com/hybridge-cli/hybridge/pkg/estate/entra"
	"github.com/hybridge-cli/hybridge/pkg/estate/exchange"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/deployment"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/freebusy"
	"github.com/hybridge-cli/hybridge/pkg/wire/link"
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
	{exitFailure, "unexpected failure", "Read the error; run it again with `--log-level debug --log-file hybridge.log` and report it if it stays. Another run that holds the lock, or a state directory that cannot be written, is told so."},
	{exitUsage, "usage or invalid answers", "Nothing was contacted. Correct the command line, or the lines of the answers file that are named."},
	{exitFailed, "a check or test failed", "Mend what stands as `FAIL`, or leave single checks out with `--skip`."},
	{exitAccess, "authentication or permission", "Check the account that is named: user name, secret, roles. After a refusal hybridge does not try again in the same run, so that accounts are not locked."},
	{exitPending, "changes pending (plan --detailed-exitcode)", "The live state differs from what should be: look at the plan, then apply it."},
	{exitPartial, "applied in part; the journal is kept", "Remove the cause and run the same apply again: it goes on where it stopped. Or undo it with `hybridge rollback`."},
	{exitStale, "the plan is stale: the live state is no longer what it was made from", "Nothing was written. Make a new plan and look at it again."},
	{exitTimeLimit, "time limit reached", "Allow more with `--timeout`. After an apply, run it again: it goes on where it stopped."},
	{exitInconclusive, "inconclusive: something required could not be read", "Nothing is known to be wrong: a server, name or certificate did not let hybridge look. Mend the connection, then run it again."},
	{exitCancelled, "cancelled", "Interrupted, or not agreed to. After an apply, run it again: it goes on where it stopped."},
}

// classes maps errors to exit codes and to what a person can do; the first that fits counts.
var classes = []struct {
	class error
	code  int
	hint  string
}{
	// First of all: its causes may be of any of the classes below, and what they advise is for runs that changed nothing.
	{apply.ErrPartial, exitPartial, "once the cause is gone, the same apply goes on where it stopped; hybridge rollback undoes what was done"},
	{errUsage, exitUsage, ""},
	{selection.ErrUnmatched, exitUsage, "hybridge help checks lists the ids of checks, hybridge plan those of changes"},
	{deployment.ErrNoPairs, exitUsage, "name pairs of people in the answers, under tests.pairs, or give both --from and --to"},
	{change.ErrPlan, exitUsage, "make a plan with: hybridge plan --out plan.json"},
	{apply.ErrDeletes, exitUsage, "look at what is removed with hybridge plan, then allow it with --allow-delete"},
	{apply.ErrStale, exitStale, "nothing was written; make a new plan with: hybridge plan --out plan.json"},
	{apply.ErrLocked, exitFailure, "wait until the other run has ended; hybridge history then shows what it did"},
	{apply.ErrState, exitFailure, "the journal must be written before anything is changed; choose another place with --state-dir"},
	{apply.ErrNoRun, exitUsage, "hybridge history lists the runs"},
	{secret.ErrNobodyToAsk, exitUsage, ""},
	{exchange.ErrThrottled, exitInconclusive, hintThrottled},
	{entra.ErrThrottled, exitInconclusive, "Microsoft asks for fewer requests; run it again in some minutes"},
	{link.ErrAccess, exitAccess, "check the user name, the secret and the roles of the account that the answers name"},
	{change.ErrUnreadable, exitInconclusive, "the account may lack a right to read it; nothing is planned on what is unknown"},
	{link.ErrUntrusted, exitInconclusive, "name the certificate authority in network.caFile"},
	{link.ErrUnreachable, exitInconclusive, "check name, port, firewall and proxy, or lead there with network.connectTo"},
	{change.ErrAmbiguous, exitFailed, ""},
	{stage.ErrPrerequisites, exitFailed, "mend what failed, or leave checks out with --skip"},
}

// hintThrottled is for both sides: a run that was killed could not close its sessions, and a server lets them idle out.
const hintThrottled = "the server refuses more sessions or requests of this account for now; sessions of a run that was killed end by themselves within 15 minutes: run it again then"

// errUsage is the class of wrong use of the command line.
var errUsage = errors.New("usage")

// usage makes an error of wrong use.
func usage(format string, args ...any) error { return usageError{fmt.Errorf(format, args...)} }

type usageError struct{ error }

func (e usageError) Is(target error) bool { return target == errUsage }
func (e usageError) Unwrap() error        { return e.error }

// exitError ends the command with a code. Without err nothing is said: the report said it.
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

// quietly ends with a code that a report already explained; nil for a fine one.
func quietly(code int) error {
	if code == exitFine {
		return nil
	}
	return &exitError{code: code}
}

// classify gives the exit code of an error and a hint. ctx is the run's: only its own end is a cancel or a time limit.
func classify(ctx context.Context, err error) (code int, hint string) {
	var exit *exitError
	var faults answers.Faults
	switch {
	case err == nil:
		return exitFine, ""
	case errors.As(err, &exit):
		return exit.code, exit.hint
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		return exitTimeLimit, "allow more with --timeout"
	case ctx.Err() != nil, errors.Is(err, context.Canceled):
		return exitCancelled, ""
	case errors.As(err, &faults):
		return exitUsage, ""
	}
	for _, c := range classes {
		if errors.Is(err, c.class) {
			return c.code, c.hint
		}
	}
	return exitFailure, ""
}

// complain tells an error on the error stream.
func complain(w io.Writer, ctx context.Context, cmd *cobra.Command, err error) int {
	code, hint := classify(ctx, err)
	var exit *exitError
	if code == exitFine || errors.As(err, &exit) && exit.err == nil {
		return code
	}
	switch code {
	case exitCancelled:
		text := "cancelled"
		if exit != nil { // not agreed to
			text = exit.Error()
		}
		fmt.Fprintf(w, "error: %s\n", report.Sanitize(text))
		return code
	case exitTimeLimit:
		if text := err.Error(); text == context.DeadlineExceeded.Error() {
			fmt.Fprintln(w, "error: time limit reached")
		} else {
			fmt.Fprintf(w, "error: time limit reached: %s\n", report.Sanitize(text))
		}
	default:
		fmt.Fprintf(w, "error: %s\n", strings.TrimRight(report.Sanitize(err.Error()), "\n"))
	}
	if hint != "" {
		fmt.Fprintf(w, "hint: %s\n", hint)
	}
	see := "hybridge help exit-codes"
	if code == exitUsage {
		see = "hybridge --help"
		if cmd != nil {
			see = cmd.CommandPath() + " --help"
		}
		if errors.As(err, new(answers.Faults)) {
			see = "hybridge help answers"
		}
	}
	fmt.Fprintf(w, "see: %s\n", see)
	return code
}

// checkCode is the exit code of a check report.
func checkCode(r check.Report) int {
	code := exitFine
	for _, result := range r.Results {
		switch {
		case errors.Is(result.Cause, link.ErrAccess):
			return exitAccess
		case result.Status == check.StatusError && result.Severity != check.Warn, len(result.MissingRights) > 0:
			code = exitInconclusive // outranks a failure: what else is wrong is not known
		case result.Status == check.StatusFail && code == exitFine:
			code = exitFailed
		}
	}
	return code
}

// testCode is the exit code of a free/busy report.
func testCode(r freebusy.Report) int {
	switch {
	case r.Summary.Failed > 0:
		return exitFailed
	case r.Summary.Unknown > 0:
		for _, a := range r.Matrix {
			if errors.Is(a.Cause, link.ErrAccess) {
				return exitAccess
			}
		}
		return exitInconclusive
	}
	return exitFine
}
