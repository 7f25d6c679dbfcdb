package prereq

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/hybridge-cli/hybridge/pkg/config/answers"
	"github.com/hybridge-cli/hybridge/pkg/engine/check"
)

func TestRulesOfAnswers(t *testing.T) {
	a := answers.Answers{Forests: []answers.Forest{{Name: "contoso"}}, Checks: []answers.CheckRule{
		{ID: "directory.one-primary", Scope: "contoso", Severity: "warn"},
		{ID: "tenant.ews-switch", Reason: "moves", Owner: "Anna", Expires: "2027-01-31"},
	}}
	rules, err := Rules(a)
	want := []check.Rule{{ID: "directory.one-primary", Scope: "contoso", Severity: check.Warn},
		{ID: "tenant.ews-switch",
			Acknowledgement: &check.Acknowledgement{Reason: "moves", Owner: "Anna", Expires: "2027-01-31"}}}
	if diff := cmp.Diff(want, rules); diff != "" || err != nil {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
	for wrong, rule := range map[string]answers.CheckRule{
		`checks[0].id: there is no check "directory.one-primarys"; did you mean "directory.one-primary"?`: {
			ID: "directory.one-primarys", Severity: "warn"},
		`checks[0].scope: tenant.ews-switch runs once per tenant: "contoso" is none`: {
			ID: "tenant.ews-switch", Scope: "contoso", Severity: "warn"},
	} {
		a.Checks = []answers.CheckRule{rule}
		if _, err := Rules(a); err == nil || !strings.Contains(err.Error(), wrong) {
			t.Errorf("%v, want %s", err, wrong)
		}
	}
}
