package organization

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/hybridge-cli/hybridge/pkg/config/secret"
	"github.com/hybridge-cli/hybridge/pkg/estate/exchange"
	"github.com/hybridge-cli/hybridge/pkg/wire/kerberos"
	"github.com/hybridge-cli/hybridge/pkg/wire/psrp"
)

// Authentication is how callers of remote PowerShell prove who they are.
type Authentication struct {
	// Password tells whether a password is the user's; Basic is not offered when nil.
	Password func(ctx context.Context, user, password string) error
	// Kerberos accepts tickets; not offered when nil. The http.Server needs the handler's ConnContext.
	Kerberos *kerberos.Acceptor
	// AllowUnencrypted takes Basic without TLS.
	AllowUnencrypted bool
	// Caller says what an authenticated user may do; everything when nil. An error refuses the session.
	Caller func(psrp.Caller) (Caller, error)
}

// Shells serves an organization as Exchange's remote PowerShell. Sessions whose URL says
// serializationLevel=Full and sessions whose URL does not are kept apart.
type Shells struct{ Full, Plain *psrp.Server }

// PowerShell serves the organization as Exchange's remote PowerShell: the session configuration
// Microsoft.Exchange in restricted language mode. An http.Server needs its ConnContext for Kerberos.
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
		Name: strings.ToUpper(firstLabel(o.c.Server)), Admit: admit, Authenticate: a.Password, Kerberos: a.Kerberos, AllowUnencrypted: a.AllowUnencrypted,
		Run: func(ctx context.Context, who psrp.Caller, p psrp.Pipeline, w *psrp.Writer) error {
			caller := Caller{User: who.User}
			if a.Caller != nil {
				var err error
				if caller, err = a.Caller(who); err != nil {
					return &psrp.ErrorRecord{Message: err.Error(), ID: "AuthorizationException", Category: psrp.PermissionDenied, Reason: "AuthorizationException",
						Exception: []string{"System.UnauthorizedAccessException", "System.SystemException", "System.Exception", "System.Object"}}
				}
			}
			return o.pipeline(ctx, caller, p, w, full)
		},
	}
}

// pipeline runs what a client sent; scripts were refused before.
func (o *Organization) pipeline(ctx context.Context, caller Caller, p psrp.Pipeline, w *psrp.Writer, full bool) error {
	if len(p.Commands) != 1 {
		return record(unsimulated("a pipeline of %d commands", len(p.Commands)))
	}
	cmd, err := command(p.Commands[0])
	if err != nil {
		return record(err)
	}
	if strings.EqualFold(cmd.Name, "Get-Command") {
		return o.getCommand(caller, cmd, w)
	}
	action, _ := cmd.Parameter("ErrorAction")
	out, warnings, err := o.run(ctx, caller, cmd)
	for _, text := range warnings {
		if err := w.Warning(text); err != nil {
			return err
		}
	}
	for _, e := range out {
		if err := w.Output(e.wire(full)); err != nil {
			return err
		}
	}
	if err == nil {
		return nil
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
		return r
	case strings.EqualFold(how, "SilentlyContinue") || strings.EqualFold(how, "Ignore"):
		return nil
	}
	return w.Error(r)
}

// command reads what a client sent into a Command.
func command(c psrp.Command) (exchange.Command, error) {
	out := exchange.Command{Name: c.Name, Parameters: map[string]any{}}
	spec, known := exchange.Catalogue().Find(c.Name)
	for _, p := range c.Parameters {
		name := strings.TrimSuffix(strings.TrimPrefix(p.Name, "-"), ":")
		if name == "" { // positional: Identity, or Name where there is none
			if _, ok := spec.Parameter("Identity"); known && ok {
				name = "Identity"
			} else {
				name = "Name"
			}
		}
		if spec, ok := spec.Parameter(name); ok && known {
			name = spec.Name
		}
		if _, twice := out.Parameters[name]; twice {
			return out, &exchange.Error{Cmdlet: c.Name, Category: "InvalidArgument", FullyQualifiedID: "ParameterAlreadyBound," + c.Name, Target: name,
				ExceptionType: "System.Management.Automation.ParameterBindingException",
				Message:       fmt.Sprintf("Cannot bind parameter because parameter '%s' is specified more than once.", name)}
		}
		out.Parameters[name] = argument(p.Value)
	}
	return out, nil
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
		if v.Value != nil && !v.Is("System.Enum") {
			return argument(v.Value)
		}
		return psrp.Text(v)
	default:
		return psrp.Text(v)
	}
}

