// Package prereq holds the prerequisite checks of an Exchange hybrid deployment, one file per
// category. A check is one declaration. Checks lists them. Package fact holds what they read.
package prereq

import (
	"cmp"
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/hybridge-cli/hybridge/pkg/engine/check"
	"github.com/hybridge-cli/hybridge/pkg/engine/msg"
	"github.com/hybridge-cli/hybridge/pkg/engine/observe"
	"github.com/hybridge-cli/hybridge/pkg/engine/selection"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/fact"
)

// Input is the input of a check.
type Input struct {
	*fact.Set
	Forest *fact.Side // nil unless the check's scope is a forest
	Host   string     // the parameter of a check per host

	selected []Check // the checks of the run, for the access checks
}

// Check is the declaration of a check.
type Check struct {
	ID       check.ID
	Title    string
	Scope    check.ScopeID
	Severity check.Severity // check.Fail when empty
	Needs    []check.ID
	Reads    []fact.Fact
	// Compares marks a check that compares the live state with what a plan would make of it: no
	// plan depends on it.
	Compares bool
	// WorkMail marks a check that is about WorkMail alone, although its scope and id do not say so.
	WorkMail bool
	// Upkeep marks a check of how servers and mail flow are kept, which no plan depends on either.
	Upkeep   bool
	Each     func(in Input) []check.Instance[Input] // one instance per parameter; nil: one per scope instance
	Timeout  time.Duration                          // of one attempt; two minutes when 0
	Why      string                                 // the detail of every finding that gives no better one
	Fix      string                                 // the remedy of every finding that gives no better one
	Consider string                                 // what may break when it is fixed
	// Source is the row of the sources that the check covers, for the reference page.
	Source string
	Run    func(ctx context.Context, in Input) check.Result
}

// Checks lists every check in the order in which reports show them.
func Checks() []Check {
	upkeep := slices.Concat(storeChecks, updatesChecks, defectChecks(), upkeepChecks, doorChecks, flowChecks)
	for i := range upkeep {
		upkeep[i].Upkeep = true
	}
	return slices.Concat(accessChecks,
		directoryChecks, addressChecks, ruleChecks(), directorySetupChecks, recipientChecks,
		identityChecks,
		domainChecks, domainPairChecks, dnsChecks, autodiscoverOrderChecks, autodiscoverChecks,
		reachabilityChecks,
		certificateChecks, serverChecks, transportChecks,
		enforcementChecks, edgeChecks, mailPolicyChecks, daneChecks, upkeep,
		migrationChecks, oauthChecks, checkerChecks[:1],
		tenantChecks, tenantStateChecks, checkerChecks[1:], lookupChecks,
		workMailChecks, workMailRightsChecks, workMailExitChecks, workMailMigratorChecks, hybridExitChecks(),
		objectChecks())
}

// defaultLimit leaves time to open a session and to run a slow cmdlet. Each call has its own
// shorter limit.
const defaultLimit = 2 * time.Minute

// The scopes.
const (
	PerForest       check.ScopeID = "forest"
	PerTenant       check.ScopeID = "tenant"
	PerWorkMail     check.ScopeID = "workmail"
	PerOrganization check.ScopeID = "organization" // once, over everything
)

// scopes maps each scope to its kind of side, and to the reason for a missing one.
var scopes = []struct {
	id     check.ScopeID
	at     fact.At
	absent msg.Text
}{
	{PerForest, fact.AtForest, msg.Of("no forest is configured in the answers file")},
	{PerTenant, fact.AtTenant, noTenant},
	{PerWorkMail, fact.AtWorkMail, noWorkMail},
	{PerOrganization, fact.AtOrganization, msg.Text{}},
}

var (
	noTenant   = msg.Of("Exchange Online is not configured in the answers file")
	noWorkMail = msg.Of("Amazon WorkMail is not configured in the answers file")
)

// Run runs the checks that o selects.
func Run(ctx context.Context, set *fact.Set, o check.Options, obs observe.Observer) (check.Report, error) {
	checks := Checks()
	if set.WorkMail == nil && len(o.Only)+len(o.Skip) == 0 {
		// Few organizations have WorkMail. A selection may name its checks all the same.
		checks = slices.DeleteFunc(checks, Check.ofWorkMail)
	}
	if !set.Answers.Hybrid.IsLeaving() && len(o.Only)+len(o.Skip) == 0 {
		checks = slices.DeleteFunc(checks, Check.ofHybridExit)
	}
	if !set.Answers.BetweenForests() && len(o.Only)+len(o.Skip) == 0 {
		checks = slices.DeleteFunc(checks, Check.ofLookups)
	}
	return run(ctx, checks, set, o, obs)
}

// ofWorkMail reports whether the check is about WorkMail alone.
func (c Check) ofWorkMail() bool {
	return c.Scope == PerWorkMail || c.ID.Category() == "workmail" || c.WorkMail
}

// ofLookups reports whether the check is about lookups between forests alone.
func (c Check) ofLookups() bool {
	return c.ID.Category() == "lookups" || c.ID == "hybrid.availability-config"
}

