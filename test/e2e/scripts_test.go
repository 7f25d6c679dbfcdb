package e2e

import (
	"path/filepath"
	"testing"

	"github.com/hybridge-cli/hybridge/test/peer"
)

// TestScriptsAreSoundPowerShell checks the scripts of a first plan with an independent grammar and
// the cmdlet catalogue, all in one process. The file names show the side.
func TestScriptsAreSoundPowerShell(t *testing.T) {
	e := startLab(t)
	dir := t.TempDir()
	e.must(t, 0, "plan", "--scripts", dir)
	files, err := filepath.Glob(filepath.Join(dir, "*.ps1"))
	if err != nil || len(files) < 4 {
		t.Fatalf("%v in %s", files, dir)
	}
	peer.LintPowerShell(t, "auto", files...)
}
