package answers

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/hybridge-cli/hybridge/pkg/config/spelling"
)

var checkIDForm = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`^[a-z0-9-]+\.[a-z0-9.-]+$`)
})

// day is a date without a time: 2027-01-31.
func day(s string) (string, error) {
	if _, err := time.Parse(time.DateOnly, s); err != nil {
		return "", errors.New("is not a date; write year, month and day: 2027-01-31")
	}
	return s, nil
}

// checks checks the decisions about findings. Which checks there are is not known here.
func (v *validation) checks(a *Answers) {
	type decision struct{ id, scope, sort string }
	first := map[decision]int{}
	for i := range a.Checks {
		c := &a.Checks[i]
		at := func(key string) []string { return []string{"checks", strconv.Itoa(i), key} }
		id := v.single(at("id"), &c.ID, matches(checkIDForm,
			"is not the id of a check; hybridge help checks lists them"))
		if v.single(at("scope"), &c.Scope, text) {
			v.checkScope(at("scope"), a, c.Scope)
		}
		v.single(at("reason"), &c.Reason, text)
		v.single(at("owner"), &c.Owner, text)
		v.single(at("expires"), &c.Expires, day)
		sort := "an acknowledgement"
		if c.Severity != "" {
			sort = "a severity"
		}
		v.checkDecision(c, at)
		if !id {
			continue
		}
		same := decision{c.ID, strings.ToLower(c.Scope), sort}
		if before, ok := first[same]; ok {
			v.faultAt(at("id"), fmt.Sprintf("there is %s for this check and scope before, on line %d", sort,
				v.line([]string{"checks"}, before, "id")), "keep one of the two")
			continue
		}
		first[same] = i
	}
}

// checkDecision reports an entry that decides nothing, or two things.
func (v *validation) checkDecision(c *CheckRule, at func(key string) []string) {
	for _, g := range []struct{ key, value string }{{"reason", c.Reason}, {"owner", c.Owner}, {"expires", c.Expires}} {
		switch missing := g.value == ""; {
		case v.reported[join(at(g.key))] || v.reported[join(at("severity"))]:
			return
		case c.Severity != "" && !missing:
			v.faultAt(at(g.key), "an entry sets a severity or acknowledges findings, not both",
				"remove severity, or make two entries")
			return
		case c.Severity == "" && missing:
			v.faultAt(at(g.key), "missing: an acknowledgement has a reason, an owner and a last day",
				"add "+g.key+", or severity: warn")
			return
		}
	}
}

// checkScope compares a scope with the forests and the other scopes of checks. What follows the
// colon is the parameter of a check.
func (v *validation) checkScope(path []string, a *Answers, scope string) {
	name, _, _ := strings.Cut(scope, ": ")
	known := []string{"organization"}
	for _, f := range a.Forests {
		known = append(known, f.Name)
	}
	if a.ExchangeOnline != nil {
		known = append(known, "tenant")
	}
	if a.WorkMail != nil {
		known = append(known, "workmail")
	}
	if !slices.Contains(known, name) {
		v.faultAt(path, quote(scope)+" is no scope of a check"+spelling.DidYouMean(name, known),
			"there are: "+strings.Join(known, ", "))
	}
}
