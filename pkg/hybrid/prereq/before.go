package prereq

import (
	"context"
	"slices"
	"strings"

	"github.com/hybridge-cli/hybridge/pkg/engine/change"
	"github.com/hybridge-cli/hybridge/pkg/engine/check"
	"github.com/hybridge-cli/hybridge/pkg/engine/observe"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/desired"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/fact"
)

// before returns the ids of the checks that the changes of a plan depend on, in the order of
// declaration: those that read what the topics of the changes rest on, and those of the rights to
// write where something changes. A check that reads a kind of resource that the plan changes is not
// among them: the plan can be what repairs it.
func before(checks []Check, p change.Plan) []check.ID {
	var rests, changed []fact.Fact
	var rights []check.ID
	for _, k := range desired.Kinds() {
		if !slices.ContainsFunc(p.Changes, func(c change.Change) bool { return c.Kind == k.Noun }) {
			continue
		}
		if updatable(k) { // what is only made repairs nothing that exists
			changed = append(changed, objectReads(k)...)
		}
		for _, t := range desired.Topics() {
			if slices.Contains(t.Kinds, k) && t.ID != desired.HybridExitID { // its kinds are those of others
				rests = append(rests, t.Reads...)
			}
		}
	}
	for _, c := range p.Changes {
		sort, _, _ := strings.Cut(c.Target, "/") // "onprem/contoso": the account is of its sort
		rights = append(rights, check.ID("access."+sort+"-write"))
	}
	var out []check.ID
	for _, c := range checks {
		switch {
		case slices.Contains(rights, c.ID):
		case c.Compares, c.Upkeep, !share(c.Reads, rests), share(c.Reads, changed):
			continue
		}
		out = append(out, c.ID)
	}
	return out
}

// updatable reports whether an existing resource of a kind can be changed.
func updatable(k *desired.Kind) bool {
	for _, p := range k.Properties {
		if p.Sent() {
			return true
		}
	}
	return false
}

// share reports whether two lists of facts have a raw question in common.
func share(a, b []fact.Fact) bool {
	have := fact.SourcesOf(b...)
	return slices.ContainsFunc(fact.SourcesOf(a...), func(s fact.Source) bool {
		return slices.ContainsFunc(have, func(h fact.Source) bool { return h.System == s.System && h.Ask == s.Ask })
	})
}

// Recheck runs the checks that a plan's changes depend on. It leaves out the forests that the plan
// leaves out.
func Recheck(
	ctx context.Context, set *fact.Set, p change.Plan, o check.Options, obs observe.Observer,
) (check.Report, error) {
	all := Checks()
	var checks []Check
	ids := before(all, p)
	if set.Answers.Hybrid.IsLeaving() {
		// The others judge whether hybrid works, and a stage takes a part of it away.
		ids = slices.DeleteFunc(ids, func(id check.ID) bool { return id.Category() != "access" })
	}
	for _, c := range all {
		if slices.Contains(ids, c.ID) {
			c.Needs = slices.DeleteFunc(slices.Clone(c.Needs), func(id check.ID) bool {
				return !slices.Contains(ids, id)
			})
			checks = append(checks, c)
		}
	}
	forests := slices.DeleteFunc(slices.Clone(set.Forests), func(f *fact.Side) bool {
		return slices.ContainsFunc(p.LeftOut, func(l change.LeftOut) bool {
			return l.Place == desired.PlaceForest(f.Name())
		})
	})
	return check.Run(ctx, declarations(checks), instances(set, forests, selected(checks, o)), o, obs)
}

// Objections returns the results of Recheck that a person must consent to: what failed, what could
// not look, and a missing right to write.
func Objections(r check.Report) []check.Result {
	var out []check.Result
	for _, result := range r.Results {
		switch {
		case result.Status == check.StatusFail, len(result.MissingRights) > 0,
			result.Status == check.StatusError && result.Severity != check.Warn,
			result.Status != check.StatusPass && result.Status != check.StatusSkip &&
				result.Status != check.StatusAcknowledged && result.Category == "access":
			out = append(out, result)
		}
	}
	return out
}
