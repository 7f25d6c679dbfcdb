package prereq

import (
	"slices"
	"strings"
	"testing"

	"github.com/hybridge-cli/hybridge/pkg/engine/change"
	"github.com/hybridge-cli/hybridge/pkg/engine/check"
	"github.com/hybridge-cli/hybridge/pkg/engine/msg"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/desired"
)

// Every kind has its check.
func TestEveryKindIsChecked(t *testing.T) {
	for _, k := range desired.Kinds() {
		checked := slices.ContainsFunc(Checks(), func(c Check) bool { return c.ID == objectCheckID(k) })
		if checked == desired.OnTheWayOut(k) {
			t.Errorf("%s has no check", k.Noun)
		}
	}
}

func TestObjectChecks(t *testing.T) {
	change1 := func(target, kind string, a change.Action, after change.Properties) change.Change {
		return change.Change{Target: target, Kind: kind, Name: "the object", Action: a, After: after}
	}
	override := change1("onprem/contoso", "SettingOverride", change.Create, nil)
	disabled := change1("onprem/contoso", "AuthServer", change.Update, change.Properties{"Enabled": true})
	consent := change1("entra", "AppRoleAssignment", change.Create, nil)
	connector := change1("online", "IntraOrganizationConnector", change.Update, change.Properties{"Enabled": true})
	for name, test := range map[string]struct {
		plan   change.Plan
		kind   string
		forest int
		want   check.Status
		says   string
	}{
		"as planned": {kind: "AuthServer", want: check.StatusPass},
		"disabled": {plan: change.Plan{Changes: []change.Change{disabled}}, kind: "AuthServer",
			want: check.StatusFail, says: "Enabled"},
		"disabled elsewhere": {plan: change.Plan{Changes: []change.Change{disabled}}, kind: "AuthServer", forest: 1,
			want: check.StatusPass},
		"consent revoked": {plan: change.Plan{Changes: []change.Change{consent}}, kind: "AppRoleAssignment",
			want: check.StatusFail, says: "missing"},
		"connector online": {plan: change.Plan{Changes: []change.Change{connector}},
			kind: "IntraOrganizationConnector", want: check.StatusFail, says: "online"},
		"not set up": {plan: change.Plan{Changes: []change.Change{override, disabled}}, kind: "AuthServer",
			want: check.StatusSkip},
		"one forest not set up": {plan: change.Plan{Changes: []change.Change{override, consent}},
			kind: "AppRoleAssignment", want: check.StatusSkip},
		"unknown": {plan: change.Plan{LeftOut: []change.LeftOut{{Topic: "oauth", Place: "onprem/contoso",
			Reason: msg.Plain("refused")}}}, kind: "AuthServer", want: check.StatusError},
		"unknown whether set up": {plan: change.Plan{LeftOut: []change.LeftOut{{Topic: "application-switch",
			Place: "onprem/contoso", Reason: msg.Plain("refused")}}}, kind: "AuthServer", want: check.StatusSkip},
	} {
		t.Run(name, func(t *testing.T) {
			set, _ := healthy(t)
			desired.Comparison.Seed(set.Organization, test.plan, nil)
			in := Input{Set: set}
			for _, c := range objectChecks() {
				if !strings.HasSuffix(string(c.ID),
					"."+strings.TrimPrefix(string(objectCheckID(&desired.Kind{Noun: test.kind})), "hybrid.")) {
					continue
				}
				if c.Scope == PerForest {
					in.Forest = set.Forests[test.forest]
				}
				r := c.Run(t.Context(), in)
				if r.Status != test.want || !strings.Contains(r.Summary.String(), test.says) {
					t.Errorf("%s: %s %s", c.ID, r.Status, r.Summary)
				}
			}
		})
	}
}
