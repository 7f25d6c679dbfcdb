package exchange

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/hybridge-cli/hybridge/pkg/wire/link"
	"github.com/hybridge-cli/hybridge/templates"
)

// catalogue.json is the part of the cmdlet reference that hybridge uses; `go test
// ./pkg/estate/exchange -run Catalogue -update` regenerates it, then `go test ./templates -update`
// compresses it.
//
//go:embed catalogue.json.gz
var catalogueGzip []byte

// amendments.json is what the reference leaves out, each with the place where it is documented. It
// is laid over the catalogue.
//
//go:embed amendments.json
var amendmentsJSON []byte

// Cmdlets is a catalogue of cmdlets: what exists on which side, with which parameters. It never
// changes after it is made.
type Cmdlets struct{ byName map[string]Cmdlet }

type Cmdlet struct {
	Name       string
	Sides      []Side
	parameters map[string]Parameter
}

type Parameter struct {
	Name      string
	Type      string   // "String", "MultiValuedProperty", "Uri", ...; of .NET, without namespace
	Sides     []Side   // where it exists
	Aliases   []string // other names for it
	Sets      []string // the parameter sets it is in; "(All)" for every one
	Mandatory []string // the sets in which it must be given
	Values    []string // the documented values of an enumeration; can be short, see Closed
	Closed    bool     // Values is known to be complete
}

// Catalogue returns the catalogue that is embedded in the program.
func Catalogue() Cmdlets { return embedded() }

var embedded = sync.OnceValue(func() Cmdlets {
	c, err := readCatalogue(templates.Unpack(catalogueGzip), amendmentsJSON)
	if err != nil {
		panic("exchange: embedded cmdlet catalogue: " + err.Error()) // a test checks it
	}
	return c
})

// cmdletJSON is a cmdlet as the catalogue's files have it.
type cmdletJSON struct {
	Where      []Side                   `json:"where,omitempty"`
	Parameters map[string]parameterJSON `json:"parameters,omitempty"`
	Source     string                   `json:"source,omitempty"` // of an amendment
}

type parameterJSON struct {
	Type       string   `json:"type,omitempty"`
	Where      []Side   `json:"where,omitempty"`
	Aliases    []string `json:"aliases,omitempty"`
	Sets       []string `json:"sets,omitempty"`
	RequiredIn []string `json:"requiredIn,omitempty"`
	Values     []string `json:"values,omitempty"`
	Closed     bool     `json:"closed,omitempty"`
}

func readCatalogue(files ...[]byte) (Cmdlets, error) {
	c := Cmdlets{byName: map[string]Cmdlet{}}
	for _, text := range files {
		var raw map[string]cmdletJSON
		if err := json.Unmarshal(text, &raw); err != nil {
			return c, err
		}
		for name, entry := range raw {
			cmdlet, ok := c.byName[strings.ToLower(name)]
			if !ok {
				cmdlet = Cmdlet{Name: name, parameters: map[string]Parameter{}}
			}
			if entry.Where != nil {
				cmdlet.Sides = entry.Where
			}
			for pname, p := range entry.Parameters {
				key := strings.ToLower(pname)
				old, amended := cmdlet.parameters[key]
				if !amended {
					old = Parameter{Name: pname, Type: p.Type, Sides: p.Where, Aliases: p.Aliases, Sets: p.Sets,
						Mandatory: p.RequiredIn, Values: p.Values, Closed: p.Closed}
				} else {
					if p.Type != "" {
						old.Type = p.Type
					}
					if p.Where != nil {
						old.Sides = p.Where
					}
					if p.Sets != nil {
						old.Sets = p.Sets
					}
					if p.RequiredIn != nil {
						old.Mandatory = p.RequiredIn
					}
					old.Values = append(slices.Clone(old.Values), p.Values...)
					old.Closed = old.Closed || p.Closed
				}
				cmdlet.parameters[key] = old
			}
			c.byName[strings.ToLower(name)] = cmdlet
		}
	}
	return c, nil
}

// Find returns a cmdlet by name, compared without case.
func (c Cmdlets) Find(name string) (Cmdlet, bool) {
	cmdlet, ok := c.byName[strings.ToLower(name)]
	return cmdlet, ok
}

// Names returns the names of the cmdlets that exist on a side, sorted.
func (c Cmdlets) Names(side Side) []string {
	var names []string
	for _, cmdlet := range c.byName {
		if cmdlet.On(side) {
			names = append(names, cmdlet.Name)
		}
	}
	slices.Sort(names)
	return names
}

