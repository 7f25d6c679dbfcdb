package psrp

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/hybridge-cli/hybridge/pkg/config/secret"
)

// pipelineObject is the data of a CREATE_PIPELINE message ([MS-PSRP] 2.2.2.10).
func pipelineObject(pl Pipeline, protocol string) *Object {
	result := func(name string) Property {
		return Property{name, enum("System.Management.Automation.Runspaces.PipelineResultTypes", "None", 0)}
	}
	list := []any{}
	for _, c := range pl.Commands {
		args := []any{}
		for _, a := range c.Parameters {
			name := any(nil)
			if a.Name != "" {
				name = a.Name
			}
			args = append(args, members(Property{"N", name}, Property{"V", a.Value}))
		}
		command := members(
			Property{"Cmd", c.Name}, Property{"IsScript", c.Script}, Property{"UseLocalScope", nil},
			result("MergeMyResult"), result("MergeToResult"), result("MergePreviousResults"),
			Property{"Args", &Object{Types: objectListTypes, Value: args}})
		if protocol != "2.0" && protocol != "2.1" {
			command.Extended = append(command.Extended, result("MergeError"), result("MergeWarning"),
				result("MergeVerbose"), result("MergeDebug"))
			if protocol != "2.2" {
				command.Extended = append(command.Extended, result("MergeInformation"))
			}
		}
		list = append(list, command)
	}
	return members(
		Property{"NoInput", true}, Property{"ApartmentState", apartment()},
		Property{"RemoteStreamOptions", enum("System.Management.Automation.RemoteStreamOptions", "0", 0)},
		Property{"AddToHistory", false}, Property{"HostInfo", noHost()},
		Property{"PowerShell", members(
			Property{"IsNested", false}, Property{"ExtraCmds", nil},
			Property{"Cmds", &Object{Types: objectListTypes, Value: list}},
			Property{"History", nil}, Property{"RedirectShellErrorOutputPipe", false})},
		Property{"IsNested", false})
}

var objectListTypes = []string{"System.Collections.Generic.List`1[[System.Management.Automation.PSObject, " +
	"System.Management.Automation, Version=1.0.0.0, Culture=neutral, PublicKeyToken=31bf3856ad364e35]]",
	"System.Object"}

func apartment() *Object {
	return enum("System.Management.Automation.Runspaces.ApartmentState", "UNKNOWN", 2)
}

// noHost declares the host non-interactive: a cmdlet that wants confirmation fails and does not
// wait.
func noHost() *Object {
	return members(Property{"_isHostNull", true}, Property{"_isHostUINull", true}, Property{"_isHostRawUINull", true},
		Property{"_useRunspaceHost", true})
}

// needsKey reports whether a parameter carries a secret.
func needsKey(pl Pipeline) bool {
	var holds func(v any, depth int) bool
	holds = func(v any, depth int) bool {
		if depth > maxDepth {
			return false // writing it fails
		}
		switch v := v.(type) {
		case secret.Value, Credential:
			return true
		case []any:
			return slices.ContainsFunc(v, func(v any) bool { return holds(v, depth+1) })
		case map[string]any:
			for _, v := range v {
				if holds(v, depth+1) {
					return true
				}
			}
		case *Dict:
			return v != nil && slices.ContainsFunc(v.Entries,
				func(e Entry) bool { return holds(e.Key, depth+1) || holds(e.Value, depth+1) })
		case *Object:
			return v != nil && (holds(v.Value, depth+1) ||
				slices.ContainsFunc(slices.Concat(v.Properties, v.Extended),
					func(p Property) bool { return holds(p.Value, depth+1) }))
		}
		return false
	}
	for _, c := range pl.Commands {
		for _, a := range c.Parameters {
			if holds(a.Value, 0) {
				return true
			}
		}
	}
	return false
}

// The required members of a pipeline, its PowerShell and each command ([MS-PSRP] 2.2.2.10,
// 2.2.3.11, 2.2.3.12), even when they are null. Windows refuses a message without one of them.
var (
	pipelineMembers = []string{"NoInput", "ApartmentState", "RemoteStreamOptions", "AddToHistory", "HostInfo",
		"PowerShell", "IsNested"}
	powerShellMembers = []string{"IsNested", "Cmds", "History", "RedirectShellErrorOutputPipe"}
	commandMembers    = []string{"Cmd", "IsScript", "UseLocalScope", "MergeMyResult", "MergeToResult",
		"MergePreviousResults", "Args"}
)

