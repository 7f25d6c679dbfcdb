package e2e

import (
	"slices"
	"testing"

	"github.com/hybridge-cli/hybridge/pkg/lab"
)

type messages struct {
	Matrix []struct {
		From, To, Direction, Probe, Status, Error string
		Route                                     []string
		Diagnosis                                 []struct{ ID string }
	}
}

// TestMessageFaults plants each fault of mail flow. The message that meets it does not arrive, or
// arrives as external mail, and the answer names the cause. Mail of the other forest and of the
// other direction arrives over TLS and as internal mail. A message that is put off for a while
// arrives.
func TestMessageFaults(t *testing.T) {
	for _, f := range lab.Faults() {
		if !f.Message {
			continue
		}
		t.Run(f.ID, func(t *testing.T) {
			e := startLab(t, "--fault", f.ID)
			if f.Passes {
				e.must(t, 0, "test", "--message", "-o", "json")
				return
			}
			words := []string{"test", "--message", "-o", "json"}
			if f.Diagnosis == "mail.edge-stale" { // no server says why: the whole time is waited
				words = append(words, "--wait", "10s")
			}
			if f.ByChance { // it arrives, where it reached the other server
				if r := e.run(t, words...); r.code != 0 && r.code != 3 {
					t.Errorf("exit %d", r.code)
				}
				return
			}
			report := decode[messages](t, e.must(t, 3, words...).stdout)
			var sound []string
			for _, a := range report.Matrix {
				if a.Status == "ok" {
					sound = append(sound, a.Direction)
					continue
				}
				t.Logf("%s: %s: %s %v", a.Direction, a.Status, a.Error, a.Route)
				if len(a.Diagnosis) == 0 || a.Diagnosis[0].ID != string(f.Diagnosis) {
					t.Errorf("%s: %v, want %s", a.Direction, a.Diagnosis, f.Diagnosis)
				}
			}
			for _, direction := range []string{"fabrikam -> online", "online -> fabrikam"} {
				if f.ID != "mail.no-exchanger" && !slices.Contains(sound, direction) {
					t.Errorf("%s does not work", direction)
				}
			}
			if len(sound) == 0 {
				t.Error("no message arrives")
			}
		})
	}
}
