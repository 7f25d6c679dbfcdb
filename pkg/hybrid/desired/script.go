package desired

import (
	"cmp"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"unicode"

	"github.com/hybridge-cli/hybridge/pkg/config/sorting"
	"github.com/hybridge-cli/hybridge/pkg/engine/change"
	"github.com/hybridge-cli/hybridge/pkg/estate/exchange"
	"github.com/hybridge-cli/hybridge/pkg/wire/link"
	"github.com/hybridge-cli/hybridge/templates"
)

// Script is one file of a plan that is written for people who run it themselves.
type Script struct {
	Name     string // NN-PLACE.ps1 or .sh, with RollbackFolder and a slash before it for one that undoes
	Place    string
	Role     string // the team that runs it
	Rollback bool
	Content  []byte
}

// Scripts renders a plan as scripts, one file per phase and place, in a sequence in which each can
// run: NN-PLACE.ps1 or NN-PLACE.sh, where NN is the phase. Files of one phase do not need each
// other.
//
// A script does what apply does: it verifies its place, and for each change it reads, compares,
// asks, writes and reads again. A value that one place produces and another needs (an application's
// id) goes through a result file beside the scripts, or is a parameter. No text of the plan is ever
// evaluated: texts are single-quoted literals.
//
// For each script there is another that undoes it, last change first, by what stands in the result
// file.
func Scripts(p change.Plan, sites map[string]Site) []Script {
	batches := scheduled(p.Changes)
	byChange := map[string]*batch{}
	for _, b := range batches {
		for _, c := range b.changes {
			byChange[c.ID] = b
		}
	}
	var out []Script
	for i, b := range batches {
		s := &script{batch: b, plan: p, site: sites[b.place], byChange: byChange}
		if i+1 < len(batches) {
			s.next = "Next: " + batches[i+1].file
		} else {
			s.next = "This was the last script. hybridge plan shows whether anything is left, " +
				"and hybridge test asks for free/busy."
		}
		content := s.render
		if shell(b.place) {
			content = s.renderShell
		}
		out = append(out, Script{Name: b.file, Place: b.place, Role: roleOf(b.place), Content: content()})
	}
	for i, b := range slices.Backward(batches) {
		reversed := *b
		reversed.changes = slices.Clone(b.changes)
		slices.Reverse(reversed.changes)
		s := &script{batch: &reversed, plan: p, site: sites[b.place], byChange: byChange, undoes: true}
		s.next = "This was the last script. hybridge plan shows the changes of before."
		if i > 0 {
			s.next = "Next: " + batches[i-1].file + " of this folder"
		}
		content := s.render
		if shell(b.place) {
			content = s.renderShell
		}
		out = append(out, Script{
			Name: RollbackFolder + "/" + b.file, Place: b.place, Role: roleOf(b.place), Rollback: true,
			Content: content(),
		})
	}
	return out
}

// batch holds the changes of one script.
type batch struct {
	place   string
	phase   int
	file    string
	changes []change.Change
}

