package desired

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"github.com/hybridge-cli/hybridge/pkg/engine/change"
	"github.com/hybridge-cli/hybridge/pkg/estate/exchange"
	"github.com/hybridge-cli/hybridge/pkg/wire/link"
)

// Scripts renders a plan as PowerShell, a file a place: 00-entra.ps1 for Microsoft Graph PowerShell, 10-onprem-FOREST.ps1 for the Exchange
// Management Shell, 20-online.ps1 for Exchange Online PowerShell. They are meant to be run in the order of their names.
//
// What one place makes and another needs (an application's id) is a parameter of the script that needs it and is printed by the
// script that makes it. Nothing of the plan is ever evaluated: texts are single-quoted literals.
func Scripts(p change.Plan) map[string][]byte {
	byPlace := map[string][]change.Change{}
	var order []string
	for _, c := range p.Changes {
		if _, seen := byPlace[c.Target]; !seen {
			order = append(order, c.Target)
		}
		byPlace[c.Target] = append(byPlace[c.Target], c)
	}
	out := map[string][]byte{}
	names := scriptNames(order)
	for _, place := range order {
		s := &script{place: place, plan: p, files: names}
		text := s.render(byPlace[place])
		if strings.ContainsFunc(text, func(r rune) bool { return r > unicode.MaxASCII }) {
			text = "\ufeff" + text // else Windows PowerShell takes it for the system's code page
		}
		out[names[place]] = []byte(text)
	}
	return out
}

// scriptNames names the file of each place.
func scriptNames(places []string) map[string]string {
	out := map[string]string{}
	taken := map[string]bool{}
	for _, place := range slices.Sorted(slices.Values(places)) {
		var name string
		switch place {
		case PlaceEntra:
			name = "00-entra"
		case PlaceOnline:
			name = "20-online"
		default:
			forest := strings.TrimPrefix(place, "onprem/")
			name = "10-onprem-" + strings.Map(func(r rune) rune {
				if r < unicode.MaxASCII && (unicode.IsLetter(r) || unicode.IsDigit(r) || r == '.' || r == '-' || r == '_') {
					return r
				}
				return '-'
			}, forest)
		}
		unique := name
		for n := 2; taken[unique]; n++ {
			unique = name + "-" + strconv.Itoa(n)
		}
		taken[unique] = true
		out[place] = unique + ".ps1"
	}
	return out
}

type script struct {
	place string
	plan  change.Plan
	files map[string]string
	// needed are the changes whose results others refer to, by the name of their variable.
	needed map[string]bool
	b      strings.Builder
}

func (s *script) line(format string, args ...any) {
	fmt.Fprintf(&s.b, format+"\n", args...)
}

// comment writes text as comment lines; nothing in it can end the comment.
func (s *script) comment(format string, args ...any) {
	s.line("# %s", link.Printable(fmt.Sprintf(format, args...)))
}

func (s *script) render(changes []change.Change) string {
	here := map[string]int{} // number of the changes of this place by id
	for i, c := range changes {
		here[c.ID] = i + 1
	}
	asked := s.asked(changes, here)
	s.needed = map[string]bool{}
	for _, c := range s.plan.Changes {
		for _, command := range c.Commands() {
			for _, ref := range change.Refs(command.Parameters) {
				if n, ok := here[ref.Change]; ok {
					s.needed["change"+strconv.Itoa(n)] = true
				}
			}
		}
	}

	s.comment("hybridge plan %s", s.plan.Fingerprint)
	switch s.place {
	case PlaceEntra:
		s.comment("Run in PowerShell 7 with Microsoft Graph PowerShell, signed in with:")
		s.comment("  Connect-MgGraph -Scopes Application.ReadWrite.All, AppRoleAssignment.ReadWrite.All")
		s.comment("Run this script first: the others ask for what it prints.")
	case PlaceOnline:
		s.comment("Run in Exchange Online PowerShell (Connect-ExchangeOnline), as Organization Management.")
		s.comment("Run after the scripts whose names come before this one's.")
	default:
		s.comment("Run in an Exchange Management Shell of forest %s, as Organization Management.", strings.TrimPrefix(s.place, "onprem/"))
		s.comment("Run after the scripts whose names come before this one's.")
	}
	s.comment("It does not look at the live state again: make a new plan when it is old.")
	if len(asked) > 0 {
		s.line("param(")
		for i, ref := range asked {
			comma := ","
			if i == len(asked)-1 {
				comma = ""
			}
			s.b.WriteString("    ")
			s.comment("%s of %s, as %s prints it", ref.Property, ref.Change, s.files[s.target(ref.Change)])
			s.line("    [Parameter(Mandatory = $true)]")
			s.line("    [string] $%s%s", s.variable(ref), comma)
		}
		s.line(")")
	}
	s.line("")
	s.line("$ErrorActionPreference = 'Stop'")
	for i, c := range changes {
		s.line("")
		s.comment("%d of %d: %s %s %q", i+1, len(changes), c.Action, c.Kind, c.Name)
		if c.Reason != "" {
			s.comment("Why: %s", c.Reason)
		}
		if c.Risk != "" {
			s.comment("Risk: %s", c.Risk)
		}
		for _, need := range c.Needs {
			if _, ok := here[need]; !ok {
				s.comment("Needs %s of %s", need, s.files[s.target(need)])
			}
		}
		for j, command := range c.Commands() {
			name := "change" + strconv.Itoa(i+1)
			if j < len(c.Commands())-1 {
				name = "removal" + strconv.Itoa(i+1)
			}
			if s.place == PlaceEntra {
				s.request(name, command, here)
			} else {
				s.cmdlet(name, command, here)
			}
		}
	}
	s.printed(changes, here)
	s.line("")
	s.line("exit 0")
	return s.b.String()
}

