package exchange

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/hybridge-cli/hybridge/pkg/config/secret"
	"github.com/hybridge-cli/hybridge/pkg/wire/link"
	"github.com/hybridge-cli/hybridge/pkg/wire/psrp"
)

// LocalOptions say how a PowerShell on this computer runs the cmdlets of an Exchange organization.
// One of Server, SnapIn and Module says where the process has the cmdlets from.
type LocalOptions struct {
	// Programs are the PowerShells to start: "pwsh". The second is tried where the first is not there
	// or lacks the module.
	Programs []string
	// Environment of the process.
	Environment []string
	// Server has the process open a remote PowerShell session of its own.
	Server *LocalServer
	// SnapIn has the process load Exchange's snap-in, which Microsoft does not support: the roles of
	// the account do not limit the cmdlets.
	SnapIn bool
	// Module has the process connect with Microsoft's module for Exchange Online.
	Module *LocalModule
	// Name is put before errors.
	Name string
	// Timeout limits one cmdlet, the start of the process included; 5 minutes when 0.
	Timeout time.Duration
	// Warn receives the warnings of cmdlets; may be nil.
	Warn func(cmdlet, text string)
	Log  *slog.Logger // may be nil
}

// LocalServer is the Exchange server that a local PowerShell opens a session with.
type LocalServer struct {
	URL            string
	Authentication string      // as New-PSSession names it
	Credential     *Credential // the account of the process when nil
}

// LocalModule is how Microsoft's module connects.
type LocalModule struct {
	Organization string // the tenant's initial domain
	Environment  string // as Connect-ExchangeOnline names the cloud; empty: its default
	// Token returns an access token. It is called before every cmdlet and should cache.
	Token func(ctx context.Context) (string, error)
}

// The scripts that a local PowerShell runs.
var (
	//go:embed local/session.ps1
	sessionScript string
	//go:embed local/invoke.ps1
	invokeScript string
	//go:embed local/snapin.ps1
	snapInScript string
	//go:embed local/module.ps1
	moduleScript string
	//go:embed local/allowed.ps1
	allowedScript string
	//go:embed local/leave.ps1
	leaveScript string
)

// leaveTime limits what a session does before its process ends.
const leaveTime = 3 * time.Second

// NewLocal prepares a session with a PowerShell on this computer; nothing is started yet. The
// process stays from cmdlet to cmdlet, and belongs to this session alone.
func NewLocal(o LocalOptions) *Remote {
	side := OnPremises
	if o.Module != nil {
		side = Online
	}
	r := newSession(RemoteOptions{
		Name: o.Name, Timeout: o.Timeout, Warn: o.Warn,
		PSRP: psrp.Options{Environment: o.Environment, Log: o.Log},
	})
	r.side, r.local = side, &local{LocalOptions: o}
	r.program()
	return r
}

// program names the first of the programs as the one to start.
func (r *Remote) program() {
	r.o.PSRP.Program = []string{r.local.Programs[0], "-s", "-NoLogo", "-NoProfile"}
}

// another turns to the next program, where the first does not have what is needed.
func (r *Remote) another(err error) bool {
	if r.local == nil || len(r.local.Programs) < 2 ||
		!errors.Is(err, errLacking) && !errors.Is(err, psrp.ErrNoProgram) {
		return false
	}
	r.local.Programs = r.local.Programs[1:]
	r.program()
	return true
}

// errLacking says that a PowerShell has no module for Exchange Online.
var errLacking = errors.New("no module")

// local is what a session over a local PowerShell does besides the cmdlets.
type local struct {
	LocalOptions
	token string // that the module is connected with
}

func scripted(text string, parameters ...psrp.Parameter) psrp.Command {
	return psrp.Command{Name: text, Script: true, Parameters: parameters}
}

