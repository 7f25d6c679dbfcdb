package exchange

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hybridge-cli/hybridge/pkg/wire/link"
	"github.com/hybridge-cli/hybridge/pkg/wire/psrp"
)

// RemoteOptions are how an on-premises Exchange server is reached by remote PowerShell.
type RemoteOptions struct {
	// PSRP names the server and the credential.
	PSRP psrp.Options
	// Name is put before errors: "contoso". The server's host when empty.
	Name string
	// Timeout limits one cmdlet, the opening of the session included; 5 minutes when 0.
	Timeout time.Duration
	// Warn receives the warnings of cmdlets; may be nil.
	Warn func(cmdlet, text string)

	open func(context.Context, psrp.Options) (pool, error) // replaced by tests
}

// pool is what a session needs of a psrp.Pool.
type pool interface {
	Invoke(ctx context.Context, pl psrp.Pipeline) (psrp.Output, error)
	Close(ctx context.Context) error
}

// Remote is a Session over remote PowerShell: with one on-premises Exchange server, or with a
// PowerShell on this computer (NewLocal). It opens one shell, when first needed, and runs one cmdlet
// after another in it.
//
// It stays with the domain controller that its first object came from, so that a change is read
// back before it is replicated.
type Remote struct {
	o          RemoteOptions
	side       Side
	local      *local        // nil for a server
	turn       chan struct{} // holds one token: its holder owns the fields below
	pool       pool
	controller string // DomainController of every cmdlet about the configuration; empty: Exchange chooses
	roams      bool   // the account's roles withhold the parameter
	ended      bool
	runs       atomic.Int64
}

var _ Session = (*Remote)(nil)

// NewRemote prepares a session; nothing is connected to yet.
func NewRemote(o RemoteOptions) (*Remote, error) {
	u, err := url.Parse(o.PSRP.URL)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return nil, fmt.Errorf("exchange: %q is not the address of a PowerShell endpoint", link.Line(o.PSRP.URL))
	}
	if o.Name == "" {
		o.Name = u.Hostname()
	}
	return newSession(o), nil
}

func newSession(o RemoteOptions) *Remote {
	if o.Timeout <= 0 {
		o.Timeout = 5 * time.Minute
	}
	if o.open == nil {
		o.open = func(ctx context.Context, p psrp.Options) (pool, error) {
			opened, err := psrp.Open(ctx, p)
			if err != nil {
				return nil, err // not a typed nil
			}
			return opened, nil
		}
	}
	r := &Remote{o: o, side: OnPremises, turn: make(chan struct{}, 1)}
	r.o.PSRP.Notice = func(text string) { r.warn("remote PowerShell", text) }
	r.turn <- struct{}{}
	return r
}

// Pipelines is how many pipelines were sent so far.
func (r *Remote) Pipelines() int { return int(r.runs.Load()) }

// Run runs one cmdlet. Errors stop it (-ErrorAction Stop) and nothing is asked back
// (-Confirm:$false).
func (r *Remote) Run(ctx context.Context, c Command) ([]Object, error) {
	p, err := c.prepared()
	if err != nil {
		return nil, at(r.o.Name, err)
	}
	objects, err := logged(ctx, r.o.PSRP.Log, r.o.Name, p, func() ([]Object, error) {
		return r.run(ctx, p, func() psrp.Command { return r.line(r.pipeline(p)) }, p.Reads())
	})
	return objects, at(r.o.Name, err)
}

func (r *Remote) run(ctx context.Context, c Command, line func() psrp.Command, again bool) ([]Object, error) {
	ctx, cancel := context.WithTimeout(ctx, r.o.Timeout)
	defer cancel()
	select {
	case <-r.turn:
		defer func() { r.turn <- struct{}{} }()
	case <-ctx.Done():
		return nil, fmt.Errorf("%s: wait for the session: %w", c.Name, ctx.Err())
	}
	for attempt := 0; ; attempt++ {
		if r.ended {
			return nil, fmt.Errorf("%s: the session is closed", c.Name)
		}
		fresh := r.pool == nil
		if fresh {
			opened, err := r.reopen(ctx)
			if r.another(err) {
				continue
			}
			if err != nil {
				return nil, err
			}
			r.pool = opened
		}
		if err := r.enter(ctx, fresh); r.another(err) {
			continue
		} else if err != nil {
			return nil, err
		}
		r.runs.Add(1)
		lost := r.pool
		out, err := lost.Invoke(ctx, psrp.Pipeline{Commands: []psrp.Command{line()}})
		if r.local != nil {
			err = r.local.lost(err)
		}
		for _, w := range out.Warnings {
			if !c.asksForFew(w) {
				r.warn(c.Name, w)
			}
		}
		if broken(ctx, err) {
			r.pool = nil
			_ = lost.Close(ctx) // frees what is left; the next cmdlet opens a new session
			// A server that does not know the shell any more was restarted, or the shell idled out;
			// a connection that was good until now may have been cut by a device on the way.
			lostIt := errors.Is(err, psrp.ErrShellGone) || errors.Is(err, psrp.ErrCommandGone)
			if again && attempt == 0 && (lostIt || !fresh && errors.Is(err, link.ErrUnreachable)) {
				continue
			}
			if attempt == 0 && errors.Is(err, psrp.ErrClosed) {
				continue // the shell was given up together with a command that was stopped; this one was not sent
			}
			if !again && !errors.Is(err, link.ErrAccess) { // what was refused was not executed
				return nil, fmt.Errorf("the session was lost; whether %s took effect is not known: %w", c.Name,
					throttled(err))
			}
		}
		objects, err := collect(c, out, err)
		if r.withheld(err) {
			r.controller, r.roams = "", true
			continue // its parameters did not bind: it did not run
		}
		r.stay(objects, err)
		return objects, err
	}
}

