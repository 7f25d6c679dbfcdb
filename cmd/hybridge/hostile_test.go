package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hybridge-cli/hybridge/pkg/engine/apply"
	"github.com/hybridge-cli/hybridge/pkg/engine/change"
	"github.com/hybridge-cli/hybridge/pkg/wire/link"
)

// TestPartialOutranksItsCauses: a run that changed something is never reported as one that changed
// nothing, for every cause that stops it.
func TestPartialOutranksItsCauses(t *testing.T) {
	for _, cause := range []error{apply.ErrStale, apply.ErrState, apply.ErrConflict, change.ErrPlan, link.ErrAccess,
		link.ErrUnreachable, errUsage} {
		err := fmt.Errorf("%w: %w", apply.ErrPartial, errors.Join(fmt.Errorf("a change: %w", cause)))
		if code, _ := classify(t.Context(), err); code != exitPartial {
			t.Errorf("%v: exit %d, want %d", err, code, exitPartial)
		}
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
