package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hybridge-cli/hybridge/pkg/engine/apply"
	"github.com/hybridge-cli/hybridge/pkg/engine/broken"
	"github.com/hybridge-cli/hybridge/pkg/engine/change"
	"github.com/hybridge-cli/hybridge/pkg/engine/check"
	"github.com/hybridge-cli/hybridge/pkg/engine/report"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/deployment"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/freebusy"
	"github.com/hybridge-cli/hybridge/pkg/wire/link"
)

// TestPartialOutranksItsCauses: a run that changed something is never reported as one that changed
// nothing, for every cause that stops it.
func TestPartialOutranksItsCauses(t *testing.T) {
	for _, cause := range []error{apply.ErrStale, apply.ErrState, apply.ErrConflict, change.ErrPlan, link.ErrAccess,
		link.ErrUnreachable, errUsage, context.Canceled} { // the last of a session that broke, not of the run
		err := fmt.Errorf("%w: %w", apply.ErrPartial, errors.Join(fmt.Errorf("a change: %w", cause)))
		if code, _ := classify(t.Context(), err); code != exitPartial {
			t.Errorf("%v: exit %d, want %d", err, code, exitPartial)
		}
	}
	bug := fmt.Errorf("%w: %w", apply.ErrPartial, &broken.Error{What: "read Thing"})
	if code, _ := classify(t.Context(), bug); code != exitPartial {
		t.Errorf("%v: exit %d, want %d", bug, code, exitPartial)
	}
}

// What is not known is no success, and of a saved run the exit code is the same.
func TestCodesOfDocuments(t *testing.T) {
	checks := func(s check.Status) *check.Report {
		r := checked(check.Result{ID: "a.b", Status: s, Severity: check.Fail})
		return &r
	}
	tests := func(s freebusy.Status) *freebusy.Report { r := tested(s); return &r }
	left := &change.Plan{LeftOut: []change.LeftOut{{Topic: "connectors"}}}
	for _, test := range []struct {
		name string
		d    report.Document
		want int
	}{
		{"not seen again, not looked for", check.Comparison{Differences: []check.Difference{{Change: check.Unseen}}}, exitFine},
		{"not seen again, not seen", check.Comparison{Differences: []check.Difference{{Change: check.New,
			After: check.StatusFail}, {Change: check.Unseen, After: check.StatusError}}}, exitInconclusive},
		{"new failure", check.Comparison{Differences: []check.Difference{{Change: check.New, After: check.StatusFail},
			{Change: check.New, After: check.StatusWarn}}}, exitFailed},
		{"unknown, and the checks pass", deployment.Validation{Verdict: deployment.Verdict{Status: freebusy.Unknown},
			Checks: checks(check.StatusPass)}, exitInconclusive},
		{"unknown, and a check fails", deployment.Validation{Verdict: deployment.Verdict{Status: freebusy.Unknown},
			Checks: checks(check.StatusFail)}, exitFailed},
		{"run", runDocument{Check: checks(check.StatusPass), Plan: &change.Plan{}, Test: tests(freebusy.OK)}, exitFine},
		{"run, left out", runDocument{Check: checks(check.StatusPass), Plan: left, Test: tests(freebusy.OK)},
			exitInconclusive},
		{"run, left out, test failed", runDocument{Check: checks(check.StatusPass), Plan: left,
			Test: tests(freebusy.Failed)}, exitFailed},
		{"run, blind", runDocument{Check: checks(check.StatusError), Plan: &change.Plan{}, Test: tests(freebusy.OK)},
			exitInconclusive},
		{"run, a check failed", runDocument{Check: checks(check.StatusFail), Plan: &change.Plan{},
			Test: tests(freebusy.OK)}, exitFailed},
	} {
		if got := resultCode(test.d); got != test.want {
			t.Errorf("%s: exit %d, want %d", test.name, got, test.want)
		}
		run, ok := test.d.(runDocument)
		if !ok {
			continue
		}
		run.APIVersion, run.Kind = report.APIVersion, "RunReport"
		run.About = report.About{Deployment: "x", Time: time.Unix(1, 0)}
		data, err := json.Marshal(run)
		if err != nil {
			t.Fatal(err)
		}
		if r, err := storedDocument(data); err != nil || len(r.Deployments) != 1 || r.Deployments[0].ExitCode != test.want {
			t.Errorf("%s, saved: %v, %+v, want %d", test.name, err, r.Deployments, test.want)
		}
	}
	// A run that did not reach its test is not known, unless its checks say more.
	for status, want := range map[check.Status]int{check.StatusPass: exitInconclusive, check.StatusFail: exitFailed} {
		data, err := json.Marshal(runDocument{APIVersion: report.APIVersion, Kind: "RunReport", Check: checks(status),
			About: report.About{Deployment: "x", Time: time.Unix(1, 0)}})
		if err != nil {
			t.Fatal(err)
		}
		if r, err := storedDocument(data); err != nil || r.Deployments[0].ExitCode != want {
			t.Errorf("%s: %v, %+v, want %d", status, err, r.Deployments, want)
		}
	}
	if _, err := storedDocument([]byte(`{"apiVersion":"hybridge/v9","kind":"CheckReport"}`)); err == nil ||
		!strings.Contains(err.Error(), "hybridge/v9") {
		t.Errorf("of another version: %v", err)
	}
}

// TestOutputFileKeepsTheOld: an earlier report is replaced by a whole new one, or by nothing.
func TestOutputFileKeepsTheOld(t *testing.T) {
	for name, test := range map[string]struct {
		use  func(*outputFile)
		want string
	}{
		"written":         {func(f *outputFile) { fmt.Fprint(f, "new") }, "new"},
		"nothing written": {func(*outputFile) {}, "old"},
		"disk full": {func(f *outputFile) {
			fmt.Fprint(f, "ne")
			f.File.Close() // every further write fails, as on a full disk
			fmt.Fprint(f, "w")
		}, "old"},
		"disk full at the end": {func(f *outputFile) { // a write fails, and closing does not
			fmt.Fprint(f, "ne")
			reading, err := os.Open(f.Name())
			if err != nil {
				t.Fatal(err)
			}
			f.File.Close()
			f.File = reading
			fmt.Fprint(f, "w")
		}, "old"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			path := filepath.Join(dir, "report.txt")
			if err := os.WriteFile(path, []byte("old"), 0o600); err != nil {
				t.Fatal(err)
			}
			f, err := newOutputFile(path)
			if err != nil {
				t.Fatal(err)
			}
			test.use(f)
			if err := f.commit(); (err != nil) != strings.HasPrefix(name, "disk full") {
				t.Errorf("commit: %v", err)
			}
			if got, err := os.ReadFile(path); err != nil || string(got) != test.want {
				t.Errorf("the file holds %q (%v), want %q", got, err, test.want)
			}
			if left, _ := os.ReadDir(dir); len(left) != 1 {
				t.Errorf("left behind: %v", left)
			}
		})
	}
}