// enter prepares a local PowerShell for the cmdlet. One that cannot be prepared is ended.
func (r *Remote) enter(ctx context.Context, fresh bool) error {
	if r.local == nil {
		return nil
	}
	warnings, err := r.local.enter(ctx, r.pool, fresh)
	for _, w := range warnings {
		r.warn("local PowerShell", w)
	}
	if err == nil {
		return nil
	}
	_ = r.pool.Close(ctx)
	r.pool = nil
	return throttled(err)
}

// reopen opens a shell. A server that refuses it for now and says how long is asked once more after
// that time.
func (r *Remote) reopen(ctx context.Context) (pool, error) {
	for again := true; ; again = false {
		opened, err := r.o.open(ctx, r.o.PSRP)
		wait := psrp.RetryAfter(err)
		deadline, limited := ctx.Deadline()
		switch {
		case err == nil:
			return opened, nil
		case !again || wait == 0 || limited && time.Until(deadline) < wait:
			return nil, throttled(err)
		}
		r.warn("open remote PowerShell",
			fmt.Sprintf("the server asks to wait %s before it opens another session", wait))
		if sleepErr := link.Sleep(ctx, wait); sleepErr != nil {
			return nil, errors.Join(throttled(err), sleepErr)
		}
	}
}

func (r *Remote) warn(about, text string) {
	if r.o.Warn != nil {
		r.o.Warn(about, link.Line(text))
	}
}

// stay keeps the session with a domain controller while all goes well. After an error Exchange
// chooses again: that one may be what failed.
func (r *Remote) stay(objects []Object, err error) {
	switch {
	case err != nil:
		r.controller = ""
	case r.controller == "" && !r.roams && r.side == OnPremises && len(objects) > 0:
		r.controller, _ = objects[0].String("OriginatingServer") // not every object has it
	}
}

// withheld reports whether a cmdlet was refused for the parameter that only the session added.
func (r *Remote) withheld(err error) bool {
	var e *Error
	return r.controller != "" && errors.As(err, &e) &&
		strings.HasPrefix(e.FullyQualifiedID, "NamedParameterNotFound") && strings.Contains(e.Message, domainController)
}

const domainController = "DomainController"

// aboutPeople are the cmdlets that look for recipients: these may be of another domain of the
// forest, of which the configuration's domain controller knows nothing.
var aboutPeople = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`(?i)^Test-|(Mailbox|Recipient|User|Contact|Group)$`)
})

// broken reports whether a session is unusable after an error: after any error but a cmdlet's own
// and the caller's cancel.
func broken(ctx context.Context, err error) bool {
	var record *psrp.ErrorRecord
	return err != nil && !errors.As(err, &record) && ctx.Err() == nil
}

// collect turns what a pipeline wrote into objects and an error.
func collect(c Command, out psrp.Output, err error) ([]Object, error) {
	objects := make([]Object, 0, len(out.Objects))
	values := conversion{left: maxValues}
	for _, v := range out.Objects {
		objects = append(objects, values.output(v))
	}
	if err == nil && len(out.Errors) > 0 {
		err = out.Errors[0]
	}
	if err == nil {
		return objects, nil
	}
	var record *psrp.ErrorRecord
	if errors.As(err, &record) && !errors.Is(err, psrp.ErrShellLimit) && !errors.Is(err, psrp.ErrLoadLimit) {
		e := &Error{
			Cmdlet: c.Name, Category: record.Category.String(), FullyQualifiedID: record.ID,
			Message: record.Error(), Target: record.TargetName, ExceptionType: record.Reason,
		}
		if len(record.Exception) > 0 {
			e.ExceptionType = record.Exception[0]
		}
		// A remote failure arrives wrapped in a RemoteException; the id and the reason name the
		// cause.
		if strings.HasSuffix(e.ExceptionType, ".RemoteException") && record.Reason != "" {
			e.ExceptionType = record.Reason
		}
		if m := segments().FindStringSubmatch(record.Message); m != nil { // of Microsoft's module, as of the admin API
			e.FullyQualifiedID, e.ExceptionType, e.Message = m[1], m[2], m[3]
		}
		return objects, e
	}
	return objects, throttled(err) // it names the host and the cmdlet
}

