package pwsh_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hybridge-cli/hybridge/pkg/estate/exchange"
	"github.com/hybridge-cli/hybridge/pkg/lab/organization"
	"github.com/hybridge-cli/hybridge/test/peer"
)

const (
	account  = `CONTOSO\admin`
	password = "pass:word ä"
)

// contoso is an Exchange organization with a few objects.
func contoso(t *testing.T) *organization.Organization {
	o := organization.New(organization.Config{Side: exchange.OnPremises, Name: "Contoso", FQDN: "contoso.com"})
	o.Seed("AcceptedDomain", "Name", "contoso.com", "DomainName", "contoso.com", "Default", true)
	o.Seed("ExchangeServer", "Name", "EX1", "Fqdn", "ex1.contoso.com")
	o.ReceiveConnectors("EX1", "ex1.contoso.com")
	o.Seed("ExchangeCertificate", "Server", "EX1", "RawData", certificate(t))
	for i := range 40 {
		name := fmt.Sprintf("user%02d", i)
		o.Seed("Mailbox", "Name", name, "Alias", name, "SamAccountName", name, "PrimarySmtpAddress",
			name+"@contoso.com", "DisplayName", name)
	}
	return o
}

func certificate(t *testing.T) []byte {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(7), Subject: pkix.Name{CommonName: "ex1.contoso.com"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour)}
	raw, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// sessions serves an organization's remote PowerShell, and returns what a stand-in for ssh needs to
// lead PowerShell there.
func sessions(t *testing.T, o *organization.Organization) (shells *organization.Shells, environment []string) {
	t.Helper()
	bridge, err := filepath.Abs(peer.Shared(t, "tools", "pwsh-lab", "stdio_to_wsman.py"))
	if err != nil {
		t.Fatal(err)
	}
	python := peer.Program(t, "python3", "python3")
	shells = o.PowerShell(organization.Authentication{Password: func(_ context.Context, user, given string) error {
		if user != account || given != password {
			return fmt.Errorf("refused")
		}
		return nil
	}})
	server := httptest.NewTLSServer(shells)
	t.Cleanup(server.Close)
	t.Cleanup(shells.Close)
	dir := t.TempDir()
	write := func(name, text string, mode os.FileMode) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), mode); err != nil {
			t.Fatal(err)
		}
		return path
	}
	write("ssh", fmt.Sprintf("#!/bin/sh\nexec %s %s \"$@\"\n", python, bridge), 0o755)
	ca := write("ca.pem", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE",
		Bytes: server.Certificate().Raw})), 0o600)
	u, err := url.Parse(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	return shells, append(os.Environ(), "PATH="+dir+":"+os.Getenv("PATH"),
		"WSMAN_URL=https://example.com/PowerShell/?serializationLevel=Full", "WSMAN_CONNECT_TO="+u.Host, "WSMAN_CA="+ca,
		"WSMAN_USER="+account, "WSMAN_PASSWORD_FILE="+write("password", password, 0o600))
}

// powershell runs a script in Microsoft's PowerShell and returns its lines.
func powershell(t *testing.T, environment []string, script string) []string {
	t.Helper()
	pwsh, err := filepath.Abs(peer.Shared(t, "tools", "pwsh", "run"))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 4*time.Minute)
	defer cancel()
	c := exec.CommandContext(ctx, pwsh, "-NoProfile", "-Command", script)
	c.Env = environment
	out, err := c.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return strings.Split(strings.TrimSpace(string(out)), "\n")
}

