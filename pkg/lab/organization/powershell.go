package organization

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/hybridge-cli/hybridge/pkg/config/secret"
	"github.com/hybridge-cli/hybridge/pkg/estate/exchange"
	"github.com/hybridge-cli/hybridge/pkg/wire/kerberos"
	"github.com/hybridge-cli/hybridge/pkg/wire/psrp"
)

// Authentication is how callers of remote PowerShell prove who they are.
type Authentication struct {
	// Password verifies a user's password; Basic is not offered when nil.
	Password func(ctx context.Context, user, password string) error
	// Kerberos accepts tickets; not offered when nil. The http.Server needs the handler's
	// ConnContext.
	Kerberos *kerberos.Acceptor
	// AllowUnencrypted accepts Basic without TLS.
	AllowUnencrypted bool
	// Caller returns the rights of an authenticated user; all when nil. An error refuses the
	// session.
	Caller func(psrp.Caller) (Caller, error)
}

// Shells serves an organization as Exchange's remote PowerShell. Sessions whose URL says
// serializationLevel=Full and sessions whose URL does not are kept apart.
type Shells struct{ Full, Plain *psrp.Server }

// PowerShell serves the organization as Exchange's remote PowerShell: the session configuration
// Microsoft.Exchange in restricted language mode. An http.Server needs its ConnContext for
// Kerberos.
func (o *Organization) PowerShell(a Authentication) *Shells {
	return &Shells{Full: o.shells(a, true), Plain: o.shells(a, false)}
}

// ServeHTTP answers one request.
func (s *Shells) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if strings.EqualFold(r.URL.Query().Get("serializationLevel"), "Full") {
		s.Full.ServeHTTP(w, r)
		return
	}
	s.Plain.ServeHTTP(w, r)
}

// ConnContext goes into the http.Server. Both kinds of sessions share what it keeps.
func (s *Shells) ConnContext(ctx context.Context, c net.Conn) context.Context {
	return s.Full.ConnContext(ctx, c)
}

// Close ends all sessions.
func (s *Shells) Close() {
	s.Full.Close()
	s.Plain.Close()
}

func (o *Organization) shells(a Authentication, full bool) *psrp.Server {
	admit := func(_ context.Context, who psrp.Caller) error {
		if a.Caller == nil {
			return nil
		}
		_, err := a.Caller(who)
		return err
	}
	return &psrp.Server{
		Name: strings.ToUpper(firstLabel(o.c.Server)), Admit: admit, Authenticate: a.Password, Kerberos: a.Kerberos,
		AllowUnencrypted: a.AllowUnencrypted,
		Run: func(ctx context.Context, who psrp.Caller, p psrp.Pipeline, w *psrp.Writer) error {
			caller := Caller{User: who.User}
			if a.Caller != nil {
				var err error
				if caller, err = a.Caller(who); err != nil {
					return &psrp.ErrorRecord{Message: err.Error(), ID: "AuthorizationException",
						Category: psrp.PermissionDenied, Reason: "AuthorizationException",
						Exception: []string{"System.UnauthorizedAccessException", "System.SystemException",
							"System.Exception", "System.Object"}}
				}
			}
			return o.pipeline(ctx, caller, p, w, full)
		},
	}
}

