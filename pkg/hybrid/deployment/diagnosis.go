package deployment

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/hybridge-cli/hybridge/pkg/engine/check"
	"github.com/hybridge-cli/hybridge/pkg/engine/observe"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/diagnose"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/fact"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/freebusy"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/prereq"
)

// Diagnosed ranks the causes of what checks, lookups and messages found.
func Diagnosed(checks check.Report, tests ...freebusy.Report) diagnose.Verdict {
	var symptoms []diagnose.Symptom
	for _, t := range tests {
		symptoms = append(symptoms, symptomsOf(t)...)
	}
	return diagnose.Decide(checks.Results, symptoms)
}

// symptomsOf lists what does not work.
func symptomsOf(r freebusy.Report) (out []diagnose.Symptom) {
	for _, a := range r.Matrix {
		if ill(a) {
			out = append(out, symptomOf(a))
		}
	}
	return out
}

// ill reports whether an answer needs a diagnosis. A lookup that waits for a change does not.
func ill(a freebusy.Answer) bool {
	return a.Status != freebusy.OK && (a.Status != freebusy.Pending || a.Probe == freebusy.MessageProbe)
}

func symptomOf(a freebusy.Answer) diagnose.Symptom {
	from, to, _ := strings.Cut(a.Direction, " -> ")
	return diagnose.Symptom{Text: a.Error, From: from, To: to, Direction: freebusy.Way(a.Direction),
		Message: a.Probe == freebusy.MessageProbe}
}

// The limits of the checks that decide after a failure.
const (
	decideWithin = 90 * time.Second
	decideAgain  = 2 * time.Minute // test --watch looks again and again
)

// decided is what the last deciding checks found.
type decided struct {
	ids    []string
	report check.Report
	at     time.Time
}

// judged runs the checks that decide why lookups or messages failed, and ranks the causes: of the
// whole report, and of each answer.
func (d *Deployment) judged(ctx context.Context, facts *fact.Set, r freebusy.Report) freebusy.Report {
	symptoms := symptomsOf(r)
	if len(symptoms) == 0 || ctx.Err() != nil {
		return r
	}
	ids := diagnose.Deciders(symptoms)
	if !slices.Equal(ids, d.decided.ids) || time.Since(d.decided.at) > decideAgain {
		limited, cancel := context.WithTimeout(ctx, decideWithin)
		defer cancel()
		o := d.checking()
		o.Only = ids
		checks, err := prereq.Run(limited, facts, o, observe.Func(func(observe.Event) {}))
		if err != nil { // an id that no check has, which tests exclude
			d.warn("the causes were not examined: " + err.Error())
			return r
		}
		d.decided = decided{ids, checks, time.Now()}
	}
	verdict := diagnose.Decide(d.decided.report.Results, symptoms).Explaining()
	r.Verdict = &verdict
	for i, a := range r.Matrix {
		if !ill(a) {
			continue
		}
		alone := []diagnose.Symptom{symptomOf(a)}
		var causes []freebusy.Diagnosis
		for _, c := range diagnose.Decide(d.decided.report.Results, alone).Explaining().Causes {
			if len(causes) < 3 {
				causes = append(causes, freebusy.Diagnosis{ID: string(c.ID), Confidence: c.Confidence})
			}
		}
		if len(causes) > 0 {
			r.Matrix[i].Diagnosis = causes
		}
	}
	return r
}
