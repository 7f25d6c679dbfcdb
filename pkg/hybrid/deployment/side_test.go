package deployment

import (
	"testing"

	"github.com/hybridge-cli/hybridge/pkg/config/answers"
	"github.com/hybridge-cli/hybridge/pkg/engine/check"
	"github.com/hybridge-cli/hybridge/pkg/engine/msg"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/diagnose"
)

// The side of a verdict is where a check found the cause: on the way of the lookup before elsewhere, a
// failure before a warning, and the tenant for an object that the tenant has.
func TestSideOfVerdict(t *testing.T) {
	const planned = "1 object is not as planned: HybridIOC at "
	found := func(probe, place, status, text string) diagnose.Evidence {
		return diagnose.Evidence{Probe: probe, Place: place, Status: status, Text: text}
	}
	lookup := found("lookup", "online -> contoso", "fail", "")
	for name, tt := range map[string]struct {
		evidence []diagnose.Evidence
		want     string
	}{
		"no check":  {[]diagnose.Evidence{lookup}, ""},
		"one check": {[]diagnose.Evidence{lookup, found("ews.answers", "contoso", "fail", "")}, "contoso"},
		"another forest first": {[]diagnose.Evidence{found("ews.answers", "fabrikam", "fail", ""),
			found("ews.answers", "contoso", "fail", "")}, "contoso"},
		"a warning first": {[]diagnose.Evidence{found("tenant.ews-switch", "tenant", "warn", ""),
			found("oauth.virtual-directories", "contoso", "fail", "")}, "contoso"},
		"elsewhere alone": {[]diagnose.Evidence{found("ews.answers", "fabrikam", "fail", "")}, "fabrikam"},
		"a server":        {[]diagnose.Evidence{found("servers.tls", "contoso: ex1", "fail", "")}, "contoso"},
		"object of the forest": {[]diagnose.Evidence{found("hybrid.intra-organization-connector", "contoso", "fail",
			planned+"onprem/contoso: Enabled")}, "contoso"},
		"object of the tenant": {[]diagnose.Evidence{found("hybrid.intra-organization-connector", "contoso", "fail",
			planned+"online: Enabled")}, "online"},
	} {
		v := Validation{Ranked: &diagnose.Verdict{Causes: []diagnose.Cause{{Evidence: tt.evidence}}}}
		if got := v.decidedAt("online -> contoso"); got != tt.want {
			t.Errorf("%s: %q, want %q", name, got, tt.want)
		}
	}
}

// Whose fix it is does not depend on whether a lookup or a check shows the cause.
func TestOwnerOfACheck(t *testing.T) {
	for id := range map[check.ID]bool{"tenant.ews-switch": true, "tenant.shared-keys": true,
		"tenant.licences": true} {
		text := map[check.ID]string{"tenant.ews-switch": "EwsEnabled is false"}[id]
		v := Validation{Checks: &check.Report{Results: []check.Result{
			{ID: id, Scope: "tenant", Status: check.StatusFail, Summary: msg.Plain(text)}}}}
		row := diagnose.Decide(v.Checks.Results, nil).Causes
		if !v.byCheck(answers.Answers{}) || len(row) == 0 || v.Verdict.Owner != row[0].Owner {
			t.Errorf("%s: owner %q, want that of %v", id, v.Verdict.Owner, row)
		}
	}
}
