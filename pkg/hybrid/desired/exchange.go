package desired

import (
	"cmp"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"maps"
	"strings"

	"github.com/hybridge-cli/hybridge/pkg/config/secret"
	"github.com/hybridge-cli/hybridge/pkg/engine/change"
	"github.com/hybridge-cli/hybridge/pkg/estate/exchange"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/fact"
)

// Exchange is Exchange as a system: on-premises and online the cmdlets are read and run alike.
var Exchange = &change.System[exchange.Reader, exchange.Session]{
	Reading: exchange.ReadOnly,
	Family: change.Family{
		ID: "exchange", Title: "Exchange",
		Places: []change.PlaceSort{
			{Name: OnPremises, Title: "Exchange on-premises", Step: 10, Use: func(forest string) []string {
				return []string{
					"Run in an Exchange Management Shell of forest " + forest + ", as Organization Management.",
				}
			}},
			{Name: Online, Title: "Exchange Online", Step: 20, Use: func(string) []string {
				return []string{
					"Run in Exchange Online PowerShell, as Organization Management.",
					"Use a session of its own: this module and Microsoft Graph PowerShell fail in one process.",
				}
			}},
		},
		Script: change.Script{
			Language: "PowerShell", Look: lookCmdlet, Write: writeCmdlet, Joined: joinedText, Identity: "Identity",
			Name: "Name",
		},
		Later: func(then change.Command) string {
			if then.Name == "Get-ExchangeDiagnosticInfo" { // it makes servers take a setting over at once
				return "Exchange takes the setting over by itself within the hour or when its services restart"
			}
			return "what it does has not happened: run it by hand"
		},
	},
	Run: runCmdlet,
}

// Verbs are the cmdlet verbs that exist for a kind.
type Verbs uint8

// The verbs. Get exists for all kinds.
const (
	New Verbs = 1 << iota
	Add       // creates an object where there is no New
	Set       // without it, an object that differs is removed and created again
	Remove
)

// Cmdlets are the operations of an Exchange kind, built from its noun.
type Cmdlets struct {
	Verbs Verbs
	// Of is the cmdlets' noun when the kind is one aspect of an object that another kind creates.
	// The aspect exists when one of its properties is set. The Set cmdlet creates and removes it,
	// at the object that the property Identity names.
	Of  string
	Get map[string]any // parameters of the Get cmdlet; left out again where the server does not know them
	// Only says that there is exactly one, and that its Set cmdlet takes no Identity
	// (OrganizationConfig).
	Only   bool
	Adjust func(*change.Command) // corrects a command where the cmdlet is irregular
	// Then runs after each command of the kind. It applies a setting to the running services, which
	// would otherwise pick it up only later.
	Then []change.Command
}

func (c Cmdlets) noun(k *Kind) string {
	if c.Of != "" {
		return c.Of
	}
	return k.Noun
}

// For builds the operations of a kind.
func (c Cmdlets) For(k *Kind) change.Ops[exchange.Reader] {
	noun := c.noun(k)
	ops := change.Ops[exchange.Reader]{Reads: []string{"Get-" + noun}, Aspect: c.Of != ""}
	for _, v := range []struct {
		verb Verbs
		name string
	}{{New, "New-"}, {Add, "Add-"}, {Set, "Set-"}, {Remove, "Remove-"}} {
		if c.Verbs&v.verb != 0 {
			ops.Writes = append(ops.Writes, v.name+noun)
		}
	}
	command := func(name string, parameters map[string]any) (change.Command, error) {
		out := change.Command{Name: name + noun, Parameters: parameters, Then: c.Then}
		if c.Adjust != nil {
			c.Adjust(&out)
		}
		return out, nil
	}
	set := func(identity any, want change.Properties) (change.Command, error) {
		parameters := sent(k, want, Property.Sent)
		if !c.Only {
			parameters["Identity"] = identity
		}
		return command("Set-", parameters)
	}

	ops.Find = func(change.Change) change.Command {
		return change.Command{Name: "Get-" + noun, Parameters: maps.Clone(c.Get)}
	}
	ops.Read = func(ctx context.Context, session exchange.Reader) ([]change.Live, error) {
		objects, err := fact.Get(ctx, session, exchange.Command{Name: "Get-" + noun, Parameters: maps.Clone(c.Get)})
		if errors.Is(err, exchange.ErrNotFound) && c.Only {
			return nil, nil // the one object does not exist yet
		}
		if err != nil {
			return nil, err
		}
		live := make([]change.Live, 0, len(objects))
		for _, o := range objects {
			if l := image(k, o); c.Of == "" || c.Only || k.Shown(l) {
				live = append(live, l)
			}
		}
		return live, nil
	}
	switch {
	case c.Of != "":
		ops.Create = func(name string, want change.Properties) (change.Command, error) {
			var identity any = name
			if whose := want["Identity"]; whose != nil {
				identity = whose // that of its object, which another change may have to create first
			}
			return set(identity, want)
		}
		ops.Delete = func(live change.Live) (change.Command, error) {
			nothing := change.Properties{}
			for name, p := range k.Properties {
				nothing[name] = p.Unset
			}
			return set(identityOf(live), nothing)
		}
	case c.Verbs&(New|Add) != 0:
		ops.Create = func(name string, want change.Properties) (change.Command, error) {
			parameters := sent(k, want, func(p Property) bool { return !p.Derived })
			maps.DeleteFunc(parameters, func(_ string, v any) bool { return v == nil })
			if c.Verbs&New == 0 {
				return command("Add-", parameters)
			}
			parameters["Name"] = name
			return command("New-", parameters)
		}
	}
	if c.Verbs&Set != 0 {
		ops.Update = func(want change.Properties, live change.Live) (change.Command, error) {
			return set(identityOf(live), want)
		}
	}
	if c.Verbs&Remove != 0 {
		ops.Delete = func(live change.Live) (change.Command, error) {
			return command("Remove-", map[string]any{"Identity": identityOf(live), "Confirm": false})
		}
	}
	return ops
}