// pipeline runs what a client sent; scripts were refused before.
func (o *Organization) pipeline(ctx context.Context, caller Caller, p psrp.Pipeline, w *psrp.Writer, full bool) error {
	if len(p.Commands) == 0 {
		return record(unsimulated("an empty pipeline"))
	}
	cmd, err := command(p.Commands[0])
	if err != nil {
		return record(err)
	}
	switch {
	case p.Metadata:
		return o.commandMetadata(caller, cmd, w)
	case len(p.Commands) == 1 && strings.EqualFold(cmd.Name, "Get-Command"):
		return o.getCommand(caller, cmd, w)
	case len(p.Commands) == 1 && strings.EqualFold(cmd.Name, "Get-FormatData"):
		return nil // the lab does not format output
	case len(p.Commands) == 1 && strings.EqualFold(cmd.Name, "Get-Help"):
		return o.help(caller, cmd, w)
	}
	var in *between
	if len(p.Input) > 0 {
		in = &between{}
		for _, v := range p.Input {
			in.objects = append(in.objects, piped(v))
		}
	}
	out, err := o.stage(ctx, caller, cmd, in, w)
	for _, next := range p.Commands[1:] {
		if err != nil || out.ended {
			return err
		}
		if cmd, err = command(next); err != nil {
			return record(err)
		}
		out, err = o.stage(ctx, caller, cmd, &out, w)
	}
	if err != nil {
		return err
	}
	for _, e := range out.objects {
		if err := w.Output(e.narrowed(full)); err != nil {
			return err
		}
	}
	return nil
}

// between is what one stage of a pipeline passes to the next.
type between struct {
	objects []staged
	ended   bool // by an error that the caller did not want to stop at
}

// staged is one object in a pipeline: the output of a cmdlet, the properties that Select-Object
// kept, or the count of Measure-Object.
type staged struct {
	output
	only  []string
	whole *psrp.Object
}

// piped is what a client piped into a pipeline: an object that a cmdlet printed before, or a name.
func piped(v any) staged {
	if object, ok := v.(*psrp.Object); ok && object != nil {
		return staged{whole: object}
	}
	return staged{whole: &psrp.Object{Types: []string{"System.String", "System.Object"}, Text: psrp.Text(v), Value: v}}
}

// identity finds the object again that a stage passes on.
func (e staged) identity() (string, bool) {
	if e.record != nil {
		return e.record.String("Guid"), true
	}
	if e.whole == nil {
		return "", false
	}
	for _, name := range []string{"Guid", "Thumbprint", "Identity"} {
		if v, ok := e.whole.Get(name); ok && psrp.Text(v) != "" {
			return psrp.Text(v), true
		}
	}
	text := psrp.Text(e.whole)
	return text, text != ""
}

func (e staged) narrowed(full bool) *psrp.Object {
	if e.whole != nil {
		return e.whole
	}
	object := e.wire(full)
	if e.only == nil {
		return object
	}
	out := &psrp.Object{Types: []string{"Selected." + object.Types[0], "System.Management.Automation.PSCustomObject",
		"System.Object"}}
	for _, name := range e.only {
		var value any
		for _, p := range object.Properties {
			if matches(name, p.Name) {
				value, name = p.Value, p.Name
				break
			}
		}
		out.Properties = append(out.Properties, psrp.Property{Name: name, Value: value})
	}
	return out
}

// stage runs one command of a pipeline on the output of the one before; in is nil for the first.
func (o *Organization) stage(ctx context.Context, caller Caller, cmd exchange.Command, in *between,
	w *psrp.Writer) (between, error) {
	if in == nil {
		return o.invoke(ctx, caller, cmd, w)
	}
	switch strings.ToLower(cmd.Name) {
	case "select-object":
		return selectObject(cmd, in.objects)
	case "out-default":
		return *in, nil
	case "measure-object":
		count := &psrp.Object{Types: []string{"Microsoft.PowerShell.Commands.GenericMeasureInfo",
			"Microsoft.PowerShell.Commands.MeasureInfo", "System.Object"},
			Properties: []psrp.Property{{Name: "Count", Value: int32(len(in.objects))}}}
		return between{objects: []staged{{whole: count}}}, nil
	}
	spec, _ := exchange.Catalogue().Find(cmd.Name)
	_, takes := spec.Parameter("Identity") // a noun with a single object has none
	var all between
	for _, e := range in.objects {
		one := exchange.Command{Name: cmd.Name, Parameters: map[string]any{}}
		for name, value := range cmd.Parameters {
			one.Parameters[name] = value
		}
		if identity, ok := e.identity(); ok && takes {
			if _, bound := one.Parameters["Identity"]; !bound {
				one.Parameters["Identity"] = identity
			}
		}
		out, err := o.invoke(ctx, caller, one, w)
		if err != nil {
			return all, err
		}
		all.objects = append(all.objects, out.objects...)
	}
	return all, nil
}