// enter gets the cmdlets into the process. It is called before every cmdlet; the module connects
// again when there is a new token.
func (l *local) enter(ctx context.Context, p pool, fresh bool) ([]string, error) {
	var c psrp.Command
	switch {
	case l.Module != nil:
		token, err := l.Module.Token(ctx)
		if err != nil {
			return nil, fmt.Errorf("get an access token: %w", err)
		}
		if !fresh && token == l.token {
			return nil, nil
		}
		_, user := claimed(token)
		c = scripted(moduleScript, psrp.Parameter{Name: "Token", Value: secret.NewValue(token)},
			psrp.Parameter{Name: "Organization", Value: l.Module.Organization},
			psrp.Parameter{Name: "User", Value: user},
			psrp.Parameter{Name: "Environment", Value: l.Module.Environment})
		l.token = token
	case !fresh:
		return nil, nil
	case l.SnapIn:
		c = scripted(snapInScript)
	default:
		c = scripted(sessionScript, psrp.Parameter{Name: "Uri", Value: l.Server.URL},
			psrp.Parameter{Name: "Authentication", Value: l.Server.Authentication})
		if account := l.Server.Credential; account != nil {
			c.Parameters = append(c.Parameters, psrp.Parameter{Name: "Credential",
				Value: psrp.Credential{User: account.User, Password: account.Password}})
		}
	}
	out, err := p.Invoke(ctx, psrp.Pipeline{Commands: []psrp.Command{c}})
	if err == nil && len(out.Errors) > 0 {
		err = out.Errors[0]
	}
	var record *psrp.ErrorRecord
	if errors.As(err, &record) {
		err = l.refused(record)
	}
	return out.Warnings, err
}

// entryError is what kept the process from getting the cmdlets. It is no cmdlet's error: the session
// is not open.
type entryError struct {
	text   string
	class  error
	lacks  bool // the module
	record *psrp.ErrorRecord
}

func (e *entryError) Error() string { return e.text }

func (e *entryError) Is(target error) bool {
	return target == e.class || e.lacks && target == errLacking || e.record.Is(target)
}

func (l *local) refused(record *psrp.ErrorRecord) error {
	e := &entryError{class: link.ErrUnreachable, record: record}
	said := record.Error()
	names := func(words ...string) bool {
		return slices.ContainsFunc(words, func(w string) bool {
			return strings.Contains(strings.ToLower(record.ID+" "+said), strings.ToLower(w))
		})
	}
	switch {
	case l.Module != nil && names("Modules_Module", "FileNotFoundException"): // not found, or of no such version
		e.lacks = true
		e.text = l.Programs[0] + " has no module ExchangeOnlineManagement of version 3.1 or later: install it with " +
			"Install-Module ExchangeOnlineManagement (" + said + ")"
	case l.Module != nil:
		e.text = "the module ExchangeOnlineManagement does not connect: " + said
		if names("unauthorized", "AADSTS", "401", "403", "access denied") {
			e.class = link.ErrAccess
		}
	case l.SnapIn:
		e.text = "the snap-in of Exchange is not here: it needs Windows PowerShell and Exchange's management tools (" +
			said + ")"
	default:
		e.text = "the session with " + l.Server.URL + " does not open: " + said
		if names("AccessDenied,", "LogonFailure,", "access is denied", "user name or password is incorrect") {
			e.class = link.ErrAccess
		}
	}
	return e
}

// line is how a cmdlet is run: in the process's own session, or in the process.
func (l *local) line(c psrp.Command) psrp.Command {
	if l.Server == nil {
		return c
	}
	given := make(map[string]any, len(c.Parameters))
	for _, p := range c.Parameters {
		given[p.Name] = p.Value
	}
	return scripted(invokeScript, psrp.Parameter{Name: "Name", Value: c.Name},
		psrp.Parameter{Name: "Parameters", Value: given})
}

// lost recognizes that the process lives, and that the session behind it does not.
func (l *local) lost(err error) error {
	var record *psrp.ErrorRecord
	if l.Server == nil || !errors.As(err, &record) {
		return err
	}
	for _, kind := range record.Exception {
		switch kind[strings.LastIndexByte(kind, '.')+1:] {
		case "PSRemotingTransportException", "InvalidRunspaceStateException", "InvalidRunspacePoolStateException":
			return fmt.Errorf("%w: %s", psrp.ErrShellGone, record.Error())
		}
	}
	return err
}

// leave ends the session behind the process.
func (l *local) leave(ctx context.Context, p pool) {
	if l.SnapIn {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, leaveTime)
	defer cancel()
	// The end of the process frees what is left here, and a time limit what is left at the server.
	_, _ = p.Invoke(ctx, psrp.Pipeline{Commands: []psrp.Command{scripted(leaveScript)}})
}