// On reports whether the cmdlet exists on a side.
func (c Cmdlet) On(side Side) bool { return slices.Contains(c.Sides, side) }

// Parameter returns a parameter by name or alias, compared without case.
func (c Cmdlet) Parameter(name string) (Parameter, bool) {
	if p, ok := c.parameters[strings.ToLower(name)]; ok {
		return p, true
	}
	for _, p := range c.parameters {
		for _, a := range p.Aliases {
			if strings.EqualFold(a, name) {
				return p, true
			}
		}
	}
	return Parameter{}, false
}

// Parameters returns the parameters that exist on a side, by name.
func (c Cmdlet) Parameters(side Side) []Parameter {
	var out []Parameter
	for _, key := range slices.Sorted(maps.Keys(c.parameters)) {
		if p := c.parameters[key]; p.On(side) {
			out = append(out, p)
		}
	}
	return out
}

// On reports whether the parameter exists on a side.
func (p Parameter) On(side Side) bool { return slices.Contains(p.Sides, side) }

// Switch reports whether the parameter is a switch.
func (p Parameter) Switch() bool { return p.Type == "SwitchParameter" }

// List reports whether the parameter takes several values.
func (p Parameter) List() bool {
	return strings.HasPrefix(p.Type, "MultiValuedProperty") || strings.HasSuffix(p.Type, "[]") && p.Type != "Byte[]" ||
		strings.HasSuffix(p.Type, "Collection") ||
		len(p.Values) > 1 && (p.Type == "AuthMechanisms" || p.Type == "PermissionGroups")
}

const allSets = "(All)"

// common are the parameters that PowerShell itself gives to every cmdlet.
var common = []string{"Verbose", "Debug", "ErrorAction", "WarningAction", "InformationAction", "ErrorVariable",
	"WarningVariable", "InformationVariable", "OutVariable", "OutBuffer", "PipelineVariable"}

// IsCommon reports whether a parameter is one that every cmdlet has.
func IsCommon(name string) bool {
	return slices.ContainsFunc(common, func(c string) bool { return strings.EqualFold(c, name) })
}

// Bind checks a command as PowerShell's parameter binder does. The cmdlet and its parameters exist
// on the side. The parameters belong to one parameter set, and its mandatory ones are given. Every
// value converts. It returns the values by the parameters' own names, without the common ones. The
// error is an *Error with PowerShell's category, id and words.
func (c Cmdlets) Bind(cmd Command, side Side) (map[string]any, error) {
	spec, ok := c.Find(cmd.Name)
	if !ok || !spec.On(side) {
		return nil, &Error{
			Cmdlet: cmd.Name, Category: "ObjectNotFound", FullyQualifiedID: "CommandNotFoundException",
			Target:        cmd.Name,
			ExceptionType: "System.Management.Automation.CommandNotFoundException",
			Message: fmt.Sprintf("The term '%s' is not recognized as the name of a cmdlet, function, script "+
				"file, or operable program. Check the spelling of the name, or if a path was included, verify that "+
				"the path is correct and try again.", cmd.Name),
		}
	}
	bad := func(id, target, format string, args ...any) *Error {
		return &Error{
			Cmdlet: spec.Name, Category: "InvalidArgument", FullyQualifiedID: id + "," + spec.Name, Target: target,
			ExceptionType: "System.Management.Automation.ParameterBindingException",
			Message:       fmt.Sprintf(format, args...),
		}
	}
	prepared, err := cmd.prepared()
	if err != nil {
		return nil, bad("InvalidArgument", "", "%v", err)
	}
	values := make(map[string]any, len(prepared.Parameters))
	sets := map[string]bool{} // those that hold all parameters given; nil until one narrows them
	narrowed := false
	for _, name := range prepared.names() {
		if IsCommon(name) {
			continue
		}
		p, ok := spec.Parameter(name)
		if !ok || !p.On(side) {
			return nil, bad("NamedParameterNotFound", name,
				"A parameter cannot be found that matches parameter name '%s'.", name)
		}
		value, err := p.convert(prepared.Parameters[name])
		if err != nil {
			e := bad("ParameterArgumentTransformationError", name,
				"Cannot process argument transformation on parameter '%s'. %v", p.Name, err)
			e.Category, e.ExceptionType = "InvalidData",
				"System.Management.Automation.ParameterBindingArgumentTransformationException"
			return nil, e
		}
		if value == nil && slices.Contains(p.Mandatory, allSets) {
			return nil, bad("ParameterArgumentValidationErrorNullNotAllowed", name,
				"Cannot bind argument to parameter '%s' because it is null.", p.Name)
		}
		if _, twice := values[p.Name]; twice {
			return nil, bad("ParameterAlreadyBound", name,
				"Cannot bind parameter because parameter '%s' is specified more than once. To provide multiple "+
					"values to parameters that can accept multiple values, use the array syntax. For example, "+
					"\"-parameter value1,value2,value3\".", p.Name)
		}
		values[p.Name] = value
		if len(p.Sets) == 0 || slices.Contains(p.Sets, allSets) {
			continue
		}
		if !narrowed {
			narrowed = true
			for _, s := range p.Sets {
				sets[s] = true
			}
			continue
		}
		for s := range sets {
			if !slices.Contains(p.Sets, s) {
				delete(sets, s)
			}
		}
		if len(sets) == 0 {
			return nil, bad("AmbiguousParameterSet", name,
				"Parameter set cannot be resolved using the specified named parameters.")
		}
	}
	for _, p := range spec.Parameters(side) {
		if _, given := values[p.Name]; given || len(p.Mandatory) == 0 {
			continue
		}
		required := slices.Contains(p.Mandatory, allSets)
		if !required && narrowed {
			// of the sets still possible, every one demands it
			required = true
			for s := range sets {
				required = required && slices.Contains(p.Mandatory, s)
			}
		}
		if required {
			return nil, bad("MissingMandatoryParameter", p.Name,
				"Cannot process command because of one or more missing mandatory parameters: %s.", p.Name)
		}
	}
	return values, nil
}