// scheduled groups changes by place so that no batch waits for a later one. It takes few batches:
// a place that can be finished comes first, then one whose batch lets most others be finished.
func scheduled(changes []change.Change) []*batch {
	var places []string
	for _, c := range changes {
		if !slices.Contains(places, c.Target) {
			places = append(places, c.Target)
		}
	}
	sorting.Stable(places, func(a, b string) int {
		x, _ := sortOf(a)
		y, _ := sortOf(b)
		return cmp.Or(cmp.Compare(x.Step, y.Step), cmp.Compare(a, b))
	})
	planned := map[string]bool{}
	for _, c := range changes {
		planned[c.ID] = true
	}
	// ready returns the changes that a place can make now. finished says that these are its last
	// ones.
	ready := func(place string, done map[string]bool) (out []change.Change, finished bool) {
		have := maps.Clone(done)
		finished = true
		for _, c := range changes {
			if c.Target != place || done[c.ID] {
				continue
			}
			if slices.ContainsFunc(c.Needs, func(id string) bool { return planned[id] && !have[id] }) {
				finished = false
				continue
			}
			have[c.ID] = true
			out = append(out, c)
		}
		return out, finished
	}
	with := func(done map[string]bool, more []change.Change) map[string]bool {
		out := maps.Clone(done)
		for _, c := range more {
			out[c.ID] = true
		}
		return out
	}
	var out []*batch
	done, in := map[string]bool{}, map[string]*batch{}
	for len(done) < len(changes) {
		var best []change.Change
		value := -1
		for _, place := range places {
			can, finished := ready(place, done)
			if len(can) == 0 {
				continue
			}
			v := 0
			if finished {
				v = len(places) + 1
			} else {
				for _, other := range places {
					if _, then := ready(other, with(done, can)); then && other != place {
						v++
					}
				}
			}
			if v > value {
				best, value = can, v
			}
		}
		if best == nil {
			break // the changes of a plan are in a sequence in which each can be made
		}
		b := &batch{place: best[0].Target, changes: best, phase: 1}
		for _, earlier := range out {
			if earlier.place == b.place {
				b.phase = max(b.phase, earlier.phase+1)
			}
		}
		for _, c := range best {
			for _, id := range c.Needs {
				if earlier := in[id]; earlier != nil {
					b.phase = max(b.phase, earlier.phase+1)
				}
			}
		}
		for _, c := range best {
			in[c.ID] = b
		}
		done = with(done, best)
		out = append(out, b)
	}
	nameFiles(out)
	return out
}

// nameFiles names the files, and sorts the batches by name.
func nameFiles(batches []*batch) {
	sorting.Stable(batches, func(a, b *batch) int {
		return cmp.Or(cmp.Compare(a.phase, b.phase), cmp.Compare(a.place, b.place))
	})
	taken := map[string]bool{}
	for _, b := range batches {
		name := fmt.Sprintf("%02d-", b.phase) + strings.Map(func(r rune) rune {
			if r < unicode.MaxASCII && (unicode.IsLetter(r) || unicode.IsDigit(r) || r == '.' || r == '-' || r == '_') {
				return r
			}
			return '-'
		}, b.place)
		unique := name
		for n := 2; taken[strings.ToLower(unique)]; n++ {
			unique = name + "-" + strconv.Itoa(n)
		}
		taken[strings.ToLower(unique)] = true
		b.file = unique + ".ps1"
		if shell(b.place) {
			b.file = unique + ".sh"
		}
	}
}

// sortOf returns the sort of a place, and the text that replaces the * of its name.
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

// shell reports whether the scripts of a place are shell scripts.
func shell(place string) bool {
	for _, k := range Kinds() {
		for _, sort := range k.System().Places {
			if _, ok := sort.Holds(place); ok {
				return k.System().Script.Language == shellLanguage
			}
		}
	}
	return false
}

const shellLanguage = "POSIX shell"

// script is the state of rendering one file.
type script struct {
	*batch
	plan     change.Plan
	site     Site
	next     string
	byChange map[string]*batch
	undoes   bool
	secrets  []change.SecretRef // that this script asks for
	files    []string           // that this script reads
}

// parameter is what a script asks for: an id that another script produces, or a secret. The plan
// knows only where a secret is kept.
type parameter struct {
	Name, Help, From string
	Secret, GUID     bool
	File             string // its path, where the plan knows it
}

// page is the data of the template of a script.
type page struct {
	File, Title, Digest, Next string
	Place, PlaceID            string
	Identity, Name            string // properties of the live resources
	Phase, Patience           int
	Use, Modules, Blocks      []string
	Kinds                     []string
	Undo                      bool
	Assert                    []string
	Parameters                []parameter
	Before                    []struct{ ID, Script string }
	Steps                     [][]string
}

var scriptTemplate = sync.OnceValue(func() *form {
	return mustForm("powershell/script.ps1.tmpl",
		map[string]func(string) string{"quote": exchange.Quote, "comment": comment})
})

