package exchange

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hybridge-cli/hybridge/pkg/config/secret"
	"github.com/hybridge-cli/hybridge/pkg/wire/link"
	"github.com/hybridge-cli/hybridge/pkg/wire/psrp"
)

// onLocal leads a session to a fake pool, and returns the programs that it starts.
func (f *fakeServer) onLocal(o LocalOptions) (*Remote, *[]string) {
	var started []string
	r := NewLocal(o)
	r.o.open = func(_ context.Context, p psrp.Options) (pool, error) {
		f.opened++
		started = append(started, strings.Join(p.Program, " "))
		return &fakePool{mu: &f.mu, opened: &f.opened, closed: &f.closed, sent: &f.sent, answers: &f.answers}, nil
	}
	return r, &started
}

func tokenOf(claims string) string {
	return "x." + base64.RawURLEncoding.EncodeToString([]byte(claims)) + ".y"
}

// The module connects before the first cmdlet and again for a new token; the token is never a plain
// value. Its errors have the meaning of the admin API's.
func TestModuleConnects(t *testing.T) {
	notFound := &psrp.ErrorRecord{Reason: "ManagementObjectNotFoundException", ID: "[Server=X],Write-ErrorMessage",
		Message: "Ex6F9304|Microsoft.Exchange.Configuration.Tasks.ManagementObjectNotFoundException|it isn't there"}
	f := &fakeServer{answers: []func() (psrp.Output, error){gives(), gives(), fails(notFound), gives(), gives(), gives()}}
	token := tokenOf(`{"tid":"t","idtyp":"app","upn":"x"}`)
	r, started := f.onLocal(LocalOptions{Programs: []string{"pwsh"}, Name: "Exchange Online", Module: &LocalModule{
		Organization: "contoso.onmicrosoft.com", Environment: "O365China",
		Token: func(context.Context) (string, error) { return token, nil }}})
	if _, err := r.Run(t.Context(), Command{"Set-InboundConnector", map[string]any{"Identity": "x"}}); err != nil {
		t.Fatal(err)
	}
	_, err := r.Run(t.Context(), Command{"Get-Mailbox", map[string]any{"Identity": "x"}})
	var e *Error
	if !errors.As(err, &e) || !errors.Is(err, ErrNotFound) || e.Message != "it isn't there" || e.FullyQualifiedID != "Ex6F9304" {
		t.Errorf("not found: %#v", e)
	}
	token = tokenOf(`{"tid":"t","upn":"anna@contoso.com"}`)
	if _, err := r.Run(t.Context(), Command{"Get-Mailbox", nil}); err != nil {
		t.Fatal(err)
	}
	if err := r.Close(t.Context()); err != nil {
		t.Error(err)
	}
	var sent []string
	for _, c := range f.sent {
		line := c.Name
		if c.Script {
			line, _, _ = strings.Cut(c.Name, "\n")
		}
		for _, p := range c.Parameters {
			if v, ok := p.Value.(secret.Value); ok {
				line += " -" + p.Name + " secret " + v.Reveal()[:1]
			} else {
				line += " -" + p.Name + " " + psrp.Text(p.Value)
			}
		}
		sent = append(sent, line)
	}
	connect := "# Connects Microsoft's module with an access token, again when there is a new one. -Token secret x " +
		"-Organization contoso.onmicrosoft.com -User  -Environment O365China"
	want := []string{connect, "Set-InboundConnector -Identity x -Confirm False -ErrorAction Stop",
		"Get-Mailbox -Identity x -ErrorAction Stop", strings.Replace(connect, "-User ", "-User anna@contoso.com", 1),
		"Get-Mailbox -ErrorAction Stop", "# Exchange counts the sessions of an account, and the module leaves files behind."}
	if diff := cmp.Diff(want, sent); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"pwsh -s -NoLogo -NoProfile"}, *started); diff != "" {
		t.Error(diff)
	}
}