// convert checks that a value converts to the parameter's type and returns it converted: numbers
// from text, Booleans from $true and $false only, one text to a list of one where the parameter
// takes a list.
func (p Parameter) convert(v any) (any, error) {
	cannot := func() error {
		text, ok := Scalar(v)
		if !ok {
			text = describe(canonical(v))
		}
		return fmt.Errorf("Cannot convert value \"%s\" to type \"%s\".", link.Line(text), p.Type)
	}
	if p.List() {
		switch v := v.(type) {
		case string:
			if v == "" {
				return []string{}, nil
			}
			return []string{v}, nil
		case int64:
			return []string{strconv.FormatInt(v, 10)}, nil
		case nil, []string, ListChange:
			return v, nil
		case map[string]any:
			if len(v) == 0 {
				return ListChange{}, nil
			}
			return nil, cannot()
		case []any:
			out := make([]string, 0, len(v))
			for _, e := range v {
				s, ok := Scalar(e)
				if !ok {
					return nil, cannot()
				}
				out = append(out, s)
			}
			return out, nil
		default:
			return nil, cannot()
		}
	}
	switch p.Type {
	case "SwitchParameter", "Boolean", "System.Boolean":
		switch v := v.(type) {
		case bool:
			return v, nil
		case int64:
			return v != 0, nil
		case nil:
			if p.Type == "Boolean" {
				return nil, nil // Exchange's own Booleans are nullable
			}
		}
		return nil, cannot()
	case "Byte[]":
		switch v.(type) {
		case []byte, nil:
			return v, nil
		}
		return nil, cannot()
	case "PSCredential":
		switch v.(type) {
		case Credential, nil:
			return v, nil
		}
		return nil, cannot()
	case "SecureString":
		if v == nil {
			return nil, nil
		}
		if fmt.Sprintf("%T", v) == "secret.Value" {
			return v, nil
		}
		return nil, cannot()
	case "Int32", "Int64", "Int16", "UInt32":
		switch v := v.(type) {
		case int64, nil:
			return v, nil
		case string:
			if n, err := strconv.ParseInt(v, 10, 64); err == nil {
				return n, nil
			}
		}
		return nil, cannot()
	case "Guid":
		if s, ok := v.(string); ok && isGUID(s) {
			return strings.ToLower(strings.Trim(s, "{}")), nil
		}
		if v == nil {
			return nil, nil
		}
		return nil, cannot()
	case "DateTime":
		if s, ok := v.(string); ok {
			for _, layout := range append([]string{"1/2/2006 3:04:05 PM", "1/2/2006 15:04:05", "1/2/2006",
				"2006-01-02 15:04:05", "2006-01-02 15:04"}, timeLayouts...) {
				if t, err := time.Parse(layout, s); err == nil {
					return t, nil
				}
			}
			return nil, cannot()
		}
		if v == nil {
			return nil, nil
		}
		return nil, cannot()
	case "EnhancedTimeSpan", "TimeSpan":
		if s, ok := v.(string); ok && isTimeSpan(s) || v == nil {
			return v, nil
		}
		return nil, cannot()
	}
	switch v := v.(type) {
	case nil:
		return nil, nil
	case string:
		if err := CheckText(p.Type, v); err != nil {
			return nil, err
		}
		if len(p.Values) > 0 && p.Closed && v != "" {
			i := slices.IndexFunc(p.Values, func(w string) bool { return strings.EqualFold(w, v) })
			if i < 0 {
				return nil, fmt.Errorf("Cannot convert value \"%s\" to type \"%s\". Error: \"Unable to match the "+
					"identifier name %s to a valid enumerator name. Specify one of the following enumerator names "+
					"and try again: %s\"", link.Line(v), p.Type, link.Line(v), strings.Join(p.Values, ", "))
			}
			return p.Values[i], nil
		}
		return v, nil
	case int64:
		return strconv.FormatInt(v, 10), nil
	case []string: // PowerShell joins an array given to a text parameter? No: it refuses it.
		if len(v) == 1 {
			return p.convert(v[0])
		}
		return nil, cannot()
	case map[string]any:
		if p.Type == "Hashtable" {
			return v, nil
		}
	}
	return nil, cannot()
}

