package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hybridge-cli/hybridge/pkg/engine/change"
	"github.com/hybridge-cli/hybridge/pkg/engine/msg"
)

// A plan that leaves something out says so, and is inconclusive: also when what is left of it was
// carried out.
func TestPlanLeavesOut(t *testing.T) {
	file := filepath.Join(t.TempDir(), "answers.yaml")
	if err := os.WriteFile(file, []byte(answersFile), 0o600); err != nil {
		t.Fatal(err)
	}
	plan := onePlan(t)
	plan.LeftOut = []change.LeftOut{{Topic: "oauth", Place: "onprem/fabrikam",
		Resources: []string{"onprem/fabrikam/AuthServer/acs"}, Reason: msg.Plain("connection refused")}}
	for _, args := range [][]string{{"plan"}, {"plan", "--detailed-exitcode"}, {"plan", "-o", "json"},
		{"apply", "--yes"}} {
		got := execute(t, &scripted{plan: plan}, "", append(args, "-f", file)...)
		if got.code != exitInconclusive {
			t.Errorf("%v: exit %d, %s", args, got.code, got.errout)
		}
		if args[0] == "apply" && !strings.Contains(got.errout, "exit code 9: the plan left something out; ") {
			t.Errorf("%v: %s", args, got.errout)
		}
		if args[0] == "plan" && (!strings.Contains(got.out, "oauth") ||
			!strings.Contains(got.out, "connection refused") ||
			!strings.Contains(got.out, "onprem/fabrikam/AuthServer/acs")) {
			t.Errorf("%v: %s", args, got.out)
		}
	}
}
