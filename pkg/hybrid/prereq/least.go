package prereq

import (
	"github.com/hybridge-cli/hybridge/pkg/engine/selection"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/desired"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/fact"
)

// Sources returns the raw questions of the checks that globs pick. The checks of kinds read what a
// plan reads.
func Sources(globs ...string) []fact.Source {
	picked := selection.Selection{Only: globs}
	var facts []fact.Fact
	kinds := false
	for _, c := range Checks() {
		if picked.Picks(string(c.ID)) {
			facts = append(facts, c.Reads...)
			kinds = kinds || c.ID.Category() == "hybrid"
		}
	}
	if !kinds {
		return fact.SourcesOf(facts...)
	}
	for _, t := range desired.Topics() {
		facts = append(facts, t.Reads...)
	}
	out := fact.SourcesOf(facts...)
	for _, k := range desired.Kinds() {
		for _, place := range k.Places {
			system, ok := map[string]fact.System{desired.OnPremises: fact.OnPremises, desired.Online: fact.Online,
				desired.Entra: fact.Entra, desired.WorkMail: fact.WorkMail}[place]
			for _, right := range k.Reads {
				if ok {
					out = append(out, fact.Source{System: system, Ask: right, Right: []string{right}})
				}
			}
		}
	}
	return out
}