func (s *script) render() []byte {
	sort, name := sortOf(s.place)
	d := page{
		File: s.file, Title: sort.Named(name), Digest: s.plan.Digest, Next: s.next, Phase: s.phase,
		Patience: patienceOf(sort.Name), Parameters: s.parameters(),
		Place: s.place, PlaceID: cmp.Or(s.site.Tenant, s.site.Organization),
		Undo: s.undoes,
	}
	d.Kinds, d.Identity, d.Name = s.kinds()
	if sort.Use != nil {
		d.Use = sort.Use(name)
	}
	d.Use = append(d.Use, s.site.Connect...)
	s.where(&d, sort.Name)
	for _, c := range s.changes {
		if s.undoes {
			break // each change looks at what rests on it
		}
		for _, id := range c.Needs {
			before := struct{ ID, Script string }{id, ""}
			// A shell script writes a result file of its own.
			if b := s.byChange[id]; b != nil && b != s.batch && !shell(b.place) {
				before.Script = b.file
				if !slices.Contains(d.Before, before) {
					d.Before = append(d.Before, before)
				}
			}
		}
	}
	for i := range s.changes {
		if s.undoes {
			d.Steps = append(d.Steps, s.undoStep(i))
		} else {
			d.Steps = append(d.Steps, s.step(i))
		}
	}
	for i, line := range d.Use {
		d.Use[i] = comment(line)
	}
	text := strings.ReplaceAll(string(scriptTemplate().fill(d)), "\n", "\r\n")
	if strings.ContainsFunc(text, func(r rune) bool { return r > unicode.MaxASCII }) {
		text = "\ufeff" + text // otherwise Windows PowerShell reads it in the system's code page
	}
	return []byte(text)
}

// where adds the parts of a sort of places: the functions, and the code that verifies where the
// script runs.
func (s *script) where(d *page, sort string) {
	blocks := []string{"common.ps1"}
	switch sort {
	case Entra:
		blocks = append(blocks, "graph.ps1")
		d.Modules = []string{"Microsoft.Graph.Authentication"}
		d.Assert = []string{fmt.Sprintf("Assert-Place -Tenant %s -Environment %s -Scopes %s",
			exchange.Quote(s.site.Tenant), exchange.Quote(s.site.Environment), s.literal(graphScopes))}
	default:
		blocks = append(blocks, "exchange.ps1", "onprem.ps1")
		servers := map[string]any{}
		for _, server := range s.site.Servers {
			servers[server.Name] = server.Build.String()
		}
		about := "-Servers " + s.literal(servers)
		if sort == Online {
			blocks[2] = "online.ps1"
			d.Modules = []string{"ExchangeOnlineManagement"}
			about = "-Tenant " + exchange.Quote(s.site.Tenant)
		}
		d.Assert = append(d.Assert, "$used = @(")
		for _, used := range s.used() {
			d.Assert = append(d.Assert, "    "+s.literal(used))
		}
		d.Assert = append(d.Assert, ")",
			"Assert-Place -Organization "+exchange.Quote(s.site.Organization)+" "+about+" -Used $used")
	}
	if s.undoes {
		blocks = append(blocks, "undo.ps1")
	}
	for _, name := range blocks {
		text, err := templates.Read("powershell/" + name)
		if err != nil {
			panic(err) // it is built in
		}
		d.Blocks = append(d.Blocks, text)
	}
}

// identity is the property by which the place addresses its objects.
func (s *script) identity() string {
	for _, k := range Kinds() {
		if k.At(s.place) {
			return k.System().Script.Identity
		}
	}
	return ""
}

// kinds lists the properties of each kind of the script, with the type by which they are compared.
func (s *script) kinds() (lines []string, identity, name string) {
	shown := map[string]string{}
	for _, c := range s.changes {
		k := kindNamed(c.Kind)
		if k == nil {
			continue
		}
		identity, name = k.System().Script.Identity, k.System().Script.Name
		properties := map[string]any{}
		for property, p := range k.Properties {
			properties[cmp.Or(p.From, property)] = p.Type.Script
		}
		// References ask for the ids of an object of Microsoft Graph.
		if k.System() == &MicrosoftGraph.Family {
			properties["id"], properties["appId"] = guid.Script, guid.Script
		}
		shown[c.Kind] = exchange.Quote(c.Kind) + " = " + s.literal(properties)
	}
	for _, kind := range sortedKeys(shown) {
		lines = append(lines, shown[kind])
	}
	return lines, identity, name
}