func lacks(o *Object, members []string) error {
	for _, m := range members {
		if _, ok := o.Get(m); !ok {
			return fmt.Errorf("%s is missing", m)
		}
	}
	return nil
}

// parsePipeline reads the data of a CREATE_PIPELINE message. key decrypts secrets; without it they
// stay a SecureString.
func parsePipeline(o *Object, key *sessionKey) (Pipeline, error) {
	var pl Pipeline
	if err := lacks(o, pipelineMembers); err != nil {
		return pl, fmt.Errorf("pipeline: %w", err)
	}
	shell, _ := o.Get("PowerShell")
	ps, _ := shell.(*Object)
	if err := lacks(ps, powerShellMembers); err != nil {
		return pl, fmt.Errorf("pipeline: PowerShell: %w", err)
	}
	var err error
	pl.Commands, err = parseCommands(ps, key)
	return pl, err
}

// parseStatements reads the pipelines of a CREATE_PIPELINE message that holds several statements;
// the first of them is the pipeline itself.
func parseStatements(o *Object, key *sessionKey) ([]Pipeline, error) {
	first, err := parsePipeline(o, key)
	if err != nil {
		return nil, err
	}
	shell, _ := o.Get("PowerShell")
	ps, _ := shell.(*Object)
	extra, _ := ps.Get("ExtraCmds")
	list, _ := listOf(extra)
	if len(list) == 0 {
		return []Pipeline{first}, nil
	}
	out := make([]Pipeline, 0, len(list))
	for _, v := range list {
		statement, ok := v.(*Object)
		if !ok {
			return nil, errors.New("statement is no object")
		}
		commands, err := parseCommands(statement, key)
		if err != nil {
			return nil, err
		}
		out = append(out, Pipeline{Commands: commands})
	}
	return out, nil
}

// parseMetadata reads the data of a GET_COMMAND_METADATA message.
func parseMetadata(o *Object, key *sessionKey) (Pipeline, error) {
	get := Command{Name: "Get-Command"}
	for _, name := range []string{"Name", "CommandType", "Namespace"} {
		v, _ := o.Get(name)
		if v == nil {
			continue
		}
		value, err := plain(v, key)
		if err != nil {
			return Pipeline{}, err
		}
		get.Parameters = append(get.Parameters, Parameter{name, value})
	}
	return Pipeline{Commands: []Command{get}, Metadata: true}, nil
}

func parseCommands(ps *Object, key *sessionKey) ([]Command, error) {
	var out []Command
	cmds, _ := ps.Get("Cmds")
	commands, ok := listOf(cmds)
	if !ok || len(commands) == 0 {
		return nil, errors.New("pipeline without commands")
	}
	for _, v := range commands {
		c, ok := v.(*Object)
		if !ok {
			return nil, errors.New("command is no object")
		}
		if err := lacks(c, commandMembers); err != nil {
			return nil, fmt.Errorf("command: %w", err)
		}
		name, _ := c.Get("Cmd")
		text, ok := name.(string)
		if !ok || text == "" {
			return nil, errors.New("command without a name")
		}
		script, _ := c.Get("IsScript")
		isScript, _ := script.(bool)
		command := Command{Name: text, Script: isScript}
		value, _ := c.Get("Args")
		args, ok := listOf(value)
		if !ok && value != nil {
			return nil, fmt.Errorf("arguments of %.60q do not parse", text)
		}
		for _, v := range args {
			a, ok := v.(*Object)
			if !ok {
				return nil, fmt.Errorf("argument of %.60q is no object", text)
			}
			n, _ := a.Get("N")
			value, _ := a.Get("V")
			plainValue, err := plain(value, key)
			if err != nil {
				return nil, fmt.Errorf("argument of %.60q: %w", text, err)
			}
			// "-Name" and "-Name:" are how the console sends parameters.
			command.Parameters = append(command.Parameters,
				Parameter{strings.TrimSuffix(strings.TrimPrefix(Text(n), "-"), ":"), plainValue})
		}
		out = append(out, command)
	}
	return out, nil
}

func listOf(v any) ([]any, bool) {
	if o, ok := v.(*Object); ok && o != nil {
		v = o.Value
	}
	list, ok := v.([]any)
	return list, ok
}

