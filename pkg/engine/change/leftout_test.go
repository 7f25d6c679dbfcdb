package change

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/hybridge-cli/hybridge/pkg/engine/msg"
)

// What rests on something unknown is left out and named; the rest is planned, and nothing is
// removed for it.
func TestWhatIsUnknownIsLeftOut(t *testing.T) {
	denied := errors.New("denied")
	app := func(key string, more func(*Resource)) Resource {
		r := Resource{Kind: application, Target: "entra", Key: key, Name: key, Topic: "apps",
			Properties: Properties{"Key": key}}
		if more != nil {
			more(&r)
		}
		return r
	}
	domains := contoso()
	domains.Topic = "lookups"
	domains.Properties = Properties{"Domains": []string{"contoso.com"}}
	live := []Live{{Identity: "1", Name: "gone", Properties: Properties{"Key": "gone"}},
		{Identity: "2", Name: "base", Properties: Properties{"Key": "base"}}}
	for name, test := range map[string]struct {
		entra, online map[string][]Live
		fail          map[string]error // at online
		resources     []Resource
		left          []LeftOut // of the derivation
		changes       string
		want          []string
		err           error
	}{
		"a kind that cannot be read, and what needs it": {
			fail: map[string]error{"Relationship": denied},
			resources: []Resource{
				domains, app("a", nil), app("b", func(r *Resource) { r.Needs = []string{domains.ID()} }),
				app("c", func(r *Resource) { r.Properties["AppID"] = Ref{"entra/Application/b", "id"} }),
			},
			changes: "create entra/Application/a",
			want: []string{
				"lookups online online/Relationship/contoso: online: read Relationship: denied",
				"apps entra entra/Application/b: it needs online/Relationship/contoso, which is left out",
				"apps entra entra/Application/c: it needs entra/Application/b, which is left out",
			},
		},
		"a property that cannot be read": {
			online: map[string][]Live{"Relationship": {{Identity: "1", Name: "r",
				Properties: Properties{"Domains": []string{"contoso.com"}, "Enabled": Unreadable{"odd"}}}}},
			resources: []Resource{contoso(), app("a", func(r *Resource) { r.Needs = []string{contoso().ID()} }),
				app("b", nil)},
			changes: "create entra/Application/b",
			want: []string{
				` online online/Relationship/contoso: property Enabled of "r" cannot be read: odd`,
				"apps entra entra/Application/a: it needs online/Relationship/contoso, which is left out",
			},
		},
		"nothing is removed while what stands on it is unknown": {
			entra: map[string][]Live{"Application": live},
			fail:  map[string]error{"Relationship": denied},
			resources: []Resource{
				app("base", func(r *Resource) { r.Absent = true }),
				func() Resource {
					r := domains
					r.Absent, r.Needs = true,
						[]string{"entra/Application/base"}
					return r
				}(),
				app("gone", func(r *Resource) { r.Absent = true }),
			},
			changes: "delete entra/Application/gone",
			want: []string{
				"apps entra entra/Application/base: it needs online/Relationship/contoso, which is left out",
				"lookups online online/Relationship/contoso: online: read Relationship: denied",
			},
		},
		"what could not be derived": {
			resources: []Resource{app("a", nil)},
			left:      []LeftOut{{Topic: "oauth", Place: "onprem/contoso", Reason: msg.Plain("refused"), Err: denied}},
			changes:   "create entra/Application/a",
			want:      []string{"oauth onprem/contoso : refused"},
		},
		"nothing is known": {
			fail:      map[string]error{"Relationship": denied},
			resources: []Resource{domains},
			left:      []LeftOut{{Topic: "oauth", Reason: msg.Plain("refused"), Err: errors.ErrUnsupported}},
			err:       denied,
		},
	} {
		t.Run(name, func(t *testing.T) {
			places := map[string]Place{"online": &shelf{live: test.online, fail: test.fail},
				"entra": &shelf{live: test.entra}}
			p, err := Make(t.Context(), places, test.resources, Options{LeftOut: test.left})
			if !errors.Is(err, test.err) {
				t.Fatalf("Make = %v, want %v", err, test.err)
			}
			if err != nil {
				return
			}
			var changes, left []string
			for _, c := range p.Changes {
				changes = append(changes, string(c.Action)+" "+c.ID)
			}
			for _, l := range p.LeftOut {
				left = append(left, l.Topic+" "+l.Place+" "+strings.Join(l.Resources, ",")+": "+l.Reason.String())
			}
			if diff := cmp.Diff(test.changes, strings.Join(changes, "\n")); diff != "" {
				t.Errorf("changes (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(test.want, left); diff != "" {
				t.Errorf("left out (-want +got):\n%s", diff)
			}
			if err := p.Validate(); err != nil {
				t.Error(err)
			}
			back, err := Decode(strings.NewReader(string(p.Encode())))
			if err != nil || len(back.LeftOut) != len(p.LeftOut) || string(back.Encode()) != string(p.Encode()) {
				t.Errorf("it comes back as %+v, %v", back.LeftOut, err)
			}
		})
	}
}

// What a selection leaves out is not named as unknown.
func TestSelectionOfWhatIsUnknown(t *testing.T) {
	denied := errors.New("denied")
	places := map[string]Place{"online": &shelf{fail: map[string]error{"Relationship": denied}}, "entra": &shelf{}}
	resources := []Resource{contoso(),
		{Kind: application, Target: "entra", Key: "a", Name: "a", Properties: Properties{"Key": "a"}}}
	p, err := Make(t.Context(), places, resources, Options{Only: []string{"entra/*"}})
	if err != nil || len(p.Changes) != 1 || len(p.LeftOut) != 0 {
		t.Errorf("%v, %v, %v", p.Changes, p.LeftOut, err)
	}
}
