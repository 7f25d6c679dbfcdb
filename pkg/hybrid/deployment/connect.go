package deployment

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/hybridge-cli/hybridge/pkg/config/answers"
	"github.com/hybridge-cli/hybridge/pkg/config/secret"
	"github.com/hybridge-cli/hybridge/pkg/engine/observe"
	"github.com/hybridge-cli/hybridge/pkg/estate/directory"
	"github.com/hybridge-cli/hybridge/pkg/estate/entra"
	"github.com/hybridge-cli/hybridge/pkg/estate/exchange"
	"github.com/hybridge-cli/hybridge/pkg/estate/workmail"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/fact"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/fact/once"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/snapshot"
	"github.com/hybridge-cli/hybridge/pkg/wire/dns"
	"github.com/hybridge-cli/hybridge/pkg/wire/kerberos"
	"github.com/hybridge-cli/hybridge/pkg/wire/link"
	"github.com/hybridge-cli/hybridge/pkg/wire/psrp"
)

// connection is opened on first use, and stays open from verb to verb. A failure is kept for the
// rest of the verb: a wrong password is tried once, and not once per request, because accounts get
// locked. renew forgets the failure.
type connection[T any] struct {
	open func(ctx context.Context) (T, error)

	mu    sync.Mutex
	value *once.Value[T]
	up    bool
	err   error // of the last attempt
}

func (c *connection[T]) get(ctx context.Context) (T, error) {
	c.mu.Lock()
	if c.value == nil {
		c.value = once.New(c.open)
	}
	value := c.value
	c.mu.Unlock()
	v, err := value.Get(ctx)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.value == value {
		c.up, c.err = c.up || err == nil, err
	}
	return v, err
}

// renew forgets a failure and returns it.
func (c *connection[T]) renew() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.up {
		return nil
	}
	return c.forget()
}

// drop forgets an open connection that is no longer usable.
func (c *connection[T]) drop() {
	c.mu.Lock()
	defer c.mu.Unlock()
	_ = c.forget()
}

func (c *connection[T]) forget() error {
	err := c.err
	c.value, c.up, c.err = nil, false, nil
	return err
}

// opened returns the open connection, if there is one.
func (c *connection[T]) opened() (T, bool) {
	c.mu.Lock()
	value, up := c.value, c.up
	c.mu.Unlock()
	if !up {
		var zero T
		return zero, false
	}
	v, err := value.Get(context.Background()) // already opened
	return v, err == nil
}

// guarded is a session whose first command decides. Until one is answered, commands run one at a
// time. When the session cannot be opened, it is not tried again before renew.
type guarded struct {
	exchange.Session
	place   string // as a person knows it
	turn    chan struct{}
	proven  bool
	refused error
}

func newGuarded(s exchange.Session, place string) *guarded {
	g := &guarded{Session: s, place: place, turn: make(chan struct{}, 1)}
	g.turn <- struct{}{}
	return g
}

func (g *guarded) Run(ctx context.Context, c exchange.Command) ([]exchange.Object, error) {
	defer link.Await(ctx, c.Name+" at "+g.place)()
	var out []exchange.Object
	err := g.first(ctx, func() (err error) {
		out, err = g.Session.Run(ctx, c)
		return err
	})
	return out, err
}

func (g *guarded) Allowed(ctx context.Context, cmdlets ...string) (map[string]exchange.Allowance, error) {
	defer link.Await(ctx, "the rights at "+g.place)()
	var out map[string]exchange.Allowance
	err := g.first(ctx, func() (err error) {
		out, err = g.Session.Allowed(ctx, cmdlets...)
		return err
	})
	return out, err
}

func (g *guarded) first(ctx context.Context, ask func() error) error {
	select {
	case <-g.turn:
	case <-ctx.Done():
		return ctx.Err()
	}
	if g.refused != nil {
		defer func() { g.turn <- struct{}{} }()
		return g.refused
	}
	if g.proven {
		g.turn <- struct{}{}
		return ask()
	}
	defer func() { g.turn <- struct{}{} }()
	err := ask()
	var record *exchange.Error
	switch {
	case err == nil || errors.As(err, &record):
		g.proven = true // the session is open, even if the cmdlet failed
	case errors.Is(err, link.ErrAccess) || errors.Is(err, link.ErrUntrusted) || errors.Is(err, link.ErrUnreachable):
		g.refused = err
	}
	return err
}

// spent returns the error that kept the session from opening, if any.
func (g *guarded) spent() error {
	<-g.turn
	defer func() { g.turn <- struct{}{} }()
	return g.refused
}

