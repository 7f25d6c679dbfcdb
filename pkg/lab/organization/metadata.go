package organization

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/hybridge-cli/hybridge/pkg/estate/exchange"
	"github.com/hybridge-cli/hybridge/pkg/wire/psrp"
)

// functions is the value of PowerShell's CommandTypes for functions: each cmdlet of Exchange's
// sessions is one.
const functions = 2

// commonParameters are what every cmdlet has, with type and alias.
var commonParameters = []struct{ name, kind, alias string }{
	{"Verbose", "SwitchParameter", "vb"}, {"Debug", "SwitchParameter", "db"},
	{"ErrorAction", "ActionPreference", "ea"}, {"WarningAction", "ActionPreference", "wa"},
	{"InformationAction", "ActionPreference", "infa"}, {"ErrorVariable", "String", "ev"},
	{"WarningVariable", "String", "wv"}, {"InformationVariable", "String", "iv"}, {"OutVariable", "String", "ov"},
	{"OutBuffer", "Int32", "ob"}, {"PipelineVariable", "String", "pv"},
}

// commandMetadata answers GET_COMMAND_METADATA, from which Import-PSSession makes proxies: a count,
// then a description per cmdlet.
func (o *Organization) commandMetadata(caller Caller, cmd exchange.Command, w *psrp.Writer) error {
	patterns := textsOf(cmd.Parameters["Name"])
	if len(patterns) == 0 {
		patterns = []string{"*"}
	}
	var names []string
	if wanted(cmd.Parameters["CommandType"]) {
		for _, name := range o.Cmdlets(caller) {
			if slices.ContainsFunc(patterns, func(p string) bool { return matches(p, name) }) {
				names = append(names, name)
			}
		}
	}
	if err := w.Output(selected("Microsoft.PowerShell.Commands.GenericMeasureInfo",
		psrp.Property{Name: "Count", Value: len(names)})); err != nil {
		return err
	}
	for _, name := range names {
		parameters := &psrp.Dict{}
		spec, _ := exchange.Catalogue().Find(name)
		for _, p := range spec.Parameters(o.c.Side) {
			if !o.withheld(name, p.Name) {
				parameters.Entries = append(parameters.Entries, parameter(p.Name, netType(p), p.Aliases))
			}
		}
		for _, c := range commonParameters {
			parameters.Entries = append(parameters.Entries,
				parameter(c.name, "System.Management.Automation."+c.kind, []string{c.alias}))
		}
		if err := w.Output(selected("System.Management.Automation.FunctionInfo",
			psrp.Property{Name: "Name", Value: name}, psrp.Property{Name: "Namespace", Value: ""},
			psrp.Property{Name: "HelpUri", Value: ""},
			psrp.Property{Name: "CommandType", Value: &psrp.Object{Types: []string{
				"System.Management.Automation.CommandTypes", "System.Enum", "System.ValueType", "System.Object"},
				Text: "Function", Value: int64(functions)}},
			psrp.Property{Name: "ResolvedCommandName"}, psrp.Property{Name: "OutputType", Value: &psrp.Object{
				Types: []string{"System.Collections.ObjectModel.ReadOnlyCollection`1" +
					"[[System.Management.Automation.PSTypeName]]", "System.Object"}, Value: []any{}}},
			psrp.Property{Name: "Parameters", Value: &psrp.Object{Types: []string{
				"System.Collections.Generic.Dictionary`2[[System.String]," +
					"[System.Management.Automation.ParameterMetadata]]", "System.Object"}, Value: parameters}},
		)); err != nil {
			return err
		}
	}
	return nil
}