func run(
	ctx context.Context, checks []Check, set *fact.Set, o check.Options, obs observe.Observer,
) (check.Report, error) {
	return check.Run(ctx, declarations(checks), instances(set, set.Forests, selected(checks, o)), o, obs)
}

// Declarations returns Checks in the form that the engine runs.
func Declarations() []check.Check[Input] { return declarations(Checks()) }

func declarations(checks []Check) []check.Check[Input] {
	var out []check.Check[Input]
	for _, c := range checks {
		d := check.Check[Input]{
			ID: c.ID, Title: c.Title, Scope: c.Scope, Severity: cmp.Or(c.Severity, check.Fail), Needs: c.Needs,
			Each:    c.Each,
			Timeout: cmp.Or(c.Timeout, defaultLimit),
			Run: func(ctx context.Context, in Input) check.Result {
				if c.taken(ctx, in) {
					return check.NotApplicable("the organization leaves hybrid: the checks leaving.* say how far it is")
				}
				return c.complete(ctx, in, c.Run(ctx, in))
			},
		}
		for _, f := range c.Reads {
			d.Reads = append(d.Reads, read{f})
		}
		out = append(out, d)
	}
	return out
}

// read adapts a fact to the interface of the engine.
type read struct{ fact.Fact }

func (r read) Missing(ctx context.Context, in Input) []msg.Text {
	return in.Missing(ctx, in.Forest, r.Fact)
}

// complete adds the reason and the fix to a finding, and the origin to an error.
func (c Check) complete(ctx context.Context, in Input, r check.Result) check.Result {
	switch r.Status {
	case check.StatusError:
		if in.Tenant == nil && errors.Is(r.Cause, fact.ErrNotConfigured) && c.reads(fact.AtTenant) {
			return check.Result{Status: check.StatusSkip, Summary: noTenant}
		}
		if forest := transportToBlame(ctx, in, r.Cause); forest != "" {
			return check.NotApplicable("the transport certificate of %s, with which its Exchange server answers, "+
				"is at fault: see certificates.transport", forest)
		}
	case check.StatusFail, check.StatusWarn:
		if r.Detail.IsZero() {
			r.Detail = msg.Key(c.Why)
		}
		if r.Remedy.Text.IsZero() {
			r.Remedy.Text = msg.Key(c.Fix)
		}
		r.Remedy.Considerations = msg.Key(c.Consider)
	}
	return r
}

func (c Check) reads(at fact.At) bool {
	return slices.ContainsFunc(c.Reads, func(f fact.Fact) bool { return f.At() == at })
}

// selected returns the checks of a run that read facts. A run of access checks alone covers the
// rights of all checks.
func selected(checks []Check, o check.Options) []Check {
	var out, all []Check
	s := selection.Selection{Only: o.Only, Skip: o.Skip}
	for _, c := range checks {
		if c.ID.Category() == "access" {
			continue
		}
		all = append(all, c)
		if s.Picks(string(c.ID)) {
			out = append(out, c)
		}
	}
	if len(out) == 0 {
		return all
	}
	return out
}

// instances returns the sides of a set that checks run for; of the forests only these.
func instances(set *fact.Set, forests []*fact.Side, selected []Check) []check.Scope[Input] {
	var out []check.Scope[Input]
	for _, s := range scopes {
		scope := check.Scope[Input]{ID: s.id, Absent: s.absent}
		for _, side := range set.Sides(s.at, nil) {
			if s.at == fact.AtForest && !slices.Contains(forests, side) {
				continue
			}
			in := Input{Set: set, selected: selected}
			if s.at == fact.AtForest {
				in.Forest = side
			}
			scope.Instances = append(scope.Instances, check.Instance[Input]{Name: side.Name(), Input: in})
		}
		out = append(out, scope)
	}
	return out
}

func sorted[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

// someOf lists the first few of many for a sentence: "a, b, c and 12 more".
func someOf(list []string) msg.Text {
	const few = 3
	if len(list) <= few {
		return msg.Plain(strings.Join(list, ", "))
	}
	return msg.Of("%s and %s more", strings.Join(list[:few], ", "), msg.Number(len(list)-few))
}

// some lists the first few of many texts.
func some(list []msg.Text) msg.Text {
	const few = 3
	if len(list) <= few {
		return msg.Join(list, ", ")
	}
	return msg.Of("%s and %s more", msg.Join(list[:few], ", "), msg.Number(len(list)-few))
}

// firstOf returns the beginning of a list, for evidence.
func firstOf[T any](list []T, n int) []T { return list[:min(n, len(list))] }

// daysLeft writes a number of days.
func daysLeft(n int) msg.Text { return msg.Count(n, "%s day", "%s days") }

// days returns the whole days from now until t. It is negative when t is past.
func days(now, t time.Time) int {
	d := t.Sub(now)
	n := int(d / (24 * time.Hour))
	if d < 0 && d%(24*time.Hour) != 0 {
		n--
	}
	return n
}

func contains(list []string, s string) bool {
	return slices.ContainsFunc(list, func(e string) bool { return strings.EqualFold(e, s) })
}