// tokens requests the tenant's tokens, one at a time, and none after a refusal: a person must not
// see one device code after another.
type tokens struct {
	identity *entra.Identity
	turn     chan struct{}
	proven   bool // a token came
	refused  error
}

func (t *tokens) source(resource string) func(ctx context.Context) (string, error) {
	return func(ctx context.Context) (string, error) {
		select {
		case <-t.turn:
			defer func() { t.turn <- struct{}{} }()
		case <-ctx.Done():
			return "", ctx.Err()
		}
		if t.refused != nil {
			return "", t.refused
		}
		token, err := t.identity.Token(ctx, resource)
		if err != nil && ctx.Err() == nil {
			t.refused = err
		}
		t.proven = t.proven || err == nil
		return token, err
	}
}

// tenant holds the connections of the tenant.
type tenant struct {
	tokens *connection[*tokens]
	graph  *connection[*entra.Client]
	online *connection[*guarded]
}

// forest holds the connections of a forest.
type forest struct {
	answers   answers.Forest
	directory *connection[*directory.Forest]
	exchange  *connection[*guarded]
}

// connect prepares every connection and opens none.
func (d *Deployment) connect() {
	// All lookups share one client: it remembers which resolver does not answer.
	d.names = &dns.Client{Resolvers: d.answers.Network.Resolvers, Log: d.options.Log}
	d.link = &connection[*link.Link]{open: func(ctx context.Context) (*link.Link, error) {
		if d.tape.Replays() {
			return nil, fmt.Errorf("network: %w", snapshot.ErrNotHeld) // and nothing is connected to
		}
		n := d.answers.Network
		o := link.Options{
			ConnectTo: n.ConnectTo, LookupHost: d.names.LookupHost, CAFile: d.path(n.CAFile), Proxy: n.Proxy,
			InsecureHosts: n.InsecureHosts, Timeout: d.options.Timeout, Log: d.options.Log,
		}
		if c := n.ProxyCredential; c != nil {
			password, err := d.secret(ctx, c.Password, "password of "+c.User+" at the proxy")
			if err != nil {
				return nil, fmt.Errorf("network: proxy: %w", err)
			}
			o.ProxyUser, o.ProxyPassword = c.User, password
		}
		l, err := link.New(o)
		if err != nil {
			return nil, fmt.Errorf("network: %w", err)
		}
		return l, nil
	}}
	d.tenant.tokens = &connection[*tokens]{open: d.openTokens}
	d.tenant.graph = &connection[*entra.Client]{open: d.openGraph}
	d.tenant.online = &connection[*guarded]{open: d.openOnline}
	d.workMail = &connection[*workmail.Client]{open: d.openWorkMail}
	for _, a := range d.answers.Forests {
		f := &forest{answers: a}
		f.directory = &connection[*directory.Forest]{open: func(ctx context.Context) (*directory.Forest,
			error) {
			return d.openDirectory(ctx, a)
		}}
		f.exchange = &connection[*guarded]{open: func(ctx context.Context) (*guarded,
			error) {
			return d.openExchange(ctx, a)
		}}
		d.forests = append(d.forests, f)
	}
}

// renew forgets the failures of the last verb: the person may have fixed the cause. After a refused
// sign-in, it asks for typed secrets again.
func (d *Deployment) renew() {
	d.forgetRefused()
	errs := []error{d.link.renew(), d.tenant.tokens.renew(), d.tenant.graph.renew(), renewSession(d.tenant.online),
		d.workMail.renew()}
	if t, ok := d.tenant.tokens.opened(); ok && t.refused != nil {
		errs = append(errs, t.refused)
		d.tenant.tokens.drop()
		d.tenant.graph.drop()
		d.tenant.online.drop()
	}
	for _, f := range d.forests {
		errs = append(errs, f.directory.renew(), renewSession(f.exchange))
	}
	if errors.Is(errors.Join(errs...), link.ErrAccess) {
		d.secretsMu.Lock()
		defer d.secretsMu.Unlock()
		for key := range d.secrets {
			if strings.HasPrefix(key, string(secret.Prompt)+"\x00") {
				delete(d.secrets, key)
			}
		}
	}
}

