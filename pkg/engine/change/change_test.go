package change

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/hybridge-cli/hybridge/pkg/config/secret"
	"github.com/hybridge-cli/hybridge/pkg/engine/msg"
	"github.com/hybridge-cli/hybridge/pkg/engine/observe"
	"github.com/hybridge-cli/hybridge/pkg/engine/selection"
)

// shelf is a place that only reads.
type shelf struct {
	mu    sync.Mutex
	live  map[string][]Live
	fail  map[string]error
	reads map[string]int
}

func (s *shelf) Read(_ context.Context, k *Kind) ([]Live, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.reads == nil {
		s.reads = map[string]int{}
	}
	s.reads[k.Noun]++
	return s.live[k.Noun], s.fail[k.Noun]
}

func (s *shelf) Run(context.Context, Command) (Properties, error) { panic("a plan writes nothing") }

func render(a Action, name string, want Properties, live *Live) (Command, error) {
	c := Command{Name: string(a), Parameters: map[string]any{}}
	maps.Copy(c.Parameters, want)
	if live != nil {
		c.Parameters["Identity"] = live.Identity
	} else {
		c.Parameters["Name"] = name
	}
	return c, nil
}

var (
	relationship = &Kind{
		Noun: "Relationship",
		Match: func(want Properties, l Live) bool {
			return len(Property{Compare: sameSet}.Added(want["Domains"],
				l.Properties["Domains"])) < len(Elements(want["Domains"]))
		},
		Properties: map[string]Property{
			"Domains": {Compare: sameSet, Write: Merge},
			"URL":     {Compare: sameURL},
			"Enabled": {Compare: sameTruth},
			"Level":   {},
			"App":     {},
			"Secret":  {Write: CreateOnly},
		},
		Risk:    "lookups stop",
		Command: render,
	}
	application = &Kind{
		Noun:       "Application",
		Properties: map[string]Property{"Key": {Write: Key}, "Title": {}, "AppID": {}},
		Command:    render,
	}
	override = &Kind{
		Noun:       "Override",
		Properties: map[string]Property{"Key": {Write: Key}, "Values": {Compare: sameSet, Write: Merge}, "Note": {}},
		Command:    render,
		Recreates:  true,
	}
)

func contoso() Resource {
	return Resource{
		Kind: relationship, Target: "online", Key: "contoso", Name: "O365 to contoso",
		Properties: Properties{"Domains": []string{"contoso.com"}, "Enabled": true,
			"URL": "https://mail.contoso.com/ews/"},
		Reason: msg.Plain("free/busy"),
	}
}

