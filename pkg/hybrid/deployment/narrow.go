package deployment

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/hybridge-cli/hybridge/pkg/config/spelling"
	"github.com/hybridge-cli/hybridge/pkg/engine/change"
	"github.com/hybridge-cli/hybridge/pkg/engine/msg"
)

// ErrNotInAnswers says that a plan is narrowed to a forest or a domain of other answers.
var ErrNotInAnswers = errors.New("matches nothing in the answers file")

// narrowed says to which forests and domains a plan is narrowed. It refuses those that the answers
// do not name.
func (d *Deployment) narrowed() ([]change.Note, error) {
	var forests, domains []string
	for _, f := range d.answers.Forests {
		forests, domains = append(forests, f.Name), append(domains, f.Domains...)
	}
	if e := d.answers.ExchangeOnline; e != nil && e.CoexistenceDomain != "" {
		domains = append(domains, e.CoexistenceDomain)
	}
	var notes []change.Note
	for _, n := range []struct {
		flag         string
		given, known []string
		text         string
	}{
		{"--forest", d.options.Forests, forests, "this plan is narrowed to what belongs to forest %s"},
		{"--domain", d.options.Domains, domains, "this plan is narrowed to objects in which %s is; a change of " +
			"such an object is planned whole, with its other domains"},
	} {
		for i, name := range n.given {
			at := slices.IndexFunc(n.known, func(k string) bool { return strings.EqualFold(k, name) })
			if at < 0 {
				return nil, fmt.Errorf("%s %q: %w%s", n.flag, name, ErrNotInAnswers,
					spelling.OneOf(name, n.known))
			}
			n.given[i] = n.known[at]
		}
		if len(n.given) > 0 {
			notes = append(notes, change.Note{Topic: "selection", Text: msg.Of(n.text, strings.Join(n.given, ", "))})
		}
	}
	return notes, nil
}
