package prereq

import (
	"fmt"
	"slices"
	"strings"

	"github.com/hybridge-cli/hybridge/pkg/config/answers"
	"github.com/hybridge-cli/hybridge/pkg/config/spelling"
	"github.com/hybridge-cli/hybridge/pkg/engine/check"
)

// Rules returns what the answers file says about findings of checks. The error is answers.Faults:
// an id that no check has, or a scope that the check does not run in.
func Rules(a answers.Answers) ([]check.Rule, error) {
	if len(a.Checks) == 0 {
		return nil, nil
	}
	var faults answers.Faults
	var out []check.Rule
	checks := Checks()
	ids := make([]string, len(checks))
	for i, c := range checks {
		ids[i] = string(c.ID)
	}
	for i, decided := range a.Checks {
		at := fmt.Sprintf("checks[%d]", i)
		n := slices.Index(ids, decided.ID)
		if n < 0 {
			faults = append(faults, answers.Fault{File: "answers", Path: at + ".id",
				What: fmt.Sprintf("there is no check %q%s", decided.ID, spelling.DidYouMean(decided.ID, ids)),
				Hint: "hybridge help checks lists them"})
			continue
		}
		if scope := scopeOf(a, decided.Scope); scope != "" && scope != checks[n].Scope {
			faults = append(faults, answers.Fault{File: "answers", Path: at + ".scope",
				What: fmt.Sprintf("%s runs once per %s: %q is none", decided.ID, checks[n].Scope, decided.Scope),
				Hint: "correct the scope, or remove it"})
			continue
		}
		rule := check.Rule{ID: checks[n].ID, Scope: decided.Scope, Severity: check.Severity(decided.Severity)}
		if decided.Severity == "" {
			rule.Acknowledgement = &check.Acknowledgement{Reason: decided.Reason, Owner: decided.Owner,
				Expires: decided.Expires}
		}
		out = append(out, rule)
	}
	if len(faults) > 0 {
		return nil, faults
	}
	return out, nil
}

// scopeOf returns the kind of scope that a scope instance is of; "" for none.
func scopeOf(a answers.Answers, instance string) check.ScopeID {
	side, _, _ := strings.Cut(instance, ": ")
	switch {
	case side == "":
		return ""
	case slices.ContainsFunc(a.Forests, func(f answers.Forest) bool { return f.Name == side }):
		return PerForest
	}
	return check.ScopeID(side) // the others have one instance, which has their name
}