func selectObject(cmd exchange.Command, in []staged) (between, error) {
	out := slices.Clone(in)
	for name, value := range cmd.Parameters {
		n, _ := value.(int64)
		switch strings.ToLower(name) {
		case "first":
			out = out[:min(int(max(n, 0)), len(out))]
		case "property", "name": // a positional argument was bound to Name
			for i := range out {
				out[i].only = textsOf(value)
			}
		default:
			return between{}, record(unsimulated("Select-Object -%s", name))
		}
	}
	return between{objects: out}, nil
}

// invoke runs one cmdlet and writes its warnings, and its error as ErrorAction says.
func (o *Organization) invoke(ctx context.Context, caller Caller, cmd exchange.Command, w *psrp.Writer) (between,
	error) {
	action, _ := cmd.Parameter("ErrorAction")
	out, warnings, err := o.run(ctx, caller, cmd)
	for _, text := range warnings {
		if err := w.Warning(text); err != nil {
			return between{}, err
		}
	}
	var found between
	for _, e := range out {
		found.objects = append(found.objects, staged{output: e})
	}
	if err == nil {
		return found, nil
	}
	how, _ := action.(string)
	if number, ok := action.(int64); ok { // ActionPreference as a number
		how = [...]string{"SilentlyContinue", "Stop", "Continue", "Inquire", "Ignore"}[max(0, min(number, 4))]
	}
	r := record(err)
	var e *exchange.Error
	binding := errors.As(err, &e) && strings.HasPrefix(e.ExceptionType, "System.Management.Automation.")
	switch {
	case strings.EqualFold(how, "Stop") || binding:
		return found, r
	case strings.EqualFold(how, "SilentlyContinue") || strings.EqualFold(how, "Ignore"):
		return found, nil
	}
	return found, w.Error(r)
}

// command converts a client's command to a Command. PowerShell sends "-Name value" as two
// arguments, a name without value and a value without name, and a bare switch as a name alone.
func command(c psrp.Command) (exchange.Command, error) {
	out := exchange.Command{Name: c.Name, Parameters: map[string]any{}}
	spec, known := exchange.Catalogue().Find(c.Name)
	bad := func(id, target, format string, args ...any) error {
		return &exchange.Error{
			Cmdlet: c.Name, Category: "InvalidArgument", FullyQualifiedID: id + "," + c.Name, Target: target,
			ExceptionType: "System.Management.Automation.ParameterBindingException",
			Message:       fmt.Sprintf(format, args...),
		}
	}
	for i := 0; i < len(c.Parameters); i++ {
		p := c.Parameters[i]
		name := strings.TrimSuffix(strings.TrimPrefix(p.Name, "-"), ":")
		isSwitch := false
		if name == "" { // positional: Identity, or Name where there is none
			if _, ok := spec.Parameter("Identity"); known && ok {
				name = "Identity"
			} else {
				name = "Name"
			}
		} else if known {
			full, several := spell(spec, name)
			if len(several) > 1 {
				return out, bad("AmbiguousParameter", name,
					"Parameter cannot be processed because the parameter name '%s' is ambiguous. Possible matches "+
						"include: -%s.",
					name, strings.Join(several, " -"))
			}
			name, isSwitch = full.Name, full.Switch()
			if full.Name == "" {
				name = strings.TrimSuffix(strings.TrimPrefix(p.Name, "-"), ":")
			}
		}
		value := argument(p.Value)
		if p.Name != "" && p.Value == nil {
			switch {
			case isSwitch:
				value = true
			case i+1 < len(c.Parameters) && c.Parameters[i+1].Name == "":
				i++
				value = argument(c.Parameters[i].Value)
			}
		}
		if _, twice := out.Parameters[name]; twice {
			return out, bad("ParameterAlreadyBound", name,
				"Cannot bind parameter because parameter '%s' is specified more than once.", name)
		}
		out.Parameters[name] = value
	}
	return out, nil
}

