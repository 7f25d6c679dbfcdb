package deployment

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"

	"github.com/hybridge-cli/hybridge/pkg/config/answers"
	"github.com/hybridge-cli/hybridge/pkg/estate/exchange"
	"github.com/hybridge-cli/hybridge/pkg/wire/link"
)

// environment is what a local PowerShell gets of this process's environment: no variable that a
// reference to a secret names, and none whose name says that it holds one.
func environment(a answers.Answers) []string {
	hidden := a.Variables()
	return slices.DeleteFunc(os.Environ(), func(variable string) bool {
		name, _, _ := strings.Cut(variable, "=")
		upper := strings.ToUpper(name)
		return slices.ContainsFunc(hidden, func(h string) bool { return strings.EqualFold(h, name) }) ||
			strings.HasSuffix(upper, "PASS") || strings.HasSuffix(upper, "_PWD") ||
			slices.ContainsFunc([]string{"SECRET", "TOKEN", "PASSWORD", "PASSWD", "PASSPHRASE", "APIKEY", "API_KEY",
				"ACCESS_KEY", "PRIVATE_KEY", "CREDENTIAL"},
				func(word string) bool { return strings.Contains(upper, word) })
	})
}

// local are the options that every local PowerShell has. The answers file names no program: it may
// come from others. The programs are looked for in PATH.
func (d *Deployment) local(name string, programs ...string) exchange.LocalOptions {
	return exchange.LocalOptions{
		Programs: programs, Environment: environment(d.answers), Name: name, Timeout: d.options.Timeout,
		Log:  d.options.Log,
		Warn: func(cmdlet, text string) { d.warn(name + ": " + cmdlet + ": " + text) },
	}
}

// openLocal prepares a session with a local PowerShell for a forest.
func (d *Deployment) openLocal(ctx context.Context, a answers.Forest) (exchange.Session, error) {
	program := "pwsh"
	if runtime.GOOS == "windows" {
		program = "powershell.exe" // WSMan and snap-ins are at their best there
	}
	o := d.local(a.Name, program)
	if a.Exchange.Via == answers.ViaSnapIn {
		d.warn(a.Name + ": the cmdlets run in this computer's PowerShell with the snap-in of Exchange (exchange.via: " +
			"snapIn). Microsoft does not support that, and the roles of the account do not limit them")
		o.SnapIn = true
		return exchange.NewLocal(o), nil
	}
	c, address := a.Exchange.Credential, remoteURL(a.Exchange)
	o.Server = &exchange.LocalServer{URL: address, Authentication: "Kerberos"}
	if c.Kind == answers.CredentialKerberos {
		return exchange.NewLocal(o), nil
	}
	password, err := d.secret(ctx, c.Password, "password of "+c.User)
	if err != nil {
		return nil, fmt.Errorf("%s: Exchange at %s: %w", a.Name, hostOf(address), err)
	}
	o.Server.Credential = &exchange.Credential{User: c.User, Password: password}
	if strings.HasPrefix(strings.ToLower(address), "https:") {
		o.Server.Authentication = "Basic"
	}
	return exchange.NewLocal(o), nil
}

// openEither prepares hybridge's own remote PowerShell, and a local PowerShell for when it does not
// work.
func (d *Deployment) openEither(ctx context.Context, a answers.Forest) (exchange.Session, error) {
	second, err := d.openLocal(ctx, a)
	if err != nil {
		return nil, err
	}
	say := func(err error) {
		d.warn(fmt.Sprintf("%s: hybridge's own remote PowerShell does not work (%v): the cmdlets run in a PowerShell "+
			"on this computer (exchange.via: auto)", a.Name, err))
	}
	first, err := d.openRemote(ctx, a)
	if err != nil {
		say(err)
		return second, nil
	}
	return &fallback{first: first, second: second, falls: remoteFails(a.Exchange.Credential), say: say}, nil
}

// openModule prepares a session with Microsoft's module for the tenant.
func (d *Deployment) openModule(t *tokens) exchange.Session {
	programs := []string{"pwsh"}
	if runtime.GOOS == "windows" {
		programs = append(programs, "powershell.exe")
	}
	cloud, _ := d.cloud.PowerShell()
	o := d.local("Exchange Online", programs...)
	o.Module = &exchange.LocalModule{Organization: d.answers.ExchangeOnline.Tenant, Environment: cloud,
		Token: t.source(d.cloud.ExchangeResource)}
	return exchange.NewLocal(o)
}

// fallback is a session that takes the second way when the first one does not work, and says so.
// The first answer decides for the rest of the session: a write is never sent twice.
type fallback struct {
	first, second exchange.Session
	falls         func(error) bool // of an error of the first way
	say           func(error)

	mu      sync.Mutex
	decided exchange.Session
}

func (f *fallback) Run(ctx context.Context, c exchange.Command) (out []exchange.Object, err error) {
	err = f.on(c.Reads(), func(s exchange.Session) error {
		out, err = s.Run(ctx, c)
		return err
	})
	return out, err
}

func (f *fallback) Allowed(ctx context.Context, cmdlets ...string) (out map[string]exchange.Allowance, err error) {
	err = f.on(true, func(s exchange.Session) error {
		out, err = s.Allowed(ctx, cmdlets...)
		return err
	})
	return out, err
}

// on asks the session that is decided on. Until then, guarded lets in one caller at a time.
func (f *fallback) on(again bool, ask func(exchange.Session) error) error {
	f.mu.Lock()
	s := f.decided
	f.mu.Unlock()
	if s != nil {
		return ask(s)
	}
	err := ask(f.first)
	var record *exchange.Error
	switch {
	case err == nil || errors.As(err, &record):
		f.decide(f.first)
	case again && f.falls(err):
		f.say(err)
		f.decide(f.second)
		return ask(f.second)
	}
	return err
}

func (f *fallback) decide(s exchange.Session) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.decided = s
}

func (f *fallback) Close(ctx context.Context) error {
	return errors.Join(f.first.Close(ctx), f.second.Close(ctx))
}

// remoteFails reports whether the local PowerShell may do better than hybridge's own client. A
// password that was refused is not tried twice.
func remoteFails(c answers.Credential) func(error) bool {
	return func(err error) bool {
		switch {
		case errors.Is(err, link.ErrUntrusted), errors.Is(err, exchange.ErrThrottled), timeIsOver(err):
			return false
		case errors.Is(err, link.ErrAccess):
			return c.Kind == answers.CredentialKerberos
		}
		return true
	}
}

// apiFails reports whether Microsoft's module may do better than the admin API: it goes to the same
// hosts with the same account.
func apiFails(err error) bool {
	return !errors.Is(err, link.ErrUntrusted) && !errors.Is(err, exchange.ErrThrottled) && !timeIsOver(err) &&
		!errors.Is(err, link.ErrAccess) && !errors.Is(err, link.ErrUnreachable)
}

func timeIsOver(err error) bool {
	return errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)
}