// patienceOf is how many seconds a script waits for what it wrote.
func patienceOf(sort string) int {
	if sort == Entra {
		return 300
	}
	return 60
}

// graphScopes are the permissions that the scripts for Entra use.
var graphScopes = []string{"Application.ReadWrite.All", "AppRoleAssignment.ReadWrite.All"}

// used lists the cmdlets that a script runs, with the parameters that it gives.
func (s *script) used() []map[string]any {
	parameters := map[string][]string{}
	add := func(c change.Command) {
		list := parameters[c.Name]
		for _, name := range sortedKeys(c.Parameters) {
			if !slices.Contains(list, name) {
				list = append(list, name)
			}
		}
		parameters[c.Name] = list
	}
	for _, c := range s.changes {
		if k := kindNamed(c.Kind); k != nil && k.Find != nil {
			add(k.Find(c))
		}
		for _, command := range s.commands(c) {
			add(command)
		}
	}
	var out []map[string]any
	for _, name := range sortedKeys(parameters) {
		list := parameters[name]
		slices.Sort(list)
		out = append(out, map[string]any{"Name": name, "Parameters": list})
	}
	return out
}

// commands are what the script runs for a change.
func (s *script) commands(c change.Change) []change.Command {
	k := kindNamed(c.Kind)
	if !s.undoes || k == nil || k.Find == nil {
		return c.Commands()
	}
	return s.undo(k, c).commands
}

// parameters lists what the script asks for. One that undoes finds ids in the result file.
func (s *script) parameters() []parameter {
	var out []parameter
	for _, c := range s.changes {
		for _, command := range s.commands(c) {
			for _, ref := range change.Refs(command.Parameters) {
				from := s.byChange[ref.Change]
				p := parameter{Name: variable(ref), GUID: isID(ref)}
				known := func(o parameter) bool { return o.Name == p.Name }
				if s.undoes || from == nil || from == s.batch || slices.ContainsFunc(out, known) {
					continue
				}
				p.From = from.file
				p.Help = comment(fmt.Sprintf("%s of %s, as %s prints it. It may be left out when "+
					"hybridge-result.json has it.", ref.Property, ref.Change, from.file))
				out = append(out, p)
			}
			for _, r := range change.Secrets(command.Parameters) {
				path, binary := strings.CutPrefix(r.Ref, "binary:")
				switch {
				case binary && !slices.Contains(s.files, path):
					s.files = append(s.files, path)
				case !binary && !slices.Contains(s.secrets, r):
					s.secrets = append(s.secrets, r)
				}
			}
		}
	}
	for i, r := range s.secrets {
		out = append(out, parameter{
			Name: "Secret" + strconv.Itoa(i+1), Secret: true,
			Help: comment(fmt.Sprintf("The secret that hybridge reads from %s", r)),
		})
	}
	for i, path := range s.files {
		out = append(out, parameter{
			Name: "File" + strconv.Itoa(i+1), File: path,
			Help: comment(fmt.Sprintf("Where the file %s is on the computer that runs this script", path)),
		})
	}
	return out
}

func isID(r change.Ref) bool { return r.Property == "id" || r.Property == "appId" }

var noName = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`[^0-9A-Za-z]+`)
})

// variable returns the variable name of a reference. It is the same in every plan.
func variable(r change.Ref) string {
	_, rest, _ := strings.Cut(r.Change, "/")
	if strings.HasPrefix(r.Change, "onprem/") {
		_, rest, _ = strings.Cut(rest, "/")
	}
	return noName().ReplaceAllString(rest+"_"+r.Property, "_")
}

// expression is a value that a script computes.
type expression string

