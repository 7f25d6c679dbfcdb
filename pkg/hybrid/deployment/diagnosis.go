package deployment

import (
	"strings"

	"github.com/hybridge-cli/hybridge/pkg/engine/check"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/diagnose"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/freebusy"
)

// Diagnosed ranks the causes of what checks, lookups and messages found.
func Diagnosed(checks check.Report, tests ...freebusy.Report) diagnose.Verdict {
	var symptoms []diagnose.Symptom
	for _, t := range tests {
		for _, a := range t.Matrix {
			if a.Status != freebusy.OK {
				symptoms = append(symptoms, symptom(a))
			}
		}
	}
	return diagnose.Decide(checks.Results, symptoms)
}

func symptom(a freebusy.Answer) diagnose.Symptom {
	from, to, _ := strings.Cut(a.Direction, " -> ")
	return diagnose.Symptom{Text: a.Error, From: from, To: to, Direction: freebusy.Way(a.Direction),
		Message: a.Probe == freebusy.MessageProbe}
}
