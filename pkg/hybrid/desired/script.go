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

// Scripts renders a plan as scripts, a file a place: 00-entra.ps1 for Microsoft Graph PowerShell,
// 10-onprem-FOREST.ps1 for the Exchange Management Shell, 20-online.ps1 for Exchange Online
// PowerShell. They are meant to be run in the order of their names.
//
// What one place makes and another needs (an application's id) is a parameter of the script that
// needs it and is printed by the script that makes it. Nothing of the plan is ever evaluated: texts
// are single-quoted literals.
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

// sortOf is the sort of a place, and what stands for the * of its name.
func sortOf(place string) (change.PlaceSort, string) {
	for _, k := range Kinds() {
		for _, sort := range k.System().Places {
			if name, ok := sort.Holds(place); ok {
				return sort, name
			}
		}
	}
	return change.PlaceSort{}, place
}

// scriptNames names the file of each place.
func scriptNames(places []string) map[string]string {
	out := map[string]string{}
	taken := map[string]bool{}
	for _, place := range slices.Sorted(slices.Values(places)) {
		sort, _ := sortOf(place)
		name := fmt.Sprintf("%02d-", sort.Step) + strings.Map(func(r rune) rune {
			if r < unicode.MaxASCII && (unicode.IsLetter(r) || unicode.IsDigit(r) || r == '.' || r == '-' || r == '_') {
				return r
			}
			return '-'
		}, place)
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
	needed  map[string]bool
	secrets []change.SecretRef // that this script asks for
	b       strings.Builder
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
	for _, c := range changes {
		for _, command := range c.Commands() {
			for _, r := range change.Secrets(command.Parameters) {
				if !slices.Contains(s.secrets, r) {
					s.secrets = append(s.secrets, r)
				}
			}
		}
	}
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

	s.comment("hybridge plan: %s", s.place)
	sort, name := sortOf(s.place)
	if sort.Use != nil {
		for _, line := range sort.Use(name) {
			s.comment("%s", line)
		}
	}
	s.comment("Of the live state it reads only the lists that it adds to: make a new plan when it is old.")
	s.parameters(asked)
	s.line("")
	s.line("$ErrorActionPreference = 'Stop'")
	for i, c := range changes {
		s.line("")
		s.comment("%d of %d: %s %s %q", i+1, len(changes), c.Action, c.Kind, c.Name)
		if !c.Reason.IsZero() {
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
			k := kindNamed(c.Kind)
			if c.Action == change.Update {
				command = s.merged(k, c, i+1, command, here)
			}
			s.command(k, name, command, here)
		}
	}
	s.printed(changes, here)
	s.line("")
	s.line("exit 0")
	return s.b.String()
}

// parameters writes what the script asks for: ids that other scripts print, and secrets, of which
// the plan knows only where they are kept.
func (s *script) parameters(asked []change.Ref) {
	type parameter struct{ comment, kind, name string }
	var out []parameter
	for _, ref := range asked {
		out = append(out, parameter{
			fmt.Sprintf("%s of %s, as %s prints it", ref.Property, ref.Change, s.files[s.target(ref.Change)]),
			"string", s.variable(ref),
		})
	}
	for i, r := range s.secrets {
		out = append(out, parameter{
			fmt.Sprintf("The secret that hybridge reads from %s", r), "securestring", "Secret" + strconv.Itoa(i+1),
		})
	}
	if len(out) == 0 {
		return
	}
	s.line("param(")
	for i, p := range out {
		comma := ","
		if i == len(out)-1 {
			comma = ""
		}
		s.b.WriteString("    ")
		s.comment("%s", p.comment)
		s.line("    [Parameter(Mandatory = $true)]")
		s.line("    [%s] $%s%s", p.kind, p.name, comma)
	}
	s.line(")")
}

// expression is a value that a script computes.
type expression string

// merged writes what reads the lists that others write into as well, and gives the command that
// adds to them.
func (s *script) merged(
	k *Kind, c change.Change, number int, command change.Command, here map[string]int,
) change.Command {
	if k == nil || k.Show == nil {
		return command
	}
	live := "live" + strconv.Itoa(number)
	w := change.Writing{Value: func(v any) string { return s.literal(v, here) }}
	parameters := maps.Clone(command.Parameters)
	shown := false
	for _, name := range sortedKeys(c.After) {
		p := k.Properties[name]
		if _, sent := parameters[name]; p.Write != change.Merge || !sent {
			continue
		}
		if !shown {
			shown = true
			s.comment("what others add until this runs stays")
			show := k.Show(c.Identity)
			for _, line := range k.System().Script.Write(show,
				change.Writing{Name: live + "of", Result: live, Value: w.Value}) {
				s.line("%s", line)
			}
		}
		check, list := k.System().Script.Merge(k, name, live, p.Added(c.After[name], c.Before[name]), command, w)
		for _, line := range check {
			s.line("%s", line)
		}
		parameters[name] = expression(list)
	}
	command.Parameters = parameters
	return command
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
		s.line("Write-Output (%s + $change%dResult.%s)",
			exchange.Quote(s.variable(ref)+" = "), here[ref.Change], ref.Property)
	}
}

// command writes one command and what follows it, as the system of its kind does.
func (s *script) command(k *Kind, name string, c change.Command, here map[string]int) {
	if k == nil {
		s.comment("%s is of a kind that this hybridge does not know", c.Name)
		return
	}
	w := change.Writing{Name: name, Value: func(v any) string { return s.literal(v, here) }}
	if s.needed[name] {
		w.Result = name + "Result"
	}
	for _, line := range k.System().Script.Write(c, w) {
		s.line("%s", line)
	}
	for i, then := range c.Then {
		s.comment("makes it known to the running services")
		s.command(k, name+"then"+strconv.Itoa(i+1), then, here)
	}
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
	case expression:
		return string(v)
	case change.SecretRef:
		return "$Secret" + strconv.Itoa(slices.Index(s.secrets, v)+1)
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
