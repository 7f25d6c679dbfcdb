package apply

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hybridge-cli/hybridge/pkg/engine/change"
)

var errDead = errors.New("the process died")

// removalsToo agrees to what most plans of these tests do.
var removalsToo = []string{AcceptRemovals}

// soon is for runs that wait for what will never show.
const soon = time.Millisecond

// refusal is the error of a place that refuses a command.
type refusal struct{ error }

func (r refusal) Unwrap() error { return r.error }
func (refusal) Answered() bool  { return true }

// death kills the process at the nth point at which it can die: from there on nothing works.
type death struct {
	mu   sync.Mutex
	at   int // 0: never
	n    int
	seen []string
}

func (d *death) fault(point string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.n++
	d.seen = append(d.seen, point)
	if d.at > 0 && d.n >= d.at {
		return errDead
	}
	return nil
}

func (d *death) dead() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.at > 0 && d.n >= d.at
}

// memory is a place that holds resources. It is as strict as Exchange: what is there is not made
// twice, and what is not there is neither set nor removed.
type memory struct {
	mu      sync.Mutex
	name    string
	live    map[string][]change.Live
	next    int
	ran     []string
	log     []string         // ran, with all parameters
	refuse  map[string]error // by command and name: "New-Thing a"
	before  func(command string)
	after   func(command string)
	hide    int // reads that do not show yet what the last command did
	shown   map[string][]change.Live
	outputs change.Properties
	death   *death
}

func clone(live []change.Live) []change.Live {
	out := slices.Clone(live)
	for i := range out {
		out[i].Properties = maps.Clone(out[i].Properties)
		out[i].Foreign = fmt.Sprint("notes: ", out[i].Properties["Notes"])
	}
	return out
}

func (m *memory) Read(ctx context.Context, k *change.Kind) ([]change.Live, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.death != nil && m.death.dead() {
		return nil, errDead
	}
	if err := m.refuse["Get-"+k.Noun]; err != nil {
		return nil, err
	}
	if m.hide > 0 && m.shown != nil {
		m.hide--
		return clone(m.shown[k.Noun]), nil
	}
	if k == aspect {
		return slices.DeleteFunc(clone(m.live["Thing"]),
			func(l change.Live) bool { return l.Properties["Shadow"] == nil && l.Properties["Note"] == nil }), ctx.Err()
	}
	return clone(m.live[k.Noun]), ctx.Err()
}

func (m *memory) Run(ctx context.Context, c change.Command) (change.Properties, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.death != nil && m.death.dead() {
		return nil, errDead
	}
	verb, noun, _ := strings.Cut(c.Name, "-")
	identity, _ := c.Parameters["Identity"].(string)
	label := fmt.Sprintf("%s %v", c.Name, c.Parameters["Key"])
	if m.before != nil {
		m.before(label)
	}
	if err := m.refuse[label]; err != nil {
		return nil, refusal{err}
	}
	m.ran = append(m.ran, label)
	m.log = append(m.log, c.Name+" "+change.Text(c.Parameters))
	m.shown = map[string][]change.Live{noun: clone(m.live[noun])}
	at := slices.IndexFunc(m.live[noun], func(l change.Live) bool {
		return l.Identity == identity || identity == "" && l.Properties["Key"] == c.Parameters["Key"]
	})
	switch verb {
	case "New":
		for _, l := range m.live[noun] {
			if l.Properties["Key"] == c.Parameters["Key"] {
				return nil, fmt.Errorf("%v exists", c.Parameters["Key"])
			}
		}
		m.next++
		properties := change.Properties{}
		maps.Copy(properties, c.Parameters)
		delete(properties, "Name")
		properties["Shadow"] = "of " + noun
		properties["Id"] = fmt.Sprintf("id-%s-%d", m.name, m.next)
		m.live[noun] = append(m.live[noun],
			change.Live{Identity: fmt.Sprint(m.next), Name: c.Parameters["Name"].(string), Properties: properties})
	case "Set":
		if at < 0 {
			return nil, fmt.Errorf("%s is not there", identity)
		}
		properties := maps.Clone(m.live[noun][at].Properties)
		for name, value := range c.Parameters {
			if name == "Identity" || name == "Key" {
				continue
			}
			if value == nil {
				delete(properties, name)
				continue
			}
			properties[name] = value
		}
		m.live[noun] = clone(m.live[noun])
		m.live[noun][at].Properties = properties
	case "Remove":
		if at < 0 {
			return nil, fmt.Errorf("%s is not there", identity)
		}
		m.live[noun] = slices.Delete(clone(m.live[noun]), at, at+1)
	}
	if m.after != nil {
		m.after(label)
	}
	outputs := change.Properties{"Token": "hunter2"}
	maps.Copy(outputs, m.outputs)
	return outputs, ctx.Err()
}

// content is what a place holds, without identities.
func (m *memory) content() map[string][]string {
	m.mu.Lock()
	defer m.mu.Unlock()
	content := map[string][]string{}
	for noun, live := range m.live {
		for _, l := range live {
			properties := maps.Clone(l.Properties)
			delete(properties, "Id")
			delete(properties, "Shadow")
			content[noun] = append(content[noun], l.Name+" "+change.Text(properties))
		}
		slices.Sort(content[noun])
	}
	return content
}

