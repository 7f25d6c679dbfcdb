package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/hybridge-cli/hybridge/pkg/config/answers"
)

// The state directory of a deployment is the same by whichever name its answers file is reached:
// two runs would not see each other's lock, and a rollback not the run.
func TestOneStateDirectoryByEveryName(t *testing.T) {
	parent := t.TempDir()
	dir, link := filepath.Join(parent, "contoso"), filepath.Join(parent, "link")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(dir, link); err != nil {
		t.Skip(err)
	}
	of := func(dir string) string {
		state := &task{streams: streams{Env: func(string) string { return parent }}}
		path, err := state.stateDirOf(answers.Answers{Organization: "Contoso"}, dir)
		if err != nil {
			t.Fatal(err)
		}
		return path
	}
	if a, b := of(dir), of(link); a != b {
		t.Errorf("%s and %s", a, b)
	}
	if of(dir) == of(parent) {
		t.Error("another directory has the same one")
	}
}