// TestPowerShellClient: Microsoft's client opens sessions at the lab, imports them, runs jobs,
// pipes objects both ways, and stops what runs.
func TestPowerShellClient(t *testing.T) {
	o := contoso(t)
	shells, environment := sessions(t, o)
	slow, stopped := make(chan struct{}), make(chan struct{})
	o.Handle("Test-FederationTrust", func(ctx context.Context, _ organization.Call) ([]exchange.Object, error) {
		close(slow)
		<-ctx.Done()
		close(stopped)
		return nil, ctx.Err()
	})
	const script = `$s = New-PSSession -HostName lab
"availability: " + $s.Availability
$m = Import-PSSession $s -AllowClobber -DisableNameChecking
"imported: " + $m.ExportedFunctions.ContainsKey('Set-RemoteDomain')
"proxy: " + (Get-Command Get-Mailbox).Parameters['ResultSize'].Name
"called: " + (Get-AcceptedDomain contoso.com).DomainName
"a number: $((Get-AcceptedDomain).DomainType) " + (Get-AcceptedDomain).DomainType.Value
"flags: $((Get-ReceiveConnector 'Default Frontend EX1').AuthMechanism)"
Get-RemoteDomain | Set-RemoteDomain -AutoForwardEnabled $false
"piped back: " + (Get-RemoteDomain).AutoForwardEnabled
"a name piped: " + ('Default' | Get-RemoteDomain).DomainName
"three piped: " + @('user01', 'user02', 'user03' | Get-Mailbox).Count
New-RemoteDomain -Name a -DomainName a.example | Out-Null
Get-RemoteDomain a | Remove-RemoteDomain -Confirm:$false
"removed: " + @(Get-RemoteDomain).Count
$e = @(Get-Mailbox nobody 2>&1)
"error: " + $e[0].CategoryInfo.Category + " '" + $e[0].CategoryInfo.TargetName + "'"
"silent: " + @(Get-Mailbox nobody -ErrorAction SilentlyContinue 2>&1).Count
try { Get-Mailbox nobody -ErrorAction Stop } catch { "caught: " + ($_.FullyQualifiedErrorId -split ',')[-1] }
"bound: " + (Get-Mailbox -NoSuch 1 2>&1).FullyQualifiedErrorId
"selected: " + ((Invoke-Command $s { Get-Mailbox | Select-Object -First 2 Name, Alias } | ForEach-Object Alias) -join ',')
"measured: " + (Invoke-Command $s { Get-Mailbox | Measure-Object }).Count
"help: " + (Invoke-Command $s { Get-Help Get-Mailbox }).Name
$c = Get-ExchangeCertificate
"a certificate: " + $c.GetType().Name + " " + ($c.NotAfter -gt [datetime]::UtcNow) + " " + $c.Subject
$e = Invoke-Command $s { Get-NoSuchThing } 2>&1
"no cmdlet: " + $e.CategoryInfo.Category + " " + $e.CategoryInfo.TargetName + " '" + $e.CategoryInfo.Activity + "'"
"ambiguous: " + (Invoke-Command $s { Set-Mailbox user* -DisplayName x } 2>&1).CategoryInfo.Reason
$j = Invoke-Command $s { Get-Mailbox -ResultSize Unlimited } -AsJob
"a job: " + (Wait-Job $j).State + " " + @(Receive-Job $j).Count
$j = Get-Mailbox -AsJob
"a proxy's job: " + @(Wait-Job $j | Receive-Job).Count
$j = Invoke-Command $s { Test-FederationTrust } -AsJob
Start-Sleep -Milliseconds 1500
$w = [Diagnostics.Stopwatch]::StartNew(); Stop-Job $j; "stopped: " + $j.State + " " + ($w.ElapsedMilliseconds -lt 5000)
"afterwards: " + @(Invoke-Command $s { Get-AcceptedDomain }).Count
"reset: " + $(try { $s.Runspace.ResetRunspaceState(); 'yes' } catch { $_.Exception.InnerException.GetType().Name })
Remove-PSSession $s
"state: " + $s.State`
	want := []string{
		"availability: Available", "imported: True", "proxy: ResultSize", "called: contoso.com",
		"a number: 0 Authoritative", "flags: 31",
		"piped back: False", "a name piped: *", "three piped: 3", "removed: 1",
		"error: NotSpecified ''", "silent: 0",
		"caught: Microsoft.Exchange.Management.RecipientTasks.GetMailbox", "bound: NamedParameterNotFound,Get-Mailbox",
		"selected: user00,user01", "measured: 40", "help: Get-Mailbox",
		"a certificate: X509Certificate2 True CN=ex1.contoso.com", "no cmdlet: ObjectNotFound Get-NoSuchThing ''",
		"ambiguous: ManagementObjectAmbiguousException", "a job: Completed 40", "a proxy's job: 40",
		"stopped: Stopped True", "afterwards: 1", "reset: yes", "state: Closed",
	}
	if d := cmp.Diff(want, powershell(t, environment, script)); d != "" {
		t.Errorf("what PowerShell printed (-want +got):\n%s", d)
	}
	select {
	case <-slow:
		<-stopped
	default:
		t.Error("the cmdlet to be stopped never ran")
	}
	if n := shells.Full.Shells(); n != 0 {
		t.Errorf("%d shells are left", n)
	}
}

// TestNineteenSessions: the nineteenth session of a user is refused in the words of Exchange, and
// there is room again when one has ended.
func TestNineteenSessions(t *testing.T) {
	shells, environment := sessions(t, contoso(t))
	const script = `$all = 1..18 | ForEach-Object { New-PSSession -HostName lab }
"open: " + $all.Count
$one = New-PSSession -HostName lab -ErrorAction SilentlyContinue -ErrorVariable e
"the nineteenth: " + ($null -eq $one) + " " + ("$e" -match 'maximum number of (18 )?concurrent shells|allowed a maximum number')
Remove-PSSession $all[0]
$one = New-PSSession -HostName lab
"after one has ended: " + $one.State
Remove-PSSession (@($one) + $all[1..17])`
	want := []string{"open: 18", "the nineteenth: True True", "after one has ended: Opened"}
	if d := cmp.Diff(want, powershell(t, environment, script)); d != "" {
		t.Errorf("what PowerShell printed (-want +got):\n%s", d)
	}
	if n := shells.Full.Shells(); n != 0 {
		t.Errorf("%d shells are left", n)
	}
}
