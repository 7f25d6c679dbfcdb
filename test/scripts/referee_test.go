package scripts

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hybridge-cli/hybridge/test/peer"
)

// TestScriptsAreRead gives all scripts of a plan, rollback scripts among them, to PowerShell's own
// parser: what Windows PowerShell 5.1 does not know, cmdlets and parameters of the side, and the
// rules that PSScriptAnalyzer has by default.
func TestScriptsAreRead(t *testing.T) {
	_, d := open(t, nil)
	s := planned(t, d)
	dir := t.TempDir()
	for _, script := range append(s.scripts, s.undo...) {
		name := strings.ReplaceAll(script.Name, "/", "-")
		if err := os.WriteFile(filepath.Join(dir, name), script.Content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	own, err := filepath.Abs("testdata/analyze.ps1")
	if err != nil {
		t.Fatal(err)
	}
	powershell(t, nil, "-File", own, "-Folder", dir)
	powershell(t, nil, "-File", shared(t, "tools", "pwsh-lab", "check-scripts.ps1"), "-Path", dir,
		"-Catalogue", peer.Catalogue(t))
}

// TestTheRulesFind gives the rules a script that breaks each of them.
func TestTheRulesFind(t *testing.T) {
	dir := t.TempDir()
	const bad = `param([string] $Unused, [switch] $Often = $true, [string] $Password)
$never = 1
$error = 2
gci $Often 1 2 3
if ($x -eq $null) { }
try { a } catch { }
function Do-Things { $Password }
function Set-Thing { }
`
	if err := os.WriteFile(filepath.Join(dir, "bad.ps1"), []byte(bad), 0o600); err != nil {
		t.Fatal(err)
	}
	own, err := filepath.Abs("testdata/analyze.ps1")
	if err != nil {
		t.Fatal(err)
	}
	out, err := try(t, nil, "-File", own, "-Folder", dir)
	if err == nil {
		t.Error("it finds nothing")
	}
	for _, rule := range []string{
		"UseDeclaredVarsMoreThanAssignments", "AvoidAssignmentToAutomaticVariable", "AvoidUsingCmdletAliases",
		"AvoidUsingPositionalParameters", "PossibleIncorrectComparisonWithNull", "AvoidUsingEmptyCatchBlock",
		"UseApprovedVerbs", "UseSingularNouns", "UseShouldProcessForStateChangingFunctions", "ReviewUnusedParameter",
		"AvoidDefaultValueSwitchParameter", "AvoidUsingPlainTextForPassword",
	} {
		if !strings.Contains(out, rule) {
			t.Errorf("%s is not found:\n%s", rule, out)
		}
	}
}
