package prereq

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/hybridge-cli/hybridge/pkg/config/answers"
	"github.com/hybridge-cli/hybridge/pkg/engine/check"
	"github.com/hybridge-cli/hybridge/pkg/engine/msg"
	"github.com/hybridge-cli/hybridge/pkg/estate/workmail"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/desired"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/fact"
)

// account is one account of the answers with its purpose. Read rights and write rights are separate
// checks: an account with read rights can run every check.
type account struct {
	id     string // "onprem": the checks are access.onprem-read and access.onprem-write
	scope  check.ScopeID
	system fact.System
	side   func(in Input) *fact.Side
	reads  []fact.Fact // read in addition to what the checks read
	// answers proves that the account has access. When nil, reading its rights is the proof.
	answers         func(ctx context.Context, in Input) (msg.Text, error)
	read, write     string // titles
	fix, fixToWrite string
}

var accessChecks = slices.Concat(
	account{
		id: "onprem", scope: PerForest, system: fact.OnPremises, side: func(in Input) *fact.Side { return in.Forest },
		read: "The Exchange account may read what the checks need",
		fix: "Add the account to the role group View-Only Organization Management, or to one with the roles that " +
			"hold the cmdlets named.",
		write: "The Exchange account may write what a plan needs",
		fixToWrite: "Add the account to the role group Organization Management, or to one with the roles that " +
			"hold the cmdlets named, before you apply.",
	}.checks(),
	account{
		id: "online", scope: PerTenant, system: fact.Online, side: func(in Input) *fact.Side { return in.Tenant },
		read: "The tenant's account may read what the checks need in Exchange Online",
		fix: "Give the application Exchange.ManageAsApp and the directory role Global Reader, or sign in as a " +
			"member of View-Only Organization Management.",
		write: "The tenant's account may write what a plan needs in Exchange Online",
		fixToWrite: "Give the application Exchange.ManageAsApp and the directory role Exchange Administrator, or " +
			"sign in as a member of Organization Management, before you apply.",
	}.checks(),
	account{
		id: "entra", scope: PerTenant, system: fact.Entra, side: func(in Input) *fact.Side { return in.Tenant },
		reads: fact.List(fact.Tenant),
		answers: func(ctx context.Context, in Input) (msg.Text, error) {
			tenant, err := fact.Tenant.In(ctx, in.Tenant)
			return msg.Of("tenant %s (%s) answers", tenant.DisplayName, tenant.ID), err
		},
		read: "The tenant's account may read what the checks need through Microsoft Graph",
		fix: "Grant Organization.Read.All, Domain.Read.All and Application.Read.All (or Directory.Read.All for " +
			"all three), with an administrator's consent.",
		write: "The tenant's account may manage the hybrid applications",
		fixToWrite: "Grant Application.ReadWrite.All and AppRoleAssignment.ReadWrite.All, with an " +
			"administrator's consent, before you apply.",
	}.checks(),
	account{
		id: "workmail", scope: PerWorkMail, system: fact.WorkMail,
		side:  func(in Input) *fact.Side { return in.WorkMail },
		reads: fact.List(fact.WorkMailOrganization),
		answers: func(ctx context.Context, in Input) (msg.Text, error) {
			o, err := fact.WorkMailOrganization.In(ctx, in.WorkMail)
			if errors.Is(err, workmail.ErrNotFound) { // workmail.organization says so
				return msg.Of("AWS answers, and has no such organization in this account"), nil
			}
			return msg.Of("organization %s (%s) answers", o.Alias, o.ID), err
		},
		read: "The AWS credentials may read what the checks need",
		fix: "Check workmail.profile or workmail.credential, the region and the organization. The managed policy " +
			"AmazonWorkMailReadOnlyAccess is not enough: it lacks workmail:TestAvailabilityConfiguration and " +
			"ds:DescribeDirectories.",
	}.checks()[:1], // AWS does not tell what credentials may write
)

func (a account) checks() []Check {
	read := check.ID("access." + a.id + "-read")
	return []Check{
		{
			ID: read, Title: a.read, Scope: a.scope, Fix: a.fix, Run: a.mayRead,
			Why: "A check whose right to read is missing is skipped, and the others run. A missing right is a " +
				"warning: it says nothing about the deployment.",
		},
		{
			ID: "access." + check.ID(a.id) + "-write", Title: a.write, Scope: a.scope, Severity: check.Warn,
			Needs: []check.ID{read}, Fix: a.fixToWrite, Run: a.mayWrite,
			Why: "An apply that lacks a right stops half-way, and lookups can fail until it is finished. No check " +
				"needs these rights.",
		},
	}
}

