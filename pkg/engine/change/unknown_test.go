package change

import (
	"errors"
	"slices"
	"testing"

	"github.com/hybridge-cli/hybridge/pkg/engine/observe"
)

func plan(t *testing.T, places map[string]Place, o Options, resources ...Resource) Plan {
	t.Helper()
	p, err := Make(t.Context(), places, resources, o)
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Validate(); err != nil {
		t.Fatal(err)
	}
	return p
}

// A property with a secret is never compared: whether it can be read decides nothing.
func TestUnreadableSecret(t *testing.T) {
	s := &shelf{live: map[string][]Live{"Application": {{Identity: "1", Name: "App", Properties: Properties{
		"Key": "hybrid", "Title": Unreadable{Reason: "a secret"}}}}}}
	p := plan(t, map[string]Place{"entra": s}, Options{}, Resource{Kind: application, Target: "entra", Key: "hybrid",
		Name: "App", Properties: Properties{"Key": "hybrid", "Title": SecretRef{"env:TITLE"}}})
	if len(p.Changes)+len(p.LeftOut) > 0 {
		t.Errorf("%+v", p)
	}
}

// What a run made is removed only while it is as the run left it: others have not extended it.
func TestExtendedStays(t *testing.T) {
	was := Live{Identity: "1", Name: "App", Properties: Properties{"Key": "hybrid", "Title": "App"}, Foreign: "as made"}
	for foreign, removed := range map[string]bool{"as made": true, "extended": false} {
		now := was
		now.Foreign = foreign
		warned := false
		p := plan(t, map[string]Place{"entra": &shelf{live: map[string][]Live{"Application": {now}}}},
			Options{Observer: observe.Func(func(e observe.Event) {
				_, is := e.(observe.Warning)
				warned = warned || is
			})}, Resource{Kind: application, Target: "entra", Key: "hybrid", Name: "App", Absent: true, Was: &was,
				Properties: Properties{"Key": "hybrid"}})
		if (len(p.Changes) == 1) != removed || warned == removed {
			t.Errorf("%s: warned %v, %+v", foreign, warned, p.Changes)
		}
	}
}

// A value that is taken over from another change, and refers to a third one, needs the third one
// too.
func TestReferenceThroughAnother(t *testing.T) {
	app := func(key string, p Properties) Resource {
		p["Key"] = key
		return Resource{Kind: application, Target: "entra", Key: key, Name: key, Properties: p}
	}
	s := &shelf{live: map[string][]Live{"Application": {{Identity: "1", Name: "b", Properties: Properties{"Key": "b",
		"Title": "old"}}}}}
	p := plan(t, map[string]Place{"entra": s}, Options{},
		app("a", Properties{"Title": Ref{"entra/Application/b", "Title"}}),
		app("b", Properties{"Title": Ref{"entra/Application/c", "AppID"}}), app("c", Properties{}))
	for _, c := range p.Changes {
		if c.ID == "entra/Application/a" && !slices.Contains(c.Needs, "entra/Application/c") {
			t.Errorf("%+v", c)
		}
	}
}

// What is not in a list is not taken out of it.
func TestNothingToTakeOut(t *testing.T) {
	s := &shelf{live: map[string][]Live{"Relationship": {{Identity: "1", Name: "R", Properties: Properties{
		"Domains": []string{"contoso.com"}}}}}}
	p := plan(t, map[string]Place{"online": s}, Options{}, Resource{Kind: relationship, Target: "online", Key: "r",
		Properties: Properties{"Domains": []string{"contoso.com"}},
		Without:    map[string][]string{"Domains": {"gone.com"}}})
	if len(p.Changes) > 0 {
		t.Errorf("%+v", p.Changes)
	}
}

// A plan without the fingerprint of what it touches is none. A fingerprint tells objects apart.
func TestFingerprints(t *testing.T) {
	p := plan(t, map[string]Place{"online": &shelf{}}, Options{}, contoso())
	p.Live = map[string]string{}
	if err := p.Sealed().Validate(); !errors.Is(err, ErrPlan) {
		t.Error(err)
	}
	of := func(l Live) string {
		f, err := Fingerprint(application, []Live{l})
		if err != nil {
			t.Fatal(err)
		}
		return f
	}
	was := Live{Identity: "1", Name: "App", Properties: Properties{"Key": "a"}}
	again := was
	again.Identity = "2"
	if of(was) == of(again) {
		t.Error("an object that was made anew is the same one")
	}
}

