package prereq

import (
	"context"
	"slices"
	"strconv"

	"github.com/hybridge-cli/hybridge/pkg/engine/check"
	"github.com/hybridge-cli/hybridge/pkg/engine/msg"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/desired"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/fact"
)

// exitCategory is the category of the checks of the way out of hybrid.
const exitCategory = "leaving"

// hybridExitChecks returns one check per stage of the way out of hybrid. Declaring a stage adds its
// check.
func hybridExitChecks() []Check {
	var out []Check
	stages := desired.ExitStages()
	reads := fact.List(fact.Organization, fact.Tenant, fact.OnlineConfig, fact.OnlineAcceptedDomains)
	for i, s := range stages {
		reads = append(slices.Clip(reads), s.Reads...)
		out = append(out, Check{
			ID:       check.ID(exitCategory + "." + s.ID),
			Title:    "The way out of hybrid, stage " + strconv.Itoa(i+1) + ": " + s.Title,
			Scope:    PerForest,
			Severity: check.Warn,
			Reads:    reads, Compares: true,
			Why: s.Why,
			Fix: s.Fix,
			Run: func(ctx context.Context, in Input) check.Result { return judgeStage(ctx, in, stages, i) },
		})
	}
	return out
}

func judgeStage(ctx context.Context, in Input, stages []desired.ExitStage, i int) check.Result {
	if !in.Answers.Hybrid.IsLeaving() {
		return check.NotApplicable("the organization stays hybrid (hybrid.state)")
	}
	for j := range i {
		if i < len(desired.LookingStages()) { // what it finds holds, whatever the stages before it say
			break
		}
		before, err := desired.StageOf(ctx, in.Set, in.Forest, stages[j])
		switch {
		case err != nil:
			return check.Unknown(err)
		case !before.Done():
			return check.NotApplicable("stage %d comes first: %s", j+1, msg.Text{Format: stages[j].Title})
		}
	}
	state, err := desired.StageOf(ctx, in.Set, in.Forest, stages[i])
	switch {
	case err != nil:
		return check.Unknown(err)
	case len(state.Waits) > 0:
		lines := make([]string, len(state.Waits))
		for n, w := range state.Waits {
			lines[n] = w.String()
		}
		return check.Warned("%s", msg.Join(state.Waits, "; ")).With("waits", firstOf(lines, 100))
	case len(state.Open) > 0:
		return check.Warned("still to be changed: %s", someOf(state.Open)).With("changes", firstOf(state.Open, 100))
	}
	return check.Pass("nothing of the stage is left")
}

// ofHybridExit reports whether the check is about the way out of hybrid alone.
func (c Check) ofHybridExit() bool { return c.ID.Category() == exitCategory }

// endsWithHybrid are the categories of the checks that judge what the way out takes apart.
var endsWithHybrid = []string{"autodiscover", "certificates", "dns", "edge", "enforcement", "ews", "hybrid",
	"migration", "oauth", "reachability", "tenant", "transport"}

// taken reports whether the way out has turned what a check judges: MX and autodiscover of its
// forest, or of all forests, lead to Exchange Online.
func (c Check) taken(ctx context.Context, in Input) bool {
	if !in.Answers.Hybrid.IsLeaving() || !slices.Contains(endsWithHybrid, c.ID.Category()) || in.Tenant == nil {
		return false
	}
	forests := in.Forests
	if in.Forest != nil {
		forests = []*fact.Side{in.Forest}
	}
	for _, f := range forests {
		stages := desired.LookingStages()
		if c.ID.Category() == "autodiscover" {
			if local, err := fact.LocalMailboxes.In(ctx, f); err == nil && len(local.Names) == 0 {
				continue // no client of the forest needs it
			}
			stages = stages[2:]
		}
		for _, s := range stages {
			if state, err := desired.StageOf(ctx, in.Set, f, s); err != nil || !state.Done() {
				return false
			}
		}
	}
	return true
}