// Where the first PowerShell lacks the module, the second is asked. What keeps the process from
// getting the cmdlets is no cmdlet's error, and has its class.
func TestLocalEntry(t *testing.T) {
	record := func(id, text string) func() (psrp.Output, error) {
		return fails(&psrp.ErrorRecord{ID: id, Message: text})
	}
	module := &LocalModule{Token: func(context.Context) (string, error) { return "x", nil }}
	server := &LocalServer{URL: "http://ex1.contoso.com/PowerShell/", Authentication: "Kerberos"}
	missing := record("Modules_ModuleWithVersionNotFound,Microsoft.PowerShell.Commands.ImportModuleCommand", "no valid module file")
	for name, tt := range map[string]struct {
		options LocalOptions
		answers []func() (psrp.Output, error)
		class   error
		says    string
		started int
	}{
		"no module": {LocalOptions{Programs: []string{"pwsh", "powershell.exe"}, Module: module},
			[]func() (psrp.Output, error){missing}, link.ErrUnreachable, "powershell.exe has no module ExchangeOnlineManagement", 2},
		"module in the second": {LocalOptions{Programs: []string{"pwsh", "powershell.exe"}, Module: module},
			[]func() (psrp.Output, error){missing, gives()}, nil, "", 2},
		"module refused": {LocalOptions{Programs: []string{"pwsh"}, Module: module},
			[]func() (psrp.Output, error){record("x", "UnAuthorized")}, link.ErrAccess, "does not connect: UnAuthorized", 1},
		"session refused": {LocalOptions{Programs: []string{"powershell.exe"}, Server: server},
			[]func() (psrp.Output, error){record("AccessDenied,PSSessionOpenFailed", "Access is denied.")}, link.ErrAccess,
			"the session with http://ex1.contoso.com/PowerShell/ does not open", 1},
		"session not reached": {LocalOptions{Programs: []string{"powershell.exe"}, Server: server},
			[]func() (psrp.Output, error){record("CannotConnect,PSSessionOpenFailed", "WinRM cannot complete")},
			link.ErrUnreachable, "WinRM cannot complete", 1},
		"too many sessions": {LocalOptions{Programs: []string{"powershell.exe"}, Server: server},
			[]func() (psrp.Output, error){record("x", "exceeded the maximum number of connections allowed: 18")}, ErrThrottled, "", 1},
		"no snap-in": {LocalOptions{Programs: []string{"powershell.exe"}, SnapIn: true},
			[]func() (psrp.Output, error){record("CommandNotFoundException", "Add-PSSnapin")}, link.ErrUnreachable,
			"the snap-in of Exchange is not here", 1},
	} {
		t.Run(name, func(t *testing.T) {
			f := &fakeServer{answers: tt.answers}
			tt.options.Name = "contoso"
			r, started := f.onLocal(tt.options)
			_, err := r.Run(t.Context(), Command{"Get-AcceptedDomain", nil})
			var e *Error
			switch {
			case tt.class == nil && err != nil, tt.class != nil && !errors.Is(err, tt.class):
				t.Errorf("got %v", err)
			case errors.As(err, &e):
				t.Errorf("a cmdlet's error: %v", err)
			case err != nil && (!strings.Contains(err.Error(), tt.says) || f.closed != f.opened):
				t.Errorf("%d opened, %d closed: %v", f.opened, f.closed, err)
			}
			if len(*started) != tt.started {
				t.Errorf("started: %q", *started)
			}
		})
	}
}

// A session behind the process that is lost is opened again for a read.
func TestSessionBehindTheProcessIsLost(t *testing.T) {
	gone := fails(&psrp.ErrorRecord{Message: "the WinRM client cannot go on",
		Exception: []string{"System.Management.Automation.Remoting.PSRemotingTransportException"}})
	f := &fakeServer{answers: []func() (psrp.Output, error){gives(), gives(), gone, gives(), gives(), gone}}
	r, _ := f.onLocal(LocalOptions{Programs: []string{"pwsh"}, Name: "contoso", Server: &LocalServer{URL: "http://ex1/PowerShell/"}})
	for range 2 {
		if _, err := r.Run(t.Context(), Command{"Get-AcceptedDomain", nil}); err != nil {
			t.Fatal(err)
		}
	}
	if f.opened != 2 {
		t.Errorf("%d processes", f.opened)
	}
	_, err := r.Run(t.Context(), Command{"Set-AcceptedDomain", map[string]any{"Identity": "x"}})
	if err == nil || !strings.Contains(err.Error(), "whether Set-AcceptedDomain took effect is not known") {
		t.Errorf("a write: %v", err)
	}
}

// An error that did not end the script that connects is an error all the same: without the cmdlets
// nothing else is sent.
func TestErrorBesideTheEntry(t *testing.T) {
	f := &fakeServer{answers: []func() (psrp.Output, error){func() (psrp.Output, error) {
		return psrp.Output{Errors: []*psrp.ErrorRecord{{Message: "UnAuthorized"}}}, nil
	}, gives()}}
	r, _ := f.onLocal(LocalOptions{Programs: []string{"pwsh"}, Module: &LocalModule{
		Token: func(context.Context) (string, error) { return "x", nil }}})
	if _, err := r.Run(t.Context(), Command{"Get-AcceptedDomain", nil}); !errors.Is(err, link.ErrAccess) {
		t.Error(err)
	}
	if len(f.sent) != 1 {
		t.Errorf("sent %+v", f.sent)
	}
}

// Where the first program is not there, the second is started.
func TestSecondProgram(t *testing.T) {
	f := &fakeServer{answers: []func() (psrp.Output, error){gives(), gives()}}
	r, started := f.onLocal(LocalOptions{Programs: []string{"pwsh", "powershell.exe"}, Module: &LocalModule{
		Token: func(context.Context) (string, error) { return "x", nil }}})
	open := r.o.open
	r.o.open = func(ctx context.Context, o psrp.Options) (pool, error) {
		if o.Program[0] == "pwsh" {
			return nil, fmt.Errorf("start: %w", psrp.ErrNoProgram)
		}
		return open(ctx, o)
	}
	if _, err := r.Run(t.Context(), Command{"Get-AcceptedDomain", nil}); err != nil || len(*started) != 1 {
		t.Errorf("%v, started %q", err, *started)
	}
}

// endless answers nothing.
type endless struct{ pool }

func (endless) Invoke(ctx context.Context, _ psrp.Pipeline) (psrp.Output, error) {
	<-ctx.Done()
	return psrp.Output{}, ctx.Err()
}

// What a session does before its process ends is limited.
func TestLeavingIsLimited(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begun := time.Now()
		(&local{LocalOptions: LocalOptions{Server: &LocalServer{}}}).leave(t.Context(), endless{})
		if took := time.Since(begun); took > leaveTime {
			t.Errorf("took %s", took)
		}
	})
}