// help answers Get-Help as a server without help files does: with the name and the parameters.
func (o *Organization) help(caller Caller, cmd exchange.Command, w *psrp.Writer) error {
	name, _ := cmd.Parameters["Name"].(string)
	for _, cmdlet := range o.Cmdlets(caller) {
		if !strings.EqualFold(cmdlet, name) {
			continue
		}
		spec, _ := exchange.Catalogue().Find(cmdlet)
		synopsis := cmdlet
		for _, p := range spec.Parameters(o.c.Side) {
			synopsis += " [-" + p.Name + "]"
		}
		return w.Output(&psrp.Object{Types: []string{"ExtendedCmdletHelpInfo",
			"System.Management.Automation.PSCustomObject", "System.Object"}, Extended: []psrp.Property{
			{Name: "Name", Value: cmdlet}, {Name: "Category", Value: "Function"}, {Name: "Synopsis", Value: synopsis}}})
	}
	return &psrp.ErrorRecord{Message: fmt.Sprintf("Get-Help could not find %s in a help file in this session.", name),
		ID: "HelpNotFound,Microsoft.PowerShell.Commands.GetHelpCommand", Category: psrp.ObjectNotFound,
		Activity: "Get-Help", Reason: "HelpNotFoundException",
		Exception: []string{"Microsoft.PowerShell.Commands.HelpNotFoundException", "System.Exception", "System.Object"}}
}

// wanted reports whether a CommandType includes functions.
func wanted(v any) bool {
	switch v := v.(type) {
	case nil:
		return true
	case int64:
		return v&functions != 0
	}
	text := fmt.Sprint(v)
	if n, err := strconv.ParseInt(text, 10, 64); err == nil {
		return n&functions != 0
	}
	return slices.ContainsFunc(strings.Split(text, ","), func(s string) bool {
		return strings.EqualFold(strings.TrimSpace(s), "Function") || strings.EqualFold(strings.TrimSpace(s), "All")
	})
}

// selected is an object as Select-Object leaves it.
func selected(kind string, properties ...psrp.Property) *psrp.Object {
	return &psrp.Object{Types: []string{"Selected." + kind, "System.Management.Automation.PSCustomObject",
		"System.Object"}, Extended: properties}
}

func parameter(name, kind string, aliases []string) psrp.Entry {
	list := make([]any, len(aliases))
	for i, a := range aliases {
		list[i] = a
	}
	const metadata = "System.Management.Automation.ParameterMetadata"
	return psrp.Entry{Key: name, Value: &psrp.Object{Types: []string{metadata, "System.Object"}, Text: metadata,
		Properties: []psrp.Property{
			{Name: "Name", Value: name}, {Name: "ParameterType", Value: kind},
			{Name: "Aliases", Value: &psrp.Object{Types: []string{
				"System.Collections.ObjectModel.Collection`1[[System.String]]", "System.Object"}, Value: list}},
			{Name: "IsDynamic", Value: false},
			{Name: "SwitchParameter", Value: strings.HasSuffix(kind, ".SwitchParameter")},
		}}}
}

// netType is a parameter's .NET type. A client takes a type that it does not know for any object.
func netType(p exchange.Parameter) string {
	switch p.Type {
	case "SwitchParameter", "PSCredential":
		return "System.Management.Automation." + p.Type
	case "SecureString":
		return "System.Security." + p.Type
	case "String", "String[]", "Boolean", "Int16", "Int32", "Int64", "UInt32", "Byte[]", "Guid", "DateTime", "Uri",
		"Version":
		return "System." + p.Type
	case "MultiValuedProperty":
		return multiValued
	}
	if strings.HasSuffix(p.Type, "IdParameter") {
		return "Microsoft.Exchange.Configuration.Tasks." + p.Type
	}
	if strings.HasPrefix(p.Type, "System.") || strings.HasPrefix(p.Type, "Microsoft.") {
		return p.Type
	}
	return "Microsoft.Exchange.Data." + p.Type
}

// withheld reports whether a parameter was taken from every caller's roles.
func (o *Organization) withheld(cmdlet, parameter string) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return containsFold(o.denied[strings.ToLower(cmdlet)], parameter)
}

// textsOf reads one text or several.
func textsOf(v any) []string {
	switch v := v.(type) {
	case string:
		return []string{v}
	case []string:
		return v
	case []any:
		out := make([]string, 0, len(v))
		for _, e := range v {
			out = append(out, fmt.Sprint(e))
		}
		return out
	}
	return nil
}
