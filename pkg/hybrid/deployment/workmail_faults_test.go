package deployment

import (
	"context"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/hybridge-cli/hybridge/pkg/config/answers"
	"github.com/hybridge-cli/hybridge/pkg/lab"
)

// TestWorkMailFaults plants each fault of WorkMail: the checks that it turns report it, and no
// other check fails. test/e2e does the same with the binary for all faults.
func TestWorkMailFaults(t *testing.T) {
	for _, f := range lab.Faults() {
		if !strings.HasPrefix(f.ID, "workmail.") || len(f.Turns) == 0 {
			continue
		}
		t.Run(f.ID, func(t *testing.T) {
			l, err := lab.Start(t.Context(), lab.Options{Dir: t.TempDir(), Users: 30, Faults: []string{f.ID}})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = l.Close() })
			a, err := answers.Load(t.Context(), l.Answers())
			if err != nil {
				t.Fatal(err)
			}
			d, err := Open(a, Options{Dir: filepath.Dir(l.Answers()), StateDir: t.TempDir(), Version: "test"})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = d.Close(context.WithoutCancel(t.Context())) })
			report, err := d.Check(t.Context(), &events{})
			if err != nil {
				t.Fatal(err)
			}
			verdict := f.Verdict
			if verdict == "" {
				verdict = lab.Fails
			}
			var found []lab.CheckID
			for _, r := range report.Results {
				id := lab.CheckID(r.ID)
				turned := slices.Contains(f.Turns, id) && string(r.Status) == string(verdict)
				if turned {
					found = append(found, id)
				}
				if bad := r.Status == "fail" || r.Status == "error"; bad && !turned &&
					(!slices.Contains(f.May, id) || f.Verdict == lab.Warns) {
					t.Errorf("%s %s, which the fault does not turn: %s", r.Status, id, r.Summary)
				}
			}
			for _, id := range f.Turns {
				if !slices.Contains(found, id) {
					t.Errorf("%s does not say %s", id, verdict)
				}
			}
		})
	}
}