// step writes one change.
func (s *script) step(i int) []string {
	c := s.changes[i]
	number := strconv.Itoa(i + 1)
	quoted := exchange.Quote
	what := comment(fmt.Sprintf("%s %s %q", c.Action, c.Kind, c.Name))
	lines := []string{"", fmt.Sprintf("# %d of %d: %s", i+1, len(s.changes), what)}
	if !c.Reason.IsZero() {
		lines = append(lines, "# Why: "+comment(c.Reason.String()))
	}
	if c.Risk != "" {
		lines = append(lines, "# Risk: "+comment(c.Risk))
	}
	k := kindNamed(c.Kind)
	if k == nil || k.Find == nil {
		return append(lines, "throw "+quoted("hybridge does not know "+c.Kind))
	}
	system := k.System().Script
	action := c.Action
	if updates(c.Command) {
		action = change.Update // the creation of an aspect is an update of its object
	}
	w := change.Writing{Name: "change" + number, Value: func(v any) string { return s.literal(v) }}

	if checks := s.checks(k, c); len(checks) > 0 {
		lines = slices.Concat(lines, []string{"$checks" + number + " = @("}, checks, []string{")"})
	} else {
		lines = append(lines, "$checks"+number+" = @()")
	}
	var needs []string
	for _, id := range c.Needs {
		if s.byChange[id] == s.batch {
			needs = append(needs, id)
		}
	}
	enter := fmt.Sprintf("Enter-Change -Id %s -Kind %s -Action %s -What %s -Needs %s -Checks $checks%s",
		quoted(c.ID), quoted(c.Kind), quoted(string(action)), quoted(c.Kind+" "+strconv.Quote(c.Name)),
		s.literal(needs), number)
	if len(change.Refs(c.After)) > 0 && action == change.Update {
		enter += " -Fresh"
	}
	if action == change.Update && c.Identity != "" && slices.ContainsFunc(s.plan.Changes, func(o change.Change) bool {
		return o.Action == change.Delete && !updates(o.Command) && o.Target == c.Target && o.Identity == c.Identity
	}) {
		enter += " -Going"
	}
	if k.Own && c.Action == change.Create {
		enter += " -Own"
	}
	lines = append(lines, enter)
	before, look := system.Look(k.Find(c), change.Writing{Name: "look" + number, Value: w.Value})
	lines = append(lines, before...)
	lines = append(lines,
		"while ($Change.Open) {",
		"    $live = @("+look+" | Where-Object { "+s.recognized(k, c)+" })",
	)
	sort, name := sortOf(s.place)
	ask := fmt.Sprintf("$PSCmdlet.ShouldProcess(%s, %s)",
		quoted(c.Kind+" "+strconv.Quote(c.Name)+" in "+sort.Named(name)), quoted(string(c.Action)+" with "+
			c.Command.Name))
	lines = append(lines, "    if ((Compare-Change -Live $live) -and "+ask+") {")
	lines = append(lines, "        Enter-Write")
	for j, command := range c.Commands() {
		if c.Action == change.Delete && keysAlone(k) {
			command = addressedLive(k, c, command)
		}
		writing := w
		indent := "        "
		removal := j < len(c.Commands())-1
		if removal {
			writing.Name = "removal" + number
			lines = append(lines, indent+"if ($null -ne $Change.Live) {")
			indent += "    "
		}
		for _, line := range system.Write(s.joined(k, c, command), writing) {
			lines = append(lines, indent+line)
		}
		if removal {
			lines = append(lines, "        }")
		}
		for n, then := range command.Then {
			lines = append(lines, indent+"try {")
			writing.Name = fmt.Sprintf("then%s_%d", number, n+1)
			for _, line := range system.Write(then, writing) {
				lines = append(lines, indent+"    "+line)
			}
			lines = append(lines, indent+"} catch {",
				indent+"    Write-Warning "+quoted(then.Name+" failed: "+k.System().Later(then)+"."),
				indent+"}")
		}
	}
	lines = append(lines, "        Confirm-Write", "    }", "}")
	return append(lines, s.exit(c))
}