func TestMake(t *testing.T) {
	entra := Resource{Kind: application, Target: "entra", Key: "hybrid", Name: "App",
		Properties: Properties{"Key": "hybrid", "Title": "App"}}
	with := func(r Resource, change func(*Resource)) Resource {
		r.Properties = maps.Clone(r.Properties)
		change(&r)
		return r
	}
	tests := []struct {
		name      string
		online    map[string][]Live
		entra     map[string][]Live
		resources []Resource
		options   Options
		want      []Change
		unchanged int
	}{
		{
			name:      "create",
			resources: []Resource{contoso()},
			want: []Change{{
				ID: "online/Relationship/contoso", Target: "online", Kind: "Relationship", Name: "O365 to contoso",
				Action: Create,
				Reason: msg.Plain("free/busy"), Risk: "lookups stop",
				After: Properties{"Domains": []string{"contoso.com"}, "Enabled": true,
					"URL": "https://mail.contoso.com/ews/"},
				Command: Command{Name: "create", Parameters: map[string]any{
					"Domains": []string{"contoso.com"}, "Enabled": true, "Name": "O365 to contoso",
					"URL": "https://mail.contoso.com/ews/",
				}},
			}},
		},
		{
			name: "in order already, by meaning",
			online: map[string][]Live{"Relationship": {{Identity: "1", Name: "old", Properties: Properties{
				"Domains": []any{"fabrikam.com", "CONTOSO.com"}, "Enabled": "True",
				"URL": "HTTPS://Mail.Contoso.com:443/ews",
			}}}},
			resources: []Resource{with(contoso(), func(r *Resource) { r.Properties["Secret"] = "given once" })},
			unchanged: 1,
		},
		{
			name: "only what differs, lists merged with what others put there",
			online: map[string][]Live{"Relationship": {{Identity: "1", Name: "old", Properties: Properties{
				"Domains": []string{"Fabrikam.com", "Contoso.com"}, "Enabled": false,
				"URL": "https://mail.contoso.com/ews", "Level": "x",
			}}}},
			resources: []Resource{with(contoso(),
				func(r *Resource) { r.Properties["Domains"] = []string{"contoso.com", "litware.com"} })},
			want: []Change{{
				ID: "online/Relationship/contoso", Target: "online", Kind: "Relationship", Name: "old", Identity: "1",
				Action: Update,
				Reason: msg.Plain("free/busy"), Risk: "lookups stop",
				Before: Properties{"Domains": []string{"Fabrikam.com", "Contoso.com"}, "Enabled": false},
				After:  Properties{"Domains": []string{"Fabrikam.com", "Contoso.com", "litware.com"}, "Enabled": true},
				Command: Command{Name: "update", Parameters: map[string]any{
					"Domains": []string{"Fabrikam.com", "Contoso.com", "litware.com"}, "Enabled": true, "Identity": "1",
				}},
			}},
		},
		{
			name: "delete",
			online: map[string][]Live{"Relationship": {{Identity: "1", Name: "old", Properties: Properties{
				"Domains": []string{"contoso.com"}, "Level": int32(3), "Secret": Unreadable{"no right"},
			}}}},
			resources: []Resource{with(contoso(), func(r *Resource) { r.Absent = true })},
			want: []Change{{
				ID: "online/Relationship/contoso", Target: "online", Kind: "Relationship", Name: "old", Identity: "1",
				Action: Delete,
				Reason: msg.Plain("free/busy"), Risk: "lookups stop",
				Before:  Properties{"Domains": []string{"contoso.com"}, "Level": int64(3)},
				Command: Command{Name: "delete", Parameters: map[string]any{"Identity": "1"}},
			}},
		},
		{
			name:      "absent already",
			resources: []Resource{with(contoso(), func(r *Resource) { r.Absent = true })},
			unchanged: 1,
		},
		{
			name: "replace where there is no Set, with what is there besides",
			online: map[string][]Live{"Override": {{Identity: "9", Name: "o", Properties: Properties{
				"Key": "k", "Values": []string{"a", "c"}, "Note": "kept",
			}}}},
			resources: []Resource{{Kind: override, Target: "online", Key: "k", Name: "new",
				Properties: Properties{"Key": "k", "Values": []string{"a", "b"}}}},
			want: []Change{{
				ID: "online/Override/k", Target: "online", Kind: "Override", Name: "o", Identity: "9", Action: Recreate,
				Before:  Properties{"Key": "k", "Values": []string{"a", "c"}, "Note": "kept"},
				After:   Properties{"Key": "k", "Values": []string{"a", "c", "b"}, "Note": "kept"},
				Removal: &Command{Name: "delete", Parameters: map[string]any{"Identity": "9"}},
				Command: Command{Name: "create",
					Parameters: map[string]any{"Key": "k", "Name": "o", "Note": "kept",
						"Values": []string{"a", "c", "b"}}},
			}},
		},
		{
			name: "a reference to what is there is resolved",
			entra: map[string][]Live{"Application": {{Identity: "7", Name: "App",
				Properties: Properties{"Key": "hybrid", "Title": "App", "AppID": "guid"}}}},
			resources: []Resource{
				with(contoso(), func(r *Resource) {
					r.Properties = Properties{"Domains": "contoso.com", "App": Ref{"entra/Application/hybrid", "AppID"}}
				}), entra,
			},
			want: []Change{{
				ID: "online/Relationship/contoso", Target: "online", Kind: "Relationship", Name: "O365 to contoso",
				Action: Create,
				Reason: msg.Plain("free/busy"), Risk: "lookups stop",
				After: Properties{"Domains": "contoso.com", "App": "guid"},
				Command: Command{Name: "create",
					Parameters: map[string]any{"App": "guid", "Domains": "contoso.com", "Name": "O365 to contoso"}},
			}},
			unchanged: 1,
		},
		{
			name: "a reference to what is to be made stays, and orders",
			resources: []Resource{
				with(contoso(), func(r *Resource) {
					r.Properties = Properties{"App": []any{Ref{"entra/Application/hybrid", "AppID"}},
						"Domains": []string{"contoso.com"}}
				}), entra,
			},
			want: []Change{
				{
					ID: "entra/Application/hybrid", Target: "entra", Kind: "Application", Name: "App", Action: Create,
					After: Properties{"Key": "hybrid", "Title": "App"},
					Command: Command{Name: "create",
						Parameters: map[string]any{"Key": "hybrid", "Name": "App", "Title": "App"}},
				},
				{
					ID: "online/Relationship/contoso", Target: "online", Kind: "Relationship", Name: "O365 to contoso",
					Action: Create,
					Reason: msg.Plain("free/busy"), Risk: "lookups stop",
					After: Properties{"Domains": []string{"contoso.com"},
						"App": []any{Ref{"entra/Application/hybrid", "AppID"}}},
					Command: Command{Name: "create", Parameters: map[string]any{
						"App": []any{Ref{"entra/Application/hybrid", "AppID"}}, "Domains": []string{"contoso.com"},
						"Name": "O365 to contoso",
					}},
					Needs: []string{"entra/Application/hybrid"},
				},
			},
		},
		{
			name: "what needs what is left out is left out too",
			resources: []Resource{
				with(contoso(), func(r *Resource) { r.Needs = []string{"entra/Application/hybrid"} }), entra,
			},
			options: Options{Skip: []string{"entra/*"}},
			want:    []Change{},
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			places := map[string]Place{"online": &shelf{live: test.online}, "entra": &shelf{live: test.entra}}
			plan, err := Make(t.Context(), places, test.resources, test.options)
			if err != nil {
				t.Fatal(err)
			}
			if test.want == nil {
				test.want = []Change{}
			}
			if diff := cmp.Diff(test.want, plan.Changes); diff != "" {
				t.Errorf("changes (-want +got):\n%s", diff)
			}
			if plan.Summary.Unchanged != test.unchanged {
				t.Errorf("unchanged: %d, want %d", plan.Summary.Unchanged, test.unchanged)
			}
			// What is written is read back as the same, and the same facts give the same bytes.
			decoded, err := Decode(bytes.NewReader(plan.Encode()))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(plan, decoded); diff != "" {
				t.Errorf("decoded (-made +decoded):\n%s", diff)
			}
			again, err := Make(t.Context(), places, test.resources, test.options)
			if err != nil || !bytes.Equal(plan.Encode(), again.Encode()) {
				t.Errorf("made again, the plan differs (%v)", err)
			}
		})
	}
}