// throttled marks the faults by which a server refuses one shell or one request too many, and says
// what helps.
func throttled(err error) error {
	switch {
	case errors.Is(err, psrp.ErrShellLimit):
		return fmt.Errorf("%w: close other remote PowerShell sessions of this account, or wait until they idle out "+
			"(15 minutes), "+
			"or raise PowerShellMaxConcurrency in its throttling policy: %w", ErrThrottled, err)
	case errors.Is(err, psrp.ErrLoadLimit):
		return fmt.Errorf("%w: try again later, or raise the PowerShell budgets in the account's throttling policy: %w",
			ErrThrottled, err)
	}
	return err
}

func (r *Remote) line(c psrp.Command) psrp.Command {
	if r.local == nil {
		return c
	}
	return r.local.line(c)
}

// pipeline adds to a command the parameters that every command gets.
func (r *Remote) pipeline(c Command) psrp.Command {
	out := psrp.Command{Name: c.Name}
	for _, name := range c.names() {
		out.Parameters = append(out.Parameters,
			psrp.Parameter{Name: name, Value: must(Convert(c.Parameters[name], toPSRP))})
	}
	add := func(name string, value any) {
		if _, given := c.Parameter(name); !given {
			out.Parameters = append(out.Parameters, psrp.Parameter{Name: name, Value: value})
		}
	}
	if r.controller != "" && !aboutPeople().MatchString(c.Name) && takes(c.Name, domainController, OnPremises) {
		add(domainController, r.controller)
	}
	if !c.Reads() && confirms(c, r.side) {
		add("Confirm", false)
	}
	add("ErrorAction", "Stop")
	return out
}

// confirms reports whether a cmdlet asks for confirmation. The catalogue says so, or the verb for a
// cmdlet that it lacks.
func confirms(c Command, side Side) bool {
	if _, known := Catalogue().Find(c.Name); known {
		return takes(c.Name, "Confirm", side)
	}
	switch strings.ToLower(c.Verb()) {
	case "new", "set", "remove", "add":
		return true
	}
	return false
}

// toPSRP writes this package's values as those of remote PowerShell.
func toPSRP(v any) (any, error) {
	switch v := v.(type) {
	case ListChange:
		table := map[string]any{}
		if len(v.Add) > 0 {
			table["Add"] = v.Add
		}
		if len(v.Remove) > 0 {
			table["Remove"] = v.Remove
		}
		return table, nil
	case Credential:
		return psrp.Credential{User: v.User, Password: v.Password}, nil
	}
	return v, nil
}

// conversion turns CLIXML values into those of an Object. Many references to one object would grow
// without bound as a tree, so the number of values is bounded.
type conversion struct{ left int }

const maxValues = 1_000_000 // of a cmdlet's whole output

// output converts one output object of a cmdlet.
func (c *conversion) output(v any) Object {
	if o, ok := v.(*psrp.Object); ok && o != nil {
		return c.object(o, maxDepth)
	}
	return NewObject(nil, psrp.Text(v)) // a plain value
}

func (c *conversion) object(o *psrp.Object, depth int) Object {
	out := Object{Text: o.Text, properties: make(map[string]any, len(o.Properties)+len(o.Extended))}
	for _, t := range o.Types {
		out.Types = append(out.Types, strings.TrimPrefix(t, "Deserialized."))
	}
	if out.Text == "" {
		if _, list := o.Value.([]any); !list && o.Value != nil {
			out.Text = psrp.Text(o.Value)
		}
	}
	for _, list := range [][]psrp.Property{o.Properties, o.Extended} {
		for _, p := range list {
			if strings.EqualFold(p.Name, "SerializationData") {
				continue // a .NET object graph: of no use here, and never to be read
			}
			// an extended property hides the adapted one of its name
			out.put(p.Name, c.value(p.Value, depth-1))
		}
	}
	return out
}

func (c *conversion) value(v any, depth int) any {
	if c.left--; c.left < 0 || depth <= 0 {
		return Unreadable{Reason: errTooDeep.Error()}
	}
	switch v := v.(type) {
	case nil, bool, string, int64, float64, []byte:
		return v
	case []any:
		list := make([]any, len(v))
		for i, e := range v {
			list[i] = c.value(e, depth-1)
		}
		return list
	case *psrp.Dict:
		return c.table(v, depth)
	case psrp.Ancestor:
		return Unreadable{Reason: "it refers back to the object that it is a part of"}
	case psrp.SecureString:
		return Unreadable{Reason: "it is encrypted"}
	case *psrp.Object:
		if v == nil {
			return nil
		}
		return c.nested(v, depth)
	case psrp.Other:
		return Unreadable{Reason: "an element " + link.Line(v.Tag) + " of unknown meaning"}
	}
	if plainValue := canonical(v); !isUnreadable(plainValue) {
		return plainValue // the Go integers and times
	}
	return psrp.Text(v) // GUIDs, time spans, versions, addresses and other named texts
}