// checks are the properties that are compared.
func (s *script) checks(k *Kind, c change.Change) []string {
	want := c.After
	if c.Action == change.Delete {
		want = c.Before
	}
	var out []string
	for _, name := range sortedKeys(want) {
		p, declared := k.Properties[name]
		if !declared || !p.Sent() || len(change.Secrets(want[name])) > 0 {
			continue
		}
		value, was := want[name], before(p, c, name)
		as, joins := p.Type.Script, c.Action != change.Delete && joins(p)
		if len(c.Removes[name]) > 0 { // the whole list is written, and only while it is as planned
			as, joins = settings.Script, false
		}
		if joins {
			value = p.Added(value, was)
		}
		// Removing an aspect empties it. Of a list, nothing is left then.
		if _, emptied := c.Command.Parameters[name]; c.Action == change.Delete && emptied {
			value = p.Unset
			switch {
			case as == keys.Script:
				as = wholeKeys.Script
			case p.Type.List:
				as = settings.Script
			}
		}
		line := fmt.Sprintf("    @{ Property = %s; As = %s; ", exchange.Quote(cmp.Or(p.From, name)), exchange.Quote(as))
		line += "Want = " + s.literal(value) + "; Before = " + s.literal(was)
		line += "; Joins = " + s.literal(joins) + "; Hides = " + s.literal(p.MayHide) + " }"
		out = append(out, line)
	}
	return out
}

// before returns a property before a change. The creation of an aspect finds its object.
func before(p Property, c change.Change, name string) any {
	if v := c.Before[name]; v != nil || c.Action != change.Create {
		return v
	}
	return p.Unset
}

// joins reports whether others also write into a list: their elements stay.
func joins(p Property) bool {
	return p.Write == change.Merge || p.Type.Script == keys.Script || p.Type.Script == accesses.Script
}

// updates reports whether a command changes an existing object.
func updates(c change.Command) bool {
	return strings.HasPrefix(c.Name, "Set-") || strings.HasPrefix(c.Name, "PATCH ")
}

// joined returns a command that adds to the lists of a live resource.
func (s *script) joined(k *Kind, c change.Change, command change.Command) change.Command {
	if !updates(command) || c.Action == change.Delete {
		return command
	}
	parameters := maps.Clone(command.Parameters)
	for _, name := range sortedKeys(c.After) {
		p := k.Properties[name]
		if _, sent := parameters[name]; !joins(p) || !sent || len(c.Removes[name]) > 0 {
			continue
		}
		list := fmt.Sprintf("@(Join-List -As %s -Live (Read-Property $Change.Live %s) -Add %s)",
			exchange.Quote(p.Type.Script), exchange.Quote(cmp.Or(p.From, name)),
			s.literal(p.Added(c.After[name], c.Before[name])))
		if joined := k.System().Script.Joined; joined != nil {
			list = joined(command, name, list)
		}
		parameters[name] = expression(list)
	}
	command.Parameters = parameters
	return command
}

var wanted = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`\{(\w+)(\??)\}`)
})

// recognized returns the condition by which a script recognizes the resource of a change.
func (s *script) recognized(k *Kind, c change.Change) string {
	properties := c.After
	switch {
	case c.Action == change.Create, c.Action == change.Recreate:
	case c.Action == change.Delete && keysAlone(k):
		properties = c.Before // what a rollback made again has another identity
	default:
		if c.Identity == "" {
			return "$true"
		}
		return fmt.Sprintf("(Test-Same -As Text -Want %s -Live (Read-Property $_ %s))",
			exchange.Quote(c.Identity), exchange.Quote(k.System().Script.Identity))
	}
	condition := k.Recognizes
	if condition == "" {
		var keys []string
		for _, name := range sortedKeys(k.Properties) {
			if k.Properties[name].Write == change.Key {
				keys = append(keys, "{"+name+"?}")
			}
		}
		condition = strings.Join(keys, " -and ")
	}
	return wanted().ReplaceAllStringFunc(condition, func(part string) string {
		m := wanted().FindStringSubmatch(part)
		p := k.Properties[m[1]]
		value := s.literal(properties[m[1]])
		if m[2] == "" {
			return value
		}
		return fmt.Sprintf("(Test-Same -As %s -Want %s -Live (Read-Property $_ %s))",
			p.Type.Script, value, exchange.Quote(cmp.Or(p.From, m[1])))
	})
}