func TestMakeRefuses(t *testing.T) {
	two := map[string][]Live{"Relationship": {
		{Identity: "1", Name: "A", Properties: Properties{"Domains": []string{"contoso.com"}}},
		{Identity: "2", Name: "B", Properties: Properties{"Domains": []string{"Contoso.com"}}},
	}}
	other := contoso()
	other.Key = "other"
	needy := func(key string, needs ...string) Resource {
		return Resource{Kind: application, Target: "online", Key: key, Properties: Properties{"Key": key}, Needs: needs}
	}
	tests := []struct {
		name      string
		live      map[string][]Live
		fail      map[string]error
		resources []Resource
		options   Options
		class     error
		want      []string
	}{
		{name: "several match", live: two, resources: []Resource{contoso()}, class: ErrAmbiguous,
			want: []string{"online/Relationship/contoso", `"A", "B"`}},
		{
			name: "two want one", live: map[string][]Live{"Relationship": two["Relationship"][:1]},
			resources: []Resource{contoso(), other}, class: ErrAmbiguous,
			want: []string{"online/Relationship/other", `"A"`},
		},
		{
			name: "unreadable", live: map[string][]Live{"Relationship": {{Name: "A", Properties: Properties{
				"Domains": []string{"contoso.com"}, "Enabled": Unreadable{"access denied"},
				"URL": "https://mail.contoso.com/ews",
			}}}},
			resources: []Resource{contoso()}, class: ErrUnreadable, want: []string{"Enabled", "access denied"},
		},
		{
			name: "failed read", fail: map[string]error{"Relationship": os.ErrDeadlineExceeded},
			resources: []Resource{contoso()}, class: os.ErrDeadlineExceeded,
			want: []string{"online: read Relationship"},
		},
		{
			name: "cycle", resources: []Resource{needy("z"), needy("a", "online/Application/b"),
				needy("b", "online/Application/c"), needy("c", "online/Application/a")},
			want: []string{"online/Application/a > online/Application/b > online/Application/c > online/Application/a"},
		},
		{name: "twice", resources: []Resource{contoso(), contoso()}, want: []string{"wanted twice"}},
		{name: "no place", resources: []Resource{{Kind: application, Target: "mars", Key: "x"}},
			want: []string{`no place "mars"`}},
		{name: "undeclared", resources: []Resource{{Kind: application, Target: "online", Key: "x",
			Properties: Properties{"Nope": 1}}}, want: []string{"declares no property Nope"}},
		{name: "not a value", resources: []Resource{{Kind: application, Target: "online", Key: "x",
			Properties: Properties{"Title": 1.5}}}, want: []string{"float64"}},
		{name: "glob", resources: []Resource{contoso()}, options: Options{Only: []string{"nothing*"}},
			class: selection.ErrUnmatched, want: []string{`--only "nothing*"`}},
		{
			name: "reference to what is to be removed",
			live: map[string][]Live{"Application": {{Identity: "1", Name: "gone",
				Properties: Properties{"Key": "gone", "Title": "x"}}}},
			resources: []Resource{
				{Kind: application, Target: "online", Key: "gone", Properties: Properties{"Key": "gone"}, Absent: true},
				{Kind: application, Target: "online", Key: "x",
					Properties: Properties{"Key": "x", "Title": Ref{"online/Application/gone", "Title"}}},
			},
			want: []string{"online/Application/x", "refers to online/Application/gone#Title, which is to be removed"},
		},
		{
			name: "reference to what is not to be there",
			resources: []Resource{
				{Kind: application, Target: "online", Key: "gone", Properties: Properties{"Key": "gone"}, Absent: true},
				{Kind: application, Target: "online", Key: "x",
					Properties: Properties{"Key": "x", "Title": Ref{"online/Application/gone", "Title"}}},
			},
			want: []string{"online/Application/x", "refers to online/Application/gone#Title, which is to be absent"},
		},
		{
			name: "reference to nothing", resources: []Resource{{Kind: application, Target: "online", Key: "x",
				Properties: Properties{"Title": Ref{"no/such/thing", "ID"}}}},
			want: []string{"no/such/thing#ID"},
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			_, err := Make(t.Context(), map[string]Place{"online": &shelf{live: test.live, fail: test.fail}},
				test.resources, test.options)
			if err == nil {
				t.Fatal("no error")
			}
			if test.class != nil && !errors.Is(err, test.class) {
				t.Errorf("%v: not of class %v", err, test.class)
			}
			for _, want := range test.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("%q does not say %q", err, want)
				}
			}
		})
	}
}

