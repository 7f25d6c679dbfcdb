package prereq

import (
	"cmp"
	"context"
	"errors"
	"maps"
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/hybridge-cli/hybridge/pkg/engine/change"
	"github.com/hybridge-cli/hybridge/pkg/engine/check"
	"github.com/hybridge-cli/hybridge/pkg/engine/msg"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/desired"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/fact"
)

// objectChecks returns one check per kind of resource: once the deployment is set up, its objects
// exist as planned. Declaring a kind adds its check.
func objectChecks() []Check {
	var out []Check
	for _, k := range desired.Kinds() {
		if desired.OnTheWayOut(k) {
			continue // the plan says at which stage it is
		}
		out = append(out, Check{
			ID:    objectCheckID(k),
			Title: k.Title + ": as planned",
			Scope: objectScope(k),
			Needs: objectNeeds(k),
			Reads: objectReads(k), Compares: true,
			WorkMail: slices.Equal(desired.CloudsOf(k, nil), []fact.At{fact.AtWorkMail}),
			Why:      k.Why,
			Fix:      "hybridge plan shows what differs, and hybridge apply sets it.",
			Run:      func(ctx context.Context, in Input) check.Result { return judgeObjects(ctx, in, k) },
		})
	}
	return out
}

var capital = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`([a-z])([A-Z])`)
})

// objectCheckID returns "hybrid.auth-server" for the kind AuthServer.
func objectCheckID(k *desired.Kind) check.ID {
	return check.ID("hybrid." + strings.ToLower(capital().ReplaceAllString(k.Noun, "$1-$2")))
}

func objectScope(k *desired.Kind) check.ScopeID {
	switch {
	case slices.Contains(k.Places, desired.OnPremises):
		return PerForest
	case slices.Contains(k.Places, desired.WorkMail):
		return PerWorkMail
	}
	return PerTenant
}

func objectNeeds(k *desired.Kind) []check.ID {
	var out []check.ID
	for _, place := range k.Places {
		switch place {
		case desired.OnPremises:
			out = append(out, "access.onprem-read")
		case desired.Online:
			out = append(out, "access.online-read")
		case desired.Entra:
			out = append(out, "access.entra-read")
		case desired.WorkMail:
			out = append(out, "access.workmail-read")
		}
	}
	return out
}

// objectReads returns the facts that reading a kind requires.
func objectReads(k *desired.Kind) []fact.Fact {
	var out []fact.Fact
	for _, place := range k.Places {
		switch place {
		case desired.OnPremises:
			out = append(out, fact.Cmdlets(fact.OnPremises, k.Reads...))
		case desired.Online:
			out = append(out, fact.Cmdlets(fact.Online, k.Reads...))
		case desired.Entra:
			out = append(out, fact.Applications)
		case desired.WorkMail:
			out = append(out, fact.Actions(k.Reads...))
		}
	}
	return out
}

func judgeObjects(ctx context.Context, in Input, k *desired.Kind) check.Result {
	topics, wanted := desired.Wanted(in.Set)[k]
	if all := desired.CloudsOf(k, nil); !wanted {
		switch {
		case slices.ContainsFunc(all, func(c fact.At) bool { return desired.Named(in.Answers, c) }):
			return check.NotApplicable("no feature of the answers needs it")
		case all[0] == fact.AtForest:
			return check.NotApplicable("no forest is asked by the others (forests[].lookups)")
		case all[0] == fact.AtWorkMail:
			return check.Result{Status: check.StatusSkip, Summary: noWorkMail}
		}
		return check.Result{Status: check.StatusSkip, Summary: noTenant}
	}
	clouds := desired.CloudsOf(k, &in.Answers)
	if in.Answers.WorkMail.IsLeaving() && slices.Equal(clouds, []fact.At{fact.AtWorkMail}) {
		return leaves()
	}
	if in.Answers.Hybrid.IsLeaving() && slices.Contains(clouds, "") {
		return check.NotApplicable("the organization leaves hybrid: the checks leaving.* say how far it is")
	}
	plan, err := desired.Comparison.In(ctx, in.Organization)
	switch {
	case errors.Is(err, desired.ErrRefused), errors.Is(err, desired.ErrNotReady):
		return check.NotApplicable("nothing can be planned: %s", err.Error())
	case err != nil:
		return check.Unknown(err)
	}
	begun := func(f *fact.Side) bool {
		return (!slices.Contains(clouds, "") || desired.Begun(plan, f.Name())) &&
			(!slices.Contains(clouds, fact.AtWorkMail) || desired.BegunWorkMail(plan, f)) &&
			(!slices.Contains(clouds, fact.AtForest) || desired.BegunBetween(plan, in.Set))
	}
	for _, f := range in.Forests {
		if (in.Forest == nil || f == in.Forest) && !begun(f) {
			return check.NotApplicable("forest %s is not set up yet; hybridge plan shows what is to be done", f.Name())
		}
	}
	here := func(place string) bool {
		return in.Forest == nil || place == desired.PlaceForest(in.Forest.Name()) ||
			place == desired.PlaceOnline // of a kind that both sides have
	}
	for _, l := range plan.LeftOut {
		if slices.Contains(topics, l.Topic) && (l.Place == "" || here(l.Place)) {
			return check.Unknown(cmp.Or(l.Err, errors.New(l.Reason.String())))
		}
	}
	var differ []msg.Text
	for _, c := range plan.Changes {
		if c.Kind != k.Noun || !here(c.Target) {
			continue
		}
		if c.Action == change.Create {
			differ = append(differ, msg.Of("%s at %s is missing", c.Name, c.Target))
			continue
		}
		differ = append(differ, msg.Of("%s at %s: %s", c.Name, c.Target,
			strings.Join(slices.Sorted(maps.Keys(c.After)), ", ")))
	}
	if len(differ) > 0 {
		return check.Failed("%s not as planned: %s", msg.Count(len(differ), "%s object is", "%s objects are"),
			some(differ))
	}
	return check.Pass("all objects are there and as planned")
}