// mayRead judges the rights that the selected checks require. A missing one is a warning: it says
// nothing about the deployment.
func (a account) mayRead(ctx context.Context, in Input) check.Result {
	side := a.side(in)
	rights, err := fact.RightsIn(ctx, a.system, side)
	if err != nil {
		return check.Unknown(err)
	}
	var lacking, skipped []string
	needed := 0
	for _, source := range readsIn(a.system, append([]Check{{Reads: a.reads}}, in.selected...)) {
		needed++
		if rights.Lacks(source.Right...) {
			lacking = append(lacking, msg.Alternatives(source.Right).String())
		}
	}
	for _, c := range in.selected {
		lacks := func(s fact.Source) bool { return rights.Lacks(s.Right...) }
		if slices.ContainsFunc(readsIn(a.system, []Check{c}), lacks) {
			skipped = append(skipped, string(c.ID))
		}
	}
	where := side.Place(a.system)
	if len(lacking) > 0 {
		slices.Sort(lacking)
		lacking = slices.Compact(lacking)
		r := check.Warned("%s: the account lacks %s", where, someOf(lacking)).With("lacking", lacking)
		if len(skipped) > 0 {
			r.Summary = msg.Of("%s; skipped for it: %s", r.Summary, strings.Join(skipped, ", "))
			r = r.With("skipped", skipped)
		}
		return r
	}
	if a.answers != nil {
		text, err := a.answers(ctx, in)
		if err != nil {
			return check.Unknown(err)
		}
		return check.Result{Status: check.StatusPass, Summary: text}
	}
	return check.Pass("%s: the account has all %d rights that the checks need", where, needed)
}

// mayWrite judges the rights that applying a plan requires. Without a Remove cmdlet everything can
// be created, but not rolled back.
func (a account) mayWrite(ctx context.Context, in Input) check.Result {
	side := a.side(in)
	rights, err := fact.RightsIn(ctx, a.system, side)
	if err != nil {
		return check.Unknown(err)
	}
	var lacking, removing, untold []string
	needed := writes(a.system, &in.Answers)
	for _, name := range needed {
		if !rights.Tells(name) {
			untold = append(untold, name)
		}
		switch {
		case !rights.Lacks(name):
		case strings.HasPrefix(name, "Remove-"):
			removing = append(removing, name)
		default:
			lacking = append(lacking, name)
		}
	}
	where := side.Place(a.system)
	switch {
	case len(lacking) > 0:
		return check.Warned("%s: an apply would lack %s", where, someOf(lacking)).
			With("lacking", slices.Concat(lacking, removing))
	case len(removing) > 0:
		return check.Warned("%s: an apply could not be rolled back: the account lacks %s", where, someOf(removing)).
			With("lacking", removing)
	case len(untold) > 0:
		return check.Pass("%s: the sign-in does not tell whether the account has %s; the apply will", where,
			someOf(untold)).With("unknown", untold)
	}
	return check.Pass("%s: the account has all %d rights that an apply needs", where, len(needed))
}

// readsIn returns the sources of a system that require a right and that checks read.
func readsIn(system fact.System, checks []Check) []fact.Source {
	var facts []fact.Fact
	for _, c := range checks {
		facts = append(facts, c.Reads...)
	}
	others := func(s fact.Source) bool { return s.System != system || len(s.Right) == 0 }
	return slices.DeleteFunc(fact.SourcesOf(facts...), others)
}

// writes returns the rights in a system that plan, apply and rollback require for the answers, or
// for all without answers, sorted.
func writes(system fact.System, a *answers.Answers) []string {
	if system == fact.Entra {
		return fact.WritePermissions
	}
	place := desired.OnPremises
	switch system {
	case fact.Online:
		place = desired.Online
	case fact.WorkMail:
		place = desired.WorkMail
	}
	reads, writes := desired.Rights(place, a)
	out := slices.Concat(reads, writes)
	slices.Sort(out)
	return slices.Compact(out)
}

// Cmdlets lists by system the cmdlets of check, plan, apply and rollback, sorted. Their rights are
// queried.
func Cmdlets() map[fact.System][]string {
	out := map[fact.System][]string{}
	for _, system := range []fact.System{fact.OnPremises, fact.Online} {
		list := writes(system, nil)
		for _, s := range readsIn(system, Checks()) {
			list = append(list, s.Right...)
		}
		slices.Sort(list)
		out[system] = slices.Compact(list)
	}
	return out
}
