package deployment

import (
	"slices"
	"testing"

	"github.com/hybridge-cli/hybridge/pkg/config/answers"
	"github.com/hybridge-cli/hybridge/pkg/engine/apply"
)

// A rule that the answers name is copied. The next plan is empty, the check passes, and rollback
// takes the copy away again.
func TestRuleIsCopied(t *testing.T) {
	d := open(t, "policy.rule-missing")
	v := verbs{t, d}
	p, _ := v.plan()
	v.apply(p)
	d.answers.Forests[0].CopyRules = &answers.CopyRules{ToTenant: []string{"disclaimer"}}
	p, _ = v.plan()
	if got := slices.Collect(ids(p)); len(got) != 1 || got[0] != "create online/TransportRule/disclaimer" {
		t.Fatalf("planned: %v", got)
	}
	v.apply(p)
	if again, _ := v.plan(); len(again.Changes) > 0 {
		t.Errorf("not converged: %v", slices.Collect(ids(again)))
	}
	if _, err := d.Rollback(t.Context(), "", apply.Options{Accept: []string{apply.AcceptRemovals}},
		&events{}); err != nil {
		t.Fatal(err)
	}
	if after, _ := v.plan(); len(after.Changes) != 1 {
		t.Errorf("after the rollback: %v", slices.Collect(ids(after)))
	}
}
