package deployment

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/hybridge-cli/hybridge/pkg/engine/apply"
	"github.com/hybridge-cli/hybridge/pkg/engine/change"
	"github.com/hybridge-cli/hybridge/pkg/engine/check"
	"github.com/hybridge-cli/hybridge/pkg/engine/msg"
	"github.com/hybridge-cli/hybridge/pkg/engine/report"
	"github.com/hybridge-cli/hybridge/pkg/estate/entra"
	"github.com/hybridge-cli/hybridge/pkg/estate/exchange"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/desired"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/diagnose"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/fact"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/freebusy"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/prereq"
	"github.com/hybridge-cli/hybridge/pkg/wire/link"
)

// This file re-exports what cmd and wizard need from the packages below. They import this package
// and the engine's types, and nothing else of the product.

// The report of a test, its answers, and their statuses.
type (
	TestReport  = freebusy.Report
	TestSummary = freebusy.Summary
	Answer      = freebusy.Answer
	Board       = freebusy.Board
)

// The statuses of a lookup.
const (
	OK      = freebusy.OK
	Failed  = freebusy.Failed
	Unknown = freebusy.Unknown
)

// MessageProbe is the probe of answers about a message.
const MessageProbe = freebusy.MessageProbe

// ErrValidateOnly says that the answers file is for looking alone.
var ErrValidateOnly = errors.New("the answers file is for validate, check, plan and test alone (validateOnly)")

// The classes of errors that decide on exit codes and hints.
var (
	ErrAccess             = link.ErrAccess
	ErrUntrusted          = link.ErrUntrusted
	ErrRefused            = desired.ErrRefused
	ErrUnreachable        = link.ErrUnreachable
	ErrExchangeThrottled  = exchange.ErrThrottled
	ErrMicrosoftThrottled = entra.ErrThrottled
)

// SignIn is a device code, which a person enters in a browser.
type SignIn struct {
	entra.DeviceCode
	Tenant string
	Opens  string // the page of the cloud that takes the code; no text of a server
}

// Calls are the remote calls of a run that have no answer yet.
type Calls = link.Calls

// WithCalls returns a context under which every remote call is listed in c until it is answered.
func WithCalls(ctx context.Context, c *Calls) context.Context { return link.WithCalls(ctx, c) }

// BeforeAfter shows two reports of the same questions side by side.
func BeforeAfter(before, after TestReport) report.Matrix { return freebusy.BeforeAfter(before, after) }

// Consents lists what --accept takes.
func Consents() []change.Consent { return apply.Consents(Kinds()) }

// Objections returns the results of a Recheck that a person must consent to.
func Objections(r check.Report) []check.Result { return prereq.Objections(r) }

// Unaccepted returns an apply.NotAccepted that names the objections of a Recheck; nil when there is
// none, or when the consent is among accept.
func Unaccepted(r check.Report, accept []string) error {
	objections := prereq.Objections(r)
	if len(objections) == 0 || slices.Contains(accept, apply.AcceptFailedChecks) {
		return nil
	}
	what := msg.Plural(len(objections), "%d check that the plan depends on failed or could not look",
		"%d checks that the plan depends on failed or could not look").String()
	for _, o := range objections {
		what += fmt.Sprintf("\n  %s (%s): %s", o.ID, o.Scope, o.Summary)
	}
	return &apply.NotAccepted{ID: apply.AcceptFailedChecks, What: what}
}

// Declaration is the id and title of a check.
type Declaration struct {
	ID    check.ID
	Title string
	Reads []string // what it asks of which system
}

// Checks lists the checks in the order of their page.
func Checks() []Declaration {
	var list []Declaration
	for _, c := range prereq.Checks() {
		d := Declaration{ID: c.ID, Title: c.Title}
		for _, source := range fact.SourcesOf(c.Reads...) {
			d.Reads = append(d.Reads, string(source.System)+": "+source.Ask)
		}
		list = append(list, d)
	}
	return list
}

// ChecksPage renders docs/reference/checks.md.
func ChecksPage() []byte { return prereq.Markdown() }

// CodesPage renders docs/reference/codes.md.
func CodesPage() []byte { return diagnose.CodesMarkdown() }

// DiagnosesPage renders docs/reference/diagnoses.md.
func DiagnosesPage() []byte { return diagnose.Markdown() }

// Explanation is what a text says about the cause of a failure.
type Explanation = diagnose.Explanation

// Explain finds the causes in a text. headers says that it is the headers of a message.
func Explain(text string, headers bool) Explanation { return diagnose.Explain(text, headers) }

// CanonicalCode returns an error code in the form of that page, from what a person copied.
func CanonicalCode(text string) string { return diagnose.Canonical(text) }

// KindsPage renders docs/reference/kinds.md.
func KindsPage() []byte { return desired.Markdown() }