// categories by name.
var categories = map[string]psrp.Category{
	"NotSpecified": psrp.NotSpecified, "InvalidArgument": psrp.InvalidArgument, "InvalidData": psrp.InvalidData, "InvalidOperation": psrp.InvalidOperation,
	"ObjectNotFound": psrp.ObjectNotFound, "NotImplemented": psrp.NotImplemented, "PermissionDenied": psrp.PermissionDenied, "ResourceExists": psrp.ResourceExists,
}

// record is an error as PowerShell reports it.
func record(err error) *psrp.ErrorRecord {
	var e *exchange.Error
	if !errors.As(err, &e) {
		return &psrp.ErrorRecord{Message: err.Error(), ID: "RuntimeException", Reason: "RuntimeException", Exception: []string{"System.Management.Automation.RuntimeException"}}
	}
	_, short, _ := cutLast(e.ExceptionType, ".")
	types := []string{e.ExceptionType}
	if strings.HasPrefix(e.ExceptionType, "Microsoft.Exchange.") {
		types = append(types, "Microsoft.Exchange.Data.Common.LocalizedException")
	}
	types = append(types, "System.Exception", "System.Object")
	return &psrp.ErrorRecord{Message: e.Message, ID: e.FullyQualifiedID, Category: categories[e.Category], Activity: e.Cmdlet, Reason: short, TargetName: e.Target, Exception: types}
}

// getCommand answers Get-Command: what the caller's roles export.
func (o *Organization) getCommand(caller Caller, cmd exchange.Command, w *psrp.Writer) error {
	var patterns []string
	switch v, _ := cmd.Parameter("Name"); v := v.(type) {
	case string:
		patterns = []string{v}
	case []string:
		patterns = v
	case []any:
		for _, e := range v {
			patterns = append(patterns, fmt.Sprint(e))
		}
	}
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
		r := &psrp.ErrorRecord{Message: fmt.Sprintf("The term '%s' is not recognized as the name of a cmdlet, function, script file, or operable program. Check the spelling of the name, or if a path was included, verify that the path is correct and try again.", pattern),
			ID: "CommandNotFoundException,Microsoft.PowerShell.Commands.GetCommandCommand", Category: psrp.ObjectNotFound, Activity: "Get-Command",
			Reason: "CommandNotFoundException", TargetName: pattern, Exception: []string{"System.Management.Automation.CommandNotFoundException", "System.Exception", "System.Object"}}
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
	o.mu.Lock()
	withheld := o.denied[strings.ToLower(name)]
	o.mu.Unlock()
	parameters := &psrp.Dict{}
	for _, p := range spec.Parameters(o.c.Side) {
		if !containsFold(withheld, p.Name) {
			parameters.Entries = append(parameters.Entries, psrp.Entry{Key: p.Name, Value: "System.Management.Automation.ParameterMetadata"})
		}
	}
	return &psrp.Object{
		Types: []string{"System.Management.Automation.FunctionInfo", "System.Management.Automation.CommandInfo", "System.Object"}, Text: name,
		Properties: []psrp.Property{
			{Name: "Name", Value: name},
			{Name: "CommandType", Value: &psrp.Object{Types: []string{"System.Management.Automation.CommandTypes", "System.Enum", "System.ValueType", "System.Object"}, Text: "Function", Value: int64(2)}},
			{Name: "ModuleName", Value: ""},
			{Name: "Parameters", Value: &psrp.Object{Types: []string{"System.Collections.Generic.Dictionary`2[[System.String],[System.Management.Automation.ParameterMetadata]]", "System.Object"}, Value: parameters}},
		},
	}
}