func command(noun string) func(change.Action, string, change.Properties, *change.Live) (change.Command, error) {
	return func(a change.Action, name string, want change.Properties, live *change.Live) (change.Command, error) {
		c := change.Command{Parameters: map[string]any{}}
		maps.Copy(c.Parameters, want)
		switch a {
		case change.Create:
			c.Name, c.Parameters["Name"] = "New-"+noun, name
		case change.Update:
			c.Name, c.Parameters["Identity"], c.Parameters["Key"] = "Set-"+noun, live.Identity, live.Properties["Key"]
		case change.Delete:
			c.Name, c.Parameters["Identity"], c.Parameters["Key"] = "Remove-"+noun, live.Identity,
				live.Properties["Key"]
		default:
			return c, fmt.Errorf("asked for %s", a)
		}
		return c, nil
	}
}

var (
	thing = &change.Kind{
		Noun: "Thing",
		Properties: map[string]change.Property{
			"Key":     {Write: change.Key},
			"Enabled": {Compare: sameTruth},
			"Targets": {Compare: sameSet, Write: change.Merge},
			"URL":     {Compare: sameURL},
			"App":     {},
		},
		Command: command("Thing"),
	}
	fixed = &change.Kind{
		Noun:       "Fixed",
		Properties: map[string]change.Property{"Key": {Write: change.Key}, "Value": {}, "Keep": {}},
		Recreates:  true,
		Command:    command("Fixed"),
	}
	forever = &change.Kind{
		Noun:       "Forever",
		Properties: map[string]change.Property{"Key": {Write: change.Key}, "Value": {}},
		Permanent:  "a tenant never forgets",
		Command:    command("Forever"),
	}
	// aspect is a side of Things: it is there when its properties are, and a new Thing comes with
	// one of them.
	aspect = &change.Kind{
		Noun:       "Aspect",
		Properties: map[string]change.Property{"Key": {Write: change.Key}, "Shadow": {}, "Note": {}},
		Command: func(a change.Action, _ string, want change.Properties, live *change.Live) (change.Command, error) {
			c := change.Command{Name: "Set-Thing", Parameters: map[string]any{"Key": want["Key"], "Note": want["Note"]}}
			if live != nil {
				c.Parameters["Key"], c.Parameters["Identity"] = live.Properties["Key"], live.Identity
			}
			if a == change.Delete {
				c.Parameters["Note"], c.Parameters["Shadow"] = nil, nil
			}
			return c, nil
		},
	}
	kinds = map[string]*change.Kind{"Thing": thing, "Fixed": fixed, "Forever": forever, "Aspect": aspect}
)

// world is two places and what they should hold.
type world struct {
	online, onprem *memory
	resources      []change.Resource
}

func (w *world) places() map[string]change.Place {
	return map[string]change.Place{"online": w.online, "onprem/contoso": w.onprem}
}

func (w *world) content() map[string]map[string][]string {
	return map[string]map[string][]string{"online": w.online.content(), "onprem": w.onprem.content()}
}

func (w *world) plan(t testing.TB) change.Plan {
	t.Helper()
	p, err := change.Make(context.Background(), w.places(), w.resources, change.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// newWorld needs one change of every action, a reference across places, and an order.
func newWorld() *world {
	live := func(identity, name string, p change.Properties) change.Live {
		return change.Live{Identity: identity, Name: name, Properties: p}
	}
	return &world{
		online: &memory{name: "online", next: 100, live: map[string][]change.Live{
			"Thing": {
				live("1", "one", change.Properties{"Key": "update", "Enabled": "False",
					"Targets": []string{"Theirs.com"}, "URL": "https://old/", "Id": "i1"}),
				live("2", "two", change.Properties{"Key": "delete", "Enabled": true, "Targets": []string{"x.com"},
					"Id": "i2"}),
				live("3", "three", change.Properties{"Key": "others", "Enabled": true, "Id": "i3"}),
			},
			"Fixed": {live("4", "four", change.Properties{"Key": "fixed", "Value": "old", "Keep": "kept", "Id": "i4"})},
		}},
		onprem: &memory{name: "onprem", next: 200, live: map[string][]change.Live{}},
		resources: []change.Resource{
			{
				Kind: thing, Target: "onprem/contoso", Key: "app", Name: "app",
				Properties: change.Properties{"Key": "app",
					"App": change.Ref{Change: "online/Thing/new", Property: "Id"}, "Targets": []string{"a.com"}},
			},
			{Kind: thing, Target: "online", Key: "new", Name: "new",
				Properties: change.Properties{"Key": "new", "Enabled": true, "Targets": []string{"n.com"}}},
			{
				Kind: thing, Target: "online", Key: "update", Name: "update",
				Needs: []string{"onprem/contoso/Thing/app"},
				Properties: change.Properties{"Key": "update", "Enabled": true, "Targets": []string{"ours.com"},
					"URL": "https://new/"},
			},
			{Kind: fixed, Target: "online", Key: "fixed", Name: "fixed",
				Properties: change.Properties{"Key": "fixed", "Value": "new"}},
			{Kind: aspect, Target: "online", Key: "new", Properties: change.Properties{"Key": "new", "Note": "noted"},
				Needs: []string{"online/Thing/new"}},
			{Kind: thing, Target: "online", Key: "delete", Properties: change.Properties{"Key": "delete"},
				Absent: true},
			{Kind: thing, Target: "onprem/contoso", Key: "last", Name: "last",
				Properties: change.Properties{"Key": "last"}, Needs: []string{"online/Thing/update"}},
		},
	}
}
