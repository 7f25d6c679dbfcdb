// Package scripts runs the scripts of a plan in Microsoft's PowerShell: against strict stand-ins
// for the cmdlets and Microsoft Graph, and against the lab.
package scripts

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hybridge-cli/hybridge/pkg/config/answers"
	"github.com/hybridge-cli/hybridge/pkg/engine/apply"
	"github.com/hybridge-cli/hybridge/pkg/engine/change"
	"github.com/hybridge-cli/hybridge/pkg/engine/observe"
	"github.com/hybridge-cli/hybridge/pkg/estate/exchange"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/deployment"
	"github.com/hybridge-cli/hybridge/pkg/lab"
	"github.com/hybridge-cli/hybridge/test/peer"
)

type silent struct{}

func (silent) Observe(observe.Event) {}

// set is the scripts of a plan in a folder.
type set struct {
	dir     string
	plan    change.Plan
	scripts []deployment.Script
	undo    []deployment.Script // in the order in which they are run
	secrets map[string]string   // that the plan refers to
}

// planned makes the first plan of a lab and writes its scripts.
func planned(t *testing.T, d *deployment.Deployment) set {
	t.Helper()
	p, err := d.Plan(t.Context(), silent{})
	if err != nil {
		t.Fatal(err)
	}
	return written(t, d, p)
}