func identityOf(l change.Live) any { return cmp.Or(l.Identity, l.Name) }

// sent returns the wanted values that a command of the kind may send.
func sent(k *Kind, want change.Properties, may func(Property) bool) map[string]any {
	out := map[string]any{}
	for name, v := range want {
		if p, declared := k.Properties[name]; declared && may(p) {
			out[name] = v
		}
	}
	return out
}

// image converts an object to the form of desired values. A property that the object lacks is left
// out: the server is too old for it, or it is not set.
func image(k *Kind, o exchange.Object) change.Live {
	name, _ := o.String("Name")
	identity, _ := o.String("Identity")
	return k.Image(cmp.Or(identity, name), name, func(property string) (any, error) {
		v, err := o.Value(property)
		if errors.Is(err, exchange.ErrAbsent) {
			return nil, change.ErrAbsent
		}
		return plainValue(v), err
	})
}

// plainValue converts Exchange's own types to text.
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
	case []byte:
		return base64.StdEncoding.EncodeToString(v)
	}
	if s, ok := exchange.Scalar(v); ok {
		return s
	}
	return change.Unreadable{Reason: fmt.Sprintf("a value of type %T", v)}
}

// runCmdlet runs one cmdlet. References may use the properties that it prints.
func runCmdlet(ctx context.Context, session exchange.Session, c change.Command) (change.Properties, error) {
	objects, err := session.Run(ctx, cmdlet(c))
	if err != nil {
		return nil, err
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

// cmdlet converts a plan's command to that of a session.
func cmdlet(c change.Command) exchange.Command {
	out := exchange.Command{Name: c.Name, Parameters: maps.Clone(c.Parameters)}
	for name, v := range out.Parameters {
		if joined(c, name) {
			out.Parameters[name] = strings.Join(texts(v), ",")
		}
		if user, password, is := credential(v); is {
			resolved, _ := password.(secret.Value)
			out.Parameters[name] = exchange.Credential{User: user, Password: resolved}
		}
		if file, is := v.(secret.Value); is && takesBytes(c.Name, name) {
			out.Parameters[name] = []byte(file.Reveal())
		}
	}
	return out
}

// credential takes a PSCredential apart: in a plan it is a map of UserName and Password.
func credential(v any) (user string, password any, is bool) {
	m, _ := v.(map[string]any)
	if len(m) != 2 || m["Password"] == nil {
		return "", nil, false
	}
	user, is = m["UserName"].(string)
	return user, m["Password"], is
}

// takesBytes reports whether a parameter takes the content of a file.
func takesBytes(name, parameter string) bool {
	cmdlet, _ := exchange.Catalogue().Find(name)
	p, known := cmdlet.Parameter(parameter)
	return known && p.Type == "Byte[]"
}

// joined reports whether a cmdlet takes a list as one text with commas, in a parameter of type
// String.
func joined(c change.Command, parameter string) bool {
	switch c.Parameters[parameter].(type) {
	case []any, []string:
	default:
		return false
	}
	cmdlet, _ := exchange.Catalogue().Find(c.Name)
	p, known := cmdlet.Parameter(parameter)
	return known && p.Type == "String"
}

// writeCmdlet writes a cmdlet with its parameters splatted. The cmdlets are functions of a module,
// which ignore the preferences of a script. Only ErrorAction stops the script at a refusal. Confirm
// is off because the script has already asked.
func writeCmdlet(c change.Command, w change.Writing) []string {
	cmdlet, _ := exchange.Catalogue().Find(c.Name)
	parameters := maps.Clone(c.Parameters)
	if parameters == nil {
		parameters = map[string]any{}
	}
	if _, asks := cmdlet.Parameter("Confirm"); asks {
		parameters["Confirm"] = false
	}
	parameters["ErrorAction"] = "Stop"
	for name, v := range parameters {
		if user, password, is := credential(v); is {
			parameters[name] = expression("(New-Object System.Management.Automation.PSCredential -ArgumentList " +
				w.Value(user) + ", " + w.Value(password) + ")")
		}
	}
	return append(table(w.Name, parameters, w.Value), "$null = "+c.Name+" @"+w.Name)
}

func lookCmdlet(find change.Command, w change.Writing) (before []string, expression string) {
	if len(find.Parameters) == 0 {
		return nil, find.Name + " -ErrorAction Stop"
	}
	parameters := maps.Clone(find.Parameters)
	parameters["ErrorAction"] = "Stop"
	return table(w.Name, parameters, w.Value), find.Name + " @" + w.Name
}

func joinedText(c change.Command, parameter, list string) string {
	if joined(c, parameter) {
		return "(" + list + " -join ',')"
	}
	return list
}

// table assigns a hashtable to a variable.
func table(name string, values map[string]any, value func(any) string) []string {
	lines := []string{"$" + name + " = @{"}
	for _, p := range parameterOrder(values) {
		lines = append(lines, "    "+p+" = "+value(values[p]))
	}
	return append(lines, "}")
}