// plain unwraps collections, hashtables, credentials and decorated primitives, and decrypts
// secrets.
func plain(v any, key *sessionKey) (any, error) {
	switch v := v.(type) {
	case SecureString:
		if key == nil {
			return nil, errNoSessionKey
		}
		return key.decrypt(v)
	case []any:
		list := make([]any, len(v))
		for i := range v {
			var err error
			if list[i], err = plain(v[i], key); err != nil {
				return nil, err
			}
		}
		return list, nil
	case *Dict:
		m := map[string]any{}
		for _, e := range v.Entries {
			value, err := plain(e.Value, key)
			if err != nil {
				return nil, err
			}
			m[Text(e.Key)] = value
		}
		return m, nil
	case *Object:
		if v.Is("System.Management.Automation.PSCredential") {
			user, _ := v.Get("UserName")
			password, _ := v.Get("Password")
			c := Credential{User: Text(user)}
			if password != nil {
				p, err := plain(password, key)
				if err != nil {
					return nil, err
				}
				var ok bool
				if c.Password, ok = p.(secret.Value); !ok {
					return nil, errors.New("credential without a secure password")
				}
			}
			return c, nil
		}
		switch v.Value.(type) {
		case nil:
			return v, nil
		case int64: // an enum: its text says more
			if v.Is("System.Enum") {
				return v, nil
			}
		}
		return plain(v.Value, key)
	}
	return v, nil
}

// take adds a message of the pipeline to the output. ended says that it was the last.
func (out *Output) take(pl Pipeline, m message) (ended bool, err error) {
	record := func(v any) {
		if pl.OnRecord != nil {
			pl.OnRecord(v)
		}
	}
	switch m.kind {
	case pipelineOutput:
		v, err := m.output()
		if err != nil {
			return false, err
		}
		if pl.OnOutput != nil {
			return false, pl.OnOutput(v)
		}
		out.Objects = append(out.Objects, v)
	case errorRecordMessage:
		o, err := m.members()
		if err != nil {
			return false, err
		}
		e := errorRecordOf(o)
		out.Errors = append(out.Errors, e)
		record(e)
	case warningRecord, verboseRecord, debugRecord:
		o, err := m.members()
		if err != nil {
			return false, err
		}
		text := warningText(o)
		switch m.kind {
		case warningRecord:
			out.Warnings = append(out.Warnings, text)
			record(Warning(text))
		case verboseRecord:
			out.Verbose = append(out.Verbose, text)
			record(Verbose(text))
		default:
			out.Debug = append(out.Debug, text)
			record(Debug(text))
		}
	case informationRecord:
		o, err := m.members()
		if err != nil {
			return false, err
		}
		i := Information{Source: textOf(o, "Source")}
		i.Message, _ = o.Get("MessageData")
		tags, _ := o.Get("Tags")
		list, _ := listOf(tags)
		for _, t := range list {
			i.Tags = append(i.Tags, Text(t))
		}
		out.Information = append(out.Information, i)
		record(i)
	case progressRecord:
		o, err := m.members()
		if err != nil {
			return false, err
		}
		out.Progress++
		record(Progress{
			Activity: textOf(o, "Activity"), Status: textOf(o, "StatusDescription"),
			Operation:        textOf(o, "CurrentOperation"),
			Percent:          int(integerOf(o, "PercentComplete", -1)),
			SecondsRemaining: int(integerOf(o, "SecondsRemaining", -1)), Completed: integerOf(o, "Type", 0) == 1,
		})
	case pipelineHostCall:
		call := m.hostCall()
		if text, ok := call.warning(); ok {
			out.Warnings = append(out.Warnings, text)
			record(Warning(text))
		}
		if call.answered {
			return false, fmt.Errorf("the command asks a question (%s), and this client cannot answer questions",
				call.method)
		}
	case pipelineState:
		o, err := m.members()
		if err != nil {
			return false, err
		}
		switch state := integerOf(o, "PipelineState", -1); state {
		case pipelineCompleted:
			return true, nil
		case pipelineFailed, pipelineStopped:
			if v, _ := o.Get("ExceptionAsErrorRecord"); v != nil {
				return true, errorRecordOf(v)
			}
			if state == pipelineStopped {
				return true, errStopped
			}
			return true, errors.New("the pipeline failed without an error")
		}
	}
	return false, nil
}

// warningText is the text of a warning, verbose or debug record.
func warningText(o *Object) string {
	if text := textOf(o, "InformationalRecord_Message"); text != "" {
		return text
	}
	return o.Text
}

var errStopped = errors.New("the pipeline was stopped")
