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
		want := map[bool]string{true: "mail.headers-not-sent", false: "mail.no-route"}[strings.HasPrefix(a.Direction, "online")]
		if a.Status != "failed" || len(a.Diagnosis) == 0 || a.Diagnosis[0].ID != want {
			t.Errorf("before the apply: %+v, want %s", a, want)
		}
	}
	path := filepath.Join(e.dir, "answers.yaml")
	answers, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, append(answers, "\nfeatures: [secureMail]\n"...), 0o600); err != nil {
		t.Fatal(err)
	}
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
