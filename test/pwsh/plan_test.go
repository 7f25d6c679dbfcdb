package pwsh_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
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

func startEstate(t *testing.T, weather func(http.Handler) http.Handler) estate {
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
	l, err := lab.Start(t.Context(), lab.Options{Dir: t.TempDir(), Users: 20, Forests: 1, Weather: weather})
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
    [System.IO.File]::AppendAllText($env:LAB_RECORD, "$PID session" + [char] 10)
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
	e := startEstate(t, nil)
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
	e.lookForSecrets(t)
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
	processes := map[string][]string{}
	for line := range strings.Lines(string(record)) {
		id, what, _ := strings.Cut(strings.TrimSpace(line), " ")
		processes[id] = append(processes[id], strings.TrimSpace(what))
	}
	var lives []string
	for _, life := range processes {
		lives = append(lives, strings.Join(life, ", "))
	}
	slices.Sort(lives)
	if diff := cmp.Diff([]string{"connected contoso.onmicrosoft.com, disconnected", "session"}, lives); diff != "" {
		t.Errorf("what each process did (-want +got):\n%s", diff)
	}
}

// TestAutoFallsBack: where hybridge's own remote PowerShell is refused a connection, and the admin API
// is not what it was, auto takes PowerShell, says so once for each, and the plan is the same.
func TestAutoFallsBack(t *testing.T) {
	changed := false
	e := startEstate(t, func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if changed && strings.HasPrefix(r.URL.Path, "/adminapi/") && !strings.Contains(r.UserAgent(), "PowerShell") {
				http.NotFound(w, r)
				return
			}
			next.ServeHTTP(w, r)
		})
	})
	want, _ := planOf(t, e.open(t, func(*answers.Answers) {}))
	changed = true
	got, warnings := planOf(t, e.open(t, func(a *answers.Answers) {
		a.Forests[0].Exchange.Via, a.ExchangeOnline.Via = answers.ViaAuto, answers.ViaAuto
		for i, rule := range a.Network.ConnectTo {
			if name, _, _ := strings.Cut(rule, "="); name == "ex1.contoso.example:443" {
				a.Network.ConnectTo[i] = fmt.Sprintf("%s=127.0.0.1:%d", name, peer.FreePort(t))
			}
		}
	}))
	if diff := cmp.Diff(strings.Split(asJSON(t, want), "\n"), strings.Split(asJSON(t, got), "\n")); diff != "" {
		t.Errorf("the plan by auto (-own ways +auto):\n%s", diff)
	}
	slices.Sort(warnings)
	if len(warnings) != 2 || !strings.Contains(warnings[0], "Exchange Online: the admin API does not answer as it should (") ||
		!strings.Contains(warnings[1], "contoso: hybridge's own remote PowerShell does not work (") {
		t.Errorf("warnings: %q", warnings)
	}
}

// lookForSecrets looks at the command lines and the environments of the processes that this test has
// started, as other processes of the account can.
func (e estate) lookForSecrets(t *testing.T) {
	t.Helper()
	secrets, err := filepath.Glob(filepath.Join(filepath.Dir(e.answers), "secrets", "*"))
	if err != nil || len(secrets) == 0 {
		t.Fatal("no secrets to look for: ", err)
	}
	record, err := os.ReadFile(e.record)
	if err != nil {
		t.Fatal(err)
	}
	looked := 0
	for line := range strings.Lines(string(record)) {
		id, _, _ := strings.Cut(line, " ")
		for _, file := range []string{"cmdline", "environ"} {
			text, err := os.ReadFile(filepath.Join("/proc", id, file))
			if err != nil {
				t.Fatal(err)
			}
			looked++
			if strings.Contains(string(text), "eyJ") {
				t.Errorf("a token is in %s of %s", file, line)
			}
			for _, path := range secrets {
				secret, err := os.ReadFile(path)
				if err != nil {
					t.Fatal(err)
				}
				if value := strings.TrimSpace(string(secret)); len(value) > 5 && strings.Contains(string(text), value) {
					t.Errorf("%s is in %s of %s", filepath.Base(path), file, line)
				}
			}
		}
	}
	if looked != 4 {
		t.Errorf("looked at %d files, not at those of two processes", looked)
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
