package e2e

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hybridge-cli/hybridge/test/peer"
)

// TestPowerShellAsClientOfTheLab opens a session with the lab's Exchange in Microsoft's own
// PowerShell, and calls cmdlets as people type them.
func TestPowerShellAsClientOfTheLab(t *testing.T) {
	pwsh, err := filepath.Abs(peer.Shared(t, "tools", "pwsh", "run"))
	if err != nil {
		t.Fatal(err)
	}
	bridge, err := filepath.Abs(peer.Shared(t, "tools", "pwsh-lab", "stdio_to_wsman.py"))
	if err != nil {
		t.Fatal(err)
	}
	python := peer.Program(t, "python3", "python3")
	e := startLab(t, "--users", "30")
	bin := t.TempDir()
	stand := fmt.Sprintf("#!/bin/sh\nexec %s %s \"$@\"\n", python, bridge)
	if err := os.WriteFile(filepath.Join(bin, "ssh"), []byte(stand), 0o755); err != nil {
		t.Fatal(err)
	}
	const script = `$ErrorActionPreference = 'Continue'
$s = New-PSSession -HostName lab
"two arguments: " + @(Invoke-Command $s { Get-Mailbox -ResultSize 2 }).Count
"abbreviated: " + @(Invoke-Command $s { Get-Mailbox -Ident anna.alberti }).Count
"selected: " + (@(Invoke-Command $s { Get-AcceptedDomain | Select-Object DomainName })[0]).DomainName
"measured: " + (Invoke-Command $s { Get-AcceptedDomain | Measure-Object }).Count
Invoke-Command $s { Get-OrganizationConfig | Set-OrganizationConfig -MapiHttpEnabled $false -WhatIf }
"what if: " + (Invoke-Command $s { Get-OrganizationConfig }).MapiHttpEnabled
Invoke-Command $s { Set-OrganizationConfig -MapiHttpEnabled $false }
"set: " + (Invoke-Command $s { Get-OrganizationConfig }).MapiHttpEnabled
Invoke-Command $s { New-RemoteDomain -Name x -DomainName x.example } | Out-Null
Invoke-Command $s { Remove-RemoteDomain x } -ErrorVariable e -ErrorAction SilentlyContinue
"asks: " + ("$e" -like '*user interaction*')
Invoke-Command $s { Remove-RemoteDomain x -Confirm:$false }
Invoke-Command $s { Get-RemoteDomain x } -ErrorVariable e -ErrorAction SilentlyContinue | Out-Null
"removed: " + ("$e" -like "*couldn't be found*")
Remove-PSSession $s`
	want := []string{
		"two arguments: 2", "abbreviated: 1", "selected: contoso.example", "measured: 1", "what if: True", "set: False",
		"asks: True", "removed: True",
	}
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	c := exec.CommandContext(ctx, pwsh, "-NoProfile", "-Command", script)
	facts := e.facts(t)
	c.Env = append(os.Environ(), "PATH="+bin+":"+os.Getenv("PATH"),
		"WSMAN_URL=https://ex1.contoso.example/PowerShell/",
		"WSMAN_CONNECT_TO="+facts.Endpoints["ex1.contoso.example:443"],
		"WSMAN_CA="+filepath.Join(e.dir, "ca.pem"), "WSMAN_USER="+facts.Forests[0].Account,
		"WSMAN_PASSWORD_FILE="+filepath.Join(e.dir, "secrets", "contoso-svc-hybridge"))
	out, err := c.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, tail(string(out)))
	}
	if d := cmp.Diff(want, strings.Split(strings.TrimSpace(string(out)), "\n")); d != "" {
		t.Errorf("what PowerShell printed (-want +got):\n%s", d)
	}
}
