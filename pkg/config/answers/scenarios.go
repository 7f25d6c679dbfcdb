package answers

import (
	"fmt"
	"slices"
	"strings"

	"github.com/hybridge-cli/hybridge/templates"
)

// Scenario is a kind of organization that init has a file for.
type Scenario struct{ ID, Title string }

var scenarios = []Scenario{
	{"single-forest", "one forest and Exchange Online"},
	{"multi-forest", "two forests and Exchange Online"},
	{"unattended", "one forest, run by a pipeline, without prompts"},
	{"gcc-high", "one forest and a GCC High tenant (United States government)"},
	{"21vianet", "one forest and a tenant operated by 21Vianet (China)"},
	{"workmail", "one forest and Amazon WorkMail"},
	{"help-desk", "validate alone, with accounts that only read"},
}

// Scenarios returns the scenarios, the most common first.
func Scenarios() []Scenario { return slices.Clone(scenarios) }

// Template returns the commented answers file of a scenario. The tests of this package generate the
// files from the questions. What belongs to an organization stands there as <placeholder>: Load
// reports every one that is still to be filled in.
func Template(scenario string) ([]byte, error) {
	var ids []string
	for _, s := range scenarios {
		if s.ID == scenario {
			text, err := templates.Read("answers/" + s.ID + ".yaml")
			if err != nil {
				return nil, fmt.Errorf("template %s: %w", s.ID, err)
			}
			return []byte(text), nil
		}
		ids = append(ids, s.ID)
	}
	return nil, fmt.Errorf("there is no scenario %q; %s", scenario, choose(scenario, ids))
}

// New returns a document made from a scenario's template, to be filled in.
func New(name, scenario string) (*Document, error) {
	data, err := Template(scenario)
	if err != nil {
		return nil, err
	}
	return NewDocument(strings.TrimSpace(name), data)
}