// forgetRefused forgets the person's sign-in that the tenant has refused: the next deployment asks
// again, and another person may sign in. A sign-in that worked outlives a network that is down.
func (d *Deployment) forgetRefused() {
	refused := false
	if t, ok := d.tenant.tokens.opened(); ok {
		select {
		case <-t.turn:
			refused = t.refused != nil && !(t.proven && errors.Is(t.refused, link.ErrUnreachable))
			t.turn <- struct{}{}
		default: // it is in use
		}
	}
	if g, ok := d.tenant.online.opened(); ok {
		select {
		case <-g.turn:
			refused = refused || errors.Is(g.refused, link.ErrAccess)
			g.turn <- struct{}{}
		default:
		}
	}
	if refused {
		d.options.SignIns.forget()
	}
}

func renewSession(c *connection[*guarded]) error {
	if g, ok := c.opened(); ok {
		err := g.spent()
		if err != nil {
			c.drop()
		}
		return err
	}
	return c.renew()
}

// path converts a path of the answers to one that is absolute or relative to the working directory.
func (d *Deployment) path(p string) string {
	p = strings.TrimPrefix(p, "file:")
	if p == "" || filepath.IsAbs(p) {
		return p
	}
	return filepath.Join(d.options.Dir, p)
}

// secret resolves a reference once per deployment: a person is asked once for a password that
// several connections need.
func (d *Deployment) secret(ctx context.Context, ref secret.Ref, label string) (secret.Value, error) {
	if ref == "" {
		return secret.Value{}, nil
	}
	if d.tape.Replays() { // its answers may be those of another person, and name any file
		return secret.Value{}, fmt.Errorf("%s: %w", label, snapshot.ErrNotHeld)
	}
	key := string(ref) + "\x00"
	if source, _, _ := ref.Source(); source == secret.Prompt {
		key += label
	}
	d.secretsMu.Lock()
	defer d.secretsMu.Unlock()
	if v, ok := d.secrets[key]; ok {
		return v, nil
	}
	resolver := secret.Resolver{Dir: d.options.Dir, Prompt: d.options.Prompt, Warn: d.warn}
	v, err := resolver.Resolve(ctx, ref, label)
	if err != nil {
		return secret.Value{}, err
	}
	d.secrets[key] = v
	return v, nil
}

func (d *Deployment) openTokens(ctx context.Context) (*tokens, error) {
	online := d.answers.ExchangeOnline
	if online == nil {
		return nil, fmt.Errorf("tenant: %w", fact.ErrNotConfigured)
	}
	l, err := d.link.get(ctx)
	if err != nil {
		return nil, err
	}
	c := online.Credential
	where := "tenant " + online.Tenant
	credential := entra.Credential{Kind: c.Kind, ClientID: c.ClientID, Say: d.options.Say}
	if show := d.options.SignIn; show != nil {
		credential.SignIn = func(code entra.DeviceCode) func() {
			return show(SignIn{DeviceCode: code, Tenant: online.Tenant, Opens: d.cloud.DevicePage()})
		}
	}
	switch c.Kind {
	case answers.CredentialCertificate:
		password, err := d.secret(ctx, c.Password, "password of "+c.PFX)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", where, err)
		}
		if credential.Bundle, err = d.bundle(c.PFX, password); err != nil {
			return nil, fmt.Errorf("%s: %w", where, err)
		}
	case answers.CredentialSecret:
		if credential.Secret, err = d.secret(ctx, c.Secret, "secret of application "+c.ClientID); err != nil {
			return nil, fmt.Errorf("%s: %w", where, err)
		}
	}
	identity, err := d.options.SignIns.get(signedInWith(*online, d.cloud, d.answers.Network), c.Kind,
		func() (*entra.Identity, error) {
			return entra.NewIdentity(entra.IdentityOptions{Tenant: online.Tenant, Login: d.cloud.Login,
				Graph: d.cloud.Graph, HTTP: l.Client(nil), Credential: credential})
		})
	if err != nil {
		return nil, fmt.Errorf("%s: %w", where, err)
	}
	t := &tokens{identity: identity, turn: make(chan struct{}, 1)}
	t.turn <- struct{}{}
	return t, nil
}

func (d *Deployment) openGraph(ctx context.Context) (*entra.Client, error) {
	if d.tape.Replays() {
		return entra.New(entra.Options{Graph: d.cloud.Graph, HTTP: http.DefaultClient, Read: d.readGraph,
			Token: func(context.Context) (string, error) { return "", snapshot.ErrChanges }})
	}
	t, err := d.tenant.tokens.get(ctx)
	if err != nil {
		return nil, err
	}
	l, err := d.link.get(ctx)
	if err != nil {
		return nil, err
	}
	return entra.New(entra.Options{
		Graph: d.cloud.Graph, HTTP: l.Client(nil), Token: t.source(d.cloud.Graph), Waiting: d.waiting,
		Read: d.readGraph,
	})
}