// What cannot be read now may differ from what was there.
func TestUnreadableDiffers(t *testing.T) {
	was := &Live{Name: "App", Properties: Properties{"Key": "a", "Title": "App"}}
	is := &Live{Name: "App", Properties: Properties{"Key": "a", "Title": Unreadable{Reason: "no right"}}}
	if application.Differing(was, is) == "" || application.Differing(is, was) != "" {
		t.Errorf("%q, %q", application.Differing(was, is), application.Differing(is, was))
	}
}

// A replacement removes an object and makes it anew. One with a property that cannot be read would
// lose it: the object stays as it is.
func TestUnreadablePropertyOfAReplacement(t *testing.T) {
	kind := *override
	kind.Properties = map[string]Property{"Name": {Write: Key}, "Value": {}, "Keep": {}, "Stamp": {Derived: true}}
	hidden := Unreadable{Reason: "no right"}
	for name, planned := range map[string]bool{"Keep": false, "Stamp": true} {
		s := &shelf{live: map[string][]Live{kind.Noun: {{Identity: "1", Name: "o",
			Properties: Properties{"Name": "o", "Value": "old", name: hidden}}}}}
		p, err := Make(t.Context(), map[string]Place{"onprem": s}, []Resource{{Kind: &kind, Target: "onprem", Key: "o",
			Name: "o", Properties: Properties{"Name": "o", "Value": "new"}}}, Options{})
		if planned != (err == nil && len(p.Changes) == 1) || planned == errors.Is(err, ErrUnreadable) {
			t.Errorf("%s: %v, %+v", name, err, p.Changes)
		}
	}
}

// A resource whose key cannot be read may be the one that is wanted: it is not made beside it.
func TestUnreadableKey(t *testing.T) {
	s := &shelf{live: map[string][]Live{"Application": {{Identity: "1", Name: "App", Properties: Properties{
		"Key": Unreadable{Reason: "no right"}}}}}}
	for _, absent := range []bool{false, true} {
		p, err := Make(t.Context(), map[string]Place{"entra": s}, []Resource{{Kind: application, Target: "entra",
			Key: "hybrid", Name: "App", Properties: Properties{"Key": "hybrid"}, Absent: absent}}, Options{})
		if !errors.Is(err, ErrUnreadable) || len(p.Changes) > 0 {
			t.Errorf("absent %v: %v, %+v", absent, err, p.Changes)
		}
	}
	s.live["Application"] = append(s.live["Application"], Live{Identity: "2", Name: "App",
		Properties: Properties{"Key": "hybrid"}})
	if p := plan(t, map[string]Place{"entra": s}, Options{}, Resource{Kind: application, Target: "entra",
		Key: "hybrid", Name: "App", Properties: Properties{"Key": "hybrid"}}); len(p.Changes) > 0 {
		t.Errorf("%+v", p.Changes)
	}
}

// A list that cannot be read may have what is to be taken out of it.
func TestUnreadableListToTakeOutOf(t *testing.T) {
	s := &shelf{live: map[string][]Live{"Application": {{Identity: "1", Name: "App", Properties: Properties{
		"Key": "hybrid", "Domains": Unreadable{Reason: "no right"}}}}}}
	kind := *application
	kind.Properties = map[string]Property{"Key": {Write: Key}, "Domains": {Compare: sameSet, Write: Merge}}
	_, err := Make(t.Context(), map[string]Place{"entra": s}, []Resource{{Kind: &kind, Target: "entra", Key: "hybrid",
		Properties: Properties{"Key": "hybrid"}, Without: map[string][]string{"Domains": {"gone.com"}}}}, Options{})
	if !errors.Is(err, ErrUnreadable) {
		t.Error(err)
	}
}