// written writes the scripts of a plan.
func written(t *testing.T, d *deployment.Deployment, p change.Plan) set {
	t.Helper()
	s := set{dir: t.TempDir(), plan: p}
	all, err := d.Scripts(t.Context(), p)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(s.dir, deployment.RollbackFolder), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(s.dir, apply.PlanFile), p.Encode(), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, script := range all {
		if script.Rollback {
			s.undo = append(s.undo, script)
		} else {
			s.scripts = append(s.scripts, script)
		}
		if err := os.WriteFile(filepath.Join(s.dir, script.Name), script.Content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

// open starts a lab and opens its deployment.
func open(t *testing.T, today func() time.Time) (*lab.Lab, *deployment.Deployment) {
	t.Helper()
	return openIn(t, lab.Options{Users: 20, Today: today})
}

// openOne opens a deployment of one forest.
func openOne(t *testing.T) (*lab.Lab, *deployment.Deployment) {
	t.Helper()
	return openIn(t, lab.Options{Users: 12, Forests: 1})
}

func openIn(t *testing.T, o lab.Options) (*lab.Lab, *deployment.Deployment) {
	t.Helper()
	o.Dir = t.TempDir()
	l, err := lab.Start(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	a, err := answers.Load(t.Context(), l.Answers())
	if err != nil {
		t.Fatal(err)
	}
	d, err := deployment.Open(a, deployment.Options{
		Dir: filepath.Dir(l.Answers()), StateDir: t.TempDir(), Version: "test", Now: o.Today,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = d.Close(context.WithoutCancel(t.Context())) })
	return l, d
}

// shared is the absolute path of a file of the reference folder.
func shared(t *testing.T, path ...string) string {
	t.Helper()
	file, err := filepath.Abs(peer.Shared(t, path...))
	if err != nil {
		t.Fatal(err)
	}
	return file
}

// powershell runs a script file with Microsoft's PowerShell.
func powershell(t *testing.T, env []string, args ...string) string {
	t.Helper()
	out, err := try(t, env, args...)
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return out
}

// try runs a script file, which may fail.
func try(t *testing.T, env []string, args ...string) (string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
	defer cancel()
	temp, err := os.MkdirTemp("", "ps") // short, because it contains sockets
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(temp) })
	c := exec.CommandContext(ctx, shared(t, "tools", "pwsh", "run"),
		append([]string{"-NoProfile", "-NonInteractive"}, args...)...)
	c.Env = append(append(os.Environ(), "TMPDIR="+temp), env...)
	c.WaitDelay = 10 * time.Second
	out, err := c.CombinedOutput()
	return string(out), err
}

// ran is the record of one run of a script.
type ran struct {
	Case, Script, Place, Error, Result string
	Refuse, Exit                       int
	Said, Calls                        []string
}

// call is a write, in the common form of the plan and the stand-ins.
type call struct {
	Name       string
	Parameters map[string]any
}

func (c call) String() string {
	b, _ := json.Marshal(c)
	return string(b)
}

// TestScriptsAgainstStandIns runs every script of a first plan with the cmdlets as functions, as
// functions of a module and over implicit remoting.
func TestScriptsAgainstStandIns(t *testing.T) {
	for name, scenario := range map[string]struct {
		today func() time.Time
		as    []string
	}{
		"EWS":   {nil, []string{"Function", "Module", "Remote"}},
		"Graph": {func() time.Time { return time.Date(2027, 10, 1, 12, 0, 0, 0, time.UTC) }, []string{"Module"}},
	} {
		_, d := open(t, scenario.today)
		s := planned(t, d)
		for _, as := range scenario.as {
			t.Run(name+"/"+as, func(t *testing.T) { s.standIns(t, as, "unknown argument", "wrong place", "alone") })
		}
	}
}

// standIns runs the scripts against stand-ins of a sort, and judges what they do. The cases must
// come up, beside those of every set.
func (s set) standIns(t *testing.T, as string, cases ...string) {
	t.Helper()
	runner, err := filepath.Abs("testdata/run.ps1")
	if err != nil {
		t.Fatal(err)
	}
	world := filepath.Join(t.TempDir(), "world.json")
	writeJSON(t, world, s.world(t))
	out := filepath.Join(t.TempDir(), "out.jsonl")
	args := []string{
		"-File", runner, "-WorldFile", world, "-Folder", s.dir, "-Out", out,
		"-Catalogue", peer.Catalogue(t), "-StandIns", shared(t, "tools", "pwsh-lab", "stand_in.ps1"), "-As", as,
	}
	// A function inherits the script's preference and a proxy does not. Functions would hide that
	// difference.
	refusals := as != "Function"
	if refusals {
		args = append(args, "-Refusals")
		cases = append(cases, "refused", "resumed")
	}
	log := powershell(t, nil, args...)
	s.judge(t, read(t, out), refusals, append(cases, "whatif", "run", "again", "undo"), log)
}

func read(t *testing.T, path string) (out []ran) {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(data)) {
		var r ran
		if err := json.Unmarshal([]byte(line), &r); err != nil {
			t.Fatalf("%v: %s", err, line)
		}
		out = append(out, r)
	}
	return out
}

// judge compares what the scripts did with the plan.
func (s set) judge(t *testing.T, runs []ran, refusals bool, asked []string, log string) {
	t.Helper()
	made := map[string]map[string]any{} // results of changes
	cases, stops := map[string]int{}, map[string]int{}
	var refused ran
	for _, r := range runs {
		cases[r.Case]++
		if r.Case == "refused" {
			stops[r.Script]++
		}
		bad := func(format string, args ...any) {
			t.Errorf("%s of %s at %s, refusal %d: %s\nerror: %s\nsaid:\n%s", r.Case, r.Script, r.Place, r.Refuse,
				fmt.Sprintf(format, args...), r.Error, strings.Join(r.Said, "\n"))
		}
		switch r.Case {
		case "whatif", "again":
			exit := 0
			if r.Case == "again" {
				exit = s.undone(r.Script)
			}
			if len(r.Calls) > 0 || r.Error != "" || r.Exit != exit {
				bad("%d calls, exit %d: %v", len(r.Calls), r.Exit, r.Calls)
			}
		case "unknown argument", "wrong place", "alone":
			if r.Case == "alone" && !s.waits(r.Script) {
				continue
			}
			if len(r.Calls) > 0 || r.Error == "" {
				bad("%d calls: %v", len(r.Calls), r.Calls)
			}
		case "run":
			if r.Error != "" || r.Exit != 0 {
				bad("stopped, exit %d", r.Exit)
			}
			for _, c := range s.changes(r.Script) {
				if c.Kind == "AuthCertificate" { // the stand-in has made it
					var result struct {
						Changes map[string]struct {
							After struct{ Properties map[string]any }
						}
					}
					_ = json.Unmarshal([]byte(r.Result), &result)
					made[c.ID] = result.Changes[c.ID].After.Properties
				}
			}
			want := s.expected(r.Script, r.Calls, made)
			if d := cmp.Diff(want, called(t, r.Calls)); d != "" {
				bad("calls (-plan +script):\n%s", d)
			}
			var file struct {
				Changes map[string]struct{ Status string }
			}
			if err := json.Unmarshal([]byte(r.Result), &file); err != nil {
				bad("the result file: %v", err)
			}
			for _, c := range s.changes(r.Script) {
				if file.Changes[c.ID].Status != "done" {
					bad("the result file says %q of %s", file.Changes[c.ID].Status, c.ID)
				}
			}
		case "undo":
			var names []string
			for _, c := range called(t, r.Calls) {
				name, _, _ := strings.Cut(c.Name, " ")
				names = append(names, name)
			}
			if d := cmp.Diff(s.expectedNames(r.Script), names); d != "" || r.Error != "" || r.Exit != s.undone(r.Script) {
				bad("exit %d, calls (-plan +script):\n%s", r.Exit, d)
			}
		case "refused":
			refused = r
			// What follows a change only warns when it fails.
			if later.MatchString(strings.Join(r.Said, " ")) {
				if r.Error != "" {
					bad("the failure of what follows a change stops it")
				}
				continue
			}
			if !strings.Contains(r.Error, "refuses") {
				bad("it does not stop")
			}
			if n := len(r.Calls); n != r.Refuse-1 {
				bad("%d writes took place, not %d", n, r.Refuse-1)
			}
		case "resumed":
			if r.Error != "" {
				bad("it does not go on")
			}
			before, after, all := len(refused.Calls), len(r.Calls), len(s.expectedNames(r.Script))
			if strings.Contains(refused.Error, "refuses") && before+after != all {
				bad("%d writes before the stop and %d after it are not the plan's %d", before, after, all)
			}
		}
	}
	for _, name := range asked {
		if cases[name] == 0 {
			t.Errorf("no %s was run\n%s", name, log)
		}
	}
	if cases["run"] != len(s.scripts) {
		t.Errorf("%d of %d scripts were run\n%s", cases["run"], len(s.scripts), log)
	}
	for _, script := range slices.Concat(s.scripts, s.undo) {
		if n := len(s.expectedNames(script.Name)); refusals && stops[script.Name] != n {
			t.Errorf("%s was stopped at %d of its %d calls", script.Name, stops[script.Name], n)
		}
	}
	t.Logf("%v", cases)
}

// changes are those of a script, in its order.
func (s set) changes(script string) (out []change.Change) {
	at := slices.IndexFunc(s.scripts, func(o deployment.Script) bool { return o.Name == script })
	content := string(s.scripts[at].Content)
	for _, c := range s.plan.Changes {
		if c.Target == s.scripts[at].Place && strings.Contains(content, "Enter-Change -Id "+exchange.Quote(c.ID)+" ") {
			out = append(out, c)
		}
	}
	return out
}

func (s set) expectedNames(script string) (out []string) {
	if forward, undoes := strings.CutPrefix(script, deployment.RollbackFolder+"/"); undoes {
		return s.undoNames(forward)
	}
	for _, c := range s.changes(script) {
		for _, command := range c.Commands() {
			out = append(out, command.Name)
			for _, then := range command.Then {
				out = append(out, then.Name)
			}
		}
	}
	return out
}

// waits reports whether a script waits for another one.
func (s set) waits(script string) bool {
	return slices.ContainsFunc(s.scripts, func(o deployment.Script) bool {
		return o.Name == script && strings.Contains(string(o.Content), "\nAssert-Need $needs")
	})
}

// left reports whether nothing but a person undoes a change, or one that rests on it.
func (s set) left(c change.Change) bool {
	if c.Kind == "CloudManagedMailbox" || c.Kind == "AuthConfig" && c.After["CurrentCertificateThumbprint"] == nil {
		return true
	}
	return slices.ContainsFunc(s.plan.Changes, func(o change.Change) bool {
		return slices.Contains(o.Needs, c.ID) && s.left(o)
	})
}

// undone is the exit code of the rollback script of a script: 1 where something is left.
func (s set) undone(script string) int {
	forward, undoes := strings.CutPrefix(script, deployment.RollbackFolder+"/")
	if undoes && slices.ContainsFunc(s.changes(forward), s.left) {
		return 1
	}
	return 0
}

// undoNames are the calls of the rollback script of a script: what was made is removed, what was
// set is set back, the last change first.
func (s set) undoNames(script string) (out []string) {
	for _, c := range slices.Backward(s.changes(script)) {
		if s.left(c) {
			continue
		}
		name := c.Command.Name
		switch verb, rest, _ := strings.Cut(name, "-"); {
		case verb == "New", verb == "Add":
			name = "Remove-" + rest
		case name == "Remove-AvailabilityAddressSpace":
			name = "Add-" + rest
		case verb == "Remove":
			name = "New-" + rest
		case verb == "Import":
			out = append(out, "Remove-"+rest)
			continue
		case strings.HasPrefix(name, "DELETE "):
			name = "POST"
		case strings.HasPrefix(name, "POST "):
			name = "DELETE"
		case strings.HasPrefix(name, "PATCH "):
			name = "PATCH"
		}
		out = append(out, name)
		for _, then := range c.Command.Then {
			out = append(out, then.Name)
		}
	}
	return out
}

// expected are the calls that the plan has for a script. The results of creations are read from the
// recorded calls.
func (s set) expected(script string, calls []string, made map[string]map[string]any) (out []call) {
	resolve := func(v any) any {
		v, err := change.Resolve(v, func(r change.Ref) (any, error) { return made[r.Change][r.Property], nil })
		if err != nil {
			return err
		}
		return v
	}
	for _, c := range s.changes(script) {
		for _, command := range c.Commands() {
			parameters, _ := resolve(command.Parameters).(map[string]any)
			method, path, graph := strings.Cut(command.Name, " ")
			one := call{Name: command.Name, Parameters: map[string]any{}}
			for name, v := range parameters {
				if hole := "{" + name + "}"; graph && strings.Contains(path, hole) {
					path = strings.ReplaceAll(path, hole, fmt.Sprint(v))
					continue
				}
				if ref, secret := v.(change.SecretRef); secret {
					v = s.secrets[ref.Ref]
				}
				one.Parameters[name] = v
			}
			if graph {
				one.Name = method + " /v1.0" + path
			} else {
				one = asCmdlet(one)
			}
			result := map[string]any{"Identity": parameters["Name"]}
			if len(out) < len(calls) {
				var line struct{ Made map[string]any }
				_ = json.Unmarshal([]byte(calls[len(out)]), &line)
				if line.Made["id"] != nil {
					result = line.Made
				}
			}
			if made[c.ID] == nil || graph {
				made[c.ID] = result
			}
			out = append(out, one)
			for _, then := range command.Then {
				out = append(out, asCmdlet(call{Name: then.Name, Parameters: then.Parameters}))
			}
		}
	}
	for i := range out {
		out[i].Parameters = plain(out[i].Parameters).(map[string]any)
	}
	return out
}

// asCmdlet is a command as a cmdlet receives it: already confirmed, with lists joined where the
// parameter is a string.
func asCmdlet(c call) call {
	out := call{Name: c.Name, Parameters: map[string]any{}}
	cmdlet, _ := exchange.Catalogue().Find(c.Name)
	for name, v := range c.Parameters {
		if p, _ := cmdlet.Parameter(name); p.Type == "String" {
			if list, ok := v.([]string); ok {
				v = strings.Join(list, ",")
			}
			if v == nil { // what $null becomes
				v = ""
			}
		}
		out.Parameters[name] = v
	}
	if _, asks := cmdlet.Parameter("Confirm"); asks {
		out.Parameters["Confirm"] = false
	}
	return out
}

// plain is a value in its JSON form. PowerShell may write a list of one as its element, so both are
// equal.
func plain(v any) any {
	data, err := json.Marshal(v)
	if err != nil {
		return err
	}
	var out any
	if err := json.Unmarshal(data, &out); err != nil {
		return err
	}
	return out
}

// called parses the records of the stand-ins.
func called(t *testing.T, lines []string) (out []call) {
	t.Helper()
	for _, line := range lines {
		var l struct {
			Cmdlet, Graph, URI string
			Parameters, Body   map[string]any
		}
		if err := json.Unmarshal([]byte(line), &l); err != nil {
			t.Fatalf("%v: %s", err, line)
		}
		if l.Graph != "" {
			body := l.Body
			if body == nil {
				body = map[string]any{}
			}
			out = append(out, call{l.Graph + " " + l.URI, body})
			continue
		}
		c := call{l.Cmdlet, map[string]any{}}
		for name, v := range l.Parameters {
			c.Parameters[name] = typed(v)
		}
		out = append(out, c)
	}
	return out
}

// typed is the value that the stand-ins record as {"type": ..., "value": ...}.
func typed(v any) any {
	m, ok := v.(map[string]any)
	if !ok {
		return v
	}
	if text, dated := m["value"].(string); dated && m["type"] == "System.DateTime" {
		if at, err := time.Parse(time.RFC3339, text); err == nil {
			return at.UTC().Format(time.RFC3339)
		}
	}
	switch value := m["value"].(type) {
	case []any:
		out := []any{}
		for _, e := range value {
			out = append(out, typed(e))
		}
		return out
	case map[string]any:
		if kind, _ := m["type"].(string); strings.HasSuffix(kind, "[]") {
			return []any{typed(value)}
		}
		return value
	default:
		return value
	}
}

var (
	later     = regexp.MustCompile(`(Get-ExchangeDiagnosticInfo|Enable-ExchangeCertificate) failed`)
	assertion = regexp.MustCompile(`Assert-Place -Organization '([^']*)' (?:-Servers @\{ (.*?) \}|-Tenant '([^']*)')`)
	tenancy   = regexp.MustCompile(`Assert-Place -Tenant '([^']*)' -Environment`)
	build     = regexp.MustCompile(`'([^']*)' = '(\d+\.\d+)\.(\d+\.\d+)'`)
)

// world is the state before the scripts run: the objects that the plan changes, as the plan read
// them, and the objects that the scripts verify.
func (s set) world(t *testing.T) map[string]any {
	t.Helper()
	places, graph, scripts, tenant := map[string]map[string][]any{}, []any{}, []any{}, ""
	for _, script := range s.scripts {
		scripts = append(scripts, map[string]any{"file": script.Name, "place": script.Place,
			"secrets": s.asked(script)})
		m := assertion.FindStringSubmatch(string(script.Content))
		if in := tenancy.FindStringSubmatch(string(script.Content)); in != nil {
			tenant = in[1]
		}
		if script.Place == "entra" || places[script.Place] != nil {
			continue
		}
		if m == nil {
			t.Fatalf("%s makes sure of nothing", script.Name)
		}
		if m[3] != "" {
			tenant = m[3]
		}
		var servers []any
		for _, b := range build.FindAllStringSubmatch(m[2], -1) {
			servers = append(servers, map[string]any{
				"Name": b[1], "Identity": b[1], "ServerRole": "Mailbox, ClientAccess",
				"AdminDisplayVersion": fmt.Sprintf("Version %s (Build %s)", b[2], b[3]),
			})
		}
		places[script.Place] = map[string][]any{
			"OrganizationConfig": {map[string]any{"Name": script.Place, "Identity": script.Place, "Guid": m[1]}},
			"ExchangeServer":     servers,
		}
	}
	// Several changes may be of one object.
	put := func(list []any, key string, object map[string]any) []any {
		for _, o := range list {
			if there := o.(map[string]any); there[key] == object[key] {
				maps.Copy(there, object)
				return list
			}
		}
		return append(list, object)
	}
	for _, c := range s.plan.Changes {
		_, noun, _ := strings.Cut(c.Command.Name, "-")
		object := map[string]any{"Name": c.Name, "Identity": c.Identity}
		switch {
		case c.Action != change.Create:
			maps.Copy(object, c.Before)
			if c.Command.Parameters["PublishCertificate"] != nil {
				object["NextCertificateThumbprint"] = c.After["CurrentCertificateThumbprint"]
			}
		case c.Kind != "CloudManagedMailbox":
			continue
		default: // of something that is there
			object["Identity"] = c.Command.Parameters["Identity"]
			for name, v := range c.After {
				if _, switched := v.(bool); !switched {
					object[name] = v
				}
			}
		}
		if c.Target == "entra" {
			path := strings.Split(c.Command.Name, "/")
			object = map[string]any{"id": c.Identity, "displayName": c.Name, "#": path[1]}
			if len(path) > 4 {
				object["#"] = fmt.Sprint(c.Before["principalId"]) + "/" + path[3]
			}
			maps.Copy(object, c.Before)
			if _, id, _ := strings.Cut(c.ID[len("entra/"):], "/"); len(id) == 36 {
				object["appId"] = id
			}
			graph = put(graph, "id", object)
			continue
		}
		if noun == "OrganizationConfig" {
			maps.Copy(places[c.Target][noun][0].(map[string]any), object)
			continue
		}
		if noun == "SettingOverride" { // Exchange shows them by other names
			object["ComponentName"], object["SectionName"] = object["Component"], object["Section"]
		}
		places[c.Target][noun] = put(places[c.Target][noun], "Identity", object)
	}
	undo := []any{}
	for _, script := range s.undo {
		if len(s.asked(script)) > 0 {
			t.Errorf("%s asks for a secret", script.Name)
		}
		undo = append(undo, map[string]any{"file": script.Name, "place": script.Place})
	}
	return map[string]any{"scripts": scripts, "undo": undo, "places": places, "graph": graph, "tenant": tenant}
}

// asked are the secrets that a script asks for.
func (s set) asked(script deployment.Script) (out []string) {
	for ref, text := range s.secrets {
		if !strings.HasPrefix(ref, "binary:") && strings.Contains(string(script.Content), "[securestring]") {
			out = append(out, text)
		}
	}
	return out
}

func writeJSON(t *testing.T, path string, v any) {
	t.Helper()
	data, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
}