func isUnreadable(v any) bool { _, bad := v.(Unreadable); return bad }

func (c *conversion) table(d *psrp.Dict, depth int) any {
	table := make(map[string]any, len(d.Entries))
	for _, e := range d.Entries {
		table[psrp.Text(e.Key)] = c.value(e.Value, depth-1)
	}
	return table
}

// nested converts an object that is a property's value. Exchange's own value types (addresses,
// sizes, identities, enumerations) are their text; a collection is a list; an object with
// properties and without its own text stays an object.
func (c *conversion) nested(o *psrp.Object, depth int) any {
	switch inner := o.Value.(type) {
	case []any:
		return c.value(inner, depth)
	case *psrp.Dict:
		return c.table(inner, depth)
	}
	if o.Is("System.Enum") || strings.HasPrefix(firstType(o), "Microsoft.Exchange.") && o.Text != "" && !isTypeName(o) {
		if o.Text == "" {
			return psrp.Text(o.Value)
		}
		return o.Text
	}
	if o.Value != nil {
		return c.value(o.Value, depth-1) // a plain value with decorations
	}
	if len(o.Properties)+len(o.Extended) == 0 {
		return o.Text
	}
	return c.object(o, depth)
}

func firstType(o *psrp.Object) string {
	if len(o.Types) == 0 {
		return ""
	}
	return strings.TrimPrefix(o.Types[0], "Deserialized.")
}

// isTypeName reports whether the text is only what .NET prints for a type that does not define
// ToString.
func isTypeName(o *psrp.Object) bool {
	t, _, _ := strings.Cut(o.Text, "[")
	u, _, _ := strings.Cut(firstType(o), "[")
	return t == u
}

// Allowed asks the session which cmdlets, and which of their parameters, the caller's roles export.
func (r *Remote) Allowed(ctx context.Context, cmdlets ...string) (map[string]Allowance, error) {
	if len(cmdlets) == 0 {
		return map[string]Allowance{}, nil
	}
	names := append([]string(nil), cmdlets...)
	line := psrp.Command{Name: "Get-Command", Parameters: []psrp.Parameter{{Name: "Name", Value: names},
		{Name: "ErrorAction", Value: "SilentlyContinue"}}} // a missing cmdlet is no error here
	if r.local != nil && r.local.Server == nil {
		line = scripted(allowedScript, psrp.Parameter{Name: "Name", Value: names})
	}
	objects, err := r.run(ctx, Command{Name: "Get-Command"}, func() psrp.Command { return r.line(line) }, true)
	var e *Error
	if errors.As(err, &e) && errors.Is(e, ErrNoCmdlet) && e.Target != "Get-Command" {
		err = nil // some servers report missing cmdlets nevertheless
	}
	if err != nil {
		return nil, at(r.o.Name, err)
	}
	out := map[string]Allowance{}
	for _, o := range objects {
		name, err := o.String("Name")
		if err != nil {
			continue
		}
		for _, asked := range cmdlets {
			if strings.EqualFold(asked, name) {
				out[asked] = Allowance{Parameters: parameterNames(o)}
			}
		}
	}
	return out, nil
}

// parameterNames reads the Parameters of a command's description: a dictionary by name, or the
// names. nil when the description has none.
func parameterNames(o Object) []string {
	v, err := o.Value("Parameters")
	if err != nil {
		return nil
	}
	if list, ok := v.([]any); ok {
		var names []string
		for _, name := range list {
			names = append(names, psrp.Text(name))
		}
		return names
	}
	table, ok := v.(map[string]any)
	if !ok || len(table) == 0 {
		return nil
	}
	names := make([]string, 0, len(table))
	for n := range table {
		names = append(names, n)
	}
	return names
}

// Close deletes the shell at the server. It waits for the cmdlet that is running, as long as ctx
// allows.
func (r *Remote) Close(ctx context.Context) error {
	select {
	case <-r.turn:
		defer func() { r.turn <- struct{}{} }()
	case <-ctx.Done():
		return at(r.o.Name, fmt.Errorf("close the session: %w", ctx.Err()))
	}
	r.ended = true
	if r.pool == nil {
		return nil
	}
	p := r.pool
	r.pool = nil
	if r.local != nil {
		r.local.leave(ctx, p)
	}
	if err := p.Close(ctx); err != nil {
		return at(r.o.Name, err)
	}
	return nil
}
