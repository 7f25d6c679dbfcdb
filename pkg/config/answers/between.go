package answers

import (
	"errors"
	"strings"

	"github.com/hybridge-cli/hybridge/pkg/config/secret"
)

// Lookups says how the other forests ask one for free/busy.
type Lookups struct {
	// How much the answers show, and as whom the other forests ask: see the values of the question.
	Access   string     `yaml:"access" json:"access"`
	User     string     `yaml:"user,omitempty" json:"user,omitempty"`
	Password secret.Ref `yaml:"password,omitempty" json:"password,omitempty"`
}

// Values of forests[].lookups.access.
const (
	AccessOrgWide      = "orgWide"
	AccessPerUser      = "perUser"
	AccessRelationship = "relationship"
)

// BetweenForests reports whether a forest asks another one.
func (a Answers) BetweenForests() bool {
	for _, f := range a.Forests {
		if f.Lookups != nil {
			return len(a.Forests) > 1
		}
	}
	return false
}

// account is an account of another forest: a name alone would be one of the own forest.
func account(s string) (string, error) {
	if err := plain(s); err != nil {
		return "", err
	}
	if domain, user, ok := strings.Cut(s, `\`); ok && domain != "" && user != "" {
		return s, nil
	}
	if user, domain, ok := strings.Cut(s, "@"); ok && domain != "" && user != "" {
		return s, nil
	}
	return "", errors.New(`is a name alone; write DOMAIN\user or user@domain, because other forests sign in with it`)
}

// lookups checks how the other forests ask a forest. path is that of the forest.
func (v *validation) lookups(path []string, a *Answers, l *Lookups) {
	if l == nil {
		return
	}
	here := append(append([]string{}, path...), "lookups")
	at := func(key string) []string { return append(append([]string{}, here...), key) }
	switch {
	case len(a.Forests) < 2:
		v.faultAt(here, "there is no other forest to ask this one", "remove it, or add the other forest")
	case !a.Has(FreeBusy):
		v.faultAt(here, "the features do not list freeBusy", "add freeBusy to features, or remove it")
	}
	v.single(at("user"), &l.User, account)
	if v.reported[join(at("access"))] || v.reported[join(at("user"))] || v.reported[join(at("password"))] {
		return
	}
	switch signs := l.User != "" || l.Password != ""; {
	case l.Access == AccessRelationship && signs:
		v.faultAt(at("user"), "a relationship signs in with the federation trust of both forests",
			"remove user and password, or correct access")
	case l.Access == AccessOrgWide && l.User == "":
		v.faultAt(at("user"), "missing: the other forests ask as this account", "add user")
	case signs && l.User == "":
		v.faultAt(at("user"), "missing: the password belongs to it", "add user")
	case signs && l.Password == "":
		v.faultAt(at("password"), "missing: user needs it", "add password")
	}
}
