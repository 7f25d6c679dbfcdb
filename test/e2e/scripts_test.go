package e2e

import (
	"path/filepath"
	"testing"

	"github.com/hybridge-cli/hybridge/test/peer"
)

// TestScriptsAreSoundPowerShell holds the scripts of a first plan against an independent grammar and the cmdlet catalogue.
func TestScriptsAreSoundPowerShell(t *testing.T) {
	e := startLab(t)
	dir := t.TempDir()
	e.must(t, 0, "plan", "--scripts", dir)
	for side, pattern := range map[string]string{"onprem": "10-onprem-*.ps1", "online": "20-online.ps1"} {
		files, err := filepath.Glob(filepath.Join(dir, pattern))
		if err != nil || len(files) == 0 {
			t.Fatalf("no %s in %s", pattern, dir)
		}
		peer.LintPowerShell(t, side, files...)
	}
}
