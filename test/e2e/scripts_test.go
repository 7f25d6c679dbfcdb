package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// TestScriptsAreSoundPowerShell holds the scripts of a first plan against an independent grammar and the cmdlet catalogue.
func TestScriptsAreSoundPowerShell(t *testing.T) {
	tool, err := filepath.Abs("../../../shared/tools/pslint")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(tool); err != nil {
		t.Skip("the PowerShell grammar is not beside this checkout")
	}
	if _, err := exec.LookPath("npm"); err != nil {
		t.Skip("npm is not installed")
	}
	lint := filepath.Join(t.TempDir(), "tools", "pslint") // the tool's folder may not be written to
	for _, c := range [][]string{
		{"mkdir", "-p", filepath.Dir(lint)}, {"cp", "-r", tool, lint}, {"chmod", "-R", "u+w", lint},
		{"npm", "ci", "--silent", "--prefix", lint},
	} {
		if out, err := exec.Command(c[0], c[1:]...).CombinedOutput(); err != nil {
			t.Fatalf("%v: %v\n%s", c, err, out)
		}
	}
	e := startLab(t)
	dir := t.TempDir()
	e.must(t, 0, "plan", "--scripts", dir)
	for side, pattern := range map[string]string{"onprem": "10-onprem-*.ps1", "online": "20-online.ps1"} {
		files, err := filepath.Glob(filepath.Join(dir, pattern))
		if err != nil || len(files) == 0 {
			t.Fatalf("no %s in %s", pattern, dir)
		}
		catalogue := filepath.Join(tool, "../../reference/exchange-cmdlets.json")
		out, err := exec.Command("node", append([]string{filepath.Join(lint, "pslint.mjs"), "--side", side, "--catalogue", catalogue}, files...)...).CombinedOutput()
		if err != nil {
			t.Errorf("%s: %v\n%s", side, err, out)
		}
	}
}