func (d *Deployment) openOnline(ctx context.Context) (*guarded, error) {
	t, err := d.tenant.tokens.get(ctx)
	if err != nil {
		return nil, err
	}
	const online = "Exchange Online"
	via := d.answers.ExchangeOnline.Via
	if via == answers.ViaModule {
		return newGuarded(d.openModule(t), online), nil
	}
	l, err := d.link.get(ctx)
	if err != nil {
		return nil, err
	}
	s, err := exchange.NewOnline(exchange.OnlineOptions{
		Endpoint: d.cloud.AdminAPI, Token: t.source(d.cloud.ExchangeResource), Client: l.Client(nil),
		Timeout: d.options.Timeout, Log: d.options.Log, Waiting: d.waiting,
		Warn: func(cmdlet, text string) { d.warn("Exchange Online: " + cmdlet + ": " + text) },
	})
	if err != nil {
		return nil, err
	}
	if via == answers.ViaAuto {
		say := func(err error) {
			d.warn(fmt.Sprintf("Exchange Online: the admin API does not answer as it should (%v): the cmdlets run in "+
				"Microsoft's module (exchangeOnline.via: auto)", err))
		}
		return newGuarded(&fallback{first: s, second: d.openModule(t), falls: apiFails, say: say}, online), nil
	}
	return newGuarded(s, online), nil
}

// openWorkMail returns the client of the organization in Amazon WorkMail.
func (d *Deployment) openWorkMail(ctx context.Context) (*workmail.Client, error) {
	w := d.answers.WorkMail
	if w == nil {
		return nil, fmt.Errorf("WorkMail: %w", fact.ErrNotConfigured)
	}
	o := workmail.Options{Region: w.Region, Organization: w.Organization, Profile: w.Profile, Timeout: d.limit(),
		Read: d.readWorkMail, Recalled: d.tape.Replays()}
	if o.Recalled {
		return workmail.New(ctx, o)
	}
	var err error
	if o.Link, err = d.link.get(ctx); err != nil {
		return nil, err
	}
	if w.Credential.Kind != "" {
		key, err := d.secret(ctx, w.Credential.Secret, "secret of access key "+w.Credential.ClientID)
		if err != nil {
			return nil, fmt.Errorf("WorkMail: %w", err)
		}
		o.Key = &workmail.Key{ID: w.Credential.ClientID, Secret: key}
	}
	return workmail.New(ctx, o)
}

func (d *Deployment) openDirectory(ctx context.Context, a answers.Forest) (*directory.Forest, error) {
	l, err := d.link.get(ctx)
	if err != nil {
		return nil, err
	}
	section := a.Directory
	section.Bind.Keytab, section.Bind.TicketCache, section.Bind.Krb5Config = d.path(section.Bind.Keytab),
		d.path(section.Bind.TicketCache), d.path(section.Bind.Krb5Config)
	password, err := d.secret(ctx, section.Bind.Password, "password of "+section.Bind.User)
	if err != nil {
		return nil, fmt.Errorf("%s: directory: %w", a.Name, err)
	}
	if section.Bind.Kind == answers.CredentialKeytab {
		d.warnExposed(section.Bind.Keytab, "the keys of "+section.Bind.User)
	}
	if section.Domain == "" && len(section.Servers) == 0 && len(a.Domains) > 0 {
		section.Domain = a.Domains[0]
	}
	return directory.Open(ctx, directory.Config{Name: a.Name, Directory: section, Password: password, Link: l,
		LookupSRV: d.lookupSRV, Timeout: d.options.Timeout})
}

// waiting reports that a service has deferred a request.
func (d *Deployment) waiting(w link.Wait) {
	d.Observe(observe.Waiting{
		ID: w.Host, What: fmt.Sprintf("%s asks to wait %s (HTTP %d)", w.Host, w.For, w.Status),
		Until: d.now().Add(w.For),
	})
}

// remoteURL returns the address of a forest's remote PowerShell.
func remoteURL(e answers.Exchange) string {
	return cmp.Or(e.URL, "http://"+e.Server+"/PowerShell/")
}

