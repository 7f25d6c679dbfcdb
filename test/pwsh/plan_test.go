package pwsh_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hybridge-cli/hybridge/pkg/config/answers"
	"github.com/hybridge-cli/hybridge/pkg/engine/apply"
	"github.com/hybridge-cli/hybridge/pkg/engine/change"
	"github.com/hybridge-cli/hybridge/pkg/engine/observe"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/deployment"
	"github.com/hybridge-cli/hybridge/pkg/lab"
	"github.com/hybridge-cli/hybridge/test/peer"
)

// events keeps the warnings of a verb.
type events struct{ warnings []string }

func (e *events) Observe(event observe.Event) {
	if w, ok := event.(observe.Warning); ok {
		e.warnings = append(e.warnings, w.Text)
	}
}

// estate is a lab and what a local PowerShell needs to find it.
type estate struct {
	answers  string            // file
	endpoint map[string]string // where a host is
	account  string
	record   string // connections of the module
}

func startEstate(t *testing.T) estate {
	t.Helper()
	pwsh, err := filepath.Abs(peer.Shared(t, "tools", "pwsh", "run"))
	if err != nil {
		t.Fatal(err)
	}
	bridge, err := filepath.Abs(peer.Shared(t, "tools", "pwsh-lab", "stdio_to_wsman.py"))
	if err != nil {
		t.Fatal(err)
	}
	catalogue, err := filepath.Abs(peer.Shared(t, "reference", "exchange-cmdlets.json"))
	if err != nil {
		t.Fatal(err)
	}
	amendments, err := filepath.Abs("../../pkg/estate/exchange/amendments.json")
	if err != nil {
		t.Fatal(err)
	}
	modules, err := filepath.Abs("testdata")
	if err != nil {
		t.Fatal(err)
	}
	python := peer.Program(t, "python3", "python3")
	l, err := lab.Start(t.Context(), lab.Options{Dir: t.TempDir(), Users: 20, Forests: 1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	folder := filepath.Dir(l.Answers())
	content, err := os.ReadFile(filepath.Join(folder, "lab.json"))
	if err != nil {
		t.Fatal(err)
	}
	var facts struct {
		Endpoints map[string]string
		Forests   []struct{ Account string }
	}
	if err := json.Unmarshal(content, &facts); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	e := estate{answers: l.Answers(), endpoint: facts.Endpoints, account: facts.Forests[0].Account,
		record: filepath.Join(dir, "record")}
	write := func(name, text string) {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	write("ssh", fmt.Sprintf("#!/bin/sh\nexec %s %s \"$@\"\n", python, bridge))
	// PowerShell for Linux has no WSMan. The session takes the way of SSH, to a stand-in for it.
	write("session.ps1", `function global:New-PSSession {
    [CmdletBinding()]
    param([string] $ConfigurationName, [string] $ConnectionUri, [string] $Authentication, [pscredential] $Credential)
    if ($ConfigurationName -ne 'Microsoft.Exchange' -or $Authentication -ne 'Basic') { throw "a session of $ConfigurationName by $Authentication" }
    $env:WSMAN_URL, $env:WSMAN_USER, $env:WSMAN_PASSWORD = $ConnectionUri, $Credential.UserName, $Credential.GetNetworkCredential().Password
    Microsoft.PowerShell.Core\New-PSSession -HostName lab
}
`)
	write("session.pssc", fmt.Sprintf("@{ SchemaVersion = '2.0.0.0'; GUID = '%s'; SessionType = 'Default'; "+
		"LanguageMode = 'FullLanguage'; ScriptsToProcess = '%s/session.ps1' }\n", "6f4f1c9a-58a5-4bb2-9c08-7b9c7d3d2f10", dir))
	// A PowerShell whose New-PSSession opens a session with the lab's contoso.
	t.Setenv("PATH", dir+":"+os.Getenv("PATH"))
	write("pwsh", fmt.Sprintf("#!/bin/sh\nPSModulePath=%s WSMAN_CA=%s WSMAN_CONNECT_TO=%s LAB_ADMIN_API=%s "+
		"LAB_CATALOGUES=%s:%s LAB_RECORD=%s exec %s -ConfigurationFile %s/session.pssc \"$@\"\n", modules,
		filepath.Join(folder, "ca.pem"), facts.Endpoints["ex1.contoso.example:443"],
		facts.Endpoints["outlook.office365.com:443"], catalogue, amendments, e.record, pwsh, dir))
	return e
}

// open opens the estate's deployment by the ways that change sets in its answers.
func (e estate) open(t *testing.T, change func(*answers.Answers)) *deployment.Deployment {
	t.Helper()
	a, err := answers.Load(t.Context(), e.answers)
	if err != nil {
		t.Fatal(err)
	}
	change(&a)
	d, err := deployment.Open(a, deployment.Options{Dir: filepath.Dir(e.answers), StateDir: t.TempDir(), Version: "test",
		Timeout: 2 * time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = d.Close(t.Context()) })
	return d
}

func local(a *answers.Answers) {
	a.Forests[0].Exchange.Via, a.ExchangeOnline.Via = answers.ViaLocal, answers.ViaModule
}

func planOf(t *testing.T, d *deployment.Deployment) (change.Plan, []string) {
	t.Helper()
	var obs events
	p, err := d.Plan(t.Context(), &obs)
	if err != nil {
		t.Fatal(err)
	}
	return p, obs.warnings
}

// TestSamePlanByLocalPowerShell: Microsoft's PowerShell with a session of its own, and Microsoft's
// module's stand-in, give the plan that hybridge's own ways give. The plan is applied by them, and the
// plan after it is empty. The two places have a process each.
func TestSamePlanByLocalPowerShell(t *testing.T) {
	e := startEstate(t)
	want, _ := planOf(t, e.open(t, func(*answers.Answers) {}))
	if len(want.Changes) < 10 {
		t.Fatalf("a plan of %d changes", len(want.Changes))
	}
	d := e.open(t, local)
	began := time.Now()
	got, warnings := planOf(t, d)
	t.Logf("planned within %s", time.Since(began).Round(time.Millisecond))
	for _, left := range got.LeftOut {
		t.Errorf("left out: %s", asJSON(t, left))
	}
	if diff := cmp.Diff(strings.Split(asJSON(t, want), "\n"), strings.Split(asJSON(t, got), "\n")); diff != "" {
		t.Errorf("the plan by PowerShell (-own ways +PowerShell):\n%s", diff)
	}
	if len(warnings) > 0 {
		t.Errorf("warnings: %q", warnings)
	}
	if _, err := d.Apply(t.Context(), got, apply.Options{Accept: []string{"all"}}, &events{}); err != nil {
		t.Errorf("apply: %v", err)
	}
	again, _ := planOf(t, d)
	if len(again.Changes) > 0 {
		t.Errorf("the plan after apply is not empty: %s", asJSON(t, again))
	}
	if err := d.Close(t.Context()); err != nil {
		t.Error(err)
	}
	record, err := os.ReadFile(e.record)
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(string(record)), "\n")
	if len(lines) != 2 || !strings.Contains(lines[0], " connected ") || !strings.HasSuffix(lines[1], " disconnected") ||
		strings.Fields(lines[0])[0] != strings.Fields(lines[1])[0] {
		t.Errorf("the module was connected otherwise than once: %q", lines)
	}
}

func asJSON(t *testing.T, v any) string {
	t.Helper()
	out, err := json.MarshalIndent(v, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}