// spell finds a parameter by its name, an alias, or the beginning of its name; several when the
// beginning is that of more than one.
func spell(spec exchange.Cmdlet, name string) (p exchange.Parameter, several []string) {
	if p, ok := spec.Parameter(name); ok {
		return p, nil
	}
	for _, side := range []exchange.Side{exchange.OnPremises, exchange.Online} {
		for _, candidate := range spec.Parameters(side) {
			if len(name) < len(candidate.Name) && strings.EqualFold(candidate.Name[:len(name)], name) &&
				!slices.Contains(several, candidate.Name) {
				p, several = candidate, append(several, candidate.Name)
			}
		}
	}
	if len(several) != 1 {
		return exchange.Parameter{}, several
	}
	return p, nil
}

// argument reads one value.
func argument(v any) any {
	switch v := v.(type) {
	case nil, bool, string, int64, float64, []byte, secret.Value:
		return v
	case uint64:
		return int64(v)
	case time.Time:
		return v.Format(time.RFC3339Nano)
	case psrp.Credential:
		return exchange.Credential{User: v.User, Password: v.Password}
	case []string:
		return v
	case []any:
		out := make([]any, len(v))
		for i, e := range v {
			out[i] = argument(e)
		}
		return out
	case map[string]any:
		out := make(map[string]any, len(v))
		for k, e := range v {
			out[k] = argument(e)
		}
		return out
	case *psrp.Dict:
		out := make(map[string]any, len(v.Entries))
		for _, e := range v.Entries {
			out[psrp.Text(e.Key)] = argument(e.Value)
		}
		return out
	case *psrp.Object:
		if v == nil {
			return nil
		}
		if v.Is("System.Management.Automation.SwitchParameter") {
			return strings.EqualFold(psrp.Text(v), "True") || isPresent(v)
		}
		if v.Value != nil && !v.Is("System.Enum") {
			return argument(v.Value)
		}
		return psrp.Text(v)
	default:
		return psrp.Text(v)
	}
}

// isPresent returns the state of a SwitchParameter.
func isPresent(v *psrp.Object) bool {
	for _, list := range [][]psrp.Property{v.Properties, v.Extended} {
		for _, p := range list {
			if on, ok := p.Value.(bool); ok && p.Name == "IsPresent" {
				return on
			}
		}
	}
	return false
}

// categories are the error categories by name.
var categories = map[string]psrp.Category{
	"NotSpecified": psrp.NotSpecified, "InvalidArgument": psrp.InvalidArgument, "InvalidData": psrp.InvalidData,
	"InvalidOperation": psrp.InvalidOperation,
	"ObjectNotFound":   psrp.ObjectNotFound, "NotImplemented": psrp.NotImplemented,
	"PermissionDenied": psrp.PermissionDenied, "ResourceExists": psrp.ResourceExists,
}

// record is an error as PowerShell reports it.
func record(err error) *psrp.ErrorRecord {
	var e *exchange.Error
	if !errors.As(err, &e) {
		return &psrp.ErrorRecord{Message: err.Error(), ID: "RuntimeException", Reason: "RuntimeException",
			Exception: []string{"System.Management.Automation.RuntimeException"}}
	}
	_, short, _ := cutLast(e.ExceptionType, ".")
	types := []string{e.ExceptionType}
	if strings.HasPrefix(e.ExceptionType, "Microsoft.Exchange.") {
		types = append(types, "Microsoft.Exchange.Data.Common.LocalizedException")
	}
	types = append(types, "System.Exception", "System.Object")
	if short == "CommandNotFoundException" {
		return psrp.CommandNotFound(e.Target)
	}
	return &psrp.ErrorRecord{Message: e.Message, ID: e.FullyQualifiedID, Category: categories[e.Category],
		Activity: e.Cmdlet, Reason: short, TargetName: e.Target, Exception: types}
}