// openExchange prepares the session of a forest, by the way that the answers name.
func (d *Deployment) openExchange(ctx context.Context, a answers.Forest) (*guarded, error) {
	open := d.openRemote
	switch a.Exchange.Via {
	case answers.ViaLocal, answers.ViaSnapIn:
		open = d.openLocal
	case answers.ViaAuto:
		open = d.openEither
	}
	s, err := open(ctx, a)
	if err != nil {
		return nil, err
	}
	return newGuarded(s, hostOf(remoteURL(a.Exchange))), nil
}

// openRemote prepares a session of hybridge's own remote PowerShell.
func (d *Deployment) openRemote(ctx context.Context, a answers.Forest) (exchange.Session, error) {
	l, err := d.link.get(ctx)
	if err != nil {
		return nil, err
	}
	address := remoteURL(a.Exchange)
	o := psrp.Options{URL: address, Dial: l.DialContext, Log: d.options.Log}
	secure := strings.HasPrefix(strings.ToLower(address), "https:")
	if secure {
		o.TLS = l.TLS(hostOf(address))
	}
	if err := d.prove(ctx, a, secure, &o); err != nil {
		return nil, fmt.Errorf("%s: Exchange at %s: %w", a.Name, hostOf(address), err)
	}
	s, err := exchange.NewRemote(exchange.RemoteOptions{
		PSRP: o, Name: a.Name, Timeout: d.options.Timeout,
		Warn: func(cmdlet, text string) { d.warn(a.Name + ": " + cmdlet + ": " + text) },
	})
	if err != nil {
		return nil, fmt.Errorf("%s: %w", a.Name, err)
	}
	return s, nil
}

// prove sets a forest's Exchange credential in the options of a remote PowerShell session.
func (d *Deployment) prove(ctx context.Context, a answers.Forest, secure bool, o *psrp.Options) error {
	c := a.Exchange.Credential
	password, err := d.secret(ctx, c.Password, "password of "+c.User)
	if err != nil {
		return err
	}
	switch c.Kind {
	case answers.CredentialBasic:
		if !secure {
			return errors.New("a basic credential needs an https address: its password would cross the network " +
				"readable")
		}
		o.User, o.Password = c.User, password
		return nil
	case answers.CredentialPassword:
		if secure {
			o.User, o.Password = c.User, password
			return nil
		}
	case answers.CredentialKerberos, answers.CredentialKeytab:
	default:
		return fmt.Errorf("a credential of kind %s does not work with remote PowerShell; use kerberos, keytab, "+
			"password or basic", c.Kind)
	}
	o.Kerberos, err = d.kerberos(c, password)
	return err
}

// kerberos makes a client that is closed with the deployment.
func (d *Deployment) kerberos(c answers.Credential, password secret.Value) (*kerberos.Client, error) {
	k, err := kerberos.New(kerberosConfig(d, c, password))
	if err != nil {
		return nil, err
	}
	d.ticketsMu.Lock()
	defer d.ticketsMu.Unlock()
	d.tickets = append(d.tickets, k)
	return k, nil
}

func kerberosConfig(d *Deployment, c answers.Credential, password secret.Value) kerberos.Config {
	k := kerberos.Config{User: c.User, Keytab: d.path(c.Keytab), TicketCache: d.path(c.TicketCache),
		Krb5Config: d.path(c.Krb5Config)}
	if c.Kind == answers.CredentialKeytab {
		d.warnExposed(k.Keytab, "the keys of "+c.User)
	} else {
		k.Password = password
	}
	return k
}

// closeTime limits the wait of Close for the sessions to end.
const closeTime = 10 * time.Second

// disconnect ends all sessions in parallel.
func (d *Deployment) disconnect(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeTime)
	defer cancel()
	d.forgetRefused()
	var wait sync.WaitGroup
	var mu sync.Mutex
	var errs []error
	end := func(close func(context.Context) error) {
		wait.Go(func() {
			if err := close(ctx); err != nil {
				mu.Lock()
				errs = append(errs, err)
				mu.Unlock()
			}
		})
	}
	if g, ok := d.tenant.online.opened(); ok {
		end(g.Close)
	}
	for _, f := range d.forests {
		if g, ok := f.exchange.opened(); ok {
			end(g.Close)
		}
		if dir, ok := f.directory.opened(); ok {
			end(func(context.Context) error { dir.Close(); return nil })
		}
	}
	wait.Wait()
	d.ticketsMu.Lock()
	for _, k := range d.tickets {
		k.Close()
	}
	d.tickets = nil
	d.ticketsMu.Unlock()
	if l, ok := d.link.opened(); ok {
		l.CloseIdleConnections() // of Graph, the sign-in service, EWS and every probe
	}
	return errors.Join(errs...)
}
