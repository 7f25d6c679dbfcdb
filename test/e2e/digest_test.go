package e2e

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestPlanIsTheOneThatWasAgreedTo: plan prints the digest, apply repeats it, and --digest accepts
// no other plan, not even another one that is intact.
func TestPlanIsTheOneThatWasAgreedTo(t *testing.T) {
	e := startLab(t)
	dir := t.TempDir()
	saved, other := filepath.Join(dir, "plan.json"), filepath.Join(dir, "other.json")
	shown := e.must(t, 0, "plan", "--out", saved)
	e.must(t, 0, "plan", "--only", "entra/*", "--out", other)
	digest := func(file string) string {
		t.Helper()
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var p struct{ Digest string }
		if err := json.Unmarshal(data, &p); err != nil || !strings.HasPrefix(p.Digest, "sha256:") {
			t.Fatalf("%q, %v", p.Digest, err)
		}
		return p.Digest
	}
	agreed := digest(saved)
	if agreed == digest(other) {
		t.Fatal("two plans have one digest")
	}
	if !strings.Contains(shown.stdout, agreed) {
		t.Errorf("plan does not print %s", agreed)
	}
	for _, args := range [][]string{
		{"apply", other, "--yes", "--digest", agreed}, {"apply", saved, "--yes", "--digest", digest(other)},
	} {
		if r := e.run(t, args...); r.code != 7 {
			t.Errorf("%s: exit %d, want 7\n%s", strings.Join(args, " "), r.code, tail(r.stderr))
		}
	}
	if p := e.plan(t); p.Digest != agreed {
		t.Error("a refused plan has changed something")
	}
	r := e.must(t, 0, "apply", saved, "--yes", "--digest", agreed)
	if !strings.Contains(r.stdout+r.stderr, agreed) {
		t.Error("apply does not repeat the digest")
	}
}