// configurationTypes are the base types of what configuration cmdlets print.
var configurationTypes = []string{"Microsoft.Exchange.Data.Directory.SystemConfiguration.ADConfigurationObject", "Microsoft.Exchange.Data.Directory.ADObject",
	"Microsoft.Exchange.Data.Directory.ADRawEntry", "Microsoft.Exchange.Data.ConfigurableObject", "System.Object"}

// wire is an output object as remote PowerShell carries it. With serializationLevel=Full in its URL a
// session gets typed values; without it enumerations, ids, sizes and versions are plain texts.
func (e output) wire(full bool) *psrp.Object {
	if e.record == nil {
		return wireObject(e.object)
	}
	n := e.record.noun
	out := &psrp.Object{Types: append([]string{n.netType}, configurationTypes...), Text: e.object.Text}
	if len(n.prints) > 0 {
		out.Types = []string{n.netType, "System.Object"}
		out.Text = fmt.Sprintf("[Subject]\r\n  %v\r\n\r\n[Issuer]\r\n  %v\r\n\r\n[Thumbprint]\r\n  %v\r\n", value(e.list, "Subject"), value(e.list, "Issuer"), value(e.list, "Thumbprint"))
	}
	for _, p := range e.list {
		if len(n.prints) > 0 && !containsFold(n.prints, p.name) {
			continue
		}
		out.Properties = append(out.Properties, psrp.Property{Name: p.name, Value: wireValue(p, full)})
	}
	return out
}

func value(list []shown, name string) any {
	for _, p := range list {
		if p.name == name {
			return p.value
		}
	}
	return nil
}

const assembly = ", Microsoft.Exchange.Data, Version=15.0.0.0, Culture=neutral, PublicKeyToken=31bf3856ad364e35"

// wireValue writes a value in the property's .NET type.
func wireValue(p shown, full bool) any {
	if p.value == nil {
		return nil
	}
	kind, enum := strings.CutPrefix(p.kind, "enum:")
	if p.list {
		inner := "System.String, mscorlib, Version=4.0.0.0, Culture=neutral, PublicKeyToken=b77a5c561934e089"
		if p.kind != "string" {
			inner = fullType(kind) + assembly
		}
		list := []any{}
		for _, s := range asList(p.value) {
			one := p
			one.list, one.value = false, s
			list = append(list, wireValue(one, full))
		}
		if !full {
			return &psrp.Object{Types: []string{"System.Collections.ArrayList", "System.Object"}, Value: list}
		}
		return &psrp.Object{Types: []string{"Microsoft.Exchange.Data.MultiValuedProperty`1[[" + inner + "]]", "Microsoft.Exchange.Data.MultiValuedPropertyBase", "System.Object"}, Value: list}
	}
	text, isText := p.value.(string)
	switch {
	case !isText || p.kind == "string":
		return p.value
	case p.kind == "guid":
		if g, err := psrp.ParseGUID(text); err == nil {
			return g
		}
		return text
	case p.kind == "uri":
		return psrp.URI(text)
	case !full:
		return text
	case enum:
		return &psrp.Object{Types: []string{fullType(kind), "System.Enum", "System.ValueType", "System.Object"}, Text: text, Value: enumNumber(kind, text)}
	case p.kind == "Fqdn", p.kind == "IPAddress":
		return text
	}
	return &psrp.Object{Types: []string{fullType(kind), "System.Object"}, Text: text, Extended: []psrp.Property{{Name: "SerializationData", Value: []byte{0, 1, 0, 0, 0}}}}
}

// fullType gives a type its namespace, where it is not the common one.
func fullType(kind string) string {
	switch kind {
	case "ADObjectId", "OrganizationId":
		return "Microsoft.Exchange.Data.Directory." + kind
	case "AcceptedDomainType", "AuthServerType", "AuthenticationMethod", "ServerRole", "GzipLevel", "SettingOverrideStatus", "TlsAuthLevel", "SupportedAccountType":
		return "Microsoft.Exchange.Data.Directory.SystemConfiguration." + kind
	}
	return "Microsoft.Exchange.Data." + kind
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
