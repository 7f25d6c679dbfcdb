package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hybridge-cli/hybridge/pkg/engine/check"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/deployment"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/freebusy"
	"github.com/hybridge-cli/hybridge/pkg/wire/link"
)

// What each verb hands over for the receivers of the answers file: what it saw, and how it ended.
func TestVerbsNotify(t *testing.T) {
	file := filepath.Join(t.TempDir(), "answers.yaml")
	if err := os.WriteFile(file, []byte(answersFile), 0o600); err != nil {
		t.Fatal(err)
	}
	fail := check.Result{ID: "a.c", Scope: "contoso", Status: check.StatusFail}
	for _, test := range []struct {
		name string
		s    scripted
		args []string
		want string
	}{
		{"check", scripted{check: checked(fail)}, []string{"check"}, "a.c=fail run=pass"},
		{"check, unreachable", scripted{err: fmt.Errorf("x: %w", link.ErrUnreachable)}, []string{"check"}, "run=error"},
		{"test", scripted{test: tested(freebusy.Failed)}, []string{"test"}, "freebusy.ews=fail run=pass"},
		{"plan for a look", scripted{plan: onePlan(t)}, []string{"plan"}, "run=pass"},
		{"plan for drift", scripted{plan: onePlan(t)}, []string{"plan", "--detailed-exitcode"}, "plan=warn run=pass"},
		{"plan without drift", scripted{}, []string{"plan", "--detailed-exitcode"}, "plan=pass run=pass"},
		{"all stages", scripted{check: checked(fail)}, []string{"--non-interactive"}, "a.c=fail run=error"},
		{"apply", scripted{}, []string{"apply", "--yes"}, ""},
		{"wrong use, seen late", scripted{err: fmt.Errorf("x: %w", deployment.ErrNoPairs)}, []string{"test"}, ""},
		{"out of time", scripted{wait: true}, []string{"check", "--timeout", "20ms"}, "run=error"},
		{"wrong use", scripted{}, []string{"check", "--only"}, ""},
	} {
		execute(t, &test.s, "", append(test.args, "-f", file)...)
		var got []string
		for _, seen := range test.s.noticed {
			for _, o := range seen {
				got = append(got, o.ID+"="+string(o.Status))
			}
		}
		if text := strings.Join(got, " "); text != test.want {
			t.Errorf("%s: %q, want %q", test.name, text, test.want)
		}
	}
	// Every round of a watch.
	watching := &scripted{test: tested(freebusy.OK)}
	ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
	defer cancel()
	executeIn(ctx, t, watching, "", "test", "-f", file, "--watch=10ms")
	if len(watching.noticed) < 2 {
		t.Errorf("%d rounds", len(watching.noticed))
	}
	// A message that is not delivered changes no result.
	got := execute(t, &scripted{unnotified: errors.New("notify[0] (teams) got no message")}, "", "check", "-f", file)
	if got.code != exitFine || !strings.Contains(got.errout, "notify[0]") {
		t.Errorf("exit %d: %s", got.code, got.errout)
	}
}