// Each kind is read once at a place, and the order of changes follows needs through what is up to
// date.
func TestOrder(t *testing.T) {
	place := &shelf{live: map[string][]Live{"Application": {{Identity: "b", Name: "b",
		Properties: Properties{"Key": "b", "Title": "b"}}}}}
	app := func(key string, needs ...string) Resource {
		for i := range needs {
			needs[i] = "online/Application/" + needs[i]
		}
		return Resource{Kind: application, Target: "online", Key: key, Name: key,
			Properties: Properties{"Key": key, "Title": key}, Needs: needs}
	}
	plan, err := Make(t.Context(), map[string]Place{"online": place}, []Resource{
		app("a", "b"), app("b", "c"), app("d"), app("c"), app("e", "elsewhere"),
	}, Options{})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, c := range plan.Changes {
		got = append(got, fmt.Sprint(c.Name, c.Needs))
	}
	if want := []string{"d[]", "c[]", "a[online/Application/c]", "e[]"}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	if place.reads["Application"] != 1 {
		t.Errorf("read %d times", place.reads["Application"])
	}

	// Removals go the other way round.
	place.live["Application"] = []Live{
		{Identity: "a", Name: "a", Properties: Properties{"Key": "a"}},
		{Identity: "b", Name: "b", Properties: Properties{"Key": "b"}},
	}
	base, top := app("a"), app("b", "a")
	base.Absent, top.Absent = true, true
	plan, err = Make(t.Context(), map[string]Place{"online": place}, []Resource{base, top}, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if plan.Changes[0].Name != "b" || !slices.Equal(plan.Changes[1].Needs, []string{"online/Application/b"}) {
		t.Errorf("removed in the wrong order: %+v", plan.Changes)
	}
}

func TestLeftOutIsTold(t *testing.T) {
	top := contoso()
	top.Needs = []string{"online/Application/x"}
	var told []string
	_, err := Make(t.Context(), map[string]Place{"online": &shelf{}}, []Resource{
		{Kind: application, Target: "online", Key: "x", Properties: Properties{"Key": "x"}}, top,
	}, Options{Skip: []string{"*/application/*"}, Observer: observe.Func(func(e observe.Event) {
		if w, ok := e.(observe.Warning); ok {
			told = append(told, w.Text)
		}
	})})
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"online/Relationship/contoso is left out: it needs online/Application/x, which is not selected"}
	if diff := cmp.Diff(want, told); diff != "" {
		t.Error(diff)
	}
}