// target is the place of a change of the plan.
func (s *script) target(id string) string {
	for _, c := range s.plan.Changes {
		if c.ID == id {
			return c.Target
		}
	}
	return ""
}

// variable names the parameter for a reference: the kind, its place in the plan, the property.
func (s *script) variable(ref change.Ref) string {
	for i, c := range s.plan.Changes {
		if c.ID == ref.Change {
			return fmt.Sprintf("%s%d_%s", c.Kind, i+1, ref.Property)
		}
	}
	return "unknown_" + ref.Property
}

// asked lists the references to changes of other places.
func (s *script) asked(changes []change.Change, here map[string]int) []change.Ref {
	var out []change.Ref
	for _, c := range changes {
		for _, command := range c.Commands() {
			for _, ref := range change.Refs(command.Parameters) {
				if _, ok := here[ref.Change]; !ok && !slices.Contains(out, ref) {
					out = append(out, ref)
				}
			}
		}
	}
	return out
}

// printed writes what other places ask this one for.
func (s *script) printed(changes []change.Change, here map[string]int) {
	var refs []change.Ref
	for _, c := range s.plan.Changes {
		if c.Target == s.place {
			continue
		}
		for _, command := range c.Commands() {
			for _, ref := range change.Refs(command.Parameters) {
				if _, ok := here[ref.Change]; ok && !slices.Contains(refs, ref) {
					refs = append(refs, ref)
				}
			}
		}
	}
	if len(refs) == 0 {
		return
	}
	s.line("")
	s.comment("What the other scripts ask for")
	for _, ref := range refs {
		s.line("Write-Output (%s + $change%dResult.%s)", exchange.Quote(s.variable(ref)+" = "), here[ref.Change], ref.Property)
	}
}

// cmdlet writes one cmdlet with its parameters splatted.
func (s *script) cmdlet(name string, c change.Command, here map[string]int) {
	s.line("$%s = @{", name)
	for _, p := range parameterOrder(c.Parameters) {
		value := s.literal(c.Parameters[p], here)
		if joined(c, p) {
			value = "(" + value + " -join ',')"
		}
		s.line("    %s = %s", p, value)
	}
	s.line("}")
	if s.needed[name] {
		s.line("$%sResult = %s @%s", name, c.Name, name)
	} else {
		s.line("%s @%s", c.Name, name)
	}
	for i, after := range afterwards(c) {
		s.comment("makes it known to the running services")
		s.cmdlet(name+"after"+strconv.Itoa(i+1), change.Command{Name: after.Name, Parameters: after.Parameters}, here)
	}
}

// request writes one request to Microsoft Graph.
func (s *script) request(name string, c change.Command, here map[string]int) {
	method, template, _ := strings.Cut(c.Name, " ")
	used := map[string]bool{}
	var uri []string
	rest := "/v1.0" + template
	for {
		at := placeholder.FindStringSubmatchIndex(rest)
		if at == nil {
			break
		}
		parameter := rest[at[2]:at[3]]
		used[parameter] = true
		uri = append(uri, exchange.Quote(rest[:at[0]]), s.literal(c.Parameters[parameter], here))
		rest = rest[at[1]:]
	}
	if rest != "" {
		uri = append(uri, exchange.Quote(rest))
	}
	body := map[string]any{}
	for k, v := range c.Parameters {
		if !used[k] {
			body[k] = v
		}
	}
	if len(body) > 0 {
		s.line("$%sBody = @{", name)
		for _, k := range parameterOrder(body) {
			s.line("    %s = %s", k, s.literal(body[k], here))
		}
		s.line("}")
	}
	s.line("$%s = @{", name)
	s.line("    Method = %s", exchange.Quote(method))
	s.line("    Uri = (%s)", strings.Join(uri, " + "))
	if len(body) > 0 {
		s.line("    Body = (ConvertTo-Json -InputObject $%sBody -Depth 10)", name)
		s.line("    ContentType = 'application/json'")
	}
	s.line("}")
	s.line("$%sResult = Invoke-MgGraphRequest @%s", name, name)
}

func parameterOrder(p map[string]any) []string {
	first := map[string]int{"Identity": -2, "Name": -1, "Confirm": 1}
	return slices.SortedFunc(maps.Keys(p), func(a, b string) int {
		if d := first[a] - first[b]; d != 0 {
			return d
		}
		return strings.Compare(a, b)
	})
}

// literal renders a value as an expression.
func (s *script) literal(v any, here map[string]int) string {
	switch v := v.(type) {
	case nil:
		return "$null"
	case bool:
		if v {
			return "$true"
		}
		return "$false"
	case int64:
		return strconv.FormatInt(v, 10)
	case string:
		return exchange.Quote(v)
	case change.Ref:
		if n, ok := here[v.Change]; ok {
			return fmt.Sprintf("$change%dResult.%s", n, v.Property)
		}
		return "$" + s.variable(v)
	case []string:
		parts := make([]string, len(v))
		for i, e := range v {
			parts[i] = exchange.Quote(e)
		}
		return "@(" + strings.Join(parts, ", ") + ")"
	case []any:
		parts := make([]string, len(v))
		for i, e := range v {
			parts[i] = s.literal(e, here)
		}
		return "@(" + strings.Join(parts, ", ") + ")"
	case map[string]any:
		parts := make([]string, 0, len(v))
		for _, k := range sortedKeys(v) {
			parts = append(parts, exchange.Quote(k)+" = "+s.literal(v[k], here))
		}
		return "@{ " + strings.Join(parts, "; ") + " }"
	}
	return "$null"
}