// CheckText compares a text with the form of the .NET type (without namespace) that it is to
// become. A type without a known form takes any text. The error has the words of PowerShell's
// parameter binder.
func CheckText(kind, s string) error {
	if s == "" {
		return nil
	}
	cannot := func(why string) error {
		return fmt.Errorf("Cannot convert value \"%s\" to type \"%s\". Error: \"%s\"", link.Line(s), kind, why)
	}
	switch kind {
	case "SmtpAddress":
		local, domain, ok := strings.Cut(s, "@")
		if !ok || local == "" || !isDomain(domain) {
			return cannot("\"" + link.Line(s) + "\" isn't a valid SMTP address.")
		}
	case "SmtpDomain":
		if !isDomain(s) {
			return cannot("\"" + link.Line(s) + "\" isn't a valid SMTP domain.")
		}
	case "SmtpDomainWithSubdomains":
		if s != "*" && !isDomain(strings.TrimPrefix(s, "*.")) {
			return cannot("\"" + link.Line(s) + "\" isn't a valid SMTP domain.")
		}
	case "Fqdn":
		if !isDomain(s) {
			return cannot("\"" + link.Line(s) + "\" isn't a valid fully qualified domain name (FQDN).")
		}
	case "Version":
		for _, part := range strings.Split(s, ".") {
			if n, err := strconv.Atoi(part); err != nil || n < 0 {
				return cannot("Version string portion was too short or too long.")
			}
		}
	case "SmtpX509Identifier", "TlsCertificate":
		// A remote sender's certificate can be named by its host alone.
		marked := strings.ToLower(s)
		if !strings.HasPrefix(marked, "<i>") || !strings.Contains(marked, "<s>") || strings.Contains(marked, "</") {
			if kind == "SmtpX509Identifier" || strings.ContainsAny(s, "<>") {
				return cannot("The certificate's name isn't in the form <I>issuer<S>subject.")
			}
		}
	}
	return nil
}

func isDomain(s string) bool {
	if len(s) == 0 || len(s) > 253 {
		return false
	}
	for label := range strings.SplitSeq(s, ".") {
		if label == "" || len(label) > 63 || label[0] == '-' || label[len(label)-1] == '-' {
			return false
		}
		for i := range len(label) {
			c := label[i]
			if c >= 0x80 || !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-' ||
				c == '_') {
				return false
			}
		}
	}
	return true
}

func isGUID(s string) bool {
	s = strings.Trim(s, "{}")
	if len(s) != 36 {
		return false
	}
	for i := range len(s) {
		switch i {
		case 8, 13, 18, 23:
			if s[i] != '-' {
				return false
			}
		default:
			if !strings.ContainsRune("0123456789abcdefABCDEF", rune(s[i])) {
				return false
			}
		}
	}
	return true
}

// isTimeSpan knows [d.]hh:mm[:ss[.fffffff]] and Unlimited.
func isTimeSpan(s string) bool {
	if strings.EqualFold(s, "unlimited") {
		return true
	}
	s = strings.TrimPrefix(s, "-")
	parts := strings.Split(s, ":")
	if len(parts) < 2 || len(parts) > 3 {
		_, err := strconv.Atoi(s)
		return err == nil
	}
	for _, p := range parts {
		for d := range strings.SplitSeq(p, ".") {
			if _, err := strconv.Atoi(d); err != nil {
				return false
			}
		}
	}
	return true
}