func TestComparisons(t *testing.T) {
	tests := []struct {
		name       string
		compare    Comparison
		want, live any
		same       bool
	}{
		{"nothing is nothing", Equal, nil, "", true},
		{"empty list is nothing", Equal, []string{}, nil, true},
		{"one is a list of one", Equal, "a", []any{"a"}, true},
		{"integers of any width", Equal, 5, int64(5), true},
		{"a number is no text", Equal, 5, "5", false},
		{"case counts", Equal, "A", "a", false},
		{"false is not nothing", Equal, false, nil, false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if got := test.compare(test.want, test.live); got != test.same {
				t.Errorf("compare(%v, %v) = %v", test.want, test.live, got)
			}
		})
	}
}

func TestFingerprint(t *testing.T) {
	a := Live{Identity: "1", Name: "a",
		Properties: Properties{"Domains": []string{"x.com", "y.com"}, "Level": "1", "WhenChanged": "now"}}
	b := Live{Identity: "2", Name: "b", Properties: Properties{"Enabled": true}}
	same := a
	same.Properties = Properties{"Domains": []any{"y.com", "x.com"}, "Level": "1", "WhenChanged": "later"}
	other := a
	other.Properties = Properties{"Domains": []string{"x.com"}, "Level": "1"}
	sum := func(l ...Live) string {
		t.Helper()
		s, err := Fingerprint(relationship, l)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	if sum(a, b) != sum(b, same) {
		t.Error("order, or a property nobody declared, counts")
	}
	if sum(a, b) == sum(other, b) || sum(a) == sum() || sum(a) == sum(a, b) {
		t.Error("a difference does not count")
	}
	renamed, swapped := a, a
	renamed.Name = "c"
	a.Properties = Properties{"Level": []string{"1", "2"}}
	swapped.Properties = Properties{"Level": []string{"2", "1"}}
	if sum(renamed) == sum(other) || sum(renamed) == sum(same) {
		t.Error("a name does not count")
	}
	if sum(a) == sum(swapped) {
		t.Error("the order of a list, that its comparison heeds, does not count")
	}
}

// A plan is read by people: what they look at is the value, and not an escape of it.
func TestEncodeWithoutEscapes(t *testing.T) {
	text := string(Plan{Changes: []Change{{Name: "R&D <fabrikam>"}}}.Encode())
	if !strings.Contains(text, `"R&D <fabrikam>"`) {
		t.Errorf("got %s", text)
	}
}

// resealed gives an edited plan document the digest that fits it, as one who knows the format
// would.
func resealed(text string) string {
	document, err := generic([]byte(text))
	if err != nil {
		return text
	}
	return digestLine.ReplaceAllString(text, `"digest": "`+documentDigest(document)+`"`)
}

var digestLine = regexp.MustCompile(`"digest": "[^"]*"`)

func TestDecodeRefuses(t *testing.T) {
	other := application
	place := &shelf{live: map[string][]Live{"Application": {
		{Identity: "1", Name: "a", Properties: Properties{"Key": "a"}},
		{Identity: "2", Name: "b", Properties: Properties{"Key": "b"}},
	}}}
	plan, err := Make(t.Context(), map[string]Place{"online": place}, []Resource{
		contoso(),
		{Kind: other, Target: "online", Key: "a", Properties: Properties{"Key": "a"}, Absent: true},
		{Kind: other, Target: "online", Key: "b", Properties: Properties{"Key": "b"}, Absent: true},
	}, Options{})
	if err != nil {
		t.Fatal(err)
	}
	good := string(plan.Encode())
	tests := []struct {
		name, from, to, want string
	}{
		{"kind", `"kind": "Plan"`, `"kind": "CheckReport"`, `"CheckReport"`},
		{"version", "hybridge/v2", "hybridge/v9", `reads "hybridge/v2"`},
		{"version before the first that is kept", "hybridge/v2", "hybridge/v1", `make a new plan`},
		{"unknown key", `"summary"`, `"summery"`, "summery"},
		{"key in another case", `"changes"`, `"Changes"`, "/Changes is not written"},
		{"key with the Kelvin sign", `"kind": "Relationship"`, "\"\u212Aind\": \"Relationship\"", "/changes/0/"},
		{"kind with the Kelvin sign", `"kind": "Plan"`, "\"\u212Aind\": \"Plan\"", "its kind is null"},
		{"key twice", `"Enabled": true`, `"Enabled": true, "Enabled": false`, "are the same"},
		{"key twice but for case", `"Enabled": true`, `"Enabled": true, "enabled": false`, "are the same"},
		{"key twice by an escape", `"Enabled": true`, `"Enabled": true, "\u0045nabled": false`, "are the same"},
		{"fraction", `"Enabled": true`, `"Enabled": 1.5`, "integer"},
		{"too large", `"Enabled": true`, `"Enabled": 99999999999999999999`, "integer"},
		{"exponent", `"Enabled": true`, `"Enabled": 1e2`, "integer"},
		{"action", `"action": "create"`, `"action": "explode"`, "explode"},
		{"id of elsewhere", `"id": "online/`, `"id": "entra/`, "begin with"},
		{"reference with more", `"Enabled": true`, `"Enabled": {"$ref": "a/b/c#d", "x": 1}`, "a reference must read"},
		{"bad reference", `"Enabled": true`, `"Enabled": {"$ref": "x"}`, "reference"},
		{"secret as text", `"Enabled": true`, `"Enabled": {"$secret": "hunter2"}`, "by reference"},
		{"unknown special", `"Enabled": true`, `"Enabled": {"$env": "HOME"}`, "dollar sign"},
		{"secret in what was there", `"before": {`, `"before": {"x": {"$secret": "env:HOME"},`, "holds a reference"},
		{"reference without need", `"Enabled": true`, `"Enabled": {"$ref": "a/b/c#d"}`, "without needing"},
		{"need of nothing", `"after"`, `"needs": ["x"], "after"`, "no earlier change"},
		{"one object twice", `"identity": "1"`, `"identity": "2"`, "touches what"},
		{"identity of a creation", `"action": "create"`, `"identity": "7", "action": "create"`, "identity"},
		{"removals not counted", `"delete": 2`, `"delete": 0`, "summary"},
		{"syntax", `"changes": [`, `"changes": ]`, "line "},
		{"cut", "}\n  ]", "", "line "},
		{"unknown key of a command", `"parameters"`, `"script": "x", "parameters"`, "script"},
		{"tail", "\n}\n", "\n}\n{}", "follows"},
		{"nesting", `"Enabled": true`, `"Enabled": ` + strings.Repeat("[", 100) + strings.Repeat("]", 100), "nested"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			text := strings.Replace(good, test.from, test.to, 1)
			if text == good {
				t.Fatal("the test changes nothing")
			}
			if _, err := Decode(strings.NewReader(text)); !errors.Is(err, ErrPlan) && !errors.Is(err, ErrEdited) {
				t.Errorf("as edited: %v", err)
			}
			_, err := Decode(strings.NewReader(resealed(text)))
			if !errors.Is(err, ErrPlan) {
				t.Fatalf("got %v, want ErrPlan", err)
			}
			if !strings.Contains(err.Error(), test.want) || strings.Contains(err.Error(), "hunter2") {
				t.Errorf("%q does not say %q", err, test.want)
			}
		})
	}
	// What still is a plan, but another one.
	for _, edit := range [][2]string{
		{`"Enabled": true`, `"Enabled": false`}, {"contoso.com", "contoso.org"}, {"free/busy", "nothing"},
		{"lookups stop", ""}, {`"unchanged": 0`, `"unchanged": 1`},
		{`"digest": "sha256:`, `"digest": "sha256:0`},
		{`"online/Relationship": "sha256:`, `"online/Relationship": "sha256:0`},
	} {
		text := strings.Replace(good, edit[0], edit[1], 1)
		if text == good {
			t.Fatalf("%s: the test changes nothing", edit[0])
		}
		if _, err := Decode(strings.NewReader(text)); !errors.Is(err, ErrEdited) || errors.Is(err, ErrPlan) {
			t.Errorf("%s: %v", edit[0], err)
		}
	}
	// Another layout is the same plan.
	var flat bytes.Buffer
	if err := json.Compact(&flat, []byte(good)); err != nil {
		t.Fatal(err)
	}
	if p, err := Decode(&flat); err != nil || p.Digest != plan.Digest {
		t.Errorf("without white space: %v", err)
	}
}