// getCommand answers Get-Command with the cmdlets of the caller's roles.
func (o *Organization) getCommand(caller Caller, cmd exchange.Command, w *psrp.Writer) error {
	named, _ := cmd.Parameter("Name")
	patterns := textsOf(named)
	may := o.Cmdlets(caller)
	if len(patterns) == 0 {
		patterns = []string{"*"}
	}
	action, _ := cmd.Parameter("ErrorAction")
	for _, pattern := range patterns {
		found := false
		for _, name := range may {
			if !matches(pattern, name) {
				continue
			}
			found = true
			if err := w.Output(o.commandInfo(name)); err != nil {
				return err
			}
		}
		if found || strings.Contains(pattern, "*") || action == "SilentlyContinue" || action == "Ignore" {
			continue
		}
		r := &psrp.ErrorRecord{Message: fmt.Sprintf("The term '%s' is not recognized as the name of a cmdlet, "+
			"function, script file, or operable program. Check the spelling of the name, or if a path was included, "+
			"verify that the path is correct and try again.", pattern),
			ID:       "CommandNotFoundException,Microsoft.PowerShell.Commands.GetCommandCommand",
			Category: psrp.ObjectNotFound, Activity: "Get-Command",
			Reason: "CommandNotFoundException", TargetName: pattern,
			Exception: []string{"System.Management.Automation.CommandNotFoundException", "System.Exception",
				"System.Object"}}
		if action == "Stop" {
			return r
		}
		if err := w.Error(r); err != nil {
			return err
		}
	}
	return nil
}

// commandInfo describes an exported cmdlet: in Exchange's sessions every one is a function.
func (o *Organization) commandInfo(name string) *psrp.Object {
	spec, _ := exchange.Catalogue().Find(name)
	parameters := &psrp.Dict{}
	for _, p := range spec.Parameters(o.c.Side) {
		if !o.withheld(name, p.Name) {
			parameters.Entries = append(parameters.Entries,
				psrp.Entry{Key: p.Name, Value: "System.Management.Automation.ParameterMetadata"})
		}
	}
	return &psrp.Object{
		Types: []string{"System.Management.Automation.FunctionInfo", "System.Management.Automation.CommandInfo",
			"System.Object"}, Text: name,
		Properties: []psrp.Property{
			{Name: "Name", Value: name},
			{Name: "CommandType", Value: &psrp.Object{Types: []string{"System.Management.Automation.CommandTypes",
				"System.Enum", "System.ValueType", "System.Object"}, Text: "Function", Value: int64(2)}},
			{Name: "ModuleName", Value: ""},
			{Name: "Parameters", Value: &psrp.Object{Types: []string{
				"System.Collections.Generic.Dictionary`2[[System.String]," +
					"[System.Management.Automation.ParameterMetadata]]",
				"System.Object",
			}, Value: parameters}},
		},
	}
}

// wireObject writes what a handler made.
func wireObject(o exchange.Object) *psrp.Object {
	out := &psrp.Object{Types: o.Types, Text: o.Text}
	if len(out.Types) == 0 {
		out.Types = []string{"System.Management.Automation.PSCustomObject", "System.Object"}
	}
	for _, name := range o.Names() {
		v, err := o.Value(name)
		if err != nil {
			continue
		}
		out.Properties = append(out.Properties, psrp.Property{Name: name, Value: wirePlain(v)})
	}
	return out
}

func wirePlain(v any) any {
	switch v := v.(type) {
	case exchange.Object:
		return wireObject(v)
	case []any:
		list := make([]any, len(v))
		for i, e := range v {
			list[i] = wirePlain(e)
		}
		return list
	case map[string]any:
		table := make(map[string]any, len(v))
		for k, e := range v {
			table[k] = wirePlain(e)
		}
		return table
	}
	return v
}
