package organization

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/hybridge-cli/hybridge/pkg/estate/exchange"
)

// refuse runs between the parameter binder and a task. It refuses values that PowerShell or the
// property's type refuses, and questions that this host cannot ask.
func (o *Organization) refuse(spec exchange.Cmdlet, given, bound map[string]any) error {
	if err := preferences(spec.Name, given); err != nil {
		return err
	}
	for name, value := range bound {
		p, _ := spec.Parameter(name)
		s, isText := value.(string)
		switch {
		case isText && s == "" && (name == "Identity" || len(p.Mandatory) > 0):
			return notTransformed(spec.Name, name, fmt.Sprintf(
				"Cannot convert value \"\" to type \"%s\". Error: \"The value of the identity or mandatory parameter "+
					"can't be empty.\"", p.Type))
		case name == "DomainController" && isText && !o.isController(s):
			return &exchange.Error{Category: "InvalidArgument",
				ExceptionType: "Microsoft.Exchange.Data.Directory.SuitabilityDirectoryException", Target: s,
				Message: fmt.Sprintf("An Active Directory error 0x51 occurred when trying to check the suitability "+
					"of server '%s'. Error: 'Active directory response: The LDAP server is unavailable.'", s)}
		case name == "Server" && isText && o.c.Side == exchange.OnPremises && !o.isServer(s):
			return o.notFound(s)
		case isText && (strings.EqualFold(p.Type, "Uri") || strings.EqualFold(p.Type, "System.Uri")) &&
			strings.HasPrefix(s, "@{"):
			return notTransformed(spec.Name, name,
				fmt.Sprintf("Cannot convert value \"%s\" to type \"System.Uri\".", s))
		}
		if n, ok := value.(int64); ok && p.Type == "Int32" && (n > 1<<31-1 || n < -1<<31) {
			return notTransformed(spec.Name, name,
				fmt.Sprintf("Cannot convert value \"%d\" to type \"System.Int32\". Error: \"Value was either too "+
					"large or too small for an Int32.\"", n))
		}
	}
	verb, _, _ := strings.Cut(spec.Name, "-")
	if verb == "New" || verb == "Set" || verb == "Add" {
		if name, ok := bound["Name"].(string); ok {
			if err := nameFits(name); err != nil {
				return err
			}
		}
	}
	return nil
}

func notTransformed(cmdlet, parameter, text string) error {
	return &exchange.Error{
		Category: "InvalidData", FullyQualifiedID: "ParameterArgumentTransformationError," + cmdlet, Target: parameter,
		Cmdlet:        cmdlet,
		ExceptionType: "System.Management.Automation.ParameterBindingArgumentTransformationException",
		Message:       fmt.Sprintf("Cannot process argument transformation on parameter '%s'. %s", parameter, text),
	}
}

var actionPreferences = []string{"SilentlyContinue", "Stop", "Continue", "Inquire", "Ignore", "Suspend", "Break"}

// preferences refuses values of ErrorAction and its like that name no preference.
func preferences(cmdlet string, given map[string]any) error {
	for name, value := range given {
		if !containsFold([]string{"ErrorAction", "WarningAction", "InformationAction"}, name) {
			continue
		}
		s, isText := value.(string)
		if n, err := strconv.Atoi(s); err == nil && n >= 0 && n < len(actionPreferences) {
			continue
		}
		n, isNumber := value.(int64)
		if isText && containsFold(actionPreferences, s) || isNumber && n >= 0 && n < int64(len(actionPreferences)) {
			continue
		}
		return &exchange.Error{
			Category: "InvalidArgument", FullyQualifiedID: "CannotConvertArgumentNoMessage," + cmdlet, Target: name,
			Cmdlet:        cmdlet,
			ExceptionType: "System.Management.Automation.ParameterBindingException",
			Message: fmt.Sprintf("Cannot bind parameter '%s'. Cannot convert value \"%v\" to type "+
				"\"System.Management.Automation.ActionPreference\". Error: "+
				"\"Unable to match the identifier name %v to a valid enumerator name. Specify one of the following "+
				"enumerator names and try again: %s\"",
				name, value, value, strings.Join(actionPreferences, ", ")),
		}
	}
	return nil
}

// nameFits checks the length and the characters of a directory object's name.
func nameFits(name string) error {
	n := utf8.RuneCountInString(name)
	switch {
	case n > 64:
		return invalid(dataValidation,
			"Property validation failed. Property = Name Error = The length of the property is too long. The maximum "+
				"length is 64 and the length of the value provided is %d.", n)
	case strings.TrimSpace(name) != name:
		return invalid(dataValidation,
			"Property validation failed. Property = Name Error = The value \"%s\" contains leading or trailing "+
				"whitespace, which isn't allowed.", name)
	case strings.ContainsFunc(name, unicode.IsControl):
		return invalid(dataValidation,
			"Property validation failed. Property = Name Error = The property value is invalid. The value can't "+
				"contain control characters.")
	}
	return nil
}

// asks fails where a task would ask for confirmation: no session here has a host that can answer. A
// task that removes or disables asks unless -Confirm:$false is given, any other asks with -Confirm.
func asks(c Call) error {
	confirm, given := c.Parameters["Confirm"].(bool)
	verb, _, _ := strings.Cut(c.Cmdlet, "-")
	destructive := slices.Contains([]string{"Remove", "Disable", "Uninstall", "Clear"}, verb)
	if given && !confirm || !given && !destructive {
		return nil
	}
	return CannotAsk(c)
}

// CannotAsk is the failure of a cmdlet that would ask for confirmation.
func CannotAsk(c Call) error {
	return &exchange.Error{
		Category: "NotImplemented", FullyQualifiedID: "HostFunctionNotImplemented," + c.Cmdlet,
		ExceptionType: "System.Management.Automation.Host.HostException",
		Message: "A command that prompts the user failed because the host program or the command type does not " +
			"support user interaction. The host was attempting to request confirmation with the following message: " +
			"Are you sure you want to perform this action?",
	}
}

func (o *Organization) isController(name string) bool {
	return strings.EqualFold(name, o.c.Server) || strings.EqualFold(name, firstLabel(o.c.Server))
}

// isServer reports whether an Exchange server has this name. Organizations without servers have no
// names to compare.
func (o *Organization) isServer(name string) bool {
	servers := o.Objects("ExchangeServer")
	return len(servers) == 0 || slices.ContainsFunc(servers, func(r *Record) bool {
		return r.matches(name) || strings.EqualFold(firstLabel(name), r.String("Name"))
	})
}

// matches does the same as is, for callers that do not hold the lock.
func (r *Record) matches(identity string) bool {
	r.org.mu.Lock()
	defer r.org.mu.Unlock()
	return r.is(identity)
}
