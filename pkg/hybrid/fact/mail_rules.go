package fact

import (
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/hybridge-cli/hybridge/pkg/estate/exchange"
)

// MailRule is a transport rule or a journal rule.
type MailRule struct {
	Name    string
	Enabled bool
	// Values are the conditions, exceptions, actions and settings that are set, by parameter: text,
	// bool or []string.
	Values map[string]any
	// Bound are the parameters that are set and that the other side does not take as they are: it
	// does not know them, or they name an object of this side.
	Bound []string
}

// Differs lists what is set otherwise in another rule of the same name.
func (r MailRule) Differs(o MailRule) []string {
	var out []string
	if r.Enabled != o.Enabled {
		out = append(out, "State")
	}
	names := maps.Clone(r.Values)
	maps.Copy(names, o.Values)
	for _, name := range slices.Sorted(maps.Keys(names)) {
		if !slices.Equal(compared(r.Values[name]), compared(o.Values[name])) {
			out = append(out, name)
		}
	}
	for _, name := range slices.Concat(r.Bound, o.Bound) {
		if !slices.Contains(out, name) {
			out = append(out, name)
		}
	}
	return out
}

// compared is a value without regard to case, and to the sequence of a list.
func compared(v any) []string {
	var out []string
	switch v := v.(type) {
	case string:
		out = append(out, strings.ToLower(v))
	case bool:
		out = append(out, map[bool]string{true: "true", false: "false"}[v])
	case []string:
		for _, e := range v {
			out = append(out, strings.ToLower(e))
		}
	}
	slices.Sort(out)
	return out
}

// FindRule finds a rule by name, without regard to case.
func FindRule(rules []MailRule, name string) (MailRule, bool) {
	i := slices.IndexFunc(rules, func(r MailRule) bool { return strings.EqualFold(r.Name, name) })
	if i < 0 {
		return MailRule{}, false
	}
	return rules[i], true
}

// RuleForm is the form of a parameter of rules.
type RuleForm int

// The forms. A bound value names an object of its own side, or is of a type that is not copied.
const (
	RuleText RuleForm = iota
	RuleSwitch
	RuleList
	RuleSize
	RuleBound
)

const (
	getTransportRule   = "Get-TransportRule"
	getJournalRule     = "Get-JournalRule"
	getTransportConfig = "Get-TransportConfig"
)

// The rules of both sides.
var (
	TransportRules       = Cmdlet(OnPremises, getTransportRule, each(getTransportRule, readTransportRule))
	OnlineTransportRules = Cmdlet(Online, getTransportRule, each(getTransportRule, readTransportRule))
	JournalRules         = Cmdlet(OnPremises, getJournalRule, each(getJournalRule, readJournalRule))
	OnlineJournalRules   = Cmdlet(Online, getJournalRule, each(getJournalRule, readJournalRule))
)

// OnlineJournalReports is the address for journal reports of the tenant that cannot be delivered;
// empty: none. Exchange Online makes no journal rule without it.
var OnlineJournalReports = Cmdlet(Online, getTransportConfig, one(getTransportConfig,
	func(o exchange.Object) (string, error) {
		address, _ := o.String("JournalingReportNdrTo")
		if address == "<>" { // the null reverse path of a new tenant
			address = ""
		}
		return address, nil
	}))

// TransportRuleForms are the parameters of transport rules by name. Those that the other side does
// not know are bound.
var TransportRuleForms = sync.OnceValue(func() map[string]RuleForm {
	create, _ := exchange.Catalogue().Find("New-TransportRule")
	set, _ := exchange.Catalogue().Find("Set-TransportRule")
	out := map[string]RuleForm{}
	for _, p := range slices.Concat(create.Parameters(exchange.OnPremises), create.Parameters(exchange.Online)) {
		switch p.Name {
		case "Name", "Priority", "Enabled", "UseLegacyRegex", "Confirm", "WhatIf", "DomainController":
			continue
		}
		form := RuleText
		switch {
		case len(p.Sides) < 2 || slices.Contains([]string{"DlpPolicy", "RuleSubType"}, p.Name):
			form = RuleBound
		case slices.Contains([]string{"Hashtable[]", "DateTime", "RmsTemplateIdParameter"}, p.Type):
			form = RuleBound
		case p.Type == "Boolean":
			form = RuleSwitch
		case p.Type == "ByteQuantifiedSize":
			form = RuleSize
		case p.Type == "MultiValuedProperty", strings.HasSuffix(p.Type, "[]"):
			form = RuleList
		}
		if _, settable := set.Parameter(p.Name); !settable {
			form = RuleBound
		}
		out[p.Name] = form
	}
	return out
})

// readTransportRule reads what is set. A switch that is off is as one that is not set.
func readTransportRule(o exchange.Object) (r MailRule, err error) {
	if r.Name, err = o.String("Name"); err != nil {
		return r, err
	}
	state, err := o.String("State")
	if err != nil {
		return r, err
	}
	r.Enabled, r.Values = strings.EqualFold(state, "Enabled"), map[string]any{}
	for name, form := range TransportRuleForms() {
		switch form {
		case RuleSwitch:
			if on, err := o.Bool(name); err == nil && on {
				r.Values[name] = true
			}
		case RuleList:
			if list, err := list(o, name); err != nil {
				return r, err
			} else if len(list) > 0 {
				r.Values[name] = list
			}
		case RuleBound:
			if shows(o, name) {
				r.Bound = append(r.Bound, name)
			}
		default:
			text, _ := o.String(name)
			switch {
			case text == "":
			case form == RuleSize:
				r.Values[name] = bytesOf(text)
			default:
				r.Values[name] = text
			}
		}
	}
	slices.Sort(r.Bound)
	return r, nil
}

// shows reports whether a property is set: no text "None", no switch that is off, no empty list.
func shows(o exchange.Object, name string) bool {
	if on, err := o.Bool(name); err == nil {
		return on
	}
	if text, err := o.String(name); err == nil {
		return text != "" && text != "None"
	}
	list, err := o.Strings(name)
	return err == nil && len(list) > 0
}

// bytesOf is a size as both sides take it: "10 MB (10,485,760 bytes)" is 10485760.
func bytesOf(size string) string {
	_, exact, ok := strings.Cut(size, "(")
	if !ok {
		return size
	}
	return strings.Map(func(r rune) rune {
		if r < '0' || r > '9' {
			return -1 // the separator of thousands is the server's
		}
		return r
	}, exact)
}

func readJournalRule(o exchange.Object) (r MailRule, err error) {
	if r.Name, err = o.String("Name"); err != nil {
		return r, err
	}
	r.Enabled, _ = o.Bool("Enabled")
	r.Values = map[string]any{}
	for _, name := range []string{"JournalEmailAddress", "Recipient", "Scope"} {
		if text, _ := o.String(name); text != "" {
			r.Values[name] = text
		}
	}
	return r, nil
}
