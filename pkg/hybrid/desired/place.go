package desired

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/hybridge-cli/hybridge/pkg/engine/change"
	"github.com/hybridge-cli/hybridge/pkg/estate/exchange"
)

// Sessions opens a place's Exchange session when it is first needed, and the same one ever after.
type Sessions func(ctx context.Context) (exchange.Session, error)

// ExchangePlace is an Exchange organization as the engine sees it: kinds are read with their Get cmdlet and commands are
// run as they stand. One reader and writer serves every kind on both sides.
type ExchangePlace struct {
	Name    string
	Session Sessions
	// Warn hears what a person should know and what stops nothing; nil: nobody listens.
	Warn func(text string)
}

var _ change.Place = (*ExchangePlace)(nil)

func kindOf(k *change.Kind) (*Kind, error) {
	for _, d := range Kinds() {
		if d.kind == k {
			return d, nil
		}
	}
	return nil, fmt.Errorf("kind %s is not declared here", k.Noun)
}

// Read runs the kind's Get cmdlet.
func (p *ExchangePlace) Read(ctx context.Context, k *change.Kind) ([]change.Live, error) {
	kind, err := kindOf(k)
	if err != nil {
		return nil, err
	}
	session, err := p.Session(ctx)
	if err != nil {
		return nil, err
	}
	objects, err := Get(ctx, session, exchange.Command{Name: "Get-" + kind.noun(), Parameters: maps.Clone(kind.Get)})
	if err != nil {
		return nil, err
	}
	live := make([]change.Live, 0, len(objects))
	for _, o := range objects {
		l := kind.live(o)
		if kind.Of == "" || kind.set(l) {
			live = append(live, l)
		}
	}
	return live, nil
}

// Get runs a reading cmdlet, without its parameters where the server does not know one of them.
func Get(ctx context.Context, session exchange.Session, c exchange.Command) ([]exchange.Object, error) {
	objects, err := session.Run(ctx, c)
	if err != nil && len(c.Parameters) > 0 && unknownParameter(err) {
		objects, err = session.Run(ctx, exchange.Command{Name: c.Name})
	}
	return objects, err
}

// ReadOnlineConfig reads Get-OrganizationConfig of Exchange Online with its EWS policy.
func ReadOnlineConfig(ctx context.Context, session exchange.Session) ([]exchange.Object, error) {
	return Get(ctx, session, exchange.Command{Name: "Get-OrganizationConfig", Parameters: maps.Clone(organizationConfig.Get)})
}

// AppIDs reads a list of application ids as Exchange Online keeps it: one text with commas.
func AppIDs(v any) []string { return texts(readJoined(plainValue(v))) }

// unknownParameter tells whether a server refused a command because it does not know one of its parameters.
func unknownParameter(err error) bool {
	var e *exchange.Error
	return errors.As(err, &e) &&
		(strings.Contains(e.ExceptionType, "ParameterBindingException") || strings.Contains(e.FullyQualifiedID, "NamedParameterNotFound"))
}

// live brings an object to the form that desired values have. A property that the object lacks is left out: a server
// too old to know it, or nothing set; one that cannot be read stays unreadable.
func (k *Kind) live(o exchange.Object) change.Live {
	l := change.Live{Properties: change.Properties{}}
	l.Name, _ = o.String("Name")
	if l.Identity, _ = o.String("Identity"); l.Identity == "" {
		l.Identity = l.Name
	}
	for name, p := range k.Properties {
		from := name
		if p.From != "" {
			from = p.From
		}
		v, err := o.Value(from)
		switch {
		case errors.Is(err, exchange.ErrAbsent) && p.Told:
			l.Properties[name] = change.Unreadable{Reason: "Get-" + k.noun() + " does not show it; written without what is on it, it would lose what others put there"}
			continue
		case errors.Is(err, exchange.ErrAbsent):
			continue
		case err != nil:
			l.Properties[name] = change.Unreadable{Reason: err.Error()}
			continue
		}
		l.Properties[name] = p.Type.Read(plainValue(v))
	}
	return l
}

// set tells whether any property of an aspect is set, or cannot be read.
func (k *Kind) set(l change.Live) bool {
	for name, p := range k.Properties {
		if p.Derived || p.Write == change.Key || p.Write == change.CreateOnly {
			continue
		}
		switch v := l.Properties[name].(type) {
		case nil:
		case []string:
			if len(v) > 0 {
				return true
			}
		default:
			return true
		}
	}
	return false
}

// plainValue turns Exchange's own types into their text.
func plainValue(v any) any {
	switch v := v.(type) {
	case []any:
		out := make([]any, len(v))
		for i, e := range v {
			out[i] = plainValue(e)
		}
		return out
	case exchange.Object:
		return v.Text
	case nil, bool, string, int64:
		return v
	}
	if s, ok := exchange.Scalar(v); ok {
		return s
	}
	return change.Unreadable{Reason: fmt.Sprintf("a value of type %T", v)}
}

// Run runs one cmdlet. What it prints are the properties that references may ask for.
func (p *ExchangePlace) Run(ctx context.Context, c change.Command) (change.Properties, error) {
	session, err := p.Session(ctx)
	if err != nil {
		return nil, err
	}
	objects, err := session.Run(ctx, Cmdlet(c))
	if err != nil {
		return nil, err
	}
	for _, after := range afterwards(c) {
		if _, err := session.Run(ctx, after); err != nil && p.Warn != nil {
			p.Warn(fmt.Sprintf("%s: %s failed (%v); Exchange takes the setting over by itself within the hour or when its services restart", p.Name, after.Name, err))
		}
	}
	out := change.Properties{}
	if len(objects) == 1 {
		for _, name := range objects[0].Names() {
			if v, err := objects[0].Value(name); err == nil {
				switch v := plainValue(v).(type) {
				case nil, bool, string, int64:
					out[name] = v
				}
			}
		}
	}
	return out, nil
}

// Cmdlet is a plan's command as a session takes it.
func Cmdlet(c change.Command) exchange.Command {
	out := exchange.Command{Name: c.Name, Parameters: maps.Clone(c.Parameters)}
	for name, v := range out.Parameters {
		if joined(c, name) {
			out.Parameters[name] = strings.Join(texts(v), ",")
		}
	}
	return out
}

func isList(v any) bool {
	switch v.(type) {
	case []any, []string:
		return true
	}
	return false
}

// afterwards lists the cmdlets that run after a command so that it takes effect at once.
func afterwards(c change.Command) []exchange.Command {
	var out []exchange.Command
	for _, k := range kindsOf(c) {
		out = append(out, k.After...)
	}
	return out
}

// joined tells whether a command takes a list of that name as one string with commas.
func joined(c change.Command, parameter string) bool {
	return isList(c.Parameters[parameter]) && slices.ContainsFunc(kindsOf(c), func(k *Kind) bool { return k.Properties[parameter].Type.Joined })
}

// kindsOf are the kinds that a command writes.
func kindsOf(c change.Command) []*Kind {
	return slices.DeleteFunc(Kinds(), func(k *Kind) bool { return !strings.EqualFold(k.noun(), exchange.Command{Name: c.Name}.Noun()) })
}