func TestSecretRef(t *testing.T) {
	kept := SecretRef{"env:PASSWORD"}
	resource := contoso()
	resource.Properties = maps.Clone(resource.Properties)
	resource.Properties["App"] = map[string]any{"user": "svc", "password": kept}
	make := func(live ...Live) Plan {
		t.Helper()
		places := map[string]Place{"online": &shelf{live: map[string][]Live{"Relationship": live}}}
		p, err := Make(t.Context(), places, []Resource{resource}, Options{})
		if err != nil {
			t.Fatal(err)
		}
		again, err := Decode(bytes.NewReader(p.Encode()))
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(p, again); diff != "" {
			t.Errorf("after a file (-want +got):\n%s", diff)
		}
		return p
	}
	want := map[string]any{"user": "svc", "password": kept}
	if p := make(); !cmp.Equal(p.Changes[0].After["App"], any(want)) ||
		!cmp.Equal(p.Changes[0].Command.Parameters["App"], any(want)) {
		t.Errorf("created with %v", p.Changes[0])
	} else if !strings.Contains(string(p.Encode()), `"$secret": "env:PASSWORD"`) {
		t.Errorf("encoded as %s", p.Encode())
	}
	live := Live{Identity: "1", Name: "n",
		Properties: Properties{"Domains": []string{"contoso.com"}, "Enabled": true,
			"URL": "https://mail.contoso.com/ews/"}}
	if p := make(live); len(p.Changes) > 0 {
		t.Errorf("a secret is a reason for %+v", p.Changes)
	}
	live.Properties["Enabled"] = false
	if p := make(live); len(p.Changes) != 1 ||
		!cmp.Equal(p.Changes[0].After, Properties{"Enabled": true, "App": want}) {
		t.Errorf("an update takes along %+v", p.Changes)
	}

	for _, bad := range []any{SecretRef{"hunter2"}, SecretRef{}, secret.NewValue("hunter2"),
		map[string]any{"$secret": "env:X"}, map[string]any{"$ref": "a#b"}, map[string]any{"Name": 1, "name": 2}} {
		if _, err := Normal(bad); err == nil || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%T: %v", bad, err)
		}
	}
	if text := fmt.Sprint(SecretRef{"hunter2"}.String(), Text(SecretRef{"hunter2"})); strings.Contains(text,
		"hunter2") {
		t.Error(text)
	}
	revealed, err := Reveal(want, func(r SecretRef) (secret.Value, error) {
		return secret.NewValue("of " + r.Ref),
			nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if v, is := revealed.(map[string]any)["password"].(secret.Value); !is || v.Reveal() != "of env:PASSWORD" {
		t.Errorf("revealed as %T", revealed.(map[string]any)["password"])
	}
}

// A plan file is a foreign file: it is read or refused, and what is read is written as it was.
func FuzzDecode(f *testing.F) {
	plan, err := Make(f.Context(), map[string]Place{"online": &shelf{}}, []Resource{contoso()}, Options{})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(plan.Encode())
	if files, err := filepath.Glob("testdata/*.json"); err == nil {
		for _, file := range files {
			if data, err := os.ReadFile(file); err == nil {
				f.Add(data)
			}
		}
	}
	f.Add([]byte(`{"apiVersion":"hybridge/v2","kind":"Plan","changes":[{"id":"a/b/c","before":{"x":{"$ref":"a#b"}}}]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		p, err := Decode(bytes.NewReader(data))
		if err != nil {
			if p, err = Decode(strings.NewReader(resealed(string(data)))); err != nil {
				return
			}
		}
		again, err := Decode(bytes.NewReader(p.Encode()))
		if err != nil {
			t.Fatalf("what was written cannot be read: %v", err)
		}
		if !bytes.Equal(p.Encode(), again.Encode()) {
			t.Fatal("what was written is read as something else")
		}
	})
}

// What identifies a resource, and what is given to it once, is not written again: neither when the
// live one has another value nor when it cannot be read.
func TestFixedPropertiesAreNotWritten(t *testing.T) {
	kind := &Kind{
		Noun: "Server", Command: render,
		Match:      func(Properties, Live) bool { return true },
		Properties: map[string]Property{"URL": {Write: Key}, "Once": {Write: CreateOnly}, "Title": {}},
	}
	for _, live := range []any{"https://other", Unreadable{"no right"}} {
		place := &shelf{live: map[string][]Live{"Server": {{Identity: "1", Name: "s",
			Properties: Properties{"URL": live, "Once": live, "Title": "old"}}}}}
		plan, err := Make(t.Context(), map[string]Place{"online": place}, []Resource{
			{Kind: kind, Target: "online", Key: "s", Name: "s",
				Properties: Properties{"URL": "https://login", "Once": "x", "Title": "new"}},
		}, Options{})
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(Properties{"Title": "new"}, plan.Changes[0].After); diff != "" {
			t.Error(diff)
		}
	}
}

// What is selected takes along what it needs, and the plan says so.
func TestSelectionPullsIn(t *testing.T) {
	app := func(key string, needs ...string) Resource {
		r := Resource{Kind: application, Target: "online", Key: key, Name: key, Properties: Properties{"Key": key}}
		for _, n := range needs {
			r.Needs = append(r.Needs, "online/Application/"+n)
		}
		return r
	}
	base, middle, top, other := app("base.contoso.com"), app("middle", "base.contoso.com"), app("top", "middle"), app("contoso.com")
	base.Part, top.Part, other.Part = "north", "north", "south"
	all := []Resource{base, middle, top, other}
	for _, test := range []struct {
		name    string
		o       Options
		changes string
		notes   string
	}{
		{"all", Options{}, "base.contoso.com middle top contoso.com", ""},
		{"one of the middle", Options{Only: []string{"*/middle"}}, "base.contoso.com middle", "base.contoso.com<middle"},
		{"the last", Options{Only: []string{"*/top"}}, "base.contoso.com middle top",
			"base.contoso.com<middle middle<top"},
		{"both named", Options{Only: []string{"*/top", "*/base.contoso.com"}}, "base.contoso.com middle top", "middle<top"},
		{"a part", Options{Parts: []string{"north"}}, "base.contoso.com middle top", "middle<top"},
		{"another part", Options{Parts: []string{"south"}}, "contoso.com", ""},
		{"a domain, and no longer name", Options{Mentions: []string{"Contoso.com"}}, "contoso.com", ""},
		{"skipped needs", Options{Only: []string{"*/top"}, Skip: []string{"*/base*"}}, "", ""},
	} {
		plan, err := Make(t.Context(), map[string]Place{"online": &shelf{}}, all, test.o)
		if err != nil {
			t.Fatalf("%s: %v", test.name, err)
		}
		var changes, notes []string
		for _, c := range plan.Changes {
			changes = append(changes, c.Name)
		}
		for _, n := range plan.Notes {
			words := strings.Fields(n.Text.String())
			of := func(id string) string { return id[strings.LastIndex(id, "/")+1:] }
			notes = append(notes, of(words[0])+"<"+of(words[len(words)-3]))
		}
		if strings.Join(changes, " ") != test.changes || strings.Join(notes, " ") != test.notes {
			t.Errorf("%s: %v, notes %v", test.name, changes, notes)
		}
		if again, err := Decode(bytes.NewReader(plan.Encode())); err != nil || again.Digest != plan.Digest {
			t.Errorf("%s: %v", test.name, err)
		}
	}
	for _, test := range []struct {
		value any
		want  bool
	}{
		{"contoso.com", true}, {"SMTP:*.contoso.com;1", true}, {"anna@contoso.com", true}, {"*.contoso.com", true},
		{[]string{"x", "CONTOSO.COM"}, true}, {map[string]any{"a": []any{"smtp:contoso.com"}}, true},
		{"mail.contoso.com", false}, {"contoso.com.example", false}, {"notcontoso.com", false},
		{"contoso.community", false}, {"mail.contoso.com, contoso.com", true}, {nil, false},
		{map[string][]string{"Domains": {"contoso.com"}}, true},
	} {
		if got := mentions("contoso.com", test.value); got != test.want {
			t.Errorf("%v: %t", test.value, got)
		}
	}
}
