package pwsh_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hybridge-cli/hybridge/pkg/config/secret"
	"github.com/hybridge-cli/hybridge/pkg/estate/exchange"
	"github.com/hybridge-cli/hybridge/pkg/lab/organization"
	"github.com/hybridge-cli/hybridge/pkg/wire/psrp"
)

// localShell is a PowerShell for NewLocal: its New-PSSession opens a session with the server of
// sessions, and its Add-PSSnapin brings Get-Thing.
func localShell(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	write := func(name, text string) {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	write("session.ps1", `function global:New-PSSession {
    [CmdletBinding()]
    param([string] $ConfigurationName, [string] $ConnectionUri, [string] $Authentication, [pscredential] $Credential)
    if ($Credential.GetNetworkCredential().Password -cne 'häsh 😀') {
        Write-Error -Message 'Access is denied.' -ErrorId 'AccessDenied,PSSessionOpenFailed' -ErrorAction Stop
    }
    Microsoft.PowerShell.Core\New-PSSession -HostName lab
}
function global:Add-PSSnapin {
    param($Name)
    $global:SnapIn = $Name
    function global:Get-Thing { [CmdletBinding()] param($Identity) "$global:SnapIn $Identity" }
}
`)
	write("session.pssc", fmt.Sprintf("@{ SchemaVersion = '2.0.0.0'; GUID = '%s'; SessionType = 'Default'; "+
		"LanguageMode = 'FullLanguage'; ScriptsToProcess = '%s/session.ps1' }\n", "6f4f1c9a-58a5-4bb2-9c08-7b9c7d3d2f10", dir))
	write("powershell", fmt.Sprintf("#!/bin/sh\nexec %s -ConfigurationFile %s/session.pssc \"$@\"\n", program(t)[0], dir))
	return filepath.Join(dir, "powershell")
}

// TestLocalSession: a session of Microsoft's PowerShell with the lab, run in a process of hybridge's,
// is what hybridge's own session with the lab is: objects, errors with all their parts, rights, a
// stop. It leaves nothing at the server.
func TestLocalSession(t *testing.T) {
	o := contoso(t)
	shells, environment := sessions(t, o)
	stopped := make(chan struct{})
	o.Handle("Test-FederationTrust", func(ctx context.Context, _ organization.Call) ([]exchange.Object, error) {
		<-ctx.Done()
		close(stopped)
		return nil, ctx.Err()
	})
	var warnings []string
	open := func(password string) *exchange.Remote {
		return exchange.NewLocal(exchange.LocalOptions{Programs: []string{localShell(t)}, Environment: environment,
			Name: "contoso", Timeout: time.Minute, Warn: func(cmdlet, text string) { warnings = append(warnings, cmdlet+" "+text) },
			Server: &exchange.LocalServer{URL: "http://ex1.contoso.com/PowerShell/", Authentication: "Kerberos",
				Credential: &exchange.Credential{User: account, Password: secret.NewValue(password)}}})
	}
	refused := open("wrong")
	if _, err := refused.Run(t.Context(), exchange.Command{Name: "Get-AcceptedDomain"}); err == nil ||
		!strings.Contains(err.Error(), "the session with http://ex1.contoso.com/PowerShell/ does not open: Access is denied.") {
		t.Errorf("a refused sign-in: %v", err)
	}
	if err := refused.Close(t.Context()); err != nil {
		t.Error(err)
	}

	local, own := open("häsh 😀"), ownSession(t, shells)
	defer own.Close(context.Background())
	for _, c := range []exchange.Command{
		{Name: "Get-Mailbox"}, {Name: "Get-AcceptedDomain"}, {Name: "Get-ReceiveConnector"}, {Name: "Get-ExchangeCertificate"},
		{Name: "Get-Mailbox", Parameters: map[string]any{"Identity": "user01"}},
		{Name: "Get-Mailbox", Parameters: map[string]any{"Identity": "nobody"}},
		{Name: "Get-Mailbox", Parameters: map[string]any{"NoSuch": true}},
		{Name: "Get-NoSuchThing"},
		{Name: "New-RemoteDomain", Parameters: map[string]any{"Name": "ä' $(x)", "DomainName": "a b"}},
		{Name: "Set-Mailbox", Parameters: map[string]any{"Identity": "user02",
			"EmailAddresses": exchange.ListChange{Add: []string{"two@contoso.com"}}}},
		{Name: "Set-Mailbox", Parameters: map[string]any{"Identity": "user*", "DisplayName": "x"}},
	} {
		want, wantErr := own.Run(t.Context(), c)
		if list, ok := c.Parameters["EmailAddresses"].(exchange.ListChange); ok {
			list.Add = []string{"three@contoso.com"}
			c.Parameters["EmailAddresses"] = list
		}
		got, err := local.Run(t.Context(), c)
		if c.Name == "Get-ExchangeCertificate" { // PowerShell makes a certificate of what it gets
			for i := range got {
				got[i].Types = want[i].Types
			}
		}
		if d := cmp.Diff(fmt.Sprintf("%+v", want), fmt.Sprintf("%+v", got)); d != "" {
			t.Errorf("%s (-own +local):\n%s", c, d)
		}
		if d := cmp.Diff(record(wantErr), record(err)); d != "" {
			t.Errorf("%s: error (-own +local):\n%s", c, d)
		}
	}
	want, _ := own.Allowed(t.Context(), "Get-Mailbox", "Get-NoSuchThing")
	got, err := local.Allowed(t.Context(), "Get-Mailbox", "Get-NoSuchThing")
	if err != nil || len(got) != 1 || len(got["Get-Mailbox"].Parameters) != len(want["Get-Mailbox"].Parameters) {
		t.Errorf("allowed: %v, %v", got, err)
	}
	soon, cancel := context.WithTimeout(t.Context(), 2*time.Second)
	defer cancel()
	began := time.Now()
	if _, err := local.Run(soon, exchange.Command{Name: "Test-FederationTrust"}); !errors.Is(err, context.DeadlineExceeded) ||
		time.Since(began) > 10*time.Second {
		t.Errorf("a stop after %s: %v", time.Since(began), err)
	}
	select {
	case <-stopped:
	case <-time.After(10 * time.Second):
		t.Error("the cmdlet runs on at the server")
	}
	if _, err := local.Run(t.Context(), exchange.Command{Name: "Get-AcceptedDomain"}); err != nil {
		t.Errorf("after a stop: %v", err)
	}
	if err := local.Close(t.Context()); err != nil {
		t.Error(err)
	}
	_ = own.Close(t.Context())
	for deadline := time.Now().Add(5 * time.Second); shells.Full.Shells() > 0 && time.Now().Before(deadline); {
		time.Sleep(20 * time.Millisecond)
	}
	if n := shells.Full.Shells(); n != 0 {
		t.Errorf("%d shells are left", n)
	}
}

// ownSession is hybridge's own session with the server of sessions.
func ownSession(t *testing.T, shells *organization.Shells) *exchange.Remote {
	t.Helper()
	server := httptest.NewTLSServer(shells)
	t.Cleanup(server.Close)
	roots := x509.NewCertPool()
	roots.AddCert(server.Certificate())
	s, err := exchange.NewRemote(exchange.RemoteOptions{Name: "contoso", Timeout: time.Minute, PSRP: psrp.Options{
		URL: server.URL + "/PowerShell/?serializationLevel=Full", User: account, Password: secret.NewValue(password),
		TLS: &tls.Config{RootCAs: roots}}})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// record is an error with all its parts, without what differs from run to run, and without the
// namespace of the exception, which is lost behind the second session.
func record(err error) string {
	var e *exchange.Error
	if !errors.As(err, &e) {
		return fmt.Sprint(err)
	}
	id, exception := e.FullyQualifiedID, e.ExceptionType[strings.LastIndexByte(e.ExceptionType, '.')+1:]
	return fmt.Sprintf("%s|%s|%s|%s|%s|%s", e.Cmdlet, e.Category, id[strings.LastIndex(id, "]")+1:], exception, e.Message,
		e.Target)
}

// TestSnapIn: with the snap-in, cmdlets run in the process itself.
func TestSnapIn(t *testing.T) {
	s := exchange.NewLocal(exchange.LocalOptions{Programs: []string{localShell(t)}, Environment: os.Environ(), Name: "contoso",
		Timeout: time.Minute, SnapIn: true})
	defer s.Close(context.Background())
	out, err := s.Run(t.Context(), exchange.Command{Name: "Get-Thing", Parameters: map[string]any{"Identity": "a"}})
	if err != nil || len(out) != 1 || out[0].Text != "Microsoft.Exchange.Management.PowerShell.SnapIn a" {
		t.Errorf("got %v, %v", out, err)
	}
	allowed, err := s.Allowed(t.Context(), "Get-Thing", "Get-NoSuchThing")
	if err != nil || len(allowed) != 1 || !strings.Contains(fmt.Sprint(allowed["Get-Thing"].Parameters), "Identity") {
		t.Errorf("allowed: %v, %v", allowed, err)
	}
}