// keysAlone reports whether an object has nothing but its keys and an id that Graph chose, as a
// consent has.
func keysAlone(k *Kind) bool {
	if k.System() != &MicrosoftGraph.Family {
		return false
	}
	for _, p := range k.Properties {
		if p.Write != change.Key {
			return false
		}
	}
	return len(k.Properties) > 0
}

// addressedLive returns a command that names the live object instead of the one that was planned.
func addressedLive(k *Kind, c change.Change, command change.Command) change.Command {
	id := "(Read-Property $Change.Live " + exchange.Quote(k.System().Script.Identity) + ")"
	command.Parameters = maps.Clone(command.Parameters)
	for name, v := range command.Parameters {
		if v == c.Identity {
			command.Parameters[name] = expression(id)
		}
	}
	return command
}

// exit ends a change: it keeps the values that others refer to, and prints those that other scripts
// ask for.
func (s *script) exit(c change.Change) string {
	keeps, prints := map[string]any{}, []string{}
	for _, other := range s.plan.Changes {
		for _, command := range other.Commands() {
			for _, ref := range change.Refs(command.Parameters) {
				if ref.Change != c.ID {
					continue
				}
				keeps[variable(ref)] = ref.Property
				if s.byChange[other.ID] != s.batch && !slices.Contains(prints, variable(ref)) {
					prints = append(prints, variable(ref))
				}
			}
		}
	}
	line := "Exit-Change -Keeps " + s.literal(keeps)
	if len(prints) > 0 {
		line += " -Prints " + s.literal(prints)
	}
	return line
}

func parameterOrder(p map[string]any) []string {
	first := map[string]int{"Identity": -2, "Name": -1, "Confirm": 1, "ErrorAction": 2}
	return slices.SortedFunc(maps.Keys(p), func(a, b string) int {
		if d := first[a] - first[b]; d != 0 {
			return d
		}
		return strings.Compare(a, b)
	})
}

// literal renders a value as an expression.
func (s *script) literal(v any) string {
	switch v := v.(type) {
	case expression:
		return string(v)
	case change.SecretRef:
		if path, binary := strings.CutPrefix(v.Ref, "binary:"); binary {
			return "[System.IO.File]::ReadAllBytes($File" + strconv.Itoa(slices.Index(s.files, path)+1) + ")"
		}
		return "$Secret" + strconv.Itoa(slices.Index(s.secrets, v)+1)
	case bool:
		if v {
			return "$true"
		}
		return "$false"
	case int64:
		return strconv.FormatInt(v, 10)
	case string:
		if v == liveIdentity {
			return "[string] (Read-Property $Change.Live " + exchange.Quote(s.identity()) + ")"
		}
		return exchange.Quote(v)
	case change.Ref:
		return "$Run.Ids[" + exchange.Quote(variable(v)) + "]"
	case []string:
		parts := make([]string, len(v))
		for i, e := range v {
			parts[i] = exchange.Quote(e)
		}
		return "@(" + strings.Join(parts, ", ") + ")"
	case []any:
		parts := make([]string, len(v))
		for i, e := range v {
			parts[i] = s.literal(e)
		}
		return "@(" + strings.Join(parts, ", ") + ")"
	case map[string]any:
		if len(v) == 0 {
			return "@{}"
		}
		parts := make([]string, 0, len(v))
		for _, k := range sortedKeys(v) {
			parts = append(parts, exchange.Quote(k)+" = "+s.literal(v[k]))
		}
		return "@{ " + strings.Join(parts, "; ") + " }"
	}
	return "$null"
}

// comment escapes a text for a comment: nothing in it ends the comment, and invisible characters
// show as their codes.
func comment(s string) string {
	var b strings.Builder
	for _, r := range strings.ToValidUTF8(s, "\ufffd") {
		switch {
		case unicode.IsControl(r), link.Invisible(r), r == '\u2028', r == '\u2029':
			fmt.Fprintf(&b, "[U+%04X]", r)
		default:
			b.WriteRune(r)
		}
	}
	return strings.ReplaceAll(b.String(), "#>", "# >")
}
