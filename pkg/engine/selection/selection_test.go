package selection

import (
	"errors"
	"strings"
	"testing"
)

func TestMatch(t *testing.T) {
	for _, test := range []struct {
		glob, id string
		want     bool
	}{
		{"directory.*", "directory.reachable", true},
		{"*.reachable", "directory.reachable", true},
		{"online/*/contoso.com", "online/OrganizationRelationship/contoso.com", true},
		{"ONLINE/*", "online/x/y", true},
		{"*a*b*", "xxaxxbxx", true},
		{"*a*b", "xxaxxbxx", false},
		{"d?rectory.x", "directory.x", true},
		{"directory", "directory.x", false},
		{"", "", true},
		{"*", "", true},
		{"?", "", false},
	} {
		if got := Match(test.glob, test.id); got != test.want {
			t.Errorf("Match(%q, %q) = %v", test.glob, test.id, got)
		}
	}
}

func TestSelection(t *testing.T) {
	s := Selection{Only: []string{"a.*"}, Skip: []string{"*.y"}}
	for id, want := range map[string]bool{"a.x": true, "a.y": false, "b.x": false} {
		if got := s.Picks(id); got != want {
			t.Errorf("Picks(%q) = %v", id, got)
		}
	}
	if err := s.Validate([]string{"a.x", "a.y"}); err != nil {
		t.Error(err)
	}
	// A run that looks at nothing is no success.
	for _, nothing := range []Selection{{Skip: []string{"*"}}, {Only: []string{"a.*"}, Skip: []string{"a.*"}}} {
		if err := nothing.Validate([]string{"a.x", "b.x"}); !errors.Is(err, ErrUnmatched) {
			t.Errorf("%v: %v", nothing, err)
		}
	}
	if err := (Selection{}).Validate(nil); err != nil {
		t.Error(err)
	}
	err := s.Validate([]string{"b.x"})
	if !errors.Is(err, ErrUnmatched) || !strings.Contains(err.Error(), `--only "a.*"`) ||
		!strings.Contains(err.Error(), `--skip "*.y"`) {
		t.Errorf("got %v", err)
	}
}

// A glob that picks nothing is answered with what was probably meant.
func TestUnmatched(t *testing.T) {
	ids := []string{"directory.reachable", "tenant.ews-switch", "online/OrganizationRelationship/contoso.com"}
	for glob, want := range map[string]string{
		"directory.reachble": `did you mean "directory.reachable"?`,
		"directry.*":         `did you mean "directory.*"?`,
		"onlin/*":            `did you mean "online/*"?`,
		"ews":                `did you mean "*ews*"?`,
		"ews*":               `did you mean "*ews*"?`,
		"[":                  "* stands for any text and ? for one character",
		"(directory|tenant)": "* stands for any text and ? for one character",
		"frob*":              "matches nothing",
	} {
		err := Selection{Skip: []string{glob}}.Validate(ids)
		if !errors.Is(err, ErrUnmatched) || !strings.HasSuffix(err.Error(), want) ||
			!strings.HasPrefix(err.Error(), "--skip \""+glob) {
			t.Errorf("%s: %v", glob, err)
		}
	}
}
