package deployment

import (
	"testing"

	"github.com/hybridge-cli/hybridge/pkg/config/answers"
	"github.com/hybridge-cli/hybridge/pkg/engine/check"
	"github.com/hybridge-cli/hybridge/pkg/engine/msg"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/freebusy"
)

// A check that was skipped for a missing right leaves the verdict unknown.
func TestVerdictWithoutARight(t *testing.T) {
	v := Validation{Checks: &check.Report{Results: []check.Result{{ID: "dns.mx", Scope: "contoso", Status: check.StatusSkip,
		Summary: msg.Plain("no right"), MissingRights: []msg.Text{msg.Plain("Get-Mailbox")}}}}}
	if v.judge(answers.Answers{}); v.Verdict.Status != freebusy.Unknown || v.Verdict.Side != "contoso" {
		t.Errorf("%+v", v.Verdict)
	}
}
