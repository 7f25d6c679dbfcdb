package e2e

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestSecureMail: an apply of the feature secureMail makes mail work. Before it, mail to the tenant
// has no way, and mail from the tenant arrives as external mail.
func TestSecureMail(t *testing.T) {
	e := startLab(t)
	before := decode[messages](t, e.must(t, 3, "test", "--message", "-o", "json").stdout)
	for _, a := range before.Matrix {
		t.Logf("before: %s %s: %s %v", a.Direction, a.Status, a.Error, a.Diagnosis)
		want := map[bool]string{true: "mail.headers-not-sent",
			false: "mail.no-route"}[strings.HasPrefix(a.Direction, "online")]
		if a.Status != "failed" || len(a.Diagnosis) == 0 || a.Diagnosis[0].ID != want {
			t.Errorf("before the apply: %+v, want %s", a, want)
		}
	}
	e.features(t, "secureMail")
	e.must(t, 0, "apply", "--yes")
	e.must(t, 0, "plan", "--detailed-exitcode")
	after := decode[messages](t, e.must(t, 0, "test", "--message", "-o", "json").stdout)
	if len(after.Matrix) != 4 {
		t.Errorf("%+v", after)
	}
	for _, a := range after.Matrix {
		if !strings.Contains(strings.Join(a.Route, "; "), "over TLS 1.3") {
			t.Errorf("%s: route %v", a.Direction, a.Route)
		}
	}
	e.must(t, 0, "rollback", "--yes")
	e.must(t, 3, "test", "--message")
}

// TestMailOfStates: what Microsoft's wizard set up carries mail as internal mail in every
// direction. What a person set up without CloudServicesMailEnabled does so after an apply.
func TestMailOfStates(t *testing.T) {
	t.Run("wizard", func(t *testing.T) {
		startLab(t, "--state", "wizard").must(t, 0, "test", "--message")
	})
	t.Run("manual", func(t *testing.T) {
		e := startLab(t, "--state", "manual")
		for _, a := range decode[messages](t, e.must(t, 3, "test", "--message", "-o", "json").stdout).Matrix {
			if len(a.Diagnosis) == 0 || a.Diagnosis[0].ID != "mail.headers-not-sent" {
				t.Errorf("%+v", a)
			}
		}
		e.features(t, "secureMail")
		e.must(t, 0, "apply", "--yes")
		e.must(t, 0, "test", "--message")
	})
}

// features appends the features to the answers.
func (e *estate) features(t *testing.T, list string) {
	t.Helper()
	path := filepath.Join(e.dir, "answers.yaml")
	answers, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, append(answers, "\nfeatures: ["+list+"]\n"...), 0o600); err != nil {
		t.Fatal(err)
	}
}
